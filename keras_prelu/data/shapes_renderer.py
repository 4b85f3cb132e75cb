"""How the pictures of the built-in set are drawn: a shape, and much to distract.

All arithmetic on pixels is Pillow's, in whole numbers, so that the same seed gives the
same bits on every machine with the same Pillow and NumPy.
"""

import io
import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

SIZES = (128, 256)  # of each side, in pixels
ASPECT = 4 / 3  # the longer side is at most this much longer
QUALITIES = (60, 95)  # of the JPEG

_SUPERSAMPLING = 2
_TURN = math.radians(40)  # the shape turns by at most this, either way
_CONTRAST = 140  # least distance in RGB between the shape and what is behind it


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


# Each shape is a list of (polygon, is it filled?), drawn in turn, in a unit circle;
# shapes are in the order of their names, as classes are everywhere.
SHAPES = {
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


def render(name, seed):
    """Draws a picture of a shape of the built-in set.

    Args:
        name: A key of `SHAPES`.
        seed: A sequence of two integers of at least 0.

    Returns:
        The bytes of a JPEG.

    Examples:
        >>> picture = Image.open(io.BytesIO(render("star", (0, 7))))
        >>> picture.format, picture.mode
        ('JPEG', 'RGB')
    """
    return render_parts(SHAPES[name], seed)


def render_parts(parts, seed):
    """Draws a picture of a shape that is made of polygons.

    Colours, textures, size, place, turn, stretch, clutter, light, blur and noise are
    drawn from the seed; they say nothing about the shape.

    Args:
        parts: List of `(polygon, filled)`, drawn in turn: a list of points in the unit
            circle, and whether they add to the shape or cut from it.
        seed: A sequence of two integers of at least 0.

    Returns:
        The bytes of a JPEG.

    Examples:
        >>> slab = [([(-1, -0.2), (1, -0.2), (1, 0.2), (-1, 0.2)], True)]
        >>> render_parts(slab, (0, 7))[:2] == b"\\xff\\xd8"
        True
    """
    rng = np.random.Generator(np.random.Philox(key=seed))
    size = _size(rng)
    behind, front = _colors(rng)
    picture = _texture(rng, size, behind)
    _scatter(rng, picture)
    picture.paste(_texture(rng, size, front), mask=_mask(rng, size, parts))
    picture = ImageChops.multiply(picture, _light(rng, size))
    picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.5)))
    picture = _noise(rng, picture)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=int(rng.integers(*QUALITIES, endpoint=True)))
    return stream.getvalue()


def _size(rng):
    """Width and height."""
    first = rng.integers(*SIZES, endpoint=True)
    least = max(SIZES[0], math.ceil(first / ASPECT))
    most = min(SIZES[1], math.floor(first * ASPECT))
    return int(first), int(rng.integers(least, most, endpoint=True))


def _colors(rng):
    """Two colours that can be told apart."""
    while True:
        behind, front = rng.integers(20, 236, (2, 3))
        if np.linalg.norm(behind - front) >= _CONTRAST:
            return behind, front


def _texture(rng, size, color):
    """A field of a colour that varies a little: cloudy, in blocks, or striped."""
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


def _scatter(rng, picture):
    """Clutter behind the shape: small discs, boxes, triangles and lines."""
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.integers(2, 9)):
        color = tuple(rng.integers(0, 256, 3).tolist())
        reach = rng.uniform(0.02, 0.07) * min(picture.size)
        x, y = rng.uniform(0, picture.size)
        kind = rng.integers(4)
        if kind == 0:
            draw.ellipse((x - reach, y - reach, x + reach, y + reach), color)
        elif kind == 1:
            draw.line((x, y, *rng.uniform(0, picture.size)), color, width=2)
        else:  # boxes and triangles, turned and out of true
            corners = np.sort(rng.uniform(0, 2 * np.pi, kind + 1))
            draw.polygon(
                [(x + reach * math.cos(a), y + reach * math.sin(a)) for a in corners],
                color,
            )


def _mask(rng, size, parts):
    """Where the shape is: 0.6 to 0.85 of the shorter side across, and inside the
    square that a crop from the middle leaves.
    """
    radius = rng.uniform(0.3, 0.425) * min(size)
    wander = 0.45 * min(size) - radius
    center = np.array(size) / 2 + rng.uniform(-wander, wander, 2)
    angle = rng.uniform(-_TURN, _TURN)
    turn = np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    stretch = np.diag([1.0, rng.uniform(0.85, 1.0)])
    # Stretched along a direction of its own, not the shape's axis.
    lean = rng.uniform(0, 2 * math.pi)
    tilt = np.array(
        [[math.cos(lean), -math.sin(lean)], [math.sin(lean), math.cos(lean)]]
    )
    transform = radius * tilt @ stretch @ tilt.T @ turn

    large = tuple(_SUPERSAMPLING * side for side in size)
    mask = Image.new("L", large)
    draw = ImageDraw.Draw(mask)
    for polygon, filled in parts:
        points = (np.array(polygon) @ transform.T + center) * _SUPERSAMPLING
        draw.polygon(list(map(tuple, points.tolist())), 255 * filled)
    return mask.reduce(_SUPERSAMPLING)


def _light(rng, size):
    """Uneven lighting: four corners between dim and full."""
    corners = rng.integers(150, 256, (2, 2)).astype(np.uint8)
    light = Image.fromarray(corners).resize(size, Image.Resampling.BILINEAR)
    return Image.merge("RGB", [light] * 3)


def _noise(rng, picture):
    """Sensor noise, uniform, up to 12 levels either way."""
    reach = int(rng.integers(0, 13))
    pixels = np.asarray(picture).astype(np.int16)
    pixels += rng.integers(-reach, reach + 1, pixels.shape, dtype=np.int16)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
