"""What is drawn over a picture, as numbers: colours, outlines, bar, arrows, graticule, places for ids.

Nothing here draws. `axes` puts these marks on matplotlib axes, `overlay` into pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from brightspot import ceres
from brightspot.finder import Detection
from brightspot.frame import Frame

if TYPE_CHECKING:
    import pandas as pd

    from brightspot.figure.grey import Box
    from brightspot.geometry import ViewingGeometry

BRIGHT, DARK, DOUBTFUL, INK = "#E69F00", "#56B4E9", "#CC79A7", "#F0E442"
"""Bright spots, dark spots, those that a slope could explain, and scale bar with arrows (Okabe and Ito)."""

PALE_BRIGHT, PALE_DARK = "#FFDF9E", "#C3E5FA"
"""Bright and dark spots of middling confidence: the same hues, lighter."""

CONFIDENT, SURE = 0.5, 0.8
"""``albedo_confidence`` from which a spot has its polarity's colour, and from which it has it in full."""

MEANINGS = {
    BRIGHT: "bright",
    PALE_BRIGHT: "bright, less sure",
    DARK: "dark",
    PALE_DARK: "dark, less sure",
    DOUBTFUL: "doubtful",
}
"""What each colour says, for a key: "less sure" is below `SURE`, "doubtful" below `CONFIDENT`."""

MAX_LABELS = 60
"""Most ids written into one picture, strongest first; outlines are always all drawn."""

MAX_CUTOUTS = 4
"""Strongest spots that an overlay shows enlarged beside the picture."""


def color_of(polarity: str, confidence: float) -> str:
    """Colour of a spot; one that was not judged (NaN) is not doubted."""
    if confidence < CONFIDENT:
        return DOUBTFUL
    if confidence < SURE:
        return PALE_BRIGHT if polarity == "bright" else PALE_DARK
    return BRIGHT if polarity == "bright" else DARK


def table_colors(table: pd.DataFrame) -> list[str]:
    """Colour of each row of a detection table."""
    pairs = zip(table["polarity"].tolist(), table["albedo_confidence"].tolist(), strict=True)
    return [color_of(polarity, confidence) for polarity, confidence in pairs]


def colors_by_id(detection: Detection) -> dict[int, str]:
    """Colour of each detection by its ``detection_id``."""
    numbers = detection.catalog["detection_id"].tolist()
    return dict(zip(numbers, table_colors(detection.catalog), strict=True))


class Spot(NamedTuple):
    """What a picture says of a detection."""

    number: int
    x: float
    y: float
    snr: float
    confidence: float
    diameter_km: float
    limit_km: float
    color: str

    @property
    def text(self) -> str:
        """Number, diameter and confidence, as far as known: ``1   12.2 km  0.97``."""
        parts = [str(self.number)]
        if np.isfinite(self.limit_km):
            parts.append(f" < {self.limit_km:.3g} km")
        elif np.isfinite(self.diameter_km):
            parts.append(f" {self.diameter_km:.3g} km")
        if np.isfinite(self.confidence):
            parts.append(f"{self.confidence:.2f}")
        return "  ".join(parts)


def rows_of(found: Detection | pd.DataFrame) -> pd.DataFrame:
    """The table of detections, where a frame's own may be given whole."""
    return found.catalog if isinstance(found, Detection) else found


def spots_of(detection: Detection) -> list[Spot]:
    """The spots of a detection, highest signal to noise first."""
    names = (
        "detection_id", "x_centroid", "y_centroid", "snr", "albedo_confidence",
        "diameter_halfmax_km", "diameter_limit_km",
    )  # fmt: skip
    columns = [detection.catalog[name].tolist() for name in names]
    rows = zip(*columns, table_colors(detection.catalog), strict=True)
    spots = [Spot(*row) for row in rows]
    return sorted(spots, key=lambda spot: -spot.snr if np.isfinite(spot.snr) else 0.0)


def parts_of(frame_or_detection: Frame | Detection) -> tuple[Frame, Detection | None]:
    """The frame, and the detection if there is one."""
    if isinstance(frame_or_detection, Detection):
        return frame_or_detection.frame, frame_or_detection
    return frame_or_detection, None


