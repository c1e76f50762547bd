"""Views of Ceres as the articles report them, and files rendered from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date as Date
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from brightspot import articles, ceres
from brightspot.camera import mid_exposure
from brightspot.errors import UsageError
from brightspot.geometry import et_from_utc
from brightspot.simulate.files import FORMATS, require_truth_table, write
from brightspot.simulate.rendering import Rendered, render
from brightspot.simulate.scene import Scene

SURFACE_SEED = 2015
"""Ground of all views of observations: they show the same Ceres."""

SPOT_5_DEG = (20.0, 240.5)
"""Planetocentric latitude and longitude between Cerealia and Vinalia."""

ORBIT = {
    "semi_major_axis_au": 2.7675,
    "eccentricity": 0.07582,
    "inclination_deg": 10.594,
    "node_deg": 80.327,
    "perihelion_deg": 72.522,
    "mean_anomaly_deg": 95.989,
    "epoch_jd": 2_457_000.5,
}
"""Osculating elements of Ceres in the ecliptic of J2000. Recalled; the position they give for 19 June 2015
agrees with the ephemeris behind a Dawn image of that day to 0.001 degree and 3e-5 of the distance."""

OBLIQUITY_DEG = 23.4392911
"""Obliquity of the ecliptic at J2000. Source: IAU 1976."""

VIEWS = (
    # last day, latitude under the camera, phase, Spot 5's longitude west of the sub-solar meridian
    (Date(2015, 4, 12), 45.0, 48.0, 8.0),
    (Date(2015, 4, 20), 52.0, 56.0, 10.0),
    (Date(2015, 5, 9), 18.0, 28.0, 20.0),
    (Date(2015, 5, 20), -12.0, 42.0, 15.0),
    (Date(2015, 6, 4), 25.0, 45.0, 25.0),
    (Date(2015, 7, 5), 14.0, 38.0, 35.0),
)
"""Vantage points of the renderings: plausible (over the north in mid-April, low phase in the first science
orbit), not those flown."""

DEFAULT_VIEW = (19.0, 40.0, 30.0)


def sun_from_ceres(et_s: float) -> np.ndarray:
    """Vector from Ceres to the Sun in km, J2000, by Kepler's equation with `ORBIT`.

    Parameters
    ----------
    et_s : float
        TDB seconds past J2000.
    """
    a, e = ORBIT["semi_major_axis_au"], ORBIT["eccentricity"]
    days = 2_451_545.0 + et_s / ceres.SECONDS_PER_DAY - ORBIT["epoch_jd"]
    # Gauss's constant in degrees per day.
    mean = np.deg2rad(ORBIT["mean_anomaly_deg"] + 0.9856076686 / a**1.5 * days)
    anomaly = mean
    for _ in range(20):
        anomaly = mean + e * np.sin(anomaly)
    x, y = a * (np.cos(anomaly) - e), a * np.sqrt(1 - e * e) * np.sin(anomaly)
    turn = _about_x(OBLIQUITY_DEG) @ _about_z(ORBIT["node_deg"])
    turn = turn @ _about_x(ORBIT["inclination_deg"]) @ _about_z(ORBIT["perihelion_deg"])
    return -(turn @ np.array([x, y, 0.0])) * ceres.AU_KM


def _about_x(angle_deg: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _about_z(angle_deg: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def observation_scene(observation: str | Date | datetime, seed: int = 1, **changes: object) -> Scene:
    """A scene of the day: altitude from the articles, the real Sun, Spot 5 lit and in view.

    Parameters
    ----------
    observation : str, date or datetime
        A day of the articles' observations, ``2015-04-15``.
    seed : int
        Noise and cosmic rays; the ground is that of `SURFACE_SEED`.
    **changes
        Fields of `Scene` to set otherwise.

    Raises
    ------
    UsageError
        No observation on that day.
    """
    known = articles.match(date=observation)
    if known is None:
        days = ", ".join(sorted({f"{o.start}" for o in articles.load() if not o.planned}))
        raise UsageError(f"no observation of {observation} is known: try one of {days}")
    day = _day(observation)
    latitude, phase, after_noon = next((v[1:] for v in VIEWS if day <= v[0]), DEFAULT_VIEW)
    start = _when_sun_over(SPOT_5_DEG[1] + after_noon, datetime(day.year, day.month, day.day, 6))
    sun = _sun_in_body(start)
    sub_latitude, sub_longitude = _sub_point(sun)
    scene = Scene(
        name=f"{day}",
        seed=seed,
        surface_seed=SURFACE_SEED,
        date=start,
        altitude_km=known.altitude_km,
        sub_spacecraft_latitude_deg=latitude,
        sub_spacecraft_longitude_deg=_meridian_at_phase(latitude, sub_latitude, sub_longitude, phase),
        sub_solar_latitude_deg=sub_latitude,
        sub_solar_longitude_deg=sub_longitude,
        sun_distance_au=float(np.linalg.norm(sun)) / ceres.AU_KM,
    )
    return replace(scene, **changes)  # type: ignore[arg-type]


def turned(scene: Scene, hours: float) -> Scene:
    """The same view some hours later: Ceres has turned under camera and Sun, which stay."""
    before, after = _sun_in_body(scene.date), _sun_in_body(scene.date + timedelta(hours=hours))
    turn = _sub_point(after)[1] - _sub_point(before)[1]
    return replace(
        scene,
        date=scene.date + timedelta(hours=hours),
        sub_spacecraft_longitude_deg=(scene.sub_spacecraft_longitude_deg + turn) % 360,
        sub_solar_latitude_deg=_sub_point(after)[0],
        sub_solar_longitude_deg=_sub_point(after)[1],
    )


def simulate(
    observation: str | Date | datetime,
    formats: Sequence[str] | str = ("img",),
    seed: int = 1,
    out: Path | str = "rendered",
    *,
    n_frames: int = 10,
    force: bool = True,
    **changes: object,
) -> list[Path]:
    """Render an observation of the articles and write it, with ``truth.csv``.

    Parameters
    ----------
    observation : str or date
        Its day, ``2015-04-15``.
    formats : sequence of str
        Any of `files.FORMATS`; ``gif`` is an animation of one rotation.
    seed : int
        Noise and cosmic rays.
    out : Path
        Folder.
    n_frames : int
        Pictures of an animation.
    force : bool
        False: refuse a folder with anything in it.
    **changes
        Fields of `Scene` to set otherwise.

    Returns
    -------
    list of Path
        What was written.
    """
    wanted = [formats] if isinstance(formats, str) else list(formats)
    unknown = [f for f in wanted if f not in FORMATS]
    if unknown:
        raise UsageError(f"format {unknown[0]!r} is unknown: use one of {', '.join(FORMATS)}")
    folder = Path(out)
    if not force and folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty: choose another folder, or --force to write into it")
    require_truth_table(folder / "truth.csv")
    scene = observation_scene(observation, seed, **changes)
    paths: list[Path] = []
    still: Rendered | None = None
    for format in wanted:
        if format == "gif":
            day_h = 24 * 360.0 / ceres.ORIENTATION.w_rate_deg_day
            steps = [turned(scene, k * day_h / n_frames) for k in range(n_frames)]
            paths += write([render(replace(s, seed=seed + k)) for k, s in enumerate(steps)], out, "gif")
        else:
            still = still or render(scene)
            paths += write(still, out, format)
    return list(dict.fromkeys(paths))


def _day(value: str | Date | datetime) -> Date:
    if isinstance(value, str):
        return Date.fromisoformat(value[:10])
    return value.date() if isinstance(value, datetime) else value


def _sun_in_body(time: datetime) -> np.ndarray:
    """Body-fixed vector to the Sun (km) at the middle of a short exposure that starts at ``time``."""
    et = et_from_utc(mid_exposure(time, 0.1))
    return ceres.body_from_j2000(et) @ sun_from_ceres(et)


def _sub_point(vector: np.ndarray) -> tuple[float, float]:
    unit = vector / np.linalg.norm(vector)
    return float(np.degrees(np.arcsin(unit[2]))), float(np.degrees(np.arctan2(unit[1], unit[0])) % 360)


def _when_sun_over(longitude_deg: float, earliest: datetime) -> datetime:
    """First time from ``earliest`` on when the Sun stands over a longitude, to a millisecond."""
    rate = ceres.ORIENTATION.w_rate_deg_day / ceres.SECONDS_PER_DAY
    time = earliest
    # The Sun moves west by the body's turning; the second step takes up its own slow motion.
    ahead = (_sub_point(_sun_in_body(time))[1] - longitude_deg) % 360
    time += timedelta(seconds=ahead / rate)
    off = (_sub_point(_sun_in_body(time))[1] - longitude_deg + 180) % 360 - 180
    time += timedelta(seconds=off / rate)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def _meridian_at_phase(latitude: float, sun_latitude: float, sun_longitude: float, phase: float) -> float:
    """Longitude west of the Sun's where a point of a latitude sees the wanted phase, or the nearest to it."""
    a, b = np.deg2rad([latitude, sun_latitude])
    cosine = (np.cos(np.deg2rad(phase)) - np.sin(a) * np.sin(b)) / (np.cos(a) * np.cos(b))
    return float((sun_longitude - np.degrees(np.arccos(np.clip(cosine, -1, 1)))) % 360)
