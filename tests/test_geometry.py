"""Geometry: real frames and labels, SPICE, camera models, and rendered bodies as oracles."""

import json
import re
import struct
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from brightspot import ceres, geometry
from brightspot.camera import Camera
from brightspot.errors import GeometryError
from brightspot.geometry.sources import turn

SHARED = Path(__file__).parents[2] / "shared"
KERNELS, LABELS = SHARED / "real/kernels", SHARED / "real/labels"
needs_kernels = pytest.mark.skipif(not KERNELS.exists(), reason="real kernels not at hand")
needs_labels = pytest.mark.skipif(not LABELS.exists(), reason="real labels not at hand")

# FC21A0038582_15170161546F6: Survey, 19 June 2015. States, attitude and time of ALE's model of the frame.
START = datetime(2015, 6, 19, 16, 15, 46, 345000)
SURVEY_ET_S = 488002614.62294483
SURVEY_SPACECRAFT = np.array([-678.145360419934, 2026.1409618562566, -4375.770027129584])
SURVEY_SUN = np.array([-184987783.06715, 343341745.2043138, 199532284.61700404])
SURVEY_QUATERNION = (0.5213647259158684, -0.17475033868107043, 0.13616771930072985, -0.8240749322251953)
# The quaternion of its 1A label (START_TIME, not the middle of the exposure).
LABEL_QUATERNION = [0.5213655224, -0.1747575947, 0.1361764644, -0.8240714445]

# Vesta in the "Claudia double-prime" system of its labels: IAU working group report of 2015 (recalled).
CLAUDIA = ceres.Orientation(309.031, 42.235, 285.39, 1617.3329428, "Claudia double-prime")
VESTA_RADII = (289.0, 280.0, 229.0)


def rotation(quaternion):
    """Rotation matrix of a quaternion by Rodrigues' formula."""
    w, axis = quaternion[0], np.array(quaternion[1:])
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross


def survey(**changes):
    arguments = {
        "camera": Camera.framing_camera("FC2", 6),
        "shape": (1024, 1024),
        "light_time": False,
    } | changes
    return geometry.from_vectors(
        -SURVEY_SPACECRAFT,
        SURVEY_SUN - SURVEY_SPACECRAFT,
        rotation(SURVEY_QUATERNION),
        SURVEY_ET_S,
        **arguments,
    )


def view(
    distance_km=14000.0,
    phase_deg=50.0,
    *,
    latitude=20.0,
    longitude=200.0,
    roll=30.0,
    sun_azimuth=40.0,
    off=(0.0, 0.0),
    filter_number=1,
    shape=(1024, 1024),
    origin=(0.0, 0.0),
    radii=ceres.RADII_KM,
):
    """A camera over a place on Ceres, its boresight ``off`` pixels beside the centre."""
    lat, lon, roll, azimuth, phase = np.radians([latitude, longitude, roll, sun_azimuth, phase_deg])
    out = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    x = np.cross(-out, [0.1, 0.2, 1.0])
    x /= np.linalg.norm(x)
    y = np.cross(-out, x)
    x, y = np.cos(roll) * x + np.sin(roll) * y, np.cos(roll) * y - np.sin(roll) * x
    matrix = np.stack([x, y, -out])
    sun = np.array([np.sin(phase) * np.sin(azimuth), -np.sin(phase) * np.cos(azimuth), -np.cos(phase)])
    camera = Camera.framing_camera("FC2", filter_number)
    tilt = turn(camera.pixel_to_ray(511.5, 511.5), camera.pixel_to_ray(511.5 + off[0], 511.5 + off[1]))
    return geometry.ViewingGeometry(
        camera, shape, distance_km * out, 4.3e8 * sun @ matrix, tilt @ matrix, origin, radii
    )


