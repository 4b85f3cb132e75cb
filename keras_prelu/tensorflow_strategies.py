"""TensorFlow's strategies: one device, all devices of a machine, several machines."""

import functools
import os
import socket
import time

import tensorflow as tf
from absl import logging

from keras_prelu import keras_repairs
from keras_prelu.distribution import WorkersMissingError, numbered_workers

__all__ = ["local_devices", "strategy"]

_SECONDS_BETWEEN_ATTEMPTS = 0.5
_SECONDS_BETWEEN_MESSAGES = 30.0


def strategy(name: str, wait: float) -> tf.distribute.Strategy:
    """Return the strategy of a name, see `keras_prelu.distribution.strategy`."""
    if name == "auto":
        has_several = len(tf.config.list_logical_devices("GPU")) > 1
        name = "mirrored" if has_several else "one_device"
    if name == "one_device":
        # Not OneDeviceStrategy: under any explicit strategy Keras leaves XLA off.
        return tf.distribute.get_strategy()
    if name == "mirrored":
        mirrored = _mirrored(local_devices())
    else:
        cluster = _cluster()
        _wait_for_workers(cluster, wait)
        mirrored = tf.distribute.MultiWorkerMirroredStrategy(cluster)
    keras_repairs.apply(mirrored)
    return mirrored


@functools.cache
def _mirrored(devices):
    """Return the process's only strategy over some devices.

    Every strategy numbers its reductions from the same start. Two strategies over the
    same devices would mix up their reductions, and TensorFlow would stop with a shape
    mismatch.
    """
    return tf.distribute.MirroredStrategy(devices)


def local_devices() -> tuple[str, ...]:
    """Return the names of all GPUs of this process, or of all its CPU devices."""
    devices = tf.config.list_logical_devices("GPU")
    return tuple(d.name for d in devices or tf.config.list_logical_devices("CPU"))


def _cluster():
    if "TF_CONFIG" in os.environ:
        cluster = tf.distribute.cluster_resolver.TFConfigClusterResolver()
        if cluster.cluster_spec() and cluster.task_type not in ("chief", "worker"):
            raise ValueError(
                'Argument `name` must not be "multi_worker", unless the task in '
                "TF_CONFIG is a chief or a worker. Received: name='multi_worker', with "
                f"a task of {cluster.task_type!r}"
            )
        return cluster
    if "SLURM_PROCID" in os.environ:
        return tf.distribute.cluster_resolver.SlurmClusterResolver()
    raise ValueError(
        'Argument `name` must not be "multi_worker", unless TF_CONFIG is set or the '
        "program was started by Slurm's srun. Received: name='multi_worker', with "
        "neither TF_CONFIG nor SLURM_PROCID in the environment"
    )


def _wait_for_workers(cluster, wait):
    """Wait until every worker can be reached, and log which ones are missing.

    TensorFlow would wait in silence, the first worker without end. Each worker listens
    at its port here, before TensorFlow does.
    """
    number, addresses = numbered_workers(cluster)
    missing = [a for n, a in enumerate(addresses) if n != number]
    if not missing:
        return
    port = int(addresses[number].rpartition(":")[2])
    began = logged = time.monotonic()
    with _listen(port):
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


def _listen(port):
    """Return a server that listens at a port, for IPv6 too if the machine has it."""
    if socket.has_dualstack_ipv6():
        family = socket.AF_INET6
        return socket.create_server(("", port), family=family, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _answers(address):
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=1).close()
    except OSError:
        return False
    return True
