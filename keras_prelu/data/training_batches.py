"""Batches for training and for evaluation, as `tf.data.Dataset`s.

source -> order -> read -> draw -> decode the window -> batch [-> device: apply].
"""

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_prelu.data import batch_assembly, random_draws
from keras_prelu.data.color import IMAGENET_COMPONENTS, ColorComponents
from keras_prelu.data.pipeline_options import (
    READY,
    check_shard,
    check_sizes,
    stream_options,
)
from keras_prelu.data.python_functions import call_python
from keras_prelu.data.resizing import resampled
from keras_prelu.data.windows import (
    canvas_side,
    crop_box,
    decode_window,
    plan_window,
)

# Memory is bounded by how many batches are read, made and kept ready at a time.
_READ_AHEAD = 4
_IN_THE_MAKING = 2


def steps_per_epoch(source, batch_size):
    """How many training steps see every picture of a source at least once.

    Args:
        source: A source.
        batch_size: Pictures in a global batch.

    Returns:
        `len(source) / batch_size`, rounded up.

    Examples:
        >>> steps_per_epoch(range(10), 4)
        3
    """
    return -(-len(source) // batch_size)


def train_batches(
    source,
    batch_size,
    image_size=224,
    scale=(256, 512),
    color=True,
    seed=0,
    start_step=0,
    augment_on="device",
    shard=(0, 1),
):
    """Endless batches with the augmentation of section 3 of the paper.

    Pictures are resized so that the shorter side is uniform in `scale`, cropped,
    flipped half of the time, and altered in colour. What is drawn for a picture is a
    function of `(seed, epoch, index)`, and step t holds positions `t * batch_size` to
    `(t + 1) * batch_size - 1` of the epochs' orders laid end to end: each picture once
    an epoch, an epoch's last batch filled up from the next. So the batches from
    `start_step` on are those that a run from the start would get, bit for bit.

    A picture that cannot be decoded is skipped and counted (`source.skipped`), and the
    next good one in the source's order takes its place in the batch.

    Args:
        source: A source, from `from_directory`, `from_files`, `from_tfds`, `shapes` or
            of your own.
        batch_size: Pictures in a global batch, over all workers and replicas.
        image_size: Side of the crops.
        scale: Least and greatest shorter side that pictures are resized to.
        color: `True` for ImageNet's colour components, `False` for no altering, or the
            `ColorComponents` of the training set (see `color_components`).
        seed: Integer in 0 ... 2**31 - 1.
        start_step: The step to begin with.
        augment_on: `"device"` yields windows and draws, for a model in `augmented`;
            `"host"` yields plain `(x, y)`, x float32.
        shard: `(worker, workers)`: this worker's part of each global batch. Under a
            `tf.distribute.InputContext`, `(context.input_pipeline_id,
            context.num_input_pipelines)`.

    Returns:
        An endless `tf.data.Dataset` of `(x, y)`, y int32 labels. On the host, x has
        shape `(batch, image_size, image_size, 3)`; on the device it is a dict of
        tensors, see `Augmentation`.

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
    check_sizes(source, batch_size, image_size, scale)
    check_shard(shard)
    _check_choices(seed, start_step, augment_on)
    if batch_size < shard[1]:
        raise ValueError(
            "Argument `batch_size` must be at least the number of workers. "
            f"Received: batch_size={batch_size}, shard={shard}"
        )
    worker, workers = shard
    share = slice(batch_size * worker // workers, batch_size * (worker + 1) // workers)

    def wanted(step):
        epochs, indices = random_draws.epochs_and_indices(
            int(step), batch_size, len(source), seed
        )
        return epochs[share], indices[share]

    plan = _planner(image_size, scale, _shift_matrix(color), seed)
    on_device = augment_on == "device"
    prepare, shapes = (_for_device if on_device else _for_host)(image_size)
    assembler = batch_assembly.BatchAssembler(
        source, plan, prepare, shapes, share.stop - share.start
    )
    batches = (
        tf.data.Dataset.range(start_step, np.iinfo(np.int64).max)
        .map(assembler.reader(wanted), num_parallel_calls=_READ_AHEAD)
        .interleave(
            assembler.batch,
            cycle_length=_IN_THE_MAKING,
            num_parallel_calls=_IN_THE_MAKING,
        )
    )
    if not on_device:
        batches = batches.map(_finish_on_host)
    return batches.prefetch(READY).with_options(stream_options())


def _planner(image_size, scale, colors, seed):
    """A function that draws for a picture and finds out what to decode of it."""

    def plan(header, epoch, index):
        drawn = random_draws.draw(seed, epoch, index, scale)
        box = crop_box(header, drawn.shorter_side, drawn.place, image_size)
        window = plan_window(header, box, image_size)
        shift = colors @ drawn.alpha
        return {**window._asdict(), "flip": int(drawn.flip), "shift": shift}

    return plan


def _for_device(image_size):
    """What is done to each picture for the device, and the shapes that come out."""

    def prepare(picture):
        window = decode_window(picture)
        x = {name: picture[name] for name in ("box", "flip", "shift")}
        x |= {"pixels": window, "size": tf.shape(window)[:2]}
        return x, picture["label"]

    side = canvas_side(image_size)
    shapes = {"pixels": [side, side, 3], "size": [2], "box": [4]}
    return prepare, ({**shapes, "flip": [], "shift": [3]}, [])


def _for_host(image_size):
    """The same for plain batches: Pillow does the resampling and the flip."""

    def prepare(picture):
        x, label = _for_device(image_size)[0](picture)
        [crop] = call_python(
            lambda *drawn: [_cropped(image_size, *drawn)],
            [x["pixels"], x["box"], x["flip"]],
            [tf.uint8],
        )
        crop = tf.ensure_shape(crop, [image_size, image_size, 3])
        return {"crop": crop, "shift": x["shift"]}, label

    return prepare, ({"crop": [image_size, image_size, 3], "shift": [3]}, [])


def _cropped(image_size, pixels, box, flip):
    image = resampled(pixels, box, (image_size, image_size))
    if flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(image)


def _finish_on_host(x, label):
    """Alters the colours of a batch, a row of pixels at a time.

    NumPy adds long rows ten times faster than it adds three numbers to each pixel.
    """

    def shifted(crops, shifts):
        batch, height, width, _ = crops.shape
        rows = crops.reshape(batch, height, -1).astype(np.float32)
        rows += np.tile(shifts, width)[:, None]
        return [rows.reshape(crops.shape)]

    [images] = call_python(shifted, [x["crop"], x["shift"]], [tf.float32])
    return tf.ensure_shape(images, x["crop"].shape), label


def _shift_matrix(color):
    if isinstance(color, ColorComponents):
        return color.shift_matrix()
    if color not in (True, False):
        raise ValueError(
            "`color` must be True, False or `ColorComponents`. "
            f"Received: color={color!r}"
        )
    return IMAGENET_COMPONENTS.shift_matrix() * color


def _check_choices(seed, start_step, augment_on):
    if not 0 <= seed < 2**31:
        raise ValueError(f"`seed` must be in 0 ... 2**31 - 1. Received: seed={seed}")
    if start_step < 0:
        raise ValueError(
            f"`start_step` must be at least 0. Received: start_step={start_step}"
        )
    if augment_on not in ("device", "host"):
        raise ValueError(
            '`augment_on` must be "device" or "host". '
            f"Received: augment_on={augment_on}"
        )
