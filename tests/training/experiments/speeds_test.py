"""Computed times on many GPUs, and measured times beside VGG-19."""

import pytest

from tests.training.experiments.pretended_runs import rows_of
from tests.training.runs import finish, start
from training.experiments import gpu_scaling, speed_beside_vgg19

pytestmark = pytest.mark.tensorflow_only


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


@pytest.mark.slow
def test_a_program_writes_tables_and_a_figure(tmp_path):
    program = "-m", "training.experiments.gpu_scaling"
    code, printed = finish(start(*program, f"--output={tmp_path}", "--setting=small"))
    assert code == 0, printed
    assert len(rows_of(tmp_path / "scaling.csv")) == 3 * 2 * 3 * 11
    assert len(rows_of(tmp_path / "scaling_checks.csv")) == 7
    assert (tmp_path / "scaling.png").stat().st_size > 5000


def test_networks_are_timed_beside_vgg19(monkeypatch):
    for name, value in (("POLICIES", ["float32"]), ("PHASES", ["inference"])):
        monkeypatch.setattr(speed_beside_vgg19, name, value)
    cell = {"policy": "float32", "phase": "inference", "batch": 2}
    rows = speed_beside_vgg19.times(cell, True)
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
    printed = capsys.readouterr().out
    assert "training, mixed_bfloat16: left out from a batch of 4" in printed
    assert (experiment.output / "vgg-tensorflow.png").stat().st_size > 5000
