"""The paper's two figures of merit: top-1 and top-5 error."""

import keras


def _misses(y_true, y_pred, k):
    y_pred = keras.ops.convert_to_tensor(y_pred)
    k = min(k, y_pred.shape[-1])  # PyTorch refuses more guesses than classes
    hits = keras.metrics.sparse_top_k_categorical_accuracy(y_true, y_pred, k=k)
    return 1.0 - hits


@keras.saving.register_keras_serializable("keras_prelu")
class TopKError(keras.metrics.MeanMetricWrapper):
    """Share of the pictures whose class is not among the k best guesses.

    Args:
        k: Integer, at least 1. How many guesses count.
        name: String. Defaults to `"top1_error"` for one guess, and so on.
        dtype: The metric's dtype.

    Examples:
        >>> error = keras_prelu.metrics.TopKError(k=1)
        >>> error.update_state([0, 1], [[0.9, 0.1], [0.8, 0.2]])
        >>> float(error.result())
        0.5

    Reference:

    - [Delving Deep into Rectifiers](https://arxiv.org/abs/1502.01852), section 4.
    """

    def __init__(self, k=1, name=None, dtype=None):
        if not isinstance(k, int) or k < 1:
            raise ValueError(f"`k` must be an integer of at least 1. Received: k={k}")
        super().__init__(_misses, name=name or f"top{k}_error", dtype=dtype, k=k)
        self.k = k

    def get_config(self):
        """Returns the arguments of the constructor."""
        return {"k": self.k, "name": self.name, "dtype": self.dtype}
