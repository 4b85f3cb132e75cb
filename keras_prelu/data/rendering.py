"""Drawing for the built-in datasets: textures, clutter, masks of shapes, light, noise.

Pillow does all arithmetic on pixels in integers, so the same random numbers give the
same bits on every machine with the same versions of Pillow and NumPy.
"""

import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from keras_prelu.data.threads import ahead, pool

__all__ = [
    "QUALITIES",
    "Part",
    "Point",
    "distortion",
    "finished",
    "in_threads",
    "mask",
    "scatter",
    "texture",
]

QUALITIES = (60, 95)  # range of the JPEG quality

_SUPERSAMPLING = 2
_MAX_ANGLE = math.radians(40)  # of the rotation, in both directions

Point: TypeAlias = tuple[float, float]
Part: TypeAlias = tuple[Sequence[Point], bool]


def texture(
    rng: np.random.Generator, size: tuple[int, int], color: np.ndarray
) -> Image.Image:
    """Render a color that varies a little: cloudy, in blocks, or striped.

    Args:
        rng: A generator of random numbers.
        size: Width and height.
        color: Three levels in [0, 255].
    """
    cells = rng.integers(2, 25, 2) if rng.random() < 0.7 else (1, rng.integers(4, 25))
    strength = rng.uniform(0, 25)
    field = color + rng.uniform(-strength, strength, (*cells, 3))
    field = np.clip(np.round(field), 0, 255).astype(np.uint8)
    soft = rng.random() < 0.6
    method = Image.Resampling.BICUBIC if soft else Image.Resampling.NEAREST
    image = Image.fromarray(field).resize(size, method)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.ROTATE_180)
    return image


def scatter(
    rng: np.random.Generator, image: Image.Image, largest: float = 0.07
) -> None:
    """Draw clutter behind the shapes: small disks, lines and polygons.

    Args:
        rng: A generator of random numbers.
        image: The image to draw on.
        largest: The largest radius, relative to the shorter side. Defaults to 0.07.
    """
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(2, 9)):
        color = tuple(rng.integers(0, 256, 3).tolist())
        reach = rng.uniform(0.02, largest) * min(image.size)
        x, y = rng.uniform(0, image.size)
        kind = rng.integers(4)
        if kind == 0:
            draw.ellipse((x - reach, y - reach, x + reach, y + reach), color)
        elif kind == 1:
            draw.line((x, y, *rng.uniform(0, image.size)), color, width=2)
        else:  # a triangle or a quadrilateral
            corners = np.sort(rng.uniform(0, 2 * np.pi, kind + 1))
            draw.polygon(
                [(x + reach * math.cos(a), y + reach * math.sin(a)) for a in corners],
                color,
            )


def distortion(rng: np.random.Generator, radius: float) -> np.ndarray:
    """Draw a matrix that rotates, stretches and enlarges the unit circle.

    Args:
        rng: A generator of random numbers.
        radius: The radius of the enlarged circle, in pixels.
    """
    rotation = _rotation(rng.uniform(-_MAX_ANGLE, _MAX_ANGLE))
    stretch = np.diag([1.0, rng.uniform(0.85, 1.0)])
    # Stretched along a random direction, not along an axis of the shape.
    tilt = _rotation(rng.uniform(0, 2 * math.pi))
    return radius * tilt @ stretch @ tilt.T @ rotation


def _rotation(angle):
    sine, cosine = math.sin(angle), math.cos(angle)
    return np.array([[cosine, -sine], [sine, cosine]])


def mask(
    size: tuple[int, int],
    parts: Iterable[Part],
    transform: np.ndarray,
    center: np.ndarray,
) -> Image.Image:
    """Render the mask of a shape.

    Args:
        size: Width and height.
        parts: List of `(polygon, filled)`, see `SHAPES`.
        transform: A matrix of shape `(2, 2)`, applied to the points of the polygons.
        center: The point that is added to them, in pixels.
    """
    width, height = size
    canvas = Image.new("L", (_SUPERSAMPLING * width, _SUPERSAMPLING * height))
    draw = ImageDraw.Draw(canvas)
    for polygon, filled in parts:
        points = (np.array(polygon) @ transform.T + center) * _SUPERSAMPLING
        draw.polygon(list(map(tuple, points.tolist())), 255 * filled)
    return canvas.reduce(_SUPERSAMPLING)


def finished(rng: np.random.Generator, image: Image.Image) -> bytes:
    """Add light, blur and noise, and return the bytes of a JPEG.

    Args:
        rng: A generator of random numbers.
        image: An RGB image.
    """
    image = ImageChops.multiply(image, _light(rng, image.size))
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.5)))
    image = _noise(rng, image)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=int(rng.integers(*QUALITIES, endpoint=True)))
    return stream.getvalue()


def _light(rng, size):
    """Render uneven light, with a random brightness at each corner."""
    corners = rng.integers(150, 256, (2, 2)).astype(np.uint8)
    light = Image.fromarray(corners).resize(size, Image.Resampling.BILINEAR)
    return Image.merge("RGB", [light] * 3)


def _noise(rng, image):
    """Add uniform noise of up to 12 levels."""
    reach = int(rng.integers(0, 13))
    pixels = np.asarray(image).astype(np.int16)
    pixels += rng.integers(-reach, reach + 1, pixels.shape, dtype=np.int16)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def in_threads(example: Callable[[int], Any], count: int) -> Iterator[Any]:
    """Yield the examples of a dataset, in order.

    Args:
        example: A function that renders an example, given its index.
        count: Number of examples.
    """
    with pool() as threads:
        # Not all at once: images would pile up before they are written.
        yield from ahead(threads, example, range(count), most=256)
