"""Non-maximum suppression, by hand, in plain Python, and against TensorFlow's."""

import numpy as np
import pytest
import tensorflow as tf

from keras_prelu.detection.suppression import suppress


def random_boxes(count, seed=0):
    rng = np.random.default_rng(seed)
    starts = rng.uniform(0, 60, (count, 2))
    sides = rng.uniform(5, 40, (count, 2))
    return np.concatenate([starts, starts + sides], axis=1).astype("float32")


def overlap(first, second):
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    common = max(width, 0) * max(height, 0)
    sizes = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (first, second)]
    return common / (sum(sizes) - common)


def in_plain_python(boxes, scores, threshold):
    boxes, kept = boxes.astype("float64").tolist(), []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if all(overlap(boxes[i], boxes[j]) <= threshold for j in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7, 1.0])
def test_equals_plain_python_and_tensorflow(threshold):
    boxes = random_boxes(200)
    scores = np.random.default_rng(1).permutation(200).astype("float32")
    kept = suppress(boxes, scores, threshold).tolist()
    assert kept == in_plain_python(boxes, scores, threshold)
    theirs = tf.image.non_max_suppression(boxes, scores, 200, threshold)
    assert kept == theirs.numpy().tolist()
    assert suppress(boxes, scores, threshold, most=3).tolist() == kept[:3]


def test_of_equal_scores_the_first_is_kept():
    boxes = np.repeat(random_boxes(1), 3, axis=0)
    assert suppress(boxes, np.array([0.5, 0.5, 0.5]), 0.5).tolist() == [0]
    scores = np.random.default_rng(1).integers(0, 4, 100) / 4
    boxes = random_boxes(100)
    assert suppress(boxes, scores, 0.4).tolist() == in_plain_python(boxes, scores, 0.4)


def test_an_overlap_that_equals_the_threshold_stays():
    boxes = np.array([[0, 0, 2, 2], [0, 0, 1, 2]])
    scores = np.array([0.9, 0.8])
    assert suppress(boxes, scores, 0.5).tolist() == [0, 1]
    assert suppress(boxes, scores, 0.49).tolist() == [0]


def test_no_boxes():
    assert suppress(np.zeros((0, 4)), np.zeros(0), 0.5).shape == (0,)
