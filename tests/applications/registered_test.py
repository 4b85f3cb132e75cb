"""The registered weights have the scores that the registry states."""

import numpy as np
import pytest

from keras_prelu import applications, data, evaluation
from keras_prelu.applications.weights import registry
from keras_prelu.data.shapes_renderer import SHAPES, render

pytestmark = pytest.mark.tensorflow_only


class Rendered(data.Source):
    """The validation pictures of the built-in set, without TFDS."""

    def __init__(self):
        super().__init__(list(SHAPES))

    def __len__(self):
        return 2000

    def __getitem__(self, index):
        label = index % len(self.class_names)
        return render(self.class_names[label], (1, index)), label


@pytest.mark.slow
def test_the_evaluator_reproduces_the_score_of_the_registry():
    entry = registry()["shapes"]
    protocol = entry["protocol"]
    found = evaluation.evaluate(
        applications.ModelA(weights="shapes"),
        Rendered(),
        protocol["protocol"],
        scales=tuple(protocol["scales"]),
        flip=protocol["flip"],
        batch_size=100,
    )
    assert found.examples == protocol["examples"]
    assert found.class_names == entry["class_names"]
    # Sums in another order may turn a picture; at scale 60 twelve more are wrong, and
    # with flips 17 fewer.
    tolerance = 2 / found.examples
    assert found.top1 == pytest.approx(entry["scores"]["top1_error"], abs=tolerance)
    assert found.top5 == pytest.approx(entry["scores"]["top5_error"], abs=tolerance)


def test_the_weights_have_the_mean_of_the_registry():
    model = applications.ModelA(weights="shapes")
    mean = model.get_layer("mean").get_weights()[0]
    np.testing.assert_allclose(mean, registry()["shapes"]["mean"], rtol=1e-6)
