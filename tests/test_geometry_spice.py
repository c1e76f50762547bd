"""Views from SPICE kernels, and what the toolkit says of the same pixels."""

import struct
from datetime import datetime

import numpy as np
import pytest

from brightspot import geometry
from brightspot.camera import Camera
from brightspot.errors import GeometryError
from brightspot.geometry.sources import turn
from test_geometry import centre, circular, random_views
from test_geometry_sources import KERNELS, LABEL_QUATERNION, START, from_1b, rotation, survey

# --- SPICE ----------------------------------------------------------------------------------------


def test_spice_toolkit_agrees_on_random_pixels_of_random_views():
    spice = pytest.importorskip("spiceypy")
    rng = np.random.default_rng(3)
    seen = 0
    for g in random_views(25, seed=3):
        x0, y0, _ = g.limb(90)
        low = np.maximum([np.nanmin(x0), np.nanmin(y0)], 0)
        high = np.minimum([np.nanmax(x0), np.nanmax(y0)], 1023)
        x, y = (rng.uniform(lo, hi, 200) for lo, hi in zip(low, high, strict=True))
        ground = g.ground(x, y)
        rays = g.camera.pixel_to_ray(x, y)
        hits = 0
        for n in range(200):
            direction = g.camera_from_body.T @ rays[n]
            try:
                point = spice.surfpt(g.spacecraft_km, direction, *g.radii_km)
            except spice.utils.exceptions.NotFoundError:
                assert np.isnan(ground.slant_range_km[n])
                continue
            hits += 1
            assert np.linalg.norm(point - ground.point_km[n]) < 0.002 * np.sqrt(ground.pixel_area_km2[n])
            _, longitude, latitude = spice.reclat(point)
            assert ground.latitude_deg[n] == pytest.approx(np.degrees(latitude), abs=1e-6)
            assert circular(ground.longitude_deg[n], np.degrees(longitude)) < 1e-5
            normal, to_sun, to_camera = (
                spice.surfnm(*g.radii_km, point),
                g.sun_km - point,
                g.spacecraft_km - point,
            )
            angles = [
                np.degrees(spice.vsep(*pair))
                for pair in ((normal, to_sun), (normal, to_camera), (to_sun, to_camera))
            ]
            assert np.allclose(
                angles,
                [ground.incidence_deg[n], ground.emission_deg[n], ground.phase_deg[n]],
                rtol=0,
                atol=1e-5,
            )
        seen += hits > 50
    assert seen >= 20


def number(text):
    """A double in NAIF's transfer format: hexadecimal fraction ^ power of 16."""
    mantissa, power = text.split("^")
    digits = mantissa.lstrip("-")
    value = int(digits, 16) * 16.0 ** (int(power, 16) - len(digits))
    return -value if mantissa.startswith("-") else value


