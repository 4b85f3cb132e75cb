"""The ways to propose regions of an image: selective search, and a grid of windows."""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from keras_prelu.on_use import require

__all__ = ["METHODS", "grid", "searcher"]

METHODS = ("selective_search", "grid")

# Sides of the grid's windows, relative to the side of a square with the image's area:
# 858 windows in a square image, and about as many in others.
_SIDES = (0.2, 0.3, 0.45, 0.67, 1.0)
_ASPECT_RATIOS = (0.5, 1.0, 2.0)  # width / height, at equal area
_STEP = 1 / 3  # the largest step between windows, relative to their side


@contextlib.contextmanager
def searcher(method: str) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
    """Give a function from an image to regions, which threads may call.

    Args:
        method: One of `METHODS`.

    Yields:
        A function from a uint8 RGB array to boxes of shape `(n, 4)`, in any order.
    """
    if method == "grid":
        yield lambda pixels: grid(*pixels.shape[:2])
        return
    cv2, segmentation = require("detection", "cv2", "cv2.ximgproc.segmentation")

    def search(pixels):
        # OpenCV has blue first.
        search = segmentation.createSelectiveSearchSegmentation()
        search.setBaseImage(np.ascontiguousarray(pixels[..., ::-1]))
        search.switchToSelectiveSearchFast()
        corners, sides = np.split(search.process(), 2, axis=1)
        return np.concatenate([corners, corners + sides], axis=1)

    # Threads search several images, so OpenCV should not start threads for each.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield search
    finally:
        cv2.setNumThreads(threads)


def grid(height: int, width: int) -> np.ndarray:
    """Return windows of several sizes and aspect ratios on regular grids.

    The windows have areas of 4, 9, 20, 45 and 100 percent of the image's area, and are
    half as wide as high, square, or twice as wide as high. Sides that are longer than
    the image's are cut. Neighbors are at most a third of their side apart, so an object
    of 15 percent of the image's side or more is overlapped well by one of them.

    Args:
        height: Height of the image.
        width: Width of the image.

    Returns:
        A float64 array of shape `(n, 4)`, with 800 to 900 windows unless the image is
        much longer than wide. Some may occur twice.

    Examples:
        >>> grid(375, 500).shape
        (877, 4)
    """
    windows = []
    for side in _SIDES:
        for ratio in _ASPECT_RATIOS:
            sides = side * np.sqrt(height * width) * np.sqrt([ratio, 1 / ratio])
            sides = np.minimum(sides, [width, height])
            room = np.array([width, height]) - sides
            counts = np.ceil(np.round(room / (_STEP * sides), 6)).astype(int) + 1
            starts = [
                np.linspace(0, last, count)
                for last, count in zip(room, counts, strict=True)
            ]
            corners = np.stack(np.meshgrid(*starts), axis=-1).reshape(-1, 2)
            windows.append(np.concatenate([corners, corners + sides], axis=1))
    return np.concatenate(windows)
