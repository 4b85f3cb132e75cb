"""A Keras model as an ONNX graph.

The graph is built layer by layer, not traced, so each layer becomes the operator that
ONNX has for it: a PReLU becomes one PRelu, with the weights of the model.
"""

from typing import Any

import keras
import numpy as np

from keras_prelu.export.onnx_layers import CONVERTERS
from keras_prelu.layers import SubtractMean
from keras_prelu.on_use import require

__all__ = ["check_layers", "convert", "fixes_size"]

_OPSET = 18
_IR_VERSION = 8  # supported since ONNX Runtime 1.14, the first version with opset 18


class _Graph:
    """Growing lists of inputs, nodes and weights.

    Args:
        onnx: The module `onnx`.
        slopes_as_inputs: Whether the slopes of PReLU layers are inputs, not weights.
    """

    def __init__(self, onnx: Any, slopes_as_inputs: bool) -> None:
        self._onnx = onnx
        self.slopes_as_inputs = slopes_as_inputs
        self.inputs: list[Any] = []
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def add_input(self, name, shape, dimensions=None):
        """Add an input, and return its name."""
        self.inputs.append(self.described(name, shape, dimensions or shape))
        return name

    def add_layers(self, layers, x, shape):
        """Add a chain of layers, and return the name and the shape of its output."""
        for layer in layers:
            if isinstance(layer, keras.layers.InputLayer):
                continue
            x = CONVERTERS[type(layer)](self, layer, x, shape)
            shape = layer.compute_output_spec(keras.KerasTensor(shape)).shape
        return x, shape

    def add(self, operator, *inputs, **attributes):
        """Add a node, and return the name of its output.

        Inputs are names, or arrays, which become weights of the graph.
        """
        names = [x if isinstance(x, str) else self._weight(x) for x in inputs]
        output = f"{operator}_{len(self.nodes)}"
        self.nodes.append(
            self._onnx.helper.make_node(operator, names, [output], **attributes)
        )
        return output

    def _weight(self, array):
        name = f"weight_{len(self.weights)}"
        array = np.ascontiguousarray(array)
        self.weights.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def described(self, name, shape, dimensions):
        """Return the description of an input or output; unknown sizes get names."""
        sizes = [size or n for n, size in zip(dimensions, shape, strict=True)]
        kind = self._onnx.TensorProto.FLOAT
        return self._onnx.helper.make_tensor_value_info(name, kind, sizes)


def check_layers(model: keras.Model) -> None:
    """Raise if a model has a layer that cannot be converted."""
    for layer in model.layers:
        is_input = isinstance(layer, keras.layers.InputLayer)
        if not is_input and type(layer) not in CONVERTERS:
            raise ValueError(
                "Argument `model` must consist of layers of the classes "
                f"{', '.join(sorted(known.__name__ for known in CONVERTERS))}. "
                f"Received: a model with {layer!r}"
            )


def fixes_size(model: keras.Model) -> bool:
    """Return whether the graph takes images of one size only.

    This is so if a mean image is subtracted: it is resized when the graph is built.
    """
    means = [x.mean for x in model.layers if isinstance(x, SubtractMean)]
    return any(len(mean.shape) == 3 for mean in means)


def convert(model: keras.Model, slopes_as_inputs: bool = False) -> Any:
    """Return a model as an ONNX `ModelProto`.

    Args:
        model: A functional or sequential model of images with the channels last, made
            of layers that `check_layers` accepts, and of `SlidingTop`. Each of them has
            one input, so they form a chain.
        slopes_as_inputs: Whether the slopes of each PReLU layer are an input with the
            layer's name. Defaults to `False`: they are weights.
    """
    (onnx,) = require("onnx", "onnx")
    graph = _Graph(onnx, slopes_as_inputs)
    shape = tuple(model.inputs[0].shape)
    x = graph.add_input("images", shape, ("batch", "height", "width", "channels"))
    x = graph.add("Transpose", x, perm=[0, 3, 1, 2])
    _, shape = graph.add_layers(model.layers, x, shape)
    graph.nodes[-1].output[0] = "scores"
    dimensions = ("batch", "rows", "columns")[: len(shape) - 1]
    outputs = graph.described("scores", shape, (*dimensions, "classes"))
    proto = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes, model.name, graph.inputs, [outputs], graph.weights
        ),
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="keras_prelu",
    )
    onnx.checker.check_model(proto, full_check=True)
    return proto
