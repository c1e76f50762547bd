"""Columns, flags, and kilometres: discs of known size and place rendered on a smooth Ceres."""

import functools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from brightspot import ceres
from brightspot.camera import Camera
from brightspot.catalog import COLUMNS, Flag, empty_catalog, flag_names, tabulate, without_impossible
from brightspot.finder import Detection, SpotFinder
from brightspot.footprint import RESOLVED, axes_km, remove_psf
from brightspot.frame import Frame, locate
from brightspot.geometry import ViewingGeometry
from brightspot.scale import Scale, ScaleChoice
from brightspot.simulate import Rendered, Scene, Spot, render, viewing_geometry

NAMES = [column.name for column in COLUMNS]
EVERYTHING = SpotFinder(keep_all=True, threshold=1.05)
SMOOTH = Scene(
    unit="iof",
    phase_deg=20.0,
    relief_spheroid=False,
    named_spots=False,
    mottling=0.0,
    noise=False,
    stray_light=0.0,
    stray_light_gradient=0.0,
    psf_wings=0.0,
)


def scale_of(km_per_pixel: float, source: str = "user", error: float = 0.01, conflicts=()) -> ScaleChoice:
    return ScaleChoice(Scale(km_per_pixel, error * km_per_pixel, source, "test"), conflicts=conflicts)


def flat_frame(picture: np.ndarray, **changes) -> Frame:
    picture = np.ascontiguousarray(picture, np.float32)
    nothing = np.zeros(picture.shape, bool)
    facts = {
        "name": "flat",
        "path": None,
        "image": picture,
        "mask": nothing,
        "saturated": nothing,
        "unit": "I/F",
    }
    return Frame(**facts | changes)


def gaussian(x, y, sigma, size=128):
    yy, xx = np.mgrid[:size, :size]
    return np.exp(-0.5 * ((xx - x) ** 2 + (yy - y) ** 2) / sigma**2)


def nearest(detection: Detection, x: float, y: float) -> pd.Series:
    table = detection.catalog
    return table.iloc[int(np.argmin(np.hypot(table.x_centroid - x, table.y_centroid - y)))]


# ---------------------------------------------------------------- words


def test_columns_say_their_units():
    assert len(set(NAMES)) == len(NAMES)
    for column in COLUMNS:
        for suffix, unit in (("_km2", "km2"), ("_km", "km"), ("_deg", "deg"), ("_s", "s")):
            if column.name.endswith(suffix):
                assert column.unit == unit
                break
        else:
            assert column.unit in ("", "px")
        assert column.meaning
    # What scripts rely on.
    promised = (
        "frame detection_id x_centroid y_centroid latitude_deg longitude_deg pixel_scale_km scale_source "
        "diameter_km diameter_halfmax_km major_axis_km minor_axis_km area_km2 excess_area_km2 contrast "
        "contrast_peak snr polarity incidence_deg emission_deg phase_deg slope_needed_deg "
        "albedo_confidence flags"
    )
    assert set(promised.split()) <= set(NAMES)


def test_flags_are_single_bits_with_names():
    assert sorted(Flag) == [1 << k for k in range(len(Flag))]
    assert flag_names(np.array([0, Flag.EDGE, Flag.EDGE | Flag.BLEND, sum(Flag)])) == [
        "",
        "EDGE",
        "EDGE|BLEND",
        "|".join(flag.name for flag in Flag),
    ]
    assert flag_names(np.zeros(0, int)) == []


def test_a_table_without_rows_is_like_one_with_rows():
    empty = empty_catalog()
    full = EVERYTHING(flat_frame(1.0 + gaussian(64, 64, 3.0))).catalog
    assert list(empty.columns) == list(full.columns) == NAMES
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()
    assert len(pd.concat([empty, full])) == len(full) > 0
    assert empty.dtypes["detection_id"] == empty.dtypes["n_pixels"] == np.int64
    assert empty.dtypes["contrast"] == np.float64


