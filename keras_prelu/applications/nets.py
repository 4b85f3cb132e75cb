"""The nets of the paper as one table, and the builder that reads it."""

import contextlib
import numbers
from typing import NamedTuple

import keras
from keras import layers
from keras.src.backend.common import global_state

from keras_prelu import initializers
from keras_prelu.applications import weights as weights_files
from keras_prelu.layers import PReLU, SpatialPyramidPooling, SubtractMean

CLASSIFIER = "fc3"

# Brings images in [0, 255], their mean subtracted, to a variance of about 1: ImageNet's
# channels have standard deviations of 57 to 58. With inputs of 58 in place of 1, the
# first steps at the paper's learning rate diverge: training/experiments/start.py.
INPUT_SCALE = 1 / 58


class Stage(NamedTuple):
    """Convolutions of one size, and the max pooling after them."""

    filters: int
    kernel: int
    depth: int
    stride: int = 1
    pool: int | None = None


class Net(NamedTuple):
    """A row of the table."""

    stages: tuple[Stage, ...]
    levels: tuple[int, ...] = (7, 3, 2, 1)

    @property
    def smallest_size(self):
        """Height and width below which nothing would be left of an image."""
        size = 1
        for stage in reversed(self.stages):
            size *= stage.pool or 1
            size = (size - 1) * stage.stride + 1
        return size


def _large(widths, depth):
    """Returns a net of Table 3: a 7x7 convolution, then three stages of 3x3 ones."""
    return Net(
        (
            Stage(96, kernel=7, depth=1, stride=2, pool=2),
            Stage(widths[0], kernel=3, depth=depth, pool=2),
            Stage(widths[1], kernel=3, depth=depth, pool=2),
            Stage(widths[2], kernel=3, depth=depth),
        )
    )


def _small(depth):
    """Returns a net of Table 1, with `depth` layers in its last stage."""
    return Net(
        (
            Stage(64, kernel=7, depth=1, stride=2, pool=3),
            Stage(128, kernel=2, depth=4, pool=2),
            Stage(256, kernel=2, depth=depth),
        ),
        levels=(6, 3, 2, 1),
    )


NETS = {
    "model_a": _large((256, 512, 512), depth=5),
    "model_b": _large((256, 512, 512), depth=6),
    "model_c": _large((384, 768, 896), depth=6),
    "model14": _small(depth=6),
    "model30": _small(depth=22),
}


class Rectifier(NamedTuple):
    """An activation: the prefix of its layers' names, its first slope, its layer."""

    prefix: str
    slope: float
    layer: type
    arguments: dict


RECTIFIERS = {
    "prelu": Rectifier("prelu", 0.25, PReLU, {}),
    "prelu_shared": Rectifier("prelu", 0.25, PReLU, {"shared": True}),
    "relu": Rectifier("relu", 0.0, layers.ReLU, {}),
    "leaky_relu": Rectifier(
        "leaky_relu", 0.01, layers.LeakyReLU, {"negative_slope": 0.01}
    ),
}


class Architecture(NamedTuple):
    """What the layers of a model depend on."""

    net: Net
    activation: str
    width: float
    include_preprocessing: bool
    include_top: bool
    pooling: str | None
    classes: int
    classifier_activation: object
    dropout: float

    def units(self, count):
        """Returns the filters or units of a layer that has `count` at full width."""
        return max(1, round(count * self.width))

    def kernel_initializer(self, mode):
        """Returns Eqn. 10 or 14 with the slope of the rectifier, as Eqn. 15 has it."""
        return initializers.HeNormal(RECTIFIERS[self.activation].slope, mode)

    def absent_layers(self):
        """Returns the names of the layers that are left out."""
        prefix = RECTIFIERS[self.activation].prefix
        top = ("fc1", f"{prefix}_fc1", "fc2", f"{prefix}_fc2", CLASSIFIER)
        absent = set() if self.include_top else set(top)
        return absent if self.include_preprocessing else {"mean", *absent}

    def rectify(self, x, suffix):
        """Applies the rectifier."""
        rectifier = RECTIFIERS[self.activation]
        name = f"{rectifier.prefix}{suffix}"
        return rectifier.layer(name=name, **rectifier.arguments)(x)

    def convolutions(self, x):
        """Applies all stages."""
        for i, stage in enumerate(self.net.stages, start=1):
            for j in range(1, stage.depth + 1):
                suffix = f"{i}_{j}" if stage.depth > 1 else f"{i}"
                padding = "same"
                if stage.kernel == 2 and j % 2 == 0:
                    # "same" pads 2x2 at the end. In every layer, that would move the
                    # map by a cell a layer, and in 22 layers out of the image.
                    padding = "valid"
                    x = layers.ZeroPadding2D(((1, 0), (1, 0)), name=f"pad{suffix}")(x)
                x = layers.Conv2D(
                    self.units(stage.filters),
                    stage.kernel,
                    strides=stage.stride,
                    padding=padding,
                    kernel_initializer=self.kernel_initializer("fan_out"),
                    name=f"conv{suffix}",
                )(x)
                x = self.rectify(x, suffix)
            if stage.pool:
                x = layers.MaxPooling2D(stage.pool, name=f"pool{i}")(x)
        return x

    def top(self, x):
        """Applies spatial pyramid pooling and the three fully connected layers."""
        x = SpatialPyramidPooling(self.net.levels, name="spp")(x)
        for i in (1, 2):
            # "fan_out" would amplify the responses of fc1, which has eight times as
            # many inputs as outputs, and a full-width net would not learn at 0.01.
            x = layers.Dense(
                self.units(4096),
                kernel_initializer=self.kernel_initializer("fan_in"),
                name=f"fc{i}",
            )(x)
            x = self.rectify(x, f"_fc{i}")
            x = layers.Dropout(self.dropout, name=f"drop{i}")(x)
        x = layers.Dense(
            self.classes,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            name=CLASSIFIER,
        )(x)
        # A layer of its own, in float32: scores in half precision lose the small ones.
        return layers.Activation(
            self.classifier_activation, dtype="float32", name="predictions"
        )(x)

    def outputs(self, images, mean):
        """Returns the model's output for a tensor of images."""
        x = images
        if self.include_preprocessing:
            x = SubtractMean(mean, name="mean")(x)
            x = layers.Rescaling(INPUT_SCALE, name="scale")(x)
        x = self.convolutions(x)
        if self.include_top:
            return self.top(x)
        if self.pooling == "avg":
            return layers.GlobalAveragePooling2D(name="avg_pool")(x)
        if self.pooling == "max":
            return layers.GlobalMaxPooling2D(name="max_pool")(x)
        return x


