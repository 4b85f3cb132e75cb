"""What the experiments train: the arms of a comparison, their settings and models."""

from typing import NamedTuple

import keras

from keras_prelu import data, distribution
from keras_prelu.data.shapes_dataset import PreluShapes
from keras_prelu.data.shapes_renderer import SHAPES, render
from keras_prelu.initializers import HeNormal
from keras_prelu.layers import PReLU
from keras_prelu.optimizers import SGD
from training import from_recipe
from training.experiments.experiment import SMALL
from training.recipes import defaults

WIDTHS = {"model_a": 1 / 16, "model_b": 1 / 16, "model14": 1 / 8, "model30": 1 / 8}
# Sides of the training images. The last feature map has 8x8 cells.
SIDES = {"model_a": 128, "model_b": 128, "model14": 96, "model30": 96}


class DecaysSlopesToo(SGD):
    """SGD that decays the slopes too, which the paper advises against."""

    def decays(self, variable):
        """Return whether a variable is a kernel or a slope."""
        return super().decays(variable) or variable.name == "alpha"


class Arm(NamedTuple):
    """One side of a comparison: the settings that all its runs have in common."""

    net: str
    rectifier: str  # an `activation` of keras_prelu.applications
    slopes: str = "learned"  # or "fixed" at their start, or "decayed" like kernels
    initializer: str = "he"  # or a key of INITIALIZERS

    @property
    def name(self):
        """The name of the arm, the first part of its runs' names."""
        parts = [self.net, self.rectifier]
        parts += [self.slopes] if self.slopes != "learned" else []
        parts += [self.initializer] if self.initializer != "he" else []
        return "-".join(parts)


class Run(NamedTuple):
    """A training run: an arm, a learning rate and a seed."""

    arm: Arm
    rate: float
    seed: int

    @property
    def name(self):
        """The name of the run's folder."""
        return f"{self.arm.name}-{self.rate:g}-{self.seed}"


def configuration(run, setting):
    """Return the configuration of a run: the paper's, except for the keys set here."""
    arm = run.arm
    side = SIDES[arm.net]
    config = defaults.get_config()
    config.model.name = arm.net
    config.model.activation = arm.rectifier
    config.model.width = WIDTHS[arm.net]
    config.model.dropout = 0.0  # so narrow a network underfits, and stalls with 0.5
    config.data.name = "prelu_shapes"
    config.data.image_size = side
    # Model A is tested at several scales and trained with the paper's scale jitter. The
    # others are trained and tested at one scale, as in the paper's Table 2.
    jitter = (8, 16) if arm.net == "model_a" else (8, 8)
    config.data.scale = tuple(side * sevenths // 7 for sevenths in jitter)
    config.data.eval_scale = side * (12 if arm.net == "model_a" else 8) // 7
    config.optimizer.learning_rate = run.rate
    config.schedule.name = "fixed"
    config.schedule.epochs = (15, 19)
    config.batch_size = 32
    config.epochs = 20
    config.seed = run.seed
    with config.unlocked():
        config.slopes = arm.slopes
        config.initializer = arm.initializer
        config.data.version = str(PreluShapes.VERSION)  # its images may change
    if setting == SMALL:
        config.model.width = 1 / 32
        config.data.image_size = 32
        config.data.scale = (32, 40)
        config.data.eval_scale = 36
        config.schedule.epochs = (2,)
        config.batch_size = 16
        config.epochs = 2
    return config


class _FewShapes(data.Source):
    """The first images of a split of the built-in data set."""

    def __init__(self, split, count):
        super().__init__(SHAPES)
        names = (self.class_names * -(-count // len(SHAPES)))[:count]
        self._images = [render(name, (split, i)) for i, name in enumerate(names)]

    def __len__(self):
        return len(self._images)

    def __getitem__(self, index):
        return self._images[index], index % len(SHAPES)


def sources(setting):
    """Return the training and the validation data."""
    if setting == SMALL:
        return _FewShapes(0, 32), _FewShapes(1, 16)
    return data.shapes("train"), data.shapes("validation")


# Xavier's rule has no factor for the rectifier, as Eqn. 15 with a = 1. The paper counts
# the inputs of a unit; the convolutions of our models count the outputs.
INITIALIZERS = {
    "xavier": {"slope": 1.0, "mode": "fan_in"},
    "xavier_fan_out": {"slope": 1.0, "mode": "fan_out"},
}


def initialize(model, initializer):
    """Initialize all kernels again, except for the classifier's."""
    for layer in model.layers:
        if hasattr(layer, "kernel") and layer.name != "fc3":
            layer.kernel.assign(initializer(layer.kernel.shape))


def vary(model, trained, arm):
    """Change what recipes cannot: how kernels and slopes start and learn."""
    if arm.slopes == "fixed":
        for layer in model.layers:
            layer.trainable = not isinstance(layer, PReLU)
    if arm.slopes == "decayed":
        settings = trained.optimizer.get_config()
        trained.optimizer = DecaysSlopesToo.from_config(settings)
    if arm.initializer != "he":
        initialize(model, HeNormal(**INITIALIZERS[arm.initializer]))


def build(run, setting):
    """Return the model of a run, and the compiled model around it."""
    config = configuration(run, setting)
    keras.utils.set_random_seed(config.seed)
    strategy = distribution.strategy("one_device")
    model = from_recipe.build_model(config, data.Source(SHAPES), strategy)
    trained = from_recipe.compile_model(model, config, strategy)
    vary(model, trained, run.arm)
    return model, trained
