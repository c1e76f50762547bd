"""Exports, each read back by the program or library it is made for."""

import csv
import errno
import gzip
import io
import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import brightspot as bs
from brightspot import cli, simulate
from brightspot.outline import Outline
from brightspot.writers import body
from brightspot.writers.export import FORMATS
from brightspot.writers.folder import FrameFolder
from brightspot.writers.marks import ellipse_on_ground
from brightspot.writers.places import well_known_binary
from test_batch import save_ball

SPHEROID_KM = (482.0, 446.0)
DISCS = (
    simulate.Spot("", 20.0, 180.0, 14.0, 2.5, edge_width=0.02),  # across the meridian where maps are cut
    simulate.Spot("", -12.0, 169.0, 14.0, 2.0, edge_width=0.02),
    simulate.Spot("", 2.0, 195.0, 14.0, 0.5, edge_width=0.02, kind="dark"),
)
SCENE = simulate.Scene(
    altitude_km=13_600.0, shape=(500, 500), origin_xy=(262.0, 262.0), phase_deg=20.0, relief_spheroid=False,
    sub_spacecraft_latitude_deg=4.0, sub_spacecraft_longitude_deg=181.0, twist_deg=30.0, named_spots=False,
    mottling=0.0, hot_pixels=0.0, dead_pixels=0.0, defects=False, cosmic_rays=0.0, psf_wings=0.0,
    halo_fraction=0.0, stray_light=0.0, stray_light_gradient=0.0, spots=DISCS,
)  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    simulate.write(simulate.render(SCENE), folder / "a", "fits", name="disc")
    save_ball(folder / "ball, =1;x.png", 128)
    return folder


@pytest.fixture(scope="module")
def run(images, tmp_path_factory):
    """A results folder with every export in it."""
    out = tmp_path_factory.mktemp("run") / "results"
    summary = bs.detect_folder(images, out)
    assert summary.n_failed == 0
    done = {item.format: item for item in bs.export(out, list(FORMATS))}
    assert list(done) == list(FORMATS)
    return out, done


@pytest.fixture(scope="module")
def table(run):
    with bs.open_results(run[0]) as results:
        return results.detections()


@pytest.fixture(scope="module")
def placed(table):
    return table[table["latitude_deg"].notna()].reset_index(drop=True)


def test_there_is_something_to_export(table, placed):
    assert len(placed) >= 3
    assert len(table) > len(placed)


def check_table(back: pd.DataFrame, table: pd.DataFrame, rel: float = 1e-12) -> None:
    assert list(back.columns) == [column.name for column in bs.COLUMNS]
    assert len(back) == len(table)
    for name in back.columns:
        if table[name].dtype.kind in "fi":
            np.testing.assert_allclose(back[name].to_numpy(float), table[name].to_numpy(float), rtol=rel)
        else:
            assert back[name].fillna("").tolist() == table[name].fillna("").tolist()


def test_csv_is_what_the_run_left(run, table):
    check_table(pd.read_csv(run[0] / "detections.csv"), table, rel=1e-7)


def test_parquet(run, table):
    pyarrow = pytest.importorskip("pyarrow.parquet")
    check_table(pd.read_parquet(run[0] / "detections.parquet"), table)
    schema = pyarrow.read_schema(run[0] / "detections.parquet")
    for column in bs.COLUMNS:
        metadata = schema.field(column.name).metadata
        assert metadata[b"unit"].decode() == column.unit
        assert metadata[b"description"].decode() == column.meaning
        assert metadata[b"ucd"].decode() == column.ucd
    assert b"Ceres" in schema.metadata[b"body"]
    nulls = pyarrow.read_table(run[0] / "detections.parquet")["latitude_deg"].null_count
    assert nulls == table["latitude_deg"].isna().sum()  # unknown, not NaN


def test_ecsv(run, table):
    from astropy.table import Table

    back = Table.read(run[0] / "detections.ecsv", format="ascii.ecsv")
    assert str(back["area_km2"].unit) == "km2"
    assert str(back["x_centroid"].unit) == "pix"
    assert back["latitude_deg"].description == {c.name: c.meaning for c in bs.COLUMNS}["latitude_deg"]
    assert back.meta["body"] == "Ceres"
    assert back["latitude_deg"].mask.sum() == table["latitude_deg"].isna().sum()
    check_table(back.to_pandas(), table)


