"""Kills a training run at random moments, again and again, and compares the bits.

    python benchmarks/soak.py --kills=30

It trains the quickstart, shortened, once without interruption; then once more in
another folder, killed by SIGKILL at a random moment of each start until it has been
killed as often as asked; lets it end; and compares the last checkpoint (all variables)
and the tables byte by byte. Exit code 1 if anything differs.
"""

import argparse
import hashlib
import pathlib
import random
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[1]
COMPARED = ("metrics.csv", "slopes.csv", "evaluation.json", "checkpoints/*.npz")


def start(workdir, log, steps):
    """Starts, or goes on with, the run in a folder; saves as often as it can."""
    command = [
        sys.executable,
        str(ROOT / "training" / "train.py"),
        f"--config={ROOT}/training/recipes/quickstart.py",
        f"--workdir={workdir}",
        "--config.epochs=4",
        f"--config.steps_per_epoch={steps}",
        "--config.data.validation=validation[:320]",
        "--config.model.dropout=0.5",
        "--config.checkpoint.seconds=0.0",
        "--config.checkpoint.share=0.5",
    ]
    return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)


def wait_for_training(process, path):
    """Waits until the run is past its imports, where a kill would show nothing."""
    seen = path.stat().st_size
    while process.poll() is None:
        with path.open() as file:
            file.seek(seen)
            if "Data:" in file.read():
                return
        time.sleep(0.05)


def hashes(workdir):
    """The hash of each file that must be the same."""
    files = sorted(file for name in COMPARED for file in workdir.glob(name))
    return {
        str(file.relative_to(workdir)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
    }


def main():
    """Trains, kills, compares, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--steps", type=int, default=60, help="steps an epoch")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        log = folder / "log.txt"
        with log.open("w") as output:
            whole = start(folder / "whole", output, arguments.steps)
            wait_for_training(whole, log)
            began = time.monotonic()
            whole.wait()
            seconds = time.monotonic() - began

            kills = 0
            killed = folder / "killed"
            while kills < arguments.kills:
                run = start(killed, output, arguments.steps)
                wait_for_training(run, log)
                # Short of what an equal share for each kill would train.
                time.sleep(draw.uniform(0, 1.5 * seconds / arguments.kills))
                if run.poll() is not None:
                    break
                run.kill()
                run.wait()
                kills += 1
            last = start(killed, output, arguments.steps).wait()
        ours, theirs = hashes(folder / "whole"), hashes(killed)
        different = sorted(
            name
            for name in ours.keys() | theirs.keys()
            if ours.get(name) != theirs.get(name)
        )
        print(
            f"{kills} kills; exit code of the last start {last}; {len(ours)} files "
            f"compared; different: {', '.join(different) or 'none'}"
        )
        if last or different or not ours:
            print(log.read_text()[-2000:])
            sys.exit(1)


if __name__ == "__main__":
    main()
