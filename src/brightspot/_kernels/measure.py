"""Sizes, centroids and sums of footprints, in pixels."""

from __future__ import annotations

import numpy as np
from numba import njit

_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}

N_COLUMNS = 19
SMALL = 40  # pixels of a footprint up to which noise matters less than the blur of smoothing
GRID = 4  # sub-pixels a side when an outline is measured


@njit(**_OPTIONS)
def _at(image, y, x):
    """Bilinear value, edges held."""
    ny, nx = image.shape
    y = min(max(y, 0.0), ny - 1.0)
    x = min(max(x, 0.0), nx - 1.0)
    j, i = min(int(y), ny - 2), min(int(x), nx - 2)
    f, g = y - j, x - i
    top = image[j, i] * (1.0 - g) + image[j, i + 1] * g
    bottom = image[j + 1, i] * (1.0 - g) + image[j + 1, i + 1] * g
    return top * (1.0 - f) + bottom * f


@njit(**_OPTIONS)
def _cubic(a, b, c, d, t):
    """Catmull-Rom value between b (t = 0) and c (t = 1)."""
    return b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))


@njit(**_OPTIONS)
def _between(image, y, x):
    """Bicubic value, edges held: a small spot is curved between its pixels, its top may lie there."""
    ny, nx = image.shape
    j, i = int(np.floor(y)), int(np.floor(x))
    f, g = y - j, x - i
    rows = np.empty(4)
    for k in range(4):
        line = image[min(max(j + k - 1, 0), ny - 1)]
        rows[k] = _cubic(
            line[min(max(i - 1, 0), nx - 1)],
            line[min(max(i, 0), nx - 1)],
            line[min(max(i + 1, 0), nx - 1)],
            line[min(max(i + 2, 0), nx - 1)],
            g,
        )
    return _cubic(rows[0], rows[1], rows[2], rows[3], f)


@njit(**_OPTIONS)
def _ring_level(image, labels, usable, sign, cy, cx, inner, outer, buffer):
    """Median of the surface between two radii, footprints and shadows left out; NaN if too little is left."""
    ny, nx = image.shape
    n = 0
    j0, j1 = max(int(cy - outer), 0), min(int(cy + outer) + 2, ny)
    i0, i1 = max(int(cx - outer), 0), min(int(cx + outer) + 2, nx)
    for y in range(j0, j1):
        for x in range(i0, i1):
            d2 = (y - cy) ** 2 + (x - cx) ** 2
            if inner * inner <= d2 <= outer * outer and labels[y, x] == 0 and usable[y, x]:
                v = image[y, x]
                if v > -0.7:
                    buffer[n] = sign * v
                    n += 1
    return np.median(buffer[:n]) if n >= 12 else np.nan


@njit(**_OPTIONS)
def _anothers(labels, label, y, x, reach):
    """Whether a pixel belongs to another object or lies within ``reach`` pixels of one."""
    ny, nx = labels.shape
    for yy in range(max(y - reach, 0), min(y + reach + 1, ny)):
        for xx in range(max(x - reach, 0), min(x + reach + 1, nx)):
            if labels[yy, xx] != 0 and labels[yy, xx] != label:
                return True
    return False


@njit(**_OPTIONS)
def _spread(stamp, mark, labels, label, stack, n, box, reach):
    """Mark the 4-neighbours of the first ``n`` pixels on the stack that no other object has in its reach."""
    ny, nx = labels.shape
    end = n
    for k in range(n):
        p = stack[k]
        y, x = p // nx, p % nx
        for turn in range(4):
            yy = y + (turn == 0) - (turn == 1)
            xx = x + (turn == 2) - (turn == 3)
            if yy < 0 or xx < 0 or yy >= ny or xx >= nx or stamp[yy, xx] == mark or end >= stack.size:
                continue
            if labels[yy, xx] == label or not _anothers(labels, label, yy, xx, reach):
                stamp[yy, xx] = mark
                stack[end] = yy * nx + xx
                end += 1
                box[0] = min(box[0], yy)
                box[1] = min(box[1], xx)
                box[2] = max(box[2], yy)
                box[3] = max(box[3], xx)
    return end


