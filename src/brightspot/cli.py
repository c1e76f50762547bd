"""The command line: `brightspot detect`, `info`, `scale`, `show`, `simulate`.

Results go to stdout, talk and progress to stderr. Exit codes: 0 all frames done, 1 some failed,
2 wrong use, 130 interrupted. The stations, and numpy with them, are imported inside the commands:
``brightspot --help`` needs none of them.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from brightspot._version import __version__
from brightspot.errors import BrightspotError, UsageError

if TYPE_CHECKING:
    from brightspot.batch import FrameResult, RunSummary

DONE, SOME_FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""

MAX_ROWS = 40
"""Most frames listed on the terminal; frames.csv has all."""

Switch = Annotated[bool, Parameter(negative="")]
Files = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")]

COMMANDS = {
    "detect": "Find and measure spots in images; leave tables and pictures in a results folder.",
    "info": "Say what an image is: camera, time, unit, lighting, scale.",
    "scale": "Kilometres per pixel: what articles say, what the camera predicts, what an image tells.",
    "show": "Draw one image and its spots into a picture file.",
    "simulate": "Render Framing Camera frames of Ceres with known spots.",
}

app = App(
    name="brightspot",
    help="Find albedo outliers on Ceres in Dawn Framing Camera images and measure them in kilometres.",
    version=__version__,
    help_format="plaintext",
    result_action="return_value",
)
# Registered by name: cyclopts looks a command up when it is called, so `--help` imports no station.
for _name, _help in COMMANDS.items():
    app.command(f"brightspot.cli:{_name}", name=_name, help=_help)


def main(tokens: Sequence[str] | None = None) -> None:
    """Entry point of ``brightspot`` and ``python -m brightspot``: runs one command and exits."""
    sys.exit(run(tokens))


def run(tokens: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    tokens = list(sys.argv[1:] if tokens is None else tokens)
    try:
        code = app(tokens or ["--help"], exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        return _complain(f"{' '.join(str(error).split())} (see brightspot --help)", WRONG_USE)
    except BrokenPipeError:  # whoever read our stdout went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except Exception as error:
        if "--debug" in tokens:
            raise
        if isinstance(error, BrightspotError):
            return _complain(error, WRONG_USE if isinstance(error, UsageError) else SOME_FAILED)
        return _complain(f"{type(error).__name__}: {error} (detect --debug shows where)", SOME_FAILED)
    return code if isinstance(code, int) else DONE


def _complain(message: object, code: int) -> int:
    print(f"brightspot: {_printable(str(message))}", file=sys.stderr)
    return code


# ---------------------------------------------------------------- detect


def __getattr__(name: str) -> Any:
    """`detect` is completed on first use: its options are SpotFinder's fields, and that needs numpy."""
    if name != "detect":
        raise AttributeError(name)
    from brightspot.finder import SpotFinder

    options = Parameter(name="*", group="Detector", negative="")
    _detect.__annotations__["finder"] = Annotated[SpotFinder, options]
    _detect.__kwdefaults__ = {**(_detect.__kwdefaults__ or {}), "finder": SpotFinder()}
    return _detect


def _detect(
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
    finder: Any = None,
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
    from brightspot.batch import detect_folder

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
        _print_json({**dataclasses.asdict(summary), "n_frames": summary.n_frames, "frames": frames})
    else:
        _print_summary(summary, results)
    if summary.interrupted:
        done = _count(summary.n_frames, "frame")
        return _complain(f"interrupted: {done} done and kept in {summary.out}", INTERRUPTED)
    return SOME_FAILED if summary.n_failed else DONE


@contextmanager
def _progress() -> Iterator[Callable[[FrameResult], None]]:
    """A bar on stderr when it is a terminal; else only a line per failed frame."""
    if not sys.stderr.isatty():
        yield _say_failure
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.completed} frames"),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)

        def step(result: FrameResult) -> None:
            bar.update(task, advance=1, description=_printable(result.name))
            if result.status == "failed":
                console.print(_failure(result), markup=False, highlight=False, soft_wrap=True)

        yield step


def _say_failure(result: FrameResult) -> None:
    if result.status == "failed":
        print(_failure(result), file=sys.stderr)


def _failure(result: FrameResult) -> str:
    reason = str(result.row["reason"])
    line = reason if reason.startswith(result.name) else f"{result.name}: {reason}"
    return f"brightspot: {_printable(line)}"


def _print_summary(summary: RunSummary, results: list[FrameResult]) -> None:
    """What a person wants to see first: a line per frame, and the sums."""
    head = ("frame", "status", "spots", "km/px", "from", "largest km", "at N", "at E")
    _print_table(head, [_summary_row(result) for result in results[:MAX_ROWS]])
    if len(results) > MAX_ROWS:
        print(f"... and {_count(len(results) - MAX_ROWS, 'frame')} more in frames.csv")
    counts = f"{summary.n_ok} ok, {summary.n_skipped} skipped, {summary.n_failed} failed"
    print(
        f"{_count(summary.n_detections, 'detection')} in {_count(summary.n_frames, 'frame')} ({counts}), "
        f"{summary.seconds:.1f} s: {summary.out / 'detections.csv'}"
    )


def _summary_row(result: FrameResult) -> tuple[str, ...]:
    row = result.row
    # Rows come largest excess first.
    first = result.detections[0] if result.detections else {}
    return (
        result.name,
        result.status,
        _text(row.get("n_detections")),
        _text(row.get("pixel_scale_km"), ".3g"),
        _text(row.get("scale_source")),
        _text(first.get("diameter_halfmax_km"), ".3g"),
        _text(first.get("latitude_deg"), ".2f"),
        _text(first.get("longitude_deg"), ".2f"),
    )


# ---------------------------------------------------------------- printing


def _text(value: Any, form: str = "") -> str:
    """A value for a table; unknown ones are a dash."""
    return "-" if value is None or value != value or value == "" else format(value, form)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns under their heads, two spaces apart; never wrapped or cut, so that `grep` and `cut` work."""
    table = [[_printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[k]) for row in table) for k in range(len(head))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _printable(text: str) -> str:
    """Text without anything that could drive the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _print_json(value: Any) -> None:
    from brightspot.writers import json_text

    print(json_text(value))
