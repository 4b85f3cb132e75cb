"""The errors that an evaluation measures, and tables of several."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_prelu.evaluation.ranking import TOP, errors
from keras_prelu.tables import markdown

if TYPE_CHECKING:
    from keras_prelu.data.sources import Source

__all__ = ["ErrorSummary", "Evaluation", "table"]


@dataclasses.dataclass(frozen=True)
class ErrorSummary:
    """The errors of classifiers on a set of images.

    Attributes:
        protocol: `"center"`, `"ten_view"` or `"dense"`.
        scales: Shorter sides that scores were averaged over.
        flip: Whether scores were averaged over mirror images too.
        models: Number of models that scores were averaged over.
        classes: Number of the models' classes.
        top1: Fraction of the images whose class is not the best one.
        top5: Fraction of the images whose class is not among the five best. Always 0
            for at most five classes, and then not shown in tables and summaries.
        examples: Number of images that were evaluated.
        skipped: Number of images that could not be decoded or were too large.
        seconds: Duration, with reading.
        by_scale: Dict from each scale to `(top1, top5)` at this scale alone.
    """

    protocol: str
    scales: tuple[int, ...]
    flip: bool
    models: int
    classes: int
    top1: float
    top5: float
    examples: int
    skipped: int
    seconds: float
    by_scale: dict[int, tuple[float, float]]

    @property
    def images_per_second(self) -> float:
        """Images per second, each with all views, scales and models."""
        return self.examples / self.seconds

    @property
    def has_top5(self) -> bool:
        """Whether there are more than five classes, so that top-5 errors can occur."""
        return self.classes > TOP

    def summary(self) -> dict[str, Any]:
        """Return the results as a dict that `json` can write.

        The duration is left out, so equal evaluations have equal summaries. Top-5
        errors are `None` for at most five classes.
        """
        return {
            "protocol": self.protocol,
            "scales": list(self.scales),
            "flip": self.flip,
            "models": self.models,
            "examples": self.examples,
            "skipped": self.skipped,
            **self._errors(self.top1, self.top5),
            "by_scale": {
                str(scale): self._errors(*pair) for scale, pair in self.by_scale.items()
            },
        }

    def _errors(self, top1, top5):
        return {"top1_error": top1, "top5_error": top5 if self.has_top5 else None}

    def __str__(self) -> str:
        top5 = f", top-5 error {self.top5:.2%}" if self.has_top5 else ""
        skipped = f" ({self.skipped} skipped)" if self.skipped else ""
        scales = "scale" if len(self.scales) == 1 else "scales"
        mirrored = "with" if self.flip else "without"
        models = f", average of {self.models} models" if self.models > 1 else ""
        return (
            f"top-1 error {self.top1:.2%}{top5} on {self.examples:,} images{skipped}: "
            f"{self.protocol}, {scales} {', '.join(map(str, self.scales))}, {mirrored} "
            f"mirror images{models}, {self.images_per_second:.1f} images/s"
        )


@dataclasses.dataclass(frozen=True)
class Evaluation(ErrorSummary):
    """The result of `keras_prelu.evaluation.evaluate`.

    It has the attributes of `ErrorSummary`, and the best classes of each image.

    Attributes:
        source: The source of the images.
        indices: Positions of the images in the source.
        labels: Classes of the images.
        best: Best classes of each image, at most five, best first.
        best_scores: Mean scores of the best classes.
    """

    source: "Source" = dataclasses.field(repr=False)
    indices: np.ndarray = dataclasses.field(repr=False)
    labels: np.ndarray = dataclasses.field(repr=False)
    best: np.ndarray = dataclasses.field(repr=False)
    best_scores: np.ndarray = dataclasses.field(repr=False)

    @property
    def class_names(self) -> list[str]:
        """Names of the source's classes."""
        return self.source.class_names

    def per_class(self) -> list[tuple[str, int, float, float]]:
        """Return `(name, examples, top1, top5)` for each class.

        The errors of a class without images are NaN.
        """
        rows = []
        for label, name in enumerate(self.class_names):
            of_class = self.labels == label
            count = int(of_class.sum())
            top1 = top5 = float("nan")
            if count:
                top1, top5 = errors(self.best[of_class], self.labels[of_class])
            rows.append((name, count, top1, top5))
        return rows

    def confusion(self) -> np.ndarray:
        """Return how often each class (row) was classified as each class (column)."""
        classes = max(len(self.class_names), int(self.best.max()) + 1)
        counts = np.zeros((classes, classes), int)
        np.add.at(counts, (self.labels, self.best[:, 0]), 1)
        return counts


def table(evaluations: Sequence[ErrorSummary]) -> str:
    """Return a Markdown table of errors in percent, like Table 4 of the paper.

    Args:
        evaluations: `Evaluation`s or `ErrorSummary`s at the same scales, at least one.
            Each is a column of top-1 / top-5 errors. The rows are the scales and, if
            there are several, their average.

    Returns:
        A string. Top-5 errors are "n/a" for at most five classes.

    Examples:
        >>> from types import SimpleNamespace
        >>> evaluation = SimpleNamespace(
        ...     protocol="dense", by_scale={256: (0.2581, 0.0808)}, has_top5=True
        ... )
        >>> print(keras_prelu.evaluation.table([evaluation]))
        | scale | dense |
        | --- | --- |
        | 256 | 25.81 / 8.08 |
    """
    if not isinstance(evaluations, Sequence) or not evaluations:
        raise ValueError(
            "Argument `evaluations` must be a list of at least one evaluation. "
            f"Received: evaluations={evaluations!r}"
        )
    scales = [sorted(x.by_scale) for x in evaluations]
    if any(others != scales[0] for others in scales):
        raise ValueError(
            "Argument `evaluations` must be evaluations at the same scales. "
            f"Received: evaluations at {', '.join(map(str, scales))}"
        )
    rows = [
        [str(scale), *(_cell(x, *x.by_scale[scale]) for x in evaluations)]
        for scale in evaluations[0].by_scale
    ]
    if len(rows) > 1:
        rows.append(["multi-scale", *(_cell(x, x.top1, x.top5) for x in evaluations)])
    return markdown(["scale", *(x.protocol for x in evaluations)], rows)


def _cell(evaluation, top1, top5):
    shown = f"{100 * top5:.2f}" if evaluation.has_top5 else "n/a"
    return f"{100 * top1:.2f} / {shown}"
