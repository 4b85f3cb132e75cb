"""Test settings: quiet TensorFlow, two logical CPU devices, markers."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Two devices for JAX too. The flag is read when JAX first uses a device.
if os.environ.get("KERAS_BACKEND") == "jax":
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

import keras
import pytest
from processes import forks

try:
    import tensorflow as tf
except ModuleNotFoundError:  # in the environment without it, see the Makefile
    pass
else:
    # Two logical devices, so that MirroredStrategy has two replicas to mirror.
    _CPUS = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        _CPUS[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )


def pytest_configure(config):
    for marker in (
        "tensorflow_only: needs the TensorFlow backend of Keras",
        "slow: takes long, or starts processes; run by `make test-slow`",
        "web: drives a browser; run by `make test-web`",
        "requires_trainable_backend: set by Keras on the tests of its own suite",
    ):
        config.addinivalue_line("markers", marker)


def pytest_collection_modifyitems(items):
    if keras.backend.backend() == "tensorflow":
        return
    skip = pytest.mark.skip(reason="needs the TensorFlow backend")
    for item in items:
        if "tensorflow_only" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def _same_seed_and_settings():
    """Every test starts from one seed and leaves Keras's global settings alone."""
    keras.utils.set_random_seed(0)
    policy = keras.config.dtype_policy()
    data_format = keras.config.image_data_format()
    yield
    keras.config.set_dtype_policy(policy)
    keras.config.set_image_data_format(data_format)


@pytest.fixture(scope="session")
def python():
    """Return a function that does what `python -m` and `python -c` do.

    Each command line has a process of its own, a fork of one that has imported
    TensorFlow: most programs take less time than this import.
    """
    with forks() as run:
        yield run
