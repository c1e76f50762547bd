"""Spots put into frames: light in closed form, noise, placing, recovery, biases, tables, the command."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import brightspot as bs
from brightspot import cli, simulate
from brightspot.completeness import (
    Plan,
    Spot,
    clean,
    completeness_folder,
    inject,
    measure_light,
    recover,
    smallest_diameter,
    wilson_interval,
)
from brightspot.completeness.injection import Light, cover, find_step, measure_noise
from brightspot.completeness.plan import LEAST_GAP, MARGIN, find_ground, realisations
from brightspot.completeness.recovery import membrane, pair_up
from brightspot.completeness.tables import poisson_interval, recovery_table
from brightspot.errors import ScaleError, UsageError
from brightspot.finder import SpotFinder
from brightspot.footprint import find_place
from brightspot.frame import Frame

TILTED = np.array([[1.3, 0.2], [-0.1, 1.9]])


def plain_frame(image: np.ndarray, unit: str = "I/F", **facts) -> Frame:
    nothing = np.zeros(image.shape, bool)
    return Frame("plain", None, image.astype(np.float32), nothing, nothing.copy(), unit, **facts)


def plain_light(image: np.ndarray, read: float = 0.0, shot: float = 0.0, ceiling=None, step=None) -> Light:
    return Light(image.astype(np.float32), 0.0, read, shot, ceiling, step)


@pytest.fixture(scope="module")
def ball() -> Frame:
    """A smooth Ceres, 300 pixels across, with the camera's noise."""
    scene = simulate.Scene(
        altitude_km=32_000.0, shape=(352, 352), relief_spheroid=False, mottling=0.0, named_spots=False,
        phase_deg=20.0, cosmic_rays=0.0, hot_pixels=0.0, dead_pixels=0.0, defects=False, psf_wings=0.0,
    )  # fmt: skip
    return bs.locate(simulate.render(scene).frame)


# ---------------------------------------------------------------- light


@pytest.mark.parametrize("diameter", [2.0, 3.0, 7.3, 40.0])
def test_cover_sums_to_the_area_of_the_tilted_disc(diameter):
    y0, x0, weight = cover(Spot(20.3, 31.7, diameter, 2.0, TILTED), 1.4)
    area = np.pi / 4.0 * diameter**2 / np.linalg.det(TILTED)
    assert weight.sum() == pytest.approx(area, rel=0.01)
    assert 0.0 <= weight.min() <= weight.max() <= 1.0 + 1e-9
    y, x = np.mgrid[y0 : y0 + len(weight), x0 : x0 + weight.shape[1]]
    assert (x * weight).sum() / weight.sum() == pytest.approx(20.3, abs=0.03)
    assert (y * weight).sum() / weight.sum() == pytest.approx(31.7, abs=0.03)


def test_a_small_disc_spreads_as_disc_and_psf_do():
    # Second moments add: disc D^2/16, PSF (pixel included) sigma^2.
    _, _, weight = cover(Spot(0.0, 0.0, 3.0, 2.0), 2.0)
    along = np.arange(weight.shape[0]) - weight.shape[0] // 2
    spread = (along[:, None] ** 2 * weight).sum() / weight.sum()
    assert spread == pytest.approx(3.0**2 / 16.0 + (2.0 / 2.3548) ** 2, rel=0.02)


@pytest.mark.parametrize("contrast", [0.0, 0.5, 1.2, 4.0])
def test_injected_light_is_the_excess_in_closed_form(contrast):
    image = np.full((64, 64), 0.04)
    spot = Spot(30.2, 33.4, 9.0, contrast, TILTED)
    after = inject(plain_frame(image), plain_light(image), [spot], 1.4, np.random.default_rng(1))
    excess = np.pi / 4.0 * 9.0**2 / np.linalg.det(TILTED) * (contrast - 1.0) * 0.04
    assert (after.image - np.float32(0.04)).sum(dtype=float) == pytest.approx(excess, rel=0.01)


def test_relief_stays_on_a_spot():
    x = np.arange(96)
    image = 100.0 * (1.0 + 0.3 * np.sin(0.4 * x))[None, :] * np.ones((96, 1))
    spot = Spot(48.0, 48.0, 40.0, 2.0)
    after = inject(plain_frame(image), plain_light(image), [spot], 1.4, np.random.default_rng(1))
    np.testing.assert_allclose(after.image[48, 36:61], 2.0 * image[48, 36:61], rtol=1e-5)


