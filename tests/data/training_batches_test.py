"""Batches for training: their order, their pixels, and bad images."""

import gc
import io
import pathlib
import resource

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_prelu import data
from tests.data.conftest import (
    SMALL,
    arrays,
    assert_equal_batches,
    broken_jpeg,
    encoded,
    wavy_image,
    with_bad_files,
    with_replacements,
)

pytestmark = pytest.mark.tensorflow_only


def test_host_and_device_give_the_same_pixels(folder):
    source = data.from_directory(folder)
    device = arrays(data.train_batches(source, 8, **SMALL), 6)
    host = arrays(data.train_batches(source, 8, augment_on="host", **SMALL), 6)
    for (drawn, labels), (x, y) in zip(device, host, strict=True):
        assert (labels == y).all() and x.dtype == np.float32
        # Pillow, on the host, rounds to whole levels in either direction.
        applied = keras.ops.convert_to_numpy(data.Augmentation(32)(drawn))
        np.testing.assert_allclose(applied, x, atol=1.01)
        assert np.abs(applied - x).mean() < 0.4


def test_equal_seeds_give_equal_batches_and_others_do_not(folder):
    source = data.from_directory(folder)
    runs = [
        arrays(data.train_batches(source, 8, seed=seed, **SMALL), 4)
        for seed in (1, 1, 2)
    ]
    assert_equal_batches(runs[0], runs[1])
    assert any((a[1] != b[1]).any() for a, b in zip(runs[0], runs[2], strict=True))


@pytest.mark.parametrize("augment_on", ["device", "host"])
def test_a_run_starts_at_any_step(folder, augment_on):
    source = data.from_directory(folder)
    options = {"augment_on": augment_on, "seed": 7, **SMALL}
    whole = arrays(data.train_batches(source, 5, **options), 12)  # 2.6 epochs
    for start in (1, 7, 11):
        resumed = data.train_batches(source, 5, start_step=start, **options)
        assert_equal_batches(whole[start:], arrays(resumed, 12 - start))


def test_workers_share_each_global_batch(folder, workers=3):
    source = data.from_directory(folder)
    whole = arrays(data.train_batches(source, 7, **SMALL), 5)
    parts = [
        arrays(data.train_batches(source, 7, shard=(w, workers), **SMALL), 5)
        for w in range(workers)
    ]
    joined = [
        tf.nest.map_structure(lambda *parts: np.concatenate(parts), *step)
        for step in zip(*parts, strict=True)
    ]
    assert_equal_batches(whole, joined)


def test_every_image_occurs_once_per_epoch(folder):
    """Labels are numbers of files here, and the epoch ends within a batch."""
    paths = sorted(folder.glob("*/*.jpg"))
    source = data.from_files(paths, range(len(paths)), [p.name for p in paths])
    labels = np.concatenate(
        [y for _, y in arrays(data.train_batches(source, 4, **SMALL), 23)]
    )
    assert data.steps_per_epoch(source, 4) == 6
    for epoch in range(4):
        assert sorted(labels[23 * epoch : 23 * (epoch + 1)]) == list(range(23))


