"""The renderer of the built-in dataset: a shape among distractions."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from keras_prelu.data.rendering import (
    Part,
    distortion,
    finished,
    mask,
    scatter,
    texture,
)

__all__ = ["ASPECT", "CONTRAST", "SHAPES", "SIZES", "render", "render_parts"]

SIZES = (128, 256)  # range of both sides, in pixels
ASPECT = 4 / 3  # largest ratio of the sides
CONTRAST = 140  # minimum distance in RGB between the shape and its background


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
        >>> render("star", (0, 7)) == render("star", (0, 7))
        True
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
    image = texture(rng, size, background)
    scatter(rng, image)
    shape = texture(rng, size, foreground)
    image.paste(shape, mask=mask(size, parts, *_placement(rng, size)))
    return finished(rng, image)


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
        if np.linalg.norm(background - foreground) >= CONTRAST:
            return background, foreground


def _placement(rng, size):
    """Draw size, position and distortion of the shape, as a matrix and a center.

    The shape spans 0.6 to 0.85 of the shorter side, and is inside the center crop.
    """
    radius = rng.uniform(0.3, 0.425) * min(size)
    max_shift = 0.45 * min(size) - radius
    center = np.array(size) / 2 + rng.uniform(-max_shift, max_shift, 2)
    return distortion(rng, radius), center
