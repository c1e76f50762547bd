"""Objects: flooding against a plain Python twin and against scikit-image, footprints, pairs, symmetry."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from brightspot import segmentation as station
from brightspot._kernels import segmentation as kernels
from brightspot.background import STEP, Background, estimate_background, mesh_layout
from brightspot.pairs import merge_pieces
from brightspot.segmentation import Segmentation, segment_outliers, without_detached

EIGHT = np.ones((3, 3), bool)


def levelled(smooth: np.ndarray, rms: float | np.ndarray = 0.01) -> Background:
    """A background whose smoothed ratio is the given picture."""
    smooth = np.ascontiguousarray(smooth, np.float32)
    flat = np.random.default_rng(0).normal(1.0, 0.01, smooth.shape).astype(np.float32)
    background = estimate_background(flat, np.ones(smooth.shape, bool))
    return background._replace(
        ratio=smooth, smooth=smooth, rms=np.full_like(background.rms, 0.0) + np.float32(rms)
    )


def mesh_of(background: Background, value: float) -> np.ndarray:
    return np.full(background.rms.shape, value, np.float32)


def bumps(shape: tuple[int, int], seed: int, sigma: float = 2.0) -> np.ndarray:
    """Smooth random relief with values about -1 to 1 and no ties."""
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = ndimage.gaussian_filter(noise, sigma, mode="nearest")
    return (smooth / np.abs(smooth).max()).astype(np.float32)


def per_pixel(background: Background, mesh: np.ndarray) -> np.ndarray:
    """The mesh's value at every pixel: margins belong to the outermost blocks."""
    y, x = np.mgrid[: background.smooth.shape[0], : background.smooth.shape[1]]
    return background.at(mesh, x, y)


def flood_slowly(picture, threshold, rms, depth_share, depth_sigma, footprint_share):
    """Peaks by persistence with sets and dicts; threshold and rms per pixel."""
    ny, nx = picture.shape
    order = sorted(
        ((y, x) for y in range(ny) for x in range(nx) if picture[y, x] > footprint_share * threshold[y, x]),
        key=lambda p: (-picture[p], p),
    )
    owner, members, saddle = {}, {}, {}
    for p in order:
        around = [(p[0] + dy, p[1] + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
        around = [q for q in around if q in owner]
        if not around:
            owner[p], members[p], saddle[p] = p, {p}, 0.0
            continue
        peaks = sorted({owner[q] for q in around}, key=lambda r: -picture[r])
        uphill = owner[max(around, key=lambda q: picture[q])]
        for lower in peaks[1:]:
            depth = picture[lower] - picture[p]
            if depth < max(depth_share * picture[lower], depth_sigma * rms[lower]):
                for q in members[lower]:
                    owner[q] = peaks[0]
                members[peaks[0]] |= members.pop(lower)
                saddle[peaks[0]] = max(saddle[peaks[0]], saddle.pop(lower))
                uphill = peaks[0] if uphill == lower else uphill
            else:
                saddle[lower] = max(saddle[lower], picture[p])
                saddle[peaks[0]] = max(saddle[peaks[0]], picture[p])
        owner[p] = uphill
        members[uphill].add(p)
    return {
        peak: ({q for q in pixels if picture[q] >= footprint_share * picture[peak]}, saddle[peak])
        for peak, pixels in members.items()
        if picture[peak] >= threshold[peak]
    }


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(9, 45), st.integers(9, 45)),
    st.integers(0, 10_000),
    st.sampled_from([0.8, 1.5, 3.0]),
    st.booleans(),
)
def test_flooding_equals_a_plain_twin(shape, seed, sigma, dark):
    picture = bumps(shape, seed, sigma)
    rng = np.random.default_rng(seed)
    background = levelled(-picture if dark else picture)
    rms = rng.uniform(0.005, 0.1, background.rms.shape).astype(np.float32)
    threshold = rng.uniform(0.05, 0.4, rms.shape).astype(np.float32)
    threshold[rng.random(rms.shape) < 0.1] = np.inf
    background = background._replace(rms=rms)
    found = segment_outliers(background, threshold, dark=dark)
    expected = flood_slowly(
        picture,
        per_pixel(background, threshold),
        per_pixel(background, rms),
        station.SADDLE_DEPTH_SHARE,
        station.SADDLE_DEPTH_SIGMA,
        station.FOOTPRINT_SHARE,
    )
    assert {tuple(p) for p in found.peak_yx.tolist()} == set(expected)
    for k, peak in enumerate(map(tuple, found.peak_yx.tolist())):
        pixels, saddle = expected[peak]
        assert set(zip(*np.nonzero(found.labels == k + 1), strict=True)) == pixels
        assert found.peak[k] == picture[peak]
        assert found.saddle[k] == pytest.approx(saddle, abs=1e-7)
        assert found.n_pixels[k] == len(pixels)
        y, x = zip(*pixels, strict=True)
        assert found.box[k].tolist() == [min(y), min(x), max(y), max(x)]


