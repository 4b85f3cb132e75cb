"""`fit` that goes on where an earlier process was stopped."""

import contextlib
import warnings

import keras

from keras_prelu.callbacks.checkpoints import CheckpointError
from keras_prelu.data.errors import original_errors


@contextlib.contextmanager
def without_needless_warnings():
    """Silences two Keras warnings that do not apply here.

    The pipeline shuffles by itself, and a data set that leaves bad images out cannot
    know its length.
    """
    with warnings.catch_warnings():
        for about in (".shuffle=True. was passed", "Your input ran out of data"):
            warnings.filterwarnings("ignore", about)
        yield


@without_needless_warnings()
@original_errors()
def resumable_fit(
    model, train, epochs, steps_per_epoch, resume, callbacks=(), validation_data=None
):
    """Fits a model from wherever its checkpoints stand, to the last epoch.

    Args:
        model: A compiled `keras.Model`.
        train: Function from a step's number to the `tf.data.Dataset` of the batches
            from that step on, without end.
        epochs: Integer. Epochs in all, those of earlier runs included.
        steps_per_epoch: Integer.
        resume: An `ExactResume`.
        callbacks: List of callbacks. Those with `get_state` and `set_state` go on
            where they were.
        validation_data: A `tf.data.Dataset`, run through after each epoch.

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
    if steps_per_epoch % model.steps_per_execution:
        raise ValueError(
            "Argument `steps_per_epoch` must be a multiple of the model's "
            f"`steps_per_execution`, {model.steps_per_execution}. "
            f"Received: steps_per_epoch={steps_per_epoch}"
        )
    resume.set_model(model)
    resume.follow(callbacks)
    callbacks = [*callbacks, resume]  # last: it saves what the others have done
    resume.restore(train(0).element_spec)
    _refuse_other_epochs(resume, steps_per_epoch)

    def fit(steps, until):
        model.fit(
            train(resume.step),
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
            fit(steps_per_epoch - resume.batch, until=resume.epoch + 1)
        if resume.epoch < epochs and not model.stop_training:
            fit(steps_per_epoch, until=epochs)
        resume.save()


def _refuse_other_epochs(resume, steps_per_epoch):
    """Refuses epochs of another length, in which the run's step would not lie there."""
    where = resume.epoch * steps_per_epoch + resume.batch
    if resume.step != where or resume.batch > steps_per_epoch:
        raise CheckpointError(
            "Argument `steps_per_epoch` must be that of the run: the checkpoint in "
            f"{resume.checkpoints.directory} is of step {resume.step}, after "
            f"{resume.epoch} epochs and {resume.batch} steps. "
            f"Received: steps_per_epoch={steps_per_epoch}"
        )


def _finish_epoch(model, resume, callbacks, validation_data):
    """Does what `fit` does after an epoch's last step: the run ended just there."""
    resume.restore_metrics()
    logs = model.get_metrics_result()
    callbacks = keras.callbacks.CallbackList(callbacks, model=model)
    if validation_data is not None:
        values = model.evaluate(
            validation_data, callbacks=callbacks, return_dict=True, verbose=0
        )
        logs.update({f"val_{name}": value for name, value in values.items()})
    callbacks.on_epoch_end(resume.epoch, logs)
