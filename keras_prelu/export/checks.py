"""Checks of what an export is given: models, names, arguments."""

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import keras

from keras_prelu import model_surgery
from keras_prelu.layers import SpatialPyramidPooling

__all__ = [
    "check_backend",
    "check_class_names",
    "check_model",
    "check_on_error",
    "for_its_sizes",
    "once_positional",
]

_ON_ERROR = ("raise", "mark")

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def check_model(model: keras.Model) -> keras.Model:
    """Return a classifier with softmax scores, or raise if it cannot be exported."""
    model = model_surgery.softmax_scores(model)
    check_backend()
    shape = tuple(model.inputs[0].shape)
    height, width = model_surgery.input_size(model)
    if model_surgery.is_channels_first(model) or height != width or shape[-1] != 3:
        raise ValueError(
            "Argument `model` must take square RGB images with the channels last; "
            "nets have the same weights in both data formats. "
            f"Received: a model with an input of shape {shape}"
        )
    return model


def check_backend() -> None:
    """Raise unless the backend of Keras is TensorFlow."""
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ValueError(
            "The backend of Keras must be TensorFlow to export a model: save the "
            "model, and load it in a process with that backend. "
            f"Received: backend={backend!r}"
        )


def check_on_error(on_error: str) -> None:
    """Raise unless the handling of images that cannot be decoded is known."""
    if on_error not in _ON_ERROR:
        raise ValueError(
            f"Argument `on_error` must be one of {', '.join(map(repr, _ON_ERROR))}. "
            f"Received: on_error={on_error!r}"
        )


def check_class_names(class_names: Sequence[str] | None, classes: int) -> None:
    """Raise unless there is one name of one line for each class."""
    if class_names is not None and (
        isinstance(class_names, str)
        or not hasattr(class_names, "__len__")
        or len(class_names) != classes
        or any(not isinstance(n, str) or n.splitlines() != [n] for n in class_names)
    ):
        raise ValueError(
            f"Argument `class_names` must be a list of {classes} strings of one line. "
            f"Received: class_names={class_names!r}"
        )


def for_its_sizes(model: keras.Model) -> keras.Model:
    """Return the model for images of any size if its layers allow that.

    Spatial pyramid pooling allows it. Other models are returned unchanged.
    """
    pools = any(isinstance(layer, SpatialPyramidPooling) for layer in model.layers)
    return model_surgery.any_size(model) if pools else model


def once_positional(
    name: str,
) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
    """Return a decorator that still accepts one argument after `path` by position.

    To be removed in 0.2: the arguments after `path` are keyword-only from then on.

    Args:
        name: The argument that used to be the third positional one.
    """

    def decorate(
        function: Callable[_Parameters, _Result],
    ) -> Callable[_Parameters, _Result]:
        @functools.wraps(function)
        def call(*args, **kwargs):
            if len(args) == 3 and name not in kwargs:
                warnings.warn(
                    f"`{function.__name__}` will accept `{name}` by keyword only: "
                    f"pass {name}=...",
                    DeprecationWarning,
                    stacklevel=2,
                )
                *args, kwargs[name] = args
            return function(*args, **kwargs)

        return call

    return decorate
