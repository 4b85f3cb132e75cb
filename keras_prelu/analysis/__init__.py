"""Analysis of models: cost, propagation of signals, feature and activation maps."""

from keras_prelu.analysis.activation_maps import ActivationMaps, activation_map
from keras_prelu.analysis.cost import multiply_adds
from keras_prelu.analysis.features import Features, features
from keras_prelu.analysis.information import fisher
from keras_prelu.analysis.signals import responses, signal_propagation
from keras_prelu.analysis.slopes import slopes
from keras_prelu.analysis.tables import LayerTable

__all__ = [
    "ActivationMaps",
    "Features",
    "LayerTable",
    "activation_map",
    "features",
    "fisher",
    "multiply_adds",
    "responses",
    "signal_propagation",
    "slopes",
]


def __dir__() -> list[str]:
    return __all__
