"""Named ground on Ceres: each name once, in range, and as the gazetteer's own table has it."""

import csv
from pathlib import Path

import pytest

from brightspot import gazetteer
from brightspot.report.data import NOTED
from brightspot.simulate import features

TABLE = Path(__file__).parents[2] / "shared" / "real" / "gazetteer_ceres.csv"


def test_names_are_different_and_places_possible():
    names = [feature.name for feature in gazetteer.FEATURES]
    assert len(names) == len(set(names))
    for feature in gazetteer.FEATURES:
        assert -90 <= feature.latitude_deg <= 90 and 0 <= feature.longitude_deg < 360
        assert 0 < feature.diameter_km < 1000


def test_whoever_uses_names_uses_these():
    names = {feature.name for feature in gazetteer.FEATURES}
    assert set(NOTED) <= names
    assert set(features.FRESHNESS) <= {crater.name for crater in gazetteer.CRATERS}
    assert [crater[:4] for crater in features.NAMED_CRATERS] == list(gazetteer.CRATERS)


def test_places_are_those_of_the_published_table():
    if not TABLE.exists():
        pytest.skip("the gazetteer's table is not here")
    with TABLE.open(encoding="utf-8") as file:
        published = {row["name"]: row for row in csv.DictReader(file)}
    columns = ("latitude_deg", "longitude_deg", "diameter_km")
    for feature in gazetteer.FEATURES:
        assert feature[1:] == tuple(float(published[feature.name][name]) for name in columns)
