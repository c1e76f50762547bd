"""PDS3 labels of rendered frames, in the keywords and conventions of the Framing Camera archive."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from brightspot import ceres
from brightspot.camera import ACTIVE_FIRST_LINE, ACTIVE_FIRST_SAMPLE, ACTIVE_SHAPE, mid_exposure
from brightspot.geometry import ViewingGeometry, et_from_utc
from brightspot.simulate.scene import Scene

NOTICE = "RENDERED FRAME, NOT MISSION DATA: made by brightspot simulate"
"""Stands in every file written."""

NA = '"N/A"'
STOP_AFTER_S = 0.192
"""STOP_TIME - START_TIME - exposure in the archive's labels."""

PHASES = (
    (datetime(2015, 6, 5), datetime(2015, 7, 1), "CERES SCIENCE SURVEY (CSS)"),
    (datetime(2015, 8, 16), datetime(2015, 10, 25), "CERES SCIENCE HAMO (CSH)"),
    (datetime(2015, 12, 15), datetime(2016, 9, 3), "CERES SCIENCE LAMO (CSL)"),
)
"""First and last day and name of mission phases whose names in labels are known."""


@dataclass(frozen=True)
class ImageObject:
    """One image object of a label.

    Attributes
    ----------
    name : str
        ``"IMAGE"`` or ``"FRAME_2_IMAGE"`` and so on.
    lines, samples, bits : int
        Size and bits per sample.
    sample_type : str
        PDS3 sample type.
    first_line, first_sample : int
        Place on the raw detector array, from 1, in stored order.
    unit : str
        Unit of the values.
    """

    name: str
    lines: int
    samples: int
    bits: int
    sample_type: str
    first_line: int
    first_sample: int
    unit: str

    @property
    def n_bytes(self) -> int:
        """Size of the object's data."""
        return self.lines * self.samples * self.bits // 8


def product_name(scene: Scene, level: str) -> str:
    """File name without ending in the archive's pattern, ``FC21B9900001_15124120000F1A``.

    Numbers from 9900000 up are not used by the mission.
    """
    day = scene.date.timetuple().tm_yday
    number = 9_900_000 + scene.seed % 100_000
    time = f"{scene.date:%y}{day:03d}{scene.date:%H%M%S}"
    return f"{scene.camera}{level}{number:07d}_{time}F{scene.filter_number}A"


def first_line_sample(scene: Scene, line_display: str, sample_display: str) -> tuple[int, int]:
    """FIRST_LINE and FIRST_LINE_SAMPLE of a frame stored with the given display directions."""
    x0, y0 = (int(v) for v in scene.origin_xy)
    rows, columns = scene.shape
    line = ACTIVE_SHAPE[0] - y0 - rows if line_display == "UP" else y0
    sample = ACTIVE_SHAPE[1] - x0 - columns if sample_display == "LEFT" else x0
    return ACTIVE_FIRST_LINE + line, ACTIVE_FIRST_SAMPLE + sample


def label_text(
    scene: Scene,
    geometry: ViewingGeometry,
    level: str,
    file_lines: list[str],
    objects: list[ImageObject],
    directions: tuple[str, str],
) -> str:
    """The whole label, ``END`` included, with the line ends of the archive.

    Parameters
    ----------
    scene, geometry
        What was rendered.
    level : str
        ``"1A"`` (geometry "N/A", as in the archive) or ``"1B"``.
    file_lines : list of str
        File characteristics and pointers, ready made.
    objects : list of ImageObject
        The image objects.
    directions : tuple of str
        LINE_DISPLAY_DIRECTION and SAMPLE_DISPLAY_DIRECTION.
    """
    lines = ["PDS_VERSION_ID                = PDS3", *_pair("LABEL_REVISION_NOTE", '"rendered"'), ""]
    lines += ["/* FILE CHARACTERISTICS */", "", *file_lines, ""]
    lines += ["/* WHAT THIS IS */", "", *_pair("NOTE", f'"{NOTICE}"'), *_identity(scene, level), ""]
    lines += ["/* TIME IDENTIFICATION */", "", *_times(scene), ""]
    lines += ["/* POINTING */", "", *_pointing(scene, geometry), ""]
    lines += ["/* ORBIT GEOMETRY */", "", *_geometry(scene, geometry, level == "1B"), ""]
    lines += ["/* IMAGE PARAMETERS */", ""]
    lines += _pair("SAMPLE_DISPLAY_DIRECTION", f'"{directions[1]}"')
    lines += _pair("LINE_DISPLAY_DIRECTION", f'"{directions[0]}"')
    lines += _ground(scene, geometry, level == "1B")
    for image in objects:
        lines += ["", f"/* {image.name} OBJECT */", "", *_object(image)]
    lines += ["END", ""]
    return "\r\n".join(lines)


