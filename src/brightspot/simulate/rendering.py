"""Scene to frame: geometry, ground, light, camera, and the truth about every spot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from brightspot import ceres
from brightspot.camera import Camera
from brightspot.errors import GeometryError
from brightspot.frame import Frame
from brightspot.geometry import ViewingGeometry
from brightspot.photometry import SOLAR_FLUX
from brightspot.simulate import detector
from brightspot.simulate.features import NAMED_SPOTS
from brightspot.simulate.scene import DISK_FUNCTIONS, Scene, Spot
from brightspot.simulate.surface import (
    BODY_KM,
    Craters,
    GroundGrid,
    build_surface,
    direction,
    map_position,
    paint_spots,
)

if TYPE_CHECKING:
    import pandas

GRID_BUDGET = 6_500_000
"""Most cells of the ground grid; a view that needs more gets coarser cells."""

GRID_COMFORT = 2_600_000
"""Small disks get finer cells until the grid has about this many."""

HIGHEST_KM = 8.0
"""Height of relief for which room is kept around the limb."""

SUN_RADIUS_KM = 695_700.0
"""Nominal solar radius in km. Source: IAU 2015 Resolution B3."""



TRUTH_COLUMNS = (
    "spot_id", "name", "kind", "is_spot", "x", "y", "latitude_deg", "longitude_deg", "elevation_km",
    "diameter_km", "contrast", "contrast_peak", "excess_area_km2", "incidence_deg", "emission_deg",
    "phase_deg", "pixel_scale_km", "diameter_px", "visible", "shadowed_fraction", "saturated",
)  # fmt: skip
"""Columns of the truth table. x, y: frame pixels where the spot's middle appears, relief included.
diameter_km: of the disc of equal area. contrast: mean albedo over the surroundings'. incidence, emission and
phase: on the spheroid. visible: lit, on the near side, in the frame, not behind relief, mostly out of shadow."""


@dataclass(frozen=True)
class Rendered:
    """A rendered frame and what is true about it.

    Attributes
    ----------
    scene : Scene
        With the exposure filled in.
    frame : Frame
        As if read from a file; its geometry is the exact one.
    truth : pandas.DataFrame
        One row per spot (and decoy) on the near side; see `TRUTH_COLUMNS`.
    albedo : numpy.ndarray
        float32 (rows, columns): albedo relative to the body's mean under each pixel, 0 on the sky.
    noise_free : numpy.ndarray
        float32 (rows, columns): I/F through the optics, before stray light and detector.
    dn : numpy.ndarray
        uint16 (rows, columns): raw counts, level 1A.
    radiance : numpy.ndarray
        float32 (rows, columns): calibrated radiance, level 1B.
    artefacts : pandas.DataFrame
        x, y, kind of hot and dead pixels, cosmic rays and the camera's defects.
    """

    scene: Scene
    frame: Frame
    truth: pandas.DataFrame
    albedo: np.ndarray
    noise_free: np.ndarray
    dn: np.ndarray
    radiance: np.ndarray
    artefacts: pandas.DataFrame


def render(scene: Scene) -> Rendered:
    """Render a scene.

    Parameters
    ----------
    scene : Scene
        What to render.

    Returns
    -------
    Rendered
        Frame, truth and intermediate pictures; the same for the same scene, bit for bit.
    """
    from brightspot._kernels import render as kernels

    geometry = viewing_geometry(scene)
    ground = ground_grid(scene, geometry)
    if ground is None:
        raise GeometryError("the scene shows no ground: move the body into the frame with center_xy")
    height, albedo, craters = build_surface(scene, ground)
    spots = [*(NAMED_SPOTS if scene.named_spots else ()), *scene.spots]
    spots += _random_spots(scene, geometry, ground, craters)
    painted = paint_spots(albedo, ground, spots, scene.seed)
    sun = geometry.sun_km / np.linalg.norm(geometry.sun_km)
    half_sun = SUN_RADIUS_KM / float(np.linalg.norm(geometry.sun_km))
    light, lit = kernels.shade(
        height, albedo, ground.frame, ground.grid, BODY_KM, geometry.spacecraft_km, sun, half_sun,
        DISK_FUNCTIONS.index(scene.disk_function), scene.disk_weight, scene.cast_shadows,
    )  # fmt: skip
    lens, view = _lens(geometry.camera), np.ascontiguousarray(geometry.camera_from_body)
    eye = np.ascontiguousarray(geometry.spacecraft_km)
    looks = (height, ground.frame, ground.grid, BODY_KM, eye, lens, view, *scene.shape, *map(float, scene.origin_xy))
    sharp, cover, under = kernels.look(light, albedo, *looks)
    dim = 10.0 ** (-0.4 * scene.phase_slope_mag_deg * geometry.phase_deg)
    iof = detector.blur(sharp * np.float32(scene.normal_albedo * dim), scene)
    flux = SOLAR_FLUX[scene.filter_number] / (np.pi * scene.sun_distance_au**2)
    level = _lit_level(iof, cover)
    stray = _stray_light(scene) * np.float32(level)
    exposure_s = scene.exposure_s or _exposure(scene, level * flux)
    scene = replace(scene, exposure_s=exposure_s)
    dn, artefacts = detector.expose((iof + stray) * np.float32(flux), scene, exposure_s)
    radiance = detector.calibrate(dn, scene, exposure_s)
    frame = _frame(scene, geometry, dn, radiance, flux)
    truth = _truth(scene, geometry, ground, spots, painted, craters, (height, lit), frame.saturated)
    import pandas as pd

    marks = pd.DataFrame({"x": artefacts.x, "y": artefacts.y, "kind": artefacts.kind})
    return Rendered(scene, frame, truth, under, iof, dn, radiance, marks)


# ---------------------------------------------------------------- geometry


def viewing_geometry(scene: Scene) -> ViewingGeometry:
    """Camera, Sun and body of a scene (body-fixed frame)."""
    camera = Camera.framing_camera(scene.camera, scene.filter_number)
    if not scene.distortion:
        camera = replace(camera, distortion_per_mm2=0.0)
    up = direction(scene.sub_spacecraft_latitude_deg, scene.sub_spacecraft_longitude_deg)
    radius = 1.0 / np.linalg.norm(up / np.asarray(ceres.RADII_KM))
    spacecraft = up * (radius + scene.altitude_km)
    north = _north(up)
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


def _north(up: np.ndarray) -> np.ndarray:
    pole = np.array([0.0, 0.0, 1.0]) if abs(up[2]) < 0.999999 else np.array([-1.0, 0.0, 0.0])
    north = pole - (pole @ up) * up
    return north / np.linalg.norm(north)


def _smallest_turn(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rotation matrix that takes unit vector a to b."""
    axis = np.cross(a, b)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1.0 + a @ b)


