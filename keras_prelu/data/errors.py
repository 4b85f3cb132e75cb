"""Errors in the data, and their way through TensorFlow."""

import contextlib
import re
import secrets
import traceback
from collections.abc import Iterator

__all__ = [
    "DataError",
    "TooManyBadImagesError",
    "UnreadableImageError",
    "original_errors",
    "text_of",
]


class DataError(ValueError):
    """The data cannot be used. The message names the image and the reason."""


class TooManyBadImagesError(DataError):
    """More images of a source cannot be used than `max_bad` allows."""


class UnreadableImageError(DataError):
    """The file of an image is missing, cannot be read or is not a regular file."""


# TensorFlow passes only text on. So each error gets a number that is unique across
# processes, and is kept until `original_errors` asks for it.
_MARK = re.compile(r"data error ([0-9a-f]{8}): ")
_MAX_KEPT = 100
_errors: dict[str, Exception] = {}


def text_of(error: Exception) -> str:
    """Keep an error, and return the text that TensorFlow should report instead.

    Args:
        error: An exception from a Python function of a pipeline.

    Returns:
        A string that `original_errors` recognizes. Unless the error is a `DataError`,
        it contains the traceback, because the original error may never be asked for.
    """
    number = secrets.token_hex(4)
    _errors[number] = error
    if len(_errors) > _MAX_KEPT:
        _errors.pop(next(iter(_errors)), None)
    if isinstance(error, DataError):
        text = str(error)
    else:
        text = "".join(traceback.format_exception(error))
    return f"data error {number}: {text}"


@contextlib.contextmanager
def original_errors() -> Iterator[None]:
    """Raise the original error of a pipeline instead of TensorFlow's.

    TensorFlow turns every error of a Python function into a `tf.errors.OpError` with
    many lines of text. Under this context manager, which can also decorate functions,
    iterating over batches or fitting a model raises the original error. That is a
    `DataError` if the data are at fault.

    Examples:
        >>> import pathlib
        >>> torn = pathlib.Path("photos", "cat", "0.jpg")
        >>> _ = torn.write_bytes(b"torn")
        >>> source = keras_prelu.data.from_directory("photos", max_bad=0)
        >>> batches = keras_prelu.data.eval_batches(source, 4, image_size=32, scale=40)
        >>> try:
        ...     with keras_prelu.data.original_errors():
        ...         images, labels = next(iter(batches))
        ... except keras_prelu.data.DataError as error:
        ...     print(type(error).__name__)
        TooManyBadImagesError
    """
    try:
        yield
    except Exception as error:
        mark = _MARK.search(str(error))
        original = _errors.pop(mark[1], None) if mark else None
        if original is None:
            raise
        raise original from None
