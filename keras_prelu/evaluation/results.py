"""What an evaluation finds out."""

import dataclasses

import numpy as np

from keras_prelu.tables import markdown

TOP = 5


def rank(scores):
    """Returns the best classes of each row, at most five, best first."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :TOP].astype("int32")


def errors(best, labels):
    """Returns top-1 and top-5 error.

    Args:
        best: Integer array of shape `(examples, at most 5)`, best class first.
        labels: Integer array of shape `(examples,)`.

    Returns:
        Two floats, shares of the examples.

    Examples:
        >>> best, labels = np.array([[1, 0], [2, 1]]), np.array([1, 1])
        >>> keras_prelu.evaluation.results.errors(best, labels)
        (0.5, 0.0)
    """
    hits = best == labels[:, None]
    return 1 - float(hits[:, 0].mean()), 1 - float(hits.any(axis=1).mean())


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`.

    Attributes:
        protocol: `"center"`, `"ten_view"` or `"dense"`.
        scales: The shorter sides over which scores were averaged.
        flip: Whether they were averaged over mirrored pictures too.
        models: How many models they were averaged over.
        top1: Share of the pictures whose class is not the best guess.
        top5: Share of the pictures whose class is not among the five best.
        examples: How many pictures were evaluated.
        skipped: How many could not be decoded.
        seconds: How long it took, reading included.
        by_scale: A dict from each scale to `(top1, top5)` with that scale alone.
        source: The source of the pictures.
        indices: Where in the source each picture is.
        labels: The class of each picture.
        best: The best classes of each picture, at most five, best first.
        best_scores: Their mean scores.
    """

    protocol: str
    scales: tuple
    flip: bool
    models: int
    top1: float
    top5: float
    examples: int
    skipped: int
    seconds: float
    by_scale: dict
    source: object = dataclasses.field(repr=False)
    indices: np.ndarray = dataclasses.field(repr=False)
    labels: np.ndarray = dataclasses.field(repr=False)
    best: np.ndarray = dataclasses.field(repr=False)
    best_scores: np.ndarray = dataclasses.field(repr=False)

    @property
    def class_names(self):
        """The names of the classes."""
        return self.source.class_names

    @property
    def images_per_second(self):
        """Pictures in a second, all views, scales and models of each."""
        return self.examples / self.seconds

    def per_class(self):
        """Returns a list of `(name, examples, top1, top5)`, one for each class.

        The errors of a class without pictures are NaN.
        """
        rows = []
        for label, name in enumerate(self.class_names):
            of_class = self.labels == label
            count = int(of_class.sum())
            pair = (float("nan"),) * 2
            if count:
                pair = errors(self.best[of_class], self.labels[of_class])
            rows.append((name, count, *pair))
        return rows

    def confusion(self):
        """Returns how often each class (row) was taken for each class (column)."""
        classes = max(len(self.class_names), int(self.best.max()) + 1)
        counts = np.zeros((classes, classes), int)
        np.add.at(counts, (self.labels, self.best[:, 0]), 1)
        return counts

    def summary(self):
        """Returns the figures as a dict that `json` can write.

        Without the time: the same evaluation has the same summary.
        """
        return {
            "protocol": self.protocol,
            "scales": list(self.scales),
            "flip": self.flip,
            "models": self.models,
            "examples": self.examples,
            "skipped": self.skipped,
            "top1_error": self.top1,
            "top5_error": self.top5,
            "by_scale": {
                str(scale): {"top1_error": top1, "top5_error": top5}
                for scale, (top1, top5) in self.by_scale.items()
            },
        }

    def __str__(self):
        skipped = f" ({self.skipped} skipped)" if self.skipped else ""
        return (
            f"top-1 error {self.top1:.2%}, top-5 error {self.top5:.2%} on "
            f"{self.examples:,} pictures{skipped}: {self.protocol}, scales "
            f"{', '.join(map(str, self.scales))}, flip {self.flip}, "
            f"{self.models} model(s), {self.images_per_second:.1f} images/s"
        )


def table(evaluations):
    """Returns a Markdown table like the paper's Table 4, of top-1 / top-5 errors.

    Args:
        evaluations: Non-empty list of `Evaluation`s at the same scales: the columns.
            The rows are the scales, and their average if there are several.

    Returns:
        A string.

    Examples:
        >>> from types import SimpleNamespace
        >>> found = SimpleNamespace(protocol="dense", by_scale={256: (0.2581, 0.0808)})
        >>> print(keras_prelu.evaluation.table([found]))
        | scale | dense |
        | --- | --- |
        | 256 | 25.81 / 8.08 |
    """
    rows = []
    for scale in evaluations[0].by_scale:
        rows.append(
            [str(scale), *(_pair(found.by_scale[scale]) for found in evaluations)]
        )
    if len(rows) > 1:
        pairs = [_pair((found.top1, found.top5)) for found in evaluations]
        rows.append(["multi-scale", *pairs])
    return markdown(["scale", *(found.protocol for found in evaluations)], rows)


def _pair(pair):
    return " / ".join(f"{100 * error:.2f}" for error in pair)
