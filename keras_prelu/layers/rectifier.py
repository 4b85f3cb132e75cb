"""The rectifier of PReLU as one kernel forward and one backward.

TensorFlow runs each operation as a kernel of its own, and each kernel reads and writes
a whole map, which is all the time that a rectifier takes. XLA fuses the operations of a
rectifier into one kernel, at the cost of ReLU's, while the convolutions stay
TensorFlow's own, which are faster on CPUs than those of XLA.

The operations are marked for XLA by an attribute (`tf.xla.experimental.jit_scope`). A
program without XLA ignores the attribute, so a SavedModel needs nothing more than
without it. JAX, and PyTorch when it compiles, fuse by themselves.
"""

import contextlib
import functools
import math

import keras
from keras import ops

from keras_prelu.types import Tensor

__all__ = ["rectify"]

# Smaller maps stay in the processor's cache, where separate kernels cost little.
_WORTH_COMPILING = 2**20  # numbers in a map


@ops.custom_gradient
def rectify(x: Tensor, alpha: Tensor) -> Tensor:
    """Return `max(0, x) + alpha * min(0, x)`, with a gradient that takes little memory.

    The gradient needs only `x` and `alpha`. Automatic differentiation would also keep
    two rectified copies of `x`.

    Args:
        x: A tensor.
        alpha: The slopes, a tensor that broadcasts to `x` and has one axis less.
    """
    fused = _fusion_of(x)

    def gradient(*args, upstream=None):
        if upstream is None:
            (upstream,) = args
        with fused():
            slope = ops.cast(alpha, x.dtype)
            x_gradient = ops.where(x > 0, upstream, slope * upstream)
            terms = upstream * ops.minimum(x, 0)
        return x_gradient, ops.cast(_sum_to(alpha.shape, terms), alpha.dtype)

    if fused is contextlib.nullcontext and keras.backend.backend() == "tensorflow":
        # The LiteRT converter turns exactly this form, with `alpha` of this rank, into
        # one PRELU.
        y = ops.relu(x) + ops.cast(-alpha, x.dtype) * ops.relu(-x)
    else:
        with fused():
            y = _selected(x, ops.cast(alpha, x.dtype))
    return y, gradient  # type: ignore[return-value]  # the decorator takes them apart


def _selected(x, slope):
    if keras.backend.backend() == "tensorflow" and _is_per_channel(slope.shape):
        # XLA's loops over two axes are faster than those over four.
        rows = ops.reshape(x, (-1, x.shape[-1]))
        slope = ops.reshape(slope, (-1,))
        return ops.reshape(ops.where(rows > 0, rows, slope * rows), x.shape)
    return ops.where(x > 0, x, slope * x)


def _is_per_channel(shape):
    """Return whether slopes belong to the last axis, or are a single one."""
    return math.prod(shape[:-1]) == 1


def _sum_to(shape, values):
    """Return the sum of `values` over the axes along which `shape` broadcasts."""
    channels = shape[-1]
    # A sum of float16 numbers may be too large for float16.
    is_half = keras.backend.standardize_dtype(values.dtype) == "float16"
    is_wide = channels > 1 and _is_per_channel(shape)
    if is_wide and not is_half and not _has_gpu():
        # On CPUs a matrix product is faster than a reduction: benchmarks/layers.py.
        rows = ops.reshape(values, (-1, channels))
        ones = ops.expand_dims(ops.ones_like(rows[:, 0]), 0)
        return ops.reshape(ops.matmul(ones, rows), shape)
    # On CPUs, TensorFlow would sum float16 numbers in float16.
    values = ops.cast(values, keras.backend.result_type(values.dtype, "float32"))
    broadcast_axes = [i + 1 for i, size in enumerate(shape) if size == 1]
    return ops.reshape(ops.sum(values, axis=[0, *broadcast_axes]), shape)


def _fusion_of(x):
    """Return a function that makes the context for the operations on a tensor.

    XLA compiles once per shape. So shapes that are not known when the graph is made, as
    in evaluation at many sizes and in exported models, are left to TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext
    import tensorflow as tf

    is_worthwhile = (
        not tf.executing_eagerly()
        and x.shape.is_fully_defined()
        and math.prod(x.shape) >= _WORTH_COMPILING
        and not _has_gpu()  # with a GPU, Keras compiles the whole step by default
    )
    return tf.xla.experimental.jit_scope if is_worthwhile else contextlib.nullcontext


@functools.cache
def _has_gpu():
    """Return whether the backend computes on a GPU or TPU by default."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    if backend == "jax":
        import jax

        return jax.default_backend() != "cpu"
    import torch

    return torch.cuda.is_available()
