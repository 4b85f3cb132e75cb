"""The experiments at a size of seconds, and their computations."""

import csv
import inspect
import json
import math
import pathlib
import re
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from runs import finish, start
from scipy import stats

from keras_prelu import data
from keras_prelu.applications import CONSTRUCTORS
from keras_prelu.evaluation import evaluate
from keras_prelu.initializers import HeNormal
from keras_prelu.tables import read_csv, write_csv
from training.experiments import (
    arms,
    depth,
    first_try,
    gpu_scaling,
    page_tables,
    propagation,
    rectifiers,
    responses,
    shapes_difficulty,
    slopes,
    speed_beside_vgg19,
    tables,
    training_runs,
    ways_to_test,
)
from training.experiments import start as first_steps
from training.experiments.comparison import compare
from training.experiments.experiment import DIGITS, FULL, SMALL, Experiment, fill
from training.workdir import Workdir

pytestmark = pytest.mark.tensorflow_only


@pytest.fixture
def experiment(tmp_path):
    (tmp_path / "results").mkdir()
    return Experiment(tmp_path / "results", tmp_path / "work", SMALL)


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
    for run, error in zip(
        training_runs.sweep(arm, experiment), (0.2, 0.3), strict=True
    ):
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
    for _ in range(2):  # the same when the command is repeated
        with pytest.raises(
            ValueError, match=rf"{re.escape(seed.name)}, which diverged"
        ):
            training_runs.train_all([seed], experiment)


def test_an_arm_that_diverges_at_all_rates_is_named(experiment):
    arm = arms.Arm("model14", "relu")
    for run in training_runs.sweep(arm, experiment):
        pretend(run, experiment, [0.9])  # the first of two epochs
    with pytest.raises(
        ValueError, match=r"model14-relu does not diverge. Received: 0.005, 0.01$"
    ):
        training_runs.best_rate(arm, experiment)


def test_a_sweep_of_another_process_is_left_to_it(experiment, monkeypatch):
    first, second = (arms.Arm("model14", name) for name in ("relu", "prelu"))
    pretend_arm(second, experiment, 0.3)
    lock = Workdir(experiment.workdir / training_runs.sweep(first, experiment)[0].name)
    pretend(training_runs.sweep(first, experiment)[1], experiment, [1, 1])
    assert not training_runs.train_arms([first, second], experiment)
    del lock
    assert training_runs.train_arms([second], experiment)


def test_full_models_end_in_8_by_8_cells_and_clip_no_gradient():
    for net in arms.SIDES:
        run = arms.Run(arms.Arm(net, "relu"), 0.01, 0)
        model, trained = arms.build(run, FULL)
        assert model.get_layer("spp").input.shape[1:3] == (8, 8)
        assert trained.optimizer.global_clipnorm is None
        config = arms.configuration(run, FULL)
        paper = {"model_a": (8 / 7, 16 / 7)}.get(net, (8 / 7, 8 / 7))
        jitter = [side / config.data.image_size for side in config.data.scale]
        np.testing.assert_allclose(jitter, paper, atol=0.01)


def test_runs_differ_in_what_their_names_say():
    def built(*args, **kwargs):
        run = arms.Run(arms.Arm("model14", *args, **kwargs), 0.01, 0)
        return arms.build(run, SMALL)[0]

    def kernel_of(model):
        return model.get_layer("fc1").kernel.numpy()

    he, xavier, fan_out = (
        kernel_of(built("relu", initializer=name))
        for name in ("he", "xavier", "xavier_fan_out")
    )
    inputs, outputs = he.shape
    assert inputs > 2 * outputs
    np.testing.assert_allclose(he.std() * math.sqrt(inputs), math.sqrt(2), rtol=0.05)
    np.testing.assert_allclose(fan_out.std() * math.sqrt(outputs), 1, rtol=0.05)
    np.testing.assert_allclose(xavier.std() * math.sqrt(inputs), 1, rtol=0.05)
    one = built("relu", initializer="xavier")
    np.testing.assert_allclose(one.get_layer("fc3").kernel.numpy().std(), 0.01, 0.1)
    again = kernel_of(built("relu", initializer="xavier"))
    np.testing.assert_array_equal(xavier, again)  # a function of the seed

    fixed = built("prelu", slopes="fixed")
    assert not any(v.name == "alpha" for v in fixed.trainable_variables)
    assert any(v.name == "kernel" for v in fixed.trainable_variables)


