"""Proposal recall, by hand."""

import math
import re

import numpy as np
import pytest

from keras_prelu.detection import perfect_detections, recall
from tests.detection.annotated import Toy

# The squares are (8, 5, 30, 25) and the discs (25, 18, 45, 38). The disc of the last
# image is difficult.
SQUARE, DISC = (8, 5, 30, 25), (25, 18, 45, 38)
WIDE = (25, 18, 45, 54)  # 20 x 20 of 20 x 36: an IoU of 5/9
SHIFTED = (8, 9, 30, 29)  # 22 x 16 of 22 x 24: an IoU of 2/3


def regions(*boxes):
    return np.array(boxes, np.float32).reshape(-1, 4)


def test_recall_by_hand():
    proposals = [
        regions((0, 0, 60, 40), WIDE, SQUARE),
        regions(SHIFTED, DISC),
        regions(),
    ]
    result = recall(proposals, Toy(), thresholds=(0.5, 0.66, 0.7))
    assert result.overall == {0.5: 4 / 5, 0.66: 3 / 5, 0.7: 2 / 5}
    assert result.per_class == {
        "square": {0.5: 2 / 3, 0.66: 2 / 3, 0.7: 1 / 3},
        "disc": {0.5: 1, 0.66: 1 / 2, 0.7: 1 / 2},
    }
    assert result.objects == {"square": 3, "disc": 2}
    assert result.regions_per_image == 5 / 3
    lines = str(result).splitlines()
    assert lines[0] == "| class | objects | IoU ≥ 0.5 | IoU ≥ 0.66 | IoU ≥ 0.7 |"
    assert lines[2] == "| square | 3 | 66.7% | 66.7% | 33.3% |"
    assert lines[4:] == [
        "| all | 5 | 80.0% | 60.0% | 40.0% |",
        "",
        "1.7 regions per image",
    ]


def test_an_overlap_equal_to_the_threshold_counts():
    half = regions((8, 5, 30, 15))
    assert recall([half] * 3, Toy()).per_class["square"] == {0.5: 1, 0.7: 0}


def test_a_class_without_objects_has_no_recall():
    source = Toy()
    source.class_names.append("star")
    result = recall([regions(SQUARE, DISC)] * 3, source)
    assert all(math.isnan(value) for value in result.per_class["star"].values())
    assert "| star | 0 | n/a | n/a |" in str(result)
    assert result.overall == {0.5: 1, 0.7: 1}


def test_a_region_list_of_another_length_is_refused():
    with pytest.raises(
        ValueError, match="^Argument `proposals` must have one.*length 2"
    ):
        recall([regions()] * 2, Toy())


@pytest.mark.parametrize("thresholds", [0.5, [-0.1], [0.5, 1.5], "05"])
def test_thresholds_that_are_no_fractions_are_refused(thresholds):
    message = re.escape(f"numbers in [0, 1]. Received: thresholds={thresholds!r}")
    with pytest.raises(ValueError, match=f"^Argument `thresholds` must be {message}"):
        recall([regions()] * 3, Toy(), thresholds)


def test_perfect_detections_are_the_best_regions_of_the_objects():
    proposals = [
        regions((0, 0, 60, 40), WIDE, SQUARE, SHIFTED),
        regions((0, 0, 60, 40)),
        regions(),
    ]
    first, second, third = perfect_detections(proposals, Toy())
    np.testing.assert_array_equal(first.boxes, regions(SQUARE, WIDE))
    assert first.labels.tolist() == [0, 1]
    np.testing.assert_allclose(first.scores, [1, 5 / 9], rtol=1e-6)
    for detections in (second, third):
        assert detections.boxes.shape == (0, 4)
        assert len(detections.labels) == len(detections.scores) == 0


def test_perfect_detections_leave_difficult_objects_out():
    *_, last = perfect_detections([regions(SQUARE, DISC)] * 3, Toy())
    assert last.labels.tolist() == [0]
