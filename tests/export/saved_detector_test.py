"""SavedModels of detectors: answers like those of `detection.detect`."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_prelu import applications, detection, export
from tests.data.conftest import encoded, wavy_image

pytestmark = pytest.mark.tensorflow_only

NAMES = ["cat", "dog", "cow"]
OPTIONS = {"score_threshold": 0.25, "max_detections": 12, "longest_side": 200}
SIZES = [(64, 90), (75, 64), (64, 64)]  # a shorter side of 64 is not resized

# Run in a new process, in which neither Keras nor this package can be imported.
USE = """
import pathlib
import sys

sys.modules.update({"keras": None, "keras_prelu": None})
import tensorflow as tf

image = tf.constant([pathlib.Path(sys.argv[2]).read_bytes()])
detect = tf.saved_model.load(sys.argv[1]).signatures["detect"]
found = detect(image_bytes=image, boxes=tf.constant([[[0.0, 0, 9, 9]]]))
sys.exit(int(found["valid"][0]) < 0)
"""


@pytest.fixture(scope="module")
def detector():
    keras.utils.set_random_seed(0)
    model = applications.ModelA(width=1 / 64, classes=5)
    detector = detection.fast_rcnn(model, classes=3)
    rng = np.random.default_rng(0)
    for name, spread in (("region_scores", 0.2), ("region_deltas", 1.0)):
        kernel, bias = detector.get_layer(name).get_weights()
        kernel = rng.normal(0, spread / np.sqrt(len(kernel)), kernel.shape)
        bias = rng.normal(0, spread, bias.shape)
        detector.get_layer(name).set_weights([kernel, bias])
    return detector


@pytest.fixture(scope="module")
def folder(detector, tmp_path_factory):
    path = tmp_path_factory.mktemp("served")
    options = {"class_names": NAMES, "shorter_side": 64, "on_error": "mark", **OPTIONS}
    return export.saved_detector(detector, path, card={"licence": "MIT"}, **options)


@pytest.fixture(scope="module")
def served(folder):
    return tf.saved_model.load(folder).signatures["detect"]


def regions(height, width, count=20):
    corners = np.random.default_rng(height).uniform(0, 1, (2, count, 2))
    low, high = corners.min(axis=0), corners.max(axis=0) + 0.1
    return np.float32(
        np.concatenate([low, high], axis=1) * [width, height, width, height]
    )


def regions_of(sizes):
    return np.stack([regions(*size) for size in sizes])


def assert_same(answer, expected, atol):
    for row, found in enumerate(expected):
        count = int(answer["valid"][row])
        assert count == len(found.scores) > 0
        np.testing.assert_array_equal(answer["classes"][row, :count], found.labels)
        for name in ("boxes", "scores"):
            actual, wanted = answer[name][row, :count], getattr(found, name)
            np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=atol)
        assert not np.any(answer["boxes"][row, count:])
        assert not np.any(answer["scores"][row, count:])
        assert (answer["classes"][row, count:].numpy() == -1).all()
        names = [NAMES[label].encode() for label in found.labels]
        padding = [b""] * (OPTIONS["max_detections"] - count)
        assert answer["labels"][row].numpy().tolist() == names + padding


def test_answers_equal_those_of_detect(detector, served):
    images = [wavy_image(*size) for size in SIZES]
    boxes = regions_of(SIZES)
    expected = detection.detect(detector, images, boxes, shorter_side=64, **OPTIONS)
    contents = [encoded(image, "PNG") for image in images]
    answer = served(image_bytes=tf.constant(contents), boxes=tf.constant(boxes))
    assert_same(answer, expected, 1e-3)


def test_resized_images_have_the_detections_of_detect(detector, served):
    # TensorFlow and Pillow round resized pixels differently, so detections of nearly
    # equal scores may change places, and the last ones may be others.
    sizes = [(91, 117), (50, 44), (256, 160)]
    rng = np.random.default_rng(0)
    # Without noise, an antialiasing filter makes no difference.
    images = [
        wavy_image(*size) // 4 * 3 + rng.integers(0, 64, (*size, 3), "uint8")
        for size in sizes
    ]
    boxes = regions_of(sizes)
    expected = detection.detect(detector, images, boxes, shorter_side=64, **OPTIONS)
    contents = [encoded(image, "PNG") for image in images]
    answer = served(image_bytes=tf.constant(contents), boxes=tf.constant(boxes))
    for row, found in enumerate(expected):
        count = len(found.scores) - 2
        assert count > 5
        for box, label, score in zip(
            *(values[:count] for values in found), strict=True
        ):
            distances = np.abs(answer["boxes"][row] - box).max(axis=1)
            nearest = distances.argmin()
            assert distances[nearest] < 0.05
            assert answer["classes"][row, nearest] == label
            np.testing.assert_allclose(answer["scores"][row, nearest], score, atol=1e-3)


def test_padding_and_images_without_regions_have_no_detections(served):
    content = encoded(wavy_image(64, 90), "PNG")
    boxes = regions(64, 90)[None]
    padded = np.concatenate([boxes, np.zeros((1, 5, 4), "float32")], axis=1)
    wanted, answer = (
        served(image_bytes=tf.constant([content]), boxes=tf.constant(given))
        for given in (boxes, padded)
    )
    np.testing.assert_allclose(answer["boxes"], wanted["boxes"], atol=1e-3)
    for none in (padded[:, -5:], boxes[:, :0]):
        answer = served(image_bytes=tf.constant([content]), boxes=tf.constant(none))
        assert answer["valid"].numpy().tolist() == [0]


def test_an_image_that_cannot_be_decoded_is_marked(served):
    contents = [b"no image", encoded(wavy_image(64, 90), "PNG")]
    boxes = np.stack([regions(64, 90)] * 2)
    answer = served(image_bytes=tf.constant(contents), boxes=tf.constant(boxes))
    assert answer["valid"][0] == -1 and answer["valid"][1] > 0
    assert not np.any(answer["scores"][0])


def test_an_image_that_cannot_be_decoded_is_refused_by_default(detector, tmp_path):
    folder = export.saved_detector(detector, tmp_path, shorter_side=64)
    strict = tf.saved_model.load(folder).signatures["detect"]
    contents = [encoded(wavy_image(64, 90), "PNG"), b"no image"]
    boxes = np.stack([regions(64, 90)] * 2)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[1\]"):
        strict(image_bytes=tf.constant(contents), boxes=tf.constant(boxes))


@pytest.mark.slow
def test_it_runs_without_keras_and_without_this_package(folder, tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(encoded(wavy_image(64, 64), "PNG"))
    subprocess.run([sys.executable, "-c", USE, folder, path], check=True)


def test_the_card_names_the_signature(folder):
    card = json.loads((folder / "assets.extra/model_card.json").read_text())
    assert card["export"]["signatures"] == ["detect"]
    assert (card["classes"], card["class_names"]) == (3, NAMES)
    assert card["export"]["max_detections"] == 12


@pytest.mark.parametrize(
    "wrong",
    [
        {"class_names": ["cat"]},
        {"score_threshold": 2},
        {"nms_threshold": -1},
        {"max_detections": 0},
        {"shorter_side": 0},
        {"on_error": "skip"},
        {"version": 0},
        {"card": {"author": "me"}},
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(
    detector, tmp_path, wrong
):
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}`"):
        export.saved_detector(detector, tmp_path / "served", **wrong)
    assert not list(tmp_path.iterdir())


def test_classifiers_are_refused(tmp_path):
    model = applications.ModelA(width=1 / 64, classes=5)
    with pytest.raises(ValueError, match="Argument `detector`"):
        export.saved_detector(model, tmp_path / "served")
    assert not list(tmp_path.iterdir())
