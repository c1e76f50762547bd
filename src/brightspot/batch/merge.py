"""Results folders of several runs, joined into one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brightspot.batch.work import FAILED
from brightspot.errors import BrightspotError, UsageError
from brightspot.journal import Entry, FolderLock, FrameRows, Journal, Results, holds_results, open_results
from brightspot.report import write_report
from brightspot.writers import OVERLAYS, make_folder, prepare_folder, replacing, write_record, write_tables


@dataclass(frozen=True)
class MergeSummary:
    """What a merged folder holds.

    Attributes
    ----------
    out : Path
        The folder.
    n_folders : int
        Folders that were joined.
    n_ok, n_skipped, n_failed, n_detections : int
        Frames by status, and detections.
    """

    out: Path
    n_folders: int
    n_ok: int
    n_skipped: int
    n_failed: int
    n_detections: int


def merge_folders(
    folders: Iterable[str | os.PathLike[str]], out: str | os.PathLike[str], *, force: bool = False
) -> MergeSummary:
    """Join results folders, as of the parts of a job array, into one.

    The tables are those that one run over all the images would have left, whatever the order of the folders.
    Of an input that several folders hold, the result that did not fail is taken.

    Parameters
    ----------
    folders : iterable of path-like
        Results folders of runs with the same settings and the same version.
    out : path-like
        The new results folder.
    force : bool
        Replace what an earlier run or merge left in ``out``.

    Returns
    -------
    MergeSummary

    Raises
    ------
    UsageError
        If settings or versions differ, two folders hold different images of the same name, a run is at
        work in one, or ``out`` holds results already.
    """
    sources = list(dict.fromkeys(Path(folder) for folder in folders))
    out = Path(out)
    if any(source.resolve() == out.resolve() for source in sources):
        raise UsageError(f"{out} is one of the folders to merge: choose another folder for the result")
    with ExitStack() as stack:
        for source in sources:
            # Opened first: a folder without results must not get a lock file.
            stack.enter_context(open_results(source)).close()
            if os.access(source, os.W_OK):
                stack.enter_context(FolderLock(source))
        opened = [stack.enter_context(open_results(source)) for source in sources]
        if not opened:
            raise UsageError("give the results folders to merge")
        _check_alike(opened)
        make_folder(out)
        stack.enter_context(FolderLock(out))
        prepare_folder(out, force=force)
        if holds_results(out):
            raise UsageError(
                f"{out} already holds results: choose another folder, or replace them with --force"
            )
        journal = Journal(out)
        try:
            for results in opened:
                for entry, frames in results.entries():
                    _keep(journal, results, entry, frames)
            _note(journal, opened)
        finally:
            journal.close()
        with open_results(out) as merged:
            try:
                write_tables(merged, out)
                write_record(merged, out)
                write_report(merged)
            except OSError as error:
                raise BrightspotError(f"{out}: the tables could not be written ({error.strerror})") from error
            counts = merged.counts()
    return MergeSummary(
        out, len(sources), counts["ok"], counts["skipped"], counts[FAILED], counts["detections"]
    )


def _check_alike(opened: list[Results]) -> None:
    """Refuse to mix settings or versions."""
    first = opened[0].note("settings")
    for results in opened[1:]:
        other = results.note("settings") or {}
        changed = [name for name in {**(first or {}), **other} if (first or {}).get(name) != other.get(name)]
        if changed:
            raise UsageError(
                f"{opened[0].folder} and {results.folder} are results of different settings "
                f"({', '.join(changed)}): only runs with the same settings are merged"
            )
    versions = {version: results.folder for results in opened for version in results.versions()}
    if len(versions) > 1:
        told = ", ".join(f"{version} in {folder}" for version, folder in sorted(versions.items()))
        raise UsageError(f"results of different versions of brightspot ({told}): run the older ones again")


def _keep(journal: Journal, results: Results, entry: Entry, frames: list[FrameRows]) -> None:
    """Take over one input, unless a better result of the same one is there already."""
    before = journal.entry(entry.name)
    if before is not None:
        if before.digest and entry.digest and before.digest != entry.digest:
            raise UsageError(
                f"{entry.name} in {results.folder} is another image than the one of that name in another "
                "folder: run brightspot once over all of them"
            )
        if not before.retry or (entry.retry and before.digest >= entry.digest):
            return
    for frame in frames:
        name = str(frame.row.get("overlay") or "")
        picture = results.folder / OVERLAYS / name
        if name and Path(name).name == name and picture.is_file():
            target = journal.folder / OVERLAYS / name
            target.parent.mkdir(exist_ok=True)
            with replacing(target) as temporary:
                shutil.copyfile(picture, temporary)
    journal.commit(entry, frames)


def _note(journal: Journal, opened: list[Results]) -> None:
    """The record of the whole: that of the first run, with the times of all."""
    records: list[dict[str, Any]] = [results.head() for results in opened]
    given = dict.fromkeys(place for results in opened for place in results.note("given") or ())
    states = {str(record.get("state")) for record in records}
    runs = [
        {"folder": str(results.folder), "shard": record.get("shard"), **run}
        for results, record in zip(opened, records, strict=True)
        for run in record.get("runs", ())
    ]
    record = {
        **records[0],
        "state": "finished" if states == {"finished"} else "interrupted",
        "shard": None,
        "runs": runs,
    }
    record.pop("counts", None)
    journal.put(record=record, settings=opened[0].note("settings"), given=list(given))
