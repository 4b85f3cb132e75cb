"""The weights of the best epoch, patience, and losses that are not finite."""

import keras
import numpy as np
import pytest

from keras_prelu.callbacks import NotFiniteError
from keras_prelu.finetuning.best_weights import BestWeights
from tests.finetuning.small_tuning import WeightsOfEpochs, bright_and_dark, tune


def followed(patience=None):
    """Return the callback of a model with one layer, as `fit` prepares it."""
    best = BestWeights(patience)
    best.set_model(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
    best.model.stop_training = False
    return best


def logs_of(val_error, val_loss, loss=1.0):
    return {"loss": loss, "val_top1_error": val_error, "val_loss": val_loss}


def test_it_learns_and_the_model_has_the_weights_of_the_best_epoch():
    seen = WeightsOfEpochs()
    tuned = tune(callbacks=[seen], epochs=6, patience=None)
    images, labels = bright_and_dark(8, seed=1)
    scores = tuned.model.predict(images, verbose=0)
    error = np.mean(scores.argmax(axis=1) != labels)
    errors, losses = (tuned.history[f"val_{n}"] for n in ("top1_error", "loss"))
    best = min(range(6), key=lambda i: (errors[i], losses[i]))
    assert tuned.best_epoch == best + 1
    assert error == pytest.approx(errors[best]) == 0.0
    for weight in tuned.model.weights:
        if weight.path in seen.epochs[best]:
            np.testing.assert_array_equal(weight, seen.epochs[best][weight.path])


def test_best_epoch_and_patience():
    best = followed(patience=2)

    def epoch(number, error, loss):
        best.model.set_weights([np.full((1, 1), number), np.zeros(1)])
        best.on_epoch_end(number - 1, logs_of(error, loss))
        return best.model.stop_training

    assert not epoch(1, 0.5, 1.0)
    assert not epoch(2, 0.5, 0.9)  # of equal errors, the least loss
    assert not any(epoch(n, 0.6, 0.1) for n in (3, 4, 5, 6))
    best.begin_stage()  # from now on the run may end
    assert not epoch(7, 0.9, 0.1)  # the new stage begins with worse weights,
    assert not epoch(8, 0.8, 0.1)  # but improves,
    assert not epoch(9, 0.7, 0.1)
    assert not epoch(10, 0.8, 0.1)
    assert epoch(11, 0.8, 0.1)  # and ends two epochs after its own best
    assert best.epoch == 2
    best.restore()
    assert best.model.get_weights()[0] == 2


def test_patience_continues_after_a_resume():
    best, resumed = followed(patience=2), followed(patience=2)
    for callback in (best, resumed):
        callback.begin_stage()
    for number, error in enumerate((0.5, 0.6)):
        best.on_epoch_end(number, logs_of(error, 1.0))
    resumed.set_state(best.get_state())
    resumed.on_epoch_end(2, logs_of(0.6, 1.0))
    assert resumed.model.stop_training


@pytest.mark.parametrize("name", ["loss", "val_loss"])
def test_a_loss_that_is_not_finite_ends_the_run(name):
    best = followed()
    logs = logs_of(0.5, 1.0)
    best.on_epoch_end(0, logs)
    for value in (float("nan"), float("inf")):
        with pytest.raises(NotFiniteError, match=f"`{name}` is {value} in epoch 2"):
            best.on_epoch_end(1, {**logs, name: value})
    assert best.epoch == 1


@pytest.mark.parametrize("argument", ["train", "validation"])
def test_images_that_are_not_finite_end_a_run_without_a_directory(argument):
    images, labels = bright_and_dark(8)
    images[0] = np.nan
    with pytest.raises(NotFiniteError, match="is nan in epoch 1"):
        tune(**{argument: (images, labels)})