def test_a_spot_put_in_is_the_spot_that_is_rendered():
    # The renderer paints the ground before light, relief and optics; here only its picture is to be had.
    facts = {
        "altitude_km": 13_600.0, "shape": (200, 200), "phase_deg": 35.0, "named_spots": False, "noise": False,
        "psf_wings": 0.0, "halo_fraction": 0.0, "exposure_s": 0.05, "stray_light": 0.0,
        "stray_light_gradient": 0.0, "sub_spacecraft_latitude_deg": 0.0,
        "sub_spacecraft_longitude_deg": 100.0,
    }  # fmt: skip
    painted = simulate.Spot("", 8.0, 106.0, 12.0, 2.5, edge_width=0.01)
    bare = simulate.render(simulate.Scene(**facts)).frame
    true = simulate.render(simulate.Scene(spots=(painted,), **facts))
    x, y = true.truth["x"].to_numpy(), true.truth["y"].to_numpy()
    place = find_place(bare, x, y)
    pixel_km = place.pixel_scale_km[0]
    spot = Spot(x[0], y[0], 12.0 / pixel_km, 2.5, place.scale_km[0] / pixel_km)
    after = inject(bare, measure_light(bare, 0.0), [spot], 1.4, np.random.default_rng(1))
    rendered = (true.frame.image - bare.image).astype(float)
    put_in = (after.image - bare.image).astype(float)
    assert put_in.sum() == pytest.approx(rendered.sum(), rel=0.03)
    assert np.linalg.norm(put_in - rendered) < 0.06 * np.linalg.norm(rendered)


def test_contrast_one_changes_nothing():
    image = np.random.default_rng(2).normal(100.0, 5.0, (64, 64))
    frame = plain_frame(image)
    light = measure_light(frame, 0.0)
    after = inject(frame, light, [Spot(30.0, 30.0, 20.0, 1.0)], 1.4, np.random.default_rng(1))
    assert np.array_equal(after.image, frame.image)


@pytest.mark.parametrize("contrast", [0.3, 1.0, 3.0])
def test_noise_is_that_of_the_light_there_is(contrast):
    rng = np.random.default_rng(3)
    read, shot, level = 4.0, 0.5, 200.0
    flat = np.full((400, 400), level)
    image = flat + rng.normal(0.0, np.sqrt(read + shot * level), flat.shape)
    spot = Spot(200.0, 200.0, 300.0, contrast)
    after = inject(plain_frame(image), plain_light(flat, read, shot), [spot], 1.4, rng)
    inside = after.image[130:270, 130:270]
    assert inside.mean() == pytest.approx(contrast * level, rel=0.01)
    assert inside.var() == pytest.approx(read + shot * contrast * level, rel=0.05)


def test_noise_is_measured_from_the_frame():
    rng = np.random.default_rng(4)
    light = np.zeros((320, 320))
    light[:, 64:] = np.linspace(50.0, 2000.0, 256)
    image = light + rng.normal(0.0, 1.0, light.shape) * np.sqrt(9.0 + 0.3 * light)
    read, shot = measure_noise(image.astype(np.float32), np.ones(light.shape, bool))
    assert read == pytest.approx(9.0, rel=0.2)
    assert shot == pytest.approx(0.3, rel=0.2)
    assert measure_noise(np.zeros((8, 8), np.float32), np.ones((8, 8), bool)) == (0.0, 0.0)


def test_the_filter_keeps_detail_and_drops_noise():
    rng = np.random.default_rng(5)
    smooth = np.full((128, 128), 100.0)
    noisy = plain_frame(smooth + rng.normal(0.0, 3.0, smooth.shape))
    assert measure_light(noisy, 0.0).signal.std() < 0.6 * 3.0
    relief = plain_frame(100.0 + 30.0 * np.sin(0.7 * np.arange(128))[None, :] * np.ones((128, 1)))
    light = measure_light(relief, 0.0)
    assert np.abs(light.signal - relief.image).max() < 0.5


