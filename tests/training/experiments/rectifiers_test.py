"""Rectifiers and their slopes, and the interval that compares two arms."""

import math

import numpy as np
import pytest
from scipy import stats

from keras_prelu.tables import write_csv
from tests.training.experiments.pretended_runs import (
    pretend,
    pretend_arm,
    rows_of,
    verdicts,
)
from training.experiments import arms, rectifiers, slopes, training_runs
from training.experiments.comparison import compare
from training.experiments.experiment import DIGITS

pytestmark = pytest.mark.tensorflow_only


def test_a_verdict_needs_an_interval_without_zero():
    low, high = [0.10, 0.12, 0.11], [0.20, 0.24, 0.19]
    row = compare("lower", low, high, -1)
    # Welch's interval by hand.
    variances = [np.var(v, ddof=1) / 3 for v in (low, high)]
    degrees = sum(variances) ** 2 / sum(v**2 / 2 for v in variances)
    half = stats.t.ppf(0.975, degrees) * math.sqrt(sum(variances))
    assert row["difference"] == pytest.approx(-0.1)
    assert (row["low"], row["high"]) == pytest.approx((-0.1 - half, -0.1 + half))
    assert row["verdict"] == "as in the paper"
    assert compare("higher", low, high, 1)["verdict"] == "opposite"
    wide = [0.1, 0.3, 0.2]
    assert compare("lower", wide, high, -1)["verdict"] == "cannot tell"
    # Not seeing a difference does not show that there is none.
    assert compare("equal", wide, high, 0)["verdict"] == "cannot tell"
    assert compare("equal", low, high, 0)["verdict"] == "opposite"
    assert compare("lower", [0.1] * 3, [0.2] * 3, -1)["low"] == pytest.approx(-0.1)


def test_rectifiers_are_compared_by_interval(experiment, monkeypatch):
    for number, arm in enumerate(rectifiers.ARMS.values()):
        pretend_arm(arm, experiment, 0.4 - 0.1 * number)
    monkeypatch.setattr(rectifiers, "step_times", lambda experiment: [{"of_relu": 1}])
    rectifiers.run(experiment)
    rows = rows_of(experiment.output / "rectifiers.csv")
    assert [row["rectifier"] for row in rows] == list(rectifiers.RECTIFIERS)
    for number, row in enumerate(rows):
        assert float(row["val_top1_error"]) == pytest.approx(0.5 - 0.1 * number)
        # Of 0.4 and 0.6 as a sample: sqrt(2) * 0.1
        assert float(row["val_top1_error_spread"]) == pytest.approx(0.14142, abs=1e-5)
        # 0.4 against 0.5 in the sweep.
        assert float(row["rate"]) == training_runs.RATES[1]
    # Two seeds that are 0.2 apart cannot tell 0.4 apart.
    said = verdicts(experiment.output / "rectifiers_claims.csv")
    assert set(said.values()) == {"cannot tell"}
    assert (experiment.output / "rectifiers.png").stat().st_size > 5000


def test_steps_are_timed(experiment, monkeypatch):
    monkeypatch.setattr(rectifiers, "RECTIFIERS", {"ReLU": ("relu", "learned")})
    (row,) = rectifiers.step_times(experiment)
    assert (row["of_relu"], row["batch"]) == (1, 16)
    assert 0 < row["milliseconds"] < 60_000


def test_slopes_are_compared_with_the_papers(experiment):
    for form in slopes.FORMS:
        arm = arms.Arm("model14", form)
        pretend_arm(arm, experiment, 0.3, alphas=0.3)
        for seed, run in enumerate(slopes.runs(form, "decayed", experiment)):
            assert run.rate == training_runs.best_rate(arm, experiment)
            pretend(run, experiment, [0.9, 0.3], [0.25, 0.01 + 0.001 * seed])
    slopes.run(experiment)
    rows = rows_of(experiment.output / "slopes.csv")
    assert [row["layer"] for row in rows][:2] == ["conv1", "conv2_1"]
    assert (rows[12]["layer"], rows[12]["channel-wise, paper"]) == ("fc2", "0.075")
    for row in rows:
        assert row["shared, without decay"] == "0.35"
        assert row["channel-wise, with decay"] == "0.0105"
    for row in rows_of(experiment.output / "slopes_errors.csv"):
        assert (row["without decay"], row["with decay"]) == ("0.4", "0.3")
    said = verdicts(experiment.output / "slopes_claims.csv")
    # Two seeds, 0.1 apart, against 0.0105: the interval is 12.7 * 0.05 wide either way.
    assert said["Decay pulls slopes towards 0 (shared)"] == "cannot tell"
    assert len(said) == 6
    assert (experiment.output / "slopes.png").stat().st_size > 5000


def test_slopes_that_fall_with_depth_are_seen(experiment):
    for form in slopes.FORMS:
        pretend_arm(arms.Arm("model14", form), experiment, 0.3, alphas=0.3)
        for run in slopes.runs(form, "learned", experiment):
            falling = [
                {"epoch": 1, "layer": f"prelu{layer}", "mean": 0.5 - 0.03 * depth}
                for depth, layer in enumerate(slopes.PAPER)
            ]
            write_csv(
                experiment.output / "runs" / run.name / "slopes.csv", falling, DIGITS
            )
        for run in slopes.runs(form, "decayed", experiment):
            pretend(run, experiment, [0.9, 0.3], [0.25, 0.1])
    slopes.run(experiment)
    row = rows_of(experiment.output / "slopes_claims.csv")[0]
    assert row["claim"] == "Slopes fall with depth (shared)"
    assert (row["difference"], row["verdict"]) == ("-1", "as in the paper")