@pytest.mark.parametrize(("case", "decay"), [("learned", 0), ("decayed", 0.0005)])
def test_slopes_decay_like_kernels_or_not_at_all(case, decay):
    run = arms.Run(arms.Arm("model14", "prelu", slopes=case), 0.01, 0)
    _, trained = arms.build(run, SMALL)
    variables = [v for v in trained.trainable_variables if v.name == "alpha"]
    assert len(variables) == 13
    trained.optimizer.apply([keras.ops.zeros(v.shape) for v in variables], variables)
    for variable in variables:
        # One step of 0.01 from 0.25 by decay alone, with at most two roundings.
        moved = 0.25 - variable.numpy().astype("float64")
        np.testing.assert_allclose(moved, 0.01 * decay * 0.25, rtol=0, atol=6e-8)


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
        assert (
            float(row["rate"]) == training_runs.RATES[1]
        )  # 0.4 against 0.5 in the sweep
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


@pytest.mark.slow
def test_a_first_try_with_the_defaults_of_sgd_learns():
    curve = first_try.losses("sgd", 0.01, 1 / 4, 96, seed=0, epochs=6)
    assert first_try.verdict(curve) == "learns", curve
    # A network this narrow takes longer; guessing has a loss of 1.39.
    curve = first_try.losses("sgd", 0.01, 1 / 16, 96, seed=1, epochs=6)
    assert curve[-1] < 1.2, curve


@pytest.mark.slow
def test_a_first_try_with_the_defaults_of_adam_stays_finite(monkeypatch):
    curve = first_try.losses("adam", 0.001, 1 / 16, 96, seed=0, epochs=2)
    assert np.isfinite(curve).all(), curve
    assert first_try.verdict([1.4, float("nan")]) == "diverges"
    assert first_try.verdict([1.4, 0.8]) == "does not learn"
    assert first_try.verdict([1.4, 0.1, 0.8]) == "learns, then loses it"


def test_a_gaussian_moves_as_far_as_its_rectifier_says():
    x = np.random.default_rng(0).normal(size=1_000_000)
    for slope in (0.0, 0.25):
        y = np.where(x > 0, x, slope * x)
        offset = responses.gaussian_offset(slope)
        assert offset == pytest.approx(y.mean() / y.std(), rel=0.01)
    assert responses.gaussian_offset(1.0) == 0


@pytest.mark.slow
def test_responses_of_trained_models_are_those_of_analysis(experiment, monkeypatch):
    for arm in responses.ARMS.values():
        pretend_arm(arm, experiment, 0.3)
    built = []

    def fresh(moment, run, experiment):
        built.append((moment, run.name))
        return arms.build(run, SMALL)[0]

    monkeypatch.setattr(responses, "model_at", fresh)
    monkeypatch.setattr(responses, "IMAGES", 16)
    responses.run(experiment)
    assert len(set(built)) == 3 * 4
    rows = rows_of(experiment.output / "responses.csv")
    assert len(rows) == 3 * 2 * 13
    assert [row["layer"] for row in rows][-2:] == ["fc1", "fc2"]
    # By hand, from the outputs of the same fresh nets.
    _, source = arms.sources(SMALL)
    x, _ = next(iter(data.eval_batches(source, 16, image_size=32, scale=36)))
    offsets = []
    for run in responses.runs("prelu", experiment):
        model, _ = arms.build(run, SMALL)
        layer = model.get_layer("prelu3_6").output
        values = keras.Model(model.inputs, layer).predict(x, verbose=0)
        offsets.append(abs(values.mean()) / values.std())
    row = next(r for r in rows if (r["rectifier"], r["layer"]) == ("PReLU", "conv3_6"))
    assert float(row["offset"]) == pytest.approx(np.mean(offsets), rel=1e-3)
    assert float(row["gaussian"]) == pytest.approx(0.4502, abs=1e-3)
    # A unit of fc1 has more weights than there are images.
    blocks = {row["layer"]: float(row["block"]) for row in rows}
    assert math.isnan(blocks["fc1"])
    assert not math.isnan(blocks["conv2_1"])
    assert len(verdicts(experiment.output / "responses_claims.csv")) == 9
    assert (experiment.output / "responses.png").stat().st_size > 5000


def test_networks_are_compared_in_the_first_epoch_of_equal_loss(
    experiment, monkeypatch
):
    relu, prelu = responses.ARMS.values()
    pretend_arm(relu, experiment, 0.5)  # ends at 0.5 and 0.7
    pretend_arm(prelu, experiment, 0.1)
    assert responses.equal_loss(experiment) == pytest.approx(0.77)
    run = responses.runs("prelu", experiment)[0]
    other, _ = arms.build(run, SMALL)
    other.set_weights([w + 1 for w in other.get_weights()])
    (experiment.workdir / run.name / "epochs").mkdir(parents=True)
    # 0.9, then 0.1: the second epoch.
    other.save_weights(experiment.workdir / run.name / "epochs" / "02.weights.h5")
    model = responses.model_at("at equal loss", run, experiment)
    for one, expected in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, expected)


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


