"""Trained nets for use elsewhere: TF Serving, ONNX Runtime, LiteRT."""

from keras_prelu.export.portable import Check, litert, onnx
from keras_prelu.export.saving import saved_model
