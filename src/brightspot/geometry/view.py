"""The viewing geometry: camera, Sun and body, and what every pixel sees of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from brightspot import ceres
from brightspot.camera import Camera
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
        return latitude_longitude(self.spacecraft_km)

    @property
    def sub_solar_deg(self) -> tuple[float, float]:
        """Planetocentric latitude and east longitude of the point below the Sun, degrees."""
        return latitude_longitude(self.sun_km)

    @property
    def phase_deg(self) -> float:
        """Phase angle at the centre of Ceres, degrees."""
        return float(angle_deg(self.spacecraft_km, self.sun_km))

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
        from brightspot._kernels import geometry as kernels

        right, down = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
        out = np.empty((17, right.size))
        kernels.ground(*self._packed(), right.ravel(), down.ravel(), out)
        if not self.longitude_known:
            out[[0, 1, 5, 7, 9]] = np.nan
        planes = out.reshape(17, *right.shape)
        point, scale = np.moveaxis(planes[10:13], 0, -1), np.moveaxis(planes[13:], 0, -1)
        return Ground._make([*planes[:10], point, scale.reshape(*right.shape, 2, 2)])

    def pixel_km(self, ground: Ground) -> np.ndarray:
        """Width of a pixel at points on the ground, across the line of sight, km."""
        return np.linalg.norm(ground.point_km - self.spacecraft_km, axis=-1) * self.camera.mean_ifov_rad

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
        across = unit(np.cross(toward, np.eye(3)[np.argmin(np.abs(toward))]))
        around = np.linspace(0.0, 2.0 * np.pi, n_points, endpoint=False)[:, None]
        height = 1.0 / np.linalg.norm(apex)
        ring = np.cos(around) * across + np.sin(around) * np.cross(toward, across)
        point = radii * (height * toward + np.sqrt(1.0 - height**2) * ring)
        x, y = self.project_points(point)
        return x, y, angle_deg(point / radii**2, self.sun_km - point)

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
            Block side in pixels. Cell [j, i] is the point x = step*i + (step - 1)/2, y likewise from j; the
            last cells may lie beyond the frame where its shape is not a multiple of ``step``.

        Returns
        -------
        DiskMesh
            float32 arrays of shape (ceil(rows/step), ceil(columns/step)); NaN off the body.

        Notes
        -----
        Bilinear interpolation between the centres errs in either cosine by less than step^2 / (2 R^2 mu^3),
        where R is the body's apparent radius in pixels and mu the smallest cosine of emission in the cell:
        0.0007 at 60 degrees of emission for step 8 and R = 600.
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


def unit(vector: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) divided by their lengths."""
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def angle_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle between vectors in degrees, accurate at 0 and 180 alike."""
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), np.sum(a * b, axis=-1)))


def latitude_longitude(vector: np.ndarray) -> tuple[float, float]:
    """Planetocentric latitude and east longitude (0 to 360) of a body-fixed vector, degrees."""
    x, y, z = vector
    return float(np.degrees(np.arctan2(z, np.hypot(x, y)))), float(np.degrees(np.arctan2(y, x)) % 360.0)
