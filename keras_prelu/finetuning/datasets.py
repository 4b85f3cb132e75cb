"""The data of `fine_tune` in one form: sources, NumPy arrays or `tf.data`."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_prelu import data, model_surgery
from keras_prelu.data import random_draws
from keras_prelu.data.augmentation import check_channels_last
from keras_prelu.data.fingerprints import digest_of_array
from keras_prelu.data.pipeline_options import check_scale
from keras_prelu.finetuning.arrays import batch_functions
from keras_prelu.finetuning.options import Options

__all__ = ["Prepared", "prepare", "watched"]

_ENDLESS = -1  # `tf.data.INFINITE_CARDINALITY`, without importing TensorFlow


class Prepared(NamedTuple):
    """Training and validation data in one form.

    Attributes:
        train: Function from a step's number to the endless batches from there on, a
            `tf.data.Dataset` or `NumpyBatches`.
        steps: Steps per epoch.
        batch_size: The most images in a batch.
        examples: The number of training images.
        labels: Function that returns the labels of all training images.
        validation: The batches to validate on, each example once.
        class_names: List of strings, in the order of the labels.
        wrap: Function from a model to the model that takes the training batches.
        fingerprint: Function that returns a dict that identifies the data.
        samples: A few training images that nothing will preprocess, or None.
    """

    train: Callable[[int], Any]
    steps: int
    batch_size: int
    examples: int
    labels: Callable[[], np.ndarray]
    validation: Iterable[Any]
    class_names: list[str]
    wrap: Callable[[keras.Model], keras.Model]
    fingerprint: Callable[[], dict[str, Any]]
    samples: np.ndarray | None


def prepare(
    train: Any, validation: Any, options: Options, model: keras.Model
) -> Prepared:
    """Return training and validation data in one form.

    Args:
        train: Training data, as `fine_tune` takes them.
        validation: Validation data of the same kind.
        options: The options of the run.
        model: The functional `keras.Model` that takes the images.
    """
    kind = _kind("train", train)
    if _kind("validation", validation) != kind:
        raise ValueError(
            "Argument `validation` must be of the kind of `train`. Received: "
            f"train={type(train).__name__}, validation={type(validation).__name__}"
        )
    if kind is data.Source:
        return _sources(train, validation, options, _crop_side(model))
    if options.class_names is None:
        raise ValueError(
            "Argument `class_names` must name the classes, unless `train` is a source, "
            "which has names. Received: class_names=None"
        )
    if options.scale is not None or options.eval_scale is not None:
        raise ValueError(
            "Arguments `scale` and `eval_scale` must be None, unless `train` is a "
            "source: other data are not resized. "
            f"Received: scale={options.scale}, eval_scale={options.eval_scale}"
        )
    return (_arrays if kind is tuple else _dataset)(train, validation, options)


def _kind(argument, value):
    for kind in (data.Source, tuple):
        if isinstance(value, kind):
            return kind
    if hasattr(value, "as_numpy_iterator"):  # does not need TensorFlow
        return "tf.data.Dataset"
    raise ValueError(
        f"Argument `{argument}` must be a source of `keras_prelu.data`, a tuple of "
        "NumPy arrays (images, labels) or a tf.data.Dataset of batches. "
        f"Received: {argument}={value!r}"
    )


def _check_labels(argument, labels, class_names):
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"Argument `{argument}` must have integer labels, one for each image. "
            f"Received: labels of shape {labels.shape} and dtype {labels.dtype}"
        )
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= len(class_names):
        given = f"{labels.min()} ... {labels.max()}" if len(labels) else "none"
        raise ValueError(
            f"Argument `{argument}` must have labels in 0 ... {len(class_names) - 1}, "
            f"positions in `class_names`. Received: labels={given}"
        )
    return labels


def _crop_side(model):
    """Return the side of the crops that a model takes: its own, or the paper's."""
    check_channels_last(model)
    shape = tuple(model.inputs[0].shape)
    sides = {side for side in shape[1:3] if side}
    if len(sides) > 1:
        raise ValueError(
            "Argument `model` must take square images if `train` is a source, whose "
            f"crops are square. Received: a model with an input of shape {shape}"
        )
    return sides.pop() if sides else model_surgery.ANY_SIZE_SIDE


