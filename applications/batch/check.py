"""List the images of a collection that cannot be decoded, and why, on Apache Beam.

    python -m applications.batch.check --input=photos --output=runs/check \\
        [--direct_num_workers=2 --direct_running_mode=multi_processing]

Finds what `python -m keras_prelu.data.bad_images` finds. The output contains the
folder `images` of Parquet files, with one row per image (`path` and `error`), and
totals.json. The workers need this package. Exit codes: 0, all images can be used; 1,
some cannot; 2 and 75, see `applications.batch.score`.
"""

import sys

if not __package__:
    sys.exit("error: start this program by `python -m applications.batch.check`")

from training import console

with console.quiet_import():
    import keras  # noqa: F401 (imports TensorFlow)

import apache_beam as beam
import pyarrow

from applications.batch import program
from keras_prelu.data.bad_images import why_unusable

SCHEMA = pyarrow.schema({"path": pyarrow.string(), "error": pyarrow.string()})


def check(image):
    """Return the row of an image."""
    path, content, _, error = image
    return {"path": path, "error": error or why_unusable(content)}


def main(arguments):
    """Check all images."""
    totals = program.execute(
        arguments,
        program.source(),
        lambda images: (images | "Check" >> beam.Map(check), {}),
        SCHEMA,
    )
    return 1 if totals["errors"] else 0


if __name__ == "__main__":
    program.run(main)
