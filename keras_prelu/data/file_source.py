"""Sources of images in files: folders of them, or lists."""

import os
import pathlib
import stat
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from absl import logging

from keras_prelu.class_names import checked_class_names
from keras_prelu.data.errors import UnreadableImageError
from keras_prelu.data.fingerprints import digest, digest_of_integers
from keras_prelu.data.sources import Source
from keras_prelu.number_checks import is_position
from keras_prelu.types import PathLike

__all__ = [
    "TEXT_FILES",
    "FileSource",
    "class_folders",
    "from_directory",
    "from_files",
    "printable",
    "read_file",
    "relative_names",
]

# Files that a class folder may contain beside its images.
TEXT_FILES = (".txt", ".csv", ".json", ".md", ".xml", ".html")


class FileSource(Source):
    """A source of images in files, as returned by `from_directory` and `from_files`.

    Args:
        paths: Paths of the files.
        labels: Integers, one for each file.
        class_names: Names of the classes.
        max_bad: See `Source`.

    Attributes:
        paths: Paths of the files, as strings.
        labels: The labels, as an int32 array.
    """

    def __init__(
        self,
        paths: Iterable[PathLike],
        labels: Sequence[int],
        class_names: Iterable[str],
        max_bad: int | None = None,
    ) -> None:
        super().__init__(class_names, max_bad)
        self.paths = [os.fspath(path) for path in paths]
        self.labels = np.asarray(labels, np.int32)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[bytes, int]:
        return read_file(self.paths[index]), int(self.labels[index])

    def describe(self, index: int) -> str:
        """Return the path of an image, in printable characters."""
        return printable(self.paths[index])

    def fingerprint(self) -> dict[str, Any]:
        """Return the fingerprint of `Source`, with the names of the files by class."""
        names: dict[str, list[bytes]] = {name: [] for name in self.class_names}
        for name, label in zip(relative_names(self.paths), self.labels, strict=True):
            names[self.class_names[label]].append(name)
        files = {
            name: f"{len(paths)} files, names {digest(paths)}"
            for name, paths in names.items()
        }
        fingerprint = {**super().fingerprint(), "files": files}
        if (np.diff(self.labels) < 0).any():
            fingerprint["order"] = digest_of_integers(self.labels)
        return fingerprint


def from_directory(path: PathLike, max_bad: int | None = None) -> FileSource:
    """Return the images in a folder that contains one folder per class.

    Classes are in the order of their names, and so are the files of a class. Folders
    inside a class folder belong to that class. Hidden files and folders, and text files
    (`.txt`, `.csv`, `.json`, `.md`, `.xml`, `.html`), are ignored. Every other regular
    file counts as an image, whatever its name.

    A class folder may be a symbolic link. Inside it, only links that stay inside are
    followed. Links that lead out of it or to nothing, and files that are not regular
    (pipes, sockets, devices), are skipped, with one line in the log per class.

    Args:
        path: The folder that contains the class folders.
        max_bad: See `Source`.

    Returns:
        A `Source`.

    Raises:
        FileNotFoundError: If `path` does not exist.
        NotADirectoryError: If `path` is a file.
        ValueError: If there are no class folders, or one of them has no images.

    Examples:
        >>> import tempfile
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("dog", "cat"):
        ...     (root / name).mkdir()
        ...     _ = (root / name / "1.jpg").write_bytes(b"")
        >>> source = from_directory(root)
        >>> source.class_names, len(source)
        (['cat', 'dog'], 2)
    """
    root = pathlib.Path(path)
    class_names = class_folders(root)
    paths: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(class_names):
        files, skipped = _image_files(root / name)
        if skipped:
            logging.warning(
                "Skipped in %s, because they are not regular files inside it: %s",
                root / name,
                _first_of(skipped),
            )
        if not files:
            raise ValueError(
                "Argument `path` must be a folder whose class folders contain images. "
                f"Received: path={root}, in which {name} has no images"
            )
        paths += files
        labels += [label] * len(files)
    return FileSource(paths, labels, class_names, max_bad)