def random_views(count, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        distance_km = float(np.exp(rng.uniform(np.log(860.0), np.log(60000.0))))
        reach = min(1.0, 470.0 / distance_km / 0.0477) * 300
        yield view(
            distance_km,
            rng.uniform(0, 120),
            latitude=rng.uniform(-85, 85),
            longitude=rng.uniform(0, 360),
            roll=rng.uniform(0, 360),
            sun_azimuth=rng.uniform(0, 360),
            off=rng.uniform(-reach, reach, 2),
            filter_number=int(rng.integers(1, 9)),
        )


def render(g, *, noise=0.01, rough=0.15, seed=1):
    """Lunar-Lambert ellipsoid with blotches that grow towards the terminator, PSF and noise."""
    rng = np.random.default_rng(seed)
    mesh = g.disk_mesh(1)
    with np.errstate(invalid="ignore"):
        light = np.where(mesh.mu0 > 0, 0.945 * 2 * mesh.mu0 / (mesh.mu0 + mesh.mu) + 0.055 * mesh.mu0, 0.0)
        slope = np.sqrt(1 - mesh.mu0**2) / np.maximum(mesh.mu0, 0.1)
    texture = gaussian_filter(rng.normal(size=light.shape), 4)
    light *= np.maximum(1 + rough * texture / texture.std() * np.nan_to_num(np.clip(slope / 1.5, 0, 2)), 0)
    return (gaussian_filter(light, 0.6) + noise * rng.normal(size=light.shape)).astype(np.float32)


def centre(g):
    return np.array(g.project_points(np.zeros(3)))


def circular(a, b):
    d = np.abs(a - b) % 360
    return np.minimum(d, 360 - d)


# --- the real test vector -------------------------------------------------------------------------


def test_survey_frame_as_reconstructed():
    g = survey()
    assert g.target_center_distance_km == pytest.approx(4869.547, abs=1e-3)
    assert g.altitude_km == pytest.approx(4423.457, abs=1e-3)
    assert g.sub_spacecraft_deg == pytest.approx((-86.9586, 3.3543), abs=1e-4)
    assert g.sub_solar_deg == pytest.approx((4.0049, 34.3550), abs=1e-4)
    assert g.phase_deg == pytest.approx(91.397, abs=1e-3)
    assert g.sun_distance_km / ceres.AU_KM == pytest.approx(2.9284, abs=1e-4)
    ground = g.ground(511.5, 511.5)
    assert ground.latitude_deg == pytest.approx(-80.3691, abs=1e-4)
    assert ground.longitude_deg == pytest.approx(343.0309, abs=1e-4)
    assert ground.slant_range_km == pytest.approx(4426.168, abs=1e-3)
    assert ground.incidence_deg == pytest.approx(88.825, abs=1e-3)
    assert ground.emission_deg == pytest.approx(6.207, abs=1e-3)
    assert ground.phase_deg == pytest.approx(91.742, abs=1e-3)


@needs_labels
def test_ales_camera_model_agrees():
    """ALE puts pixel centres at n + 0.5 and uses the x pitch for both axes; both are allowed for."""
    isd = json.loads((LABELS / "FC21A0038582_15170161546F6_isd.json").read_text())
    g = survey(radii_km=ceres.RADII_KM)
    place = g.ground(*np.meshgrid(np.linspace(0, 1023, 12), np.linspace(0, 1023, 12)))
    body = rotation(isd["body_rotation"]["quaternions"][0])
    point = place.point_km @ body  # body frame to J2000
    look = (point - isd["instrument_position"]["positions"][0]) @ rotation(
        isd["instrument_pointing"]["quaternions"][0]
    ).T
    plane = isd["focal_length_model"]["focal_length"] * look[..., :2] / look[..., 2:]
    r2 = np.sum(plane**2, axis=-1, keepdims=True)
    plane = plane * (1 + isd["optical_distortion"]["dawnfc"]["coefficients"][0] * r2)
    x = plane[..., 0] * isd["focal2pixel_samples"][1] + isd["detector_center"]["sample"] - 0.5
    y = plane[..., 1] * isd["focal2pixel_lines"][2] + isd["detector_center"]["line"] - 0.5
    y_pitched = 511.5 + (y - 511.5) * g.camera.pitch_mm[0] / g.camera.pitch_mm[1]
    expected_x, expected_y = np.meshgrid(np.linspace(0, 1023, 12), np.linspace(0, 1023, 12))
    assert np.abs(x - expected_x).max() < 0.1
    assert np.abs(y_pitched - expected_y).max() < 0.1
    assert 0.2 < np.abs(y - expected_y).max() < 0.4  # what one pitch for both axes costs


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


# --- time -----------------------------------------------------------------------------------------


@needs_kernels
def test_et_is_spices():
    spice = pytest.importorskip("spiceypy")
    spice.furnsh(str(KERNELS / "naif0012.tls"))
    try:
        for text in (
            "2007-09-27T11:34:00",
            "2011-07-16T05:00:00",
            "2012-06-30T23:59:59.9",
            "2012-07-01T00:00:00",
            "2015-04-14T12:00:00.123",
            "2015-06-30T23:59:59",
            "2015-07-01T00:00:00.5",
            "2016-12-31T23:00:00",
            "2018-10-31T00:00:00",
        ):
            found = geometry.et_from_utc(datetime.fromisoformat(text))
            assert found == pytest.approx(spice.str2et(text), abs=1e-6)
    finally:
        spice.kclear()


def test_et_of_aware_and_of_early_times():
    assert geometry.et_from_utc(START.replace(tzinfo=UTC)) == geometry.et_from_utc(START)
    # SCLK of the frame: start + 0.193 s + half of 1.8 s is ALE's centre time to half a millisecond.
    assert geometry.et_from_utc(START) + 1.093 == pytest.approx(SURVEY_ET_S, abs=1e-3)
    with pytest.raises(GeometryError, match="leap seconds"):
        geometry.et_from_utc(datetime(1990, 1, 1))


# --- labels ---------------------------------------------------------------------------------------


def read_label(name):
    """Flat numbers of a real PDS3 label; a stand-in for the reader, units stripped, N/A as None."""
    text = (LABELS / name).read_text(errors="replace").split("OBJECT  ")[0]
    found = {}
    for key, value in re.findall(r"^([A-Z_]+)\s*=\s*(\([^)]*\)|[^\n(]*)", text, re.M):
        numbers = re.findall(r"(?<![\w.])-?\d+\.?\d*(?![\w.:-])", re.sub(r"<[^>]*>", "", value))
        if value.startswith("("):
            found[key] = [float(v) for v in numbers] or None
        elif numbers and re.fullmatch(r"\s*-?[\d.]+\s*(<[^>]*>)?\s*", value):
            found[key] = float(numbers[0])
        else:
            found[key] = None if "N/A" in value else value.strip().strip('"')
    return found


def vesta(name, start, exposure_s, **changes):
    label = read_label(name)
    label.update(changes)
    return label, geometry.from_label(
        label,
        camera=Camera.framing_camera("FC2", 1),
        shape=(1024, 1024),
        start_time=start,
        exposure_s=exposure_s,
        body_name="VESTA",
        orientation=CLAUDIA,
        radii_km=VESTA_RADII,
    )


@needs_labels
def test_label_of_vesta_with_every_value_filled():
    """Every derived field of a real label follows from its vectors, quaternion and START_TIME."""
    label, g = vesta("FC21A0004515_11226150724F1F.IMG.lbl", datetime(2011, 8, 14, 15, 7, 24, 316000), 0.020)
    assert g.target_center_distance_km == pytest.approx(label["TARGET_CENTER_DISTANCE"], abs=0.05)
    assert g.altitude_km == pytest.approx(label["SPACECRAFT_ALTITUDE"], abs=0.05)
    # The body turns by 0.0038 degree from START_TIME to the middle of the exposure.
    latitude, longitude = g.sub_spacecraft_deg
    assert latitude == pytest.approx(label["SUB_SPACECRAFT_LATITUDE"], abs=1e-3)
    assert longitude == pytest.approx(label["SUB_SPACECRAFT_LONGITUDE"] % 360, abs=0.006)
    assert g.sub_solar_deg[0] == pytest.approx(label["SUB_SOLAR_LATITUDE"], abs=1e-4)
    assert g.sub_solar_deg[1] == pytest.approx(label["SUB_SOLAR_LONGITUDE"] % 360, abs=0.006)
    ground = g.ground(511.5, 511.5)
    assert ground.phase_deg == pytest.approx(label["PHASE_ANGLE"], abs=0.002)
    assert ground.incidence_deg == pytest.approx(label["INCIDENCE_ANGLE"], abs=0.01)
    assert ground.emission_deg == pytest.approx(label["EMISSION_ANGLE"], abs=0.01)
    assert ground.latitude_deg == pytest.approx(label["CENTER_LATITUDE"], abs=0.01)
    assert ground.longitude_deg == pytest.approx(label["CENTER_LONGITUDE"], abs=0.02)
    # NORTH_AZIMUTH: the spin axis, clockwise from the right of the displayed image: rows run along +Y.
    axis = g.camera_from_body[:, 2]
    assert np.degrees(np.arctan2(axis[1], axis[0])) % 360 == pytest.approx(label["NORTH_AZIMUTH"], abs=0.005)
    assert circular(ground.north_azimuth_deg - 90, label["NORTH_AZIMUTH"]) < 1.5
    assert np.sqrt(ground.pixel_area_km2) == pytest.approx(label["HORIZONTAL_PIXEL_SCALE"], rel=0.02)


@needs_labels
def test_trimmed_label_of_vesta():
    label, g = vesta("FC21B0003112_11205060002F1C.TRIMMED.LBL", datetime(2011, 7, 24, 6, 0, 2, 137000), 0.008)
    assert g.sub_spacecraft_deg[0] == pytest.approx(label["SUB_SPACECRAFT_LATITUDE"], abs=1e-4)
    assert g.sub_spacecraft_deg[1] == pytest.approx(label["SUB_SPACECRAFT_LONGITUDE"] % 360, abs=0.006)
    assert g.altitude_km == pytest.approx(label["SPACECRAFT_ALTITUDE"], abs=0.01)
    assert g.ground(511.5, 511.5).phase_deg == pytest.approx(label["PHASE_ANGLE"], abs=1e-3)


@needs_labels
def test_level_1a_label_has_no_geometry():
    label = read_label("FC21A0038582_15170161546F6F_pds3.lbl")
    assert label["SC_TARGET_POSITION_VECTOR"] is None and len(label["QUATERNION"]) == 4
    with pytest.raises(GeometryError, match="no geometry in label"):
        geometry.from_label(
            label,
            camera=Camera.framing_camera("FC2", 6),
            shape=(1024, 1024),
            start_time=START,
            exposure_s=1.8,
        )


def label_1b(**changes):
    """The Survey frame's label as level 1B would have it, at START_TIME."""
    spacecraft = SURVEY_SPACECRAFT
    body = ceres.body_from_j2000(geometry.et_from_utc(START))
    fixed, sun = body @ spacecraft, body @ SURVEY_SUN

    def place(v):
        longitude = np.degrees(np.arctan2(v[1], v[0]))
        return float(np.degrees(np.arcsin(v[2] / np.linalg.norm(v)))), float(longitude)

    label = {
        "TARGET_NAME": "1 CERES",
        "QUATERNION": list(LABEL_QUATERNION),
        "SC_TARGET_POSITION_VECTOR": list(-spacecraft),
        "SC_SUN_POSITION_VECTOR": list(SURVEY_SUN - spacecraft),
        "TARGET_CENTER_DISTANCE": 4869.547,
        "SPACECRAFT_ALTITUDE": 4423.457,
        "SUB_SPACECRAFT_LATITUDE": place(fixed)[0],
        "SUB_SPACECRAFT_LONGITUDE": place(fixed)[1],
        "SUB_SOLAR_LATITUDE": place(sun)[0],
        "SUB_SOLAR_LONGITUDE": place(sun)[1],
        "RIGHT_ASCENSION": 289.753,
        "DECLINATION": 64.400,
        "PHASE_ANGLE": 91.74,
        "INCIDENCE_ANGLE": None,
    }
    return label | changes


def from_1b(**changes):
    arguments = {
        "camera": Camera.framing_camera("FC2", 6),
        "shape": (1024, 1024),
        "start_time": START,
        "exposure_s": 1.8,
    }
    for key in list(changes):
        if key in arguments or key == "origin_xy":
            arguments[key] = changes.pop(key)
    return geometry.from_label(label_1b(**changes), **arguments)


def test_label_of_ceres_gives_the_reconstructed_frame():
    g = from_1b()
    assert g.source == "label" and g.longitude_known
    ground = g.ground(511.5, 511.5)
    # 0.25 pixel of 0.41 km between the label's pointing and the middle of the exposure, without a velocity.
    assert ground.latitude_deg == pytest.approx(-80.3691, abs=0.02)
    assert ground.longitude_deg == pytest.approx(343.0309, abs=0.1)
    assert g.sub_spacecraft_deg == pytest.approx(survey().sub_spacecraft_deg, abs=0.001)


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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"QUATERNION": None}, "no geometry in label"),
        ({"SC_TARGET_POSITION_VECTOR": None}, "no geometry in label"),
        ({"SC_SUN_POSITION_VECTOR": [None, None, None]}, "no geometry in label"),
        ({"SC_SUN_POSITION_VECTOR": "N/A"}, "no geometry in label"),
        ({"QUATERNION": [0.6, -0.17, 0.13, -0.82]}, "not 1"),
        ({"QUATERNION": [0.0, 0.0, 0.0, 0.0]}, "not 1"),
        ({"TARGET_CENTER_DISTANCE": 4423.0}, "TARGET_CENTER_DISTANCE"),
        ({"SPACECRAFT_ALTITUDE": 4869.5}, "SPACECRAFT_ALTITUDE"),
        ({"SUB_SPACECRAFT_LATITUDE": 86.96}, "SUB_SPACECRAFT"),
        ({"SUB_SOLAR_LONGITUDE": -34.36}, "SUB_SOLAR"),
        ({"PHASE_ANGLE": 20.0}, "PHASE_ANGLE"),
        ({"DECLINATION": -64.4}, "QUATERNION points"),
        ({"TARGET_NAME": "4 VESTA"}, "not Ceres"),
        ({"start_time": None}, "START_TIME"),
        ({"SC_SUN_POSITION_VECTOR": [-1.2, 2.3, 1.3]}, "AU long"),
    ],
)
def test_bad_labels_are_refused_with_a_reason(changes, message):
    with pytest.raises(GeometryError, match=message) as caught:
        from_1b(**changes)
    assert "\n" not in str(caught.value)


