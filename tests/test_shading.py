"""Slopes against facets built in three dimensions, features and patches on made-up ground."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from brightspot._kernels import shading as kernels
from brightspot._kernels.sharpness import narrowness, sharpness_at
from brightspot.background import estimate_background
from brightspot.judge import FEATURES, SHARPEST
from brightspot.photometry import disk_function
from brightspot.segmentation import segment_outliers
from brightspot.shading import (
    ANGLE_OF_REPOSE_DEG,
    NO_SLOPE_DEG,
    describe,
    facet_emission,
    look_patches,
    reasons,
    slope_gain,
    slope_needed_deg,
    sun_axis_from_relief,
)

# ---------------------------------------------------------------- facets


def directions(
    incidence_deg: float, emission_deg: float, psi_deg: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Unit vectors to Sun and camera over ground whose normal is z, and the phase angle in degrees."""
    i, e, psi = np.radians([incidence_deg, emission_deg, psi_deg])
    sun = np.array([np.sin(i), 0.0, np.cos(i)])
    camera = np.array([np.sin(e) * np.cos(psi), np.sin(e) * np.sin(psi), np.cos(e)])
    return sun, camera, float(np.degrees(np.arccos(np.clip(sun @ camera, -1.0, 1.0))))


def facet(tilt_deg, sun, camera) -> tuple[np.ndarray, np.ndarray]:
    """Incidence and emission of ground turned toward the Sun about the y axis."""
    t = np.radians(tilt_deg)
    normal = np.stack([np.sin(t), np.zeros_like(t), np.cos(t)], axis=-1)
    return np.degrees(np.arccos(np.clip(normal @ sun, -1, 1))), np.degrees(
        np.arccos(np.clip(normal @ camera, -1, 1))
    )


def gain_by_force(tilt_deg, sun, camera, phase_deg, model) -> np.ndarray:
    """Brightness of turned facets over that of level ground; NaN where the camera does not see them."""
    i, e = facet(tilt_deg, sun, camera)
    here = disk_function(model, *facet(np.zeros(1), sun, camera), phase_deg)[0]
    there = np.where(i < 90.0, disk_function(model, i, np.minimum(e, 89.9999), phase_deg), 0.0) / here
    return np.where(e < 90.0, there, np.nan)


@settings(max_examples=80, deadline=None)
@given(
    st.floats(0.5, 85.0),
    st.floats(0.0, 80.0),
    st.floats(0.0, 180.0),
    st.one_of(st.floats(0.05, 0.97), st.floats(1.03, 6.0)),
    st.sampled_from(["akimov", "lunar_lambert", "lommel_seeliger", "lambert", "minnaert"]),
)
def test_slope_equals_turned_facets(incidence, emission, psi, contrast, model):
    sun, camera, phase = directions(incidence, emission, psi)
    assume(phase > 8.0)  # near opposition Akimov's function is a step: all or nothing
    (slope,) = slope_needed_deg(
        np.array([contrast]), np.array([incidence]), np.array([emission]), np.array([phase]), model
    )
    tilt = np.arange(0.0, 85.0, 0.01)
    gain = gain_by_force(tilt if contrast >= 1.0 else -tilt, sun, camera, phase, model)
    reached = gain >= contrast if contrast >= 1.0 else gain <= contrast
    well_reached = gain >= 1.02 * contrast if contrast >= 1.0 else gain <= contrast / 1.02 - 1e-3
    # A grid of half degrees, refined by a straight line; where the facet turns from the Sun light is a step.
    lasting = np.convolve(well_reached, np.ones(60), "valid") == 60
    assert not lasting[tilt[: lasting.size] < slope - 0.51].any()
    if slope < 84.0:
        assert reached[np.abs(tilt - slope) < 0.51].any()


def test_no_contrast_needs_no_slope():
    i, e, phase = np.array([10.0, 40.0, 75.0]), np.array([5.0, 30.0, 60.0]), np.array([12.0, 50.0, 80.0])
    np.testing.assert_array_equal(slope_needed_deg(np.ones(3), i, e, phase), 0.0)


def test_no_slope_reaches_five_times_the_light_at_noon():
    angles = np.array([5.0]), np.array([10.0]), np.array([15.0])
    assert slope_needed_deg(np.array([5.0]), *angles)[0] == NO_SLOPE_DEG
    # Low Sun: any spot can be a slope.
    low = np.array([80.0]), np.array([20.0]), np.array([70.0])
    assert slope_needed_deg(np.array([2.0]), *low)[0] < ANGLE_OF_REPOSE_DEG


