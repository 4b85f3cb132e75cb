"""Assembly of training batches from images that may be damaged.

Damage is only discovered while an image is decoded inside the graph, where an error
ends the batch. So a batch is first assembled without any checks. If that fails, its
images are read again, each one is tested by decoding it, and bad ones are replaced and
remembered. The replacement depends on the files only: it is the next good image in the
order of the source.
"""

import enum
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_prelu.data.batch_format import EncodedImage, Plan, Window, specs
from keras_prelu.data.decoding import BadImageError, Header, read_header
from keras_prelu.data.python_functions import call_python
from keras_prelu.data.replacement import first_good
from keras_prelu.data.sources import Source
from keras_prelu.data.tf_decoding import check_jpeg, decode_window, reason_of
from keras_prelu.data.threads import CORES
from keras_prelu.types import Tensor

__all__ = ["BatchAssembler", "Extent"]

_FIELDS = specs(EncodedImage)
# Decoding needs these fields. The others stay columns: taking a batch apart and putting
# it together again costs time for each field of each image.
_NEEDED = ("data", *specs(Window))
_KEPT = ("label", *specs(Plan))
_DTYPES = {name: tf.as_dtype(spec.dtype) for name, spec in _FIELDS.items()}


class Extent(enum.Enum):
    """Which windows of a bad image cannot be decoded: all, or those that reach low.

    An image that is bad everywhere is not tried again. Whether an image that is bad
    somewhere can be used depends on the window that was drawn. It must not depend on
    earlier batches, so such an image is tested before each batch that needs it.
    """

    EVERYWHERE = enum.auto()
    SOMEWHERE = enum.auto()


class BatchAssembler(NamedTuple):
    """The functions and sizes that make a training run's batches.

    Attributes:
        source: A `Source`.
        plan: Function from a header, an epoch and an index to the `Plan` of an image.
        side: Side of the square that windows are padded to with zeros.
        batch_size: Number of images in a batch.
    """

    source: Source
    plan: Callable[[Header, int, int], Plan]
    side: int
    batch_size: int

    def reader(
        self, wanted: Callable[[int], tuple[np.ndarray, np.ndarray]]
    ) -> Callable[[Tensor], EncodedImage]:
        """Return a function for `Dataset.map` from a step to its encoded images.

        Args:
            wanted: Function from a step to two arrays, epochs and indices.
        """
        return self._graph_function(lambda step: self._read(*wanted(step)))

    def batch(self, images: EncodedImage) -> tf.data.Dataset:
        """Return a dataset of one batch, for `Dataset.interleave`.

        Its element is a tuple of the pixels and the columns of `Plan` and the labels.

        Args:
            images: Columns of encoded images, from `reader`.
        """
        again = tf.data.Dataset.from_tensors((images["epoch"], images["index"]))
        test = self._graph_function(
            lambda epochs, indices: self._read(epochs, indices, tested=True)
        )
        # `concatenate` does not compute its second part unless the first is too short.
        return (
            self._assemble(images)
            .ignore_errors()
            .concatenate(again.map(test).flat_map(self._assemble))
            .take(1)
        )

    def _assemble(self, images):
        needed = {name: images[name] for name in _NEEDED}
        columns = {name: images[name] for name in _KEPT}
        pixels = (
            tf.data.Dataset.from_tensor_slices(needed)
            .map(_window, num_parallel_calls=CORES, deterministic=True)
            .padded_batch(
                self.batch_size, [self.side, self.side, 3], drop_remainder=True
            )
        )
        return tf.data.Dataset.zip(pixels, tf.data.Dataset.from_tensors(columns))

    def _graph_function(self, read):
        """Wrap a function that returns the columns of `EncodedImage`s as arrays."""

        def load(*arguments):
            columns = call_python(read, arguments, [*_DTYPES.values()])
            return {
                name: tf.ensure_shape(column, [self.batch_size, *spec.shape])
                for (name, spec), column in zip(_FIELDS.items(), columns, strict=True)
            }

        return load

    def _read(self, epochs, indices, tested=False):
        images = [
            self._good_image(int(epoch), int(index), tested)
            for epoch, index in zip(epochs, indices, strict=True)
        ]
        return [
            np.array([image[name] for image in images], dtype.as_numpy_dtype)
            for name, dtype in _DTYPES.items()
        ]

    def _good_image(self, epoch, index, tested):
        """Return the image at an index, or the next one that can be decoded."""
        bad = self.source.bad

        def encoded(position, data, label):
            try:
                plan = self.plan(read_header(data), epoch, index)
                image = EncodedImage(
                    data=data, label=label, epoch=epoch, index=index, **plan
                )
                if tested or position in bad:
                    _test(image)
            except BadImageError:
                bad[position] = _extent(data)
                raise
            return image

        return first_good(
            self.source, index, encoded, lambda i: bad.get(i) is Extent.EVERYWHERE
        )


def _window(image):
    return decode_window(image["data"], image)


def _test(image):
    """Raise an error if the window of an image cannot be decoded."""
    try:
        _window({name: tf.constant(image[name], _DTYPES[name]) for name in _NEEDED})
    except tf.errors.OpError as error:
        raise BadImageError(reason_of(error)) from error


def _extent(data):
    try:
        if read_header(data).plain:
            # Every window is decoded from the first row down.
            check_jpeg(data, only_first_row=True)
            return Extent.SOMEWHERE
    except BadImageError:
        pass
    return Extent.EVERYWHERE