BARE = dict.fromkeys(
    [
        "TARGET_CENTER_DISTANCE",
        "SPACECRAFT_ALTITUDE",
        "SUB_SPACECRAFT_LATITUDE",
        "SUB_SOLAR_LATITUDE",
        "PHASE_ANGLE",
        "DECLINATION",
    ]
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"SC_TARGET_POSITION_VECTOR": [678.1, 2026.1, -4375.8]}, "outside the frame"),
        ({"SC_TARGET_POSITION_VECTOR": [30.0, -200.0, 300.0]}, "inside it"),
        # The Sun straight ahead beyond the body.
        ({"SC_SUN_POSITION_VECTOR": [678e5, -2026e5, 4376e5]}, "nothing in the frame is lit"),
    ],
)
def test_impossible_views_are_refused(changes, message):
    with pytest.raises(GeometryError, match=message):
        from_1b(**BARE | changes)


def test_far_body_of_a_few_pixels_is_seen_in_the_frame():
    far = -SURVEY_SPACECRAFT / np.linalg.norm(SURVEY_SPACECRAFT) * 1.2e6
    g = from_1b(**BARE | {"SC_TARGET_POSITION_VECTOR": list(far)})
    assert np.isfinite(g.backplanes().latitude_deg).sum() < 100


def test_label_longitudes_may_be_signed_or_not():
    signed = label_1b()["SUB_SOLAR_LONGITUDE"]
    from_1b(SUB_SOLAR_LONGITUDE=signed - 360.0)


