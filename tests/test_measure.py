"""Sizes, centroids and sums: against closed forms, photutils, sep and direct sums over the picture."""

import functools

import numpy as np
import pytest
from scipy import ndimage
from scipy.special import ive

from brightspot.background import estimate_background
from brightspot.footprint import MEASURED, RESOLVED, measure_footprints, remove_psf, undilute
from brightspot.segmentation import segment_outliers

PSF_FWHM = 1.4
FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))
SIZE = 96


@functools.cache
def disc(diameter: float, x: float, y: float, size: int = SIZE, psf_fwhm: float = PSF_FWHM) -> np.ndarray:
    """A disc of height 1 through optics and pixels, together ``psf_fwhm`` wide; its sum is exact."""
    fine = 10
    half = int(diameter / 2 + 6)
    x0, y0, n = int(x) - half, int(y) - half, 2 * half + 1
    yy, xx = (np.mgrid[: n * fine, : n * fine] + 0.5) / fine - 0.5
    sharp = (np.hypot(xx + x0 - x, yy + y0 - y) < 0.5 * diameter).astype(float)
    sharp *= 0.25 * np.pi * (diameter * fine) ** 2 / sharp.sum()
    optics = np.sqrt((psf_fwhm / FWHM) ** 2 - 1.0 / 12.0)
    soft = ndimage.gaussian_filter(sharp, optics * fine, mode="constant", truncate=6)
    out = np.zeros((size, size))
    out[y0 : y0 + n, x0 : x0 + n] = soft.reshape(n, fine, n, fine).mean((1, 3))
    return out


def gaussian(x: float, y: float, sigma: float, size: int = SIZE) -> np.ndarray:
    yy, xx = np.mgrid[:size, :size]
    return np.exp(-0.5 * ((xx - x) ** 2 + (yy - y) ** 2) / sigma**2)


def measured(picture, x, y, *, dark=False, limit=0.3, noise=0.003, mask=None, saturated=None, seed=0):
    """What is measured of the object nearest to (x, y) in a levelled picture (1: the surface)."""
    picture = picture * np.random.default_rng(seed).normal(1.0, noise, picture.shape)
    mask = np.zeros(picture.shape, bool) if mask is None else mask
    saturated = np.zeros(picture.shape, bool) if saturated is None else saturated
    image = picture.astype(np.float32)
    background = estimate_background(image, ~mask)
    threshold = np.where(np.isfinite(background.level), np.maximum(0.04, 2 * background.rms), np.inf)
    found = segment_outliers(background, threshold.astype(np.float32), dark=dark)
    nearest = np.argmin(np.hypot(found.peak_yx[:, 1] - x, found.peak_yx[:, 0] - y))
    ends = np.full(len(found.peak), limit)
    values = measure_footprints(image, background, found, saturated, np.array([nearest]), ends, dark=dark)
    assert tuple(values) == MEASURED
    return {name: float(value[0]) for name, value in values.items()}


def places(n: int = 6) -> list[tuple[float, float]]:
    rng = np.random.default_rng(42)
    return [tuple(48.0 + rng.uniform(-0.5, 0.5, 2)) for _ in range(n)]


def half_maximum_diameter(true: float, psf_fwhm: float) -> float:
    """Of a disc behind a Gaussian: the profile is an integral over radii with a Bessel function."""
    sigma = psf_fwhm / FWHM
    radii = (np.arange(2000) + 0.5) / 2000 * 0.5 * true

    def profile(r):
        # exp(-(r^2 + s^2)/2) I0(rs), with the exponent taken into the scaled Bessel function
        s, t = radii / sigma, r / sigma
        return np.sum(s * np.exp(-0.5 * (t - s) ** 2) * ive(0, t * s))

    low, high, top = 0.0, true + 3 * psf_fwhm, profile(0.0)
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if profile(middle) > 0.5 * top else (low, middle)
    return 2.0 * low


# ---------------------------------------------------------------- diameters


