"""Detections as marks for viewers and planetary programs: DS9, JMARS, the Small Body Mapping Tool, PVL."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from brightspot import ceres
from brightspot.catalog import COLUMNS
from brightspot.outline import Outline, ring_area
from brightspot.writers.findings import Findings, FrameFindings, ascii_text
from brightspot.writers.folder import FrameFolder
from brightspot.writers.tables import csv_field, is_unknown, replacing

BRIGHT, DARK = "#E69F00", "#56B4E9"
"""Colours of Okabe and Ito, as in the pictures."""


def write_regions(findings: Findings, path: Path) -> list[str]:
    """DS9 region files, one per frame, in image coordinates.

    DS9 counts pixels from 1 and rows from the bottom. A Framing Camera FITS (lines displayed upward) and a
    picture stand upright there, so x is ours plus 1 and y the number of rows minus ours.
    """
    lost = 0
    with FrameFolder(path, ".reg") as folder:
        for frame in findings.frames():
            if not frame.detections or frame.shape is None:
                continue
            lost += sum(outline is None for outline in frame.outlines)
            lines = [
                "# Region file format: DS9 version 4.1",
                f"# {findings.facts['creator']}, frame {csv_field(frame.name).replace(';', ',')}",
                "# rows are counted from the bottom of the upright picture, pixels from 1",
                "image",
            ]
            for row, outline in zip(frame.detections, frame.outlines, strict=True):
                lines += _regions(row, outline, frame.shape[0])
            text = "\n".join(lines) + "\n"
            with replacing(folder.file(frame.name)) as temporary:
                temporary.write_text(text, encoding="utf-8", errors="replace")
    return [f"{lost} detections are circles in their regions: no outline of them is known"] if lost else []


def _regions(row: Mapping[str, Any], outline: Outline | None, rows: int) -> list[str]:
    color = BRIGHT if row["polarity"] == "bright" else DARK
    size = "" if is_unknown(row["diameter_halfmax_km"]) else f" {row['diameter_halfmax_km']:.3g} km"
    about = f"# color={color} text={{{row['detection_id']}{size}}} tag={{{row['polarity']}}}"
    if outline is None or not outline.rings():
        x, y, radius = row["x_centroid"] + 1, rows - row["y_centroid"], 0.5 * row["diameter_halfmax"]
        return [f"circle({x:.3f},{y:.3f},{radius:.3f}) {about}"]
    out = []
    for polygon in outline.polygons():
        for k, ring in enumerate(polygon):
            x, y = outline.x[ring][:-1] + 1, rows - outline.y[ring][:-1]
            pairs = ",".join(f"{a:.3f},{b:.3f}" for a, b in zip(x, y, strict=True))
            out.append(f"polygon({pairs}) {about}" if k == 0 else f"-polygon({pairs}) # color={color}")
            about = f"# color={color} tag={{{row['polarity']}}}"  # one number per place
    return out


JMARS_COLUMNS = ("label", "latitude", "longitude", "diameter_km")
"""First columns of the JMARS file; all of ours follow."""


def write_jmars(findings: Findings, path: Path) -> list[str]:
    """CSV of points for JMARS: planetocentric latitude, east longitude 0 to 360."""
    names = [c.name for c in COLUMNS if c.name not in ("latitude_deg", "longitude_deg")]
    without = 0
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", errors="replace") as file:
        file.write(",".join((*JMARS_COLUMNS, *names)) + "\n")
        for frame in findings.frames():
            for row in frame.detections:
                if _unplaced(row):
                    without += 1
                    continue
                label = f"{row['frame']}:{row['detection_id']}"
                first = (label, row["latitude_deg"], row["longitude_deg"], row["diameter_halfmax_km"])
                file.write(",".join(_quoted(v) for v in (*first, *(row[name] for name in names))) + "\n")
    return _without(without)


def _quoted(value: Any) -> str:
    text = csv_field(value)
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n') else text


def _unplaced(row: Mapping[str, Any]) -> bool:
    return is_unknown(row["latitude_deg"]) or is_unknown(row["longitude_deg"])


def _without(n: int) -> list[str]:
    few = "" if n == 1 else "s"
    return [f"{n} detection{few} left out: their frames have no latitude and longitude"] if n else []


SBMT_HEAD = """# SBMT Structure File
# type,ellipse
# ------------------------------
# File consists of a list of structures on each line.
#
# Each line is defined by 17 columns with the following:
# <id> <name> <centerXYZ[3]> <centerLLR[3]> <coloringValue[4]> <diameter> <flattening> <regularAngle> \
<colorRGB> <label>
#
# Distances in km, angles in degrees, planetocentric latitude, east longitude.
# Body: Ceres, spheroid of {a:g} x {a:g} x {c:g} km
# ------------------------------
"""


def write_sbmt(findings: Findings, path: Path) -> list[str]:
    """Ellipses for the Small Body Mapping Tool: 17 columns between tabs.

    The layout is that of the tool's own structure files as we know them; no copy of the tool was at hand to
    read it back (unverified). Axes and their direction are those of the outline's second moments.
    """
    a, _, c = ceres.RADII_KM
    n = without = 0
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", errors="replace") as file:
        file.write(SBMT_HEAD.format(a=a, c=c))
        for frame in findings.frames():
            for row, outline in zip(frame.detections, frame.outlines, strict=True):
                if _unplaced(row) or is_unknown(row["diameter_halfmax_km"]):
                    without += 1
                    continue
                n += 1
                file.write("\t".join(_ellipse(n, row, outline)) + "\n")
    return _without(without)


def _ellipse(number: int, row: Mapping[str, Any], outline: Outline | None) -> list[str]:
    a, _, c = ceres.RADII_KM
    latitude, longitude = math.radians(row["latitude_deg"]), math.radians(row["longitude_deg"])
    radius = 1.0 / math.hypot(math.cos(latitude) / a, math.sin(latitude) / c)
    point = (
        radius * math.cos(latitude) * math.cos(longitude),
        radius * math.cos(latitude) * math.sin(longitude),
        radius * math.sin(latitude),
    )
    shape = None if outline is None else ellipse_on_ground(outline)
    diameter, flattening, angle = shape or (row["diameter_halfmax_km"], 1.0, 0.0)
    red_green_blue = "230,159,0" if row["polarity"] == "bright" else "86,180,233"
    name = " ".join(csv_field(f"{row['frame']}:{row['detection_id']}").split()).replace('"', "'")
    return [
        str(number), name, *(f"{v:.6f}" for v in point),
        f"{row['latitude_deg']:.6f}", f"{row['longitude_deg']:.6f}", f"{radius:.6f}",
        "NA", "NA", "NA", "NA", f"{diameter:.6f}", f"{flattening:.6f}", f"{angle:.3f}",
        red_green_blue, f'"{name}"',
    ]  # fmt: skip


def ellipse_on_ground(outline: Outline) -> tuple[float, float, float] | None:
    """Ellipse of an outline's area and second moments.

    Parameters
    ----------
    outline : Outline
        With latitudes and longitudes.

    Returns
    -------
    tuple of float or None
        Major axis in km, minor over major axis, and the angle from north to the major axis, in degrees
        clockwise (0 to 180); None where too little of the outline is known.
    """
    if outline.latitude_deg is None or outline.longitude_deg is None:
        return None
    a, _, c = ceres.RADII_KM
    latitude, longitude = np.radians(outline.latitude_deg), np.radians(outline.longitude_deg)
    radius = 1.0 / np.hypot(np.cos(latitude) / a, np.sin(latitude) / c)
    point = (
        np.stack(
            [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], -1
        )
        * radius[:, None]
    )
    known = np.isfinite(point[:, 0])
    if known.sum() < 4:
        return None
    middle = point[known].mean(axis=0)
    up = middle / np.array([a, a, c]) ** 2
    up /= np.linalg.norm(up)
    north = np.array([0.0, 0.0, 1.0]) - up[2] * up
    north /= np.linalg.norm(north)
    plane = (point - middle) @ np.stack([np.cross(north, up), north], axis=1)
    rings = [plane[ring][np.isfinite(plane[ring, 0])] for ring in outline.rings()]
    # On the ground rings wind the other way than in the picture: only signs against each other count.
    moments = np.sum([_moments(ring) for ring in rings if len(ring) > 3], axis=0)
    if np.ndim(moments) == 0 or moments[0] == 0.0:
        return None
    x, y, xx, xy, yy = moments[1:] / moments[0]
    values, vectors = np.linalg.eigh([[xx - x * x, xy - x * y], [xy - x * y, yy - y * y]])
    minor, major = 4.0 * np.sqrt(np.maximum(values, 0.0))
    if not major > 0.0:
        return None
    east, north_share = vectors[:, 1]
    return float(major), float(minor / major), float(np.degrees(np.arctan2(east, north_share)) % 180.0)


def _moments(ring: np.ndarray) -> np.ndarray:
    """Integrals of 1, x, y, x2, xy, y2 over a closed ring's inside (Green's theorem), signed as it winds."""
    ring = np.concatenate([ring, ring[:1]])
    (x0, y0), (x1, y1) = ring[:-1].T, ring[1:].T
    cross = x0 * y1 - x1 * y0
    return np.array(
        [
            ring_area(ring[:, 0], ring[:, 1]),
            np.sum((x0 + x1) * cross) / 6.0,
            np.sum((y0 + y1) * cross) / 6.0,
            np.sum((x0 * x0 + x0 * x1 + x1 * x1) * cross) / 12.0,
            np.sum((2 * x0 * y0 + x0 * y1 + x1 * y0 + 2 * x1 * y1) * cross) / 24.0,
            np.sum((y0 * y0 + y0 * y1 + y1 * y1) * cross) / 12.0,
        ]
    )


PVL_NAMES = {
    "latitude_deg": ("PlanetocentricLatitude", "degrees"),
    "longitude_deg": ("PositiveEast360Longitude", "degrees"),
    "incidence_deg": ("Incidence", "degrees"),
    "emission_deg": ("Emission", "degrees"),
    "phase_deg": ("Phase", "degrees"),
}
"""Columns that ISIS's ``campt`` has a keyword for; others keep their name in ISIS's spelling."""

_PVL_UNITS = {"px": "pixels", "km2": "km^2", "deg": "degrees"}


def write_pvl(findings: Findings, path: Path) -> list[str]:
    """PVL as ISIS writes it: an object per frame, a group per detection, keywords as in ``campt``.

    ``Sample`` and ``Line`` count from 1 at the centre of the upper left pixel of the upright picture.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="ascii") as file:
        file.write("Object = Brightspot\n")
        for name, value in findings.facts.items():
            file.write(_keyword(_camel(name), value, 2))
        for frame in findings.frames():
            if frame.detections:
                file.write("\n" + "".join(_pvl_object(frame)))
        file.write("End_Object\nEnd\n")
    return []


