"""Tests that a run ends with the same bits if it is interrupted and started again."""

import csv
import errno
import os
import resource
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_run import (
    ALWAYS,
    BATCH,
    EPOCHS,
    SELDOM,
    STEPS,
    batches_from,
    bits,
    make_model,
    make_validation,
    run,
    variables,
)

from keras_prelu import callbacks, distribution
from keras_prelu.data import NumpyBatches
from tests.interruptions import (
    InterruptAt,
    InterruptedRunError,
    interrupt,
    send_sigterm,
    sigterm_in_each_save,
)


def test_the_run_has_everything_that_a_resume_could_lose(uninterrupted):
    rows = list(csv.DictReader(uninterrupted["metrics"].splitlines()))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4]
    assert len({row["learning_rate"] for row in rows}) > 1  # the schedule acted
    assert len({row["loss"] for row in rows}) == 4
    assert len(uninterrupted["slopes"].splitlines()) == 1 + EPOCHS
    assert "prelu1" in uninterrupted["slopes"]
    assert len(uninterrupted["events"]) == 2 * EPOCHS


on_tensorflow = pytest.mark.tensorflow_only


@pytest.mark.parametrize(
    "saving", [ALWAYS, pytest.param(SELDOM, marks=[on_tensorflow, pytest.mark.slow])]
)
@pytest.mark.parametrize(
    ("method", "count"),
    [
        pytest.param("on_train_batch_end", 1, marks=on_tensorflow),
        ("on_train_batch_end", 2 * STEPS - 2),
        pytest.param("on_train_batch_end", 2 * STEPS, marks=on_tensorflow),
        pytest.param("on_test_begin", 2, marks=on_tensorflow),
        ("on_test_batch_end", 5),
        pytest.param("on_epoch_end", 3, marks=on_tensorflow),
        ("on_epoch_begin", 3),
        pytest.param("on_train_end", 1, marks=on_tensorflow),
    ],
)
def test_killed_and_resumed_has_the_same_bits(
    method, count, saving, tmp_path, uninterrupted
):
    with pytest.raises(InterruptedRunError):
        run(tmp_path, [InterruptAt(method, count, interrupt)], **saving)
    model, keeper = run(tmp_path, **saving)
    assert bits(model, tmp_path) == uninterrupted
    assert keeper.step == EPOCHS * STEPS


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="feeds another backend"
)
def test_batches_of_arrays_resume_with_the_bits_of_tensorflows(tmp_path, uninterrupted):
    progress = callbacks.Progress(BATCH, EPOCHS, show=False)

    def arrays_from(step):
        batches = NumpyBatches(batches_from(step).as_numpy_iterator)
        return progress.watch(batches)

    kill = InterruptAt("on_train_batch_end", 2 * STEPS - 2, interrupt)
    with pytest.raises(InterruptedRunError):
        run(tmp_path, [kill, progress], train=arrays_from, **ALWAYS)
    model, _ = run(tmp_path, [progress], train=arrays_from, **ALWAYS)
    assert variables(model) == uninterrupted["variables"]
    assert all(0 <= row["input_wait"] <= 1 for row in progress.rows)


@pytest.mark.tensorflow_only
def test_resumes_at_its_last_step_and_not_at_the_start(tmp_path):
    with pytest.raises(InterruptedRunError):
        run(tmp_path, [InterruptAt("on_train_batch_end", 8, interrupt)], **ALWAYS)
    counter = InterruptAt("on_train_batch_end", 10**6, interrupt)
    run(tmp_path, [counter], **SELDOM)
    assert counter.calls == EPOCHS * STEPS - 7  # the eighth step was not saved


@pytest.mark.tensorflow_only
@pytest.mark.slow
def test_killed_at_every_step(tmp_path, uninterrupted):
    for _ in range(EPOCHS * STEPS + EPOCHS):
        kill = InterruptAt("on_train_batch_begin", 2, interrupt)
        try:
            model, _ = run(tmp_path, [kill], **ALWAYS)
            break
        except InterruptedRunError:
            continue
    assert kill.calls <= 1
    assert bits(model, tmp_path) == uninterrupted


