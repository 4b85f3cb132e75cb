"""Detectors that start from nets trained with ReLU and with PReLU (section 4).

    python -m training.experiments.detection --output=training/results

The paper says that a net trained with PReLU is a better start for Fast R-CNN than its
twin with ReLU. Here the quickstart's recipe trains both on the built-in shapes, and
`detect_scenes.py` trains detectors from them, and from a net that was not trained. All
settings are equal but for the learning rate: every start has its own best rate. Writes
detection.csv, detection_sweep.csv, detection_bounds.csv (what the proposals allow) and
detection_claims.csv, and with the full setting docs/images/detection.png. The full
setting takes about 70 minutes on one core.
"""

import json
import shutil
import subprocess
import sys
from typing import NamedTuple

from keras_prelu import detection
from keras_prelu.files import replacing
from training import detection_recipe, errors
from training.experiments.comparison import compare, mean_and_spread
from training.experiments.experiment import plt, program
from training.recipes import detect_scenes

RATES = (0.003, 0.01, 0.02)
SWEEP_SEED = 99  # of the runs that choose the rate
# By label: the rectifier, and whether the net was trained on shapes first.
STARTS = {
    "PReLU, trained on shapes": ("prelu", True),
    "ReLU, trained on shapes": ("relu", True),
    "PReLU, not trained": ("prelu", False),
}
IN_USE = 2  # the exit code of `training.train` for a wrong argument or a used folder
# A detector whose loss became infinite or NaN finds nothing.
DIVERGED = {"mean_ap": 0.0, "diverged": True}
SMALL_CLASSIFIER = {"data.train": "train[:32]", "data.validation": "validation[:16]"}
SMALL_CLASSIFIER |= {"model.width": 0.03, "epochs": 1}
SMALL_DETECTOR = {"data.train": "train[:4]", "data.validation": "validation[:4]"}
SMALL_DETECTOR |= {"model.width": 0.03, "epochs": 1, "proposals.method": "grid"}
SMALL_DETECTOR |= {"proposals.side": 0}


class Run(NamedTuple):
    """A detector: how it starts, its learning rate and its seed."""

    start: str
    rate: float
    seed: int

    @property
    def net(self):
        """The name of the run of the net that it starts from."""
        return f"shapes-{STARTS[self.start][0]}-{self.seed}"

    @property
    def name(self):
        """The name of the run's folder."""
        rectifier, is_trained = STARTS[self.start]
        origin = "trained" if is_trained else "untrained"
        return f"detection-{rectifier}-{origin}-{self.rate:g}-{self.seed}"


def train(name, recipe, settings, experiment):
    """Train a run by a recipe, and return whether it is finished.

    It is not if another process is working on it.
    """
    folder = experiment.workdir / name
    if (folder / "evaluation.json").exists():
        return True
    command = [
        *(sys.executable, "-m", "training.train"),
        f"--config=training/recipes/{recipe}.py",
        f"--workdir={folder}",
        *(f"--config.{key}={value}" for key, value in settings.items()),
    ]
    print(f"{name}: {' '.join(command[1:])}", flush=True)
    code = subprocess.run(command).returncode
    if code == errors.NOT_FINITE:
        with replacing(folder / "evaluation.json") as aside:
            aside.write_text(json.dumps(DIVERGED))
    elif code not in (0, IN_USE):
        raise RuntimeError(f"The run {name} ended with the exit code {code}")
    return code != IN_USE


def detect(run, experiment):
    """Train a detector and the net that it starts from, and publish its tables.

    Returns whether it is finished.
    """
    rectifier, is_trained = STARTS[run.start]
    common = {"model.activation": rectifier, "seed": run.seed}
    weights = ""
    if is_trained:
        small = SMALL_CLASSIFIER if experiment.is_small else {}
        if not train(run.net, "quickstart", {**common, **small}, experiment):
            return False
        weights = experiment.workdir / run.net / "model.keras"
    settings = {
        **common,
        "model.weights": weights,
        "optimizer.learning_rate": run.rate,
        "proposals.directory": experiment.workdir / "proposals",
        **(SMALL_DETECTOR if experiment.is_small else {}),
    }
    if not train(run.name, "detect_scenes", settings, experiment):
        return False
    published = experiment.output / "runs" / run.name
    published.mkdir(parents=True, exist_ok=True)
    for name in ("metrics.csv", "evaluation.json"):
        if not (experiment.workdir / run.name / name).exists():
            continue  # a run that diverged in its first epoch has no metrics
        with replacing(published / name) as aside:
            shutil.copyfile(experiment.workdir / run.name / name, aside)
    return True


