"""The cost of a model in multiply-adds."""

import math

import keras

__all__ = ["multiply_adds"]

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


def _multiply_adds_of_layer(layer):
    if isinstance(layer, keras.layers.Dense):
        return math.prod(layer.kernel.shape)
    if isinstance(layer, _CONVOLUTIONS):
        shape = list(layer.output.shape)
        del shape[1 if layer.data_format == "channels_first" else -1]
        if None in shape[1:]:
            raise ValueError(
                "Argument `model` must have a fixed input size. "
                f"Received: a model whose layer {layer.name!r} has the output shape "
                f"{tuple(layer.output.shape)}"
            )
        return math.prod(layer.kernel.shape) * math.prod(shape[1:])
    return 0


def multiply_adds(model: keras.Model) -> int:
    """Count a model's multiply-adds per image.

    Like the paper, it counts only convolutions and fully connected layers. All other
    layers together have less than a hundredth of these.

    Args:
        model: A functional `keras.Model` with a fixed input size.

    Returns:
        An integer.

    Examples:
        >>> model = keras_prelu.applications.ModelA(width=1 / 64, classes=10)
        >>> keras_prelu.analysis.multiply_adds(model)
        8353664

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), Table 3
    """
    return sum(_multiply_adds_of_layer(layer) for layer in model.layers)
