"""Regions that may contain objects: computed once for all images, and kept in a file.

OpenCV ranks the regions of selective search at random, but the set of regions of an
image is always the same. So regions are sorted by their coordinates here, and none is
left out because of its rank.
"""

import dataclasses
import functools
import hashlib
import json
import pathlib
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from keras_prelu.data.decoding import BadImageError, decode_rgb
from keras_prelu.data.fingerprints import differences
from keras_prelu.data.resizing import evaluation_view
from keras_prelu.data.sources import Source, check_source
from keras_prelu.detection.boxes import clip
from keras_prelu.detection.proposal_methods import METHODS, searcher
from keras_prelu.files import filling
from keras_prelu.number_checks import check_integer
from keras_prelu.platforms import sync, usable_cores
from keras_prelu.types import PathLike

__all__ = ["Proposals", "proposals"]

_SMALLEST = 8  # pixels at each side of a region, in the image that is searched
_IMAGES_PER_PART = 256  # computed before the file is written again
_COMPARED = 16  # images whose bytes are compared with those that the file is of
# What a fingerprint tells of the objects in the images. Regions do not depend on them.
_OF_OBJECTS = ("class_names", "annotations")


class Proposals:
    """The proposed regions of the images of a source.

    `proposals[i]` are the regions of image `i`: a float32 array of shape `(n, 4)` of
    boxes in pixels of the upright original image, which cannot be changed.

    Args:
        boxes: One array of boxes per image.
        method: The method that proposed them.
        side: The shorter side of the searched images, or `None`.
    """

    def __init__(
        self, boxes: Sequence[np.ndarray], method: str, side: int | None = None
    ) -> None:
        self._boxes = [
            np.asarray(of_image, np.float32).reshape(-1, 4) for of_image in boxes
        ]
        for of_image in self._boxes:
            of_image.flags.writeable = False
        self.method = method
        self.side = side

    def __len__(self) -> int:
        return len(self._boxes)

    def __getitem__(self, index: int) -> np.ndarray:
        return self._boxes[index]

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self._boxes)

    @functools.cached_property
    def _digest(self):
        digest = hashlib.sha256(str([len(boxes) for boxes in self]).encode())
        for boxes in self:
            digest.update(np.ascontiguousarray(boxes, "<f4"))
        return digest.hexdigest()[:16]

    def fingerprint(self) -> dict[str, Any]:
        """Return a dict that identifies the regions, for a run to keep.

        Returns:
            A dict that `json` can write, with the `"method"`, the `"side"`, the
            `"count"` of regions in all images, and a `"digest"` of their coordinates.
        """
        return {
            "method": self.method,
            "side": self.side,
            "count": sum(len(boxes) for boxes in self),
            "digest": self._digest,
        }


def proposals(
    source: Source,
    path: PathLike | None = None,
    method: str = "selective_search",
    side: int | None = None,
    verbose: bool = True,
) -> Proposals:
    """Propose regions that may contain objects, for each image of a source.

    The regions of an image are unique and sorted by their coordinates, and lie inside
    it. Each side has at least 8 pixels of the searched image, or the whole length of a
    shorter side of the image. The whole image is always one of the regions. Images that
    cannot be decoded are skipped and counted as in training, and have no regions.

    With `path`, the regions are kept in a file. It is written after every 256 images,
    so a computation that was killed continues there. A file is only used if it was
    computed with the same method and side, for a source with the same fingerprint. The
    names of the classes and the annotations may differ, because regions do not depend
    on them. The bytes of up to 16 images, evenly spread over the source, are compared
    as well. Several processes may compute the same file at the same time.

    Args:
        source: A `keras_prelu.data.Source`, with or without objects.
        path: Path of the file, usually with the extension `.npz`. Its folder is made if
            it does not exist. Defaults to no file.
        method: `"selective_search"`, the default: OpenCV's selective search in its fast
            mode, which needs the extra `detection`. `"grid"`: about
            850 windows per image, of five sizes and three aspect ratios, which depend
            on the size of the image only.
        side: The shorter side that images are resized to for selective search, which
            takes time in proportion to the number of pixels or more. Regions are
            given in pixels of the original image anyway. Defaults to the original size.
        verbose: Whether to show a progress bar. Defaults to `True`.

    Returns:
        A `Proposals` object.

    Reference:
        [Uijlings et al., 2013](https://doi.org/10.1007/s11263-013-0620-5)

    Examples:
        >>> source = keras_prelu.data.from_directory("photos")
        >>> regions = proposals(source, "photos.npz", method="grid", verbose=False)
        >>> len(regions), regions[0].shape, regions[0].dtype
        (8, (878, 4), dtype('float32'))
    """
    _check(source, method, side)
    side = None if side is None else int(side)  # JSON knows no integers of NumPy
    path = None if path is None else pathlib.Path(path)
    if path is not None and path.exists():
        computed = _Computed.read(path)
        computed.compare(source, method, side, path)
    else:
        computed = _Computed(_header(source, method, side), [], [])
    if len(computed.boxes) < len(source):
        _complete(computed, source, path, method, side, verbose)
    return Proposals(computed.boxes, method, side)


