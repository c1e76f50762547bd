"""Which kilometres per pixel to believe, and from where.

Sources in the order in which they are believed: SPICE, the label, a map's own projection, the limb, an
article; what the user says overrides them all. Sources that disagree are reported, never averaged.

A scale here is that of the surface facing the camera, slant range times the angle of a pixel, which is what
labels and articles quote. The limb lies farther off, so its scale is brought to the surface where the
distance is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from brightspot import articles, ceres
from brightspot.camera import ACTIVE_SHAPE, Camera
from brightspot.errors import ScaleError, UsageError
from brightspot.limb import LimbFit

if TYPE_CHECKING:
    from brightspot.frame import Frame
    from brightspot.geometry import ViewingGeometry

SOURCES = ("user", "spice", "label", "map", "limb", "article")
"""Names of sources, best first."""

GEOMETRY_ERROR = 0.003
"""Relative error of a scale from label or SPICE: relief of some km at these ranges, focal length."""

USER_ERROR = 0.01
"""Relative error taken for what the user says; a conflict is reported beyond it."""

MAP_ERROR = 0.005
"""Relative error of a map's own scale (sphere or spheroid, latitude)."""

CONFLICT_SIGMA = 2.5
"""Two sources contradict each other where they differ by more than this many joint standard deviations."""

SAME_ENLARGEMENT = 0.05
"""A picture counts as native if limb and native scale agree within this share: articles round distances."""


@dataclass(frozen=True)
class Scale:
    """One source's answer.

    Attributes
    ----------
    km_per_pixel, error_km_per_pixel : float
        Scale of the image as it is stored, at the surface facing the camera, and its standard deviation.
    source : str
        One of `SOURCES`.
    detail : str
        Where it comes from, for a person.
    """

    km_per_pixel: float
    error_km_per_pixel: float
    source: str
    detail: str

    def __post_init__(self) -> None:
        if not (np.isfinite(self.km_per_pixel) and self.km_per_pixel > 0.0):
            raise ScaleError(f"{self.source}: {self.km_per_pixel} km per pixel is impossible")


@dataclass(frozen=True)
class ScaleChoice:
    """Every scale at hand and the one that is believed.

    Attributes
    ----------
    believed : Scale or None
        None where nothing tells the scale.
    candidates : tuple of Scale
        All sources, the believed one first.
    conflicts : tuple of str
        One line for each source that disagrees with the believed one by more than their errors.
    enlargement : float or None
        Stored pixels per camera pixel where limb and native scale tell; 1.0 where they agree.
    altitude_km : float or None
        Altitude above the surface that the believed scale rests on, where it is known.
    refused : tuple of (str, str)
        Sources that gave no scale, and why.
    """

    believed: Scale | None
    candidates: tuple[Scale, ...] = ()
    conflicts: tuple[str, ...] = ()
    enlargement: float | None = None
    altitude_km: float | None = None
    refused: tuple[tuple[str, str], ...] = ()

    @property
    def pixel_scale_km(self) -> float | None:
        """The believed kilometres per pixel."""
        return None if self.believed is None else self.believed.km_per_pixel

    @property
    def source(self) -> str | None:
        """The believed source's name."""
        return None if self.believed is None else self.believed.source

    @property
    def assumed(self) -> bool:
        """True where the kilometres rest on the limb, an article or the user, not on label, SPICE or map."""
        return self.believed is None or self.believed.source in ("limb", "user", "article")

    @property
    def enlarged(self) -> bool:
        """True where the picture was resampled: stored pixels are not the camera's."""
        return self.enlargement is not None and abs(self.enlargement - 1.0) > SAME_ENLARGEMENT


def pixel_scale_km(altitude_km: float, filter_number: int = 1, camera: str = "FC2") -> float:
    """Kilometres per pixel straight down from an altitude.

    Parameters
    ----------
    altitude_km : float
        Altitude above the surface, km (22,000 km gives 2.05).
    filter_number : int
        1 to 8.
    camera : str
        ``"FC1"`` or ``"FC2"``.

    Raises
    ------
    UsageError
        If the altitude is not a positive number.
    GeometryError
        If there is no such camera or filter.
    """
    altitude_km = positive(altitude_km, "altitude", "kilometres above the surface")
    return altitude_km * Camera.framing_camera(camera, filter_number).mean_ifov_rad


GREATEST_VALUE = 1e9
"""Kilometres beyond which a scale or an altitude is a typing error: Ceres is never farther from Earth."""


