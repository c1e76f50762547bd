"""The whole walk: what holds for any frame, turned, brighter, alone or not, and frames of nothing."""

import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from brightspot.background import Background
from brightspot.catalog import COLUMNS, Flag, empty_catalog
from brightspot.errors import BrightspotError, UsageError
from brightspot.finder import DISK_FUNCTIONS, PRESETS, Detection, SpotFinder
from brightspot.frame import Frame
from brightspot.photometry import DISK_FUNCTIONS as KNOWN_DISK_FUNCTIONS
from brightspot.scale import Scale, ScaleChoice
from brightspot.simulate import Scene, Spot, random_scene, render

EVERYTHING = SpotFinder(keep_all=True)
NUMBERS = [c.name for c in COLUMNS if c.name not in ("frame", "polarity", "scale_source", "reasons", "flags")]


def in_memory(picture: np.ndarray, **changes) -> Frame:
    picture = np.ascontiguousarray(picture, np.float32)
    nothing = np.zeros(picture.shape, bool)
    facts = {
        "name": "made",
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


def blobs(size: int = 128, seed: int = 1) -> np.ndarray:
    """Bright and dark spots on noisy ground."""
    rng = np.random.default_rng(seed)
    picture = rng.normal(1.0, 0.01, (size, size))
    for x, y, sigma, height in ((30, 30, 3, 1.5), (90, 40, 1, 1.0), (60, 95, 5, 0.7), (100, 100, 2.5, -0.6)):
        x, y = x * size / 128 + rng.uniform(-0.5, 0.5), y * size / 128 + rng.uniform(-0.5, 0.5)
        picture += height * gaussian(x, y, sigma, size)
    return picture


@functools.cache
def rough() -> Frame:
    """Cratered ground with bright and dark spots, sky in view, level 1C."""
    spots = tuple(
        Spot("", 10.0 + dy, 230.0 + dx, 25.0, contrast, edge_width=0.2)
        for dx, dy, contrast in ((-8, -6, 3.0), (9, 4, 2.0), (3, -14, 4.0), (-14, 10, 0.4))
    )
    scene = random_scene(
        5, 15_000.0, shape=(512, 512), unit="iof", named_spots=False, phase_deg=45.0, spots=spots,
        sub_spacecraft_latitude_deg=10.0, sub_spacecraft_longitude_deg=230.0, center_xy=(350.0, 300.0),
    )  # fmt: skip
    return render(scene).frame


def without_geometry(frame: Frame) -> Frame:
    return replace(frame, geometry=None, scale=ScaleChoice(Scale(1.4, 0.01, "user", "test")))


@functools.cache
def everything(with_geometry: bool) -> Detection:
    return EVERYTHING(rough() if with_geometry else without_geometry(rough()))


def paired(a: pd.DataFrame, b: pd.DataFrame, x: np.ndarray, y: np.ndarray, within: float) -> np.ndarray:
    """For each row of ``a`` the row of ``b`` at (x, y) of ``b``'s rows; -1 where there is none."""
    far = np.hypot(a.x_centroid.to_numpy()[:, None] - x, a.y_centroid.to_numpy()[:, None] - y)
    far[a.polarity.to_numpy()[:, None] != np.asarray(b.polarity)] = np.inf
    return np.where(far.min(axis=1) < within, far.argmin(axis=1), -1)


# ---------------------------------------------------------------- the same ground, seen otherwise


@pytest.mark.parametrize("turn", ["left-right", "up-down", "half", "transposed"])
def test_a_turned_frame_gives_a_turned_catalog(turn):
    act, place = {
        "left-right": (np.fliplr, lambda x, y: (511.0 - x, y)),
        "up-down": (np.flipud, lambda x, y: (x, 511.0 - y)),
        "half": (lambda a: a[::-1, ::-1], lambda x, y: (511.0 - x, 511.0 - y)),
        "transposed": (np.transpose, lambda x, y: (y, x)),
    }[turn]
    frame = without_geometry(rough())
    parts = {name: np.ascontiguousarray(act(getattr(frame, name))) for name in ("image", "mask", "saturated")}
    one, other = everything(False).catalog, EVERYTHING(replace(frame, **parts)).catalog
    assert len(one) > 50
    assert abs(len(one) - len(other)) <= 0.01 * len(one)
    x, y = place(other.x_centroid.to_numpy(), other.y_centroid.to_numpy())
    match = paired(one, other, x, y, 0.01)
    assert np.mean(match >= 0) > 0.98
    # Binned views and medians over the rings of large objects may begin elsewhere.
    small = (match >= 0) & (one.n_pixels.to_numpy() < 150)
    a, b = one[small], other.iloc[match[small]]
    for name in (
        "contrast",
        "contrast_peak",
        "diameter_halfmax",
        "excess_area_km2",
        "n_pixels",
        "elongation",
        "sharpness",
    ):
        same = np.isclose(b[name].to_numpy(float), a[name].to_numpy(float), rtol=1e-4, atol=2e-3)
        assert same.mean() > 0.99, name  # equal neighbours of a peak may be taken in another order
    same = np.isclose(b.albedo_confidence.to_numpy(), a.albedo_confidence.to_numpy(), atol=1e-3)
    assert same.mean() > 0.97  # trees are steps: a feature on a threshold may fall on either side


@pytest.mark.parametrize("with_geometry", [False, True])
@pytest.mark.parametrize("factor", [2.0, 0.37])
def test_exposure_changes_nothing_but_the_light(with_geometry, factor):
    frame = rough() if with_geometry else without_geometry(rough())
    one, other = (
        everything(with_geometry).catalog,
        EVERYTHING(replace(frame, image=frame.image * np.float32(factor))).catalog,
    )
    assert len(one) == len(other)
    light = {"iof", "equigonal_albedo", "normal_albedo"}
    if factor == 2.0:  # exact in floating point
        for name in NUMBERS:
            expected = one[name] * (2.0 if name in light else 1.0)
            np.testing.assert_allclose(other[name], expected, rtol=1e-6, atol=1e-9, err_msg=name)
    else:
        match = paired(one, other, other.x_centroid.to_numpy(), other.y_centroid.to_numpy(), 0.01)
        assert np.mean(match >= 0) > 0.99
        np.testing.assert_allclose(
            other.contrast_peak.to_numpy()[match[match >= 0]],
            one.contrast_peak[match >= 0],
            rtol=1e-3,
            atol=1e-3,
        )


@pytest.mark.parametrize("with_geometry", [False, True])
def test_the_bias_of_raw_counts_is_taken_off(with_geometry):
    frame = rough() if with_geometry else without_geometry(rough())
    counts = np.round(frame.image / np.percentile(frame.image, 99) * 4000.0).astype(np.float32)
    low = SpotFinder(min_confidence=0.0)(
        replace(frame, image=counts + np.float32(100.0), unit="DN", level="1A")
    )
    high = SpotFinder(min_confidence=0.0)(
        replace(frame, image=counts + np.float32(250.0), unit="DN", level="1A")
    )
    assert high.background.pedestal - low.background.pedestal == pytest.approx(150.0, abs=1.0)
    assert len(low.catalog) == len(high.catalog) > 0
    np.testing.assert_allclose(high.catalog.contrast_peak, low.catalog.contrast_peak, rtol=2e-3)
    calibrated = SpotFinder(min_confidence=0.0)(frame).catalog
    match = paired(
        calibrated, low.catalog, low.catalog.x_centroid.to_numpy(), low.catalog.y_centroid.to_numpy(), 0.3
    )
    bright = (match >= 0) & (calibrated.polarity.to_numpy() == "bright")
    assert bright.sum() >= 3
    raw = low.catalog.contrast_peak.to_numpy()[match[bright]]
    assert np.median(np.abs(raw / calibrated.contrast_peak[bright] - 1.0)) < 0.02


def test_light_in_fractions_of_one_has_no_bias_whatever_the_label_lacks():
    scene = random_scene(3, 1_470.0, phase_deg=20.0, shape=(384, 384), named_spots=False, unit="iof")
    frame = without_geometry(render(scene).frame)
    one, other = (SpotFinder()(replace(frame, unit=unit)).catalog for unit in ("I/F", "DN"))
    assert len(one) >= 3
    pd.testing.assert_series_equal(one.contrast_peak, other.contrast_peak)


def test_missing_pixels_below_zero_are_not_the_bias():
    raw = replace(rough(), unit="DN", image=rough().image * np.float32(20_000.0) + np.float32(200.0))
    raw = replace(raw, geometry=None)
    lost = raw.image.copy()
    lost[:100, :100] = -32_768.0
    one, other = (SpotFinder()(replace(raw, image=image)).catalog for image in (raw.image, lost))
    inside = (one.x_centroid < 110) & (one.y_centroid < 110)
    assert len(one[~inside]) >= 3
    match = paired(one[~inside], other, other.x_centroid.to_numpy(), other.y_centroid.to_numpy(), 0.5)
    assert np.all(match >= 0)


@pytest.mark.parametrize("first", [0, 1, 4])
def test_ground_between_masked_columns_is_searched(first):
    frame = without_geometry(rough())
    mask = frame.mask.copy()
    mask[:, first::8] = True
    assert len(SpotFinder()(replace(frame, mask=mask)).catalog) >= 2


def test_a_lower_confidence_only_adds_rows():
    frame = render(random_scene(11, 13_600.0, phase_deg=80.0)).frame
    of_all = SpotFinder(keep_all=True, min_confidence=0.0)(frame).catalog
    rows = {m: SpotFinder(min_confidence=m)(frame).catalog for m in (0.02, 0.1, 0.3, 0.6)}
    assert len(rows[0.02]) > len(rows[0.6]) >= 1
    for m, some in rows.items():
        for more in (*(rows[k] for k in rows if k < m), of_all):
            match = paired(some, more, more.x_centroid.to_numpy(), more.y_centroid.to_numpy(), 1e-6)
            assert np.all(match >= 0)


def test_dark_dots_on_relief_are_told_from_shadows():
    truth, found, false = 0, 0, 0
    for seed in (2, 3):
        scene = random_scene(
            seed, 1_470.0, phase_deg=30.0, shape=(512, 512), named_spots=False, random_spots=0,
            dark_spots=10, dark_spot_contrast=(0.5, 0.7), random_spot_diameter_px=(4.0, 10.0),
        )  # fmt: skip
        rendered = render(scene)
        table = SpotFinder(polarity="dark")(rendered.frame).catalog
        spots = rendered.truth[rendered.truth.contrast < 1.0]
        gap = np.hypot(*(table[f"{c}_centroid"].to_numpy()[:, None] - spots[c].to_numpy() for c in "xy"))
        on_spot = gap < np.maximum(2.0, 0.5 * spots.diameter_px.to_numpy())
        truth, found, false = (
            truth + len(spots),
            found + on_spot.any(0).sum(),
            false + (~on_spot.any(1)).sum(),
        )
    assert truth == 20
    assert found >= 14
    assert false <= 1


def test_ground_that_fills_a_raw_frame_is_not_taken_for_its_bias():
    scene = random_scene(
        1, 1_470.0, phase_deg=20.0, shape=(384, 384), random_spots=15, named_spots=False, dark_spots=0
    )
    raw, calibrated = (render(replace(scene, unit=unit)).frame for unit in ("DN", "radiance"))
    assert np.percentile(raw.image, 1.0) > 1.5 * scene.bias_dn
    for geometry in (raw.geometry, None):
        of_raw, known = (SpotFinder()(replace(f, geometry=geometry)).catalog for f in (raw, calibrated))
        match = paired(known, of_raw, of_raw.x_centroid.to_numpy(), of_raw.y_centroid.to_numpy(), 0.5)
        assert (match >= 0).sum() >= 3
        said = of_raw.contrast_peak.to_numpy()[match[match >= 0]] - 1.0
        np.testing.assert_allclose(said, known.contrast_peak[match >= 0] - 1.0, rtol=0.1)


def test_bright_and_dark_change_places_in_the_inverted_picture():
    picture = blobs(256, 3)
    background = EVERYTHING(in_memory(picture)).background
    level = np.median(background.level)
    one = SpotFinder(keep_all=True)(in_memory(picture)).catalog
    two = SpotFinder(keep_all=True)(in_memory(level**2 / picture)).catalog
    strong = one[np.abs(np.log(one.contrast_peak)) > np.log(1.3)]
    assert set(strong.polarity) == {"bright", "dark"}
    for _, row in strong.iterrows():
        far = np.hypot(two.x_centroid - row.x_centroid, two.y_centroid - row.y_centroid)
        mirror = two.iloc[int(np.argmin(far))]
        assert far.min() < 0.5
        assert mirror.polarity != row.polarity
        assert mirror.contrast_peak == pytest.approx(1.0 / row.contrast_peak, rel=0.06)


def test_real_spots_are_among_the_candidates_in_their_own_sign():
    table = everything(True).catalog
    x, y = rough().geometry.project(10.0 + np.array([-6, 4, -14, 10]), 230.0 + np.array([-8, 9, 3, -14]))
    for k, polarity in enumerate(["bright", "bright", "bright", "dark"]):
        near = table[np.hypot(table.x_centroid - x[k], table.y_centroid - y[k]) < 4.0]
        assert polarity in set(near[near.diameter_halfmax_km > 12.0].polarity)


# ---------------------------------------------------------------- the same every time


def test_the_same_frame_gives_the_same_bytes():
    frames = [in_memory(blobs(seed=k)) for k in range(3)]
    first = [EVERYTHING(f).catalog.to_csv() for f in frames]
    EVERYTHING(rough())
    again = [EVERYTHING(f).catalog.to_csv() for f in reversed(frames)]
    assert again[::-1] == first
    with ThreadPoolExecutor(3) as pool:
        assert [d.catalog.to_csv() for d in pool.map(EVERYTHING, frames * 2)] == first * 2


@pytest.mark.parametrize("kind", [">f4", "float64", "uint16"])
def test_pixels_of_any_kind_give_the_same_catalog(kind):
    picture = np.round(1000.0 * blobs()).astype(kind)
    once = EVERYTHING(in_memory(picture.astype(np.float32), unit="DN")).catalog
    other = EVERYTHING(replace(in_memory(picture, unit="DN"), image=picture)).catalog
    pd.testing.assert_frame_equal(once, other)


def test_the_frame_is_left_as_it_was():
    frame = in_memory(blobs())
    before = [a.copy() for a in (frame.image, frame.mask, frame.saturated)]
    EVERYTHING(frame)
    for a, b in zip(before, (frame.image, frame.mask, frame.saturated), strict=True):
        np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------- rows, ids, footprints


@pytest.mark.parametrize("with_geometry", [False, True])
def test_footprints_carry_their_rows_numbers(with_geometry):
    detection = everything(with_geometry)
    table, labels = detection.catalog, detection.segmentation
    assert labels.shape == detection.frame.shape
    assert labels.dtype == np.int32
    assert table.detection_id.tolist() == list(range(1, len(table) + 1))
    assert set(np.unique(labels)) <= {0, *table.detection_id}
    excess = table.excess_area_km2.abs() / table.pixel_scale_km**2
    flat = table if not with_geometry else table[table.emission_deg < 20]
    assert np.all(np.diff(excess[flat.index]) <= 0.1 * excess[flat.index].iloc[:-1] + 0.1)  # largest first
    n = ndimage.sum_labels(np.ones(labels.shape), labels, table.detection_id)
    own = n == table.n_pixels
    assert own.mean() > 0.8  # large places are painted from binned views
    middle = ndimage.center_of_mass(np.ones(labels.shape), labels, table.detection_id[own])
    off = np.hypot(*(np.array(middle) - table[["y_centroid", "x_centroid"]][own].to_numpy()).T)
    assert np.median(off) < 1.0
    assert np.mean(off < 2.0 + 0.7 * table.diameter_halfmax[own]) > 0.99  # but for a spike on a wall


def test_every_row_is_filled_as_promised():
    table = everything(True).catalog
    assert list(table.columns) == [c.name for c in COLUMNS]
    assert set(table.polarity) == {"bright", "dark"}
    assert table.albedo_confidence.between(0, 1).all()
    assert (
        table[["contrast", "contrast_peak", "snr", "n_pixels", "x_centroid", "elongation"]]
        .notna()
        .all()
        .all()
    )
    on_body = table[table.latitude_deg.notna()]
    assert len(on_body) > 0.9 * len(table)
    assert on_body.latitude_deg.between(-90, 90).all()
    assert on_body.longitude_deg.between(0, 360).all()
    bright = table.polarity == "bright"
    assert np.all(table.contrast_peak[bright] > 1.0)
    assert np.all(table.contrast_peak[~bright] < 1.0)
    names = {flag.name for flag in Flag}
    assert all(set(filter(None, f.split("|"))) <= names for f in table["flags"])
    assert all(r and "\n" not in r and "," not in r for r in table["reasons"])
    assert table.slope_needed_deg.dropna().between(0, 90).all()


def test_a_large_bright_floor_is_one_place():
    rng = np.random.default_rng(2)
    picture = rng.normal(1.0, 0.02, (512, 512))
    yy, xx = np.mgrid[:512, :512]
    picture[np.hypot(xx - 250.4, yy - 260.7) < 60] *= 1.8
    table = SpotFinder(min_confidence=0.0, polarity="bright")(in_memory(picture)).catalog
    row = table.iloc[0]
    assert row.diameter_halfmax == pytest.approx(120.0, rel=0.05)
    assert np.hypot(row.x_centroid - 250.4, row.y_centroid - 260.7) < 1.0
    assert row.contrast_peak == pytest.approx(1.8, rel=0.05)
    inside = np.hypot(table.x_centroid - 250, table.y_centroid - 261) < 70
    assert inside.sum() == 1


# ---------------------------------------------------------------- settings


def test_polarity_chooses_rows():
    frame = in_memory(blobs())
    both = EVERYTHING(frame).catalog
    for polarity in ("bright", "dark"):
        part = SpotFinder(keep_all=True, polarity=polarity)(frame).catalog
        assert set(part.polarity) == {polarity}
        expected = both[both.polarity == polarity].drop(columns="detection_id").reset_index(drop=True)
        pd.testing.assert_frame_equal(part.drop(columns="detection_id"), expected)


def covered(table: pd.DataFrame, by: Detection) -> np.ndarray:
    """Whether each row is a row of another detection or meets a footprint of the same sign there."""
    match = paired(
        table, by.catalog, by.catalog.x_centroid.to_numpy(), by.catalog.y_centroid.to_numpy(), 0.05
    )
    dark = np.concatenate([[False], by.catalog.polarity == "dark"])[by.segmentation]
    out = match >= 0
    for k, (x, y) in enumerate(zip(table.x_centroid, table.y_centroid, strict=True)):
        r = max(2, int(0.5 * table.diameter_halfmax.iloc[k]))  # a wide place may be found in pieces there
        around = np.s_[max(int(y) - r, 0) : int(y) + r + 2, max(int(x) - r, 0) : int(x) + r + 2]
        same = dark[around] == (table.polarity.iloc[k] == "dark")
        out[k] |= np.any((by.segmentation[around] > 0) & same)
    return out


def test_confidence_and_presets_narrow_the_choice():
    frame = rough()
    loose, default, strict = (SpotFinder(min_confidence=c)(frame) for c in (0.0, 0.5, 0.95))
    assert len(everything(True).catalog) > len(loose.catalog) > len(default.catalog) >= len(strict.catalog)
    assert np.all(default.catalog.albedo_confidence >= 0.5)
    assert np.all(strict.catalog.albedo_confidence >= 0.95)
    wide = SpotFinder(min_confidence=0.0, n_pixels=30)(frame).catalog
    assert 0 < len(wide) < len(loose.catalog)
    assert wide.n_pixels.min() >= 30
    for narrow in ({"preset": "facula"}, {"threshold": 3.0}):
        part = SpotFinder(min_confidence=0.0, **narrow)(frame).catalog
        assert 0 < len(part) < len(loose.catalog)
        assert covered(part, loose).all()
    assert len(SpotFinder(min_confidence=0.0, threshold=1.1)(frame).catalog) > len(loose.catalog)


def test_where_the_ground_lies_in_the_frame_changes_no_confidence():
    ground = np.random.default_rng(2).normal(1.0, 0.005, (512, 512))
    y, x = np.mgrid[:512, :512]
    for spot in (200, 310):
        ground += 0.6 * np.exp(-0.5 * ((x - spot) ** 2 + (y - 250) ** 2))
    said = []
    for shift in (0, 16, 48, 64):  # whole blocks and bins of 16
        moved = np.ascontiguousarray(np.roll(ground, shift, 1), np.float32)
        table = SpotFinder(keep_all=True, polarity="bright")(in_memory(moved)).catalog
        near = [np.hypot(table.x_centroid - spot - shift, table.y_centroid - 250) < 2 for spot in (200, 310)]
        said.append([float(table.albedo_confidence[own].max()) for own in near])
    np.testing.assert_allclose(said, np.tile(said[0], (4, 1)), atol=1e-5)
    assert max(said[0]) > 0.1


def test_another_min_confidence_adds_or_drops_rows_and_changes_none():
    frame = rough()
    tables = [SpotFinder(min_confidence=c)(frame).catalog.drop(columns="detection_id") for c in (0, 0.5, 0.9)]
    for loose, strict, least in zip(tables, tables[1:], (0.5, 0.9), strict=False):
        assert 0 < len(strict) < len(loose)
        expected = loose[loose.albedo_confidence >= least].reset_index(drop=True)
        pd.testing.assert_frame_equal(strict.reset_index(drop=True), expected)


@pytest.mark.parametrize(
    ("settings_", "bright", "dark"),
    [
        ({}, 1.3, 1 / 1.3),
        ({"preset": "facula", "threshold": 4.0}, 4.0, 0.25),
        ({"preset": "ksigma"}, 5.0, 5.0),
        ({"preset": "absolute"}, 0.12, 0.094**2 / 0.12),
        ({"preset": "absolute", "threshold": 0.05}, 0.094**2 / 0.05, 0.05),
    ],
)
def test_dark_limits_mirror_bright_ones(settings_, bright, dark):
    finder = SpotFinder(**settings_)
    assert finder.limit_of(dark=False) == pytest.approx(bright)
    assert finder.limit_of(dark=True) == pytest.approx(dark)


def test_keeping_all_keeps_what_is_believed():
    for finder in (SpotFinder(), SpotFinder(min_confidence=0.1, threshold=1.15)):
        table = finder(rough()).catalog
        assert len(table) >= 3
        kept = replace(finder, keep_all=True)(rough())
        assert covered(table, kept).all()
        # A round spot is the same place with the same size in both.
        single = table[~table["flags"].str.contains("BLEND|EDGE") & (table.elongation < 1.3)]
        for _, row in single.iterrows():
            whole = kept.catalog
            off = np.hypot(whole.x_centroid - row.x_centroid, whole.y_centroid - row.y_centroid)
            same = whole.iloc[int(off.argmin())]
            assert off.min() < 0.05
            assert same.diameter_halfmax_km == pytest.approx(row.diameter_halfmax_km, rel=1e-6)


@pytest.mark.parametrize("preset", PRESETS)
def test_rows_meet_their_preset(preset):
    finder = SpotFinder(preset=preset, min_confidence=0.0)
    table = finder(rough()).catalog
    assert len(table)
    bright, dark = table[table.polarity == "bright"], table[table.polarity == "dark"]
    if finder.kind == "contrast":
        assert np.all(bright.contrast_peak + bright.background_rms >= finder.limit)
        assert np.all(dark.contrast_peak - dark.background_rms <= 1.0 / finder.limit)
    elif finder.kind == "sigma":
        assert np.all(np.abs(table.contrast_peak - 1.0) >= finder.limit * table.background_rms)
    else:
        assert np.all(bright.normal_albedo >= finder.limit)
        assert np.all(dark.normal_albedo <= finder.limit)


def test_settings_are_data():
    finder = SpotFinder(preset="ksigma", threshold=7.0)
    assert SpotFinder(**asdict(finder)) == finder
    assert (finder.kind, finder.limit) == ("sigma", 7.0)
    assert (SpotFinder().kind, SpotFinder().limit) == ("contrast", 1.3)
    assert DISK_FUNCTIONS == KNOWN_DISK_FUNCTIONS
    with pytest.raises(AttributeError):
        finder.preset = "facula"


@pytest.mark.parametrize(
    "settings",
    [
        {"preset": "brightest"},
        {"preset": ""},
        {"polarity": "white"},
        {"min_confidence": -0.1},
        {"min_confidence": 1.5},
        {"min_confidence": float("nan")},
        {"threshold": 1.0},
        {"threshold": float("nan")},
        {"preset": "ksigma", "threshold": 0.0},
        {"preset": "absolute", "threshold": -0.1},
        {"n_pixels": 0},
        {"psf_fwhm": 0.0},
        {"psf_fwhm": float("nan")},
        {"disk_function": "hapke"},
        {"max_incidence_deg": 0.0},
        {"max_incidence_deg": 120.0},
        {"max_emission_deg": -5.0},
        {"max_emission_deg": float("nan")},
    ],
)
def test_wrong_settings_are_refused_at_once(settings):
    with pytest.raises(UsageError) as refused:
        SpotFinder(**settings)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"geometry": None},
        {"unit": "display"},
        {"unit": "DN"},
        {"unit": "W m-2 sr-1", "filter_number": None},
    ],
)
def test_absolute_needs_calibrated_light_and_geometry(changes):
    frame = replace(rough(), **changes)
    with pytest.raises(UsageError, match="absolute"):
        SpotFinder(preset="absolute")(frame)


