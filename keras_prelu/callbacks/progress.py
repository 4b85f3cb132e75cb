"""The progress of a run: its metrics, its speed, and how long it waits for data."""

import re
import shutil
import statistics
import sys
import time
from typing import Any

from keras_prelu.callbacks.logs import TableLog
from keras_prelu.data.numpy_batches import NumpyBatches
from keras_prelu.types import PathLike

__all__ = ["Progress"]

_SECONDS_BETWEEN_LINES = 60.0
_SECONDS_BETWEEN_UPDATES = 0.2  # of the line at a terminal
_EPOCHS_OF_MEDIAN = 5  # the last epochs, whose median predicts the next ones
# The first epoch of a `fit` compiles the model too. A short one predicts nothing.
_SECONDS_OF_A_FIRST_EPOCH = 60.0


class Progress(TableLog):
    """Shows loss, errors, images per second, the input wait and the time left.

    The input wait is the fraction of the time in which the training loop waits for its
    next batch: near 0 % the pipeline keeps up, near 100 % it is the bottleneck. Only
    the batches that `watch` returns are timed.

    Each epoch ends with one line. Within an epoch a terminal shows the same line as it
    changes, and a log file gets one line per minute. The speed is added to the epoch's
    logs as `images_per_second` and `input_wait`. It leaves out the first step, which
    compiles the model.

    Args:
        batch_size: Integer. Images per step, over all replicas. `None` if `fine_tune`
            chooses it.
        epochs: Integer. The epochs of the whole run, for the time left. `None` if
            `fine_tune` chooses it.
        path: A CSV file for the speed of each epoch, or None. It is the only file of a
            run that differs when the run is repeated.
        show: Boolean. False on all workers but the first.

    Examples:
        >>> import tensorflow as tf
        >>> progress = keras_prelu.callbacks.Progress(batch_size=4, epochs=80)
        >>> batches = tf.data.Dataset.range(100).batch(4)
        >>> batches = progress.watch(batches)  # for `fit`
    """

    def __init__(
        self,
        batch_size: int | None,
        epochs: int | None,
        path: PathLike | None = None,
        show: bool = True,
    ) -> None:
        super().__init__(path)
        self.batch_size = batch_size
        self.epochs = epochs
        self.show = show
        self._speed: dict[str, float] = {}
        self._steps = 0
        self._waited: float | None = None  # seconds of waiting for watched batches
        # The number of the first step, its end, and the wait before that.
        self._first_step: tuple[int, float, float | None] = 0, 0.0, None
        self._epoch_seconds: list[float] = []
        self._is_first_epoch = False  # of a `fit`
        self._epoch = 0
        self._epoch_began = self._printed = time.perf_counter()

    def watch(self, batches: Any) -> Any:
        """Measure how long the training loop waits for each of its batches.

        Args:
            batches: A `tf.data.Dataset`, or `keras_prelu.data.NumpyBatches`.

        Returns:
            The same batches, of the same type.
        """
        self._waited = 0.0
        if isinstance(batches, NumpyBatches):
            return NumpyBatches(lambda: self._timed(iter(batches)))
        return self._timed_dataset(batches)

    def _timed(self, iterator):
        while True:
            asked = time.perf_counter()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            self._received(asked)
            yield batch

    def _timed_dataset(self, batches):
        import tensorflow as tf

        from keras_prelu.data.python_functions import call_python

        def ask(number):
            # Not tf.timestamp, which TensorFlow's deterministic mode refuses.
            return call_python(lambda: [time.perf_counter()], [], [tf.float64])[0]

        def receive(asked, batch):
            call_python(self._received, [asked], [tf.float64])
            return batch

        # A zip asks for its parts in turn: first for the time, then for the batch.
        # TensorFlow may add a prefetch at the end, which has no effect after this one.
        asked = tf.data.Dataset.counter().map(ask)
        return tf.data.Dataset.zip(asked, batches.prefetch(1)).map(receive)

    def _received(self, asked):
        self._waited += time.perf_counter() - asked
        return [self._waited]

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Refuse to begin without the numbers that `fine_tune` fills in."""
        self._is_first_epoch = True
        for name in ("batch_size", "epochs"):
            if getattr(self, name) is None:
                raise ValueError(
                    f"Argument `{name}` of `Progress` must be an integer, unless "
                    f"`fine_tune` chooses it. Received: {name}=None"
                )

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start the clocks."""
        self._epoch = epoch
        self._speed = {}
        self._steps = 0
        self._epoch_began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Measure the speed since the epoch's first step, and show it."""
        is_first = self._steps == 0
        self._steps = batch + 1  # Keras may run several steps at a time
        now = time.perf_counter()
        if is_first:
            self._first_step = self._steps, now, self._waited
        else:
            self._measure(now)
        if not self.show:
            return
        is_drawn = sys.stdout.isatty()
        pause = _SECONDS_BETWEEN_UPDATES if is_drawn else _SECONDS_BETWEEN_LINES
        if now - self._printed > pause:
            self._print({**(logs or {}), **self._speed}, is_over=False)

    def _measure(self, now):
        steps, began, waited = self._first_step
        seconds = now - began
        images = self.batch_size * (self._steps - steps)
        self._speed = {"images_per_second": images / seconds}
        if self._waited is not None:
            # A wait that began before the first step's end counts in full.
            wait = min((self._waited - waited) / seconds, 1.0)
            self._speed["input_wait"] = wait

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Add the epoch's speed to the logs, and print its line."""
        logs = {} if logs is None else logs
        self._epoch = epoch  # `resumable_fit` may end an epoch that began earlier
        logs.update(self._speed)
        self.add([{"epoch": epoch + 1, **self._speed}])
        if self.show:
            self._print(logs, is_over=True, left=self._seconds_left(epoch))
        self._is_first_epoch = False

    def _seconds_left(self, epoch):
        if self._steps:  # none if the run was stopped just before a validation
            seconds = time.perf_counter() - self._epoch_began
            if not self._is_first_epoch or seconds > _SECONDS_OF_A_FIRST_EPOCH:
                self._epoch_seconds.append(seconds)
        recent = self._epoch_seconds[-_EPOCHS_OF_MEDIAN:]
        return statistics.median(recent) * (self.epochs - epoch - 1) if recent else None

    def _print(self, logs, is_over, left=None):
        """Print the line of an epoch that is over, or of one that is not."""
        self._printed = time.perf_counter()
        width = len(str(self.epochs))
        start = f"Epoch {self._epoch + 1:{width}}/{self.epochs}"
        if not is_over:
            start += f", step {self._steps}/{self.params['steps']}"
        values = [*_texts(logs, _classes(self.model))]
        if left is not None:
            values.append(f"{_duration(left)} left")
        line, end = f"{start}: {', '.join(values)}", "\n"
        if sys.stdout.isatty():
            # One column less than the terminal has: a full line would wrap.
            columns = shutil.get_terminal_size().columns - 1
            line = "\r" + (line if is_over else line[:columns]).ljust(columns)
            end = "\n" if is_over else ""
        print(line, end=end, flush=True)


def _classes(model):
    """Return how many classes a model's last dimension has, or None."""
    model = getattr(model, "model", model)  # in an `AugmentedModel`
    try:
        return model.output_shape[-1]
    except (AttributeError, KeyError, TypeError):
        return None  # a subclassed model, or one of several outputs


def _texts(logs, classes):
    """Yield the logs in words, padded to equal lengths in every epoch."""
    for name, value in logs.items():
        # With five classes or fewer it is always 0.
        if name.removeprefix("val_") == "top5_error" and classes and classes <= 5:
            continue
        if name == "images_per_second":
            yield f"{value:6,.0f} images/s"
        elif name == "input_wait":
            yield f"input wait {100 * value:3.0f} %"
        elif name.endswith(("error", "accuracy")):
            yield f"{_words(name)} {100 * value:5.1f} %"
        elif name.endswith("loss"):
            yield f"{_words(name)} {value:7.4f}"
        else:
            yield f"{_words(name)} {value:<6.4g}"


def _words(name):
    """Return the name of a metric as people write it."""
    return re.sub(r"\btop(\d+)", r"top-\1", name.replace("_", " "))


def _duration(seconds):
    """Return a duration in hours, minutes and seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
