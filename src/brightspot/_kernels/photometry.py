"""Disk functions over arrays of cosines: one compiled pass each."""

from __future__ import annotations

import math

from numba import njit

DEGREE = math.pi / 180.0


@njit(cache=True, nogil=True, error_model="numpy")
def akimov(mu0, mu, phase_deg, out):
    """Akimov's function of flat float32 arrays into ``out``: 0 where unlit, NaN off the body."""
    for n in range(out.size):
        m0, m = float(mu0[n]), float(mu[n])
        alpha = float(phase_deg[n]) * DEGREE
        if m0 <= 0.0:
            out[n] = 0.0
        elif alpha < 1e-6:
            out[n] = 1.0
        else:
            tangent = (m0 / m - math.cos(alpha)) / math.sin(alpha)
            gamma = math.atan(tangent)
            cos_gamma = 1.0 / math.sqrt(1.0 + tangent * tangent)
            cos_beta = min(m / cos_gamma, 1.0)
            bend = math.pi / (math.pi - alpha)
            out[n] = (
                math.cos(0.5 * alpha)
                * math.cos(bend * (gamma - 0.5 * alpha))
                * cos_beta ** (bend - 1.0)
                / cos_gamma
            )


@njit(cache=True, nogil=True, error_model="numpy")
def lunar_lambert(mu0, mu, weight, out):
    """``weight`` times Lommel-Seeliger plus the rest times Lambert; weight 1 and 0 are these two alone."""
    for n in range(out.size):
        m0, m = mu0[n], mu[n]
        value = weight * 2.0 * m0 / (m0 + m) + (1.0 - weight) * m0
        out[n] = 0.0 if m0 <= 0.0 else value


@njit(cache=True, nogil=True, error_model="numpy")
def minnaert(mu0, mu, exponent, out):
    """mu0^k mu^(k-1)."""
    for n in range(out.size):
        m0, m = float(mu0[n]), float(mu[n])
        out[n] = 0.0 if m0 <= 0.0 else m0**exponent * m ** (exponent - 1.0)
