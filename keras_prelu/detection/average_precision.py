"""Average precision of detections, by the protocols of PASCAL VOC and COCO.

Detections of a class are sorted by score over all images. Equal scores are in the order
of images, then in the order of the detections of an image.

VOC: a detection is compared with the object of its class and image that it overlaps
most. It is right if the intersection over union is strictly more than 0.5 and no better
detection has matched the object. Otherwise it is wrong. If the object is difficult, the
detection does not count. VOC includes a box's last pixel; our boxes have the same
areas, see `keras_prelu.detection.boxes`.

COCO: a detection is matched with the object that it overlaps most among those that
better detections have left, if the intersection over union is at least the threshold.
For each class, the best 100 detections of an image count. Difficult objects are ignored
as in VOC: any number of detections may match one, and none of these counts.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_prelu.data.annotations import Objects
from keras_prelu.detection.boxes import areas, iou
from keras_prelu.detection.detecting import Detections

__all__ = [
    "AREAS",
    "COCO_THRESHOLDS",
    "Curve",
    "area_under",
    "at_101_points",
    "at_11_points",
    "coco_curves",
    "voc_curve",
]

COCO_THRESHOLDS = np.linspace(0.5, 0.95, 10)
# Ranges of the areas of objects in pixels, both ends included.
AREAS = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
_MOST = 100  # detections per class and image in COCO


class Curve(NamedTuple):
    """The detections of a class that count, best first.

    Attributes:
        scores: Float array.
        right: Bool array: whether each has found an object.
        objects: Number of objects to find.
    """

    scores: np.ndarray
    right: np.ndarray
    objects: int

    @property
    def recall(self) -> np.ndarray:
        """Fraction of the objects that were found down to each score."""
        return np.cumsum(self.right) / max(self.objects, 1)

    @property
    def precision(self) -> np.ndarray:
        """Fraction of the detections down to each score that are right."""
        return np.cumsum(self.right) / np.arange(1, len(self.right) + 1)


def at_11_points(curve: Curve) -> float:
    """Return the average precision of VOC 2007.

    It is the mean, over the recalls 0, 0.1, ..., 1, of the highest precision that is
    reached at this recall or a higher one. It is NaN without objects.

    Args:
        curve: A `Curve`.

    Examples:
        >>> at_11_points(Curve(np.array([0.9, 0.8]), np.array([True, False]), 2))
        0.5454545454545454
    """
    if not curve.objects:
        return float("nan")
    found = np.cumsum(curve.right)
    # Compared in integers, because 3 of 10 objects are a recall of 0.3.
    reached = [
        curve.precision[10 * found >= tenths * curve.objects] for tenths in range(11)
    ]
    return float(np.mean([precision.max(initial=0) for precision in reached]))


def area_under(curve: Curve) -> float:
    """Return the average precision of VOC from 2010 on.

    It is the area under the precision, made monotonic: at each recall, the highest
    precision that is reached at this recall or a higher one. It is NaN without objects.

    Args:
        curve: A `Curve`.

    Examples:
        >>> area_under(Curve(np.array([0.9, 0.8]), np.array([False, True]), 2))
        0.25
    """
    if not curve.objects:
        return float("nan")
    # The recall grows by one object at each right detection.
    return float(_envelope(curve)[curve.right].sum() / curve.objects)


def at_101_points(curve: Curve) -> float:
    """Return the average precision of COCO, the mean over the recalls 0, 0.01, ..., 1.

    Args:
        curve: A `Curve`. The result is NaN without objects.
    """
    if not curve.objects:
        return float("nan")
    first = np.searchsorted(curve.recall, np.linspace(0, 1, 101))
    return float(np.append(_envelope(curve), 0)[first].mean())


def _envelope(curve):
    """Return the highest precision at each recall or a higher one."""
    return np.maximum.accumulate(curve.precision[::-1])[::-1]


def voc_curve(
    detections: Sequence[Detections], objects: Sequence[Objects], label: int
) -> Curve:
    """Return the curve of a class by the protocol of VOC.

    Args:
        detections: `Detections` of each image.
        objects: `keras_prelu.data.Objects` of each image.
        label: The class.

    Reference:
        [Everingham et al., 2010](https://doi.org/10.1007/s11263-009-0275-4),
        section 4.2
    """
    scores, right, counts, total = [], [], [], 0
    for found, wanted in _of_class(detections, objects, label):
        total += int((~wanted.difficult).sum())
        is_right, is_counted = _voc_match(found, wanted)
        scores.append(found.scores)
        right.append(is_right)
        counts.append(is_counted)
    return _curve(scores, right, counts, total)


def _of_class(detections, objects, label):
    """Yield the detections, best first, and the objects of a class in each image."""
    for found, wanted in zip(detections, objects, strict=True):
        rows = np.flatnonzero(found.labels == label)
        rows = rows[np.argsort(-found.scores[rows], kind="stable")]
        of_class = wanted.labels == label
        if len(rows) or of_class.any():
            yield (
                Detections(*(values[rows] for values in found)),
                Objects(*(values[of_class] for values in wanted)),
            )


def _voc_match(found, wanted):
    """Return which detections are right, and which count."""
    right = np.zeros(len(found.scores), bool)
    counts = np.ones(len(found.scores), bool)
    if not len(found.scores) or not len(wanted.boxes):
        return right, counts
    overlaps = iou(found.boxes, wanted.boxes)
    nearest = overlaps.argmax(axis=1)
    matched = overlaps.max(axis=1) > 0.5
    counts = ~(matched & wanted.difficult[nearest])
    candidates = np.flatnonzero(matched & counts)
    _, first = np.unique(nearest[candidates], return_index=True)
    right[candidates[first]] = True
    return right, counts


def _curve(scores, right, counts, total):
    """Return a `Curve` from arrays of each image."""
    none = np.zeros(0)
    scores = np.concatenate([none, *scores])
    counts = np.concatenate([none, *counts]).astype(bool)
    right = np.concatenate([none, *right]).astype(bool)
    order = np.argsort(-scores, kind="stable")
    order = order[counts[order]]
    return Curve(scores[order], right[order], total)


def coco_curves(
    detections: Sequence[Detections],
    objects: Sequence[Objects],
    label: int,
    area: str = "all",
) -> list[Curve]:
    """Return the curves of a class by the protocol of COCO.

    Objects outside the range of areas are ignored. So are detections outside the range
    that match no object. The area of an object is the area of its box.

    Args:
        detections: `Detections` of each image.
        objects: `keras_prelu.data.Objects` of each image.
        label: The class.
        area: A key of `AREAS`.

    Returns:
        A `Curve` for each of `COCO_THRESHOLDS`.

    Reference:
        [Lin et al., 2014](https://arxiv.org/abs/1405.0312)
    """
    scores, right, counts, total = [], [], [], 0
    for found, wanted in _of_class(detections, objects, label):
        found = Detections(*(values[:_MOST] for values in found))
        ignored = wanted.difficult | _is_outside(area, wanted.boxes)
        total += int((~ignored).sum())
        matches = _coco_match(iou(found.boxes, wanted.boxes), ignored, wanted.difficult)
        is_matched = matches >= 0
        ignored = np.append(ignored, False)[matches]  # -1 is the appended one
        scores.append(found.scores)
        right.append(is_matched & ~ignored)
        counts.append(~ignored & (is_matched | ~_is_outside(area, found.boxes)))
    return [
        _curve(scores, [x[i] for x in right], [x[i] for x in counts], total)
        for i in range(len(COCO_THRESHOLDS))
    ]


def _is_outside(area, boxes):
    """Return which boxes lie outside a range of areas."""
    low, high = AREAS[area]
    sizes = areas(np.asarray(boxes, np.float64))
    return (sizes < low) | (sizes > high)


def _coco_match(overlaps, ignored, reusable):
    """Return the object of each detection for each threshold, or -1.

    Objects that count come before those that are ignored, whatever the overlap.
    """
    count, wanted = overlaps.shape
    matches = np.full((len(COCO_THRESHOLDS), count), -1)
    if not wanted:
        return matches
    left = np.ones((len(COCO_THRESHOLDS), wanted), bool)
    thresholds = COCO_THRESHOLDS[:, None]
    for detection, overlap in enumerate(overlaps):
        possible = left & (overlap >= thresholds)
        regular = possible & ~ignored
        possible = np.where(regular.any(axis=1, keepdims=True), regular, possible)
        # Of equal overlaps, COCO takes the last.
        best = wanted - 1 - np.where(possible, overlap, -1)[:, ::-1].argmax(axis=1)
        rows = np.flatnonzero(possible.any(axis=1))
        matches[rows, detection] = best[rows]
        left[rows, best[rows]] = reusable[best[rows]]
    return matches
