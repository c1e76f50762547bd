"""From light to counts and back: PSF, exposure, noise, bad pixels, cosmic rays, the 14-bit ceiling."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np

from brightspot.camera import ACTIVE_SHAPE
from brightspot.simulate.scene import Scene

RESPONSIVITY_DN_S = 4.6e4
"""DN per second for 1 W m-2 sr-1 in the clear filter. Invented: clear exposures become tens of ms."""

BAND_WIDTH_NM = {1: 1.0, 2: 43.0, 3: 44.0, 4: 45.0, 5: 85.0, 6: 36.0, 7: 42.0, 8: 40.0}
"""Width of each band in nm (IK ``dawn_fc_v10.ti``); 1 for the clear filter, whose radiance is in-band."""


@dataclass(frozen=True)
class Artefacts:
    """Where the detector put light that Ceres did not send: frame pixels and what it is.

    ``kind`` is ``"hot"``, ``"dead"``, ``"cosmic"``, ``"track"`` or ``"defect"``.
    """

    x: np.ndarray
    y: np.ndarray
    kind: np.ndarray


def responsivity(filter_number: int) -> float:
    """DN per second for one unit of the filter's radiance."""
    return RESPONSIVITY_DN_S * BAND_WIDTH_NM[filter_number]


def blur(image: np.ndarray, scene: Scene) -> np.ndarray:
    """The image through the optics: point-spread function (less the pixel itself), then motion."""
    from brightspot._kernels import detector as kernels

    image = np.ascontiguousarray(image, np.float32)
    # The pixel's own tent has a variance of 1/6.
    sigma2 = (scene.psf_fwhm_px / 2.3548) ** 2 - 1.0 / 6.0
    out = image
    if sigma2 > 0.0:
        out = kernels.convolve_rows_columns(image, _gaussian(math.sqrt(sigma2)))
    if scene.psf_wings > 0:
        wide = kernels.convolve_rows_columns(out, _gaussian(3.0))
        out = (1.0 - scene.psf_wings) * out + scene.psf_wings * wide
    dx, dy = scene.smear_px
    if math.hypot(dx, dy) > 0.05:
        out = kernels.smear(out, dx, dy, max(int(4 * math.hypot(dx, dy)), 3))
    return np.asarray(out, np.float32)


def _gaussian(sigma: float) -> np.ndarray:
    if sigma < 0.5:
        # Too narrow to sample: three weights of the same variance.
        return np.array([0.5 * sigma**2, 1.0 - sigma**2, 0.5 * sigma**2])
    half = max(int(4 * sigma + 1), 2)
    weights = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    return weights / weights.sum()


def expose(radiance: np.ndarray, scene: Scene, exposure_s: float) -> tuple[np.ndarray, Artefacts]:
    """Counts (uint16, bias included) of a radiance image in the filter's unit.

    Signal, shot noise, cosmic rays and hot pixels in electrons, bleeding, read noise, bias, 14 bits.
    """
    rng = np.random.default_rng([scene.seed, 23])
    gain = scene.electrons_per_dn
    electrons = radiance * np.float32(responsivity(scene.filter_number) * exposure_s * gain)
    artefacts: list[tuple[float, float, str]] = []
    if scene.noise:
        gain_map, bad = detector_defects(scene)
        if scene.defects:
            electrons *= gain_map
        # Poisson by its normal limit: from 20 electrons on the difference is below the read noise.
        electrons += rng.standard_normal(electrons.shape, np.float32) * np.sqrt(np.maximum(electrons, 0))
        if scene.defects:
            artefacts += bad
        artefacts += _add_hot(electrons, scene, rng)
        artefacts += _add_cosmic_rays(electrons, scene, rng)
    if scene.full_well_e is not None:
        from brightspot._kernels import detector as kernels

        kernels.bleed_columns(electrons, float(scene.full_well_e))
    if scene.noise:
        electrons += rng.standard_normal(electrons.shape, np.float32) * np.float32(scene.read_noise_e)
    counts = np.rint(electrons / np.float32(gain) + np.float32(scene.bias_dn))
    dn = np.clip(counts, 0, scene.ceiling_dn).astype(np.uint16)
    columns = list(zip(*artefacts, strict=True)) if artefacts else [(), (), ()]
    return dn, Artefacts(np.array(columns[0], float), np.array(columns[1], float), np.array(columns[2], "U8"))


def calibrate(dn: np.ndarray, scene: Scene, exposure_s: float) -> np.ndarray:
    """Radiance (float32) of counts: the inverse of `expose` without noise."""
    scale = 1.0 / (responsivity(scene.filter_number) * exposure_s)
    return (dn.astype(np.float32) - np.float32(scene.bias_dn)) * np.float32(scale)


