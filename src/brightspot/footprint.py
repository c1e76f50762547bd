"""Footprints: their sums in pixels, their widths without the PSF, and the ground they lie on.

In: the objects of one frame, its pixels, its geometry or scale. Out: plain arrays, one value per object;
what is not known is NaN.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from brightspot.scale import from_geometry

if TYPE_CHECKING:
    from brightspot.background import Background
    from brightspot.frame import Frame
    from brightspot.segmentation import Segmentation

MEASURED = (
    "x", "y", "area", "xx", "xy", "yy", "threshold_area", "excess", "mean", "peak", "offset",
    "rms", "n", "saturated", "lost", "edge", "aperture", "height", "value",
)  # fmt: skip
"""Columns that the kernel ``measure`` writes, pixels and ratios."""

RESOLVED = 2.3
"""Half-maximum width in px from which a size is right to 10 per cent (simulated discs, PSF FWHM 1.4 px)."""


ALIKE = 1.1
"""Factor between two sizes that are taken for the same: what a size at `RESOLVED` is right to."""


def measure_footprints(
    image: np.ndarray,
    background: Background,
    segmentation: Segmentation,
    saturated: np.ndarray,
    chosen: np.ndarray,
    threshold: np.ndarray,
    *,
    dark: bool = False,
    margin: int = 3,
) -> dict[str, np.ndarray]:
    """Sizes, centroids and sums of the chosen objects, in pixels and ratios.

    Parameters
    ----------
    image : numpy.ndarray
        (rows, columns) float32, the frame's values.
    background, segmentation : Background, Segmentation
        The levelled frame and its objects.
    saturated : numpy.ndarray
        (rows, columns) bool.
    chosen : numpy.ndarray
        (n,) int, indices of objects (0 for label 1).
    threshold : numpy.ndarray
        One excess per object of the segmentation, at which its threshold footprint ends.
    dark : bool
        The objects are darker than their surroundings.
    margin : int
        Pixels around the footprints whose light is summed too: the PSF's wings.

    Returns
    -------
    dict
        One (n,) float64 array per name in `MEASURED`.
    """
    from brightspot._kernels import measure as kernels

    b, s = background, segmentation
    out = np.zeros((len(chosen), kernels.N_COLUMNS))
    kernels.measure(
        image, b.ratio, b.smooth, s.labels, b.usable, saturated, -1 if dark else 1,
        np.ascontiguousarray(chosen, np.int64), s.peak, s.box, s.n_pixels,
        np.ascontiguousarray(threshold, np.float32), b.rms, margin, b.step, b.y0, b.x0,
        np.zeros(s.labels.shape, np.int32), out,
    )  # fmt: skip
    return {name: out[:, k].copy() for k, name in enumerate(MEASURED)}


@functools.cache
def _widening() -> tuple[np.ndarray, np.ndarray]:
    """Half-maximum diameter against true diameter of a disc behind a Gaussian PSF, both in PSF FWHM.

    The profile of a disc of radius R behind a Gaussian of sigma 1 at radius r is the
    distribution function of the non-central chi-square with 2 degrees of freedom and
    non-centrality r**2 at R**2 (one minus Marcum's Q function).
    """
    from scipy.special import chndtr

    fwhm = 2.0 * np.sqrt(2.0 * np.log(2.0))
    true = np.concatenate([[1e-3], np.linspace(0.2, 4.0, 39)])
    rim = (0.5 * true * fwhm) ** 2
    half = -0.5 * np.expm1(-0.5 * rim)
    near, far = np.full(true.shape, 1e-3), np.full(true.shape, 12.0)
    for _ in range(50):  # the profile falls outward: halve the interval that holds its half maximum
        middle = 0.5 * (near + far)
        above = chndtr(rim, 2.0, middle**2) > half
        near, far = np.where(above, middle, near), np.where(above, far, middle)
    seen = 2.0 * near / fwhm
    return true, seen


def remove_psf(diameter: np.ndarray, psf_fwhm: float) -> np.ndarray:
    """Diameter of the disc whose blurred image has the given half-maximum diameter.

    Parameters
    ----------
    diameter : array_like
        Half-maximum diameters, px.
    psf_fwhm : float
        Full width at half maximum of the PSF, px.

    Returns
    -------
    numpy.ndarray
        px; 0 where the image is no wider than the PSF.
    """
    true, seen = _widening()
    share = np.asarray(diameter, np.float64) / psf_fwhm
    # Of a wide disc only the rim's curvature matters: it draws the half maximum in by 2 sigma^2 / D.
    wide = 0.5 * (share + np.sqrt(share**2 + 4.0 * 2.0 / (8.0 * np.log(2.0))))
    return np.where(share >= seen[-1], wide, np.interp(share, seen, true, left=0.0)) * psf_fwhm


@functools.cache
def _dilution(psf_fwhm: float) -> tuple[np.ndarray, np.ndarray]:
    """Half-maximum diameters (px), and the mean of a blurred disc's image over its footprint, over its own.

    The footprint holds what the 3 x 3 binomial smoothing (variance 1/2 px2 each way) leaves above half
    maximum; the mean is that of the unsmoothed image. Profiles as in `_widening`.
    """
    from scipy.special import chndtr

    # A PSF much narrower than a pixel (binned views) dilutes no less than the pixels do.
    width = max(psf_fwhm, 0.5)
    sigma = width / (2.0 * np.sqrt(2.0 * np.log(2.0)))
    radius = 0.5 * width * np.geomspace(1.0, 10.0, 24)

    def half_radius(sigma: float) -> np.ndarray:
        rim = (radius / sigma) ** 2
        near, far = np.full(radius.shape, 1e-3), radius / sigma + 6.0
        half = -0.5 * np.expm1(-0.5 * rim)
        for _ in range(25):
            middle = 0.5 * (near + far)
            above = chndtr(rim, 2.0, middle**2) > half
            near, far = np.where(above, middle, near), np.where(above, far, middle)
        return near * sigma

    # Rings of equal area out to the rim of the footprint.
    rings = np.sqrt((np.arange(24) + 0.5) / 24)[:, None] * half_radius(np.hypot(sigma, np.sqrt(0.5)))
    mean = chndtr((radius / sigma) ** 2, 2.0, (rings / sigma) ** 2).mean(axis=0)
    return 2.0 * half_radius(sigma), mean


def undilute(diameter: np.ndarray, psf_fwhm: float) -> np.ndarray:
    """Excess of a disc over the mean excess of its blurred image above half maximum.

    Parameters
    ----------
    diameter : array_like
        Half-maximum diameters, px.
    psf_fwhm : float
        Full width at half maximum of the PSF, px.

    Returns
    -------
    numpy.ndarray
        1 for wide discs, 1.6 at 2.5 px behind a PSF of 1.4 px.
    """
    seen, mean = _dilution(round(float(psf_fwhm), 3))
    # Of a wide disc only the rim is diluted: what is lost goes with one over the diameter.
    rim = (1.0 - mean[-1]) * seen[-1] / np.maximum(diameter, seen[-1])
    return 1.0 / np.where(np.asarray(diameter) > seen[-1], 1.0 - rim, np.interp(diameter, seen, mean))


def enlarged(frame: Frame) -> float:
    """Stored pixels per camera pixel: more than 1 in a picture known to be enlarged, else 1."""
    factor = frame.scale.enlargement if frame.scale is not None else None
    return max(float(factor), 1.0) if factor is not None else 1.0


class Place(NamedTuple):
    """What the geometry or the scale says of each detection's place; NaN where it says nothing."""

    latitude_deg: np.ndarray
    longitude_deg: np.ndarray
    incidence_deg: np.ndarray
    emission_deg: np.ndarray
    phase_deg: np.ndarray
    pixel_scale_km: np.ndarray
    pixel_area_km2: np.ndarray
    scale_km: np.ndarray


def find_place(frame: Frame, x: np.ndarray, y: np.ndarray) -> Place:
    """Where pixels (n,) lie, how lit and how large they are on the ground, as far as the frame tells."""
    nothing = np.full(len(x), np.nan)
    believed = frame.scale.believed if frame.scale is not None else None
    if frame.geometry is not None:
        g = frame.geometry.ground(x, y)
        scale = frame.geometry.pixel_km(g)
        # A believed scale that is not this geometry's own stretches it, by one number for the frame.
        stretch = 1.0
        if (
            believed is not None
            and believed.source in ("user", "article")
            and frame.geometry.source != "limb"
        ):
            stretch = believed.km_per_pixel / from_geometry(frame.geometry).km_per_pixel
        return Place(
            g.latitude_deg, g.longitude_deg, g.incidence_deg, g.emission_deg, g.phase_deg,
            scale * stretch, g.pixel_area_km2 * stretch**2, g.scale_km * stretch,
        )  # fmt: skip
    scale = nothing if believed is None else np.full(len(x), believed.km_per_pixel)
    square = scale[:, None, None] * np.array([[1.0, 0.0], [0.0, -1.0]])
    return Place(nothing, nothing, nothing, nothing, nothing, scale, scale**2, square)


def axes_km(
    measured: dict[str, np.ndarray], scale_km: np.ndarray, psf_fwhm: float, narrowest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Full axes at half maximum in the tangent plane, km; each narrowed by what the PSF widened it.

    Parameters
    ----------
    measured : dict
        As from `measure_footprints`: the moments, px2.
    scale_km : numpy.ndarray
        (n, 2, 2) km on the ground per pixel, as in `Place`.
    psf_fwhm : float
        Full width at half maximum of the PSF, px.
    narrowest : float
        Width in px, as seen, below which an axis is not told from the PSF's.

    Returns
    -------
    tuple of numpy.ndarray
        (n,) major and (n,) minor axes, km; NaN where the ground or the axis is not known.
    """
    moment = np.stack(
        [np.stack([measured["xx"], measured["xy"]], -1), np.stack([measured["xy"], measured["yy"]], -1)], -2
    )
    value, vector = np.linalg.eigh(moment)
    seen = 4.0 * np.sqrt(np.maximum(value, 0.0))
    axes, narrow = remove_psf(seen, psf_fwhm), seen < narrowest
    minor, major = _on_ground(axes, vector, scale_km).T
    # An unresolved axis is anything up to what is seen of it, and may be the longer one where the camera
    # looks obliquely: the major axis is known where that makes no difference.
    longest = _on_ground(np.where(narrow, seen, axes), vector, scale_km)[:, 1]
    known = ~narrow.all(axis=1) & (longest <= ALIKE * major)
    return np.where(known, major, np.nan), np.where(narrow.any(axis=1), np.nan, minor)


def _on_ground(axes: np.ndarray, vector: np.ndarray, scale_km: np.ndarray) -> np.ndarray:
    """Full axes (n, 2) in km on the ground, shorter one first, of ellipses given by theirs in the picture."""
    moment = (vector * (axes[:, None, :] / 4.0) ** 2) @ np.swapaxes(vector, -1, -2)
    ground = scale_km @ moment @ np.swapaxes(scale_km, -1, -2)
    known = np.isfinite(ground).all(axis=(-1, -2))
    values = np.full((len(known), 2), np.nan)
    if known.any():
        values[known] = np.linalg.eigvalsh(ground[known])
    return 4.0 * np.sqrt(np.maximum(values, 0.0))
