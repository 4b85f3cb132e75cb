"""The regions that a detector is trained on, by hand."""

import numpy as np
import pytest

from keras_prelu.data import AnnotatedSource
from keras_prelu.data.annotations import as_objects
from keras_prelu.detection import delta_statistics
from keras_prelu.detection.boxes import decode_deltas
from keras_prelu.detection.sampling import candidates, sample

# An object, and regions that overlap it by 0.8, 0.6, 0.3, 0.11 and 0.
OBJECTS = as_objects([[0, 0, 100, 100]], [4], [False])
OVERLAPS = (0.8, 0.6, 0.3, 0.11)
REGIONS = np.float32([[0, 0, 100, 100 * x] for x in OVERLAPS] + [[200, 0, 250, 50]])


def chosen(count, order, objects=OBJECTS, regions=REGIONS):
    of_image = candidates(regions, objects)
    return sample(of_image, objects, np.array(order), count)


def test_candidates_are_the_objects_and_the_regions():
    of_image = candidates(REGIONS, OBJECTS)
    np.testing.assert_array_equal(of_image.boxes, [*OBJECTS.boxes, *REGIONS])
    np.testing.assert_allclose(of_image.overlaps, [1, *OVERLAPS, 0], atol=1e-6)


def test_a_quarter_is_foreground_and_the_rest_hard_background():
    regions = chosen(8, [5, 4, 3, 2, 1, 0])
    # Two of the foreground, then the hard ones in order, then the easy one, repeated.
    assert regions.labels.tolist() == [5, 5, 0, 0, 0, 0, 0, 0]
    expected = REGIONS[[1, 0, 3, 2, 4, 3, 2, 4]]
    np.testing.assert_array_equal(regions.boxes, expected)


def test_hard_background_comes_before_easy_background():
    regions = chosen(3, [5, 3, 4, 0, 1, 2])
    np.testing.assert_array_equal(regions.boxes, REGIONS[[2, 3, 4]])
    assert regions.labels.tolist() == [0, 0, 0]


def test_without_a_background_the_foreground_fills_the_sample():
    regions = chosen(4, [2, 0, 1], regions=REGIONS[:2])
    assert regions.labels.tolist() == [5] * 4


def test_the_background_has_no_deltas_and_the_foreground_leads_to_its_object():
    regions = chosen(8, [0, 1, 2, 3, 4, 5])
    moved = decode_deltas(regions.boxes[:2], regions.deltas[:2])
    np.testing.assert_allclose(moved, [OBJECTS.boxes[0]] * 2, atol=1e-4)
    assert not regions.deltas[2:].any()


def test_each_region_belongs_to_the_object_that_it_overlaps_most():
    objects = as_objects([[0, 0, 10, 10], [5, 0, 15, 10]], [1, 2], [False, False])
    regions = np.float32([[1, 0, 11, 10], [4, 0, 14, 10]])
    of_image = candidates(regions, objects)
    assert of_image.nearest.tolist() == [0, 1, 0, 1]


def test_difficult_objects_are_neither_foreground_nor_background():
    objects = as_objects([[0, 0, 100, 100]], [4], [True])
    regions = chosen(6, range(5), objects)
    assert not regions.labels.any()
    # The overlap with a difficult object does not make a region hard.
    np.testing.assert_array_equal(regions.boxes, REGIONS[[2, 3, 4, 2, 3, 4]])


def test_an_image_without_objects_is_background():
    regions = chosen(3, range(5), as_objects([], [], []))
    assert not regions.labels.any() and not regions.deltas.any()


def test_an_image_of_a_difficult_object_only_still_has_a_sample():
    objects = as_objects([[0, 0, 100, 100]], [0], [True])
    regions = chosen(2, [0], objects, np.float32([[0, 0, 100, 90]]))
    assert regions.boxes.shape == (2, 4)


def test_statistics_of_the_deltas():
    class Two(AnnotatedSource):
        def __len__(self):
            return 2

        def objects(self, index):
            return OBJECTS

    mean, std = delta_statistics(Two([]), [REGIONS, REGIONS[:1]])
    heights = np.array([1, 0.8, 0.6, 1, 0.8])  # with the objects themselves
    deltas = np.stack(
        [0 * heights, (0.5 - heights / 2) / heights, 0 * heights, -np.log(heights)]
    )
    np.testing.assert_allclose(mean, deltas.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(std, np.maximum(deltas.std(axis=1), 1e-3), atol=1e-6)


def test_statistics_need_objects():
    class Empty(AnnotatedSource):
        def __len__(self):
            return 1

        def objects(self, index):
            return as_objects([], [], [])

    with pytest.raises(ValueError, match="`source` must have objects.*Received"):
        delta_statistics(Empty([]), [REGIONS])
