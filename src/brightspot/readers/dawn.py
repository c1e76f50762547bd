"""Archive products to frames: PDS3 .IMG and FITS with their labels, plain FITS, PDS4, VICAR.

Every frame leaves with row 0 at the top, columns running to the right, native float32, and the label's
facts. Labels of PDS3 are parsed, and their image objects read, by pdr; FITS files by astropy, on which
pdr rests too.

Sources: Framing Camera labels (keywords, file names, first line 17 and first sample 35 of the active
array); ISIS ``SpecialPixel.h`` (special values of 32-bit pixels); PDS Standards Reference 3.8.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from brightspot import geometry
from brightspot.camera import ACTIVE_FIRST_LINE, ACTIVE_FIRST_SAMPLE, ACTIVE_SHAPE, Camera
from brightspot.errors import GeometryError, ReadError
from brightspot.frame import Frame
from brightspot.readers import labels
from brightspot.readers.guards import (
    check_bytes,
    check_content,
    check_shape,
    escaped,
    file_size,
    plateau,
    quiet,
)

FILE_NAME = re.compile(r"FC([12])(1[ABC])(\d{7})_(\d{2})(\d{3})(\d{2})(\d{2})(\d{2})F([1-8])([A-Z])")
"""File name of a Framing Camera product: camera, level, number, yy, day, hh, mm, ss, filter, version."""

SATURATED_DN = 16383
"""Ceiling of a 14-bit count (unverified: the labels read give 16-bit containers and no ceiling)."""

ISIS_LOWEST_VALID = -3.4028226e38
"""32-bit pixels below this are special in ISIS: NULL, low and high saturation."""

ISIS_HIGH_SATURATION = -3.4028231e38
"""32-bit pixels below this are saturated in ISIS (HIS, HRS)."""

ABSURD = 1e30
"""Magnitude from which a value is one of the Standards' stand-ins (1E32 "unknown") or noise, not light."""

_SAMPLE_KINDS = {
    "UNSIGNED_INTEGER": "u", "INTEGER": "i", "BIT_STRING": "u", "REAL": "f", "FLOAT": "f",
}  # fmt: skip
_PDS4_TYPES = {
    "UnsignedByte": "u1", "SignedByte": "i1",
    "UnsignedLSB2": "<u2", "UnsignedMSB2": ">u2", "SignedLSB2": "<i2", "SignedMSB2": ">i2",
    "UnsignedLSB4": "<u4", "UnsignedMSB4": ">u4", "SignedLSB4": "<i4", "SignedMSB4": ">i4",
    "IEEE754LSBSingle": "<f4", "IEEE754MSBSingle": ">f4", "IEEE754LSBDouble": "<f8", "IEEE754MSBDouble": ">f8",
}  # fmt: skip
_MISSING_KEYS = re.compile(
    r"(\w+_)?(MISSING|NULL|INVALID|UNKNOWN|NOT_APPLICABLE|INFINITY|ERROR|NOT_APPLICABLE)(_CONSTANT)?"
    r"|CORE_NULL|(\w*LOW\w*SATURATION)|GDAL_NODATA",
    re.IGNORECASE,
)
_SATURATED_KEYS = re.compile(r"(\w*HIGH\w*SATURATION)|SATURATED_CONSTANT|PIXEL_SATURATION_VALUE", re.IGNORECASE)


class Stored(NamedTuple):
    """Pixels as stored, and what is needed to make light of them."""

    pixels: np.ndarray
    facts: dict[str, Any]
    scale: float = 1.0
    shift: float = 0.0
    missing: tuple[float, ...] = ()
    saturated: tuple[float, ...] = ()
    default_up: bool = False
    notes: tuple[str, ...] = ()


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
    kind = labels.kind_of(labels.head(path, 65536))
    if kind == "pds3":
        stored = _read_pds3(path, data_path)
    elif kind == "fits":
        stored = _read_fits(data_path)
    elif kind == "pds4":
        stored = _read_pds4(path, data_path)
    elif kind == "vicar":
        stored = _read_vicar(data_path)
    elif kind == "isis":
        raise ReadError(_isis_problem(path))
    elif kind == "text":
        raise ReadError("is text without a PDS label, not an image; fetch it again")
    else:
        raise ReadError("has no label, neither inside nor next to it; put its .LBL or .xml into the same folder")
    return _frame(stored, path, data_path, name)


