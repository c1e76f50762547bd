"""Backplanes and lighting meshes: every pixel's ray met with the ellipsoid.

The scalars a kernel needs travel in two packed float64 arrays, in this order:

``optics``  focal length mm, pitch x, pitch y (mm), centre x, centre y (frame pixels), distortion E1 (mm^-2)
``scene``   camera-from-body rotation row by row (9), spacecraft xyz (km), Sun xyz (km), semi-axes (km)
"""

from __future__ import annotations

import numpy as np
from numba import njit

FUSED = {"contract"}
"""Multiply-adds may be fused: a fifth faster, NaN and infinities kept."""

QUARTER, HALF, FULL = np.float32(90.0), np.float32(180.0), np.float32(360.0)
ZERO, ONE, TWO = np.float32(0.0), np.float32(1.0), np.float32(2.0)

# atan(z)/z in degrees as a polynomial in z*z on [0, 1]: own minimax fit, largest error 1.4e-7 rad in float32.
A0 = np.float32(np.degrees(0.99999933558))
A1 = np.float32(np.degrees(-0.33329860773))
A2 = np.float32(np.degrees(0.19946565520))
A3 = np.float32(np.degrees(-0.13908628868))
A4 = np.float32(np.degrees(0.09642195522))
A5 = np.float32(np.degrees(-0.05591230131))
A6 = np.float32(np.degrees(0.02186293970))
A7 = np.float32(np.degrees(-0.00405456205))

# Undistorted over distorted radius is 1 - e (1 - e (3 - e (12 - e (55 - e 273)))) for e = E1 q^2: series
# reversal of q = r (1 + E1 r^2), coefficients C(3n, n)/(2n + 1); the first one left out is below 1e-15 for
# the Framing Cameras.
E2, E3, E4, E5 = np.float32(3.0), np.float32(12.0), np.float32(55.0), np.float32(273.0)

