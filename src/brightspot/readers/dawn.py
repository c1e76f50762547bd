"""Archive products to frames: PDS3 .IMG and FITS with their labels, plain FITS, PDS4, VICAR.

Every frame leaves with row 0 at the top, columns running to the right, native float32, and the label's
facts and geometry.

Sources: Framing Camera labels (keywords, file names, first line 17 and first sample 35 of the active
array); ISIS ``SpecialPixel.h`` (special values of 32-bit pixels); PDS Standards Reference 3.8.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from brightspot import ceres, geometry
from brightspot.camera import ACTIVE_FIRST_LINE, ACTIVE_FIRST_SAMPLE, ACTIVE_SHAPE, Camera
from brightspot.errors import GeometryError, ReadError
from brightspot.frame import Frame
from brightspot.readers import labels
from brightspot.readers.guards import check_content, escaped, plateau, quiet
from brightspot.readers.stored import Stored, directions, is_dawn, light, load, turned

FILE_NAME = re.compile(r"FC([12])(1[ABC])(\d{7})_(\d{2})(\d{3})(\d{2})(\d{2})(\d{2})F([1-8])([A-Z])")
"""File name of a Framing Camera product: camera, level, number, yy, day, hh, mm, ss, filter, version."""

SATURATED_DN = 16383
"""Ceiling of a 14-bit count (unverified: the labels read give 16-bit containers and no ceiling)."""


def read(path: Path, data_path: Path, name: str) -> Frame:
    """Frame of an archive product.

    Parameters
    ----------
    path : Path
        The file to open: the detached label, or the data file with its label inside.
    data_path : Path
        Where the pixels are; the same as ``path`` for an attached label.
    name : str
        Name of the frame.

    Returns
    -------
    Frame
        With the geometry of the label where it has one.

    Raises
    ------
    ReadError
        If there is no label, it contradicts the file, the file is cut off, or shows nothing.
    """
    with quiet():  # numbers of a label may be too large for what is computed of them
        return _frame(load(path, data_path), path, data_path, name)


def _frame(stored: Stored, path: Path, data_path: Path, name: str) -> Frame:
    """Frame of stored pixels: special values, scaling, turning, facts, geometry."""
    facts = stored.facts
    named = _named(path, data_path, facts)
    unit, factor, unit_note = _unit(facts, named, stored.pixels.dtype.kind == "f")
    _check_received(stored)
    image, mask, saturated = light(stored, factor)
    image, mask, saturated = (turned(a, facts, stored.default_up) for a in (image, mask, saturated))
    dawn = is_dawn(facts) or named is not None
    mapped = "MAP_PROJECTION_TYPE" in facts
    lost = _lost_lines(image, mask) if dawn and not mapped else np.zeros(0, int)
    mask[lost] = True
    valid = ~mask
    if dawn and unit == "DN":
        saturated |= valid & (image >= SATURATED_DN)
    else:
        saturated |= plateau(image, valid & ~saturated)
    check_content(image, mask, saturated)
    origin, place_note = (0.0, 0.0), "map-projected: not a view of the camera" if mapped else None
    if dawn and not mapped:
        origin, place_note = _origin(facts, image.shape, stored.default_up)
    exposure = labels.number_in(facts.get("EXPOSURE_DURATION"))
    lost_note = f"lines without data, masked: {len(lost)}" if len(lost) else None
    notes = [*stored.notes, *(note for note in (unit_note, place_note, lost_note) if note)]
    frame = Frame(
        name=name,
        path=data_path,
        image=image,
        mask=mask,
        saturated=saturated,
        unit=unit,
        camera=_camera(facts, named),
        filter_number=_filter(facts, named) if dawn else None,
        level=_level(facts, named, unit) if dawn else None,
        start_time=parse_time(facts.get("START_TIME"))
        or parse_time(facts.get("ALT_START_TIME"))
        or named_time(named),
        exposure_s=exposure if exposure is not None and exposure > 0 else None,
        target=_target(facts),
        subframe=dawn and not mapped and image.shape != ACTIVE_SHAPE and min(image.shape) < min(ACTIVE_SHAPE),
        origin_xy=origin,
        sun_distance_km=_sun_distance(facts),
        label=facts,
        notes=tuple(notes),
    )
    return _with_geometry(frame, located=place_note is None)


def _lost_lines(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Rows of one value between others: sky and ground have noise, and both ends may be a sky without."""
    low, high = (np.where(mask, none, image) for none in (np.inf, -np.inf))
    low, high = low.min(axis=1), high.max(axis=1)
    varied = np.flatnonzero(low < high)
    flat = np.flatnonzero(low == high)
    return flat[(flat > varied[0]) & (flat < varied[-1])] if len(varied) else flat[:0]


