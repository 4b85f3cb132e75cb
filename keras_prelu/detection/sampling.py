"""The regions of an image that a detector is trained on, and their targets."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from keras_prelu.data.annotations import Objects
from keras_prelu.detection.arguments import checked_proposals
from keras_prelu.detection.boxes import encode_deltas, iou
from keras_prelu.detection.detector import BACKGROUND

if TYPE_CHECKING:
    from keras_prelu.data import AnnotatedSource

__all__ = ["Sample", "candidates", "delta_statistics", "sample"]

_FOREGROUND_IOU = 0.5  # at least, to be an example of the object's class
_BACKGROUND_IOU = 0.1  # at least, to be a hard example of the background
_FOREGROUND_FRACTION = 0.25  # of the regions of an image, at most


class Sample(NamedTuple):
    """Regions and their targets.

    Attributes:
        boxes: A float32 array of shape `(regions, 4)`.
        labels: An int32 array: 0 for the background, 1 + c for class c.
        deltas: A float32 array of shape `(regions, 4)`: what moves a box onto its
            object, or zeros for the background.
    """

    boxes: np.ndarray
    labels: np.ndarray
    deltas: np.ndarray


class Candidates(NamedTuple):
    """The regions that an image's sample is drawn from.

    Attributes:
        boxes: The objects' own boxes and the proposed ones.
        overlaps: The largest IoU of each box with an object, 0 without objects.
        nearest: The object with this IoU.
        usable: Whether a box may be sampled: not if it overlaps a difficult object.
    """

    boxes: np.ndarray
    overlaps: np.ndarray
    nearest: np.ndarray
    usable: np.ndarray


def candidates(regions: np.ndarray, objects: Objects) -> Candidates:
    """Return the candidates of an image.

    Difficult objects are no examples of their class. Regions that overlap one by at
    least 0.5 are no examples of the background either, and are left out.

    Args:
        regions: Array of shape `(n, 4)`, the proposals.
        objects: The image's objects.
    """
    is_easy = ~objects.difficult
    boxes = np.concatenate([objects.boxes[is_easy], regions]).astype(np.float64)
    overlaps = iou(boxes, objects.boxes)
    of_easy = np.where(is_easy, overlaps, 0)
    difficult = np.where(is_easy, 0, overlaps).max(axis=1, initial=0)
    best = of_easy.max(axis=1, initial=0)
    has_objects = len(objects.labels) > 0
    nearest = of_easy.argmax(axis=1) if has_objects else np.zeros(len(boxes), int)
    usable = (best >= _FOREGROUND_IOU) | (difficult < _FOREGROUND_IOU)
    # An image of difficult objects only may have no other regions.
    return Candidates(boxes, best, nearest, usable if usable.any() else ~usable)


def sample(
    of_image: Candidates, objects: Objects, order: np.ndarray, count: int
) -> Sample:
    """Choose regions of an image for training.

    At most a quarter are foreground: regions that overlap an object by at least 0.5.
    The others are background, first regions that overlap an object by 0.1 to 0.5. If
    there are not enough, those with less overlap follow, then the choice repeats. So
    the sample always has `count` regions.

    Args:
        of_image: The candidates.
        objects: The image's objects.
        order: A permutation of the candidates. Earlier ones are preferred.
        count: Number of regions to choose.

    Reference:
        [Girshick, 2015](https://arxiv.org/abs/1504.08083), section 2.3
    """
    order = order[of_image.usable[order]]
    overlaps = of_image.overlaps[order]
    is_foreground = overlaps >= _FOREGROUND_IOU
    is_hard = (overlaps >= _BACKGROUND_IOU) & ~is_foreground
    is_easy = overlaps < _BACKGROUND_IOU
    background = np.concatenate([order[is_hard], order[is_easy]])
    foreground = order[is_foreground]
    if len(background):
        foreground = foreground[: int(_FOREGROUND_FRACTION * count)]
        background = np.resize(background, count - len(foreground))
    chosen = np.resize(np.concatenate([foreground, background]), count)
    return _with_targets(of_image, objects, chosen)


def _with_targets(of_image, objects, chosen):
    boxes, nearest = of_image.boxes[chosen], of_image.nearest[chosen]
    is_foreground = of_image.overlaps[chosen] >= _FOREGROUND_IOU
    labels = np.full(len(chosen), BACKGROUND, np.int32)
    deltas = np.zeros((len(chosen), 4), np.float32)
    nearest = nearest[is_foreground]
    labels[is_foreground] = 1 + objects.labels[nearest]
    deltas[is_foreground] = encode_deltas(boxes[is_foreground], objects.boxes[nearest])
    return Sample(boxes.astype(np.float32), labels, deltas)


def delta_statistics(
    source: "AnnotatedSource", proposals: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the mean and standard deviation of the deltas that a detector learns.

    `keras_prelu.detection.fast_rcnn` normalizes its deltas by them, so that the four
    have equal weights in the loss.

    Args:
        source: The training data, a `keras_prelu.data.AnnotatedSource`.
        proposals: Their proposals, one array of shape `(n, 4)` per image.

    Returns:
        A tuple `(mean, std)` of float64 arrays of four numbers.

    Raises:
        ValueError: If no region overlaps an object.

    Reference:
        [Girshick, 2015](https://arxiv.org/abs/1504.08083), section 2.3
    """
    targets = [np.zeros((0, 4))]
    for index, regions in enumerate(checked_proposals(source, proposals)):
        objects = source.objects(index)
        of_image = candidates(regions, objects)
        chosen = np.flatnonzero(of_image.overlaps >= _FOREGROUND_IOU)
        targets.append(_with_targets(of_image, objects, chosen).deltas)
    deltas = np.concatenate(targets)
    if len(deltas) < 2:
        raise ValueError(
            "Argument `source` must have objects to learn from. "
            f"Received: {len(source)} images with {len(deltas)} regions on objects"
        )
    return deltas.mean(axis=0), np.maximum(deltas.std(axis=0), 1e-3)
