"""The ground of a scene: which craters, which relief, which albedo, on a grid laid under the picture."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from brightspot import ceres
from brightspot.simulate.features import (
    FLOOR_HEIGHT_KM,
    MOUNTAINS,
    NAMED_CRATERS,
    PITTED_CRATERS,
    SWELLS,
)
from brightspot.simulate.scene import CraterForm, Scene, Spot

CRATER_ANCHOR = (10.0, 0.08)
"""Cumulative density of random craters at crater_density 1: 0.08 / D^2 per km2 at D = 10 km; by eye."""

LARGEST_OCTAVE_KM = 120.0
LONGEST_WAVELENGTH_KM = 480.0
FLOOR_WAVELENGTH_KM = 40.0
"""Relief of shorter wavelength lies on top of craters, longer one under them."""

RELIEF_KM = 0.115
"""Amplitude of the octave of relief at a wavelength of 1 km; it grows with `Scene.roughness_slope`. By eye
and by the local contrast of real frames at 0.8 km per pixel."""

HIGHLANDS_KM = 80.0
"""Relief grows no further beyond this wavelength: Ceres' heights stay within about 7 km of the spheroid."""

SIMPLE_TO_COMPLEX_KM = 9.0
"""Where flat floors begin on Ceres (7.5-12 km, Hiesinger et al. 2016; recalled, unverified)."""

WEAR_LEVELS = 8
WEAR_WIDTH = 0.07
PROFILE_POINTS = 513

SWELL, MOUNTAIN, PITTED = 3 * WEAR_LEVELS, 3 * WEAR_LEVELS + 1, 3 * WEAR_LEVELS + 2


