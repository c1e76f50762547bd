"""Trees against recursion, the network against scipy, confidence on made-up ground."""

import functools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage, signal

import brightspot
from brightspot import judge as station
from brightspot._kernels import judge as kernels
from brightspot.background import Background, estimate_background
from brightspot.judge import (
    CROWD_SHARE,
    FEATURES,
    LEAST_GLANCE,
    LEAST_GLANCE_DARK,
    LEAST_PARTED,
    LEAST_TREES,
    LEAST_TREES_DARK,
    MEASURED,
    NOT_LOOKED_AT,
    PAIR_FEATURES,
    TREES_SHARE,
    albedo_confidence,
    are_two,
    crowded_by,
    network_inputs,
    score_looks,
    too_sharp,
)
from brightspot.segmentation import Segmentation, segment_outliers
from brightspot.shading import describe, look, look_patches

HERE = Path(brightspot.__file__).parent
RECORD = json.loads((HERE / "judge.json").read_text())


def judge(polarity: str) -> dict[str, np.ndarray]:
    """The arrays of one polarity, as they lie in the file."""
    with np.load(HERE / "judge.npz", allow_pickle=False) as file:
        data = {name.removeprefix(f"{polarity}_"): file[name] for name in file if name.startswith(polarity)}
    data["missing_left"] = np.unpackbits(data["missing_left"])[: len(data["feature"])].astype(bool)
    return data


# ---------------------------------------------------------------- trees


def sum_slowly(row: np.ndarray, trees: dict[str, np.ndarray]) -> float:
    def leaf(node: int) -> float:
        if trees["feature"][node] < 0:
            return float(trees["number"][node])
        value = row[trees["feature"][node]]
        left = trees["missing_left"][node] if np.isnan(value) else value <= trees["number"][node]
        return leaf(node + 1 if left else node + int(trees["right"][node]))

    return sum(leaf(int(root)) for root in trees["root"])


def random_trees(rng: np.random.Generator, n_trees: int, n_features: int) -> dict[str, np.ndarray]:
    feature, number, right, missing_left = [], [], [], []

    def add(depth: int) -> int:
        here = len(feature)
        inner = depth > 0 and rng.random() < 0.8
        feature.append(int(rng.integers(n_features)) if inner else -1)
        number.append(rng.normal())
        right.append(0)
        missing_left.append(bool(rng.random() < 0.5))
        if inner:
            add(depth - 1)
            right[here] = len(feature) - here
            add(depth - 1)
        return here

    root = [add(5) for _ in range(n_trees)]
    return {
        "feature": np.array(feature, np.int32),
        "number": np.array(number, np.float32),
        "right": np.array(right, np.int32),
        "missing_left": np.array(missing_left),
        "root": np.array(root, np.int32),
    }


@pytest.mark.parametrize("seed", range(5))
def test_trees_equal_recursion(seed):
    rng = np.random.default_rng(seed)
    trees = random_trees(rng, 12, 4)
    rows = rng.normal(size=(60, 4)).astype(np.float32)
    rows[rng.random(rows.shape) < 0.2] = np.nan
    rows[:4] = trees["number"][trees["feature"] >= 0][:4, None]  # on a threshold: left
    score = np.zeros(len(rows))
    kernels.sum_trees(rows, *trees.values(), score)
    np.testing.assert_allclose(score, [sum_slowly(row, trees) for row in rows], atol=1e-12)


@pytest.mark.parametrize("polarity", ["bright", "dark"])
def test_the_judges_file_is_whole(polarity):
    model = judge(polarity)
    n = len(model["feature"])
    assert RECORD["features"] == list(FEATURES)
    assert (HERE / "judge.npz").stat().st_size < 300_000
    assert all(len(model[k]) == n for k in ("number", "right", "missing_left"))
    inner = model["feature"] >= 0
    own = np.arange(n)
    assert np.all(model["right"][inner] >= 2)  # downwards, past the left child: no loops
    assert np.all(own[inner] + model["right"][inner] < n)
    assert max(model["feature"]) < MEASURED
    assert model["root"][0] == 0
    assert np.all(np.diff(model["root"].astype(int)) > 0)
    assert np.all(np.diff(model["score"]) > 0)
    assert np.all(np.diff(model["probability"]) >= 0)
    assert 0.0 <= min(model["probability"]) <= max(model["probability"]) <= 1.0
    assert RECORD["pair"]["features"] == list(PAIR_FEATURES)
    assert max(judge("pair")["feature"]) < len(PAIR_FEATURES)


@pytest.mark.parametrize("kind", ["bright", "dark", "glance_bright", "glance_dark", "pair"])
def test_no_tree_overshoots(kind):
    model = judge(kind)
    leaf = np.where(model["feature"] < 0, model["number"], np.nan)
    of_each = np.split(leaf, model["root"][1:])
    least, most = (sum(f(tree) for tree in of_each) for f in (np.nanmin, np.nanmax))
    # Fits to rare spots have given log-odds of hundreds, in which the answers of all other trees are lost.
    assert -40.0 < least + model["base"] < most + model["base"] < 40.0


