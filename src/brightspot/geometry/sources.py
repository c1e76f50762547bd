"""Viewing geometry from labels and from SPICE kernels."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from brightspot import ceres
from brightspot.camera import CLEAR_DELAY_S, Camera, mid_exposure
from brightspot.errors import GeometryError
from brightspot.geometry.view import ViewingGeometry, angle_deg, latitude_longitude, unit

# --- time ---------------------------------------------------------------------------------------

LEAP_SECONDS: tuple[tuple[datetime, int], ...] = (
    (datetime(1999, 1, 1), 32),
    (datetime(2006, 1, 1), 33),
    (datetime(2009, 1, 1), 34),
    (datetime(2012, 7, 1), 35),
    (datetime(2015, 7, 1), 36),
    (datetime(2017, 1, 1), 37),
)
"""TAI - UTC in seconds from each date on. Source: NAIF leap seconds kernel ``naif0012.tls``."""

TT_MINUS_TAI_S = 32.184
"""Source: ``naif0012.tls``, DELTET/DELTA_T_A."""

TDB_K_S, TDB_EB, TDB_M = 1.657e-3, 1.671e-2, (6.239996, 1.99096871e-7)
"""Periodic term of TDB - TT: K sin(M + EB sin M). Source: ``naif0012.tls``, DELTET/K, EB, M."""

J2000 = datetime(2000, 1, 1, 12)


def et_from_utc(utc: datetime) -> float:
    """Ephemeris time (TDB seconds past J2000) of a UTC instant, without kernels.

    Parameters
    ----------
    utc : datetime
        Naive datetimes are UTC; aware ones are converted.

    Returns
    -------
    float
        The same as SPICE's ``str2et`` with ``naif0012.tls`` to better than a microsecond.

    Raises
    ------
    GeometryError
        Before 1999, where the table of leap seconds begins.
    """
    if utc.tzinfo is not None:
        utc = utc.astimezone(UTC).replace(tzinfo=None)
    if utc < LEAP_SECONDS[0][0]:
        raise GeometryError(
            f"no leap seconds known for {utc:%Y-%m-%d}: Dawn flew 2007 to 2018, check the date"
        )
    leap_s = max(seconds for date, seconds in LEAP_SECONDS if utc >= date)
    tt_s = (utc - J2000).total_seconds() + leap_s + TT_MINUS_TAI_S
    anomaly = TDB_M[0] + TDB_M[1] * tt_s
    return tt_s + TDB_K_S * float(np.sin(anomaly + TDB_EB * np.sin(anomaly)))


# --- from vectors and labels ----------------------------------------------------------------------

DISTANCE_TOLERANCE_KM = 2.0
ALTITUDE_TOLERANCE_KM = 10.0
DIRECTION_TOLERANCE_DEG = 1.0
POINTING_TOLERANCE_DEG = 0.1
"""How far a label's fields may contradict each other: figures of the body differ by up to 6 km between kernel
versions, and poles by less than 0.1 degree since the survey orbit."""


def from_vectors(
    target_km: Sequence[float] | np.ndarray,
    sun_km: Sequence[float] | np.ndarray,
    camera_from_j2000: np.ndarray,
    et_s: float,
    *,
    camera: Camera,
    shape: tuple[int, int],
    origin_xy: tuple[float, float] = (0.0, 0.0),
    orientation: ceres.Orientation = ceres.ORIENTATION,
    radii_km: tuple[float, float, float] = ceres.RADII_KM,
    light_time: bool = True,
    source: str = "label",
) -> ViewingGeometry:
    """Geometry from J2000 vectors and attitude at one instant.

    Parameters
    ----------
    target_km, sun_km : array_like
        (3,) vectors from the spacecraft to the centre of Ceres and to the Sun, J2000, km.
    camera_from_j2000 : array_like
        (3, 3) rotation from J2000 to the camera frame.
    et_s : float
        Ephemeris time of the middle of the exposure, TDB seconds past J2000.
    camera, shape, origin_xy, radii_km, source
        See `ViewingGeometry`.
    orientation : brightspot.ceres.Orientation
        Pole and prime meridian.
    light_time : bool
        Turn the body as it was when the light left it.

    Raises
    ------
    GeometryError
        Camera inside the body, body out of the frame, or nothing in the frame lit.

    Notes
    -----
    Light time turns Ceres by ``rate * distance / c``: 0.0033 pixel at the equator at any distance. Stellar
    aberration (18 km/s against light: 0.6 pixel) and the motion of Ceres during the light time (as much,
    the other way) cancel but for the motion of Dawn about Ceres (under 0.3 km/s: 0.01 pixel), so the
    geometric vector is used; a vector corrected for both is as good, one corrected for only one of them is
    0.6 pixel off. The Sun's direction is geometric too: its aberration, not applied, is 0.0034 degree.
    """
    target, sun = np.asarray(target_km, np.float64), np.asarray(sun_km, np.float64)
    delay_s = float(np.linalg.norm(target)) / ceres.SPEED_OF_LIGHT_KM_S if light_time else 0.0
    body = ceres.body_from_j2000(et_s - delay_s, orientation)
    geometry = ViewingGeometry(
        camera,
        shape,
        body @ -target,
        body @ (sun - target),
        np.asarray(camera_from_j2000) @ body.T,
        origin_xy,
        radii_km,
        source,
    )
    require_view(geometry)
    return geometry


def from_label(
    label: Mapping[str, Any],
    *,
    camera: Camera,
    shape: tuple[int, int],
    origin_xy: tuple[float, float] = (0.0, 0.0),
    start_time: datetime | None,
    exposure_s: float | None,
    body_name: str = "CERES",
    orientation: ceres.Orientation = ceres.ORIENTATION,
    radii_km: tuple[float, float, float] = ceres.RADII_KM,
) -> ViewingGeometry:
    """Geometry from the keywords of a level 1B label, without kernels.

    Parameters
    ----------
    label : Mapping
        Flat label; numbers as floats, vectors as lists of floats, missing values None.
    camera, shape, origin_xy, radii_km
        See `ViewingGeometry`.
    start_time : datetime
        START_TIME, UTC.
    exposure_s : float or None
        Exposure, seconds.
    body_name : str
        What TARGET_NAME must contain.
    orientation : brightspot.ceres.Orientation
        Pole and prime meridian.

    Raises
    ------
    GeometryError
        One line: keywords missing (level 1A), quaternion not unit, fields that contradict each other, body
        out of the frame, nothing lit, camera inside the body, another body.

    Notes
    -----
    QUATERNION is scalar first and turns J2000 to the camera frame (+X along samples, +Y down the displayed
    frame, +Z out). SC_TARGET_POSITION_VECTOR and SC_SUN_POSITION_VECTOR point from the spacecraft to the body
    and the Sun in J2000 km, whatever COORDINATE_SYSTEM_NAME says. All hold at START_TIME, 0.193 s and half an
    exposure before the middle of the exposure: found from a Vesta label's sub-spacecraft longitude (agrees to
    0.02 s) and from a reconstructed attitude kernel. So the body is turned to the middle of the exposure, the
    position carried there with SC_TARGET_VELOCITY_VECTOR where given, and the attitude turned along so that
    the body's centre stays where it was in the camera, as Dawn tracks its target while it exposes.
    """
    target_name = label.get("TARGET_NAME")
    if isinstance(target_name, str) and body_name not in target_name.upper():
        raise GeometryError(
            f"label is about {target_name!r}, not {body_name.title()}: no geometry taken from it"
        )
    quaternion = _numbers(label, "QUATERNION", 4)
    target = _numbers(label, "SC_TARGET_POSITION_VECTOR", 3)
    sun = _numbers(label, "SC_SUN_POSITION_VECTOR", 3)
    if quaternion is None or target is None or sun is None:
        raise GeometryError("no geometry in label (level 1A?): give kernels, or a scale by hand")
    if start_time is None:
        raise GeometryError("no START_TIME in label: the rotation of the body is not known")
    norm = float(np.linalg.norm(quaternion))
    if not abs(norm - 1.0) <= 1e-3:
        raise GeometryError(
            f"QUATERNION has length {norm:.5f}, not 1: the pointing in the label is not usable"
        )
    attitude = _matrix(quaternion / norm)
    _require_consistent(label, target, sun, attitude, orientation, radii_km, et_from_utc(start_time))
    middle = mid_exposure(start_time, exposure_s)
    velocity = _numbers(label, "SC_TARGET_VELOCITY_VECTOR", 3)
    if velocity is not None:
        speed_km_s = float(np.linalg.norm(velocity))
        if speed_km_s > GREATEST_SPEED_KM_S:
            raise GeometryError(f"SC_TARGET_VELOCITY_VECTOR is {speed_km_s:.4g} km/s long: not in km/s?")
        moved = target + velocity * (middle - start_time).total_seconds()
        attitude = attitude @ turn(target, moved).T
        target = moved
    return from_vectors(
        target,
        sun,
        attitude,
        et_from_utc(middle),
        camera=camera,
        shape=shape,
        origin_xy=origin_xy,
        orientation=orientation,
        radii_km=radii_km,
    )


GREATEST_DISTANCE_KM, GREATEST_SPEED_KM_S = 2e6, 10.0
"""Ceres is half a pixel wide from farther off; Dawn never passed it faster."""


def _numbers(label: Mapping[str, Any], key: str, count: int) -> np.ndarray | None:
    """A label's vector, or None where it is missing or not all numbers."""
    value = label.get(key)
    if value is None or isinstance(value, str):
        return None
    try:
        vector = np.asarray(value, np.float64).ravel()
    except (TypeError, ValueError):
        return None
    return vector if vector.size == count and np.all(np.isfinite(vector)) else None


