"""Deprecated: use `keras_prelu.applications.model14` and `model30`."""

import warnings

from keras_prelu.applications.model14 import Model14
from keras_prelu.applications.model30 import Model30
from keras_prelu.applications.predictions import decode_predictions, preprocess_input

__all__ = ["Model14", "Model30", "decode_predictions", "preprocess_input"]

warnings.warn(
    "keras_prelu.applications.small is deprecated and will be removed in the next "
    "version: use keras_prelu.applications.model14 and model30.",
    DeprecationWarning,
    stacklevel=2,
)