@pytest.mark.parametrize("seed", range(8))
def test_of_equal_peaks_the_first_in_the_rows_is_the_higher_one(seed):
    rng = np.random.default_rng(160 + seed)
    bumpy = bumps((48, 48), seed, 1.0)
    picture = np.minimum(np.round(bumpy * 4) / 3, 1).astype(np.float32)
    background = levelled(picture)
    rms = rng.uniform(0.001, 0.4, background.rms.shape).astype(np.float32)
    found = segment_outliers(background._replace(rms=rms), mesh_of(background, 0.1))
    order = np.lexsort((found.peak_yx[:, 1], found.peak_yx[:, 0], -found.peak))
    np.testing.assert_array_equal(order, np.arange(len(order)))
    assert np.all(found.neighbour < np.arange(len(order)))
    _, root = merge_pieces(found, found.neighbour, picture)
    assert np.all(root <= np.arange(len(order)))


def test_a_joined_peak_brings_its_saddle_along(monkeypatch):
    monkeypatch.setattr(station, "SADDLE_DEPTH_SHARE", 0.4)
    monkeypatch.setattr(station, "SADDLE_DEPTH_SIGMA", 2.0)
    # Three peaks in a row: the right one stays apart from the middle one, which then joins the left one.
    ridge = np.interp(np.arange(32), [0, 4, 8, 12, 20, 26, 31], [0, 0.5, 0.15, 0.4, 0.2, 0.35, 0])
    picture = np.zeros((16, 32), np.float32)
    picture[8] = ridge
    background = levelled(picture)
    rms = np.full_like(background.rms, 0.15)
    rms[:, 3] = 0.001
    found = segment_outliers(background._replace(rms=rms), mesh_of(background, 0.1))
    assert found.peak_yx.tolist() == [[8, 4], [8, 26]]
    np.testing.assert_allclose(found.saddle, 0.2, atol=1e-6)
    assert found.neighbour.tolist() == [-1, 0]


@pytest.mark.parametrize("depth", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_peaks_are_those_of_the_h_maxima(monkeypatch, depth, seed):
    from skimage.morphology import h_maxima

    monkeypatch.setattr(station, "SADDLE_DEPTH_SHARE", 0.0)
    monkeypatch.setattr(station, "SADDLE_DEPTH_SIGMA", 1.0)
    monkeypatch.setattr(station, "FOOTPRINT_SHARE", 1e-6)
    picture = bumps((64, 80), seed) + np.float32(1.5)
    background = levelled(picture, rms=depth)
    found = segment_outliers(background, mesh_of(background, 1e-3))
    marked, n = ndimage.label(h_maxima(picture.astype(np.float64), depth), EIGHT)
    assert len(found.peak) == n
    tops = ndimage.maximum_position(picture, marked, np.arange(1, n + 1))
    assert {tuple(p) for p in found.peak_yx.tolist()} == {(int(y), int(x)) for y, x in tops}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(2.0**-20, 2.0**20, width=32), max_size=300), st.integers(0, 20))
def test_sorting_is_stable_and_descending(values, room):
    height = np.array(values + [0.0] * room, np.float32)
    flat = np.arange(len(values), dtype=np.uint32)
    expected = np.argsort(-height[: len(values)], kind="stable")
    np.testing.assert_array_equal(kernels.sort_descending(flat, height), expected)


