"""Images as elements of a pipeline: tuples `(path, content, label, error)`.

`label` is -1 if it is not known. If an image cannot be read, `error` says why and
`content` is empty; otherwise `error` is empty.

Workers get the code of this module with the pipeline (`program.execute`). It imports
nothing but Beam and, for datasets of TFDS, what reads their files.
"""

import functools
import os
import pathlib
import re

import apache_beam as beam
from apache_beam.io import fileio
from apache_beam.io.filesystem import CompressionTypes, FileSystem
from apache_beam.io.filesystems import FileSystems

CANNOT_BE_READ = "cannot be read"

# Records that are read one after another from files with an index.
_RECORDS_PER_BLOCK = 512


class Files(beam.PTransform):
    """Reads the files that match patterns.

    Args:
        patterns: Patterns of Beam, in which `**` also matches `/`.
        is_image: Function from a path to whether to read it.
        label_of: Function from a path to the label of the image.
    """

    def __init__(self, patterns, is_image=None, label_of=None):
        super().__init__()
        self._patterns = patterns
        self._is_image = is_image or (lambda path: True)
        self._read = functools.partial(_read_file, label_of or (lambda path: -1))

    def expand(self, pipeline):
        """Return the images."""
        is_image = self._is_image
        return (
            pipeline
            | beam.Create(self._patterns)
            | fileio.MatchAll(fileio.EmptyMatchTreatment.ALLOW)
            | "Images only" >> beam.Filter(lambda file: is_image(file.path))
            # All files match in one worker; from here on, all workers share them.
            | beam.Reshuffle()
            | fileio.ReadMatches(CompressionTypes.UNCOMPRESSED)
            | "Read files" >> beam.Map(self._read)
        )


def is_local(path):
    """Return whether a path belongs to this machine's file systems."""
    return FileSystems.get_scheme(path) is None


def files_of_pattern(text):
    """Return `Files` for a pattern in which each `/**/` also matches `/`."""
    if re.search(r"[*?[]", text.partition("/")[0]):
        text = f"./{text}"  # Beam lists no folder without a name
    # One pattern, so that no file is read twice. It may match too many files.
    is_image = functools.partial(_matches, _variants(text))
    return Files([text.replace("/**/", "/**")], is_image)


def _variants(text):
    """Return the patterns in which each `/**/` either stays or is replaced by `/`."""
    first, stars, rest = text.partition("/**/")
    if not stars:
        return [text]
    return [
        f"{first}{between}{variant}"
        for variant in _variants(rest)
        for between in ("/**/", "/")
    ]


def _matches(patterns, path):
    """Return whether a path matches one of Beam's patterns."""
    translate = FileSystem.translate_pattern
    return any(re.match(translate(pattern), path) for pattern in patterns)


def files_of_folder(root, text_files):
    """Return `Files` for all images in a folder, as `data.from_directory` takes them.

    Args:
        root: The folder.
        text_files: The endings of files that are not images.
    """
    is_image = functools.partial(_is_image, root, text_files)
    return Files([_pattern(root)], is_image)


def files_of_classes(root, class_names, text_files):
    """Return `Files` for a folder that contains one folder per class.

    Args:
        root: The folder.
        class_names: Names of the folders, in the order of the labels.
        text_files: The endings of files that are not images.
    """
    # One pattern per class, because a class folder may be a symbolic link.
    patterns = [_pattern(f"{root}/{name}") for name in class_names]
    labels = {name: label for label, name in enumerate(class_names)}
    return Files(
        patterns,
        functools.partial(_is_image, root, text_files),
        lambda path: labels[_parts(root, path)[0]],
    )


def _pattern(folder):
    """Return a pattern for all files in a folder."""
    if re.search(r"[*?[]", folder):
        raise ValueError(
            "Argument `--input` must be a folder without *, ? and [ in its path and in "
            "the names of its classes, because Beam's patterns cannot quote them. "
            f"Received: {folder}"
        )
    return f"{folder}/**"


def _parts(root, path):
    return pathlib.PurePath(path[len(root) + 1 :]).parts


def _is_image(root, text_files, path):
    is_hidden = any(part.startswith(".") for part in _parts(root, path))
    return not is_hidden and not path.lower().endswith(text_files)


def _read_file(label_of, file):
    path = file.metadata.path
    name = os.fsencode(path).decode(errors="backslashreplace")
    label = label_of(path)
    # Opening a pipe would wait for a writer.
    if is_local(path) and os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113
        return name, b"", label, f"{CANNOT_BE_READ}: not a regular file"
    try:
        with file.open() as stream:
            return name, stream.read(), label, ""
    except OSError as error:
        return name, b"", label, f"{CANNOT_BE_READ}: {error.strerror or error}"


class Records(beam.PTransform):
    """Reads the images of a dataset that TensorFlow Datasets has prepared.

    Args:
        title: Name of the dataset and the split, with which the paths begin.
        file_format: `"tfrecord"` or `"array_record"`.
        files: The files of the split, as TFDS's `file_instructions` list them.
        features: Names of the features for the image and for its label.
    """

    def __init__(self, title, file_format, files, features):
        super().__init__()
        self._blocks = [*_blocks(files, file_format == "array_record")]
        read = {"tfrecord": _tfrecords, "array_record": _array_records}[file_format]
        self._read = functools.partial(_read_block, title, read, features)

    def first_labels(self):
        """Return a list of the first image's label, empty if there are no images."""
        return [
            label
            for path, start, _, position in self._blocks[:1]
            for _, _, label, _ in self._read((path, start, 1, position))
        ]

    def expand(self, pipeline):
        """Return the images."""
        return (
            pipeline
            | beam.Create(self._blocks)
            | beam.Reshuffle()
            | "Read records" >> beam.FlatMap(self._read)
        )


def _blocks(files, has_index):
    """Yield `(file, first record, number of records, position in the split)`."""
    position = 0
    for file in files:
        step = _RECORDS_PER_BLOCK if has_index else file.take
        for start in range(0, file.take, step):
            count = min(step, file.take - start)
            yield os.fspath(file.filename), file.skip + start, count, position + start
        position += file.take


def _tfrecords(path, first, count):
    import tensorflow as tf

    return tf.data.TFRecordDataset(path).skip(first).take(count).as_numpy_iterator()


def _array_records(path, first, count):
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    with ArrayRecordDataSource(path) as records:
        yield from records.__getitems__(range(first, first + count))


def _read_block(title, read, features, block):
    import tensorflow as tf

    path, first, count, position = block
    image, label = features
    for offset, record in enumerate(read(path, first, count)):
        feature = tf.train.Example.FromString(record).features.feature
        names = feature["file_name"].bytes_list.value
        suffix = f" ({names[0].decode()})" if names else ""
        yield (
            f"{title} record {position + offset}{suffix}",
            feature[image].bytes_list.value[0],
            feature[label].int64_list.value[0],
            "",
        )
