"""Bytes to pictures: the format told by content, everything becomes RGB.

Plain JPEGs, nearly all there is in ImageNet, are left encoded: the pipeline decodes
only the window that it needs of them. All else (PNG, GIF, BMP, WebP, CMYK, turned by
EXIF, without an end marker) is decoded here, whole, by Pillow.
"""

import contextlib
import io
import warnings
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
MAX_PIXELS = 2**26  # 8192 x 8192: 192 MiB as RGB

_EXIF_ORIENTATION = 0x0112
_TURNED_SIDEWAYS = (5, 6, 7, 8)
_SOF_HUFFMAN = {0xC0, 0xC1, 0xC2}  # baseline, extended, progressive
_SOF_ALL = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA
_APP1 = 0xE1


class BadImageError(ValueError):
    """Bytes that cannot be decoded, or that are refused; the message says why."""


class Header(NamedTuple):
    """What is known of a picture before its pixels are decoded.

    `plain` says that it is a JPEG of which a window decoder makes the right pixels.
    """

    height: int
    width: int
    plain: bool


def read_header(data):
    """Finds out what some bytes are, without decoding pixels.

    Args:
        data: The bytes of a JPEG, PNG, GIF, BMP or WebP file.

    Returns:
        A `Header`; height and width are those of the upright picture.

    Raises:
        BadImageError: if they are none of these, or would decode to more than
            `MAX_PIXELS`.

    Examples:
        >>> bmp = io.BytesIO()
        >>> Image.new("L", (3, 2), 255).save(bmp, "BMP")
        >>> read_header(bmp.getvalue())
        Header(height=2, width=3, plain=False)
    """
    size = _plain_jpeg_size(data)
    if size is not None:
        check_size(*size)
        return Header(*size, plain=True)
    with _opened(data) as image:
        turned = image.getexif().get(_EXIF_ORIENTATION, 1) in _TURNED_SIDEWAYS
        height, width = image.size if turned else reversed(image.size)
        return Header(height, width, plain=False)


def decode_rgb(data):
    """Decodes a whole picture with Pillow, EXIF orientation honoured.

    Of an animation the first frame is taken; alpha is dropped, as
    `Image.convert("RGB")` does; 16-bit grey keeps its upper 8 bits.

    Args:
        data: The bytes of a JPEG, PNG, GIF, BMP or WebP file.

    Returns:
        A uint8 array of shape `(height, width, 3)`.
    """
    with _opened(data) as image:
        return np.asarray(_to_rgb(ImageOps.exif_transpose(image)))


@contextlib.contextmanager
def _opened(data):
    """Opens a picture with Pillow; whatever goes wrong is a BadImageError."""
    if not data:
        raise BadImageError("the file is empty")
    try:
        with warnings.catch_warnings():
            # Our limit comes before Pillow's, and odd EXIF is no concern of ours.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                check_size(image.height, image.width)
                yield image
    except BadImageError:
        raise
    except UnidentifiedImageError:
        raise BadImageError(f"not an image in {', '.join(FORMATS)}") from None
    except Exception as error:  # Pillow's decoders raise nearly anything on damage.
        raise BadImageError(f"{type(error).__name__}: {error}") from error


def _to_rgb(image):
    if image.mode.startswith("I"):  # 16-bit grey: convert("RGB") would clip at 255.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")


def check_size(height, width, when=""):
    """Refuses more pixels than `MAX_PIXELS`; `when` is added to the message."""
    if height * width > MAX_PIXELS:
        raise BadImageError(
            f"{width} x {height} pixels{when}: more than the {MAX_PIXELS} that are "
            "allowed"
        )


def _plain_jpeg_size(data):
    """(height, width) of a JPEG that a window decoder reads right, else None.

    Right means: grey or three components, Huffman-coded, 8 bits, upright, complete.
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
        elif marker == _START_OF_SCAN:
            # A file cut short lacks its end marker; some have bytes after it.
            complete = data.rfind(b"\xff\xd9", end) >= 0
            return size if complete else None
    return None


def _jpeg_segments(data):
    """Yields (marker, start, end) of each header segment, up to the first scan."""
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
    except Exception:  # Damaged EXIF: let Pillow decide about the whole picture.
        return None
