"""Testing as the paper tests: centre crop, ten views, dense, scales, ensembles."""

from keras_prelu.evaluation.dense import dense_model
from keras_prelu.evaluation.evaluating import evaluate
from keras_prelu.evaluation.results import Evaluation, table
