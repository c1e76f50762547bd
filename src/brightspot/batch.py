"""Many images, one results folder: nothing finished is lost, one bad file never stops the rest."""

from __future__ import annotations

import hashlib
import os
import platform
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from brightspot._version import __version__
from brightspot.errors import BrightspotError, UsageError
from brightspot.figure import save_overlay
from brightspot.finder import SpotFinder
from brightspot.frame import Frame, locate
from brightspot.readers import Input, find_inputs, read_frames
from brightspot.scale import positive
from brightspot.writers import (
    DETECTION_COLUMNS,
    FRAME_COLUMNS,
    OVERLAYS,
    RECORD,
    Table,
    columns_record,
    detection_rows,
    overlay_name,
    prepare_folder,
    write_json,
)

OK, SKIPPED, FAILED = "ok", "skipped", "failed"

Progress = Callable[["FrameResult"], None]


@dataclass(frozen=True)
class FrameResult:
    """What became of one frame.

    Attributes
    ----------
    row : dict
        Its row of ``frames.csv`` (keys as in `FRAME_COLUMNS`).
    detections : list of dict
        Its rows of ``detections.csv``.
    trace : str
        Traceback of what went wrong, for developers; empty where nothing did.
    """

    row: dict[str, Any]
    detections: list[dict[str, Any]] = field(default_factory=list)
    trace: str = ""

    @property
    def name(self) -> str:
        """The frame's name."""
        return str(self.row["frame"])

    @property
    def status(self) -> str:
        """``ok``, ``skipped`` or ``failed``."""
        return str(self.row["status"])


@dataclass(frozen=True)
class RunSummary:
    """What a run did.

    Attributes
    ----------
    out : Path
        The results folder.
    n_ok, n_skipped, n_failed : int
        Frames by status.
    n_detections : int
        Rows of ``detections.csv``.
    failures : tuple of (str, str)
        Frame and reason of each failed frame.
    seconds : float
        Wall-clock time.
    interrupted : bool
        True where the run was stopped before its last frame.
    """

    out: Path
    n_ok: int
    n_skipped: int
    n_failed: int
    n_detections: int
    failures: tuple[tuple[str, str], ...]
    seconds: float
    interrupted: bool = False

    @property
    def n_frames(self) -> int:
        """Frames in ``frames.csv``."""
        return self.n_ok + self.n_skipped + self.n_failed


@dataclass(frozen=True)
class Job:
    """What every frame of a run shares; goes to the workers once."""

    finder: SpotFinder
    overlays: Path | None
    scale_km: float | None = None
    altitude_km: float | None = None
    kernels: tuple[str, ...] = ()


def detect_folder(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    finder: SpotFinder | None = None,
    *,
    jobs: int = 1,
    force: bool = False,
    scale_km: float | None = None,
    altitude_km: float | None = None,
    kernels: Iterable[str | os.PathLike[str]] = (),
    overlays: bool = True,
    progress: Progress | None = None,
) -> RunSummary:
    """Detect spots in every image of files, folders and globs, and leave a results folder.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        Images, folders (searched through) or glob patterns.
    out : path-like
        Results folder, created if need be: ``detections.csv``, ``frames.csv``, ``run.json``, ``overlays/``.
    finder : SpotFinder, optional
        The settings; ``SpotFinder()`` if omitted.
    jobs : int
        Worker processes; 1 works in this process. Results do not depend on it.
    force : bool
        Replace what an earlier run left in ``out``; other files there stay.
    scale_km, altitude_km : float, optional
        Kilometres per pixel, or kilometres above the surface, for all images; overrides labels.
    kernels : iterable of path-like
        SPICE kernels or metakernels.
    overlays : bool
        Write a picture per frame.
    progress : callable, optional
        Called with a `FrameResult` after each frame, in the order of the inputs.

    Returns
    -------
    RunSummary
        Counts and failures. A Ctrl-C ends the run early: what was finished is written and
        ``interrupted`` is True.

    Raises
    ------
    UsageError
        If no image is found, ``out`` holds results already, or an option is out of range.
    """
    if jobs < 1:
        raise UsageError(f"jobs must be 1 or more, not {jobs}")
    if scale_km is not None and altitude_km is not None:
        raise UsageError("give either a scale in km per pixel or an altitude in km, not both")
    if scale_km is not None:
        positive(scale_km, "scale", "kilometres per pixel")
    if altitude_km is not None:
        positive(altitude_km, "altitude", "kilometres above the surface")
    kernel_files = tuple(os.fspath(kernel) for kernel in kernels)
    for kernel in kernel_files:
        if not Path(kernel).is_file():
            raise UsageError(f"{kernel}: no such kernel file")
    if not os.fspath(out):
        raise UsageError("the results folder has an empty name: give --out a folder")
    out = Path(out)
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    finder = SpotFinder() if finder is None else finder
    # Found before the folder is touched: a typing error must not leave an empty results folder.
    inputs = list(find_inputs(given))
    if not inputs:
        raise UsageError(no_images(given))
    if any(item.path.parent.resolve() == out.resolve() for item in inputs):
        raise UsageError(f"{out} is a folder of the images: choose another folder for the results")
    prepare_folder(out, force=force)
    folder = out / OVERLAYS
    if overlays:
        folder.mkdir(exist_ok=True)
    job = Job(finder, folder.resolve() if overlays else None, scale_km, altitude_km, kernel_files)
    return _Run(out, job, inputs, jobs, progress).go()


