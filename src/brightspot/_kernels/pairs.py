"""Second tops of objects in the sharpened picture, and what lies between two tops."""

from __future__ import annotations

import numpy as np
from numba import njit

from brightspot._kernels.segmentation import climb, join, root_of, row_column
from brightspot._kernels.shading import between
from brightspot._kernels.sharpness import sharpness_at

_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}

SAMPLES = 33  # along the line from top to top, ends included
GAP, BEYOND, ASIDE = 12, 10, 8  # cells of a patch from top to top, beyond each of them, to either side


@njit(**_OPTIONS)
def find_higher(peak_yx, radius, neighbour, reach, out):
    """Index of the higher object within ``reach`` radii of both that each is nearest to, -1 for none.

    Objects from the highest down; ``peak_yx`` (n, 2), ``radius`` (n,), ``neighbour`` (n,) the one beyond the
    first saddle (-1 for none), which comes before nearer ones. Writes to ``out`` (n,).
    """
    for k in range(radius.size):
        out[k] = -1
        least = np.inf
        for m in range(k):
            dy, dx = peak_yx[k, 0] - peak_yx[m, 0], peak_yx[k, 1] - peak_yx[m, 1]
            gap2 = float(dy * dy + dx * dx)
            if gap2 > (reach * (radius[k] + radius[m])) ** 2:
                continue
            if m == neighbour[k]:
                gap2 = -1.0
            if gap2 < least:
                least, out[k] = gap2, m


@njit(**_OPTIONS)
def _sharp(smooth, sign, gain, y, x):
    """``sign * smooth`` at a pixel, and the same plus ``gain`` times what it exceeds its 3 x 3 mean by."""
    ny, nx = smooth.shape
    around = np.float32(0.0)
    for v in range(y - 1, y + 2):
        line = smooth[min(max(v, 0), ny - 1)]
        # Symmetric in x, so that a mirrored picture gives the same sum.
        around += (line[max(x - 1, 0)] + line[min(x + 1, nx - 1)]) + line[x]
    here = sign * smooth[y, x]
    return here, here + gain * (here - sign * around / np.float32(9.0))


@njit(**_OPTIONS)
def _fill_window(smooth, sign, labels, o, least, gain, y0, x0, height, flat):
    """Sharpened heights of a window of ``smooth`` from (y0, x0), and the flat indices of those used.

    ``height`` (rows + 2, columns + 2), 0 on entry. Used is what belongs to object ``o`` or to none, above
    ``least``. Returns how many.
    """
    n = 0
    for j in range(height.shape[0] - 2):
        for i in range(height.shape[1] - 2):
            label = labels[y0 + j, x0 + i]
            if label != 0 and label != o + 1:
                continue
            here, sharp = _sharp(smooth, sign, gain, y0 + j, x0 + i)
            if here >= least and sharp > 0.0:
                height[j + 1, i + 1] = sharp
                flat[n] = (j + 1) * height.shape[1] + i + 1
                n += 1
    return n


@njit(**_OPTIONS)
def _leans_on_another(smooth, sign, labels, o, gain, y, x):
    """Whether a pixel is the flank of an object other than ``o``.

    It is if beside a higher pixel of that one in the sharpened picture, or if the steepest way up in the
    picture itself leads there.
    """
    _, own = _sharp(smooth, sign, gain, y, x)
    for v in range(max(y - 1, 0), min(y + 2, labels.shape[0])):
        for u in range(max(x - 1, 0), min(x + 2, labels.shape[1])):
            if labels[v, u] != 0 and labels[v, u] != o + 1 and _sharp(smooth, sign, gain, v, u)[1] > own:
                return True
    while labels[y, x] == 0:
        high, j, i = sign * smooth[y, x], y, x
        for v in range(max(y - 1, 0), min(y + 2, labels.shape[0])):
            for u in range(max(x - 1, 0), min(x + 2, labels.shape[1])):
                if sign * smooth[v, u] > high:
                    high, j, i = sign * smooth[v, u], v, u
        if j == y and i == x:
            return False
        y, x = j, i
    return labels[y, x] != o + 1


