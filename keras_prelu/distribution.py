"""Where a model trains: on one device, on all of a machine, or on several machines."""

import functools
import os

import numpy as np
import tensorflow as tf

from keras_prelu import keras_repairs

NAMES = ("auto", "one_device", "mirrored", "multi_worker")


def strategy(name="auto"):
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
    return tf.distribute.MultiWorkerMirroredStrategy(_cluster())


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


def newest_common(strategy, steps, most=4):
    """Returns the newest step that all workers have, or None. All must call it.

    Args:
        strategy: A `tf.distribute.Strategy`.
        steps: List of integers, the steps that this worker has.
        most: Integer. How many of the newest to compare.
    """
    newest = sorted(steps)[-most:]
    rows = gather(strategy, newest + [-1] * (most - len(newest)))
    common = set.intersection(*({int(step) for step in row} for row in rows))
    return max(common - {-1}, default=None)
