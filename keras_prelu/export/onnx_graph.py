"""A Keras model as an ONNX graph: each layer by a row of a table.

Built layer by layer and not traced, so that a layer becomes the operator that ONNX has
for it: PReLU one PRelu, with the weights as they are in the model.
"""

import keras
import numpy as np
from keras import ops

from keras_prelu import resampling
from keras_prelu.export.checks import require
from keras_prelu.layers import PReLU, SpatialPyramidPooling, SubtractMean

_OPSET = 18
_IR_VERSION = 8  # what ONNX Runtime has read since opset 18 came, 1.14


class _Graph:
    """The nodes and weights of a graph that grows."""

    def __init__(self, onnx):
        self._onnx = onnx
        self.nodes = []
        self.weights = []

    def add(self, operator, *inputs, outputs=1, **attributes):
        """Adds a node; returns the names of its outputs, or the name of the only one.

        Arrays among the inputs become weights of the graph.
        """
        names = [x if isinstance(x, str) else self._weight(x) for x in inputs]
        made = [f"{operator}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(
            self._onnx.helper.make_node(operator, names, made, **attributes)
        )
        return made[0] if outputs == 1 else made

    def _weight(self, array):
        name = f"weight_{len(self.weights)}"
        array = np.ascontiguousarray(array)
        self.weights.append(self._onnx.numpy_helper.from_array(array, name))
        return name


def _values(variable):
    """Returns a weight in float32, whatever the policy of its layer."""
    return np.asarray(ops.convert_to_numpy(ops.cast(variable, "float32")))


def _integers(*values):
    return np.array(values, np.int64)


def _activation(graph, layer, x, shape):
    name = keras.activations.serialize(layer.activation)
    if name == "linear":
        return x
    operator = {"relu": "Relu", "softmax": "Softmax"}.get(name)
    if operator is None:
        raise ValueError(
            "Argument `model` must have layers that can be converted to ONNX. "
            f"Received: layer {layer.name!r} with the activation {name!r}"
        )
    # Channels come second in maps, and last in vectors: both times axis 1.
    return graph.add(operator, x, **({"axis": 1} if operator == "Softmax" else {}))


def _windows(size, layer):
    padding = "SAME_UPPER" if layer.padding == "same" else "VALID"
    return {"kernel_shape": size, "strides": layer.strides, "auto_pad": padding}


def _convolution(graph, layer, x, shape):
    kernel = _values(layer.kernel).transpose(3, 2, 0, 1)
    bias = [_values(layer.bias)] if layer.use_bias else []
    windows = _windows(layer.kernel_size, layer)
    attributes = {"group": layer.groups, "dilations": layer.dilation_rate}
    x = graph.add("Conv", x, kernel, *bias, **windows, **attributes)
    return _activation(graph, layer, x, shape)


def _zero_padding(graph, layer, x, shape):
    (top, bottom), (left, right) = layer.padding
    return graph.add("Pad", x, _integers(0, 0, top, left, 0, 0, bottom, right))


def _max_pooling(graph, layer, x, shape):
    return graph.add("MaxPool", x, **_windows(layer.pool_size, layer))


def _dense(graph, layer, x, shape):
    bias = [_values(layer.bias)] if layer.use_bias else []
    x = graph.add("Gemm", x, _values(layer.kernel), *bias)
    return _activation(graph, layer, x, shape)


def _prelu(graph, layer, x, shape):
    alpha = _values(layer.alpha)
    return graph.add("PRelu", x, alpha.reshape(-1, *[1] * (len(shape) - 2)))


def _leaky_relu(graph, layer, x, shape):
    return graph.add("LeakyRelu", x, alpha=float(layer.negative_slope))


def _subtract_mean(graph, layer, x, shape):
    mean = _values(layer.mean)
    if mean.ndim == 1:
        mean = mean.reshape(1, 1, -1)
    else:
        mean = ops.convert_to_numpy(resampling.resize(mean, shape[1:3]))
    return graph.add("Sub", x, mean.transpose(2, 0, 1))


def _rescaling(graph, layer, x, shape):
    x = graph.add("Mul", x, np.float32(layer.scale))
    return graph.add("Add", x, np.float32(layer.offset)) if layer.offset else x