@pytest.mark.parametrize(("last", "flat"), [(0.5, False), (0.62, False), (0.68, True)])
def test_a_loss_is_flat_if_it_falls_by_less_than_a_tenth(
    experiment, monkeypatch, last, flat
):
    experiment = experiment._replace(setting=FULL)
    losses = [2.7, 2.0, 1.5, 1.2, 1.1, 1.0, 0.9, 0.8, 0.7, *[0.7] * 4, last, *[0.1] * 6]
    monkeypatch.setattr(training_runs, "column", lambda run, experiment, name: losses)
    run = arms.Run(arms.Arm("model14", "relu"), 0.01, 0)
    assert training_runs.is_flat([run], experiment) is flat


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


@pytest.mark.slow
def test_the_difficulty_of_the_shapes_is_measured(experiment):
    shapes_difficulty.run(experiment)
    rows = rows_of(experiment.output / "shapes_difficulty.csv")
    assert [row["classifier"] for row in rows] == list(shapes_difficulty.CLASSIFIERS)
    assert all(0 <= float(row["accuracy"]) <= 1 for row in rows)
    assert (experiment.output / "shapes.png").stat().st_size > 5000


def test_photographs_have_the_statistics_of_photographs():
    images = first_steps.photographs(64, 64, np.random.default_rng(0))
    assert images.dtype == "float32"
    assert 0 <= images.min() < images.max() <= 255
    np.testing.assert_allclose(images.mean((0, 1, 2)), (123.7, 116.8, 103.9), atol=8)
    assert 45 < images.std() < 60
    red, green, _ = images.reshape(-1, 3).T
    assert 0.7 < np.corrcoef(red, green)[0, 1] < 0.9
    # Power falls as one over the frequency squared: 4 times for an octave.
    power = np.square(
        np.abs(np.fft.rfft2(images[..., 0] - images[..., 0].mean(), axes=(1, 2)))
    )
    ratio = power[:, 0, 4].mean() / power[:, 0, 8].mean()
    assert 2.5 < ratio < 6.5


@pytest.mark.slow
def test_a_start_with_inputs_too_large_fails_and_ours_does_not(experiment):
    rows = {
        remedy: first_steps.measure(
            {"net": "model14", "rectifier": "relu", "remedy": remedy, "batch": 128},
            experiment,
        )
        for remedy in first_steps.REMEDIES
    }
    scaled, plain = rows["input scaled"], rows["neither"]
    assert plain["logits_std"] == pytest.approx(58 * scaled["logits_std"], rel=0.1)
    assert rows["both"]["logits_std"] < scaled["logits_std"]
    assert scaled["verdict"] == "survives"
    assert [len(str(row["losses"]).split()) for row in rows.values()] == [2] * 4
    assert first_steps.verdict([6.9, 1e9]) == "fails"
    assert first_steps.verdict([6.9, float("nan")]) == "fails"


def test_every_net_took_20_finite_steps_at_full_width():
    folder = pathlib.Path(first_steps.__file__).parents[1]
    rows = read_csv(folder / "results" / "start.csv")
    default = {"rectifier": "prelu", "remedy": first_steps.DEFAULT, "batch": 32}
    taken = {
        row["net"]: [float(loss) for loss in str(row["losses"]).split()]
        for row in rows
        if default.items() <= row.items()
    }
    assert set(taken) == set(CONSTRUCTORS)
    for net, losses in taken.items():
        assert len(losses) == 20 and np.isfinite(losses).all(), net
        assert max(losses) < 2 * np.log(first_steps.CLASSES), net


def test_a_table_is_filled_where_it_has_gaps(tmp_path):
    measured = []

    def measure(cell):
        measured.append(cell["b"])
        return [{"value": cell["b"] / 3, "text": "x"}] * 2

    cells = [{"a": "one", "b": b, "c": True} for b in (1, 2, 0.25)]
    path = tmp_path / "table.csv"
    fill(path, cells[:1], measure)
    rows = fill(path, cells, measure)
    assert measured == [1, 2, 0.25]
    assert [row["b"] for row in rows] == [1, 1, 2, 2, 0.25, 0.25]
    assert rows[0]["value"] == pytest.approx(1 / 3, abs=1e-5)