def test_a_stronger_contrast_needs_more_slope():
    contrast = np.linspace(1.0, 1.4, 41)
    slope = slope_needed_deg(contrast, np.full(41, 60.0), np.full(41, 20.0), np.full(41, 50.0))
    assert np.all(np.diff(slope) > 0)
    fading = slope_needed_deg(1.0 / contrast, np.full(41, 60.0), np.full(41, 20.0), np.full(41, 50.0))
    assert np.all(np.diff(fading) > 0)


def test_what_is_not_known_stays_unknown():
    known = np.array([1.5, 1.5, 1.5, 1.5, np.nan])
    i = np.array([30.0, np.nan, 30.0, 30.0, 30.0])
    e = np.array([30.0, 30.0, np.nan, 30.0, 30.0])
    phase = np.array([30.0, 30.0, 30.0, np.nan, 30.0])
    assert np.isnan(slope_needed_deg(known, i, e, phase)).tolist() == [False, True, True, True, True]
    assert slope_needed_deg(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0)).shape == (0,)


@settings(max_examples=60, deadline=None)
@given(st.floats(1.0, 85.0), st.floats(0.0, 85.0), st.floats(0.0, 180.0), st.floats(-60.0, 60.0))
def test_facets_emission_is_that_of_the_turned_normal(incidence, emission, psi, tilt):
    sun, camera, phase = directions(incidence, emission, psi)
    _, expected = facet(np.array([tilt]), sun, camera)
    cosine = facet_emission(np.radians(tilt), *np.cos(np.radians([incidence, emission, phase])))
    assert cosine == pytest.approx(np.cos(np.radians(expected[0])), abs=1e-6)


@pytest.mark.parametrize("model", ["akimov", "lunar_lambert", "lambert"])
def test_gain_of_slopes_at_the_angle_of_repose(model):
    rng = np.random.default_rng(1)
    rows = [
        directions(*v)
        for v in zip(rng.uniform(5, 80, 50), rng.uniform(0, 60, 50), rng.uniform(0, 180, 50), strict=True)
    ]
    mu0 = np.array([sun[2] for sun, _, _ in rows], np.float32)
    mu = np.array([camera[2] for _, camera, _ in rows], np.float32)
    phase = np.array([p for _, _, p in rows], np.float32)
    gain = slope_gain(mu0, mu, phase, model)
    for k, (sun, camera, p) in enumerate(rows):
        incidence = np.degrees(np.arccos(sun[2]))
        i, e = facet(np.array([min(incidence, ANGLE_OF_REPOSE_DEG)]), sun, camera)
        if e[0] > 85.0:
            continue
        here = disk_function(model, incidence, np.degrees(np.arccos(camera[2])), p)
        assert gain[k] == pytest.approx(max(disk_function(model, i[0], e[0], p) / here, 1.0), rel=2e-3)
    unknown = slope_gain(
        np.float32([np.nan, -0.2]), np.float32([np.nan, 0.5]), np.float32([np.nan, 40.0]), model
    )
    assert np.isnan(unknown).all()


# ---------------------------------------------------------------- features


@pytest.mark.parametrize("seed", range(4))
def test_peers_equal_a_plain_search(seed):
    rng = np.random.default_rng(seed)
    n, reach, least = int(rng.integers(1, 60)), 64, np.float32(0.05)
    peak = np.sort(rng.choice(rng.uniform(0.1, 2.0, 40).astype(np.float32), n))[::-1].copy()  # some are equal
    place = rng.integers(0, (200, 300), (n, 2)).astype(np.int32)
    first, third = np.empty(n, np.float32), np.empty(n, np.float32)
    kernels.compare_peers(peak, place, (200, 300), reach, least, first, third)
    for o in range(n):
        near = np.sum((place - place[o]) ** 2, axis=1) <= reach**2
        near[o] = False
        others = np.append(np.sort(peak[near])[::-1], [0.0, 0.0, 0.0])
        assert first[o] == pytest.approx(peak[o] / max(others[0], least), rel=1e-6)
        assert third[o] == pytest.approx(peak[o] / max(others[2], least), rel=1e-6)


