"""What a finished run shows: an evaluation of the saved model, and pictures."""

import csv
import json
from types import SimpleNamespace

import keras
import matplotlib
import numpy as np

from keras_prelu import data
from keras_prelu.analysis import plots
from keras_prelu.evaluation import evaluate
from keras_prelu.files import replacing

matplotlib.use("Agg")  # files only; there may be no screen
import matplotlib.pyplot as plt

SHOWN = 12
MISTAKES_SHOWN = 4


def write_report(workdir, config, source):
    """Evaluates `model.keras` of a run, and draws what it has learned.

    Args:
        workdir: `pathlib.Path` of the run.
        config: Its configuration.
        source: The validation data.
    """
    model = keras.saving.load_model(workdir / "model.keras", compile=False)
    scale = config.data.eval_scale
    found = evaluate(model, source, scales=(scale,), batch_size=config.batch_size or 32)
    write_evaluations([found], workdir, config.data.image_size)

    folder = workdir / "report"
    folder.mkdir(exist_ok=True)
    save(draw_curves(_table(workdir / "metrics.csv")), folder / "curves.png")
    slopes = _table(workdir / "slopes.csv") if (workdir / "slopes.csv").exists() else []
    if slopes:
        save(draw_slopes(slopes), folder / "slopes.png")
    print(f"Model: {workdir / 'model.keras'}\nPictures: {folder}")


def write_evaluations(found, folder, image_size):
    """Writes evaluation.json, and pictures of the first evaluation.

    Args:
        found: List of `Evaluation`s, of different protocols, on the same source.
        folder: `pathlib.Path` of a folder.
        image_size: Side of the pictures to show.
    """
    summaries = {evaluation.protocol: evaluation.summary() for evaluation in found}
    with replacing(folder / "evaluation.json") as aside:
        aside.write_text(json.dumps(summaries, indent=2) + "\n")
    (folder / "report").mkdir(exist_ok=True)
    first = found[0]
    confusions = draw_confusions(first.confusion(), first.class_names)
    save(confusions, folder / "report" / "confusion.png")
    save(draw_examples(first, image_size), folder / "report" / "examples.png")


def _table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _pictures(found, chosen, image_size):
    """The centre crops of chosen pictures of an evaluation, as it saw them."""
    source = data.Subset(found.source, found.indices[chosen])
    batches = data.eval_batches(
        source, len(chosen), image_size=image_size, scale=found.scales[0]
    )
    return next(iter(batches))[0].numpy()


def save(figure, path):
    """Writes a figure to a file, and forgets it."""
    with replacing(path) as aside:
        figure.savefig(aside, dpi=110)
    plt.close(figure)


def draw_curves(rows):
    """Loss and top-1 error by epoch, in training and validation."""
    epochs = [int(row["epoch"]) for row in rows]
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, name, title in zip(
        axes, ("loss", "top1_error"), ("Loss", "Top-1 error"), strict=True
    ):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            axis.plot(epochs, [float(row[key]) for row in rows], ".-", label=label)
        rates = [float(row["learning_rate"]) for row in rows]
        for i in range(1, len(rows)):
            if rates[i] < rates[i - 1]:
                axis.axvline(epochs[i] - 0.5, color="grey", linestyle=":", linewidth=1)
        axis.set(title=title, xlabel="epoch", ylim=(0, None))
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
        axis.legend()
    axes[1].yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1))
    figure.supxlabel("dotted: the learning rate is lowered", fontsize=9)
    return figure


def draw_slopes(rows):
    """Mean and spread of each layer's slopes, at the last epoch, by depth."""
    numbers = ("mean", "std", "min", "max")
    return plots.draw_slopes(
        [
            SimpleNamespace(name=row["layer"], **{n: float(row[n]) for n in numbers})
            for row in rows
            if row["epoch"] == rows[-1]["epoch"]
        ]
    )


def literal(name):
    """Returns a class name as it can be drawn, whatever bytes a folder's name has."""
    return name.encode(errors="backslashreplace").decode()


def draw_confusions(counts, class_names):
    """The share of each class taken for each, names and numbers where they fit."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 8 if len(counts) <= 40 else 12
    figure, axis = plt.subplots(figsize=(side + 1, side), layout="constrained")
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, label="share of the class", shrink=0.8)
    axis.set(title="Confusions", xlabel="best guess", ylabel="truth")
    if len(counts) <= 40:
        places = np.arange(len(counts))
        names = [*map(literal, class_names)]
        axis.set_xticks(places, names, rotation=60, ha="right", parse_math=False)
        axis.set_yticks(places, names, parse_math=False)
        for row, column in zip(*np.nonzero(counts), strict=True):
            axis.text(
                column,
                row,
                counts[row, column],
                ha="center",
                va="center",
                fontsize=7,
                color="white" if shares[row, column] > 0.5 else "black",
            )
    return figure


def choose_examples(labels, hits):
    """Returns places of pictures to show: one a class in turn, then some mistakes."""
    _, first = np.unique(labels, return_index=True)
    mistakes = np.setdiff1d(np.flatnonzero(~hits), first)[:MISTAKES_SHOWN]
    return np.concatenate([first[: SHOWN - len(mistakes)], mistakes])


def draw_examples(found, image_size):
    """Pictures with the truth and the five best guesses, as in the paper's figure 4."""
    chosen = choose_examples(found.labels, found.best[:, 0] == found.labels)
    images = _pictures(found, chosen, image_size)
    labels, best = found.labels[chosen], found.best[chosen]
    scores, class_names = found.best_scores[chosen], [*map(literal, found.class_names)]
    columns = 4
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(
        rows, 2 * columns, figsize=(4 * columns, 2.1 * rows), layout="constrained"
    )
    for axis in axes.flat:
        axis.axis("off")
    pairs = axes.reshape(-1, 2)
    for i, image in enumerate(images):
        picture, bars = pairs[i]
        picture.imshow(image)
        right = best[i, 0] == labels[i]
        picture.set_title(
            class_names[labels[i]],
            color="darkgreen" if right else "firebrick",
            parse_math=False,
        )
        bars.axis("on")
        colors = ["seagreen" if guess == labels[i] else "silver" for guess in best[i]]
        places = np.arange(len(best[i]))
        bars.barh(places, scores[i], color=colors)
        for place, guess in zip(places, best[i], strict=True):
            name = class_names[guess]
            bars.text(0.02, place, name, va="center", fontsize=9, parse_math=False)
        bars.set(xlim=(0, 1), ylim=(len(places) - 0.4, -0.6), xticks=[], yticks=[])
    return figure
