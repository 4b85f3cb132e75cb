"""A collection of images in all formats, some of them bad, and a net to score them."""

import os
import pathlib
import subprocess
import sys

import keras
import pytest

from keras_prelu import export
from tests.data.conftest import broken_jpeg, encoded, wavy_image
from tests.export.conftest import build

ROOT = pathlib.Path(__file__).parents[2]
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
CLASSES = ("ant", "bee", "cat")
BAD = 10  # one of them is a pipe

TWO_PROCESSES = ("--direct_num_workers=2", "--direct_running_mode=multi_processing")


@pytest.fixture(scope="session")
def collection(tmp_path_factory):
    """Return a folder of 500 images in three classes, and some other files."""
    return make_collection(tmp_path_factory.mktemp("collection"), 500)


def make_collection(root, count):
    for number in range(count - 1):
        inner = "deep" if number % 7 == 0 else "."
        fmt = FORMATS[number % len(FORMATS)]
        content = encoded(wavy_image(40 + number % 13, 44 + number % 11, number), fmt)
        path = root / CLASSES[number % 3] / inner / f"{number:03}.{fmt.lower()}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_damaged(content, number // 5) if number % 5 == 0 else content)
    os.mkfifo(root / "ant" / "pipe.jpg")
    (root / "ant" / "notes.txt").write_text("not an image")
    (root / ".hidden").mkdir()
    (root / ".hidden" / "thumbnail.jpg").write_bytes(b"not seen")
    return root


def _damaged(jpeg, number):
    """Damage every other of the first JPEGs, in three ways."""
    if number % 2 or number >= 2 * (BAD - 1):
        return jpeg
    return (b"", broken_jpeg(jpeg), jpeg[: len(jpeg) // 2])[number // 2 % 3]


@pytest.fixture(scope="session")
def net():
    keras.utils.set_random_seed(0)
    return build(32, 32, classes=len(CLASSES))


@pytest.fixture(scope="session")
def version(net, tmp_path_factory):
    """Return the folder of an exported version that refuses bad images."""
    folder = tmp_path_factory.mktemp("served") / "net"
    return export.saved_model(net, folder, class_names=CLASSES, scale=36)


def start(name, *arguments, path=()):
    """Start a program of applications/batch.

    Args:
        name: Name of the program.
        *arguments: Its arguments.
        path: Further folders for the Python path of the program and its workers.
    """
    return subprocess.Popen(
        [sys.executable, "-m", f"applications.batch.{name}", *arguments],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT))),
            "CUDA_VISIBLE_DEVICES": "-1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(name, *arguments, path=()):
    """Run a program; return its exit code, its output and its messages."""
    process = start(name, *arguments, path=path)
    out, err = process.communicate(timeout=500)
    return process.returncode, out, err