@pytest.mark.parametrize("psf_fwhm", [1.0, 1.4, 2.0])
@pytest.mark.parametrize("true", [0.5, 1.0, 1.6, 2.3, 3.0, 4.5, 7.0, 20.0])
def test_removing_the_psf_gives_the_disc_back(true, psf_fwhm):
    seen = half_maximum_diameter(true, psf_fwhm)
    # Where a disc is much narrower than the PSF, its image no longer tells.
    tolerance = 0.02 * true if true > psf_fwhm else 0.06 * psf_fwhm
    assert float(remove_psf(seen, psf_fwhm)) == pytest.approx(true, abs=tolerance)


def test_removing_the_psf_never_jumps():
    seen = np.linspace(0.0, 12.0, 3001)
    true = remove_psf(seen, PSF_FWHM)
    assert np.all(true[seen < PSF_FWHM - 0.01] == 0.0)
    rising = true[seen > PSF_FWHM + 0.01]
    assert np.all(np.diff(rising) >= 0.0)
    assert np.diff(rising[seen[seen > PSF_FWHM + 0.01] > 2.0]).max() < 0.03
    assert true[-1] == pytest.approx(12.0, rel=0.01)


@pytest.mark.parametrize("contrast", [1.4, 5.0, 0.4])
@pytest.mark.parametrize("diameter", [2.3, 2.7, 4.0, 8.0, 30.0])
def test_half_maximum_diameter(diameter, contrast):
    seen = []
    for x, y in places():
        m = measured(1.0 + (contrast - 1.0) * disc(diameter, x, y), x, y, dark=contrast < 1.0)
        seen.append(np.sqrt(4.0 / np.pi * m["area"]))
    seen = np.array(seen)
    assert seen.mean() == pytest.approx(diameter, rel=0.1)
    assert seen.mean() == pytest.approx(half_maximum_diameter(diameter, PSF_FWHM), rel=0.06)
    if diameter > 2.5:
        assert seen.min() > RESOLVED
        np.testing.assert_allclose(remove_psf(seen, PSF_FWHM), diameter, rtol=0.1)


@pytest.mark.parametrize("depth", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("dark", [False, True])
def test_half_maximum_of_a_gaussian(depth, dark):
    sigma = 6.0
    picture = 1.0 + (-depth if dark else depth) * gaussian(48.3, 47.6, sigma)
    m = measured(picture, 48, 48, dark=dark)
    assert np.sqrt(4.0 / np.pi * m["area"]) == pytest.approx(FWHM * sigma, rel=0.05)


@pytest.mark.parametrize("contrast", [1.4, 2.0, 6.0])
@pytest.mark.parametrize("diameter", [0.8, 1.1, 1.3])
def test_a_point_is_no_wider_than_a_point(diameter, contrast):
    for x, y in places():
        m = measured(1.0 + (contrast - 1.0) / diameter**2 * disc(diameter, x, y), x, y)
        seen = np.sqrt(4.0 / np.pi * m["area"])
        assert seen < RESOLVED + 0.1


@pytest.mark.parametrize("ratio", [1.5, 3.0])
@pytest.mark.parametrize("angle_deg", [0.0, 30.0, 110.0])
def test_moments_of_an_ellipse(ratio, angle_deg):
    a, b = 12.0, 12.0 / ratio
    t = np.radians(angle_deg)
    yy, xx = (np.mgrid[: 8 * SIZE, : 8 * SIZE] + 0.5) / 8 - 0.5
    u = (xx - 48.2) * np.cos(t) + (yy - 47.9) * np.sin(t)
    v = -(xx - 48.2) * np.sin(t) + (yy - 47.9) * np.cos(t)
    picture = 1.0 + ((u / a) ** 2 + (v / b) ** 2 < 1.0).reshape(SIZE, 8, SIZE, 8).mean((1, 3))
    m = measured(picture, 48, 48)
    values, vectors = np.linalg.eigh([[m["xx"], m["xy"]], [m["xy"], m["yy"]]])
    assert 2.0 * np.sqrt(values[1]) == pytest.approx(a, rel=0.05)
    assert 2.0 * np.sqrt(values[0]) == pytest.approx(b, rel=0.1)
    towards = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])) % 180.0
    assert (towards - angle_deg + 90.0) % 180.0 == pytest.approx(90.0, abs=2.0)