def positive(value: float, what: str, unit: str) -> float:
    """The value if it is positive and finite, else UsageError."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not 0.0 < number < GREATEST_VALUE:
        raise UsageError(f"{what} {value} is impossible: give a positive number of {unit}")
    return number


def from_geometry(geometry: ViewingGeometry) -> Scale:
    """Scale of a viewing geometry: at the frame's centre, or the point below the camera if that is sky."""
    range_km, where = _central_range(geometry)
    value = range_km * geometry.camera.mean_ifov_rad
    return Scale(
        value,
        GEOMETRY_ERROR * value,
        geometry.source,
        f"{range_km:,.0f} km to {where} x {1e6 * geometry.camera.mean_ifov_rad:.2f} microradians",
    )


def _central_range(geometry: ViewingGeometry) -> tuple[float, str]:
    rows, columns = geometry.shape
    ground = geometry.ground(0.5 * (columns - 1), 0.5 * (rows - 1))
    # Close to the limb the range at one pixel says nothing about the rest of the frame.
    if np.isfinite(ground.slant_range_km) and float(ground.emission_deg) < 75.0:
        return float(ground.slant_range_km), "the frame's centre"
    return geometry.altitude_km, "the point below the camera"


def choose_scale(
    *,
    geometry: Iterable[ViewingGeometry] = (),
    map_km_per_pixel: float | None = None,
    limb: LimbFit | str | None = None,
    user_scale_km: float | None = None,
    user_altitude_km: float | None = None,
    observation: articles.Observation | None = None,
    camera: str = "FC2",
    filter_number: int = 1,
    shape: tuple[int, int] = ACTIVE_SHAPE,
    native: bool = False,
    label_pixel_scale_km: float | None = None,
) -> ScaleChoice:
    """Believe the best source, keep the others, say who disagrees.

    Parameters
    ----------
    geometry : iterable of ViewingGeometry
        From SPICE and from the label, as far as they are there.
    map_km_per_pixel : float, optional
        A map-projected image's own scale.
    limb : LimbFit or str, optional
        Fit of Ceres' figure to the limb, or why there is none.
    user_scale_km, user_altitude_km : float, optional
        What the user says; the scale outranks the altitude.
    observation : Observation, optional
        What an account reports of this view.
    camera, filter_number : str, int
        For altitudes.
    shape : tuple of int
        Rows and columns of the image: more than the camera has means resampled.
    native : bool
        True where the pixels are known to be the camera's own (archive products).
    label_pixel_scale_km : float, optional
        The label's own HORIZONTAL_PIXEL_SCALE, compared with the label's vectors.

    Returns
    -------
    ScaleChoice

    Raises
    ------
    UsageError, ScaleError
        If what the user says is impossible.
    """
    views = sorted(geometry, key=lambda view: SOURCES.index(view.source))
    candidates = [from_geometry(view) for view in views]
    refused: list[tuple[str, str]] = []
    if map_km_per_pixel is not None:
        detail = "the map's own projection"
        candidates.append(Scale(map_km_per_pixel, MAP_ERROR * map_km_per_pixel, "map", detail))
    if user_scale_km is not None:
        value = positive(user_scale_km, "scale", "kilometres per pixel")
        candidates.append(Scale(value, USER_ERROR * value, "user", "scale given by the user"))
    elif user_altitude_km is not None:
        value = pixel_scale_km(user_altitude_km, filter_number, camera)
        detail = f"altitude {user_altitude_km:,.0f} km given by the user, filter {filter_number}"
        candidates.append(Scale(value, USER_ERROR * value, "user", detail))
    ifov_rad = Camera.framing_camera(camera, filter_number).mean_ifov_rad
    altitude_km = views[0].altitude_km if views else user_altitude_km
    if altitude_km is None and observation is not None:
        altitude_km = observation.altitude_km
    enlargement: float | None = None
    if isinstance(limb, str):
        refused.append(("limb", limb))
    elif limb is not None:
        if not native and altitude_km is not None:
            native_km = (altitude_km + ceres.MEAN_RADIUS_KM) * ifov_rad
            enlargement = native_km / limb_scale_km(limb, altitude_km)
            doubt = 3.0 * limb.km_per_pixel_error / limb.km_per_pixel
            if abs(enlargement - 1.0) <= max(SAME_ENLARGEMENT, doubt):
                enlargement = 1.0
        elif altitude_km is None and (native or shape == ACTIVE_SHAPE):
            # The camera's own pixels tell how far off the limb is.
            disk_rad = np.arctan(ceres.RADII_KM[0] / limb.km_per_pixel * ifov_rad)
            altitude_km = float(ceres.RADII_KM[0] / np.sin(disk_rad)) - ceres.MEAN_RADIUS_KM
        candidates.append(_from_limb(limb, views, altitude_km, native or enlargement is not None))
    if observation is not None:
        article = _from_article(observation, ifov_rad, shape, native or bool(views), enlargement)
        if views and isinstance(article, Scale):
            # Accounts quote the scale straight down; the frame may look aslant.
            aslant = _central_range(views[0])[0] / views[0].altitude_km
            article = replace(
                article,
                km_per_pixel=article.km_per_pixel * aslant,
                error_km_per_pixel=article.error_km_per_pixel * aslant,
            )
        candidates += [article] if isinstance(article, Scale) else []
        refused += [("article", article)] if isinstance(article, str) else []
        if enlargement is None and not native and isinstance(article, Scale):
            enlargement = _whole_enlargement(shape)
    candidates.sort(key=lambda scale: SOURCES.index(scale.source))
    believed = candidates[0] if candidates else None
    conflicts = [line for other in candidates[1:] if (line := _conflict(believed, other))]
    if views and label_pixel_scale_km and (line := _label_conflict(views, label_pixel_scale_km)):
        conflicts.append(line)
    return ScaleChoice(
        believed, tuple(candidates), tuple(conflicts), enlargement, altitude_km, tuple(refused)
    )


