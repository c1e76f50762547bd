"""Spots of known size and contrast put into a real frame, as the camera would have seen them.

A spot multiplies the light of its ground by its contrast. The ground before the optics is not known, the
picture of it is: so the frame's own light, relief and shading included, is multiplied by a disc that was
blurred like the frame. Light that is added brings its own noise, light that is taken away takes its noise
along; what passes the ceiling is clipped, and the result is rounded to the frame's steps.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from brightspot.frame import Frame

DN_CEILING = 16383.0
"""Greatest 14-bit count (unverified), for raw frames in which nothing reaches it."""

NOISE_BLOCK = 16
"""Width in pixels of the blocks in which the noise is measured."""

SMOOTHEST = 25.0
"""Percentile of the blocks' noise that is taken for the noise without detail."""

LEAST_WEIGHT = 1e-4
"""Share of a spot's contrast below which a pixel is left alone."""

FINEST_GRID = 16
"""Most sub-pixels per pixel and axis from which a disc's cover is summed."""


class Spot(NamedTuple):
    """One disc to be put into a frame.

    Attributes
    ----------
    x, y : float
        Centre, pixels.
    diameter : float
        Pixels, as seen along the normal of its ground.
    contrast : float
        Albedo over that of the ground around; below 1 a dark spot.
    ground : numpy.ndarray
        (2, 2): a step of one pixel right and down (columns) on the ground, in pixel widths across the line
        of sight; the identity where the camera looks straight down.
    """

    x: float
    y: float
    diameter: float
    contrast: float
    ground: np.ndarray = np.eye(2)

    @property
    def seen_diameter(self) -> float:
        """Diameter in pixels of the circle with the area that the disc has in the picture."""
        return self.diameter / float(np.sqrt(abs(np.linalg.det(self.ground))))

    @property
    def reach(self) -> float:
        """Farthest point of the disc from its centre in the picture, pixels."""
        return 0.5 * self.diameter / float(np.linalg.svd(self.ground, compute_uv=False)[-1])


class Light(NamedTuple):
    """What a frame's pixels are made of.

    Attributes
    ----------
    signal : numpy.ndarray
        (rows, columns) float32: light above the pedestal, noise taken out where it outweighs the detail.
    pedestal : float
        Value of no light.
    read_variance, shot_variance : float
        Noise variance of a pixel without light, and what each unit of light adds to it.
    ceiling : float or None
        Value at which the frame clips; None where none is known.
    step : float or None
        The frame's values are whole multiples of this; None where they are not.
    """

    signal: np.ndarray
    pedestal: float
    read_variance: float
    shot_variance: float
    ceiling: float | None
    step: float | None

    def variance(self, light: np.ndarray) -> np.ndarray:
        """Noise variance of pixels with this light."""
        return self.read_variance + self.shot_variance * np.maximum(light, 0.0)


def measure_light(frame: Frame, pedestal: float) -> Light:
    """Light, noise, ceiling and steps of a frame, all taken from its own pixels.

    Parameters
    ----------
    frame : Frame
        As `read_frame` gives it.
    pedestal : float
        Value of no light, as in `Background.pedestal`.

    Returns
    -------
    Light
    """
    from scipy.ndimage import uniform_filter

    image = np.where(frame.mask, np.float32(pedestal), frame.image) - np.float32(pedestal)
    read, shot = measure_noise(image, ~frame.mask)
    mean = uniform_filter(image, 3, mode="nearest")
    spread = np.maximum(uniform_filter(image * image, 3, mode="nearest") - mean * mean, 0.0)
    noise = read + shot * np.maximum(mean, 0.0)
    # Wiener's filter: detail is kept in the share by which it outweighs the noise.
    share = np.maximum(spread - noise, 0.0) / np.maximum(np.maximum(spread, noise), 1e-30)
    signal = np.maximum(mean + share * (image - mean), 0.0).astype(np.float32)
    return Light(signal, pedestal, read, shot, find_ceiling(frame), find_step(frame))


def measure_noise(image: np.ndarray, valid: np.ndarray) -> tuple[float, float]:
    """Variance of a dark pixel's noise, and its growth with the light.

    The second difference along rows of the second difference along columns is blind to planes and nearly so
    to anything a PSF has passed (Immerkaer 1996, CVIU 64, 300). Of blocks with like light the smoothest
    count: the others hold detail. Without sky in view all noise is taken for photon noise.

    Parameters
    ----------
    image : numpy.ndarray
        (rows, columns) float32, light above the pedestal.
    valid : numpy.ndarray
        (rows, columns) bool.

    Returns
    -------
    tuple of float
        Neither is negative; both 0 where the image is too small to tell.
    """
    b = NOISE_BLOCK
    rows, columns = (image.shape[0] - 2) // b, (image.shape[1] - 2) // b
    if rows < 1 or columns < 1:
        return 0.0, 0.0
    across = image[:, :-2] - 2.0 * image[:, 1:-1] + image[:, 2:]
    both = np.abs(across[:-2] - 2.0 * across[1:-1] + across[2:]) / 6.0

    def blocks(plane: np.ndarray) -> np.ndarray:
        return plane[: rows * b, : columns * b].reshape(rows, b, columns, b).swapaxes(1, 2).reshape(-1, b * b)

    whole = blocks(valid[1:-1, 1:-1]).all(axis=1)
    if not whole.any():
        return 0.0, 0.0
    variance = (1.4826 * np.median(blocks(both)[whole], axis=1)) ** 2
    light = np.maximum(blocks(image[1:-1, 1:-1])[whole].mean(axis=1), 0.0)
    typical = float(np.percentile(light, 95.0))
    dark, lit = variance[light < 0.02 * typical], np.flatnonzero(light > 0.1 * typical)
    if len(lit) == 0:
        return float(np.percentile(variance, SMOOTHEST)), 0.0
    read = float(np.percentile(dark, SMOOTHEST)) if len(dark) else 0.0
    groups = np.array_split(lit[np.argsort(light[lit], kind="stable")], min(10, len(lit)))
    slopes = [(np.percentile(variance[g], SMOOTHEST) - read) / light[g].mean() for g in groups]
    return read, max(float(np.median(slopes)), 0.0)


