"""Data, model and report of a recipe that trains a detector.

The functions are those of `from_recipe`, which has the optimizer and the schedule of
these recipes too.
"""

import os
import pathlib
import re

import keras
import numpy as np

from keras_prelu import data, detection
from keras_prelu.data.fingerprints import digest
from training import from_recipe
from training.detection_report import write_report

__all__ = [
    "ProposedImages",
    "build_model",
    "compile_model",
    "describe_model",
    "eval_batches",
    "open_sources",
    "train_batches",
    "write_report",
]


# XLA compiles the model anew for every size of the images, so the others train without
# it. JAX would compile each of the model's operations for every size instead.
_ON_JAX = keras.backend.backend() == "jax"


class ProposedImages:
    """Annotated images with their proposals.

    Args:
        source: A `keras_prelu.data.AnnotatedSource`.
        proposals: Its `keras_prelu.detection.Proposals`.

    Attributes:
        source: The images.
        proposals: The proposals.
        class_names: Names of the classes.
    """

    def __init__(self, source, proposals):
        self.source = source
        self.proposals = proposals
        self.class_names = source.class_names

    def __len__(self):
        return len(self.source)

    def fingerprint(self):
        """Return what identifies the images and their proposals."""
        proposals = self.proposals.fingerprint()
        return {**self.source.fingerprint(), "proposals": proposals}


def open_source(config, split):
    """Return a split of a named dataset of annotated images.

    Args:
        config: The part `data` of a recipe, with `name` and `data_dir`.
        split: The name of the split.
    """
    data_dir = config.data_dir or None
    if config.name == "prelu_scenes":
        return data.scenes(split, data_dir)
    name, _, year = config.name.partition("/")
    if name != "voc":
        raise ValueError(
            'Argument `config.data.name` must be "prelu_scenes", "voc/2007" or '
            '"voc/2012", unless there is a `config.data.path`. '
            f"Received: config.data.name={config.name!r}"
        )
    return data.voc(year, split, data_dir)


def open_files(config):
    """Return the training and the validation data in `config.path`.

    Args:
        config: The part `data` of a recipe, with `path`, `train` and `validation`.
    """
    path = pathlib.Path(config.path)
    if path.suffix.lower() == ".csv":
        return _divided(data.from_boxes_csv(path), path)
    train, validation = path / config.train, path / config.validation
    if not (train.is_dir() and validation.is_dir()):
        return _divided(data.from_pascal_xml(path), path)
    source = data.from_pascal_xml(train)
    return source, data.from_pascal_xml(validation, class_names=source.class_names)


def _divided(source, path):
    """Return four fifths of a source, and a fifth for validation."""
    if len(source) < 2:
        raise ValueError(
            "Argument `config.data.path` must have at least two images that can be "
            f"used. Received: config.data.path={path}"
        )
    order = np.random.default_rng(0).permutation(len(source))
    count = max(1, len(source) // 5)
    return tuple(
        data.AnnotatedSubset(source, sorted(map(int, indices)))
        for indices in (order[count:], order[:count])
    )


def open_sources(config):
    """Return the training and the validation data of a recipe, with proposals."""
    splits = config.data.train, config.data.validation
    if config.data.path:
        sources = open_files(config.data)
    else:
        sources = tuple(open_source(config.data, split) for split in splits)
    from_recipe.refuse_other_classes(*sources)
    return tuple(
        _proposed(source, config, split)
        for source, split in zip(sources, splits, strict=True)
    )


def _proposed(source, config, split):
    """Return a source with its proposals, which are computed on first use."""
    settings = config.proposals
    side = settings.side or None
    parts = (_name(config.data), split, settings.method, *([str(side)] if side else []))
    path = pathlib.Path(settings.directory) / f"{'-'.join(parts)}.npz"
    if not path.exists():
        print(f"Proposing regions, once: {path}", flush=True)
    return ProposedImages(
        source, detection.proposals(source, path, settings.method, side)
    )


def _name(config):
    """Return a name of the data that can be a part of a file name."""
    if not config.path:
        return config.name.replace("/", "-")
    path = pathlib.Path(config.path).absolute()
    cleaned = re.sub(r"[^\w.]", "_", path.name)
    return f"{cleaned}-{digest([os.fsencode(path)])[:8]}"


def build_model(config, images, strategy):
    """Return the detector of a recipe, not compiled."""
    keras.config.set_dtype_policy(config.dtype)
    classes = len(images.class_names)
    statistics = detection.delta_statistics(images.source, images.proposals)
    with strategy.scope():
        net = from_recipe.build_net(config.model, classes)
        return detection.fast_rcnn(net, classes, *statistics)


def describe_model(config, model):
    """Return the name and the size of a detector, as a text."""
    return f"Fast R-CNN on {config.model.name}, {model.count_params():,} parameters"


def compile_model(model, config, strategy):
    """Compile the detector and return it.

    Args:
        model: The model of the recipe.
        config: The configuration.
        strategy: The strategy under which the model was built.
    """
    with strategy.scope():
        model.compile(
            optimizer=from_recipe.optimizer(config.optimizer),
            loss=detection.losses(model),
            metrics={"scores": ["accuracy"]},
            jit_compile=config.jit == "on" or (config.jit == "auto" and _ON_JAX),
        )
    return model


def _sizes(config):
    return {
        "batch_size": config.batch_size,
        "regions": config.detection.regions,
        "shorter_side": tuple(config.detection.shorter_side),
        "longest_side": config.detection.longest_side,
    }


def train_batches(config, images, strategy, start_step=0, watch=None):
    """Return the training batches from a step on, see `from_recipe.train_batches`."""

    def batches(shard):
        batches = detection.train_batches(
            images.source,
            images.proposals,
            **_sizes(config),
            seed=config.seed,
            start_step=start_step,
            shard=shard,
        )
        return watch(batches) if watch else batches

    return from_recipe.on_workers(strategy, batches, config.batch_size)


def eval_batches(config, images, strategy):
    """Return the batches of the validation data, with each image once."""

    def batches(shard):
        return detection.eval_batches(
            images.source, images.proposals, **_sizes(config), shard=shard
        )

    return from_recipe.on_workers(strategy, batches, config.batch_size)
