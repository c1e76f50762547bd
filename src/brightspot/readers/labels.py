"""What an archive label says, as a flat table of plain values; and where it says its pixels are.

Values follow one rule: a value with a unit comes out in degrees, kilometres or seconds
(``1800.000 <millisecond>`` is 1.8), ``"N/A"``, ``"UNK"``, ``"NULL"`` and ``()`` come out as None,
keys are upper case and lose the prefix ``DAWN:``.

Sources: PDS Standards Reference 3.8 (chapter 12, ODL); PDS4 information model (Array_2D_Image);
VICAR file format (JPL, label items LBLSIZE, RECSIZE, NLB, NBB).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from brightspot.errors import ReadError
from brightspot.readers.guards import escaped, file_size, quiet

LABEL_LIMIT = 256 * 1024
"""Longest label that is read, in bytes; those of the Framing Cameras have about 13,000."""

MAX_POINTERS = 64
"""Most object pointers in a label; a Framing Camera label has six."""

MAX_BRACKETS = 1024
"""Most ``<`` in a label outside XML; each opens a unit, of which a Framing Camera label has about 60."""

MAX_KEY = 80
"""Longest keyword whose meaning is looked at; those of PDS3 end at 30 characters, those of PDS4 at 255."""

CUT_OFF = "is cut off inside its label; fetch it again"
"""Refusal of a label that ends before it comes to an image."""

AU_KM = 149597870.7
"""Astronomical unit in km (IAU 2012 resolution B2)."""

_UNKNOWN = {"", "N/A", "NA", "UNK", "UNKNOWN", "NULL", "NONE", "NOT APPLICABLE", "TBD"}

_FACTORS = {
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres", "m/pixel", "m/pix"), 1e-3),
    **dict.fromkeys(("cm", "centimeter", "centimeters"), 1e-5),
    **dict.fromkeys(("meter per second", "meters per second", "m/s"), 1e-3),
    **dict.fromkeys(("au", "astronomical unit", "astronomical units"), AU_KM),
    **dict.fromkeys(("rad", "radian", "radians"), 180 / math.pi),
    **dict.fromkeys(("ms", "msec", "millisec", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
}
"""Factor to degrees, kilometres, seconds; a unit that is not here keeps its number."""

_POINTER = re.compile(
    r"^[ \t]*\^(\w+)[ \t]*=[ \t\r\n]*"
    r'(\([^()]{0,500}\)|"[^"\n]{0,300}"|[^\s"()/<]{1,200}(?:[ \t]*<\w{1,20}>)?)',
    re.MULTILINE,
)
_END = re.compile(r"\n[ \t]*END[ \t]*(\r|\n|\Z)")
_QUANTITY = re.compile(r"\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*<([^<>]{0,60})>\s*\Z")
_FITS_ALIASES = {
    "INSTRUME": "INSTRUMENT_ID",
    "FILTER": "FILTER_NUMBER",
    "FILTNUM": "FILTER_NUMBER",
    "DATE-OBS": "START_TIME",
    "OBJECT": "TARGET_NAME",
    "TARGET": "TARGET_NAME",
    "TARGNAME": "TARGET_NAME",
    "BUNIT": "UNIT",
}


class Peek(NamedTuple):
    """What a label file is, seen from its first bytes.

    Attributes
    ----------
    kind : str
        ``"pds3"``, ``"pds4"``, ``"isis"``; ``"other"`` for a label of something that is not an image;
        ``"none"`` for a file that is no label.
    names : tuple of str
        Names of the data file as the label gives them, best first.
    problem : str or None
        Why its pixels will not be read.
    """

    kind: str
    names: tuple[str, ...] = ()
    problem: str | None = None


def head(path: Path, n_bytes: int = LABEL_LIMIT) -> bytes:
    """First bytes of a regular, non-empty file."""
    file_size(path)
    with path.open("rb") as file:
        return file.read(n_bytes)


def kind_of(start: bytes) -> str:
    """Kind of a file by its first bytes: pds3, pds4, fits, vicar, isis, text or binary."""
    text = start[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"SIMPLE  ="):
        return "fits"
    if text.startswith(b"LBLSIZE="):
        return "vicar"
    if re.match(rb"Object\s*=\s*IsisCube", text, re.IGNORECASE):
        return "isis"
    if text.startswith(b"<"):
        return "pds4" if re.search(rb"<(\w+:)?Product_Observational", start) else "text"
    if re.search(rb"^[ \t]*(PDS_VERSION_ID|ODL_VERSION_ID|RECORD_TYPE|\^\w+|OBJECT)[ \t]*=", text, re.M):
        return "pds3"
    if start and all(byte in b"\t\n\r\f\x1b" or byte >= 32 for byte in start[:512]):
        return "text"
    return "binary"


def label_text(start: bytes) -> str:
    """The label at the beginning of a file, up to its END statement."""
    text = start.decode("latin-1")
    end = _END.search(text)
    return text[: end.end()] if end else text


def is_ended(text: str) -> bool:
    """Whether a label's text has its END statement."""
    return _END.search(text) is not None


