"""Looking into models: what they cost, and how signals go through them."""

from keras_prelu.analysis.cost import multiply_adds
from keras_prelu.analysis.information import fisher
from keras_prelu.analysis.signals import responses, signal_propagation
from keras_prelu.analysis.slopes import slopes
from keras_prelu.analysis.tables import LayerTable
