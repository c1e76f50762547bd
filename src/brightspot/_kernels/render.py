"""Compiled loops of the renderer: craters and noise on a ground grid, light and shadow, rays, detector.

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
    """Add one octave of noise to a grid that holds every ``stride``-th point; ``turn`` rotates the lattice."""
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
                wide[j, i] = 0.5625 * (coarse[j, k] + coarse[j, k1]) - 0.0625 * (coarse[j, k0] + coarse[j, k2])
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
        state = _hash(seed ^ _hash(np.uint64(face[k]) * _KX + np.uint64(cell_i[k]) * _KY + np.uint64(cell_j[k]) * _KZ))
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
        Height over depth scale against radius, from 0 to `PROFILE_LIMIT` rim radii.
    erase : float32 (m,)
        Weight of erasure against radius.
    """
    rows, columns = height.shape
    last = profiles.shape[1] - 2
    per_radius = (profiles.shape[1] - 1) / PROFILE_LIMIT
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
        reach = PROFILE_LIMIT if (halo > 0.0 or angular / grid[2] > 6.0) else 2.0
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
        if levels[k] == levels[k]:  # noqa: PLR0124 (not NaN)
            level = levels[k] - depth_km * profile[profile.size // 10]
        pattern = np.uint64(int(numbers[k, 5] * 1e15))
        streak_wide = angular / grid[2] > 5.0 and streak > 0.0
        for j in range(j0, j1):
            for i in range(i0, i1):
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
                c1, s1 = (u / d, v / d) if d > 1e-9 else (1.0, 0.0)
                rho = d / (1.0 + _wobble(c1, s1, shape))
                at = rho * per_radius
                m = int(at)
                if m > last:
                    continue
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
                        ray += 0.7 * min(d - 0.5, 1.0) * _angle_noise(angle, d * 1.5, pattern)
                    fade = np.exp(-0.9 * max(rho - 0.8, 0.0) ** 2) * max(1.0 - rho / PROFILE_LIMIT, 0.0)
                    albedo[j, i] *= 1.0 + halo * 1.3 * fade * ray
                if streak_wide and 0.55 < rho < 1.0:
                    angle = np.arctan2(v, u) * 14.0
                    bright = _angle_noise(angle, rho * 3.0, pattern + _ONE)
                    band = 1.0 - ((rho - 0.82) / 0.22) ** 2
                    if band > 0.0 and bright > 0.0:
                        albedo[j, i] *= 1.0 + streak * band * bright


# ---------------------------------------------------------------- spots


@njit(cache=True, nogil=True, error_model="numpy")
def add_spots(albedo, frame, grid, body, centers, numbers, shapes, painted):
    """Paint spots: albedo times 1 + excess x cover, with edges weighed to a fraction of a cell.

    Parameters
    ----------
    albedo : float32 (rows, columns)
        Changed in place.
    centers : float64 (n, 3)
        Unit directions.
    numbers : float64 (n, 6)
        Radius km; contrast - 1; core radius km (0: none); the core's contrast - 1;
        softness of the edge in radii; raggedness inside (0 to 1).
    shapes : float64 (n, 8)
        Harmonics of the outline.
    painted : float64 (n, 2)
        Filled with the area in km2 and the excess x area in km2 as painted.
    """
    rows, columns = albedo.shape
    inverse = np.empty((2, 2))
    for k in range(centers.shape[0]):
        cx, cy, cz = centers[k, 0], centers[k, 1], centers[k, 2]
        up = cx * frame[0, 0] + cy * frame[0, 1] + cz * frame[0, 2]
        painted[k, 0] = 0.0
        painted[k, 1] = 0.0
        if up < -0.5:
            continue
        body_km = _radius(cz, body)
        angular = numbers[k, 0] / body_km
        excess, core, core_excess = numbers[k, 1], numbers[k, 2] / numbers[k, 0], numbers[k, 3]
        soft, ragged = max(numbers[k, 4], 1e-6), numbers[k, 5]
        g0x, g0y = _map_patch(cx, cy, cz, frame, grid, inverse)
        shape = shapes[k]
        half = 1.5 * (1.0 + soft) * angular / grid[2] / np.sqrt(0.5 + 0.5 * up) + 1.5
        i0, i1 = max(int(g0x - half), 0), min(int(g0x + half) + 2, columns)
        j0, j1 = max(int(g0y - half), 0), min(int(g0y + half) + 2, rows)
        if i0 >= i1 or j0 >= j1:
            continue
        cells_across = 2.0 * angular / grid[2]
        n = int(min(max(64.0 / max(cells_across, 1e-3), 3.0), 16.0))
        if cells_across > 60.0:
            n = 2
        # Equal-area map: every cell covers the same solid angle.
        cell_km2 = (grid[2] * body_km) ** 2
        cover = np.zeros((j1 - j0, i1 - i0))
        extra = np.zeros((j1 - j0, i1 - i0))
        area = 0.0
        total = 0.0
        seed = np.uint64(int(abs(shape[0] + shape[3]) * 1e12) + k)
        for j in range(j0, j1):
            for i in range(i0, i1):
                a = 0.0
                b = 0.0
                for sj in range(n):
                    for si in range(n):
                        x = i - g0x + (si + 0.5) / n - 0.5
                        y = j - g0y + (sj + 0.5) / n - 0.5
                        u = (inverse[0, 0] * x + inverse[0, 1] * y) / angular
                        v = (inverse[1, 0] * x + inverse[1, 1] * y) / angular
                        d = np.sqrt(u * u + v * v)
                        c1, s1 = (u / d, v / d) if d > 1e-9 else (1.0, 0.0)
                        rho = d / (1.0 + _wobble(c1, s1, shape))
                        edge = 0.5 + (1.0 - rho) / soft
                        if edge <= 0.0:
                            continue
                        edge = min(edge, 1.0)
                        if ragged > 0.0:
                            bite = _angle_noise(u * 4.0 + 60.0, v * 4.0, seed)
                            edge *= max(1.0 + ragged * 1.6 * bite, 0.0)
                        a += edge
                        b += edge * excess
                        if core > 0.0 and d < core * 1.25:
                            b += max(min(0.5 + (core - d) / (0.5 * core), 1.0), 0.0) * (core_excess - excess)
                cover[j - j0, i - i0] = a / (n * n)
                extra[j - j0, i - i0] = b / (n * n)
                area += a / (n * n)
                total += b / (n * n)
        for j in range(j0, j1):
            for i in range(i0, i1):
                if cover[j - j0, i - i0] > 0.0:
                    albedo[j, i] *= max(1.0 + extra[j - j0, i - i0], 0.05)
        painted[k, 0] = area * cell_km2
        painted[k, 1] = total * cell_km2


# ---------------------------------------------------------------- light


@njit(cache=True, nogil=True, error_model="numpy")
def block_maxima(height, size):
    """Highest height in each block of ``size`` x ``size`` cells and its eight neighbours."""
    rows, columns = height.shape
    brows = (rows + size - 1) // size
    bcolumns = (columns + size - 1) // size
    highest = np.full((brows, bcolumns), -1e30, np.float32)
    for j in range(rows):
        for i in range(columns):
            if height[j, i] > highest[j // size, i // size]:
                highest[j // size, i // size] = height[j, i]
    out = np.empty_like(highest)
    for j in range(brows):
        for i in range(bcolumns):
            top = np.float32(-1e30)
            for dj in range(max(j - 1, 0), min(j + 2, brows)):
                for di in range(max(i - 1, 0), min(i + 2, bcolumns)):
                    top = max(top, highest[dj, di])
            out[j, i] = top
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _sun_seen(px, py, pz, i, j, h0, height, maxima, size, top, frame, grid, body, sun, elevation, half_sun):
    """Fraction of the Sun's disk that relief leaves visible from a ground point."""
    rows, columns = height.shape
    radius = np.sqrt(px * px + py * py + pz * pz)
    rise = np.sin(elevation)
    # Where the ray leaves the highest relief: h0 + t rise + t^2 (1 - rise^2) / 2 R = top.
    room = max(top - h0, 0.0)
    bend = (1.0 - rise * rise) / radius
    reach = 2.0 * room / (rise + np.sqrt(rise * rise + 2.0 * bend * room) + 1e-12)
    if reach <= 0.0:
        return 1.0
    reach = min(reach, 0.5 * radius)
    # Path on the grid and height above the spheroid, exact at three points, quadratic between.
    xs = np.empty(3)
    ys = np.empty(3)
    zs = np.empty(3)
    for m in range(3):
        t = 0.5 * m * reach
        qx, qy, qz = px + t * sun[0], py + t * sun[1], pz + t * sun[2]
        r = np.sqrt(qx * qx + qy * qy + qz * qz)
        qx /= r
        qy /= r
        qz /= r
        xs[m], ys[m] = _forward(qx, qy, qz, frame, grid)
        zs[m] = r - _radius(qz, body)
    length = np.sqrt((xs[2] - xs[0]) ** 2 + (ys[2] - ys[0]) ** 2)
    if length < 1.0:
        return 1.0
    bx, ax = 4.0 * xs[1] - 3.0 * xs[0] - xs[2], 2.0 * (xs[0] + xs[2] - 2.0 * xs[1])
    by, ay = 4.0 * ys[1] - 3.0 * ys[0] - ys[2], 2.0 * (ys[0] + ys[2] - 2.0 * ys[1])
    bz, az = 4.0 * zs[1] - 3.0 * zs[0] - zs[2], 2.0 * (zs[0] + zs[2] - 2.0 * zs[1])
    ds = 1.0 / length
    s = 1.2 * ds
    lowest = 1.0
    while s < 1.0:
        gx = i + s * (bx + s * ax)
        gy = j + s * (by + s * ay)
        if gx < 0.0 or gy < 0.0 or gx > columns - 1.01 or gy > rows - 1.01:
            break
        z = h0 + s * (bz + s * az)
        if z > maxima[int(gy) // size, int(gx) // size]:
            s += size * ds
            continue
        ix = int(gx)
        iy = int(gy)
        fx = gx - ix
        fy = gy - iy
        ground = (
            (height[iy, ix] * (1.0 - fx) + height[iy, ix + 1] * fx) * (1.0 - fy)
            + (height[iy + 1, ix] * (1.0 - fx) + height[iy + 1, ix + 1] * fx) * fy
        )  # fmt: skip
        clear = (z - ground) / (s * reach)
        if clear < lowest:
            lowest = clear
            if lowest < -half_sun:
                return 0.0
        s += ds
    return min(max(0.5 + 0.5 * lowest / half_sun, 0.0), 1.0)


@njit(cache=True, nogil=True, error_model="numpy")
def disk_function(mu0, mu, cos_phase, kind, weight):
    """Disk function D(i, e, phase); D = 1 at i = e = phase = 0.

    ``kind``: 0 Akimov, 1 lunar-Lambert with ``weight`` on Lommel-Seeliger, 2 Lambert mixed with
    Akimov by ``weight`` on Lambert, 3 Lommel-Seeliger.
    """
    if mu0 <= 0.0 or mu <= 0.0:
        return 0.0
    if kind == 1:
        return weight * 2.0 * mu0 / (mu0 + mu) + (1.0 - weight) * mu0
    if kind == 3:
        return 2.0 * mu0 / (mu0 + mu)
    cos_phase = min(max(cos_phase, -0.9999999), 0.9999999)
    alpha = np.arccos(cos_phase)
    tangent = (mu0 / mu - cos_phase) / np.sqrt(1.0 - cos_phase * cos_phase)
    gamma = np.arctan(tangent)
    cos_gamma = 1.0 / np.sqrt(1.0 + tangent * tangent)
    cos_beta = min(mu / cos_gamma, 1.0)
    stretch = np.pi / (np.pi - alpha)
    akimov = (
        np.cos(0.5 * alpha)
        * np.cos(stretch * (gamma - 0.5 * alpha))
        * cos_beta ** (alpha / (np.pi - alpha))
        / cos_gamma
    )
    akimov = max(akimov, 0.0)
    if kind == 2:
        return weight * mu0 + (1.0 - weight) * akimov
    return akimov


@njit(cache=True, nogil=True, error_model="numpy")
def shade(height, albedo, frame, grid, body, spacecraft, sun, half_sun, kind, weight, cast):
    """Disk function times albedo of every ground cell, with cast shadows.

    Parameters
    ----------
    spacecraft : float64 (3,)
        Body-fixed, km.
    sun : float64 (3,)
        Unit vector toward the Sun, body-fixed.
    half_sun : float
        Angular radius of the Sun, radians.
    kind, weight :
        See ``disk_function``.
    cast : bool
        Whether relief casts shadows.

    Returns
    -------
    light : float32 (rows, columns)
        Albedo x D x visible part of the Sun; 0 where the cell turns away from the camera or the Sun.
    lit : uint8 (rows, columns)
        255 x visible part of the Sun; 0 where the facet looks away from it.
    """
    rows, columns = height.shape
    size = 16
    maxima = block_maxima(height, size)
    top = maxima.max()
    light = np.zeros((rows, columns), np.float32)
    lit = np.zeros((rows, columns), np.uint8)
    points = np.empty((3, columns, 3))
    for j in range(-1, rows):
        # Row j + 1 enters the rolling buffer.
        if j + 1 < rows:
            for i in range(columns):
                nx, ny, nz = _inverse(i, j + 1, frame, grid)
                r = _radius(nz, body) + height[j + 1, i]
                points[(j + 1) % 3, i, 0] = nx * r
                points[(j + 1) % 3, i, 1] = ny * r
                points[(j + 1) % 3, i, 2] = nz * r
        if j < 0:
            continue
        here = points[j % 3]
        above = points[(j - 1) % 3] if j > 0 else here
        below = points[(j + 1) % 3] if j < rows - 1 else here
        for i in range(columns):
            il = max(i - 1, 0)
            ir = min(i + 1, columns - 1)
            ax = here[ir, 0] - here[il, 0]
            ay = here[ir, 1] - here[il, 1]
            az = here[ir, 2] - here[il, 2]
            bx = below[i, 0] - above[i, 0]
            by = below[i, 1] - above[i, 1]
            bz = below[i, 2] - above[i, 2]
            nx = ay * bz - az * by
            ny = az * bx - ax * bz
            nz = ax * by - ay * bx
            px, py, pz = here[i, 0], here[i, 1], here[i, 2]
            norm = np.sqrt(nx * nx + ny * ny + nz * nz)
            if nx * px + ny * py + nz * pz < 0.0:
                norm = -norm
            nx /= norm
            ny /= norm
            nz /= norm
            mu0 = nx * sun[0] + ny * sun[1] + nz * sun[2]
            if mu0 <= 0.0:
                continue
            vx = spacecraft[0] - px
            vy = spacecraft[1] - py
            vz = spacecraft[2] - pz
            v = 1.0 / np.sqrt(vx * vx + vy * vy + vz * vz)
            mu = (nx * vx + ny * vy + nz * vz) * v
            radius = np.sqrt(px * px + py * py + pz * pz)
            rise = (px * sun[0] + py * sun[1] + pz * sun[2]) / radius
            seen = 1.0
            # Relief on the spheroid hides the Sun only where it stands lower than steep ground.
            if cast and rise < 0.75:
                seen = _sun_seen(
                    px, py, pz, i, j, height[j, i], height, maxima, size, top,
                    frame, grid, body, sun, np.arcsin(rise), half_sun,
                )  # fmt: skip
            lit[j, i] = np.uint8(255.0 * seen)
            if mu <= 0.0 or seen <= 0.0:
                continue
            cos_phase = (vx * sun[0] + vy * sun[1] + vz * sun[2]) * v
            light[j, i] = albedo[j, i] * seen * disk_function(mu0, mu, cos_phase, kind, weight)
    return light, lit


# ---------------------------------------------------------------- camera


@njit(cache=True, nogil=True, error_model="numpy")
def _ray(x, y, lens, rotation):
    """Body-fixed unit ray through detector pixel (x, y).

    ``lens``: focal length mm, E1 mm^-2, pitch x, pitch y, center x, center y; ``rotation`` body to camera.
    """
    u = (x - lens[4]) * lens[2]
    v = (y - lens[5]) * lens[3]
    q = np.sqrt(u * u + v * v)
    r = q
    for _ in range(3):
        r -= (r + lens[1] * r * r * r - q) / (1.0 + 3.0 * lens[1] * r * r)
    shrink = 1.0 / (1.0 + lens[1] * r * r)
    u *= shrink
    v *= shrink
    f = lens[0]
    norm = 1.0 / np.sqrt(u * u + v * v + f * f)
    u *= norm
    v *= norm
    f *= norm
    return (
        rotation[0, 0] * u + rotation[1, 0] * v + rotation[2, 0] * f,
        rotation[0, 1] * u + rotation[1, 1] * v + rotation[2, 1] * f,
        rotation[0, 2] * u + rotation[1, 2] * v + rotation[2, 2] * f,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _trace(vx, vy, vz, o, height, top, frame, grid, body):
    """First crossing of a ray with the relief: (True, gx, gy), or (False, 0, 0) for the sky."""
    ia = 1.0 / (body[0] + top)
    ic = 1.0 / (body[1] + top)
    ox, oy, oz = o[0] * ia, o[1] * ia, o[2] * ic
    dx, dy, dz = vx * ia, vy * ia, vz * ic
    a = dx * dx + dy * dy + dz * dz
    b = ox * dx + oy * dy + oz * dz
    c = ox * ox + oy * oy + oz * oz - 1.0
    disc = b * b - a * c
    if disc <= 0.0 or b >= 0.0:
        return False, 0.0, 0.0
    root = np.sqrt(disc)
    t = max((-b - root) / a, 0.0)
    t_out = (-b + root) / a
    cell_km = grid[2] * body[1]
    last_t = t
    last_f = 0.0
    for _ in range(120):
        qx, qy, qz = o[0] + t * vx, o[1] + t * vy, o[2] + t * vz
        r = np.sqrt(qx * qx + qy * qy + qz * qz)
        qx /= r
        qy /= r
        qz /= r
        gx, gy = _forward(qx, qy, qz, frame, grid)
        f = r - _radius(qz, body) - _bilinear(height, gx, gy)
        if f <= 0.0 and last_f > 0.0:
            t = last_t + (t - last_t) * last_f / (last_f - f)
            qx, qy, qz = o[0] + t * vx, o[1] + t * vy, o[2] + t * vz
            r = 1.0 / np.sqrt(qx * qx + qy * qy + qz * qz)
            gx, gy = _forward(qx * r, qy * r, qz * r, frame, grid)
            return True, gx, gy
        down = -(vx * qx + vy * qy + vz * qz)
        if f < 0.02 * cell_km and down > 0.3 or f <= 0.0:
            return True, gx, gy
        last_t = t
        last_f = f
        # No faster than relief of slope 0.6 could come to meet the ray.
        rate = max(down, 0.0) + 0.6 * np.sqrt(max(1.0 - down * down, 0.0))
        t += max(f / rate, 0.15 * cell_km)
        if t > t_out:
            return False, 0.0, 0.0
    return True, gx, gy


@njit(cache=True, nogil=True, error_model="numpy")
def trace_pixels(xs, ys, lens, rotation, origin, height, frame, grid, body):
    """Grid coordinates seen at detector pixels; float64 (n, 2), NaN for the sky."""
    out = np.full((xs.size, 2), np.nan)
    top = height.max() + 0.01
    for k in range(xs.size):
        vx, vy, vz = _ray(xs[k], ys[k], lens, rotation)
        hit, gx, gy = _trace(vx, vy, vz, origin, height, top, frame, grid, body)
        if hit:
            out[k, 0] = gx
            out[k, 1] = gy
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def look(light, height, frame, grid, body, origin, lens, rotation, rows, columns, x0, y0):
    """What each pixel sees: mean of ``light`` over its footprint, relief in front hiding relief behind.

    The corners of all pixels are traced; between corners that see one piece of ground the
    footprint is filled with as many samples as it has cells, elsewhere (limb, overhangs) with
    traced rays.

    Returns
    -------
    image : float32 (rows, columns)
    cover : float32 (rows, columns)
        Part of the pixel that sees the body.
    """
    image = np.zeros((rows, columns), np.float32)
    cover = np.zeros((rows, columns), np.float32)
    top = height.max() + 0.01
    gx = np.full((2, columns + 1), np.nan)
    gy = np.full((2, columns + 1), np.nan)
    for j in range(rows + 1):
        now = j & 1
        before = 1 - now
        for i in range(columns + 1):
            vx, vy, vz = _ray(x0 + i - 0.5, y0 + j - 0.5, lens, rotation)
            hit, a, b = _trace(vx, vy, vz, origin, height, top, frame, grid, body)
            gx[now, i] = a if hit else np.nan
            gy[now, i] = b if hit else np.nan
        if j == 0:
            continue
        for i in range(columns):
            ax, bx, cx, dx = gx[before, i], gx[before, i + 1], gx[now, i], gx[now, i + 1]
            ay, by, cy, dy = gy[before, i], gy[before, i + 1], gy[now, i], gy[now, i + 1]
            hits = 0
            for g in (ax, bx, cx, dx):
                if g == g:  # noqa: PLR0124 (not NaN)
                    hits += 1
            if hits == 0:
                continue
            long_side = 1e9
            if hits == 4:
                long_side = max(
                    max(abs(bx - ax) + abs(by - ay), abs(dx - cx) + abs(dy - cy)),
                    max(abs(cx - ax) + abs(cy - ay), abs(dx - bx) + abs(dy - by)),
                )
            total = 0.0
            if long_side < 9.0:
                n = min(max(int(long_side + 0.999), 2), 9)
                for sj in range(n):
                    v = (sj + 0.5) / n
                    lx, ly = ax + v * (cx - ax), ay + v * (cy - ay)
                    rx, ry = bx + v * (dx - bx), by + v * (dy - by)
                    for si in range(n):
                        u = (si + 0.5) / n
                        total += _bilinear(light, lx + u * (rx - lx), ly + u * (ry - ly))
                image[j - 1, i] = total / (n * n)
                cover[j - 1, i] = 1.0
            else:
                n = 4
                seen = 0
                for sj in range(n):
                    for si in range(n):
                        vx, vy, vz = _ray(
                            x0 + i - 0.5 + (si + 0.5) / n, y0 + j - 1.5 + (sj + 0.5) / n, lens, rotation
                        )
                        hit, a, b = _trace(vx, vy, vz, origin, height, top, frame, grid, body)
                        if hit:
                            total += _bilinear(light, a, b)
                            seen += 1
                image[j - 1, i] = total / (n * n)
                cover[j - 1, i] = seen / (n * n)
    return image, cover


@njit(cache=True, nogil=True, error_model="numpy")
def footprint_light(lit, frame, grid, body, centers, radii_km):
    """Mean lit fraction of discs on the ground; float64 (n,), NaN off the grid."""
    rows, columns = lit.shape
    out = np.full(centers.shape[0], np.nan)
    inverse = np.empty((2, 2))
    for k in range(centers.shape[0]):
        cx, cy, cz = centers[k, 0], centers[k, 1], centers[k, 2]
        if cx * frame[0, 0] + cy * frame[0, 1] + cz * frame[0, 2] < -0.5:
            continue
        angular = radii_km[k] / _radius(cz, body)
        g0x, g0y = _map_patch(cx, cy, cz, frame, grid, inverse)
        half = 1.6 * angular / grid[2] + 1.0
        total = 0.0
        count = 0
        for j in range(max(int(g0y - half), 0), min(int(g0y + half) + 2, rows)):
            for i in range(max(int(g0x - half), 0), min(int(g0x + half) + 2, columns)):
                u = inverse[0, 0] * (i - g0x) + inverse[0, 1] * (j - g0y)
                v = inverse[1, 0] * (i - g0x) + inverse[1, 1] * (j - g0y)
                if u * u + v * v <= angular * angular or (abs(i - g0x) <= 0.5 and abs(j - g0y) <= 0.5):
                    total += lit[j, i] / 255.0
                    count += 1
        if count > 0:
            out[k] = total / count
    return out


# ---------------------------------------------------------------- detector


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
