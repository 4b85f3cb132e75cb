"""The region pooling layer."""

import math
import numbers
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_prelu.keras_internals import infers_shapes
from keras_prelu.layers.spatial_pyramid_pooling import SpatialPyramidPooling
from keras_prelu.types import Tensor

__all__ = ["RegionPooling"]

# Sizes for which windows are prepared if the size of a map is not known while the
# graph is traced: two windows of this length cover a side of 1024 cells.
_LONGEST_WINDOW = 512


def _doublings(length):
    """Return how often a window of one cell can be doubled within a length."""
    return int(math.log2(length if isinstance(length, int) else _LONGEST_WINDOW))


def _doubled(table, axis, window):
    """Return the maxima over windows of twice the length along an axis.

    There are none, so the result is empty, where the table has too few cells.
    """
    before = (slice(None),) * axis
    first = table[(*before, slice(None, -window))]
    second = table[(*before, slice(window, None))]
    return ops.maximum(first, second)


def _tables(maps):
    """Return the maxima over all windows whose sides are powers of 2.

    The result has a list for each height, with a table for each width: at `[i][j]`,
    cell (y, x) is the maximum of the rows from y to y + 2**i - 1 and the columns from x
    to x + 2**j - 1. Tables contain only windows inside the map, so those for windows
    larger than the map are empty and cost nothing.
    """
    height, width = ops.shape(maps)[1:3]
    tables = [[maps]]
    for i in range(_doublings(height)):
        tables.append([_doubled(tables[-1][0], 1, 2**i)])
    for row in tables:
        for j in range(_doublings(width)):
            row.append(_doubled(row[-1], 2, 2**j))
    return tables


def _counts(length, largest):
    """Return how many windows of 1, 2, 4 ... 2**largest cells a length contains."""
    windows = 2 ** np.arange(largest + 1, dtype="int32")
    return ops.maximum(ops.cast(length, "int32") + 1 - windows, 0)


def _exponents(lengths, largest):
    """Return the exponent of the largest power of 2 in each length."""
    powers = 2 ** np.arange(1, largest + 1, dtype="int32")
    is_within = lengths[..., None] >= ops.convert_to_tensor(powers)
    return ops.sum(ops.cast(is_within, "int32"), axis=-1)


class _Windows:
    """A look-up of the maximum over any window of maps.

    Up to four windows whose sides are powers of 2, one in each corner, cover a window
    of any size. They may overlap, which does not change the maximum.

    Args:
        maps: Tensor of shape `(batch, height, width, channels)`.
    """

    def __init__(self, maps: Tensor) -> None:
        tables = _tables(maps)
        self._largest = len(tables) - 1, len(tables[0]) - 1
        batch, *sides = ops.shape(maps)[:3]
        rows, columns = map(_counts, sides, self._largest)
        # The cells of all images are in one table after the other.
        self._row_lengths = columns
        self._sizes = ops.reshape(rows[:, None] * columns, (-1,))
        self._starts = batch * (ops.cumsum(self._sizes) - self._sizes)
        self._images = ops.reshape(ops.arange(batch, dtype="int32"), (-1, 1, 1))
        self._cells = ops.concatenate(
            [ops.reshape(x, (-1, maps.shape[-1])) for row in tables for x in row]
        )

    def maxima(self, top, bottom, left, right):
        """Return the maxima over windows.

        Args:
            top: int32 tensor of shape `(batch, regions, windows)`, the first rows.
            bottom: The same for the rows after the last ones.
            left: The same for the first columns.
            right: The same for the columns after the last ones.

        Returns:
            Tensor of shape `(batch, regions, windows, channels)`.
        """
        tall = _exponents(bottom - top, self._largest[0])
        wide = _exponents(right - left, self._largest[1])
        table = tall * (self._largest[1] + 1) + wide
        start = ops.take(self._starts, table)
        start = start + self._images * ops.take(self._sizes, table)
        row_length = ops.take(self._row_lengths, wide)
        maxima = None
        for row in (top, bottom - 2**tall):
            for column in (left, right - 2**wide):
                corner = ops.take(
                    self._cells, start + row * row_length + column, axis=0
                )
                maxima = corner if maxima is None else ops.maximum(maxima, corner)
        return maxima


def _is_finite(value):
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return is_number and math.isfinite(value)


def _refuse_empty(boxes):
    """Raise an error for empty boxes, unless the values are not known yet."""
    if infers_shapes():
        return
    try:
        values = ops.convert_to_numpy(boxes)
    except (NotImplementedError, TypeError):  # a graph is being traced
        return
    is_full = (values[..., 2:] > values[..., :2]).all(axis=-1)
    if not is_full.all():
        raise ValueError(
            "Argument `boxes` must be (x1, y1, x2, y2) with x1 < x2 and y1 < y2. "
            f"Received: the box {values[~is_full][0].tolist()}"
        )


