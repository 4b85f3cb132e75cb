"""Differences between operating systems: counting cores, locking and syncing files."""

import os
import pathlib
from typing import IO

from keras_prelu.types import PathLike

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    fcntl = None  # type: ignore[assignment]

__all__ = ["lock", "sync", "usable_cores"]

_IS_WINDOWS = os.name == "nt"


def usable_cores() -> int:
    """Return the number of processor cores that this process may use.

    Examples:
        >>> keras_prelu.platforms.usable_cores() >= 1
        True
    """
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # not on macOS or Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def lock(file: IO) -> None:
    """Lock an open file against all other processes.

    The operating system releases the lock when the file is closed or the process ends,
    even if it is killed.

    Args:
        file: A file that is open for writing.

    Raises:
        BlockingIOError: If another process holds the lock.

    Examples:
        >>> with open("lock", "a") as file:
        ...     keras_prelu.platforms.lock(file)
    """
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    file.seek(0)  # Windows locks bytes, starting at the current position
    try:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except PermissionError as error:
        raise BlockingIOError(error.errno, "Another process holds the lock") from error


def sync(path: PathLike) -> None:
    """Wait until a file's content, or a folder's list of files, is on the disk.

    Windows cannot open folders. There the list of files is left to the file system.

    Args:
        path: The file or folder.
    """
    if _IS_WINDOWS and pathlib.Path(path).is_dir():
        return
    # Windows syncs only files that are open for writing.
    descriptor = os.open(path, os.O_RDWR if _IS_WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
