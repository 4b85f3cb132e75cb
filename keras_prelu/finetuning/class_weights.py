"""Training batches whose examples are weighted by their class."""

from collections.abc import Mapping
from typing import Literal

import keras
import numpy as np

from keras_prelu.data.numpy_batches import NumpyBatches
from keras_prelu.finetuning.datasets import Prepared
from keras_prelu.number_checks import is_real

__all__ = ["weighted"]


def weighted(
    prepared: Prepared, class_weight: Mapping[int, float] | Literal["balanced"]
) -> Prepared:
    """Add a weight to each example of the training data.

    Args:
        prepared: The data without weights.
        class_weight: `"balanced"`, or a dict from each label to its weight.

    Returns:
        The data with training batches of `(x, y, weight)`.
    """
    weights = np.array(_weights(prepared, class_weight), "float32")

    def batches(step):
        plain = prepared.train(step)
        if isinstance(plain, NumpyBatches):
            return plain.map(lambda x, y: (x, y, weights[y]))
        return _map_weights(plain, weights)

    return prepared._replace(train=batches)


def _map_weights(dataset, weights):
    import tensorflow as tf

    weights = tf.constant(weights, keras.config.floatx())
    # `tf.gather` takes no labels of 8 bits, which `keras.datasets` has.
    return dataset.map(lambda x, y: (x, y, tf.gather(weights, tf.cast(y, "int32"))))


def _weights(prepared, class_weight):
    classes = len(prepared.class_names)
    if class_weight == "balanced":
        labels = prepared.labels()
        counts = np.bincount(labels, minlength=classes)
        # The weight of a class without examples is never used.
        return len(labels) / (classes * np.maximum(counts, 1))
    labels = [*range(classes)]
    is_complete = isinstance(class_weight, Mapping) and sorted(class_weight) == labels
    if not is_complete or not all(map(_is_weight, class_weight.values())):
        raise ValueError(
            'Argument `class_weight` must be None, "balanced", or a dict with a finite '
            f"weight of at least 0 for each label 0 ... {classes - 1}. "
            f"Received: class_weight={class_weight!r}"
        )
    return [class_weight[label] for label in labels]


def _is_weight(value):
    return is_real(value) and value >= 0
