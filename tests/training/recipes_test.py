"""Every recipe loads, has the paper's values, and no key of its own."""

import importlib

import pytest
from runs import ROOT

from training.recipes import defaults

pytestmark = pytest.mark.tensorflow_only
NAMES = sorted(
    path.stem
    for path in (ROOT / "training" / "recipes").glob("*.py")
    if path.stem not in ("defaults", "__init__")
)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_sets_known_keys_and_names_its_command(name):
    module = importlib.import_module(f"training.recipes.{name}")
    config = module.get_config()
    assert config.is_locked
    if "finetune" not in config:
        assert config.keys() == defaults.get_config().keys()
    assert f"--config=training/recipes/{name}.py" in module.__doc__
    assert "score" in module.__doc__


def test_the_defaults_are_those_of_section_3():
    config = defaults.get_config()
    optimizer = config.optimizer
    assert (optimizer.momentum, optimizer.weight_decay) == (0.9, 0.0005)
    assert (config.batch_size, config.epochs, config.model.dropout) == (128, 80, 0.5)
    assert tuple(config.data.scale) == (256, 512)
    assert (optimizer.learning_rate, config.schedule.min_learning_rate) == (1e-2, 1e-4)
