"""How well conditioned the Fisher information of each layer's weights is."""

from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_prelu.analysis import passes, plots
from keras_prelu.analysis.tables import LayerTable


class LayerFisher(NamedTuple):
    """Conditioning of the Fisher information at one layer."""

    name: str
    kind: str
    diagonal: float
    block: float


def _gradients_by_image(seen):
    """Returns each image's gradient by a layer's weights and biases.

    Of shape `(images, weights of a unit and its bias, units)`.
    """
    layer = seen.operation
    inputs, gradient = seen.inputs, seen.gradient
    if isinstance(layer, keras.layers.Conv2D):
        inputs = ops.image.extract_patches(
            inputs,
            layer.kernel_size,
            strides=layer.strides,
            dilation_rate=layer.dilation_rate,
            padding=layer.padding,
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


def _block(gradients):
    """Returns the median over units of the largest eigenvalue over their mean.

    Of the information of a unit's weights and bias, a block of the matrix.
    """
    count, size, _ = gradients.shape
    # Products over images or over weights: their eigenvalues differ by zeros only.
    by_unit = gradients.transpose((2, 0, 1) if count < size else (2, 1, 0))
    values = np.linalg.eigvalsh(by_unit @ by_unit.transpose(0, 2, 1))
    total = values.sum(axis=1)
    alive = total > 0
    if not alive.any():
        return float("nan")
    return float(np.median(values[alive, -1] / total[alive]) * min(count, size))


def _is_measured(layer):
    if getattr(layer, "activation", None) is not keras.activations.linear:
        return False  # the gradient before it is not seen
    if isinstance(layer, keras.layers.Conv2D):
        plain = layer.groups == 1 and layer.data_format == "channels_last"
        return plain and not isinstance(layer, keras.layers.DepthwiseConv2D)
    return isinstance(layer, keras.layers.Dense)


def fisher(model, images):
    """Measures how well conditioned the Fisher information of each layer is.

    The Fisher information is the covariance of the gradients of the log-likelihood,
    for labels drawn from the model's own scores: the metric in which gradient descent
    should have moved. The closer it is to a multiple of the identity, the less plain
    gradient descent loses. A mean response that is not 0 is what spoils it: it adds
    one large eigenvalue, shared by a unit's weights and its bias. So the paper
    explains why PReLU, whose responses have means near 0, trains faster than ReLU.

    Both figures are 1 at best. To compare nets, use the same images: with fewer of
    them than a unit has weights, the eigenvalues are those of so many directions.

    Args:
        model: A functional `keras.Model` that classifies, and ends in a softmax.
        images: Array of what the model takes; all go through at once.

    Returns:
        A `LayerTable` of the convolutions and fully connected layers, but for those
        with an activation of their own in place of a layer after them. Its rows have
        `name`, `kind` (the class), `diagonal` (the largest entry of the diagonal over
        their mean) and `block` (the largest eigenvalue over their mean, of the
        block of one unit's weights and bias: the median over units).

    Examples:
        >>> model = keras.Sequential([
        ...     keras.Input((4,)),
        ...     keras.layers.Dense(2, kernel_initializer="zeros"),
        ...     keras.layers.Softmax(),
        ... ])
        >>> images = np.random.default_rng(0).normal(size=(1000, 4))
        >>> centred = keras_prelu.analysis.fisher(model, images)
        >>> shifted = keras_prelu.analysis.fisher(model, images + 3)
        >>> round(centred[0].block), round(shifted[0].block)
        (1, 5)

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 2.1
    """

    def likelihood(scores):
        logits = ops.log(ops.cast(scores, "float32") + keras.config.epsilon())
        labels = keras.random.categorical(ops.stop_gradient(logits), 1, seed=0)
        return ops.sum(ops.take_along_axis(logits, labels, axis=-1))

    rows = []
    for seen in passes.forward_and_back(model, images, likelihood):
        if _is_measured(seen.operation):
            gradients = _gradients_by_image(seen)
            diagonal = np.square(gradients).mean(axis=0)
            mean = diagonal.mean()
            ratio = float(diagonal.max() / mean) if mean > 0 else float("nan")
            rows.append(LayerFisher(seen.name, seen.kind, ratio, _block(gradients)))
    return LayerTable(rows, plots.draw_fisher)
