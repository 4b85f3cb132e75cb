"""What operating systems do differently: counting cores, locking and syncing files."""

import os
import pathlib

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    fcntl = None

_IS_WINDOWS = os.name == "nt"


def usable_cores():
    """Returns how many processor cores this process may use.

    Examples:
        >>> keras_prelu.platforms.usable_cores() >= 1
        True
    """
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # not on macOS, not on Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def lock(file):
    """Locks an open file against every other process.

    The operating system frees the lock when the file is closed or the process ends,
    however it ends.

    Args:
        file: A file that is open for writing.

    Raises:
        BlockingIOError: Another process holds the lock.

    Examples:
        >>> with open("lock", "a") as file:
        ...     keras_prelu.platforms.lock(file)
    """
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    file.seek(0)  # Windows locks bytes, from the current position on
    try:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except PermissionError as error:
        raise BlockingIOError(error.errno, "Another process holds the lock") from error


def sync(path):
    """Waits until a file's content, or a folder's list of files, is on the disk.

    Windows cannot open folders; there the list of files is left to its file system.

    Args:
        path: The file or folder.
    """
    if _IS_WINDOWS and pathlib.Path(path).is_dir():
        return
    # Windows syncs only what is open for writing.
    descriptor = os.open(path, os.O_RDWR if _IS_WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
