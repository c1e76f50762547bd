"""What the press told: when Dawn looked at Ceres, from how far, at how many kilometres per pixel.

The facts live in ``observations.toml``: three articles of spring 2015 (A, B, C) and, phase by phase,
the other accounts, each named. Distances are altitudes above the surface.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import date as Date
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from brightspot.errors import BrightspotError, UsageError

KM_PER_MILE = 1.609344
"""Kilometres in an international mile (1959 agreement)."""

MATCH_TOLERANCE = 0.05
"""Largest relative difference of altitudes that `match` takes for the same observation."""


@dataclass(frozen=True)
class Observation:
    """One view of Ceres as an account reports it.

    Attributes
    ----------
    id, name : str
        Short key (a date where there is one) and a few words.
    article : str or None
        ``"A"``, ``"B"`` or ``"C"`` where one of the three articles reports it.
    source : str or None
        The account where it is another.
    also : tuple of str
        Further articles that report it.
    start, end : date
        First and last day.
    altitude_km : float
        Altitude above the surface; from the miles where no kilometres are given.
    distance_km, distance_miles : float or None
        As quoted.
    measured_to : str
        What the distance was measured to.
    km_per_pixel, miles_per_pixel : float or None
        As stated; None where not.
    planned : bool
        True where the account speaks of what was to come.
    names : tuple of str
        Pieces of file names that point to it.
    """

    id: str
    name: str
    article: str | None
    source: str | None
    also: tuple[str, ...]
    start: Date
    end: Date
    altitude_km: float
    distance_km: float | None
    distance_miles: float | None
    measured_to: str
    km_per_pixel: float | None
    miles_per_pixel: float | None
    planned: bool
    names: tuple[str, ...]

    @property
    def told_by(self) -> str:
        """``article B`` or the other account's name."""
        return f"article {self.article}" if self.article else str(self.source)

    @property
    def relative_error(self) -> float:
        """How far the stated scale (else the altitude) may be off by rounding, as a share of itself.

        A scale of two digits is good to half of the last; distances in round thousands or hundreds were
        found to differ by up to 2.4 % from the miles beside them.
        """
        if self.km_per_pixel is None:
            return 0.025
        digits = f"{self.km_per_pixel:.6g}"
        last = 10.0 ** -len(digits.partition(".")[2])
        return max(0.025, 0.5 * last / self.km_per_pixel)


@dataclass(frozen=True)
class Verdict:
    """A statement or a pair of numbers that was checked.

    Attributes
    ----------
    id : str
        Short key of a statement; what a pair is about.
    told_by : str
        Article or other account.
    told : str
        What it says, in short.
    verdict : str
        ``"ok"``, ``"rounded"``, ``"wrong"`` or ``"read as"``.
    right : str
        The value that holds; empty where what was told does.
    miles, km : float or None
        The pair, where it is one.
    """

    id: str
    told_by: str
    told: str
    verdict: str
    right: str
    miles: float | None = None
    km: float | None = None

    @property
    def km_from_miles(self) -> float | None:
        """The miles in kilometres."""
        return None if self.miles is None else self.miles * KM_PER_MILE

    @property
    def difference_percent(self) -> float | None:
        """How far the quoted kilometres are from the miles, percent."""
        if self.km is None or self.miles is None:
            return None
        return 100.0 * (self.km / (self.miles * KM_PER_MILE) - 1.0)


@cache
def load() -> tuple[Observation, ...]:
    """All observations: the articles' own first, then the other accounts by date.

    Raises
    ------
    BrightspotError
        If ``observations.toml`` is missing or not readable.
    """
    return tuple(_observation(entry) for entry in _file()["observation"])


@cache
def verdicts() -> tuple[Verdict, ...]:
    """Every checked pair of miles and kilometres, then every checked statement."""
    pairs = [
        Verdict(
            id=entry["what"],
            told_by=_told_by(entry),
            told=f"{entry['miles']:,} miles ({entry['km']:,} km)",
            verdict=entry["verdict"],
            right=f"{entry['right_km']:,} km" if "right_km" in entry else "",
            miles=float(entry["miles"]),
            km=float(entry["km"]),
        )
        for entry in _file()["pair"]
    ]
    claims = [
        Verdict(entry["id"], _told_by(entry), entry["told"], entry["verdict"], entry["right"])
        for entry in _file()["claim"]
    ]
    return (*pairs, *claims)


def facts() -> dict[str, Any]:
    """What the articles say of Ceres itself: its diameter, the crater of Spot 5, dates."""
    return dict(_file()["facts"])


