"""Batches for evaluation: every image once, without augmentation."""

import numpy as np
import tensorflow as tf

from keras_prelu.data.batch_assembly import CORES
from keras_prelu.data.decoding import BadImageError, decode_rgb
from keras_prelu.data.pipeline_options import (
    READY,
    check_shard,
    check_sizes,
    stream_options,
)
from keras_prelu.data.python_functions import call_python
from keras_prelu.data.resizing import evaluation_view
from keras_prelu.data.sources import Source

__all__ = ["eval_batches"]

_SKIPPED = np.int32(-1)  # instead of the label of a skipped image


def eval_batches(
    source: Source,
    batch_size: int,
    image_size: int | None = 224,
    scale: int = 256,
    shard: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Return batches that contain every image of a source exactly once.

    Images are resized so that the shorter side is `scale`, and not augmented. The last
    batch may be smaller. Images that cannot be decoded are skipped and counted
    (`source.skipped`): the batches then contain `len(source) - len(source.skipped)`
    images.

    Args:
        source: A `Source`.
        batch_size: Number of images in a batch.
        image_size: Side of the center crop, or `None` for whole images. Batches of
            whole images contain images of the same size, and fewer of them where a
            size is rare. Defaults to 224.
        scale: The shorter side after resizing. Defaults to 256.
        shard: `(worker, workers)`. Worker w of W takes images w, w + W, and so on.
            Defaults to one worker.

    Returns:
        A `tf.data.Dataset` of `(x, y)`: uint8 images of shape `(batch, image_size,
        image_size, 3)`, or `(batch, height, width, 3)` for whole images, and int32
        labels.

    Examples:
        >>> source = keras_prelu.data.from_directory("photos")
        >>> batches = keras_prelu.data.eval_batches(
        ...     source, batch_size=6, image_size=32, scale=40)
        >>> [len(y) for x, y in batches]
        [6, 2]
    """
    smallest = 1 if image_size is None else image_size
    check_sizes(source, batch_size, smallest, (scale, scale))
    check_shard(shard)
    worker, workers = shard

    def load(index):
        image, label = call_python(
            lambda index: _view(source, int(index), image_size, scale),
            [index],
            [tf.uint8, tf.int32],
        )
        image = tf.ensure_shape(image, [image_size, image_size, 3])
        return image, tf.ensure_shape(label, [])

    images = (
        tf.data.Dataset.range(worker, len(source), workers)
        .map(load, num_parallel_calls=CORES)
        .filter(lambda image, label: label != _SKIPPED)
    )
    if image_size is None:
        batches = _grouped_by_size(images, batch_size)
    else:
        batches = images.batch(batch_size)
    return batches.prefetch(READY).with_options(stream_options())


def _view(source, index, image_size, scale):
    """Return the view of an image and its label, or `_SKIPPED` as its label."""
    data, label = source.read(index)
    try:
        view = evaluation_view(decode_rgb(data), image_size, scale)
    except BadImageError as error:
        source.skip(index, str(error))
        return np.zeros([image_size or 1] * 2 + [3], np.uint8), _SKIPPED
    return view, np.int32(label)


def _grouped_by_size(images, batch_size):
    """Batch images of equal sizes within windows of 16 batches.

    The windows keep the memory independent of the number of sizes.
    """

    def group(images, labels):
        return tf.data.Dataset.zip(images, labels).group_by_window(
            lambda image, label: _size_key(image),
            lambda key, group: group.batch(batch_size),
            window_size=batch_size,
        )

    return images.window(16 * batch_size).flat_map(group)


def _size_key(image):
    height, width = tf.unstack(tf.cast(tf.shape(image), tf.int64)[:2])
    return height * 2**31 + width
