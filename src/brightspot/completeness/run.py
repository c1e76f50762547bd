"""Many frames: completeness of the finder on the user's own images, as tables or as a folder."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from brightspot._version import __version__
from brightspot.completeness.plan import Plan
from brightspot.completeness.recovery import recover
from brightspot.completeness.tables import (
    FRAME_COLUMNS,
    RECOVERY_COLUMNS,
    SPOT_COLUMNS,
    frames_table,
    recovery_table,
    spots_table,
)
from brightspot.errors import BrightspotError, NothingLit, UsageError
from brightspot.finder import SpotFinder
from brightspot.frame import Frame, Told, check_told, locate
from brightspot.readers import Input, find_inputs, read_frames
from brightspot.writers import RECORD, Table, replacing, saving, write_json

if TYPE_CHECKING:
    import pandas as pd

Step = Callable[[str, int, int], None]
"""Told the frame's name, the spots done and the spots wanted."""

FILES = ("completeness.csv", "recovery.csv", "frames.csv", "completeness.png", RECORD)
"""What a run leaves behind."""

OTHER_RESULTS = ("detections.csv", "run.sqlite")
"""Files that show that a folder holds the results of a search."""

LIBRARIES = ("numpy", "numba", "scipy", "pandas")


class Completeness(NamedTuple):
    """What came back of the spots put in.

    Attributes
    ----------
    spots : pandas.DataFrame
        One row per spot put in; columns as in `SPOT_COLUMNS`.
    recovery : pandas.DataFrame
        Recovery and biases by contrast, diameter and incidence; columns as in `RECOVERY_COLUMNS`.
    frames : pandas.DataFrame
        One row per frame, failed ones too; columns as in `FRAME_COLUMNS`.
    interrupted : bool
        True where a Ctrl-C ended it before the last frame.
    """

    spots: pd.DataFrame
    recovery: pd.DataFrame
    frames: pd.DataFrame
    interrupted: bool = False


@dataclass(frozen=True)
class Settings:
    """What every frame of a run shares; goes to the workers."""

    finder: SpotFinder
    plan: Plan
    told: Told


def completeness(
    images: str | os.PathLike[str] | Frame | Iterable[str | os.PathLike[str] | Frame],
    finder: SpotFinder | None = None,
    plan: Plan | None = None,
    *,
    jobs: int = 1,
    scale_km: float | None = None,
    altitude_km: float | None = None,
    kernels: Iterable[str | os.PathLike[str]] = (),
    step: Step | None = None,
    told: Callable[[dict[str, Any]], None] | None = None,
) -> Completeness:
    """Put spots of known size and contrast into images and see which of them the finder reports.

    Parameters
    ----------
    images : path-like or Frame, or iterable of them
        Images, folders (searched through) or glob patterns; frames at hand, which come first.
    finder : SpotFinder, optional
        The settings under test; ``SpotFinder()`` if omitted.
    plan : Plan, optional
        Sizes, contrasts, numbers, seed; ``Plan()`` if omitted.
    jobs : int
        Worker processes, one input each; results do not depend on it.
    scale_km, altitude_km : float, optional
        Kilometres per pixel, or kilometres above the surface, for all images; overrides labels.
    kernels : iterable of path-like
        SPICE kernels or metakernels.
    step : callable, optional
        Called with frame name, spots done and spots wanted after each picture, by this process only.
    told : callable, optional
        Called with each frame's row of ``frames``, in the order of the inputs.

    Returns
    -------
    Completeness
        A Ctrl-C ends it early, with the frames that were done.

    Raises
    ------
    UsageError
        If no image is found or an option is out of range.
    """
    given = [images] if isinstance(images, str | os.PathLike | Frame) else list(images)
    frames = [item for item in given if isinstance(item, Frame)]
    paths = [item for item in given if not isinstance(item, Frame)]
    inputs = [*frames, *(_inputs(paths) if paths or not frames else ())]
    settings = _settings(finder, plan, jobs, scale_km, altitude_km, kernels)
    return _run(inputs, settings, jobs, step, told)