def history_text(level: str, file_name: str) -> str:
    """The HISTORY object that follows an attached label."""
    return "\r\n".join(
        [
            "OBJECT                        = HISTORY",
            f"GROUP                         = LEVEL_{level}_GENERATION",
            f'    SOFTWARE_DESC             = "{NOTICE}"',
            "    GROUP                     = PARAMETERS",
            f'        FILENAME              = "{file_name}"',
            "    END_GROUP                 = PARAMETERS",
            f"END_GROUP                     = LEVEL_{level}_GENERATION",
            "END_OBJECT                    = HISTORY",
            "END",
            "",
        ]
    )


def _pair(key: str, value: str) -> list[str]:
    return [f"{key:<29} = {value}"]


def _vector(key: str, values: list[str]) -> list[str]:
    """A sequence over several lines, as the archive breaks it."""
    return [f"{key:<29} = (", *(f"    {',' if k else ''}{v}" for k, v in enumerate(values)), ")"]


def _identity(scene: Scene, level: str) -> list[str]:
    kind = "2-EDR" if level == "1A" else "3-RDR"
    name = product_name(scene, level)
    phase = next((p[2] for p in PHASES if p[0] <= scene.date <= p[1]), None)
    out = []
    for key, value in (
        ("SOFTWARE_NAME", '"brightspot simulate"'),
        ("DATA_SET_NAME", '"RENDERED FRAMES OF CERES, NOT MISSION DATA"'),
        ("DATA_SET_ID", f'"RENDERED-A-{scene.camera}-{kind}-CERES-IMAGES"'),
        ("PRODUCT_ID", f'"{name[5:12]}"'),
        ("PRODUCT_TYPE", '"RENDERED"'),
        ("STANDARD_DATA_PRODUCT_ID", '"FC_IMAGE"'),
        ("PRODUCER_INSTITUTION_NAME", NA),
        ("PRODUCT_VERSION_ID", f'"{name[-1]}"'),
        ("INSTRUMENT_HOST_ID", '"DAWN"'),
        ("INSTRUMENT_HOST_NAME", '"DAWN"'),
        ("MISSION_ID", '"DAWN"'),
        ("MISSION_PHASE_NAME", f'"{phase}"' if phase else NA),
        ("INSTRUMENT_ID", f'"{scene.camera}"'),
        ("INSTRUMENT_NAME", f'"FRAMING CAMERA {scene.camera[-1]}"'),
        ("OBSERVATION_ID", f'"RENDERED_SEED_{scene.seed}"'),
        ("FILTER_NUMBER", f'"{scene.filter_number}"'),
        ("EXPOSURE_DURATION", f"{1e3 * (scene.exposure_s or 0):.3f} <millisecond>"),
        ("TARGET_NAME", '"1 CERES"'),
        ("TARGET_TYPE", '"ASTEROID"'),
    ):
        out += _pair(key, value)
    return out


def _times(scene: Scene) -> list[str]:
    exposure = scene.exposure_s or 0.0
    stop = scene.date + timedelta(seconds=exposure + STOP_AFTER_S)
    clock = et_from_utc(scene.date) - 0.57
    stop_clock = clock + exposure + STOP_AFTER_S
    out = []
    for key, value in (
        ("SPACECRAFT_CLOCK_START_COUNT", f'"{int(clock):09d}:{int(clock % 1 * 256):03d}"'),
        ("SPACECRAFT_CLOCK_STOP_COUNT", f'"{int(stop_clock):09d}:{int(stop_clock % 1 * 256):03d}"'),
        ("START_TIME", _day_of_year(scene.date)),
        ("DAWN:ALT_START_TIME", f"{scene.date:%Y-%m-%dT%H:%M:%S}.{scene.date.microsecond // 1000:03d}"),
        ("STOP_TIME", _day_of_year(stop)),
        ("DAWN:ALT_STOP_TIME", f"{stop:%Y-%m-%dT%H:%M:%S}.{stop.microsecond // 1000:03d}"),
    ):
        out += _pair(key, value)
    return out


def _day_of_year(time: datetime) -> str:
    return f"{time:%Y-%jT%H:%M:%S}.{time.microsecond // 1000:03d}"


