"""From a drawn crop to decoded pixels: only the window that the crop needs.

The picture is never resized as a whole. A crop of the resized picture is a box in the
original one; the decoder yields that box with a margin for the antialiasing kernel,
already divided by 2, 4, 8 ... where the box is that much larger than the crop.
"""

import math

import tensorflow as tf

from keras_prelu.data.decoding import decode_rgb

# The kernel reaches at most two pixels beyond a box that is at most twice the crop;
# rounding outwards takes one more.
_MARGIN = 3
_JPEG_RATIOS = (1, 2, 4, 8)  # what libjpeg can divide by while decoding


def canvas_side(image_size):
    """Side of the square that every window fits in, whatever the picture's size."""
    return 2 * image_size + 2 * _MARGIN + 2


def crop_box(height, width, shorter_side, place, image_size):
    """Where a crop of the resized picture lies in the original one.

    The picture is resized so that its shorter side is `shorter_side` (the longer one
    rounded to whole pixels); the crop begins at a whole pixel of the resized picture.

    Args:
        height: int64 scalar tensor, of the original.
        width: int64 scalar tensor, of the original.
        shorter_side: int64 scalar tensor, at least `image_size`.
        place: Two float64 in [0, 1): which of the possible crops.
        image_size: Side of the crop.

    Returns:
        Four float64: top, left, height and width, in pixels of the original.
    """
    original = tf.stack([height, width])
    resized = resized_length(original, tf.reduce_min(original), shorter_side)
    choices = tf.cast(resized - image_size + 1, tf.float64)
    step = tf.cast(original, tf.float64) / tf.cast(resized, tf.float64)
    return tf.concat([tf.floor(place * choices) * step, image_size * step], 0)


def resized_length(length, shorter, target):
    """What a side becomes when the shorter side is resized to `target`.

    In whole numbers, rounding half up, for integers, arrays and tensors alike.
    """
    return (2 * length * target + shorter) // (2 * shorter)


def decode_window(data, height, width, plain, box, image_size):
    """Decodes the window around a box.

    Args:
        data: Scalar string tensor: the bytes of the file.
        height: int64 scalar tensor.
        width: int64 scalar tensor.
        plain: bool scalar tensor, see `decoding.Header`.
        box: Four float64: top, left, height, width.
        image_size: What the box will be resampled to; decides the reduction.

    Returns:
        The window, a uint8 tensor of shape `(rows, columns, 3)` that fits into
        `canvas_side(image_size)`, and the box in its pixels, four float32.
    """
    log_reduction = _log_reduction(tf.reduce_min(box[2:]), image_size)
    # A JPEG's decoder does the first three halvings, averaging the rest.
    log_ratio = tf.where(plain, tf.minimum(log_reduction, 3), 0)
    factor = _power_of_two(log_reduction - log_ratio)
    size = -(-tf.stack([height, width]) // _power_of_two(log_ratio)) // factor
    box /= tf.cast(_power_of_two(log_reduction), tf.float64)

    first = tf.cast(tf.floor(box[:2]), tf.int64) - _MARGIN
    last = tf.cast(tf.math.ceil(box[:2] + box[2:]), tf.int64) + _MARGIN
    first, last = tf.maximum(first, 0), tf.minimum(last, size)
    window = _decode(data, plain, log_ratio, first, last, factor)
    box -= tf.cast(tf.concat([first, [0, 0]], 0), tf.float64)
    return window, tf.cast(box, tf.float32)


def _log_reduction(extent, image_size):
    """How often a box can be halved and still be no smaller than the crop."""
    ratio = tf.maximum(extent / image_size, 1.0)
    return tf.cast(tf.floor(tf.math.log(ratio) / math.log(2.0)), tf.int64)


def _power_of_two(exponent):
    return tf.bitwise.left_shift(tf.ones_like(exponent), exponent)


def _decode(data, plain, log_ratio, first, last, factor):
    top, left = tf.unstack(first * factor)
    rows, columns = tf.unstack((last - first) * factor)
    window = tf.cast(tf.stack([top, left, rows, columns]), tf.int32)

    def jpeg(ratio):
        # TensorFlow's default DCT, the fast one, is no faster and up to 4 levels off.
        return lambda: tf.io.decode_and_crop_jpeg(
            data, window, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE"
        )

    def other():
        pixels = tf.numpy_function(decode_rgb, [data], tf.uint8)
        pixels = tf.ensure_shape(pixels, [None, None, 3])
        return pixels[top : top + rows, left : left + columns]

    branches = [*map(jpeg, _JPEG_RATIOS), other]
    branch = tf.where(plain, log_ratio, len(_JPEG_RATIOS))
    pixels = tf.switch_case(tf.cast(branch, tf.int32), branches)
    return tf.cond(factor > 1, lambda: _average(pixels, factor), lambda: pixels)


def _average(pixels, factor):
    rows, columns = tf.unstack(tf.cast(tf.shape(pixels), tf.int64)[:2] // factor)
    blocks = tf.reshape(pixels, [rows, factor, columns, factor, 3])
    mean = tf.reduce_mean(tf.cast(blocks, tf.float32), axis=[1, 3])
    return tf.cast(tf.round(mean), tf.uint8)
