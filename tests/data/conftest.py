"""Test images: smooth enough for JPEG, and different everywhere."""

import io
import itertools
import pathlib
import tarfile

import keras
import numpy as np
import pytest
from PIL import Image

from keras_prelu import data

SMALL = {"image_size": 32, "scale": (32, 48)}


def wavy_image(height, width, seed=0):
    """Return a uint8 RGB array: smooth waves, no symmetry, all levels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(float)
    waves = [
        128
        + 90 * np.sin(x * fx / 40 + phase) * np.cos(y * fy / 40)
        + 30 * (x / width - y / height)
        for fx, fy, phase in rng.uniform(0.4, 3, (3, 3))
    ]
    return np.clip(np.stack(waves, -1), 0, 255).astype(np.uint8)


def encoded(array, fmt="JPEG", **options):
    """Return the bytes of an image file."""
    stream = io.BytesIO()
    if fmt == "JPEG":
        options = {"quality": 95, **options}
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(stream, fmt, **options)
    return stream.getvalue()


def broken_jpeg(content):
    """Return a JPEG with a valid header and pixels that cannot be decoded."""
    tables = content.index(b"\xff\xc4")  # Huffman tables: claim 255 codes of one bit
    return content[: tables + 5] + b"\xff" + content[tables + 6 :]


def tar(files):
    """Return the bytes of a tar file.

    Args:
        files: Dict from names to contents.
    """
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Return a folder of 23 JPEGs in three classes, with sides of 60 to 110 pixels."""
    rng = np.random.default_rng(1)
    for number in range(23):
        name = ("ant", "bee", "cat")[number % 3]
        (tmp_path / name).mkdir(exist_ok=True)
        height, width = rng.integers(60, 111, 2)
        content = encoded(wavy_image(height, width, number))
        (tmp_path / name / f"{number:02}.jpg").write_bytes(content)
    return tmp_path


def arrays(batches, count):
    """Return the first batches, or all for -1, as (dict or array, labels) of NumPy."""
    if not isinstance(batches, data.NumpyBatches):
        batches = batches.as_numpy_iterator()
    return list(itertools.islice(batches, None if count == -1 else count))


def assert_equal_batches(first, second):
    assert len(first) == len(second) > 0
    for a, b in zip(first, second, strict=True):
        keras.tree.map_structure(np.testing.assert_array_equal, a, b)


def with_bad_files(folder):
    """Damage images 3, 4 and 10; the header of image 4 stays valid."""
    source = data.from_directory(folder, max_bad=3)
    for index, damage in (
        (3, lambda content: b"torn"),
        (4, broken_jpeg),
        (10, lambda content: content[:700]),
    ):
        path = pathlib.Path(source.paths[index])
        path.write_bytes(damage(path.read_bytes()))
    return source


def with_replacements(folder):
    """Return the source of the images that replace those of `with_bad_files`."""
    good = data.from_directory(folder)
    replaced = list(range(len(good)))
    replaced[3] = replaced[4] = 5
    replaced[10] = 11
    return data.from_files(
        [good.paths[i] for i in replaced],
        [good.labels[i] for i in replaced],
        good.class_names,
    )
