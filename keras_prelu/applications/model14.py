"""The small nets with which the paper compares rectifiers and depths."""

from keras_prelu.applications.constructors import constructor
from keras_prelu.applications.predictions import decode_predictions, preprocess_input

__all__ = ["Model14", "Model30", "decode_predictions", "preprocess_input"]

Model14 = constructor(
    "Model14",
    module=__name__,
    net="model14",
    title="the net of 14 layers",
    about="With it the paper compares ReLU, shared and channel-wise slopes.",
    reference="Table 1",
)

Model30 = constructor(
    "Model30",
    module=__name__,
    net="model30",
    title="the net of 30 layers",
    about="It is the net of 14 layers with 16 more convolutions in its last stage.",
    reference="section 2.3",
)
