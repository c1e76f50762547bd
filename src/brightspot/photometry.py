"""From counts to radiance, to I/F, to albedo: light divided out.

Disk functions D(i, e, alpha) say how brightness varies over a uniform disk; all are normalised so that
D = 1 at i = e = alpha = 0. Equigonal albedo is I/F over D; normal albedo is that over the phase function.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from brightspot import ceres
from brightspot.errors import UsageError
from brightspot.frame import Frame
from brightspot.geometry import ViewingGeometry

DISK_FUNCTIONS = ("akimov", "lunar_lambert", "lommel_seeliger", "lambert", "minnaert")
"""Names taken by `disk_function` and `disk_mesh`; the first is the default."""

PHASE_FUNCTIONS = ("linear", "exponential")

SOLAR_FLUX = {1: 924.0, 2: 1.863, 3: 1.274, 4: 0.865, 5: 0.785, 6: 1.058, 7: 1.572, 8: 1.743}
"""Solar flux at 1 AU through each filter: W m-2 in band for filter 1, W m-2 nm-1 for the others.

Unverified: recalled from the Framing Cameras' calibration papers; a top-hat integration of the E490 solar
spectrum over the instrument kernel's bands agrees within 3 %.
"""

RADIANCE_UNITS = ("W m-2 sr-1", "W m-2 sr-1 nm-1")

EXPONENTIAL_PER_DEG = 0.4 * np.log(10.0) * ceres.PHASE_SLOPE_MAG_DEG
"""Default rate of the exponential phase function, per degree: the linear slope of the whole disk in
magnitudes (`ceres.PHASE_SLOPE_MAG_DEG`) is the same function. Unverified as a property of the surface."""


def disk_function(
    name: str,
    incidence_deg: np.ndarray | float,
    emission_deg: np.ndarray | float,
    phase_deg: np.ndarray | float,
    *,
    weight: float = ceres.LUNAR_LAMBERT_WEIGHT,
    exponent: float = ceres.MINNAERT_EXPONENT,
) -> np.ndarray:
    """Brightness of a uniform surface over its brightness at i = e = alpha = 0, phase function aside.

    Parameters
    ----------
    name : str
        One of `DISK_FUNCTIONS`.
    incidence_deg, emission_deg, phase_deg : array_like
        Angles in degrees, any common shape.
    weight : float
        Share of Lommel-Seeliger in ``"lunar_lambert"``.
    exponent : float
        k of ``"minnaert"``.

    Returns
    -------
    numpy.ndarray
        float64; 0 where the Sun is not up, NaN where emission is 90 degrees or more or an angle is NaN.

    Raises
    ------
    UsageError
        Unknown name.

    Notes
    -----
    Akimov, parameter-free: ``cos(a/2) cos[pi/(pi-a) (g - a/2)] cos(b)^(a/(pi-a)) / cos(g)`` with photometric
    latitude b and longitude g, ``cos i = cos b cos(a - g)``, ``cos e = cos b cos g``; from Akimov (1976) as
    written by Shkuratov et al. (2011) (recalled, unverified; its limits are tested). Lunar-Lambert: McEwen
    (1991).
    """
    _known(name)
    mu0, mu = np.cos(np.radians(incidence_deg)), np.cos(np.radians(emission_deg))
    alpha = np.radians(np.asarray(phase_deg, np.float64))
    mu0, mu, alpha = np.broadcast_arrays(mu0, np.where(mu > 1e-12, mu, np.nan), alpha)
    with np.errstate(invalid="ignore", divide="ignore"):
        if name == "akimov":
            value = _akimov(mu0, mu, alpha)
        elif name == "minnaert":
            value = np.where(mu0 > 0, mu0, np.nan) ** exponent * mu ** (exponent - 1.0)
        else:
            share = {"lommel_seeliger": 1.0, "lambert": 0.0}.get(name, weight)
            value = share * 2.0 * mu0 / (mu0 + mu) + (1.0 - share) * mu0
        known = np.isfinite(mu0) & np.isfinite(mu) & np.isfinite(alpha)
        return np.where(known, np.where(mu0 > 1e-12, value, 0.0), np.nan)


def _akimov(mu0: np.ndarray, mu: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    still = alpha < 1e-6
    a = np.where(still, 1.0, alpha)
    tangent = (mu0 / mu - np.cos(a)) / np.sin(a)
    gamma = np.arctan(tangent)
    cos_beta = np.minimum(mu / np.cos(gamma), 1.0)
    bend = np.pi / (np.pi - a)
    value = np.cos(a / 2) * np.cos(bend * (gamma - a / 2)) * cos_beta ** (bend - 1.0) / np.cos(gamma)
    return np.where(still, 1.0, value)


def disk_map(
    name: str,
    mu0: np.ndarray,
    mu: np.ndarray,
    phase_deg: np.ndarray,
    *,
    weight: float = ceres.LUNAR_LAMBERT_WEIGHT,
    exponent: float = ceres.MINNAERT_EXPONENT,
) -> np.ndarray:
    """`disk_function` of float32 arrays of cosines, compiled.

    Parameters
    ----------
    name, weight, exponent
        See `disk_function`.
    mu0, mu : numpy.ndarray
        Cosines of incidence and emission, float32, NaN off the body.
    phase_deg : numpy.ndarray
        Phase angle, degrees, float32, of the same shape.

    Returns
    -------
    numpy.ndarray
        float32; 0 where unlit, NaN off the body.
    """
    from brightspot._kernels import photometry as kernels

    _known(name)
    sun, view, phase = (np.ascontiguousarray(a, np.float32).ravel() for a in (mu0, mu, phase_deg))
    out = np.empty(sun.shape, np.float32)
    if name == "akimov":
        kernels.akimov(sun, view, phase, out)
    elif name == "minnaert":
        kernels.minnaert(sun, view, exponent, out)
    else:
        share = {"lommel_seeliger": 1.0, "lambert": 0.0}.get(name, weight)
        kernels.lunar_lambert(sun, view, share, out)
    return out.reshape(np.shape(mu0))


def disk_mesh(geometry: ViewingGeometry, step: int = 8, model: str = "akimov") -> np.ndarray:
    """Disk function at block centres of a frame.

    Parameters
    ----------
    geometry : ViewingGeometry
        Geometry of the frame.
    step : int
        Block side in pixels; cell [j, i] is the point x = step*i + (step - 1)/2, y likewise.
    model : str
        One of `DISK_FUNCTIONS`.

    Returns
    -------
    numpy.ndarray
        (ceil(rows/step), ceil(columns/step)) float32; NaN off the body, 0 where unlit.
    """
    return disk_map(model, *geometry.disk_mesh(step))


def phase_function(
    phase_deg: np.ndarray | float,
    name: str = "linear",
    *,
    slope_mag_deg: float = ceres.PHASE_SLOPE_MAG_DEG,
    rate_per_deg: float = EXPONENTIAL_PER_DEG,
) -> np.ndarray:
    """Dimming of a surface with phase angle, 1 at 0.

    Parameters
    ----------
    phase_deg : array_like
        Phase angle, degrees.
    name : str
        ``"linear"`` in magnitudes, ``10**(-0.4 slope phase)``, or ``"exponential"``, ``exp(-rate phase)``.
    slope_mag_deg, rate_per_deg : float
        Their coefficients.

    Returns
    -------
    numpy.ndarray
        float64.

    Notes
    -----
    The default slope is that of the whole disk, whose light also fades because the lit part shrinks; normal
    albedos taken at large phase with it come out high, by some 20 % at 40 degrees. No opposition surge.
    """
    phase = np.asarray(phase_deg, np.float64)
    if name == "linear":
        return 10.0 ** (-0.4 * slope_mag_deg * phase)
    if name == "exponential":
        return np.exp(-rate_per_deg * phase)
    raise UsageError(f"unknown phase function {name!r}: take one of {', '.join(PHASE_FUNCTIONS)}")


def equigonal_albedo(
    iof: np.ndarray | float,
    incidence_deg: np.ndarray | float,
    emission_deg: np.ndarray | float,
    phase_deg: np.ndarray | float,
    *,
    model: str = "akimov",
) -> np.ndarray:
    """I/F over the disk function; NaN where that is 0.

    Parameters
    ----------
    iof : array_like
        Radiance factor I/F.
    incidence_deg, emission_deg, phase_deg : array_like
        Angles, degrees.
    model : str
        One of `DISK_FUNCTIONS`.
    """
    disk = disk_function(model, incidence_deg, emission_deg, phase_deg)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(disk > 0.0, np.asarray(iof, np.float64) / disk, np.nan)


def normal_albedo(
    equigonal: np.ndarray | float, phase_deg: np.ndarray | float, *, phase_model: str = "linear"
) -> np.ndarray:
    """Equigonal albedo over the phase function.

    Parameters
    ----------
    equigonal : array_like
        Equigonal albedo.
    phase_deg : array_like
        Phase angle it was measured at, degrees.
    phase_model : str
        One of `PHASE_FUNCTIONS`.
    """
    return np.asarray(equigonal, np.float64) / phase_function(phase_deg, phase_model)


def radiance_scale(unit: str, label: Mapping[str, Any]) -> tuple[float, float] | None:
    """Factor and offset that turn pixel values into radiance, or None where nothing in the label tells them.

    Parameters
    ----------
    unit : str
        Unit of the pixel values, one of ``frame.UNITS``.
    label : Mapping
        Flat label.

    Returns
    -------
    tuple of float or None
        (factor, offset) with radiance = factor * value + offset; (1, 0) for level 1B values, which are
        radiances. Level 1A counts have none: Framing Camera labels carry no responsivity, so they stay counts
        unless the label has the standard keyword RADIANCE_SCALING_FACTOR.
    """
    if unit in RADIANCE_UNITS:
        return 1.0, 0.0
    factor, offset = label.get("RADIANCE_SCALING_FACTOR"), label.get("RADIANCE_OFFSET", 0.0)
    if unit == "DN" and isinstance(factor, int | float) and factor > 0:
        return float(factor), float(offset) if isinstance(offset, int | float) else 0.0
    return None


def radiance_to_iof(
    radiance: np.ndarray | float, *, filter_number: int, sun_distance_km: float
) -> np.ndarray:
    """I/F = pi L r^2 / F of radiances.

    Parameters
    ----------
    radiance : array_like
        W m-2 sr-1 for filter 1, W m-2 sr-1 nm-1 for filters 2 to 8.
    filter_number : int
        1 to 8.
    sun_distance_km : float
        Heliocentric distance, km.

    Returns
    -------
    numpy.ndarray
        I/F, as good as `SOLAR_FLUX` (3 %, unverified).

    Raises
    ------
    UsageError
        Unknown filter, or a distance that is not positive.
    """
    if filter_number not in SOLAR_FLUX:
        raise UsageError(f"unknown filter {filter_number!r}: the Framing Cameras have filters 1 to 8")
    if not sun_distance_km > 0.0:
        raise UsageError(f"heliocentric distance must be positive, not {sun_distance_km} km")
    scale = np.pi * (sun_distance_km / ceres.AU_KM) ** 2 / SOLAR_FLUX[filter_number]
    return np.asarray(radiance) * scale


def iof_factor(frame: Frame) -> tuple[float, float] | None:
    """Factor and offset that turn a frame's pixel values into I/F, or None where that cannot be known.

    Parameters
    ----------
    frame : Frame
        Needs a radiance (or I/F) unit, a filter and a heliocentric distance.

    Returns
    -------
    tuple of float or None
        (factor, offset) with I/F = factor * value + offset.
    """
    if frame.unit == "I/F":
        return 1.0, 0.0
    sun_distance_km = frame.sun_distance_km
    if frame.geometry is not None and frame.geometry.source != "limb":
        sun_distance_km = frame.geometry.sun_distance_km
    linear = radiance_scale(frame.unit, frame.label)
    if linear is None or frame.filter_number not in SOLAR_FLUX or not sun_distance_km:
        return None
    scale = float(
        radiance_to_iof(1.0, filter_number=int(frame.filter_number), sun_distance_km=sun_distance_km)
    )
    return linear[0] * scale, linear[1] * scale


def _known(name: str) -> None:
    if name not in DISK_FUNCTIONS:
        raise UsageError(f"unknown disk function {name!r}: take one of {', '.join(DISK_FUNCTIONS)}")