LEGS, CHUNK = 9, 512
"""Quantities per pixel handed from loop to loop, for so many pixels at a time that they stay in the cache. A
flat array of constant stride, and at most three planes written by a loop, let the compiler see (or test) that
stores do not overlap: only then does it vectorise."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FUSED, inline="always")
def _octant_deg(y, x):
    """Arctangent of y/x in degrees for y, x >= 0; float32, without branches so that loops vectorise."""
    z = min(x, y) / max(x, y)
    w = z * z
    a = z * (A0 + w * (A1 + w * (A2 + w * (A3 + w * (A4 + w * (A5 + w * (A6 + w * A7)))))))
    return QUARTER - a if y > x else a


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FUSED, inline="always")
def _atan2_deg(y, x):
    """Arctangent of y/x in degrees, -180 to 180."""
    a = _octant_deg(abs(y), abs(x))
    a = HALF - a if x < ZERO else a
    return -a if y < ZERO else a


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FUSED, inline="always")
def _turn_deg(y, x):
    """Arctangent of y/x in degrees, 0 to 360."""
    a = _octant_deg(abs(y), abs(x))
    a = HALF - a if x < ZERO else a
    return FULL - a if y < ZERO else a


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FUSED, inline="always")
def _shrink(e):
    """Undistorted over distorted radius for ``e = E1 * q**2``."""
    return 1.0 - e * (1.0 - e * (3.0 - e * (12.0 - e * (55.0 - e * 273.0))))


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FUSED)
def backplanes(optics, scene, planes):
    """Fill ``planes`` (9, rows, columns) float32; NaN off the body.

    Order: latitude, longitude, incidence, emission, phase (deg), slant range (km), pixel ground
    area (km2), north azimuth, Sun azimuth (deg). Rays are met with the ellipsoid in float64 where digits
    cancel; all else follows in float32, angles as atan2 of cross and scalar products, which
    keeps them good to 1e-7 radian at 0 as at 90 degrees.
    """
    legs = np.empty(LEGS * CHUNK, np.float32)
    rough = np.empty(5 * CHUNK, np.float32)
    exact = np.empty(2 * CHUNK)
    forms, apex = _forms(optics, scene)
    for row in range(planes.shape[1]):
        for start in range(0, planes.shape[2], CHUNK):
            count = min(CHUNK, planes.shape[2] - start)
            _rays(optics, scene, forms, apex, row, start, count, legs, rough, exact)
            _points(optics, scene, apex, row, start, count, legs, rough, exact)
            here = slice(start, start + count)
            _place(legs, planes[0, row, here], planes[1, row, here], planes[5, row, here])
            _light(scene, legs, planes[2, row, here], planes[3, row, here], planes[4, row, here])
            _image(optics, scene, legs, planes[6, row, here], planes[7, row, here], planes[8, row, here])


@njit(cache=True, nogil=True, error_model="numpy")
def _forms(optics, scene):
    """The view in a space where the ellipsoid is the unit sphere.

    Returns ``forms`` (3, 3), by which focal-plane x, y and 1 (columns) give a ray's part down, toward the
    centre, and its parts across; and the camera's distance from the centre.
    """
    radii = scene[15:18]
    up = scene[9:12] / radii
    apex = np.sqrt(np.sum(up * up))
    up /= apex
    # One axis across is square to the body axis least along the view; the other completes the frame.
    least = np.argmin(np.abs(up))
    across = np.zeros(3)
    across[(least + 1) % 3] = -up[(least + 2) % 3]
    across[(least + 2) % 3] = up[(least + 1) % 3]
    across /= np.sqrt(np.sum(across**2))
    forms = np.empty((3, 3))
    for k in range(3):
        ray = scene[3 * k : 3 * k + 3] / radii * (optics[0] if k == 2 else 1.0)
        forms[0, k] = -np.sum(ray * up)
        forms[1, k] = np.sum(ray * across)
        forms[2, k] = np.sum(ray * np.cross(up, across))
    return forms, apex


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FUSED)
def _rays(optics, scene, forms, apex, row, start, count, legs, rough, exact):
    """Rays of one chunk: focal-plane x, y and the way back into ``legs``, what meets the ground elsewhere.

    ``exact``, in float64 since digits cancel: the ray's part down, and the square under the root of the
    crossing, negative where the ray passes the body; ``rough``: both in float32, and the distortion.
    """
    pitch, e1 = optics[1], np.float32(optics[5])
    left = (start - optics[3]) * pitch
    v = (row - optics[4]) * optics[2]
    left32, pitch32, v32 = np.float32(left), np.float32(pitch), np.float32(v)
    v2 = v32 * v32
    r00, r01, r02 = np.float32(scene[0]), np.float32(scene[1]), np.float32(scene[2])
    r10, r11, r12 = np.float32(scene[3]), np.float32(scene[4]), np.float32(scene[5])
    focal = optics[0]
    fx, fy, fz = np.float32(scene[6] * focal), np.float32(scene[7] * focal), np.float32(scene[8] * focal)
    for i in range(count):
        u32 = left32 + pitch32 * np.float32(np.int32(i))
        e = e1 * (u32 * u32 + v2)
        e *= ONE - e * (E2 - e * (E3 - e * (E4 - e * E5)))
        rough[2 * CHUNK + i] = e
        x, y = u32 * (ONE - e), v32 * (ONE - e)
        legs[3 * CHUNK + i] = -(r00 * x + r10 * y + fx)
        legs[4 * CHUNK + i] = -(r01 * x + r11 * y + fy)
        legs[5 * CHUNK + i] = -(r02 * x + r12 * y + fz)
        legs[7 * CHUNK + i] = x
        legs[8 * CHUNK + i] = y
    down_x, down_y, down_f = forms[0, 0], forms[0, 1] * v, forms[0, 2]
    a_x, a_y, a_f = forms[1, 0], forms[1, 1] * v, forms[1, 2]
    b_x, b_y, b_f = forms[2, 0], forms[2, 1] * v, forms[2, 2]
    outside, per = apex * apex - 1.0, 1.0 / (apex * apex)
    for i in range(count):
        u = left + pitch * np.float64(np.int32(i))
        shrink = 1.0 - np.float64(rough[2 * CHUNK + i])
        down = apex * (down_f + shrink * (down_y + down_x * u))
        a = a_f + shrink * (a_y + a_x * u)
        b = b_f + shrink * (b_y + b_x * u)
        # (down / apex)^2 - outside * (a^2 + b^2)
        square = down * down * per - outside * (a * a + b * b)
        exact[i] = down
        exact[CHUNK + i] = square
        rough[i] = down
        rough[CHUNK + i] = square


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FUSED)
def _points(optics, scene, apex, row, start, count, legs, rough, exact):
    """Where rays meet the ellipsoid: point xyz and rays to it into ``legs``.

    Root and quotient are taken in float32, many at a time, and one step of Newton's makes them good to 1e-14.
    """
    half, two, never = np.float32(0.5), 2.0, np.float32(np.nan)
    for i in range(count):
        root = np.sqrt(rough[CHUNK + i])
        root = root if rough[i] > ZERO else never
        rough[3 * CHUNK + i] = half / root
        rough[4 * CHUNK + i] = ONE / (rough[i] + root)
        rough[CHUNK + i] = root
    outside = apex * apex - 1.0
    sx, sy, sz = scene[9], scene[10], scene[11]
    v = (row - optics[4]) * optics[2]
    pitch = optics[1]
    left = (start - optics[3]) * pitch
    # The ray (x, y, f) in the body's frame, y and x sharing the distortion.
    r00, r01, r02 = scene[0], scene[1], scene[2]
    y0, y1, y2 = scene[3] * v, scene[4] * v, scene[5] * v
    fx, fy, fz = scene[6] * optics[0], scene[7] * optics[0], scene[8] * optics[0]
    for i in range(count):
        root = np.float64(rough[CHUNK + i])
        root += (exact[CHUNK + i] - root * root) * np.float64(rough[3 * CHUNK + i])
        part = np.float64(rough[4 * CHUNK + i])
        t = outside * part * (two - (exact[i] + root) * part)
        u = left + pitch * np.float64(np.int32(i))
        along = t * (1.0 - np.float64(rough[2 * CHUNK + i]))
        legs[i] = sx + t * fx + along * (y0 + r00 * u)
        legs[CHUNK + i] = sy + t * fy + along * (y1 + r01 * u)
        legs[2 * CHUNK + i] = sz + t * fz + along * (y2 + r02 * u)
        legs[6 * CHUNK + i] = t


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FUSED)
def _scaled(scene):
    """Float32 a^2/b^2 and a^2/c^2 of the ellipsoid, the Sun's direction, and 1 over its distance."""
    far = np.sqrt(scene[12] ** 2 + scene[13] ** 2 + scene[14] ** 2)
    return (
        np.float32((scene[15] / scene[16]) ** 2),
        np.float32((scene[15] / scene[17]) ** 2),
        np.float32(scene[12] / far),
        np.float32(scene[13] / far),
        np.float32(scene[14] / far),
        np.float32(1.0 / far),
    )


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FUSED, inline="always")
def _between_deg(ax, ay, az, bx, by, bz):
    """Angle between vectors of any length."""
    cx, cy, cz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    along = ax * bx + ay * by + az * bz
    a = _octant_deg(np.sqrt(cx * cx + cy * cy + cz * cz), abs(along))
    return HALF - a if along < ZERO else a


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FUSED)
def _place(legs, latitude, longitude, slant):
    """Latitude, longitude and range of one chunk."""
    for i in range(slant.size):
        px, py, pz = legs[i], legs[CHUNK + i], legs[2 * CHUNK + i]
        dx, dy, dz = legs[3 * CHUNK + i], legs[4 * CHUNK + i], legs[5 * CHUNK + i]
        a = _octant_deg(abs(pz), np.sqrt(px * px + py * py))
        latitude[i] = -a if pz < ZERO else a
        longitude[i] = _turn_deg(py, px)
        slant[i] = legs[6 * CHUNK + i] * np.sqrt(dx * dx + dy * dy + dz * dz)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FUSED)
