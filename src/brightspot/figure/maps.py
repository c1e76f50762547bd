"""Where on Ceres: detections on a simple cylindrical and on polar maps, among the IAU's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from brightspot import ceres, gazetteer
from brightspot.errors import UsageError
from brightspot.figure import marks
from brightspot.figure.axes import halo
from brightspot.figure.places import Rect, place_texts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from brightspot.finder import Detection

PROJECTIONS = ("cylindrical", "north", "south")
"""Simple cylindrical, 0 to 360 E; the poles down to 50 degrees, azimuthal equidistant."""

POLAR_EDGE_DEG = 50.0
"""Latitude at the edge of a polar map."""

MOST_NAMES = 70
"""Most names tried on one map; those that find no room are left out."""

CROWD = 500
"""Detections on a map above which their marks are drawn smaller."""

GREATEST_HOST_KM = 150.0
"""Width up to which a place is named first because a spot is in it."""

LEAST_MARK = 4.2
"""Width in points of the mark of a spot that is too small to be drawn to scale."""

N_RIM = 73
"""Points of a circle."""

_LINES, _CRATER, _NAME = "#CFCFCF", "#9A9A9A", "#4D4D4D"

SPOT_COLORS = {
    marks.BRIGHT: "#E69F00", marks.PALE_BRIGHT: "#F5C96B", marks.DARK: "#0072B2",
    marks.PALE_DARK: "#7DBBE6", marks.DOUBTFUL: "#CC79A7",
}  # fmt: skip
"""Colours of the overlays as they can be told on white paper (0072B2 is Okabe and Ito's darker blue)."""


class _Map(NamedTuple):
    """A projection: what it does with latitude and longitude, and how many degrees a unit is."""

    name: str

    def project(self, latitude_deg: Any, longitude_deg: Any) -> tuple[np.ndarray, np.ndarray]:
        """Map coordinates, NaN off the map."""
        latitude, longitude = np.asarray(latitude_deg, float), np.asarray(longitude_deg, float)
        if self.name == "cylindrical":
            return longitude % 360.0, latitude
        pole = 1.0 if self.name == "north" else -1.0
        away = 90.0 - pole * latitude
        away = np.where(away <= 90.0 - POLAR_EDGE_DEG, away, np.nan)
        angle = np.radians(longitude)
        # 0 E points down from the north pole and up from the south pole; east is as seen from above.
        return away * np.sin(angle), -pole * away * np.cos(angle)


def show_map(
    table: Detection | pd.DataFrame,
    *,
    projection: str = "cylindrical",
    ax: Axes | None = None,
    names: bool = True,
) -> Axes:
    """Draw all detections that have latitude and longitude on a map of Ceres.

    Parameters
    ----------
    table : Detection or pandas.DataFrame
        Detections, columns as in ``brightspot.COLUMNS``: of a frame, or ``Results.detections()``. A place
        seen in several frames is drawn as often.
    projection : str
        One of `PROJECTIONS`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new pyplot axes if omitted.
    names : bool
        Draw the IAU's craters to scale, and write the names that find room: those with detections first.

    Returns
    -------
    matplotlib.axes.Axes
        Data coordinates are degrees: longitude and latitude on the cylindrical map; on a polar one degrees
        from the pole, x to the right and y up.

    Raises
    ------
    UsageError
        If the projection is unknown.
    """
    if projection not in PROJECTIONS:
        raise UsageError(f"unknown projection {projection!r}: use one of {', '.join(PROJECTIONS)}")
    table = marks.rows_of(table)
    chart = _Map(projection)
    if ax is None:
        import matplotlib.pyplot as plt

        size = (11.0, 6.0) if projection == "cylindrical" else (6.0, 6.2)
        _, ax = plt.subplots(figsize=size, layout="constrained")
    _draw_grid(ax, chart)
    placed = table[np.isfinite(table["latitude_deg"]) & np.isfinite(table["longitude_deg"])]
    x, y = chart.project(placed["latitude_deg"], placed["longitude_deg"])
    if names:
        _draw_names(ax, chart, x, y)
    _draw_spots(ax, chart, placed, x, y)
    if projection == "cylindrical":
        _draw_key(ax, placed, len(table))
    return ax


def map_figure(table: pd.DataFrame) -> Figure:
    """A sheet with the cylindrical map above both poles, without pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 11.4), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, height_ratios=(1.0, 0.92))
    show_map(table, ax=figure.add_subplot(grid[0, :]))
    for k, projection in enumerate(PROJECTIONS[1:]):
        show_map(table, projection=projection, ax=figure.add_subplot(grid[1, k]))
    return figure


def _draw_spots(ax: Axes, chart: _Map, table: pd.DataFrame, x: np.ndarray, y: np.ndarray) -> None:
    """Discs of the diameter at half maximum, true to scale; marks where such a disc could not be seen."""
    from matplotlib.collections import PolyCollection

    colors = np.array([SPOT_COLORS[color] for color in marks.table_colors(table)], object)
    diameter_km = np.nan_to_num(table["diameter_halfmax_km"].to_numpy(float))
    on_map = np.isfinite(x)
    # Of very many, marks get smaller, so that crowds can be told from throngs.
    mark = LEAST_MARK * min(1.0, (CROWD / max(int(np.count_nonzero(on_map)), 1)) ** 0.35)
    edge = 0.4 * mark / LEAST_MARK
    large = on_map & (diameter_km / marks.KM_PER_DEGREE * _points_per_degree(ax, chart) > LEAST_MARK)
    order = np.flatnonzero(large)[np.argsort(-diameter_km[large], kind="stable")]
    latitude, longitude = table["latitude_deg"].to_numpy(float), table["longitude_deg"].to_numpy(float)
    rims, fills = [], []
    for k in order:
        rim = np.stack(_circle(chart, latitude[k], longitude[k], diameter_km[k]), axis=-1)
        rims.append(rim[np.isfinite(rim).all(axis=1)])
        fills.append(colors[k])
    # On the cylindrical map a disc across 0 E would be drawn as a band: it keeps its mark instead.
    whole = [len(rim) == N_RIM for rim in rims]
    small = on_map & ~large
    small[[k for k, keeps in zip(order, whole, strict=True) if not keeps]] = True
    ax.add_collection(
        PolyCollection(
            [rim for rim, keeps in zip(rims, whole, strict=True) if keeps],
            facecolors=[fill for fill, keeps in zip(fills, whole, strict=True) if keeps],
            alpha=0.8, edgecolors="black", linewidths=edge, zorder=4,
        ), autolim=False,
    )  # fmt: skip
    ax.scatter(
        x[small], y[small], s=mark**2, c=list(colors[small]), alpha=0.8, edgecolors="black",
        linewidths=edge, zorder=5, rasterized=np.count_nonzero(small) > 5000,
    )  # fmt: skip


def _points_per_degree(ax: Axes, chart: _Map) -> float:
    figure = ax.get_figure()
    assert figure is not None
    width, height = 72 / figure.dpi * np.array([ax.bbox.width, ax.bbox.height])
    if chart.name == "cylindrical":
        return float(min(width / 360.0, height / 180.0))
    return float(min(width, height) / (2 * (90.0 - POLAR_EDGE_DEG)))


def _draw_grid(ax: Axes, chart: _Map) -> None:
    ax.set_aspect("equal")
    if chart.name == "cylindrical":
        ax.set(xlim=(0, 360), ylim=(-90, 90), xlabel="east longitude (deg)", ylabel="latitude (deg)")
        ax.set_xticks(range(0, 361, 30))
        ax.set_yticks(range(-90, 91, 30))
        ax.tick_params(labelsize=8)
        ax.grid(color=_LINES, linewidth=0.5)
        ax.set_axisbelow(True)
        return
    edge = 90.0 - POLAR_EDGE_DEG
    ax.set(xlim=(-1.17 * edge, 1.17 * edge), ylim=(-1.12 * edge, 1.12 * edge))
    ax.set_axis_off()
    turn = np.linspace(0, 2 * np.pi, 181)
    sign = 1 if chart.name == "north" else -1
    for away in (10.0, 20.0, 30.0, edge):
        color, width = ("black", 0.8) if away == edge else (_LINES, 0.5)
        ax.plot(away * np.cos(turn), away * np.sin(turn), color=color, linewidth=width, zorder=1)
        if away < edge:
            x, y = chart.project(sign * (90 - away), 15.0)
            text = f"{90 - away:.0f}°{'N' if sign > 0 else 'S'}"
            ax.text(float(x), float(y), text, color=_CRATER, fontsize=6.5, ha="center", va="center")
    for longitude in range(0, 360, 30):
        x, y = chart.project(
            sign * np.array([90.0 - 10.0 * (longitude % 90 != 0), POLAR_EDGE_DEG]), longitude
        )
        ax.plot(x, y, color=_LINES, linewidth=0.5, zorder=1)
        ax.text(1.07 * x[1], 1.07 * y[1], f"{longitude}°E", fontsize=8, ha="center", va="center")
    ax.set_title("North" if sign > 0 else "South", fontsize=10)


def _circle(
    chart: _Map, latitude_deg: float, longitude_deg: float, diameter_km: float
) -> tuple[np.ndarray, np.ndarray]:
    """A circle on the sphere as it is on the map; broken with NaN at the map's edge."""
    radius = diameter_km / 2 / ceres.MEAN_RADIUS_KM
    turn = np.linspace(0, 2 * np.pi, N_RIM)
    latitude, longitude = np.radians(latitude_deg), np.radians(longitude_deg)
    height = np.sin(latitude) * np.cos(radius) + np.cos(latitude) * np.sin(radius) * np.cos(turn)
    rim = np.arcsin(np.clip(height, -1.0, 1.0))
    east = np.arctan2(
        np.sin(turn) * np.sin(radius) * np.cos(latitude), np.cos(radius) - np.sin(latitude) * np.sin(rim)
    )
    x, y = chart.project(np.degrees(rim), np.degrees(longitude + east))
    if chart.name == "cylindrical":
        x = np.where(np.abs(np.diff(x, prepend=x[0])) > 180.0, np.nan, x)
    return x, y


def _draw_names(ax: Axes, chart: _Map, x: np.ndarray, y: np.ndarray) -> None:
    """Craters as thin rims; names of what is large or has detections, as far as there is room."""
    for crater in gazetteer.CRATERS:
        if crater.diameter_km >= 20.0:
            ax.plot(*_circle(chart, *crater[1:]), color=_CRATER, linewidth=0.5, zorder=2)
    latitude = np.array([f.latitude_deg for f in gazetteer.FEATURES])
    longitude = np.array([f.longitude_deg for f in gazetteer.FEATURES])
    width = np.array([f.diameter_km for f in gazetteer.FEATURES])
    fx, fy = chart.project(latitude, longitude)
    found = np.zeros(len(fx))
    on_map = np.isfinite(x)
    for k in np.flatnonzero(np.isfinite(fx)):
        stretch = np.cos(np.radians(latitude[k])) if chart.name == "cylindrical" else 1.0
        away = np.hypot((x[on_map] - fx[k]) * stretch, y[on_map] - fy[k])
        found[k] = np.count_nonzero(away < max(0.6 * width[k] / marks.KM_PER_DEGREE, 2.0))
    faculae = np.isin([f.name for f in gazetteer.FEATURES], [f.name for f in gazetteer.FACULAE])
    found[width > GREATEST_HOST_KM] = 0  # of a plain or a basin a spot says little
    weight = np.where(found > 0, 1000.0, 0.0) + width + 200.0 * faculae
    chosen = [k for k in np.argsort(-weight) if np.isfinite(fx[k])][:MOST_NAMES]
    point = 1.0 / _points_per_degree(ax, chart)
    size = 6.5
    names = [gazetteer.FEATURES[k].name for k in chosen]
    sizes = [(0.58 * size * len(name) * point, 1.15 * size * point) for name in names]
    # place_texts counts y downward; seen from there the map is upside down, which does not matter.
    half = 2.5 * point
    anchors = [Rect(fx[k] - half, -fy[k] - half, fx[k] + half, -fy[k] + half) for k in chosen]
    shown = zip(x[on_map], -y[on_map], strict=True)
    spots = [Rect(px - half, py - half, px + half, py + half) for px, py in list(dict.fromkeys(shown))[:400]]
    room = Rect(0, -90, 360, 90)
    if chart.name != "cylindrical":
        edge = 90.0 - POLAR_EDGE_DEG
        room = Rect(-edge, -edge, edge, edge)
    written = [text.get_position() for text in ax.texts]
    grid = [Rect(u - 8 * point, -v - 4 * point, u + 8 * point, -v + 4 * point) for u, v in written]
    places = place_texts(anchors, sizes, room, taken=spots + grid, gap=1.0 * point)
    for k, name, place in zip(chosen, names, places, strict=True):
        if place is None or (chart.name != "cylindrical" and _farthest(place) > room.right):
            continue
        strong = found[k] > 0
        ax.text(
            (place.left + place.right) / 2, -(place.top + place.bottom) / 2, name, fontsize=size,
            color="black" if strong else _NAME, alpha=1.0 if strong else 0.75, ha="center", va="center",
            zorder=6, clip_on=True, parse_math=False, path_effects=halo(1.2, "white"),
        )  # fmt: skip


def _farthest(place: Rect) -> float:
    """Distance of a rectangle's farthest corner from the pole."""
    return float(np.hypot(max(abs(place.left), abs(place.right)), max(abs(place.top), abs(place.bottom))))


def _draw_key(ax: Axes, placed: pd.DataFrame, n: int) -> None:
    """What the colours mean, and how many detections are on the map."""
    from matplotlib.lines import Line2D

    seen = set(marks.table_colors(placed))
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=5.5, markerfacecolor=SPOT_COLORS[color],
               markeredgecolor="black", markeredgewidth=0.4, label=word)
        for color, word in marks.MEANINGS.items() if color in seen
    ]  # fmt: skip
    if handles:
        ax.legend(
            handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(handles), fontsize=8,
            frameon=False, borderaxespad=0.2, handletextpad=0.2, columnspacing=1.2,
        )  # fmt: skip
    left_out = f", {n - len(placed)} without a place left out" if n > len(placed) else ""
    ax.set_title(f"{len(placed)} detections{left_out}", fontsize=9, loc="left")