@dataclass(frozen=True)
class GroundGrid:
    """A Lambert azimuthal equal-area grid of directions from the body's centre.

    Attributes
    ----------
    frame : numpy.ndarray
        (3, 3): centre of the map, its x axis, its y axis, unit vectors in the body frame.
    grid : numpy.ndarray
        (3,): map position of cell (0, 0) and the cell's size, in radians.
    shape : tuple of int
        Rows and columns.
    pixel_km : float
        Finest ground size of a camera pixel in view.
    """

    frame: np.ndarray
    grid: np.ndarray
    shape: tuple[int, int]
    pixel_km: float

    @property
    def cell_km(self) -> float:
        """Size of a cell on a sphere of the mean radius."""
        return float(self.grid[2] * ceres.MEAN_RADIUS_KM)

    def position(self, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Grid coordinates of unit directions of shape (..., 3)."""
        mx, my = map_position(direction, self.frame)
        return (mx - self.grid[0]) / self.grid[2], (my - self.grid[1]) / self.grid[2]


@dataclass(frozen=True)
class Craters:
    """Craters in the order in which they fell; see ``_kernels.ground.add_craters`` for the columns."""

    names: np.ndarray
    centers: np.ndarray
    diameters_km: np.ndarray
    numbers: np.ndarray
    shapes: np.ndarray
    kinds: np.ndarray
    levels_km: np.ndarray


def direction(latitude_deg: np.ndarray | float, longitude_deg: np.ndarray | float) -> np.ndarray:
    """Unit vectors (..., 3) of planetocentric coordinates in degrees."""
    latitude, longitude = np.deg2rad(latitude_deg), np.deg2rad(longitude_deg)
    return np.stack(
        np.broadcast_arrays(
            np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)
        ),
        axis=-1,
    )


def map_position(unit: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Map coordinates (radians) of directions in the azimuthal equal-area map of ``frame``."""
    k = np.sqrt(2.0 / np.maximum(1.0 + unit @ frame[0], 1e-9))
    return k * (unit @ frame[1]), k * (unit @ frame[2])


def crater_depth_km(diameter_km: np.ndarray) -> np.ndarray:
    """Rim-to-floor depth in km of a fresh crater (0.18 D, flattening above the change to flat floors).

    Occator (92 km) comes out 4.4 km deep; slopes chosen by eye against real frames.
    """
    d = np.asarray(diameter_km, float)
    limit = SIMPLE_TO_COMPLEX_KM
    return np.where(d < limit, 0.18 * d, 0.18 * limit * (d / limit) ** 0.43)


def crater_profiles(form: CraterForm) -> tuple[np.ndarray, np.ndarray]:
    """Tables of height over depth against radius, and the weight with which a crater wipes out older ground.

    Rows: bowls, flat floors, flat floors with a peak, each from worn to fresh; a swell; a mountain;
    a flat floor with a central pit and dome.
    """
    from brightspot._kernels.ground import RELIEF_LIMIT

    rho = np.linspace(0.0, RELIEF_LIMIT, PROFILE_POINTS)
    rim, edge = form.rim_height, form.floor_radius
    out = rim * np.maximum(rho, 1.0) ** -3.2
    out = np.where(rho > 1, out * np.clip((RELIEF_LIMIT - rho) / 0.7, 0, 1) ** 2, out)
    bowl = np.where(rho < 1, rim - 1.0 + 0.12 * rho + 0.88 * rho**form.bowl_exponent, out)
    x = np.clip((rho - edge) / (1 - edge), 0, 1)
    wall = 0.38 * x + 0.62 * x**4 + 0.03 * np.sin(2 * np.pi * 3 * x) * (1 - x)
    flat = np.where(rho < 1, rim - 1.0 + wall - 0.03 * (1 - x) * (1 - rho / edge) * (rho < edge), out)
    peak = flat + 0.3 * np.maximum(1 - rho / 0.2, 0) ** 1.3 + 0.05 * np.exp(-((rho / 0.25) ** 2))
    pit = flat - 0.15 * np.clip((0.125 - rho) / 0.05, 0, 1) + 0.1 * np.maximum(1 - rho / 0.04, 0)
    rows = [
        _smoothed(base, (0.012 + WEAR_WIDTH * (1.0 - level / (WEAR_LEVELS - 1)) ** 1.3) / rho[1])
        for base in (bowl, flat, peak)
        for level in range(WEAR_LEVELS)
    ]
    swell = np.clip((1.25 - rho) / 0.5, 0, 1)
    rows.append(swell * swell * (3 - 2 * swell))
    rows.append(np.clip((1.0 - rho) / 0.75, 0, 1) ** 0.8)
    rows.append(_smoothed(pit, 0.01 / rho[1]))
    erase = np.clip((1.3 - rho) / 0.4, 0, 1)
    erase = erase * erase * (3 - 2 * erase)
    return np.array(rows, np.float32), erase.astype(np.float32)


def _smoothed(profile: np.ndarray, sigma: float) -> np.ndarray:
    """A radial profile worn by a Gaussian of ``sigma`` points, mirrored at the centre."""
    from scipy.ndimage import gaussian_filter1d

    mirrored = np.concatenate([profile[:0:-1], profile])
    return gaussian_filter1d(mirrored, sigma)[profile.size - 1 :]


def build_surface(scene: Scene, ground: GroundGrid) -> tuple[np.ndarray, np.ndarray, Craters]:
    """Heights (km), relative albedo without spots, and the craters of a scene.

    Returns
    -------
    height, albedo : numpy.ndarray
        float32 (rows, columns) of the ground grid.
    craters : Craters
    """
    from brightspot._kernels import ground as kernels

    seed = scene.seed if scene.surface_seed is None else scene.surface_seed
    albedo = _mottling(scene, ground, seed)
    if not scene.relief_spheroid:
        return np.zeros(ground.shape, np.float32), albedo, _no_craters()
    height = _relief(scene, ground, seed, coarse=True)
    craters = _craters(scene, ground, seed)
    profiles, erase = crater_profiles(scene.crater_form)
    kernels.add_craters(
        height, albedo, ground.frame, ground.grid, BODY_KM, craters.centers, craters.numbers,
        craters.shapes, craters.kinds, craters.levels_km, profiles, erase,
    )  # fmt: skip
    # Small relief lies on crater floors too.
    height += _relief(scene, ground, seed, coarse=False)
    return height, albedo, craters


BODY_KM = np.array([ceres.RADII_KM[0], ceres.RADII_KM[2]])


def _relief(scene: Scene, ground: GroundGrid, seed: int, *, coarse: bool) -> np.ndarray:
    """Fractal relief in km, above or below `FLOOR_WAVELENGTH_KM`."""
    lengths = LONGEST_WAVELENGTH_KM * 0.5 ** np.arange(24)
    amplitudes = (
        RELIEF_KM * np.minimum(lengths, HIGHLANDS_KM) ** scene.roughness_slope * scene.relief_strength
    )
    if not coarse:
        amplitudes *= scene.roughness
    wanted = (lengths > FLOOR_WAVELENGTH_KM) == coarse
    return _noise(ground, seed + 2, lengths, np.where(wanted, amplitudes, 0.0), 3.5)


def _mottling(scene: Scene, ground: GroundGrid, seed: int) -> np.ndarray:
    """Albedo relative to the mean, without spots and ejecta."""
    lengths = LONGEST_WAVELENGTH_KM * 0.5 ** np.arange(24)
    amplitudes = np.maximum(lengths / LONGEST_WAVELENGTH_KM, 1e-3) ** scene.mottling_slope
    # Unit noise has a standard deviation of 0.28; the sum's shall be the scene's mottling.
    amplitudes *= scene.mottling / (0.28 * np.sqrt(np.sum(amplitudes[:12] ** 2)))
    return np.exp(_noise(ground, seed + 1, lengths, amplitudes, 6.0))


def _noise(
    ground: GroundGrid, seed: int, lengths: np.ndarray, amplitudes: np.ndarray, finest: float
) -> np.ndarray:
    """Sum of noise octaves on the ground grid, down to wavelengths of ``finest`` cells; float32."""
    from brightspot._kernels import ground as kernels

    rng = np.random.default_rng([seed, 11])
    turns = np.linalg.qr(rng.normal(size=(lengths.size, 3, 3)))[0]
    codes = rng.integers(0, 2**62, lengths.size)
    use = (lengths > finest * ground.cell_km) & (amplitudes > 0)
    if not use.any():
        return np.zeros(ground.shape, np.float32)
    lengths, amplitudes = lengths[use], amplitudes[use]
    levels = np.maximum(np.floor(np.log2(lengths / (3.5 * ground.cell_km))), 0).astype(np.int64)
    levels = np.minimum(levels, max(int(np.log2(min(ground.shape))) - 2, 0))
    return kernels.noise_field(
        *ground.shape, ground.frame, ground.grid, np.ascontiguousarray(turns[use]),
        ceres.MEAN_RADIUS_KM / lengths, amplitudes, codes[use].astype(np.uint64), levels,
    )  # fmt: skip


def _no_craters() -> Craters:
    empty = np.zeros(0)
    kinds = np.zeros(0, np.int64)
    return Craters(
        np.zeros(0, "U1"), np.zeros((0, 3)), empty, np.zeros((0, 6)), np.zeros((0, 8)), kinds, empty
    )


def _craters(scene: Scene, ground: GroundGrid, seed: int) -> Craters:
    """Random and named craters that touch the grid, oldest first."""
    drawn = [_draw_octave(scene, ground, seed, k) for k in range(24)]
    table = np.concatenate([d for d in drawn if d.size] or [np.zeros((0, 6))])
    named = len(NAMED_CRATERS) if scene.named_craters else 0
    n = named + len(table)
    names = np.full(n, "", "U20")
    centers, diameters, code = np.empty((n, 3)), np.empty(n), np.empty(n)
    freshness, age = np.empty(n), np.empty(n)
    levels = np.full(n, np.nan)
    for k, (name, latitude, longitude, diameter, fresh) in enumerate(NAMED_CRATERS[:named]):
        names[k], centers[k], diameters[k] = name, direction(latitude, longitude), diameter
        code[k] = (0.137 + 0.61803398875 * k) % 1.0
        freshness[k] = fresh or 0.2 + 0.45 * ((code[k] * 91.7) % 1.0)
        levels[k] = FLOOR_HEIGHT_KM.get(name, np.nan)
        age[k] = 0.72 * freshness[k] if diameter < 150 else 0.05
    centers[named:], diameters[named:], code[named:] = table[:, :3], table[:, 3], table[:, 5]
    pick = (code[named:] * 7919.37) % 1.0
    wear = (code[named:] * 104.729 * 1299.7) % 1.0
    young = pick < scene.fresh_fraction
    freshness[named:] = np.where(young, 0.8 + 0.2 * wear, 0.12 + 0.6 * wear)
    age[named:] = 0.55 * table[:, 4] + 0.45 * freshness[named:]
    order = np.argsort(age, kind="stable")
    numbers, shapes, kinds = _crater_numbers(scene, diameters, freshness, code, names)
    swells = _swells(scene)
    pick_order = [np.asarray(a)[order] for a in (names, centers, diameters, numbers, shapes, kinds, levels)]
    mountains = len(SWELLS) if scene.named_craters else 0
    if not scene.named_craters:
        return Craters(*pick_order)
    # Swells under everything, mountains on top of it.
    joined = [
        np.concatenate([s[:mountains], p, s[mountains:]]) for s, p in zip(swells, pick_order, strict=True)
    ]
    return Craters(*joined)


def _crater_numbers(
    scene: Scene, diameters: np.ndarray, freshness: np.ndarray, code: np.ndarray, names: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kernel columns of craters from size, freshness and their own random number."""
    n = diameters.size
    numbers = np.zeros((n, 6))
    numbers[:, 0] = 0.5 * diameters
    numbers[:, 1] = crater_depth_km(diameters) * (0.25 + 0.75 * freshness) * scene.relief_strength
    numbers[:, 2] = 0.95
    young = freshness >= 0.8
    chance = (code * 523.77) % 1.0
    low, high = scene.halo_contrast
    halo = low + (high - low) * ((code * 3571.9) % 1.0) - 1.0
    # Occator-sized craters' ejecta are mixed; the brightest ones surround small fresh craters.
    halo = halo * np.clip(35.0 / diameters, 0.2, 1.0)
    haloed = (chance < scene.halo_fraction) | ((names != "") & (freshness > 0.9))
    numbers[:, 3] = np.where(young & haloed, halo, 0.0)
    # Bright ejecta and streaks together would make a spot out of a decoy.
    numbers[:, 4] = np.where(young & ~haloed, scene.wall_streaks * (0.4 + 0.6 * chance), 0.0)
    numbers[:, 5] = code
    phases = 2 * np.pi * ((code[:, None] * np.array([13.7, 29.3, 71.9, 163.1])) % 1.0)
    complex_ = diameters > SIMPLE_TO_COMPLEX_KM * (0.8 + 0.4 * chance)
    strength = np.where(complex_, 1.0, 0.7)[:, None] * np.array([0.03, 0.022, 0.02, 0.018])
    strength = strength * (0.4 + 1.2 * ((code[:, None] * np.array([17.3, 47.1, 83.9, 211.3])) % 1.0))
    shapes = np.empty((n, 8))
    shapes[:, 0::2] = strength * np.cos(phases)
    shapes[:, 1::2] = strength * np.sin(phases)
    level = np.clip(np.round(freshness * (WEAR_LEVELS - 1)), 0, WEAR_LEVELS - 1).astype(np.int64)
    peaked = complex_ & (diameters > 18) & (((code * 877.3) % 1.0) < 0.6) & scene.central_peaks
    kinds = level + np.where(peaked, 2, np.where(complex_, 1, 0)) * WEAR_LEVELS
    kinds[np.isin(names, PITTED_CRATERS)] = PITTED
    hill = ((code * 6151.3) % 1.0 < scene.hill_fraction) & (names == "")
    kinds[hill] = np.where((code[hill] * 211.7) % 1.0 < 0.5, SWELL, MOUNTAIN)
    numbers[hill, 1] *= np.where((code[hill] * 3907.1) % 1.0 < 0.5, 1.0, -1.0)
    numbers[hill, 2:5] = 0.0
    return numbers, shapes, kinds


def _swells(scene: Scene) -> tuple[np.ndarray, ...]:
    """Swells, then mountains, as kernel columns."""
    table = SWELLS + MOUNTAINS
    n = len(table)
    numbers = np.zeros((n, 6))
    numbers[:, 0] = [0.5 * t[3] for t in table]
    numbers[:, 1] = [t[4] * scene.relief_strength for t in table]
    numbers[:, 5] = 0.5
    kinds = np.array([SWELL] * len(SWELLS) + [MOUNTAIN] * len(MOUNTAINS), np.int64)
    centers = np.array([direction(t[1], t[2]) for t in table])
    diameters = 2 * numbers[:, 0]
    shapes = np.tile(np.array([0.04, 0.02, 0.03, 0.0, 0.02, 0.01, 0.0, 0.02]), (n, 1))
    names = np.array([t[0] for t in table], "U20")
    return names, centers, diameters, numbers, shapes, kinds, np.full(n, np.nan)


def _draw_octave(scene: Scene, ground: GroundGrid, seed: int, k: int) -> np.ndarray:
    """Random craters with diameters in octave ``k`` below `LARGEST_OCTAVE_KM` that may touch the grid."""
    from brightspot._kernels import ground as kernels

    largest = LARGEST_OCTAVE_KM * 0.5**k
    smallest = 0.5 * largest
    least = scene.min_crater_px * ground.pixel_km
    if largest <= least or smallest >= scene.max_crater_km:
        return np.zeros((0, 6))
    slope = scene.crater_slope
    size, density = CRATER_ANCHOR
    density = density * scene.crater_density / size**2
    density *= (smallest / size) ** -slope - (largest / size) ** -slope
    face_km2 = 4 * np.pi * ceres.MEAN_RADIUS_KM**2 / 6
    n_cells = max(1, int(np.sqrt(face_km2 * density / 150)))
    middle = np.tan(0.25 * np.pi * (2 * (np.arange(n_cells) + 0.5) / n_cells - 1))
    a, b = middle[:, None], middle[None, :]
    solid = (0.5 * np.pi / n_cells) ** 2 * (1 + a * a) * (1 + b * b) / (1 + a * a + b * b) ** 1.5
    r = 1 / np.sqrt(1 + a * a + b * b)
    a, b = np.broadcast_arrays(a * r, b * r)
    reach = (0.75 * np.pi / n_cells + 3.2 * largest / ceres.MEAN_RADIUS_KM) * 1.6 / ground.grid[2]
    rows, columns = ground.shape
    chosen = []
    for face in range(6):
        s = r if face & 1 else -r
        axes = ((s, a, b), (b, s, a), (a, b, s))[face >> 1]
        unit = np.stack(axes, axis=-1)
        gx, gy = ground.position(unit)
        near = (gx > -reach) & (gx < columns + reach) & (gy > -reach) & (gy < rows + reach)
        near &= unit @ ground.frame[0] > -0.5 - 0.75 * np.pi / n_cells
        i, j = np.nonzero(near)
        chosen.append(np.stack([np.full(i.size, face), i, j], axis=-1))
    cells = np.concatenate(chosen)
    expected = density * ceres.MEAN_RADIUS_KM**2 * solid[cells[:, 1], cells[:, 2]]
    drawn = kernels.draw_craters(
        cells[:, 0].copy(), cells[:, 1].copy(), cells[:, 2].copy(), n_cells, expected,
        smallest, slope, np.uint64((seed * 1_000_003 + k) & 0x7FFFFFFFFFFFFFFF),
    )  # fmt: skip
    return drawn[(drawn[:, 3] >= least) & (drawn[:, 3] <= scene.max_crater_km)]


def paint_spots(albedo: np.ndarray, ground: GroundGrid, spots: list[Spot], seed: int) -> np.ndarray:
    """Multiply spots into the albedo grid.

    A named spot has the same outline in every view; those of the others follow from ``seed``. Ragged
    spots are shifted so that the centroid of their excess lies on the spot's coordinates.

    Returns
    -------
    numpy.ndarray
        (n,) excess x area in km2, exact.
    """
    from brightspot._kernels import spots as kernels

    if not spots:
        return np.zeros(0)
    codes = [
        zlib.crc32(s.name.encode()) if s.kind == "named" else seed * 7919 + k for k, s in enumerate(spots)
    ]
    numbers = np.array(
        [
            [s.diameter_km / 2, s.contrast - 1, s.core_diameter_km / 2, s.core_contrast - 1, s.edge_width,
             s.raggedness, code % 2**31]
            for s, code in zip(spots, codes, strict=True)
        ]
    )  # fmt: skip
    phases = np.array([np.random.default_rng([code, 17]).uniform(0, 2 * np.pi, 4) for code in codes])
    strength = np.array([0.12, 0.08, 0.07, 0.05]) * numbers[:, 5:6]
    shapes = np.empty((len(spots), 8))
    shapes[:, 0::2] = strength * np.cos(phases)
    shapes[:, 1::2] = strength * np.sin(phases)
    # Harmonics add area (half their power): shrink so that the disc of equal area keeps its diameter.
    numbers[:, 0] /= np.sqrt(1 + 0.5 * np.sum(strength**2, axis=1))
    moments = kernels.spot_moments(numbers, shapes)
    latitude = np.array([s.latitude_deg for s in spots])
    longitude = np.array([s.longitude_deg for s in spots])
    radius = 1.0 / np.linalg.norm(direction(latitude, longitude) / np.asarray(ceres.RADII_KM), axis=1)
    # Tangent-plane steps east and north, so that poles are no trouble.
    up = direction(latitude, longitude)
    east = np.stack([-np.sin(np.deg2rad(longitude)), np.cos(np.deg2rad(longitude)), 0 * longitude], axis=1)
    north = np.cross(up, east)
    centers = up - (moments[:, 1:2] * east + moments[:, 2:3] * north) / radius[:, None]
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    kernels.add_spots(albedo, ground.frame, ground.grid, BODY_KM, centers, numbers, shapes)
    return moments[:, 0]
