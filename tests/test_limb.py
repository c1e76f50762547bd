"""The limb fit on disks drawn here (not by the simulator), on flips and scalings, and on real pictures."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from brightspot._kernels import light
from brightspot.errors import ScaleError
from brightspot.frame import Frame, locate
from brightspot.limb import LimbFit, fit_limb

SHARED = Path(__file__).parents[2] / "shared"
REAL = SHARED / "real"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="real pictures are not at hand")


def sunward_pole(latitude_deg, phase_deg, sun_deg):
    """Pole (x right, y down, z to the viewer) of a body seen from a latitude with the Sun on its equator."""
    latitude = np.deg2rad(min(latitude_deg, 0.9 * phase_deg))
    away = np.arccos(-np.tan(latitude) / np.tan(np.deg2rad(phase_deg))) if phase_deg < 90 else np.pi / 2
    turn = np.deg2rad(sun_deg) + away
    return np.array([np.cos(latitude) * np.cos(turn), np.cos(latitude) * np.sin(turn), np.sin(latitude)])


def disk(
    shape=(300, 300),
    center=(150.0, 150.0),
    a=100.0,
    latitude_deg=36.0,
    phase_deg=45.0,
    sun_deg=200.0,
    relief=0.0,
    rough=0.0,
    noise=0.01,
    sky=10.0,
    level=1000.0,
    seed=1,
):
    """A lit spheroid, orthographic, Akimov's disk function; angles from +x towards +y.

    The pole lies where the Sun stands over the equator.
    """
    rng = np.random.default_rng(seed)
    k = 3 if max(shape) < 500 else 2
    y, x = np.mgrid[0 : shape[0] * k, 0 : shape[1] * k]
    x, y = ((x + 0.5) / k - 0.5 - center[0]) / a, ((y + 0.5) / k - 0.5 - center[1]) / a
    around = np.linspace(-np.pi, np.pi, 2001)
    waves = [rng.normal() * n**-1.3 * np.cos(n * around + rng.uniform(0, 6.3)) for n in range(5, 60)]
    height = np.interp(np.arctan2(y, x), around, sum(waves)) / np.std(sum(waves))
    x, y = x / (1.0 + relief * height), y / (1.0 + relief * height)
    # r' Q r = 1 with Q = 1 + (a^2/c^2 - 1) pole pole'.
    pole = sunward_pole(latitude_deg, phase_deg, sun_deg)
    form = np.eye(3) + ((482.0 / 446.0) ** 2 - 1.0) * np.outer(pole, pole)
    linear = form[0, 2] * x + form[1, 2] * y
    rest = form[0, 0] * x**2 + 2.0 * form[0, 1] * x * y + form[1, 1] * y**2 - 1.0
    root = linear**2 - form[2, 2] * rest
    z = (np.sqrt(np.maximum(root, 0.0)) - linear) / form[2, 2]
    u, v, w = (form[i, 0] * x + form[i, 1] * y + form[i, 2] * z for i in range(3))
    size = np.sqrt(u**2 + v**2 + w**2)
    u, v, w = u / size, v / size, w / size
    bumps = rng.normal(size=(2, 50, 50))
    grid = [np.clip(25.0 + 20.0 * t, 0, 49) for t in (v, u)]
    slope = [rough * ndimage.map_coordinates(b, grid, order=1) for b in bumps]
    u, v = u + slope[0], v + slope[1]
    s, p = np.deg2rad(sun_deg), np.deg2rad(phase_deg)
    along, across = u * np.cos(s) + v * np.sin(s), v * np.cos(s) - u * np.sin(s)
    longitude, cos_latitude = np.arctan2(along, w), np.sqrt(np.clip(1.0 - across**2, 1e-6, 1.0))
    fall = np.cos(np.pi / (np.pi - p) * (longitude - p / 2.0)) / np.maximum(np.cos(longitude), 1e-3)
    bright = np.where(longitude > p - np.pi / 2.0, fall, 0.0) * cos_latitude ** (p / (np.pi - p))
    image = np.where(root > 0.0, level * np.clip(bright, 0.0, 3.0), 0.0)
    image = image.reshape(shape[0], k, shape[1], k).mean(axis=(1, 3))
    image = ndimage.gaussian_filter(image, 0.6) + sky + noise * level * rng.normal(size=shape)
    return image.astype(np.float32)


def relative(fit: LimbFit, a: float) -> float:
    """How far the scale is off."""
    return fit.km_per_pixel * a / 482.0 - 1.0


@pytest.mark.parametrize("phase_deg", [10, 30, 50, 70, 90])
@pytest.mark.parametrize("a", [20, 50, 110])
def test_whole_disks(a, phase_deg):
    side = int(2.8 * a)
    center = (side * 0.5 + 0.3, side * 0.5 - 1.2)
    fit = fit_limb(disk((side, side), center, a, phase_deg=phase_deg, sun_deg=237.0))
    error = fit.km_per_pixel_error / fit.km_per_pixel
    assert abs(relative(fit, a)) < (0.035 if a == 20 else 0.01)
    assert abs(relative(fit, a)) < 3.0 * error
    assert np.hypot(fit.center_x - center[0], fit.center_y - center[1]) < (0.04 if a == 20 else 0.015) * a


@pytest.mark.parametrize("phase_deg", [12, 60])
def test_large_disk_in_a_full_frame(phase_deg):
    image = disk(
        (1024, 1024), (505.0, 520.0), 445.0, latitude_deg=20.0, phase_deg=phase_deg, relief=0.002, rough=0.1
    )
    fit = fit_limb(image)
    error = fit.km_per_pixel_error / fit.km_per_pixel
    assert abs(relative(fit, 445.0)) < (0.01 if phase_deg == 12 else 3.0 * error)
    assert error < (0.01 if phase_deg == 12 else 0.03)
    assert fit.semi_minor_px / fit.semi_major_px == pytest.approx(0.93, abs=0.01 if phase_deg == 12 else 0.05)


def test_cut_by_the_frame():
    image = disk((400, 400), (170.0, 60.0), 150.0, phase_deg=40, sun_deg=120.0, relief=0.001)
    fit = fit_limb(image)
    assert abs(relative(fit, 150.0)) < max(0.01, 2.0 * fit.km_per_pixel_error / fit.km_per_pixel)
    assert fit.arc_deg < 180.0


def test_short_arc_says_so():
    image = disk((300, 300), (-200.0, 150.0), 400.0, phase_deg=50, sun_deg=0.0)
    fit = fit_limb(image)
    assert fit.quality == "poor"
    assert fit.km_per_pixel_error > 0.03 * fit.km_per_pixel
    assert abs(relative(fit, 400.0)) < 3.0 * fit.km_per_pixel_error / fit.km_per_pixel


def test_terminator_is_not_taken_for_limb():
    """At quarter phase a fit that used the terminator would put the centre on the lit side."""
    image = disk(phase_deg=90.0, sun_deg=0.0, rough=0.1, relief=0.002)
    fit = fit_limb(image)
    assert abs(fit.center_x - 150.0) < 4.0
    assert fit.semi_major_px == pytest.approx(100.0, rel=0.03)


@pytest.mark.parametrize("sun_deg", [0.0, 77.0, 200.0, 310.0])
def test_sun_azimuth_is_clockwise_from_up(sun_deg):
    fit = fit_limb(disk(phase_deg=60.0, sun_deg=sun_deg))
    # From +x towards +y is clockwise as displayed; up is -y.
    assert abs((fit.sun_azimuth_deg - (sun_deg + 90.0) + 180.0) % 360.0 - 180.0) < 6.0


@pytest.mark.parametrize("factor", [2, 3])
def test_enlarging_divides_the_scale(factor):
    image = disk((200, 200), (100.0, 95.0), 60.0, phase_deg=30, noise=0.005)
    once, more = fit_limb(image), fit_limb(ndimage.zoom(image, factor, order=3))
    assert more.km_per_pixel * factor == pytest.approx(once.km_per_pixel, rel=0.01)


def test_bigger_body_bigger_pixels():
    image = disk()
    once, twice = fit_limb(image), fit_limb(image, figure=(964.0, 964.0, 892.0))
    assert twice.km_per_pixel == pytest.approx(2.0 * once.km_per_pixel, rel=1e-9)


def test_flips_flip_the_fit():
    image = disk(shape=(280, 320), center=(150.0, 120.0), latitude_deg=15.0, phase_deg=35, relief=0.001)
    fit = fit_limb(image)
    for flipped, x, y, angle in (
        (image[::-1], fit.center_x, 279.0 - fit.center_y, -fit.position_angle_deg),
        (image[:, ::-1], 319.0 - fit.center_x, fit.center_y, -fit.position_angle_deg),
        (image.T, fit.center_y, fit.center_x, 90.0 - fit.position_angle_deg),
    ):
        other = fit_limb(flipped)
        assert (other.center_x, other.center_y) == pytest.approx((x, y), abs=0.3)
        assert other.km_per_pixel == pytest.approx(fit.km_per_pixel, rel=3e-3)
        assert abs((other.position_angle_deg - angle + 90.0) % 180.0 - 90.0) < 3.0


def test_linear_stretch_changes_nothing():
    image = disk(phase_deg=50)
    fit, other = fit_limb(image), fit_limb(7.0 + 0.25 * image)
    assert other.km_per_pixel == pytest.approx(fit.km_per_pixel, rel=1e-3)


def test_eight_bits_stars_and_hot_pixels():
    image = disk((600, 600), (300.0, 310.0), 150.0, phase_deg=40, relief=0.001)
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 600, (2, 200))
    image[y, x] += rng.uniform(100, 15000, 200).astype(np.float32)
    picture = np.clip(image / 4.0, 0, 255).astype(np.uint8).astype(np.float32)
    assert abs(relative(fit_limb(picture), 150.0)) < 0.01


def test_masked_pixels_are_not_looked_at():
    image = disk((300, 300), (150.0, 150.0), 100.0, phase_deg=20)
    mask = np.zeros(image.shape, bool)
    mask[:, 150:170] = True
    mask[60:80] = True
    image[mask] = 5000.0
    assert abs(relative(fit_limb(image, mask), 100.0)) < 0.015


def test_known_altitude_widens_the_scale_by_the_secant():
    image = disk()
    far, near = fit_limb(image), fit_limb(image, altitude_km=4400.0)
    secant = 1.0 / np.cos(np.arcsin(482.0 / (4400.0 + 482.0)))
    assert near.km_per_pixel / far.km_per_pixel == pytest.approx(secant, rel=1e-9)


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (57, 83)])
def test_medians_are_scipys(shape):
    from brightspot._kernels.limb import median_3x3

    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert np.array_equal(median_3x3(image), ndimage.median_filter(image, 3, mode="nearest"))


@pytest.mark.parametrize("phase_deg", [15, 55, 85])
def test_sun_is_told_by_the_whole_disk(phase_deg):
    fit = fit_limb(disk(phase_deg=phase_deg, sun_deg=130.0, rough=0.05))
    x, y, z = fit.sun_camera
    assert np.degrees(np.arccos(-z)) == pytest.approx(phase_deg, abs=6.0)
    assert abs((np.degrees(np.arctan2(y, x)) - 130.0 + 180.0) % 360.0 - 180.0) < 6.0


@pytest.mark.parametrize("seed", range(3))
def test_equations_of_the_fit_are_solved_as_lapack_does(seed):
    rng = np.random.default_rng(seed)
    root, right = rng.normal(size=(10, 12)), rng.normal(size=10)
    matrix, solution = root @ root.T, right.copy()
    light._solve(matrix.copy(), solution)
    np.testing.assert_allclose(solution, np.linalg.solve(matrix, right), rtol=1e-8)
    light._solve(-matrix, solution)
    assert not np.isfinite(solution).any()


@pytest.mark.parametrize("step", range(10))
def test_steps_of_the_fit_keep_directions_at_length_one(step):
    rng = np.random.default_rng(step)
    state = rng.normal(size=12)
    for first in (light.POLE, light.SUN):
        state[first : first + 3] /= np.linalg.norm(state[first : first + 3])
    change = light.moved(state, step, 1e-6) - state
    assert np.linalg.norm(change) == pytest.approx(1e-6, rel=1e-5)
    if 3 <= step < 7:
        first = light.POLE if step < 5 else light.SUN
        other = light.moved(state, step + 1 if step % 2 else step - 1, 1e-6) - state
        assert abs(change @ state) < 1e-11 and abs(change @ other) < 1e-17  # square to it, and to each other
        assert np.linalg.norm(change[first : first + 3]) == pytest.approx(1e-6, rel=1e-5)


def test_light_ties_what_half_a_limb_leaves_open(monkeypatch):
    image = disk(phase_deg=35.0, sun_deg=30.0, relief=0.003, rough=0.05)
    both = fit_limb(image)
    monkeypatch.setattr("brightspot.limb.fit.fit_light", lambda *_: None)
    alone = fit_limb(image)
    assert both.km_per_pixel_error < 0.9 * alone.km_per_pixel_error
    assert abs(relative(both, 100.0)) < 2.0 * both.km_per_pixel_error / both.km_per_pixel
    assert alone.sun_camera is None and both.sun_camera is not None


def test_a_stretched_picture_has_the_same_scale():
    image = disk(phase_deg=50.0, rough=0.05)
    fit, dark = fit_limb(image), fit_limb(np.clip(image - 10.0, 0.0, None) ** 0.7)
    assert dark.km_per_pixel == pytest.approx(fit.km_per_pixel, rel=0.01)


def test_known_place_needs_no_search():
    image = disk(phase_deg=50.0)
    fit, near = fit_limb(image), fit_limb(image, near=(154.0, 147.0, 98.0))
    assert near.km_per_pixel == pytest.approx(fit.km_per_pixel, rel=0.02)
    assert near.sun_camera is None
    with pytest.raises(ScaleError):
        fit_limb(image, near=(40.0, 40.0, 30.0))


def _surface(seed):
    rng = np.random.default_rng(seed)
    return (200 + 60 * ndimage.gaussian_filter(rng.normal(size=(256, 256)), 3) * 10).astype(np.float32)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((64, 64), np.float32),
        np.full((64, 64), np.nan, np.float32),
        np.full((256, 256), 4095.0, np.float32),
        np.ones((1, 1), np.float32),
        _surface(1),
        np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32),
        np.kron(np.eye(2), np.full((100, 100), 255.0)).astype(np.float32),
    ],
    ids=["zero", "nan", "saturated", "one pixel", "surface", "noise", "squares"],
)
def test_no_limb_is_an_error(image):
    with pytest.raises(ScaleError):
        fit_limb(image)


def test_bright_spot_on_the_ground_is_no_disk():
    ground = 100.0 + 15.0 * ndimage.zoom(np.random.default_rng(5).normal(size=(200, 200)), 3, order=1)
    y, x = np.mgrid[0:600, 0:600]
    ground[np.hypot(x - 320, y - 300) < 24] = 520.0
    image = ndimage.gaussian_filter(ground, 0.8) + np.random.default_rng(6).normal(size=ground.shape)
    with pytest.raises(ScaleError, match="fills the frame"):
        fit_limb(image.astype(np.float32))


def _bright_disc_on_even_ground():
    y, x = np.mgrid[0:600, 0:600]
    ground = 100.0 + 200.0 * np.clip(24.5 - np.hypot(x - 320, y - 300), 0.0, 1.0)
    return (ground + np.random.default_rng(6).normal(scale=0.2, size=ground.shape)).astype(np.float32)


@pytest.mark.parametrize(
    ("unit", "ground", "body"),
    [
        ("W m-2 sr-1", 100.0, False), ("I/F", 30.0, False), ("I/F", 5.0, True), ("display", 100.0, False),
        ("display", 30.0, False), ("display", 10.0, True), ("DN", 1500.0, False), ("DN", 270.0, True),
    ],
)  # fmt: skip
def test_bright_disc_on_lit_ground_is_no_body_in_the_sky(unit, ground, body):
    image = _bright_disc_on_even_ground() + np.float32(ground - 100.0)
    found = fit_limb(image)
    assert found.semi_major_px == pytest.approx(24.0, abs=0.3)
    assert (found.sky, found.surface) == pytest.approx((ground, ground + 200.0), abs=1.0)
    frame = Frame(
        name="floor", path=None, image=image, mask=np.zeros(image.shape, bool),
        saturated=np.zeros(image.shape, bool), unit=unit,
    )  # fmt: skip
    located = locate(frame)
    assert (located.geometry is not None) == body
    again = locate(located)
    assert again.scale == located.scale
    assert again.notes == located.notes


def test_lumpy_body_is_refused():
    y, x = np.mgrid[0:300, 0:300] - 150.0
    angle = np.arctan2(y, x)
    outline = 90.0 * (1.0 + 0.08 * np.cos(4 * angle) + 0.06 * np.cos(7 * angle + 1.0))
    image = np.where(np.hypot(x, y) < outline, 500.0, 0.0).astype(np.float32)
    with pytest.raises(ScaleError, match="Ceres' figure"):
        fit_limb(ndimage.gaussian_filter(image, 0.7))


def test_wrong_mask_shape():
    with pytest.raises(ScaleError, match="agree"):
        fit_limb(disk(), np.zeros((3, 3), bool))


@needs_real
@pytest.mark.parametrize(
    ("path", "number", "a", "b", "within"),
    [
        ("press/PIA19562_rc3_full_disk.jpg", 0, 305.5, 283.6, 0.01),
        # Its night side, one level above the sky, shows the whole outline: 224 x 210 px with a rim of 1 or 2.
        ("press/ceres_rotation.gif", 10, 222.5, 208.0, 0.02),
    ],
)
def test_real_pictures(path, number, a, b, within):
    import imageio.v3 as iio

    image = np.atleast_3d(iio.imread(REAL / path, index=number)).mean(axis=-1)
    fit = fit_limb(image)
    assert (fit.semi_major_px, fit.semi_minor_px) == pytest.approx((a, b), rel=within)


@needs_real
@pytest.mark.parametrize("path", ["press/ahuna_mons.jpg", "maps/ceres_global_2048x1024_lon0.jpg"])
def test_real_pictures_without_limb(path):
    import imageio.v3 as iio

    with pytest.raises(ScaleError, match="no limb"):
        fit_limb(np.atleast_3d(iio.imread(REAL / path)).mean(axis=-1))
