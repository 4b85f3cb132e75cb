"""What replaces an image that cannot be decoded: the next good one in the source."""

from collections.abc import Callable
from typing import Any, TypeVar

from keras_prelu.data.decoding import BadImageError
from keras_prelu.data.errors import DataError
from keras_prelu.data.sources import Source

__all__ = ["first_good"]

Decoded = TypeVar("Decoded")


def first_good(
    source: Source,
    index: int,
    decode: Callable[[int, bytes, Any], Decoded],
    is_known_bad: Callable[[int], bool] = lambda position: False,
) -> Decoded:
    """Decode the image at an index, or the next one that can be decoded.

    The replacement depends on the images only. Bad images are skipped and counted.

    Args:
        source: A `Source`.
        index: Position of the image.
        decode: Function of a position, the bytes and the label there. It raises
            `BadImageError` if they cannot be decoded.
        is_known_bad: Function from a position to whether the image there should not be
            read again.

    Returns:
        The result of `decode`.
    """
    for distance in range(len(source)):
        position = (index + distance) % len(source)
        if is_known_bad(position):
            continue
        data, label = source.read(position)
        try:
            return decode(position, data, label)
        except BadImageError as error:
            source.skip(position, str(error))
    raise DataError(f"No image of the source can be decoded: {source.skipped}")
