"""What the commands share: exit codes, kinds of options, tables and complaints."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from brightspot.errors import BrightspotError, UsageError

if TYPE_CHECKING:
    from brightspot.frame import Frame

DONE, SOME_FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""

Switch = Annotated[bool, Parameter(negative="")]
Files = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")]


def complain(message: object, code: int) -> int:
    """One line on stderr; returns the exit code."""
    print(f"brightspot: {printable(str(message))}", file=sys.stderr)
    return code


def text_of(value: Any, form: str = "") -> str:
    """A value for a table; unknown ones are a dash."""
    return "-" if value is None or value != value or value == "" else format(value, form)


def count(number: int, noun: str) -> str:
    """``1 frame``, ``2 frames``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns under their heads, two spaces apart; never wrapped or cut, so that `grep` and `cut` work."""
    table = [[printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[k]) for row in table) for k in range(len(head))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def printable(text: str) -> str:
    """Text without anything that could drive the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def print_json(value: Any) -> None:
    """JSON on stdout; unknown values are null."""
    from brightspot.writers import json_text

    print(json_text(value))


def frames_of(paths: Sequence[str]) -> Iterator[tuple[Frame | None, str]]:
    """Frames of all inputs; for one that cannot be read, None and the reason."""
    from brightspot.batch import no_images
    from brightspot.readers import find_inputs, read_frames

    found = False
    for item in find_inputs(paths):
        found = True
        try:
            for frame in read_frames(item):
                yield frame, ""
        except BrightspotError as error:
            yield None, str(error)
    if not found:
        raise UsageError(no_images(paths))


def say_unfinished(folder: str) -> None:
    """A line on stderr where a results folder is that of a run at work or ended early."""
    from brightspot.journal import open_results

    with open_results(folder) as results:
        state = results.record.get("state")
        if state != "finished":
            frames = count(sum(results.counts().get(s, 0) for s in ("ok", "skipped", "failed")), "frame")
            complain(f"{folder}: the run is not finished ({state}); {frames} so far", DONE)
