"""What an image's header declares, read in TensorFlow ops before decoding.

A file of a few bytes can declare billions of pixels, and TensorFlow's decoders allocate
memory for the declared size. So the size is checked first, for every format that they
decode.
"""

import tensorflow as tf

from keras_prelu.data.decoding import MAX_PIXELS
from keras_prelu.types import Tensor

__all__ = [
    "check",
    "first_frame",
    "head",
    "is_animated_webp",
    "is_bmp",
    "is_gif",
    "is_webp",
    "little_endian",
    "size",
]

_HEADER = 66  # the first bytes of a file, with all that is read of BMP, PNG and WebP
_ANIMATION = 0x02  # the flag for an animation in a WebP image
_MAX_EXTENSIONS = 64  # blocks before the first frame of a GIF; about three are usual
_COLOR_TABLE = 0x80  # the flag for a color table in a GIF


def little_endian(numbers: Tensor, start: int, count: int) -> Tensor:
    """Return the little-endian integer in `count` of the bytes that `head` returns."""
    return sum(numbers[start + i] * 256**i for i in range(count))


def _big(numbers, start):
    return sum(numbers[start + i] * 256 ** (3 - i) for i in range(4))


def _png(head):
    return _big(head, 20), _big(head, 16)


def _bmp(head):
    def side(start):
        # The height of a BMP that is stored from top to bottom is negative.
        signed = tf.cast(little_endian(head, start, 4), tf.int32)
        return tf.abs(tf.cast(signed, tf.int64))

    return side(22), side(18)


def _webp_lossy(head):
    return little_endian(head, 28, 2) & 0x3FFF, little_endian(head, 26, 2) & 0x3FFF


def _webp_lossless(head):
    bits = little_endian(head, 21, 4)
    return (bits // 2**14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1


def _webp_extended(head):
    return little_endian(head, 27, 3) + 1, little_endian(head, 24, 3) + 1


_WEBP_EXTENDED = r"RIFF????WEBPVP8X"
# The first bytes of a file, with `?` for any byte, and the reader of its size.
_FORMATS = (
    (r"\x89PNG\r\n\x1a\n????IHDR", _png),
    (r"BM", _bmp),
    (r"RIFF????WEBPVP8 ", _webp_lossy),
    (r"RIFF????WEBPVP8L", _webp_lossless),
    (_WEBP_EXTENDED, _webp_extended),
)


def _begins(head, pattern):
    """Return whether the first bytes match a pattern, with `?` for any byte."""
    expected = pattern.encode().decode("unicode_escape").encode("latin-1")
    return tf.reduce_all(
        [head[i] == byte for i, byte in enumerate(expected) if byte != ord("?")]
    )


def _numbers(data, dtype):
    return tf.cast(tf.io.decode_raw(data, tf.uint8), dtype)


def head(data: Tensor) -> Tensor:
    """Return the first 66 bytes of a file, with zeros after its end, in int64."""
    start = tf.strings.substr(data, 0, _HEADER)
    return _numbers(tf.strings.join([start, "\0" * _HEADER]), tf.int64)[:_HEADER]


def size(data: Tensor) -> tuple[Tensor, Tensor]:
    """Return the height and width that an image declares, two int64 scalars.

    Both are 0 if the data are no JPEG, PNG, BMP or WebP image. For a GIF, use
    `first_frame`.

    Args:
        data: The bytes of a file, a scalar string tensor.
    """

    def jpeg():
        height, width, _ = tf.unstack(tf.cast(tf.io.extract_jpeg_shape(data), tf.int64))
        return height, width

    def other():
        start = head(data)
        none = tf.constant(0, tf.int64)
        return tf.case(
            [
                (_begins(start, pattern), lambda of=of: of(start))
                for pattern, of in _FORMATS
            ],
            default=lambda: (none, none),
        )

    return tf.cond(tf.io.is_jpeg(data), jpeg, other)


def check(height: Tensor, width: Tensor, most: int = MAX_PIXELS) -> tf.Operation:
    """Return an op that fails unless an image has from 1 to `most` pixels."""
    pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    return tf.debugging.Assert(
        (height > 0) & (width > 0) & (pixels <= most),
        ["An image must have from 1 to", most, "pixels. Received:", pixels],
    )


def is_gif(data: Tensor) -> Tensor:
    """Return whether data are a GIF, a scalar boolean tensor."""
    return tf.strings.substr(data, 0, 4) == "GIF8"


def is_bmp(data: Tensor) -> Tensor:
    """Return whether data are a BMP, a scalar boolean tensor."""
    return tf.strings.substr(data, 0, 2) == "BM"


def is_webp(data: Tensor) -> Tensor:
    """Return whether data that have a `size` are a WebP image."""
    return tf.strings.substr(data, 0, 4) == "RIFF"


def is_animated_webp(data: Tensor) -> Tensor:
    """Return whether data are a WebP image that is animated, a boolean tensor."""
    start = head(data)
    return _begins(start, _WEBP_EXTENDED) & (start[20] & _ANIMATION > 0)


def _ends_of_blocks(content):
    """Return, for each position, the end of a chain of blocks that starts there.

    A block is a byte with the number of bytes that follow. An empty block ends the
    chain. Steps are doubled until nothing changes, so long chains take few iterations.
    """
    positions = tf.range(tf.size(content))
    steps = tf.minimum(positions + 1 + content, tf.size(content) - 1)
    steps = tf.where(content == 0, positions, steps)

    def doubled(_, steps):
        return steps, tf.gather(steps, steps)

    return tf.while_loop(
        lambda before, steps: tf.reduce_any(before != steps),
        doubled,
        doubled(None, steps),
        parallel_iterations=1,
    )[1]


def _color_table(flags):
    """Return the size in bytes of the color table that a GIF's flags declare."""
    size = tf.bitwise.left_shift(6, flags & 7)
    return tf.where(flags & _COLOR_TABLE > 0, size, 0)


def first_frame(data: Tensor) -> Tensor:
    """Return the bytes of a GIF with only the first frame of the given one.

    TensorFlow decodes all frames even to return one. The extensions before the frame
    are left out, because one of them can name a transparent color, whose pixels
    TensorFlow makes black. The op fails if the data are no GIF, or if the frame has
    more than `MAX_PIXELS` pixels.

    Args:
        data: The bytes of a GIF, a scalar string tensor.
    """
    content = _numbers(data, tf.int32)
    ends = _ends_of_blocks(content)
    last = tf.size(content) - 1

    def at(position):
        return content[tf.minimum(position, last)]

    def is_extension(position, count):
        return (at(position) == ord("!")) & (count < _MAX_EXTENSIONS)

    def after(position, count):
        return ends[tf.minimum(position + 2, last)] + 1, count + 1

    colors_end = 13 + _color_table(content[10])
    begin, _ = tf.while_loop(
        is_extension, after, (colors_end, 0), parallel_iterations=1
    )
    width, height = (at(begin + i) + 256 * at(begin + i + 1) for i in (5, 7))
    pixels = begin + 10 + _color_table(at(begin + 9)) + 1
    end = ends[tf.minimum(pixels, last)] + 1
    is_frame = tf.debugging.Assert(at(begin) == ord(","), ["The GIF has no frame."])
    with tf.control_dependencies([is_frame, check(height, width)]):
        start = tf.strings.substr(data, 0, colors_end)
        frame = tf.strings.substr(data, begin, end - begin)
        return tf.strings.join([start, frame, ";"])