@pytest.mark.parametrize("disk_function", DISK_FUNCTIONS)
def test_spots_do_not_hang_on_the_disk_function(disk_function):
    table = SpotFinder(disk_function=disk_function, min_confidence=0.0, polarity="bright", preset="facula")(
        rough()
    ).catalog
    x, y = rough().geometry.project(10.0 + np.array([-6, 4, -14]), 230.0 + np.array([-8, 9, 3]))
    for k, contrast in enumerate([3.0, 2.0, 4.0]):
        near = np.hypot(table.x_centroid - x[k], table.y_centroid - y[k])
        assert near.min() < 3.0
        assert table.contrast_peak.iloc[int(near.argmin())] == pytest.approx(contrast, rel=0.3)


# ---------------------------------------------------------------- frames with little in them


def assert_empty(detection: Detection) -> None:
    assert len(detection.catalog) == 0
    assert detection.catalog.dtypes.to_dict() == empty_catalog().dtypes.to_dict()
    assert list(detection.catalog.columns) == [c.name for c in COLUMNS]
    assert detection.segmentation.shape == detection.frame.shape
    assert detection.segmentation.dtype == np.int32
    assert not detection.segmentation.any()
    assert isinstance(detection.background, Background)


NOTHING_LIT = {
    "zero": (np.zeros((64, 64)), {}),
    "zero counts": (np.zeros((64, 64)), {"unit": "DN"}),
    "negative": (np.full((64, 64), -1.0), {}),
    "constant counts": (np.full((64, 64), 270.0), {"unit": "DN"}),
    "masked": (np.ones((64, 64)), {"mask": np.ones((64, 64), bool)}),
    "masked counts": (np.ones((64, 64)), {"mask": np.ones((64, 64), bool), "unit": "DN"}),
    "masked display": (np.ones((64, 64)), {"mask": np.ones((64, 64), bool), "unit": "display"}),
    "not a number, masked": (np.full((64, 64), np.nan), {"mask": np.ones((64, 64), bool)}),
    "one pixel": (np.zeros((1, 1)), {}),
    "no pixels": (np.zeros((0, 0)), {}),
    "no rows": (np.zeros((0, 40)), {}),
}


