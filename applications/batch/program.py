"""What the programs of this folder share: flags, sources, and a run to its end."""

import itertools
import logging
import os
import pathlib
import queue
import sys
import threading
import time

import apache_beam as beam
from absl import app, flags
from apache_beam.internal.cloudpickle import cloudpickle
from apache_beam.options.pipeline_options import (
    PipelineOptions,
    StandardOptions,
    TypeOptions,
    WorkerOptions,
)

import applications.batch
from applications.batch import images, output
from keras_prelu.data.file_source import TEXT_FILES, class_folders
from training import errors

WORKER_LOST = 75  # EX_TEMPFAIL of sysexits.h, as in training

_INPUT = flags.DEFINE_string(
    "input", None, "A folder of images, or a pattern such as 'photos/**/*.jpg'."
)
_TFDS = flags.DEFINE_string(
    "tfds", None, "Instead of --input: a dataset of TensorFlow Datasets."
)
_SPLIT = flags.DEFINE_string("split", None, "The split of --tfds.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "The folder of prepared datasets.")
_OUTPUT = flags.DEFINE_string("output", None, "The folder to make.", required=True)
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "Whether to replace results in the output."
)


class WorkerLostError(RuntimeError):
    """A worker process on this machine has ended before the pipeline."""


def run(main):
    """Run a program.

    Args:
        main: Function from Beam's options, a list of strings, to the exit status.
    """

    def guarded(arguments):
        try:
            with errors.in_one_line():
                return main(arguments[1:])
        except WorkerLostError as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            # Beam's threads would wait for the lost worker for ever.
            os._exit(WORKER_LOST)

    app.run(guarded, flags_parser=lambda line: flags.FLAGS(line, known_only=True))


# The input ----------------------------------------------------------------------------


def source():
    """Return the images of `--input` or `--tfds`, without labels of folders."""
    _check_source()
    if _TFDS.value:
        return _dataset()[0]
    path = _INPUT.value
    if pathlib.Path(path).is_dir() or path.endswith("/"):
        return images.files_of_folder(path.rstrip("/"), TEXT_FILES)
    return images.files_of_pattern(path)


def labeled_source():
    """Return the images of `--input`, which has one folder per class, or `--tfds`.

    Returns:
        A transform for the start of a pipeline, and the names of the classes.
    """
    _check_source()
    if _TFDS.value:
        records, names = _dataset()
        if -1 in records.first_labels():  # as TFDS labels ImageNet's test split
            raise ValueError(
                "Argument `--split` must be a split with labels. "
                f"Received: --split={_SPLIT.value}, which has none"
            )
        return records, names
    root = _INPUT.value.rstrip("/")
    names = class_folders(pathlib.Path(root))
    return images.files_of_classes(root, names, TEXT_FILES), names


def given_source():
    """Return the flag that names the images, and its value."""
    flag = _TFDS if _TFDS.value else _INPUT
    return f"--{flag.name}", flag.value


def _check_source():
    given = [flag.name for flag in (_INPUT, _TFDS) if flag.value]
    if len(given) != 1 or bool(_TFDS.value) != bool(_SPLIT.value):
        raise ValueError(
            "Arguments `--input`, or `--tfds` and `--split`, must be given. Received: "
            f"--input={_INPUT.value}, --tfds={_TFDS.value}, --split={_SPLIT.value}"
        )


def _dataset():
    from keras_prelu.data.tfds_records import file_instructions, prepared_builder
    from keras_prelu.data.tfds_source import image_and_label

    builder = prepared_builder(_TFDS.value, _DATA_DIR.value)
    features = image_and_label(builder)
    records = images.Records(
        f"{builder.info.full_name} {_SPLIT.value}",
        builder.info.file_format.value,
        file_instructions(builder, _SPLIT.value),
        features,
    )
    return records, builder.info.features[features[1]].names


# The run ------------------------------------------------------------------------------


