"""Figures of the analyses, by depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "draw_activation_maps",
    "draw_fisher",
    "draw_responses",
    "draw_signals",
    "draw_slopes",
]


def _figure(size):
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Plots need matplotlib, which is not installed: "
            "pip install 'keras-prelu[plots]', or pip install '.[plots]' in a clone"
        ) from error
    return Figure(figsize=size, layout="constrained")


def _axis(names, size=None):
    """Return a figure, and its axis with the layers' names on the x axis."""
    width = min(max(6, 0.3 * len(names)), 18)
    figure = _figure(size or (width, 4.5))
    axis = figure.subplots()
    axis.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8)
    axis.grid(axis="y", alpha=0.3)
    return figure, axis


def _column(rows, name):
    return np.array([getattr(row, name) for row in rows])


def draw_signals(rows: Sequence[Any]) -> Figure:
    """Draw the variances that `signal_propagation` returns."""
    figure, axis = _axis([row.name for row in rows])
    for name, marker in (("forward", "o-"), ("backward", "s-")):
        axis.plot(_column(rows, name), marker, markersize=4, label=name)
    axis.set(title="Signals by depth", ylabel="variance", yscale="log")
    axis.legend()
    return figure


def draw_responses(rows: Sequence[Any]) -> Figure:
    """Draw the means, deviations and dead units that `responses` returns."""
    figure, axis = _axis([row.name for row in rows])
    positions = np.arange(len(rows))
    mean, std = _column(rows, "mean"), _column(rows, "std")
    axis.errorbar(positions, mean, std, fmt="o", capsize=3, label="mean and deviation")
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set(title="Responses by depth", ylabel="response", yscale="symlog")
    fractions = axis.twinx()
    fractions.bar(positions, _column(rows, "dead"), alpha=0.2, color="firebrick")
    fractions.set(ylabel="fraction of dead units (bars)", ylim=(0, 1))
    axis.legend()
    return figure


def draw_slopes(rows: Sequence[Any]) -> Figure:
    """Draw the mean, deviation and range of the slopes that `slopes` returns."""
    figure, axis = _axis([row.name for row in rows], (10, 4))
    positions = np.arange(len(rows))
    low, high = _column(rows, "min"), _column(rows, "max")
    mean, std = _column(rows, "mean"), _column(rows, "std")
    axis.vlines(positions, low, high, color="lightgrey", label="minimum to maximum")
    axis.errorbar(positions, mean, std, fmt="o", capsize=3, label="mean and deviation")
    axis.axhline(0.25, color="grey", linestyle="--", linewidth=1, label="initial slope")
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set(title="Learned slopes by depth", ylabel="slope")
    axis.legend()
    return figure


def draw_fisher(rows: Sequence[Any]) -> Figure:
    """Draw the conditioning that `fisher` returns."""
    figure, axis = _axis([row.name for row in rows])
    for name, marker in (("diagonal", "o-"), ("block", "s-")):
        axis.plot(_column(rows, name), marker, markersize=4, label=name)
    axis.axhline(1, color="grey", linestyle="--", linewidth=1, label="optimum")
    axis.set(
        title="Conditioning of the Fisher information by depth",
        ylabel="largest over mean",
        yscale="log",
    )
    axis.legend()
    return figure


def _as_pixels(images):
    """Return images as uint8. Those that are not in [0, 255] are stretched to it.

    Other nets take images in [0, 1] or [-1, 1], or without their mean.
    """
    least, most = images.min(), images.max()
    if least < 0 or most <= 1:
        images = (images - least) / max(most - least, 1e-6) * 255
    return np.clip(images, 0, 255).astype("uint8")


def draw_activation_maps(maps: Any, class_names: Sequence[str] | None = None) -> Figure:
    """Draw the `ActivationMaps` of `activation_map` over their images."""
    columns = min(len(maps.images), 4)
    rows = -(-len(maps.images) // columns)
    figure = _figure((3.2 * columns, 3 * rows))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    # Each value is drawn in the center of its window, as large as one stride.
    top, left = ((side - 1) / 2 * maps.stride - 0.5 for side in maps.window)
    height, width = (count * maps.stride for count in maps.values.shape[1:])
    extent = (left, left + width, top + height, top)
    images = _as_pixels(maps.images)
    triples = zip(axes, images, maps.classes, maps.values, strict=False)
    for axis, image, label, values in triples:
        axis.imshow(image)
        drawn = axis.imshow(
            values, "inferno", interpolation="bilinear", alpha=0.6, extent=extent
        )
        drawn.set_clim(0, maps.values.max())
        axis.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
        name = label if class_names is None else class_names[label]
        axis.set_title(str(name), parse_math=False)
    figure.colorbar(drawn, ax=[*axes], shrink=0.8)
    return figure
