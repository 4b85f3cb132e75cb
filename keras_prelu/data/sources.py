"""Sources of images: a length, class names, and bytes and label by index."""

import functools
import math
import threading
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import logging

from keras_prelu.class_names import checked_class_names
from keras_prelu.data.errors import (
    DataError,
    TooManyBadImagesError,
    UnreadableImageError,
)
from keras_prelu.data.fingerprints import digest_of_integers
from keras_prelu.number_checks import check_integer, is_integer, is_position, is_real

if TYPE_CHECKING:
    from keras_prelu.data.batch_assembly import Extent

__all__ = ["Source", "Subset", "check_not_empty", "check_source", "split"]


class Source:
    """A set of labeled images, read by index.

    To read images from somewhere else, subclass this and define `__len__` and
    `__getitem__`. Also define `describe` if your images have better names than numbers.
    `__getitem__` is called from several threads at once.

    Args:
        class_names: A list of strings. Labels are positions in this list.
        max_bad: Number of images that may turn out to be undecodable before the run
            stops. Defaults to 1 % of the source, at least 1 and at most 100.

    Attributes:
        class_names: The names of the classes.
        skipped: Dict from the name of each image that was skipped so far to the reason.

    Examples:
        >>> class Pair(Source):
        ...     def __len__(self):
        ...         return 2
        ...     def __getitem__(self, index):
        ...         return [b"some bytes", b"others"][index], index
        >>> pair = Pair(["cat", "dog"])
        >>> len(pair), pair[1], pair.class_names
        (2, (b'others', 1), ['cat', 'dog'])
    """

    def __init__(self, class_names: Iterable[str], max_bad: int | None = None) -> None:
        check_integer("max_bad", max_bad, 0, or_none=True)
        self.class_names = checked_class_names(class_names)
        self.skipped: dict[str, str] = {}
        self.bad: dict[int, Extent] = {}  # by index, filled in training
        self._max_bad = max_bad
        self._lock = threading.Lock()

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> tuple[bytes, Any]:
        """Return `(bytes, label)` of an image."""
        raise NotImplementedError

    def describe(self, index: int) -> str:
        """Return a name that helps people to find an image."""
        return f"image {index}"

    def fingerprint(self) -> dict[str, Any]:
        """Return a dict that identifies these data, without reading an image.

        A run keeps it, and compares it when it is resumed. `differences` names what has
        changed. Equal fingerprints mean the same class names and the same images in the
        same order, as far as names can tell. The contents of files are not read.

        Returns:
            A dict that survives being written to JSON and read back. Keys are strings,
            values are strings, integers, lists of strings or such dicts. Every source
            has:

            - `"kind"`: name of the source's class;
            - `"class_names"`: list of strings, in the order of the labels;
            - `"count"`: number of images.

            Sources add their own keys:

            - `FileSource`: `"files"`, a dict from each class name to the number of its
              files and a digest of their names, relative to the folder that contains
              all files (`"8 files, names 5c6f7ae0b1d2c3f4"`); and, if the files are not
              in the order of their classes, `"order"`, a digest of the labels;
            - `TfdsSource`: `"builder"`, the name, configuration and version
              (`"prelu_shapes/2.0.0"`), and `"split"`;
            - `AnnotatedFiles`: `"files"`, a digest of all names, and `"annotations"`, a
              digest of all boxes, labels and difficulties;
            - `Subset`: `"source"`, the fingerprint of its source, and `"indices"`, a
              digest of its indices.

            A source of your own can add keys in the same way.

        Examples:
            >>> keras_prelu.data.from_directory("photos").fingerprint()["class_names"]
            ['cat', 'dog']
        """
        return {
            "kind": type(self).__name__,
            "class_names": list(self.class_names),
            "count": len(self),
        }

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """All labels, as an int32 array. Reads every image, unless overridden."""
        return np.array([self[i][1] for i in range(len(self))], np.int32)

    @property
    def max_bad(self) -> int:
        """The number of bad images that are skipped before the run stops."""
        if self._max_bad is not None:
            return self._max_bad
        return min(max(math.ceil(0.01 * len(self)), 1), 100)

    def skip(self, index: int, reason: str) -> None:
        """Count an image that cannot be used, and log it the first time.

        Args:
            index: Position of the image.
            reason: Why it cannot be used.

        Raises:
            TooManyBadImagesError: If more than `max_bad` images were skipped.
        """
        self._skip_all({self.describe(index): reason})

    def _skip_all(self, reasons):
        """Count and log images that cannot be used: a dict from names to reasons."""
        with self._lock:
            new = {n: reason for n, reason in reasons.items() if n not in self.skipped}
            self.skipped.update(new)
            skipped = list(self.skipped.items())
        for name, reason in new.items():
            logging.warning("Skipped %s: %s", name, reason)
        if len(skipped) > self.max_bad:
            listing = "\n  ".join(f"{name}: {reason}" for name, reason in skipped)
            raise TooManyBadImagesError(
                f"{len(skipped)} images cannot be used; `max_bad` allows "
                f"{self.max_bad} of {len(self)}:\n  {listing}"
            )

    def read(self, index: int) -> tuple[bytes, Any]:
        """Return `(bytes, label)` of an image after checking the label.

        Args:
            index: Position of the image.

        Raises:
            UnreadableImageError: If the file of the image cannot be read.
            DataError: If the label is not a position in `class_names`.
        """
        data, label = self._read(index)
        if not 0 <= label < len(self.class_names):
            raise DataError(
                f"Labels must be integers in 0 ... {len(self.class_names) - 1}. "
                f"Received: label={label} of {self.describe(index)}"
            )
        return data, label

    def _read(self, index):
        """Return what `self[index]` does. A file that cannot be read is a DataError."""
        try:
            return self[index]
        except OSError as error:
            raise UnreadableImageError(
                f"{self.describe(index)} cannot be read: {error.strerror or error}"
            ) from error