# --- words -----------------------------------------------------------------------------------


def title(frame_or_detection: Frame | Detection, most: int = 60) -> str:
    """One line: frame name (up to ``most`` characters), km per pixel and its source, number of detections."""
    frame, detection = parts_of(frame_or_detection)
    parts = [short_name(frame.name, most), scale_text(frame)]
    if detection is not None:
        n = len(detection.catalog)
        parts.append(f"{n} detection{'' if n == 1 else 's'}")
    return "  |  ".join(parts)


def short_name(name: str, most: int = 60) -> str:
    """A frame's name fit for one line: printable, its middle left out where it is long."""
    name = "".join(c if c.isprintable() else "?" for c in name)
    if len(name) <= most:
        return name
    head = (most - 3) * 4 // 9
    return f"{name[:head]}...{name[head + 3 - most :]}"


def scale_text(frame: Frame) -> str:
    """Kilometres per pixel and where they come from, in words."""
    scale = frame.scale
    if scale is None or scale.pixel_scale_km is None:
        return "scale unknown"
    return f"{scale.pixel_scale_km:.3g} km/px ({scale.source})"


def length_text(length_km: float) -> str:
    """``20 km``, ``0.5 km`` as ``500 m``."""
    return f"{length_km * 1000:.3g} m" if length_km < 1 else f"{length_km:.3g} km"


# --- outlines and cut-outs --------------------------------------------------------------------


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


def footprint_boxes(segmentation: np.ndarray) -> dict[int, tuple[slice, slice]]:
    """Rows and columns of each footprint, by ``detection_id``."""
    from scipy.ndimage import find_objects

    found = find_objects(segmentation)
    return {k + 1: box for k, box in enumerate(found) if box is not None}


def spot_extent(detection: Detection, number: int, box: tuple[slice, slice] | None) -> float:
    """Side in pixels of the square that has a footprint's area; 1 where it has none of its own."""
    if box is None:
        return 1.0
    return float(np.sqrt(max(int(np.count_nonzero(detection.segmentation[box] == number)), 1)))


def cutout_boxes(
    detection: Detection, spots: list[Spot], footprints: dict[int, tuple[slice, slice]]
) -> list[tuple[int, int, int]]:
    """Squares (x, y, half width) around the spots of highest signal to noise, each spot in one only."""
    boxes: list[tuple[int, int, int]] = []
    for spot in spots:
        x, y = round(spot.x), round(spot.y)
        if any(max(abs(x - bx), abs(y - by)) < half for bx, by, half in boxes):
            continue
        extent = spot_extent(detection, spot.number, footprints.get(spot.number))
        boxes.append((x, y, int(np.clip(1.6 * extent, 16, 64))))
        if len(boxes) == MAX_CUTOUTS:
            break
    return boxes


