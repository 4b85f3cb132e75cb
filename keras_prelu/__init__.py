"""PReLU networks of He et al. 2015 for Keras 3.

The namespaces mirror Keras's own: `layers`, `initializers`, `optimizers` and
`applications` hold what `keras.layers`, `keras.initializers` and so on would;
`data`, `evaluation`, `analysis`, `finetuning` and `export` hold the rest.
"""

import importlib

from keras_prelu import initializers, layers, optimizers
from keras_prelu.version import __version__

# Loaded on first use: they import TensorFlow's pipelines, TFDS or matplotlib, and
# `import keras_prelu` is to cost no more than `import keras` does.
_ON_USE = (
    "analysis",
    "applications",
    "callbacks",
    "data",
    "distribution",
    "evaluation",
    "export",
    "finetuning",
    "metrics",
)


def __getattr__(name):
    if name in _ON_USE:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_ON_USE})
