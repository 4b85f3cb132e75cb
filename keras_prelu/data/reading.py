"""Reading a batch of pictures, so that a bad one neither stops the run nor shifts it.

Damage shows only while decoding, inside the graph, where an error ends a batch. So a
batch is first made on the fast road; if that fails, it is read again, each picture
proven by decoding it, and the bad ones replaced. What takes a bad picture's place is
a function of the files alone: the next good one in the source's order.
"""

import os
import re

import numpy as np
import tensorflow as tf

from keras_prelu.data.decoding import BadPictureError, read_header

CORES = len(os.sched_getaffinity(0))

_PICTURE = {
    "data": tf.string,
    "height": tf.int64,
    "width": tf.int64,
    "plain": tf.bool,
    "label": tf.int32,
    "epoch": tf.int64,
    "index": tf.int64,
}


def reader(source, wanted):
    """A function for `Dataset.map`, from a step to its pictures, still encoded.

    Args:
        source: A source.
        wanted: Function from a step to two arrays, epochs and indices.

    Returns:
        A function from a step to a dict of tensors, one entry a picture.
    """
    return _graph_function(lambda step: _read(source, *wanted(step)))


def batch_maker(source, prepare, shapes, batch_size):
    """A function for `Dataset.interleave`, from read pictures to one batch.

    Args:
        source: A source.
        prepare: Function from one picture, a dict of tensors, to what is batched.
        shapes: What `prepare` returns is padded with zeros to these.
        batch_size: Pictures in the batch.

    Returns:
        A function from a dict of tensors to a `tf.data.Dataset` of one batch.
    """

    def assemble(pictures):
        return (
            tf.data.Dataset.from_tensor_slices(pictures)
            .map(prepare, num_parallel_calls=CORES, deterministic=True)
            .padded_batch(batch_size, shapes, drop_remainder=True)
        )

    def proven(epochs, indices):
        return _read(source, epochs, indices, proof=prepare)

    read_again = _graph_function(proven)

    def make(pictures):
        again = tf.data.Dataset.from_tensors((pictures["epoch"], pictures["index"]))
        # `concatenate` makes nothing of its second part while the first suffices.
        return (
            assemble(pictures)
            .ignore_errors()
            .concatenate(again.map(read_again).flat_map(assemble))
            .take(1)
        )

    return make


def _graph_function(function):
    """Wraps a function that returns arrays in the order of `_PICTURE`."""

    def call(*arguments):
        values = tf.numpy_function(function, arguments, list(_PICTURE.values()))
        return {
            name: tf.ensure_shape(value, [None])
            for name, value in zip(_PICTURE, values, strict=True)
        }

    return call


def _read(source, epochs, indices, proof=None):
    rows = [
        _good_picture(source, int(epoch), int(index), proof)
        for epoch, index in zip(epochs, indices, strict=True)
    ]
    types = [dtype.as_numpy_dtype for dtype in _PICTURE.values()]
    columns = zip(*rows, strict=True)
    return [np.array(c, t) for c, t in zip(columns, types, strict=True)]


def _good_picture(source, epoch, index, proof):
    """The fields of a picture, or of the next one that can be decoded."""
    for distance in range(len(source)):
        candidate = (index + distance) % len(source)
        data, label = source.read(candidate)
        try:
            fields = (data, *read_header(data), label, epoch, index)
            if proof:
                _prove(proof, fields)
        except BadPictureError as error:
            source.skip(candidate, str(error))
        else:
            return fields
    raise ValueError(f"No picture of the source can be decoded: {source.skipped}")


def _prove(prepare, fields):
    """Prepares a picture for nothing but the error that it may raise."""
    tensors = {
        name: tf.constant(value, dtype)
        for (name, dtype), value in zip(_PICTURE.items(), fields, strict=True)
    }
    try:
        prepare(tensors)
    except tf.errors.OpError as error:
        raise BadPictureError(reason_of(error)) from error


def reason_of(error):
    """What an error of a TensorFlow op says, without the names of graph nodes."""
    return re.sub(r"\{\{.*?\}\} | \[Op:.*", "", error.message.split("\n")[0])
