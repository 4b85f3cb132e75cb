"""PReLU networks of He et al. (2015) for Keras 3.

The namespaces mirror those of Keras: `layers`, `initializers`, `optimizers`, `metrics`
and `applications` hold what `keras.layers`, `keras.initializers` and so on would hold.
`data`, `evaluation`, `detection`, `analysis`, `finetuning`, `export`, `callbacks` and
`distribution` hold the rest.
"""

from typing import TYPE_CHECKING

# Classes that occur in saved models are registered by these imports, so
# `import keras_prelu` is enough to load every model that this package can save.
from keras_prelu import (
    data,
    detection,
    evaluation,
    initializers,
    layers,
    metrics,
    on_use,
    optimizers,
)
from keras_prelu.version import __version__

if TYPE_CHECKING:
    from keras_prelu import (
        analysis,
        applications,
        callbacks,
        distribution,
        export,
        finetuning,
    )

__all__ = [
    "__version__",
    "analysis",
    "applications",
    "callbacks",
    "data",
    "detection",
    "distribution",
    "evaluation",
    "export",
    "finetuning",
    "initializers",
    "layers",
    "metrics",
    "optimizers",
]

# `import keras_prelu` should not be slower than `import keras`.
__getattr__, __dir__ = on_use.attach(
    __name__,
    submodules=(
        "analysis",
        "applications",
        "callbacks",
        "distribution",
        "export",
        "finetuning",
    ),
)
