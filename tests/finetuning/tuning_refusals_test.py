"""Arguments that `fine_tune` refuses."""

import keras
import numpy as np
import pytest

from keras_prelu import data
from tests.finetuning.small_tuning import bright_and_dark, tune


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"train": [1, 2]}, "Argument `train` must be a source"),
        ({"validation": data.Source(["a"])}, "must be of the kind of `train`"),
        ({"class_names": None}, "Argument `class_names` must name the classes"),
        (
            {"class_names": ["one"]},
            r"`train` must have labels in 0 ... 0.*Received: labels=0 ... 1",
        ),
        (
            {
                "train": (bright_and_dark()[0], np.zeros(24, int)),
                "validation": (bright_and_dark(8)[0], np.zeros(8, int)),
                "class_names": ["one"],
            },
            r"must have at least two classes.*Received: class_names=\['one'\]",
        ),
        ({"class_names": 2}, "Received: class_names=2"),
        ({"class_names": "ab"}, "Received: class_names='ab'"),
        ({"class_names": [1, 2]}, r"list of strings.*Received: class_names=\[1, 2\]"),
        ({"seed": -1}, "Received: seed=-1"),
        ({"callbacks": keras.callbacks.History()}, "list of Keras callbacks"),
        ({"train": (1, 2)}, r"`train` must be a tuple of arrays \(images, labels\)"),
        ({"validation": ()}, "`validation` must be .*Received: 0 items"),
        ({"train": (*bright_and_dark(), None)}, "`train` must be .*Received: 3 items"),
        ({"scale": (32, 40)}, "Arguments `scale` and `eval_scale` must be None"),
        ({"head_epochs": -1}, "Received: head_epochs=-1"),
        ({"epochs": 1}, "Received: epochs=1, head_epochs=2"),
        ({"patience": 0}, "Received: patience=0"),
        ({"batch_size": 0}, "Received: batch_size=0"),
        ({"epochs": "many"}, "or \"auto\". Received: epochs='many'"),
        ({"learning_rate": 0.0}, "Received: learning_rate=0.0"),
        ({"learning_rate": float("nan")}, "Received: learning_rate=nan"),
        ({"unfreeze_from": "conv9"}, "Received: unfreeze_from='conv9'"),
        ({"class_weight": {0: 1.0}}, "Argument `class_weight` must be None"),
        ({"class_weight": {0: 1.0, 1: -1}}, "at least 0 .*Received: class_weight={0"),
        ({"class_weight": {0: 1.0, 1: np.nan}}, "at least 0 .*Received: class_weight"),
        (
            {"train": (bright_and_dark()[0], np.eye(2)[bright_and_dark()[1]])},
            "`train` must have integer labels",
        ),
        ({"train": (bright_and_dark()[0], [0])}, "Received: 24 images, 1 labels"),
        (
            {"model": keras.Sequential([keras.layers.Dense(2)])},
            "Argument `model` must be a functional or built sequential Keras model",
        ),
    ],
)
def test_bad_arguments_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        tune(**wrong)


def test_validation_arrays_are_checked_like_training_arrays():
    images, labels = bright_and_dark(8)
    with pytest.raises(ValueError, match="`validation`.*8 images, 7 labels"):
        tune(validation=(images, labels[:7]))


@pytest.mark.tensorflow_only
def test_several_workers_are_refused(monkeypatch):
    monkeypatch.setattr("keras_prelu.distribution.worker", lambda strategy: (1, 2))
    with pytest.raises(ValueError, match="one machine.*Received: a model of 2 workers"):
        tune()
