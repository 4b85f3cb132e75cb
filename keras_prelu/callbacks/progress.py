"""How far a run is, how fast it goes, and whether it waits for its data."""

import sys
import time

import keras

from keras_prelu.callbacks.logs import TableLog

_SECONDS_BETWEEN_LINES = 60.0


class Progress(TableLog):
    """Shows loss, errors, images per second, time left and the wait for input.

    The wait for input is the fraction of the time that the training loop waits for its
    next batch: near 0 the pipeline keeps up, near 1 it is the bottleneck. Only the
    batches that `watch` returns are timed.

    At a terminal it draws Keras's bar; elsewhere it prints a line a minute. Each epoch
    ends with a line, and its speed is added to its logs as `images_per_second` and
    `input_wait`. The first step is left out of it, since it compiles the model.

    Args:
        batch_size: Integer. Images per step, over all replicas.
        epochs: Integer. Epochs in all, for the time left.
        path: A CSV file for the speed of each epoch, or None. Of all that a run
            writes, this file alone differs when the run is repeated.
        show: Boolean. False on all workers but the first.

    Examples:
        >>> import tensorflow as tf
        >>> progress = keras_prelu.callbacks.Progress(batch_size=4, epochs=80)
        >>> batches = tf.data.Dataset.range(100).batch(4)
        >>> batches = progress.watch(batches)  # to be given to `fit`
    """

    def __init__(self, batch_size, epochs, path=None, show=True):
        super().__init__(path)
        self.batch_size = batch_size
        self.epochs = epochs
        self.show = show
        self._bar = None
        self._speed = {}
        self._steps = 0
        self._waited = None  # seconds that the loop has waited for watched batches
        self._epoch_began = self._printed = time.perf_counter()

    def watch(self, batches):
        """Measures how long the training loop waits for each batch of a data set.

        Args:
            batches: A `tf.data.Dataset`.

        Returns:
            The same batches, as a `tf.data.Dataset` whose elements are timed.
        """
        import tensorflow as tf

        from keras_prelu.data.python_functions import call_python

        self._waited = 0.0

        def ask(number):
            # Not tf.timestamp, which TensorFlow's deterministic mode refuses.
            return call_python(lambda: [time.perf_counter()], [], [tf.float64])[0]

        def receive(asked, batch):
            call_python(self._received, [asked], [tf.float64])
            return batch

        # Each element of a zip is asked for in turn, first the time, then the batch.
        # TensorFlow may add a prefetch at the end; with one before, it has no effect.
        asked = tf.data.Dataset.counter().map(ask)
        return tf.data.Dataset.zip(asked, batches.prefetch(1)).map(receive)

    def _received(self, asked):
        self._waited += time.perf_counter() - asked
        return [self._waited]

    def on_epoch_begin(self, epoch, logs=None):
        """Starts the clocks."""
        self._bar = None
        self._speed = {}
        self._steps = 0
        self._epoch_began = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        """Measures the speed since the epoch's first step, and shows it."""
        is_first = self._steps == 0
        self._steps = batch + 1  # Keras may run several steps at a time
        now = time.perf_counter()
        if is_first:
            self._first = self._steps, now, self._waited
        else:
            steps, began, waited = self._first
            seconds = now - began
            images = self.batch_size * (self._steps - steps)
            self._speed = {"images_per_second": images / seconds}
            if self._waited is not None:
                # A wait that began before the first step's end counts in full.
                wait = min((self._waited - waited) / seconds, 1.0)
                self._speed["input_wait"] = wait
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
