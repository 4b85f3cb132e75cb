"""The result of an evaluation of detections."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_prelu.data.annotations import Objects
from keras_prelu.detection.average_precision import (
    AREAS,
    COCO_THRESHOLDS,
    Curve,
    area_under,
    at_11_points,
    at_101_points,
    coco_curves,
    voc_curve,
)
from keras_prelu.detection.detecting import Detections
from keras_prelu.tables import markdown

__all__ = ["DetectionEvaluation", "check_metric", "evaluate_detections"]

_VOC = {"voc07": at_11_points, "voc": area_under}
METRICS = (*_VOC, "coco")


@dataclasses.dataclass(frozen=True)
class DetectionEvaluation:
    """The result of `keras_prelu.detection.evaluate`, which prints as a table.

    Attributes:
        metric: `"voc07"`, `"voc"` or `"coco"`.
        mean_ap: The mean of the average precisions of all classes with objects.
        per_class: Dict from each class name to its average precision. It is NaN for a
            class without objects that are not difficult.
        curves: Dict from each class name to the `Curve` of its detections, at an
            intersection over union of 0.5, with `precision` and `recall`.
        coco: For `"coco"`: dict from `"AP"`, `"AP50"`, `"AP75"`, `"AP small"`, `"AP
            medium"` and `"AP large"` to numbers. NaN where there are no objects. Empty
            for the other metrics.
        objects: Dict from each class name to its number of objects, difficult ones left
            out.
        detections_of_class: Dict from each class name to its number of detections.
        images: Number of images that were evaluated.
        skipped: Number of images that could not be decoded or were too large.
        seconds: Duration, with reading.
        indices: Positions of the images in the source.
        detections: `Detections` of each image.
    """

    metric: str
    mean_ap: float
    per_class: dict[str, float]
    curves: dict[str, Curve] = dataclasses.field(repr=False)
    coco: dict[str, float]
    objects: dict[str, int]
    detections_of_class: dict[str, int]
    images: int
    skipped: int
    seconds: float
    indices: np.ndarray = dataclasses.field(repr=False)
    detections: list[Detections] = dataclasses.field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the results as a dict that `json` can write, with `None` for NaN.

        The duration, the curves and the detections are left out, so equal evaluations
        have equal dicts.
        """
        return {
            "metric": self.metric,
            "mean_ap": _or_none(self.mean_ap),
            "per_class": {name: _or_none(x) for name, x in self.per_class.items()},
            "coco": {name: _or_none(x) for name, x in self.coco.items()},
            "objects": dict(self.objects),
            "detections": dict(self.detections_of_class),
            "images": self.images,
            "skipped": self.skipped,
        }

    def __str__(self) -> str:
        rows = [
            (name, self.objects[name], self.detections_of_class[name], _percent(ap))
            for name, ap in self.per_class.items()
        ]
        totals = [sum(x.values()) for x in (self.objects, self.detections_of_class)]
        rows.append(("mean", *totals, _percent(self.mean_ap)))
        lines = [markdown(["class", "objects", "detections", "AP"], rows), ""]
        lines += [f"{name}: {_percent(value)}" for name, value in self.coco.items()]
        skipped = f" ({self.skipped} skipped)" if self.skipped else ""
        lines.append(f"{self.metric} on {self.images:,} images{skipped}")
        return "\n".join(lines)


def _or_none(value):
    return None if math.isnan(value) else value


def _percent(value):
    return "n/a" if math.isnan(value) else f"{value:.1%}"


def check_metric(metric: str) -> None:
    """Raise an error for an unknown metric.

    Args:
        metric: Any object.
    """
    if metric not in METRICS:
        raise ValueError(
            f"Argument `metric` must be one of {', '.join(map(repr, METRICS))}. "
            f"Received: metric={metric!r}"
        )


def evaluate_detections(
    detections: Sequence[Detections],
    objects: Sequence[Objects],
    class_names: Sequence[str],
    metric: str = "voc07",
) -> DetectionEvaluation:
    """Measure detections that were made before.

    Args:
        detections: `keras_prelu.detection.Detections` of each image. They may be empty.
        objects: `keras_prelu.data.Objects` of each image.
        class_names: The names of the classes.
        metric: See `keras_prelu.detection.evaluate`.

    Returns:
        A `DetectionEvaluation`, whose `seconds` is 0.

    Examples:
        >>> objects = Objects(
        ...     np.array([[0, 0, 9, 9]]), np.array([0]), np.array([False])
        ... )
        >>> detections = Detections(
        ...     np.array([[0, 0, 9, 8]]), np.array([0]), np.array([0.7])
        ... )
        >>> print(keras_prelu.detection.evaluate_detections(
        ...     [detections], [objects], ["cat", "dog"]
        ... ))
        | class | objects | detections | AP |
        | --- | --- | --- | --- |
        | cat | 1 | 1 | 100.0% |
        | dog | 0 | 0 | n/a |
        | mean | 1 | 1 | 100.0% |
        <BLANKLINE>
        voc07 on 1 images
    """
    check_metric(metric)
    if len(detections) != len(objects):
        raise ValueError(
            "Argument `detections` must have one item for each image of `objects`. "
            f"Received: {len(detections)} items for {len(objects)} images"
        )
    labels = range(len(class_names))
    coco: dict[str, float] = {}
    if metric == "coco":
        by_area = {
            area: [coco_curves(detections, objects, label, area) for label in labels]
            for area in AREAS
        }
        curves = [of_class[0] for of_class in by_area["all"]]
        precisions = {
            area: np.array([list(map(at_101_points, c)) for c in of_area])
            for area, of_area in by_area.items()
        }
        averages = [float(row.mean()) for row in precisions["all"]]
        coco = _coco_summary(precisions)
    else:
        curves = [voc_curve(detections, objects, label) for label in labels]
        averages = [_VOC[metric](curve) for curve in curves]
    return DetectionEvaluation(
        metric=metric,
        mean_ap=_mean(averages),
        per_class=dict(zip(class_names, averages, strict=True)),
        curves=dict(zip(class_names, curves, strict=True)),
        coco=coco,
        objects={n: c.objects for n, c in zip(class_names, curves, strict=True)},
        detections_of_class={
            name: sum(int((found.labels == label).sum()) for found in detections)
            for label, name in enumerate(class_names)
        },
        images=len(objects),
        skipped=0,
        seconds=0.0,
        indices=np.arange(len(objects)),
        detections=list(detections),
    )


def _coco_summary(precisions):
    """Return COCO's six numbers from an array of (classes, thresholds) per area."""
    overall = precisions["all"].T
    summary = {
        "AP": _mean(overall),
        "AP50": _mean(overall[0]),
        "AP75": _mean(overall[np.isclose(COCO_THRESHOLDS, 0.75)]),
    }
    for area in ("small", "medium", "large"):
        summary[f"AP {area}"] = _mean(precisions[area])
    return summary


def _mean(values):
    """Return the mean of the values that are not NaN, or NaN if there are none."""
    values = np.asarray(values, np.float64)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else math.nan
