"""Looking through a source beforehand for pictures that cannot be decoded."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import keras
import tensorflow as tf

from keras_prelu.data.batch_assembly import reason_of
from keras_prelu.data.decoding import BadImageError, decode_rgb, read_header
from keras_prelu.data.errors import DataError

_SLICE = 256  # pictures between two updates of the progress bar


class BadImage(NamedTuple):
    """A picture that cannot be used, and why."""

    name: str
    reason: str


class Report(list):
    """A list of `BadImage`s that prints as a table.

    Attributes:
        checked: How many pictures were looked at.
    """

    def __init__(self, bad, checked):
        super().__init__(bad)
        self.checked = checked

    def __str__(self):
        summary = f"{len(self)} of {self.checked} pictures cannot be used."
        if not self:
            return summary
        width = max(len(picture.name) for picture in self)
        lines = [f"{picture.name:{width}}  {picture.reason}" for picture in self]
        return "\n".join([f"{'picture':{width}}  reason", *lines, summary])


def check(source, threads=8, verbose=True):
    """Decodes every picture of a source and lists those that cannot be used.

    They are the ones that training or evaluation would skip, and those at which both
    would stop: labels outside the class names, files that are missing or no regular
    files. Training reads plain JPEGs by TensorFlow's decoder, evaluation reads all by
    Pillow; the reason says so where only one of them fails. Whole pictures are decoded
    here: training does not notice damage below the window that it reads.

    Args:
        source: A source.
        threads: How many pictures are decoded at once.
        verbose: Whether to show progress.

    Returns:
        A `Report`: a list of `(name, reason)`, to be printed as a table.

    Examples:
        >>> import tempfile, pathlib, keras_prelu
        >>> file = pathlib.Path(tempfile.mkdtemp(), "cat.jpg")
        >>> _ = file.write_bytes(b"meow")
        >>> source = keras_prelu.data.from_files([file], [0], ["cat"])
        >>> report = check(source, verbose=False)
        >>> len(report), report[0].reason
        (1, 'not a picture in JPEG, PNG, GIF, BMP, WEBP')
    """
    bad = []
    progress = keras.utils.Progbar(
        len(source), verbose=int(verbose), stateful_metrics=["bad"], unit_name="file"
    )
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(source), _SLICE):
            indices = range(start, min(start + _SLICE, len(source)))
            reasons = pool.map(lambda index: _fault(source, index), indices)
            bad += [
                BadImage(source.describe(index), reason)
                for index, reason in zip(indices, reasons, strict=True)
                if reason
            ]
            progress.update(indices.stop, [("bad", len(bad))])
    return Report(bad, len(source))


def _fault(source, index):
    """Why a picture cannot be used, or None."""
    try:
        data, _ = source.read(index)
        plain = read_header(data).plain
    except (DataError, BadImageError) as error:
        return str(error)
    in_evaluation = _error_of(decode_rgb, data)
    in_training = _error_of(_decode_for_training, data) if plain else in_evaluation
    if in_training and in_evaluation:
        return in_training
    if in_training:
        return f"in training only: {in_training}"
    return in_evaluation and f"in evaluation only: {in_evaluation}"


def _decode_for_training(data):
    tf.io.decode_jpeg(data, channels=3)


def _error_of(decode, data):
    try:
        decode(data)
    except tf.errors.OpError as error:
        return reason_of(error)
    except BadImageError as error:
        return str(error)
    return None
