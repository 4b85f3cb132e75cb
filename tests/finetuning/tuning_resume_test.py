"""A run that is interrupted goes on where it stopped."""

import functools
from unittest import mock

import keras
import numpy as np
import pytest

from keras_prelu import callbacks
from tests.finetuning.small_tuning import noise, small_net, tune
from tests.interruptions import (
    InterruptAt,
    InterruptedRunError,
    interrupt,
    send_sigterm,
    sigterm_in_each_save,
)


@pytest.mark.parametrize("epoch", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(tmp_path, epoch):
    model = small_net(dropout=0.5)
    # Random labels: the second stage improves at first, and soon no longer.
    arguments = {"epochs": 9, "patience": 2, "learning_rate": 0.03, "train": noise()}

    def run(folder, *callbacks):
        keras.utils.set_random_seed(1)
        directory = tmp_path / folder
        return tune(model, directory=directory, callbacks=callbacks, **arguments)

    whole = run("whole")
    # A checkpoint after every step.
    often = functools.partial(callbacks.ExactResume, seconds=0.0, fraction=1.0)
    kill = InterruptAt("on_epoch_begin", epoch + 1, interrupt)
    with (
        mock.patch.object(callbacks, "ExactResume", often),
        pytest.raises(InterruptedRunError),
    ):
        run("cut", kill)
    again = run("cut")
    assert again.history == whole.history
    assert again.best_epoch == whole.best_epoch
    for a, b in zip(whole.model.weights, again.model.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    once_more = tune(model, directory=tmp_path / "cut", **arguments)
    assert once_more.history == whole.history
    # The patience ended it, two epochs after the best epoch of the second stage.
    errors, losses = (
        whole.history[name][2:] for name in ("val_top1_error", "val_loss")
    )
    ranks = [*zip(errors, losses, strict=True)]
    assert whole.history["epoch"][-1] == 3 + ranks.index(min(ranks)) + 2 < 9


def test_sigterm_during_the_last_save_of_the_head_ends_the_run(tmp_path):
    with sigterm_in_each_save(), pytest.raises(callbacks.Preempted):
        tune(directory=tmp_path, head_epochs=1, epochs=2)
    assert [folder.name for folder in tmp_path.iterdir()] == ["head"]
    tuned = tune(directory=tmp_path, head_epochs=1, epochs=2)
    assert tuned.history["stage"] == ["head", "all"]


def test_an_epoch_without_a_speed_leaves_a_gap_in_the_history(tmp_path):
    def tune_with(*more):
        progress = callbacks.Progress(None, None, show=False)
        return tune(
            directory=tmp_path,
            head_epochs=1,
            epochs=3,
            patience=None,
            callbacks=[progress, *more],
        )

    # One step of the second epoch is left, and the speed leaves out the first step.
    with pytest.raises(SystemExit):
        tune_with(InterruptAt("on_train_batch_end", 5, send_sigterm))
    history = tune_with().history
    speeds = history["images_per_second"]
    assert [speed is None for speed in speeds] == [False, True, False]
    assert history["epoch"] == [1, 2, 3]
    assert None not in history["loss"]


def test_a_run_gets_more_epochs_if_the_head_stage_keeps_its_own(tmp_path):
    tune(directory=tmp_path, head_epochs="auto", epochs=2)
    again = {"directory": tmp_path, "epochs": 5}
    message = "settings.head_epochs: 1 before, 2 now"
    with pytest.raises(callbacks.CheckpointError, match=message):
        tune(head_epochs="auto", **again)
    tuned = tune(head_epochs=1, learning_rate=0.01, **again)
    assert tuned.history["stage"] == ["head", *["all"] * 4]
