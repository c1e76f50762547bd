"""The page itself: what a run found, put into a template with its style, its script and its pictures.

Whatever comes from files (names, reasons, settings) is text in the page: escaped by the template, or JSON in
a block that no HTML can end, which the script shows as text only. A Content-Security-Policy allows no script
and no style but the page's own, known by their hashes, and nothing from any network.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from brightspot import gazetteer
from brightspot._version import __version__
from brightspot.errors import UsageError
from brightspot.report import words
from brightspot.report.data import shown_data
from brightspot.report.preview import PREVIEW_PX, read_shown
from brightspot.writers import OVERLAYS, REPORT, json_text, replacing

if TYPE_CHECKING:
    from brightspot.journal import Results

PICTURES = "report_files"
"""Folder for the pictures that the page has no room for."""

EMBEDDED_BYTES = 30_000_000
"""Base64 text of pictures that the page holds at most; others stand in `PICTURES` beside it."""

LISTED_FAILURES = 100
"""Failures told above the table of frames."""

SCRIPTS = ("dom.js", "data.js", "grid.js", "view.js", "picture.js", "map.js", "main.js")
"""Parts of the page's script, in order."""


def write_report(
    results: Results, path: str | os.PathLike[str] | None = None, *, embedded_bytes: int = EMBEDDED_BYTES
) -> Path:
    """Write the page that shows a run: table, pictures, map, failures, settings.

    Parameters
    ----------
    results : Results
        As `brightspot.journal.open_results` gives it.
    path : path-like, optional
        Where to; ``report.html`` in the results folder if omitted. Replaced in one step.
    embedded_bytes : int
        Room for pictures in the page. Those of frames with detections go first; what finds no room is
        written to the folder ``report_files`` beside the page.

    Returns
    -------
    Path
        The path written.

    Raises
    ------
    UsageError
        If the folder cannot be written.
    """
    path = Path(path) if path is not None else results.folder / REPORT
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageError(f"{path.parent}: no permission to write a report there")
    frames = list(results.frame_rows())
    detections = list(results.detection_rows())
    number = {str(row["frame"]): k for k, row in enumerate(frames)}
    pictures = _Pictures(number, path.parent / PICTURES, embedded_bytes)
    pictures.share_out(results, frames)
    page = _page(results, frames, detections, pictures, path)
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(page)
    return path


def _page(
    results: Results,
    frames: list[dict[str, Any]],
    detections: list[dict[str, Any]],
    pictures: _Pictures,
    path: Path,
) -> Iterator[str]:
    """The page's text, piece by piece: its pictures are never all in memory."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    record = results.head()
    style, script = _asset("style.css"), _script()
    failures = [(str(row["frame"]), words.reason_of(row)) for row in frames if row["status"] == "failed"]
    name = results.folder.resolve().name
    data = {
        **shown_data(frames, detections, results.iter_outlines()),
        "pictures": pictures.shown,
        "overlays": quote(Path(os.path.relpath(results.folder / OVERLAYS, path.parent)).as_posix()),
    }
    environment = Environment(autoescape=True, undefined=StrictUndefined, finalize=words.visible)
    return environment.from_string(_asset("page.html")).generate(
        policy=_policy(style, script),
        version=__version__,
        title=f"{name}: brightspot report",
        heading=name,
        lede=words.lede(record),
        summary=words.summary(record, frames, detections),
        remarks=words.remarks(record, frames),
        n_failed=len(failures),
        failures=failures[:LISTED_FAILURES],
        names_source=gazetteer.SOURCE,
        records=words.records(record),
        pictures=pictures.told(),
        style=Markup(style),
        script=Markup(script),
        data=Markup(script_json(data)),
        embedded=pictures.embedded(results),
    )


def script_json(value: Any) -> str:
    """JSON that may stand in a script element: nothing in it ends the element or begins a comment."""
    text = json_text(value, indent=None)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _asset(name: str) -> str:
    return resources.files("brightspot.report").joinpath("page", name).read_text(encoding="utf-8")


def _script() -> str:
    parts = "\n".join(_asset(name) for name in SCRIPTS)
    return f'"use strict";\n{{\n{parts}}}\n'


def _policy(style: str, script: str) -> str:
    """Content-Security-Policy: only this style, this script and pictures from the page or beside it."""
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    return (
        f"default-src 'none'; script-src 'sha256-{script_hash}'; style-src 'sha256-{style_hash}'; "
        "img-src 'self' file: data:; base-uri 'none'; form-action 'none'"
    )


@dataclass
class _Pictures:
    """Which previews the page holds, and which stand beside it."""

    number: Mapping[str, int]
    folder: Path
    room: int
    shown: list[dict[str, Any] | None] = field(default_factory=list)
    inside: set[int] = field(default_factory=set)

    def share_out(self, results: Results, frames: Sequence[Mapping[str, Any]]) -> None:
        """Read every preview once: note what it shows, and write those without room beside the page."""
        self.shown = [None] * len(frames)
        lengths = {}
        for name, jpeg in results.previews():
            k = self.number[name]
            self.shown[k] = read_shown(jpeg)._asdict()
            lengths[k] = 4 * -(-len(jpeg) // 3)
        left = self.room
        for k in sorted(lengths, key=lambda k: (not frames[k]["n_detections"], k)):
            if lengths[k] > left:
                break
            left -= lengths[k]
            self.inside.add(k)
        self._write_beside(results, len(lengths) > len(self.inside))

    def _write_beside(self, results: Results, needed: bool) -> None:
        if self.folder.is_dir():
            for old in self.folder.iterdir():
                if re.fullmatch(r"\d{6}\.jpg", old.name):
                    old.unlink()
        if not needed:
            if self.folder.is_dir() and not any(self.folder.iterdir()):
                self.folder.rmdir()
            return
        self.folder.mkdir(exist_ok=True)
        for name, jpeg in results.previews():
            k = self.number[name]
            shown = self.shown[k]
            if k not in self.inside and shown is not None:
                file = f"{k:06d}.jpg"
                (self.folder / file).write_bytes(jpeg)
                shown["file"] = f"{PICTURES}/{file}"

    def embedded(self, results: Results) -> Iterator[tuple[int, str]]:
        """Number of the frame, and its preview in base64."""
        for name, jpeg in results.previews():
            k = self.number[name]
            if k in self.inside:
                yield k, base64.b64encode(jpeg).decode("ascii")

    def told(self) -> str:
        """Where the pictures are, in words."""
        beside = sum(shown is not None for shown in self.shown) - len(self.inside)
        inside = words.count(len(self.inside), "frame")
        text = f"Pictures of {inside} are in this page, at most {PREVIEW_PX} pixels a side"
        if beside:
            text += (
                f"; those of {words.count(beside, 'frame')} more are in the folder {PICTURES} beside it: "
                "keep the two together"
            )
        return f"{text}. Pictures in full are in the folder {OVERLAYS}."
