"""Batches without TensorFlow: Pillow decodes in threads, NumPy holds the batches.

Orders and draws are those of `tf.data`'s batches, and so are the pixels, up to
differences between two builds of libjpeg. Pillow decodes every row of a JPEG, so an
image that is damaged anywhere is replaced, also where the drawn window is not damaged.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from keras_prelu.data.batch_format import DrawnImage, Draws, Plan, Spec, specs
from keras_prelu.data.decoding import BadImageError, Header, decode_window, read_header
from keras_prelu.data.host_augmentation import augment
from keras_prelu.data.numpy_batches import NumpyBatches
from keras_prelu.data.pipeline_options import GROUPED, READY, TrainingStream
from keras_prelu.data.replacement import first_good
from keras_prelu.data.sources import Source
from keras_prelu.data.threads import ahead, pool
from keras_prelu.data.windows import canvas_side

__all__ = ["evaluation", "grouped", "numbered", "training"]

_DRAWS = {name: spec.dtype for name, spec in specs(Draws).items()}


def training(
    source: Source,
    plan: Callable[[Header, int, int], Plan],
    stream: TrainingStream,
    image_size: int,
    on_device: bool,
) -> NumpyBatches:
    """Return endless batches of augmented images; see `train_batches`.

    Args:
        source: The images.
        plan: Function from a header, an epoch and an index to the `Plan` of an image.
        stream: Which images each step takes.
        image_size: Side of the crops.
        on_device: Whether the device applies what was drawn.
    """
    new_batch, write = (
        (_new_windows, _write_window) if on_device else (_new_crops, _write_crop)
    )
    known_bad: set[int] = set()

    def rows():
        """Yield each image of each batch, with the arrays that it belongs to."""
        for step in itertools.count(stream.first_step):
            images = new_batch(stream.batch_size, image_size)
            batch = images, np.zeros(stream.batch_size, np.int32)
            pairs = zip(*(x.tolist() for x in stream.wanted(step)), strict=True)
            for row, (epoch, index) in enumerate(pairs):
                yield batch, row, epoch, index

    def fill(wanted):
        """Write an image into its row, and return the batch of this row."""
        batch, row, epoch, index = wanted

        def decode(position, data, label):
            try:
                planned = plan(read_header(data), epoch, index)
                return decode_window(data, planned), planned, label
            except BadImageError:
                known_bad.add(position)
                raise

        pixels, planned, label = first_good(
            source, index, decode, known_bad.__contains__
        )
        images, labels = batch
        write(images, row, pixels, planned)
        labels[row] = label
        return batch

    def begin():
        with pool() as threads:
            filled = ahead(threads, fill, rows(), READY * stream.batch_size)
            while True:
                *_, batch = itertools.islice(filled, stream.batch_size)
                yield batch

    return NumpyBatches(begin)


def _new_windows(batch_size, image_size):
    """Return the arrays of a batch for the device."""
    side = canvas_side(image_size)
    return {
        name: np.zeros(
            [batch_size, *(side if n is None else n for n in spec.shape)], spec.dtype
        )
        for name, spec in specs(DrawnImage).items()
    }


def _write_window(images, row, pixels, planned):
    height, width = pixels.shape[:2]
    images["pixels"][row, :height, :width] = pixels
    images["size"][row] = height, width
    for name in _DRAWS:
        images[name][row] = planned[name]


def _new_crops(batch_size, image_size):
    """Return the array of a batch of augmented images."""
    return np.zeros((batch_size, image_size, image_size, 3), np.float32)


def _write_crop(images, row, pixels, planned):
    # In the precision of the batches for the device.
    drawn = {name: np.array(planned[name], dtype) for name, dtype in _DRAWS.items()}
    images[row] = augment(pixels, drawn, images.shape[1])


def evaluation(
    view: Callable[[int], tuple[np.ndarray, int] | None],
    indices: range,
    batch_size: int,
    image_size: int | None,
) -> NumpyBatches:
    """Return batches of each image once; see `eval_batches`.

    Args:
        view: Function from an index to the image and its label, or to None if the image
            cannot be decoded.
        indices: The positions of the images.
        batch_size: Number of images in a batch.
        image_size: Not needed here.
    """

    def begin():
        with pool() as threads:
            views = ahead(threads, view, indices, READY * batch_size)
            images = (image for image in views if image is not None)
            for group in _grouped_by_size(images, batch_size):
                x, y = zip(*group, strict=True)
                yield np.stack(x), np.array(y, np.int32)

    return NumpyBatches(begin)


def _grouped_by_size(
    images: Iterable[tuple[np.ndarray, int]], batch_size: int
) -> Iterator[list[tuple[np.ndarray, int]]]:
    """Yield lists of images of equal sizes, within windows of some batches.

    The windows keep the memory independent of the number of sizes.
    """
    groups: dict[tuple, list] = {}
    for count, image in enumerate(images, start=1):
        size = image[0].shape
        groups.setdefault(size, []).append(image)
        if len(groups[size]) == batch_size:
            yield groups.pop(size)
        if count % (GROUPED * batch_size) == 0:
            yield from _in_order(groups)
            groups = {}
    yield from _in_order(groups)


def _in_order(groups):
    """Return the groups from the smallest to the largest size, as `tf.data` does."""
    return [groups[size] for size in sorted(groups)]


def numbered(
    batch: Callable[[int], tuple[np.ndarray, ...]],
    numbers: range,
    fields: tuple[Spec, ...],
    pack: Callable[..., tuple] = lambda *arrays: arrays,
) -> NumpyBatches:
    """Return the batch of each number.

    Args:
        batch: Function from a number to the arrays of a batch.
        numbers: The numbers, from a first one on.
        fields: Not needed here.
        pack: Function from the arrays to `(x, y)`. Defaults to a tuple of them.
    """

    def packed(number):
        return pack(*batch(number))

    def begin():
        with pool() as threads:
            yield from ahead(threads, packed, numbers, READY)

    return NumpyBatches(begin)


def grouped(
    example: Callable[[int], tuple[np.ndarray, ...] | None],
    indices: range,
    batch_size: int,
    collated: Callable[[list], list[np.ndarray]],
    fields: tuple[Spec, ...],
    pack: Callable[..., tuple],
) -> NumpyBatches:
    """Return batches of the examples that are not None.

    Only the last batch may be smaller.

    Args:
        example: Function from an index to arrays of any shapes, or to None if the image
            cannot be decoded.
        indices: The positions of the images.
        batch_size: Number of examples in a batch.
        collated: Function from a list of examples to the arrays of a batch.
        fields: Not needed here.
        pack: Function from the arrays to `(x, y)`.
    """

    def begin():
        with pool() as threads:
            examples = ahead(threads, example, indices, READY * batch_size)
            good = (one for one in examples if one is not None)
            while group := list(itertools.islice(good, batch_size)):
                yield pack(*collated(group))

    return NumpyBatches(begin)