def test_fits_table(run, table):
    from astropy.io import fits
    from astropy.table import Table

    with fits.open(run[0] / "detections.fits") as hdus:
        hdus.verify("exception")
        header = hdus["DETECTIONS"].header
        for k, column in enumerate(bs.COLUMNS, 1):
            assert header[f"TTYPE{k}"] == column.name
            assert header[f"TCOMM{k}"] == column.meaning
            assert header.get(f"TUCD{k}", "") == column.ucd
    back = Table.read(run[0] / "detections.fits", hdu=1)
    back.convert_bytestring_to_unicode()
    assert str(back["excess_area_km2"].unit) == "km2"
    check_table(back.to_pandas(), table)


def test_votable(run, table):
    from astropy.io.votable import parse_single_table, validate

    path = run[0] / "detections.vot"
    back = parse_single_table(path, verify="exception")
    for field, column in zip(back.fields, bs.COLUMNS, strict=True):
        assert (field.ucd or "") == column.ucd
        assert " ".join(field.description.split()) == column.meaning
    check_table(back.to_table().to_pandas(), table)
    assert validate(path, output=io.StringIO()) is True


def test_ucds_are_words_of_the_virtual_observatory():
    from astropy.io.votable.ucd import check_ucd

    for column in bs.COLUMNS:
        assert check_ucd(column.ucd, check_controlled_vocabulary=True) or not column.ucd


def footprints(run, layer):
    geopandas = pytest.importorskip("geopandas")
    return geopandas.read_file(run[0] / "detections.gpkg", layer=layer)


def test_geopackage_holds_the_rows(run, placed):
    for layer in ("footprints", "footprints_planetocentric"):
        back = footprints(run, layer)
        check_table(pd.DataFrame(back.drop(columns="geometry")), placed)
        assert back.geometry.is_valid.all()
        assert (back.total_bounds[[0, 2]] == [-180.0, 180.0]).all()  # the first disc is cut there
    database = sqlite3.connect(run[0] / "detections.gpkg")
    (meaning,) = database.execute(
        "SELECT description FROM gpkg_data_columns WHERE table_name = 'footprints' AND column_name = 'snr'"
    ).fetchone()
    database.close()
    assert "scatter" in meaning


def test_areas_of_14_km_discs_are_right_on_the_spheroid(run):
    """Geodesics on the ellipsoid that the file itself names, against the discs that were painted."""
    back = footprints(run, "footprints")
    spheroid = back.crs.get_geod()
    assert (spheroid.a / 1000.0, spheroid.b / 1000.0) == pytest.approx(SPHEROID_KM)
    assert "planetographic" in back.crs.to_wkt()
    for disc in DISCS:
        gap = np.hypot(back["latitude_deg"] - disc.latitude_deg, back["longitude_deg"] - disc.longitude_deg)
        row = back.loc[gap.idxmin()]
        area_km2 = abs(spheroid.geometry_area_perimeter(row.geometry)[0]) / 1e6
        assert area_km2 == pytest.approx(np.pi / 4.0 * disc.diameter_km**2, rel=0.03)
        assert row.geometry.contains(row.geometry.representative_point())


def test_a_disc_from_the_survey_orbit_has_its_area(tmp_path):
    spot = simulate.Spot("", 30.0, 90.0, 14.0, 2.5, edge_width=0.02)
    scene = replace(
        SCENE, altitude_km=4_400.0, shape=(256, 256), origin_xy=(384.0, 384.0), spots=(spot,),
        sub_spacecraft_latitude_deg=26.0, sub_spacecraft_longitude_deg=88.0,
    )  # fmt: skip
    detection = bs.SpotFinder()(simulate.render(scene).frame)
    bs.export(detection, "gpkg", tmp_path)
    geopandas = pytest.importorskip("geopandas")
    back = geopandas.read_file(tmp_path / "detections.gpkg", layer="footprints")
    area_km2 = abs(back.crs.get_geod().geometry_area_perimeter(back.geometry[0])[0]) / 1e6
    assert area_km2 == pytest.approx(np.pi / 4.0 * 14.0**2, rel=0.03)


