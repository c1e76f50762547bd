"""Level and scatter: each kernel against plain numpy, planes and disks against what they are made of."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from brightspot._kernels import background as kernels
from brightspot.background import (
    HALF_WINDOW,
    SCATTER_FLOOR,
    STEP,
    estimate_background,
    mesh_layout,
    without_spikes,
)
from brightspot.errors import BrightspotError
from brightspot.photometry import disk_function

WHITE_THROUGH_BINOMIAL = 0.375
"""Root of the summed squared weights of the 3 x 3 binomial kernel: (1 + 4 + 1) / 16."""


def everywhere(image: np.ndarray) -> np.ndarray:
    return np.ones(image.shape, bool)


def lambert_ball(
    shape: tuple[int, int], radius: float, phase_deg: float = 40.0
) -> tuple[np.ndarray, np.ndarray]:
    """Brightness of a Lambert sphere lit from the right, 0 off it, and its incidence in degrees."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    u, v = (x - 0.5 * (shape[1] - 1)) / radius, (y - 0.5 * (shape[0] - 1)) / radius
    on = u * u + v * v < 1.0
    w = np.sqrt(np.where(on, 1.0 - u * u - v * v, 0.0))
    phase = np.radians(phase_deg)
    mu0 = np.where(on, u * np.sin(phase) + w * np.cos(phase), np.nan)
    return np.nan_to_num(np.clip(mu0, 0.0, None)).astype(np.float32), np.degrees(np.arccos(mu0))


# ---------------------------------------------------------------- slow twins


def slow_block_means(image, usable, pedestal, floor, step, y0, x0, rows, columns):
    mean, share = np.zeros((rows, columns)), np.zeros((rows, columns))
    for j in range(rows):
        for i in range(columns):
            window = np.s_[
                max(y0 + j * step, 0) : y0 + (j + 1) * step, max(x0 + i * step, 0) : x0 + (i + 1) * step
            ]
            value = image[window].astype(float) - pedestal
            good = usable[window] & (value > floor)
            if good.any():
                mean[j, i] = value[good].mean()
                share[j, i] = good.sum() / step**2
    return mean, share


def slow_planes(value, weight, half, rounds, clip_high, clip_low, min_weight):
    """Planes by least squares: two extra rows of the system are the ridge on the slopes."""
    rows, columns = value.shape
    keep = weight.copy()
    index = [
        (j, i, np.s_[max(j - half, 0) : j + half + 1, max(i - half, 0) : i + half + 1])
        for j in range(rows)
        for i in range(columns)
    ]
    jj, ii = np.mgrid[:rows, :columns]
    level, scatter = np.full(value.shape, np.nan), np.full(value.shape, np.nan)
    for turn in range(rounds):
        level[:] = np.nan
        for j, i, window in index:
            w = keep[window].ravel()
            if w.sum() < min_weight:
                continue
            w = w / w.sum()
            a, b, v = (t[window].ravel().astype(float) for t in (ii, jj, value))
            a0, b0 = w @ a, w @ b
            system = np.column_stack([np.ones_like(a), a - a0, b - b0]) * np.sqrt(w)[:, None]
            system = np.vstack([system, np.sqrt(0.1) * np.eye(3)[1:]])
            fit = np.linalg.lstsq(system, np.append(v * np.sqrt(w), [0.0, 0.0]), rcond=None)[0]
            level[j, i] = fit @ [1.0, i - a0, j - b0]
        away = value - level
        counts = np.where(np.isfinite(away), keep, 0.0)
        for j, i, window in index:
            n = counts[window].sum()
            square = (counts[window] * np.nan_to_num(away[window]) ** 2).sum()
            scatter[j, i] = np.sqrt(square / n) if n > 0 else np.nan
        if turn + 1 < rounds:
            s = np.fmax(scatter, 0.01)
            inside = (away > -clip_low * s) & (away < clip_high * s)
            keep = np.where((weight > 0) & np.isfinite(level), np.where(inside, weight, 0.0), keep)
    return level, scatter


