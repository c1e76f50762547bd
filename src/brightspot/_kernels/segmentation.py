"""Outliers of the levelled image as objects: one per peak, split at significant saddles."""

from __future__ import annotations

import numpy as np
from numba import njit

_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}


@njit(**_OPTIONS)
def collect(smooth, sign, threshold, floor_share, step, y0, x0, flat, value):
    """Pixels above their block's floor, in blocks that can belong to an object.

    ``threshold`` (rows, columns) float32, inf where nothing may be found. Writes flat indices
    and values (``sign * smooth``) and returns their number.
    """
    ny, nx = smooth.shape
    rows, columns = threshold.shape
    n = 0
    for j in range(rows):
        y1 = y0 + (j + 1) * step if j + 1 < rows else ny
        for y in range(y0 + j * step if j else 0, y1):
            for i in range(columns):
                floor = np.float32(floor_share) * threshold[j, i]
                if not floor < np.inf:
                    continue
                x1 = x0 + (i + 1) * step if i + 1 < columns else nx
                for x in range(x0 + i * step if i else 0, x1):
                    v = np.float32(sign) * smooth[y, x]
                    if v > floor:
                        flat[n] = y * nx + x
                        value[n] = v
                        n += 1
    return n


@njit(**_OPTIONS)
def sort_descending(flat, value, n):
    """Stable radix sort of positive float32 values, largest first; returns sorted copies."""
    key = value[:n].view(np.uint32).copy()
    index = flat[:n].copy()
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
    return index, key.view(np.float32)


@njit(**_OPTIONS)
def _root(parent, k):
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k


@njit(**_OPTIONS)
def grow(index, value, smooth, sign, rms, depth_share, depth_sigma, step, y0, x0, labels):
    """Flood from the peaks down; join what has no significant saddle, keep apart what has.

    A peak stays an object of its own where it stands above the saddle to a higher one by at least
    ``depth_share`` of its height and ``depth_sigma`` local scatters. ``labels`` (ny, nx) int32, zero on
    entry, receives provisional numbers. Returns parents (union-find), peak values, peak indices, saddles,
    and the higher object beyond each one's first saddle (0 = none).
    """
    ny, nx = smooth.shape
    rows, columns = rms.shape
    n = index.size
    parent = np.empty(n + 1, np.int32)
    peak = np.empty(n + 1, np.float32)
    place = np.empty(n + 1, np.int64)
    saddle = np.zeros(n + 1, np.float32)
    partner = np.zeros(n + 1, np.int32)
    flat = labels.ravel()
    near = np.empty(8, np.int32)
    count = 0
    for k in range(n):
        p = index[k]
        y, x = p // nx, p % nx
        first, alone = 0, True
        for yy in range(max(y - 1, 0), min(y + 2, ny)):
            for xx in range(max(x - 1, 0), min(x + 2, nx)):
                label = flat[yy * nx + xx]
                if label != 0:
                    alone = alone and (first == 0 or label == first)
                    first = label
        if first and alone:
            # Most pixels touch one object only.
            flat[p] = _root(parent, first)
            continue
        v = value[k]
        found = 0
        steepest = np.float32(-np.inf)
        uphill = 0
        highest = 0
        for yy in range(max(y - 1, 0), min(y + 2, ny)):
            for xx in range(max(x - 1, 0), min(x + 2, nx)):
                label = flat[yy * nx + xx]
                if label == 0:
                    continue
                root = _root(parent, label)
                height = np.float32(sign) * smooth[yy, xx]
                if height > steepest:
                    steepest = height
                    uphill = root
                if highest == 0 or peak[root] > peak[highest]:
                    highest = root
                new = True
                for f in range(found):
                    new = new and near[f] != root
                if new:
                    near[found] = root
                    found += 1
        if found == 0:
            count += 1
            parent[count] = count
            peak[count] = v
            place[count] = p
            uphill = count
        for f in range(found):
            q = near[f]
            if q == highest:
                continue
            j = min(max((place[q] // nx - y0) // step, 0), rows - 1)
            i = min(max((place[q] % nx - x0) // step, 0), columns - 1)
            if peak[q] - v < max(depth_share * peak[q], depth_sigma * rms[j, i]):
                parent[q] = highest
                saddle[highest] = max(saddle[highest], saddle[q])
            else:
                if saddle[q] == 0.0:
                    partner[q] = highest
                saddle[q] = max(saddle[q], v)
                saddle[highest] = max(saddle[highest], v)
        flat[p] = uphill
    return (
        parent[: count + 1],
        peak[: count + 1],
        place[: count + 1],
        saddle[: count + 1],
        partner[: count + 1],
    )


@njit(**_OPTIONS)
def settle(
    index,
    value,
    labels,
    parent,
    peak,
    place,
    saddle,
    partner,
    threshold,
    footprint_share,
    step,
    y0,
    x0,
):
    """Final numbers for the objects above threshold, and their bounding boxes.

    Pixels below ``footprint_share`` of their object's peak leave it. Returns arrays of the n
    objects: peak value, peak y and x, saddle, box (y0, x0, y1, x1: first and last), pixels, and the
    index of the higher neighbour beyond the first saddle (-1 = none).
    Objects are numbered in order of rows, then columns, of their peaks' places in ``index``.
    """
    nx = labels.shape[1]
    flat = labels.ravel()
    rows, columns = threshold.shape
    count = parent.size - 1
    number = np.zeros(count + 1, np.int32)
    n = 0
    for k in range(1, count + 1):
        if parent[k] != k:
            continue
        y, x = place[k] // nx, place[k] % nx
        j = min(max((y - y0) // step, 0), rows - 1)
        i = min(max((x - x0) // step, 0), columns - 1)
        if peak[k] >= threshold[j, i]:
            n += 1
            number[k] = n
    out_peak = np.zeros(n, np.float32)
    out_place = np.zeros((n, 2), np.int32)
    out_saddle = np.zeros(n, np.float32)
    box = np.zeros((n, 4), np.int32)
    pixels = np.zeros(n, np.int32)
    for k in range(1, count + 1):
        if number[k]:
            o = number[k] - 1
            out_peak[o] = peak[k]
            out_place[o, 0] = place[k] // nx
            out_place[o, 1] = place[k] % nx
            out_saddle[o] = saddle[k]
            box[o, 0] = box[o, 2] = out_place[o, 0]
            box[o, 1] = box[o, 3] = out_place[o, 1]
    for k in range(index.size):
        p = index[k]
        root = _root(parent, flat[p])
        o = number[root]
        if o == 0 or value[k] < footprint_share * peak[root]:
            flat[p] = 0
            continue
        flat[p] = o
        y, x = p // nx, p % nx
        o -= 1
        pixels[o] += 1
        box[o, 0] = min(box[o, 0], y)
        box[o, 1] = min(box[o, 1], x)
        box[o, 2] = max(box[o, 2], y)
        box[o, 3] = max(box[o, 3], x)
    neighbour = np.full(n, -1, np.int32)
    for k in range(1, count + 1):
        if number[k] and partner[k]:
            neighbour[number[k] - 1] = number[_root(parent, partner[k])] - 1
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