def pointers(text: str) -> dict[str, str]:
    """Object pointers of a PDS3 label, ``{"IMAGE": '("NAME.IMG", 5)', ...}``.

    Raises
    ------
    ReadError
        If there are more than `MAX_POINTERS`, or more than `MAX_BRACKETS` units: no image product has, and
        pdr's time grows with their square.
    """
    # pdr strips every kind of white space before it looks for the ^.
    if sum(line.lstrip().startswith("^") for line in text.split("\n")) > MAX_POINTERS:
        raise ReadError(f"has a label with more than {MAX_POINTERS} pointers; it is not an image product")
    if text.count("<") > MAX_BRACKETS:
        raise ReadError(f"has a label with more than {MAX_BRACKETS} units; it is not an image product")
    return {name.upper(): value for name, value in _POINTER.findall(text)}


def is_image_name(name: str) -> bool:
    """Whether a PDS3 object of this name holds pixels."""
    return re.fullmatch(r"(\w+_)?IMAGE(_\d+)?", name.upper()) is not None


def peek(path: Path) -> Peek:
    """What a label file is and which data file it names."""
    try:
        start = head(path)
    except ReadError as error:
        return Peek("pds3", problem=str(error))
    kind = kind_of(start)
    if kind == "pds4":
        return _peek_pds4(start)
    if kind == "isis":
        return Peek("isis", problem="is an ISIS label; ISIS cubes are not read, export it to PDS3 or FITS")
    if kind != "pds3":
        return Peek("none")
    text = label_text(start)
    try:
        found = pointers(text)
    except ReadError as error:
        return Peek("pds3", problem=str(error))
    images = [name for name in found if is_image_name(name)]
    if not images and not re.search(r"^[ \t]*OBJECT[ \t]*=[ \t]*(\w+_)?IMAGE[ \t]*\r?$", text, re.M | re.I):
        if not is_ended(text):
            return Peek("pds3", problem=CUT_OFF)
        return Peek("other")
    images.sort(key=lambda name: name != "IMAGE")
    names = [pointed for name in images if (pointed := _file_in(found[name]))]
    if not names:
        own = re.search(r'^[ \t]*FILE_NAME[ \t]*=[ \t]*"?([^"\s]{1,200})"?', text, re.MULTILINE)
        names = [own.group(1)] if own else []
    problem = next(
        (f"points outside its folder ({escaped(n)}); refused" for n in names if not _plain(n)), None
    )
    return Peek("pds3", tuple(names), problem)


def _peek_pds4(start: bytes) -> Peek:
    if re.search(rb"<!(DOCTYPE|ENTITY)", start, re.IGNORECASE):
        return Peek("pds4", problem="declares a DTD or entities, which no PDS4 label needs; refused")
    if not re.search(rb"<(\w+:)?Array_(2D|3D)_Image\b", start):
        return Peek("other")
    names = re.findall(rb"<(?:\w+:)?file_name>([^<]{1,300})</", start)[:1]
    plain_names = tuple(name.strip().decode("utf-8", "replace") for name in names)
    if not all(map(_plain, plain_names)):
        return Peek("pds4", plain_names, f"points outside its folder ({escaped(plain_names[0])}); refused")
    return Peek("pds4", plain_names)


