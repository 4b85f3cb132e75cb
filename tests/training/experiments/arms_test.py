"""The models that the arms of an experiment train."""

import math

import keras
import numpy as np
import pytest

from training.experiments import arms
from training.experiments.experiment import FULL, SMALL

pytestmark = pytest.mark.tensorflow_only


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
