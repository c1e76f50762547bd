import sys
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import fit_frames
import scoring
from contest import frames

from brightspot.simulate import CraterForm, Scene

ROW = {
    "is_spot": True, "visible": True, "contrast": 2.0, "diameter_px": 6.0, "incidence_deg": 30.0,
    "emission_deg": 20.0, "shadowed_fraction": 0.0,
}  # fmt: skip


def table(*spots):
    return pd.DataFrame([{**ROW, **spot} for spot in spots])


def at(*points):
    return np.array([p[0] for p in points], float), np.array([p[1] for p in points], float)


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        ({}, True),
        ({"contrast": 1.29}, False),
        ({"diameter_px": 2.4}, False),
        ({"diameter_px": 3.0, "emission_deg": 60.0}, False),  # 2.1 px wide as seen
        ({"incidence_deg": 75.0}, False),
        ({"emission_deg": 70.0}, False),
        ({"shadowed_fraction": 0.31}, False),
        ({"shadowed_fraction": np.nan}, False),
        ({"visible": False}, False),
        ({"is_spot": False}, False),
    ],
)
def test_who_is_asked_for(change, asked):
    assert scoring.required(table({"x": 5.0, "y": 5.0, **change}))[0] == asked


def test_found_missed_false():
    truth = table({"x": 10, "y": 10}, {"x": 50, "y": 50}, {"x": 90, "y": 90})
    score = scoring.score(truth, *at((11, 10), (50, 53.1), (200, 10)))
    assert score == (1, 2, 2)  # reach of a spot 6 px wide: 3 px


def test_second_detection_of_a_spot_is_false():
    truth = table({"x": 10, "y": 10})
    assert scoring.score(truth, *at((10, 10), (11, 10))) == (1, 0, 1)


def test_merged_pair_counts_one_found_one_missed():
    truth = table({"x": 10, "y": 10}, {"x": 14, "y": 10})
    assert scoring.score(truth, *at((12, 10))) == (1, 1, 0)


@pytest.mark.parametrize(
    "other", [{"contrast": 1.1}, {"diameter_px": 2.0}, {"incidence_deg": 80.0}, {"visible": False}]
)
def test_what_is_not_asked_for_counts_neither_way(other):
    truth = table({"x": 10, "y": 10, **other})
    assert scoring.score(truth, *at((10, 10))) == (0, 0, 0)
    assert scoring.score(truth, *at()) == (0, 0, 0)


def test_bright_ejecta_are_decoys():
    truth = table({"x": 10, "y": 10, "is_spot": False, "diameter_px": 40.0})
    assert scoring.score(truth, *at((10, 10), (25, 10))) == (0, 0, 2)


def test_confidence_is_compared_with_what_precision_counts():
    """On a spot, on a faint one (says nothing), on bright ejecta, on open ground, on a spot in ejecta."""
    truth = table(
        {"x": 10, "y": 10},
        {"x": 40, "y": 10, "contrast": 1.1},
        {"x": 90, "y": 10, "is_spot": False, "contrast": 1.2, "diameter_px": 40.0},
        {"x": 95, "y": 10, "contrast": 1.5},
    )
    right = scoring.right(truth, *at((10, 11), (40, 10), (80, 10), (200, 10), (95, 10)))
    np.testing.assert_array_equal(right, [1.0, np.nan, 0.0, 0.0, 1.0])


def test_recall_by_kind_counts_every_spot_once():
    fates = pd.DataFrame({"contrast": [1.3, 1.5, 1.9, 4.0], "found": [False, True, False, True]})
    fates = fates.assign(finder="a", group="nominal", diameter_px=3.0, incidence_deg=[10, 50, 59, 60])
    other = fates.assign(group="shifted")
    by_kind = scoring.recalls(pd.concat([fates, other])).groupby("what")
    assert (by_kind["spots"].sum() == 4).all()
    assert by_kind.get_group("contrast")["recall"].tolist() == [0.0, 0.5, 1.0]
    assert by_kind.get_group("incidence_deg")["recall"].tolist() == [0.0, 0.5, 1.0]
    assert by_kind.get_group("diameter_px")[["from", "below", "recall"]].to_numpy().tolist() == [
        [2.5, 4.0, 0.5]
    ]


def test_spot_keeps_its_detection_inside_a_halo():
    spot, halo = {"x": 10.4, "y": 10}, {"x": 10, "y": 10, "is_spot": False, "diameter_px": 80.0}
    for truth in (table(spot, halo), table(halo, spot)):
        assert scoring.score(truth, *at((10, 10))) == (1, 0, 0)


def test_spot_asked_for_chooses_before_a_wide_one_that_is_not():
    small, wide = {"x": 12, "y": 10}, {"x": 10, "y": 10, "contrast": 1.2, "diameter_px": 80.0}
    for truth in (table(small, wide), table(wide, small)):
        assert scoring.score(truth, *at((11, 10))) == (1, 0, 0)


def test_small_spots_are_reached_within_two_pixels():
    truth = table({"x": 10, "y": 10, "diameter_px": 2.6})
    assert scoring.score(truth, *at((11.9, 10))) == (1, 0, 0)
    assert scoring.score(truth, *at((12.1, 10))) == (0, 1, 1)


def test_nowhere_seen_and_nothing_found():
    assert scoring.score(table({"x": np.nan, "y": np.nan}), *at((1, 1))) == (0, 1, 1)
    assert scoring.score(table({"x": 1, "y": 1}).iloc[:0], *at((1, 1))) == (0, 0, 1)