def _matrix(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrix of a unit quaternion, scalar first, in SPICE's sense."""
    w, x, y, z = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def turn(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Smallest rotation that takes the direction of a to that of b."""
    a, b = unit(a), unit(b)
    axis, cosine = np.cross(a, b), float(a @ b)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1.0 + cosine)


def _require_consistent(
    label: Mapping[str, Any],
    target: np.ndarray,
    sun: np.ndarray,
    attitude: np.ndarray,
    orientation: ceres.Orientation,
    radii_km: tuple[float, float, float],
    et_s: float,
) -> None:
    """Compare a label's derived fields with its vectors; raise GeometryError where they contradict."""
    body = ceres.body_from_j2000(et_s, orientation)
    spacecraft, to_sun = body @ -target, body @ (sun - target)
    distance_km = float(np.linalg.norm(target))
    if not 1.0 < distance_km < GREATEST_DISTANCE_KM:
        raise GeometryError(
            f"SC_TARGET_POSITION_VECTOR is {distance_km:.4g} km long: not a distance from which Ceres is seen"
        )
    altitude_km = distance_km - distance_km / float(np.linalg.norm(spacecraft / radii_km))
    if not 0.5 < np.linalg.norm(sun) / ceres.AU_KM < 6.0:
        raise GeometryError(
            f"SC_SUN_POSITION_VECTOR is {np.linalg.norm(sun) / ceres.AU_KM:.3g} AU long: not in kilometres?"
        )
    for key, computed_km, tolerance_km in (
        ("TARGET_CENTER_DISTANCE", distance_km, DISTANCE_TOLERANCE_KM),
        ("SPACECRAFT_ALTITUDE", altitude_km, ALTITUDE_TOLERANCE_KM),
    ):
        told = _numbers(label, key, 1)
        if told is not None and abs(told[0] - computed_km) > tolerance_km + 1e-3 * computed_km:
            raise GeometryError(
                f"{key} is {told[0]:.3f} km but the label's vectors give {computed_km:.3f} km"
            )
    for prefix, vector in (("SUB_SPACECRAFT", spacecraft), ("SUB_SOLAR", to_sun)):
        latitude = _numbers(label, f"{prefix}_LATITUDE", 1)
        longitude = _numbers(label, f"{prefix}_LONGITUDE", 1)
        if latitude is None or longitude is None:
            continue
        off_deg = angle_deg(vector, _direction(float(latitude[0]), float(longitude[0])))
        if off_deg > DIRECTION_TOLERANCE_DEG:
            computed = latitude_longitude(vector)
            raise GeometryError(
                f"{prefix}_LATITUDE/LONGITUDE are {latitude[0]:.3f}, {longitude[0]:.3f} "
                f"but the label's vectors give {computed[0]:.3f}, {computed[1]:.3f}"
            )
    ra, dec = _numbers(label, "RIGHT_ASCENSION", 1), _numbers(label, "DECLINATION", 1)
    if ra is not None and dec is not None:
        off_deg = angle_deg(attitude[2], _direction(float(dec[0]), float(ra[0])))
        if off_deg > POINTING_TOLERANCE_DEG:
            raise GeometryError(
                f"QUATERNION points {off_deg:.3f} degree away from RIGHT_ASCENSION and DECLINATION"
            )
    phase = _numbers(label, "PHASE_ANGLE", 1)
    if phase is not None:
        # Labels give it where the boresight meets the ground; at the centre of the body it differs by
        # degrees.
        told_deg = float(phase[0])
        computed_deg = [float(angle_deg(v, sun - target)) for v in (-attitude[2], -target)]
        if min(abs(told_deg - c) for c in computed_deg) > DIRECTION_TOLERANCE_DEG:
            raise GeometryError(
                f"PHASE_ANGLE is {told_deg:.3f} but the label's vectors give {computed_deg[0]:.3f}"
            )


def _direction(latitude_deg: float, longitude_deg: float) -> np.ndarray:
    latitude, longitude = np.radians([latitude_deg, longitude_deg])
    return np.array(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)]
    )


