"""Compiled loops of the rendered camera: blur, motion during the exposure, bleeding charge."""

from __future__ import annotations

import numpy as np
from numba import njit

from brightspot._kernels.ground import _bilinear


@njit(cache=True, nogil=True, error_model="numpy")
def convolve_rows_columns(image, weights):
    """Separable convolution with one odd symmetric kernel; edges repeat."""
    rows, columns = image.shape
    half = weights.size // 2
    wide = np.empty((rows, columns), np.float32)
    for j in range(rows):
        for i in range(columns):
            total = 0.0
            if half <= i < columns - half:
                for k in range(weights.size):
                    total += weights[k] * image[j, i + k - half]
            else:
                for k in range(weights.size):
                    total += weights[k] * image[j, min(max(i + k - half, 0), columns - 1)]
            wide[j, i] = total
    out = np.zeros((rows, columns), np.float32)
    for j in range(rows):
        for k in range(weights.size):
            source = wide[min(max(j + k - half, 0), rows - 1)]
            w = np.float32(weights[k])
            for i in range(columns):
                out[j, i] += w * source[i]
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def smear(image, dx, dy, steps):
    """Mean of ``steps`` copies shifted along (dx, dy) px, centred: motion during the exposure."""
    rows, columns = image.shape
    out = np.zeros((rows, columns), np.float32)
    for k in range(steps):
        f = (k + 0.5) / steps - 0.5
        for j in range(rows):
            for i in range(columns):
                out[j, i] += _bilinear(image, i - f * dx, j - f * dy) / steps
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def bleed_columns(electrons, full_well):
    """Charge above the full well spills half up, half down the column until it finds room; in place."""
    rows, columns = electrons.shape
    for i in range(columns):
        for step in (1, -1):
            carry = 0.0
            for n in range(rows):
                j = n if step == 1 else rows - 1 - n
                value = electrons[j, i]
                if value > full_well:
                    spill = 0.5 * (value - full_well) if step == 1 else value - full_well
                    carry += spill
                    electrons[j, i] = value - spill
                elif carry > 0.0:
                    take = min(carry, full_well - value)
                    electrons[j, i] = value + take
                    carry -= take
        for j in range(rows):
            electrons[j, i] = min(electrons[j, i], full_well)
