"""Views laid on pictures: which way they are turned, where they point, and pictures without a label."""

import re
from dataclasses import replace

import numpy as np
import pytest

from brightspot import geometry
from brightspot.errors import GeometryError
from brightspot.geometry.sources import turn
from test_geometry import centre, circular, render, view

# --- the picture ----------------------------------------------------------------------------------


several_views = pytest.mark.parametrize(
    ("distance_km", "phase_deg", "off"),
    [
        (22470, 20, (0, 0)),
        (22470, 80, (30, -50)),
        (14000, 120, (0, 0)),
        (7700, 40, (300, 200)),
        (46500, 25, (100, 40)),
    ],
)


@several_views
def test_orientation_is_told_from_the_picture(distance_km, phase_deg, off):
    g = view(distance_km, phase_deg, off=off)
    image = render(g)
    check = geometry.check_orientation(g, image)
    assert check.agrees is True and check.best_flip == "none"
    for name, flipped in (
        ("up-down", image[::-1]),
        ("left-right", image[:, ::-1]),
        ("both", image[::-1, ::-1]),
    ):
        check = geometry.check_orientation(g, np.ascontiguousarray(flipped))
        assert check.agrees is False and check.best_flip == name


def test_orientation_that_cannot_be_told():
    # Face on at full phase: every flip looks alike.
    g = view(22470, 0.5, latitude=0.0)
    assert geometry.check_orientation(g, render(g)).agrees is None
    # The body fills the frame, evenly lit: only terrain to see.
    g = view(1800, 2.0)
    image = render(g, rough=1.0)
    assert geometry.check_orientation(g, image).agrees is None
    nothing = np.zeros((1024, 1024), np.float32)
    assert geometry.check_orientation(g, nothing).agrees is None
    assert geometry.check_orientation(g, nothing, np.ones((1024, 1024), bool)).agrees is None


@several_views
def test_pointing_is_refined_to_a_fraction_of_a_pixel(distance_km, phase_deg, off):
    true = view(distance_km, phase_deg, off=off)
    image = render(true)
    for shift in ((7.3, -5.1), (-0.4, 0.3), (0.0, 0.0)):
        refined, moved = geometry.refine_pointing(pointed_off(true, shift), image)
        assert moved.n_limb_points >= 24 and moved.rms_px < 0.7
        assert moved.measured_px == pytest.approx(
            (-shift[0], -shift[1]), abs=max(0.35, 2 * moved.error_px[1])
        )
        if moved.verdict == "moved":
            assert np.abs(centre(refined) - centre(true)).max() < max(0.35, 2 * moved.error_px[1])
        else:
            assert np.hypot(*shift) < 3 * np.hypot(*moved.error_px)


def pointed_off(g, shift):
    """The same view as a label would tell it whose pointing is off by ``shift`` pixels."""
    camera = g.camera
    wrong = turn(camera.pixel_to_ray(511.5, 511.5), camera.pixel_to_ray(511.5 + shift[0], 511.5 + shift[1]))
    return replace(g, camera_from_body=wrong @ g.camera_from_body)


@pytest.mark.parametrize(
    ("distance_km", "phase_deg", "off"),
    [(22470, 20, (0, 0)), (14000, 90, (150, -100)), (7700, 40, (300, 200)), (46500, 60, (-300, 40))],
)
@pytest.mark.parametrize("shift", [(40.0, -35.0), (-180.0, 240.0)])
def test_pointing_hundreds_of_pixels_off_is_recovered(distance_km, phase_deg, off, shift):
    true = view(distance_km, phase_deg, off=off)
    refined, moved = geometry.refine_pointing(pointed_off(true, shift), render(true))
    assert moved.verdict == "moved" and moved.inlier_share > 0.9
    assert np.hypot(*(centre(refined) - centre(true))) < 3 * np.hypot(*moved.error_px)
    assert np.hypot(*(centre(refined) - centre(true))) < 4.0


