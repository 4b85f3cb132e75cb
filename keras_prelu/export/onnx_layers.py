"""The ONNX operators of each Keras layer, as a table of converters.

A converter is a function `(graph, layer, x, shape)`: it adds the layer to the graph,
with `x`, the name of its input, and returns the name of its output. `shape` is the
shape of the input in Keras, channels last. In ONNX, maps have their channels second.
"""

import keras
import numpy as np
from keras import ops

from keras_prelu import resampling
from keras_prelu.evaluation.dense import SlidingTop, bins
from keras_prelu.layers import PReLU, SpatialPyramidPooling, SubtractMean

__all__ = ["CONVERTERS"]


_END = np.iinfo(np.int64).max  # of a slice that has no end


def _values(variable):
    """Return a weight in float32, whatever the dtype policy of its layer."""
    return np.asarray(ops.convert_to_numpy(ops.cast(variable, "float32")))


def _integers(*values):
    return np.array(values, np.int64)


def _activation(graph, layer, x, shape):
    name = keras.activations.serialize(layer.activation)
    if name == "linear":
        return x
    if name == "relu":
        return graph.add("Relu", x)
    if name == "softmax":
        return _softmax(graph, layer, x, shape)
    raise _not_converted(layer, f"activation {name!r}")


def _not_converted(layer, what):
    return ValueError(
        "Argument `model` must have layers that can be converted to ONNX. "
        f"Received: a model whose layer {layer.name!r} has the {what}"
    )


def _relu(graph, layer, x, shape):
    if layer.threshold:
        raise _not_converted(layer, f"threshold {layer.threshold}")
    if layer.negative_slope:
        x = _leaky_relu(graph, layer, x, shape)
    else:
        x = graph.add("Relu", x)
    if layer.max_value is None:
        return x
    return graph.add("Min", x, np.float32(layer.max_value))


def _softmax(graph, layer, x, shape):
    # The channels are axis 1 of vectors and, in ONNX, of maps too.
    return graph.add("Softmax", x, axis=1)


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


def _global_average_pooling(graph, layer, x, shape):
    return graph.add("ReduceMean", x, _integers(2, 3), keepdims=0)


def _global_max_pooling(graph, layer, x, shape):
    return graph.add("ReduceMax", x, _integers(2, 3), keepdims=0)


def _dense(graph, layer, x, shape):
    bias = [_values(layer.bias)] if layer.use_bias else []
    x = graph.add("Gemm", x, _values(layer.kernel), *bias)
    return _activation(graph, layer, x, shape)


def _dropout(graph, layer, x, shape):
    return x


def _prelu(graph, layer, x, shape):
    alpha, per_channel = _values(layer.alpha), (-1, *[1] * (len(shape) - 2))
    if graph.slopes_as_inputs:
        alpha = graph.add_input(layer.name, alpha.shape)
        alpha = graph.add("Reshape", alpha, _integers(*per_channel))
    else:
        alpha = alpha.reshape(per_channel)
    return graph.add("PRelu", x, alpha)


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
    def channels_second(constant):
        constant = np.asarray(constant, "float32")
        ones = [1] * (len(shape) - constant.ndim)
        return np.moveaxis(constant.reshape(*ones, *constant.shape), -1, 1)

    x = graph.add("Mul", x, channels_second(layer.scale))
    if not np.any(layer.offset):
        return x
    return graph.add("Add", x, channels_second(layer.offset))


def _max_over_bins(graph, x, axis, bins):
    """Replace an axis, whose length is known at run time only, by its bins' maxima."""
    length = graph.add("Shape", x, start=axis, end=axis + 1)
    edges = np.arange(bins + 1)
    starts = graph.add("Mul", length, _integers(*edges[:-1]))
    ends = graph.add("Mul", length, _integers(*edges[1:]))
    starts = graph.add("Div", starts, _integers(bins))
    ends = graph.add("Add", ends, _integers(bins - 1))
    ends = graph.add("Div", ends, _integers(bins))
    maxima = []
    for i in range(bins):
        limits = [graph.add("Gather", edge, _integers(i)) for edge in (starts, ends)]
        one_bin = graph.add("Slice", x, *limits, _integers(axis))
        maxima.append(graph.add("ReduceMax", one_bin, _integers(axis)))
    return graph.add("Concat", *maxima, axis=axis)


def _pyramid_pooling(graph, layer, x, shape):
    vectors = []
    for level in layer.levels:
        bins = _max_over_bins(graph, _max_over_bins(graph, x, 2, level), 3, level)
        bins = graph.add("Transpose", bins, perm=[0, 2, 3, 1])
        length = level * level * shape[-1]
        vectors.append(graph.add("Reshape", bins, _integers(-1, length)))
    return graph.add("Concat", *vectors, axis=1)


def _pooled_windows(graph, x, levels, window):
    """Apply spatial pyramid pooling to every window, as `SlidingTop` does.

    The maximum over a bin, at every window, is a slice of the map of sliding maxima.
    Its end counts from the end of that map, so it does not depend on the map's size.
    """
    maxima, vectors = {}, []
    for level in levels:
        for top, height in bins(window[0], level):
            for left, width in bins(window[1], level):
                size = (height, width)
                if size not in maxima:
                    tall = graph.add("MaxPool", x, kernel_shape=(height, 1))
                    maxima[size] = graph.add("MaxPool", tall, kernel_shape=(1, width))
                starts = (top, left)
                ends = [
                    start + length - side or _END
                    for start, length, side in zip(starts, size, window, strict=True)
                ]
                limits = (_integers(*starts), _integers(*ends), _integers(2, 3))
                vectors.append(graph.add("Slice", maxima[size], *limits))
    return graph.add("Concat", *vectors, axis=1)


def _sliding_top(graph, layer, x, shape):
    x = _pooled_windows(graph, x, layer.levels, layer.window)
    x = graph.add("Transpose", x, perm=[0, 2, 3, 1])
    windows = graph.add("Shape", x, start=0, end=3)
    length = layer.top.input_shape[-1]
    x = graph.add("Reshape", x, _integers(-1, length))
    x, _ = graph.add_layers(layer.top.layers, x, (None, length))
    map_shape = graph.add("Concat", windows, _integers(-1), axis=0)
    return graph.add("Reshape", x, map_shape)


CONVERTERS = {
    keras.layers.Activation: _activation,
    keras.layers.Conv2D: _convolution,
    keras.layers.Dense: _dense,
    keras.layers.Dropout: _dropout,
    keras.layers.GlobalAveragePooling2D: _global_average_pooling,
    keras.layers.GlobalMaxPooling2D: _global_max_pooling,
    keras.layers.LeakyReLU: _leaky_relu,
    keras.layers.MaxPooling2D: _max_pooling,
    keras.layers.ReLU: _relu,
    keras.layers.Rescaling: _rescaling,
    keras.layers.Softmax: _softmax,
    keras.layers.ZeroPadding2D: _zero_padding,
    PReLU: _prelu,
    SlidingTop: _sliding_top,
    SpatialPyramidPooling: _pyramid_pooling,
    SubtractMean: _subtract_mean,
}