@pytest.mark.tensorflow_only
def test_the_pipeline_is_built_once_at_each_start(tmp_path):
    starts = []

    def batches(step):
        starts.append(step)
        return batches_from(step)

    for epochs in (1, 2):
        keeper = callbacks.ExactResume(tmp_path)
        callbacks.resumable_fit(make_model(), batches, epochs, STEPS, keeper)
    assert starts == [0, STEPS]


@pytest.mark.tensorflow_only
def test_a_finished_run_is_not_trained_again(tmp_path, uninterrupted):
    run(tmp_path)
    counter = InterruptAt("on_train_batch_end", 10**6, interrupt)
    model, _ = run(tmp_path, [counter])
    assert counter.calls == 0
    assert bits(model, tmp_path) == uninterrupted


@pytest.mark.parametrize("method", ["on_train_batch_end", "on_test_batch_end"])
def test_sigterm_saves_and_ends_with_its_code(method, tmp_path, uninterrupted):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path, [InterruptAt(method, 4, send_sigterm)], **SELDOM)
    assert stopped.value.code == callbacks.PREEMPTED == 75
    assert signal.getsignal(signal.SIGTERM) == before
    again = InterruptAt("on_train_batch_end", 10**6, interrupt)
    model, _ = run(tmp_path, [again], **SELDOM)
    # The fourth evaluated batch is of the second epoch: three make an evaluation.
    steps_before = 4 if method == "on_train_batch_end" else 2 * STEPS
    assert again.calls == EPOCHS * STEPS - steps_before
    assert bits(model, tmp_path) == uninterrupted


def test_sigterm_during_the_last_save_ends_with_its_code(tmp_path, uninterrupted):
    with sigterm_in_each_save(), pytest.raises(callbacks.Preempted):
        run(tmp_path, **SELDOM)  # saves once
    again = InterruptAt("on_train_batch_end", 10**6, interrupt)
    model, _ = run(tmp_path, [again], **SELDOM)
    assert again.calls == 0
    assert bits(model, tmp_path) == uninterrupted


@pytest.mark.tensorflow_only
def test_killed_while_it_saves(tmp_path, uninterrupted, monkeypatch):
    real = np.savez

    def torn(file, **arrays):
        file.write(b"half a checkpoint")
        if os.environ["SAVES_LEFT"] == "0":
            raise InterruptedRunError
        os.environ["SAVES_LEFT"] = str(int(os.environ["SAVES_LEFT"]) - 1)
        file.seek(0)
        real(file, **arrays)

    monkeypatch.setattr(np, "savez", torn)
    monkeypatch.setenv("SAVES_LEFT", "6")
    with pytest.raises(InterruptedRunError):
        run(tmp_path, **ALWAYS)
    monkeypatch.undo()
    model, _ = run(tmp_path, **ALWAYS)
    assert bits(model, tmp_path) == uninterrupted


@pytest.mark.tensorflow_only
def test_the_last_good_checkpoint_is_used_if_the_newest_is_damaged(
    tmp_path, uninterrupted
):
    with pytest.raises(InterruptedRunError):
        run(tmp_path, [InterruptAt("on_train_batch_end", 9, interrupt)], **ALWAYS)
    older, newest = sorted((tmp_path / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-100])
    model, _ = run(tmp_path, **SELDOM)
    assert bits(model, tmp_path) == uninterrupted


@pytest.mark.tensorflow_only
def test_only_damaged_checkpoints_are_an_error_and_not_a_new_start(tmp_path):
    run(tmp_path)
    for file in (tmp_path / "checkpoints").iterdir():
        file.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"undamaged.*Received: .*step-0"):
        run(tmp_path)


@pytest.mark.tensorflow_only
def test_a_full_disk_is_logged_and_training_continues(
    tmp_path, uninterrupted, monkeypatch
):
    errors = []
    monkeypatch.setattr("absl.logging.error", lambda *args: errors.append(args))
    real = np.savez

    def full(file, **arrays):
        if len(errors) < 3:
            file.write(b"as far as it went")
            raise OSError(errno.ENOSPC, "No space left on device")
        real(file, **arrays)

    monkeypatch.setattr(np, "savez", full)
    model, _ = run(tmp_path, **ALWAYS)
    assert bits(model, tmp_path) == uninterrupted
    assert "No space left" in str(errors[0][2])
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2


