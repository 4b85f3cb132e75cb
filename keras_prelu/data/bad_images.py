"""List the images of a folder that cannot be decoded, and why.

    python -m keras_prelu.data.bad_images DIR

DIR holds one folder per class. The exit status is 1 if there are bad images.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import keras

from keras_prelu.data.decoding import BadImageError, decode_rgb, read_header
from keras_prelu.data.errors import DataError
from keras_prelu.data.file_source import from_directory
from keras_prelu.data.readers import has_tensorflow
from keras_prelu.data.sources import Source

__all__ = ["BadImage", "Report", "check", "main", "why_unusable"]

_IMAGES_PER_UPDATE = 256  # of the progress bar


class BadImage(NamedTuple):
    """An image that cannot be used, and the reason."""

    name: str
    reason: str


class Report(list[BadImage]):
    """A list of `BadImage`s that prints as a table.

    Args:
        bad: The bad images.
        checked: Number of images that were checked.

    Attributes:
        checked: Number of images that were checked.
    """

    def __init__(self, bad: Iterable[BadImage], checked: int) -> None:
        super().__init__(bad)
        self.checked = checked

    def __str__(self) -> str:
        summary = f"{len(self)} of {self.checked} images cannot be used."
        if not self:
            return summary
        width = max(len(image.name) for image in self)
        lines = [f"{image.name:{width}}  {image.reason}" for image in self]
        return "\n".join([f"{'image':{width}}  reason", *lines, summary])


def check(source: Source, threads: int = 8, verbose: bool = True) -> Report:
    """Decode every image of a source and list those that cannot be used.

    The list contains the images that training or evaluation would skip, and those
    that would stop both: labels without a class name, and files that are missing or
    are not regular files. Where TensorFlow is installed, training decodes plain JPEGs
    with it, and evaluation decodes every image with Pillow. If only one of the two
    fails, the reason says which. Whole images are decoded here, so damage is reported
    even where training would not notice it, below the window that it decodes.

    Args:
        source: A `Source`.
        threads: Number of images to decode at the same time. Defaults to 8.
        verbose: Whether to show a progress bar. Defaults to `True`.

    Returns:
        A `Report`: a list of `(name, reason)` that prints as a table.

    Examples:
        >>> import tempfile, pathlib, keras_prelu
        >>> file = pathlib.Path(tempfile.mkdtemp(), "cat.jpg")
        >>> _ = file.write_bytes(b"meow")
        >>> source = keras_prelu.data.from_files([file], [0], ["cat"])
        >>> report = check(source, verbose=False)
        >>> len(report), report[0].reason
        (1, 'not an image in JPEG, PNG, GIF, BMP, WEBP')
    """
    bad: list[BadImage] = []
    progress = keras.utils.Progbar(
        len(source), verbose=int(verbose), stateful_metrics=["bad"], unit_name="file"
    )
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(source), _IMAGES_PER_UPDATE):
            indices = range(start, min(start + _IMAGES_PER_UPDATE, len(source)))
            reasons = pool.map(lambda index: _reason(source, index), indices)
            bad += [
                BadImage(source.describe(index), reason)
                for index, reason in zip(indices, reasons, strict=True)
                if reason
            ]
            progress.update(indices.stop, [("bad", len(bad))])
    return Report(bad, len(source))


def _reason(source, index):
    """Return why an image of a source cannot be used, or None if it can."""
    try:
        data, _ = source.read(index)
    except DataError as error:
        return str(error)
    return why_unusable(data)


def why_unusable(data: bytes) -> str | None:
    """Return why an image cannot be used, or `None` if it can.

    Args:
        data: The bytes of a file.

    Examples:
        >>> why_unusable(b"meow")
        'not an image in JPEG, PNG, GIF, BMP, WEBP'
    """
    try:
        plain = read_header(data).plain
    except BadImageError as error:
        return str(error)
    in_evaluation = in_training = _decoding_error(decode_rgb, data)
    if plain and has_tensorflow():
        from keras_prelu.data.tf_decoding import check_jpeg

        in_training = _decoding_error(check_jpeg, data)
    if in_training and in_evaluation:
        return in_training
    if in_training:
        return f"in training only: {in_training}"
    return in_evaluation and f"in evaluation only: {in_evaluation}"


def _decoding_error(decode, data):
    try:
        decode(data)
    except BadImageError as error:
        return str(error)
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program.

    Args:
        arguments: Command line arguments. Defaults to those of the process.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(
        prog="python -m keras_prelu.data.bad_images",
        description="List the images of a folder that cannot be decoded, and why.",
    )
    parser.add_argument("directory", metavar="DIR", help="holds one folder per class")
    options = parser.parse_args(arguments)
    try:
        source = from_directory(options.directory)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    report = check(source, verbose=sys.stderr.isatty())
    print(report)
    return 1 if report else 0


if __name__ == "__main__":
    sys.exit(main())
