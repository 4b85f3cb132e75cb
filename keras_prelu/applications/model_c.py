"""Model C of the paper."""

from keras_prelu.applications.constructors import constructor
from keras_prelu.applications.predictions import decode_predictions, preprocess_input

__all__ = ["ModelC", "decode_predictions", "preprocess_input"]

ModelC = constructor(
    "ModelC",
    net="model_c",
    title="Model C, of 22 layers",
    about="It is model B with more filters: the paper's best.",
    reference="Table 3",
)
