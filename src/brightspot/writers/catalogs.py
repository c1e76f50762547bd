"""The table of detections in the formats of astronomy and of data frames, units and meanings included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brightspot.catalog import COLUMNS
from brightspot.errors import UsageError
from brightspot.writers.findings import Findings, ascii_text
from brightspot.writers.tables import replacing, write_detections, write_tables

if TYPE_CHECKING:
    import pandas as pd

_FITS_UNITS = {"px": "pixel", "km2": "km**2"}
"""Our units as FITS and the Virtual Observatory spell them, where that differs."""


def write_csv(findings: Findings, path: Path) -> None:
    """``detections.csv`` and, of a results folder, ``frames.csv`` beside it: as a run leaves them."""
    if findings.results is None:
        write_detections(findings.table(), path)
    else:
        write_tables(findings.results, path.parent)


def write_parquet(findings: Findings, path: Path) -> None:
    """Parquet; each field's metadata holds unit, description and ucd."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError("Parquet needs one more library: pip install 'brightspot[parquet]'") from error
    table = pyarrow.Table.from_pandas(findings.table(), preserve_index=False)
    described = {
        column.name: {"unit": column.unit, "description": column.meaning, "ucd": column.ucd}
        for column in COLUMNS
    }
    schema = pyarrow.schema(
        [field.with_metadata(described[field.name]) for field in table.schema],
        metadata={**(table.schema.metadata or {}), **findings.facts},
    )
    with replacing(path) as temporary:
        pyarrow.parquet.write_table(table.cast(schema), temporary, compression="zstd")


def write_ecsv(findings: Findings, path: Path) -> None:
    """Enhanced CSV of astropy: text with units and descriptions in its head."""
    with replacing(path) as temporary:
        _astropy_table(findings, masked=True).write(temporary, format="ascii.ecsv")


def write_votable(findings: Findings, path: Path) -> None:
    """VOTable 1.4 with units, descriptions and UCDs, as TOPCAT and Aladin read it."""
    from astropy.io.votable import from_table
    from astropy.io.votable.tree import Info

    document = from_table(_astropy_table(findings, masked=True))
    document.version = "1.4"
    document.description = "Places on Ceres brighter or darker than their surroundings"
    document.infos.extend(Info(name=name, value=value) for name, value in findings.facts.items())
    (table,) = document.iter_tables()
    table.name = "detections"
    for field, column in zip(table.fields, COLUMNS, strict=True):
        if column.ucd:
            field.ucd = column.ucd
    with replacing(path) as temporary:
        document.to_xml(str(temporary))


def write_fits(findings: Findings, path: Path) -> None:
    """FITS binary table: TUNIT, TCOMM (meaning) and TUCD per column; unknown numbers are NaN."""
    from astropy.io import fits

    hdu = fits.BinTableHDU(_astropy_table(findings, masked=False), name="DETECTIONS")
    for k, column in enumerate(COLUMNS, 1):
        if column.unit:
            hdu.header[f"TUNIT{k}"] = _FITS_UNITS.get(column.unit, column.unit)
        hdu.header[f"TCOMM{k}"] = column.meaning
        if column.ucd:
            hdu.header[f"TUCD{k}"] = column.ucd
    header = fits.Header({"ORIGIN": findings.facts["creator"], "OBJECT": "Ceres"})
    for name, value in findings.facts.items():
        header.add_comment(f"{name}: {value}")
    with replacing(path) as temporary:
        fits.HDUList([fits.PrimaryHDU(header=header), hdu]).writeto(temporary)


def _astropy_table(findings: Findings, *, masked: bool) -> Any:
    """The detections as an astropy table; where it is not masked unknown whole numbers are 0."""
    import numpy as np
    from astropy.table import Column, MaskedColumn
    from astropy.table import Table as AstropyTable

    frame = findings.table()
    table = AstropyTable()
    if masked:  # FITS says it in its primary header
        table.meta.update(findings.facts)
    for column, values, unknown in _columns(frame):
        unit = _FITS_UNITS.get(column.unit, column.unit) or None
        kind = MaskedColumn if masked and unknown.any() else Column
        about = {"name": column.name, "unit": unit, "description": column.meaning}
        if kind is MaskedColumn:
            about["mask"] = unknown
        if values.dtype == object:
            text = [ascii_text(value) for value in values]  # FITS holds no more, XML no control characters
            values = np.array(text, dtype=str if text else "U1")
        table[column.name] = kind(values, **about)
        if column.ucd:
            table[column.name].meta["ucd"] = column.ucd
    return table


def _columns(frame: pd.DataFrame) -> Iterator[tuple[Any, Any, Any]]:
    """Column, values and which of them are not known."""
    for column in COLUMNS:
        series = frame[column.name]
        unknown = series.isna().to_numpy()
        kind = series.dtype.kind
        if kind in "iuO" or str(series.dtype) in ("str", "string", "Int64"):
            text = str(series.dtype) in ("str", "string", "object")
            filled = series.fillna("" if text else 0)
            yield column, filled.to_numpy(object if text else "int64"), unknown
        else:
            yield column, series.to_numpy(float), unknown