@pytest.mark.parametrize("case", NOTHING_LIT)
@pytest.mark.parametrize("finder", [SpotFinder(), EVERYTHING])
def test_nothing_lit_is_said_in_one_line(case, finder):
    picture, changes = NOTHING_LIT[case]
    with pytest.raises(BrightspotError, match="nothing in the image is lit") as said:
        finder(in_memory(picture, **changes))
    assert "\n" not in str(said.value)


def test_a_frame_of_sky_shows_nothing_lit():
    frame = rough()
    away = replace(frame.geometry, spacecraft_km=frame.geometry.spacecraft_km, origin_xy=(-3000.0, -3000.0))
    noise = np.random.default_rng(1).normal(0.0, 1.0, frame.shape).astype(np.float32)
    with pytest.raises(BrightspotError, match="nothing in the image is lit"):
        SpotFinder()(replace(frame, image=noise, geometry=away))


@pytest.mark.parametrize(("unit", "bias"), [("I/F", 0.0), ("DN", 270.0)])
def test_noise_of_the_sky_is_hardly_ever_a_spot(unit, bias):
    noise = np.random.default_rng(1).normal(bias, 2.0, (256, 256))
    try:
        detection = SpotFinder()(in_memory(noise, unit=unit))
    except BrightspotError:
        return
    assert len(detection.catalog) <= 1