@pytest.mark.tensorflow_only
def test_tables_and_curves_on_a_full_disk_do_not_stop_the_training(
    tmp_path, uninterrupted, monkeypatch
):
    errors = []
    monkeypatch.setattr(
        "absl.logging.error", lambda *args: errors.append(args[0] % args[1:])
    )
    whole_file = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30, whole_file[1]))
    try:
        model, _ = run(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, whole_file)
    assert variables(model) == uninterrupted["variables"]
    for what in ("metrics.csv", "slopes.csv", "epoch 2 to", "Could not save step 20"):
        assert any(what in line and "File too large" in line for line in errors), what
    assert not (tmp_path / "metrics.csv").exists()
    model, _ = run(tmp_path)  # when the disk has space again
    assert bits(model, tmp_path) == uninterrupted


def test_a_loss_that_is_not_a_number_stops_and_names_the_step(tmp_path):
    def poison(step):
        return batches_from(step).map(
            lambda x, y: (tf.where(y[0] < 9, x * float("nan"), x), y)
        )

    model = make_model()
    keeper = callbacks.ExactResume(tmp_path, **ALWAYS)
    callbacks.resumable_fit(model, batches_from, 1, STEPS, keeper)
    good = callbacks.Checkpoints(tmp_path).good_steps()
    assert good[-1] == STEPS
    keeper = callbacks.ExactResume(tmp_path, **ALWAYS)
    with pytest.raises(callbacks.NotFiniteError, match=r"loss is nan at step 6 \(ep"):
        callbacks.resumable_fit(make_model(), poison, 2, STEPS, keeper)
    assert callbacks.Checkpoints(tmp_path).good_steps() == good


def test_weights_that_are_not_numbers_are_never_saved(tmp_path):
    model = make_model(learning_rate=1e30)  # a finite loss, then an overflow
    keeper = callbacks.ExactResume(tmp_path, **ALWAYS)
    with pytest.raises(callbacks.NotFiniteError, match="at step"):
        callbacks.resumable_fit(model, batches_from, 3, STEPS, keeper)
    for step in callbacks.Checkpoints(tmp_path).good_steps():
        arrays, _ = callbacks.Checkpoints(tmp_path).load(step)
        assert all(np.isfinite(array).all() for array in arrays.values())