@contextlib.contextmanager
def shapes_only():
    """Models built in this scope have shapes and no values, and take no memory.

    For looking at a model of any size before it is built: its variables can never be
    read. Nothing else may be built in this scope.
    """
    pending = "uninitialized_variables"
    before = list(global_state.get_global_attribute(pending, []))
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        # Or Keras would allocate them after all, with the next model it builds.
        global_state.set_global_attribute(pending, before)


def _check_choice(argument, value, choices):
    if value not in choices:
        names = ", ".join(repr(choice) for choice in choices)
        raise ValueError(
            f"Argument `{argument}` must be one of {names}. "
            f"Received: {argument}={value!r}"
        )


def _check_number(argument, value, kind, expectation, fits):
    if isinstance(value, bool) or not isinstance(value, kind) or not fits(value):
        raise ValueError(
            f"Argument `{argument}` must be {expectation}. "
            f"Received: {argument}={value!r}"
        )


def _check_architecture(architecture):
    _check_choice("activation", architecture.activation, RECTIFIERS)
    _check_choice("pooling", architecture.pooling, (None, "avg", "max"))
    _check_number(
        "classes",
        architecture.classes,
        numbers.Integral,
        "an integer of at least 1",
        lambda classes: classes >= 1,
    )
    _check_number(
        "width",
        architecture.width,
        numbers.Real,
        "a positive finite number",
        lambda width: 0 < width < float("inf"),
    )
    _check_number(
        "dropout",
        architecture.dropout,
        numbers.Real,
        "a number of at least 0 and below 1",
        lambda dropout: 0 <= dropout < 1,
    )
    keras.activations.get(architecture.classifier_activation)


def _standardize_input_shape(input_shape, net, include_top):
    """Returns the shape of an image, checked, and its number of channels."""
    first = keras.config.image_data_format() == "channels_first"
    if input_shape is None:
        size = (224, 224) if include_top else (None, None)
        input_shape = (3, *size) if first else (*size, 3)
    input_shape = tuple(input_shape)
    form = "(channels, height, width)" if first else "(height, width, channels)"
    valid = len(input_shape) == 3 and all(
        n is None or (isinstance(n, numbers.Integral) and n >= 1) for n in input_shape
    )
    channels = input_shape[0 if first else -1] if valid else None
    if channels is None:
        raise ValueError(
            f"Argument `input_shape` must be {form}, positive integers each; height "
            f"and width may be None. Received: input_shape={input_shape}"
        )
    sides = input_shape[1:] if first else input_shape[:-1]
    if any(side is not None and side < net.smallest_size for side in sides):
        raise ValueError(
            "Argument `input_shape` must give a height and a width of at least "
            f"{net.smallest_size} for this net. Received: input_shape={input_shape}"
        )
    return input_shape, channels


def _shape_of_tensor(input_tensor, input_shape):
    """Returns the shape of the images in `input_tensor`, checked."""
    if not isinstance(input_tensor, keras.KerasTensor):
        raise ValueError(
            "Argument `input_tensor` must be a Keras tensor, such as keras.Input() "
            f"returns. Received: input_tensor={input_tensor!r}"
        )
    shape = tuple(input_tensor.shape[1:])
    if input_shape is not None and tuple(input_shape) != shape:
        raise ValueError(
            f"Argument `input_shape` must be that of `input_tensor`, {shape}, or "
            f"None. Received: input_shape={input_shape}"
        )
    return shape


def _initial_mean(file, channels):
    """Returns the mean to start with: the file's, ImageNet's, or none as yet."""
    if file is not None and file.mean is not None:
        return file.mean
    return None if channels == 3 else (0.0,) * channels


def build(name, architecture, weights, input_tensor, input_shape):
    """Builds a net of the table.

    Args:
        name: Name of the model.
        architecture: An `Architecture`.
        weights: See `constructor`.
        input_tensor: See `constructor`.
        input_shape: See `constructor`.

    Returns:
        A `keras.Model`.
    """
    _check_architecture(architecture)
    if input_tensor is not None:
        input_shape = _shape_of_tensor(input_tensor, input_shape)
    input_shape, channels = _standardize_input_shape(
        input_shape, architecture.net, architecture.include_top
    )
    file = weights_files.find(weights)
    mean = _initial_mean(file, channels)

    def assemble(images):
        return architecture.outputs(images, mean)

    matched = None
    if file is not None:
        with shapes_only():
            images = keras.Input(input_shape)
            skeleton = keras.Model(images, assemble(images))
        matched = file.match(skeleton, CLASSIFIER, architecture.absent_layers())
    if input_tensor is None:
        inputs = images = keras.Input(input_shape, name="images")
    else:
        inputs, images = keras.utils.get_source_inputs(input_tensor), input_tensor
    model = keras.Model(inputs, assemble(images), name=name)
    if matched is not None:
        file.load(model, matched)
    return model
