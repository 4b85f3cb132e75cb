"""Model A of the paper."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_prelu.applications.builder import build
from keras_prelu.applications.predictions import decode_predictions, preprocess_input
from keras_prelu.applications.weights import complete_registered_weights
from keras_prelu.types import PathLike

__all__ = ["ModelA", "decode_predictions", "preprocess_input"]


@complete_registered_weights("model_a")
def ModelA(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    activation: str = "prelu",
    width: float = 1.0,
    dropout: float = 0.5,
    include_preprocessing: bool = True,
    name: str = "model_a",
) -> keras.Model:
    """Build Model A, a network of 19 layers.

    It needs about as many multiply-adds as VGG-19. On GPUs the authors found it faster,
    because its maps are smaller.

    The model takes RGB images in [0, 255], integers or floats, with a height and width
    of at least 15 pixels. Spatial pyramid pooling makes its top independent of the
    image size. The model itself subtracts the mean and scales images to unit variance.

    Args:
        include_top: Whether to include spatial pyramid pooling and the three fully
            connected layers.
        weights: `None` for random initialization; the path of a `.weights.h5` or
            `.keras` file; a URL that ends in `#sha256=` and the hash of the file; or
            the name of registered weights, which provide their own `activation`,
            `width`, `classes` and `input_shape`.
        input_tensor: Optional Keras tensor to use as the images.
        input_shape: Optional shape of an image, whose height and width may be `None`.
            Defaults to `(224, 224, 3)` with the top and `(None, None, 3)` without. If
            images do not have 3 channels, the mean starts at 0: call `adapt()` of the
            layer `"mean"`, or pass `include_preprocessing=False`.
        pooling: Global pooling for `include_top=False`: `None`, `"avg"` or `"max"`.
        classes: Number of classes. If a file of weights has another number, the last
            layer is new, and the file provides all other layers.
        classifier_activation: Activation of the last layer. `None` returns logits.
        activation: `"prelu"`, `"prelu_shared"` (one slope per layer), `"relu"` or
            `"leaky_relu"` (slope 0.01).
        width: Factor for the number of filters and of fully connected units.
        dropout: Fraction of the fully connected units to drop in training.
        include_preprocessing: Whether the model takes images in [0, 255], subtracts the
            mean and divides by 58. Otherwise pass images with a mean of about 0 and a
            variance of about 1.
        name: Name of the model.

    Returns:
        A `keras.Model`.

    Examples:
        >>> model = keras_prelu.applications.ModelA(width=1 / 64, classes=10)
        >>> scores = model.predict(np.zeros((2, 224, 224, 3), "uint8"), verbose=0)
        >>> scores.shape
        (2, 10)

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), Table 3
    """
    return build(
        "model_a",
        include_top=include_top,
        weights=weights,
        input_tensor=input_tensor,
        input_shape=input_shape,
        pooling=pooling,
        classes=classes,
        classifier_activation=classifier_activation,
        activation=activation,
        width=width,
        dropout=dropout,
        include_preprocessing=include_preprocessing,
        name=name,
    )
