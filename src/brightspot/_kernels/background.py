"""Local level and scatter of the lit surface, on a mesh of blocks."""

from __future__ import annotations

import numpy as np
from numba import njit

_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}


@njit(**_OPTIONS)
def block_means(image, usable, pedestal, floor, step, y0, x0, rows, columns):
    """Mean of the usable pixels above ``floor`` in each block, and their share of the block.

    ``image`` (ny, nx) float32; ``usable`` (ny, nx) bool; blocks are ``step`` px wide, the first
    starts at (y0, x0). Returns two (rows, columns) float32 arrays.
    """
    mean = np.zeros((rows, columns), np.float32)
    share = np.zeros((rows, columns), np.float32)
    ny, nx = image.shape
    zero, one = np.float32(0.0), np.float32(1.0)
    # Down the columns first: that loop runs along memory without branches.
    sums = np.empty(nx, np.float32)
    counts = np.empty(nx, np.float32)
    for j in range(rows):
        sums[:] = zero
        counts[:] = zero
        for y in range(y0 + j * step, min(y0 + (j + 1) * step, ny)):
            for x in range(nx):
                value = image[y, x] - pedestal
                good = usable[y, x] and value > floor
                sums[x] += value if good else zero
                counts[x] += one if good else zero
        for i in range(columns):
            total, count = zero, zero
            for x in range(x0 + i * step, min(x0 + (i + 1) * step, nx)):
                total += sums[x]
                count += counts[x]
            if count > zero:
                mean[j, i] = total / count
                share[j, i] = count / np.float32(step * step)
    return mean, share


