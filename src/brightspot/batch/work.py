"""One input from its files to its rows: what a worker does."""

from __future__ import annotations

import hashlib
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from brightspot.batch.remote import fetched
from brightspot.errors import BrightspotError
from brightspot.figure import save_overlay
from brightspot.finder import Detection, SpotFinder
from brightspot.frame import Frame, locate
from brightspot.journal import FrameRows
from brightspot.outline import pack
from brightspot.readers import Input, read_frames
from brightspot.report import preview
from brightspot.writers import detection_rows, overlay_name

OK, SKIPPED, FAILED = "ok", "skipped", "failed"


@dataclass(frozen=True)
class FrameResult:
    """What became of one frame.

    Attributes
    ----------
    row : dict
        Its row of ``frames.csv`` (keys as in `FRAME_COLUMNS`).
    detections : list of dict
        Its rows of ``detections.csv``.
    outlines : list of bytes
        The packed outline of each detection.
    preview : bytes
        A small JPEG of the frame for the report; empty where there is none.
    trace : str
        Traceback of what went wrong, for developers; empty where nothing did.
    retry : bool
        True where another attempt at the same file may end otherwise.
    """

    row: dict[str, Any]
    detections: list[dict[str, Any]] = field(default_factory=list)
    outlines: list[bytes] = field(default_factory=list)
    preview: bytes = b""
    trace: str = ""
    retry: bool = False

    @property
    def name(self) -> str:
        """The frame's name."""
        return str(self.row["frame"])

    @property
    def status(self) -> str:
        """``ok``, ``skipped`` or ``failed``."""
        return str(self.row["status"])

    def journal_rows(self) -> FrameRows:
        """The part that the journal keeps."""
        return FrameRows(self.row, self.detections, self.outlines, self.preview)


@dataclass(frozen=True)
class Job:
    """What every frame of a run shares; goes to the workers once."""

    finder: SpotFinder
    overlays: Path | None
    scale_km: float | None = None
    altitude_km: float | None = None
    kernels: tuple[str, ...] = ()


class Task(NamedTuple):
    """One input to work on.

    Attributes
    ----------
    item : Input
        From `find_inputs`.
    urls : tuple of str
        Where its files are, if they are not on this machine.
    stamp : str
        Sizes and times of its files before they are read.
    known : str
        Digest under which its results are known already; empty where it must be done.
    """

    item: Input
    urls: tuple[str, ...] = ()
    stamp: str = ""
    known: str = ""


class Outcome(NamedTuple):
    """What became of a task.

    Attributes
    ----------
    results : list of FrameResult
        One per frame.
    digest : str
        SHA-256 over the input's files; empty where one could not be read.
    files : tuple of dict
        ``file`` and ``sha256`` of each file.
    seconds : float
        Time it took.
    unchanged : bool
        True where the digest is the one known, and nothing was done.
    pictures : dict
        PNG bytes of the overlays by name, where the worker cannot write to the results folder.
    """

    results: list[FrameResult]
    digest: str = ""
    files: tuple[dict[str, str], ...] = ()
    seconds: float = 0.0
    unchanged: bool = False
    pictures: dict[str, bytes] | None = None


def work(task: Task, job: Job) -> Iterator[FrameResult | Outcome]:
    """Do one task: each frame's result as it comes, and the outcome last."""
    start = time.perf_counter()
    try:
        with fetched(task.item, task.urls) as item:
            digest, files = digest_of(item)
            if task.known and digest == task.known:
                yield Outcome([], digest, files, time.perf_counter() - start, unchanged=True)
                return
            results = []
            for result in process_input(item, job):
                results.append(result)
                yield result
    except BrightspotError as error:  # it could not be fetched
        yield Outcome([failed({"frame": task.item.name}, error, start, retry=True)])
        return
    yield Outcome(results, digest, files, time.perf_counter() - start)


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
            yield failed({"frame": item.name}, error, start)
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
        outlines = [pack(outline) for outline in detection.outlines()]
        small = preview(frame)
    except Exception as error:
        return failed(_facts(frame), error, start)
    row = {**_facts(frame), "status": OK, "n_detections": len(detection.catalog)}
    row["notes"] = "; ".join(filter(None, (row["notes"], *detection.notes)))
    lost = _draw(detection, job, row)
    row["seconds"] = time.perf_counter() - start
    trace = "" if lost is None else trace_of(lost)
    return FrameResult(
        row,
        detection_rows(detection.catalog),
        outlines,
        small,
        trace,
        retry=lost is not None and passing(lost),
    )


def _draw(detection: Detection, job: Job, row: dict[str, Any]) -> Exception | None:
    """Draw the overlay; the measurements stand without their picture."""
    if job.overlays is None:
        return None
    name = overlay_name(detection.frame.name)
    try:
        save_overlay(detection, job.overlays / name)
    except Exception as error:
        row["notes"] = "; ".join(filter(None, (row["notes"], f"no overlay: {reason_of(error)}")))
        return error
    row["overlay"] = name
    return None


def failed(row: dict[str, Any], error: Exception, start: float, *, retry: bool | None = None) -> FrameResult:
    """The result of a frame that an error ended."""
    row = {**row, "status": FAILED, "reason": reason_of(error), "seconds": time.perf_counter() - start}
    return FrameResult(row, trace=trace_of(error), retry=passing(error) if retry is None else retry)


def passing(error: BaseException) -> bool:
    """Whether the same file may fare better another time.

    What brightspot itself refuses in a file stays refused until file, settings or version change. What the
    system, or a fault nobody foresaw, ended may not.
    """
    if not isinstance(error, BrightspotError):
        return True
    cause = error.__cause__
    if isinstance(cause, BrightspotError):
        return passing(cause)
    # Pillow reports a damaged picture as an OSError without a number: that stays.
    return isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno is not None)


def reason_of(error: Exception) -> str:
    """One line for a person; what brightspot did not foresee says so."""
    text = " ".join(str(error).split())
    if isinstance(error, BrightspotError):
        return text
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"internal error: {type(error).__name__}: {text[:300]}"


def trace_of(error: Exception) -> str:
    """The traceback as text."""
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


def digest_of(item: Input) -> tuple[str, tuple[dict[str, str], ...]]:
    """One SHA-256 over the files of an input, and each file's own; empty where one cannot be read."""
    records = []
    for path in item.files:
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            continue
        records.append({"file": path.name, "sha256": digest})
    if not records or len(records) < len(item.files):
        return "", tuple(records)
    # The reader and the problem too: a label that lost its data is another input.
    whole = repr((item.reader, item.problem, [(r["file"], r["sha256"]) for r in records]))
    return hashlib.sha256(whole.encode("utf-8", "surrogateescape")).hexdigest(), tuple(records)


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