# --- rays, ground, backplanes ---------------------------------------------------------------------


def test_ground_and_project_are_inverse():
    for g in random_views(10, seed=1):
        x0, y0 = np.clip(centre(g), 0, 1023)
        x, y = np.array([[x0], [y0]]) + np.random.default_rng(2).uniform(-60, 60, (2, 200))
        ground = g.ground(x, y)
        back = np.array(g.project(ground.latitude_deg, ground.longitude_deg))
        seen = np.isfinite(ground.latitude_deg) & (ground.emission_deg < 89.9)
        assert np.abs(back - (x, y))[:, seen].max(initial=0) < 1e-6


def test_far_side_and_scalars():
    g = view()
    latitude, longitude = g.sub_spacecraft_deg
    x, y = g.project(latitude, longitude)
    # The body is oblate: the point under the camera in planetocentric terms lies on the line to the centre.
    assert np.allclose((x, y), centre(g), atol=1e-6)
    assert np.isnan(g.project(-latitude, longitude + 180)).all()
    assert np.ndim(g.ground(511.5, 511.5).latitude_deg) == 0
    assert np.isnan(g.ground(5.0, 5.0).latitude_deg)


def test_subframe_is_the_same_ground():
    whole = view()
    part = replace(whole, shape=(200, 300), origin_xy=(400.0, 350.0))
    assert whole.ground(450.25, 400.5).longitude_deg == pytest.approx(part.ground(50.25, 50.5).longitude_deg)
    assert np.array_equal(
        part.backplanes().incidence_deg, whole.backplanes().incidence_deg[350:550, 400:700], equal_nan=True
    ) or np.allclose(
        part.backplanes().incidence_deg,
        whole.backplanes().incidence_deg[350:550, 400:700],
        atol=1e-4,
        equal_nan=True,
    )
    x, y = part.project(20.0, 200.0)
    assert np.allclose(whole.project(20.0, 200.0), (x + 400, y + 350))


