"""Test trained models as the paper does, and print a table like its Table 4.

    python -m training.evaluate --workdir=DIR --protocol=center,ten_view,dense \\
        --scales=256,384,480
    python -m training.evaluate --ensemble=DIR,DIR,... --output=DIR ...
    python -m training.evaluate --weights=FILE --model=model_a --data=NAME ...

Writes evaluation.json, and to report/ the confusion matrix and some images with their
five best guesses, as in the paper's Figure 4. Exit codes: 0, done; 2, an argument or
the data are wrong; 74, the results could not be written.
"""

import pathlib
import sys

if not __package__:
    sys.exit("error: start this program by `python -m training.evaluate`")

from absl import app, flags

from training import console, errors

with console.quiet_import():
    import keras  # noqa: F401 (imports TensorFlow)

from keras_prelu import data
from keras_prelu.applications import CONSTRUCTORS
from keras_prelu.evaluation import evaluate, table
from training.from_recipe import is_divided, open_source
from training.report import write_evaluations
from training.workdir import (
    data_name,
    load_model,
    read_classifier_config,
    refuse_empty,
    refuse_other_classes,
)

_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of a run.")
_ENSEMBLE = flags.DEFINE_list("ensemble", None, "Folders of runs to average.")
_WEIGHTS = flags.DEFINE_string("weights", None, "A file or name of weights.")
_MODEL = flags.DEFINE_enum("model", None, [*CONSTRUCTORS], "The model of the weights.")
_ACTIVATION = flags.DEFINE_string("activation", "prelu", "Its activation.")
_WIDTH = flags.DEFINE_float("width", 1.0, "Its width.")
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 224, "Its input size.")
_DATA = flags.DEFINE_string(
    "data",
    None,
    "A TFDS data set, or a folder of splits or of classes; the run's by default.",
)
_SPLIT = flags.DEFINE_string(
    "split", None, "The split; by default the run's, or a whole folder of classes."
)
_PROTOCOL = flags.DEFINE_list("protocol", ["center"], "center, ten_view, dense.")
_SCALES = flags.DEFINE_list("scales", None, "Shorter sides; the run's by default.")
_FLIP = flags.DEFINE_bool(
    "flip",
    None,
    "Whether to average over mirrored images too; by default except for `center`.",
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 16, "Images per batch.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "Folder to write to; the folder of the run or weights by default."
)


def check_flags():
    """Refuse flags that contradict each other or are incomplete."""
    given = [f.name for f in (_WORKDIR, _ENSEMBLE, _WEIGHTS) if f.value]
    if len(given) != 1:
        raise ValueError(
            "Exactly one of the arguments `--workdir`, `--ensemble` and `--weights` "
            "must be given. "
            f"Received: {', '.join(given) or 'none'}"
        )
    if _WEIGHTS.value and not (_MODEL.value and _DATA.value):
        raise ValueError(
            "Arguments `--model` and `--data` must be given with `--weights`. "
            f"Received: --model={_MODEL.value}, --data={_DATA.value}"
        )
    if _ENSEMBLE.value and not _OUTPUT.value:
        raise ValueError(
            "Argument `--output` must be given with `--ensemble`. Received: no --output"
        )
    refuse_empty("--output", _OUTPUT.value)


def read_scales():
    """Return the integers of `--scales`, or `None`."""
    try:
        return _SCALES.value and tuple(map(int, _SCALES.value))
    except ValueError as error:
        raise ValueError(
            "Argument `--scales` must be integers, separated by commas. "
            f"Received: --scales={_SCALES.value}"
        ) from error


def open_images(run):
    """Return the images to test on, and their name for people to read.

    Args:
        run: The part `data` of a run's configuration, or `None`.
    """
    config = run or {"data_dir": "", "validation": "validation"}
    split = _SPLIT.value or config["validation"]
    if _DATA.value:
        folder = pathlib.Path(_DATA.value)
        is_folder = folder.is_dir()
        if is_folder and not (_SPLIT.value or is_divided(folder, config)):
            return data.from_directory(folder), _DATA.value
        place = {"path": folder} if is_folder else {"name": _DATA.value, "path": ""}
        config = {**config, **place}
    return open_source(config, split), data_name(config, split)


def build_model(classes):
    """Return the model of `--model` with the weights of `--weights`."""
    size = _IMAGE_SIZE.value
    return CONSTRUCTORS[_MODEL.value](
        weights=_WEIGHTS.value,
        classes=classes,
        input_shape=(size, size, 3),
        activation=_ACTIVATION.value,
        width=_WIDTH.value,
    )


@errors.in_one_line((data.DataError,))
def main(_):
    """Evaluate, print and write."""
    with errors.in_one_line():
        check_flags()
        workdirs = _ENSEMBLE.value or ([_WORKDIR.value] if _WORKDIR.value else [])
        runs = [read_classifier_config(workdir)["data"] for workdir in workdirs]
        run = runs[0] if runs else None
        source, name = open_images(run)
        received = "no --data, and the run's own data have"
        if _DATA.value:
            received = f"--data={_DATA.value}, which has"
        for workdir in workdirs:
            refuse_other_classes(workdir, source.class_names, "--data", received)
        models = [load_model(workdir) for workdir in workdirs]
        models = models or [build_model(len(source.class_names))]
        scales = read_scales() or (run["eval_scale"] if run else 256,)
        beside = _WORKDIR.value or pathlib.Path(_WEIGHTS.value or "").parent
        output = pathlib.Path(_OUTPUT.value or beside)
        output.mkdir(parents=True, exist_ok=True)
        is_terminal = sys.stdout.isatty()
        evaluations = [
            evaluate(
                models,
                source,
                protocol,
                scales,
                flip=_FLIP.value,
                batch_size=_BATCH_SIZE.value,
                verbose=int(is_terminal),  # progress and result
            )
            for protocol in _PROTOCOL.value
        ]
        with errors.when_not_written("make room, and give the same command again"):
            size = models[0].input_shape[1]
            write_evaluations(evaluations, name, output, size)
    if not is_terminal:
        print(*evaluations, sep="\n")
    print(
        f"\n{table(evaluations)}\n\nTop-1 / top-5 error in percent. Written to {output}"
    )


if __name__ == "__main__":
    app.run(main)
