"""Frames and detections on matplotlib axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from brightspot.errors import UsageError
from brightspot.figure import marks
from brightspot.figure.grey import Box, display_grey, lit_box, whole_box
from brightspot.figure.places import Rect, place_texts
from brightspot.finder import Detection
from brightspot.frame import Frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = ("raw", "levelled", "contrast")
"""Views of a detection: pixel values; values over the local level; smoothed ratio in colour."""


def show(
    frame_or_detection: Frame | Detection,
    *,
    ax: Axes | None = None,
    stretch: str = "asinh",
    labels: bool = True,
    crop: bool = False,
    graticule: bool = True,
) -> Axes:
    """Draw a frame, or a detection with its outlines, on matplotlib axes.

    Parameters
    ----------
    frame_or_detection : Frame or Detection
        What to draw. A frame without detections gets picture, scale bar and arrows only.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new pyplot axes if omitted.
    stretch : str
        One of `STRETCHES`.
    labels : bool
        Write each spot's ``detection_id`` beside it.
    crop : bool
        Leave out sky around a body that fills a small part of the frame.
    graticule : bool
        Draw parallels and meridians where the frame's geometry knows them.

    Returns
    -------
    matplotlib.axes.Axes
        Axes whose data coordinates are frame pixels: x to the right, y down, centres whole numbers from 0.

    Raises
    ------
    UsageError
        If the stretch is unknown.
    """
    frame, detection = marks.parts_of(frame_or_detection)
    grey = display_grey(frame, stretch)
    if ax is None:
        import matplotlib.pyplot as plt

        rows, columns = frame.shape
        height = 7.0
        width = float(np.clip(height * columns / rows, 4.0, 14.0))
        _, ax = plt.subplots(figsize=(width, height + 0.4), layout="constrained")
    ax.imshow(grey, cmap="gray", vmin=0, vmax=255, interpolation="nearest", origin="upper")
    box = lit_box(frame) if crop else whole_box(frame)
    _frame_axes(ax, box)
    if graticule:
        _draw_graticule(ax, frame, box)
    if detection is not None:
        draw_outlines(ax, detection)
        if labels:
            _draw_labels(ax, detection, box)
    _draw_scale_bar(ax, frame, box)
    _draw_arrows(ax, frame, box)
    ax.set_title(marks.title(frame_or_detection), fontsize=9, loc="left", parse_math=False)
    return ax


def show_panels(
    detection: Detection,
    *,
    panels: Sequence[str] = PANELS,
    axes: Sequence[Axes] | None = None,
    crop: bool = True,
) -> list[Axes]:
    """Draw what the search saw: raw, levelled and contrast, side by side.

    Parameters
    ----------
    detection : Detection
        As `SpotFinder` gives it.
    panels : sequence of str
        Some of `PANELS`. ``raw``: pixel values, linear grey. ``levelled``: values over the local level, where
        all lit ground is the same grey. ``contrast``: that ratio smoothed, in colour, with the outlines.
    axes : sequence of matplotlib.axes.Axes, optional
        Where to draw, one for each panel; new pyplot axes if omitted.
    crop : bool
        Leave out sky around a body that fills a small part of the frame.

    Returns
    -------
    list of matplotlib.axes.Axes
        In the order of ``panels``; data coordinates are frame pixels.

    Raises
    ------
    UsageError
        If a panel is unknown, or the number of axes is another.
    """
    unknown = [panel for panel in panels if panel not in PANELS]
    if unknown or not panels:
        raise UsageError(f"unknown panel {', '.join(unknown) or '(none)'}: use some of {', '.join(PANELS)}")
    box = lit_box(detection.frame) if crop else whole_box(detection.frame)
    if axes is None:
        import matplotlib.pyplot as plt

        _, made = plt.subplots(
            1, len(panels), figsize=panels_size(box, len(panels)), layout="constrained", squeeze=False
        )
        axes = list(made[0])
    if len(axes) != len(panels):
        raise UsageError(f"{len(panels)} panels need as many axes, not {len(axes)}")
    for panel, ax in zip(panels, axes, strict=True):
        _draw_panel(ax, detection, panel)
        _frame_axes(ax, box)
        _draw_scale_bar(ax, detection.frame, box)
        ax.set_title(panel, fontsize=9, loc="left")
    _draw_arrows(axes[0], detection.frame, box)
    axes[0].set_title(f"{marks.title(detection, 30)}\n{panels[0]}", fontsize=9, loc="left", parse_math=False)
    return list(axes)


def panels_size(box: Box, n: int) -> tuple[float, float]:
    """Inches of a figure for panels side by side."""
    aspect = float(np.clip((box[2] - box[0]) / (box[3] - box[1]), 0.4, 3.0))
    return 4.0 * n * min(1.0, aspect) + 1.0, 4.0 / max(1.0, aspect) + 0.5


def _draw_panel(ax: Axes, detection: Detection, panel: str) -> None:
    background, mask = detection.background, detection.frame.mask
    if panel == "raw":
        grey = display_grey(detection.frame, "linear")
        ax.imshow(grey, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        return
    source = background.ratio if panel == "levelled" else background.smooth
    # Levelled is what has a level: lit, not masked and with ground enough around it.
    rows, columns = source.shape
    y, x = np.arange(rows), np.arange(columns)
    j = np.clip((y - background.y0) // background.step, 0, background.level.shape[0] - 1)
    i = np.clip((x - background.x0) // background.step, 0, background.level.shape[1] - 1)
    known = np.isfinite(background.level)[np.ix_(j, i)] & background.usable & ~mask
    ratio = np.where(known, 1.0 + source, np.nan)
    ax.set_facecolor("black")
    if panel == "levelled":
        ax.imshow(ratio, cmap="gray", vmin=0.5, vmax=1.6, interpolation="nearest")
        return
    from matplotlib.colors import TwoSlopeNorm

    norm = TwoSlopeNorm(1.0, vmin=0.5, vmax=2.0)
    drawn = ax.imshow(ratio, cmap="PuOr_r", norm=norm, interpolation="nearest")
    draw_outlines(ax, detection, linewidth=0.7, color="black")
    figure = ax.get_figure()
    assert figure is not None
    bar = figure.colorbar(drawn, ax=ax, shrink=0.8, pad=0.02, ticks=(0.5, 0.75, 1.0, 1.5, 2.0), extend="both")
    bar.set_label("ratio to the surroundings", fontsize=8)
    bar.ax.tick_params(labelsize=8)


def _frame_axes(ax: Axes, box: Box) -> None:
    """Limits to a box, y down; no ticks and no border."""
    ax.set_xlim(box[0], box[2])
    ax.set_ylim(box[3], box[1])
    ax.set_axis_off()
    # With the axes off their black ground is off too.
    ax.add_artist(ax.patch)
    ax.patch.set(facecolor="black", zorder=-1)


def draw_outlines(
    ax: Axes,
    detection: Detection,
    window: tuple[slice, slice] = np.s_[:, :],
    linewidth: float = 0.9,
    color: str | None = None,
) -> None:
    """Footprints' outlines along pixel edges, in their colours or in one."""
    from matplotlib.collections import LineCollection

    segments, labels = marks.outline_segments(detection.segmentation[window])
    segments = segments + np.array([window[1].start or 0, window[0].start or 0])
    colors = marks.colors_by_id(detection)
    drawn = [i for i, label in enumerate(labels) if int(label) in colors]
    if drawn:
        lines = LineCollection(
            list(segments[drawn]),
            colors=[color or colors[int(labels[i])] for i in drawn],
            linewidths=linewidth,
            capstyle="projecting",
        )
        ax.add_collection(lines, autolim=False)


