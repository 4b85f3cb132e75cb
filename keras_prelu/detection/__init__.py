"""Object detection by Fast R-CNN on the nets of this package."""

from typing import TYPE_CHECKING

from keras_prelu import on_use
from keras_prelu.detection.detector import fast_rcnn

if TYPE_CHECKING:
    from keras_prelu.detection.proposal_recall import Recall, recall
    from keras_prelu.detection.region_proposals import Proposals, proposals

__all__ = ["Proposals", "Recall", "fast_rcnn", "proposals", "recall"]

__getattr__, __dir__ = on_use.attach(
    __name__,
    names={
        "proposal_recall": ("Recall", "recall"),
        "region_proposals": ("Proposals", "proposals"),
    },
)
