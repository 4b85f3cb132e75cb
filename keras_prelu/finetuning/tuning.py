"""Fine-tuning in two stages: the new head alone, then the whole network."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import keras

from keras_prelu import callbacks as followers
from keras_prelu import distribution
from keras_prelu.callbacks.fit import without_needless_warnings
from keras_prelu.data.errors import original_errors
from keras_prelu.finetuning import datasets
from keras_prelu.finetuning.best_weights import BestWeights
from keras_prelu.finetuning.class_weights import weighted
from keras_prelu.finetuning.head import check_model, with_new_head
from keras_prelu.finetuning.options import Auto, Options
from keras_prelu.metrics import TopKError
from keras_prelu.optimizers import SGD
from keras_prelu.pixel_range import warn_if_scaled
from keras_prelu.types import PathLike

__all__ = ["FineTuned", "fine_tune"]

# A new head starts with large scores on the features of a trained network.
_GRADIENT_NORM = 1.0


class FineTuned(NamedTuple):
    """The result of `fine_tune`.

    Attributes:
        model: The fine-tuned `keras.Model`, with the weights of its best epoch.
        class_names: List of strings, in the order of the model's scores.
        history: Dict of lists with one item per epoch of both stages: `epoch`, counted
            from 1, `stage` (`"head"` or `"all"`), `learning_rate`, `loss`,
            `top1_error`, `val_loss`, `val_top1_error` and so on. The speed that a
            `keras_prelu.callbacks.Progress` adds is `None` for an epoch that was
            resumed too late to measure it.
        best_epoch: Integer. The epoch with the least validation error.
    """

    model: keras.Model
    class_names: list[str]
    history: dict[str, list[Any]]
    best_epoch: int


@original_errors()
def fine_tune(
    model: keras.Model,
    train: Any,
    validation: Any,
    class_names: Sequence[str] | None = None,
    head_epochs: int | Auto = "auto",
    epochs: int | Auto = "auto",
    head_learning_rate: float | Auto = "auto",
    learning_rate: float | Auto = "auto",
    unfreeze_from: str | None = None,
    patience: int | Auto | None = "auto",
    class_weight: Mapping[int, float] | Literal["balanced"] | None = None,
    batch_size: int | Auto = "auto",
    scale: tuple[int, int] | None = None,
    eval_scale: int | None = None,
    directory: PathLike | None = None,
    callbacks: Sequence[keras.callbacks.Callback] | None = None,
    seed: int = 0,
    verbose: bool = True,
) -> FineTuned:
    """Fine-tune a trained network on other data.

    The network gets a new head. The first stage trains the head and changes no other
    weight. The second stage trains the whole network, or its layers from a named one
    on. Both stages use the paper's SGD, with gradients of a norm of at most 1. The
    result has the weights of the epoch with the least validation error, or the least
    loss among equal errors, whichever stage it is in.

    `"auto"` depends on the size of the training set: a small set gets small batches
    and more epochs, so that both stages together take at least 1,000 steps. The chosen
    values are printed before training begins.

    Args:
        model: A functional or sequential `keras.Model` of images: a network of
            `keras_prelu.applications`, with its top or without, or another one. For
            sources, its images must be square, with the channels last. It is not
            changed.
        train: A source (see `keras_prelu.data`), which is augmented as in training;
            or a tuple of arrays, images of shape `(n, height, width, channels)` and
            integer labels, which are shuffled only; or a `tf.data.Dataset` of batches
            of these, which ends, and is repeated without any change.
        validation: Data of the same kind.
        class_names: List of strings. Not needed for sources, which have names.
        head_epochs: Integer. Epochs of the first stage. By default a quarter of
            `epochs`, but at most a quarter of its default.
        epochs: Integer. Epochs of both stages together. By default at least 20, and
            enough for 1,000 steps.
        head_learning_rate: Float. The rate of the first stage. By default 0.01.
        learning_rate: Float. The rate of the second stage. By default 0.01 for 1,000
            steps, less for more steps, and at least 0.001.
        unfreeze_from: Name of a layer. The second stage does not train the layers
            before it. `None` trains all layers.
        patience: Integer. The second stage ends after this many epochs without a new
            best epoch of this stage. By default a quarter of the default of
            `epochs`. `None` trains for all `epochs`.
        class_weight: Weights of the classes in the loss, for unbalanced data:
            `"balanced"` for the inverse of their frequencies, or a dict from labels
            to weights.
        batch_size: Integer. By default 8, 16 or 32. Not used for a `tf.data.Dataset`.
        scale: Pair of integers, for sources: the range of the shorter side, as in
            `keras_prelu.data.train_batches`. By default from 1 to 1.25 times the side
            of the model's images, so that crops keep most of each image.
        eval_scale: Integer, for sources: the shorter side in validation. By default
            the middle of `scale`.
        directory: A folder for checkpoints. The same call then resumes exactly where an
            earlier one was stopped. Other data, another seed or another option than
            `epochs` and `patience` is refused. Arrays are compared by their values,
            sources by the names of their images, and a `tf.data.Dataset` only by its
            shapes and its number of batches and images. To change `epochs`, pass the
            `head_epochs` and `learning_rate` that the earlier call printed, because
            their defaults depend on `epochs`. Fewer epochs than have begun are refused.
            A run that `patience` has ended does not go on.
        callbacks: List of Keras callbacks, or `None`. They follow both stages. A
            `keras_prelu.callbacks.Progress` among them replaces the one of `verbose`.
        seed: Integer of at least 0. Seed of the order, the augmentation and the new
            head.
        verbose: Boolean. Whether to print the plan and the progress.

    Returns:
        A `FineTuned`.

    Raises:
        keras_prelu.callbacks.NotFiniteError: If the loss of training or validation is
            no longer finite.

    Examples:
        >>> train = validation = keras_prelu.data.from_directory("photos")
        >>> model = keras.Sequential([keras.Input((32, 32, 3)),
        ...     keras.layers.Conv2D(8, 3), keras_prelu.layers.PReLU(),
        ...     keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(10)])
        >>> tuned = keras_prelu.finetuning.fine_tune(
        ...     model, train, validation, head_epochs=1, epochs=2, batch_size=4,
        ...     verbose=False)
        >>> tuned.history["epoch"], tuned.history["stage"], tuned.class_names
        ([1, 2], ['head', 'all'], ['cat', 'dog'])

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 3 (the optimizer
        and the augmentation)
    """
    options = Options(
        class_names=class_names,
        head_epochs=head_epochs,
        epochs=epochs,
        head_learning_rate=head_learning_rate,
        learning_rate=learning_rate,
        unfreeze_from=unfreeze_from,
        patience=patience,
        class_weight=class_weight,
        batch_size=batch_size,
        scale=scale,
        eval_scale=eval_scale,
        seed=seed,
    )
    callbacks = callbacks or ()
    if not isinstance(callbacks, Sequence):
        raise ValueError(
            "Argument `callbacks` must be None or a list of Keras callbacks. "
            f"Received: callbacks={callbacks!r}"
        )
    check_model(model)
    _check_layer_name(model, unfreeze_from)
    _refuse_several_workers(model)
    prepared = datasets.prepare(train, validation, options, model)
    _refuse_a_single_class(prepared.class_names)
    if prepared.samples is not None:
        warn_if_scaled(prepared.samples, model)
    plan = options.plan(prepared.steps, prepared.batch_size)
    if class_weight is not None:
        prepared = weighted(prepared, class_weight)
    if verbose:
        classes = len(prepared.class_names)
        print(plan.described(prepared.examples, classes, unfreeze_from), flush=True)

    with _scope(model):
        tuned, head = with_new_head(model, len(prepared.class_names), seed)
        trained = prepared.wrap(tuned)
    log, best = followers.MetricsLog(), BestWeights(plan.patience)
    given = [c for c in callbacks if isinstance(c, followers.Progress)]
    progress = followers.Progress(
        plan.batch_size, plan.epochs, show=verbose and not given
    )
    for one in (*given, progress):
        one.batch_size = one.batch_size or plan.batch_size
        one.epochs = one.epochs or plan.epochs
        prepared = datasets.watched(prepared, one)
    all_callbacks = [*callbacks, log, progress, best]
    if directory is not None:
        run = {"data": prepared.fingerprint(), "settings": _settings(options, plan)}
        all_callbacks.insert(0, followers.SameRun(run))
    best.set_model(trained)  # for a resume that has nothing left to train

    for layer in tuned.layers:
        layer.trainable = layer.name in head
    first, last, rate = 0, plan.head_epochs, plan.head_learning_rate
    _fit(trained, prepared, rate, (first, last), all_callbacks, directory)

    names = [layer.name for layer in tuned.layers]
    lowest = names.index(unfreeze_from) if unfreeze_from else 0
    for layer in tuned.layers[lowest:]:
        layer.trainable = True
    best.begin_stage()
    first, last, rate = plan.head_epochs, plan.epochs, plan.learning_rate
    _fit(trained, prepared, rate, (first, last), all_callbacks, directory)

    best.restore()
    history = _history(log.rows, plan.head_epochs)
    return FineTuned(tuned, prepared.class_names, history, best.epoch)


def _settings(options, plan):
    """Return everything that a run must keep when it is resumed, as strings."""
    settings = {**dataclasses.asdict(options), **plan._asdict()}
    for name in ("class_names", "epochs", "patience", "steps"):
        del settings[name]
    return {name: str(value) for name, value in settings.items()}


def _check_layer_name(model, unfreeze_from):
    names = [layer.name for layer in model.layers]
    if unfreeze_from is not None and unfreeze_from not in names:
        raise ValueError(
            "Argument `unfreeze_from` must be None or the name of a layer of the "
            f"model. Received: unfreeze_from={unfreeze_from!r}"
        )


def _refuse_a_single_class(class_names):
    """Refuse data whose error would always be 0."""
    if len(class_names) < 2:
        raise ValueError(
            "Argument `train` must have at least two classes. "
            f"Received: class_names={class_names}"
        )


def _refuse_several_workers(model):
    """Refuse several workers: each would train on all images."""
    workers = distribution.worker(getattr(model, "distribute_strategy", None))[1]
    if workers > 1:
        raise ValueError(
            "Argument `model` must be built for one machine: fine-tuning does not "
            f"divide the data among workers. Received: a model of {workers} workers"
        )


def _scope(model):
    """Return the scope of a model's strategy, which exists on TensorFlow only."""
    strategy = getattr(model, "distribute_strategy", None)
    return strategy.scope() if strategy else contextlib.nullcontext()


