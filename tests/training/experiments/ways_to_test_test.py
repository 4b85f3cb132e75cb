"""The paper's ways to test a network."""

import inspect
from types import SimpleNamespace

import pytest

from keras_prelu.evaluation import evaluate
from tests.training.experiments.pretended_runs import pretend_arm, rows_of, verdicts
from training.experiments import training_runs, ways_to_test

pytestmark = pytest.mark.tensorflow_only


def test_ways_to_test_are_averaged_by_net_and_by_ensemble(experiment, monkeypatch):
    errors = {}
    for name, arm in ways_to_test.ARMS.items():
        pretend_arm(arm, experiment, 0.3)
        for seed, run in enumerate(ways_to_test.runs(name, experiment)):
            errors[run] = 0.2 + 0.1 * seed + 0.4 * (name == "prelu")

    tested = []

    def pretended(models, source, protocol, scales, **arguments):
        inspect.signature(evaluate).bind(models, source, protocol, scales, **arguments)
        tested.append((len(models), protocol, arguments["flip"]))
        error = min(errors[model] for model in models) - 0.1 * arguments["flip"]
        by_scale = dict.fromkeys(scales, (error, error / 2))
        return SimpleNamespace(by_scale=by_scale, top1=0.01, top5=0.02)

    monkeypatch.setattr(ways_to_test, "evaluate", pretended)
    monkeypatch.setattr(training_runs, "load", lambda run, experiment: run)
    ways_to_test.run(experiment)
    rows = rows_of(experiment.output / "scales.csv")
    assert [(row["way"], row["scale"]) for row in rows] == [
        (way, scale) for way in ways_to_test.WAYS for scale in ("37", "55", "69", "all")
    ]
    by_way = {(row["way"], row["scale"]): row for row in rows}
    first, flipped = by_way["five views", "37"], by_way["ten views", "37"]
    assert (first["relu_top1_error"], first["prelu_top1_error"]) == ("0.25", "0.65")
    assert flipped["prelu_top5_error"] == "0.275"
    last = by_way["dense", "all"]
    assert (last["relu_top1_error"], last["prelu_top5_error"]) == ("0.01", "0.02")
    rows = rows_of(experiment.output / "scales_ensembles.csv")
    assert [(r["models"], r["top1_error"]) for r in rows if r["scale"] == "55"] == [
        ("relu", "0.1"),
        ("prelu", "0.5"),
        ("both", "0.1"),
    ]
    assert [kind for kind in tested if kind[0] > 1] == [
        (2, "dense", True),
        (2, "dense", True),
        (4, "dense", True),
    ]
    claims = {
        row["claim"]: row for row in rows_of(experiment.output / "scales_claims.csv")
    }
    # Every net has the same 0.01 over all scales, and 0.4 less with ReLU at each.
    row = claims["PReLU has a lower error than ReLU, dense, at 55"]
    assert float(row["difference"]) == pytest.approx(0.4)
    assert (experiment.output / "scales.png").stat().st_size > 5000
    monkeypatch.setattr(
        training_runs,
        "is_flat",
        lambda runs, experiment: runs[0].arm.rectifier == "prelu",
    )
    ways_to_test.run(experiment)
    untested = {
        claim: verdict == "not tested"
        for claim, verdict in verdicts(experiment.output / "scales_claims.csv").items()
    }
    assert untested == {claim: "than ReLU" in claim for claim in untested}
    assert len(untested) == 7
