"""Arithmetic of boxes, in NumPy: it runs in the threads that read images.

A box is `(x1, y1, x2, y2)`: the positions of its edges in pixels of the image, so the
whole image is `(0, 0, width, height)` and the width of a box is `x2 - x1`. PASCAL VOC
counts pixels from 1 and includes the last one. Its box `(xmin, ymin, xmax, ymax)` is
`(xmin - 1, ymin - 1, xmax, ymax)` here, and has the same area and the same overlaps.
"""

import numpy as np

__all__ = [
    "LARGEST_FACTOR",
    "areas",
    "clip",
    "decode_deltas",
    "encode_deltas",
    "has_area",
    "intersections",
    "iou",
    "parts_inside",
]

# `decode_deltas` enlarges a side by at most this factor. A detector that has hardly
# learned returns deltas whose exponential would overflow.
LARGEST_FACTOR = 1000 / 16


def areas(boxes: np.ndarray) -> np.ndarray:
    """Return the area of each box.

    Args:
        boxes: Array of shape `(..., 4)`.
    """
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def intersections(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the area that each of N boxes has in common with each of M others.

    Args:
        boxes: Array of shape `(N, 4)`.
        others: Array of shape `(M, 4)`.

    Returns:
        A float64 array of shape `(N, M)`.
    """
    boxes = np.asarray(boxes, np.float64)[:, None]
    others = np.asarray(others, np.float64)[None]
    starts = np.maximum(boxes[..., :2], others[..., :2])
    ends = np.minimum(boxes[..., 2:], others[..., 2:])
    return np.prod(np.maximum(ends - starts, 0), axis=-1)


def iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the intersection over union of each of N boxes with each of M others.

    Args:
        boxes: Array of shape `(N, 4)`.
        others: Array of shape `(M, 4)`.

    Returns:
        A float64 array of shape `(N, M)`.

    Examples:
        >>> iou(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2], [2, 0, 4, 2]]))
        array([[0.33333333, 0.        ]])
    """
    common = intersections(boxes, others)
    both = areas(np.asarray(boxes, np.float64))[:, None]
    return common / (both + areas(np.asarray(others, np.float64)) - common)


def clip(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return boxes without what lies outside the image.

    Args:
        boxes: Array of shape `(..., 4)`.
        height: Height of the image.
        width: Width of the image.
    """
    return np.clip(boxes, 0, np.array([width, height] * 2, boxes.dtype))


def has_area(boxes: np.ndarray) -> np.ndarray:
    """Return whether each box has a positive width and height.

    Args:
        boxes: Array of shape `(..., 4)`.

    Examples:
        >>> has_area(np.array([[0, 0, 2, 2], [1, 0, 1, 2]])).tolist()
        [True, False]
    """
    return np.all(boxes[..., 2:] > boxes[..., :2], axis=-1)


def parts_inside(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return boxes without what lies outside the image, and without those outside.

    Args:
        boxes: Array of shape `(n, 4)`.
        height: Height of the image.
        width: Width of the image.

    Examples:
        >>> boxes = np.array([[-3, 2, 12, 30], [11, 0, 15, 5]])
        >>> parts_inside(boxes, height=20, width=10).tolist()
        [[0, 2, 10, 20]]
    """
    clipped = clip(boxes, height, width)
    return clipped[has_area(clipped)]


def _centers_and_sides(boxes):
    sides = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + sides / 2, sides


def encode_deltas(boxes: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return what moves boxes onto their targets, the inverse of `decode_deltas`.

    Args:
        boxes: Array of shape `(..., 4)`.
        targets: Array of the same shape.

    Returns:
        A float64 array of the same shape: the shift of the center to the right and down
        as fractions of the sides, and the logarithms of the factors of the sides.

    Reference:
        [Girshick et al., 2014](https://arxiv.org/abs/1311.2524), appendix C

    Examples:
        >>> encode_deltas(np.array([0.0, 0, 4, 4]), np.array([1.0, 0, 5, 4])).tolist()
        [0.25, 0.0, 0.0, 0.0]
    """
    centers, sides = _centers_and_sides(np.asarray(boxes, np.float64))
    new_centers, new_sides = _centers_and_sides(np.asarray(targets, np.float64))
    shift = (new_centers - centers) / sides
    return np.concatenate([shift, np.log(new_sides / sides)], axis=-1)


def decode_deltas(boxes: np.ndarray, deltas: np.ndarray) -> np.ndarray:
    """Return boxes moved and resized by deltas.

    Args:
        boxes: Array of shape `(..., 4)`.
        deltas: Array of the same shape, see `encode_deltas`. No side grows by more than
            a factor of 62.5.

    Returns:
        A float64 array of the same shape.

    Examples:
        >>> decode_deltas(np.array([0.0, 0, 4, 4]), np.array([0.25, 0, 0, 0])).tolist()
        [1.0, 0.0, 5.0, 4.0]
    """
    centers, sides = _centers_and_sides(np.asarray(boxes, np.float64))
    deltas = np.asarray(deltas, np.float64)
    centers = centers + deltas[..., :2] * sides
    sides = sides * np.exp(np.minimum(deltas[..., 2:], np.log(LARGEST_FACTOR)))
    return np.concatenate([centers - sides / 2, centers + sides / 2], axis=-1)
