"""Loops of the shaded disk: brightness of a spheroid far away, and its fit to a picture and its limb.

A state is one float64 array: centre x, y, log of the semi-major axis (pixels), the pole's unit vector (3),
the Sun's (3), the share of Akimov's disk function (the rest is Lunar-Lambert), log of the level, and the
exponent of the picture's stretch. Camera axes: +x right, +y down, +z towards the viewer. Steps are ten
numbers: three lengths, two turns of the pole, two of the Sun, and the last three as they are.
"""

from __future__ import annotations

import numpy as np
from numba import njit

STEPS = 10
POLE, SUN, MIX, LEVEL, STRETCH = 3, 6, 9, 10, 11
TINY = np.array([0.004, 0.004, 0.004, 0.02, 0.02, 0.01, 0.01, 0.05, 0.01, 0.02])
"""Steps of the numerical derivatives; the first two in units of the semi-major axis."""

LONGEST = np.array([0.1, 0.1, 0.1, 0.5, 0.5, 0.3, 0.3, 0.5, 0.5, 0.2])
"""Longest steps taken at once, in the same units."""

LIMB_DARKENING = 0.945
"""Weight of Lommel-Seeliger in the Lunar-Lambert part, as in ``ceres.LUNAR_LAMBERT_WEIGHT``."""

ROBUST = 3.0
"""Standard deviations beyond which a block's misfit counts less and less (Cauchy)."""


# Written out where numpy's cross, outer and matrix products would do: those take seconds to compile.


@njit(cache=True, nogil=True, error_model="numpy")
def _make_unit(vector):
    size = np.sqrt(vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2])
    for t in range(3):
        vector[t] /= size


@njit(cache=True, nogil=True, error_model="numpy")
def moved(state, step, amount):
    """A copy of the state moved by ``amount`` along one of the steps."""
    out = state.copy()
    if step < 3:
        out[step] += amount
    elif step < 7:
        first, turn = (POLE, step - 3) if step < 5 else (SUN, step - 5)
        v = state[first : first + 3]
        least = 0
        for t in range(1, 3):
            if abs(v[t]) < abs(v[least]):
                least = t
        across = np.zeros(3)
        across[least] = 1.0
        for t in range(3):
            across[t] -= v[least] * v[t]
        _make_unit(across)
        if turn == 1:
            a, b, c = across[0], across[1], across[2]
            across[0], across[1], across[2] = v[1] * c - v[2] * b, v[2] * a - v[0] * c, v[0] * b - v[1] * a
        for t in range(3):
            out[first + t] += amount * across[t]
        _make_unit(out[first : first + 3])
    else:
        out[step + 2] += amount
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def shade(x, y, state, axis_ratio, out):
    """Brightness of the spheroid at image points, relative to face-on; 0 at night and off the body.

    Parameters
    ----------
    x, y : (n,) float64
        Pixels.
    state : (12,) float64
    axis_ratio : float
        Polar over equatorial radius.
    out : (n,) float64
        Filled; Akimov's function and Lunar-Lambert mixed, raised to the stretch.
    """
    radius, squeeze = np.exp(state[2]), 1.0 / axis_ratio**2 - 1.0
    px, py, pz = state[POLE], state[POLE + 1], state[POLE + 2]
    sx, sy, sz = state[SUN], state[SUN + 1], state[SUN + 2]
    cos_phase = min(1.0, max(-0.999, sz))
    phase = np.arccos(cos_phase)
    sin_phase = max(np.sin(phase), 1e-3)
    face = np.cos(0.5 * phase)
    across, power = np.pi / (np.pi - phase), phase / (np.pi - phase)
    mix, w = state[MIX], LIMB_DARKENING
    a = 1.0 + squeeze * pz * pz
    for n in range(x.size):
        u, v = (x[n] - state[0]) / radius, (y[n] - state[1]) / radius
        # |r|^2 + squeeze (r.pole)^2 = 1, solved for z.
        m = u * px + v * py
        b = squeeze * m * pz
        root = b * b - a * (u * u + v * v + squeeze * m * m - 1.0)
        out[n] = 0.0
        if root <= 0.0:
            continue
        z = (np.sqrt(root) - b) / a
        t = squeeze * (m + z * pz)
        nx, ny, nz = u + t * px, v + t * py, z + t * pz
        unit = 1.0 / np.sqrt(nx * nx + ny * ny + nz * nz)
        mu0, mu = (nx * sx + ny * sy + nz * sz) * unit, max(nz * unit, 1e-3)
        if mu0 <= 0.0:
            continue
        lunar = w * 2.0 * mu0 / (mu0 + mu) + (1.0 - w) * mu0
        # Photometric longitude and latitude: cos i = cos b cos(phase - g), cos e = cos b cos g.
        tangent = (mu0 / mu - cos_phase) / sin_phase
        cos_g = 1.0 / np.sqrt(1.0 + tangent * tangent)
        cos_b = min(1.0, mu / cos_g)
        akimov = face * np.cos(across * (np.arctan(tangent) - 0.5 * phase)) * cos_b**power / cos_g
        out[n] = max(lunar + mix * (akimov - lunar), 1e-9) ** state[STRETCH]


