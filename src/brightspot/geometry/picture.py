"""Viewing geometry against the picture: orientation, pointing, and the Sun where no label tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from brightspot import ceres
from brightspot.camera import Camera
from brightspot.errors import GeometryError
from brightspot.geometry.lit import apparent_radius, correlation, picture_blocks, predicted_blocks, shading
from brightspot.geometry.sources import require_view
from brightspot.geometry.view import ViewingGeometry, angle_deg, unit

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

    step = int(np.clip(2.0 * apparent_radius(geometry) / 24.0, 1, 16))
    corner, shape = _mirrored_window(geometry, step)
    picture = picture_blocks(image, mask, step, corner, shape)
    seen = np.isfinite(picture)
    light, mu = predicted_blocks(geometry, step, corner, shape)
    # Only the places where some flip puts the body, and a rim of sky: a small disk must not drown in sky.
    body = np.isfinite(mu)
    near = np.maximum.reduce([body[flip] for flip in FLIPS.values()])
    seen &= maximum_filter(near, size=9)
    low, high = np.percentile(picture[seen], [1.0, 99.0]) if seen.any() else (0.0, 0.0)
    picture = np.clip(picture, low, high)
    scores = {name: correlation(picture[seen], light[flip][seen]) for name, flip in FLIPS.items()}
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


def _mirrored_window(geometry: ViewingGeometry, step: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Corner and shape in blocks of the part of the frame that holds the body and its flips."""
    rows, columns = geometry.shape[0] // step, geometry.shape[1] // step
    x, y, _ = geometry.limb(60)
    cut = []
    for place, count in ((y, rows), (x, columns)):
        if not np.all(np.isfinite(place)):
            cut.append(0)
            continue
        low, high = int(place.min()) // step - 6, int(place.max()) // step + 6
        cut.append(int(np.clip(min(low, count - 1 - high), 0, max(count // 2 - 1, 0))))
    return (cut[0] * step, cut[1] * step), (rows - 2 * cut[0], columns - 2 * cut[1])


def _fits_better(score: float, other: float) -> bool:
    """Whether one correlation is clearly above the other."""
    left_over, other_left_over = 1.0 - max(score, 0.0) ** 2, 1.0 - max(other, 0.0) ** 2
    return score - other > CLEAR_MARGIN and left_over < CLEAR_RATIO * other_left_over


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
    step = int(np.clip(2.0 * apparent_radius(geometry) / 40.0, 1, 32))
    picture = picture_blocks(image, mask, step, side=step)
    seen = np.isfinite(picture)
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
    best = max(grid, key=lambda s: correlation(shading(normal @ s, mu), value))
    for _ in range(2):
        best = _refined_sun(normal[use], mu[use], value[use], best, ceres.LUNAR_LAMBERT_WEIGHT)
        residual, deviation_deg = _sun_residual(normal, mu, value, best, use)
        sigma = 1.4826 * float(np.median(np.abs(residual)))
        use = np.abs(residual) <= max(4.0 * sigma, 1e-12)
    other = _refined_sun(normal[use], mu[use], value[use], best, OTHER_WEIGHT)
    deviation_deg = float(np.hypot(np.hypot(deviation_deg, angle_deg(best, other)), BLOCK_ERROR_DEG))
    azimuth_deg = float(np.degrees(np.arctan2(best[0], -best[1])) % 360.0)
    score = correlation(shading(normal[use] @ best, mu[use]), value[use])
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
        return 1.0 - correlation(shading(normal @ unit(start + p @ frame), mu, weight), value)

    options = {"initial_simplex": [[0, 0], [0.1, 0], [0, 0.1]], "xatol": 1e-4, "fatol": 1e-9}
    return unit(start + minimize(misfit, np.zeros(2), method="Nelder-Mead", options=options).x @ frame)


def _sun_residual(
    normal: np.ndarray, mu: np.ndarray, value: np.ndarray, sun: np.ndarray, use: np.ndarray
) -> tuple[np.ndarray, float]:
    """Picture less fitted model on every block, and the direction's standard deviation in degrees."""
    model = shading(normal @ sun, mu)
    design = np.stack([model, np.ones_like(model)], axis=-1)
    scale, *_ = np.linalg.lstsq(design[use], value[use], rcond=None)
    residual = value - design @ scale
    small = 1e-3
    slopes = [
        scale[0] * (shading(normal @ unit(sun + small * axis), mu) - model) / small for axis in _across(sun)
    ]
    jacobian = np.concatenate([np.stack(slopes, axis=-1), design], axis=1)[use]
    covariance = np.linalg.pinv(jacobian.T @ jacobian) * float(np.mean(residual[use] ** 2))
    largest = float(np.linalg.eigvalsh(covariance[:2, :2]).max())
    return residual, 3.0 * float(np.degrees(np.sqrt(max(largest, 0.0))))
