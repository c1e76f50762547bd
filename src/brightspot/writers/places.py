"""Footprints for geographic programs: GeoJSON, GeoPackage, STAC."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from brightspot.catalog import COLUMNS
from brightspot.errors import UsageError
from brightspot.writers.body import SPHERE_WKT, SPHEROID_WKT, Polygon, body_polygons, planetographic
from brightspot.writers.findings import Findings, FrameFindings
from brightspot.writers.folder import FrameFolder
from brightspot.writers.tables import is_unknown, json_text, json_value, replacing, unwritten, write_json

IAU_SPHERE = "IAU_2015:200000100"
"""PROJ's sphere for Ceres, planetocentric latitude, east longitude (its radius, 487.3 km, is not ours)."""

IAU_SPHERE_URN = "urn:ogc:def:crs:IAU:2015:200000100"
"""The same, as GeoJSON spells it."""

CHUNK = 10_000
"""Footprints written at a time."""


class Footprint(NamedTuple):
    """One detection on the body: its row and its polygons (planetocentric latitude)."""

    row: Mapping[str, Any]
    polygons: list[Polygon]


class Placed:
    """The footprints of some findings one by one, and a count of those left out.

    Attributes
    ----------
    n : int
        Footprints given so far.
    notes : list of str
        What was left out, in words.
    """

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self.n = self.without_place = self.without_outline = 0

    def frames(self) -> Iterator[tuple[FrameFindings, list[Footprint]]]:
        """Every frame and its footprints."""
        for frame in self._findings.frames():
            own = []
            for row, outline in zip(frame.detections, frame.outlines, strict=True):
                if is_unknown(row["latitude_deg"]) or is_unknown(row["longitude_deg"]):
                    self.without_place += 1
                    continue
                polygons = [] if outline is None else body_polygons(outline)
                if polygons:
                    own.append(Footprint(row, polygons))
                else:
                    self.without_outline += 1
            self.n += len(own)
            yield frame, own

    def __iter__(self) -> Iterator[Footprint]:
        for _, own in self.frames():
            yield from own

    @property
    def notes(self) -> list[str]:
        """One line per reason for which detections were left out."""
        reasons = (
            (self.without_place, "their frames have no latitude and longitude"),
            (self.without_outline, "no outline of them is known"),
        )
        return [f"{n} detection{'' if n == 1 else 's'} left out: {reason}" for n, reason in reasons if n > 0]


def write_geojson(findings: Findings, path: Path) -> list[str]:
    """GeoJSON: planetocentric latitude, east longitude from -180 to 180, on Ceres.

    RFC 7946 knows the Earth only. So the file names its body three times: in the member ``crs`` of the older
    GeoJSON (2008), which GDAL and QGIS still obey; in ``coordinate_reference`` in words; and in every feature
    by its property ``body``.
    """
    placed = Placed(findings)
    head = {
        "type": "FeatureCollection",
        "name": "brightspot detections on Ceres",
        "crs": {"type": "name", "properties": {"name": IAU_SPHERE_URN}},
        "coordinate_reference": {
            **findings.facts,
            "coordinates": "planetocentric latitude, east longitude -180 to 180",
            "wkt": SPHERE_WKT,
        },
        "columns": {c.name: {"unit": c.unit, "meaning": c.meaning} for c in COLUMNS},
    }
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", errors="replace") as file:
        file.write(json_text(head, indent=None)[:-1] + ', "features": [')
        for k, footprint in enumerate(placed):
            feature = {
                "type": "Feature",
                "id": f"{footprint.row['frame']}:{footprint.row['detection_id']}",
                "properties": {"body": "Ceres", **json_value(footprint.row)},
                "geometry": geometry(footprint.polygons),
            }
            file.write(",\n" if k else "\n")
            file.write(json.dumps(feature, allow_nan=False))
        file.write("\n]}\n")
    return placed.notes


def geometry(polygons: Sequence[Polygon]) -> dict[str, Any]:
    """Polygons as a GeoJSON geometry, to 1e-6 degree (8 mm)."""
    parts = [[ring.round(6).tolist() for ring in polygon] for polygon in polygons]
    if len(parts) == 1:
        return {"type": "Polygon", "coordinates": parts[0]}
    return {"type": "MultiPolygon", "coordinates": parts}


def bounds(polygons: Iterable[Polygon]) -> list[float]:
    """West, south, east, north of polygons, degrees."""
    outer = [polygon[0] for polygon in polygons]
    low = [min(float(ring[:, k].min()) for ring in outer) for k in (0, 1)]
    high = [max(float(ring[:, k].max()) for ring in outer) for k in (0, 1)]
    return [round(value, 6) for value in (*low, *high)]