def _max_over_bins(graph, x, axis, bins):
    """Replaces an axis by the maxima of its bins; its length is known at run time."""
    length = graph.add("Shape", x, start=axis, end=axis + 1)
    edges = np.arange(bins + 1)
    starts = graph.add("Mul", length, _integers(*edges[:-1]))
    ends = graph.add("Mul", length, _integers(*edges[1:]))
    starts = graph.add("Div", starts, _integers(bins))
    ends = graph.add("Add", ends, _integers(bins - 1))
    ends = graph.add("Div", ends, _integers(bins))
    maxima = []
    for i in range(bins):
        place = _integers(i)
        edge = [graph.add("Gather", all_, place) for all_ in (starts, ends)]
        part = graph.add("Slice", x, *edge, _integers(axis))
        maxima.append(graph.add("ReduceMax", part, _integers(axis)))
    return graph.add("Concat", *maxima, axis=axis)


def _pyramid(graph, layer, x, shape):
    vectors = []
    for level in layer.levels:
        bins = _max_over_bins(graph, _max_over_bins(graph, x, 2, level), 3, level)
        bins = graph.add("Transpose", bins, perm=[0, 2, 3, 1])
        length = level * level * shape[-1]
        vectors.append(graph.add("Reshape", bins, _integers(-1, length)))
    return graph.add("Concat", *vectors, axis=1)


def _nothing(graph, layer, x, shape):
    return x


# From a layer's class to the function that adds it to a graph. Maps have their channels
# second in ONNX.
CONVERTERS = {
    keras.layers.Activation: _activation,
    keras.layers.Conv2D: _convolution,
    keras.layers.Dense: _dense,
    keras.layers.Dropout: _nothing,
    keras.layers.GlobalAveragePooling2D: lambda graph, layer, x, shape: graph.add(
        "ReduceMean", x, _integers(2, 3), keepdims=0
    ),
    keras.layers.GlobalMaxPooling2D: lambda graph, layer, x, shape: graph.add(
        "ReduceMax", x, _integers(2, 3), keepdims=0
    ),
    keras.layers.LeakyReLU: _leaky_relu,
    keras.layers.MaxPooling2D: _max_pooling,
    keras.layers.ReLU: lambda graph, layer, x, shape: graph.add("Relu", x),
    keras.layers.Rescaling: _rescaling,
    keras.layers.Softmax: lambda graph, layer, x, shape: graph.add(
        "Softmax", x, axis=1
    ),
    keras.layers.ZeroPadding2D: _zero_padding,
    PReLU: _prelu,
    SpatialPyramidPooling: _pyramid,
    SubtractMean: _subtract_mean,
}


def check_layers(model):
    """Refuses a model with a layer that the table does not hold."""
    for layer in model.layers[1:]:
        if type(layer) not in CONVERTERS:
            raise ValueError(
                "Argument `model` must be made of layers out of "
                f"{', '.join(sorted(known.__name__ for known in CONVERTERS))}. "
                f"Received: a model with {layer!r}"
            )


def fixes_size(model):
    """Returns whether the graph is for images of one size: if the mean is an image.

    The mean is resized to that size while the graph is made.
    """
    means = [x.mean for x in model.layers if isinstance(x, SubtractMean)]
    return any(len(mean.shape) == 3 for mean in means)


def convert(model):
    """Returns the ONNX model, a `ModelProto`.

    Args:
        model: A functional model of layers in `CONVERTERS`, of images with the channels
            last. As each of them has one input, it is a chain.
    """
    (onnx,) = require("onnx", "onnx")
    graph = _Graph(onnx)
    image = shape = tuple(model.inputs[0].shape)
    x = graph.add("Transpose", "images", perm=[0, 3, 1, 2])
    for layer in model.layers[1:]:  # the first is the input
        x = CONVERTERS[type(layer)](graph, layer, x, shape)
        shape = layer.compute_output_spec(keras.KerasTensor(shape)).shape
    graph.nodes[-1].output[0] = "scores"
    described = [
        onnx.helper.make_tensor_value_info(
            name, onnx.TensorProto.FLOAT, [size or dim for dim, size in sizes]
        )
        for name, sizes in (
            (
                "images",
                zip(("batch", "height", "width", "channels"), image, strict=True),
            ),
            ("scores", zip(("batch", "classes"), shape, strict=True)),
        )
    ]
    made = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes, model.name, described[:1], described[1:], graph.weights
        ),
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="keras_prelu",
    )
    onnx.checker.check_model(made, full_check=True)
    return made
