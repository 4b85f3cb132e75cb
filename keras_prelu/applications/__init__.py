"""Constructors of the paper's models, as in `keras.applications`.

This package holds constructors. The folder `applications/` at the top of the
repository holds worked examples that use them.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import keras

from keras_prelu import on_use
from keras_prelu.applications import model14, model30, model_a, model_b, model_c
from keras_prelu.applications.model14 import Model14
from keras_prelu.applications.model30 import Model30
from keras_prelu.applications.model_a import ModelA
from keras_prelu.applications.model_b import ModelB
from keras_prelu.applications.model_c import ModelC

if TYPE_CHECKING:
    from keras_prelu.applications import small

__all__ = [
    "CONSTRUCTORS",
    "Model14",
    "Model30",
    "ModelA",
    "ModelB",
    "ModelC",
    "model14",
    "model30",
    "model_a",
    "model_b",
    "model_c",
]

# All constructors, by the default name of their models.
CONSTRUCTORS: dict[str, Callable[..., keras.Model]] = {
    "model_a": ModelA,
    "model_b": ModelB,
    "model_c": ModelC,
    "model14": Model14,
    "model30": Model30,
}

# Deprecated, so it warns when it is loaded.
__getattr__, __dir__ = on_use.attach(__name__, submodules=("small",))
