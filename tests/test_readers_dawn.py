"""Archive products: pixels, turning, facts, and every way a product can be broken."""

import re
import warnings
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brightspot.errors import ReadError
from brightspot.frame import Frame
from brightspot.readers import find_inputs, read_frames
from brightspot.readers.dawn import parse_time
from brightspot.readers.guards import plateau

SHARED = Path(__file__).parents[2] / "shared"
needs_real = pytest.mark.skipif(not (SHARED / "real").exists(), reason="real data not at hand")
RECORD = 512
NAME_1A = "FC21A0037521_15157143019F4I.IMG"

FACTS = {
    "DATA_SET_ID": '"DAWN-A-FC2-2-EDR-CERES-IMAGES-V1.0"',
    "INSTRUMENT_HOST_ID": '"DAWN"',
    "INSTRUMENT_ID": '"FC2"',
    "START_TIME": "2015-157T14:30:19.617",
    "FILTER_NUMBER": '"4"',
    "EXPOSURE_DURATION": "1500.000 <millisecond>",
    "QUATERNION": "(\n    0.5213655224\n    , -0.1747575947\n    , 0.1361764644\n    , -0.8240714445\n)",
    "SPICE_FILE_NAME": '(\n    "sclk\\DAWN_203_SCLKSCET.00065.tsc"\n    , "lsk\\naif0011.tls"\n)',
    "TARGET_NAME": '"1 CERES"',
    "SPACECRAFT_SOLAR_DISTANCE": '"N/A"',
    "SC_SUN_POSITION_VECTOR": '(\n    "N/A"\n    , "N/A"\n    , "N/A"\n)',
    "RETICLE_POINT_RA": "(\n)",
    "DAWN:T_CCD": "219.158 <kelvin>",
    "SAMPLE_DISPLAY_DIRECTION": '"RIGHT"',
    "LINE_DISPLAY_DIRECTION": '"UP"',
}
TYPES = {
    "<u2": (16, "LSB_UNSIGNED_INTEGER"),
    ">i2": (16, "MSB_INTEGER"),
    "u1": (8, "UNSIGNED_INTEGER"),
    "<f4": (32, "PC_REAL"),
    ">f4": (32, "IEEE_REAL"),
    "<f8": (64, "PC_REAL"),
}


def scene(rows=32, columns=40, high=9000):
    """Counts that differ in every row and column."""
    y, x = np.mgrid[:rows, :columns]
    return 300 + (x * 7 + y * 311) % (high - 300)


def image_object(name, shape, code, extra=()):
    bits, kind = TYPES[code]
    keys = {"LINES": shape[0], "LINE_SAMPLES": shape[1], "BANDS": 1, "SAMPLE_BITS": bits, "SAMPLE_TYPE": kind}
    keys |= {"FIRST_LINE": 17, "FIRST_LINE_SAMPLE": 35} | dict(extra)
    lines = [f"    {key:<25} = {value}" for key, value in keys.items() if value is not None]
    return [f"OBJECT = {name}", *lines, f"END_OBJECT = {name}"]


