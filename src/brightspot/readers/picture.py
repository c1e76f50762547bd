"""Press pictures to frames: PNG, JPEG, TIFF, GIF, WebP and BMP, one frame per picture of an animation.

Pixel values are a display stretch, not light: the unit is ``"display"``, the values are those of the
file. Colour becomes luminance with the weights of Rec. ITU-R BT.709-6 (item 3.2). Pillow decodes;
tifffile takes over for uncompressed TIFF of kinds that Pillow does not know or would reduce to 8 bits.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from brightspot.errors import ReadError
from brightspot.frame import ABSURD, Frame
from brightspot.readers.dawn import named_facts, named_time
from brightspot.readers.guards import (
    MAX_PICTURE_BYTES,
    MAX_PICTURE_PIXELS,
    MAX_PIXELS_PER_BYTE,
    Whole,
    check_bytes,
    check_content,
    check_shape,
    file_size,
    plateau,
    quiet,
    quiet_libtiff,
)

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Weights of red, green and blue in luminance (Rec. ITU-R BT.709-6)."""

MAX_PICTURES = 10_000
"""Most pictures of one animation."""

MAX_SCANS = 200
"""Most scans of one JPEG; progressive ones have about ten, and each takes the time of a whole picture."""

JPEG_SKIRT = 5.0
"""How far below 255 a JPEG's compression leaves the pixels of a clipped surface (seen on FC pictures)."""

BODIES = (
    *("CERES", "VESTA", "MERCURY", "VENUS", "EARTH", "MOON", "MARS", "PHOBOS", "DEIMOS", "JUPITER", "SATURN"),
    *("PLUTO", "CHARON", "EROS", "BENNU", "RYUGU", "ITOKAWA", "PALLAS", "HYGIEA", "LUTETIA"),
)
"""Bodies that are recognised as a word of a file name."""

_FORMATS = ("PNG", "JPEG", "TIFF", "GIF", "WEBP", "BMP")
_TURNS: dict[Any, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}
"""What undoes each value of the TIFF tag Orientation (TIFF 6.0, page 36)."""
_DAMAGED = (OSError, EOFError, SyntaxError, IndexError, TypeError, ValueError, struct.error)
_ANIMATED = ("GIF", "PNG", "WEBP", "TIFF")


class Picture(NamedTuple):
    """One decoded picture.

    Attributes
    ----------
    values : numpy.ndarray
        (rows, columns) float32 luminance in the file's own numbers.
    mask : numpy.ndarray
        (rows, columns) bool, True where transparent, "no data" or not a number.
    ceiling : float or None
        From where on a value is clipped; None for floating point.
    skirt : float
        How far below the ceiling clipped pixels may lie.
    """

    values: np.ndarray
    mask: np.ndarray
    ceiling: float | None
    skirt: float = 0.0


def read(path: Path, name: str) -> Iterator[Frame]:
    """Frames of a picture file, one after the other.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Name of the frame; pictures of an animation get ``#000``, ``#001``, ... behind it.

    Yields
    ------
    Frame
        Unit ``"display"``.

    Raises
    ------
    ReadError
        If the file is no picture, is cut off, is larger than its kind may be, or shows nothing. Of an
        animation the good pictures come first, then the error that names the others.
    """
    file_size(path)
    facts = name_facts(path.name)
    empty = []
    for number, count, picture in _pictures(path):
        image = np.where(picture.mask, np.float32(0), picture.values)
        saturated = np.zeros(image.shape, bool)
        if picture.ceiling is not None:
            saturated = plateau(image, ~picture.mask, picture.ceiling, picture.skirt)
        try:
            check_content(image, picture.mask, saturated)
        except ReadError:
            if count == 1:
                raise
            empty.append(f"#{number:03d}")
            continue
        full_name = name if count == 1 else f"{name}#{number:03d}"
        yield Frame(full_name, path, image, picture.mask, saturated, unit="display", **facts)
    if empty:
        several = f"{', '.join(empty[:5])}{', ...' if len(empty) > 5 else ''}"
        raise ReadError(f"has pictures that show nothing ({several}); the others were read")


def name_facts(file_name: str) -> dict[str, Any]:
    """What a picture's file name says: camera, filter, level, time, body, as arguments of `Frame`."""
    facts: dict[str, Any] = {}
    named = named_facts(file_name)
    if named:
        facts = {
            "camera": f"FC{named.group(1)}",
            "level": named.group(2),
            "filter_number": int(named.group(9)),
            "start_time": named_time(named),
        }
    bodies = [word for word in re.split(r"[^A-Z]+", file_name.upper()) if word in BODIES]
    if bodies:
        facts["target"] = bodies[0]
    date = re.search(r"(?<!\d)(20\d\d)([-_]?)(\d\d)\2(\d\d)(?!\d)", file_name)
    if date and not named:
        try:
            facts["start_time"] = datetime(int(date.group(1)), int(date.group(3)), int(date.group(4)))
        except ValueError:
            return facts
        facts["notes"] = ("date taken from the file name, time of day unknown",)
    return facts


