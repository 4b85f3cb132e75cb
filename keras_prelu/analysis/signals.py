"""Propagation of signals through a model, and the responses of its layers."""

from typing import NamedTuple

import keras
from keras import ops

from keras_prelu import model_surgery
from keras_prelu.analysis import passes, plots
from keras_prelu.analysis.tables import LayerTable
from keras_prelu.types import Tensor

__all__ = ["LayerResponse", "LayerSignal", "responses", "signal_propagation"]


class LayerSignal(NamedTuple):
    """Variances of a layer's response and of its gradient."""

    name: str
    kind: str
    forward: float
    backward: float


class LayerResponse(NamedTuple):
    """Statistics of a layer's response."""

    name: str
    kind: str
    mean: float
    std: float
    dead: float


def _number(tensor):
    return float(ops.convert_to_numpy(tensor))


def _variance(values):
    return _number(ops.var(ops.cast(values, "float32")))


def signal_propagation(model: keras.Model, images: Tensor) -> LayerTable:
    """Measure the variance of each layer's response and of its gradient.

    The images go forward through the model once. Then Gaussian noise of variance 1, in
    place of a loss's gradient, goes back from the output once. A good initialization
    keeps both variances constant from layer to layer. A bad one multiplies them by
    some factor in every layer.

    Pass a classifier that returns logits (`classifier_activation=None`), because a
    softmax shrinks the noise.

    Args:
        model: A functional `keras.Model` with one input and one output.
        images: Array of the model's inputs. A few images are enough, because the
            variances are also taken over positions and channels.

    Returns:
        A `LayerTable` whose rows have `name`, `kind` (the layer's class), `forward`
        (variance of the response) and `backward` (variance of its gradient).

    Examples:
        >>> model = keras.Sequential([keras.Input((100,))])
        >>> he = keras_prelu.initializers.HeNormal(mode="fan_out", seed=1)
        >>> for name in ("fc1", "fc2", "fc3"):
        ...     model.add(keras.layers.Dense(100, "relu", kernel_initializer=he,
        ...                                  name=name))
        >>> images = np.random.default_rng(0).normal(size=(20, 100))
        >>> table = keras_prelu.analysis.signal_propagation(model, images)
        >>> [row.name for row in table]
        ['fc1', 'fc2', 'fc3']
        >>> bool(0.2 < table[0].backward / table[2].backward < 5)
        True

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 2.2
    """

    def product_with_noise(output):
        output = ops.cast(output, "float32")
        return ops.sum(output * keras.random.normal(ops.shape(output), seed=0))

    return LayerTable(
        [
            LayerSignal(r.name, r.kind, _variance(r.response), _variance(r.gradient))
            for r in passes.forward_and_back(model, images, product_with_noise)
        ],
        plots.draw_signals,
    )


def _fraction_of_dead_units(record, data_format):
    """Return the fraction of a layer's units whose output is constant.

    Args:
        record: The record of the layer.
        data_format: Data format of the maps of layers that have none of their own.
    """
    response = record.response
    rank = len(response.shape)
    if rank != 4:
        data_format = None
    data_format = getattr(record.operation, "data_format", data_format)
    channel_axis = 1 if data_format == "channels_first" else rank - 1
    axes = [i for i in range(rank) if i != channel_axis]
    low, high = ops.min(response, axis=axes), ops.max(response, axis=axes)
    return _number(ops.mean(ops.cast(ops.equal(low, high), "float32")))


def responses(model: keras.Model, images: Tensor) -> LayerTable:
    """Measure the mean and deviation of each layer's output, and its dead units.

    A unit (a channel of a map) is dead if its output is the same at all positions of
    all images. This happens to a ReLU whose input is negative everywhere, and no
    gradient passes through it. PReLU units cannot die this way. The paper reports that
    PReLU moves mean responses towards 0.

    Args:
        model: A functional `keras.Model` with one input and one output.
        images: Array of the model's inputs.

    Returns:
        A `LayerTable` whose rows have `name`, `kind` (the layer's class), `mean`, `std`
        and `dead` (the fraction of dead units).

    Examples:
        >>> model = keras_prelu.applications.Model14(
        ...     width=1 / 64, classes=10, input_shape=(32, 32, 3)
        ... )
        >>> images = np.zeros((2, 32, 32, 3))
        >>> table = keras_prelu.analysis.responses(model, images)
        >>> table[0].name, round(table[0].mean, 1)
        ('mean', -114.8)

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 2.1
    """
    records = passes.forward(model, images)
    takes_images = len(model.inputs[0].shape) == 4
    is_first = takes_images and model_surgery.is_channels_first(model)
    data_format = "channels_first" if is_first else "channels_last"
    return LayerTable(
        [
            LayerResponse(
                record.name,
                record.kind,
                _number(ops.mean(ops.cast(record.response, "float32"))),
                _variance(record.response) ** 0.5,
                _fraction_of_dead_units(record, data_format),
            )
            for record in records
        ],
        plots.draw_responses,
    )