@pytest.mark.parametrize("dark", [False, True])
def test_confidence_is_the_judges(dark):
    rng = np.random.default_rng(3)
    rows = rng.normal(1.0, 3.0, (40, len(FEATURES))).astype(np.float32)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    rows[-1] = np.nan
    trees, look = rows[:, FEATURES.index("trees")].astype(float), rows[:, FEATURES.index("look")]
    score = TREES_SHARE * trees + np.where(np.isnan(look), NOT_LOOKED_AT, look)
    model = judge("dark" if dark else "bright")
    shown = score[np.isfinite(score) & np.isfinite(look)]
    crowd = sum(1.0 / (1.0 + math.exp(s)) for s in shown)
    assert crowded_by(rows) == pytest.approx(crowd, rel=1e-9)
    score = score - CROWD_SHARE * np.log(1.0 + crowd)
    expected = np.where(np.isnan(trees), 0.0, np.interp(score, model["score"], model["probability"]))
    found = albedo_confidence(rows, dark=dark)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert 0 < np.sum(found > 0) < 40
    assert albedo_confidence(np.zeros((0, len(FEATURES)), np.float32), dark=dark).shape == (0,)
    np.testing.assert_array_equal(found[::-1], albedo_confidence(rows[::-1], dark=dark))
    # Asked about some of them only, with the crowd of all: the same.
    np.testing.assert_array_equal(
        found[7:20], albedo_confidence(rows[7:20], dark=dark, crowd=crowded_by(rows))
    )


def test_more_is_asked_where_many_look_a_little_like_albedo():
    place = np.zeros((1, len(FEATURES)), np.float32)
    place[0, FEATURES.index("trees")], place[0, FEATURES.index("look")] = 2.0, 0.0
    others = np.repeat(place, 200, axis=0)
    others[:, FEATURES.index("look")] = -2.0
    alone, in_a_crowd = albedo_confidence(place), albedo_confidence(np.concatenate([place, others]))
    assert in_a_crowd[0] < alone[0] - 0.15
    # What was not shown to the network says nothing of the ground.
    others[:, FEATURES.index("look")] = np.nan
    assert albedo_confidence(np.concatenate([place, others]))[0] == alone[0]
    assert crowded_by(place[:0]) == 0.0


@pytest.mark.parametrize("dark", [False, True])
def test_surroundings_are_looked_at_where_there_is_hope(dark):
    background, found = ground_with_a_spot(dark)
    azimuth = np.full(len(found.peak), 30.0)
    some = describe(background, found, azimuth, None, dark=dark)
    every = describe(background, found, azimuth, None, dark=dark, every=True)
    model = judge("glance_dark" if dark else "glance_bright")
    least = LEAST_GLANCE_DARK if dark else LEAST_GLANCE
    hope = np.array([sum_slowly(row, model) for row in some]) + model["base"] >= least
    seen = np.isfinite(some[:, FEATURES.index("ring_highest")])
    assert seen.tolist() == (hope & ~too_sharp(some)).tolist()
    assert 0 < seen.sum() < len(seen)
    some, every = some[:, :MEASURED], every[:, :MEASURED]
    np.testing.assert_array_equal(some[seen], every[seen])
    around = np.isnan(some) & ~np.isnan(every)
    assert not around[seen].any()
    np.testing.assert_array_equal(some[~around], every[~around])


def ground_with_a_spot(dark: bool, other: bool = False) -> tuple[Background, Segmentation]:
    """A clear spot on ground with relief (and one of the other kind), and all that stands out of it."""
    rng = np.random.default_rng(7)
    relief = ndimage.gaussian_filter(rng.normal(size=(256, 256)), 2.0)
    relief *= 0.1 / relief.std()
    yy, xx = np.mgrid[:256, :256]
    spot = np.exp(-0.5 * ((xx - 120) ** 2 + (yy - 100) ** 2) / 4.0**2)
    contrast = (-0.7, 1.5) if dark else (1.5, -0.7)
    picture = 1.0 + relief + contrast[0] * spot + contrast[1] * other * np.roll(spot, 90, axis=0)
    picture = picture.astype(np.float32)
    background = estimate_background(picture, np.ones(picture.shape, bool))
    return background, segment_outliers(background, np.full(background.rms.shape, 0.1, np.float32), dark=dark)


# ---------------------------------------------------------------- the network


@functools.cache
def network(kind: str) -> dict[str, np.ndarray]:
    own = f"{kind}_"
    with np.load(HERE / "judge.npz", allow_pickle=False) as file:
        return {name.removeprefix(own): file[name].astype(float) for name in file if name.startswith(own)}


def look_slowly(patch: np.ndarray, told: np.ndarray, kind: str = "look") -> float:
    w = network(kind)
    maps = patch.astype(float)[None]
    for n in "123":
        kernel, bias = w["k" + n], w["b" + n]
        layer = [
            bias[c] + sum(signal.correlate2d(m, kernel[:, :, d, c], "same") for d, m in enumerate(maps))
            for c in range(len(bias))
        ]
        maps = np.maximum(np.array(layer), 0.0)[:, ::2, ::2]
    values = np.maximum(np.moveaxis(maps, 0, -1).ravel() @ w["m1"] + w["c1"], 0.0)
    values = np.append(values, np.nan_to_num(np.clip((told - w["middle"]) / w["spread"], -3.0, 3.0)))
    for n in "23":
        values = np.maximum(values @ w["m" + n] + w["c" + n], 0.0)
    return float(values @ w["last"] + w["base"][0])


