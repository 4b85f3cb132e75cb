"""Figures of what the analyses find, by depth."""

import numpy as np


def _axis(names, size=None):
    """Returns a figure, and its axis with a layer's name at each place."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Plots need matplotlib: pip install 'keras-prelu[plots]'"
        ) from error
    width = min(max(6, 0.3 * len(names)), 18)
    figure = Figure(figsize=size or (width, 4.5), layout="constrained")
    axis = figure.subplots()
    axis.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8)
    axis.grid(axis="y", alpha=0.3)
    return figure, axis


def _column(rows, name):
    return np.array([getattr(row, name) for row in rows])


def draw_signals(rows):
    """Draws the variances of `signal_propagation`, forward and backward."""
    figure, axis = _axis([row.name for row in rows])
    for name, marker in (("forward", "o-"), ("backward", "s-")):
        axis.plot(_column(rows, name), marker, markersize=4, label=name)
    axis.set(title="Signals by depth", ylabel="variance", yscale="log")
    axis.legend()
    return figure


def draw_responses(rows):
    """Draws the means and deviations of `responses`, and the share of dead units."""
    figure, axis = _axis([row.name for row in rows])
    places = np.arange(len(rows))
    mean, std = _column(rows, "mean"), _column(rows, "std")
    axis.errorbar(places, mean, std, fmt="o", capsize=3, label="mean and deviation")
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set(title="Responses by depth", ylabel="response", yscale="symlog")
    shares = axis.twinx()
    shares.bar(places, _column(rows, "dead"), alpha=0.2, color="firebrick")
    shares.set(ylabel="share of dead units (bars)", ylim=(0, 1))
    axis.legend()
    return figure


def draw_slopes(rows):
    """Draws the mean, deviation and range of each layer's slopes."""
    figure, axis = _axis([row.name for row in rows], (10, 4))
    places = np.arange(len(rows))
    low, high = _column(rows, "min"), _column(rows, "max")
    mean, std = _column(rows, "mean"), _column(rows, "std")
    axis.vlines(places, low, high, color="lightgrey", label="least to greatest")
    axis.errorbar(places, mean, std, fmt="o", capsize=3, label="mean and deviation")
    axis.axhline(0.25, color="grey", linestyle="--", linewidth=1, label="at the start")
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set(title="Learned slopes by depth", ylabel="slope")
    axis.legend()
    return figure


def draw_fisher(rows):
    """Draws the conditioning of `fisher`."""
    figure, axis = _axis([row.name for row in rows])
    for name, marker in (("diagonal", "o-"), ("block", "s-")):
        axis.plot(_column(rows, name), marker, markersize=4, label=name)
    axis.axhline(1, color="grey", linestyle="--", linewidth=1, label="at best")
    axis.set(
        title="Conditioning of the Fisher information by depth",
        ylabel="largest over mean",
        yscale="log",
    )
    axis.legend()
    return figure