def _pictures(path: Path) -> Iterator[tuple[int, int, Picture]]:
    """Number, count and content of each picture; decoded one at a time."""
    n_bytes = file_size(path)
    if n_bytes > MAX_PICTURE_BYTES:
        raise ReadError(f"has {n_bytes} bytes; pictures of at most {MAX_PICTURE_BYTES} are read, reduce it")
    with Whole(path) as file:
        image = _opened(file, path)
        if image is None:
            yield 0, 1, _tiff(path)
            return
        with image:
            _check_size(image, n_bytes)
            if image.format == "TIFF" and _is_for_tifffile(image):
                yield 0, 1, _tiff(path)
                return
            yield from _decoded_pictures(image, path, n_bytes)


def _opened(file: Whole, path: Path) -> Any:
    """What Pillow makes of a file; None for a TIFF that it does not know."""
    from PIL import Image, UnidentifiedImageError

    try:
        # Pillow warns of large pictures and of odd metadata; size is checked here, before decoding.
        with quiet():
            return Image.open(file, formats=_FORMATS)
    except UnidentifiedImageError as error:
        if path.suffix.lower() in (".tif", ".tiff"):
            return None
        raise ReadError(
            "is not a picture of a known kind (PNG, JPEG, TIFF, GIF, WebP, BMP); fetch it again"
        ) from error
    except Image.DecompressionBombError as error:
        raise ReadError("claims more pixels than are read; crop or reduce it") from error
    except _DAMAGED as error:
        raise ReadError(f"is cut off or damaged ({error}); fetch it again") from error


def _decoded_pictures(image: Any, path: Path, n_bytes: int) -> Iterator[tuple[int, int, Picture]]:
    """Number, count and content of each picture of an open file."""
    if image.format in ("JPEG", "MPO"):
        _check_scans(path)
    try:
        count = _count(image)
    except _DAMAGED as error:
        raise ReadError(f"is cut off or damaged ({error}); fetch it again") from error
    _check_size(image, n_bytes, count)
    shape = image.size
    for number in range(count):
        try:
            with quiet(), quiet_libtiff() if image.format == "TIFF" else nullcontext():
                image.seek(number)
                _check_size(image, n_bytes)  # pictures of a GIF may enlarge its canvas
                if image.size != shape:
                    continue  # a thumbnail or an overview of the first page
                picture = _decoded(image)
        except _DAMAGED as error:
            place = f" at picture #{number:03d}" if count > 1 else ""
            raise ReadError(f"is cut off or damaged{place} ({error}); fetch it again") from error
        yield number, count, picture


def _check_size(image: Any, n_bytes: int, count: int = 1) -> None:
    """Refuse what would not be decoded in reasonable memory and time, before it is."""
    check_shape(image.height, image.width, MAX_PICTURE_PIXELS)
    if count * image.height * image.width > MAX_PIXELS_PER_BYTE * n_bytes:
        times = f"{count} times " if count > 1 else ""
        raise ReadError(
            f"claims {times}{image.width} x {image.height} pixels in {n_bytes} bytes; fetch it again"
        )


def _check_scans(path: Path) -> None:
    """Refuse a JPEG whose few bytes are decoded over and over."""
    scans, tail = 0, b""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            # 0xFF is followed by 0 inside coded data, so this pair begins a scan.
            scans += (tail + block).count(b"\xff\xda")
            tail = block[-1:]
            if scans > MAX_SCANS:
                raise ReadError(f"is a JPEG of more than {MAX_SCANS} scans; save it again as a plain one")


def _count(image: Any) -> int:
    """Number of pictures in a file."""
    if image.format not in _ANIMATED:
        return 1
    with quiet(), quiet_libtiff():
        count = int(getattr(image, "n_frames", 1))
    if count > MAX_PICTURES:
        raise ReadError(f"has {count} pictures; at most {MAX_PICTURES} are read, split it")
    return count


def _is_for_tifffile(image: Any) -> bool:
    """Whether Pillow would spoil a TIFF: cut its colours to 8 bits, or scramble lines stored sideways."""
    bits, compression, orientation = (image.tag_v2.get(tag) for tag in (258, 259, 274))
    deep = image.mode in ("RGB", "RGBA", "RGBX") and max(bits or (8,)) > 8
    return deep or (compression in (None, 1) and orientation in range(2, 9))


