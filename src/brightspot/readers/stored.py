"""Pixels of archive products as they are stored, and how to make light of them.

pdr parses the labels of PDS3, astropy reads FITS. Every size that a label claims is held against the file
before a byte of pixels is read, so no label can ask for memory that its file does not fill.

Sources: PDS Standards Reference 3.8; PDS4 information model (data types of Array_2D_Image); ISIS
``SpecialPixel.h`` (special values of 32-bit pixels); VICAR file format (JPL).
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from brightspot.errors import ReadError
from brightspot.frame import ABSURD
from brightspot.readers import labels
from brightspot.readers.guards import Whole, check_bytes, check_shape, escaped, file_size, quiet

ISIS_LOWEST_VALID = -3.4028226e38
"""32-bit pixels below this are special in ISIS: NULL, low and high saturation."""

ISIS_HIGH_SATURATION = -3.4028231e38
"""32-bit pixels below this are saturated in ISIS (HIS, HRS)."""

HEADER_LIMIT = 400 * 2880
"""Longest FITS header that is read, in bytes: 14,400 cards."""

MAX_HDUS = 64
"""Most parts of a FITS file that are searched for an image."""

_END = b"END".ljust(80)
_SAMPLE_KINDS = {
    "UNSIGNED_INTEGER": "u", "INTEGER": "i", "BIT_STRING": "u", "REAL": "f", "FLOAT": "f",
}  # fmt: skip
_PDS4_TYPES = {
    "UnsignedByte": "u1", "SignedByte": "i1",
    "UnsignedLSB2": "<u2", "UnsignedMSB2": ">u2", "SignedLSB2": "<i2", "SignedMSB2": ">i2",
    "UnsignedLSB4": "<u4", "UnsignedMSB4": ">u4", "SignedLSB4": "<i4", "SignedMSB4": ">i4",
    "IEEE754LSBSingle": "<f4", "IEEE754MSBSingle": ">f4",
    "IEEE754LSBDouble": "<f8", "IEEE754MSBDouble": ">f8",
}  # fmt: skip
_MISSING_KEYS = re.compile(
    r"(\w+_)?(MISSING|NULL|INVALID|UNKNOWN|NOT_APPLICABLE|INFINITY|ERROR)(_CONSTANT)?"
    r"|\w*LOW\w*SATURATION|GDAL_NODATA",
    re.IGNORECASE,
)
_SATURATED_KEYS = re.compile(
    r"(\w*HIGH\w*SATURATION)|SATURATED_CONSTANT|PIXEL_SATURATION_VALUE", re.IGNORECASE
)


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


def load(path: Path, data_path: Path) -> Stored:
    """Pixels and facts of an archive product, by what its first bytes say it is.

    Raises
    ------
    ReadError
        If there is no label, it contradicts the file, or the file is cut off.
    """
    kind = labels.kind_of(labels.head(path, 65536))
    if kind == "pds3":
        return _read_pds3(path, data_path)
    if kind == "fits":
        return _read_fits(data_path)
    if kind == "pds4":
        return _read_pds4(path, data_path)
    if kind == "vicar":
        return _read_vicar(data_path)
    if kind == "isis":
        raise ReadError(_isis_problem(path))
    if kind == "text":
        raise ReadError("is text without a PDS label, not an image; fetch it again")
    raise ReadError("has no label, neither inside nor next to it; put its .LBL or .xml into the same folder")


def is_dawn(facts: Mapping[str, Any]) -> bool:
    """Whether a label is of a Framing Camera; INSTRUMENT_ID outranks the name of the data set."""
    host = " ".join(
        str(facts.get(k) or "") for k in ("INSTRUMENT_HOST_ID", "INSTRUMENT_HOST_NAME", "DATA_SET_ID")
    )
    instrument = str(facts.get("INSTRUMENT_ID") or "").upper().replace(" ", "")
    return instrument in ("FC1", "FC2") and ("DAWN" in host.upper() or not host.strip())


def _read_pds3(path: Path, data_path: Path) -> Stored:
    nested, text = labels.read_pds3(path)
    found = labels.pointers(text)
    objects = {
        key: block
        for key, block in nested.items()
        if labels.is_image_name(key) and isinstance(block, Mapping) and "LINES" in block
    }
    if not objects:
        if not labels.is_ended(text):
            raise ReadError(labels.CUT_OFF)
        raise ReadError("has a label that describes no IMAGE object; give the label of an image")
    sizes = {
        key: labels.whole(block, "LINES") * labels.whole(block, "LINE_SAMPLES")
        for key, block in objects.items()
    }
    chosen = max(objects, key=lambda key: (sizes[key], key == "IMAGE"))
    block = objects[chosen]
    facts = labels.flat_pds3(nested, block, text)
    rows, columns = labels.whole(block, "LINES"), labels.whole(block, "LINE_SAMPLES")
    missing, saturated = _constants(block, _MISSING_KEYS), _constants(block, _SATURATED_KEYS)
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
        stored = stored._replace(
            facts={**stored.facts, **facts}, missing=stored.missing + missing, saturated=saturated
        )
    else:
        pixels = _pds3_pixels(nested, block, found.get(chosen, ""), data_path)
        stored = Stored(pixels, facts, missing=missing, saturated=saturated)
    return stored._replace(
        scale=stored.scale * (labels.number_in(labels.plain(block.get("SCALING_FACTOR"))) or 1.0),
        shift=stored.shift + (labels.number_in(labels.plain(block.get("OFFSET"))) or 0.0),
        default_up=is_dawn(facts) and "MAP_PROJECTION_TYPE" not in facts,
    )


def _pds3_pixels(
    nested: Mapping[str, Any], block: Mapping[str, Any], pointer: str, data_path: Path
) -> np.ndarray:
    """Pixels of an image object, after its label has been held against the size of the file."""
    rows, columns = labels.whole(block, "LINES"), labels.whole(block, "LINE_SAMPLES")
    dtype = _pds3_dtype(block)
    if labels.whole(block, "BANDS", 1) != 1:
        raise ReadError(f"has {labels.whole(block, 'BANDS')} bands; give one band per file")
    if str(block.get("ENCODING_TYPE", "N/A")).upper() not in ("N/A", "NONE", "") or any(
        re.search(r"_(PREFIX|SUFFIX)_ITEM_BYTES|^SUFFIX_ITEMS", key) for key in block
    ):
        raise ReadError("is compressed or has side planes, which are not read; convert it to a plain image")
    before, after = (labels.whole(block, f"LINE_{side}_BYTES", 0) for side in ("PREFIX", "SUFFIX"))
    if min(rows, columns, before, after) < 0:
        raise ReadError("has a label with negative sizes; fetch it again")
    line = before + columns * dtype.itemsize + after
    size = file_size(data_path)
    offset = _offset(pointer, nested, size, rows * line)
    return _block(data_path, size, offset, (rows, columns), dtype, before, after)


def _pds3_dtype(block: Mapping[str, Any]) -> np.dtype:
    """Data type of an image object's samples."""
    bits = labels.whole(block, "SAMPLE_BITS")
    name = str(block.get("SAMPLE_TYPE", "")).upper().replace(" ", "_")
    kind = next((kind for end, kind in _SAMPLE_KINDS.items() if name.endswith(end)), "")
    sizes = {"u": (8, 16, 32), "i": (8, 16, 32), "f": (32, 64)}
    if bits not in sizes.get(kind, ()) or name in ("VAX_REAL", "IBM_REAL", "ASCII_REAL", "ASCII_INTEGER"):
        raise ReadError(
            f"has {bits}-bit samples of type {escaped(name)[:40]!r}, which are not read; convert it"
        )
    return np.dtype(f"{'<' if name.startswith(('LSB', 'PC', 'VAX')) else '>'}{kind}{bits // 8}")


