"""Object detection by Fast R-CNN on the nets of this package."""

from typing import TYPE_CHECKING

from keras_prelu import on_use
from keras_prelu.detection.detector import fast_rcnn
from keras_prelu.detection.detector_losses import DeltaLoss, losses

if TYPE_CHECKING:
    from keras_prelu.detection.detecting import (
        DetectionOptions,
        Detections,
        detect,
    )
    from keras_prelu.detection.evaluator import evaluate
    from keras_prelu.detection.plots import draw, draw_curves, gallery
    from keras_prelu.detection.proposal_recall import (
        Recall,
        perfect_detections,
        recall,
    )
    from keras_prelu.detection.region_batches import eval_batches, train_batches
    from keras_prelu.detection.region_proposals import Proposals, proposals
    from keras_prelu.detection.results import (
        DetectionEvaluation,
        evaluate_detections,
    )
    from keras_prelu.detection.sampling import delta_statistics

__all__ = [
    "DeltaLoss",
    "DetectionEvaluation",
    "DetectionOptions",
    "Detections",
    "Proposals",
    "Recall",
    "delta_statistics",
    "detect",
    "draw",
    "draw_curves",
    "eval_batches",
    "evaluate",
    "evaluate_detections",
    "fast_rcnn",
    "gallery",
    "losses",
    "perfect_detections",
    "proposals",
    "recall",
    "train_batches",
]

__getattr__, __dir__ = on_use.attach(
    __name__,
    names={
        "detecting": ("DetectionOptions", "Detections", "detect"),
        "evaluator": ("evaluate",),
        "plots": ("draw", "draw_curves", "gallery"),
        "proposal_recall": ("Recall", "perfect_detections", "recall"),
        "region_batches": ("eval_batches", "train_batches"),
        "region_proposals": ("Proposals", "proposals"),
        "results": ("DetectionEvaluation", "evaluate_detections"),
        "sampling": ("delta_statistics",),
    },
)