def features_of(picture, *, x, y, azimuth_deg=np.nan, dark=False, noise=0.01, seed=0) -> dict[str, float]:
    """Features of the object nearest to (x, y) in a levelled picture (1: the surface)."""
    picture = picture * np.random.default_rng(seed).normal(1.0, noise, picture.shape)
    background = estimate_background(picture.astype(np.float32), np.ones(picture.shape, bool))
    threshold = np.maximum(0.08, 2 * background.rms).astype(np.float32)
    found = segment_outliers(background, threshold, dark=dark)
    azimuth = np.full(len(found.peak), azimuth_deg)
    rows = describe(background, found, azimuth, None, dark=dark, every=True)
    assert rows.shape == (len(found.peak), len(FEATURES))
    assert rows.dtype == np.float32
    nearest = np.argmin(np.hypot(found.peak_yx[:, 1] - x, found.peak_yx[:, 0] - y))
    out = dict(zip(FEATURES, rows[nearest].tolist(), strict=True))
    assert out["n_pixels"] == found.n_pixels[nearest] == np.sum(found.labels == nearest + 1)
    return out


def gaussian(x, y, sigma_x, sigma_y=None, angle_deg=0.0, size=128):
    yy, xx = np.mgrid[:size, :size]
    t = np.radians(angle_deg)
    u, v = (xx - x) * np.cos(t) + (yy - y) * np.sin(t), (yy - y) * np.cos(t) - (xx - x) * np.sin(t)
    return np.exp(-0.5 * ((u / sigma_x) ** 2 + (v / (sigma_y or sigma_x)) ** 2))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("azimuth", [0.0, 70.0, 215.0])
def test_a_lonely_spot(sign, azimuth):
    picture = 1.0 + sign * 0.6 * gaussian(64.3, 63.8, 2.5)
    f = features_of(picture, x=64, y=64, azimuth_deg=azimuth, dark=sign < 0)
    assert f["contrast"] == pytest.approx(0.6, rel=0.1)
    assert f["contrast_to_texture"] == pytest.approx(f["contrast"] / f["texture"], rel=1e-5)
    assert f["elongation"] < 1.2
    assert f["filling"] == pytest.approx(1.0, abs=0.1)
    assert f["ring_highest"] < 0.15
    assert abs(f["ring_median"]) < 0.05
    assert f["ring_lowest"] <= f["ring_median"] <= f["ring_share"] <= f["ring_highest"]
    assert f["shade_beside"] > -0.1
    assert f["shade_other_side"] > -0.1
    assert f["sun_line_net"] > 0.8
    assert f["shade_share"] == 0.0
    assert f["sharpness"] > 0.8
    assert f["light"] == pytest.approx(1.0, abs=0.05)
    assert f["brightness"] == pytest.approx(1.0 + sign * 0.6, abs=0.06)


@pytest.mark.parametrize("azimuth", [0.0, 90.0, 200.0])
def test_a_hill_has_shade_on_one_side(azimuth):
    # Lit flank toward the Sun, shaded flank behind.
    a = np.radians(azimuth)
    dx, dy = 4.0 * np.sin(a), -4.0 * np.cos(a)
    picture = 1.0 + 0.5 * gaussian(64 + dx, 64 + dy, 2.5) - 0.5 * gaussian(64 - dx, 64 - dy, 2.5)
    f = features_of(picture, x=64 + dx, y=64 + dy, azimuth_deg=azimuth)
    assert f["shade_beside"] < -0.4
    assert f["shade_other_side"] > -0.1
    assert abs(f["sun_line_net"]) < 0.3  # relief sums to nothing along the Sun's line
    across = features_of(picture, x=64 + dx, y=64 + dy, azimuth_deg=azimuth + 90.0)
    assert across["shade_beside"] > -0.2
    pit = features_of(picture, x=64 + dx, y=64 + dy, azimuth_deg=azimuth + 180.0)
    assert pit["shade_beside"] == pytest.approx(f["shade_beside"], abs=0.02)  # either end of the line will do


def test_a_wall_goes_on_sideways():
    f = features_of(1.0 + 0.6 * gaussian(64, 64, 30.0, 1.8, 25.0), x=64, y=64, azimuth_deg=25.0)
    assert f["elongation"] > 3.0
    round_ = features_of(1.0 + 0.6 * gaussian(64, 64, 1.8), x=64, y=64, azimuth_deg=25.0)
    assert f["ring_highest"] > round_["ring_highest"] + 0.3


def test_long_toward_the_sun():
    picture = 1.0 + 0.6 * gaussian(64, 64, 6.0, 2.0)  # long along x
    along = features_of(picture, x=64, y=64, azimuth_deg=90.0)
    across = features_of(picture, x=64, y=64, azimuth_deg=0.0)
    assert along["along_sun"] > 0.5
    assert across["along_sun"] < 0.1


