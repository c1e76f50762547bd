"""Backplanes and lighting meshes: every pixel's ray met with the ellipsoid.

The scalars a kernel needs travel in two packed float64 arrays, in this order:

``optics``  focal length mm, pitch x, pitch y (mm), centre x, centre y (frame pixels), distortion E1 (mm^-2)
``scene``   camera-from-body rotation row by row (9), spacecraft xyz (km), Sun xyz (km), semi-axes (km)
"""

from __future__ import annotations

import numpy as np
from numba import njit

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


LEGS, CHUNK = 19, 256
"""Quantities per pixel handed from loop to loop, for so many pixels at a time that they stay in the cache. A flat
array with a constant stride tells the compiler that stores cannot overlap: only then does it vectorise."""


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
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


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _shrink(e):
    """Undistorted over distorted radius for ``e = E1 * q**2``: series reversal of q = r (1 + E1 r^2).

    Coefficients C(3n, n)/(2n + 1); the first one left out is below 1e-15 for the Framing Cameras.
    """
    return 1.0 - e * (1.0 - e * (3.0 - e * (12.0 - e * (55.0 - e * 273.0))))


@njit(cache=True, nogil=True, error_model="numpy")
def backplanes(optics, scene, planes):
    """Fill ``planes`` (9, rows, columns) float32; NaN off the body.

    Order: latitude, longitude, incidence, emission, phase (deg), slant range (km), pixel ground
    area (km2), north azimuth, Sun azimuth (deg). Each row is done in two loops, so that both vectorise:
    points and cosines in float64, then angles in float32.
    """
    legs = np.empty(LEGS * CHUNK, np.float32)
    for row in range(planes.shape[1]):
        for start in range(0, planes.shape[2], CHUNK):
            stop = min(start + CHUNK, planes.shape[2])
            _points(optics, scene, row, start, stop - start, legs)
            _angles(legs, planes[:, row, start:stop])
            _azimuths(optics, scene, legs, planes[:, row, start:stop])


@njit(cache=True, nogil=True, error_model="numpy")
def _points(optics, scene, row, start, count, legs):
    """What the planes of one row are made of.

    ``legs`` (19, columns) float32 receives: point xyz, squared sine and cosine of incidence, emission and
    phase, unit normal xyz, unit vector to the Sun xyz, place x, y (mm) in the
    focal plane, range and area. One array, so that stores cannot overlap and the loop vectorises.
    """
    focal, pitch_x, pitch_y, center_x = optics[0], optics[1], optics[2], optics[3]
    e1 = optics[5]
    r00, r01, r02 = scene[0], scene[1], scene[2]
    r10, r11, r12 = scene[3], scene[4], scene[5]
    sx, sy, sz = scene[9], scene[10], scene[11]
    ux, uy, uz = scene[12], scene[13], scene[14]
    fx, fy, fz = scene[6] * focal, scene[7] * focal, scene[8] * focal
    ia, ib, ic = 1.0 / scene[15] ** 2, 1.0 / scene[16] ** 2, 1.0 / scene[17] ** 2
    outside = sx * sx * ia + sy * sy * ib + sz * sz * ic - 1.0
    ax, ay, az = sx * ia, sy * ib, sz * ic
    solid = pitch_x * pitch_y * focal
    v = (row - optics[4]) * pitch_y
    for column in range(count):
        u = (start + column - center_x) * pitch_x
        shrink = _shrink(e1 * (u * u + v * v))
        X = u * shrink
        Y = v * shrink
        dx = r00 * X + r10 * Y + fx
        dy = r01 * X + r11 * Y + fy
        dz = r02 * X + r12 * Y + fz
        r2 = X * X + Y * Y
        length2 = r2 + focal * focal
        l_inv = 1.0 / np.sqrt(length2)
        a = dx * dx * ia + dy * dy * ib + dz * dz * ic
        b = ax * dx + ay * dy + az * dz
        t = outside / (np.sqrt(b * b - a * outside) - b)
        t = t if b < 0.0 else np.nan
        px = sx + t * dx
        py = sy + t * dy
        pz = sz + t * dz
        nx, ny, nz = px * ia, py * ib, pz * ic
        n_inv = 1.0 / np.sqrt(nx * nx + ny * ny + nz * nz)
        nx *= n_inv
        ny *= n_inv
        nz *= n_inv
        wx, wy, wz = ux - px, uy - py, uz - pz
        w_inv = 1.0 / np.sqrt(wx * wx + wy * wy + wz * wz)
        wx *= w_inv
        wy *= w_inv
        wz *= w_inv
        mu0 = nx * wx + ny * wy + nz * wz
        mu = -(nx * dx + ny * dy + nz * dz) * l_inv
        cp = -(wx * dx + wy * dy + wz * dz) * l_inv
        legs[17 * CHUNK + column] = t * length2 * l_inv
        # Solid angle of a focal-plane area: f/L^3 per mm2, less the distortion's own stretch; the range is t L.
        legs[18 * CHUNK + column] = t * t * l_inv * solid / ((1.0 + e1 * r2) * (1.0 + 3.0 * e1 * r2) * mu)
        legs[column] = px
        legs[1 * CHUNK + column] = py
        legs[2 * CHUNK + column] = pz
        # Squared sines from 1 - cos^2 in float64: a float32 cosine would lose 0.02 degree near zero.
        legs[3 * CHUNK + column] = abs(1.0 - mu0 * mu0)
        legs[4 * CHUNK + column] = mu0
        legs[5 * CHUNK + column] = abs(1.0 - mu * mu)
        legs[6 * CHUNK + column] = mu
        legs[7 * CHUNK + column] = abs(1.0 - cp * cp)
        legs[8 * CHUNK + column] = cp
        legs[9 * CHUNK + column] = nx
        legs[10 * CHUNK + column] = ny
        legs[11 * CHUNK + column] = nz
        legs[12 * CHUNK + column] = wx
        legs[13 * CHUNK + column] = wy
        legs[14 * CHUNK + column] = wz
        legs[15 * CHUNK + column] = X
        legs[16 * CHUNK + column] = Y