@pytest.mark.parametrize(
    "shape", [(1, 1), (3, 3), (7, 7), (5, 40), (1, 200), (200, 1), (16, 16), (9, 300), (30, 41)]
)
@pytest.mark.parametrize("unit", ["I/F", "DN", "display"])
def test_tiny_frames_are_gone_through(shape, unit):
    rng = np.random.default_rng(shape[0] * 1000 + shape[1])
    picture = rng.normal(100.0, 1.0, shape)
    picture.ravel()[0] = 0.0
    try:
        detection = EVERYTHING(in_memory(picture, unit=unit))
    except BrightspotError as error:
        assert "nothing in the image is lit" in str(error)
        return
    assert detection.segmentation.shape == shape
    confident = SpotFinder()(in_memory(picture, unit=unit))
    assert_empty(confident)


def test_a_constant_picture_has_no_spots():
    for finder in (SpotFinder(), EVERYTHING, SpotFinder(preset="ksigma")):
        assert_empty(finder(in_memory(np.full((64, 64), 3.0))))


def test_smooth_noisy_ground_has_no_spots():
    ground = np.random.default_rng(4).normal(1.0, 0.02, (256, 256))
    for finder in (SpotFinder(), EVERYTHING):
        assert_empty(finder(in_memory(ground)))


