"""The same tasks on a Dask cluster that the user already has."""

from __future__ import annotations

import os
import re
import tempfile
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from brightspot._version import __version__
from brightspot.batch.pool import PATIENCE_S, Done, lost, outcome
from brightspot.batch.work import Job, Outcome, Task, warm_kernels
from brightspot.errors import BrightspotError, UsageError
from brightspot.writers import replacing

CHUNK_S = 5.0
"""Work that goes to a Dask worker at a time: its scheduler takes about a millisecond per task."""

MOST_TASKS = 64
"""... and no more inputs than these."""

CONNECT_S = 20.0
"""Time to wait for the scheduler to answer."""

_one_at_a_time = threading.Lock()
_warmed = False


class Cluster:
    """Workers of a Dask cluster; see `pool.Workers`.

    Parameters
    ----------
    address : str
        Of the scheduler, ``tcp://host:8786``.
    job : Job
        What all tasks share. The overlays come back with the results and are written here.

    Raises
    ------
    UsageError
        If dask.distributed is missing, or nobody answers there.
    """

    def __init__(self, address: str, job: Job) -> None:
        if not re.fullmatch(r"(\w+://.+|[^\s:/]+:\d+)", address):
            # Else the library looks for a host of that name for most of a minute.
            raise UsageError(f"--scheduler {address!r} is no address: give one such as tcp://host:8786")
        try:
            import distributed
        except ImportError as error:
            raise UsageError("--scheduler needs more libraries: pip install 'brightspot[cluster]'") from error
        try:
            self.client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            text = " ".join(str(error).split())[:200]
            raise UsageError(f"no Dask scheduler answers at {address} ({text}): check the address") from error
        self.address, self.job = address, job
        self.waiting: deque[Task] = deque()
        self.alone: deque[Task] = deque()
        self.sent: dict[str, tuple[Any, list[Task]]] = {}
        self.finished: SimpleQueue[str] = SimpleQueue()
        self.mean_s = 1.0
        self.number = 0
        self.width = 1
        self.looked = 0.0

    @property
    def n_in_hand(self) -> int:
        """Tasks not yet collected."""
        return len(self.waiting) + len(self.alone) + sum(len(tasks) for _, tasks in self.sent.values())

    def describe(self) -> str:
        """In words, for the record."""
        return f"Dask at {self.address}"

    def has_room(self) -> bool:
        """Two chunks for every thread of the cluster, as it is now: it may grow and shrink."""
        if time.perf_counter() - self.looked > 2.0:
            self.looked = time.perf_counter()
            self.width = max(1, sum(self.client.nthreads().values()))
        return self.n_in_hand < 2 * self.width * self._chunk()

    def _chunk(self) -> int:
        return int(min(MOST_TASKS, max(1.0, CHUNK_S / self.mean_s)))

    def submit(self, task: Task) -> None:
        """Put a task with others until there are enough to send."""
        self.waiting.append(task)
        if len(self.waiting) >= self._chunk():
            self._send([self.waiting.popleft() for _ in range(self._chunk())])

    def _send(self, tasks: list[Task]) -> None:
        self.number += 1
        # Each run's keys are its own: the scheduler remembers results by key.
        key = f"brightspot-{id(self):x}-{time.time_ns():x}-{self.number}"
        future = self.client.submit(_chunk_work, tasks, self.job, __version__, key=key, pure=False, retries=2)
        self.sent[key] = (future, tasks)
        future.add_done_callback(lambda done: self.finished.put(done.key))

    def collect(self) -> Done:
        """What came back."""
        # What is left over is sent when no more follows to fill it up.
        if self.waiting and (not self.sent or self.has_room()):
            self._send([self.waiting.popleft() for _ in range(min(len(self.waiting), self._chunk()))])
        # A chunk that cost several workers is done in singles, so that only the guilty input is lost.
        while self.alone and len(self.sent) < 2 * self.width:
            self._send([self.alone.popleft()])
        try:
            key = self.finished.get(timeout=PATIENCE_S)
        except Empty:
            self._check()
            return []
        future, tasks = self.sent.pop(key)
        return self._taken(future, tasks)

    def _taken(self, future: Any, tasks: list[Task]) -> Done:
        if future.status == "finished":
            outcomes: list[Outcome] = future.result()
            seconds = sum(outcome.seconds for outcome in outcomes)
            self.mean_s = max(1e-3, 0.5 * self.mean_s + 0.5 * seconds / len(tasks))
            for done in outcomes:
                self._draw(done)
            return list(zip(tasks, outcomes, strict=True))
        error = future.exception() if future.status == "error" else None
        if isinstance(error, BrightspotError):
            raise error
        if isinstance(error, ImportError):
            raise BrightspotError(
                f"a Dask worker lacks a library ({error}): give the workers the same environment"
            ) from error
        if len(tasks) > 1:
            self.alone.extend(tasks)
            return []
        text = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}" if error else future.status
        return [(tasks[0], lost(tasks[0], f"the cluster did not bring it back ({text})"))]

    def _draw(self, done: Outcome) -> None:
        if self.job.overlays is None:
            return
        for name, picture in (done.pictures or {}).items():
            with replacing(self.job.overlays / name) as temporary:
                temporary.write_bytes(picture)

    def _check(self) -> None:
        """Say so when the scheduler is gone: futures would wait for ever."""
        if self.client.status in ("closed", "closing"):
            raise BrightspotError(
                f"the Dask scheduler at {self.address} is gone; what was finished is kept: "
                "start it again and run the same command again"
            )

    def drop_waiting(self) -> None:
        """Forget what was not sent."""
        self.waiting.clear()
        self.alone.clear()

    def close(self, *, at_once: bool = False) -> None:
        """Take back what was not begun and leave the cluster to its owner."""
        with suppress(Exception):  # the scheduler may be gone already
            self.client.cancel([future for future, _ in self.sent.values()], force=at_once)
        with suppress(Exception):
            self.client.close(timeout=5.0)


def _chunk_work(tasks: list[Task], job: Job, version: str) -> list[Outcome]:
    """Several tasks, one after the other, on a Dask worker."""
    if version != __version__:
        raise UsageError(
            f"a Dask worker has brightspot {__version__}, this machine {version}: install the same version"
        )
    # One frame at a time in a process: parsers and image libraries are not all safe in threads.
    with _one_at_a_time:
        _warm_once(job)
        return [_with_pictures(task, job) for task in tasks]


def _with_pictures(task: Task, job: Job) -> Outcome:
    if job.overlays is None:
        return outcome(task, job)
    with tempfile.TemporaryDirectory(prefix="brightspot-") as scratch:
        done = outcome(task, replace(job, overlays=Path(scratch)))
        return done._replace(pictures={path.name: path.read_bytes() for path in Path(scratch).iterdir()})


def _warm_once(job: Job) -> None:
    """Fill numba's disk cache with one process of a machine at a time: it is not safe otherwise."""
    global _warmed
    if _warmed:
        return
    try:
        import fcntl
    except ImportError:  # not a system with file locks
        warm_kernels(job.finder)
    else:
        path = Path(tempfile.gettempdir()) / f"brightspot-warm-{os.getuid()}.lock"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            warm_kernels(job.finder)
        finally:
            os.close(file)
    _warmed = True
