"""What the experiments share: their command line, tables that resume, figures."""

import csv
import json
import pathlib
import statistics
from typing import NamedTuple

import matplotlib
import numpy as np
from absl import app, flags
from scipy import stats

from keras_prelu.files import replacing
from training import errors

matplotlib.use("Agg")  # files only; there may be no screen
import matplotlib.pyplot as plt

ROOT = pathlib.Path(__file__).parents[2]
FULL, SMALL = "full", "small"


class Place(NamedTuple):
    """Where an experiment keeps what it finds, and on which scale it runs."""

    output: pathlib.Path  # tables and configurations, to be committed
    workdir: pathlib.Path  # checkpoints and trained models
    setting: str = FULL

    @property
    def is_small(self):
        """Whether the run is only to show that the experiment works."""
        return self.setting == SMALL

    @property
    def seeds(self):
        """The seeds of the runs that are averaged."""
        return range(2 if self.is_small else 5)

    @property
    def few_seeds(self):
        """The seeds of runs that are too long for all of them."""
        return range(2 if self.is_small else 3)

    def save(self, figure, name):
        """Writes a figure: of the full setting to where the documentation shows it."""
        folder = self.output if self.is_small else ROOT / "docs" / "images"
        with replacing(folder / f"{name}.png") as aside:
            figure.savefig(aside, dpi=130)
        plt.close(figure)


def read(path):
    """Returns the rows of a CSV file, dicts with numbers where there are numbers."""
    with path.open(newline="") as file:
        return [
            {name: _parsed(value) for name, value in row.items()}
            for row in csv.DictReader(file)
        ]


def write(path, rows):
    """Writes rows, dicts of the same keys, to a CSV file."""
    with replacing(path) as aside, aside.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {name: _shown(value) for name, value in row.items()} for row in rows
        )


def _parsed(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _shown(value):
    return f"{value:.5g}" if isinstance(value, float) else value


def fill(path, cells, measure):
    """Measures the cells that a table lacks, and adds each to it at once.

    Args:
        path: The CSV file.
        cells: Dicts that name the cells, the first columns of their rows.
        measure: Function from a cell to its further columns: a dict, or a list of
            dicts where a cell has several rows.

    Returns:
        The rows, in the order of the cells.
    """
    rows = read(path) if path.exists() else []

    def of(cell):
        key = [str(_parsed(str(_shown(value)))) for value in cell.values()]
        return [r for r in rows if [str(r.get(name)) for name in cell] == key]

    for cell in cells:
        if not of(cell):
            found = measure(cell)
            found = found if isinstance(found, list) else [found]
            rows += [{**cell, **row} for row in found]
            write(path, rows)
            rows = read(path)
    return [row for cell in cells for row in of(cell)]


def write_config(path, **config):
    """Writes what a table was measured with beside it."""
    with replacing(path) as aside:
        aside.write_text(json.dumps(config, indent=2) + "\n")


def mean_and_spread(values):
    """Returns the mean, and the standard deviation over seeds."""
    return float(np.mean(values)), float(np.std(values, ddof=1))


AS_IN_THE_PAPER, OPPOSITE = "as in the paper", "opposite"
CANNOT_TELL, NOT_TESTED = "cannot tell", "not tested"


def compare(claim, ours, other, expected):
    """Compares two arms: does the difference of their means have the paper's sign?

    The interval holds the difference with 95 % confidence (Welch's t, which lets the
    arms have spreads of their own). If it holds 0, the answer is "cannot tell", which
    is never counted for the paper.

    Args:
        claim: What the paper says.
        ours: List of values, one for each seed.
        other: List of values of the arm to compare with.
        expected: -1 if the paper says that `ours` is lower, 1 if higher, 0 if equal:
            that no difference was seen is never evidence that there is none.

    Returns:
        A dict with the claim, the difference, its interval and the verdict.
    """
    test = stats.ttest_ind(ours, other, equal_var=False)
    low, high = test.confidence_interval(0.95)
    if not low <= high:  # neither arm varies at all
        low = high = statistics.mean(ours) - statistics.mean(other)
    verdict = CANNOT_TELL
    if low > 0 or high < 0:
        agrees = expected and (low > 0) == (expected > 0)
        verdict = AS_IN_THE_PAPER if agrees else OPPOSITE
    return {
        "claim": claim,
        "difference": statistics.mean(ours) - statistics.mean(other),
        "low": low,
        "high": high,
        "verdict": verdict,
    }


def band(axis, x, curves, **arguments):
    """Draws the mean of curves, and their spread about it."""
    pairs = [mean_and_spread(values) for values in zip(*curves, strict=True)]
    (line,) = axis.plot(x, [mean for mean, _ in pairs], **arguments)
    axis.fill_between(
        x,
        [mean - spread for mean, spread in pairs],
        [mean + spread for mean, spread in pairs],
        color=line.get_color(),
        alpha=0.2,
        linewidth=0,
    )


def program(run):
    """Runs an experiment from the command line.

    Args:
        run: Function of a `Place`.
    """
    flags.DEFINE_string("output", None, "Where results are kept.", required=True)
    flags.DEFINE_enum("setting", FULL, [FULL, SMALL], "Small: in seconds, for tests.")
    flags.DEFINE_string(
        "workdir", "runs/experiments", "Where checkpoints and trained models are kept."
    )

    def main(_):
        values = flags.FLAGS
        place = Place(
            pathlib.Path(values.output), pathlib.Path(values.workdir), values.setting
        )
        with errors.in_one_line():
            place.output.mkdir(parents=True, exist_ok=True)
            run(place)

    app.run(main)