def _check(source, method, side):
    check_source(source)
    if method not in METHODS:
        raise ValueError(
            f"Argument `method` must be one of {', '.join(map(repr, METHODS))}. "
            f"Received: method={method!r}"
        )
    if side is not None and method == "grid":
        raise ValueError(
            "Argument `side` must be None for method='grid', whose windows depend on "
            f"the size of the original image. Received: side={side!r}"
        )
    check_integer("side", side, _SMALLEST, or_none=True)


def _complete(computed, source, path, method, side, verbose):
    """Compute the regions of the images that are missing, and write them."""

    def propose(index):
        data, _ = source.read(index)
        try:
            boxes = _regions(decode_rgb(data), search, side)
        except BadImageError as error:
            source.skip(index, str(error))
            boxes = np.zeros((0, 4), np.float32)
        return boxes, _digest(data)

    progress = keras.utils.Progbar(len(source), verbose=int(verbose), unit_name="image")
    with searcher(method) as search, ThreadPoolExecutor(usable_cores()) as pool:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        for start in range(len(computed.boxes), len(source), _IMAGES_PER_PART):
            indices = range(start, min(start + _IMAGES_PER_PART, len(source)))
            for boxes, digest in pool.map(propose, indices):
                computed.boxes.append(boxes)
                computed.digests.append(digest)
                progress.update(len(computed.boxes))
            if path is not None:
                computed.write(path)


def _digest(data):
    return hashlib.sha256(data).digest()[:16]


def _regions(pixels, search, side):
    """Return the sorted regions of an image."""
    searched = pixels if side is None else evaluation_view(pixels, None, side)
    boxes = search(searched)
    size, original = (np.array(image.shape[1::-1]) for image in (searched, pixels))
    sides = boxes[:, 2:] - boxes[:, :2]
    boxes = boxes[(sides >= np.minimum(_SMALLEST, size)).all(axis=1)]
    boxes = boxes * np.tile(original / size, 2)
    boxes = np.concatenate([boxes, [[0, 0, *original]]]).astype(np.float32)
    return np.unique(clip(boxes, *original[::-1]), axis=0)


def _header(source, method, side):
    fingerprint = _of_images(source.fingerprint())
    return {"method": method, "side": side, "source": fingerprint}


def _of_images(fingerprint):
    """Return a fingerprint, and those of the sources in it, without the objects."""
    kept = {key: value for key, value in fingerprint.items() if key not in _OF_OBJECTS}
    if isinstance(kept.get("source"), dict):
        kept["source"] = _of_images(kept["source"])
    return kept


@dataclasses.dataclass
class _Computed:
    """What a file contains: the regions of the first images of a source.

    Attributes:
        header: Dict of what the regions were computed from and how.
        boxes: One array of boxes per image.
        digests: One digest of the bytes per image.
    """

    header: dict[str, Any]
    boxes: list[np.ndarray]
    digests: list[bytes]

    @classmethod
    def read(cls, path):
        """Read a file."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                header = json.loads(str(arrays["header"]))
                ends = np.cumsum(arrays["counts"])
                boxes = np.split(arrays["boxes"], ends[:-1]) if len(ends) else []
                digests = [digest.tobytes() for digest in arrays["digests"]]
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                "Argument `path` must be a new file or one that `proposals` has "
                f"written ({error}). Received: path={str(path)!r}"
            ) from error
        return cls(header, boxes, digests)

    def write(self, path):
        """Write or replace a file."""
        # In a new folder, because several processes may write the same file, such as
        # the workers of a run.
        with filling(path.parent) as folder:
            aside = folder / "regions.npz"
            np.savez(
                aside,
                header=np.array(json.dumps(self.header)),
                counts=np.array([len(boxes) for boxes in self.boxes]),
                boxes=np.concatenate(self.boxes),
                digests=np.frombuffer(b"".join(self.digests), np.uint8).reshape(-1, 16),
            )
            sync(aside)
            aside.replace(path)
            folder.rmdir()
        sync(path.parent)

    def compare(self, source, method, side, path):
        """Raise unless the file is of these images, this method and this side."""
        # Files of earlier versions have the objects in their headers.
        changes = differences(_of_images(self.header), _header(source, method, side))
        if not changes:
            last = len(self.digests) - 1
            changes = [
                f"the bytes of {source.describe(index)} have changed"
                for index in sorted(set(np.linspace(0, last, _COMPARED).astype(int)))
                if _digest(source.read(index)[0]) != self.digests[index]
            ]
        if changes:
            raise ValueError(
                "Argument `path` must be a new file or one with the proposals of this "
                f"source, by this method. Received: path={str(path)!r}, with "
                f"differences: {'; '.join(changes)}"
            )
