"""From a drawn crop to decoded pixels: only the window that the crop needs.

The image is never resized as a whole. A crop of the resized image corresponds to a box
in the original image. The decoder returns that box with a margin for the antialiasing
filter, reduced by 2, 4, 8 ... if the box is that much larger than the crop.

Positions are computed with plain Python numbers, which is ten times faster than the
same number of TensorFlow ops on scalars.
"""

import math
from typing import NamedTuple

from keras_prelu.data.batch_format import JPEG_RATIOS, Window
from keras_prelu.data.decoding import Header
from keras_prelu.data.resizing import resized_length

__all__ = ["Box", "canvas_side", "crop_box", "plan_window"]

# The filter reaches at most two pixels beyond a box that is at most twice the crop.
# Rounding outwards takes one more.
_MARGIN = 3


class Box(NamedTuple):
    """A rectangle in an image, in pixels and fractions of pixels."""

    top: float
    left: float
    height: float
    width: float


def canvas_side(image_size: int) -> int:
    """Return the side of a square that every window fits into.

    Args:
        image_size: Side of the crops.
    """
    return 2 * image_size + 2 * _MARGIN + 2


def crop_box(
    header: Header,
    shorter_side: int,
    position: tuple[float, float],
    image_size: int,
) -> Box:
    """Return the box in the original image that a crop of the resized image shows.

    The shorter side is resized to `shorter_side`, the longer one is rounded to whole
    pixels. The crop begins at a whole pixel of the resized image.

    Args:
        header: `Header` of the image.
        shorter_side: Shorter side after resizing, at least `image_size`.
        position: Vertical and horizontal position of the crop, in [0, 1): 0 is the
            first possible crop, numbers near 1 are the last.
        image_size: Side of the crop.

    Examples:
        >>> from keras_prelu.data.decoding import Header
        >>> crop_box(Header(200, 300, True), 100, (0.0, 0.5), 80)
        Box(top=0.0, left=70.0, height=160.0, width=160.0)
    """
    shorter = min(header.height, header.width)
    starts, extents = [], []
    for length, fraction in zip((header.height, header.width), position, strict=True):
        resized = resized_length(length, shorter, shorter_side)
        step = length / resized
        starts.append(int(fraction * (resized - image_size + 1)) * step)
        extents.append(image_size * step)
    return Box(*starts, *extents)


def plan_window(header: Header, box: Box, image_size: int) -> tuple[Window, Box]:
    """Return the window to decode for a crop, and the crop's box in that window.

    Args:
        header: `Header` of the image.
        box: Box of the crop in the image.
        image_size: Side of the crop after resampling.

    Returns:
        A `Window` whose pixels fit into `canvas_side(image_size)`, and a `Box`.
    """
    reduction = 1  # the largest one that leaves the box at least as large as the crop
    while min(box.height, box.width) >= 2 * reduction * image_size:
        reduction *= 2
    # The JPEG decoder does up to three halvings, averaging does the rest.
    ratio = min(reduction, JPEG_RATIOS[-1]) if header.plain else 1
    factor = reduction // ratio

    first, count, starts = [], [], []
    for axis in range(2):
        length = -(-header[axis] // ratio) // factor
        begin, extent = box[axis] / reduction, box[2 + axis] / reduction
        low = max(math.floor(begin) - _MARGIN, 0)
        high = min(math.ceil(begin + extent) + _MARGIN, length)
        first.append(low * factor)
        count.append((high - low) * factor)
        starts.append(begin - low)
    decoder = JPEG_RATIOS.index(ratio) if header.plain else len(JPEG_RATIOS)
    window = Window(area=(*first, *count), decoder=decoder, factor=factor)
    top, left = starts
    return window, Box(top, left, box.height / reduction, box.width / reduction)
