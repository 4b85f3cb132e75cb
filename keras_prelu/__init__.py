"""PReLU networks of He et al. 2015 for Keras 3.

The namespaces mirror Keras's own: `layers`, `initializers`, `optimizers` and
`applications` hold what `keras.layers`, `keras.initializers` and so on would;
`data`, `evaluation`, `analysis`, `finetuning` and `export` hold the rest.
"""

from keras_prelu import (
    data,
    evaluation,
    initializers,
    layers,
    metrics,
    on_use,
    optimizers,
)
from keras_prelu.version import __version__

# `import keras_prelu` should not be slower than `import keras`.
__getattr__, __dir__ = on_use.attach(
    __name__,
    submodules=(
        "analysis",
        "applications",
        "callbacks",
        "data",
        "distribution",
        "evaluation",
        "export",
        "finetuning",
        "metrics",
    ),
)
