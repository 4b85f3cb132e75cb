"""Trains a net by a recipe, and goes on where it was when it was stopped.

    python training/train.py --config=training/recipes/NAME.py --workdir=DIR \\
        [--config.KEY=VALUE ...]

Exit codes: 0, the run is complete; 2, something is wrong with the arguments or the
data, and nothing was trained; 3, the loss or a weight is no longer a number; 75, the
run was stopped, by SIGTERM or because another worker has gone, and the same command
goes on with it.
"""

import os
import sys
import textwrap
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

import errors
import keras
import tensorflow as tf
from absl import app, flags, logging
from inputs import CONSTRUCTORS, open_source
from ml_collections import config_flags
from report import write_report
from workdir import Workdir

from keras_prelu import analysis, callbacks, data, distribution
from keras_prelu.files import replacing
from keras_prelu.metrics import TopKError
from keras_prelu.optimizers import SGD

# Keras's, about what is as it should be: the order of the data is ours, and a set of
# which bad pictures are left out has no length to tell.
for about in (".shuffle=True. was passed", "Your input ran out of data"):
    warnings.filterwarnings("ignore", about)

JIT = {"auto": "auto", "on": True, "off": False}

_CONFIG = config_flags.DEFINE_config_file("config", None, "The recipe.")
_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of the run.")
flags.mark_flags_as_required(["config", "workdir"])


def choose(key, value, choices):
    """Returns what the value of a key of the configuration stands for."""
    if value not in choices:
        raise ValueError(
            f"`config.{key}` must be one of {', '.join(choices)}. "
            f"Received: config.{key}={value!r}"
        )
    return choices[value]


def open_data(config):
    """Returns the sources of the training and of the validation data."""
    train = open_source(config, config.train)
    validation = open_source(config, config.validation)
    if train.class_names != validation.class_names:
        odd = sorted({*train.class_names} ^ {*validation.class_names})
        raise ValueError(
            "`config.data.train` and `config.data.validation` must have the same "
            f"classes. Received: {len(train.class_names)} classes and "
            f"{len(validation.class_names)}, in one only: {', '.join(odd[:5])}"
        )
    return train, validation


def steps_per_epoch(config, train, strategy):
    """Returns the number of steps, after a look at the batch size."""
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % replicas or not 0 < config.batch_size <= len(train):
        raise ValueError(
            f"`config.batch_size` must be a multiple of the {replicas} replicas, and "
            f"at most the {len(train)} training pictures. "
            f"Received: config.batch_size={config.batch_size}"
        )
    return config.steps_per_epoch or data.steps_per_epoch(train, config.batch_size)


def make_optimizer(config):
    """Returns the paper's SGD, with what a recipe adds to it."""
    return SGD(
        config.learning_rate,
        config.momentum,
        config.weight_decay,
        global_clipnorm=config.clip_norm or None,
        gradient_accumulation_steps=config.accumulate
        if config.accumulate > 1
        else None,
    )


def build(config, classes, strategy):
    """Returns the model to keep, and the one around it that is trained."""
    keras.config.set_dtype_policy(config.dtype)
    constructor = choose("model.name", config.model.name, CONSTRUCTORS)
    size = config.data.image_size
    with strategy.scope():
        trained = model = constructor(
            classes=classes,
            input_shape=(size, size, 3),
            activation=config.model.activation,
            width=config.model.width,
            dropout=config.model.dropout,
        )
        if config.data.augment_on == "device":
            trained = data.augmented(model, size)
        trained.compile(
            make_optimizer(config.optimizer),
            loss="sparse_categorical_crossentropy",
            metrics=[TopKError(1), TopKError(5)],
            jit_compile=choose("jit", config.jit, JIT),
        )
    return model, trained


def training_data(config, source, strategy):
    """Returns a function from a step to the batches from there on."""

    def batches(start_step, shard=(0, 1)):
        return data.train_batches(
            source,
            config.batch_size,
            image_size=config.data.image_size,
            scale=tuple(config.data.scale),
            color=config.data.color,
            seed=config.seed,
            start_step=start_step,
            augment_on=config.data.augment_on,
            shard=shard,
        )

    return lambda start_step: on_workers(
        strategy, lambda shard: batches(start_step, shard), config.batch_size
    )


def validation_data(config, source, strategy):
    """Returns the batches of the validation set, each picture once."""

    def batches(shard):
        return data.eval_batches(
            source,
            config.batch_size,
            image_size=config.data.image_size,
            scale=config.data.eval_scale,
            shard=shard,
        )

    return on_workers(strategy, batches, config.batch_size)


