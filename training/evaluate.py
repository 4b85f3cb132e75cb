"""Tests trained nets as the paper does, and prints a table like its Table 4.

    python -m training.evaluate --workdir=DIR --protocol=center,ten_view,dense \\
        --scales=256,384,480
    python -m training.evaluate --ensemble=DIR,DIR,... --output=DIR ...
    python -m training.evaluate --weights=FILE --model=model_a --data=NAME ...

Writes evaluation.json, and in report/ the confusions and the paper's figure 4, the five
best guesses for some pictures. Exit codes: 0, done; 2, something is wrong with the
arguments or the data; 74, the results could not be written.
"""

import os
import pathlib
import sys

if not __package__:
    sys.exit("error: start this program by `python -m training.evaluate`")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

from absl import app, flags

from keras_prelu import data
from keras_prelu.evaluation import evaluate, table
from training import errors
from training.inputs import CONSTRUCTORS, load_model, open_source, read_config
from training.report import write_evaluations

_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of a run.")
_ENSEMBLE = flags.DEFINE_list("ensemble", None, "Folders of runs, to be averaged.")
_WEIGHTS = flags.DEFINE_string("weights", None, "A file or name of weights.")
_MODEL = flags.DEFINE_enum("model", None, [*CONSTRUCTORS], "The net of the weights.")
_ACTIVATION = flags.DEFINE_string("activation", "prelu", "Its activation.")
_WIDTH = flags.DEFINE_float("width", 1.0, "Its width.")
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 224, "Its input size.")
_DATA = flags.DEFINE_string(
    "data", None, "A TFDS set, or a folder of splits; by default that of the run."
)
_SPLIT = flags.DEFINE_string("split", None, "The split; by default the run's.")
_PROTOCOL = flags.DEFINE_list("protocol", ["center"], "center, ten_view, dense.")
_SCALES = flags.DEFINE_list("scales", None, "Shorter sides; by default the run's.")
_FLIP = flags.DEFINE_bool(
    "flip", None, "Average over mirror images too; by default not for center."
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 16, "See keras_prelu.evaluation.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "Where to write; by default the workdir, or beside the weights."
)


def check_flags():
    """Refuses flags that say too little, or two things at once."""
    given = [f.name for f in (_WORKDIR, _ENSEMBLE, _WEIGHTS) if f.value]
    if len(given) != 1:
        raise ValueError(
            "One of --workdir, --ensemble and --weights must be given. "
            f"Received: {', '.join(given) or 'none'}"
        )
    if _WEIGHTS.value and not (_MODEL.value and _DATA.value):
        raise ValueError(
            "--weights must be given with --model and --data. "
            f"Received: --model={_MODEL.value}, --data={_DATA.value}"
        )
    if _ENSEMBLE.value and not _OUTPUT.value:
        raise ValueError("--ensemble must be given with --output. Received: no output")


def read_scales():
    """Returns the integers of `--scales`, or None."""
    try:
        return _SCALES.value and tuple(map(int, _SCALES.value))
    except ValueError as error:
        raise ValueError(
            f"--scales must be integers. Received: --scales={_SCALES.value}"
        ) from error


def open_images(run):
    """Returns the source to test on.

    Args:
        run: Configuration of the data of a run, or None.
    """
    config = dict(run or {"path": "", "data_dir": "", "validation": "validation"})
    if _DATA.value:
        is_folder = pathlib.Path(_DATA.value).is_dir()
        config["path" if is_folder else "name"] = _DATA.value
        if not is_folder:
            config["path"] = ""
    return open_source(config, _SPLIT.value or config["validation"])


def construct(classes):
    """Returns the net that `--model` names, with the weights of `--weights`."""
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
    """Evaluates, prints, writes."""
    with errors.in_one_line():
        check_flags()
        workdirs = _ENSEMBLE.value or ([_WORKDIR.value] if _WORKDIR.value else [])
        run = read_config(workdirs[0])["data"] if workdirs else None
        source = open_images(run)
        models = [load_model(workdir) for workdir in workdirs]
        models = models or [construct(len(source.class_names))]
        scales = read_scales() or (run["eval_scale"] if run else 256,)
        beside = _WORKDIR.value or pathlib.Path(_WEIGHTS.value or "").parent
        output = pathlib.Path(_OUTPUT.value or beside)
        output.mkdir(parents=True, exist_ok=True)
        found = [
            evaluate(
                models,
                source,
                protocol,
                scales,
                flip=_FLIP.value,
                batch_size=_BATCH_SIZE.value,
            )
            for protocol in _PROTOCOL.value
        ]
        with errors.when_not_written("make room, and give the same command again"):
            write_evaluations(found, output, models[0].input_shape[1])
    print(f"\n{table(found)}\n\nTop-1 / top-5 error in percent. Written to {output}")


if __name__ == "__main__":
    app.run(main)
