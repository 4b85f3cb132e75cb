"""Model A of the paper."""

from keras_prelu.applications.constructors import constructor
from keras_prelu.applications.predictions import decode_predictions, preprocess_input

__all__ = ["ModelA", "decode_predictions", "preprocess_input"]

ModelA = constructor(
    "ModelA",
    net="model_a",
    title="Model A, of 19 layers",
    about="It has the arithmetic of VGG-19 on smaller maps, and so is faster.",
    reference="Table 3",
)