def no_images(given: Iterable[str | os.PathLike[str]]) -> str:
    """One line for a run that found nothing to do."""
    places = ", ".join(str(place) for place in given) or "nothing"
    return (
        f"no images found in {places}: brightspot reads PDS3 .IMG and .LBL, FITS, PDS4 .xml, "
        "PNG, JPEG, TIFF and GIF"
    )


class _Run:
    """One run: writes each finished frame at once, and the record at the end."""

    def __init__(
        self, out: Path, job: Job, inputs: list[Input], jobs: int, progress: Progress | None
    ) -> None:
        self.out, self.job, self.inputs, self.jobs, self.progress = out, job, inputs, jobs, progress
        self.counts = {OK: 0, SKIPPED: 0, FAILED: 0}
        self.n_detections = 0
        self.failures: list[tuple[str, str]] = []
        self.started = datetime.now(UTC)
        self.clock = time.perf_counter()
        self.hashes: list[dict[str, Any]] = []

    def go(self) -> RunSummary:
        """Work through the inputs; returns even when interrupted."""
        write_json(self.out / RECORD, self._record("running"))
        interrupted = False
        with (
            Table(self.out / "detections.csv", DETECTION_COLUMNS) as self.detections,
            Table(self.out / "frames.csv", FRAME_COLUMNS) as self.frames,
        ):
            try:
                if self.jobs == 1:
                    for item in self.inputs:
                        self.hashes += file_hashes(item)
                        for result in process_input(item, self.job):
                            self._keep(result)
                else:
                    self._in_workers()
            except KeyboardInterrupt:
                interrupted = True
        summary = RunSummary(
            self.out,
            self.counts[OK],
            self.counts[SKIPPED],
            self.counts[FAILED],
            self.n_detections,
            tuple(self.failures),
            time.perf_counter() - self.clock,
            interrupted,
        )
        write_json(self.out / RECORD, self._record("interrupted" if interrupted else "finished"))
        return summary

    def _in_workers(self) -> None:
        """Results in the order of the inputs, a bounded number of them in flight."""
        warm_kernels(self.job.finder)
        pending: deque[tuple[Input, Future[Finished]]] = deque()
        with ProcessPoolExecutor(self.jobs, initializer=_start_worker) as pool:
            try:
                for item in self.inputs:
                    pending.append((item, pool.submit(_work, item, self.job)))
                    if len(pending) >= 4 * self.jobs:
                        self._collect(*pending.popleft())
                while pending:
                    self._collect(*pending.popleft())
            except KeyboardInterrupt:
                # Frames in hand are finished and kept; those not begun are dropped.
                pool.shutdown(wait=True, cancel_futures=True)
                for item, future in pending:
                    if not future.cancelled():
                        self._collect(item, future)
                raise

    def _collect(self, item: Input, future: Future[Finished]) -> None:
        try:
            hashes, results = future.result()
        except BrokenProcessPool as error:
            raise BrightspotError(
                f"{item.name}: a worker process died (out of memory?); what was finished is in {self.out}; "
                "try again with fewer jobs and --force"
            ) from error
        self.hashes += hashes
        for result in results:
            self._keep(result)

    def _keep(self, result: FrameResult) -> None:
        self.detections.write(result.detections)
        self.frames.write([result.row])
        self.counts[result.status] += 1
        self.n_detections += len(result.detections)
        if result.status == FAILED:
            self.failures.append((result.name, str(result.row["reason"])))
        if self.progress is not None:
            self.progress(result)

    def _record(self, state: str) -> dict[str, Any]:
        return {
            "brightspot": __version__,
            "state": state,
            "settings": asdict(self.job.finder),
            "scale_km": self.job.scale_km,
            "altitude_km": self.job.altitude_km,
            "kernels": list(self.job.kernels),
            "jobs": self.jobs,
            "started": self.started,
            "finished": None if state == "running" else datetime.now(UTC),
            "counts": {**self.counts, "detections": self.n_detections},
            "columns": columns_record(),
            "libraries": library_versions(),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "inputs": self.hashes,
        }


def process_input(item: Input, job: Job) -> Iterator[FrameResult]:
    """Read, detect, measure and draw every frame of one input.

    Parameters
    ----------
    item : Input
        From `find_inputs`.
    job : Job
        Settings shared by the run.

    Yields
    ------
    FrameResult
        One per frame; an input that cannot be read gives one ``failed`` result with its reason.
    """
    frames = iter(read_frames(item))
    while True:
        start = time.perf_counter()
        try:
            frame = next(frames)
        except StopIteration:
            return
        except Exception as error:
            yield _failed({"frame": item.name}, error, start)
            return
        yield process_frame(frame, job, start)


