"""The records of datasets that TensorFlow Datasets has prepared, by position."""

import bisect
import itertools
import os
import struct
import threading
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds
from array_record.python.array_record_data_source import ArrayRecordDataSource

from keras_prelu.types import PathLike

__all__ = ["TfdsRecords", "file_instructions", "prepared_builder"]

# A TFRecord consists of a length, its checksum, the data and their checksum.
_LENGTH = struct.Struct("<Q")
_BEFORE_DATA, _AFTER_DATA = 12, 4


def prepared_builder(
    name: str, data_dir: PathLike | None = None
) -> tfds.core.DatasetBuilder:
    """Return the builder of a dataset, prepared as ArrayRecord if it was not before.

    Args:
        name: A dataset, optionally with configuration and version, as TFDS writes them.
        data_dir: Folder of prepared datasets. Defaults to TFDS's own default.
    """
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except ValueError as error:  # its text lists every dataset, or is a page long
        raise ValueError(
            "Argument `name` must be a dataset that TensorFlow Datasets knows, as "
            f"NAME[/CONFIGURATION][:VERSION]. Received: name={name}"
        ) from error
    if not builder.is_prepared():
        builder = tfds.builder(name, data_dir=data_dir, file_format="array_record")
        try:
            builder.download_and_prepare()
        except AssertionError as error:  # TFDS's way to say that a file is missing
            raise FileNotFoundError(
                f"Argument `data_dir` must be a folder with the files of {name!r}, "
                "which have to be downloaded by hand; see docs/guides/data.md. "
                f"Received: data_dir={data_dir}. {error}"
            ) from error
        except FileExistsError:  # another process has prepared the dataset meanwhile
            builder = tfds.builder(name, data_dir=data_dir)
            if not builder.is_prepared():
                raise
    return builder


class TfdsRecords:
    """The records of a split of a prepared TFDS builder.

    Args:
        builder: A `tfds.core.DatasetBuilder`.
        split: A split as TFDS writes it.
        file_name: Name of the feature that has the name of the image's file.
    """

    def __init__(
        self,
        builder: tfds.core.DatasetBuilder,
        split: str,
        file_name: str = "file_name",
    ) -> None:
        files = file_instructions(builder, split)
        self._builder, self._split = builder.info.full_name, split
        self._file_name = file_name
        self._records = _READERS[builder.info.file_format.value](files)

    def __len__(self) -> int:
        return len(self._records)

    def features(self, index: int) -> Any:
        """Return the encoded features of a record, by name.

        Args:
            index: Position of the record.
        """
        return tf.train.Example.FromString(self._records[index]).features.feature

    def describe(self, index: int) -> str:
        """Return dataset, split and position, and the name of the file if known.

        Args:
            index: Position of the record.
        """
        names = self.features(index)[self._file_name].bytes_list.value
        suffix = f" ({names[0].decode()})" if names else ""
        return f"{self._builder} {self._split} record {index}{suffix}"

    def fingerprint(self) -> dict[str, Any]:
        """Return a dict that identifies the builder and the split."""
        return {"builder": self._builder, "split": str(self._split)}


def file_instructions(builder: tfds.core.DatasetBuilder, split: str) -> list:
    """Return the files of a split, with the records to read, as TFDS lists them.

    Args:
        builder: A `tfds.core.DatasetBuilder`, prepared as ArrayRecord or TFRecord.
        split: A split as TFDS writes it.
    """
    file_format = builder.info.file_format.value
    if file_format not in _READERS:
        raise ValueError(
            "Argument `name` must be prepared as array_record or tfrecord, which can "
            f"be read by position. Received: name={builder.info.full_name}, prepared "
            f"as {file_format}"
        )
    try:
        return builder.info.splits[split].file_instructions
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"Argument `split` must be one of {sorted(builder.info.splits)}. "
            f"Received: split={split}"
        ) from error


class _TfRecords:
    """Random access to TFRecord files, which have no index."""

    def __init__(self, files: list) -> None:
        self._files = files
        self._ends = list(itertools.accumulate(file.take for file in files))
        self._positions: list = [None] * len(files)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> bytes:
        number = bisect.bisect_right(self._ends, index)
        file = self._files[number]
        record = file.skip + index - (self._ends[number] - file.take)
        with self._lock:
            if self._positions[number] is None:
                self._positions[number] = _record_positions(file.filename)
        start, length = self._positions[number][record]
        with open(file.filename, "rb") as stream:  # noqa: PTH123
            stream.seek(start)
            return stream.read(length)


def _record_positions(path):
    """Return (start, length) of the data of each record in a file."""
    positions = []
    size = os.path.getsize(path)  # noqa: PTH202
    with open(path, "rb", buffering=0) as stream:  # noqa: PTH123
        start = 0
        while start < size:
            stream.seek(start)
            (length,) = _LENGTH.unpack(stream.read(_LENGTH.size))
            positions.append((start + _BEFORE_DATA, length))
            start += _BEFORE_DATA + length + _AFTER_DATA
    return positions


_READERS = {"array_record": ArrayRecordDataSource, "tfrecord": _TfRecords}
