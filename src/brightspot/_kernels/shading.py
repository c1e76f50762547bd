"""What surrounds a candidate: ring, Sun's line, light."""

from __future__ import annotations

import numpy as np
from numba import njit

from brightspot._kernels.sharpness import sharpness_at

_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}

RAYS = 16
SAMPLES = 6
OVERSHINES = 1.4  # times as high as the object judged
N_FEATURES = 42
ALONG, ACROSS = 4, 8  # half-widths of the Sun-aligned grid, in steps of 0.75 radii
HALF = 12  # half-width of a patch in cells
CELL, LEAST_CELL = 0.55, 0.8  # width of a cell in the object's radii, and at least so many pixels
NEAR = 5.0  # cells that decide how a patch is turned


@njit(**_OPTIONS)
def _sun_grid(smooth, labels, peak, o, cx, cy, ux, uy, spacing, sign, grid):
    """Excess on a grid centred on the object, rows along the Sun's line, columns across it."""
    for a in range(-ALONG, ALONG + 1):
        for b in range(-ACROSS, ACROSS + 1):
            x = cx + spacing * (a * ux - b * uy)
            y = cy + spacing * (a * uy + b * ux)
            grid[a + ALONG, b + ACROSS] = _excess(smooth, labels, peak, o, y, x, sign)


@njit(**_OPTIONS)
def _mean_of(grid, a0, a1, b0, b1):
    """Mean of the known cells with a0 <= |row| <= a1 and b0 <= |column| <= b1."""
    total, n = 0.0, 0
    for a in range(-ALONG, ALONG + 1):
        if a0 <= abs(a) <= a1:
            for b in range(-ACROSS, ACROSS + 1):
                if b0 <= abs(b) <= b1:
                    v = grid[a + ALONG, b + ACROSS]
                    if v == v:
                        total += v
                        n += 1
    return total / n if n else np.nan


@njit(**_OPTIONS)
def _across_scatter(grid):
    """Scatter, column by column beside the object, of the mean along the Sun's line."""
    total, square, n = 0.0, 0.0, 0
    for b in range(-ACROSS, ACROSS + 1):
        if abs(b) < 3:
            continue
        mean, m = 0.0, 0
        for a in range(-ALONG, ALONG + 1):
            v = grid[a + ALONG, b + ACROSS]
            if v == v:
                mean += v
                m += 1
        if m > ALONG:
            mean /= m
            total += mean
            square += mean * mean
            n += 1
    if n < 4:
        return np.nan
    return np.sqrt(max(square / n - (total / n) ** 2, 0.0))


@njit(**_OPTIONS)
def _grid_features(grid, c, out):
    """What the Sun-aligned surroundings say; ``out`` (9,)."""
    core = _mean_of(grid, 0, 1, 0, 1)
    column = _mean_of(grid, 0, ALONG, 0, 1)
    beside = _mean_of(grid, 0, ALONG, 3, ACROSS)
    scatter = _across_scatter(grid)
    out[0] = (column - beside) / c
    out[1] = (column - beside) / max(scatter, 1e-4)
    out[2] = (core - _mean_of(grid, 3, ALONG, 0, 1)) / c
    out[3] = (core - _mean_of(grid, 0, 1, 3, 5)) / c
    odd, even = 0.0, 0.0
    for a in range(1, 4):
        for b in range(-2, 3):
            v = grid[ALONG + a, ACROSS + b]
            w = grid[ALONG - a, ACROSS - b]
            if v == v and w == w:
                odd += abs(v - w)
                even += abs(v) + abs(w)
    out[4] = odd / even if even > 0 else np.nan
    half, full, n, square = 0, 0, 0, 0.0
    for a in range(-ALONG, ALONG + 1):
        for b in range(-ACROSS, ACROSS + 1):
            if a * a + b * b < 9:
                continue
            v = grid[a + ALONG, b + ACROSS]
            if v == v:
                n += 1
                square += min(v * v, c * c)
                if v > 0.5 * c:
                    half += 1
                    if v > 0.8 * c:
                        full += 1
    out[5] = half / n if n else np.nan
    out[6] = full / n if n else np.nan
    out[7] = np.sqrt(square / n) / c if n else np.nan
    # along the line: mean toward one side minus the other, relative to the core
    up, down = np.nan, np.nan
    total, m = 0.0, 0
    for a in range(2, ALONG + 1):
        for b in range(-1, 2):
            v = grid[ALONG + a, ACROSS + b]
            if v == v:
                total += v
                m += 1
    if m:
        up = total / m
    total, m = 0.0, 0
    for a in range(2, ALONG + 1):
        for b in range(-1, 2):
            v = grid[ALONG - a, ACROSS + b]
            if v == v:
                total += v
                m += 1
    if m:
        down = total / m
    out[8] = abs(up - down) / c


