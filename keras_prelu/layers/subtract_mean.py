"""Subtraction of the training set's mean, as a part of the model."""

import keras
import numpy as np
from keras import ops

from keras_prelu import resampling
from keras_prelu.layers import data_formats

# Mean of the RGB channels over the training images of ImageNet 2012, in [0, 255]: the
# figures that Caffe's reference models, and keras.applications after them, subtract.
IMAGENET_MEAN = (123.68, 116.779, 103.939)


def _images_of(batch):
    """Returns the images of a batch `x`, `(x, y)` or `(x, y, weights)`."""
    images = batch[0] if isinstance(batch, (tuple, list)) else batch
    images = np.asarray(ops.convert_to_numpy(images))
    if images.ndim != 4:
        raise ValueError(
            "Argument `data` must hold batches of images, of rank 4. "
            f"Received: a batch of shape {images.shape}"
        )
    return images


@keras.saving.register_keras_serializable("keras_prelu")
class SubtractMean(keras.layers.Layer):
    """Subtracts the mean of the training images from images in [0, 255].

    The mean is a weight that is not trained, so that it is saved with the model and
    nobody who uses the model needs to know it. Integer images are converted. The
    difference is taken in float32 also where the model computes in less.

    Args:
        mean: A value per channel, or a mean image `(height, width, channels)` as the
            paper subtracts, which is resized to the size of the input. ImageNet's
            channel mean, `(123.68, 116.779, 103.939)` in RGB order, by default; it
            serves images of three channels only. Others need a mean of their own,
            given here or found by `adapt()`.
        data_format: `"channels_last"` or `"channels_first"`, of the images; Keras's
            global setting by default. A mean image always has its channels last.
        **kwargs: Keras's own layer arguments, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)` for
        `"channels_first"`. Height and width may be unknown.

    Output shape:
        That of the input.

    Examples:
        >>> layer = keras_prelu.layers.SubtractMean()
        >>> layer.adapt(np.full((8, 4, 4, 3), 100, "uint8"))
        >>> y = layer(np.full((1, 4, 4, 3), 107, "uint8"))
        >>> float(y[0, 0, 0, 0])
        7.0

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 3
    """

    def __init__(self, mean=None, data_format=None, **kwargs):
        # float16 would round whole pixel values, were the input cast before.
        super().__init__(autocast=False, **kwargs)
        if mean is not None:
            mean = np.asarray(mean, "float32")
            if mean.ndim not in (1, 3) or not mean.size or not np.isfinite(mean).all():
                raise ValueError(
                    "Argument `mean` must hold a finite value per channel, or be an "
                    "image (height, width, channels). "
                    f"Received: mean={mean}, of shape {mean.shape}"
                )
        self._values = mean
        self.data_format = data_formats.standardize(data_format)
        self._channel_axis = 1 if self.data_format == "channels_first" else 3
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape):
        """Creates the weight that holds the mean."""
        channels = input_shape[self._channel_axis]
        values = self._values
        if values is None and channels == len(IMAGENET_MEAN):
            values = np.asarray(IMAGENET_MEAN, "float32")
        if values is None:
            raise ValueError(
                f"{self.name} knows ImageNet's mean, of 3 channels; for others call "
                "`adapt(data)` first, or pass `mean`. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        if values.shape[-1] != channels:
            raise ValueError(
                f"The mean of {self.name} has {values.shape[-1]} channels, its input "
                f"has {channels}. Received: input_shape={tuple(input_shape)}"
            )
        self.mean = self.add_weight(
            shape=values.shape,
            name="mean",
            initializer=lambda shape, dtype: ops.convert_to_tensor(values, dtype),
            trainable=False,
            autocast=False,
        )

    def adapt(self, data, per_pixel=False):
        """Computes the mean of a data set, in one pass over it.

        Args:
            data: Images as one array of rank 4, or an iterable (such as a
                `tf.data.Dataset`) of batches `x`, `(x, y)` or `(x, y, weights)`.
            per_pixel: Whether to compute a mean image, from images of one size, and
                not a value per channel.
        """
        if hasattr(data, "shape"):
            data = [data]
        total, count = 0.0, 0
        for batch in data:
            images = np.moveaxis(_images_of(batch), self._channel_axis, -1)
            over = (0,) if per_pixel else (0, 1, 2)
            summed = images.sum(axis=over, dtype="float64")
            if count and np.shape(total) != summed.shape:
                raise ValueError(
                    "Argument `data` must hold images of one size for "
                    "`per_pixel=True`, and of one number of channels. Received: sums "
                    f"of shape {np.shape(total)}, then {summed.shape}"
                )
            total = total + summed
            count += images.size // summed.size
        if not count:
            raise ValueError(
                "Argument `data` must hold one image at least. Received: none"
            )
        values = (total / count).astype("float32")
        if self.built and tuple(self.mean.shape) != values.shape:
            raise ValueError(
                f"{self.name} is built with a mean of shape {tuple(self.mean.shape)}; "
                "adapt a new layer before its first call to change that. "
                f"Received: a mean of shape {values.shape}"
            )
        self._values = values
        if self.built:
            self.mean.assign(values)

    def call(self, inputs):
        """Returns the images less the mean."""
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        mean = ops.cast(self.mean, dtype)
        first = self.data_format == "channels_first"
        if len(mean.shape) == 3:
            rows = slice(2, 4) if first else slice(1, 3)
            if tuple(inputs.shape[rows]) != tuple(mean.shape[:2]):
                mean = resampling.resize(mean, ops.shape(inputs)[rows])
        else:
            mean = ops.reshape(mean, (1, 1, -1))
        if first:
            mean = ops.transpose(mean, (2, 0, 1))
        return ops.cast(ops.cast(inputs, dtype) - mean, self.compute_dtype)

    def compute_output_spec(self, inputs):
        """Returns the input's shape, in the layer's dtype."""
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "mean": None if self._values is None else self._values.tolist(),
            "data_format": self.data_format,
        }
