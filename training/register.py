"""Registers the weights of a finished run, to be shipped with the library.

    python -m training.register --workdir=DIR --name=NAME

Writes keras_prelu/applications/NAME.weights.h5 and its entry in weights.json: the net
and its arguments, hash, class names, mean, protocol, scores, and the command that
trained it. A name that is taken is replaced.
"""

import hashlib
import json
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

from absl import app, flags

from keras_prelu.files import replacing
from training import errors
from training.inputs import load_model, open_source, read_config

_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of a finished run.")
_NAME = flags.DEFINE_string("name", None, "What `weights=` will be called.")
flags.mark_flags_as_required(["workdir", "name"])

PACKAGE = pathlib.Path(__file__).parents[1] / "keras_prelu" / "applications"


def entry(workdir, file):
    """Returns what the registry says of a run's weights.

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
    """Writes the file and the entry."""
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
