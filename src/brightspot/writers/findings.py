"""What is exported: the detections of a results folder, or of one `Detection`, seen in the same way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from brightspot import ceres
from brightspot._version import __version__
from brightspot.finder import Detection
from brightspot.journal import Results, open_results
from brightspot.outline import Outline, unpack
from brightspot.writers.tables import detection_rows

if TYPE_CHECKING:
    import pandas as pd


class FrameFindings(NamedTuple):
    """One frame: its row of ``frames.csv``, its detections, and the outline of each (None: not kept)."""

    row: Mapping[str, Any]
    detections: Sequence[Mapping[str, Any]]
    outlines: Sequence[Outline | None]

    @property
    def name(self) -> str:
        """The frame's name."""
        return str(self.row["frame"])

    @property
    def shape(self) -> tuple[int, int] | None:
        """Rows and columns; None where the frame could not be read."""
        rows, columns = self.row.get("n_y"), self.row.get("n_x")
        return None if rows is None or columns is None else (int(rows), int(columns))


@dataclass(frozen=True)
class Findings:
    """All that the writers of exports may ask for.

    Attributes
    ----------
    table : callable
        Gives the detections as one DataFrame, columns as in ``COLUMNS``.
    frames : callable
        Gives the frames with their detections and outlines one by one.
    facts : dict
        Short texts for headers: program, body, figure, pole, what latitude and longitude mean.
    results : Results or None
        The results folder they come from.
    """

    table: Callable[[], pd.DataFrame]
    frames: Callable[[], Iterator[FrameFindings]]
    facts: dict[str, str]
    results: Results | None = None


def facts(version: str = __version__, started: object = None) -> dict[str, str]:
    """Where the numbers come from and on which body they lie."""
    a, _, c = ceres.RADII_KM
    said = {
        "creator": f"brightspot {version}",
        "body": "Ceres",
        "ellipsoid": f"spheroid, {a:g} x {a:g} x {c:g} km",
        "pole_and_meridian": ceres.ORIENTATION.source,
        "coordinates": "planetocentric latitude, east longitude 0 to 360",
        "pixels": "centres are whole numbers from 0, row 0 at the top of the upright picture",
    }
    return said if started is None else {**said, "detected": str(started)}


def ascii_text(text: object) -> str:
    """Text for formats that hold printable ASCII only: everything else is spelled out as an escape."""
    escaped = str(text).encode("ascii", "backslashreplace").decode()
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in escaped)


@contextmanager
def findings_of(results: str | os.PathLike[str] | Detection) -> Iterator[Findings]:
    """The findings in a results folder, or of one detection."""
    if isinstance(results, Detection):
        yield _of_detection(results)
        return
    with open_results(Path(results)) as journal:

        def frames() -> Iterator[FrameFindings]:
            for _, kept in journal.entries():
                for frame in kept:
                    outlines = [None if data is None else unpack(data) for data in frame.outlines]
                    yield FrameFindings(frame.row, frame.detections, outlines)

        head = journal.head()
        said = facts(head.get("brightspot", ""), head.get("started"))
        yield Findings(journal.detections, frames, said, journal)


def _of_detection(detection: Detection) -> Findings:
    frame = detection.frame
    # As the journal has it: a file name need not be valid UTF-8, but what is written must be.
    name = frame.name.encode("utf-8", "backslashreplace").decode("utf-8")
    catalog = detection.catalog.assign(frame=name)
    row = {
        "frame": name,
        "status": "ok",
        "n_x": frame.shape[1],
        "n_y": frame.shape[0],
        "camera": frame.camera,
        "filter": frame.filter_number,
        "start_time": frame.start_time,
    }

    def frames() -> Iterator[FrameFindings]:
        yield FrameFindings(row, detection_rows(catalog), detection.outlines())

    return Findings(lambda: catalog, frames, facts())
