"""What all experiments need: a command line, tables that resume, and figures."""

import json
import pathlib
from typing import NamedTuple

import matplotlib
from absl import app, flags

from keras_prelu.files import replacing
from keras_prelu.tables import as_read_back, read_csv, write_csv
from training import errors

matplotlib.use("Agg")  # figures go to files; there may be no screen
import matplotlib.pyplot as plt

# Okabe and Ito's colors, which color-blind readers can tell apart. "C0" is the first.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")
plt.rcParams["axes.prop_cycle"] = plt.cycler(color=COLORS)

# The names of the networks in figures.
NETS = {
    "model_a": "Model A",
    "model_b": "Model B",
    "model_c": "Model C",
    "model14": "14 layers",
    "model30": "30 layers",
}

ROOT = pathlib.Path(__file__).parents[2]
FULL, SMALL = "full", "small"
DIGITS = 5  # of the numbers in the tables


class Experiment(NamedTuple):
    """The folders of an experiment, and whether it runs in full."""

    output: pathlib.Path  # tables and configurations, which are committed
    workdir: pathlib.Path  # checkpoints and trained models
    setting: str = FULL

    @property
    def is_small(self):
        """Whether the experiment only has to show that it works."""
        return self.setting == SMALL

    @property
    def seeds(self):
        """The seeds over which results are averaged."""
        return range(2 if self.is_small else 5)

    @property
    def few_seeds(self):
        """The seeds of runs that take too long to repeat with all seeds."""
        return range(2 if self.is_small else 3)

    def write(self, name, rows):
        """Write a table of results, `name`.csv."""
        write_csv(self.output / f"{name}.csv", rows, DIGITS)

    def write_config(self, name, **config):
        """Write how a table was measured, `name`.json."""
        with replacing(self.output / f"{name}.json") as aside:
            aside.write_text(json.dumps(config, indent=2) + "\n")

    @property
    def figures(self):
        """The folder of the figures: with the full setting, the documentation's."""
        return self.output if self.is_small else ROOT / "docs" / "images"

    def save(self, figure, name):
        """Write a figure."""
        with replacing(self.figures / f"{name}.png") as aside:
            figure.savefig(aside, dpi=130)
        plt.close(figure)


def fill(path, cells, measure):
    """Measure the cells that a table lacks, and write each one immediately.

    Args:
        path: The CSV file.
        cells: Dicts that identify the cells: the first columns of their rows.
        measure: Function from a cell to its further columns: a dict, or a list of
            dicts if a cell has several rows.

    Returns:
        The rows, in the order of the cells.
    """
    rows = read_csv(path) if path.exists() else []

    def rows_of(cell):
        key = {name: str(as_read_back(v, DIGITS)) for name, v in cell.items()}
        return [r for r in rows if all(str(r.get(n)) == v for n, v in key.items())]

    for cell in cells:
        if not rows_of(cell):
            measured = measure(cell)
            measured = measured if isinstance(measured, list) else [measured]
            rows += [{**cell, **row} for row in measured]
            write_csv(path, rows, DIGITS)
            rows = read_csv(path)
    return [row for cell in cells for row in rows_of(cell)]


def program(run):
    """Run an experiment from the command line.

    Args:
        run: Function of an `Experiment`.
    """
    flags.DEFINE_string("output", None, "Folder of the results.", required=True)
    flags.DEFINE_enum(
        "setting", FULL, [FULL, SMALL], "`small` takes seconds, for tests."
    )
    flags.DEFINE_string(
        "workdir", "runs/experiments", "Folder of checkpoints and trained models."
    )

    def main(_):
        values = flags.FLAGS
        experiment = Experiment(
            pathlib.Path(values.output), pathlib.Path(values.workdir), values.setting
        )
        with errors.in_one_line():
            experiment.output.mkdir(parents=True, exist_ok=True)
            run(experiment)

    app.run(main)
