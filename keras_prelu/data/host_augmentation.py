"""The augmentation on the host: Pillow resamples and flips, NumPy alters the colors."""

import numpy as np
from PIL import Image

from keras_prelu.data.batch_format import Draws
from keras_prelu.data.resizing import resampled

__all__ = ["augment"]


def augment(window: np.ndarray, drawn: Draws, image_size: int) -> np.ndarray:
    """Apply to a decoded window what was drawn for it.

    Args:
        window: A uint8 array of shape `(rows, columns, 3)`.
        drawn: The draws of the image, as in the batches for the device.
        image_size: Side of the crop.

    Returns:
        A float32 array of shape `(image_size, image_size, 3)`.
    """
    image = resampled(window, drawn["box"], (image_size, image_size))
    if drawn["flip"]:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    # NumPy adds long rows ten times faster than it adds three numbers to each pixel.
    rows = np.asarray(image).reshape(image_size, -1).astype(np.float32)
    rows += np.tile(drawn["shift"], image_size)
    return rows.reshape(image_size, image_size, 3)
