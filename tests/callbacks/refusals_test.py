"""Tests that a run does not resume from a wrong or a lost checkpoint."""

import keras
import numpy as np
import pytest
from small_run import ALWAYS, STEPS, batches_from, bits, make_model, run

from keras_prelu import callbacks, distribution
from tests.interruptions import InterruptAt, InterruptedRunError, interrupt

pytestmark = pytest.mark.tensorflow_only


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(ValueError, match=r"another model.*Received: shape=\(6, 16\)"):
        run(tmp_path, model=make_model(units=15))


def test_other_callbacks_than_the_run_had_are_refused(tmp_path):
    run(tmp_path)
    keeper = callbacks.ExactResume(tmp_path / "checkpoints")
    with pytest.raises(ValueError, match=r"MetricsLog.*Received: callbacks=\[\]"):
        callbacks.resumable_fit(make_model(), batches_from, 1, STEPS, keeper)


def test_another_run_is_refused_by_name(tmp_path):
    data = {"class_names": ["cat", "dog"], "count": 8}
    run(tmp_path, [callbacks.SameRun({"seed": 0, "sizes": (1, 2), "data": data})])
    run(tmp_path, [callbacks.SameRun({"seed": 0, "sizes": (1, 2), "data": data})])
    other = {"seed": 1, "sizes": (1, 2), "data": {**data, "class_names": ["cat"]}}
    with pytest.raises(callbacks.CheckpointError) as refused:
        run(tmp_path, [callbacks.SameRun(other)])
    assert str(refused.value).endswith(
        "Received: seed: 0 before, 1 now; data.class_names: without 'dog'"
    )


def reported_by_another_worker(monkeypatch, other):
    """Let `gather` answer for a second worker, with its report on checkpoints."""

    def gather(strategy, own):
        return np.array([own, other if len(own) == len(other) else own], float)

    monkeypatch.setattr(distribution, "gather", gather)


def checkpoints_after(count, folder):
    """Kill a run when it has saved a number of times."""
    kill = InterruptAt("on_train_batch_end", count + 1, interrupt)
    with pytest.raises(InterruptedRunError):
        run(folder, [kill], **ALWAYS)


# What another worker reports: whether all its checkpoints are damaged, whether it is
# past the first save, and its steps.
NOTHING = [0, 0, -1, -1, -1, -1]
DAMAGED = [1, 0, -1, -1, -1, -1]


@pytest.mark.parametrize("other", [NOTHING, DAMAGED])
def test_a_worker_that_lost_its_checkpoints_is_an_error(other, tmp_path, monkeypatch):
    checkpoints_after(2, tmp_path)
    reported_by_another_worker(monkeypatch, other)
    with pytest.raises(
        callbacks.CheckpointError,
        match="Received: steps of worker 0: 1, 2; worker 1: none",
    ):
        run(tmp_path)
    assert callbacks.Checkpoints(tmp_path / "checkpoints").good_steps() == [1, 2]


def test_the_worker_that_lost_its_checkpoints_stops_too(tmp_path, monkeypatch):
    reported_by_another_worker(monkeypatch, [0, 1, 10, 20, -1, -1])
    with pytest.raises(
        callbacks.CheckpointError, match="worker 0: none; worker 1: 10, 20"
    ):
        run(tmp_path)


def test_a_checkpoint_after_a_resume_is_not_the_first_one(tmp_path, monkeypatch):
    checkpoints_after(2, tmp_path)
    checkpoints_after(0, tmp_path)  # resumes, and saves no more
    (tmp_path / "checkpoints" / "step-000000001.npz").unlink()
    reported_by_another_worker(monkeypatch, NOTHING)
    with pytest.raises(callbacks.CheckpointError, match="worker 0: 2; worker 1: none"):
        run(tmp_path)


def test_all_workers_begin_again_if_one_was_killed_in_its_first_save(
    tmp_path, monkeypatch, uninterrupted
):
    warnings = []
    monkeypatch.setattr("absl.logging.warning", lambda *args: warnings.append(args))
    checkpoints_after(1, tmp_path)
    reported_by_another_worker(monkeypatch, NOTHING)
    model, _ = run(tmp_path)
    assert bits(model, tmp_path) == uninterrupted
    assert "BEGINS AGAIN" in warnings[0][0]
    assert warnings[0][1] == "worker 0: 1; worker 1: none"


def test_a_plain_fit_is_refused():
    resume = callbacks.ExactResume("run/checkpoints")
    with pytest.raises(ValueError, match="given to .*resumable_fit.*Received"):
        make_model().fit(batches_from(0), steps_per_epoch=1, callbacks=[resume])


