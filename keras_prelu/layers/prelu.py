"""The parametric rectifier."""

import numbers

import keras
from keras import ops

from keras_prelu.layers import data_formats


def _sum_to(shape, values):
    """Returns the sum of `values` over the axes along which `shape` is broadcast."""
    *others, channels = shape
    if channels > 1 and all(size == 1 for size in others):
        # On CPUs a matrix product is faster than a reduction: benchmarks/layers.py.
        rows = ops.reshape(values, (-1, channels))
        ones = ops.expand_dims(ops.ones_like(rows[:, 0]), 0)
        return ops.reshape(ops.matmul(ones, rows), shape)
    broadcast = [i + 1 for i, size in enumerate(shape) if size == 1]
    return ops.reshape(ops.sum(values, axis=[0, *broadcast]), shape)


@ops.custom_gradient
def _rectify(x, alpha):
    """Returns `max(0, x) + alpha * min(0, x)`, and its gradient.

    The gradient keeps `x` and `alpha` alone; the automatic one would keep two
    rectified copies of `x` besides. The forward pass is written in the form, and
    with the rank of `alpha`, that the LiteRT converter fuses into one PRELU op.
    """

    def gradient(*args, upstream=None):
        if upstream is None:
            (upstream,) = args
        slope = ops.cast(alpha, x.dtype)
        into_x = ops.where(x > 0, upstream, slope * upstream)
        into_alpha = _sum_to(alpha.shape, upstream * ops.minimum(x, 0))
        return into_x, ops.cast(into_alpha, alpha.dtype)

    negative_slope = ops.cast(-alpha, x.dtype)
    return ops.relu(x) + negative_slope * ops.relu(-x), gradient


@keras.saving.register_keras_serializable("keras_prelu")
class PReLU(keras.layers.Layer):
    """Parametric rectifier with one learned slope per channel.

    `f(x) = max(0, x) + alpha * min(0, x)`.

    Unlike `keras.layers.PReLU`, it learns a slope per channel and not per pixel,
    so that the layer takes maps of any size, and starts at 0.25 and not at 0, where
    it would be a ReLU. Slopes are to be spared weight decay, which would pull them
    back to ReLU; `keras_prelu.optimizers.SGD` knows them by their name, `alpha`.

    Args:
        shared: Whether the channels share one slope.
        alpha_initializer: A number, or an initializer of the slopes.
        alpha_regularizer: Optional regularizer of the slopes.
        alpha_constraint: Optional constraint on the slopes. The paper sets none:
            a slope may turn negative or exceed 1.
        data_format: `"channels_last"` or `"channels_first"`; Keras's global
            setting by default. Without effect on inputs of rank 2.
        **kwargs: Keras's own layer arguments, such as `name` and `dtype`.

    Input shape:
        Any of rank 2 and more: `(batch, ..., channels)`, or
        `(batch, channels, ...)` for `"channels_first"`.

    Output shape:
        That of the input.

    Examples:
        >>> layer = keras_prelu.layers.PReLU()
        >>> y = layer(np.array([[-4.0, 2.0]], "float32"))
        >>> keras.ops.convert_to_numpy(y).tolist()
        [[-1.0, 2.0]]
        >>> tuple(layer.alpha.shape)
        (2,)

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 2.1
    """

    def __init__(
        self,
        shared=False,
        alpha_initializer=0.25,
        alpha_regularizer=None,
        alpha_constraint=None,
        data_format=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(shared, bool):
            raise ValueError(
                "Argument `shared` must be True (one slope) or False (one slope per "
                f"channel). Received: shared={shared!r}"
            )
        if isinstance(alpha_initializer, numbers.Real):
            alpha_initializer = keras.initializers.Constant(float(alpha_initializer))
        self.shared = shared
        self.alpha_initializer = keras.initializers.get(alpha_initializer)
        self.alpha_regularizer = keras.regularizers.get(alpha_regularizer)
        self.alpha_constraint = keras.constraints.get(alpha_constraint)
        self.data_format = data_formats.standardize(data_format)
        self.supports_masking = True

    def build(self, input_shape):
        """Creates the slopes for inputs of `input_shape`."""
        if len(input_shape) < 2:
            raise ValueError(
                f"{self.name} takes inputs of rank 2 and more. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        axis = 1 if self.data_format == "channels_first" else len(input_shape) - 1
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(
                f"{self.name} needs the number of channels, axis {axis} of its input. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        # float32 also where the computation is not: small updates must not be lost.
        self.alpha = self.add_weight(
            shape=(1 if self.shared else channels,),
            name="alpha",
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
            autocast=False,
        )
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={axis: channels})

    def call(self, inputs):
        """Applies the rectifier."""
        ones = (1,) * (len(inputs.shape) - 2)
        first = self.data_format == "channels_first"
        shape = (-1, *ones) if first else (*ones, -1)
        return _rectify(inputs, ops.reshape(self.alpha, shape))

    def compute_output_shape(self, input_shape):
        """Returns `input_shape`."""
        return input_shape

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "shared": self.shared,
            "alpha_initializer": keras.initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": keras.regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": keras.constraints.serialize(self.alpha_constraint),
            "data_format": self.data_format,
        }
