"""Results of a pipeline: a row per image, in a folder that appears whole."""

import contextlib
import json
import os
import pathlib
import shutil
import sys
import time

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics

from applications.batch.images import is_local
from keras_prelu.files import appear, filling

TOTALS = "totals.json"  # written last
_COUNTS = "counts"


# The folder ---------------------------------------------------------------------------


@contextlib.contextmanager
def appearing(output, overwrite):
    """Give a folder to write to, which becomes `output` at the end.

    On this machine's file systems, the folder has another name until then, and is
    removed if the block raises an error. Elsewhere, for example in an object store,
    folders cannot be renamed. There `output` is complete when it contains `TOTALS`.

    Args:
        output: The folder to make.
        overwrite: Whether to replace results that are already there.
    """
    if not is_local(output):
        _prepare_remote(output, overwrite)
        yield output
        return
    path = pathlib.Path(output)
    _check_local(path, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    with filling(path.parent) as partial:
        yield os.fspath(partial)
        # It may have been made meanwhile.
        _check_local(path, overwrite)
        former = path.with_name(f"{partial.name}-former")
        if (path / TOTALS).exists():
            path.rename(former)
        appear(partial, path)
        shutil.rmtree(former, ignore_errors=True)


def _check_local(path, overwrite):
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not (path / TOTALS).exists():
        # Not even with `--overwrite`: it may be a folder of something else.
        raise FileExistsError(
            "Argument `--output` must be a new folder, or one with results of this "
            f"program. Received: --output={path}, which contains something else"
        )
    if not overwrite:
        raise _has_results(path)


def _prepare_remote(output, overwrite):
    pattern = FileSystems.join(output, "**")
    files = [file.path for file in FileSystems.match([pattern])[0].metadata_list]
    if files and not overwrite:
        raise _has_results(output)
    if files:
        FileSystems.delete(files)


def _has_results(output):
    return FileExistsError(
        "Argument `--output` must be a new folder, unless --overwrite is given. "
        f"Received: --output={output}, which contains results"
    )


# What the pipeline writes -------------------------------------------------------------


def write(rows, schema, values, folder):
    """Write rows to Parquet files, and values to JSON files for `read_values`.

    Args:
        rows: A `PCollection` of dicts, one per image, with `path` and `error`: `None`,
            or a string that begins with the kind of the error, up to a colon.
        schema: The `pyarrow.Schema` of the rows.
        values: Dict from names to `PCollection`s of one value that JSON can hold.
        folder: The folder.
    """
    rows = rows | "Watch" >> beam.ParDo(Watch())
    _ = rows | beam.io.WriteToParquet(
        FileSystems.join(folder, "images", "part"),
        schema,
        codec="zstd",
        file_name_suffix=".parquet",
    )
    counts = (
        rows
        | "Kinds" >> beam.Map(lambda row: (row["error"] or "").partition(":")[0])
        | beam.combiners.Count.PerElement()
        | "Counts" >> beam.combiners.ToDict()
    )
    for name, value in {_COUNTS: counts, **values}.items():
        _ = (
            value
            | f"{name} in JSON" >> beam.Map(json.dumps)
            | f"Write {name}"
            >> beam.io.WriteToText(
                FileSystems.join(folder, name),
                ".json",
                num_shards=1,
                shard_name_template="",
            )
        )


class Watch(beam.DoFn):
    """Counts rows, for the runner's page of metrics and on the worker's stderr."""

    SECONDS = 30

    def __init__(self):
        self._images = Metrics.counter("batch", "images")
        self._errors = Metrics.counter("batch", "errors")

    def setup(self):
        """Begin to count."""
        self._seen, self._shown = 0, time.monotonic()

    def process(self, row):
        """Count a row, and return it unchanged."""
        self._images.inc()
        if row["error"]:
            self._errors.inc()
        self._seen += 1
        if time.monotonic() > self._shown + self.SECONDS:
            self._shown = time.monotonic()
            text = f"worker process {os.getpid()}: {self._seen:,} images"
            print(text, file=sys.stderr, flush=True)
        yield row


# What is read back when the pipeline has ended ----------------------------------------


def read_values(names, folder):
    """Return the values that `write` has written, by name, and remove their files."""
    paths = {name: FileSystems.join(folder, f"{name}.json") for name in names}
    values = {}
    for name, path in paths.items():
        with FileSystems.open(path) as file:
            values[name] = json.loads(file.read())
    FileSystems.delete([*paths.values()])
    return values


def read_totals(folder, seconds):
    """Return the numbers of images and of errors by kind, and the speed.

    Args:
        folder: The folder.
        seconds: The duration of the pipeline.
    """
    counts = read_values([_COUNTS], folder)[_COUNTS]
    images = sum(counts.values())
    return {
        "images": images,
        "errors": {kind: counts[kind] for kind in sorted(counts) if kind},
        "seconds": round(seconds, 1),
        "images_per_second": round(images / seconds, 1),
    }


def write_json(value, folder, name):
    """Write a file of JSON."""
    with FileSystems.create(FileSystems.join(folder, name)) as file:
        file.write((json.dumps(value, indent=2) + "\n").encode())


def describe(totals):
    """Return totals as lines of text."""
    errors = totals["errors"]
    first = (
        f"{totals['images']:,} images in {totals['seconds']} seconds "
        f"({totals['images_per_second']} images/s), {sum(errors.values()):,} errors"
    )
    return "\n".join([first, *(f"  {kind}: {n:,}" for kind, n in errors.items())])
