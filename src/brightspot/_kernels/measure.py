"""Sizes, centroids and sums of footprints, in pixels."""

from __future__ import annotations

import numpy as np
from numba import njit

_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}

N_COLUMNS = 19
SMALL = 40  # pixels of a footprint up to which noise matters less than the blur of smoothing
GRID = 4  # sub-pixels a side when an outline is measured
COMPACT = 3.3  # half-maximum width in px up to which light is summed in an ellipse fitted to the outline
REACH = 2.8  # radius of that ellipse in half-maximum radii; a Gaussian has 0.4 per cent of its light beyond
FAINTEST = 0.3  # share of the peak down to which a wide patch is centred
CEILING = 0.5  # share of the peak above which all of a wide patch counts alike
LN2 = np.log(2.0)


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
def _peak_and_middle(image, smooth, labels, sign, label, box):
    """Highest value of ``image`` in a footprint, and the footprint's middle weighted by ``smooth``."""
    top = -np.inf
    sw, sx, sy = 0.0, 0.0, 0.0
    for y in range(box[0], box[2] + 1):
        for x in range(box[1], box[3] + 1):
            if labels[y, x] == label:
                top = max(top, sign * image[y, x])
                w = max(sign * smooth[y, x], 1e-6)
                sw += w
                sx += w * x
                sy += w * y
    return top, sx / sw, sy / sw


@njit(**_OPTIONS)
def _gather(stamp, mark, labels, label, stack, end, box):
    """Mark an object's own pixels and push those that did not bear the mark yet."""
    nx = labels.shape[1]
    for y in range(box[0], box[2] + 1):
        for x in range(box[1], box[3] + 1):
            if labels[y, x] == label and stamp[y, x] != mark:
                stamp[y, x] = mark
                stack[end] = y * nx + x
                end += 1
    return end


@njit(**_OPTIONS)
def _range_around(image, y, x):
    """Least and greatest value of a pixel and its eight neighbours."""
    ny, nx = image.shape
    low, high = image[y, x], image[y, x]
    for yy in range(max(y - 1, 0), min(y + 2, ny)):
        for xx in range(max(x - 1, 0), min(x + 2, nx)):
            low, high = min(low, image[yy, xx]), max(high, image[yy, xx])
    return low, high


@njit(**_OPTIONS)
def _outline(image, small, level, unit, sign, limit, stack, end):
    """Area and central moments of what lies above ``limit`` in the first ``end`` pixels."""
    nx = image.shape[1]
    area, mx, my, mxx, mxy, myy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    whole = float(GRID * GRID)
    spread = (whole - 1.0) / (12.0 * whole)  # variance of a pixel's samples along one axis
    for k in range(end):
        y, x = stack[k] // nx, stack[k] % nx
        if not small:
            # Between pixels a linear surface stays within them: only the rim needs samples.
            low, high = _range_around(image, y, x)
            if sign < 0:
                low, high = -high, -low
            if (high - level) * unit < limit:
                continue
            if (low - level) * unit >= limit:
                area += whole
                mx += whole * x
                my += whole * y
                mxx += whole * (x * x + spread)
                mxy += whole * x * y
                myy += whole * (y * y + spread)
                continue
        for a in range(GRID):
            for b in range(GRID):
                py = y + (a + 0.5) / GRID - 0.5
                px = x + (b + 0.5) / GRID - 0.5
                here = _between(image, py, px) if small else _at(image, py, px)
                if (sign * here - level) * unit >= limit:
                    area += 1.0
                    mx += px
                    my += py
                    mxx += px * px
                    mxy += px * py
                    myy += py * py
    if area > 0.0:
        mx, my = mx / area, my / area
        mxx, mxy, myy = mxx / area - mx * mx, mxy / area - mx * my, myy / area - my * my
    return area / (GRID * GRID), mxx, mxy, myy


@njit(**_OPTIONS)
def _bright_middle(image, level, unit, sign, top, stack, end):
    """Middle of the first ``end`` pixels weighted by what exceeds `FAINTEST`; NaN if nothing does."""
    nx = image.shape[1]
    sw, sx, sy = 0.0, 0.0, 0.0
    for k in range(end):
        y, x = stack[k] // nx, stack[k] % nx
        w = (sign * image[y, x] - level) * unit - FAINTEST * top
        if w > 0.0:
            sw += w
            sx += w * x
            sy += w * y
    return (sx / sw, sy / sw) if sw > 0.0 else (np.nan, np.nan)


