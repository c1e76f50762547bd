"""One place or two: second tops, what lies between tops, parting and joining, on made-up places."""

import numpy as np
import pytest
from scipy import ndimage

from brightspot import pairs as station
from brightspot import segmentation
from brightspot._kernels import pairs as kernels
from brightspot.background import Background, estimate_background
from brightspot.judge import FEATURES, PAIR_FEATURES, are_two
from brightspot.pairs import (
    Tops,
    higher_beside,
    merge_pieces,
    neighbours,
    pair_features,
    pair_patches,
    part,
    second_tops,
    settle_places,
)
from brightspot.segmentation import Segmentation, segment_outliers
from brightspot.shading import describe
from test_segmentation import gaussian, levelled


def objects_of(picture: np.ndarray) -> tuple[Background, Segmentation, np.ndarray]:
    """Objects of a picture (1: the surface) with a little noise, and their features."""
    picture = picture * np.random.default_rng(1).normal(1.0, 0.005, picture.shape)
    background = estimate_background(picture.astype(np.float32), np.ones(picture.shape, bool))
    found = segment_outliers(background, np.maximum(0.15, 2 * background.rms).astype(np.float32))
    azimuth = np.full(len(found.peak), np.nan)
    return background, found, describe(background, found, azimuth, None, dark=False, every=True)


def disc(x, y, radius, size=128):
    yy, xx = np.mgrid[:size, :size]
    return np.clip(radius + 0.5 - np.hypot(xx - x, yy - y), 0.0, 1.0)


def said_of(background: Background, found: Segmentation, features: np.ndarray, tops: Tops) -> np.ndarray:
    rows = pair_features(background, found, features, np.full(len(found.peak), np.nan), tops, dark=False)
    return are_two(rows, pair_patches(background, tops, dark=False))


def sharpened(picture: np.ndarray) -> np.ndarray:
    around = ndimage.uniform_filter(np.asarray(picture, np.float64), 3, mode="nearest")
    return picture + station.SHARPENING * (picture - around)


def box_of(mask: np.ndarray) -> list[int]:
    y, x = np.nonzero(mask)
    return [y.min(), x.min(), y.max(), x.max()]


# ---------------------------------------------------------------- second tops


def shoulder(dark: bool = False) -> tuple[Background, Segmentation]:
    """Two places so near that the picture shows one top and a shoulder, and one alone."""
    shape = (64, 96)
    picture = gaussian(shape, 30, 30, 1.0, 1.7) + gaussian(shape, 34, 31, 0.6, 1.7)
    picture += gaussian(shape, 70, 40, 0.8, 1.7)
    background = levelled(-picture if dark else picture)
    threshold = np.full(background.rms.shape, 0.1, np.float32)
    return background, segment_outliers(background, threshold, dark=dark)


@pytest.mark.parametrize("dark", [False, True])
def test_a_shoulder_is_a_second_top(dark):
    background, found = shoulder(dark)
    assert found.peak_yx.tolist() == [[30, 30], [40, 70]]  # the picture itself shows no second top
    tops = second_tops(background, found, np.arange(2), dark=dark)
    assert tops.own.tolist() == [0]
    assert tops.higher.tolist() == [0]
    y, x, v, u = tops.place[0]
    assert np.hypot(x - 34, y - 31) <= 1.0
    assert (v, u) == (30, 30)
    sharp = sharpened(-background.smooth if dark else background.smooth)
    line = [sharp[30, 32], sharp[30, 33], sharp[31, 32], sharp[31, 33]]
    assert tops.saddle[0] == pytest.approx(max(line) / sharp[y, x], abs=0.2)
    assert tops.radius[0] == pytest.approx(np.sqrt(len(tops.pixels) / np.pi))


