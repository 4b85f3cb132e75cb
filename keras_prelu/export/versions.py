"""Numbered versions of a model in a folder, as TF Serving looks for them."""

import errno
import pathlib
import re

from keras_prelu.files import appear
from keras_prelu.number_checks import is_integer

__all__ = ["LAST_VERSION", "check", "new_version", "publish"]

LAST_VERSION = 2**63 - 1  # TF Serving stores version numbers in 64 bits


def check(version: int | None) -> None:
    """Raise unless a version is `None` or a number that TF Serving accepts."""
    if version is not None and not (is_integer(version, 1) and version <= LAST_VERSION):
        raise ValueError(
            f"Argument `version` must be an integer from 1 to {LAST_VERSION}, or None "
            f"for the next version. Received: version={version!r}"
        )


def _existing(path):
    """Return the versions in a folder, reading the names as TF Serving does."""
    names = [entry.name for entry in path.glob("*")]
    # At most 19 digits after leading zeros, so every number can be compared.
    versions = [int(name) for name in names if re.fullmatch("0*[0-9]{1,19}", name)]
    return sorted(version for version in versions if version <= LAST_VERSION)


def new_version(path: pathlib.Path, version: int | None) -> pathlib.Path:
    """Return the folder of a version that does not exist yet.

    Args:
        path: Folder of the versions.
        version: Number of the version. `None` for the one after the last.
    """
    existing = _existing(path)
    if version in existing:
        raise ValueError(
            f"Argument `version` must be a new version; {path} has {existing}. "
            f"Received: version={version!r}"
        )
    if version is None:
        version = existing[-1] + 1 if existing else 1
        if version > LAST_VERSION:
            raise ValueError(
                f"Argument `version` must be given: {path} has the last possible "
                f"version, {LAST_VERSION}. Received: version=None"
            )
    return path / str(version)


def publish(
    filled: pathlib.Path, path: pathlib.Path, version: int | None
) -> pathlib.Path:
    """Rename a complete folder to a new version.

    Args:
        filled: The folder, in `path`.
        path: Folder of the versions.
        version: Number of the version. `None` for the one after the last.

    Returns:
        The folder of the version.
    """
    while True:
        folder = new_version(path, version)
        try:
            appear(filled, folder)
        except OSError as error:
            # Another process may have taken the number since it was looked up.
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        else:
            return folder
