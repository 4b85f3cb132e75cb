"""The learned slopes of PReLU layers."""

from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_prelu.analysis import plots
from keras_prelu.analysis.tables import LayerTable
from keras_prelu.keras_internals import internal

__all__ = ["LayerSlopes", "layer_slopes", "slopes"]


class LayerSlopes(NamedTuple):
    """Statistics of the slopes of one layer."""

    name: str
    count: int  # type: ignore[assignment]  # hides tuple.count
    mean: float
    std: float
    min: float
    max: float


def layer_slopes(model: keras.Model) -> dict[str, np.ndarray]:
    """Return the slopes of each PReLU layer, by the layer's name.

    Names that several layers have, in nested models or blocks, are preceded by the
    names of these: `"a/prelu1"`, `"b/prelu1"`.

    Args:
        model: A `keras.Model`.

    Examples:
        >>> model = keras_prelu.applications.Model14(width=1 / 64, classes=10)
        >>> layer_slopes(model)["prelu1"].tolist()
        [0.25]
    """
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"Argument `model` must be a Keras model. Received: model={model!r}"
        )
    alphas = [weight for weight in model.weights if weight.name == "alpha"]
    paths = dict(_paths(model))
    names = [weight.path.split("/")[-2] for weight in alphas]
    return {
        name if names.count(name) == 1 else paths[id(weight)]: (
            ops.convert_to_numpy(weight).astype("float32")
        )
        for name, weight in zip(names, alphas, strict=True)
    }


def _paths(layer, before=""):
    """Yield the id of each weight and a path to its layer, the innermost one last.

    Keras's own paths of weights do not contain the names of functional models.
    """
    inner_layers = internal(layer, "_flatten_layers", "keras_prelu.analysis.slopes")
    for inner in inner_layers(recursive=False, include_self=False):
        path = before + inner.name
        yield from ((id(weight), path) for weight in inner.weights)
        yield from _paths(inner, f"{path}/")


def slopes(model: keras.Model) -> LayerTable:
    """Return statistics of the slopes of each PReLU layer.

    Args:
        model: A `keras.Model` with PReLU layers of this package or of Keras.

    Returns:
        A `LayerTable` whose rows have `name`, `count`, `mean`, `std`, `min` and `max`.

    Examples:
        >>> model = keras_prelu.applications.Model14(width=1 / 64, classes=10)
        >>> keras_prelu.analysis.slopes(model)[0]
        LayerSlopes(name='prelu1', count=1, mean=0.25, std=0.0, min=0.25, max=0.25)

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), Table 1
    """
    return LayerTable(
        [
            LayerSlopes(
                name,
                values.size,
                float(values.mean()),
                float(values.std()),
                float(values.min()),
                float(values.max()),
            )
            for name, values in layer_slopes(model).items()
        ],
        plots.draw_slopes,
    )
