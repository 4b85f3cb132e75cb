"""Files from URLs: checked by sha256, written to the cache whole or not at all."""

import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import keras

_CHUNK = 1 << 20
MAX_BYTES = 2**32  # Model C with its momentum has 2.65 GB


def models_directory():
    """Returns Keras's own directory of downloads; `KERAS_HOME` moves it."""
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    return Path(home) / "models"


def cache_directory():
    """Returns the directory of downloaded weights."""
    return models_directory() / "keras_prelu"


def sha256_of(path):
    """Returns the sha256 of a file, as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def looks_like_html(path):
    """Whether a file begins as an HTML page does."""
    with Path(path).open("rb") as file:
        return file.read(64).lstrip()[:1] == b"<"


def fetch(url, sha256):
    """Returns the path of the file at `url`, downloaded unless it is in the cache.

    Args:
        url: An `http`, `https` or `file` URL.
        sha256: What the file's hash must be, as 64 hexadecimal digits.

    Returns:
        A `pathlib.Path` in `cache_directory()`.

    Raises:
        OSError: if the file cannot be downloaded or written.
        ValueError: if it is another file, or has more than `MAX_BYTES`.
    """
    name = Path(urllib.parse.urlsplit(url).path).name
    # Named by its hash as well: a new version never meets the old one's file.
    target = cache_directory() / f"{sha256[:16]}-{name}"
    if target.exists() and sha256_of(target) == sha256:
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=target.parent, prefix=f".{name}-")
    except OSError as error:
        raise OSError(
            f"Cannot write to the cache directory {target.parent}: {error}. Set the "
            "environment variable KERAS_HOME to a directory that can be written, or "
            f"download {url} by hand and pass its path as `weights`."
        ) from error
    try:
        with os.fdopen(handle, "wb") as file:
            _download(url, file, sha256, target)
        _verify(partial, url, sha256)
        Path(partial).replace(target)
    finally:
        Path(partial).unlink(missing_ok=True)
    return target


def _download(url, file, sha256, target):
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            # What is announced may be wrong: the bytes that come are counted too.
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
            f"Cannot download {url}: {error}. Where there is no network, put the "
            f"file with sha256 {sha256} at {target}, or pass its path as `weights`."
        ) from error


def _check_size(url, size):
    if size > MAX_BYTES:
        raise ValueError(
            f"A file of weights must have at most {MAX_BYTES} bytes. "
            f"Received: {size} bytes from {url}"
        )


def _verify(path, url, sha256):
    found = sha256_of(path)
    if found == sha256:
        return
    kind = " It is an HTML page, not a weights file." if looks_like_html(path) else ""
    raise ValueError(
        f"The file at {url} is not the one expected.{kind} "
        f"Expected: sha256={sha256}. Received: sha256={found}"
    )