def _block(
    path: Path,
    size: int,
    offset: int,
    shape: tuple[int, int],
    dtype: np.dtype,
    before: int = 0,
    after: int = 0,
) -> np.ndarray:
    """Pixels of a file from an offset on, each line between ``before`` and ``after`` other bytes."""
    rows, columns = shape
    line = before + columns * dtype.itemsize + after
    if rows > 0 and columns > 0:
        check_bytes(size, offset, rows * line, line)
    check_shape(rows, columns)
    if not before and not after:
        return np.fromfile(path, dtype, rows * columns, offset=offset).reshape(shape)
    raw = np.fromfile(path, "u1", rows * line, offset=offset).reshape(rows, line)
    return np.ascontiguousarray(raw[:, before : line - after]).view(dtype)


def _offset(pointer: str, nested: Mapping[str, Any], size: int, needed: int) -> int:
    """First byte of an object from its pointer: a record, a byte, or the file's beginning."""
    close = re.sub(r"\s+", "", pointer)
    number = re.search(r"(?:^|,)\(?(\d{1,15})(<BYTES?>)?\)?$", close, re.IGNORECASE)
    if number is None:
        if not pointer and size != needed:
            raise ReadError("has a label without a pointer to its pixels; fetch it again")
        return 0
    if number.group(2) or int(number.group(1)) <= 1:
        return max(int(number.group(1)) - 1, 0)
    record = labels.whole(nested, "RECORD_BYTES")
    if record <= 0:
        raise ReadError(f"has a label with records of {record} bytes; fetch it again")
    return (int(number.group(1)) - 1) * record


