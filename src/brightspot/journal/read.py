"""The journal as it is read: of a finished run, or of one at work."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brightspot.catalog import empty_catalog
from brightspot.errors import UsageError
from brightspot.journal.layout import (
    DETECTION_COLUMNS,
    FRAME_COLUMNS,
    JOURNAL,
    REAL,
    WHOLE,
    Entry,
    FrameRows,
    check,
    columns_of,
    connect,
    entry_of,
    explained,
    note_of,
)

if TYPE_CHECKING:
    import pandas as pd


class Results:
    """What a results folder holds, of a finished run or of one at work; see `open_results`.

    Attributes
    ----------
    folder : Path
        The results folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / JOURNAL
        if not self.path.is_file():
            raise UsageError(f"{folder} holds no results of brightspot ({JOURNAL} is missing)")
        self._db = connect(self.path, writable=False)
        try:
            with explained(self.path):
                if not check(self._db, self.path, writable=False):
                    raise UsageError(f"{self.path} is empty: no frame was finished in {folder}")
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the journal."""
        self._db.close()

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def record(self) -> dict[str, Any]:
        """What ``run.json`` holds: version, settings, counts, and the hash of every input."""
        return {**self.head(), "inputs": list(self.input_hashes())}

    def head(self) -> dict[str, Any]:
        """`record` without the inputs."""
        with explained(self.path):
            return {**(note_of(self._db, "record") or {}), "counts": self.counts()}

    def note(self, key: str) -> Any:
        """A note on the run, as `Journal.put` kept it; None if there is none."""
        with explained(self.path):
            return note_of(self._db, key)

    def versions(self) -> list[str]:
        """Versions of brightspot that the results are from."""
        return [version for (version,) in self._rows("SELECT DISTINCT version FROM inputs ORDER BY version")]

    def counts(self) -> dict[str, int]:
        """Frames by status, and detections."""
        counts = {"ok": 0, "skipped": 0, "failed": 0}
        counts.update(self._rows("SELECT status, count(*) FROM frames GROUP BY status"))
        (counts["detections"],) = next(self._rows("SELECT count(*) FROM detections"))
        return counts

    def failures(self) -> Iterator[tuple[str, str]]:
        """Frame and reason of each failed frame."""
        yield from self._rows("SELECT frame, reason FROM frames WHERE status = 'failed' ORDER BY sort_key")

    def input_hashes(self) -> Iterator[dict[str, str]]:
        """``frame`` (the input's name), ``file`` and ``sha256`` of every file that was read."""
        for name, files in self._rows("SELECT name, files FROM inputs ORDER BY sort_key"):
            for file in json.loads(files):
                yield {"frame": name, **file}

    def entries(self) -> Iterator[tuple[Entry, list[FrameRows]]]:
        """Every input with all that was kept of it, in order."""
        for number, *found in self._rows(
            "SELECT id, name, source, stamp, digest, settings, version, retry, seconds, files "
            "FROM inputs ORDER BY sort_key"
        ):
            yield entry_of(found), list(self._frames_of(number))

    def _frames_of(self, input_id: int) -> Iterator[FrameRows]:
        names, detection_names = self._names("frames", FRAME_COLUMNS), self._names("detections")
        for number, *values in self._rows(
            f"SELECT id, {names} FROM frames WHERE input_id = ? ORDER BY id", (input_id,)
        ):
            row = dict(zip(FRAME_COLUMNS, values, strict=True))
            rows, outlines = [], []
            for outline, *found in self._rows(
                f"SELECT outline, {detection_names} FROM detections WHERE frame_id = ? ORDER BY id",
                (number,),
            ):
                rows.append(dict(zip(DETECTION_COLUMNS, (row["frame"], *found), strict=True)))
                outlines.append(outline)
            yield FrameRows(row, rows, outlines, self._preview_of(number))

    def frame_rows(self) -> Iterator[dict[str, Any]]:
        """Rows of ``frames.csv`` one by one, in the natural order of the names; unknown values are None."""
        names = self._names("frames", FRAME_COLUMNS)
        for values in self._rows(f"SELECT {names} FROM frames ORDER BY sort_key, id"):
            yield dict(zip(FRAME_COLUMNS, values, strict=True))

    def detection_rows(self) -> Iterator[dict[str, Any]]:
        """Rows of ``detections.csv`` one by one, by frame and ``detection_id``; unknown values are None."""
        for values in self._rows(
            f"SELECT frame, {self._names('detections')} FROM frames "
            "CROSS JOIN detections ON frame_id = frames.id ORDER BY sort_key, frames.id, detection_id"
        ):
            yield dict(zip(DETECTION_COLUMNS, values, strict=True))

    def frames(self) -> pd.DataFrame:
        """Table of the frames: columns as in `FRAME_COLUMNS`, start_time as datetime, whole numbers Int64."""
        import pandas as pd

        table = pd.DataFrame(list(self.frame_rows()), columns=list(FRAME_COLUMNS))
        for name in FRAME_COLUMNS:
            if name in WHOLE:
                table[name] = table[name].astype("Int64")
            elif name in REAL:
                table[name] = table[name].astype(float)
            elif name == "start_time":
                table[name] = pd.to_datetime(table[name], format="ISO8601")
        return table

    def detections(self) -> pd.DataFrame:
        """Table of the detections: columns and types as in ``Detection.catalog``."""
        import pandas as pd

        kinds = empty_catalog().dtypes.to_dict()
        table = pd.DataFrame(list(self.detection_rows()), columns=list(DETECTION_COLUMNS))
        for name in WHOLE:
            if name in table and table[name].isna().any():  # a column that an older version did not write
                kinds[name] = pd.Int64Dtype()
        return table.astype(kinds)

    def iter_outlines(self) -> Iterator[tuple[str, int, bytes]]:
        """Frame, ``detection_id`` and packed outline of every detection that has one, in table order."""
        yield from self._rows(
            "SELECT frame, detection_id, outline FROM frames CROSS JOIN detections ON frame_id = frames.id "
            "WHERE outline IS NOT NULL ORDER BY sort_key, frames.id, detection_id"
        )

    def previews(self) -> Iterator[tuple[str, bytes]]:
        """Frame and preview (JPEG) of every frame that has one, in table order."""
        yield from self._rows(
            "SELECT frame, jpeg FROM frames CROSS JOIN previews ON frame_id = frames.id "
            "ORDER BY sort_key, frames.id"
        )

    def _preview_of(self, frame_id: int) -> bytes:
        found = next(self._rows("SELECT jpeg FROM previews WHERE frame_id = ?", (frame_id,)), None)
        return b"" if found is None else bytes(found[0])

    def _names(self, table: str, columns: Sequence[str] = DETECTION_COLUMNS[1:]) -> str:
        """Columns for a SELECT; what an older version did not write is NULL."""
        present = columns_of(self._db, table)
        return ", ".join(f'{table}."{name}"' if name in present else "NULL" for name in columns)

    def _rows(self, query: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        with explained(self.path):
            # Not `yield from`: dropped half way it would close the cursor, perhaps after the database.
            for row in self._db.execute(query, values):  # noqa: UP028
                yield row


def holds_results(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder has a journal with tables: one killed at its very first moment has none yet.

    Raises
    ------
    UsageError
        If the file is no journal, or a newer brightspot wrote it.
    BrightspotError
        If it is damaged.
    """
    path = Path(folder) / JOURNAL
    if not path.exists() or not path.stat().st_size:
        return False
    db = connect(path, writable=False)
    try:
        with explained(path):
            return check(db, path, writable=False)
    finally:
        db.close()


def open_results(folder: str | os.PathLike[str]) -> Results:
    """Open what a run left, or is leaving, in a results folder.

    Parameters
    ----------
    folder : path-like
        The results folder.

    Returns
    -------
    Results
        Tables, outlines and the record; close it, or use it in a ``with`` block.

    Raises
    ------
    UsageError
        If there is no journal, or a newer brightspot wrote it.
    BrightspotError
        If the journal is damaged.

    Examples
    --------
    >>> with open_results("results") as results:
    ...     table = results.detections()
    """
    return Results(Path(folder))
