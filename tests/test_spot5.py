"""Spot 5 from picture to kilometres at the five views of the articles: rendered, written, read, measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import brightspot as bs
from brightspot import simulate
from brightspot.finder import SpotFinder

PLACES = {"Cerealia Facula": (19.70, 239.60), "Vinalia Faculae": (20.20, 242.00)}
"""USGS Gazetteer of Planetary Nomenclature, planetocentric, east."""


def ground_km(a: tuple[float, float], b: tuple[float, float], radius_km: float = 470.0) -> float:
    """Great-circle distance of two (latitude, longitude) in degrees."""
    (lat1, lon1), (lat2, lon2) = np.radians(a), np.radians(b)
    cosine = np.sin(lat1) * np.sin(lat2) + np.cos(lat1) * np.cos(lat2) * np.cos(lon1 - lon2)
    return float(radius_km * np.arccos(min(cosine, 1.0)))


def nearest(catalog, x: float, y: float):
    gap = np.hypot(catalog["x_centroid"] - x, catalog["y_centroid"] - y)
    return catalog.iloc[int(np.argmin(gap))], float(gap.min())


@pytest.mark.parametrize(
    ("day", "kind", "directions", "twist_deg"),
    [
        ("2015-04-10", "img", ("UP", "RIGHT"), 0.0),
        ("2015-04-15", "fits", ("DOWN", "LEFT"), 137.0),
        ("2015-05-04", "img", ("UP", "LEFT"), 270.0),
        ("2015-05-16", "fits", ("UP", "RIGHT"), 45.0),
        ("2015-06-06", "img", ("DOWN", "RIGHT"), 200.0),
    ],
)
def test_both_faculae_are_where_the_gazetteer_has_them(tmp_path, day, kind, directions, twist_deg):
    rendered = simulate.render(simulate.observation_scene(day, seed=7, twist_deg=twist_deg))
    path = simulate.write(rendered, tmp_path, kind, line_display=directions[0], sample_display=directions[1])[
        0
    ]
    frame = bs.read_frame(path)
    assert frame.scale.believed.source == "label"
    found = SpotFinder(polarity="bright")(frame).catalog
    for name, place in PLACES.items():
        truth = rendered.truth[rendered.truth["name"] == name].iloc[0]
        row, gap = nearest(found, truth["x"], truth["y"])
        assert gap < 0.5
        assert ground_km((row["latitude_deg"], row["longitude_deg"]), place) < 1.0
        assert row["diameter_halfmax_km"] == pytest.approx(truth["diameter_km"], rel=0.2)
        assert row["slope_needed_deg"] > 35.0


@pytest.fixture(scope="module")
def april_15(tmp_path_factory):
    folder = tmp_path_factory.mktemp("april")
    rendered = simulate.render(simulate.observation_scene("2015-04-15", seed=415))
    return rendered, folder, simulate.write(rendered, folder, "img")[0]


def test_the_pair_of_14_15_april_is_as_far_apart_as_in_the_gazetteer(april_15):
    rendered, _, path = april_15
    found = SpotFinder(polarity="bright")(bs.read_frame(path)).catalog
    places = []
    for name in PLACES:
        truth = rendered.truth[rendered.truth["name"] == name].iloc[0]
        row, gap = nearest(found, truth["x"], truth["y"])
        assert gap < 0.5
        assert row["diameter_halfmax_km"] == pytest.approx(truth["diameter_km"], rel=0.15)
        places.append((row["latitude_deg"], row["longitude_deg"]))
    assert ground_km(*places) == pytest.approx(18.95, rel=0.03)


@pytest.mark.parametrize("altitude_km", [40_000.0, 46_000.0])
def test_the_pair_is_two_where_it_is_four_pixels_apart(altitude_km):
    """At 4.3 km per pixel the fainter one is a bump on the flank of the brighter one's blur."""
    scene = replace(simulate.observation_scene("2015-04-15", seed=46), altitude_km=altitude_km)
    rendered = simulate.render(scene)
    found = SpotFinder(polarity="bright")(rendered.frame).catalog
    for name in PLACES:
        truth = rendered.truth[rendered.truth["name"] == name].iloc[0]
        assert nearest(found, truth["x"], truth["y"])[1] < 0.6


def test_label_limb_and_article_agree_and_a_wrong_scale_is_reported(april_15):
    _, _, path = april_15
    choice = bs.read_frame(path).scale
    by_source = {s.source: s.km_per_pixel for s in choice.candidates}
    assert {"label", "limb", "article"} <= set(by_source)
    for value in by_source.values():
        assert value == pytest.approx(by_source["label"], rel=0.03)
    assert choice.conflicts == ()
    wrong = bs.read_frame(path, scale_km=4.0).scale
    assert wrong.believed.source == "user"
    assert wrong.conflicts


def test_an_enlarged_picture_is_recognised_and_keeps_its_kilometres(april_15):
    rendered, folder, _ = april_15
    once = simulate.write(rendered, folder, "png", name="ceres_2015-04-15_native")[0]
    twice = simulate.write(rendered, folder, "png", name="ceres_2015-04-15_twice", enlarge=2)[0]
    frames = {1: bs.read_frame(once), 2: bs.read_frame(twice)}
    assert frames[2].scale.enlargement == pytest.approx(2.0, rel=0.05)
    assert frames[2].scale.believed.km_per_pixel == pytest.approx(
        0.5 * frames[1].scale.believed.km_per_pixel, rel=0.02
    )
    truth = rendered.truth[rendered.truth["name"] == "Cerealia Facula"].iloc[0]
    widths = []
    for factor, frame in frames.items():
        found = SpotFinder(polarity="bright", keep_all=True)(frame).catalog
        place = factor * (np.array([truth["x"], truth["y"]]) + 0.5) - 0.5
        row, gap = nearest(found, *place)
        assert gap < factor
        widths.append(row["diameter_halfmax_km"])
    assert widths[1] == pytest.approx(widths[0], rel=0.1)
