"""He against Xavier on 22 and 30 layers (Figures 2 and 3), and 14 against 30 layers.

    python training/experiments/depth.py --output=training/results

Writes depth.csv and, with the full setting, docs/images/depth.png. Takes the 14-layer
runs from rectifiers.py if they are there; the full setting takes about 75 minutes more
on one core.
"""

import math

import _runs
import numpy as np
from _program import band, plt, program, write

NETS = {"model14": "14 layers", "model_b": "model B, 22 layers", "model30": "30 layers"}
INITIALIZERS = {"he": "He", "xavier": "Xavier"}
CASES = [
    ("model14", "he"),
    ("model_b", "he"),
    ("model_b", "xavier"),
    ("model30", "he"),
    ("model30", "xavier"),
]
COLUMNS = ("loss", "top1_error", "val_top1_error")


def runs(case, place):
    """Returns the runs of a net and an initializer, one for each seed."""
    net, initializer = case
    return [
        _runs.Run(net, "relu", seed, initializer=initializer) for seed in place.seeds
    ]


def row(case, place):
    """Returns a case's row: means over the seeds after the first and last epoch."""
    net, initializer = case
    values = {"net": net, "initializer": initializer, "seeds": len(place.seeds)}
    for when, epoch in (("first", 0), ("last", -1)):
        for name in COLUMNS:
            key = f"{when}_{name}"
            values[key], values[f"{key}_spread"] = _runs.summary(
                runs(case, place), place, name, epoch
            )
    return values


def draw(place):
    """Draws the training loss of each net, and the errors of 14 and 30 layers."""
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.5), layout="constrained")

    def curves(case, name):
        return [_runs.column(run, place, name) for run in runs(case, place)]

    # A line a seed: some of them stall, of which a mean would tell nothing.
    for axis, net in zip(axes, ("model_b", "model30"), strict=False):
        for (initializer, title), color in zip(
            INITIALIZERS.items(), ("tab:blue", "tab:orange"), strict=True
        ):
            for seed, losses in enumerate(curves((net, initializer), "loss")):
                label = None if seed else title
                axis.plot(range(1, len(losses) + 1), losses, color=color, label=label)
        axis.axhline(math.log(16), color="grey", linestyle=":", label="guessing")
        axis.set(title=f"{NETS[net]}, ReLU, {len(place.seeds)} seeds")
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
    place.save(figure, "depth")


def run(place):
    """Trains what is missing, writes, draws."""
    if _runs.train_all([r for case in CASES for r in runs(case, place)], place):
        write(place.output / "depth.csv", [row(case, place) for case in CASES])
        draw(place)


if __name__ == "__main__":
    program(run)
