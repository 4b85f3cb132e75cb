"""Test trained models as the paper does on many images, on Apache Beam.

    python -m applications.batch.evaluate --model=runs/quickstart/model.keras \\
        --input=photos --output=runs/evaluation --protocol=dense --scales=54,60 \\
        [--direct_num_workers=2 --direct_running_mode=multi_processing]

Prints the same errors as `keras_prelu.evaluation.evaluate`. `--input` is a folder with
one folder per class. The output contains evaluation.json, also with the errors of each
class; the folder `images` of Parquet files, with one row per image; and totals.json.
The workers need this package. Exit codes: 0, done; 2 and 75, see
`applications.batch.score`.
"""

import pathlib
import sys

if not __package__:
    sys.exit("error: start this program by `python -m applications.batch.evaluate`")

from absl import flags

from training import console

with console.quiet_import():
    import keras

import apache_beam as beam
import numpy as np
import pyarrow
from apache_beam.ml.inference.base import ModelHandler, RunInference

from applications.batch import output, program
from keras_prelu.data import Source
from keras_prelu.evaluation import ErrorSummary
from keras_prelu.evaluation.evaluator import (
    check_models,
    rank_images,
    standardize_models,
)
from keras_prelu.evaluation.protocols import PROTOCOLS, Scorer, flips_by_default
from keras_prelu.evaluation.ranking import misses
from training.workdir import refuse_other_classes

_MODEL = flags.DEFINE_list("model", None, "Files of trained models, to average.")
_PROTOCOL = flags.DEFINE_enum("protocol", "center", [*PROTOCOLS], "How to test.")
_SCALES = flags.DEFINE_list("scales", ["256"], "Shorter sides to average over.")
_FLIP = flags.DEFINE_bool(
    "flip",
    None,
    "Whether to average over mirrored images too; by default except for `center`.",
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 16, "Images per batch.", lower_bound=1)

SCHEMA = pyarrow.schema(
    {
        "path": pyarrow.string(),
        "label": pyarrow.string(),
        "class": pyarrow.list_(pyarrow.string()),
        "score": pyarrow.list_(pyarrow.float32()),
        "rank": pyarrow.list_(pyarrow.int32()),
        "error": pyarrow.string(),
    }
)

# Images of equal sizes are batched within this many batches.
_BATCHES_AT_ONCE = 16


class Evaluator(ModelHandler):
    """Ranks the classes of images, from `applications.batch.images`, to rows.

    Besides the columns of `SCHEMA`, a row has `misses`: for all scales together, then
    for each scale, whether there is a top-1 error and whether a top-5 error.

    Args:
        paths: Files of the models.
        class_names: Names of the classes.
        options: Dict of the arguments `protocol`, `scales`, `flip` and `batch_size` of
            `keras_prelu.evaluation.evaluate`.
    """

    def __init__(self, paths, class_names, options):
        batch_size = options["batch_size"]
        super().__init__(
            min_batch_size=batch_size, max_batch_size=_BATCHES_AT_ONCE * batch_size
        )
        self._paths = paths
        self._class_names = class_names
        self._options = options

    def load_model(self):
        """Load the models, once in each worker process."""
        return Scorers(map(keras.saving.load_model, self._paths), self._options)

    def run_inference(self, batch, model, inference_args=None):
        """Return the rows of a batch of images."""
        source = BatchSource(batch, self._class_names)
        scales, batch_size = self._options["scales"], self._options["batch_size"]
        ranking = rank_images(
            model.scorers, source, source.readable, scales, batch_size
        )
        labels = np.array([label for _, _, label, _ in batch])
        missed = [
            misses(best, labels) for best in (ranking.best, *ranking.by_scale.values())
        ]
        missed = np.stack(missed, axis=1).reshape(len(batch), -1).astype(int)
        return [
            self._row(
                image,
                error or source.reasons.get(index),
                ranking.best[index],
                ranking.best_scores[index],
                missed[index],
            )
            for index, (*image, error) in enumerate(batch)
        ]

    def get_num_bytes(self, batch):
        """Return the bytes of a batch, for Beam's metrics."""
        return sum(len(content) for _, content, _, _ in batch)

    def _row(self, image, error, best, scores, missed):
        path, _, label = image
        if error:
            best, scores = best[:0], scores[:0]
        return {
            "path": path,
            "label": self._class_names[label],
            "class": [self._name(index) for index in best],
            "score": scores.tolist(),
            "rank": range(1, len(best) + 1),
            "error": error or None,
            "misses": missed.tolist(),
        }

    def _name(self, index):
        """Return the name of a class, its number if the images have fewer classes."""
        names = self._class_names
        return names[index] if index < len(names) else str(index)


class Scorers:
    """The scorers of models, in an object that the threads of a process can share."""

    def __init__(self, models, options):
        self.scorers = [
            Scorer(model, options["protocol"], options["flip"], options["batch_size"])
            for model in models
        ]


