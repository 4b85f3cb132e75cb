"""Sources of images with boxes: the class, the place and the size of every object."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from keras_prelu.data.decoding import BadImageError, read_header
from keras_prelu.data.errors import DataError
from keras_prelu.data.fingerprints import digest
from keras_prelu.data.sources import Source, Subset

__all__ = [
    "AnnotatedSource",
    "AnnotatedSubset",
    "Objects",
    "as_objects",
    "box_error",
    "check_annotated",
    "digest_of_objects",
]

_TOLERANCE = 0.5  # how far a box may reach outside the image, in pixels


class Objects(NamedTuple):
    """The annotated objects of an image.

    A box is `(x1, y1, x2, y2)`: the positions of its edges in pixels of the upright
    image, so the whole image is `(0, 0, width, height)`.

    Attributes:
        boxes: A float32 array of shape `(n, 4)`.
        labels: An int32 array of shape `(n,)`, positions in `class_names`.
        difficult: A bool array of shape `(n,)`. Evaluation neither requires nor
            punishes the detection of a difficult object.
    """

    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray


class AnnotatedSource(Source):
    """A set of images whose objects are annotated with boxes, read by index.

    To read images from somewhere else, subclass this and define `__len__` and
    `__getitem__`. Also define `objects` if annotations can be read without the image,
    and `describe` if your images have better names than numbers.

    Args:
        class_names: A list of strings, without the background. Labels are positions in
            this list.
        max_bad: See `Source`.

    Examples:
        >>> class Twins(AnnotatedSource):
        ...     def __len__(self):
        ...         return 1
        ...     def __getitem__(self, index):
        ...         boxes = [[2, 2, 12, 8], [20, 2, 30, 8]]
        ...         return b"some bytes", as_objects(boxes, [0, 0], [False, True])
        >>> Twins(["cat"]).objects(0).boxes.shape
        (2, 4)
    """

    def __getitem__(self, index: int) -> tuple[bytes, Objects]:
        """Return `(bytes, Objects)` of an image."""
        raise NotImplementedError

    def objects(self, index: int) -> Objects:
        """Return the objects of an image without decoding it.

        Args:
            index: Position of the image.
        """
        return self[index][1]

    @property
    def labels(self) -> np.ndarray:
        """Raise an error, because an image with boxes has no single label."""
        raise TypeError(
            f"`{type(self).__name__}` has boxes instead of one label per image. "
            "Use `objects(index).labels`, or a source of labeled images"
        )

    def read(self, index: int) -> tuple[bytes, Objects]:
        """Return `(bytes, Objects)` of an image after checking the objects.

        Args:
            index: Position of the image.

        Raises:
            UnreadableImageError: If the file of the image cannot be read.
            DataError: If a label is not a position in `class_names`, or if a box is not
                finite, has no area or reaches outside the image by more than half a
                pixel.
        """
        data, objects = self._read(index)
        size = _size_or_none(data)
        for number, (box, label) in enumerate(
            zip(objects.boxes, objects.labels, strict=True), start=1
        ):
            error = box_error(box, size, _TOLERANCE)
            if not 0 <= label < len(self.class_names):
                error = f"label {label} is not in 0 ... {len(self.class_names) - 1}"
            if error:
                raise DataError(f"{self.describe(index)}, object {number}: {error}")
        return data, objects


class AnnotatedSubset(Subset, AnnotatedSource):
    """Some of the images of an annotated source, in a given order.

    Args:
        source: An `AnnotatedSource`.
        indices: Integers, positions of the images in the source.
        max_bad: See `Source`.
    """

    _source: AnnotatedSource

    def __init__(
        self,
        source: AnnotatedSource,
        indices: Iterable[int],
        max_bad: int | None = None,
    ) -> None:
        check_annotated(source)
        super().__init__(source, indices, max_bad)

    def objects(self, index: int) -> Objects:
        """Return the objects that the image has in the source.

        Args:
            index: Position of the image.
        """
        return self._source.objects(self._indices[index])


def check_annotated(source: Any) -> None:
    """Refuse a source whose images have no boxes.

    Args:
        source: Any object.
    """
    if not isinstance(source, AnnotatedSource):
        raise TypeError(
            "Argument `source` must be a `keras_prelu.data.AnnotatedSource`, whose "
            f"images have boxes. Received: source={type(source).__name__}"
        )


def as_objects(boxes: Any, labels: Any, difficult: Any) -> Objects:
    """Return `Objects` with the right types and shapes, also for no objects.

    Args:
        boxes: Boxes, each `(x1, y1, x2, y2)`.
        labels: Integers, one for each box.
        difficult: Booleans, one for each box.

    Examples:
        >>> as_objects([], [], []).boxes.shape
        (0, 4)
    """
    return Objects(
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.asarray(labels, np.int32).reshape(-1),
        np.asarray(difficult, bool).reshape(-1),
    )


def box_error(
    box: Any, size: tuple[int, int] | None, tolerance: float = 0.0
) -> str | None:
    """Return why a box cannot be used, or `None` if it can.

    Args:
        box: Four numbers, `(x1, y1, x2, y2)`.
        size: Width and height of the image, or `None` if they are unknown.
        tolerance: How far the box may reach outside, in pixels. Defaults to 0.

    Examples:
        >>> box_error((4, 0, 4, 2), size=(6, 4))
        'the box (4, 0, 4, 2) has no width'
        >>> box_error((0, 0, 8, 2), size=(6, 4))
        'the box (0, 0, 8, 2) reaches outside the image of 6 x 4 pixels'
    """
    x1, y1, x2, y2 = box
    text = f"the box ({', '.join(f'{edge:g}' for edge in box)})"
    if not np.isfinite(box).all():
        return f"{text} is not finite"
    if x2 <= x1 or y2 <= y1:
        return f"{text} has no {'width' if x2 <= x1 else 'height'}"
    if size is not None:
        width, height = size
        if min(x1, y1, width - x2, height - y2) < -tolerance:
            return f"{text} reaches outside the image of {width} x {height} pixels"
    return None


def digest_of_objects(objects: Any) -> str:
    """Return a `digest` of the objects of some images.

    Args:
        objects: An iterable of `Objects`, one for each image.
    """
    return digest(
        str([array.tolist() for array in of_image]).encode() for of_image in objects
    )


def _size_or_none(data):
    """Return (width, height) of the upright image, or None if it is damaged."""
    try:
        header = read_header(data)
    except BadImageError:  # left to the decoder, which skips and counts the image
        return None
    return header.width, header.height
