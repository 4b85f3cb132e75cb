"""Trained nets for other runtimes: TF Serving, ONNX Runtime, LiteRT."""

from typing import TYPE_CHECKING

from keras_prelu import on_use
from keras_prelu.export.portable import Check, litert, onnx

if TYPE_CHECKING:
    from keras_prelu.export.detector_serving import saved_detector
    from keras_prelu.export.serving import saved_model

__all__ = ["Check", "litert", "onnx", "saved_detector", "saved_model"]

# SavedModels need TensorFlow.
__getattr__, __dir__ = on_use.attach(
    __name__,
    names={"detector_serving": ("saved_detector",), "serving": ("saved_model",)},
)
