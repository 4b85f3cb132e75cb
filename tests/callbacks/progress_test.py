"""The progress tells of the wait for input, and of nothing in the run's results."""

import itertools
import time

import numpy as np
import pytest
import tensorflow as tf
from small_run import BATCH, STEPS, batches_from, make_model

from keras_prelu import callbacks, distribution

pytestmark = pytest.mark.tensorflow_only


def slowly(step):
    def wait(x, y):
        [x] = tf.numpy_function(lambda x: (time.sleep(0.2), x)[1:], [x], [tf.float32])
        return tf.ensure_shape(x, (BATCH, 6)), y

    return batches_from(step).map(wait)


def train(batches, model=None, count=1, steps=STEPS, **progress):
    model = model or make_model()
    shown = [callbacks.Progress(BATCH, epochs=2, **progress) for _ in range(count)]
    watched = batches(0)
    for callback in shown:
        watched = callback.watch(watched)
    model.fit(watched, steps_per_epoch=steps, epochs=2, callbacks=shown, verbose=0)
    return model.get_weights(), *(callback.rows for callback in shown)


def test_tells_a_slow_pipeline_from_a_fast_one():
    fast, slow = train(batches_from)[1], train(slowly)[1]
    # 0.2 seconds of waiting against steps of milliseconds.
    assert slow[1]["input_wait"] > 0.7
    assert fast[1]["input_wait"] < slow[1]["input_wait"]
    assert slow[1]["images_per_second"] < BATCH / 0.2


def test_changes_nothing_of_the_training():
    model = make_model()
    model.fit(batches_from(0), steps_per_epoch=STEPS, epochs=2, verbose=0)
    for ours, theirs in zip(model.get_weights(), train(slowly)[0], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_prints_a_line_an_epoch_away_from_a_terminal(capsys, tmp_path):
    train(batches_from, path=tmp_path / "speed.csv")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Epoch 1/2", "Epoch 2/2"]
    for name in ("loss", "accuracy", "images_per_second", "input_wait", "minutes_left"):
        assert f" {name} " in lines[0]
    assert len((tmp_path / "speed.csv").read_text().splitlines()) == 3
    train(batches_from, show=False)
    assert capsys.readouterr().out == ""


def test_two_of_them_measure_the_same_wait():
    _, first, second = train(slowly, count=2)
    assert first[1]["input_wait"] > 0.7
    assert second[1]["input_wait"] > 0.7


def test_leaves_several_steps_at_a_time_to_keras():
    model = make_model()
    model.compile(model.optimizer, model.loss, steps_per_execution=2)
    _, rows = train(slowly, model, steps=4)
    assert model.optimizer.iterations == 2 * 4
    assert rows[1]["input_wait"] > 0.7


def test_counts_all_steps_where_keras_runs_several_at_a_time(monkeypatch):
    seconds = itertools.count()
    monkeypatch.setattr("time.perf_counter", lambda: next(seconds))
    shown = callbacks.Progress(BATCH, epochs=1, show=False)
    shown.on_epoch_begin(0)
    for last in (2, 5, 8):  # what Keras says after three steps at a time
        shown.on_train_batch_end(last)
    logs = {}
    shown.on_epoch_end(0, logs)
    assert logs["images_per_second"] == BATCH * 6 / 2


def test_two_replicas_wait_as_one_does():
    with distribution.strategy("mirrored").scope():
        model = make_model()
    _, rows = train(slowly, model)
    assert 0.7 < rows[1]["input_wait"] <= 1


def test_a_data_set_that_it_does_not_watch_has_no_wait():
    shown = callbacks.Progress(BATCH, epochs=1)
    make_model().fit(
        batches_from(0), steps_per_epoch=STEPS, callbacks=[shown], verbose=0
    )
    assert [*shown.rows[0]] == ["epoch", "images_per_second"]
