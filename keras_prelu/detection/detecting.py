"""From images and proposals to detections."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from keras_prelu.detection.boxes import clip, decode_deltas
from keras_prelu.detection.detector import BACKGROUND, check_detector
from keras_prelu.detection.resizing import check_sides, padded, resize
from keras_prelu.detection.suppression import suppress

__all__ = ["Detections", "detect", "detections_of"]

# The number of regions is padded to a multiple of this: few different shapes, since
# every shape may have to be compiled.
_REGIONS = 64


class Detections(NamedTuple):
    """The objects that a detector has found in an image, best first.

    Attributes:
        boxes: A float32 array of shape `(n, 4)`, in pixels of the image.
        labels: An int32 array of shape `(n,)`, positions in the class names.
        scores: A float32 array of shape `(n,)`.
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray


def detect(
    detector: keras.Model,
    images: Sequence[np.ndarray] | np.ndarray,
    proposals: Sequence[np.ndarray],
    score_threshold: float = 0.05,
    nms_threshold: float = 0.3,
    max_detections: int = 100,
    shorter_side: int = 600,
    longest_side: int = 1000,
) -> list[Detections]:
    """Detect the objects in images.

    Each image is resized, and each of its proposals is scored and moved for every
    class. Of the detections with a high score, non-maximum suppression keeps the best
    of each class.

    Args:
        detector: A detector of `keras_prelu.detection.fast_rcnn`.
        images: List of uint8 arrays of shape `(height, width, 3)`, or one array of
            shape `(batch, height, width, 3)`.
        proposals: For each image an array of shape `(n, 4)`: boxes `(x1, y1, x2, y2)`
            in pixels of the image. An image without proposals has no detections.
        score_threshold: Lowest score of a detection. Defaults to 0.05.
        nms_threshold: Largest IoU of two detections of a class. Defaults to 0.3.
        max_detections: Largest number of detections in an image. Defaults to 100.
        shorter_side: The shorter side of the resized images. Pass what the detector was
            trained with. Defaults to 600.
        longest_side: Upper limit of their longer side. Defaults to 1000.

    Returns:
        A list with `Detections` for each image.

    Reference:
        [Girshick, 2015](https://arxiv.org/abs/1504.08083), section 3

    Examples:
        >>> net = keras_prelu.applications.ModelA(width=1 / 64, classes=5)
        >>> detector = keras_prelu.detection.fast_rcnn(net, classes=20)
        >>> image = np.zeros((48, 64, 3), "uint8")
        >>> boxes = np.array([[0, 0, 64, 48], [8, 8, 24, 40]])
        >>> [detections] = keras_prelu.detection.detect(
        ...     detector, [image], [boxes], score_threshold=0, shorter_side=96)
        >>> detections.boxes.shape[1], len(detections.labels) <= 100
        (4, True)
    """
    check_detector(detector)
    check_sides(shorter_side, longest_side)
    if len(images) != len(proposals):
        raise ValueError(
            "Argument `proposals` must have one array for each image. Received: "
            f"{len(proposals)} arrays for {len(images)} images"
        )
    for number, (image, boxes) in enumerate(zip(images, proposals, strict=True)):
        _check_image(number, image)
        _check_boxes(number, boxes)
    return [
        detections_of(
            _outputs(detector, image, boxes, shorter_side, longest_side),
            np.asarray(boxes),
            image.shape[:2],
            score_threshold,
            nms_threshold,
            max_detections,
        )
        for image, boxes in zip(images, proposals, strict=True)
    ]


def _check_image(number, image):
    shape, dtype = getattr(image, "shape", None), getattr(image, "dtype", None)
    if dtype != np.uint8 or len(shape) != 3 or shape[2] != 3:
        raise ValueError(
            "Argument `images` must be uint8 arrays of shape (height, width, 3). "
            f"Received: dtype {dtype} and shape {shape} for image {number}"
        )


def _check_boxes(number, boxes):
    boxes = np.asarray(boxes)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(
            "Argument `proposals` must be arrays of shape (n, 4). "
            f"Received: shape {boxes.shape} for image {number}"
        )
    is_full = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    if not is_full.all():
        raise ValueError(
            "Argument `proposals` must be boxes (x1, y1, x2, y2) with x1 < x2 and "
            f"y1 < y2. Received: the box {boxes[~is_full][0].tolist()} for image "
            f"{number}"
        )


def _outputs(detector, image, boxes, shorter_side, longest_side):
    """Return the scores and deltas of an image's regions."""
    resized, factors = resize(image, shorter_side, longest_side)
    count = len(boxes)
    regions = np.empty((-(-max(count, 1) // _REGIONS) * _REGIONS, 4), np.float32)
    regions[:] = 0, 0, resized.shape[1], resized.shape[0]
    regions[:count] = np.asarray(boxes) * factors
    outputs = detector.predict_on_batch(
        {"images": padded([resized]), "boxes": regions[None]}
    )
    return outputs["scores"][0, :count], outputs["deltas"][0, :count]


def detections_of(
    outputs: tuple[np.ndarray, np.ndarray],
    regions: np.ndarray,
    size: tuple[int, int],
    score_threshold: float = 0.05,
    nms_threshold: float = 0.3,
    max_detections: int = 100,
) -> Detections:
    """Make detections from a detector's outputs for an image.

    Args:
        outputs: Scores of shape `(n, 1 + classes)` and deltas of shape `(n, classes,
            4)`.
        regions: The boxes that the outputs belong to, of shape `(n, 4)`.
        size: Height and width of the image.
        score_threshold: See `detect`.
        nms_threshold: See `detect`.
        max_detections: See `detect`.
    """
    scores, deltas = outputs
    scores = scores[:, BACKGROUND + 1 :]
    rows, labels = np.nonzero(scores >= score_threshold)
    scores = scores[rows, labels].astype(np.float32)
    boxes = decode_deltas(regions[rows], deltas[rows, labels])
    boxes = clip(boxes, *size).astype(np.float32)
    is_inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    boxes, labels, scores = boxes[is_inside], labels[is_inside], scores[is_inside]
    kept = suppress(boxes, scores, labels, nms_threshold)[:max_detections]
    return Detections(boxes[kept], labels[kept].astype(np.int32), scores[kept])
