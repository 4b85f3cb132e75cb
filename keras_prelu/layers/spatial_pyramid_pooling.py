"""Spatial pyramid pooling: a vector of one length from maps of any size."""

import numbers

import keras
from keras import ops

from keras_prelu.layers import data_formats


def _max_over_bins(maps, axis, bins):
    """Returns `maps` with `axis` replaced by the maxima of its `bins`.

    Bin i of n over a rows covers rows floor(i a / n) to ceil((i + 1) a / n), the end
    not included: together they cover every row, and none is empty, however few
    rows there are.
    """
    size = ops.shape(maps)[axis]
    before = (slice(None),) * axis
    maxima = []
    for i in range(bins):
        window = slice(i * size // bins, ((i + 1) * size + bins - 1) // bins)
        maxima.append(ops.max(maps[(*before, window)], axis=axis))
    return ops.stack(maxima, axis=axis)


@keras.saving.register_keras_serializable("keras_prelu")
class SpatialPyramidPooling(keras.layers.Layer):
    """Max pooling over a pyramid of grids, into one vector per image.

    A level `n` divides the map into n x n bins and keeps the maximum of each, so the
    length of the output depends on the levels and not on the size of the map: a net
    with this layer before its fully connected ones takes images of any size.

    Bin i of n over a rows covers rows floor(i a / n) to ceil((i + 1) a / n), the end
    not included, and likewise for columns: the rule of torch's adaptive pooling.

    Args:
        levels: Bins per side of each level, in the order of the output.
        data_format: `"channels_last"` or `"channels_first"`; Keras's global
            setting by default.
        **kwargs: Keras's own layer arguments, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)` for
        `"channels_first"`. Height and width may be unknown, and smaller than the
        number of bins.

    Output shape:
        `(batch, bins * channels)`, with `bins` the sum of the squared levels: the
        levels in the order given, each row by row, the channels of a bin together.
        The order is the same for both data formats, so that weights are too.

    Examples:
        >>> maps = np.arange(16.0).reshape((1, 4, 4, 1))
        >>> pooled = keras_prelu.layers.SpatialPyramidPooling(levels=(2, 1))(maps)
        >>> keras.ops.convert_to_numpy(pooled).tolist()
        [[5.0, 7.0, 13.0, 15.0, 15.0]]

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), Table 3, after
        [He et al., 2014](https://arxiv.org/abs/1406.4729)
    """

    def __init__(self, levels=(7, 3, 2, 1), data_format=None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(levels, (list, tuple)) or not levels:
            raise ValueError(
                "Argument `levels` must be a non-empty tuple of bins per side. "
                f"Received: levels={levels!r}"
            )
        for level in levels:
            if not isinstance(level, numbers.Integral) or level < 1:
                raise ValueError(
                    "Argument `levels` must hold integers of at least 1. "
                    f"Received: levels={levels!r}"
                )
        self.levels = tuple(int(level) for level in levels)
        self.data_format = data_formats.standardize(data_format)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    @property
    def bins(self):
        """Number of bins, over all levels."""
        return sum(level * level for level in self.levels)

    def call(self, inputs):
        """Pools the maps."""
        first = self.data_format == "channels_first"
        rows = 2 if first else 1
        vectors = []
        for level in self.levels:
            bins = _max_over_bins(inputs, rows, level)
            bins = _max_over_bins(bins, rows + 1, level)
            if first:
                bins = ops.transpose(bins, (0, 2, 3, 1))
            channels = bins.shape[-1]
            vectors.append(ops.reshape(bins, (-1, level * level * channels)))
        return ops.concatenate(vectors, axis=-1)

    def compute_output_shape(self, input_shape):
        """Returns `(batch, bins * channels)`."""
        axis = 1 if self.data_format == "channels_first" else 3
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(
                f"{self.name} needs the number of channels, axis {axis} of its input. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        return (input_shape[0], self.bins * channels)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "levels": self.levels,
            "data_format": self.data_format,
        }
