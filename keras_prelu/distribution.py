"""Strategies for every backend: one device, all of a machine, several machines."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import keras
import numpy as np

from keras_prelu import data_parallel
from keras_prelu.data_parallel import KerasStrategy

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = [
    "NAMES",
    "Strategy",
    "WorkersMissingError",
    "devices",
    "gather",
    "gather_texts",
    "numbered_workers",
    "strategy",
    "worker",
]

NAMES = ("auto", "one_device", "mirrored", "multi_worker")

Strategy: TypeAlias = Union["tf.distribute.Strategy", KerasStrategy]


class WorkersMissingError(TimeoutError):
    """Other workers have not started in time."""


def strategy(name: str = "auto", wait: float = 600.0) -> Strategy:
    """Return the strategy of a name, ready for Keras's `fit`.

    Build and compile the model in its `scope()`. On JAX, call `fit` there as well.

    On TensorFlow it is a `tf.distribute` strategy. Those of several devices come with
    repairs of Keras 3 (see `keras_prelu.keras_repairs`): replicas draw different
    dropout masks, and `fit` works on several machines. On JAX, several devices train
    by `keras.distribution.DataParallel`, which draws the dropout mask of the whole
    batch. On PyTorch, Keras trains on one device.

    Args:
        name: One of these strings. `"one_device"`: the first GPU, or the CPU.
            `"mirrored"`: all GPUs of this machine, or all its logical CPU devices; not
            on PyTorch. `"auto"`: `"mirrored"` if there are at least two GPUs that Keras
            can train on, otherwise `"one_device"`. `"multi_worker"`, on TensorFlow
            only: all GPUs of all machines that the environment variable `TF_CONFIG`, or
            else Slurm, names. Call it before TensorFlow has done anything in the
            process.
        wait: Float. Seconds to wait for the other workers of `"multi_worker"` to start,
            before `WorkersMissingError` is raised.

    Returns:
        A `tf.distribute.Strategy`, or on other backends than TensorFlow an object with
        its `scope()` and `num_replicas_in_sync`.

    Examples:
        >>> strategy = keras_prelu.distribution.strategy("one_device")
        >>> strategy.num_replicas_in_sync
        1

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 3 (several GPUs,
        one mini-batch of 128 over all of them)
    """
    if name not in NAMES:
        raise ValueError(
            f"Argument `name` must be one of {', '.join(NAMES)}. "
            f"Received: name={name!r}"
        )
    if keras.backend.backend() == "tensorflow":
        from keras_prelu import tensorflow_strategies

        return tensorflow_strategies.strategy(name, wait)
    return data_parallel.strategy(name)


def worker(strategy: Strategy | None) -> tuple[int, int]:
    """Return this process's number among the workers, and the number of workers.

    A cluster's chief is worker 0. The tasks called `"worker"` follow it.

    Args:
        strategy: What `strategy` returned, any `tf.distribute.Strategy`, or `None`.

    Returns:
        A pair of integers, `(0, 1)` for a strategy on one machine.

    Examples:
        >>> keras_prelu.distribution.worker(keras_prelu.distribution.strategy())
        (0, 1)
    """
    resolver = getattr(strategy, "cluster_resolver", None)
    if resolver is None or not resolver.cluster_spec():
        return 0, 1
    number, addresses = numbered_workers(resolver)
    return number, len(addresses)


def numbered_workers(
    resolver: "tf.distribute.cluster_resolver.ClusterResolver",
) -> tuple[int, list[str]]:
    """Return this process's number among the workers, and all workers' addresses.

    TensorFlow numbers them in the same way.

    Args:
        resolver: A `ClusterResolver` of `tf.distribute`.
    """
    tasks = resolver.cluster_spec().as_dict()
    chiefs, workers = tasks.get("chief", []), tasks.get("worker", [])
    before = len(chiefs) if resolver.task_type == "worker" else 0
    return before + (resolver.task_id or 0), [*chiefs, *workers]


def devices(strategy: Strategy) -> tuple[str, ...]:
    """Return the names of this process's devices, one for each of its replicas.

    Args:
        strategy: What `strategy` returned, or any `tf.distribute.Strategy`.

    Returns:
        A tuple of strings.

    Examples:
        >>> len(keras_prelu.distribution.devices(keras_prelu.distribution.strategy()))
        1
    """
    if isinstance(strategy, KerasStrategy):
        return strategy.devices

    import tensorflow as tf

    from keras_prelu.tensorflow_strategies import local_devices

    if isinstance(strategy, type(tf.distribute.get_strategy())):
        return local_devices()[:1]  # it names none
    return strategy.extended.worker_devices


def gather(
    strategy: Strategy | None, numbers: Sequence[float] | np.ndarray
) -> np.ndarray:
    """Return the numbers of every worker, one row each. All workers must call it.

    Args:
        strategy: What `strategy` returned, any `tf.distribute.Strategy`, or `None`.
        numbers: List of numbers, of the same length on each worker.

    Returns:
        A float64 NumPy array of shape `(workers, len(numbers))`.

    Examples:
        >>> keras_prelu.distribution.gather(keras_prelu.distribution.strategy(), [3, 4])
        array([[3., 4.]])
    """
    row = np.array([numbers], "float64")
    if worker(strategy)[1] == 1:
        return row

    import tensorflow as tf

    several: Any = strategy  # TensorFlow's, the only ones with several workers
    values = several.experimental_distribute_values_from_function(
        lambda context: tf.constant(row)
    )
    replicas = several.gather(values, axis=0).numpy()
    return replicas[:: len(devices(several))]


def gather_texts(strategy: Strategy | None, text: str) -> list[str]:
    """Return the texts of all workers in a list. All workers must call it.

    Args:
        strategy: What `strategy` returned, any `tf.distribute.Strategy`, or `None`.
        text: This worker's string.

    Examples:
        >>> strategy = keras_prelu.distribution.strategy()
        >>> keras_prelu.distribution.gather_texts(strategy, "here")
        ['here']
    """
    data = text.encode()
    lengths = gather(strategy, [len(data)])[:, 0].astype(int)
    rows = gather(strategy, np.frombuffer(data.ljust(max(lengths)), np.uint8))
    return [
        row[:length].astype(np.uint8).tobytes().decode()
        for row, length in zip(rows, lengths, strict=True)
    ]
