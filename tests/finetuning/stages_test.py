"""The two stages of a run: the head first, then all layers."""

import time

import pytest

from keras_prelu import applications, callbacks, data
from keras_prelu.evaluation import evaluate
from keras_prelu.finetuning import fine_tune
from tests.finetuning.small_tuning import (
    WeightsOfEpochs,
    noise,
    small_net,
    tune,
    write_textures,
)


def changed_layers(before, after):
    """Return the names of the layers whose weights differ between two epochs."""
    return {
        path.split("/")[-2]
        for path, value in after.items()
        if (value != before[path]).any()
    }


def test_the_first_stage_trains_the_head_only_and_the_second_trains_all():
    model, seen = small_net(), WeightsOfEpochs()
    tune(model, train=noise(), callbacks=[seen], patience=None)
    start = {w.path: w.numpy() for w in model.weights}
    assert len(seen.epochs) == 4
    for path, value in seen.epochs[1].items():
        same = value.shape == start[path].shape and (value == start[path]).all()
        assert same != path.startswith("fc/"), path
    trainable = {layer.name for layer in model.layers if layer.trainable_weights}
    assert changed_layers(seen.epochs[1], seen.epochs[3]) == trainable


def test_layers_before_the_named_one_are_not_trained():
    seen = WeightsOfEpochs()
    tune(train=noise(), callbacks=[seen], unfreeze_from="conv2", patience=None)
    changed = changed_layers(seen.epochs[1], seen.epochs[3])
    assert changed == {"conv2", "prelu2", "fc"}


def test_one_history_over_both_stages():
    tuned = tune(
        head_learning_rate=0.5, learning_rate=0.25, patience=None, callbacks=None
    )
    assert tuned.history["epoch"] == [1, 2, 3, 4]
    assert tuned.history["stage"] == ["head", "head", "all", "all"]
    assert tuned.history["learning_rate"] == [0.5, 0.5, 0.25, 0.25]
    assert tuned.class_names == ["dark", "bright"]
    assert len(tuned.history["val_top1_error"]) == 4


def test_the_progress_of_a_caller_measures_the_wait_too(capsys):
    progress = callbacks.Progress(None, epochs=None)
    tune(callbacks=[progress], head_epochs=1, epochs=2, verbose=True)
    assert [0 <= row["input_wait"] <= 1 for row in progress.rows] == [True, True]
    assert (progress.batch_size, progress.epochs) == (8, 2)
    lines = capsys.readouterr().out.splitlines()
    # Its lines replace those of `verbose`.
    assert sum(line.startswith("Epoch ") for line in lines) == 2


@pytest.mark.slow
def test_the_defaults_learn_a_small_set_of_easy_classes(tmp_path):
    began = time.monotonic()
    train, validation = data.split(write_textures(tmp_path / "photos", 30, seed=0))
    arguments = applications.weights.registry()["shapes"]["arguments"]
    model = applications.ModelA(
        weights="shapes", classes=16, input_shape=(48, 48, 3), **arguments
    )
    tuned = fine_tune(model, train, validation, verbose=False)
    test = write_textures(tmp_path / "test", 40, seed=1)
    evaluation = evaluate(
        tuned.model, test, "center", scales=(54,), flip=False, verbose=0
    )
    assert evaluation.top1 <= 0.05
    assert time.monotonic() - began < 180
