"""Local level and scatter of the lit surface.

In: image (rows, columns) float32 in any linear unit, masks, and, where the geometry is
known, the disk function on a mesh. Out: the levelled image ``ratio = image / level - 1``
(0 on the local surface) and the scatter of that ratio, both with the same meaning from
the sub-solar point to the terminator.

How: block means of the lit pixels are divided by the disk function (if there is one);
through their logarithms a plane is fitted in a sliding window, blocks that stand out
are left out and the fit repeated. A plane, unlike a median, does not lag behind at the limb and
the terminator, where the window is one-sided.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from brightspot.errors import NothingLit

STEP = 8
"""Width of a block in pixels: fine enough for the limb's gradient, 64 pixels to average."""

HALF_WINDOW = 5
"""Half-width of the window in blocks: the level follows what is wider than about 88 px."""

LIT_FRACTION = 0.06
"""Without geometry a pixel is lit where it exceeds this share of the frame's bright surface."""

LIT_SHARE = 0.1
"""With geometry: this share of the light that the disk function gives a typical surface there."""

FAINTEST_LIT = 0.01
"""... and at least this share of the bright surface."""

BRIGHT_PERCENTILE = 90.0
"""The frame's bright surface: this percentile of the light."""

WELL_LIT = 0.3
"""Disk function above which ground tells the typical surface."""

SCATTER_FLOOR = 0.004
"""Scatter below which nothing is believed: flat fields are known to some 0.5 per cent."""


SPIKE_SPREAD = 0.07
"""Share of what a pixel has alone that its four neighbours have too: half of what a point shows through a PSF
of 1.2 px, ``exp(-4 ln 2 / 1.2^2)`` = 0.146. What is narrower came not through the optics."""

SPIKE_SIGMA, SPIKE_SHARE = 35.0, 0.15
"""A pixel is mended where it stands out by so many times the noise (the neighbours' share is then known to
three times theirs) and by this share of the light."""

SPIKE_LIGHT = 0.1
"""Noise follows the light down to this share of the bright surface's."""

MOST_SPIKES = 0.001
"""Share of the pixels that may be mended; a picture with more of them is no camera's."""