@pytest.mark.parametrize("psf_fwhm", [1.2, 1.4, 2.0])
@pytest.mark.parametrize("diameter", [2.6, 3.5, 6.0, 12.0])
def test_undoing_the_dilution_gives_the_discs_own_excess(diameter, psf_fwhm):
    found = []
    for x, y in places():
        m = measured(1.0 + 2.0 * disc(diameter, x, y, psf_fwhm=psf_fwhm), x, y, noise=0.001)
        width = np.sqrt(4.0 / np.pi * m["area"])
        found.append(m["mean"] * undilute(width, psf_fwhm) / 2.0)
    assert np.mean(found) == pytest.approx(1.0, abs=0.1 if diameter < 3.0 else 0.05)


def test_dilution_falls_with_width_and_has_no_step():
    for psf_fwhm in (0.09, 0.35, 1.4, 2.8):
        width = np.geomspace(1.2 * psf_fwhm, 300.0, 4000)
        factor = undilute(width, psf_fwhm)
        assert np.all(np.diff(factor) <= 1e-12) and np.all(factor > 1.0)
        assert np.abs(np.diff(np.log(factor[width > 1.6 * psf_fwhm]))).max() < 0.02
        assert factor[-1] < 1.01


# ---------------------------------------------------------------- sums


@pytest.mark.parametrize("contrast", [1.5, 2.0, 5.0, 0.5])
@pytest.mark.parametrize("diameter", [1.3, 2.0, 3.0, 6.0, 15.0, 30.0])
def test_excess_of_a_disc(diameter, contrast):
    truth = abs(contrast - 1.0) * 0.25 * np.pi * diameter**2
    sums = []
    for x, y in places():
        m = measured(1.0 + (contrast - 1.0) * disc(diameter, x, y), x, y, dark=contrast < 1.0, noise=0.002)
        sums.append(m["excess"] / truth)
    assert np.mean(sums) == pytest.approx(1.0, abs=0.02)
    np.testing.assert_allclose(sums, 1.0, atol=0.05)


@pytest.mark.parametrize("psf_fwhm", [1.2, 1.4, 2.0])
def test_excess_does_not_depend_on_the_blur(psf_fwhm):
    x, y = 48.2, 47.7
    picture = 1.0 + 2.0 * disc(4.0, x, y, psf_fwhm=psf_fwhm)
    assert measured(picture, x, y, noise=0.001)["excess"] == pytest.approx(2.0 * 4.0 * np.pi, rel=0.02)


def test_excess_agrees_with_photutils():
    from photutils.aperture import ApertureStats, CircularAnnulus, CircularAperture

    for k, (x, y) in enumerate(places()):
        picture = 1.0 + 0.8 * gaussian(x, y, 1.8)
        picture *= np.random.default_rng(k).normal(1.0, 0.003, picture.shape)
        m = measured(picture, x, y, noise=0.0)
        around = ApertureStats(picture, CircularAnnulus((x, y), 14, 22)).median
        total = CircularAperture((x, y), 9.0).do_photometry(picture / around - 1.0)[0][0]
        assert m["excess"] == pytest.approx(total, rel=0.04)


def test_a_small_faint_disc_gathers_little_noise():
    truth = 0.6 * 0.25 * np.pi * 1.8**2
    sums = [measured(1.0 + 0.6 * disc(1.8, x, y), x, y, noise=0.005, seed=k)["excess"] / truth
            for k, (x, y) in enumerate(8 * places())]  # fmt: skip
    assert np.mean(sums) == pytest.approx(1.0, abs=0.02)
    # Matched to the PSF it would be 0.013; over the footprint and three pixels around it, 0.04.
    assert np.std(sums) < 0.03


