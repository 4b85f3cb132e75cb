"""The layer that subtracts the mean of the training images."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_prelu import resampling
from keras_prelu.layers import data_formats
from keras_prelu.types import Tensor

__all__ = ["IMAGENET_MEAN", "SubtractMean"]

# RGB mean of ImageNet 2012's training images in [0, 255], as used by Caffe's reference
# models and keras.applications.
IMAGENET_MEAN = (123.68, 116.779, 103.939)


def _images_of(batch):
    """Return the images of a batch `x`, `(x, y)` or `(x, y, weights)`."""
    images = batch[0] if isinstance(batch, (tuple, list)) else batch
    images = np.asarray(ops.convert_to_numpy(images))
    if images.ndim != 4:
        raise ValueError(
            "Argument `data` must hold batches of images, of rank 4. "
            f"Received: a batch of shape {images.shape}"
        )
    return images


def _mean_of(data, channel_axis, per_pixel):
    """Return the mean over a data set, computed in one pass in float64."""
    total, count = 0.0, 0
    for batch in data:
        images = np.moveaxis(_images_of(batch), channel_axis, -1)
        batch_sum = images.sum(axis=(0,) if per_pixel else (0, 1, 2), dtype="float64")
        if count and np.shape(total) != batch_sum.shape:
            raise ValueError(
                "Argument `data` must hold images with the same number of channels "
                "and, for `per_pixel=True`, of the same size. Received: sums of shape "
                f"{np.shape(total)}, then {batch_sum.shape}"
            )
        total = total + batch_sum
        count += images.size // batch_sum.size
    if not count:
        raise ValueError(
            "Argument `data` must hold at least one image. Received: no images"
        )
    with np.errstate(over="ignore"):  # infinite in float32, which is refused
        mean = (total / count).astype("float32")
    if not np.isfinite(mean).all():
        raise ValueError(
            "Argument `data` must hold finite images. Received: a mean with "
            f"{np.count_nonzero(~np.isfinite(mean))} values that are not finite"
        )
    return mean


@keras.saving.register_keras_serializable("keras_prelu")
class SubtractMean(keras.layers.Layer):
    """Subtracts the mean of the training images from images in [0, 255].

    The mean is a non-trainable weight. It is saved with the model, so users of the
    model do not have to know it. Integer images are converted to floats. The
    difference is computed in float32 or higher precision under every dtype policy.

    Args:
        mean: One value per channel, or a mean image `(height, width, channels)` as in
            the paper, which is resized to the size of the input. Defaults to
            ImageNet's channel mean, `(123.68, 116.779, 103.939)` in RGB order, which
            only fits images with three channels. For other images, pass a mean or call
            `adapt()`.
        data_format: `"channels_last"` or `"channels_first"`, the format of the images.
            Defaults to Keras's global setting. A mean image is always channels-last.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)` for
        `"channels_first"`. Height and width may be unknown.

    Output shape:
        Same as the input shape.

    Examples:
        >>> layer = keras_prelu.layers.SubtractMean()
        >>> layer.adapt(np.full((8, 4, 4, 3), 100, "uint8"))
        >>> y = layer(np.full((1, 4, 4, 3), 107, "uint8"))
        >>> float(y[0, 0, 0, 0])
        7.0

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 3
    """

    def __init__(
        self, mean: Any = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        # Without `autocast=False`, float16 would round pixel values before `call`.
        super().__init__(autocast=False, **kwargs)
        if mean is not None:
            mean = np.asarray(mean, "float32")
            if mean.ndim not in (1, 3) or not mean.size or not np.isfinite(mean).all():
                raise ValueError(
                    "Argument `mean` must hold one finite value per channel, or be a "
                    "finite image (height, width, channels). "
                    f"Received: mean={mean}, of shape {mean.shape}"
                )
        self._values = mean
        self.data_format = data_formats.standardize(data_format)
        self._channel_axis = 1 if self.data_format == "channels_first" else 3
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weight that holds the mean."""
        channels = input_shape[self._channel_axis]
        values = self._values
        if values is None and channels == len(IMAGENET_MEAN):
            values = np.asarray(IMAGENET_MEAN, "float32")
        if values is None:
            raise ValueError(
                "Argument `mean` must be given, or `adapt(data)` called first, for "
                "images without 3 channels. In a model of keras_prelu.applications, "
                "`include_preprocessing=False` leaves the mean out. "
                f"Received: input_shape={tuple(input_shape)} in layer {self.name!r}"
            )
        if values.shape[-1] != channels:
            raise ValueError(
                f"Argument `input_shape` must have {values.shape[-1]} channels, as "
                "the mean has. In a model of keras_prelu.applications, "
                "`include_preprocessing=False` leaves the mean out. "
                f"Received: input_shape={tuple(input_shape)} in layer {self.name!r}"
            )
        self.mean = self.add_weight(
            shape=values.shape,
            name="mean",
            initializer=lambda shape, dtype: ops.convert_to_tensor(values, dtype),
            trainable=False,
            autocast=False,
        )

    def adapt(self, data: Iterable[Any], per_pixel: bool = False) -> None:
        """Compute the mean of a data set in one pass.

        Args:
            data: Array of images of rank 4, or an iterable of batches `x`, `(x, y)` or
                `(x, y, weights)` that ends, such as a `tf.data.Dataset`. Of the batches
                of `keras_prelu.data.train_batches`, which do not end, take some.
            per_pixel: Whether to compute a mean image instead of one value per
                channel. All images must then have the same size.
        """
        if not hasattr(data, "__iter__") and not hasattr(data, "__getitem__"):
            raise ValueError(
                "Argument `data` must be an array of images or an iterable of batches. "
                f"Received: data={data!r}"
            )
        batches = [data] if hasattr(data, "shape") else data
        values = _mean_of(batches, self._channel_axis, per_pixel)
        if self.built and tuple(self.mean.shape) != values.shape:
            raise ValueError(
                "Argument `data` must have a mean of the shape "
                f"{tuple(self.mean.shape)}, with which layer {self.name!r} was built. "
                "To change the shape, adapt a new layer before its first call. "
                f"Received: a mean of shape {values.shape}"
            )
        self._values = values
        if self.built:
            self.mean.assign(values)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the images minus the mean."""
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        mean = ops.cast(self.mean, dtype)
        is_channels_first = self.data_format == "channels_first"
        if len(mean.shape) == 3:
            sides = slice(2, 4) if is_channels_first else slice(1, 3)
            if tuple(inputs.shape[sides]) != tuple(mean.shape[:2]):
                mean = resampling.resize(mean, ops.shape(inputs)[sides])
        else:
            mean = ops.reshape(mean, (1, 1, -1))
        if is_channels_first:
            mean = ops.transpose(mean, (2, 0, 1))
        return ops.cast(ops.cast(inputs, dtype) - mean, self.compute_dtype)

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        """Return the input's shape with the layer's dtype."""
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "mean": None if self._values is None else self._values.tolist(),
            "data_format": self.data_format,
        }
