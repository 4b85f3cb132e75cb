"""The first steps of a training run, and the images that they use."""

import numpy as np
import pytest

from keras_prelu.applications import CONSTRUCTORS
from keras_prelu.tables import read_csv
from tests.training.experiments.pretended_runs import rows_of
from training.experiments import first_try, shapes_difficulty, start
from training.experiments.tables import RESULTS

pytestmark = pytest.mark.tensorflow_only


@pytest.mark.slow
def test_a_first_try_with_the_defaults_of_sgd_learns():
    curve = first_try.losses("sgd", 0.01, 1 / 4, 96, seed=0, epochs=6)
    assert first_try.verdict(curve) == "learns", curve
    # A network this narrow takes longer; guessing has a loss of 1.39.
    curve = first_try.losses("sgd", 0.01, 1 / 16, 96, seed=1, epochs=6)
    assert curve[-1] < 1.2, curve


@pytest.mark.slow
def test_a_first_try_with_the_defaults_of_adam_stays_finite():
    curve = first_try.losses("adam", 0.001, 1 / 16, 96, seed=0, epochs=2)
    assert np.isfinite(curve).all(), curve
    assert first_try.verdict([1.4, float("nan")]) == "diverges"
    assert first_try.verdict([1.4, 0.8]) == "does not learn"
    assert first_try.verdict([1.4, 0.1, 0.8]) == "learns, then loses it"


def test_photographs_have_the_statistics_of_photographs():
    images = start.photographs(64, 64, np.random.default_rng(0))
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
        remedy: start.measure(
            {"net": "model14", "rectifier": "relu", "remedy": remedy, "batch": 128},
            experiment,
        )
        for remedy in start.REMEDIES
    }
    scaled, plain = rows["input scaled"], rows["neither"]
    assert plain["logits_std"] == pytest.approx(58 * scaled["logits_std"], rel=0.1)
    assert rows["both"]["logits_std"] < scaled["logits_std"]
    assert scaled["verdict"] == "survives"
    assert [len(str(row["losses"]).split()) for row in rows.values()] == [2] * 4
    assert start.verdict([6.9, 1e9]) == "fails"
    assert start.verdict([6.9, float("nan")]) == "fails"


@pytest.mark.parametrize("rectifier", start.RECTIFIERS)
def test_every_net_took_20_finite_steps_at_full_width(rectifier):
    default = {"rectifier": rectifier, "remedy": start.DEFAULT, "batch": 32}
    taken = {
        row["net"]: [float(loss) for loss in str(row["losses"]).split()]
        for row in read_csv(RESULTS / "start.csv")
        if default.items() <= row.items()
    }
    assert set(taken) == set(CONSTRUCTORS)
    for net, losses in taken.items():
        assert len(losses) == 20 and np.isfinite(losses).all(), net
        assert max(losses) < 2 * np.log(start.CLASSES), net


@pytest.mark.slow
def test_the_difficulty_of_the_shapes_is_measured(experiment):
    shapes_difficulty.run(experiment)
    rows = rows_of(experiment.output / "shapes_difficulty.csv")
    assert [row["classifier"] for row in rows] == list(shapes_difficulty.CLASSIFIERS)
    assert all(0 <= float(row["accuracy"]) <= 1 for row in rows)
    assert (experiment.output / "shapes.png").stat().st_size > 5000