def from_files(
    paths: Iterable[PathLike],
    labels: Iterable[int],
    class_names: Sequence[str],
    max_bad: int | None = None,
) -> FileSource:
    """Return the images in a list of files, with a list of labels.

    Args:
        paths: Paths of the files.
        labels: Integers, one for each file: positions in `class_names`.
        class_names: A list of strings.
        max_bad: See `Source`.

    Returns:
        A `Source`.

    Examples:
        >>> source = from_files(["a.jpg", "b.jpg"], [1, 0], ["cat", "dog"])
        >>> source.describe(0), source.class_names[source.labels[0]]
        ('a.jpg', 'dog')
    """
    class_names = checked_class_names(class_names)
    paths, labels = list(paths), list(labels)
    if len(paths) != len(labels):
        raise ValueError(
            "Arguments `paths` and `labels` must have the same length. Received: "
            f"len(paths)={len(paths)}, len(labels)={len(labels)}"
        )
    if not paths:
        raise ValueError(
            "Argument `paths` must contain at least one file. Received: paths=[]"
        )
    for path, label in zip(paths, labels, strict=True):
        if not is_position(label, len(class_names)):
            raise ValueError(
                f"Argument `labels` must be integers in 0 ... {len(class_names) - 1}. "
                f"Received: label={label!r} of {path}"
            )
    return FileSource(paths, labels, class_names, max_bad)


def read_file(path: str) -> bytes:
    """Return the contents of a regular file.

    Args:
        path: The file.

    Raises:
        UnreadableImageError: If it is a pipe, a socket or a device.
    """
    # Not pathlib, because this is 3 times faster.
    with open(path, "rb", opener=_open_without_waiting) as file:  # noqa: PTH123
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UnreadableImageError(f"{path} is not a regular file")
        return file.read()


def printable(path: PathLike) -> str:
    """Return a path in printable characters.

    Args:
        path: A path that may contain bytes that are not UTF-8.
    """
    return os.fsencode(path).decode(errors="backslashreplace")


def relative_names(paths: Sequence[str]) -> list[bytes]:
    """Return paths relative to the folder that contains all of them.

    Args:
        paths: Paths of files.
    """
    start = os.path.commonprefix(paths).rfind(os.sep) + 1
    return [os.fsencode(path[start:].replace(os.sep, "/")) for path in paths]


def _open_without_waiting(path, flags):
    """Open a file. Does not wait for a writer if it is a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # missing on Windows


def class_folders(root: pathlib.Path) -> list[str]:
    """Return the names of the class folders in a folder, sorted.

    Args:
        root: The folder.
    """
    expected = "Argument `path` must be a folder that contains one folder per class."
    if not root.exists():
        raise FileNotFoundError(
            f"{expected} Received: path={root}, which does not exist"
        )
    if not root.is_dir():
        raise NotADirectoryError(f"{expected} Received: path={root}, which is a file")
    names = sorted(
        entry.name
        for entry in root.iterdir()
        if entry.is_dir() and not entry.name.startswith(".")
    )
    if not names:
        raise ValueError(f"{expected} Received: path={root}, which has no folders")
    for name in names:
        # Bytes that are not UTF-8 become surrogates, which cannot be written to a file.
        if any("\ud800" <= character <= "\udfff" for character in name):
            raise ValueError(
                "Argument `path` must be a folder whose class names are valid UTF-8. "
                f"Received: path={root}, with the class {name!r}"
            )
    return names


def _image_files(folder):
    """Return the images under a class folder, sorted, and the skipped entries."""
    top = os.path.realpath(folder)
    files, skipped, seen = [], [], set()
    folders = [os.fspath(folder)]
    while folders:
        parent = folders.pop()
        real = os.path.realpath(parent)
        if real in seen:  # reached through a link to another folder of the class
            continue
        seen.add(real)
        with os.scandir(parent) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".")]
        for entry in sorted(visible, key=lambda entry: entry.name, reverse=True):
            if entry.is_symlink() and not _stays_inside(entry.path, top):
                skipped.append(entry.path)
            elif entry.is_dir():
                folders.append(entry.path)
            elif not entry.is_file():
                skipped.append(entry.path)
            elif not entry.name.lower().endswith(TEXT_FILES):
                files.append(entry.path)
    return sorted(files), sorted(skipped)


def _stays_inside(link, folder):
    try:
        target = os.path.realpath(link, strict=True)
    except OSError:  # a link to nothing, or to itself
        return False
    return target == folder or target.startswith(folder + os.sep)


def _first_of(paths, count=5):
    more = f" and {len(paths) - count} more" if len(paths) > count else ""
    return ", ".join(paths[:count]) + more
