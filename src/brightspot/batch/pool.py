"""Worker processes on this machine, watched: one that hangs, dies or swells costs its frame, not the run.

`concurrent.futures` gives up a whole pool when one worker dies and cannot say over which task. Here each
worker has one input in hand, known to this process, at the other end of its own pipe.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from brightspot.batch.work import FAILED, FrameResult, Job, Outcome, Task, warm_kernels, work

Done = list[tuple[Task, Outcome]]

GIB = float(1 << 30)
PATIENCE_S = 0.5
"""Time between two looks at the workers' clocks and memory."""

LEAST_MEMORY_GIB = 0.25
"""No worker does with less: 0.13 GiB idle, 0.18 with a frame, where it was forked; 0.28 where it was not."""


class Workers(Protocol):
    """What carries out tasks: this process, processes beside it, or a cluster."""

    @property
    def n_in_hand(self) -> int:
        """Tasks not yet collected."""

    def describe(self) -> str:
        """In words, for the record."""

    def has_room(self) -> bool:
        """Whether another task should be handed over."""

    def submit(self, task: Task) -> None:
        """Hand over a task."""

    def collect(self) -> Done:
        """What has been finished; waits `PATIENCE_S` at most unless it works itself."""

    def drop_waiting(self) -> None:
        """Forget tasks that have not been begun."""

    def close(self, *, at_once: bool = False) -> None:
        """Let go of everything; ``at_once`` leaves the tasks in hand unfinished."""


