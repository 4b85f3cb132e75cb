"""Nets trained to be compared: each run has a name, a seed and a folder of tables.

A run that has its tables in the results is never trained again; one that was stopped
goes on from its checkpoint. Several processes can share the work: each takes the runs
that no other is at. Experiments that need the same run share it.
"""

import json
import shutil
import sys
from typing import NamedTuple

from _program import SMALL, mean_and_spread, read  # isort: split

import fitting
import keras
from recipes import quickstart
from workdir import InUseError, Workdir

from keras_prelu import callbacks, data, distribution
from keras_prelu.data.prelu_shapes import PreluShapes
from keras_prelu.data.rendering import SHAPES, render
from keras_prelu.files import replacing
from keras_prelu.initializers import HeNormal
from keras_prelu.layers import PReLU
from keras_prelu.optimizers import SGD

WIDTHS = {"model_a": 1 / 16, "model_b": 1 / 16, "model14": 1 / 8, "model30": 1 / 8}
TABLES = ("metrics.csv", "slopes.csv")


class DecaysSlopesToo(SGD):
    """The optimizer that the paper advises against."""

    def decays(self, variable):
        """Returns whether a variable is a kernel or a slope."""
        return super().decays(variable) or variable.name == "alpha"


class Run(NamedTuple):
    """What tells a run from those that it is compared with."""

    net: str
    rectifier: str  # an `activation` of keras_prelu.applications
    seed: int
    slopes: str = "learned"  # or "fixed" where they start, or "decayed" as kernels are
    initializer: str = "he"  # or "xavier"

    @property
    def name(self):
        """The name of the run's folder."""
        parts = [self.net, self.rectifier]
        parts += [self.slopes] if self.slopes != "learned" else []
        parts += [self.initializer] if self.initializer != "he" else []
        return "-".join([*parts, str(self.seed)])


def configuration(run, setting):
    """Returns the recipe of a run: the quickstart's, slower, the same for all nets."""
    config = quickstart.get_config()
    config.model.name = run.net
    config.model.activation = run.rectifier
    config.model.width = WIDTHS[run.net]
    config.optimizer.learning_rate = 1e-2  # at the quickstart's 3e-2 some nets stall
    config.schedule.factor = 0.3
    config.schedule.epochs = (13, 15)
    config.batch_size = 32
    config.epochs = 16
    config.seed = run.seed
    config.deterministic = False  # it would slow what is timed in the same process
    with config.unlocked():
        config.slopes = run.slopes
        config.initializer = run.initializer
        config.data.version = str(PreluShapes.VERSION)  # its pictures may change
    if setting == SMALL:
        config.model.width = 1 / 32
        config.data.image_size = 32
        config.data.scale = (32, 40)
        config.data.eval_scale = 36
        config.schedule.epochs = (2,)
        config.batch_size = 16
        config.epochs = 2
    return config