def test_a_plain_fit_after_a_resumable_one_is_refused(tmp_path):
    model, resume = run(tmp_path)
    with pytest.raises(ValueError, match="resumable_fit"):
        model.fit(batches_from(0), steps_per_epoch=1, callbacks=[resume])


@pytest.mark.parametrize("given", [keras.callbacks.History(), None, iter(())])
def test_callbacks_that_are_no_list_are_refused(given, tmp_path):
    resume = callbacks.ExactResume(tmp_path)
    message = "Argument `callbacks` must be a list of Keras callbacks. Received: callb"
    with pytest.raises(ValueError, match=message):
        callbacks.resumable_fit(make_model(), batches_from, 1, 5, resume, given)


def test_steps_that_keras_cannot_run_in_equal_parts_are_refused(tmp_path):
    model = make_model()
    model.compile(model.optimizer, model.loss, steps_per_execution=2)
    resume = callbacks.ExactResume(tmp_path)
    with pytest.raises(ValueError, match="multiple .*Received: steps_per_epoch=5"):
        callbacks.resumable_fit(model, batches_from, 1, 5, resume)


def interrupted(directory, done, epochs):
    """Stop a run after some steps, and return the callback that would resume it."""
    resume = callbacks.ExactResume(directory, **ALWAYS)
    kill = InterruptAt("on_train_batch_end", done + 1, interrupt)
    with pytest.raises(InterruptedRunError):
        callbacks.resumable_fit(
            make_model(), batches_from, epochs, STEPS, resume, [kill]
        )
    return callbacks.ExactResume(directory)


# Two finished steps of an epoch that has one step now; or eight finished steps that
# were an epoch of five and three steps, and would be two epochs of four steps now.
@pytest.mark.parametrize(("done", "steps"), [(2, 1), (8, 4)])
def test_epochs_of_another_length_are_refused(done, steps, tmp_path):
    resume = interrupted(tmp_path, done, epochs=2)
    message = f"is of step {done},.*Received: steps_per_epoch={steps}"
    with pytest.raises(callbacks.CheckpointError, match=message):
        callbacks.resumable_fit(make_model(), batches_from, 2, steps, resume)


@pytest.mark.parametrize(("done", "begun"), [(STEPS + 1, 2), (2 * STEPS + 1, 3)])
def test_fewer_epochs_than_were_begun_are_refused(done, begun, tmp_path):
    resume = interrupted(tmp_path, done, epochs=4)
    message = f"at least the {begun} epochs.*Received: epochs=1"
    with pytest.raises(callbacks.CheckpointError, match=message):
        callbacks.resumable_fit(make_model(), batches_from, 1, STEPS, resume)


@pytest.mark.parametrize("wrap", [lambda x: x, keras.optimizers.LossScaleOptimizer])
def test_averages_that_replace_the_weights_are_refused(wrap, tmp_path):
    model = make_model()
    model.compile(wrap(keras.optimizers.SGD(use_ema=True)), loss="mse")
    keeper = callbacks.ExactResume(tmp_path / "checkpoints")
    with pytest.raises(ValueError, match="`use_ema`.*Received: use_ema=True"):
        callbacks.resumable_fit(model, None, 1, STEPS, keeper)


@pytest.mark.parametrize("fraction", [0.0, 1.5])
def test_refuses_a_fraction_out_of_range(fraction, tmp_path):
    with pytest.raises(ValueError, match=f"Received: fraction={fraction}"):
        callbacks.ExactResume(tmp_path, fraction=fraction)


def test_the_old_name_of_fraction_is_deprecated(tmp_path):
    with pytest.warns(DeprecationWarning, match="use `fraction`"):
        resume = callbacks.ExactResume(tmp_path, share=0.5)
    assert resume.fraction == 0.5


def test_a_checkpoint_of_another_backend_is_refused(monkeypatch, tmp_path):
    _, resume = run(tmp_path)
    arrays, state = resume.checkpoints.load(resume.step)
    resume.checkpoints.save(resume.step, arrays, {**state, "backend": "jax"})
    with pytest.raises(
        callbacks.CheckpointError,
        match="KERAS_BACKEND=jax, .*Received: KERAS_BACKEND=tensorflow",
    ):
        run(tmp_path)
    del state["backend"]  # as in checkpoints of the time when all were TensorFlow's
    resume.checkpoints.save(resume.step, arrays, state)
    assert run(tmp_path)[1].step == resume.step
