"""A `fit` that resumes where an earlier process was stopped."""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from keras_prelu.callbacks.checkpoints import CheckpointError
from keras_prelu.callbacks.resume import ExactResume
from keras_prelu.data.errors import original_errors

__all__ = ["resumable_fit", "without_needless_warnings"]


@contextlib.contextmanager
def without_needless_warnings() -> Iterator[None]:
    """Silence two Keras warnings that do not apply here.

    The pipeline shuffles its images itself, and a data set that leaves bad images out
    cannot know its length.
    """
    with warnings.catch_warnings():
        for about in (".shuffle=True. was passed", "Your input ran out of data"):
            warnings.filterwarnings("ignore", about)
        yield


@without_needless_warnings()
@original_errors()
def resumable_fit(
    model: keras.Model,
    train: Callable[[int], Any],
    epochs: int,
    steps_per_epoch: int,
    resume: ExactResume,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    validation_data: Any = None,
) -> None:
    """Fit a model from its newest checkpoint to the last epoch.

    Args:
        model: A compiled `keras.Model`.
        train: Function from a step's number to the endless batches from that step on:
            a `tf.data.Dataset`, or on other backends than TensorFlow
            `keras_prelu.data.NumpyBatches`.
        epochs: Integer. Epochs of the whole run, earlier processes included.
            Not fewer than the newest checkpoint has begun.
        steps_per_epoch: Integer. Training steps per epoch, a multiple of the model's
            `steps_per_execution`.
        resume: An `ExactResume`.
        callbacks: List of callbacks. Those with `get_state` and `set_state` are
            restored too.
        validation_data: Batches to evaluate after each epoch, of the same kind.

    Examples:
        >>> import tensorflow as tf
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile(keras_prelu.optimizers.SGD(), loss="mse")
        >>> batch = (tf.ones((4, 2)), tf.ones((4, 1)))
        >>> data = tf.data.Dataset.from_tensors(batch).repeat()
        >>> resume = keras_prelu.callbacks.ExactResume("run/checkpoints")
        >>> keras_prelu.callbacks.resumable_fit(model, data.skip, 2, 3, resume)
        >>> resume.step
        6
    """
    if not isinstance(callbacks, Sequence):
        raise ValueError(
            "Argument `callbacks` must be a list of Keras callbacks. "
            f"Received: callbacks={callbacks!r}"
        )
    if steps_per_epoch % model.steps_per_execution:
        raise ValueError(
            "Argument `steps_per_epoch` must be a multiple of the model's "
            f"`steps_per_execution`, {model.steps_per_execution}. "
            f"Received: steps_per_epoch={steps_per_epoch}"
        )
    _refuse_averages(model.optimizer)
    resume.set_model(model)
    resume.follow(callbacks)
    callbacks = [*callbacks, resume]  # last: it saves what the others have done
    batches = train(resume.find_step())
    resume.restore(_example(batches))
    _refuse_other_epochs(resume, steps_per_epoch)
    _refuse_fewer_epochs(resume, epochs)

    def fit(batches, steps, until):
        model.fit(
            batches,
            epochs=until,
            initial_epoch=resume.epoch,
            steps_per_epoch=steps,
            validation_data=validation_data,
            callbacks=callbacks,
            verbose=0,
        )

    with resume.in_resumable_fit():
        if resume.batch == steps_per_epoch:
            _finish_epoch(model, resume, callbacks, validation_data)
        elif resume.batch:
            fit(batches, steps_per_epoch - resume.batch, until=resume.epoch + 1)
            batches = train(resume.step)
        if resume.epoch < epochs and not model.stop_training:
            fit(batches, steps_per_epoch, until=epochs)
        resume.save()


def _refuse_averages(optimizer):
    """Refuse averages of the weights, which replace these whenever a `fit` ends."""
    scaled = getattr(optimizer, "inner_optimizer", optimizer)  # in mixed precision
    if scaled.use_ema:
        raise ValueError(
            "Argument `use_ema` of the optimizer must be False for an exact resume: "
            "Keras replaces the weights by their averages whenever `fit` ends, and a "
            "resume may end one within an epoch. Received: use_ema=True"
        )


def _example(batches):
    """Return something that has the shapes and dtypes of a batch."""
    # `tf.data` knows them without reading one. But only TensorFlow can build a model
    # for sizes that are unknown, such as those of the images for a detector.
    if hasattr(batches, "element_spec") and keras.backend.backend() == "tensorflow":
        return batches.element_spec
    return next(iter(batches))


def _refuse_other_epochs(resume, steps_per_epoch):
    """Refuse epochs of another length than those of the checkpoint."""
    step = resume.epoch * steps_per_epoch + resume.batch
    if resume.step != step or resume.batch > steps_per_epoch:
        raise CheckpointError(
            "Argument `steps_per_epoch` must be the same as in the run: the checkpoint "
            f"in {resume.checkpoints.directory} is of step {resume.step}, after "
            f"{resume.epoch} epochs and {resume.batch} steps. "
            f"Received: steps_per_epoch={steps_per_epoch}"
        )


def _refuse_fewer_epochs(resume, epochs):
    """Refuse to end a run before its checkpoint."""
    begun = resume.epoch + (resume.batch > 0)
    if epochs < begun:
        raise CheckpointError(
            f"Argument `epochs` must be at least the {begun} epochs that the "
            f"checkpoint in {resume.checkpoints.directory} has begun. "
            f"Received: epochs={epochs}"
        )


def _finish_epoch(model, resume, callbacks, validation_data):
    """Finish an epoch whose steps are done, as `fit` would have done."""
    callbacks = keras.callbacks.CallbackList(callbacks, model=model)
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(resume.epoch)  # `resume` restores the metrics
    logs = model.get_metrics_result()
    if validation_data is not None:
        values = model.evaluate(
            validation_data, callbacks=callbacks, return_dict=True, verbose=0
        )
        logs.update({f"val_{name}": value for name, value in values.items()})
    callbacks.on_epoch_end(resume.epoch, logs)
    callbacks.on_train_end(logs)
