"""Tables in CSV files and in Markdown."""

import csv
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from keras_prelu.files import replacing
from keras_prelu.types import PathLike

__all__ = ["as_read_back", "markdown", "markdown_lines", "read_csv", "write_csv"]


def markdown(header: Sequence, rows: Iterable[Sequence]) -> str:
    r"""Return a table in Markdown.

    Args:
        header: The names of the columns.
        rows: The cells of each row, of any type.

    Returns:
        The lines of the table, joined by newlines.

    Examples:
        >>> print(keras_prelu.tables.markdown(["net", "top-1 error"], [["A", 24.2]]))
        | net | top-1 error |
        | --- | --- |
        | A | 24.2 |
    """
    return "\n".join(markdown_lines(header, rows))


def markdown_lines(header: Sequence, rows: Iterable[Sequence]) -> Iterator[str]:
    """Yield the lines of a Markdown table, each as soon as its row is known.

    Args:
        header: The names of the columns.
        rows: The cells of each row, of any type.

    Yields:
        One line at a time, without a newline.
    """
    yield _markdown_line(header)
    yield _markdown_line(["---"] * len(header))
    yield from map(_markdown_line, rows)


def _markdown_line(cells):
    texts = (str(cell).replace("|", r"\|").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(texts)} |"


def read_csv(path: PathLike) -> list[dict[str, Any]]:
    """Return the rows of a CSV file.

    Args:
        path: The file. Its first line names the columns.

    Returns:
        One dict per row. Cells that hold a number are integers or floats.
    """
    with pathlib.Path(path).open(newline="", encoding="utf-8") as file:
        return [
            {name: _parsed(cell) for name, cell in row.items()}
            for row in csv.DictReader(file)
        ]


def _parsed(cell):
    for number in (int, float):
        try:
            return number(cell)
        except ValueError:
            pass
    return cell


def write_csv(path: PathLike, rows: Sequence[Mapping[str, Any]], digits: int) -> None:
    """Write rows to a CSV file, which is complete or unchanged.

    Args:
        path: The file to write or replace.
        rows: One dict per row, not empty. A column that a row lacks stays empty.
        digits: Number of significant digits of floats.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    with (
        replacing(path) as aside,
        aside.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: _shown(v, digits) for k, v in row.items()})


def _shown(value, digits):
    return f"{value:.{digits}g}" if isinstance(value, float) else value


def as_read_back(value: Any, digits: int) -> Any:
    """Return what `read_csv` returns for a value that `write_csv` has written.

    Args:
        value: The value of a cell.
        digits: Number of significant digits of floats.
    """
    return _parsed(str(_shown(value, digits)))
