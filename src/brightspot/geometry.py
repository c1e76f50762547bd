"""Where each pixel is on Ceres and how it is lit."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from brightspot import ceres
from brightspot.camera import CLEAR_DELAY_S, Camera, mid_exposure
from brightspot.errors import GeometryError


class Backplanes(NamedTuple):
    """Maps of a frame, each (rows, columns) float32, NaN off the body; see `BACKPLANES` for meanings."""

    latitude_deg: np.ndarray
    longitude_deg: np.ndarray
    incidence_deg: np.ndarray
    emission_deg: np.ndarray
    phase_deg: np.ndarray
    slant_range_km: np.ndarray
    pixel_area_km2: np.ndarray
    north_azimuth_deg: np.ndarray
    sun_azimuth_deg: np.ndarray


BACKPLANES: dict[str, tuple[str, str]] = {
    "latitude_deg": ("degree", "planetocentric latitude"),
    "longitude_deg": ("degree", "longitude, east positive, 0 to 360"),
    "incidence_deg": ("degree", "incidence angle on the ellipsoid; above 90 on the night side"),
    "emission_deg": ("degree", "emission angle on the ellipsoid"),
    "phase_deg": ("degree", "phase angle at the ground point"),
    "slant_range_km": ("km", "distance from the camera to the ground point"),
    "pixel_area_km2": ("km2", "area of ground within the pixel"),
    "north_azimuth_deg": ("degree", "direction of north in the image, clockwise from up"),
    "sun_azimuth_deg": ("degree", "direction toward the subsolar point in the image, clockwise from up"),
}
"""Unit and meaning of each field of `Backplanes`."""


class Ground(NamedTuple):
    """The ground under given pixels, float64 of the pixels' common shape; NaN off the body.

    The first nine fields mean what they mean in `Backplanes`. ``sun_ground_azimuth_deg`` is the
    direction toward the Sun on the ground, clockwise from north; ``point_km`` is (..., 3) in the
    body-fixed frame; ``scale_km`` is (..., 2, 2): km east (first row) and north (second row) in the tangent
    plane for one pixel to the right (first column) and one pixel down (second column).
    """

    latitude_deg: np.ndarray
    longitude_deg: np.ndarray
    incidence_deg: np.ndarray
    emission_deg: np.ndarray
    phase_deg: np.ndarray
    slant_range_km: np.ndarray
    pixel_area_km2: np.ndarray
    north_azimuth_deg: np.ndarray
    sun_azimuth_deg: np.ndarray
    sun_ground_azimuth_deg: np.ndarray
    point_km: np.ndarray
    scale_km: np.ndarray


class DiskMesh(NamedTuple):
    """Lighting at the centres of square blocks, each float32; NaN where the block centre misses the body."""

    mu0: np.ndarray
    mu: np.ndarray
    phase_deg: np.ndarray


@dataclass(frozen=True, eq=False)
class ViewingGeometry:
    """Camera, Sun and body at mid-exposure: all that a pixel needs to know its ground.

    Attributes
    ----------
    camera : Camera
        Maps detector pixels to rays.
    shape : tuple of int
        Rows and columns of the frame.
    spacecraft_km : numpy.ndarray
        (3,) position of the camera from Ceres' centre, body-fixed frame, km.
    sun_km : numpy.ndarray
        (3,) position of the Sun from Ceres' centre, body-fixed frame, km.
    camera_from_body : numpy.ndarray
        (3, 3) rotation: body-fixed vectors to camera vectors.
    origin_xy : tuple of float
        Detector pixel (sample, line) of the frame's pixel (0, 0); not (0, 0) in subframes.
    radii_km : tuple of float
        Semi-axes of the ellipsoid, km.
    source : str
        ``"spice"``, ``"label"`` or ``"limb"``.
    longitude_known : bool
        False where only outline and lighting are known (limb fit): latitude, longitude, north and slant
        range are then NaN.

    Notes
    -----
    Azimuths in the image are clockwise as seen on the displayed frame with row 0 at the top: 0 is up
    (toward smaller y), 90 right (toward larger x). North is the direction in which the image of a point
    moves when the point moves along the surface's meridian to the north; the Sun's azimuth likewise for a
    point that moves along the ground straight toward the Sun. Both include distortion and pixel pitch.
    """

    camera: Camera
    shape: tuple[int, int]
    spacecraft_km: np.ndarray
    sun_km: np.ndarray
    camera_from_body: np.ndarray
    origin_xy: tuple[float, float] = (0.0, 0.0)
    radii_km: tuple[float, float, float] = ceres.RADII_KM
    source: str = "label"
    longitude_known: bool = True

    @property
    def target_center_distance_km(self) -> float:
        """Distance from the camera to the centre of Ceres, km."""
        return float(np.linalg.norm(self.spacecraft_km))

    @property
    def altitude_km(self) -> float:
        """Height of the camera over the ellipsoid, along the line to the centre, km (as labels count it)."""
        distance_km = self.target_center_distance_km
        return distance_km - distance_km / float(np.linalg.norm(self.spacecraft_km / self.radii_km))

    @property
    def sub_spacecraft_deg(self) -> tuple[float, float]:
        """Planetocentric latitude and east longitude of the point below the camera, degrees."""
        return _latitude_longitude(self.spacecraft_km)

    @property
    def sub_solar_deg(self) -> tuple[float, float]:
        """Planetocentric latitude and east longitude of the point below the Sun, degrees."""
        return _latitude_longitude(self.sun_km)

    @property
    def phase_deg(self) -> float:
        """Phase angle at the centre of Ceres, degrees."""
        return float(_angle_deg(self.spacecraft_km, self.sun_km))

    @property
    def sun_distance_km(self) -> float:
        """Distance from Ceres to the Sun, km."""
        return float(np.linalg.norm(self.sun_km))

    def ground(self, x: np.ndarray | float, y: np.ndarray | float) -> Ground:
        """The ground under frame pixels, exact in float64.

        Parameters
        ----------
        x, y : array_like
            Frame pixel coordinates of any common shape; whole numbers are pixel centres.

        Returns
        -------
        Ground
            NaN where the ray misses the body.
        """
        ray = self.camera.pixel_to_ray(
            np.asarray(x, np.float64) + self.origin_xy[0], np.asarray(y, np.float64) + self.origin_xy[1]
        )
        look = ray @ self.camera_from_body
        radii = np.asarray(self.radii_km)
        range_km = _intersect(look, self.spacecraft_km, radii)
        point = self.spacecraft_km + range_km[..., None] * look
        normal = _unit(point / radii**2)
        to_sun = _unit(self.sun_km - point)
        north = _unit(np.array([0.0, 0.0, 1.0]) - normal[..., 2:] * normal)
        east = np.cross(north, normal)
        sunward = to_sun - _dot(to_sun, normal)[..., None] * normal
        # Image motion per km along east, north and toward the Sun: (..., 2) pixels per km each.
        moves = [self._image_motion(ray, range_km, step) for step in (east, north, sunward)]
        matrix = np.stack(moves[:2], axis=-1)
        determinant = matrix[..., 0, 0] * matrix[..., 1, 1] - matrix[..., 0, 1] * matrix[..., 1, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = (
                np.stack(
                    [
                        np.stack([matrix[..., 1, 1], -matrix[..., 0, 1]], axis=-1),
                        np.stack([-matrix[..., 1, 0], matrix[..., 0, 0]], axis=-1),
                    ],
                    axis=-2,
                )
                / np.asarray(determinant)[..., None, None]
            )
        unknown = 0.0 if self.longitude_known else np.nan  # NaN spreads to what is not known
        latitude = np.degrees(np.arctan2(point[..., 2], np.hypot(point[..., 0], point[..., 1])))
        longitude = np.degrees(np.arctan2(point[..., 1], point[..., 0])) % 360.0
        return Ground(
            latitude + unknown,
            longitude + unknown,
            _angle_deg(normal, to_sun),
            _angle_deg(normal, -look),
            _angle_deg(to_sun, -look),
            range_km + unknown,
            np.abs(1.0 / determinant),
            np.degrees(np.arctan2(moves[1][..., 0], -moves[1][..., 1])) % 360.0 + unknown,
            np.degrees(np.arctan2(moves[2][..., 0], -moves[2][..., 1])) % 360.0,
            np.degrees(np.arctan2(_dot(sunward, east), _dot(sunward, north))) % 360.0 + unknown,
            point,
            inverse,
        )

    def _image_motion(self, ray: np.ndarray, range_km: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) that an image point moves when its ground point moves by ``step`` (km, body frame)."""
        camera = self.camera
        move = step @ self.camera_from_body.T
        z = ray[..., 2] * range_km
        u = camera.focal_length_mm * ray[..., 0] / ray[..., 2]
        v = camera.focal_length_mm * ray[..., 1] / ray[..., 2]
        du = (camera.focal_length_mm * move[..., 0] - u * move[..., 2]) / z
        dv = (camera.focal_length_mm * move[..., 1] - v * move[..., 2]) / z
        stretch = 1.0 + camera.distortion_per_mm2 * (u * u + v * v)
        swell = 2.0 * camera.distortion_per_mm2 * (u * du + v * dv)
        return np.stack(
            [
                (du * stretch + u * swell) / camera.pitch_mm[0],
                (dv * stretch + v * swell) / camera.pitch_mm[1],
            ],
            axis=-1,
        )

    def project(
        self, latitude_deg: np.ndarray | float, longitude_deg: np.ndarray | float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Frame pixels (x, y) of places on Ceres.

        Parameters
        ----------
        latitude_deg, longitude_deg : array_like
            Planetocentric latitude and east longitude, degrees.

        Returns
        -------
        tuple of numpy.ndarray
            x and y, float64; NaN beyond the limb or behind the camera (or where longitudes are not known).
            Places in view of the camera but outside the frame get their coordinates there.
        """
        latitude, longitude = np.radians(latitude_deg), np.radians(longitude_deg)
        direction = np.stack(
            np.broadcast_arrays(
                np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)
            ),
            axis=-1,
        )
        radii = np.asarray(self.radii_km)
        point = direction / np.linalg.norm(direction / radii, axis=-1, keepdims=True)
        # In front of the plane through all limb points: p.s / radii^2 = 1.
        visible = (point / radii**2) @ self.spacecraft_km > 1.0
        x, y = self.project_points(point)
        hidden = np.nan if not self.longitude_known else 0.0
        return np.where(visible, x, np.nan) + hidden, np.where(visible, y, np.nan) + hidden

    def project_points(self, point_km: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frame pixels (x, y) of body-fixed points (..., 3) in km, whether hidden by the body or not."""
        x, y = self.camera.ray_to_pixel((np.asarray(point_km) - self.spacecraft_km) @ self.camera_from_body.T)
        return x - self.origin_xy[0], y - self.origin_xy[1]

    def limb(self, n_points: int = 720) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The ellipsoid's outline.

        Parameters
        ----------
        n_points : int
            Points around the outline.

        Returns
        -------
        tuple of numpy.ndarray
            x, y (frame pixels, also outside the frame) and the incidence angle (degrees) there.
        """
        radii = np.asarray(self.radii_km)
        apex = self.spacecraft_km / radii
        toward = apex / np.linalg.norm(apex)
        across = _unit(np.cross(toward, np.eye(3)[np.argmin(np.abs(toward))]))
        around = np.linspace(0.0, 2.0 * np.pi, n_points, endpoint=False)[:, None]
        height = 1.0 / np.linalg.norm(apex)
        ring = np.cos(around) * across + np.sin(around) * np.cross(toward, across)
        point = radii * (height * toward + np.sqrt(1.0 - height**2) * ring)
        x, y = self.project_points(point)
        return x, y, _angle_deg(point / radii**2, self.sun_km - point)

    def backplanes(self) -> Backplanes:
        """Nine maps of the frame in one compiled pass.

        Returns
        -------
        Backplanes
            (rows, columns) float32 arrays, NaN off the body; angles agree with `ground` to 1e-4 degree.
        """
        from brightspot._kernels import geometry as kernels

        planes = np.empty((len(Backplanes._fields), *self.shape), np.float32)
        kernels.backplanes(*self._packed(), planes)
        if not self.longitude_known:
            planes[[0, 1, 5, 7]] = np.nan
        return Backplanes(*planes)

    def disk_mesh(self, step: int = 8) -> DiskMesh:
        """Cosines of incidence and emission, and phase, at block centres.

        Parameters
        ----------
        step : int
            Block side in pixels. Cell [j, i] is the point x = step*i + (step - 1)/2, y likewise from j; the last
            cells may lie beyond the frame where its shape is not a multiple of ``step``.

        Returns
        -------
        DiskMesh
            float32 arrays of shape (ceil(rows/step), ceil(columns/step)); NaN off the body.
        """
        from brightspot._kernels import geometry as kernels

        shape = (-(-self.shape[0] // step), -(-self.shape[1] // step))
        mesh = DiskMesh(*(np.empty(shape, np.float32) for _ in range(3)))
        kernels.disk_mesh(*self._packed(), step, *mesh)
        return mesh

    def _packed(self) -> tuple[np.ndarray, np.ndarray]:
        """The scalars the kernels take: see ``_kernels/geometry.py``."""
        camera = self.camera
        optics = np.array(
            [
                camera.focal_length_mm,
                *camera.pitch_mm,
                camera.center_xy[0] - self.origin_xy[0],
                camera.center_xy[1] - self.origin_xy[1],
                camera.distortion_per_mm2,
            ]
        )
        scene = np.concatenate(
            [np.ravel(self.camera_from_body), self.spacecraft_km, self.sun_km, self.radii_km]
        )
        return optics, scene.astype(np.float64)

    def to_xarray(self) -> Any:
        """All backplanes as an ``xarray.Dataset`` with units and meanings (extra ``[netcdf]``)."""
        try:
            import xarray
        except ImportError as error:
            raise GeometryError(
                "backplanes as xarray need the package xarray: install brightspot[netcdf]"
            ) from error
        data = {
            name: (("y", "x"), plane, {"units": unit, "long_name": meaning})
            for (name, (unit, meaning)), plane in zip(BACKPLANES.items(), self.backplanes(), strict=True)
        }
        rows, columns = self.shape
        return xarray.Dataset(
            data,
            coords={"y": np.arange(rows), "x": np.arange(columns)},
            attrs={
                "body": "Ceres",
                "radii_km": list(self.radii_km),
                "geometry_source": self.source,
                "camera": f"{self.camera.name} F{self.camera.filter_number}",
                "spacecraft_km": list(map(float, self.spacecraft_km)),
                "sun_km": list(map(float, self.sun_km)),
                "conventions": "row 0 is the top; planetocentric latitude; east longitude",
            },
        )


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sum(a * b, axis=-1)


def _angle_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle between vectors in degrees, accurate at 0 and 180 alike."""
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), _dot(a, b)))


