"""The augmentation on the host: Pillow resamples and flips, NumPy alters the colors."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from keras_prelu.data.resizing import resampled

__all__ = ["cropped", "shifted"]


def cropped(
    pixels: np.ndarray, box: Sequence[float] | np.ndarray, flip: int, image_size: int
) -> np.ndarray:
    """Return the drawn crop of a decoded window, flipped if it should be.

    Args:
        pixels: A uint8 array, the window.
        box: Top, left, height and width of the crop in the window.
        flip: 1 to mirror the crop, else 0.
        image_size: Side of the crop.

    Returns:
        A uint8 array of shape `(image_size, image_size, 3)`.
    """
    image = resampled(pixels, box, (image_size, image_size))
    if flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(image)


def shifted(crops: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Alter the colors of a batch, one row of pixels at a time.

    NumPy adds long rows ten times faster than it adds three numbers to each pixel.

    Args:
        crops: A uint8 array of shape `(batch, height, width, 3)`.
        shifts: A float32 array of shape `(batch, 3)`.

    Returns:
        A float32 array with the shape of `crops`.
    """
    batch, height, width, _ = crops.shape
    rows = crops.reshape(batch, height, -1).astype(np.float32)
    rows += np.tile(shifts, width)[:, None]
    return rows.reshape(crops.shape)
