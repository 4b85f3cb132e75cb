"""Image-classification sets prepared by TensorFlow Datasets, read by position."""

import bisect
import itertools
import os
import struct
import threading

import tensorflow as tf
import tensorflow_datasets as tfds
from array_record.python.array_record_data_source import ArrayRecordDataSource

from keras_prelu.data.sources import Source

# A TFRecord is its length, a checksum of that, the data and a checksum of those.
_LENGTH = struct.Struct("<Q")
_BEFORE_DATA, _AFTER_DATA = 12, 4


def from_tfds(name, split, data_dir=None, max_bad=None):
    """Pictures of a TensorFlow Datasets set, by its own builder.

    A set that is not there yet is downloaded and prepared first, as ArrayRecord files.
    For `imagenet2012`, put `ILSVRC2012_img_train.tar` and `ILSVRC2012_img_val.tar` into
    `downloads/manual` in `data_dir` before; see the guide to the data. Pictures are
    read by their position in the files, in any order: ArrayRecord carries an index; for
    TFRecord it is made when a file is first touched, by reading the lengths in it.

    Args:
        name: A set whose examples are one image with one label, optionally with
            configuration and version as TFDS writes them (`"name/config:1.0.0"`).
        split: A split as TFDS writes it, for example `"train"` or `"train[:90%]"`.
        data_dir: Where prepared sets are. Defaults to TFDS's own default.
        max_bad: See `Source`.

    Returns:
        A `Source`.

    Examples:
        >>> from_tfds("imagenet2012", "train")  # doctest: +SKIP
    """
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:  # which lists every set there is
        raise ValueError(
            "`name` must be a set that TensorFlow Datasets knows. "
            f"Received: name={name}"
        ) from error
    if not builder.is_prepared():
        builder = tfds.builder(name, data_dir=data_dir, file_format="array_record")
        try:
            builder.download_and_prepare()
        except AssertionError as error:  # how TFDS says that a manual file is missing
            raise FileNotFoundError(
                f"The files of {name!r} must be put in place by hand; see "
                f"docs/guides/data.md. Received: data_dir={data_dir}. {error}"
            ) from error
        except FileExistsError:  # another process prepared the set meanwhile
            builder = tfds.builder(name, data_dir=data_dir)
            if not builder.is_prepared():
                raise
    return TfdsSource(builder, split, max_bad)


class TfdsSource(Source):
    """Pictures in the files of a prepared TFDS builder."""

    def __init__(self, builder, split, max_bad=None):
        self._image, self._label = _image_and_label(builder)
        super().__init__(builder.info.features[self._label].names, max_bad)
        try:
            files = builder.info.splits[split].file_instructions
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"`split` must be of {sorted(builder.info.splits)}. "
                f"Received: split={split}"
            ) from error
        self._builder, self._split = builder.info.full_name, split
        self._records = _records(builder, files)

    def __len__(self):
        return len(self._records)

    def __getitem__(self, index):
        feature = self._features(index)
        return (
            feature[self._image].bytes_list.value[0],
            feature[self._label].int64_list.value[0],
        )

    def describe(self, index):
        """Returns set, split and position, and the file's name where it is known."""
        names = self._features(index)["file_name"].bytes_list.value
        suffix = f" ({names[0].decode()})" if names else ""
        return f"{self._builder} {self._split} record {index}{suffix}"

    def fingerprint(self):
        """Returns the fingerprint of `Source`, with builder and split."""
        return {
            **super().fingerprint(),
            "builder": self._builder,
            "split": str(self._split),
        }

    def _features(self, index):
        return tf.train.Example.FromString(self._records[index]).features.feature


def _image_and_label(builder):
    keys = builder.info.supervised_keys
    features = builder.info.features
    if (
        keys is None
        or not isinstance(features[keys[0]], tfds.features.Image)
        or not isinstance(features[keys[1]], tfds.features.ClassLabel)
    ):
        raise ValueError(
            "`name` must be a set of images with one class label each. "
            f"Received: name={builder.info.full_name}, supervised_keys={keys}"
        )
    return keys[:2]


def _records(builder, files):
    file_format = builder.info.file_format.value
    if file_format == "array_record":
        return ArrayRecordDataSource(files)
    if file_format == "tfrecord":
        return _TfRecords(files)
    raise ValueError(
        "`name` must be prepared as array_record or tfrecord, which are read by "
        f"position. Received: name={builder.info.full_name}, prepared as {file_format}"
    )


class _TfRecords:
    """Random access to TFRecord files, which have no index of their own."""

    def __init__(self, files):
        self._files = files
        self._ends = list(itertools.accumulate(file.take for file in files))
        self._positions = [None] * len(files)
        self._lock = threading.Lock()

    def __len__(self):
        return self._ends[-1]

    def __getitem__(self, index):
        number = bisect.bisect_right(self._ends, index)
        file = self._files[number]
        place = file.skip + index - (self._ends[number] - file.take)
        with self._lock:
            if self._positions[number] is None:
                self._positions[number] = _record_positions(file.filename)
        start, length = self._positions[number][place]
        with open(file.filename, "rb") as stream:  # noqa: PTH123
            stream.seek(start)
            return stream.read(length)


def _record_positions(path):
    """(start, length) of the data of each record in a file."""
    positions = []
    size = os.path.getsize(path)  # noqa: PTH202
    with open(path, "rb", buffering=0) as stream:  # noqa: PTH123
        place = 0
        while place < size:
            stream.seek(place)
            (length,) = _LENGTH.unpack(stream.read(_LENGTH.size))
            positions.append((place + _BEFORE_DATA, length))
            place += _BEFORE_DATA + length + _AFTER_DATA
    return positions
