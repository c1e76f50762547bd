"""Viewing geometry against the picture: orientation, pointing, and the Sun where no label tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from brightspot import ceres
from brightspot.camera import Camera
from brightspot.errors import GeometryError
from brightspot.geometry.sources import require_view, turn
from brightspot.geometry.view import ViewingGeometry, angle_deg, dot, unit

# --- label against picture ----------------------------------------------------------------------------


class OrientationCheck(NamedTuple):
    """What the picture says about its own orientation.

    ``best_flip`` is ``"none"``, ``"up-down"``, ``"left-right"`` or ``"both"``: the flip of the predicted view
    that resembles the picture most; ``scores`` the correlation (-1 to 1) of each; ``agrees`` True where the
    geometry fits as it is, False where a flip of it fits clearly better, None where the picture cannot tell.
    """

    best_flip: str
    scores: dict[str, float]
    agrees: bool | None


FLIPS: dict[str, tuple[slice, slice]] = {
    "none": (slice(None), slice(None)),
    "up-down": (slice(None, None, -1), slice(None)),
    "left-right": (slice(None), slice(None, None, -1)),
    "both": (slice(None, None, -1), slice(None, None, -1)),
}

MINIMUM_SCORE = 0.5
"""Correlation below which a picture says nothing about its orientation."""

CLEAR_RATIO, CLEAR_MARGIN = 0.7, 0.03
"""One view fits clearly better than another where it leaves under 0.7 of the other's unexplained variance and
correlates better by 0.03."""


def check_orientation(
    geometry: ViewingGeometry, image: np.ndarray, mask: np.ndarray | None = None
) -> OrientationCheck:
    """Compare the lit ellipsoid the geometry predicts with the pixels, under the four flips.

    Parameters
    ----------
    geometry : ViewingGeometry
        Geometry to be checked.
    image : numpy.ndarray
        (rows, columns) float32.
    mask : numpy.ndarray or None
        (rows, columns) bool, True where a pixel says nothing.

    Returns
    -------
    OrientationCheck
        ``agrees`` is None where body and lighting look the same flipped or fill the frame too evenly.
    """
    from scipy.ndimage import maximum_filter

    step = int(np.clip(2.0 * _apparent_radius(geometry) / 24.0, 1, 16))
    picture, seen = _block_means(image, mask, step)
    mesh = geometry.disk_mesh(step)
    rows, columns = picture.shape
    light = _shading(mesh.mu0, mesh.mu)[:rows, :columns]
    # Only the places where some flip puts the body, and a rim of sky: a small disk must not drown in sky.
    body = np.isfinite(mesh.mu)[:rows, :columns]
    near = np.maximum.reduce([body[flip] for flip in FLIPS.values()])
    seen &= maximum_filter(near, size=9)
    low, high = np.percentile(picture[seen], [1.0, 99.0]) if seen.any() else (0.0, 0.0)
    picture = np.clip(picture, low, high)
    scores = {name: _correlation(picture[seen], light[flip][seen]) for name, flip in FLIPS.items()}
    best = max(scores, key=lambda name: scores[name])
    other = max((name for name in scores if name != "none"), key=lambda name: scores[name])
    agrees: bool | None = None
    lit = float((light[seen] > 0.05).mean()) if seen.any() else 0.0
    if scores[best] < MINIMUM_SCORE:
        # A limb or a terminator is predicted across the view, and no way of turning the picture shows it.
        agrees = False if 0.1 < lit < 0.9 and seen.sum() >= 100 else None
    else:
        if _fits_better(scores[other], scores["none"]):
            agrees = False
        elif _fits_better(scores["none"], scores[other]):
            agrees = True
    return OrientationCheck(best, scores, agrees)


def _fits_better(score: float, other: float) -> bool:
    """Whether one correlation is clearly above the other."""
    left_over, other_left_over = 1.0 - max(score, 0.0) ** 2, 1.0 - max(other, 0.0) ** 2
    return score - other > CLEAR_MARGIN and left_over < CLEAR_RATIO * other_left_over


def _apparent_radius(geometry: ViewingGeometry) -> float:
    """Angular radius of the body over the mean pixel angle."""
    ratio = min(1.0, max(geometry.radii_km) / geometry.target_center_distance_km)
    return float(np.arcsin(ratio)) / geometry.camera.mean_ifov_rad


def _block_means(image: np.ndarray, mask: np.ndarray | None, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Means over whole blocks, and which blocks have at least half of their pixels."""
    rows, columns = image.shape[0] // step, image.shape[1] // step
    window = (slice(0, rows * step), slice(0, columns * step))
    good = np.isfinite(image[window]) if mask is None else ~mask[window]
    value = np.where(good, image[window], 0.0)
    total = value.reshape(rows, step, columns, step).sum(axis=(1, 3), dtype=np.float64)
    count = good.reshape(rows, step, columns, step).sum(axis=(1, 3))
    return total / np.maximum(count, 1), count * 2 >= step * step


