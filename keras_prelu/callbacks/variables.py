"""Keras variables as NumPy arrays: named, read, compared and written."""

from collections.abc import Mapping

import keras
import numpy as np

__all__ = [
    "differences",
    "metrics_of",
    "mismatch",
    "read",
    "trained_by",
    "write",
]


def trained_by(model: keras.Model) -> dict[str, keras.Variable]:
    """Return the variables of a model and of its optimizer under unique names."""
    owned = {"model": model.variables, "optimizer": model.optimizer.variables}
    return {
        f"{owner}-{i}": variable
        for owner, variables in owned.items()
        for i, variable in enumerate(variables)
    }


def metrics_of(model: keras.Model) -> dict[str, keras.Variable]:
    """Return the variables of a model's metrics under unique names."""
    return {f"metric-{i}": v for i, v in enumerate(model.metrics_variables)}


def _copies(variable):
    """Return the copies of a variable that differ, one for each replica here.

    Returns None for a variable whose copies are all equal, as they are on other
    backends than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow" or variable.synchronization != "on_read":
        return None

    import tensorflow as tf

    value = variable.value
    several = isinstance(value, tf.distribute.DistributedValues)
    return value.values if several else (value,)


def read(variable: keras.Variable) -> np.ndarray:
    """Return a variable's value, with one row per replica if the replicas differ."""
    copies = _copies(variable)
    if copies is None:
        return keras.ops.convert_to_numpy(variable)
    return np.stack([copy.numpy() for copy in copies])


def differences(
    variables: Mapping[str, keras.Variable], arrays: Mapping[str, np.ndarray]
) -> list[str]:
    """Return why arrays cannot be the values of variables; an empty list if they can.

    Args:
        variables: Dict from names to variables.
        arrays: Dict from names to arrays.
    """
    missing = [f"{name} is missing" for name in sorted(variables.keys() - arrays)]
    unknown = [f"{name} is unknown" for name in sorted(arrays.keys() - variables)]
    different = [
        reason
        for name in sorted(variables.keys() & arrays)
        if (reason := mismatch(variables[name], arrays[name]))
    ]
    return missing + unknown + different


def mismatch(variable: keras.Variable, array: np.ndarray) -> str | None:
    """Return why an array cannot be a variable's value, or None if it can."""
    shape = tuple(variable.shape)
    dtype = keras.backend.standardize_dtype(variable.dtype)
    of_one = array.shape if _copies(variable) is None else array.shape[1:]
    if (of_one, str(array.dtype)) == (shape, dtype):
        return None
    return (
        f"{variable.path} must have the shape {shape} and the dtype {dtype}. "
        f"Received: shape={of_one}, dtype={array.dtype}"
    )


def write(variable: keras.Variable, array: np.ndarray) -> None:
    """Give a variable the value that `read` returned."""
    copies = _copies(variable)
    if copies is None:
        variable.assign(array)
        return
    if len(copies) != len(array):
        # These are sums, saved with another number of replicas. Only their total
        # matters.
        others = [np.zeros_like(array[0])] * (len(copies) - 1)
        array = np.stack([array.sum(axis=0), *others])
    for copy, part in zip(copies, array, strict=True):
        copy.assign(part)
