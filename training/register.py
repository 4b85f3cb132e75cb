"""Registers the weights of a finished run, to be shipped with the library.

    python training/register.py --workdir=DIR --name=NAME

Writes keras_prelu/applications/NAME.weights.h5 and its entry in weights.json: the net
and its arguments, hash, class names, mean, protocol, scores, and the command that
trained it. A name that is taken is replaced.
"""

import hashlib
import json
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

import errors
import keras
from absl import app, flags
from inputs import open_source, read_config

from keras_prelu.files import replacing

_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of a finished run.")
_NAME = flags.DEFINE_string("name", None, "What `weights=` will be called.")
_RECIPE = flags.DEFINE_string("recipe", None, "File name of the recipe of the run.")
flags.mark_flags_as_required(["workdir", "name", "recipe"])

PACKAGE = pathlib.Path(__file__).parents[1] / "keras_prelu" / "applications"


def entry(workdir, recipe, file):
    """Returns what the registry says of a run's weights.

    Args:
        workdir: `pathlib.Path` of the run.
        recipe: File name of its recipe.
        file: `pathlib.Path` of the weights.
    """
    config = read_config(workdir)
    evaluation = json.loads((workdir / "evaluation.json").read_text())["center"]
    net, data = config["model"], config["data"]
    model = keras.saving.load_model(workdir / "model.keras", compile=False)
    size = data["image_size"]
    return {
        "net": net["name"],
        "arguments": {key: net[key] for key in ("activation", "width")},
        "input_size": size,
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "class_names": open_source(data, data["validation"]).class_names,
        "mean": model.get_layer("mean").get_weights()[0].tolist(),
        "protocol": {
            "data": f"{data['name']} {data['validation']}",
            **{k: evaluation[k] for k in ("protocol", "scales", "flip", "examples")},
        },
        "scores": {k: evaluation[k] for k in ("top1_error", "top5_error")},
        "command": f"python training/train.py --config=training/recipes/{recipe}.py",
    }


def main(_):
    """Writes the file and the entry."""
    with errors.in_one_line():
        workdir = pathlib.Path(_WORKDIR.value)
        read_config(workdir)
        file = PACKAGE / f"{_NAME.value}.weights.h5"
        model = keras.saving.load_model(workdir / "model.keras", compile=False)
        with replacing(file) as aside:
            model.save_weights(aside)
        path = PACKAGE / "weights.json"
        registry = json.loads(path.read_text())
        registry[_NAME.value] = entry(workdir, _RECIPE.value, file)
        with replacing(path) as aside:
            aside.write_text(json.dumps(registry, indent=2) + "\n")
    print(f"Wrote {file} and its entry in {path}")


if __name__ == "__main__":
    app.run(main)
