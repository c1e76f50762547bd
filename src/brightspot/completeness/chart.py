"""The picture of a completeness run: what is found, by size and light, and how far it is measured off."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from brightspot.writers import replacing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

INK = "#333333"


def save_chart(
    spots: pd.DataFrame, recovery: pd.DataFrame, path: Path, title: str, notes: tuple[str, ...] = ()
) -> Path:
    """Draw recovery.csv: six panels.

    Parameters
    ----------
    spots, recovery : pandas.DataFrame
        As from `tables.spots_table` and `tables.recovery_table`; not empty.
    path : Path
        Picture to write; replaced in one step.
    title : str
        Line above the panels.
    notes : tuple of str
        Lines below them.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.5, 8.2), dpi=110, layout="constrained")
    panels = figure.subplots(2, 3)
    by_size = recovery[recovery["planned_diameter"].notna() & recovery["incidence_low_deg"].isna()]
    by_light = recovery[recovery["planned_diameter"].isna() & recovery["incidence_low_deg"].notna()]
    bright, dark = by_size[by_size["contrast"] >= 1.0], by_size[by_size["contrast"] < 1.0]
    label = _size_label(spots)
    colours = _colours(recovery["contrast"].unique())
    _recovery(panels[0, 0], bright, "Bright spots found", label, colours)
    _recovery(panels[0, 1], dark, "Dark spots found", label, colours)
    _by_incidence(panels[0, 2], by_light, colours)
    _bias(panels[1, 0], by_size, "position_error", "Position error", label, colours, percent=False)
    _bias(panels[1, 1], by_size, "size_bias", "Diameter at half maximum, bias", label, colours)
    _bias(
        panels[1, 2],
        by_size,
        "excess_bias",
        "Excess of unsaturated spots, bias",
        label,
        colours,
    )
    handles, labels = _one_per_contrast(panels[0, 0], panels[0, 1])
    figure.legend(handles, labels, title="contrast", loc="outside right upper", fontsize=9, frameon=False)
    figure.suptitle(title, fontsize=12, color=INK, parse_math=False)
    if notes:
        figure.supxlabel("\n".join(notes), fontsize=8.5, color=INK, parse_math=False)
    with replacing(path) as temporary:
        figure.savefig(temporary)
    return path


def _size_label(spots: pd.DataFrame) -> str:
    """Axis label of the diameters, with the other unit where it is known."""
    unit = str(spots["planned_unit"].iloc[0])
    scale = spots["pixel_scale_km"].dropna()
    if scale.empty:
        return f"diameter put in, {unit}"
    low, high = scale.min(), scale.max()
    one = f"{low:.3g}" if high < 1.05 * low else f"{low:.3g} to {high:.3g}"
    return f"diameter put in, {unit} (1 px is {one} km)"


def _one_per_contrast(*panels: Axes) -> tuple[list, list]:
    """Legend entries, strongest bright spot first, strongest dark one last."""
    entries = {label: handle for axes in panels for handle, label in zip(
        *axes.get_legend_handles_labels(), strict=True)}  # fmt: skip
    labels = sorted(entries, key=float, reverse=True)
    return [entries[label] for label in labels], labels


Colours = dict[float, str]