def _points_per_pixel(ax: Axes, box: Box) -> float:
    """Points (1/72 inch) that a frame pixel takes on these axes; near enough for placing texts."""
    figure = ax.get_figure()
    assert figure is not None
    width, height = 72 / figure.dpi * np.array([ax.bbox.width, ax.bbox.height])
    return float(min(width / (box[2] - box[0]), height / (box[3] - box[1])))


def _draw_labels(ax: Axes, detection: Detection, box: Box, size: float = 7.5) -> None:
    """Ids of the strongest spots, none over another."""
    footprints = marks.footprint_boxes(detection.segmentation)
    per_px = _points_per_pixel(ax, box)
    spots = marks.spots_of(detection)[: marks.MAX_LABELS]
    anchors = []
    for spot in spots:
        window = footprints.get(spot.number)
        near = 0.7 * marks.spot_extent(detection, spot.number, window)
        left, top, right, bottom = spot.x - near, spot.y - near, spot.x + near, spot.y + near
        if window is not None:
            left, right = max(left, window[1].start - 0.5), min(right, window[1].stop - 0.5)
            top, bottom = max(top, window[0].start - 0.5), min(bottom, window[0].stop - 0.5)
        anchors.append(Rect(left, top, right, bottom))
    sizes = [(0.64 * size * len(str(spot.number)) / per_px, 0.74 * size / per_px) for spot in spots]
    places = place_texts(anchors, sizes, Rect(*box), gap=2.5 / per_px)
    for spot, place in zip(spots, places, strict=True):
        if place is not None:
            ax.text(
                (place.left + place.right) / 2, place.bottom, str(spot.number), color=spot.color,
                fontsize=size, ha="center", va="baseline", path_effects=halo(), clip_on=True,
            )  # fmt: skip


def _draw_scale_bar(ax: Axes, frame: Frame, box: Box) -> None:
    from matplotlib.patches import Rectangle

    left, top, right, bottom = box
    width, height = right - left, bottom - top
    bar = marks.scale_bar(frame, min(width, 4 * height))
    if bar is None:
        return
    # A bar as thick as 3 points, its text above it, whatever the frame's proportions.
    point = 1.0 / max(_points_per_pixel(ax, box), 1e-6)
    x, y = left + 0.03 * width, bottom - 9 * point
    ax.add_patch(Rectangle((x, y), bar[0], 3 * point, facecolor=marks.INK, edgecolor="black", linewidth=0.5))
    ax.text(x, y - 3 * point, bar[1], color=marks.INK, fontsize=9, va="bottom", path_effects=halo())