def write_img(path, pixels, code="<u2", facts=(), extra=(), strips=True, end="\r\n", pointer=None):
    """An attached-label product: label, HISTORY after END, the frame, and two dark strips."""
    n_label = 12
    frame = np.ascontiguousarray(pixels).astype(code).tobytes()
    strip = np.full((2, 40), 280, "<u2").tobytes()
    first = n_label + 2
    second = first + -(-len(frame) // RECORD)
    lines = ["PDS_VERSION_ID = PDS3", f"RECORD_BYTES = {RECORD}", f'FILE_NAME = "{path.name}"']
    lines.append(f"^IMAGE = {first if pointer is None else pointer}")
    if strips:
        lines.append(f"^FRAME_2_IMAGE = {second}")
    lines.append(f"^HISTORY = {n_label + 1}")
    lines += [f"{key} = {value}" for key, value in (FACTS | dict(facts)).items() if value is not None]
    lines += image_object("IMAGE", np.shape(pixels), code, extra)
    if strips:
        lines += image_object("FRAME_2_IMAGE", (2, 40), "<u2")
    label = end.join([*"\n".join(lines).split("\n"), "END", ""]).encode()
    assert len(label) <= n_label * RECORD
    history = b"OBJECT = HISTORY\r\n  EXPOSURE_DURATION = 99 <s>\r\nEND_OBJECT = HISTORY\r\nEND\r\n"
    blob = label.ljust(n_label * RECORD) + history.ljust(RECORD) + frame
    if strips:
        blob = blob.ljust((second - 1) * RECORD, b"\0") + strip
    path.write_bytes(blob)
    return path


def write_detached(path, data_name, pixels, code="<u2", facts=(), pointer=None, extra=()):
    target = pointer or f'("{data_name}", 1)'
    lines = ["PDS_VERSION_ID = PDS3", "RECORD_BYTES = 2880", f"^IMAGE = {target}"]
    lines += [f"{key} = {value}" for key, value in (FACTS | dict(facts)).items() if value is not None]
    lines += [*image_object("IMAGE", np.shape(pixels), code, extra), "END", ""]
    path.write_bytes("\r\n".join(lines).encode())
    return path


def write_fits(path, pixels, **header):
    from astropy.io import fits

    hdu = fits.PrimaryHDU(pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for key, value in header.items():
            hdu.header["HIERARCH " + key if len(key) > 8 else key.replace("_", "-")] = value
        hdu.writeto(path)
    return path


def read(path):
    """The frame of a file, before anybody asks where on Ceres it is."""
    (frame,) = read_frames(next(iter(find_inputs(path))))
    return frame


def fails(path, *words):
    """The one line with which a file is refused."""
    item = next(iter(find_inputs(path)))
    with pytest.raises(ReadError) as caught:
        list(read_frames(item))
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(item.name)
    for word in words:
        assert word in line
    return line


def test_attached_label_gives_turned_pixels_and_facts(tmp_path):
    pixels = scene()
    frame = read(write_img(tmp_path / NAME_1A, pixels))
    assert frame.image.dtype == np.float32 and frame.image.flags.c_contiguous
    np.testing.assert_array_equal(frame.image, pixels[::-1])
    assert (frame.camera, frame.filter_number, frame.level, frame.unit) == ("FC2", 4, "1A", "DN")
    assert frame.start_time == datetime(2015, 6, 6, 14, 30, 19, 617000)
    assert frame.exposure_s == 1.5
    assert frame.target == "CERES"
    assert frame.name == NAME_1A
    label = frame.label
    assert label["QUATERNION"] == [0.5213655224, -0.1747575947, 0.1361764644, -0.8240714445]
    assert label["SPICE_FILE_NAME"] == ["sclk\\DAWN_203_SCLKSCET.00065.tsc", "lsk\\naif0011.tls"]
    assert label["SC_SUN_POSITION_VECTOR"] is None and label["RETICLE_POINT_RA"] is None
    assert label["SPACECRAFT_SOLAR_DISTANCE"] is None
    assert label["T_CCD"] == 219.158
    assert all(isinstance(v, str | int | float | list | None) for v in label.values())


def test_lines_without_data_are_masked_but_not_an_even_sky(tmp_path):
    pixels = scene().astype(np.float32)
    pixels[:4] = pixels[-3:] = 0.0  # sky without noise, at both ends
    pixels[10:12] = 0.0
    pixels[20] = -32768.0
    frame = read(write_img(tmp_path / NAME_1A.replace("21A", "21B"), pixels, "<f4"))
    lost = np.zeros(pixels.shape, bool)
    lost[[10, 11, 20]] = True
    np.testing.assert_array_equal(frame.mask, lost[::-1])
    assert "lines without data, masked: 3" in frame.notes


@pytest.mark.parametrize("code", TYPES)
def test_pdr_and_gdal_read_the_same_pixels(tmp_path, code):
    pdr = pytest.importorskip("pdr")
    rasterio = pytest.importorskip("rasterio")
    pixels = scene(high=250) / (1 if code[-2] != "f" else 7)
    path = write_img(tmp_path / "A.IMG", pixels, code, facts={"DATA_SET_ID": '"X"'}, strips=False)
    frame = read(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        by_pdr = pdr.read(str(path))["IMAGE"]
        with rasterio.open(path) as source:
            by_gdal = source.read(1)
    np.testing.assert_array_equal(frame.image, by_pdr[::-1].astype(np.float32))
    np.testing.assert_array_equal(frame.image, by_gdal[::-1].astype(np.float32))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_do_not_matter(tmp_path, end):
    frame = read(write_img(tmp_path / "A.IMG", scene(), end=end))
    np.testing.assert_array_equal(frame.image, scene()[::-1])


@pytest.mark.parametrize(
    ("line", "sample", "expected"),
    [
        ('"UP"', '"RIGHT"', lambda a: a[::-1]),
        ("DOWN", "RIGHT", lambda a: a),
        ("UP", "LEFT", lambda a: a[::-1, ::-1]),
        ("DOWN", "LEFT", lambda a: a[:, ::-1]),
        (None, None, lambda a: a[::-1]),
        ("RIGHT", "DOWN", lambda a: a.T),
        ("LEFT", "UP", lambda a: a.T[::-1, ::-1]),
    ],
)
def test_display_directions(tmp_path, line, sample, expected):
    facts = {"LINE_DISPLAY_DIRECTION": line, "SAMPLE_DISPLAY_DIRECTION": sample}
    frame = read(write_img(tmp_path / "A.IMG", scene(), facts=facts))
    np.testing.assert_array_equal(frame.image, expected(scene()))


def test_rows_of_other_missions_run_down_by_default(tmp_path):
    facts = {"LINE_DISPLAY_DIRECTION": None, "INSTRUMENT_ID": '"MSI"', "INSTRUMENT_HOST_ID": "NEAR"}
    frame = read(write_img(tmp_path / "A.IMG", scene(), facts=facts))
    np.testing.assert_array_equal(frame.image, scene())
    assert frame.camera is None and frame.filter_number is None and frame.level is None


@pytest.mark.parametrize("directions", [("UP", "RIGHT"), ("DOWN", "RIGHT"), ("UP", "LEFT")])
def test_subframe_lies_where_it_was_cut(tmp_path, directions):
    """A cut from a full stored frame must land on the same detector pixels as in the full frame."""
    facts = {"LINE_DISPLAY_DIRECTION": directions[0], "SAMPLE_DISPLAY_DIRECTION": directions[1]}
    stored = np.arange(1024 * 1024, dtype=np.float32).reshape(1024, 1024) / 128
    whole = read(write_img(tmp_path / "A.IMG", stored, "<f4", facts=facts))
    assert whole.origin_xy == (0, 0) and not whole.subframe
    line, sample, rows, columns = 101, 300, 64, 200  # zero-based within the active array, as stored
    extra = {"FIRST_LINE": 17 + line, "FIRST_LINE_SAMPLE": 35 + sample}
    cut = stored[line : line + rows, sample : sample + columns]
    part = read(write_img(tmp_path / "B.IMG", cut, "<f4", facts=facts, extra=extra))
    assert part.subframe
    x, y = (int(v) for v in part.origin_xy)
    np.testing.assert_array_equal(part.image, whole.image[y : y + rows, x : x + columns])


def test_subframe_without_place_and_binned_frame_get_no_geometry(tmp_path):
    extra = {"FIRST_LINE": None, "FIRST_LINE_SAMPLE": None}
    frame = read(write_img(tmp_path / "A.IMG", scene(), extra=extra))
    assert frame.geometry is None and "unknown place" in frame.notes[0]
    frame = read(write_img(tmp_path / "B.IMG", scene(), extra={"PIXEL_AVERAGING_WIDTH": 2}))
    assert frame.geometry is None and "binned" in frame.notes[0]


def test_maps_are_no_views(tmp_path):
    path = tmp_path / "A.IMG"
    group = "IMAGE_MAP_PROJECTION\n  MAP_PROJECTION_TYPE = MERCATOR\n  MAP_SCALE = 35 <m/pixel>\nEND_OBJECT"
    facts = {"OBJECT": group, "LINE_DISPLAY_DIRECTION": None}
    frame = read(write_img(path, scene(), facts=facts, extra={"FIRST_LINE": None}))
    np.testing.assert_array_equal(frame.image, scene())
    assert frame.geometry is None and not frame.subframe and "map-projected" in frame.notes[0]
    assert frame.label["MAP_SCALE"] == 0.035


def test_largest_image_object_is_the_frame(tmp_path):
    """A label whose strip is called IMAGE and whose frame is not."""
    path = write_img(tmp_path / "A.IMG", scene())
    swapped = (
        path.read_bytes().replace(b"FRAME_2_IMAGE", b"SWAP____IMAGE").replace(b"^IMAGE ", b"^FRAME_2_IMAGE ")
    )
    swapped = re.sub(rb"OBJECT = IMAGE\r", b"OBJECT = FRAME_2_IMAGE\r", swapped)
    head, _, rest = swapped.partition(b"END\r\n")
    pad = 12 * RECORD - len(head) - 5
    swapped = head + b"END\r\n" + b" " * pad + rest.lstrip(b" ")
    path.write_bytes(swapped)
    assert read(path).shape == (32, 40)


def test_detached_label_in_any_case_with_byte_pointer(tmp_path):
    pixels = scene()
    (tmp_path / "data.img").write_bytes(b"x" * 100 + pixels.astype("<u2").tobytes())
    label = write_detached(tmp_path / "A.LBL", "DATA.IMG", pixels, pointer='("DATA.IMG", 101 <BYTES>)')
    frame = read(label)
    np.testing.assert_array_equal(frame.image, pixels[::-1])
    assert frame.path == tmp_path / "data.img" and frame.name == "A.LBL"


def test_line_prefixes_and_scaling_are_applied(tmp_path):
    pixels = scene()
    lines = np.zeros((32, 90), "u1")
    lines[:, 6:86] = pixels.astype("<u2").view("u1").reshape(32, 80)
    (tmp_path / "A.IMG").write_bytes(lines.tobytes())
    extra = {"LINE_PREFIX_BYTES": 6, "LINE_SUFFIX_BYTES": 4, "SCALING_FACTOR": 0.5, "OFFSET": -10.0}
    frame = read(write_detached(tmp_path / "A.LBL", "A.IMG", pixels, extra=extra))
    np.testing.assert_array_equal(frame.image, pixels[::-1] * 0.5 - 10)


def test_fits_with_label(tmp_path):
    pixels = scene().astype(">f4")
    write_fits(tmp_path / "A.FIT", pixels)
    facts = {"DATA_SET_ID": '"DAWN-A-FC2-3-RDR-CERES-IMAGES-V1.0"', "FILTER_NUMBER": '"1"'}
    write_detached(tmp_path / "A.LBL", "A.FIT", pixels, ">f4", facts, pointer='("A.FIT", 2)')
    frame = read(tmp_path / "A.FIT")
    np.testing.assert_array_equal(frame.image, pixels[::-1])
    assert (frame.level, frame.unit, frame.name) == ("1B", "W m-2 sr-1", "A.LBL")


def test_fits_unsigned_counts_are_scaled_once(tmp_path):
    pixels = (scene() + 4000).astype(np.uint16)  # astropy writes BZERO = 32768
    write_fits(tmp_path / "A.FIT", pixels)
    write_detached(tmp_path / "A.LBL", "A.FIT", pixels, extra={"OFFSET": 32768}, pointer='("A.FIT", 2)')
    for path in (tmp_path / "A.LBL",):
        np.testing.assert_array_equal(read(path).image, pixels[::-1].astype(np.float32))


def test_plain_fits_with_facts_in_its_header(tmp_path):
    pixels = scene().astype(np.float32)
    header = {
        "INSTRUME": "FC2", "FILTER": "F3", "DATE_OBS": "2015-06-06T14:30:19.617", "OBJECT": "1 CERES",
        "EXPTIME": 1.5, "BUNIT": "I/F", "TARGET_CENTER_DISTANCE": 4869.5, "LINE_DISPLAY_DIRECTION": "UP",
        "QUATERNION_0": 0.5, "QUATERNION_1": -0.5, "QUATERNION_2": 0.5, "QUATERNION_3": 0.5,
        "SC_SUN_POSITION_VECTOR": "(1.0e8, 2.0e8, 2.0e8)", "FIRST_LINE": 17, "FIRST_LINE_SAMPLE": 35,
    }  # fmt: skip
    frame = read(write_fits(tmp_path / "A.fits", pixels, **header))
    np.testing.assert_array_equal(frame.image, pixels[::-1])
    assert (frame.camera, frame.filter_number, frame.unit, frame.level) == ("FC2", 3, "I/F", "1C")
    assert (frame.exposure_s, frame.target) == (1.5, "CERES")
    assert frame.start_time == datetime(2015, 6, 6, 14, 30, 19, 617000)
    assert frame.label["QUATERNION"] == [0.5, -0.5, 0.5, 0.5]
    assert frame.sun_distance_km == pytest.approx(3e8)


PDS4 = """<?xml version="1.0" encoding="utf-8"?>
<Product_Observational xmlns="http://pds.nasa.gov/pds4/pds/v1" xmlns:disp="http://pds.nasa.gov/pds4/disp/v1">
 <Observation_Area><Time_Coordinates><start_date_time>2015-06-06T14:30:19.617Z</start_date_time></Time_Coordinates>
  <Observing_System><Observing_System_Component><name>FC2</name><type>Instrument</type>
  </Observing_System_Component></Observing_System>
  <Target_Identification><name>(1) Ceres</name></Target_Identification>
  <exposure_duration unit="ms">1500</exposure_duration>
  <disp:vertical_display_direction>Bottom to Top</disp:vertical_display_direction></Observation_Area>
 <File_Area_Observational><File><file_name>A.img</file_name></File>
  <Array_2D_Image><offset unit="byte">64</offset><axes>2</axes>
   <Element_Array><data_type>IEEE754LSBSingle</data_type><unit>I/F</unit><scaling_factor>2.0</scaling_factor>
   </Element_Array>
   <Axis_Array><axis_name>Line</axis_name><elements>32</elements><sequence_number>1</sequence_number></Axis_Array>
   <Axis_Array><axis_name>Sample</axis_name><elements>40</elements><sequence_number>2</sequence_number></Axis_Array>
   <Special_Constants><missing_constant>-1.0</missing_constant></Special_Constants>
  </Array_2D_Image></File_Area_Observational>
</Product_Observational>
"""


def test_pds4(tmp_path):
    pixels = scene().astype("<f4")
    pixels[3, 4] = -1
    (tmp_path / "A.img").write_bytes(b"\0" * 64 + pixels.tobytes())
    (tmp_path / "A.xml").write_text(PDS4)
    frame = read(tmp_path / "A.xml")
    expected = 2 * pixels[::-1]
    expected[28, 4] = 0
    np.testing.assert_array_equal(frame.image, expected)
    assert np.argwhere(frame.mask).tolist() == [[28, 4]]
    assert (frame.camera, frame.target, frame.unit, frame.exposure_s) == ("FC2", "CERES", "I/F", 1.5)
    pdr = pytest.importorskip("pdr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pdr.read(str(tmp_path / "A.xml"))
        np.testing.assert_array_equal(data[data.keys()[0]], pixels)


@pytest.mark.parametrize(
    "hostile",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE x SYSTEM "file:///etc/passwd">',
    ],
)
def test_pds4_with_a_dtd_is_refused(tmp_path, hostile):
    (tmp_path / "A.img").write_bytes(b"\0" * 9000)
    (tmp_path / "A.xml").write_text(PDS4.replace("<Product_Obs", hostile + "<Product_Obs", 1))
    fails(tmp_path / "A.xml", "DTD", "refused")


@pytest.mark.parametrize("name", ["../secret.img", "/etc/passwd", "..\\secret.img", "C:x.img", ".."])
def test_pointers_out_of_the_folder_are_refused(tmp_path, name):
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "secret.img").write_bytes(scene().astype("<u2").tobytes())
    fails(write_detached(folder / "A.LBL", name, scene()), "outside its folder", "refused")
    (folder / "A.LBL").unlink()
    (folder / "A.xml").write_text(PDS4.replace("A.img", name))
    fails(folder / "A.xml", "outside its folder")


def test_vicar(tmp_path):
    pixels = scene().astype(">i2")
    items = (
        "FORMAT='HALF' TYPE='IMAGE' DIM=3 EOL=0 RECSIZE=84 ORG='BSQ' NL=32 NS=40 NB=1 N1=40 N2=32 N3=1 NBB=4"
    )
    items += " NLB=1 INTFMT='HIGH' REALFMT='IEEE' EXPOSURE_DURATION=82000.0 TARGET_NAME='SATURN'"
    label = f"LBLSIZE=420             {items}".encode().ljust(420)
    lines = np.zeros((33, 84), "u1")
    lines[1:, 4:] = pixels.view("u1").reshape(32, 80)
    path = tmp_path / "A.IMG"
    path.write_bytes(label + lines.tobytes())
    frame = read(path)
    np.testing.assert_array_equal(frame.image, pixels)
    assert (frame.target, frame.exposure_s) == ("SATURN", 82.0)
    rasterio = pytest.importorskip("rasterio")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(path) as source:
            np.testing.assert_array_equal(source.read(1), pixels)
    path.write_bytes(path.read_bytes()[:-200])
    fails(path, "cut off", "200 bytes", "3 of 32 lines")


def test_label_facts_come_from_the_file_name_where_the_label_is_silent(tmp_path):
    silent = dict.fromkeys(
        ("INSTRUMENT_ID", "FILTER_NUMBER", "START_TIME", "DATA_SET_ID", "INSTRUMENT_HOST_ID")
    )
    frame = read(write_img(tmp_path / "FC11C0037521_15157143019F8I.IMG", scene(), facts=silent))
    assert (frame.camera, frame.level, frame.filter_number, frame.unit) == ("FC1", "1C", 8, "I/F")
    assert frame.start_time == datetime(2015, 6, 6, 14, 30, 19)


def test_instrument_id_outranks_data_set_and_file_name(tmp_path):
    facts = {"INSTRUMENT_ID": '"FC1"', "DATA_SET_NAME": '"DAWN FC2 RAW (EDR) CERES IMAGES V1.0"'}
    assert read(write_img(tmp_path / NAME_1A, scene(), facts=facts)).camera == "FC1"


@pytest.mark.parametrize(
    ("unit", "code", "dataset", "filter_number", "expected", "factor"),
    [
        ('"DU"', "<u2", "2-EDR", 1, "DN", 1),
        (None, "<u2", "2-EDR", 1, "DN", 1),
        (None, "<f4", "3-RDR", 1, "W m-2 sr-1", 1),
        (None, "<f4", "3-RDR", 4, "W m-2 sr-1 nm-1", 1),
        ('"W/m**2/sr"', "<f4", "3-RDR", 1, "W m-2 sr-1", 1),
        ('"W*m**-2*sr**-1*nm**-1"', "<f4", "3-RDR", 4, "W m-2 sr-1 nm-1", 1),
        ('"W/(m**2 sr micron)"', "<f4", "3-RDR", 4, "W m-2 sr-1 nm-1", 1e-3),
        ('"DU"', "<f4", "3-RDR", 4, "W m-2 sr-1 nm-1", 1),
        ('"I/F"', "<f4", "4-RDR", 4, "I/F", 1),
        (None, "<f4", "4-RDR", 4, "I/F", 1),
    ],
)
def test_units(tmp_path, unit, code, dataset, filter_number, expected, factor):
    facts = {
        "DATA_SET_ID": f'"DAWN-A-FC2-{dataset}-CERES-IMAGES-V1.0"',
        "FILTER_NUMBER": f'"{filter_number}"',
    }
    frame = read(write_img(tmp_path / "A.IMG", scene(), code, facts, {"UNIT": unit}))
    assert frame.unit == expected
    np.testing.assert_allclose(frame.image, scene()[::-1] * factor, rtol=1e-6)


@pytest.mark.parametrize(
    ("said", "target"),
    [('"1 CERES"', "CERES"), ('"4 VESTA"', "VESTA"), ('"N/A"', "CERES"), ("EROS", "EROS"), (None, "CERES")],
)
def test_target(tmp_path, said, target):
    assert read(write_img(tmp_path / "A.IMG", scene(), facts={"TARGET_NAME": said})).target == target


@pytest.mark.parametrize(
    ("text", "km"),
    [
        ("12.5 <km>", 12.5),
        ("12.5 <kilometer>", 12.5),
        ("12500 <m>", 12.5),
        ("12500.0 <METERS>", 12.5),
        ('"UNK"', None),
    ],
)
def test_lengths_come_in_km(tmp_path, text, km):
    frame = read(write_img(tmp_path / "A.IMG", scene(), facts={"SPACECRAFT_ALTITUDE": text}))
    assert frame.label["SPACECRAFT_ALTITUDE"] == km


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("89.00 <ms>", 0.089),
        ("1.5 <s>", 1.5),
        ("1500", 1.5),
        ('"N/A"', None),
        ("(1,2)", None),
        ("-5 <ms>", None),
    ],
)
def test_exposures_come_in_seconds(tmp_path, text, seconds):
    frame = read(write_img(tmp_path / "A.IMG", scene(), facts={"EXPOSURE_DURATION": text}))
    assert frame.exposure_s == (pytest.approx(seconds) if seconds else None)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2015-170T16:15:46.345", datetime(2015, 6, 19, 16, 15, 46, 345000)),
        ("2016-366T00:00:00Z", datetime(2016, 12, 31)),
        ("2015-06-19T16:15", datetime(2015, 6, 19, 16, 15)),
        ("2015-366T00:00:00", None),
        ("2015-000T00:00:00", None),
        ("2015-13-01T00:00:00", None),
        ("2015-170T25:00:00", None),
        ("9999-365T23:59:60.9", None),
        ("N/A", None),
        (None, None),
    ],
)
def test_times(text, time):
    assert parse_time(text) == time


