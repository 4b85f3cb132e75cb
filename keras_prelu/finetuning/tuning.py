"""Two stages: the new head alone, then all of the net at a lower rate."""

import contextlib
import pathlib
from typing import NamedTuple

import keras

from keras_prelu import callbacks as followers
from keras_prelu.callbacks.fit import without_needless_warnings
from keras_prelu.data.errors import original_errors
from keras_prelu.finetuning import datasets
from keras_prelu.finetuning.best import BestWeights
from keras_prelu.finetuning.head import with_new_head
from keras_prelu.metrics import TopKError
from keras_prelu.optimizers import SGD

# A new head starts with large scores on the features of a trained net.
_GRADIENT_NORM = 1.0


class FineTuned(NamedTuple):
    """What `fine_tune` returns.

    Attributes:
        model: The fine-tuned `keras.Model`, with the weights of its best epoch.
        class_names: List of strings, in the order of its scores.
        history: Dict of lists, an item an epoch over both stages: `epoch`, counted
            from 1, `stage` (`"head"` or `"all"`), `learning_rate`, `loss`,
            `top1_error`, `val_loss`, `val_top1_error` and so on.
        best_epoch: Integer, the epoch that the weights are of.
    """

    model: keras.Model
    class_names: list
    history: dict
    best_epoch: int


@original_errors()
def fine_tune(
    model,
    train,
    validation,
    class_names=None,
    head_epochs=5,
    epochs=20,
    head_learning_rate=1e-2,
    learning_rate=1e-3,
    unfreeze_from=None,
    patience=5,
    class_weight=None,
    batch_size=32,
    scale=None,
    eval_scale=None,
    directory=None,
    callbacks=(),
    seed=0,
    verbose=True,
):
    """Fine-tunes a trained net on other data.

    The net gets a new head. First the head alone is trained, while everything else
    keeps its bits; then all of the net, or its layers from a named one on, at a lower
    rate. Both stages use the paper's SGD, with gradients of a norm of at most 1. The
    weights of the epoch with the least validation error (of equal ones, the least loss)
    are kept, whichever stage it is of.

    Args:
        model: A functional or sequential `keras.Model` that takes images: a net of
            `keras_prelu.applications`, with its top or without, or another. It is left
            as it is.
        train: A source (see `keras_prelu.data`), which is augmented as in training;
            or a tuple of arrays, images of shape `(n, height, width, channels)` and
            integer labels, which are shuffled only; or a `tf.data.Dataset` of batches
            of these, which is taken as it is, over and over.
        validation: Data of the same kind.
        class_names: List of strings. Not needed for sources, which have them.
        head_epochs: Integer. Epochs of the first stage.
        epochs: Integer. Epochs of both stages together.
        head_learning_rate: Float, of the first stage.
        learning_rate: Float, of the second stage.
        unfreeze_from: Name of a layer: in the second stage the layers before it stay
            as they are. `None` trains all.
        patience: Integer. The second stage ends after as many epochs of it in a row
            that are not the best. `None` trains for all `epochs`.
        class_weight: Weights of the classes in the loss, for uneven data:
            `"balanced"` for the inverse of their frequencies, or a dict from labels
            to weights.
        batch_size: Integer. Not used for a `tf.data.Dataset`.
        scale: Pair, for sources: least and greatest shorter side, as for
            `keras_prelu.data.train_batches`. The paper's 256 and 512 for 224, in
            proportion, by default.
        eval_scale: Integer, for sources: the shorter side in validation. By default
            the least in training.
        directory: A folder for checkpoints. The same call then goes on where an earlier
            one was stopped, exactly as in training; with other data, another seed or
            another setting than `epochs` and `patience` it is refused.
        callbacks: List of Keras callbacks, which see both stages.
        seed: Integer, of the order, the augmentation and the new head.
        verbose: Boolean. Whether to show progress.

    Returns:
        A `FineTuned`.

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

    - [Delving Deep into Rectifiers](https://arxiv.org/abs/1502.01852), section 3 (the
      optimizer and the augmentation).
    """
    _check(model, head_epochs, epochs, unfreeze_from, patience, batch_size)
    _refuse_several_workers(model)
    _refuse_resume_without_tensorflow(directory)
    prepared = datasets.prepare(
        train,
        validation,
        class_names,
        batch_size,
        _side(model),
        scale,
        eval_scale,
        seed,
    )
    if class_weight is not None:
        prepared = datasets.weighted(prepared, class_weight)
    with _scope(model):
        tuned, head = with_new_head(model, len(prepared.class_names), seed)
        trained = prepared.wrap(tuned)
    log, best = followers.MetricsLog(), BestWeights(patience)
    progress = followers.Progress(batch_size, epochs, show=verbose)
    settings = {
        "seed": seed,
        "batch_size": batch_size,
        "scale": scale,
        "eval_scale": eval_scale,
        "head_epochs": head_epochs,
        "head_learning_rate": head_learning_rate,
        "learning_rate": learning_rate,
        "unfreeze_from": unfreeze_from,
        "class_weight": class_weight,
    }
    settings = {name: str(value) for name, value in settings.items()}
    same_run = followers.SameRun({"data": prepared.fingerprint, "settings": settings})
    callbacks = [same_run, *callbacks, log, progress, best]
    for callback in callbacks:
        if isinstance(callback, followers.Progress):
            prepared = datasets.watched(prepared, callback)
    best.set_model(trained)  # it may be that nothing is left to train

    for layer in tuned.layers:
        layer.trainable = layer.name in head
    _fit(trained, prepared, head_learning_rate, (0, head_epochs), callbacks, directory)

    names = [layer.name for layer in tuned.layers]
    first = names.index(unfreeze_from) if unfreeze_from else 0
    for layer in tuned.layers[first:]:
        layer.trainable = True
    best.patient_from = head_epochs + 1
    _fit(trained, prepared, learning_rate, (head_epochs, epochs), callbacks, directory)

    best.restore()
    return FineTuned(
        tuned, prepared.class_names, _history(log.rows, head_epochs), best.epoch
    )


