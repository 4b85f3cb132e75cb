"""The experiments, at a size of seconds, and what they compute from their runs."""

import csv
import inspect
import json
import math
import re
from types import SimpleNamespace

import _program
import _runs
import depth
import keras
import numpy as np
import propagation
import pytest
import rectifiers
import responses
import scales
import scaling
import slopes
import tables
import vgg
from _program import SMALL, Place
from runs import ROOT, finish, start
from workdir import Workdir

from keras_prelu import data
from keras_prelu.evaluation import evaluate
from keras_prelu.initializers import HeNormal

pytestmark = pytest.mark.tensorflow_only


@pytest.fixture
def place(tmp_path):
    (tmp_path / "results").mkdir()
    return Place(tmp_path / "results", tmp_path / "work", SMALL)


def pretend(run, place, errors, alphas=None):
    """Leaves what a finished run leaves: two epochs with the given errors."""
    folder = place.output / "runs" / run.name
    folder.mkdir(parents=True)
    names = ("loss", "top1_error", "val_loss", "val_top1_error", "val_top5_error")
    _program.write(folder / "metrics.csv", [dict.fromkeys(names, e) for e in errors])
    if alphas:
        rows = [
            {"epoch": epoch, "layer": f"prelu{layer}", "mean": alpha}
            for epoch, alpha in enumerate(alphas)
            for layer in slopes.PAPER
        ]
        _program.write(folder / "slopes.csv", rows)
    config = _runs.configuration(run, place.setting).to_json()
    (folder / "config.json").write_text(config)


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_run_is_trained_once(place, monkeypatch):
    run = _runs.Run("model14", "prelu", 1)
    assert _runs.train_all([run], place)
    folder = place.output / "runs" / "model14-prelu-1"
    assert [row["epoch"] for row in rows_of(folder / "metrics.csv")] == ["1", "2"]
    found = rows_of(folder / "slopes.csv")
    assert [row["layer"] for row in found[13:]] == [f"prelu{x}" for x in slopes.PAPER]
    model = _runs.load(run, place)
    last = [row["mean"] for row in found[13:]]
    alphas = [w.numpy().mean() for w in model.weights if w.name == "alpha"]
    np.testing.assert_allclose(np.array(last, float), alphas, rtol=1e-5)

    monkeypatch.setattr(_runs, "train", None)
    assert _runs.train_all([run], place)
    other = place._replace(setting=_program.FULL)
    with pytest.raises(ValueError, match="no results of another configuration. Rec"):
        _runs.train_all([run], other)


def test_a_run_that_another_process_is_at_is_left_to_it(place, capsys):
    run = _runs.Run("model14", "relu", 0)
    lock = Workdir(place.workdir / run.name)
    assert not _runs.train_all([run], place)
    assert "another process" in capsys.readouterr().out
    assert not (place.output / "runs").exists()
    del lock


def test_runs_differ_in_what_their_names_say():
    def built(*args, **kwargs):
        return _runs.build(_runs.Run("model14", *args, **kwargs), SMALL)[0]

    def deviation(model):
        kernel = model.get_layer("fc2").kernel.numpy()
        return kernel.std() * math.sqrt(kernel.shape[1])  # by fan out

    # The two rules are a factor sqrt(2) apart.
    he, xavier = built("relu", 0), built("relu", 0, initializer="xavier")
    np.testing.assert_allclose(deviation(he), math.sqrt(2), rtol=0.05)
    np.testing.assert_allclose(deviation(xavier), 1, rtol=0.05)
    np.testing.assert_allclose(xavier.get_layer("fc3").kernel.numpy().std(), 0.01, 0.1)

    fixed = built("prelu", 0, slopes="fixed")
    assert not any(v.name == "alpha" for v in fixed.trainable_variables)
    assert any(v.name == "kernel" for v in fixed.trainable_variables)


@pytest.mark.parametrize(("case", "decay"), [("learned", 0), ("decayed", 0.0005)])
def test_slopes_decay_as_kernels_do_if_at_all(case, decay):
    run = _runs.Run("model14", "prelu", 0, slopes=case)
    _, trained = _runs.build(run, SMALL)
    variables = [v for v in trained.trainable_variables if v.name == "alpha"]
    assert len(variables) == 13
    assert trained.optimizer.global_clipnorm == 1
    trained.optimizer.apply([keras.ops.zeros(v.shape) for v in variables], variables)
    for variable in variables:
        # One step of 0.01 from 0.25, and nothing but the decay: 2 or 0 roundings.
        moved = 0.25 - variable.numpy().astype("float64")
        np.testing.assert_allclose(moved, 0.01 * decay * 0.25, rtol=0, atol=6e-8)