def _colours(contrasts: np.ndarray) -> Colours:
    """A colour per contrast: bright ones yellow to red, dark ones blue, strongest darkest."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    out: Colours = {}
    for part, name in (
        (sorted(c for c in contrasts if c >= 1.0), "YlOrRd"),
        (sorted((c for c in contrasts if c < 1.0), reverse=True), "Blues"),
    ):
        for k, contrast in enumerate(part):
            out[float(contrast)] = to_hex(colormaps[name](0.35 + 0.6 * k / max(len(part) - 1, 1)))
    return out


def _parts(table: pd.DataFrame) -> list[tuple[float, pd.DataFrame]]:
    """Rows of each contrast, by diameter."""
    contrasts = sorted(float(c) for c in table["contrast"].unique())
    return [(c, table[table["contrast"] == c].sort_values("planned_diameter")) for c in contrasts]


def _recovery(axes: Axes, table: pd.DataFrame, title: str, label: str, colours: Colours) -> None:
    """Share found against diameter, a line per contrast with its 95 per cent intervals."""
    for k, (contrast, part) in enumerate(_parts(table)):
        # Bars beside each other, not on top of each other.
        x = part["planned_diameter"] * (1.0 + 0.02 * (k - 2))
        _share(axes, x, part, colours[contrast], f"{contrast:g}")
    _diameters(axes, table, label)
    _shares(axes, title)
    if table.empty:
        axes.text(0.5, 0.5, "none put in", transform=axes.transAxes, ha="center", color=INK)


def _by_incidence(axes: Axes, table: pd.DataFrame, colours: Colours) -> None:
    """Share found against incidence, all diameters together."""
    _shares(axes, "Found by incidence, all diameters together")
    axes.set_xlabel("incidence, degrees", fontsize=9)
    if table.empty:
        axes.text(0.5, 0.5, "no incidence known", transform=axes.transAxes, ha="center", color=INK)
        return
    for k, (contrast, part) in enumerate(_parts(table)):
        middle = 0.5 * (part["incidence_low_deg"] + part["incidence_high_deg"]) + 0.5 * (k - 3)
        _share(axes, middle, part, colours[contrast], f"{contrast:g}")
    edges = sorted({*table["incidence_low_deg"], *table["incidence_high_deg"]})
    axes.set_xticks(edges)
    axes.set_xlim(edges[0], edges[-1])


def _share(axes: Axes, x: pd.Series, part: pd.DataFrame, colour: str, label: str) -> None:
    from matplotlib.colors import to_rgba

    share = part["recovery"].to_numpy(float)
    # Rounding must not turn a bar's length negative at 0 and 1.
    down = np.maximum(share - part["recovery_low"].to_numpy(float), 0.0)
    up = np.maximum(part["recovery_high"].to_numpy(float) - share, 0.0)
    axes.plot(x, 100.0 * share, "o-", ms=4, lw=1.5, color=colour, label=label, zorder=3)
    axes.errorbar(
        x, 100.0 * share, yerr=100.0 * np.stack([down, up]), fmt="none", elinewidth=0.9,
        ecolor=to_rgba(colour, 0.45), zorder=2,
    )  # fmt: skip


def _bias(
    axes: Axes,
    table: pd.DataFrame,
    name: str,
    title: str,
    label: str,
    colours: Colours,
    *,
    percent: bool = True,
) -> None:
    """Median of a bias against diameter; contrasts with fewer than three spots found are left out."""
    factor = 100.0 if percent else 1.0
    for contrast, part in _parts(table[table["n_found"] >= 3].dropna(subset=[name])):
        axes.plot(part["planned_diameter"], factor * part[name], "o-", ms=4, lw=1.5, color=colours[contrast])
    _diameters(axes, table, label)
    axes.set_title(f"{title} (medians)", fontsize=10, loc="left", color=INK)
    axes.grid(color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    axes.set_ylabel("per cent" if percent else "px", fontsize=9)
    if percent:
        axes.axhline(0.0, color=INK, lw=0.8)
    else:
        axes.set_ylim(bottom=0.0)


def _diameters(axes: Axes, table: pd.DataFrame, label: str) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    axes.set_xlabel(label, fontsize=9)
    sizes = sorted(set(table["planned_diameter"]))
    if not sizes:
        return
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{size:g}" for size in sizes])
    axes.set_xlim(sizes[0] * 0.85, sizes[-1] * 1.18)


def _shares(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10, loc="left", color=INK)
    axes.set_ylim(-3, 103)
    axes.set_ylabel("per cent", fontsize=9)
    axes.grid(color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
