"""Downloads of weights into a cache, verified by sha256."""

import hashlib
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

import keras

from keras_prelu.types import PathLike

__all__ = [
    "MAX_BYTES",
    "cache_directory",
    "fetch",
    "looks_like_html",
    "models_directory",
    "sha256_of",
]

_CHUNK = 1 << 20
MAX_BYTES = 2**32  # Model C with its momentum takes 2.65 GB


def models_directory() -> Path:
    """Return Keras's download directory, below `KERAS_HOME` if that is set."""
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    return Path(home) / "models"


def cache_directory() -> Path:
    """Return the directory of downloaded weights."""
    return models_directory() / "keras_prelu"


def sha256_of(path: PathLike) -> str:
    """Return the sha256 of a file, as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def looks_like_html(path: PathLike) -> bool:
    """Return whether a file starts like an HTML page."""
    with Path(path).open("rb") as file:
        return file.read(64).lstrip()[:1] == b"<"


def fetch(url: str, sha256: str) -> Path:
    """Download a file, unless the cache has it.

    Args:
        url: An `http`, `https` or `file` URL.
        sha256: Expected hash of the file, as 64 hexadecimal digits.

    Returns:
        The path of the file in `cache_directory()`.

    Raises:
        OSError: If the file cannot be downloaded or written.
        ValueError: If its hash is another, or it has more than `MAX_BYTES` bytes.
    """
    name = Path(urllib.parse.urlsplit(url).path).name
    # The hash in the name keeps two versions of a file apart.
    target = cache_directory() / f"{sha256[:16]}-{name}"
    if target.exists() and sha256_of(target) == sha256:
        return target
    # A unique name, because several processes may download the same file.
    partial = target.with_name(f".{name}-{uuid.uuid4().hex}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = partial.open("xb")
    except OSError as error:
        raise OSError(
            f"Cannot write to the cache directory {target.parent}: {error}. Set the "
            "environment variable KERAS_HOME to a directory that can be written, or "
            f"download {url} yourself and pass its path as `weights`."
        ) from error
    try:
        with file:
            _download(url, file, sha256, target)
        _verify(partial, url, sha256)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def _download(url, file, sha256, target):
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            # The announced length may be wrong, so received bytes are counted too.
            announced = response.headers.get("Content-Length", "")
            size = int(announced) if announced.isdecimal() else 0
            progress = keras.utils.Progbar(size or None, unit_name="byte")
            _check_size(url, size)
            while chunk := response.read(_CHUNK):
                _check_size(url, file.tell() + len(chunk))
                file.write(chunk)
                progress.add(len(chunk))
        file.flush()
        os.fsync(file.fileno())
    except (
        urllib.error.URLError,
        http.client.HTTPException,
        TimeoutError,
        ConnectionError,
    ) as error:
        raise OSError(
            f"Cannot download {url}: {error}. Without a network, copy the file with "
            f"sha256 {sha256} to {target}, or pass its path as `weights`."
        ) from error


def _check_size(url, size):
    if size > MAX_BYTES:
        raise ValueError(
            f"Argument `weights` must be a file of at most {MAX_BYTES} bytes. "
            f"Received: {size} bytes from {url}"
        )


def _verify(path, url, sha256):
    actual = sha256_of(path)
    if actual == sha256:
        return
    kind = " It is an HTML page, not a weights file." if looks_like_html(path) else ""
    raise ValueError(
        f"The file at {url} does not have the expected hash.{kind} "
        f"Expected: sha256={sha256}. Received: sha256={actual}"
    )
