"""The best classes of each image, and the errors that follow from them."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping

import numpy as np

__all__ = ["TOP", "Ranking", "errors", "misses", "rank"]

TOP = 5


def rank(scores: np.ndarray) -> np.ndarray:
    """Return the best classes of each row, at most five, best first."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :TOP].astype("int32")


def errors(best: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return the top-1 and the top-5 error.

    Args:
        best: Integer array of shape `(examples, at most 5)`, best class first.
        labels: Integer array of shape `(examples,)`.

    Returns:
        Two fractions of the examples.

    Examples:
        >>> errors(np.array([[1, 0], [2, 1]]), np.array([1, 1]))
        (0.5, 0.0)
    """
    top1, top5 = misses(best, labels).mean(axis=0)
    return float(top1), float(top5)


def misses(best: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return which images have a top-1 and which a top-5 error.

    Args:
        best: Integer array of shape `(examples, at most 5)`, best class first.
        labels: Integer array of shape `(examples,)`.

    Returns:
        A boolean array of shape `(examples, 2)`.

    Examples:
        >>> misses(np.array([[1, 0], [2, 1]]), np.array([1, 1])).tolist()
        [[False, False], [True, False]]
    """
    wrong = best != labels[:, None]
    return np.stack([wrong[:, 0], wrong.all(axis=1)], axis=1)


@dataclasses.dataclass
class Ranking:
    """The best classes of each image. No other scores are kept.

    Attributes:
        labels: Array of the images' classes, -1 for images without scores.
        best: Array of each image's best classes over all scales, or -1.
        best_scores: Array of their mean scores, or -1.
        by_scale: Dict from each scale to the best classes at this scale, or -1.
    """

    labels: np.ndarray
    best: np.ndarray
    best_scores: np.ndarray
    by_scale: dict[int, np.ndarray]

    @classmethod
    def empty(cls, images: int, classes: int, scales: Iterable[int]) -> "Ranking":
        """Return a ranking of images without scores."""
        shape = (images, min(TOP, classes))
        return cls(
            labels=np.full(images, -1),
            best=np.full(shape, -1, "int32"),
            best_scores=np.full(shape, -1, "float32"),
            by_scale={scale: np.full(shape, -1, "int32") for scale in scales},
        )

    def add(
        self,
        indices: np.ndarray,
        labels: np.ndarray,
        scores: Mapping[int, np.ndarray],
    ) -> None:
        """Add the scores of a batch.

        Args:
            indices: The images' positions.
            labels: Their classes.
            scores: Dict from each scale to an array of shape `(batch, classes)`.
        """
        for scale, of_scale in scores.items():
            self.by_scale[scale][indices] = rank(of_scale)
        mean = np.mean([*scores.values()], axis=0)
        best = rank(mean)
        self.labels[indices] = labels
        self.best[indices] = best
        self.best_scores[indices] = np.take_along_axis(mean, best, axis=1)

    def apply(self, function: Callable[[np.ndarray], np.ndarray]) -> "Ranking":
        """Return a ranking with a function applied to each array."""
        return Ranking(
            function(self.labels),
            function(self.best),
            function(self.best_scores),
            {scale: function(best) for scale, best in self.by_scale.items()},
        )
