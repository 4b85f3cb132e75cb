"""Whole decoded images to the views that an evaluation takes, with Pillow."""

import numpy as np
from PIL import Image

from keras_prelu.data.decoding import check_size


def resized_length(length, shorter, target):
    """What a side becomes when the shorter side is resized to `target`.

    In whole numbers, rounding half up.
    """
    return (2 * length * target + shorter) // (2 * shorter)


def view_shape(height, width, image_size, scale):
    """Returns height and width of an image's view.

    Args:
        height: Height of the image.
        width: Its width.
        image_size: Side of the crop from the middle, or `None` for the whole image.
        scale: The shorter side after resizing.

    Examples:
        >>> view_shape(200, 300, None, 100), view_shape(200, 300, 80, 100)
        ((100, 150), (80, 80))
    """
    if image_size is not None:
        return image_size, image_size
    shorter = min(height, width)
    return tuple(resized_length(side, shorter, scale) for side in (height, width))


def evaluation_view(pixels, image_size, scale):
    """Resizes an image without augmentation, and crops its middle.

    Args:
        pixels: A uint8 array of shape `(height, width, 3)`.
        image_size: Side of the crop from the middle, or `None` for the whole image.
        scale: The shorter side after resizing.

    Returns:
        A uint8 array.

    Raises:
        BadImageError: if a whole image would have more than `MAX_PIXELS`: the longer
            side of a narrow one can grow beyond all measure.
    """
    original = np.array(pixels.shape[:2])
    resized = np.array(view_shape(*pixels.shape[:2], None, scale))
    size = np.array(view_shape(*pixels.shape[:2], image_size, scale))
    check_size(*map(int, size), when=f" at the scale {scale}")
    step = original / resized
    box = np.concatenate([(resized - size) // 2 * step, size * step])
    return np.asarray(resampled(pixels, box, size))


def resampled(pixels, box, size):
    """Resamples a box (top, left, height, width) of pixels to (height, width)."""
    top, left, height, width = map(float, box)
    # Rounding in float32 may put the far edges a hair outside; Pillow would refuse.
    right = min(left + width, pixels.shape[1])
    bottom = min(top + height, pixels.shape[0])
    return Image.fromarray(pixels).resize(
        (int(size[1]), int(size[0])),
        Image.Resampling.BILINEAR,
        box=(left, top, right, bottom),
    )
