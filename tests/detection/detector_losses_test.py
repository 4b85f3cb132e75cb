"""The losses, by hand."""

import numpy as np
import pytest
from keras import ops

from keras_prelu.applications import ModelA
from keras_prelu.detection import DeltaLoss, fast_rcnn, losses

STD = (0.1, 0.1, 0.2, 0.2)


def smooth_l1(error):
    size = abs(error)
    return 0.5 * size**2 if size < 1 else size - 0.5


def test_deltas_count_for_the_true_class_in_units_of_their_spread():
    rng = np.random.default_rng(0)
    labels = np.array([[0, 2, 1], [3, 0, 0]])
    targets = rng.normal(size=(2, 3, 4)) * 0.2
    predicted = rng.normal(size=(2, 3, 3, 4)) * 0.2
    expected = 0.0
    for image, region in np.ndindex(2, 3):
        label = labels[image, region]
        if label:
            error = predicted[image, region, label - 1] - targets[image, region]
            expected += sum(smooth_l1(e / s) for e, s in zip(error, STD, strict=True))
    y_true = np.concatenate([labels[..., None], targets], axis=-1).astype("float32")
    loss = DeltaLoss(STD)(y_true, predicted.astype("float32"))
    np.testing.assert_allclose(float(loss), expected / 6, rtol=1e-5)


def test_the_detector_is_compiled_with_its_own_spread():
    detector = fast_rcnn(ModelA(width=1 / 64, classes=2), 3, delta_std=(1, 2, 3, 4))
    both = losses(detector)
    assert both["deltas"].std == (1, 2, 3, 4)
    copy = DeltaLoss.from_config(both["deltas"].get_config())
    assert copy.std == (1, 2, 3, 4)
    scores = np.float32([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]])
    loss = both["scores"](np.array([[0, 2]]), scores)
    np.testing.assert_allclose(float(loss), -np.log([0.5, 0.1]).mean(), rtol=1e-5)


@pytest.mark.tensorflow_only
def test_gradients_reach_the_convolutions():
    import tensorflow as tf

    detector = fast_rcnn(ModelA(width=1 / 32, classes=2), classes=3)
    inputs = {
        "images": np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)),
        "boxes": np.float32([[[0, 0, 40, 40], [10, 10, 60, 60]]]),
    }
    both = losses(detector)
    with tf.GradientTape() as tape:
        outputs = detector(inputs)
        loss = both["scores"](np.array([[1, 0]]), outputs["scores"])
        loss += both["deltas"](
            np.float32([[[1, 1, 1, 1, 1], [0] * 5]]), outputs["deltas"]
        )
    gradients = tape.gradient(loss, detector.trainable_variables)
    assert all(np.any(ops.convert_to_numpy(g)) for g in gradients)
