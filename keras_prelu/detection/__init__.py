"""Object detection by Fast R-CNN on the nets of this package."""

from keras_prelu.detection.proposal_recall import Recall, recall
from keras_prelu.detection.region_proposals import Proposals, proposals

__all__ = ["Proposals", "Recall", "proposals", "recall"]