def _lens(camera: Camera) -> np.ndarray:
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
    fine = np.clip(np.sqrt(GRID_COMFORT / cells), 1.7, 8.0)
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
    a = _north(up)
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


# ---------------------------------------------------------------- spots


def _random_spots(scene: Scene, geometry: ViewingGeometry, ground: GroundGrid, craters: Craters) -> list[Spot]:
    """Spots drawn within the lit part of the frame, apart from each other except in pairs."""
    rng = np.random.default_rng([scene.seed, 13])
    rows, columns = scene.shape
    spots: list[Spot] = []
    taken: list[tuple[np.ndarray, float]] = []
    if scene.named_spots:
        taken = [(direction(s.latitude_deg, s.longitude_deg), s.diameter_km) for s in NAMED_SPOTS]
    for kind, count in (("random", scene.random_spots), ("dark", scene.dark_spots)):
        made = 0
        for _ in range(60 * count):
            if made >= count:
                break
            x, y = rng.uniform(0, columns - 1), rng.uniform(0, rows - 1)
            place = geometry.ground(x, y)
            u = rng.uniform(size=8)
            if not (place.incidence_deg < scene.max_spot_incidence_deg and place.emission_deg < 75):
                continue
            scale_km = float(place.slant_range_km) * geometry.camera.mean_ifov_rad
            spot = _draw_spot(scene, kind, float(place.latitude_deg), float(place.longitude_deg), scale_km, u)
            spot = _onto_crater(spot, scene, geometry, craters, u[5], rng)
            group = [spot]
            if kind == "random" and u[6] < scene.pair_fraction and made + 1 < count:
                group.append(_neighbour(spot, rng))
            if any(_crowded(s, taken) for s in group):
                continue
            spots += group
            taken += [(direction(s.latitude_deg, s.longitude_deg), s.diameter_km) for s in group]
            made += len(group)
    return spots


