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
from training.workdir import (
    data_name,
    kept_class_names,
    load_model,
    read_classifier_config,
)

_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of a finished run.")
_NAME = flags.DEFINE_string("name", None, "The name of the weights, for `weights=`.")
flags.mark_flags_as_required(["workdir", "name"])

PACKAGE = pathlib.Path(__file__).parents[1] / "keras_prelu" / "applications"


def center_evaluation(workdir, name):
    """Return the errors of a run on center crops, from its evaluation.json.

    Args:
        workdir: `pathlib.Path` of the run.
        name: The name of its validation data, see `data_name`.
    """
    evaluations = json.loads((workdir / "evaluation.json").read_text())
    if "center" not in evaluations:
        raise ValueError(
            "Argument `--workdir` must be the folder of a run whose evaluation.json "
            "has the protocol `center`: run training.evaluate with --protocol=center. "
            f"Received: --workdir={workdir}, with {', '.join(evaluations) or 'none'}"
        )
    evaluated_on = evaluations["center"].get("data", "other data")
    if evaluated_on != name:
        raise ValueError(
            "Argument `--workdir` must be the folder of a run whose evaluation.json is "
            f"of its validation data, {name}: run training.evaluate without --data and "
            f"--split. Received: --workdir={workdir}, evaluated on {evaluated_on}"
        )
    return evaluations["center"]


def entry(workdir, model, file, sha256):
    """Return the registry's entry for the weights of a run.

    Args:
        workdir: `pathlib.Path` of the run.
        model: The model of the run.
        file: The name of the file of the weights.
        sha256: The hash of this file.
    """
    config = read_classifier_config(workdir)
    net, data = config["model"], config["data"]
    evaluation = center_evaluation(workdir, data_name(data, data["validation"]))
    protocol = ("data", "protocol", "scales", "flip", "examples")
    return {
        "net": net["name"],
        "arguments": {key: net[key] for key in ("activation", "width")},
        "input_size": data["image_size"],
        "file": file,
        "sha256": sha256,
        "class_names": kept_class_names(workdir)
        or open_source(data, data["validation"]).class_names,
        "mean": model.get_layer("mean").get_weights()[0].tolist(),
        "protocol": {k: evaluation[k] for k in protocol},
        "scores": {k: evaluation[k] for k in ("top1_error", "top5_error")},
        "command": (workdir / "command.txt").read_text().strip(),
    }


def main(_):
    """Write the file and its entry."""
    with errors.in_one_line():
        workdir = pathlib.Path(_WORKDIR.value)
        model = load_model(workdir)
        file = PACKAGE / f"{_NAME.value}.weights.h5"
        path = PACKAGE / "weights.json"
        registry = json.loads(path.read_text())
        # Both files are published at the end, when there is nothing left to fail.
        with replacing(path) as table, replacing(file) as weights:
            model.save_weights(weights)
            sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
            registry[_NAME.value] = entry(workdir, model, file.name, sha256)
            table.write_text(json.dumps(registry, indent=2) + "\n")
    print(f"Wrote {file} and its entry in {path}")


if __name__ == "__main__":
    app.run(main)
