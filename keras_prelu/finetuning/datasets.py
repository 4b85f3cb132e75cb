"""What `fine_tune` is given, as what `fit` takes: sources, NumPy arrays, tf.data."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np

from keras_prelu import data
from keras_prelu.data import random_draws
from keras_prelu.data.fingerprints import digest


class Prepared(NamedTuple):
    """Training and validation data in one form.

    `train` gives the endless batches from a step on, a `tf.data.Dataset` or
    `ArrayBatches`; `labels()` those of all examples; `wrap` makes of a model the one
    that takes the batches; `fingerprint` is a dict that tells these data from others.
    """

    train: Callable
    steps: int
    labels: Callable
    validation: object
    class_names: list
    wrap: Callable
    fingerprint: dict


class ArrayBatches(keras.utils.PyDataset):
    """Batches of arrays where Keras does not run on TensorFlow.

    Args:
        batch: Function from a batch's number to its arrays.
        count: How many batches there are. None for no end.
    """

    def __init__(self, batch, count=None):
        super().__init__()
        self._batch = batch
        self._count = count

    @property
    def num_batches(self):
        """How many batches there are, or None."""
        return self._count

    def __getitem__(self, index):
        return self._batch(index)


def prepare(
    train, validation, class_names, batch_size, image_size, scale, eval_scale, seed
):
    """Returns the `Prepared` form; the arguments are those of `fine_tune`."""
    kind = _kind("train", train)
    if _kind("validation", validation) != kind:
        raise ValueError(
            "Argument `validation` must be of the kind of `train`. Received: "
            f"train={type(train).__name__}, validation={type(validation).__name__}"
        )
    if kind is data.Source:
        return _sources(
            train,
            validation,
            class_names,
            batch_size,
            image_size,
            scale,
            eval_scale,
            seed,
        )
    if class_names is None:
        raise ValueError(
            "Argument `class_names` must name the classes, unless `train` is a source, "
            "which has them. Received: class_names=None"
        )
    if scale is not None or eval_scale is not None:
        raise ValueError(
            "Arguments `scale` and `eval_scale` must be None, unless `train` is a "
            "source: other data are taken as they are. "
            f"Received: scale={scale}, eval_scale={eval_scale}"
        )
    make = _arrays if kind is tuple else _dataset
    return make(train, validation, list(class_names), batch_size, seed)


def _kind(argument, value):
    for kind in (data.Source, tuple):
        if isinstance(value, kind):
            return kind
    if hasattr(value, "as_numpy_iterator"):  # without importing TensorFlow to ask it
        return "tf.data.Dataset"
    raise ValueError(
        f"Argument `{argument}` must be a source of `keras_prelu.data`, a tuple of "
        "NumPy arrays (images, labels) or a tf.data.Dataset of batches. "
        f"Received: {argument}={value!r}"
    )


def _check_labels(labels, class_names):
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            "Labels must be integers, one for each image. Received: labels of shape "
            f"{labels.shape} and dtype {labels.dtype}"
        )
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= len(class_names):
        found = f"{labels.min()} ... {labels.max()}" if len(labels) else "none"
        raise ValueError(
            f"Labels must be in 0 ... {len(class_names) - 1}, the places of "
            f"`class_names`. Received: labels={found}"
        )
    return labels


def _sources(
    train, validation, class_names, batch_size, image_size, scale, eval_scale, seed
):
    if train.class_names != validation.class_names:
        raise ValueError(
            "Arguments `train` and `validation` must have the same classes. Received: "
            f"{train.class_names} and {validation.class_names}"
        )
    if class_names is not None and list(class_names) != train.class_names:
        raise ValueError(
            "Argument `class_names` must be None or that of the source. "
            f"Received: class_names={list(class_names)}"
        )
    # The proportions of the paper's 224, 256 and 512.
    scale = scale or (image_size * 8 // 7, image_size * 16 // 7)
    validation_batches = data.eval_batches(
        validation, batch_size, image_size, eval_scale or scale[0]
    )

    def batches(step):
        return data.train_batches(
            train,
            batch_size,
            image_size=image_size,
            scale=scale,
            seed=seed,
            start_step=step,
        )

    return Prepared(
        batches,
        data.steps_per_epoch(train, batch_size),
        # Only when asked for: some sources read every picture to tell them.
        lambda: _check_labels(train.labels, train.class_names),
        validation_batches,
        train.class_names,
        lambda model: data.augmented(model, image_size),
        {"train": train.fingerprint(), "validation": validation.fingerprint()},
    )


def _arrays(train, validation, class_names, batch_size, seed):
    """Arrays are shuffled, anew in each epoch, and not altered."""
    images, labels = _images_and_labels("train", train, class_names)
    validation = _images_and_labels("validation", validation, class_names)

    def pick(step):
        _, indices = random_draws.epochs_and_indices(
            int(step), batch_size, len(images), seed
        )
        return images[indices], labels[indices]

    on_tensorflow = keras.backend.backend() == "tensorflow"
    endless, once = (_streams if on_tensorflow else _batches)(pick, batch_size)
    return Prepared(
        endless,
        -(-len(images) // batch_size),
        lambda: labels,
        once(*validation),
        class_names,
        lambda model: model,
        {
            "class_names": class_names,
            "shape": list(images.shape),
            "labels": digest([labels.tobytes()]),
        },
    )


def _images_and_labels(argument, pair, class_names):
    images, labels = (np.asarray(part) for part in pair)
    if len(images) != len(labels):
        raise ValueError(
            f"Argument `{argument}` must hold as many labels as images. "
            f"Received: {len(images)} images, {len(labels)} labels"
        )
    return images, _check_labels(labels, class_names).astype("int32")


def _batches(pick, batch_size):
    """Functions that make endless batches from a step on, and batches of all once."""

    def endless(step):
        return ArrayBatches(lambda number: pick(step + number))

    def once(*arrays):
        def batch(number):
            part = slice(number * batch_size, (number + 1) * batch_size)
            return tuple(array[part] for array in arrays)

        return ArrayBatches(batch, -(-len(arrays[0]) // batch_size))

    return endless, once


def _streams(pick, batch_size):
    """The same as `_batches` as `tf.data`, which replicas can divide."""
    import tensorflow as tf

    from keras_prelu.data.pipeline_options import stream_options
    from keras_prelu.data.python_functions import call_python

    images, labels = pick(0)
    dtypes = [tf.as_dtype(array.dtype) for array in (images, labels)]

    def load(step):
        x, y = call_python(pick, [step], dtypes)
        return tf.ensure_shape(x, images.shape), tf.ensure_shape(y, labels.shape)

    def endless(step):
        steps = tf.data.Dataset.range(step, np.iinfo(np.int64).max)
        return steps.map(load).prefetch(2).with_options(stream_options())

    def once(*arrays):
        plain = tf.data.Dataset.from_tensor_slices(arrays).batch(batch_size)
        return plain.with_options(stream_options())

    return endless, once


def _dataset(train, validation, class_names, batch_size, seed):
    """Data sets are taken as they are: batched, shuffled and altered by their maker."""
    batches = [np.atleast_1d(y) for _, y in train.as_numpy_iterator()]
    labels = _check_labels(np.concatenate(batches), class_names)
    return Prepared(
        lambda step: train.repeat().skip(step),
        len(batches),
        lambda: labels,
        validation,
        class_names,
        lambda model: model,
        {"class_names": class_names, "batches": len(batches)},
    )


def watched(prepared, progress):
    """Returns the `Prepared` form whose training batches a `Progress` times.

    Nothing waits for `ArrayBatches`, which lie in memory.
    """

    def batches(step):
        found = prepared.train(step)
        return found if isinstance(found, ArrayBatches) else progress.watch(found)

    return prepared._replace(train=batches)


def weighted(prepared, class_weight):
    """Adds a weight to each example of the training data.

    Args:
        prepared: A `Prepared`.
        class_weight: `"balanced"`, or a dict from every label to its weight.

    Returns:
        The `Prepared` form with batches of `(x, y, weight)`.
    """
    weights = np.asarray(_weights(prepared, class_weight), "float64")

    def batches(step):
        found = prepared.train(step)
        add = _add_weights if isinstance(found, ArrayBatches) else _map_weights
        return add(found, weights)

    return prepared._replace(train=batches)


def _add_weights(batches, weights):
    def batch(number):
        images, labels = batches[number]
        return images, labels, weights[labels]

    return ArrayBatches(batch)


def _map_weights(dataset, weights):
    import tensorflow as tf

    weights = tf.constant(weights, keras.config.floatx())
    return dataset.map(lambda x, y: (x, y, tf.gather(weights, y)))


def _weights(prepared, class_weight):
    classes = len(prepared.class_names)
    if class_weight == "balanced":
        labels = prepared.labels()
        counts = np.bincount(labels, minlength=classes)
        # An absent class is never looked up.
        return len(labels) / (classes * np.maximum(counts, 1))
    if not isinstance(class_weight, dict) or sorted(class_weight) != [*range(classes)]:
        raise ValueError(
            'Argument `class_weight` must be None, "balanced", or a dict with a weight '
            f"for each label 0 ... {classes - 1}. "
            f"Received: class_weight={class_weight!r}"
        )
    return [class_weight[label] for label in range(classes)]
