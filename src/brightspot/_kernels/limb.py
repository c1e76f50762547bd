"""Loops of the limb fit: block means, medians, brightness profiles across an edge, search for a circle."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def block_mean(image, mask, block):
    """Mean over ``block`` x ``block`` pixels; NaN where more than half of a block is masked.

    Parameters
    ----------
    image : (rows, columns) float32
    mask : (rows, columns) bool
    block : int

    Returns
    -------
    (ceil(rows / block), ceil(columns / block)) float32
    """
    rows, columns = image.shape
    n_y, n_x = (rows + block - 1) // block, (columns + block - 1) // block
    out = np.empty((n_y, n_x), np.float32)
    for j in range(n_y):
        y1 = min(rows, (j + 1) * block)
        for i in range(n_x):
            x1 = min(columns, (i + 1) * block)
            total, count, size = 0.0, 0, 0
            for y in range(j * block, y1):
                for x in range(i * block, x1):
                    size += 1
                    if not mask[y, x] and np.isfinite(image[y, x]):
                        total += image[y, x]
                        count += 1
            out[j, i] = total / count if 2 * count >= size and count > 0 else np.nan
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def sampled_mean(image, mask, step, side, top, left, rows, columns):
    """Mean of the ``side`` x ``side`` pixels in the middle of each block; NaN where half are masked or more.

    A sixteenth of the pixels is enough to see light and shade, and is read in a sixteenth of the time.

    Parameters
    ----------
    image : (height, width) float32
    mask : (height, width) bool
    step, side : int
        Side of the blocks, and of their middles that are read.
    top, left : int
        Pixel of the first block's corner; may be negative, blocks then lie partly off the frame.
    rows, columns : int
        Blocks.

    Returns
    -------
    (rows, columns) float32
    """
    height, width = image.shape
    out = np.empty((rows, columns), np.float32)
    inset = (step - side) // 2
    for j in range(rows):
        y0 = top + j * step + inset
        for i in range(columns):
            x0 = left + i * step + inset
            total, count = 0.0, 0
            for y in range(max(y0, 0), min(y0 + side, height)):
                for x in range(max(x0, 0), min(x0 + side, width)):
                    if not mask[y, x] and np.isfinite(image[y, x]):
                        total += image[y, x]
                        count += 1
            out[j, i] = total / count if 2 * count > side * side else np.nan
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def median_3x3(image):
    """Median of each pixel and its eight neighbours; the edge's pixels count for those beyond it.

    Parameters
    ----------
    image : (rows, columns) float32
        Finite.

    Returns
    -------
    (rows, columns) float32

    Notes
    -----
    Each column of three is sorted; the median of nine is that of the greatest least, the middle of the
    middles and the least greatest. Minima and maxima only, so that the loops vectorise.
    """
    rows, columns = image.shape
    out = np.empty((rows, columns), np.float32)
    low = np.empty(columns + 2, np.float32)
    mid, high = np.empty_like(low), np.empty_like(low)
    for j in range(rows):
        above, here, below = image[max(j - 1, 0)], image[j], image[min(j + 1, rows - 1)]
        for i in range(columns):
            a, b, c = above[i], here[i], below[i]
            small, large = min(a, b), max(a, b)
            low[i + 1], high[i + 1] = min(small, c), max(large, c)
            mid[i + 1] = max(small, min(large, c))
        for row in (low, mid, high):
            row[0], row[columns + 1] = row[1], row[columns]
        for i in range(columns):
            least = max(max(low[i], low[i + 1]), low[i + 2])
            small, large = min(mid[i], mid[i + 1]), max(mid[i], mid[i + 1])
            middle = max(small, min(large, mid[i + 2]))
            greatest = min(min(high[i], high[i + 1]), high[i + 2])
            small, large = min(least, middle), max(least, middle)
            out[j, i] = max(small, min(large, greatest))
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def profiles(image, mask, x, y, normal_x, normal_y, half_width, step):
    """Bilinear samples along the outward normal through each point, from outside to inside.

    Parameters
    ----------
    image : (rows, columns) float32
    mask : (rows, columns) bool
    x, y, normal_x, normal_y : (n,) float64
        Points and unit outward normals, pixels.
    half_width, step : float
        Reach to either side and spacing, pixels.

    Returns
    -------
    (n, 2 * half_width / step + 1) float32
        Sample k lies ``half_width - k * step`` outward of the point; NaN off the frame or on the mask.
    """
    rows, columns = image.shape
    n_samples = 2 * int(np.round(half_width / step)) + 1
    out = np.empty((x.size, n_samples), np.float32)
    for p in range(x.size):
        for k in range(n_samples):
            s = half_width - k * step
            u, v = x[p] + s * normal_x[p], y[p] + s * normal_y[p]
            i, j = int(np.floor(u)), int(np.floor(v))
            value = np.nan
            if 0 <= i < columns - 1 and 0 <= j < rows - 1:
                du, dv = u - i, v - j
                if not (mask[j, i] or mask[j, i + 1] or mask[j + 1, i] or mask[j + 1, i + 1]):
                    value = (1 - dv) * ((1 - du) * image[j, i] + du * image[j, i + 1]) + dv * (
                        (1 - du) * image[j + 1, i] + du * image[j + 1, i + 1]
                    )
            out[p, k] = value
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def edge_positions(profile, threshold, inner, outer):
    """Where each profile, coming from the sky, climbs most steeply onto the lit surface.

    Parameters
    ----------
    profile : (n, m) float32
        Samples from outside to inside.
    threshold : float
        A level above the sky's noise; its first crossing finds the edge.
    inner : tuple of int
        Samples behind the crossing, from and to, whose maximum is the surface's level: towards the
        horns of a crescent the brightness falls again within a few pixels.
    outer : int
        Samples before the crossing whose mean is the sky's level; they must all be sky.

    Returns
    -------
    (n, 4) float64
        Sample number of the edge (NaN where there is no usable one), level of the surface,
        level of the sky, and the share of the step that lies within ``outer - 2`` samples of its middle.
    """
    n, m = profile.shape
    out = np.full((n, 4), np.nan)
    for p in range(n):
        first = -1
        for k in range(1, m):
            if not np.isfinite(profile[p, k]):
                continue
            if profile[p, k] >= threshold:
                first = k
                break
        if first < outer + 1 or first + inner[1] >= m:
            continue
        usable = True
        for k in range(first - outer, first + inner[1] + 1):
            usable = usable and np.isfinite(profile[p, k])
        if not usable:
            continue
        sky = 0.0
        for k in range(first - outer, first - outer // 2):
            sky += profile[p, k]
        sky /= outer - outer // 2
        level, half = 0.0, 0.0
        at = float(first)
        # The first pass measures the level behind the crossing, the second behind the half height.
        for _ in range(2):
            k0 = round(at)
            if k0 + inner[1] >= m:
                level = np.nan
                break
            level = -np.inf
            for k in range(k0 + inner[0], k0 + inner[1] + 1):
                level = max(level, profile[p, k])
            half = sky + 0.5 * (level - sky)
            found = False
            for k in range(max(1, first - outer + 1), k0 + inner[1] + 1):
                if profile[p, k] >= half and profile[p, k - 1] < half:
                    at = k - 1 + (half - profile[p, k - 1]) / (profile[p, k] - profile[p, k - 1])
                    found = True
                    break
            if not found:
                level = np.nan
                break
        if not np.isfinite(level) or level <= threshold:
            continue
        lo, hi = round(at) - outer + 2, round(at) + outer - 2
        out[p, 1], out[p, 2] = level, sky
        if lo >= 0 and hi < m:
            out[p, 3] = (profile[p, hi] - profile[p, lo]) / (level - sky)
        out[p, 0] = _steepest(profile[p], at, 3)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _steepest(profile, at, reach):
    """Sample number of the steepest climb within ``reach`` of ``at``; ``at`` where none is inside.

    Unlike the half height it does not depend on how the surface brightens or darkens behind its edge.
    """
    middle = round(at)
    if middle - reach < 2 or middle + reach > profile.size - 3:
        return at
    best, where = -np.inf, middle
    for k in range(middle - reach, middle + reach + 1):
        climb = _climb(profile, k)
        if climb > best:
            best, where = climb, k
    if where in (middle - reach, middle + reach):
        return at
    before, after = _climb(profile, where - 1), _climb(profile, where + 1)
    bend = before - 2.0 * best + after
    return where + 0.5 * (before - after) / bend if bend < 0.0 else at


@njit(cache=True, nogil=True, error_model="numpy")
def _climb(profile, k):
    """Slope at sample k over four samples, the inner two counted twice."""
    return 2.0 * (profile[k + 1] - profile[k - 1]) + profile[k + 2] - profile[k - 2]


@njit(cache=True, nogil=True, error_model="numpy")
def search_circle(x, y, normal_x, normal_y, weight, n_trials, radius_min, radius_max, tolerance):
    """Circle through three of the points that the most weight agrees with (RANSAC, fixed seed).

    A point agrees if it is near the circle and its outward normal points away from the centre;
    a point that lies outside the circle counts against it by half its weight, for the
    body cannot stick out of its own limb.

    Parameters
    ----------
    x, y, normal_x, normal_y, weight : (n,) float64
    n_trials : int
    radius_min, radius_max : float
    tolerance : tuple of float
        Relative to the radius, and its floor and ceiling in pixels.

    Returns
    -------
    (4,) float64
        Centre x, y, radius, score; score 0 where nothing was found.
    """
    n = x.size
    best = np.zeros(4)
    state = np.uint64(88172645463325252)
    picked = np.empty(3, np.int64)
    for _ in range(n_trials):
        for t in range(3):
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            picked[t] = np.int64(state % np.uint64(n))
        i, j, k = picked[0], picked[1], picked[2]
        ax, ay = x[j] - x[i], y[j] - y[i]
        bx, by = x[k] - x[i], y[k] - y[i]
        det = 2.0 * (ax * by - ay * bx)
        if abs(det) < 1e-6:
            continue
        a2, b2 = ax * ax + ay * ay, bx * bx + by * by
        ux, uy = (by * a2 - ay * b2) / det, (ax * b2 - bx * a2) / det
        radius = np.hypot(ux, uy)
        if not radius_min <= radius <= radius_max:
            continue
        cx, cy = x[i] + ux, y[i] + uy
        reach = min(max(tolerance[0] * radius, tolerance[1]), tolerance[2])
        score = 0.0
        for p in range(n):
            dx, dy = x[p] - cx, y[p] - cy
            d = np.hypot(dx, dy)
            if abs(d - radius) <= reach:
                if dx * normal_x[p] + dy * normal_y[p] > 0.8 * d:
                    score += weight[p]
            elif d > radius:
                score -= 0.5 * weight[p]
        if score > best[3]:
            best[0], best[1], best[2], best[3] = cx, cy, radius, score
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def normal_equations(angle, fall, weight, misfit, first_order, n_orders):
    """Weighted normal equations of a nearly round limb, all lengths in units of its radius.

    The unknowns are the centre's x and y, the mean radius, two of the flattening vector, the terminator's
    fall, and cosine and sine of each order of relief.

    Parameters
    ----------
    angle, fall, weight, misfit : (n,) float64
        Direction of each point, share of the terminator's fall there, weight, distance beyond the ellipse.
    first_order, n_orders : int
        Waves per turn of the longest relief, and how many orders follow.

    Returns
    -------
    tuple of numpy.ndarray
        Normal matrix (m, m), right side (m,) and design (n, m).
    """
    n, m = angle.size, 6 + 2 * n_orders
    design = np.empty((n, m))
    normal = np.zeros((m, m))
    right = np.zeros(m)
    for p in range(n):
        row = design[p]
        c, s = np.cos(angle[p]), np.sin(angle[p])
        row[0], row[1], row[2] = c, s, 1.0
        row[5] = -fall[p]
        a, b = c, s
        for order in range(2, first_order + n_orders):
            a, b = a * c - b * s, a * s + b * c
            if order == 2:
                row[3], row[4] = a, b
            elif order >= first_order:
                row[6 + 2 * (order - first_order)], row[7 + 2 * (order - first_order)] = a, b
        for i in range(m):
            scaled = weight[p] * row[i]
            right[i] += scaled * misfit[p]
            for j in range(i + 1):
                normal[i, j] += scaled * row[j]
    for i in range(m):
        for j in range(i):
            normal[j, i] = normal[i, j]
    return normal, right, design
