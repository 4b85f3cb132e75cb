"""The signature of a SavedModel that detects objects."""

import pathlib

import keras
import numpy as np
import tensorflow as tf

from keras_prelu.detection.boxes import LARGEST_FACTOR
from keras_prelu.detection.detecting import DetectionOptions
from keras_prelu.detection.resizing import FILL, MULTIPLE
from keras_prelu.export import image_ops
from keras_prelu.export.signatures import all_decoded, label_table, one_by_one
from keras_prelu.types import Tensor

__all__ = ["ServedDetector"]


class ServedDetector(tf.Module):
    """A detector as a TensorFlow function, without any Keras object.

    Args:
        detector: A detector, see `keras_prelu.detection.fast_rcnn`.
        labels: Path of a file of class names, one per line, or `None`.
        options: The `keras_prelu.detection.DetectionOptions`.
        on_error: `"raise"` or `"mark"`; see `keras_prelu.export.saved_detector`.

    Attributes:
        functions: Dict from the names of the signatures to concrete functions.
    """

    def __init__(
        self,
        detector: keras.Model,
        labels: pathlib.Path | None,
        options: DetectionOptions,
        on_error: str,
    ) -> None:
        super().__init__(name=detector.name)
        self._variables = [variable.value for variable in detector.variables]
        self._labels = None if labels is None else label_table(labels)
        self._on_error = on_error
        detect = tf.function(self._detect(detector, options)).get_concrete_function(
            tf.TensorSpec([None], tf.string, "image_bytes"),
            tf.TensorSpec([None, None, 4], tf.float32, "boxes"),
        )
        self.functions = {"detect": detect}

    def _detect(self, detector, options):
        most = options.max_detections
        specs = (
            tf.TensorSpec([], tf.bool),
            tf.TensorSpec([most, 4], tf.float32),
            tf.TensorSpec([most], tf.int32),
            tf.TensorSpec([most], tf.float32),
            tf.TensorSpec([], tf.int32),
        )

        def of_image(elements):
            data, regions = elements
            good, (pixels, size) = _prepared(data, options)
            regions, is_region = _inside(regions, size)
            scores, boxes = _run(detector, pixels, regions, size)
            # Padding gets no score, so nothing is detected in it.
            scores = tf.where(is_region[:, None] & good, scores, 0.0)
            return good, *_suppressed(boxes, scores, options)

        def detect(image_bytes, boxes):
            same = tf.debugging.Assert(
                tf.size(image_bytes) == tf.shape(boxes)[0],
                ["`boxes` must have one row per image. Received: rows and images"]
                + [tf.shape(boxes)[0], tf.size(image_bytes)],
            )
            with tf.control_dependencies([same]):
                elements = tf.identity(image_bytes), boxes
            good, boxes, classes, scores, valid = one_by_one(of_image, elements, specs)
            if self._on_error == "raise":
                limit = f", and at most {image_ops.MAX_RESIZED_PIXELS} after resizing"
                with tf.control_dependencies([all_decoded(good, limit)]):
                    valid = tf.identity(valid)
            answer = {
                "boxes": boxes,
                "classes": classes,
                "scores": scores,
                "valid": tf.where(good, valid, -1),
            }
            if self._labels is not None:
                answer["labels"] = self._labels.lookup(tf.cast(classes, tf.int64))
            return answer

        return detect


def _prepared(data, options):
    """Decode, resize and pad an image, or return a blank one."""

    def prepare(pixels):
        resized = image_ops.resize_within(
            pixels, options.shorter_side, options.longest_side
        )
        return resized, tf.shape(pixels)[:2]

    blank = tf.zeros([MULTIPLE, MULTIPLE, 3], tf.uint8)
    return image_ops.decoded(data, prepare, (blank, tf.constant([MULTIPLE] * 2)))


def _inside(regions, size):
    """Clip regions to the image, and replace padding by the whole image.

    Returns:
        At least one region, and whether each is none of the padding.
    """
    # Layers need at least one region.
    missing = tf.cast(tf.shape(regions)[0] == 0, tf.int32)
    regions = tf.pad(regions, [[0, missing], [0, 0]])
    limits = tf.cast(tf.tile(size[::-1], [2]), tf.float32)
    regions = tf.clip_by_value(regions, 0, limits)
    is_region = tf.reduce_all(regions[:, 2:] > regions[:, :2], axis=1)
    whole = tf.concat([[0.0, 0.0], limits[:2]], axis=0)
    return tf.where(is_region[:, None], regions, whole), is_region


def _run(detector, pixels, regions, size):
    """Return the scores of each region without the background, and its boxes."""
    resized = tf.shape(pixels)[:2]
    factors = tf.cast(tf.tile((resized / size)[::-1], [2]), tf.float32)
    margins = -resized % MULTIPLE
    # Padding with zeros, and the color moved to zero meanwhile.
    padded = tf.pad(
        tf.cast(pixels, tf.float32) - FILL, [[0, margins[0]], [0, margins[1]], [0, 0]]
    )
    outputs = detector(
        {
            "images": (padded + FILL)[None],
            "boxes": (regions * factors)[None],
        },
        training=False,
    )
    scores = tf.cast(outputs["scores"][0, :, 1:], tf.float32)
    deltas = tf.cast(outputs["deltas"][0], tf.float32)
    limits = tf.cast(tf.tile(size[::-1], [2]), tf.float32)
    boxes = tf.clip_by_value(_decoded_deltas(regions[:, None], deltas), 0, limits)
    has_area = tf.reduce_all(boxes[..., 2:] > boxes[..., :2], axis=-1)
    return tf.where(has_area, scores, 0.0), boxes


def _decoded_deltas(boxes: Tensor, deltas: Tensor) -> Tensor:
    """Return the results of `keras_prelu.detection.boxes.decode_deltas`."""
    sides = boxes[..., 2:] - boxes[..., :2]
    centers = boxes[..., :2] + sides / 2 + deltas[..., :2] * sides
    sides = sides * tf.exp(tf.minimum(deltas[..., 2:], float(np.log(LARGEST_FACTOR))))
    return tf.concat([centers - sides / 2, centers + sides / 2], axis=-1)


def _suppressed(boxes, scores, options):
    """Suppress detections of each class, and return the best of all classes.

    Returns:
        Boxes, classes and scores, padded to `max_detections` with boxes of zeros, the
        class -1 and the score 0, and the number of detections.
    """
    most = options.max_detections
    best, scores, classes, valid = tf.image.combined_non_max_suppression(
        boxes[None],  # The overlap does not depend on the order of the axes.
        scores[None],
        max_output_size_per_class=most,
        max_total_size=most,
        iou_threshold=options.nms_threshold,
        score_threshold=options.score_threshold,
        clip_boxes=False,
    )
    is_valid = tf.range(most) < valid[0]
    classes = tf.where(is_valid, tf.cast(classes[0], tf.int32), -1)
    return best[0], classes, scores[0], valid[0]
