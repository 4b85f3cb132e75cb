"""`detect`: the objects in images, from proposed boxes."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_prelu.detection.arguments import as_regions
from keras_prelu.detection.boxes import (
    clip,
    decode_deltas,
    has_area,
    parts_inside,
)
from keras_prelu.detection.detector import check_detector
from keras_prelu.detection.resizing import check_sides, padded, resize
from keras_prelu.detection.suppression import suppress
from keras_prelu.number_checks import check_fraction, check_integer

__all__ = ["Detecting", "DetectionOptions", "Detections", "checked_input", "detect"]

# The number of regions of an image is rounded up to a multiple of this, because JAX
# compiles the detector for each number.
_MULTIPLE = 64


class DetectionOptions(NamedTuple):
    """The options of `detect`, which describes them."""

    score_threshold: float = 0.05
    nms_threshold: float = 0.3
    max_detections: int = 100
    shorter_side: int = 600
    longest_side: int = 1000

    def check(self) -> None:
        """Raise an error for values that `detect` does not take."""
        check_sides(self.shorter_side, self.longest_side)
        for name in ("score_threshold", "nms_threshold"):
            check_fraction(name, getattr(self, name))
        check_integer("max_detections", self.max_detections, 1)


class Detections(NamedTuple):
    """The objects that a detector finds in an image, best first.

    Attributes:
        boxes: A float32 array of shape `(n, 4)`, boxes `(x1, y1, x2, y2)` in pixels of
            the image.
        labels: An int32 array of shape `(n,)`, positions in `class_names`.
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

    Each image is resized, and the detector scores its proposed boxes and moves them,
    for each class, onto the objects. Boxes are clipped to the image. For each class,
    the boxes that overlap a better one are removed.

    With TensorFlow, each call compiles the detector. So pass many images in one call.

    Args:
        detector: A detector that `keras_prelu.detection.fast_rcnn` returns.
        images: uint8 arrays of shape `(height, width, 3)`, or an array of several.
        proposals: For each image an array of shape `(n, 4)`: proposed boxes
            `(x1, y1, x2, y2)` in pixels of the image. They are clipped to the image,
            and those that lie outside are left out. An image without proposals has no
            detections.
        score_threshold: Only detections with larger scores are returned. Defaults to
            0.05.
        nms_threshold: A box is removed if its intersection over union with a better box
            of its class is larger. Defaults to 0.3.
        max_detections: Number of detections per image at most, over all classes.
            Defaults to 100.
        shorter_side: The shorter side of the resized images. Defaults to 600.
        longest_side: Upper limit of their longer side, which takes precedence. Defaults
            to 1000.

    Returns:
        A list of `Detections`, one for each image. Equal scores are in the order of
        classes, then of proposals.

    Examples:
        >>> model = keras_prelu.applications.ModelA(width=1 / 64, classes=5)
        >>> detector = keras_prelu.detection.fast_rcnn(model, classes=2)
        >>> image, boxes = np.zeros((48, 64, 3), "uint8"), [[0, 0, 40, 40]]
        >>> [detections] = keras_prelu.detection.detect(
        ...     detector, [image], [boxes], shorter_side=96
        ... )
        >>> detections.boxes.shape, detections.labels.shape
        ((2, 4), (2,))

    Reference:
        [Girshick, 2015](https://arxiv.org/abs/1504.08083), section 3
    """
    if len(images) != len(proposals):
        raise ValueError(
            "Argument `proposals` must have one array for each image. "
            f"Received: {len(proposals)} arrays for {len(images)} images"
        )
    options = DetectionOptions(
        score_threshold, nms_threshold, max_detections, shorter_side, longest_side
    )
    detecting = Detecting(detector, options)
    checked = [
        checked_input(image, boxes, f"image {number}")
        for number, (image, boxes) in enumerate(zip(images, proposals, strict=True))
    ]
    return [detecting(image, boxes) for image, boxes in checked]


class Detecting:
    """The steps of `detect` for one image after the other.

    Args:
        detector: See `detect`.
        options: The `DetectionOptions`.
    """

    def __init__(self, detector: keras.Model, options: DetectionOptions) -> None:
        check_detector(detector)
        options.check()
        self._run = _runner(detector)
        self._options = options

    def __call__(self, image: np.ndarray, proposals: np.ndarray) -> Detections:
        """Return the detections in an image.

        Args:
            image: Image of `checked_input`.
            proposals: Boxes of `checked_input`.
        """
        if not len(proposals):
            return _best([], 1)
        scores, deltas = self._outputs(image, proposals)
        # Deltas are fractions of the sides of a box, so they hold for the image that
        # was not resized as well.
        boxes = decode_deltas(proposals[:, None], deltas)
        boxes = clip(boxes, *image.shape[:2]).astype(np.float32)
        usable = has_area(boxes) & (scores > self._options.score_threshold)
        of_classes = []
        for label in range(scores.shape[1]):
            rows = np.flatnonzero(usable[:, label])
            rows = rows[
                suppress(
                    boxes[rows, label],
                    scores[rows, label],
                    self._options.nms_threshold,
                    self._options.max_detections,
                )
            ]
            of_classes.append(
                Detections(
                    boxes[rows, label],
                    np.full(len(rows), label, np.int32),
                    scores[rows, label],
                )
            )
        return _best(of_classes, self._options.max_detections)

    def _outputs(self, image, proposals):
        """Return the scores and deltas of each proposal, without the background."""
        options = self._options
        resized, factors = resize(image, options.shorter_side, options.longest_side)
        images = padded([resized])
        count = -(-len(proposals) // _MULTIPLE) * _MULTIPLE
        height, width = resized.shape[:2]
        boxes = np.tile(np.float32([0, 0, width, height]), (1, count, 1))
        boxes[0, : len(proposals)] = proposals * factors
        scores, deltas = (
            output[0, : len(proposals)] for output in self._run(images, boxes)
        )
        if not (np.isfinite(scores).all() and np.isfinite(deltas).all()):
            raise ValueError(
                "Argument `detector` must be a model with finite outputs. Received: a "
                "model with NaN or infinite outputs; check its weights"
            )
        return scores[:, 1:], deltas


def checked_input(image: Any, proposals: Any, name: str) -> tuple:
    """Return an image and its proposals, clipped to the image.

    Args:
        image: An image for `detect`.
        proposals: The boxes proposed in it.
        name: Name of the image for messages.

    Raises:
        ValueError: If the image has another type or shape, or if a box is not finite or
            has no area.
    """
    if (
        not isinstance(image, np.ndarray)
        or image.dtype != np.uint8
        or image.ndim != 3
        or image.shape[2] != 3
        or not image.size
    ):
        kind = type(image).__name__
        if isinstance(image, np.ndarray):
            kind = f"{image.dtype} of shape {image.shape}"
        raise ValueError(
            "Argument `images` must be uint8 arrays of shape (height, width, 3). "
            f"Received: {kind} as {name}"
        )
    boxes = as_regions(np.asarray(proposals, np.float32), name)
    usable = has_area(boxes) & np.isfinite(boxes).all(axis=1)
    if not usable.all():
        raise ValueError(
            "Argument `proposals` must have finite boxes (x1, y1, x2, y2) with x1 < x2 "
            f"and y1 < y2. Received: {boxes[~usable][0].tolist()} for {name}"
        )
    return image, parts_inside(boxes, *image.shape[:2])


def _best(of_classes, count):
    """Return the best detections of all classes."""
    empty = Detections(
        np.zeros((0, 4), np.float32), np.zeros(0, np.int32), np.zeros(0, np.float32)
    )
    columns = zip(empty, *of_classes, strict=True)
    together = Detections(*(np.concatenate(column) for column in columns))
    order = np.argsort(-together.scores, kind="stable")[:count]
    return Detections(*(values[order] for values in together))


def _runner(detector: keras.Model) -> Callable[[np.ndarray, np.ndarray], tuple]:
    """Return a function from images and boxes to scores and deltas, all in NumPy."""
    if keras.backend.backend() == "tensorflow":
        run = _for_all_sizes(detector)
    else:
        run = detector.predict_on_batch

    def outputs(images, boxes):
        result = run({"images": images, "boxes": boxes})
        return tuple(
            keras.ops.convert_to_numpy(result[name]) for name in ("scores", "deltas")
        )

    return outputs


def _for_all_sizes(detector):
    """Return a function that is compiled once, unlike Keras's `predict`."""
    import tensorflow as tf

    return tf.function(
        lambda inputs: detector(inputs, training=False),
        input_signature=[
            {
                "images": tf.TensorSpec((None, None, None, 3), tf.uint8),
                "boxes": tf.TensorSpec((None, None, 4), tf.float32),
            }
        ],
    )
