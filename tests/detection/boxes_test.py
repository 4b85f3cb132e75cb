"""Tests of the arithmetic of boxes, against Keras's and by hand."""

import keras
import numpy as np

from keras_prelu.detection import boxes


def _random_boxes(count, seed):
    rng = np.random.default_rng(seed)
    starts = rng.uniform(0, 50, (count, 2))
    return np.concatenate([starts, starts + rng.uniform(1, 40, (count, 2))], axis=1)


def test_iou_is_keras_s():
    first, second = _random_boxes(20, 0), _random_boxes(30, 1)
    expected = keras.utils.bounding_boxes.compute_iou(
        first.astype("float32"), second.astype("float32"), "xyxy"
    )
    np.testing.assert_allclose(
        boxes.iou(first, second), keras.ops.convert_to_numpy(expected), atol=1e-5
    )


def test_iou_counts_pixels_as_pascal_voc_does():
    """VOC's development kit: widths and heights are xmax - xmin + 1."""
    voc = np.array([[1, 1, 4, 4], [3, 2, 8, 4]])
    ours = voc - np.array([1, 1, 0, 0])
    common = (4 - 3 + 1) * (4 - 2 + 1)
    union = 4 * 4 + 6 * 3 - common
    np.testing.assert_allclose(boxes.iou(ours[:1], ours[1:]), [[common / union]])


def test_iou_of_boxes_that_touch_or_lie_apart_is_zero():
    square = np.array([[0, 0, 2, 2]])
    others = np.array([[2, 0, 4, 2], [5, 5, 6, 6], [2, 2, 3, 3]])
    assert boxes.iou(square, others).tolist() == [[0, 0, 0]]


def test_deltas_are_keras_s():
    first, second = _random_boxes(20, 0), _random_boxes(20, 1)
    ours = boxes.encode_deltas(first, second)
    expected = keras.utils.bounding_boxes.encode_box_to_deltas(
        first.astype("float32"),
        second.astype("float32"),
        "xyxy",
        "xyxy",
        encoding_format="center_xywh",
    )
    np.testing.assert_allclose(ours, keras.ops.convert_to_numpy(expected), atol=1e-5)
    np.testing.assert_allclose(boxes.decode_deltas(first, ours), second, atol=1e-10)


def test_huge_deltas_stay_finite():
    moved = boxes.decode_deltas(np.array([0.0, 0, 16, 16]), np.full(4, 1e4))
    assert np.isfinite(moved).all()
    np.testing.assert_allclose(moved[2:] - moved[:2], 1000)


def test_clip_to_the_image():
    clipped = boxes.clip(np.array([[-3.0, 2, 12, 30]]), height=20, width=10)
    assert clipped.tolist() == [[0, 2, 10, 20]]
