"""A source of a few images with objects, in memory."""

import numpy as np
from PIL import Image

from keras_prelu.data import AnnotatedSource
from keras_prelu.data.annotations import as_objects
from tests.data.conftest import encoded


class Toy(AnnotatedSource):
    """Images with a square and a disc; the disc of the last image is difficult.

    Args:
        sizes: Heights and widths of the images.
    """

    def __init__(self, sizes=((40, 60), (64, 48), (50, 50))):
        super().__init__(["square", "disc"])
        self.contents = [scene(*size, seed) for seed, size in enumerate(sizes)]

    def __len__(self):
        return len(self.contents)

    def __getitem__(self, index):
        return self.contents[index], self.objects(index)

    def read(self, index):
        return self[index]  # unchecked: the objects do not fit into small images

    def objects(self, index):
        boxes = [[8, 5, 30, 25], [25, 18, 45, 38]]
        return as_objects(boxes, [0, 1], [False, index == len(self) - 1])


def scene(height, width, seed):
    """Return the bytes of a PNG with two bright rectangles on a dark ground."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(40, 60, (height, width, 3), "uint8")
    pixels[5:25, 8:30] = 220, 60, 40
    pixels[18:38, 25:45] = 30, 90, 230
    return encoded(Image.fromarray(pixels), "PNG")
