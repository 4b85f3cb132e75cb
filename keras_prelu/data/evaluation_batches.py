"""Batches for evaluation: every image once, without augmentation."""

from typing import TYPE_CHECKING

import numpy as np

from keras_prelu.data.decoding import BadImageError, decode_rgb
from keras_prelu.data.pipeline_options import check_shard, check_sizes
from keras_prelu.data.readers import reader as reader_of
from keras_prelu.data.resizing import evaluation_view
from keras_prelu.data.sources import Source
from keras_prelu.number_checks import is_integer

if TYPE_CHECKING:
    import tensorflow as tf

    from keras_prelu.data.numpy_batches import NumpyBatches

__all__ = ["eval_batches"]


def eval_batches(
    source: Source,
    batch_size: int,
    image_size: int | None = 224,
    scale: int = 256,
    shard: tuple[int, int] = (0, 1),
    reader: str = "auto",
) -> "tf.data.Dataset | NumpyBatches":
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
        reader: See `train_batches`.

    Returns:
        Batches of `(x, y)`: uint8 images of shape `(batch, image_size, image_size, 3)`,
        or `(batch, height, width, 3)` for whole images, and int32 labels.

    Examples:
        >>> source = keras_prelu.data.from_directory("photos")
        >>> batches = keras_prelu.data.eval_batches(
        ...     source, batch_size=6, image_size=32, scale=40)
        >>> [len(y) for x, y in batches]
        [6, 2]
    """
    smallest = 1 if image_size is None else image_size
    check_sizes(source, batch_size, smallest)
    if not is_integer(scale, smallest):
        raise ValueError(
            "Argument `scale` must be an integer that is not smaller than the crop: at "
            f"least {smallest}. Received: scale={scale!r}"
        )
    check_shard(shard)
    worker, workers = shard

    def view(index):
        return _view(source, index, image_size, scale)

    indices = range(worker, len(source), workers)
    return reader_of(reader).evaluation(view, indices, batch_size, image_size)


def _view(source, index, image_size, scale):
    """Return the view of an image and its label, or None for one that is skipped."""
    data, label = source.read(index)
    try:
        view = evaluation_view(decode_rgb(data), image_size, scale)
    except BadImageError as error:
        source.skip(index, str(error))
        return None
    return view, np.int32(label)
