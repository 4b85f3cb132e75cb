"""Decoding of BMP images in TensorFlow ops, as Pillow decodes them.

TensorFlow returns the numbers in a palette instead of its colors, and ignores how the
header says that pixels are stored.
"""

import tensorflow as tf

from keras_prelu.export import headers
from keras_prelu.types import Tensor

__all__ = ["decode"]

_FILE_HEADER = 14  # bytes before the second header, which begins with its own length
_BITS = (8, 24, 32)
_UNCOMPRESSED, _WITH_MASKS = 0, 3
# The masks of red, green and blue, from the lowest byte on, of pixels stored as
# blue, green, red: the order of all BMP images without masks.
_USUAL_MASKS = (0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 0)


def decode(data: Tensor) -> Tensor:
    """Decode a BMP to uint8 RGB.

    Takes images of 24 or 32 bits per pixel, and of 8 bits with a palette. Fails for
    images that are compressed, or whose channels are in another order than usual.

    Args:
        data: The bytes of a BMP, a scalar string tensor.
    """
    head = headers.head(data)
    bits, storage = (headers.little_endian(head, *at) for at in ((28, 2), (30, 4)))
    usual = tf.reduce_all(head[54:66] == _USUAL_MASKS)
    check = tf.debugging.Assert(
        tf.reduce_any(bits == _BITS)
        & ((storage == _UNCOMPRESSED) | ((storage == _WITH_MASKS) & usual)),
        [
            "A BMP must have 8, 24 or 32 bits per pixel, and no compression. Received: "
            "bits and type of compression",
            bits,
            storage,
        ],
    )
    with tf.control_dependencies([check]):
        data = tf.identity(data)
    return tf.cond(
        bits == 8, lambda: _colored(data, head), lambda: tf.io.decode_bmp(data, 3)
    )


def _colored(data, head):
    """Decode a BMP with a palette."""
    count = headers.little_endian(head, 46, 4)
    count = tf.where(count == 0, tf.constant(256, tf.int64), count)
    begin = _FILE_HEADER + headers.little_endian(head, 14, 4)
    palette = tf.io.decode_raw(tf.strings.substr(data, begin, 4 * count), tf.uint8)
    colors = tf.reshape(palette, [-1, 4])[:, 2::-1]  # stored as blue, green, red, 0
    numbers = tf.io.decode_bmp(data)[..., 0]
    # The smallest integers that `gather` takes: they need memory for every pixel.
    return tf.gather(colors, tf.cast(numbers, tf.int16))
