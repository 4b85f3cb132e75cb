"""Keras variables as NumPy arrays: read, compared and written, on all replicas."""

import keras
import numpy as np
import tensorflow as tf


def _copies(variable):
    """The copies of a variable that differ, one for each replica of this process.

    None where there is one value, and all copies that a strategy keeps are equal.
    """
    if variable.synchronization != "on_read":
        return None
    value = variable.value
    several = isinstance(value, tf.distribute.DistributedValues)
    return value.values if several else (value,)


def read(variable):
    """Returns the value as an array; with a row per replica where replicas differ."""
    copies = _copies(variable)
    if copies is None:
        return variable.numpy()
    return np.stack([copy.numpy() for copy in copies])


def mismatch(variable, array):
    """Returns why an array cannot be the variable's value, or None where it can."""
    shape, dtype = (
        tuple(variable.shape),
        keras.backend.standardize_dtype(variable.dtype),
    )
    of_one = array.shape if _copies(variable) is None else array.shape[1:]
    if (of_one, str(array.dtype)) == (shape, dtype):
        return None
    return (
        f"{variable.path} should have the shape {shape} and the dtype {dtype}. "
        f"Received: shape={of_one}, dtype={array.dtype}"
    )


def write(variable, array):
    """Gives a variable the value that `read` returned."""
    copies = _copies(variable)
    if copies is None:
        variable.assign(array)
        return
    if len(copies) != len(array):
        # Sums over fewer or more replicas: what matters is their total.
        others = [np.zeros_like(array[0])] * (len(copies) - 1)
        array = [array.sum(axis=0), *others]
    for copy, part in zip(copies, array, strict=True):
        copy.assign(part)