def test_a_cosmic_ray_is_sharper_than_the_psf():
    picture = np.ones((128, 128))
    picture[64, 65] += 4.0
    ray = features_of(picture, x=65, y=64)
    spot = features_of(1.0 + 0.8 * gaussian(64.5, 64.5, 0.65), x=64, y=64)
    assert ray["sharpness"] < 0.05
    assert ray["second_pixel"] < 0.1
    assert ray["ring8"] < 0.05
    assert spot["sharpness"] > 0.25
    assert spot["second_pixel"] > 0.5


@pytest.mark.parametrize("along", ["row", "column"])
def test_a_cosmic_rays_track_is_sharper_than_the_psf_across(along):
    picture = np.ones((128, 128))
    picture[64, 62:67] += (1.5, 2.0, 1.9, 2.1, 1.2)
    picture[63:66, 62:67] += 0.1
    ridge = 1.0 + 1.5 * gaussian(64, 64, 4.0, 0.65)
    if along == "column":
        picture, ridge = picture.T, ridge.T
    at = {"x": 65, "y": 64} if along == "row" else {"x": 64, "y": 65}
    assert features_of(picture, **at)["sharpness"] < SHARPEST
    assert features_of(ridge, **at)["sharpness"] > 0.4


@pytest.mark.parametrize("sign", [1, -1])
def test_narrowness_is_that_of_the_narrower_direction(sign):
    rng = np.random.default_rng(2)
    ratio = rng.normal(0.0, 1.0, (20, 24)).astype(np.float32)
    places = np.array([[0, 0], [19, 23], [1, 12], [10, 0], *rng.integers(2, 18, (60, 2)).tolist()], np.int32)
    texture = rng.uniform(0.0, 0.2, len(places)).astype(np.float32)
    found = np.empty(len(places), np.float32)
    narrowness(ratio, sign, places, texture, found)
    image = sign * ratio
    for (y0, x0), granted, out in zip(places, texture, found, strict=True):
        around = [
            (image[y, x], y, x)
            for y in range(max(y0 - 1, 2), min(y0 + 2, 18)) for x in range(max(x0 - 1, 2), min(x0 + 2, 22))
        ]  # fmt: skip
        expected = np.inf
        if around:
            top, y, x = max(around)
            for a in (image[y, x - 2 : x + 3], image[y - 2 : y + 3, x]):
                ground = min(a[0], a[4])
                if ground >= 0.5 * top:
                    continue
                expected = min(expected, (max(a[1], a[3]) - ground + granted) / (top - ground))
        assert out == pytest.approx(expected, rel=1e-5)


def test_no_place_seen_through_the_optics_is_too_narrow():
    for x, y in np.random.default_rng(1).uniform(-0.5, 0.5, (20, 2)):
        point = gaussian(10 + x, 10 + y, 1.3 / 2.3548, size=21).astype(np.float32)
        found = np.empty(1, np.float32)
        narrowness(point, 1, np.array([[10, 10]], np.int32), np.zeros(1, np.float32), found)
        assert found[0] >= 0.99 * SHARPEST


def test_without_the_sun_its_features_are_unknown():
    f = features_of(1.0 + 0.6 * gaussian(64, 64, 2.5), x=64, y=64)
    assert {k for k, v in f.items() if np.isnan(v)} >= {
        "shade_beside",
        "shade_other_side",
        "sun_line_net",
        "along_sun",
    }
    assert np.isfinite([f["contrast"], f["ring_share"], f["sharpness"], f["elongation"]]).all()


def test_a_spot_stays_where_the_suns_line_is_summed_a_hill_does_not():
    xx = np.arange(128)[None, :]
    spot = features_of(1.0 + 0.6 * gaussian(64, 64, 3.0), x=64, y=64, azimuth_deg=90.0)
    slope = (xx - 64) / 3.0 * gaussian(64, 64, 3.0)  # lit on the Sun's side, shaded on the other
    hill = features_of(1.0 + 0.9 * slope, x=67, y=64, azimuth_deg=90.0)
    assert spot["across_bump"] > 0.2
    assert abs(hill["across_bump"]) < 0.3 * spot["across_bump"]
    assert spot["across_significance"] > 3.0 * hill["across_significance"]
    assert hill["along_tilt"] > 3.0 * spot["along_tilt"]
    assert spot["half_bright_share"] == spot["as_bright_share"] == 0.0
    assert hill["surroundings_rms"] > 2.0 * spot["surroundings_rms"]


