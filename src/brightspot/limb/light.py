"""The whole disk's light, fitted together with its limb: where the limb alone leaves the centre open.

Half a limb fixes the disk across the Sun's direction; along it centre, radius and flattening trade places.
The fall of the light towards the terminator ties the centre, and the Sun, never far from Ceres' equator, ties
the pole.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from brightspot.geometry.lit import BLOCK_SCATTER, SHARED_BLOCKS
from brightspot.limb.edges import Levels
from brightspot.limb.ellipse import ERROR_SCALE, FIGURE_ERROR, Ellipse, Model, Points, marginal

GRID_ACROSS = 22
"""Blocks across the disk whose light is looked at."""

INNER = 0.93
"""Share of the radius within which it is: nearer to the limb blocks are part sky."""

MOST_SCATTER = 0.2
"""Scatter above which the light is no spheroid's, and the limb stands alone."""

SUN_OFF_EQUATOR = 0.06
"""Standard deviation of the sine of the Sun's latitude, its share of the light's errors included: the Sun
stays within 4 degrees of Ceres' equator (labels say so: 4.00 degrees in June 2015)."""

MIX_SPREAD, STRETCH_SPREAD = 0.4, 0.2
"""Doubt about the disk function (from Lunar-Lambert, 0, to Akimov, 1) and about the picture's stretch."""

LATITUDES, LATITUDE_SPREAD = 4, 0.08
"""Latitudes of the camera north and south that are tried, and how far the sine may stray from each."""

FEWEST_BLOCKS = 80

TURNS = 25


class LightFit(NamedTuple):
    """The disk as limb and light show it together.

    ``relative`` is 1 / semi-major axis (per pixel), ``error`` its relative standard deviation; ``sun`` (3,)
    the direction to the Sun, +x right, +y down, +z away from the viewer; ``scatter`` that of the blocks.
    """

    ellipse: Ellipse
    relative: float
    error: float
    sun: np.ndarray
    scatter: float


def fit_light(
    image: np.ndarray,
    mask: np.ndarray,
    levels: Levels,
    sun: tuple[float, float] | None,
    limb: tuple[Points, Ellipse, Model],
) -> LightFit | None:
    """Fit a shaded spheroid to the picture and its limb; None where the light says nothing.

    Parameters
    ----------
    image, mask : numpy.ndarray
        (rows, columns) float32 and bool.
    levels : Levels
        Sky and surface.
    sun : tuple of float or None
        Gradient of the disk's brightness, per radius.
    limb : tuple
        Points, ellipse and model of the limb's last fit.
    """
    from brightspot._kernels import light as kernels

    points, ellipse, model = limb
    x, y, value, share = _blocks(image, mask, levels, ellipse)
    if sun is None or x.size < FEWEST_BLOCKS:
        return None
    matrix, pull = marginal(points, ellipse, model)
    about = (np.array(ellipse), matrix / ERROR_SCALE**2, pull / ERROR_SCALE**2)
    axis_ratio = 1.0 - model.flattening
    priors = np.array([SUN_OFF_EQUATOR, MIX_SPREAD, STRETCH_SPREAD, 0.0, np.inf])
    work = np.empty(x.size)
    scatter, state = BLOCK_SCATTER, _start(ellipse, axis_ratio, sun)
    for _ in range(2):
        state = kernels.fit(x, y, value, state, axis_ratio, about, scatter, share, priors, TURNS)[0]
        kernels.shade(x, y, state, axis_ratio, work)
        off = np.abs(value / np.exp(state[kernels.LEVEL]) - work)
        seen = 1.4826 * float(np.median(off))
        if seen > MOST_SCATTER:
            return None
        if seen <= 1.2 * scatter:
            break
        scatter = seen
    # Every latitude the camera may be above, evenly in its sine: on a sphere all are as likely.
    priors[4], found = LATITUDE_SPREAD, []
    for sine in (np.arange(2 * LATITUDES) + 0.5) / LATITUDES - 1.0:
        again, priors[3] = state.copy(), sine
        again[kernels.POLE : kernels.SUN] = _tipped(state[kernels.POLE : kernels.SUN], sine)
        found.append(kernels.fit(x, y, value, again, axis_ratio, about, scatter, share, priors, TURNS))
    return _mixture(found, axis_ratio, scatter)