@njit(**_OPTIONS)
def _excess(image, labels, peak, own, y, x, sign):
    """``sign * image`` at the nearest pixel; NaN outside, and where a much higher object lies.

    Such a neighbour (a brighter facula beside a fainter one) says nothing about relief; a wall's
    own continuation is about as bright as the piece it is judged by, and counts.
    """
    ny, nx = image.shape
    j, i = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
    if j < 0 or i < 0 or j >= ny or i >= nx:
        return np.nan
    other = labels[j, i] - 1
    if other >= 0 and other != own and peak[other] > OVERSHINES * peak[own]:
        return np.nan
    return sign * image[j, i]


@njit(**_OPTIONS)
def _footprint(smooth, labels, sign, box, o, py, px, high):
    """An object's pixels: number, those above ``high``, sum, weighted centre, moments about it."""
    n, plateau, sw, sx, sy = 0, 0, 0.0, 0.0, 0.0
    tx, ty, sxx, sxy, syy = 0, 0, 0, 0, 0
    first, last = box[o, 1], box[o, 3] + 1
    for y in range(box[o, 0], box[o, 2] + 1):
        own, values = labels[y, first:last], smooth[y, first:last]
        fy = y - py
        row_n, row_x, row_w = 0, 0, 0.0
        for i in range(own.size):
            if own[i] == o + 1:
                w = sign * values[i]
                fx = first + i - px
                row_n += 1
                row_x += fx
                sxx += fx * fx
                row_w += w
                sx += w * fx
                if w > high:
                    plateau += 1
        n += row_n
        tx += row_x
        ty += row_n * fy
        sxy += row_x * fy
        syy += row_n * fy * fy
        sw += row_w
        sy += row_w * fy
    ox, oy = sx / sw, sy / sw
    # moments of the pixels about the weighted centre
    xx = 1.0 / 12.0 + (sxx - 2.0 * ox * tx) / n + ox * ox
    yy = 1.0 / 12.0 + (syy - 2.0 * oy * ty) / n + oy * oy
    xy = (sxy - ox * ty - oy * tx) / n + ox * oy
    return n, plateau, sw, px + ox, py + oy, xx, xy, yy


@njit(**_OPTIONS)
def _axes(xx, xy, yy):
    """Root mean square extent along the major and the minor axis."""
    half = 0.5 * (xx + yy)
    spread = np.sqrt(0.25 * (xx - yy) ** 2 + xy * xy)
    return np.sqrt(half + spread), np.sqrt(max(half - spread, 1e-6))