def test_second_tops_are_what_floods_the_sharpened_picture(monkeypatch):
    """In the window of one object that holds everything: the station that finds objects as the oracle."""
    rng = np.random.default_rng(3)
    picture = ndimage.gaussian_filter(rng.normal(size=(48, 48)), 2.0)
    picture = np.clip(picture / picture.std(), 0.0, None)
    background = levelled(picture)
    whole = np.ones(picture.shape, np.int32)
    peak = np.unravel_index(np.argmax(picture), picture.shape)
    found = Segmentation(
        whole,
        np.float32([picture.max()]),
        np.int32([peak]),
        np.zeros(1, np.float32),
        np.int32([[0, 0, 47, 47]]),
        np.int32([picture.size]),
        np.int32([-1]),
    )
    monkeypatch.setattr(station, "LEAST_TOP_SHARE", 1e-6)
    tops = second_tops(background, found, np.array([0]), dark=False)
    sharp = sharpened(background.smooth).astype(np.float32)
    sharp[background.smooth < 1e-6 * picture.max()] = 0.0
    monkeypatch.setattr(segmentation, "SADDLE_DEPTH_SHARE", station.LEAST_DEPTH_SHARE)
    monkeypatch.setattr(segmentation, "SADDLE_DEPTH_SIGMA", station.LEAST_DEPTH_SIGMA)
    monkeypatch.setattr(segmentation, "FOOTPRINT_SHARE", 1e-6)
    tiny = np.full(background.rms.shape, 1e-6, np.float32)
    flooded = segment_outliers(background._replace(smooth=np.maximum(sharp, 0.0)), tiny)
    expected = {tuple(place) for place in flooded.peak_yx.tolist()}
    assert len(expected) > 5
    main = flooded.labels[peak] - 1
    assert {tuple(place) for place in tops.place[:, :2].tolist()} == expected - {
        tuple(flooded.peak_yx[main].tolist())
    }


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.transpose])
def test_a_turned_picture_has_turned_tops(turn):
    background, _ = shoulder()
    picture = np.pad(background.smooth, ((0, 32), (0, 0)))
    there, here = levelled(picture), levelled(turn(picture))

    def tops_of(background):
        found = segment_outliers(background, np.full(background.rms.shape, 0.1, np.float32))
        tops = second_tops(background, found, np.arange(len(found.peak)), dark=False)
        mark = np.zeros(background.smooth.shape, int)
        mark[tops.pixels[:, 0], tops.pixels[:, 1]] = 1
        mark[tops.place[:, 0], tops.place[:, 1]] = 2
        return mark, tops.saddle

    a, b = tops_of(there), tops_of(here)
    np.testing.assert_array_equal(turn(a[0]), b[0])
    np.testing.assert_allclose(a[1], b[1], rtol=1e-5)
    assert (a[0] == 2).sum() == 1


def test_a_top_between_two_objects_is_told_once():
    shape = (64, 64)
    picture = gaussian(shape, 27, 32, 1.0, 1.7) + gaussian(shape, 37, 32, 0.9, 1.7)
    background = levelled(picture + gaussian(shape, 32, 33, 0.3, 1.2))
    found = segment_outliers(background, np.full(background.rms.shape, 0.6, np.float32))
    assert found.peak_yx[:, 1].tolist() == [27, 37]
    alone = [second_tops(background, found, np.array([k]), dark=False) for k in range(2)]
    assert [tops.place[:, :2].tolist() for tops in alone] == [[[33, 32]], [[33, 32]]]
    tops = second_tops(background, found, np.arange(2), dark=False)
    assert tops.place[:, :2].tolist() == [[33, 32]]
    assert tops.own.tolist() == [0]
    assert len(np.unique(tops.pixels, axis=0)) == len(tops.pixels) == len(alone[0].pixels)


def test_no_objects_no_tops():
    background, found = shoulder()
    tops = second_tops(background, found, np.empty(0, int), dark=False)
    assert len(tops.own) == len(tops.pixels) == 0
    features = np.zeros((2, len(FEATURES)), np.float32)
    rows = pair_features(background, found, features, np.zeros(2), tops, dark=False)
    assert rows.shape == (0, len(PAIR_FEATURES))
    assert pair_patches(background, tops, dark=False).shape == (0, 17, 33)
    same, same_features = part(background, found, features, tops, np.empty(0, bool), dark=False)
    assert same is found
    assert same_features is features


# ---------------------------------------------------------------- what is known of two


def test_between_two_tops_is_the_lowest_on_the_line():
    rng = np.random.default_rng(8)
    smooth = ndimage.gaussian_filter(rng.normal(size=(40, 50)), 1.0).astype(np.float32)
    place = np.column_stack([rng.integers(0, 40, 12), rng.integers(0, 50, 12)] * 2).astype(np.int32)
    place[:, 2:] = np.clip(place[:, :2] + rng.integers(-7, 8, (12, 2)), 0, [39, 49])
    seen = np.empty((12, 8), np.float32)
    kernels.look_between(smooth, smooth, -1, np.float32(station.SHARPENING), place, seen)
    share = np.linspace(0.0, 1.0, kernels.SAMPLES)[:, None]
    for k, picture in ((0, -smooth), (3, sharpened(-smooth))):
        y, x = (place[:, c] + (place[:, c + 2] - place[:, c]) * share for c in (0, 1))
        line = ndimage.map_coordinates(picture, [y, x], order=1, mode="nearest")
        for column, expected in zip(seen.T[k : k + 3], (line[0], line[-1], line.min(axis=0)), strict=True):
            np.testing.assert_allclose(column, expected, atol=1e-5)