def _blocks(
    image: np.ndarray, mask: np.ndarray, levels: Levels, ellipse: Ellipse
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Middles and mean brightness of blocks on the disk, and what share of an independent one each is."""
    from brightspot._kernels.limb import block_mean

    step = max(1, int(np.ceil(2.0 * ellipse.radius / GRID_ACROSS)))
    rows, columns = image.shape
    reach = ellipse.semi_major
    left, top = (max(0, int(c - reach)) // step * step for c in (ellipse.x, ellipse.y))
    right, bottom = min(columns, int(ellipse.x + reach) + 2), min(rows, int(ellipse.y + reach) + 2)
    if right - left < step or bottom - top < step:
        return np.empty(0), np.empty(0), np.empty(0), 1.0
    window = (slice(top, bottom), slice(left, right))
    mean = block_mean(np.ascontiguousarray(image[window]), np.ascontiguousarray(mask[window]), step)
    row, column = np.indices(mean.shape)
    x, y = left + column * step + 0.5 * (step - 1), top + row * step + 0.5 * (step - 1)
    dx, dy = x - ellipse.x, y - ellipse.y
    use = np.isfinite(mean) & (np.hypot(dx, dy) < INNER * ellipse.radius_at(np.arctan2(dy, dx)))
    value = np.clip((mean[use] - levels.sky) / (levels.surface - levels.sky), -1.0, 4.0)
    share = min(1.0, (24.0 * step / ellipse.radius) ** 2 / SHARED_BLOCKS)
    return x[use].astype(float), y[use].astype(float), value.astype(float), share


def _start(ellipse: Ellipse, axis_ratio: float, sun: tuple[float, float]) -> np.ndarray:
    """State of the limb's ellipse with the Sun where the gradient puts it."""
    gradient = float(np.hypot(*sun))
    # 70 degrees of phase for a gradient of 1, as for the terminator's fall in the limb's own fit.
    phase = np.deg2rad(np.clip(70.0 * gradient, 12.0, 80.0))
    toward = [np.sin(phase) * sun[0] / gradient, np.sin(phase) * sun[1] / gradient, np.cos(phase)]
    squeezed = (1.0 - 2.0 * ellipse.half_flattening) ** 2
    sin2 = np.clip((squeezed - axis_ratio**2) / (1.0 - axis_ratio**2), 0.02, 0.98)
    minor = ellipse.angle_rad + 0.5 * np.pi
    flat = np.sqrt(1.0 - sin2)
    pole = [flat * np.cos(minor), flat * np.sin(minor), np.sqrt(sin2)]
    return np.array([ellipse.x, ellipse.y, np.log(ellipse.semi_major), *pole, *toward, 0.5, 0.2, 1.0])


def _tipped(pole: np.ndarray, sine: float) -> np.ndarray:
    """A pole in the same direction of the image, its z component ``sine``."""
    x, y, _ = pole
    flat = float(np.sqrt(1.0 - sine**2)) / max(float(np.hypot(x, y)), 1e-6)
    return np.array([flat * x, flat * y, sine]) / float(np.hypot(flat * np.hypot(x, y), sine))


def _mixture(
    found: list[tuple[np.ndarray, float, np.ndarray]], axis_ratio: float, scatter: float
) -> LightFit | None:
    """The mean of the solutions, each weighted by how likely it is and how wide."""
    cost = np.array([one[1] for one in found])
    size = np.array([one[0][2] for one in found])
    spread, weight = np.empty(len(found)), np.exp(-0.5 * (cost - cost.min()))
    for k, (_, _, normal) in enumerate(found):
        scale = 1.0 / np.sqrt(np.diag(normal) + 1e-9)
        covariance = np.linalg.inv(normal * np.outer(scale, scale) + 1e-9 * np.eye(len(normal)))
        spread[k] = covariance[2, 2] * scale[2] ** 2
        weight[k] *= np.prod(scale) * np.sqrt(max(float(np.linalg.det(covariance)), 0.0))
    if not np.all(np.isfinite(weight)) or not np.sum(weight) > 0.0:
        return None
    weight /= np.sum(weight)
    mean = float(weight @ size)
    error = float(np.sqrt(weight @ (spread + (size - mean) ** 2) + FIGURE_ERROR**2))
    state = found[int(np.argmin(cost))][0]
    px, py, pz = state[3:6]
    half = 0.5 * (1.0 - float(np.sqrt(axis_ratio**2 * (px * px + py * py) + pz * pz)))
    angle = 2.0 * np.arctan2(py, px)
    ellipse = Ellipse(
        float(state[0]),
        float(state[1]),
        float(np.exp(mean)) * (1.0 - half),
        -half * float(np.cos(angle)),
        -half * float(np.sin(angle)),
    )
    return LightFit(ellipse, float(np.exp(-mean)), error, state[6:9] * [1.0, 1.0, -1.0], scatter)
