"""Devices to train on with JAX and PyTorch, with the methods of a TensorFlow strategy.

On JAX, Keras 3.15 divides every batch like the first one, so a last batch that the
devices cannot share evenly is an error (https://github.com/keras-team/keras/issues/21167).
`KerasStrategy` gives such a batch to every device as a whole. Keras has no hook for it,
so the first strategy of several devices replaces one method of Keras's iterator for the
whole process. Under other distributions the replacement calls Keras's own method.
"""

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from keras_prelu.keras_internals import internal

__all__ = ["KerasStrategy", "strategy"]


class _DataParallel(keras.distribution.DataParallel):
    """Keras's data parallelism, with whole batches where they cannot be divided."""

    def get_data_layout(self, data_shape: Sequence[int]) -> Any:
        """Return the layout of an array of a batch."""
        layout = super().get_data_layout(data_shape)
        if data_shape[0] % self.num_model_replicas == 0:
            return layout
        whole = [None] * len(data_shape)
        return keras.distribution.TensorLayout(whole, self.device_mesh)


class KerasStrategy:
    """The devices of a run on JAX or PyTorch.

    It has those members of a `tf.distribute.Strategy` that training needs. Build,
    compile and fit the model in its `scope()`.

    Args:
        devices: The names of the devices.

    Attributes:
        devices: Tuple of strings.
        num_replicas_in_sync: Integer, the number of devices.

    Examples:
        >>> KerasStrategy(["cpu:0"]).num_replicas_in_sync
        1
    """

    def __init__(self, devices: Sequence[str]) -> None:
        self.devices = tuple(devices)
        self.num_replicas_in_sync = len(self.devices)
        self._distribution = None
        if self.num_replicas_in_sync > 1:
            _repair_the_iterator()
            self._distribution = _DataParallel(devices=list(devices))

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Place the variables and batches of a block on the devices."""
        if self._distribution is None:
            yield
            return
        with self._distribution.scope():
            yield


def strategy(name: str) -> KerasStrategy:
    """Return the strategy of a name, see `keras_prelu.distribution.strategy`."""
    backend = keras.backend.backend()
    if name == "multi_worker" or (name == "mirrored" and backend != "jax"):
        raise ValueError(
            f'Argument `name` must not be "{name}", unless Keras runs on '
            f"{'TensorFlow' if name == 'multi_worker' else 'TensorFlow or JAX'}. "
            f"Received: name={name!r}, on the backend {backend!r}"
        )
    if backend != "jax":
        return KerasStrategy([str(keras.ops.zeros(()).device)])
    devices = keras.distribution.list_devices()
    is_one = name == "one_device" or (name == "auto" and devices[0].startswith("cpu"))
    return KerasStrategy(devices[:1] if is_one else devices)


@functools.cache
def _repair_the_iterator():
    """Let Keras's iterator look at the shape of each batch, one batch ahead."""
    iterator = _iterator_class()
    stock = iterator._get_distributed_iterator

    def repaired(self, distribution):
        if not isinstance(distribution, _DataParallel):
            return stock(self, distribution)
        return self._one_batch_ahead_iterator(self.data_adapter.get_jax_iterator())

    iterator._get_distributed_iterator = repaired


def _iterator_class():
    module, purpose = "keras.src.backend.jax.trainer", "Training on many devices"
    iterator = internal(module, "JAXEpochIterator", purpose)
    for name in ("_get_distributed_iterator", "_one_batch_ahead_iterator"):
        internal(iterator, name, purpose)
    return iterator