@pytest.mark.parametrize("g", list(random_views(4, seed=11)))
def test_backplanes_are_the_exact_ground(g):
    planes = replace(g, shape=(1024, 256), origin_xy=(384.0, 0.0)).backplanes()
    x, y = np.meshgrid(np.arange(384, 640), np.arange(1024))
    ground = g.ground(x, y)
    for name, plane in planes._asdict().items():
        exact = getattr(ground, name)
        assert plane.dtype == np.float32
        assert np.array_equal(np.isnan(plane), np.isnan(exact)), name
        if name == "slant_range_km":
            assert np.nanmax(np.abs(plane / exact - 1), initial=0) < 4e-7
        elif name == "pixel_area_km2":
            well = ground.emission_deg < 88
            assert np.nanmax(np.abs(plane / exact - 1)[well], initial=0) < 1e-5
        elif "azimuth" in name:
            well = (ground.emission_deg < 89) & (np.abs(ground.latitude_deg) < 89.9)
            well &= (ground.incidence_deg > 0.1) & (ground.incidence_deg < 179.9)
            assert np.nanmax(circular(plane, exact)[well], initial=0) < 1e-3, name
        else:
            assert np.nanmax(circular(plane, exact), initial=0) < 1e-3, name


def test_azimuths_by_walking_on_the_ground():
    """North and sunward are where the image goes when a point takes a small step there."""
    g = view(9000.0, 60.0)
    rng = np.random.default_rng(4)
    x, y = rng.uniform(200, 800, (2, 50))
    ground = g.ground(x, y)
    radii = np.asarray(g.radii_km)
    normal = ground.point_km / radii**2
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    to_sun = g.sun_km - ground.point_km
    to_sun /= np.linalg.norm(to_sun, axis=-1, keepdims=True)
    for direction, azimuth in (
        (np.array([0.0, 0.0, 1.0]), ground.north_azimuth_deg),
        (to_sun, ground.sun_azimuth_deg),
    ):
        flat = direction - np.sum(direction * normal, axis=-1, keepdims=True) * normal
        step = ground.point_km + 1e-3 * flat
        dx, dy = g.project_points(step)[0] - x, g.project_points(step)[1] - y
        assert circular(np.degrees(np.arctan2(dx, -dy)), azimuth).max() < 0.01


def test_scale_matrix_and_pixel_area_by_finite_differences():
    g = view(3000.0, 60.0, off=(150.0, 80.0))
    x, y = np.meshgrid(np.linspace(10, 1000, 8), np.linspace(10, 1000, 8))
    here = g.ground(x, y)
    step = 1e-3
    right, down = g.ground(x + step, y).point_km, g.ground(x, y + step).point_km
    moves = np.stack([right - here.point_km, down - here.point_km], axis=-1) / step
    normal = here.point_km / np.asarray(g.radii_km) ** 2
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    north = np.array([0.0, 0.0, 1.0]) - normal[..., 2:] * normal
    north /= np.linalg.norm(north, axis=-1, keepdims=True)
    east = np.cross(north, normal)
    expected = np.stack([np.einsum("...i,...ij->...j", axis, moves) for axis in (east, north)], axis=-2)
    seen = here.emission_deg < 75
    assert np.allclose(here.scale_km[seen], expected[seen], rtol=1e-3, atol=1e-4)
    area = np.linalg.norm(np.cross(moves[..., 0], moves[..., 1]), axis=-1)
    assert np.allclose(here.pixel_area_km2[seen], area[seen], rtol=2e-3)


def test_areas_add_up_to_the_visible_cap():
    g = view(40000.0, 20.0, radii=(470.0, 470.0, 470.0))
    area = np.nansum(g.backplanes().pixel_area_km2[g.backplanes().emission_deg < 60])
    # Emission 60 on a sphere seen from d: centre angle 60 - asin(r sin 60 / d).
    angle = np.radians(60) - np.arcsin(470 * np.sin(np.radians(60)) / 40000)
    assert area == pytest.approx(2 * np.pi * 470**2 * (1 - np.cos(angle)), rel=5e-3)


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_twice_the_range_and_radii_is_twice_every_kilometre(factor):
    g = view(6000.0, 40.0, off=(90.0, -60.0))
    big = replace(
        g,
        spacecraft_km=factor * g.spacecraft_km,
        radii_km=tuple(factor * r for r in g.radii_km),
        sun_km=factor * g.sun_km,
    )
    x, y = np.random.default_rng(0).uniform(100, 900, (2, 100))
    small, large = g.ground(x, y), big.ground(x, y)
    assert np.allclose(large.slant_range_km, factor * small.slant_range_km, equal_nan=True)
    assert np.allclose(large.scale_km, factor * small.scale_km, equal_nan=True)
    assert np.allclose(large.pixel_area_km2, factor**2 * small.pixel_area_km2, equal_nan=True)
    for name in ("latitude_deg", "incidence_deg", "emission_deg", "phase_deg", "sun_azimuth_deg"):
        assert np.allclose(getattr(large, name), getattr(small, name), equal_nan=True)