def _light(scene, legs, incidence, emission, phase):
    """Incidence, emission and phase of one chunk."""
    ib, ic, ux, uy, uz, per_far = _scaled(scene)
    for i in range(phase.size):
        px, py, pz = legs[i], legs[CHUNK + i], legs[2 * CHUNK + i]
        dx, dy, dz = legs[3 * CHUNK + i], legs[4 * CHUNK + i], legs[5 * CHUNK + i]
        nx, ny, nz = px, py * ib, pz * ic
        wx, wy, wz = ux - px * per_far, uy - py * per_far, uz - pz * per_far
        incidence[i] = _between_deg(nx, ny, nz, wx, wy, wz)
        emission[i] = _between_deg(nx, ny, nz, dx, dy, dz)
        phase[i] = _between_deg(wx, wy, wz, dx, dy, dz)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FUSED)
def _image(optics, scene, legs, area, north, sun):
    """Pixel area, and image directions of north and Sun: tangents to the ground, seen through the camera."""
    e1 = np.float32(optics[5])
    # y over x pitch: azimuths need only the ratio.
    squash = np.float32(optics[2] / optics[1])
    solid = np.float32(optics[0] * optics[1] * optics[2])
    focal, focal_x = np.float32(optics[0]), np.float32(optics[0]) * squash
    bend, bend_x = TWO * e1 * focal, TWO * e1 * focal_x
    r00, r01, r02 = np.float32(scene[0]), np.float32(scene[1]), np.float32(scene[2])
    r10, r11, r12 = np.float32(scene[3]), np.float32(scene[4]), np.float32(scene[5])
    r20, r21, r22 = np.float32(scene[6]), np.float32(scene[7]), np.float32(scene[8])
    ib, ic, ux, uy, uz, per_far = _scaled(scene)
    u0 = r00 * ux + r01 * uy + r02 * uz
    u1 = r10 * ux + r11 * uy + r12 * uz
    u2 = r20 * ux + r21 * uy + r22 * uz
    # The Sun is seen from the point, not from the centre; what of that lies along the normal turns nothing.
    aside_y, aside_z = per_far * (ONE / ib - ONE), per_far * (ONE / ic - ONE)
    for i in range(area.size):
        nx, ny, nz = legs[i], legs[CHUNK + i] * ib, legs[2 * CHUNK + i] * ic
        t, x, y = legs[6 * CHUNK + i], legs[7 * CHUNK + i], legs[8 * CHUNK + i]
        swell = e1 * (x * x + y * y)
        stretch = ONE + swell
        radial = stretch + TWO * swell
        flat2 = nx * nx + ny * ny
        n2 = flat2 + nz * nz
        # Range^2 times solid angle (pitches f / L^3, less the distortion's stretch) over cos e; the L cancel.
        facing = nx * legs[3 * CHUNK + i] + ny * legs[4 * CHUNK + i] + nz * legs[5 * CHUNK + i]
        area[i] = t * t * solid * np.sqrt(n2) / (stretch * radial * facing)
        # Image motion, x by squash, of a motion (k0, k1, k2) in camera axes: perspective, then distortion.
        xx, yy = focal_x * stretch + bend_x * x * x, focal * stretch + bend * y * y
        yx = bend * x * y
        xy = yx * squash
        xz, yz = radial * x * squash, radial * y
        # North, n^2 times the pole less its part along the normal, written so that nothing cancels there.
        g0, g1, g2 = r00 * nx + r01 * ny, r10 * nx + r11 * ny, r20 * nx + r21 * ny
        k0, k1, k2 = r02 * flat2 - nz * g0, r12 * flat2 - nz * g1, r22 * flat2 - nz * g2
        north[i] = _turn_deg(xx * k0 + xy * k1 - xz * k2, yz * k2 - yx * k0 - yy * k1)
        g0, g1, g2 = g0 + r02 * nz, g1 + r12 * nz, g2 + r22 * nz
        py, pz = aside_y * ny, aside_z * nz
        upright = nx * ux + ny * (uy - py) + nz * (uz - pz)
        k0 = n2 * (u0 - r01 * py - r02 * pz) - upright * g0
        k1 = n2 * (u1 - r11 * py - r12 * pz) - upright * g1
        k2 = n2 * (u2 - r21 * py - r22 * pz) - upright * g2
        sun[i] = _turn_deg(xx * k0 + xy * k1 - xz * k2, yz * k2 - yx * k0 - yy * k1)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FUSED)