def test_pairs_are_shown_from_top_to_top():
    rng = np.random.default_rng(9)
    ratio = rng.normal(size=(40, 50)).astype(np.float32)
    smooth = rng.uniform(0.5, 2.0, (40, 50)).astype(np.float32)
    place = np.column_stack([rng.integers(0, 40, 12), rng.integers(0, 50, 12)] * 2).astype(np.int32)
    place[:, 2:] = np.clip(place[:, :2] + rng.integers(1, 8, (12, 2)), 0, [38, 48])
    seen = np.empty((12, 17, 33), np.float32)
    kernels.cut_pairs(ratio, smooth, -1, place, seen)
    along, aside = np.meshgrid(np.arange(-10, 23), np.arange(-8, 9))
    for (low_y, low_x, y, x), patch in zip(place, seen, strict=True):
        dy, dx = low_y - y, low_x - x
        at = y + (along * dy - aside * dx) / 12.0, x + (along * dx + aside * dy) / 12.0
        expected = -ndimage.map_coordinates(ratio, at, order=1) / smooth[low_y, low_x]
        np.testing.assert_allclose(patch, np.clip(expected, -3.0, 9.0), atol=1e-5)
        assert patch[8, 22] == pytest.approx(np.clip(-ratio[low_y, low_x] / smooth[low_y, low_x], -3, 9))
    mirrored = place * np.int32([1, -1, 1, -1]) + np.int32([0, 49, 0, 49])
    other = np.empty_like(seen)
    kernels.cut_pairs(ratio[:, ::-1].copy(), smooth[:, ::-1].copy(), -1, mirrored, other)
    np.testing.assert_allclose(other[:, ::-1], seen, atol=1e-5)


def test_what_is_known_of_a_pair():
    picture = 1.0 + 2.0 * disc(50, 64, 4.0) + 1.2 * disc(58.5, 64, 3.0)
    background, found, features = objects_of(ndimage.gaussian_filter(picture, 0.8))
    low = int(np.argmin(found.peak))
    tops = neighbours(found, np.array([low]), found.neighbour[[low]])
    azimuth = np.array([45.0, 45.0])
    rows = pair_features(background, found, features, azimuth, tops, dark=False)
    assert rows.shape == (1, len(PAIR_FEATURES))
    assert rows.dtype == np.float32
    row = dict(zip(PAIR_FEATURES, rows[0].tolist(), strict=True))
    assert row["distance"] == pytest.approx(8.5, abs=2.0)
    assert row["share"] == pytest.approx(0.6, abs=0.03)
    assert row["radius"] == pytest.approx(3.0, abs=0.4)
    assert row["other_radius"] == pytest.approx(4.0, abs=0.4)
    assert row["saddle"] == pytest.approx(found.saddle[low] / found.peak[low])
    assert row["height"] == pytest.approx(found.peak[low])
    assert row["filling"] == pytest.approx(1.0, abs=0.1)
    assert row["lowest"] <= row["saddle"] + 0.05
    assert row["lowest_sharp"] < row["lowest"]
    assert row["along_sun"] == pytest.approx(np.sqrt(0.5), abs=0.2)
    assert row["tops"] == 1
    assert row["sharpness"] == pytest.approx(features[low, FEATURES.index("sharpness")])


# ---------------------------------------------------------------- two


@pytest.mark.parametrize(("gap", "fainter"), [(7.5, 1.0), (8.0, 0.6), (8.0, 1.0), (8.5, 0.6), (8.5, 1.0)])
def test_two_discs_are_two(gap, fainter):
    picture = 1.0 + 2.0 * disc(60, 64, 3.5) + 1.99 * fainter * disc(60 + gap, 66, 3.2)
    background, found, features = objects_of(ndimage.gaussian_filter(picture, 0.8))
    apart = np.flatnonzero(found.neighbour >= 0)
    assert len(apart) == 1
    assert said_of(background, found, features, neighbours(found, apart, found.neighbour[apart])).all()


