"""Constructors of the paper's nets, in the manner of `keras.applications`.

The package holds constructors, as `keras.applications` does; the folder
`applications/` at the top of the repository holds worked uses of them.
"""

from keras_prelu.applications import model_a, model_b, model_c, small
from keras_prelu.applications.model_a import ModelA
from keras_prelu.applications.model_b import ModelB
from keras_prelu.applications.model_c import ModelC
from keras_prelu.applications.small import Model14, Model30

# All constructors, by the default name of their models.
CONSTRUCTORS = {
    "model_a": ModelA,
    "model_b": ModelB,
    "model_c": ModelC,
    "model14": Model14,
    "model30": Model30,
}