@pytest.mark.parametrize("shape", [(64, 64), (61, 70)])
def test_collecting_takes_what_exceeds_its_blocks_floor(shape):
    picture = bumps(shape, 5)
    rows, columns, y0, x0 = mesh_layout(shape)
    threshold = np.random.default_rng(5).uniform(0.1, 0.5, (rows, columns)).astype(np.float32)
    threshold[0, 0] = threshold[2, 3] = np.inf
    floor = per_pixel(levelled(picture), threshold) * np.float32(0.5)
    flat = np.empty(picture.size + 1, np.uint32)
    height = np.full((shape[0] + 2, shape[1] + 2), np.nan, np.float32)
    for sign in (1, -1):
        n = kernels.collect(picture, sign, threshold, 0.5, STEP, y0, x0, flat, height)
        expected = np.pad(np.where(sign * picture > floor, sign * picture, 0.0), 1)
        np.testing.assert_array_equal(height, expected)
        np.testing.assert_array_equal(flat[:n], np.flatnonzero(expected))


# ---------------------------------------------------------------- what an object is


def gaussian(shape, x, y, height, sigma):
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    return height * np.exp(-0.5 * ((xx - x) ** 2 + (yy - y) ** 2) / sigma**2)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("height", [0.15, 0.5, 0.9])
def test_a_spot_is_its_pixels_above_half_maximum(height, dark):
    picture = gaussian((64, 64), 30.3, 33.8, height, 4.0)
    background = levelled(-picture if dark else picture)
    found = segment_outliers(background, mesh_of(background, 0.1), dark=dark)
    assert len(found.peak) == 1
    np.testing.assert_array_equal(
        found.labels == 1, picture.astype(np.float32) >= 0.5 * np.float32(picture.max())
    )
    assert found.saddle[0] == 0.0
    assert found.neighbour[0] == -1


def test_every_footprint_is_whole_and_holds_its_peak():
    picture = bumps((128, 128), 8, 3.0)
    background = levelled(picture, rms=0.02)
    found = segment_outliers(background, mesh_of(background, 0.1))
    assert len(found.peak) > 20
    for k, (y, x) in enumerate(found.peak_yx):
        own = found.labels == k + 1
        assert own[y, x]
        assert picture[own].max() == picture[y, x] == found.peak[k]
        assert picture[own].min() >= 0.5 * found.peak[k]
    assert found.labels.max() == len(found.peak)
    assert found.labels.dtype == np.int32


def test_a_pair_is_two_at_any_contrast():
    one, two = gaussian((64, 96), 30, 32, 1.0, 3.0), gaussian((64, 96), 42, 30, 0.7, 3.0)
    for contrast in (0.2, 1.0, 8.0):
        background = levelled(contrast * (one + two), rms=0.01 * contrast)
        found = segment_outliers(background, mesh_of(background, 0.1 * contrast))
        assert len(found.peak) == 2
        assert found.saddle[0] == found.saddle[1] > 0
        faint = int(np.argmin(found.peak))
        assert found.neighbour[faint] == 1 - faint
        assert found.neighbour[1 - faint] == -1
    # Nearer, the gap between them is no gap.
    near = one + gaussian((64, 96), 36, 32, 0.7, 3.0)
    background = levelled(near)
    assert len(segment_outliers(background, mesh_of(background, 0.1)).peak) == 1


def test_noise_on_a_deposit_does_not_split_it():
    rng = np.random.default_rng(9)
    yy, xx = np.mgrid[:96, :96]
    deposit = 0.5 / (1.0 + np.exp(np.hypot(xx - 48, yy - 45) - 15))
    ragged = deposit * (1.0 + 0.1 * ndimage.gaussian_filter(rng.normal(size=deposit.shape), 1.5) / 0.2)
    noisy = ragged + ndimage.gaussian_filter(rng.normal(size=deposit.shape), 0.7) * 0.04
    background = levelled(noisy, rms=0.05)
    found = segment_outliers(background, mesh_of(background, 0.2))
    assert len(found.peak) == 1
    assert found.n_pixels[0] == pytest.approx(np.pi * 15**2, rel=0.2)