def test_a_spot_in_a_sea_of_masked_pixels():
    rng = np.random.default_rng(5)
    picture = blobs(seed=5)
    mask = rng.random(picture.shape) < 0.15
    picture[mask] = np.nan
    table = SpotFinder(keep_all=True, polarity="bright")(in_memory(picture, mask=mask)).catalog
    near = table.iloc[int(np.argmin(np.hypot(table.x_centroid - 60, table.y_centroid - 95)))]
    assert np.hypot(near.x_centroid - 60, near.y_centroid - 95) < 2.0
    assert near.contrast_peak == pytest.approx(1.7, rel=0.1)
    assert "LOST_PIXELS" in near["flags"]
    numbers = table.select_dtypes("number")
    assert not np.isinf(numbers.to_numpy()).any()


@pytest.mark.parametrize("value", [1e38, np.inf, np.nan, -1e38])
def test_values_that_are_no_light_count_as_masked(value):
    picture = blobs(256)
    absurd = np.zeros(picture.shape, bool)
    absurd[150:180, 150:180] = True
    picture[absurd] = value
    told = in_memory(np.where(absurd, 0.0, picture), mask=absurd)
    detection, expected = SpotFinder()(in_memory(picture)), SpotFinder()(told)
    assert len(expected.catalog) > 0
    pd.testing.assert_frame_equal(detection.catalog, expected.catalog, check_exact=True)
    assert np.array_equal(detection.frame.mask, absurd)


