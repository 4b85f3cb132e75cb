"""The code in guides runs, in the order of the page."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

GUIDES = Path(__file__).parents[1] / "docs" / "guides"


def run_code_of(page):
    """Run all Python blocks of a guide in one namespace, and return it."""
    text = (GUIDES / f"{page}.md").read_text()
    namespace = {}
    for block in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S):
        exec(compile(block, f"{page}.md", "exec"), namespace)
    return namespace


@pytest.mark.slow
@pytest.mark.parametrize("page", ["analysis", "applications", "initializers"])
def test_code_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_code_of(page)


def test_recipe_converts_a_trained_keras_prelu():
    names = run_code_of("layers")
    trained, converted = names["trained"], names["converted"]
    stock, ours = (model.layers[1] for model in (trained, converted))
    assert (type(stock), stock.alpha.shape) == (keras.layers.PReLU, (1, 1, 8))
    assert (type(ours).__module__, ours.alpha.shape) == (
        "keras_prelu.layers.prelu",
        (8,),
    )
    slopes = [keras.ops.convert_to_numpy(layer.alpha) for layer in (stock, ours)]
    np.testing.assert_array_equal(slopes[0].ravel(), slopes[1])
    assert len(set(slopes[1])) == 8
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3))
    np.testing.assert_allclose(
        converted.predict(images, verbose=0),
        trained.predict(images, verbose=0),
        rtol=1e-6,
    )


@pytest.mark.parametrize("page", ["analysis", "applications", "initializers", "layers"])
def test_guide_ends_with_what_can_go_wrong(page):
    text = (GUIDES / f"{page}.md").read_text()
    assert re.findall(r"^## (.*)", text, re.M)[-1] == "What can go wrong"
    assert text.split("\n\n")[1].startswith("```python")