def test_special_values_are_masked_or_saturated(tmp_path):
    pixels = scene().astype("<f4") / 1e4
    pixels[0, :6] = [np.nan, np.inf, -3.4028226550889045e38, -1e32, -3.4028234663852886e38, -9]
    frame = read(
        write_img(
            tmp_path / "A.IMG", pixels, "<f4", extra={"MISSING_CONSTANT": -9}, facts={"DATA_SET_ID": '"X"'}
        )
    )
    row = frame.mask[-1, :7].tolist()
    assert row == [True, True, True, True, False, True, False]
    assert frame.saturated[-1, 4] and frame.image[-1, 4] == frame.image[~frame.saturated].max()
    assert np.isfinite(frame.image).all()


def test_missing_constant_as_a_bit_pattern(tmp_path):
    pixels = scene().astype("<f4")
    pixels[2, 2] = np.uint32(0xFF7FFFFB).view(np.float32)
    pixels[2, 3] = 77.25
    bits = int(np.float32(-77.25).view(np.uint32))
    pixels[2, 4] = -77.25
    frame = read(write_img(tmp_path / "A.IMG", pixels, "<f4", extra={"MISSING_CONSTANT": f"16#{bits:X}#"}))
    assert frame.mask[29, 2:5].tolist() == [True, False, True]


