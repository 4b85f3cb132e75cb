"""Model C of the paper."""

from keras_prelu.applications.constructors import constructor

ModelC = constructor(
    "ModelC",
    net="model_c",
    title="Model C, of 22 layers",
    about="It is model B with more filters: the paper's best.",
    reference="Table 3",
)
