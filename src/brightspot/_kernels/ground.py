"""Compiled loops that make a rendered ground: noise and craters on a grid of directions.

The ground grid is a Lambert azimuthal equal-area map of directions from the body's centre, about
``frame[0]`` with axes ``frame[1]`` (columns) and ``frame[2]`` (rows); all three are unit vectors.
Grid coordinates of map position (X, Y): ``gx = (X - x0) / cell``, ``gy = (Y - y0) / cell``.
``grid`` below is the float64 vector (x0, y0, cell). A ``body`` vector is (a_km, c_km) of the spheroid.
Heights are km above the spheroid along the radius.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_C1 = np.uint64(0x9E3779B97F4A7C15)
_C2 = np.uint64(0xBF58476D1CE4E5B9)
_C3 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_KX = np.uint64(0x8DA6B343)
_KY = np.uint64(0xD8163841)
_KZ = np.uint64(0xCB1AB31F)
_ONE = np.uint64(1)
_TO_UNIT = 1.0 / 9007199254740992.0

PROFILE_LIMIT = 3.2
"""Bright ejecta run from a crater's centre to this many radii."""

RELIEF_LIMIT = 2.0
"""Crater profiles run from the centre to this many radii."""


@njit(cache=True, nogil=True, error_model="numpy")
def _hash(value):
    """Splitmix64's finaliser: well mixed 64 bits."""
    z = value + _C1
    z = (z ^ (z >> _S30)) * _C2
    z = (z ^ (z >> _S27)) * _C3
    return z ^ (z >> _S31)


@njit(cache=True, nogil=True, error_model="numpy")
def _unit(value):
    """Float in [0, 1) from hashed bits."""
    return float(value >> _S11) * _TO_UNIT


@njit(cache=True, nogil=True, error_model="numpy")
def _forward(nx, ny, nz, frame, grid):
    """Grid coordinates of a unit direction."""
    k = np.sqrt(2.0 / max(1.0 + nx * frame[0, 0] + ny * frame[0, 1] + nz * frame[0, 2], 1e-9))
    mx = k * (nx * frame[1, 0] + ny * frame[1, 1] + nz * frame[1, 2])
    my = k * (nx * frame[2, 0] + ny * frame[2, 1] + nz * frame[2, 2])
    return (mx - grid[0]) / grid[2], (my - grid[1]) / grid[2]


