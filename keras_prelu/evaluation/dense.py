"""Dense testing: the scores of all windows of an image, the convolutions done once."""

import keras
from keras import ops

from keras_prelu import model_surgery
from keras_prelu.layers import data_formats


def _sliding_maxima(maps, axis, length):
    """Returns the maximum of every `length` successive places along an axis.

    A maximum over 2n places is that of two over n: 14 places take 4 steps.
    """
    before = (slice(None),) * axis
    covered = 1
    while covered < length:
        step = min(covered, length - covered)
        maps = ops.maximum(
            maps[(*before, slice(None, -step))], maps[(*before, slice(step, None))]
        )
        covered += step
    return maps


def _bins(side, level):
    """Returns (start, length) of each bin, by the rule of SpatialPyramidPooling."""
    starts = [i * side // level for i in range(level)]
    ends = [-(-(i + 1) * side // level) for i in range(level)]
    return [(start, end - start) for start, end in zip(starts, ends, strict=True)]


def _pooled_windows(maps, levels, window):
    """Applies spatial pyramid pooling to every window of some maps.

    Bin (i, j) of the window at (y, x) is a place of the map of sliding maxima of that
    bin's size: its row y plus the bin's first row, and likewise for columns. So all
    windows share the maxima, which are as many maps as there are sizes of bins.

    Args:
        maps: Of shape `(batch, height, width, channels)`.
        levels: Bins per side of each level.
        window: Height and width of the windows.

    Returns:
        `(batch, height - window[0] + 1, width - window[1] + 1, bins * channels)`.
    """
    rows, columns = (
        size - side + 1 for size, side in zip(ops.shape(maps)[1:3], window, strict=True)
    )
    maxima, vectors = {}, []
    for level in levels:
        for top, height in _bins(window[0], level):
            for left, width in _bins(window[1], level):
                if (height, width) not in maxima:
                    tall = _sliding_maxima(maps, 1, height)
                    maxima[height, width] = _sliding_maxima(tall, 2, width)
                pooled = maxima[height, width]
                vectors.append(pooled[:, top : top + rows, left : left + columns])
    return ops.concatenate(vectors, axis=-1)


@keras.saving.register_keras_serializable("keras_prelu")
class SlidingTop(keras.layers.Layer):
    """The top of a net on every window of a map: what `dense_model` ends in.

    The first fully connected layer on all windows is a convolution whose kernel is as
    large as a window. It is computed as one matrix product of the pooled windows and
    the layer's own kernel as it lies: no fewer multiply-adds give the same sums, and
    no weight is copied.

    Args:
        levels: Bins per side of each level of the pooling.
        window: Height and width of the windows.
        top: A `keras.Model` from one window's pooled vector to its scores.
        average: Whether to return the mean of the windows' scores.
        data_format: Of the maps; Keras's global setting by default.
        **kwargs: Keras's own layer arguments, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)` for
        `"channels_first"`; at least as large as a window.

    Output shape:
        `(batch, classes)`; with `average=False`, `(batch, rows, columns, classes)`:
        row y, column x are the scores of the window whose upper left cell is (y, x).

    Examples:
        >>> top = keras.Sequential([keras.Input((2,)), keras.layers.Softmax()])
        >>> layer = keras_prelu.evaluation.dense.SlidingTop((1,), (3, 3), top)
        >>> tuple(layer(np.zeros((1, 5, 7, 2))).shape)
        (1, 2)

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 4
    """

    def __init__(self, levels, window, top, average=True, data_format=None, **kwargs):
        # Scores are averaged in float32; the top's layers cast what they are given.
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})
        self.levels = tuple(levels)
        self.window = tuple(window)
        self.top = top
        self.average = average
        self.data_format = data_formats.standardize(data_format)

    def build(self, input_shape):
        """Does nothing: the top is built."""

    def _check_size(self, height, width):
        if any(
            size is not None and size < side
            for size, side in zip((height, width), self.window, strict=True)
        ):
            raise ValueError(
                f"The last map must have the {self.window[0]}x{self.window[1]} cells "
                "of a window at least; enlarge the images. "
                f"Received: a map of {height}x{width}"
            )

    def call(self, maps):
        """Returns the scores."""
        if self.data_format == "channels_first":
            maps = ops.transpose(maps, (0, 2, 3, 1))
        self._check_size(*maps.shape[1:3])
        pooled = _pooled_windows(maps, self.levels, self.window)
        _, rows, columns, length = ops.shape(pooled)
        scores = self.top(ops.reshape(pooled, (-1, length)), training=False)
        scores = ops.reshape(scores, (-1, rows, columns, scores.shape[-1]))
        return ops.mean(scores, axis=(1, 2)) if self.average else scores

    def compute_output_shape(self, input_shape):
        """Returns the shape of the scores."""
        batch, *sizes = input_shape
        first = self.data_format == "channels_first"
        sizes = sizes[1:] if first else sizes[:2]
        self._check_size(*sizes)
        classes = self.top.output_shape[-1]
        if self.average:
            return (batch, classes)
        windows = [
            None if size is None else size - side + 1
            for size, side in zip(sizes, self.window, strict=True)
        ]
        return (batch, *windows, classes)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "levels": self.levels,
            "window": self.window,
            "top": keras.saving.serialize_keras_object(self.top),
            "average": self.average,
            "data_format": self.data_format,
        }

    @classmethod
    def from_config(cls, config):
        """Makes the top from its configuration."""
        top = keras.saving.deserialize_keras_object(config.pop("top"))
        return cls(top=top, **config)


def dense_model(model, average=True):
    """Returns a model that scores every window of images of any size, in one pass.

    The convolutions run once over the whole image; every window of the last map, as
    large as the map of the net's own input size (14x14 for the large nets at 224x224),
    is pooled by the spatial pyramid and goes through the fully connected layers. The
    result is exact: that of cutting each window out of the map. A net without a fixed
    input size counts as one of 224x224.

    The new model has the layers of `model`, not copies of them: it takes no memory for
    weights, and changes as they change.

    Args:
        model: A net of `keras_prelu.applications` with its top, ending in a softmax or
            in logits.
        average: Whether to average the windows' scores; else a map of them.

    Returns:
        A `keras.Model` from images, at least as large as the net's own input size, to
        softmax scores: `(batch, classes)`, or `(batch, rows, columns, classes)` for
        `average=False`.

    Examples:
        >>> model = keras_prelu.applications.ModelA(width=1 / 64, classes=10)
        >>> dense = keras_prelu.evaluation.dense_model(model, average=False)
        >>> dense.predict(np.zeros((1, 256, 320, 3), "uint8"), verbose=0).shape
        (1, 3, 7, 10)

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 4
    """
    trunk, pooling, top, window = model_surgery.split(model)
    sliding = SlidingTop(
        pooling.levels,
        window,
        top,
        average=average,
        data_format=pooling.data_format,
        name="scores",
    )
    name = f"dense_{model.name}"
    return keras.Model(trunk.inputs, sliding(trunk.output), name=name)
