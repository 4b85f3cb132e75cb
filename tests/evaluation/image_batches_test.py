"""Reading for an evaluation: each image once, and within the limits of memory."""

import concurrent.futures
import io
import os
import pathlib
import subprocess
import sys
import threading
import tracemalloc

import keras
import numpy as np
import pytest
from PIL import Image

from keras_prelu import data, evaluation
from keras_prelu.data.sources import TooManyBadImagesError
from keras_prelu.evaluation import image_batches
from keras_prelu.evaluation.image_batches import View
from tests.data.conftest import broken_jpeg, encoded, wavy_image
from tests.evaluation.evaluate_test import small_net


class Bytes(data.Source):
    """A source of encoded images, with three classes in turn."""

    def __init__(self, contents, **options):
        super().__init__(["ant", "bee", "cat"], **options)
        self.contents = contents
        self.reads = []

    def __len__(self):
        return len(self.contents)

    def __getitem__(self, index):
        self.reads.append(index)
        return self.contents[index], index % 3


def line(length):
    """Return an encoded image of one row: a few hundred bytes for any length."""
    stream = io.BytesIO()
    Image.new("1", (length, 1)).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("protocol", ["center", "ten_view"])
def test_images_are_read_once_for_all_models_and_scales(protocol):
    source = Bytes([encoded(wavy_image(50, 60 + i), "PNG") for i in range(7)])
    models = [small_net(0), small_net(1, side=40)]
    evaluation.evaluate(models, source, protocol, (48, 60), verbose=0)
    assert sorted(source.reads) == list(range(7))


def test_models_of_different_sizes_get_their_own_crops():
    source = Bytes([encoded(wavy_image(50, 60 + i), "PNG") for i in range(7)])
    models = [small_net(0), small_net(1, side=40)]

    def scores(models):
        result = evaluation.evaluate(models, source, "center", (60,), verbose=0)
        return np.take_along_axis(result.best_scores, result.best.argsort(axis=1), 1)

    alone = [scores(model) for model in models]
    assert np.abs(alone[0] - alone[1]).max() > 0.01
    np.testing.assert_allclose(scores(models), np.mean(alone, axis=0), atol=1e-6)


