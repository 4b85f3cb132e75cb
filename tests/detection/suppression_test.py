"""Non-maximum suppression, by hand and compared with TensorFlow's."""

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_prelu.detection.suppression import suppress


def test_only_detections_of_the_same_class_are_dropped():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [1, 0, 11, 10], [40, 0, 50, 10]])
    scores = np.array([0.6, 0.9, 0.8, 0.1])
    labels = np.array([0, 0, 1, 0])
    assert suppress(boxes, scores, labels, 0.3).tolist() == [1, 2, 3]


def test_a_dropped_detection_drops_no_others():
    """A chain of boxes: the second overlaps both others, which are far apart."""
    boxes = np.array([[0, 0, 10, 10], [6, 0, 16, 10], [12, 0, 22, 10]])
    labels = np.zeros(3, int)
    assert suppress(boxes, np.array([3, 2, 1]), labels, 0.2).tolist() == [0, 2]


def test_an_overlap_of_exactly_the_threshold_is_kept():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5]])
    labels = np.zeros(2, int)
    assert suppress(boxes, np.array([2, 1]), labels, 0.5).tolist() == [0, 1]
    assert suppress(boxes, np.array([2, 1]), labels, 0.499).tolist() == [0]


def test_of_equal_scores_the_first_is_better():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [50, 0, 60, 9]])
    labels = np.zeros(3, int)
    assert suppress(boxes, np.ones(3), labels, 0.3).tolist() == [0, 2]


def test_nothing_is_left_of_nothing():
    empty = np.zeros(0)
    assert suppress(np.zeros((0, 4)), empty, empty.astype(int), 0.3).tolist() == []


@given(seed=st.integers(0, 2**16), threshold=st.sampled_from([0.05, 0.3, 0.55]))
@settings(max_examples=20, deadline=None)
def test_matches_tensorflow_s_suppression_of_each_class(seed, threshold):
    rng = np.random.default_rng(seed)
    starts = rng.uniform(0, 40, (60, 2))
    boxes = np.concatenate([starts, starts + rng.uniform(5, 30, (60, 2))], axis=1)
    boxes = boxes.astype("float32")
    scores = rng.permutation(60).astype("float32")
    labels = rng.integers(0, 3, 60)
    expected = []
    for label in range(3):
        of_class = np.flatnonzero(labels == label)
        kept = tf.image.non_max_suppression(
            boxes[of_class], scores[of_class], 60, iou_threshold=threshold
        )
        expected += of_class[kept.numpy()].tolist()
    expected = sorted(expected, key=lambda i: -scores[i])
    assert suppress(boxes, scores, labels, threshold).tolist() == expected
