"""Batches of arrays in memory, the same ones on every backend of Keras."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from keras_prelu.data.batch_format import Spec
from keras_prelu.data.pipeline_options import ENDLESS
from keras_prelu.data.readers import reader

__all__ = ["batch_functions"]


def batch_functions(
    pick: Callable[[int], tuple[np.ndarray, ...]], batch_size: int
) -> tuple[Callable[[int], Iterable[Any]], Callable[..., Iterable[Any]]]:
    """Return the functions that make batches for training and for validation.

    Args:
        pick: Function from a step's number to its images and labels.
        batch_size: Integer. Images per batch.

    Returns:
        A function from a step's number to the endless batches from there on, and a
        function from arrays to the batches that hold each example once.
    """
    # On TensorFlow, replicas can divide the batches of `tf.data`.
    on_tensorflow = keras.backend.backend() == "tensorflow"
    numbered = reader("tf.data" if on_tensorflow else "numpy").numbered

    def endless(step):
        fields = tuple(Spec(array.dtype.name, array.shape) for array in pick(step))
        return numbered(pick, range(step, ENDLESS), fields)

    def once(*arrays):
        def batch(start):
            return tuple(array[start : start + batch_size] for array in arrays)

        fields = tuple(
            Spec(array.dtype.name, (None, *array.shape[1:])) for array in arrays
        )
        return numbered(batch, range(0, len(arrays[0]), batch_size), fields)

    return endless, once
