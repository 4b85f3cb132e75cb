"""Tests of resizing for detection."""

import numpy as np
import pytest
from PIL import Image

from keras_prelu.detection import resizing


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((375, 500), (600, 800)),
        ((500, 333), (901, 600)),
        ((100, 400), (250, 1000)),  # the longer side decides
        ((1200, 1800), (600, 900)),
    ],
)
def test_sides_are_those_of_fast_rcnn(size, expected):
    resized, factors = resizing.resize(np.zeros((*size, 3), "uint8"))
    assert resized.shape == (*expected, 3)
    height, width = size
    box = np.array([0, 0, width, height]) * factors
    np.testing.assert_allclose(box, [0, 0, expected[1], expected[0]])


def test_pixels_are_pillow_s():
    image = np.random.default_rng(0).integers(0, 256, (30, 50, 3)).astype("uint8")
    resized, _ = resizing.resize(image, 60, 1000)
    expected = Image.fromarray(image).resize((100, 60), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(resized, expected)


@pytest.mark.parametrize("sides", [(0, 10), (20, 10)])
def test_sides_that_do_not_fit_are_refused(sides):
    with pytest.raises(ValueError, match="`shorter_side` must be.*Received"):
        resizing.resize(np.zeros((4, 4, 3), "uint8"), *sides)
