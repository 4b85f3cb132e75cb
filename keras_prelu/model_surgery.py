"""A classifier taken apart: the layers of a model in new models, no weight copied."""

import math

import keras

from keras_prelu.layers import PReLU, SpatialPyramidPooling, SubtractMean

# What a net without a fixed input size is taken to have been trained on.
PAPER_SIDE = 224
_POINTWISE = (
    keras.layers.Activation,
    keras.layers.Dropout,
    keras.layers.InputLayer,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
    keras.layers.Rescaling,
    PReLU,
)


def _check_model(model):
    if not isinstance(model, keras.Model) or not hasattr(model, "inputs"):
        raise ValueError(
            "Argument `model` must be a functional Keras model, such as "
            f"keras_prelu.applications return. Received: model={model!r}"
        )
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 4:
        raise ValueError(
            "Argument `model` must take one batch of images. Received: a model whose "
            f"inputs have the shapes {[tuple(x.shape) for x in model.inputs]}"
        )


def is_channels_first(model):
    """Returns whether a model takes its images with the channels first."""
    _check_model(model)
    for layer in model.layers:
        if hasattr(layer, "data_format"):
            return layer.data_format == "channels_first"
    return keras.config.image_data_format() == "channels_first"


def input_size(model):
    """Returns height and width of a model's own images; the paper's where unknown."""
    shape = model.inputs[0].shape
    sides = shape[2:] if is_channels_first(model) else shape[1:3]
    return tuple(side or PAPER_SIDE for side in sides)


def softmax_scores(model):
    """Returns the model with softmax scores, in float32, for its output.

    Args:
        model: A classifier that ends in a softmax, or in logits.

    Returns:
        `model` itself, or a model around it.
    """
    _check_model(model)
    last = model.layers[-1]
    if len(model.outputs) != 1 or len(model.outputs[0].shape) != 2:
        raise ValueError(
            "Argument `model` must be a classifier, of one output (batch, classes). "
            "Received: a model whose outputs have the shapes "
            f"{[tuple(x.shape) for x in model.outputs]}"
        )
    activation = getattr(last, "activation", None)
    if isinstance(last, keras.layers.Softmax) or (
        activation is keras.activations.softmax
    ):
        return model
    if activation is not keras.activations.linear:
        raise ValueError(
            "Argument `model` must end in a softmax, or in logits: other scores "
            f"cannot be averaged. Received: a model whose last layer is {last!r}"
        )
    scores = keras.layers.Softmax(dtype="float32", name="softmax")(model.output)
    return keras.Model(model.inputs, scores, name=model.name)


def any_size(model):
    """Returns the layers of a model, not copies, on images of any size.

    Args:
        model: A functional model of images whose layers take any height and width.
    """
    first = is_channels_first(model)
    channels = model.inputs[0].shape[1 if first else -1]
    shape = (channels, None, None) if first else (None, None, channels)
    images = keras.Input(shape, dtype=model.inputs[0].dtype, name="images")
    return keras.models.clone_model(
        keras.Model(model.inputs[0], model.output, name=model.name),
        input_tensors=images,
        clone_function=lambda layer: layer,
    )


def split(model):
    """Splits a net at its spatial pyramid pooling.

    Args:
        model: A net of `keras_prelu.applications`, with its top.

    Returns:
        The convolutions, as a model that takes images of any size; the pooling layer;
        the layers after it, as a model that ends in softmax scores; and height and
        width of the map that the net pools when its images have their own size.
    """
    _check_model(model)
    pooling = [x for x in model.layers if isinstance(x, SpatialPyramidPooling)]
    if len(pooling) != 1:
        raise ValueError(
            "Argument `model` must have one layer SpatialPyramidPooling, between its "
            f"convolutions and its top. Received: a model that has {len(pooling)}"
        )
    (pooling,) = pooling
    first = is_channels_first(model)
    trunk = any_size(keras.Model(model.inputs, pooling.input))
    channels = model.inputs[0].shape[1 if first else -1]
    top = keras.Model(pooling.output, softmax_scores(model).output, name="top")
    size = input_size(model)
    own = (1, channels, *size) if first else (1, *size, channels)
    maps = trunk.compute_output_shape(own)
    return trunk, pooling, top, tuple(maps[2:] if first else maps[1:3])


def _is_pointwise(layer):
    if isinstance(layer, SubtractMean):
        return len(layer.mean.shape) == 1  # a mean image is stretched to the input
    return isinstance(layer, _POINTWISE)


def margins(trunk):
    """Finds out how far the convolutions of a trunk look.

    Args:
        trunk: A model, such as `split` returns first.

    Returns:
        `(stride, before, after)`: pixels for one cell of the last map, and how many
        cells before and after its own at most a cell depends on. `None` if there is
        a layer whose output may depend on the whole image.
    """
    stride, before, after = 1, 0, 0
    for layer in trunk.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.MaxPooling2D)):
            pools = isinstance(layer, keras.layers.MaxPooling2D)
            (kernel, other) = layer.pool_size if pools else layer.kernel_size
            (step, other_step) = layer.strides
            if kernel != other or step != other_step or layer.padding == "causal":
                return None
            if layer.padding == "same":
                before += (kernel - 1) // 2 * stride
                # An even rest is padded at the end, so more is seen there.
                after += (kernel - 1 - max(kernel - step, 0) // 2) * stride
            else:
                after += (kernel - 1) * stride
            stride *= step
        elif isinstance(layer, keras.layers.ZeroPadding2D):
            # Only moves what the next layer's window looks at.
            (top, _), (left, _) = layer.padding
            before += max(top, left) * stride
        elif not _is_pointwise(layer):
            return None
    return stride, math.ceil(before / stride), math.ceil(after / stride)
