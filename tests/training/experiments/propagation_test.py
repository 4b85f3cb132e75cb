"""Signals and gradients at the start, beside the paper's theory."""

import math

import numpy as np
import pytest

from training.experiments import propagation

pytestmark = pytest.mark.tensorflow_only


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
