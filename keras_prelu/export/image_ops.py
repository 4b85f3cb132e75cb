"""Decoding and resizing of images in TensorFlow ops, for exported models.

The results equal those of `data.eval_batches`, which uses Pillow, up to one level of
256. Images with more pixels than `data` allows are not decoded.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_prelu.data.decoding import MAX_PIXELS
from keras_prelu.data.pipeline_options import stream_options
from keras_prelu.data.resizing import resized_length
from keras_prelu.export import bmp, headers
from keras_prelu.types import Tensor

__all__ = ["MAX_RESIZED_PIXELS", "decode", "decoded", "resize", "resize_within"]

# The limit for whole images, 2048 x 2048: the maps of the convolutions take over a
# hundred bytes per pixel.
MAX_RESIZED_PIXELS = MAX_PIXELS // 16

# The tag of the orientation in the header of a JPEG, little or big endian. TensorFlow's
# regular expressions match bytes only if they are ASCII, and all bytes of the tag are.
_ORIENTATION = (
    r"^\C*?Exif\x00\x00(?:"
    r"II\C*?\x12\x01\x03\x00\x01\x00\x00\x00([\x01-\x08])|"
    r"MM\C*?\x01\x12\x00\x03\x00\x00\x00\x01\x00([\x01-\x08])"
    r")\C*$"
)
_HEADER = 2**16 + 2**10  # the first bytes of a file, with the whole EXIF segment


def _orientation(data):
    """Return the EXIF orientation of a JPEG, minus 1: 0 is upright."""
    head = tf.strings.substr(data, 0, _HEADER)
    # Without the tag, nothing is replaced.
    tag = tf.strings.regex_replace(head, _ORIENTATION, r"\1\2")
    code = tf.io.decode_raw(tf.where(tf.strings.length(tag) == 1, tag, "\1"), "uint8")
    return tf.cast(code[0], tf.int32) - 1


def _upright(pixels, orientation):
    # EXIF codes 5 to 8 are codes 1 to 4, transposed. Codes 2 and 3 are mirrored, codes
    # 3 and 4 are upside down. Here they count from 0.
    turned = tf.cond(
        orientation >= 4, lambda: tf.transpose(pixels, (1, 0, 2)), lambda: pixels
    )
    flips = orientation % 4
    axes = tf.boolean_mask([0, 1], tf.stack([flips >= 2, flips % 3 > 0]))
    return tf.reverse(turned, axes)


def _jpeg(data):
    # The default transform differs from Pillow's by up to 4 levels.
    pixels = tf.io.decode_jpeg(data, 3, dct_method="INTEGER_ACCURATE")
    return _upright(pixels, _orientation(data))


def _webp(data):
    # TensorFlow writes beyond the memory of the pixels if an animation has no alpha.
    check = tf.debugging.Assert(
        ~headers.is_animated_webp(data), ["A WebP image must not be animated."]
    )
    with tf.control_dependencies([check]):
        data = tf.identity(data)
    # With 3 channels, TensorFlow refuses an image with alpha instead of dropping it.
    return tf.io.decode_image(data, 0, expand_animations=False)[..., :3]


def decode(data: Tensor) -> Tensor:
    """Decode an image to uint8 RGB.

    Takes JPEG, PNG, GIF (the first frame), BMP and WebP images, and applies the EXIF
    orientation of a JPEG. Fails before decoding if the image declares more than
    `data.decoding.MAX_PIXELS` pixels, and for BMP images that `bmp.decode` does not
    take.

    Args:
        data: The bytes of a file, a scalar string tensor.
    """

    def checked():
        with tf.control_dependencies([headers.check(*headers.size(data))]):
            content = tf.identity(data)
        return tf.case(
            [
                (tf.io.is_jpeg(content), lambda: _jpeg(content)),
                (headers.is_bmp(content), lambda: bmp.decode(content)),
                (headers.is_webp(content), lambda: _webp(content)),
            ],
            default=lambda: tf.io.decode_png(content, 3),
        )

    def gif():
        return tf.io.decode_image(headers.first_frame(data), 3, expand_animations=False)

    pixels = tf.cond(headers.is_gif(data), gif, checked)
    return tf.ensure_shape(pixels, [None, None, 3])


def resize(pixels: Tensor, shorter_side: int, side: int | None = None) -> Tensor:
    """Resize an image to a given shorter side, antialiased.

    Args:
        pixels: A uint8 tensor of shape `(height, width, 3)`.
        shorter_side: The shorter side of the result.
        side: Height and width of the center crop to return. `None` for the whole image,
            which must not have more than `MAX_RESIZED_PIXELS` pixels after resizing:
            long and narrow images can become larger than any that can be decoded.

    Returns:
        A uint8 tensor.
    """
    # 64 bits, because a side can become 2**26 times as long.
    original = tf.shape(pixels, tf.int64)[:2]
    resized = resized_length(original, tf.reduce_min(original), shorter_side)
    size = _checked(resized) if side is None else tf.constant([side, side], tf.int64)
    return _resampled(pixels, resized, size)


def resize_within(pixels: Tensor, shorter_side: int, longest_side: int) -> Tensor:
    """Resize an image as `keras_prelu.detection.resizing.resize` does.

    Args:
        pixels: A uint8 tensor of shape `(height, width, 3)`.
        shorter_side: The shorter side of the result, unless the longer side would be
            too long.
        longest_side: Upper limit of the longer side.

    Returns:
        A uint8 tensor. It must not have more than `MAX_RESIZED_PIXELS` pixels.
    """
    sides = tf.cast(tf.shape(pixels)[:2], tf.float64)
    factor = tf.minimum(
        shorter_side / tf.reduce_min(sides), longest_side / tf.reduce_max(sides)
    )
    size = _checked(tf.cast(tf.maximum(tf.round(sides * factor), 1), tf.int64))
    return _resampled(pixels, size, size)


def _checked(size):
    check = headers.check(size[0], size[1], MAX_RESIZED_PIXELS)
    with tf.control_dependencies([check]):
        return tf.identity(size)


def _resampled(pixels, resized, size):
    """Return the center of the given size of a resized image."""
    original = tf.shape(pixels, tf.int64)[:2]
    # Only the pixels of the center are computed.
    result = tf.raw_ops.ScaleAndTranslate(
        images=pixels[None],
        size=tf.cast(size, tf.int32),
        scale=tf.cast(resized / original, tf.float32),
        translation=-tf.cast((resized - size) // 2, tf.float32),
        kernel_type="triangle",
        antialias=True,
    )[0]
    return tf.cast(tf.clip_by_value(tf.round(result), 0, 255), tf.uint8)


def _options():
    options = stream_options()
    # The optimization takes longer than decoding a small image.
    options.experimental_optimization.apply_default_optimizations = False
    return options


def decoded(
    data: Tensor, prepare: Callable[[Tensor], Any], blank: Any
) -> tuple[Tensor, Any]:
    """Decode and prepare an image, or return a blank result if that fails.

    Args:
        data: The bytes of a file, a scalar string tensor.
        prepare: Function from an image, a uint8 tensor, to a tensor or a tuple of
            tensors.
        blank: The result for an image that cannot be decoded or is too large, before or
            after resizing: of the same structure as the results of `prepare`.

    Returns:
        Whether the image could be decoded, a boolean tensor, and the result.
    """
    image = (
        tf.data.Dataset.from_tensors(data)
        .map(lambda data: (True, prepare(decode(data))))
        .ignore_errors()
    )
    otherwise = tf.data.Dataset.from_tensors((False, blank))
    first = image.concatenate(otherwise).take(1)
    return first.with_options(_options()).get_single_element()