def test_the_two_latitudes_are_those_of_proj():
    pyproj = pytest.importorskip("pyproj")
    a, c = SPHEROID_KM
    latitude = np.linspace(-90.0, 90.0, 37)
    turn = pyproj.Transformer.from_pipeline(
        "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad "
        f"+step +inv +proj=geoc +a={a * 1000} +b={c * 1000} +step +proj=unitconvert +xy_in=rad +xy_out=deg"
    )
    _, graphic = turn.transform(np.zeros(37), latitude)
    np.testing.assert_allclose(body.planetographic_deg(latitude), graphic, atol=1e-9)
    for wkt in (body.SPHEROID_WKT, body.SPHERE_WKT):
        assert pyproj.CRS.from_wkt(wkt).is_geographic


def test_gdal_names_the_body(run):
    pyogrio = pytest.importorskip("pyogrio")
    info = pyogrio.read_info(run[0] / "detections.gpkg", layer="footprints_planetocentric")
    assert "Ceres sphere 470 km" in info["crs"]
    assert {name for name, _ in pyogrio.list_layers(run[0] / "detections.gpkg")} == {
        "footprints",
        "footprints_planetocentric",
    }


def test_geojson(run, placed):
    text = (run[0] / "detections.geojson").read_text()
    content = json.loads(text)
    assert content["coordinate_reference"]["body"] == "Ceres"
    assert len(content["features"]) == len(placed)
    geopandas = pytest.importorskip("geopandas")
    back = geopandas.read_file(run[0] / "detections.geojson")
    assert back.crs.to_authority() == ("IAU", "200000100") or "Ceres" in back.crs.to_wkt()
    assert back.geometry.is_valid.all()
    assert back["longitude_deg"].tolist() == pytest.approx(placed["longitude_deg"].tolist())
    shapely = pytest.importorskip("shapely")
    for feature in content["features"]:
        kind, coordinates = feature["geometry"]["type"], feature["geometry"]["coordinates"]
        for polygon in [coordinates] if kind == "Polygon" else coordinates:
            rings = [shapely.LinearRing(ring) for ring in polygon]
            assert rings[0].is_ccw
            assert not any(ring.is_ccw for ring in rings[1:])


def test_what_is_left_out_is_said(run, table, placed):
    lost = len(table) - len(placed)
    for name in ("geojson", "gpkg", "stac", "jmars", "sbmt"):
        (note,) = run[1][name].notes
        assert note.startswith(f"{lost} detection")
        assert "no latitude and longitude" in note
    assert run[1]["reg"].notes == ()


def test_stac(run, placed):
    pystac = pytest.importorskip("pystac")
    collection = pystac.Collection.from_file(str(run[0] / "stac" / "collection.json"))
    (item,) = collection.get_items()
    assert item.datetime.year == 2015
    assert item.properties["ssys:targets"] == ["Ceres"]
    assert item.properties["brightspot:n_detections"] == len(placed)
    assert {"detections", "overlay"} == set(item.assets)
    for asset in item.assets.values():
        assert (run[0] / "stac" / asset.href).is_file()
    assert item.bbox[0] == -180.0
    # the schemas of the core come with pystac; those of extensions are on the network
    validation = pytest.importorskip("pystac.validation.local_validator").LocalValidator()
    kind = validation.item_validator("1.1.0")
    assert not list(kind.iter_errors(json.loads((run[0] / "stac" / "a__disc.LBL.json").read_text())))
    kind = validation.collection_validator("1.1.0")
    assert not list(kind.iter_errors(json.loads((run[0] / "stac" / "collection.json").read_text())))


def raw_fits(images):
    from astropy.io import fits

    with fits.open(images / "a" / "disc.FIT") as hdus:
        return next(np.array(hdu.data, float) for hdu in hdus if hdu.data is not None)


def test_regions_lie_on_the_archive_fits(run, images, placed):
    regions = pytest.importorskip("regions")
    found = regions.Regions.read(run[0] / "regions" / "a__disc.LBL.reg", format="ds9")
    assert len(found) == len(placed)
    data = raw_fits(images)
    for region, (_, row) in zip(found, placed.iterrows(), strict=True):
        mask = region.to_mask(mode="center")
        inside = mask.get_values(data).mean()
        wide = regions.CirclePixelRegion(regions.PixCoord(*np.ravel(region_middle(region))), 15.0)
        ratio = inside / np.median(wide.to_mask(mode="center").get_values(data))
        assert (ratio > 1.3) == (row["polarity"] == "bright")
        assert region.meta["text"].startswith(f"{row['detection_id']} ")