def _read_pds3(path: Path, data_path: Path) -> Stored:
    data, text = labels.read_pds3(path)
    found = labels.pointers(text)
    objects = {
        key: block
        for key, block in data.metadata.items()
        if labels.is_image_name(key) and isinstance(block, Mapping) and "LINES" in block
    }
    if not objects:
        raise ReadError("has a label that describes no IMAGE object; give the label of an image")
    sizes = {
        key: labels.whole(block, "LINES") * labels.whole(block, "LINE_SAMPLES") for key, block in objects.items()
    }
    chosen = max(objects, key=lambda key: (sizes[key], key == "IMAGE"))
    block = objects[chosen]
    facts = labels.flat_pds3(data.metadata, block, text)
    rows, columns = labels.whole(block, "LINES"), labels.whole(block, "LINE_SAMPLES")
    constants = {"missing": _constants(block, _MISSING_KEYS), "saturated": _constants(block, _SATURATED_KEYS)}
    if labels.kind_of(labels.head(data_path, 4096)) == "fits":
        stored = _read_fits(data_path)
        if stored.pixels.shape != (rows, columns):
            stored_rows, stored_columns = stored.pixels.shape
            raise ReadError(
                f"has a label that disagrees with its data: {columns} x {rows} pixels in the label, "
                f"{stored_columns} x {stored_rows} in {escaped(data_path.name)}; fetch both again"
            )
        if (stored.scale, stored.shift) != (1.0, 0.0):
            block = {}  # the header has scaled already what the label describes
        stored = stored._replace(facts={**stored.facts, **facts}, **constants)
    else:
        pixels = _pds3_pixels(data, chosen, block, found, data_path)
        stored = Stored(pixels, facts, **constants)
    return stored._replace(
        scale=stored.scale * (labels.number_in(labels.plain(block.get("SCALING_FACTOR"))) or 1.0),
        shift=stored.shift + (labels.number_in(labels.plain(block.get("OFFSET"))) or 0.0),
        default_up=_is_dawn(facts) and "MAP_PROJECTION_TYPE" not in facts,
    )


def _pds3_pixels(
    data: Any, chosen: str, block: Mapping[str, Any], found: Mapping[str, str], data_path: Path
) -> np.ndarray:
    """Pixels of an image object, after its label has been held against the size of the file."""
    rows, columns = labels.whole(block, "LINES"), labels.whole(block, "LINE_SAMPLES")
    bits = labels.whole(block, "SAMPLE_BITS")
    sample_type = str(block.get("SAMPLE_TYPE", "")).upper().replace(" ", "_")
    kind = next((k for name, k in _SAMPLE_KINDS.items() if sample_type.endswith(name)), "")
    if (kind, bits) not in {(k, b) for k in "ui" for b in (8, 16, 32)} | {("f", 32), ("f", 64)}:
        raise ReadError(f"has {bits}-bit samples of type {escaped(sample_type)!r}, which are not read; convert it")
    if labels.whole(block, "BANDS", 1) != 1:
        raise ReadError(f"has {labels.whole(block, 'BANDS')} bands; give one band per file")
    if str(block.get("ENCODING_TYPE", "N/A")).upper() not in ("N/A", "NONE", "") or any(
        re.search(r"_(PREFIX|SUFFIX)_ITEM_BYTES|^SUFFIX_ITEMS", key) for key in block
    ):
        raise ReadError("is compressed or has side planes, which are not read; convert it to a plain image")
    extra = labels.whole(block, "LINE_PREFIX_BYTES", 0) + labels.whole(block, "LINE_SUFFIX_BYTES", 0)
    line_bytes = columns * bits // 8 + extra
    if rows < 0 or columns < 0 or extra < 0:
        raise ReadError("has a label with negative sizes; fetch it again")
    size = file_size(data_path)
    offset = _offset(found.get(chosen, ""), data.metadata, size, rows * line_bytes)
    if rows > 0 and columns > 0:
        check_bytes(size, offset, rows * line_bytes, line_bytes)
    check_shape(rows, columns)
    # pdr looks for the file under the label's name for it; discovery has found it already.
    data.file_mapping[chosen] = str(data_path.absolute())
    if chosen not in data.index:
        raise ReadError(f"has a label without a ^{escaped(chosen)} pointer to its pixels; fetch it again")
    with quiet():
        pixels = data[chosen]
    if not isinstance(pixels, np.ndarray) or pixels.shape != (rows, columns):
        raise ReadError("has a label that pdr cannot follow to the pixels; fetch it again")
    return pixels


