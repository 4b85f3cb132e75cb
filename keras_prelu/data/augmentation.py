"""The part of the augmentation that runs on the device: it applies what was drawn.

Scale jitter, crop and flip are one separable resampling: two batched matrix products
with an antialiasing filter, which are the same for all images of a batch. Nothing here
is random, so the result does not depend on the number of replicas.
"""

from typing import Any

import keras
from keras import ops

from keras_prelu import model_surgery
from keras_prelu.data.batch_format import DrawnImage
from keras_prelu.resampling import resampling_matrix
from keras_prelu.types import Tensor

__all__ = ["Augmentation", "AugmentedModel", "augmented", "check_channels_last"]


@keras.saving.register_keras_serializable("keras_prelu")
class Augmentation(keras.layers.Layer):
    """Cuts the drawn crop out of each window, flips it and alters its colors.

    Use it on the batches of `train_batches(augment_on="device")`. The resampling is
    bilinear, and its filter is widened when it shrinks an image, as in Pillow's
    `resize(..., BILINEAR, box=...)`. Unlike Pillow it does not round in between.

    Args:
        image_size: Side of the square crops.

    Input:
        A dict of tensors:

        - `"pixels"`, `(batch, side, side, 3)`: the decoded windows, padded with zeros;
        - `"size"`, `(batch, 2)`: height and width of each window without the padding;
        - `"box"`, `(batch, 4)`: top, left, height and width of each crop, in pixels of
          the window;
        - `"flip"`, `(batch,)`: 1 to mirror the crop, else 0;
        - `"shift"`, `(batch, 3)`: values to add to red, green and blue.

    Output shape:
        `(batch, image_size, image_size, 3)`, in [0, 255] before the shift, which is
        not clipped.

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 3

    Examples:
        >>> import numpy as np
        >>> window = np.arange(4, dtype="uint8").reshape(1, 2, 2, 1).repeat(3, -1)
        >>> whole = {
        ...     "pixels": window, "size": np.array([[2, 2]]), "flip": np.array([1]),
        ...     "box": np.array([[0.0, 0, 2, 2]]), "shift": np.array([[10.0, 0, 0]]),
        ... }
        >>> crop = keras.ops.convert_to_numpy(Augmentation(2)(whole))
        >>> crop[0, :, :, 0].tolist()
        [[11.0, 10.0], [13.0, 12.0]]
    """

    def __init__(self, image_size: int, **kwargs: Any) -> None:
        # Half precision is too coarse for 256 levels and for positions of pixels.
        super().__init__(**{"dtype": "float32", **kwargs})
        self.image_size = image_size

    def call(self, inputs: DrawnImage) -> Tensor:
        """Return the augmented images."""
        pixels = ops.cast(inputs["pixels"], "float32")
        size = ops.cast(inputs["size"], "float32")
        box = ops.cast(inputs["box"], "float32")
        height, width, channels = pixels.shape[1:]
        side = self.image_size

        rows = resampling_matrix(box[:, 0], box[:, 2], size[:, 0], height, side)
        columns = resampling_matrix(box[:, 1], box[:, 3], size[:, 1], width, side)
        flip = ops.cast(inputs["flip"], "bool")[:, None, None]
        columns = ops.where(flip, ops.flip(columns, 1), columns)

        x = ops.matmul(rows, ops.reshape(pixels, (-1, height, width * channels)))
        x = ops.transpose(
            ops.reshape(x, (-1, side, width, channels)), (0, 2, 1, 3)
        )  # to (batch, width, side, channels), so that columns multiply from the left
        x = ops.matmul(columns, ops.reshape(x, (-1, width, side * channels)))
        x = ops.transpose(ops.reshape(x, (-1, side, side, channels)), (0, 2, 1, 3))
        return x + ops.cast(inputs["shift"], "float32")[:, None, None, :]

    def compute_output_shape(
        self, input_shape: dict[str, tuple[int | None, ...]]
    ) -> tuple[int | None, ...]:
        """Return the shape of the crops."""
        batch, _, _, channels = input_shape["pixels"]
        return (batch, self.image_size, self.image_size, channels)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "image_size": self.image_size}


@keras.saving.register_keras_serializable("keras_prelu")
class AugmentedModel(keras.Model):
    """A model with the augmentation in front, as returned by `augmented`.

    Args:
        model: The model to wrap.
        image_size: Side of the crops.

    Attributes:
        model: The wrapped model. It shares all weights; save this one.
    """

    def __init__(self, model: keras.Model, image_size: int, **kwargs: Any) -> None:
        super().__init__(**{"name": f"augmented_{model.name}", **kwargs})
        self.model = model
        self.augmentation = Augmentation(image_size)

    def build(self, input_shape: Any = None) -> None:
        """Mark the model as built: the wrapped model builds itself when called."""
        self.built = True

    def call(self, inputs: DrawnImage | Tensor, training: bool | None = None) -> Tensor:
        """Augment drawn batches, and pass plain images through for validation."""
        if isinstance(inputs, dict):
            inputs = self.augmentation(inputs)
        return self.model(inputs, training=training)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            **super().get_config(),
            "model": keras.saving.serialize_keras_object(self.model),
            "image_size": self.augmentation.image_size,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "AugmentedModel":
        """Build the model from the arguments of the constructor."""
        model = keras.saving.deserialize_keras_object(config.pop("model"))
        return cls(model, **config)


def augmented(model: keras.Model, image_size: int = 224) -> AugmentedModel:
    """Wrap a model for training on `train_batches(augment_on="device")`.

    Compile and fit the wrapper. `model` shares the trained weights: save and use it
    afterwards (it is also available as `wrapper.model`). Under a strategy, each replica
    augments its part of the batch on its own device. Validation data are plain
    `(x, y)`, as `eval_batches` returns them.

    Args:
        model: A Keras model that takes RGB images in [0, 255].
        image_size: Side of the crops, as passed to `train_batches`. Defaults to 224.

    Examples:
        >>> model = keras.Sequential([keras.Input((None, None, 3)),
        ...     keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)])
        >>> training_model = augmented(model, image_size=32)
        >>> training_model.model is model
        True
    """
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"Argument `model` must be a Keras model. Received: model={model}"
        )
    if isinstance(model, AugmentedModel):
        raise ValueError(
            "Argument `model` must be a model that is not augmented already. "
            f"Received: model={model}"
        )
    _check_image_size(model, image_size)
    return AugmentedModel(model, image_size)


def _check_image_size(model, image_size):
    if not model_surgery.is_functional(model):
        return
    check_channels_last(model)
    shape = tuple(model.inputs[0].shape)
    if any(side not in (None, image_size) for side in shape[1:3]):
        raise ValueError(
            "Argument `image_size` must be the size of the model's input. "
            f"Received: image_size={image_size}, for an input of shape {shape}"
        )


def check_channels_last(model: keras.Model) -> None:
    """Refuse a functional model that does not take images with the channels last."""
    if model_surgery.is_channels_first(model):
        raise ValueError(
            "Argument `model` must take images with the channels last, as they are "
            "read and augmented. Received: a model with an input of shape "
            f"{tuple(model.inputs[0].shape)}"
        )
