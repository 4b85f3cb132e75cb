"""Model B of the paper."""

from keras_prelu.applications.constructors import constructor
from keras_prelu.applications.predictions import decode_predictions, preprocess_input

__all__ = ["ModelB", "decode_predictions", "preprocess_input"]

ModelB = constructor(
    "ModelB",
    net="model_b",
    title="Model B, of 22 layers",
    about="It is model A with one more layer in each of its three stages.",
    reference="Table 3",
)
