"""The best weights of a run, kept across a resume."""

from typing import Any

import keras
import numpy as np

from keras_prelu.callbacks import NotFiniteError

__all__ = ["BestWeights"]


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the best epoch, and ends a stage that stops improving.

    Keras's `EarlyStopping` keeps them too, but it forgets them, and its patience,
    whenever `fit` begins. This callback gives them to `ExactResume`, and continues over
    several calls of `fit`.

    Patience counts within a stage, from that stage's own best epoch. A new stage may
    begin with worse weights than the last one ended with, and needs time to catch up.

    Args:
        patience: Integer, or `None` to never end the run.

    Attributes:
        epoch: Integer. The best epoch so far, counted from 1.
    """

    def __init__(self, patience: int | None = None) -> None:
        super().__init__()
        self.patience = patience
        self.epoch = 0
        self._best = [float("inf")] * 2
        self._weights: list[np.ndarray] = []
        self._is_patient = False
        self._stage_epoch = 0
        self._stage_best = [float("inf")] * 2

    def begin_stage(self) -> None:
        """Begin a stage that ends when its patience is over."""
        self._is_patient = True
        self._stage_best = [float("inf")] * 2

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Compare the epoch with the best one: its error first, then its loss."""
        logs = logs or {}
        _check_finite(epoch, logs)
        result = [logs["val_top1_error"], logs["val_loss"]]
        if result < self._best:
            self.epoch, self._best = epoch + 1, result
            self._weights = self.model.get_weights()
        if result < self._stage_best:
            self._stage_epoch, self._stage_best = epoch + 1, result
        elif self._is_over(epoch + 1):
            self.model.stop_training = True

    def _is_over(self, epoch):
        is_patient = self._is_patient and self.patience is not None
        return is_patient and epoch - self._stage_epoch >= self.patience

    def restore(self) -> None:
        """Give the model its best weights."""
        self.model.set_weights(self._weights)

    def get_state(self) -> dict[str, Any]:
        """Return the best epochs of the run and of the stage, and their results."""
        return {
            "epoch": self.epoch,
            "best": self._best,
            "stage_epoch": self._stage_epoch,
            "stage_best": self._stage_best,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
        self.epoch, self._best = state["epoch"], state["best"]
        self._stage_epoch, self._stage_best = state["stage_epoch"], state["stage_best"]

    def get_arrays(self) -> dict[str, np.ndarray]:
        """Return the best weights."""
        return {str(i): array for i, array in enumerate(self._weights)}

    def set_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Restore what `get_arrays` returned."""
        self._weights = [arrays[str(i)] for i in range(len(arrays))]


def _check_finite(epoch, logs):
    for name in ("loss", "val_loss"):
        if not np.isfinite(logs[name]):
            raise NotFiniteError(
                f"The `{name}` is {logs[name]} in epoch {epoch + 1}: lower the "
                "learning rate, use bfloat16 or float32 instead of float16, or look "
                "for images with values that are not finite"
            )
