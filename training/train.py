"""Trains a net by a recipe, and goes on where it was when it was stopped.

    python -m training.train --config=training/recipes/NAME.py --workdir=DIR \\
        [--config.KEY=VALUE ...]

Exit codes: 0, the run is complete; 2, something is wrong with the arguments, the data
or the checkpoints; 3, the loss or a weight is no longer a number; 74, the model or the
report could not be written; 75, the run was stopped, by SIGTERM or because another
worker has gone or did not start. After 74 and 75 the same command goes on with it.
"""

import json
import os
import sys
import textwrap

if not __package__:
    sys.exit("error: start this program by `python -m training.train`")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

import keras
import tensorflow as tf
from absl import app, flags, logging
from ml_collections import config_flags

from keras_prelu import analysis, callbacks, data, distribution
from keras_prelu.files import replacing
from keras_prelu.finetuning import fine_tune
from training import errors
from training.fitting import (
    build,
    construct,
    open_data,
    schedule,
    steps_per_epoch,
    training_data,
    validation_data,
)
from training.report import write_report
from training.workdir import Workdir

_CONFIG = config_flags.DEFINE_config_file("config", None, "The recipe.")
_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of the run.")
_WAIT = flags.DEFINE_float(
    "wait", 600.0, "Seconds to wait for the other workers to start."
)
flags.mark_flags_as_required(["config", "workdir"])


def agree(strategy, run):
    """Refuses workers that would train different runs, on all of them alike.

    Args:
        strategy: A `tf.distribute.Strategy`.
        run: Dict that `json` can write, the configuration and the data of this worker.
    """
    texts = distribution.gather_texts(strategy, json.dumps(run))
    first, *others = map(json.loads, texts)
    for number, other in enumerate(others, start=1):
        different = data.differences(first, other)
        if different:
            raise ValueError(
                "All workers must have the same configuration and data. Received, from "
                f"worker 0 to worker {number}: {'; '.join(different)}"
            )


def followers(config, run, workdir):
    """Returns the callbacks of a run, in the order in which they need each other."""
    chief, folder = workdir.is_chief, workdir.path / "tensorboard"
    return [
        callbacks.SameRun(run),
        callbacks.MetricsLog(workdir.log("metrics.csv")),
        callbacks.SlopesLog(workdir.log("slopes.csv")),
        callbacks.Progress(
            config.batch_size, config.epochs, workdir.log("speed.csv"), show=chief
        ),
        *([callbacks.TensorBoardLog(folder)] if chief else []),
    ]


def from_scratch(config, strategy, workdir, followed, train, validation):
    """Returns the model, the one that takes the batches, and what trains them."""
    steps = steps_per_epoch(config, train, strategy)
    model, trained = build(config, len(train.class_names), strategy)
    [progress] = [f for f in followed if isinstance(f, callbacks.Progress)]
    rates = schedule(config.schedule, config.optimizer.learning_rate)
    resume = callbacks.ExactResume(workdir.checkpoints, **config.checkpoint)
    batches = training_data(config, train, strategy, progress.watch)
    plain = validation_data(config, validation, strategy)
    batches(0)  # what is wrong with its arguments shows here

    def fit():
        callbacks.resumable_fit(
            trained, batches, config.epochs, steps, resume, [rates, *followed], plain
        )
        return model

    return model, trained, fit


def from_a_trained_net(config, strategy, workdir, followed, train, validation):
    """Returns the model, twice, and what fine-tunes a copy of it."""
    model = construct(config, len(train.class_names), strategy)
    options = {
        **config.finetune,
        "epochs": config.epochs,
        "batch_size": config.batch_size,
    }
    given = {name: value for name, value in options.items() if value is not None}

    def fit():
        return fine_tune(
            model,
            train,
            validation,
            **given,
            scale=tuple(config.data.scale),
            eval_scale=config.data.eval_scale,
            directory=workdir.checkpoints,
            callbacks=followed,
            seed=config.seed,
        ).model

    return model, model, fit


def describe(config, strategy, model, trained, sources):
    """Prints what is about to be trained, on what."""
    replicas = strategy.num_replicas_in_sync
    workers = distribution.worker(strategy)[1]
    asked = config.get("jit", "auto") != "auto"
    why = "asked for" if asked else "Keras's choice (config.jit=auto)"
    print(
        f"Devices: {', '.join(distribution.devices(strategy))}; "
        f"{replicas} replica(s) on {workers} worker(s)\n"
        f"Batch: {config.batch_size or 'chosen by fine_tune'} over all replicas; "
        f"dtype {config.dtype}; "
        f"XLA {'on' if trained.jit_compile else 'off'}, {why}\n"
        f"Model: {config.model.name}, {model.count_params():,} parameters, "
        f"{analysis.multiply_adds(model):,} multiply-adds a picture\n"
        f"Data: {len(sources[0]):,} pictures to train on, {len(sources[1]):,} to "
        f"validate, {len(sources[0].class_names)} classes",
        flush=True,
    )


def finish(config, workdir, model, followed, validation):
    """Writes what a finished run shows; all of it again where some was missing."""
    print("Trained. Writing the model and the report.", flush=True)
    with errors.when_not_written("make room, and the same command finishes the run"):
        workdir.keep()
        for follower in followed:
            if isinstance(follower, callbacks.logs.TableLog):
                follower.write()
        with replacing(workdir.path / "model.keras") as aside:
            model.save(aside)
        write_report(workdir.path, config, validation)


def run_all(config):
    """Trains, saves, evaluates, draws."""
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    try:
        strategy = distribution.strategy(config.distribution, _WAIT.value)
    except distribution.WorkersMissingError as error:
        errors.end(error, callbacks.PREEMPTED)
        raise
    workdir = Workdir(_WORKDIR.value, distribution.worker(strategy)[0])
    sources = open_data(config.data)
    train, validation = (source.fingerprint() for source in sources)
    run = {
        "config": config.to_dict(),
        "data": {"train": train, "validation": validation},
    }
    agree(strategy, run)
    # After the data: to prepare a set for the first time uses random numbers up.
    keras.utils.set_random_seed(config.seed)
    followed = followers(config, run, workdir)
    prepare = from_a_trained_net if "finetune" in config else from_scratch
    model, trained, fit = prepare(config, strategy, workdir, followed, *sources)
    workdir.claim(run["config"], ["python", *sys.orig_argv[1:]], run["data"])
    describe(config, strategy, model, trained, sources)
    model = fit()
    if workdir.is_chief:
        finish(config, workdir, model, followed, sources[1])


def parse(arguments):
    """Returns what is left of the arguments when the flags have been read."""
    # A recipe that does not load shows here, and a key that there is not.
    with errors.in_one_line((AttributeError, LookupError, TypeError, ValueError)):
        left = flags.FLAGS(arguments)
        _CONFIG.value  # noqa: B018
        return left


@errors.in_one_line((data.DataError,))
def main(_):
    """Trains, and ends with the code that tells how."""
    config = _CONFIG.value
    try:
        with errors.in_one_line():
            run_all(config)
    except callbacks.NotFiniteError as error:
        logging.error("%s", error)
        sys.exit(errors.NOT_FINITE)
    except tf.errors.OpError as error:
        if config.distribution != "multi_worker":
            raise
        reason = textwrap.shorten(error.message, 300)
        logging.error(
            "Stopped: another worker has gone, or cannot be reached (%s). Start all "
            "workers again with the same command to go on.",
            reason,
        )
        # Not sys.exit, which would wait for the other worker once more.
        os._exit(callbacks.PREEMPTED)


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