@without_needless_warnings()
def _fit(model, prepared, learning_rate, between, callbacks, directory):
    """Train from one epoch to another, counted over both stages."""
    begin, end = between
    if begin == end:
        return
    model.compile(
        SGD(learning_rate, global_clipnorm=_GRADIENT_NORM),
        loss="sparse_categorical_crossentropy",
        metrics=[TopKError(1), TopKError(5)],
    )
    first_step = begin * prepared.steps
    if directory is None:
        model.fit(
            prepared.train(first_step),
            initial_epoch=begin,
            epochs=end,
            steps_per_epoch=prepared.steps,
            validation_data=prepared.validation,
            callbacks=callbacks,
            verbose=0,
        )
        return
    stage = "all" if begin else "head"
    resume = followers.ExactResume(pathlib.Path(directory, stage))
    resume.epoch, resume.step = begin, first_step
    followers.resumable_fit(
        model,
        prepared.train,
        end,
        prepared.steps,
        resume,
        callbacks,
        validation_data=prepared.validation,
    )


def _history(rows, head_epochs):
    # An epoch that was resumed just before its end has no speed in its row.
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    stages = ["head" if n <= head_epochs else "all" for n in columns["epoch"]]
    return {"epoch": columns.pop("epoch"), "stage": stages, **columns}
