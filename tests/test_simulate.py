"""The renderer against closed forms, independent readers and its own truth."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from brightspot import ceres, geometry, photometry, readers, simulate
from brightspot.errors import GeometryError, UsageError
from brightspot.geometry import et_from_utc
from brightspot.simulate import CraterForm, Scene, Spot, detector
from brightspot.simulate.labels import camera_attitude, first_line_sample, quaternion
from brightspot.simulate.observation import SURFACE_SEED
from brightspot.simulate.surface import BODY_KM, GroundGrid, crater_depth_km, direction

SMOOTH = Scene(
    seed=3,
    shape=(260, 280),
    origin_xy=(380.0, 390.0),
    altitude_km=36_000.0,
    center_xy=(100.0, 105.0),
    sub_spacecraft_latitude_deg=5.0,
    sub_spacecraft_longitude_deg=40.0,
    sub_solar_latitude_deg=4.0,
    sub_solar_longitude_deg=15.0,
    relief_spheroid=False,
    mottling=0.0,
    named_spots=False,
    noise=False,
    stray_light=0.0,
    stray_light_gradient=0.0,
    psf_wings=0.0,
)
"""A smooth, even spheroid in a part of the frame: everything about it has a closed form."""

ROUGH = replace(SMOOTH, relief_spheroid=True, mottling=0.05, noise=True, named_spots=True)


@pytest.fixture(scope="module")
def smooth():
    return simulate.render(SMOOTH)


@pytest.fixture(scope="module")
def rough():
    return simulate.render(ROUGH)


@pytest.fixture(scope="module")
def full():
    """A full 1024 x 1024 frame, as level 1A with its dark strips has to be."""
    return simulate.render(
        replace(ROUGH, shape=(1024, 1024), origin_xy=(0.0, 0.0), center_xy=None, altitude_km=46_000.0)
    )


# ---------------------------------------------------------------- light


def test_smooth_spheroid_follows_the_disk_function(smooth):
    planes = smooth.frame.geometry.backplanes()
    inside = (planes.incidence_deg < 70) & (planes.emission_deg < 65)
    disk = photometry.disk_function(
        "akimov", planes.incidence_deg[inside], planes.emission_deg[inside], planes.phase_deg[inside]
    )
    expected = 0.094 * photometry.phase_function(smooth.frame.geometry.phase_deg) * disk
    np.testing.assert_allclose(smooth.noise_free[inside], expected, rtol=2e-3)


@pytest.mark.parametrize(
    ("kind", "weight", "model"),
    [
        ("lunar_lambert", 1.0, "lommel_seeliger"),
        ("lambert", 1.0, "lambert"),
        ("lommel_seeliger", 0.5, "lommel_seeliger"),
    ],
)
def test_disk_functions_agree_with_photometry(kind, weight, model):
    from brightspot._kernels.render import disk_function
    from brightspot.simulate.scene import DISK_FUNCTIONS

    for i, e, a in ((0.0, 0.0, 0.1), (45.0, 10.0, 40.0), (75.0, 30.0, 60.0), (80.0, 1.0, 80.0)):
        mine = disk_function(
            np.cos(np.deg2rad(i)),
            np.cos(np.deg2rad(e)),
            np.cos(np.deg2rad(a)),
            DISK_FUNCTIONS.index(kind),
            weight,
        )
        assert mine == pytest.approx(float(photometry.disk_function(model, i, e, a)), rel=1e-9)


def test_radiance_is_iof_over_the_distance_squared(smooth):
    iof = photometry.radiance_to_iof(
        smooth.radiance, filter_number=1, sun_distance_km=smooth.frame.sun_distance_km
    )
    lit = smooth.noise_free > 0.01
    # What is left is the rounding to whole counts.
    np.testing.assert_allclose(iof[lit], smooth.noise_free[lit], rtol=5e-3)


def test_disk_covers_the_outline_of_the_spheroid():
    from scipy.spatial import ConvexHull

    sun = {"sub_solar_latitude_deg": 5.0, "sub_solar_longitude_deg": 40.0}
    seen = simulate.render(
        replace(SMOOTH, altitude_km=46_000.0, center_xy=(130.0, 125.0), psf_fwhm_px=0.1, **sun)
    )
    x, y, _ = seen.frame.geometry.limb(2000)
    # Akimov's function is flat at full phase: the disk's light is its area.
    middle = seen.noise_free[100:150, 100:150].mean()
    area = ConvexHull(np.c_[x, y]).volume
    assert seen.noise_free.sum(dtype=float) / middle == pytest.approx(area, rel=2e-3)


# ---------------------------------------------------------------- spots


@pytest.mark.parametrize("diameter_px", [0.6, 1.5, 4.0, 15.0])
def test_spot_has_its_position_and_its_excess(smooth, diameter_px):
    scale_km = SMOOTH.altitude_km * 93.2e-6
    spots = tuple(
        Spot(f"s{k}", lat, lon, diameter_px * scale_km, contrast, raggedness=ragged)
        for k, (lat, lon, contrast, ragged) in enumerate(
            [(10.3, 31.7, 3.0, 0.0), (-14.2, 44.4, 1.3, 0.0), (20.1, 52.3, 5.0, 0.6), (-8.0, 18.0, 0.6, 0.0)]
        )
    )
    r = simulate.render(replace(SMOOTH, spots=spots, exposure_s=1.0))
    ratio = r.noise_free / np.where(smooth.noise_free > 1e-4, smooth.noise_free, 1.0) - 1.0
    area = r.frame.geometry.backplanes().pixel_area_km2
    yy, xx = np.mgrid[: SMOOTH.shape[0], : SMOOTH.shape[1]]
    for row in r.truth.itertuples():
        near = np.hypot(xx - row.x, yy - row.y) < 0.75 * diameter_px + 5
        excess = float(np.nansum(ratio[near] * area[near]))
        assert excess == pytest.approx(row.excess_area_km2, rel=0.04 if diameter_px < 1 else 0.015)
        weight = ratio[near] / ratio[near].sum()
        center = np.array([np.sum(weight * xx[near]), np.sum(weight * yy[near])])
        projected = np.array(r.frame.geometry.project(row.latitude_deg, row.longitude_deg))
        np.testing.assert_allclose([row.x, row.y], projected, atol=1e-6)
        if spots[row.spot_id - 1].raggedness == 0:
            # A wide disc's far half looks smaller: its light lies r^2 / 4R nearer to the limb's other side.
            bulge = (row.diameter_km / 2) ** 2 / (3 * ceres.MEAN_RADIUS_KM) / row.pixel_scale_km
            np.testing.assert_allclose(center, projected, atol=0.02 + bulge)
            area_km2 = np.pi / 4 * row.diameter_km**2
            contrast = spots[row.spot_id - 1].contrast
            assert row.excess_area_km2 == pytest.approx((contrast - 1) * area_km2, rel=0.02)
        else:
            # Torn patches are placed by their centroid.
            np.testing.assert_allclose(center, projected, atol=0.01 * diameter_px + 0.04)


def test_truth_knows_what_can_be_seen(rough):
    spots = (
        Spot("day", 0.0, 30.0, 20.0, 2.0),
        Spot("night", 0.0, 115.0, 20.0, 2.0),
        Spot("behind", 0.0, 215.0, 20.0, 2.0),
    )
    r = simulate.render(replace(SMOOTH, spots=spots))
    by_name = r.truth.set_index("name")
    assert by_name.loc["day", "visible"]
    assert by_name.loc["day", "shadowed_fraction"] == 0
    assert not by_name.loc["night", "visible"]
    assert by_name.loc["night", "shadowed_fraction"] == 1
    assert "behind" not in by_name.index
    assert set(rough.truth.kind) >= {"named"}


def test_random_spots_stay_in_the_lit_frame_and_apart():
    scene = replace(
        ROUGH,
        random_spots=12,
        dark_spots=3,
        pair_fraction=0.0,
        named_spots=False,
        random_spot_diameter_px=(1.5, 6.0),
    )
    truth = simulate.render(scene).truth.query("is_spot")
    assert (truth.kind == "random").sum() == 12
    assert (truth.kind == "dark").sum() == 3
    assert truth.incidence_deg.max() < 85
    assert truth.x.between(0, 279).all()
    assert truth.y.between(0, 259).all()
    assert (truth[truth.kind == "random"].contrast > 1.2).all()
    assert (truth[truth.kind == "dark"].contrast < 0.9).all()
    unit = direction(truth.latitude_deg.to_numpy(), truth.longitude_deg.to_numpy())
    apart = np.arccos(np.clip(unit @ unit.T, -1, 1)) * ceres.MEAN_RADIUS_KM + 1e9 * np.eye(len(unit))
    sizes = truth.diameter_km.to_numpy()
    assert np.all(apart > 0.6 * (sizes[:, None] + sizes[None, :]))


# ---------------------------------------------------------------- relief


def _flat_patch(cell_km=0.2, n=400):
    """A grid about (0 N, 0 E) whose columns run east and rows south."""
    frame = np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, -1.0]])
    cell = cell_km / BODY_KM[0]
    return GroundGrid(frame, np.array([-0.5 * n * cell, -0.5 * n * cell, cell]), (n, n), 2 * cell_km)


@pytest.mark.parametrize("elevation_deg", [10.0, 20.0, 35.0])
def test_shadow_of_a_ridge_has_the_length_of_the_closed_form(elevation_deg):
    from brightspot._kernels import render as kernels

    ground = _flat_patch()
    height = np.zeros(ground.shape, np.float32)
    height[:, 240:250] = 1.5
    elevation = np.deg2rad(elevation_deg)
    # The Sun in the east as seen from the ridge's top (column 249, 49 cells east of the middle).
    there = (240 - 200) * 0.2 / BODY_KM[0]
    up, east = np.array([np.cos(there), np.sin(there), 0]), np.array([-np.sin(there), np.cos(there), 0])
    sun = np.sin(elevation) * up + np.cos(elevation) * east
    _, lit = kernels.shade(
        height,
        np.ones_like(height),
        ground.frame,
        ground.grid,
        BODY_KM,
        np.array([2000.0, 0, 0]),
        sun,
        1e-4,
        3,
        0.9,
        True,
    )
    row = lit[200, :239]
    length_km = 0.2 * np.sum(row < 128)
    expected = 1.5 / np.tan(elevation)
    # The ground falls away under the ray: shadows end d^2 / 2R lower, that much later.
    expected += expected**2 / (2 * BODY_KM[0]) / np.tan(elevation)
    assert length_km == pytest.approx(expected, abs=0.45)
    assert np.all(row[: 239 - round(expected / 0.2) - 4] == 255)


def test_craters_have_the_depth_asked_for():
    from brightspot._kernels import ground as kernels
    from brightspot.simulate.surface import WEAR_LEVELS, crater_profiles

    ground = _flat_patch()
    height = np.zeros(ground.shape, np.float32)
    profiles, erase = crater_profiles(CraterForm())
    for diameter, kind in ((6.0, WEAR_LEVELS - 1), (30.0, 2 * WEAR_LEVELS - 1)):
        height[:] = 0
        depth = float(crater_depth_km(diameter))
        kernels.add_craters(
            height, np.ones_like(height), ground.frame, ground.grid, BODY_KM, np.array([[1.0, 0, 0]]),
            np.array([[diameter / 2, depth, 0.95, 0.0, 0.0, 0.5]]), np.zeros((1, 8)), np.array([kind]),
            np.array([np.nan]), profiles, erase,
        )  # fmt: skip
        # Rims are a little worn even when fresh, walls torn by warping.
        assert height.max() - height.min() == pytest.approx(depth, rel=0.12)
        inside = np.hypot(*np.mgrid[-200:200, -200:200]) * 0.2 < 0.2 * diameter
        assert height[inside].max() < 0


def test_hills_stand_where_craters_would_be():
    from brightspot.simulate.surface import build_surface

    ground = _flat_patch()
    scene = simulate.Scene(
        roughness=0.0, mottling=0.0, named_craters=False, halo_fraction=1.0, fresh_fraction=1.0
    )
    level, _, craters = build_surface(replace(scene, crater_density=1e-9), ground)
    height, albedo, hills = build_surface(replace(scene, hill_fraction=1.0), ground)
    # Of the same widths at the same places, without ejecta; half of them up, half of them down.
    carved = build_surface(scene, ground)[2]
    assert len(craters.centers) == 0 and len(hills.centers) > 100
    np.testing.assert_array_equal(hills.centers, carved.centers)
    np.testing.assert_allclose(np.abs(hills.numbers[:, 1]), carved.numbers[:, 1])
    assert 0.35 < (hills.numbers[:, 1] > 0).mean() < 0.65
    assert np.ptp(albedo) == 0.0
    above = height - level
    assert above.max() > 0.5 and above.min() < -0.5
    # A hill has no rim: where it stands alone nothing beside it lies deeper than the ground.
    assert np.median(above) == pytest.approx(0.0, abs=0.05)


def test_craters_have_the_form_asked_for():
    from brightspot._kernels.ground import RELIEF_LIMIT
    from brightspot.simulate.surface import WEAR_LEVELS, crater_profiles

    form = CraterForm(bowl_exponent=4.0, rim_height=0.3, floor_radius=0.5)
    profiles, _ = crater_profiles(form)
    rho = np.linspace(0.0, RELIEF_LIMIT, profiles.shape[1])
    bowl, flat = profiles[WEAR_LEVELS - 1], profiles[2 * WEAR_LEVELS - 1]
    inside = (rho > 0.1) & (rho < 0.9)  # a fresh rim is a little worn too
    np.testing.assert_allclose(bowl[inside], (-0.7 + 0.12 * rho + 0.88 * rho**4)[inside], atol=0.01)
    outside = (rho > 1.1) & (rho < RELIEF_LIMIT - 0.8)
    np.testing.assert_allclose(bowl[outside], 0.3 * rho[outside] ** -3.2, rtol=0.03)
    assert np.ptp(flat[rho < 0.45]) < 0.06 < flat[rho > 0.65][0] - flat[0]
    for wrong in ({"bowl_exponent": 0.0}, {"rim_height": 1.0}, {"floor_radius": 0.0}):
        with pytest.raises(UsageError, match="is no crater"):
            CraterForm(**wrong)


def test_relief_grows_with_wavelength_as_asked_for():
    from brightspot.simulate.surface import FLOOR_WAVELENGTH_KM, LONGEST_WAVELENGTH_KM, _relief

    ground = _flat_patch()
    lengths = LONGEST_WAVELENGTH_KM * 0.5 ** np.arange(24)
    lengths = lengths[(lengths <= FLOOR_WAVELENGTH_KM) & (lengths > 4 * ground.cell_km)]

    def strength(slope):
        fields = [_relief(Scene(roughness_slope=slope), ground, seed, coarse=False) for seed in range(10)]
        return np.sqrt(np.mean(np.square(fields)))

    expected = np.sqrt((lengths**2.0).sum() / (lengths**1.0).sum())
    assert strength(1.0) / strength(0.5) == pytest.approx(expected, rel=0.2)


def test_where_ejecta_meet_the_brightest_shows():
    from brightspot._kernels import ground as kernels
    from brightspot.simulate.surface import WEAR_LEVELS, crater_profiles

    ground = _flat_patch()
    profiles, erase = crater_profiles(CraterForm())
    aside = np.array([1.0, 4.0 / BODY_KM[0], 0.0])
    centers = np.array([[1.0, 0.0, 0.0], aside / np.linalg.norm(aside)])
    numbers = np.array([[3.0, 0.0, 0.95, 0.22, 0.0, 0.5], [4.0, 0.0, 0.95, 0.18, 0.3, 0.7]])

    def albedo(which):
        out, height = np.full(ground.shape, 1.1, np.float32), np.zeros(ground.shape, np.float32)
        n = len(which)
        kernels.add_craters(
            height, out, ground.frame, ground.grid, BODY_KM, centers[which], numbers[which],
            np.zeros((n, 8)), np.full(n, WEAR_LEVELS - 1), np.full(n, np.nan), profiles, erase,
        )  # fmt: skip
        return out

    one, other = albedo([0]), albedo([1])
    assert one.max() > 1.3 and other.max() > 1.25 and ((one > 1.15) & (other > 1.15)).any()
    np.testing.assert_array_equal(albedo([0, 1]), np.maximum(one, other))


def test_same_ground_in_two_views():
    spots = replace(ROUGH, named_spots=False, noise=False, surface_seed=9)
    a, b = simulate.render(spots), simulate.render(replace(spots, seed=77, center_xy=(110.0, 115.0)))
    moved = np.roll(a.noise_free, (10, 10), axis=(0, 1))
    lit = moved > 0.3 * moved.max()
    lit[:15] = lit[:, :15] = False
    level = np.median(moved[lit])
    assert np.corrcoef(moved[lit], b.noise_free[lit])[0, 1] > 0.98
    assert np.std(moved[lit] - b.noise_free[lit]) < 0.03 * level
    c = simulate.render(replace(spots, surface_seed=10))
    assert np.std(a.noise_free[lit] - c.noise_free[lit]) > 0.04 * level


def test_relief_roughens_the_limb(smooth):
    from scipy.ndimage import map_coordinates

    rugged = simulate.render(replace(ROUGH, noise=False, named_spots=False))
    x, y, incidence = rugged.frame.geometry.limb(3000)
    bright = (incidence < 75) & (x > 5) & (x < 274) & (y > 5) & (y < 254)
    outward = np.stack([y - 105.0, x - 100.0]) / np.hypot(y - 105.0, x - 100.0)
    just_outside = (np.stack([y, x]) + 1.0 * outward)[:, bright]
    values, even = (
        map_coordinates(r.noise_free, just_outside, order=1) / np.median(r.noise_free[100:110, 150:160])
        for r in (rugged, smooth)
    )
    # Peaks stand up over the limb, valleys cut into it.
    assert np.std(values) > 2 * np.std(even)
    assert values.max() > even.max() + 0.1


# ---------------------------------------------------------------- detector


def test_noise_has_the_closed_form_variance():
    scene = replace(
        SMOOTH, noise=True, hot_pixels=0, dead_pixels=0, cosmic_rays=0, defects=False, exposure_level=0.1
    )
    a = simulate.render(scene)
    b = simulate.render(replace(scene, seed=4))
    c = simulate.render(replace(scene, noise=False))
    difference = (a.dn.astype(float) - b.dn.astype(float)) / np.sqrt(2)
    for low, high in ((0, 5), (700, 900), (1200, 1500)):
        signal = c.dn.astype(float) - scene.bias_dn
        chosen = (signal >= low) & (signal < high)
        assert chosen.sum() > 1000
        gain = scene.electrons_per_dn
        expected = signal[chosen].mean() / gain + (scene.read_noise_e / gain) ** 2 + 1 / 12
        assert difference[chosen].var() == pytest.approx(expected, rel=5 * np.sqrt(2 / chosen.sum()))


def test_ceiling_saturates_and_is_marked():
    spot = Spot("glare", 10.0, 30.0, 60.0, 5.0)
    r = simulate.render(replace(SMOOTH, spots=(spot,), exposure_level=0.5))
    assert r.dn.max() == 16_383
    assert r.frame.saturated.sum() > 150
    assert np.array_equal(r.frame.saturated, r.dn == 16_383)
    assert r.truth.loc[0, "saturated"]
    plateau = r.radiance[r.frame.saturated]
    assert np.ptp(plateau) == 0
    bled = simulate.render(replace(SMOOTH, spots=(spot,), exposure_level=0.5, full_well_e=2e5))
    above = bled.dn[: int(r.truth.loc[0, "y"]) - 15, round(r.truth.loc[0, "x"])]
    unbled = r.dn[: int(r.truth.loc[0, "y"]) - 15, round(r.truth.loc[0, "x"])]
    assert above.max() > 1.3 * unbled.max()


def test_defects_belong_to_the_camera_and_rays_to_the_frame():
    quiet = replace(
        SMOOTH, noise=True, shape=(1024, 1024), origin_xy=(0.0, 0.0), altitude_km=83_000.0, center_xy=None
    )
    a, b = simulate.render(quiet), simulate.render(replace(quiet, seed=5))
    fixed = [set(map(tuple, r.artefacts.query("kind == 'defect'")[["x", "y"]].to_numpy())) for r in (a, b)]
    assert fixed[0] == fixed[1]
    assert len(fixed[0]) == 14
    stray = [set(map(tuple, r.artefacts.query("kind != 'defect'")[["x", "y"]].to_numpy())) for r in (a, b)]
    assert not stray[0] & stray[1]
    gain, _ = detector.detector_defects(SMOOTH)
    whole, _ = detector.detector_defects(quiet)
    np.testing.assert_array_equal(gain, whole[390:650, 380:660])


def test_same_scene_same_bytes(rough, tmp_path):
    again = simulate.render(ROUGH)
    assert again.dn.tobytes() == rough.dn.tobytes()
    pd.testing.assert_frame_equal(again.truth, rough.truth)
    first = simulate.write(rough, tmp_path / "a", "img")[0]
    second = simulate.write(again, tmp_path / "b", "img")[0]
    assert first.read_bytes() == second.read_bytes()
    assert simulate.render(replace(ROUGH, seed=4)).dn.tobytes() != rough.dn.tobytes()


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("level", ["1A", "1B"])
@pytest.mark.parametrize("format", ["img", "fits"])
def test_pdr_and_gdal_read_back_what_was_written(full, tmp_path, format, level):
    import pdr
    import rasterio

    path = simulate.write(full, tmp_path, format, level=level)[-2]
    wanted = full.dn if level == "1A" else full.radiance
    product = pdr.read(str(path))
    assert np.array_equal(product["IMAGE"][::-1], wanted)
    with rasterio.open(path) as dataset:
        assert np.array_equal(dataset.read(1)[::-1], wanted)
    if format == "img" and level == "1A":
        assert product["FRAME_2_IMAGE"].shape == (1054, 10)
        assert product["FRAME_5_IMAGE"].shape == (8, 1024)
        assert np.median(product["FRAME_3_IMAGE"]) == pytest.approx(full.scene.bias_dn, abs=1)
    assert "NOT MISSION DATA" in path.read_bytes()[:20_000].decode("latin-1")


def test_fits_is_a_plain_fits_too(rough, tmp_path):
    from astropy.io import fits

    data_path = simulate.write(rough, tmp_path, "fits")[0]
    with fits.open(data_path) as hdus:
        hdus.verify("exception")
        assert np.array_equal(hdus[0].data[::-1], rough.radiance)
        assert "RENDERED" in str(hdus[0].header["COMMENT"])


@pytest.mark.parametrize("format", ["img", "fits"])
@pytest.mark.parametrize("directions", [("UP", "RIGHT"), ("DOWN", "RIGHT"), ("UP", "LEFT"), ("DOWN", "LEFT")])
def test_every_way_of_storing_reads_back_upright_and_in_place(rough, tmp_path, format, directions):
    simulate.write(rough, tmp_path, format, line_display=directions[0], sample_display=directions[1])
    (found,) = readers.find_inputs([tmp_path])
    (frame,) = readers.read_frames(found)
    assert np.array_equal(frame.image, rough.radiance)
    assert frame.origin_xy == ROUGH.origin_xy
    assert frame.camera == "FC2"
    assert frame.level == "1B"
    assert frame.unit == "W m-2 sr-1"
    assert frame.target == "CERES"
    assert frame.start_time == ROUGH.date
    truth = pd.read_csv(tmp_path / "truth.csv")
    assert set(truth.frame) == {found.name}
    x, y = frame.geometry.project(truth.latitude_deg, truth.longitude_deg)
    true_x, true_y = rough.frame.geometry.project(truth.latitude_deg, truth.longitude_deg)
    np.testing.assert_allclose(x, true_x, atol=2e-3)
    np.testing.assert_allclose(y, true_y, atol=2e-3)


def test_label_geometry_survives_at_full_precision(full, tmp_path):
    simulate.write(full, tmp_path, "img")
    (frame,) = readers.read_frames(next(iter(readers.find_inputs([tmp_path]))))
    got, true = frame.geometry, full.frame.geometry
    np.testing.assert_allclose(got.spacecraft_km, true.spacecraft_km, atol=2e-3)
    assert got.altitude_km == pytest.approx(full.scene.altitude_km, abs=2e-3)
    np.testing.assert_allclose(got.sub_solar_deg, (4.0, 15.0), atol=1e-5)
    assert got.phase_deg == pytest.approx(true.phase_deg, abs=1e-5)
    assert got.sun_distance_km == pytest.approx(2.9 * ceres.AU_KM, rel=1e-9)
    # The label's own derived fields, in the archive's conventions.
    assert frame.label["NORTH_AZIMUTH"] == pytest.approx(
        (float(true.ground(511.5, 511.5).north_azimuth_deg) - 90) % 360, abs=1e-6
    )
    assert frame.label["HORIZONTAL_PIXEL_SCALE"] == pytest.approx(46_000 * 93.32e-6, rel=2e-3)


def test_level_1a_tells_no_geometry(full, tmp_path):
    simulate.write(full, tmp_path, "img", level="1A")
    (frame,) = readers.read_frames(next(iter(readers.find_inputs([tmp_path]))))
    assert frame.geometry is None
    assert frame.unit == "DN"
    assert np.array_equal(frame.image, full.dn.astype(np.float32))


def test_label_conventions_on_a_real_attitude():
    """Celestial north and quaternion of FC21A0038582, whose label says 289.753, 64.400, 275.606 degree."""
    q = np.array([0.5213655224, -0.1747575947, 0.1361764644, -0.8240714445])
    w, x, y, z = q
    matrix = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    np.testing.assert_allclose(quaternion(matrix), q * np.sign(quaternion(matrix) @ q), atol=1e-9)
    north = matrix @ [0, 0, 1]
    assert -np.degrees(np.arctan2(north[0], -north[1])) % 360 == pytest.approx(275.606, abs=2e-3)


def test_quaternion_agrees_with_spice(rough):
    spice = pytest.importorskip("spiceypy")
    attitude = camera_attitude(rough.scene, rough.frame.geometry)
    mine, theirs = quaternion(attitude), spice.m2q(attitude)
    np.testing.assert_allclose(mine * np.sign(mine @ theirs), theirs, atol=1e-12)
    for turn in (np.diag([1.0, -1, -1]), np.diag([-1.0, 1, -1]), np.diag([-1.0, -1, 1])):
        assert abs(quaternion(turn) @ spice.m2q(turn)) == pytest.approx(1)


def test_subframes_say_where_they_were(rough):
    assert first_line_sample(rough.scene, "UP", "RIGHT") == (17 + 1024 - 390 - 260, 35 + 380)
    assert first_line_sample(rough.scene, "DOWN", "LEFT") == (17 + 390, 35 + 1024 - 380 - 280)
    whole = replace(rough.scene, shape=(1024, 1024), origin_xy=(0.0, 0.0))
    assert first_line_sample(whole, "UP", "RIGHT") == (17, 35)


def test_pictures_and_their_truth(rough, tmp_path):
    from PIL import Image

    png = simulate.write(rough, tmp_path, "png", name="plain")[0]
    with Image.open(png) as picture:
        assert picture.mode in ("I;16", "I")
        assert "NOT MISSION DATA" in picture.text["Comment"]
        assert (
            np.corrcoef(np.asarray(picture, float).ravel(), np.clip(rough.radiance, 0, None).ravel())[0, 1]
            > 0.97
        )
    jpg = simulate.write(rough, tmp_path, "jpg", name="big", enlarge=2)[0]
    with Image.open(jpg) as picture:
        assert picture.size == (560, 520)
        assert b"NOT MISSION DATA" in picture.info["comment"]
    truth = pd.read_csv(tmp_path / "truth.csv").set_index("frame")
    plain, big = truth.loc["plain.png"], truth.loc["big.jpg"]
    np.testing.assert_allclose(big.x, 2 * plain.x + 0.5, rtol=1e-4)
    np.testing.assert_allclose(big.pixel_scale_km, plain.pixel_scale_km / 2, rtol=1e-4)
    # Written again, a frame's rows are replaced, not doubled.
    simulate.write(rough, tmp_path, "png", name="plain")
    assert len(pd.read_csv(tmp_path / "truth.csv")) == len(truth)


def test_rotation_becomes_an_animation(tmp_path):
    from PIL import Image

    scene = replace(
        simulate.observation_scene("2015-02-19"),
        shape=(240, 240),
        origin_xy=(392.0, 392.0),
        min_crater_px=4.0,
    )
    frames = [simulate.render(simulate.turned(scene, h)) for h in (0.0, 0.7, 4.5)]
    path = simulate.write(frames, tmp_path, "gif", name="turn")[0]
    with Image.open(path) as movie:
        assert movie.n_frames == 3
        assert b"NOT MISSION DATA" in movie.info["comment"]
    truth = pd.read_csv(tmp_path / "truth.csv").query("name == 'Cerealia Facula'").set_index("frame")
    assert truth.loc["turn.gif#000", "visible"]
    assert truth.loc["turn.gif#001", "x"] > truth.loc["turn.gif#000", "x"] + 10
    assert "turn.gif#002" not in truth.index or not truth.loc["turn.gif#002", "visible"]


# ---------------------------------------------------------------- observations


def test_the_sun_stands_where_the_ephemeris_had_it():
    """Sun from Ceres, J2000 km, in the camera model that ALE made from kernels for FC21A0038582."""
    got = simulate.sun_from_ceres(488_002_614.62294483)
    np.testing.assert_allclose(got, [-184987783.067, 343341745.204, 199532284.617], rtol=1e-4)


@pytest.mark.parametrize(
    ("day", "altitude_km"),
    [("2015-04-10", 33_000), ("2015-04-15", 22_000), ("2015-05-16", 7_200), ("2015-06-06", 4_400)],
)
def test_observations_show_spot_5_in_sunlight(day, altitude_km):
    scene = simulate.observation_scene(day, seed=2)
    assert scene.altitude_km == pytest.approx(altitude_km, rel=0.02)
    assert f"{scene.date:%Y-%m-%d}" == day
    assert scene.surface_seed == SURFACE_SEED
    view = simulate.viewing_geometry(scene)
    x, y = view.project(19.70, 239.60)
    place = view.ground(x, y)
    assert 20 < x < 1003
    assert 20 < y < 1003
    assert place.incidence_deg < 65
    assert place.emission_deg < 65
    assert 20 <= view.phase_deg <= 60
    # Sub-solar point and Sun distance follow from date and orbit.
    sun = ceres.body_from_j2000(et_from_utc(scene.date) + 0.24) @ simulate.sun_from_ceres(
        et_from_utc(scene.date)
    )
    assert np.linalg.norm(np.cross(sun, view.sun_km)) < 1e-4 * np.linalg.norm(sun) ** 2


def test_simulate_writes_what_was_asked(tmp_path):
    changes = {"shape": (200, 220), "origin_xy": (420.0, 480.0), "min_crater_px": 4.0}
    paths = simulate.simulate("2015-04-15", ["img", "fits", "png", "jpg"], seed=7, out=tmp_path, **changes)
    assert sorted({p.suffix for p in paths}) == [".FIT", ".IMG", ".LBL", ".csv", ".jpg", ".png"]
    names = {i.name for i in readers.find_inputs([tmp_path]) if i.problem is None}
    truth = pd.read_csv(tmp_path / "truth.csv")
    assert set(truth.frame) <= names | {p.name for p in paths}
    cerealia = truth[(truth.name == "Cerealia Facula") & truth.frame.str.endswith(".IMG")]
    vinalia = truth[(truth.name == "Vinalia Faculae") & truth.frame.str.endswith(".IMG")]
    a, b = (
        direction(float(t.latitude_deg.iloc[0]), float(t.longitude_deg.iloc[0])) for t in (cerealia, vinalia)
    )
    assert np.arccos(a @ b) * ceres.MEAN_RADIUS_KM == pytest.approx(18.95, abs=0.1)


def test_mistakes_are_told(rough, tmp_path):
    with pytest.raises(UsageError, match="no observation"):
        simulate.simulate("1999-01-01", "png", out=tmp_path)
    with pytest.raises(UsageError, match="bmp"):
        simulate.simulate("2015-04-15", "bmp", out=tmp_path)
    with pytest.raises(UsageError, match="level"):
        simulate.write(rough, tmp_path, "img", level="2")
    with pytest.raises(UsageError, match="animated GIF"):
        simulate.write([rough, rough], tmp_path, "png")
    with pytest.raises(UsageError, match="stored"):
        simulate.write(rough, tmp_path, "img", line_display="SIDEWAYS")
    with pytest.raises(GeometryError, match="no ground"):
        simulate.render(replace(SMOOTH, center_xy=(9000.0, 0.0)))
    for wrong in (
        {"unit": "mag"},
        {"disk_function": "hapke"},
        {"altitude_km": -1.0},
        {"sub_solar_latitude_deg": None},
    ):
        with pytest.raises(UsageError):
            replace(SMOOTH, **wrong)
    assert not list(tmp_path.iterdir())


def test_random_scenes_vary_and_repeat():
    a, b = simulate.random_scene(11, 13_600.0), simulate.random_scene(11, 13_600.0)
    assert a == b
    assert simulate.random_scene(12, 13_600.0) != a
    shifted = simulate.random_scene(11, 13_600.0, shifted=True, random_spots=3)
    assert shifted.random_spots == 3
    assert shifted.relief_strength > 1.25
    assert shifted.disk_function in ("lambert", "lommel_seeliger")


def test_time_of_the_scene_is_the_label_s(rough, tmp_path):
    scene = replace(SMOOTH, date=datetime(2015, 6, 19, 16, 15, 46, 345000))
    simulate.write(simulate.render(scene), tmp_path, "img")
    text = next(tmp_path.glob("*.IMG")).read_bytes()[:12_000].decode("latin-1")
    assert "START_TIME                    = 2015-170T16:15:46.345" in text
    assert "CERES SCIENCE SURVEY (CSS)" in text
    assert geometry.et_from_utc(scene.date) == pytest.approx(488_002_613.5, abs=0.1)
