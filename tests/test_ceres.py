"""Ceres: constants against the kernels they come from."""

import re
from pathlib import Path

import numpy as np
import pytest

from brightspot import ceres

SHARED = Path(__file__).parents[2] / "shared"
KERNELS = SHARED / "real/kernels"


@pytest.mark.parametrize(
    ("orientation", "name"),
    [(ceres.PCK_V05, "dawn_ceres_v05.tpc"), (ceres.PCK_SPG20160107, "dawn_ceres_SPG20160107.tpc")],
)
def test_pole_and_meridian_are_the_kernels(orientation, name):
    if not (KERNELS / name).exists():
        pytest.skip(f"kernel {name} not at hand")
    text = (KERNELS / name).read_text()

    def values(key):
        found = re.findall(rf"^\s*BODY2000001_{key}\s*=\s*\(([^)]*)\)", text, re.M)[-1]
        return [float(v) for v in found.split()]

    assert values("POLE_RA")[0] == orientation.pole_ra_deg
    assert values("POLE_DEC")[0] == orientation.pole_dec_deg
    assert values("PM")[:2] == [orientation.w0_deg, orientation.w_rate_deg_day]
    if orientation is ceres.PCK_V05:
        assert tuple(values("RADII")) == ceres.RADII_KM


def test_body_rotation_is_spices():
    spice = pytest.importorskip("spiceypy")
    for et_s in (0.0, 488002614.6, 6.1e8):
        o = ceres.ORIENTATION
        w = np.deg2rad((o.w0_deg + o.w_rate_deg_day * et_s / 86400.0) % 360.0)
        expected = spice.eul2m(
            w, np.pi / 2 - np.deg2rad(o.pole_dec_deg), np.pi / 2 + np.deg2rad(o.pole_ra_deg), 3, 1, 3
        )
        found = ceres.body_from_j2000(et_s)
        assert np.allclose(found, expected, atol=1e-12)
        assert np.allclose(found @ found.T, np.eye(3), atol=1e-14)
        assert np.linalg.det(found) == pytest.approx(1.0)


def test_sets_of_constants_agree_in_2015_only_unmixed():
    et_s = 488002614.6

    def meridian(orientation):
        return ceres.body_from_j2000(et_s, orientation)[0]

    apart = np.degrees(np.arccos(meridian(ceres.PCK_V05) @ meridian(ceres.PCK_SPG20160107)))
    assert apart < 0.03
    mixed = ceres.PCK_V05._replace(w_rate_deg_day=952.1532635)
    assert np.degrees(np.arccos(meridian(ceres.PCK_V05) @ meridian(mixed))) > 0.3


def test_rotation_period():
    assert 360.0 / ceres.ORIENTATION.w_rate_deg_day * 24.0 == pytest.approx(9.07417, abs=1e-5)
