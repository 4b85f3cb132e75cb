"""The paper's learning rate: divided by ten when the error stops falling."""

import keras


class PlateauSchedule(keras.callbacks.ReduceLROnPlateau):
    """Lowers the learning rate on a plateau, and remembers where it stood.

    Keras's own callback keeps its best value and its patience in memory only, and
    forgets them whenever `fit` begins. This one gives them to `ExactResume`.

    Args:
        monitor: String. The logged value that is to fall.
        factor: Float below 1, by which the learning rate is multiplied.
        patience: Integer. Epochs without improvement before it is.
        min_delta: Float. What counts as an improvement.
        min_lr: Float. The last learning rate of the paper's three.

    Examples:
        >>> schedule = keras_prelu.callbacks.PlateauSchedule(patience=3)

    Reference:

    - [Delving Deep into Rectifiers](https://arxiv.org/abs/1502.01852), section 3
      (1e-2, 1e-3, 1e-4, switched when the error plateaus).
    """

    def __init__(
        self,
        monitor="val_top1_error",
        factor=0.1,
        patience=5,
        min_delta=1e-3,
        min_lr=1e-4,
    ):
        super().__init__(
            monitor=monitor,
            factor=factor,
            patience=patience,
            mode="min",
            min_delta=min_delta,
            min_lr=min_lr,
        )

    def on_train_begin(self, logs=None):
        """Keeps what an earlier part of the run has seen."""

    def get_state(self):
        """Returns the best value and the epochs without improvement."""
        return {"best": self.best, "wait": self.wait}

    def set_state(self, state):
        """Takes up what `get_state` returned."""
        self.best, self.wait = state["best"], state["wait"]