def _draw_spot(
    scene: Scene, kind: str, latitude: float, longitude: float, scale_km: float, u: np.ndarray
) -> Spot:
    if scene.random_spot_diameter_km is not None:
        low, high = scene.random_spot_diameter_km
    else:
        low, high = (d * scale_km for d in scene.random_spot_diameter_px)
    diameter = low * (high / low) ** u[0]
    if kind == "dark":
        dark_low, dark_high = scene.dark_spot_contrast
        contrast = dark_low + (dark_high - dark_low) * u[1]
    else:
        contrast = 1.0 + _power_law(*scene.random_spot_contrast, scene.contrast_slope, u[1])
    ragged = 0.2 + 0.8 * u[3] if u[2] < scene.ragged_fraction else 0.0
    return Spot("", latitude, longitude, diameter, contrast, 0.0, 1.0, 0.05 + 0.3 * u[4], ragged, kind)


def _power_law(low: float, high: float, slope: float, u: float) -> float:
    """Contrast - 1 between the bounds, density falling with ``slope``."""
    a, b = low - 1.0, high - 1.0
    if abs(slope - 1.0) < 1e-6:
        return float(a * (b / a) ** u)
    p = 1.0 - slope
    return float((a**p + u * (b**p - a**p)) ** (1.0 / p))


def _onto_crater(
    spot: Spot, scene: Scene, geometry: ViewingGeometry, craters: Craters, chance: float, rng: np.random.Generator
) -> Spot:
    """The spot moved onto the middle of a crater's floor nearby, where the draw says so and one is at hand."""
    if chance >= scene.crater_floor_fraction or not len(craters.diameters_km):
        return spot
    here = direction(spot.latitude_deg, spot.longitude_deg)
    fits = (craters.diameters_km > 1.5 * spot.diameter_km) & (craters.diameters_km < 8 * spot.diameter_km)
    near = np.nonzero(fits & (craters.centers @ here > np.cos(60 * spot.diameter_km / ceres.MEAN_RADIUS_KM)))[0]
    if not near.size:
        return spot
    unit = craters.centers[rng.choice(near)]
    latitude, longitude = _coordinates(unit)
    x, y = geometry.project(latitude, longitude)
    rows, columns = scene.shape
    if not (0 <= x <= columns - 1 and 0 <= y <= rows - 1):
        return spot
    place = geometry.ground(x, y)
    if not (place.incidence_deg < scene.max_spot_incidence_deg and place.emission_deg < 75):
        return spot
    return replace(spot, latitude_deg=latitude, longitude_deg=longitude)


def _neighbour(spot: Spot, rng: np.random.Generator) -> Spot:
    """A second spot 1.2 to 2.2 mean diameters away."""
    diameter = spot.diameter_km * rng.uniform(0.6, 1.2)
    distance = 0.5 * (diameter + spot.diameter_km) * rng.uniform(1.2, 2.2) / ceres.MEAN_RADIUS_KM
    angle = rng.uniform(0, 2 * np.pi)
    up = direction(spot.latitude_deg, spot.longitude_deg)
    north = _north(up)
    unit = np.cos(distance) * up + np.sin(distance) * (
        np.cos(angle) * north + np.sin(angle) * np.cross(north, up)
    )
    latitude, longitude = _coordinates(unit)
    contrast = 1.0 + (spot.contrast - 1.0) * rng.uniform(0.6, 1.3)
    return replace(spot, latitude_deg=latitude, longitude_deg=longitude, diameter_km=diameter, contrast=contrast)


def _coordinates(unit: np.ndarray) -> tuple[float, float]:
    return float(np.degrees(np.arcsin(unit[2]))), float(np.degrees(np.arctan2(unit[1], unit[0])) % 360.0)


def _crowded(spot: Spot, taken: list[tuple[np.ndarray, float]]) -> bool:
    here = direction(spot.latitude_deg, spot.longitude_deg)
    return any(
        np.arccos(min(float(here @ there), 1.0)) * ceres.MEAN_RADIUS_KM < 1.3 * (spot.diameter_km + diameter)
        for there, diameter in taken
    )


# ---------------------------------------------------------------- light and frame


def _lit_level(iof: np.ndarray, cover: np.ndarray) -> float:
    """90th percentile of I/F over the lit ground."""
    ground = iof[cover > 0.99]
    if not ground.size:
        ground = iof.ravel()
    bright = ground[ground > 0.15 * np.percentile(ground, 99)]
    return float(np.percentile(bright, 90)) if bright.size else 1e-3


def _exposure(scene: Scene, radiance: float) -> float:
    """Exposure (s, whole milliseconds from 1 up) that brings the radiance to ``exposure_level`` of the range."""
    signal = scene.exposure_level * (scene.ceiling_dn - scene.bias_dn)
    return max(round(1e3 * signal / (radiance * detector.responsivity(scene.filter_number))), 1) / 1e3


