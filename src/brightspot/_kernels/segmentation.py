"""Outliers of the levelled image as objects: one per peak, split at significant saddles."""

from __future__ import annotations

import numpy as np
from numba import njit

# Typed numbers: numba compiles a function anew for every plain number that it is called with.
_ORDER = tuple(np.uint64(n) for n in range(9))
_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}


@njit(**_OPTIONS)
def collect(smooth, sign, threshold, floor_share, step, y0, x0, flat, height):
    """Pixels above their block's floor, in blocks that can belong to an object.

    ``threshold`` (rows, columns) float32, inf where nothing may be found. ``height`` (ny + 2, nx + 2) float32
    receives ``sign * smooth`` of those pixels, 0 elsewhere and all around. Writes flat indices into it, row
    by row, to ``flat`` (uint32), and returns how many there are.
    """
    ny, nx = smooth.shape
    rows, columns = threshold.shape
    sign, zero = np.float32(sign), np.float32(0.0)
    column, floor = np.empty(nx, np.int64), np.empty(nx, np.float32)
    for x in range(nx):
        column[x] = min(max((x - x0) // step, 0), columns - 1)
    height[0] = height[ny + 1] = zero
    n = 0
    for j in range(rows):
        for x in range(nx):
            floor[x] = max(np.float32(floor_share) * threshold[j, column[x]], zero)
        for y in range(y0 + j * step if j else 0, y0 + (j + 1) * step if j + 1 < rows else ny):
            line = height[y + 1]
            line[0] = line[nx + 1] = zero
            for x in range(nx):
                v = sign * smooth[y, x]
                line[x + 1] = v if v > floor[x] else zero
            start = (y + 1) * (nx + 2) + 1
            for x in range(nx):
                flat[n] = start + x
                n += line[x + 1] > zero
    return n


@njit(**_OPTIONS)
def sort_descending(flat, height):
    """Pixels ``flat`` (n,) by their positive float32 ``height``, largest first; a stable radix sort."""
    n = flat.size
    key = np.empty(n, np.float32)
    for k in range(n):
        key[k] = height[flat[k]]
    key = key.view(np.uint32)
    index = flat.copy()
    key2 = np.empty_like(key)
    index2 = np.empty_like(index)
    count = np.empty(2049, np.int64)
    for turn in range(3):
        shift = np.uint32(11 * turn)
        count[:] = 0
        for k in range(n):
            count[2047 - ((key[k] >> shift) & np.uint32(2047)) + 1] += 1
        for b in range(2048):
            count[b + 1] += count[b]
        for k in range(n):
            b = 2047 - ((key[k] >> shift) & np.uint32(2047))
            key2[count[b]] = key[k]
            index2[count[b]] = index[k]
            count[b] += 1
        key, key2 = key2, key
        index, index2 = index2, index
    return index


@njit(**_OPTIONS)
def root_of(parent, k):
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k


@njit(**_OPTIONS)
def _rank(bits, p, order):
    """Height of a pixel and its place among its neighbours in one: positive floats sort as integers do."""
    return (np.uint64(bits[p]) << np.uint64(4)) | order


@njit(**_OPTIONS)
def _uphill(bits, p, width):
    """Where the highest of a pixel and its neighbours is: 8 first of the nine in the rows ... 0 the last.

    ``bits`` are the heights as integers. The first of equals is higher. A maximum and no branches: which
    neighbour is highest cannot be foreseen.
    """
    one, up, down = np.uint64(1), p - width, p + width
    above = max(
        _rank(bits, up - one, _ORDER[8]), _rank(bits, up, _ORDER[7]), _rank(bits, up + one, _ORDER[6])
    )
    beside = max(_rank(bits, p - one, _ORDER[5]), _rank(bits, p, _ORDER[4]), _rank(bits, p + one, _ORDER[3]))
    below = max(
        _rank(bits, down - one, _ORDER[2]), _rank(bits, down, _ORDER[1]), _rank(bits, down + one, _ORDER[0])
    )
    return max(above, beside, below) & np.uint64(15)


@njit(**_OPTIONS)
def _beside_another(height, basin, p, width):
    """Whether a neighbour that stands above ``p`` is in another basin."""
    one = np.uint64(1)
    v, own = height[p], basin[p]
    another = False
    for q in (p - width - one, p - width, p - width + one, p - one):
        another |= (height[q] >= v) & (basin[q] != own)
    for q in (p + one, p + width - one, p + width, p + width + one):
        another |= (height[q] > v) & (basin[q] != own)
    return another


@njit(**_OPTIONS)
def climb(flat, height, width, up, basin):
    """The peak that each pixel leads to by its highest neighbour, and where two peaks' pixels meet.

    ``flat`` (n,) from `collect` and ``height``, raveled, in lines of ``width``. Of equal values the one first
    in the rows counts as higher. Fills ``basin`` (uint32, like ``height``) with the number of each
    pixel's basin, from 1 from the highest peak down, where ``flat`` names it; ``up`` is room of the same
    size to work in. Returns the peaks' pixels, from index 1, and those beside which there are
    higher ones of other basins, from the highest down.
    """
    n = flat.size
    w = np.uint64(width)
    bits = height.view(np.uint32)
    # By what `_uphill` says; negative steps are right modulo 2^64.
    steps = np.array([width + 1, width, width - 1, 1, 0, -1, 1 - width, -width, -width - 1]).view(np.uint64)
    top = np.empty(n, np.uint32)
    n_peaks = 0
    for k in range(n):
        p = np.uint64(flat[k])
        q = p + steps[_uphill(bits, p, w)]
        up[p] = q
        top[n_peaks] = p
        n_peaks += q == p
    peaks = np.zeros(n_peaks + 1, np.uint32)
    peaks[1:] = sort_descending(top[:n_peaks], height)
    # Each pixel's way up, halved until all end at peaks; how long one is cannot be foreseen either.
    longer = np.uint32(1)
    while longer:
        longer = np.uint32(0)
        for k in range(n):
            p = flat[k]
            q = up[up[p]]
            longer |= q ^ up[p]
            up[p] = q
    for b in range(1, n_peaks + 1):
        basin[peaks[b]] = b
    for k in range(n):
        basin[flat[k]] = basin[up[flat[k]]]
    n_meet = 0
    for k in range(n):
        top[n_meet] = flat[k]
        n_meet += _beside_another(height, basin, np.uint64(flat[k]), w)
    return peaks, sort_descending(top[:n_meet], height)


@njit(**_OPTIONS)
def join(height, width, basin, peaks, meets, rms, depth_share, depth_sigma, step, y0, x0):
    """Join basins that have no significant saddle between them, keep apart those that have.

    A peak stays an object of its own where it stands above the saddle to a higher one by at least
    ``depth_share`` of its height and ``depth_sigma`` local scatters. From the highest saddle down. All else
    from `climb`. Returns, by basin, parents (union-find), saddles, and the higher object beyond each one's
    first saddle (0 = none).
    """
    rows, columns = rms.shape
    count = peaks.size
    parent = np.arange(count).astype(np.uint32)
    top = height[peaks]
    saddle = np.zeros(count, np.float32)
    partner = np.zeros(count, np.uint32)
    near = np.empty(8, np.uint32)
    bits = height.view(np.uint32)
    steps = np.array([-width - 1, -width, 1 - width, -1, 1, width - 1, width, width + 1]).view(np.uint64)
    for k in range(meets.size):
        p = np.uint64(meets[k])
        v = height[p]
        found, highest, last = 0, np.uint32(0), np.uint32(0)
        for side in range(8):
            q = p + steps[side]
            # Of equals the earlier one is higher; neighbours are mostly of one basin.
            if bits[q] < bits[p] + np.uint32(side >= 4) or basin[q] == last:
                continue
            last = basin[q]
            root = root_of(parent, last)
            if highest == 0 or root < highest:
                highest = root
            new = True
            for f in range(found):
                new = new and near[f] != root
            if new:
                near[found] = root
                found += 1
        for f in range(found):
            q = near[f]
            if q == highest:
                continue
            y, x = row_column(peaks[q], width)
            j = min(max((y - y0) // step, 0), rows - 1)
            i = min(max((x - x0) // step, 0), columns - 1)
            if top[q] - v < max(depth_share * top[q], depth_sigma * rms[j, i]):
                parent[q] = highest
                saddle[highest] = max(saddle[highest], saddle[q])
            else:
                if saddle[q] == 0.0:
                    partner[q] = highest
                saddle[q] = max(saddle[q], v)
                saddle[highest] = max(saddle[highest], v)
    return parent, saddle, partner


@njit(**_OPTIONS)
def row_column(p, width):
    """Row and column in the image of a pixel of ``height``."""
    y = np.int64(p) // width
    return y - 1, np.int64(p) - y * width - 1


@njit(**_OPTIONS)
def settle(
    flat, height, basin, peaks, parent, saddle, partner, threshold, footprint_share, step, y0, x0, labels
):
    """Final numbers for the objects above threshold, from the highest peak down, and their bounding boxes.

    Pixels below ``footprint_share`` of their object's peak leave it. ``labels`` (ny, nx) int32, zero on
    entry, receives the numbers. Returns arrays of the n objects: peak value, peak y and x, saddle, box (y0,
    x0, y1, x1: first and last), pixels, and the index of the higher neighbour beyond the first saddle (-1 =
    none).
    """
    width = labels.shape[1] + 2
    rows, columns = threshold.shape
    count = peaks.size
    number = np.zeros(count, np.int32)
    end = np.full(count, np.float32(np.inf))  # what is no object's is below it
    own = np.empty(count, np.int32)
    n = 0
    for b in range(1, count):
        if parent[b] == b:
            y, x = row_column(peaks[b], width)
            j = min(max((y - y0) // step, 0), rows - 1)
            i = min(max((x - x0) // step, 0), columns - 1)
            top = height[peaks[b]]
            if top >= threshold[j, i]:
                own[n] = b
                n += 1
                number[b] = n
                end[b] = np.float32(footprint_share) * top
    out_peak = np.zeros(n, np.float32)
    out_place = np.zeros((n, 2), np.int32)
    out_saddle = np.zeros(n, np.float32)
    box = np.zeros((n, 4), np.int32)
    pixels = np.zeros(n, np.int32)
    neighbour = np.full(n, -1, np.int32)
    for o in range(n):
        b = own[o]
        y, x = row_column(peaks[b], width)
        out_peak[o] = height[peaks[b]]
        out_place[o, 0], out_place[o, 1] = y, x
        out_saddle[o] = saddle[b]
        box[o, 0] = box[o, 2] = y
        box[o, 1] = box[o, 3] = x
        if partner[b]:
            neighbour[o] = number[root_of(parent, partner[b])] - 1
    for b in range(1, count):
        root = root_of(parent, b)
        number[b], end[b] = number[root], end[root]
    y, first = 0, width + 1  # of a row of the image, in ``height``
    for p in flat:
        while p >= first + width:
            first += width
            y += 1
        b = basin[p]
        if height[p] < end[b]:
            continue
        x = p - first
        o = number[b] - 1
        labels[y, x] = o + 1
        pixels[o] += 1
        box[o, 0] = min(box[o, 0], y)
        box[o, 1] = min(box[o, 1], x)
        box[o, 2] = max(box[o, 2], y)
        box[o, 3] = max(box[o, 3], x)
    return out_peak, out_place, out_saddle, box, pixels, neighbour


@njit(**_OPTIONS)
def cut_detached(labels, peak_yx, which, box, n_pixels):
    """Take from objects ``which`` (m,) the pixels that no chain of neighbours of eight joins to the peak.

    ``labels``, ``box`` (n, 4: first and last row and column) and ``n_pixels`` (n,) are changed in place. An
    object whose peak is not in its footprint is left as it is.
    """
    for o in which:
        j0, i0, j1, i1 = box[o, 0], box[o, 1], box[o, 2], box[o, 3]
        y, x = peak_yx[o, 0], peak_yx[o, 1]
        if labels[y, x] != o + 1:
            continue
        reached = np.zeros((j1 - j0 + 1, i1 - i0 + 1), np.bool_)
        todo = np.empty((n_pixels[o], 2), np.int64)
        todo[0, 0], todo[0, 1] = y, x
        reached[y - j0, x - i0] = True
        done, n = 0, 1
        box[o, 0], box[o, 1], box[o, 2], box[o, 3] = y, x, y, x
        while done < n:
            y, x = todo[done, 0], todo[done, 1]
            done += 1
            box[o, 0], box[o, 1] = min(box[o, 0], y), min(box[o, 1], x)
            box[o, 2], box[o, 3] = max(box[o, 2], y), max(box[o, 3], x)
            for v in range(max(y - 1, j0), min(y + 1, j1) + 1):
                for u in range(max(x - 1, i0), min(x + 1, i1) + 1):
                    if labels[v, u] == o + 1 and not reached[v - j0, u - i0]:
                        reached[v - j0, u - i0] = True
                        todo[n, 0], todo[n, 1] = v, u
                        n += 1
        if n < n_pixels[o]:
            for v in range(j0, j1 + 1):
                for u in range(i0, i1 + 1):
                    if labels[v, u] == o + 1 and not reached[v - j0, u - i0]:
                        labels[v, u] = 0
            n_pixels[o] = n


@njit(**_OPTIONS)
def paint(image, labels, box, which, light, grow, factor, x0, y0):
    """Give the pixels of objects ``which`` (m,), and those ``grow`` steps beside them, the ``light`` (m,).

    ``image`` (ny, nx) float32 is changed in place; pixel (j, i) of ``labels`` covers its pixels from
    (y0 + factor * j, x0 + factor * i). Steps go along rows and columns.
    """
    rows, columns = labels.shape
    ny, nx = image.shape
    for k in range(which.size):
        o = which[k]
        for j in range(max(box[o, 0] - grow, 0), min(box[o, 2] + grow + 1, rows)):
            for i in range(max(box[o, 1] - grow, 0), min(box[o, 3] + grow + 1, columns)):
                near = False
                for v in range(max(j - grow, 0), min(j + grow + 1, rows)):
                    left = grow - abs(v - j)
                    for u in range(max(i - left, 0), min(i + left + 1, columns)):
                        near |= labels[v, u] == o + 1
                if near:
                    y, x = y0 + factor * j, x0 + factor * i
                    image[y : min(y + factor, ny), x : min(x + factor, nx)] = light[k]
