"""Export the model of a run for TF Serving.

    python -m applications.serving.export --workdir=DIR --output=DIR

Writes the next version into the output: `OUTPUT/1`, `OUTPUT/2` and so on. The exported
model resizes images as the evaluation of the run does. The model card contains data,
protocol and scores from the workdir's config.json and evaluation.json. Exit codes: 0
for success, 2 for an error in the arguments or in the run.
"""

import json
import pathlib
import sys

if not __package__:
    sys.exit("error: start this program by `python -m applications.serving.export`")

from absl import app, flags

from training import console, errors

with console.quiet_import():
    import keras  # noqa: F401 (imports TensorFlow)

from keras_prelu.export import saved_model
from training.from_recipe import open_source
from training.workdir import (
    kept_class_names,
    load_model,
    read_classifier_config,
    refuse_empty,
)

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder of the versions.", required=True)
_LABELS = flags.DEFINE_string(
    "labels",
    None,
    "File of class names, one per line; by default those of the run.",
)
_TOP_K = flags.DEFINE_integer("top_k", 5, "Number of classes to name.", lower_bound=1)
_DENSE_SCALES = flags.DEFINE_list(
    "dense_scales", [], "Shorter sides for dense testing, as a signature `dense`."
)
_ON_ERROR = flags.DEFINE_enum(
    "on_error",
    "raise",
    ["raise", "mark"],
    "How to handle images that cannot be decoded: fail, or return empty rows.",
)
# Statements for the model card that no file of a run contains.
_STATED = {
    name: flags.DEFINE_string(name, None, f"{text}, for the model card.")
    for name, text in {
        "licence": "Licence of the model",
        "intended_use": "Intended use of the model, and its limits",
    }.items()
}


_PROTOCOL = ("data", "scales", "flip", "models", "examples", "skipped")
_SCORES = ("top1_error", "top5_error")


def describe_run(workdir, config):
    """Return the statements for the model card that the files of a run contain."""
    data = config["data"]
    card = {
        "data": {
            "set": data["path"] or data["name"],
            "trained on": data["train"],
        }
    }
    command = workdir / "command.txt"
    if command.is_file():
        card["command"] = command.read_text(encoding="utf-8").strip()
    evaluation = workdir / "evaluation.json"
    if evaluation.is_file():
        summaries = json.loads(evaluation.read_text(encoding="utf-8"))
        card["protocol"] = _columns(summaries, _PROTOCOL)
        card["scores"] = _columns(summaries, _SCORES)
    return card


def _columns(summaries, keys):
    """Return the given keys of each summary, without those that have no value."""
    return {
        name: {key: summary[key] for key in keys if summary.get(key) is not None}
        for name, summary in summaries.items()
    }


def class_names(workdir, config):
    """Return the names of the classes.

    Args:
        workdir: `pathlib.Path` of the run.
        config: The part `data` of its configuration.
    """
    if _LABELS.value:
        return pathlib.Path(_LABELS.value).read_text(encoding="utf-8-sig").splitlines()
    trained = kept_class_names(workdir)
    return trained or open_source(config, config["validation"]).class_names


def dense_scales():
    """Return the integers of `--dense_scales`."""
    try:
        return tuple(map(int, _DENSE_SCALES.value))
    except ValueError as error:
        raise ValueError(
            "Argument `--dense_scales` must be integers, separated by commas. "
            f"Received: --dense_scales={','.join(_DENSE_SCALES.value)}"
        ) from error


def main(_):
    """Export the model, and print the paths."""
    with errors.in_one_line():
        refuse_empty("--workdir", _WORKDIR.value)
        refuse_empty("--output", _OUTPUT.value)
        workdir = pathlib.Path(_WORKDIR.value)
        config = read_classifier_config(workdir)
        model = load_model(workdir)
        stated = {name: flag.value for name, flag in _STATED.items() if flag.value}
        version = saved_model(
            model,
            _OUTPUT.value,
            class_names=class_names(workdir, config["data"]),
            top_k=_TOP_K.value,
            scale=config["data"]["eval_scale"],
            dense_scales=dense_scales(),
            on_error=_ON_ERROR.value,
            card={**describe_run(workdir, config), **stated},
        )
    print(f"Model: {version}\nCard: {version / 'assets.extra' / 'model_card.md'}")


if __name__ == "__main__":
    app.run(main)
