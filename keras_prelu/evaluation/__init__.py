"""Testing as the paper tests: centre crop, ten views, dense, scales, ensembles."""

from keras_prelu import on_use
from keras_prelu.evaluation.dense import dense_model
from keras_prelu.evaluation.results import Evaluation, table

# It needs TensorFlow.
__getattr__, __dir__ = on_use.attach(__name__, names={"protocols": ("evaluate",)})
