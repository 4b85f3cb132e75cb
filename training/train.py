"""Train a model by a recipe. The same command continues a run that was stopped.

    python -m training.train --config=training/recipes/NAME.py --workdir=DIR \\
        [--config.KEY=VALUE ...]

Exit codes: 0, the run is complete; 2, an argument, the data or the checkpoints are
wrong; 3, the loss or a weight is not finite; 74, the model or the report could not be
written; 75, the run was stopped, by SIGTERM or because another worker has stopped or
did not start. After 74 and 75 the same command continues the run.
"""

import json
import os
import sys
import textwrap
import traceback

if not __package__:
    sys.exit("error: start this program by `python -m training.train`")

from absl import app, flags, logging

from training import console, errors

with console.quiet_import():
    from training import backends

import keras
from ml_collections import config_flags

from keras_prelu import callbacks, data, distribution
from keras_prelu.files import replacing
from keras_prelu.finetuning import fine_tune
from training import detection_recipe, from_recipe
from training.workdir import Workdir

_CONFIG = config_flags.DEFINE_config_file("config", None, "The recipe.")
_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of the run.")
_WAIT = flags.DEFINE_float(
    "wait", 600.0, "Seconds to wait for the other workers to start."
)
flags.mark_flags_as_required(["config", "workdir"])


def train(config):
    """Train, save and evaluate the model of a recipe."""
    if config.deterministic:
        backends.make_deterministic()
    is_fine_tuning = "finetune" in config
    task = detection_recipe if "detection" in config else from_recipe

    # Devices and the folder of the run.
    strategy = connect(config)
    workdir = Workdir(_WORKDIR.value, distribution.worker(strategy)[0])

    # Data. All workers must have the same.
    train_data, validation_data = task.open_sources(config)
    run = {
        "config": config.to_dict(),
        "data": {
            "train": train_data.fingerprint(),
            "validation": validation_data.fingerprint(),
        },
    }
    refuse_different_workers(strategy, run)

    # Model and optimizer. The seed is set after the data are opened, since preparing a
    # data set for the first time draws random numbers.
    keras.utils.set_random_seed(config.seed)
    model = trained = task.build_model(config, train_data, strategy)
    if not is_fine_tuning:  # `fine_tune` compiles the model itself
        trained = task.compile_model(model, config, strategy)

    # Callbacks.
    progress = callbacks.Progress(
        config.batch_size,
        config.epochs,
        workdir.log("speed.csv"),
        show=workdir.is_chief,
    )
    followers = [
        callbacks.SameRun(run),
        callbacks.MetricsLog(workdir.log("metrics.csv")),
        callbacks.SlopesLog(workdir.log("slopes.csv")),
        progress,
        # Not earlier: what is wrong with an argument must show before the run is
        # written, which would refuse the corrected argument.
        keras.callbacks.LambdaCallback(on_train_begin=lambda logs: workdir.keep()),
    ]
    if workdir.is_chief and backends.HAS_TENSORFLOW:
        followers.append(callbacks.TensorBoardLog(workdir.path / "tensorboard"))

    # Batches and schedule.
    if not is_fine_tuning:
        steps = from_recipe.steps_per_epoch(config, train_data, strategy)
        rates = from_recipe.schedule(config.schedule, config.optimizer.learning_rate)
        resume = callbacks.ExactResume(workdir.checkpoints, **config.checkpoint)

        def batches_from(step):
            return task.train_batches(
                config, train_data, strategy, step, progress.watch
            )

        validation_batches = task.eval_batches(config, validation_data, strategy)

    # Fit.
    workdir.compare(run["config"], command_line(), run["data"])
    describe(task, config, strategy, model, trained, train_data, validation_data)
    # On JAX, Keras trains on the devices of the scope in which `fit` is called.
    with strategy.scope():
        if is_fine_tuning:
            options = {
                **config.finetune,
                "epochs": config.epochs,
                "batch_size": config.batch_size,
            }
            model = fine_tune(
                model,
                train_data,
                validation_data,
                # `fine_tune` chooses the others.
                **{name: value for name, value in options.items() if value is not None},
                scale=tuple(config.data.scale),
                eval_scale=config.data.eval_scale,
                directory=workdir.checkpoints,
                callbacks=followers,
                seed=config.seed,
            ).model
        else:
            callbacks.resumable_fit(
                trained,
                batches_from,
                config.epochs,
                steps,
                resume,
                [rates, *followers],
                validation_batches,
            )

    # Save and report.
    if workdir.is_chief:
        print("Trained. Writing the model and the report.", flush=True)
        with errors.when_not_written(
            "make room, and the same command finishes the run"
        ):
            workdir.keep()
            for follower in followers:
                if isinstance(follower, callbacks.logs.TableLog):
                    follower.write()
            with replacing(workdir.path / "model.keras") as aside:
                model.save(aside)
            task.write_report(workdir.path, config, validation_data)


