"""Fit Ceres' figure to the lit limb: centre and kilometres per pixel where no label tells them.

A spheroid seen from afar is an ellipse whose semi-major axis is the equatorial radius and whose
axis ratio lies between c/a (seen from the equator) and 1 (seen from a pole). Only the limb that
the Sun lights is a step from sky to surface; the terminator is a gradual fall on the other side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from brightspot import ceres
from brightspot.errors import ScaleError

COARSE_PIXELS = 256
"""Longest side of the reduced image in which the body is first looked for."""

RELIEF = 0.004
"""Relief of the limb expected in the orders below, rms as a share of the radius (1.9 km)."""

RELIEF_ORDERS = range(3, 13)
RELIEF_SLOPE = 1.3
"""Waves per turn of the relief that is fitted with the ellipse, and how their amplitude falls with it."""

RELIEF_CORRELATION_DEG = 5.0
"""Limb points nearer than this share their finer relief: they count as one when the error is made."""

RELIEF_FLOOR = 0.0015
"""Least scatter of the finer relief assumed, as a share of the radius."""

MIN_SUN_GRADIENT = 0.06
"""Brightness must change by this share of its mean from centre to limb before it tells the Sun's side."""

HALF_DISK_GRADIENT = 0.35
"""Below this gradient (phase about 20 degrees) the dark side's edge is used too, as a limb that falls short."""

PHASE_PER_GRADIENT_DEG = 70.0
"""Phase angle for a gradient of 1, good to half of itself: Lommel-Seeliger disks give 10 degrees for 0.14."""

SUN_SIDE_DEG = 85.0
"""Limb farther than this from the Sun's azimuth is left out: the terminator meets it at 90 degrees."""

FIGURE_ERROR = 0.002
"""Relative error of the figure itself: the triaxial fit of ``dawn_ceres_v04.tpc`` has 482.64 and 480.60 km."""

MAX_RMS = 0.012
"""Largest rms of the limb's residuals, as a share of the radius (5.8 km), that Ceres may show."""

MIN_ARC_DEG = 40.0
MIN_INLIER_SHARE = 0.5
MAX_RELATIVE_ERROR = 0.10
MIN_RADIUS = 6.0
"""Refusals: arcs shorter, limbs more broken, scales less sure, disks smaller (pixels) are no ruler."""


@dataclass(frozen=True)
class LimbFit:
    """The ellipse of Ceres' limb in one image.

    Attributes
    ----------
    center_x, center_y : float
        Centre of the ellipse, pixels (centres of pixels are whole numbers).
    semi_major_px, semi_minor_px : float
        Semi-axes in pixels.
    position_angle_deg : float
        Direction of the major axis, clockwise from up, 0 to 180 degrees.
    km_per_pixel : float
        Kilometres per pixel in the plane through Ceres' centre. The surface that faces the camera
        is nearer and finer by altitude / (altitude + radius).
    km_per_pixel_error : float
        One standard deviation, with the unknown axis ratio and the relief of the limb in it.
    rms_px : float
        Robust scatter of the limb about the ellipse, pixels.
    n_points : int
        Limb points used.
    arc_deg : float
        Total arc of limb used, degrees around the centre.
    sun_azimuth_deg : float or None
        Direction of the Sun in the image, clockwise from up, 0 to 360 degrees; None where the
        disk is too evenly lit, or too little of it in view, to tell.
    quality : str
        ``"good"`` (error below 1 %), ``"fair"`` (below 3 %) or ``"poor"``.
    """

    center_x: float
    center_y: float
    semi_major_px: float
    semi_minor_px: float
    position_angle_deg: float
    km_per_pixel: float
    km_per_pixel_error: float
    rms_px: float
    n_points: int
    arc_deg: float
    sun_azimuth_deg: float | None
    quality: str


class _Levels(NamedTuple):
    """Sky, its scatter, the lit surface and the level that parts the two."""

    sky: float
    noise: float
    surface: float
    threshold: float


