"""Apply what was drawn: the part of the augmentation that runs on the device.

Scale jitter, crop and flip are one separable resampling: two batched matrix products
with an antialiasing kernel, the same for every picture of a batch whatever was drawn
for it. Nothing here is random, so nothing here depends on the number of replicas.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_prelu")
class Augmentation(keras.layers.Layer):
    """Cuts the drawn crop out of each window, flips it and alters its colour.

    Section 3 of the paper, for the batches of `train_batches(augment_on="device")`.
    The resampling is bilinear with the kernel widened when it shrinks, as in Pillow's
    `resize(..., BILINEAR, box=...)`, but without rounding in between.

    Args:
        image_size: Side of the square crop.

    Input:
        A dict of tensors, one entry a picture: `"pixels"` (batch, side, side, 3), the
        decoded window padded with zeros; `"size"` (batch, 2), the height and width of
        the window in it; `"box"` (batch, 4), top, left, height and width of the crop in
        the window's pixels; `"flip"` (batch,), 0 or 1; `"shift"` (batch, 3), added to
        RGB.

    Output shape:
        `(batch, image_size, image_size, 3)`, in levels of 0 to 255 (not clipped).

    Example:

    >>> import numpy as np
    >>> window = np.arange(4, dtype="uint8").reshape(1, 2, 2, 1).repeat(3, -1)
    >>> whole = {
    ...     "pixels": window, "size": [[2, 2]], "box": [[0.0, 0.0, 2.0, 2.0]],
    ...     "flip": [1], "shift": [[10.0, 0.0, 0.0]],
    ... }
    >>> crop = keras.ops.convert_to_numpy(Augmentation(2)(whole))
    >>> crop[0, :, :, 0].tolist()
    [[11.0, 10.0], [13.0, 12.0]]
    """

    def __init__(self, image_size, **kwargs):
        # In half precision, 255 levels and sampling positions would blur.
        super().__init__(**{"dtype": "float32", **kwargs})
        self.image_size = image_size

    def call(self, inputs):
        """Returns the augmented pictures."""
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

    def compute_output_shape(self, input_shape):
        """Returns the shape of the crops."""
        batch, _, _, channels = input_shape["pixels"]
        return (batch, self.image_size, self.image_size, channels)

    def get_config(self):
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "image_size": self.image_size}


def resampling_matrix(start, extent, valid, inputs, outputs):
    """Weights that resample part of a line of pixels with an antialiasing tent.

    Args:
        start: Where the part begins, in pixels, one number a picture.
        extent: How many pixels it spans.
        valid: How many pixels of the line are picture and not padding.
        inputs: Length of the line.
        outputs: How many pixels to make of it.

    Returns:
        A tensor of shape `(batch, outputs, inputs)`, each row summing to 1.

    Example:

    >>> halve = resampling_matrix(*map(ops.array, ([0.0], [4.0], [4.0])), 4, 2)
    >>> ops.convert_to_numpy(halve[0] * 16).round(2).tolist()
    [[6.86, 6.86, 2.29, 0.0], [0.0, 2.29, 6.86, 6.86]]
    """
    scale = (extent / outputs)[:, None, None]
    positions = ops.arange(outputs, dtype="float32")[None, :, None] + 0.5
    centers = start[:, None, None] + positions * scale
    pixels = ops.arange(inputs, dtype="float32")[None, None, :] + 0.5
    weights = ops.relu(1 - ops.abs(pixels - centers) / ops.maximum(scale, 1.0))
    weights = ops.where(pixels < valid[:, None, None], weights, 0.0)
    return weights / ops.sum(weights, axis=2, keepdims=True)


@keras.saving.register_keras_serializable("keras_prelu")
class AugmentedModel(keras.Model):
    """A model with the augmentation in front of it: what `augmented` returns.

    Attributes:
        model: The model that was wrapped, which shares all weights: save this one.
    """

    def __init__(self, model, image_size, **kwargs):
        super().__init__(**{"name": f"augmented_{model.name}", **kwargs})
        self.model = model
        self.augmentation = Augmentation(image_size)

    def build(self, input_shape=None):
        """Does nothing: what is wrapped builds itself when it is called."""
        self.built = True

    def call(self, inputs, training=None):
        """Augments drawn batches; takes plain ones, for validation, as they are."""
        if isinstance(inputs, dict):
            inputs = self.augmentation(inputs)
        return self.model(inputs, training=training)

    def get_config(self):
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "model": keras.saving.serialize_keras_object(self.model),
            "image_size": self.augmentation.image_size,
        }

    @classmethod
    def from_config(cls, config):
        """Makes the wrapped model from its configuration."""
        model = keras.saving.deserialize_keras_object(config.pop("model"))
        return cls(model, **config)


def augmented(model, image_size=224):
    """Wraps a model for training on `train_batches(augment_on="device")`.

    The wrapper is compiled and fitted; `model` has the trained weights and is what is
    saved and used afterwards (also to be had as `wrapper.model`). Under a strategy,
    each replica augments its share of the batch on its own device. Validation data
    are plain `(x, y)`, as `eval_batches` yields them.

    Args:
        model: A Keras model that takes RGB pictures in [0, 255].
        image_size: Side of the crops, as given to `train_batches`.

    Returns:
        A `keras.Model`.

    Example:

    >>> model = keras.Sequential([keras.Input((None, None, 3)),
    ...     keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)])
    >>> training_model = augmented(model, image_size=32)
    >>> training_model.model is model
    True
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a Keras model. Received: model={model}")
    if isinstance(model, AugmentedModel):
        raise ValueError(f"`model` is augmented already. Received: model={model}")
    return AugmentedModel(model, image_size)
