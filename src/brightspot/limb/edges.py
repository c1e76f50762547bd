"""Where the limb is in the pixels: levels, a first circle, sub-pixel edges, the Sun's side."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from brightspot.errors import ScaleError
from brightspot.limb.ellipse import RELIEF, Ellipse, Model, Points, least_squares

COARSE_PIXELS = 256
"""Longest side of the reduced image in which the body is first looked for."""

MIN_SUN_GRADIENT = 0.06
"""Brightness must change by this share of its mean from centre to limb before it tells the Sun's side."""

MAX_SKY_TEXTURE = 0.005
"""Unevenness from block to block, as a share of the lit surface's level, above which the dark is ground."""

MAX_CONDITION = 5e3
"""Condition of the brightness fit above which too little of the disk is in view; a whole disk has 800."""


MOST_RAYS = 480
"""Directions in which the limb is looked for: finer relief than this tells nothing new."""


class Levels(NamedTuple):
    """Sky, its scatter, the lit surface and the level that parts the two."""

    sky: float
    noise: float
    surface: float
    threshold: float


class Edges(NamedTuple):
    """Sub-pixel limb candidates in directions evenly spaced around an ellipse, each (n,).

    ``usable`` marks sharp edges as bright as the ground behind them; ``in_view`` the directions in which
    the limb would lie in the frame.
    """

    angle: np.ndarray
    distance: np.ndarray
    usable: np.ndarray
    in_view: np.ndarray


def find_levels(coarse: np.ndarray) -> Levels:
    """Sky and lit surface of a reduced image; its 3 x 3 medians ignore stars, hot pixels and bright spots."""
    from brightspot._kernels.limb import median_3x3

    good = np.isfinite(coarse)
    if np.sum(good) < 0.3 * coarse.size:
        raise ScaleError("no limb in view: most of the image is missing")
    middle = np.float32(np.median(coarse[good]))
    smooth = median_3x3(np.where(good, coarse, middle).astype(np.float32))[good]
    low, high = np.percentile(smooth, 0.5), float(np.max(smooth))
    if not high > low:
        raise ScaleError("no limb in view: the image is flat")
    dark = coarse[good][smooth <= low + 0.1 * (high - low)]
    sky = float(np.median(dark))
    noise = 1.4826 * float(np.median(np.abs(dark - sky)))
    lit = smooth[smooth > sky + max(6.0 * noise, 0.05 * (high - sky))]
    if lit.size < 9:
        raise ScaleError("no limb in view: nothing stands out from the sky")
    surface = float(np.median(lit))
    return Levels(sky, noise, surface, sky + max(6.0 * noise, 0.25 * (surface - sky)))


def known_levels(image: np.ndarray, mask: np.ndarray) -> Levels:
    """Sky and lit surface from every fourth pixel, where the body need not be looked for."""
    part = image[::4, ::4]
    return find_levels(np.where(mask[::4, ::4], np.nan, part).astype(np.float32))