LAYERS = {
    "footprints": (
        SPHEROID_WKT,
        "Half-maximum outlines on the spheroid of 482 x 446 km, PLANETOGRAPHIC latitude: measure areas here",
    ),
    "footprints_planetocentric": (
        SPHERE_WKT,
        "The same with planetocentric latitude on the sphere of 470 km: lies on Dawn's maps",
    ),
}
"""Layers of the GeoPackage: coordinate reference and description."""


def write_gpkg(findings: Findings, path: Path) -> list[str]:
    """GeoPackage of the footprints, in two layers; see `LAYERS`."""
    try:
        import pyogrio.errors
        import pyogrio.raw
    except ImportError as error:
        raise UsageError("GeoPackage needs one more library: pip install 'brightspot[gis]'") from error
    placed = Placed(findings)
    try:
        with replacing(path) as temporary:
            chunk: list[Footprint] = []
            begun = False
            for footprint in placed:
                chunk.append(footprint)
                if len(chunk) == CHUNK:
                    _write_layers(pyogrio.raw.write, temporary, chunk, append=begun)
                    chunk, begun = [], True
            if chunk or not begun:
                _write_layers(pyogrio.raw.write, temporary, chunk, append=begun)
            _describe_columns(temporary)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, sqlite3.Error) as error:
        raise unwritten(path, error) from error
    return placed.notes


def _write_layers(write: Any, path: Path, chunk: list[Footprint], *, append: bool) -> None:
    import numpy as np

    values: list[Any] = []
    masks: list[Any] = []
    for column in COLUMNS:
        own = [footprint.row[column.name] for footprint in chunk]
        unknown = np.array([is_unknown(value) for value in own], bool)
        kind = _kind(column.name)
        fill: Any = "" if kind is object else 0
        values.append(np.array([fill if is_unknown(v) else v for v in own], dtype=kind))
        masks.append(unknown)
    for layer, (wkt, description) in LAYERS.items():
        shapes = [
            [planetographic(p) for p in footprint.polygons] if wkt is SPHEROID_WKT else footprint.polygons
            for footprint in chunk
        ]
        write(
            str(path),
            geometry=np.array([well_known_binary(shape) for shape in shapes], dtype=object),
            field_data=values,
            fields=[column.name for column in COLUMNS],
            field_mask=masks,
            layer=layer,
            driver="GPKG",
            geometry_type="MultiPolygon",
            crs=wkt,
            append=append,
            layer_options=None if append else {"DESCRIPTION": description, "GEOMETRY_NAME": "geom"},
        )


def _kind(name: str) -> type:
    """Type of a column's values in an array."""
    from brightspot.catalog import empty_catalog

    kind = empty_catalog()[name].dtype
    return {"i": int, "f": float}.get(kind.kind, object)


def well_known_binary(polygons: Sequence[Polygon]) -> bytes:
    """Polygons as OGC Well-Known Binary, always a MultiPolygon."""
    import numpy as np

    out = [struct.pack("<BII", 1, 6, len(polygons))]
    for polygon in polygons:
        out.append(struct.pack("<BII", 1, 3, len(polygon)))
        for ring in polygon:
            out += [struct.pack("<I", len(ring)), np.ascontiguousarray(ring, "<f8").tobytes()]
    return b"".join(out)


def _describe_columns(path: Path) -> None:
    """Meanings and units into the GeoPackage's own table for them (its schema extension)."""
    database = sqlite3.connect(path)
    try:
        with database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS gpkg_data_columns (table_name TEXT NOT NULL, "
                "column_name TEXT NOT NULL, name TEXT, title TEXT, description TEXT, mime_type TEXT, "
                "constraint_name TEXT, CONSTRAINT pk_gdc PRIMARY KEY (table_name, column_name), "
                "CONSTRAINT gdc_tn UNIQUE (table_name, name))"
            )
            rows = [
                (layer, c.name, c.name, f"{c.name} ({c.unit})" if c.unit else c.name, c.meaning)
                for layer in LAYERS
                for c in COLUMNS
            ]
            database.executemany("INSERT INTO gpkg_data_columns VALUES (?, ?, ?, ?, ?, NULL, NULL)", rows)
            database.execute(
                "CREATE TABLE IF NOT EXISTS gpkg_extensions (table_name TEXT, column_name TEXT, "
                "extension_name TEXT NOT NULL, definition TEXT NOT NULL, scope TEXT NOT NULL, "
                "CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name))"
            )
            database.execute(
                "INSERT INTO gpkg_extensions VALUES ('gpkg_data_columns', NULL, 'gpkg_schema', "
                "'http://www.geopackage.org/spec121/#extension_schema', 'read-write')"
            )
    finally:
        database.close()


