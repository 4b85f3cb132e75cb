"""Exact resume: a killed run ends with the same bits as an uninterrupted one."""

import contextlib
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from absl import logging

from keras_prelu import distribution
from keras_prelu.callbacks import variables
from keras_prelu.callbacks.checkpoints import (
    CheckpointError,
    Checkpoints,
    prefixed,
    unprefixed,
)
from keras_prelu.callbacks.common_step import newest_common_step
from keras_prelu.callbacks.preemption import Preempted, TerminationRequest
from keras_prelu.callbacks.random_state import RandomState
from keras_prelu.keras_internals import build_from_batch
from keras_prelu.number_checks import is_real
from keras_prelu.types import PathLike

__all__ = ["ExactResume", "NotFiniteError"]

# Several workers must all save at the same step, and their clocks differ. So the first
# worker tells the others every few steps whether to save.
_STEPS_BETWEEN_AGREEMENTS = 10


class NotFiniteError(ArithmeticError):
    """The loss or a weight is no longer finite, and training has stopped."""


class ExactResume(keras.callbacks.Callback):
    """Saves everything that a run's next step depends on, and restores it.

    These are the weights and seeds of the model, PyTorch's random state, the variables
    of the optimizer (velocities, learning rate, loss scale, accumulated gradients), the
    metrics so far in this epoch, the position in the data, and the state of the other
    callbacks. A callback has a state if it has the methods `get_state` and `set_state`,
    for a value that `json` can write. It may also have `get_arrays` and `set_arrays`,
    for a dict of NumPy arrays. Use it with `resumable_fit`.

    A loss or a weight that is not finite raises `NotFiniteError` and is never saved. A
    save that fails, for instance on a full disk, is logged, and training continues.

    Optimizers with `use_ema=True` are refused. Keras replaces the weights by their
    averages whenever `fit` ends, and a resume may end one within an epoch.

    Args:
        directory: The folder of the checkpoints, one folder for each worker.
        seconds: Float of at least 0. The least time between two saves.
        fraction: Float in (0, 1]. The largest fraction of the time that saving may
            take: the next save waits until the last one took no more than that.
            The first save does not wait.
        share: The old name of `fraction`, which is deprecated.

    Attributes:
        epoch: Integer. The epochs that are finished.
        batch: Integer. The finished steps of the current epoch.
        step: Integer. The finished steps of the run.
        seconds_saving: Float. The time that saving has taken.

    Examples:
        >>> resume = keras_prelu.callbacks.ExactResume("run/checkpoints", seconds=600)
    """

    def __init__(
        self,
        directory: PathLike,
        seconds: float = 10.0,
        fraction: float = 0.01,
        *,
        share: float | None = None,
    ) -> None:
        super().__init__()
        if share is not None:
            fraction = share
            warnings.warn(
                "The argument `share` of `ExactResume` is deprecated: use `fraction`.",
                DeprecationWarning,
                stacklevel=2,
            )
        if not is_real(fraction) or not 0 < fraction <= 1:
            raise ValueError(
                "Argument `fraction` must be a number in (0, 1]. "
                f"Received: fraction={fraction!r}"
            )
        if not is_real(seconds) or seconds < 0:
            raise ValueError(
                "Argument `seconds` must be a number of at least 0. "
                f"Received: seconds={seconds!r}"
            )
        self.checkpoints = Checkpoints(directory)
        self.seconds = seconds
        self.fraction = fraction
        self.epoch = 0
        self.batch = 0
        self.step = 0
        self.seconds_saving = 0.0
        self._saved_step: int | None = None  # the last one, in earlier processes too
        self._stateful: dict[str, Any] = {}
        self._cost = 0.0
        self._saved_at = time.monotonic()
        self._agreed: tuple[int | None] | None = None
        self._batch_at_start = 0
        self._restored_within: dict[str, np.ndarray] = {}
        self._metrics_before_evaluation: dict[str, np.ndarray] = {}
        self._termination = TerminationRequest()
        self._in_resumable_fit = False
        self._random = RandomState()

    def set_model(self, model: keras.Model) -> None:
        """Set the model, and its strategy, which models on TensorFlow have."""
        super().set_model(model)
        # On JAX, every access to `self.model` gives its variables their values.
        self._strategy = getattr(model, "distribute_strategy", None)

    def follow(self, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        """Set the callbacks whose state belongs to the run."""
        stateful = [c for c in callbacks if hasattr(c, "get_state")]
        self._stateful = {
            f"{number} {type(callback).__name__}": callback
            for number, callback in enumerate(stateful)
        }

    def _with_arrays(self):
        return [
            (name, callback)
            for name, callback in self._stateful.items()
            if hasattr(callback, "get_arrays")
        ]

    # Saving --------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint of the current step. A failure is logged."""
        started = time.monotonic()
        arrays = _read(variables.trained_by(self.model))
        self._stop_unless_finite(arrays)
        if self.batch:
            metrics = _read(variables.metrics_of(self.model))
            arrays.update(self._metrics_before_evaluation or metrics)
        for name, callback in self._with_arrays():
            owned = callback.get_arrays()
            arrays.update(prefixed(name, owned))
        arrays.update(prefixed("random", self._random.arrays))
        state = {
            "backend": keras.backend.backend(),
            "epoch": self.epoch,
            "batch": self.batch,
            "step": self.step,
            "is_first": self._saved_step is None,
            "stopped": bool(self.model.stop_training),
            "callbacks": {
                name: callback.get_state() for name, callback in self._stateful.items()
            },
        }
        try:
            self.checkpoints.save(self.step, arrays, state)
            self._saved_step = self.step
        except OSError as error:
            logging.error(
                "Could not save step %d: %s. Older checkpoints stay.", self.step, error
            )
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - started
        self.seconds_saving += self._cost

    def _stop_unless_finite(self, arrays):
        owners = variables.trained_by(self.model)
        for name, array in arrays.items():
            # NumPy counts bfloat16 and the like as "V".
            if array.dtype.kind in "fV" and not np.isfinite(array).all():
                self._stop(f"The variable {owners[name].path} is not finite")

    def _stop(self, reason):
        raise NotFiniteError(
            f"{reason} at step {self.step} (epoch {self.epoch + 1}, batch "
            f"{self.batch}). The last good checkpoints are in "
            f"{self.checkpoints.directory}: lower the learning rate, or use bfloat16 "
            "or float32 instead of float16"
        )

    # Restoring -----------------------------------------------------------------

    def find_step(self) -> int:
        """Return the step that `restore` will restore, or the current one if none.

        All workers must call it.
        """
        step = newest_common_step(self.checkpoints, self._strategy)
        self._agreed = (step,)
        return self.step if step is None else step

    def restore(self, batch: Any) -> None:
        """Restore the newest whole checkpoint, if there is one.

        Args:
            batch: A batch of the training data, or the `element_spec` of a
                `tf.data.Dataset`. Whatever is not built yet is built for it, to be
                given its values.
        """
        build_from_batch(self.model, batch)
        if self._agreed is None:
            self.find_step()
        (step,), self._agreed = self._agreed or (None,), None
        if step is None:
            # A worker's own checkpoint that the others lack would count as the newest.
            self.checkpoints.drop_after(-1)
            return
        arrays, state = self.checkpoints.load(step)
        self._refuse_another_backend(state)
        self._refuse_other_callbacks(state)
        self._refuse_another_model(arrays, state)
        for name, variable in variables.trained_by(self.model).items():
            variables.write(variable, arrays[name])
        self.epoch, self.batch, self.step = (
            state[name] for name in ("epoch", "batch", "step")
        )
        if self.batch:
            names = self._changed_by_beginning()
            self._restored_within = {name: arrays[name] for name in names}
        self._restore_callbacks(arrays, state)
        self._random.arrays = unprefixed("random", arrays)
        self.model.stop_training = state["stopped"]
        self.checkpoints.drop_after(step)
        self._saved_step = step
        logging.info("Resumed after step %d, in epoch %d", self.step, self.epoch + 1)

    def _refuse_another_backend(self, state):
        # The first checkpoints of this format were TensorFlow's, and did not name it.
        before, now = state.get("backend", "tensorflow"), keras.backend.backend()
        if before != now:
            raise CheckpointError(
                f"The checkpoint in {self.checkpoints.directory} is from a run with "
                f"KERAS_BACKEND={before}, which draws other random numbers. "
                f"Received: KERAS_BACKEND={now}"
            )

    def _refuse_other_callbacks(self, state):
        if list(state["callbacks"]) != list(self._stateful):
            raise CheckpointError(
                f"The checkpoint in {self.checkpoints.directory} is from a run with "
                f"the callbacks {list(state['callbacks'])}. "
                f"Received: callbacks={list(self._stateful)}"
            )

    def _refuse_another_model(self, arrays, state):
        """Compare names, shapes and dtypes before any variable is written."""
        expected = variables.trained_by(self.model)
        if state["batch"]:
            expected |= variables.metrics_of(self.model)
        # Arrays of callbacks and generators have a slash in their names.
        owned = {name: array for name, array in arrays.items() if "/" not in name}
        reasons = variables.differences(expected, owned)
        if reasons:
            raise CheckpointError(
                f"The checkpoint in {self.checkpoints.directory} is from another "
                f"model: {reasons[0]}"
            )

    def _restore_callbacks(self, arrays, state):
        for name, callback in self._stateful.items():
            callback.set_state(state["callbacks"][name])
        for name, callback in self._with_arrays():
            callback.set_arrays(unprefixed(name, arrays))

    def _changed_by_beginning(self):
        """Return the variables that change when an epoch begins, by name.

        Keras resets the metrics, and a `LearningRateScheduler` sets the rate.
        """
        rates = {
            name: variable
            for name, variable in variables.trained_by(self.model).items()
            if variable.name == "learning_rate"
        }
        return variables.metrics_of(self.model) | rates

    def _restore_within_epoch(self):
        """Give what the beginning of an epoch changes its values from within it."""
        changed = self._changed_by_beginning()
        for name, array in self._restored_within.items():
            variables.write(changed[name], array)
        self._restored_within = {}

    # Called by fit -------------------------------------------------------------

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Refuse a plain `fit`, which would restore nothing."""
        if not self._in_resumable_fit:
            raise ValueError(
                "`ExactResume` must be given to `keras_prelu.callbacks.resumable_fit`, "
                "which restores the run before it continues. Received: `ExactResume` "
                "among the callbacks of `fit`"
            )
        if not self._random.arrays:
            self._random.keep()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Undo the beginning of an epoch that has begun in an earlier process."""
        self._batch_at_start = self.batch
        self._restore_within_epoch()

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Let the step draw the numbers that follow those of the last step."""
        self._random.restore()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Count the steps, check the loss, and save when it is time."""
        self._random.keep()
        # Keras may run several steps at a time, and counts from where `fit` began.
        finished = self._batch_at_start + batch + 1
        self.step += finished - self.batch
        self.batch = finished
        loss = float((logs or {})["loss"])
        if not np.isfinite(loss):
            self._stop(f"The loss is {loss}")
        self._end_if_asked()
        if self._is_time():
            self.save()

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Keep the metrics, which Keras resets before the epoch's logs use them."""
        if self.batch:
            metrics = _read(variables.metrics_of(self.model))
            self._metrics_before_evaluation = metrics

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """End within an evaluation if asked to. A resume repeats the evaluation."""
        self._end_if_asked()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Count the epoch, after all other callbacks have finished it."""
        self.epoch = epoch + 1
        self.batch = 0
        self._metrics_before_evaluation = {}
        self._end_if_asked()

    def _is_time(self):
        several = distribution.worker(self._strategy)[1] > 1
        if several and self.step % _STEPS_BETWEEN_AGREEMENTS:
            return False
        waited = time.monotonic() - self._saved_at
        enough = self._cost / self.fraction - self._cost
        due = waited >= max(self.seconds, enough)
        return bool(distribution.gather(self._strategy, [due])[0, 0])

    def _end_if_asked(self):
        if self._termination.has_arrived:
            self.save()
            self._end()

    def _end(self):
        logging.warning("SIGTERM: saved after step %d, ending.", self.step)
        raise Preempted

    @contextlib.contextmanager
    def in_resumable_fit(self) -> Iterator[None]:
        """Allow `fit` within a block, in which SIGTERM ends the run after a step."""
        self._in_resumable_fit = True
        try:
            with self._termination.noticed():
                yield
        finally:
            self._in_resumable_fit = False
            self._random.restore()  # for a `fit` that follows this one
        if self._termination.has_arrived:  # during the last save
            self._end()


def _read(named):
    return {name: variables.read(variable) for name, variable in named.items()}