def region_middle(region) -> tuple[float, float]:
    return float(region.vertices.x.mean()), float(region.vertices.y.mean())


def test_segmentation_images(run, images):
    from astropy.io import fits

    tifffile = pytest.importorskip("tifffile")
    frame = bs.locate(bs.read_frame(images / "a" / "disc.LBL"))
    expected = bs.SpotFinder()(frame).segmentation
    up = fits.getdata(run[0] / "segmentation" / "a__disc.LBL.fits.gz")
    np.testing.assert_array_equal(up[::-1], expected)
    np.testing.assert_array_equal(tifffile.imread(run[0] / "segmentation" / "a__disc.LBL.tif"), expected)
    rasterio = pytest.importorskip("rasterio")
    with rasterio.open(run[0] / "segmentation" / "a__disc.LBL.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(1), expected)
    # bright pixels of the archive's own rows lie under the footprints
    data = raw_fits(images)
    assert data[up == 1].mean() > 1.5 * np.median(data)


def test_pvl(run, table):
    pvl = pytest.importorskip("pvl")
    content = pvl.load(run[0] / "detections.pvl")["Brightspot"]
    assert content["Body"] == "Ceres"
    frames = content.getall("Frame")
    assert [frame["FrameName"] for frame in frames] == list(dict.fromkeys(table["frame"]))
    spots = [spot for frame in frames for spot in frame.getall("Spot")]
    assert len(spots) == len(table)
    for spot, (_, row) in zip(spots, table.iterrows(), strict=True):
        assert spot["Sample"] == pytest.approx(row["x_centroid"] + 1.0)
        assert spot["Line"] == pytest.approx(row["y_centroid"] + 1.0)
        assert ("PlanetocentricLatitude" in spot) == np.isfinite(row["latitude_deg"])
        if "PlanetocentricLatitude" in spot:
            assert spot["PlanetocentricLatitude"].value == pytest.approx(row["latitude_deg"])
            assert spot["DiameterHalfmaxKm"].units == "km"


def test_jmars_points(run, placed):
    with (run[0] / "detections_jmars.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["latitude"]) for row in rows] == pytest.approx(placed["latitude_deg"].tolist())
    assert [float(row["longitude"]) for row in rows] == pytest.approx(placed["longitude_deg"].tolist())
    assert [row["label"] for row in rows] == [
        f"{frame}:{number}" for frame, number in zip(placed["frame"], placed["detection_id"], strict=True)
    ]


def test_sbmt_ellipses(run, placed):
    lines = (run[0] / "detections_sbmt.txt").read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    assert len(rows) == len(placed)
    for row, (_, truth) in zip(rows, placed.iterrows(), strict=True):
        assert len(row) == 17
        point = np.array(row[2:5], float)
        a, c = SPHEROID_KM
        assert np.sum((point / [a, a, c]) ** 2) == pytest.approx(1.0, abs=1e-6)
        assert np.degrees(np.arcsin(point[2] / np.linalg.norm(point))) == pytest.approx(
            truth["latitude_deg"], abs=1e-4
        )
        assert float(row[12]) == pytest.approx(truth["diameter_halfmax_km"], rel=0.1)
        assert 0.8 < float(row[13]) <= 1.0


def around(latitude, longitude, major_deg, minor_deg, turn_deg=0.0, n=400, hole=0.0) -> Outline:
    """An ellipse about a place on the unit sphere, wound as in a picture, with a hole of the same shape."""
    lat0, lon0, turn = np.radians([latitude, longitude, turn_deg])
    place, north = np.array([np.cos(lat0), 0.0, np.sin(lat0)]), np.array([-np.sin(lat0), 0.0, np.cos(lat0)])
    parts = []
    for size, way in ((1.0, 1.0), (hole, -1.0)):
        if size == 0.0:
            continue
        t = np.linspace(0.0, 2.0 * np.pi, n) * way
        t[-1] = 0.0
        u, v = size * np.radians(major_deg) * np.cos(t), size * np.radians(minor_deg) * np.sin(t)
        up, right = u * np.cos(turn) - v * np.sin(turn), u * np.sin(turn) + v * np.cos(turn)
        ray = place + up[:, None] * north + right[:, None] * np.array([0.0, 1.0, 0.0])
        lat = np.degrees(np.arctan2(ray[:, 2], np.hypot(ray[:, 0], ray[:, 1])))
        lon = (np.degrees(np.arctan2(ray[:, 1], ray[:, 0]) + lon0)) % 360.0
        parts.append(np.stack([size * np.cos(t), size * np.sin(t), lat, lon], axis=1))
    if len(parts) > 1:
        parts.insert(1, np.full((1, 4), np.nan))
    x, y, lat, lon = np.concatenate(parts).T
    return Outline(1, x, y, lat, lon, np.zeros((0, 3), np.int32))


@pytest.mark.parametrize("hole", [0.0, 0.5])
@pytest.mark.parametrize("latitude", [-89.0, -60.0, 0.0, 45.0, 84.0, 90.0])
@pytest.mark.parametrize("longitude", [0.0, 3.0, 179.0, 180.0, 300.0, 359.9])
def test_polygons_on_the_body_keep_their_area(latitude, longitude, hole):
    shapely, pyproj = pytest.importorskip("shapely"), pytest.importorskip("pyproj")
    outline = around(latitude, longitude, 3.0, 2.0, 20.0, hole=hole)
    polygons = body.body_polygons(outline)
    shape = shapely.MultiPolygon([shapely.Polygon(p[0], p[1:]) for p in polygons])
    assert shape.is_valid or hole  # a hole around the pole touches its rim there
    assert all((ring[0] == ring[-1]).all() for polygon in polygons for ring in polygon)
    west, south, east, north = shape.bounds
    assert -180.0 <= west <= east <= 180.0
    assert -90.0 <= south <= north <= 90.0
    sphere = pyproj.Geod(a=1.0, b=1.0)
    got = sum(abs(sphere.geometry_area_perimeter(part)[0]) for part in shape.geoms)
    assert got == pytest.approx(solid_angle(np.radians(3.0), np.radians(2.0), hole), rel=2e-3)


def solid_angle(major: float, minor: float, hole: float) -> float:
    """Of an elliptical ring in a plane at distance 1, by summing it up."""
    r, t = np.meshgrid(np.linspace(hole, 1.0, 401), np.linspace(0, 2 * np.pi, 401), indexing="ij")
    r, t = 0.25 * (r[1:, 1:] + r[:-1, 1:] + r[1:, :-1] + r[:-1, :-1]), 0.5 * (t[:-1, 1:] + t[:-1, :-1])
    distance2 = 1.0 + (major * r * np.cos(t)) ** 2 + (minor * r * np.sin(t)) ** 2
    cell = (1.0 - hole) / 400 * 2 * np.pi / 400
    return float(np.sum(major * minor * r / distance2**1.5) * cell)


def test_a_comb_across_the_cut_falls_into_its_teeth():
    """Three teeth reach across 180 degrees: four pieces, the area kept, nothing overlapping."""
    shapely = pytest.importorskip("shapely")
    longitude = [176, 184, 184, 178, 178, 184, 184, 178, 178, 184, 184, 176, 176]
    latitude = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 0]
    whole = shapely.Polygon(list(zip(longitude, latitude, strict=True)))
    x = np.asarray(longitude, float)
    outline = Outline(1, -x, np.asarray(latitude, float), np.asarray(latitude, float), x, np.zeros((0, 3)))
    polygons = [shapely.Polygon(p[0], p[1:]) for p in body.body_polygons(outline)]
    assert len(polygons) == 4
    assert all((p[0][0] == p[0][-1]).all() for p in body.body_polygons(outline))
    assert shapely.MultiPolygon(polygons).is_valid
    assert sum(p.area for p in polygons) == pytest.approx(whole.area)
    assert shapely.from_wkb(well_known_binary(body.body_polygons(outline))).area == pytest.approx(whole.area)


def test_vertices_beyond_the_limb_are_left_out():
    outline = around(10.0, 50.0, 3.0, 2.0, n=40)
    outline.latitude_deg[5:9] = outline.longitude_deg[5:9] = np.nan
    ((ring,),) = body.body_polygons(outline)
    assert len(ring) == 36
    assert np.isfinite(ring).all()
    outline.longitude_deg[:] = np.nan
    assert body.body_polygons(outline) == []
    assert ellipse_on_ground(outline) is None
    assert body.body_polygons(outline._replace(latitude_deg=None)) == []


@pytest.mark.parametrize("turn", [0.0, 30.0, 120.0])
def test_the_ellipse_of_an_ellipse(turn):
    shape = around(1.0, 200.0, 0.5, 0.3, turn)
    major_km, flattening, angle = ellipse_on_ground(shape)
    assert major_km == pytest.approx(2 * np.radians(0.5) * 482.0, rel=0.1)
    assert flattening == pytest.approx(0.6, abs=0.06)
    assert angle == pytest.approx(turn, abs=5.0) or angle == pytest.approx(turn + 180.0, abs=5.0)


def test_one_detection_is_exported_without_a_run(images, tmp_path):
    frame = bs.locate(bs.read_frame(images / "a" / "disc.LBL"))
    detection = bs.SpotFinder()(frame)
    done = bs.export(detection, "csv, REG,csv", tmp_path / "new" / "folder")
    assert [item.format for item in done] == ["csv", "reg"]
    assert len(pd.read_csv(done[0].path)) == len(detection.catalog)
    with pytest.raises(bs.UsageError, match="say where to"):
        bs.export(detection, "csv")


def test_chunks_of_footprints_make_one_layer(images, tmp_path, monkeypatch):
    from brightspot.writers import places

    pyogrio = pytest.importorskip("pyogrio")
    detection = bs.SpotFinder()(bs.locate(bs.read_frame(images / "a" / "disc.LBL")))
    monkeypatch.setattr(places, "CHUNK", 2)
    bs.export(detection, "gpkg", tmp_path)
    for layer in places.LAYERS:
        assert pyogrio.read_info(tmp_path / "detections.gpkg", layer=layer)["features"] == 3


def test_a_name_that_is_no_utf8_is_spelled_out(images, tmp_path):
    detection = bs.SpotFinder()(bs.locate(bs.read_frame(images / "a" / "disc.LBL")))
    odd = detection._replace(frame=replace(detection.frame, name='caf\udce9 {"}\n.IMG'))
    done = bs.export(odd, [name for name in FORMATS if name != "csv"], tmp_path)
    assert len(done) == len(FORMATS) - 1
    frame = pd.read_parquet(tmp_path / "detections.parquet")["frame"]
    assert set(frame) == {'caf\\udce9 {"}\n.IMG'}


def no_room(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("name", FORMATS)
def test_a_full_disk_is_said_in_one_line(run, tmp_path, capsys, monkeypatch, name):
    import pyogrio.errors
    import pyogrio.raw

    if name == "gpkg":

        def full(*_, **__):
            raise pyogrio.errors.FeatureError("Could not add feature: sqlite3_exec(...) failed: disk is full")

        monkeypatch.setattr(pyogrio.raw, "write", full)
    else:
        monkeypatch.setitem(FORMATS, name, FORMATS[name]._replace(write=no_room))
    assert cli.run(["export", str(run[0]), "--format", name, "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    file = tmp_path / FORMATS[name].file
    advice = "the disk is full; free some space there, or choose another folder"
    assert said == f"brightspot: {file} cannot be written: {advice}\n"
    assert not file.exists()


@pytest.fixture
def full_disk(tmp_path):
    """A file system of 64 kB with 8 left."""
    place = tmp_path / "disk"
    place.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    (place / "ballast").write_bytes(bytes(56 << 10))
    yield place
    subprocess.run(["umount", place], check=True)


def test_what_does_not_fit_leaves_nothing_half_written(run, full_disk, capsys):
    for name in ("gpkg", "parquet", "fits", "votable"):
        assert cli.run(["export", str(run[0]), "--format", name, "--out", str(full_disk)]) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"brightspot: {full_disk / FORMATS[name].file} cannot be written: the disk is")
        assert said.count("\n") == 1
        assert [path.name for path in full_disk.iterdir()] == ["ballast"]
    assert cli.run(["show", str(run[0]), "--sizes", "-o", str(full_disk / "sizes.png")]) == 1
    assert "sizes.png cannot be written: the disk is full" in capsys.readouterr().err
    subprocess.run(["mount", "-o", "remount,ro", full_disk], check=True)
    assert cli.run(["show", str(run[0]), "--sizes", "-o", str(full_disk / "sizes.png")]) == 2
    assert "sizes.png cannot be written: no permission to write there" in capsys.readouterr().err


def test_an_empty_catalog_has_every_file(tmp_path):
    from brightspot.batch import made_up_frame

    flat = made_up_frame(96)
    detection = bs.SpotFinder(polarity="dark", min_confidence=1.0)(flat)
    assert detection.catalog.empty
    for item in bs.export(detection, list(FORMATS), tmp_path):
        assert item.path.exists()
        assert item.notes == ()
    assert pd.read_parquet(tmp_path / "detections.parquet").empty
    from astropy.table import Table

    for name in ("detections.ecsv", "detections.fits", "detections.vot"):
        assert len(Table.read(tmp_path / name)) == 0
    pyogrio = pytest.importorskip("pyogrio")
    assert pyogrio.read_info(tmp_path / "detections.gpkg", layer="footprints")["features"] == 0


def test_export_again_gives_the_same_bytes(run):
    out, _ = run
    before = {path: path.read_bytes() for path in files_of(out)}
    bs.export(out, [name for name in FORMATS if name not in ("gpkg", "parquet")])
    assert {path: path.read_bytes() for path in files_of(out)} == before


def files_of(out):
    kept = ("detections.gpkg", "run.lock", "run.sqlite-shm", "run.sqlite-wal")
    return sorted(path for path in out.rglob("*") if path.is_file() and path.name not in kept)


def test_files_of_frames_that_are_gone_are_taken_away(tmp_path):
    for names in (("a", "b"), ("b", "c")):
        with FrameFolder(tmp_path / "regions", ".reg") as folder:
            for name in names:
                folder.file(name).write_text(name)
    assert {path.name for path in (tmp_path / "regions").iterdir()} == {"b.reg", "c.reg", "index.csv"}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(bs.UsageError, match="was not written by brightspot"):
        FrameFolder(tmp_path / "mine", ".reg")


def test_an_index_cannot_lead_out_of_its_folder(tmp_path):
    (tmp_path / "victim.reg").write_text("mine")
    folder = tmp_path / "regions"
    folder.mkdir()
    (folder / "index.csv").write_text("frame,file\nx,../victim.reg\n")
    with FrameFolder(folder, ".reg"):
        pass
    assert (tmp_path / "victim.reg").exists()


def test_names_that_a_spreadsheet_would_run_stay_text(run):
    text = (run[0] / "detections_jmars.csv").read_text() + (run[0] / "detections.csv").read_text()
    assert "\n=" not in text
    assert ",=" not in text


@pytest.mark.parametrize(
    ("module", "format", "extra"), [("pyarrow", "parquet", "parquet"), ("pyogrio", "gpkg", "gis")]
)
def test_a_missing_library_is_named(run, tmp_path, monkeypatch, module, format, extra):
    for name in [name for name in sys.modules if name == module or name.startswith(f"{module}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(bs.UsageError, match=rf"brightspot\[{extra}\]"):
        bs.export(run[0], format, tmp_path)
    assert not any(tmp_path.iterdir())


def test_the_command(run, tmp_path, capsys):
    assert cli.run(["export", str(run[0]), "--format", "geojson,csv", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert str(tmp_path / "detections.geojson") in shown.out
    assert "left out" in shown.err
    assert (tmp_path / "frames.csv").exists()
    assert cli.run(["export", str(run[0]), "--format", "csv", "--out", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert cli.run(["export", str(run[0]), "--out", str(tmp_path), "--force", "--json"]) == 0
    (item,) = json.loads(capsys.readouterr().out)
    assert item["format"] == "csv"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "holds no results"),
        ([".", "--format", "shapefile"], "unknown format 'shapefile': choose of csv"),
        ([".", "--format", ","], "no format given"),
    ],
)
def test_wrong_use_is_one_line(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.run(["export", *arguments]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_every_format_is_in_the_help():
    from brightspot.cli.export import export

    assert all(name in export.__doc__ for name in FORMATS)


def test_gzip_holds_no_time(run):
    (path, *_) = sorted((run[0] / "segmentation").glob("*.gz"))
    assert path.read_bytes()[4:8] == bytes(4)
    assert gzip.decompress(path.read_bytes())[:6] == b"SIMPLE"
