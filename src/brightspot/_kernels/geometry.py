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

DEGREES = np.float32(180.0 / np.pi)
HALF_PI = np.float32(np.pi / 2)
PI = np.float32(np.pi)

# atan(z)/z as a polynomial in z*z on [0, 1]: own minimax fit, largest error 1.4e-7 rad in float32.
A0 = np.float32(0.99999933558)
A1 = np.float32(-0.33329860773)
A2 = np.float32(0.19946565520)
A3 = np.float32(-0.13908628868)
A4 = np.float32(0.09642195522)
A5 = np.float32(-0.05591230131)
A6 = np.float32(0.02186293970)
A7 = np.float32(-0.00405456205)


LEGS, CHUNK = 9, 256
"""Quantities per pixel handed from loop to loop, for so many pixels at a time that they stay in the cache. A
flat array of constant stride, and at most three planes written by a loop, let the compiler see (or test) that
stores do not overlap: only then does it vectorise."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FUSED, inline="always")
def _atan2_deg(y, x):
    """Arctangent of y/x in degrees, -180 to 180, float32, without branches so that loops vectorise."""
    ax = abs(x)
    ay = abs(y)
    small = min(ax, ay)
    large = max(ax, ay)
    z = small / large
    w = z * z
    a = z * (A0 + w * (A1 + w * (A2 + w * (A3 + w * (A4 + w * (A5 + w * (A6 + w * A7)))))))
    a = HALF_PI - a if ay > ax else a
    a = PI - a if x < np.float32(0.0) else a
    a = -a if y < np.float32(0.0) else a
    return a * DEGREES


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FUSED, inline="always")
def _shrink(e):
    """Undistorted over distorted radius for ``e = E1 * q**2``: series reversal of q = r (1 + E1 r^2).

    Coefficients C(3n, n)/(2n + 1); the first one left out is below 1e-15 for the Framing Cameras.
    """
    return 1.0 - e * (1.0 - e * (3.0 - e * (12.0 - e * (55.0 - e * 273.0))))


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FUSED)
def backplanes(optics, scene, planes):
    """Fill ``planes`` (9, rows, columns) float32; NaN off the body.

    Order: latitude, longitude, incidence, emission, phase (deg), slant range (km), pixel ground
    area (km2), north azimuth, Sun azimuth (deg). Rays are met with the ellipsoid in float64, where digits
    cancel; all else follows from the points in float32, angles as atan2 of cross and scalar products, which
    keeps them good to 1e-7 radian at 0 as at 90 degrees.
    """
    legs = np.empty(LEGS * CHUNK, np.float32)
    for row in range(planes.shape[1]):
        for start in range(0, planes.shape[2], CHUNK):
            count = min(CHUNK, planes.shape[2] - start)
            _points(optics, scene, row, start, count, legs)
            here = slice(start, start + count)
            _place(legs, planes[0, row, here], planes[1, row, here], planes[5, row, here])
            _light(scene, legs, planes[2, row, here], planes[3, row, here], planes[4, row, here])
            _image(optics, scene, legs, planes[6, row, here], planes[7, row, here], planes[8, row, here])


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FUSED)
def _points(optics, scene, row, start, count, legs):
    """Meet rays with the ellipsoid; ``legs``: point xyz, ray xyz, rays to the point, focal-plane x and y."""
    focal, pitch_x, center_x, e1 = optics[0], optics[1], optics[3], optics[5]
    r00, r01, r02 = scene[0], scene[1], scene[2]
    r10, r11, r12 = scene[3], scene[4], scene[5]
    sx, sy, sz = scene[9], scene[10], scene[11]
    fx, fy, fz = scene[6] * focal, scene[7] * focal, scene[8] * focal
    ia, ib, ic = 1.0 / scene[15] ** 2, 1.0 / scene[16] ** 2, 1.0 / scene[17] ** 2
    ax, ay, az = sx * ia, sy * ib, sz * ic
    outside = sx * ax + sy * ay + sz * az - 1.0
    v = (row - optics[4]) * optics[2]
    for i in range(count):
        u = (start + i - center_x) * pitch_x
        shrink = _shrink(e1 * (u * u + v * v))
        x = u * shrink
        y = v * shrink
        dx = r00 * x + r10 * y + fx
        dy = r01 * x + r11 * y + fy
        dz = r02 * x + r12 * y + fz
        a = dx * dx * ia + dy * dy * ib + dz * dz * ic
        b = ax * dx + ay * dy + az * dz
        t = outside / (np.sqrt(b * b - a * outside) - b)
        t = t if b < 0.0 else np.nan
        legs[i] = sx + t * dx
        legs[CHUNK + i] = sy + t * dy
        legs[2 * CHUNK + i] = sz + t * dz
        legs[3 * CHUNK + i] = dx
        legs[4 * CHUNK + i] = dy
        legs[5 * CHUNK + i] = dz
        legs[6 * CHUNK + i] = t
        legs[7 * CHUNK + i] = x
        legs[8 * CHUNK + i] = y


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
    return _atan2_deg(np.sqrt(cx * cx + cy * cy + cz * cz), ax * bx + ay * by + az * bz)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FUSED)
def _place(legs, latitude, longitude, slant):
    """Latitude, longitude and range of one chunk."""
    turn, zero = np.float32(360.0), np.float32(0.0)
    for i in range(slant.size):
        px, py, pz = legs[i], legs[CHUNK + i], legs[2 * CHUNK + i]
        dx, dy, dz = legs[3 * CHUNK + i], legs[4 * CHUNK + i], legs[5 * CHUNK + i]
        latitude[i] = _atan2_deg(pz, np.sqrt(px * px + py * py))
        a = _atan2_deg(py, px)
        longitude[i] = a + turn if a < zero else a
        slant[i] = legs[6 * CHUNK + i] * np.sqrt(dx * dx + dy * dy + dz * dz)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FUSED)
def _light(scene, legs, incidence, emission, phase):
    """Incidence, emission and phase of one chunk."""
    ib, ic, ux, uy, uz, per_far = _scaled(scene)
    for i in range(phase.size):
        px, py, pz = legs[i], legs[CHUNK + i], legs[2 * CHUNK + i]
        dx, dy, dz = -legs[3 * CHUNK + i], -legs[4 * CHUNK + i], -legs[5 * CHUNK + i]
        nx, ny, nz = px, py * ib, pz * ic
        wx, wy, wz = ux - px * per_far, uy - py * per_far, uz - pz * per_far
        incidence[i] = _between_deg(nx, ny, nz, wx, wy, wz)
        emission[i] = _between_deg(nx, ny, nz, dx, dy, dz)
        phase[i] = _between_deg(wx, wy, wz, dx, dy, dz)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FUSED)
def _image(optics, scene, legs, area, north, sun):
    """Pixel area, and image directions of north and Sun: tangents to the ground, seen through the camera."""
    turn, zero, one, two = np.float32(360.0), np.float32(0.0), np.float32(1.0), np.float32(2.0)
    focal, e1 = np.float32(optics[0]), np.float32(optics[5])
    # y over x pitch: azimuths need only the ratio.
    squash = np.float32(optics[2] / optics[1])
    solid = np.float32(optics[0] * optics[1] * optics[2])
    r00, r01, r02 = np.float32(scene[0]), np.float32(scene[1]), np.float32(scene[2])
    r10, r11, r12 = np.float32(scene[3]), np.float32(scene[4]), np.float32(scene[5])
    r20, r21, r22 = np.float32(scene[6]), np.float32(scene[7]), np.float32(scene[8])
    ib, ic, ux, uy, uz, per_far = _scaled(scene)
    for i in range(area.size):
        px, py, pz = legs[i], legs[CHUNK + i], legs[2 * CHUNK + i]
        nx, ny, nz = px, py * ib, pz * ic
        t, x, y = legs[6 * CHUNK + i], legs[7 * CHUNK + i], legs[8 * CHUNK + i]
        swell = e1 * (x * x + y * y)
        stretch = one + swell
        flat2 = nx * nx + ny * ny
        n2 = flat2 + nz * nz
        # Range^2 times solid angle (pitches f / L^3, less the distortion's stretch) over cos e; the L cancel.
        facing = -(nx * legs[3 * CHUNK + i] + ny * legs[4 * CHUNK + i] + nz * legs[5 * CHUNK + i])
        area[i] = t * t * solid * np.sqrt(n2) / (stretch * (stretch + two * swell) * facing)
        kx, ky, kz = -nz * nx, -nz * ny, flat2
        k2 = r20 * kx + r21 * ky + r22 * kz
        gx = focal * (r00 * kx + r01 * ky + r02 * kz) - x * k2
        gy = focal * (r10 * kx + r11 * ky + r12 * kz) - y * k2
        h = two * e1 * (x * gx + y * gy)
        a = _atan2_deg((gx * stretch + x * h) * squash, -(gy * stretch + y * h))
        north[i] = a + turn if a < zero else a
        wx, wy, wz = ux - px * per_far, uy - py * per_far, uz - pz * per_far
        upright = nx * wx + ny * wy + nz * wz
        kx, ky, kz = wx * n2 - upright * nx, wy * n2 - upright * ny, wz * n2 - upright * nz
        k2 = r20 * kx + r21 * ky + r22 * kz
        gx = focal * (r00 * kx + r01 * ky + r02 * kz) - x * k2
        gy = focal * (r10 * kx + r11 * ky + r12 * kz) - y * k2
        h = two * e1 * (x * gx + y * gy)
        a = _atan2_deg((gx * stretch + x * h) * squash, -(gy * stretch + y * h))
        sun[i] = a + turn if a < zero else a


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