def _body_turn(scene: Scene, geometry: ViewingGeometry) -> np.ndarray:
    """J2000 to body at mid-exposure, less the time the light took."""
    middle = et_from_utc(mid_exposure(scene.date, scene.exposure_s))
    delay = geometry.target_center_distance_km / ceres.SPEED_OF_LIGHT_KM_S
    return ceres.body_from_j2000(middle - delay)


def camera_attitude(scene: Scene, geometry: ViewingGeometry) -> np.ndarray:
    """Rotation matrix from J2000 to the camera frame, (3, 3)."""
    return geometry.camera_from_body @ _body_turn(scene, geometry)


def _pointing(scene: Scene, geometry: ViewingGeometry) -> list[str]:
    attitude = camera_attitude(scene, geometry)
    look = attitude[2]
    ra, dec = np.degrees(np.arctan2(look[1], look[0])) % 360, np.degrees(np.arcsin(look[2]))
    # Celestial north clockwise from up in the displayed frame; labels count the other way round.
    north = attitude @ np.array([0.0, 0.0, 1.0])
    clockwise = np.degrees(np.arctan2(north[0], -north[1]))
    out = _pair("RIGHT_ASCENSION", f"{ra:.3f} <degree>")
    out += _pair("DECLINATION", f"{dec:.3f} <degree>")
    out += _pair("TWIST_ANGLE", f"{(180 - clockwise) % 360:.3f} <degree>")
    out += _pair("CELESTIAL_NORTH_CLOCK_ANGLE", f"{-clockwise % 360:.3f} <degree>")
    out += _vector("QUATERNION", [f"{q:.10f}" for q in quaternion(attitude)])
    out += _vector("SPICE_FILE_NAME", ['"ik\\dawn_fc_v10.ti"', '"pck\\dawn_ceres_v05.tpc"'])
    out += _pair("COORDINATE_SYSTEM_NAME", '"CERES_FIXED"')
    return out + _pair("COORDINATE_SYSTEM_CENTER_NAME", '"CERES"')


def quaternion(matrix: np.ndarray) -> np.ndarray:
    """Unit quaternion (4,), scalar first, of a rotation matrix, in SPICE's sense."""
    # Largest of the four squares first: well conditioned for every rotation.
    m = matrix
    squares = np.array(
        [
            1 + m[0, 0] + m[1, 1] + m[2, 2],
            1 + m[0, 0] - m[1, 1] - m[2, 2],
            1 - m[0, 0] + m[1, 1] - m[2, 2],
            1 - m[0, 0] - m[1, 1] + m[2, 2],
        ]
    )
    differences = np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]])
    sums = np.array([m[0, 1] + m[1, 0], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1]])
    table = np.array(
        [
            [squares[0], *differences],
            [differences[0], squares[1], sums[0], sums[1]],
            [differences[1], sums[0], squares[2], sums[2]],
            [differences[2], sums[1], sums[2], squares[3]],
        ]
    )
    q = table[int(np.argmax(squares))]
    return q / np.linalg.norm(q)


def _geometry(scene: Scene, geometry: ViewingGeometry, known: bool) -> list[str]:
    scalars = (
        "SUB_SPACECRAFT_LATITUDE", "SUB_SPACECRAFT_LONGITUDE", "SPACECRAFT_ALTITUDE",
        "TARGET_CENTER_DISTANCE", "SUB_SOLAR_LATITUDE", "SUB_SOLAR_LONGITUDE", "SPACECRAFT_SOLAR_DISTANCE",
    )  # fmt: skip
    vectors = ("SC_TARGET_POSITION_VECTOR", "SC_TARGET_VELOCITY_VECTOR", "SC_SUN_POSITION_VECTOR")
    if not known:
        out = [line for key in scalars for line in _pair(key, NA)]
        return out + [line for key in vectors for line in _vector(key, [NA] * 3)]
    from_body = _body_turn(scene, geometry).T
    target = from_body @ -geometry.spacecraft_km
    sun = from_body @ (geometry.sun_km - geometry.spacecraft_km)
    # Sub-points hold at START_TIME in the archive's labels; the camera stands still here.
    start = ceres.body_from_j2000(et_from_utc(scene.date))
    below, under_sun = _latitude_longitude(start @ -target), _latitude_longitude(start @ (sun - target))
    values = (
        f"{below[0]:.10f} <degree>", f"{below[1]:.10f} <degree>",
        f"{geometry.altitude_km:.3f} <kilometer>", f"{geometry.target_center_distance_km:.3f} <kilometer>",
        f"{under_sun[0]:.10f} <degree>", f"{under_sun[1]:.10f} <degree>",
        f"{np.linalg.norm(sun):.3f} <kilometer>",
    )  # fmt: skip
    out = [line for key, value in zip(scalars, values, strict=True) for line in _pair(key, value)]
    out += _vector(vectors[0], [f"{v:.3f} <kilometer>" for v in target])
    out += _vector(vectors[1], ["0.0000000000 <kilometer per second>"] * 3)
    return out + _vector(vectors[2], [f"{v:.3f} <kilometer>" for v in sun])