def cutout(detection: Detection, x: int, y: int, half: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey levels and footprints of a square around a pixel.

    Parameters
    ----------
    detection : Detection
        Gives the frame and the segmentation.
    x, y : int
        The middle.
    half : int
        Pixels on each side of it.

    Returns
    -------
    grey : numpy.ndarray
        (2 half + 1, 2 half + 1) uint8: nearly black is the square's darkest ground, white its brightest
        pixel; black beyond the frame.
    labels : numpy.ndarray
        The segmentation there, 0 beyond the frame.
    """
    frame = detection.frame
    rows, columns = frame.shape
    window = np.s_[max(y - half, 0) : min(y + half + 1, rows), max(x - half, 0) : min(x + half + 1, columns)]
    place = np.s_[
        window[0].start - y + half : window[0].stop - y + half,
        window[1].start - x + half : window[1].stop - x + half,
    ]
    side = 2 * half + 1
    grey, labels = np.zeros((side, side), np.uint8), np.zeros((side, side), np.int32)
    labels[place] = detection.segmentation[window]
    good = ~frame.mask[window]
    image = frame.image[window].astype(np.float64)
    if good.any():
        low, high = float(np.percentile(image[good], 0.5)), float(image[good].max())
        low -= 0.15 * (high - low)  # so that shades of dark ground are not stretched to black
        level = np.clip((image - low) / max(high - low, np.finfo(np.float64).tiny), 0.0, 1.0)
        grey[place] = np.where(good, 255.0 * np.nan_to_num(level), 0.0).astype(np.uint8)
    return grey, labels


# --- bar, arrows, graticule -------------------------------------------------------------------


def round_length(length_km: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above ``length_km``."""
    power = 10.0 ** np.floor(np.log10(length_km))
    factor = max(f for f in (1.0, 2.0, 5.0) if f * power <= length_km * (1 + 1e-9))
    return float(factor * power)


def scale_bar(frame: Frame, width: float, share: float = 0.25) -> tuple[float, str] | None:
    """Length in frame pixels and text of a bar that takes up to ``share`` of ``width`` frame pixels.

    None where the scale is not known, or so little is shown that a bar would say nothing.
    """
    scale = frame.scale
    if scale is None or scale.pixel_scale_km is None or width < 16:
        return None
    bar_km = round_length(share * width * scale.pixel_scale_km)
    return bar_km / scale.pixel_scale_km, length_text(bar_km)


def arrow_directions(frame: Frame, box: Box | None = None) -> dict[str, tuple[float, float]]:
    """Where north and the Sun are in the picture, seen at the middle of the frame or of the body.

    Parameters
    ----------
    frame : Frame
        Its geometry is asked; without one, or where the picture looks flipped against it, the answer is
        empty.
    box : tuple of float, optional
        The part that is shown, whose middle is meant; the whole frame if omitted.

    Returns
    -------
    dict
        ``"N"`` and ``"Sun"``, as far as known: unit vectors (x to the right, y down).
    """
    geometry = frame.geometry
    if geometry is None or frame.orientation_doubtful:
        return {}
    rows, columns = frame.shape
    left, top, right, bottom = box or (-0.5, -0.5, columns - 0.5, rows - 0.5)
    ground = geometry.ground((left + right) / 2, (top + bottom) / 2)
    if not np.isfinite(ground.incidence_deg):
        ground = geometry.ground(*geometry.project_points(np.zeros(3)))
    azimuths = {"N": float(ground.north_azimuth_deg), "Sun": float(ground.sun_azimuth_deg)}
    return {
        name: (float(np.sin(np.radians(azimuth))), float(-np.cos(np.radians(azimuth))))
        for name, azimuth in azimuths.items()
        if np.isfinite(azimuth)
    }


Point = tuple[float, float]


def arrow_places(directions: dict[str, Point]) -> dict[str, tuple[Point, Point, Point]]:
    """Tail, tip and text of each arrow around a common middle, in lengths of an arrow.

    Arrows that nearly cover one another are drawn side by side.
    """
    apart = dict.fromkeys(directions, (0.0, 0.0))
    if len(directions) == 2:
        (a, b), names = (np.array(v) for v in directions.values()), list(directions)
        if float(a @ b) > 0.8:
            side = np.array([-a[1], a[0]])
            side *= 0.3 if float(side @ b) > 0 else -0.3
            apart = {names[0]: tuple(-side), names[1]: tuple(side)}
    return {
        name: ((sx, sy), (sx + dx, sy + dy), (sx + 1.42 * dx, sy + 1.42 * dy))
        for (name, (dx, dy)), (sx, sy) in zip(directions.items(), apart.values(), strict=True)
    }


STEPS_DEG = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)
"""Distances between the lines of a graticule."""

KM_PER_DEGREE = float(np.radians(1.0) * ceres.MEAN_RADIUS_KM)


class GridLine(NamedTuple):
    """A line of the graticule: (n, 2) pixel coordinates with NaN where hidden; where its text goes."""

    text: str
    points: np.ndarray
    place: tuple[float, float] | None


