"""Two sets to fine-tune on: drawn pictures of unseen shapes, and handwritten digits."""

import math
import pathlib

import numpy as np
from PIL import Image

from keras_prelu import data
from keras_prelu.data.shapes_renderer import render_parts

SIDE = 48  # of the net with the weights "shapes"


def _disk(x, y, radius, start=0, stop=360):
    angles = np.radians(np.linspace(start, stop, 49))
    return [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles]


# None of them is among the 16 shapes of the built-in set, however it is turned.
UNSEEN_SHAPES = {
    "bolt": [
        ([(0.25, -0.95), (-0.55, 0.15), (0.0, 0.15)], True),
        ([(-0.25, 0.95), (0.55, -0.15), (0.0, -0.15)], True),
        ([(0.0, -0.15), (0.55, -0.15), (0.0, 0.15), (-0.55, 0.15)], True),
    ],
    "chevron": [
        ([(-0.8, -0.4), (0, 0.3), (0.8, -0.4), (0.8, 0.1), (0, 0.8), (-0.8, 0.1)], True)
    ],
    "dumbbell": [
        (_disk(-0.6, 0, 0.38), True),
        (_disk(0.6, 0, 0.38), True),
        ([(-0.6, -0.14), (0.6, -0.14), (0.6, 0.14), (-0.6, 0.14)], True),
    ],
    "house": [
        ([(-0.6, -0.1), (0.6, -0.1), (0.6, 0.8), (-0.6, 0.8)], True),
        ([(-0.85, -0.05), (0, -0.9), (0.85, -0.05)], True),
        ([(-0.15, 0.3), (0.15, 0.3), (0.15, 0.85), (-0.15, 0.85)], False),
    ],
    "pie": [([(0, 0), *_disk(0, 0, 0.9, 40, 320)], True)],
    "zee": [
        ([(-0.7, -0.75), (0.7, -0.75), (0.7, -0.35), (-0.7, -0.35)], True),
        ([(-0.7, 0.35), (0.7, 0.35), (0.7, 0.75), (-0.7, 0.75)], True),
        ([(0.2, -0.4), (0.7, -0.4), (-0.2, 0.4), (-0.7, 0.4)], True),
    ],
}  # fmt: skip


def write_images(folder, count, seed=0):
    """Writes a folder for each unseen shape, with JPEGs of it as photographs would lie.

    Args:
        folder: Where to; what is there already is not written again.
        count: Pictures of each shape.
        seed: Integer. Another seed, other pictures.
    """
    for number, (name, parts) in enumerate(UNSEEN_SHAPES.items()):
        place = pathlib.Path(folder, name)
        place.mkdir(parents=True, exist_ok=True)
        for i in range(count):
            path = place / f"{name}-{i:04d}.jpg"
            if not path.exists():
                # A corner of the seeds that the built-in set does not use.
                path.write_bytes(render_parts(parts, (10**6 + seed, 1000 * number + i)))


def load_digits(parts, seed=0):
    """Scikit-learn's 1,797 handwritten digits, as RGB images in random order.

    Args:
        parts: Numbers of images; what is left becomes one more part.
        seed: Integer, of the order.

    Returns:
        A list of `(images, labels)`, and the names of the classes.
    """
    from sklearn import datasets

    digits = datasets.load_digits()
    images = np.stack([_enlarged(image) for image in digits.images])
    order = np.random.default_rng(seed).permutation(len(images))
    places = np.split(order, np.cumsum(parts))
    return [(images[p], digits.target[p]) for p in places], [str(n) for n in range(10)]


def _enlarged(image):
    """8×8 grey levels of 0 to 16, as an RGB image of the net's size."""
    grey = Image.fromarray((image * 255 / 16).astype("uint8"))
    large = grey.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.repeat(np.asarray(large)[..., None], 3, axis=-1)


def as_arrays(source):
    """All centre crops of a source, and their labels."""
    batches = data.eval_batches(source, len(source), SIDE, scale=54)
    images, labels = next(batches.as_numpy_iterator())
    return images, labels