def find_ceiling(frame: Frame) -> float | None:
    """Value at which a frame clips: that of its saturated pixels, else the greatest of its kind of file."""
    if frame.saturated.any():
        return float(frame.image[frame.saturated].max())
    if frame.unit == "DN":
        return DN_CEILING
    if frame.unit != "display":
        return None  # calibrated: the ceiling went through dark current and flat field
    top = float(frame.image[~frame.mask].max())
    return next((limit for limit in (1.0, 255.0, 65535.0) if top <= limit), None)


def find_step(frame: Frame) -> float | None:
    """Distance between a frame's possible values; None where they lie on no lattice."""
    values = np.unique(frame.image[~frame.mask].ravel()[:: max(frame.image.size // 200_000, 1)])
    if len(values) < 3:
        return None
    gaps = np.diff(values.astype(np.float64))
    step = float(gaps.min())
    # float32 holds 24 bits: a lattice finer than that cannot be told from rounding.
    if step < 1e-6 * float(np.abs(values).max()):
        return None
    step = float(np.median(gaps[gaps < 1.5 * step]))
    steps = gaps / step
    return step if np.all(np.abs(steps - np.rint(steps)) < 0.02) else None


def cover(spot: Spot, psf_fwhm: float) -> tuple[int, int, np.ndarray]:
    """How much of each pixel's light comes from the disc, through the optics.

    Parameters
    ----------
    spot : Spot
        The disc.
    psf_fwhm : float
        Full width at half maximum of the PSF in pixels, the pixel's own width included.

    Returns
    -------
    y0, x0 : int
        Row and column of the window's first pixel; may lie outside the frame.
    weight : numpy.ndarray
        (rows, columns) float64, 0 to 1; sums to the disc's area in pixels.
    """
    from scipy.ndimage import gaussian_filter1d

    # The box that sums light over a pixel has a variance of 1/12 of its own.
    sigma = float(np.sqrt(max((psf_fwhm / 2.3548) ** 2 - 1.0 / 12.0, 0.0)))
    half = int(np.ceil(spot.reach + 4.0 * sigma + 1.0))
    y0, x0 = round(spot.y) - half, round(spot.x) - half
    size = 2 * half + 1
    fine = int(np.clip(500 // size, 3, FINEST_GRID))
    along = (np.arange(size * fine) + 0.5) / fine - 0.5
    dx, dy = along[None, :] + x0 - spot.x, along[:, None] + y0 - spot.y
    (a, b), (c, d) = spot.ground
    disc = ((a * dx + b * dy) ** 2 + (c * dx + d * dy) ** 2 <= (0.5 * spot.diameter) ** 2).astype(np.float64)
    if sigma > 0.0:
        for axis in (0, 1):
            disc = gaussian_filter1d(disc, sigma * fine, axis=axis, mode="constant", truncate=5.0)
    return y0, x0, disc.reshape(size, fine, size, fine).mean(axis=(1, 3))


def inject(frame: Frame, light: Light, spots: list[Spot], psf_fwhm: float, rng: np.random.Generator) -> Frame:
    """The frame with spots in it; the frame given stays as it is.

    Parameters
    ----------
    frame : Frame
        As `read_frame` gives it.
    light : Light
        From `measure_light` of the same frame.
    spots : list of Spot
        Discs that do not overlap; parts outside the frame are left out.
    psf_fwhm : float
        Full width at half maximum of the frame's PSF in pixels.
    rng : numpy.random.Generator
        Draws the noise of the light that is added.

    Returns
    -------
    Frame
        With ``image`` and ``saturated`` changed where the spots are.
    """
    image, saturated = frame.image.copy(), frame.saturated.copy()
    rows, columns = frame.shape
    for spot in spots:
        y0, x0, weight = cover(spot, psf_fwhm)
        top, left = max(y0, 0), max(x0, 0)
        here = np.s_[top : min(y0 + len(weight), rows), left : min(x0 + weight.shape[1], columns)]
        if image[here].size == 0:
            continue
        window = weight[top - y0 : here[0].stop - y0, left - x0 : here[1].stop - x0]
        factor = 1.0 + (spot.contrast - 1.0) * window
        before = light.signal[here].astype(np.float64)
        after = factor * before
        grain = image[here] - light.pedestal - before
        if spot.contrast >= 1.0:
            added = np.sqrt(light.shot_variance * (after - before))
            grain = grain + added * rng.standard_normal(before.shape)
        else:
            noise = light.variance(before)
            grain = grain * np.sqrt(light.variance(after) / np.where(noise > 0.0, noise, 1.0))
        changed = (np.abs(factor - 1.0) > LEAST_WEIGHT) & ~frame.mask[here] & ~frame.saturated[here]
        value = light.pedestal + after + grain
        if light.step is not None:
            value = np.rint(value / light.step) * light.step
        if light.ceiling is not None:
            saturated[here] |= changed & (value >= light.ceiling)
            value = np.minimum(value, light.ceiling)
        image[here] = np.where(changed, value, image[here])
    return replace(frame, image=image, saturated=saturated)