def test_color_can_be_off_or_have_given_components(folder):
    source = data.from_directory(folder)

    def shifts(color):
        return arrays(data.train_batches(source, 8, color=color, **SMALL), 1)[0][0][
            "shift"
        ]

    assert (shifts(False) == 0).all() and (shifts(True) != 0).all()
    red = data.ColorComponents((0.2, 0.0, 0.0), ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    assert (shifts(red)[:, 0] != 0).all() and (shifts(red)[:, 1:] == 0).all()


def test_the_next_good_image_replaces_a_bad_one(folder):
    expected = arrays(data.train_batches(with_replacements(folder), 6, **SMALL), 8)

    source = with_bad_files(folder)
    assert_equal_batches(arrays(data.train_batches(source, 6, **SMALL), 8), expected)
    assert set(source.skipped) == {source.paths[i] for i in (3, 4, 10)}
    # The batches do not depend on bad images that were discovered earlier,
    fresh = data.from_directory(folder, max_bad=3)
    resumed = data.train_batches(fresh, 6, start_step=5, **SMALL)
    assert_equal_batches(arrays(resumed, 3), expected[5:])
    # nor on the worker that makes them.
    halves = [
        arrays(data.train_batches(fresh, 6, shard=(w, 2), **SMALL), 8) for w in range(2)
    ]
    labels = [np.concatenate([a[1], b[1]]) for a, b in zip(*halves, strict=True)]
    assert_equal_batches(labels, [y for _, y in expected])


def test_good_images_beside_a_bad_one_stay(folder):
    """Images that are not plain JPEGs stay too when the batch is made again."""
    source = data.from_directory(folder)
    path = pathlib.Path(source.paths[0])
    path.write_bytes(broken_jpeg(path.read_bytes()))
    png = pathlib.Path(source.paths[2])
    png.write_bytes(encoded(np.asarray(Image.open(png)), "PNG"))
    arrays(data.train_batches(source, 23, **SMALL), 1)
    assert list(source.skipped) == [str(path)]


@pytest.mark.parametrize("make", [data.train_batches, data.eval_batches])
def test_too_many_bad_images_stop_the_run_with_their_names(folder, make):
    source = with_bad_files(folder)
    source = data.from_directory(folder, max_bad=2)
    size = SMALL if make is data.train_batches else {"image_size": 32, "scale": 40}
    with pytest.raises(tf.errors.OpError, match="`max_bad` allows 2 of 23") as error:
        arrays(make(source, 6, **size), 8)
    for index in (3, 4, 10):
        assert source.paths[index] in str(error.value)


@pytest.mark.parametrize("make", [data.train_batches, data.eval_batches])
def test_a_missing_file_is_an_error_that_names_it(folder, make):
    source = data.from_directory(folder)
    (folder / "bee" / "04.jpg").unlink()
    size = SMALL if make is data.train_batches else {"image_size": 32, "scale": 40}
    with pytest.raises(tf.errors.OpError, match=r"bee/04\.jpg"):
        arrays(make(source, 8, **size), 4)


def test_a_source_without_a_good_image_is_an_error(tmp_path):
    (tmp_path / "ant").mkdir()
    for name in "12":
        (tmp_path / "ant" / name).write_bytes(b"torn")
    source = data.from_directory(tmp_path, max_bad=2)
    with pytest.raises(tf.errors.OpError, match="No image of the source"):
        arrays(data.train_batches(source, 2, **SMALL), 1)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"batch_size": 0}, "an integer of at least 1. Received: batch_size=0"),
        ({"batch_size": 2.5}, "an integer of at least 1. Received: batch_size=2.5"),
        ({"image_size": "x"}, "an integer of at least 1. Received: image_size='x'"),
        ({"image_size": None}, "an integer of at least 1. Received: image_size=None"),
        ({"scale": 48}, "pair of integers.* Received: scale=48"),
        ({"scale": (256, "512")}, r"Received: scale=\(256, '512'\)"),
        ({"scale": (256.5, 512)}, r"Received: scale=\(256.5, 512\)"),
        ({"image_size": 64, "scale": (32, 48)}, r"Received: scale=\(32, 48\)"),
        ({"scale": (32, 40, 48)}, r"Received: scale=\(32, 40, 48\)"),
        ({"scale": (500, 300)}, r"Received: scale=\(500, 300\)"),
        ({"seed": -1}, "Received: seed=-1"),
        ({"seed": 2**31}, "Received: seed=2147483648"),
        ({"seed": "1"}, "integer in 0 .* Received: seed='1'"),
        ({"start_step": -1}, "Received: start_step=-1"),
        ({"start_step": "1"}, "an integer of at least 0. Received: start_step='1'"),
        ({"augment_on": "gpu"}, "Received: augment_on=gpu"),
        ({"color": "blue"}, "Received: color='blue'"),
        ({"shard": (2, 2)}, r"Received: shard=\(2, 2\)"),
        ({"shard": 3}, "Received: shard=3"),
        ({"shard": (0.0, 1.0)}, r"Received: shard=\(0.0, 1.0\)"),
        ({"batch_size": 2, "shard": (0, 3)}, "at least the number of workers"),
    ],
)
def test_arguments_are_checked_at_once(folder, options, message):
    source = data.from_directory(folder)
    with pytest.raises(ValueError, match=message):
        data.train_batches(source, **{"batch_size": 8, **options})