class InProcess:
    """Works in this process: the quickest for a few frames."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.tasks: deque[Task] = deque()

    @property
    def n_in_hand(self) -> int:
        """Tasks not yet collected."""
        return len(self.tasks)

    def describe(self) -> str:
        """In words, for the record."""
        return "in process"

    def has_room(self) -> bool:
        """One at a time."""
        return not self.tasks

    def submit(self, task: Task) -> None:
        """Remember the task."""
        self.tasks.append(task)

    def collect(self) -> Done:
        """Do it."""
        task = self.tasks.popleft()
        return [(task, outcome(task, self.job))]

    def drop_waiting(self) -> None:
        """Forget the task."""
        self.tasks.clear()

    def close(self, *, at_once: bool = False) -> None:
        """Nothing to let go of."""


def outcome(task: Task, job: Job) -> Outcome:
    """Do a task to its end."""
    *_, last = work(task, job)
    assert isinstance(last, Outcome)
    return last


@dataclass
class _Worker:
    """One process and what it has in hand."""

    process: Any
    pipe: Connection
    task: Task | None = None
    began: float = 0.0
    heard: float = 0.0
    results: list[FrameResult] = field(default_factory=list)


class Pool:
    """Worker processes on this machine.

    Parameters
    ----------
    jobs : int
        Most workers at a time; each is started when there is something for it to do.
    job : Job
        What all tasks share.
    timeout_s : float, optional
        Time that one frame may take.
    memory_gb : float, optional
        Memory in GiB that one worker may fill (on Linux; elsewhere the system's own limits hold).
    """

    def __init__(
        self, jobs: int, job: Job, timeout_s: float | None = None, memory_gb: float | None = None
    ) -> None:
        self.jobs, self.job, self.timeout_s, self.memory_gb = jobs, job, timeout_s, memory_gb
        self.workers: list[_Worker] = []
        # Kernels compiled in this process are there in a forked one at once, and memory is shared. Where
        # other threads run a fork could inherit a lock that nobody lets go of.
        forks = sys.platform == "linux" and threading.active_count() == 1
        self.context = multiprocessing.get_context("fork" if forks else "spawn")
        warm_kernels(job.finder)

    @property
    def n_in_hand(self) -> int:
        """Tasks not yet collected."""
        return sum(worker.task is not None for worker in self.workers)

    def describe(self) -> str:
        """In words, for the record."""
        return f"{self.jobs} processes ({self.context.get_start_method()})"

    def has_room(self) -> bool:
        """Whether a worker is idle or may be started."""
        return self.n_in_hand < self.jobs

    def submit(self, task: Task) -> None:
        """Give a task to an idle worker; one that died, or has swollen bit by bit, is replaced."""
        for idle in [w for w in self.workers if w.task is None]:
            if idle.process.is_alive() and not self._swollen(idle):
                continue
            idle.process.kill()
            idle.process.join(5.0)
            idle.pipe.close()
            self.workers.remove(idle)
        worker = next((w for w in self.workers if w.task is None), None) or self._start()
        worker.task, worker.results = task, []
        worker.began = worker.heard = time.perf_counter()
        # One that dies at this very moment is noticed when it is waited for.
        with suppress(BrokenPipeError, ConnectionResetError):
            worker.pipe.send(task)

    def collect(self) -> Done:
        """What workers have finished since, or lost; waits a moment for it."""
        busy = {worker.pipe: worker for worker in self.workers if worker.task is not None}
        done: Done = []
        for pipe in wait(list(busy), PATIENCE_S):
            worker = busy[pipe]  # type: ignore[index]
            finished = self._listen(worker)
            if finished is not None:
                done.append(finished)
        for worker in [w for w in self.workers if w.task is not None]:
            trouble = self._trouble(worker)
            if trouble:
                done.append(self._lose(worker, trouble))
        return done

    def drop_waiting(self) -> None:
        """Nothing waits: every task is with a worker."""

    def close(self, *, at_once: bool = False) -> None:
        """End the workers."""
        for worker in self.workers:
            if at_once or worker.task is not None:
                worker.process.kill()
            else:
                with suppress(BrokenPipeError, ConnectionResetError):
                    worker.pipe.send(None)
        for worker in self.workers:
            worker.process.join(5.0)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join(5.0)
            worker.pipe.close()
        self.workers = []

    def _start(self) -> _Worker:
        ours, theirs = self.context.Pipe()
        others = [worker.pipe for worker in self.workers] if self._forks else []
        process = self.context.Process(  # type: ignore[attr-defined]
            target=_serve, args=(theirs, self.job, [*others, ours] if self._forks else []), daemon=True
        )
        process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self.workers.append(worker)
        return worker

    @property
    def _forks(self) -> bool:
        return self.context.get_start_method() == "fork"

    def _listen(self, worker: _Worker) -> tuple[Task, Outcome] | None:
        """Take in what a worker says; a finished or lost task, or None if it goes on."""
        assert worker.task is not None
        try:
            while worker.pipe.poll():
                message = worker.pipe.recv()
                worker.heard = time.perf_counter()
                if isinstance(message, Outcome):
                    task, worker.task = worker.task, None
                    return task, message
                worker.results.append(message)
        except (EOFError, OSError):
            return self._lose(worker, "")
        return None

    def _trouble(self, worker: _Worker) -> str:
        """Why a worker must be ended; empty where all is well."""
        if self.timeout_s is not None and time.perf_counter() - worker.heard > self.timeout_s:
            return f"took longer than {self.timeout_s:g} s and was ended (--timeout)"
        # One that spoke a moment ago has finished a frame: there may be no other for it to fail.
        if time.perf_counter() - worker.heard > PATIENCE_S and self._swollen(worker):
            return f"needed more than {self.memory_gb:g} GiB of memory and was ended (--memory-gb)"
        return ""

    def _swollen(self, worker: _Worker) -> bool:
        return self.memory_gb is not None and resident_gib(worker.process.pid) > self.memory_gb

    def _lose(self, worker: _Worker, trouble: str) -> tuple[Task, Outcome]:
        """End a worker; the frame it had in hand failed, those it finished before stand."""
        task = worker.task
        assert task is not None
        if trouble:
            worker.process.kill()
        # Not for ever: a process stuck in a dead network file system does not even heed SIGKILL.
        worker.process.join(5.0)
        worker.pipe.close()
        self.workers.remove(worker)
        reason = trouble or f"its worker process died ({_cause(worker.process.exitcode)})"
        return task, lost(task, reason, worker.results, time.perf_counter() - worker.began)


def lost(task: Task, reason: str, results: Sequence[FrameResult] = (), seconds: float = 0.0) -> Outcome:
    """Outcome of a task whose worker did not come back; to be tried again."""
    # Of an animation, the picture after the last one that was finished.
    name = f"{task.item.name}#{len(results):03d}" if results else task.item.name
    row = {"frame": name, "status": FAILED, "reason": reason, "seconds": seconds}
    return Outcome([*results, FrameResult(row, retry=True)], seconds=seconds)


def _cause(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name}; out of memory?" if name == "SIGKILL" else name


def resident_gib(pid: int) -> float:
    """Memory that a process fills, GiB; 0 where the system does not tell."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:  # noqa: PTH123
            pages = int(file.read().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / GIB


def _serve(pipe: Connection, job: Job, others: list[Connection]) -> None:
    """A worker's life: take a task, say what became of it, until the pipe ends."""
    # Ctrl-C and SIGTERM reach the whole group: the parent decides, and lets frames in hand finish.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for other in others:
        other.close()
    _follow_the_parent()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while (task := pipe.recv()) is not None:
            for message in work(task, job):
                pipe.send(message)


def _follow_the_parent() -> None:
    """Die with the parent, and before it when memory runs out: on Linux; elsewhere the pipe's end tells."""
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):
        pr_set_pdeathsig = 1  # <linux/prctl.h>
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, int(signal.SIGKILL))
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
        file.write("500")
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:  # it died before we asked
        os._exit(1)