class _Ellipse(NamedTuple):
    """Centre, mean radius and flattening vector: half the flattening along (cos, sin) of twice its angle."""

    x: float
    y: float
    radius: float
    g1: float
    g2: float

    @property
    def half_flattening(self) -> float:
        return float(np.hypot(self.g1, self.g2))

    @property
    def semi_major(self) -> float:
        return self.radius / (1.0 - self.half_flattening)

    @property
    def semi_minor(self) -> float:
        return self.semi_major * (1.0 - 2.0 * self.half_flattening)

    @property
    def angle_rad(self) -> float:
        return 0.5 * float(np.arctan2(self.g2, self.g1))

    def radius_at(self, angle: np.ndarray) -> np.ndarray:
        """Distance from the centre to the ellipse in directions ``angle`` (radians)."""
        a, b = self.semi_major, self.semi_minor
        turned = angle - self.angle_rad
        return a * b / np.hypot(b * np.cos(turned), a * np.sin(turned))


class _Edges(NamedTuple):
    """Sub-pixel limb candidates in directions evenly spaced around an ellipse."""

    angle: np.ndarray
    distance: np.ndarray
    level: np.ndarray
    usable: np.ndarray
    in_view: np.ndarray


def fit_limb(
    image: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    figure: tuple[float, float, float] = ceres.RADII_KM,
    altitude_km: float | None = None,
) -> LimbFit:
    """Fit the projected figure of Ceres to the lit limb in an image.

    Parameters
    ----------
    image : numpy.ndarray
        (rows, columns), any unit; the sky must be darker than the lit surface.
    mask : numpy.ndarray, optional
        (rows, columns) bool, True where a pixel says nothing.
    figure : tuple of float
        Semi-axes a, b, c in km; the two equatorial ones are averaged.
    altitude_km : float, optional
        Altitude above the surface where it is known: from nearby the limb in view is a smaller
        circle than the equator, by the cosine of the disk's angular radius.

    Returns
    -------
    LimbFit

    Raises
    ------
    ScaleError
        Where no limb is in view, the outline is not Ceres', or too little of it is in the frame.
    """
    image, mask = _checked(image, mask)
    equatorial_km = 0.5 * (figure[0] + figure[1])
    flattening = 1.0 - figure[2] / equatorial_km
    levels, ellipse, block = _first_guess(image, mask, flattening)
    sun = None
    for turn in range(4):
        edges = _edges(image, mask, ellipse, levels, turn, block)
        sun = _sun(image, mask, ellipse, levels)
        ellipse, weight, rms, points, model = _fit(edges, sun, ellipse, flattening)
    share = _inlier_share(edges, sun, weight)
    arc_deg = float(np.rad2deg(np.sum(weight > 0.0) * (edges.angle[1] - edges.angle[0])))
    _refuse(ellipse, rms, share, arc_deg)
    ellipse, relative, error = _posterior(points, ellipse, model)
    if error > MAX_RELATIVE_ERROR:
        raise ScaleError(
            f"no limb in view that gives a scale: {arc_deg:.0f} degrees of it leave {100 * error:.0f} % open"
        )
    seen_km = equatorial_km
    if altitude_km is not None:
        distance_km = altitude_km + equatorial_km
        seen_km *= distance_km / np.sqrt(distance_km**2 - equatorial_km**2)
    return LimbFit(
        center_x=ellipse.x,
        center_y=ellipse.y,
        semi_major_px=ellipse.semi_major,
        semi_minor_px=ellipse.semi_minor,
        position_angle_deg=float((np.rad2deg(ellipse.angle_rad) + 90.0) % 180.0),
        km_per_pixel=float(seen_km * relative),
        km_per_pixel_error=float(seen_km * relative * error),
        rms_px=rms,
        n_points=int(np.sum(weight > 0.0)),
        arc_deg=arc_deg,
        sun_azimuth_deg=None if sun is None else float(np.rad2deg(np.arctan2(sun[0], -sun[1])) % 360.0),
        quality="good" if error < 0.01 else "fair" if error < 0.03 else "poor",
    )


