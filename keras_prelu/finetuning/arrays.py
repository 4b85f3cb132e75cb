"""Batches of NumPy arrays, the same ones on every backend of Keras."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

__all__ = ["ArrayBatches", "batch_functions"]


class ArrayBatches(keras.utils.PyDataset):
    """Batches of arrays for backends of Keras other than TensorFlow.

    Args:
        batch: Function from a batch's number to its arrays.
        count: The number of batches, or None for an endless sequence.
    """

    def __init__(
        self, batch: Callable[[int], tuple[np.ndarray, ...]], count: int | None = None
    ) -> None:
        super().__init__()
        self._batch = batch
        self._count = count

    @property
    def num_batches(self) -> int | None:
        """The number of batches, or None."""
        return self._count

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        return self._batch(index)


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
    on_tensorflow = keras.backend.backend() == "tensorflow"
    return (_streams if on_tensorflow else _sequences)(pick, batch_size)


def _sequences(pick, batch_size):
    def endless(step):
        return ArrayBatches(lambda number: pick(step + number))

    def once(*arrays):
        def batch(number):
            part = slice(number * batch_size, (number + 1) * batch_size)
            return tuple(array[part] for array in arrays)

        return ArrayBatches(batch, -(-len(arrays[0]) // batch_size))

    return endless, once


def _streams(pick, batch_size):
    """Return the same as `_sequences` in `tf.data`, which replicas can divide."""
    import tensorflow as tf

    from keras_prelu.data.pipeline_options import stream_options
    from keras_prelu.data.python_functions import call_python

    images, labels = pick(0)
    dtypes = [tf.as_dtype(array.dtype) for array in (images, labels)]

    def load(step):
        x, y = call_python(pick, [step], dtypes)
        return tf.ensure_shape(x, images.shape), tf.ensure_shape(y, labels.shape)

    def endless(step):
        steps = tf.data.Dataset.range(step, np.iinfo(np.int64).max)
        return steps.map(load).prefetch(2).with_options(stream_options())

    def once(*arrays):
        plain = tf.data.Dataset.from_tensor_slices(arrays).batch(batch_size)
        return plain.with_options(stream_options())

    return endless, once
