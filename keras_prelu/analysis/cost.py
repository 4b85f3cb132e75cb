"""What a model costs."""

import math

import keras

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


def _of_layer(layer):
    if isinstance(layer, keras.layers.Dense):
        return math.prod(layer.kernel.shape)
    if isinstance(layer, _CONVOLUTIONS):
        shape = list(layer.output.shape)
        del shape[1 if layer.data_format == "channels_first" else -1]
        if None in shape[1:]:
            raise ValueError(
                "Argument `model` must have a known input size for its multiply-adds "
                "to be counted. Received: a model whose layer "
                f"{layer.name!r} has output shape {tuple(layer.output.shape)}"
            )
        return math.prod(layer.kernel.shape) * math.prod(shape[1:])
    return 0


def multiply_adds(model):
    """Counts the multiply-adds of a model for one image.

    Convolutions and fully connected layers are counted, as the paper does: the rest
    is less than a hundredth.

    Args:
        model: A functional `keras.Model` of a fixed input size.

    Returns:
        An integer.

    Examples:
        >>> model = keras_prelu.applications.ModelA(width=1 / 64, classes=10)
        >>> keras_prelu.analysis.multiply_adds(model)
        8353664

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), Table 3
    """
    return sum(_of_layer(layer) for layer in model.layers)
