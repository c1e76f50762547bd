"""A run: finds inputs, leaves out what is done, hands the rest to workers, and keeps what comes back."""

from __future__ import annotations

import errno
import itertools
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Any

from brightspot._version import __version__
from brightspot.batch.plan import (
    available_cores,
    check_options,
    check_place,
    check_same,
    find_tasks,
    in_shard,
    no_images,
    settings_hash,
    settings_of,
    source_of,
)
from brightspot.batch.pool import Done, InProcess, Pool, Workers
from brightspot.batch.remote import is_url
from brightspot.batch.state import RunState, RunSummary
from brightspot.batch.work import FAILED, FrameResult, Job, Outcome, Task
from brightspot.errors import BrightspotError, UsageError
from brightspot.finder import SpotFinder
from brightspot.frame import check_told
from brightspot.journal import Entry, FolderLock, Journal, open_results
from brightspot.report import write_report
from brightspot.writers import (
    OVERLAYS,
    columns_record,
    make_folder,
    prepare_folder,
    sweep,
    write_record,
    write_tables,
)

FEW = 4
"""Fewer inputs than these are done in this process: starting workers would take longer."""

_DISK_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM)

Progress = Callable[[FrameResult], None]


def detect_folder(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    finder: SpotFinder | None = None,
    *,
    jobs: int | None = None,
    force: bool = False,
    scale_km: float | None = None,
    altitude_km: float | None = None,
    kernels: Iterable[str | os.PathLike[str]] = (),
    overlays: bool = True,
    timeout_s: float | None = None,
    memory_gb: float | None = None,
    shard: tuple[int, int] | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
    watch: Callable[[RunState], None] | None = None,
) -> RunSummary:
    """Detect spots in every image of files, folders, globs and URLs, and leave a results folder.

    Run again with the same arguments it does only what is missing, has changed, or failed for a passing
    reason.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        Images, folders (searched through), glob patterns, or URLs that fsspec reads.
    out : path-like
        Results folder, created if need be: ``run.sqlite``, ``detections.csv``, ``frames.csv``, ``run.json``,
        ``overlays/``.
    finder : SpotFinder, optional
        The settings; ``SpotFinder()`` if omitted.
    jobs : int, optional
        Worker processes; by default one for every core this process may use, none for a few images. 1 works
        in this process. Results do not depend on it.
    force : bool
        Replace what an earlier run left in ``out``; other files there stay.
    scale_km, altitude_km : float, optional
        Kilometres per pixel, or kilometres above the surface, for all images; overrides labels.
    kernels : iterable of path-like
        SPICE kernels or metakernels.
    overlays : bool
        Write a picture per frame.
    timeout_s : float, optional
        Time that one frame may take before its worker is ended and the frame has failed.
    memory_gb : float, optional
        Memory in GiB that a worker may fill before it is ended likewise (Linux).
    shard : tuple of int, optional
        (I, N): only the I-th of N equal parts of the inputs, I from 1; see `merge_folders`.
    scheduler : str, optional
        Address of a Dask scheduler whose workers do the frames.
    progress : callable, optional
        Called with a `FrameResult` after each frame, in the order in which they are finished.
    watch : callable, optional
        Called with a `RunState` about twice a second.

    Returns
    -------
    RunSummary
        Counts and failures. Ctrl-C or SIGTERM ends the run early: frames in hand are finished, what is
        done is written and ``interrupted`` is True.

    Raises
    ------
    UsageError
        If no image is found, ``out`` holds results of other settings or images, another run works there,
        or an option is out of range.
    BrightspotError
        If the disk is full or the journal damaged.
    KeyboardInterrupt
        At a second Ctrl-C, which stops at once; the journal keeps what is finished.
    """
    told = check_told(scale_km, altitude_km, kernels, jobs=jobs)
    check_options(jobs, timeout_s, memory_gb, shard, scheduler)
    if not os.fspath(out):
        raise UsageError("the results folder has an empty name: give --out a folder")
    out = Path(out)
    given = [os.fspath(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    kernel_files = tuple(os.path.abspath(kernel) for kernel in told.kernels)  # noqa: PTH100
    finder = SpotFinder() if finder is None else finder
    # Found before the folder is touched: a typing error must not leave an empty results folder.
    tasks = find_tasks(given)
    first = next(tasks, None)
    if first is None:
        raise UsageError(no_images(given))
    check_place(given, out)
    folder = out.absolute() / OVERLAYS
    job = Job(finder, folder if overlays else None, told.scale_km, told.altitude_km, kernel_files)
    settings = settings_of(job)
    make_folder(out)
    with ExitStack() as stack, Stop() as stop:
        stack.enter_context(FolderLock(out))
        prepare_folder(out, force=force)
        places = [place if is_url(place) else os.path.abspath(place) for place in given]  # noqa: PTH100
        check_same(out, settings, places)
        journal = Journal(out)
        try:
            journal.put(settings=settings, given=places)
            if overlays:
                folder.mkdir(exist_ok=True)
            run = _Run(journal, job, settings, shard, stop, progress, watch)
            run.count(find_tasks(given) if not any(map(is_url, given)) else None)
            return run.go(
                itertools.chain([first], tasks),
                lambda few: _workers(job, jobs, few, timeout_s, memory_gb, scheduler),
            )
        except OSError as error:
            if error.errno not in _DISK_TROUBLE:
                raise
            raise BrightspotError(
                f"{out}: {error.strerror}; what is finished is in the journal: mend that and run the same "
                "command again"
            ) from error
        finally:
            journal.close()


def _workers(
    job: Job,
    jobs: int | None,
    few: bool,
    timeout_s: float | None,
    memory_gb: float | None,
    scheduler: str | None,
) -> Workers:
    if scheduler is not None:
        from brightspot.batch.cluster import Cluster

        return Cluster(scheduler, job)
    if (few or jobs == 1) and timeout_s is None and memory_gb is None:
        return InProcess(job)
    return Pool(jobs or available_cores(), job, timeout_s, memory_gb)


class Stop:
    """Ctrl-C and SIGTERM: the first asks to stop after the frames in hand, a second one stops at once."""

    def __init__(self) -> None:
        self.asked = False
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


class _Run:
    """One run: what it knows, and how it goes."""

    def __init__(
        self,
        journal: Journal,
        job: Job,
        settings: dict[str, Any],
        shard: tuple[int, int] | None,
        stop: Stop,
        progress: Progress | None,
        watch: Callable[[RunState], None] | None,
    ) -> None:
        self.journal, self.job, self.settings, self.shard = journal, job, settings, shard
        self.stop, self.progress, self.watch = stop, progress, watch
        self.hash = settings_hash(settings)
        self.clock = time.perf_counter()
        self.started = datetime.now(UTC)
        self.seen: set[int] = set()
        self.n_frames = self.n_failed = self.n_inputs = self.n_kept = 0
        self.counting: Iterator[Task] | None = None
        self.n_counted = 0
        self.looked = 0.0
        self.workers: Workers | None = None
        self.earlier = (journal.get("record") or {}).get("runs", [])

    def count(self, tasks: Iterator[Task] | None) -> None:
        """Count inputs beside the work, where somebody watches."""
        self.counting = tasks if self.watch is not None else None

    def go(self, found: Iterator[Task], choose: Callable[[bool], Workers]) -> RunSummary:
        """Work through the inputs; returns even when asked to stop."""
        self._record("running")
        out = self.journal.folder
        tasks = self._missing(found)
        head = list(itertools.islice(tasks, FEW))
        if head:
            self.workers = choose(len(head) < FEW)
            at_once = True
            try:
                self._work(itertools.chain(head, tasks), self.workers)
                at_once = False
            finally:
                self.workers.close(at_once=at_once)
            sweep(out)
        self._look(last=True)
        self._record("interrupted" if self.stop.asked else "finished")
        with open_results(out) as results:
            write_tables(results, out)
            write_record(results, out)
            write_report(results)
            counts = results.counts()
            failures = tuple(results.failures())
        return RunSummary(
            out,
            counts["ok"],
            counts["skipped"],
            counts[FAILED],
            counts["detections"],
            failures,
            time.perf_counter() - self.clock,
            self.stop.asked,
            self.n_frames,
            self.n_kept,
        )

    def _work(self, tasks: Iterator[Task], workers: Workers) -> None:
        """Hand over, collect, keep: workers get their next input before the last one is committed."""
        done: Done = []
        while True:
            while not self.stop.asked and workers.has_room() and (task := next(tasks, None)) is not None:
                workers.submit(task)
            for task, outcome in done:
                self._keep(task, outcome)
            if self.stop.asked:
                workers.drop_waiting()
            self._look()
            if not workers.n_in_hand and (self.stop.asked or not done):
                return
            done = workers.collect() if workers.n_in_hand else []

    def _missing(self, found: Iterator[Task]) -> Iterator[Task]:
        """Tasks whose results are not in the journal, or may be out of date."""
        for task in found:
            if self.stop.asked:
                return
            if not in_shard(task.item.name, self.shard):
                continue
            task = self._named_once(task)
            entry = self.journal.entry(task.item.name)
            if entry is None or entry.retry or (entry.settings, entry.version) != (self.hash, __version__):
                yield task
            elif entry.stamp and entry.stamp == task.stamp and entry.source == source_of(task):
                self.n_kept += 1
                self._look()
            else:
                yield task._replace(known=entry.digest)

    def _named_once(self, task: Task) -> Task:
        """The task under a name no other input of this run has."""
        name, number = task.item.name, 1
        while hash(name) in self.seen:
            number += 1
            name = f"{task.item.name} ({number})"
        self.seen.add(hash(name))
        return task if number == 1 else task._replace(item=replace(task.item, name=name))

    def _keep(self, task: Task, outcome: Outcome) -> None:
        """Commit what became of an input, and tell."""
        if outcome.unchanged:
            self.journal.confirm(task.item.name, source=source_of(task), stamp=task.stamp)
            self.n_kept += 1
            return
        entry = Entry(
            task.item.name,
            source_of(task),
            task.stamp,
            outcome.digest,
            self.hash,
            __version__,
            any(result.retry for result in outcome.results),
            outcome.seconds,
            outcome.files,
        )
        self.journal.commit(entry, (result.journal_rows() for result in outcome.results))
        self.n_inputs += 1
        for result in outcome.results:
            self.n_frames += 1
            self.n_failed += result.status == FAILED
            if self.progress is not None:
                try:
                    self.progress(result)
                except KeyboardInterrupt:
                    if self.stop.asked:
                        raise
                    self.stop.asked = True

    def _look(self, *, last: bool = False) -> None:
        """Tell how far the run is, and count inputs for a moment."""
        now = time.perf_counter()
        if self.watch is None or not (last or now - self.looked > 0.5):
            return
        while self.counting is not None and time.perf_counter() - now < 0.02:
            task = next(self.counting, None)
            if task is None:
                self.counting = None
            else:
                self.n_counted += in_shard(task.item.name, self.shard)
        self.looked = time.perf_counter()
        in_hand = self.workers.n_in_hand if self.workers is not None else 0
        total = self.n_counted if self.counting is None and self.n_counted else None
        self.watch(
            RunState(
                self.n_frames,
                self.n_failed,
                self.n_inputs,
                self.n_kept,
                total,
                in_hand,
                self.looked - self.clock,
                self.stop.asked,
            )
        )

    def _record(self, state: str) -> None:
        """What ``run.json`` says of the run, kept in the journal too."""
        record = {
            "brightspot": __version__,
            "state": state,
            "settings": asdict(self.job.finder),
            "scale_km": self.job.scale_km,
            "altitude_km": self.job.altitude_km,
            "kernels": list(self.job.kernels),
            "shard": None if self.shard is None else f"{self.shard[0]}/{self.shard[1]}",
            # Every call that worked on the folder, the last one last.
            "runs": [
                *self.earlier[-99:],
                {
                    "state": state,
                    "started": self.started.isoformat(),
                    "finished": None if state == "running" else datetime.now(UTC).isoformat(),
                    "seconds": None if state == "running" else time.perf_counter() - self.clock,
                    "inputs_done": self.n_inputs,
                    "inputs_kept": self.n_kept,
                    "workers": None if self.workers is None else self.workers.describe(),
                },
            ],
            "columns": columns_record(),
            "libraries": library_versions(),
            "python": platform.python_version(),
            "platform": platform.platform(),
        }
        self.journal.put(record=record)
        if state == "running":
            # A folder that holds it is known as a results folder, and not searched for images.
            with open_results(self.journal.folder) as results:
                write_record(results, self.journal.folder)


def library_versions() -> dict[str, str]:
    """Versions of the libraries that can change a result."""
    names = ("numpy", "numba", "scipy", "pandas", "pdr", "astropy", "imageio", "scikit-image", "matplotlib")
    return {name: metadata.version(name) for name in names}