def test_terminator_alone_moves_the_view_if_far_off():
    """The dark side fills the frame's left: no limb, but where night begins tells the pointing across it."""
    true = view(5000, 80, latitude=0.0, roll=0, off=(0, 0), sun_azimuth=90)
    x, y, incidence = true.limb(720)
    assert not ((x > 0) & (x < 1023) & (y > 0) & (y < 1023) & (incidence < 75)).any()
    image = render(true)
    same, moved = geometry.refine_pointing(true, image)
    assert same is true and moved.n_limb_points == 0 and moved.verdict in ("agrees", "nothing", "unsure")
    wrong = pointed_off(true, (230.0, 20.0))
    refined, moved = geometry.refine_pointing(wrong, image)
    before = np.abs((centre(wrong) - centre(true)) @ moved.direction)
    assert moved.verdict.startswith("moved")
    assert np.abs((centre(refined) - centre(true)) @ moved.direction) < 0.25 * before


def test_another_picture_is_not_taken_for_a_shifted_one():
    told = view(14000, 40)
    rng = np.random.default_rng(5)
    squares = np.kron(rng.uniform(size=(16, 16)) > 0.5, np.ones((64, 64))).astype(np.float32)
    for picture in (squares, render(view(40000, 120, roll=200, off=(350, 300)))):
        same, moved = geometry.refine_pointing(told, picture)
        assert same is told and (moved.dx_px, moved.dy_px) == (0.0, 0.0) and moved.verdict == "lost"


def test_pointing_is_left_alone_without_a_limb():
    g = view(3000, 40)
    for picture in (render(g, rough=1.0), np.zeros((1024, 1024), np.float32)):
        same, moved = geometry.refine_pointing(g, picture)
        assert same is g and moved.n_limb_points == 0 and moved.dx_px == moved.dy_px == 0.0
    far = view(1.2e6, 20)
    assert geometry.refine_pointing(far, render(far))[0] is far


def test_pointing_is_not_drawn_off_by_the_terminator_or_bad_pixels():
    true = view(22470, 95, off=(20, 10))
    image = render(true, rough=0.8)
    mask = np.zeros(image.shape, bool)
    mask[300:420, :] = True
    image[mask] = 50.0
    refined, moved = geometry.refine_pointing(true, image, mask)
    assert np.abs(centre(refined) - centre(true)).max() < 0.4
    assert moved.n_limb_points > 24


def test_short_arc_moves_the_view_only_across_the_limb():
    true = view(4000, 40, off=(1400, 0), roll=0, sun_azimuth=290)
    image = render(true)
    wrong = pointed_off(true, (-28.0, -16.0))
    refined, moved = geometry.refine_pointing(wrong, image)
    assert moved.verdict == "moved across" and moved.n_limb_points >= 24
    direction, left = np.array(moved.direction), centre(refined) - centre(true)
    assert abs(direction @ left) < 3 * moved.error_px[0]
    # Along the limb the label's pointing stays.
    across = np.array([-direction[1], direction[0]])
    assert across @ left == pytest.approx(across @ (centre(wrong) - centre(true)), abs=0.2)
    assert moved.error_px[1] > 3 * moved.error_px[0]


def located(true, told, image=None):
    """A frame of ``true`` whose label says ``told``, as `locate` leaves it."""
    from brightspot.frame import Frame, locate

    pixels = render(true) if image is None else image
    nothing = np.zeros(pixels.shape, bool)
    return locate(Frame("a", None, pixels, nothing, nothing, "I/F", "FC2", 1, target="CERES", geometry=told))


def test_good_pointing_is_left_without_a_word():
    true = view()
    frame = located(true, true)
    assert frame.geometry is true and not any("pointing" in note or "limb" in note for note in frame.notes)


def test_wrong_pointing_is_put_right_and_said():
    true = view()
    frame = located(true, pointed_off(true, (9.0, -4.0)))
    assert np.abs(centre(frame.geometry) - centre(true)).max() < 2.0
    assert any(
        re.search(r"pointing moved by \(-\d+\.\d+, \+\d+\.\d+\) px onto the limb", n) for n in frame.notes
    )
    frame = located(true, pointed_off(true, (150.0, 90.0)))
    assert np.abs(centre(frame.geometry) - centre(true)).max() < 2.0 and not frame.orientation_doubtful
    assert any(re.search(r"points 0\.9\d degree beside", note) for note in frame.notes)


