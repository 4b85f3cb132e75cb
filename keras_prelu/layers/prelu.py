"""The PReLU activation layer."""

import numbers
from typing import Any

import keras
from keras import ops

from keras_prelu.layers import data_formats
from keras_prelu.layers.rectifier import rectify
from keras_prelu.number_checks import is_real
from keras_prelu.types import Tensor

__all__ = ["PReLU"]


@keras.saving.register_keras_serializable("keras_prelu")
class PReLU(keras.layers.Layer):
    """Parametric rectifier with one learned slope per channel.

    `f(x) = max(0, x) + alpha * min(0, x)`.

    `keras.layers.PReLU` learns one slope per pixel by default, so it only takes images
    of one size, and starts every slope at 0, where it is a ReLU. This layer learns one
    slope per channel, takes images of any size and starts at 0.25.

    Do not apply weight decay to the slopes: it would pull them towards 0, which is
    ReLU. `keras_prelu.optimizers.SGD` leaves them out.

    Args:
        shared: Whether all channels share one slope.
        alpha_initializer: Number or initializer for the slopes.
        alpha_regularizer: Optional regularizer for the slopes.
        alpha_constraint: Optional constraint on the slopes. The paper uses none, so a
            slope may become negative or exceed 1.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to Keras's
            global setting. It has no effect on inputs of rank 2.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, ..., channels)`, or `(batch, channels, ...)` for `"channels_first"`,
        of rank 2 or higher.

    Output shape:
        Same as the input shape.

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
        shared: bool = False,
        alpha_initializer: Any = 0.25,
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        if "shared_axes" in kwargs:
            raise ValueError(
                "Argument `shared_axes` must be left out: unlike keras.layers.PReLU, "
                "this layer always shares a slope over all positions of a channel. "
                "Pass `shared=True` for one slope per layer. "
                f"Received: shared_axes={kwargs['shared_axes']!r}"
            )
        super().__init__(**kwargs)
        if not isinstance(shared, bool):
            raise ValueError(
                "Argument `shared` must be True (one slope) or False (one slope per "
                f"channel). Received: shared={shared!r}"
            )
        if isinstance(alpha_initializer, numbers.Real):
            if not is_real(alpha_initializer):
                raise ValueError(
                    "Argument `alpha_initializer` must be a finite number or an "
                    "initializer. "
                    f"Received: alpha_initializer={alpha_initializer!r}"
                )
            alpha_initializer = keras.initializers.Constant(float(alpha_initializer))
        self.shared = shared
        self.alpha_initializer = keras.initializers.get(alpha_initializer)
        self.alpha_regularizer = keras.regularizers.get(alpha_regularizer)
        self.alpha_constraint = keras.constraints.get(alpha_constraint)
        self.data_format = data_formats.standardize(data_format)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the slopes."""
        if len(input_shape) < 2:
            raise ValueError(
                "Argument `input_shape` must have rank 2 or higher. "
                f"Received: input_shape={tuple(input_shape)} in layer {self.name!r}"
            )
        axis = 1 if self.data_format == "channels_first" else len(input_shape) - 1
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(
                "Argument `input_shape` must have a known number of channels, on axis "
                f"{axis}. Received: input_shape={tuple(input_shape)} in layer "
                f"{self.name!r}"
            )
        # Mixed precision does not round the slopes: small updates would be lost.
        self.alpha = self.add_weight(
            shape=(1 if self.shared else channels,),
            name="alpha",
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
            autocast=False,
        )
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={axis: channels})

    def call(self, inputs: Tensor) -> Tensor:
        """Apply the rectifier."""
        if not keras.backend.is_float_dtype(inputs.dtype):
            inputs = ops.cast(inputs, self.compute_dtype)
        ones = (1,) * (len(inputs.shape) - 2)
        is_channels_first = self.data_format == "channels_first"
        shape = (-1, *ones) if is_channels_first else (*ones, -1)
        return rectify(inputs, ops.reshape(self.alpha, shape))

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return `input_shape`."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "shared": self.shared,
            "alpha_initializer": keras.initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": keras.regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": keras.constraints.serialize(self.alpha_constraint),
            "data_format": self.data_format,
        }
