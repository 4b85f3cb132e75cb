"""Limits of exported models: sizes are checked before an image is decoded."""

import io
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_prelu.data.decoding import MAX_PIXELS, decode_rgb
from keras_prelu.export import headers, image_ops
from tests.data.conftest import encoded as encode
from tests.data.conftest import wavy_image

pytestmark = pytest.mark.tensorflow_only

GOOD = encode(wavy_image(44, 60))


def blank(width, height, fmt="PNG"):
    """Encode a blank image, in a few kilobytes whatever its size."""
    stream = io.BytesIO()
    Image.new("1", (width, height)).save(stream, fmt)
    return stream.getvalue()


def declaring(content, old, new):
    """Replace a part of a header."""
    assert content.count(old) == 1
    return content.replace(old, new)


def webp_extended(height, width):
    with_alpha = Image.fromarray(wavy_image(height, width)).convert("RGBA")
    with_alpha.putpixel((0, 0), (0, 0, 0, 0))
    content = encode(with_alpha, "WEBP")
    assert content[12:16] == b"VP8X"
    return content


def upside_down(content):
    """Return a BMP stored from top to bottom, with a negative height."""
    height = int.from_bytes(content[22:26], "little")
    return content[:22] + (-height).to_bytes(4, "little", signed=True) + content[26:]


@pytest.mark.parametrize(
    "content",
    [
        encode(wavy_image(40, 301), "PNG"),
        encode(wavy_image(40, 301), "BMP"),
        upside_down(encode(wavy_image(40, 301), "BMP")),
        encode(wavy_image(40, 301), "WEBP"),
        encode(wavy_image(40, 301), "WEBP", lossless=True),
        webp_extended(40, 301),
        encode(wavy_image(40, 301), "JPEG"),
        encode(wavy_image(40, 301), "JPEG", progressive=True),
    ],
)
def test_the_size_is_read_from_the_header(content):
    height, width = headers.size(tf.constant(content))
    assert (int(height), int(width)) == (40, 301)


@pytest.mark.parametrize("content", [b"", b"B", b"no image", b"RIFF????WEBPALPH"])
def test_data_that_are_no_image_have_no_size(content):
    assert [int(side) for side in headers.size(tf.constant(content))] == [0, 0]


def test_sizes_that_do_not_fit_in_32_bits_are_refused():
    png = encode(wavy_image(40, 301), "PNG")
    png = declaring(png, b"IHDR\0\0\x01\x2d\0\0\0\x28", b"IHDR\x7f\xff\xff\xff" * 2)
    with pytest.raises(tf.errors.InvalidArgumentError, match="from 1 to"):
        image_ops.decode(tf.constant(png))


TOO_LARGE = {
    "png": lambda: blank(9000, 9000),
    "jpeg": lambda: encode(Image.new("L", (9000, 9000)), "JPEG"),
    "gif": lambda: blank(9000, 9000, "GIF"),
    "bmp": lambda: blank(9000, 9000, "BMP"),
}


@pytest.mark.parametrize(
    "fmt",
    [pytest.param(x, marks=[] if x == "png" else pytest.mark.slow) for x in TOO_LARGE],
)
def test_an_image_too_large_for_the_reader_is_refused(versions, fmt):
    content = TOO_LARGE[fmt]()
    classify = tf.saved_model.load(versions / "2").signatures["classify"]
    answer = classify(image_bytes=tf.constant([content, GOOD]))
    assert (answer["classes"][0].numpy() == b"").all()
    assert (answer["classes"][1].numpy() != b"").all()


def test_the_error_states_the_limit(versions):
    classify = tf.saved_model.load(versions / "1").signatures["classify"]
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=rf"at most {MAX_PIXELS} .*rows\] \[1\]"
    ):
        classify(image_bytes=tf.constant([GOOD, blank(9000, 9000)]))


def test_an_image_that_would_become_too_large_is_refused(versions):
    """5000 x 1 pixels become 200,000 x 40 at the scale 40."""
    signatures = tf.saved_model.load(versions / "2").signatures
    images = tf.constant([blank(5000, 1), GOOD, blank(1, 60000)])
    dense = signatures["dense"](image_bytes=images)
    marked = (dense["classes"].numpy() == b"").all(axis=1)
    assert marked.tolist() == [True, False, True]
    # For the center crop, only the pixels of the crop are computed.
    crops = signatures["classify"](image_bytes=images)
    assert (crops["classes"].numpy() != b"").all()


def test_an_empty_batch_has_an_empty_answer(versions):
    signatures = tf.saved_model.load(versions / "2").signatures
    for name in ("classify", "dense"):
        answer = signatures[name](image_bytes=tf.constant([], tf.string))
        assert answer["classes"].shape == answer["scores"].shape == (0, 5)
    for name, dtype in (("serving_default", "float32"), ("serving_uint8", "uint8")):
        answer = signatures[name](images=np.zeros((0, 40, 50, 3), dtype))
        assert answer["scores"].shape == (0, 7)


def frames_of(*images):
    """Return a GIF with the colors of the first image, and one frame per image."""
    contents = [encode(Image.fromarray(image).convert("P"), "GIF") for image in images]
    frames = [
        content[content.index(b",\0\0\0\0") : -1]  # without the end marker
        for content in contents
    ]
    start = contents[0][: contents[0].index(b",\0\0\0\0")]
    return start + b"".join(frames) + b";"


@pytest.mark.parametrize("block", [b"", b"!\xfe\x03abc\x02de\0"])
def test_only_the_first_frame_of_a_gif_is_decoded(block):
    """Also after a comment."""
    first, second = wavy_image(30, 40), wavy_image(300, 400)
    alone = frames_of(first)
    both = frames_of(first, second).replace(b",\0\0\0\0", block + b",\0\0\0\0", 1)
    assert headers.first_frame(tf.constant(both)).numpy() == alone
    pixels = image_ops.decode(tf.constant(both)).numpy()
    np.testing.assert_array_equal(pixels, decode_rgb(alone))


@pytest.mark.parametrize("length", [0, 5, 12, 20, 100, 1000])
def test_a_truncated_gif_is_an_error(length):
    content = frames_of(wavy_image(300, 400))[:length]
    with pytest.raises(tf.errors.OpError):
        image_ops.decode(tf.constant(content))


PEAK = """
import sys
import tensorflow as tf

def peak():
    with open("/proc/self/status") as file:
        fields = dict(line.split(":") for line in file)
    return int(fields["VmHWM"].split()[0]) / 2**10

folder, small, large, signature = sys.argv[1:]
served = tf.saved_model.load(folder).signatures[signature]
small, large = (tf.io.read_file(path) for path in (small, large))
served(image_bytes=tf.stack([small] * 8))
before = peak()
served(image_bytes=tf.stack([large]))
one = peak()
served(image_bytes=tf.stack([large] * 8))
print(one - before, peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="Linux")
@pytest.mark.parametrize("signature", ["classify", "dense"])
def test_eight_large_images_take_the_memory_of_one(versions, tmp_path, signature):
    (tmp_path / "small.jpg").write_bytes(GOOD)
    (tmp_path / "large.jpg").write_bytes(encode(Image.new("L", (6000, 6000)), "JPEG"))
    paths = [versions / "2", tmp_path / "small.jpg", tmp_path / "large.jpg"]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *paths, signature],
        capture_output=True,
        check=True,
        text=True,
    )
    one, eight = map(float, done.stdout.split())
    assert one > 90  # MiB: the pixels are 103
    assert eight < 1.5 * one
