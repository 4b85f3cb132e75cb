"""From a drawn crop to decoded pixels: only the window that the crop needs.

The picture is never resized as a whole. A crop of the resized picture is a box in the
original one; the decoder yields that box with a margin for the antialiasing kernel,
already divided by 2, 4, 8 ... where the box is that much larger than the crop.

Where things lie is worked out in plain Python numbers, ten times faster than in as many
TensorFlow ops on scalars; only the decoding itself is TensorFlow's.
"""

import math
from typing import NamedTuple

import tensorflow as tf

from keras_prelu.data.decoding import decode_rgb
from keras_prelu.data.python_functions import call_python
from keras_prelu.data.resizing import resized_length

# The kernel reaches at most two pixels beyond a box that is at most twice the crop;
# rounding outwards takes one more.
_MARGIN = 3
_JPEG_RATIOS = (1, 2, 4, 8)  # what libjpeg can divide by while decoding


class Box(NamedTuple):
    """A part of a picture, in pixels and parts of pixels."""

    top: float
    left: float
    height: float
    width: float


class Window(NamedTuple):
    """What is decoded of a picture.

    `area` is top, left, rows and columns in the picture as the decoder yields it, which
    is divided by `_JPEG_RATIOS[decoder]`, or whole if `decoder` is past these. The area
    is averaged over squares of `factor` pixels, and `box` is where the crop lies in
    what comes out.
    """

    area: tuple
    decoder: int
    factor: int
    box: Box


def canvas_side(image_size):
    """Side of the square that every window fits in, whatever the picture's size."""
    return 2 * image_size + 2 * _MARGIN + 2


def crop_box(header, shorter_side, place, image_size):
    """Where a crop of the resized picture lies in the original one.

    The picture is resized so that its shorter side is `shorter_side` (the longer one
    rounded to whole pixels); the crop begins at a whole pixel of the resized picture.

    Args:
        header: `Header` of the picture.
        shorter_side: Integer, at least `image_size`.
        place: Two numbers in [0, 1): which of the possible crops, down and across.
        image_size: Side of the crop.

    Returns:
        A `Box`.

    Examples:
        >>> from keras_prelu.data.decoding import Header
        >>> crop_box(Header(200, 300, True), 100, (0.0, 0.5), 80)
        Box(top=0.0, left=70.0, height=160.0, width=160.0)
    """
    shorter = min(header.height, header.width)
    starts, extents = [], []
    for length, fraction in zip((header.height, header.width), place, strict=True):
        resized = resized_length(length, shorter, shorter_side)
        step = length / resized
        starts.append(int(fraction * (resized - image_size + 1)) * step)
        extents.append(image_size * step)
    return Box(*starts, *extents)


def plan_window(header, box, image_size):
    """What to decode for a crop.

    Args:
        header: `Header` of the picture.
        box: `Box` of the crop, in the picture.
        image_size: What the box will be resampled to.

    Returns:
        A `Window`; what is decoded fits into `canvas_side(image_size)`.
    """
    reduction = 1  # the most that leaves the box no smaller than the crop
    while min(box.height, box.width) >= 2 * reduction * image_size:
        reduction *= 2
    # A JPEG's decoder does the first three halvings, averaging the rest.
    ratio = min(reduction, _JPEG_RATIOS[-1]) if header.plain else 1
    factor = reduction // ratio

    first, count, start = [], [], []
    for axis in range(2):
        length = -(-header[axis] // ratio) // factor
        begin, extent = box[axis] / reduction, box[2 + axis] / reduction
        low = max(math.floor(begin) - _MARGIN, 0)
        high = min(math.ceil(begin + extent) + _MARGIN, length)
        first.append(low * factor)
        count.append((high - low) * factor)
        start.append(begin - low)
    decoder = _JPEG_RATIOS.index(ratio) if header.plain else len(_JPEG_RATIOS)
    inside = Box(*start, box.height / reduction, box.width / reduction)
    return Window((*first, *count), decoder, factor, inside)


def decode_window(picture):
    """Decodes a planned window.

    Args:
        picture: Dict of tensors: `"data"`, the bytes of the file; and of a `Window`,
            `"area"`, `"decoder"` and `"factor"`, all int32.

    Returns:
        A uint8 tensor of shape `(rows, columns, 3)`.
    """
    data, area, decoder, factor = (
        tf.convert_to_tensor(picture[name])
        for name in ("data", "area", "decoder", "factor")
    )

    def jpeg(ratio):
        # TensorFlow's default DCT, the fast one, is no faster and up to 4 levels off.
        return lambda: tf.io.decode_and_crop_jpeg(
            data, area, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE"
        )

    def other():
        [pixels] = call_python(lambda data: [decode_rgb(data)], [data], [tf.uint8])
        pixels = tf.ensure_shape(pixels, [None, None, 3])
        top, left, rows, columns = tf.unstack(area)
        return pixels[top : top + rows, left : left + columns]

    pixels = tf.switch_case(decoder, [*map(jpeg, _JPEG_RATIOS), other])
    return tf.cond(factor > 1, lambda: _averaged(pixels, factor), lambda: pixels)


def _averaged(pixels, factor):
    rows, columns = tf.unstack(tf.shape(pixels)[:2] // factor)
    squares = tf.reshape(pixels, [rows, factor, columns, factor, 3])
    mean = tf.reduce_mean(tf.cast(squares, tf.float32), axis=[1, 3])
    return tf.cast(tf.round(mean), tf.uint8)