def _constants(block: Mapping[str, Any], keys: re.Pattern[str]) -> tuple[float, ...]:
    """Special values of an image object; ``16#FF7FFFFB#`` is the bit pattern of a 32-bit float."""
    values = []
    for key, value in block.items():
        number = labels.number_in(labels.plain(value)) if _is(keys, key) else None
        if number is None:
            continue
        is_float = "REAL" in str(block.get("SAMPLE_TYPE", "")) or "FLOAT" in str(block.get("SAMPLE_TYPE", ""))
        if is_float and isinstance(value, int) and 2**31 <= value < 2**32:
            number = float(np.uint32(value).view(np.float32))
        values.append(number)
    return tuple(values)


def _is(keys: re.Pattern[str], key: str) -> bool:
    return len(key) <= labels.MAX_KEY and keys.fullmatch(key) is not None


@contextmanager
def _fits_open(path: Path) -> Iterator[Any]:
    """Parts of a FITS file; what astropy finds wrong with them, also later, is refused in one line."""
    from astropy.io import fits

    try:
        # Opened here: astropy leaves a file open that it refuses.
        with (
            Whole(path) as file,
            fits.open(
                file, memmap=False, do_not_scale_image_data=True, disable_image_compression=True
            ) as hdus,
        ):
            yield hdus
    except (OSError, KeyError, fits.VerifyError) as error:
        # The system's word for a place beyond what a file can have.
        what = "claims more than a file holds" if getattr(error, "errno", 0) == errno.EINVAL else error
        raise ReadError(f"has a FITS header that cannot be read ({what}); fetch it again") from error


def _check_header(path: Path, offset: int) -> None:
    """Hold a header against the standard before astropy, which reads on until it meets an END, sees it.

    Only asked of what astropy has to pass on its way to an image: what follows the image is left alone.

    Raises
    ------
    ReadError
        If it has no END within `HEADER_LIMIT`, or claims more axes or fields than FITS allows.
    """
    with path.open("rb") as file:
        file.seek(offset)
        start = file.read(HEADER_LIMIT)
    if offset and not start.startswith(b"XTENSION"):
        raise ReadError("is a FITS file without an image before its unreadable part; fetch it again")
    for i in range(0, len(start), 80):
        card = start[i : i + 80]
        if card == _END:
            return
        count = re.match(rb"(NAXIS|TFIELDS) *= *([-+]?\d{1,70})", card)
        if count and not 0 <= int(count.group(2)) <= 999:
            said = count.group(2)[:20].decode()
            raise ReadError(
                f"has a FITS header that claims {count.group(1).decode()} = {said}; fetch it again"
            )
    raise ReadError("has a FITS header without END; fetch it again")