def completeness_folder(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    finder: SpotFinder | None = None,
    plan: Plan | None = None,
    *,
    jobs: int = 1,
    force: bool = False,
    scale_km: float | None = None,
    altitude_km: float | None = None,
    kernels: Iterable[str | os.PathLike[str]] = (),
    step: Step | None = None,
    told: Callable[[dict[str, Any]], None] | None = None,
) -> Completeness:
    """As `completeness`, and leave `FILES` in a folder.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        Images, folders (searched through) or glob patterns.
    finder, plan, jobs, scale_km, altitude_km, kernels, step, told
        As for `completeness`.
    out : path-like
        Folder, created if need be.
    force : bool
        Replace what an earlier run of this kind left there.

    Raises
    ------
    UsageError
        Also if ``out`` holds other results.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    settings = _settings(finder, plan, jobs, scale_km, altitude_km, kernels)
    inputs = _inputs(given)
    if not os.fspath(out):
        raise UsageError("the results folder has an empty name: give --out a folder")
    folder = Path(out)
    if any(item.path.parent.resolve() == folder.resolve() for item in inputs):
        raise UsageError(f"{folder} is a folder of the images: choose another folder for the results")
    _prepare(folder, force=force)
    started = datetime.now(UTC)
    record = {
        "brightspot": __version__,
        "command": "completeness",
        "state": "started",
        "started": started,
        "finder": asdict(settings.finder),
        "plan": asdict(settings.plan),
        **settings.told._asdict(),
        "inputs": [_fingerprint(item) for item in inputs],
        "columns": {c.name: {"unit": c.unit, "meaning": c.meaning} for c in (*FRAME_COLUMNS, *SPOT_COLUMNS)},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
    }
    write_json(folder / RECORD, record)  # before the tables: it tells whose they are
    result = _run(inputs, settings, jobs, step, told)
    _write(result, folder, settings.finder)
    state = "interrupted" if result.interrupted else "finished"
    seconds = (datetime.now(UTC) - started).total_seconds()
    write_json(folder / RECORD, {**record, "state": state, "seconds": seconds})
    return result


def _inputs(given: list[str | os.PathLike[str]]) -> list[Input]:
    inputs = list(find_inputs(given))
    if not inputs:
        places = ", ".join(str(place) for place in given) or "nothing"
        raise UsageError(f"no images found in {places}")
    return inputs


def _settings(
    finder: SpotFinder | None,
    plan: Plan | None,
    jobs: int,
    scale_km: float | None,
    altitude_km: float | None,
    kernels: Iterable[str | os.PathLike[str]],
) -> Settings:
    told = check_told(scale_km, altitude_km, kernels, jobs=jobs)
    finder, plan = finder or SpotFinder(), plan or Plan()
    asked = {"bright": lambda c: c >= 1.0, "dark": lambda c: c < 1.0}.get(finder.polarity, lambda c: True)
    contrasts = tuple(c for c in plan.contrasts if asked(c))
    if not contrasts:
        raise UsageError(f"contrasts: none of them is {finder.polarity}, which is all that is searched for")
    return Settings(finder, replace(plan, contrasts=contrasts), told)


def _run(
    inputs: Sequence[Input | Frame],
    settings: Settings,
    jobs: int,
    step: Step | None,
    told: Callable[[dict[str, Any]], None] | None,
) -> Completeness:
    spots: list[dict[str, Any]] = []
    frames: list[dict[str, Any]] = []
    interrupted = False
    try:
        for rows, facts in _all_frames(inputs, settings, jobs, step):
            spots += rows
            frames.append(facts)
            if told is not None:
                told(facts)
    except KeyboardInterrupt:
        interrupted = True
    table = spots_table(spots)
    return Completeness(table, recovery_table(table), frames_table(frames), interrupted)


Result = tuple[list[dict[str, Any]], dict[str, Any]]
"""Rows of the spots of one frame, and the frame's own."""


def _all_frames(
    inputs: Sequence[Input | Frame], settings: Settings, jobs: int, step: Step | None
) -> Iterator[Result]:
    """Results in the order of the inputs."""
    # The first input is done here: it fills the disk cache of compiled code, which is not safe to fill
    # from several processes at once.
    alone = inputs if jobs == 1 else inputs[:1]
    for item in alone:
        yield from _input(item, settings, step)
    if len(alone) == len(inputs):
        return
    with ProcessPoolExecutor(jobs) as pool:
        waiting = [pool.submit(_work, item, settings) for item in inputs[1:]]
        try:
            for future in waiting:
                yield from future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _work(item: Input | Frame, settings: Settings) -> list[Result]:
    return list(_input(item, settings, None))