def on_workers(strategy, batches, batch_size):
    """Returns the data set, or on several machines this worker's share of it."""
    if distribution.worker(strategy)[1] == 1:
        return batches((0, 1))

    def share(context):
        per_replica = context.get_per_replica_batch_size(batch_size)
        shard = (context.input_pipeline_id, context.num_input_pipelines)
        return batches(shard).rebatch(per_replica)

    return strategy.distribute_datasets_from_function(share)


def schedule(config, learning_rate):
    """Returns the callback that lowers the learning rate."""

    def plateau():
        return callbacks.PlateauSchedule(
            factor=config.factor,
            patience=config.patience,
            min_delta=config.min_delta,
            min_lr=config.min_learning_rate,
        )

    def fixed():
        return keras.callbacks.LearningRateScheduler(
            lambda epoch, rate: (
                learning_rate
                * config.factor ** sum(epoch + 1 >= first for first in config.epochs)
            )
        )

    return choose("schedule.name", config.name, {"plateau": plateau, "fixed": fixed})()


def followers(config, workdir):
    """Returns the callbacks of a run, in the order in which they need each other."""
    chief = workdir.is_chief
    board = [callbacks.TensorBoardLog(workdir.path / "tensorboard")] if chief else []
    return [
        schedule(config.schedule, config.optimizer.learning_rate),
        callbacks.MetricsLog(workdir.log("metrics.csv")),
        callbacks.SlopesLog(workdir.log("slopes.csv")),
        callbacks.Progress(
            config.batch_size, config.epochs, workdir.log("speed.csv"), show=chief
        ),
        *board,
    ]


def describe(config, strategy, model, trained, sources):
    """Prints what is about to be trained, on what."""
    replicas = strategy.num_replicas_in_sync
    workers = distribution.worker(strategy)[1]
    why = "asked for" if config.jit != "auto" else "Keras's choice (config.jit=auto)"
    print(
        f"Devices: {', '.join(distribution.devices(strategy))}; "
        f"{replicas} replica(s) on {workers} worker(s)\n"
        f"Batch: {config.batch_size} over all replicas; dtype {config.dtype}; "
        f"XLA {'on' if trained.jit_compile else 'off'}, {why}\n"
        f"Model: {config.model.name}, {model.count_params():,} parameters, "
        f"{analysis.multiply_adds(model):,} multiply-adds a picture\n"
        f"Data: {len(sources[0]):,} pictures to train on, {len(sources[1]):,} to "
        f"validate, {len(sources[0].class_names)} classes",
        flush=True,
    )


def parse(arguments):
    """Returns what is left of the arguments when the flags have been read."""
    with errors.in_one_line():
        left = flags.FLAGS(arguments)
        _CONFIG.value  # noqa: B018 (a recipe that does not load shows here)
        return left


def main(_):
    """Trains, saves, evaluates, draws."""
    config = _CONFIG.value
    with errors.in_one_line():
        if config.deterministic:
            tf.config.experimental.enable_op_determinism()
        keras.utils.set_random_seed(config.seed)
        strategy = distribution.strategy(config.distribution)
        workdir = Workdir(_WORKDIR.value, distribution.worker(strategy)[0])
        train, validation = sources = open_data(config.data)
        steps = steps_per_epoch(config, train, strategy)
        model, trained = build(config, len(train.class_names), strategy)
        followed = followers(config, workdir)
        resume = callbacks.ExactResume(workdir.checkpoints, **config.checkpoint)
        batches = training_data(config, train, strategy)
        validation_batches = validation_data(config, validation, strategy)
        batches(0)  # what is wrong with its arguments shows here
        workdir.claim(config.to_dict())
    describe(config, strategy, model, trained, sources)
    try:
        callbacks.resumable_fit(
            trained,
            batches,
            config.epochs,
            steps,
            resume,
            followed,
            validation_data=validation_batches,
        )
    except callbacks.NotFiniteError as error:
        logging.error("%s", error)
        sys.exit(errors.NOT_FINITE)
    except tf.errors.OpError as error:
        if distribution.worker(strategy)[1] == 1:
            raise
        reason = textwrap.shorten(error.message, 300)
        logging.error(
            "Stopped: another worker has gone, or cannot be reached (%s). Start all "
            "workers again with the same command to go on.",
            reason,
        )
        # Not sys.exit, which would wait for the other worker once more.
        os._exit(callbacks.PREEMPTED)
    if workdir.is_chief:
        with replacing(workdir.path / "model.keras") as aside:
            model.save(aside)
        write_report(workdir.path, config, validation)


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