def execute(arguments, source, process, schema, finish=lambda *_: None):
    """Run a pipeline, write its results and print the totals.

    Args:
        arguments: Beam's options, a list of strings.
        source: A transform for the start of the pipeline, from `source` or
            `labeled_source`.
        process: Function from a `PCollection` of images to one of rows and a dict of
            values; see `output.write`.
        schema: The `pyarrow.Schema` of the rows.
        finish: Function that is called at the end, with the values, the totals and the
            folder. It may write files to the folder.

    Returns:
        The totals.
    """
    options = beam_options(arguments)
    cloudpickle.register_pickle_by_value(applications.batch)
    with output.appearing(_OUTPUT.value, _OVERWRITE.value) as folder:
        pipeline = beam.Pipeline(options=options)
        rows, values = process(pipeline | "Images" >> source)
        output.write(rows, schema, values, folder)
        start = time.monotonic()
        _run_to_its_end(pipeline)
        totals = output.read_totals(folder, time.monotonic() - start)
        if not totals["images"]:
            raise ValueError(
                "Argument `--input` must be a folder or a pattern of at least one "
                f"image. Received: --input={_INPUT.value}"
            )
        finish(output.read_values(values, folder), totals, folder)
        output.write_json(totals, folder, output.TOTALS)
    print(f"{output.describe(totals)}\nWritten to {_OUTPUT.value}")
    return totals


def beam_options(arguments):
    """Return Beam's options; refuse those that Beam does not know.

    Args:
        arguments: A list of strings.
    """
    options = PipelineOptions(arguments)
    known = options.get_all_options()
    unknown = options.get_all_options(retain_unknown_options=True).keys() - known
    if unknown:
        raise ValueError(
            "Arguments must be flags of this program or options of Beam. Received: "
            + ", ".join(f"--{name}" for name in sorted(unknown))
        )
    _refuse_further_files(arguments)
    if options.view_as(StandardOptions).runner in (None, "DirectRunner"):
        # The local runner would first try to download another runner, Prism, which
        # ignores `--direct_num_workers`. Prism does not support this option, and
        # without triggers it changes nothing else.
        options.view_as(TypeOptions).allow_unsafe_triggers = True
    workers = options.view_as(WorkerOptions)
    workers.default_sdk_harness_log_level = (
        workers.default_sdk_harness_log_level or "WARNING"
    )
    # It repeats what the workers write to this process's stderr.
    repeating = logging.getLogger("apache_beam.runners.portability.local_job_service")
    repeating.setLevel(logging.CRITICAL)
    return options


def _refuse_further_files(arguments):
    """Raise an error for arguments that are neither options nor values of options.

    Beam ignores them. A shell that replaces the pattern in `--input photos/*` passes
    all files but the first one in this way.
    """
    files = [
        argument
        for before, argument in itertools.pairwise(["", *arguments])
        if not argument.startswith("-")
        and not (before.startswith("-") and "=" not in before)
    ]
    if files:
        raise ValueError(
            "Argument `--input` must be one folder or one pattern; quote a pattern. "
            f"Received: further arguments {', '.join(files)}"
        )


def _run_to_its_end(pipeline):
    """Run a pipeline. Raise an error when a worker process of this machine is lost.

    Beam's local runner would wait for the results of such a worker for ever. It starts
    each worker process in a thread, which raises an error when the process fails.
    """
    outcomes = queue.SimpleQueue()
    former = threading.excepthook

    def on_error(details):
        if details.thread.name == "run_worker":
            outcomes.put(
                WorkerLostError(
                    f"{details.exc_value}. Nothing was written; start the same command "
                    "again. If it happens again, the worker may lack memory."
                )
            )
        else:
            former(details)

    def work():
        try:
            pipeline.run().wait_until_finish()
            outcomes.put(None)
        except Exception as error:
            outcomes.put(error)

    threading.excepthook = on_error
    threading.Thread(target=work, daemon=True).start()
    error = outcomes.get()
    threading.excepthook = former
    if error:
        raise error


def absolute(path):
    """Return a path that workers with another working directory can use, too."""
    return os.path.abspath(path) if images.is_local(path) else path  # noqa: PTH100
