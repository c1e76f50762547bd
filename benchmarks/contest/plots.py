"""Pictures of the benchmark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from contest import tables
from contest.frames import ALTITUDES_KM
from contest.running import OURS

ORANGE, BLUE, GREEN, PINK, GREY = "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#666666"
"""Okabe and Ito."""


def draw(
    folder: Path, table: pd.DataFrame, ms: pd.Series | None, calibrated: pd.DataFrame | None
) -> list[Path]:
    """Draw what there are figures for."""
    out = [by_group(table, folder / "peers_f1.png"), by_scale(table, folder / "peers_scales.png")]
    if ms is not None:
        out.append(speed(table, ms, folder / "peers_speed.png"))
    if calibrated is not None:
        out.append(reliability(calibrated, folder / "calibration.png"))
    return out


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=130)
    return path


def by_group(table: pd.DataFrame, path: Path) -> Path:
    """F1, recall and precision of each finder on nominal ground, F1 on shifted and smooth ground."""
    names = tables.order(table)[::-1]
    best = table[table["altitude_km"] == 0].set_index(["finder", "group"])
    figure = Figure(figsize=(8.5, 0.36 * len(names) + 1.6), layout="constrained")
    ax = figure.subplots()
    y = np.arange(len(names))

    def of(group: str, column: str) -> list[float]:
        return [best.loc[(name, group), column] for name in names]

    ax.hlines(y, 0, 1, color="#dddddd", linewidth=0.8, zorder=0)
    ax.plot(of("nominal", "recall"), y, "|", color=GREY, markersize=11, label="recall")
    ax.plot(of("nominal", "precision"), y, "x", color=GREY, markersize=6, label="precision")
    ax.plot(of("nominal", "f1"), y, "o", color=BLUE, markersize=8, label="F1")
    ax.plot(of("shifted", "f1"), y, "s", color=ORANGE, markersize=6, label="F1, shifted ground")
    ax.plot(of("shifted JPEG", "f1"), y, "^", color=PINK, markersize=6, label="F1, shifted ground, JPEG")
    ax.plot(of("smooth", "f1"), y, "D", color=GREEN, markersize=5, label="F1, smooth ground")
    ax.set(yticks=y, yticklabels=names, xlim=(0, 1.01))
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper center", ncols=6, frameon=False, fontsize=8.5)
    return _save(figure, path)


def by_scale(table: pd.DataFrame, path: Path) -> Path:
    """F1 of each finder at each altitude, nominal and shifted ground."""
    names = tables.order(table)
    best = table.set_index(["finder", "group", "altitude_km"])["f1"]
    figure = Figure(figsize=(10.5, 0.36 * len(names) + 1.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for ax, group in ((left, "nominal"), (right, "shifted")):
        f1 = np.array([[best.loc[name, group, a] for a in ALTITUDES_KM] for name in names])
        ax.imshow(f1, cmap="cividis", vmin=0, vmax=1, aspect="auto")
        for (j, i), value in np.ndenumerate(f1):
            color = "black" if value > 0.55 else "white"
            ax.text(i, j, f"{value:.2f}", ha="center", va="center", fontsize=8.5, color=color)
        ax.set(xticks=range(5), xticklabels=[f"{a:,.0f}" for a in ALTITUDES_KM], title=f"F1, {group} frames")
        ax.set(yticks=range(len(names)), yticklabels=names, xlabel="altitude, km")
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    return _save(figure, path)


def speed(table: pd.DataFrame, ms: pd.Series, path: Path) -> Path:
    """F1 against milliseconds."""
    best = table[(table["altitude_km"] == 0) & (table["group"] == "nominal")]
    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    ax = figure.subplots()
    seen = [(ms[row.finder], row.f1, row.finder) for row in best.itertuples() if row.finder in ms]
    for spent, f1, name in seen:
        ax.plot(spent, f1, "o", color=BLUE if name in OURS else ORANGE, markersize=8)
    # Names of points close to each other go above and below in turn.
    for k, (spent, f1, name) in enumerate(sorted(seen, key=lambda s: (s[1], s[0]))):
        away = (8, 5) if k % 2 else (8, -10)
        ax.annotate(name, (spent, f1), xytext=away, textcoords="offset points", fontsize=8.5)
    ax.set(xscale="log", xlabel="ms a frame of 1024 x 1024, one thread", ylabel="F1, nominal frames")
    ax.set_xlim(min(s[0] for s in seen) / 1.6, max(s[0] for s in seen) * 4)
    ax.set_ylim(min(s[1] for s in seen) - 0.06, 1.0)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="#eeeeee")
    return _save(figure, path)


def reliability(calibrated: pd.DataFrame, path: Path) -> Path:
    """Share of true detections against the confidence said; the band is 0.07 wide on either side."""
    figure = Figure(figsize=(5.2, 4.8), layout="constrained")
    ax = figure.subplots()
    ax.fill_between([0, 1], [-0.07, 0.93], [0.07, 1.07], color="#eeeeee", zorder=0)
    ax.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1)
    styles = {
        "nominal": (BLUE, "o-"),
        "shifted": (ORANGE, "s-"),
        "shifted JPEG": (PINK, "^-"),
        "smooth": (GREEN, "D-"),
    }
    for group, (color, style) in styles.items():
        bins = calibrated[(calibrated["group"] == group) & (calibrated["n"] >= tables.LEAST_IN_BIN)]
        ax.plot(bins["said"], bins["true"], style, color=color, label=group, markersize=6)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="albedo_confidence said", ylabel="share on bright spots")
    ax.set_aspect("equal")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="upper left", title=f"bins of {tables.LEAST_IN_BIN} and more")
    return _save(figure, path)
