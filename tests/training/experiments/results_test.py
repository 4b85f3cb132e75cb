"""The results of experiments: their tables, their runs and the pages that show them."""

import json
import re

import pytest

from keras_prelu.tables import write_csv
from training.experiments import arms, page_tables, tables
from training.experiments.comparison import compare
from training.experiments.experiment import DIGITS, FULL, fill

pytestmark = pytest.mark.tensorflow_only


def test_a_table_is_filled_where_it_has_gaps(tmp_path):
    measured = []

    def measure(cell):
        measured.append(cell["b"])
        return [{"value": cell["b"] / 3, "text": "x"}] * 2

    cells = [{"a": "one", "b": b, "c": True} for b in (1, 2, 0.25)]
    path = tmp_path / "table.csv"
    fill(path, cells[:1], measure)
    rows = fill(path, cells, measure)
    assert measured == [1, 2, 0.25]
    assert [row["b"] for row in rows] == [1, 1, 2, 2, 0.25, 0.25]
    assert rows[0]["value"] == pytest.approx(1 / 3, abs=1e-5)


def test_tables_of_the_pages_are_those_of_the_results():
    pages = [page.read_text() for page in tables.PAGES]
    for page in pages:
        assert tables.filled(page, tables.RESULTS) == page
    for name in tables.TABLES:
        assert sum(f"<!-- {name} -->" in page for page in pages) == 1


def test_figures_in_the_text_are_in_the_tables():
    page = re.split(
        r"<!-- \w+ -->(.*?)<!-- end -->", tables.PAGES[0].read_text(), flags=re.S
    )
    said, shown = ("\n".join(page[i::2]) for i in (0, 1))
    figures = re.findall(r"\d+\.\d+ ± \d+\.\d+", said)
    assert [figure for figure in figures if figure not in shown] == []


def test_claims_that_were_not_run_say_so(tmp_path):
    write_csv(
        tmp_path / "slopes_claims.csv", [compare("x", [1, 2], [5, 6], -1)], DIGITS
    )
    table = page_tables.claims(tmp_path)
    assert "| (`depth.py`) | – | not run |" in table
    assert "| x | -4 (-7.04 to -0.958) | as in the paper |" in table


def test_a_missing_table_says_so(tmp_path):
    block = tables.block("depth", tmp_path)
    assert block.startswith("Not run: `python -m training.exp")


def test_published_runs_are_of_the_present_configuration():
    for folder in (tables.RESULTS / "runs").glob("model*"):
        net, rectifier, *cases, rate, seed = folder.name.split("-")
        kwargs = {
            "initializer" if case in arms.INITIALIZERS else "slopes": case
            for case in cases
        }
        arm = arms.Arm(net, rectifier, **kwargs)
        run = arms.Run(arm, float(rate), int(seed))
        assert run.name == folder.name
        config = json.loads((folder / "config.json").read_text())
        assert config == json.loads(arms.configuration(run, FULL).to_json())