def _input(item: Input | Frame, settings: Settings, step: Step | None) -> Iterator[Result]:
    """The frames of one input; what goes wrong with one becomes its row."""
    try:
        for frame in (item,) if isinstance(item, Frame) else read_frames(item):
            name = frame.name

            def report(done: int, wanted: int, name: str = name) -> None:
                if step is not None:
                    step(name, done, wanted)

            try:
                located = locate(frame, **settings.told._asdict())
                yield recover(located, settings.finder, settings.plan, report)
            except NothingLit as error:
                yield [], {"frame": name, "status": "skipped", "reason": str(error)}
            except BrightspotError as error:
                yield [], {"frame": name, "status": "failed", "reason": str(error)}
    except BrightspotError as error:
        yield [], {"frame": item.name, "status": "failed", "reason": str(error)}


def _prepare(folder: Path, *, force: bool) -> None:
    """Make the folder, or clear an earlier run of this kind out of it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be a results folder: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{folder}: no permission to write results there")
    other = [name for name in OTHER_RESULTS if (folder / name).exists()]
    if other:
        raise UsageError(f"{folder} holds the results of a search ({other[0]}): choose another folder")
    present = [name for name in FILES if (folder / name).exists()]
    if not present:
        return
    if not force:
        raise UsageError(
            f"{folder} already holds results ({', '.join(present)}): choose another folder, "
            "or replace them with --force"
        )
    record = folder / RECORD
    if not record.is_file() or '"command": "completeness"' not in record.read_text(errors="replace")[:200]:
        raise UsageError(f"{folder} was not written by brightspot completeness: choose another folder")
    for name in present:
        (folder / name).unlink()


def _write(result: Completeness, folder: Path, finder: SpotFinder) -> None:
    """The tables and the chart."""
    for name, columns, table in (
        ("completeness.csv", [c.name for c in SPOT_COLUMNS], result.spots),
        ("recovery.csv", RECOVERY_COLUMNS, result.recovery),
        ("frames.csv", [c.name for c in FRAME_COLUMNS], result.frames),
    ):
        path = folder / name
        with saving(path), replacing(path) as temporary, Table(temporary, columns) as file:
            rows: list[Any] = table.to_dict("records")
            file.write(rows)
    if len(result.spots):
        from brightspot.completeness.chart import save_chart

        done = result.frames[result.frames["status"] == "ok"]
        title = f"{len(result.spots)} spots put into {len(done)} frame{'s' if len(done) != 1 else ''}"
        notes = (_definition(finder), false_alarm_line(result.frames))
        save_chart(result.spots, result.recovery, folder / "completeness.png", title, notes)


def _definition(finder: SpotFinder) -> str:
    """What counts as a spot, for the chart."""
    limit = f"{finder.limit:g}"
    what = {
        "contrast": f"contrast at least {limit}, dark ones at most {1.0 / finder.limit:.2g}",
        "sigma": f"{limit} times the scatter of the surroundings",
        "normal_albedo": f"normal albedo at least {limit}, dark ones at most that",
    }[finder.kind]
    return f"asked for: preset {finder.preset} ({what}), albedo_confidence at least {finder.min_confidence:g}"


def false_alarm_line(frames: pd.DataFrame) -> str:
    """What the finder still found once all that it had found was painted out, in words."""
    from brightspot.completeness.tables import poisson_interval

    done = frames[frames["status"] == "ok"]
    count, searched = int(done["n_left_when_cleaned"].sum()), float(done["searched_px"].sum())
    if searched == 0.0:
        return ""
    low, high = (1e6 * n / searched for n in poisson_interval(count))
    return (
        f"false alarms: with all detections painted out {count} are left, {1e6 * count / searched:.2g} "
        f"({low:.2g} to {high:.2g}) per million searched pixels; {int(done['n_extra'].sum())} more beside "
        "spots put in"
    )


def _fingerprint(item: Input) -> dict[str, str]:
    """Name and SHA-256 of an input's files."""
    digest = hashlib.sha256()
    for path in item.files:
        if path.is_file():
            with path.open("rb") as file:
                while piece := file.read(1 << 20):
                    digest.update(piece)
    return {"name": item.name, "sha256": digest.hexdigest()}