def test_rectifiers_are_compared_by_mean_and_spread(place, monkeypatch):
    for label in rectifiers.RECTIFIERS:
        for seed, run in enumerate(rectifiers.runs(label, place)):
            pretend(run, place, [0.9, 0.4 + 0.2 * seed])
    monkeypatch.setattr(rectifiers, "step_times", lambda place: [{"of_relu": 1}])
    rectifiers.run(place)
    found = rows_of(place.output / "rectifiers.csv")
    assert [row["rectifier"] for row in found] == list(rectifiers.RECTIFIERS)
    for row in found:
        assert float(row["val_top1_error"]) == pytest.approx(0.5)
        # Of 0.4 and 0.6 as a sample: sqrt(2) * 0.1
        assert float(row["val_top1_error_spread"]) == pytest.approx(0.14142, abs=1e-5)
    assert (place.output / "rectifiers.png").stat().st_size > 5000


def test_steps_are_timed(place, monkeypatch):
    monkeypatch.setattr(rectifiers, "RECTIFIERS", {"ReLU": ("relu", "learned")})
    (row,) = rectifiers.step_times(place)
    assert (row["of_relu"], row["batch"]) == (1, 16)
    assert 0 < row["milliseconds"] < 60_000


def test_slopes_stand_beside_the_papers(place):
    for form in slopes.FORMS:
        for case, alpha in (("learned", 0.3), ("decayed", 0.1)):
            for seed, run in enumerate(slopes.runs(form, case, place)):
                pretend(run, place, [1, 1], alphas=[0.25, alpha + 0.1 * seed])
    slopes.run(place)
    found = rows_of(place.output / "slopes.csv")
    assert [row["layer"] for row in found][:2] == ["conv1", "conv2_1"]
    assert (found[12]["layer"], found[12]["channel-wise, paper"]) == ("fc2", "0.075")
    for row in found:
        assert row["shared, without decay"] == "0.35"
        assert row["channel-wise, with decay"] == "0.15"
    for row in rows_of(place.output / "slopes_errors.csv"):
        assert (row["without decay"], row["without decay_spread"]) == ("1", "0")
    assert (place.output / "slopes.png").stat().st_size > 5000


def test_responses_of_trained_nets_are_those_of_analysis(place, monkeypatch):
    for name in responses.RECTIFIERS:
        for run in responses.runs(name, place):
            pretend(run, place, [1, 1])
    monkeypatch.setattr(_runs, "load", lambda run, place: _runs.build(run, SMALL)[0])
    monkeypatch.setattr(responses, "PICTURES", 4)
    responses.run(place)
    found = rows_of(place.output / "responses.csv")
    assert len(found) == 2 * 13
    assert [row["layer"] for row in found][-2:] == ["fc1", "fc2"]
    # By hand, from the outputs of the same fresh nets.
    _, source = _runs.sources(SMALL)
    x, _ = next(iter(data.eval_batches(source, 4, image_size=32, scale=36)))
    offsets = []
    for run in responses.runs("prelu", place):
        model, _ = _runs.build(run, SMALL)
        layer = model.get_layer("prelu3_6").output
        values = keras.Model(model.inputs, layer).predict(x, verbose=0)
        offsets.append(abs(values.mean()) / values.std())
    row = next(r for r in found if (r["rectifier"], r["layer"]) == ("PReLU", "conv3_6"))
    assert float(row["offset"]) == pytest.approx(np.mean(offsets), rel=1e-3)
    assert (place.output / "responses.png").stat().st_size > 5000


def test_depths_are_compared(place):
    for number, case in enumerate(depth.CASES):
        for run in depth.runs(case, place):
            pretend(run, place, [0.9, number / 10])
    depth.run(place)
    found = rows_of(place.output / "depth.csv")
    assert [(row["net"], row["initializer"]) for row in found] == depth.CASES
    assert [float(row["last_loss"]) for row in found] == [0, 0.1, 0.2, 0.3, 0.4]
    assert {row["first_loss"] for row in found} == {"0.9"}
    assert (place.output / "depth.png").stat().st_size > 5000