def test_a_wall_across_the_suns_line_falls_along_it_only():
    wall = features_of(1.0 + 0.6 * gaussian(64, 64, 2.5, 14.0), x=64, y=64, azimuth_deg=90.0)
    assert wall["along_fall"] > 0.3
    assert wall["across_fall"] < 0.7 * wall["along_fall"]


@pytest.mark.parametrize("corner", [(1, 1), (126, 2), (3, 125), (126, 126)])
def test_features_at_the_frames_corner(corner):
    f = features_of(1.0 + 0.6 * gaussian(*corner, 2.5), x=corner[0], y=corner[1], azimuth_deg=45.0)
    assert np.isfinite([f["contrast"], f["ring_share"], f["sharpness"], f["sun_line_net"]]).all()


@pytest.mark.parametrize("turn", ["left-right", "up-down", "half"])
def test_features_turn_with_the_picture(turn):
    rng = np.random.default_rng(5)
    ground = ndimage.gaussian_filter(rng.normal(size=(128, 128)), 2.0)
    picture = (1.0 + 0.4 * ground / np.abs(ground).max() + 0.7 * gaussian(70.3, 52.8, 3.0, 2.0, 30.0)).astype(
        np.float32
    )
    act, azimuth, place = {
        "left-right": (np.fliplr, 360.0 - 35.0, (127 - 70.3, 52.8)),
        "up-down": (np.flipud, 180.0 - 35.0, (70.3, 127 - 52.8)),
        "half": (lambda a: a[::-1, ::-1], 180.0 + 35.0, (127 - 70.3, 127 - 52.8)),
    }[turn]
    one = features_of(picture, x=70.3, y=52.8, azimuth_deg=35.0, noise=0.0)
    other = features_of(
        np.ascontiguousarray(act(picture)), x=place[0], y=place[1], azimuth_deg=azimuth, noise=0.0
    )
    for name in FEATURES:
        assert other[name] == pytest.approx(one[name], rel=1e-3, abs=2e-3, nan_ok=True), name


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.transpose])
def test_the_sharpness_of_a_plateau_knows_no_direction(turn):
    ratio = np.zeros((9, 9), np.float32)
    ratio[4, 3:6] = ratio[3, 4] = 1.0
    ratio[3, 3] = 0.9
    one = sharpness_at(ratio, 1, 4, 4)
    assert one == sharpness_at(np.ascontiguousarray(turn(ratio)), 1, 4, 4)
    assert one[0] == 0.75  # of the pixel in the middle, three of whose four are as high


# ---------------------------------------------------------------- patches


def ground_and_objects(turn=lambda a: a):
    rng = np.random.default_rng(11)
    ground = ndimage.gaussian_filter(rng.normal(size=(96, 96)), 2.5)
    picture = np.ascontiguousarray(turn(1.0 + 0.25 * ground / ground.std())).astype(np.float32)
    background = estimate_background(picture, np.ones(picture.shape, bool))
    return background, segment_outliers(background, np.full(background.rms.shape, 0.15, np.float32))


def patch_slowly(background, found, o, azimuth_deg):
    y, x = np.nonzero(found.labels == o + 1)
    weight = background.smooth[y, x].astype(float)
    cy, cx = np.average(y, weights=weight), np.average(x, weights=weight)
    cell = max(0.55 * np.sqrt(len(x) / np.pi), 0.8)
    a, b = np.mgrid[-12:13, -12:13].astype(float)
    t = np.radians(azimuth_deg)
    rows = cy + cell * (-a * np.cos(t) + b * np.sin(t))
    columns = cx + cell * (a * np.sin(t) + b * np.cos(t))
    patch = ndimage.map_coordinates(background.smooth.astype(float), [rows, columns], order=1, cval=0.0)
    patch = np.clip(patch / found.peak[o], -3.0, 3.0)
    near = np.exp(-(a**2 + b**2) / 50.0)
    if np.sum(patch * near * a) < 0:
        patch = patch[::-1]
    return patch[:, ::-1] if np.sum(patch * near * b) < 0 else patch


@pytest.mark.parametrize("azimuth", [0.0, 77.0, 250.0])
def test_patches_equal_scipys(azimuth):
    background, found = ground_and_objects()
    which = np.arange(0, len(found.peak), 3)
    patches = look_patches(background, found, np.full(len(found.peak), azimuth), which, dark=False)
    expected = [patch_slowly(background, found, o, azimuth) for o in which]
    assert patches.dtype == np.float32
    # On the border itself one looks just outside, the other just inside.
    assert np.mean(np.abs(patches - expected) > 1e-4) < 0.002