def match(
    date: Date | datetime | str | None = None,
    altitude_km: float | None = None,
    name: str | None = None,
) -> Observation | None:
    """The observation that a date, an altitude or a file name points to.

    Parameters
    ----------
    date : date, datetime or str, optional
        Day of the picture (UTC); as text ``2015-04-15``.
    altitude_km : float, optional
        Altitude above the surface.
    name : str, optional
        A file name or phase name: a catalogue number (PIA19562), a phase (rc3, opnav7, survey), a date
        (2015-04-15, 20150415) or a Framing Camera product name, whose digits hold the date.

    Returns
    -------
    Observation or None
        The best of those that agree with all that is given and known; None where there is none. Accounts of
        what was flown go before announcements, stated scales before none, short phases before long ones.

    Raises
    ------
    UsageError
        If the date cannot be read or the altitude is not positive.
    """
    day = _day(date)
    if altitude_km is not None and not 0.0 < altitude_km < float("inf"):
        raise UsageError(f"an altitude of {altitude_km} km is impossible: give kilometres above the surface")
    candidates = [o for o in load() if not o.planned or day is None]
    asked = False
    if name is not None:
        by_name, name_day = _by_name(name)
        if by_name:
            candidates, asked = [o for o in candidates if o.id in by_name], True
        elif day is None:
            day = name_day
    if day is not None:
        # Pictures of an evening are dated by UTC or by where they were shown: a day's slack for single days.
        slack = timedelta(days=1)
        inside = [o for o in candidates if o.start <= day <= o.end]
        near = [o for o in candidates if o.end - o.start <= slack and o.start - slack <= day <= o.end + slack]
        candidates, asked = inside or near, True
    if altitude_km is not None:
        candidates = [o for o in candidates if abs(o.altitude_km / altitude_km - 1.0) <= MATCH_TOLERANCE]
        asked = True
    if not asked or not candidates:
        return None

    def rank(o: Observation) -> tuple[float, ...]:
        apart = 0.0 if altitude_km is None else round(abs(o.altitude_km / altitude_km - 1.0), 2)
        return (o.planned, apart, o.km_per_pixel is None, (o.end - o.start).days)

    return min(candidates, key=rank)


def _day(value: Date | datetime | str | None) -> Date | None:
    if value is None or (isinstance(value, Date) and not isinstance(value, datetime)):
        return value
    if isinstance(value, datetime):
        return value.date()
    try:
        return datetime.fromisoformat(value.strip()).date()
    except ValueError:
        raise UsageError(f"cannot read {value!r} as a date: write it as 2015-04-15") from None


PRODUCT = re.compile(r"FC[12]1[ABC]\d{7}_(\d{2})(\d{3})\d{6}F[1-8][A-Z]", re.IGNORECASE)
ISO_DATE = re.compile(r"(?<!\d)(20[01]\d)[-_.]?([01]\d)[-_.]?([0-3]\d)(?!\d)")


def _by_name(name: str) -> tuple[set[str], Date | None]:
    """Observations whose key is a whole word (or run of words) of the name, and the date in it."""
    words = f" {' '.join(re.findall(r'[a-z]+|[0-9]+', name.lower()))} "
    found = {o.id for o in load() if any(f" {_spaced(key)} " in words for key in o.names)}
    if product := PRODUCT.search(name):
        year, day = 2000 + int(product[1]), int(product[2])
        if 1 <= day <= 366:
            return found, Date(year, 1, 1) + timedelta(days=day - 1)
    if told := ISO_DATE.search(name):
        try:
            return found, Date(int(told[1]), int(told[2]), int(told[3]))
        except ValueError:
            return found, None
    return found, None


def _spaced(key: str) -> str:
    return " ".join(re.findall(r"[a-z]+|[0-9]+", key))


def _told_by(entry: dict[str, Any]) -> str:
    if "article" not in entry:
        return str(entry["source"])
    names = [entry["article"], *entry.get("also", [])]
    return f"article{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _observation(entry: dict[str, Any]) -> Observation:
    miles, km = entry.get("distance_miles"), entry.get("distance_km")
    altitude_km = km if km is not None else entry["distance_miles"] * KM_PER_MILE
    return Observation(
        id=entry["id"],
        name=entry["name"],
        article=entry.get("article"),
        source=entry.get("source"),
        also=tuple(entry.get("also", ())),
        start=Date.fromisoformat(entry["start"]),
        end=Date.fromisoformat(entry["end"]),
        altitude_km=float(altitude_km),
        distance_km=None if km is None else float(km),
        distance_miles=None if miles is None else float(miles),
        measured_to=entry["measured_to"],
        km_per_pixel=entry.get("km_per_pixel"),
        miles_per_pixel=entry.get("miles_per_pixel"),
        planned=entry.get("planned", False),
        names=(*entry["names"], *entry.get("pia_unverified", ())),
    )


@cache
def _file() -> dict[str, Any]:
    packaged = Path(__file__).parent / "observations.toml"
    # In a checkout (editable install) the file lies in the repository's seeds.
    path = packaged if packaged.exists() else Path(__file__).parents[2] / "seeds" / "observations.toml"
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BrightspotError(f"cannot read {path.name}: {error}; reinstall brightspot") from error
