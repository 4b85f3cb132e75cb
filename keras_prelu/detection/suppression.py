"""Non-maximum suppression, in NumPy."""

import numpy as np

from keras_prelu.detection.boxes import iou

__all__ = ["suppress"]


def suppress(
    boxes: np.ndarray, scores: np.ndarray, threshold: float, most: int | None = None
) -> np.ndarray:
    """Return the positions of the boxes that greedy suppression keeps.

    The best box is kept, and all boxes that overlap it by more than the threshold are
    removed; then the best of the others is kept, and so on. Of equal scores, the first
    is the best. Call this for each class, because objects of different classes may
    overlap.

    Args:
        boxes: Array of shape `(n, 4)`.
        scores: Array of shape `(n,)`.
        threshold: Boxes are removed if their intersection over union with a kept box
            is strictly greater.
        most: Number of boxes to keep at most. Defaults to all.

    Returns:
        An integer array, best box first.

    Examples:
        >>> boxes = np.array([[0, 0, 4, 4], [1, 0, 5, 4], [8, 0, 12, 4]])
        >>> suppress(boxes, np.array([0.6, 0.9, 0.3]), threshold=0.5).tolist()
        [1, 2]
    """
    candidates = np.argsort(-scores, kind="stable")
    boxes = np.asarray(boxes, np.float64)[candidates]
    kept: list[int] = []
    while len(candidates) and (most is None or len(kept) < most):
        kept.append(candidates[0])
        apart = iou(boxes[:1], boxes[1:])[0] <= threshold
        candidates, boxes = candidates[1:][apart], boxes[1:][apart]
    return np.array(kept, np.int64)
