"""Files that are whole or absent, whatever stops the process that writes them."""

import contextlib
import os
import pathlib

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
        _sync(aside)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    _sync(path.parent)  # the renaming itself


def _sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