def test_nothing_above_threshold_is_nothing():
    background = levelled(bumps((40, 40), 3))
    for threshold in (1.5, np.inf):
        found = segment_outliers(background, mesh_of(background, threshold))
        assert found.labels.max() == 0
        assert all(len(part) == 0 for part in found[1:])
        assert found.box.shape == (0, 4)
        assert found.peak_yx.shape == (0, 2)


def test_no_search_where_the_threshold_is_infinite():
    picture = gaussian((64, 64), 20, 20, 1.0, 2.0) + gaussian((64, 64), 45, 45, 1.0, 2.0)
    background = levelled(picture)
    threshold = mesh_of(background, 0.1)
    threshold[:4, :4] = np.inf
    found = segment_outliers(background, threshold)
    assert found.peak_yx.tolist() == [[45, 45]]
    assert found.labels[:32, :32].max() == 0


@pytest.mark.parametrize("turn", ["left-right", "up-down", "transposed"])
def test_a_turned_picture_gives_turned_objects(turn):
    picture = bumps((80, 96), 11)
    act = {"left-right": np.fliplr, "up-down": np.flipud, "transposed": np.transpose}[turn]
    one = levelled(picture, rms=0.02)
    other = levelled(act(picture), rms=0.02)
    a = segment_outliers(one, mesh_of(one, 0.1))
    b = segment_outliers(other, mesh_of(other, 0.1))
    assert sorted(a.peak.tolist()) == sorted(b.peak.tolist())
    turned = act(a.labels)
    pairs = set(zip(turned.ravel().tolist(), b.labels.ravel().tolist(), strict=True))
    assert len(pairs) == len(a.peak) + 1  # numbers may differ, partition may not


def test_bright_and_dark_mirror_each_other():
    picture = bumps((80, 96), 12) * np.float32(0.9)
    one, other = levelled(picture), levelled(-picture)
    a = segment_outliers(one, mesh_of(one, 0.1))
    b = segment_outliers(other, mesh_of(other, 0.1), dark=True)
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_array_equal(a.peak, b.peak)


def test_a_plateau_is_one_object():
    picture = np.zeros((48, 48), np.float32)
    picture[10:20, 8:31] = 2.0
    background = levelled(picture)
    found = segment_outliers(background, mesh_of(background, 0.3))
    assert len(found.peak) == 1
    assert found.n_pixels.tolist() == [230]
    assert found.box.tolist() == [[10, 8, 19, 30]]


def test_a_spot_on_the_frames_edge_stays_in_it():
    picture = gaussian((40, 52), -0.5, 20, 1.0, 3.0) + gaussian((40, 52), 51, 39, 1.0, 3.0)
    background = levelled(picture)
    found = segment_outliers(background, mesh_of(background, 0.2))
    assert sorted(found.peak_yx.tolist()) == [[20, 0], [39, 51]]
    assert found.box[:, :2].min() >= 0
    assert found.box[:, 2].max() <= 39
    assert found.box[:, 3].max() <= 51


def test_pieces_that_do_not_touch_the_peaks_are_left_out():
    labels = np.zeros((12, 20), np.int32)
    labels[3:6, 2:5] = 1  # with the peak
    labels[6, 5] = 1  # touches at a corner
    labels[4, 9:11] = 1  # detached
    labels[8:10, 12:16] = 2
    labels[2, 18] = 2  # detached, of the other object
    found = Segmentation(
        labels=labels,
        peak=np.float32([0.5, 0.6]),
        peak_yx=np.int32([[4, 3], [9, 13]]),
        saddle=np.zeros(2, np.float32),
        box=np.int32([[3, 2, 6, 10], [2, 12, 9, 18]]),
        n_pixels=np.int32([12, 9]),
        neighbour=np.int32([-1, -1]),
    )
    cut = without_detached(found, np.array([0]))
    assert np.argwhere(cut.labels != labels).tolist() == [[4, 9], [4, 10]]
    assert cut.n_pixels.tolist() == [10, 9]
    assert cut.box.tolist() == [[3, 2, 6, 5], [2, 12, 9, 18]]
    assert labels[4, 9] == 1  # the input is left as it was
    slow, count = ndimage.label(labels == 2, np.ones((3, 3)))
    assert count == 2
    both = without_detached(found, np.array([0, 1]))
    np.testing.assert_array_equal(both.labels == 2, slow == slow[9, 13])
