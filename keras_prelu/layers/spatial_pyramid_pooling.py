"""The spatial pyramid pooling layer."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_prelu.layers import data_formats
from keras_prelu.number_checks import is_integer
from keras_prelu.types import Tensor

__all__ = ["SpatialPyramidPooling"]


def _max_over_bins(maps, axis, bins):
    """Return `maps` with `axis` reduced to the maximum of each of its `bins`."""
    size = ops.shape(maps)[axis]
    before = (slice(None),) * axis
    maxima = []
    for i in range(bins):
        window = slice(i * size // bins, ((i + 1) * size + bins - 1) // bins)
        maxima.append(ops.max(maps[(*before, window)], axis=axis))
    return ops.stack(maxima, axis=axis)


def _are_levels(value):
    return (
        isinstance(value, (list, tuple))
        and len(value) > 0
        and all(is_integer(n, 1) for n in value)
    )


@keras.saving.register_keras_serializable("keras_prelu")
class SpatialPyramidPooling(keras.layers.Layer):
    """Max pooling over a pyramid of grids, into one vector per image.

    A level `n` divides the map into n x n bins and keeps the maximum of each bin. The
    length of the output depends on the levels, not on the size of the map, so a model
    with this layer before its fully connected layers takes images of any size.

    On an axis of length `a`, bin `i` of `n` covers the positions from `floor(i a / n)`
    up to, but not including, `ceil((i + 1) a / n)`. The bins cover the whole map and
    none is empty, even if there are more bins than positions. PyTorch's adaptive
    pooling uses the same rule.

    Args:
        levels: Sequence of integers, the number of bins per side at each level. The
            output has the levels in this order.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to Keras's
            global setting.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)` for
        `"channels_first"`. Height and width may be unknown, and smaller than the
        number of bins.

    Output shape:
        `(batch, bins * channels)`, where `bins` is the sum of the squared levels. The
        bins of each level are in row-major order, and the channels of each bin are
        together. The order is the same for both data formats, so weights of the next
        layer fit both.

    Examples:
        >>> maps = np.arange(16.0).reshape((1, 4, 4, 1))
        >>> pooled = keras_prelu.layers.SpatialPyramidPooling(levels=(2, 1))(maps)
        >>> keras.ops.convert_to_numpy(pooled).tolist()
        [[5.0, 7.0, 13.0, 15.0, 15.0]]

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), Table 3;
        [He et al., 2014](https://arxiv.org/abs/1406.4729), section 2.2
    """

    def __init__(
        self,
        levels: Sequence[int] = (7, 3, 2, 1),
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not _are_levels(levels):
            raise ValueError(
                "Argument `levels` must be a non-empty tuple of integers of at least "
                f"1. Received: levels={levels!r}"
            )
        self.levels = tuple(int(level) for level in levels)
        self.data_format = data_formats.standardize(data_format)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    @property
    def bins(self) -> int:
        """Number of bins of all levels together."""
        return sum(level * level for level in self.levels)

    def call(self, inputs: Tensor) -> Tensor:
        """Pool the maps."""
        is_channels_first = self.data_format == "channels_first"
        row_axis = 2 if is_channels_first else 1
        vectors = []
        for level in self.levels:
            bins = _max_over_bins(inputs, row_axis, level)
            bins = _max_over_bins(bins, row_axis + 1, level)
            if is_channels_first:
                bins = ops.transpose(bins, (0, 2, 3, 1))
            channels = bins.shape[-1]
            vectors.append(ops.reshape(bins, (-1, level * level * channels)))
        return ops.concatenate(vectors, axis=-1)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return `(batch, bins * channels)`."""
        axis = 1 if self.data_format == "channels_first" else 3
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(
                "Argument `input_shape` must have a known number of channels, on axis "
                f"{axis}. Received: input_shape={tuple(input_shape)} in layer "
                f"{self.name!r}"
            )
        return (input_shape[0], self.bins * channels)

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        """Return the output's shape, with the dtype of the maps."""
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype=inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "levels": self.levels,
            "data_format": self.data_format,
        }
