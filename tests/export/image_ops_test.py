"""Decoding in TensorFlow ops: the pixels equal those that Pillow decodes."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_prelu.data.decoding import decode_rgb
from keras_prelu.export import image_ops
from tests.data.conftest import encoded as encode
from tests.data.conftest import wavy_image

pytestmark = pytest.mark.tensorflow_only


@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def decode(content):
    """Decode as a SavedModel does: in a graph."""
    return image_ops.decode(content)


def check_pixels(content):
    """Compare with Pillow, and return the pixels."""
    answer = decode(content).numpy()
    np.testing.assert_array_equal(answer, decode_rgb(content))
    return answer


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_rotated_upright(orientation, endian):
    exif = Image.Exif()
    exif.endian = endian
    exif[0x010F] = "a maker"  # more tags around the orientation
    exif[0x0112] = orientation
    exif[0x0132] = "2026:01:01 00:00:00"
    content = encode(wavy_image(24, 37), "JPEG", exif=exif)
    check_pixels(content)


@pytest.mark.parametrize(
    "mode, fmt",
    [
        ("CMYK", "JPEG"),
        ("L", "PNG"),
        ("P", "PNG"),
        ("RGBA", "PNG"),
        ("L", "BMP"),
        ("P", "BMP"),
        ("RGBA", "BMP"),
        ("RGBA", "WEBP"),
    ],
)
def test_all_modes_become_rgb(mode, fmt):
    image = Image.fromarray(wavy_image(24, 37)).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    content = encode(image, fmt)
    check_pixels(content)


@pytest.mark.parametrize("fmt", ["GIF", "PNG"])
def test_a_transparent_color_is_kept(fmt):
    image = Image.fromarray(wavy_image(24, 37)).convert("P")
    content = encode(image, fmt, transparency=image.getpixel((5, 3)))
    assert check_pixels(content)[3, 5].any()


def test_colors_of_transparent_webp_pixels_are_kept():
    image = Image.fromarray(wavy_image(24, 37)).convert("RGBA")
    image.putalpha(0)
    content = encode(image, "WEBP", lossless=True, exact=True)
    np.testing.assert_array_equal(check_pixels(content), wavy_image(24, 37))


@pytest.mark.parametrize("colors", [2, 50, 256])
def test_a_bmp_with_a_palette_of_any_length_is_decoded(colors):
    content = encode(Image.fromarray(wavy_image(24, 37)).quantize(colors), "BMP")
    assert content[28] == 8  # bits per pixel
    check_pixels(content)


def bmp_with_masks(*masks):
    """Return a BMP of 32 bits per pixel, with the masks of red, green and blue."""
    content = encode(Image.fromarray(wavy_image(24, 37)).convert("RGBA"), "BMP")
    header, pixels = content[:54], content[54:]
    offset, kind = (n.to_bytes(4, "little") for n in (66, 3))
    masks = b"".join(mask.to_bytes(4, "little") for mask in masks)
    header = header[:10] + offset + header[14:30] + kind + header[34:]
    return header + masks + pixels


def test_a_bmp_with_the_usual_masks_is_decoded():
    content = bmp_with_masks(0xFF0000, 0xFF00, 0xFF)
    np.testing.assert_array_equal(check_pixels(content), wavy_image(24, 37))


def compressed_bmp():
    """Return a BMP whose header declares run-length encoding."""
    content = encode(Image.fromarray(wavy_image(24, 37)).convert("P"), "BMP")
    return content[:30] + b"\1" + content[31:]


@pytest.mark.parametrize(
    "content",
    [
        encode(Image.new("1", (9, 9)), "BMP"),
        compressed_bmp(),
        bmp_with_masks(0xFF000000, 0xFF0000, 0xFF00),
    ],
    ids=["1 bit", "compressed", "other masks"],
)
def test_other_bmp_images_are_refused(content):
    with pytest.raises(tf.errors.InvalidArgumentError, match="A BMP must have"):
        decode(content)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_animated_webp_images_are_refused(mode):
    """Without alpha, TensorFlow would write beyond the memory of the pixels."""
    first, second = (Image.fromarray(wavy_image(24, 37, i)) for i in range(2))
    if mode == "RGBA":
        first.putalpha(128)
    content = encode(first, "WEBP", save_all=True, append_images=[second])
    with pytest.raises(tf.errors.InvalidArgumentError, match="must not be animated"):
        decode(content)