def _draw_arrows(ax: Axes, frame: Frame, box: Box) -> None:
    """North and Sun in the lower right corner."""
    from matplotlib.patches import FancyArrowPatch

    left, top, right, bottom = box
    if min(right - left, bottom - top) < 16:
        return
    length = max(0.05 * max(right - left, bottom - top), 20.0 / _points_per_pixel(ax, box))
    x, y = right - 1.9 * length, bottom - 1.9 * length
    for name, places in marks.arrow_places(marks.arrow_directions(frame, box)).items():
        tail, tip, text = ((x + length * u, y + length * v) for u, v in places)
        ax.add_patch(
            FancyArrowPatch(
                tail, tip, arrowstyle="-|>", mutation_scale=9, color=marks.INK, linewidth=1.2,
                shrinkA=0, shrinkB=0, path_effects=halo(2.5),
            )
        )  # fmt: skip
        ax.text(*text, name, color=marks.INK, fontsize=8, ha="center", va="center", path_effects=halo())


def _draw_graticule(ax: Axes, frame: Frame, box: Box) -> None:
    for line in marks.graticule(frame, box):
        ax.plot(*line.points.T, color="white", alpha=0.22, linewidth=0.6, scalex=False, scaley=False)
        if line.place is not None:
            ax.text(
                *line.place, line.text, color="white", alpha=0.65, fontsize=6.5, ha="center", va="center",
                path_effects=halo(1.0),
            )  # fmt: skip


def halo(linewidth: float = 2.0, color: str = "black") -> list[Any]:
    """A rim around a mark, so that light ink can be read on light ground and dark ink on dark."""
    from matplotlib.patheffects import Normal, Stroke

    return [Stroke(linewidth=linewidth, foreground=color), Normal()]


def overlay_figure(
    frame_or_detection: Frame | Detection, *, stretch: str, size: tuple[float, float], cutouts: bool
) -> Figure:
    """The picture that `save_overlay` paints, as a figure of lines and texts, without pyplot.

    ``size`` is the main picture's width and height, in hundredths of an inch.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    _, detection = marks.parts_of(frame_or_detection)
    spots = [] if detection is None else marks.spots_of(detection)
    boxes = []
    if detection is not None and cutouts:
        boxes = marks.cutout_boxes(detection, spots, marks.footprint_boxes(detection.segmentation))
    width, height = size[0] / 100, size[1] / 100
    head, side = 0.3, height / marks.MAX_CUTOUTS if boxes else 0.0
    full_width, full_height = width + side, height + head
    figure = Figure(figsize=(full_width, full_height), facecolor="black")
    FigureCanvasAgg(figure)
    ax = figure.add_axes((0.0, 0.0, width / full_width, height / full_height))
    show(frame_or_detection, ax=ax, stretch=stretch, crop=True)
    ax.set_title("")
    for k, box in enumerate(boxes):
        assert detection is not None
        place = (width / full_width, (height - (k + 1) * side) / full_height)
        inset = figure.add_axes((*place, side / full_width, side / full_height))
        _draw_cutout(inset, detection, spots, box)
    y = 1 - 0.5 * head / full_height
    text: dict[str, Any] = {"color": "white", "fontsize": 8.5, "va": "center", "parse_math": False}
    figure.text(0.008, y, marks.title(frame_or_detection), **text)
    seen = {spot.color for spot in spots}
    x = 1 - 0.008
    for color, word in reversed([(c, w) for c, w in marks.MEANINGS.items() if c in seen]):
        figure.text(x, y, word, ha="right", **text)
        x -= (0.068 * len(word) + 0.06) / full_width
        figure.text(x, y, "■", ha="right", **{**text, "color": color})
        x -= 0.25 / full_width
    return figure


def _draw_cutout(ax: Axes, detection: Detection, spots: list[marks.Spot], box: tuple[int, int, int]) -> None:
    """One spot enlarged, with its size, confidence and a bar."""
    x, y, half = box
    grey, _ = marks.cutout(detection, x, y, half)
    edges = (x - half - 0.5, x + half + 0.5, y + half + 0.5, y - half - 0.5)
    ax.imshow(grey, cmap="gray", vmin=0, vmax=255, interpolation="nearest", extent=edges)
    rows, columns = detection.frame.shape
    window = np.s_[max(y - half, 0) : min(y + half + 1, rows), max(x - half, 0) : min(x + half + 1, columns)]
    draw_outlines(ax, detection, window, linewidth=1.2)
    ax.set(xlim=edges[:2], ylim=edges[2:], facecolor="black")
    ax.tick_params(bottom=False, left=False, labelbottom=False, labelleft=False)
    near = [spot for spot in spots if max(abs(spot.x - x), abs(spot.y - y)) < half]
    text = "\n".join(spot.text for spot in near[:3])
    ax.text(
        0.03, 0.97, text, color="white", fontsize=7.5, va="top", transform=ax.transAxes, path_effects=halo()
    )
    _draw_scale_bar(ax, detection.frame, (edges[0], edges[3], edges[1], edges[2]))
