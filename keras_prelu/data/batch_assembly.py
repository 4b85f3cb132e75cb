"""Reading a batch of pictures, so that a bad one neither stops the run nor shifts it.

Damage shows only while decoding, inside the graph, where an error ends a batch. So a
batch is first made on the fast road; if that fails, it is read again, each picture
proven by decoding it, and the bad ones replaced and remembered. What takes a bad
picture's place is a function of the files alone: the next good one in the source's
order.
"""

import enum
import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_prelu.data.decoding import BadImageError, read_header
from keras_prelu.data.errors import DataError
from keras_prelu.data.python_functions import call_python
from keras_prelu.data.sources import Source
from keras_prelu.platforms import usable_cores

CORES = usable_cores()

# What is known of each picture when it has been read: type and shape.
_PICTURE = {
    "data": (tf.string, []),
    "label": (tf.int32, []),
    "epoch": (tf.int64, []),
    "index": (tf.int64, []),
    "area": (tf.int32, [4]),
    "decoder": (tf.int32, []),
    "factor": (tf.int32, []),
    "box": (tf.float32, [4]),
    # Keras adds up the replicas' parts of a batch to learn its shape: no bool.
    "flip": (tf.uint8, []),
    "shift": (tf.float32, [3]),
}


class Extent(enum.Enum):
    """Which windows of a picture cannot be decoded: all, or those that reach too low.

    A picture that is bad everywhere is not tried again. Whether one that is bad
    somewhere stands in its batch is a matter of what was drawn for it alone, not of
    what has happened before: so it is tried each time, before its batch is made.
    """

    EVERYWHERE = enum.auto()
    SOMEWHERE = enum.auto()


class BatchAssembler(NamedTuple):
    """How the batches of a training run are made.

    Attributes:
        source: A source.
        plan: Function from a header, an epoch and an index to a dict of the fields of
            a picture from `"area"` on.
        prepare: Function from a picture, a dict of tensors, to what is batched.
        shapes: What `prepare` returns is padded with zeros to these.
        batch_size: Pictures in a batch.
    """

    source: Source
    plan: Callable
    prepare: Callable
    shapes: tuple
    batch_size: int

    def reader(self, wanted):
        """A function for `Dataset.map`, from a step to its pictures, still encoded.

        Args:
            wanted: Function from a step to two arrays, epochs and indices.
        """
        return _graph_function(lambda step: self._read(*wanted(step)))

    def batch(self, pictures):
        """The function for `Dataset.interleave`: read pictures to one batch."""
        again = tf.data.Dataset.from_tensors((pictures["epoch"], pictures["index"]))
        prove = _graph_function(lambda *wanted: self._read(*wanted, proven=True))
        # `concatenate` makes nothing of its second part while the first suffices.
        return (
            self._assemble(pictures)
            .ignore_errors()
            .concatenate(again.map(prove).flat_map(self._assemble))
            .take(1)
        )

    def _assemble(self, pictures):
        return (
            tf.data.Dataset.from_tensor_slices(pictures)
            .map(self.prepare, num_parallel_calls=CORES, deterministic=True)
            .padded_batch(self.batch_size, self.shapes, drop_remainder=True)
        )

    def _read(self, epochs, indices, proven=False):
        rows = [
            self._good_picture(int(epoch), int(index), proven)
            for epoch, index in zip(epochs, indices, strict=True)
        ]
        return [
            np.array([row[name] for row in rows], dtype.as_numpy_dtype)
            for name, (dtype, _) in _PICTURE.items()
        ]

    def _good_picture(self, epoch, index, proven):
        """A picture, or the next one that can be decoded."""
        source = self.source
        for distance in range(len(source)):
            candidate = (index + distance) % len(source)
            bad = source.bad.get(candidate)
            if bad is Extent.EVERYWHERE:
                continue
            data, label = source.read(candidate)
            try:
                fields = self.plan(read_header(data), epoch, index)
                fields |= {"data": data, "label": label, "epoch": epoch, "index": index}
                if proven or bad:
                    self._prove(fields)
            except BadImageError as error:
                source.bad[candidate] = _extent(data)
                source.skip(candidate, str(error))
            else:
                return fields
        raise DataError(f"No picture of the source can be decoded: {source.skipped}")

    def _prove(self, fields):
        """Prepares a picture for nothing but the error that it may raise."""
        picture = {
            name: tf.constant(fields[name], dtype)
            for name, (dtype, _) in _PICTURE.items()
        }
        try:
            self.prepare(picture)
        except tf.errors.OpError as error:
            raise BadImageError(reason_of(error)) from error


def _graph_function(read):
    """Wraps a function that returns the columns of `_PICTURE` as arrays."""

    def load(*arguments):
        types = [dtype for dtype, _ in _PICTURE.values()]
        columns = call_python(read, arguments, types)
        return {
            name: tf.ensure_shape(column, [None, *shape])
            for (name, (_, shape)), column in zip(
                _PICTURE.items(), columns, strict=True
            )
        }

    return load


def _extent(data):
    """How much of a picture that has failed cannot be decoded."""
    try:
        if read_header(data).plain:
            # All windows are decoded from the first row down.
            tf.io.decode_and_crop_jpeg(data, [0, 0, 1, 1], channels=3)
            return Extent.SOMEWHERE
    except (BadImageError, tf.errors.OpError):
        pass
    return Extent.EVERYWHERE


def reason_of(error):
    """What an error of a TensorFlow op says, without the names of graph nodes."""
    return re.sub(r"\{\{.*?\}\} | \[Op:.*", "", error.message.split("\n")[0])
