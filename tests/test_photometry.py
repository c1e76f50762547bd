"""Photometry: closed forms, limits, and the compiled twins."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brightspot import ceres, photometry
from brightspot.camera import Camera
from brightspot.errors import UsageError
from brightspot.frame import Frame
from brightspot.geometry import ViewingGeometry


@pytest.mark.parametrize(
    ("angles", "akimov", "lunar_lambert", "lambert"),
    [
        ((45, 10, 40), 0.803, 0.829, 0.707),
        ((75, 30, 60), 0.359, 0.449, 0.259),
        ((80, 0, 80), 0.237, 0.289, 0.174),
    ],
)
def test_values_worked_out_by_hand(angles, akimov, lunar_lambert, lambert):
    assert photometry.disk_function("akimov", *angles) == pytest.approx(akimov, abs=6e-4)
    assert photometry.disk_function("lunar_lambert", *angles) == pytest.approx(lunar_lambert, abs=6e-4)
    assert photometry.disk_function("lambert", *angles) == pytest.approx(lambert, abs=6e-4)


@pytest.mark.parametrize("name", photometry.DISK_FUNCTIONS)
def test_unity_at_full_phase_and_dark_at_night(name):
    assert photometry.disk_function(name, 0, 0, 0) == pytest.approx(1.0, abs=1e-9)
    assert photometry.disk_function(name, 1e-4, 1e-4, 1e-4) == pytest.approx(1.0, abs=1e-4)
    assert photometry.disk_function(name, 90, 10, 90) == pytest.approx(0.0, abs=1e-12)
    assert photometry.disk_function(name, 95, 10, 90) == 0.0
    assert np.isnan(photometry.disk_function(name, 30, 95, 90))
    assert np.isnan(photometry.disk_function(name, 30, np.nan, 90))


def test_akimov_is_flat_at_full_phase_and_finite_at_the_limb():
    angles = np.linspace(0, 89, 50)
    assert np.allclose(photometry.disk_function("akimov", angles, angles, 0.0), 1.0)
    # On the photometric equator the limb is at longitude -90 degrees from the viewer: e = 90, i = 90 - phase.
    assert 0.1 < photometry.disk_function("akimov", 50.01, 89.99, 40.0) < 2.0


@given(st.floats(-1.5, 1.5), st.floats(-1.4, 1.4), st.floats(0.02, 2.5))
@settings(max_examples=200, deadline=None)
def test_akimov_from_its_own_coordinates(longitude, latitude, phase):
    mu0, mu = np.cos(latitude) * np.cos(phase - longitude), np.cos(latitude) * np.cos(longitude)
    if mu0 < 0.02 or mu < 0.02:
        return
    expected = (
        np.cos(phase / 2)
        * np.cos(np.pi / (np.pi - phase) * (longitude - phase / 2))
        * np.cos(latitude) ** (phase / (np.pi - phase))
        / np.cos(longitude)
    )
    found = photometry.disk_function("akimov", *np.degrees([np.arccos(mu0), np.arccos(mu), phase]))
    assert found == pytest.approx(expected, rel=1e-5)


def test_minnaert_and_lommel_seeliger_closed_forms():
    mu0, mu = np.cos(np.radians([30.0, 50.0]))
    assert photometry.disk_function("minnaert", 30, 50, 20, exponent=0.7) == pytest.approx(
        mu0**0.7 * mu**-0.3
    )
    assert photometry.disk_function("minnaert", 30, 50, 20, exponent=1.0) == pytest.approx(mu0)
    assert photometry.disk_function("lommel_seeliger", 30, 50, 20) == pytest.approx(2 * mu0 / (mu0 + mu))
    mixed = photometry.disk_function("lunar_lambert", 30, 50, 20, weight=0.25)
    assert mixed == pytest.approx(0.25 * 2 * mu0 / (mu0 + mu) + 0.75 * mu0)


def view(distance_km=9000.0, phase_deg=50.0):
    """A camera on the equator looking at the centre, the Sun to its right."""
    axis = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])
    phase = np.radians(phase_deg)
    sun = np.array([np.cos(phase), -np.sin(phase), 0.0])
    camera = Camera.framing_camera("FC2", 1)
    return ViewingGeometry(camera, (256, 320), np.array([distance_km, 0.0, 0.0]), 4.3e8 * sun, axis)


@pytest.mark.parametrize("name", photometry.DISK_FUNCTIONS)
def test_mesh_is_the_function_at_block_centres(name):
    geometry = replace(view(), shape=(1024, 1000))
    mesh = photometry.disk_mesh(geometry, 8, name)
    assert mesh.shape == (128, 125) and mesh.dtype == np.float32
    x, y = np.meshgrid(np.arange(125) * 8 + 3.5, np.arange(128) * 8 + 3.5)
    ground = geometry.ground(x, y)
    exact = photometry.disk_function(name, ground.incidence_deg, ground.emission_deg, ground.phase_deg)
    assert np.array_equal(np.isnan(mesh), np.isnan(exact))
    assert np.nanmax(np.abs(mesh - exact)) < 2e-5
    assert np.nanmin(mesh) == 0.0


def test_phase_functions():
    assert photometry.phase_function(0.0) == 1.0
    assert -2.5 * np.log10(photometry.phase_function(10.0)) == pytest.approx(0.36)
    assert photometry.phase_function(20.0, "exponential", rate_per_deg=0.05) == pytest.approx(np.exp(-1))
    with pytest.raises(UsageError, match="phase function"):
        photometry.phase_function(1.0, "guess")


def test_mean_surface_at_the_standard_geometry():
    # VIR: mean reflectance 0.034 +- 0.003 at i = 30, e = 0, phase 30, for a geometric albedo of 0.094.
    iof = (
        ceres.GEOMETRIC_ALBEDO * photometry.phase_function(30) * photometry.disk_function("akimov", 30, 0, 30)
    )
    assert iof == pytest.approx(0.034, abs=0.004)


def test_radiance_to_iof_and_back_to_albedo():
    r_km = 2.93 * ceres.AU_KM
    clear = photometry.radiance_to_iof(3.1, filter_number=1, sun_distance_km=r_km)
    green = photometry.radiance_to_iof(0.0062, filter_number=2, sun_distance_km=r_km)
    assert clear == pytest.approx(0.09, abs=0.002) and green == pytest.approx(0.09, abs=0.002)
    twice = photometry.radiance_to_iof(3.1, filter_number=1, sun_distance_km=2 * r_km)
    assert twice == pytest.approx(4 * clear)
    equigonal = photometry.equigonal_albedo(0.05, 45, 10, 40)
    assert equigonal == pytest.approx(0.05 / 0.803, rel=1e-3)
    assert photometry.normal_albedo(equigonal, 40.0) == pytest.approx(equigonal / 10 ** (-0.4 * 0.036 * 40))
    assert np.isnan(photometry.equigonal_albedo(0.05, 95, 10, 90))


def test_solar_fluxes_against_a_black_body():
    # 5772 K seen from 1 AU: the narrow bands lie within 15 % of it (the Sun's blue lines take the most).
    bands = {2: 555, 3: 749, 4: 917, 5: 965, 6: 829, 7: 653, 8: 438}
    for number, wavelength_nm in bands.items():
        wavelength = wavelength_nm * 1e-9
        planck = 1.191043e-16 / wavelength**5 / np.expm1(0.01438777 / (wavelength * 5772.0))
        flux = np.pi * planck * (695700.0 / ceres.AU_KM) ** 2 * 1e-9
        assert photometry.SOLAR_FLUX[number] == pytest.approx(flux, rel=0.15)


def test_counts_become_radiance_only_where_the_label_says_how():
    assert photometry.radiance_scale("W m-2 sr-1", {}) == (1.0, 0.0)
    assert photometry.radiance_scale("DN", {}) is None
    assert photometry.radiance_scale("display", {"RADIANCE_SCALING_FACTOR": 2.0}) is None
    assert photometry.radiance_scale("DN", {"RADIANCE_SCALING_FACTOR": 2.0, "RADIANCE_OFFSET": -1.0}) == (
        2.0,
        -1.0,
    )


def test_iof_factor_of_a_frame():
    image = np.ones(view().shape, np.float32)
    nothing = np.zeros(image.shape, bool)
    frame = Frame("x", None, image, nothing, nothing, "W m-2 sr-1", filter_number=1, sun_distance_km=4.38e8)
    factor, offset = photometry.iof_factor(frame)
    expected = photometry.radiance_to_iof(1.0, filter_number=1, sun_distance_km=4.38e8)
    assert factor == pytest.approx(float(expected)) and offset == 0.0
    assert photometry.iof_factor(replace(frame, unit="DN")) is None
    assert photometry.iof_factor(replace(frame, sun_distance_km=None)) is None
    assert photometry.iof_factor(replace(frame, sun_distance_km=None, geometry=view())) is not None
    assert photometry.iof_factor(replace(frame, unit="I/F", filter_number=None)) == (1.0, 0.0)


def test_wrong_names_are_said():
    with pytest.raises(UsageError, match="akimov"):
        photometry.disk_function("hapke", 0, 0, 0)
    with pytest.raises(UsageError, match="filter"):
        photometry.radiance_to_iof(1.0, filter_number=9, sun_distance_km=4e8)
    with pytest.raises(UsageError, match="positive"):
        photometry.radiance_to_iof(1.0, filter_number=1, sun_distance_km=-4e8)


# ---------------------------------------------------------------- flatness


def by_incidence(seed: int, *, relief: bool) -> tuple[np.ndarray, np.ndarray]:
    """Means of the levelled image in steps of incidence to 80 degrees: of lit ground, and of all of it."""
    from brightspot.finder import SpotFinder
    from brightspot.simulate import Scene, render

    scene = Scene(
        seed=seed, altitude_km=24_000.0, shape=(448, 448), phase_deg=40.0, relief_spheroid=relief,
        sub_spacecraft_longitude_deg=77.0 * seed, mottling=0.0, wall_streaks=0.0, halo_fraction=0.0,
        named_spots=False, defects=False, cosmic_rays=0.0, hot_pixels=0.0, dead_pixels=0.0,
    )  # fmt: skip
    frame = render(scene).frame
    background, _ = SpotFinder(polarity="bright").candidates(frame)
    planes = frame.geometry.backplanes()
    seen = (background.ratio != 0.0) & (planes.emission_deg < 70.0)
    lit, whole = [], []
    edges = (0.0, 16.0, 32.0, 48.0, 64.0, 72.0, 80.0)
    for low, high in pairwise(edges):
        there = seen & (planes.incidence_deg >= low) & (planes.incidence_deg < high)
        levelled = 1.0 + background.ratio[there]
        lit.append(levelled[levelled > 0.3].mean())
        whole.append(levelled.mean())
    return np.array(lit), np.array(whole)


def test_smooth_ground_is_level_from_the_sub_solar_point_to_80_degrees():
    _, whole = by_incidence(1, relief=False)
    assert np.ptp(whole) < 0.01


def test_lit_ground_of_a_cratered_body_is_level_and_shadows_are_not_brightened():
    pairs = [by_incidence(seed, relief=True) for seed in (1, 2, 3)]
    lit, whole = np.mean(pairs, axis=0)
    assert np.ptp(lit) < 0.03
    # What is missing in the mean of all ground is the share of cast shadows, some 5 per cent past 72 degrees.
    assert np.all(whole <= lit + 1e-6)
    assert 0.9 < whole[-1] < lit[-1]
