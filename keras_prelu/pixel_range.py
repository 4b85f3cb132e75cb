"""A check for images in [0, 1], which networks that expect [0, 255] see as black."""

import warnings

import keras
import numpy as np

from keras_prelu.layers import SubtractMean
from keras_prelu.types import Tensor

__all__ = ["warn_if_scaled"]


def warn_if_scaled(images: Tensor, model: keras.Model) -> None:
    """Warn if images lie in [0, 1] although a model preprocesses [0, 255] itself.

    Args:
        images: Array of images, with at least one value.
        model: The `keras.Model` that takes them. Only a model with a `SubtractMean`
            layer is known to expect [0, 255].

    Examples:
        >>> model = keras_prelu.applications.ModelA(width=1 / 64)
        >>> warn_if_scaled(np.full((1, 224, 224, 3), 128.0), model)
    """
    if not any(isinstance(layer, SubtractMean) for layer in model.layers):
        return
    images = np.asarray(images)
    least, most = images.min(), images.max()
    if least >= 0 and 0 < most <= 1:
        warnings.warn(
            f"The model expects images in [0, 255], and all given values are in "
            f"[{least:.3g}, {most:.3g}]: multiply the images by 255, or build the "
            "model with `include_preprocessing=False`.",
            stacklevel=3,
        )
