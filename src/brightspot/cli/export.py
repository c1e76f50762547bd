"""`brightspot export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from brightspot.cli.printing import DONE, Switch, print_json, print_table, printable, say_unfinished


def export(
    results: str,
    /,
    *,
    format: Annotated[str, Parameter(name=["--format", "-f"])] = "csv",
    out: str | None = None,
    force: Switch = False,
    json: Switch = False,
) -> int:
    """Write the detections of a results folder in the formats of other programs.

    Formats: csv, parquet, ecsv, fits, votable (tables); geojson, gpkg, stac, jmars, sbmt (places on Ceres);
    reg, segmentation (places in each picture); pvl. A detection without latitude and longitude is left out
    of places on Ceres, and stderr says how many are.

    Parameters
    ----------
    results
        Results folder of detect.
    format
        One or more formats, joined by commas.
    out
        Folder for the files; the results folder itself if omitted.
    force
        Replace files of the same names in another folder.
    json
        Print what was written as JSON.
    """
    from brightspot.writers.export import export as write  # here, so that --help is quick

    done = write(results, format, out, force=force)
    say_unfinished(results)
    for item in done:
        for note in item.notes:
            print(f"brightspot: {item.format}: {printable(note)}", file=sys.stderr)
    if json:
        print_json([item._asdict() for item in done])
    else:
        print_table(("format", "written"), [(item.format, _named(item.path)) for item in done])
    return DONE


def _named(path: Path) -> str:
    return f"{path}/" if path.is_dir() else str(path)
