"""How many of which size: cumulative size-frequency of detections."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from brightspot.errors import UsageError
from brightspot.figure import marks

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from brightspot.finder import Detection

DIAMETERS = {
    "diameter_halfmax_km": "diameter at half maximum",
    "diameter_deconvolved_km": "diameter at half maximum, blur removed",
    "diameter_km": "diameter above the preset's contrast",
}
"""Columns that `show_sizes` can count, in words."""


def cumulative(diameter_km: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Diameters in falling order, and how many are at least that large (equal ones once).

    Parameters
    ----------
    diameter_km : numpy.ndarray
        (n,) diameters; unknown ones (NaN) and those not above 0 are left out.

    Returns
    -------
    tuple of numpy.ndarray
        Distinct diameters, largest first, and the cumulative number N(>= D).
    """
    known = diameter_km[np.isfinite(diameter_km) & (diameter_km > 0)]
    value, count = np.unique(known, return_counts=True)
    return value[::-1], np.cumsum(count[::-1])


def spread_out(diameter_km: np.ndarray, least: float = 0.015) -> np.ndarray:
    """Which points of a cumulative curve to draw: the ten largest, then one in every ``least`` of log10 D.

    The smallest diameter, whose number is that of all, is always among them.
    """
    step = np.floor(np.log10(diameter_km) / least)
    shown = np.ones(len(step), bool)
    shown[10:] = step[10:] != step[9:-1]
    shown[-1:] = True
    return shown


def show_sizes(
    table: Detection | pd.DataFrame, *, column: str = "diameter_halfmax_km", ax: Axes | None = None
) -> Axes:
    """Draw how many detections are at least how large: log-log, with sqrt(N) errors.

    Bright and dark ones are counted apart. Detections flagged UNRESOLVED or EDGE have no size of their own
    and are left out; a place seen in several frames counts as often. The points of a cumulative count are not
    independent of each other: the errors are those of each count alone, and a single one reaches down to a
    half, as zero has no place on the axis. Of crowded points only some are drawn.

    Parameters
    ----------
    table : Detection or pandas.DataFrame
        Detections, columns as in ``brightspot.COLUMNS``.
    column : str
        One of `DIAMETERS`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new pyplot axes if omitted.

    Returns
    -------
    matplotlib.axes.Axes
        x is the diameter in km, y the number.

    Raises
    ------
    UsageError
        If the column is unknown.
    """
    from brightspot.figure.maps import SPOT_COLORS

    if column not in DIAMETERS:
        raise UsageError(f"unknown column {column!r}: use one of {', '.join(DIAMETERS)}")
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(5.6, 4.6), layout="constrained")
    table = marks.rows_of(table)
    flags = table["flags"].astype(object).fillna("").astype(str)
    whole = ~flags.str.contains("UNRESOLVED|EDGE")
    for polarity, color, marker in (("bright", marks.BRIGHT, "o"), ("dark", marks.DARK, "s")):
        chosen = whole & (table["polarity"] == polarity)
        diameter_km, number = cumulative(table.loc[chosen, column].to_numpy(float))
        if number.size == 0:
            continue
        shown = spread_out(diameter_km)
        diameter_km, number = diameter_km[shown], number[shown]
        error = np.sqrt(number)
        low = np.minimum(error, number - 0.5 * np.minimum(number, 1))  # one of one reaches down to a half
        ax.errorbar(
            diameter_km, number, yerr=(low, error), fmt=marker, markersize=4, color=SPOT_COLORS[color],
            ecolor=SPOT_COLORS[color], elinewidth=0.8, capsize=0, markeredgecolor="black",
            markeredgewidth=0.4, label=f"{polarity} ({number[-1]})",
        )  # fmt: skip
    _finish(ax, column, int((~whole).sum()))
    return ax


def _finish(ax: Axes, column: str, n_without: int) -> None:
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    ax.set(
        xscale="log", yscale="log", xlabel=f"{DIAMETERS[column]} (km)", ylabel="detections at least as large"
    )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter("")
    ax.grid(which="major", color="#D5D5D5", linewidth=0.5)
    ax.set_axisbelow(True)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize=9)
    else:
        ax.text(0.5, 0.5, "no diameters", transform=ax.transAxes, ha="center")
    if n_without:
        ax.set_title(f"{n_without} unresolved or cut by an edge left out", fontsize=8, loc="left")
