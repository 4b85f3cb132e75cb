"""Batches from `tf.data`.

The images of a batch are decoded in a graph, which needs no Python for plain JPEGs.
"""

import contextlib
import io
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from keras_prelu.data.batch_assembly import BatchAssembler
from keras_prelu.data.batch_format import DrawnImage, Plan, Spec, specs
from keras_prelu.data.decoding import Header
from keras_prelu.data.host_augmentation import augment
from keras_prelu.data.pipeline_options import (
    ENDLESS,
    GROUPED,
    READY,
    TrainingStream,
    stream_options,
)
from keras_prelu.data.python_functions import call_python
from keras_prelu.data.sources import Source
from keras_prelu.data.threads import CORES, pool
from keras_prelu.data.windows import canvas_side
from keras_prelu.types import Tensor

__all__ = ["evaluation", "grouped", "numbered", "training"]

# Together with READY these bound the memory: numbers of batches that are read ahead,
# and that are assembled at the same time.
_READ_AHEAD = 4
_ASSEMBLED_AT_ONCE = 2

_SKIPPED = np.int32(-1)  # instead of the label of a skipped image

if keras.backend.backend() != "tensorflow":
    # TensorFlow only reads images here. It would take nearly all memory of the GPUs.
    with contextlib.suppress(RuntimeError):  # the program has used TensorFlow before
        tf.config.set_visible_devices([], "GPU")


def training(
    source: Source,
    plan: Callable[[Header, int, int], Plan],
    stream: TrainingStream,
    image_size: int,
    on_device: bool,
) -> tf.data.Dataset:
    """Return endless batches of augmented images; see `train_batches`.

    Args:
        source: The images.
        plan: Function from a header, an epoch and an index to the `Plan` of an image.
        stream: Which images each step takes.
        image_size: Side of the crops.
        on_device: Whether the device applies what was drawn.
    """
    side = canvas_side(image_size)
    assembler = BatchAssembler(source, plan, side, stream.batch_size)
    batches = (
        tf.data.Dataset.range(stream.first_step, ENDLESS)
        .map(assembler.reader(stream.wanted), num_parallel_calls=_READ_AHEAD)
        .interleave(
            assembler.batch,
            cycle_length=_ASSEMBLED_AT_ONCE,
            num_parallel_calls=_ASSEMBLED_AT_ONCE,
        )
        .map(_drawn_images)
    )
    if not on_device:
        batches = batches.map(_augmented_by_pillow(image_size))
    return batches.prefetch(READY).with_options(stream_options())


def _drawn_images(pixels: Tensor, columns: dict[str, Tensor]) -> tuple:
    """Return what the augmentation takes, and the labels."""
    drawn = DrawnImage(
        pixels=pixels,
        size=columns["area"][:, 2:] // columns["factor"][:, None],
        box=columns["box"],
        flip=columns["flip"],
        shift=columns["shift"],
    )
    return drawn, columns["label"]


def _augmented_by_pillow(image_size):
    """Return the function from drawn images and labels to plain images and labels.

    It is one call of Python per batch.
    """
    names = [*specs(DrawnImage)]

    def augmented(*columns):
        def one(drawn):
            height, width = drawn["size"]
            return augment(drawn["pixels"][:height, :width], drawn, image_size)

        rows = (
            dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)
        )
        with pool() as threads:
            return [np.stack([*threads.map(one, rows)])]

    def pack(drawn: dict[str, Tensor], labels: Tensor) -> tuple:
        columns = [drawn[name] for name in names]
        [images] = call_python(augmented, columns, [tf.float32])
        return tf.ensure_shape(
            images, [*labels.shape, image_size, image_size, 3]
        ), labels

    return pack


