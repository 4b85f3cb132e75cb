"""He's and Xavier's initialization on 14, 22 and 30 layers (section 2.3).

    python -m training.experiments.depth --output=training/results

All networks have ReLU; each network and initializer has its own best learning rate.
Also compares 14 with 30 layers. Writes depth.csv, depth_claims.csv and, with the full
setting, docs/images/depth.png. The 14-layer runs are shared with rectifiers.py; the
full setting takes about six more hours on one core.
"""

import math
import statistics

import numpy as np

from training.experiments import arms, training_runs
from training.experiments.comparison import NOT_TESTED, band, compare, mean_and_spread
from training.experiments.experiment import plt, program

NETS = {"model14": "14 layers", "model_b": "model B, 22 layers", "model30": "30 layers"}
INITIALIZERS = {
    "he": "He",
    "xavier": "Xavier, 1/n with n inputs",
    "xavier_fan_out": "Xavier, 1/n with n outputs",
}
CASES = [(net, initializer) for net in NETS for initializer in INITIALIZERS]
COLUMNS = ("loss", "top1_error", "val_top1_error")


def arm(case):
    """Return the arm of a network and an initializer."""
    net, initializer = case
    return arms.Arm(net, "relu", initializer=initializer)


def runs(case, experiment):
    """Return the runs of a network and an initializer, one for each seed."""
    return training_runs.runs_of(arm(case), experiment, experiment.few_seeds)


def row(case, experiment):
    """Return the row of a case: means over the seeds after the first and last epoch."""
    net, initializer = case
    values = {
        "net": net,
        "initializer": initializer,
        "seeds": len(experiment.few_seeds),
        "rate": training_runs.best_rate(arm(case), experiment),
        "flat": training_runs.is_flat(runs(case, experiment), experiment),
    }
    for when, epoch in (("first", 0), ("last", -1)):
        for name in COLUMNS:
            key = f"{when}_{name}"
            values[key], values[f"{key}_spread"] = mean_and_spread(
                [
                    training_runs.column(run, experiment, name)[epoch]
                    for run in runs(case, experiment)
                ]
            )
    return values


def claims(experiment):
    """Return the paper's claims about depth, each with our verdict."""

    def last(case, name):
        return training_runs.last(runs(case, experiment), experiment, name)

    def mean_loss(case):  # over all epochs: lower where the loss falls earlier
        return [
            statistics.mean(training_runs.column(run, experiment, "loss"))
            for run in runs(case, experiment)
        ]

    deep, shallow = ("model30", "he"), ("model14", "he")
    degradation = compare(
        "30 layers have a higher training error than 14",
        last(deep, "top1_error"),
        last(shallow, "top1_error"),
        1,
    )
    if not all(
        training_runs.is_flat(runs(case, experiment), experiment)
        for case in (deep, shallow)
    ):
        degradation["verdict"] = NOT_TESTED  # the loss was still falling
    table = [degradation]
    for initializer in list(INITIALIZERS)[1:]:
        title = INITIALIZERS[initializer]
        xavier = {net: (net, initializer) for net in NETS}
        table += [
            compare(
                f"14 layers: the same error from He's start ({title})",
                last(shallow, "val_top1_error"),
                last(xavier["model14"], "val_top1_error"),
                0,
            ),
            compare(
                f"22 layers: the loss falls earlier from He's start ({title})",
                mean_loss(("model_b", "he")),
                mean_loss(xavier["model_b"]),
                -1,
            ),
            compare(
                f"30 layers: a lower loss from He's start, Xavier stalls ({title})",
                last(deep, "loss"),
                last(xavier["model30"], "loss"),
                -1,
            ),
        ]
    return table


def draw(experiment):
    """Draw the training loss of each network, and the errors of 14 and 30 layers."""
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.5), layout="constrained")

    def curves(case, name):
        return [
            training_runs.column(run, experiment, name)
            for run in runs(case, experiment)
        ]

    # One line for each seed, because a mean would hide that some of them stall.
    for axis, net in zip(axes, ("model_b", "model30"), strict=False):
        for (initializer, title), color in zip(
            INITIALIZERS.items(), ("tab:blue", "tab:orange", "tab:red"), strict=True
        ):
            for seed, losses in enumerate(curves((net, initializer), "loss")):
                label = None if seed else title
                axis.plot(range(1, len(losses) + 1), losses, color=color, label=label)
        axis.axhline(math.log(16), color="grey", linestyle=":", label="guessing")
        axis.set(title=f"{NETS[net]}, ReLU, {len(experiment.few_seeds)} seeds")
        axis.set_ylabel("training loss")
    for net, color in (("model14", "tab:green"), ("model30", "tab:blue")):
        for name, style in (("top1_error", "-"), ("val_top1_error", "--")):
            kind = "validation" if name.startswith("val") else "training"
            label = f"{NETS[net]}, {kind}"
            percents = 100 * np.array(curves((net, "he"), name))
            epochs = range(1, percents.shape[1] + 1)
            band(axes[2], epochs, percents, label=label, color=color, linestyle=style)
    axes[2].set(title="14 against 30 layers, He, mean and spread")
    axes[2].set_ylabel("top-1 error, %")
    for axis in axes:
        axis.set_xlabel("epoch")
        axis.grid(alpha=0.3)
        axis.legend()
    experiment.save(figure, "depth")


def run(experiment):
    """Train what is missing, write the tables and draw the figure."""
    if training_runs.train_arms(
        [arm(case) for case in CASES], experiment, experiment.few_seeds
    ):
        experiment.write("depth", [row(case, experiment) for case in CASES])
        experiment.write("depth_claims", claims(experiment))
        draw(experiment)


if __name__ == "__main__":
    program(run)