@njit(**_OPTIONS)
def describe_objects(
    ratio,
    smooth,
    labels,
    sign,
    peak,
    peak_yx,
    saddle,
    box,
    n_pixels,
    neighbour,
    rms,
    light,
    slope_gain,
    step,
    y0,
    x0,
    which,
    out,
):
    """What objects ``which`` (n,) are in themselves; columns as named in ``brightspot.judge.FEATURES``.

    ``light`` mesh: local level over the frame's bright level; ``slope_gain`` (n,): brightness of a facet
    at the angle of repose over that of level ground, NaN where not known; of all objects. ``out`` (n,
    N_FEATURES) float32: NaN in the columns of the surroundings.
    """
    rows, columns = rms.shape
    for k in range(which.size):
        o, row = which[k], out[k]
        py, px = peak_yx[o, 0], peak_yx[o, 1]
        c = peak[o]
        j = min(max((py - y0) // step, 0), rows - 1)
        i = min(max((px - x0) // step, 0), columns - 1)
        texture = rms[j, i]
        n, plateau, _, _, _, xx, xy, yy = _footprint(smooth, labels, sign, box, o, py, px, 0.8 * c)
        major, minor = _axes(xx, xy, yy)
        row[:] = np.nan
        row[0] = c
        row[1] = c / texture
        row[2] = texture
        row[3] = light[j, i]
        row[4] = light[j, i] * (1.0 + sign * c)
        row[5] = n
        row[6] = major / minor
        row[7] = n / (4.0 * np.pi * major * minor)
        row[8] = plateau / n
        row[17], row[19], row[20] = sharpness_at(ratio, sign, py, px)
        row[21] = saddle[o] / peak[o]
        q = neighbour[o]
        if q >= 0:
            gap = np.hypot(peak_yx[q, 0] - py, peak_yx[q, 1] - px)
            row[22] = gap / (np.sqrt(n_pixels[q] / np.pi) + 1.0)
            row[23] = peak[o] / peak[q]
        # Of a dark place: what light is left; next to none is a shadow.
        row[24] = (1.0 + c) / slope_gain[o] if sign > 0 else 1.0 - c
        row[28] = c * np.sqrt(n) / texture


@njit(**_OPTIONS)
def describe_surroundings(smooth, labels, sign, peak, peak_yx, box, sun_azimuth, wanted, out):
    """What surrounds the objects that are ``wanted`` (n,): ring, Sun's line, Sun-aligned grid.

    ``sun_azimuth`` (n,) radians clockwise from image up along the Sun's line at each object, NaN where not
    known. Fills the columns that `describe_objects` leaves.
    """
    ray, sector = np.empty(RAYS), np.empty(RAYS)
    grid = np.empty((2 * ALONG + 1, 2 * ACROSS + 1))
    for o in range(peak.size):
        if not wanted[o]:
            continue
        py, px = peak_yx[o, 0], peak_yx[o, 1]
        c = peak[o]
        n, _, sw, cx, cy, xx, xy, yy = _footprint(smooth, labels, sign, box, o, py, px, c)
        major, minor = _axes(xx, xy, yy)
        radius = np.sqrt(n / np.pi)
        # ring: how far the brightness goes on in each direction
        r1, r2 = 1.6 * radius + 1.5, 2.8 * radius + 4.0
        shade = 0
        seen = 0
        for k in range(RAYS):
            a = 2.0 * np.pi * k / RAYS
            ux, uy = np.cos(a), np.sin(a)
            ray_sum, ray_n = 0.0, 0
            for s in range(SAMPLES):
                r = r1 + (r2 - r1) * s / (SAMPLES - 1)
                v = _excess(smooth, labels, peak, o, cy + uy * r, cx + ux * r, sign)
                if v == v:
                    seen += 1
                    if sign * v < -0.7:
                        shade += 1
                    ray_sum += min(v, c)
                    ray_n += 1
            ray[k] = ray_sum / ray_n if ray_n else 0.0
        # neighbouring rays averaged: 22.5 degrees wide sectors overlap
        for k in range(RAYS):
            sector[k] = (0.5 * (ray[k] + 0.5 * ray[(k + 1) % RAYS] + 0.5 * ray[k - 1])) / c
        ranked = np.sort(sector)
        out[o, 9] = ranked[RAYS - 1]
        out[o, 10] = ranked[RAYS - 5]
        out[o, 11] = ranked[RAYS // 2]
        out[o, 12] = ranked[0]
        out[o, 13] = shade / max(seen, 1)
        azimuth = sun_azimuth[o]
        if azimuth == azimuth:
            ux, uy = np.sin(azimuth), -np.cos(azimuth)
            _along_the_sun(smooth, labels, peak, o, cx, cy, ux, uy, radius, sw, sign, out[o])
            across_angle = 0.5 * np.arctan2(2.0 * xy, xx - yy)
            d = np.abs(np.cos(across_angle) * ux + np.sin(across_angle) * uy)
            out[o, 18] = d * (1.0 - minor / major)
            _sun_grid(smooth, labels, peak, o, cx, cy, ux, uy, max(0.75 * radius, 1.0), sign, grid)
            _grid_features(grid, c, out[o, 29:38])


@njit(**_OPTIONS)
def _along_the_sun(smooth, labels, peak, o, cx, cy, ux, uy, radius, sw, sign, out):
    """The Sun's line through the object: relief integrates to nothing along it, albedo does not."""
    c = peak[o]
    reach = 3.0 * radius + 5.0
    stride = max(int(radius / 3.0), 1)  # wide objects need no finer look
    width = max(int(radius / stride + 0.5), 1)
    toward, away, net = 0.0, 0.0, 0.0
    length = int(reach / stride)
    for side in range(-1, 2, 2):
        lowest = 0.0
        run = 0.0
        for s in range(0 if side > 0 else 1, length + 1):
            mean, m = 0.0, 0
            for w in range(-width, width + 1):
                x = cx + stride * (side * s * ux - w * uy)
                y = cy + stride * (side * s * uy + w * ux)
                v = _excess(smooth, labels, peak, o, y, x, sign)
                if v == v:
                    mean += v
                    m += 1
            if m:
                mean /= m
                net += mean * (2 * width + 1)
                run = mean if s <= 1 else 0.5 * (run + mean)
                lowest = min(lowest, run)
        if side > 0:
            toward = lowest / c
        else:
            away = lowest / c
    out[14] = min(toward, away)
    out[15] = max(toward, away)
    out[16] = net * stride * stride / max(sw, 1e-6)


@njit(**_OPTIONS)
def between(image, y, x):
    """Bilinear value; 0 outside of the image."""
    ny, nx = image.shape
    if not (0.0 <= x <= nx - 1.0 and 0.0 <= y <= ny - 1.0):
        return 0.0
    j, i = int(y), int(x)
    fy, fx = y - j, x - i
    below, right = min(j + 1, ny - 1), min(i + 1, nx - 1)
    above = image[j, i] * (1.0 - fx) + image[j, right] * fx
    return above * (1.0 - fy) + (image[below, i] * (1.0 - fx) + image[below, right] * fx) * fy


@njit(**_OPTIONS)
def _turn(patch, any_way):
    """Mirror a patch so that what is near is brighter toward the last row and the last column.

    With ``any_way`` rows and columns are also exchanged, so that it reaches farther along the rows.
    """
    down, right, along = 0.0, 0.0, 0.0
    for a in range(-HALF, HALF + 1):
        for b in range(-HALF, HALF + 1):
            w = patch[a + HALF, b + HALF] * np.exp(-(a * a + b * b) / (2.0 * NEAR * NEAR))
            down += w * a
            right += w * b
            along += w * (a * a - b * b)
    if any_way and along < 0.0:
        patch[:] = patch.T.copy()
        down, right = right, down
    if down < 0.0:
        patch[:] = patch[::-1].copy()
    if right < 0.0:
        patch[:] = patch[:, ::-1].copy()


@njit(**_OPTIONS)
def cut_patches(smooth, labels, sign, peak, peak_yx, box, sun_azimuth, which, out):
    """Excess over the peak around objects, rows along the Sun's line, columns across it.

    ``which`` (m,) numbers of the objects; ``sun_azimuth`` (n,) radians clockwise from image up, NaN where
    not known; ``out`` (m, 2 HALF + 1, 2 HALF + 1) float32. Mirrored into one of the four positions that the
    Sun's line leaves, so that a mirrored frame gives the same patches.
    """
    for k in range(which.size):
        o = which[k]
        c = peak[o]
        n, _, _, cx, cy, _, _, _ = _footprint(smooth, labels, sign, box, o, peak_yx[o, 0], peak_yx[o, 1], c)
        cell = max(CELL * np.sqrt(n / np.pi), LEAST_CELL)
        azimuth = sun_azimuth[o]
        known = azimuth == azimuth
        ux, uy = (np.sin(azimuth), -np.cos(azimuth)) if known else (0.0, 1.0)
        for a in range(-HALF, HALF + 1):
            for b in range(-HALF, HALF + 1):
                x = cx + cell * (a * ux - b * uy)
                y = cy + cell * (a * uy + b * ux)
                v = sign * between(smooth, y, x) / c
                out[k, a + HALF, b + HALF] = min(max(v, -3.0), 3.0)
        _turn(out[k], not known)


@njit(**_OPTIONS)
def compare_peers(peak, peak_yx, shape, reach, least, out_first, out_third):
    """Each peak over the highest and the third highest other peak within ``reach`` pixels.

    ``peak`` (n,) from the highest down. ``least`` stands in where there are too few others.
    """
    n = peak.size
    rows, columns = shape[0] // reach + 1, shape[1] // reach + 1
    cell = np.empty(n, np.int64)
    start = np.zeros(rows * columns + 1, np.int64)
    for o in range(n):
        cell[o] = peak_yx[o, 0] // reach * columns + peak_yx[o, 1] // reach
        start[cell[o] + 1] += 1
    start = np.cumsum(start)
    # The peaks of each cell, the highest first.
    held = np.empty(n, np.int64)
    filled = start[:-1].copy()
    for o in range(n):
        held[filled[cell[o]]] = o
        filled[cell[o]] += 1
    best = np.empty(3, np.float32)
    for o in range(n):
        best[:] = 0.0
        y, x = peak_yx[o, 0], peak_yx[o, 1]
        for j in range(max(y // reach - 1, 0), min(y // reach + 2, rows)):
            for i in range(max(x // reach - 1, 0), min(x // reach + 2, columns)):
                near = 0
                for k in range(start[j * columns + i], start[j * columns + i + 1]):
                    q = held[k]
                    if q == o or (peak_yx[q, 0] - y) ** 2 + (peak_yx[q, 1] - x) ** 2 > reach * reach:
                        continue
                    v = peak[q]
                    for m in range(3):
                        if v > best[m]:
                            best[m], v = v, best[m]
                    near += 1
                    if near == 3:
                        break
        out_first[o] = peak[o] / max(best[0], least)
        out_third[o] = peak[o] / max(best[2], least)


@njit(**_OPTIONS)
def shade_axis(smooth, usable, bin_width):
    """Axis along which shaded and lit ground lie side by side, and how pronounced it is (0 .. 1).

    The axis is in radians from x toward y.

    Works on means over ``bin_width`` pixels a side, dark below -0.08 and bright above 0.08, at lags of 2
    and 4 of them in 16 directions.
    """
    ny, nx = smooth.shape[0] // bin_width, smooth.shape[1] // bin_width
    small = np.zeros((ny, nx), np.float32)
    limit = np.float32(0.5)
    for y in range(ny):
        for x in range(nx):
            total = np.float32(0.0)
            for yy in range(y * bin_width, (y + 1) * bin_width):
                for xx in range(x * bin_width, (x + 1) * bin_width):
                    if usable[yy, xx]:
                        total += min(max(smooth[yy, xx], -limit), limit)
            small[y, x] = total / np.float32(bin_width * bin_width)
    vector = np.zeros(2)
    total_pairs = 0.0
    low, high = np.float32(-0.08), np.float32(0.08)
    for k in range(16):
        a = 2.0 * np.pi * k / 16
        pairs = 0.0
        for lag in (2, 4):
            dx, dy = int(np.round(lag * np.cos(a))), int(np.round(lag * np.sin(a)))
            for y in range(max(0, -dy), min(ny, ny - dy)):
                for x in range(max(0, -dx), min(nx, nx - dx)):
                    if small[y, x] < low and small[y + dy, x + dx] > high:
                        pairs -= small[y, x] * small[y + dy, x + dx]
        vector[0] += pairs * np.cos(2.0 * a)
        vector[1] += pairs * np.sin(2.0 * a)
        total_pairs += pairs
    if total_pairs <= 0.0:
        return 0.0, 0.0
    return 0.5 * np.arctan2(vector[1], vector[0]), np.sqrt(vector[0] ** 2 + vector[1] ** 2) / total_pairs
