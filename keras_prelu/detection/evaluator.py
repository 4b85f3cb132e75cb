"""`evaluate`: the average precision of a detector."""

import contextlib
import dataclasses
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np

from keras_prelu.data.annotations import check_annotated
from keras_prelu.data.decoding import BadImageError, decode_rgb
from keras_prelu.data.sources import check_not_empty
from keras_prelu.data.threads import ahead, pool
from keras_prelu.detection.arguments import checked_proposals
from keras_prelu.detection.detecting import Detecting, DetectionOptions, checked_input
from keras_prelu.detection.results import (
    DetectionEvaluation,
    check_metric,
    evaluate_detections,
)

if TYPE_CHECKING:
    from keras_prelu.data import AnnotatedSource
    from keras_prelu.detection.region_proposals import Proposals

__all__ = ["evaluate"]

_DECODED_AHEAD = 5


def evaluate(
    detector: keras.Model,
    source: "AnnotatedSource",
    proposals: "Proposals | Sequence[np.ndarray]",
    metric: str = "voc07",
    score_threshold: float = 0.0,
    nms_threshold: float = 0.3,
    max_detections: int = 100,
    shorter_side: int = 600,
    longest_side: int = 1000,
    verbose: int = 1,
) -> DetectionEvaluation:
    """Measure how well a detector finds the objects of a source.

    Images that cannot be decoded are skipped and counted; their objects do not count.
    Every other image counts, also without objects, proposals or detections. Images are
    decoded once, while the detector works on those before.

    Args:
        detector: A detector that `keras_prelu.detection.fast_rcnn` returns.
        source: A `keras_prelu.data.AnnotatedSource`.
        proposals: Its proposals, one array of shape `(n, 4)` per image.
        metric: `"voc07"`, the default: PASCAL VOC 2007, the mean precision at 11
            recalls. `"voc"`: PASCAL VOC from 2010 on, the area under the curve.
            `"coco"`: the mean over ten thresholds of the intersection over union from
            0.5 to 0.95, at 101 recalls.
        score_threshold: Only detections with larger scores count. Defaults to 0,
            because average precision needs the detections with low scores: they reach
            the highest recalls.
        nms_threshold: See `keras_prelu.detection.detect`.
        max_detections: See `keras_prelu.detection.detect`.
        shorter_side: See `keras_prelu.detection.detect`.
        longest_side: See `keras_prelu.detection.detect`.
        verbose: 0 for no output, 1 for a progress bar and the result.

    Returns:
        A `keras_prelu.detection.DetectionEvaluation`, with `mean_ap`.

    Reference:
        [Everingham et al., 2010](https://doi.org/10.1007/s11263-009-0275-4);
        [Lin et al., 2014](https://arxiv.org/abs/1405.0312)
    """
    start = time.perf_counter()
    check_metric(metric)
    options = DetectionOptions(
        score_threshold, nms_threshold, max_detections, shorter_side, longest_side
    )
    detecting = Detecting(detector, options)
    _check(detector, source)
    proposals = checked_proposals(source, proposals)
    progress = keras.utils.Progbar(len(source), unit_name="image", verbose=verbose)
    indices, detections, objects = [], [], []
    with contextlib.closing(_decoded(source)) as images:
        for index, image, of_image in images:
            try:
                if isinstance(image, BadImageError):
                    raise image
                checked = checked_input(image, proposals[index], source.describe(index))
                detections.append(detecting(*checked))
            except BadImageError as error:
                source.skip(index, str(error))
            else:
                indices.append(index)
                objects.append(of_image)
            progress.add(1)
    if not indices:
        raise ValueError(
            "Argument `source` must have at least one image that can be decoded. "
            f"Received: source={source}"
        )
    evaluation = dataclasses.replace(
        evaluate_detections(detections, objects, source.class_names, metric),
        skipped=len(source) - len(indices),
        seconds=time.perf_counter() - start,
        indices=np.array(indices),
    )
    if verbose:
        print(evaluation, flush=True)
    return evaluation


def _check(detector, source):
    check_annotated(source)
    check_not_empty(source)
    classes = detector.output["scores"].shape[-1] - 1
    if len(source.class_names) != classes:
        raise ValueError(
            f"Argument `source` must have {classes} classes, as the detector. "
            f"Received: a source of {len(source.class_names)} classes"
        )


def _decoded(source):
    """Yield the index, pixels or error, and objects of each image."""

    def decode(index):
        content, objects = source.read(index)
        try:
            return index, decode_rgb(content), objects
        except BadImageError as error:
            return index, error, objects

    with pool(2) as threads:
        yield from ahead(threads, decode, range(len(source)), _DECODED_AHEAD)