def _decoded(image: Any) -> Picture:
    """Luminance, mask and ceiling of the picture a Pillow image stands at."""
    from PIL import ImageOps

    image.load()
    nodata = None
    if image.format == "TIFF":
        nodata = _number(image.tag_v2.get(42113))  # GDAL_NODATA
    else:
        # Pillow turns TIFF itself while loading.
        orientation = image.getexif().get(0x0112, 1)
        if orientation in range(2, 9):
            image = _with_format(ImageOps.exif_transpose(image), image.format)
    ceiling: float | None = 255.0
    skirt = JPEG_SKIRT if image.format in ("JPEG", "MPO") else 0.0
    key = image.info.get("transparency")
    mode = image.mode
    if mode in ("P", "PA"):
        image = image.convert("RGBA" if key is not None or mode == "PA" else "RGB")
    elif mode == "1":
        image = image.convert("L")
    elif mode not in ("L", "LA", "RGB", "RGBA", "F", "I") and not mode.startswith("I;16"):
        image = image.convert("RGB")
    values = np.asarray(image)
    alpha = None
    if image.mode in ("LA", "RGBA"):
        values, alpha = values[..., :-1], values[..., -1]
    elif isinstance(key, int) and values.ndim == 2:
        alpha = values != key
    if values.dtype.kind == "f":
        ceiling = None
    elif values.dtype.itemsize > 1:
        ceiling = 65535.0
    return _picture(values, alpha, ceiling, nodata)._replace(skirt=skirt)


def _with_format(image: Any, kind: str) -> Any:
    image.format = kind
    return image


def _tiff(path: Path) -> Picture:
    """First page of an uncompressed TIFF."""
    import tifffile

    try:
        with quiet(), Whole(path) as file, tifffile.TiffFile(file) as opened:
            page: Any = opened.pages[0]
            if not (isinstance(page.imagelength, int) and isinstance(page.imagewidth, int)):
                raise ReadError("is a TIFF with several lengths or widths of one picture; fetch it again")
            check_shape(page.imagelength, page.imagewidth, MAX_PICTURE_PIXELS)
            # A compressed strip may unpack to a thousand times its size; Pillow's decoders are bounded,
            # tifffile's are not.
            if page.compression != 1 or page.dtype is None or page.samplesperpixel > 4:
                raise ReadError("is a TIFF of a kind that is not read; save it uncompressed or as PNG")
            if page.dtype.kind not in "biuf":
                raise ReadError(f"has samples of type {page.dtype}; save their magnitude as plain numbers")
            line_bytes = page.imagewidth * page.samplesperpixel * page.dtype.itemsize
            start = min(page.dataoffsets, default=0)
            check_bytes(file_size(path), start, page.imagelength * line_bytes, line_bytes)
            values = page.asarray()
            nodata, orientation = (getattr(page.tags.get(tag), "value", None) for tag in (42113, 274))
    except (tifffile.TiffFileError, RuntimeError, *_DAMAGED) as error:
        raise ReadError(f"is not a TIFF picture or damaged ({error}); fetch it again") from error
    if values.ndim == 3 and page.planarconfig == 2:
        values = np.moveaxis(values, 0, -1)
    alpha = None
    if values.ndim == 3 and values.shape[-1] in (2, 4):
        values, alpha = values[..., :-1], values[..., -1]
    turn = _TURNS.get(orientation)
    if turn is not None:
        values, alpha = turn(values), None if alpha is None else turn(alpha)
    limits = {"u1": 255.0, "u2": 65535.0}
    return _picture(values, alpha, limits.get(values.dtype.str[1:]), _number(nodata))


def _number(text: Any) -> float | None:
    try:
        return float(str(text).strip().strip("\x00"))
    except ValueError:
        return None


def _picture(
    values: np.ndarray, alpha: np.ndarray | None, ceiling: float | None, nodata: float | None
) -> Picture:
    """Luminance and mask of decoded samples."""
    with np.errstate(all="ignore"):
        if values.ndim == 3:
            values = (
                values[..., 0] if values.shape[-1] == 1 else values[..., :3].astype(np.float32) @ LUMINANCE
            )
        light = values.astype(np.float32)
        mask = ~(np.abs(light) < ABSURD)
        if alpha is not None:
            mask |= alpha == 0
        if nodata is not None and np.isfinite(nodata):
            mask |= values == nodata
    # Half a code below the ceiling: the luminance of white is not exactly white.
    return Picture(light, mask, None if ceiling is None else ceiling - 0.5)
