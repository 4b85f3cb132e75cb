"""Evaluation of a detector on a source, and of detections made before."""

import json
import math

import numpy as np
import pytest

from keras_prelu import detection
from keras_prelu.data import AnnotatedSource, TooManyBadImagesError
from keras_prelu.data.annotations import as_objects
from keras_prelu.detection import Detections
from tests.detection.annotated import scene
from tests.detection.average_precision_test import random_data
from tests.detection.detecting_test import SIZES, fake_detector

WIDE, TALL = [8, 5, 30, 20], [25, 8, 33, 38]


class Two(AnnotatedSource):
    """Images with a wide and a tall object each."""

    def __init__(self, contents, **options):
        super().__init__(["wide", "tall"], **options)
        self.contents, self.reads = contents, []

    def __len__(self):
        return len(self.contents)

    def __getitem__(self, index):
        self.reads.append(index)
        return self.contents[index], as_objects([WIDE, TALL], [0, 1], [False] * 2)


def images(count=6):
    return [scene(40 + i, 60 - i, i) for i in range(count)]


def evaluated(source, proposals, metric="voc07", **options):
    return detection.evaluate(
        fake_detector(), source, proposals, metric, **SIZES, **{"verbose": 0} | options
    )


@pytest.mark.parametrize("metric", ["voc07", "voc", "coco"])
def test_a_detector_that_finds_all_objects_is_perfect(metric):
    source = Two(images())
    result = evaluated(source, [[WIDE, TALL]] * 6, metric)
    assert result.mean_ap == 1
    assert result.per_class == {"wide": 1, "tall": 1}
    assert sorted(source.reads) == list(range(6))
    assert (result.images, result.skipped) == (6, 0)
    assert result.objects == result.detections_of_class == {"wide": 6, "tall": 6}


def test_images_without_detections_count():
    result = evaluated(Two(images(4)), [[WIDE, TALL], [], [WIDE], []], "voc")
    assert result.per_class == {"wide": 0.5, "tall": 0.25}


def test_bad_images_are_skipped_and_counted():
    contents = images(4)
    contents[1] = b"torn"
    source = Two(contents)
    result = evaluated(source, [[WIDE, TALL]] * 4)
    assert (result.images, result.skipped, result.mean_ap) == (3, 1, 1)
    assert result.indices.tolist() == [0, 2, 3]
    assert result.objects == {"wide": 3, "tall": 3}
    assert list(source.skipped) == ["image 1"]
    with pytest.raises(TooManyBadImagesError, match="\n  image 1: not an image"):
        evaluated(Two(contents, max_bad=0), [[WIDE, TALL]] * 4)


def test_output(capsys):
    evaluated(Two(images(2)), [[WIDE]] * 2, verbose=1)
    shown = capsys.readouterr().out
    assert "2/2" in shown
    assert "| tall | 2 | 0 | 0.0% |\n| mean | 4 | 2 | 50.0% |" in shown


@pytest.mark.parametrize(
    "source, proposals, metric, name",
    [
        (Two(images(2)), [[WIDE]], "voc07", "proposals"),
        (Two([]), [], "voc07", "source"),
        (Two([b"torn"]), [[WIDE]], "voc07", "source"),
        (Two(images(2)), [[WIDE]] * 2, "voc12", "metric"),
        (Two(images(2)), [[WIDE], [[3, 3, 3, 9]]], "voc", "proposals"),
    ],
)
def test_bad_input_is_refused(source, proposals, metric, name):
    with pytest.raises(ValueError, match=f"Argument `{name}` must"):
        evaluated(source, proposals, metric)


def test_other_classes_than_the_detector_s_are_refused():
    source = Two(images(1))
    source.class_names = ["wide", "tall", "round"]
    with pytest.raises(ValueError, match="must have 2 classes.* source of 3 classes"):
        evaluated(source, [[WIDE]])


def test_classes_without_objects_are_left_out_of_the_mean():
    detections, objects = random_data(0)
    names = ["a", "b", "c", "none"]
    for metric in ("voc07", "voc", "coco"):
        result = detection.evaluate_detections(detections, objects, names, metric)
        assert math.isnan(result.per_class["none"])
        averages = [result.per_class[name] for name in "abc"]
        assert result.mean_ap == pytest.approx(np.mean(averages))
        written = json.loads(json.dumps(result.to_dict(), allow_nan=False))
        assert written == result.to_dict()
        assert written["per_class"]["none"] is None
        assert "| none | 0 | 0 | n/a |" in str(result)


def test_the_six_numbers_of_coco():
    objects = [as_objects([[0, 0, 30, 30], [0, 0, 90, 90]], [0, 0], [False] * 2)]
    # The first has an intersection over union of 0.8, the second of 1.
    boxes = np.float32([[0, 0, 30, 24], [0, 0, 90, 90]])
    found = [Detections(boxes, np.zeros(2, int), np.array([0.9, 0.8]))]
    result = detection.evaluate_detections(found, objects, ["a"], "coco")
    # From 0.85 on, the first is wrong: 51 of 101 recalls have a precision of 1/2.
    assert result.mean_ap == pytest.approx((7 + 3 * 51 / 101 / 2) / 10)
    assert result.coco["AP"] == pytest.approx(result.mean_ap)
    assert (result.coco["AP50"], result.coco["AP75"]) == pytest.approx((1, 1))
    assert result.coco["AP small"] == pytest.approx(0.7)
    assert result.coco["AP medium"] == pytest.approx(1)
    assert math.isnan(result.coco["AP large"])


def test_detections_and_objects_of_different_counts_are_refused():
    with pytest.raises(ValueError, match="`detections` .*0 items for 1 images"):
        detection.evaluate_detections([], [as_objects([], [], [])], ["a"])
