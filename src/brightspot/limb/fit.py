"""The fit: first guess, edges, ellipse, again and again; and what is refused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brightspot import ceres
from brightspot.errors import ScaleError
from brightspot.limb.edges import Edges, first_guess, known_levels, share_outside, sun_gradient, trace_edges
from brightspot.limb.ellipse import RELIEF, Ellipse, Model, Points, average_poles, least_squares
from brightspot.limb.light import fit_light

RELIEF_CORRELATION_DEG = 5.0
"""Limb points nearer than this share their finer relief: they count as one when the error is made."""

RELIEF_FLOOR = 0.0015
"""Least scatter of the finer relief assumed, as a share of the radius."""

RELIEF_RATIO = 2.0
"""Relief of the long waves that are fitted over the scatter of the rest."""

EDGE_ERROR = 0.05
"""Pixels by which edges may be off all along an arc: the limb brightens or darkens within a pixel."""

SURE_EDGE, SURE_HORIZON = 0.1, 0.0025
"""Pixels, and share of the radius, by which the whole limb of one frame may stand out more or less than the
mean of many: found on rendered cratered disks, and added to every error."""

HALF_DISK_GRADIENT = 0.35
"""Below this gradient (phase about 20 degrees) the dark side's edge is used too, as limb that falls short."""

PHASE_PER_GRADIENT_DEG = 70.0
"""Phase angle for a gradient of 1, good to half of itself: Lommel-Seeliger disks give 10 degrees for 0.14."""

SUN_SIDE_DEG = 85.0
"""Limb farther than this from the Sun's azimuth is left out: the terminator meets it at 90 degrees."""

MAX_RMS = 0.012
"""Largest rms of the limb's residuals, as a share of the radius (5.8 km), that Ceres may show."""

MAX_OUTSIDE = 0.03
"""Largest share of the surroundings of Ceres' ellipse that may be lit: the body lies within its own limb."""

TURNS, TURNS_NEAR = 4, 2
"""Times edges are traced and fitted: from a first guess, and from a place that is known."""

NEAR_BLOCK = 2
"""A known place may be off by three times as many pixels and 4 more, beside 2 % of the radius."""

MIN_ARC_DEG, MIN_INLIER_SHARE, MAX_RELATIVE_ERROR, MIN_RADIUS = 40.0, 0.5, 0.10, 6.0
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
    sun_camera : tuple of float or None
        Direction to the Sun where the disk's light was fitted with its limb: +x right, +y down, +z away from
        the viewer.
    sky, surface : float
        Levels of the sky and of the lit surface, in the image's unit.
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
    sun_camera: tuple[float, float, float] | None = None
    sky: float = np.nan
    surface: float = np.nan


