import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from keras_prelu.data import decoding
from keras_prelu.data.tf_decoding import decode_window
from keras_prelu.data.windows import Box, plan_window
from tests.data.conftest import broken_jpeg, encoded, wavy_image

RGB = wavy_image(40, 56)
GRAY = RGB[..., 0]


def _animated():
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    return stream.getvalue()


def _turned(orientation, byte_order="<"):
    exif = Image.Exif()
    exif.endian = byte_order
    exif[0x0112] = orientation
    return encoded(RGB, exif=exif)


# XMP gives an orientation as an attribute or as an element.
XMP = (
    '<rdf:Description tiff:Orientation="{}"/>',
    "<rdf:Description><tiff:Orientation>{}</tiff:Orientation></rdf:Description>",
)

# How to turn the stored pixels, by orientation.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a.swapaxes(0, 1)[::-1],
}

FILES = {
    "jpeg": encoded(RGB),
    "jpeg_no_subsampling": encoded(RGB, subsampling=0),
    "jpeg_progressive": encoded(RGB, progressive=True),
    "jpeg_gray": encoded(GRAY),
    "jpeg_cmyk": encoded(Image.fromarray(RGB).convert("CMYK")),
    "jpeg_trailing_bytes": encoded(RGB) + b"camera maker's notes",
    "png": encoded(RGB, "PNG"),
    "png_gray": encoded(GRAY, "PNG"),
    "png_alpha": encoded(np.dstack([RGB, GRAY]), "PNG"),
    "png_gray_alpha": encoded(Image.fromarray(np.dstack([GRAY, 255 - GRAY])), "PNG"),
    "png_palette": encoded(Image.fromarray(RGB).quantize(64), "PNG"),
    "png_bilevel": encoded(Image.fromarray(RGB).convert("1"), "PNG"),
    "gif": encoded(RGB, "GIF"),
    "gif_animated": _animated(),
    "bmp": encoded(RGB, "BMP"),
    "webp": encoded(RGB, "WEBP", lossless=True),
}
PLAIN = {name for name in FILES if name.startswith("jpeg")} - {"jpeg_cmyk"}


def _whole(data, decode=decode_window):
    """Decode a whole image as training does, with TensorFlow unless told otherwise."""
    header = decoding.read_header(data)
    box = Box(0, 0, header.height, header.width)
    window, _ = plan_window(header, box, max(header.height, header.width))
    return np.asarray(decode(data, window))


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_pillows_pixels(name):
    data = FILES[name]
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.convert("RGB")).astype(int)
    # Two builds of libjpeg can differ by one level.
    tolerance = 1 if name in PLAIN else 0
    np.testing.assert_allclose(decoding.decode_rgb(data), expected, atol=0)
    np.testing.assert_allclose(_whole(data), expected, atol=tolerance)
    without_tf = _whole(data, decoding.decode_window)
    np.testing.assert_allclose(without_tf, expected, atol=0)
    assert decoding.read_header(data).plain == (name in PLAIN)


def test_16_bit_gray_keeps_its_upper_bits():
    values = (np.arange(40 * 56, dtype=np.uint16) * 29).reshape(40, 56)
    pixels = _whole(encoded(values, "PNG"))
    assert (pixels == (values >> 8)[..., None]).all()


@pytest.mark.parametrize("byte_order", "<>")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation, byte_order):
    data = _turned(orientation, byte_order)
    with Image.open(io.BytesIO(data)) as image:
        stored = np.asarray(image).astype(int)
    np.testing.assert_allclose(_whole(data), UPRIGHT[orientation](stored), atol=1)
    assert decoding.read_header(data).plain == (orientation == 1)


@pytest.mark.parametrize("decode", [decode_window, decoding.decode_window])
@pytest.mark.parametrize("xmp", XMP)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_xmp_is_applied(orientation, xmp, decode):
    data = encoded(RGB, xmp=xmp.format(orientation).encode())
    with Image.open(io.BytesIO(data)) as image:
        stored = np.asarray(image).astype(int)
        by_pillow = np.asarray(ImageOps.exif_transpose(image))
    expected = UPRIGHT[orientation](stored)
    np.testing.assert_array_equal(by_pillow, expected)
    np.testing.assert_array_equal(decoding.decode_rgb(data), expected)
    np.testing.assert_allclose(_whole(data, decode), expected, atol=1)
    assert decoding.read_header(data).plain == (orientation == 1)


def test_exif_has_precedence_over_xmp():
    exif = Image.Exif()
    exif[0x0112] = 1
    data = encoded(RGB, exif=exif, xmp=XMP[0].format(6).encode())
    assert decoding.read_header(data)[:2] == (40, 56)
    np.testing.assert_array_equal(_whole(data), decoding.decode_rgb(FILES["jpeg"]))


def test_exif_after_other_segments_is_read():
    data = _turned(6)
    comment = b"\xff\xfe" + struct.pack(">H", 60_002) + b"x" * 60_000
    header = decoding.read_header(data[:2] + comment + data[2:])
    assert header == (56, 40, False)


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "empty"),
        (b"no image at all", "not an image"),
        (encoded(RGB)[:600], "[Tt]runcated"),
        (encoded(RGB, "PNG")[:600], "truncated"),
        (b"II*\x00" + bytes(20), "not an image"),  # TIFF
        (encoded(RGB)[:2], "not an image"),
    ],
)
def test_damage_is_named(data, reason):
    with pytest.raises(decoding.BadImageError, match=reason):
        decoding.read_header(data)
        decoding.decode_rgb(data)


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_image():
    data = encoded(RGB)
    thumbnail = b"\xff\xed" + struct.pack(">H", 6) + b"\xff\xd8\xff\xd9"
    cut = data[:2] + thumbnail + data[2:-20]
    assert not decoding.read_header(cut).plain


def test_too_many_pixels_are_refused_before_decoding():
    flat = encoded(Image.new("1", (8193, 8192)), "PNG")
    for function in (decoding.read_header, decoding.decode_rgb):
        with pytest.raises(decoding.BadImageError, match="8193 x 8192 pixels"):
            function(flat)
    assert decoding.read_header(encoded(Image.new("1", (8192, 8192)), "PNG"))


def test_too_large_a_jpeg_is_refused():
    data = bytearray(encoded(RGB))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 60_000, 60_000)
    with pytest.raises(decoding.BadImageError, match="60000 x 60000 pixels"):
        decoding.read_header(bytes(data))


def test_the_broken_jpeg_of_these_tests_has_a_valid_header():
    data = broken_jpeg(encoded(RGB))
    assert decoding.read_header(data) == (40, 56, True)
    with pytest.raises(tf.errors.InvalidArgumentError):
        _whole(data)