def _latitude_longitude(vector: np.ndarray) -> tuple[float, float]:
    x, y, z = vector
    return float(np.degrees(np.arctan2(z, np.hypot(x, y)))), float(np.degrees(np.arctan2(y, x)) % 360.0)


def _intersect(look: np.ndarray, spacecraft_km: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Distance along unit rays (body frame) to the ellipsoid, NaN where they miss it."""
    d, s = look / radii, spacecraft_km / radii
    a, b, c = _dot(d, d), d @ s, s @ s - 1.0
    with np.errstate(invalid="ignore"):
        return np.where(b < 0.0, c / (np.sqrt(b * b - a * c) - b), np.nan)


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
    _require_view(geometry)
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
        One line: keywords missing (level 1A), quaternion not unit, fields that contradict each other, body out
        of the frame, nothing lit, camera inside the body, another body.

    Notes
    -----
    QUATERNION is scalar first and turns J2000 to the camera frame (+X along samples, +Y down the displayed frame,
    +Z out). SC_TARGET_POSITION_VECTOR and SC_SUN_POSITION_VECTOR point from the spacecraft to the body and the
    Sun in J2000 km, whatever COORDINATE_SYSTEM_NAME says. All hold at START_TIME, 0.193 s and half an exposure
    before the middle of the exposure: found from a Vesta label's sub-spacecraft longitude (agrees to 0.02 s) and
    from a reconstructed attitude kernel. So the body is turned to the middle of the exposure, the position
    carried there with SC_TARGET_VELOCITY_VECTOR where given, and the attitude turned along so that the body's
    centre stays where it was in the camera, as Dawn tracks its target while it exposes.
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
        moved = target + velocity * (middle - start_time).total_seconds()
        attitude = attitude @ _turn(target, moved).T
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


def _turn(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Smallest rotation that takes the direction of a to that of b."""
    a, b = _unit(a), _unit(b)
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
        off_deg = _angle_deg(vector, _direction(float(latitude[0]), float(longitude[0])))
        if off_deg > DIRECTION_TOLERANCE_DEG:
            computed = _latitude_longitude(vector)
            raise GeometryError(
                f"{prefix}_LATITUDE/LONGITUDE are {latitude[0]:.3f}, {longitude[0]:.3f} but the label's vectors "
                f"give {computed[0]:.3f}, {computed[1]:.3f}"
            )
    ra, dec = _numbers(label, "RIGHT_ASCENSION", 1), _numbers(label, "DECLINATION", 1)
    if ra is not None and dec is not None:
        off_deg = _angle_deg(attitude[2], _direction(float(dec[0]), float(ra[0])))
        if off_deg > POINTING_TOLERANCE_DEG:
            raise GeometryError(
                f"QUATERNION points {off_deg:.3f} degree away from RIGHT_ASCENSION and DECLINATION"
            )
    phase = _numbers(label, "PHASE_ANGLE", 1)
    if phase is not None:
        # Labels give it where the boresight meets the ground; at the centre of the body it differs by degrees.
        told_deg = float(phase[0])
        computed_deg = [float(_angle_deg(v, sun - target)) for v in (-attitude[2], -target)]
        if min(abs(told_deg - c) for c in computed_deg) > DIRECTION_TOLERANCE_DEG:
            raise GeometryError(
                f"PHASE_ANGLE is {told_deg:.3f} but the label's vectors give {computed_deg[0]:.3f} at the boresight"
            )


def _direction(latitude_deg: float, longitude_deg: float) -> np.ndarray:
    latitude, longitude = np.radians([latitude_deg, longitude_deg])
    return np.array(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)]
    )


