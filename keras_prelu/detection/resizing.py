"""Resizing of images for detection."""

from collections.abc import Sequence

import numpy as np

from keras_prelu.data.decoding import check_size
from keras_prelu.data.resizing import resampled

__all__ = ["FILL", "MULTIPLE", "check_sides", "factor", "padded", "resize"]

# The sides of padded images are multiples of this: few different shapes, and even sides
# up to the last map, so that each cell's receptive field has the same center.
MULTIPLE = 32
# The color of the padding: ImageNet's mean, which the nets subtract.
FILL = (124, 117, 104)


def check_sides(shorter_side: int, longest_side: int) -> None:
    """Raise an error for limits of the sides that do not fit.

    Args:
        shorter_side: The shorter side after resizing.
        longest_side: Upper limit of the longer side.
    """
    if not 1 <= shorter_side <= longest_side:
        raise ValueError(
            "Argument `shorter_side` must be at least 1 and at most `longest_side`. "
            f"Received: shorter_side={shorter_side}, longest_side={longest_side}"
        )


def factor(
    height: int, width: int, shorter_side: int = 600, longest_side: int = 1000
) -> float:
    """Return the factor that resizes an image for detection.

    Args:
        height: Height of the image.
        width: Width of the image.
        shorter_side: The shorter side after resizing. Defaults to 600.
        longest_side: Upper limit of the longer side, which takes precedence. Defaults
            to 1000.

    Examples:
        >>> factor(375, 500), factor(300, 900)
        (1.6, 1.1111111111111112)
    """
    return min(shorter_side / min(height, width), longest_side / max(height, width))


def resize(
    image: np.ndarray, shorter_side: int = 600, longest_side: int = 1000
) -> tuple[np.ndarray, np.ndarray]:
    """Resize an image for detection.

    Args:
        image: A uint8 array of shape `(height, width, 3)`.
        shorter_side: See `factor`.
        longest_side: See `factor`.

    Returns:
        A tuple `(image, factors)`: a uint8 array, and a float64 array of four numbers
        that boxes of the image are multiplied by. As both sides are rounded to whole
        pixels, they differ slightly between the axes.

    Examples:
        >>> image, factors = resize(np.zeros((375, 500, 3), "uint8"))
        >>> image.shape, factors.tolist()
        ((600, 800, 3), [1.6, 1.6, 1.6, 1.6])
    """
    check_sides(shorter_side, longest_side)
    height, width = image.shape[:2]
    by = factor(height, width, shorter_side, longest_side)
    rows, columns = (max(1, round(side * by)) for side in (height, width))
    check_size(rows, columns, when=" after resizing")
    resized = np.asarray(resampled(image, (0, 0, height, width), (rows, columns)))
    return resized, np.array([columns / width, rows / height] * 2)


def padded(images: Sequence[np.ndarray]) -> np.ndarray:
    """Return images in one array, padded at the bottom and right.

    Args:
        images: uint8 arrays of shape `(height, width, 3)`.

    Returns:
        A uint8 array of shape `(batch, height, width, 3)`, whose height and width are
        multiples of 32. The padding has the color of ImageNet's mean.

    Examples:
        >>> padded([np.zeros((32, 40, 3)), np.zeros((20, 96, 3))]).shape
        (2, 32, 96, 3)
    """
    sides = np.max([image.shape[:2] for image in images], axis=0)
    height, width = -(-sides // MULTIPLE) * MULTIPLE
    batch = np.empty((len(images), height, width, 3), np.uint8)
    batch[:] = FILL
    for array, image in zip(batch, images, strict=True):
        array[: image.shape[0], : image.shape[1]] = image
    return batch