def test_a_spot_is_clipped_and_rounded_as_the_frame_is():
    rng = np.random.default_rng(6)
    frame = plain_frame(np.rint(np.clip(rng.normal(90.0, 6.0, (96, 96)), 0, 255)), "display")
    light = measure_light(frame, 0.0)
    assert (light.ceiling, light.step) == (255.0, 1.0)
    after = inject(frame, light, [Spot(48.0, 48.0, 20.0, 4.0)], 1.4, rng)
    assert after.image.max() == 255.0
    assert np.array_equal(after.image, np.rint(after.image))
    assert after.saturated[44:53, 44:53].all()
    assert not after.saturated[:30].any()
    assert frame.image.max() < 200.0


def test_steps_of_frames():
    rng = np.random.default_rng(7)
    counts = rng.integers(200, 3000, (64, 64))
    assert find_step(plain_frame(counts * 0.25)) == pytest.approx(0.25)
    assert find_step(plain_frame(rng.normal(1.0, 0.1, (64, 64)))) is None


@pytest.mark.parametrize("axis", [0, 1])
def test_a_flipped_frame_takes_flipped_spots(axis):
    image = np.random.default_rng(8).uniform(50.0, 100.0, (65, 65))
    turn = np.diag([1.0, -1.0]) if axis == 0 else np.diag([-1.0, 1.0])
    spot = Spot(22.25, 40.5, 8.0, 2.5, TILTED)
    x, y = (22.25, 64 - 40.5) if axis == 0 else (64 - 22.25, 40.5)
    mirrored = Spot(x, y, 8.0, 2.5, TILTED @ turn)
    rng = np.random.default_rng(1)
    a = inject(plain_frame(image), plain_light(image), [spot], 1.4, rng).image
    flipped = np.flip(image, axis)
    b = inject(plain_frame(flipped), plain_light(flipped), [mirrored], 1.4, rng).image
    np.testing.assert_allclose(np.flip(b, axis), a, rtol=2e-3)


# ---------------------------------------------------------------- placing


def test_spots_lie_on_free_ground_far_apart_and_in_equal_shares(ball):
    seeded = inject(
        ball, measure_light(ball, 0.0), [Spot(176.0, 176.0, 12.0, 3.0)], 1.4, np.random.default_rng(1)
    )
    detection = SpotFinder()(seeded)
    assert len(detection.catalog) == 1
    plan = Plan(diameters=(3.0, 8.0), contrasts=(0.5, 2.0), n_spots=40, at_once=5)
    ground = find_ground(detection, plan.generator("x", 0))
    assert ground is not None
    everything = []
    for placed in realisations(detection, plan, ground):
        assert 1 <= len(placed) <= 5
        for k, p in enumerate(placed):
            assert ground.searched[round(p.spot.y), round(p.spot.x)]
            assert np.hypot(p.spot.x - 176.0, p.spot.y - 176.0) > 6.0 + p.spot.reach + MARGIN - 1.0
            for q in placed[:k]:
                apart = np.hypot(p.spot.x - q.spot.x, p.spot.y - q.spot.y)
                assert apart >= LEAST_GAP + p.spot.reach + q.spot.reach
        everything += placed
    assert len(everything) == 40
    counts = pd.Series([(p.cell.size, p.cell.contrast) for p in everything]).value_counts()
    assert counts.max() - counts.min() <= len(np.unique(ground.incidence_bin))


def test_a_spot_lies_on_the_ground_it_was_planned_for(ball):
    found = recover(ball, SpotFinder(), Plan(diameters_km=(40.0,), contrasts=(3.0,), n_spots=6))
    table = pd.DataFrame(found.spots)
    np.testing.assert_allclose(table["diameter_km"], 40.0)
    np.testing.assert_allclose(table["diameter"] * table["pixel_scale_km"], 40.0)
    tilt = np.cos(np.radians(table["emission_deg"]))
    np.testing.assert_allclose(table["seen_diameter"], table["diameter"] * np.sqrt(tilt), rtol=0.02)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"diameters": ()}, "diameters"),
        ({"diameters": (0.0,)}, "above 0"),
        ({"diameters_km": (float("nan"),)}, "above 0"),
        ({"contrasts": ()}, "contrasts"),
        ({"contrasts": (-1.0,)}, "contrasts"),
        ({"n_spots": 0}, "n_spots"),
        ({"n_spots": 3_000_000}, "n_spots 3000000: .*places for 20000"),
        ({"n_spots": 5.5}, "n_spots 5.5: give a whole number"),
        ({"at_once": 1.5}, "at_once"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed 1.5: give a whole number"),
    ],
)
def test_impossible_plans_are_refused(wrong, said):
    with pytest.raises(UsageError, match=said):
        Plan(**wrong)