def _file_in(value: str) -> str | None:
    quoted = re.search(r'"([^"]*)"', value)
    if quoted:
        return quoted.group(1).strip()
    bare = value.strip("( )").split(",")[0].strip()
    return bare if bare and not re.fullmatch(r"\d+(\s*<\w+>)?", bare) else None


def _plain(name: str) -> bool:
    """Whether a label's file name stays in the label's folder."""
    return bool(name) and not re.search(r"[/\\:\x00-\x1f]", name) and name not in (".", "..")


def plain(value: Any) -> Any:
    """A label's value as str, int, float, list or None, in degrees, kilometres and seconds."""
    if isinstance(value, Mapping):
        number, unit = plain(value.get("value")), str(value.get("units", "")).strip().lower()
        return _in_unit(number, unit) if isinstance(number, int | float) else number
    if isinstance(value, list | tuple):
        items = [plain(item) for item in value]
        return items if any(item is not None for item in items) else None
    if isinstance(value, set | frozenset):
        return plain(sorted(value, key=str))
    if value is None or isinstance(value, bool):
        return None if value is None else int(value)
    if isinstance(value, int):
        return value if abs(value) < 2**63 else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    text = str(value).strip().strip("\"'").strip()
    if text.upper() in _UNKNOWN:
        return None
    quantity = _QUANTITY.match(text)
    if quantity:
        return plain({"value": number_in(quantity.group(1)), "units": quantity.group(2)})
    return text


def _in_unit(number: float, unit: str) -> float:
    factor = _FACTORS.get(unit, 1)
    # Divided by 1000, 86 ms are 0.086 s; times 0.001 they are not quite.
    return number * factor if factor >= 1 else number / round(1 / factor)


def number_in(value: Any) -> float | None:
    """A finite number, also where the label wrote it as text; None otherwise."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, int | float) and -1e308 < value < 1e308:
        return float(value)
    return None


def whole(facts: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """A whole number of a label.

    Raises
    ------
    ReadError
        If it is missing and there is no default, or is no whole number.
    """
    value = facts.get(key)
    if value is None and default is not None:
        return default
    number = number_in(value)
    if number is None or number != int(number) or abs(number) >= 2**53:
        if isinstance(value, int):  # text of a very long number is more than Python gives
            value = "a number beyond 2^53"
        said = "is missing" if value is None else f"= {escaped(value)[:40]} is not a whole number"
        raise ReadError(f"has a label that cannot be used: {key} {said}; fetch it again")
    return int(number)


def key_of(key: str) -> str:
    """Upper-case key without the mission's prefix."""
    return key.upper().rpartition(":")[2].strip()


def flat_pds3(metadata: Mapping[str, Any], block: Mapping[str, Any], raw_text: str) -> dict[str, Any]:
    r"""Every value of a PDS3 label; those of the image object before those of other objects.

    Parameters
    ----------
    metadata : Mapping
        The nested label.
    block : Mapping
        The object of the image that is read.
    raw_text : str
        The label as written: pdr resolves backslashes, which spoils ``lsk\naif0010.tls``.
    """
    flat: dict[str, Any] = {}
    groups = []
    for key, value in metadata.items():
        if isinstance(value, Mapping) and not _is_quantity(value):
            groups.append((key, value))
        elif not key.startswith("^"):
            flat.setdefault(key_of(key), plain(value))
    for key, value in block.items():
        if not isinstance(value, Mapping) or _is_quantity(value):
            flat[key_of(key)] = plain(value)
    for key, group in groups:
        if is_image_name(key) or key.upper() in ("HEADER", "HISTORY"):
            continue
        for inner, value in group.items():
            if not inner.startswith("^") and (not isinstance(value, Mapping) or _is_quantity(value)):
                flat.setdefault(key_of(inner), plain(value))
    kernels = re.search(r"^[ \t]*SPICE_FILE_NAME[ \t]*=\s*(\([^()]{0,20000}\)|\"[^\"]*\")", raw_text, re.M)
    if kernels:
        flat["SPICE_FILE_NAME"] = re.findall(r'"([^"]*)"', kernels.group(1)) or None
    if isinstance(metadata.get("EXPOSURE_DURATION"), int | float):
        # Without a unit the data dictionary's own, the millisecond, is meant.
        flat["EXPOSURE_DURATION"] = plain({"value": metadata["EXPOSURE_DURATION"], "units": "ms"})
    return flat


