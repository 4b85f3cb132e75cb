"""The paper's metrics: top-1 and top-5 error."""

from typing import Any

import keras
from keras import ops

from keras_prelu.number_checks import check_integer

__all__ = ["TopKError"]


def _misses(y_true, y_pred, k):
    """Return 1 for each image whose class is not among the k best, 0 for the others.

    Keras's `top_k` metrics count a class that ties with the k-th best one, which is
    frequent in bfloat16, and on JAX the class of an image whose scores are all NaN.
    Here, as in `evaluate`, the lower of two tied classes comes first.
    """
    scores = ops.convert_to_tensor(y_pred)
    labels = ops.reshape(ops.cast(y_true, "int32"), (*ops.shape(scores)[:-1], 1))
    classes = ops.arange(scores.shape[-1], dtype="int32")
    is_label = ops.equal(classes, labels)
    own = ops.max(ops.where(is_label, scores, -float("inf")), axis=-1, keepdims=True)
    comes_first = (scores > own) | ((scores == own) & (classes < labels))
    position = ops.sum(ops.cast(comes_first, "int32"), axis=-1)
    is_valid = ops.any(is_label, axis=-1) & ~ops.any(ops.isnan(scores), axis=-1)
    return 1.0 - ops.cast((position < k) & is_valid, "float32")


@keras.saving.register_keras_serializable("keras_prelu")
class TopKError(keras.metrics.MeanMetricWrapper):
    """Fraction of images whose class is not among the k highest scores.

    Args:
        k: Integer of at least 1, the number of classes that count as predicted.
        name: Name of the metric. Defaults to `"top1_error"` for `k=1`, and so on.
        dtype: Dtype of the metric.

    Examples:
        >>> error = keras_prelu.metrics.TopKError(k=1)
        >>> error.update_state([0, 1], [[0.9, 0.1], [0.8, 0.2]])
        >>> float(error.result())
        0.5

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 4
    """

    def __init__(
        self, k: int = 1, name: str | None = None, dtype: Any | None = None
    ) -> None:
        check_integer("k", k, 1)
        k, name = int(k), name or f"top{k}_error"
        super().__init__(_misses, name=name, dtype=dtype, k=k)
        self.k = k

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"k": self.k, "name": self.name, "dtype": self.dtype}
