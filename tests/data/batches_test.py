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
from tests.data.conftest import broken_jpeg, encoded, wavy_image

pytestmark = pytest.mark.tensorflow_only

SMALL = {"image_size": 32, "scale": (32, 48)}


def _arrays(batches, count):
    """The first batches, as (dict or array, labels) of NumPy."""
    return list(batches.take(count).as_numpy_iterator())


def _assert_equal(first, second):
    assert len(first) == len(second) > 0
    for a, b in zip(first, second, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, a, b)


def test_host_and_device_give_the_same_pixels(folder):
    source = data.from_directory(folder)
    device = _arrays(data.train_batches(source, 8, **SMALL), 6)
    host = _arrays(data.train_batches(source, 8, augment_on="host", **SMALL), 6)
    for (drawn, labels), (x, y) in zip(device, host, strict=True):
        assert (labels == y).all() and x.dtype == np.float32
        # Pillow, on the host, rounds to whole levels in either direction.
        applied = keras.ops.convert_to_numpy(data.Augmentation(32)(drawn))
        np.testing.assert_allclose(applied, x, atol=1.01)
        assert np.abs(applied - x).mean() < 0.4


def test_same_seed_same_bits_other_seed_others(folder):
    source = data.from_directory(folder)
    runs = [
        _arrays(data.train_batches(source, 8, seed=seed, **SMALL), 4)
        for seed in (1, 1, 2)
    ]
    _assert_equal(runs[0], runs[1])
    assert any((a[1] != b[1]).any() for a, b in zip(runs[0], runs[2], strict=True))


@pytest.mark.parametrize("augment_on", ["device", "host"])
def test_a_run_starts_at_any_step(folder, augment_on):
    source = data.from_directory(folder)
    options = {"augment_on": augment_on, "seed": 7, **SMALL}
    whole = _arrays(data.train_batches(source, 5, **options), 12)  # 2.6 epochs
    for start in (1, 7, 11):
        resumed = data.train_batches(source, 5, start_step=start, **options)
        _assert_equal(whole[start:], _arrays(resumed, 12 - start))


def test_workers_share_each_global_batch(folder, workers=3):
    source = data.from_directory(folder)
    whole = _arrays(data.train_batches(source, 7, **SMALL), 5)
    parts = [
        _arrays(data.train_batches(source, 7, shard=(w, workers), **SMALL), 5)
        for w in range(workers)
    ]
    joined = [
        tf.nest.map_structure(lambda *shares: np.concatenate(shares), *step)
        for step in zip(*parts, strict=True)
    ]
    _assert_equal(whole, joined)


def test_every_picture_once_an_epoch(folder):
    """Labels are file numbers here; the epoch ends within a batch."""
    paths = sorted(folder.glob("*/*.jpg"))
    source = data.from_files(paths, range(len(paths)), [p.name for p in paths])
    labels = np.concatenate(
        [y for _, y in _arrays(data.train_batches(source, 4, **SMALL), 23)]
    )
    assert data.steps_per_epoch(source, 4) == 6
    for epoch in range(4):
        assert sorted(labels[23 * epoch : 23 * (epoch + 1)]) == list(range(23))


