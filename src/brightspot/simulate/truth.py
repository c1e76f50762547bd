"""What is true about every spot of a rendered frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from brightspot import ceres
from brightspot.geometry import ViewingGeometry
from brightspot.simulate.scene import Scene, Spot
from brightspot.simulate.surface import BODY_KM, Craters, GroundGrid, direction
from brightspot.simulate.view import coordinates, lens_numbers

if TYPE_CHECKING:
    import pandas

TRUTH_COLUMNS = (
    "spot_id", "name", "kind", "is_spot", "x", "y", "latitude_deg", "longitude_deg", "elevation_km",
    "diameter_km", "contrast", "contrast_peak", "excess_area_km2", "incidence_deg", "emission_deg",
    "phase_deg", "pixel_scale_km", "diameter_px", "visible", "shadowed_fraction", "saturated",
)  # fmt: skip
"""Columns of the truth table.

x, y: frame pixels where the spot's middle appears, relief included; elevation_km: mean height of its ground.
diameter_km: of the disc of equal area. contrast: mean albedo over that of the surroundings. incidence,
emission and phase: on the spheroid. visible: lit, on the near side, in the frame, not behind relief, mostly
out of shadow. kind: named, random or dark (is_spot True), or halo: bright ejecta, a decoy.
"""


HALO_PX = 6.0
"""Smaller craters' bright ejecta are left out of the table."""


def truth_table(
    scene: Scene,
    geometry: ViewingGeometry,
    ground: GroundGrid,
    spots: list[Spot],
    excess_km2: np.ndarray,
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
    place = _place(geometry, ground, height, unit, 0.5 * diameter)
    area = np.pi / 4 * diameter**2
    near = place["emission_deg"] < 90
    excess = np.concatenate([excess_km2, [(s.contrast - 1) * np.pi / 4 * s.diameter_km**2 for s in decoys]])
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
            "contrast_peak": [s.core_contrast if s.core_diameter_km else s.contrast for s in everything],
            "excess_area_km2": excess,
            "incidence_deg": place["incidence_deg"],
            "emission_deg": place["emission_deg"],
            "phase_deg": place["phase_deg"],
            "pixel_scale_km": place["pixel_scale_km"],
            "diameter_px": diameter / place["pixel_scale_km"],
        }
    )
    inside = _within(place, scene.shape, 0.5)
    shadow = _shadowed(ground, lit, unit, diameter)
    in_sight = _in_sight(geometry, ground, height, place, near & inside)
    table["visible"] = near & inside & in_sight & (shadow < 0.5)
    table["shadowed_fraction"] = np.where(inside & near, shadow, np.nan)
    table["saturated"] = _touches(saturated, place, diameter / place["pixel_scale_km"])
    keep = near & _within(place, scene.shape, 20)
    return table[keep].reset_index(drop=True)[list(TRUTH_COLUMNS)]


def _within(place: dict[str, np.ndarray], shape: tuple[int, int], margin: float) -> np.ndarray:
    """Whether positions lie in the frame grown by ``margin`` pixels."""
    x, y = place["x"], place["y"]
    rows, columns = shape
    return (x > -margin) & (y > -margin) & (x < columns - 1 + margin) & (y < rows - 1 + margin)


def _halos(scene: Scene, geometry: ViewingGeometry, craters: Craters) -> list[Spot]:
    """Bright ejecta of fresh craters at least `HALO_PX` across, as decoys."""
    halo = craters.numbers[:, 3]
    pixel_km = scene.altitude_km * geometry.camera.mean_ifov_rad
    chosen = np.nonzero((halo > 0) & (craters.diameters_km > HALO_PX * pixel_km))[0]
    out = []
    for k in chosen:
        latitude, longitude = coordinates(craters.centers[k])
        name, diameter = str(craters.names[k]), 2.0 * float(craters.diameters_km[k])
        out.append(Spot(name, latitude, longitude, diameter, 1 + float(halo[k]), kind="halo"))
    return out


def _place(
    geometry: ViewingGeometry, ground: GroundGrid, height: np.ndarray, unit: np.ndarray, radius_km: np.ndarray
) -> dict[str, np.ndarray]:
    """Where directions appear and how they are lit and seen."""
    from scipy.ndimage import map_coordinates

    radii = np.asarray(ceres.RADII_KM)
    radius = 1.0 / np.linalg.norm(unit / radii, axis=1)
    gx, gy = ground.position(unit)
    # Mean height over the spot: its middle and two rings of eight.
    angle = np.arange(8) * np.pi / 4
    dx = np.concatenate([[0.0], 0.45 * np.cos(angle), 0.85 * np.cos(angle)])
    dy = np.concatenate([[0.0], 0.45 * np.sin(angle), 0.85 * np.sin(angle)])
    cells = (radius_km / radius / ground.grid[2])[:, None]
    at = [gy[:, None] + cells * dy, gx[:, None] + cells * dx]
    elevation = map_coordinates(height, at, order=1, mode="nearest").mean(axis=1)
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

    def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.degrees(np.arccos(np.clip(np.sum(a * b, axis=1), -1, 1)))

    return {
        "x": x,
        "y": y,
        "elevation_km": elevation,
        "incidence_deg": between(normal, to_sun),
        "emission_deg": between(normal, to_eye),
        "phase_deg": between(to_sun, to_eye),
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
        x, y, lens_numbers(geometry.camera), np.ascontiguousarray(geometry.camera_from_body),
        np.ascontiguousarray(geometry.spacecraft_km), height, ground.frame, ground.grid, BODY_KM,
    )  # fmt: skip
    off = np.hypot(seen[:, 0] - place["grid_x"][ask], seen[:, 1] - place["grid_y"][ask])
    out[ask] = off < 4.0 / np.maximum(np.cos(np.deg2rad(place["emission_deg"][ask])), 0.1)
    return out


def _touches(saturated: np.ndarray, place: dict[str, np.ndarray], diameter_px: np.ndarray) -> np.ndarray:
    """Whether a saturated pixel lies within a spot's radius."""
    out = np.zeros(diameter_px.size, bool)
    yy, xx = np.nonzero(saturated)
    if not yy.size:
        return out
    for k, (x, y) in enumerate(zip(place["x"], place["y"], strict=True)):
        if np.isfinite(x) and np.isfinite(y):
            out[k] = bool(np.any(np.hypot(xx - x, yy - y) <= max(0.5 * diameter_px[k], 1.0)))
    return out
