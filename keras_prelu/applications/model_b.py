"""Model B of the paper."""

from keras_prelu.applications.constructors import constructor

ModelB = constructor(
    "ModelB",
    net="model_b",
    title="Model B, of 22 layers",
    about="It is model A with one more layer in each of its three stages.",
    reference="Table 3",
)