def test_kilometres_need_a_scale(ball):
    bare = replace(ball, geometry=None, scale=None)
    with pytest.raises(ScaleError, match="km per pixel"):
        recover(bare, SpotFinder(), Plan(diameters_km=(10.0,), n_spots=4))


def test_no_spot_is_put_where_there_is_no_light(ball):
    image = ball.image.copy()
    image[150:190, 150:190] = 1e38
    found = recover(replace(ball, image=image), SpotFinder(), Plan(diameters=(4.0,), n_spots=6))
    table = pd.DataFrame(found.spots)
    assert len(table) == 6
    assert not (table["x"].between(150, 189) & table["y"].between(150, 189)).any()
    assert np.isfinite(found.facts["noise_lit"])


# ---------------------------------------------------------------- recovery


def test_bright_discs_on_smooth_ground_all_come_back_as_they_are(ball):
    plan = Plan(diameters=(8.0, 16.0), contrasts=(2.0, 4.0), n_spots=32)
    result = recover(ball, SpotFinder(max_incidence_deg=60.0, max_emission_deg=55.0), plan)
    table = pd.DataFrame(result.spots)
    assert len(table) == 32
    assert table["found"].all()
    assert table["position_error"].max() < 0.4
    assert table["size_bias"].abs().median() < 0.03
    assert table["deconvolved_bias"].abs().median() < 0.03
    # The blurred rim within half maximum: a strip of sigma / sqrt(2 pi) around the disc is missing.
    rim = -4.0 * (1.4 / 2.3548) / np.sqrt(2.0 * np.pi) / table["seen_diameter"]
    assert (table["excess_bias"] - rim).abs().max() < 0.05
    assert result.facts["n_left_when_cleaned"] == 0
    assert result.facts["n_extra"] == 0


def test_spots_of_contrast_one_are_never_found(ball):
    table = pd.DataFrame(recover(ball, SpotFinder(), Plan(contrasts=(1.0,), n_spots=24)).spots)
    assert len(table) >= 20
    assert not table["found"].any()


