"""Conditioning of the Fisher information of each layer's weights."""

from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_prelu import model_surgery
from keras_prelu.analysis import passes, plots
from keras_prelu.analysis.tables import LayerTable
from keras_prelu.types import Tensor

__all__ = ["LayerFisher", "fisher"]


class LayerFisher(NamedTuple):
    """Conditioning of the Fisher information of one layer."""

    name: str
    kind: str
    diagonal: float
    block: float


def _gradients_per_image(record):
    """Return each image's gradient of a layer's weights and biases.

    The shape is `(images, weights of a unit and its bias, units)`.
    """
    layer = record.operation
    inputs, gradient = record.inputs, record.gradient
    if isinstance(layer, keras.layers.Conv2D):
        if layer.data_format == "channels_first":
            inputs, gradient = (
                ops.transpose(x, (0, 2, 3, 1)) for x in (inputs, gradient)
            )
        inputs = ops.image.extract_patches(
            inputs,
            layer.kernel_size,
            strides=layer.strides,
            dilation_rate=layer.dilation_rate,
            padding=layer.padding,
            data_format="channels_last",
        )
    inputs, gradient = (
        ops.convert_to_numpy(ops.cast(x, "float32")) for x in (inputs, gradient)
    )
    count = len(inputs)
    inputs = inputs.reshape(count, -1, inputs.shape[-1])
    gradient = gradient.reshape(count, -1, gradient.shape[-1])
    if layer.use_bias:
        inputs = np.concatenate([inputs, np.ones_like(inputs[:, :, :1])], axis=2)
    return inputs.transpose(0, 2, 1) @ gradient


def _block_conditioning(gradients):
    """Return the median over units of the largest eigenvalue over the mean one.

    The eigenvalues are of the block of the Fisher information that belongs to one
    unit's weights and bias.
    """
    count, size, _ = gradients.shape
    # Products over images and over weights have the same nonzero eigenvalues.
    by_unit = gradients.transpose((2, 0, 1) if count < size else (2, 1, 0))
    values = np.linalg.eigvalsh(by_unit @ by_unit.transpose(0, 2, 1))
    total = values.sum(axis=1)
    alive = total > 0
    if not alive.any():
        return float("nan")
    return float(np.median(values[alive, -1] / total[alive]) * min(count, size))


def _diagonal_conditioning(gradients):
    """Return the largest entry of the diagonal over their mean."""
    diagonal = np.square(gradients).mean(axis=0)
    mean = diagonal.mean()
    return float(diagonal.max() / mean) if mean > 0 else float("nan")


def _is_measured(layer):
    if getattr(layer, "activation", None) is not keras.activations.linear:
        return False  # the gradient before the activation is not recorded
    if isinstance(layer, keras.layers.Conv2D):
        return layer.groups == 1
    return isinstance(layer, keras.layers.Dense)


def fisher(model: keras.Model, images: Tensor) -> LayerTable:
    """Measure how well conditioned the Fisher information of each layer is.

    The Fisher information is the covariance of the gradients of the log-likelihood, for
    labels drawn from the model's own scores. Gradient descent works best if it is a
    multiple of the identity. A mean response other than 0 adds one large eigenvalue to
    it, which couples a unit's weights with its bias. This is the paper's explanation of
    why PReLU, whose mean responses are near 0, trains faster than ReLU.

    Both measures are 1 at best. Compare models on the same images: with fewer images
    than a unit has weights, the images span only some of the directions.

    Args:
        model: A functional `keras.Model` that classifies and ends in a softmax.
        images: Array of the model's inputs, which all go through the model at once.

    Returns:
        A `LayerTable` of the convolutions and fully connected layers without an
        activation of their own. Its rows have `name`, `kind` (the layer's class),
        `diagonal` (the largest entry of the diagonal over their mean) and `block` (the
        largest eigenvalue over the mean one, in the block of one unit's weights and
        bias; the median over units).

    Examples:
        >>> model = keras.Sequential([
        ...     keras.Input((4,)),
        ...     keras.layers.Dense(2, kernel_initializer="zeros"),
        ...     keras.layers.Softmax(),
        ... ])
        >>> images = np.random.default_rng(0).normal(size=(1000, 4))
        >>> centered = keras_prelu.analysis.fisher(model, images)
        >>> shifted = keras_prelu.analysis.fisher(model, images + 3)
        >>> round(centered[0].block), round(shifted[0].block)
        (1, 5)

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 2.1
    """
    if not model_surgery.ends_in_softmax(passes.functional(model)):
        raise ValueError(
            "Argument `model` must end in a softmax, because the labels are drawn from "
            f"its scores. Received: model={model!r}"
        )

    def log_likelihood(scores):
        logits = ops.log(ops.cast(scores, "float32") + keras.config.epsilon())
        labels = keras.random.categorical(ops.stop_gradient(logits), 1, seed=0)
        return ops.sum(ops.take_along_axis(logits, labels, axis=-1))

    rows = []
    for record in passes.forward_and_back(model, images, log_likelihood):
        if _is_measured(record.operation):
            gradients = _gradients_per_image(record)
            rows.append(
                LayerFisher(
                    record.name,
                    record.kind,
                    _diagonal_conditioning(gradients),
                    _block_conditioning(gradients),
                )
            )
    return LayerTable(rows, plots.draw_fisher)
