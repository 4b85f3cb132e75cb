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

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

import errors
import keras
import tensorflow as tf
from absl import app, flags, logging
from fitting import (
    build,
    construct,
    open_data,
    schedule,
    steps_per_epoch,
    training_data,
    validation_data,
)
from ml_collections import config_flags
from report import write_report
from workdir import Workdir

from keras_prelu import analysis, callbacks, distribution
from keras_prelu.files import replacing
from keras_prelu.finetuning import fine_tune

_CONFIG = config_flags.DEFINE_config_file("config", None, "The recipe.")
_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of the run.")
flags.mark_flags_as_required(["config", "workdir"])


def make_progress(config, workdir):
    """Returns the callback that shows and keeps the speed."""
    path, show = workdir.log("speed.csv"), workdir.is_chief
    return callbacks.Progress(config.batch_size, config.epochs, path, show)


def followers(workdir, progress):
    """Returns the callbacks of a run, in the order in which they need each other."""
    folder = workdir.path / "tensorboard"
    return [
        callbacks.MetricsLog(workdir.log("metrics.csv")),
        callbacks.SlopesLog(workdir.log("slopes.csv")),
        progress,
        *([callbacks.TensorBoardLog(folder)] if workdir.is_chief else []),
    ]


def from_scratch(config, strategy, workdir, train, validation):
    """Returns the model, the one that takes the batches, and what trains them."""
    steps = steps_per_epoch(config, train, strategy)
    model, trained = build(config, len(train.class_names), strategy)
    progress = make_progress(config, workdir)
    followed = [
        schedule(config.schedule, config.optimizer.learning_rate),
        *followers(workdir, progress),
    ]
    resume = callbacks.ExactResume(workdir.checkpoints, **config.checkpoint)
    batches = training_data(config, train, strategy, progress.watch)
    plain = validation_data(config, validation, strategy)
    batches(0)  # what is wrong with its arguments shows here

    def run():
        callbacks.resumable_fit(
            trained, batches, config.epochs, steps, resume, followed, plain
        )
        return model

    return model, trained, run


def from_a_trained_net(config, strategy, workdir, train, validation):
    """Returns the model, twice, and what fine-tunes a copy of it."""
    model = construct(config, len(train.class_names), strategy)

    def run():
        return fine_tune(
            model,
            train,
            validation,
            **config.finetune,
            epochs=config.epochs,
            batch_size=config.batch_size,
            scale=tuple(config.data.scale),
            eval_scale=config.data.eval_scale,
            directory=workdir.checkpoints,
            callbacks=followers(workdir, make_progress(config, workdir)),
            seed=config.seed,
            verbose=False,
        ).model

    return model, model, run


def describe(config, strategy, model, trained, sources):
    """Prints what is about to be trained, on what."""
    replicas = strategy.num_replicas_in_sync
    workers = distribution.worker(strategy)[1]
    asked = config.get("jit", "auto") != "auto"
    why = "asked for" if asked else "Keras's choice (config.jit=auto)"
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
        strategy = distribution.strategy(config.distribution)
        workdir = Workdir(_WORKDIR.value, distribution.worker(strategy)[0])
        sources = open_data(config.data)
        # After the data: to prepare a set for the first time uses random numbers up.
        keras.utils.set_random_seed(config.seed)
        prepare = from_a_trained_net if "finetune" in config else from_scratch
        model, trained, run = prepare(config, strategy, workdir, *sources)
        workdir.claim(config.to_dict(), ["python", *sys.argv])
    describe(config, strategy, model, trained, sources)
    try:
        with errors.in_one_line((callbacks.CheckpointError,)):
            model = run()
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
        write_report(workdir.path, config, sources[1])


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
