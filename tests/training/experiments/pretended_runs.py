"""Files of runs that were never trained, and tables of results read back."""

import csv

from keras_prelu.tables import write_csv
from training.experiments import arms, slopes, training_runs
from training.experiments.experiment import DIGITS


def pretend(run, experiment, errors, alphas=None):
    """Write the files of a finished run: two epochs with the given errors."""
    folder = experiment.output / "runs" / run.name
    folder.mkdir(parents=True)
    names = ("loss", "top1_error", "val_loss", "val_top1_error", "val_top5_error")
    write_csv(folder / "metrics.csv", [dict.fromkeys(names, e) for e in errors], DIGITS)
    if alphas:
        rows = [
            {"epoch": epoch, "layer": f"prelu{layer}", "mean": alpha}
            for epoch, alpha in enumerate(alphas)
            for layer in slopes.PAPER
        ]
        write_csv(folder / "slopes.csv", rows, DIGITS)
    config = arms.configuration(run, experiment.setting).to_json()
    (folder / "config.json").write_text(config)


def pretend_arm(arm, experiment, errors, alphas=None, sweep=(0.5, 0.4)):
    """Write the runs of an arm: its sweep, and one for each seed."""
    for run, error in zip(training_runs.sweep(arm, experiment), sweep, strict=True):
        pretend(run, experiment, [0.9, error])
    for seed, run in enumerate(training_runs.runs_of(arm, experiment)):
        alpha = None if alphas is None else [0.25, alphas + 0.1 * seed]
        pretend(run, experiment, [0.9, errors + 0.2 * seed], alpha)


def verdicts(path):
    return {row["claim"]: row["verdict"] for row in rows_of(path)}


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))