def disk_mesh(optics, scene, step, mu0_out, mu_out, phase_out):
    """Cosines of incidence and emission and phase (deg) at block centres, float32; NaN off the body."""
    focal, pitch_x, pitch_y, center_x, center_y, e1 = (
        optics[0],
        optics[1],
        optics[2],
        optics[3],
        optics[4],
        optics[5],
    )
    sx, sy, sz = scene[9], scene[10], scene[11]
    ia, ib, ic = 1.0 / scene[15] ** 2, 1.0 / scene[16] ** 2, 1.0 / scene[17] ** 2
    outside = sx * sx * ia + sy * sy * ib + sz * sz * ic - 1.0
    half = 0.5 * (step - 1)
    for row in range(mu0_out.shape[0]):
        v = (row * step + half - center_y) * pitch_y
        for column in range(mu0_out.shape[1]):
            u = (column * step + half - center_x) * pitch_x
            shrink = _shrink(e1 * (u * u + v * v))
            X = u * shrink
            Y = v * shrink
            l_inv = 1.0 / np.sqrt(X * X + Y * Y + focal * focal)
            dx = (scene[0] * X + scene[3] * Y + scene[6] * focal) * l_inv
            dy = (scene[1] * X + scene[4] * Y + scene[7] * focal) * l_inv
            dz = (scene[2] * X + scene[5] * Y + scene[8] * focal) * l_inv
            a = dx * dx * ia + dy * dy * ib + dz * dz * ic
            b = sx * dx * ia + sy * dy * ib + sz * dz * ic
            t = outside / (np.sqrt(b * b - a * outside) - b)
            t = t if b < 0.0 else np.nan
            px = sx + t * dx
            py = sy + t * dy
            pz = sz + t * dz
            nx, ny, nz = px * ia, py * ib, pz * ic
            n_inv = 1.0 / np.sqrt(nx * nx + ny * ny + nz * nz)
            wx, wy, wz = scene[12] - px, scene[13] - py, scene[14] - pz
            w_inv = 1.0 / np.sqrt(wx * wx + wy * wy + wz * wz)
            cp = -(wx * dx + wy * dy + wz * dz) * w_inv
            mu0_out[row, column] = (nx * wx + ny * wy + nz * wz) * n_inv * w_inv
            mu_out[row, column] = -(nx * dx + ny * dy + nz * dz) * n_inv
            sp = np.float32(np.sqrt(abs(1.0 - cp * cp)))
            phase_out[row, column] = _atan2_deg(sp, np.float32(cp))


