"""Model A of the paper."""

from keras_prelu.applications.constructors import constructor

ModelA = constructor(
    "ModelA",
    net="model_a",
    title="Model A, of 19 layers",
    about="It has the arithmetic of VGG-19 on smaller maps, and so is faster.",
    reference="Table 3",
)
