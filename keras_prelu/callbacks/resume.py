"""Exact resume: a run that was killed ends with the bits of one that was not."""

import contextlib
import signal
import threading
import time

import keras
import numpy as np
from absl import logging

from keras_prelu import distribution, keras_repairs
from keras_prelu.callbacks import variables
from keras_prelu.callbacks.checkpoints import CheckpointError, Checkpoints

# sysexits.h's EX_TEMPFAIL: "try again later", which is what a scheduler should do.
PREEMPTED = 75

# On several machines each worker tells the others its newest steps: no more are kept.
_STEPS_TOLD = 4
# On several machines the first worker tells the others every so many steps whether to
# save: they must all save at the same step, and their clocks differ.
_STEPS_BETWEEN_AGREEMENTS = 10


class NotFiniteError(ArithmeticError):
    """The loss or a weight is no longer a number, and training has stopped."""


class Preempted(SystemExit):
    """The process was asked to end (SIGTERM), and has saved. Its code is 75."""

    def __init__(self):
        super().__init__(PREEMPTED)


class ExactResume(keras.callbacks.Callback):
    """Saves all that a run's next step depends on, and takes it up again.

    That is: the weights and the seeds of the model, the variables of the optimizer
    (velocities, learning rate, loss scale, accumulated gradients), the metrics so far
    in this epoch, the position in the data, and the state of every callback that has
    the methods `get_state` and `set_state` (what `json` can write), and perhaps
    `get_arrays` and `set_arrays` (a dict of NumPy arrays). To be used with
    `resumable_fit`.

    A loss or a weight that is not finite raises `NotFiniteError` and is never saved. A
    save that fails, for instance on a full disk, is logged, and training goes on.

    Args:
        directory: The folder of the checkpoints, one for each worker.
        seconds: Float. The least time from one save to the next.
        share: Float in (0, 1]. The most that saving may take of the time: a save is put
            off until the last one's cost is no more than this share.

    Examples:
        >>> resume = keras_prelu.callbacks.ExactResume("run/checkpoints", seconds=600)
    """

    def __init__(self, directory, seconds=10.0, share=0.01):
        super().__init__()
        if not 0 < share <= 1:
            raise ValueError(f"`share` must lie in (0, 1]. Received: share={share}")
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "`ExactResume` needs Keras to run on TensorFlow. "
                f"Received: backend={keras.backend.backend()!r}"
            )
        self.checkpoints = Checkpoints(directory)
        self.seconds = seconds
        self.share = share
        self.epoch = 0  # epochs that are over
        self.batch = 0  # steps of the present epoch that are over
        self.step = 0  # steps that are over
        self.seconds_saving = 0.0
        self._saved_step = None  # the last one that was saved, by an earlier run too
        self._stateful = {}
        self._cost = 0.0
        self._saved_at = time.monotonic()
        self._restored_metrics = None
        self._metrics_before_evaluation = None
        self._asked_to_end = False
        self._in_resumable_fit = False

    def follow(self, callbacks):
        """Names the callbacks whose state belongs to the run."""
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

    # What is saved -------------------------------------------------------------

    def _variables(self):
        return {
            **{f"model-{i}": v for i, v in enumerate(self.model.variables)},
            **{
                f"optimizer-{i}": v
                for i, v in enumerate(self.model.optimizer.variables)
            },
        }

    def _metrics(self):
        return {f"metric-{i}": v for i, v in enumerate(self.model.metrics_variables)}

    def _read_metrics(self):
        return [variables.read(v) for v in self.model.metrics_variables]

    def save(self):
        """Writes a checkpoint of this moment; only logs it where that fails."""
        started = time.monotonic()
        arrays = {name: variables.read(v) for name, v in self._variables().items()}
        self._refuse_unless_finite(arrays)
        if self.batch:
            metrics = self._metrics_before_evaluation or self._read_metrics()
            arrays.update(zip(self._metrics(), metrics, strict=True))
        for name, callback in self._with_arrays():
            owned = callback.get_arrays()
            arrays.update({f"{name}/{key}": array for key, array in owned.items()})
        state = {
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

    def _refuse_unless_finite(self, arrays):
        owners = self._variables()
        for name, array in arrays.items():
            if array.dtype.kind in "fV" and not np.isfinite(array).all():
                self._stop(f"The variable {owners[name].path} is not finite")

    def _stop(self, reason):
        raise NotFiniteError(
            f"{reason} at step {self.step} (epoch {self.epoch + 1}, batch "
            f"{self.batch}). The last good checkpoints are in "
            f"{self.checkpoints.directory}: lower the learning rate, or use bfloat16 "
            "or float32 in place of float16"
        )

    # Taking it up --------------------------------------------------------------

    def restore(self, batch_specification):
        """Takes up the newest whole checkpoint, if there is one.

        Args:
            batch_specification: The `element_spec` of the training data: what is not
                built yet must be, before it can be given its values.
        """
        keras_repairs.build_from_specification(self.model, batch_specification)
        step = self._newest_common_step()
        if step is None:
            self.checkpoints.drop_after(-1)  # one that is left would pass for newer
            return
        arrays, state = self.checkpoints.load(step)
        if list(state["callbacks"]) != list(self._stateful):
            raise CheckpointError(
                f"The checkpoint in {self.checkpoints.directory} is of a run with the "
                f"callbacks {list(state['callbacks'])}. "
                f"Received: callbacks={list(self._stateful)}"
            )
        self._refuse_another_model(arrays, state)
        for name, variable in self._variables().items():
            variables.write(variable, arrays[name])
        self.epoch, self.batch, self.step = (
            state[name] for name in ("epoch", "batch", "step")
        )
        if self.batch:
            self._restored_metrics = [arrays[name] for name in self._metrics()]
        for name, callback in self._stateful.items():
            callback.set_state(state["callbacks"][name])
        for name, callback in self._with_arrays():
            start = f"{name}/"
            callback.set_arrays(
                {
                    k.removeprefix(start): a
                    for k, a in arrays.items()
                    if k.startswith(start)
                }
            )
        self.model.stop_training = state["stopped"]
        self.checkpoints.drop_after(step)
        self._saved_step = step
        logging.info("Resumed after step %d, in epoch %d", self.step, self.epoch + 1)

    def _newest_common_step(self):
        """Returns the newest step that all workers have saved, or None at the start."""
        try:
            good, flaw = self.checkpoints.good_steps()[-_STEPS_TOLD:], None
        except CheckpointError as error:
            good, flaw = [], error
        is_late = bool(good) and not self.checkpoints.state(good[-1])["is_first"]
        told = [flaw is not None, is_late, *good, *[-1] * (_STEPS_TOLD - len(good))]
        rows = distribution.gather(self.model.distribute_strategy, told)
        if flaw is not None:
            raise flaw
        steps = [{int(step) for step in row if step >= 0} for row in rows[:, 2:]]
        common = set.intersection(*steps)
        listing = "; ".join(
            f"worker {number}: {', '.join(map(str, sorted(own))) or 'none'}"
            for number, own in enumerate(steps)
        )
        if not common and rows[:, :2].any():
            raise CheckpointError(
                "All workers must have a checkpoint of the same step. To begin again "
                f"delete the checkpoints of all of them. Received: steps of {listing}"
            )
        if not common and any(steps):
            logging.warning(
                "BEGINS AGAIN at step 0: the first save was not finished everywhere "
                "(steps of %s).",
                listing,
            )
        return max(common, default=None)

    def _refuse_another_model(self, arrays, state):
        """Compares names, shapes and types before any variable is written."""
        wanted = self._variables() | (self._metrics() if state["batch"] else {})
        owned = {name for name in arrays if "/" not in name}  # others: of callbacks
        reasons = [f"{name} is missing" for name in sorted(wanted.keys() - owned)]
        reasons += [f"{name} is too much" for name in sorted(owned - wanted.keys())]
        reasons += [
            reason
            for name in sorted(wanted.keys() & owned)
            if (reason := variables.mismatch(wanted[name], arrays[name]))
        ]
        if reasons:
            raise CheckpointError(
                f"The checkpoint in {self.checkpoints.directory} is of another model: "
                f"{reasons[0]}"
            )

    def restore_metrics(self):
        """Gives the metrics the values that they had within the epoch, once."""
        if self._restored_metrics is None:
            return
        for variable, array in zip(
            self.model.metrics_variables, self._restored_metrics, strict=True
        ):
            variables.write(variable, array)
        self._restored_metrics = None

    # Called by fit -------------------------------------------------------------

    def on_train_begin(self, logs=None):
        """Refuses a plain `fit`, in which nothing would ever be restored."""
        if not self._in_resumable_fit:
            raise ValueError(
                "`ExactResume` must be given to `keras_prelu.callbacks.resumable_fit`, "
                "which restores the run before it goes on. Received: `ExactResume` "
                "among the callbacks of `fit`"
            )

    def on_epoch_begin(self, epoch, logs=None):
        """Keras has just reset the metrics."""
        self._batch_at_start = self.batch
        self.restore_metrics()

    def on_train_batch_end(self, batch, logs=None):
        """Counts the steps, looks at the loss, saves when it is time."""
        # Keras may run several steps at a time, and counts from where `fit` began.
        over = self._batch_at_start + batch + 1
        self.step += over - self.batch
        self.batch = over
        loss = logs["loss"]
        if not np.isfinite(loss):
            self._stop(f"The loss is {loss}")
        self._end_if_asked()
        if self._is_time():
            self.save()

    def on_test_begin(self, logs=None):
        """Keras is about to reset the metrics, which the epoch's logs still need."""
        if self.batch:
            self._metrics_before_evaluation = self._read_metrics()

    def on_test_batch_end(self, batch, logs=None):
        """Ends in the middle of an evaluation, which will be done again."""
        self._end_if_asked()

    def on_epoch_end(self, epoch, logs=None):
        """Runs after all other callbacks, when the epoch is over for them too."""
        self.epoch = epoch + 1
        self.batch = 0
        self._metrics_before_evaluation = None
        self._end_if_asked()

    def _is_time(self):
        strategy = self.model.distribute_strategy
        several = distribution.worker(strategy)[1] > 1
        if several and self.step % _STEPS_BETWEEN_AGREEMENTS:
            return False
        waited = time.monotonic() - self._saved_at
        enough = self._cost / self.share - self._cost
        due = waited >= max(self.seconds, enough)
        return bool(distribution.gather(strategy, [due])[0, 0])

    def _end_if_asked(self):
        if self._asked_to_end:
            self.save()
            logging.warning("SIGTERM: saved after step %d, ending.", self.step)
            raise Preempted

    @contextlib.contextmanager
    def in_resumable_fit(self):
        """Within the block `fit` may be called, and SIGTERM ends it after a step."""
        self._in_resumable_fit = True
        try:
            with self._ending_on_sigterm():
                yield
        finally:
            self._in_resumable_fit = False

    @contextlib.contextmanager
    def _ending_on_sigterm(self):
        if threading.current_thread() is not threading.main_thread():
            yield  # Python lets only the main thread handle signals
            return

        def ask(signal_number, frame):
            self._asked_to_end = True

        previous = signal.signal(signal.SIGTERM, ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, previous)