class _Few(data.Source):
    """The first pictures of a split of the built-in set: quicker than all of them."""

    def __init__(self, split, count):
        super().__init__(SHAPES)
        names = (self.class_names * -(-count // len(SHAPES)))[:count]
        self._pictures = [render(name, (split, i)) for i, name in enumerate(names)]

    def __len__(self):
        return len(self._pictures)

    def __getitem__(self, index):
        return self._pictures[index], index % len(SHAPES)


def sources(setting):
    """Returns the pictures to train on, and those to validate on."""
    if setting == SMALL:
        return _Few(0, 32), _Few(1, 16)
    return data.shapes("train"), data.shapes("validation")


def initialize(model, initializer):
    """Draws all kernels but the classifier's anew."""
    for layer in model.layers:
        if hasattr(layer, "kernel") and layer.name != "fc3":
            layer.kernel.assign(initializer(layer.kernel.shape))


def vary(model, trained, run):
    """Changes what no recipe can: how kernels and slopes start and learn."""
    if run.slopes == "fixed":
        for layer in model.layers:
            layer.trainable = not isinstance(layer, PReLU)
    if run.slopes == "decayed":
        settings = trained.optimizer.get_config()
        trained.optimizer = DecaysSlopesToo.from_config(settings)
    if run.initializer == "xavier":
        # Eqn. 15 with a = 1: He's without the factor for the rectifier.
        initialize(model, HeNormal(slope=1.0, mode="fan_out"))


def build(run, setting):
    """Returns the model of a run, and the one around it that is trained."""
    config = configuration(run, setting)
    keras.utils.set_random_seed(config.seed)
    strategy = distribution.strategy("one_device")
    model, trained = fitting.build(config, len(SHAPES), strategy)
    vary(model, trained, run)
    return model, trained


def train(run, place):
    """Trains a net from where its checkpoint stands, and keeps its tables.

    Raises:
        InUseError: Another process is at it.
    """
    config = configuration(run, place.setting)
    workdir = Workdir(place.workdir / run.name)
    workdir.claim(config.to_dict(), ["python", *sys.argv])
    print(f"{run.name}: {config.epochs} epochs", flush=True)
    keras.backend.clear_session()
    model, trained = build(run, place.setting)
    train, validation = sources(place.setting)
    strategy = distribution.strategy("one_device")
    callbacks.resumable_fit(
        trained,
        fitting.training_data(config, train, strategy),
        config.epochs,
        fitting.steps_per_epoch(config, train, strategy),
        callbacks.ExactResume(workdir.checkpoints),
        [
            fitting.schedule(config.schedule, config.optimizer.learning_rate),
            *(
                log(workdir.path / table)
                for log, table in zip(
                    (callbacks.MetricsLog, callbacks.SlopesLog), TABLES, strict=True
                )
            ),
            callbacks.Progress(config.batch_size, config.epochs),
        ],
        validation_data=fitting.validation_data(config, validation, strategy),
    )
    workdir.keep()
    with replacing(workdir.path / "model.keras") as aside:
        model.save(aside)
    _publish(run, place)


def _publish(run, place):
    """Copies the tables of a run to the results, its configuration last."""
    folder = place.output / "runs" / run.name
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*TABLES, "config.json"):
        source = place.workdir / run.name / name
        if source.exists():  # a net without slopes has no table of them
            with replacing(folder / name) as aside:
                shutil.copyfile(source, aside)


def is_finished(run, place):
    """Whether the results have the tables of a run, as it is configured now."""
    path = place.output / "runs" / run.name / "config.json"
    if not path.exists():
        return False
    config = configuration(run, place.setting).to_json()
    if json.loads(path.read_text()) != json.loads(config):
        raise ValueError(
            "`output` must hold no results of another configuration. "
            f"Received: output={place.output}, with {path}"
        )
    return True


def train_all(runs, place):
    """Trains what is missing; says whether all is there now.

    False where another process is still at work on one of them.
    """
    for run in runs:
        if not is_finished(run, place):
            try:
                train(run, place)
            except InUseError:
                print(f"{run.name}: another process is at it", flush=True)
    left = [run.name for run in runs if not is_finished(run, place)]
    if left:
        print(
            f"To be finished by another process: {', '.join(left)}. After that the "
            "same command writes the table and draws."
        )
    return not left


def table(run, place, name="metrics.csv"):
    """Returns the rows of a table of a finished run."""
    return read(place.output / "runs" / run.name / name)


def column(run, place, name):
    """Returns a column of the metrics of a finished run, a value an epoch."""
    return [row[name] for row in table(run, place)]


def summary(runs, place, name, epoch=-1):
    """Returns the mean of a metric after an epoch, the last one, and its spread."""
    return mean_and_spread([column(run, place, name)[epoch] for run in runs])


def load(run, place):
    """Returns the trained model of a run."""
    path = place.workdir / run.name / "model.keras"
    if not path.exists():
        raise ValueError(
            "`workdir` must be where the run was trained; or remove the folder of its "
            f"results, and it is trained anew. Received: workdir={place.workdir}, "
            f"without {path}"
        )
    return keras.saving.load_model(path, compile=False)