def _sources(train, validation, options, image_size):
    if train.class_names != validation.class_names:
        raise ValueError(
            "Arguments `train` and `validation` must have the same classes. Received: "
            f"{train.class_names} and {validation.class_names}"
        )
    names = options.class_names
    if names is not None and list(names) != train.class_names:
        raise ValueError(
            "Argument `class_names` must be None or the names of the source. "
            f"Received: class_names={list(names)}"
        )
    batch_size = options.batch_size_for(len(train))
    scale, eval_scale = options.scale, options.eval_scale
    if scale is None:
        # Crops keep most of each image: the paper's scales, up to 16 / 7 of the crop,
        # need many more images than a set to fine-tune on usually has.
        scale = image_size, image_size * 5 // 4

    def batches(step):
        return data.train_batches(
            train,
            batch_size,
            image_size=image_size,
            scale=scale,
            seed=options.seed,
            start_step=step,
        )

    check_scale(scale, image_size)
    if eval_scale is None:
        eval_scale = sum(scale) // 2
    validation_batches = data.eval_batches(
        validation, batch_size, image_size, eval_scale
    )
    return Prepared(
        train=batches,
        steps=data.steps_per_epoch(train, batch_size),
        batch_size=batch_size,
        examples=len(train),
        # Only on demand: some sources read every image to know its label.
        labels=lambda: _check_labels("train", train.labels, train.class_names),
        validation=validation_batches,
        class_names=train.class_names,
        wrap=lambda model: data.augmented(model, image_size),
        fingerprint=lambda: {
            "train": train.fingerprint(),
            "validation": validation.fingerprint(),
        },
        samples=None,
    )


def _arrays(train, validation, options):
    """Return the data of arrays, which are shuffled in each epoch and not altered."""
    class_names = list(options.class_names)
    images, labels = train = _images_and_labels("train", train, class_names)
    validation = _images_and_labels("validation", validation, class_names)
    batch_size = options.batch_size_for(len(images))

    def pick(step):
        _, indices = random_draws.epochs_and_indices(
            int(step), batch_size, len(images), options.seed
        )
        return images[indices], labels[indices]

    endless, once = batch_functions(pick, batch_size)
    return Prepared(
        train=endless,
        steps=-(-len(images) // batch_size),
        batch_size=batch_size,
        examples=len(images),
        labels=lambda: labels,
        validation=once(*validation),
        class_names=class_names,
        wrap=lambda model: model,
        # Only on demand: it reads all images, which may be mapped from a file.
        fingerprint=lambda: {
            "class_names": class_names,
            "train": _fingerprint_of_arrays(*train),
            "validation": _fingerprint_of_arrays(*validation),
        },
        samples=images,
    )


def _images_and_labels(argument, pair, class_names):
    if len(pair) != 2 or any(np.ndim(part) == 0 for part in pair):
        raise ValueError(
            f"Argument `{argument}` must be a tuple of arrays (images, labels). "
            f"Received: {len(pair)} items of types {[type(x).__name__ for x in pair]}"
        )
    images, labels = (np.asarray(part) for part in pair)
    if len(images) != len(labels):
        raise ValueError(
            f"Argument `{argument}` must hold as many labels as images. "
            f"Received: {len(images)} images, {len(labels)} labels"
        )
    return images, _check_labels(argument, labels, class_names).astype("int32")


def _fingerprint_of_arrays(images, labels):
    return {
        "shape": str(images.shape),
        "dtype": str(images.dtype),
        "images": digest_of_array(images),
        "labels": digest_of_array(labels),
    }


def _dataset(train, validation, options):
    """Take data sets as they are: batched, shuffled and augmented by their author."""
    class_names = list(options.class_names)
    samples, labels = _images_and_all_labels("train", train, class_names)
    _, validation_labels = _images_and_all_labels("validation", validation, class_names)
    all_labels = np.concatenate(labels)
    return Prepared(
        train=lambda step: train.repeat().skip(step),
        steps=len(labels),
        batch_size=len(labels[0]),
        examples=len(all_labels),
        labels=lambda: all_labels,
        validation=validation,
        class_names=class_names,
        wrap=lambda model: model,
        fingerprint=lambda: {
            "class_names": class_names,
            "train": _fingerprint_of_dataset(train, labels),
            "validation": _fingerprint_of_dataset(validation, validation_labels),
        },
        samples=samples,
    )


def _fingerprint_of_dataset(dataset, labels):
    # Not the values: a data set may shuffle and alter its images in each epoch.
    return {
        "element_spec": str(dataset.element_spec),
        "batches": len(labels),
        "images": sum(map(len, labels)),
    }


def _images_and_all_labels(argument, dataset, class_names):
    """Return the images of the first batch, and the labels of each batch."""
    if dataset.cardinality() == _ENDLESS:
        raise ValueError(
            f"Argument `{argument}` must end: `fine_tune` itself repeats the training "
            "data. Received: a tf.data.Dataset without an end"
        )
    spec = dataset.element_spec
    is_pair = isinstance(spec, tuple) and len(spec) == 2
    if not is_pair or getattr(spec[1], "shape", ()) == ():
        raise ValueError(
            f"Argument `{argument}` must be a tf.data.Dataset of batches (images, "
            f"labels). Received: {argument}.element_spec={spec}"
        )
    batches = dataset.as_numpy_iterator()
    first = next(batches, None)
    if first is None:
        raise ValueError(
            f"Argument `{argument}` must hold a batch. Received: an empty set"
        )
    labels = [y for _, y in itertools.chain([first], batches)]
    _check_labels(argument, np.concatenate(labels), class_names)
    return first[0], labels


def watched(prepared: Prepared, progress: Any) -> Prepared:
    """Return data whose training batches a `Progress` times."""
    return prepared._replace(train=lambda step: progress.watch(prepared.train(step)))