def _check_received(stored: Stored) -> None:
    """Refuse a frame whose last lines never reached the ground, which some labels own up to."""
    missing = labels.number_in(stored.facts.get("MISSING_LINES")) or 0
    if missing <= 0:
        return
    empty = np.all(stored.pixels == 0, axis=1)
    n_last = 0 if empty.all() else int(np.argmin(empty[::-1]))
    if n_last > 1:
        raise ReadError(
            f"is truncated: its last {n_last} of {len(empty)} lines were never received"
            f" (MISSING_LINES = {missing:.0f}); use another frame"
        )


def _origin(
    facts: Mapping[str, Any], shape: tuple[int, ...], default_up: bool
) -> tuple[tuple[float, float], str | None]:
    """Detector pixel of the turned frame's (0, 0), and a remark where the label does not settle it.

    FIRST_LINE and FIRST_LINE_SAMPLE count from 1 in stored order over the whole detector, whose active
    part starts at `ACTIVE_FIRST_LINE` and `ACTIVE_FIRST_SAMPLE`.
    """
    up, left, transposed = directions(facts, default_up)
    binning = [labels.number_in(facts.get(f"PIXEL_AVERAGING_{side}")) or 1 for side in ("WIDTH", "HEIGHT")]
    if transposed or any(n != 1 for n in binning):
        return (0.0, 0.0), "binned or rotated on board: the label's geometry is not used"
    line, sample = (labels.number_in(facts.get(key)) for key in ("FIRST_LINE", "FIRST_LINE_SAMPLE"))
    if line is None or sample is None:
        whole_frame = shape == ACTIVE_SHAPE
        return (0.0, 0.0), None if whole_frame else "subframe of unknown place: FIRST_LINE is missing"
    y, x = line - ACTIVE_FIRST_LINE, sample - ACTIVE_FIRST_SAMPLE
    if up:
        y = ACTIVE_SHAPE[0] - y - shape[0]
    if left:
        x = ACTIVE_SHAPE[1] - x - shape[1]
    return (float(x), float(y)), None


def _with_geometry(frame: Frame, located: bool) -> Frame:
    """The frame with its label's viewing geometry, or with a note why there is none."""
    if frame.target != "CERES" or not located:
        return frame
    if frame.camera is None or frame.filter_number is None:
        note = "no geometry and no I/F: the label names no camera or filter that Dawn carries"
        return replace(frame, notes=(*frame.notes, note)) if is_dawn(frame.label) else frame
    camera = Camera.framing_camera(frame.camera, frame.filter_number)
    try:
        found = geometry.from_label(
            frame.label,
            camera=camera,
            shape=frame.shape,
            origin_xy=frame.origin_xy,
            start_time=frame.start_time,
            exposure_s=frame.exposure_s,
        )
    except GeometryError as error:
        return replace(frame, notes=(*frame.notes, f"no geometry from the label: {error}"))
    return replace(frame, geometry=found)


def named_facts(text: object) -> re.Match[str] | None:
    """The facts in a Framing Camera file name, also where something precedes or follows it."""
    return FILE_NAME.search(str(text).upper())


def _named(path: Path, data_path: Path, facts: Mapping[str, Any]) -> re.Match[str] | None:
    candidates = (data_path.name, path.name, facts.get("FILE_NAME"), facts.get("PRODUCT_ID"))
    return next((found for text in candidates if (found := named_facts(text or ""))), None)


def _camera(facts: Mapping[str, Any], named: re.Match[str] | None) -> str | None:
    instrument = str(facts.get("INSTRUMENT_ID") or "").upper().replace(" ", "")
    if instrument in ("FC1", "FC2"):
        return instrument if is_dawn(facts) else None
    return f"FC{named.group(1)}" if named and not instrument else None


def _filter(facts: Mapping[str, Any], named: re.Match[str] | None) -> int | None:
    said = facts.get("FILTER_NUMBER")
    if said is not None:
        digit = re.fullmatch(r"\s*F?([1-8])(\.0)?\s*", str(said).upper())
        return int(digit.group(1)) if digit else None
    return int(named.group(9)) if named else None


def _said_level(facts: Mapping[str, Any], named: re.Match[str] | None) -> str | None:
    """Level by the file name, else by the CODMAC level in the data set's name."""
    if named:
        return named.group(2)
    codmac = re.search(r"-FC[12]-([234])-", str(facts.get("DATA_SET_ID") or "").upper())
    return {"2": "1A", "3": "1B", "4": "1C"}[codmac.group(1)] if codmac else None


