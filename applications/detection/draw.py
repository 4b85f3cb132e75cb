"""Draw what the detector of a run finds in the images of a folder.

    python -m applications.detection.draw --workdir=DIR --images=DIR --output=DIR

Writes each image with its boxes, and `detections.csv`, into the output. Regions are
proposed and images resized as in the run. Images that cannot be decoded are skipped and
counted. Exit codes: 0 for success, 2 for an error in the arguments or in the run.
"""

import pathlib
import sys

if not __package__:
    sys.exit("error: start this program by `python -m applications.detection.draw`")

from absl import app, flags

from training import console, errors

with console.quiet_import():
    import keras

from keras_prelu import data, detection
from keras_prelu.data.decoding import BadImageError, decode_rgb
from keras_prelu.data.file_source import TEXT_FILES, printable
from keras_prelu.detection.detecting import Detecting, checked_input
from keras_prelu.files import replacing
from keras_prelu.tables import write_csv
from training.workdir import load_model, read_class_names, read_detector_config

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.", required=True)
_IMAGES = flags.DEFINE_string("images", None, "Folder of images.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder of results.", required=True)
_SCORE_THRESHOLD = flags.DEFINE_float(
    "score_threshold", 0.5, "Only detections with larger scores are drawn."
)
_COLUMNS = ("x1", "y1", "x2", "y2")


def open_images(folder):
    """Return the images of a folder, without those of its subfolders.

    Args:
        folder: `pathlib.Path` of the folder.
    """
    paths = [
        path
        for path in sorted(folder.iterdir())
        if path.is_file()
        and path.suffix.lower() not in TEXT_FILES
        and not path.name.startswith(".")
    ]
    if not paths:
        raise ValueError(
            "Argument `--images` must be a folder with images in it. "
            f"Received: --images={folder}"
        )
    return data.from_files(paths, [0] * len(paths), ["image"], max_bad=len(paths))


def detect_all(source, regions, detecting, class_names, output):
    """Write the images with boxes, and return the rows of the table.

    Args:
        source: The images.
        regions: Their proposals.
        detecting: The `Detecting` of the detector.
        class_names: The names of its classes.
        output: `pathlib.Path` of the folder to write into.
    """
    rows = []
    progress = keras.utils.Progbar(len(source), unit_name="image")
    for index in range(len(source)):
        name = pathlib.Path(source.paths[index]).name
        try:
            image = decode_rgb(source.read(index)[0])
        except BadImageError as error:
            source.skip(index, str(error))
        else:
            found = detecting(*checked_input(image, regions[index], name))
            drawn = detection.draw(image, found, class_names)
            with replacing(output / f"{name}.png") as aside:
                drawn.save(aside)
            rows += table_rows(printable(name), found, class_names)
        progress.update(index + 1)
    return rows


def table_rows(name, found, class_names):
    """Return a row for each detection in an image."""
    return [
        {
            "image": name,
            "class": class_names[label],
            "score": float(score),
            **dict(zip(_COLUMNS, map(float, box), strict=True)),
        }
        for box, label, score in zip(*found, strict=True)
    ]


def write_table(path, rows):
    """Write the detections, or only the names of the columns if there are none."""
    if rows:
        write_csv(path, rows, digits=5)
    else:
        with replacing(path) as aside:
            aside.write_text(",".join(("image", "class", "score", *_COLUMNS)) + "\n")


def main(_):
    """Detect, draw and print the paths."""
    with errors.in_one_line():
        workdir, output = pathlib.Path(_WORKDIR.value), pathlib.Path(_OUTPUT.value)
        config = read_detector_config(workdir)
        class_names = read_class_names(workdir)
        source = open_images(pathlib.Path(_IMAGES.value))
        sides = config["detection"]
        options = detection.DetectionOptions(
            score_threshold=_SCORE_THRESHOLD.value,
            shorter_side=sides["shorter_side"][1],
            longest_side=sides["longest_side"],
        )
        detecting = Detecting(load_model(workdir), options)
        method, side = (config["proposals"][key] for key in ("method", "side"))
        regions = detection.proposals(source, method=method, side=side or None)
        output.mkdir(parents=True, exist_ok=True)
        rows = detect_all(source, regions, detecting, class_names, output)
        write_table(output / "detections.csv", rows)
    print(f"{len(rows)} detections, {len(source.skipped)} images skipped: {output}")


if __name__ == "__main__":
    app.run(main)
