"""Resizing of decoded images to the views of an evaluation, with Pillow."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from keras_prelu.data.decoding import check_size

__all__ = ["evaluation_view", "resampled", "resized_length", "view_shape"]


def resized_length(length: Any, shorter: Any, target: int) -> Any:
    """Return the length of a side when the shorter side is resized to `target`.

    The result is computed in integers and rounded half up.

    Args:
        length: The length of the side before, an integer or a tensor of integers.
        shorter: The length of the shorter side before, of the same type.
        target: The length of the shorter side after.
    """
    return (2 * length * target + shorter) // (2 * shorter)


def view_shape(
    height: int, width: int, image_size: int | None, scale: int
) -> tuple[int, int]:
    """Return the height and width of an image's view.

    Args:
        height: Height of the image.
        width: Width of the image.
        image_size: Side of the center crop, or `None` for the whole image.
        scale: The shorter side after resizing.

    Examples:
        >>> view_shape(200, 300, None, 100), view_shape(200, 300, 80, 100)
        ((100, 150), (80, 80))
    """
    if image_size is not None:
        return image_size, image_size
    shorter = min(height, width)
    return resized_length(height, shorter, scale), resized_length(width, shorter, scale)


def evaluation_view(
    pixels: np.ndarray, image_size: int | None, scale: int
) -> np.ndarray:
    """Resize an image without augmentation, and take its center crop.

    Args:
        pixels: A uint8 array of shape `(height, width, 3)`.
        image_size: Side of the center crop, or `None` for the whole image.
        scale: The shorter side after resizing.

    Returns:
        A uint8 array.

    Raises:
        BadImageError: If a whole image would have more than `MAX_PIXELS`, as the longer
            side of a very narrow image can become huge.
    """
    height, width = pixels.shape[:2]
    original = np.array([height, width])
    resized = np.array(view_shape(height, width, None, scale))
    size = np.array(view_shape(height, width, image_size, scale))
    check_size(int(size[0]), int(size[1]), when=f" at the scale {scale}")
    step = original / resized
    box = np.concatenate([(resized - size) // 2 * step, size * step])
    return np.asarray(resampled(pixels, box, size))


def resampled(
    pixels: np.ndarray,
    box: Sequence[float] | np.ndarray,
    size: Sequence[int] | np.ndarray,
) -> Image.Image:
    """Resample a box of an image to a given size.

    Args:
        pixels: A uint8 array of shape `(height, width, 3)`.
        box: Top, left, height and width of the box.
        size: Height and width of the result.
    """
    top, left, height, width = map(float, box)
    # Rounding in float32 can put the far edges slightly outside, which Pillow refuses.
    right = min(left + width, pixels.shape[1])
    bottom = min(top + height, pixels.shape[0])
    return Image.fromarray(pixels).resize(
        (int(size[1]), int(size[0])),
        Image.Resampling.BILINEAR,
        box=(left, top, right, bottom),
    )
