"""Classifiers taken apart: new models from the layers of a model, without copies."""

import itertools
import math

import keras

from keras_prelu.keras_internals import Call, calls, internal
from keras_prelu.layers import PReLU, SpatialPyramidPooling, SubtractMean

__all__ = [
    "ANY_SIZE_SIDE",
    "any_size",
    "cell_centers",
    "ends_in_softmax",
    "free_name",
    "input_size",
    "is_channels_first",
    "is_functional",
    "last_call",
    "margins",
    "softmax_scores",
    "split",
]

# The assumed input size of a model that takes images of any size: the paper's crops.
ANY_SIZE_SIDE = 224
# Layers that compute each cell of a map from that cell alone.
_POINTWISE = (
    keras.layers.Activation,
    keras.layers.Dropout,
    keras.layers.InputLayer,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
    keras.layers.Rescaling,
    PReLU,
)


def is_functional(model: object) -> bool:
    """Return whether an object is a Keras model with a known graph of layers.

    This is true for functional models and for sequential models that are built.

    Examples:
        >>> images = keras.Input((8, 8, 3))
        >>> model = keras.Model(images, keras.layers.Flatten()(images))
        >>> is_functional(model), is_functional(keras.Sequential())
        (True, False)
    """
    if not isinstance(model, keras.Model):
        return False
    # Keras exports no class for functional models. A subclass of `keras.Model` has no
    # `inputs`, and neither has a sequential model before it is built.
    return bool(getattr(model, "inputs", None) and getattr(model, "outputs", None))


def _check_model(model):
    if not is_functional(model):
        raise ValueError(
            "Argument `model` must be a functional Keras model, such as those of "
            f"keras_prelu.applications. Received: model={model!r}"
        )
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 4:
        raise ValueError(
            "Argument `model` must take one batch of images. Received: a model with "
            f"inputs of shapes {[tuple(x.shape) for x in model.inputs]}"
        )


def is_channels_first(model: keras.Model) -> bool:
    """Return whether a model takes images with the channels first."""
    _check_model(model)
    for layer in model.layers:
        if hasattr(layer, "data_format"):
            return layer.data_format == "channels_first"
    return keras.config.image_data_format() == "channels_first"


def input_size(model: keras.Model) -> tuple[int, int]:
    """Return the height and width of a model's input, 224 where they are not fixed."""
    shape = model.inputs[0].shape
    height, width = shape[2:] if is_channels_first(model) else shape[1:3]
    return height or ANY_SIZE_SIDE, width or ANY_SIZE_SIDE


def last_call(model: keras.Model) -> Call:
    """Return the call of the layer, or other operation, that returns the output."""
    output = model.outputs[0]
    return next(x for x in calls(model) if any(y is output for y in x.outputs))


def ends_in_softmax(model: keras.Model) -> bool:
    """Return whether the output of a model comes from a softmax.

    This is a layer that is, or applies, a softmax, or `keras.ops.softmax`.

    Examples:
        >>> model = keras_prelu.applications.ModelA(width=1 / 64, classes=2)
        >>> ends_in_softmax(model)
        True
    """
    last = last_call(model).operation
    operation = internal("keras.src.ops.nn", "Softmax", "keras_prelu.model_surgery")
    activation = getattr(last, "activation", None)
    return (
        isinstance(last, (keras.layers.Softmax, operation))
        or activation is keras.activations.softmax
    )


def softmax_scores(model: keras.Model) -> keras.Model:
    """Return a model that ends in softmax scores.

    Args:
        model: A classifier that ends in a softmax or in logits.

    Returns:
        `model` itself if it ends in a softmax. Otherwise a new model with the same
        layers and a softmax, computed in float32, after them.
    """
    _check_model(model)
    if len(model.outputs) != 1 or len(model.outputs[0].shape) != 2:
        raise ValueError(
            "Argument `model` must be a classifier with one output of shape (batch, "
            "classes). Received: a model with outputs of shapes "
            f"{[tuple(x.shape) for x in model.outputs]}"
        )
    if ends_in_softmax(model):
        return model
    last = last_call(model).operation
    if getattr(last, "activation", None) is not keras.activations.linear:
        raise ValueError(
            "Argument `model` must end in a softmax or in logits, because other scores "
            f"cannot be averaged. Received: a model whose output comes from {last!r}"
        )
    softmax = keras.layers.Softmax(dtype="float32", name=free_name(model, "softmax"))
    return keras.Model(model.inputs[0], softmax(model.outputs[0]), name=model.name)


def free_name(model: keras.Model, name: str) -> str:
    """Return a name, with a number if an operation of the model has it already.

    Args:
        model: A functional or sequential `keras.Model`.
        name: The wanted name.
    """
    taken = {call.operation.name for call in calls(model)}
    numbered = (f"{name}_{i}" for i in itertools.count(1))
    return next(x for x in itertools.chain([name], numbered) if x not in taken)


def any_size(model: keras.Model) -> keras.Model:
    """Return a model with the same layers that takes images of any size.

    Args:
        model: A functional or sequential model of images whose layers accept any height
            and width.
    """
    first = is_channels_first(model)
    channels = model.inputs[0].shape[1 if first else -1]
    shape = (channels, None, None) if first else (None, None, channels)
    images = keras.Input(shape, dtype=model.inputs[0].dtype, name="images")
    # A sequential model has no `output` before another model calls it.
    is_sequential = isinstance(model, keras.Sequential)
    outputs = model.outputs[0] if is_sequential else model.output
    return keras.models.clone_model(
        keras.Model(model.inputs[0], outputs, name=model.name),
        input_tensors=images,
        clone_function=lambda layer: layer,
    )


