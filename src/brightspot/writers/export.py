"""Detections in the formats of other programs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from brightspot.errors import UsageError
from brightspot.finder import Detection
from brightspot.journal import JOURNAL
from brightspot.writers import catalogs, marks, places, segments
from brightspot.writers.findings import Findings, findings_of
from brightspot.writers.tables import saving


class Format(NamedTuple):
    """What a format is called on disk, what it is, and who writes it (its remarks, if any, come back)."""

    file: str
    meaning: str
    write: Callable[[Findings, Path], list[str] | None]


FORMATS: dict[str, Format] = {
    "csv": Format("detections.csv", "table for spreadsheets", catalogs.write_csv),
    "parquet": Format("detections.parquet", "table for data frames; extra parquet", catalogs.write_parquet),
    "ecsv": Format("detections.ecsv", "text table with units (astropy)", catalogs.write_ecsv),
    "fits": Format("detections.fits", "binary table with units and UCDs", catalogs.write_fits),
    "votable": Format("detections.vot", "VOTable for TOPCAT and Aladin", catalogs.write_votable),
    "geojson": Format("detections.geojson", "footprints, planetocentric", places.write_geojson),
    "gpkg": Format("detections.gpkg", "footprints for QGIS; extra gis", places.write_gpkg),
    "reg": Format("regions", "a DS9 region file per frame", marks.write_regions),
    "jmars": Format("detections_jmars.csv", "points for JMARS", marks.write_jmars),
    "sbmt": Format("detections_sbmt.txt", "ellipses for the Small Body Mapping Tool", marks.write_sbmt),
    "stac": Format("stac", "a STAC item per frame and a collection", places.write_stac),
    "pvl": Format("detections.pvl", "PVL as ISIS writes it", marks.write_pvl),
    "segmentation": Format("segmentation", "a FITS and a TIFF per frame", segments.write_segmentation),
}
"""Every format by its name."""


class Export(NamedTuple):
    """One format written: its name, where, and remarks on what was left out."""

    format: str
    path: Path
    notes: tuple[str, ...]


def export(
    results: str | os.PathLike[str] | Detection,
    formats: str | Iterable[str] = "csv",
    out: str | os.PathLike[str] | None = None,
    *,
    force: bool = False,
) -> list[Export]:
    """Write detections in the formats of other programs.

    Parameters
    ----------
    results : path-like or Detection
        A results folder, of a finished run or of one at work; or the detections of one frame.
    formats : str or iterable of str
        Names out of ``FORMATS``, in one string joined by commas or one by one.
    out : path-like, optional
        Folder for the files, made if need be; the results folder itself if omitted.
    force : bool
        Replace files of the same names in another folder than the results folder.

    Returns
    -------
    list of Export
        What was written where, and what was left out of it: without latitude and longitude a detection is
        not in geographic formats.

    Raises
    ------
    UsageError
        If a format is unknown, its library is missing, or ``out`` holds files of other origin.
    BrightspotError
        If the results are damaged, or a file cannot be written.

    Examples
    --------
    >>> bs.export("results", "gpkg,parquet")
    >>> bs.export(bs.SpotFinder()(frame), "geojson", "maps")
    """
    names = _names(formats)
    if out is None:
        if isinstance(results, Detection):
            raise UsageError("say where to: export(detection, formats, out)")
        out = results
    out = Path(out)
    with findings_of(results) as findings:
        own = findings.results is not None and out.resolve() == findings.results.folder.resolve()
        _prepare(out, [FORMATS[name].file for name in names], replace=own or force)
        done = []
        for name in names:
            path = out / FORMATS[name].file
            with saving(path):
                notes = FORMATS[name].write(findings, path)
            done.append(Export(name, path, tuple(notes or ())))
    return done


def _names(formats: str | Iterable[str]) -> list[str]:
    given = formats.split(",") if isinstance(formats, str) else list(formats)
    names = list(dict.fromkeys(name.strip().lower() for name in given if name.strip()))
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        what = f"unknown format {unknown[0]!r}" if unknown else "no format given"
        raise UsageError(f"{what}: choose of {', '.join(FORMATS)}")
    return names


def _prepare(out: Path, files: list[str], *, replace: bool) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{out}: cannot be a folder for exports: {error.strerror}") from error
    if not os.access(out, os.W_OK | os.X_OK):
        raise UsageError(f"{out}: no permission to write there; give --out another folder")
    present = [name for name in files if (out / name).exists()]
    if present and not replace:
        other = " (the results of another run)" if (out / JOURNAL).exists() else ""
        raise UsageError(
            f"{out / present[0]} exists already{other}: choose another folder, or replace it with --force"
        )
