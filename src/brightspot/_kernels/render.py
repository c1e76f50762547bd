"""Compiled loops of the renderer: light and cast shadows on a ground grid, rays of the camera.

The grid and its parameters are those of ``_kernels.ground``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from brightspot._kernels.ground import _bilinear, _forward, _inverse, _map_patch, _radius

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
def _sun_paths(rows, columns, size, room, frame, grid, body, sun):
    """Where rays toward the Sun run over the grid, for the middle of each block of ``size`` cells.

    Returns float64 (block rows, block columns, 7): grid steps per km and per km2 along x, the same along y,
    height above the spheroid per km beyond the sine of the Sun's elevation, and per km2; the length in km for
    which they hold (0: the Sun is below the horizon by more than relief can make up).
    """
    brows = (rows + size - 1) // size
    bcolumns = (columns + size - 1) // size
    out = np.zeros((brows, bcolumns, 7))
    xs = np.empty(3)
    ys = np.empty(3)
    zs = np.empty(3)
    for bj in range(brows):
        for bi in range(bcolumns):
            nx, ny, nz = _inverse((bi + 0.5) * size - 0.5, (bj + 0.5) * size - 0.5, frame, grid)
            radius = _radius(nz, body)
            rise = nx * sun[0] + ny * sun[1] + nz * sun[2]
            if rise < -0.3:
                continue
            # Where the ray leaves the highest relief: t rise + t^2 (1 - rise^2) / 2 R = room.
            bend = (1.0 - rise * rise) / radius
            root = np.sqrt(rise * rise + 2.0 * bend * room)
            reach = 2.0 * room / (rise + root) if rise > 0.0 else (root - rise) / max(bend, 1e-9)
            # Other cells of the block see the Sun a little lower.
            reach = min(max(1.3 * reach, 16.0 * grid[2] * radius), 0.5 * radius)
            for m in range(3):
                t = 0.5 * m * reach
                qx = nx * radius + t * sun[0]
                qy = ny * radius + t * sun[1]
                qz = nz * radius + t * sun[2]
                r = np.sqrt(qx * qx + qy * qy + qz * qz)
                xs[m], ys[m] = _forward(qx / r, qy / r, qz / r, frame, grid)
                zs[m] = r - _radius(qz / r, body)
            out[bj, bi, 0] = (4.0 * xs[1] - 3.0 * xs[0] - xs[2]) / reach
            out[bj, bi, 1] = 2.0 * (xs[0] + xs[2] - 2.0 * xs[1]) / reach**2
            out[bj, bi, 2] = (4.0 * ys[1] - 3.0 * ys[0] - ys[2]) / reach
            out[bj, bi, 3] = 2.0 * (ys[0] + ys[2] - 2.0 * ys[1]) / reach**2
            out[bj, bi, 4] = (4.0 * zs[1] - 3.0 * zs[0] - zs[2]) / reach - rise
            out[bj, bi, 5] = 2.0 * (zs[0] + zs[2] - 2.0 * zs[1]) / reach**2
            out[bj, bi, 6] = reach
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _sun_seen(i, j, rise, height, maxima, size, top, path, half_sun):
    """Fraction of the Sun's disk that relief leaves visible from a ground cell; ``path`` of its block."""
    rows, columns = height.shape
    h0 = height[j, i]
    x1, x2, y1, y2, z2 = path[0], path[1], path[2], path[3], path[5]
    z1 = rise + path[4]
    speed = np.sqrt(x1 * x1 + y1 * y1)
    if speed <= 0.0 or path[6] <= 0.0:
        return 1.0
    dt = 1.0 / speed
    t = 1.2 * dt
    lowest = 1.0
    while t < path[6]:
        gx = i + t * (x1 + t * x2)
        gy = j + t * (y1 + t * y2)
        z = h0 + t * (z1 + t * z2)
        if z > top or gx < 0.0 or gy < 0.0 or gx > columns - 1.01 or gy > rows - 1.01:
            break
        ix = int(gx)
        iy = int(gy)
        if z > maxima[iy // size, ix // size]:
            t += size * dt
            continue
        fx = gx - ix
        fy = gy - iy
        ground = (
            (height[iy, ix] * (1.0 - fx) + height[iy, ix + 1] * fx) * (1.0 - fy)
            + (height[iy + 1, ix] * (1.0 - fx) + height[iy + 1, ix + 1] * fx) * fy
        )  # fmt: skip
        clear = (z - ground) / t
        if clear < lowest:
            lowest = clear
            if lowest < -half_sun:
                return 0.0
        # Far relief matters only where it is wide: steps grow with distance.
        t += max(dt, 0.03 * t)
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
        255 x visible part of the Sun; 0 where the facet looks away from it or from the camera.
    """
    rows, columns = height.shape
    size = 16
    maxima = block_maxima(height, size)
    top = maxima.max()
    paths = _sun_paths(rows, columns, size, top - height.min() + 0.01, frame, grid, body, sun)
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
            if mu <= 0.0:
                continue
            radius = np.sqrt(px * px + py * py + pz * pz)
            rise = (px * sun[0] + py * sun[1] + pz * sun[2]) / radius
            # Farther behind the terminator than the highest relief can reach.
            if rise < -0.2:
                continue
            seen = 1.0
            # Relief on the spheroid hides the Sun only where it stands lower than steep ground.
            if cast and rise < 0.65:
                seen = _sun_seen(i, j, rise, height, maxima, size, top, paths[j // size, i // size], half_sun)
            lit[j, i] = np.uint8(255.0 * seen)
            if seen <= 0.0:
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
        if (f < 0.02 * cell_km and down > 0.3) or f <= 0.0:
            return True, gx, gy
        last_t = t
        last_f = f
        # No faster than relief of this slope could come to meet the ray; a step too far is taken back above.
        slope = 0.6 if down < 0.5 else 0.3
        rate = max(down, 0.0) + slope * np.sqrt(max(1.0 - down * down, 0.0))
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
def look(light, albedo, height, frame, grid, body, origin, lens, rotation, rows, columns, x0, y0):
    """What each pixel sees: mean of ``light`` over its footprint, relief in front hiding relief behind.

    The corners of all pixels are traced; between corners that see one piece of ground the
    footprint is filled with as many samples as it has cells, elsewhere (limb, overhangs) with
    traced rays. A sample's light is shared between the four nearest pixel centres in proportion, so that
    what is smaller than a pixel keeps its place: the pixel's response is a tent of variance 1/6.

    Returns
    -------
    image : float32 (rows, columns)
    cover : float32 (rows, columns)
        Part of the pixel that sees the body.
    ground : float32 (rows, columns)
        ``albedo`` under the middle of the pixel; 0 on the sky and at its edge.
    """
    # With a border, so that light shared over the frame's edge needs no question.
    image = np.zeros((rows + 2, columns + 2), np.float32)
    cover = np.zeros((rows, columns), np.float32)
    ground = np.zeros((rows, columns), np.float32)
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
                if g == g:  # not NaN
                    hits += 1
            if hits == 0:
                continue
            smooth = False
            if hits == 4:
                wide = max(abs(bx - ax) + abs(by - ay), abs(dx - cx) + abs(dy - cy))
                high = max(abs(cx - ax) + abs(cy - ay), abs(dx - bx) + abs(dy - by))
                # Opposite sides alike: one piece of ground, evenly spread over the pixel.
                twist = abs(ax - bx - cx + dx) + abs(ay - by - cy + dy)
                smooth = max(wide, high) < 60.0 and twist < 1.0 + 0.25 * max(wide, high)
            nu = 2 if hits == 4 else 4
            nv = nu
            seen = 0
            if smooth:
                # Even numbers: then even ground stays even where the number changes.
                nu = 4 if wide <= 2.0 else min(2 * int(0.9 * wide + 0.999), 12)
                nv = 4 if high <= 2.0 else min(2 * int(0.9 * high + 0.999), 12)
            for sj in range(nv):
                v = (sj + 0.5) / nv
                middle, left, right = 0.0, 0.0, 0.0
                for si in range(nu):
                    u = (si + 0.5) / nu
                    if smooth:
                        a = ax + u * (bx - ax) + v * (cx - ax + u * (dx - cx - bx + ax))
                        b = ay + u * (by - ay) + v * (cy - ay + u * (dy - cy - by + ay))
                    else:
                        vx, vy, vz = _ray(x0 + i - 0.5 + u, y0 + j - 1.5 + v, lens, rotation)
                        hit, a, b = _trace(vx, vy, vz, origin, height, top, frame, grid, body)
                        if not hit:
                            continue
                    seen += 1
                    value = _bilinear(light, a, b) / (nu * nv)
                    middle += value
                    if u < 0.5:
                        left += (0.5 - u) * value
                    else:
                        right += (u - 0.5) * value
                middle -= left + right
                other = j - 1 if v < 0.5 else j + 1
                w = abs(v - 0.5)
                image[other, i] += w * left
                image[other, i + 1] += w * middle
                image[other, i + 2] += w * right
                image[j, i] += (1.0 - w) * left
                image[j, i + 1] += (1.0 - w) * middle
                image[j, i + 2] += (1.0 - w) * right
            cover[j - 1, i] = seen / (nu * nv)
            if smooth:
                ground[j - 1, i] = _bilinear(albedo, 0.25 * (ax + bx + cx + dx), 0.25 * (ay + by + cy + dy))
    return image[1:-1, 1:-1].copy(), cover, ground


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
