"""Tables and records on disk: CSV that spreadsheets may open, JSON that any reader accepts.

A value that is not known is an empty field (CSV) or null (JSON), never 0 and never a magic number.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from brightspot import ceres
from brightspot._version import __version__
from brightspot.catalog import COLUMNS
from brightspot.errors import BrightspotError, GeometryError, UsageError
from brightspot.journal import APPLICATION_ID, FRAME_COLUMNS, JOURNAL, Results, open_results

if TYPE_CHECKING:
    import pandas as pd

    from brightspot.frame import Frame

DETECTION_COLUMNS = tuple(column.name for column in COLUMNS)
"""Header of ``detections.csv``."""

TABLES = ("detections.csv", "frames.csv")
RECORD = "run.json"
REPORT = "report.html"
OVERLAYS = "overlays"

SIGNIFICANT_DIGITS = 8
"""Digits of a number in CSV: more than any measured quantity holds (a longitude to 0.00001 degree)."""

FORMULA_STARTS = ("=", "+", "-", "@")
"""A text field that starts like this would be run as a formula by a spreadsheet."""

_FULL = re.compile(r"disk is full|no space left|not enough space", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place, in one step, when the block ends well."""
    temporary = path.with_name(f".{path.name[:80]}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """What keeps a file from being written, in one line that names it and says what to do.

    Raises
    ------
    BrightspotError
        In place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise unwritten(path, error) from error


def unwritten(path: Path, error: BaseException) -> BrightspotError:
    """The error for a file that a system or library refuses to write."""
    number = getattr(error, "errno", None)
    text = getattr(error, "strerror", None) or " ".join(str(error).split())
    if number in (errno.ENOSPC, errno.EDQUOT) or _FULL.search(text):
        why, what = ": the disk is full", "free some space there"
    elif number in (errno.EACCES, errno.EPERM, errno.EROFS):
        why, what = f": no permission ({text})", "change the access rights"
    else:
        why, what = f" ({text[:200]})", "mend that"
    return BrightspotError(f"{path} cannot be written{why}; {what}, or choose another folder")


def is_unknown(value: Any) -> bool:
    """True for None, NaN, NaT and pandas' NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and not math.isfinite(value)


def csv_field(value: Any) -> str:
    """One value as CSV text.

    Unknown values are empty. In text, control characters (a file name may hold a line break) are spelled
    out as escapes, and what a spreadsheet would take for a formula gets a leading apostrophe.
    """
    if is_unknown(value):
        return ""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return f"{float(value):.{SIGNIFICANT_DIGITS}g}"
    if isinstance(value, date):
        return value.isoformat()
    text = _CONTROL.sub(lambda match: repr(match[0])[1:-1], str(value))
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def json_value(value: Any) -> Any:
    """The same value in types that JSON has; unknown values are None."""
    if is_unknown(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return json_value(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [json_value(item) for item in value]
    if isinstance(value, np.generic):
        return json_value(value.item())
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def json_text(value: Any, indent: int | None = 2) -> str:
    """JSON text of anything `json_value` understands, without NaN or Infinity."""
    return json.dumps(json_value(value), indent=indent, allow_nan=False)


def write_json(path: Path, value: Any) -> None:
    """Write JSON in one step: a reader sees the old file or the new one, never half of it."""
    with replacing(path) as temporary:
        temporary.write_text(json_text(value) + "\n", encoding="utf-8")


def detection_rows(catalog: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a detection catalog as dictionaries in the order of `COLUMNS`, ready for `Table` and JSON."""
    rows: list[Any] = catalog.reindex(columns=list(DETECTION_COLUMNS)).to_dict("records")
    return rows


def write_detections(catalog: pd.DataFrame, path: str | os.PathLike[str]) -> Path:
    """Write one catalog as CSV with exactly the columns of `COLUMNS`.

    Parameters
    ----------
    catalog : pandas.DataFrame
        As in `Detection.catalog`.
    path : path-like
        Replaced in one step.

    Returns
    -------
    Path
        The path written.
    """
    path = Path(path)
    with replacing(path) as temporary, Table(temporary, DETECTION_COLUMNS) as table:
        table.write(detection_rows(catalog))
    return path


def columns_record() -> dict[str, dict[str, str]]:
    """Name, unit and meaning of every column of ``detections.csv``, for the run record."""
    return {column.name: {"unit": column.unit, "meaning": column.meaning} for column in COLUMNS}


def write_backplanes(frame: Frame, path: str | os.PathLike[str]) -> Path:
    """Write the maps of a frame (latitude, longitude, lighting, scale) as NetCDF or FITS.

    Parameters
    ----------
    frame : Frame
        With a geometry.
    path : path-like
        ``.nc`` (needs the extra ``netcdf``) or ``.fits``; replaced in one step. Row 0 is the top of the
        picture in NetCDF; in FITS too, so most viewers show it upside down.

    Returns
    -------
    Path
        The path written.

    Raises
    ------
    GeometryError
        If the frame has no geometry.
    UsageError
        If the suffix is another, or the extra is missing.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".nc", ".fits", ".fit"):
        raise UsageError(f"{path}: backplanes are written as .nc or .fits")
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent} is not a folder: make it first")
    if frame.geometry is None:
        raise GeometryError(
            f"{frame.name}: no geometry, so no backplanes; give --kernels or an image with a label"
        )
    from brightspot.geometry import BACKPLANES

    planes = frame.geometry.backplanes()._asdict()
    view = frame.geometry
    facts = {
        "frame": frame.name,
        "geometry_source": view.source,
        "body": "Ceres",
        "semi_axes_km": " ".join(f"{r:g}" for r in view.radii_km),
        "pole_and_meridian": ceres.ORIENTATION.source,
        "coordinates": "planetocentric latitude, east longitude 0 to 360",
        "spacecraft_body_fixed_km": " ".join(f"{v:.6f}" for v in view.spacecraft_km),
        "sun_body_fixed_km": " ".join(f"{v:.3f}" for v in view.sun_km),
        "camera": f"{view.camera.name} filter {view.camera.filter_number}",
    }
    with replacing(path) as temporary:
        if suffix == ".nc":
            _write_netcdf(temporary, planes, BACKPLANES, facts)
        else:
            _write_fits(temporary, planes, BACKPLANES, facts)
    return path


def _write_netcdf(
    path: Path, planes: dict[str, np.ndarray], meanings: dict[str, tuple[str, str]], facts: dict[str, str]
) -> None:
    try:
        import h5netcdf  # noqa: F401
        import h5py  # noqa: F401
        import xarray
    except ImportError as error:
        raise UsageError("NetCDF needs more libraries: pip install 'brightspot[netcdf]'") from error
    rows, columns = next(iter(planes.values())).shape
    dataset = xarray.Dataset(
        {
            name: (("y", "x"), plane, {"units": meanings[name][0], "long_name": meanings[name][1]})
            for name, plane in planes.items()
        },
        coords={"y": np.arange(rows), "x": np.arange(columns)},
        attrs={"source": f"brightspot {__version__}", **facts},
    )
    dataset.to_netcdf(path, engine="h5netcdf", encoding={name: {"zlib": True} for name in planes})


def _write_fits(
    path: Path, planes: dict[str, np.ndarray], meanings: dict[str, tuple[str, str]], facts: dict[str, str]
) -> None:
    from astropy.io import fits

    header = fits.Header({"ORIGIN": f"brightspot {__version__}"})
    header.add_comment(
        " ".join(f"{name}: {value}." for name, value in facts.items()).encode("ascii", "replace").decode()
    )
    header.add_comment("Row 1 of each plane is the top of the picture.")
    units = fits.HDUList([fits.PrimaryHDU(header=header)])
    for name, plane in planes.items():
        unit, meaning = meanings[name]
        hdu = fits.ImageHDU(plane, name=name)
        hdu.header["BUNIT"] = {"degree": "deg"}.get(unit, unit)
        hdu.header.add_comment(meaning)
        units.append(hdu)
    units.writeto(path)


class Table:
    """A CSV file that grows row by row and is complete on disk after every call of `write`.

    Parameters
    ----------
    path : Path
        Created, or replaced.
    columns : sequence of str
        The header; rows are dictionaries with these keys, a missing key is an unknown value.
    """

    def __init__(self, path: Path, columns: Iterable[str]) -> None:
        self.columns = tuple(columns)
        # surrogateescape: a file name need not be valid UTF-8, and still has its row
        self._file: IO[str] = path.open("w", newline="", encoding="utf-8", errors="surrogateescape")
        self._csv = csv.writer(self._file, lineterminator="\n")
        self._csv.writerow(self.columns)
        self._file.flush()

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows and hand them to the operating system."""
        self._csv.writerows([csv_field(row.get(name)) for name in self.columns] for row in rows)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def overlay_name(frame_name: str) -> str:
    """File name of a frame's picture: flat, safe on every file system, different for different frames.

    Folders are joined by ``__``. A name that this would change otherwise, or make ambiguous, gets a
    piece of its own SHA-256 at the end.
    """
    flat = frame_name.replace("/", "__")
    safe = re.sub(r"[^A-Za-z0-9._#+-]", "_", flat).lstrip(".-")
    if safe != flat or "__" in frame_name or "_/" in frame_name or "/_" in frame_name or len(safe) > 150:
        digest = hashlib.sha256(frame_name.encode("utf-8", "surrogateescape")).hexdigest()[:10]
        safe = f"{safe[:150] or 'frame'}-{digest}"
    return f"{safe}.png"


def write_tables(results: Results, out: Path) -> None:
    """Write ``detections.csv`` and ``frames.csv`` from the journal, each in one step, row by row.

    Parameters
    ----------
    results : Results
        From `open_results`.
    out : Path
        The folder they go to.
    """
    for name, columns, rows in (
        (TABLES[0], DETECTION_COLUMNS, results.detection_rows()),
        (TABLES[1], FRAME_COLUMNS, results.frame_rows()),
    ):
        with replacing(out / name) as temporary, Table(temporary, columns) as table:
            table.write(rows)


def write_record(results: Results, out: Path) -> None:
    """Write ``run.json`` from the journal in one step: the run's record, and a line for each file read."""
    head = json_text(results.head()).removesuffix("\n}")
    with replacing(out / RECORD) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(f'{head},\n  "inputs": [')
        mark = "\n"
        for hashes in results.input_hashes():
            file.write(f"{mark}    {json_text(hashes, indent=None)}")
            mark = ",\n"
        file.write("\n  ]\n}\n")


def make_folder(out: Path) -> None:
    """Make the results folder.

    Raises
    ------
    UsageError
        If ``out`` is a file or cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{out}: cannot be a results folder: {error.strerror}") from error
    if not os.access(out, os.W_OK | os.X_OK):
        raise UsageError(f"{out}: no permission to write results there")


def prepare_folder(out: Path, *, force: bool = False) -> None:
    """Look whether a run may work in a folder; with ``force``, clear an earlier run's files out of it.

    Raises
    ------
    UsageError
        If it holds results without the journal that a run could go on from and ``force`` is not given, or
        files with the names of results that brightspot did not write.
    """
    present = [name for name in (*TABLES, RECORD, REPORT, JOURNAL) if (out / name).exists()]
    foreign = [name for name in present if not _is_ours(out / name)]
    if foreign:
        raise UsageError(
            f"{out}/{foreign[0]} was not written by brightspot and is not replaced: choose another folder"
        )
    if force:
        for name in _old_overlays(out):
            (out / OVERLAYS / name).unlink(missing_ok=True)
        for name in present:
            (out / name).unlink()
        for end in ("-wal", "-shm", "-journal"):
            (out / f"{JOURNAL}{end}").unlink(missing_ok=True)
    elif present and present != [JOURNAL] and not (JOURNAL in present and (out / JOURNAL).stat().st_size):
        what = "an empty journal" if JOURNAL in present else "no journal"
        raise UsageError(
            f"{out} already holds results ({present[0]}) but {what} to go on from: choose another folder, "
            "or replace them with --force"
        )
    sweep(out)


def sweep(out: Path) -> None:
    """Remove what killed runs and killed workers left half written; the caller holds the folder's lock."""
    # Only a run's own workers write pictures; the tables may be exported by another program just now.
    for path in (out / OVERLAYS).glob(".*.part*"):
        if _PART.fullmatch(path.name):
            path.unlink(missing_ok=True)
    for path in out.glob(".*.part*"):
        found = _PART.fullmatch(path.name)
        if found and not _is_alive(int(found[1])):
            path.unlink(missing_ok=True)


_PART = re.compile(r"\..*\.(\d+)\.part(\.\w+)?")


def _is_alive(process: int) -> bool:
    """Whether a process runs; one that has ended and that nobody asked about does not."""
    try:
        os.kill(process, 0)
        with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except ProcessLookupError:
        return False
    except (OSError, OverflowError, IndexError):  # not ours, or a system without /proc
        return True


def _is_ours(path: Path) -> bool:
    """True where brightspot wrote this table, record or journal."""
    with path.open("rb") as file:
        head = file.read(300)
    if path.name == JOURNAL:  # <https://www.sqlite.org/fileformat.html>: application id at byte 68
        begun = path.stat().st_size <= 4096  # killed before its tables were made
        application = b"" if begun else APPLICATION_ID.to_bytes(4, "big")
        return not head or (head.startswith(b"SQLite format 3\0") and head[68:72].startswith(application))
    if path.name == REPORT:
        return b'<meta name="generator" content="brightspot ' in head
    return b'"brightspot"' in head if path.name == RECORD else head.startswith(b"frame,")


def _old_overlays(out: Path) -> list[str]:
    """Pictures an earlier run lists; names that would lead out of the folder are left alone."""
    names: list[str] = []
    try:
        with open_results(out) as results:
            names += [str(row["overlay"]) for row in results.frame_rows() if row["overlay"]]
    except BrightspotError:  # no journal, or a damaged one: the table may still tell
        if (out / TABLES[1]).exists():
            with (out / TABLES[1]).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
                names += [row.get("overlay") or "" for row in csv.DictReader(file)]
    return [name for name in names if name.endswith(".png") and Path(name).name == name]
