"""`brightspot detect`."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from typing import TYPE_CHECKING, Annotated, Any

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
from brightspot.errors import UsageError
from brightspot.finder import SpotFinder

if TYPE_CHECKING:
    from brightspot.batch import RunSummary
    from brightspot.journal import Results

DEFAULT = SpotFinder()
"""The settings whose fields are the options of the detector."""

MAX_ROWS = 40
"""Most frames listed on the terminal; frames.csv has all."""

MAX_FAILURES = 20
"""Most failed frames of earlier runs named again; frames.csv has all."""


def detect(
    paths: list[str],
    /,
    *,
    out: str,
    jobs: int | None = None,
    force: Switch = False,
    scale_km: float | None = None,
    altitude_km: float | None = None,
    kernels: Files = (),
    overlays: bool = True,
    timeout: float | None = None,
    memory_gb: float | None = None,
    shard: str | None = None,
    scheduler: str | None = None,
    log_json: str | None = None,
    export: str | None = None,
    json: Switch = False,
    debug: Switch = False,
    finder: Annotated[SpotFinder, Parameter(name="*", group="Detector", negative="")] = DEFAULT,
) -> int:
    """Find and measure spots in images; leave tables and pictures in a results folder.

    The same command again does only what is missing, has changed or failed for a passing reason.

    Parameters
    ----------
    paths
        Images, folders (searched through), glob patterns or URLs.
    out
        Results folder: run.sqlite, detections.csv, frames.csv, run.json, report.html, overlays/.
    jobs
        Worker processes; by default one per core. The results do not depend on it.
    force
        Replace the results of an earlier run in the folder.
    scale_km
        Kilometres per pixel, for all images; overrides labels and limb.
    altitude_km
        Kilometres above the surface, for all images; overrides labels and limb.
    kernels
        SPICE kernels or metakernels.
    overlays
        Draw a picture per frame.
    timeout
        Seconds one frame may take; then its worker is ended and the frame has failed.
    memory_gb
        Memory in GiB a worker may fill; then likewise (Linux).
    shard
        I/N: only the I-th of N parts of the images; join the parts with brightspot merge.
    scheduler
        Address of a Dask scheduler (tcp://host:8786) whose workers do the frames.
    log_json
        Append one JSON object per frame to this file.
    export
        Write the detections in these formats too, joined by commas, as brightspot export does.
    json
        Print the summary as JSON.
    debug
        Print tracebacks.
    """
    from brightspot.batch import detect_folder  # here, so that --help is quick
    from brightspot.cli.watching import Watcher
    from brightspot.journal import open_results

    part = None if shard is None else parse_shard(shard)
    formats = [] if export is None else parse_formats(export)
    with Watcher(out, log_json, debug=debug) as watcher:
        try:
            summary = detect_folder(
                paths,
                out,
                finder,
                jobs=jobs,
                force=force,
                scale_km=scale_km,
                altitude_km=altitude_km,
                kernels=kernels,
                overlays=overlays,
                timeout_s=timeout,
                memory_gb=memory_gb,
                shard=part,
                scheduler=scheduler,
                progress=watcher.step,
                watch=watcher.look,
            )
        except KeyboardInterrupt:
            return complain(
                f"stopped at once; finished frames are kept in {out}: run the same command again to go on",
                INTERRUPTED,
            )
        watcher.end(summary)
    watcher.say_older_failures(summary, MAX_FAILURES)
    if formats:
        from brightspot.writers.export import export as write_exports

        for item in write_exports(summary.out, formats):
            for note in item.notes:
                print(f"brightspot: {item.format}: {printable(note)}", file=sys.stderr)
    with open_results(summary.out) as results:
        if json:
            _print_record(summary, results)
        else:
            _print_summary(summary, results)
    if summary.interrupted:
        done = count(summary.n_frames, "frame")
        return complain(
            f"interrupted: {done} done and kept in {summary.out}; run the same command again to go on",
            INTERRUPTED,
        )
    return SOME_FAILED if summary.n_failed else DONE


def parse_shard(text: str) -> tuple[int, int]:
    """``3/16`` as (3, 16)."""
    part, slash, parts = text.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise UsageError(f"--shard {text}: give a part I/N with I from 1 to N, such as 3/16")
    return int(part), int(parts)


def parse_formats(text: str) -> list[str]:
    """Names of export formats, refused before a long run and not after it."""
    from brightspot.writers.export import FORMATS

    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise UsageError(f"--export {text}: choose of {', '.join(FORMATS)}")
    return names


def _print_record(summary: RunSummary, results: Results) -> None:
    frames = list(results.frame_rows())
    print_json({**dataclasses.asdict(summary), "n_frames": summary.n_frames, "frames": frames})


def _print_summary(summary: RunSummary, results: Results) -> None:
    """What a person wants to see first: a line per frame, and the sums."""
    rows = list(itertools.islice(results.frame_rows(), MAX_ROWS))
    strongest: dict[str, dict[str, Any]] = {}
    names = {row["frame"] for row in rows}
    for detection in itertools.takewhile(lambda d: d["frame"] in names, results.detection_rows()):
        best = strongest.setdefault(detection["frame"], detection)
        if (detection["snr"] or 0.0) > (best["snr"] or 0.0):
            strongest[detection["frame"]] = detection
    head = ("frame", "status", "spots", "km/px", "from", "strongest km", "at N", "at E")
    print_table(head, [_summary_row(row, strongest.get(row["frame"], {})) for row in rows])
    if summary.n_frames > len(rows):
        print(f"... and {count(summary.n_frames - len(rows), 'frame')} more in frames.csv")
    counts = f"{summary.n_ok} ok, {summary.n_skipped} skipped, {summary.n_failed} failed"
    kept = f", {count(summary.n_kept, 'input')} done before" if summary.n_kept else ""
    print(
        f"{count(summary.n_detections, 'detection')} in {count(summary.n_frames, 'frame')} ({counts}{kept}), "
        f"{summary.seconds:.1f} s: {summary.out / 'detections.csv'}"
    )


def _summary_row(row: dict[str, Any], strongest: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(row["frame"]),
        str(row["status"]),
        text_of(row["n_detections"]),
        text_of(row["pixel_scale_km"], ".3g"),
        text_of(row["scale_source"]),
        text_of(strongest.get("diameter_halfmax_km"), ".3g"),
        text_of(strongest.get("latitude_deg"), ".2f"),
        text_of(strongest.get("longitude_deg"), ".2f"),
    )