@njit(cache=True, nogil=True, error_model="numpy")
def _inverse(gx, gy, frame, grid):
    """Unit direction of grid coordinates."""
    mx = grid[0] + gx * grid[2]
    my = grid[1] + gy * grid[2]
    rho2 = min(mx * mx + my * my, 3.999)
    up = 1.0 - 0.5 * rho2
    side = np.sqrt(1.0 - 0.25 * rho2)
    mx *= side
    my *= side
    return (
        up * frame[0, 0] + mx * frame[1, 0] + my * frame[2, 0],
        up * frame[0, 1] + mx * frame[1, 1] + my * frame[2, 1],
        up * frame[0, 2] + mx * frame[1, 2] + my * frame[2, 2],
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _radius(nz, body):
    """Spheroid's radius in km in the direction with z component ``nz``."""
    return 1.0 / np.sqrt((1.0 - nz * nz) / (body[0] * body[0]) + nz * nz / (body[1] * body[1]))


@njit(cache=True, nogil=True, error_model="numpy")
def _bilinear(values, gx, gy):
    """Bilinear value, clamped at the edges."""
    rows, columns = values.shape
    gx = min(max(gx, 0.0), columns - 1.001)
    gy = min(max(gy, 0.0), rows - 1.001)
    ix = int(gx)
    iy = int(gy)
    fx = gx - ix
    fy = gy - iy
    top = values[iy, ix] + fx * (values[iy, ix + 1] - values[iy, ix])
    low = values[iy + 1, ix] + fx * (values[iy + 1, ix + 1] - values[iy + 1, ix])
    return top + fy * (low - top)


# ---------------------------------------------------------------- noise


@njit(cache=True, nogil=True, error_model="numpy")
def _corner(hx, hy, hz, dx, dy, dz):
    """Hashed gradient of one lattice corner dotted with the offset from it."""
    h = hx ^ hy ^ hz
    h = (h ^ (h >> _S30)) * _C2
    h = h ^ (h >> _S27)
    pick = int(h & np.uint64(3))
    a = dx if (h & np.uint64(16)) else -dx
    b = dy if (h & np.uint64(32)) else -dy
    c = dz if (h & np.uint64(64)) else -dz
    if pick == 0:
        return a + b
    if pick == 1:
        return b + c
    if pick == 2:
        return a + c
    return 0.6667 * (a + b + c)


@njit(cache=True, nogil=True, error_model="numpy")
def _noise(x, y, z, seed):
    """Gradient noise of unit lattice: mean 0, standard deviation about 0.28."""
    fx = np.floor(x)
    fy = np.floor(y)
    fz = np.floor(z)
    dx = x - fx
    dy = y - fy
    dz = z - fz
    hx0 = np.uint64(int(fx) + 1048576) * _KX + seed
    hy0 = np.uint64(int(fy) + 1048576) * _KY
    hz0 = np.uint64(int(fz) + 1048576) * _KZ
    hx1 = hx0 + _KX
    hy1 = hy0 + _KY
    hz1 = hz0 + _KZ
    # Spread the products over all bits before they are combined.
    hx0 = hx0 * _C1
    hx1 = hx1 * _C1
    hy0 = hy0 * _C3
    hy1 = hy1 * _C3
    hz0 = hz0 * _C2
    hz1 = hz1 * _C2
    u = dx * dx * dx * (dx * (dx * 6.0 - 15.0) + 10.0)
    v = dy * dy * dy * (dy * (dy * 6.0 - 15.0) + 10.0)
    w = dz * dz * dz * (dz * (dz * 6.0 - 15.0) + 10.0)
    n000 = _corner(hx0, hy0, hz0, dx, dy, dz)
    n100 = _corner(hx1, hy0, hz0, dx - 1.0, dy, dz)
    n010 = _corner(hx0, hy1, hz0, dx, dy - 1.0, dz)
    n110 = _corner(hx1, hy1, hz0, dx - 1.0, dy - 1.0, dz)
    n001 = _corner(hx0, hy0, hz1, dx, dy, dz - 1.0)
    n101 = _corner(hx1, hy0, hz1, dx - 1.0, dy, dz - 1.0)
    n011 = _corner(hx0, hy1, hz1, dx, dy - 1.0, dz - 1.0)
    n111 = _corner(hx1, hy1, hz1, dx - 1.0, dy - 1.0, dz - 1.0)
    a = n000 + u * (n100 - n000)
    b = n010 + u * (n110 - n010)
    c = n001 + u * (n101 - n001)
    d = n011 + u * (n111 - n011)
    e = a + v * (b - a)
    f = c + v * (d - c)
    return e + w * (f - e)


@njit(cache=True, nogil=True, error_model="numpy")
def _add_octave(out, stride, frame, grid, turn, frequency, amplitude, seed):
    """Add one octave of noise to a grid of every ``stride``-th point; ``turn`` rotates the lattice."""
    rows, columns = out.shape
    for j in range(rows):
        for i in range(columns):
            nx, ny, nz = _inverse(i * stride, j * stride, frame, grid)
            x = (turn[0, 0] * nx + turn[0, 1] * ny + turn[0, 2] * nz) * frequency
            y = (turn[1, 0] * nx + turn[1, 1] * ny + turn[1, 2] * nz) * frequency
            z = (turn[2, 0] * nx + turn[2, 1] * ny + turn[2, 2] * nz) * frequency
            out[j, i] += amplitude * _noise(x, y, z, seed)


@njit(cache=True, nogil=True, error_model="numpy")
def _double(coarse, rows, columns):
    """Twice as fine, by the smooth four-point interpolating scheme (-1, 9, 9, -1) / 16."""
    crows, ccolumns = coarse.shape
    wide = np.empty((crows, columns), np.float32)
    for j in range(crows):
        for i in range(columns):
            k = i >> 1
            if i & 1:
                k1 = min(k + 1, ccolumns - 1)
                k0 = max(k - 1, 0)
                k2 = min(k + 2, ccolumns - 1)
                near = coarse[j, k] + coarse[j, k1]
                wide[j, i] = 0.5625 * near - 0.0625 * (coarse[j, k0] + coarse[j, k2])
            else:
                wide[j, i] = coarse[j, k]
    out = np.empty((rows, columns), np.float32)
    for j in range(rows):
        k = j >> 1
        if j & 1:
            k1 = min(k + 1, crows - 1)
            k0 = max(k - 1, 0)
            k2 = min(k + 2, crows - 1)
            for i in range(columns):
                out[j, i] = 0.5625 * (wide[k, i] + wide[k1, i]) - 0.0625 * (wide[k0, i] + wide[k2, i])
        else:
            for i in range(columns):
                out[j, i] = wide[k, i]
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def noise_field(rows, columns, frame, grid, turns, frequencies, amplitudes, seeds, levels):
    """Sum of noise octaves on the ground grid, each computed no finer than it needs.

    ``levels[k]`` is the power of two of the stride on which octave k is evaluated; octaves come
    coarse to fine. Returns float32 (rows, columns).
    """
    top = 0
    for k in range(levels.size):
        top = max(top, levels[k])
    row_sizes = np.empty(top + 1, np.int64)
    column_sizes = np.empty(top + 1, np.int64)
    row_sizes[0] = rows
    column_sizes[0] = columns
    for level in range(1, top + 1):
        row_sizes[level] = row_sizes[level - 1] // 2 + 1
        column_sizes[level] = column_sizes[level - 1] // 2 + 1
    field = np.zeros((row_sizes[top], column_sizes[top]), np.float32)
    level = top
    while True:
        for k in range(levels.size):
            if levels[k] == level:
                _add_octave(
                    field, float(1 << level), frame, grid, turns[k], frequencies[k], amplitudes[k], seeds[k]
                )
        if level == 0:
            break
        level -= 1
        field = _double(field, row_sizes[level], column_sizes[level])
    return field


# ---------------------------------------------------------------- craters


@njit(cache=True, nogil=True, error_model="numpy")
def draw_craters(face, cell_i, cell_j, n_cells, expected, smallest_km, slope, seed):
    """Random craters of one octave of sizes in chosen cells of a cube drawn on the sphere.

    The cells' own hash seeds the numbers, so a place has the same craters in every view.

    Parameters
    ----------
    face, cell_i, cell_j : int64 arrays
        The cells.
    n_cells : int
        Cells along a face's edge.
    expected : float64 array
        Mean number of craters per cell.
    smallest_km : float
        Diameters lie in [smallest_km, 2 smallest_km).
    slope : float
        Exponent of the cumulative size distribution.
    seed : uint64

    Returns
    -------
    float64 array (n, 6)
        Direction x, y, z; diameter km; age in [0, 1); one more number in [0, 1) that seeds the rest.
    """
    total = 0.0
    for k in range(face.size):
        total += expected[k]
    out = np.empty((int(total + 12.0 * np.sqrt(total) + 64.0), 6))
    count = 0
    for k in range(face.size):
        code = np.uint64(face[k]) * _KX + np.uint64(cell_i[k]) * _KY + np.uint64(cell_j[k]) * _KZ
        state = _hash(seed ^ _hash(code))
        # Poisson by its definition in pieces: e^-30 at a time keeps the product representable.
        left = expected[k]
        n = 0
        while left > 0.0:
            part = min(left, 30.0)
            left -= part
            limit = np.exp(-part)
            product = 1.0
            while True:
                state = _hash(state)
                product *= _unit(state)
                if product <= limit:
                    break
                n += 1
        for _ in range(n):
            if count == out.shape[0]:
                break
            state = _hash(state)
            u = _unit(state)
            state = _hash(state)
            v = _unit(state)
            a = np.tan(0.25 * np.pi * (2.0 * (cell_i[k] + u) / n_cells - 1.0))
            b = np.tan(0.25 * np.pi * (2.0 * (cell_j[k] + v) / n_cells - 1.0))
            r = 1.0 / np.sqrt(1.0 + a * a + b * b)
            f = face[k] >> 1
            s = r if face[k] & 1 else -r
            if f == 0:
                out[count, 0], out[count, 1], out[count, 2] = s, a * r, b * r
            elif f == 1:
                out[count, 0], out[count, 1], out[count, 2] = b * r, s, a * r
            else:
                out[count, 0], out[count, 1], out[count, 2] = a * r, b * r, s
            state = _hash(state)
            top = 1.0 - 2.0**-slope
            out[count, 3] = smallest_km * (1.0 - top * _unit(state)) ** (-1.0 / slope)
            state = _hash(state)
            out[count, 4] = _unit(state)
            state = _hash(state)
            out[count, 5] = _unit(state)
            count += 1
    return out[:count]


@njit(cache=True, nogil=True, error_model="numpy")
def _local_axes(cx, cy, cz):
    """East and north unit vectors at a direction (any pair at the poles)."""
    norm = np.sqrt(cx * cx + cy * cy)
    if norm < 1e-9:
        return 1.0, 0.0, 0.0, 0.0, 1.0, 0.0
    ex, ey = -cy / norm, cx / norm
    return ex, ey, 0.0, -cz * ey, cz * ex, norm


@njit(cache=True, nogil=True, error_model="numpy")
def _map_patch(cx, cy, cz, frame, grid, inverse):
    """Grid position of a direction; fills ``inverse`` with d(east, north in radians) / d(gx, gy)."""
    ex, ey, ez, nx, ny, nz = _local_axes(cx, cy, cz)
    g0x, g0y = _forward(cx, cy, cz, frame, grid)
    eps = 1e-5
    ax, ay = _forward(cx + eps * ex, cy + eps * ey, cz + eps * ez, frame, grid)
    bx, by = _forward(cx + eps * nx, cy + eps * ny, cz + eps * nz, frame, grid)
    a = (ax - g0x) / eps
    b = (bx - g0x) / eps
    c = (ay - g0y) / eps
    d = (by - g0y) / eps
    det = a * d - b * c
    inverse[0, 0] = d / det
    inverse[0, 1] = -b / det
    inverse[1, 0] = -c / det
    inverse[1, 1] = a / det
    return g0x, g0y


@njit(cache=True, nogil=True, error_model="numpy")
def _wobble(c1, s1, shape):
    """Relative change of a radius with azimuth: harmonics 2, 3, 4 and 6 of (cos, sin)."""
    c2 = c1 * c1 - s1 * s1
    s2 = 2.0 * c1 * s1
    c3 = c2 * c1 - s2 * s1
    s3 = s2 * c1 + c2 * s1
    c4 = c2 * c2 - s2 * s2
    s4 = 2.0 * c2 * s2
    c6 = c3 * c3 - s3 * s3
    s6 = 2.0 * c3 * s3
    return (
        shape[0] * c2 + shape[1] * s2
        + shape[2] * c3 + shape[3] * s3
        + shape[4] * c4 + shape[5] * s4
        + shape[6] * c6 + shape[7] * s6
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _angle_noise(angle, along, seed):
    """Cheap streaks: noise of azimuth and radius on a hashed lattice, in [-1, 1]."""
    f = np.floor(angle)
    g = np.floor(along)
    t = angle - f
    s = along - g
    t = t * t * (3.0 - 2.0 * t)
    s = s * s * (3.0 - 2.0 * s)
    i = np.uint64(int(f) + 100000)
    j = np.uint64(int(g) + 100000)
    a = _unit(_hash(seed + i * _KX + j * _KY))
    b = _unit(_hash(seed + (i + _ONE) * _KX + j * _KY))
    c = _unit(_hash(seed + i * _KX + (j + _ONE) * _KY))
    d = _unit(_hash(seed + (i + _ONE) * _KX + (j + _ONE) * _KY))
    low = a + t * (b - a)
    high = c + t * (d - c)
    return 2.0 * (low + s * (high - low)) - 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def add_craters(height, albedo, frame, grid, body, centers, numbers, shapes, kinds, levels, profiles, erase):
    """Carve craters one after another, each wiping out part of what was there.

    Where bright ejecta and streaks of several craters meet, the brightest shows: mixed, they are no brighter
    than the freshest of them.

    Parameters
    ----------
    height, albedo : float32 (rows, columns)
        Ground grid in km, and albedo relative to the mean; changed in place.
    centers : float64 (n, 3)
        Unit directions, oldest first.
    numbers : float64 (n, 6)
        Radius km; depth scale km; strength of erasure; halo (contrast - 1); streak amplitude; random number.
    shapes : float64 (n, 8)
        Harmonics of the rim, see ``_wobble``.
    kinds : int64 (n,)
        Row of ``profiles``.
    levels : float64 (n,)
        Height in km that the crater's floor gets; NaN: the mean height along the rim is its zero.
    profiles : float32 (kinds, m)
        Height over depth scale against radius, from 0 to `RELIEF_LIMIT` rim radii.
    erase : float32 (m,)
        Weight of erasure against radius.
    """
    rows, columns = height.shape
    ejecta = np.zeros_like(albedo)
    last = profiles.shape[1] - 2
    per_radius = (profiles.shape[1] - 1) / RELIEF_LIMIT
    inverse = np.empty((2, 2))
    for k in range(centers.shape[0]):
        cx, cy, cz = centers[k, 0], centers[k, 1], centers[k, 2]
        up = cx * frame[0, 0] + cy * frame[0, 1] + cz * frame[0, 2]
        if up < -0.5:
            continue
        radius_km, depth_km, wipe = numbers[k, 0], numbers[k, 1], numbers[k, 2]
        halo, streak = numbers[k, 3], numbers[k, 4]
        angular = radius_km / _radius(cz, body)
        g0x, g0y = _map_patch(cx, cy, cz, frame, grid, inverse)
        reach = PROFILE_LIMIT if halo > 0.0 else RELIEF_LIMIT
        half = reach * angular / grid[2] / np.sqrt(0.5 + 0.5 * up) + 1.0
        i0, i1 = max(int(g0x - half), 0), min(int(g0x + half) + 2, columns)
        j0, j1 = max(int(g0y - half), 0), min(int(g0y + half) + 2, rows)
        if i0 >= i1 or j0 >= j1:
            continue
        small = angular * reach < 0.06
        ex, ey, ez, nx, ny, nz = _local_axes(cx, cy, cz)
        level = 0.0
        for m in range(8):
            ca, sa = np.cos(m * np.pi / 4.0), np.sin(m * np.pi / 4.0)
            px = cx + angular * (ca * ex + sa * nx)
            py = cy + angular * (ca * ey + sa * ny)
            pz = cz + angular * (ca * ez + sa * nz)
            norm = 1.0 / np.sqrt(px * px + py * py + pz * pz)
            gx, gy = _forward(px * norm, py * norm, pz * norm, frame, grid)
            level += 0.125 * _bilinear(height, gx, gy)
        shape = shapes[k]
        profile = profiles[kinds[k]]
        if levels[k] == levels[k]:  # not NaN
            level = levels[k] - depth_km * profile[profile.size // 6]
        pattern = np.uint64(int(numbers[k, 5] * 1e15))
        wavy = angular / grid[2] > 2.5
        torn = angular / grid[2] > 14.0
        streak_wide = angular / grid[2] > 5.0 and streak > 0.0
        for j in range(j0, j1):
            chord = np.sqrt(max((half + 1.0) ** 2 - (j - g0y) ** 2, 0.0))
            for i in range(max(int(g0x - chord), i0), min(int(g0x + chord) + 2, i1)):
                if small:
                    u = (inverse[0, 0] * (i - g0x) + inverse[0, 1] * (j - g0y)) / angular
                    v = (inverse[1, 0] * (i - g0x) + inverse[1, 1] * (j - g0y)) / angular
                else:
                    qx, qy, qz = _inverse(i, j, frame, grid)
                    if qx * cx + qy * cy + qz * cz < 0.0:
                        continue
                    qx -= cx
                    qy -= cy
                    qz -= cz
                    u = (qx * ex + qy * ey + qz * ez) / angular
                    v = (qx * nx + qy * ny + qz * nz) / angular
                d2 = u * u + v * v
                if d2 > reach * reach:
                    continue
                d = np.sqrt(d2)
                rho = d
                if wavy and d > 1e-9:
                    rho /= 1.0 + _wobble(u / d, v / d, shape)
                    # Rims slump in scallops: warp the wall, not the ground beyond.
                    if torn and 0.5 < rho < 1.3:
                        warp = (rho - 0.5) * (1.3 - rho) * 6.25
                        rho += 0.04 * warp * _angle_noise(u * 7.0 + 60.0, v * 7.0, pattern)
                        rho += 0.02 * warp * _angle_noise(u * 17.0 + 90.0, v * 17.0, pattern)
                at = rho * per_radius
                m = int(at)
                if m <= last:
                    t = at - m
                    p = profile[m] + t * (profile[m + 1] - profile[m])
                    w = wipe * (erase[m] + t * (erase[m + 1] - erase[m]))
                    h = height[j, i]
                    height[j, i] = h + w * (level - h) + depth_km * p
                if halo > 0.0:
                    # Ejecta: full on the rim, fading over two radii, torn into rays.
                    ray = 1.0
                    if d > 0.5:
                        angle = np.arctan2(v, u) * 4.0
                        ray += 0.5 * min(d - 0.5, 1.0) * _angle_noise(angle, d * 1.5, pattern)
                    fade = np.exp(-0.9 * max(rho - 0.8, 0.0) ** 2) * max(1.0 - rho / PROFILE_LIMIT, 0.0)
                    ejecta[j, i] = max(ejecta[j, i], halo * fade * ray)
                if streak_wide and 0.55 < rho < 1.0:
                    angle = np.arctan2(v, u) * 14.0
                    bright = _angle_noise(angle, rho * 3.0, pattern + _ONE)
                    band = 1.0 - ((rho - 0.82) / 0.22) ** 2
                    if band > 0.0 and bright > 0.0:
                        ejecta[j, i] = max(ejecta[j, i], streak * band * bright)
    albedo *= np.float32(1.0) + ejecta
