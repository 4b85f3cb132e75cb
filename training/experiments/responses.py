"""Mean responses and Fisher information with ReLU and with PReLU (section 2.1).

    python -m training.experiments.responses --output=training/results

Measures the 14-layer networks, whose runs are shared with rectifiers.py, three times:
before training; at equal loss, after the first epoch in which a network comes within a
tenth of the worst network's last training loss; and at the end. Writes responses.csv,
responses_claims.csv and, with the full setting, docs/images/responses.png. In addition
to the training it takes about half an hour on one core.

The mean response is compared with the one that the rectifier alone causes on Gaussian
responses of mean 0. The Fisher information of a unit is reported only if there are more
images than the unit has weights.
"""

import math
import statistics

from matplotlib.ticker import LogLocator, NullLocator

from keras_prelu import analysis, data
from training.experiments import arms, training_runs
from training.experiments.comparison import compare, mean_and_spread
from training.experiments.experiment import plt, program

RECTIFIERS = {"relu": "ReLU", "prelu": "PReLU"}
ARMS = {name: arms.Arm("model14", name) for name in RECTIFIERS}
# More than fc2, the largest layer that is measured, has inputs: 512 and a bias.
IMAGES = 640
MOMENTS = ("at the start", "at equal loss", "at the end")
# Of what is measured: the title of its panel, and the unit.
COLUMNS = {
    "offset": ("mean response", "mean / standard deviation"),
    "block": ("Fisher information, block", "largest / mean eigenvalue"),
    "diagonal": ("Fisher information, diagonal", "largest / mean element"),
}


def runs(rectifier, experiment):
    """Return the runs with a rectifier, one for each seed."""
    return training_runs.runs_of(ARMS[rectifier], experiment)


def gaussian_offset(slope):
    """Return the mean of a rectified standard Gaussian over its standard deviation.

    With a slope a, the mean is (1 - a) / sqrt(2 pi), the second moment (1 + a**2) / 2.
    """
    mean = (1 - slope) / math.sqrt(2 * math.pi)
    return abs(mean) / math.sqrt((1 + slope**2) / 2 - mean**2)


def equal_loss(experiment):
    """Return the training loss that every network reaches."""
    last = [
        training_runs.last(runs(name, experiment), experiment, "loss")
        for name in RECTIFIERS
    ]
    return 1.1 * max(max(losses) for losses in last)


def model_at(moment, run, experiment):
    """Return the model of a run at one of the moments."""
    model, _ = arms.build(run, experiment.setting)
    if moment == "at the end":
        model = training_runs.load(run, experiment)
    if moment == "at equal loss":
        losses = training_runs.column(run, experiment, "loss")
        target = equal_loss(experiment)
        epoch = next(i for i, loss in enumerate(losses, 1) if loss <= target)
        folder = experiment.workdir / run.name / "epochs"
        model.load_weights(folder / f"{epoch:02d}.weights.h5")
    return model


def weights_per_unit(layer):
    """Return the number of weights of one unit of a layer, including its bias."""
    return math.prod(layer.kernel.shape[:-1]) + 1


def measure(model, rectifier, images):
    """Return the measurements of each hidden layer, by its name.

    `offset` is measured at the rectifier's output, and `gaussian` is the value that the
    rectifier alone causes. The Fisher information belongs to the kernel before it.
    """
    answers = {row.name: row for row in analysis.responses(model, images)}
    measured = {}
    for row in analysis.fisher(model, images):
        prefix = "_" if row.name.startswith("fc") else ""
        name = f"{rectifier}{prefix}{row.name.removeprefix('conv')}"
        if name not in answers:
            continue  # the classifier has no rectifier
        after = answers[name]
        alpha = getattr(model.get_layer(name), "alpha", None)
        slopes = [0.0] if alpha is None else alpha.numpy().tolist()
        enough = len(images) > weights_per_unit(model.get_layer(row.name))
        measured[row.name] = {
            "offset": abs(after.mean) / after.std,
            "gaussian": statistics.mean(map(gaussian_offset, slopes)),
            "block": row.block if enough else math.nan,
            "diagonal": row.diagonal if enough else math.nan,
        }
    return measured


