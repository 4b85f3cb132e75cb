"""Networks of several depths, started by He's rule and by Xavier's."""

import numpy as np
import pytest

from tests.training.experiments.pretended_runs import pretend_arm, rows_of
from training.experiments import depth, training_runs
from training.workdir import Workdir

pytestmark = pytest.mark.tensorflow_only


def test_depths_are_compared(experiment):
    cases = depth.cases(depth.NETS)
    for number, case in enumerate(cases):
        pretend_arm(depth.arm(case), experiment, number / 10)
    depth.run(experiment)
    rows = rows_of(experiment.output / "depth.csv")
    assert [(row["net"], row["initializer"]) for row in rows] == cases
    # The mean over two seeds, which are 0.2 apart.
    losses = [float(row["last_loss"]) for row in rows]
    np.testing.assert_allclose(losses, 0.1 + np.arange(9) / 10)
    assert {row["first_loss"] for row in rows} == {"0.9"}
    assert {row["flat"] for row in rows} == {"True"}
    claims = rows_of(experiment.output / "depth_claims.csv")
    assert len(claims) == 7
    # He's start minus Xavier's; model B's loss is a mean over both epochs.
    differences = [float(row["difference"]) for row in claims]
    expected = [-0.1, -0.2, -0.05, -0.1, -0.1, -0.2, 0.6]
    np.testing.assert_allclose(differences, expected, atol=1e-4)
    assert (experiment.output / "depth.png").stat().st_size > 5000


def test_depths_that_are_finished_are_written(experiment):
    """Model B is another process's work, and not finished."""
    for case in depth.cases(["model14", "model30"]):
        pretend_arm(depth.arm(case), experiment, 0.3)
    locks = [
        Workdir(experiment.workdir / run.name)
        for case in depth.cases(["model_b"])
        for run in training_runs.sweep(depth.arm(case), experiment)
    ]
    depth.run(experiment)
    rows = rows_of(experiment.output / "depth.csv")
    assert {row["net"] for row in rows} == {"model14", "model30"}
    claims = [row["claim"] for row in rows_of(experiment.output / "depth_claims.csv")]
    assert [claim[:9] for claim in claims] == [
        *["14 layers"] * 2,
        *["30 layers"] * 3,
    ]
    del locks


def test_degradation_is_not_tested_while_the_loss_falls(experiment, monkeypatch):
    for case in depth.cases(depth.NETS):
        pretend_arm(depth.arm(case), experiment, 0.3)
    assert depth.degradation(experiment)["verdict"] == "cannot tell"
    monkeypatch.setattr(
        training_runs, "is_flat", lambda runs, experiment: runs[0].arm.net == "model14"
    )
    assert depth.degradation(experiment)["verdict"] == "not tested"
