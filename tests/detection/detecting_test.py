"""Detections made from a detector's outputs, by hand."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_prelu.applications import ModelA
from keras_prelu.detection import detect, fast_rcnn
from keras_prelu.detection.boxes import decode_deltas
from keras_prelu.detection.detecting import detections_of

SIZE = 100, 200  # height and width of the image


def outputs(*regions):
    """Return scores and deltas of regions: each a dict from class to score."""
    scores = np.zeros((len(regions), 4), "float32")
    for row, of_region in zip(scores, regions, strict=True):
        for label, score in of_region.items():
            row[1 + label] = score
        row[0] = 1 - row.sum()
    return scores, np.zeros((len(regions), 3, 4), "float32")


REGIONS = np.float32([[10, 10, 30, 30], [12, 10, 32, 30], [100, 50, 150, 90]])


def test_detections_are_sorted_and_suppressed_by_class():
    found = detections_of(outputs({0: 0.6, 2: 0.3}, {0: 0.8}, {1: 0.5}), REGIONS, SIZE)
    assert found.labels.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.scores, [0.8, 0.5, 0.3])
    np.testing.assert_array_equal(found.boxes, REGIONS[[1, 2, 0]])
    assert [x.dtype for x in found] == [np.float32, np.int32, np.float32]


def test_low_scores_and_the_background_are_no_detections():
    found = detections_of(
        outputs({0: 0.04}, {1: 0.05}, {}), REGIONS, SIZE, score_threshold=0.05
    )
    assert found.labels.tolist() == [1]


def test_at_most_the_best_are_kept():
    found = detections_of(
        outputs({0: 0.2}, {1: 0.3}, {2: 0.4}), REGIONS, SIZE, max_detections=2
    )
    assert found.labels.tolist() == [2, 1]


def test_each_class_moves_the_box_by_its_own_deltas_and_stays_in_the_image():
    scores, deltas = outputs({0: 0.5, 1: 0.4}, {}, {2: 0.3})
    deltas[0, 0] = [0.5, 0, np.log(2), 0]  # twice as wide, half a width to the right
    deltas[0, 1] = [-1, 0, 0, 0]  # out of the image by half its width
    deltas[2, 2] = [2, 0, 0, 0]  # outside
    found = detections_of((scores, deltas), REGIONS, SIZE)
    np.testing.assert_allclose(found.boxes, [[10, 10, 50, 30], [0, 10, 10, 30]], 1e-5)
    assert found.labels.tolist() == [0, 1]


@pytest.fixture(scope="module")
def detector():
    detector = fast_rcnn(ModelA(width=1 / 32, classes=4), classes=3)
    kernel = detector.get_layer("region_scores").kernel  # scores that differ
    kernel.assign(kernel * 30)
    return detector


def image_of(height, width):
    rng = np.random.default_rng(height)
    return rng.integers(0, 256, (height, width, 3)).astype("uint8")


def test_an_image_of_the_right_size_is_not_resized(detector):
    image = image_of(96, 128)
    regions = np.float32([[0, 0, 128, 96], [20, 20, 90, 70]])
    [found] = detect(detector, [image], [regions], 0.0, 1.0, shorter_side=96)
    raw = detector({"images": image[None], "boxes": regions[None]})
    scores = ops.convert_to_numpy(raw["scores"])[0, :, 1:]
    deltas = ops.convert_to_numpy(raw["deltas"])[0]
    order = np.argsort(-scores, axis=None, kind="stable")
    np.testing.assert_allclose(found.scores, scores.ravel()[order], rtol=1e-5)
    expected = decode_deltas(regions[order // 3], deltas[order // 3, order % 3])
    expected = np.clip(expected, 0, [128, 96, 128, 96])
    np.testing.assert_allclose(found.boxes, expected, atol=1e-3)
    assert found.labels.tolist() == (order % 3).tolist()


def test_boxes_are_in_pixels_of_the_given_image(detector):
    small = np.full((96, 128, 3), 200, "uint8")  # the same pixels at every size
    large = np.full((192, 256, 3), 200, "uint8")
    regions = np.float32([[0, 0, 128, 96], [20, 20, 90, 70]])
    [of_small] = detect(detector, [small], [regions], 0.0, shorter_side=96)
    [of_large] = detect(detector, [large], [2 * regions], 0.0, shorter_side=96)
    np.testing.assert_allclose(of_large.boxes, 2 * of_small.boxes, atol=1e-3)
    np.testing.assert_array_equal(of_large.scores, of_small.scores)


def test_images_and_their_regions_do_not_depend_on_each_other(detector):
    images = [image_of(50, 70), image_of(90, 40), image_of(64, 64)]
    regions = [np.zeros((n, 4), "float32") + [0, 0, 30, 40 - n / 9] for n in (3, 0, 70)]
    together = detect(detector, images, regions, 0.0, shorter_side=64)
    assert [len(x.labels) > 0 for x in together] == [True, False, True]
    for image, boxes, expected in zip(images, regions, together, strict=True):
        [alone] = detect(detector, [image], [boxes], 0.0, shorter_side=64)
        np.testing.assert_array_equal(alone.boxes, expected.boxes)


@pytest.mark.parametrize(
    ("images", "regions", "name"),
    [
        ([image_of(8, 8)], [], "proposals"),
        ([image_of(8, 8) / 255], [[[0, 0, 4, 4]]], "images"),
        ([image_of(8, 8)[..., 0]], [[[0, 0, 4, 4]]], "images"),
        ([image_of(8, 8)], [[0, 0, 4, 4]], "proposals"),
        ([image_of(8, 8)], [[[0, 0, 4, 4], [2, 2, 2, 5]]], "proposals"),
    ],
)
def test_wrong_input_is_refused(detector, images, regions, name):
    with pytest.raises(ValueError, match=f"`{name}` must.*Received"):
        detect(detector, images, regions)


def test_other_models_are_refused():
    with pytest.raises(ValueError, match="`detector` must be"):
        detect(keras.Sequential(), [image_of(8, 8)], [np.float32([[0, 0, 4, 4]])])