def _offset(pointer: str, metadata: Mapping[str, Any], size: int, needed: int) -> int:
    """First byte of an object from its pointer: a record, a byte, or the file's beginning."""
    number = re.search(r'(?:^|,)\s*\(?\s*(\d{1,15})\s*(<\s*BYTES?\s*>)?\s*\)?\s*$', pointer, re.IGNORECASE)
    if number is None:
        if not pointer and size != needed:
            raise ReadError("has a label without a pointer to its pixels; fetch it again")
        return 0
    if number.group(2) or int(number.group(1)) <= 1:
        return max(int(number.group(1)) - 1, 0)
    record = labels.whole(metadata, "RECORD_BYTES")
    if record <= 0:
        raise ReadError(f"has a label with records of {record} bytes; fetch it again")
    return (int(number.group(1)) - 1) * record


def _constants(block: Mapping[str, Any], keys: re.Pattern[str]) -> tuple[float, ...]:
    """Special values of an image object; ``16#FF7FFFFB#`` is the bit pattern of a 32-bit float."""
    values = []
    for key, value in block.items():
        number = labels.number_in(labels.plain(value)) if keys.fullmatch(key) else None
        if number is None:
            continue
        is_float = "REAL" in str(block.get("SAMPLE_TYPE", "")) or "FLOAT" in str(block.get("SAMPLE_TYPE", ""))
        if is_float and isinstance(value, int) and 2**31 <= value < 2**32:
            number = float(np.uint32(value).view(np.float32))
        values.append(number)
    return tuple(values)


def _read_fits(path: Path) -> Stored:
    """First image of a FITS file, as stored."""
    size = file_size(path)
    start = labels.head(path, 400 * 2880)
    if not re.search(rb"END {77}", start):
        raise ReadError("has a FITS header without END; fetch it again")
    from astropy.io import fits

    with quiet(), fits.open(path, memmap=False, do_not_scale_image_data=True, disable_image_compression=True) as hdus:
        for number in range(64):
            try:
                hdu = hdus[number]
            except IndexError:
                break
            header = hdu.header
            if not hdu.is_image or header.get("NAXIS", 0) < 2:
                continue
            axes = [labels.whole(header, f"NAXIS{i + 1}") for i in range(labels.whole(header, "NAXIS"))]
            if any(n != 1 for n in axes[2:]):
                raise ReadError(f"has a FITS cube of {' x '.join(map(str, axes))}; give one image per file")
            item = abs(labels.whole(header, "BITPIX")) // 8
            if axes[0] > 0 and axes[1] > 0:
                check_bytes(
                    size, hdu.fileinfo()["datLoc"], axes[0] * axes[1] * item, axes[0] * item
                )
            check_shape(axes[1], axes[0])
            pixels = np.asarray(hdu.data).reshape(axes[1], axes[0])
            facts = labels.flat_fits(header)
            blank = labels.number_in(header.get("BLANK")) if pixels.dtype.kind in "ui" else None
            return Stored(
                pixels,
                facts,
                scale=labels.number_in(header.get("BSCALE", 1.0)) or 1.0,
                shift=labels.number_in(header.get("BZERO", 0.0)) or 0.0,
                missing=_constants(facts, _MISSING_KEYS) + (() if blank is None else (blank,)),
                default_up=True,
            )
    raise ReadError("is a FITS file without an image; if it was packed, run funpack first")


def _read_pds4(path: Path, data_path: Path) -> Stored:
    facts, array = labels.read_pds4(path)
    notes: tuple[str, ...] = ()
    named = facts.get("FILE_NAME")
    if isinstance(named, str) and named.lower() != data_path.name.lower():
        notes = (f"label names {escaped(named)}; read {escaped(data_path.name)} instead",)
    code = _PDS4_TYPES.get(array["data_type"])
    if code is None:
        raise ReadError(f"has samples of type {escaped(array['data_type'])!r}, which are not read; convert it")
    axes = [(name, n) for name, n in array["axes"] if name != "band" or n != 1]
    if len(axes) != 2:
        raise ReadError(f"has {len(axes)} axes; give one band per file")
    if labels.kind_of(labels.head(data_path, 4096)) == "fits":
        stored = _read_fits(data_path)
        facts = {**stored.facts, **{k: v for k, v in facts.items() if v is not None}}
        return stored._replace(facts=facts, notes=notes, default_up=_is_dawn(facts))
    (_, n_slow), (_, n_fast) = axes
    item = np.dtype(code).itemsize
    if array["offset"] < 0 or n_slow < 0 or n_fast < 0:
        raise ReadError("has a label with negative sizes; fetch it again")
    if n_slow and n_fast:
        check_bytes(file_size(data_path), array["offset"], n_slow * n_fast * item, n_fast * item)
    check_shape(n_slow, n_fast)
    pixels = np.fromfile(data_path, code, n_slow * n_fast, offset=array["offset"]).reshape(n_slow, n_fast)
    constants = {key: value for key, value in array["constants"].items() if value is not None}
    return Stored(
        pixels,
        facts,
        array["scale"] or 1.0,
        array["shift"] or 0.0,
        tuple(v for k, v in constants.items() if _MISSING_KEYS.fullmatch(k)),
        tuple(v for k, v in constants.items() if _SATURATED_KEYS.fullmatch(k)),
        default_up=_is_dawn(facts),
        notes=notes,
    )


