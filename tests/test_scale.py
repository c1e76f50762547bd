"""Which scale is believed, what is reported, and locating frames end to end."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from scipy import ndimage

from brightspot import articles, scale
from brightspot.camera import Camera
from brightspot.errors import GeometryError, ScaleError, UsageError
from brightspot.frame import Frame, check_told, locate
from brightspot.limb import LimbFit
from brightspot.simulate import Scene, render


def limb(km_per_pixel=2.0, error=0.01):
    a = 482.0 / km_per_pixel
    return LimbFit(512.0, 512.0, a, 0.95 * a, 90.0, km_per_pixel, error, 0.3, 500, 200.0, 90.0, "good")


def picture(image, **facts):
    mask = np.zeros(image.shape, bool)
    facts = {"name": "a.png", "path": None, "unit": "display", **facts}
    return Frame(image=np.ascontiguousarray(image, np.float32), mask=mask, saturated=mask, **facts)


@pytest.fixture(scope="module")
def april():
    """The view of 14-15 April: 22,000 km over the north, as a labelled frame."""
    scene = Scene(
        name="2015-04-15",
        seed=4,
        date=datetime(2015, 4, 15, 1, 0),
        altitude_km=22_000.0,
        sub_spacecraft_latitude_deg=42.0,
        sub_spacecraft_longitude_deg=240.0,
        sub_solar_latitude_deg=1.0,
        sub_solar_longitude_deg=240.0,
    )
    return render(scene).frame


def test_pixel_scale():
    assert scale.pixel_scale_km(22_000) == pytest.approx(2.05, abs=0.005)
    assert scale.pixel_scale_km(4_400) == pytest.approx(0.410, abs=0.001)
    assert scale.pixel_scale_km(22_000, 8) < scale.pixel_scale_km(22_000, 1)
    assert scale.pixel_scale_km(44_000) == pytest.approx(2 * scale.pixel_scale_km(22_000))


@pytest.mark.parametrize("altitude_km", [0, -1, float("nan"), float("inf"), "far"])
def test_impossible_altitudes(altitude_km):
    with pytest.raises(UsageError, match="altitude"):
        scale.pixel_scale_km(altitude_km)


def test_unknown_camera():
    with pytest.raises(GeometryError):
        scale.pixel_scale_km(1000, 9)


def test_nothing_known():
    choice = scale.choose_scale(limb="no limb in view")
    assert choice.believed is None and choice.pixel_scale_km is None and choice.source is None
    assert choice.refused == (("limb", "no limb in view"),)
    assert choice.assumed


def test_order_user_limb_article():
    seen = articles.match(date="2015-04-15")
    article = scale.choose_scale(observation=seen)
    assert (article.source, article.pixel_scale_km) == ("article", 2.1)
    native_km = 22_470 * Camera.framing_camera("FC2", 1).mean_ifov_rad
    fitted = scale.choose_scale(observation=seen, limb=limb(native_km))
    assert fitted.source == "limb" and fitted.enlargement == 1.0 and fitted.conflicts == ()
    assert fitted.pixel_scale_km == pytest.approx(scale.pixel_scale_km(22_000), rel=0.001)
    told = scale.choose_scale(observation=seen, limb=limb(native_km), user_scale_km=3.0)
    assert told.source == "user" and told.pixel_scale_km == 3.0
    assert len(told.conflicts) == 2 and "limb" in told.conflicts[0]
    assert told.assumed
    altitude = scale.choose_scale(user_altitude_km=22_000)
    assert altitude.pixel_scale_km == pytest.approx(2.05, abs=0.005)
    both = scale.choose_scale(user_altitude_km=22_000, user_scale_km=1.0)
    assert both.pixel_scale_km == 1.0


def test_map_goes_before_limb():
    choice = scale.choose_scale(map_km_per_pixel=0.14, limb=limb(0.5))
    assert choice.source == "map" and not choice.assumed and len(choice.conflicts) == 1


@pytest.mark.parametrize("factor", [2.0, 0.5, 1.6])
def test_enlarged_picture_keeps_the_limbs_kilometres(factor):
    native_km = 22_470 * Camera.framing_camera("FC2", 1).mean_ifov_rad
    seen = articles.match(date="2015-04-15")
    choice = scale.choose_scale(observation=seen, limb=limb(native_km / factor), shape=(2048, 2048))
    assert choice.enlarged and choice.enlargement == pytest.approx(factor, rel=0.01)
    assert choice.pixel_scale_km == pytest.approx(scale.pixel_scale_km(22_000) / factor, rel=0.002)
    assert choice.conflicts == ()
    assert choice.candidates[-1].km_per_pixel == pytest.approx(2.1 / factor, rel=0.01)


def test_article_alone_for_larger_pictures():
    seen = articles.match(name="opnav7")
    doubled = scale.choose_scale(observation=seen, shape=(2048, 2048))
    assert doubled.enlargement == 2.0 and doubled.pixel_scale_km == pytest.approx(1.05)
    odd = scale.choose_scale(observation=seen, shape=(1068, 1891))
    assert odd.believed is None and "enlarged" in odd.refused[0][1]


def test_doubling_all_distances_doubles_the_scale():
    once = scale.choose_scale(limb=limb(2.0), user_altitude_km=None)
    twice = scale.choose_scale(limb=limb(4.0))
    assert twice.pixel_scale_km / once.pixel_scale_km == pytest.approx(2.0, rel=0.06)
    assert scale.choose_scale(user_altitude_km=8800).pixel_scale_km == pytest.approx(
        2.0 * scale.choose_scale(user_altitude_km=4400).pixel_scale_km
    )


@pytest.mark.parametrize("value", [0.0, -2.0, float("nan"), float("inf")])
def test_impossible_user_scale(value):
    with pytest.raises(UsageError, match="scale"):
        scale.choose_scale(user_scale_km=value)


def test_impossible_scale():
    with pytest.raises(ScaleError):
        scale.Scale(-1.0, 0.0, "map", "")


def test_label_limb_and_article_agree(april):
    located = locate(april)
    choice = located.scale
    assert choice.source == "label" and not choice.assumed
    by_source = {s.source: s for s in choice.candidates}
    assert set(by_source) == {"label", "limb", "article"}
    for one in by_source.values():
        assert one.km_per_pixel == pytest.approx(2.052, rel=0.03)
    assert choice.conflicts == ()
    assert located.geometry is not None and not located.orientation_doubtful


def test_wrong_label_is_reported(april):
    view = april.geometry
    wrong = replace(view, camera=replace(view.camera, focal_length_mm=view.camera.focal_length_mm * 1.15))
    located = locate(replace(april, geometry=wrong))
    assert located.scale.source == "label"
    assert any("limb says" in line for line in located.scale.conflicts)
    assert any("limb says" in line for line in located.notes)


def test_label_own_pixel_scale_is_checked(april):
    located = locate(replace(april, label={"HORIZONTAL_PIXEL_SCALE": 2.5}))
    assert any("HORIZONTAL_PIXEL_SCALE" in line for line in located.scale.conflicts)
    located = locate(replace(april, label={"HORIZONTAL_PIXEL_SCALE": 2.052}))
    assert located.scale.conflicts == ()


def test_picture_without_label(april):
    stretched = np.clip(april.image / np.percentile(april.image, 99.8) * 255.0, 0, 255)
    located = locate(picture(stretched, name="2015-04-15.png", start_time=april.start_time))
    assert located.scale.source == "limb"
    assert located.scale.pixel_scale_km == pytest.approx(2.052, rel=0.03)
    assert located.geometry.source == "limb" and not located.geometry.longitude_known
    # Ground areas near the middle of the disk follow from the scale at the surface, not at the centre.
    x, y = located.geometry.project_points(np.zeros(3))
    ground = located.geometry.ground(x, y)
    area = float(ground.pixel_area_km2 * np.cos(np.deg2rad(ground.emission_deg)))
    assert np.sqrt(area) == pytest.approx(located.scale.pixel_scale_km, rel=0.01)


def test_enlarged_png(april):
    stretched = np.clip(april.image / np.percentile(april.image, 99.8) * 255.0, 0, 255)
    doubled = ndimage.zoom(stretched[250:780, 250:780], 2, order=1)
    located = locate(picture(doubled, name="opnav7_press.png"))
    assert located.scale.enlargement == pytest.approx(2.0, rel=0.04)
    assert located.scale.pixel_scale_km == pytest.approx(1.026, rel=0.03)
    assert any("enlarged 2" in line for line in located.notes)


def test_users_scale_resizes_the_limb_geometry(april):
    image = picture(april.image)
    plain, told = locate(image), locate(image, scale_km=4.0)
    assert told.scale.pixel_scale_km == 4.0
    factor = 4.0 / plain.scale.pixel_scale_km
    x, y = plain.geometry.project_points(np.zeros(3))
    areas = [located.geometry.ground(x, y).pixel_area_km2 for located in (plain, told)]
    assert areas[1] / areas[0] == pytest.approx(factor**2, rel=1e-6)
    angles = [located.geometry.ground(x + 50, y).emission_deg for located in (plain, told)]
    assert angles[1] == pytest.approx(angles[0], abs=1e-6)


def test_flipped_label_is_doubtful(april):
    tilted = replace(april, image=np.ascontiguousarray(april.image[::-1]), mask=april.mask[::-1])
    located = locate(tilted)
    assert located.orientation_doubtful
    assert any("flipped" in line for line in located.notes)


def test_other_bodies_get_nothing_of_ceres(april):
    vesta = picture(april.image, target="VESTA")
    located = locate(vesta)
    assert located.scale.believed is None and located.geometry is None
    assert any("VESTA" in line for line in located.notes)
    assert locate(vesta, scale_km=0.5).scale.pixel_scale_km == 0.5


@pytest.mark.parametrize("asked", [{"scale_km": 0}, {"altitude_km": -3}, {"scale_km": float("nan")}])
def test_impossible_wishes(april, asked):
    with pytest.raises(UsageError):
        locate(april, **asked)


def test_what_the_user_says_is_checked_once(tmp_path):
    kernel = tmp_path / "a.tls"
    kernel.write_text("")
    assert check_told(2, None, [kernel], jobs=3) == (2.0, None, (str(kernel),))
    for wrong in (
        {"scale_km": 1.0, "altitude_km": 2.0},
        {"scale_km": 0.0},
        {"altitude_km": -3.0},
        {"kernels": ["nowhere.bsp"]},
        {"jobs": 0},
    ):
        with pytest.raises(UsageError):
            check_told(**wrong)


def test_kernels_that_are_not_there_leave_the_label(april):
    located = locate(april, kernels=["nowhere.bsp"])
    assert located.scale.source == "label"
    assert any("kernels" in line for line in located.notes)


def test_flat_frames_are_not_an_error():
    located = locate(picture(np.zeros((64, 64)), name="x.png"))
    assert located.scale.believed is None and located.geometry is None
    assert any("no scale" in line for line in located.notes)


def test_article_table():
    rows = scale.article_table()
    scales = [row for row in rows if row["kind"] == "scale"]
    assert len(scales) == len(articles.load())
    assert all(row["verdict"] in ("ok", "none stated") for row in scales)
    april = next(row for row in scales if row["what"].startswith("OpNav 7"))
    assert april["predicted_km_per_pixel"] == pytest.approx(2.05, abs=0.005)
    assert april["stated_km_per_pixel"] == 2.1
    wrong = [row for row in rows if row["kind"] == "miles" and row["verdict"] == "wrong"]
    assert [(row["miles"], row["km"], row["right"]) for row in wrong] == [(225, 260, "360 km")]
    assert len({tuple(row) for row in rows}) == 1


def test_explain(april):
    rows = scale.explain(locate(april))
    assert [row["source"] for row in rows] == ["label", "limb", "article"]
    assert [row["believed"] for row in rows] == [True, False, False]
    assert all(row["why"] for row in rows)
    blank = scale.explain(locate(picture(np.zeros((64, 64)))))
    assert [(row["source"], row["km_per_pixel"]) for row in blank] == [("limb", None)]
    with pytest.raises(UsageError, match="locate"):
        scale.explain(april)


def test_oblique_views_do_not_contradict_the_article():
    scene = Scene(
        date=datetime(2015, 6, 10, 3, 0),
        altitude_km=4400.0,
        center_xy=(512.0, 1150.0),
        seed=3,
        relief_spheroid=False,
    )
    choice = locate(render(scene).frame).scale
    assert {s.source for s in choice.candidates} >= {"label", "article"}
    assert choice.conflicts == ()
