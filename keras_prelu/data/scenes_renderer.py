"""The renderer of scenes: several shapes in an image, which partly hide each other."""

from collections.abc import Sequence

import numpy as np

from keras_prelu.data.annotations import Objects, as_objects
from keras_prelu.data.rendering import distortion, finished, mask, scatter, texture
from keras_prelu.data.shapes_renderer import CONTRAST, SHAPES

__all__ = ["MAX_OBJECTS", "SIDES", "render_scene"]

MAX_OBJECTS = 6
SIDES = (160, 224)  # range of both sides of the image, in pixels

_OBJECT_SIDES = (36, 110)  # range of the longer side of an object, in pixels
_MAX_CUT = 0.15  # largest fraction of an object's longer side that the border cuts off
_MIN_DISTANCE = 0.4  # of two centers, relative to the smaller object's longer side
_DIFFICULT = 0.5  # an object is difficult if less of its mask is visible
_MIN_VISIBLE = 0.2  # no object has less of its mask visible
_CLUTTER = 0.04  # largest radius: no disk or triangle is taken for an object
_COLOR_DISTANCE = 70  # minimum distance in RGB between two objects


def render_scene(seed: Sequence[int]) -> tuple[bytes, Objects]:
    """Render an image of 1 to 6 shapes, with the box of each.

    Colors, textures, light, blur, noise and clutter are those of `render`. Later
    objects cover earlier ones. A box is tight around all pixels of its object inside
    the image, whether they are visible or not. An object is difficult if less than half
    of these pixels are visible.

    Args:
        seed: Two integers of at least 0.

    Returns:
        The bytes of a JPEG, and its `Objects`. Labels are positions in the list of
        `SHAPES`.

    Examples:
        >>> image, objects = render_scene((2, 9))
        >>> objects.boxes.shape, objects.difficult.tolist()
        ((2, 4), [False, False])
    """
    rng = np.random.Generator(np.random.Philox(key=seed))
    width, height = rng.integers(*SIDES, 2, endpoint=True).tolist()
    colors = [rng.integers(20, 236, 3)]
    image = texture(rng, (width, height), colors[0])
    scatter(rng, image, _CLUTTER)
    labels = rng.integers(len(SHAPES), size=rng.integers(1, MAX_OBJECTS, endpoint=True))
    parts = list(SHAPES.values())
    masks = _masks(rng, (width, height), [parts[label] for label in labels])
    for shape in masks:
        colors.append(_color(rng, colors))
        image.paste(texture(rng, image.size, colors[-1]), mask=shape)
    difficult = _visible_fractions(masks) < _DIFFICULT
    boxes = [shape.getbbox() for shape in masks]
    return finished(rng, image), as_objects(boxes, labels, difficult)


def _masks(rng, size, shapes):
    """Render the mask of each shape at a random position.

    A position is drawn again if two centers would be nearly equal, or if hardly
    anything of an object would be visible.
    """
    masks, sides, centers = [], [], []
    for parts in shapes:
        while True:
            side, center = _place(rng, size)
            if _is_near(side, center, sides, centers):
                continue
            masks.append(_mask(rng, size, parts, side, center))
            if _visible_fractions(masks).min() >= _MIN_VISIBLE:
                break
            masks.pop()
        sides.append(side)
        centers.append(center)
    return masks


def _place(rng, size):
    """Draw the longer side and the center of an object."""
    smallest, largest = _OBJECT_SIDES
    side = smallest * (largest / smallest) ** rng.random()
    margin = (0.5 - _MAX_CUT) * side
    return side, rng.uniform(margin, np.array(size) - margin)


def _mask(rng, size, parts, side, center):
    """Render the mask of a shape whose box has a given longer side and center."""
    transform = distortion(rng, 1.0)
    points = np.concatenate([polygon for polygon, filled in parts if filled])
    points = points @ transform.T
    low, high = points.min(axis=0), points.max(axis=0)
    scale = side / (high - low).max()
    origin = center - scale * (low + high) / 2
    return mask(size, parts, scale * transform, origin)


def _is_near(side, center, sides, centers):
    return any(
        np.linalg.norm(center - other) < _MIN_DISTANCE * min(side, other_side)
        for other, other_side in zip(centers, sides, strict=True)
    )


def _visible_fractions(masks):
    """Return the fraction of each mask that later masks do not cover."""
    covers = [np.asarray(shape) >= 128 for shape in masks]
    hidden = np.zeros_like(covers[0])
    fractions = []
    for cover in reversed(covers):
        fractions.append((cover & ~hidden).sum() / cover.sum())
        hidden |= cover
    return np.array(fractions[::-1])


def _color(rng, colors):
    """Draw a color with enough contrast to the background and the other objects."""
    background, *others = colors
    while True:
        color = rng.integers(20, 236, 3)
        if np.linalg.norm(color - background) >= CONTRAST and all(
            np.linalg.norm(color - other) >= _COLOR_DISTANCE for other in others
        ):
            return color
