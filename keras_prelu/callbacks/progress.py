"""How far a run is, how fast it goes, and whether it waits for its data."""

import sys
import time

import keras

from keras_prelu.callbacks.logs import TableLog

_SECONDS_BETWEEN_LINES = 60.0


class Progress(TableLog):
    """Shows loss, errors, images per second, time left and the wait for input.

    The wait for input is the share of the time that the training loop spends asking
    for its next batch: near 0 the pipeline keeps up, near 1 it is the bottleneck.

    At a terminal it draws Keras's bar; elsewhere it prints a line a minute. Each epoch
    ends with a line, and its speed is added to its logs as `images_per_second` and
    `input_wait`. The first step is left out of it, since it compiles the model.

    Args:
        batch_size: Integer. Images a step, over all replicas.
        epochs: Integer. Epochs in all, for the time left.
        path: A CSV file for the speed of each epoch, or None. Of all that a run
            writes, this file alone differs when the run is repeated.
        show: Boolean. False on all workers but the first.

    Examples:
        >>> progress = keras_prelu.callbacks.Progress(batch_size=128, epochs=80)
    """

    def __init__(self, batch_size, epochs, path=None, show=True):
        super().__init__(path)
        self.batch_size = batch_size
        self.epochs = epochs
        self.show = show
        self._bar = None
        self._speed = {}
        self._steps = 0
        self._epoch_began = self._printed = time.perf_counter()

    def on_train_begin(self, logs=None):
        """Takes the batch out of the iterator before the step does, to time it."""
        step = self.model.train_function
        if getattr(step, "times_input", False):
            return  # `fit` ran before; its function is still in use

        def timed_step(iterator):
            asked = time.perf_counter()
            batch = next(iterator)
            self._waited += time.perf_counter() - asked
            return step(iter((batch,)))

        timed_step.times_input = True
        self.model.train_function = timed_step

    def on_epoch_begin(self, epoch, logs=None):
        """Starts the clocks."""
        self._bar = None
        self._speed = {}
        self._steps = 0
        self._waited = 0.0
        self._epoch_began = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        """Measures the speed since the epoch's first step, and shows it."""
        self._steps += 1
        now = time.perf_counter()
        if self._steps == 1:
            self._first_step_ended, self._waited = now, 0.0
        else:
            seconds = now - self._first_step_ended
            self._speed = {
                "images_per_second": self.batch_size * (self._steps - 1) / seconds,
                "input_wait": self._waited / seconds,
            }
        if not self.show:
            return
        shown = {**logs, **self._speed}
        if sys.stdout.isatty():
            self._draw(shown)
        elif now - self._printed > _SECONDS_BETWEEN_LINES:
            self._print(f"  step {self._steps}/{self.params['steps']}", shown)

    def on_epoch_end(self, epoch, logs=None):
        """Adds the epoch's speed to the logs, and prints its line."""
        logs.update(self._speed)
        self.add([{"epoch": epoch + 1, **self._speed}])
        if self.show:
            seconds = time.perf_counter() - self._epoch_began
            left = seconds * (self.epochs - epoch - 1)
            end = {"minutes_left": left / 60} if self._steps else {}
            self._print(f"Epoch {epoch + 1}/{self.epochs}", {**logs, **end})

    def _draw(self, shown):
        if self._bar is None or not self._bar.stateful_metrics.issuperset(shown):
            self._bar = keras.utils.Progbar(
                self.params["steps"], stateful_metrics=list(shown)
            )
        self._bar.update(self._steps, list(shown.items()))

    def _print(self, start, shown):
        self._printed = time.perf_counter()
        values = (f"{name} {value:.4g}" for name, value in shown.items())
        print(f"{start}: {', '.join(values)}", flush=True)
