"""The paper's metrics: top-1 and top-5 error."""

from typing import Any

import keras

from keras_prelu.integers import is_integer

__all__ = ["TopKError"]


def _misses(y_true, y_pred, k):
    y_pred = keras.ops.convert_to_tensor(y_pred)
    k = min(k, y_pred.shape[-1])  # PyTorch raises an error if k exceeds the classes
    hits = keras.metrics.sparse_top_k_categorical_accuracy(y_true, y_pred, k=k)
    return 1.0 - hits


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
        if not is_integer(k, 1):
            raise ValueError(
                f"Argument `k` must be an integer of at least 1. Received: k={k!r}"
            )
        k, name = int(k), name or f"top{k}_error"
        super().__init__(_misses, name=name, dtype=dtype, k=k)
        self.k = k

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"k": self.k, "name": self.name, "dtype": self.dtype}