def _read_fits(path: Path) -> Stored:
    """First image of a FITS file, as stored."""
    size = file_size(path)
    _check_header(path, 0)
    with quiet(), _fits_open(path) as hdus:
        for number in range(MAX_HDUS):
            try:
                hdu = hdus[number]
            except IndexError:
                break
            if not hasattr(hdu, "fileinfo"):  # what astropy makes of a header that it cannot place
                raise ReadError("has a FITS header that contradicts itself; fetch it again")
            header, place = hdu.header, hdu.fileinfo()
            if not hdu.is_image or (labels.number_in(header.get("NAXIS")) or 0) < 2:
                if place["datLoc"] + place["datSpan"] < size:
                    _check_header(path, place["datLoc"] + place["datSpan"])
                continue
            axes = [labels.whole(header, f"NAXIS{i + 1}") for i in range(labels.whole(header, "NAXIS"))]
            if any(n != 1 for n in axes[2:]):
                raise ReadError(f"has a FITS cube of {' x '.join(map(str, axes))}; give one image per file")
            item = abs(labels.whole(header, "BITPIX")) // 8
            if axes[0] > 0 and axes[1] > 0:
                check_bytes(size, place["datLoc"], axes[0] * axes[1] * item, axes[0] * item)
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
        raise ReadError(
            f"has samples of type {escaped(array['data_type'])!r}, which are not read; convert it"
        )
    axes = [(name, n) for name, n in array["axes"] if name != "band" or n != 1]
    if len(axes) != 2:
        raise ReadError(f"has {len(axes)} axes; give one band per file")
    if labels.kind_of(labels.head(data_path, 4096)) == "fits":
        stored = _read_fits(data_path)
        facts = {**stored.facts, **{k: v for k, v in facts.items() if v is not None}}
        return stored._replace(facts=facts, notes=notes, default_up=is_dawn(facts))
    if [name for name, _ in axes] == ["sample", "line"]:
        # Array_2D_Image has its lines first; labels that number them second are wrong about the file.
        axes, notes = axes[::-1], (*notes, "label numbers its axes the wrong way round")
    (_, n_slow), (_, n_fast) = axes
    if array["offset"] < 0 or n_slow < 0 or n_fast < 0:
        raise ReadError("has a label with negative sizes; fetch it again")
    pixels = _block(data_path, file_size(data_path), array["offset"], (n_slow, n_fast), np.dtype(code))
    constants = {key: value for key, value in array["constants"].items() if value is not None}
    return Stored(
        pixels,
        facts,
        array["scale"] or 1.0,
        array["shift"] or 0.0,
        tuple(v for k, v in constants.items() if _is(_MISSING_KEYS, k)),
        tuple(v for k, v in constants.items() if _is(_SATURATED_KEYS, k)),
        default_up=is_dawn(facts),
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
        raise ReadError(
            f"has a VICAR label whose sizes contradict each other (RECSIZE={record}); fetch it again"
        )
    offset = labels.whole(facts, "LBLSIZE") + header * record
    pixels = _block(path, file_size(path), offset, (rows, columns), dtype, before=prefix)
    exposure = labels.number_in(facts.get("EXPOSURE_DURATION"))
    facts["EXPOSURE_DURATION"] = None if exposure is None else exposure / 1e3  # written in ms, without unit
    return Stored(pixels, facts)


def _isis_problem(path: Path) -> str:
    """Why an ISIS cube is not a frame: cut off, or of a format that is not read."""
    text = labels.head(path).decode("latin-1")
    values = dict(
        re.findall(r"^\s*(StartByte|Samples|Lines|Bands|Type)\s*=\s*(\w+)", text[:4096], re.MULTILINE)
    )
    item = {"Real": 4, "SignedWord": 2, "UnsignedWord": 2, "UnsignedByte": 1}.get(values.get("Type", ""), 0)
    try:
        start, samples = int(values["StartByte"]) - 1, int(values["Samples"])
        needed = samples * int(values["Lines"]) * int(values["Bands"]) * item
        check_bytes(file_size(path), start, needed, samples * item)
    except (KeyError, ValueError):
        return "has an ISIS label that cannot be used; export the cube to FITS or PDS3"
    except ReadError as error:
        return str(error)
    if start < text.find("\nEnd"):  # the first byte of its pixels would lie inside its label
        return "is cut off: an ISIS label without its pixels; fetch it again"
    return "is an ISIS cube, which is not read; export it to FITS or PDS3 (isis2fits, gdal_translate)"


def light(stored: Stored, factor: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, mask and saturation of stored pixels.

    Masked pixels come out as 0; saturated ones that hold no value of their own as the frame's maximum.
    """
    raw = stored.pixels
    exact = raw.dtype.itemsize < 4 or raw.dtype == np.dtype("f4").newbyteorder(raw.dtype.byteorder)
    image: np.ndarray = raw.astype(np.float32 if exact else np.float64)
    with np.errstate(all="ignore"):
        mask, saturated = _special(raw, image, stored)
        scale, shift = stored.scale * factor, stored.shift * factor
        if (scale, shift) != (1.0, 0.0):
            np.multiply(image, scale, out=image)
            np.add(image, shift, out=image)
        image = image.astype(np.float32, copy=False)
        if not exact or (scale, shift) != (1.0, 0.0):
            mask |= ~np.isfinite(image) & ~saturated
    if mask.any() or saturated.any():
        good = ~(mask | saturated)
        image[mask] = 0
        top = image.max(where=good, initial=0)
        image[saturated & ~(np.abs(image) < ABSURD)] = top
    return image, mask, saturated


def _special(raw: np.ndarray, image: np.ndarray, stored: Stored) -> tuple[np.ndarray, np.ndarray]:
    """Where pixels are missing, and where the label or ISIS' special values call them saturated."""
    mask, saturated = np.zeros(raw.shape, bool), np.zeros(raw.shape, bool)
    single = raw.dtype.kind == "f" and raw.dtype.itemsize == 4
    for value in stored.missing:
        mask |= raw == (np.float32(value) if single else value)
    for value in stored.saturated:
        if raw.dtype.kind == "f" and abs(value) > ABSURD:
            saturated |= raw == (np.float32(value) if single else value)
        else:
            saturated |= raw >= value
    # Smallest and largest tell whether anything is odd at all: NaN makes both comparisons false.
    if raw.dtype.kind == "f" and not (image.min() > -ABSURD and image.max() < ABSURD):
        special = image < ISIS_LOWEST_VALID
        saturated |= special & (image < ISIS_HIGH_SATURATION) & np.isfinite(image)
        mask |= special | ~(np.abs(image) < ABSURD)
    mask &= ~saturated
    return mask, saturated


def turned(array: np.ndarray, facts: Mapping[str, Any], default_up: bool) -> np.ndarray:
    """An array with its first row at the top and its first column on the left."""
    up, left, transposed = directions(facts, default_up)
    if transposed:
        array = array.T
    if up:
        array = array[::-1]
    if left:
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def directions(facts: Mapping[str, Any], default_up: bool) -> tuple[bool, bool, bool]:
    """Whether rows run up, columns run left, and lines are columns of the display."""
    line = str(facts.get("LINE_DISPLAY_DIRECTION") or "").upper()
    sample = str(facts.get("SAMPLE_DISPLAY_DIRECTION") or "").upper()
    if line in ("LEFT", "RIGHT") and sample in ("UP", "DOWN"):
        return sample == "UP", line == "LEFT", True
    return line == "UP" if line in ("UP", "DOWN") else default_up, sample == "LEFT", False
