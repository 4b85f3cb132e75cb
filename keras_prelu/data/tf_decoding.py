"""Decoding of windows by TensorFlow, which skips what is outside of them."""

import functools
import re
from collections.abc import Callable

import tensorflow as tf

from keras_prelu.data.batch_format import JPEG_RATIOS, Window
from keras_prelu.data.decoding import BadImageError, decode_rgb
from keras_prelu.data.python_functions import call_python
from keras_prelu.types import Tensor

__all__ = ["check_jpeg", "decode_window", "reason_of"]


def decode_window(data: Tensor, window: Window) -> Tensor:
    """Decode a window of an image in a graph.

    Args:
        data: Scalar string tensor, the bytes of the file.
        window: The window.

    Returns:
        A uint8 tensor of shape `(rows, columns, 3)`.
    """
    arguments = (data, window["area"], window["factor"])
    if tf.executing_eagerly():
        return _DECODERS[int(window["decoder"])](*arguments)
    # `tf.switch_case` would put the ops of all decoders into this graph. Skipping the
    # unused ones costs about as much time as copying the window into the batch.
    [pixels] = tf.raw_ops.Case(
        branch_index=window["decoder"],
        input=arguments,
        Tout=[tf.uint8],
        branches=_graphs_of_decoders(),
    )
    return tf.ensure_shape(pixels, [None, None, 3])


def _jpeg(ratio, data, area, factor):
    # TensorFlow's default, the fast DCT, is no faster and up to 4 levels off.
    pixels = tf.io.decode_and_crop_jpeg(
        data, area, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE"
    )
    # Only what the decoder reduces as far as it can is averaged.
    return _averaged(pixels, factor) if ratio == JPEG_RATIOS[-1] else pixels


def _other(data, area, factor):
    [pixels] = call_python(lambda data: [decode_rgb(data)], [data], [tf.uint8])
    pixels = tf.ensure_shape(pixels, [None, None, 3])
    top, left, rows, columns = tf.unstack(area)
    return _averaged(pixels[top : top + rows, left : left + columns], factor)


_DECODERS: list[Callable[..., Tensor]] = [
    *(functools.partial(_jpeg, ratio) for ratio in JPEG_RATIOS),
    _other,
]


def _graphs_of_decoders():
    """Return each decoder as a function that `tf.raw_ops.Case` accepts."""
    signature = (
        tf.TensorSpec([], tf.string),
        tf.TensorSpec([4], tf.int32),
        tf.TensorSpec([], tf.int32),
    )
    return [
        tf.function(decoder, autograph=False).get_concrete_function(*signature)
        for decoder in _DECODERS
    ]


def _averaged(pixels, factor):
    def averaged():
        rows, columns = tf.unstack(tf.shape(pixels)[:2] // factor)
        squares = tf.reshape(pixels, [rows, factor, columns, factor, 3])
        mean = tf.reduce_mean(tf.cast(squares, tf.float32), axis=[1, 3])
        return tf.cast(tf.round(mean), tf.uint8)

    return tf.cond(factor > 1, averaged, lambda: pixels)


def check_jpeg(data: bytes, only_first_row: bool = False) -> None:
    """Raise an error for a JPEG that training cannot decode.

    Args:
        data: The bytes of a file whose `Header` is plain.
        only_first_row: Whether the other rows may be damaged.

    Raises:
        BadImageError: If TensorFlow cannot decode it.
    """
    try:
        if only_first_row:
            tf.io.decode_and_crop_jpeg(data, [0, 0, 1, 1], channels=3)
        else:
            tf.io.decode_jpeg(data, channels=3)
    except tf.errors.OpError as error:
        raise BadImageError(reason_of(error)) from error


def reason_of(error: tf.errors.OpError) -> str:
    """Return the message of a TensorFlow error without the names of graph nodes.

    Args:
        error: The error.
    """
    return re.sub(r"\{\{.*?\}\} | \[Op:.*", "", error.message.split("\n")[0])