def _shading(mu0: np.ndarray, mu: np.ndarray, weight: float = ceres.LUNAR_LAMBERT_WEIGHT) -> np.ndarray:
    """Lunar-Lambert brightness of the lit side relative to face-on; 0 at night and off the body."""
    with np.errstate(invalid="ignore", divide="ignore"):
        value = weight * 2.0 * mu0 / (mu0 + mu) + (1.0 - weight) * mu0
        return np.where(mu0 > 0.0, value, 0.0).astype(np.float64)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if a.size == 0:
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0.0 else 0.0


class PointingShift(NamedTuple):
    """How far the predicted view was moved to lie on the picture's limb.

    ``dx_px`` and ``dy_px`` are 0 where nothing was moved; ``n_limb_points`` counts the limb points that
    agreed (0: no limb in view); ``rms_px`` is their scatter about the limb as refined, NaN without points.
    """

    dx_px: float
    dy_px: float
    n_limb_points: int
    rms_px: float


SEARCH_PX = 32.0
"""How far from its predicted place the limb is looked for, and the largest shift believed (half the body's
radius where that is less)."""

SMALLEST_REACH_PX = 8.0
"""Bodies whose half radius is smaller are not used: their limb has too few pixels."""

MINIMUM_LIMB_POINTS = 24


def refine_pointing(
    geometry: ViewingGeometry, image: np.ndarray, mask: np.ndarray | None = None
) -> tuple[ViewingGeometry, PointingShift]:
    """Turn the camera slightly so that the predicted limb lies on the picture's.

    Parameters
    ----------
    geometry : ViewingGeometry
        Geometry as labelled.
    image : numpy.ndarray
        (rows, columns) float32.
    mask : numpy.ndarray or None
        (rows, columns) bool, True where a pixel says nothing.

    Returns
    -------
    tuple
        The geometry (the same object where nothing was moved) and the `PointingShift`.

    Notes
    -----
    Only limb that is well lit counts (incidence under 70 degrees), so the terminator is not mistaken for it;
    each point's edge is the outermost one on its outward normal, so ground inside the limb is not either; the
    shift is a robust fit, and is used only if it leaves a smaller scatter. Where the limb in view is a short
    arc, the picture fixes one direction only, and the view is moved in that direction alone.
    """
    reach = min(SEARCH_PX, 0.5 * _apparent_radius(geometry))
    if reach < SMALLEST_REACH_PX:
        return geometry, PointingShift(0.0, 0.0, 0, float("nan"))
    pixels = np.where(mask, np.nan, image) if mask is not None else image
    current, total, count, rms, first_rms = geometry, np.zeros(2), 0, np.nan, np.nan
    for _ in range(3):
        edge = _limb_edges(current, pixels, reach)
        if edge is None:
            return geometry, PointingShift(0.0, 0.0, 0, float("nan"))
        place, normal, offset = edge
        shift, kept = _fit_shift(normal, offset)
        count = int(kept.sum())
        if count < MINIMUM_LIMB_POINTS:
            return geometry, PointingShift(0.0, 0.0, 0, float("nan"))
        if np.isnan(first_rms):
            first_rms = float(np.sqrt(np.mean(offset[kept] ** 2)))
        rms = float(np.sqrt(np.mean((offset - normal @ shift)[kept] ** 2)))
        total = total + shift
        if np.hypot(*total) > reach:
            return geometry, PointingShift(0.0, 0.0, count, rms)
        pivot = place[kept].mean(axis=0) + geometry.origin_xy
        old, new = (geometry.camera.pixel_to_ray(*point) for point in (pivot, pivot + shift))
        current = replace(current, camera_from_body=turn(old, new) @ current.camera_from_body)
        if np.hypot(*shift) < 0.01:
            break
    if not rms < first_rms:
        return geometry, PointingShift(0.0, 0.0, count, first_rms)
    return current, PointingShift(float(total[0]), float(total[1]), count, rms)