def test_what_a_lost_pixel_hides_of_a_small_disc_is_made_up_for():
    for x, y in places():
        hole = np.zeros((SIZE, SIZE), bool)
        hole[round(y) + 2, round(x)] = True
        m = measured(1.0 + 2.0 * disc(2.0, x, y), x, y, mask=hole)
        assert m["excess"] == pytest.approx(2.0 * np.pi, rel=0.025)


def test_a_small_disc_seen_obliquely_keeps_its_light():
    # Sheared light: an ellipse of axes 2 : 1 through the PSF, by squeezing a wide disc's picture.
    yy, xx = (np.mgrid[: 8 * SIZE, : 8 * SIZE] + 0.5) / 8 - 0.5
    for angle in (0.0, 0.7, 2.0):
        u = (xx - 48.2) * np.cos(angle) + (yy - 47.9) * np.sin(angle)
        v = -(xx - 48.2) * np.sin(angle) + (yy - 47.9) * np.cos(angle)
        sharp = ((u / 1.8) ** 2 + (v / 0.9) ** 2 < 1.0).astype(float)
        soft = ndimage.gaussian_filter(sharp, 8 * 0.52).reshape(SIZE, 8, SIZE, 8).mean((1, 3))
        m = measured(1.0 + 2.0 * soft, 48, 48)
        assert m["excess"] == pytest.approx(2.0 * np.pi * 1.8 * 0.9, rel=0.03)


def test_peak_and_mean_of_a_wide_disc():
    m = measured(1.0 + 1.5 * disc(24.0, 48.3, 47.8), 48, 48, noise=0.002)
    assert m["peak"] == pytest.approx(1.5, rel=0.01)
    assert m["mean"] == pytest.approx(1.5, rel=0.05)
    assert m["n"] == pytest.approx(0.25 * np.pi * 24.0**2, rel=0.05)


@pytest.mark.parametrize("limit", [0.1, 0.3, 1.0])
def test_threshold_footprint_is_the_connected_surface_above_it(limit):
    x, y = 48.2, 47.8
    spot = 4.0 * disc(4.8, x, y) + 0.9 * disc(3.0, 70.0, 20.0)
    m = measured(1.0 + spot, x, y, limit=limit, noise=0.0005)
    labels, _ = ndimage.label(spot > limit)
    truth = np.sum(labels == labels[48, 48])
    assert m["threshold_area"] == pytest.approx(truth, abs=2)


def test_threshold_above_the_peak_has_no_footprint():
    assert measured(1.0 + 0.5 * disc(6.0, 48.0, 48.0), 48, 48, limit=0.8)["threshold_area"] == 0.0


@pytest.mark.parametrize(
    ("spot", "patch"), [(2.4, -0.15), (2.4, 0.1), (2.4, 0.2), (2.4, 0.3), (0.4, -0.15), (0.4, 0.1)]
)
def test_the_surroundings_are_those_next_to_it(patch, spot):
    # A spot on a patch which the level, made for wider things, does not follow.
    there = 1.0 + patch * disc(48.0, 128.2, 127.7, 256) + (spot - 1.0 - patch) * disc(8.0, 128.2, 127.7, 256)
    dark = spot < 1.0
    m = measured(there, 128.2, 127.7, dark=dark)
    contrast = spot / (1.0 + patch)
    assert 1.0 + (-1.0 if dark else 1.0) * m["peak"] == pytest.approx(contrast, rel=0.015)
    assert (-1.0 if dark else 1.0) * m["excess"] == pytest.approx((contrast - 1.0) * 16.0 * np.pi, rel=0.05)


