"""The renderer of the built-in dataset: a shape among distractions.

Pillow does all arithmetic on pixels in integers, so the same seed gives the same bits
on every machine with the same versions of Pillow and NumPy.
"""

import io
import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

__all__ = ["ASPECT", "QUALITIES", "SHAPES", "SIZES", "render", "render_parts"]

SIZES = (128, 256)  # range of both sides, in pixels
ASPECT = 4 / 3  # largest ratio of the sides
QUALITIES = (60, 95)  # range of the JPEG quality

_SUPERSAMPLING = 2
_MAX_ANGLE = math.radians(40)  # of the rotation, in both directions
_CONTRAST = 140  # minimum distance in RGB between the shape and its background


def _circle(x, y, radius, start=0.0, stop=360.0):
    angles = np.radians(np.linspace(start, stop, 49))
    return [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles]


def _rectangle(left, top, right, bottom):
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _star():
    tips_and_notches = enumerate((1.0, 0.4) * 5)
    return [
        (radius * math.sin(math.pi * i / 5), -radius * math.cos(math.pi * i / 5))
        for i, radius in tips_and_notches
    ]


Point: TypeAlias = tuple[float, float]
Part: TypeAlias = tuple[Sequence[Point], bool]

# Each shape is a list of (polygon, filled) in the unit circle, drawn one after another.
# Shapes are sorted by name, as classes are everywhere.
SHAPES: dict[str, list[Part]] = {
    "arrow": [
        ([(1, 0), (0.2, 0.75), (0.2, -0.75)], True),
        (_rectangle(-0.95, -0.25, 0.25, 0.25), True),
    ],
    "bar": [(_rectangle(-0.97, -0.24, 0.97, 0.24), True)],
    "bow_tie": [([(-0.8, -0.6), (0.8, 0.6), (0.8, -0.6), (-0.8, 0.6)], True)],
    "crescent": [(_circle(0, 0, 0.95), True), (_circle(0.5, 0, 0.75), False)],
    "disk": [(_circle(0, 0, 0.85), True)],
    "ell": [
        (_rectangle(-0.6, -0.8, -0.15, 0.8), True),
        (_rectangle(-0.6, 0.35, 0.65, 0.8), True),
    ],
    "half_disk": [([(x, y - 0.4) for x, y in _circle(0, 0, 0.95, 0, 180)], True)],
    "heart": [
        (_circle(-0.42, -0.35, 0.46), True),
        (_circle(0.42, -0.35, 0.46), True),
        ([(-0.83, -0.13), (0.83, -0.13), (0, 0.98)], True),
    ],
    "horseshoe": [
        (_rectangle(-0.7, -0.75, 0.7, 0.75), True),
        (_rectangle(-0.28, -0.8, 0.28, 0.3), False),
    ],
    "plus": [
        (_rectangle(-0.9, -0.27, 0.9, 0.27), True),
        (_rectangle(-0.27, -0.9, 0.27, 0.9), True),
    ],
    "ring": [(_circle(0, 0, 0.9), True), (_circle(0, 0, 0.52), False)],
    "square": [(_rectangle(-0.68, -0.68, 0.68, 0.68), True)],
    "star": [(_star(), True)],
    "tee": [
        (_rectangle(-0.8, -0.8, 0.8, -0.32), True),
        (_rectangle(-0.24, -0.4, 0.24, 0.85), True),
    ],
    "trefoil": [
        (_circle(0.52 * math.sin(a), -0.52 * math.cos(a), 0.43), True)
        for a in (0, 2 * math.pi / 3, 4 * math.pi / 3)
    ],
    "triangle": [([(0, -0.95), (0.82, 0.48), (-0.82, 0.48)], True)],
}


def render(name: str, seed: Sequence[int]) -> bytes:
    """Render an image of a shape of the built-in dataset.

    Args:
        name: A key of `SHAPES`.
        seed: Two integers of at least 0.

    Returns:
        The bytes of a JPEG.

    Examples:
        >>> image = Image.open(io.BytesIO(render("star", (0, 7))))
        >>> image.format, image.mode
        ('JPEG', 'RGB')
    """
    return render_parts(SHAPES[name], seed)


def render_parts(parts: Iterable[Part], seed: Sequence[int]) -> bytes:
    """Render an image of a shape that consists of polygons.

    The seed determines colors, textures, size, position, rotation, stretch, clutter,
    light, blur and noise. They do not depend on the shape.

    Args:
        parts: List of `(polygon, filled)`, drawn one after another: points in the unit
            circle, and whether the polygon is added to the shape or cut out of it.
        seed: Two integers of at least 0.

    Returns:
        The bytes of a JPEG.

    Examples:
        >>> slab = [([(-1, -0.2), (1, -0.2), (1, 0.2), (-1, 0.2)], True)]
        >>> render_parts(slab, (0, 7))[:2] == b"\\xff\\xd8"
        True
    """
    rng = np.random.Generator(np.random.Philox(key=seed))
    size = _size(rng)
    background, foreground = _colors(rng)
    image = _texture(rng, size, background)
    _scatter(rng, image)
    image.paste(_texture(rng, size, foreground), mask=_mask(rng, size, parts))
    image = ImageChops.multiply(image, _light(rng, size))
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.5)))
    image = _noise(rng, image)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=int(rng.integers(*QUALITIES, endpoint=True)))
    return stream.getvalue()


def _size(rng):
    """Draw the width and height."""
    first = rng.integers(*SIZES, endpoint=True)
    low = max(SIZES[0], math.ceil(first / ASPECT))
    high = min(SIZES[1], math.floor(first * ASPECT))
    return int(first), int(rng.integers(low, high, endpoint=True))


def _colors(rng):
    """Draw two colors with enough contrast."""
    while True:
        background, foreground = rng.integers(20, 236, (2, 3))
        if np.linalg.norm(background - foreground) >= _CONTRAST:
            return background, foreground


def _texture(rng, size, color):
    """Render a color that varies a little: cloudy, in blocks, or striped."""
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


def _scatter(rng, image):
    """Draw clutter behind the shape: small disks, lines and polygons."""
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(2, 9)):
        color = tuple(rng.integers(0, 256, 3).tolist())
        reach = rng.uniform(0.02, 0.07) * min(image.size)
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


def _mask(rng, size, parts):
    """Render the mask of the shape.

    The shape spans 0.6 to 0.85 of the shorter side, and is inside the center crop.
    """
    radius = rng.uniform(0.3, 0.425) * min(size)
    max_shift = 0.45 * min(size) - radius
    center = np.array(size) / 2 + rng.uniform(-max_shift, max_shift, 2)
    rotation = _rotation(rng.uniform(-_MAX_ANGLE, _MAX_ANGLE))
    stretch = np.diag([1.0, rng.uniform(0.85, 1.0)])
    # Stretched along a random direction, not along an axis of the shape.
    tilt = _rotation(rng.uniform(0, 2 * math.pi))
    transform = radius * tilt @ stretch @ tilt.T @ rotation

    large = tuple(_SUPERSAMPLING * side for side in size)
    mask = Image.new("L", large)
    draw = ImageDraw.Draw(mask)
    for polygon, filled in parts:
        points = (np.array(polygon) @ transform.T + center) * _SUPERSAMPLING
        draw.polygon(list(map(tuple, points.tolist())), 255 * filled)
    return mask.reduce(_SUPERSAMPLING)


def _rotation(angle):
    sine, cosine = math.sin(angle), math.cos(angle)
    return np.array([[cosine, -sine], [sine, cosine]])


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