@keras.saving.register_keras_serializable("keras_prelu")
class RegionPooling(SpatialPyramidPooling):
    """Max pooling over a pyramid of grids in regions, into one vector per region.

    Each region of a map is pooled as `SpatialPyramidPooling` pools a whole map, with
    the same bins. So the fully connected layers of a classifier can be applied to
    regions without a change.

    A cell belongs to a region if the center of its receptive field lies in the box. The
    center of cell i is at `offset + i * stride` pixels. A box without a center in it
    gets the nearest cell. What lies outside the map does not count, so a box outside
    the image gets the cells at the border.

    The time hardly depends on the size of the regions: the layer first computes the
    maxima over all windows whose sides are powers of 2. Four of these cover any bin.

    Args:
        levels: Sequence of integers, the number of bins per side at each level.
        stride: Number of pixels per cell. Defaults to 16.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to Keras's
            global setting.
        offset: Position of the center of the first cell's receptive field, in pixels.
            Defaults to half the stride. `keras_prelu.detection.fast_rcnn` passes the
            position that follows from the net's layers.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        maps: Tensor of shape `(batch, height, width, channels)`, or `(batch, channels,
            height, width)` for `"channels_first"`. Sides that are unknown while a graph
            is traced may have up to 1,024 cells.
        boxes: Tensor of shape `(batch, regions, 4)`, boxes `(x1, y1, x2, y2)` in pixels
            of the image, where `x1 < x2` and `y1 < y2`. No gradient goes through them.

    Output shape:
        `(batch, regions, bins * channels)`, in the order of `SpatialPyramidPooling`.

    Examples:
        >>> maps = np.arange(16.0).reshape((1, 4, 4, 1))
        >>> boxes = np.array([[[0, 0, 64, 64], [0, 0, 32, 32]]])
        >>> pooled = keras_prelu.layers.RegionPooling(levels=(2, 1))(maps, boxes)
        >>> keras.ops.convert_to_numpy(pooled).tolist()
        [[[5.0, 7.0, 13.0, 15.0, 15.0], [0.0, 1.0, 4.0, 5.0, 5.0]]]

    Reference:
        [He et al., 2014](https://arxiv.org/abs/1406.4729), section 4.1;
        [Girshick, 2015](https://arxiv.org/abs/1504.08083), section 2.1
    """

    def __init__(
        self,
        levels: Sequence[int] = (7, 3, 2, 1),
        stride: float = 16,
        data_format: str | None = None,
        offset: float | None = None,
        **kwargs: Any,
    ) -> None:
        # Boxes must stay in float32 under every dtype policy. Maps have their dtype.
        super().__init__(levels, data_format, **{"autocast": False, **kwargs})
        if not _is_finite(stride) or stride <= 0:
            raise ValueError(
                "Argument `stride` must be a positive finite number. "
                f"Received: stride={stride!r}"
            )
        if offset is not None and not _is_finite(offset):
            raise ValueError(
                "Argument `offset` must be None or a finite number. "
                f"Received: offset={offset!r}"
            )
        self.stride: float = stride
        self.offset: float = stride / 2 if offset is None else offset
        self.input_spec = None
        bins = [(n, i, j) for n in self.levels for i in range(n) for j in range(n)]
        # For each bin, the bins per side at its level, its row and its column.
        self._grid_of_bins: np.ndarray = np.array(bins, "int32").T

    def build(self, maps_shape: Any, boxes_shape: Any) -> None:
        """Check the shapes."""
        if len(maps_shape) != 4:
            raise ValueError(
                "Argument `maps` must have rank 4. "
                f"Received: maps of shape {tuple(maps_shape)}"
            )
        if len(boxes_shape) != 3 or boxes_shape[-1] != 4:
            raise ValueError(
                "Argument `boxes` must have the shape (batch, regions, 4). "
                f"Received: boxes of shape {tuple(boxes_shape)}"
            )

    def call(self, maps: Tensor, boxes: Tensor) -> Tensor:  # type: ignore[override]
        """Pool the regions."""
        _refuse_empty(boxes)
        if self.data_format == "channels_first":
            maps = ops.transpose(maps, (0, 2, 3, 1))
        height, width = ops.shape(maps)[1:3]
        boxes = ops.stop_gradient(ops.cast(boxes, "float32"))
        _, of_rows, of_columns = self._grid_of_bins
        rows = self._bins(boxes[..., 1], boxes[..., 3], height, of_rows)
        columns = self._bins(boxes[..., 0], boxes[..., 2], width, of_columns)
        pooled = _Windows(maps).maxima(*rows, *columns)
        images, regions = ops.shape(boxes)[:2]
        return ops.reshape(pooled, (images, regions, self.bins * maps.shape[-1]))

    def _bins(self, start, stop, size, positions):
        """Return where bins start and stop along an axis, for each region."""
        start, stop = self._cells(start, stop, size)
        length = stop - start
        # PyTorch multiplies tensors only, not arrays.
        grids, positions = (
            ops.convert_to_tensor(x, "int32")
            for x in (self._grid_of_bins[0], positions)
        )
        first = ops.floor_divide(positions * length, grids)
        last = ops.floor_divide((positions + 1) * length + (grids - 1), grids)
        return start + first, start + last

    def _cells(self, start, stop, size):
        """Return the first cell and the cell after the last one, of shape (..., 1)."""
        first = ops.ceil((start - self.offset) / self.stride)
        last = ops.ceil((stop - self.offset) / self.stride)
        nearest = ops.floor(((start + stop) / 2 - self.offset) / self.stride + 0.5)
        first = ops.where(last > first, first, nearest)
        size = ops.cast(size, "float32")
        first = ops.clip(first, 0, size - 1)
        last = ops.clip(last, first + 1, size)
        return tuple(ops.cast(x, "int32")[..., None] for x in (first, last))

    def compute_output_shape(  # type: ignore[override]
        self, maps_shape: Any, boxes_shape: Any
    ) -> tuple[int | None, ...]:
        """Return `(batch, regions, bins * channels)`."""
        batch, vector = super().compute_output_shape(maps_shape)
        return batch, boxes_shape[1], vector

    def compute_output_spec(  # type: ignore[override]
        self, maps: Tensor, boxes: Tensor
    ) -> keras.KerasTensor:
        """Return the output's shape, with the dtype of the maps."""
        shape = self.compute_output_shape(maps.shape, boxes.shape)
        return keras.KerasTensor(shape, dtype=maps.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "stride": self.stride,
            "offset": self.offset,
        }