def test_counts_at_the_ceiling_are_saturated(tmp_path):
    pixels = scene()
    pixels[5, 5:8] = [16382, 16383, 16383]
    frame = read(write_img(tmp_path / "A.IMG", pixels))
    assert np.argwhere(frame.saturated).tolist() == [[26, 6], [26, 7]]


def blob(radius, peak, clip=np.inf):
    y, x = np.mgrid[:64, :64] - 32.0
    return np.minimum(0.05 + peak * np.exp(-(x * x + y * y) / (2 * radius**2)), clip).astype(np.float32)


def test_plateau_is_a_clipped_peak_not_a_smooth_one():
    valid = np.ones((64, 64), bool)
    clipped = blob(3, 1.0, clip=0.6)
    np.testing.assert_array_equal(plateau(clipped, valid), clipped >= 0.6 * 0.995)
    assert not plateau(blob(3, 1.0), valid).any()
    assert not plateau(blob(30, 1.0), valid).any()
    assert not plateau(blob(3, 1.0, clip=0.6), np.zeros((64, 64), bool)).any()


def broken_files(folder):
    """Every broken product and the words that its refusal must hold."""
    good = write_img(folder / "GOOD.IMG", scene())
    whole = good.read_bytes()
    good.unlink()
    short = whole[: 13 * RECORD + 32 * 80 - 100]
    cases = {
        "EMPTY.IMG": (b"", "empty"),
        "TEXT.IMG": (b"Dear reader, this is no image.\n" * 99, "text"),
        "NOISE.IMG": (bytes(range(256)) * 50, "no label"),
        "CUT.IMG": (short, "cut off", "100 bytes", "2 of 32 lines"),
        "HEAD.IMG": (whole[: 12 * RECORD], "cut off", "32 of 32 lines"),
        "HALF_LABEL.IMG": (whole[:700], "cut off inside its label"),
        "BAD.FIT": (b"SIMPLE  =                    T" + b" " * 5000, "END"),
        "ZERO.IMG": (whole[: 13 * RECORD] + b"\0" * 5120, "all-zero"),
    }
    for name, (content, *_) in cases.items():
        (folder / name).write_bytes(content)
    lines = {
        "HUGE.IMG": ({"LINES": 100000}, "cut off"),
        "NEGATIVE.IMG": ({"LINES": -5}, "negative"),
        "FRACTION.IMG": ({"LINES": 12.5}, "LINES"),
        "WORDS.IMG": ({"LINES": '"MANY"'}, "LINES"),
        "BITS.IMG": ({"SAMPLE_BITS": 12}, "12-bit"),
        "VAX.IMG": ({"SAMPLE_BITS": 32, "SAMPLE_TYPE": "VAX_REAL"}, "VAX_REAL"),
        "BANDS.IMG": ({"BANDS": 3}, "3 bands"),
        "PACKED.IMG": ({"ENCODING_TYPE": '"MRPSXIIE"'}, "compressed"),
        "PREFIX.IMG": ({"LINE_PREFIX_BYTES": 10**12}, "cut off"),
    }
    for name, (extra, *_) in lines.items():
        write_img(folder / name, scene(), extra=extra, strips=False)
    write_img(folder / "ONE.IMG", np.ones((1, 1)), strips=False)
    write_img(folder / "CONSTANT.IMG", np.full((32, 40), 7), strips=False)
    write_img(folder / "SATURATED.IMG", 16383 + scene() % 50, strips=False)
    write_img(folder / "NAN.IMG", np.full((32, 40), np.nan), "<f4", strips=False)
    write_img(folder / "FAR.IMG", scene(), strips=False, pointer=10**12)
    write_detached(folder / "ALONE.LBL", "NOWHERE.IMG", scene())
    write_fits(folder / "SMALL.FIT", np.zeros((8, 8), np.float32))
    write_detached(folder / "SMALL.LBL", "SMALL.FIT", scene(), "<f4", pointer='("SMALL.FIT", 2)')
    write_fits(folder / "OTHER.FIT", scene(40, 40).astype(np.float32))
    write_detached(folder / "OTHER.LBL", "OTHER.FIT", scene(), "<f4", pointer='("OTHER.FIT", 2)')
    write_fits(folder / "TABLE.FIT", None)
    expected = {name: words for name, (_, *words) in {**cases, **lines}.items()}
    return expected | {
        "ONE.IMG": ["1 x 1"],
        "CONSTANT.IMG": ["all pixels are 7"],
        "SATURATED.IMG": ["saturated"],
        "NAN.IMG": ["no valid pixel"],
        "FAR.IMG": ["cut off"],
        "ALONE.LBL": ["NOWHERE.IMG is missing"],
        "SMALL.LBL": ["8 x 8"],
        "OTHER.LBL": ["disagrees"],
        "TABLE.FIT": ["without an image"],
    }