def test_scatter_is_that_of_the_place():
    m = measured(1.0 + disc(6.0, 48.0, 48.0), 48, 48, noise=0.04)
    assert m["rms"] == pytest.approx(0.375 * 0.04, rel=0.15)


# ---------------------------------------------------------------- centroids


@pytest.mark.parametrize("diameter", [1.3, 2.3, 4.0, 10.0, 25.0])
@pytest.mark.parametrize("contrast", [1.5, 4.0, 0.5])
def test_centroid_of_a_disc(diameter, contrast):
    for x, y in places():
        m = measured(1.0 + (contrast - 1.0) * disc(diameter, x, y), x, y, dark=contrast < 1.0)
        assert np.hypot(m["x"] - x, m["y"] - y) < 0.13


def torn(seed: int) -> np.ndarray:
    """A torn patch some 24 px wide, between 0 and 1."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(SIZE, SIZE)), 4.0)
    yy, xx = np.mgrid[:SIZE, :SIZE]
    rim = 1.0 - np.hypot(xx - 48.0, yy - 48.0) / 13.0
    return ndimage.gaussian_filter(np.clip(2.0 * rim + 0.8 * noise / noise.std(), 0.0, 1.0), 0.7)


def test_a_torn_patch_on_slopes_is_centred_by_its_albedo():
    yy, xx = np.mgrid[:SIZE, :SIZE]
    gaps, outline_gaps = [], []
    for seed in range(16):
        patch = torn(seed)
        relief = ndimage.gaussian_filter(np.random.default_rng(seed + 99).normal(size=(SIZE, SIZE)), 5.0)
        slopes = 1.0 + 0.15 * relief / relief.std()
        picture = (1.0 + 1.6 * patch) * slopes
        x, y = np.sum(patch * xx) / patch.sum(), np.sum(patch * yy) / patch.sum()
        m = measured(picture, x, y)
        gaps.append(np.hypot(m["x"] - x, m["y"] - y))
        excess = picture - 1.0
        high = excess >= 0.5 * ndimage.gaussian_filter(excess, 0.7).max()
        name, _ = ndimage.label(high)
        own = name == np.bincount(name[high]).argmax()
        outline_gaps.append(np.hypot(xx[own].mean() - x, yy[own].mean() - y))
    assert np.median(gaps) < 0.75 * np.median(outline_gaps)
    assert np.median(gaps) < 0.05 * 24.0


def test_centroids_agree_with_photutils_and_sep():
    import sep
    from photutils.centroids import centroid_2dg

    for k, (x, y) in enumerate(places()):
        picture = 1.0 + 1.2 * gaussian(x, y, 1.5)
        picture *= np.random.default_rng(k).normal(1.0, 0.005, picture.shape)
        m = measured(picture, x, y, noise=0.0)
        window = np.s_[36:61, 36:61]
        fit_x, fit_y = centroid_2dg(picture[window] - 1.0) + 36.0
        win_x, win_y, _ = sep.winpos(np.ascontiguousarray(picture - 1.0), [m["x"]], [m["y"]], [1.5])
        assert np.hypot(m["x"] - fit_x, m["y"] - fit_y) < 0.05
        assert np.hypot(m["x"] - win_x[0], m["y"] - win_y[0]) < 0.05


# ---------------------------------------------------------------- neighbours, edges, lost pixels


def test_a_pair_shares_its_light():
    one, two = disc(8.0, 42.3, 48.1), disc(6.0, 52.9, 47.6)
    picture = 1.0 + 1.5 * one + 1.0 * two
    first, second = measured(picture, 42, 48), measured(picture, 53, 48)
    total = 0.25 * np.pi * (1.5 * 64 + 36)
    assert first["excess"] + second["excess"] == pytest.approx(total, rel=0.03)
    assert first["excess"] == pytest.approx(0.25 * np.pi * 1.5 * 64, rel=0.05)
    assert np.hypot(first["x"] - 42.3, first["y"] - 48.1) < 0.15
    assert np.hypot(second["x"] - 52.9, second["y"] - 47.6) < 0.15


@pytest.mark.parametrize("place", [(2.0, 40.0), (93.0, 40.0), (40.0, 1.0), (50.0, 94.0), (1.0, 1.0)])
def test_the_frames_edge_is_noticed(place):
    picture = 1.0 + gaussian(*place, 2.5)
    m = measured(picture, *place)
    assert m["edge"] == 1.0
    assert np.hypot(m["x"] - place[0], m["y"] - place[1]) < 1.0
    assert np.isfinite(list(m.values())).all()


def test_the_middle_is_no_edge():
    m = measured(1.0 + gaussian(48, 48, 2.5), 48, 48)
    assert m["edge"] == m["lost"] == m["saturated"] == 0.0


def test_the_limb_beside_a_spot_is_an_edge():
    picture = 1.0 + gaussian(60, 48, 1.5)
    picture[:, 64:] = 0.0
    assert measured(picture, 60, 48)["edge"] == 1.0


def test_saturated_and_lost_pixels_are_counted():
    picture = 1.0 + 3.0 * disc(10.0, 48.0, 48.0)
    ceiling = picture > 3.5
    m = measured(np.minimum(picture, 3.5), 48, 48, saturated=ceiling, noise=0.0005)
    assert m["saturated"] == ceiling.sum()
    assert m["lost"] == 0.0
    hole = np.zeros(picture.shape, bool)
    hole[48, 49] = True
    m = measured(picture, 48, 48, mask=hole)
    assert m["lost"] == 1.0
    assert np.hypot(m["x"] - 48.0, m["y"] - 48.0) < 0.2


@pytest.mark.parametrize("junk", [np.nan, -7.0, 50.0])
def test_lost_pixels_do_not_enter_the_means(junk):
    picture = 1.0 + 1.5 * disc(12.0, 48.2, 47.9)
    whole = measured(picture, 48, 48, noise=0.001)
    rng = np.random.default_rng(8)
    hole = rng.random(picture.shape) < 0.08
    spoilt = measured(np.where(hole, junk, picture), 48, 48, mask=hole, noise=0.001)
    assert spoilt["lost"] > 3
    for name in ("mean", "value", "peak"):
        assert spoilt[name] == pytest.approx(whole[name], rel=0.04), name
    assert np.isfinite(list(spoilt.values())).all()


def test_no_objects_chosen_gives_empty_arrays():
    image, nothing = np.ones((32, 32), np.float32), np.zeros((32, 32), bool)
    background = estimate_background(image, ~nothing)
    found = segment_outliers(background, np.full((4, 4), 0.1, np.float32))
    out = measure_footprints(image, background, found, nothing, np.zeros(0, int), np.zeros(0))
    assert set(out) == set(MEASURED)
    assert all(v.shape == (0,) for v in out.values())


def test_the_order_of_asking_does_not_matter():
    picture = np.ones((SIZE, SIZE))
    for k in range(9):
        picture += (0.3 + 0.1 * k) * disc(3.0 + 0.5 * k, 16.0 + 32 * (k % 3), 16.0 + 32 * (k // 3))
    image = picture.astype(np.float32)
    background = estimate_background(image, np.ones(picture.shape, bool))
    background = background._replace(rms=np.full_like(background.rms, 0.01))
    found = segment_outliers(background, np.full_like(background.rms, 0.1))
    assert len(found.peak) == 9
    rest = (background, found, np.zeros(picture.shape, bool))

    def asked(order: list[int]) -> dict[str, np.ndarray]:
        return measure_footprints(image, *rest, np.array(order), np.full(9, 0.3))

    forward, backward = asked(list(range(9))), asked(list(range(9))[::-1])
    alone = [asked([k]) for k in range(9)]
    for name in MEASURED:
        np.testing.assert_array_equal(forward[name], backward[name][::-1])
        np.testing.assert_array_equal(forward[name], [a[name][0] for a in alone])
