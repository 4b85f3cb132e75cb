"""The two functions that every module of `keras.applications` has."""

import json
from collections.abc import Sequence

import numpy as np
from keras import ops

from keras_prelu.applications import downloads
from keras_prelu.number_checks import check_integer
from keras_prelu.types import Tensor

__all__ = ["decode_predictions", "preprocess_input"]


def preprocess_input(x: Tensor, data_format: str | None = None) -> Tensor:
    """Return `x` unchanged, because the models preprocess their inputs themselves.

    It exists so that code written for `keras.applications` works without changes. The
    models take RGB images in [0, 255], integers or floats.

    Args:
        x: Images.
        data_format: Ignored.

    Returns:
        `x`.

    Examples:
        >>> x = np.zeros((1, 8, 8, 3), "uint8")
        >>> keras_prelu.applications.model_a.preprocess_input(x) is x
        True
    """
    return x


def _imagenet_classes():
    """Return ImageNet's 1000 pairs of identifier and name, from Keras's file."""
    path = downloads.models_directory() / "imagenet_class_index.json"
    if not path.is_file():
        raise ValueError(
            "Argument `class_names` must be given, because Keras's file of ImageNet's "
            f"class names does not exist: {path}. "
            "(keras.applications.vgg16.decode_predictions downloads it.) "
            "Received: class_names=None"
        )
    index = json.loads(path.read_text())
    return [tuple(index[str(i)]) for i in range(len(index))]


def _pairs(class_names):
    """Return pairs of identifier and name, both equal for a class without a pair."""
    is_list = np.iterable(class_names) and not isinstance(class_names, str)
    pairs = [
        (name, name) if isinstance(name, str) else name
        for name in (class_names if is_list else ())
    ]
    if not pairs or not all(map(_is_pair, pairs)):
        raise ValueError(
            "Argument `class_names` must be a list of names or of pairs (identifier, "
            f"name). Received: class_names={class_names!r}"
        )
    return pairs


def _is_pair(value):
    """Return whether a value is a list or tuple of two strings."""
    is_sequence = np.iterable(value) and not isinstance(value, str)
    return is_sequence and [isinstance(part, str) for part in value] == [True, True]


def decode_predictions(
    preds: Tensor,
    top: int = 5,
    class_names: Sequence[str | tuple[str, str]] | None = None,
) -> list[list[tuple[str, str, float]]]:
    """Return the names and scores of the highest-scoring classes of each image.

    Args:
        preds: Scores of shape `(batch, classes)`.
        top: Number of classes to return per image.
        class_names: Names, or pairs `(identifier, name)`, of the classes in the order
            of the scores. Defaults to ImageNet's, if the file that
            `keras.applications` downloads is in Keras's cache.

    Returns:
        One list per image of tuples `(identifier, name, score)`, highest score first.
        The identifier of a class without one is its name.

    Examples:
        >>> scores = np.array([[0.1, 0.7, 0.2]])
        >>> names = ["cat", "dog", "newt"]
        >>> keras_prelu.applications.model_a.decode_predictions(
        ...     scores, top=2, class_names=names
        ... )
        [[('dog', 'dog', 0.7), ('newt', 'newt', 0.2)]]
    """
    check_integer("top", top, 1)
    preds = ops.convert_to_numpy(preds)
    pairs = _imagenet_classes() if class_names is None else _pairs(class_names)
    if preds.ndim != 2 or preds.shape[1] != len(pairs):
        raise ValueError(
            f"Argument `preds` must have the shape (batch, {len(pairs)}), with "
            f"one score per class name. Received: preds of shape {preds.shape}"
        )
    is_finite = np.isfinite(preds).all(axis=1)
    if not is_finite.all():
        raise ValueError(
            "Argument `preds` must hold finite scores. Received: preds with NaN or "
            f"infinite scores in the rows {np.flatnonzero(~is_finite)[:5].tolist()}"
        )
    # Minus an integer of few bits, as quantized models return, may overflow.
    best = (-preds.astype("float64")).argsort(axis=1, kind="stable")[:, :top]
    return [
        [(*pairs[i], float(scores[i])) for i in order]
        for scores, order in zip(preds, best, strict=True)
    ]
