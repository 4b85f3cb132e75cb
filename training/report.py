"""The report of a finished run: an evaluation of the saved model, and figures."""

import json
import sys
from types import SimpleNamespace

import keras
import matplotlib
import numpy as np

from keras_prelu import data
from keras_prelu.analysis import plots
from keras_prelu.evaluation import evaluate
from keras_prelu.files import replacing
from keras_prelu.tables import read_csv
from training.workdir import data_name

matplotlib.use("Agg")  # figures go to files; there may be no screen
import matplotlib.pyplot as plt

EXAMPLES = 12
MISTAKES = 4
RIGHT, WRONG = "#007A5A", "#B3261E"


def write_report(workdir, config, source):
    """Evaluate `model.keras` of a run and draw what it has learned.

    Args:
        workdir: `pathlib.Path` of the run.
        config: Its configuration.
        source: The validation data.
    """
    is_terminal = sys.stdout.isatty()
    model = keras.saving.load_model(workdir / "model.keras", compile=False)
    evaluation = evaluate(
        model,
        source,
        scales=(config.data.eval_scale,),
        batch_size=config.batch_size or 32,
        verbose=int(is_terminal),  # progress and result
    )
    name = data_name(config.data, config.data.validation)
    write_evaluations([evaluation], name, workdir, config.data.image_size)

    write_logs(workdir, {"loss": "Loss", "top1_error": "Top-1 error"})
    if not is_terminal:
        print(evaluation)
    print(f"Model: {workdir / 'model.keras'}\nFigures: {workdir / 'report'}")


def write_logs(workdir, metrics):
    """Draw the curves and the slopes of a run.

    Args:
        workdir: `pathlib.Path` of the run.
        metrics: See `draw_curves`.
    """
    folder = workdir / "report"
    folder.mkdir(exist_ok=True)
    save(draw_curves(read_csv(workdir / "metrics.csv"), metrics), folder / "curves.png")
    slopes = workdir / "slopes.csv"
    if slopes.exists():  # a model without PReLU has none
        save(draw_slopes(read_csv(slopes)), folder / "slopes.png")


def write_evaluations(evaluations, name, folder, image_size):
    """Write evaluation.json, and draw the first evaluation.

    Args:
        evaluations: List of `Evaluation`s of one source by different protocols.
        name: The name of the source's data, for people to read.
        folder: `pathlib.Path` of a folder.
        image_size: Integer, the side of the images to draw.
    """
    summaries = {
        evaluation.protocol: {"data": name, **evaluation.summary()}
        for evaluation in evaluations
    }
    with replacing(folder / "evaluation.json") as aside:
        aside.write_text(json.dumps(summaries, indent=2) + "\n")
    (folder / "report").mkdir(exist_ok=True)
    first = evaluations[0]
    confusion = draw_confusion(first.confusion(), first.class_names)
    save(confusion, folder / "report" / "confusion.png")
    save(draw_examples(first, image_size), folder / "report" / "examples.png")


def _crops(evaluation, chosen, image_size):
    """Return the center crops of some images of an evaluation."""
    source = data.Subset(evaluation.source, evaluation.indices[chosen])
    batches = data.eval_batches(
        source, len(chosen), image_size=image_size, scale=evaluation.scales[0]
    )
    return np.asarray(next(iter(batches))[0])


def save(figure, path):
    """Write a figure to a file and close it."""
    with replacing(path) as aside:
        figure.savefig(aside, dpi=110)
    plt.close(figure)


def draw_curves(rows, metrics):
    """Draw two metrics per epoch, in training and validation.

    Args:
        rows: The rows of metrics.csv.
        metrics: A dict from the names of the metrics to their titles. The second is a
            fraction.
    """
    epochs = [row["epoch"] for row in rows]
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, (name, title) in zip(axes, metrics.items(), strict=True):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            axis.plot(epochs, [row[key] for row in rows], ".-", label=label)
        rates = [row["learning_rate"] for row in rows]
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
    """Draw mean and standard deviation of each layer's slopes after the last epoch."""
    numbers = ("mean", "std", "min", "max")
    return plots.draw_slopes(
        [
            SimpleNamespace(name=row["layer"], **{n: row[n] for n in numbers})
            for row in rows
            if row["epoch"] == rows[-1]["epoch"]
        ]
    )


def literal(name):
    """Return a class name that can be drawn, whatever bytes a folder's name has."""
    return name.encode(errors="backslashreplace").decode()


def draw_confusion(counts, class_names):
    """Draw the confusion matrix, with names and numbers if there are few classes."""
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 8 if len(counts) <= 40 else 12
    figure, axis = plt.subplots(figsize=(side + 1, side), layout="constrained")
    image = axis.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, label="fraction of the class", shrink=0.8)
    axis.set(title="Confusion matrix", xlabel="best guess", ylabel="true class")
    if len(counts) <= 40:
        ticks = np.arange(len(counts))
        names = [*map(literal, class_names)]
        axis.set_xticks(ticks, names, rotation=60, ha="right", parse_math=False)
        axis.set_yticks(ticks, names, parse_math=False)
        for row, column in zip(*np.nonzero(counts), strict=True):
            axis.text(
                column,
                row,
                counts[row, column],
                ha="center",
                va="center",
                fontsize=7,
                color="white" if fractions[row, column] > 0.5 else "black",
            )
    return figure


def choose_examples(labels, hits):
    """Return the indices of images to draw: one per class, then some mistakes."""
    _, first = np.unique(labels, return_index=True)
    mistakes = np.setdiff1d(np.flatnonzero(~hits), first)[:MISTAKES]
    return np.concatenate([first[: EXAMPLES - len(mistakes)], mistakes])


def draw_examples(evaluation, image_size):
    """Draw images with their class and the five best guesses, as in Figure 4."""
    chosen = choose_examples(
        evaluation.labels, evaluation.best[:, 0] == evaluation.labels
    )
    images = _crops(evaluation, chosen, image_size)
    labels, best = evaluation.labels[chosen], evaluation.best[chosen]
    scores = evaluation.best_scores[chosen]
    class_names = [*map(literal, evaluation.class_names)]
    columns = 4
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(
        rows, 2 * columns, figsize=(4 * columns, 2.1 * rows), layout="constrained"
    )
    for axis in axes.flat:
        axis.axis("off")
    pairs = axes.reshape(-1, 2)
    for i, image in enumerate(images):
        left, bars = pairs[i]
        left.imshow(image)
        is_right = best[i, 0] == labels[i]
        # The mark tells those who cannot tell the colors.
        mark, color = ("✓", RIGHT) if is_right else ("✗", WRONG)
        left.set_title(
            f"{mark} {class_names[labels[i]]}", color=color, parse_math=False
        )
        bars.axis("on")
        colors = [
            "mediumseagreen" if guess == labels[i] else "silver" for guess in best[i]
        ]
        heights = np.arange(len(best[i]))
        bars.barh(heights, scores[i], color=colors)
        for height, guess in zip(heights, best[i], strict=True):
            name = class_names[guess]
            bars.text(0.02, height, name, va="center", fontsize=9, parse_math=False)
        bars.set(xlim=(0, 1), ylim=(len(heights) - 0.4, -0.6), xticks=[], yticks=[])
    return figure
