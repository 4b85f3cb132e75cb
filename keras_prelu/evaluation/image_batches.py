"""The images of an evaluation: each is decoded once, in bounded memory.

An image becomes all the views that the models and scales ask for, so none of them
decodes it again. Images of equal sizes are batched. How far reading runs ahead, and how
many images wait for others of their size, is limited by their pixels.
"""

import collections
import concurrent.futures
from typing import NamedTuple

import numpy as np

from keras_prelu.data.batch_assembly import CORES
from keras_prelu.data.decoding import (
    MAX_PIXELS,
    BadImageError,
    Header,
    decode_rgb,
    read_header,
)
from keras_prelu.data.resizing import evaluation_view, view_shape


class Batch(NamedTuple):
    """Images whose views have the same sizes.

    Attributes:
        indices: Their positions in the source, an integer array.
        labels: Their classes.
        views: A dict from each `(image_size, scale)` to a uint8 array of shape
            `(batch, height, width, 3)`.
    """

    indices: np.ndarray
    labels: np.ndarray
    views: dict


class _Encoded(NamedTuple):
    index: int
    label: int
    content: bytes
    header: Header | None
    error: BadImageError | None = None


class _Decoded(NamedTuple):
    index: int
    label: int
    views: list
    error: BadImageError | None = None


def _read(source, index):
    content, label = source.read(index)
    try:
        return _Encoded(index, label, content, read_header(content))
    except BadImageError as error:
        return _Encoded(index, label, b"", None, error)


def _decode(image, wanted):
    if image.error:
        return _Decoded(image.index, image.label, [], image.error)
    try:
        pixels = decode_rgb(image.content)
        views = [evaluation_view(pixels, *view) for view in wanted]
        return _Decoded(image.index, image.label, views)
    except BadImageError as error:
        return _Decoded(image.index, image.label, [], error)


def _ahead(pool, function, items, cost, most):
    """Yields `function(item)` for each item, in order, computed ahead by a pool.

    Args:
        pool: A `concurrent.futures.Executor`.
        function: Function of an item.
        items: Iterable of items.
        cost: Function from an item to a number.
        most: What the items that are computed ahead cost at most; one of any cost
            always is.
    """
    ahead, costs = collections.deque(), 0
    for item in items:
        price = cost(item)
        while ahead and costs + price > most:
            result, paid = ahead.popleft()
            yield result.result()
            costs -= paid
        ahead.append((pool.submit(function, item), price))
        costs += price
    while ahead:
        yield ahead.popleft()[0].result()


def _decoded(source, indices, wanted, batch_size):
    """Yields the images that can be decoded, in order; the others are skipped.

    Decoded ahead are a batch, or two images for each core, but no more pixels together
    than a single image may have.
    """
    most = max(batch_size, 2 * CORES)

    def fraction(image):
        """Returns the fraction of what may be decoded ahead that an image takes."""
        if image.error:
            return 1 / most
        height, width = image.header[:2]
        sizes = [view_shape(height, width, *view) for view in wanted]
        pixels = sum(rows * columns for rows, columns in [(height, width), *sizes])
        return max(1 / most, pixels / MAX_PIXELS)

    pool = concurrent.futures.ThreadPoolExecutor(CORES)
    try:
        encoded = _ahead(pool, lambda i: _read(source, i), indices, lambda _: 1, most)
        for image in _ahead(pool, lambda i: _decode(i, wanted), encoded, fraction, 1):
            if image.error:
                source.skip(image.index, str(image.error))
            else:
                yield image
    finally:
        pool.shutdown(cancel_futures=True)


def _batch(images, wanted):
    columns = zip(*(image.views for image in images), strict=True)
    views = dict(zip(wanted, map(np.stack, columns), strict=True))
    indices, labels = ([image[i] for image in images] for i in range(2))
    return Batch(np.array(indices), np.array(labels), views)


def batches(source, indices, wanted, batch_size, most_pixels):
    """Yields each image that can be decoded once, in batches of equal sizes.

    Args:
        source: A source of `keras_prelu.data`.
        indices: Positions in it.
        wanted: List of different pairs `(image_size, scale)`: the views to make of each
            image; see `evaluation_view`.
        batch_size: Images in a batch; fewer where memory or images run out.
        most_pixels: Pixels of the views that wait for others of their size; a view that
            has more goes alone.

    Yields:
        A `Batch`.
    """
    groups, waiting = {}, 0
    for image in _decoded(source, indices, wanted, batch_size):
        key = tuple(view.shape for view in image.views)
        group = groups.setdefault(key, [])
        group.append(image)
        pixels = sum(height * width for height, width, _ in key)
        waiting += pixels
        if len(group) == batch_size:
            yield _batch(groups.pop(key), wanted)
            waiting -= batch_size * pixels
        elif waiting > most_pixels:
            yield from (_batch(group, wanted) for group in groups.values())
            groups, waiting = {}, 0
    yield from (_batch(group, wanted) for group in groups.values())