def _require_view(geometry: ViewingGeometry) -> None:
    """Raise GeometryError where the camera is inside the body, sees none of it, or none of it lit."""
    if not np.all(np.isfinite(geometry.spacecraft_km)) or not np.all(np.isfinite(geometry.sun_km)):
        raise GeometryError("vectors of the geometry are not finite")
    if np.linalg.norm(geometry.spacecraft_km / geometry.radii_km) <= 1.0:
        raise GeometryError(
            f"the camera is {geometry.target_center_distance_km:.1f} km from the centre of the body: inside it"
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
        Frames kernel, spacecraft clock, leap seconds, SPK of Dawn, Ceres and the Sun, CK of the spacecraft (and
        of FC2's alignment), or a meta-kernel. Unloaded again on return.
    camera, shape, origin_xy, radii_km
        See `ViewingGeometry`.
    start_time : datetime or None
        START_TIME, UTC; used where the clock count is not given.
    exposure_s : float or None
        Exposure, seconds.
    sclk_start : str or None
        SPACECRAFT_CLOCK_START_COUNT; preferred to ``start_time`` when a clock kernel is among the kernels.
    orientation : brightspot.ceres.Orientation
        Pole and prime meridian: those of this package, not of the kernels, so that every source of geometry uses
        one set.

    Raises
    ------
    GeometryError
        spiceypy not installed, a kernel missing or unreadable, no coverage at this time, or an impossible view.
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


# --- label against picture ----------------------------------------------------------------------------


class OrientationCheck(NamedTuple):
    """What the picture says about its own orientation.

    ``best_flip`` is ``"none"``, ``"up-down"``, ``"left-right"`` or ``"both"``: the flip of the predicted view that
    resembles the picture most; ``scores`` the correlation (-1 to 1) of each; ``agrees`` True where the
    geometry fits as it is, False where a flip of it fits clearly better, None where the picture cannot tell.
    """

    best_flip: str
    scores: dict[str, float]
    agrees: bool | None


FLIPS: dict[str, tuple[slice, slice]] = {
    "none": (slice(None), slice(None)),
    "up-down": (slice(None, None, -1), slice(None)),
    "left-right": (slice(None), slice(None, None, -1)),
    "both": (slice(None, None, -1), slice(None, None, -1)),
}

MINIMUM_SCORE, CLEAR_MARGIN = 0.5, 0.1
"""Correlation below which a picture says nothing, and lead a flip needs over another."""


def check_orientation(
    geometry: ViewingGeometry, image: np.ndarray, mask: np.ndarray | None = None
) -> OrientationCheck:
    """Compare the lit ellipsoid the geometry predicts with the pixels, under the four flips.

    Parameters
    ----------
    geometry : ViewingGeometry
        Geometry to be checked.
    image : numpy.ndarray
        (rows, columns) float32.
    mask : numpy.ndarray or None
        (rows, columns) bool, True where a pixel says nothing.

    Returns
    -------
    OrientationCheck
        ``agrees`` is None where body and lighting look the same flipped or fill the frame too evenly.
    """
    step = int(np.clip(2.0 * _apparent_radius(geometry) / 24.0, 1, 16))
    picture, seen = _block_means(image, mask, step)
    mesh = geometry.disk_mesh(step)
    rows, columns = picture.shape
    light = _lommel_seeliger(mesh.mu0, mesh.mu)[:rows, :columns]
    low, high = np.percentile(picture[seen], [1.0, 99.0]) if seen.any() else (0.0, 0.0)
    picture = np.clip(picture, low, high)
    scores = {name: _correlation(picture[seen], light[flip][seen]) for name, flip in FLIPS.items()}
    best = max(scores, key=lambda name: scores[name])
    others = max(score for name, score in scores.items() if name != "none")
    agrees: bool | None = None
    if scores[best] >= MINIMUM_SCORE:
        if others - scores["none"] > CLEAR_MARGIN:
            agrees = False
        elif scores["none"] - others > CLEAR_MARGIN:
            agrees = True
    return OrientationCheck(best, scores, agrees)


def _apparent_radius(geometry: ViewingGeometry) -> float:
    """Angular radius of the body over the mean pixel angle."""
    ratio = min(1.0, max(geometry.radii_km) / geometry.target_center_distance_km)
    return float(np.arcsin(ratio)) / geometry.camera.mean_ifov_rad


def _block_means(image: np.ndarray, mask: np.ndarray | None, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Means over whole blocks, and which blocks have at least half of their pixels."""
    rows, columns = image.shape[0] // step, image.shape[1] // step
    window = (slice(0, rows * step), slice(0, columns * step))
    good = np.isfinite(image[window]) if mask is None else ~mask[window]
    value = np.where(good, image[window], 0.0)
    total = value.reshape(rows, step, columns, step).sum(axis=(1, 3), dtype=np.float64)
    count = good.reshape(rows, step, columns, step).sum(axis=(1, 3))
    return total / np.maximum(count, 1), count * 2 >= step * step


def _lommel_seeliger(mu0: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """Brightness of a dark body's lit side relative to face-on; 0 at night and off the body."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(mu0 > 0.0, 2.0 * mu0 / (mu0 + mu), 0.0).astype(np.float64)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0.0 else 0.0


class PointingShift(NamedTuple):
    """How far the predicted view was moved to lie on the picture's limb.

    ``dx_px`` and ``dy_px`` are 0 where nothing was moved; ``n_limb_points`` counts the limb points that agreed
    (0: no limb in view); ``rms_px`` is their scatter about the limb as refined, NaN without points.
    """

    dx_px: float
    dy_px: float
    n_limb_points: int
    rms_px: float


SEARCH_PX = 32.0
"""How far from its predicted place the limb is looked for, and the largest shift believed."""

MINIMUM_LIMB_POINTS = 24


def refine_pointing(
    geometry: ViewingGeometry, image: np.ndarray, mask: np.ndarray | None = None
) -> tuple[ViewingGeometry, PointingShift]:
    """Turn the camera slightly so that the predicted limb lies on the picture's.

    Parameters
    ----------
    geometry : ViewingGeometry
        Geometry as labelled.
    image : numpy.ndarray
        (rows, columns) float32.
    mask : numpy.ndarray or None
        (rows, columns) bool, True where a pixel says nothing.

    Returns
    -------
    tuple
        The geometry (the same object where nothing was moved) and the `PointingShift`.

    Notes
    -----
    Only limb that is well lit counts (incidence under 70 degrees), so the terminator is not mistaken for it; each
    point's edge is the outermost one on its outward normal, so ground inside the limb is not either; the
    shift is a robust fit, and is used only if it leaves a smaller scatter. Where the limb in view is a short arc,
    the picture fixes one direction only, and the view is moved in that direction alone.
    """
    pixels = np.where(mask, np.nan, image) if mask is not None else image
    current, total, count, rms = geometry, np.zeros(2), 0, np.nan
    first_rms = np.inf
    for _ in range(3):
        edge = _limb_edges(current, pixels)
        if edge is None:
            return geometry, PointingShift(0.0, 0.0, 0, float("nan"))
        place, normal, offset = edge
        shift, kept = _fit_shift(normal, offset)
        count = int(kept.sum())
        if count < MINIMUM_LIMB_POINTS:
            return geometry, PointingShift(0.0, 0.0, 0, float("nan"))
        first_rms = min(first_rms, float(np.sqrt(np.mean(offset[kept] ** 2))))
        rms = float(np.sqrt(np.mean((offset - normal @ shift)[kept] ** 2)))
        total = total + shift
        if np.hypot(*total) > SEARCH_PX:
            return geometry, PointingShift(0.0, 0.0, count, rms)
        pivot = place[kept].mean(axis=0) + geometry.origin_xy
        old, new = (geometry.camera.pixel_to_ray(*point) for point in (pivot, pivot + shift))
        current = replace(current, camera_from_body=_turn(old, new) @ current.camera_from_body)
        if np.hypot(*shift) < 0.01:
            break
    if not rms < first_rms:
        return geometry, PointingShift(0.0, 0.0, count, first_rms)
    return current, PointingShift(float(total[0]), float(total[1]), count, rms)


def _limb_edges(
    geometry: ViewingGeometry, image: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Points on the predicted lit limb, their outward normals, and how far out the picture's edge lies."""
    rows, columns = image.shape
    for n_points in (720, 7200):
        x, y, incidence = geometry.limb(n_points)
        if not np.all(np.isfinite(x)):
            return None
        tangent = np.stack([np.roll(x, -1) - np.roll(x, 1), np.roll(y, -1) - np.roll(y, 1)], axis=-1)
        normal = _unit(np.stack([tangent[:, 1], -tangent[:, 0]], axis=-1))
        away = np.stack([x - x.mean(), y - y.mean()], axis=-1)
        normal *= np.sign(_dot(normal, away))[:, None]
        use = (incidence < 70.0) & (x > 0) & (x < columns - 1) & (y > 0) & (y < rows - 1)
        if use.sum() >= 120:
            break
    if use.sum() < MINIMUM_LIMB_POINTS:
        return None
    place, normal = np.stack([x, y], axis=-1)[use], normal[use]
    reach = min(SEARCH_PX, 0.5 * _apparent_radius(geometry))
    steps = np.arange(-reach - 6.0, reach + 6.25, 0.5)
    along = place[:, None] + steps[:, None] * normal[:, None]
    offset = _outermost_edge(_bilinear(image, along[..., 0], along[..., 1]), steps)
    good = np.isfinite(offset)
    return (place[good], normal[good], offset[good]) if good.any() else None


def _bilinear(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Image values between pixel centres, NaN outside the frame."""
    rows, columns = image.shape
    inside = (x >= 0) & (x <= columns - 1) & (y >= 0) & (y <= rows - 1)
    i = np.clip(np.nan_to_num(x).astype(np.intp), 0, columns - 2)
    j = np.clip(np.nan_to_num(y).astype(np.intp), 0, rows - 2)
    fx, fy = x - i, y - j
    top = image[j, i] * (1 - fx) + image[j, i + 1] * fx
    bottom = image[j + 1, i] * (1 - fx) + image[j + 1, i + 1] * fx
    return np.where(inside, top * (1 - fy) + bottom * fy, np.nan)


def _outermost_edge(profile: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Place along each profile (points, steps; inside first) of the outermost fall to the sky, NaN where none.

    The fall is the mean of 2 px inside less the mean of 2 px outside; the edge is where the brightness
    crosses half-way between the levels 2 to 5 px on either side.
    """
    span = 4  # samples of half a pixel
    running = np.cumsum(np.nan_to_num(profile, nan=0.0), axis=1)
    mean = (running[:, span:] - running[:, :-span]) / span  # of samples k+1 .. k+span
    fall = np.full(profile.shape, -np.inf)
    fall[:, span : -span - 1] = mean[:, : -span - 1] - mean[:, span + 1 :]
    broken = np.isnan(profile)
    bad = np.cumsum(broken, axis=1)
    hurt = np.zeros(profile.shape, bool)
    hurt[:, 10:-11] = (bad[:, 21:] - bad[:, :-21]) > 0
    fall[hurt] = -np.inf
    fall[:, :10] = fall[:, -11:] = -np.inf
    steepest = fall.max(axis=1)
    finite = np.isfinite(steepest) & (steepest > 0)
    if finite.sum() < MINIMUM_LIMB_POINTS:
        return np.full(len(profile), np.nan)
    typical = np.median(steepest[finite])
    # Outermost sample whose fall is half the typical limb's, then the top of that fall.
    strong = fall > 0.5 * np.minimum(steepest, typical)[:, None]
    last = profile.shape[1] - 1 - np.argmax(strong[:, ::-1], axis=1)
    result = np.full(len(profile), np.nan)
    for n in np.flatnonzero(finite & (steepest > 0.3 * typical)):
        lo = max(last[n] - 8, 0)
        top = lo + int(np.argmax(fall[n, lo : last[n] + 1]))
        inside = profile[n, top - 10 : top - 3].mean()
        outside = profile[n, top + 4 : top + 11].mean()
        level = 0.5 * (inside + outside)
        window = profile[n, top - 6 : top + 7]
        crossing = np.flatnonzero((window[:-1] >= level) & (window[1:] < level))
        if inside > outside and crossing.size:
            k = crossing[-1]
            fraction = (window[k] - level) / (window[k] - window[k + 1])
            result[n] = steps[top - 6 + k] + fraction * (steps[1] - steps[0])
    return result


def _fit_shift(normal: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Robust (dx, dy) with ``normal @ shift = offset``, and which points agree with it."""
    kept = np.ones(len(offset), bool)
    shift = np.zeros(2)
    for _ in range(12):
        values, vectors = np.linalg.eigh(normal[kept].T @ normal[kept] / max(kept.sum(), 1))
        right = vectors.T @ (normal[kept].T @ offset[kept]) / max(kept.sum(), 1)
        # A short arc of limb fixes one direction only: leave the other one alone.
        shift = vectors @ np.where(values > 0.02, right / np.maximum(values, 1e-12), 0.0)
        residual = np.abs(offset - normal @ shift)
        limit = max(3.0 * 1.4826 * float(np.median(residual[kept])), 0.5)
        again = residual < limit
        if again.sum() < MINIMUM_LIMB_POINTS or np.array_equal(again, kept):
            break
        kept = again
    return shift, kept


# --- pictures without a label ----------------------------------------------------------------------------


class SunFit(NamedTuple):
    """Direction to the Sun found from a picture's shading.

    ``camera_direction`` is (3,) in the camera frame (+X right, +Y down, +Z away from the viewer); ``phase_deg``
    the angle between Sun and viewer; ``azimuth_deg`` the direction of the light's source in the image, clockwise
    from up; ``uncertainty_deg`` one standard deviation of the direction, scatter of the ground included;
    ``score`` the correlation between the picture and the model, 0 to 1.
    """

    camera_direction: np.ndarray
    phase_deg: float
    azimuth_deg: float
    uncertainty_deg: float
    score: float


IDEAL_DISTANCE_KM = 1.0e6
"""Distance of the idealised camera of `from_limb`: far enough that perspective does not matter."""


def from_limb(
    center_xy: tuple[float, float],
    km_per_pixel: float,
    *,
    shape: tuple[int, int],
    axis_ratio: float = 1.0,
    pole_azimuth_deg: float = 0.0,
    sun_camera: Sequence[float] | np.ndarray | None = None,
    image: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    sun_distance_km: float = 2.77 * ceres.AU_KM,
    radii_km: tuple[float, float, float] = ceres.RADII_KM,
) -> ViewingGeometry:
    """Geometry of a picture without a label, from its limb and its light.

    Parameters
    ----------
    center_xy : tuple of float
        Centre of the limb ellipse, frame pixels.
    km_per_pixel : float
        Scale at the body's centre.
    shape : tuple of int
        Rows and columns of the picture.
    axis_ratio : float
        Minor over major axis of the limb ellipse; tells how far the pole is tilted (not to which side).
    pole_azimuth_deg : float
        Direction of the minor axis in the image, clockwise from up.
    sun_camera : array_like or None
        (3,) direction to the Sun in the camera frame; None: fitted to ``image`` (or, without one, taken to be
        behind the viewer).
    image, mask : numpy.ndarray or None
        Picture for `fit_sun`.
    sun_distance_km : float
        Ceres to the Sun, km; the default is the mean distance (semi-major axis 2.77 AU).
    radii_km : tuple of float
        Semi-axes, km.

    Returns
    -------
    ViewingGeometry
        ``source="limb"``, ``longitude_known=False``: angles and areas are meaningful; latitude, longitude, north and
        slant range are not known and are NaN in its maps.
    """
    if not km_per_pixel > 0.0:
        raise GeometryError(f"scale must be positive, not {km_per_pixel} km per pixel")
    a2, c2 = radii_km[0] ** 2, radii_km[2] ** 2
    tilt = np.arcsin(np.sqrt(np.clip((axis_ratio**2 * a2 - c2) / (a2 - c2), 0.0, 1.0))) if a2 > c2 else 0.0
    azimuth = np.radians(pole_azimuth_deg)
    viewer = np.array([0.0, 0.0, -1.0])
    up = np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])
    pole = np.cos(tilt) * up + np.sin(tilt) * viewer
    meridian = np.cos(tilt) * viewer - np.sin(tilt) * up
    camera_from_body = np.stack([meridian, np.cross(pole, meridian), pole], axis=-1)
    camera = Camera("ideal", 1, IDEAL_DISTANCE_KM / km_per_pixel, 0.0, (1.0, 1.0), center_xy)
    toward = viewer if sun_camera is None else _unit(np.asarray(sun_camera, np.float64))
    geometry = ViewingGeometry(
        camera,
        shape,
        IDEAL_DISTANCE_KM * (viewer @ camera_from_body),
        sun_distance_km * (toward @ camera_from_body),
        camera_from_body,
        radii_km=radii_km,
        source="limb",
        longitude_known=False,
    )
    if sun_camera is None and image is not None:
        fit = fit_sun(geometry, image, mask)
        geometry = replace(geometry, sun_km=sun_distance_km * (fit.camera_direction @ camera_from_body))
    _require_view(geometry)
    return geometry


def fit_sun(geometry: ViewingGeometry, image: np.ndarray, mask: np.ndarray | None = None) -> SunFit:
    """Find the direction to the Sun from the shading of the body's disk.

    Parameters
    ----------
    geometry : ViewingGeometry
        Camera and body; its own Sun is not looked at.
    image : numpy.ndarray
        (rows, columns) float32; any linear stretch will do.
    mask : numpy.ndarray or None
        (rows, columns) bool, True where a pixel says nothing.

    Returns
    -------
    SunFit
        The direction whose Lommel-Seeliger shading correlates best with block means of the picture.

    Raises
    ------
    GeometryError
        Too little of the body in the picture.

    Notes
    -----
    All directions on a grid, then a simplex search; blocks further than 4 sigma from the model (spots, shadows)
    are left out of a second search. The uncertainty is that of the least-squares fit, times 3 because
    neighbouring blocks share their craters.
    """
    from scipy.optimize import minimize

    step = int(np.clip(2.0 * _apparent_radius(geometry) / 40.0, 1, 32))
    picture, seen = _block_means(image, mask, step)
    at_y, at_x = np.nonzero(seen)
    half = 0.5 * (step - 1)
    ground = geometry.ground(at_x * step + half, at_y * step + half)
    on_body = np.cos(np.radians(ground.emission_deg)) > 0.15
    if on_body.sum() < 50:
        raise GeometryError("too little of the body in the picture to find the Sun from its shading")
    normal = (
        _unit(ground.point_km[on_body] / np.asarray(geometry.radii_km) ** 2) @ geometry.camera_from_body.T
    )
    mu = np.cos(np.radians(ground.emission_deg[on_body]))
    value = picture[at_y, at_x][on_body]
    value = np.clip(value, *np.percentile(value, [0.5, 99.0]))
    use = np.ones(value.size, bool)

    def direction(angles: np.ndarray) -> np.ndarray:
        phase, azimuth = angles
        return np.array([np.sin(phase) * np.sin(azimuth), -np.sin(phase) * np.cos(azimuth), -np.cos(phase)])

    def misfit(p: np.ndarray, base: np.ndarray, frame: np.ndarray) -> float:
        return 1.0 - _correlation(
            _lommel_seeliger(normal[use] @ _unit(base + p @ frame), mu[use]), value[use]
        )

    grid = [
        direction(np.radians([phase, azimuth])) for phase in range(2, 160, 8) for azimuth in range(0, 360, 15)
    ]
    best = max(grid, key=lambda s: _correlation(_lommel_seeliger(normal @ s, mu), value))
    for _ in range(2):
        frame = np.linalg.svd(best[None])[2][1:]
        found = minimize(
            misfit, np.zeros(2), args=(best, frame), method="Nelder-Mead",
            options={"initial_simplex": [[0, 0], [0.1, 0], [0, 0.1]], "xatol": 1e-4, "fatol": 1e-9},
        )  # fmt: skip
        best = _unit(best + found.x @ frame)
        residual, deviation = _sun_residual(normal, mu, value, best, frame, use)
        sigma = 1.4826 * float(np.median(np.abs(residual)))
        use = np.abs(residual) <= max(4.0 * sigma, 1e-12)
    azimuth_deg = float(np.degrees(np.arctan2(best[0], -best[1])) % 360.0)
    score = _correlation(_lommel_seeliger(normal[use] @ best, mu[use]), value[use])
    return SunFit(
        best,
        float(np.degrees(np.arccos(np.clip(-best[2], -1, 1)))),
        azimuth_deg,
        min(deviation, 180.0),
        score,
    )


def _sun_residual(
    normal: np.ndarray, mu: np.ndarray, value: np.ndarray, sun: np.ndarray, frame: np.ndarray, use: np.ndarray
) -> tuple[np.ndarray, float]:
    """Picture less fitted model on every block, and the direction's standard deviation in degrees."""
    model = _lommel_seeliger(normal @ sun, mu)
    design = np.stack([model, np.ones_like(model)], axis=-1)
    scale, *_ = np.linalg.lstsq(design[use], value[use], rcond=None)
    residual = value - design @ scale
    small = 1e-3
    slopes = [
        scale[0] * (_lommel_seeliger(normal @ _unit(sun + small * axis), mu) - model) / small
        for axis in frame
    ]
    jacobian = np.concatenate([np.stack(slopes, axis=-1), design], axis=1)[use]
    covariance = np.linalg.pinv(jacobian.T @ jacobian) * float(np.mean(residual[use] ** 2))
    largest = float(np.linalg.eigvalsh(covariance[:2, :2]).max())
    return residual, 3.0 * float(np.degrees(np.sqrt(max(largest, 0.0))))