def test_broken_products_are_refused_in_one_line(tmp_path, capfd):
    expected = broken_files(tmp_path)
    found = {item.name: item for item in find_inputs(tmp_path)}
    assert set(found) == set(expected)
    for name, words in expected.items():
        with pytest.raises(ReadError) as caught:
            list(read_frames(found[name]))
        line = str(caught.value)
        assert line.startswith(name) and "\n" not in line
        assert all(word in line for word in words), line
    assert capfd.readouterr().err == ""


def test_sides_beyond_belief_are_refused(tmp_path):
    path = tmp_path / "A.IMG"
    write_img(path, np.zeros((16, 16)), strips=False, extra={"LINES": 40000, "LINE_SAMPLES": 40000})
    with path.open("r+b") as file:
        file.truncate(13 * RECORD + 40000 * 40000 * 2)  # sparse: costs no disk
    fails(path, "40000 x 40000")


def test_too_many_pointers_are_refused_quickly(tmp_path):
    path = tmp_path / "A.IMG"
    path.write_bytes(b"PDS_VERSION_ID = PDS3\r\n" + b"^IMAGE = 1\r\n" * 20000 + b"OBJECT = IMAGE\r\nEND\r\n")
    fails(path, "pointers")


def test_no_permission(tmp_path, monkeypatch):
    write_img(tmp_path / "A.IMG", scene())

    def deny(*_, **__):
        raise PermissionError(13, "Permission denied")  # as root every file may be read

    monkeypatch.setattr(Path, "open", deny)
    item = next(iter(find_inputs(tmp_path)))
    with pytest.raises(ReadError, match=r"^A\.IMG must not be read: no permission"):
        list(read_frames(item))