def fit_limb(
    image: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    figure: tuple[float, float, float] = ceres.RADII_KM,
    altitude_km: float | None = None,
    near: tuple[float, float, float] | None = None,
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
    near : tuple of float, optional
        Centre x, y and radius (pixels) where the disk is known to be: it is not searched for, and its light
        is not fitted.

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
    if near is None:
        levels, ellipse, block = first_guess(image, mask, flattening)
    else:
        levels, ellipse, block = known_levels(image, mask), Ellipse(*near, 0.0, 0.0), NEAR_BLOCK
    sun = None
    for turn in range(TURNS if near is None else TURNS_NEAR):
        edges = trace_edges(image, mask, ellipse, levels, turn, block)
        sun = sun_gradient(image, mask, ellipse, levels)
        ellipse, weight, rms, points, model = _fit(edges, sun, ellipse, flattening)
    share = _inlier_share(edges, sun, weight)
    arc_deg = float(np.rad2deg(np.sum(weight > 0.0) * (edges.angle[1] - edges.angle[0])))
    outside = share_outside(image, mask, ellipse, levels)
    _refuse(ellipse, rms, share, outside, arc_deg)
    light = None
    if near is None:
        light = fit_light(image, mask, levels, sun, (points, ellipse, model))
    ellipse, relative, error = average_poles(points, ellipse, model)
    if light is not None and light.error < error:
        ellipse, relative, error = light.ellipse, light.relative, light.error
        sun = (float(light.sun[0]), float(light.sun[1]))
    error = float(np.sqrt(error**2 + SURE_HORIZON**2 + (SURE_EDGE / ellipse.radius) ** 2))
    if error > MAX_RELATIVE_ERROR:
        raise ScaleError(
            f"no limb in view that gives a scale: {arc_deg:.0f} degrees of it leave {100 * error:.0f} % open"
        )
    seen_km = equatorial_km
    if altitude_km is not None:
        distance_km = altitude_km + equatorial_km
        seen_km *= distance_km / np.sqrt(distance_km**2 - equatorial_km**2)
    return LimbFit(
        center_x=float(ellipse.x),
        center_y=float(ellipse.y),
        semi_major_px=float(ellipse.semi_major),
        semi_minor_px=float(ellipse.semi_minor),
        position_angle_deg=float((np.rad2deg(ellipse.angle_rad) + 90.0) % 180.0),
        km_per_pixel=float(seen_km * relative),
        km_per_pixel_error=float(seen_km * relative * error),
        rms_px=rms,
        n_points=int(np.sum(weight > 0.0)),
        arc_deg=arc_deg,
        sun_azimuth_deg=None if sun is None else float(np.rad2deg(np.arctan2(sun[0], -sun[1])) % 360.0),
        quality="good" if error < 0.01 else "fair" if error < 0.03 else "poor",
        sun_camera=None if light is None else (float(light.sun[0]), float(light.sun[1]), float(light.sun[2])),
        sky=levels.sky,
        surface=levels.surface,
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


def _sunlit(angle: np.ndarray, sun: tuple[float, float] | None) -> tuple[np.ndarray, np.ndarray, float]:
    """Which directions may show an edge that tells the limb, and what the terminator does to it there.

    Returns
    -------
    tuple
        (n,) bool; (n,) share of the terminator's fall, the square of the cosine on the side away from the
        Sun; and the fall expected in the middle of that side, 1 - cos(phase), as a share of the radius.
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
    edges: Edges, sun: tuple[float, float] | None, ellipse: Ellipse, flattening: float
) -> tuple[Ellipse, np.ndarray, float, Points, Model]:
    """Ellipse through the usable edges on the Sun's side, reweighted (Tukey).

    Returns the ellipse, the weights of all edges, the robust rms about it in pixels, and the points and
    model of the last system.
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
        # Long waves of relief go with short ones: a smooth limb is trusted to be smooth.
        relief = max(RELIEF_RATIO * scatter / ellipse.radius, RELIEF_FLOOR) if scatter else RELIEF
        relief = float(np.hypot(relief, EDGE_ERROR / ellipse.radius))
        model = Model(flattening, sigma, relief, terminator)
        points = Points(x, y, weight * trust, fall)
        ellipse, rest = least_squares(points, ellipse, model)
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


def _inlier_share(edges: Edges, sun: tuple[float, float] | None, weight: np.ndarray) -> float:
    """Share of the limb that should be seen (in the frame, on the Sun's side) and is."""
    expected = edges.in_view & _sunlit(edges.angle, sun)[0]
    return float(np.sum(weight[expected] > 0.0) / max(1, np.sum(expected)))


def _refuse(ellipse: Ellipse, rms: float, share: float, outside: float, arc_deg: float) -> None:
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
    if outside > MAX_OUTSIDE:
        raise ScaleError(
            f"the outline in the frame does not fit Ceres' figure ({100 * outside:.0f} % of its"
            " surroundings are lit): another body, or no limb"
        )
    if share < MIN_INLIER_SHARE:
        raise ScaleError(
            f"the outline in the frame does not fit Ceres' figure ({100 * share:.0f} % of it agrees):"
            " another body, or no limb"
        )