def split(
    model: keras.Model,
) -> tuple[keras.Model, SpatialPyramidPooling, keras.Model, tuple[int, int]]:
    """Split a net at its spatial pyramid pooling.

    Args:
        model: A net of `keras_prelu.applications`, with its top.

    Returns:
        A tuple `(trunk, pooling, top, map_size)`:

        - `trunk`: A model of the convolutions, for images of any size.
        - `pooling`: The pooling layer.
        - `top`: A model of the layers after the pooling, ending in softmax scores.
        - `map_size`: Height and width of the trunk's output for images of the model's
          own input size.
    """
    _check_model(model)
    poolings = [
        call
        for call in calls(model)
        if isinstance(call.operation, SpatialPyramidPooling)
    ]
    if len(poolings) != 1:
        raise ValueError(
            "Argument `model` must have one SpatialPyramidPooling layer between its "
            f"convolutions and its top. Received: a model that has {len(poolings)}"
        )
    pooling, (maps,), (vector,) = poolings[0]
    first = is_channels_first(model)
    trunk = any_size(keras.Model(model.inputs, maps))
    channels = model.inputs[0].shape[1 if first else -1]
    top = keras.Model(vector, softmax_scores(model).outputs[0], name="top")
    size = input_size(model)
    shape = (1, channels, *size) if first else (1, *size, channels)
    map_shape = trunk.compute_output_shape(shape)
    return trunk, pooling, top, tuple(map_shape[2:] if first else map_shape[1:3])


def _is_pointwise(layer):
    if isinstance(layer, SubtractMean):
        return len(layer.mean.shape) == 1  # a mean image is resized to the input
    return isinstance(layer, _POINTWISE)


def margins(trunk: keras.Model) -> tuple[int, int, int] | None:
    """Compute the stride and the receptive field of a trunk's output.

    Args:
        trunk: A model of convolutions, such as the first result of `split`.

    Returns:
        A tuple `(stride, before, after)`: the pixels per cell of the output, and the
        largest number of cells before and after a cell that its value depends on.
        `None` if a layer's output may depend on the whole image.
    """
    stride, before, after = 1, 0, 0
    for layer, *_ in calls(trunk):
        if isinstance(layer, keras.layers.ZeroPadding2D):
            # Padding moves the window of the next layer.
            (top, _), (left, _) = layer.padding
            before += max(top, left) * stride
        elif not _is_pointwise(layer):
            window = _window(layer)
            if window is None:
                return None
            kernel, step, padding = window
            if layer.padding == "same":
                before += (kernel - 1) // 2 * stride
                # Where the padding is odd, the end gets one more row than the start.
                after += (kernel - 1 - padding) * stride
            else:
                after += (kernel - 1) * stride
            stride *= step
    return stride, math.ceil(before / stride), math.ceil(after / stride)


def _window(layer):
    """Return the side, the step and the rows of padding before a layer's window.

    The padding is for maps whose sides are multiples of the step. Returns None if the
    window is not square, or the layer has none.
    """
    if not isinstance(layer, (keras.layers.Conv2D, keras.layers.MaxPooling2D)):
        return None
    is_pooling = isinstance(layer, keras.layers.MaxPooling2D)
    (kernel, other) = layer.pool_size if is_pooling else layer.kernel_size
    (step, other_step) = layer.strides
    (dilation, other_dilation) = (1, 1) if is_pooling else layer.dilation_rate
    is_square = (kernel, step, dilation) == (other, other_step, other_dilation)
    if not is_square or layer.padding == "causal":
        return None
    kernel = (kernel - 1) * dilation + 1
    padding = max(kernel - step, 0) // 2 if layer.padding == "same" else 0
    return kernel, step, padding


def cell_centers(trunk: keras.Model) -> tuple[int, float]:
    """Compute where the receptive fields of a trunk's output cells have their centers.

    Args:
        trunk: A model of convolutions, such as the first result of `split`.

    Returns:
        A tuple `(stride, offset)`: the center of cell i is at `offset + i * stride`
        pixels, for images whose sides are multiples of the stride. The first pixel
        reaches from 0 to 1, so its center is at 0.5.

    Raises:
        ValueError: If the trunk has layers other than convolutions, poolings and
            pointwise functions with square windows.

    Examples:
        >>> model = keras_prelu.applications.ModelA(width=1 / 64, classes=2)
        >>> trunk, *_ = split(model)
        >>> cell_centers(trunk)
        (16, 8.5)
    """
    stride, offset = 1, 0.5
    for layer, *_ in calls(trunk):
        if isinstance(layer, keras.layers.ZeroPadding2D):
            (top, _), (left, _) = layer.padding
            if top != left:
                raise _not_square(layer)
            offset -= top * stride
        elif not _is_pointwise(layer):
            window = _window(layer)
            if window is None:
                raise _not_square(layer)
            kernel, step, padding = window
            offset += ((kernel - 1) / 2 - padding) * stride
            stride *= step
    return stride, offset


def _not_square(layer):
    return ValueError(
        "Argument `model` must have convolutions and poolings with square windows and "
        f"equal steps before its pyramid pooling. Received: a model with {layer!r}"
    )
