"""Drawings of detections: where the colors are, and what is left out."""

import numpy as np
import pytest

from keras_prelu import detection
from keras_prelu.data.annotations import as_objects
from keras_prelu.detection import Detections
from tests.detection.average_precision_test import random_data

NAMES = ["cat", "dog", "none"]


def grey(height=300, width=400):
    return np.full((height, width, 3), 128, "uint8")


def test_boxes_are_drawn_at_their_edges_in_the_class_s_color():
    objects = as_objects([[50, 60, 150, 200], [200, 60, 350, 200]], [0, 1], [False] * 2)
    drawn = np.asarray(detection.draw(grey(), objects, NAMES)).astype(int)
    assert drawn.shape == (300, 400, 3)
    first, second = drawn[120, 50], drawn[120, 200]
    assert np.abs(first - second).max() > 100
    np.testing.assert_array_equal(drawn[200, 100], first)
    np.testing.assert_array_equal(drawn[120, 100], [128] * 3)
    assert (drawn[:, 30] == 128).all()


@pytest.mark.parametrize(
    "box", [[0, 0, 400, 300], [380, 0, 400, 10], [-5, 290, 9, 310]]
)
def test_labels_stay_inside_the_image(box):
    found = Detections(np.float32([box]), np.array([1]), np.array([0.5]))
    drawn = np.asarray(detection.draw(grey(), found, NAMES))
    colored = (drawn != 128).any(axis=2).sum()
    assert colored > 300


def test_a_gallery_needs_images_and_an_item_for_each():
    detections, objects = random_data(0, images=2, classes=2)
    for count in (0, 3):
        images = [grey()] * count
        message = (
            f"^Argument `images` must .*: {count} images, 2 objects, 2 detections$"
        )
        with pytest.raises(ValueError, match=message):
            detection.gallery(images, objects, detections, NAMES)
    with pytest.raises(ValueError, match="^Argument `images` must have at least one"):
        detection.gallery([], [], [], NAMES)


def test_gallery_and_curves_have_what_was_given():
    detections, objects = random_data(0, images=2, classes=2)
    figure = detection.gallery([grey()] * 2, objects, detections, NAMES)
    assert len(figure.axes) == 4
    result = detection.evaluate_detections(detections, objects, NAMES)
    [axis] = detection.draw_curves(result).axes
    shown = [text.get_text() for text in axis.get_legend().get_texts()]
    assert [text.split()[0] for text in shown] == [
        name for name in NAMES if result.objects[name]
    ]
