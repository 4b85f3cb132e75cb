"""Compute the mean and the color components of a collection, on Apache Beam.

    python -m applications.batch.statistics --input=photos --output=runs/statistics \\
        [--image_size=224 --scale=256] \\
        [--direct_num_workers=2 --direct_running_mode=multi_processing]

The output contains statistics.json: the mean of all channels and the components for
`keras_prelu.data.ColorComponents`; mean_image.npy, for
`keras_prelu.layers.SubtractMean`; the folder `images` of Parquet files, with one row
per image (`path` and `error`); and totals.json. Both means are those of the center
crops, the components those of all pixels at the original size. Only integers are added,
so the results do not depend on the workers. The workers need this package. Exit codes:
0, done; 2 and 75, see `applications.batch.score`.
"""

import dataclasses
import functools
import io
import sys

if not __package__:
    sys.exit("error: start this program by `python -m applications.batch.statistics`")

import apache_beam as beam
import numpy as np
import pyarrow
from absl import flags
from apache_beam.io.filesystems import FileSystems

from applications.batch import output, program
from keras_prelu.data.color import color_sums, components_of_sums
from keras_prelu.data.decoding import BadImageError, decode_rgb
from keras_prelu.data.resizing import evaluation_view

_IMAGE_SIZE = flags.DEFINE_integer(
    "image_size", 224, "Side of the center crop.", lower_bound=1
)
_SCALE = flags.DEFINE_integer(
    "scale", 256, "The shorter side before the crop.", lower_bound=1
)

SCHEMA = pyarrow.schema({"path": pyarrow.string(), "error": pyarrow.string()})


def measure(image, image_size, scale):
    """Return the row of an image and, unless it is bad, the sums over it."""
    path, content, _, error = image
    sums = ()
    if not error:
        try:
            pixels = decode_rgb(content)
            crop = evaluation_view(pixels, image_size, scale)
            sums = color_sums(pixels), crop.astype(np.int64), 1
        except BadImageError as bad:
            error = str(bad)
    return {"path": path, "error": error or None}, sums


class Sum(beam.CombineFn):
    """Adds tuples of arrays of integers. The empty tuple adds nothing."""

    def create_accumulator(self):
        """Return the sum of nothing."""
        return ()

    def add_input(self, accumulator, sums):
        """Return the sum of two tuples."""
        if not accumulator or not sums:
            return accumulator or sums
        return tuple(a + b for a, b in zip(accumulator, sums, strict=True))

    def merge_accumulators(self, accumulators):
        """Return the sum of several tuples."""
        return functools.reduce(self.add_input, accumulators, ())

    def extract_output(self, accumulator):
        """Return the sums as lists of integers."""
        return [np.asarray(sums).tolist() for sums in accumulator]


def process(images, image_size, scale):
    """Return the rows of images, and their sums."""
    measured = images | "Measure" >> beam.Map(measure, image_size, scale)
    sums = (
        measured
        | "Sums" >> beam.Map(lambda pair: pair[1])
        | beam.CombineGlobally(Sum())
    )
    return measured | "Rows" >> beam.Map(lambda pair: pair[0]), {"sums": sums}


def write_statistics(values, totals, folder):
    """Write the mean and the components that follow from the sums."""
    if not values["sums"]:
        raise ValueError(
            "Argument `--input` must contain an image that can be decoded. "
            f"Received: errors in all {totals['images']} images"
        )
    colors, crops, count = values["sums"]
    crops = np.array(crops)
    mean_image = crops / count
    components = components_of_sums(np.array(colors, object))
    output.write_json(
        {
            "images": count,
            "mean": (crops.sum((0, 1)) / (count * crops[..., 0].size)).tolist(),
            "color_components": dataclasses.asdict(components),
        },
        folder,
        "statistics.json",
    )
    buffer = io.BytesIO()
    np.save(buffer, mean_image.astype(np.float32))
    with FileSystems.create(FileSystems.join(folder, "mean_image.npy")) as file:
        file.write(buffer.getvalue())


def main(arguments):
    """Measure all images."""
    size, scale = _IMAGE_SIZE.value, _SCALE.value
    if scale < size:
        raise ValueError(
            f"Argument `--scale` must be at least --image_size={size}. "
            f"Received: --scale={scale}"
        )
    program.execute(
        arguments,
        program.source(),
        lambda images: process(images, size, scale),
        SCHEMA,
        write_statistics,
    )


if __name__ == "__main__":
    program.run(main)
