"""The progress tells of the wait for input, and of nothing in the run's results."""

import time

import numpy as np
import pytest
import tensorflow as tf
from small_run import BATCH, STEPS, batches_from, make_model

from keras_prelu import callbacks

pytestmark = pytest.mark.tensorflow_only


def slowly(step):
    def wait(x, y):
        [x] = tf.numpy_function(lambda x: (time.sleep(0.2), x)[1:], [x], [tf.float32])
        return tf.ensure_shape(x, (BATCH, 6)), y

    return batches_from(step).map(wait)


def train(batches, **progress):
    model = make_model()
    shown = callbacks.Progress(BATCH, epochs=2, **progress)
    model.fit(batches(0), steps_per_epoch=STEPS, epochs=2, callbacks=[shown], verbose=0)
    return model.get_weights(), shown.rows


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
