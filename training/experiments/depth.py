"""He's and Xavier's initialization on 14, 22 and 30 layers (section 2.3).

    python -m training.experiments.depth --output=training/results

All networks have ReLU; each network and initializer has its own best learning rate.
Also compares 14 with 30 layers. Writes depth.csv, depth_claims.csv and, with the full
setting, docs/images/depth.png: after each network, with the networks that are finished.
The 14-layer runs are shared with rectifiers.py; the full setting takes about eight more
hours on one core, half of them for model B, which comes last.
"""

import math

import numpy as np
from matplotlib.ticker import MaxNLocator

from training.experiments import arms, training_runs
from training.experiments.comparison import compare, mean_and_spread
from training.experiments.experiment import plt, program

NETS = {"model14": "14 layers", "model_b": "Model B, 22 layers", "model30": "30 layers"}
INITIALIZERS = {
    "he": "He",
    "xavier": "Xavier, 1/n with n inputs",
    "xavier_fan_out": "Xavier, 1/n with n outputs",
}
# Where nets stall, the lines of both of Xavier's rules are at guessing: the second is
# drawn thin on the first.
STYLES = {
    "he": {"color": "C0"},
    "xavier": {"color": "C1", "linewidth": 2.5},
    "xavier_fan_out": {"color": "C3", "linewidth": 1},
}
TRAINED_IN_ORDER = ("model14", "model30", "model_b")  # those that compute most last
COLUMNS = ("loss", "top1_error", "val_top1_error")


def cases(nets):
    """Return all cases of some networks: pairs of a network and an initializer."""
    return [(net, initializer) for net in nets for initializer in INITIALIZERS]


def arm(case):
    """Return the arm of a network and an initializer."""
    net, initializer = case
    return arms.Arm(net, "relu", initializer=initializer)


def seeds(net, experiment):
    """Return the seeds of a network: more for 30 layers, where single runs stall."""
    return experiment.seeds if net == "model30" else experiment.few_seeds


def runs(case, experiment):
    """Return the runs of a network and an initializer, one for each seed."""
    return training_runs.runs_of(arm(case), experiment, seeds(case[0], experiment))


def row(case, experiment):
    """Return the row of a case: means over the seeds after the first and last epoch."""
    net, initializer = case
    values = {
        "net": net,
        "initializer": initializer,
        "seeds": len(seeds(net, experiment)),
        "rate": training_runs.best_rate(arm(case), experiment),
        "flat": training_runs.is_flat(runs(case, experiment), experiment),
    }
    for when, epoch in (("first", 0), ("last", -1)):
        for name in COLUMNS:
            key = f"{when}_{name}"
            values[key], values[f"{key}_spread"] = mean_and_spread(
                [curve[epoch] for curve in curves(case, experiment, name)]
            )
    return values


def last(case, experiment, name):
    """Return a metric after the last epoch, one value for each seed."""
    return training_runs.last(runs(case, experiment), experiment, name)


def curves(case, experiment, name):
    """Return a metric after each epoch, one list for each seed."""
    return [
        training_runs.column(run, experiment, name) for run in runs(case, experiment)
    ]


def degradation(experiment):
    """Return the claim that more layers have a higher training error, and our verdict.

    It is not tested if a loss was still falling.
    """
    deep, shallow = ("model30", "he"), ("model14", "he")
    claim = compare(
        "30 layers have a higher training error than 14",
        last(deep, experiment, "top1_error"),
        last(shallow, experiment, "top1_error"),
        1,
    )
    both = [runs(case, experiment) for case in (deep, shallow)]
    return training_runs.tested_if_flat(claim, both, experiment)


def claim_about(net, initializer, experiment):
    """Return the paper's claim about He's start of a network beside another."""
    claim, measure, expected = {
        "model14": (
            "14 layers: the same error from He's start",
            lambda case: last(case, experiment, "val_top1_error"),
            0,
        ),
        "model_b": (
            "22 layers: the loss falls earlier from He's start",
            # The mean over all epochs, which is lower where the loss falls earlier.
            lambda case: np.mean(curves(case, experiment, "loss"), axis=1),
            -1,
        ),
        "model30": (
            "30 layers: a lower loss from He's start, Xavier stalls",
            lambda case: last(case, experiment, "loss"),
            -1,
        ),
    }[net]
    title = INITIALIZERS[initializer]
    return compare(
        f"{claim} ({title})",
        measure((net, "he")),
        measure((net, initializer)),
        expected,
    )


def claims(nets, experiment):
    """Return the paper's claims about some networks, each with our verdict."""
    about = [
        claim_about(net, initializer, experiment)
        for net, initializer in cases(nets)
        if initializer != "he"
    ]
    if {"model14", "model30"} <= set(nets):
        about.append(degradation(experiment))
    return about


def draw_seeds(axis, curves_of_seeds, label, **style):
    """Draw a line for each seed, because a mean would hide that some of them stall."""
    for seed, curve in enumerate(curves_of_seeds):
        epochs = range(1, len(curve) + 1)
        axis.plot(epochs, curve, label=None if seed else label, **style)


def draw_losses(axis, net, experiment):
    """Draw the training loss of a network from each start."""
    for initializer, title in INITIALIZERS.items():
        losses = curves((net, initializer), experiment, "loss")
        draw_seeds(axis, losses, title, **STYLES[initializer])
    axis.axhline(math.log(16), color="grey", linestyle=":", label="guessing")
    axis.set(title=f"{NETS[net]}, {len(seeds(net, experiment))} seeds")
    axis.set_ylabel("training loss")


def draw_errors(axis, nets, experiment):
    """Draw the errors of networks from He's start."""
    for net, color in zip(nets, ("C2", "C0", "C4"), strict=False):
        for name, style in (("top1_error", "-"), ("val_top1_error", "--")):
            kind = "validation" if name.startswith("val") else "training"
            percents = 100 * np.array(curves((net, "he"), experiment, name))
            label = f"{NETS[net]}, {kind}"
            draw_seeds(axis, percents, label, color=color, linestyle=style)
    axis.set(title="All nets from He's start")
    axis.set_ylabel("top-1 error, %")
    axis.legend(fontsize=9, loc="upper right", bbox_to_anchor=(1, 0.93))


def draw(nets, experiment):
    """Draw the training losses of some networks, and their errors."""
    figure, axes = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    for axis, net in zip(axes.flat, nets, strict=False):
        draw_losses(axis, net, experiment)
    for axis in axes.flat[len(nets) : -1]:
        axis.remove()  # of a network that is not finished
    draw_errors(axes[1, 1], nets, experiment)
    for axis in axes.flat:
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4
    )
    figure.suptitle("Nets with ReLU; one line per seed")
    experiment.save(figure, "depth")


def run(experiment):
    """Train what is missing, and write and draw the networks that are finished."""
    finished = set()
    for net in TRAINED_IN_ORDER:
        if training_runs.train_arms(
            [arm(case) for case in cases([net])], experiment, seeds(net, experiment)
        ):
            finished.add(net)
            nets = [net for net in NETS if net in finished]
            experiment.write("depth", [row(case, experiment) for case in cases(nets)])
            experiment.write("depth_claims", claims(nets, experiment))
            draw(nets, experiment)


if __name__ == "__main__":
    program(run)
