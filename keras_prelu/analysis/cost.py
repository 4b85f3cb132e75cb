"""The cost of a model in multiply-adds."""

import math

import keras

from keras_prelu import keras_internals, model_surgery

__all__ = ["multiply_adds"]

# Layers that use each weight of their kernels once per position of their output.
_PER_OUTPUT = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)
# The same, per position of their input.
_PER_INPUT = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


def _positions(layer, tensor, kind):
    shape = list(tensor.shape[1:])
    data_format = getattr(layer, "data_format", "channels_last")
    del shape[0 if data_format == "channels_first" else -1]
    if None in shape:
        raise ValueError(
            "Argument `model` must have a fixed input size. "
            f"Received: a model whose layer {layer.name!r} has the {kind} shape "
            f"{tuple(tensor.shape)}"
        )
    return math.prod(shape)


def _multiply_adds_of_call(call):
    layer = call.operation
    if model_surgery.is_functional(layer):
        return multiply_adds(_for_shapes(layer, call.inputs))
    weights = getattr(layer, "weights", ())
    kernels = [x for x in weights if x.name.endswith("kernel")]
    if not kernels:
        return 0
    if isinstance(layer, keras.layers.Dense):
        # A quantized kernel may hold two weights in each of its numbers.
        positions = _positions(layer, call.outputs[0], "output")
        return positions * call.inputs[0].shape[-1] * layer.units
    if isinstance(layer, _PER_OUTPUT):
        positions = _positions(layer, call.outputs[0], "output")
    elif isinstance(layer, _PER_INPUT):
        positions = _positions(layer, call.inputs[0], "input")
    else:
        raise ValueError(
            "Argument `model` must have no layers with kernels but convolutions and "
            f"Dense layers. Received: a model with {layer!r}"
        )
    return positions * sum(math.prod(kernel.shape) for kernel in kernels)


def _for_shapes(model, tensors):
    """Return a nested model for the shapes that it is used with."""
    inputs = [keras.Input(batch_shape=x.shape, dtype=x.dtype) for x in tensors]
    graph = keras.Model(model.inputs, model.outputs)
    outputs = keras_internals.run_graph(graph, inputs, lambda operation: operation)
    return keras.Model(inputs, outputs)


def multiply_adds(model: keras.Model) -> int:
    """Count a model's multiply-adds per image.

    Like the paper, it counts only convolutions and fully connected layers, also those
    of nested models. All other layers of the paper's models together have less than a
    hundredth of these. Other layers with kernels, such as recurrent ones, are refused.

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
    if not model_surgery.is_functional(model):
        raise ValueError(
            "Argument `model` must be a functional Keras model. "
            f"Received: model={model!r}"
        )
    return sum(map(_multiply_adds_of_call, keras_internals.calls(model)))