def graticule(frame: Frame, box: Box) -> list[GridLine]:
    """Parallels and meridians across the shown part of a frame.

    Parameters
    ----------
    frame : Frame
        With a geometry that knows longitudes; otherwise there are no lines.
    box : tuple of float
        The part that is shown.

    Returns
    -------
    list of GridLine
        About six lines each way, in steps of `STEPS_DEG`.
    """
    view = frame.geometry
    if view is None or not view.longitude_known or frame.orientation_doubtful:
        return []
    left, top, right, bottom = box
    x, y = np.meshgrid(np.linspace(left, right, 25), np.linspace(top, bottom, 25))
    seen = view.ground(x, y)
    known = np.isfinite(seen.latitude_deg)
    if not known.any():
        return []
    latitude, longitude = seen.latitude_deg[known], seen.longitude_deg[known]
    span_km = max(right - left, bottom - top) * float(np.median(seen.slant_range_km[known]))
    span_deg = min(span_km * view.camera.mean_ifov_rad / KM_PER_DEGREE, 180.0)
    step = next((s for s in STEPS_DEG if span_deg / s <= 6.5), STEPS_DEG[-1])
    middle = np.argmin(np.hypot(x[known] - (left + right) / 2, y[known] - (top + bottom) / 2))
    return _grid_lines(view, box, step, latitude, longitude, int(middle))


def _grid_lines(
    view: ViewingGeometry, box: Box, step: float, latitude: np.ndarray, longitude: np.ndarray, middle: int
) -> list[GridLine]:
    # Longitudes relative to the middle, so that 0 and 360 are no edge.
    center = float(longitude[middle])
    relative = (longitude - center + 180.0) % 360.0 - 180.0
    px, py = view.project(np.array([90.0, -90.0]), 0.0)
    left, top, right, bottom = box
    pole = (px > left) & (px < right) & (py > top) & (py < bottom)
    south, north = (-90.0 if pole[1] else latitude.min()), (90.0 if pole[0] else latitude.max())
    west, east = (-180.0, 180.0) if pole.any() else (relative.min(), relative.max())
    parallels = step * np.arange(np.floor(south / step), np.ceil(north / step) + 1)
    parallels = parallels[np.abs(parallels) < 90.0 - 1e-9]
    meridians = step * np.arange(np.floor((center + west) / step), np.ceil((center + east) / step) + 1)
    meridians = np.unique(meridians % 360.0)
    # Texts stand half a step from the crossing nearest the middle, off the line's neighbours.
    at_longitude = step * (np.floor(center / step) - 0.5)
    at_latitude = step * (np.round(latitude[middle] / step) - 0.5)
    along_longitude = center + np.linspace(west - step, east + step, 181)
    along_latitude = np.linspace(max(south - step, -90.0), min(north + step, 90.0), 121)
    rows = np.stack(view.project(parallels[:, None], along_longitude), axis=-1)
    columns = np.stack(view.project(along_latitude, meridians[:, None]), axis=-1)
    # Near a pole only every third meridian goes on.
    ends = np.abs(along_latitude) > 90.0 - step / 2
    if step >= 10.0:
        columns[np.ix_(meridians % 90.0 != 0.0, ends)] = np.nan
    row_places = np.stack(view.project(parallels, at_longitude), axis=-1)
    column_places = np.stack(view.project(at_latitude, meridians), axis=-1)
    return [
        GridLine(text, points, _inside(place, box))
        for text, points, place in [
            *zip([_latitude_text(value) for value in parallels], rows, row_places, strict=True),
            *zip([f"{value:g}°E" for value in meridians], columns, column_places, strict=True),
        ]
    ]


def _latitude_text(latitude_deg: float) -> str:
    return f"{abs(latitude_deg):g}°{'N' if latitude_deg > 0 else 'S' if latitude_deg < 0 else ''}"


def _inside(place: np.ndarray, box: Box) -> Point | None:
    x, y = float(place[0]), float(place[1])
    left, top, right, bottom = box
    margin = 0.03 * max(right - left, bottom - top)
    inside = left + margin < x < right - margin and top + margin < y < bottom - margin
    return (x, y) if inside else None