def _is_quantity(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"value", "units"}


def flat_fits(header: Any) -> dict[str, Any]:
    """Every value of a FITS header, PDS keywords and the usual FITS ones under their PDS names.

    Exposure times are ``EXPOSURE_DURATION`` with a unit, or ``EXPTIME``/``EXPOSURE`` in seconds. Vectors
    are either text, ``'(1.0, 2.0, 3.0)'``, or numbered keywords, ``NAME_1``, ``NAME_2``, ...
    """
    flat: dict[str, Any] = {}
    for card in header.cards:
        key = key_of(str(card.keyword))
        if not key or key in ("COMMENT", "HISTORY", "END"):
            continue
        value: Any = card.value if isinstance(card.value, str | int | float) else str(card.value)
        if isinstance(value, str) and value.strip().startswith("("):
            items = value.strip().strip("()").split(",")
            value = [number if (number := number_in(v)) is not None else v for v in map(plain, items)]
        flat.setdefault(key, plain(value))
        unit = re.match(r"\s*\[([^\]]{1,40})\]", str(card.comment))
        if unit and isinstance(flat[key], int | float) and not isinstance(card.value, str):
            flat[key] = plain({"value": flat[key], "units": unit.group(1)})
    numbered: dict[str, dict[int, Any]] = {}
    for key in list(flat):
        part = re.fullmatch(r"(\w*[A-Z])_?(\d)", key)
        if part and not key.startswith(("NAXIS", "CRVAL", "CRPIX", "CDELT")):
            numbered.setdefault(part.group(1), {})[int(part.group(2))] = flat[key]
    for key, parts in numbered.items():
        if len(parts) > 1 and sorted(parts) in (list(range(len(parts))), list(range(1, len(parts) + 1))):
            flat.setdefault(key, plain([parts[i] for i in sorted(parts)]))
    for fits_key, key in _FITS_ALIASES.items():
        if flat.get(fits_key) is not None:
            flat.setdefault(key, flat[fits_key])
    if flat.get("EXPOSURE_DURATION") is None:
        flat["EXPOSURE_DURATION"] = number_in(flat.get("EXPTIME", flat.get("EXPOSURE")))
    elif not re.search(r"\[|<", str(header.comments["EXPOSURE_DURATION"]) + str(header["EXPOSURE_DURATION"])):
        milliseconds = number_in(flat["EXPOSURE_DURATION"])
        flat["EXPOSURE_DURATION"] = None if milliseconds is None else milliseconds / 1e3
    return flat


def read_pds3(path: Path) -> tuple[Mapping[str, Any], str]:
    """Parse a PDS3 label with pdr's parser.

    Only the text up to END reaches it: left to find the end itself, pdr runs on into the pixels where lines
    end in a bare line feed.

    Returns
    -------
    tuple
        The nested label, and its text as written.

    Raises
    ------
    ReadError
        If the label has no end or cannot be parsed.
    """
    text = label_text(head(path))
    pointers(text)
    if len(text) >= LABEL_LIMIT:
        raise ReadError(f"has a label without END in its first {LABEL_LIMIT // 1024} KiB; fetch it again")
    from pdr.parselabel.pds3 import parse_pvl

    with quiet():
        try:
            nested, _ = parse_pvl(text)
        except Exception as error:
            reason = type(error).__name__
            raise ReadError(f"has a label that cannot be parsed ({reason}); fetch it again") from error
    return nested, text


