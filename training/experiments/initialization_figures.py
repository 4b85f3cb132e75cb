"""The figures about nets at the start of training, from the results."""

import fractions
import math

import numpy as np

from keras_prelu.tables import read_csv
from training.experiments.experiment import plt
from training.experiments.first_try import COLORS as CLASSES

GUESSING = math.log(len(CLASSES))
COLORS = {0.0625: "C0", 0.25: "C1", 1: "C2"}  # by width
LIMITS = (1e-3, 1e3)  # losses beyond these are drawn at the edge
OPTIMIZERS = {"sgd": "SGD", "adam": "Adam"}


def first_try(results):
    """Draw the losses of new networks, a panel per optimizer and image size."""
    rows = read_csv(results / "first_try.csv")
    optimizers = list(dict.fromkeys((row["optimizer"], row["rate"]) for row in rows))
    sides = sorted({row["side"] for row in rows})
    figure, axes = plt.subplots(
        len(sides),
        len(optimizers),
        figsize=(11, 1 + 3 * len(sides)),
        layout="constrained",
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for row in rows:
        optimizer = (row["optimizer"], row["rate"])
        axis = axes[sides.index(row["side"]), optimizers.index(optimizer)]
        draw_losses(axis, row)
    for axes_of_side, side in zip(axes, sides, strict=True):
        axes_of_side[0].set_ylabel("training loss")
        for axis, (name, rate) in zip(axes_of_side, optimizers, strict=True):
            axis.set(
                title=f"{OPTIMIZERS[name]} at {rate:g}, {side}×{side}", yscale="log"
            )
            axis.set(ylim=(LIMITS[0] / 1.5, LIMITS[1] * 1.5))
            axis.axhline(GUESSING, color="grey", linestyle=":")
            axis.axhline(GUESSING / 2, color="grey", linestyle="--")
            axis.grid(alpha=0.3)
    for axis in axes[-1]:
        axis.set_xlabel("epoch")
    lines = [plt.Line2D([], [], color=color) for color in COLORS.values()]
    for style in (":", "--"):
        lines.append(plt.Line2D([], [], color="grey", linestyle=style))
    lines.append(plt.Line2D([], [], color="black", marker="x", linestyle=""))
    labels = [f"width {fractions.Fraction(width)}" for width in COLORS]
    labels += ["guessing", "half of it", "then NaN"]
    figure.legend(lines, labels, loc="outside lower center", ncols=len(labels))
    figure.suptitle(
        "Model A on four colors; one line per seed; losses beyond the scale at its edge"
    )
    return figure


def draw_losses(axis, row):
    """Draw the losses of a network, and mark the last one before NaN or infinity."""
    losses = [float(loss) for loss in str(row["losses"]).split()]
    color = COLORS[row["width"]]
    axis.plot(
        range(1, len(losses) + 1), np.clip(losses, *LIMITS), color=color, linewidth=1.2
    )
    finite = [math.isfinite(loss) for loss in losses]
    if not all(finite):
        last = finite.index(False)
        axis.plot(last, losses[last - 1], "x", color=color)
