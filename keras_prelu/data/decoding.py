"""Decoding of image files: the content tells the format, every image becomes RGB.

Pillow decodes here. With TensorFlow, only files that are not plain JPEGs are decoded
here: PNG, GIF, BMP, WebP, CMYK, rotated by EXIF or XMP, without an end marker. Of plain
JPEGs, nearly all of ImageNet, TensorFlow decodes the window only (`tf_decoding.py`).
"""

import contextlib
import io
import re
import warnings
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from keras_prelu.data.batch_format import JPEG_RATIOS, Window

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "BadImageError",
    "Header",
    "check_size",
    "decode_rgb",
    "decode_window",
    "read_header",
]

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
MAX_PIXELS = 2**26  # 8192 x 8192: 192 MiB as RGB

_EXIF_ORIENTATION = 0x0112
_ROTATED_SIDEWAYS = (5, 6, 7, 8)
_SOF_HUFFMAN = {0xC0, 0xC1, 0xC2}  # baseline, extended, progressive
_SOF_ALL = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA
_APP1 = 0xE1
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
# Pillow searches XMP in this way if EXIF has no orientation.
_ROTATED_BY_XMP = re.compile(rb'tiff:Orientation(="|>)[2-8]')


class BadImageError(ValueError):
    """Bytes that cannot be decoded, or are refused. The message gives the reason."""


class Header(NamedTuple):
    """Properties of an image that are known before its pixels are decoded.

    `plain` is true for a JPEG that a window decoder decodes correctly.
    """

    height: int
    width: int
    plain: bool


def read_header(data: bytes) -> Header:
    """Read the size and kind of an image without decoding its pixels.

    Args:
        data: The bytes of a JPEG, PNG, GIF, BMP or WebP file.

    Returns:
        A `Header` with the height and width of the upright image.

    Raises:
        BadImageError: If the bytes have none of these formats, or would decode to more
            than `MAX_PIXELS`.

    Examples:
        >>> bmp = io.BytesIO()
        >>> Image.new("L", (3, 2), 255).save(bmp, "BMP")
        >>> read_header(bmp.getvalue())
        Header(height=2, width=3, plain=False)
    """
    size = _plain_jpeg_size(data)
    if size is not None:
        height, width = size
        check_size(height, width)
        return Header(height, width, plain=True)
    with _opened(data) as image:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
        width, height = image.size
        if orientation in _ROTATED_SIDEWAYS:
            width, height = height, width
        return Header(height, width, plain=False)


def decode_rgb(data: bytes) -> np.ndarray:
    """Decode a whole image with Pillow, and apply its orientation, from EXIF or XMP.

    Animations give their first frame, alpha is dropped as in `Image.convert("RGB")`,
    and 16-bit gray images keep their upper 8 bits.

    Args:
        data: The bytes of a JPEG, PNG, GIF, BMP or WebP file.

    Returns:
        A uint8 array of shape `(height, width, 3)`.

    Raises:
        BadImageError: If the bytes cannot be decoded, or would decode to more than
            `MAX_PIXELS`.
    """
    with _opened(data) as image:
        return np.asarray(_to_rgb(ImageOps.exif_transpose(image)))


def decode_window(data: bytes, window: Window) -> np.ndarray:
    """Decode a window of an image with Pillow.

    Pillow reduces a JPEG while it decodes, as the window demands. It always decodes all
    of its rows, so damage anywhere in the file is an error.

    Args:
        data: The bytes of the file.
        window: The window.

    Returns:
        A uint8 array of shape `(rows, columns, 3)`.

    Raises:
        BadImageError: If the bytes cannot be decoded.
    """
    top, left, rows, columns = window["area"]
    if window["decoder"] == len(JPEG_RATIOS):
        pixels = decode_rgb(data)[top : top + rows, left : left + columns]
    else:
        ratio = JPEG_RATIOS[window["decoder"]]
        with _opened(data) as image:
            # Pillow chooses the largest ratio that leaves at least this size.
            image.draft(None, (image.width // ratio, image.height // ratio))
            box = (left, top, left + columns, top + rows)
            pixels = np.asarray(_to_rgb(image.crop(box)))
    return pixels if window["factor"] == 1 else _averaged(pixels, window["factor"])


def _averaged(pixels, factor):
    rows, columns = (side // factor for side in pixels.shape[:2])
    squares = pixels.reshape(rows, factor, columns, factor, 3)
    return np.rint(squares.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8)


@contextlib.contextmanager
def _opened(data):
    """Open an image with Pillow, and turn every error into a BadImageError."""
    if not data:
        raise BadImageError("the file is empty")
    try:
        with warnings.catch_warnings():
            # Our limit is below Pillow's, and odd EXIF does not matter here.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                check_size(image.height, image.width)
                yield image
    except BadImageError:
        raise
    except UnidentifiedImageError:
        raise BadImageError(f"not an image in {', '.join(FORMATS)}") from None
    except Exception as error:  # Pillow's decoders raise many types on damage.
        raise BadImageError(f"{type(error).__name__}: {error}") from error


def _to_rgb(image):
    if image.mode.startswith("I"):  # 16-bit gray, which convert("RGB") would clip
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")


def check_size(height: int, width: int, when: str = "") -> None:
    """Raise an error for an image with more pixels than `MAX_PIXELS`.

    Args:
        height: Height of the image.
        width: Width of the image.
        when: Text to add to the size in the message.

    Raises:
        BadImageError: If there are too many pixels.
    """
    if height * width > MAX_PIXELS:
        raise BadImageError(
            f"{width} x {height} pixels{when}: more than the {MAX_PIXELS} allowed"
        )


def _plain_jpeg_size(data):
    """Return (height, width) of a JPEG that a window decoder decodes correctly.

    Such a JPEG has one or three components, Huffman coding and 8 bits, and is upright
    and complete. All other files give None.
    """
    if data[:2] != b"\xff\xd8":
        return None
    size = None
    for marker, start, end in _jpeg_segments(data):
        if marker in _SOF_ALL:
            size = _frame_size(marker, data[start:end])
            if size is None:
                return None
        elif marker == _APP1 and data.startswith(b"Exif\0\0", start):
            if _orientation(data[start:end]) != 1:
                return None
        elif marker == _APP1 and data.startswith(_XMP, start):
            if _ROTATED_BY_XMP.search(data, start, end):
                return None
        elif marker == _START_OF_SCAN:
            # A truncated file lacks its end marker. Some files have bytes after it.
            complete = data.rfind(b"\xff\xd9", end) >= 0
            return size if complete else None
    return None


def _jpeg_segments(data):
    """Yield (marker, start, end) of each header segment, up to the first scan."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        yield marker, position + 4, end
        if marker == _START_OF_SCAN:
            return
        position = end


def _frame_size(marker, frame):
    if marker not in _SOF_HUFFMAN or len(frame) < 6:
        return None
    bits, components = frame[0], frame[5]
    height = int.from_bytes(frame[1:3], "big")
    width = int.from_bytes(frame[3:5], "big")
    if bits != 8 or components not in (1, 3) or not height or not width:
        return None
    return height, width


def _orientation(exif_segment):
    exif = Image.Exif()
    try:
        exif.load(exif_segment)
        return exif.get(_EXIF_ORIENTATION, 1)
    except Exception:  # If EXIF is damaged, Pillow decides about the whole image.
        return None
