"""The result of an analysis: a table with one row per layer."""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_prelu.tables import markdown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LayerTable"]


class LayerTable(collections.abc.Sequence):
    """A sequence of rows, one per layer in the order of the layers.

    `print` shows it as a Markdown table.

    Args:
        rows: Named tuples of one type, whose first field is `name`.
        draw: Function from the rows to a figure.

    Examples:
        >>> model = keras_prelu.applications.Model14(width=1 / 64, classes=10)
        >>> table = keras_prelu.analysis.slopes(model)
        >>> table[0].name, len(table)
        ('prelu1', 13)
        >>> table.column("mean").shape
        (13,)
        >>> print(str(table).splitlines()[0])
        | name | count | mean | std | min | max |
    """

    def __init__(
        self, rows: Iterable[Any], draw: Callable[[Sequence[Any]], Figure]
    ) -> None:
        self.rows = list(rows)
        self._draw = draw

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> np.ndarray:
        """Return the values of one field as an array."""
        return np.array([getattr(row, name) for row in self.rows])

    def plot(self) -> Figure:
        """Return a `matplotlib.figure.Figure`. It needs the extra `plots`."""
        return self._draw(self.rows)

    def __str__(self) -> str:
        names = self.rows[0]._fields if self.rows else ()
        return markdown(names, map(self._cells, self.rows))

    @staticmethod
    def _cells(row):
        return [f"{v:.4g}" if isinstance(v, float) else str(v) for v in row]
