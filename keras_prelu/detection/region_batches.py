"""Batches of images with regions, to train and to validate detectors."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from keras_prelu.data import random_draws
from keras_prelu.data.batch_format import Spec
from keras_prelu.data.decoding import BadImageError, decode_rgb
from keras_prelu.data.pipeline_options import ENDLESS, check_shard, training_stream
from keras_prelu.data.readers import reader as reader_of
from keras_prelu.data.replacement import first_good
from keras_prelu.data.sources import check_not_empty
from keras_prelu.detection import sampling
from keras_prelu.detection.arguments import checked_proposals
from keras_prelu.detection.boxes import parts_inside
from keras_prelu.detection.resizing import check_sides, padded, resize
from keras_prelu.number_checks import check_integer, is_integer

if TYPE_CHECKING:
    import tensorflow as tf

    from keras_prelu.data import AnnotatedSource, NumpyBatches

__all__ = ["eval_batches", "train_batches"]


class _Example(NamedTuple):
    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    deltas: np.ndarray


class _Examples(NamedTuple):
    """The training examples of a source: functions of an image's index and a draw.

    Attributes:
        source: The images and their objects.
        proposals: Their proposals.
        regions: Number of regions per image.
        shorter_side: Smallest and largest shorter side.
        longest_side: Upper limit of the longer side.
        seed: The seed of the draws.
    """

    source: "AnnotatedSource"
    proposals: Sequence[np.ndarray]
    regions: int
    shorter_side: tuple[int, int]
    longest_side: int
    seed: int

    def drawn(self, epoch, index):
        """Return the example of an image in an epoch."""
        draw = random_draws.draw(self.seed, epoch, index, self.shorter_side)
        example = functools.partial(self._example, epoch, draw.shorter_side, draw.flip)
        return first_good(self.source, index, example)

    def fixed(self, index):
        """Return the example of an image for validation, neither scaled nor flipped.

        It is None for an image that is skipped.
        """
        data, objects = self.source.read(index)
        try:
            return self._example(0, self.shorter_side[1], False, index, data, objects)
        except BadImageError as error:
            self.source.skip(index, str(error))
            return None

    def _example(self, epoch, shorter_side, flip, index, data, objects):
        pixels = decode_rgb(data)
        height, width = pixels.shape[:2]
        regions = parts_inside(self.proposals[index], height, width)
        if not len(regions):
            regions = np.array([[0, 0, width, height]])
        of_image = sampling.candidates(regions, objects)
        order = random_draws.region_order(self.seed, epoch, index, len(of_image.boxes))
        image, factors = resize(pixels, shorter_side, self.longest_side)
        chosen = sampling.sample(of_image, objects, order, self.regions)
        chosen = chosen._replace(boxes=(chosen.boxes * factors).astype(np.float32))
        example = _Example(image, *chosen)
        return _flipped(example) if flip else example


def _flipped(example):
    boxes, deltas = example.boxes.copy(), example.deltas.copy()
    boxes[:, [0, 2]] = example.image.shape[1] - boxes[:, [2, 0]]
    deltas[:, 0] *= -1
    return _Example(example.image[:, ::-1], boxes, example.labels, deltas)


def _collated(examples):
    """Return the arrays of a batch."""
    images, *regions = zip(*examples, strict=True)
    boxes, labels, deltas = map(np.stack, regions)
    targets = np.concatenate([labels[..., None].astype(np.float32), deltas], axis=-1)
    return [padded(images), boxes, labels, targets]


def train_batches(
    source: "AnnotatedSource",
    proposals: Sequence[np.ndarray],
    batch_size: int = 2,
    regions: int = 64,
    shorter_side: int | tuple[int, int] = 600,
    longest_side: int = 1000,
    seed: int = 0,
    start_step: int = 0,
    shard: tuple[int, int] = (0, 1),
    reader: str = "auto",
) -> "tf.data.Dataset | NumpyBatches":
    """Return endless batches to train a detector on.

    Half of the images are flipped. Everything random is a function of `(seed, epoch,
    index)`, and every image occurs once per epoch, as in
    `keras_prelu.data.train_batches`. So the batches from `start_step` on are bit for
    bit those of a run that started at step 0. An image that cannot be decoded is
    skipped and counted (`source.skipped`), and the next good image in the order of the
    source replaces it.

    Args:
        source: A `keras_prelu.data.AnnotatedSource`.
        proposals: Its proposals, one array of shape `(n, 4)` per image.
        batch_size: Number of images in a global batch. Defaults to 2.
        regions: Number of regions per image. At most a quarter of them overlap an
            object by 0.5 or more. Defaults to 64.
        shorter_side: The shorter side after resizing, or the smallest and the largest
            to draw from. Defaults to 600.
        longest_side: Upper limit of the longer side. Defaults to 1000.
        seed: Integer in 0 ... 2**31 - 1. Defaults to 0.
        start_step: The step of the first batch. Defaults to 0.
        shard: `(worker, workers)`: which part of each global batch to return. Defaults
            to the whole batch.
        reader: See `keras_prelu.data.train_batches`.

    Returns:
        Batches of `(x, y)` for a detector with `keras_prelu.detection.losses`: `x` has
        `"images"`, a uint8 tensor padded at the bottom and right to multiples of 32,
        and `"boxes"`, of shape `(batch, regions, 4)`. `y` has `"scores"`, the labels (0
        for the background, 1 + c for class c), and `"deltas"`, the labels and the four
        deltas.

    Reference:
        [Girshick, 2015](https://arxiv.org/abs/1504.08083), section 2.3
    """
    examples = _checked(
        source, proposals, batch_size, regions, shorter_side, longest_side, seed
    )
    stream = training_stream(len(source), batch_size, seed, start_step, shard)

    def batch(step):
        pairs = zip(*(x.tolist() for x in stream.wanted(step)), strict=True)
        return _collated([examples.drawn(*pair) for pair in pairs])

    steps = range(stream.first_step, ENDLESS)
    return reader_of(reader).numbered(batch, steps, _fields(regions), _packed)


def eval_batches(
    source: "AnnotatedSource",
    proposals: Sequence[np.ndarray],
    batch_size: int = 2,
    regions: int = 64,
    shorter_side: int | tuple[int, int] = 600,
    longest_side: int = 1000,
    shard: tuple[int, int] = (0, 1),
    reader: str = "auto",
) -> "tf.data.Dataset | NumpyBatches":
    """Return batches for the validation loss, with each image once.

    Regions are chosen as in training, but always the same ones, and no image is
    flipped. The last batch may be smaller. Images that cannot be decoded are left out
    and counted (`source.skipped`).

    Args:
        source: See `train_batches`.
        proposals: See `train_batches`.
        batch_size: See `train_batches`.
        regions: See `train_batches`.
        shorter_side: See `train_batches`. Of a range, the largest is used.
        longest_side: See `train_batches`.
        shard: `(worker, workers)`. Worker w of W takes images w, w + W, and so on.
        reader: See `keras_prelu.data.train_batches`.

    Returns:
        Batches of `(x, y)`, see `train_batches`.
    """
    examples = _checked(
        source, proposals, batch_size, regions, shorter_side, longest_side, seed=0
    )
    check_shard(shard)
    worker, workers = shard
    indices = range(worker, len(source), workers)
    return reader_of(reader).grouped(
        examples.fixed, indices, batch_size, _collated, _fields(regions), _packed
    )


def _fields(regions):
    """Return the dtypes and shapes of the arrays of a batch."""
    return (
        Spec("uint8", (None, None, None, 3)),
        Spec("float32", (None, regions, 4)),
        Spec("int32", (None, regions)),
        Spec("float32", (None, regions, 5)),
    )


def _packed(images, boxes, labels, targets):
    """Return the arrays of a batch as `(x, y)`."""
    return {"images": images, "boxes": boxes}, {"scores": labels, "deltas": targets}


def _checked(source, proposals, batch_size, regions, shorter_side, longest_side, seed):
    """Return the examples, or raise an error for arguments that do not fit."""
    for name, value in (("batch_size", batch_size), ("regions", regions)):
        check_integer(name, value, 1)
    proposals = checked_proposals(source, proposals)
    check_not_empty(source)
    if is_integer(shorter_side):
        shorter_side = (shorter_side, shorter_side)
    if len(shorter_side) != 2 or shorter_side[0] > shorter_side[1]:
        raise ValueError(
            "Argument `shorter_side` must be an integer or a range. "
            f"Received: shorter_side={shorter_side}"
        )
    low, high = shorter_side
    check_sides(low, longest_side)
    check_sides(high, longest_side)
    return _Examples(source, proposals, regions, (low, high), longest_side, seed)
