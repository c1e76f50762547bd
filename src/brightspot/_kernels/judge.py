"""The judge's models: trees, and a small convolutional network."""

from __future__ import annotations

import numpy as np
from numba import njit

_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}

LANES = 64  # patches that go through the network side by side


@njit(**_OPTIONS)
def sum_trees(features, feature, number, right, missing_left, root, score):
    """Add up the leaves that each row of ``features`` (n, m) falls into.

    Nodes in depth-first order: the left child follows its parent, the right one is ``right`` nodes on. A
    node with ``feature`` < 0 is a leaf and ``number`` its value, else ``number`` is the threshold.
    """
    for o in range(features.shape[0]):
        row = features[o]
        total = 0.0
        for t in range(root.size):
            node = np.uint64(root[t])
            column = feature[node]
            while column >= 0:
                v = row[np.uint64(column)]
                left = (v <= number[node]) | ((v != v) & missing_left[node])
                node += np.uint64(1) if left else np.uint64(right[node])
                column = feature[node]
            total += number[node]
        score[o] = total


@njit(**_OPTIONS)
def _add_products(values, matrix, sums):
    """Add ``matrix.T @ values`` to ``sums``: (k, lanes), (k, n) and (n, lanes), all float32, n even.

    Lanes never mix, so what comes out of one does not depend on what is in the others. Two sums are worked on
    side by side, so that what is read of ``values`` serves both.
    """
    inner, lanes = values.shape
    whole = inner // 4 * 4
    for n in range(0, sums.shape[0], 2):
        one, two = sums[n], sums[n + 1]
        for k in range(0, whole, 4):
            v0, v1, v2, v3 = values[k], values[k + 1], values[k + 2], values[k + 3]
            a0, a1, a2, a3 = matrix[k, n], matrix[k + 1, n], matrix[k + 2, n], matrix[k + 3, n]
            b0, b1, b2, b3 = (
                matrix[k, n + 1],
                matrix[k + 1, n + 1],
                matrix[k + 2, n + 1],
                matrix[k + 3, n + 1],
            )
            for b in range(lanes):
                one[b] += (a0 * v0[b] + a1 * v1[b]) + (a2 * v2[b] + a3 * v3[b])
                two[b] += (b0 * v0[b] + b1 * v1[b]) + (b2 * v2[b] + b3 * v3[b])
        for k in range(whole, inner):
            v0, a0, b0 = values[k], matrix[k, n], matrix[k, n + 1]
            for b in range(lanes):
                one[b] += a0 * v0[b]
                two[b] += b0 * v0[b]


@njit(**_OPTIONS)
def _connect(values, matrix, bias, out):
    """Nothing below zero of ``matrix.T @ values + bias``, lane by lane."""
    for n in range(bias.size):
        out[n] = bias[n]
    _add_products(values, matrix, out)
    _cut(out)


@njit(**_OPTIONS)
def _cut(values):
    for n in range(values.shape[0]):
        row = values[n]
        for b in range(row.size):
            row[b] = max(row[b], np.float32(0.0))


@njit(**_OPTIONS)
def _convolve(image, kernel, bias, out):
    """Correlation at every second row and column, nothing below zero; borders are padded with zeros.

    ``image`` (rows, columns, channels, lanes), ``kernel`` (width, width, channels, new channels).
    """
    ny, nx, channels, lanes = image.shape
    width = kernel.shape[0]
    half = width // 2
    for j in range(out.shape[0]):
        for i in range(out.shape[1]):
            cell = out[j, i]
            for n in range(bias.size):
                cell[n] = bias[n]
            x0, x1 = max(0, half - 2 * i), min(width, nx + half - 2 * i)
            x = 2 * i - half
            for ky in range(max(0, half - 2 * j), min(width, ny + half - 2 * j)):
                inner = (x1 - x0) * channels
                values = image[2 * j + ky - half, x + x0 : x + x1].reshape(inner, lanes)
                _add_products(values, kernel[ky, x0:x1].reshape(inner, bias.size), cell)
            _cut(cell)


@njit(**_OPTIONS)
def judge_looks(patches, told, half_turn, k1, b1, k2, b2, k3, b3, m1, c1, m2, c2, m3, c3, last, base, score):
    """Log-odds (n,) that a network gives to patches (n, rows, columns), and ``told`` (n, m) of each.

    Three convolutions, one matrix; then, with what is told, three more. All float32. The mean of a patch
    and of the same turned by half a turn, or else with its rows in reverse: what depends on how it lies is no
    property of the place.
    """
    n, rows, columns = patches.shape
    # Batches of one size, so that the last one is not nearly empty.
    batches = max((2 * n + LANES - 1) // LANES, 1)
    half = max(((n + batches - 1) // batches + 3) // 4 * 4, 4)
    lanes = 2 * half
    image = np.zeros((rows, columns, 1, lanes), np.float32)
    first = np.empty(((rows + 1) // 2, (columns + 1) // 2, b1.size, lanes), np.float32)
    second = np.empty(((first.shape[0] + 1) // 2, (first.shape[1] + 1) // 2, b2.size, lanes), np.float32)
    third = np.empty(((second.shape[0] + 1) // 2, (second.shape[1] + 1) // 2, b3.size, lanes), np.float32)
    both = np.zeros((c1.size + told.shape[1], lanes), np.float32)
    h2, h3 = np.empty((c2.size, lanes), np.float32), np.empty((c3.size, lanes), np.float32)
    for start in range(0, n, half):
        end = min(start + half, n)
        for o in range(start, end):
            lane = o - start
            for y in range(rows):
                for x in range(columns):
                    image[y, x, 0, lane] = patches[o, y, x]
                    image[y, x, 0, lane + half] = patches[
                        o, rows - 1 - y, columns - 1 - x if half_turn else x
                    ]
            for m in range(told.shape[1]):
                both[c1.size + m, lane] = both[c1.size + m, lane + half] = told[o, m]
        _convolve(image, k1, b1, first)
        _convolve(first, k2, b2, second)
        _convolve(second, k3, b3, third)
        _connect(third.reshape(third.size // lanes, lanes), m1, c1, both[: c1.size])
        _connect(both, m2, c2, h2)
        _connect(h2, m3, c3, h3)
        for o in range(start, end):
            lane = o - start
            total = 0.0
            for k in range(last.size):
                total += (h3[k, lane] + h3[k, lane + half]) * last[k]
            score[o] = base[0] + 0.5 * total
