"""Object detection by Fast R-CNN on the nets of this package."""

from keras_prelu import on_use
from keras_prelu.detection.detector import fast_rcnn

__all__ = ["fast_rcnn"]

__getattr__, __dir__ = on_use.attach(__name__)
