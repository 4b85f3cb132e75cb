"""Batches of images for evaluation, with each image decoded once in bounded memory.

One decoded image gives the views for all models and scales. Images whose views have
equal sizes are batched: with crops, all images. The number of images that are decoded
ahead, or that wait for others, is limited by their pixels.
"""

import math
from collections.abc import Generator, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from keras_prelu.data.decoding import (
    MAX_PIXELS,
    BadImageError,
    Header,
    decode_rgb,
    read_header,
)
from keras_prelu.data.resizing import evaluation_view, view_shape
from keras_prelu.data.sources import Source
from keras_prelu.data.threads import CORES, ahead, pool

__all__ = ["Batch", "View", "batches"]


class View(NamedTuple):
    """What to see of an image.

    Attributes:
        scale: The shorter side after resizing.
        crop: Side of the center crop, or `None` for the whole image.
        corners: Whether to see the crops from the four corners too.
    """

    scale: int
    crop: int | None = None
    corners: bool = False

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """Return the shape of the view of an image, without the channels."""
        crop = view_shape(height, width, self.crop, self.scale)
        return (5, *crop) if self.corners else crop

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """Return the view of an image, with five crops on the first axis if asked."""
        if not self.corners:
            return evaluation_view(pixels, self.crop, self.scale)
        return _corners_and_center(evaluation_view(pixels, None, self.scale), self.crop)


def _corners_and_center(pixels, side):
    bottom, right = pixels.shape[0] - side, pixels.shape[1] - side
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right)]
    return np.stack(
        [
            pixels[top : top + side, left : left + side]
            for top, left in [*corners, (bottom // 2, right // 2)]
        ]
    )


class Batch(NamedTuple):
    """Images whose views have the same sizes.

    Attributes:
        indices: Their positions in the source, an integer array.
        labels: Their classes.
        views: A dict from each `View` to a uint8 array of shape
            `(batch, height, width, 3)`, or `(batch, 5, height, width, 3)` with corners.
    """

    indices: np.ndarray
    labels: np.ndarray
    views: dict[View, np.ndarray]


class _Encoded(NamedTuple):
    position: int
    label: int
    content: bytes
    header: Header | None
    error: BadImageError | None = None


class _Decoded(NamedTuple):
    position: int
    label: int
    views: list
    error: BadImageError | None = None


def _read(source, position):
    content, label = source.read(position)
    try:
        return _Encoded(position, label, content, read_header(content))
    except BadImageError as error:
        return _Encoded(position, label, b"", None, error)


def _decode(image, wanted):
    if image.error:
        return _Decoded(image.position, image.label, [], image.error)
    try:
        pixels = decode_rgb(image.content)
        views = [view.of(pixels) for view in wanted]
        return _Decoded(image.position, image.label, views)
    except BadImageError as error:
        return _Decoded(image.position, image.label, [], error)


def _decoded(source, indices, wanted, batch_size):
    """Yield the images that can be decoded, in order, and skip the others.

    One batch, or two images per core if these are more, are decoded ahead, but no more
    pixels in total than one image may have.
    """
    most = max(batch_size, 2 * CORES)

    def fraction(image):
        """Return the fraction of the limit that an image uses."""
        if image.error:
            return 1 / most
        height, width = image.header[:2]
        shapes = [view.shape(height, width) for view in wanted]
        pixels = sum(map(math.prod, [(height, width), *shapes]))
        return max(1 / most, pixels / MAX_PIXELS)

    with pool() as threads:
        encoded = ahead(threads, lambda i: _read(source, i), indices, most)
        for image in ahead(threads, lambda i: _decode(i, wanted), encoded, 1, fraction):
            if image.error:
                source.skip(image.position, str(image.error))
            else:
                yield image


def _batch(images, wanted):
    columns = zip(*(image.views for image in images), strict=True)
    views = dict(zip(wanted, map(np.stack, columns), strict=True))
    positions = np.array([image.position for image in images])
    labels = np.array([image.label for image in images])
    return Batch(positions, labels, views)


def batches(
    source: Source,
    indices: Iterable[int],
    wanted: Sequence[View],
    batch_size: int,
    most_pixels: int,
) -> Generator[Batch, None, None]:
    """Yield each image that can be decoded once, in batches of equal sizes.

    Args:
        source: A source of `keras_prelu.data`.
        indices: Positions of the images in the source.
        wanted: The different views to make of each image.
        batch_size: Images per batch. Batches are smaller if too many pixels wait, and
            at the end.
        most_pixels: The largest number of pixels, over all views, that wait for images
            of the same size.

    Yields:
        A `Batch`.
    """
    groups: dict[tuple, list[_Decoded]] = {}
    waiting = 0
    for image in _decoded(source, indices, wanted, batch_size):
        key = tuple(view.shape for view in image.views)
        group = groups.setdefault(key, [])
        group.append(image)
        pixels = sum(math.prod(shape[:-1]) for shape in key)
        waiting += pixels
        if len(group) == batch_size:
            yield _batch(groups.pop(key), wanted)
            waiting -= batch_size * pixels
        elif waiting > most_pixels:
            yield from (_batch(group, wanted) for group in groups.values())
            groups, waiting = {}, 0
    yield from (_batch(group, wanted) for group in groups.values())
