"""Checks of the proposals that several functions take as an argument."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_prelu.data.annotations import check_annotated

if TYPE_CHECKING:
    from keras_prelu.data import AnnotatedSource
    from keras_prelu.detection.region_proposals import Proposals

__all__ = ["as_regions", "checked_proposals"]


def checked_proposals(
    source: "AnnotatedSource", proposals: "Proposals | Sequence[np.ndarray]"
) -> list[np.ndarray]:
    """Return the proposals of all images as arrays of shape `(n, 4)`.

    Args:
        source: A `keras_prelu.data.AnnotatedSource`.
        proposals: Its proposals, one array or list of boxes per image.

    Raises:
        TypeError: If the images of the source have no boxes, or if the proposals have
            no length.
        ValueError: If the number of proposals or one of their shapes does not fit.
    """
    check_annotated(source)
    if not hasattr(proposals, "__len__"):
        raise TypeError(
            "Argument `proposals` must be a sequence with one array per image. "
            f"Received: proposals={type(proposals).__name__}"
        )
    if len(proposals) != len(source):
        raise ValueError(
            "Argument `proposals` must have one array per image of `source`, "
            f"{len(source)}. Received: proposals of length {len(proposals)}"
        )
    return [
        as_regions(boxes, f"image {index}") for index, boxes in enumerate(proposals)
    ]


def as_regions(boxes: Any, name: str) -> np.ndarray:
    """Return the proposals of an image as an array of shape `(n, 4)`.

    Args:
        boxes: An array or a list of boxes, which may be empty.
        name: Name of the image for messages.

    Examples:
        >>> as_regions([], "image 0").shape
        (0, 4)
    """
    boxes = np.asarray(boxes)
    boxes = boxes if boxes.size else boxes.reshape(-1, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(
            "Argument `proposals` must have arrays of shape (n, 4). "
            f"Received: shape {boxes.shape} for {name}"
        )
    return boxes