def _limb_edges(
    geometry: ViewingGeometry, image: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Points on the predicted lit limb, their outward normals, and how far out the picture's edge lies."""
    rows, columns = image.shape
    for n_points in (720, 7200):
        x, y, incidence = geometry.limb(n_points)
        if not np.all(np.isfinite(x)):
            return None
        tangent = np.stack([np.roll(x, -1) - np.roll(x, 1), np.roll(y, -1) - np.roll(y, 1)], axis=-1)
        normal = unit(np.stack([tangent[:, 1], -tangent[:, 0]], axis=-1))
        away = np.stack([x - x.mean(), y - y.mean()], axis=-1)
        normal *= np.sign(dot(normal, away))[:, None]
        use = (incidence < 70.0) & (x > 0) & (x < columns - 1) & (y > 0) & (y < rows - 1)
        if use.sum() >= 120:
            break
    if use.sum() < MINIMUM_LIMB_POINTS:
        return None
    place, normal = np.stack([x, y], axis=-1)[use], normal[use]
    steps = np.arange(-reach - 6.0, reach + 6.25, 0.5)
    along = place[:, None] + steps[:, None] * normal[:, None]
    offset = _outermost_edge(_bilinear(image, along[..., 0], along[..., 1]), steps)
    good = np.isfinite(offset)
    return (place[good], normal[good], offset[good]) if good.any() else None


def _bilinear(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Image values between pixel centres, NaN outside the frame."""
    rows, columns = image.shape
    inside = (x >= 0) & (x <= columns - 1) & (y >= 0) & (y <= rows - 1)
    i = np.clip(np.nan_to_num(x).astype(np.intp), 0, columns - 2)
    j = np.clip(np.nan_to_num(y).astype(np.intp), 0, rows - 2)
    fx, fy = x - i, y - j
    top = image[j, i] * (1 - fx) + image[j, i + 1] * fx
    bottom = image[j + 1, i] * (1 - fx) + image[j + 1, i + 1] * fx
    return np.where(inside, top * (1 - fy) + bottom * fy, np.nan)


def _outermost_edge(profile: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Place along each profile (points, steps; inside first) of the outermost fall to the sky, NaN where
    none.

    The fall is the mean of 2 px inside less the mean of 2 px outside; the edge is where the brightness
    crosses half-way between the levels 1.5 to 3 px inside and 2 to 5 px outside.
    """
    span = 4  # samples of half a pixel
    running = np.cumsum(np.nan_to_num(profile, nan=0.0), axis=1)
    mean = (running[:, span:] - running[:, :-span]) / span  # of samples k+1 .. k+span
    fall = np.full(profile.shape, -np.inf)
    fall[:, span : -span - 1] = mean[:, : -span - 1] - mean[:, span + 1 :]
    broken = np.isnan(profile)
    bad = np.cumsum(broken, axis=1)
    hurt = np.zeros(profile.shape, bool)
    hurt[:, 10:-11] = (bad[:, 21:] - bad[:, :-21]) > 0
    fall[hurt] = -np.inf
    fall[:, :10] = fall[:, -11:] = -np.inf
    steepest = fall.max(axis=1)
    finite = np.isfinite(steepest) & (steepest > 0)
    if finite.sum() < MINIMUM_LIMB_POINTS:
        return np.full(len(profile), np.nan)
    typical = np.median(steepest[finite])
    # Outermost sample whose fall is half the typical limb's, then the top of that fall.
    strong = fall > 0.5 * np.minimum(steepest, typical)[:, None]
    last = profile.shape[1] - 1 - np.argmax(strong[:, ::-1], axis=1)
    result = np.full(len(profile), np.nan)
    for n in np.flatnonzero(finite & (steepest > 0.3 * typical)):
        lo = max(last[n] - 8, 0)
        top = lo + int(np.argmax(fall[n, lo : last[n] + 1]))
        inside = profile[n, top - 6 : top - 2].mean()
        outside = profile[n, top + 4 : top + 11].mean()
        level = 0.5 * (inside + outside)
        window = profile[n, top - 6 : top + 7]
        crossing = np.flatnonzero((window[:-1] >= level) & (window[1:] < level))
        if inside > outside and crossing.size:
            k = crossing[-1]
            fraction = (window[k] - level) / (window[k] - window[k + 1])
            result[n] = steps[top - 6 + k] + fraction * (steps[1] - steps[0])
    return result


def _fit_shift(normal: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Robust (dx, dy) with ``normal @ shift = offset``, and which points agree with it."""
    kept = np.ones(len(offset), bool)
    shift = np.zeros(2)
    for _ in range(12):
        values, vectors = np.linalg.eigh(normal[kept].T @ normal[kept] / max(kept.sum(), 1))
        right = vectors.T @ (normal[kept].T @ offset[kept]) / max(kept.sum(), 1)
        # A short arc of limb fixes one direction only: leave the other one alone.
        shift = vectors @ np.where(values > 0.02, right / np.maximum(values, 1e-12), 0.0)
        residual = np.abs(offset - normal @ shift)
        limit = max(3.0 * 1.4826 * float(np.median(residual[kept])), 0.5)
        again = residual < limit
        if again.sum() < MINIMUM_LIMB_POINTS or np.array_equal(again, kept):
            break
        kept = again
    return shift, kept


# --- pictures without a label ----------------------------------------------------------------------------


class SunFit(NamedTuple):
    """Direction to the Sun found from a picture's shading.

    ``camera_direction`` is (3,) in the camera frame (+X right, +Y down, +Z away from the viewer);
    ``phase_deg`` the angle between Sun and viewer; ``azimuth_deg`` the direction of the light's source in the
    image, clockwise from up; ``uncertainty_deg`` one standard deviation of the direction, scatter of the
    ground included; ``score`` the correlation between the picture and the model, 0 to 1.
    """

    camera_direction: np.ndarray
    phase_deg: float
    azimuth_deg: float
    uncertainty_deg: float
    score: float


OTHER_WEIGHT = 0.7
"""A second Lunar-Lambert weight: how far it moves the fitted Sun is counted as the model's own error."""

BLOCK_ERROR_DEG = 1.0
"""What blocks that straddle the limb of a crescent cost (rendered crescents: 1.1 degrees)."""

MINIMUM_BLOCKS = 150
"""Fewer blocks of the body than this do not show where the Sun is."""

IDEAL_DISTANCE_KM = 1.0e6
"""Distance of the idealised camera of `from_limb`: far enough that perspective does not matter."""


def from_limb(
    center_xy: tuple[float, float],
    km_per_pixel: float,
    *,
    shape: tuple[int, int],
    axis_ratio: float = 1.0,
    pole_azimuth_deg: float = 0.0,
    sun_camera: Sequence[float] | np.ndarray | None = None,
    image: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    sun_distance_km: float = 2.77 * ceres.AU_KM,
    radii_km: tuple[float, float, float] = ceres.RADII_KM,
) -> ViewingGeometry:
    """Geometry of a picture without a label, from its limb and its light.

    Parameters
    ----------
    center_xy : tuple of float
        Centre of the limb ellipse, frame pixels.
    km_per_pixel : float
        Scale at the body's centre.
    shape : tuple of int
        Rows and columns of the picture.
    axis_ratio : float
        Minor over major axis of the limb ellipse.
    pole_azimuth_deg : float
        Direction of the minor axis in the image, clockwise from up: the same number, but for half a turn, as
        the major axis' direction counted from +x towards +y.
    sun_camera : array_like or None
        (3,) direction to the Sun in the camera frame; None: fitted to ``image`` (or, without one, taken to be
        behind the viewer).
    image, mask : numpy.ndarray or None
        Picture for `fit_sun`.
    sun_distance_km : float
        Ceres to the Sun, km; the default is the mean distance (semi-major axis 2.77 AU).
    radii_km : tuple of float
        Semi-axes, km.

    Returns
    -------
    ViewingGeometry
        ``source="limb"``, ``longitude_known=False``: angles and areas are meaningful; latitude,
        longitude, north and slant range are not known and are NaN in its maps.

    Notes
    -----
    The outline tells how far the pole is tilted, not whether towards the viewer or away. The body is given
    the outline, depth and volume of the spheroid with its axes along the image's: normals are off by up to
    4.5 degrees (at 45 degrees of tilt) from what either tilt would give, and by none at tilts of 0 and 90.
    """
    if not km_per_pixel > 0.0:
        raise GeometryError(f"scale must be positive, not {km_per_pixel} km per pixel")
    equatorial, polar = radii_km[0], radii_km[2]
    minor = equatorial * float(np.clip(axis_ratio, polar / equatorial, 1.0))
    azimuth = np.radians(pole_azimuth_deg)
    viewer = np.array([0.0, 0.0, -1.0])
    up = np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])
    camera_from_body = np.stack([viewer, np.cross(up, viewer), up], axis=-1)
    camera = Camera("ideal", 1, IDEAL_DISTANCE_KM / km_per_pixel, 0.0, (1.0, 1.0), center_xy)
    toward = viewer if sun_camera is None else unit(np.asarray(sun_camera, np.float64))
    geometry = ViewingGeometry(
        camera,
        shape,
        IDEAL_DISTANCE_KM * (viewer @ camera_from_body),
        sun_distance_km * (toward @ camera_from_body),
        camera_from_body,
        radii_km=(equatorial * polar / minor, equatorial, minor),
        source="limb",
        longitude_known=False,
    )
    if sun_camera is None and image is not None:
        fit = fit_sun(geometry, image, mask)
        geometry = replace(geometry, sun_km=sun_distance_km * (fit.camera_direction @ camera_from_body))
    require_view(geometry)
    return geometry


def fit_sun(geometry: ViewingGeometry, image: np.ndarray, mask: np.ndarray | None = None) -> SunFit:
    """Find the direction to the Sun from the shading of the body's disk.

    Parameters
    ----------
    geometry : ViewingGeometry
        Camera and body; its own Sun is not looked at.
    image : numpy.ndarray
        (rows, columns) float32; any linear stretch will do.
    mask : numpy.ndarray or None
        (rows, columns) bool, True where a pixel says nothing.

    Returns
    -------
    SunFit
        The direction whose Lunar-Lambert shading correlates best with block means of the picture.

    Raises
    ------
    GeometryError
        Too little of the body in the picture.

    Notes
    -----
    All directions on a grid, then a simplex search; blocks further than 4 sigma from the model (spots,
    shadows) are left out of a second search. The uncertainty is that of the least-squares fit, times 3
    because neighbouring blocks share their craters, and the difference another disk function makes.
    """
    step = int(np.clip(2.0 * _apparent_radius(geometry) / 40.0, 1, 32))
    picture, seen = _block_means(image, mask, step)
    half = 0.5 * (step - 1)
    limb_x, limb_y, _ = geometry.limb(180)
    if np.all(np.isfinite(limb_x)):
        row, column = np.ogrid[: seen.shape[0], : seen.shape[1]]
        seen &= (np.abs(column * step + half - 0.5 * (limb_x.min() + limb_x.max())) < np.ptp(limb_x)) & (
            np.abs(row * step + half - 0.5 * (limb_y.min() + limb_y.max())) < np.ptp(limb_y)
        )
    at_y, at_x = np.nonzero(seen)
    ground = geometry.ground(at_x * step + half, at_y * step + half)
    on_body = np.cos(np.radians(ground.emission_deg)) > 0.15
    if on_body.sum() < MINIMUM_BLOCKS:
        raise GeometryError("too little of the body in the picture to find the Sun from its shading")
    normal = unit(ground.point_km[on_body] / np.asarray(geometry.radii_km) ** 2) @ geometry.camera_from_body.T
    mu = np.cos(np.radians(ground.emission_deg[on_body]))
    value = picture[at_y, at_x][on_body]
    value = np.clip(value, *np.percentile(value, [0.5, 99.0]))
    use = np.ones(value.size, bool)

    def direction(angles: np.ndarray) -> np.ndarray:
        phase, azimuth = angles
        return np.array([np.sin(phase) * np.sin(azimuth), -np.sin(phase) * np.cos(azimuth), -np.cos(phase)])

    grid = [
        direction(np.radians([phase, azimuth])) for phase in range(2, 160, 8) for azimuth in range(0, 360, 15)
    ]
    best = max(grid, key=lambda s: _correlation(_shading(normal @ s, mu), value))
    for _ in range(2):
        best = _refined_sun(normal[use], mu[use], value[use], best, ceres.LUNAR_LAMBERT_WEIGHT)
        residual, deviation_deg = _sun_residual(normal, mu, value, best, use)
        sigma = 1.4826 * float(np.median(np.abs(residual)))
        use = np.abs(residual) <= max(4.0 * sigma, 1e-12)
    other = _refined_sun(normal[use], mu[use], value[use], best, OTHER_WEIGHT)
    deviation_deg = float(np.hypot(np.hypot(deviation_deg, angle_deg(best, other)), BLOCK_ERROR_DEG))
    azimuth_deg = float(np.degrees(np.arctan2(best[0], -best[1])) % 360.0)
    score = _correlation(_shading(normal[use] @ best, mu[use]), value[use])
    return SunFit(
        best,
        float(np.degrees(np.arccos(np.clip(-best[2], -1, 1)))),
        azimuth_deg,
        min(deviation_deg, 180.0),
        score,
    )


def _across(sun: np.ndarray) -> np.ndarray:
    """Two unit vectors (2, 3) at right angles to a direction and to each other."""
    return np.linalg.svd(sun[None])[2][1:]


def _refined_sun(
    normal: np.ndarray, mu: np.ndarray, value: np.ndarray, start: np.ndarray, weight: float
) -> np.ndarray:
    """Direction near ``start`` whose shading correlates best with the blocks."""
    from scipy.optimize import minimize

    frame = _across(start)

    def misfit(p: np.ndarray) -> float:
        return 1.0 - _correlation(_shading(normal @ unit(start + p @ frame), mu, weight), value)

    options = {"initial_simplex": [[0, 0], [0.1, 0], [0, 0.1]], "xatol": 1e-4, "fatol": 1e-9}
    return unit(start + minimize(misfit, np.zeros(2), method="Nelder-Mead", options=options).x @ frame)


def _sun_residual(
    normal: np.ndarray, mu: np.ndarray, value: np.ndarray, sun: np.ndarray, use: np.ndarray
) -> tuple[np.ndarray, float]:
    """Picture less fitted model on every block, and the direction's standard deviation in degrees."""
    model = _shading(normal @ sun, mu)
    design = np.stack([model, np.ones_like(model)], axis=-1)
    scale, *_ = np.linalg.lstsq(design[use], value[use], rcond=None)
    residual = value - design @ scale
    small = 1e-3
    slopes = [
        scale[0] * (_shading(normal @ unit(sun + small * axis), mu) - model) / small for axis in _across(sun)
    ]
    jacobian = np.concatenate([np.stack(slopes, axis=-1), design], axis=1)[use]
    covariance = np.linalg.pinv(jacobian.T @ jacobian) * float(np.mean(residual[use] ** 2))
    largest = float(np.linalg.eigvalsh(covariance[:2, :2]).max())
    return residual, 3.0 * float(np.degrees(np.sqrt(max(largest, 0.0))))
