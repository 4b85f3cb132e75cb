"""What an analysis finds: a row for each layer, to be read, printed and drawn."""

import collections.abc

import numpy as np

from keras_prelu.tables import markdown


class LayerTable(collections.abc.Sequence):
    """Rows, one for each layer, in the order of the layers.

    Args:
        rows: List of named tuples of one type, whose first field is `name`.
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

    def __init__(self, rows, draw):
        self.rows = list(rows)
        self._draw = draw

    def __getitem__(self, place):
        return self.rows[place]

    def __len__(self):
        return len(self.rows)

    def column(self, name):
        """Returns the values of one field as an array."""
        return np.array([getattr(row, name) for row in self.rows])

    def plot(self):
        """Returns a `matplotlib.figure.Figure`; needs the extra `plots`."""
        return self._draw(self.rows)

    def __str__(self):
        names = self.rows[0]._fields if self.rows else ()
        return markdown(names, map(self._cells, self.rows))

    @staticmethod
    def _cells(row):
        return [f"{v:.4g}" if isinstance(v, float) else str(v) for v in row]