def test_colors_can_be_off_or_ones_own(folder):
    source = data.from_directory(folder)

    def shifts(color):
        return _arrays(data.train_batches(source, 8, color=color, **SMALL), 1)[0][0][
            "shift"
        ]

    assert (shifts(False) == 0).all() and (shifts(True) != 0).all()
    red = data.ColorComponents((0.2, 0.0, 0.0), ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    assert (shifts(red)[:, 0] != 0).all() and (shifts(red)[:, 1:] == 0).all()


def test_color_components_are_those_of_all_pixels(folder):
    (folder / "ant" / "torn.jpg").write_bytes(b"torn")
    source = data.from_directory(folder)
    pixels = np.concatenate(
        [
            np.asarray(Image.open(path)).reshape(-1, 3) / 255
            for path in source.paths
            if "torn" not in path
        ]
    )
    values, vectors = np.linalg.eigh(np.cov(pixels.T, bias=True))
    color = data.color_components(source)
    np.testing.assert_allclose(color.eigenvalues, values[::-1], rtol=1e-9)
    overlap = np.abs(np.array(color.eigenvectors) @ vectors[:, ::-1])
    np.testing.assert_allclose(overlap, np.eye(3), atol=1e-6)  # up to sign
    assert list(source.skipped) == [str(folder / "ant" / "torn.jpg")]


def _with_bad_files(folder):
    """Numbers 3, 4 and 10 of the source cannot be decoded; 4 shows it only late."""
    source = data.from_directory(folder, max_bad=3)
    for index, damage in (
        (3, lambda content: b"torn"),
        (4, broken_jpeg),
        (10, lambda content: content[:700]),
    ):
        with open(source.paths[index], "rb") as file:  # noqa: PTH123
            content = file.read()
        with open(source.paths[index], "wb") as file:  # noqa: PTH123
            file.write(damage(content))
    return source


def test_the_next_good_picture_stands_in_for_a_bad_one(folder):
    good = data.from_directory(folder)
    replaced = list(range(len(good)))
    replaced[3] = replaced[4] = 5
    replaced[10] = 11
    expected = data.from_files(
        [good.paths[i] for i in replaced],
        [good.labels[i] for i in replaced],
        good.class_names,
    )
    expected = _arrays(data.train_batches(expected, 6, **SMALL), 8)

    source = _with_bad_files(folder)
    _assert_equal(_arrays(data.train_batches(source, 6, **SMALL), 8), expected)
    assert set(source.skipped) == {source.paths[i] for i in (3, 4, 10)}
    # Nothing that was learned on the way matters to a run that starts later,
    fresh = data.from_directory(folder, max_bad=3)
    resumed = data.train_batches(fresh, 6, start_step=5, **SMALL)
    _assert_equal(_arrays(resumed, 3), expected[5:])
    # nor does who makes the batch.
    halves = [
        _arrays(data.train_batches(fresh, 6, shard=(w, 2), **SMALL), 8)
        for w in range(2)
    ]
    labels = [np.concatenate([a[1], b[1]]) for a, b in zip(*halves, strict=True)]
    _assert_equal(labels, [y for _, y in expected])


def test_good_pictures_beside_a_bad_one_stay(folder):
    """Also those that are not plain JPEGs, when the batch is made a second time."""
    source = data.from_directory(folder)
    path = pathlib.Path(source.paths[0])
    path.write_bytes(broken_jpeg(path.read_bytes()))
    png = pathlib.Path(source.paths[2])
    png.write_bytes(encoded(np.asarray(Image.open(png)), "PNG"))
    _arrays(data.train_batches(source, 23, **SMALL), 1)
    assert list(source.skipped) == [str(path)]


def test_evaluation_leaves_bad_pictures_out_and_counts_them(folder):
    source = _with_bad_files(folder)
    batches = _arrays(data.eval_batches(source, 6, image_size=32, scale=40), -1)
    assert [len(y) for _, y in batches] == [6, 6, 6, 2]
    labels = np.concatenate([y for _, y in batches])
    expected = [source.labels[i] for i in range(23) if i not in (3, 4, 10)]
    assert labels.tolist() == expected
    assert len(source.skipped) == 3


@pytest.mark.parametrize("make", [data.train_batches, data.eval_batches])
def test_the_quota_stops_the_run_with_the_names(folder, make):
    source = _with_bad_files(folder)
    source = data.from_directory(folder, max_bad=2)
    size = SMALL if make is data.train_batches else {"image_size": 32, "scale": 40}
    with pytest.raises(tf.errors.OpError, match="`max_bad` allows 2 of 23") as error:
        _arrays(make(source, 6, **size), 8)
    for index in (3, 4, 10):
        assert source.paths[index] in str(error.value)


@pytest.mark.parametrize("make", [data.train_batches, data.eval_batches])
def test_a_missing_file_is_an_error_that_names_it(folder, make):
    source = data.from_directory(folder)
    (folder / "bee" / "04.jpg").unlink()
    size = SMALL if make is data.train_batches else {"image_size": 32, "scale": 40}
    with pytest.raises(tf.errors.OpError, match=r"bee/04\.jpg"):
        _arrays(make(source, 8, **size), 4)


def test_a_source_without_a_good_picture_ends(tmp_path):
    (tmp_path / "ant").mkdir()
    for name in "12":
        (tmp_path / "ant" / name).write_bytes(b"torn")
    source = data.from_directory(tmp_path, max_bad=2)
    with pytest.raises(tf.errors.OpError, match="No picture of the source"):
        _arrays(data.train_batches(source, 2, **SMALL), 1)


def test_center_crops_equal_pillows(folder):
    source = data.from_directory(folder)
    (x, y), *_ = _arrays(data.eval_batches(source, 23, image_size=32, scale=40), 1)
    assert x.dtype == np.uint8 and y.tolist() == source.labels.tolist()
    for path, crop in zip(source.paths, x, strict=True):
        image = Image.open(path)
        size = [int(side * 40 / min(image.size) + 0.5) for side in image.size]
        resized = np.asarray(image.resize(size, Image.Resampling.BILINEAR)).astype(int)
        top, left = (size[1] - 32) // 2, (size[0] - 32) // 2
        expected = resized[top : top + 32, left : left + 32]
        np.testing.assert_allclose(crop, expected, atol=1)


def test_whole_pictures_come_in_batches_of_one_size(folder):
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
    assert sorted(seen) == sorted(expected)  # each exactly once, not distorted


def test_whole_pictures_of_equal_size_fill_batches(tmp_path):
    (tmp_path / "ant").mkdir()
    for number in range(9):
        file = tmp_path / "ant" / f"{number}.png"
        file.write_bytes(encoded(wavy_image(40, 50 + number % 2, number), "PNG"))
    source = data.from_directory(tmp_path)
    batches = _arrays(data.eval_batches(source, 2, image_size=None, scale=40), -1)
    assert sorted(len(y) for _, y in batches) == [1, 2, 2, 2, 2]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_evaluation_takes_every_picture_once_over_all_workers(folder, workers):
    paths = sorted(folder.glob("*/*.jpg"))
    source = data.from_files(paths, range(len(paths)), [p.name for p in paths])
    labels = []
    for worker in range(workers):
        for _, y in data.eval_batches(
            source, 4, image_size=32, scale=40, shard=(worker, workers)
        ):
            labels += y.numpy().tolist()
    assert sorted(labels) == list(range(23))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"batch_size": 0}, "`batch_size` must be at least 1. Received: batch_size=0"),
        ({"image_size": 64, "scale": (32, 48)}, r"Received: scale=\(32, 48\)"),
        ({"scale": (500, 300)}, r"Received: scale=\(500, 300\)"),
        ({"seed": -1}, "Received: seed=-1"),
        ({"seed": 2**31}, "Received: seed=2147483648"),
        ({"start_step": -1}, "Received: start_step=-1"),
        ({"augment_on": "gpu"}, "Received: augment_on=gpu"),
        ({"color": "blue"}, "Received: color='blue'"),
        ({"shard": (2, 2)}, r"Received: shard=\(2, 2\)"),
        ({"batch_size": 2, "shard": (0, 3)}, "at least the number of workers"),
    ],
)
def test_arguments_are_checked_at_once(folder, options, message):
    source = data.from_directory(folder)
    with pytest.raises(ValueError, match=message):
        data.train_batches(source, **{"batch_size": 8, **options})