def _level(facts: Mapping[str, Any], named: re.Match[str] | None, unit: str) -> str:
    return _said_level(facts, named) or {"DN": "1A", "I/F": "1C"}.get(unit, "1B")


def _unit(
    facts: Mapping[str, Any], named: re.Match[str] | None, is_float: bool
) -> tuple[str, float, str | None]:
    """Unit of the pixels, the factor to it, and a remark where the label leaves it open."""
    said = re.sub(r"[\s_]", "", str(facts.get("UNIT") or "")).upper()
    radiance = "W m-2 sr-1 nm-1" if (_filter(facts, named) or 1) > 1 else "W m-2 sr-1"
    level = _said_level(facts, named)
    by_level = {"1A": "DN", "1B": radiance, "1C": "I/F"}.get(level or "")
    if re.search(r"I/F|IOF|REFLECTANCE", said):
        return "I/F", 1.0, None
    if re.search(r"W[/*.A-Z]|WATT", said):
        if re.search(r"MICRO|UM", said):
            return "W m-2 sr-1 nm-1", 1e-3, None
        return "W m-2 sr-1 nm-1" if re.search("NM|NANOM", said) else radiance, 1.0, None
    if said in ("DU", "DN", "COUNT", "COUNTS", "ADU"):
        if by_level in (None, "DN") or not is_float:
            return "DN", 1.0, None
        return by_level, 1.0, f"label says {said}, but level {level} holds {by_level}: taken as that"
    if by_level is not None:
        return by_level, 1.0, None
    texts = (facts.get(k) for k in ("PROCESSING_HISTORY_TEXT", "PRODUCT_ID", "DESCRIPTION"))
    if any(re.search(r"(^|[_\W])(IOF|I/F)([_\W]|$)", str(text or "").upper()) for text in texts):
        return "I/F", 1.0, None
    return "DN", 1.0, "the label does not say what a pixel value is: taken as counts"


def _target(facts: Mapping[str, Any]) -> str | None:
    said = facts.get("TARGET_NAME")
    if isinstance(said, list):
        said = said[0]
    if said is not None:
        name = re.sub(r"^\(?\d+\)?\s+", "", str(said).strip().upper())
        return escaped(name)[:60] or None
    dataset = f"{facts.get('DATA_SET_ID')} {facts.get('DATA_SET_NAME')}".upper()
    return "CERES" if "CERES" in dataset else None


def _sun_distance(facts: Mapping[str, Any]) -> float | None:
    for key in ("SPACECRAFT_SOLAR_DISTANCE", "SOLAR_DISTANCE"):
        distance = labels.number_in(facts.get(key))
        if distance is not None and 0.5 < distance / ceres.AU_KM < 6.0:
            return distance
    vector = facts.get("SC_SUN_POSITION_VECTOR")
    if isinstance(vector, list) and len(vector) == 3:
        parts = [labels.number_in(v) for v in vector]
        if all(p is not None for p in parts):
            distance = float(np.linalg.norm(np.array(parts, float)))
            return distance if 0.5 < distance / ceres.AU_KM < 6.0 else None
    return None


def named_time(named: re.Match[str] | None) -> datetime | None:
    """Start of the exposure in a Framing Camera file name, cut to whole seconds."""
    if named is None:
        return None
    year, day, hour, minute, second = (int(named.group(i)) for i in range(4, 9))
    return parse_time(f"20{year:02d}-{day:03d}T{hour:02d}:{minute:02d}:{second:02d}")


def parse_time(text: object) -> datetime | None:
    """UTC of a label, naive: ``2015-170T16:15:46.345`` (day of year) or ``2015-06-19T16:15:46Z``.

    Returns None for anything that is no time of day of a real date.
    """
    found = re.match(
        r"\s*(\d{4})-(?:(\d{3})|(\d{2})-(\d{2}))T(\d{2}):(\d{2})(?::(\d{2}(?:\.\d{1,9})?))?Z?\s*\Z",
        str(text or ""),
    )
    if found is None:
        return None
    year, doy, month, day, hour, minute, second = found.groups()
    try:
        date = datetime(int(year), int(month or 1), int(day or 1))
        if doy:
            date += timedelta(days=int(doy) - 1)
            if date.year != int(year) or int(doy) < 1:
                return None
        if int(hour) > 23 or int(minute) > 59 or float(second or 0) >= 61:
            return None
        return date + timedelta(hours=int(hour), minutes=int(minute), seconds=float(second or 0))
    except (ValueError, OverflowError):
        return None