def require_view(geometry: ViewingGeometry) -> None:
    """Raise GeometryError where the camera is inside the body, sees none of it, or none of it lit."""
    if not np.all(np.isfinite(geometry.spacecraft_km)) or not np.all(np.isfinite(geometry.sun_km)):
        raise GeometryError("vectors of the geometry are not finite")
    if np.linalg.norm(geometry.spacecraft_km / geometry.radii_km) <= 1.0:
        raise GeometryError(
            f"the camera is {geometry.target_center_distance_km:.1f} km from the body's centre: inside it"
        )
    rows, columns = geometry.shape
    left, right, top, bottom = 0.0, columns - 1.0, 0.0, rows - 1.0
    x, y, _ = geometry.limb(180)
    center_x, _ = geometry.project_points(np.zeros(3))
    if np.all(np.isfinite(x)) and np.isfinite(center_x):
        # A far body covers few pixels: look for it where it is.
        left, right = max(left, float(x.min())), min(right, float(x.max()))
        top, bottom = max(top, float(y.min())), min(bottom, float(y.max()))
    incidence = np.full(1, np.nan)
    if left < right and top < bottom:
        grid_x, grid_y = np.meshgrid(np.linspace(left, right, 48), np.linspace(top, bottom, 48))
        incidence = geometry.ground(grid_x, grid_y).incidence_deg
    if np.all(np.isnan(incidence)):
        raise GeometryError(
            "the body is outside the frame: position vector and pointing do not belong together"
        )
    if np.nanmin(incidence) >= 90.0:
        raise GeometryError("the Sun is behind the body: nothing in the frame is lit")