def limb_scale_km(limb: LimbFit, altitude_km: float | None) -> float:
    """Kilometres per pixel in the plane of Ceres' centre, of a limb fitted as if from far away.

    From nearby the limb in view is a circle nearer than the centre and smaller than the equator; both
    together make the disk look larger by the secant of its angular radius.
    """
    if altitude_km is None:
        return limb.km_per_pixel
    distance_km = altitude_km + ceres.MEAN_RADIUS_KM
    ratio = min(ceres.RADII_KM[0] / distance_km, 0.999)
    return limb.km_per_pixel / float(np.sqrt(1.0 - ratio**2))


def _from_limb(limb: LimbFit, views: list[ViewingGeometry], altitude_km: float | None, sure: bool) -> Scale:
    """The limb's scale, brought from the plane through Ceres' centre to the surface facing the camera."""
    center_km = limb.km_per_pixel
    ratio, where = 1.0, "distance unknown: in the plane of Ceres' centre"
    if views:
        center_km = limb_scale_km(limb, views[0].altitude_km)
        ratio = _central_range(views[0])[0] / views[0].target_center_distance_km
        where = "at the label's distance"
    elif altitude_km is not None:
        center_km = limb_scale_km(limb, altitude_km)
        ratio = altitude_km / (altitude_km + ceres.MEAN_RADIUS_KM)
        where = f"{center_km:.4g} at Ceres' centre, {altitude_km:,.0f} km below the camera"
        if not sure:
            where += " if the pixels are the camera's own"
    ellipse = f"ellipse {limb.semi_major_px:.1f} x {limb.semi_minor_px:.1f} px"
    detail = f"{ellipse} over {limb.arc_deg:.0f} degrees of limb; {where}"
    return Scale(center_km * ratio, limb.km_per_pixel_error * ratio, "limb", detail)


def _whole_enlargement(shape: tuple[int, int]) -> float | None:
    """How often the camera's frame fits into a larger picture, if a whole number of times."""
    rows, columns = shape
    times = rows / ACTIVE_SHAPE[0]
    return times if rows == columns and times > 1.0 and times == int(times) else None


def _from_article(
    observation: articles.Observation,
    ifov_rad: float,
    shape: tuple[int, int],
    native: bool,
    enlargement: float | None,
) -> Scale | str:
    """The stated scale, else altitude times pixel angle, for the stored pixels; or why it does not hold."""
    stated = observation.km_per_pixel
    value = stated if stated is not None else observation.altitude_km * ifov_rad
    what = "stated" if stated is not None else "predicted"
    detail = f"{observation.told_by}: {what} {value:.3g} km per pixel from {observation.altitude_km:,.0f} km"
    if not native and enlargement is None:
        enlargement = _whole_enlargement(shape)
        if enlargement is None and max(shape) > max(ACTIVE_SHAPE):
            return f"{detail}; the picture has more pixels than the camera: enlarged, nobody says how much"
    if enlargement is not None and enlargement != 1.0:
        value /= enlargement
        detail += f"; picture enlarged {enlargement:.2g} times"
    return Scale(value, observation.relative_error * value, "article", detail)


def _conflict(believed: Scale | None, other: Scale) -> str:
    """One line where the two differ by more than `CONFLICT_SIGMA` times their joint error; else nothing."""
    if believed is None:
        return ""
    difference = other.km_per_pixel - believed.km_per_pixel
    if abs(difference) <= CONFLICT_SIGMA * np.hypot(believed.error_km_per_pixel, other.error_km_per_pixel):
        return ""
    return (
        f"{other.source} says {other.km_per_pixel:.3g} km per pixel, {believed.source} "
        f"{believed.km_per_pixel:.3g} ({100.0 * difference / believed.km_per_pixel:+.1f} %)"
    )


