"""The builder of all networks in the table."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import layers

from keras_prelu import initializers
from keras_prelu.applications import arguments
from keras_prelu.applications import weights as weights_files
from keras_prelu.applications.nets import NETS, RECTIFIERS, Net, Rectifier
from keras_prelu.keras_internals import shapes_only
from keras_prelu.layers import SpatialPyramidPooling, SubtractMean
from keras_prelu.types import PathLike, Tensor

__all__ = ["CLASSIFIER", "INPUT_SCALE", "Architecture", "build"]

CLASSIFIER = "fc3"

# Scales images in [0, 255] to a variance of about 1 once their mean is subtracted:
# ImageNet's channels have standard deviations of 57 to 58. Without it, the first steps
# at the paper's learning rate diverge.
INPUT_SCALE = 1 / 58


class Architecture(NamedTuple):
    """The options that determine the layers of a model."""

    net: Net
    activation: str
    width: float
    include_preprocessing: bool
    include_top: bool
    pooling: str | None
    classes: int
    classifier_activation: Any
    dropout: float

    @property
    def rectifier(self) -> Rectifier:
        """Row of the activation in the table."""
        return RECTIFIERS[self.activation]

    def units(self, count: int) -> int:
        """Return the filters or units of a layer that has `count` at full width."""
        return max(1, round(count * self.width))

    def kernel_initializer(self, mode: str) -> initializers.HeNormal:
        """Return the initializer for the rectifier's slope (Eqn. 15)."""
        return initializers.HeNormal(self.rectifier.slope, mode)

    def absent_layers(self) -> set[str]:
        """Return the names of the layers with weights that are left out."""
        absent = set() if self.include_preprocessing else {"mean"}
        if not self.include_top:
            prefix = self.rectifier.prefix
            absent |= {"fc1", f"{prefix}_fc1", "fc2", f"{prefix}_fc2", CLASSIFIER}
        return absent

    def foreign_layers(self) -> set[str]:
        """Return the name of the first rectifier in nets with another activation.

        ReLU and leaky ReLU have no weights that could tell them apart.
        """
        prefixes = {rectifier.prefix for rectifier in RECTIFIERS.values()}
        return {f"{prefix}1" for prefix in prefixes - {self.rectifier.prefix}}

    def rectify(self, x: Tensor, suffix: str) -> Tensor:
        """Apply the rectifier, in a layer whose name ends in `suffix`."""
        name = f"{self.rectifier.prefix}{suffix}"
        return self.rectifier.layer(name=name, **self.rectifier.arguments)(x)

    def convolutions(self, x: Tensor) -> Tensor:
        """Apply all stages."""
        for i, stage in enumerate(self.net.stages, start=1):
            for j in range(1, stage.depth + 1):
                suffix = f"{i}_{j}" if stage.depth > 1 else f"{i}"
                padding = "same"
                if stage.kernel == 2 and j % 2 == 0:
                    # "same" pads 2x2 convolutions at the end. If every layer did, the
                    # content of a map would move by one cell per layer.
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

    def top(self, x: Tensor) -> Tensor:
        """Apply spatial pyramid pooling and the three fully connected layers."""
        x = SpatialPyramidPooling(self.net.levels, name="spp")(x)
        for i in (1, 2):
            # fc1 has 3 to 14 times as many inputs as outputs, so "fan_out" would
            # amplify its responses and make training less stable.
            x = layers.Dense(
                self.units(4096),
                kernel_initializer=self.kernel_initializer("fan_in"),
                name=f"fc{i}",
            )(x)
            x = self.rectify(x, f"_fc{i}")
            x = layers.Dropout(self.dropout, name=f"drop{i}")(x)
        x = layers.Dense(
            int(self.classes),  # Keras refuses NumPy's integers
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            name=CLASSIFIER,
        )(x)
        # A separate layer in float32, because half precision loses small scores.
        return layers.Activation(
            self.classifier_activation, dtype="float32", name="predictions"
        )(x)

    def outputs(self, images: Tensor, mean: Any) -> Tensor:
        """Return the model's output for a tensor of images."""
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


def _initial_mean(file, shape, channels):
    """Return the file's mean, `None` for ImageNet's, or zeros until `adapt()`."""
    if file is None or file.mean is None:
        return None if channels == 3 else (0.0,) * channels
    if file.mean.shape[-1] != channels:
        raise ValueError(
            f"Argument `input_shape` must have {file.mean.shape[-1]} channels for "
            "these weights. To build a new model for other images, pass `weights=None` "
            "and either `include_preprocessing=False` or, later, your images to "
            f"`adapt()` of the layer 'mean'. Received: input_shape={shape}"
        )
    return file.mean


def build(
    net: str,
    *,
    weights: PathLike | None,
    input_tensor: keras.KerasTensor | None,
    input_shape: Sequence[int | None] | None,
    name: str,
    **options: Any,
) -> keras.Model:
    """Build a network of the table, and load its weights.

    Args:
        net: Key of the network in `NETS`.
        weights: See `ModelA`.
        input_tensor: See `ModelA`.
        input_shape: See `ModelA`.
        name: Name of the model.
        **options: The fields of `Architecture` other than `net`.

    Returns:
        A `keras.Model`.
    """
    architecture = Architecture(NETS[net], **options)
    arguments.check_options(
        activation=architecture.activation,
        pooling=architecture.pooling,
        classes=architecture.classes,
        width=architecture.width,
        dropout=architecture.dropout,
        classifier_activation=architecture.classifier_activation,
    )
    shape, channels = arguments.image_shape(
        input_shape,
        input_tensor,
        architecture.net.smallest_size,
        architecture.include_top,
    )
    file = weights_files.find(weights)
    mean = None
    if architecture.include_preprocessing:
        mean = _initial_mean(file, shape, channels)
    matched: list[str] = []
    if file is not None:
        with shapes_only():
            images = keras.Input(shape)
            skeleton = keras.Model(images, architecture.outputs(images, mean))
        matched = file.match(
            skeleton,
            CLASSIFIER,
            architecture.absent_layers(),
            architecture.foreign_layers(),
        )
    if input_tensor is None:
        inputs = images = keras.Input(shape, name="images")
    else:
        inputs, images = keras.utils.get_source_inputs(input_tensor), input_tensor
    model = keras.Model(inputs, architecture.outputs(images, mean), name=name)
    if file is not None:
        file.load(model, matched)
    return model
