"""How the journal is laid out: its tables, what goes into them, and how the file is opened."""

from __future__ import annotations

import functools
import json
import math
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from brightspot.catalog import COLUMNS, empty_catalog
from brightspot.errors import BrightspotError, UsageError

JOURNAL = "run.sqlite"
"""Name of the journal in a results folder."""

LOCK = "run.lock"
"""Name of the file that a run holds locked; the system lets go of it when the process ends, however."""

APPLICATION_ID = 0x42535054
"""What SQLite notes in the file's header (``BSPT``): tells our journals from other databases."""

SCHEMA_VERSION = 1
"""Version of the journal's tables; a journal with a greater one is not touched."""

FRAME_COLUMNS = (
    "frame",
    "status",
    "reason",
    "n_detections",
    "n_x",
    "n_y",
    "unit",
    "camera",
    "filter",
    "start_time",
    "pixel_scale_km",
    "scale_source",
    "scale_conflicts",
    "notes",
    "overlay",
    "seconds",
)
"""Header of ``frames.csv``."""

WHOLE = ("n_detections", "n_x", "n_y", "filter", "detection_id", "n_pixels")
REAL = ("pixel_scale_km", "seconds")
DETECTION_COLUMNS = tuple(column.name for column in COLUMNS)

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE inputs (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    sort_key BLOB NOT NULL,
    source TEXT NOT NULL,
    stamp TEXT NOT NULL,
    digest TEXT NOT NULL,
    settings TEXT NOT NULL,
    version TEXT NOT NULL,
    retry INTEGER NOT NULL,
    seconds REAL NOT NULL,
    files TEXT NOT NULL
);
CREATE INDEX inputs_in_order ON inputs (sort_key);
CREATE INDEX inputs_by_source ON inputs (source);
CREATE TABLE frames (
    id INTEGER PRIMARY KEY,
    input_id INTEGER NOT NULL REFERENCES inputs (id) ON DELETE CASCADE,
    sort_key BLOB NOT NULL
);
CREATE INDEX frames_in_order ON frames (sort_key);
CREATE INDEX frames_by_input ON frames (input_id);
CREATE TABLE detections (
    id INTEGER PRIMARY KEY,
    frame_id INTEGER NOT NULL REFERENCES frames (id) ON DELETE CASCADE,
    outline BLOB
);
CREATE INDEX detections_by_frame ON detections (frame_id);
-- Apart from the frames, so that reading their table reads no pictures.
CREATE TABLE previews (
    frame_id INTEGER PRIMARY KEY REFERENCES frames (id) ON DELETE CASCADE,
    jpeg BLOB NOT NULL
);
"""


class FrameRows(NamedTuple):
    """One frame as the journal keeps it.

    Attributes
    ----------
    row : Mapping
        Its row of ``frames.csv`` (keys as in `FRAME_COLUMNS`).
    detections : sequence of Mapping
        Its rows of ``detections.csv`` (keys as in ``COLUMNS``).
    outlines : sequence of bytes or None
        The packed outline of each row of ``detections``; may be shorter.
    preview : bytes
        A small JPEG of the frame for the report; may be empty.
    """

    row: Mapping[str, Any]
    detections: Sequence[Mapping[str, Any]] = ()
    outlines: Sequence[bytes | None] = ()
    preview: bytes = b""


@dataclass(frozen=True)
class Entry:
    """What the journal knows of one input.

    Attributes
    ----------
    name : str
        The input's name: frames are called so, or so with ``#NNN``.
    source : str
        Where it was read from: an absolute path or a URL.
    stamp : str
        Sizes and times of its files when it was read; equal stamps mean unchanged files. Empty: not known.
    digest : str
        SHA-256 over its files; empty where they could not be read.
    settings : str
        Hash of the settings.
    version : str
        Version of brightspot.
    retry : bool
        True where another attempt may end otherwise: no memory, no permission, out of time.
    seconds : float
        Time it took.
    files : tuple of dict
        ``file`` and ``sha256`` of each file.
    """

    name: str
    source: str
    stamp: str
    digest: str
    settings: str
    version: str
    retry: bool = False
    seconds: float = 0.0
    files: tuple[dict[str, str], ...] = ()


def natural_key(name: str) -> bytes:
    """Sort key under which ``a9`` comes before ``a10``, and a folder's files stand together.

    Parameters
    ----------
    name : str
        A frame's or an input's name.

    Returns
    -------
    bytes
        Different for different names; compare them as bytes.
    """
    parts = []
    for part in re.split("([0-9]+)", name):
        if part[:1].isdigit():
            digits = part.lstrip("0").encode()
            parts.append(b"0" + min(len(digits), 0xFFFF).to_bytes(2, "big") + digits)
        else:
            parts.append(part.replace("/", "\x01").encode("utf-8", "surrogatepass"))
    # The name itself settles it between a1 and a01.
    return b"".join(parts) + b"\x00" + name.encode("utf-8", "surrogatepass")


def connect(path: Path, *, writable: bool) -> sqlite3.Connection:
    """Open the file; every transaction is begun and ended by its own statements."""
    mode = "rwc" if writable else "ro"
    if not writable:
        log, undo = (path.with_name(f"{path.name}-{kind}") for kind in ("wal", "journal"))
        if os.access(path.parent, os.W_OK):
            if undo.exists():
                mode = "rw"  # what a killed run had half done is undone by whoever opens the file next
        elif not (log.exists() or undo.exists()):
            mode = "ro&immutable=1"  # where nothing can be written, no lock can be taken and nobody writes
    try:
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=30.0, isolation_level=None
        )
    except sqlite3.Error as error:
        raise UsageError(f"{path} cannot be opened ({error}); check the folder's access rights") from error


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """SQLite's errors in a line that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        if "full" in text or "disk I/O" in text:
            what = "the disk is full or fails; free some space and run the same command again"
        elif "malformed" in text or "not a database" in text or "corrupt" in text:
            what = "it is damaged or no journal of brightspot; choose another folder"
        elif "readonly" in text or "unable to open" in text:
            what = "no permission to write; change the access rights of the folder and of what it holds"
        elif "locked" in text or "busy" in text:
            what = "another program keeps it locked; close that program and run the same command again"
        else:
            what = "run the same command again, or choose another folder"
        raise BrightspotError(f"{path}: {what} (SQLite says: {text})") from error


