"""Batches of NumPy arrays in the form that Keras's `fit` takes on JAX and PyTorch."""

import atexit
import weakref
from collections.abc import Callable, Generator, Iterator
from typing import Any

import keras

from keras_prelu.keras_internals import internal

__all__ = ["NumpyBatches"]

# Keras takes its own subclasses of this class everywhere that it takes batches. Of its
# public classes, a generator can be iterated only once, and a `PyDataset` must know the
# number of its batches: bad images are left out, so nobody knows it in advance.
_DataAdapter: Any = internal(
    "keras.src.trainers.data_adapters.data_adapter",
    "DataAdapter",
    "keras_prelu.data.NumpyBatches",
)


_open_iterators: weakref.WeakSet = weakref.WeakSet()


@atexit.register
def _close_iterators():
    """Stop iterators that are alive at exit, while Python can still stop threads."""
    for iterator in list(_open_iterators):
        iterator.close()


class NumpyBatches(_DataAdapter):
    """Batches of NumPy arrays, which can be iterated any number of times.

    `fit` and `evaluate` take them where Keras runs on JAX or PyTorch. Each iteration
    begins with the first batch.

    Args:
        begin: Function without arguments that returns a new generator of the batches,
            tuples `(x, y)` or `(x, y, sample_weight)`.

    Examples:
        >>> source = keras_prelu.data.from_directory("photos")
        >>> batches = keras_prelu.data.eval_batches(
        ...     source, batch_size=6, image_size=32, scale=40, reader="numpy")
        >>> [x.shape for x, y in batches]
        [(6, 32, 32, 3), (2, 32, 32, 3)]
    """

    num_batches = None  # unknown to Keras, or endless
    batch_size = None

    def __init__(self, begin: Callable[[], Generator[tuple, None, None]]) -> None:
        self._begin = begin

    def __iter__(self) -> Iterator[tuple]:
        iterator = self._begin()
        _open_iterators.add(iterator)
        return iterator

    def map(self, function: Callable[..., tuple]) -> "NumpyBatches":
        """Return the results of a function of the parts of each batch.

        Args:
            function: Function from `x` and `y` to the new parts of a batch.
        """
        return NumpyBatches(lambda: (function(*batch) for batch in self))

    def get_numpy_iterator(self) -> Iterator[tuple]:
        """Return an iterator, for Keras."""
        return iter(self)

    def get_jax_iterator(self) -> Iterator[tuple]:
        """Return an iterator, for Keras on JAX."""
        return iter(self)

    def get_torch_dataloader(self) -> Iterator[Any]:
        """Return an iterator over tensors, for Keras on PyTorch."""
        convert = keras.ops.convert_to_tensor
        return (keras.tree.map_structure(convert, batch) for batch in self)

    def get_tf_dataset(self) -> None:
        """Refuse to feed TensorFlow, which `tf.data` does better."""
        raise ValueError(
            'Argument `reader` must be "tf.data" where Keras runs on TensorFlow. '
            "Received: batches of reader='numpy'"
        )