def _read_vicar(path: Path) -> Stored:
    facts = labels.read_vicar(path)
    rows, columns, bands = (labels.whole(facts, key) for key in ("NL", "NS", "NB"))
    record, header, prefix = (labels.whole(facts, key, 0) for key in ("RECSIZE", "NLB", "NBB"))
    big = facts.get("INTFMT", "LOW") == "HIGH"
    kinds = {"BYTE": "u1", "HALF": "i2", "FULL": "i4", "REAL": "f4", "DOUB": "f8"}
    code = kinds.get(str(facts.get("FORMAT")))
    if code is None or (code[0] == "f" and facts.get("REALFMT") == "VAX"):
        raise ReadError(f"has VICAR samples of format {escaped(facts.get('FORMAT'))!r}; convert it")
    if bands != 1:
        raise ReadError(f"has {bands} bands; give one band per file")
    if code[0] == "f":
        big = facts.get("REALFMT") == "IEEE"
    dtype = np.dtype((">" if big else "<") + code)
    if min(rows, columns, header, prefix) < 0 or record != prefix + columns * dtype.itemsize:
        raise ReadError(f"has a VICAR label whose sizes contradict each other (RECSIZE={record}); fetch it again")
    offset = labels.whole(facts, "LBLSIZE") + header * record
    if rows and columns:
        check_bytes(file_size(path), offset, rows * record, record)
    check_shape(rows, columns)
    raw = np.fromfile(path, "u1", rows * record, offset=offset).reshape(rows, record)
    pixels = np.ascontiguousarray(raw[:, prefix:]).view(dtype)
    exposure = labels.number_in(facts.get("EXPOSURE_DURATION"))
    facts["EXPOSURE_DURATION"] = None if exposure is None else exposure / 1e3  # written in ms, without unit
    return Stored(pixels, facts)


def _isis_problem(path: Path) -> str:
    """Why an ISIS cube is not a frame: cut off, or of a format that is not read."""
    text = labels.head(path).decode("latin-1")
    values = dict(re.findall(r"^\s*(StartByte|Samples|Lines|Bands|Type)\s*=\s*(\w+)", text[:4096], re.MULTILINE))
    item = {"Real": 4, "SignedWord": 2, "UnsignedWord": 2, "UnsignedByte": 1}.get(values.get("Type", ""), 0)
    try:
        count = int(values["Samples"]) * int(values["Lines"]) * int(values["Bands"])
        check_bytes(file_size(path), int(values["StartByte"]) - 1, count * item, int(values["Samples"]) * item)
    except (KeyError, ValueError):
        return "has an ISIS label that cannot be used; export the cube to FITS or PDS3"
    except ReadError as error:
        return str(error)
    return "is an ISIS cube, which is not read; export it to FITS or PDS3 (isis2fits, isis2pds, gdal_translate)"


