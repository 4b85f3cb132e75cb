"""Register the weights of a finished run, to ship them with the library.

    python -m training.register --workdir=DIR --name=NAME

Writes keras_prelu/applications/NAME.weights.h5 and its entry in weights.json: the model
and its arguments, hash, class names, mean, protocol, scores, and the command that
trained it. An existing entry of this name is replaced.
"""

import hashlib
import json
import pathlib

from absl import app, flags

from training import console, errors

with console.quiet_import():
    import keras  # noqa: F401 (imports TensorFlow)

from keras_prelu.files import replacing
from training.from_recipe import open_source
from training.workdir import load_model, read_config

_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of a finished run.")
_NAME = flags.DEFINE_string("name", None, "The name of the weights, for `weights=`.")
flags.mark_flags_as_required(["workdir", "name"])

PACKAGE = pathlib.Path(__file__).parents[1] / "keras_prelu" / "applications"


def entry(workdir, file):
    """Return the registry's entry for the weights of a run.

    Args:
        workdir: `pathlib.Path` of the run.
        file: `pathlib.Path` of the weights.
    """
    config = read_config(workdir)
    evaluation = json.loads((workdir / "evaluation.json").read_text())["center"]
    net, data = config["model"], config["data"]
    return {
        "net": net["name"],
        "arguments": {key: net[key] for key in ("activation", "width")},
        "input_size": data["image_size"],
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "class_names": open_source(data, data["validation"]).class_names,
        "mean": load_model(workdir).get_layer("mean").get_weights()[0].tolist(),
        "protocol": {
            "data": f"{data['name']} {data['validation']}",
            **{k: evaluation[k] for k in ("protocol", "scales", "flip", "examples")},
        },
        "scores": {k: evaluation[k] for k in ("top1_error", "top5_error")},
        "command": (workdir / "command.txt").read_text().strip(),
    }


def main(_):
    """Write the file and its entry."""
    with errors.in_one_line():
        workdir = pathlib.Path(_WORKDIR.value)
        read_config(workdir)
        file = PACKAGE / f"{_NAME.value}.weights.h5"
        with replacing(file) as aside:
            load_model(workdir).save_weights(aside)
        path = PACKAGE / "weights.json"
        registry = json.loads(path.read_text())
        registry[_NAME.value] = entry(workdir, file)
        with replacing(path) as aside:
            aside.write_text(json.dumps(registry, indent=2) + "\n")
    print(f"Wrote {file} and its entry in {path}")


if __name__ == "__main__":
    app.run(main)
