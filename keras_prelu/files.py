"""Files and folders that appear complete or not at all, even if writing is stopped."""

import contextlib
import pathlib
import shutil
import uuid
from collections.abc import Iterator

from keras_prelu.platforms import sync
from keras_prelu.types import PathLike

__all__ = ["PARTIAL", "appear", "filling", "replacing"]

PARTIAL = ".partial-"


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[pathlib.Path]:
    """Give a temporary path to write to, and replace `path` by it at the end.

    The file is written beside `path`, synced and renamed, so a reader sees the old file
    or the new one. If the block raises an error, the old file stays. A process that is
    killed leaves a partial file, which the next writer of `path` overwrites.

    Args:
        path: The file to create or to replace. Its folder must exist.

    Yields:
        A `pathlib.Path` in the same folder, with the same extension.

    Examples:
        >>> with keras_prelu.files.replacing("notes.txt") as partial:
        ...     size = partial.write_text("complete", encoding="utf-8")
    """
    path = pathlib.Path(path)
    partial = path.with_name(PARTIAL + path.name)
    try:
        yield partial
        sync(partial)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync(path.parent)  # makes the renaming itself durable


@contextlib.contextmanager
def filling(parent: PathLike) -> Iterator[pathlib.Path]:
    """Give a new temporary folder to fill, which `appear` then renames.

    The name of the temporary folder is not a number, so servers that look for numbered
    versions ignore it. If the block raises an error, the folder is removed. A process
    that is killed leaves it.

    Args:
        parent: An existing folder.

    Yields:
        A `pathlib.Path` of an empty folder in `parent`.

    Examples:
        >>> with keras_prelu.files.filling(".") as partial:
        ...     size = (partial / "notes.txt").write_text("complete", encoding="utf-8")
        ...     keras_prelu.files.appear(partial, "1")
    """
    # A unique name, because several processes may create folders here.
    partial = pathlib.Path(parent, f"{PARTIAL}{uuid.uuid4().hex}")
    partial.mkdir()
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial)
        raise


def appear(partial: pathlib.Path, path: PathLike) -> None:
    """Sync and rename a folder, so that it appears complete.

    Args:
        partial: The folder, from `filling`.
        path: The new path, in the same parent. If it exists and is not empty, an
            OSError is raised.
    """
    path = pathlib.Path(path)
    for written in (*partial.rglob("*"), partial):
        sync(written)
    partial.rename(path)
    sync(path.parent)