def _stray_light(scene: Scene) -> np.ndarray:
    rows, columns = scene.shape
    ramp = np.linspace(-0.5, 0.5, columns, dtype=np.float32)[None, :] * np.ones((rows, 1), np.float32)
    return np.maximum(scene.stray_light + scene.stray_light_gradient * ramp, 0).astype(np.float32)


def _frame(scene: Scene, geometry: ViewingGeometry, dn: np.ndarray, radiance: np.ndarray, flux: float) -> Frame:
    if scene.unit == "DN":
        image, unit, level = dn.astype(np.float32), "DN", "1A"
    elif scene.unit == "iof":
        image, unit, level = (radiance / np.float32(flux)).astype(np.float32), "I/F", "1C"
    else:
        image, level = radiance, "1B"
        unit = "W m-2 sr-1" if scene.filter_number == 1 else "W m-2 sr-1 nm-1"
    return Frame(
        name=scene.name,
        path=None,
        image=image,
        mask=np.zeros(scene.shape, bool),
        saturated=dn >= scene.ceiling_dn,
        unit=unit,
        camera=scene.camera,
        filter_number=scene.filter_number,
        level=level,
        start_time=scene.date,
        exposure_s=scene.exposure_s,
        target="CERES",
        subframe=scene.shape != (1024, 1024),
        origin_xy=scene.origin_xy,
        geometry=geometry,
        sun_distance_km=scene.sun_distance_au * ceres.AU_KM,
        notes=("rendered, not mission data",),
    )


# ---------------------------------------------------------------- truth


def _truth(
    scene: Scene,
    geometry: ViewingGeometry,
    ground: GroundGrid,
    spots: list[Spot],
    painted: np.ndarray,
    craters: Craters,
    surface: tuple[np.ndarray, np.ndarray],
    saturated: np.ndarray,
) -> pandas.DataFrame:
    """The truth table; see `TRUTH_COLUMNS`."""
    import pandas as pd

    height, lit = surface
    decoys = _halos(scene, geometry, craters)
    everything = spots + decoys
    if not everything:
        return pd.DataFrame({c: [] for c in TRUTH_COLUMNS})
    latitude = np.array([s.latitude_deg for s in everything])
    longitude = np.array([s.longitude_deg for s in everything])
    diameter = np.array([s.diameter_km for s in everything])
    unit = direction(latitude, longitude)
    place = _place(geometry, ground, height, unit)
    area = np.pi / 4 * diameter**2
    excess = np.array([_mean_excess(s) for s in everything]) * area
    # Where a core or ragged filling was painted, the painted excess is the truth.
    near = place["emission_deg"] < 90
    excess[: len(spots)] = np.where(painted[:, 1] != 0, painted[:, 1], excess[: len(spots)])
    table = pd.DataFrame(
        {
            "spot_id": np.arange(1, len(everything) + 1),
            "name": [s.name for s in everything],
            "kind": [s.kind for s in everything],
            "is_spot": np.arange(len(everything)) < len(spots),
            "x": place["x"],
            "y": place["y"],
            "latitude_deg": latitude,
            "longitude_deg": longitude % 360.0,
            "elevation_km": place["elevation_km"],
            "diameter_km": diameter,
            "contrast": 1 + excess / area,
            "contrast_peak": [max(s.contrast, s.core_contrast if s.core_diameter_km else 0) for s in everything],
            "excess_area_km2": excess,
            "incidence_deg": place["incidence_deg"],
            "emission_deg": place["emission_deg"],
            "phase_deg": place["phase_deg"],
            "pixel_scale_km": place["pixel_scale_km"],
            "diameter_px": diameter / place["pixel_scale_km"],
        }
    )
    rows, columns = scene.shape
    inside = (place["x"] > -0.5) & (place["y"] > -0.5) & (place["x"] < columns - 0.5) & (place["y"] < rows - 0.5)
    shadow = _shadowed(ground, lit, unit, diameter)
    in_sight = _in_sight(geometry, ground, height, place, near & inside)
    table["visible"] = near & inside & in_sight & (shadow < 0.5)
    table["shadowed_fraction"] = np.where(inside & near, shadow, np.nan)
    table["saturated"] = _touches(saturated, place, diameter / place["pixel_scale_km"])
    keep = near & (place["x"] > -20) & (place["y"] > -20) & (place["x"] < columns + 20) & (place["y"] < rows + 20)
    return table[keep].reset_index(drop=True)[list(TRUTH_COLUMNS)]


