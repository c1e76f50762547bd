"""What the page says in words: summary, remarks, failures, settings and provenance."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from brightspot._version import __version__


def reason_of(row: Mapping[str, Any]) -> str:
    """Why a frame failed, without the name that stands beside it."""
    name, reason = str(row["frame"]), str(row["reason"])
    return reason.removeprefix(name).lstrip(": ") or reason


_ACTING = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(value: Any) -> Any:
    """Text in which control and direction characters are seen instead of acting; markup is left as it is."""
    if hasattr(value, "__html__"):
        return value
    return _ACTING.sub(lambda m: chr(0x2400 + ord(m[0])) if m[0] < " " else "\ufffd", str(value))


def count(number: int, noun: str) -> str:
    """``1 frame``, ``2,000 frames``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def lede(record: Mapping[str, Any]) -> str:
    """The line under the title: what this is, from which version, of when."""
    runs = record.get("runs") or [{}]
    when = str(runs[-1].get("finished") or "")[:16].replace("T", " ")
    text = f"Albedo outliers on Ceres, found by brightspot {record.get('brightspot', __version__)}"
    return f"{text}, {when} UTC" if when else text


def _spread(values: Sequence[float], unit: str) -> str:
    """Least and greatest of some numbers in words."""
    low, high = f"{min(values):.2g}", f"{max(values):.2g}"
    return f"{low} {unit}" if low == high else f"{low}\N{EN DASH}{high} {unit}"


def summary(
    record: Mapping[str, Any], frames: Sequence[Mapping[str, Any]], detections: Sequence[Mapping[str, Any]]
) -> list[tuple[str, str, str]]:
    """Terms, values and a smaller line under each, for the head of the page."""
    counts = dict.fromkeys(("ok", "skipped", "failed"), 0)
    for row in frames:
        counts[row["status"]] += 1
    states = ", ".join(f"{n:,} {status}" for status, n in counts.items() if n)
    dark = sum(row["polarity"] == "dark" for row in detections)
    placed = sum(row["latitude_deg"] is not None for row in detections)
    tiles = [
        ("Frames", f"{len(frames):,}", states),
        ("Detections", f"{len(detections):,}", f"{len(detections) - dark:,} bright, {dark:,} dark"),
        ("On the map", f"{placed:,}", "with latitude and longitude"),
    ]
    sizes = sorted(v for row in detections if (v := row["diameter_halfmax_km"]) is not None)
    if sizes:
        tiles.append(
            ("Diameters", _spread(sizes, "km"), f"median {sizes[len(sizes) // 2]:.3g} km, at half maximum")
        )
    scales = [v for row in frames if (v := row["pixel_scale_km"]) is not None]
    if scales:
        sources = sorted({str(row["scale_source"]) for row in frames if row["scale_source"]})
        tiles.append(("Pixel scale", _spread(scales, "km"), f"from {', '.join(sources)}"))
    times = sorted(
        str(row["start_time"])[:10] for row in frames if row["start_time"] and row["status"] == "ok"
    )
    if times:
        span = times[0] if times[0] == times[-1] else f"to {times[-1]}"
        tiles.append(("Observed", times[0], span if span != times[0] else ""))
    runs = [run for run in record.get("runs") or () if run.get("seconds")]
    if runs:
        calls = "in one go" if len(runs) == 1 else f"in {count(len(runs), 'run')}"
        tiles.append(("Time", _duration(sum(run["seconds"] for run in runs)), calls))
    return tiles


def _duration(seconds: float) -> str:
    """A time span in words."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def remarks(record: Mapping[str, Any], frames: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a reader must know before believing the page."""
    state = record.get("state", "finished")
    remarks = []
    if state != "finished":
        done = count(len(frames), "frame")
        remarks.append(f"The run was {state} when this page was made: it shows the {done} done by then.")
    if not frames:
        remarks.append("No frame was finished in this run.")
    return remarks


def records(record: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Tables of settings and provenance: caption, and rows of key and value."""
    known = ("settings", "libraries", "columns", "counts", "inputs", "runs")
    run = [(key, _said(value)) for key, value in record.items() if key not in known]
    last = (record.get("runs") or [{}])[-1]
    run += [(key.replace("_", " "), _said(value)) for key, value in last.items() if key != "state"]
    tables = [
        ("Settings", [(key, _said(value)) for key, value in (record.get("settings") or {}).items()]),
        ("Run", run),
        ("Libraries", [(key, _said(value)) for key, value in (record.get("libraries") or {}).items()]),
    ]
    return [(caption, rows) for caption, rows in tables if rows]


def _said(value: Any) -> str:
    """A value of the record in words."""
    if value is None or value == [] or value == "":
        return "\N{EN DASH}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_said, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_said(item)}" for key, item in value.items())
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text[:19].replace("T", " ") if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.+]+", text) else text
