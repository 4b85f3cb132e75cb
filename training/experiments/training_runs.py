"""The training runs of the experiments: each has a name, a seed and a folder of tables.

A run whose tables are among the results is not trained again. A run that was stopped
continues from its checkpoint. Several processes can work at the same time: each takes a
run that no other process is working on. Experiments that need the same run share it.
"""

import json
import math
import shutil
import statistics
import sys

import keras

from keras_prelu import callbacks, distribution
from keras_prelu.files import replacing
from keras_prelu.tables import read_csv
from training import from_recipe
from training.experiments.arms import Arm, Run, build, configuration, sources
from training.experiments.comparison import NOT_TESTED
from training.workdir import InUseError, Workdir

# Each arm of a comparison is trained at each learning rate with a seed that is used for
# nothing else. It is then compared at its own best rate.
RATES = (0.005, 0.01, 0.02)
SWEEP_SEED = 99
_RATES = "`RATES` in training/experiments/training_runs.py"  # for messages
TABLES = ("metrics.csv", "slopes.csv")
COMPARED_AT_EQUAL_LOSS = (Arm("model14", "relu"), Arm("model14", "prelu"))


def train(run, experiment):
    """Train a run from its checkpoint, and copy its tables to the results.

    A run of the sweep may diverge: its learning rate is too high. Its tables then end
    before that epoch.

    Raises:
        InUseError: If another process is working on the run.
        ValueError: If a run that is not of the sweep diverges.
    """
    config = configuration(run, experiment.setting)
    workdir = Workdir(experiment.workdir / run.name)
    workdir.claim(config.to_dict(), ["python", *sys.orig_argv[1:]])
    print(f"{run.name}: {config.epochs} epochs", flush=True)
    try:
        _fit(run, config, workdir, experiment.setting)
    except callbacks.NotFiniteError as error:
        if run.seed != SWEEP_SEED:
            # A mean over the other seeds would hide that the arm can diverge.
            raise ValueError(
                "The runs of an arm must not diverge at the rate that its sweep chose. "
                f"Received: {run.name}, which diverged: its tables are in "
                f"{workdir.path}. This is a result, and repeating the command gives it "
                f"again. To compare at other rates, change {_RATES}"
            ) from error
        print(f"{run.name}: {error}", flush=True)
    _publish(run, experiment)


def _fit(run, config, workdir, setting):
    """Train a run from its checkpoint, and save its model."""
    keras.backend.clear_session()
    model, trained = build(run, setting)
    train, validation = sources(setting)
    strategy = distribution.strategy("one_device")
    callbacks.resumable_fit(
        trained,
        lambda step: from_recipe.train_batches(config, train, strategy, step),
        config.epochs,
        from_recipe.steps_per_epoch(config, train, strategy),
        callbacks.ExactResume(workdir.checkpoints),
        [
            from_recipe.schedule(config.schedule, config.optimizer.learning_rate),
            callbacks.MetricsLog(workdir.path / "metrics.csv"),
            callbacks.SlopesLog(workdir.path / "slopes.csv"),
            callbacks.Progress(config.batch_size, config.epochs),
            *_weights_by_epoch(run, model, workdir),
        ],
        validation_data=from_recipe.eval_batches(config, validation, strategy),
    )
    workdir.keep()
    with replacing(workdir.path / "model.keras") as aside:
        model.save(aside)


def _weights_by_epoch(run, model, workdir):
    """Return a list of the callback that keeps the weights of each epoch, if needed.

    responses.py needs them to compare networks at equal loss.
    """
    if run.arm not in COMPARED_AT_EQUAL_LOSS:
        return []
    folder = workdir.path / "epochs"
    folder.mkdir(exist_ok=True)

    def save(epoch, logs):
        model.save_weights(folder / f"{epoch + 1:02d}.weights.h5")

    return [keras.callbacks.LambdaCallback(on_epoch_end=save)]


def _publish(run, experiment):
    """Copy the tables of a run to the results, and its configuration last."""
    folder = experiment.output / "runs" / run.name
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*TABLES, "config.json"):
        source = experiment.workdir / run.name / name
        if source.exists():  # a model without PReLU has no slopes.csv
            with replacing(folder / name) as aside:
                shutil.copyfile(source, aside)


