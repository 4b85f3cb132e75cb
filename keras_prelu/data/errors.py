"""What can be wrong with the data, and how an error passes through TensorFlow."""

import contextlib
import re
import secrets
import traceback


class DataError(ValueError):
    """The data cannot be used; the message names the image and says why."""


class TooManyBadImagesError(DataError):
    """More images of a source cannot be decoded than its quota allows."""


class UnreadableImageError(DataError):
    """The file of an image has vanished, cannot be read or is not a regular file."""


# TensorFlow passes only text on. So each error gets a number that no other process
# has given, and is kept until `original_errors` asks for it.
_MARK = re.compile(r"data error ([0-9a-f]{8}): ")
_KEPT = 100
_errors = {}


def text_of(error):
    """Returns what TensorFlow is to say in place of an error, and keeps the error.

    Args:
        error: An exception, raised by a Python function of a pipeline.

    Returns:
        A string that `original_errors` recognizes. Of all but a `DataError` it holds
        the traceback as well: nobody may ask for the error itself.
    """
    number = secrets.token_hex(4)
    _errors[number] = error
    if len(_errors) > _KEPT:
        _errors.pop(next(iter(_errors)), None)
    known = isinstance(error, DataError)
    told = str(error) if known else "".join(traceback.format_exception(error))
    return f"data error {number}: {told}"


@contextlib.contextmanager
def original_errors():
    """Raises what stopped a pipeline, in place of TensorFlow's error about it.

    TensorFlow turns each error of a Python function into a `tf.errors.OpError` with
    many lines of text. Under this context manager, which decorates functions as well,
    iterating over batches or fitting a model raises the error itself: a `DataError` if
    the data are at fault.

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
