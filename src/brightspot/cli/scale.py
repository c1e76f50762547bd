"""`brightspot scale`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from brightspot import articles
from brightspot.cli.printing import (
    DONE,
    SOME_FAILED,
    Files,
    Switch,
    complain,
    frames_of,
    print_json,
    print_table,
    printable,
    text_of,
)
from brightspot.errors import UsageError
from brightspot.frame import locate
from brightspot.scale import article_table, explain, pixel_scale_km


def scale(
    paths: list[str] | None = None,
    /,
    *,
    altitude_km: float | None = None,
    date: str | None = None,
    filter: int = 1,
    scale_km: float | None = None,
    kernels: Files = (),
    json: Switch = False,
) -> int:
    """Kilometres per pixel: what articles say, what the camera predicts, what an image tells.

    Without arguments: the table of what articles of 2015 report, beside the prediction, with a verdict each.

    Parameters
    ----------
    paths
        Images: every source of the scale for each, which one is believed, and why.
    altitude_km
        Kilometres above the surface: the camera's scale from there. With images: overrides theirs.
    date
        A day such as 2015-04-15: what the articles report for it.
    filter
        Filter of the camera, 1 to 8.
    scale_km
        Kilometres per pixel; overrides the sources of the images.
    kernels
        SPICE kernels or metakernels.
    json
        Print JSON.
    """
    if not 1 <= filter <= 8:
        raise UsageError(f"filter {filter}: the Framing Cameras have filters 1 to 8")
    if paths:
        if date is not None:
            raise UsageError("--date goes without images")
        return _scale_of_images(paths, scale_km, altitude_km, kernels, json)
    if scale_km is not None or kernels:
        raise UsageError("--scale-km and --kernels go with images")
    if altitude_km is not None:
        if date is not None:
            raise UsageError("give either --altitude-km or --date, not both")
        value = pixel_scale_km(altitude_km, filter)
        record = {"altitude_km": altitude_km, "filter": filter, "pixel_scale_km": value}
        print_json(record) if json else print(
            f"{value:.4g} km per pixel from {altitude_km:,.10g} km, filter {filter}"
        )
        return DONE
    if date is not None:
        return _scale_of_date(date, filter, json)
    rows = article_table()
    print_json(rows) if json else _print_articles(rows)
    return DONE


def _scale_of_date(date: str, filter_number: int, json: bool) -> int:
    observation = articles.match(date=date)
    if observation is None:
        raise UsageError(
            f"no article reports a view of {date}; `brightspot scale` lists those that are reported"
        )
    predicted = pixel_scale_km(observation.altitude_km, filter_number)
    if json:
        print_json({**dataclasses.asdict(observation), "pixel_scale_km": predicted})
        return DONE
    stated = "none stated" if observation.km_per_pixel is None else f"{observation.km_per_pixel:.4g} stated"
    where = f"from {observation.altitude_km:,.0f} km, filter {filter_number}"
    print(f"{predicted:.4g} km per pixel {where} ({stated}): {observation.name}, {observation.told_by}")
    return DONE


def _print_articles(rows: list[dict[str, Any]]) -> None:
    """The articles' statements, one table per kind."""
    columns = {
        "scale": (
            ("told_by", "told by", ""),
            ("date", "date", ""),
            ("what", "view", ""),
            ("miles", "miles", ",.0f"),
            ("km", "km above surface", ",.0f"),
            ("predicted_km_per_pixel", "predicted km/px", ".3g"),
            ("stated_km_per_pixel", "stated", ".3g"),
            ("difference_percent", "differs %", "+.1f"),
            ("verdict", "verdict", ""),
        ),
        "miles": (
            ("told_by", "told by", ""),
            ("what", "what", ""),
            ("miles", "miles", ",.10g"),
            ("km_from_miles", "= km", ",.1f"),
            ("km", "told km", ",.10g"),
            ("difference_percent", "differs %", "+.1f"),
            ("verdict", "verdict", ""),
            ("right", "right", ""),
        ),
        "claim": (
            ("told_by", "told by", ""),
            ("what", "told", ""),
            ("verdict", "verdict", ""),
            ("right", "right", ""),
        ),
    }
    for number, (kind, shown) in enumerate(columns.items()):
        if number:
            print()
        cells = [[text_of(row[key], form) for key, _, form in shown] for row in rows if row["kind"] == kind]
        print_table([head for _, head, _ in shown], cells)


def _scale_of_images(
    paths: Sequence[str],
    scale_km: float | None,
    altitude_km: float | None,
    kernels: tuple[str, ...],
    json: bool,
) -> int:
    records, failed = [], 0
    for frame, problem in frames_of(paths):
        if frame is None:
            failed += 1
            complain(problem, SOME_FAILED)
            continue
        if frame.target not in (None, "CERES"):
            failed += 1
            complain(f"{frame.name}: target is {frame.target}, not Ceres", SOME_FAILED)
            continue
        frame = locate(frame, scale_km=scale_km, altitude_km=altitude_km, kernels=kernels)
        rows = explain(frame)
        if json:
            records.append({"frame": frame.name, "sources": rows, "conflicts": frame.scale.conflicts})
            continue
        print(printable(f"{frame.name}: {text_of(frame.scale.pixel_scale_km, '.4g')} km per pixel"))
        table = [
            (
                "believed" if row["believed"] else "",
                row["source"],
                text_of(row["km_per_pixel"], ".4g"),
                text_of(row["error_km_per_pixel"], ".2g"),
                row["why"],
            )
            for row in rows
        ]
        print_table(("", "source", "km/px", "error", "why"), table)
        for conflict in frame.scale.conflicts:
            print(printable(f"conflict: {conflict}"))
        print()
    if json:
        print_json(records)
    return SOME_FAILED if failed else DONE
