"""What the page's script shows: the two tables by columns, outlines as paths, named ground."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from brightspot import ceres, gazetteer
from brightspot.catalog import COLUMNS, Flag
from brightspot.figure.marks import CONFIDENT, SURE
from brightspot.outline import unpack
from brightspot.writers import FRAME_COLUMNS

STEPS_PER_PIXEL = 20
"""Grid on which outlines are drawn, per pixel."""

SHOWN_FIRST = (
    "frame", "detection_id", "polarity", "diameter_halfmax_km", "latitude_deg", "longitude_deg",
    "contrast_peak", "snr", "albedo_confidence",
)  # fmt: skip
"""Columns of the table of detections that are shown until others are chosen."""

FRAMES_SHOWN_FIRST = (
    "frame", "status", "n_detections", "start_time", "camera", "filter", "pixel_scale_km", "scale_source",
    "seconds", "reason", "notes",
)  # fmt: skip
"""Columns of the table of frames that are shown; a frame's details have all."""

NOTED = (
    "Occator",
    "Haulani",
    "Ahuna Mons",
    "Dantu",
    "Oxo",
    "Kupalo",
    "Ernutet",
    "Urvara",
    "Kerwan",
    "Yalode",
)
"""Names that the map shows first: places of known spots, and the widest craters."""

_FRAME_NUMBERS = {
    "n_detections": "",
    "n_x": "px",
    "n_y": "px",
    "filter": "",
    "pixel_scale_km": "km",
    "seconds": "s",
}
_FRAME_MEANINGS = {
    "frame": "input relative to what was given; #NNN is a picture of an animation",
    "status": "ok, skipped (not Ceres) or failed",
    "reason": "why it was skipped or failed",
    "n_detections": "detections in it",
    "n_x": "columns",
    "n_y": "rows",
    "unit": "what a pixel value is",
    "camera": "FC1 or FC2",
    "filter": "1 is clear",
    "start_time": "UTC",
    "pixel_scale_km": "width of a pixel on the ground",
    "scale_source": "spice, label, map, limb, user or article",
    "scale_conflicts": "sources of the scale that disagree",
    "notes": "remarks on the frame",
    "overlay": "its picture in the folder of overlays",
    "seconds": "time it took",
}
_TEXTS = ("frame", "reasons", "flags", "reason", "notes", "scale_conflicts", "overlay", "start_time")
_SHORT = ("detection_id", "filter", "camera", "n_detections", "n_x", "n_y")
_UNITS = re.compile(r"_(km2|km|deg)$")
_DETECTION_TEXTS = ("frame", "polarity", "scale_source", "reasons", "flags")


def shown_data(
    frames: Sequence[Mapping[str, Any]],
    detections: Sequence[Mapping[str, Any]],
    outlines: Iterable[tuple[str, int, bytes]],
) -> dict[str, Any]:
    """All that the script needs but the pictures, ready for JSON.

    Parameters
    ----------
    frames, detections : sequence of Mapping
        Rows of ``frames.csv`` and ``detections.csv``.
    outlines : iterable of tuple
        Frame, ``detection_id`` and packed outline.

    Returns
    -------
    dict
        Tables by columns, and for each detection its frame's number and its outline as an SVG path in
        steps of 1 / `STEPS_PER_PIXEL` px (empty where none was kept).
    """
    number = {str(row["frame"]): k for k, row in enumerate(frames)}
    paths = {(frame, int(spot)): _path(packed) for frame, spot, packed in outlines}
    return {
        "detections": _columns(
            detections,
            [(c.name, c.unit, c.meaning) for c in COLUMNS],
            numbers={c.name for c in COLUMNS} - set(_DETECTION_TEXTS),
            shown=SHOWN_FIRST,
        ),
        "frames": _columns(
            frames,
            [(name, _FRAME_NUMBERS.get(name, ""), _FRAME_MEANINGS[name]) for name in FRAME_COLUMNS],
            numbers=set(_FRAME_NUMBERS),
            shown=FRAMES_SHOWN_FIRST,
        ),
        "frame_of_spot": [number[str(row["frame"])] for row in detections],
        "outlines": [paths.get((str(row["frame"]), int(row["detection_id"])), "") for row in detections],
        "steps_per_pixel": STEPS_PER_PIXEL,
        "flags": [flag.name for flag in Flag],
        "names": _names(),
        "radius_km": ceres.MEAN_RADIUS_KM,
        "doubtful_below": CONFIDENT,
        "pale_below": SURE,
    }


def _columns(
    rows: Sequence[Mapping[str, Any]],
    columns: Iterable[tuple[str, str, str]],
    *,
    numbers: set[str],
    shown: Sequence[str],
) -> dict[str, Any]:
    """A table by columns, in the order of ``shown`` and then their own."""
    described = {name: (unit, meaning) for name, unit, meaning in columns}
    order = [*shown, *(name for name in described if name not in shown)]
    heads, values = [], {}
    for name in order:
        unit, meaning = described[name]
        number = name in numbers
        width = "short" if name in _SHORT else "number" if number else "word"
        if name in _TEXTS:
            width = "name" if name == "frame" else "text"
        heads.append(
            {
                "name": name,
                "title": _title(name),
                "unit": unit,
                "meaning": f"{name}: {meaning}",
                "number": number,
                "shown": name in shown,
                "width": width,
            }
        )
        convert = _rounded if number else _to_the_second if name == "start_time" else _same
        values[name] = [convert(row.get(name)) for row in rows]
    return {"columns": heads, "values": values}


def _names() -> list[list[Any]]:
    """Named ground, in the order in which names find room on the map: noted places, then the widest."""
    ground = gazetteer.CRATERS + gazetteer.MOUNTAINS + gazetteer.FACULAE
    order = sorted(ground, key=lambda f: (f.name not in NOTED, -f.diameter_km))
    return [[*feature, feature.name in NOTED] for feature in order]


def _title(name: str) -> str:
    """Head of a column: its name without the unit, which stands beside it."""
    short = {
        "detection_id": "id",
        "n_detections": "found",
        "seconds": "time",
        "snr": "SNR",
        "iof": "I/F",
        "n_x": "columns",
        "n_y": "rows",
    }
    return short.get(name) or _UNITS.sub("", name).replace("_", " ")


def _same(value: Any) -> Any:
    return value


def _to_the_second(value: Any) -> str:
    """An ISO time as people write it."""
    return str(value)[:19].replace("T", " ") if value else ""


def _rounded(value: Any) -> Any:
    """Seven significant digits: more than was measured, and half the text of a float."""
    return float(f"{value:.7g}") if isinstance(value, float) else value


def _path(packed: bytes) -> str:
    """An outline as an SVG path: closed rings on a grid of steps, each vertex relative to the last."""
    outline = unpack(packed)
    pieces = []
    for ring in outline.rings():
        points = np.stack([outline.x[ring], outline.y[ring]], axis=1)
        whole = np.round(points * STEPS_PER_PIXEL).astype(np.int64)
        steps = np.diff(whole, axis=0)
        steps = steps[np.any(steps != 0, axis=1)]
        if len(steps):
            # The ring's last vertex is its first: z closes it.
            moves = " ".join(f"{dx} {dy}" for dx, dy in steps[:-1])
            pieces.append(f"M{whole[0, 0]} {whole[0, 1]}l{moves}z")
    return "".join(pieces)
