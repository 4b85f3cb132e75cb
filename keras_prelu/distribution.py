"""Where a model trains: on one device, on all of a machine, or on several machines."""

import functools
import os
import socket
import time

import numpy as np
import tensorflow as tf
from absl import logging

from keras_prelu import keras_repairs

NAMES = ("auto", "one_device", "mirrored", "multi_worker")


# Seconds between two looks for the other workers, and between two lines about them.
_LOOK_EVERY = 0.5
_TELL_EVERY = 30.0


class WorkersMissingError(TimeoutError):
    """Other workers have not started in time."""


def strategy(name="auto", wait=600.0):
    """Returns the `tf.distribute` strategy of that name, ready for Keras's `fit`.

    Build and compile the model in its `scope()`. Where Keras 3 does not yet work under
    such a strategy, it is mended for the process (see `keras_prelu.keras_repairs`):
    replicas then draw different dropout masks, and `fit` works on several machines.

    Args:
        name: `"one_device"`: the first GPU, or the CPU. `"mirrored"`: all GPUs of this
            machine, or all its logical CPU devices. `"auto"`: `"mirrored"` where there
            are two GPUs or more, `"one_device"` elsewhere. `"multi_worker"`: all GPUs
            of all machines that the environment variable `TF_CONFIG`, or else Slurm,
            names; to be called before TensorFlow has done anything in the process.
        wait: Float. Seconds to wait for the other workers of `"multi_worker"` to start,
            before `WorkersMissingError` is raised.

    Returns:
        A `tf.distribute.Strategy`.

    Examples:
        >>> strategy = keras_prelu.distribution.strategy("one_device")
        >>> strategy.num_replicas_in_sync
        1

    Reference:

    - [Delving Deep into Rectifiers](https://arxiv.org/abs/1502.01852), section 3
      (several GPUs, one mini-batch of 128 over all of them).
    """
    if name not in NAMES:
        raise ValueError(
            f"`name` must be one of {', '.join(NAMES)}. Received: name={name!r}"
        )
    if name == "auto":
        several = len(tf.config.list_logical_devices("GPU")) > 1
        name = "mirrored" if several else "one_device"
    if name == "one_device":
        # Not OneDeviceStrategy: under any explicit strategy Keras leaves XLA off.
        return tf.distribute.get_strategy()
    keras_repairs.apply()
    if name == "mirrored":
        return _mirrored(tuple(_local_devices()))
    cluster = _cluster()
    _meet(cluster, wait)
    return tf.distribute.MultiWorkerMirroredStrategy(cluster)


@functools.cache
def _mirrored(devices):
    """Returns the process's one strategy over some devices.

    Each strategy numbers its reductions from the same start. Two of them over the same
    devices would take each other's, and TensorFlow would stop with a shape mismatch.
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
        'The strategy "multi_worker" needs to know its machines: set TF_CONFIG, or '
        "start the program with Slurm's srun. Received: neither TF_CONFIG nor "
        "SLURM_PROCID in the environment"
    )


def _meet(cluster, wait):
    """Waits until every worker can be reached, and says whom it is waiting for.

    TensorFlow would wait in silence, the first worker without end. A worker can be
    reached at its port, where this function listens before TensorFlow does.
    """
    addresses = cluster.cluster_spec().as_dict().get("worker", [])
    missing = [a for n, a in enumerate(addresses) if n != cluster.task_id]
    if not missing:
        return
    port = int(addresses[cluster.task_id].rpartition(":")[2])
    began = told = time.monotonic()
    with socket.create_server(("", port)):
        while missing := [address for address in missing if not _answers(address)]:
            now = time.monotonic()
            if now - began > wait:
                raise WorkersMissingError(
                    f"The other workers must start within {wait:g} seconds. "
                    f"Received: nothing from {', '.join(missing)}"
                )
            if now - told > _TELL_EVERY or told == began:
                logging.warning("Waiting for the workers at %s", ", ".join(missing))
                told = now
            time.sleep(_LOOK_EVERY)


def _answers(address):
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def worker(strategy):
    """Returns this process's number among the workers, and how many there are.

    Args:
        strategy: A `tf.distribute.Strategy`.

    Returns:
        A pair of integers; `(0, 1)` for a strategy of one machine.

    Examples:
        >>> keras_prelu.distribution.worker(tf.distribute.get_strategy())
        (0, 1)
    """
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.cluster_spec():
        return 0, 1
    workers = resolver.cluster_spec().as_dict().get("worker", [])
    return resolver.task_id, len(workers)


def devices(strategy):
    """Returns the names of this process's devices, one for each of its replicas.

    Args:
        strategy: A `tf.distribute.Strategy`.

    Returns:
        A tuple of strings.

    Examples:
        >>> len(keras_prelu.distribution.devices(tf.distribute.get_strategy()))
        1
    """
    if isinstance(strategy, type(tf.distribute.get_strategy())):
        return (_local_devices()[0],)  # the default strategy does not say
    return strategy.extended.worker_devices


def gather(strategy, numbers):
    """Returns every worker's numbers, a row each. All workers must call it.

    Args:
        strategy: A `tf.distribute.Strategy`.
        numbers: List of numbers, equally many on each worker.

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


def gather_texts(strategy, text):
    """Returns the list of every worker's text. All workers must call it.

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