def test_limb_is_where_emission_is_ninety():
    g = view(5000.0, 40.0)
    x, y, incidence = g.limb(64)
    x0, y0 = x.mean(), y.mean()
    inside = g.ground(x0 + (x - x0) * 0.9999, y0 + (y - y0) * 0.9999)
    outside = g.ground(x0 + (x - x0) * 1.0001, y0 + (y - y0) * 1.0001)
    assert np.isfinite(inside.latitude_deg).all() and (inside.emission_deg > 88).all()
    assert np.isnan(outside.latitude_deg).all()
    assert np.abs(inside.incidence_deg - incidence).max() < 2.0


def test_xarray_carries_units():
    xarray = pytest.importorskip("xarray")
    dataset = replace(view(), shape=(64, 48), origin_xy=(480.0, 480.0)).to_xarray()
    assert isinstance(dataset, xarray.Dataset) and dict(dataset.sizes) == {"y": 64, "x": 48}
    assert set(dataset.data_vars) == set(geometry.Backplanes._fields) == set(geometry.BACKPLANES)
    assert all(v.attrs["units"] and v.attrs["long_name"] for v in dataset.data_vars.values())


# --- meshes ---------------------------------------------------------------------------------------


def bilinear(mesh, step, x, y):
    u, v = (x - (step - 1) / 2) / step, (y - (step - 1) / 2) / step
    i, j = np.floor(u).astype(int), np.floor(v).astype(int)
    fx, fy = u - i, v - j
    top = mesh[j, i] * (1 - fx) + mesh[j, i + 1] * fx
    return top * (1 - fy) + (mesh[j + 1, i] * (1 - fx) + mesh[j + 1, i + 1] * fx) * fy


@pytest.mark.parametrize("step", [8, 16])
def test_interpolated_mesh_keeps_its_error_bound(step):
    """Bilinear error is at most h^2/8 (|f_xx| + |f_yy|).

    On a sphere of apparent radius R pixels |mu_xx| + |mu_yy| = (1 + mu^2) / (R^2 mu^3), and mu0 is a linear
    function plus a share of mu: the error of either is below h^2 / (4 R^2 mu^3), with the smallest mu in
    the cell. Twice that allows for flattening and perspective.
    """
    for g in random_views(12, seed=7):
        radius = np.arcsin(482 / g.target_center_distance_km) / g.camera.mean_ifov_rad
        mesh = g.disk_mesh(step)
        x, y = np.random.default_rng(1).uniform(step, 1023 - 2 * step, (2, 4000))
        ground = g.ground(x, y)
        for values, exact in ((mesh.mu0, ground.incidence_deg), (mesh.mu, ground.emission_deg)):
            found = bilinear(values, step, x, y)
            mu = np.cos(np.radians(ground.emission_deg))
            worst = np.sqrt(np.maximum(mu**2 - 4.0 * step / radius, 1e-9))
            bound = 2.0 * step**2 / (4 * radius**2 * worst**3) + 1e-6
            good = np.isfinite(found) & (mu**2 > 6.0 * step / radius)
            error = np.abs(found - np.cos(np.radians(exact)))
            assert (error[good] <= bound[good]).all()


def test_mesh_is_exact_at_block_centres():
    g = replace(view(), shape=(1000, 1023))
    mesh = g.disk_mesh(8)
    assert mesh.mu0.shape == (125, 128)
    x, y = np.meshgrid(np.arange(128) * 8 + 3.5, np.arange(125) * 8 + 3.5)
    ground = g.ground(x, y)
    assert np.array_equal(np.isnan(mesh.mu), np.isnan(ground.emission_deg))
    assert np.nanmax(np.abs(mesh.mu0 - np.cos(np.radians(ground.incidence_deg)))) < 1e-6
    assert np.nanmax(np.abs(mesh.mu - np.cos(np.radians(ground.emission_deg)))) < 1e-6
    assert np.nanmax(np.abs(mesh.phase_deg - ground.phase_deg)) < 1e-4


# --- the picture ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distance_km", "phase_deg", "off"),
    [
        (22470, 20, (0, 0)),
        (22470, 80, (30, -50)),
        (14000, 120, (0, 0)),
        (7700, 40, (300, 200)),
        (46500, 25, (100, 40)),
    ],
)
def test_orientation_is_told_from_the_picture(distance_km, phase_deg, off):
    g = view(distance_km, phase_deg, off=off)
    image = render(g)
    check = geometry.check_orientation(g, image)
    assert check.agrees is True and check.best_flip == "none"
    for name, flipped in (
        ("up-down", image[::-1]),
        ("left-right", image[:, ::-1]),
        ("both", image[::-1, ::-1]),
    ):
        check = geometry.check_orientation(g, np.ascontiguousarray(flipped))
        assert check.agrees is False and check.best_flip == name


def test_orientation_that_cannot_be_told():
    # Face on at full phase: every flip looks alike.
    g = view(22470, 0.5, latitude=0.0)
    assert geometry.check_orientation(g, render(g)).agrees is None
    # The body fills the frame, evenly lit: only terrain to see.
    g = view(1800, 2.0)
    image = render(g, rough=1.0)
    assert geometry.check_orientation(g, image).agrees is None
    nothing = np.zeros((1024, 1024), np.float32)
    assert geometry.check_orientation(g, nothing).agrees is None
    assert geometry.check_orientation(g, nothing, np.ones((1024, 1024), bool)).agrees is None


