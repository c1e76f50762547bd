"""Where each pixel is on Ceres and how it is lit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brightspot import ceres
from brightspot.camera import Camera


@dataclass(frozen=True)
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
        False where only the shape of the lighting is known (limb fit): latitude and longitude are then NaN.
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
