"""Dense testing: scores of all windows of an image, from one pass of convolutions."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_prelu import model_surgery
from keras_prelu.layers import data_formats
from keras_prelu.types import Tensor

__all__ = ["SlidingTop", "bins", "dense_model"]


def _sliding_maxima(maps, axis, length):
    """Return the maximum of every `length` successive cells along an axis.

    Each step takes the maximum of two shifted maps, which doubles the cells that are
    covered: 14 cells take 4 steps.
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


def bins(side: int, level: int) -> list[tuple[int, int]]:
    """Return (start, length) of each bin, by the rule of SpatialPyramidPooling."""
    starts = [i * side // level for i in range(level)]
    ends = [-(-(i + 1) * side // level) for i in range(level)]
    return [(start, end - start) for start, end in zip(starts, ends, strict=True)]


def _pooled_windows(maps, levels, window):
    """Apply spatial pyramid pooling to every window of maps.

    The maximum over a bin is one cell of the map of sliding maxima of the bin's size:
    for the window at (y, x), its row is y plus the bin's first row, and its column is x
    plus the bin's first column. So one map of maxima per bin size serves all windows.

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
        for top, height in bins(window[0], level):
            for left, width in bins(window[1], level):
                if (height, width) not in maxima:
                    tall = _sliding_maxima(maps, 1, height)
                    maxima[height, width] = _sliding_maxima(tall, 2, width)
                pooled = maxima[height, width]
                vectors.append(pooled[:, top : top + rows, left : left + columns])
    return ops.concatenate(vectors, axis=-1)


def _check_in_graph(maps, message, window):
    """Return the maps, checked when the graph runs, as their size is known only then.

    An operation of TensorFlow stays in exported models, unlike a Python error.
    """
    import tensorflow as tf

    sizes = tf.shape(maps)[1:3]
    is_large_enough = tf.reduce_all(sizes >= window)
    check = tf.debugging.Assert(is_large_enough, [f"{message} height and width", sizes])
    with tf.control_dependencies([check]):
        return tf.identity(maps)


@keras.saving.register_keras_serializable("keras_prelu")
class SlidingTop(keras.layers.Layer):
    """The top of a net on every window of a map: the last layer of `dense_model`.

    The first fully connected layer on all windows is a convolution whose kernel is as
    large as a window. It is computed as one matrix product of the pooled windows and
    the layer's own kernel. This takes the smallest possible number of multiply-adds,
    and no weight is copied.

    Args:
        levels: Bins per side of each level of the pooling.
        window: Height and width of the windows.
        top: A `keras.Model` from one window's pooled vector to its scores.
        average: Whether to return the mean of the windows' scores. Defaults to `True`.
        data_format: Data format of the maps. Defaults to Keras's global setting.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)` for
        `"channels_first"`. Maps must be at least as large as a window.

    Output shape:
        `(batch, classes)`, or with `average=False`: `(batch, rows, columns, classes)`.
        Row y and column x contain the scores of the window whose upper left cell is
        (y, x).

    Examples:
        >>> top = keras.Sequential([keras.Input((2,)), keras.layers.Softmax()])
        >>> layer = keras_prelu.evaluation.dense.SlidingTop((1,), (3, 3), top)
        >>> tuple(layer(np.zeros((1, 5, 7, 2))).shape)
        (1, 2)

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 4
    """

    def __init__(
        self,
        levels: Sequence[int],
        window: Sequence[int],
        top: keras.Model,
        average: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        # Scores are averaged in float32. The layers of the top cast their own inputs.
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})
        self.levels = tuple(levels)
        self.window = tuple(window)
        self.top = top
        self.average = average
        self.data_format = data_formats.standardize(data_format)
        # XLA on TensorFlow ignores the check of sizes that are unknown in the graph.
        self.supports_jit = keras.backend.backend() != "tensorflow"

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Do nothing, because the top is built already."""

    def _check_size(self, height, width):
        if any(
            size is not None and size < side
            for size, side in zip((height, width), self.window, strict=True)
        ):
            raise ValueError(f"{self._size_error} {height}x{width} cells")

    @property
    def _size_error(self):
        return (
            "Argument `maps` must be at least as large as a window, "
            f"{self.window[0]}x{self.window[1]} cells; enlarge the images. "
            "Received: maps of"
        )

    def call(self, maps: Tensor) -> Tensor:
        """Return the scores of all windows, or their mean."""
        if self.data_format == "channels_first":
            maps = ops.transpose(maps, (0, 2, 3, 1))
        self._check_size(*maps.shape[1:3])
        if keras.backend.backend() == "tensorflow" and None in maps.shape[1:3]:
            maps = _check_in_graph(maps, self._size_error, self.window)
        pooled = _pooled_windows(maps, self.levels, self.window)
        _, rows, columns, length = ops.shape(pooled)
        scores = self.top(ops.reshape(pooled, (-1, length)), training=False)
        scores = ops.reshape(scores, (-1, rows, columns, scores.shape[-1]))
        return ops.mean(scores, axis=(1, 2)) if self.average else scores

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return the shape of the scores."""
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

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            **super().get_config(),
            "levels": self.levels,
            "window": self.window,
            "top": keras.saving.serialize_keras_object(self.top),
            "average": self.average,
            "data_format": self.data_format,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SlidingTop":
        """Return a layer whose top is built from its configuration."""
        top = keras.saving.deserialize_keras_object(config["top"])
        return cls(**{**config, "top": top})


def dense_model(model: keras.Model, average: bool = True) -> keras.Model:
    """Return a model that scores every window of images of any size, in one pass.

    The convolutions run once over the whole image. A window of the last feature map is
    as large as the map of the net's input size: 14x14 cells for the large nets at
    224x224. Each window goes through the spatial pyramid pooling and the fully
    connected layers. The scores equal those of windows that are cut out of the map.
    Nets without a fixed input size are treated as nets for 224x224.

    Smaller images raise an error. Do not convert the model to LiteRT: the file lacks
    this check, and may return NaN. `keras_prelu.export.litert` refuses dense models,
    and `keras_prelu.export.onnx` has the option `dense`.

    The new model shares the layers of `model`. It needs no memory for weights, and
    training one model changes both.

    Args:
        model: A net of `keras_prelu.applications` with its top, ending in a softmax or
            in logits.
        average: Whether to average the windows' scores. Defaults to `True`.

    Returns:
        A `keras.Model` from images, at least as large as the net's input size, to
        softmax scores of shape `(batch, classes)`, or `(batch, rows, columns, classes)`
        with `average=False`.

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
    return keras.Model(trunk.inputs[0], sliding(trunk.output), name=name)
