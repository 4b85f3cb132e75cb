"""A source of a few images with objects, in memory."""

import numpy as np
from PIL import Image

from keras_prelu.data import Source
from tests.data.conftest import encoded


class Toy(Source):
    """Images of squares on noise; `contents` and `objects_of` can be changed.

    Args:
        sizes: Heights and widths of the images.
    """

    def __init__(self, sizes=((40, 60), (64, 48), (50, 50))):
        super().__init__(["square", "disc"])
        self.contents = [scene(*size, seed) for seed, size in enumerate(sizes)]

    def __len__(self):
        return len(self.contents)

    def __getitem__(self, index):
        return self.contents[index], 0


def scene(height, width, seed):
    """Return the bytes of a PNG with two bright rectangles on a dark ground."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(40, 60, (height, width, 3), "uint8")
    pixels[5:25, 8:30] = 220, 60, 40
    pixels[18:38, 25:45] = 30, 90, 230
    return encoded(Image.fromarray(pixels), "PNG")
