"""Pictures of frames and of what was found in them.

`show` draws on matplotlib axes (yours, or new ones); `save_overlay` writes the picture of one
detection to a file without touching pyplot, so it is safe in threads and worker processes.

Colours are those of Okabe and Ito, which people with colour-vision deficiencies can tell apart
(https://jfly.uni-koeln.de/color/).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from brightspot.errors import UsageError
from brightspot.finder import Detection
from brightspot.frame import Frame
from brightspot.writers import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BRIGHT, DARK, DOUBTFUL, INK = "#E69F00", "#56B4E9", "#CC79A7", "#F0E442"
"""Bright spots, dark spots, those that a slope could explain, and scale bar with arrows (Okabe and Ito)."""

STRETCHES = ("asinh", "linear")
"""How brightness becomes grey: ``asinh`` keeps faculae and surface visible together."""

CONFIDENT = 0.5
"""``albedo_confidence`` from which a spot is drawn in its polarity's colour."""

MAX_CUTOUTS = 4
"""Strongest spots that `save_overlay` shows enlarged beside the picture."""

MAX_LABELS = 60
"""Most ids written into one picture, strongest first; outlines are always all drawn."""


def show(
    frame_or_detection: Frame | Detection,
    *,
    ax: Axes | None = None,
    stretch: str = "asinh",
    labels: bool = True,
    crop: bool = False,
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

    Returns
    -------
    matplotlib.axes.Axes
        Axes whose data coordinates are frame pixels: x to the right, y down, centres whole numbers from 0.

    Raises
    ------
    UsageError
        If the stretch is unknown.
    """
    frame, detection = _parts(frame_or_detection)
    grey = display_grey(frame, stretch)
    if ax is None:
        import matplotlib.pyplot as plt

        rows, columns = frame.shape
        height = 7.0
        width = float(np.clip(height * columns / rows, 4.0, 14.0))
        _, ax = plt.subplots(figsize=(width, height + 0.4), layout="constrained")
    ax.imshow(grey, cmap="gray", vmin=0, vmax=255, interpolation="nearest", origin="upper")
    ax.set_axis_off()
    if detection is not None:
        _draw_outlines(ax, detection)
        if labels:
            _draw_labels(ax, detection)
    view = lit_box(frame) if crop else _whole(frame)
    _draw_scale_bar(ax, frame, view)
    _draw_arrows(ax, frame, view)
    ax.set_title(title(frame_or_detection), fontsize=9, loc="left", parse_math=False)
    ax.set_xlim(view[0], view[2])
    ax.set_ylim(view[3], view[1])
    return ax


def save_overlay(
    frame_or_detection: Frame | Detection,
    path: str | os.PathLike[str],
    *,
    stretch: str = "asinh",
    size_px: int | None = None,
    dpi: int = 100,
    cutouts: bool = True,
) -> Path:
    """Write the picture of one frame or detection to a PNG (or whatever the suffix says).

    Parameters
    ----------
    frame_or_detection : Frame or Detection
        What to draw.
    path : path-like
        Where to; an existing file is replaced in one step, never left half written.
    stretch : str
        One of `STRETCHES`.
    size_px : int, optional
        Longer side of the picture in pixels at 100 dpi; by default 1024, less for frames below 256 pixels.
    dpi : int
        Resolution; 100 for a screen, 300 for print (the same layout, three times the pixels).
    cutouts : bool
        Show the strongest spots enlarged beside the picture.

    Returns
    -------
    Path
        The path written.

    Raises
    ------
    UsageError
        If the stretch or the file type is unknown.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path = Path(path)
    frame, detection = _parts(frame_or_detection)
    boxes = cutout_boxes(detection) if detection and cutouts else []
    rows, columns = frame.shape
    size_px = size_px or int(np.clip(4 * max(rows, columns), 480, 1024))
    # Very flat or very tall pictures are letterboxed, so that title and bar keep room.
    aspect = float(np.clip(columns / rows, 0.5, 2.5))
    width = size_px / 100 * min(1.0, aspect)
    height = size_px / 100 / max(1.0, aspect)
    head, side = 0.3, height / MAX_CUTOUTS if boxes else 0.0
    full_width, full_height = width + side, height + head
    figure = Figure(figsize=(full_width, full_height), facecolor="black")
    canvas = FigureCanvasAgg(figure)
    ax = figure.add_axes((0.0, 0.0, width / full_width, height / full_height))
    show(frame_or_detection, ax=ax, stretch=stretch, crop=True)
    ax.set_title("")
    for k, box in enumerate(boxes):
        assert detection is not None
        place = (width / full_width, (height - (k + 1) * side) / full_height)
        inset = figure.add_axes((*place, side / full_width, side / full_height))
        _draw_cutout(inset, detection, box)
    y = 1 - 0.5 * head / full_height
    figure.text(
        0.008, y, title(frame_or_detection), color="white", fontsize=8.5, va="center", parse_math=False
    )
    suffix = path.suffix.lower().lstrip(".") or "png"
    if suffix not in canvas.get_supported_filetypes():
        raise UsageError(f"{path}: pictures are written as .png, .jpg, .pdf or .svg")
    extra: dict[str, Any] = {"pil_kwargs": {"compress_level": 3}} if suffix == "png" else {}
    with replacing(path) as temporary:
        figure.savefig(temporary, format=suffix, dpi=dpi, facecolor="black", **extra)
    return path


def cutout_boxes(detection: Detection) -> list[tuple[int, int, int]]:
    """Squares (x, y, half width) around the spots of highest signal to noise, each spot in one only."""
    boxes: list[tuple[int, int, int]] = []
    for row in _by_snr(detection):
        x, y = round(row["x_centroid"]), round(row["y_centroid"])
        if any(max(abs(x - bx), abs(y - by)) < half for bx, by, half in boxes):
            continue
        extent = float(np.sqrt(np.count_nonzero(detection.segmentation == row["detection_id"])))
        boxes.append((x, y, int(np.clip(1.6 * extent, 16, 64))))
        if len(boxes) == MAX_CUTOUTS:
            break
    return boxes


def _draw_cutout(ax: Axes, detection: Detection, box: tuple[int, int, int]) -> None:
    """One spot enlarged: black is the frame's black, white the brightest pixel of the square."""
    x, y, half = box
    rows, columns = detection.frame.shape
    window = np.s_[max(y - half, 0) : min(y + half + 1, rows), max(x - half, 0) : min(x + half + 1, columns)]
    image = np.where(detection.frame.mask, np.nan, detection.frame.image)
    low = float(np.nanpercentile(image[::4, ::4], 0.5))
    image = image[window]
    high = max(float(np.nanmax(image)), np.nextafter(low, np.inf))
    left, top = window[1].start - 0.5, window[0].start - 0.5
    extent = (left, window[1].stop - 0.5, window[0].stop - 0.5, top)
    ax.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest", extent=extent)
    _draw_outlines(ax, detection, window, linewidth=1.2)
    ax.set_xlim(x - half - 0.5, x + half + 0.5)
    ax.set_ylim(y + half + 0.5, y - half - 0.5)
    ax.set_facecolor("black")
    ax.tick_params(bottom=False, left=False, labelbottom=False, labelleft=False)
    near = [
        row
        for row in _by_snr(detection)
        if max(abs(row["x_centroid"] - x), abs(row["y_centroid"] - y)) < half
    ]
    names = ", ".join(str(row["detection_id"]) for row in near[:6])
    size_km = near[0]["diameter_halfmax_km"] if near else np.nan
    size = f"  {size_km:.3g} km" if np.isfinite(size_km) else ""
    behind = {"facecolor": "black", "alpha": 0.6, "linewidth": 0, "pad": 1.5}
    ax.text(
        0.03, 0.97, f"{names}{size}", color="white", fontsize=8, va="top", transform=ax.transAxes, bbox=behind
    )


def _by_snr(detection: Detection) -> list[dict[str, Any]]:
    """Rows of the catalog, highest signal to noise first."""
    rows: list[Any] = detection.catalog.to_dict("records")
    return sorted(rows, key=lambda row: -np.nan_to_num(row["snr"]))


def title(frame_or_detection: Frame | Detection) -> str:
    """One line: frame name, km per pixel with its source, number of detections."""
    frame, detection = _parts(frame_or_detection)
    name = "".join(c if c.isprintable() else "?" for c in frame.name)
    if len(name) > 60:
        name = f"{name[:25]}...{name[-32:]}"
    parts = [name, scale_text(frame)]
    if detection is not None:
        n = len(detection.catalog)
        parts.append(f"{n} detection{'' if n == 1 else 's'}")
    return "  |  ".join(parts)


def _parts(frame_or_detection: Frame | Detection) -> tuple[Frame, Detection | None]:
    if isinstance(frame_or_detection, Detection):
        return frame_or_detection.frame, frame_or_detection
    return frame_or_detection, None


def scale_text(frame: Frame) -> str:
    """Kilometres per pixel and where they come from, in words."""
    scale = frame.scale
    if scale is None or scale.pixel_scale_km is None:
        return "scale unknown"
    return f"{scale.pixel_scale_km:.3g} km/px ({scale.source})"


def display_grey(frame: Frame, stretch: str = "asinh") -> np.ndarray:
    """Grey levels for the eye.

    Parameters
    ----------
    frame : Frame
        Its image and mask are used.
    stretch : str
        ``"asinh"``: linear for the surface, compressing towards the brightest pixel, so that a facula
        several times brighter than the surface keeps its shape. ``"linear"``: 0.5 to 99.8 per cent.

    Returns
    -------
    numpy.ndarray
        (rows, columns) uint8.

    Raises
    ------
    UsageError
        If the stretch is unknown.
    """
    if stretch not in STRETCHES:
        raise UsageError(f"unknown stretch {stretch!r}: use one of {', '.join(STRETCHES)}")
    image, good = frame.image, ~frame.mask
    step = max(1, int(np.sqrt(image.size / 300_000)))  # a sample is enough for percentiles
    values = image[::step, ::step][good[::step, ::step]]
    if values.size == 0:
        values = image[good]
    if values.size == 0:
        return np.zeros(frame.shape, np.uint8)
    low, high = float(np.percentile(values, 0.5)), float(np.percentile(values, 99.9))
    # The surface is what rises above the sky; without this a small disk would set no level at all.
    surface = values[values > low + 0.06 * (high - low)]
    bright = float(np.percentile(surface, 99.0)) if surface.size else high
    span = max(bright - low, float(np.finfo(np.float32).tiny))
    with np.errstate(over="ignore", invalid="ignore"):
        level = np.nan_to_num((image - np.float32(low)) / np.float32(span), nan=0.0, posinf=1.0, neginf=0.0)
    if stretch == "asinh":
        top = float(max(1.0, np.max(level[good])))
        # Nearly linear where nothing outshines the surface, so that a flat disk keeps its contrast.
        soft = np.float32(min(4.0, 0.3 + 2.0 * (top - 1.0)))
        level = np.arcsinh(soft * np.maximum(level, 0)) / np.arcsinh(soft * np.float32(top))
    grey = (np.clip(level, 0, 1) * 255).astype(np.uint8)
    grey[frame.mask] = 0
    return grey


Box = tuple[float, float, float, float]
"""Left, top, right, bottom edge in pixel coordinates."""


def _whole(frame: Frame) -> Box:
    return -0.5, -0.5, frame.shape[1] - 0.5, frame.shape[0] - 0.5


def lit_box(frame: Frame, margin: float = 0.12) -> Box:
    """The part of a frame that shows the lit body, in its proportions; all of it where little is sky."""
    rows, columns = frame.shape
    step = max(1, min(rows, columns) // 64)
    image = np.where(frame.mask, 0, frame.image)[: rows // step * step, : columns // step * step]
    mean = image.reshape(rows // step, step, columns // step, step).mean(axis=(1, 3))
    low, high = float(np.percentile(mean, 0.5)), float(np.percentile(mean, 99.5))
    lit = mean > low + 0.08 * (high - low)
    # A single bright block is a cosmic ray or a star, not the body.
    j, i = np.flatnonzero(lit.sum(axis=1) > 1), np.flatnonzero(lit.sum(axis=0) > 1)
    if min(j.size, i.size) == 0:
        return _whole(frame)
    left, right, top, bottom = (step * int(k) for k in (i[0], i[-1] + 1, j[0], j[-1] + 1))
    share = (1 + 2 * margin) * max((right - left) / columns, (bottom - top) / rows)
    if share > 0.8:
        return _whole(frame)
    width, height = share * columns, share * rows
    x = float(np.clip((left + right - width) / 2, 0, columns - width)) - 0.5
    y = float(np.clip((top + bottom - height) / 2, 0, rows - height)) - 0.5
    return x, y, x + width, y + height


def outline_segments(segmentation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixel edges around every footprint.

    Parameters
    ----------
    segmentation : numpy.ndarray
        (rows, columns) integers; 0 is background, n the footprint of detection n.

    Returns
    -------
    segments : numpy.ndarray
        (n, 2, 2) float: two (x, y) ends of each edge, in pixel coordinates (centres whole numbers).
        Straight runs are joined.
    labels : numpy.ndarray
        (n,) the footprint each edge belongs to; an edge between two footprints appears for both.
    """
    segments: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    occupied = np.nonzero(segmentation)
    if occupied[0].size == 0:
        return np.zeros((0, 2, 2)), np.zeros(0, np.int64)
    y0, y1 = occupied[0].min(), occupied[0].max() + 1
    x0, x1 = occupied[1].min(), occupied[1].max() + 1
    box = np.pad(segmentation[y0:y1, x0:x1], 1)
    for transposed in (False, True):
        plane = box.T if transposed else box
        for shift in (-1, 1):
            edge = np.where(plane != np.roll(plane, shift, axis=0), plane, 0)
            # Runs of one label along a row become one segment.
            starts = (edge != 0) & (edge != np.roll(edge, 1, axis=1))
            ends = (edge != 0) & (edge != np.roll(edge, -1, axis=1))
            row, first = np.nonzero(starts)
            last = np.nonzero(ends)[1]
            across = row - 1 + (0.5 if shift == -1 else -0.5)
            along = np.stack([first - 1.5, last - 0.5], axis=1)
            fixed = np.stack([across, across], axis=1)
            pair = np.stack([fixed, along] if transposed else [along, fixed], axis=2)
            segments.append(pair)
            labels.append(edge[row, first])
    offset = np.array([x0, y0], float)
    return np.concatenate(segments) + offset, np.concatenate(labels)


def round_length(length_km: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above ``length_km``."""
    power = 10.0 ** np.floor(np.log10(length_km))
    factor = max(f for f in (1.0, 2.0, 5.0) if f * power <= length_km * (1 + 1e-9))
    return float(factor * power)


def _colors(detection: Detection) -> dict[int, str]:
    """Colour of each detection by polarity and confidence."""
    catalog = detection.catalog
    colors = {}
    for number, polarity, confidence in zip(
        catalog["detection_id"], catalog["polarity"], catalog["albedo_confidence"], strict=True
    ):
        doubtful = confidence < CONFIDENT  # False for NaN: not judged is not doubtful
        colors[int(number)] = DOUBTFUL if doubtful else BRIGHT if polarity == "bright" else DARK
    return colors


def _draw_outlines(
    ax: Axes, detection: Detection, window: tuple[slice, slice] = np.s_[:, :], linewidth: float = 0.9
) -> None:
    from matplotlib.collections import LineCollection

    segments, labels = outline_segments(detection.segmentation[window])
    segments = segments + np.array([window[1].start or 0, window[0].start or 0])
    colors = _colors(detection)
    drawn = [i for i, label in enumerate(labels) if int(label) in colors]
    if drawn:
        lines = LineCollection(
            list(segments[drawn]),
            colors=[colors[int(labels[i])] for i in drawn],
            linewidths=linewidth,
            capstyle="projecting",
        )
        ax.add_collection(lines, autolim=False)


def _draw_labels(ax: Axes, detection: Detection) -> None:
    colors = _colors(detection)
    rows, columns = detection.frame.shape
    margin = 0.006 * max(rows, columns)
    for row in _by_snr(detection)[:MAX_LABELS]:
        number, x, y = row["detection_id"], row["x_centroid"], row["y_centroid"]
        radius = margin + 0.5 * float(np.sqrt(np.count_nonzero(detection.segmentation == number)))
        right = x < 0.9 * columns
        ax.annotate(
            str(number),
            (x + (radius if right else -radius), y - radius),
            color=colors[number],
            fontsize=7,
            ha="left" if right else "right",
            va="center",
            annotation_clip=True,
            path_effects=_halo(),
        )


def _draw_scale_bar(ax: Axes, frame: Frame, view: Box) -> None:
    from matplotlib.patches import Rectangle

    if frame.scale is None or frame.scale.pixel_scale_km is None:
        return
    left, top, right, bottom = view
    width, height = right - left, bottom - top
    if min(width, height) < 16:
        return
    bar_km = round_length(0.25 * width * frame.scale.pixel_scale_km)
    bar = bar_km / frame.scale.pixel_scale_km
    x, y, thick = left + 0.03 * width, top + 0.965 * height, 0.006 * height
    ax.add_patch(Rectangle((x, y), bar, thick, facecolor=INK, edgecolor="black", linewidth=0.5))
    text = f"{bar_km * 1000:.0f} m" if bar_km < 1 else f"{bar_km:.0f} km"
    place = (x, y - 0.008 * height)
    ax.text(*place, text, color=INK, fontsize=9, ha="left", va="bottom", path_effects=_halo())


def arrow_directions(frame: Frame) -> dict[str, tuple[float, float]]:
    """Where north and the Sun are in the picture, seen at the middle of the frame or of the body.

    Parameters
    ----------
    frame : Frame
        Its geometry is asked; without one the answer is empty.

    Returns
    -------
    dict
        ``"N"`` and ``"Sun"``, as far as known: unit vectors (x to the right, y down).
    """
    geometry = frame.geometry
    if geometry is None:
        return {}
    rows, columns = frame.shape
    ground = geometry.ground((columns - 1) / 2, (rows - 1) / 2)
    if not np.isfinite(ground.incidence_deg):
        ground = geometry.ground(*geometry.project_points(np.zeros(3)))
    azimuths = {"N": float(ground.north_azimuth_deg), "Sun": float(ground.sun_azimuth_deg)}
    return {
        name: (float(np.sin(np.radians(azimuth))), float(-np.cos(np.radians(azimuth))))
        for name, azimuth in azimuths.items()
        if np.isfinite(azimuth)
    }


def _draw_arrows(ax: Axes, frame: Frame, view: Box) -> None:
    """North and Sun in the lower right corner."""
    left, top, right_edge, bottom = view
    length = 0.05 * max(right_edge - left, bottom - top)
    x, y = right_edge - 2.2 * length, bottom - 2.2 * length
    for text, (right, down) in arrow_directions(frame).items():
        dx, dy = right * length, down * length
        ax.annotate(
            "",
            (x + dx, y + dy),
            (x, y),
            arrowprops={
                "arrowstyle": "-|>", "color": INK, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0,
                "path_effects": _halo(2.5),
            },
        )  # fmt: skip
        place = (x + 1.4 * dx, y + 1.4 * dy)
        ax.text(*place, text, color=INK, fontsize=8, ha="center", va="center", path_effects=_halo())


def _halo(linewidth: float = 2.0) -> list[Any]:
    """A dark rim, so that light ink can be read on light ground."""
    from matplotlib.patheffects import Normal, Stroke

    return [Stroke(linewidth=linewidth, foreground="black"), Normal()]
