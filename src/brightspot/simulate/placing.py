"""Where a scene's random spots go."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from brightspot import ceres
from brightspot.geometry import ViewingGeometry
from brightspot.simulate.features import NAMED_SPOTS
from brightspot.simulate.scene import Scene, Spot
from brightspot.simulate.surface import Craters, direction
from brightspot.simulate.view import coordinates, north_of


def place_spots(scene: Scene, geometry: ViewingGeometry, craters: Craters) -> list[Spot]:
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
    spot: Spot,
    scene: Scene,
    geometry: ViewingGeometry,
    craters: Craters,
    chance: float,
    rng: np.random.Generator,
) -> Spot:
    """The spot moved to the middle of a crater's floor, where the draw says so and one is near."""
    if chance >= scene.crater_floor_fraction or not len(craters.diameters_km):
        return spot
    here = direction(spot.latitude_deg, spot.longitude_deg)
    fits = (craters.diameters_km > 1.5 * spot.diameter_km) & (craters.diameters_km < 8 * spot.diameter_km)
    reach = np.cos(min(60 * spot.diameter_km / ceres.MEAN_RADIUS_KM, 3.0))
    near = np.nonzero(fits & (craters.centers @ here > reach))[0]
    if not near.size:
        return spot
    unit = craters.centers[rng.choice(near)]
    latitude, longitude = coordinates(unit)
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
    north = north_of(up)
    unit = np.cos(distance) * up + np.sin(distance) * (
        np.cos(angle) * north + np.sin(angle) * np.cross(north, up)
    )
    latitude, longitude = coordinates(unit)
    contrast = 1.0 + (spot.contrast - 1.0) * rng.uniform(0.6, 1.3)
    return replace(
        spot, latitude_deg=latitude, longitude_deg=longitude, diameter_km=diameter, contrast=contrast
    )


def _crowded(spot: Spot, taken: list[tuple[np.ndarray, float]]) -> bool:
    here = direction(spot.latitude_deg, spot.longitude_deg)
    return any(
        np.arccos(min(float(here @ there), 1.0)) * ceres.MEAN_RADIUS_KM < 1.3 * (spot.diameter_km + diameter)
        for there, diameter in taken
    )
