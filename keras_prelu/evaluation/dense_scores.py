"""Dense testing of images that are too large to go through the convolutions at once."""

from typing import Any

import keras
import numpy as np

from keras_prelu import model_surgery
from keras_prelu.evaluation.batch_predictor import runner
from keras_prelu.evaluation.dense import dense_model

__all__ = ["DenseScores"]


def _slice(array, axis, start, stop):
    return array[(slice(None),) * axis + (slice(start, stop),)]


def _plan(cells, left_out, before, after):
    """Yield strips of a map as (first cell, first cell to keep, end of cells to keep).

    All strips have the length `cells - left_out`. Up to `before` cells at a strip's
    start and `after` cells at its end depend on pixels outside the strip, so they are
    not kept, unless the strip ends where the map ends.
    """
    done = 0
    while done < cells:
        first = min(max(done - before, 0), left_out)
        end = cells if first == left_out else first + cells - left_out - after
        yield first, done, end
        done = end


class DenseScores:
    """A function from a batch to the mean scores of all windows of each image.

    An image with more pixels than allowed is cut into overlapping strips along its
    longer side. The last feature map, and so the scores, are those of the whole image.

    Args:
        model: A net of `keras_prelu.applications`.
        pixels: The largest number of pixels, over all images, that go through the
            convolutions at once. It is exceeded if strips would be shorter than twice
            their overlap.
        strategy: A `tf.distribute.Strategy` or `None`; see `runner`.
    """

    def __init__(self, model: keras.Model, pixels: int, strategy: Any = None) -> None:
        dense = dense_model(model)
        sliding = dense.layers[-1]
        trunk = keras.Model(dense.inputs, sliding.input)
        self._pixels = pixels
        self._window = sliding.window
        self._first = model_surgery.is_channels_first(model)
        self._margins = model_surgery.margins(trunk)
        self._map_shape = trunk.compute_output_shape
        self._dense = runner(dense, strategy)
        self._trunk = runner(trunk)
        self._top = runner(keras.Model(sliding.input, dense.output))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return scores of shape `(batch, classes)`."""
        height, width = images.shape[2:] if self._first else images.shape[1:3]
        count = self._pixels // (height * width)
        if not count:
            return np.concatenate([self._of_large(image[None]) for image in images])
        return np.concatenate(
            [self._dense(images[i : i + count]) for i in range(0, len(images), count)]
        )

    def _of_large(self, image):
        """Return the scores of a batch of one image, in strips if possible."""
        sides = image.shape[2:] if self._first else image.shape[1:3]
        along = int(np.argmax(sides))
        axis = along + (2 if self._first else 1)
        cells = self._map_shape(image.shape)[axis]
        left_out = self._left_out(sides[along], min(sides), cells)
        if left_out < 1:
            return self._dense(image)
        stride, before, after = self._margins
        # Every strip starts at a multiple of the stride, and is shorter than the image
        # by such a multiple: so "same" padding treats it as it treats the image.
        length = sides[along] - left_out * stride
        kept = []
        for first, start, end in _plan(cells, left_out, before, after):
            strip = _slice(image, axis, first * stride, first * stride + length)
            kept.append(_slice(self._trunk(strip), axis, start - first, end - first))
        return self._of_map(np.concatenate(kept, axis), axis, cells - left_out)

    def _left_out(self, longer, shorter, cells):
        """Return how many cells shorter than the map a strip is."""
        if self._margins is None:
            return 0
        stride, before, after = self._margins
        wanted = -(-(longer - self._pixels // shorter) // stride)
        return min(wanted, cells - 2 * (before + after) - 1)

    def _of_map(self, maps, axis, most):
        """Return the mean over all windows of a map, `most` rows of them at a time."""
        side = self._window[axis - (2 if self._first else 1)]
        rows = maps.shape[axis] - side + 1
        total = 0.0
        for start in range(0, rows, most):
            end = min(start + most, rows)
            windows = _slice(maps, axis, start, end + side - 1)
            total = total + self._top(windows) * (end - start)
        return total / rows