KEYS = [
    "LINES", "LINE_SAMPLES", "SAMPLE_BITS", "SAMPLE_TYPE", "^IMAGE", "RECORD_BYTES", "BANDS", "START_TIME",
    "EXPOSURE_DURATION", "QUATERNION", "TARGET_NAME", "FILTER_NUMBER", "LINE_DISPLAY_DIRECTION", "OFFSET",
    "SCALING_FACTOR", "MISSING_CONSTANT", "FIRST_LINE", "INSTRUMENT_ID", "DATA_SET_ID", "OBJECT", "UNIT",
    "SC_SUN_POSITION_VECTOR", "SC_TARGET_POSITION_VECTOR", "PIXEL_AVERAGING_WIDTH", "LINE_PREFIX_BYTES",
]  # fmt: skip
ODD = [
    *(
        "0",
        "-1",
        "1",
        "2",
        "16",
        "1e999",
        "-1e308",
        "nan",
        '"N/A"',
        "()",
        "(",
        "(1,2,3)",
        '("A.IMG",1)',
        '("../A",1)',
    ),
    *(
        '""',
        '"',
        "{1}",
        "16#FF#",
        "2#z#",
        "((((1))))",
        "<km>",
        "5<m>",
        "99999999999999999999",
        "0x10",
        "1_000",
    ),
    *("b'x'", "[1]", "None", "...", "lambda:0", "IMAGE", "UP", "\x00", "é", "2015-170T16:15:46.345"),
]
VALUES = st.one_of(st.sampled_from(ODD), st.text(max_size=30), st.integers().map(str), st.floats().map(str))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.sampled_from(KEYS), VALUES), max_size=4), data=st.data())
def test_mutated_labels_give_a_frame_or_one_line(tmp_path, changes, data):
    path = write_img(tmp_path / "A.IMG", scene())
    content = path.read_bytes()
    for key, value in changes:
        line = f"{key} = {value}".encode("utf-8", "replace")
        pattern = re.compile(rb"^\s*" + re.escape(key.encode()) + rb"\s*=[^\r]*", re.MULTILINE)
        if pattern.search(content):
            content = pattern.sub(lambda _, new=line: new, content, count=1)
        else:
            content = line + b"\r\n" + content
    if data.draw(st.booleans()):
        start = data.draw(st.integers(0, len(content)))
        cut = data.draw(st.integers(0, 200))
        content = content[:start] + data.draw(st.binary(max_size=20)) + content[start + cut :]
    path.write_bytes(content)
    try:
        frame = read(path)
    except ReadError as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(frame, Frame)
        assert (
            frame.image.dtype == np.float32 and frame.image.shape == frame.mask.shape == frame.saturated.shape
        )
        assert np.isfinite(frame.image[~frame.mask]).all()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(["fits", "pds4"]), data=st.data())