@njit(**_OPTIONS)
def measure(
    scene,
    ratio,
    smooth,
    labels,
    usable,
    saturated,
    sign,
    chosen,
    peak,
    box,
    n_pixels,
    threshold,
    rms,
    margin,
    step,
    y0,
    x0,
    out,
):
    """Measure the chosen objects; the columns of ``out`` are named in ``brightspot.catalog.MEASURED``.

    ``scene`` the frame's own values; ``threshold`` (n,) excess at which the threshold footprint ends;
    ``margin`` pixels around the footprint whose light belongs to the spot (wings of the PSF). ``out``
    (chosen.size, N_COLUMNS) float64.
    """
    ny, nx = labels.shape
    stamp = np.zeros((ny, nx), np.int32)
    stack = np.empty(ny * nx, np.int32)
    buffer = np.empty(ny * nx, np.float32)
    wide = np.empty(4, np.int64)
    for r in range(chosen.size):
        o = chosen[r]
        label = o + 1
        mark = 2 * r + 1
        n = n_pixels[o]
        image = ratio if n < SMALL else smooth
        # The peak: single pixels count where the spot is small, else noise is averaged.
        top = -np.inf
        sw, sx, sy = 0.0, 0.0, 0.0
        for y in range(box[o, 0], box[o, 2] + 1):
            for x in range(box[o, 1], box[o, 3] + 1):
                if labels[y, x] == label:
                    v = sign * image[y, x]
                    top = max(top, v)
                    w = max(sign * smooth[y, x], 1e-6)
                    sw += w
                    sx += w * x
                    sy += w * y
        cx, cy = sx / sw, sy / sw
        if n < SMALL:
            top = max(top, sign * _between(image, cy, cx))
        radius = np.sqrt(n / np.pi)
        level = _ring_level(
            ratio, labels, usable, sign, cy, cx, 2.0 * radius + 3.0, 3.0 * radius + 8.0, buffer
        )
        if not abs(level) <= 0.3 * top:
            level = 0.0
        # The surroundings stand at 1 + offset of the mesh's level: excesses are shares of them.
        unit = 1.0 / (1.0 + sign * level)
        top = (top - level) * unit
        # footprint, grown by a pixel: holds the half-maximum outline
        wide[0], wide[1], wide[2], wide[3] = box[o, 0], box[o, 1], box[o, 2], box[o, 3]
        end = 0
        for y in range(box[o, 0], box[o, 2] + 1):
            for x in range(box[o, 1], box[o, 3] + 1):
                if labels[y, x] == label:
                    stamp[y, x] = mark
                    stack[end] = y * nx + x
                    end += 1
        core = end
        end = _spread(stamp, mark, labels, label, stack, end, wide, 0)
        area, mx, my, mxx, mxy, myy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        sw, sx, sy = 0.0, 0.0, 0.0
        inside_sum, inside_n, value_sum = 0.0, 0, 0.0
        n_saturated, n_lost = 0, 0
        edge = False
        for k in range(end):
            y, x = stack[k] // nx, stack[k] % nx
            v = (sign * image[y, x] - level) * unit
            w = v - 0.3 * top
            if w > 0.0:
                sw += w
                sx += w * x
                sy += w * y
            if k < core:
                if usable[y, x]:
                    inside_sum += (sign * ratio[y, x] - level) * unit
                    inside_n += 1
                    value_sum += scene[y, x]
                n_saturated += saturated[y, x]
                n_lost += not usable[y, x]
            if y <= 1 or x <= 1 or y >= ny - 2 or x >= nx - 2:
                edge = True
            for a in range(GRID):
                for b in range(GRID):
                    py = y + (a + 0.5) / GRID - 0.5
                    px = x + (b + 0.5) / GRID - 0.5
                    here = _between(image, py, px) if n < SMALL else _at(image, py, px)
                    if (sign * here - level) * unit >= 0.5 * top:
                        area += 1.0
                        mx += px
                        my += py
                        mxx += px * px
                        mxy += px * py
                        myy += py * py
        if sw > 0.0:
            cx, cy = sx / sw, sy / sw
        if area > 0.0:
            mx, my = mx / area, my / area
            # A wide patch is centred by its outline: the light within it follows the ground's slopes.
            if n >= SMALL:
                cx, cy = mx, my
            mxx, mxy, myy = mxx / area - mx * mx, mxy / area - mx * my, myy / area - my * my
        area /= GRID * GRID
        # threshold footprint: the connected surface above the preset's excess
        reach = 3.0 * radius + 8.0
        begin = 0
        limit = threshold[o] / unit + level
        flooded = 0
        flood_mark = mark + 1
        tail = 0
        if top >= threshold[o]:
            for k in range(core):
                y, x = stack[k] // nx, stack[k] % nx
                if sign * image[y, x] >= limit:
                    stamp[y, x] = flood_mark
                    stack[tail] = stack[k]
                    tail += 1
            while begin < tail:
                y, x = stack[begin] // nx, stack[begin] % nx
                begin += 1
                flooded += 1
                for turn in range(4):
                    yy = y + (turn == 0) - (turn == 1)
                    xx = x + (turn == 2) - (turn == 3)
                    if yy < 0 or xx < 0 or yy >= ny or xx >= nx or stamp[yy, xx] == flood_mark:
                        continue
                    if labels[yy, xx] != 0 and labels[yy, xx] != label:
                        continue
                    if (yy - cy) ** 2 + (xx - cx) ** 2 > reach * reach or sign * image[yy, xx] < limit:
                        continue
                    stamp[yy, xx] = flood_mark
                    stack[tail] = yy * nx + xx
                    tail += 1
        # all of its light: footprints and what lies within the margin of them
        end = tail
        for y in range(box[o, 0], box[o, 2] + 1):
            for x in range(box[o, 1], box[o, 3] + 1):
                if labels[y, x] == label and stamp[y, x] != flood_mark:
                    stamp[y, x] = flood_mark
                    stack[end] = y * nx + x
                    end += 1
        for _ in range(margin):
            end = _spread(stamp, flood_mark, labels, label, stack, end, wide, 2)
        light = 0.0
        for k in range(end):
            y, x = stack[k] // nx, stack[k] % nx
            if sign > 0 and ratio[y, x] < -0.7:
                # The limb and the sky behind it, or a shadow, lie within the spot's wings.
                edge = edge or ratio[y, x] < -0.9
            elif usable[y, x]:
                light += (sign * ratio[y, x] - level) * unit
        j = min(max((int(cy + 0.5) - y0) // step, 0), rms.shape[0] - 1)
        i = min(max((int(cx + 0.5) - x0) // step, 0), rms.shape[1] - 1)
        out[r, 0] = cx
        out[r, 1] = cy
        out[r, 2] = area
        out[r, 3] = mxx
        out[r, 4] = mxy
        out[r, 5] = myy
        out[r, 6] = flooded
        out[r, 7] = light
        out[r, 8] = inside_sum / max(inside_n, 1)
        out[r, 9] = top
        out[r, 10] = level
        out[r, 11] = rms[j, i] * unit
        out[r, 12] = core
        out[r, 13] = n_saturated
        out[r, 14] = n_lost
        out[r, 15] = edge
        out[r, 16] = end
        out[r, 18] = value_sum / max(inside_n, 1)
        out[r, 17] = box[o, 2] - box[o, 0] + 1