@njit(cache=True, nogil=True, error_model="numpy")
def _angle_deg(ax, ay, az, bx, by, bz):
    """Angle between vectors of any length, float64, as good at 0 as at 90 and 180 degrees."""
    cx, cy, cz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    return np.degrees(np.arctan2(np.sqrt(cx * cx + cy * cy + cz * cz), ax * bx + ay * by + az * bz))


@njit(cache=True, nogil=True, error_model="numpy")
def _image_motion(optics, scene, u, v, depth, kx, ky, kz):
    """Pixels right and down that an image point moves when its ground point moves by (kx, ky, kz) km.

    ``u``, ``v``: its place in the focal plane without distortion, mm; ``depth``: its distance along the
    optical axis, km.
    """
    focal, e1 = optics[0], optics[5]
    m0 = scene[0] * kx + scene[1] * ky + scene[2] * kz
    m1 = scene[3] * kx + scene[4] * ky + scene[5] * kz
    m2 = scene[6] * kx + scene[7] * ky + scene[8] * kz
    du, dv = (focal * m0 - u * m2) / depth, (focal * m1 - v * m2) / depth
    stretch, swell = 1.0 + e1 * (u * u + v * v), 2.0 * e1 * (u * du + v * dv)
    return (du * stretch + u * swell) / optics[1], (dv * stretch + v * swell) / optics[2]


