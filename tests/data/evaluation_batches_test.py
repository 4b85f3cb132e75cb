"""Batches for evaluation: every image once, cropped as Pillow would."""

import numpy as np
import pytest
from PIL import Image

from keras_prelu import data
from tests.data.conftest import arrays, encoded, wavy_image, with_bad_files

pytestmark = pytest.mark.tensorflow_only


def test_center_crops_equal_pillows(folder):
    source = data.from_directory(folder)
    (x, y), *_ = arrays(data.eval_batches(source, 23, image_size=32, scale=40), 1)
    assert x.dtype == np.uint8 and y.tolist() == source.labels.tolist()
    for path, crop in zip(source.paths, x, strict=True):
        image = Image.open(path)
        size = [int(side * 40 / min(image.size) + 0.5) for side in image.size]
        resized = np.asarray(image.resize(size, Image.Resampling.BILINEAR)).astype(int)
        top, left = (size[1] - 32) // 2, (size[0] - 32) // 2
        expected = resized[top : top + 32, left : left + 32]
        np.testing.assert_allclose(crop, expected, atol=1)


def test_whole_images_are_batched_by_size(folder):
    source = data.from_directory(folder)
    seen = []
    for x, y in data.eval_batches(source, 4, image_size=None, scale=40):
        assert min(x.shape[1:3]) == 40 and len(x) == len(y) <= 4
        seen += [(image.shape, image.tobytes()) for image in x.numpy()]
    expected = []
    for path in source.paths:
        image = Image.open(path)
        size = [int(side * 40 / min(image.size) + 0.5) for side in image.size]
        array = np.asarray(image.resize(size, Image.Resampling.BILINEAR))
        expected.append((array.shape, array.tobytes()))
    assert sorted(seen) == sorted(expected)  # each exactly once and not distorted


def test_whole_images_of_equal_size_fill_batches(tmp_path):
    (tmp_path / "ant").mkdir()
    for number in range(9):
        file = tmp_path / "ant" / f"{number}.png"
        file.write_bytes(encoded(wavy_image(40, 50 + number % 2, number), "PNG"))
    source = data.from_directory(tmp_path)
    batches = arrays(data.eval_batches(source, 2, image_size=None, scale=40), -1)
    assert sorted(len(y) for _, y in batches) == [1, 2, 2, 2, 2]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_workers_together_take_every_image_once(folder, workers):
    paths = sorted(folder.glob("*/*.jpg"))
    source = data.from_files(paths, range(len(paths)), [p.name for p in paths])
    labels = []
    for worker in range(workers):
        for _, y in data.eval_batches(
            source, 4, image_size=32, scale=40, shard=(worker, workers)
        ):
            labels += y.numpy().tolist()
    assert sorted(labels) == list(range(23))


def test_bad_images_are_left_out_and_counted(folder):
    source = with_bad_files(folder)
    batches = arrays(data.eval_batches(source, 6, image_size=32, scale=40), -1)
    assert [len(y) for _, y in batches] == [6, 6, 6, 2]
    labels = np.concatenate([y for _, y in batches])
    expected = [source.labels[i] for i in range(23) if i not in (3, 4, 10)]
    assert labels.tolist() == expected
    assert len(source.skipped) == 3


@pytest.mark.parametrize(
    "options, message",
    [
        ({"scale": (32, 48)}, r"an integer .* at least 32. Received: scale=\(32, 48\)"),
        ({"scale": "40"}, "Received: scale='40'"),
        ({"scale": 40.5}, "Received: scale=40.5"),
        ({"scale": 31}, "at least 32. Received: scale=31"),
        ({"image_size": None, "scale": 0}, "at least 1. Received: scale=0"),
        ({"image_size": "x"}, "an integer of at least 1. Received: image_size='x'"),
        ({"image_size": 31.5}, "Received: image_size=31.5"),
        ({"batch_size": 2.5}, "an integer of at least 1. Received: batch_size=2.5"),
        ({"shard": 3}, "Received: shard=3"),
    ],
)
def test_arguments_are_checked_at_once(folder, options, message):
    source = data.from_directory(folder)
    options = {"batch_size": 6, "image_size": 32, "scale": 40, **options}
    with pytest.raises(ValueError, match=message):
        data.eval_batches(source, **options)