@njit(cache=True, nogil=True, error_model="numpy")
def outline(state, axis_ratio, base):
    """The outline against an ellipse: centre x, y and mean radius in radii, and two flattening numbers."""
    out = np.empty(5)
    px, py, pz = state[POLE], state[POLE + 1], state[POLE + 2]
    across2 = px * px + py * py
    half = 0.5 * (1.0 - np.sqrt(axis_ratio**2 * across2 + pz * pz))
    turn = half / max(across2, 1e-12)
    out[0], out[1] = (state[0] - base[0]) / base[2], (state[1] - base[1]) / base[2]
    out[2] = np.exp(state[2]) * (1.0 - half) / base[2] - 1.0
    # The pole is the minor axis: half a turn away in twice the angle.
    out[3] = -turn * (px * px - py * py) - base[3]
    out[4] = -turn * 2.0 * px * py - base[4]
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _lean(state):
    """Pole times Sun."""
    return state[POLE] * state[SUN] + state[POLE + 1] * state[SUN + 1] + state[POLE + 2] * state[SUN + 2]


@njit(cache=True, nogil=True, error_model="numpy")
def _cost(x, y, value, state, axis_ratio, limb, sigma, share, priors, model):
    """Twice the negative log likelihood, limb, blocks and priors together."""
    base, matrix, pull = limb
    shade(x, y, state, axis_ratio, model)
    level = np.exp(state[LEVEL])
    cost = 0.0
    for n in range(x.size):
        d = (value[n] / level - model[n]) / (ROBUST * sigma)
        cost += ROBUST * ROBUST * share * np.log(1.0 + d * d)
    off = outline(state, axis_ratio, base)
    for i in range(off.size):
        cost -= 2.0 * pull[i] * off[i]
        for j in range(off.size):
            cost += off[i] * matrix[i, j] * off[j]
    lean = _lean(state) / priors[0]
    cost += 4.0 * np.log(1.0 + lean * lean / 3.0)
    cost += ((state[MIX] - 0.5) / priors[1]) ** 2 + ((state[STRETCH] - 1.0) / priors[2]) ** 2
    return cost + ((state[POLE + 2] - priors[3]) / priors[4]) ** 2


@njit(cache=True, nogil=True, error_model="numpy")
def _normal(x, y, value, state, axis_ratio, limb, sigma, share, priors, models):
    """Normal matrix and right side of all terms about a state."""
    base, matrix, pull = limb
    size, level = np.exp(state[2]), np.exp(state[LEVEL])
    amount = TINY.copy()
    amount[0] *= size
    amount[1] *= size
    shade(x, y, state, axis_ratio, models[STEPS])
    for i in range(8):
        shade(x, y, moved(state, i, amount[i]), axis_ratio, models[i])
    normal, right, row = np.zeros((STEPS, STEPS)), np.zeros(STEPS), np.empty(STEPS)
    for n in range(x.size):
        f = models[STEPS, n]
        seen = value[n] / level
        d = (seen - f) / sigma
        weight = share / (1.0 + (d / ROBUST) ** 2)
        for i in range(8):
            row[i] = (models[i, n] - f) / (amount[i] * sigma)
        row[8] = seen / sigma
        row[9] = f * np.log(f) / (state[STRETCH] * sigma) if f > 0.0 else 0.0
        for i in range(STEPS):
            scaled = weight * row[i]
            right[i] += scaled * d
            for j in range(i + 1):
                normal[i, j] += scaled * row[j]
    for i in range(STEPS):
        for j in range(i):
            normal[j, i] = normal[i, j]
    off = outline(state, axis_ratio, base)
    slope = np.zeros((5, STEPS))
    for i in range(5):
        other = outline(moved(state, i, 0.1 * amount[i]), axis_ratio, base)
        for k in range(5):
            slope[k, i] = (other[k] - off[k]) / (0.1 * amount[i])
    for k in range(5):
        for m in range(5):
            for i in range(5):
                right[i] -= slope[k, i] * matrix[k, m] * off[m]
                for j in range(5):
                    normal[i, j] += slope[k, i] * matrix[k, m] * slope[m, j]
        for i in range(5):
            right[i] += slope[k, i] * pull[k]
    lean, tilt = _lean(state), np.zeros(STEPS)
    rise = np.zeros(STEPS)
    for i in range(3, 7):
        other = moved(state, i, 1e-4)
        tilt[i] = (_lean(other) - lean) / 1e-4
        rise[i] = (other[POLE + 2] - state[POLE + 2]) / 1e-4
    trust = 4.0 / (3.0 * priors[0] ** 2 + lean * lean)
    for i in range(3, 7):
        right[i] -= rise[i] * (state[POLE + 2] - priors[3]) / priors[4] ** 2 + trust * lean * tilt[i]
        for j in range(3, 7):
            normal[i, j] += rise[i] * rise[j] / priors[4] ** 2 + trust * tilt[i] * tilt[j]
    normal[7, 7] += 1.0 / priors[1] ** 2
    right[7] -= (state[MIX] - 0.5) / priors[1] ** 2
    normal[9, 9] += 1.0 / priors[2] ** 2
    right[9] -= (state[STRETCH] - 1.0) / priors[2] ** 2
    return normal, right