def test_mutated_bytes_give_a_frame_or_one_line(tmp_path, kind, data):
    pixels = scene().astype("<f4")
    if kind == "fits":
        path = tmp_path / "A.fits"
        path.unlink(missing_ok=True)
        content = write_fits(path, pixels, INSTRUME="FC2", EXPTIME=1.0).read_bytes()
    else:
        (tmp_path / "A.img").write_bytes(b"\0" * 64 + pixels.tobytes())
        path, content = tmp_path / "A.xml", PDS4.encode()
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, min(len(content), 2880)))
        cut = data.draw(st.integers(0, 40))
        content = content[:start] + data.draw(st.binary(max_size=12)) + content[start + cut :]
    path.write_bytes(content)
    try:
        frame = read(path)
    except ReadError as error:
        assert "\n" not in str(error)
    else:
        assert np.isfinite(frame.image[~frame.mask]).all()


SURVEY = {
    "DATA_SET_ID": '"DAWN-A-FC2-3-RDR-CERES-IMAGES-V1.0"',
    "START_TIME": "2015-170T16:15:46.345",
    "EXPOSURE_DURATION": "1800.000 <ms>",
    "FILTER_NUMBER": '"6"',
    "SC_TARGET_POSITION_VECTOR": "(\n    678.145 <kilometer>\n    ,-2026.141 <km>\n    ,4375770.0 <m>\n)",
    "SC_SUN_POSITION_VECTOR": "(-184987104.922 <km>, 343339719.063 <km>, 199536660.387 <km>)",
    "TARGET_CENTER_DISTANCE": "4869.547 <kilometer>",
}
"""Facts of FC21A0038582 as its 1B label gives them: its camera model's vectors, seen from the spacecraft."""