@pytest.mark.parametrize(
    ("distance_km", "phase_deg", "off"),
    [
        (22470, 20, (0, 0)),
        (22470, 80, (30, -50)),
        (14000, 120, (0, 0)),
        (7700, 40, (300, 200)),
        (46500, 25, (100, 40)),
    ],
)
def test_pointing_is_refined_to_a_fraction_of_a_pixel(distance_km, phase_deg, off):
    true = view(distance_km, phase_deg, off=off)
    image = render(true)
    for shift in ((7.3, -5.1), (-0.4, 0.3), (0.0, 0.0)):
        refined, moved = geometry.refine_pointing(pointed_off(true, shift), image)
        assert moved.n_limb_points >= 24 and moved.rms_px < 0.7
        assert moved.measured_px == pytest.approx(
            (-shift[0], -shift[1]), abs=max(0.35, 2 * moved.error_px[1])
        )
        if moved.verdict == "moved":
            assert np.abs(centre(refined) - centre(true)).max() < max(0.35, 2 * moved.error_px[1])
        else:
            assert np.hypot(*shift) < 3 * np.hypot(*moved.error_px)


def pointed_off(g, shift):
    """The same view as a label would tell it whose pointing is off by ``shift`` pixels."""
    camera = g.camera
    wrong = turn(camera.pixel_to_ray(511.5, 511.5), camera.pixel_to_ray(511.5 + shift[0], 511.5 + shift[1]))
    return replace(g, camera_from_body=wrong @ g.camera_from_body)


@pytest.mark.parametrize(
    ("distance_km", "phase_deg", "off"),
    [(22470, 20, (0, 0)), (14000, 90, (150, -100)), (7700, 40, (300, 200)), (46500, 60, (-300, 40))],
)
@pytest.mark.parametrize("shift", [(40.0, -35.0), (-180.0, 240.0)])
def test_pointing_hundreds_of_pixels_off_is_recovered(distance_km, phase_deg, off, shift):
    true = view(distance_km, phase_deg, off=off)
    refined, moved = geometry.refine_pointing(pointed_off(true, shift), render(true))
    assert moved.verdict == "moved" and moved.inlier_share > 0.9
    assert np.hypot(*(centre(refined) - centre(true))) < 3 * np.hypot(*moved.error_px)
    assert np.hypot(*(centre(refined) - centre(true))) < 4.0


def test_terminator_alone_moves_the_view_if_far_off():
    """The dark side fills the frame's left: no limb, but where night begins tells the pointing across it."""
    true = view(5000, 80, latitude=0.0, roll=0, off=(0, 0), sun_azimuth=90)
    x, y, incidence = true.limb(720)
    assert not ((x > 0) & (x < 1023) & (y > 0) & (y < 1023) & (incidence < 75)).any()
    image = render(true)
    same, moved = geometry.refine_pointing(true, image)
    assert same is true and moved.n_limb_points == 0 and moved.verdict in ("agrees", "nothing", "unsure")
    wrong = pointed_off(true, (230.0, 20.0))
    refined, moved = geometry.refine_pointing(wrong, image)
    before = np.abs((centre(wrong) - centre(true)) @ moved.direction)
    assert moved.verdict.startswith("moved")
    assert np.abs((centre(refined) - centre(true)) @ moved.direction) < 0.25 * before


def test_another_picture_is_not_taken_for_a_shifted_one():
    told = view(14000, 40)
    rng = np.random.default_rng(5)
    squares = np.kron(rng.uniform(size=(16, 16)) > 0.5, np.ones((64, 64))).astype(np.float32)
    for picture in (squares, render(view(40000, 120, roll=200, off=(350, 300)))):
        same, moved = geometry.refine_pointing(told, picture)
        assert same is told and (moved.dx_px, moved.dy_px) == (0.0, 0.0) and moved.verdict == "lost"


def test_pointing_is_left_alone_without_a_limb():
    g = view(3000, 40)
    for picture in (render(g, rough=1.0), np.zeros((1024, 1024), np.float32)):
        same, moved = geometry.refine_pointing(g, picture)
        assert same is g and moved.n_limb_points == 0 and moved.dx_px == moved.dy_px == 0.0
    far = view(1.2e6, 20)
    assert geometry.refine_pointing(far, render(far))[0] is far


def test_pointing_is_not_drawn_off_by_the_terminator_or_bad_pixels():
    true = view(22470, 95, off=(20, 10))
    image = render(true, rough=0.8)
    mask = np.zeros(image.shape, bool)
    mask[300:420, :] = True
    image[mask] = 50.0
    refined, moved = geometry.refine_pointing(true, image, mask)
    assert np.abs(centre(refined) - centre(true)).max() < 0.4
    assert moved.n_limb_points > 24


def test_short_arc_moves_the_view_only_across_the_limb():
    true = view(4000, 40, off=(1400, 0), roll=0, sun_azimuth=290)
    image = render(true)
    wrong = pointed_off(true, (-28.0, -16.0))
    refined, moved = geometry.refine_pointing(wrong, image)
    assert moved.verdict == "moved across" and moved.n_limb_points >= 24
    direction, left = np.array(moved.direction), centre(refined) - centre(true)
    assert abs(direction @ left) < 3 * moved.error_px[0]
    # Along the limb the label's pointing stays.
    across = np.array([-direction[1], direction[0]])
    assert across @ left == pytest.approx(across @ (centre(wrong) - centre(true)), abs=0.2)
    assert moved.error_px[1] > 3 * moved.error_px[0]