def read_pds4(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Facts and array description of a PDS4 label.

    pdr opens the data file under the label's name for it only; renamed pairs are common, so the label is
    read here.

    Returns
    -------
    tuple
        Flat facts under their PDS3 names where there is one; and the array: ``offset``, ``data_type``,
        ``axes`` (name, elements, in storage order), ``scale``, ``shift``, ``constants``.

    Raises
    ------
    ReadError
        If it is not well-formed, declares a DTD, or describes no image.
    """
    import xml.etree.ElementTree as ET

    start = head(path, LABEL_LIMIT + 1)
    if len(start) > LABEL_LIMIT:
        raise ReadError(f"has a label of more than {LABEL_LIMIT // 1024} KiB; it is not an image product")
    try:
        text = start.decode("utf-8-sig")
        if re.search("<!(DOCTYPE|ENTITY)", text, re.IGNORECASE):
            raise ReadError("declares a DTD or entities, which no PDS4 label needs; refused")
        root = ET.fromstring(text)
    except (UnicodeDecodeError, ET.ParseError) as error:
        raise ReadError(f"has a label that is not well-formed XML ({error}); fetch it again") from error
    for element in root.iter():
        element.tag = str(element.tag).rpartition("}")[2]
    arrays = [e for tag in ("Array_2D_Image", "Array_3D_Image") for e in root.iter(tag)]
    if not arrays:
        raise ReadError("describes no Array_2D_Image; give the label of an image")
    array = max(arrays, key=lambda e: math.prod(n for _, n in _axes(e)))
    facts = _pds4_facts(root)
    facts["DESCRIPTION"] = plain(array.findtext("description"))
    return facts, {
        "offset": int(number_in(array.findtext("offset") or "0") or 0),
        "data_type": (array.findtext("Element_Array/data_type") or "").strip(),
        "axes": _axes(array),
        "scale": number_in(array.findtext("Element_Array/scaling_factor")),
        "shift": number_in(array.findtext("Element_Array/value_offset")),
        "constants": {e.tag: number_in(e.text) for group in array.iter("Special_Constants") for e in group},
    }


def _axes(array: Any) -> list[tuple[str, int]]:
    axes = []
    for axis in array.iter("Axis_Array"):
        facts = {child.tag: (child.text or "").strip() for child in axis}
        axes.append((whole(facts, "sequence_number"), facts.get("axis_name", ""), whole(facts, "elements")))
    return [(name.lower(), elements) for _, name, elements in sorted(axes)]


def _pds4_facts(root: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for element in root.iter():
        if len(element) == 0 and element.text and element.text.strip():
            value: Any = element.text.strip()
            unit = element.get("unit")
            if unit is not None and number_in(value) is not None:
                value = {"value": number_in(value), "units": unit}
            facts.setdefault(key_of(element.tag), plain(value))
    for component in root.iter("Observing_System_Component"):
        if (component.findtext("type") or "").strip().lower() == "instrument":
            facts["INSTRUMENT_ID"] = plain(component.findtext("name"))
    for target in root.iter("Target_Identification"):
        facts["TARGET_NAME"] = plain(target.findtext("name"))
    for own, key in (("START_DATE_TIME", "START_TIME"), ("LOGICAL_IDENTIFIER", "DATA_SET_ID")):
        if own in facts:
            facts.setdefault(key, facts[own])
    directions = {"top to bottom": "DOWN", "bottom to top": "UP"}
    vertical = str(facts.get("VERTICAL_DISPLAY_DIRECTION", "")).lower()
    facts.setdefault("LINE_DISPLAY_DIRECTION", directions.get(vertical))
    horizontal = str(facts.get("HORIZONTAL_DISPLAY_DIRECTION", "")).lower()
    facts.setdefault("SAMPLE_DISPLAY_DIRECTION", "LEFT" if horizontal == "right to left" else "RIGHT")
    return facts


def read_vicar(path: Path) -> dict[str, Any]:
    """Items of a VICAR label, those of its property groups included; the first of a name counts.

    Raises
    ------
    ReadError
        If the label is longer than the file or than `LABEL_LIMIT`.
    """
    start = head(path)
    size = re.match(rb"\s*LBLSIZE=\s*(\d{1,9})\b", start)
    n_bytes = int(size.group(1)) if size else 0
    if not 0 < n_bytes <= len(start):
        raise ReadError(f"has a VICAR label of {n_bytes} bytes, more than there is; fetch it again")
    facts: dict[str, Any] = {}
    item = re.compile(r"\b(\w{1,80})=('(?:[^']|'')*'|\([^()]*\)|[^\s()'\0]+)")
    for key, value in item.findall(start[:n_bytes].decode("latin-1")):
        if value.startswith("("):
            facts.setdefault(key.upper(), plain([part.strip() for part in value.strip("()").split(",")]))
            continue
        number = None if value.startswith("'") else number_in(value)
        facts.setdefault(key.upper(), plain(value if number is None else number))
    return facts
