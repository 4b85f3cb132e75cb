"""SavedModels of detectors for TF Serving."""

import contextlib
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_prelu.detection.detecting import DetectionOptions
from keras_prelu.detection.detector import check_detector
from keras_prelu.detection.resizing import MULTIPLE
from keras_prelu.export import cards, checks, version_files, versions
from keras_prelu.export.detection_signature import ServedDetector
from keras_prelu.types import PathLike

__all__ = ["saved_detector"]


def saved_detector(
    detector: keras.Model,
    path: PathLike,
    *,
    class_names: Sequence[str] | None = None,
    score_threshold: float = 0.05,
    nms_threshold: float = 0.3,
    max_detections: int = 100,
    shorter_side: int = 600,
    longest_side: int = 1000,
    on_error: str = "raise",
    version: int | None = None,
    card: Mapping[str, Any] | None = None,
) -> pathlib.Path:
    """Write a detector for TF Serving, from encoded images and regions to detections.

    Writes versions like `keras_prelu.export.saved_model`, with labels, model card and a
    warm-up request. The method that proposes regions is not part of the SavedModel: the
    client sends them. The only signature, `detect`, takes:

    - `image_bytes`: A string tensor of shape `(batch,)`, encoded JPEG, PNG, GIF, BMP or
      WebP images of any sizes.
    - `boxes`: A float32 tensor of shape `(batch, regions, 4)`, regions `(x1, y1, x2,
      y2)` in pixels of the upright original image. They are clipped to the image.
      Regions that are empty then, such as `(0, 0, 0, 0)`, are padding: nothing is
      detected in them.

    It returns, best first and in pixels of the original image, what
    `keras_prelu.detection.detect` returns with the same options:

    - `boxes`: `(batch, max_detections, 4)`, padded with zeros.
    - `classes`: int32, `(batch, max_detections)`, padded with -1.
    - `labels`: The names of the classes, padded with `""`. Only with `class_names`.
    - `scores`: `(batch, max_detections)`, padded with zeros.
    - `valid`: int32, `(batch,)`, the number of detections.

    Images may not have more than 2²² pixels (2048 x 2048) after resizing.

    Args:
        detector: A detector, see `keras_prelu.detection.fast_rcnn`.
        path: Folder of the versions. It is made if it does not exist.
        class_names: Names of the classes, without a background. Defaults to none.
        score_threshold: See `keras_prelu.detection.detect`. Defaults to 0.05.
        nms_threshold: See `keras_prelu.detection.detect`. Defaults to 0.3.
        max_detections: Largest number of detections in an image. Defaults to 100.
        shorter_side: The shorter side that images are resized to. Defaults to 600.
        longest_side: Upper limit of the longer side, which takes precedence. Defaults
            to 1000.
        on_error: How to handle images that cannot be decoded. `"raise"`, the default:
            the request fails with an error that names their rows. `"mark"`: they have
            no detections, and `valid` is -1.
        version: Number of the version. Defaults to the one after the last.
        card: Statements for the model card; see `keras_prelu.export.saved_model`.

    Returns:
        The folder of the version, a `pathlib.Path`.

    Examples:
        >>> model = keras_prelu.applications.ModelA(width=1 / 64, classes=5)
        >>> detector = keras_prelu.detection.fast_rcnn(model, classes=2)
        >>> version = keras_prelu.export.saved_detector(
        ...     detector, "served", class_names=["cat", "dog"], shorter_side=96
        ... )
        >>> detect = tf.saved_model.load(version).signatures["detect"]
        >>> photo = tf.io.read_file("photos/cat/0.jpg")
        >>> detections = detect(
        ...     image_bytes=photo[None], boxes=tf.constant([[[0.0, 0, 40, 40]]])
        ... )
        >>> detections["boxes"].shape
        TensorShape([1, 100, 4])
    """
    classes = _checked_classes(detector)
    checks.check_class_names(class_names, classes)
    options = DetectionOptions(
        score_threshold, nms_threshold, max_detections, shorter_side, longest_side
    )
    options.check()
    checks.check_on_error(on_error)
    versions.check(version)
    cards.check(card)
    path = pathlib.Path(path)
    versions.new_version(path, version)  # refuse it before anything is written
    with contextlib.ExitStack() as stack:
        labels = class_names and stack.enter_context(version_files.labels(class_names))
        served = ServedDetector(detector, labels or None, options, on_error)
        return version_files.write(
            served,
            path,
            version,
            {"detect": _example()},
            lambda **facts: cards.describe(
                detector,
                class_names,
                card,
                classes=classes,
                image=f"shorter side {shorter_side}, longest side {longest_side}",
                **facts,
                inputs=_INPUTS,
                outputs=list(served.functions["detect"].structured_outputs),
                **options._asdict(),
                on_error=on_error,
            ),
        )


_INPUTS = {
    "image_bytes": "encoded images of any sizes",
    "boxes": "regions (x1, y1, x2, y2) in pixels of the original images; empty regions "
    "are padding; the method that proposes regions is not included",
}


def _checked_classes(detector):
    """Return the number of classes of a detector, or raise if it is none."""
    checks.check_backend()
    check_detector(detector)
    shape = tuple(detector.input["images"].shape)
    if shape[-1] != 3:
        raise ValueError(
            "Argument `detector` must take RGB images with the channels last. "
            f"Received: a detector with images of shape {shape}"
        )
    return detector.output["scores"].shape[-1] - 1


def _example():
    """Return the inputs of a request with a grey image, which is the only region."""
    grey = tf.fill([MULTIPLE, MULTIPLE, 3], tf.constant(128, tf.uint8))
    region = tf.constant([[[0, 0, MULTIPLE, MULTIPLE]]], tf.float32)
    return {"image_bytes": tf.io.encode_jpeg(grey)[None], "boxes": region}