def test_pairing_is_never_worse_than_half_of_the_best():
    """Nearest first is at least half as good as the best of all pairings (found by trying them all)."""
    rng = np.random.default_rng(3)
    for _ in range(40):
        truth = table(*({"x": a, "y": b} for a, b in rng.uniform(0, 9, (4, 2))))
        x, y = rng.uniform(0, 9, (2, 4))
        found = int((scoring.pair_up(truth, x, y) >= 0).sum())
        near = np.hypot(x[:, None] - truth["x"].to_numpy(), y[:, None] - truth["y"].to_numpy()) <= 3.0
        best = max(sum(near[d, t] for d, t in enumerate(p)) for p in permutations(range(4)))
        assert best / 2 <= found <= best


def test_pooled_over_frames():
    precision, recall, f1 = scoring.precision_recall_f1([scoring.Score(3, 1, 0), scoring.Score(1, 1, 2)])
    assert (precision, recall) == (4 / 6, 4 / 6)
    assert f1 == pytest.approx(4 / 6)
    assert scoring.precision_recall_f1([scoring.Score(0, 0, 0)]) == (0.0, 0.0, 0.0)


def test_frames_compared_on_are_no_frames_of_a_fit():
    seeds = {name: [e.scene.seed for e in frames.entries(name)] for name in frames.SETS}
    everything = [seed for these in seeds.values() for seed in these]
    assert len(set(everything)) == len(everything)
    assert min(everything) > 100_000
    compared = [*seeds["nominal"], *seeds["shifted"], *seeds["smooth"], *seeds["pairs"]]
    assert min(compared) >= 200_000 > max(seeds["fit"])


def test_nominal_frames_cover_scales_and_phases_evenly():
    scenes = [e.scene for e in frames.entries("nominal")]
    assert len(scenes) == 60
    seen = pd.Series([(s.altitude_km, s.phase_deg) for s in scenes]).value_counts()
    assert set(seen) == {3}
    assert len(seen) == len(frames.ALTITUDES_KM) * len(frames.PHASES_DEG)


def test_close_views_look_at_lit_ground():
    from brightspot.simulate import viewing_geometry

    for entry in frames.entries("nominal"):
        if entry.scene.altitude_km < frames.CLOSE_KM:
            place = viewing_geometry(entry.scene).ground(511.5, 511.5)
            assert place.incidence_deg < 65.0
            assert place.emission_deg < 60.0


def test_frames_of_the_fit_reach_from_plains_to_rough_ground():
    seeds = range(1, 1001)
    smooth = [s for s in seeds if fit_frames.is_smooth(s)]
    many = [s for s in seeds if fit_frames.has_many_sizes(s)]
    dark = [s for s in seeds if fit_frames.has_many_dark(s)]
    assert (len(smooth), len(many)) == (200, 40)
    assert len(dark) == pytest.approx(760 * 2 / 9, abs=5)
    assert not (set(smooth) & set(many) or set(dark) & {*smooth, *many})

    def scenes(seeds: list[int]) -> list[Scene]:
        return [fit_frames.fitting_scene(seed, np.random.default_rng(seed)) for seed in seeds]

    fresh = {s for s in seeds if fit_frames.is_fresh(s)}
    assert len(fresh) == 333
    usual = scenes(sorted(set(seeds) - {*smooth, *many, *fresh})[:60])
    plains = scenes([s for s in smooth if s not in fresh][:30])
    assert max(s.roughness for s in plains) <= 0.8 < 3.0 < max(s.roughness for s in usual)
    assert min(s.roughness for s in plains) == 0.0
    wide = {s for s in seeds if fit_frames.has_deposits(s)}
    assert len(wide) == 59
    assert {s.random_spots for s in scenes([s for s in many if s not in wide][:10])} == {
        fit_frames.MANY_SIZES
    }
    assert {s.dark_spots for s in scenes([s for s in dark if s not in wide][:10])} == {fit_frames.MANY_DARK}
    deposits = [s.spots for s in scenes(sorted(wide)[:10])]
    assert min(map(len, deposits)) >= 2 and not any(s.spots for s in usual if s.seed not in wide)
    sizes = np.array(
        [[max(s.diameter_km for s in spots), min(s.diameter_km for s in spots)] for spots in deposits]
    )
    assert (sizes[:, 0] > 2.4 * sizes[:, 1]).all()
    ejecta = [s.halo_contrast[1] for s in usual]
    assert min(ejecta) == Scene().halo_contrast[1] == pytest.approx(np.median(ejecta))
    assert 1.4 < max(ejecta) <= fit_frames.BRIGHTEST_EJECTA[1]
    assert min(s.halo_fraction for s in usual) < 0.01
    quiet = scenes(sorted(fresh)[:30])
    assert max(s.roughness for s in quiet) <= 1.2 and max(s.halo_fraction for s in quiet) > 0.8
    assert max(s.fresh_fraction for s in usual) <= 0.4 < 0.8 < max(s.fresh_fraction for s in quiet)
    assert min(s.disk_weight for s in quiet) < 0.6 and {s.disk_function for s in quiet} == {"lunar_lambert"}
    forms = {s.crater_form for s in usual}
    assert CraterForm() in forms and len(forms) > 15


def test_frames_held_back_are_from_every_kind():
    seeds = np.arange(1, 6501)
    held = fit_frames.held_back(seeds)
    assert held.mean() == pytest.approx(1 / 13, abs=0.001)
    for kind in (fit_frames.is_smooth, fit_frames.has_many_sizes, fit_frames.has_many_dark):
        of_kind = np.array([kind(seed) for seed in seeds])
        assert held[of_kind].mean() == pytest.approx(1 / 13, rel=0.1)