def binary_kernel(source, target):
    """Write the binary DAF that a transfer file describes (what NAIF's ``tobin`` does)."""
    lines = [line.strip().strip("'") for line in source.read_text().splitlines()]
    raw = source.read_text().splitlines()
    word, nd, ni = lines[1], int(lines[2]), int(lines[3])
    arrays, at = [], 5
    while not lines[at].startswith("TOTAL_ARRAYS"):
        name = raw[at + 1].strip().strip("'")
        head = lines[at + 2 : at + nd + ni]
        at += nd + ni
        values = []
        while not lines[at].startswith("END_ARRAY"):
            count = int(lines[at])
            values += [number(text) for text in lines[at + 1 : at + 1 + count]]
            at += 1 + count
        at += 1
        arrays.append((name, [number(v) for v in head[:nd]], [int(v, 16) for v in head[nd:]], values))
    width = 8 * (nd + (ni + 1) // 2)
    free, control, names, data = 385, struct.pack("<3d", 0, 0, len(arrays)), b"", b""
    for name, doubles, integers, values in arrays:
        control += struct.pack(f"<{nd}d{ni}i", *doubles, *integers, free, free + len(values) - 1)
        names += name.ljust(width)[:width].encode()
        data += struct.pack(f"<{len(values)}d", *values)
        free += len(values)
    first = struct.pack(
        "<8sii60siii8s", word.encode(), nd, ni, lines[4].encode().ljust(60), 2, 2, free, b"LTL-IEEE"
    )
    first = first.ljust(699, b"\0") + b"FTPSTR:\r:\n:\r\n:\r\x00:\x81:\x10\xce:ENDFTP"
    records = [first.ljust(1024, b"\0"), control.ljust(1024, b"\0"), names.ljust(1024)]
    target.write_bytes(b"".join(records) + data + bytes(-len(data) % 1024))
    return target


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    pytest.importorskip("spiceypy")
    if not KERNELS.exists():
        pytest.skip("real kernels not at hand")
    folder = tmp_path_factory.mktemp("kernels")
    text = ["naif0012.tls", "DAWN_203_SCLKSCET.00091.tsc", "dawn_v15.tf", "dawn_ceres_v00.tf"]
    binary = sorted([*KERNELS.glob("*.xsp"), *KERNELS.glob("*.xc")])
    return [KERNELS / name for name in text] + [binary_kernel(p, folder / (p.name + ".b")) for p in binary]


def test_kernels_give_the_survey_frame(kernels):
    import spiceypy as spice

    arguments = {"camera": Camera.framing_camera("FC2", 6), "shape": (1024, 1024), "exposure_s": 1.8}
    by_clock = geometry.from_spice(kernels, start_time=None, sclk_start="488002612:246", **arguments)
    by_time = geometry.from_spice(kernels, start_time=START, **arguments)
    assert spice.ktotal("ALL") == 0
    for g in (by_clock, by_time):
        assert g.source == "spice"
        x, y = g.project_points(np.zeros(3))
        assert np.allclose(centre(survey()), (x, y), atol=0.05)
        # ALE corrects its states for light time and aberration: 10 m, and 0.0034 degree in the Sun.
        assert g.altitude_km == pytest.approx(4423.457, abs=0.02)
        assert g.sub_solar_deg == pytest.approx((4.0049, 34.3550), abs=0.004)
        ground = g.ground(511.5, 511.5)
        assert (ground.latitude_deg, ground.longitude_deg) == pytest.approx((-80.3691, 343.0309), abs=1e-3)


def test_sincpt_and_ilumin_on_the_survey_frame(kernels):
    import spiceypy as spice

    camera = Camera.framing_camera("FC2", 6)
    paths = [*map(str, kernels), str(KERNELS / "dawn_ceres_v05.tpc")]
    for path in paths:
        spice.furnsh(path)
    try:
        et_s = spice.scs2e(-203, "488002612:246") + 0.193 + 0.9
        target, _ = spice.spkpos("CERES", et_s, "J2000", "NONE", "DAWN")
        sun, _ = spice.spkpos("SUN", et_s, "J2000", "NONE", "DAWN")
        attitude = spice.pxform("J2000", "DAWN_FC2", et_s)
        g = geometry.from_vectors(
            target, sun, attitude, et_s, camera=camera, shape=(1024, 1024), light_time=False
        )
        rng = np.random.default_rng(5)
        x, y = rng.uniform(0, 1023, (2, 200))
        ground = g.ground(x, y)
        place = ("CERES", et_s, "CERES_FIXED", "NONE", "DAWN")
        for n, ray in enumerate(camera.pixel_to_ray(x, y)):
            point, _, _ = spice.sincpt("ELLIPSOID", *place, "DAWN_FC2", ray)
            assert np.linalg.norm(point - ground.point_km[n]) < 0.002 * np.sqrt(ground.pixel_area_km2[n])
            _, _, phase, incidence, emission = spice.ilumin("ELLIPSOID", *place, point)
            found = (ground.phase_deg[n], ground.incidence_deg[n], ground.emission_deg[n])
            assert np.allclose(np.degrees((phase, incidence, emission)), found, rtol=0, atol=1e-5)
    finally:
        spice.kclear()


def test_label_attitude_holds_at_start_time_and_dawn_tracks_its_target(kernels):
    """What `from_label` builds on: found against the reconstructed attitude."""
    import spiceypy as spice

    for path in kernels:
        spice.furnsh(str(path))
    try:
        start = spice.str2et(START.isoformat())
        middle = start + 0.193 + 0.9
        at_start, at_middle = (spice.pxform("J2000", "DAWN_FC2", t) for t in (start, middle))
        to_start, to_middle = (spice.spkpos("CERES", t, "J2000", "NONE", "DAWN")[0] for t in (start, middle))
    finally:
        spice.kclear()

    def apart(a, b):
        return np.linalg.norm((a @ b.T)[2, :2]) / 93.3e-6

    label = rotation(LABEL_QUATERNION)
    assert apart(label, at_start) < 0.001  # pixel
    assert apart(label, at_middle) > 0.2
    assert apart(label @ turn(to_start, to_middle).T, at_middle) < 0.05


def test_kernel_errors_say_what_is_wrong(tmp_path, kernels):
    arguments = {
        "camera": Camera.framing_camera("FC2", 6),
        "shape": (1024, 1024),
        "start_time": START,
        "exposure_s": 1.8,
    }
    with pytest.raises(GeometryError, match="does not exist"):
        geometry.from_spice([tmp_path / "no.bsp"], **arguments)
    with pytest.raises(GeometryError, match="tobin"):
        geometry.from_spice([next(KERNELS.glob("*.xsp"))], **arguments)
    with pytest.raises(GeometryError, match="no geometry"):
        geometry.from_spice(kernels[:3], **arguments)
    with pytest.raises(GeometryError, match="no geometry"):
        geometry.from_spice(kernels, **arguments | {"start_time": datetime(2016, 1, 1)})
    with pytest.raises(GeometryError, match="no time"):
        geometry.from_spice(kernels, **arguments | {"start_time": None})
    junk = tmp_path / "junk.bsp"
    junk.write_bytes(b"DAF/SPK " + bytes(2000))
    with pytest.raises(GeometryError):
        geometry.from_spice([junk], **arguments)
    import spiceypy as spice

    assert spice.ktotal("ALL") == 0


def test_velocity_carries_label_to_the_middle_of_the_exposure(kernels):
    import spiceypy as spice

    for path in kernels:
        spice.furnsh(str(path))
    try:
        start = spice.str2et(START.isoformat())
        state, _ = spice.spkezr("CERES", start, "J2000", "NONE", "DAWN")
        sun, _ = spice.spkpos("SUN", start, "J2000", "NONE", "DAWN")
    finally:
        spice.kclear()
    g = from_1b(
        SC_TARGET_POSITION_VECTOR=list(state[:3]),
        SC_TARGET_VELOCITY_VECTOR=list(state[3:]),
        SC_SUN_POSITION_VECTOR=list(sun),
        TARGET_CENTER_DISTANCE=None,
    )
    true = geometry.from_spice(kernels, camera=g.camera, shape=g.shape, start_time=START, exposure_s=1.8)
    x, y = np.meshgrid(np.linspace(50, 970, 5), np.linspace(50, 970, 5))
    ground = g.ground(x, y)
    back = np.array(true.project(ground.latitude_deg, ground.longitude_deg))
    assert np.abs(back - (x, y)).max() < 0.06