def _frame(stored: Stored, path: Path, data_path: Path, name: str) -> Frame:
    """Frame of stored pixels: special values, scaling, turning, facts, geometry."""
    facts = stored.facts
    named = _named(path, data_path, facts)
    unit, factor, unit_note = _unit(facts, named)
    image, mask, saturated = _light(stored, factor)
    image, mask, saturated = (_turned(a, facts, stored.default_up) for a in (image, mask, saturated))
    dawn = _is_dawn(facts) or named is not None
    valid = ~mask
    if dawn and unit == "DN":
        saturated |= valid & (image >= SATURATED_DN)
    else:
        saturated |= plateau(image, valid & ~saturated)
    check_content(image, mask, saturated)
    origin, place_note = _origin(facts, image.shape, stored.default_up) if dawn else ((0.0, 0.0), None)
    exposure = labels.number_in(facts.get("EXPOSURE_DURATION"))
    notes = [*stored.notes, *(note for note in (unit_note, place_note) if note)]
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
        start_time=parse_time(facts.get("START_TIME")) or parse_time(facts.get("ALT_START_TIME")) or named_time(named),
        exposure_s=exposure if exposure is not None and exposure > 0 else None,
        target=_target(facts),
        subframe=dawn and image.shape != ACTIVE_SHAPE and min(image.shape) < min(ACTIVE_SHAPE),
        origin_xy=origin,
        sun_distance_km=_sun_distance(facts),
        label=facts,
        notes=tuple(notes),
    )
    return _with_geometry(frame, located=place_note is None)