@njit(**_OPTIONS)
def brighter(image, usable, floor, step, y0, x0, out):
    """Which usable pixels are above their block's ``floor`` (rows, columns) float32; fills ``out`` (bool).

    Pixels beside the mesh take the floor of the nearest block.
    """
    ny, nx = image.shape
    rows, columns = floor.shape
    column, limits = np.empty(nx, np.int64), np.empty(nx, np.float32)
    for x in range(nx):
        column[x] = min(max((x - x0) // step, 0), columns - 1)
    for j in range(rows):
        for x in range(nx):
            limits[x] = floor[j, column[x]]
        for y in range(y0 + j * step if j else 0, y0 + (j + 1) * step if j + 1 < rows else ny):
            for x in range(nx):
                out[y, x] = usable[y, x] and image[y, x] > limits[x]


@njit(**_OPTIONS)
def _running_sums(value, weight, table):
    """Summed-area tables of the nine moments a weighted plane needs: (rows + 1, columns + 1, 9)."""
    rows, columns = value.shape
    line = np.zeros(9)
    for j in range(rows):
        line[:] = 0.0
        for i in range(columns):
            w = weight[j, i]
            if w > 0.0:
                v = value[j, i]
                line[0] += w
                line[1] += w * i
                line[2] += w * j
                line[3] += w * i * i
                line[4] += w * i * j
                line[5] += w * j * j
                line[6] += w * v
                line[7] += w * v * i
                line[8] += w * v * j
            for m in range(9):
                table[j + 1, i + 1, m] = table[j, i + 1, m] + line[m]


@njit(**_OPTIONS)
def _window(table, j0, j1, i0, i1, out):
    for m in range(out.size):
        out[m] = table[j1, i1, m] - table[j0, i1, m] - table[j1, i0, m] + table[j0, i0, m]


@njit(**_OPTIONS)
def _plane_at(m, ci, cj, slope_weight):
    """Value at (ci, cj) of the plane whose moments are ``m``; flat where the slope is not determined."""
    share = 1.0 / m[0]
    mi, mj, mv = m[1] * share, m[2] * share, m[6] * share
    sii = m[3] * share - mi * mi
    sij = m[4] * share - mi * mj
    sjj = m[5] * share - mj * mj
    siv = m[7] * share - mi * mv
    sjv = m[8] * share - mj * mv
    # A ridge of a third of a block keeps thin strips (one row of blocks) from swinging.
    sii += slope_weight
    sjj += slope_weight
    share = 1.0 / (sii * sjj - sij * sij)
    a = (siv * sjj - sjv * sij) * share
    b = (sjv * sii - siv * sij) * share
    return mv + a * (ci - mi) + b * (cj - mj)


@njit(**_OPTIONS)
def robust_planes(value, weight, half, rounds, clip_high, clip_low, min_weight):
    """Level of each block from a plane fitted to its neighbourhood, outliers left out.

    Parameters: ``value`` (rows, columns) float64, logarithm of the block means; ``weight`` the
    share of each block that counts, 0 = none; ``half`` half-width of the window in blocks;
    ``clip_high`` and ``clip_low`` in units of the local scatter of the blocks; ``min_weight``
    blocks needed in a window. Returns the level (float64, NaN where too little is lit), and the
    scatter of the blocks about it.
    """
    rows, columns = value.shape
    level = np.full((rows, columns), np.nan)
    scatter = np.full((rows, columns), np.nan)
    table = np.zeros((rows + 1, columns + 1, 9))
    square = np.zeros((rows + 1, columns + 1))
    count = np.zeros((rows + 1, columns + 1))
    keep = weight.copy()
    m = np.empty(9)
    for turn in range(rounds):
        _running_sums(value, keep, table)
        for j in range(rows):
            for i in range(columns):
                _window(
                    table,
                    max(j - half, 0),
                    min(j + half + 1, rows),
                    max(i - half, 0),
                    min(i + half + 1, columns),
                    m,
                )
                if m[0] < min_weight:
                    level[j, i] = np.nan
                else:
                    level[j, i] = _plane_at(m, i, j, 0.1)
        for j in range(rows):
            line_square, line_count = 0.0, 0.0
            for i in range(columns):
                if keep[j, i] > 0.0 and level[j, i] == level[j, i]:
                    d = value[j, i] - level[j, i]
                    line_square += keep[j, i] * d * d
                    line_count += keep[j, i]
                square[j + 1, i + 1] = square[j, i + 1] + line_square
                count[j + 1, i + 1] = count[j, i + 1] + line_count
        for j in range(rows):
            for i in range(columns):
                j0, j1 = max(j - half, 0), min(j + half + 1, rows)
                i0, i1 = max(i - half, 0), min(i + half + 1, columns)
                n = count[j1, i1] - count[j0, i1] - count[j1, i0] + count[j0, i0]
                q = square[j1, i1] - square[j0, i1] - square[j1, i0] + square[j0, i0]
                scatter[j, i] = np.sqrt(max(q, 0.0) / n) if n > 0.0 else np.nan
        if turn + 1 < rounds:
            for j in range(rows):
                for i in range(columns):
                    d = value[j, i] - level[j, i]
                    s = max(scatter[j, i], 0.01)
                    if weight[j, i] > 0.0 and level[j, i] == level[j, i]:
                        keep[j, i] = weight[j, i] if -clip_low * s < d < clip_high * s else 0.0
    return level, scatter


@njit(**_OPTIONS)
def _across(inverse_level, j, left, share, line, weight):
    """Mesh row ``j`` along the pixels of a line, and the weight of the blocks there that have a level."""
    columns = inverse_level.shape[1]
    zero, one = np.float32(0.0), np.float32(1.0)
    for x in range(line.size):
        i = left[x]
        a, b = inverse_level[j, i], inverse_level[j, min(i + 1, columns - 1)]
        wa = one - share[x] if a > zero else zero
        wb = share[x] if b > zero else zero
        line[x] = wa * a + wb * b
        weight[x] = wa + wb


@njit(**_OPTIONS)
def level_image(image, usable, pedestal, inverse_level, step, y0, x0, ratio):
    """Write ``image / level - 1`` into ``ratio``; 0 where a pixel or its level is not usable.

    ``inverse_level`` (rows, columns) float32 holds 1 / level at the block centres, 0 = no level;
    in between it is interpolated bilinearly, outside held. The lit edge runs through blocks: those without a
    level have no weight.
    """
    ny, nx = image.shape
    rows, columns = inverse_level.shape
    left = np.empty(nx, np.int32)
    share = np.empty(nx, np.float32)
    half = np.float32(0.5 * (step - 1))
    zero, one = np.float32(0.0), np.float32(1.0)
    for x in range(nx):
        t = (np.float32(x - x0) - half) / np.float32(step)
        t = min(max(t, zero), np.float32(columns - 1))
        k = min(np.int32(t), max(columns - 2, 0))
        left[x] = k
        share[x] = t - np.float32(k)
    above, below = np.empty(nx, np.float32), np.empty(nx, np.float32)
    above_weight, below_weight = np.empty(nx, np.float32), np.empty(nx, np.float32)
    held = -1
    for y in range(ny):
        t = (np.float32(y - y0) - half) / np.float32(step)
        t = min(max(t, zero), np.float32(rows - 1))
        j = min(np.int32(t), max(rows - 2, 0))
        if j != held:
            held = j
            _across(inverse_level, j, left, share, above, above_weight)
            _across(inverse_level, min(j + 1, rows - 1), left, share, below, below_weight)
        f = t - np.float32(j)
        source, good, out = image[y], usable[y], ratio[y]
        for x in range(nx):
            weight = above_weight[x] + f * (below_weight[x] - above_weight[x])
            inverse = (above[x] + f * (below[x] - above[x])) / weight
            v = (source[x] - pedestal) * inverse - one
            out[x] = v if good[x] and weight > zero else zero


@njit(**_OPTIONS)
def smooth3(ratio, smooth):
    """Binomial 3 x 3 smoothing (weights 1 2 1), edges repeated."""
    ny, nx = ratio.shape
    line = np.empty(nx, np.float32)
    quarter, half = np.float32(0.25), np.float32(0.5)
    for y in range(ny):
        up, down = max(y - 1, 0), min(y + 1, ny - 1)
        for x in range(nx):
            line[x] = quarter * (ratio[up, x] + ratio[down, x]) + half * ratio[y, x]
        smooth[y, 0] = (half + quarter) * line[0] + quarter * line[min(1, nx - 1)]
        for x in range(1, nx - 1):
            smooth[y, x] = quarter * (line[x - 1] + line[x + 1]) + half * line[x]
        smooth[y, nx - 1] = (half + quarter) * line[nx - 1] + quarter * line[max(nx - 2, 0)]


@njit(**_OPTIONS)
def block_scatter(smooth, cap, step, y0, x0, rows, columns):
    """Root mean square of the smoothed ratio in each block, single values capped at ``cap``.

    Shadow and sky (below -0.7) are not surface and do not count.
    """
    out = np.zeros((rows, columns), np.float32)
    ny, nx = smooth.shape
    shadow, zero, one = np.float32(-0.7), np.float32(0.0), np.float32(1.0)
    # Down the columns first, as in `block_means`.
    squares, counts = np.empty(nx, np.float32), np.empty(nx, np.float32)
    for j in range(rows):
        squares[:] = zero
        counts[:] = zero
        for y in range(y0 + j * step, min(y0 + (j + 1) * step, ny)):
            line = smooth[y]
            for x in range(nx):
                v = line[x]
                surface = (v >= shadow) & (v != zero)
                v = min(v, cap)
                squares[x] += v * v if surface else zero
                counts[x] += one if surface else zero
        for i in range(columns):
            total, count = zero, zero
            for x in range(x0 + i * step, min(x0 + (i + 1) * step, nx)):
                total += squares[x]
                count += counts[x]
            if count > zero:
                out[j, i] = np.sqrt(total / count)
    return out


@njit(**_OPTIONS)
def _ring_mean(image, y, x, reach):
    """Mean of the pixels at the distance ``reach`` from (y, x), counted along rows and columns."""
    total, count = np.float32(0.0), np.float32(0.0)
    for j in range(y - reach, y + reach + 1):
        for i in range(x - reach, x + reach + 1):
            if max(abs(j - y), abs(i - x)) == reach:
                total += image[j, i]
                count += np.float32(1.0)
    return total / count


@njit(**_OPTIONS)
def find_spikes(image, usable, pedestal, least, noise, share, spread, places):
    """Pixels that stand out alone, bright or dark.

    The ground under a pixel and its neighbours follows from the corners and the ring two pixels away. What
    the pixel has above it is more than ``noise`` times the root of the light there and than ``share`` of
    the light; what the neighbours have is less than ``spread`` of that.

    Parameters
    ----------
    image : (ny, nx) float32
    usable : (ny, nx) bool
        Windows with an unusable pixel are left out.
    pedestal, least, noise, share, spread : float32
        ``least``: the noise is not taken from less light than this.
    places : (n, 2) int32
        Filled with row and column of each.

    Returns
    -------
    int
        How many there are, n at most.
    """
    ny, nx = image.shape
    found, quarter = 0, np.float32(0.25)
    faintest = noise * np.sqrt(least)
    flags = np.empty(nx, np.bool_)
    for y in range(2, ny - 2):
        up, here, down = image[y - 1], image[y], image[y + 1]
        for x in range(2, nx - 2):
            high = max(max(up[x], down[x]), max(here[x - 1], here[x + 1]))
            low = min(min(up[x], down[x]), min(here[x - 1], here[x + 1]))
            gap = max(here[x] - high, low - here[x])
            flags[x] = gap > quarter * faintest
        for x in range(2, nx - 2):
            if not flags[x] or not usable[y - 2 : y + 3, x - 2 : x + 3].all():
                continue
            four = quarter * (up[x] + down[x] + here[x - 1] + here[x + 1])
            far = _ring_mean(image, y, x, 2)
            corners = np.float32(2.0) * _ring_mean(image, y, x, 1) - four
            # A bowl or dome through corners (2 px^2 away) and ring (5.5): at the middle, and one pixel away.
            bend = (corners - far) / np.float32(3.5)
            alone = here[x] - corners - np.float32(2.0) * bend
            beside = four - corners - bend
            light = max(far - pedestal, least)
            enough = max(noise * np.sqrt(light), share * light)
            if abs(alone) > enough and beside * np.sign(alone) < spread * abs(alone):
                if found == places.shape[0]:
                    return found
                places[found, 0], places[found, 1] = y, x
                found += 1
    return found
