"""The lit shape that a geometry predicts, and how well a picture resembles it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from brightspot import ceres
from brightspot.geometry.view import ViewingGeometry

BLOCK_SCATTER = 0.055
"""Least scatter of a block of ground about the smooth spheroid, in units of the light of ground seen face-on:
craters and albedo, found on rendered frames; about the same from noon to the terminator."""

SHARED_BLOCKS = 25.0
"""Blocks of a 24th of the radius that share their craters: they count as one. Set so that rendered frames lie
within their errors."""

HORIZON_LIFT = 0.0014
"""How far the horizon stands over the mean surface, as a share of the radius (0.7 km): of all ground along a
line of sight the highest is seen. Found on rendered cratered disks."""

SAMPLED_SIDE = 4
"""Side in pixels of the middle of each block that is read."""


def apparent_radius(geometry: ViewingGeometry) -> float:
    """Angular radius of the body over the mean pixel angle."""
    ratio = min(1.0, max(geometry.radii_km) / geometry.target_center_distance_km)
    return float(np.arcsin(ratio)) / geometry.camera.mean_ifov_rad


def shading(mu0: np.ndarray, mu: np.ndarray, weight: float = ceres.LUNAR_LAMBERT_WEIGHT) -> np.ndarray:
    """Lunar-Lambert brightness of the lit side relative to face-on; 0 at night and off the body."""
    with np.errstate(invalid="ignore", divide="ignore"):
        value = weight * 2.0 * mu0 / (mu0 + mu) + (1.0 - weight) * mu0
        return np.where(mu0 > 0.0, value, 0.0).astype(np.float64)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's coefficient; 0 where either is empty or even."""
    if a.size == 0:
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0.0 else 0.0


def picture_blocks(
    image: np.ndarray,
    mask: np.ndarray | None,
    step: int,
    corner: tuple[int, int] = (0, 0),
    shape: tuple[int, int] | None = None,
    side: int = SAMPLED_SIDE,
) -> np.ndarray:
    """Brightness of blocks, float32, NaN where half of a block's middle is masked or off the frame.

    Parameters
    ----------
    image, mask : numpy.ndarray
        (rows, columns); no mask: all finite pixels count.
    step : int
        Side of a block.
    corner : tuple of int
        Pixel (row, column) of the first block's corner.
    shape : tuple of int, optional
        Rows and columns of blocks; by default all whole blocks of the frame.
    side : int
        Side of the middle of each block that is read.
    """
    from brightspot._kernels.limb import sampled_mean

    image = np.ascontiguousarray(image, np.float32)
    mask = np.zeros(image.shape, bool) if mask is None else np.ascontiguousarray(mask, bool)
    rows, columns = shape or (image.shape[0] // step, image.shape[1] // step)
    return sampled_mean(image, mask, step, min(step, side), *corner, rows, columns)


def predicted_blocks(
    geometry: ViewingGeometry, step: int, corner: tuple[int, int], shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Predicted brightness and cosine of emission at the middles of blocks; NaN emission off the body.

    ``corner`` (row, column) and ``shape`` may reach beyond the frame.
    """
    x0, y0 = geometry.origin_xy
    part = replace(
        geometry, shape=(shape[0] * step, shape[1] * step), origin_xy=(x0 + corner[1], y0 + corner[0])
    )
    mesh = part.disk_mesh(step)
    return shading(mesh.mu0, mesh.mu), mesh.mu