@njit(**_OPTIONS)
def find_tops(
    smooth, sign, labels, peak, peak_yx, box, which, rms, gain, least_share, depth_share, depth_sigma,
    margin, step, y0, x0, owner, place, share, pixels, top,
):  # fmt: skip
    """Second tops of objects ``which`` in the sharpened picture, each in a window ``margin`` wider than it.

    A top counts where it stands above the saddle to a higher one by ``depth_share`` of its height and
    ``depth_sigma`` local scatters. Writes to ``owner`` its object, to ``place`` (room, 4) row and column of
    it and of the higher top, to ``share`` its saddle over its height; and to ``pixels`` (room, 2) and
    ``top`` the pixels that lead to a top, and which one. Returns how many tops and pixels.
    """
    tops, n_pixels = 0, 0
    for o in which:
        if labels[peak_yx[o, 0], peak_yx[o, 1]] != o + 1:
            continue
        j0, i0 = max(box[o, 0] - margin, 0), max(box[o, 1] - margin, 0)
        rows = min(box[o, 2] + margin, smooth.shape[0] - 1) - j0 + 1
        columns = min(box[o, 3] + margin, smooth.shape[1] - 1) - i0 + 1
        image = np.zeros((rows + 2, columns + 2), np.float32)
        flat = np.empty(rows * columns, np.uint32)
        n = _fill_window(smooth, sign, labels, o, least_share * peak[o], gain, j0, i0, image, flat)
        flat, height, width = flat[:n], image.ravel(), columns + 2
        up, basin = np.empty(height.size, np.uint32), np.zeros(height.size, np.uint32)
        peaks, meets = climb(flat, height, width, up, basin)
        parent, saddle, partner = join(
            height, width, basin, peaks, meets, rms, depth_share, depth_sigma, step, y0 - j0, x0 - i0
        )
        own = basin[(peak_yx[o, 0] - j0 + 1) * width + peak_yx[o, 1] - i0 + 1]
        if own == 0:  # the peak is none in the sharpened picture
            continue
        main = root_of(parent, own)
        number = np.full(peaks.size, -1, np.int64)
        for b in range(1, peaks.size):
            if parent[b] != b or b == main or tops == owner.size:
                continue
            y, x = row_column(peaks[b], width)
            if _leans_on_another(smooth, sign, labels, o, gain, y + j0, x + i0):
                continue
            # The highest in the sharpened picture may not be the object's own peak, or may not touch it.
            other = root_of(parent, partner[b]) if partner[b] else main
            v, u = row_column(peaks[other], width)
            owner[tops], share[tops] = o, saddle[b] / height[peaks[b]]
            place[tops, 0], place[tops, 1], place[tops, 2], place[tops, 3] = y + j0, x + i0, v + j0, u + i0
            number[b] = tops
            tops += 1
        for p in flat:
            k = number[root_of(parent, basin[p])]
            if k >= 0:
                y, x = row_column(p, width)
                pixels[n_pixels, 0], pixels[n_pixels, 1], top[n_pixels] = y + j0, x + i0, k
                n_pixels += 1
    return tops, n_pixels


@njit(**_OPTIONS)
def look_between(ratio, smooth, sign, gain, place, out):
    """Heights of two tops and the lowest between them on a straight line, in the picture and sharpened.

    ``place`` (n, 4): row and column of the one and of the other. ``out`` (n, 8) float32: the one, the
    other, lowest; the same of the sharpened picture; and how sharp the one is in the unsmoothed ``ratio``:
    mean and highest of its four neighbours over it.
    """
    ny, nx = smooth.shape
    for k in range(place.shape[0]):
        y0, x0, y1, x1 = place[k, 0], place[k, 1], place[k, 2], place[k, 3]
        out[k, 0], out[k, 3] = _sharp(smooth, sign, gain, y0, x0)
        out[k, 1], out[k, 4] = _sharp(smooth, sign, gain, y1, x1)
        out[k, 2], out[k, 5] = min(out[k, 0], out[k, 1]), min(out[k, 3], out[k, 4])
        out[k, 6], out[k, 7], _ = sharpness_at(ratio, sign, y0, x0)
        for s in range(1, SAMPLES - 1):
            y = (y0 * (SAMPLES - 1 - s) + y1 * s) / (SAMPLES - 1)
            x = (x0 * (SAMPLES - 1 - s) + x1 * s) / (SAMPLES - 1)
            j, i = min(int(y), ny - 2), min(int(x), nx - 2)
            fy, fx = y - j, x - i
            low, sharp = 0.0, 0.0
            for v in range(2):
                for u in range(2):
                    share = (fy if v else 1.0 - fy) * (fx if u else 1.0 - fx)
                    if share > 0.0:
                        here, sharper = _sharp(smooth, sign, gain, j + v, i + u)
                        low += share * here
                        sharp += share * sharper
            out[k, 2], out[k, 5] = min(out[k, 2], low), min(out[k, 5], sharp)


@njit(**_OPTIONS)
def cut_pairs(ratio, smooth, sign, place, out):
    """The picture around two tops, in heights of the lower one; rows along the line from top to top.

    ``place`` (n, 4): row and column of the lower and of the higher top. ``out`` (n, 2 ASIDE + 1, GAP + 2
    BEYOND + 1) float32: from the unsmoothed ``ratio``, 0 outside of the picture. The higher top lies in
    column BEYOND of the middle row, the lower one GAP columns on.
    """
    for k in range(place.shape[0]):
        height = max(abs(smooth[place[k, 0], place[k, 1]]), np.float32(1e-3))
        dy, dx = place[k, 0] - place[k, 2], place[k, 1] - place[k, 3]
        for b in range(-ASIDE, ASIDE + 1):
            for a in range(-BEYOND, GAP + BEYOND + 1):
                # Whole numbers until they are divided, so that what lies on the border stays there.
                y, x = place[k, 2] + (a * dy - b * dx) / GAP, place[k, 3] + (a * dx + b * dy) / GAP
                v = sign * between(ratio, y, x) / height
                out[k, b + ASIDE, a + BEYOND] = min(max(v, -3.0), 9.0)
