"""Rays, ground, backplanes and meshes of a view, against closed forms and finite differences."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from brightspot import ceres, geometry
from brightspot.camera import Camera
from brightspot.geometry.sources import turn

SHARED = Path(__file__).parents[2] / "shared"


def view(
    distance_km=14000.0,
    phase_deg=50.0,
    *,
    latitude=20.0,
    longitude=200.0,
    roll=30.0,
    sun_azimuth=40.0,
    off=(0.0, 0.0),
    filter_number=1,
    shape=(1024, 1024),
    origin=(0.0, 0.0),
    radii=ceres.RADII_KM,
):
    """A camera over a place on Ceres, its boresight ``off`` pixels beside the centre."""
    lat, lon, roll, azimuth, phase = np.radians([latitude, longitude, roll, sun_azimuth, phase_deg])
    out = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    x = np.cross(-out, [0.1, 0.2, 1.0])
    x /= np.linalg.norm(x)
    y = np.cross(-out, x)
    x, y = np.cos(roll) * x + np.sin(roll) * y, np.cos(roll) * y - np.sin(roll) * x
    matrix = np.stack([x, y, -out])
    sun = np.array([np.sin(phase) * np.sin(azimuth), -np.sin(phase) * np.cos(azimuth), -np.cos(phase)])
    camera = Camera.framing_camera("FC2", filter_number)
    tilt = turn(camera.pixel_to_ray(511.5, 511.5), camera.pixel_to_ray(511.5 + off[0], 511.5 + off[1]))
    return geometry.ViewingGeometry(
        camera, shape, distance_km * out, 4.3e8 * sun @ matrix, tilt @ matrix, origin, radii
    )


def random_views(count, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        distance_km = float(np.exp(rng.uniform(np.log(860.0), np.log(60000.0))))
        reach = min(1.0, 470.0 / distance_km / 0.0477) * 300
        yield view(
            distance_km,
            rng.uniform(0, 120),
            latitude=rng.uniform(-85, 85),
            longitude=rng.uniform(0, 360),
            roll=rng.uniform(0, 360),
            sun_azimuth=rng.uniform(0, 360),
            off=rng.uniform(-reach, reach, 2),
            filter_number=int(rng.integers(1, 9)),
        )


def render(g, *, noise=0.01, rough=0.15, seed=1):
    """Lunar-Lambert ellipsoid with blotches that grow towards the terminator, PSF and noise."""
    rng = np.random.default_rng(seed)
    mesh = g.disk_mesh(1)
    with np.errstate(invalid="ignore"):
        light = np.where(mesh.mu0 > 0, 0.945 * 2 * mesh.mu0 / (mesh.mu0 + mesh.mu) + 0.055 * mesh.mu0, 0.0)
        slope = np.sqrt(1 - mesh.mu0**2) / np.maximum(mesh.mu0, 0.1)
    texture = gaussian_filter(rng.normal(size=light.shape), 4)
    light *= np.maximum(1 + rough * texture / texture.std() * np.nan_to_num(np.clip(slope / 1.5, 0, 2)), 0)
    return (gaussian_filter(light, 0.6) + noise * rng.normal(size=light.shape)).astype(np.float32)


def centre(g):
    return np.array(g.project_points(np.zeros(3)))


def circular(a, b):
    d = np.abs(a - b) % 360
    return np.minimum(d, 360 - d)


# --- rays, ground, backplanes ---------------------------------------------------------------------


def test_ground_and_project_are_inverse():
    for g in random_views(10, seed=1):
        x0, y0 = np.clip(centre(g), 0, 1023)
        x, y = np.array([[x0], [y0]]) + np.random.default_rng(2).uniform(-60, 60, (2, 200))
        ground = g.ground(x, y)
        back = np.array(g.project(ground.latitude_deg, ground.longitude_deg))
        seen = np.isfinite(ground.latitude_deg) & (ground.emission_deg < 89.9)
        assert np.abs(back - (x, y))[:, seen].max(initial=0) < 1e-6


def test_far_side_and_scalars():
    g = view()
    latitude, longitude = g.sub_spacecraft_deg
    x, y = g.project(latitude, longitude)
    # The body is oblate: the point under the camera in planetocentric terms lies on the line to the centre.
    assert np.allclose((x, y), centre(g), atol=1e-6)
    assert np.isnan(g.project(-latitude, longitude + 180)).all()
    assert np.ndim(g.ground(511.5, 511.5).latitude_deg) == 0
    assert np.isnan(g.ground(5.0, 5.0).latitude_deg)


def test_subframe_is_the_same_ground():
    whole = view()
    part = replace(whole, shape=(200, 300), origin_xy=(400.0, 350.0))
    assert whole.ground(450.25, 400.5).longitude_deg == pytest.approx(part.ground(50.25, 50.5).longitude_deg)
    assert np.array_equal(
        part.backplanes().incidence_deg, whole.backplanes().incidence_deg[350:550, 400:700], equal_nan=True
    ) or np.allclose(
        part.backplanes().incidence_deg,
        whole.backplanes().incidence_deg[350:550, 400:700],
        atol=1e-4,
        equal_nan=True,
    )
    x, y = part.project(20.0, 200.0)
    assert np.allclose(whole.project(20.0, 200.0), (x + 400, y + 350))


@pytest.mark.parametrize("g", list(random_views(4, seed=11)))
def test_backplanes_are_the_exact_ground(g):
    planes = replace(g, shape=(1024, 256), origin_xy=(384.0, 0.0)).backplanes()
    x, y = np.meshgrid(np.arange(384, 640), np.arange(1024))
    ground = g.ground(x, y)
    for name, plane in planes._asdict().items():
        exact = getattr(ground, name)
        assert plane.dtype == np.float32
        assert np.array_equal(np.isnan(plane), np.isnan(exact)), name
        if name == "slant_range_km":
            assert np.nanmax(np.abs(plane / exact - 1), initial=0) < 4e-7
        elif name == "pixel_area_km2":
            well = ground.emission_deg < 88
            assert np.nanmax(np.abs(plane / exact - 1)[well], initial=0) < 1e-5
        elif "azimuth" in name:
            well = (ground.emission_deg < 89) & (np.abs(ground.latitude_deg) < 89.9)
            well &= (ground.incidence_deg > 0.1) & (ground.incidence_deg < 179.9)
            assert np.nanmax(circular(plane, exact)[well], initial=0) < 1e-3, name
        else:
            assert np.nanmax(circular(plane, exact), initial=0) < 1e-3, name


def test_azimuths_by_walking_on_the_ground():
    """North and sunward are where the image goes when a point takes a small step there."""
    g = view(9000.0, 60.0)
    rng = np.random.default_rng(4)
    x, y = rng.uniform(200, 800, (2, 50))
    ground = g.ground(x, y)
    radii = np.asarray(g.radii_km)
    normal = ground.point_km / radii**2
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    to_sun = g.sun_km - ground.point_km
    to_sun /= np.linalg.norm(to_sun, axis=-1, keepdims=True)
    for direction, azimuth in (
        (np.array([0.0, 0.0, 1.0]), ground.north_azimuth_deg),
        (to_sun, ground.sun_azimuth_deg),
    ):
        flat = direction - np.sum(direction * normal, axis=-1, keepdims=True) * normal
        step = ground.point_km + 1e-3 * flat
        dx, dy = g.project_points(step)[0] - x, g.project_points(step)[1] - y
        assert circular(np.degrees(np.arctan2(dx, -dy)), azimuth).max() < 0.01


def test_scale_matrix_and_pixel_area_by_finite_differences():
    g = view(3000.0, 60.0, off=(150.0, 80.0))
    x, y = np.meshgrid(np.linspace(10, 1000, 8), np.linspace(10, 1000, 8))
    here = g.ground(x, y)
    step = 1e-3
    right, down = g.ground(x + step, y).point_km, g.ground(x, y + step).point_km
    moves = np.stack([right - here.point_km, down - here.point_km], axis=-1) / step
    normal = here.point_km / np.asarray(g.radii_km) ** 2
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    north = np.array([0.0, 0.0, 1.0]) - normal[..., 2:] * normal
    north /= np.linalg.norm(north, axis=-1, keepdims=True)
    east = np.cross(north, normal)
    expected = np.stack([np.einsum("...i,...ij->...j", axis, moves) for axis in (east, north)], axis=-2)
    seen = here.emission_deg < 75
    assert np.allclose(here.scale_km[seen], expected[seen], rtol=1e-3, atol=1e-4)
    area = np.linalg.norm(np.cross(moves[..., 0], moves[..., 1]), axis=-1)
    assert np.allclose(here.pixel_area_km2[seen], area[seen], rtol=2e-3)


def test_areas_add_up_to_the_visible_cap():
    g = view(40000.0, 20.0, radii=(470.0, 470.0, 470.0))
    area = np.nansum(g.backplanes().pixel_area_km2[g.backplanes().emission_deg < 60])
    # Emission 60 on a sphere seen from d: centre angle 60 - asin(r sin 60 / d).
    angle = np.radians(60) - np.arcsin(470 * np.sin(np.radians(60)) / 40000)
    assert area == pytest.approx(2 * np.pi * 470**2 * (1 - np.cos(angle)), rel=5e-3)


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_twice_the_range_and_radii_is_twice_every_kilometre(factor):
    g = view(6000.0, 40.0, off=(90.0, -60.0))
    big = replace(
        g,
        spacecraft_km=factor * g.spacecraft_km,
        radii_km=tuple(factor * r for r in g.radii_km),
        sun_km=factor * g.sun_km,
    )
    x, y = np.random.default_rng(0).uniform(100, 900, (2, 100))
    small, large = g.ground(x, y), big.ground(x, y)
    assert np.allclose(large.slant_range_km, factor * small.slant_range_km, equal_nan=True)
    assert np.allclose(large.scale_km, factor * small.scale_km, equal_nan=True)
    assert np.allclose(large.pixel_area_km2, factor**2 * small.pixel_area_km2, equal_nan=True)
    for name in ("latitude_deg", "incidence_deg", "emission_deg", "phase_deg", "sun_azimuth_deg"):
        assert np.allclose(getattr(large, name), getattr(small, name), equal_nan=True)


def test_limb_is_where_emission_is_ninety():
    g = view(5000.0, 40.0)
    x, y, incidence = g.limb(64)
    x0, y0 = x.mean(), y.mean()
    inside = g.ground(x0 + (x - x0) * 0.9999, y0 + (y - y0) * 0.9999)
    outside = g.ground(x0 + (x - x0) * 1.0001, y0 + (y - y0) * 1.0001)
    assert np.isfinite(inside.latitude_deg).all() and (inside.emission_deg > 88).all()
    assert np.isnan(outside.latitude_deg).all()
    assert np.abs(inside.incidence_deg - incidence).max() < 2.0


def test_xarray_carries_units():
    xarray = pytest.importorskip("xarray")
    dataset = replace(view(), shape=(64, 48), origin_xy=(480.0, 480.0)).to_xarray()
    assert isinstance(dataset, xarray.Dataset) and dict(dataset.sizes) == {"y": 64, "x": 48}
    assert set(dataset.data_vars) == set(geometry.Backplanes._fields) == set(geometry.BACKPLANES)
    assert all(v.attrs["units"] and v.attrs["long_name"] for v in dataset.data_vars.values())


# --- meshes ---------------------------------------------------------------------------------------


def bilinear(mesh, step, x, y):
    u, v = (x - (step - 1) / 2) / step, (y - (step - 1) / 2) / step
    i, j = np.floor(u).astype(int), np.floor(v).astype(int)
    fx, fy = u - i, v - j
    top = mesh[j, i] * (1 - fx) + mesh[j, i + 1] * fx
    return top * (1 - fy) + (mesh[j + 1, i] * (1 - fx) + mesh[j + 1, i + 1] * fx) * fy


@pytest.mark.parametrize("step", [8, 16])
def test_interpolated_mesh_keeps_its_error_bound(step):
    """Bilinear error is at most h^2/8 (|f_xx| + |f_yy|).

    On a sphere of apparent radius R pixels |mu_xx| + |mu_yy| = (1 + mu^2) / (R^2 mu^3), and mu0 is a linear
    function plus a share of mu: the error of either is below h^2 / (4 R^2 mu^3), with the smallest mu in
    the cell. Twice that allows for flattening and perspective.
    """
    for g in random_views(12, seed=7):
        radius = np.arcsin(482 / g.target_center_distance_km) / g.camera.mean_ifov_rad
        mesh = g.disk_mesh(step)
        x, y = np.random.default_rng(1).uniform(step, 1023 - 2 * step, (2, 4000))
        ground = g.ground(x, y)
        for values, exact in ((mesh.mu0, ground.incidence_deg), (mesh.mu, ground.emission_deg)):
            found = bilinear(values, step, x, y)
            mu = np.cos(np.radians(ground.emission_deg))
            worst = np.sqrt(np.maximum(mu**2 - 4.0 * step / radius, 1e-9))
            bound = 2.0 * step**2 / (4 * radius**2 * worst**3) + 1e-6
            good = np.isfinite(found) & (mu**2 > 6.0 * step / radius)
            error = np.abs(found - np.cos(np.radians(exact)))
            assert (error[good] <= bound[good]).all()


def test_mesh_is_exact_at_block_centres():
    g = replace(view(), shape=(1000, 1023))
    mesh = g.disk_mesh(8)
    assert mesh.mu0.shape == (125, 128)
    x, y = np.meshgrid(np.arange(128) * 8 + 3.5, np.arange(125) * 8 + 3.5)
    ground = g.ground(x, y)
    assert np.array_equal(np.isnan(mesh.mu), np.isnan(ground.emission_deg))
    assert np.nanmax(np.abs(mesh.mu0 - np.cos(np.radians(ground.incidence_deg)))) < 1e-6
    assert np.nanmax(np.abs(mesh.mu - np.cos(np.radians(ground.emission_deg)))) < 1e-6
    assert np.nanmax(np.abs(mesh.phase_deg - ground.phase_deg)) < 1e-4


@pytest.mark.parametrize("up", [1.0, -1.0])
def test_at_a_pole_the_ground_is_as_beside_it(up):
    pole = np.array([0.0, 0.0, up])
    axes = np.array([[1.0, 0.0, 0.0], [0.0, -up, 0.0], -pole])
    view = geometry.ViewingGeometry(
        Camera.framing_camera("FC2", 1), (1024, 1024), 5000.0 * pole, np.array([4e8, 1e8, 1e8]), axes
    )
    x, y = (float(v) for v in view.project_points(446.0 * pole))
    at, beside = view.ground(x, y), view.ground(x + 1e-3, y)
    assert at.latitude_deg == pytest.approx(90.0 * up)
    assert at.pixel_area_km2 == pytest.approx(beside.pixel_area_km2, rel=1e-4)
    assert all(np.isfinite(plane).all() for plane in at)
