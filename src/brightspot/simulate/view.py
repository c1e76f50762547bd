"""Camera, Sun and body of a scene, and the grid of ground that its frame needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from brightspot import ceres
from brightspot.camera import Camera
from brightspot.geometry import ViewingGeometry
from brightspot.simulate.scene import Scene
from brightspot.simulate.surface import BODY_KM, GroundGrid, direction, map_position

GRID_BUDGET = 5_500_000
"""Most cells of the ground grid; a view that needs more gets coarser cells."""

GRID_COMFORT = 1_600_000
"""Small disks get finer cells until the grid has about this many."""

HIGHEST_KM = 8.0
"""Height of relief for which room is kept around the limb."""


def viewing_geometry(scene: Scene) -> ViewingGeometry:
    """Camera, Sun and body of a scene (body-fixed frame)."""
    camera = Camera.framing_camera(scene.camera, scene.filter_number)
    if not scene.distortion:
        camera = replace(camera, distortion_per_mm2=0.0)
    up = direction(scene.sub_spacecraft_latitude_deg, scene.sub_spacecraft_longitude_deg)
    radius = 1.0 / np.linalg.norm(up / np.asarray(ceres.RADII_KM))
    spacecraft = up * (radius + scene.altitude_km)
    north = north_of(up)
    east = np.cross(north, up)
    if scene.sub_solar_latitude_deg is not None:
        sun = direction(scene.sub_solar_latitude_deg, scene.sub_solar_longitude_deg or 0.0)
    else:
        phase, azimuth = np.deg2rad(scene.phase_deg), np.deg2rad(scene.sun_azimuth_deg)
        sun = np.cos(phase) * up + np.sin(phase) * (np.cos(azimuth) * north + np.sin(azimuth) * east)
    twist = np.deg2rad(scene.twist_deg)
    right = np.cos(twist) * east + np.sin(twist) * north
    down = np.sin(twist) * east - np.cos(twist) * north
    rotation = np.array([right, down, -up])
    rows, columns = scene.shape
    x0, y0 = scene.origin_xy
    center = scene.center_xy or (0.5 * (columns - 1), 0.5 * (rows - 1))
    # Turn the camera so that the body's centre falls on the wanted pixel.
    ray = camera.pixel_to_ray(center[0] + x0, center[1] + y0)
    rotation = _smallest_turn(np.array([0.0, 0.0, 1.0]), ray) @ rotation
    return ViewingGeometry(
        camera,
        scene.shape,
        spacecraft,
        sun * scene.sun_distance_au * ceres.AU_KM,
        rotation,
        scene.origin_xy,
        source="label",
    )


def north_of(up: np.ndarray) -> np.ndarray:
    """Unit tangent vector to the north at a direction."""
    pole = np.array([0.0, 0.0, 1.0]) if abs(up[2]) < 0.999999 else np.array([-1.0, 0.0, 0.0])
    north = pole - (pole @ up) * up
    return north / np.linalg.norm(north)


def _smallest_turn(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rotation matrix that takes unit vector a to b."""
    axis = np.cross(a, b)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1.0 + a @ b)


def lens_numbers(camera: Camera) -> np.ndarray:
    """The camera as ``_kernels.render`` takes it."""
    return np.array([camera.focal_length_mm, camera.distortion_per_mm2, *camera.pitch_mm, *camera.center_xy])


