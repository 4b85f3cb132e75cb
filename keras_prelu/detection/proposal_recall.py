"""How well proposed regions cover the objects of a source."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_prelu.detection.arguments import checked_proposals
from keras_prelu.detection.boxes import iou
from keras_prelu.detection.detecting import Detections
from keras_prelu.number_checks import is_real
from keras_prelu.tables import markdown

if TYPE_CHECKING:
    from keras_prelu.data import AnnotatedSource
    from keras_prelu.detection.region_proposals import Proposals

__all__ = ["Recall", "perfect_detections", "recall"]

_FOUND_IOU = 0.5  # PASCAL VOC's: an object is found by more than this


@dataclasses.dataclass(frozen=True)
class Recall:
    """The result of `keras_prelu.detection.recall`, which prints as a table.

    Attributes:
        overall: Dict from each threshold to the fraction of all objects.
        per_class: Dict from each class name to such a dict. The fractions of a class
            without objects are NaN.
        objects: Dict from each class name to its number of objects.
        regions_per_image: Mean number of regions of an image.
    """

    overall: dict[float, float]
    per_class: dict[str, dict[float, float]]
    objects: dict[str, int]
    regions_per_image: float

    def __str__(self) -> str:
        header = ["class", "objects", *(f"IoU ≥ {x:g}" for x in self.overall)]
        rows = [
            (name, self.objects[name], *map(_percent, fractions.values()))
            for name, fractions in self.per_class.items()
        ]
        total = sum(self.objects.values())
        rows.append(("all", total, *map(_percent, self.overall.values())))
        mean = f"{self.regions_per_image:.1f} regions per image"
        return f"{markdown(header, rows)}\n\n{mean}"


def _percent(fraction):
    return "n/a" if np.isnan(fraction) else f"{fraction:.1%}"


def recall(
    proposals: "Proposals | Sequence[np.ndarray]",
    source: "AnnotatedSource",
    thresholds: Sequence[float] = (0.5, 0.7),
) -> Recall:
    """Compute the fraction of the objects that proposed regions cover.

    An object is covered if its intersection over union with a region reaches the
    threshold. Difficult objects do not count. Objects in images without regions are not
    covered.

    Args:
        proposals: The regions, one array of shape `(n, 4)` per image.
        source: A `keras_prelu.data.AnnotatedSource`.
        thresholds: Values of the intersection over union. Defaults to 0.5 and 0.7.

    Returns:
        A `Recall`.
    """
    thresholds = _checked(thresholds)
    labels, best = _best_overlaps(proposals, source)
    names = source.class_names

    def fractions(overlaps):
        return {
            threshold: float((overlaps >= threshold).mean())
            if len(overlaps)
            else float("nan")
            for threshold in thresholds
        }

    of_class = {name: best[labels == label] for label, name in enumerate(names)}
    return Recall(
        fractions(best),
        {name: fractions(overlaps) for name, overlaps in of_class.items()},
        {name: len(overlaps) for name, overlaps in of_class.items()},
        sum(len(regions) for regions in proposals) / max(len(source), 1),
    )


def _checked(thresholds):
    """Return thresholds as a list, or refuse those that no overlap can have."""
    values = list(thresholds) if np.iterable(thresholds) else [None]
    if not all(is_real(value) and 0 <= value <= 1 for value in values):
        raise ValueError(
            "Argument `thresholds` must be numbers in [0, 1]. "
            f"Received: thresholds={thresholds!r}"
        )
    return values


def perfect_detections(
    proposals: "Proposals | Sequence[np.ndarray]", source: "AnnotatedSource"
) -> list[Detections]:
    """Return the detections of a detector that classifies all proposals correctly.

    Their average precision is an upper limit for a detector that does not move boxes.
    Each object is found by the region that overlaps it most, if the intersection over
    union is more than 0.5. The score is the intersection over union.

    Args:
        proposals: The regions, one array of shape `(n, 4)` per image.
        source: A `keras_prelu.data.AnnotatedSource`.

    Examples:
        >>> class Cat(keras_prelu.data.AnnotatedSource):
        ...     def __len__(self):
        ...         return 1
        ...     def objects(self, index):
        ...         return keras_prelu.data.Objects(
        ...             np.array([[0, 0, 9, 9]]), np.array([0]), np.array([False]))
        >>> regions = [np.array([[0, 0, 9, 8], [0, 0, 9, 3]])]
        >>> [detections] = perfect_detections(regions, Cat(["cat"]))
        >>> detections.boxes.tolist(), detections.labels.tolist()
        ([[0.0, 0.0, 9.0, 8.0]], [0])
    """
    found = []
    for regions, boxes, labels in _pairs(proposals, source):
        overlaps = iou(boxes, regions)
        best = overlaps.max(axis=1, initial=0)
        order = np.argsort(-best, kind="stable")
        order = order[best[order] > _FOUND_IOU]
        nearest = overlaps[order].argmax(axis=1) if len(regions) else order
        found.append(
            Detections(
                np.asarray(regions, np.float32)[nearest],
                labels[order].astype(np.int32),
                best[order].astype(np.float32),
            )
        )
    return found


def _pairs(proposals, source):
    """Yield the regions of each image, and the boxes and labels of its objects."""
    for index, regions in enumerate(checked_proposals(source, proposals)):
        objects = source.objects(index)
        counts = ~objects.difficult
        yield regions, objects.boxes[counts], objects.labels[counts]


def _best_overlaps(proposals, source):
    """Return the label of each object, and its largest overlap with a region."""
    labels, best = [np.zeros(0, int)], [np.zeros(0)]
    for regions, boxes, of_image in _pairs(proposals, source):
        labels.append(of_image)
        best.append(iou(boxes, regions).max(axis=1, initial=0))
    return np.concatenate(labels), np.concatenate(best)
