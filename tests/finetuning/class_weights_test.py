"""Examples that are weighted by their class."""

import numpy as np
import pytest
import tensorflow as tf

from keras_prelu.finetuning import datasets
from keras_prelu.finetuning.class_weights import weighted
from keras_prelu.finetuning.options import Options
from tests.finetuning.small_tuning import image_batches, small_net, tune


def test_class_weights_weigh_the_loss():
    rng = np.random.default_rng(0)
    images, labels = rng.uniform(0, 255, (8, 32, 32, 3)), np.array([0] * 6 + [1] * 2)
    images, net = images.astype("float32"), small_net()

    def first_loss(class_weight):
        tuned = tune(
            net,
            train=(images, labels),
            head_epochs=1,
            epochs=1,
            head_learning_rate=1e-9,
            class_weight=class_weight,
        )
        return tuned.history["loss"][0], tuned.model

    plain, model = first_loss(None)
    scores = model.predict(images, verbose=0)
    losses = -np.log(scores[np.arange(8), labels])
    assert plain == pytest.approx(losses.mean(), rel=1e-4)
    for given, weights in (("balanced", [8 / 12, 8 / 4]), ({0: 3.0, 1: 5.0}, [3, 5])):
        weight = np.array(weights)[labels]
        # Keras divides by the number of examples, or by the sum of the weights.
        by_count, by_weights = (
            np.mean(weight * losses),
            np.average(losses, None, weight),
        )
        loss = first_loss(given)[0]
        assert loss in (
            pytest.approx(by_count, rel=1e-4),
            pytest.approx(by_weights, rel=1e-4),
        )
        assert abs(loss - plain) > 1e-4


@pytest.mark.tensorflow_only
def test_labels_of_any_integer_type_choose_class_weights():
    """The sets of `keras.datasets` have labels of 8 bits."""

    def weights(dtype):
        batches = image_batches().map(lambda x, y: (x, tf.cast(y, dtype)))
        options = Options(class_names=["a", "b"])
        prepared = datasets.prepare(batches, batches, options, small_net())
        _, labels, weight = next(iter(weighted(prepared, {0: 3, 1: 5}).train(0)))
        assert labels.dtype == dtype
        return weight.numpy().tolist()

    labels = next(iter(image_batches()))[1].numpy()
    for dtype in ("uint8", "int8", "uint16", "int64"):
        assert weights(dtype) == [(3, 5)[label] for label in labels]
