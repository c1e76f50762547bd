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
    area (km2), north azimuth, Sun azimuth (deg). Each row is done in two loops: positions and
    cosines in float64, then angles in float32, so that both loops vectorise.
    """
    focal, pitch_x, pitch_y, center_x, center_y, e1 = (
        optics[0],
        optics[1],
        optics[2],
        optics[3],
        optics[4],
        optics[5],
    )
    r00, r01, r02 = scene[0], scene[1], scene[2]
    r10, r11, r12 = scene[3], scene[4], scene[5]
    r20, r21, r22 = scene[6], scene[7], scene[8]
    sx, sy, sz = scene[9], scene[10], scene[11]
    ux, uy, uz = scene[12], scene[13], scene[14]
    ia, ib, ic = 1.0 / scene[15] ** 2, 1.0 / scene[16] ** 2, 1.0 / scene[17] ** 2
    outside = sx * sx * ia + sy * sy * ib + sz * sz * ic - 1.0
    solid = pitch_x * pitch_y * focal
    rows, columns = planes.shape[1], planes.shape[2]
    legs = np.empty((14, columns), np.float32)
    for row in range(rows):
        v = (row - center_y) * pitch_y
        slant = planes[5, row]
        area = planes[6, row]
        for column in range(columns):
            u = (column - center_x) * pitch_x
            shrink = _shrink(e1 * (u * u + v * v))
            X = u * shrink
            Y = v * shrink
            dx = r00 * X + r10 * Y + r20 * focal
            dy = r01 * X + r11 * Y + r21 * focal
            dz = r02 * X + r12 * Y + r22 * focal
            length2 = X * X + Y * Y + focal * focal
            length = np.sqrt(length2)
            a = dx * dx * ia + dy * dy * ib + dz * dz * ic
            b = sx * dx * ia + sy * dy * ib + sz * dz * ic
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
            l_inv = 1.0 / length
            mu0 = nx * wx + ny * wy + nz * wz
            mu = -(nx * dx + ny * dy + nz * dz) * l_inv
            cp = -(wx * dx + wy * dy + wz * dz) * l_inv
            range_km = t * length
            r2e = e1 * (X * X + Y * Y)
            stretch = 1.0 + r2e
            slant[column] = range_km
            # Solid angle of a focal-plane area: f/L^3 per mm2, less the distortion's own stretch.
            area[column] = range_km * range_km * solid / (length2 * length * stretch * (1.0 + 3.0 * r2e) * mu)
            legs[0, column] = pz
            legs[1, column] = np.sqrt(px * px + py * py)
            legs[2, column] = py
            legs[3, column] = px
            # Sines from 1 - cos^2 in float64: a float32 cosine would lose 0.02 degree near zero.
            legs[4, column] = np.sqrt(abs(1.0 - mu0 * mu0))
            legs[5, column] = mu0
            legs[6, column] = np.sqrt(abs(1.0 - mu * mu))
            legs[7, column] = mu
            legs[8, column] = np.sqrt(abs(1.0 - cp * cp))
            legs[9, column] = cp
            kx, ky, kz = -nz * nx, -nz * ny, 1.0 - nz * nz
            k0 = r00 * kx + r01 * ky + r02 * kz
            k1 = r10 * kx + r11 * ky + r12 * kz
            k2 = r20 * kx + r21 * ky + r22 * kz
            gx = focal * k0 - X * k2
            gy = focal * k1 - Y * k2
            h = 2.0 * e1 * (X * gx + Y * gy)
            legs[10, column] = (gx * stretch + X * h) / pitch_x
            legs[11, column] = -(gy * stretch + Y * h) / pitch_y
            kx, ky, kz = wx - mu0 * nx, wy - mu0 * ny, wz - mu0 * nz
            k0 = r00 * kx + r01 * ky + r02 * kz
            k1 = r10 * kx + r11 * ky + r12 * kz
            k2 = r20 * kx + r21 * ky + r22 * kz
            gx = focal * k0 - X * k2
            gy = focal * k1 - Y * k2
            h = 2.0 * e1 * (X * gx + Y * gy)
            legs[12, column] = (gx * stretch + X * h) / pitch_x
            legs[13, column] = -(gy * stretch + Y * h) / pitch_y
        _angles(legs, planes, row)


@njit(cache=True, nogil=True, error_model="numpy")
def _angles(legs, planes, row):
    """Angles of one row from opposite and adjacent legs (14, columns) float32."""
    columns = planes.shape[2]
    turn = np.float32(360.0)
    zero = np.float32(0.0)
    latitude, longitude = planes[0, row], planes[1, row]
    incidence, emission, phase = planes[2, row], planes[3, row], planes[4, row]
    north, sun = planes[7, row], planes[8, row]
    for i in range(columns):
        latitude[i] = _atan2_deg(legs[0, i], legs[1, i])
        incidence[i] = _atan2_deg(legs[4, i], legs[5, i])
        emission[i] = _atan2_deg(legs[6, i], legs[7, i])
        phase[i] = _atan2_deg(legs[8, i], legs[9, i])
    for i in range(columns):
        a = _atan2_deg(legs[2, i], legs[3, i])
        longitude[i] = a + turn if a < zero else a
        a = _atan2_deg(legs[10, i], legs[11, i])
        north[i] = a + turn if a < zero else a
        a = _atan2_deg(legs[12, i], legs[13, i])
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