def test_keeps_half_precision_weights(tmp_path):
    keras.config.set_dtype_policy("bfloat16")
    model, _ = run(tmp_path)
    assert model.variables[0].dtype == "bfloat16"
    resumed, _ = run(tmp_path)
    for ours, theirs in zip(model.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.tensorflow_only
@pytest.mark.slow
def test_two_replicas_resume_with_the_same_bits(tmp_path):
    strategy = distribution.strategy("mirrored")

    def mirrored(workdir, extra=()):
        with strategy.scope():
            return run(workdir, extra, model=make_model(), **ALWAYS)[0]

    whole = bits(mirrored(tmp_path / "whole"), tmp_path / "whole")
    with pytest.raises(InterruptedRunError):
        kill = InterruptAt("on_train_batch_end", STEPS + 3, interrupt)
        mirrored(tmp_path / "killed", [kill])
    resumed = mirrored(tmp_path / "killed")
    assert bits(resumed, tmp_path / "killed") == whole


@pytest.mark.tensorflow_only
def test_metrics_move_from_two_replicas_to_one(tmp_path):
    strategy = distribution.strategy("mirrored")
    with strategy.scope():
        model = make_model()
    keeper = callbacks.ExactResume(tmp_path, **ALWAYS)
    kill = InterruptAt("on_train_batch_end", STEPS, interrupt)
    with pytest.raises(InterruptedRunError):
        callbacks.resumable_fit(model, batches_from, 1, STEPS, keeper, [kill])
    arrays, state = callbacks.Checkpoints(tmp_path).load(STEPS - 1)
    assert state["batch"] == STEPS - 1
    resumed = make_model()
    keeper = callbacks.ExactResume(tmp_path)
    keeper.set_model(resumed)
    keeper.restore(batches_from(0).element_spec)
    keeper.on_epoch_begin(0)
    total, count = (v.numpy() for v in resumed.metrics_variables[:2])
    assert count == arrays["metric-1"].sum() == 8 * (STEPS - 1)
    np.testing.assert_allclose(total, arrays["metric-0"].sum(), rtol=1e-6)


@pytest.mark.tensorflow_only
def test_a_run_that_was_stopped_early_stays_so(tmp_path):
    def stop_at_once():
        callback.model.stop_training = True

    callback = InterruptAt("on_epoch_end", 2, stop_at_once)
    _, resume = run(tmp_path, [callback])
    assert resume.epoch == 2
    model, resume = run(tmp_path)
    assert resume.epoch == 2
    assert model.optimizer.iterations == 2 * STEPS


class _Remembers(keras.callbacks.Callback):
    """A callback whose state is an array."""

    def __init__(self):
        super().__init__()
        self.sums = np.zeros(3)

    def on_epoch_end(self, epoch, logs=None):
        self.sums = self.sums + epoch + 1

    def get_state(self):
        return {}

    def set_state(self, state):
        pass

    def get_arrays(self):
        return {"sums": self.sums}

    def set_arrays(self, arrays):
        self.sums = arrays["sums"]


@pytest.mark.tensorflow_only
def test_arrays_of_callbacks_are_kept(tmp_path):
    run(tmp_path, [_Remembers()])
    again = _Remembers()
    run(tmp_path, [again])
    assert again.sums.tolist() == [1 + 2 + 3 + 4] * 3


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="takes one step at a time"
)
def test_several_steps_at_a_time_are_all_counted(tmp_path):
    def fit(folder, extra=()):
        model = make_model()
        model.compile(model.optimizer, model.loss, steps_per_execution=2)
        resume = callbacks.ExactResume(folder, **ALWAYS)
        callbacks.resumable_fit(model, batches_from, 3, 4, resume, extra)
        return [v.numpy().tobytes() for v in model.variables], resume.step

    whole = fit(tmp_path / "whole")
    assert whole[1] == 3 * 4
    with pytest.raises(InterruptedRunError):
        fit(tmp_path / "killed", [InterruptAt("on_train_batch_end", 4, interrupt)])
    assert callbacks.Checkpoints(tmp_path / "killed").good_steps()[-1] == 6
    assert fit(tmp_path / "killed") == whole


def _rates(folder, extra):
    """Train or resume; return the learning rate of each epoch."""
    log = callbacks.MetricsLog()
    resume = callbacks.ExactResume(folder / "checkpoints", **ALWAYS)
    callbacks.resumable_fit(
        make_model(0.08),
        batches_from,
        3,
        STEPS,
        resume,
        [*extra, log],
        validation_data=make_validation(),
    )
    return [row["learning_rate"] for row in log.rows]


@pytest.mark.parametrize(
    ("method", "count"), [("on_train_batch_end", 2 * STEPS - 2), ("on_test_begin", 2)]
)
def test_a_resume_within_an_epoch_does_not_lower_its_rate_again(
    method, count, tmp_path
):
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    with pytest.raises(InterruptedRunError):
        _rates(tmp_path, [halve, InterruptAt(method, count, interrupt)])
    assert _rates(tmp_path, [halve]) == pytest.approx([0.04, 0.02, 0.01])


def test_callbacks_of_keras_take_part_in_an_epoch_that_only_lacks_its_end(tmp_path):
    # They open their files, and create their lists, when a training begins.
    table = tmp_path / "log.csv"

    def logger():
        return keras.callbacks.CSVLogger(table, append=True)

    with pytest.raises(InterruptedRunError):
        _rates(tmp_path, [logger(), InterruptAt("on_test_begin", 2, interrupt)])
    history = keras.callbacks.History()
    _rates(tmp_path, [logger(), history])
    rows = list(csv.DictReader(table.open()))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    losses = [float(row["loss"]) for row in rows[1:]]
    assert history.history["loss"] == pytest.approx(losses)