@njit(cache=True, nogil=True, error_model="numpy")
def _angles(legs, planes):
    """Latitude, longitude, incidence, emission and phase of one row."""
    turn, zero = np.float32(360.0), np.float32(0.0)
    latitude, longitude, incidence, emission, phase = planes[0], planes[1], planes[2], planes[3], planes[4]
    slant, area = planes[5], planes[6]
    for i in range(latitude.size):
        x, y = legs[i], legs[1 * CHUNK + i]
        latitude[i] = _atan2_deg(legs[2 * CHUNK + i], np.sqrt(x * x + y * y))
        a = _atan2_deg(y, x)
        longitude[i] = a + turn if a < zero else a
        incidence[i] = _atan2_deg(np.sqrt(legs[3 * CHUNK + i]), legs[4 * CHUNK + i])
        emission[i] = _atan2_deg(np.sqrt(legs[5 * CHUNK + i]), legs[6 * CHUNK + i])
        slant[i] = legs[17 * CHUNK + i]
        area[i] = legs[18 * CHUNK + i]
        phase[i] = _atan2_deg(np.sqrt(legs[7 * CHUNK + i]), legs[8 * CHUNK + i])


@njit(cache=True, nogil=True, error_model="numpy")
def _azimuths(optics, scene, legs, planes):
    """Image directions of north and of the Sun of one row: tangents to the ground, seen through the camera."""
    turn, zero, one, two = np.float32(360.0), np.float32(0.0), np.float32(1.0), np.float32(2.0)
    north, sun = planes[7], planes[8]
    focal, e1 = np.float32(optics[0]), np.float32(optics[5])
    # y over x pitch: azimuths need only the ratio.
    squash = np.float32(optics[2] / optics[1])
    r00, r01, r02 = np.float32(scene[0]), np.float32(scene[1]), np.float32(scene[2])
    r10, r11, r12 = np.float32(scene[3]), np.float32(scene[4]), np.float32(scene[5])
    r20, r21, r22 = np.float32(scene[6]), np.float32(scene[7]), np.float32(scene[8])
    for i in range(north.size):
        nx, ny, nz = legs[9 * CHUNK + i], legs[10 * CHUNK + i], legs[11 * CHUNK + i]
        mu0, X, Y = legs[4 * CHUNK + i], legs[15 * CHUNK + i], legs[16 * CHUNK + i]
        stretch = one + e1 * (X * X + Y * Y)
        kx, ky, kz = -nz * nx, -nz * ny, nx * nx + ny * ny
        k2 = r20 * kx + r21 * ky + r22 * kz
        gx = focal * (r00 * kx + r01 * ky + r02 * kz) - X * k2
        gy = focal * (r10 * kx + r11 * ky + r12 * kz) - Y * k2
        h = two * e1 * (X * gx + Y * gy)
        a = _atan2_deg((gx * stretch + X * h) * squash, -(gy * stretch + Y * h))
        north[i] = a + turn if a < zero else a
        kx, ky, kz = legs[12 * CHUNK + i] - mu0 * nx, legs[13 * CHUNK + i] - mu0 * ny, legs[14 * CHUNK + i] - mu0 * nz
        k2 = r20 * kx + r21 * ky + r22 * kz
        gx = focal * (r00 * kx + r01 * ky + r02 * kz) - X * k2
        gy = focal * (r10 * kx + r11 * ky + r12 * kz) - Y * k2
        h = two * e1 * (X * gx + Y * gy)
        a = _atan2_deg((gx * stretch + X * h) * squash, -(gy * stretch + Y * h))
        sun[i] = a + turn if a < zero else a


@njit(cache=True, nogil=True, error_model="numpy")
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