@pytest.mark.parametrize("batches", [data.train_batches, data.eval_batches])
@pytest.mark.parametrize("source", [None, "photos", [b"image"]])
def test_what_is_not_a_source_is_named(source, batches):
    with pytest.raises(TypeError, match="Argument `source` must be .* Received: sourc"):
        batches(source, batch_size=1)


def test_arguments_can_be_integers_of_numpy(folder):
    source = data.from_directory(folder)
    two, side, low, high = np.array([2, 32, 32, 48])
    [(drawn, labels)] = arrays(
        data.train_batches(source, two, side, (low, high), seed=two, start_step=two), 1
    )
    expected = data.train_batches(source, 2, 32, (32, 48), seed=2, start_step=2)
    assert_equal_batches([(drawn, labels)], arrays(expected, 1))


def test_extreme_sizes_and_all_formats_in_one_batch(tmp_path):
    (tmp_path / "ant").mkdir()
    files = {
        "dot.png": encoded(wavy_image(1, 1), "PNG"),
        "band.jpg": encoded(wavy_image(20, 10_000)),
        "large.jpg": encoded(wavy_image(900, 1300)),
        "cmyk.jpg": encoded(Image.fromarray(wavy_image(50, 60)).convert("CMYK")),
        "really_png.jpg": encoded(wavy_image(50, 60), "PNG"),
        "alpha.webp": encoded(np.dstack([wavy_image(50, 60)] * 2)[..., :4], "WEBP"),
    }
    for name, content in files.items():
        (tmp_path / "ant" / name).write_bytes(content)
    source = data.from_directory(tmp_path)
    for augment_on in ("device", "host"):
        batches = data.train_batches(source, 6, augment_on=augment_on, **SMALL)
        assert len(arrays(batches, 3)) == 3
    x, _ = arrays(data.eval_batches(source, 6, image_size=32, scale=40), 1)[0]
    assert x.shape == (6, 32, 32, 3)
    assert not source.skipped


def _resident_mebibytes():
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def test_memory_is_flat_over_80_epochs(folder):
    source = data.from_directory(folder)
    model = keras.Sequential(
        [keras.Input((64, 64, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    training_model = data.augmented(model, 64)
    training_model.compile("sgd", "sparse_categorical_crossentropy")
    batches = iter(data.train_batches(source, 23, image_size=64, scale=(64, 96)))
    resident = []
    for epochs in (10, 80, 80):  # the first 10 are a warm-up
        for _ in range(epochs):
            training_model.train_on_batch(*next(batches))
        gc.collect()
        resident.append(_resident_mebibytes())
    # A batch is an epoch here. Keeping only its decoded windows, the smallest part,
    # takes 14 MiB in 80 epochs. The allocator may grow once; a leak grows both times.
    assert min(np.diff(resident)) < 10


def test_the_content_of_a_file_gives_its_format_not_the_name(folder):
    """PNG files with the extension .jpg are decoded."""
    source = data.from_directory(folder)
    for path in source.paths:
        pixels = np.asarray(Image.open(path))
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(stream.getvalue())
    batches = arrays(data.train_batches(source, 8, **SMALL), 3)
    assert not source.skipped and len(batches) == 3
