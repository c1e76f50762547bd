"""Many spots at a glance: cut-outs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from brightspot.errors import UsageError
from brightspot.figure import marks
from brightspot.figure.axes import halo
from brightspot.finder import Detection

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TILE = 160
"""Pixels across a cut-out of the mosaic."""

GAP = 8
"""Pixels between cut-outs."""

FOOT = 34
"""Pixels for the words below a cut-out."""


def show_montage(
    detections: Detection | Sequence[Detection], *, most: int = 24, columns: int = 6, ax: Axes | None = None
) -> Axes:
    """Draw the strongest spots of one or many frames as a mosaic of cut-outs.

    Each has its outline, a bar in km where the scale is known, and below it number, diameter at half maximum
    (or its upper limit), ``albedo_confidence`` and frame.

    Parameters
    ----------
    detections : Detection or sequence of Detection
        As `SpotFinder` gives them.
    most : int
        Spots shown, highest signal to noise first.
    columns : int
        Cut-outs in a row.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new pyplot axes if omitted.

    Returns
    -------
    matplotlib.axes.Axes
        Its data coordinates are the mosaic's pixels and mean nothing on Ceres.

    Raises
    ------
    UsageError
        If there is no spot to show.
    """
    given = [detections] if isinstance(detections, Detection) else list(detections)
    spots = [(spot, detection) for detection in given for spot in marks.spots_of(detection)]
    spots = sorted(spots, key=lambda pair: -np.nan_to_num(pair[0].snr))[:most]
    if not spots:
        raise UsageError("no spots to show: nothing was detected")
    columns = min(columns, len(spots))
    rows = -(-len(spots) // columns)
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=montage_size(len(spots), columns), layout="constrained")
    width, height = columns * (TILE + GAP) + GAP, rows * (TILE + FOOT + GAP) + GAP
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.set_aspect("equal")
    ax.set_axis_off()
    footprints = {id(d): marks.footprint_boxes(d.segmentation) for d in given}
    for k, (spot, detection) in enumerate(spots):
        left = GAP + k % columns * (TILE + GAP)
        top = GAP + k // columns * (TILE + FOOT + GAP)
        _draw_tile(ax, spot, detection, footprints[id(detection)], left, top, len(given) > 1)
    return ax


def montage_size(n: int, columns: int = 6) -> tuple[float, float]:
    """Inches of a figure for a montage of ``n`` cut-outs."""
    columns = min(columns, n)
    rows = -(-n // columns)
    return columns * (TILE + GAP) / 90, rows * (TILE + FOOT + GAP) / 90


def _draw_tile(
    ax: Axes,
    spot: marks.Spot,
    detection: Detection,
    footprints: dict[int, tuple[slice, slice]],
    left: float,
    top: float,
    name: bool,
) -> None:
    from matplotlib.collections import LineCollection

    extent = marks.spot_extent(detection, spot.number, footprints.get(spot.number))
    half = int(np.clip(1.8 * extent, 10, 150))
    grey, labels = marks.cutout(detection, round(spot.x), round(spot.y), half)
    scale = TILE / grey.shape[1]
    edges = (left, left + TILE, top + TILE, top)
    ax.imshow(grey, cmap="gray", vmin=0, vmax=255, interpolation="nearest", extent=edges, aspect="equal")
    segments, owners = marks.outline_segments(labels)
    colors = marks.colors_by_id(detection)
    drawn = np.array([int(owner) in colors for owner in owners], bool)
    if drawn.any():
        lines = (np.clip(segments[drawn] + 0.5, 0, grey.shape[1])) * scale + (left, top)
        tones = [colors[int(owner)] for owner in owners[drawn]]
        widths = [1.2 if owner == spot.number else 0.6 for owner in owners[drawn]]
        ax.add_collection(
            LineCollection(list(lines), colors=tones, linewidths=widths, capstyle="projecting"), autolim=False
        )
    bar = marks.scale_bar(detection.frame, grey.shape[1], 0.45)
    if bar is not None:
        x, y = left + 6, top + TILE - 7
        ax.plot([x, x + bar[0] * scale], [y, y], color=marks.INK, linewidth=2.0, solid_capstyle="butt",
                path_effects=halo(3.0))  # fmt: skip
        ax.text(x, y - 5, bar[1], color=marks.INK, fontsize=6.5, va="bottom", path_effects=halo())
    words = spot.text
    if name:
        words += "\n" + marks.short_name(detection.frame.name, 27)
    ax.text(left, top + TILE + 4, words, fontsize=6.5, va="top", linespacing=1.15, parse_math=False)