def _pvl_object(frame: FrameFindings) -> list[str]:
    out = ["  Object = Frame\n", _keyword("FrameName", frame.name, 4)]
    for name, keyword in (("n_x", "Samples"), ("n_y", "Lines"), ("start_time", "StartTime")):
        if not is_unknown(frame.row.get(name)):
            value = frame.row[name]
            out.append(_keyword(keyword, value.isoformat() if hasattr(value, "isoformat") else value, 4))
    for row in frame.detections:
        out.append("\n    Group = Spot\n")
        out.append(_keyword("Sample", row["x_centroid"] + 1.0, 6))
        out.append(_keyword("Line", row["y_centroid"] + 1.0, 6))
        for column in COLUMNS:
            value = row[column.name]
            if column.name in ("frame", "x_centroid", "y_centroid") or is_unknown(value):
                continue
            keyword, unit = PVL_NAMES.get(column.name, (_camel(column.name), column.unit))
            out.append(_keyword(keyword, value, 6, _PVL_UNITS.get(unit, unit)))
        out.append("    End_Group\n")
    return [*out, "  End_Object\n"]


def _keyword(name: str, value: Any, indent: int, unit: str = "") -> str:
    text = csv_field(value) if not isinstance(value, str) else value
    if isinstance(value, str):
        text = '"' + ascii_text(text).replace('"', "'") + '"'
    return f"{' ' * indent}{name} = {text}{f' <{unit}>' if unit else ''}\n"


def _camel(name: str) -> str:
    """``diameter_halfmax_km`` as ``DiameterHalfmaxKm``."""
    return "".join(part.capitalize() for part in name.split("_"))