def command_line():
    """Return the command that started this program, a list of strings."""
    backend = keras.backend.backend()
    chosen = [] if backend == "tensorflow" else [f"KERAS_BACKEND={backend}"]
    return [*chosen, "python", *sys.orig_argv[1:]]


def connect(config):
    """Return the strategy; end with code 75 if the other workers do not start."""
    try:
        return distribution.strategy(config.distribution, _WAIT.value)
    except distribution.WorkersMissingError as error:
        errors.end(error, callbacks.PREEMPTED)
        raise


def refuse_different_workers(strategy, run):
    """Raise the same error on all workers if they would train different runs.

    Args:
        strategy: A `tf.distribute.Strategy`.
        run: The configuration and the data of this worker, a dict that `json` can
            write.
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


def describe(task, config, strategy, model, trained, train_data, validation_data):
    """Print what will be trained, on which data and devices."""
    is_asked_for = config.get("jit", "auto") != "auto"
    compiler = "torch.compile" if keras.backend.backend() == "torch" else "XLA"
    state = "on" if trained.jit_compile else "off"
    lines = {
        "Model": task.describe_model(config, model),
        "Devices": f"{', '.join(distribution.devices(strategy))}, used by "
        f"{keras.backend.backend()}; "
        f"{strategy.num_replicas_in_sync} replica(s) on "
        f"{distribution.worker(strategy)[1]} worker(s)",
        "Batches": f"{config.batch_size or 'chosen by fine_tune:'} images over all "
        f"replicas; {config.dtype}; {compiler} "
        f"{state} ({'as configured' if is_asked_for else 'chosen by Keras'})",
        "Data": f"{len(train_data):,} training images and {len(validation_data):,} "
        f"validation images, bad ones included; {len(train_data.class_names)} classes",
    }
    print("\n".join(f"{k + ':':<9}{v}" for k, v in lines.items()), flush=True)


def parse(arguments):
    """Return the arguments that are left after the flags."""
    # Reading the value loads the recipe, and refuses keys that do not exist.
    with errors.in_one_line((AttributeError, LookupError, TypeError, ValueError)):
        left = flags.FLAGS(arguments)
        _CONFIG.value  # noqa: B018
        return left


def explain_stop(error):
    """Print why one of several workers stops, and return its exit code.

    Args:
        error: The error of TensorFlow that stops it.
    """
    if not backends.is_of_another_worker(error):
        traceback.print_exception(error)
        return 1
    logging.error(
        "Stopped: another worker has gone, or cannot be reached (%s). Start all "
        "workers again with the same command to continue.",
        textwrap.shorten(error.message, 300),
    )
    return callbacks.PREEMPTED


@errors.in_one_line((data.DataError,))
def main(_):
    """Train, and end with the exit code that tells how."""
    config = _CONFIG.value
    try:
        with errors.in_one_line():
            train(config)
    except callbacks.NotFiniteError as error:
        logging.error("%s", error)
        sys.exit(errors.NOT_FINITE)
    except backends.errors_of_tensorflow() as error:
        if config.distribution != "multi_worker":
            raise
        # sys.exit would wait for the other worker once more.
        os._exit(explain_stop(error))


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
