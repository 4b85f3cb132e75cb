"""Distribution strategies: one device, all devices of a machine, several machines."""

import functools
import os
import socket
import time
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from keras_prelu import keras_repairs

__all__ = [
    "NAMES",
    "WorkersMissingError",
    "devices",
    "gather",
    "gather_texts",
    "strategy",
    "worker",
]

NAMES = ("auto", "one_device", "mirrored", "multi_worker")

_SECONDS_BETWEEN_ATTEMPTS = 0.5
_SECONDS_BETWEEN_MESSAGES = 30.0


class WorkersMissingError(TimeoutError):
    """Other workers have not started in time."""


def strategy(name: str = "auto", wait: float = 600.0) -> tf.distribute.Strategy:
    """Return the `tf.distribute` strategy of a name, ready for Keras's `fit`.

    Build and compile the model in its `scope()`. Strategies of several devices come
    with repairs of Keras 3 (see `keras_prelu.keras_repairs`): replicas draw different
    dropout masks, and `fit` works on several machines.

    Args:
        name: One of these strings. `"one_device"`: the first GPU, or the CPU.
            `"mirrored"`: all GPUs of this machine, or all its logical CPU devices.
            `"auto"`: `"mirrored"` if there are at least two GPUs, otherwise
            `"one_device"`. `"multi_worker"`: all GPUs of all machines that the
            environment variable `TF_CONFIG`, or else Slurm, names. Call it before
            TensorFlow has done anything in the process.
        wait: Float. Seconds to wait for the other workers of `"multi_worker"` to start,
            before `WorkersMissingError` is raised.

    Returns:
        A `tf.distribute.Strategy`.

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
    if name == "auto":
        several = len(tf.config.list_logical_devices("GPU")) > 1
        name = "mirrored" if several else "one_device"
    if name == "one_device":
        # Not OneDeviceStrategy: under any explicit strategy Keras leaves XLA off.
        return tf.distribute.get_strategy()
    if name == "mirrored":
        several = _mirrored(tuple(_local_devices()))
    else:
        cluster = _cluster()
        _wait_for_workers(cluster, wait)
        several = tf.distribute.MultiWorkerMirroredStrategy(cluster)
    keras_repairs.apply(several)
    return several


@functools.cache
def _mirrored(devices):
    """Return the process's only strategy over some devices.

    Every strategy numbers its reductions from the same start. Two strategies over the
    same devices would mix up their reductions, and TensorFlow would stop with a shape
    mismatch.
    """
    return tf.distribute.MirroredStrategy(devices)


def _local_devices():
    devices = tf.config.list_logical_devices("GPU")
    return [d.name for d in devices or tf.config.list_logical_devices("CPU")]


def _cluster():
    if "TF_CONFIG" in os.environ:
        return tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if "SLURM_PROCID" in os.environ:
        return tf.distribute.cluster_resolver.SlurmClusterResolver()
    raise ValueError(
        'Argument `name` must not be "multi_worker", unless TF_CONFIG is set or the '
        "program was started by Slurm's srun. Received: neither TF_CONFIG nor "
        "SLURM_PROCID in the environment"
    )


def _wait_for_workers(cluster, wait):
    """Wait until every worker can be reached, and log which ones are missing.

    TensorFlow would wait in silence, the first worker without end. Each worker listens
    at its port here, before TensorFlow does.
    """
    addresses = cluster.cluster_spec().as_dict().get("worker", [])
    missing = [a for n, a in enumerate(addresses) if n != cluster.task_id]
    if not missing:
        return
    port = int(addresses[cluster.task_id].rpartition(":")[2])
    began = logged = time.monotonic()
    with socket.create_server(("", port)):
        while missing := [address for address in missing if not _answers(address)]:
            now = time.monotonic()
            if now - began > wait:
                raise WorkersMissingError(
                    f"The other workers must start within {wait:g} seconds. "
                    f"Received: nothing from {', '.join(missing)}"
                )
            if now - logged > _SECONDS_BETWEEN_MESSAGES or logged == began:
                logging.warning("Waiting for the workers at %s", ", ".join(missing))
                logged = now
            time.sleep(_SECONDS_BETWEEN_ATTEMPTS)


def _answers(address):
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def worker(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """Return this process's number among the workers, and the number of workers.

    Args:
        strategy: A `tf.distribute.Strategy`.

    Returns:
        A pair of integers, `(0, 1)` for a strategy on one machine.

    Examples:
        >>> keras_prelu.distribution.worker(tf.distribute.get_strategy())
        (0, 1)
    """
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.cluster_spec():
        return 0, 1
    workers = resolver.cluster_spec().as_dict().get("worker", [])
    return resolver.task_id, len(workers)


def devices(strategy: tf.distribute.Strategy) -> tuple[str, ...]:
    """Return the names of this process's devices, one for each of its replicas.

    Args:
        strategy: A `tf.distribute.Strategy`.

    Returns:
        A tuple of strings.

    Examples:
        >>> len(keras_prelu.distribution.devices(tf.distribute.get_strategy()))
        1
    """
    if isinstance(strategy, type(tf.distribute.get_strategy())):
        return (_local_devices()[0],)  # it names none
    return strategy.extended.worker_devices


def gather(
    strategy: tf.distribute.Strategy, numbers: Sequence[float] | np.ndarray
) -> np.ndarray:
    """Return the numbers of every worker, one row each. All workers must call it.

    Args:
        strategy: A `tf.distribute.Strategy`.
        numbers: List of numbers, of the same length on each worker.

    Returns:
        A float64 NumPy array of shape `(workers, len(numbers))`.

    Examples:
        >>> keras_prelu.distribution.gather(tf.distribute.get_strategy(), [3, 4])
        array([[3., 4.]])
    """
    row = np.array([numbers], "float64")
    if worker(strategy)[1] == 1:
        return row
    values = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(row)
    )
    replicas = strategy.gather(values, axis=0).numpy()
    return replicas[:: len(devices(strategy))]


def gather_texts(strategy: tf.distribute.Strategy, text: str) -> list[str]:
    """Return the texts of all workers in a list. All workers must call it.

    Args:
        strategy: A `tf.distribute.Strategy`.
        text: This worker's string.

    Examples:
        >>> keras_prelu.distribution.gather_texts(tf.distribute.get_strategy(), "here")
        ['here']
    """
    data = text.encode()
    lengths = gather(strategy, [len(data)])[:, 0].astype(int)
    rows = gather(strategy, np.frombuffer(data.ljust(max(lengths)), np.uint8))
    return [
        row[:length].astype(np.uint8).tobytes().decode()
        for row, length in zip(rows, lengths, strict=True)
    ]
