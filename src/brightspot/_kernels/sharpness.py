"""Is a peak as wide as light through the optics must be?"""

from __future__ import annotations

import numpy as np
from numba import njit

_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}


@njit(**_OPTIONS)
def _neighbours(ratio, sign, y, x):
    """Mean of the four and of the eight neighbours of a pixel, and the highest of the four."""
    ny, nx = ratio.shape
    cross, ring8, second = 0.0, 0.0, -np.inf
    m4, m8 = 0, 0
    for v in range(max(y - 1, 0), min(y + 2, ny)):
        for u in range(max(x - 1, 0), min(x + 2, nx)):
            if v == y and u == x:
                continue
            value = sign * ratio[v, u]
            ring8 += value
            m8 += 1
            if v == y or u == x:
                cross += value
                m4 += 1
                second = max(second, value)
    return cross / max(m4, 1), ring8 / max(m8, 1), second


@njit(**_OPTIONS)
def sharpness_at(ratio, sign, py, px):
    """Mean of the four neighbours, highest of them and mean of the eight, over the peak pixel; unsmoothed.

    Of several highest pixels (a saturated plateau) the one with the highest neighbours counts.
    """
    ny, nx = ratio.shape
    y0, y1, x0, x1 = max(py - 1, 0), min(py + 2, ny), max(px - 1, 0), min(px + 2, nx)
    top = -np.inf
    for y in range(y0, y1):
        for x in range(x0, x1):
            top = max(top, sign * ratio[y, x])
    best = (-np.inf, -np.inf, -np.inf)
    for y in range(y0, y1):
        for x in range(x0, x1):
            if sign * ratio[y, x] == top:
                here = _neighbours(ratio, sign, y, x)
                best = here if here > best else best
    if not top > 0.0:
        return 0.0, 0.0, 0.0
    cross, ring8, second = best
    return cross / top, second / top, ring8 / top


@njit(**_OPTIONS)
def narrowness(ratio, sign, peak_yx, texture, out):
    """How much of a peak is left one pixel to both sides of it, along the rows or the columns; unsmoothed.

    The highest of nine pixels around ``peak_yx`` (n, 2), and the higher one of its neighbours, both above the
    lower of what lies two pixels away, which is less than half of it: else the peak is noise on a plateau.
    ``texture`` (n,), the local scatter, is granted. The smaller of both directions goes to ``out`` (n,),
    infinity for neither: no light through the optics makes it less than the PSF leaves.
    """
    ny, nx = ratio.shape
    for o in range(peak_yx.shape[0]):
        out[o] = np.inf
        y, x = peak_yx[o, 0], peak_yx[o, 1]
        top = -np.inf
        for v in range(max(peak_yx[o, 0] - 1, 2), min(peak_yx[o, 0] + 2, ny - 2)):
            for u in range(max(peak_yx[o, 1] - 1, 2), min(peak_yx[o, 1] + 2, nx - 2)):
                if sign * ratio[v, u] > top:
                    top, y, x = sign * ratio[v, u], v, u
        if top == -np.inf:
            continue
        for dy, dx in ((0, 1), (1, 0)):
            beside = max(sign * ratio[y - dy, x - dx], sign * ratio[y + dy, x + dx])
            ground = min(sign * ratio[y - 2 * dy, x - 2 * dx], sign * ratio[y + 2 * dy, x + 2 * dx])
            if ground < 0.5 * top:
                out[o] = min(out[o], (beside - ground + texture[o]) / (top - ground))