def _mean_excess(spot: Spot) -> float:
    """Contrast - 1 averaged over a spot with its core (whose edge fades over a quarter of its radius)."""
    core = (spot.core_diameter_km / spot.diameter_km) ** 2
    return spot.contrast - 1 + core * (spot.core_contrast - spot.contrast)


def _halos(scene: Scene, geometry: ViewingGeometry, craters: Craters) -> list[Spot]:
    """Bright ejecta of fresh craters at least 3 px across, as decoys."""
    halo = craters.numbers[:, 3]
    pixel_km = scene.altitude_km * geometry.camera.mean_ifov_rad
    chosen = np.nonzero((halo > 0) & (craters.diameters_km > 3 * pixel_km))[0]
    out = []
    for k in chosen:
        latitude, longitude = _coordinates(craters.centers[k])
        name, diameter = str(craters.names[k]), 2.0 * float(craters.diameters_km[k])
        out.append(Spot(name, latitude, longitude, diameter, 1 + float(halo[k]), kind="halo"))
    return out


def _place(
    geometry: ViewingGeometry, ground: GroundGrid, height: np.ndarray, unit: np.ndarray
) -> dict[str, np.ndarray]:
    """Where directions appear and how they are lit and seen."""
    from scipy.ndimage import map_coordinates

    radii = np.asarray(ceres.RADII_KM)
    radius = 1.0 / np.linalg.norm(unit / radii, axis=1)
    gx, gy = ground.position(unit)
    elevation = map_coordinates(height, [gy, gx], order=1, mode="nearest")
    point = unit * (radius + elevation)[:, None]
    x, y = geometry.project_points(point)
    base = unit * radius[:, None]
    normal = base / radii**2
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    to_eye = geometry.spacecraft_km - base
    reach = np.linalg.norm(to_eye, axis=1)
    to_eye /= reach[:, None]
    to_sun = geometry.sun_km - base
    to_sun /= np.linalg.norm(to_sun, axis=1, keepdims=True)

    def angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.degrees(np.arccos(np.clip(np.sum(a * b, axis=1), -1, 1)))

    return {
        "x": x,
        "y": y,
        "elevation_km": elevation,
        "incidence_deg": angle(normal, to_sun),
        "emission_deg": angle(normal, to_eye),
        "phase_deg": angle(to_sun, to_eye),
        "pixel_scale_km": reach * geometry.camera.mean_ifov_rad,
        "grid_x": gx,
        "grid_y": gy,
    }


def _shadowed(ground: GroundGrid, lit: np.ndarray, unit: np.ndarray, diameter_km: np.ndarray) -> np.ndarray:
    from brightspot._kernels import render as kernels

    seen = kernels.footprint_light(lit, ground.frame, ground.grid, BODY_KM, unit, 0.5 * diameter_km)
    return 1.0 - np.nan_to_num(seen)


def _in_sight(
    geometry: ViewingGeometry,
    ground: GroundGrid,
    height: np.ndarray,
    place: dict[str, np.ndarray],
    ask: np.ndarray,
) -> np.ndarray:
    """Whether the ground seen at a spot's pixel is the spot's own, not relief in front of it."""
    from brightspot._kernels import render as kernels

    out = np.zeros(ask.size, bool)
    x, y = place["x"][ask] + geometry.origin_xy[0], place["y"][ask] + geometry.origin_xy[1]
    seen = kernels.trace_pixels(
        x, y, _lens(geometry.camera), np.ascontiguousarray(geometry.camera_from_body),
        np.ascontiguousarray(geometry.spacecraft_km), height, ground.frame, ground.grid, BODY_KM,
    )  # fmt: skip
    off = np.hypot(seen[:, 0] - place["grid_x"][ask], seen[:, 1] - place["grid_y"][ask])
    out[ask] = off < 4.0 / np.maximum(np.cos(np.deg2rad(place["emission_deg"][ask])), 0.1)
    return out


def _touches(saturated: np.ndarray, place: dict[str, np.ndarray], diameter_px: np.ndarray) -> np.ndarray:
    """Whether a saturated pixel lies within a spot's radius."""
    rows, columns = saturated.shape
    out = np.zeros(diameter_px.size, bool)
    yy, xx = np.nonzero(saturated)
    if not yy.size:
        return out
    for k, (x, y) in enumerate(zip(place["x"], place["y"], strict=True)):
        if np.isfinite(x) and np.isfinite(y):
            out[k] = bool(np.any(np.hypot(xx - x, yy - y) <= max(0.5 * diameter_px[k], 1.0)))
    return out
