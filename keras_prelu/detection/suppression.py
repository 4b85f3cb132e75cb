"""Non-maximum suppression."""

import numpy as np

from keras_prelu.detection.boxes import iou

__all__ = ["suppress"]


def suppress(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, threshold: float
) -> np.ndarray:
    """Return the detections that are left by non-maximum suppression per class.

    The best detection is kept, and those of its class that overlap it by more than the
    threshold are dropped. This repeats with the best of the others. Of equal scores,
    the first counts as the better one.

    Args:
        boxes: Array of shape `(n, 4)`.
        scores: Array of shape `(n,)`.
        labels: Integer array of shape `(n,)`.
        threshold: Largest IoU of two detections of a class.

    Returns:
        An integer array: the indices of the detections, best first.

    Examples:
        >>> boxes = np.array([[0, 0, 9, 9], [0, 0, 9, 8], [0, 0, 8, 9]])
        >>> suppress(boxes, np.array([0.5, 0.9, 0.7]), np.array([0, 0, 1]), 0.3)
        array([1, 2])
    """
    kept = [np.zeros(0, int)]
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        order = of_class[np.argsort(-scores[of_class], kind="stable")]
        while len(order):
            best, order = order[:1], order[1:]
            kept.append(best)
            order = order[iou(boxes[best], boxes[order])[0] <= threshold]
    indices = np.sort(np.concatenate(kept))
    return indices[np.argsort(-scores[indices], kind="stable")]