STAC_EXTENSIONS = (
    "https://stac-extensions.github.io/ssys/v1.1.0/schema.json",
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
)


def write_stac(findings: Findings, path: Path) -> list[str]:
    """STAC: a folder with one collection, and one item per frame that has a time and placed detections."""
    placed = Placed(findings)
    undated = 0
    items: list[tuple[str, Any, list[float]]] = []
    with FrameFolder(path, ".json") as folder:
        for frame, footprints in placed.frames():
            if not footprints:
                continue
            when = frame.row.get("start_time")
            if is_unknown(when):
                undated += len(footprints)
                continue
            file = folder.file(frame.name)
            item = _item(findings, frame, footprints, _utc(when), file)
            with replacing(file) as temporary:
                temporary.write_text(json_text(item, indent=None) + "\n", encoding="utf-8")
            items.append((file.name, item["properties"]["datetime"], item["bbox"]))
        write_json(path / "collection.json", _collection(findings, items))
    notes = placed.notes
    if undated:
        notes.append(f"{undated} detections left out: their frames have no time, which STAC asks for")
    return notes


def _utc(when: Any) -> str:
    text = when.isoformat() if hasattr(when, "isoformat") else str(when)
    return text if text.endswith("Z") or "+" in text else f"{text}Z"


def _item(
    findings: Findings, frame: FrameFindings, footprints: list[Footprint], when: str, file: Path
) -> dict[str, Any]:
    polygons = [polygon for footprint in footprints for polygon in footprint.polygons]
    row = json_value(frame.row)
    near = (
        ("detections", "../detections.csv", "text/csv", "All detections of the run", "data"),
        ("overlay", f"../overlays/{row.get('overlay')}", "image/png", "Frame and detections", "overview"),
    )
    assets = {
        name: {"href": href, "type": kind, "title": title, "roles": [role]}
        for name, href, kind, title, role in near
        if (file.parent / href).is_file()
    }
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": list(STAC_EXTENSIONS),
        "id": file.stem,
        "collection": "brightspot-ceres",
        "geometry": {
            "type": "MultiPolygon",
            "coordinates": [[ring.round(6).tolist() for ring in polygon] for polygon in polygons],
        },
        "bbox": bounds(polygons),
        "properties": {
            "datetime": when,
            "title": f"Detections in {frame.name}",
            "platform": "dawn",
            "instruments": [f"framing camera {row['camera']}"] if row.get("camera") else ["framing camera"],
            "ssys:targets": ["Ceres"],
            "ssys:target_class": "dwarf_planet",
            "proj:code": IAU_SPHERE,
            "brightspot:version": findings.facts["creator"],
            "brightspot:n_detections": len(footprints),
            "brightspot:frame": frame.name,
            "brightspot:strongest": json_value(footprints[0].row),
        },
        "links": [
            {"rel": "collection", "href": "./collection.json", "type": "application/json"},
            {"rel": "parent", "href": "./collection.json", "type": "application/json"},
            {"rel": "root", "href": "./collection.json", "type": "application/json"},
        ],
        "assets": assets,
    }


def _collection(findings: Findings, items: list[tuple[str, Any, list[float]]]) -> dict[str, Any]:
    times = sorted(when for _, when, _ in items)
    boxes = [box for _, _, box in items]
    whole = [
        *(min(box[k] for box in boxes) for k in (0, 1)),
        *(max(box[k] for box in boxes) for k in (2, 3)),
    ] if boxes else [-180.0, -90.0, 180.0, 90.0]  # fmt: skip
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "stac_extensions": [STAC_EXTENSIONS[0]],
        "id": "brightspot-ceres",
        "title": "Bright and dark places on Ceres",
        "description": "Places on Ceres brighter or darker than their surroundings, found by "
        f"{findings.facts['creator']}. Coordinates are planetocentric latitude and east longitude on Ceres.",
        "license": "other",
        "ssys:targets": ["Ceres"],
        "ssys:target_class": "dwarf_planet",
        "extent": {
            "spatial": {"bbox": [whole]},
            "temporal": {"interval": [[times[0], times[-1]] if times else [None, None]]},
        },
        "links": [
            {"rel": "root", "href": "./collection.json", "type": "application/json"},
            *({"rel": "item", "href": f"./{name}", "type": "application/geo+json"} for name, _, _ in items),
        ],
    }
