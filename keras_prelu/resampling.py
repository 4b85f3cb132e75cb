"""Resampling as a matrix product, for sizes that are known at run time only."""

from keras import ops


def resampling_matrix(start, extent, valid, inputs, outputs):
    """Weights that resample part of a line of pixels with an antialiasing tent.

    The kernel is that of Pillow's `resize(..., BILINEAR, box=...)`: a tent as wide as
    two pixels of the input, or of the output where these are wider.

    Args:
        start: Where the part begins, in pixels, one number a picture.
        extent: How many pixels it spans.
        valid: How many pixels of the line are picture and not padding.
        inputs: Length of the line.
        outputs: How many pixels to make of it.

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


def resize(image, size):
    """Resizes an image as Pillow's bilinear filter does.

    `keras.ops.image.resize` refuses sizes that are known at run time only.

    Args:
        image: A tensor of shape `(height, width, channels)`, both sides known.
        size: Height and width to resize to, as integers or scalar tensors.

    Returns:
        A tensor of that size.
    """

    def matrix(inputs, outputs):
        whole = ops.full((1,), float(inputs))
        return resampling_matrix(0 * whole, whole, whole, inputs, outputs)[0]

    rows, columns = (matrix(*sides) for sides in zip(image.shape, size, strict=False))
    resized = ops.tensordot(columns, ops.tensordot(rows, image, 1), axes=(1, 1))
    return ops.transpose(resized, (1, 0, 2))
