"""The judge's models: trees, and a small convolutional network."""

from __future__ import annotations

import numpy as np
from numba import njit

_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}


@njit(**_OPTIONS)
def sum_trees(features, feature, number, right, missing_left, root, score):
    """Add up the leaves that each row of ``features`` (n, m) falls into.

    Nodes in depth-first order: the left child follows its parent, the right one is ``right`` nodes on. A
    node with ``feature`` < 0 is a leaf and ``number`` its value, else ``number`` is the threshold.
    """
    for o in range(features.shape[0]):
        total = 0.0
        for t in range(root.size):
            node = root[t]
            while feature[node] >= 0:
                v = features[o, feature[node]]
                if v != v:
                    go_left = missing_left[node]
                else:
                    go_left = v <= number[node]
                node += 1 if go_left else right[node]
            total += number[node]
        score[o] = total


@njit(**_OPTIONS)
def _convolve(image, kernel, bias, out):
    """Correlation at every second row and column, nothing below zero; borders are padded with zeros.

    ``image`` (rows, columns, channels), ``kernel`` (width, width, channels, new channels).
    """
    ny, nx, channels = image.shape
    width = kernel.shape[0]
    half = width // 2
    for j in range(out.shape[0]):
        for i in range(out.shape[1]):
            cell = out[j, i]
            cell[:] = bias
            for ky in range(max(0, half - 2 * j), min(width, ny + half - 2 * j)):
                for kx in range(max(0, half - 2 * i), min(width, nx + half - 2 * i)):
                    for c in range(channels):
                        v = image[2 * j + ky - half, 2 * i + kx - half, c]
                        if v != 0.0:
                            row = kernel[ky, kx, c]
                            for k in range(row.size):
                                cell[k] += v * row[k]
            for k in range(cell.size):
                cell[k] = max(cell[k], np.float32(0.0))


@njit(**_OPTIONS)
def _connect(values, matrix, bias, out):
    """Nothing below zero of ``values @ matrix + bias``."""
    out[:] = bias
    for m in range(values.size):
        v = values[m]
        if v != 0.0:
            row = matrix[m]
            for k in range(row.size):
                out[k] += v * row[k]
    for k in range(out.size):
        out[k] = max(out[k], np.float32(0.0))


@njit(**_OPTIONS)
def judge_looks(patches, told, k1, b1, k2, b2, k3, b3, m1, c1, m2, c2, m3, c3, last, base, score):
    """Log-odds (n,) that a network gives to patches (n, rows, columns), and ``told`` (n, m) of each.

    Three convolutions, one matrix; then, with what is told, three more. All float32. The mean of a patch
    and of the same turned by half a turn: what depends on how it lies is no property of the place.
    """
    rows, columns = patches.shape[1:]
    image = np.empty((rows, columns, 1), np.float32)
    first = np.empty(((rows + 1) // 2, (columns + 1) // 2, b1.size), np.float32)
    second = np.empty(((first.shape[0] + 1) // 2, (first.shape[1] + 1) // 2, b2.size), np.float32)
    third = np.empty(((second.shape[0] + 1) // 2, (second.shape[1] + 1) // 2, b3.size), np.float32)
    both = np.empty(c1.size + told.shape[1], np.float32)
    h2, h3 = np.empty(c2.size, np.float32), np.empty(c3.size, np.float32)
    for o in range(patches.shape[0]):
        total = 0.0
        for turned in range(2):
            image[:, :, 0] = patches[o, ::-1, ::-1] if turned else patches[o]
            _convolve(image, k1, b1, first)
            _convolve(first, k2, b2, second)
            _convolve(second, k3, b3, third)
            _connect(third.ravel(), m1, c1, both[: c1.size])
            both[c1.size :] = told[o]
            _connect(both, m2, c2, h2)
            _connect(h2, m3, c3, h3)
            for k in range(h3.size):
                total += h3[k] * last[k]
        score[o] = base[0] + 0.5 * total
