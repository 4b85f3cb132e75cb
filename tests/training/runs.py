"""Runs of training.train on a few small images, as a user would start them."""

import os
import pathlib
import resource
import subprocess
import sys

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = ("-m", "training.train")
RECIPE = ROOT / "training" / "recipes" / "quickstart.py"
FINE_TUNING = RECIPE.with_name("finetune_directory.py")


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


def environment():
    """Return the environment for a process without accelerators."""
    return {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "-1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
    }


def start(*args, most_bytes=None):
    """Start a run; its `stdout` is what it prints.

    Args:
        args: The command line.
        most_bytes: Size limit of each of its files, to simulate a full disk.
    """

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    return subprocess.Popen(
        [sys.executable, *args],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=limit if most_bytes else None,
    )


def finish(process, timeout=120):
    """Wait for a run; return its exit code and what it printed."""
    try:
        printed, _ = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return process.returncode, printed