@pytest.mark.parametrize("fainter", [0.6, 0.9])
def test_two_points_that_run_into_each_other_are_two(fainter):
    """3.6 px apart behind a PSF of 1.5 px: no saddle deep enough to make two objects."""
    picture = 1.0 + 4.0 * disc(60, 64, 1.2) + 4.0 * fainter * disc(63.4, 65, 1.2)
    background, found, features = objects_of(ndimage.gaussian_filter(picture, 0.8))
    assert len(found.peak) == 1
    tops = second_tops(background, found, np.array([0]), dark=False)
    two = said_of(background, found, features, tops)
    assert two.sum() == 1
    around = FEATURES.index("surroundings_rms")
    features[0, around] = 0.25
    parted, rows = part(background, found, features, tops, two, dark=False)
    assert len(parted.peak) == len(rows) == 2
    assert parted.neighbour.tolist() == [-1, 0]
    whole = found.labels > 0
    for k in range(2):
        own = parted.labels == k + 1
        assert parted.box[k].tolist() == box_of(own)
        assert parted.n_pixels[k] == own.sum() == rows[k, FEATURES.index("n_pixels")]
        assert own[tuple(parted.peak_yx[k])]
        assert background.smooth[own].min() >= 0.5 * parted.peak[k]
        assert ndimage.label(own, np.ones((3, 3)))[1] == 1
    assert not (whole & (parted.labels == 0)).sum() > 0.2 * whole.sum()
    assert (parted.saddle > 0.0).all()
    assert rows[1, FEATURES.index("contrast")] == pytest.approx(parted.peak[1])
    assert rows[:, around].tolist() == [0.25, 0.25]


@pytest.mark.parametrize("radius", [1.5, 3.0, 6.0])
def test_one_disc_is_one(radius):
    said = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        x, y = 64 + rng.random(2)
        background, found, features = objects_of(ndimage.gaussian_filter(1.0 + disc(x, y, radius), 0.8))
        tops = second_tops(background, found, np.arange(len(found.peak)), dark=False)
        said += said_of(background, found, features, tops).tolist()
    assert sum(said) == 0


def test_a_torn_deposit_is_one():
    said = []
    for seed in range(8):
        texture = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(128, 128)), 1.6)
        deposit = disc(64, 64, 13.0) * np.clip(1.0 + 0.6 * texture / texture.std(), 0.2, None)
        background, found, features = objects_of(ndimage.gaussian_filter(1.0 + deposit, 0.6))
        apart = np.flatnonzero(found.neighbour >= 0)
        said += said_of(
            background, found, features, neighbours(found, apart, found.neighbour[apart])
        ).tolist()
    assert len(said) >= 10
    assert np.mean(said) <= 0.2


# ---------------------------------------------------------------- one


def ridge_of_three() -> tuple[Background, Segmentation]:
    """Peaks of 1.0, 0.8 and 0.7 in a row, parted by saddles of about three quarters of the fainter."""
    picture = np.zeros((40, 96))
    for x, height in ((30, 1.0), (44, 0.8), (58, 0.7)):
        picture = np.maximum(picture, gaussian((40, 96), x, 20, height, 6.0))
    picture = np.maximum(picture, gaussian((40, 96), 85, 20, 0.6, 3.0))
    background = levelled(picture, rms=1e-3)
    return background, segment_outliers(background, np.full(background.rms.shape, 0.05, np.float32))


def test_pieces_of_what_is_believed_are_joined(monkeypatch):
    monkeypatch.setattr(segmentation, "SADDLE_DEPTH_SHARE", 0.1)
    background, found = ridge_of_three()
    assert found.peak_yx[:, 1].tolist() == [30, 44, 58, 85]
    assert found.neighbour.tolist() == [-1, 0, 1, -1]
    joined, root = merge_pieces(found, found.neighbour, background.smooth)
    assert root.tolist() == [0, 0, 0, 3]
    assert set(np.unique(joined.labels)) == {0, 1, 4}
    one = joined.labels == 1
    assert one[20, 30] and one[20, 44]
    for k in (0, 3):
        own = joined.labels == k + 1
        y, x = np.nonzero(own)
        assert joined.box[k].tolist() == [y.min(), x.min(), y.max(), x.max()]
        assert joined.n_pixels[k] == own.sum()
        assert background.smooth[own].min() >= 0.5 * joined.peak[k]  # half of the joined place's own peak
        assert joined.saddle[k] == 0.0


