"""Nets trained to be compared: each run has a name, a seed and a folder of tables.

A run that has its tables in the results is never trained again; one that was stopped
goes on from its checkpoint. Several processes can share the work: each takes the runs
that no other is at. Experiments that need the same run share it.
"""

import json
import shutil
import statistics
import sys
from typing import NamedTuple

import keras

from keras_prelu import callbacks, data, distribution
from keras_prelu.data.shapes_dataset import PreluShapes
from keras_prelu.data.shapes_renderer import SHAPES, render
from keras_prelu.files import replacing
from keras_prelu.initializers import HeNormal
from keras_prelu.layers import PReLU
from keras_prelu.optimizers import SGD
from keras_prelu.tables import read_csv
from training import from_recipe
from training.experiments.experiment import SMALL
from training.recipes import defaults
from training.workdir import InUseError, Workdir

WIDTHS = {"model_a": 1 / 16, "model_b": 1 / 16, "model14": 1 / 8, "model30": 1 / 8}
# Of the training images: the last map has 8x8 cells.
SIDES = {"model_a": 128, "model_b": 128, "model14": 96, "model30": 96}
# Every arm of a comparison is trained at each rate with a seed that counts for nothing
# else, and is then compared at its own best rate.
RATES = (0.005, 0.01, 0.02)
SWEEP_SEED = 99
TABLES = ("metrics.csv", "slopes.csv")


class DecaysSlopesToo(SGD):
    """The optimizer that the paper advises against."""

    def decays(self, variable):
        """Returns whether a variable is a kernel or a slope."""
        return super().decays(variable) or variable.name == "alpha"


class Arm(NamedTuple):
    """One side of a comparison: what is the same in all its runs."""

    net: str
    rectifier: str  # an `activation` of keras_prelu.applications
    slopes: str = "learned"  # or "fixed" where they start, or "decayed" as kernels are
    initializer: str = "he"  # or a key of INITIALIZERS

    @property
    def name(self):
        """The name of the arm, the first part of its runs' names."""
        parts = [self.net, self.rectifier]
        parts += [self.slopes] if self.slopes != "learned" else []
        parts += [self.initializer] if self.initializer != "he" else []
        return "-".join(parts)


COMPARED_AT_EQUAL_LOSS = (Arm("model14", "relu"), Arm("model14", "prelu"))


class Run(NamedTuple):
    """One training: an arm, a learning rate and a seed."""

    arm: Arm
    rate: float
    seed: int

    @property
    def name(self):
        """The name of the run's folder."""
        return f"{self.arm.name}-{self.rate:g}-{self.seed}"


def configuration(run, setting):
    """Returns the configuration of a run: the paper's, but for what stands here."""
    arm = run.arm
    side = SIDES[arm.net]
    config = defaults.get_config()
    config.model.name = arm.net
    config.model.activation = arm.rectifier
    config.model.width = WIDTHS[arm.net]
    config.model.dropout = 0.0  # so narrow a net underfits, and with 0.5 stalls
    config.data.name = "prelu_shapes"
    config.data.image_size = side
    # Model A is tested at several scales and is trained at the paper's; the others are
    # trained and tested at one scale, as in the paper's Table 2.
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


# Xavier's rule has no factor for the rectifier, which is Eqn. 15 with a = 1; the paper
# counts the inputs of a unit, our own nets count the outputs.
INITIALIZERS = {
    "xavier": {"slope": 1.0, "mode": "fan_in"},
    "xavier_fan_out": {"slope": 1.0, "mode": "fan_out"},
}


def initialize(model, initializer):
    """Draws all kernels but the classifier's anew."""
    for layer in model.layers:
        if hasattr(layer, "kernel") and layer.name != "fc3":
            layer.kernel.assign(initializer(layer.kernel.shape))


def vary(model, trained, arm):
    """Changes what no recipe can: how kernels and slopes start and learn."""
    if arm.slopes == "fixed":
        for layer in model.layers:
            layer.trainable = not isinstance(layer, PReLU)
    if arm.slopes == "decayed":
        settings = trained.optimizer.get_config()
        trained.optimizer = DecaysSlopesToo.from_config(settings)
    if arm.initializer != "he":
        initialize(model, HeNormal(**INITIALIZERS[arm.initializer]))


def build(run, setting):
    """Returns the model of a run, and the one around it that is trained."""
    config = configuration(run, setting)
    keras.utils.set_random_seed(config.seed)
    strategy = distribution.strategy("one_device")
    model = from_recipe.build_model(config, len(SHAPES), strategy)
    trained = from_recipe.compile_model(model, config, strategy)
    vary(model, trained, run.arm)
    return model, trained


