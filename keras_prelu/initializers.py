"""The initializer of the PReLU networks."""

import functools
import math
import numbers
import random

import keras
import numpy as np
from keras import ops
from keras.src.backend.common import global_state

_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


@functools.cache
def _sampler():
    """Returns the function `(shape, scale, seed)` that draws a Gaussian in float32."""
    if keras.backend.backend() != "tensorflow":
        return lambda shape, scale, seed: keras.random.normal(
            shape, stddev=scale, dtype="float32", seed=seed
        )
    import tensorflow as tf

    # A graph scales its draws in place. Op by op, three copies of a kernel would be
    # alive at once: 2.8 GB for fc1 of Model C.
    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([], tf.float32),
            tf.TensorSpec([], tf.int64),
        ]
    )
    def draw(shape, scale, seed):
        return tf.random.stateless_normal(shape, [seed, 0], stddev=scale)

    return draw


def _layer_being_built():
    """Returns the layer whose weight is being created, or `None` outside of one.

    A kernel's shape alone does not tell a depthwise or transposed convolution from a
    plain one; Keras's name scopes know the layer that opened them.
    """
    scopes = global_state.get_global_attribute("name_scope_stack") or [None]
    caller = getattr(scopes[-1], "caller", None)
    return caller if isinstance(caller, keras.layers.Layer) else None


def _fans(shape, layer, initializer):
    """Returns the inputs per response and the responses per input of a kernel.

    Kernels are `(*window, inputs of a group, outputs)`, but for two kinds of layer:
    transposed convolutions keep the outputs first, depthwise ones keep `(*window,
    channels, responses per channel)`.
    """
    *window, before_last, last = shape
    area = math.prod(window)
    if getattr(layer, "depthwise_initializer", None) is initializer:
        return area, area * last
    if isinstance(layer, _TRANSPOSED):
        return area * last, area * before_last
    return area * before_last, area * last // getattr(layer, "groups", 1)


@keras.saving.register_keras_serializable("keras_prelu")
class HeNormal(keras.initializers.Initializer):
    """Zero-mean Gaussian that keeps the signal's variance through rectifiers.

    `std = sqrt(2 / ((1 + slope ** 2) * n))`. With n the inputs per response
    (`"fan_in"`) the variance of the responses stays the same from layer to layer,
    with n the responses per input (`"fan_out"`) that of the gradients does.

    Unlike `keras.initializers.HeNormal` it is not truncated, knows slopes and
    `"fan_out"`, and counts the fans of grouped, depthwise and transposed
    convolutions. One instance may serve many layers: each draw is a new one.

    Args:
        slope: Slope of the rectifier for negative inputs: 0 for ReLU, 0.25 for a
            fresh PReLU, 1 for no rectifier at all.
        mode: `"fan_in"` (Eqn. 10) or `"fan_out"` (Eqn. 14).
        seed: Optional integer. With `None`, draws follow
            `keras.utils.set_random_seed`.

    Example:

    >>> initializer = keras_prelu.initializers.HeNormal(slope=0.25, seed=1)
    >>> layer = keras.layers.Dense(1000, kernel_initializer=initializer)
    >>> layer.build((None, 800))
    >>> kernel = keras.ops.convert_to_numpy(layer.kernel)
    >>> abs(kernel.std() - np.sqrt(2 / (1.0625 * 800))) < 2e-4
    True

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 2.2
    """

    def __init__(self, slope=0.0, mode="fan_in", seed=None):
        if not isinstance(slope, numbers.Real) or not math.isfinite(slope):
            raise ValueError(
                f"Argument `slope` must be a finite number. Received: slope={slope!r}"
            )
        if mode not in ("fan_in", "fan_out"):
            raise ValueError(
                "Argument `mode` must be 'fan_in' or 'fan_out'. "
                f"Received: mode={mode!r}"
            )
        if seed is not None and (not isinstance(seed, numbers.Integral) or seed < 0):
            raise ValueError(
                "Argument `seed` must be None or an integer of at least 0. "
                f"Received: seed={seed!r}"
            )
        self.slope = float(slope)
        self.mode = mode
        self.seed = seed
        # Python's generator is one of those that `set_random_seed` sets.
        entropy = random.getrandbits(64) if seed is None else int(seed)
        self._draws = np.random.SeedSequence(entropy)

    def __call__(self, shape, dtype=None):
        """Returns a new draw of `shape`."""
        if len(shape) < 2:
            raise ValueError(
                "HeNormal draws kernels, which have 2 dimensions or more. "
                f"Received: shape={tuple(shape)}"
            )
        fan_in, fan_out = _fans(shape, _layer_being_built(), self)
        fan = fan_in if self.mode == "fan_in" else fan_out
        scale = math.sqrt(2 / ((1 + self.slope**2) * fan))
        seed = int(self._draws.spawn(1)[0].generate_state(1)[0])
        return ops.cast(_sampler()(shape, scale, seed), dtype or keras.config.floatx())

    def get_config(self):
        """Returns the constructor's arguments."""
        return {"slope": self.slope, "mode": self.mode, "seed": self.seed}
