"""What every reader checks before and after it decodes: sizes, emptiness, saturation, silence."""

from __future__ import annotations

import io
import logging
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from brightspot.errors import ReadError

MIN_SIDE = 16
"""A frame with a shorter side holds no surface to compare a spot with."""

MAX_SIDE = 32768
"""Longest side of a frame; a label that asks for more is not believed."""

MAX_PIXELS = 2**28
"""Most pixels of an uncompressed frame: 1 GiB as float32."""

MAX_PICTURE_PIXELS = 2**25
"""Most pixels of a compressed picture, 8192 x 4096: its header may promise what a few bytes cannot hold."""

MAX_PICTURE_BYTES = 2**30
"""Longest file of a compressed picture; some decoders take it into memory as a whole."""

MAX_PIXELS_PER_BYTE = 1000
"""Most pixels of a picture for each byte of its file; deflate, the tightest coder, ends at 1032."""

SATURATED_SHARE = 0.95
"""A frame with a larger share of saturated pixels is refused: nothing is left to compare with."""

PLATEAU_FALL = 0.005
"""Pixels within this fraction of the maximum belong to a plateau."""

PLATEAU_RIM = 0.05
"""Pixels around a plateau that lie within this fraction of the maximum speak for a smooth peak."""

PLATEAU_PIXELS = 4
"""Fewest connected pixels that make a plateau."""


def escaped(text: object) -> str:
    """Text on one line: control characters and undecodable bytes spelled out as escapes."""
    safe = str(text).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in safe)


