"""Top-k error compared with counting."""

import keras
import numpy as np
import pytest

from keras_prelu.metrics import TopKError


@pytest.mark.parametrize("k", [1, 2, 5, 9])  # 9 exceeds the 8 classes
def test_matches_counting(k):
    rng = np.random.default_rng(4)
    scores = rng.uniform(size=(50, 8)).astype("float32")
    labels = rng.integers(0, 8, 50)
    metric = TopKError(k)
    metric.update_state(labels[:30], scores[:30])
    metric.update_state(labels[30:], scores[30:])
    best = np.argsort(-scores, axis=1)[:, :k]
    missed = [label not in guesses for label, guesses in zip(labels, best, strict=True)]
    assert float(metric.result()) == pytest.approx(np.mean(missed), abs=1e-6)


@pytest.mark.parametrize(("k", "expected"), [(1, 0.75), (2, 0.5), (4, 0)])
def test_the_lower_of_two_tied_classes_comes_first(k, expected):
    metric = TopKError(k)
    metric.update_state([0, 1, 2, 3], np.full((4, 4), 0.25, "float32"))
    assert float(metric.result()) == expected


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_scores_that_are_nan_are_misses(shape):
    scores = np.array([[0, np.nan], [np.nan, np.nan], [0, 1]], "float32")
    metric = TopKError(2)
    metric.update_state(np.reshape([0, 1, 1], shape), scores)
    assert float(metric.result()) == pytest.approx(2 / 3, abs=1e-6)


def test_weights_of_positions_in_sequences_count():
    scores = np.array([[[0, 1], [1, 0]], [[0, 1], [0, 1]]], "float32")
    metric = TopKError(1)
    metric.update_state([[1, 1], [0, 0]], scores, sample_weight=[[1, 2], [1, 0]])
    assert float(metric.result()) == 0.75  # the second and the third of 1, 2, 1, 0


def test_name_contains_k_and_config_round_trips():
    metric = TopKError(5)
    assert metric.name == "top5_error"
    clone = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert (type(clone), clone.k, clone.name) == (TopKError, 5, "top5_error")


@pytest.mark.parametrize("k", [0, -1, 1.0])
def test_wrong_k_raises_an_error(k):
    with pytest.raises(ValueError, match=f"`k`.*Received: k={k}"):
        TopKError(k)