def slow_level(image, usable, pedestal, inverse, step, y0, x0):
    """Bilinear between block centres, held outside, through scipy."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(float)
    v = np.clip((y - y0 - 0.5 * (step - 1)) / step, 0, inverse.shape[0] - 1)
    u = np.clip((x - x0 - 0.5 * (step - 1)) / step, 0, inverse.shape[1] - 1)
    there = ndimage.map_coordinates(inverse.astype(float), [v, u], order=1)
    return np.where(usable, (image - pedestal) * there - 1.0, 0.0)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(8, 40), st.integers(8, 40)),
    st.sampled_from([3, 5, 8]),
    st.floats(-2.0, 2.0),
    st.integers(0, 1000),
)
def test_block_means_equal_numpy(shape, step, floor, seed):
    rng = np.random.default_rng(seed)
    image = rng.normal(1.0, 2.0, shape).astype(np.float32)
    usable = rng.random(shape) < rng.choice([0.1, 0.9, 1.0])
    rows, columns, y0, x0 = mesh_layout(shape, step)
    args = (image, usable, np.float32(0.25), np.float32(floor), step, y0, x0, rows, columns)
    mean, share = kernels.block_means(*args)
    slow_mean, slow_share = slow_block_means(*args)
    np.testing.assert_allclose(mean, slow_mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(share, slow_share, rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (5, 30), (64, 64), (71, 45)])
def test_brighter_than_the_blocks_floor(shape):
    rng = np.random.default_rng(2)
    image, usable = rng.normal(size=shape).astype(np.float32), rng.random(shape) < 0.9
    rows, columns, y0, x0 = mesh_layout(shape)
    floor = rng.normal(size=(rows, columns)).astype(np.float32)
    j = np.clip((np.arange(shape[0]) - y0) // STEP, 0, rows - 1)
    i = np.clip((np.arange(shape[1]) - x0) // STEP, 0, columns - 1)
    out = np.empty(shape, bool)
    kernels.brighter(image, usable, floor, STEP, y0, x0, out)
    np.testing.assert_array_equal(out, usable & (image > floor[np.ix_(j, i)]))


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (3, 64), (64, 3), (7, 9)])
def test_blocks_of_a_tiny_frame_stay_inside_it(shape):
    image = np.arange(1.0, 1.0 + shape[0] * shape[1], dtype=np.float32).reshape(shape)
    rows, columns, y0, x0 = mesh_layout(shape)
    args = (image, everywhere(image), np.float32(0), np.float32(0), STEP, y0, x0, rows, columns)
    for fast, slow in zip(kernels.block_means(*args), slow_block_means(*args), strict=True):
        np.testing.assert_allclose(fast, slow, rtol=1e-6)
    assert y0 >= 0 and x0 >= 0


@pytest.mark.parametrize("shape", [(8, 8), (64, 64), (65, 71), (100, 30)])
def test_the_mesh_is_centred(shape):
    rows, columns, y0, x0 = mesh_layout(shape)
    for n, blocks, first in ((shape[0], rows, y0), (shape[1], columns, x0)):
        left_over = n - blocks * STEP
        assert 0 <= left_over < STEP
        assert abs(left_over - 2 * first) <= 1


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.integers(0, 1000))
def test_planes_equal_least_squares(rows, columns, half, rounds, seed):
    rng = np.random.default_rng(seed)
    value = rng.normal(0.0, 0.05, (rows, columns)) + 0.1 * rng.random()
    value += rng.normal(0, 0.1) * np.arange(columns) + rng.normal(0, 0.1) * np.arange(rows)[:, None]
    value[rng.random(value.shape) < 0.1] += 1.0
    weight = np.where(rng.random(value.shape) < 0.8, rng.uniform(0.5, 1.0, value.shape), 0.0)
    args = (value, weight, half, rounds, 2.0, 2.5, 3.0)
    level, scatter = kernels.robust_planes(*args)
    slow_level_, slow_scatter = slow_planes(*args)
    np.testing.assert_allclose(level, slow_level_, rtol=1e-7, atol=1e-9)
    used = np.isfinite(level) & np.isfinite(slow_scatter)
    np.testing.assert_allclose(scatter[used], slow_scatter[used], rtol=1e-5, atol=1e-7)


def test_too_little_light_has_no_level():
    weight = np.zeros((9, 9))
    weight[0, :3] = 1.0
    level, _ = kernels.robust_planes(np.zeros((9, 9)), weight, 2, 3, 2.0, 2.5, 3.0)
    assert np.isfinite(level[0, 0])
    assert np.isnan(level[8, 8])


@pytest.mark.parametrize("shape", [(40, 40), (43, 50), (16, 33)])
def test_levelling_equals_bilinear_interpolation(shape):
    rng = np.random.default_rng(3)
    image = rng.uniform(1, 2, shape).astype(np.float32)
    usable = rng.random(shape) < 0.9
    rows, columns, y0, x0 = mesh_layout(shape)
    inverse = rng.uniform(0.5, 1.0, (rows, columns)).astype(np.float32)
    ratio = np.empty(shape, np.float32)
    kernels.level_image(image, usable, np.float32(0.125), inverse, STEP, y0, x0, ratio)
    np.testing.assert_allclose(ratio, slow_level(image, usable, 0.125, inverse, STEP, y0, x0), atol=3e-6)


def test_a_block_without_level_takes_its_neighbours():
    inverse = np.array([[1.0, 1.0, 0.0, 0.0, 0.0]], np.float32)
    image = np.full((8, 40), 2.0, np.float32)
    ratio = np.empty(image.shape, np.float32)
    kernels.level_image(image, everywhere(image), np.float32(0), inverse, STEP, 0, 0, ratio)
    assert np.all(ratio[:, :19] == 1.0)  # up to the middle of the first block without one, it is held
    assert np.all(ratio[:, 20:] == 0.0)  # beyond, there is nothing to divide by


def test_levelling_beside_blocks_without_level_knows_no_direction():
    rng = np.random.default_rng(9)
    inverse = np.where(rng.random((4, 5)) < 0.6, rng.uniform(0.5, 1.0, (4, 5)), 0.0).astype(np.float32)
    image = rng.uniform(1, 2, (32, 40)).astype(np.float32)
    outcome = []
    for turn in (lambda a: a, np.transpose, np.flipud, lambda a: np.fliplr(a).T):
        picture = np.ascontiguousarray(turn(image))
        ratio = np.empty_like(picture)
        mesh = np.ascontiguousarray(turn(inverse))
        kernels.level_image(picture, everywhere(picture), np.float32(0), mesh, STEP, 0, 0, ratio)
        outcome.append((turn, ratio))
    expected = outcome[0][1]
    assert np.sum(expected == 0.0) < expected.size
    for turn, ratio in outcome[1:]:
        np.testing.assert_allclose(ratio, turn(expected), atol=3e-6)


@pytest.mark.parametrize("shape", [(2, 2), (3, 9), (20, 31)])
def test_smoothing_equals_scipy(shape):
    ratio = np.random.default_rng(4).normal(size=shape).astype(np.float32)
    smooth = np.empty_like(ratio)
    kernels.smooth3(ratio, smooth)
    line = np.array([0.25, 0.5, 0.25])
    np.testing.assert_allclose(
        smooth, ndimage.correlate(ratio, np.outer(line, line), mode="nearest"), atol=1e-6
    )


def test_smoothing_a_single_column():
    ratio = np.arange(6, dtype=np.float32)[:, None]
    smooth = np.empty_like(ratio)
    kernels.smooth3(ratio, smooth)
    expected = ndimage.correlate1d(ratio[:, 0], [0.25, 0.5, 0.25], mode="nearest")
    np.testing.assert_allclose(smooth[:, 0], expected, atol=1e-6)


def test_block_scatter_equals_numpy():
    rng = np.random.default_rng(5)
    smooth = rng.normal(0, 0.4, (24, 32)).astype(np.float32)
    smooth[rng.random(smooth.shape) < 0.1] = 0.0
    scatter = kernels.block_scatter(smooth, np.float32(0.5), 8, 0, 0, 3, 4)
    blocks = smooth.reshape(3, 8, 4, 8).swapaxes(1, 2).reshape(3, 4, 64).astype(float)
    ground = (blocks >= -0.7) & (blocks != 0.0)
    square = np.where(ground, np.minimum(blocks, 0.5) ** 2, 0.0).sum(-1) / ground.sum(-1)
    np.testing.assert_allclose(scatter, np.sqrt(square), rtol=1e-5)


# ---------------------------------------------------------------- what it must do


@pytest.mark.parametrize("slope", [(0.0, 0.0), (0.004, 0.0), (-0.003, 0.005)])
def test_an_exponential_ramp_is_levelled(slope):
    y, x = np.mgrid[:160, :240]
    image = np.exp(slope[0] * (x - 120) + slope[1] * (y - 80)).astype(np.float32)
    background = estimate_background(image, everywhere(image))
    inner = np.s_[STEP:-STEP, STEP:-STEP]
    # Between block centres the level is a chord of the ramp; one-sided windows lean a little on the ridge.
    assert np.abs(background.ratio[inner]).max() < 0.01
    assert np.abs(np.median(background.ratio)) < 0.002


def test_a_unit_of_the_image_changes_nothing():
    rng = np.random.default_rng(7)
    image = rng.normal(1.0, 0.05, (96, 96)).astype(np.float32)
    one = estimate_background(image, everywhere(image))
    other = estimate_background(image * np.float32(4096.0), everywhere(image))
    np.testing.assert_allclose(one.ratio, other.ratio, atol=2e-6)
    np.testing.assert_allclose(one.rms, other.rms, rtol=1e-5)
    assert other.reference == pytest.approx(4096.0 * one.reference, rel=1e-5)


def test_a_pedestal_is_taken_off():
    rng = np.random.default_rng(8)
    image = rng.normal(1.0, 0.05, (96, 96)).astype(np.float32)
    one = estimate_background(image, everywhere(image))
    other = estimate_background(image + np.float32(2.0), everywhere(image), pedestal=2.0)
    np.testing.assert_allclose(one.ratio, other.ratio, atol=5e-6)


@pytest.mark.parametrize("sigma", [0.02, 0.1])
def test_rms_of_white_noise(sigma):
    image = np.random.default_rng(9).normal(50.0, 50.0 * sigma, (256, 256)).astype(np.float32)
    background = estimate_background(image, everywhere(image))
    assert np.median(background.rms) == pytest.approx(WHITE_THROUGH_BINOMIAL * sigma, rel=0.06)
    assert background.rms.min() > 0.8 * WHITE_THROUGH_BINOMIAL * sigma
    assert background.rms.max() < 1.3 * WHITE_THROUGH_BINOMIAL * sigma


def test_rms_has_a_floor():
    image = np.random.default_rng(12).normal(3.0, 1e-4, (64, 64)).astype(np.float32)
    background = estimate_background(image, everywhere(image))
    assert np.all(background.rms == np.float32(SCATTER_FLOOR))
    constant = estimate_background(np.full((64, 64), 3.0, np.float32), everywhere(image))
    assert np.all(constant.rms >= np.float32(SCATTER_FLOOR))
    assert np.abs(constant.ratio).max() < 1e-6


@pytest.mark.parametrize("diameter", [8, 20, 40])
@pytest.mark.parametrize("contrast", [1.3, 6.0, 0.4])
def test_a_disc_does_not_pull_the_level(diameter, contrast):
    y, x = np.mgrid[:256, :256]
    inside = np.hypot(x - 130.3, y - 121.8) < 0.5 * diameter
    image = np.where(inside, contrast, 1.0) * np.exp(0.002 * (x - 128))
    image *= np.random.default_rng(10).normal(1.0, 0.02, image.shape)
    background = estimate_background(image.astype(np.float32), everywhere(image))
    assert np.median(background.ratio[inside]) == pytest.approx(contrast - 1.0, rel=0.03, abs=0.01)
    ring = (np.hypot(x - 130.3, y - 121.8) < 0.5 * diameter + 12) & ~inside
    assert np.median(background.ratio[ring]) == pytest.approx(0.0, abs=0.015)


def test_limb_darkening_without_geometry():
    ball, incidence = lambert_ball((960, 960), 450.0, phase_deg=35.0)
    background = estimate_background(ball, everywhere(ball))
    for low, high, most in ((0, 20, 0.01), (20, 40, 0.01), (40, 60, 0.02), (60, 70, 0.04)):
        zone = (incidence >= low) & (incidence < high)
        assert np.median(background.ratio[zone]) == pytest.approx(0.0, abs=most)


@pytest.mark.parametrize(("size", "radius", "most"), [(256, 110.0, 0.02), (512, 230.0, 0.005)])
def test_limb_darkening_with_the_disk_function(size, radius, most):
    ball, incidence = lambert_ball((size, size), radius, phase_deg=35.0)
    middle = incidence.reshape(size // 8, 8, size // 8, 8)[:, 3:5, :, 3:5].mean((1, 3))
    disk = disk_function("lambert", middle, 0.0, 0.0).astype(np.float32)
    background = estimate_background(ball, everywhere(ball), disk=disk)
    known = np.isfinite(background.level)
    assert not known[~np.isfinite(disk)].any()
    assert background.reference == pytest.approx(1.0, abs=0.01)
    for low, high in ((0, 20), (20, 40), (40, 60), (60, 70)):
        zone = (incidence >= low) & (incidence < high)
        assert np.median(background.ratio[zone]) == pytest.approx(0.0, abs=most)


def test_far_from_the_light_there_is_no_level():
    ball, incidence = lambert_ball((512, 512), 150.0, phase_deg=80.0)
    background = estimate_background(ball, everywhere(ball))
    lit = (ball > 0).reshape(64, 8, 64, 8).any((1, 3))
    far = ndimage.distance_transform_cdt(~lit, "chessboard") > HALF_WINDOW
    assert far.sum() > 1000
    assert np.isnan(background.level[far]).all()
    assert np.all(background.ratio[np.kron(far, np.ones((8, 8), bool))] == 0.0)
    assert np.isfinite(background.at(background.level, *np.nonzero(incidence < 60)[::-1])).all()


def test_what_counts_as_lit_follows_the_light():
    """Relief between 0.4 and 1.6 of the local light, a fifth in shadow, where the light falls to 0.08."""
    rng = np.random.default_rng(5)
    light = np.geomspace(1.0, 0.08, 256) * np.ones((256, 1))
    relief = rng.uniform(0.4, 1.6, light.shape) * (rng.random(light.shape) > 0.2)
    rows, columns, y0, x0 = mesh_layout(light.shape)
    disk = light[y0 + STEP // 2 :: STEP, x0 + STEP // 2 :: STEP][:rows, :columns]
    level = estimate_background((light * relief).astype(np.float32), everywhere(light), disk=disk).level
    flat = np.nanmean(level / disk, axis=0)
    assert flat == pytest.approx(np.full(columns, flat[0]), rel=0.03)


def test_masked_pixels_say_nothing():
    rng = np.random.default_rng(11)
    image = rng.normal(1.0, 0.02, (128, 128)).astype(np.float32)
    masked = rng.random(image.shape) < 0.2
    masked[40:60, 50:75] = True
    image[masked] = rng.choice([np.nan, np.inf, -5.0, 1e30], masked.sum())
    background = estimate_background(image, ~masked)
    assert np.all(background.ratio[masked] == 0.0)
    assert np.isfinite(background.smooth).all() and np.isfinite(background.rms).all()
    assert np.nanmax(np.abs(background.level - 1.0)) < 0.02


def test_nothing_lit_is_said():
    for image in (np.zeros((64, 64)), np.full((64, 64), -3.0), np.full((64, 64), 5.0)):
        with pytest.raises(BrightspotError, match="nothing in the image is lit"):
            estimate_background(image.astype(np.float32), everywhere(image), pedestal=5.0)
    image = np.ones((64, 64), np.float32)
    with pytest.raises(BrightspotError, match="nothing in the image is lit"):
        estimate_background(image, np.zeros((64, 64), bool))
    with pytest.raises(BrightspotError, match="nothing in the image is lit"):
        estimate_background(image, everywhere(image), disk=np.full((8, 8), np.nan, np.float32))


def test_at_takes_the_nearest_block_and_holds_the_edge():
    image = np.ones((70, 84), np.float32)
    background = estimate_background(image, everywhere(image))
    assert (background.y0, background.x0) == (3, 2)
    mesh = np.arange(80).reshape(8, 10)
    assert background.at(mesh, np.array([2.0]), np.array([3.0]))[0] == 0
    assert background.at(mesh, np.array([10.0, 9.6, 9.4]), np.array([11.0, 10.6, 10.4])).tolist() == [
        11,
        11,
        0,
    ]
    assert background.at(mesh, np.array([0.0, 83.0]), np.array([0.0, 69.0])).tolist() == [0, 79]


def bumpy(shape=(200, 240), noise=0.01, seed=4):
    """Ground of 100 with relief and mottling seen through a PSF, and pixel noise."""
    rng = np.random.default_rng(seed)
    relief = ndimage.gaussian_filter(rng.normal(size=shape), 1.5)
    ground = 100.0 * (1.0 + 0.1 * relief / relief.std())
    return (ground * (1.0 + noise * rng.normal(size=shape))).astype(np.float32)


def test_lone_pixels_are_mended_and_nothing_else():
    image = bumpy()
    places = np.array([(20, 30), (21, 90), (77, 120), (150, 33), (197, 2)])
    hit = image.copy()
    hit[tuple(places.T)] += np.array([60.0, 400.0, 90.0, -80.0, 5000.0], np.float32)
    mended, found = without_spikes(hit, np.ones(image.shape, bool))
    assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, places.tolist()))
    y, x = places.T
    four = (hit[y - 1, x] + hit[y + 1, x] + hit[y, x - 1] + hit[y, x + 1]) / 4
    assert mended[y, x] == pytest.approx(four, rel=1e-5)
    mended[y, x] = hit[y, x]
    assert np.array_equal(mended, hit)


@pytest.mark.parametrize("fwhm", [1.2, 1.4, 2.0, 3.0])
@pytest.mark.parametrize("shift", [0.0, 0.3, 0.5])
def test_points_seen_through_a_psf_are_left(fwhm, shift):
    image = bumpy(noise=0.003)
    y, x = np.indices(image.shape)
    for k, strength in enumerate((30.0, 100.0, 1000.0)):
        r2 = (y - 50 - 40 * k - shift) ** 2 + (x - 100 - shift) ** 2
        image += np.float32(strength) * np.exp(-4 * np.log(2) * r2 / fwhm**2).astype(np.float32)
    mended, found = without_spikes(image, np.ones(image.shape, bool))
    assert mended is image
    assert len(found) == 0


@pytest.mark.parametrize("strength", [1.0, 8.0])
def test_a_spike_on_a_spot_is_mended(strength):
    """It stood for the peak, and what was left of the spot for its surroundings."""
    image = bumpy(noise=0.003)
    y, x = np.indices(image.shape)
    cover = np.clip(3.5 - np.hypot(y - 100.2, x - 120.4), 0.0, 1.0)
    image *= 1.0 + ndimage.gaussian_filter(0.8 * cover, 0.6).astype(np.float32)
    hit = image.copy()
    hit[101, 121] += 100.0 * strength
    mended, found = without_spikes(hit, np.ones(image.shape, bool))
    assert found.tolist() == [[101, 121]]
    assert mended[101, 121] == pytest.approx(image[101, 121], rel=0.06)


def test_pictures_of_spikes_only_are_left():
    image = np.where(np.random.default_rng(3).random((128, 128)) < 0.05, 500.0, 100.0).astype(np.float32)
    mended, found = without_spikes(image, np.ones(image.shape, bool))
    assert mended is image
    assert len(found) == 0


@pytest.mark.parametrize("shape", [(200, 240), (128, 131), (97, 64), (5, 5)])
def test_mending_follows_flips_and_scale(shape):
    image = bumpy(shape)
    rng = np.random.default_rng(8)
    places = rng.integers(0, shape, (6, 2))
    image[tuple(places.T)] += rng.uniform(30.0, 300.0, 6).astype(np.float32)
    usable = rng.random(shape) < 0.999
    mended, found = without_spikes(image, usable)
    for turn in (np.fliplr, np.flipud, np.transpose):
        again, same = without_spikes(np.ascontiguousarray(turn(image)), np.ascontiguousarray(turn(usable)))
        assert len(same) == len(found)
        assert np.allclose(again, turn(mended), rtol=1e-6)
    double, same = without_spikes(2 * image + np.float32(50.0), usable, 50.0)
    assert len(same) == len(found)
    assert np.allclose(double, 2 * mended + 50.0, rtol=1e-5)


def test_sky_around_a_small_disk_changes_nothing():
    ball, _ = lambert_ball((512, 512), 60.0, phase_deg=70.0)
    wide = np.random.default_rng(3).normal(0.0, 0.003, (1024, 1024)).astype(np.float32)
    inside = np.s_[256:768, 256:768]
    wide[inside] += ball
    wide[256 + 245, 256 + 270] += 3.0
    small = np.ascontiguousarray(wide[inside])
    few, many = estimate_background(small, everywhere(small)), estimate_background(wide, everywhere(wide))
    # The sky is nine tenths of either: it decides neither what is lit nor how bright that is.
    assert few.level[np.isfinite(few.level)].min() > 0.02
    np.testing.assert_array_equal(many.level[32:96, 32:96], few.level)
    assert np.isfinite(many.level).sum() == np.isfinite(few.level).sum()
    (_, one), (_, other) = (without_spikes(image, everywhere(image), 0.0) for image in (small, wide))
    assert (one + 256).tolist() == other.tolist() == [[256 + 245, 256 + 270]]
