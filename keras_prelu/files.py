"""Files that are whole or absent, whatever stops the process that writes them."""

import contextlib
import pathlib
import shutil
import uuid

from keras_prelu.platforms import sync

PARTIAL = ".partial-"


@contextlib.contextmanager
def replacing(path):
    """Gives a path to write to; what was written there then takes `path`'s place.

    The file is written beside `path`, synced and renamed, so that a reader finds the
    old file or the new one. Where the block raises, the old one stays. A process that
    is killed leaves a partial file, which the next writer of `path` overwrites.

    Args:
        path: The file to make or to replace. Its folder must exist.

    Yields:
        A `pathlib.Path` in the same folder, with the same extension.

    Examples:
        >>> with keras_prelu.files.replacing("notes.txt") as aside:
        ...     size = aside.write_text("all of it")
    """
    path = pathlib.Path(path)
    aside = path.with_name(PARTIAL + path.name)
    try:
        yield aside
        sync(aside)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync(path.parent)  # the renaming itself


@contextlib.contextmanager
def appearing(path):
    """Gives a folder to fill, which then appears as `path`, all at once.

    The folder lies beside `path`, under a name that is no number, so that a server
    which looks for numbered versions passes it over. Where the block raises, it is
    removed; a process that is killed leaves it.

    Args:
        path: The folder to make. Its parent must exist, itself must not.

    Yields:
        A `pathlib.Path` of an empty folder.

    Examples:
        >>> with keras_prelu.files.appearing("1") as aside:
        ...     size = (aside / "notes.txt").write_text("all of it")
    """
    path = pathlib.Path(path)
    # Not one name for all: two processes may be making the same folder.
    aside = path.with_name(f"{PARTIAL}{path.name}-{uuid.uuid4().hex}")
    aside.mkdir()
    try:
        yield aside
        for written in (*aside.rglob("*"), aside):
            sync(written)
        aside.rename(path)  # refused if `path` has been made since and is not empty
    except BaseException:
        shutil.rmtree(aside)
        raise
    sync(path.parent)