def _light(stored: Stored, factor: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, mask and saturation of stored pixels; masked pixels are 0, saturated ones without value the maximum."""
    raw = stored.pixels
    with np.errstate(all="ignore"):
        mask = np.zeros(raw.shape, bool)
        for value in stored.missing:
            mask |= raw == (np.float32(value) if raw.dtype.itemsize == 4 and raw.dtype.kind == "f" else value)
        empty = np.zeros(raw.shape, bool)
        for value in stored.saturated:
            if raw.dtype.kind == "f" and abs(value) > ABSURD:
                empty |= raw == np.float32(value)
            else:
                empty |= raw >= value
        scale, shift = stored.scale * factor, stored.shift * factor
        if raw.dtype.itemsize > 4 or (raw.dtype.kind in "ui" and raw.dtype.itemsize == 4):
            image = (raw.astype(np.float64) * scale + shift).astype(np.float32)
        else:
            image = raw.astype(np.float32)
            if raw.dtype.kind == "f":
                special = image < ISIS_LOWEST_VALID
                empty |= special & (image < ISIS_HIGH_SATURATION)
                mask |= special | ~(np.abs(image) < ABSURD)
            if (scale, shift) != (1.0, 0.0):
                image *= np.float32(scale)
                image += np.float32(shift)
        mask |= ~np.isfinite(image)
    mask &= ~empty
    if mask.any() or empty.any():
        good = ~(mask | empty)
        image[mask] = 0
        top = image.max(where=good, initial=-np.inf) if good.any() else 0
        valued = empty & (np.abs(image) < ABSURD)
        image[empty & ~valued] = max(top, 0)
    return np.ascontiguousarray(image), mask, empty


def _turned(array: np.ndarray, facts: Mapping[str, Any], default_up: bool) -> np.ndarray:
    """An array with its first row at the top and its first column on the left."""
    up, left, transposed = _directions(facts, default_up)
    if transposed:
        array = array.T
    if up:
        array = array[::-1]
    if left:
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def _directions(facts: Mapping[str, Any], default_up: bool) -> tuple[bool, bool, bool]:
    """Whether rows run up, columns run left, and lines are columns of the display."""
    line = str(facts.get("LINE_DISPLAY_DIRECTION") or "").upper()
    sample = str(facts.get("SAMPLE_DISPLAY_DIRECTION") or "").upper()
    if line in ("LEFT", "RIGHT") and sample in ("UP", "DOWN"):
        return sample == "UP", line == "LEFT", True
    return line == "UP" if line in ("UP", "DOWN") else default_up, sample == "LEFT", False


def _origin(
    facts: Mapping[str, Any], shape: tuple[int, ...], default_up: bool
) -> tuple[tuple[float, float], str | None]:
    """Detector pixel of the turned frame's (0, 0), and a remark where the label does not settle it.

    FIRST_LINE and FIRST_LINE_SAMPLE count from 1 in stored order over the whole detector, whose active
    part starts at `ACTIVE_FIRST_LINE` and `ACTIVE_FIRST_SAMPLE`.
    """
    up, left, transposed = _directions(facts, default_up)
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
    if frame.target != "CERES" or frame.camera is None or frame.filter_number is None or not located:
        return frame
    if "MAP_PROJECTION_TYPE" in frame.label:
        return replace(frame, notes=(*frame.notes, "map-projected: not a view, no viewing geometry"))
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


def _is_dawn(facts: Mapping[str, Any]) -> bool:
    host = " ".join(str(facts.get(k) or "") for k in ("INSTRUMENT_HOST_ID", "INSTRUMENT_HOST_NAME", "DATA_SET_ID"))
    instrument = str(facts.get("INSTRUMENT_ID") or "").upper().replace(" ", "")
    return instrument in ("FC1", "FC2") and ("DAWN" in host.upper() or not host.strip())


def named_facts(text: object) -> re.Match[str] | None:
    """The facts in a Framing Camera file name, also where something precedes or follows it."""
    return FILE_NAME.search(str(text).upper())


def _named(path: Path, data_path: Path, facts: Mapping[str, Any]) -> re.Match[str] | None:
    candidates = (data_path.name, path.name, facts.get("FILE_NAME"), facts.get("PRODUCT_ID"))
    return next((found for text in candidates if (found := named_facts(text or ""))), None)


def _camera(facts: Mapping[str, Any], named: re.Match[str] | None) -> str | None:
    instrument = str(facts.get("INSTRUMENT_ID") or "").upper().replace(" ", "")
    if instrument in ("FC1", "FC2"):
        return instrument if _is_dawn(facts) else None
    return f"FC{named.group(1)}" if named and not instrument else None


def _filter(facts: Mapping[str, Any], named: re.Match[str] | None) -> int | None:
    digits = re.search(r"[1-8]", str(facts.get("FILTER_NUMBER") or ""))
    if digits:
        return int(digits.group())
    return int(named.group(9)) if named else None


def _level(facts: Mapping[str, Any], named: re.Match[str] | None, unit: str) -> str | None:
    if named:
        return named.group(2)
    codmac = re.search(r"-FC[12]-([2345])-", str(facts.get("DATA_SET_ID") or "").upper())
    by_unit = {"DN": "1A", "I/F": "1C"}.get(unit, "1B")
    return {"2": "1A", "3": "1B", "4": "1C"}.get(codmac.group(1)) if codmac else by_unit


def _unit(facts: Mapping[str, Any], named: re.Match[str] | None) -> tuple[str, float, str | None]:
    """Unit of the pixels, the factor to it, and a remark where the label does not say it."""
    said = re.sub(r"[\s_]", "", str(facts.get("UNIT") or facts.get("DESCRIPTION") or "")).upper()
    spectral = (_filter(facts, named) or 1) > 1
    if re.search(r"I/F|\bIOF\b|INTENSITY/FLUX|REFLECTANCE", said) and facts.get("UNIT"):
        return "I/F", 1.0, None
    if facts.get("UNIT") and re.search(r"W[/*.A-Z]|WATT", said):
        if re.search(r"MICRON|UM|MICROM", said):
            return "W m-2 sr-1 nm-1", 1e-3, None
        return ("W m-2 sr-1 nm-1" if "NM" in said or "NANOM" in said or spectral else "W m-2 sr-1"), 1.0, None
    if said in ("DU", "DN", "COUNT", "COUNTS", "ADU"):
        return "DN", 1.0, None
    dataset = re.search(r"-FC[12]-([2345])-", str(facts.get("DATA_SET_ID") or "").upper())
    level = named.group(2) if named else {"2": "1A", "3": "1B", "4": "1C"}.get(dataset.group(1) if dataset else "")
    if level is not None:
        radiance = "W m-2 sr-1 nm-1" if spectral else "W m-2 sr-1"
        return {"1A": "DN", "1B": radiance, "1C": "I/F"}[level], 1.0, None
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
        if distance is not None and distance > 0:
            return distance
    vector = facts.get("SC_SUN_POSITION_VECTOR")
    if isinstance(vector, list) and len(vector) == 3:
        parts = [labels.number_in(v) for v in vector]
        if all(p is not None for p in parts):
            return float(np.linalg.norm(np.array(parts, float))) or None
    return None


def named_time(named: re.Match[str] | None) -> datetime | None:
    if named is None:
        return None
    year, day, hour, minute, second = (int(named.group(i)) for i in range(4, 9))
    return parse_time(f"20{year:02d}-{day:03d}T{hour:02d}:{minute:02d}:{second:02d}")


def parse_time(text: object) -> datetime | None:
    """UTC of a label, naive: ``2015-170T16:15:46.345`` (day of year) or ``2015-06-19T16:15:46Z``.

    Returns None for anything that is no time of day of a real date.
    """
    found = re.match(
        r"\s*(\d{4})-(?:(\d{3})|(\d{2})-(\d{2}))T(\d{2}):(\d{2})(?::(\d{2}(?:\.\d{1,9})?))?Z?\s*\Z", str(text or "")
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
