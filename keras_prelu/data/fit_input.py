"""Batches in the form that Keras's `fit` takes, on every backend."""

from collections.abc import Iterable, Iterator
from typing import Any

import keras

from keras_prelu.keras_internals import internal

__all__ = ["example_of", "fit_input", "is_tensorflow_dataset"]


def is_tensorflow_dataset(batches: Any) -> bool:
    """Return whether batches are a `tf.data.Dataset`, without importing TensorFlow."""
    return hasattr(batches, "element_spec")


def fit_input(batches: Any) -> Any:
    """Return batches in a form that Keras's `fit` and `evaluate` take.

    Keras takes data sets of `tf.data` and sequences (`keras.utils.PyDataset`) as they
    are. Of other iterables it takes generators only, which end after one epoch.

    Args:
        batches: A `tf.data.Dataset`, a `keras.utils.PyDataset`, or any object whose
            `iter` begins anew with the first batch. Its batches are tuples `(x, y)` of
            NumPy arrays or dicts of them. On TensorFlow it must be one of the first
            two.

    Returns:
        The same batches.
    """
    if is_tensorflow_dataset(batches) or isinstance(batches, keras.utils.PyDataset):
        return batches
    return _adapted(batches)


def example_of(batches: Any) -> Any:
    """Return something with the shapes and dtypes of a batch: the first batch itself.

    A `tf.data.Dataset` knows them without reading a batch.

    Args:
        batches: See `fit_input`.
    """
    if is_tensorflow_dataset(batches):
        return batches.element_spec
    if isinstance(batches, keras.utils.PyDataset):
        return batches[0]
    return next(iter(batches))


def _adapted(batches):
    purpose = "Training on batches that are not tf.data's"
    module = "keras.src.trainers.data_adapters"
    base = internal(f"{module}.data_adapter", "DataAdapter", purpose)
    loader = internal(f"{module}.data_adapter_utils", "get_torch_dataloader", purpose)

    class Adapter(base):
        """Gives `fit` a new iterator over the batches whenever it asks for one."""

        # Unknown: the batches may be endless, or leave bad images out.
        num_batches = batch_size = has_partial_batch = partial_batch_size = None

        def get_numpy_iterator(self) -> Iterator[Any]:
            return iter(batches)

        def get_jax_iterator(self) -> Iterator[Any]:
            return iter(batches)

        def get_torch_dataloader(self) -> Iterable[Any]:
            return loader(batches)

    return Adapter()