class Background(NamedTuple):
    """Level and scatter on a mesh of blocks, and the levelled image.

    Attributes
    ----------
    ratio : numpy.ndarray
        (rows, columns) float32, ``image / level - 1``; 0 where unusable or unlit.
    smooth : numpy.ndarray
        ``ratio`` smoothed with a 3 x 3 binomial kernel.
    usable : numpy.ndarray
        (rows, columns) bool: lit, finite, not masked.
    level : numpy.ndarray
        Mesh of float32, the local level in the image's unit above the pedestal; NaN where too little is lit.
    rms : numpy.ndarray
        Mesh of float32, local scatter of ``smooth`` (relief, mottling and noise together).
    light : numpy.ndarray
        Mesh of float32, the level over that which a tenth of the blocks exceed; 0 where there is none.
    disk : numpy.ndarray or None
        Mesh of the disk function, NaN off the body; None without geometry.
    reference : float
        The frame's typical surface: median of level / disk (of level without geometry).
    pedestal : float
        Subtracted from the image: sky or bias.
    step, y0, x0 : int
        Block width and the first block's corner.
    """

    ratio: np.ndarray
    smooth: np.ndarray
    usable: np.ndarray
    level: np.ndarray
    rms: np.ndarray
    light: np.ndarray
    disk: np.ndarray | None
    reference: float
    pedestal: float
    step: int
    y0: int
    x0: int

    def at(self, mesh: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Value of a mesh at pixels (nearest block)."""
        j = ((np.floor(np.asarray(y) + 0.5) - self.y0) // self.step).astype(int)
        i = ((np.floor(np.asarray(x) + 0.5) - self.x0) // self.step).astype(int)
        j, i = np.clip(j, 0, mesh.shape[0] - 1), np.clip(i, 0, mesh.shape[1] - 1)
        return mesh[j, i]


def mesh_layout(shape: tuple[int, int], step: int = STEP) -> tuple[int, int, int, int]:
    """Rows and columns of the mesh and the corner (y0, x0) of its first block, centred on the image."""
    rows, columns = max(shape[0] // step, 1), max(shape[1] // step, 1)
    return rows, columns, max(shape[0] - rows * step, 0) // 2, max(shape[1] - columns * step, 0) // 2


def without_spikes(
    image: np.ndarray, usable: np.ndarray, pedestal: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Give single pixels that no light through the optics can have made the mean of their four neighbours.

    Cosmic rays, hot and dead pixels: one of them on a spot would stand for its peak, and the spot for its
    surroundings.

    Parameters
    ----------
    image : numpy.ndarray
        (rows, columns) float32.
    usable : numpy.ndarray
        (rows, columns) bool, False where a pixel says nothing.
    pedestal : float
        Value of no light.

    Returns
    -------
    tuple
        The image, a copy where anything was mended, and (n, 2) int32, rows and columns of what was.
    """
    from brightspot._kernels import background as kernels

    nothing = np.empty((0, 2), np.int32)
    if min(image.shape) < 5:
        return image, nothing
    light, noise = _pixel_noise(image, usable, pedestal)
    least = np.float32(SPIKE_LIGHT * _bright_surface(light)) if light.size else np.float32(0.0)
    lit = light > least
    if not least > 0.0 or not lit.any():
        return image, nothing
    noise_of_light = np.float32(SPIKE_SIGMA * 1.4826 * np.median(noise[lit] / np.sqrt(light[lit])))
    places = np.empty((int(MOST_SPIKES * image.size) + 1, 2), np.int32)
    n = kernels.find_spikes(
        image, usable, np.float32(pedestal), least, noise_of_light, np.float32(SPIKE_SHARE),
        np.float32(SPIKE_SPREAD), places,
    )  # fmt: skip
    if n in (0, len(places)):
        return image, nothing
    y, x = places[:n].T
    mended = image.copy()
    mended[y, x] = 0.25 * (image[y - 1, x] + image[y + 1, x] + image[y, x - 1] + image[y, x + 1])
    return mended, places[:n]


def _pixel_noise(image: np.ndarray, usable: np.ndarray, pedestal: float) -> tuple[np.ndarray, np.ndarray]:
    """Light of some pixels, and what is left of each where surfaces of third order are taken away, (n,).

    The pixels lie alike from all sides, so that a flipped image gives the same.
    """
    first, step = zip(*(_evenly(size) for size in image.shape), strict=True)

    def beside(dy: int, dx: int) -> np.ndarray:
        rows, columns = (
            slice(f + d, n - 1 + d, s) for f, d, n, s in zip(first, (dy, dx), image.shape, step, strict=True)
        )
        return image[rows, columns]

    # What is masked may be anything.
    with np.errstate(invalid="ignore", over="ignore"):
        four = beside(-1, 0) + beside(1, 0) + beside(0, -1) + beside(0, 1)
        corners = beside(-1, -1) + beside(-1, 1) + beside(1, -1) + beside(1, 1)
        rest = np.abs(4.0 * beside(0, 0) - 2.0 * four + corners) / 6.0
    good = usable[first[0] : -1 : step[0], first[1] : -1 : step[1]] & np.isfinite(rest)
    return beside(0, 0)[good] - np.float32(pedestal), rest[good]


def _evenly(size: int) -> tuple[int, int]:
    """First of the inner pixels, and a step of about seven that leaves as many at both ends."""
    step = next(s for s in (7, 8, 9, 6, 5, 3, 1) if (size - 3) % s % 2 == 0)
    return 1 + (size - 3) % step // 2, step


def _only_noise(image: np.ndarray, usable: np.ndarray, block_mean: np.ndarray) -> bool:
    """Whether an image is a field of noise: no block differs by more than averaged noise does."""
    rows, step = slice(None, None, max(len(image) // 64, 1)), max(image.shape[1] // 128, 1)
    one, other = (rows, slice(None, -1, step)), (rows, slice(1, None, step))
    both = usable[one] & usable[other]
    if not both.any():
        return False  # masked in rows or columns that this looks at
    pairs = image[other][both] - image[one][both]
    noise = 1.4826 * float(np.median(np.abs(pairs))) / np.sqrt(2.0)
    typical = float(np.median(block_mean))
    # Of 64 averaged pixels only signal stands out by as much as one pixel's noise; three may be cosmic rays.
    brightest = np.sort(block_mean, axis=None)[-4:].min()
    return float(brightest) - typical < noise and typical < 5.0 * noise


def _bright_surface(light: np.ndarray) -> float:
    """The bright surface's light, which nine tenths of what is lit do not reach; no sky counts."""
    bright = float(np.percentile(light, BRIGHT_PERCENTILE))
    # A few of the brightest may be cosmic rays.
    least = LIT_FRACTION * float(np.partition(light, -5)[-5]) if light.size > 5 else bright
    if least <= max(bright, 0.0):
        return bright
    return float(np.percentile(light[light > least], BRIGHT_PERCENTILE))


def _least_light(mean: np.ndarray, share: np.ndarray, disk: np.ndarray | None) -> np.ndarray:
    """Mesh of the light above which a pixel is lit, float32, from means and shares of all of its pixels."""
    measured = share > 0.25
    bright = _bright_surface(mean[measured])
    well_lit = measured & (disk > WELL_LIT) if disk is not None else np.zeros(mean.shape, bool)
    if disk is None or not well_lit.any():
        return np.full(mean.shape, LIT_FRACTION * bright, np.float32)
    # A share of the local light: a share of the whole frame's would drop half of the ground in twilight.
    here = LIT_SHARE * disk * np.median(mean[well_lit] / disk[well_lit])
    return np.fmax(here, FAINTEST_LIT * bright).astype(np.float32)


def estimate_background(
    image: np.ndarray,
    usable: np.ndarray,
    *,
    disk: np.ndarray | None = None,
    pedestal: float = 0.0,
    half_window: int = HALF_WINDOW,
    step: int = STEP,
) -> Background:
    """Local level and scatter of the lit surface.

    Parameters
    ----------
    image : numpy.ndarray
        (rows, columns) float32, linear in the light.
    usable : numpy.ndarray
        (rows, columns) bool, False where a pixel says nothing.
    disk : numpy.ndarray, optional
        Disk function at the block centres of `mesh_layout`; NaN off the body, 0 where unlit.
    pedestal : float
        Value of no light.
    half_window : int
        Half-width of the levelling window in blocks.
    step : int
        Width of a block in pixels.

    Returns
    -------
    Background

    Raises
    ------
    NothingLit
        If nothing in the image is lit.
    """
    from brightspot._kernels import background as kernels

    rows, columns, y0, x0 = mesh_layout(image.shape, step)
    layout = (step, y0, x0, rows, columns)
    pedestal32 = np.float32(pedestal)
    mean, share = kernels.block_means(image, usable, pedestal32, np.float32(0.0), *layout)
    bright = mean[share > 0.25]
    if bright.size == 0 or not np.any(bright > 0) or _only_noise(image, usable, bright):
        raise NothingLit(
            "nothing in the image is lit above its noise; give a frame that shows the sunlit surface"
        )
    floor = _least_light(mean, share, disk)
    above = np.empty(image.shape, bool)
    kernels.brighter(image, usable, floor + pedestal32, step, y0, x0, above)
    mean, share = kernels.block_means(image, above, pedestal32, np.float32(-np.inf), *layout)
    lit = share > 0.5
    value = mean.astype(np.float64)
    if disk is not None:
        on_disk = np.isfinite(disk) & (disk > 0.02)
        lit &= on_disk
        value = value / np.where(on_disk, disk, 1.0)
    weight = np.where(lit, share, 0.0).astype(np.float64)
    if not lit.any():
        raise NothingLit(
            "nothing in the image is lit above its noise; give a frame that shows the sunlit surface"
        )
    log_value = np.log(np.where(lit, value, 1.0))
    log_level, _ = kernels.robust_planes(log_value, weight, half_window, 5, 2.0, 2.5, 6.0)
    known = np.isfinite(log_level)
    flat = np.where(known, np.exp(np.where(known, log_level, 0.0)), np.nan)
    level = flat if disk is None else flat * np.where(on_disk, disk, np.nan)
    # Where the light is a tenth of the typical, relief is all there is to see.
    reference = float(np.median(flat[known & lit])) if (known & lit).any() else float("nan")
    level = np.where(level >= floor, level, np.nan).astype(np.float32)
    known = np.isfinite(level)
    brightest = np.percentile(level[known], BRIGHT_PERCENTILE) if known.any() else 1.0
    light = np.where(known, level / brightest, 0.0).astype(np.float32)
    inverse = np.where(known, 1.0 / level, 0.0).astype(np.float32)
    ratio = np.empty(image.shape, np.float32)
    smooth = np.empty(image.shape, np.float32)
    kernels.level_image(image, usable, pedestal32, inverse, step, y0, x0, ratio)
    kernels.smooth3(ratio, smooth)
    scatter = kernels.block_scatter(smooth, np.float32(0.5), *layout)
    seen = known & (scatter > 0)
    # The scatter of most blocks around, not of those with a spot in them.
    typical, _ = kernels.robust_planes(
        np.log(np.where(seen, scatter, 1.0)).astype(np.float64), seen.astype(np.float64), 3, 3, 1.5, 2.5, 3.0
    )
    rms = np.where(np.isfinite(typical), np.exp(typical), 1.0)
    rms = np.clip(rms, SCATTER_FLOOR, 1.0).astype(np.float32)
    pedestal = float(pedestal)
    return Background(ratio, smooth, usable, level, rms, light, disk, reference, pedestal, step, y0, x0)
