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
def filling(parent):
    """Gives a new folder in `parent` to fill; `appear` then makes it what it is to be.

    Its name is no number, so that a server which looks for numbered versions passes it
    over. Where the block raises, it is removed; a process that is killed leaves it.

    Args:
        parent: A folder that exists.

    Yields:
        A `pathlib.Path` of an empty folder.

    Examples:
        >>> with keras_prelu.files.filling(".") as aside:
        ...     size = (aside / "notes.txt").write_text("all of it")
        ...     keras_prelu.files.appear(aside, "1")
    """
    # Not one name for all: several processes may be making folders here.
    aside = pathlib.Path(parent, f"{PARTIAL}{uuid.uuid4().hex}")
    aside.mkdir()
    try:
        yield aside
    except BaseException:
        shutil.rmtree(aside)
        raise


def appear(aside, path):
    """Renames a folder that was filled, so that it appears whole.

    Args:
        aside: The folder, from `filling`.
        path: What it is to be, in the same parent. If that exists and is not empty, an
            OSError is raised.
    """
    path = pathlib.Path(path)
    for written in (*aside.rglob("*"), aside):
        sync(written)
    aside.rename(path)
    sync(path.parent)
