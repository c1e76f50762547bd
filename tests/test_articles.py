"""The seed file, its verdicts recomputed from the numbers, and the matching."""

from datetime import date, datetime

import pytest

from brightspot import articles
from brightspot.errors import UsageError


def test_every_observation_names_article_or_source():
    for observation in articles.load():
        assert (observation.article is None) != (observation.source is None), observation.id
        assert observation.article in (None, "A", "B", "C")
        assert observation.start <= observation.end
        assert observation.altitude_km > 0
        assert observation.measured_to == "surface"


def test_ids_are_unique():
    ids = [observation.id for observation in articles.load()]
    assert len(ids) == len(set(ids))


def test_articles_own_numbers():
    by_id = {o.id: o for o in articles.load()}
    april = by_id["2015-04-15"]
    assert (april.article, april.distance_miles, april.distance_km) == ("B", 14000, 22000)
    assert (april.km_per_pixel, april.miles_per_pixel) == (2.1, 1.3)
    assert by_id["2015-04-10"].distance_km == 33000
    may = by_id["2015-05-16"]
    assert may.distance_km is None and may.altitude_km == pytest.approx(7242, abs=1)
    told = articles.facts()
    assert (told["ceres_diameter_km"], told["spot5_crater_km"]) == (950, 92)


def test_pair_verdicts_follow_from_the_numbers():
    pairs = [v for v in articles.verdicts() if v.miles is not None]
    assert len(pairs) == 10
    for pair in pairs:
        off = abs(pair.km / (pair.miles * 1.609344) - 1.0)
        expected = "ok" if off < 0.01 else "rounded" if off < 0.03 else "wrong"
        assert pair.verdict == expected, pair.id
        assert pair.difference_percent == pytest.approx(100 * (pair.km / pair.km_from_miles - 1))
    wrong = [pair for pair in pairs if pair.verdict == "wrong"]
    assert [(pair.told_by, pair.km, pair.right) for pair in wrong] == [("article B", 260, "360 km")]


def test_claims_that_are_arithmetic():
    claims = {v.id: v for v in articles.verdicts() if v.miles is None}
    assert 33000 / 22000 == 1.5 and "1.5 times finer" in claims["finer"].right
    assert round(22000 / 360) == 61 and round(2.1 / (360 * 93.2e-6)) == 63  # "62" of rounded numbers
    assert round(33000 / 360) == 92 and "92 times" in claims["hundredfold"].right
    assert "altitudes" in claims["distances"].right


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"date": "2015-04-15"}, "2015-04-15"),
        ({"date": date(2015, 4, 14)}, "2015-04-15"),
        ({"date": datetime(2015, 4, 10, 23, 59)}, "2015-04-10"),
        ({"date": "2015-05-04"}, "2015-05-04-rc3-flown"),
        ({"date": "2015-06-15"}, "survey-flown"),
        ({"date": "2016-03-01"}, "lamo-flown"),
        ({"altitude_km": 22000}, "2015-04-15"),
        ({"altitude_km": 1500}, "hamo-flown"),
        ({"name": "PIA19562_rc3_full_disk.jpg"}, "2015-05-04-rc3-flown"),
        ({"name": "ceres_OpNav7.png"}, "2015-04-15"),
        ({"name": "x/2015-04-15_seed3.png"}, "2015-04-15"),
        ({"name": "FC21B0037521_15157143019F4I.IMG"}, "survey-flown"),
        ({"name": "opnav7.png", "altitude_km": 22000}, "2015-04-15"),
    ],
)
def test_match(asked, expected):
    assert articles.match(**asked).id == expected


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"date": "2015-03-20"},
        {"altitude_km": 9500},
        {"name": "ceres_fc_001.jpg"},
        {"name": "ceres_rotation.gif"},
        {"name": "surveyors.png"},
        {"name": "arc1.png"},
        {"name": "20159999.png"},
        {"date": "2015-04-15", "altitude_km": 4400},
    ],
)
def test_no_match(asked):
    assert articles.match(**asked) is None


@pytest.mark.parametrize(
    "asked", [{"date": "yesterday"}, {"altitude_km": 0}, {"altitude_km": -5}, {"altitude_km": float("nan")}]
)
def test_impossible_questions(asked):
    with pytest.raises(UsageError):
        articles.match(**asked)


def test_rounding_sets_the_error():
    by_id = {o.id: o for o in articles.load()}
    assert by_id["2015-04-15"].relative_error == pytest.approx(0.025)  # 2.1: half of 0.1 is 2.4 %
    assert by_id["2015-05-16-opnav8"].relative_error == pytest.approx(0.05 / 0.7)
