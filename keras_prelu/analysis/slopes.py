"""The learned slopes of PReLU layers."""

from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_prelu.analysis import plots
from keras_prelu.analysis.tables import LayerTable

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

    Args:
        model: A `keras.Model`.

    Examples:
        >>> model = keras_prelu.applications.Model14(width=1 / 64, classes=10)
        >>> layer_slopes(model)["prelu1"].tolist()
        [0.25]
    """
    return {
        weight.path.split("/")[-2]: ops.convert_to_numpy(weight).astype("float32")
        for weight in model.weights
        if weight.name == "alpha"
    }


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
