"""Images in files: folders of them, or lists."""

import os
import pathlib
import stat

import numpy as np
from absl import logging

from keras_prelu.data.errors import UnreadableImageError
from keras_prelu.data.fingerprints import digest, digest_of_integers
from keras_prelu.data.sources import Source

# What a folder may hold beside its images; no warning is given about these.
_NOT_PICTURES = (".txt", ".csv", ".json", ".md", ".xml", ".html")


class FileSource(Source):
    """Pictures in files: what `from_directory` and `from_files` return."""

    def __init__(self, paths, labels, class_names, max_bad=None):
        super().__init__(class_names, max_bad)
        self.paths = [os.fspath(path) for path in paths]
        self.labels = np.asarray(labels, np.int32)

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        path = self.paths[index]
        # Not pathlib: this is 3 times faster.
        with open(path, "rb", opener=_open_without_waiting) as file:  # noqa: PTH123
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UnreadableImageError(f"{path} is not a regular file")
            return file.read(), int(self.labels[index])

    def describe(self, index):
        """Returns the path of one picture, in characters that can be printed."""
        return os.fsencode(self.paths[index]).decode(errors="backslashreplace")

    def fingerprint(self):
        """Returns the fingerprint of `Source`, with the files' names by class."""
        start = os.path.commonprefix(self.paths).rfind(os.sep) + 1
        names = {name: [] for name in self.class_names}
        for path, label in zip(self.paths, self.labels, strict=True):
            relative = path[start:].replace(os.sep, "/")
            names[self.class_names[label]].append(os.fsencode(relative))
        files = {
            name: f"{len(paths)} files, names {digest(paths)}"
            for name, paths in names.items()
        }
        fingerprint = {**super().fingerprint(), "files": files}
        if (np.diff(self.labels) < 0).any():
            fingerprint["order"] = digest_of_integers(self.labels)
        return fingerprint


def from_directory(path, max_bad=None):
    """Pictures in folders, one folder a class.

    Classes are ordered by name, as are the files in them. Folders inside a class
    folder belong to that class; hidden files and folders, and text files (`.txt`,
    `.csv`, `.json`, `.md`, `.xml`, `.html`), are passed over. Every other regular file
    counts as a picture, whatever it is called.

    A class folder may be a symbolic link. Inside it, links are followed only if they
    stay inside: a link that leads out or nowhere, and what is neither a folder nor a
    regular file (a pipe, a socket, a device), is skipped, with one line in the log for
    each class.

    Args:
        path: The folder that holds the class folders.
        max_bad: See `Source`.

    Returns:
        A `Source`.

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
    class_names = _class_folders(root)
    paths, labels = [], []
    for label, name in enumerate(class_names):
        files, skipped = _image_files(root / name)
        if skipped:
            logging.warning(
                "Skipped in %s, as no regular files inside it: %s",
                root / name,
                _first_of(skipped),
            )
        if not files:
            raise ValueError(f"The class folder {root / name} has no pictures in it.")
        paths += files
        labels += [label] * len(files)
    return FileSource(paths, labels, class_names, max_bad)


def from_files(paths, labels, class_names, max_bad=None):
    """Pictures in a list of files, with a list of labels.

    Args:
        paths: The files.
        labels: As many integers, each a position in `class_names`.
        class_names: A list of strings.
        max_bad: See `Source`.

    Returns:
        A `Source`.

    Examples:
        >>> source = from_files(["a.jpg", "b.jpg"], [1, 0], ["cat", "dog"])
        >>> source.describe(0), source.class_names[source.labels[0]]
        ('a.jpg', 'dog')
    """
    paths, labels = list(paths), list(labels)
    if len(paths) != len(labels):
        raise ValueError(
            "`paths` and `labels` must be equally long. Received: "
            f"len(paths)={len(paths)}, len(labels)={len(labels)}"
        )
    if not paths:
        raise ValueError("`paths` must hold at least one file. Received: paths=[]")
    for path, label in zip(paths, labels, strict=True):
        if not 0 <= label < len(class_names):
            raise ValueError(
                f"`labels` must be in 0 ... {len(class_names) - 1}. "
                f"Received: label={label} of {path}"
            )
    return FileSource(paths, labels, class_names, max_bad)


def _open_without_waiting(path, flags):
    """Opens a file; a pipe, too, without waiting for someone who writes into it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # none on Windows


def _class_folders(root):
    """Names of the class folders, sorted."""
    refusal = "`path` must be a folder with a folder for each class. Received: path="
    if not root.exists():
        raise FileNotFoundError(f"{refusal}{root}, which does not exist")
    if not root.is_dir():
        raise NotADirectoryError(f"{refusal}{root}, which is a file")
    names = sorted(
        entry.name
        for entry in root.iterdir()
        if entry.is_dir() and not entry.name.startswith(".")
    )
    if not names:
        raise ValueError(f"{refusal}{root}, which has no folders in it")
    for name in names:
        # What is not UTF-8 in a name comes as surrogates, which no file takes.
        if any("\ud800" <= character <= "\udfff" for character in name):
            raise ValueError(
                "The names of class folders must be valid UTF-8. Received: the folder "
                f"{name!r} in path={root}"
            )
    return names


def _image_files(folder):
    """Returns the images under a class folder, sorted, and the entries skipped."""
    top = os.path.realpath(folder)
    files, skipped, seen = [], [], set()
    folders = [os.fspath(folder)]
    while folders:
        parent = folders.pop()
        real = os.path.realpath(parent)
        if real in seen:  # by a link to a folder above it or beside it
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
            elif not entry.name.lower().endswith(_NOT_PICTURES):
                files.append(entry.path)
    return sorted(files), sorted(skipped)


def _stays_inside(link, folder):
    try:
        target = os.path.realpath(link, strict=True)
    except OSError:  # it leads nowhere, or in a circle
        return False
    return target == folder or target.startswith(folder + os.sep)


def _first_of(paths, count=5):
    more = f" and {len(paths) - count} more" if len(paths) > count else ""
    return ", ".join(paths[:count]) + more