def test_ways_to_test_are_averaged_by_net_and_by_ensemble(place, monkeypatch):
    errors = {}
    for name in scales.RECTIFIERS:
        for seed, run in enumerate(scales.runs(name, place)):
            pretend(run, place, [1, 1])
            errors[run] = 0.2 + 0.1 * seed + 0.4 * (name == "prelu")

    def pretended(models, source, protocol, scales, **arguments):
        inspect.signature(evaluate).bind(models, source, protocol, scales, **arguments)
        error = min(errors[model] for model in models) - 0.1 * arguments["flip"]
        by_scale = dict.fromkeys(scales, (error, error / 2))
        return SimpleNamespace(by_scale=by_scale, top1=0.01, top5=0.02)

    monkeypatch.setattr(scales, "evaluate", pretended)
    monkeypatch.setattr(_runs, "load", lambda run, place: run)
    scales.run(place)
    found = rows_of(place.output / "scales.csv")
    assert [(row["protocol"], row["flip"], row["scale"]) for row in found] == [
        (protocol, flip, scale)
        for protocol, its_scales in (
            ("center", ["36"]),
            ("ten_view", ["36"]),
            ("dense", ["32", "36", "40", "all"]),
        )
        for flip in ("False", "True")
        for scale in its_scales
    ]
    first, mirrored, *_, last = found
    assert (first["relu_top1_error"], first["prelu_top1_error"]) == ("0.25", "0.65")
    assert mirrored["prelu_top5_error"] == "0.275"
    assert first["prelu_ensemble_top1_error"] == "0.6"
    assert first["all_ensemble_top1_error"] == "0.2"
    assert (last["relu_top1_error"], last["all_ensemble_top5_error"]) == (
        "0.01",
        "0.02",
    )
    assert (place.output / "scales.png").stat().st_size > 5000


def test_a_table_is_filled_where_it_has_gaps(tmp_path):
    measured = []

    def measure(cell):
        measured.append(cell["b"])
        return [{"value": cell["b"] / 3, "text": "x"}] * 2

    cells = [{"a": "one", "b": b, "c": True} for b in (1, 2, 0.25)]
    path = tmp_path / "table.csv"
    _program.fill(path, cells[:1], measure)
    rows = _program.fill(path, cells, measure)
    assert measured == [1, 2, 0.25]
    assert [row["b"] for row in rows] == [1, 1, 2, 2, 0.25, 0.25]
    assert rows[0]["value"] == pytest.approx(1 / 3, abs=1e-5)


def test_theory_says_what_a_layer_multiplies_variances_by():
    kernel = np.zeros((3, 3, 64, 128))
    # The rule that fits keeps the one, and the other changes with the width.
    assert propagation.factors(kernel, 0.25, "fan_in") == pytest.approx((1, 2))
    assert propagation.factors(kernel, 0.25, "fan_out") == pytest.approx((0.5, 1))
    assert propagation.factors(kernel, 0, "fan_in") == pytest.approx((1.0625, 2.125))
    assert propagation.factors(kernel, 1, "fan_in") == pytest.approx((0.53125, 1.0625))


def test_signals_go_as_the_theory_says(place):
    rows = propagation.measure({"net": "model30", "rule": "Xavier"}, place)
    assert (len(rows), rows[0]["layer"], rows[-1]["layer"]) == (29, "conv1", "fc2")
    ratio = rows[-1]["forward"] / rows[0]["forward"]
    theory = rows[-1]["forward_theory"] / rows[0]["forward_theory"]
    assert theory == pytest.approx(0.53125**28, rel=1e-3)
    # 25 bits down; so narrow a net is some bits off, and He's rule would be at 0.
    assert abs(math.log2(ratio / theory)) < 10


def test_a_deviation_of_a_hundredth_loses_the_papers_factor(place):
    found = propagation.example(place)
    paper = 5.9 * 4.2**2 * 2.9**2 * 2.1**4
    assert found["kernels"] == 9
    assert found["theory"] == pytest.approx(paper, rel=0.05)
    assert 0.5 < found["measured"] / paper < 2


def test_costs_are_those_of_the_nets():
    net = scaling.all_nets()["model_a"]
    fc = 63 * 512 * 4096 + 4096 * 4096 + 4096 * 1000
    assert net.fc_multiply_adds == fc
    assert net.fc_weights == fc + 4096 + 4096 + 1000
    assert net.fc_inputs == 63 * 512
    assert net.multiply_adds == pytest.approx(1.877e10, rel=1e-3)


def simulated_ring(machine, gpus, size):
    """Seconds of a ring, step by step: parts are passed on, then passed round."""
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
    machine = scaling.P100
    for gpus in (2, 3, 8):
        found = scaling.ring(machine, gpus, 700e6)
        assert found == pytest.approx(simulated_ring(machine, gpus, 700e6))