def test_the_network_equals_scipy():
    rng = np.random.default_rng(6)
    patches = rng.normal(0.0, 0.5, (12, 25, 25)).astype(np.float32)
    features = rng.normal(1.0, 3.0, (12, len(FEATURES))).astype(np.float32)
    features[rng.random(features.shape) < 0.1] = np.nan
    told = network_inputs(features, dark=True)
    expected = [
        0.5 * (look_slowly(p, t) + look_slowly(p[::-1, ::-1], t)) for p, t in zip(patches, told, strict=True)
    ]
    np.testing.assert_allclose(score_looks(patches, features, dark=True), expected, rtol=1e-4, atol=1e-4)
    assert score_looks(patches[:0], features[:0], dark=True).shape == (0,)


@pytest.mark.parametrize("n", [1, 5, 31, 40])
def test_a_patch_is_judged_the_same_in_any_company(n):
    rng = np.random.default_rng(n)
    patches = rng.normal(0.0, 0.5, (n, 25, 25)).astype(np.float32)
    features = rng.normal(1.0, 3.0, (n, len(FEATURES))).astype(np.float32)
    together = score_looks(patches, features, dark=False)
    alone = [score_looks(patches[k : k + 1], features[k : k + 1], dark=False)[0] for k in range(n)]
    assert together.tolist() == alone


def test_what_the_network_is_told():
    features = np.zeros((2, len(FEATURES)), np.float32)
    features[0, FEATURES.index("incidence")] = np.nan
    features[1, FEATURES.index("contrast")] = -2.0
    told = network_inputs(features, dark=False)
    assert told.shape == (2, MEASURED + 3)
    assert told[:, -3:].tolist() == [[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]]
    assert network_inputs(features, dark=True)[:, -1].tolist() == [1.0, 1.0]
    assert np.isnan(told[0, FEATURES.index("incidence")])
    assert told[1, FEATURES.index("contrast")] == pytest.approx(-np.log(7.0))


def test_the_network_is_shown_what_the_trees_leave():
    described = []
    background, _ = ground_with_a_spot(False, other=True)
    for dark in (False, True):
        threshold = np.full(background.rms.shape, 0.1, np.float32)
        found = segment_outliers(background, threshold, dark=dark)
        azimuth = np.full(len(found.peak), 30.0)
        described.append((dark, found, describe(background, found, azimuth, None, dark=dark), azimuth))
    look(background, described)
    for dark, found, rows, azimuth in described:
        model = judge("dark" if dark else "bright")
        expected = np.array([sum_slowly(row, model) for row in rows]) + model["base"]
        seen = np.isfinite(rows[:, FEATURES.index("ring_highest")])
        trees = rows[:, FEATURES.index("trees")]
        np.testing.assert_allclose(trees[seen], expected[seen], rtol=1e-5, atol=1e-5)
        assert np.isnan(trees[~seen]).all()
        looked = np.isfinite(rows[:, -1])
        least = LEAST_TREES_DARK if dark else LEAST_TREES
        assert looked.tolist() == (seen & (trees > least)).tolist()
        assert 0 < looked.sum() < seen.sum()
        which = np.flatnonzero(looked)
        patches = look_patches(background, found, azimuth, which, dark=dark)
        np.testing.assert_array_equal(
            rows[which, -1], np.float32(score_looks(patches, rows[which], dark=dark))
        )


# ---------------------------------------------------------------- two places or one


def test_are_two_is_the_trees_and_the_network(monkeypatch):
    rng = np.random.default_rng(4)
    rows = rng.uniform(0.0, 6.0, (50, len(PAIR_FEATURES))).astype(np.float32)
    rows[:, :3] = rng.uniform(0.0, 1.0, (50, 3))
    rows[rng.random(rows.shape) < 0.05] = np.nan
    patches = rng.normal(0.5, 0.5, (50, 17, 33)).astype(np.float32)
    model = judge("pair")
    trees = np.array([sum_slowly(row, model) for row in rows]) + model["base"]
    told = np.sign(rows) * np.log1p(3.0 * np.abs(rows))
    looks = [
        0.5 * (look_slowly(p, t, "between") + look_slowly(p[::-1], t, "between"))
        for p, t in zip(patches, told, strict=True)
    ]
    score = 0.5 * trees + looks
    least = float(np.sort(score)[[24, 25]].mean())
    for limit in (LEAST_PARTED, least):
        monkeypatch.setattr(station, "LEAST_PARTED", limit)
        assert are_two(rows, patches).tolist() == (score > limit).tolist()
    assert 0 < are_two(rows, patches).sum() < 50
    assert are_two(rows[:0], patches[:0]).shape == (0,)
