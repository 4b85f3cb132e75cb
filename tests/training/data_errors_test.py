"""Errors in the images end the programs in one line."""

import os

import pytest
from runs import FINE_TUNING, RECIPE, arguments, make_images

from keras_prelu import applications, data, evaluation

pytestmark = pytest.mark.tensorflow_only
# TensorFlow cannot leave its deterministic mode within a process.
SCRATCH = ["--config.deterministic=False"]
FINE = ["--config.model.weights=", "--config.finetune.head_epochs=1"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe, more",
    [(RECIPE, SCRATCH), (FINE_TUNING, FINE)],
    ids=["from scratch", "fine-tuning"],
)
@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_file_that_vanishes_ends_a_run_in_one_line(
    recipe, more, split, tmp_path, command_line, monkeypatch, capsys
):
    from training import train

    images = make_images(tmp_path / "images")
    gone = images / split / "dark" / "3.png"
    open_sources = train.from_recipe.open_sources

    def open_and_lose(config):
        sources = open_sources(config)
        gone.unlink()
        return sources

    monkeypatch.setattr(train.from_recipe, "open_sources", open_and_lose)
    with pytest.raises(SystemExit) as stopped:
        command_line(arguments(images, tmp_path / "run", *more, recipe=recipe))
    assert stopped.value.code == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line == (
        f"error: {gone} cannot be read: No such file or directory "
        "(--traceback shows where)"
    )


def test_an_evaluation_raises_data_errors(tmp_path):
    source = data.from_directory(make_images(tmp_path) / "validation")
    os.remove(source.paths[4])  # noqa: PTH107
    model = applications.Model14(width=1 / 64, classes=2, input_shape=(32, 32, 3))
    with pytest.raises(data.UnreadableImageError, match=r"dark/4\.png cannot be read"):
        evaluation.evaluate(model, source, scales=(36,), verbose=0)