def test_efficiency_falls_as_communication_grows():
    net, machine = scaling.all_nets()["model_a"], scaling.P100
    assert scaling.efficiency(net, machine, 1, 64) == pytest.approx(1)
    # By hand: 64 images on each of 16, gradients over 25 Gbit/s.
    compute = 6 * 64 * net.multiply_adds / machine.flops
    weights = net.convolution_weights + net.fc_weights
    moved = 30 * (weights * 4 / 16 / 3.125e9 + 1e-5)
    by_hand = compute / (compute + moved)
    assert scaling.efficiency(net, machine, 16, 64) == pytest.approx(by_hand)
    hidden = scaling.efficiency(net, machine, 16, 64, hidden=1.0)
    by_hand = compute / (compute + max(0, moved - 2 / 3 * compute))
    assert hidden == pytest.approx(by_hand)
    rest = 1024 * scaling.step(net, machine, 1024, 65536, fc_on_one=True)
    assert rest > 1024 * 6 * 65536 * net.fc_multiply_adds / machine.flops


def test_nets_are_timed_beside_vgg(place, monkeypatch):
    for name, value in (("POLICIES", ["float32"]), ("PHASES", ["inference"])):
        monkeypatch.setattr(vgg, name, value)
    rows = vgg.times({"policy": "float32", "phase": "inference", "batch": 2}, True)
    vgg.nets.cache_clear()
    assert [row["net"] for row in rows] == ["model A, ReLU", "model A, PReLU", "VGG19"]
    for row in rows:
        ratio = row["seconds_per_image"] / rows[-1]["seconds_per_image"]
        assert row["of_vgg19"] == pytest.approx(ratio)


def test_what_would_take_too_long_is_left_out(place, monkeypatch, capsys):
    slow = ("mixed_bfloat16", "training")

    def times(cell, is_small):
        seconds = 100 if (cell["policy"], cell["phase"]) == slow else 10
        row = {"seconds_per_image": seconds, "of_vgg19": 1, "machine": "two cores"}
        return [{"net": vgg.REFERENCE, "multiply_adds": 1, **row}]

    monkeypatch.setattr(vgg, "times", times)
    vgg.run(place)
    rows = rows_of(place.output / "vgg-tensorflow.csv")
    # A batch of 4 takes 4 * 5 times the seconds an image: 200 and 2000, of 1800.
    assert [row["batch"] for row in rows] == ["1", "4"] * 3 + ["1"]
    assert "training, mixed_bfloat16: left out from a batch of 4" in (
        capsys.readouterr().out
    )
    assert (place.output / "vgg-tensorflow.png").stat().st_size > 5000


@pytest.mark.slow
def test_a_program_writes_tables_and_a_figure(tmp_path):
    code, printed = finish(
        start(
            str(ROOT / "training" / "experiments" / "scaling.py"),
            f"--output={tmp_path}",
            "--setting=small",
        )
    )
    assert code == 0, printed
    assert len(rows_of(tmp_path / "scaling.csv")) == 3 * 2 * 4 * 11
    assert len(rows_of(tmp_path / "scaling_checks.csv")) == 8
    assert (tmp_path / "scaling.png").stat().st_size > 5000


def test_tables_of_the_page_are_those_of_the_results():
    page = tables.PAGE.read_text()
    assert tables.filled(page, tables.RESULTS) == page
    for name in tables.TABLES:
        assert f"<!-- {name} -->" in page


def test_what_is_said_of_the_tables_stands_in_them():
    page = re.split(
        r"<!-- \w+ -->(.*?)<!-- end -->", tables.PAGE.read_text(), flags=re.S
    )
    said, shown = ("\n".join(page[i::2]) for i in (0, 1))
    figures = re.findall(r"\d+\.\d+ ± \d+\.\d+", said)
    assert len(figures) > 5
    assert [figure for figure in figures if figure not in shown] == []


def test_published_runs_are_of_the_present_configuration():
    for folder in (tables.RESULTS / "runs").glob("*"):
        net, rectifier, *cases, seed = folder.name.split("-")
        settings = {"xavier": "initializer", "decayed": "slopes", "fixed": "slopes"}
        kwargs = {settings[case]: case for case in cases}
        run = _runs.Run(net, rectifier, int(seed), **kwargs)
        config = json.loads((folder / "config.json").read_text())
        assert config == json.loads(_runs.configuration(run, _program.FULL).to_json())


def test_a_missing_table_says_so(tmp_path):
    assert tables.block("depth", tmp_path).startswith("Not run: `python training/exp")


def test_xavier_is_hes_rule_without_the_rectifier():
    layer = keras.layers.Dense(400, kernel_initializer=HeNormal(1.0, "fan_out", 0))
    layer.build((None, 300))
    assert layer.kernel.numpy().std() == pytest.approx(1 / 20, rel=0.02)
