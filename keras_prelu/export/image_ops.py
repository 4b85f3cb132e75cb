"""Encoded images to pixels in TensorFlow ops alone, as an exported model needs.

What comes out is what `data.eval_batches` makes with Pillow, to a grey level. Images
are decoded one after another, and none that has more pixels than the reader allows.
"""

import tensorflow as tf

from keras_prelu.data.decoding import MAX_PIXELS
from keras_prelu.data.pipeline_options import stream_options
from keras_prelu.data.resizing import resized_length
from keras_prelu.export import headers

# Of an image that goes through the convolutions whole, whose maps take a hundred bytes
# per pixel and more: 2048 x 2048.
MAX_RESIZED_PIXELS = MAX_PIXELS // 16

# The tag of the orientation in the header of a JPEG, little or big endian. The bytes in
# it are all ASCII, which is what TensorFlow's regular expressions can tell of bytes.
_ORIENTATION = (
    r"^\C*?Exif\x00\x00(?:"
    r"II\C*?\x12\x01\x03\x00\x01\x00\x00\x00([\x01-\x08])|"
    r"MM\C*?\x01\x12\x00\x03\x00\x00\x00\x01\x00([\x01-\x08])"
    r")\C*$"
)
_HEADER = 2**16 + 2**10  # bytes in which the tag lies: that of one EXIF segment


def _orientation(data):
    """Returns the EXIF orientation of a JPEG, less 1: 0 is upright."""
    head = tf.strings.substr(data, 0, _HEADER)
    found = tf.strings.regex_replace(head, _ORIENTATION, r"\1\2")
    code = tf.io.decode_raw(
        tf.where(tf.strings.length(found) == 1, found, "\1"), "uint8"
    )
    return tf.cast(code[0], tf.int32) - 1


def _upright(pixels, orientation):
    # 5 to 8 are 1 to 4 transposed; of these 2 and 3 are mirrored, 3 and 4 upside down.
    turned = tf.cond(
        orientation >= 4, lambda: tf.transpose(pixels, (1, 0, 2)), lambda: pixels
    )
    flips = orientation % 4
    axes = tf.boolean_mask([0, 1], tf.stack([flips >= 2, flips % 3 > 0]))
    return tf.reverse(turned, axes)


def decode(data):
    """Decodes an image, a scalar string tensor, to uint8 RGB.

    JPEG with its EXIF orientation, PNG, GIF (its first frame), BMP and WebP. Fails
    before decoding if the image declares more than `data.decoding.MAX_PIXELS`.
    """

    def jpeg(data):
        # The accurate transform, as Pillow's: the default is up to 4 levels off.
        pixels = tf.io.decode_jpeg(data, 3, dct_method="INTEGER_ACCURATE")
        return _upright(pixels, _orientation(data))

    def checked():
        with tf.control_dependencies([headers.check(*headers.size(data))]):
            same = tf.identity(data)
        return tf.cond(
            tf.io.is_jpeg(same),
            lambda: jpeg(same),
            lambda: tf.io.decode_image(same, 3, expand_animations=False),
        )

    def gif():
        return tf.io.decode_image(headers.first_frame(data), 3, expand_animations=False)

    pixels = tf.cond(headers.is_gif(data), gif, checked)
    return tf.ensure_shape(pixels, [None, None, 3])


def resize(pixels, shorter_side, side=None):
    """Resizes an image so that its shorter side is `shorter_side`, antialiased.

    Args:
        pixels: A uint8 tensor of shape `(height, width, 3)`.
        shorter_side: Integer.
        side: Side of the crop from the middle to return; `None` for the whole, which
            fails for more than `MAX_RESIZED_PIXELS`: long and narrow images become
            larger than any that can be decoded.

    Returns:
        A uint8 tensor.
    """
    # In 64 bits: a side can become 2**26 times as long.
    original = tf.shape(pixels, tf.int64)[:2]
    resized = resized_length(original, tf.reduce_min(original), shorter_side)
    if side is None:
        check = headers.check(resized[0], resized[1], MAX_RESIZED_PIXELS)
        with tf.control_dependencies([check]):
            size = tf.identity(resized)
    else:
        size = tf.constant([side, side], tf.int64)
    # The crop alone is computed.
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
    # Optimizing a pipeline of one element takes longer than decoding a small image.
    options.experimental_optimization.apply_default_optimizations = False
    return options


def decoded(data, prepare, blank):
    """Decodes an image, and does something with it.

    Args:
        data: The bytes of a file, a scalar string tensor.
        prepare: Function from an image, a uint8 tensor, to a tensor or a tuple of them.
        blank: What to return in their place for an image that cannot be decoded, is
            too large, or becomes too large in `prepare`.

    Returns:
        Whether the image could be decoded, and what `prepare` made of it.
    """
    image = (
        tf.data.Dataset.from_tensors(data)
        .map(lambda data: (True, prepare(decode(data))))
        .ignore_errors()
    )
    otherwise = tf.data.Dataset.from_tensors((False, blank))
    first = image.concatenate(otherwise).take(1)
    return first.with_options(_options()).get_single_element()
