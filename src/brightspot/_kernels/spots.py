"""Compiled loops that paint bright and dark spots on the ground grid of ``_kernels.ground``."""

from __future__ import annotations

import numpy as np
from numba import njit

from brightspot._kernels.ground import _angle_noise, _map_patch, _radius, _wobble


@njit(cache=True, nogil=True, error_model="numpy")
def _spot_excess(u, v, numbers, shape):
    """Excess albedo (contrast - 1) at (east, north) radii from a spot's centre; see ``add_spots``."""
    d = np.sqrt(u * u + v * v)
    c1, s1 = (u / d, v / d) if d > 1e-9 else (1.0, 0.0)
    rho = d / (1.0 + _wobble(c1, s1, shape))
    edge = 0.5 + (1.0 - rho) / max(numbers[4], 1e-6)
    if edge <= 0.0:
        return 0.0
    edge = min(edge, 1.0)
    ragged = numbers[5]
    if ragged > 0.0:
        seed = np.uint64(int(numbers[6]))
        bite = _angle_noise(u * 3.5 + 60.0, v * 3.5, seed)
        bite += 0.6 * _angle_noise(u * 9.0 + 90.0, v * 9.0, seed)
        edge *= max(1.0 + ragged * 1.3 * bite, 0.0)
    out = edge * numbers[1]
    core = numbers[2] / numbers[0]
    if core > 0.0 and d < core * 1.25:
        out += max(min(0.5 + (core - d) / (0.5 * core), 1.0), 0.0) * (numbers[3] - numbers[1])
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def spot_moments(numbers, shapes, n=256):
    """Excess x area (km2) of spots and how far east and north of their centres it lies (km); (n_spots, 3)."""
    out = np.zeros((numbers.shape[0], 3))
    for k in range(numbers.shape[0]):
        radius = numbers[k, 0]
        reach = 1.7 + numbers[k, 4]
        for j in range(n):
            v = reach * (2.0 * (j + 0.5) / n - 1.0)
            for i in range(n):
                u = reach * (2.0 * (i + 0.5) / n - 1.0)
                value = _spot_excess(u, v, numbers[k], shapes[k])
                out[k, 0] += value
                out[k, 1] += value * u
                out[k, 2] += value * v
        if out[k, 0] != 0.0:
            out[k, 1] *= radius / out[k, 0]
            out[k, 2] *= radius / out[k, 0]
        out[k, 0] *= (2.0 * reach * radius / n) ** 2
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def add_spots(albedo, frame, grid, body, centers, numbers, shapes):
    """Paint spots: albedo times 1 + excess, edges weighed to a fraction of a cell.

    Parameters
    ----------
    albedo : float32 (rows, columns)
        Changed in place.
    centers : float64 (n, 3)
        Unit directions.
    numbers : float64 (n, 7)
        Radius km; contrast - 1; core radius km (0: none); the core's contrast - 1;
        softness of the edge in radii; raggedness inside (0 to 1); seed of the pattern.
    shapes : float64 (n, 8)
        Harmonics of the outline.
    """
    rows, columns = albedo.shape
    inverse = np.empty((2, 2))
    for k in range(centers.shape[0]):
        cx, cy, cz = centers[k, 0], centers[k, 1], centers[k, 2]
        up = cx * frame[0, 0] + cy * frame[0, 1] + cz * frame[0, 2]
        if up < -0.5:
            continue
        angular = numbers[k, 0] / _radius(cz, body)
        g0x, g0y = _map_patch(cx, cy, cz, frame, grid, inverse)
        half = (1.7 + numbers[k, 4]) * angular / grid[2] / np.sqrt(0.5 + 0.5 * up) + 2.0
        i0, i1 = max(int(g0x - half), 0), min(int(g0x + half) + 2, columns)
        j0, j1 = max(int(g0y - half), 0), min(int(g0y + half) + 2, rows)
        # Small spots' cover is weighed by a tent two cells wide: sampling between cells keeps their light.
        cells_across = 2.0 * angular / grid[2]
        span = 2.0 if cells_across < 12.0 else 1.0
        n = int(min(max(64.0 / max(cells_across, 1e-3), 3.0), 16.0))
        if cells_across > 60.0:
            n = 2
        for j in range(j0, j1):
            for i in range(i0, i1):
                total = 0.0
                weights = 0.0
                for sj in range(n):
                    dy = span * ((sj + 0.5) / n - 0.5)
                    y = j - g0y + dy
                    for si in range(n):
                        dx = span * ((si + 0.5) / n - 0.5)
                        x = i - g0x + dx
                        weight = (1.0 - abs(dx)) * (1.0 - abs(dy)) if span > 1.0 else 1.0
                        u = (inverse[0, 0] * x + inverse[0, 1] * y) / angular
                        v = (inverse[1, 0] * x + inverse[1, 1] * y) / angular
                        total += weight * _spot_excess(u, v, numbers[k], shapes[k])
                        weights += weight
                if total != 0.0:
                    albedo[j, i] *= max(1.0 + total / weights, 0.05)