def detector_defects(scene: Scene) -> tuple[np.ndarray, list[tuple[float, float, str]]]:
    """The camera's own sensitivity map and bad pixels, the same in every frame of that camera.

    Returns
    -------
    gain : numpy.ndarray
        float32 of the frame's shape.
    bad : list of (x, y, kind)
    """
    rng = np.random.default_rng([zlib.crc32(scene.camera.encode()), 31])
    gain = np.ones(ACTIVE_SHAPE, np.float32)
    rows, columns = ACTIVE_SHAPE
    bad: list[tuple[float, float, str]] = []
    for x, y in rng.integers(0, (columns, rows), (14, 2)):
        factor = rng.choice([0.0, 0.3, 0.6, 1.3])
        high, wide = rng.integers(1, 3, 2)
        gain[y : y + high, x : x + wide] *= factor
        bad.append((float(x) + 0.5 * (wide - 1), float(y) + 0.5 * (high - 1), "defect"))
    for x, y in rng.uniform(20, 1000, (6, 2)):
        # Shadows of dust on the window: faint, several pixels wide.
        yy, xx = np.mgrid[int(y) - 12 : int(y) + 13, int(x) - 12 : int(x) + 13]
        inside = (xx >= 0) & (yy >= 0) & (xx < columns) & (yy < rows)
        distance = np.hypot(xx - x, yy - y)
        dip = 1.0 - rng.uniform(0.01, 0.06) / (1.0 + np.exp((distance - rng.uniform(3, 8)) / 0.8))
        gain[yy[inside], xx[inside]] *= dip[inside]
    x0, y0 = int(scene.origin_xy[0]), int(scene.origin_xy[1])
    rows, columns = scene.shape
    window = np.ones(scene.shape, np.float32)
    part = gain[y0 : y0 + rows, x0 : x0 + columns]
    window[: part.shape[0], : part.shape[1]] = part
    bad = [
        (x - x0, y - y0, kind) for x, y, kind in bad if 0 <= x - x0 <= columns - 1 and 0 <= y - y0 <= rows - 1
    ]
    return window, bad


def _add_hot(electrons: np.ndarray, scene: Scene, rng: np.random.Generator) -> list[tuple[float, float, str]]:
    rows, columns = electrons.shape
    share = rows * columns / (ACTIVE_SHAPE[0] * ACTIVE_SHAPE[1])
    out: list[tuple[float, float, str]] = []
    for kind, mean in (("hot", scene.hot_pixels), ("dead", scene.dead_pixels)):
        for _ in range(rng.poisson(mean * share)):
            x, y = int(rng.integers(columns)), int(rng.integers(rows))
            if kind == "hot":
                electrons[y, x] += scene.electrons_per_dn * np.exp(rng.uniform(np.log(50), np.log(8000)))
            else:
                electrons[y, x] *= rng.uniform(0, 0.3)
            out.append((x, y, kind))
    return out


def _add_cosmic_rays(
    electrons: np.ndarray, scene: Scene, rng: np.random.Generator
) -> list[tuple[float, float, str]]:
    """Charged particles: single pixels, spots like a point source, short and long tracks."""
    rows, columns = electrons.shape
    share = rows * columns / (ACTIVE_SHAPE[0] * ACTIVE_SHAPE[1])
    out: list[tuple[float, float, str]] = []
    for _ in range(rng.poisson(scene.cosmic_rays * share)):
        x, y = rng.uniform(-0.5, columns - 0.5), rng.uniform(-0.5, rows - 0.5)
        charge = float(np.exp(rng.uniform(np.log(1e3), np.log(8e4))))
        form = rng.uniform()
        length = 0.0 if form < 0.65 else float(rng.exponential(5.0) + 1.0)
        spread = 0.05 if form < 0.4 or form >= 0.65 else rng.uniform(0.3, 0.7)
        angle = rng.uniform(0, 2 * np.pi)
        n = max(int(4 * length), 1)
        for t in (np.arange(n) + 0.5) / n - 0.5:
            along = t * length
            _deposit(electrons, x + along * np.cos(angle), y + along * np.sin(angle), charge / n**0.5, spread)
        out.append((x, y, "track" if length else "cosmic"))
    return out


def _deposit(electrons: np.ndarray, x: float, y: float, charge: float, spread: float) -> None:
    """Charge into pixels about (x, y): a Gaussian of the given spread, integrated over each pixel."""
    rows, columns = electrons.shape
    ix, iy = round(x), round(y)
    offsets = np.arange(-2, 3)
    root = spread * math.sqrt(2.0)

    def part(center: float, first: int) -> np.ndarray:
        edges = [math.erf((first + k - 0.5 - center) / root) for k in range(-2, 4)]
        return 0.5 * np.diff(edges)

    weights = part(y, iy)[:, None] * part(x, ix)[None, :]
    yy, xx = iy + offsets, ix + offsets
    rows_in, columns_in = (yy >= 0) & (yy < rows), (xx >= 0) & (xx < columns)
    electrons[np.ix_(yy[rows_in], xx[columns_in])] += (charge * weights[np.ix_(rows_in, columns_in)]).astype(
        np.float32
    )