# --- from SPICE kernels -----------------------------------------------------------------------------

DAWN_ID, CERES_ID, SUN_ID = "-203", "2000001", "10"
"""NAIF codes. Source: Dawn frames kernel ``dawn_v15.tf``."""

_SPICE_LOCK = threading.Lock()  # the SPICE library keeps its kernels in one global, unguarded pool


def from_spice(
    kernel_paths: Sequence[str | Path],
    *,
    camera: Camera,
    shape: tuple[int, int],
    origin_xy: tuple[float, float] = (0.0, 0.0),
    start_time: datetime | None,
    exposure_s: float | None,
    sclk_start: str | None = None,
    orientation: ceres.Orientation = ceres.ORIENTATION,
    radii_km: tuple[float, float, float] = ceres.RADII_KM,
) -> ViewingGeometry:
    """Geometry from SPICE kernels: for level 1A frames, or better pointing than the label's.

    Parameters
    ----------
    kernel_paths : sequence of path
        Frames kernel, spacecraft clock, leap seconds, SPK of Dawn, Ceres and the Sun, CK of the spacecraft
        (and of FC2's alignment), or a meta-kernel. Unloaded again on return.
    camera, shape, origin_xy, radii_km
        See `ViewingGeometry`.
    start_time : datetime or None
        START_TIME, UTC; used where the clock count is not given.
    exposure_s : float or None
        Exposure, seconds.
    sclk_start : str or None
        SPACECRAFT_CLOCK_START_COUNT; preferred to ``start_time`` when a clock kernel is among the kernels.
    orientation : brightspot.ceres.Orientation
        Pole and prime meridian: those of this package, not of the kernels, so that every source of geometry
        uses one set.

    Raises
    ------
    GeometryError
        spiceypy not installed, a kernel missing or unreadable, no coverage at this time, or an impossible
        view.
    """
    try:
        import spiceypy
    except ImportError as error:
        raise GeometryError("kernels need the package spiceypy: install brightspot[spice]") from error
    paths = [_kernel(path) for path in kernel_paths]
    if start_time is None and sclk_start is None:
        raise GeometryError("neither START_TIME nor a spacecraft clock count: no time to ask the kernels for")
    with _SPICE_LOCK:
        loaded: list[str] = []
        try:
            for path in paths:
                spiceypy.furnsh(path)
                loaded.append(path)
            if sclk_start is not None and spiceypy.expool("SCLK_DATA_TYPE_203"):
                et_s = spiceypy.scs2e(int(DAWN_ID), sclk_start) + CLEAR_DELAY_S + 0.5 * (exposure_s or 0.0)
            elif start_time is not None:
                et_s = et_from_utc(mid_exposure(start_time, exposure_s))
            else:
                raise GeometryError("no spacecraft clock kernel among the kernels, and no START_TIME")
            attitude = spiceypy.pxform("J2000", f"DAWN_{camera.name}", et_s)
            target, _ = spiceypy.spkpos(CERES_ID, et_s, "J2000", "NONE", DAWN_ID)
            sun, _ = spiceypy.spkpos(SUN_ID, et_s, "J2000", "NONE", DAWN_ID)
        except spiceypy.utils.exceptions.SpiceyError as error:
            raise GeometryError(f"kernels give no geometry: {_spice_reason(error)}") from error
        finally:
            for path in reversed(loaded):
                spiceypy.unload(path)
    return from_vectors(
        target,
        sun,
        attitude,
        float(et_s),
        camera=camera,
        shape=shape,
        origin_xy=origin_xy,
        orientation=orientation,
        radii_km=radii_km,
        source="spice",
    )


def _kernel(path: str | Path) -> str:
    """The path as text, or GeometryError where it cannot be a kernel SPICE would load."""
    if not Path(path).is_file():
        raise GeometryError(f"kernel {path} does not exist")
    with Path(path).open("rb") as stream:
        if stream.read(6) in (b"DAFETF", b"DASETF"):
            raise GeometryError(f"kernel {path} is in NAIF transfer format: convert it with `tobin` first")
    return str(path)


def _spice_reason(error: Exception) -> str:
    """The first telling line of a SPICE message."""
    short = str(getattr(error, "short", "") or type(error).__name__)
    long = " ".join(str(getattr(error, "long", "")).split())
    return f"{short} {long}".strip()[:300]
