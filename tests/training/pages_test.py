"""The tables and figures of the documentation's pages, from results of known values."""

import math

import numpy as np
import pytest

from keras_prelu.tables import markdown, write_csv
from training.experiments import initialization_figures, initialization_tables, tables

pytestmark = pytest.mark.tensorflow_only


def first_tries(tmp_path):
    cell = {"optimizer": "sgd", "rate": 0.01, "width": 0.25, "side": 96, "seed": 0}
    other = {**cell, "optimizer": "adam", "side": 224, "width": 1}
    rows = [
        {**cell, "verdict": "learns", "losses": "1.3 5e3 0.02"},
        {**other, "verdict": "diverges", "losses": "2.5 nan nan"},
    ]
    write_csv(tmp_path / "first_try.csv", rows, 5)


def test_first_tries_are_drawn_by_optimizer_size_and_width(tmp_path):
    first_tries(tmp_path)
    figure = initialization_figures.first_try(tmp_path)
    lines = {
        (axis.get_title(), line.get_color()): line.get_ydata()
        for axis in figure.axes
        for line in axis.get_lines()
        if len(line.get_ydata()) == 3
    }
    sgd, adam = "SGD at 0.01, 96×96", "Adam at 0.01, 224×224"
    assert set(lines) == {(sgd, "C1"), (adam, "C2")}
    np.testing.assert_array_equal(lines[sgd, "C1"], [1.3, 1e3, 0.02])
    np.testing.assert_array_equal(lines[adam, "C2"], [2.5, np.nan, np.nan])
    last = [
        line.get_xydata().tolist()
        for axis in figure.axes
        for line in axis.get_lines()
        if line.get_marker() == "x"
    ]
    assert last == [[[1, 2.5]]]  # where the loss was finite for the last time
    levels = {
        tuple(line.get_ydata())
        for line in figure.axes[0].get_lines()
        if len(line.get_ydata()) == 2
    }
    assert levels == {(math.log(4),) * 2, (math.log(4) / 2,) * 2}


def test_starts_have_one_row_per_net_and_rectifier(tmp_path):
    cell = {"net": "model_a", "rectifier": "relu", "remedy": "both", "batch": 128}
    other = {**cell, "net": "model14", "rectifier": "prelu", "remedy": "neither"}
    fails = {"verdict": "fails", "losses": "7.1 2e+04 nan"}
    write_csv(
        tmp_path / "start.csv",
        [
            {**cell, "verdict": "survives", "losses": "6.91 6.908"},
            {**other, **fails},
        ],
        5,
    )
    assert initialization_tables.start_verdicts(tmp_path) == markdown(
        ["net", "rectifier", "both, 128 images", "neither, 128 images"],
        [
            ["14 layers", "PReLU", "–", "fails: nan"],
            ["Model A", "ReLU", "survives: 6.908", "–"],
        ],
    )


def test_a_long_table_is_folded_below_its_figure(tmp_path):
    first_tries(tmp_path)
    text = tables.block("first_try", tmp_path)
    table = initialization_tables.first_try(tmp_path)
    image = "images/first_try.png"
    assert text == (
        f"[![{tables.FIGURES['first_try']}]({image})]({image})\n\n"
        f'<details markdown="1">\n<summary>{tables.FOLDED["first_try"]}</summary>\n\n'
        f"{table}\n\n</details>"
    )


def test_every_figure_of_the_pages_is_described():
    text = "".join(page.read_text() for page in tables.PAGES)
    for name in tables.FIGURES:
        assert f"![{tables.FIGURES[name]}](images/{name}" in text
