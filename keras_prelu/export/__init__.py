"""Trained nets for other runtimes: TF Serving, ONNX Runtime, LiteRT."""

from typing import TYPE_CHECKING

from keras_prelu import on_use
from keras_prelu.export.portable import Check, litert, onnx

if TYPE_CHECKING:
    from keras_prelu.export.serving import saved_model

__all__ = ["Check", "litert", "onnx", "saved_model"]

# `saved_model` needs TensorFlow.
__getattr__, __dir__ = on_use.attach(__name__, names={"serving": ("saved_model",)})
