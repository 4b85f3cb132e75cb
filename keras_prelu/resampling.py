"""Resampling as a matrix product, also for sizes that are only known at run time."""

from typing import Any

from keras import ops

from keras_prelu.types import Tensor

__all__ = ["resampling_matrix", "resize"]


def resampling_matrix(
    start: Tensor,
    extent: Tensor,
    valid: Tensor,
    inputs: int,
    outputs: int | Tensor,
) -> Tensor:
    """Compute weights that resample a segment of a line of pixels, with antialiasing.

    The filter is the one of Pillow's `resize(..., BILINEAR, box=...)`: a triangle with
    a half-width of one input pixel, or of one output pixel where that is larger.

    Args:
        start: Tensor of shape `(batch,)`, the start of the segment in pixels.
        extent: Tensor of shape `(batch,)`, the length of the segment in pixels.
        valid: Tensor of shape `(batch,)`, the number of pixels that are not padding.
        inputs: Number of pixels in the line.
        outputs: Number of pixels to resample the segment to.

    Returns:
        A tensor of shape `(batch, outputs, inputs)`, each row summing to 1.

    Examples:
        >>> halve = resampling_matrix(*map(ops.array, ([0.0], [4.0], [4.0])), 4, 2)
        >>> ops.convert_to_numpy(halve[0] * 7).round(3).tolist()
        [[3.0, 3.0, 1.0, 0.0], [0.0, 1.0, 3.0, 3.0]]
    """
    scale = (extent / ops.cast(outputs, "float32"))[:, None, None]
    positions = ops.arange(outputs, dtype="float32")[None, :, None] + 0.5
    centers = start[:, None, None] + positions * scale
    pixels = ops.arange(inputs, dtype="float32")[None, None, :] + 0.5
    weights = ops.relu(1 - ops.abs(pixels - centers) / ops.maximum(scale, 1.0))
    weights = ops.where(pixels < valid[:, None, None], weights, 0.0)
    return weights / ops.sum(weights, axis=2, keepdims=True)


def resize(image: Tensor, size: tuple[Any, Any]) -> Tensor:
    """Resize an image as Pillow's bilinear filter does.

    Unlike `keras.ops.image.resize`, it takes sizes that are only known at run time.

    Args:
        image: A tensor of shape `(height, width, channels)`, both sides known.
        size: New height and width, as integers or scalar tensors.

    Returns:
        The resized image.
    """

    def matrix(inputs, outputs):
        whole = ops.full((1,), float(inputs))
        return resampling_matrix(0 * whole, whole, whole, inputs, outputs)[0]

    rows, columns = (matrix(*sides) for sides in zip(image.shape, size, strict=False))
    resized = ops.tensordot(columns, ops.tensordot(rows, image, 1), axes=(1, 1))
    return ops.transpose(resized, (1, 0, 2))
