"""Trained nets for use elsewhere: TF Serving, ONNX Runtime, LiteRT."""

from keras_prelu import on_use
from keras_prelu.export.portable import Check, litert, onnx

# It needs TensorFlow.
__getattr__, __dir__ = on_use.attach(__name__, names={"serving": ("saved_model",)})