def measurements(experiment):
    """Return all measurements by moment and rectifier, one dict for each seed."""
    _, source = arms.sources(experiment.setting)
    measured = {}
    for rectifier in RECTIFIERS:
        for run in runs(rectifier, experiment):
            config = arms.configuration(run, experiment.setting).data
            batches = data.eval_batches(
                source, IMAGES, image_size=config.image_size, scale=config.eval_scale
            )
            images = next(iter(batches))[0].numpy()
            for moment in MOMENTS:
                print(f"{run.name}, {moment}", flush=True)
                model = model_at(moment, run, experiment)
                measured.setdefault((moment, rectifier), []).append(
                    measure(model, rectifier, images)
                )
    return measured


def rows(measured):
    """Return a row for each moment, rectifier and layer: means over the seeds."""
    table = []
    for (moment, rectifier), by_seed in measured.items():
        for layer in by_seed[0]:
            row = {"moment": moment, "rectifier": RECTIFIERS[rectifier], "layer": layer}
            for name in (*COLUMNS, "gaussian"):
                values = [by_layer[layer][name] for by_layer in by_seed]
                row[name], row[f"{name}_spread"] = mean_and_spread(values)
            table.append(row)
    return table


def claims(measured):
    """Return the paper's claims about responses, each with our verdict."""

    def over_layers(moment, rectifier, name):
        """Return the geometric mean over the measured layers for each seed."""
        return [
            statistics.geometric_mean(
                row[name] for row in by_layer.values() if not math.isnan(row[name])
            )
            for by_layer in measured[moment, rectifier]
        ]

    titles = {
        "offset": "PReLU's mean responses are nearer to 0",
        "block": "PReLU's Fisher information is better conditioned (blocks)",
        "diagonal": "PReLU's Fisher information is better conditioned (diagonal)",
    }
    return [
        compare(
            f"{title}, {moment}",
            over_layers(moment, "prelu", name),
            over_layers(moment, "relu", name),
            -1,
        )
        for name, title in titles.items()
        for moment in MOMENTS
    ]


def draw(table, experiment):
    """Draw each measurement by layer, at equal loss."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.5), layout="constrained")
    for axis, (name, (title, unit)) in zip(axes, COLUMNS.items(), strict=True):
        for label, color in zip(RECTIFIERS.values(), ("C0", "C1"), strict=True):
            chosen = [
                row
                for row in table
                if (row["rectifier"], row["moment"]) == (label, "at equal loss")
            ]
            layers = [row["layer"] for row in chosen]
            axis.errorbar(
                layers,
                [row[name] for row in chosen],
                [row[f"{name}_spread"] for row in chosen],
                fmt="o-",
                capsize=3,
                color=color,
                label=label,
            )
            if name == "offset":
                alone = [row["gaussian"] for row in chosen]
                axis.plot(layers, alone, ":", color=color, label=f"{label} alone")
        axis.set(title=title, xlabel="layer", ylabel=unit)
        axis.tick_params(axis="x", rotation=60)
        axis.grid(axis="y", alpha=0.3)
    for axis in axes[1:]:
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_locator(NullLocator())
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4
    )
    figure.suptitle(
        "14-layer networks at equal loss: mean and standard deviation of "
        f"{len(experiment.seeds)} seeds"
    )
    experiment.save(figure, "responses")


def run(experiment):
    """Train what is missing, write the tables and draw the figure."""
    if training_runs.train_arms(list(ARMS.values()), experiment):
        measured = measurements(experiment)
        table = rows(measured)
        experiment.write("responses", table)
        experiment.write("responses_claims", claims(measured))
        experiment.write_config("responses", images=IMAGES)
        draw(table, experiment)


if __name__ == "__main__":
    program(run)
