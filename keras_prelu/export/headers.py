"""What the bytes of an image declare before they are decoded, in TensorFlow ops.

A file of a few bytes can declare billions of pixels, and TensorFlow's decoders take
memory for what is declared. So the size is read from the header first, for each of the
formats that they take.
"""

import tensorflow as tf

from keras_prelu.data.decoding import MAX_PIXELS

_HEADER = 32  # bytes that hold the size in all formats but JPEG and GIF
_MOST_EXTENSIONS = 64  # blocks before the first frame of a GIF; there are about three
_COLOR_TABLE = 0x80  # the flag that a GIF's color table follows


def _little(numbers, start, count):
    """Returns the integer in `count` bytes, the lowest first."""
    return sum(numbers[start + i] * 256**i for i in range(count))


def _big(numbers, start):
    return sum(numbers[start + i] * 256 ** (3 - i) for i in range(4))


def _png(head):
    return _big(head, 20), _big(head, 16)


def _bmp(head):
    def side(start):
        # Signed: a BMP from top to bottom has a negative height.
        return tf.abs(tf.cast(tf.cast(_little(head, start, 4), tf.int32), tf.int64))

    return side(22), side(18)


def _webp_lossy(head):
    return _little(head, 28, 2) & 0x3FFF, _little(head, 26, 2) & 0x3FFF


def _webp_lossless(head):
    bits = _little(head, 21, 4)
    return (bits // 2**14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1


def _webp_extended(head):
    return _little(head, 27, 3) + 1, _little(head, 24, 3) + 1


# How a file begins (a `?` is any byte), and where its size is.
_FORMATS = (
    (r"\x89PNG\r\n\x1a\n????IHDR", _png),
    (r"BM", _bmp),
    (r"RIFF????WEBPVP8 ", _webp_lossy),
    (r"RIFF????WEBPVP8L", _webp_lossless),
    (r"RIFF????WEBPVP8X", _webp_extended),
)


def _begins(head, pattern):
    """Whether bytes begin as a pattern says."""
    expected = pattern.encode().decode("unicode_escape").encode("latin-1")
    return tf.reduce_all(
        [head[i] == byte for i, byte in enumerate(expected) if byte != ord("?")]
    )


def _numbers(data, dtype):
    return tf.cast(tf.io.decode_raw(data, tf.uint8), dtype)


def size(data):
    """Returns height and width that an image declares, two int64 scalars.

    They are 0 for what begins as none of JPEG, PNG, BMP and WebP. A GIF is measured by
    `first_frame`.

    Args:
        data: The bytes of a file, a scalar string tensor.
    """

    def jpeg():
        height, width, _ = tf.unstack(tf.cast(tf.io.extract_jpeg_shape(data), tf.int64))
        return height, width

    def other():
        start = tf.strings.substr(data, 0, _HEADER)
        head = _numbers(tf.strings.join([start, "\0" * _HEADER]), tf.int64)
        none = tf.constant(0, tf.int64)
        return tf.case(
            [
                (_begins(head, pattern), lambda of=of: of(head))
                for pattern, of in _FORMATS
            ],
            default=lambda: (none, none),
        )

    return tf.cond(tf.io.is_jpeg(data), jpeg, other)


def check(height, width, most=MAX_PIXELS):
    """Returns an op that fails unless an image has from 1 to `most` pixels."""
    pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    return tf.debugging.Assert(
        (height > 0) & (width > 0) & (pixels <= most),
        ["An image must have from 1 to", most, "pixels. Received:", pixels],
    )


def is_gif(data):
    """Whether bytes begin as a GIF, a scalar boolean tensor."""
    return tf.strings.substr(data, 0, 4) == "GIF8"


def _ends_of_blocks(content):
    """Returns for each position where a chain of blocks that begins there ends.

    A block is a byte that says how many follow; an empty one ends the chain. The steps
    are doubled until nothing changes, so a long chain takes few of them.
    """
    here = tf.range(tf.size(content))
    steps = tf.minimum(here + 1 + content, tf.size(content) - 1)
    steps = tf.where(content == 0, here, steps)

    def doubled(_, steps):
        return steps, tf.gather(steps, steps)

    return tf.while_loop(
        lambda before, steps: tf.reduce_any(before != steps),
        doubled,
        doubled(None, steps),
        parallel_iterations=1,
    )[1]


def _color_table(flags):
    """Returns the bytes of a color table."""
    size = tf.bitwise.left_shift(6, flags & 7)
    return tf.where(flags & _COLOR_TABLE > 0, size, 0)


def first_frame(data):
    """Returns the bytes of a GIF that has only the first frame of another.

    TensorFlow decodes all frames to return one. Fails if the bytes are no GIF or the
    frame has more than `MAX_PIXELS`.

    Args:
        data: The bytes of a GIF, a scalar string tensor.
    """
    content = _numbers(data, tf.int32)
    ends = _ends_of_blocks(content)
    last = tf.size(content) - 1

    def at(position):
        return content[tf.minimum(position, last)]

    def is_extension(position, count):
        return (at(position) == ord("!")) & (count < _MOST_EXTENSIONS)

    def after(position, count):
        return ends[tf.minimum(position + 2, last)] + 1, count + 1

    begin, _ = tf.while_loop(
        is_extension, after, (13 + _color_table(content[10]), 0), parallel_iterations=1
    )
    width, height = (at(begin + i) + 256 * at(begin + i + 1) for i in (5, 7))
    pixels = begin + 10 + _color_table(at(begin + 9)) + 1
    end = ends[tf.minimum(pixels, last)] + 1
    is_frame = tf.debugging.Assert(at(begin) == ord(","), ["The GIF has no frame."])
    with tf.control_dependencies([is_frame, check(height, width)]):
        return tf.strings.join([tf.strings.substr(data, 0, end), ";"])
