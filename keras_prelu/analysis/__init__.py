"""Analysis of models: their cost, and how signals propagate through them."""

from keras_prelu.analysis.cost import multiply_adds
from keras_prelu.analysis.information import fisher
from keras_prelu.analysis.signals import responses, signal_propagation
from keras_prelu.analysis.slopes import slopes
from keras_prelu.analysis.tables import LayerTable

__all__ = [
    "LayerTable",
    "fisher",
    "multiply_adds",
    "responses",
    "signal_propagation",
    "slopes",
]


def __dir__() -> list[str]:
    return __all__
