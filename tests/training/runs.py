"""Runs of training.train on a few small images, as a user would start them."""

import random
import resource
import signal
import subprocess
import sys
import time

import numpy as np
from PIL import Image
from processes import ROOT, environment

from keras_prelu.callbacks import PREEMPTED, Checkpoints

PROGRAM = ("-m", "training.train")
RECIPE = ROOT / "training" / "recipes" / "quickstart.py"
FINE_TUNING = RECIPE.with_name("finetune_directory.py")
# Save at every step, so that many kills hit a save.
SAVING = ("--config.checkpoint.seconds=0.0", "--config.checkpoint.fraction=1.0")
TABLES = ("metrics.csv", "slopes.csv", "evaluation.json")


def make_images(folder, train=24, validation=10):
    """Make a folder of images in two classes that differ in brightness."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("validation", validation)):
        for label, name in enumerate(("dark", "light")):
            target = folder / split / name
            target.mkdir(parents=True)
            for i in range(count // 2):
                pixels = rng.integers(0, 128, (36, 40, 3)) + 127 * label
                Image.fromarray(pixels.astype("uint8")).save(target / f"{i}.png")
    return folder


def arguments(images, workdir, *more, recipe=RECIPE):
    """Return the command line of a run of two epochs of four steps."""
    return [
        *PROGRAM,
        f"--config={recipe}",
        f"--workdir={workdir}",
        f"--config.data.path={images}",
        "--config.data.image_size=32",
        "--config.data.scale=(32, 40)",
        "--config.data.eval_scale=36",
        "--config.model.width=0.03",
        "--config.model.dropout=0.5",
        "--config.batch_size=6",
        "--config.epochs=2",
        *more,
    ]


def start(*args, most_bytes=None, variables=None):
    """Start a run; its `stdout` is what it prints.

    Args:
        args: The command line.
        most_bytes: Size limit of each of its files, to simulate a full disk.
        variables: Dict of further environment variables.
    """

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    return subprocess.Popen(
        [sys.executable, *args],
        env=environment(variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=limit if most_bytes else None,
    )


def finish(process, timeout=300):
    """Wait for a run; return its exit code and what it printed."""
    try:
        printed, _ = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return process.returncode, printed


def last_arrays(workdir):
    """Return the arrays of the last checkpoint: all variables of the run."""
    checkpoints = Checkpoints(workdir / "checkpoints")
    arrays, _ = checkpoints.load(checkpoints.good_steps()[-1])
    return arrays


def state(workdir):
    """Return everything that must have the same bits: variables and tables."""
    return {
        **{name: array.tobytes() for name, array in last_arrays(workdir).items()},
        **{name: (workdir / name).read_text() for name in TABLES},
    }


def run_with_interruptions(command, workdir, variables=None):
    """Stop a run by SIGTERM, kill it twice, and let it end.

    Args:
        command: The command line of the run.
        workdir: Its folder.
        variables: See `start`.
    """
    preempted = start(*command, variables=variables)
    while not list(workdir.glob("checkpoints/step-*")):
        assert preempted.poll() is None, preempted.stdout.read()
        time.sleep(0.01)
    preempted.send_signal(signal.SIGTERM)
    code, printed = finish(preempted)
    assert code == PREEMPTED, printed
    assert "SIGTERM: saved after step" in printed
    draw = random.Random(0)
    assert list(workdir.glob("checkpoints/*"))
    for _ in range(2):
        killed = start(*command, variables=variables)
        # Next it restores the checkpoint and trains.
        assert any("Data:" in line for line in iter(killed.stdout.readline, ""))
        time.sleep(draw.uniform(0, 4))
        killed.kill()
        killed.wait()
    code, printed = finish(start(*command, variables=variables))
    assert code == 0, printed
