"""Views from labels, SPICE kernels and real state vectors; time."""

import json
import re
from datetime import UTC, datetime

import numpy as np
import pytest

from brightspot import ceres, geometry
from brightspot.camera import Camera
from brightspot.errors import GeometryError
from test_geometry import SHARED, circular

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
