"""Options of training and evaluation pipelines: their checks, and tf.data's own."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_prelu.data import random_draws
from keras_prelu.data.annotations import AnnotatedSource
from keras_prelu.data.sources import Source, check_not_empty, check_source
from keras_prelu.number_checks import check_integer, is_integer, is_position

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = [
    "ENDLESS",
    "GROUPED",
    "READY",
    "TrainingStream",
    "check_scale",
    "check_shard",
    "check_sizes",
    "stream_options",
    "training_stream",
]

READY = 2  # number of finished batches to keep ready
GROUPED = 16  # number of batches within which whole images are grouped by size
ENDLESS = np.iinfo(np.int64).max  # a step that no run reaches


def stream_options() -> "tf.data.Options":
    """Return the `tf.data.Options` of every dataset in this package."""
    import tensorflow as tf

    options = tf.data.Options()
    options.deterministic = True
    # Every degree of parallelism is given, so there is nothing to tune. TensorFlow's
    # tuning thread can also delay the end of its iterator, by up to a minute after a
    # long run.
    options.autotune.enabled = False
    # Sharding the elements of a stream would undo the argument `shard`.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    return options


def check_sizes(source: Source, batch_size: int, image_size: int) -> None:
    """Refuse what is not a source of labeled images, and sizes that do not exist.

    Args:
        source: The source of the images.
        batch_size: Number of images in a batch.
        image_size: Side of the crops.
    """
    check_source(source)
    check_not_empty(source)
    if isinstance(source, AnnotatedSource):
        raise TypeError(
            "Argument `source` must have one label per image, not boxes. "
            f"Received: source={source}"
        )
    for name, value in (("batch_size", batch_size), ("image_size", image_size)):
        check_integer(name, value, 1)


def check_shard(shard: tuple[int, int]) -> None:
    """Refuse a shard that does not exist.

    Args:
        shard: A pair `(worker, workers)`.
    """
    worker, workers = _pair_or_none(shard) or (0, 0)
    if not is_position(worker, workers):
        raise ValueError(
            "Argument `shard` must be (worker, workers), integers with "
            f"0 <= worker < workers. Received: shard={shard!r}"
        )


def _pair_or_none(value):
    """Return a pair of integers, or `None` if the value is something else."""
    try:
        first, second = value
    except (TypeError, ValueError):
        return None
    return (first, second) if is_integer(first) and is_integer(second) else None


def check_scale(scale: Any, image_size: int) -> None:
    """Refuse a range of scales that does not exist.

    Args:
        scale: The smallest and the largest shorter side.
        image_size: Side of the crops.
    """
    low, high = _pair_or_none(scale) or (0, 0)
    if not image_size <= low <= high:
        raise ValueError(
            "Argument `scale` must be a pair of integers, the smallest and the largest "
            "shorter side, that are not smaller than the crop: "
            f"{image_size} <= smallest <= largest. Received: scale={scale!r}"
        )


class TrainingStream(NamedTuple):
    """A worker's shard of the endless batches of a training run.

    Attributes:
        first_step: The number of the first step.
        wanted: Function from a step to the epochs and the indices of the shard's
            images: two integer arrays.
        batch_size: Number of images in the shard of a batch.
    """

    first_step: int
    wanted: Callable[[int], tuple[np.ndarray, np.ndarray]]
    batch_size: int


def training_stream(
    length: int, batch_size: int, seed: int, start_step: int, shard: tuple[int, int]
) -> TrainingStream:
    """Return which images a training run takes at each step, or refuse the arguments.

    Args:
        length: Number of images in an epoch.
        batch_size: Number of images in a global batch.
        seed: Integer in 0 ... 2**31 - 1.
        start_step: The first step.
        shard: A pair `(worker, workers)`.
    """
    check_shard(shard)
    worker, workers = shard
    if batch_size < workers:
        raise ValueError(
            "Argument `batch_size` must be at least the number of workers. "
            f"Received: batch_size={batch_size}, shard={shard}"
        )
    if not is_position(seed, 2**31):
        raise ValueError(
            "Argument `seed` must be an integer in 0 ... 2**31 - 1. "
            f"Received: seed={seed!r}"
        )
    check_integer("start_step", start_step, 0)
    part = slice(batch_size * worker // workers, batch_size * (worker + 1) // workers)

    def wanted(step):
        epochs, indices = random_draws.epochs_and_indices(
            int(step), batch_size, length, seed
        )
        return epochs[part], indices[part]

    return TrainingStream(start_step, wanted, part.stop - part.start)