def _latitude_longitude(vector: np.ndarray) -> tuple[float, float]:
    """Planetocentric latitude and longitude (-180 to 180, as SUB_SPACECRAFT_LONGITUDE has it), degrees."""
    unit = vector / np.linalg.norm(vector)
    return float(np.degrees(np.arcsin(unit[2]))), float(np.degrees(np.arctan2(unit[1], unit[0])))


GROUND_KEYS = (
    "INCIDENCE_ANGLE", "EMISSION_ANGLE", "PHASE_ANGLE", "SLANT_DISTANCE", "MINIMUM_LATITUDE",
    "CENTER_LATITUDE", "MAXIMUM_LATITUDE", "CENTER_LONGITUDE", "HORIZONTAL_PIXEL_SCALE",
    "VERTICAL_PIXEL_SCALE", "NORTH_AZIMUTH",
)  # fmt: skip


def _ground(scene: Scene, geometry: ViewingGeometry, known: bool) -> list[str]:
    """Lighting and ground at the boresight and the frame's corners; N/A where they miss the body."""
    reticle = ("RETICLE_POINT_LONGITUDE", "RETICLE_POINT_LATITUDE")
    if not known:
        out = [line for key in GROUND_KEYS for line in _pair(key, NA)]
        return out + [line for key in reticle for line in (f"{key:<29} = (", ")")]
    rows, columns = scene.shape
    x = np.array([0.5 * (columns - 1), 0, columns - 1, 0, columns - 1])
    y = np.array([0.5 * (rows - 1), 0, 0, rows - 1, rows - 1])
    place = geometry.ground(x, y)
    scale = place.slant_range_km[0] * np.array(geometry.camera.ifov_rad)
    latitudes = place.latitude_deg[np.isfinite(place.latitude_deg)]
    lowest, highest = (latitudes.min(), latitudes.max()) if latitudes.size else (np.nan, np.nan)
    # NORTH_AZIMUTH counts clockwise from the right edge.
    values = (
        (place.incidence_deg[0], ".10f", "degree"), (place.emission_deg[0], ".10f", "degree"),
        (place.phase_deg[0], ".10f", "degree"), (place.slant_range_km[0], ".3f", "kilometer"),
        (lowest, ".10f", "degree"), (place.latitude_deg[0], ".10f", "degree"), (highest, ".10f", "degree"),
        (place.longitude_deg[0], ".10f", "degree"), (scale[0], ".3f", "kilometer"),
        (scale[1], ".3f", "kilometer"), ((place.north_azimuth_deg[0] - 90) % 360, ".10f", "degree"),
    )  # fmt: skip
    out = []
    for key, (value, form, unit) in zip(GROUND_KEYS, values, strict=True):
        out += _pair(key, f"{value:{form}} <{unit}>" if np.isfinite(value) else NA)
    for key, points in zip(reticle, (place.longitude_deg, place.latitude_deg), strict=True):
        out += _vector(key, [f"{v:.3f} <degree>" if np.isfinite(v) else NA for v in points])
    return out


def _object(image: ImageObject) -> list[str]:
    out = [f"OBJECT                        = {image.name}"]
    for key, value in (
        ("INTERCHANGE_FORMAT", "BINARY"),
        ("LINE_SAMPLES", image.samples),
        ("LINES", image.lines),
        ("BANDS", 1),
        ("SAMPLE_BITS", image.bits),
        ("SAMPLE_TYPE", f'"{image.sample_type}"'),
        ("FIRST_LINE", image.first_line),
        ("FIRST_LINE_SAMPLE", image.first_sample),
        ("UNIT", f'"{image.unit}"'),
        ("PIXEL_AVERAGING_WIDTH", 1),
        ("PIXEL_AVERAGING_HEIGHT", 1),
    ):
        out.append(f"    {key:<25} = {value}")
    return [*out, f"END_OBJECT                    = {image.name}", ""]