def test_a_saturated_plateau_is_one_flagged_place():
    picture = 1.0 + 9.0 * np.clip(gaussian(64, 60, 6.0) * 2.0, 0.0, 1.0)
    ceiling = picture >= 9.5
    picture = np.minimum(picture, 9.5) * np.where(
        ceiling, 1.0, np.random.default_rng(6).normal(1, 0.01, picture.shape)
    )
    table = SpotFinder(min_confidence=0.0)(in_memory(picture, saturated=ceiling)).catalog
    assert len(table) == 1
    assert "SATURATED" in table["flags"][0]
    assert np.hypot(table.x_centroid[0] - 64, table.y_centroid[0] - 60) < 0.3
    assert table.contrast_peak[0] == pytest.approx(9.5, rel=0.03)


def test_hot_pixels_and_cosmic_rays_are_not_believed():
    rng = np.random.default_rng(7)
    picture = rng.normal(1.0, 0.01, (256, 256))
    for x, y in rng.integers(8, 248, (25, 2)):
        picture[y, x] += rng.uniform(0.5, 5.0)
    table = SpotFinder(polarity="bright")(in_memory(picture)).catalog
    assert len(table) == 0


@pytest.mark.parametrize("hit", [1.0, 8.0])
def test_a_spot_struck_by_a_cosmic_ray_is_as_it_was(hit):
    """Its pixel would stand for the peak, too narrow for anything that came through the optics."""
    picture = blobs(256)
    once = SpotFinder(polarity="bright")(in_memory(picture)).catalog
    x, y = once[["x_centroid", "y_centroid"]].round().astype(int).to_numpy().T
    picture[y, x + 1] += hit * picture[y, x + 1]
    at_the_ceiling = np.zeros(picture.shape, bool)
    at_the_ceiling[y, x + 1] = True
    struck = SpotFinder(polarity="bright")(in_memory(picture, saturated=at_the_ceiling)).catalog
    assert len(once) == len(struck) == 3
    assert struck["flags"].tolist() == once["flags"].tolist()
    wide, again = (table["diameter_halfmax"].to_numpy() for table in (once, struck))
    assert again == pytest.approx(wide, rel=0.05)


