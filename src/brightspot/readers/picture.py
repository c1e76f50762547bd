"""Press pictures to frames: PNG, JPEG, TIFF, GIF, WebP and BMP, one frame per picture of an animation.

Pixel values are a display stretch, not light: the unit is ``"display"``, the values are those of the
file. Colour becomes luminance with the weights of Rec. ITU-R BT.709-6 (item 3.2). Pillow decodes;
tifffile takes over for uncompressed TIFF of kinds that Pillow does not know or would reduce to 8 bits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from brightspot.errors import ReadError
from brightspot.frame import Frame
from brightspot.readers.dawn import named_facts, named_time
from brightspot.readers.guards import (
    MAX_PICTURE_PIXELS,
    check_bytes,
    check_content,
    check_shape,
    file_size,
    plateau,
    quiet,
)

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Weights of red, green and blue in luminance (Rec. ITU-R BT.709-6)."""

MAX_PICTURES = 10_000
"""Most pictures of one animation."""

JPEG_CEILING = 250.0
"""Where a clipped surface starts in a JPEG: its compression spreads 255 over the last few values."""

BODIES = frozenset(
    "CERES VESTA MERCURY VENUS EARTH MOON MARS PHOBOS DEIMOS JUPITER IO EUROPA SATURN TITAN ENCELADUS PLUTO "
    "CHARON EROS BENNU RYUGU ITOKAWA PALLAS HYGIEA LUTETIA".split()
)
"""Bodies that are recognised as a word of a file name."""

_FORMATS = ("PNG", "JPEG", "MPO", "TIFF", "GIF", "WEBP", "BMP")
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
    """

    values: np.ndarray
    mask: np.ndarray
    ceiling: float | None


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
            saturated = plateau(image, ~picture.mask, picture.ceiling)
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
    from PIL import Image, UnidentifiedImageError

    try:
        # Pillow warns of large pictures and of odd metadata; size is checked here, before decoding.
        with quiet():
            opened = Image.open(path, formats=_FORMATS)
    except UnidentifiedImageError as error:
        if path.suffix.lower() in (".tif", ".tiff"):
            yield 0, 1, _tiff(path)
            return
        raise ReadError("is not a picture of a known kind (PNG, JPEG, TIFF, GIF, WebP, BMP); fetch it again") from error
    with opened as image:
        check_shape(image.height, image.width, MAX_PICTURE_PIXELS)
        if image.format == "TIFF" and _is_deep_colour(image):
            yield 0, 1, _tiff(path)
            return
        with quiet():
            count = int(getattr(image, "n_frames", 1)) if image.format in _ANIMATED else 1
        if count > MAX_PICTURES:
            raise ReadError(f"has {count} pictures; at most {MAX_PICTURES} are read, split it")
        size = image.size
        for number in range(count):
            with quiet():
                image.seek(number)
                if image.size != size:
                    continue  # a thumbnail or an overview of the first page
                picture = _decoded(image)
            yield number, count, picture


def _is_deep_colour(image: Any) -> bool:
    """Whether Pillow would cut a TIFF's colour samples down to 8 bits."""
    bits = image.tag_v2.get(258, (8,))
    return image.mode in ("RGB", "RGBA", "RGBX") and max(bits) > 8


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
    ceiling: float | None = JPEG_CEILING if image.format in ("JPEG", "MPO") else 255.0
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
    return _picture(values, alpha, ceiling, nodata)


def _with_format(image: Any, kind: str) -> Any:
    image.format = kind
    return image


def _tiff(path: Path) -> Picture:
    """First page of an uncompressed TIFF."""
    import tifffile

    with quiet():
        try:
            opened = tifffile.TiffFile(path)
        except (tifffile.TiffFileError, ValueError) as error:
            raise ReadError("is not a TIFF picture; fetch it again") from error
        with opened as tiff:
            page: Any = tiff.pages[0]
            check_shape(page.imagelength, page.imagewidth, MAX_PICTURE_PIXELS)
            # A compressed strip may unpack to a thousand times its size; Pillow's decoders are bounded,
            # tifffile's are not.
            if page.compression != 1 or page.dtype is None or page.samplesperpixel > 4:
                raise ReadError("is a TIFF of a kind that is not read; save it uncompressed or as PNG")
            needed = page.imagelength * page.imagewidth * page.samplesperpixel * page.dtype.itemsize
            check_bytes(file_size(path), min(page.dataoffsets, default=0), needed, needed // page.imagelength)
            values = page.asarray()
            tag = page.tags.get(42113)  # GDAL_NODATA
            nodata = _number(tag.value) if tag else None
    if values.ndim == 3 and page.planarconfig == 2:
        values = np.moveaxis(values, 0, -1)
    alpha = None
    if values.ndim == 3 and values.shape[-1] in (2, 4):
        values, alpha = values[..., :-1], values[..., -1]
    limits = {"u1": 255.0, "u2": 65535.0}
    return _picture(values, alpha, limits.get(values.dtype.str[1:]), nodata)


def _number(text: Any) -> float | None:
    try:
        return float(str(text).strip().strip("\x00"))
    except ValueError:
        return None


def _picture(values: np.ndarray, alpha: np.ndarray | None, ceiling: float | None, nodata: float | None) -> Picture:
    """Luminance and mask of decoded samples."""
    with np.errstate(all="ignore"):
        if values.ndim == 3:
            values = values[..., 0] if values.shape[-1] == 1 else values[..., :3].astype(np.float32) @ LUMINANCE
        light = values.astype(np.float32)
        mask = ~(np.abs(light) < 1e30)
        if alpha is not None:
            mask |= alpha == 0
        if nodata is not None and np.isfinite(nodata):
            mask |= values == nodata
    # Half a code below the ceiling: the luminance of white is not exactly white.
    return Picture(light, mask, None if ceiling is None else ceiling - 0.5)
