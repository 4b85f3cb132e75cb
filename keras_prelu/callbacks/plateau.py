"""The paper's learning rate schedule: divided by ten when the error plateaus."""

from typing import Any

import keras

__all__ = ["PlateauSchedule"]


class PlateauSchedule(keras.callbacks.ReduceLROnPlateau):
    """Lowers the learning rate on a plateau, and remembers its state across a resume.

    Keras's own callback forgets its best value and its patience whenever `fit` begins.
    This one gives them to `ExactResume`.

    Args:
        monitor: String. The logged value that should fall. The default needs the metric
            `keras_prelu.metrics.TopKError(1)` and validation data.
        factor: Float below 1. The factor that multiplies the learning rate.
        patience: Integer. Epochs without improvement before the rate is lowered.
        min_delta: Float. The least improvement that counts.
        min_lr: Float. The lowest learning rate, by default the last of the paper's
            three.

    Examples:
        >>> schedule = keras_prelu.callbacks.PlateauSchedule(patience=3)

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 3 (1e-2, 1e-3,
        1e-4, lowered when the error plateaus)
    """

    def __init__(
        self,
        monitor: str = "val_top1_error",
        factor: float = 0.1,
        patience: int = 5,
        min_delta: float = 1e-3,
        min_lr: float = 1e-4,
    ) -> None:
        super().__init__(
            monitor=monitor,
            factor=factor,
            patience=patience,
            mode="min",
            min_delta=min_delta,
            min_lr=min_lr,
        )

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Keep the state, which Keras's own callback would reset."""

    def get_state(self) -> dict[str, Any]:
        """Return the best value and the number of epochs without improvement."""
        return {"best": self.best, "wait": self.wait}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
        self.best, self.wait = state["best"], state["wait"]