def evaluation(
    view: Callable[[int], tuple[np.ndarray, int] | None],
    indices: range,
    batch_size: int,
    image_size: int | None,
) -> tf.data.Dataset:
    """Return batches of each image once; see `eval_batches`.

    Args:
        view: Function from an index to the image and its label, or to None if the image
            cannot be decoded.
        indices: The positions of the images.
        batch_size: Number of images in a batch.
        image_size: Side of the images, or None if they have different sizes.
    """
    skipped = np.zeros([image_size or 1] * 2 + [3], np.uint8), _SKIPPED

    def load(index):
        image, label = call_python(
            lambda index: view(int(index)) or skipped, [index], [tf.uint8, tf.int32]
        )
        image = tf.ensure_shape(image, [image_size, image_size, 3])
        return image, tf.ensure_shape(label, [])

    images = (
        tf.data.Dataset.range(indices.start, indices.stop, indices.step)
        .map(load, num_parallel_calls=CORES)
        .filter(lambda image, label: label != _SKIPPED)
    )
    if image_size is None:
        batches = _grouped_by_size(images, batch_size)
    else:
        batches = images.batch(batch_size)
    return batches.prefetch(READY).with_options(stream_options())


def _grouped_by_size(images, batch_size):
    """Batch images of equal sizes within windows of some batches.

    The windows keep the memory independent of the number of sizes.
    """

    def group(images, labels):
        return tf.data.Dataset.zip(images, labels).group_by_window(
            lambda image, label: _size_key(image),
            lambda key, group: group.batch(batch_size),
            window_size=batch_size,
        )

    return images.window(GROUPED * batch_size).flat_map(group)


def _size_key(image):
    height, width = tf.unstack(tf.cast(tf.shape(image), tf.int64)[:2])
    return height * 2**31 + width


def numbered(
    batch: Callable[[int], tuple[np.ndarray, ...]],
    numbers: range,
    fields: tuple[Spec, ...],
    pack: Callable[..., tuple] = lambda *arrays: arrays,
) -> tf.data.Dataset:
    """Return the batch of each number.

    Args:
        batch: Function from a number to the arrays of a batch.
        numbers: The numbers, from a first one on.
        fields: The dtypes and shapes of the arrays.
        pack: Function from the arrays to `(x, y)`. Defaults to a tuple of them.
    """

    def load(number):
        return pack(*_arrays(lambda number: batch(int(number)), number, fields))

    return (
        tf.data.Dataset.range(numbers.start, numbers.stop, numbers.step)
        .map(load, num_parallel_calls=CORES)
        .prefetch(READY)
        .with_options(stream_options())
    )


def _arrays(function, argument, fields):
    """Return the arrays that a Python function returns, as tensors of the fields."""
    dtypes = [tf.as_dtype(field.dtype) for field in fields]
    columns = call_python(lambda value: [*function(value)], [argument], dtypes)
    return [
        tf.ensure_shape(column, field.shape)
        for column, field in zip(columns, fields, strict=True)
    ]


def grouped(
    example: Callable[[int], tuple[np.ndarray, ...] | None],
    indices: range,
    batch_size: int,
    collated: Callable[[list], list[np.ndarray]],
    fields: tuple[Spec, ...],
    pack: Callable[..., tuple],
) -> tf.data.Dataset:
    """Return batches of the examples that are not None.

    Only the last batch may be smaller.

    Args:
        example: Function from an index to arrays of any shapes, or to None if the image
            cannot be decoded.
        indices: The positions of the images.
        batch_size: Number of examples in a batch.
        collated: Function from a list of examples to the arrays of a batch.
        fields: The dtypes and shapes of the arrays.
        pack: Function from the arrays to `(x, y)`.
    """
    # In the graph an example is a string: `batch` needs tensors of equal shapes.
    string = Spec("string")

    def load(index):
        def encoded(index):
            arrays = example(int(index))
            return [b"" if arrays is None else _encoded(arrays)]

        return _arrays(encoded, index, [string])[0]

    def batch(strings):
        def decoded(strings):
            return collated([*map(_decoded, strings)])

        return pack(*_arrays(decoded, strings, fields))

    return (
        tf.data.Dataset.range(indices.start, indices.stop, indices.step)
        .map(load, num_parallel_calls=CORES)
        .filter(lambda string: string != "")
        .batch(batch_size)
        .map(batch)
        .prefetch(READY)
        .with_options(stream_options())
    )


def _encoded(arrays):
    """Return arrays as a byte string."""
    stream = io.BytesIO()
    np.savez(stream, *arrays)
    return stream.getvalue()


def _decoded(string):
    """Return the arrays of a byte string."""
    with np.load(io.BytesIO(string), allow_pickle=False) as arrays:
        return [*arrays.values()]
