"""Two sets to fine-tune on: drawn images of unseen shapes, and handwritten digits."""

import math
import pathlib

import numpy as np
from PIL import Image

from keras_prelu import data
from keras_prelu.data.shapes_renderer import render_parts

SIDE = 48  # input size of the network with the weights "shapes"


def _disk(x, y, radius, start=0, stop=360):
    angles = np.radians(np.linspace(start, stop, 49))
    return [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles]


# None of them is a rotated shape of the built-in set.
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


def write_images(folder, count):
    """Write one folder of JPEG files per unseen shape.

    Args:
        folder: The parent folder. Files that exist are not written again.
        count: Integer. Images of each shape.
    """
    for number, (name, parts) in enumerate(UNSEEN_SHAPES.items()):
        class_folder = pathlib.Path(folder, name)
        class_folder.mkdir(parents=True, exist_ok=True)
        for i in range(count):
            path = class_folder / f"{name}-{i:04d}.jpg"
            if not path.exists():
                # The built-in set does not use these seeds.
                path.write_bytes(render_parts(parts, (10**6, 1000 * number + i)))


def load_digits(parts, seed=0):
    """Return scikit-learn's 1,797 handwritten digits as RGB images in random order.

    Args:
        parts: The number of images in each part. The rest becomes one more part.
        seed: Integer. Seed of the order.

    Returns:
        A list of `(images, labels)`, one pair per part, and the names of the classes.
    """
    from sklearn import datasets

    digits = datasets.load_digits()
    images = np.stack([_enlarged(image) for image in digits.images])
    order = np.random.default_rng(seed).permutation(len(images))
    positions = np.split(order, np.cumsum(parts))
    arrays = [(images[part], digits.target[part]) for part in positions]
    return arrays, [str(digit) for digit in range(10)]


def _enlarged(image):
    """Return 8×8 gray levels of 0 to 16 as an RGB image of the network's input size."""
    gray = Image.fromarray((image * 255 / 16).astype("uint8"))
    large = gray.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.repeat(np.asarray(large)[..., None], 3, axis=-1)


def as_arrays(source):
    """Return the center crops of all images of a source, and their labels."""
    batches = data.eval_batches(source, len(source), SIDE, scale=54)
    images, labels = next(batches.as_numpy_iterator())
    return images, labels