def test_theory_gives_the_factors_of_a_layer():
    kernel = np.zeros((3, 3, 64, 128))
    # The rule that fits keeps the one, and the other changes with the width.
    assert propagation.factors(kernel, 0.25, "fan_in") == pytest.approx((1, 2))
    assert propagation.factors(kernel, 0.25, "fan_out") == pytest.approx((0.5, 1))
    assert propagation.factors(kernel, 0, "fan_in") == pytest.approx((1.0625, 2.125))
    assert propagation.factors(kernel, 1, "fan_in") == pytest.approx((0.53125, 1.0625))


def test_signals_follow_the_theory(experiment):
    cell = {"net": "model30", "rule": "Xavier"}
    rows = propagation.measure(cell, experiment, *propagation.full_size(experiment))
    assert (len(rows), rows[0]["layer"], rows[-1]["layer"]) == (29, "conv1", "fc2")
    ratio = rows[-1]["forward"] / rows[0]["forward"]
    theory = rows[-1]["forward_theory"] / rows[0]["forward_theory"]
    assert theory == pytest.approx(0.53125**28, rel=1e-3)
    # 25 bits down; so narrow a net is some bits off, and He's rule would be at 0.
    assert abs(math.log2(ratio / theory)) < 10


@pytest.mark.slow
def test_draws_of_the_weights_are_averaged(experiment):
    cell = {"net": "model14", "rule": "Xavier"}
    rows = propagation.measure(cell, experiment, 1 / 32, 32, draws=2)
    x = propagation.images(experiment, 32)
    one, two = (propagation.measure_draw(cell, x, 1 / 32, seed) for seed in (0, 1))
    assert one[3]["forward"] != two[3]["forward"]
    mean = (one[3]["forward"] + two[3]["forward"]) / 2
    assert rows[3]["forward"] == pytest.approx(mean, rel=1e-6)


def test_a_deviation_of_a_hundredth_loses_the_papers_factor(experiment):
    example = propagation.example(experiment)
    paper = 5.9 * 4.2**2 * 2.9**2 * 2.1**4
    assert example["kernels"] == 9
    assert example["theory"] == pytest.approx(paper, rel=0.05)
    assert 0.5 < example["measured"] / paper < 2


def test_costs_are_those_of_the_models():
    net = gpu_scaling.all_nets()["model_a"]
    fc = 63 * 512 * 4096 + 4096 * 4096 + 4096 * 1000
    assert net.fc_multiply_adds == fc
    assert net.fc_weights == fc + 4096 + 4096 + 1000
    assert net.fc_inputs == 63 * 512
    assert net.multiply_adds == pytest.approx(1.906e10, rel=1e-3)


def simulated_ring(machine, gpus, size):
    """Return the seconds of a ring, which sums parts and then distributes the sums."""
    have = [dict.fromkeys(range(gpus), 1) for _ in range(gpus)]  # sums of how many
    seconds = 0.0
    while any(count < gpus for parts in have for count in parts.values()):
        step = round(seconds / (size / gpus / machine.link + machine.latency))
        sent = [(i, (i - step) % gpus) for i in range(gpus)]
        moving = [(i, part, have[i][part]) for i, part in sent]
        for i, part, count in moving:
            to = have[(i + 1) % gpus]
            to[part] = to[part] + count if step < gpus - 1 else count
        seconds += size / gpus / machine.link + machine.latency
    return seconds


def test_a_ring_takes_as_long_as_its_steps():
    machine = gpu_scaling.P100
    for gpus in (2, 3, 8):
        seconds = gpu_scaling.ring(machine, gpus, 700e6)
        assert seconds == pytest.approx(simulated_ring(machine, gpus, 700e6))


def test_efficiency_falls_as_communication_grows():
    net, machine = gpu_scaling.all_nets()["model_a"], gpu_scaling.P100
    assert gpu_scaling.efficiency(net, machine, 1, 64) == pytest.approx(1)
    # By hand: 64 images on each of 16, gradients over 25 Gbit/s.
    compute = 6 * 64 * net.multiply_adds / machine.flops
    weights = net.convolution_weights + net.fc_weights
    moved = 30 * (weights * 4 / 16 / 3.125e9 + 1e-5)
    by_hand = compute / (compute + moved)
    assert gpu_scaling.efficiency(net, machine, 16, 64) == pytest.approx(by_hand)
    hidden = gpu_scaling.efficiency(net, machine, 16, 64, hidden=1.0)
    by_hand = compute / (compute + max(0, moved - 2 / 3 * compute))
    assert hidden == pytest.approx(by_hand)
    rest = 1024 * gpu_scaling.step(net, machine, 1024, 65536, fc_on_one=True)
    assert rest > 1024 * 6 * 65536 * net.fc_multiply_adds / machine.flops