@njit(cache=True, nogil=True, error_model="numpy")
def ground(optics, scene, x, y, out):
    """The ground under pixels (n,), all in float64; fills ``out`` (17, n), NaN off the body.

    Rows: the nine of `backplanes`, the Sun's azimuth on the ground from north (deg), the point's xyz (km),
    and what one pixel right and one down are on the ground, km east (two) and north (two).
    """
    ax, ay, az = scene[15], scene[16], scene[17]
    sx, sy, sz = scene[9], scene[10], scene[11]
    tx, ty, tz = sx / ax, sy / ay, sz / az
    outside = tx * tx + ty * ty + tz * tz - 1.0
    for k in range(x.size):
        u, v = (x[k] - optics[3]) * optics[1], (y[k] - optics[4]) * optics[2]
        shrink = _shrink(optics[5] * (u * u + v * v))
        u, v, focal = u * shrink, v * shrink, optics[0]
        length = np.sqrt(u * u + v * v + focal * focal)
        dx = (scene[0] * u + scene[3] * v + scene[6] * focal) / length
        dy = (scene[1] * u + scene[4] * v + scene[7] * focal) / length
        dz = (scene[2] * u + scene[5] * v + scene[8] * focal) / length
        # Where the ray meets the unit sphere that the ellipsoid is in units of its axes.
        ex, ey, ez = dx / ax, dy / ay, dz / az
        a, b = ex * ex + ey * ey + ez * ez, ex * tx + ey * ty + ez * tz
        slant = outside / (np.sqrt(b * b - a * outside) - b) if b < 0.0 else np.nan
        px, py, pz = sx + slant * dx, sy + slant * dy, sz + slant * dz
        nx, ny, nz = px / (ax * ax), py / (ay * ay), pz / (az * az)
        size = np.sqrt(nx * nx + ny * ny + nz * nz)
        nx, ny, nz = nx / size, ny / size, nz / size
        wx, wy, wz = scene[12] - px, scene[13] - py, scene[14] - pz
        size = np.sqrt(wx * wx + wy * wy + wz * wz)
        wx, wy, wz = wx / size, wy / size, wz / size
        # On the ground: north, east, and toward the Sun.
        flat = np.sqrt(nx * nx + ny * ny)
        # At a pole all ways lead off it: that of longitude 0 stands for north.
        lx, ly = (nx / flat, ny / flat) if flat > 0.0 else (1.0, 0.0)
        gx, gy, gz = -nz * lx, -nz * ly, flat
        hx, hy, hz = -ly, lx, 0.0
        mu0 = nx * wx + ny * wy + nz * wz
        qx, qy, qz = wx - mu0 * nx, wy - mu0 * ny, wz - mu0 * nz
        depth = slant * focal / length
        east_x, east_y = _image_motion(optics, scene, u, v, depth, hx, hy, hz)
        north_x, north_y = _image_motion(optics, scene, u, v, depth, gx, gy, gz)
        sun_x, sun_y = _image_motion(optics, scene, u, v, depth, qx, qy, qz)
        determinant = east_x * north_y - north_x * east_y
        out[0, k] = np.degrees(np.arctan2(pz, np.hypot(px, py)))
        out[1, k] = np.degrees(np.arctan2(py, px)) % 360.0
        out[2, k] = _angle_deg(nx, ny, nz, wx, wy, wz)
        out[3, k] = _angle_deg(nx, ny, nz, -dx, -dy, -dz)
        out[4, k] = _angle_deg(wx, wy, wz, -dx, -dy, -dz)
        out[5, k] = slant
        out[6, k] = abs(1.0 / determinant)
        out[7, k] = np.degrees(np.arctan2(north_x, -north_y)) % 360.0
        out[8, k] = np.degrees(np.arctan2(sun_x, -sun_y)) % 360.0
        out[9, k] = np.degrees(np.arctan2(qx * hx + qy * hy, qx * gx + qy * gy + qz * gz)) % 360.0
        out[10, k], out[11, k], out[12, k] = px, py, pz
        out[13, k], out[14, k] = north_y / determinant, -north_x / determinant
        out[15, k], out[16, k] = -east_y / determinant, east_x / determinant
