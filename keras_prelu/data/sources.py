"""Where pictures come from: a length, class names, bytes and label by index."""

import functools
import math
import threading

import numpy as np
from absl import logging

from keras_prelu.data.errors import (
    DataError,
    TooManyBadImagesError,
    UnreadableImageError,
)
from keras_prelu.data.fingerprints import digest_of_integers


class Source:
    """A set of labelled pictures, read by index.

    A new kind of source subclasses this and defines `__len__` and `__getitem__`;
    `describe` too, if it can name its pictures better than by number. `__getitem__`
    is called from several threads at once.

    Args:
        class_names: A list of strings; a label is a position in it.
        max_bad: How many different pictures may turn out undecodable before the run
            stops. Defaults to 1 % of the source, at least 1 and at most 100.

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

    def __init__(self, class_names, max_bad=None):
        if max_bad is not None and max_bad < 0:
            raise ValueError(
                f"`max_bad` must be None or at least 0. Received: max_bad={max_bad}"
            )
        self.class_names = list(class_names)
        self.skipped = {}  # what was left out so far: name -> reason
        self.bad = {}  # what training has found out: index -> `batch_assembly.Extent`
        self._max_bad = max_bad
        self._lock = threading.Lock()

    def __len__(self):
        raise NotImplementedError

    def __getitem__(self, index):
        """Returns `(bytes, label)` of one picture."""
        raise NotImplementedError

    def describe(self, index):
        """Returns the name of one picture for people to find it by."""
        return f"picture {index}"

    def fingerprint(self):
        """Tells these data from others, without reading an image.

        A run keeps it, and compares it when it is resumed: `differences` names what has
        changed. Equal fingerprints mean the same class names and images in the same
        order, as far as names tell; the contents of files are not read.

        Returns:
            A dict that equals itself after a way through JSON. Keys are strings;
            values are strings, integers, lists of strings or such dicts. Every source
            has:

            - `"kind"`: name of the source's class;
            - `"class_names"`: list of strings, in the order of the labels;
            - `"count"`: number of images.

            Sources add what else they depend on:

            - of files, `"files"`: dict from a class name to how many files the class
              has and a digest of their names, relative to the folder that all files
              share, as one string (`"8 files, names 5c6f7ae0b1d2c3f4"`); and, if the
              classes do not come one after another, `"order"`: a digest of the labels;
            - of TFDS, `"builder"`: name, configuration and version
              (`"prelu_shapes/2.0.0"`), and `"split"`;
            - a `Subset`, `"source"`: the fingerprint of its source, and `"indices"`: a
              digest of its indices.

            A source of your own may add keys in the same way. The default tells only
            what every source has.

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
    def labels(self):
        """All labels, as an array of int32. Reads every picture, unless overridden."""
        return np.array([self[i][1] for i in range(len(self))], np.int32)

    @property
    def max_bad(self):
        """How many bad pictures are skipped before the run stops."""
        if self._max_bad is not None:
            return self._max_bad
        return min(max(math.ceil(0.01 * len(self)), 1), 100)

    def skip(self, index, reason):
        """Counts a picture that cannot be used, logs it once; stops past the quota."""
        name = self.describe(index)
        with self._lock:
            is_new = name not in self.skipped
            self.skipped.setdefault(name, reason)
            skipped = list(self.skipped.items())
        if is_new:
            logging.warning("Skipped %s: %s", name, reason)
        if len(skipped) > self.max_bad:
            listing = "\n  ".join(f"{name}: {reason}" for name, reason in skipped)
            raise TooManyBadImagesError(
                f"{len(skipped)} pictures cannot be decoded; `max_bad` allows "
                f"{self.max_bad} of {len(self)}:\n  {listing}"
            )

    def read(self, index):
        """Returns `(bytes, label)`, the label checked against the class names."""
        try:
            data, label = self[index]
        except OSError as error:
            raise UnreadableImageError(
                f"{self.describe(index)} cannot be read: {error.strerror or error}"
            ) from error
        if not 0 <= label < len(self.class_names):
            raise DataError(
                f"A label must be in 0 ... {len(self.class_names) - 1}. "
                f"Received: label={label} of {self.describe(index)}"
            )
        return data, label


class Subset(Source):
    """Some of the pictures of a source, in a given order.

    Args:
        source: A source.
        indices: Integers, the places of the pictures in it.
        max_bad: See `Source`.

    Examples:
        >>> source = keras_prelu.data.from_directory("photos")
        >>> subset = keras_prelu.data.Subset(source, [0, 3])
        >>> len(subset), subset.class_names
        (2, ['cat', 'dog'])
    """

    def __init__(self, source, indices, max_bad=None):
        super().__init__(source.class_names, max_bad)
        self._source = source
        self._indices = [int(index) for index in indices]

    def __len__(self):
        return len(self._indices)

    def __getitem__(self, index):
        return self._source[self._indices[index]]

    def describe(self, index):
        """Returns the name that the picture has in the source."""
        return self._source.describe(self._indices[index])

    def fingerprint(self):
        """Returns the fingerprint of `Source`, with its source's and its indices."""
        return {
            **super().fingerprint(),
            "source": self._source.fingerprint(),
            "indices": digest_of_integers(self._indices),
        }

    @functools.cached_property
    def labels(self):
        """All labels, as an array of int32."""
        return self._source.labels[self._indices]


def split(source, share=0.2, seed=0):
    """Divides a source at random, each class for itself, into two.

    Args:
        source: A source with at least two pictures of each class.
        share: Float in (0, 1). The part of each class that goes into the second
            source, rounded, but at least one picture and not all.
        seed: Integer, at least 0. The same seed divides the same source the same way.

    Returns:
        Two `Subset`s, for instance to train and to validate on.

    Examples:
        >>> source = keras_prelu.data.from_directory("photos")
        >>> train, validation = keras_prelu.data.split(source, share=0.25)
        >>> len(train), len(validation)
        (6, 2)
    """
    if not 0 < share < 1:
        raise ValueError(f"`share` must lie in (0, 1). Received: share={share}")
    generator = np.random.default_rng(seed)
    parts = [], []
    for label, name in enumerate(source.class_names):
        places = generator.permutation(np.flatnonzero(source.labels == label))
        if len(places) < 2:
            raise ValueError(
                "`source` must have at least two pictures of each class. "
                f"Received: {len(places)} of the class {name!r}"
            )
        count = min(max(round(share * len(places)), 1), len(places) - 1)
        parts[0].extend(places[count:])
        parts[1].extend(places[:count])
    return tuple(Subset(source, sorted(part)) for part in parts)