def test_tabulating_leaves_what_is_not_known_empty():
    table = tabulate(
        flat_frame(np.ones((8, 8))), {"x_centroid": np.array([1.0, 2.0]), "flags": np.array(["", "EDGE"])}
    )
    assert table["frame"].tolist() == ["flat", "flat"]
    assert table["detection_id"].tolist() == [1, 2]
    assert table["latitude_deg"].isna().all()
    assert table["scale_source"].tolist() == ["", ""]
    assert table["flags"].tolist() == ["", "EDGE"]
    assert len(tabulate(flat_frame(np.ones((8, 8))), {"x_centroid": np.zeros(0)})) == 0


# ---------------------------------------------------------------- size truth


@functools.cache
def discs(altitude_km: float, seed: int) -> Rendered:
    """Discs of 1.3 to 30 px spread over a frame, emission below 65 and incidence below 70 degrees."""
    scene = replace(SMOOTH, shape=(384, 384), altitude_km=altitude_km)
    geometry = viewing_geometry(scene)
    rng = np.random.default_rng(seed)
    diameters_px = rng.permutation(np.geomspace(1.3, 30.0, 30))
    cells = rng.permutation([(x, y) for y in range(40, 354, 60) for x in range(40, 354, 60)])
    spots = []
    for width, (x, y) in zip(diameters_px, cells, strict=False):
        place = geometry.ground(x + rng.uniform(-6, 6), y + rng.uniform(-6, 6))
        if not (place.emission_deg < 65 and place.incidence_deg < 70):
            continue
        diameter_km = width * float(place.slant_range_km) * geometry.camera.mean_ifov_rad
        if diameter_km > 45.0:
            continue  # curved away within itself
        contrast = 1.0 + 4.0 * rng.uniform(0.5, 1.0) ** 2
        spots.append(
            Spot(
                "",
                float(place.latitude_deg),
                float(place.longitude_deg),
                diameter_km,
                contrast,
                edge_width=0.02,
            )
        )
    return render(replace(scene, spots=tuple(spots)))