def test_a_spot_on_quiet_ground_is_believed():
    # Whatever the judge learns: a round spot of three times the light on quiet ground is a spot.
    scene = Scene(
        shape=(256, 256), altitude_km=13_600.0, unit="iof", named_spots=False, phase_deg=25.0, roughness=0.5,
        crater_density=0.3, relief_strength=0.5, spots=(Spot("", 10.0, 230.0, 12.0, 3.0),), cosmic_rays=0,
        hot_pixels=0,
    )  # fmt: skip
    rendered = render(scene)
    (truth,) = rendered.truth[rendered.truth.is_spot].itertuples()
    for frame in (rendered.frame, replace(rendered.frame, geometry=None)):
        table = SpotFinder(polarity="bright")(frame).catalog
        assert np.hypot(table.x_centroid - truth.x, table.y_centroid - truth.y).min() < 0.5
        assert len(table) <= 3


@pytest.mark.parametrize("shape", [(64,), (64, 64, 1), (63, 64)])
def test_arrays_that_do_not_go_together_are_refused(shape):
    frame = in_memory(blobs(64))
    with pytest.raises(UsageError, match="the same for all three"):
        replace(frame, mask=np.zeros(shape, bool))
    with pytest.raises(UsageError, match="give rows and columns"):
        Frame("flat", None, *(np.zeros(64, kind) for kind in (np.float32, bool, bool)), "I/F")


