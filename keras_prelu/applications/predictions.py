"""The two functions that every module of `keras.applications` has."""

import json

import numpy as np
from keras import ops

from keras_prelu.applications import downloads


def preprocess_input(x, data_format=None):
    """Returns `x`: the models preprocess their inputs themselves.

    Kept so that code written for `keras.applications` runs as it is. Give the models
    RGB images in [0, 255], integers or floats.

    Args:
        x: Images.
        data_format: Ignored, for the same reason.

    Returns:
        `x`, unchanged.

    Examples:
        >>> x = np.zeros((1, 8, 8, 3), "uint8")
        >>> keras_prelu.applications.model_a.preprocess_input(x) is x
        True
    """
    return x


def _imagenet_classes():
    """Returns ImageNet's 1000 pairs of identifier and name, from Keras's own file."""
    path = downloads.models_directory() / "imagenet_class_index.json"
    if not path.is_file():
        raise ValueError(
            f"ImageNet's class names are not at hand: {path} does not exist. Put "
            "imagenet_class_index.json of keras.applications there "
            "(keras.applications.vgg16.decode_predictions downloads it), or pass "
            "`class_names`. Received: class_names=None"
        )
    index = json.loads(path.read_text())
    return [tuple(index[str(i)]) for i in range(len(index))]


def decode_predictions(preds, top=5, class_names=None):
    """Returns the names of the best classes, with their scores.

    Args:
        preds: Scores, of shape `(batch, classes)`.
        top: How many classes to return for each image.
        class_names: Names of the classes, or pairs `(identifier, name)`, in the order
            of the scores. By default ImageNet's, where the file that
            `keras.applications` keeps of them is at hand.

    Returns:
        For each image a list of `(identifier, name, score)`, best first. A class that
        has a name only is its own identifier.

    Examples:
        >>> scores = np.array([[0.1, 0.7, 0.2]])
        >>> names = ["cat", "dog", "newt"]
        >>> keras_prelu.applications.model_a.decode_predictions(
        ...     scores, top=2, class_names=names
        ... )
        [[('dog', 'dog', 0.7), ('newt', 'newt', 0.2)]]
    """
    preds = ops.convert_to_numpy(preds)
    if class_names is None:
        class_names = _imagenet_classes()
    if preds.ndim != 2 or preds.shape[1] != len(class_names):
        raise ValueError(
            f"Argument `preds` must have the shape (batch, {len(class_names)}), a "
            f"score for each class name. Received: preds of shape {preds.shape}"
        )
    finite = np.isfinite(preds).all(axis=1)
    if not finite.all():
        raise ValueError(
            "Argument `preds` must hold finite scores. Received: preds with NaN or "
            f"infinite scores in the rows {np.flatnonzero(~finite)[:5].tolist()}"
        )
    pairs = [(name, name) if isinstance(name, str) else name for name in class_names]
    best = (-preds).argsort(axis=1, kind="stable")[:, :top]
    return [
        [(*pairs[i], float(scores[i])) for i in order]
        for scores, order in zip(preds, best, strict=True)
    ]