def _check(model, head_epochs, epochs, unfreeze_from, patience, batch_size):
    """Refuses what can be told to be wrong before anything is built."""
    for argument, value, least in (
        ("head_epochs", head_epochs, 0),
        ("epochs", epochs, 1),
        ("patience", 1 if patience is None else patience, 1),
        ("batch_size", batch_size, 1),
    ):
        if not isinstance(value, int) or value < least:
            raise ValueError(
                f"Argument `{argument}` must be an integer of at least {least}. "
                f"Received: {argument}={value!r}"
            )
    if epochs < head_epochs:
        raise ValueError(
            "Argument `epochs` counts both stages, and must be at least `head_epochs`. "
            f"Received: epochs={epochs}, head_epochs={head_epochs}"
        )
    names = [layer.name for layer in getattr(model, "layers", ())]
    if unfreeze_from is not None and unfreeze_from not in names:
        raise ValueError(
            "Argument `unfreeze_from` must be None or the name of a layer of the "
            f"model. Received: unfreeze_from={unfreeze_from!r}"
        )


def _refuse_several_workers(model):
    """Each worker would train on all images, and count them several times."""
    strategy = getattr(model, "distribute_strategy", None)
    if strategy is None:
        return
    from keras_prelu import distribution

    workers = distribution.worker(strategy)[1]
    if workers > 1:
        raise ValueError(
            "Argument `model` must be built for one machine: fine-tuning does not "
            f"divide the data among workers. Received: a model of {workers} workers"
        )


def _refuse_resume_without_tensorflow(directory):
    if directory is not None and keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Argument `directory` must be None, unless Keras runs on TensorFlow, which "
            "exact resume needs. "
            f"Received: directory={directory}, backend={keras.backend.backend()!r}"
        )


def _side(model):
    """The side of the images to train on: the model's own, or the paper's."""
    first = keras.config.image_data_format() == "channels_first"
    sides = model.input_shape[2:] if first else model.input_shape[1:-1]
    return sides[0] or 224


def _scope(model):
    """The scope of a model's strategy, which only TensorFlow's models have."""
    strategy = getattr(model, "distribute_strategy", None)
    return strategy.scope() if strategy else contextlib.nullcontext()


@without_needless_warnings()
def _fit(model, prepared, learning_rate, between, callbacks, directory):
    """Trains from one epoch to another, which are counted over both stages."""
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
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    stages = ["head" if n <= head_epochs else "all" for n in columns["epoch"]]
    return {"epoch": columns.pop("epoch"), "stage": stages, **columns}
