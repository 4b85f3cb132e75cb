"""A small source of images with objects, for the tests of detection."""

import numpy as np

from keras_prelu.data import AnnotatedSource
from keras_prelu.data.annotations import as_objects
from tests.data.conftest import encoded

SIZES = ((60, 90), (80, 50), (64, 64), (48, 100), (70, 70))  # height, width


class Toy(AnnotatedSource):
    """Images of noise, each with two bright boxes; some cannot be decoded."""

    def __init__(self, count=5, bad=(), max_bad=None):
        super().__init__(["low", "high"], max_bad)
        self._count, self._bad = count, bad

    def __len__(self):
        return self._count

    def pixels(self, index):
        """Return the pixels of an image."""
        height, width = SIZES[index % len(SIZES)]
        rng = np.random.default_rng(index)
        pixels = rng.integers(0, 80, (height, width, 3)).astype("uint8")
        for (x1, y1, x2, y2), level in zip(self._boxes(index), (150, 250), strict=True):
            pixels[y1:y2, x1:x2] = level
        return pixels

    def _boxes(self, index):
        return [[4 + index, 6, 24 + index, 30], [26 + index, 20, 44 + index, 44]]

    def objects(self, index):
        return as_objects(self._boxes(index), [0, 1], [False, False])

    def __getitem__(self, index):
        data = b"broken" if index in self._bad else encoded(self.pixels(index), "PNG")
        return data, self.objects(index)


def jittered(source, count=20, seed=0):
    """Return proposals: boxes around the objects, moved at random."""
    rng = np.random.default_rng(seed)
    proposals = []
    for index in range(len(source)):
        boxes = source.objects(index).boxes
        boxes = boxes[rng.integers(0, len(boxes), count)]
        boxes = boxes + rng.uniform(-8, 8, boxes.shape)
        boxes = np.clip(boxes, 0, 44)
        starts = np.minimum(boxes[:, :2], boxes[:, 2:] - 4)
        proposals.append(np.hstack([starts, boxes[:, 2:]]).astype("float32"))
    return proposals
