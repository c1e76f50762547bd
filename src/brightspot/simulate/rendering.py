"""Scene to frame: geometry, ground, light, camera, and the truth about every spot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from brightspot import ceres
from brightspot.errors import GeometryError
from brightspot.frame import Frame
from brightspot.geometry import ViewingGeometry
from brightspot.photometry import SOLAR_FLUX
from brightspot.simulate import detector
from brightspot.simulate.features import NAMED_SPOTS
from brightspot.simulate.placing import place_spots
from brightspot.simulate.scene import DISK_FUNCTIONS, Scene
from brightspot.simulate.surface import BODY_KM, build_surface, paint_spots
from brightspot.simulate.truth import truth_table
from brightspot.simulate.view import ground_grid, lens_numbers, viewing_geometry

if TYPE_CHECKING:
    import pandas

SUN_RADIUS_KM = 695_700.0
"""Nominal solar radius in km. Source: IAU 2015 Resolution B3."""


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
        One row per spot (and decoy) on the near side; see `truth.TRUTH_COLUMNS`.
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
    spots += place_spots(scene, geometry, craters)
    excess_km2 = paint_spots(albedo, ground, spots, scene.seed)
    sun = geometry.sun_km / np.linalg.norm(geometry.sun_km)
    half_sun = SUN_RADIUS_KM / float(np.linalg.norm(geometry.sun_km))
    light, lit = kernels.shade(
        height, albedo, ground.frame, ground.grid, BODY_KM, geometry.spacecraft_km, sun, half_sun,
        DISK_FUNCTIONS.index(scene.disk_function), scene.disk_weight, scene.cast_shadows,
    )  # fmt: skip
    lens, view = lens_numbers(geometry.camera), np.ascontiguousarray(geometry.camera_from_body)
    eye = np.ascontiguousarray(geometry.spacecraft_km)
    # One pixel more on every side, whose light reaches into the frame.
    (x0, y0), (rows, columns) = scene.origin_xy, scene.shape
    wide = kernels.look(
        light, albedo, height, ground.frame, ground.grid, BODY_KM, eye, lens, view,
        rows + 2, columns + 2, x0 - 1.0, y0 - 1.0,
    )  # fmt: skip
    sharp, cover, under = (np.ascontiguousarray(plane[1:-1, 1:-1]) for plane in wide)
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
    truth = truth_table(scene, geometry, ground, spots, excess_km2, craters, (height, lit), frame.saturated)
    import pandas as pd

    marks = pd.DataFrame({"x": artefacts.x, "y": artefacts.y, "kind": artefacts.kind})
    return Rendered(scene, frame, truth, under, iof, dn, radiance, marks)


# ---------------------------------------------------------------- light and frame


def _lit_level(iof: np.ndarray, cover: np.ndarray) -> float:
    """90th percentile of I/F over the lit ground."""
    ground = iof[cover > 0.99]
    if not ground.size:
        ground = iof.ravel()
    bright = ground[ground > 0.15 * np.percentile(ground, 99)]
    return float(np.percentile(bright, 90)) if bright.size else 1e-3


def _exposure(scene: Scene, radiance: float) -> float:
    """Exposure (s, whole milliseconds) that brings the radiance to ``exposure_level`` of the range."""
    signal = scene.exposure_level * (scene.ceiling_dn - scene.bias_dn)
    return max(round(1e3 * signal / (radiance * detector.responsivity(scene.filter_number))), 1) / 1e3


def _stray_light(scene: Scene) -> np.ndarray:
    rows, columns = scene.shape
    ramp = np.linspace(-0.5, 0.5, columns, dtype=np.float32)[None, :] * np.ones((rows, 1), np.float32)
    return np.maximum(scene.stray_light + scene.stray_light_gradient * ramp, 0).astype(np.float32)


def _frame(
    scene: Scene, geometry: ViewingGeometry, dn: np.ndarray, radiance: np.ndarray, flux: float
) -> Frame:
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
