"""A folder of one file per frame, with an index that says which is whose."""

from __future__ import annotations

import csv
from pathlib import Path

from brightspot.errors import UsageError
from brightspot.writers.tables import Table, overlay_name, replacing

INDEX = "index.csv"


class FrameFolder:
    """Makes the folder, names its files, writes its index; files of an earlier export are taken away.

    Parameters
    ----------
    path : Path
        The folder; made if need be.
    *suffixes : str
        Of the files, with their dots.

    Raises
    ------
    UsageError
        If the folder holds files that no export wrote.
    """

    def __init__(self, path: Path, *suffixes: str) -> None:
        self.path, self.suffixes = path, suffixes
        self._rows: list[dict[str, str]] = []
        if path.exists() and (not path.is_dir() or any(path.iterdir())) and not (path / INDEX).is_file():
            raise UsageError(f"{path} was not written by brightspot and is not replaced: move it away first")
        path.mkdir(exist_ok=True)
        self._old = self._listed()

    def _listed(self) -> set[str]:
        """Files that the index of an earlier export names, none of them outside the folder."""
        if not (self.path / INDEX).is_file():
            return set()
        with (self.path / INDEX).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            names = {row.get("file") or "" for row in csv.DictReader(file)}
        return {name for name in names if name.endswith(self.suffixes) and Path(name).name == name}

    def file(self, frame_name: str, suffix: str | None = None) -> Path:
        """Path of a frame's file."""
        suffix = self.suffixes[0] if suffix is None else suffix
        name = overlay_name(frame_name).removesuffix(".png") + suffix
        row = {"frame": frame_name, "file": name}
        if row not in self._rows[-len(self.suffixes) :]:
            self._rows.append(row)
        return self.path / name

    def __enter__(self) -> FrameFolder:
        # The index comes first, so that whatever an interrupted export leaves can be told from other files.
        self._write_index(sorted(self._old))
        return self

    def _write_index(self, others: list[str]) -> None:
        with replacing(self.path / INDEX) as temporary, Table(temporary, ("frame", "file")) as table:
            table.write(self._rows)
            table.write({"frame": "", "file": name} for name in others)

    def __exit__(self, kind: object, *_: object) -> None:
        written = {row["file"] for row in self._rows}
        left = self._old - written
        if kind is None:
            for name in left:
                (self.path / name).unlink(missing_ok=True)
            left = set()
        self._write_index(sorted(left))