def _require_sky(image: np.ndarray, coarse: np.ndarray, levels: Levels, block: int) -> None:
    """Raise where the dark part of the image is ground: uneven from block to block beyond its pixels' noise.

    A bright spot in the middle of a frame that Ceres fills is a lit disk, too, but not in the sky.
    """
    if block == 1:
        return
    dark = np.nan_to_num(coarse, nan=np.inf) < levels.threshold
    dark = dark[1:-1, 1:-1] & dark[:-2, 1:-1] & dark[2:, 1:-1] & dark[1:-1, :-2] & dark[1:-1, 2:]
    y, x = np.nonzero(dark)
    if y.size < 30:
        return
    y, x = y[:: 1 + y.size // 5000] + 1, x[:: 1 + x.size // 5000] + 1
    around = 0.25 * (coarse[y - 1, x] + coarse[y + 1, x] + coarse[y, x - 1] + coarse[y, x + 1])
    texture = float(np.median(np.abs(coarse[y, x] - around)))
    pixel = image[y * block, x * block] - image[y * block, x * block + 1]
    noise = float(np.nanmedian(np.abs(pixel))) / (np.sqrt(2.0) * block)
    if texture > max(1.5 * noise, MAX_SKY_TEXTURE * (levels.surface - levels.sky)):
        raise ScaleError("no limb in view: Ceres fills the frame, or its sky is not dark")


def first_guess(image: np.ndarray, mask: np.ndarray, flattening: float) -> tuple[Levels, Ellipse, int]:
    """Where the body is, from a reduced image.

    Returns
    -------
    tuple
        Levels; a rough ellipse in full pixels; side in pixels of the blocks it was found in.
    """
    from scipy import ndimage

    from brightspot._kernels.limb import block_mean

    rows, columns = image.shape
    top, left, bottom, right = 0, 0, rows, columns
    block = max(1, -(-max(rows, columns) // COARSE_PIXELS))
    while True:
        part = np.ascontiguousarray(image[top:bottom, left:right])
        coarse = block_mean(part, np.ascontiguousarray(mask[top:bottom, left:right]), block)
        levels = find_levels(coarse)
        _require_sky(part, coarse, levels, block)
        labels, n_regions = ndimage.label(np.nan_to_num(coarse, nan=-np.inf) > levels.threshold)
        if n_regions == 0:
            raise ScaleError("no limb in view: nothing stands out from the sky")
        largest = int(np.argmax(np.bincount(labels.ravel())[1:])) + 1
        box_y, box_x = ndimage.find_objects((labels == largest).astype(np.int8))[0]
        extent = block * max(box_y.stop - box_y.start, box_x.stop - box_x.start)
        finer = max(1, -(-int(1.5 * extent) // COARSE_PIXELS))
        if finer >= block:
            break
        # A small disk: look again, closer, with a quarter of its extent around it.
        margin = extent // 4 + 2 * block
        low_y, high_y = top + block * box_y.start, top + block * box_y.stop
        low_x, high_x = left + block * box_x.start, left + block * box_x.stop
        top, bottom = max(0, low_y - margin), min(rows, high_y + margin)
        left, right = max(0, low_x - margin), min(columns, high_x + margin)
        block = finer
    rough = _coarse_ellipse(coarse, labels == largest, levels, flattening)
    middle = 0.5 * (block - 1)
    x, y = left + block * rough.x + middle, top + block * rough.y + middle
    return levels, Ellipse(x, y, block * rough.radius, rough.g1, rough.g2), block


def _coarse_ellipse(coarse: np.ndarray, lit: np.ndarray, levels: Levels, flattening: float) -> Ellipse:
    """Circle that most sharp edges agree with, then the ellipse through those edges."""
    from scipy import ndimage

    from brightspot._kernels.limb import edge_positions, profiles, search_circle

    missing = ~np.isfinite(coarse)
    clipped = np.where(missing, levels.sky, np.clip(coarse, levels.sky, levels.surface)).astype(np.float32)
    lit = ndimage.binary_fill_holes(lit)
    y, x = np.nonzero(lit & ~ndimage.binary_erosion(lit, border_value=1))
    if y.size > 1200:
        y, x = y[:: y.size // 600], x[:: x.size // 600]
    smooth = ndimage.gaussian_filter(clipped, 1.5)
    slope_y, slope_x = ndimage.sobel(smooth, 0)[y, x], ndimage.sobel(smooth, 1)[y, x]
    slope = np.maximum(np.hypot(slope_y, slope_x), 1e-30)
    normal_x, normal_y = -slope_x / slope, -slope_y / slope
    step, reach = 0.5, 14.0
    args = (x.astype(float), y.astype(float), normal_x.astype(float), normal_y.astype(float))
    profile = profiles(clipped, missing, *args, reach, step)
    found = edge_positions(profile, levels.threshold, (2, 8), 6)
    # How much of the brightness a dozen pixels in is there right behind the edge: little at a terminator.
    deep = np.nanmax(np.c_[profile[:, int((reach + 8.0) / step) :], np.full(y.size, levels.noise)], axis=1)
    bright = (found[:, 1] - levels.sky) / np.maximum(deep - levels.sky, 1e-30)
    weight = found[:, 3] * np.clip(bright, 0.0, 1.0)
    good = np.isfinite(weight) & (weight > 0.0)
    if np.sum(good) < 12:
        raise ScaleError("no limb in view: no edge between sky and lit surface in the frame")
    shift = reach - step * found[good, 0]
    x_edge, y_edge = x[good] + shift * normal_x[good], y[good] + shift * normal_y[good]
    weight = np.clip(weight[good], 0.0, 1.0) ** 2
    tolerance = (0.03, 0.8, 4.0)
    circle = search_circle(
        x_edge, y_edge, normal_x[good], normal_y[good], weight, 400, 4.0, 12.0 * max(coarse.shape), tolerance
    )
    if circle[3] <= 0.0:
        raise ScaleError("no limb in view: no outline in the frame is a disk's")
    dx, dy = x_edge - circle[0], y_edge - circle[1]
    distance = np.hypot(dx, dy)
    near = np.abs(distance - circle[2]) <= min(max(tolerance[0] * circle[2], tolerance[1]), tolerance[2])
    outward = dx * normal_x[good] + dy * normal_y[good] > 0.8 * distance
    start = Ellipse(circle[0], circle[1], circle[2], 0.0, 0.0)
    points = Points(x_edge, y_edge, weight * (near & outward), np.zeros(x_edge.size))
    model = Model(flattening, 0.01 * circle[2] + 0.3, RELIEF, 0.0)
    return least_squares(points, start, model)[0]


def trace_edges(
    image: np.ndarray, mask: np.ndarray, ellipse: Ellipse, levels: Levels, turn: int, block: int
) -> Edges:
    """Steepest climbs from sky to surface along rays from the centre, and which of them look like limb."""
    from brightspot._kernels.limb import edge_positions, profiles

    n = int(np.clip(2.0 * np.pi * ellipse.radius, 90, MOST_RAYS))
    angle = np.arange(n) * (2.0 * np.pi / n)
    radius = ellipse.radius_at(angle)
    cos, sin = np.cos(angle), np.sin(angle)
    step = 0.5
    inner, outer = (2, 8), 8
    reach = 0.02 * ellipse.radius + 4.0 + (3.0 * block if turn == 0 else 0.0)
    # Room behind the farthest edge for the samples that measure the surface's level.
    reach = step * np.ceil((reach + step * (inner[1] + 5)) / step)
    x, y = ellipse.x + radius * cos, ellipse.y + radius * sin
    profile = profiles(image, mask, x, y, cos, sin, reach, step)
    found = edge_positions(profile, levels.threshold, inner, outer)
    distance = radius + reach - step * found[:, 0]
    level = found[:, 1] - found[:, 2]
    # Behind a limb the ground is about as bright as at it; behind a terminator it is much brighter.
    behind = 0.92 * np.where(np.isfinite(distance), distance, radius)
    reach = 0.02 * ellipse.radius
    at = (ellipse.x + behind * cos, ellipse.y + behind * sin)
    deep = profiles(image, mask, *at, cos, sin, reach, reach)
    deep_level = np.where(np.isfinite(deep), deep, levels.sky).mean(axis=1) - levels.sky
    usable = np.isfinite(distance) & (found[:, 3] > 0.6) & (level > 0.4 * deep_level)
    if np.any(usable):
        usable &= level > 0.3 * np.nanmedian(level[usable])
    in_view = np.all(np.isfinite(profile), axis=1)
    return Edges(angle, distance, usable, in_view)


def sun_gradient(
    image: np.ndarray, mask: np.ndarray, ellipse: Ellipse, levels: Levels
) -> tuple[float, float] | None:
    """Gradient of the disk's brightness, per radius and as a share of its mean; None where it is lost.

    A surface of second order is fitted to the part of the disk in view: its even terms take up limb and
    centre, so that a cut disk does not lean towards its cut.
    """
    rows, columns = image.shape
    grid = np.linspace(-0.9, 0.9, 61)
    u, v = (axis.ravel() for axis in np.meshgrid(grid, grid))
    x = np.rint(ellipse.x + ellipse.radius * u).astype(np.int64)
    y = np.rint(ellipse.y + ellipse.radius * v).astype(np.int64)
    view = (np.hypot(u, v) < 0.9) & (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    view[view] = ~mask[y[view], x[view]]
    if np.sum(view) < 100:
        return None
    u, v, value = u[view], v[view], np.clip(image[y[view], x[view]] - levels.sky, 0.0, None)
    value = np.minimum(value, 4.0 * (levels.surface - levels.sky))
    basis = np.stack([np.ones_like(u), u, v, u * u - 0.25, u * v, v * v - 0.25], axis=-1)
    normal = basis.T @ basis
    if np.linalg.cond(normal) > MAX_CONDITION:
        return None
    fitted = np.linalg.solve(normal, basis.T @ value)
    if fitted[0] <= 0.0 or np.hypot(fitted[1], fitted[2]) < MIN_SUN_GRADIENT * fitted[0]:
        return None
    return float(fitted[1] / fitted[0]), float(fitted[2] / fitted[0])


def share_outside(image: np.ndarray, mask: np.ndarray, ellipse: Ellipse, levels: Levels) -> float:
    """Share of the ground in view just outside the ellipse, from 5 to 60 % of its radius, that is not sky."""
    rows, columns = image.shape
    angle = np.arange(180) * (2.0 * np.pi / 180.0)
    radius = ellipse.radius_at(angle) * np.linspace(1.05, 1.6, 23)[:, None]
    x = np.rint(ellipse.x + radius * np.cos(angle)).astype(np.int64)
    y = np.rint(ellipse.y + radius * np.sin(angle)).astype(np.int64)
    view = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    view[view] = ~mask[y[view], x[view]]
    return float(np.mean(image[y[view], x[view]] > levels.threshold)) if np.any(view) else 0.0
