"""Kill a training run at random moments many times, and compare the bits.

    python benchmarks/soak.py --kills=100

It trains a short quickstart once without interruption, and once more in another folder,
where SIGKILL ends every start at a random moment. Two thirds of the kills fall into the
training, and the rest into the time when the model and the report are written. Then it
lets the run end, and compares the last checkpoint (all variables), the model's weights,
the tables and the report's images byte by byte. The exit code is 1 if anything differs,
or if a partial file is left.
"""

import argparse
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import keras

from keras_prelu.callbacks import Checkpoints
from keras_prelu.files import PARTIAL

ROOT = pathlib.Path(__file__).parents[1]
TABLES = ("metrics.csv", "slopes.csv", "evaluation.json", "config.json", "data.json")
# What the program prints before and after it trains.
TRAINING, ENDING = "Data:", "Trained."


def start(workdir, log, steps):
    """Start or resume the run in a folder, with as many saves as possible."""
    command = [
        sys.executable,
        "-m",
        "training.train",
        f"--config={ROOT}/training/recipes/quickstart.py",
        f"--workdir={workdir}",
        "--config.epochs=4",
        f"--config.steps_per_epoch={steps}",
        "--config.data.validation=validation[:320]",
        "--config.model.dropout=0.5",
        "--config.checkpoint.seconds=0.0",
        "--config.checkpoint.fraction=0.5",
    ]
    return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)


def wait_for(text, process, path, seen):
    """Wait until a run prints a text after a position of the log; return if it did."""
    while process.poll() is None:
        with path.open() as file:
            file.seek(seen)
            if text in file.read():
                return True
        time.sleep(0.02)
    return False


def train_whole(workdir, log, steps):
    """Train without interruption; return the seconds of the training and of the end."""
    with log.open("a") as output:
        run = start(workdir, output, steps)
    wait_for(TRAINING, run, log, 0)
    began = time.monotonic()
    wait_for(ENDING, run, log, 0)
    trained = time.monotonic()
    if run.wait():
        sys.exit(log.read_text()[-2000:])
    return trained - began, time.monotonic() - trained


def kill(workdir, log, steps, text, seconds):
    """Start the run and kill it some time after a text; return if it was running."""
    seen = log.stat().st_size
    with log.open("a") as output:
        run = start(workdir, output, steps)
    wait_for(text, run, log, seen)
    time.sleep(seconds)
    was_running = run.poll() is None
    run.kill()
    run.wait()
    return was_running


def contents(workdir):
    """Return the bytes of each variable and of each file that must be equal."""
    checkpoints = Checkpoints(workdir / "checkpoints")
    arrays, _ = checkpoints.load(checkpoints.good_steps()[-1])
    model = keras.saving.load_model(workdir / "model.keras", compile=False)
    images = sorted((workdir / "report").iterdir())
    files = [*(workdir / name for name in TABLES), *images]
    return {
        **{name: array.tobytes() for name, array in arrays.items()},
        **{weight.path: weight.numpy().tobytes() for weight in model.weights},
        **{str(path.relative_to(workdir)): path.read_bytes() for path in files},
        "partial files": [path.name for path in workdir.rglob(f"{PARTIAL}*")],
    }


def main():
    """Train, kill, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--steps", type=int, default=60, help="steps per epoch")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = pathlib.Path(folder, "whole"), pathlib.Path(folder, "killed")
        log = pathlib.Path(folder, "log.txt")
        training, ending = train_whole(whole, log, arguments.steps)
        at_the_end = arguments.kills // 3
        in_training = arguments.kills - at_the_end
        done = {TRAINING: 0, ENDING: 0}
        for _ in range(in_training):
            # On average less than an equal part of the training for each kill.
            seconds = draw.uniform(0, 1.5 * training / in_training)
            done[TRAINING] += kill(killed, log, arguments.steps, TRAINING, seconds)
        for _ in range(at_the_end):
            seconds = draw.uniform(0, ending)
            done[ENDING] += kill(killed, log, arguments.steps, ENDING, seconds)
        with log.open("a") as output:
            code = start(killed, output, arguments.steps).wait()
        ours, theirs = contents(whole), contents(killed)
        different = [
            name
            for name in sorted(ours.keys() | theirs.keys())
            if ours.get(name) != theirs.get(name)
        ]
        print(
            f"{done[TRAINING]} kills in training, {done[ENDING]} while the model and "
            f"the report were written; exit code of the last start {code}; "
            f"{len(ours)} variables and files compared; "
            f"different: {', '.join(different) or 'none'}"
        )
        if code or different:
            print(log.read_text()[-2000:])
            sys.exit(1)


if __name__ == "__main__":
    main()