def test_extreme_and_foreign_pictures_in_one_batch(tmp_path):
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
        assert len(_arrays(batches, 3)) == 3
    x, _ = _arrays(data.eval_batches(source, 6, image_size=32, scale=40), 1)[0]
    assert x.shape == (6, 32, 32, 3)
    assert not source.skipped


def _resident_mebibytes():
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def test_memory_is_flat_over_20_epochs(folder):
    source = data.from_directory(folder)
    model = keras.Sequential(
        [keras.Input((64, 64, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    training_model = data.augmented(model, 64)
    training_model.compile("sgd", "sparse_categorical_crossentropy")
    batches = iter(data.train_batches(source, 23, image_size=64, scale=(64, 96)))
    resident = []
    for epochs in (10, 20):  # the first to warm up
        for _ in range(epochs):
            training_model.train_on_batch(*next(batches))
        gc.collect()
        resident.append(_resident_mebibytes())
    # A batch, which is an epoch here, is 1.3 MiB: keeping them would take 25.
    assert resident[1] - resident[0] < 10


def test_image_bytes_are_told_apart_by_content_not_name(folder):
    """A stream of PNGs called .jpg equals the same pixels called .png."""
    source = data.from_directory(folder)
    for path in source.paths:
        pixels = np.asarray(Image.open(path))
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(stream.getvalue())
    batches = _arrays(data.train_batches(source, 8, **SMALL), 3)
    assert not source.skipped and len(batches) == 3