def is_finished(run, experiment):
    """Return whether the results contain the tables of a run as configured now."""
    path = experiment.output / "runs" / run.name / "config.json"
    if not path.exists():
        return False
    config = configuration(run, experiment.setting).to_json()
    if json.loads(path.read_text()) != json.loads(config):
        raise ValueError(
            "Argument `output` must hold no results of another configuration. "
            f"Received: output={experiment.output}, with {path}"
        )
    return True


def train_all(runs, experiment):
    """Train the missing runs, and return whether all runs are finished.

    The result is false if another process is still working on one of them.
    """
    for run in runs:
        if not is_finished(run, experiment):
            try:
                train(run, experiment)
            except InUseError:
                print(f"{run.name}: another process is working on it", flush=True)
    left = [run.name for run in runs if not is_finished(run, experiment)]
    if left:
        print(
            f"To be finished by another process: {', '.join(left)}. After that the "
            "same command writes the table and draws."
        )
    return not left


def sweep(arm, experiment):
    """Return the runs that choose the learning rate of an arm."""
    rates = RATES[:2] if experiment.is_small else RATES
    return [Run(arm, rate, SWEEP_SEED) for rate in rates]


def best_rate(arm, experiment):
    """Return the learning rate with the lowest validation error in a finished sweep."""
    errors = {
        run.rate: final(run, experiment, "val_top1_error")
        for run in sweep(arm, experiment)
    }
    finished = {rate: e for rate, e in errors.items() if not math.isnan(e)}
    if not finished:
        raise ValueError(
            f"{_RATES} must have a learning rate at which {arm.name} does not diverge. "
            f"Received: {', '.join(f'{rate:g}' for rate in errors)}"
        )
    return min(finished, key=finished.get)


def runs_of(arm, experiment, seeds=None):
    """Return the runs of an arm at its best rate, one for each seed."""
    rate = best_rate(arm, experiment)
    return [Run(arm, rate, seed) for seed in seeds or experiment.seeds]


def train_arms(arms, experiment, seeds=None):
    """Train the sweep and the seeds of each arm, and return whether all are finished.

    If another process is still working on the sweep of an arm, its seeds are left to a
    later call.
    """
    finished = [
        train_all(sweep(arm, experiment), experiment)
        and train_all(runs_of(arm, experiment, seeds), experiment)
        for arm in arms
    ]
    return all(finished)


def table(run, experiment, name="metrics.csv"):
    """Return the rows of a table of a finished run."""
    return read_csv(experiment.output / "runs" / run.name / name)


def column(run, experiment, name):
    """Return a metric of a finished run after each epoch."""
    return [row[name] for row in table(run, experiment)]


def final(run, experiment, name):
    """Return a metric of a run after its last epoch, or NaN if it diverged before."""
    path = experiment.output / "runs" / run.name / "metrics.csv"
    rows = read_csv(path) if path.exists() else []
    complete = len(rows) == configuration(run, experiment.setting).epochs
    return rows[-1][name] if complete else math.nan


def last(runs, experiment, name):
    """Return a metric of each run after its last epoch."""
    return [final(run, experiment, name) for run in runs]


def is_flat(runs, experiment):
    """Return whether the training loss had stopped falling at the first learning rate.

    That is, whether it fell by less than a tenth over the last five epochs before the
    rate was lowered.
    """
    epochs = configuration(runs[0], experiment.setting).schedule.epochs[0] - 1
    losses = [column(run, experiment, "loss") for run in runs]
    before, after = (
        statistics.mean(loss[max(0, epoch)] for loss in losses)
        for epoch in (epochs - 6, epochs - 1)
    )
    return after > 0.9 * before


def tested_if_flat(claim, arms, experiment):
    """Return a claim about several lists of runs, not tested if a loss still fell."""
    is_tested = all(is_flat(runs, experiment) for runs in arms)
    return claim if is_tested else {**claim, "verdict": NOT_TESTED}


def load(run, experiment):
    """Return the trained model of a run."""
    path = experiment.workdir / run.name / "model.keras"
    if not path.exists():
        raise ValueError(
            "Argument `workdir` must be the folder in which the run was trained. To "
            "train it again, remove the folder of its results. "
            f"Received: workdir={experiment.workdir}, without {path}"
        )
    return keras.saving.load_model(path, compile=False)
