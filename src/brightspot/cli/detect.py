"""`brightspot detect`."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from brightspot.cli.printing import (
    DONE,
    INTERRUPTED,
    SOME_FAILED,
    Files,
    Switch,
    complain,
    count,
    print_json,
    print_table,
    printable,
    text_of,
)
from brightspot.finder import SpotFinder

if TYPE_CHECKING:
    from brightspot.batch import FrameResult, RunSummary

DEFAULT = SpotFinder()
"""The settings whose fields are the options of the detector."""

MAX_ROWS = 40
"""Most frames listed on the terminal; frames.csv has all."""


def detect(
    paths: list[str],
    /,
    *,
    out: str,
    jobs: int = 1,
    force: Switch = False,
    scale_km: float | None = None,
    altitude_km: float | None = None,
    kernels: Files = (),
    json: Switch = False,
    debug: Switch = False,
    finder: Annotated[SpotFinder, Parameter(name="*", group="Detector", negative="")] = DEFAULT,
) -> int:
    """Find and measure spots in images; leave tables and pictures in a results folder.

    Parameters
    ----------
    paths
        Images, folders (searched through) or glob patterns.
    out
        Results folder: detections.csv, frames.csv, run.json, overlays/.
    jobs
        Worker processes; the results do not depend on it.
    force
        Replace the results of an earlier run in the folder.
    scale_km
        Kilometres per pixel, for all images; overrides labels and limb.
    altitude_km
        Kilometres above the surface, for all images; overrides labels and limb.
    kernels
        SPICE kernels or metakernels.
    json
        Print the summary as JSON.
    debug
        Print tracebacks.
    """
    from brightspot.batch import detect_folder  # here, so that --help is quick

    results: list[FrameResult] = []
    with _progress() as step:

        def keep(result: FrameResult) -> None:
            step(result)
            results.append(result)
            if debug and result.trace:
                print(result.trace, file=sys.stderr)

        summary = detect_folder(
            paths,
            out,
            finder,
            jobs=jobs,
            force=force,
            scale_km=scale_km,
            altitude_km=altitude_km,
            kernels=kernels,
            progress=keep,
        )
    if json:
        frames = [result.row for result in results]
        print_json({**dataclasses.asdict(summary), "n_frames": summary.n_frames, "frames": frames})
    else:
        _print_summary(summary, results)
    if summary.interrupted:
        done = count(summary.n_frames, "frame")
        return complain(f"interrupted: {done} done and kept in {summary.out}", INTERRUPTED)
    return SOME_FAILED if summary.n_failed else DONE


@contextmanager
def _progress() -> Iterator[Callable[[FrameResult], None]]:
    """A bar on stderr when it is a terminal; else only a line per failed frame."""
    if not sys.stderr.isatty():
        yield _say_failure
        return
    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.completed} frames"),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    # Without auto_refresh there is no thread, and worker processes may be forked beside it.
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task("", total=None)

        def step(result: FrameResult) -> None:
            bar.update(task, advance=1, description=printable(result.name), refresh=True)
            if result.status == "failed":
                console.print(_failure(result), markup=False, highlight=False, soft_wrap=True)

        yield step


def _say_failure(result: FrameResult) -> None:
    if result.status == "failed":
        print(_failure(result), file=sys.stderr)


def _failure(result: FrameResult) -> str:
    reason = str(result.row["reason"])
    line = reason if reason.startswith(result.name) else f"{result.name}: {reason}"
    return f"brightspot: {printable(line)}"


def _print_summary(summary: RunSummary, results: list[FrameResult]) -> None:
    """What a person wants to see first: a line per frame, and the sums."""
    head = ("frame", "status", "spots", "km/px", "from", "strongest km", "at N", "at E")
    print_table(head, [_summary_row(result) for result in results[:MAX_ROWS]])
    if len(results) > MAX_ROWS:
        print(f"... and {count(len(results) - MAX_ROWS, 'frame')} more in frames.csv")
    counts = f"{summary.n_ok} ok, {summary.n_skipped} skipped, {summary.n_failed} failed"
    print(
        f"{count(summary.n_detections, 'detection')} in {count(summary.n_frames, 'frame')} ({counts}), "
        f"{summary.seconds:.1f} s: {summary.out / 'detections.csv'}"
    )


def _summary_row(result: FrameResult) -> tuple[str, ...]:
    row = result.row
    first = max(result.detections, key=lambda d: d["snr"] if d["snr"] == d["snr"] else 0.0, default={})
    return (
        result.name,
        result.status,
        text_of(row.get("n_detections")),
        text_of(row.get("pixel_scale_km"), ".3g"),
        text_of(row.get("scale_source")),
        text_of(first.get("diameter_halfmax_km"), ".3g"),
        text_of(first.get("latitude_deg"), ".2f"),
        text_of(first.get("longitude_deg"), ".2f"),
    )