def train(run, experiment):
    """Trains a net from where its checkpoint stands, and keeps its tables.

    Raises:
        InUseError: Another process is at it.
    """
    config = configuration(run, experiment.setting)
    workdir = Workdir(experiment.workdir / run.name)
    workdir.claim(config.to_dict(), ["python", *sys.orig_argv[1:]])
    print(f"{run.name}: {config.epochs} epochs", flush=True)
    keras.backend.clear_session()
    model, trained = build(run, experiment.setting)
    train, validation = sources(experiment.setting)
    strategy = distribution.strategy("one_device")
    callbacks.resumable_fit(
        trained,
        lambda step: from_recipe.train_batches(config, train, strategy, step),
        config.epochs,
        from_recipe.steps_per_epoch(config, train, strategy),
        callbacks.ExactResume(workdir.checkpoints),
        [
            from_recipe.schedule(config.schedule, config.optimizer.learning_rate),
            *(
                log(workdir.path / table)
                for log, table in zip(
                    (callbacks.MetricsLog, callbacks.SlopesLog), TABLES, strict=True
                )
            ),
            callbacks.Progress(config.batch_size, config.epochs),
            *_weights_by_epoch(run, model, workdir),
        ],
        validation_data=from_recipe.eval_batches(config, validation, strategy),
    )
    workdir.keep()
    with replacing(workdir.path / "model.keras") as aside:
        model.save(aside)
    _publish(run, experiment)


def _weights_by_epoch(run, model, workdir):
    """Returns the callback that keeps the weights of every epoch, or none.

    responses.py needs them: it compares nets of different rectifiers at equal loss.
    """
    if run.arm not in COMPARED_AT_EQUAL_LOSS:
        return []
    folder = workdir.path / "epochs"
    folder.mkdir(exist_ok=True)

    def save(epoch, logs):
        model.save_weights(folder / f"{epoch + 1:02d}.weights.h5")

    return [keras.callbacks.LambdaCallback(on_epoch_end=save)]


def _publish(run, experiment):
    """Copies the tables of a run to the results, its configuration last."""
    folder = experiment.output / "runs" / run.name
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*TABLES, "config.json"):
        source = experiment.workdir / run.name / name
        if source.exists():  # a net without slopes has no table of them
            with replacing(folder / name) as aside:
                shutil.copyfile(source, aside)


def is_finished(run, experiment):
    """Whether the results have the tables of a run, as it is configured now."""
    path = experiment.output / "runs" / run.name / "config.json"
    if not path.exists():
        return False
    config = configuration(run, experiment.setting).to_json()
    if json.loads(path.read_text()) != json.loads(config):
        raise ValueError(
            "`output` must hold no results of another configuration. "
            f"Received: output={experiment.output}, with {path}"
        )
    return True


def train_all(runs, experiment):
    """Trains what is missing; says whether all is there now.

    False where another process is still at work on one of them.
    """
    for run in runs:
        if not is_finished(run, experiment):
            try:
                train(run, experiment)
            except InUseError:
                print(f"{run.name}: another process is at it", flush=True)
    left = [run.name for run in runs if not is_finished(run, experiment)]
    if left:
        print(
            f"To be finished by another process: {', '.join(left)}. After that the "
            "same command writes the table and draws."
        )
    return not left


def sweep(arm, experiment):
    """Returns the runs of an arm that its learning rate is chosen by."""
    rates = RATES[:2] if experiment.is_small else RATES
    return [Run(arm, rate, SWEEP_SEED) for rate in rates]


def best_rate(arm, experiment):
    """Returns the rate of the finished sweep with the lowest validation error."""
    runs = sweep(arm, experiment)
    return min(runs, key=lambda r: column(r, experiment, "val_top1_error")[-1]).rate


def runs_of(arm, experiment, seeds=None):
    """Returns the runs of an arm at its best rate, one for each seed."""
    rate = best_rate(arm, experiment)
    return [Run(arm, rate, seed) for seed in seeds or experiment.seeds]


def train_arms(arms, experiment, seeds=None):
    """Trains the sweep of every arm, then its seeds; says whether all is there.

    An arm whose sweep another process is still at is left to a later call.
    """
    finished = [
        train_all(sweep(arm, experiment), experiment)
        and train_all(runs_of(arm, experiment, seeds), experiment)
        for arm in arms
    ]
    return all(finished)


def table(run, experiment, name="metrics.csv"):
    """Returns the rows of a table of a finished run."""
    return read_csv(experiment.output / "runs" / run.name / name)


def column(run, experiment, name):
    """Returns a column of the metrics of a finished run, a value an epoch."""
    return [row[name] for row in table(run, experiment)]


def last(runs, experiment, name):
    """Returns a metric of each run after its last epoch."""
    return [column(run, experiment, name)[-1] for run in runs]


def is_flat(runs, experiment):
    """Returns whether the training loss had stopped falling at the first rate.

    It has if it fell by less than a tenth over the last five epochs before the rate was
    lowered.
    """
    epochs = configuration(runs[0], experiment.setting).schedule.epochs[0] - 1
    losses = [column(run, experiment, "loss") for run in runs]
    before, after = (
        statistics.mean(loss[max(0, epoch)] for loss in losses)
        for epoch in (epochs - 6, epochs - 1)
    )
    return after > 0.9 * before


def load(run, experiment):
    """Returns the trained model of a run."""
    path = experiment.workdir / run.name / "model.keras"
    if not path.exists():
        raise ValueError(
            "`workdir` must be where the run was trained; or remove the folder of its "
            f"results, and it is trained anew. Received: workdir={experiment.workdir}, "
            f"without {path}"
        )
    return keras.saving.load_model(path, compile=False)
