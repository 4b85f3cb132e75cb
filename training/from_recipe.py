"""Data, model, optimizer and schedule of a recipe's configuration."""

import pathlib

import keras

from keras_prelu import analysis, callbacks, data, distribution
from keras_prelu.applications import CONSTRUCTORS
from keras_prelu.metrics import TopKError
from keras_prelu.optimizers import SGD
from training.report import write_report

# The functions that `training.train` calls for a recipe of classification. The module
# `detection_recipe` has those for detection.
__all__ = [
    "build_model",
    "compile_model",
    "describe_model",
    "eval_batches",
    "open_sources",
    "train_batches",
    "write_report",
]

JIT = {"auto": "auto", "on": True, "off": False}


def choose(key, value, choices):
    """Return the choice that a key of the configuration names."""
    if value not in choices:
        raise ValueError(
            f"Argument `config.{key}` must be one of {', '.join(choices)}. "
            f"Received: config.{key}={value!r}"
        )
    return choices[value]


# Data -----------------------------------------------------------------------------


def open_source(config, split):
    """Return a split of the data of a configuration.

    Args:
        config: The part `data` of a recipe, with `name`, `path` and `data_dir`.
        split: The name of the split.
    """
    if config["path"]:
        return _open_folder(pathlib.Path(config["path"]), config, split)
    if not config.get("name"):
        raise ValueError(
            "Argument `config.data.path` must be the folder of the images. "
            "Received: config.data.path=''"
        )
    data_dir = config.get("data_dir") or None
    if config["name"] == "prelu_shapes":  # `shapes` registers the data set with TFDS
        return data.shapes(split, data_dir)
    return data.from_tfds(config["name"], split, data_dir)


def is_divided(path, config):
    """Return whether the subfolders of a folder are splits, not classes.

    A class may have the name of a split. The folder of a split contains folders.

    Args:
        path: `pathlib.Path` of the folder.
        config: The part `data` of a recipe.
    """
    names, folders = _split_names(config), _folders(path)
    # Two splits without class folders are a mistake, and not two classes.
    has_only_splits = bool(folders) and folders <= {*names}
    return has_only_splits or any(_folders(path / name) for name in names)


def _split_names(config):
    return [config.get(key, key) for key in ("train", "validation")]


def _folders(path):
    """Return the names of the visible folders in a folder, a set."""
    entries = path.iterdir() if path.is_dir() else ()
    return {
        entry.name
        for entry in entries
        if entry.is_dir() and not entry.name.startswith(".")
    }


def _open_folder(path, config, split):
    """Return a split's subfolder, or a part of a folder without such subfolders."""
    names = _split_names(config)
    if split not in names or is_divided(path, config):
        return data.from_directory(path / split)
    parts = data.split(data.from_directory(path))
    return parts[names.index(split)]


def open_sources(config):
    """Return the training and the validation data of a recipe."""
    config = config.data
    train = open_source(config, config.train)
    validation = open_source(config, config.validation)
    refuse_other_classes(train, validation)
    _refuse_a_single_class(train)
    return train, validation


def _refuse_a_single_class(train):
    """Refuse data whose error would always be 0, such as images without folders."""
    if len(train.class_names) < 2:
        raise ValueError(
            "Arguments `config.data.train` and `config.data.validation` must have at "
            "least two classes; a folder has one folder per class. "
            f"Received: {train.class_names}"
        )


def refuse_other_classes(train, validation):
    """Raise an error if training and validation data have different classes."""
    if train.class_names != validation.class_names:
        odd = sorted({*train.class_names} ^ {*validation.class_names})
        raise ValueError(
            "Arguments `config.data.train` and `config.data.validation` must have the "
            f"same classes. Received: {len(train.class_names)} and "
            f"{len(validation.class_names)} classes; only one of them has "
            f"{', '.join(odd[:5])}"
        )


def steps_per_epoch(config, train, strategy):
    """Return the number of steps per epoch; refuse a batch size that does not fit."""
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % replicas or not 0 < config.batch_size <= len(train):
        raise ValueError(
            f"Argument `config.batch_size` must be a multiple of the {replicas} "
            f"replicas, and at most the {len(train)} training images. "
            f"Received: config.batch_size={config.batch_size}"
        )
    return config.steps_per_epoch or data.steps_per_epoch(train, config.batch_size)


def train_batches(config, source, strategy, start_step=0, watch=None):
    """Return the training batches from a step on, without end.

    Args:
        config: The configuration.
        source: The training data.
        strategy: The strategy under which the model trains.
        start_step: The number of steps to skip.
        watch: Optional function from this worker's batches to the same batches, such as
            `Progress.watch`.
    """

    def batches(shard):
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
        return watch(batches) if watch else batches

    return on_workers(strategy, batches, config.batch_size)


def eval_batches(config, source, strategy):
    """Return the batches of the validation data, with each image once."""

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
    """Return all batches, or on several machines this worker's shard of each.

    Args:
        strategy: The strategy under which the model trains.
        batches: Function from `(worker, workers)` to the batches of a worker.
        batch_size: Images in a global batch.
    """
    if distribution.worker(strategy)[1] == 1:
        return batches((0, 1))

    def of_this_worker(context):
        per_replica = context.get_per_replica_batch_size(batch_size)
        shard = (context.input_pipeline_id, context.num_input_pipelines)
        return batches(shard).rebatch(per_replica)

    return strategy.distribute_datasets_from_function(of_this_worker)


# Model ----------------------------------------------------------------------------


def build_model(config, source, strategy):
    """Return the model of a recipe, not compiled, for the classes of its data."""
    keras.config.set_dtype_policy(config.dtype)
    size = config.data.image_size
    with strategy.scope():
        return build_net(
            config.model, len(source.class_names), input_shape=(size, size, 3)
        )


def build_net(config, classes, **options):
    """Return a net.

    Args:
        config: The part `model` of a recipe.
        classes: Number of classes.
        **options: Further arguments of the net's constructor.
    """
    return choose("model.name", config.name, CONSTRUCTORS)(
        weights=config.weights or None,
        classes=classes,
        activation=config.activation,
        width=config.width,
        dropout=config.dropout,
        **options,
    )


def describe_model(config, model):
    """Return the name and the size of a model, as a text."""
    return (
        f"{config.model.name}, {model.count_params():,} parameters, "
        f"{analysis.multiply_adds(model):,} multiply-adds per image"
    )


def compile_model(model, config, strategy):
    """Return the compiled model to train: `model`, or `model` behind its augmentation.

    Args:
        model: The model of the recipe.
        config: The configuration.
        strategy: The strategy under which the model was built.
    """
    trained = model
    with strategy.scope():
        if config.data.augment_on == "device":
            trained = data.augmented(model, config.data.image_size)
        trained.compile(
            optimizer(config.optimizer),
            loss="sparse_categorical_crossentropy",
            metrics=[TopKError(1), TopKError(5)],
            jit_compile=choose("jit", config.jit, JIT),
        )
    return trained


def optimizer(config):
    """Return the paper's SGD with the extra options of a recipe."""
    return SGD(
        config.learning_rate,
        config.momentum,
        config.weight_decay,
        global_clipnorm=config.clip_norm or None,
        gradient_accumulation_steps=config.accumulate
        if config.accumulate > 1
        else None,
    )


def schedule(config, learning_rate):
    """Return the callback that lowers the learning rate."""

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