def _label_conflict(views: list[ViewingGeometry], told_km: float) -> str:
    """The label's HORIZONTAL_PIXEL_SCALE against its own vectors (3 decimals are stored)."""
    view = views[-1]
    scale = from_geometry(view)
    if abs(told_km - scale.km_per_pixel) <= max(0.02 * scale.km_per_pixel, 0.001):
        return ""
    return f"HORIZONTAL_PIXEL_SCALE says {told_km:.3g} km per pixel, the vectors {scale.km_per_pixel:.3g}"


# --- rows for people ------------------------------------------------------------------------------------


def article_table() -> list[dict[str, Any]]:
    """What the accounts say beside what the camera predicts, and every verdict; one dict per row.

    Returns
    -------
    list of dict
        Keys ``kind`` (``"scale"``, ``"miles"`` or ``"claim"``), ``told_by``, ``date``, ``what``, ``miles``,
        ``km``, ``km_from_miles``, ``predicted_km_per_pixel``, ``stated_km_per_pixel``,
        ``difference_percent``, ``verdict``, ``right``; None where a row has no such value.
    """
    return [_scale_row(o) for o in articles.load()] + [_verdict_row(v) for v in articles.verdicts()]


def _scale_row(observation: articles.Observation) -> dict[str, Any]:
    predicted = pixel_scale_km(observation.altitude_km)
    stated = observation.km_per_pixel
    difference = None if stated is None else 100.0 * (stated / predicted - 1.0)
    verdict = "none stated"
    if difference is not None:
        limit = 100.0 * observation.relative_error + 1.0
        verdict = "ok" if abs(difference) <= limit else "wrong"
    same_day = observation.start == observation.end
    return _row(
        kind="scale",
        told_by=observation.told_by,
        date=f"{observation.start}" if same_day else f"{observation.start} to {observation.end}",
        what=observation.name,
        miles=observation.distance_miles,
        km=observation.distance_km,
        km_from_miles=None
        if observation.distance_miles is None
        else observation.distance_miles * articles.KM_PER_MILE,
        predicted_km_per_pixel=predicted,
        stated_km_per_pixel=stated,
        difference_percent=difference,
        verdict=verdict,
    )


def _verdict_row(verdict: articles.Verdict) -> dict[str, Any]:
    return _row(
        kind="claim" if verdict.miles is None else "miles",
        told_by=verdict.told_by,
        what=verdict.told if verdict.miles is None else verdict.id,
        miles=verdict.miles,
        km=verdict.km,
        km_from_miles=verdict.km_from_miles,
        difference_percent=verdict.difference_percent,
        verdict=verdict.verdict,
        right=verdict.right,
    )


def _row(**values: Any) -> dict[str, Any]:
    keys = (
        "kind", "told_by", "date", "what", "miles", "km", "km_from_miles", "predicted_km_per_pixel",
        "stated_km_per_pixel", "difference_percent", "verdict", "right",
    )  # fmt: skip
    return {key: values.get(key) for key in keys}


def explain(frame: Frame) -> list[dict[str, Any]]:
    """Every source for a located frame, believed or not and why; one dict per source.

    Parameters
    ----------
    frame : Frame
        As `brightspot.frame.locate` returns it.

    Returns
    -------
    list of dict
        Keys ``frame``, ``source``, ``km_per_pixel``, ``error_km_per_pixel``, ``believed``, ``why``.
    """
    choice: ScaleChoice | None = frame.scale
    if choice is None:
        raise UsageError(f"{frame.name}: no scale was looked for: call locate first")
    rows = []
    for scale in choice.candidates:
        believed = scale is choice.believed
        disagrees = _conflict(choice.believed, scale) if not believed else ""
        why = scale.detail
        if not believed:
            why += "; disagrees with the one believed" if disagrees else "; agrees, but ranks lower"
        rows.append(
            {
                "frame": frame.name,
                "source": scale.source,
                "km_per_pixel": scale.km_per_pixel,
                "error_km_per_pixel": scale.error_km_per_pixel,
                "believed": believed,
                "why": why,
            }
        )
    for source, reason in choice.refused:
        rows.append(
            {
                "frame": frame.name,
                "source": source,
                "km_per_pixel": None,
                "error_km_per_pixel": None,
                "believed": False,
                "why": reason,
            }
        )
    return rows