def process_frame(frame: Frame, job: Job, start: float | None = None) -> FrameResult:
    """Locate, detect, measure and draw one frame; whatever goes wrong becomes its reason."""
    start = time.perf_counter() if start is None else start
    if frame.target not in (None, "CERES"):
        row = {**_facts(frame), "status": SKIPPED, "reason": f"target is {frame.target}, not Ceres"}
        return FrameResult({**row, "seconds": time.perf_counter() - start})
    try:
        frame = locate(frame, scale_km=job.scale_km, altitude_km=job.altitude_km, kernels=job.kernels)
        detection = job.finder(frame)
    except Exception as error:
        return _failed(_facts(frame), error, start)
    row = {**_facts(frame), "status": OK, "n_detections": len(detection.catalog)}
    row["notes"] = "; ".join(filter(None, (row["notes"], *detection.notes)))
    trace = ""
    if job.overlays is not None:
        name = overlay_name(frame.name)
        try:
            save_overlay(detection, job.overlays / name)
            row["overlay"] = name
        except Exception as error:  # the measurements stand without their picture
            row["notes"] = "; ".join(filter(None, (row["notes"], f"no overlay: {_reason(error)}")))
            trace = _trace(error)
    row["seconds"] = time.perf_counter() - start
    return FrameResult(row, detection_rows(detection.catalog), trace)


def _failed(row: dict[str, Any], error: Exception, start: float) -> FrameResult:
    row = {**row, "status": FAILED, "reason": _reason(error), "seconds": time.perf_counter() - start}
    return FrameResult(row, trace=_trace(error))


def _reason(error: Exception) -> str:
    """One line for a person; what brightspot did not foresee says so."""
    text = " ".join(str(error).split())
    if isinstance(error, BrightspotError):
        return text
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"internal error: {type(error).__name__}: {text[:300]}"


def _trace(error: Exception) -> str:
    return "".join(traceback.format_exception(error))


def _facts(frame: Frame) -> dict[str, Any]:
    """What ``frames.csv`` says of a frame whatever becomes of it."""
    rows, columns = frame.shape
    facts: dict[str, Any] = {
        "frame": frame.name,
        "n_x": columns,
        "n_y": rows,
        "unit": frame.unit,
        "camera": frame.camera,
        "filter": frame.filter_number,
        "start_time": frame.start_time,
        "notes": "; ".join(frame.notes),
    }
    if frame.scale is not None:
        facts["notes"] = "; ".join(note for note in frame.notes if note not in frame.scale.conflicts)
        facts["pixel_scale_km"] = frame.scale.pixel_scale_km
        facts["scale_source"] = frame.scale.source
        facts["scale_conflicts"] = "; ".join(frame.scale.conflicts)
    return facts


def file_hashes(item: Input) -> list[dict[str, str]]:
    """Name and SHA-256 of each file of an input; a file that cannot be read has no hash."""
    records = []
    for path in item.files:
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            continue
        records.append({"frame": item.name, "file": path.name, "sha256": digest})
    return records


def library_versions() -> dict[str, str]:
    """Versions of the libraries that can change a result."""
    names = ("numpy", "numba", "scipy", "pandas", "pdr", "astropy", "imageio", "scikit-image", "matplotlib")
    return {name: metadata.version(name) for name in names}


def warm_kernels(finder: SpotFinder) -> None:
    """Compile, or load from the disk cache, the kernels a frame needs, by searching a made-up one.

    Done once before worker processes start: numba's disk cache is not safe when several
    processes fill it at the same time (numba issues 4807 and 10128).
    """
    process_frame(made_up_frame(), Job(finder, None))


def made_up_frame(size: int = 256) -> Frame:
    """A Lambert ball with two patches on it: enough to pass through every station."""
    y, x = (np.mgrid[:size, :size] - (size - 1) / 2) / (0.4 * size)
    z = np.sqrt(np.maximum(1.0 - x * x - y * y, 0.0))
    light = np.where(z > 0, np.maximum(0.5 * x + 0.866 * z, 0.0), 0.0)
    bright = (x - 0.3) ** 2 + y**2 < 0.05**2
    dark = (x + 0.1) ** 2 + (y - 0.2) ** 2 < 0.05**2
    image = (1000.0 * light * np.where(bright, 2.0, np.where(dark, 0.6, 1.0))).astype(np.float32)
    none = np.zeros(image.shape, bool)
    return Frame("made up", None, image, none, none, "display")


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, which lets the frames in hand finish."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


Finished = tuple[list[dict[str, str]], list[FrameResult]]


def _work(item: Input, job: Job) -> Finished:
    """One input in a worker process."""
    return file_hashes(item), list(process_input(item, job))
