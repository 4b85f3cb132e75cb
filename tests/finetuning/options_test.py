"""The options of a run, and the plan that follows from them."""

import json

import numpy as np
import pytest

from keras_prelu.finetuning.options import Options
from tests.finetuning.small_tuning import tune
from tests.interruptions import InterruptAt, InterruptedRunError, interrupt


@pytest.mark.parametrize(
    "examples, batch_size, head_epochs, epochs, learning_rate",
    [
        (6, 6, 250, 1000, 0.01),
        (60, 8, 32, 125, 0.01),
        (288, 16, 14, 56, 0.01),
        (900, 32, 9, 35, 0.01),
        (3000, 32, 5, 20, 0.005),
        (100_000, 32, 5, 20, 0.001),
    ],
)
def test_the_defaults_depend_on_the_size_of_the_set(
    examples, batch_size, head_epochs, epochs, learning_rate
):
    assert Options().batch_size_for(examples) == batch_size
    steps = -(-examples // batch_size)
    plan = Options().plan(steps, batch_size)
    assert (plan.head_epochs, plan.epochs) == (head_epochs, epochs)
    assert (plan.head_learning_rate, plan.learning_rate) == (0.01, learning_rate)
    assert plan.patience == head_epochs
    assert plan.epochs * steps >= 1000


def test_given_options_are_not_changed():
    given = {
        "head_epochs": 30,
        "epochs": 31,
        "head_learning_rate": 0.5,
        "learning_rate": 0.25,
        "patience": None,
        "batch_size": 7,
    }
    options = Options(**given)
    plan = options.plan(9, options.batch_size_for(60))
    assert {name: getattr(plan, name) for name in given} == given
    # A long head stage does not shorten the second one.
    assert Options(head_epochs=100).plan(8, 8).epochs == 100 + 125 - 32
    assert Options(epochs=3).plan(8, 8).head_epochs == 1


def test_integers_of_numpy_are_integers():
    given = {
        "head_epochs": np.int64(2),
        "epochs": np.int32(4),
        "batch_size": np.int8(7),
    }
    options = Options(**given)
    plan = options.plan(9, options.batch_size_for(60))
    numbers = [getattr(plan, name) for name in given]
    # As `json` can write them, for the checkpoints.
    assert json.dumps(numbers) == "[2, 4, 7]"
    with pytest.raises(ValueError, match="`epochs` must be an integer"):
        Options(epochs=np.float64(2))


def test_the_plan_is_shown_before_training(capsys):
    with pytest.raises(InterruptedRunError):
        tune(
            verbose=True,
            callbacks=[InterruptAt("on_epoch_begin", 1, interrupt)],
            head_epochs="auto",
            epochs="auto",
            unfreeze_from="conv2",
        )
    assert capsys.readouterr().out.splitlines() == [
        "Fine-tuning on 24 images of 2 classes: 3 steps per epoch, up to 8 images per "
        "step",
        "  epochs 1 to 84: new head, 252 steps at the learning rate 0.01",
        "  epochs 85 to 334: from conv2 on, 750 steps at the learning rate 0.01",
        "  ends early after 84 epochs without improvement in the second stage",
    ]
