"""From a recipe's configuration to what `fit` takes: model, batches, schedule."""

import keras

from keras_prelu import callbacks, data, distribution
from keras_prelu.metrics import TopKError
from keras_prelu.optimizers import SGD
from training.inputs import CONSTRUCTORS, open_source

JIT = {"auto": "auto", "on": True, "off": False}


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


def construct(config, classes, strategy):
    """Returns the net of a recipe."""
    keras.config.set_dtype_policy(config.dtype)
    constructor = choose("model.name", config.model.name, CONSTRUCTORS)
    size = config.data.image_size
    with strategy.scope():
        return constructor(
            weights=config.model.weights or None,
            classes=classes,
            input_shape=(size, size, 3),
            activation=config.model.activation,
            width=config.model.width,
            dropout=config.model.dropout,
        )


def build(config, classes, strategy):
    """Returns the model to keep, and the one around it that is trained."""
    trained = model = construct(config, classes, strategy)
    size = config.data.image_size
    with strategy.scope():
        if config.data.augment_on == "device":
            trained = data.augmented(model, size)
        trained.compile(
            make_optimizer(config.optimizer),
            loss="sparse_categorical_crossentropy",
            metrics=[TopKError(1), TopKError(5)],
            jit_compile=choose("jit", config.jit, JIT),
        )
    return model, trained


def training_data(config, source, strategy, watch=lambda batches: batches):
    """Returns a function from a step to the batches from there on.

    Args:
        config: The recipe's configuration.
        source: The training data.
        strategy: Where the model trains.
        watch: Function from the `tf.data.Dataset` of this worker to another one of the
            same batches, as `Progress.watch` is.
    """

    def batches(start_step, shard=(0, 1)):
        batches = data.train_batches(
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
        return watch(batches)

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