def test_without_a_whole_nothing_is_joined(monkeypatch):
    monkeypatch.setattr(segmentation, "SADDLE_DEPTH_SHARE", 0.1)
    background, found = ridge_of_three()
    same, root = merge_pieces(found, np.full(4, -1), background.smooth)
    assert root.tolist() == [0, 1, 2, 3]
    assert same is found


def test_a_piece_belongs_to_a_believed_higher_one_that_it_meets_or_that_is_near(monkeypatch):
    monkeypatch.setattr(segmentation, "SADDLE_DEPTH_SHARE", 0.1)
    _, found = ridge_of_three()
    assert higher_beside(found, np.ones(4, bool), binned=True).tolist() == [-1, 0, 1, -1]
    # The one between them is a wall: the third is too far from the first, and nearer if that is wider.
    wall = np.array([True, False, True, True])
    assert higher_beside(found, wall, binned=True).tolist() == [-1, -1, -1, -1]
    assert higher_beside(found, wall, binned=False).tolist() == [-1, -1, 0, 2]
    wide = found._replace(n_pixels=4 * found.n_pixels)
    assert higher_beside(wide, wall, binned=True).tolist() == [-1, -1, 0, 2]
    tops = neighbours(wide, np.array([1, 2]), np.array([0, 0]))
    assert tops.saddle[0] == pytest.approx(found.saddle[1] / found.peak[1])
    assert tops.saddle[1] == 0.0  # never met
    assert higher_beside(found, np.zeros(4, bool), binned=True).tolist() == [-1, -1, -1, -1]


def test_what_is_not_believed_or_two_stays_apart(monkeypatch):
    monkeypatch.setattr(station, "REACH", 2.0)
    monkeypatch.setattr(segmentation, "SADDLE_DEPTH_SHARE", 0.1)
    background, found = ridge_of_three()
    features = np.full((4, len(FEATURES)), 0.5, np.float32)
    everything, nothing = np.ones(4, bool), np.zeros(4, bool)
    for believed, two in (
        (np.array([True, False, True, True]), nothing),  # the one between them is a wall
        (everything, everything),
        (nothing, nothing),
    ):
        monkeypatch.setattr(station, "are_two", lambda rows, patches, two=two: two[: len(rows)])
        same, own, pieces, origin = settle_places(
            background, found, features, np.full(4, np.nan), believed, dark=False, binned=True
        )
        assert pieces.tolist() == [1, 1, 1, 1]
        assert origin.tolist() == [0, 1, 2, 3]
        np.testing.assert_array_equal(same.labels, found.labels)
        np.testing.assert_array_equal(same.saddle, found.saddle)
        np.testing.assert_array_equal(own, features)
    monkeypatch.setattr(station, "are_two", lambda rows, patches: np.zeros(len(rows), bool))
    joined, _, pieces, _ = settle_places(
        background, found, features, np.full(4, np.nan), everything, dark=False, binned=False
    )
    assert (pieces > 0).tolist() == [True, False, False, True]
    apart = np.bincount(ndimage.label(joined.labels == 1, np.ones((3, 3)))[0].ravel())[1:]
    assert len(apart) > 1
    assert pieces[[0, 3]] == pytest.approx([apart.sum() / apart.max(), 1.0])


def test_what_has_been_joined_reaches_farther(monkeypatch):
    picture = 1.0 + 2.0 * disc(40, 64, 3.0) + 1.8 * disc(50, 64, 3.0) + 1.5 * disc(40, 75, 2.2)
    background, found, features = objects_of(ndimage.gaussian_filter(picture, 0.6))
    believed = found.peak > 0.7
    assert believed.sum() == 3
    first = higher_beside(found, believed, binned=True)
    assert first[believed].tolist() == [-1, 0, -1]  # the third is beyond two sums of radii
    asked = []
    monkeypatch.setattr(station, "are_two", lambda rows, patches: asked.append(len(rows)) or rows[:, 0] > 2)
    same, _, pieces, _ = settle_places(
        background, found, features, np.full(len(believed), np.nan), believed, dark=False, binned=True
    )
    assert asked == [1, 1, 0]
    assert (pieces[believed] > 0).tolist() == [True, False, False]
    assert same.labels[75, 40] == same.labels[64, 50] == same.labels[64, 40] == 1