@njit(cache=True, nogil=True, error_model="numpy")
def _solve(matrix, right):
    """Solution of symmetric positive definite equations, in place of ``right``; ``matrix`` is used up.

    Cholesky's way, Golub and Van Loan, Matrix Computations, 4.2; not finite where the matrix is not definite.
    """
    n = right.size
    for i in range(n):
        for j in range(i + 1):
            for k in range(j):
                matrix[i, j] -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = matrix[i, j] / matrix[j, j] if j < i else np.sqrt(matrix[i, i])
        for k in range(i):
            right[i] -= matrix[i, k] * right[k]
        right[i] /= matrix[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            right[i] -= matrix[k, i] * right[k]
        right[i] /= matrix[i, i]


@njit(cache=True, nogil=True, error_model="numpy")
def fit(x, y, value, start, axis_ratio, limb, sigma, share, priors, turns):
    """Levenberg-Marquardt from one start.

    Parameters
    ----------
    x, y, value : (n,) float64
        Blocks of the picture and their brightness over the sky, in units of the surface's.
    start : (12,) float64
    axis_ratio : float
    limb : tuple of (5,), (5, 5), (5,) float64
        Ellipse about which the limb was made linear (x, y, mean radius, flattening), its normal matrix and
        right side in the numbers of `outline`.
    sigma, share : float
        Scatter of a block, in units of the level, and how much of an independent one it is.
    priors : (5,) float64
        Standard deviations of pole times Sun, of the mix and of the stretch; value and standard deviation of
        the pole's z.
    turns : int
        Most iterations.

    Returns
    -------
    tuple
        State, cost, and the normal matrix there.
    """
    models = np.empty((STEPS + 1, x.size))
    state, damping = start.copy(), 1e-3
    cost = _cost(x, y, value, state, axis_ratio, limb, sigma, share, priors, models[0])
    normal, right = _normal(x, y, value, state, axis_ratio, limb, sigma, share, priors, models)
    for _ in range(turns):
        gain = 0.0
        for _ in range(6):
            damped = normal.copy()
            for i in range(STEPS):
                damped[i, i] *= 1.0 + damping
            for i in range(3, 7):
                damped[i, i] += 1e-3
            step = right.copy()
            _solve(damped, step)
            size, longest = np.exp(state[2]), 1.0
            for i in range(STEPS):
                longest = max(longest, abs(step[i]) / (LONGEST[i] * (size if i < 2 else 1.0)))
            trial = state.copy()
            for i in range(STEPS):
                trial = moved(trial, i, step[i] / longest)
            trial[STRETCH] = min(2.0, max(0.4, trial[STRETCH]))
            # With the Sun right behind the body nothing is lit, and Akimov's function has no value.
            new = np.inf
            if trial[SUN + 2] > -0.9:
                new = _cost(x, y, value, trial, axis_ratio, limb, sigma, share, priors, models[0])
            if new < cost:
                gain = cost - new
                state, cost, damping = trial, new, max(0.2 * damping, 1e-6)
                break
            damping = max(10.0 * damping, 1e-3)
        if gain > 0.0:
            normal, right = _normal(x, y, value, state, axis_ratio, limb, sigma, share, priors, models)
        if gain < 0.02:
            break
    return state, cost, normal