def check_source(source: Any) -> None:
    """Raise a TypeError unless a value is a source."""
    if not isinstance(source, Source):
        raise TypeError(
            "Argument `source` must be a `keras_prelu.data.Source`. "
            f"Received: source={type(source).__name__}"
        )


def check_not_empty(source: Source) -> None:
    """Raise a ValueError for a source without images."""
    if not len(source):
        raise ValueError(
            f"Argument `source` must have at least one image. Received: source={source}"
        )


class Subset(Source):
    """Some of the images of a source, in a given order.

    Args:
        source: A `Source`.
        indices: Integers, positions of the images in the source. For a mask, pass
            `np.flatnonzero(mask)`.
        max_bad: See `Source`.

    Examples:
        >>> source = keras_prelu.data.from_directory("photos")
        >>> subset = keras_prelu.data.Subset(source, [0, 3])
        >>> len(subset), subset.class_names
        (2, ['cat', 'dog'])
    """

    def __init__(
        self, source: Source, indices: Iterable[int], max_bad: int | None = None
    ) -> None:
        if hasattr(source, "objects") and not hasattr(self, "objects"):
            raise TypeError(
                "Argument `source` must be a source of labeled images. Use "
                "`AnnotatedSubset` for images with boxes. "
                f"Received: source={type(source).__name__}"
            )
        super().__init__(source.class_names, max_bad)
        self._source = source
        self._indices = _positions(indices, len(source))

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> tuple[bytes, Any]:
        return self._source[self._indices[index]]

    def describe(self, index: int) -> str:
        """Return the name that the image has in the source."""
        return self._source.describe(self._indices[index])

    def fingerprint(self) -> dict[str, Any]:
        """Return the fingerprint of `Source`, with the source's and the indices'."""
        return {
            **super().fingerprint(),
            "source": self._source.fingerprint(),
            "indices": digest_of_integers(self._indices),
        }

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """All labels, as an int32 array."""
        return self._source.labels[self._indices]


def _positions(indices, length):
    """Return indices as a list of integers, or refuse one that is no position."""
    indices = list(indices)
    # One index per type: checking the type of each takes a second for ImageNet.
    types = dict(zip(map(type, indices), indices, strict=True))
    if all(map(is_integer, types.values())):
        positions = list(map(int, indices))
        if not positions or (min(positions) >= 0 and max(positions) < length):
            return positions
    number, index = next(
        (number, index)
        for number, index in enumerate(indices)
        if not is_position(index, length)
    )
    raise ValueError(
        "Argument `indices` must be integers of at least 0 and less than the number of "
        f"images in `source`, {length}. Received: indices[{number}]={index!r}"
    )


def split(
    source: Source, fraction: float = 0.2, seed: int = 0, share: float | None = None
) -> tuple[Subset, Subset]:
    """Split a source at random into two, with the same fraction of each class.

    Args:
        source: A `Source` with at least two images of each class.
        fraction: Float in (0, 1). The fraction of each class that goes into the second
            part, rounded, but at least one image and not all. Defaults to 0.2.
        seed: Integer of at least 0. The same seed splits the same source in the same
            way. Defaults to 0.
        share: Deprecated, the former name of `fraction`.

    Returns:
        Two `Subset`s, for example for training and validation.

    Examples:
        >>> source = keras_prelu.data.from_directory("photos")
        >>> train, validation = keras_prelu.data.split(source, fraction=0.25)
        >>> len(train), len(validation)
        (6, 2)
    """
    if share is not None:
        warnings.warn(
            "Argument `share` of `split` is deprecated; use `fraction`",
            DeprecationWarning,
            stacklevel=2,
        )
        fraction = share
    if not is_real(fraction) or not 0 < fraction < 1:
        raise ValueError(
            "Argument `fraction` must be a number in (0, 1). "
            f"Received: fraction={fraction!r}"
        )
    check_integer("seed", seed, 0)
    generator = np.random.default_rng(seed)
    first: list[int] = []
    second: list[int] = []
    for label, name in enumerate(source.class_names):
        indices = generator.permutation(np.flatnonzero(source.labels == label))
        if len(indices) < 2:
            raise ValueError(
                "Argument `source` must have at least two images of each class. "
                f"Received: {len(indices)} of the class {name!r}"
            )
        count = min(max(round(fraction * len(indices)), 1), len(indices) - 1)
        first.extend(indices[count:])
        second.extend(indices[:count])
    return Subset(source, sorted(first)), Subset(source, sorted(second))
