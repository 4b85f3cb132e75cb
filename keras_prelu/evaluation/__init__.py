"""The test protocols of the paper: center crop, ten views, dense; scales, ensembles."""

from typing import TYPE_CHECKING

from keras_prelu import on_use
from keras_prelu.evaluation.dense import dense_model
from keras_prelu.evaluation.results import ErrorSummary, Evaluation, table

if TYPE_CHECKING:
    from keras_prelu.evaluation.evaluator import evaluate

__all__ = ["ErrorSummary", "Evaluation", "dense_model", "evaluate", "table"]

# Reading images is only needed by `evaluate`.
__getattr__, __dir__ = on_use.attach(__name__, names={"evaluator": ("evaluate",)})