@njit(**_OPTIONS)
def _patch_middle(image, level, unit, sign, top, labels, label, stamp, mark, stack, core, layers):
    """Middle of a wide patch, torn edges included; its own pixels are the first ``core`` of the stack.

    Connected surface down to `FAINTEST` of the peak, no farther than ``layers`` pixels from the footprint.
    All above `CEILING` weighs alike, for within it brightness follows the slopes of the ground; below, weight
    fades with the excess.
    """
    ny, nx = labels.shape
    sw, sx, sy = 0.0, 0.0, 0.0
    begin, end = 0, core
    for k in range(core):
        stamp[stack[k] // nx, stack[k] % nx] = mark
    for layer in range(layers + 1):
        last = end
        for k in range(begin, last):
            y, x = stack[k] // nx, stack[k] % nx
            w = min((sign * image[y, x] - level) * unit, CEILING * top)
            if w > 0.0:
                sw += w
                sx += w * x
                sy += w * y
            if layer == layers:
                continue
            for turn in range(4):
                yy = y + (turn == 0) - (turn == 1)
                xx = x + (turn == 2) - (turn == 3)
                if yy < 0 or xx < 0 or yy >= ny or xx >= nx or stamp[yy, xx] == mark:
                    continue
                free = labels[yy, xx] == 0 or labels[yy, xx] == label
                if free and (sign * image[yy, xx] - level) * unit >= FAINTEST * top:
                    stamp[yy, xx] = mark
                    stack[end] = yy * nx + xx
                    end += 1
        begin = last
    return (sx / sw, sy / sw) if sw > 0.0 else (np.nan, np.nan)


@njit(**_OPTIONS)
def _flood(image, sign, limit, cx, cy, reach, labels, label, stamp, mark, stack, core):
    """Mark and stack the surface above ``limit`` that is connected with the footprint; its pixels.

    The footprint's are the first ``core`` of the stack; nothing farther than ``reach`` from (cx, cy) counts.
    """
    ny, nx = labels.shape
    begin, tail = 0, 0
    for k in range(core):
        y, x = stack[k] // nx, stack[k] % nx
        if sign * image[y, x] >= limit:
            stamp[y, x] = mark
            stack[tail] = stack[k]
            tail += 1
    while begin < tail:
        y, x = stack[begin] // nx, stack[begin] % nx
        begin += 1
        for turn in range(4):
            yy = y + (turn == 0) - (turn == 1)
            xx = x + (turn == 2) - (turn == 3)
            if yy < 0 or xx < 0 or yy >= ny or xx >= nx or stamp[yy, xx] == mark:
                continue
            if labels[yy, xx] != 0 and labels[yy, xx] != label:
                continue
            if (yy - cy) ** 2 + (xx - cx) ** 2 > reach * reach or sign * image[yy, xx] < limit:
                continue
            stamp[yy, xx] = mark
            stack[tail] = yy * nx + xx
            tail += 1
    return tail


@njit(**_OPTIONS)
def _light(ratio, usable, level, unit, sign, stack, end):
    """Sum of the excess over the first ``end`` pixels, and whether the sky is among them."""
    nx = ratio.shape[1]
    light, sky = 0.0, False
    for k in range(end):
        y, x = stack[k] // nx, stack[k] % nx
        if sign > 0 and ratio[y, x] < -0.7:
            # The limb and the sky behind it, or a shadow, lie within the spot's wings.
            sky = sky or ratio[y, x] < -0.9
        elif usable[y, x]:
            light += (sign * ratio[y, x] - level) * unit
    return light, sky


@njit(**_OPTIONS)
def _compact_light(ratio, usable, labels, label, level, unit, sign, cx, cy, mxx, mxy, myy):
    """Excess of a spot hardly wider than the PSF, the pixels looked at, and whether the sky is among them.

    The sum over an ellipse of `REACH` half-maximum radii: few pixels gather little noise and little of the
    relief beside the spot. What lost pixels, others' and the frame's edge hide is made up for, as the light
    of a Gaussian with the same half-maximum outline would be spread.
    """
    ny, nx = ratio.shape
    # The outline is a filled ellipse: its squared semi-axes are four times its moments.
    xx, xy, yy = 4.0 * max(mxx, 0.05), 4.0 * mxy, 4.0 * max(myy, 0.05)
    det = max(xx * yy - xy * xy, 0.01)
    half_y, half_x = REACH * np.sqrt(yy) + 1.0, REACH * np.sqrt(xx) + 1.0
    light, model, whole = 0.0, 0.0, 0.0
    count, sky = 0, False
    for y in range(int(np.floor(cy - half_y)), int(cy + half_y) + 2):
        for x in range(int(np.floor(cx - half_x)), int(cx + half_x) + 2):
            u, v = x - cx, y - cy
            rho = np.sqrt((yy * u * u - 2.0 * xy * u * v + xx * v * v) / det)
            # Pixels across the rim count with the part of them that lies within.
            inside = np.sqrt(u * u + v * v) * (1.0 - REACH / max(rho, 1e-6))
            cover = min(max(0.5 - inside, 0.0), 1.0) if rho > 0.0 else 1.0
            gaussian = cover * np.exp(-LN2 * rho * rho)
            whole += gaussian
            if cover == 0.0 or y < 0 or x < 0 or y >= ny or x >= nx or not usable[y, x]:
                continue
            if labels[y, x] != label and _anothers(labels, label, y, x, 1):
                continue
            count += 1
            model += gaussian
            if sign > 0 and ratio[y, x] < -0.7:
                sky = sky or ratio[y, x] < -0.9
            else:
                light += cover * (sign * ratio[y, x] - level) * unit
    return light * whole / max(model, 0.5 * whole), count, sky


@njit(**_OPTIONS)
def _count_inside(scene, ratio, usable, saturated, level, unit, sign, stack, core, row):
    """Mean excess, saturated and lost pixels, and mean value of the footprint into columns 8, 13, 14, 18."""
    nx = ratio.shape[1]
    excess, value, n, n_saturated, n_lost = 0.0, 0.0, 0, 0, 0
    for k in range(core):
        y, x = stack[k] // nx, stack[k] % nx
        if usable[y, x]:
            excess += (sign * ratio[y, x] - level) * unit
            value += scene[y, x]
            n += 1
        n_saturated += saturated[y, x]
        n_lost += not usable[y, x]
    row[8] = excess / max(n, 1)
    row[13] = n_saturated
    row[14] = n_lost
    row[18] = value / max(n, 1)


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
    stamp,
    out,
):
    """Measure the chosen objects; the columns of ``out`` are named in ``brightspot.footprint.MEASURED``.

    ``scene`` the frame's own values; ``threshold`` (n,) excess at which the threshold footprint ends;
    ``margin`` pixels around the footprint whose light belongs to the spot (wings of the PSF); ``stamp``
    (rows, columns) int32 zeros, to be written on; ``out`` (chosen.size, N_COLUMNS) float64.
    """
    ny, nx = labels.shape
    stack = np.empty(ny * nx, np.int32)
    buffer = np.empty(ny * nx, np.float32)
    wide = np.empty(4, np.int64)
    for r in range(chosen.size):
        o = chosen[r]
        label = o + 1
        mark = 3 * r + 1
        small = n_pixels[o] < SMALL
        # Single pixels count where the spot is small, else noise is averaged.
        image = ratio if small else smooth
        top, cx, cy = _peak_and_middle(image, smooth, labels, sign, label, box[o])
        if small:
            top = max(top, sign * _between(image, cy, cx))
        radius = np.sqrt(n_pixels[o] / np.pi)
        level = _ring_level(
            ratio, labels, usable, sign, cy, cx, 2.0 * radius + 3.0, 3.0 * radius + 8.0, buffer
        )
        if not abs(level) <= 0.3 * top:
            level = 0.0
        # The surroundings stand at 1 + offset of the mesh's level: excesses are shares of them.
        unit = 1.0 / (1.0 + sign * level)
        top = (top - level) * unit
        # footprint, grown by a pixel: holds the half-maximum outline
        for k in range(4):
            wide[k] = box[o, k]
        core = _gather(stamp, mark, labels, label, stack, 0, box[o])
        end = _spread(stamp, mark, labels, label, stack, core, wide, 0)
        edge = wide[0] <= 1 or wide[1] <= 1 or wide[2] >= ny - 2 or wide[3] >= nx - 2
        _count_inside(scene, ratio, usable, saturated, level, unit, sign, stack, core, out[r])
        area, mxx, mxy, myy = _outline(image, small, level, unit, sign, 0.5 * top, stack, end)
        width = np.sqrt(4.0 / np.pi * area)
        if small:
            bx, by = _bright_middle(image, level, unit, sign, top, stack, end)
        else:
            layers = max(2, int(0.15 * width + 0.5))
            bx, by = _patch_middle(
                image, level, unit, sign, top, labels, label, stamp, mark + 1, stack, core, layers
            )
        if bx == bx:
            cx, cy = bx, by
        flooded = 0
        if top >= threshold[o]:
            limit, reach = threshold[o] / unit + level, 3.0 * radius + 8.0
            flooded = _flood(image, sign, limit, cx, cy, reach, labels, label, stamp, mark + 2, stack, core)
        if width < COMPACT and area > 0.0:
            light, end, sky = _compact_light(
                ratio, usable, labels, label, level, unit, sign, cx, cy, mxx, mxy, myy
            )
        else:
            # all of its light: footprints and what lies within the margin of them
            end = _gather(stamp, mark + 2, labels, label, stack, flooded, box[o])
            for _ in range(margin):
                end = _spread(stamp, mark + 2, labels, label, stack, end, wide, 2)
            light, sky = _light(ratio, usable, level, unit, sign, stack, end)
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
        out[r, 9] = top
        out[r, 10] = level
        out[r, 11] = rms[j, i] * unit
        out[r, 12] = core
        out[r, 15] = edge or sky
        out[r, 16] = end
        out[r, 17] = box[o, 2] - box[o, 0] + 1
