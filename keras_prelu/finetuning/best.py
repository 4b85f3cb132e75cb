"""The best weights of a run, kept across a resume."""

import keras


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the best epoch, and ends a run that stays worse.

    Keras's `EarlyStopping` keeps them too, but forgets them, and its patience, whenever
    `fit` begins. This one gives them to `ExactResume`, and goes on over several calls.

    Args:
        patience: Integer, or `None` to never end the run.

    Attributes:
        epoch: Integer. The best epoch so far, counted from 1.
        patient_from: Integer. The first epoch whose wait counts, or `None` as long as
            none does.
    """

    def __init__(self, patience=None):
        super().__init__()
        self.patience = patience
        self.patient_from = None
        self.epoch = 0
        self._best = [float("inf")] * 2
        self._weights = []

    def on_epoch_end(self, epoch, logs=None):
        """Compares the epoch with the best one: its error, then its loss."""
        found = [logs["val_top1_error"], logs["val_loss"]]
        if found < self._best:
            self.epoch, self._best = epoch + 1, found
            self._weights = self.model.get_weights()
        elif None not in (self.patience, self.patient_from):
            waited = epoch + 1 - max(self.epoch, self.patient_from - 1)
            self.model.stop_training = waited >= self.patience

    def restore(self):
        """Gives the model its best weights."""
        self.model.set_weights(self._weights)

    def get_state(self):
        """Returns which epoch was best, and how good it was."""
        return {"epoch": self.epoch, "best": self._best}

    def set_state(self, state):
        """Takes up what `get_state` returned."""
        self.epoch, self._best = state["epoch"], state["best"]

    def get_arrays(self):
        """Returns the best weights."""
        return {str(i): array for i, array in enumerate(self._weights)}

    def set_arrays(self, arrays):
        """Takes up what `get_arrays` returned."""
        self._weights = [arrays[str(i)] for i in range(len(arrays))]