def test_frames_of_unknown_units_are_refused():
    with pytest.raises(UsageError, match="unit 'counts' is none of DN, "):
        replace(in_memory(blobs(64)), unit="counts")


def test_a_cut_out_frame_needs_the_geometry_of_the_cut():
    frame = render(Scene(shape=(128, 128), altitude_km=13_600.0)).frame
    cut = {name: getattr(frame, name)[16:80, 24:120] for name in ("image", "mask", "saturated")}
    with pytest.raises(UsageError, match="geometry is that of 128x128, the image 64x96 pixels"):
        replace(frame, **cut)
    own = replace(frame.geometry, shape=(64, 96), origin_xy=(24.0, 16.0))
    here, there = replace(frame, **cut, geometry=own).geometry.ground(10, 20), frame.geometry.ground(34, 36)
    assert (here.latitude_deg, here.longitude_deg) == (there.latitude_deg, there.longitude_deg)
    assert replace(frame, **cut, geometry=None).shape == (64, 96)


def test_masked_arrays_bring_their_mask():
    picture, lost = blobs(256), np.zeros((256, 256), bool)
    lost[100:120, 30:60] = True
    spoilt = np.where(lost, 50.0, picture).astype(np.float32)
    expected = SpotFinder()(in_memory(spoilt, mask=lost))
    found = SpotFinder()(replace(in_memory(spoilt), image=np.ma.MaskedArray(spoilt, lost)))
    pd.testing.assert_frame_equal(found.catalog, expected.catalog, check_exact=True)
    assert type(found.frame.image) is np.ndarray


@pytest.mark.parametrize("kind", [np.uint8, ">u2", np.int32, ">f4", float])
def test_an_array_of_any_type_becomes_a_frame(kind):
    picture = np.rint(np.clip(blobs(256), 0, 255))
    expected = SpotFinder()(in_memory(picture.astype(np.float32)))
    frame = Frame.from_array(picture.astype(kind), "I/F", name="made")
    found = SpotFinder()(frame)
    assert len(found.catalog)
    pd.testing.assert_frame_equal(found.catalog, expected.catalog, check_exact=True)


def test_what_is_no_light_in_an_array_is_masked():
    lost = np.zeros((256, 256), bool)
    lost[3, 4] = lost[9, 9] = True
    values = np.where(lost, [[np.nan]], blobs(256))
    values[9, 9] = 1e300
    own = np.ma.MaskedArray(values, np.arange(256) == 5 + np.zeros((256, 1)))
    frame = Frame.from_array(own, "I/F", name="mosaic", mask=np.eye(256), saturated=values > 200)
    assert frame.image.dtype == np.float32 and np.isfinite(frame.image[~frame.mask]).all()
    assert np.array_equal(frame.mask, lost | own.mask | np.eye(256, dtype=bool))
    assert np.array_equal(frame.saturated, values > 200)
    for wrong in (
        {"image": values.astype(complex)}, {"image": values[0]}, {"unit": "counts"},
        {"mask": lost[:, :1]}, {"saturated": lost[:9]},
    ):  # fmt: skip
        with pytest.raises(UsageError, match="array: "):
            Frame.from_array(**{"image": values, "unit": "DN", **wrong})


def test_what_is_no_frame_is_told_how_to_become_one():
    for wrong in (blobs(64), "image.png"):
        with pytest.raises(UsageError, match=r"Frame\.from_array"):
            SpotFinder()(wrong)


def test_settings_of_another_type_are_refused():
    for wrong in ({"threshold": "1.5"}, {"threshold": 1e308}, {"n_pixels": 2.5}, {"keep_all": "no"}):
        with pytest.raises(UsageError):
            SpotFinder(**wrong)
    assert SpotFinder(threshold=np.float32(1.5), n_pixels=np.int64(3)).limit == 1.5


def test_masks_of_any_kind_are_taken():
    picture, mask = blobs(256), np.zeros((256, 256), np.uint8)
    mask[100:120, 30:60] = 255
    expected = SpotFinder()(in_memory(picture, mask=mask.astype(bool)))
    found = SpotFinder()(replace(in_memory(picture), mask=np.asfortranarray(mask)))
    pd.testing.assert_frame_equal(found.catalog, expected.catalog, check_exact=True)


def test_a_detection_is_told_in_one_line():
    detection = SpotFinder()(in_memory(blobs(256)))
    n_dark = int((detection.catalog.polarity == "dark").sum())
    assert f"{len(detection.catalog) - n_dark} bright, {n_dark} dark" in repr(detection)
    assert len(repr(detection)) < 120