def test_the_same_seed_gives_the_same_rows_and_another_does_not(ball):
    one, same, other = (
        pd.DataFrame(recover(ball, SpotFinder(), Plan(contrasts=(2.0,), n_spots=8, seed=seed)).spots)
        for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(one, same, check_exact=True)
    assert not one.equals(other)


def test_detections_are_painted_out(ball):
    light = measure_light(ball, 0.0)
    spotted = inject(ball, light, [Spot(150.0, 180.0, 9.0, 3.0)], 1.4, np.random.default_rng(1))
    detection = SpotFinder()(spotted)
    assert len(detection.catalog) == 1
    after = clean(detection, measure_light(spotted, 0.0), np.random.default_rng(1))
    assert len(SpotFinder()(after).catalog) == 0
    near = np.s_[172:189, 142:159]
    np.testing.assert_allclose(after.image[near].mean(), ball.image[near].mean(), rtol=0.02)
    far = np.hypot(*np.mgrid[-180:172, -150:202]) > 30.0
    assert np.array_equal(after.image[far], spotted.image[far])


def test_a_membrane_over_a_plane_is_the_plane():
    y, x = np.mgrid[:20, :24]
    plane = 3.0 + 0.5 * x - 0.25 * y
    hole = np.hypot(x - 12, y - 9) < 5
    torn = np.where(hole, 1e3, plane)
    np.testing.assert_allclose(membrane(torn, hole), plane, atol=1e-9)


def test_pairs_are_of_one_polarity_within_reach_and_one_to_one():
    spots = [Spot(10.0, 10.0, 3.0, 2.0), Spot(14.0, 10.0, 3.0, 2.0), Spot(40.0, 40.0, 12.0, 0.5)]
    catalog = pd.DataFrame(
        {
            "x_centroid": [11.9, 45.0, 40.0],
            "y_centroid": [10.0, 40.0, 40.0],
            "polarity": ["bright", "dark", "bright"],
        }
    )
    np.testing.assert_array_equal(pair_up(spots, catalog), [0, -1, 1])
    np.testing.assert_array_equal(pair_up(spots, catalog.iloc[:0]), [-1, -1, -1])


# ---------------------------------------------------------------- tables


def test_intervals_against_known_values():
    # Wilson 1927 by hand for 0 of 10 and 5 of 10; Garwood 1936, table for 0 and 10.
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson_interval(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert np.isnan(wilson_interval(0, 0)).all()
    assert poisson_interval(0) == pytest.approx((0.0, 3.689), abs=1e-3)
    assert poisson_interval(10) == pytest.approx((4.795, 18.390), abs=1e-3)


def made_up(found: list[bool]) -> pd.DataFrame:
    from brightspot.completeness.tables import spots_table

    rows = [
        {
            "frame": "a", "contrast": 2.0, "planned_diameter": size, "planned_unit": "px", "diameter": size,
            "incidence_deg": 20.0, "found": f, "position_error": 0.1 * k, "size_bias": 0.1,
            "excess_bias": -0.5 if k else 7.0, "flags": "" if k else "SATURATED|EDGE",
        }
        for size in (2.0, 4.0)
        for k, f in enumerate(found)
    ]  # fmt: skip
    return spots_table(rows)


def test_recovery_by_bin():
    table = recovery_table(made_up([True, True, False, True]))
    whole = table[table["planned_diameter"].isna() & table["incidence_low_deg"].isna()].iloc[0]
    assert (whole["n_spots"], whole["n_found"], whole["recovery"]) == (8, 6, 0.75)
    one = table[(table["planned_diameter"] == 4.0) & (table["incidence_low_deg"] == 0.0)].iloc[0]
    assert (one["n_spots"], one["n_found"]) == (4, 3)
    assert one["position_error"] == pytest.approx(0.1)
    assert one["excess_bias"] == -0.5  # the saturated one does not count
    assert len(table) == 6


def test_smallest_diameter_is_where_recovery_stays_above():
    recovery = pd.DataFrame(
        {
            "contrast": 2.0,
            "planned_diameter": [2.0, 4.0, 8.0, 16.0],
            "incidence_low_deg": np.nan,
            "recovery": [0.6, 0.2, 0.6, 1.0],
        }
    )
    assert smallest_diameter(recovery, 2.0, 0.5) == pytest.approx(7.0)
    assert smallest_diameter(recovery, 2.0, 0.1) == 2.0
    assert np.isnan(smallest_diameter(recovery.iloc[:2], 2.0, 0.9))


# ---------------------------------------------------------------- many frames


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, ball):
    from PIL import Image

    folder = tmp_path_factory.mktemp("pictures")
    grey = (200.0 * ball.image / np.percentile(ball.image, 99.5)).clip(0, 255).astype(np.uint8)
    Image.fromarray(grey).save(folder / "a.png")
    Image.fromarray(grey[::-1]).save(folder / "b.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


SMALL = ["--diameters", "6", "12", "--contrasts", "0.5", "3", "--n-spots", "6"]


def test_the_command_leaves_tables_chart_and_record(pictures, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["completeness", str(pictures), "--out", str(out), *SMALL]
    assert cli.run(command) == 1  # one of the three is broken
    shown = capsys.readouterr()
    assert [line.split(":")[0] for line in shown.err.splitlines()] == ["brightspot"] * 3
    assert "broken.png" in shown.err
    assert "false alarms" in shown.out
    spots = pd.read_csv(out / "completeness.csv")
    assert len(spots) == 12
    assert set(spots["frame"]) == {"a.png", "b.png"}
    frames = pd.read_csv(out / "frames.csv").set_index("frame")
    assert frames.loc["broken.png", "status"] == "failed"
    assert frames.loc["a.png", "n_found"] == spots.loc[spots["frame"] == "a.png", "found"].sum()
    recovery = pd.read_csv(out / "recovery.csv")
    assert recovery["recovery"].between(0, 1).all()
    assert (out / "completeness.png").stat().st_size > 10_000
    record = json.loads((out / "run.json").read_text())
    assert record["command"] == "completeness"
    assert record["plan"]["contrasts"] == [0.5, 3.0]
    assert cli.run(command) == 2
    assert "--force" in capsys.readouterr().err
    assert cli.run([*command, "--force", "--jobs", "2"]) == 1
    assert pd.read_csv(out / "completeness.csv").equals(spots)  # workers change nothing


def test_wrong_use_is_refused_in_one_line(pictures, tmp_path, capsys):
    (tmp_path / "detections.csv").write_text("frame,\n")
    for tokens in (
        ["completeness", str(pictures / "a.png"), "--out", str(tmp_path), "--force"],
        ["completeness", str(tmp_path / "nothing.img"), "--out", str(tmp_path / "new")],
        ["completeness", str(pictures / "a.png"), "--out", str(pictures)],
        ["completeness", str(pictures / "a.png"), "--out", str(tmp_path / "new"), "--jobs", "0"],
        ["completeness", str(pictures / "a.png"), "--out", str(tmp_path / "new"), "--kernels", "nowhere.bsp"],
        ["completeness", str(pictures / "a.png"), "--out", str(tmp_path / "new"), "--scale-km", "-1"],
        ["completeness", str(pictures / "a.png"), "--out", str(tmp_path / "new"), "--polarity", "dark",
         "--contrasts", "2"],
        ["completeness", str(pictures / "a.png"), "--out", str(tmp_path / "new"), "--seed", "1.5"],
        ["completeness", str(pictures / "a.png"), "--out", str(tmp_path / "new"), "--n-spots", "3000000"],
    ):  # fmt: skip
        assert cli.run(tokens) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "new").exists()


def test_spots_that_fit_nowhere_are_no_result(pictures, tmp_path, capsys):
    large = ["--diameters", "3000", "--contrasts", "2", "--n-spots", "3"]
    assert cli.run(["completeness", str(pictures / "a.png"), "--out", str(tmp_path / "out"), *large]) == 1
    first, last = capsys.readouterr().err.splitlines()
    assert first == "brightspot: a.png: room for none of 3 spots"
    assert last.startswith("brightspot: none of the spots fits anywhere in these images: ask for smaller")
    assert cli.run(["completeness", str(pictures / "broken.png"), "--out", str(tmp_path / "no"), *large]) == 1
    assert "no spot was put in: no image could be used" in capsys.readouterr().err


def test_a_run_killed_before_its_end_can_be_done_again(pictures, tmp_path, monkeypatch):
    import brightspot.completeness.run as station

    plan, out = Plan(diameters=(12.0,), contrasts=(3.0,), n_spots=2), tmp_path / "out"

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("brightspot.completeness.chart.save_chart", killed)
        with pytest.raises(KeyboardInterrupt):
            completeness_folder(pictures, out, plan=plan)
    assert (out / "frames.csv").exists()
    assert json.loads((out / station.RECORD).read_text())["state"] == "started"
    with pytest.raises(UsageError, match="--force"):
        completeness_folder(pictures, out, plan=plan)
    completeness_folder(pictures, out, plan=plan, force=True)
    assert json.loads((out / station.RECORD).read_text())["state"] == "finished"


def test_an_interrupted_run_keeps_what_is_done(pictures, tmp_path):
    def stop(facts):
        if facts["frame"] == "b.png":
            raise KeyboardInterrupt

    plan = Plan(diameters=(12.0,), contrasts=(3.0,), n_spots=4)
    result = completeness_folder(pictures, tmp_path / "out", plan=plan, told=stop)
    assert result.interrupted
    assert set(pd.read_csv(tmp_path / "out" / "frames.csv")["frame"]) >= {"a.png"}


def test_the_function_and_the_station_share_their_name(pictures):
    import importlib

    station = importlib.import_module("brightspot.completeness")
    plan = Plan(diameters=(12.0,), contrasts=(3.0,), n_spots=2)
    for call in (bs.completeness, station):
        result = call(pictures / "a.png", plan=plan)
        assert len(result.spots) == 2
        assert list(result.frames["status"]) == ["ok"]


def test_frames_at_hand_give_what_their_files_give(pictures):
    path = pictures / "a.png"
    plan = Plan(diameters=(12.0,), contrasts=(3.0,), n_spots=4)
    expected = bs.completeness(path, plan=plan)
    frame = bs.read_frame(path)
    pd.testing.assert_frame_equal(bs.completeness(frame, plan=plan).spots, expected.spots, check_exact=True)
    both = bs.completeness([path, frame], plan=plan, jobs=2)
    assert list(both.frames["frame"]) == [frame.name, frame.name]
    pd.testing.assert_frame_equal(
        both.spots.iloc[4:].reset_index(drop=True), expected.spots, check_exact=True
    )