def ground_grid(scene: Scene, geometry: ViewingGeometry) -> GroundGrid | None:
    """Grid that holds all ground in view, and a margin; None where the frame shows only sky."""
    rows, columns = scene.shape
    x, y = np.meshgrid(np.linspace(-1, columns, 49), np.linspace(-1, rows, 49))
    rays = geometry.camera.pixel_to_ray(x.ravel() + scene.origin_xy[0], y.ravel() + scene.origin_xy[1])
    rays = rays @ geometry.camera_from_body
    eye = geometry.spacecraft_km
    seen, ranges = _first_hits(eye, rays, 0.0)
    shell, _ = _first_hits(eye, rays, HIGHEST_KM)
    rim = _limb_directions(geometry)
    points = np.concatenate([seen, shell, rim])
    if not len(points):
        return None
    core = seen if len(seen) else points
    center = core.mean(axis=0)
    if np.linalg.norm(center) < 1e-3:
        center = eye.copy()
    center /= np.linalg.norm(center)
    # Map axes along the picture's own, so that the box is tight.
    right = geometry.camera_from_body[0]
    right = right - (right @ center) * center
    right /= np.linalg.norm(right)
    frame = np.array([center, right, np.cross(center, right)])
    nearest = float(ranges.min()) if len(ranges) else float(np.linalg.norm(eye)) - BODY_KM[0]
    pixel_km = nearest * geometry.camera.mean_ifov_rad
    mx, my = map_position(points, frame)
    margin = 4 * pixel_km / ceres.MEAN_RADIUS_KM + 0.02 * max(np.ptp(mx), np.ptp(my))
    low = np.array([mx.min(), my.min()]) - margin
    size = np.array([mx.max(), my.max()]) + margin - low
    cell = pixel_km / ceres.MEAN_RADIUS_KM
    cells = float(np.prod(size)) / cell**2
    fine = np.clip(np.sqrt(GRID_COMFORT / cells), 1.7, 4.0)
    fine = min(fine, np.sqrt(GRID_BUDGET / cells))
    cell /= fine
    shape = (max(int(size[1] / cell) + 2, 4), max(int(size[0] / cell) + 2, 4))
    return GroundGrid(frame, np.array([low[0], low[1], cell]), shape, pixel_km)


def _first_hits(eye: np.ndarray, rays: np.ndarray, lift_km: float) -> tuple[np.ndarray, np.ndarray]:
    """Unit directions from the centre and ranges (km) where rays meet the spheroid grown by ``lift_km``."""
    radii = np.asarray(ceres.RADII_KM) + lift_km
    o, d = eye / radii, rays / radii
    a, b, c = np.sum(d * d, axis=1), d @ o, o @ o - 1
    disc = b * b - a * c
    hit = (disc > 0) & (b < 0)
    t = (-b[hit] - np.sqrt(disc[hit])) / a[hit]
    points = eye + t[:, None] * rays[hit]
    return points / np.linalg.norm(points, axis=1, keepdims=True), t


def _limb_directions(geometry: ViewingGeometry) -> np.ndarray:
    """Directions on and a little beyond the limb that the frame may see over it, (n, 3)."""
    eye = geometry.spacecraft_km
    distance = np.linalg.norm(eye)
    up = eye / distance
    a = north_of(up)
    b = np.cross(up, a)
    angle = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    ring = np.cos(angle)[:, None] * a + np.sin(angle)[:, None] * b
    out = []
    limb = np.arccos(min(BODY_KM[1] / distance, 1.0))
    beyond = np.arccos(BODY_KM[1] / (BODY_KM[1] + HIGHEST_KM))
    for extra in (0.0, 0.5 * beyond, beyond):
        unit = np.cos(limb + extra) * up + np.sin(limb + extra) * ring
        radius = 1.0 / np.linalg.norm(unit / np.asarray(ceres.RADII_KM), axis=1)
        x, y = geometry.project_points(unit * (radius + HIGHEST_KM)[:, None])
        rows, columns = geometry.shape
        out.append(unit[(x > -8) & (y > -8) & (x < columns + 8) & (y < rows + 8)])
    return np.concatenate(out)


def coordinates(unit: np.ndarray) -> tuple[float, float]:
    """Planetocentric latitude and east longitude in degrees of a unit vector."""
    return float(np.degrees(np.arcsin(unit[2]))), float(np.degrees(np.arctan2(unit[1], unit[0])) % 360.0)