def located(true, told, image=None):
    """A frame of ``true`` whose label says ``told``, as `locate` leaves it."""
    from brightspot.frame import Frame, locate

    pixels = render(true) if image is None else image
    nothing = np.zeros(pixels.shape, bool)
    return locate(Frame("a", None, pixels, nothing, nothing, "I/F", "FC2", 1, target="CERES", geometry=told))


def test_good_pointing_is_left_without_a_word():
    true = view()
    frame = located(true, true)
    assert frame.geometry is true and not any("pointing" in note or "limb" in note for note in frame.notes)


def test_wrong_pointing_is_put_right_and_said():
    true = view()
    frame = located(true, pointed_off(true, (9.0, -4.0)))
    assert np.abs(centre(frame.geometry) - centre(true)).max() < 2.0
    assert any(
        re.search(r"pointing moved by \(-\d+\.\d+, \+\d+\.\d+\) px onto the limb", n) for n in frame.notes
    )
    frame = located(true, pointed_off(true, (150.0, 90.0)))
    assert np.abs(centre(frame.geometry) - centre(true)).max() < 2.0 and not frame.orientation_doubtful
    assert any(re.search(r"points 0\.9\d degree beside", note) for note in frame.notes)


def test_a_label_of_another_picture_is_doubted():
    true = view(40000, 120, roll=200, off=(350, 300))
    frame = located(true, view())
    assert frame.orientation_doubtful or frame.geometry is None or frame.geometry.source == "limb"
    assert frame.notes


def test_short_arc_is_said_to_fix_one_direction():
    true = view(4000, 40, off=(1400, 0), roll=0, sun_azimuth=290)
    frame = located(true, pointed_off(true, (-28.0, -16.0)))
    assert any("in that direction only" in note for note in frame.notes)


# --- pictures without a label ---------------------------------------------------------------------


def angle_between(a, b):
    return np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1)))


@pytest.mark.parametrize(("phase_deg", "azimuth"), [(12, 300), (40, 40), (80, 170), (130, 250)])
def test_sun_is_found_from_the_shading(phase_deg, azimuth):
    g = view(22470, phase_deg, sun_azimuth=azimuth)
    fit = geometry.fit_sun(g, render(g))
    true = g.camera_from_body @ g.sun_km
    error = angle_between(fit.camera_direction, true)
    assert error < 4.0 and error < 3.0 * fit.uncertainty_deg
    assert fit.phase_deg == pytest.approx(phase_deg, abs=4) and fit.score > 0.8
    if phase_deg >= 40:
        assert circular(fit.azimuth_deg, azimuth) < 4


def test_sun_needs_a_body():
    g = view(22470, 40)
    with pytest.raises(GeometryError, match="too little"):
        geometry.fit_sun(g, np.zeros((1024, 1024), np.float32), np.ones((1024, 1024), bool))


@pytest.mark.parametrize("latitude", [0.0, 35.0, 80.0])
def test_geometry_from_a_limb_has_the_true_angles(latitude):
    true = view(46500, 55, latitude=latitude)
    x, y, _ = true.limb(400)
    xy = np.stack([x - x.mean(), y - y.mean()])
    values, vectors = np.linalg.eigh(xy @ xy.T)
    position_angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])) % 180
    scale_km = true.target_center_distance_km * true.camera.mean_ifov_rad
    image = render(true)
    g = geometry.from_limb(
        (x.mean(), y.mean()),
        scale_km,
        shape=image.shape,
        axis_ratio=float(np.sqrt(values[0] / values[1])),
        pole_azimuth_deg=position_angle,
        image=image,
    )
    assert g.source == "limb" and not g.longitude_known
    found, exact = g.backplanes(), true.backplanes()
    for name in ("latitude_deg", "longitude_deg", "slant_range_km", "north_azimuth_deg"):
        assert np.isnan(getattr(found, name)).all()
        assert np.isnan(getattr(g.ground(x.mean(), y.mean()), name))
    seen = exact.emission_deg < 60
    # Which way the pole leans is not known: 4.5 degrees, and the fitted Sun's error.
    assert np.nanmax(np.abs(found.emission_deg - exact.emission_deg)[seen]) < 5.0
    assert np.nanmax(np.abs(found.incidence_deg - exact.incidence_deg)[seen]) < 7.0
    assert np.nanmedian((found.pixel_area_km2 / exact.pixel_area_km2)[seen]) == pytest.approx(1.0, abs=0.03)
    assert np.nanmedian(circular(found.sun_azimuth_deg, exact.sun_azimuth_deg)[seen]) < 4.0
    assert np.isnan(g.project(0.0, 0.0)).all()


def test_limb_with_a_given_sun_and_bad_scale():
    g = geometry.from_limb((100.0, 90.0), 5.0, shape=(200, 220), sun_camera=(1.0, 0.0, -1.0))
    assert g.phase_deg == pytest.approx(45.0, abs=0.1)
    assert g.ground(100.0, 90.0).sun_azimuth_deg == pytest.approx(90.0, abs=0.1)
    assert np.sqrt(g.ground(100.0, 90.0).pixel_area_km2) == pytest.approx(5.0, rel=1e-3)
    with pytest.raises(GeometryError, match="positive"):
        geometry.from_limb((100.0, 90.0), 0.0, shape=(200, 220))
