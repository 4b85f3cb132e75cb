"""CSV files are read as they were written, and Markdown cells stay in their columns."""

import csv

import pytest

from keras_prelu.tables import as_read_back, markdown, read_csv, write_csv


def test_rows_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "table.csv"
    rows = [{"name": "a, b", "count": 3, "ratio": 1 / 3}, {"name": "c", "late": True}]
    write_csv(path, rows, digits=5)
    assert list(csv.reader(path.open())) == [
        ["name", "count", "ratio", "late"],
        ["a, b", "3", "0.33333", ""],
        ["c", "", "", "True"],
    ]
    first, second = read_csv(path)
    assert first == {"name": "a, b", "count": 3, "ratio": 0.33333, "late": ""}
    assert second == {"name": "c", "count": "", "ratio": "", "late": "True"}


@pytest.mark.parametrize(
    ("value", "read"), [(1 / 3, 0.33333), (1.0, 1), (True, "True"), ("x", "x")]
)
def test_a_value_is_read_back(value, read):
    assert as_read_back(value, 5) == read


def test_a_cell_of_a_markdown_table_cannot_end_its_row_or_column():
    table = markdown(["a", "b"], [["x|y", "one\ntwo"]])
    assert table.splitlines() == ["| a | b |", "| --- | --- |", r"| x\|y | one two |"]
