"""Exports the model of a run for TF Serving.

    python -m applications.serving.export --workdir=DIR --output=DIR

Writes the next version into the output: `OUTPUT/1`, `OUTPUT/2` and so on. Pictures are
resized as in the run's evaluation, and the model card holds what config.json and
evaluation.json in the workdir say. Exit codes: 0, done; 2, something is wrong with the
arguments or the run.
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
from training.workdir import load_model, read_config

_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of a run.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder of the versions.", required=True)
_LABELS = flags.DEFINE_string(
    "labels", None, "A file of class names, a line each; by default the run's data's."
)
_TOP_K = flags.DEFINE_integer("top_k", 5, "How many classes to name.", lower_bound=1)
_DENSE_SCALES = flags.DEFINE_list(
    "dense_scales", [], "Shorter sides of dense testing, for a signature `dense`."
)
_ON_ERROR = flags.DEFINE_enum(
    "on_error", "raise", ["raise", "mark"], "What pictures that are damaged do."
)
# What no file of a run says.
_STATED = {
    name: flags.DEFINE_string(name, None, f"{what}, for the model card.")
    for name, what in {
        "licence": "Its licence",
        "intended_use": "What it is for, and what not",
    }.items()
}


def describe_run(workdir, config):
    """Returns what the files of a run say for the model card."""
    pictures = config["data"]
    card = {
        "data": {
            "set": pictures["path"] or pictures["name"],
            "trained on": pictures["train"],
            "evaluated on": pictures["validation"],
        }
    }
    if (workdir / "command.txt").is_file():
        card["command"] = (workdir / "command.txt").read_text().strip()
    path = workdir / "evaluation.json"
    if path.is_file():
        found = json.loads(path.read_text())
        protocol = ("scales", "flip", "models", "examples", "skipped")
        scores = ("top1_error", "top5_error")
        for entry, keys in (("protocol", protocol), ("scores", scores)):
            card[entry] = {
                name: {key: summary[key] for key in keys}
                for name, summary in found.items()
            }
    return card


def class_names(config):
    """Returns the names of the classes."""
    if _LABELS.value:
        return pathlib.Path(_LABELS.value).read_text().splitlines()
    return open_source(config, config["validation"]).class_names


def main(_):
    """Exports, and says where to."""
    with errors.in_one_line():
        workdir = pathlib.Path(_WORKDIR.value)
        config = read_config(workdir)
        model = load_model(workdir)
        stated = {name: flag.value for name, flag in _STATED.items() if flag.value}
        version = saved_model(
            model,
            _OUTPUT.value,
            class_names(config["data"]),
            top_k=_TOP_K.value,
            scale=config["data"]["eval_scale"],
            dense_scales=tuple(map(int, _DENSE_SCALES.value)),
            on_error=_ON_ERROR.value,
            card={**describe_run(workdir, config), **stated},
        )
    print(f"Model: {version}\nCard: {version / 'assets.extra' / 'model_card.md'}")


if __name__ == "__main__":
    app.run(main)
