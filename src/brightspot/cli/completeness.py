"""`brightspot completeness`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    print_table,
    printable,
)
from brightspot.completeness import Plan, completeness_folder, false_alarm_line, smallest_diameter
from brightspot.finder import SpotFinder

if TYPE_CHECKING:
    import pandas as pd

    from brightspot.completeness.run import Step

    Tell = Callable[[dict[str, Any]], None]

DEFAULT_FINDER, DEFAULT_PLAN = SpotFinder(), Plan()


def completeness(
    paths: list[str],
    /,
    *,
    out: str,
    jobs: int = 1,
    force: Switch = False,
    scale_km: float | None = None,
    altitude_km: float | None = None,
    kernels: Files = (),
    plan: Annotated[
        Plan, Parameter(name="*", group="Spots put in", negative="", consume_multiple=True)
    ] = DEFAULT_PLAN,
    finder: Annotated[SpotFinder, Parameter(name="*", group="Detector", negative="")] = DEFAULT_FINDER,
) -> int:
    """Put spots of known size and contrast into your images and see which of them are found.

    Answers: how small and how faint a spot would have been found in these images, in this light, and how far
    off are its position, size and contrast. The light of the ground is multiplied by the spot's contrast, so
    relief, noise, blur, saturation and rounding are those of the image.

    Parameters
    ----------
    paths
        Images, folders (searched through) or glob patterns.
    out
        Folder: completeness.csv (one row per spot), recovery.csv, frames.csv, completeness.png, run.json.
    jobs
        Worker processes, one input each; the results do not depend on it.
    force
        Replace an earlier run of this command in the folder.
    scale_km
        Kilometres per pixel, for all images; overrides labels and limb.
    altitude_km
        Kilometres above the surface, for all images; overrides labels and limb.
    kernels
        SPICE kernels or metakernels.
    """
    with _progress() as (step, tell):
        result = completeness_folder(
            paths,
            out,
            finder,
            plan,
            jobs=jobs,
            force=force,
            scale_km=scale_km,
            altitude_km=altitude_km,
            kernels=kernels,
            step=step,
            told=tell,
        )
    _print_recovery(result.recovery)
    line = false_alarm_line(result.frames)
    if line:
        print(line)
    n_done = int((result.frames["status"] == "ok").sum())
    print(f"{count(len(result.spots), 'spot')} in {count(n_done, 'frame')}: {out}")
    if result.interrupted:
        return complain(f"interrupted: what was done is in {out}", INTERRUPTED)
    if result.spots.empty:
        return complain(_nothing_put_in(result.frames, out), SOME_FAILED)
    return SOME_FAILED if (result.frames["status"] == "failed").any() else DONE


@contextmanager
def _progress() -> Iterator[tuple[Step | None, Tell]]:
    """A line per frame on stderr, and a bar when it is a terminal."""
    if not sys.stderr.isatty():
        yield None, lambda facts: print(_line(facts), file=sys.stderr, flush=True)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} spots"),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    # Without auto_refresh there is no thread, and worker processes may be forked beside it.
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task("", total=1)

        def step(name: str, done: int, wanted: int) -> None:
            bar.update(task, completed=done, total=wanted, description=printable(name), refresh=True)

        def tell(facts: dict[str, Any]) -> None:
            console.print(_line(facts), markup=False, highlight=False, soft_wrap=True)

        yield step, tell


def _line(facts: dict[str, Any]) -> str:
    """What became of one frame."""
    name, reason = facts["frame"], facts["reason"]
    if facts["status"] == "ok" and facts["n_spots"]:
        line = f"{name}: {facts['n_found']} of {count(facts['n_spots'], 'spot')} found"
    else:
        line = str(reason) if str(reason).startswith(name) else f"{name}: {reason}"
    return f"brightspot: {printable(line)}"


def _nothing_put_in(frames: pd.DataFrame, out: str) -> str:
    """Why a run has no spots, and what to do."""
    if (frames["status"] == "ok").any():
        return "none of the spots fits anywhere in these images: ask for smaller --diameters"
    return f"no spot was put in: no image could be used; {out}/frames.csv says why"


def _print_recovery(recovery: pd.DataFrame) -> None:
    """Per cent found, a row per contrast and a column per diameter."""
    if recovery.empty:
        return
    unit = recovery["planned_unit"].iloc[0]
    whole = recovery[recovery["incidence_low_deg"].isna() & recovery["planned_diameter"].notna()]
    sizes = sorted(set(whole["planned_diameter"]))
    head = ("contrast", *(f"{size:g} {unit}" for size in sizes), f"50% from {unit}", f"90% from {unit}")
    rows = []
    for contrast in sorted(set(whole["contrast"])):
        part = whole[whole["contrast"] == contrast].set_index("planned_diameter")
        cells = [f"{100 * part['recovery'][size]:.0f}%" if size in part.index else "-" for size in sizes]
        limits = [smallest_diameter(recovery, contrast, share) for share in (0.5, 0.9)]
        rows.append((f"{contrast:g}", *cells, *("-" if v != v else f"{v:.1f}" for v in limits)))
    print_table(head, rows)