def check(db: sqlite3.Connection, path: Path, *, writable: bool) -> bool:
    """Refuse what is not a journal, or a newer one, before anything is written to it.

    Returns whether it has tables.
    """
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    empty = not db.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()
    if empty and application in (0, APPLICATION_ID):
        return False
    if application != APPLICATION_ID:
        raise UsageError(f"{path} is not a journal of brightspot and is not touched: choose another folder")
    if version > SCHEMA_VERSION:
        raise UsageError(
            f"{path} was written by a newer brightspot (journal version {version}, this one knows "
            f"{SCHEMA_VERSION}): update brightspot, or choose another folder"
        )
    if writable and db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise sqlite3.DatabaseError("the file is malformed")
    return True


def columns_of(db: sqlite3.Connection, table: str) -> set[str]:
    """Names of a table's columns."""
    return {row[1] for row in db.execute(f"PRAGMA table_info({table})")}


def kind_of(name: str) -> str:
    """SQLite's type of a column."""
    if name in WHOLE:
        return "INTEGER"
    if name in REAL:
        return "REAL"
    if name in FRAME_COLUMNS:
        return "TEXT"
    return "REAL" if _catalog_kinds()[name] is float else "TEXT"


@functools.cache
def _catalog_kinds() -> dict[str, type]:
    return {str(name): float if dtype.kind == "f" else str for name, dtype in empty_catalog().dtypes.items()}


def note_of(db: sqlite3.Connection, key: str) -> Any:
    """A note on the run; None if there is none."""
    found = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if found is None else json.loads(found[0])


def entry_of(found: Sequence[Any]) -> Entry:
    """An `Entry` from its row."""
    name, source, stamp, digest, settings, version, retry, seconds, files = found
    return Entry(
        name, source, stamp, digest, settings, version, bool(retry), seconds, tuple(json.loads(files))
    )


def plain(value: Any) -> Any:
    """A value in a type of SQLite's; unknown and infinite numbers are NULL."""
    if hasattr(value, "item"):  # numpy's own numbers
        value = value.item()
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return value if abs(value) < 2**63 else float(value)
    if isinstance(value, date):
        return value.isoformat()
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")