@functools.cache
def found_discs(altitude_km: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Truth and detections, row by row the same disc."""
    rendered = discs(altitude_km, seed)
    detection = EVERYTHING(rendered.frame)
    truth = rendered.truth
    rows = [nearest(detection, x, y) for x, y in zip(truth.x, truth.y, strict=True)]
    return truth, pd.DataFrame(rows).reset_index(drop=True)


VIEWS = [(1_470.0, 1), (4_400.0, 2), (13_600.0, 3), (33_000.0, 4)]


@pytest.mark.parametrize("view", VIEWS)
def test_discs_are_where_they_are(view):
    truth, rows = found_discs(*view)
    assert len(truth) >= 8
    assert np.hypot(rows.x_centroid - truth.x, rows.y_centroid - truth.y).max() < 0.25
    ground = discs(*view).frame.geometry.ground(rows.x_centroid.to_numpy(), rows.y_centroid.to_numpy())
    np.testing.assert_allclose(rows.latitude_deg, ground.latitude_deg, atol=1e-9)
    half_pixel_deg = np.degrees(0.5 * truth.pixel_scale_km / ceres.MEAN_RADIUS_KM)
    foreshortened = half_pixel_deg / np.cos(np.radians(truth.emission_deg))
    assert np.all(np.abs(rows.latitude_deg - truth.latitude_deg) < foreshortened)
    east = (rows.longitude_deg - truth.longitude_deg + 180.0) % 360.0 - 180.0
    assert np.all(np.abs(east * np.cos(np.radians(truth.latitude_deg))) < foreshortened)
    for name in ("incidence_deg", "emission_deg", "phase_deg"):
        np.testing.assert_allclose(rows[name], truth[name], atol=2.0 * float(foreshortened.max()))
    np.testing.assert_allclose(rows.pixel_scale_km, truth.pixel_scale_km, rtol=2e-3)


@pytest.mark.parametrize("view", VIEWS)
def test_diameters_of_discs(view):
    truth, rows = found_discs(*view)
    narrow_px = truth.diameter_px * np.sqrt(np.cos(np.radians(truth.emission_deg)))
    wide = narrow_px > 2.6
    ratio = rows.diameter_halfmax_km / truth.diameter_km
    np.testing.assert_allclose(ratio[wide], 1.0, atol=0.12)
    assert ratio[wide & (narrow_px < 4)].mean() == pytest.approx(1.0, abs=0.1)
    np.testing.assert_allclose(rows.diameter_deconvolved_km[wide] / truth.diameter_km[wide], 1.0, atol=0.1)
    np.testing.assert_allclose(ratio[narrow_px > 8], 1.0, atol=0.05)


@pytest.mark.parametrize("view", VIEWS)
def test_axes_of_discs(view):
    # On the ground a disc is round, however obliquely it is seen.
    truth, rows = found_discs(*view)
    wide = truth.diameter_px * np.cos(np.radians(truth.emission_deg)) > 2.6
    for name in ("major_axis_km", "minor_axis_km"):
        np.testing.assert_allclose(rows[name][wide] / truth.diameter_km[wide], 1.0, atol=0.14)
    assert np.all(rows.major_axis_km[wide] >= rows.minor_axis_km[wide])


@pytest.mark.parametrize("view", VIEWS)
def test_excess_area_of_discs(view):
    truth, rows = found_discs(*view)
    seen = truth.diameter_px * np.cos(np.radians(truth.emission_deg)) > 1.3
    np.testing.assert_allclose(rows.excess_area_km2[seen] / truth.excess_area_km2[seen], 1.0, atol=0.05)


@pytest.mark.parametrize("view", VIEWS)
def test_upper_limits_hold(view):
    truth, rows = found_discs(*view)
    unresolved = rows["flags"].str.contains("UNRESOLVED")
    assert unresolved.tolist() == (rows.diameter_halfmax < RESOLVED).tolist()
    assert unresolved.any()
    assert np.all(rows.diameter_limit_km[unresolved] > truth.diameter_km[unresolved])
    assert rows.diameter_limit_km[~unresolved].isna().all()
    for name in ("diameter_deconvolved_km", "major_axis_km", "minor_axis_km"):
        assert rows[name][unresolved].isna().all()
    assert rows.diameter_deconvolved_km[~unresolved].notna().all()
    wide = truth.diameter_px * np.cos(np.radians(truth.emission_deg)) > 2.6
    assert rows[["major_axis_km", "minor_axis_km"]][wide].notna().all(axis=None)


def test_no_row_has_less_than_no_light():
    # A shadow in which the dark current was overestimated, and a bright line thinner than the smoothing.
    picture = 0.04 * (1.0 - 1.3 * gaussian(30.0, 40.0, 3.0))
    picture[20:110, 90] *= 5.0
    detection = EVERYTHING(flat_frame(picture))
    table, shadow = detection.catalog, nearest(detection, 30.0, 40.0)
    assert shadow["polarity"] == "dark"
    assert shadow["contrast_peak"] == 0.0
    assert 0.0 < shadow["contrast"] < 0.5
    dark = table.polarity == "dark"
    assert (table[["contrast", "contrast_peak", "iof"]] >= 0.0).all(axis=None)
    assert (table.contrast_peak[dark] <= table.contrast[dark]).all()
    assert (table.contrast_peak[~dark] >= table.contrast[~dark]).all()
    assert not dark.all()


def test_numbers_that_no_ground_can_have_are_cut_and_others_left():
    rows = {
        "polarity": np.array(["dark", "dark", "bright", "bright"], object),
        "contrast": np.array([-0.2, 0.3, 2.0, 1.5]),
        "contrast_peak": np.array([-0.5, 0.4, 1.8, 1.9]),
        "iof": np.array([-1e-3, 0.01, np.nan, 0.05]),
        "equigonal_albedo": np.array([-1e-3, 0.01, np.nan, 0.05]),
        "normal_albedo": np.array([-1e-3, 0.01, np.nan, 0.05]),
        "major_axis_km": np.array([1200.0, 900.0, np.nan, 3.0]),
        "minor_axis_km": np.array([20.0, 10.0, np.nan, 2.0]),
    }
    round_body = flat_frame(np.ones(SMOOTH.shape), geometry=viewing_geometry(SMOOTH))
    after = without_impossible(round_body, rows)
    np.testing.assert_array_equal(after["contrast"], [0.0, 0.3, 2.0, 1.5])
    np.testing.assert_array_equal(after["contrast_peak"], [0.0, 0.3, 2.0, 1.9])
    for name in ("iof", "equigonal_albedo", "normal_albedo"):
        np.testing.assert_array_equal(after[name], [0.0, 0.01, np.nan, 0.05])
    np.testing.assert_array_equal(after["major_axis_km"], [np.nan, 900.0, np.nan, 3.0])
    np.testing.assert_array_equal(after["minor_axis_km"], rows["minor_axis_km"])
    assert without_impossible(flat_frame(np.ones((8, 8))), rows)["major_axis_km"][0] == 1200.0


def test_an_axis_no_wider_than_the_psf_is_not_known():
    y, x = np.mgrid[:128, :128]
    streak = np.exp(-0.5 * (((x - 64.0) / 4.0) ** 2 + ((y - 64.0) / 0.59) ** 2))
    frame = flat_frame(0.04 * (1.0 + 3.0 * streak), scale=scale_of(0.5))
    row = nearest(EVERYTHING(frame), 64.0, 64.0)
    assert "UNRESOLVED" not in row["flags"]
    # Full width of a Gaussian at half maximum, which is what an outline there shows.
    assert row["major_axis_km"] == pytest.approx(0.5 * 2.3548 * 4.0, rel=0.15)
    assert np.isnan(row["minor_axis_km"])


@pytest.mark.parametrize(
    ("width_px", "across", "known"),
    [
        ((9.0, 5.0), 1.0, (True, True)),
        ((9.0, 1.5), 1.0, (True, False)),  # a streak
        ((9.0, 1.5), 1.0 / np.cos(np.radians(84.0)), (False, False)),  # may reach farther than it is long
        ((1.8, 1.6), 1.0, (False, False)),
    ],
)
def test_axes_are_told_where_the_ground_lets_them(width_px, across, known):
    # Full axes along x and y; the ground is tilted about the x axis.
    xx, yy = (np.array([(width / 4.0) ** 2]) for width in width_px)
    ground = np.array([[[2.0, 0.0], [0.0, -2.0 * across]]])
    axes = axes_km({"xx": xx, "xy": 0.0 * xx, "yy": yy}, ground, 1.4, RESOLVED)
    assert tuple(np.isfinite(axis[0]) for axis in axes) == known
    if known[0]:
        assert axes[0][0] == pytest.approx(2.0 * remove_psf(width_px[0], 1.4))
    if known[1]:
        assert axes[1][0] == pytest.approx(2.0 * remove_psf(width_px[1], 1.4))


@pytest.mark.parametrize("view", VIEWS)
def test_contrast_and_albedo_of_discs(view):
    truth, rows = found_discs(*view)
    flat = truth.diameter_px * np.cos(np.radians(truth.emission_deg)) > 6.0
    np.testing.assert_allclose(rows.contrast_peak[flat] / truth.contrast[flat], 1.0, atol=0.03)
    assert np.all(rows.contrast[flat] <= rows.contrast_peak[flat])
    # Albedos are the spot's own, the blur undone; I/F is what the pixels have.
    expected = SMOOTH.normal_albedo * truth.contrast
    resolved = ~rows["flags"].str.contains("UNRESOLVED")
    np.testing.assert_allclose((rows.normal_albedo / expected)[resolved], 1.0, atol=0.12)
    np.testing.assert_allclose((rows.normal_albedo / expected)[flat], 1.0, atol=0.06)
    assert np.all((rows.normal_albedo / expected)[~resolved] < 0.9)
    diluted = rows.iof / (rows.equigonal_albedo * disk_of(rows))
    np.testing.assert_allclose(diluted[~resolved], 1.0, rtol=1e-9)
    assert np.all(diluted[resolved] < 1.0) and np.all(diluted[flat] > 0.85)


def disk_of(rows: pd.DataFrame) -> np.ndarray:
    from brightspot.photometry import disk_function

    return disk_function("akimov", rows.incidence_deg, rows.emission_deg, rows.phase_deg)


def test_a_place_wider_than_the_level_follows():
    # Found in a binned view; everything about it is said of the frame's own pixels.
    spot = Spot("", 10.0, 230.0, 150.0, 2.5, edge_width=0.02)
    scene = replace(SMOOTH, shape=(512, 512), altitude_km=14_000.0, spots=(spot,))
    rendered = render(scene)
    (truth,) = rendered.truth.itertuples()
    detection = SpotFinder(min_confidence=0.0, polarity="bright")(rendered.frame)
    row = nearest(detection, truth.x, truth.y)
    assert truth.diameter_px > 100
    assert np.hypot(row.x_centroid - truth.x, row.y_centroid - truth.y) < 0.5
    ground = rendered.frame.geometry.ground(row.x_centroid, row.y_centroid)
    assert row.latitude_deg == pytest.approx(float(ground.latitude_deg), abs=1e-6)
    assert row.longitude_deg == pytest.approx(float(ground.longitude_deg), abs=1e-6)
    assert row.pixel_scale_km == pytest.approx(truth.pixel_scale_km, rel=1e-3)
    assert row.diameter_halfmax == pytest.approx(truth.diameter_px, rel=0.05)
    assert row.diameter_halfmax_km == pytest.approx(150.0, rel=0.05)
    assert row.excess_area_km2 == pytest.approx(truth.excess_area_km2, rel=0.05)
    assert row.contrast_peak == pytest.approx(2.5, rel=0.05)
    own = detection.segmentation == row.detection_id
    assert own.sum() == pytest.approx(0.25 * np.pi * truth.diameter_px**2, rel=0.05)


def test_flatness():
    # Spotless ground is level from the sub-solar point to where the Sun stands 10 degrees high.
    rendered = render(replace(SMOOTH, shape=(512, 512), altitude_km=25_000.0, phase_deg=50.0))
    frame = rendered.frame
    detection = SpotFinder(max_incidence_deg=89.0)(frame)
    planes = frame.geometry.backplanes()
    slope = []
    for low in range(0, 80, 10):
        zone = (planes.incidence_deg >= low) & (planes.incidence_deg < low + 10) & (planes.emission_deg < 70)
        slope.append(float(np.median(detection.background.ratio[zone])))
    assert np.ptp(slope) < 0.03
    assert len(detection.catalog) == 0


# ---------------------------------------------------------------- flags


def oblique_geometry(shape, emission_deg, incidence_deg) -> ViewingGeometry:
    """A camera 1000 km above a point of the equator, which it sees at the given angles in mid-frame."""
    camera = Camera.framing_camera("FC2", 1)
    point = np.array([ceres.RADII_KM[0], 0.0, 0.0])
    e, i = np.radians([emission_deg, incidence_deg])
    eye = point + 1000.0 * np.array([np.cos(e), np.sin(e), 0.0])
    ahead = (point - eye) / 1000.0
    down = np.array([0.0, 0.0, -1.0])
    rotation = np.array([np.cross(down, ahead), down, ahead])
    origin = (camera.center_xy[0] - 0.5 * shape[1], camera.center_xy[1] - 0.5 * shape[0])
    sun = np.array([np.cos(i), 0.0, np.sin(i)]) * 2.9 * ceres.AU_KM
    return ViewingGeometry(camera, shape, eye, sun, rotation, origin)


@pytest.mark.parametrize(("emission", "incidence"), [(10, 20), (72, 20), (10, 78), (73, 77)])
def test_angles_are_flagged(emission, incidence):
    geometry = oblique_geometry((128, 128), emission, incidence)
    frame = flat_frame(1.0 + gaussian(64, 64, 3.0), geometry=geometry)
    row = nearest(SpotFinder(keep_all=True, disk_function="lommel_seeliger")(frame), 64, 64)
    assert row.emission_deg == pytest.approx(emission, abs=0.5)
    assert row.incidence_deg == pytest.approx(incidence, abs=0.5)
    flags = row["flags"].split("|")
    assert ("HIGH_EMI" in flags) == (emission > 70)
    assert ("HIGH_INC" in flags) == (incidence > 75)
    assert "NO_GEOMETRY" not in flags


def flags_of(row: pd.Series) -> set[str]:
    return set(filter(None, row["flags"].split("|")))


def test_what_the_frame_says_is_flagged():
    spot = 1.0 + gaussian(64, 64, 4.0)
    plain = {"NO_GEOMETRY"}
    scales = {s: scale_of(1.0, s) for s in ("user", "spice", "label", "map", "limb", "article")}
    cases = [
        ({}, set()),
        ({"unit": "display"}, {"DISPLAY_STRETCH"}),
        ({"subframe": True}, {"SUBFRAME"}),
        ({"filter_number": 3, "level": "1B"}, {"STRAYLIGHT"}),
        ({"filter_number": 3, "level": "1C"}, set()),
        ({"filter_number": 1, "level": "1B"}, set()),
        ({"scale": scales["spice"]}, set()),
        ({"scale": scales["label"]}, set()),
        ({"scale": scales["map"]}, set()),
        ({"scale": scales["limb"]}, {"SCALE_ASSUMED"}),
        ({"scale": scales["article"]}, {"SCALE_ASSUMED"}),
        ({"scale": scales["user"]}, {"SCALE_ASSUMED"}),
        ({"scale": scale_of(1.0, "label", conflicts=("limb says 2.0",))}, {"SCALE_CONFLICT"}),
        ({"geometry": oblique_geometry((128, 128), 10, 20)}, {"-NO_GEOMETRY"}),
        (
            {"geometry": replace(oblique_geometry((128, 128), 10, 20), longitude_known=False, source="limb")},
            set(),
        ),
    ]
    for changes, expected in cases:
        row = nearest(EVERYTHING(flat_frame(spot, **changes)), 64, 64)
        wanted = (
            (plain | expected) - {"-NO_GEOMETRY"} - ({"NO_GEOMETRY"} if "-NO_GEOMETRY" in expected else set())
        )
        assert flags_of(row) == wanted, changes


def test_what_the_footprint_says_is_flagged():
    nothing = np.zeros((128, 128), bool)
    wide = 1.0 + 2.0 * gaussian(64, 64, 4.0)
    full = wide > 2.5
    assert flags_of(nearest(EVERYTHING(flat_frame(np.minimum(wide, 2.5), saturated=full)), 64, 64)) >= {
        "SATURATED"
    }
    hole = nothing.copy()
    hole[64, 65] = True
    assert "LOST_PIXELS" in flags_of(nearest(EVERYTHING(flat_frame(wide, mask=hole)), 64, 64))
    assert "EDGE" in flags_of(nearest(EVERYTHING(flat_frame(1.0 + gaussian(1, 64, 3.0))), 1, 64))
    pair = 1.0 + gaussian(56, 64, 3.0) + gaussian(69, 64, 3.0) + gaussian(30, 30, 3.0)
    detection = EVERYTHING(flat_frame(pair))
    assert "BLEND" in flags_of(nearest(detection, 56, 64)) & flags_of(nearest(detection, 69, 64))
    assert "BLEND" not in flags_of(nearest(detection, 30, 30))
    point = nearest(EVERYTHING(flat_frame(1.0 + gaussian(64, 64, 0.6))), 64, 64)
    assert "UNRESOLVED" in flags_of(point)


# ---------------------------------------------------------------- kilometres


LENGTHS = [n for n in NAMES if n.endswith("_km")]
AREAS = [n for n in NAMES if n.endswith("_km2")]


def blobs() -> np.ndarray:
    rng = np.random.default_rng(6)
    picture = rng.normal(1.0, 0.01, (128, 128))
    for x, y, sigma, height in (
        (30, 30, 3, 1.0),
        (90, 40, 0.6, 2.0),
        (60, 95, 6, 0.5),
        (100, 100, 2.5, -0.5),
    ):
        picture += height * gaussian(x + rng.uniform(-0.5, 0.5), y + rng.uniform(-0.5, 0.5), sigma)
    return picture


@pytest.mark.parametrize("geometry", [None, oblique_geometry((128, 128), 40, 30)])
@pytest.mark.parametrize("source", ["user", "article"])
def test_twice_the_scale_is_twice_the_kilometres(geometry, source):
    one = EVERYTHING(flat_frame(blobs(), geometry=geometry, scale=scale_of(0.7, source))).catalog
    two = EVERYTHING(flat_frame(blobs(), geometry=geometry, scale=scale_of(1.4, source))).catalog
    assert len(one) == len(two) >= 4
    for name in LENGTHS:
        np.testing.assert_allclose(two[name], 2.0 * one[name], rtol=1e-9)
    for name in AREAS:
        np.testing.assert_allclose(two[name], 4.0 * one[name], rtol=1e-9)
    rest = [n for n in NAMES if n not in LENGTHS + AREAS]
    pd.testing.assert_frame_equal(one[rest], two[rest])
    assert set(one.scale_source) == {source}
    np.testing.assert_allclose(one.pixel_scale_km, 0.7, rtol=0.05)


def test_kilometres_without_geometry_are_pixels_times_scale():
    table = EVERYTHING(flat_frame(blobs(), scale=scale_of(2.5, "limb"))).catalog
    np.testing.assert_allclose(table.pixel_scale_km, 2.5)
    np.testing.assert_allclose(table.pixel_scale_error_km, 0.025)
    np.testing.assert_allclose(table.diameter_halfmax_km, 2.5 * table.diameter_halfmax)
    known = table.diameter_km.notna()
    np.testing.assert_allclose(table.area_km2[known], 0.25 * np.pi * table.diameter_km[known] ** 2)
    assert table.latitude_deg.isna().all()
    assert table.slope_needed_deg.isna().all()


def test_without_any_scale_there_are_no_kilometres():
    table = EVERYTHING(flat_frame(blobs())).catalog
    assert len(table) >= 4
    assert table[LENGTHS + AREAS].isna().all().all()
    assert set(table.scale_source) == {""}
    assert table[["contrast", "diameter_halfmax", "x_centroid", "snr"]].notna().all().all()


def test_a_limb_geometry_knows_its_scale():
    whole = oblique_geometry((128, 128), 30, 30)
    outline = replace(whole, source="limb", longitude_known=False)
    known = EVERYTHING(flat_frame(blobs(), geometry=whole)).catalog
    limb = EVERYTHING(flat_frame(blobs(), geometry=outline, scale=scale_of(0.0932, "limb"))).catalog
    np.testing.assert_allclose(limb.pixel_scale_km, known.pixel_scale_km, rtol=1e-6)
    np.testing.assert_allclose(limb.diameter_halfmax_km, known.diameter_halfmax_km, rtol=1e-6)
    assert limb[["latitude_deg", "longitude_deg"]].isna().all().all()
    assert limb[["incidence_deg", "emission_deg", "phase_deg"]].notna().all().all()


def test_a_picture_without_label_takes_limb_or_user():
    spot = Spot("", 15.0, 225.0, 60.0, 3.0)
    scene = replace(SMOOTH, shape=(256, 256), altitude_km=50_000.0, phase_deg=30.0, spots=(spot,))
    rendered = render(scene)
    (truth,) = rendered.truth.itertuples()
    blank = {
        "geometry": None,
        "scale": None,
        "camera": None,
        "filter_number": None,
        "level": None,
        "subframe": False,
    }
    picture = replace(rendered.frame, start_time=None, **blank)
    limb = nearest(EVERYTHING(locate(picture)), truth.x, truth.y)
    assert limb.scale_source == "limb"
    assert limb.pixel_scale_km == pytest.approx(truth.pixel_scale_km, rel=0.03)
    assert limb.diameter_halfmax_km == pytest.approx(60.0, rel=0.05)
    assert limb.incidence_deg == pytest.approx(truth.incidence_deg, abs=6.0)
    user = nearest(EVERYTHING(locate(picture, scale_km=3.0 * limb.pixel_scale_km)), truth.x, truth.y)
    assert user.scale_source == "user"
    for name in ("pixel_scale_km", "diameter_halfmax_km", "major_axis_km"):
        assert user[name] == pytest.approx(3.0 * limb[name], rel=0.02)
    assert user.area_km2 == pytest.approx(9.0 * limb.area_km2, rel=0.04)


def test_a_rows_kilometres_do_not_depend_on_other_rows():
    frame = flat_frame(blobs(), geometry=oblique_geometry((128, 128), 50, 30), scale=scale_of(0.7))
    whole = EVERYTHING(frame)
    for polarity in ("bright", "dark"):
        part = replace(EVERYTHING, polarity=polarity)(frame)
        for _, row in part.catalog.iterrows():
            other = nearest(whole, row.x_centroid, row.y_centroid)
            assert other.diameter_halfmax_km == pytest.approx(row.diameter_halfmax_km, rel=1e-9)


def test_scale_error_enters_the_diameters():
    sure = EVERYTHING(flat_frame(blobs(), scale=scale_of(1.0, error=0.0))).catalog
    unsure = EVERYTHING(flat_frame(blobs(), scale=scale_of(1.0, error=0.2))).catalog
    expected = np.hypot(sure.diameter_error_km, 0.2 * sure.diameter_halfmax_km)
    np.testing.assert_allclose(unsure.diameter_error_km, expected)
    np.testing.assert_allclose(unsure.pixel_scale_error_km, 0.2)
    assert np.all(sure.diameter_error_km > 0)


def test_calibrated_units_give_albedo_and_others_do_not():
    geometry = oblique_geometry((128, 128), 30, 30)
    albedos = ["iof", "equigonal_albedo", "normal_albedo"]
    calibrated = {"unit": "W m-2 sr-1", "filter_number": 1, "sun_distance_km": 2.9 * ceres.AU_KM}
    for changes, known in (
        ({}, [True, True, True]),
        ({"geometry": None}, [True, False, False]),
        (calibrated, [True, True, True]),
        (calibrated | {"filter_number": None}, [False, False, False]),
        ({"unit": "DN"}, [False, False, False]),
        ({"unit": "display"}, [False, False, False]),
    ):
        row = nearest(EVERYTHING(flat_frame(blobs(), **{"geometry": geometry, **changes})), 30, 30)
        assert row[albedos].notna().tolist() == known, changes


def test_iof_is_the_mean_of_the_footprints_pixels():
    picture = 0.04 * blobs()
    detection = EVERYTHING(flat_frame(picture))
    for _, row in detection.catalog.iterrows():
        own = detection.segmentation == row.detection_id
        if row.n_pixels > 8:
            assert row.iof == pytest.approx(picture[own].mean(), rel=0.02)


def test_dark_places_mirror_bright_ones():
    # A soft disc of contrast 1 / 2.5: its ground below 1 / 1.3 and its (negative) excess are what is painted.
    yy, xx = np.mgrid[:128, :128]
    depth = 0.6 / (1.0 + np.exp(2.0 * (np.hypot(xx - 64.2, yy - 63.7) - 7.0)))
    finder = SpotFinder(keep_all=True, polarity="dark", threshold=1.3)
    noise = np.random.default_rng(5).normal(1.0, 0.002, depth.shape)
    row = nearest(finder(flat_frame((1.0 - depth) * noise, scale=scale_of(2.0))), 64, 64)
    assert row.polarity == "dark"
    assert row.area_km2 == pytest.approx(4.0 * np.sum(1.0 - depth < 1.0 / 1.3), rel=0.05)
    assert row.excess_area_km2 == pytest.approx(-4.0 * depth.sum(), rel=0.05)
    assert row.contrast_peak == pytest.approx(0.4, abs=0.02)
    assert 0.4 < row.contrast < 0.6


def test_signal_to_noise_grows_with_size():
    rng = np.random.default_rng(3)
    noise = rng.normal(1.0, 0.03, (128, 128))
    small = nearest(EVERYTHING(flat_frame(noise + 0.4 * gaussian(64, 64, 2.0))), 64, 64)
    large = nearest(EVERYTHING(flat_frame(noise + 0.4 * gaussian(64, 64, 5.0))), 64, 64)
    assert large.snr > 1.5 * small.snr > 10.0
    assert small.background_rms == pytest.approx(0.375 * 0.03, rel=0.15)