def _checked(image: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    image = np.ascontiguousarray(image, np.float32)
    if image.ndim != 2 or min(image.shape) < 16:
        raise ScaleError(f"no limb in view: an image of shape {image.shape} is too small for one")
    if mask is None:
        mask = ~np.isfinite(image)
    mask = np.ascontiguousarray(mask, bool)
    if mask.shape != image.shape:
        raise ScaleError(f"the mask is {mask.shape}, the image {image.shape}: they must agree")
    return image, mask


def _levels(coarse: np.ndarray) -> _Levels:
    """Sky and lit surface of a reduced image; its 3 x 3 medians ignore stars, hot pixels and bright spots."""
    from scipy import ndimage

    good = np.isfinite(coarse)
    if np.sum(good) < 0.3 * coarse.size:
        raise ScaleError("no limb in view: most of the image is missing")
    smooth = ndimage.median_filter(np.where(good, coarse, np.nanmedian(coarse)), 3, mode="nearest")[good]
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
    return _Levels(sky, noise, surface, sky + max(6.0 * noise, 0.25 * (surface - sky)))


def _first_guess(image: np.ndarray, mask: np.ndarray, flattening: float) -> tuple[_Levels, _Ellipse, int]:
    """Levels, a rough ellipse in full pixels, and how many of them it is sure to."""
    from scipy import ndimage

    from brightspot._kernels.limb import block_mean

    rows, columns = image.shape
    top, left, bottom, right = 0, 0, rows, columns
    block = max(1, -(-max(rows, columns) // COARSE_PIXELS))
    while True:
        coarse = block_mean(image[top:bottom, left:right], mask[top:bottom, left:right], block)
        levels = _levels(coarse)
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
        top, bottom = (
            max(0, top + block * box_y.start - margin),
            min(rows, top + block * box_y.stop + margin),
        )
        left, right = (
            max(0, left + block * box_x.start - margin),
            min(columns, left + block * box_x.stop + margin),
        )
        block = finer
    rough = _coarse_ellipse(coarse, labels == largest, levels, flattening)
    middle = 0.5 * (block - 1)
    return (
        levels,
        _Ellipse(
            left + block * rough.x + middle,
            top + block * rough.y + middle,
            block * rough.radius,
            rough.g1,
            rough.g2,
        ),
        block,
    )


def _coarse_ellipse(coarse: np.ndarray, lit: np.ndarray, levels: _Levels, flattening: float) -> _Ellipse:
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
    weight = found[:, 3] * np.clip(
        (found[:, 1] - levels.sky) / np.maximum(deep - levels.sky, 1e-30), 0.0, 1.0
    )
    good = np.isfinite(weight) & (weight > 0.0)
    if np.sum(good) < 12:
        raise ScaleError("no limb in view: no edge between sky and lit surface in the frame")
    shift = reach - step * found[good, 0]
    x_edge, y_edge = x[good] + shift * normal_x[good], y[good] + shift * normal_y[good]
    weight = np.clip(weight[good], 0.0, 1.0) ** 2
    tolerance = (0.03, 0.8, 4.0)
    circle = search_circle(
        x_edge, y_edge, normal_x[good], normal_y[good], weight, 600, 4.0, 12.0 * max(coarse.shape), tolerance
    )
    if circle[3] <= 0.0:
        raise ScaleError("no limb in view: no outline in the frame is a disk's")
    dx, dy = x_edge - circle[0], y_edge - circle[1]
    distance = np.hypot(dx, dy)
    near = np.abs(distance - circle[2]) <= min(max(tolerance[0] * circle[2], tolerance[1]), tolerance[2])
    outward = dx * normal_x[good] + dy * normal_y[good] > 0.8 * distance
    start = _Ellipse(circle[0], circle[1], circle[2], 0.0, 0.0)
    points = _Points(x_edge, y_edge, weight * (near & outward), np.zeros(x_edge.size))
    model = _Model(flattening, 0.01 * circle[2] + 0.3, RELIEF, 0.0)
    return _least_squares(points, start, model)[0]


class _Points(NamedTuple):
    """Edge points and how much each counts; ``fall`` is how far its direction is on the dark side, 0 to 1."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    fall: np.ndarray


class _Model(NamedTuple):
    """What the limb may do besides being an ellipse: size of its relief, depth of the terminator."""

    flattening: float
    sigma: float
    relief: float
    terminator: float


def _design(points: _Points, ellipse: _Ellipse) -> np.ndarray:
    """First-order changes of the limb's distance, all in units of the radius.

    Columns: centre x and y, mean radius, two of the flattening vector, the terminator's fall, and cosine and
    sine of each order of relief.
    """
    angle = np.arctan2(points.y - ellipse.y, points.x - ellipse.x)
    columns = [np.cos(angle), np.sin(angle), np.ones_like(angle), np.cos(2 * angle), np.sin(2 * angle)]
    columns.append(-points.fall)
    for order in RELIEF_ORDERS:
        columns += [np.cos(order * angle), np.sin(order * angle)]
    return np.stack(columns, axis=-1)


def _system(
    points: _Points, ellipse: _Ellipse, model: _Model
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Normal matrix and right side with the relief's priors in them; design and misfit, units of the radius."""
    dx, dy = points.x - ellipse.x, points.y - ellipse.y
    misfit = (np.hypot(dx, dy) - ellipse.radius_at(np.arctan2(dy, dx))) / ellipse.radius
    design = _design(points, ellipse)
    weighted = design * (points.weight * (ellipse.radius / model.sigma) ** 2)[:, None]
    normal, right = weighted.T @ design, weighted.T @ misfit
    doubt = 0.5 * model.terminator + 0.003
    normal[5, 5] += 1.0 / doubt**2
    right[5] += model.terminator / doubt**2
    order = np.repeat(np.array(RELIEF_ORDERS, float), 2)
    power = order**-RELIEF_SLOPE
    power *= model.relief / np.sqrt(np.sum(power[::2] ** 2))
    normal[np.arange(6, 6 + order.size), np.arange(6, 6 + order.size)] += 1.0 / power**2
    return normal, right, design, misfit


def _least_squares(points: _Points, start: _Ellipse, model: _Model) -> tuple[_Ellipse, np.ndarray]:
    """Most likely ellipse, and each point's distance from it and its fitted relief (pixels).

    The flattening vector is held near what views from random latitudes would show: the flattening is then the
    body's times cos^2(latitude) to first order, the mean square of cos^2 over the sphere is 8/15, and the
    vector's two components share it.
    """
    ellipse = start
    prior = 1.0 / (0.5 * (0.5 * model.flattening) ** 2 * 8.0 / 15.0)
    for _ in range(6):
        normal, right, design, misfit = _system(points, ellipse, model)
        normal[3, 3] += prior
        normal[4, 4] += prior
        right[3:5] -= prior * np.array([ellipse.g1, ellipse.g2])
        normal[np.diag_indices(3)] *= 1.0 + 1e-9
        change = np.linalg.solve(normal, right)
        g = np.array([ellipse.g1, ellipse.g2]) + change[3:5]
        # The axis ratio cannot leave [c/a, 1].
        g *= min(1.0, 0.5 * model.flattening / max(float(np.hypot(*g)), 1e-12))
        move = ellipse.radius * np.clip(change[:3], -0.5, 0.5)
        rest = ellipse.radius * (misfit - design @ change)
        ellipse = _Ellipse(
            ellipse.x + float(move[0]),
            ellipse.y + float(move[1]),
            ellipse.radius + float(move[2]),
            *map(float, g),
        )
        if np.max(np.abs(move)) < 1e-3:
            break
    return ellipse, rest


def _edges(
    image: np.ndarray, mask: np.ndarray, ellipse: _Ellipse, levels: _Levels, turn: int, block: int
) -> _Edges:
    """Half-height positions along the ellipse's normals, with what makes each a limb or not."""
    from brightspot._kernels.limb import edge_positions, profiles

    n = int(np.clip(2.0 * np.pi * ellipse.radius, 90, 1080))
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
    depth = np.array([0.06, 0.08, 0.10]) * ellipse.radius
    behind = np.repeat(np.where(np.isfinite(distance), distance, radius), 3) - np.tile(depth, n)
    three_cos, three_sin = np.repeat(cos, 3), np.repeat(sin, 3)
    deep = profiles(
        image,
        mask,
        ellipse.x + behind * three_cos,
        ellipse.y + behind * three_sin,
        three_cos,
        three_sin,
        0.0,
        1.0,
    )
    deep = deep.reshape(n, 3)
    deep_level = np.where(np.isfinite(deep), deep, levels.sky).mean(axis=1) - levels.sky
    level = found[:, 1] - found[:, 2]
    usable = np.isfinite(distance) & (found[:, 3] > 0.6) & (level > 0.4 * deep_level)
    if np.any(usable):
        usable &= level > 0.3 * np.nanmedian(level[usable])
    in_view = np.all(np.isfinite(profile), axis=1)
    return _Edges(angle, distance, level, usable, in_view)


def _sun(
    image: np.ndarray, mask: np.ndarray, ellipse: _Ellipse, levels: _Levels
) -> tuple[float, float] | None:
    """Gradient of the disk's brightness across itself, per radius and mean brightness; None where it is lost.

    A surface of second order is fitted to the part of the disk in view: its even terms take up limb and centre,
    so that a cut disk does not lean towards its cut.
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
    if np.linalg.cond(normal) > 1e5:
        return None
    fitted = np.linalg.solve(normal, basis.T @ value)
    if fitted[0] <= 0.0 or np.hypot(fitted[1], fitted[2]) < MIN_SUN_GRADIENT * fitted[0]:
        return None
    return float(fitted[1] / fitted[0]), float(fitted[2] / fitted[0])


def _sunlit(angle: np.ndarray, sun: tuple[float, float] | None) -> tuple[np.ndarray, np.ndarray, float]:
    """Which directions may show an edge that tells the limb, and what the terminator does to it there.

    Returns
    -------
    tuple
        (n,) bool; (n,) share of the terminator's fall, the square of the cosine on the side away from the Sun; and
        the fall expected in the middle of that side, 1 - cos(phase), as a share of the radius.
    """
    if sun is None:
        return np.ones(angle.shape, bool), np.zeros(angle.shape), 0.0
    gradient = float(np.hypot(*sun))
    along = (np.cos(angle) * sun[0] + np.sin(angle) * sun[1]) / gradient
    if gradient > HALF_DISK_GRADIENT:
        return along > np.cos(np.deg2rad(SUN_SIDE_DEG)), np.zeros(angle.shape), 0.0
    phase = np.deg2rad(PHASE_PER_GRADIENT_DEG * gradient)
    return np.ones(angle.shape, bool), np.minimum(along, 0.0) ** 2, float(1.0 - np.cos(phase))


def _fit(
    edges: _Edges, sun: tuple[float, float] | None, ellipse: _Ellipse, flattening: float
) -> tuple[_Ellipse, np.ndarray, float, _Points, _Model]:
    """Ellipse through the usable edges on the Sun's side, reweighted (Tukey).

    Returns the ellipse, the weights of all edges, the robust rms about it in pixels, and the last system's points
    and model.
    """
    lit, fall, terminator = _sunlit(edges.angle, sun)
    keep = edges.usable & lit
    if np.sum(keep) < 8:
        raise ScaleError("no limb in view: no edge between sky and lit surface in the frame")
    x = ellipse.x + edges.distance[keep] * np.cos(edges.angle[keep])
    y = ellipse.y + edges.distance[keep] * np.sin(edges.angle[keep])
    fall = fall[keep]
    # Relief moves a grazing shadow much farther than the limb.
    trust = np.where(fall > 0.0, 1.0 / (1.0 + 15.0 * fall), 1.0)
    weight, scatter = np.ones(x.size), 0.0
    news = max(1.0, np.deg2rad(RELIEF_CORRELATION_DEG) / (edges.angle[1] - edges.angle[0]))
    for _ in range(6):
        sigma = max(scatter, RELIEF_FLOOR * ellipse.radius, 0.05) * np.sqrt(news)
        model = _Model(flattening, sigma, RELIEF, terminator)
        points = _Points(x, y, weight * trust, fall)
        ellipse, rest = _least_squares(points, ellipse, model)
        scatter = 1.4826 * float(np.median(np.abs(rest)))
        cut = 4.685 * max(scatter, 0.05) / np.sqrt(trust)
        weight = np.where(np.abs(rest) < cut, (1.0 - (rest / cut) ** 2) ** 2, 0.0)
    if not 0.5 * MIN_RADIUS < ellipse.radius < 1e5:
        raise ScaleError("no limb in view: the outline in the frame is not a disk's")
    dx, dy = x - ellipse.x, y - ellipse.y
    misfit = np.hypot(dx, dy) - ellipse.radius_at(np.arctan2(dy, dx))
    rms = 1.4826 * float(np.median(np.abs(misfit[fall == 0.0]))) if np.any(fall == 0.0) else scatter
    spread = np.zeros(edges.angle.size)
    spread[keep] = weight
    return ellipse, spread, rms, points, model


def _inlier_share(edges: _Edges, sun: tuple[float, float] | None, weight: np.ndarray) -> float:
    """Share of the limb that should be seen (in the frame, on the Sun's side) and is."""
    expected = edges.in_view & _sunlit(edges.angle, sun)[0]
    return float(np.sum(weight[expected] > 0.0) / max(1, np.sum(expected)))


def _refuse(ellipse: _Ellipse, rms: float, share: float, arc_deg: float) -> None:
    """Raise where the outline is not Ceres' limb or too little of it."""
    if ellipse.radius < MIN_RADIUS:
        raise ScaleError(f"the disk is only {2 * ellipse.radius:.1f} px across: too small for a limb fit")
    if arc_deg < MIN_ARC_DEG:
        raise ScaleError(f"no limb in view that gives a scale: only {arc_deg:.0f} degrees of it")
    if rms > MAX_RMS * ellipse.radius + 0.25:
        raise ScaleError(
            f"the outline in the frame does not fit Ceres' figure (scatter {100 * rms / ellipse.radius:.1f} %"
            " of the radius): another body, or no limb"
        )
    if share < MIN_INLIER_SHARE:
        raise ScaleError(
            f"the outline in the frame does not fit Ceres' figure ({100 * share:.0f} % of it agrees):"
            " another body, or no limb"
        )


def _posterior(points: _Points, ellipse: _Ellipse, model: _Model) -> tuple[_Ellipse, float, float]:
    """Average over every latitude the camera may be above and every direction of the pole.

    Returns
    -------
    tuple
        The ellipse at the mean flattening vector, the mean of 1 / semi-major axis (per pixel) and its relative
        standard deviation.
    """
    normal, right, _, _ = _system(points, ellipse, model)
    shape, rest = [3, 4], [0, 1, 2, *range(5, right.size)]
    covariance = np.linalg.inv(normal[np.ix_(rest, rest)])
    response = covariance @ normal[np.ix_(rest, shape)]
    offset = covariance @ right[rest]
    schur = normal[np.ix_(shape, shape)] - normal[np.ix_(shape, rest)] @ response
    pull = right[shape] - normal[np.ix_(shape, rest)] @ offset
    # Nodes: latitudes evenly in their sine (random over the sphere), pole directions evenly.
    half = 0.5 * model.flattening * (1.0 - ((np.arange(40) + 0.5) / 40.0) ** 2)
    turn = np.arange(60) * (2.0 * np.pi / 60.0)
    g = (half[:, None, None] * np.stack([np.cos(turn), np.sin(turn)], axis=-1)).reshape(-1, 2)
    change = g - np.array([ellipse.g1, ellipse.g2])
    chi2 = np.einsum("ij,jk,ik->i", change, schur, change) - 2.0 * change @ pull
    chance = np.exp(-0.5 * (chi2 - chi2.min()))
    chance /= chance.sum()
    shift = (offset - change @ response.T)[:, :3]
    inverse = (1.0 - np.hypot(g[:, 0], g[:, 1])) / (ellipse.radius * (1.0 + shift[:, 2]))
    mean = float(chance @ inverse)
    relative2 = float(chance @ (inverse / mean - 1.0) ** 2) + float(covariance[2, 2])
    best = chance @ np.c_[shift, g]
    fitted = _Ellipse(
        ellipse.x + ellipse.radius * float(best[0]),
        ellipse.y + ellipse.radius * float(best[1]),
        ellipse.radius * (1.0 + float(best[2])),
        float(best[3]),
        float(best[4]),
    )
    return fitted, mean, float(np.sqrt(relative2 + FIGURE_ERROR**2))
