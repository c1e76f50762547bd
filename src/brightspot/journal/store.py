"""The journal as it is written: one process at a time, one transaction per input."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from brightspot.errors import UsageError
from brightspot.journal.layout import (
    APPLICATION_ID,
    DETECTION_COLUMNS,
    FRAME_COLUMNS,
    JOURNAL,
    LOCK,
    SCHEMA,
    SCHEMA_VERSION,
    Entry,
    FrameRows,
    check,
    columns_of,
    connect,
    entry_of,
    explained,
    kind_of,
    natural_key,
    note_of,
    plain,
)


class FolderLock:
    """Keeps a second run out of a results folder for as long as it is held.

    It is a lock of the operating system on an empty file, not the file itself: what a killed run leaves
    behind stops nobody.

    Parameters
    ----------
    folder : Path
        An existing folder.

    Raises
    ------
    UsageError
        If another process holds it, or the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._connection = sqlite3.connect(folder / LOCK, timeout=0.0, isolation_level=None)
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            if "locked" in str(error):
                raise UsageError(
                    f"another run is at work in {folder}: wait until it ends, or choose another folder"
                ) from error
            raise UsageError(f"{folder}: no permission to write results there ({error})") from error

    def close(self) -> None:
        """Let others in."""
        self._connection.close()

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Journal:
    """The journal, to be written; one process at a time, under a `FolderLock`.

    Parameters
    ----------
    folder : Path
        The results folder; a missing or empty journal is begun.

    Raises
    ------
    UsageError
        If the file is no journal, or a newer brightspot wrote it.
    BrightspotError
        If it is damaged, or the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / JOURNAL
        self._db = connect(self.path, writable=True)
        try:
            with explained(self.path):
                check(self._db, self.path, writable=True)
                # Readers go on reading while the run writes; where the file system cannot do it
                # SQLite stays with its rollback journal, which is as safe.
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=NORMAL")
                self._db.execute("PRAGMA foreign_keys=ON")
                with self._transaction():
                    self._begin()
        except BaseException:
            self._db.close()
            raise

    def _begin(self) -> None:
        """Make tables that are missing, and columns that this version knows and the file does not."""
        if not self._db.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall():
            for statement in filter(str.strip, SCHEMA.split(";")):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA application_id={APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        for table, columns in (("frames", FRAME_COLUMNS), ("detections", DETECTION_COLUMNS)):
            present = columns_of(self._db, table)
            for name in columns:
                if name not in present and (table, name) != ("detections", "frame"):
                    self._db.execute(f'ALTER TABLE {table} ADD COLUMN "{name}" {kind_of(name)}')

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of a block, or nothing of it."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def get(self, key: str) -> Any:
        """A note on the run, or None."""
        with explained(self.path):
            return note_of(self._db, key)

    def put(self, **notes: Any) -> None:
        """Keep notes on the run: anything JSON can hold."""
        with explained(self.path), self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)",
                [(key, json.dumps(value)) for key, value in notes.items()],
            )

    def entry(self, name: str) -> Entry | None:
        """What is known of an input; None if it was never finished."""
        with explained(self.path):
            found = self._db.execute(
                "SELECT name, source, stamp, digest, settings, version, retry, seconds, files "
                "FROM inputs WHERE name = ?",
                (name,),
            ).fetchone()
        return None if found is None else entry_of(found)

    def commit(self, entry: Entry, frames: Iterable[FrameRows]) -> None:
        """Keep a finished input with its frames, in one transaction.

        What was known of it before is replaced; so is what was known of the same file under another name.
        """
        with explained(self.path), self._transaction():
            self._db.execute("DELETE FROM inputs WHERE name = ? OR source = ?", (entry.name, entry.source))
            number = self._db.execute(
                "INSERT INTO inputs (name, sort_key, source, stamp, digest, settings, version, retry, "
                "seconds, files) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    entry.name, natural_key(entry.name), entry.source, entry.stamp, entry.digest,
                    entry.settings, entry.version, entry.retry, entry.seconds, json.dumps(entry.files),
                ),
            ).lastrowid  # fmt: skip
            for frame in frames:
                self._keep(number, frame)

    def _keep(self, input_id: int | None, frame: FrameRows) -> None:
        marks = ", ".join("?" * (2 + len(FRAME_COLUMNS)))
        names = ", ".join(f'"{name}"' for name in FRAME_COLUMNS)
        frame_id = self._db.execute(
            f"INSERT INTO frames (input_id, sort_key, {names}) VALUES ({marks})",
            (
                input_id,
                natural_key(str(frame.row["frame"])),
                *(plain(frame.row.get(name)) for name in FRAME_COLUMNS),
            ),
        ).lastrowid
        if frame.preview:
            self._db.execute("INSERT INTO previews VALUES (?, ?)", (frame_id, frame.preview))
        columns = DETECTION_COLUMNS[1:]
        names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * (2 + len(columns)))
        outlines = [*frame.outlines, *[None] * (len(frame.detections) - len(frame.outlines))]
        self._db.executemany(
            f"INSERT INTO detections (frame_id, outline, {names}) VALUES ({marks})",
            [
                (frame_id, outline, *(plain(row.get(name)) for name in columns))
                for row, outline in zip(frame.detections, outlines, strict=True)
            ],
        )

    def confirm(self, name: str, *, source: str, stamp: str) -> None:
        """Note that an input was looked at again and holds the same bytes as before."""
        with explained(self.path), self._transaction():
            self._db.execute("UPDATE inputs SET source = ?, stamp = ? WHERE name = ?", (source, stamp, name))

    def close(self) -> None:
        """Close the file; what is left is one plain file that can be read anywhere."""
        try:
            self._db.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.Error:  # somebody is reading, or the disk is full: the file is whole all the same
            pass
        finally:
            self._db.close()
