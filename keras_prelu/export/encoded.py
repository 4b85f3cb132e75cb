"""Encoded pictures to pixels in TensorFlow ops alone, as an exported model needs.

What comes out is what `data.eval_batches` makes with Pillow, to a grey level.
"""

import tensorflow as tf

from keras_prelu.data.batches import stream_options
from keras_prelu.data.windows import resized_length

# Pictures of a batch that are decoded at a time. Given, not tuned: a server has its own
# threads.
_AT_A_TIME = 8

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
    """Decodes a picture, a scalar string tensor, to uint8 RGB.

    JPEG with its EXIF orientation, PNG, GIF (its first frame), BMP and WebP.
    """

    def jpeg():
        # The accurate transform, as Pillow's: the default is up to 4 levels off.
        pixels = tf.io.decode_jpeg(data, 3, dct_method="INTEGER_ACCURATE")
        return _upright(pixels, _orientation(data))

    def other():
        return tf.io.decode_image(data, 3, expand_animations=False)

    return tf.ensure_shape(tf.cond(tf.io.is_jpeg(data), jpeg, other), [None, None, 3])


def resize(pixels, shorter_side, side=None):
    """Resizes a picture so that its shorter side is `shorter_side`, antialiased.

    Args:
        pixels: A uint8 tensor of shape `(height, width, 3)`.
        shorter_side: Integer.
        side: Side of the crop from the middle to return; `None` for the whole.

    Returns:
        A uint8 tensor.
    """
    original = tf.shape(pixels)[:2]
    resized = resized_length(original, tf.reduce_min(original), shorter_side)
    size = resized if side is None else tf.constant([side, side])
    # The crop alone is computed.
    result = tf.raw_ops.ScaleAndTranslate(
        images=pixels[None],
        size=size,
        scale=tf.cast(resized / original, tf.float32),
        translation=-tf.cast((resized - size) // 2, tf.float32),
        kernel_type="triangle",
        antialias=True,
    )[0]
    return tf.cast(tf.clip_by_value(tf.round(result), 0, 255), tf.uint8)


def decoded(image_bytes, prepare, blank):
    """Decodes a batch of pictures.

    Args:
        image_bytes: A string tensor of shape `(batch,)`.
        prepare: Function from a picture, a uint8 tensor, to what is wanted of it, a
            tensor of the same shape for every picture.
        blank: A tensor like that, for pictures that cannot be decoded.

    Returns:
        Which pictures could be decoded, and what `prepare` made of each.
    """
    count = tf.size(image_bytes)
    pictures = (
        tf.data.Dataset.from_tensor_slices((tf.range(count), image_bytes))
        .map(
            lambda number, data: (number, prepare(decode(data))),
            num_parallel_calls=_AT_A_TIME,
        )
        .ignore_errors()
    )
    pictures = tf.data.Dataset.from_tensors((-1, blank)).concatenate(pictures)
    batch = pictures.batch(tf.cast(count, tf.int64) + 1)
    batch = batch.with_options(stream_options())
    numbers, made = batch.get_single_element()
    # Where in `made` each picture is; 0, the blank, for those that are missing.
    places = tf.scatter_nd(
        numbers[1:, None], tf.range(1, tf.size(numbers)), tf.shape(image_bytes)
    )
    return places > 0, tf.gather(made, places)
