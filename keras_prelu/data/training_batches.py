"""Batches for training: augmented images without end.

source -> order -> read -> draw -> decode the window -> batch [-> device: apply].
"""

from typing import TYPE_CHECKING

from keras_prelu.data import random_draws
from keras_prelu.data.batch_format import Plan
from keras_prelu.data.color import IMAGENET_COMPONENTS, ColorComponents
from keras_prelu.data.pipeline_options import (
    check_scale,
    check_sizes,
    training_stream,
)
from keras_prelu.data.readers import reader as reader_of
from keras_prelu.data.sources import Source
from keras_prelu.data.windows import crop_box, plan_window

if TYPE_CHECKING:
    import tensorflow as tf

    from keras_prelu.data.numpy_batches import NumpyBatches

__all__ = ["steps_per_epoch", "train_batches"]


def steps_per_epoch(source: Source, batch_size: int) -> int:
    """Return the number of training steps that see every image at least once.

    Args:
        source: A `Source`.
        batch_size: Number of images in a global batch.

    Returns:
        `len(source) / batch_size`, rounded up.

    Examples:
        >>> steps_per_epoch(range(10), 4)
        3
    """
    return -(-len(source) // batch_size)


def train_batches(
    source: Source,
    batch_size: int,
    image_size: int = 224,
    scale: tuple[int, int] = (256, 512),
    color: bool | ColorComponents = True,
    seed: int = 0,
    start_step: int = 0,
    augment_on: str = "device",
    shard: tuple[int, int] = (0, 1),
    reader: str = "auto",
) -> "tf.data.Dataset | NumpyBatches":
    """Return endless batches with the augmentation of section 3 of the paper.

    Each image is resized so that its shorter side is uniformly distributed in `scale`,
    cropped at random, flipped with probability 0.5, and altered in color. The random
    numbers for an image are a function of `(seed, epoch, index)`. Step t takes
    positions `t * batch_size` to `(t + 1) * batch_size - 1` of the concatenated orders
    of all epochs: every image occurs once per epoch, and the last batch of an epoch is
    completed from the next epoch. So the batches from `start_step` on are bit for bit
    those of a run that started at step 0.

    An image that cannot be decoded is skipped and counted (`source.skipped`). The next
    good image in the order of the source replaces it in the batch.

    Args:
        source: A `Source`, from `from_directory`, `from_files`, `from_tfds`, `shapes`,
            or a subclass of your own.
        batch_size: Number of images in a global batch, over all workers and replicas.
        image_size: Side of the crops. Defaults to 224.
        scale: Smallest and largest shorter side after resizing. Defaults to
            `(256, 512)`.
        color: `True` to use ImageNet's color components, `False` to leave colors as
            they are, or the `ColorComponents` of your training set (see
            `color_components`). Defaults to `True`.
        seed: Integer in 0 ... 2**31 - 1. Defaults to 0.
        start_step: The step of the first batch. Defaults to 0.
        augment_on: `"device"` returns windows and draws, for a model wrapped by
            `augmented`. `"host"` returns plain float32 images. Defaults to `"device"`.
        shard: `(worker, workers)`: which part of each global batch to return. Under a
            `tf.distribute.InputContext`, pass `(context.input_pipeline_id,
            context.num_input_pipelines)`. Defaults to the whole batch.
        reader: `"tf.data"` returns a `tf.data.Dataset`. `"numpy"` returns
            `NumpyBatches`: the same batches as NumPy arrays, for Keras on JAX or
            PyTorch, decoded by Pillow in threads. Defaults to `"auto"`: `"tf.data"`
            where TensorFlow is installed, otherwise `"numpy"`.

    Returns:
        Endless batches of `(x, y)` with int32 labels `y`. On the host, `x` has shape
        `(batch, image_size, image_size, 3)`. On the device, `x` is a dict of tensors,
        see `Augmentation`.

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 3

    Examples:
        >>> source = keras_prelu.data.from_directory("photos")
        >>> batches = keras_prelu.data.train_batches(
        ...     source, batch_size=4, image_size=32, scale=(32, 48))
        >>> model = keras_prelu.applications.ModelA(
        ...     width=1 / 64, classes=2, input_shape=(32, 32, 3))
        >>> training_model = keras_prelu.data.augmented(model, image_size=32)
        >>> training_model.compile("sgd", "sparse_categorical_crossentropy")
        >>> history = training_model.fit(batches, steps_per_epoch=2, verbose=0)
    """
    check_sizes(source, batch_size, image_size)
    check_scale(scale, image_size)
    stream = training_stream(len(source), batch_size, seed, start_step, shard)
    if augment_on not in ("device", "host"):
        raise ValueError(
            'Argument `augment_on` must be "device" or "host". '
            f"Received: augment_on={augment_on}"
        )
    plan = _planner(image_size, scale, _shift_matrix(color), seed)
    on_device = augment_on == "device"
    return reader_of(reader).training(source, plan, stream, image_size, on_device)


def _planner(image_size, scale, colors, seed):
    """Return the function that makes the `Plan` of an image."""

    def plan(header, epoch, index):
        drawn = random_draws.draw(seed, epoch, index, scale)
        crop = crop_box(header, drawn.shorter_side, drawn.position, image_size)
        window, box = plan_window(header, crop, image_size)
        shift = colors @ drawn.alpha
        return Plan(**window, box=box, flip=int(drawn.flip), shift=shift)

    return plan


def _shift_matrix(color):
    if isinstance(color, ColorComponents):
        return color.shift_matrix()
    if color not in (True, False):
        raise ValueError(
            "Argument `color` must be True, False or `ColorComponents`. "
            f"Received: color={color!r}"
        )
    return IMAGENET_COMPONENTS.shift_matrix() * color