def detect_all(runs, experiment):
    """Train the missing detectors, and return whether all are finished."""
    return not [run for run in runs if not detect(run, experiment)]


def mean_average_precision(run, experiment):
    """Return the mean average precision of a finished run."""
    path = experiment.output / "runs" / run.name / "evaluation.json"
    return json.loads(path.read_text())["mean_ap"]


def sweep(start, experiment):
    """Return the runs that choose the learning rate of a start."""
    rates = RATES[:1] if experiment.is_small else RATES
    return [Run(start, rate, SWEEP_SEED) for rate in rates]


def runs_of(start, experiment):
    """Return the runs of a start at its best rate, one for each seed."""
    best = max(
        sweep(start, experiment),
        key=lambda run: mean_average_precision(run, experiment),
    )
    return [Run(start, best.rate, seed) for seed in experiment.few_seeds]


def results(experiment):
    """Return a row for each start: the mean average precision over the seeds."""
    rows = []
    for start in STARTS:
        runs = runs_of(start, experiment)
        values = [mean_average_precision(run, experiment) for run in runs]
        mean, spread = mean_and_spread(values)
        rows.append(
            {
                "start": start,
                "rate": runs[0].rate,
                "seeds": len(runs),
                "mean_average_precision": mean,
                "mean_average_precision_spread": spread,
            }
        )
    return rows


def swept(experiment):
    """Return a row for each start and learning rate, with the sweep's seed."""
    return [
        {
            "start": start,
            "rate": run.rate,
            "mean_average_precision": mean_average_precision(run, experiment),
        }
        for start in STARTS
        for run in sweep(start, experiment)
    ]


def bounds(experiment):
    """Return what the proposals of the validation images allow."""
    config = detect_scenes.get_config()
    config.update_from_flattened_dict(SMALL_DETECTOR if experiment.is_small else {})
    config.proposals.directory = str(experiment.workdir / "proposals")
    _, images = detection_recipe.open_sources(config)
    source, proposals = images.source, images.proposals
    recall = detection.recall(proposals, source)
    perfect = detection.evaluate_detections(
        detection.perfect_detections(proposals, source),
        [source.objects(index) for index in range(len(source))],
        source.class_names,
    )
    return [
        {
            "regions_per_image": recall.regions_per_image,
            "recall_at_0.5": recall.overall[0.5],
            "recall_at_0.7": recall.overall[0.7],
            "perfect_classification": perfect.mean_ap,
        }
    ]


def claims(experiment):
    """Return the paper's claim and a check of the method, each with our verdict."""
    prelu, relu, untrained = (
        [mean_average_precision(run, experiment) for run in runs_of(start, experiment)]
        for start in STARTS
    )
    return [
        compare("PReLU is a better start for detection", prelu, relu, 1),
        compare("A trained net is a better start for detection", prelu, untrained, 1),
    ]


def draw(rows, bound, experiment):
    """Draw the mean average precision of each start, and what the proposals allow."""
    figure, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
    positions = range(len(rows))
    axis.barh(
        positions,
        [100 * row["mean_average_precision"] for row in rows],
        xerr=[100 * row["mean_average_precision_spread"] for row in rows],
        color=["C1", "C0", "tab:grey"],  # as in the other figures
        capsize=4,
    )
    axis.axvline(100 * bound, color="grey", linestyle=":")
    axis.set_yticks(positions, [row["start"] for row in rows])
    axis.invert_yaxis()
    axis.set(
        xlim=(0, 100),
        xlabel="VOC07 mean average precision, %\n"
        "(dotted: all proposals classified right)",
        title="Detectors on scenes, by what they start from",
    )
    experiment.save(figure, "detection")


def run(experiment):
    """Train what is missing, write the tables and draw the figure."""
    is_finished = [
        detect_all(sweep(start, experiment), experiment)
        and detect_all(runs_of(start, experiment), experiment)
        for start in STARTS
    ]
    if not all(is_finished):
        print("To be finished by another process. After that, repeat the command.")
        return
    rows, limits = results(experiment), bounds(experiment)
    experiment.write("detection", rows)
    experiment.write("detection_sweep", swept(experiment))
    experiment.write("detection_bounds", limits)
    experiment.write("detection_claims", claims(experiment))
    draw(rows, limits[0]["perfect_classification"], experiment)


if __name__ == "__main__":
    program(run)