def test_networks_are_timed_beside_vgg19(experiment, monkeypatch):
    for name, value in (("POLICIES", ["float32"]), ("PHASES", ["inference"])):
        monkeypatch.setattr(speed_beside_vgg19, name, value)
    rows = speed_beside_vgg19.times(
        {"policy": "float32", "phase": "inference", "batch": 2}, True
    )
    speed_beside_vgg19.nets.cache_clear()
    assert [row["net"] for row in rows] == ["model A, ReLU", "model A, PReLU", "VGG19"]
    for row in rows:
        ratio = row["seconds_per_image"] / rows[-1]["seconds_per_image"]
        assert row["of_vgg19"] == pytest.approx(ratio)


def test_cells_that_would_take_too_long_are_left_out(experiment, monkeypatch, capsys):
    slow = ("mixed_bfloat16", "training")

    def times(cell, is_small):
        seconds = 100 if (cell["policy"], cell["phase"]) == slow else 10
        row = {"seconds_per_image": seconds, "of_vgg19": 1, "machine": "two cores"}
        return [{"net": speed_beside_vgg19.REFERENCE, "multiply_adds": 1, **row}]

    monkeypatch.setattr(speed_beside_vgg19, "times", times)
    speed_beside_vgg19.run(experiment)
    rows = rows_of(experiment.output / "vgg-tensorflow.csv")
    # A batch of 4 takes 4 * 5 times the seconds an image: 200 and 2000, of 1800.
    assert [row["batch"] for row in rows] == ["1", "4"] * 3 + ["1"]
    assert "training, mixed_bfloat16: left out from a batch of 4" in (
        capsys.readouterr().out
    )
    assert (experiment.output / "vgg-tensorflow.png").stat().st_size > 5000


@pytest.mark.slow
def test_a_program_writes_tables_and_a_figure(tmp_path):
    code, printed = finish(
        start(
            "-m",
            "training.experiments.gpu_scaling",
            f"--output={tmp_path}",
            "--setting=small",
        )
    )
    assert code == 0, printed
    assert len(rows_of(tmp_path / "scaling.csv")) == 3 * 2 * 3 * 11
    assert len(rows_of(tmp_path / "scaling_checks.csv")) == 7
    assert (tmp_path / "scaling.png").stat().st_size > 5000


def test_tables_of_the_pages_are_those_of_the_results():
    pages = [page.read_text() for page in tables.PAGES]
    for page in pages:
        assert tables.filled(page, tables.RESULTS) == page
    for name in tables.TABLES:
        assert sum(f"<!-- {name} -->" in page for page in pages) == 1


def test_figures_in_the_text_are_in_the_tables():
    page = re.split(
        r"<!-- \w+ -->(.*?)<!-- end -->", tables.PAGES[0].read_text(), flags=re.S
    )
    said, shown = ("\n".join(page[i::2]) for i in (0, 1))
    figures = re.findall(r"\d+\.\d+ ± \d+\.\d+", said)
    assert [figure for figure in figures if figure not in shown] == []


def test_claims_that_were_not_run_say_so(tmp_path):
    write_csv(
        tmp_path / "slopes_claims.csv", [compare("x", [1, 2], [5, 6], -1)], DIGITS
    )
    table = page_tables.claims(tmp_path)
    assert "| (`depth.py`) | – | not run |" in table
    assert "| x | -4 (-7.04 to -0.958) | as in the paper |" in table


def test_published_runs_are_of_the_present_configuration():
    for folder in (tables.RESULTS / "runs").glob("model*"):
        net, rectifier, *cases, rate, seed = folder.name.split("-")
        kwargs = {
            "initializer" if case in arms.INITIALIZERS else "slopes": case
            for case in cases
        }
        arm = arms.Arm(net, rectifier, **kwargs)
        run = arms.Run(arm, float(rate), int(seed))
        assert run.name == folder.name
        config = json.loads((folder / "config.json").read_text())
        assert config == json.loads(arms.configuration(run, FULL).to_json())


def test_a_missing_table_says_so(tmp_path):
    assert tables.block("depth", tmp_path).startswith(
        "Not run: `python -m training.exp"
    )


def test_xavier_is_hes_rule_without_the_rectifier():
    layer = keras.layers.Dense(400, kernel_initializer=HeNormal(1.0, "fan_out", 0))
    layer.build((None, 300))
    assert layer.kernel.numpy().std() == pytest.approx(1 / 20, rel=0.02)