@pytest.mark.parametrize("level", ["1A", "1B"])
@pytest.mark.parametrize("directions", [("UP", "RIGHT"), ("DOWN", "LEFT")])
@pytest.mark.parametrize("kind", ["img", "fits"])
def test_rendered_products_come_back(tmp_path, rendered, level, directions, kind):
    from brightspot.simulate import write

    write(rendered, tmp_path, kind, level=level, line_display=directions[0], sample_display=directions[1])
    (item,) = find_inputs(tmp_path)
    (frame,) = read_frames(item)
    pixels = rendered.dn if level == "1A" else rendered.radiance
    np.testing.assert_array_equal(frame.image, pixels.astype(np.float32))
    assert (frame.level, frame.unit) == ((level, "DN") if level == "1A" else (level, "W m-2 sr-1"))
    assert frame.exposure_s == pytest.approx(rendered.frame.exposure_s)
    assert frame.target == "CERES" and frame.origin_xy == rendered.frame.origin_xy
    if level == "1B":
        x, y = (
            np.array(frame.geometry.project(19.7, 239.6)),
            np.array(rendered.frame.geometry.project(19.7, 239.6)),
        )
        np.testing.assert_allclose(x, y, atol=0.01)


@pytest.fixture(scope="module")
def rendered():
    """The view of 14 and 15 April 2015 from 22,000 km, as rendered for the samples."""
    from brightspot.simulate import observation_scene, render

    return render(observation_scene("2015-04-15"))


def test_label_geometry_reaches_the_frame(tmp_path):
    stored = np.arange(1024 * 1024, dtype=np.float32).reshape(1024, 1024) % 8191
    frame = read(write_img(tmp_path / "A.IMG", stored, "<f4", SURVEY, strips=False))
    assert frame.geometry is not None, frame.notes
    assert (frame.unit, frame.level) == ("W m-2 sr-1 nm-1", "1B")
    assert np.linalg.norm(frame.geometry.spacecraft_km) == pytest.approx(4869.547, abs=0.2)
    assert frame.sun_distance_km / 149597870.7 == pytest.approx(2.9284, abs=1e-4)
    # Boresight: latitude -80.37, longitude 343.03 by the reconstructed attitude; the label's is 0.25 px off.
    ground = frame.geometry.ground(511.5, 511.5)
    assert float(ground.latitude_deg) == pytest.approx(-80.37, abs=0.05)
    assert float(ground.longitude_deg) == pytest.approx(343.03, abs=0.3)
    extra = {"FIRST_LINE": 17 + 512, "FIRST_LINE_SAMPLE": 35 + 300}
    cut = stored[512:768, 300:600]
    part = read(write_img(tmp_path / "B.IMG", cut, "<f4", SURVEY, extra, strips=False))
    x, y = part.origin_xy
    ground = part.geometry.ground(511.5 - x, 511.5 - y)
    assert float(ground.latitude_deg) == pytest.approx(-80.37, abs=0.05)


def test_contradicting_geometry_leaves_a_note(tmp_path):
    facts = SURVEY | {"QUATERNION": "(9.0, 9.0, 9.0, 9.0)"}
    stored = np.arange(1024 * 1024, dtype=np.float32).reshape(1024, 1024) % 8191
    frame = read(write_img(tmp_path / "A.IMG", stored, "<f4", facts, strips=False))
    assert frame.geometry is None and "no geometry from the label" in frame.notes[0]


def test_other_bodies_get_no_geometry_of_ceres(tmp_path):
    facts = SURVEY | {"TARGET_NAME": '"4 VESTA"'}
    stored = np.arange(1024 * 1024, dtype=np.float32).reshape(1024, 1024) % 8191
    assert read(write_img(tmp_path / "A.IMG", stored, "<f4", facts, strips=False)).geometry is None


@needs_real
def test_real_1a_label_with_rendered_pixels(tmp_path):
    """The real label of a Survey frame, with five image objects, before pixels of our own."""
    label = next((SHARED / "real/labels").glob("*_pds3.lbl")).read_bytes()
    pixels = scene(1024, 1024)
    content = bytearray(4301 * 512)
    content[: len(label)] = label
    content[25 * 512 : 25 * 512 + pixels.size * 2] = pixels.astype("<u2").tobytes()
    path = tmp_path / "FC21A0038582_15170161546F6F.IMG"
    path.write_bytes(content)
    frame = read(path)
    np.testing.assert_array_equal(frame.image, pixels[::-1])
    assert (frame.camera, frame.filter_number, frame.level, frame.target) == ("FC2", 6, "1A", "CERES")
    assert frame.start_time == datetime(2015, 6, 19, 16, 15, 46, 345000)
    assert (frame.exposure_s, frame.origin_xy, frame.subframe) == (1.8, (0, 0), False)
    assert frame.geometry is None and frame.label["SPICE_FILE_NAME"][1] == "lsk\\naif0011.tls"


@needs_real
def test_real_products():
    other = SHARED / "real/other"
    eros = read(other / "m0126865998f4_2p_iof.fit")
    assert (eros.shape, eros.unit, eros.target, eros.exposure_s) == ((244, 537), "I/F", "EROS", 0.089)
    assert eros.image[~eros.mask].max() == pytest.approx(0.0577788, rel=1e-5)
    assert eros.image[:60].mean() < 0.2 * eros.image[120:180].mean()  # sky on top: rows were turned
    mars = read(next(other.glob("CAS-*.xml")))
    assert (mars.shape, mars.unit, mars.target) == ((256, 1792), "I/F", "MARS")
    step = np.abs(np.diff(mars.image, axis=0)).mean()
    assert step < 2 * np.abs(np.diff(mars.image, axis=1)).mean()  # wrong axes would make stripes
    fails(other / "N1456251768_1.IMG", "truncated", "216 of 1024 lines")
    fails(next(other.glob("*.cub")), "ISIS cube")
    labels = SHARED / "real/labels"
    fails(next(labels.glob("*truncated.cub")), "cut off")
    fails(next(labels.glob("*truncated.IMG")), "cut off")
    fails(next(labels.glob("*_pds3.lbl")), "FC21A0038582_15170161546F6F.IMG is missing")
