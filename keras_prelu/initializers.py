"""The initializer of the PReLU networks."""

import functools
import math
import random
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_prelu.keras_internals import layer_being_built
from keras_prelu.number_checks import check_integer, is_real
from keras_prelu.types import Tensor

__all__ = ["HeNormal"]

_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
_BLOCK = 1 << 20  # numbers drawn at a time


@functools.cache
def _sampler():
    """Return the function `(shape, scale, seed)` that draws a Gaussian in float32."""
    if keras.backend.backend() != "tensorflow":
        return lambda shape, scale, seed: keras.random.normal(
            shape, stddev=scale, dtype="float32", seed=seed
        )
    import tensorflow as tf

    # A graph that fills one buffer block by block. Eager operations would keep three
    # copies of a kernel in memory, 2.8 GB for fc1 of Model C. TensorFlow's own Gaussian
    # takes 1.5 times as long as this Box-Muller transform, whose blocks stay in cache.
    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([], tf.float32),
            tf.TensorSpec([], tf.int64),
        ]
    )
    def draw(shape, scale, seed):
        count = tf.reduce_prod(shape)
        half = tf.minimum(_BLOCK, count + 1) // 2
        blocks = (count + 2 * half - 1) // (2 * half)

        def fill(i, values):
            uniform = tf.random.stateless_uniform(
                [2, half], [seed, tf.cast(i, seed.dtype)]
            )
            radius = scale * tf.sqrt(-2 * tf.math.log(1 - uniform[0]))
            angle = 2 * math.pi * uniform[1]
            block = tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], axis=0)
            return i + 1, tf.raw_ops.InplaceUpdate(x=values, i=[i], v=block[None])

        values = tf.raw_ops.Empty(shape=[blocks, 2 * half], dtype=tf.float32)
        _, values = tf.while_loop(lambda i, _: i < blocks, fill, (0, values))
        return tf.reshape(tf.reshape(values, [-1])[:count], shape)

    return draw


def _fans(shape, layer, initializer):
    """Return fan-in and fan-out of a kernel.

    The shape alone is not enough. Most kernels are `(*window, inputs per group,
    outputs)`, but those of transposed convolutions are `(*window, outputs, inputs)`
    and those of depthwise convolutions `(*window, channels, outputs per channel)`.
    Separable convolutions create their depthwise kernel first, then a pointwise one,
    and both may have the same initializer.
    """
    *window, before_last, last = shape
    area = math.prod(window)
    is_depthwise = getattr(layer, "depthwise_initializer", None) is initializer
    if is_depthwise and not hasattr(layer, "depthwise_kernel"):
        return area, area * last
    if isinstance(layer, _TRANSPOSED):
        return area * last, area * before_last
    return area * before_last, area * last // getattr(layer, "groups", 1)


@keras.saving.register_keras_serializable("keras_prelu")
class HeNormal(keras.initializers.Initializer):
    """Zero-mean Gaussian that preserves the signal's variance through rectifiers.

    `std = sqrt(2 / ((1 + slope ** 2) * fan))`. With `mode="fan_in"`, responses keep
    their variance from layer to layer; with `mode="fan_out"`, gradients do.

    Unlike `keras.initializers.HeNormal`, it is not truncated, takes a slope, offers
    `"fan_out"`, and computes the right fans for grouped, depthwise, separable and
    transposed convolutions. One instance may initialize many layers: every call draws
    new values.

    Args:
        slope: Slope of the rectifier for negative inputs: 0 for ReLU, 0.25 for an
            untrained PReLU, 1 for no rectifier.
        mode: `"fan_in"` (Eqn. 10) or `"fan_out"` (Eqn. 14).
        seed: Optional non-negative integer. By default, the values depend on
            `keras.utils.set_random_seed`. A copy of a model, such as
            `keras.models.clone_model` returns, has one instance per layer. All begin
            again with the seed, as with Keras's initializers: kernels of one shape are
            then equal.

    Examples:
        >>> initializer = keras_prelu.initializers.HeNormal(slope=0.25, seed=1)
        >>> layer = keras.layers.Dense(1000, kernel_initializer=initializer)
        >>> layer.build((None, 800))
        >>> kernel = keras.ops.convert_to_numpy(layer.kernel)
        >>> bool(abs(kernel.std() - np.sqrt(2 / (1.0625 * 800))) < 2e-4)
        True

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 2.2
    """

    def __init__(
        self, slope: float = 0.0, mode: str = "fan_in", seed: int | None = None
    ) -> None:
        if not is_real(slope):
            raise ValueError(
                f"Argument `slope` must be a finite number. Received: slope={slope!r}"
            )
        if mode not in ("fan_in", "fan_out"):
            raise ValueError(
                "Argument `mode` must be 'fan_in' or 'fan_out'. "
                f"Received: mode={mode!r}"
            )
        check_integer("seed", seed, 0, or_none=True)
        self.slope = float(slope)
        self.mode = mode
        self.seed = None if seed is None else int(seed)
        # `keras.utils.set_random_seed` seeds Python's generator too.
        entropy = random.getrandbits(64) if seed is None else self.seed
        self._seeds = np.random.SeedSequence(entropy)

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Tensor:
        """Draw new values for a kernel.

        Args:
            shape: Shape of the kernel, of rank 2 or higher.
            dtype: Dtype of the values. Defaults to Keras's `floatx`.

        Returns:
            A tensor.
        """
        if len(shape) < 2:
            raise ValueError(
                "Argument `shape` must be a kernel's, of rank 2 or higher. "
                f"Received: shape={tuple(shape)}"
            )
        fan_in, fan_out = _fans(shape, layer_being_built(), self)
        fan = fan_in if self.mode == "fan_in" else fan_out
        scale = math.sqrt(2 / ((1 + self.slope**2) * fan))
        seed = int(self._seeds.spawn(1)[0].generate_state(1)[0])
        return ops.cast(_sampler()(shape, scale, seed), dtype or keras.config.floatx())

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"slope": self.slope, "mode": self.mode, "seed": self.seed}
