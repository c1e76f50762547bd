"""Ceres: figure, orientation, photometry. Every number names its source."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

RADII_KM = (482.0, 482.0, 446.0)
"""Spheroid a, b, c in km. Source: Dawn PCK v05, ``dawn_ceres_v05.tpc`` (October 2015)."""

MEAN_RADIUS_KM = 470.0
"""Radius in km of the sphere used by Dawn's maps. Source: ``dawn_ceres_v05.tpc``."""

AU_KM = 149_597_870.7
"""Astronomical unit in km. Source: IAU 2012 Resolution B2."""

SPEED_OF_LIGHT_KM_S = 299_792.458
"""Speed of light in km/s. Source: SI definition of the metre."""


class Orientation(NamedTuple):
    """One consistent set of pole and prime meridian (never mix sets: see ``W``)."""

    pole_ra_deg: float
    pole_dec_deg: float
    w0_deg: float
    w_rate_deg_day: float
    source: str


PCK_V05 = Orientation(291.418, 66.764, 170.65, 952.1532, "dawn_ceres_v05.tpc (October 2015)")
PCK_SPG20160107 = Orientation(291.431, 66.761, 170.488, 952.15323, "dawn_ceres_SPG20160107.tpc")
ORIENTATION = PCK_V05
"""The set used by default: the one the archive's own 1B labels name."""

SECONDS_PER_DAY = 86_400.0

GEOMETRIC_ALBEDO = 0.094
"""At 0.55 micrometre, +-0.007. Source: Ciarniello et al. (2017), VIR on Dawn (abstract)."""

PHASE_SLOPE_MAG_DEG = 0.036
"""Linear phase coefficient of the whole disk, mag per degree, +-0.002. Source: Ciarniello et al. (2017)."""

LUNAR_LAMBERT_WEIGHT = 0.945
"""Share of the Lommel-Seeliger term in the Lunar-Lambert disk function. Source: Schroeder et al. (2017), as
quoted by Celestia's ``dwarfplanets.ssc``."""

MINNAERT_EXPONENT = 0.55
"""Minnaert's k. Unverified: a value usual for dark bodies, not fitted to Ceres."""


def body_from_j2000(et_s: float, orientation: Orientation = ORIENTATION) -> np.ndarray:
    """Rotation matrix from J2000 to Ceres' body-fixed frame.

    Parameters
    ----------
    et_s : float
        Ephemeris time in TDB seconds past J2000 (2000-01-01 12:00 TDB).
    orientation : Orientation
        Pole and prime meridian, degrees and degrees per day.

    Returns
    -------
    numpy.ndarray
        (3, 3) float64 matrix M; ``M @ v_j2000`` is the vector in the body frame.

    Notes
    -----
    R3(W) R1(90 - dec) R3(90 + ra), as in Archinal et al., report of the IAU working
    group on cartographic coordinates and rotational elements.
    """
    w = np.deg2rad((orientation.w0_deg + orientation.w_rate_deg_day * et_s / SECONDS_PER_DAY) % 360.0)
    tilt = np.deg2rad(90.0 - orientation.pole_dec_deg)
    node = np.deg2rad(90.0 + orientation.pole_ra_deg)
    return _r3(w) @ _r1(tilt) @ _r3(node)


def _r1(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, s], [0.0, -s, c]])


def _r3(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
