"""Tests that `Progress` shows and measures a run without changing its results."""

import itertools
import re
import time
from unittest import mock

import keras
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


def test_does_not_change_the_training():
    model = make_model()
    model.fit(batches_from(0), steps_per_epoch=STEPS, epochs=2, verbose=0)
    for ours, theirs in zip(model.get_weights(), train(slowly)[0], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_prints_a_line_per_epoch_away_from_a_terminal(capsys, tmp_path):
    train(batches_from, path=tmp_path / "speed.csv")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Epoch 1/2", "Epoch 2/2"]
    for line in lines:
        assert re.fullmatch(
            r"Epoch ./2: accuracy +[\d.]+ %, loss +[\d.]+, +[\d,]+ images/s, "
            r"input wait +\d+ %(, 0 s left)?",
            line,
        )
    first, second = (line.index("input wait") for line in lines)
    assert first == second
    assert (tmp_path / "speed.csv").read_text().splitlines()[0] == (
        "epoch,images_per_second,input_wait"
    )
    assert len((tmp_path / "speed.csv").read_text().splitlines()) == 3
    train(batches_from, show=False)
    assert capsys.readouterr().out == ""


def shown(capsys, classes=3, epochs=20, seconds=(), **logs):
    """Return the lines that epochs of given lengths print."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(classes)])
    progress = callbacks.Progress(BATCH, epochs)
    progress.set_model(model)
    progress.set_params({"steps": 2})
    progress.on_train_begin()
    for epoch, length in enumerate(seconds):
        with mock.patch(
            "time.perf_counter", side_effect=itertools.count(0, length / 3)
        ):
            progress.on_epoch_begin(epoch)
            progress.on_train_batch_end(0, logs)
            progress.on_train_batch_end(1, logs)
            progress.on_epoch_end(epoch, {**logs})
    return capsys.readouterr().out.removesuffix("\n").split("\n")


def test_errors_are_in_percent_and_the_top_5_of_few_classes_is_left_out(capsys):
    logs = {"top1_error": 0.123, "top5_error": 0.0, "val_top5_error": 0.0}
    [line] = shown(capsys, seconds=[3], **logs)
    assert "top-1 error  12.3 %" in line
    assert "top-5" not in line
    [line] = shown(capsys, classes=6, seconds=[3], **logs)
    assert "top-5 error   0.0 %, val top-5 error   0.0 %" in line


def times_left(lines):
    return [line.rpartition(", ")[2].strip() for line in lines if "left" in line]


def test_one_slow_epoch_does_not_change_the_time_left(capsys):
    lines = shown(capsys, seconds=[9, 6, 6, 6, 60, 6])
    assert "left" not in lines[0]  # it compiles
    assert times_left(lines) == [
        "1 min 48 s left",
        "1 min 42 s left",
        "1 min 36 s left",
        "1 min 30 s left",
        "1 min 24 s left",
    ]


def test_a_long_first_epoch_predicts_the_others(capsys):
    assert times_left(shown(capsys, seconds=[3600])) == ["19 h 00 min left"]


def test_draws_one_line_per_epoch_at_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("keras_prelu.callbacks.progress._SECONDS_BETWEEN_UPDATES", -1e9)
    [line] = shown(capsys, seconds=[3])
    drawn = [text for text in line.split("\r") if text]
    assert len(drawn) > 1
    assert drawn[0].startswith("Epoch  1/20, step 1/2:")
    assert all(len(text) == 59 for text in drawn)
    assert drawn[-1].startswith("Epoch  1/20: ")


def test_two_callbacks_measure_the_same_wait():
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
    for last in (2, 5, 8):  # as Keras counts when it runs three steps at a time
        shown.on_train_batch_end(last)
    logs = {}
    shown.on_epoch_end(0, logs)
    assert logs["images_per_second"] == BATCH * 6 / 2


def test_measures_the_wait_of_two_replicas():
    with distribution.strategy("mirrored").scope():
        model = make_model()
    _, rows = train(slowly, model)
    assert 0.7 < rows[1]["input_wait"] <= 1


def test_a_data_set_that_is_not_watched_has_no_input_wait():
    shown = callbacks.Progress(BATCH, epochs=1)
    make_model().fit(
        batches_from(0), steps_per_epoch=STEPS, callbacks=[shown], verbose=0
    )
    assert [*shown.rows[0]] == ["epoch", "images_per_second"]