# What these two log about damaged files is raised as well; without a handler it would go to stderr.
for _library in ("tifffile", "PIL"):
    logging.getLogger(_library).addHandler(logging.NullHandler())


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the chatter of parsing libraries off stderr; what matters is checked or raised."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def quiet_libtiff() -> Iterator[None]:
    """Keep libtiff from writing to the process's stderr, which it does below Python.

    The file descriptor is turned aside for the time of one decoding; other threads are not heard meanwhile.
    """
    try:
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # no stderr to keep clean
        yield
        return
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def file_size(path: Path) -> int:
    """Bytes of a regular, non-empty file.

    Raises
    ------
    ReadError
        If it is empty, a folder, a pipe or a device.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise ReadError("is a folder, not an image; give it by itself to read what is in it")
    if not stat.S_ISREG(status.st_mode):
        raise ReadError("is a pipe or a device, not a file; give a regular file")
    if status.st_size == 0:
        raise ReadError("is empty (0 bytes); fetch it again")
    return status.st_size


class Whole(io.BufferedReader):
    """A file that is never asked for more bytes than it has.

    Python sets aside what a read asks for before it looks what there is, and libraries ask for as much as a
    damaged file claims.
    """

    def __init__(self, path: Path) -> None:
        self._n_bytes = file_size(path)
        super().__init__(io.FileIO(path))

    def read(self, size: int | None = -1, /) -> bytes:
        """At most ``size`` bytes."""
        return super().read(size if size is None or size < 0 else min(size, self._n_bytes))


def link_problem(path: Path, data_path: Path) -> str | None:
    """Why a label's data will not be opened: no regular file, or a link out of the label's folder.

    Label and data may be links, as long as both lead into one folder.
    """
    name = escaped(data_path.name)
    try:
        mode = data_path.stat().st_mode
    except OSError as error:
        return f"names {name}, which cannot be opened ({error.strerror}); check where it leads"
    if not stat.S_ISREG(mode):
        return f"names {name}, which is a folder, a pipe or a device; put the data file into its place"
    homes = (path.parent.resolve(), path.resolve().parent)
    if data_path.is_symlink() and data_path.resolve().parent not in homes:
        return f"names {name}, a link that points outside its folder; refused, copy the data next to it"
    return None


def check_shape(rows: int, columns: int, max_pixels: int = MAX_PIXELS) -> None:
    """Refuse a frame that is too small to hold a surface or too large to be true.

    Raises
    ------
    ReadError
        With the size and the limit.
    """
    if rows < MIN_SIDE or columns < MIN_SIDE:
        raise ReadError(f"is {columns} x {rows} pixels; give an image of at least {MIN_SIDE} on each side")
    if rows > MAX_SIDE or columns > MAX_SIDE or rows * columns > max_pixels:
        raise ReadError(
            f"claims {columns} x {rows} pixels; at most {MAX_SIDE} a side and {max_pixels // 2**20} Mi in all"
            " are read, crop or reduce it"
        )


def check_bytes(size: int, offset: int, needed: int, line_bytes: int, what: str = "") -> None:
    """Refuse a file that ends before its pixels do.

    Parameters
    ----------
    size : int
        Bytes the file has.
    offset, needed : int
        Where the pixels start and how many bytes they take.
    line_bytes : int
        Bytes of one line.
    what : str
        Name of the file, where it is not the one the error is about.

    Raises
    ------
    ReadError
        With the missing bytes and lines.
    """
    missing = offset + needed - size
    if missing > 0:
        lines = -(-min(missing, needed) // max(line_bytes, 1))
        raise ReadError(
            f"is cut off: {missing} bytes ({lines} of {needed // max(line_bytes, 1)} lines) are missing"
            f"{' at the end of ' + what if what else ''}; fetch it again"
        )


def extremes(image: np.ndarray, valid: np.ndarray) -> tuple[float, float]:
    """Smallest and largest valid value; a masked reduction only where something is masked, it is slow."""
    if valid.all():
        return float(image.min()), float(image.max())
    return float(image.min(where=valid, initial=np.inf)), float(image.max(where=valid, initial=-np.inf))


def plateau(
    image: np.ndarray, valid: np.ndarray, ceiling: float | None = None, skirt: float = 0.0
) -> np.ndarray:
    """Pixels that sit on a flat top and so are lower limits only.

    With a known ceiling every connected group with `PLATEAU_PIXELS` pixels at or above it counts; the group
    may reach down by ``skirt``, as lossy compression makes it.
    Without one, pixels within `PLATEAU_FALL` of the frame's maximum do, provided that their rim falls
    away steeply: a smooth peak is surrounded by pixels nearly as bright as itself, a clipped one is not.

    Parameters
    ----------
    image : numpy.ndarray
        (rows, columns) float32.
    valid : numpy.ndarray
        (rows, columns) bool, True where a pixel counts.
    ceiling : float, optional
        The value at which the detector or the file format clips.
    skirt : float
        How far below the ceiling a clipped pixel may have come to lie.

    Returns
    -------
    numpy.ndarray
        (rows, columns) bool.
    """
    found = np.zeros(image.shape, bool)
    if not valid.any():
        return found
    top = extremes(image, valid)[1]
    if top <= 0 or (ceiling is not None and top < ceiling):
        return found
    at_top = ceiling if ceiling is not None else top * (1 - PLATEAU_FALL)
    high = valid & (image >= at_top - skirt)
    if np.count_nonzero(high) < PLATEAU_PIXELS:
        return found
    rows, columns = np.flatnonzero(high.any(axis=1)), np.flatnonzero(high.any(axis=0))
    from scipy import ndimage

    box = np.s_[max(rows[0] - 1, 0) : rows[-1] + 2, max(columns[0] - 1, 0) : columns[-1] + 2]
    around = np.ones((3, 3), bool)
    groups, _ = ndimage.label(high[box], around)
    count = np.bincount(groups[image[box] >= at_top], minlength=groups.max() + 1)
    flat = count >= PLATEAU_PIXELS
    flat[0] = False
    if ceiling is None and flat.any():
        rim = (groups == 0) & valid[box] & (image[box] >= top * (1 - PLATEAU_RIM))
        owner = ndimage.maximum_filter(groups, footprint=around)[rim]
        flat &= 2 * np.bincount(owner, minlength=count.size) <= count
    found[box] = flat[groups]
    return found


def check_content(image: np.ndarray, mask: np.ndarray, saturated: np.ndarray) -> None:
    """Refuse a frame that shows nothing.

    Raises
    ------
    ReadError
        If no pixel is valid, all have one value, or nearly all are saturated.
    """
    valid = ~mask
    n_valid = int(np.count_nonzero(valid))
    if n_valid == 0:
        raise ReadError("has no valid pixel: all are missing or not a number; fetch it again")
    low, high = extremes(image, valid)
    if low == high:
        what = "all-zero" if low == 0 else f"all pixels are {low:g}"
        raise ReadError(f"shows nothing ({what}); fetch it again or leave it out")
    if np.count_nonzero(saturated & valid) > SATURATED_SHARE * n_valid:
        raise ReadError("is saturated nearly everywhere; use a shorter exposure")
