"""Each recipe loads, and has the keys and the values of the paper."""

import importlib

import pytest
from runs import ROOT

from training.recipes import defaults, imagenet

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
    if "finetune" not in config and "detection" not in config:
        assert config.keys() == defaults.get_config().keys()
    assert f"--config=training/recipes/{name}.py" in module.__doc__
    assert "score" in module.__doc__


@pytest.mark.parametrize("model", imagenet.MODELS)
def test_the_imagenet_recipe_trains_each_model_with_the_papers_settings(model):
    config = imagenet.get_config(model)
    assert config.model.name == model
    assert config.keys() == defaults.get_config().keys()
    is_small = model in ("model14", "model30")
    assert config.epochs == (75 if is_small else 80)
    assert tuple(config.data.scale) == (256, 256 if is_small else 512)
    assert config.model.activation == ("relu" if model == "model30" else "prelu")


def test_an_unknown_imagenet_model_is_refused():
    with pytest.raises(
        ValueError, match=r"one of model_a.*Received: .*imagenet.py:vgg"
    ):
        imagenet.get_config("vgg")


def test_the_defaults_are_those_of_section_3():
    config = defaults.get_config()
    optimizer = config.optimizer
    assert (optimizer.momentum, optimizer.weight_decay) == (0.9, 0.0005)
    assert (config.batch_size, config.epochs, config.model.dropout) == (128, 80, 0.5)
    assert tuple(config.data.scale) == (256, 512)
    assert (optimizer.learning_rate, config.schedule.min_learning_rate) == (1e-2, 1e-4)
