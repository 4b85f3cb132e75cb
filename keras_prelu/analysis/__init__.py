"""Looking into models: what they cost, and how signals go through them."""

from keras_prelu.analysis.cost import multiply_adds
