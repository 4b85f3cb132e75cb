"""Runs that are trained once, at the best rate of their arm."""

import math
import re

import numpy as np
import pytest

from tests.training.experiments.pretended_runs import pretend, pretend_arm, rows_of
from training.experiments import arms, slopes, training_runs
from training.experiments.experiment import FULL, SMALL
from training.workdir import Workdir

pytestmark = pytest.mark.tensorflow_only


def test_a_run_is_trained_once(experiment, monkeypatch):
    run = arms.Run(arms.Arm("model14", "prelu"), 0.01, 1)
    assert training_runs.train_all([run], experiment)
    folder = experiment.output / "runs" / "model14-prelu-0.01-1"
    assert [row["epoch"] for row in rows_of(folder / "metrics.csv")] == ["1", "2"]
    rows = rows_of(folder / "slopes.csv")
    assert [row["layer"] for row in rows[13:]] == [f"prelu{x}" for x in slopes.PAPER]
    model = training_runs.load(run, experiment)
    last = [row["mean"] for row in rows[13:]]
    alphas = [w.numpy().mean() for w in model.weights if w.name == "alpha"]
    np.testing.assert_allclose(np.array(last, float), alphas, rtol=1e-5)
    # The weights of the last epoch are those of the model.
    kept, _ = arms.build(run, SMALL)
    kept.load_weights(experiment.workdir / run.name / "epochs" / "02.weights.h5")
    for one, other in zip(kept.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)

    monkeypatch.setattr(training_runs, "train", None)
    assert training_runs.train_all([run], experiment)
    other = experiment._replace(setting=FULL)
    with pytest.raises(ValueError, match="no results of another configuration. Rec"):
        training_runs.train_all([run], other)


def test_a_run_of_another_process_is_left_to_it(experiment, capsys):
    run = arms.Run(arms.Arm("model14", "relu"), 0.01, 0)
    lock = Workdir(experiment.workdir / run.name)
    assert not training_runs.train_all([run], experiment)
    assert "another process" in capsys.readouterr().out
    assert not (experiment.output / "runs").exists()
    del lock


def test_an_arm_is_trained_at_its_best_rate(experiment):
    arm = arms.Arm("model14", "relu")
    sweep = training_runs.sweep(arm, experiment)
    for run, error in zip(sweep, (0.2, 0.3), strict=True):
        pretend(run, experiment, [0.1, error])
    assert training_runs.best_rate(arm, experiment) == training_runs.RATES[0]
    runs = training_runs.runs_of(arm, experiment)
    assert [run.name for run in runs] == [
        "model14-relu-0.005-0",
        "model14-relu-0.005-1",
    ]
    rates = {
        arms.configuration(run, experiment.setting).optimizer.learning_rate
        for run in runs
    }
    assert rates == {0.005}
    assert training_runs.SWEEP_SEED not in [run.seed for run in runs]


@pytest.mark.slow
def test_a_rate_of_the_sweep_that_diverges_is_not_the_best(experiment, monkeypatch):
    arm = arms.Arm("model14", "relu")
    slow, fast = training_runs.sweep(arm, experiment)
    diverging = slow._replace(rate=1e20)
    training_runs.train_all([diverging, fast], experiment)
    training_runs.train_all([diverging], experiment)  # is not trained again
    assert math.isnan(training_runs.final(diverging, experiment, "val_top1_error"))
    monkeypatch.setattr(training_runs, "RATES", (diverging.rate, fast.rate))
    assert training_runs.best_rate(arm, experiment) == fast.rate
    seed = diverging._replace(seed=0)
    message = rf"{re.escape(seed.name)}, which diverged"
    for _ in range(2):  # the same when the command is repeated
        with pytest.raises(ValueError, match=message):
            training_runs.train_all([seed], experiment)


def test_an_arm_that_diverges_at_all_rates_is_named(experiment):
    arm = arms.Arm("model14", "relu")
    for run in training_runs.sweep(arm, experiment):
        pretend(run, experiment, [0.9])  # the first of two epochs
    message = r"model14-relu does not diverge. Received: 0.005, 0.01$"
    with pytest.raises(ValueError, match=message):
        training_runs.best_rate(arm, experiment)


def test_a_sweep_of_another_process_is_left_to_it(experiment):
    first, second = (arms.Arm("model14", name) for name in ("relu", "prelu"))
    pretend_arm(second, experiment, 0.3)
    lock = Workdir(experiment.workdir / training_runs.sweep(first, experiment)[0].name)
    pretend(training_runs.sweep(first, experiment)[1], experiment, [1, 1])
    assert not training_runs.train_arms([first, second], experiment)
    del lock
    assert training_runs.train_arms([second], experiment)


@pytest.mark.parametrize(("last", "flat"), [(0.5, False), (0.62, False), (0.68, True)])
def test_a_loss_is_flat_if_it_falls_by_less_than_a_tenth(
    experiment, monkeypatch, last, flat
):
    experiment = experiment._replace(setting=FULL)
    losses = [2.7, 2.0, 1.5, 1.2, 1.1, 1.0, 0.9, 0.8, 0.7, *[0.7] * 4, last, *[0.1] * 6]
    monkeypatch.setattr(training_runs, "column", lambda run, experiment, name: losses)
    run = arms.Run(arms.Arm("model14", "relu"), 0.01, 0)
    assert training_runs.is_flat([run], experiment) is flat