class BatchSource(Source):
    """A batch of images as a source.

    Attributes:
        readable: Positions of the images that could be read.
        reasons: Dict from the positions of images that cannot be decoded to the reason.
    """

    def __init__(self, batch, class_names):
        super().__init__(class_names)
        self._batch = batch
        self.readable = [i for i, (_, _, _, error) in enumerate(batch) if not error]
        self.reasons = {}

    def __len__(self):
        return len(self._batch)

    def __getitem__(self, index):
        _, content, label, _ = self._batch[index]
        return content, label

    def describe(self, index):
        """Return the path of an image, or the name of its record."""
        return self._batch[index][0]

    def skip(self, index, reason):
        """Remember an image that cannot be decoded. Any number of them is allowed."""
        self.reasons[index] = reason


def process(images, evaluator):
    """Return the rows of images, and the sums of their errors by class.

    The sums of a class are the number of its images that were evaluated, and the sums
    of the columns of `misses`.
    """
    rows = images | RunInference(evaluator)
    sums = (
        rows
        | "Good" >> beam.Filter(lambda row: not row["error"])
        | "Misses" >> beam.Map(lambda row: (row["label"], [1, *row["misses"]]))
        | beam.CombinePerKey(_sum_of_columns)
        | "Sums" >> beam.combiners.ToDict()
    )
    return rows, {"sums": sums}


def _sum_of_columns(rows):
    return [sum(column) for column in zip(*rows, strict=True)]


def summarize(sums, totals, classes, models, options):
    """Return the errors of all images, as `keras_prelu.evaluation.evaluate` does.

    Args:
        sums: Dict from class names to the sums of `process`.
        totals: The totals of the pipeline.
        classes: The number of the models' classes.
        models: The number of models.
        options: The dict of options of `Evaluator`.
    """
    count, *missed = _sum_of_columns(sums.values())
    pairs = [
        (missed[i] / count, missed[i + 1] / count) for i in range(0, len(missed), 2)
    ]
    (top1, top5), *of_scales = pairs
    return ErrorSummary(
        protocol=options["protocol"],
        scales=options["scales"],
        flip=options["flip"],
        models=models,
        classes=classes,
        top1=top1,
        top5=top5,
        examples=count,
        skipped=totals["images"] - count,
        seconds=totals["seconds"],
        by_scale=dict(zip(options["scales"], of_scales, strict=True)),
    )


def errors_by_class(sums, class_names):
    """Return a dict for each class with images: its name, their number, the errors."""
    return [
        {
            "class": name,
            "examples": sums[name][0],
            "top1_error": sums[name][1] / sums[name][0],
            "top5_error": sums[name][2] / sums[name][0],
        }
        for name in class_names
        if name in sums
    ]


def read_options():
    """Return the dict of options of `Evaluator` from the flags."""
    try:
        scales = tuple(map(int, _SCALES.value))
    except ValueError as error:
        raise ValueError(
            f"Argument `--scales` must be integers. Received: --scales={_SCALES.value}"
        ) from error
    protocol, flip = _PROTOCOL.value, _FLIP.value
    return {
        "protocol": protocol,
        "scales": scales,
        "flip": flips_by_default(protocol) if flip is None else flip,
        "batch_size": _BATCH_SIZE.value,
    }


def check_classes(path, class_names):
    """Raise an error if images have other classes than the run of a model.

    Args:
        path: File of the model. If no run wrote it, nothing is known about its classes.
        class_names: Names of the classes of the images.
    """
    folder = pathlib.Path(path).parent
    if (folder / "config.json").is_file():
        flag, value = program.given_source()
        received = f"{flag}={value}, which has"
        refuse_other_classes(folder, class_names, flag, received)


def main(arguments):
    """Evaluate, print and write."""
    options = read_options()
    source, class_names = program.labeled_source()
    paths = [program.absolute(path) for path in _MODEL.value]
    for path in paths:
        check_classes(path, class_names)
    models = standardize_models([keras.saving.load_model(path) for path in paths])
    without_flip = {key: value for key, value in options.items() if key != "flip"}
    check_models(models, class_names=class_names, **without_flip)
    classes = models[0].output_shape[-1]

    def finish(values, totals, folder):
        sums = values["sums"]
        if not sums:
            raise ValueError(
                "Argument `--input` must contain an image that can be decoded. "
                f"Received: errors in all {totals['images']} images"
            )
        summary = summarize(sums, totals, classes, len(paths), options)
        by_class = errors_by_class(sums, class_names)
        result = {summary.protocol: {**summary.summary(), "by_class": by_class}}
        output.write_json(result, folder, "evaluation.json")
        print(summary)

    evaluator = Evaluator(paths, class_names, options)
    program.execute(
        arguments, source, lambda images: process(images, evaluator), SCHEMA, finish
    )


if __name__ == "__main__":
    flags.mark_flag_as_required("model")
    program.run(main)
