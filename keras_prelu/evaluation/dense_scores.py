"""Dense testing of images too large to go through the convolutions at once."""

import keras
import numpy as np

from keras_prelu import model_surgery
from keras_prelu.evaluation.batch_predictor import runner
from keras_prelu.evaluation.dense import dense_model


def _part(array, axis, start, stop):
    return array[(slice(None),) * axis + (slice(start, stop),)]


def _plan(cells, left_out, before, after):
    """Yields strips of a map as (first cell, first to keep, end of those to keep).

    All strips have the same length, `cells - left_out`. What is near a strip's end,
    but not near the image's, would be wrong: `before` and `after` cells of it.
    """
    done = 0
    while done < cells:
        first = min(max(done - before, 0), left_out)
        end = cells if first == left_out else first + cells - left_out - after
        yield first, done, end
        done = end


class DenseScores:
    """The mean scores of all windows of each image of a batch.

    An image of more pixels than allowed is cut into overlapping strips along its longer
    side: the last map comes out the same as that of the whole, and so do the windows.

    Args:
        model: A net of `keras_prelu.applications`.
        pixels: How many pixels, over all images, go through the convolutions at once.
            Strips are no shorter than twice the overlap, whatever this says.
        strategy: See `runner`.
    """

    def __init__(self, model, pixels, strategy=None):
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

    def __call__(self, images):
        """Returns scores of shape `(batch, classes)`."""
        height, width = images.shape[2:] if self._first else images.shape[1:3]
        count = self._pixels // (height * width)
        if not count:
            return np.concatenate([self._of_large(image[None]) for image in images])
        return np.concatenate(
            [self._dense(images[i : i + count]) for i in range(0, len(images), count)]
        )

    def _of_large(self, image):
        """Returns the scores of a batch of one image, by strips if possible."""
        sides = image.shape[2:] if self._first else image.shape[1:3]
        along = int(np.argmax(sides))
        axis = along + (2 if self._first else 1)
        cells = self._map_shape(image.shape)[axis]
        left_out = self._left_out(sides[along], min(sides), cells)
        if left_out < 1:
            return self._dense(image)
        stride, before, after = self._margins
        # A multiple of the stride is left out of each strip, and lies before it: so
        # "same" padding falls on a strip as it falls on the image.
        length = sides[along] - left_out * stride
        kept = []
        for first, start, end in _plan(cells, left_out, before, after):
            strip = _part(image, axis, first * stride, first * stride + length)
            kept.append(_part(self._trunk(strip), axis, start - first, end - first))
        return self._of_map(np.concatenate(kept, axis), axis, cells - left_out)

    def _left_out(self, longer, shorter, cells):
        """Returns how many cells a strip is shorter than the map."""
        if self._margins is None:
            return 0
        stride, before, after = self._margins
        wanted = -(-(longer - self._pixels // shorter) // stride)
        return min(wanted, cells - 2 * (before + after) - 1)

    def _of_map(self, maps, axis, most):
        """Returns the mean over all windows of a map, `most` places at a time."""
        side = self._window[axis - (2 if self._first else 1)]
        places = maps.shape[axis] - side + 1
        total = 0.0
        for start in range(0, places, most):
            end = min(start + most, places)
            part = _part(maps, axis, start, end + side - 1)
            total = total + self._top(part) * (end - start)
        return total / places
