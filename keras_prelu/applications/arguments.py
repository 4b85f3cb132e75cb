"""Validation of the constructors' arguments, before anything is built."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_prelu.applications.nets import RECTIFIERS
from keras_prelu.number_checks import is_integer, is_real

__all__ = ["check_options", "image_shape"]


def _check_choice(argument, value, choices):
    if not isinstance(value, (str, type(None))) or value not in choices:
        names = ", ".join(repr(choice) for choice in choices)
        raise ValueError(
            f"Argument `{argument}` must be one of {names}. "
            f"Received: {argument}={value!r}"
        )


def _check(argument, value, expectation, is_valid):
    if not is_valid:
        raise ValueError(
            f"Argument `{argument}` must be {expectation}. "
            f"Received: {argument}={value!r}"
        )


def check_options(
    activation: Any,
    pooling: Any,
    classes: Any,
    width: Any,
    dropout: Any,
    classifier_activation: Any,
) -> None:
    """Raise a ValueError that names the first argument with a wrong value."""
    _check_choice("activation", activation, RECTIFIERS)
    _check_choice("pooling", pooling, (None, "avg", "max"))
    _check("classes", classes, "an integer of at least 1", is_integer(classes, 1))
    is_positive = is_real(width) and width > 0
    _check("width", width, "a positive finite number", is_positive)
    is_probability = is_real(dropout) and 0 <= dropout < 1
    _check("dropout", dropout, "a number of at least 0 and less than 1", is_probability)
    keras.activations.get(classifier_activation)


def image_shape(
    input_shape: Sequence[int | None] | None,
    input_tensor: Any,
    smallest_size: int,
    include_top: bool,
) -> tuple[tuple[int | None, ...], int]:
    """Return the shape of an image and its number of channels.

    Args:
        input_shape: The constructor's argument.
        input_tensor: The constructor's argument.
        smallest_size: Smallest height and width that the network takes.
        include_top: Whether the default shape has a fixed height and width.
    """
    is_channels_first = keras.config.image_data_format() == "channels_first"
    if input_tensor is not None:
        input_shape = _shape_of_tensor(input_tensor, input_shape)
    if input_shape is None:
        size = (224, 224) if include_top else (None, None)
        input_shape = (3, *size) if is_channels_first else (*size, 3)
    shape = _as_tuple(input_shape)
    is_valid = (
        isinstance(shape, tuple)
        and len(shape) == 3
        and all(n is None or is_integer(n, 1) for n in shape)
    )
    channels = shape[0 if is_channels_first else -1] if is_valid else None
    if channels is None:
        order = "height, width"
        axes = f"channels, {order}" if is_channels_first else f"{order}, channels"
        raise ValueError(
            f"Argument `input_shape` must be ({axes}), all positive integers, though "
            f"height and width may be None. Received: input_shape={shape!r}"
        )
    sides = shape[1:] if is_channels_first else shape[:-1]
    if any(side is not None and side < smallest_size for side in sides):
        raise ValueError(
            "Argument `input_shape` must have a height and a width of at least "
            f"{smallest_size} for this network. Received: input_shape={shape}"
        )
    return shape, channels


def _as_tuple(shape):
    """Return a sequence as a tuple, and any other value as it is."""
    return tuple(shape) if np.iterable(shape) else shape


def _shape_of_tensor(input_tensor, input_shape):
    """Return the shape of the images in `input_tensor`."""
    if not isinstance(input_tensor, keras.KerasTensor):
        raise ValueError(
            "Argument `input_tensor` must be a Keras tensor, such as keras.Input() "
            f"returns. Received: input_tensor={input_tensor!r}"
        )
    shape = tuple(input_tensor.shape[1:])
    if input_shape is not None and _as_tuple(input_shape) != shape:
        raise ValueError(
            f"Argument `input_shape` must be None or {shape}, the shape of "
            f"`input_tensor`. Received: input_shape={input_shape}"
        )
    return shape
