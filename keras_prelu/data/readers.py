"""The two modules that make batches: one on TensorFlow, one on NumPy alone."""

import importlib
import importlib.util
from types import ModuleType

__all__ = ["has_tensorflow", "reader"]

_MODULES = {"tf.data": "tf_reader", "numpy": "numpy_reader"}


def has_tensorflow() -> bool:
    """Return whether TensorFlow is installed, without importing it."""
    return importlib.util.find_spec("tensorflow") is not None


def reader(name: str) -> ModuleType:
    """Return the module that makes the batches.

    Both modules have the same functions: `training`, `evaluation`, `numbered` and
    `grouped`.

    Args:
        name: `"tf.data"`, `"numpy"`, or `"auto"` for the first one where TensorFlow is
            installed.
    """
    if name == "auto":
        name = "tf.data" if has_tensorflow() else "numpy"
    if name not in _MODULES:
        raise ValueError(
            'Argument `reader` must be "auto", "tf.data" or "numpy". '
            f"Received: reader={name!r}"
        )
    return importlib.import_module(f"keras_prelu.data.{_MODULES[name]}")