def test_no_matrix_of_scores_is_kept():
    """For 500 images with 20,000 classes, it would take 40 MB."""
    images = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(images)
    model = keras.Model(images, keras.layers.Dense(20000, "softmax")(x))
    source = Bytes([encoded(wavy_image(8, 8), "PNG")] * 500)
    evaluation.evaluate(model, Bytes(source.contents[:16]), scales=(8,), verbose=0)
    tracemalloc.start()
    evaluation.evaluate(model, source, scales=(8, 9), verbose=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6


def test_images_of_equal_sizes_are_batched_once_each():
    sizes = [(20, 30), (30, 20), (20, 30), (25, 25), (20, 30), (30, 20), (20, 30)]
    contents = [
        encoded(wavy_image(*size, number), "PNG") for number, size in enumerate(sizes)
    ]
    source = Bytes(contents)
    wanted = [View(20), View(24, 16)]
    batches = list(image_batches.batches(source, range(7), wanted, 3, 10**6))
    indices = [batch.indices.tolist() for batch in batches]
    assert indices == [[0, 2, 4], [1, 5], [3], [6]]
    for batch in batches:
        assert batch.labels.tolist() == [index % 3 for index in batch.indices]
        for row, index in enumerate(batch.indices):
            image = Image.open(io.BytesIO(contents[index]))
            whole = image.resize(
                [round(side * 20 / min(image.size)) for side in image.size],
                Image.Resampling.BILINEAR,
            )
            np.testing.assert_array_equal(batch.views[View(20)][row], whole)
            assert batch.views[View(24, 16)][row].shape == (16, 16, 3)


def test_crops_of_images_of_all_sizes_are_batched():
    images = [wavy_image(20, 30, 0), wavy_image(27, 21, 1), wavy_image(25, 25, 2)]
    source = Bytes([encoded(image, "PNG") for image in images])
    view = View(24, 16, corners=True)
    (batch,) = image_batches.batches(source, range(3), [view], 3, 10**6)
    for image, crops in zip(images, batch.views[view], strict=True):
        height, width = (
            round(side * 24 / min(image.shape[:2])) for side in image.shape[:2]
        )
        whole = np.asarray(
            Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        )
        expected = [
            whole[:16, :16],
            whole[:16, -16:],
            whole[-16:, :16],
            whole[-16:, -16:],
            whole[(height - 16) // 2 :, (width - 16) // 2 :][:16, :16],
        ]
        np.testing.assert_array_equal(crops, expected)


def test_waiting_images_are_batched_when_they_have_too_many_pixels(monkeypatch):
    waiting = []
    decoded = image_batches._decoded

    def noted(*arguments):
        for image in decoded(*arguments):
            waiting.append(image.position)
            yield image

    monkeypatch.setattr(image_batches, "_decoded", noted)
    # A batch of 8 has at least 3200 pixels. All sizes differ, so no batch becomes full.
    source = Bytes([encoded(wavy_image(20, 20 + i), "PNG") for i in range(12)])
    most, longest, seen = 1200, 0, []
    for batch in image_batches.batches(source, range(12), [View(20)], 8, most):
        pixels = sum(20 * (20 + index) for index in waiting)
        assert pixels <= most + 20 * 32  # with the last image
        longest = max(longest, len(waiting))
        for index in batch.indices:
            waiting.remove(index)
            seen.append(index)
    assert longest == 3
    assert sorted(seen) == list(range(12))


class Counting(concurrent.futures.Executor):
    """Works at once, and records the items that were submitted."""

    def __init__(self):
        self.submitted = []

    def submit(self, function, item):
        self.submitted.append(item)
        future = concurrent.futures.Future()
        future.set_result(function(item))
        return future


def test_items_computed_ahead_are_limited_by_their_cost():
    items = [3, 1, 4, 1, 5, 30, 2, 6, 5]
    pool, taken = Counting(), []
    results = image_batches.ahead(pool, lambda x: 10 * x, iter(items), 8, int)
    for result in results:
        taken.append(result)
        ahead = pool.submitted[len(taken) - 1 :]
        assert sum(ahead) <= 8 or len(ahead) == 1
    assert taken == [10 * item for item in items]
    assert pool.submitted == items


@pytest.mark.parametrize("side, expected", [(20, 5), (4, 8)])
def test_many_small_or_a_few_large_images_are_decoded_ahead(
    side, expected, monkeypatch
):
    ahead, decoding = image_batches.ahead, []

    def counting(pool, function, items, most, cost=lambda item: 1):
        pool = Counting()
        results = ahead(pool, function, items, most, cost)
        for taken, result in enumerate(results):
            if most == 1:
                decoding.append(len(pool.submitted) - taken)
            yield result

    monkeypatch.setattr(image_batches, "ahead", counting)
    monkeypatch.setattr(image_batches, "CORES", 4)
    # The larger images have 800 pixels, with their views of 20 x 20.
    monkeypatch.setattr(image_batches, "MAX_PIXELS", 4000)
    source = Bytes([encoded(wavy_image(side, side), "PNG")] * 20)
    images = list(image_batches._decoded(source, range(20), [View(20)], 2))
    assert [image.position for image in images] == list(range(20))
    assert max(decoding) == expected


@pytest.mark.parametrize("bad", [b"torn", b"", line(2**27)])
def test_bad_images_are_skipped_with_the_reason(bad):
    good = encoded(wavy_image(50, 60), "JPEG")
    source = Bytes([good, bad, broken_jpeg(good), good], max_bad=2)
    batches = list(image_batches.batches(source, range(4), [View(20, 16)], 4, 10**6))
    assert [batch.indices.tolist() for batch in batches] == [[0, 3]]
    assert list(source.skipped) == ["image 1", "image 2"]


def test_too_many_bad_images_are_an_error_with_their_names():
    source = Bytes([b"torn", encoded(wavy_image(50, 60), "PNG"), b""], max_bad=1)
    with pytest.raises(TooManyBadImagesError, match="image 0: .*\n  image 2: "):
        evaluation.evaluate(small_net(), source, scales=(48,), verbose=0)


def test_an_image_that_would_become_too_large_is_skipped():
    """60000 x 1 pixels become 138 million at the scale 48, or 415 MB."""
    source = Bytes([line(60000), encoded(wavy_image(50, 60), "PNG")])
    result = evaluation.evaluate(small_net(), source, "ten_view", (48,), verbose=0)
    assert (result.examples, result.skipped) == (1, 1)
    reason = "2880000 x 48 pixels at the scale 48: more than the 67108864"
    assert reason in source.skipped["image 0"]
    # For the center crop, only the pixels of the crop are computed.
    result = evaluation.evaluate(small_net(), source, "center", (48,), verbose=0)
    assert (result.examples, result.skipped) == (2, 0)


@pytest.mark.tensorflow_only
def test_whole_images_of_eval_batches_have_the_same_limit():
    source = Bytes([line(60000), encoded(wavy_image(50, 60), "PNG")])
    ((x, y),) = data.eval_batches(source, 2, image_size=None, scale=48)
    assert x.shape == (1, 48, 58, 3) and y.numpy().tolist() == [1]
    assert "at the scale 48" in source.skipped["image 0"]


def readers():
    return [t for t in threading.enumerate() if "ThreadPoolExecutor" in t.name]


def test_a_missing_image_is_named_and_leaves_no_thread():
    class Vanishing(Bytes):
        def __getitem__(self, index):
            if index == 5:
                raise FileNotFoundError("photos/5.jpg")
            return super().__getitem__(index)

    before = len(readers())
    source = Vanishing([encoded(wavy_image(50, 60), "PNG")] * 9)
    with pytest.raises(data.UnreadableImageError, match="5 cannot .* photos/5.jpg"):
        evaluation.evaluate(small_net(), source, scales=(48,), verbose=0)
    assert len(readers()) == before


PEAK = """
import pathlib, sys
import keras
from keras_prelu import evaluation
from tests.evaluation.image_batches_test import Bytes

def peak():
    with open("/proc/self/status") as file:
        fields = dict(line.split(":") for line in file)
    return int(fields["VmHWM"].split()[0]) / 2**10

small, large = (pathlib.Path(path).read_bytes() for path in sys.argv[1:])
images = keras.Input((224, 224, 3))
x = keras.layers.GlobalAveragePooling2D()(images)
model = keras.Model(images, keras.layers.Dense(3, "softmax")(x))
evaluation.evaluate(model, Bytes([small] * 4), "ten_view", (224,), verbose=0)
before = peak()
evaluation.evaluate(model, Bytes([large] * 4), "ten_view", (224,), verbose=0)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.tensorflow_only
@pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="Linux")
def test_large_images_are_decoded_one_after_another(tmp_path):
    """The pixels of four images at once would take 1024 MiB in Pillow."""
    for name, side in (("small", 300), ("large", 8192)):
        (tmp_path / name).write_bytes(encoded(Image.new("RGB", (side, side)), "JPEG"))
    done = subprocess.run(
        [sys.executable, "-c", PEAK, tmp_path / "small", tmp_path / "large"],
        env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
        check=True,
        capture_output=True,
        text=True,
    )
    assert 192 < float(done.stdout) < 1430  # MiB: 1.5 GB
