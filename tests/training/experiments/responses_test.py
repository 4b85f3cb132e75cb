"""The responses of trained models."""

import math

import keras
import numpy as np
import pytest

from keras_prelu import data
from tests.training.experiments.pretended_runs import pretend_arm, rows_of, verdicts
from training.experiments import arms, responses
from training.experiments.experiment import SMALL

pytestmark = pytest.mark.tensorflow_only


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