def test_a_label_of_another_picture_is_doubted():
    true = view(40000, 120, roll=200, off=(350, 300))
    frame = located(true, view())
    assert frame.orientation_doubtful or frame.geometry is None or frame.geometry.source == "limb"
    assert frame.notes


def test_short_arc_is_said_to_fix_one_direction():
    true = view(4000, 40, off=(1400, 0), roll=0, sun_azimuth=290)
    frame = located(true, pointed_off(true, (-28.0, -16.0)))
    assert any("in that direction only" in note for note in frame.notes)


# --- pictures without a label ---------------------------------------------------------------------


def angle_between(a, b):
    return np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1)))


@pytest.mark.parametrize(("phase_deg", "azimuth"), [(12, 300), (40, 40), (80, 170), (130, 250)])
def test_sun_is_found_from_the_shading(phase_deg, azimuth):
    g = view(22470, phase_deg, sun_azimuth=azimuth)
    fit = geometry.fit_sun(g, render(g))
    true = g.camera_from_body @ g.sun_km
    error = angle_between(fit.camera_direction, true)
    assert error < 4.0 and error < 3.0 * fit.uncertainty_deg
    assert fit.phase_deg == pytest.approx(phase_deg, abs=4) and fit.score > 0.8
    if phase_deg >= 40:
        assert circular(fit.azimuth_deg, azimuth) < 4


def test_sun_needs_a_body():
    g = view(22470, 40)
    with pytest.raises(GeometryError, match="too little"):
        geometry.fit_sun(g, np.zeros((1024, 1024), np.float32), np.ones((1024, 1024), bool))


@pytest.mark.parametrize("latitude", [0.0, 35.0, 80.0])
def test_geometry_from_a_limb_has_the_true_angles(latitude):
    true = view(46500, 55, latitude=latitude)
    x, y, _ = true.limb(400)
    xy = np.stack([x - x.mean(), y - y.mean()])
    values, vectors = np.linalg.eigh(xy @ xy.T)
    position_angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])) % 180
    scale_km = true.target_center_distance_km * true.camera.mean_ifov_rad
    image = render(true)
    g = geometry.from_limb(
        (x.mean(), y.mean()),
        scale_km,
        shape=image.shape,
        axis_ratio=float(np.sqrt(values[0] / values[1])),
        pole_azimuth_deg=position_angle,
        image=image,
    )
    assert g.source == "limb" and not g.longitude_known
    found, exact = g.backplanes(), true.backplanes()
    for name in ("latitude_deg", "longitude_deg", "slant_range_km", "north_azimuth_deg"):
        assert np.isnan(getattr(found, name)).all()
        assert np.isnan(getattr(g.ground(x.mean(), y.mean()), name))
    seen = exact.emission_deg < 60
    # Which way the pole leans is not known: 4.5 degrees, and the fitted Sun's error.
    assert np.nanmax(np.abs(found.emission_deg - exact.emission_deg)[seen]) < 5.0
    assert np.nanmax(np.abs(found.incidence_deg - exact.incidence_deg)[seen]) < 7.0
    assert np.nanmedian((found.pixel_area_km2 / exact.pixel_area_km2)[seen]) == pytest.approx(1.0, abs=0.03)
    assert np.nanmedian(circular(found.sun_azimuth_deg, exact.sun_azimuth_deg)[seen]) < 4.0
    assert np.isnan(g.project(0.0, 0.0)).all()


def test_limb_with_a_given_sun_and_bad_scale():
    g = geometry.from_limb((100.0, 90.0), 5.0, shape=(200, 220), sun_camera=(1.0, 0.0, -1.0))
    assert g.phase_deg == pytest.approx(45.0, abs=0.1)
    assert g.ground(100.0, 90.0).sun_azimuth_deg == pytest.approx(90.0, abs=0.1)
    assert np.sqrt(g.ground(100.0, 90.0).pixel_area_km2) == pytest.approx(5.0, rel=1e-3)
    with pytest.raises(GeometryError, match="positive"):
        geometry.from_limb((100.0, 90.0), 0.0, shape=(200, 220))