@pytest.mark.parametrize(
    ("turn", "turned"),
    [(np.fliplr, lambda a: -a), (np.flipud, lambda a: 180.0 - a), (np.transpose, lambda a: np.nan)],
)
def test_a_mirrored_picture_gives_the_same_patches(turn, turned):
    azimuth = 35.0 if np.isfinite(turned(0.0)) else np.nan
    one, other = ground_and_objects(), ground_and_objects(turn)
    sets = [
        look_patches(*case, np.full(len(case[1].peak), a), np.arange(len(case[1].peak)), dark=False)
        for case, a in ((one, azimuth), (other, turned(azimuth)))
    ]
    order = [np.lexsort((p.mean(axis=(1, 2)).round(5), p.std(axis=(1, 2)).round(5))) for p in sets]
    np.testing.assert_allclose(sets[0][order[0]], sets[1][order[1]], atol=2e-3)


# ---------------------------------------------------------------- the Sun's line from the picture


def cratered(azimuth_deg: float, seed: int, size: int = 256) -> np.ndarray:
    """Ground of many bowls and hills, lit by its slope toward the Sun."""
    rng = np.random.default_rng(seed)
    height = np.zeros((size, size))
    yy, xx = np.mgrid[:size, :size]
    for _ in range(160):
        x, y, r = *rng.uniform(0, size, 2), rng.uniform(3, 12)
        height += (
            rng.choice([-1.0, -1.0, 1.0])
            * 0.25
            * r
            * np.exp(-0.5 * ((xx - x) ** 2 + (yy - y) ** 2) / (r / 1.5) ** 2)
        )
    down, right = np.gradient(height)
    a = np.radians(azimuth_deg)
    # Ground that rises away from the Sun faces it.
    return np.clip(1.0 - 0.8 * (right * np.sin(a) - down * np.cos(a)), 0.05, None)


@pytest.mark.parametrize("azimuth", [0.0, 35.0, 90.0, 140.0, 250.0, 300.0])
def test_the_suns_line_shows_in_the_relief(azimuth):
    picture = cratered(azimuth, seed=int(azimuth)) * np.random.default_rng(1).normal(1.0, 0.01, (256, 256))
    background = estimate_background(picture.astype(np.float32), np.ones(picture.shape, bool))
    axis = sun_axis_from_relief(background)
    assert 0.0 <= axis < 180.0
    assert (axis - azimuth + 90.0) % 180.0 == pytest.approx(90.0, abs=12.0)


def test_ground_without_relief_has_no_suns_line():
    rng = np.random.default_rng(2)
    smooth = rng.normal(1.0, 0.01, (256, 256)).astype(np.float32)
    assert np.isnan(sun_axis_from_relief(estimate_background(smooth, np.ones(smooth.shape, bool))))
    mottled = 1.0 + 0.3 * ndimage.gaussian_filter(rng.normal(size=(256, 256)), 2.0) / 0.14
    background = estimate_background(mottled.astype(np.float32), np.ones(mottled.shape, bool))
    assert np.isnan(sun_axis_from_relief(background))


# ---------------------------------------------------------------- words


def worded(**values) -> np.ndarray:
    row = np.zeros((1, len(FEATURES)), np.float32)
    for name, value in values.items():
        row[0, FEATURES.index(name)] = value
    return row


def test_reasons_say_what_decided():
    spot = worded(contrast_to_texture=12.0, ring_share=0.05, sharpness=0.6)
    (said,) = reasons(spot, np.array([NO_SLOPE_DEG]))
    assert "no slope can make it" in said
    assert "12 times the local scatter" in said
    assert "ends on all sides" in said
    assert "sharper than the PSF" not in said
    (wall,) = reasons(worded(ring_share=0.7, sharpness=0.6), np.array([20.0]))
    assert "a 20 degree slope would do" in wall
    assert "goes on sideways (0.7 of the peak)" in wall
    (steep,) = reasons(worded(sharpness=0.1), np.array([52.0]))
    assert "needs a 52 degree slope" in steep
    assert "sharper than the PSF" in steep
    (unseen,) = reasons(worded(ring_share=np.nan, shade_beside=np.nan, sharpness=0.6), np.array([20.0]))
    assert unseen == "a 20 degree slope would do; 0 times the local scatter; hopeless at a glance"
    (unknown,) = reasons(worded(), np.array([np.nan]))
    assert "slope" not in unknown
    assert reasons(np.zeros((0, len(FEATURES)), np.float32), np.zeros(0)) == []
