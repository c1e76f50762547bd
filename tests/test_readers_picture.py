"""Press pictures: every kind to luminance, animations picture by picture, and bombs that do not go off."""

import io
import struct
import warnings
import zlib
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from brightspot.errors import ReadError
from brightspot.readers import find_inputs, read_frame, read_frames

SHARED = Path(__file__).parents[2] / "shared"
needs_real = pytest.mark.skipif(not (SHARED / "real").exists(), reason="real data not at hand")


def ramp(rows=40, columns=56, high=250):
    y, x = np.mgrid[:rows, :columns]
    return (x * 3 + y * 5) % high


def frames_of(path):
    return list(read_frames(next(iter(find_inputs(path)))))


def read(path):
    """The frame of a file, before anybody asks where on Ceres it is."""
    (frame,) = frames_of(path)
    return frame


def fails(path, *words):
    with pytest.raises(ReadError) as caught:
        frames_of(path)
    line = str(caught.value)
    assert line.startswith(path.name) and "\n" not in line
    assert all(word in line for word in words), line
    return line


@pytest.mark.parametrize("suffix", ["png", "tif", "gif", "bmp", "webp"])
def test_grey_pictures_keep_their_numbers(tmp_path, suffix):
    grey = ramp().astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / f"a.{suffix}", lossless=True)
    frame = read(tmp_path / f"a.{suffix}")
    np.testing.assert_allclose(frame.image, grey, atol=1e-4)
    assert frame.unit == "display" and frame.display_stretched
    assert frame.image.dtype == np.float32 and not frame.mask.any() and not frame.saturated.any()
    assert frame.start_time is None and frame.target is None and frame.level is None


def test_jpeg_is_close(tmp_path):
    smooth = (np.hypot(*np.mgrid[:64, :64]) * 2).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "a.JPG", quality=95)
    np.testing.assert_allclose(read(tmp_path / "a.JPG").image, smooth, atol=4)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits(tmp_path, suffix):
    deep = (ramp() * 200).astype(np.uint16)
    deep[3:6, 3:6] = 65535
    Image.fromarray(deep).save(tmp_path / f"a.{suffix}")
    frame = read(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(frame.image, deep)
    np.testing.assert_array_equal(frame.saturated, deep == 65535)


@pytest.mark.parametrize("dtype", ["f4", "f8", "u4", "i2", "f2"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_of_other_samples(tmp_path, dtype, order):
    import tifffile

    values = ramp().astype(dtype)
    if dtype[0] == "f":
        values[2, 2] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", values, byteorder=order)
    frame = read(tmp_path / "a.tif")
    assert frame.mask[2, 2] == (dtype[0] == "f")
    np.testing.assert_array_equal(frame.image[~frame.mask], values.astype(np.float32)[~frame.mask])


def test_a_tiff_of_complex_numbers_is_refused(tmp_path):
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", ramp().astype(np.complex64))
    with pytest.raises(ReadError, match="samples of type complex64"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_deep_colour_tiff_is_not_cut_to_eight_bits(tmp_path, planar):
    import tifffile

    colour = np.stack([ramp() * 100, ramp() * 50 + 3, ramp() + 7], axis=-1).astype(np.uint16)
    stored = colour if planar == "contig" else np.moveaxis(colour, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    expected = colour @ np.array([0.2126, 0.7152, 0.0722])
    np.testing.assert_allclose(read(tmp_path / "a.tif").image, expected, rtol=1e-5)


def test_tiff_nodata_is_masked(tmp_path):
    import tifffile

    values = ramp().astype(np.float32)
    values[4, 5] = -9999
    tifffile.imwrite(tmp_path / "a.tif", values, extratags=[(42113, "s", 0, "-9999", True)])
    frame = read(tmp_path / "a.tif")
    assert np.argwhere(frame.mask).tolist() == [[4, 5]] and frame.image[4, 5] == 0


def test_colour_becomes_luminance_and_alpha_a_mask(tmp_path):
    colour = np.zeros((20, 20, 4), np.uint8)
    colour[..., 3] = 255
    colour[:5, :, 0], colour[5:10, :, 1], colour[10:15, :, 2] = 200, 200, 200
    colour[15:, :, :3] = 200
    colour[0, 0, 3] = 0
    Image.fromarray(colour).save(tmp_path / "a.png")
    frame = read(tmp_path / "a.png")
    assert np.argwhere(frame.mask).tolist() == [[0, 0]]
    values = frame.image[[1, 6, 11, 16], 3]
    np.testing.assert_allclose(values, [200 * 0.2126, 200 * 0.7152, 200 * 0.0722, 200], rtol=1e-5)


def test_palette_and_transparent_grey(tmp_path):
    colour = np.stack([ramp() // 50 * 50] * 3, axis=-1).astype(np.uint8)
    Image.fromarray(colour).quantize(16).save(tmp_path / "p.png")
    np.testing.assert_allclose(read(tmp_path / "p.png").image, colour[..., 0], atol=1e-3)
    grey = ramp().astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "g.png", transparency=15)
    np.testing.assert_array_equal(read(tmp_path / "g.png").mask, grey == 15)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_exif_orientation(tmp_path, orientation, suffix):
    stored = np.zeros((32, 48), np.uint8)
    stored[:16, :16] = 200  # top left as stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / f"a.{suffix}", exif=exif)
    image = read(tmp_path / f"a.{suffix}").image
    bright = image[4:12, 4:12].mean(), image[4:12, -12:-4].mean(), image[-12:-4, -12:-4].mean()
    corner = {1: 0, 2: 1, 3: 2, 4: 3, 5: 0, 6: 1, 7: 2, 8: 3}[orientation]  # TL, TR, BR, BL
    assert image.shape == ((32, 48) if orientation < 5 else (48, 32))
    assert int(np.argmax([*bright, image[-12:-4, 4:12].mean()])) == corner


def animation(path, count=5, **kinds):
    """Pictures of which each after the first changes a small patch only."""
    base = ramp().astype(np.uint8)
    pictures = []
    for i in range(count):
        picture = base.copy()
        picture[10:20, 5 * i : 5 * i + 5] = 251
        pictures.append(picture)
    images = [Image.fromarray(p) for p in pictures]
    images[0].save(path, save_all=True, append_images=images[1:], duration=50, **kinds)
    return pictures


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_animations_give_whole_pictures(tmp_path, suffix):
    kinds = {"lossless": True} if suffix == "webp" else {}
    pictures = animation(tmp_path / f"a.{suffix}", **kinds)
    frames = frames_of(tmp_path / f"a.{suffix}")
    assert [f.name for f in frames] == [f"a.{suffix}#00{i}" for i in range(5)]
    for frame, picture in zip(frames, pictures, strict=True):
        np.testing.assert_allclose(frame.image, picture, atol=1e-3)
    third = read_frame(f"{tmp_path}/a.{suffix}#003")
    np.testing.assert_array_equal(third.image, frames[3].image)
    with pytest.raises(ReadError, match="no picture #005"):
        read_frame(f"{tmp_path}/a.{suffix}#005")


def test_empty_pictures_of_an_animation_are_named_after_the_others(tmp_path):
    images = [
        Image.fromarray(p)
        for p in (ramp().astype("u1"), np.zeros((40, 56), "u1"), ramp(high=99).astype("u1"))
    ]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:])
    reader = read_frames(next(iter(find_inputs(tmp_path / "a.gif"))))
    assert [next(reader).name, next(reader).name] == ["a.gif#000", "a.gif#002"]
    with pytest.raises(ReadError, match=r"#001.*the others were read"):
        next(reader)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif", "bmp", "webp"])
def test_cut_off_pictures_are_refused(tmp_path, suffix, capfd):
    noise = np.random.default_rng(1).integers(0, 250, (64, 64)).astype(np.uint8)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    for share in (0.02, 0.3, 0.8):
        path.write_bytes(content[: int(len(content) * share)])
        fails(path)
    assert capfd.readouterr().err == ""


def test_deep_tiff_cut_off(tmp_path):
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", np.ones((40, 40, 3), np.uint16), photometric="rgb")
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[:-500])
    fails(tmp_path / "a.tif", "cut off", "500 bytes")


def png(width, height, bits=8, colour=0, data=b""):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def test_bombs_are_refused_before_decoding(tmp_path):
    path = tmp_path / "a.png"
    for width, height in ((30000, 30000), (40000, 100), (2**31 - 1, 2**31 - 1), (100000, 1)):
        path.write_bytes(png(width, height))
        fails(path, "pixels")
    gif = io.BytesIO()
    Image.new("L", (16, 16)).save(gif, "GIF")
    content = bytearray(gif.getvalue())
    content[6:10] = struct.pack("<HH", 65535, 65535)
    (tmp_path / "a.gif").write_bytes(content)
    fails(tmp_path / "a.gif", "claims more pixels")


def test_a_picture_larger_than_its_bytes_can_hold_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(png(4000, 4000))
    fails(tmp_path / "a.png", "4000 x 4000", "bytes")


def test_a_gif_that_grows_on_its_way_is_refused(tmp_path):
    """The second picture claims a box far outside the canvas of the first."""
    path = tmp_path / "a.gif"
    animation(path, 2)
    content = bytearray(path.read_bytes())
    second = content.rindex(b",\x00\x00" if b",\x00\x00" in content[200:] else b",")
    content[second + 1 : second + 9] = struct.pack("<HHHH", 0, 0, 8000, 4000)
    path.write_bytes(content)
    fails(path, "8000 x 4000")


def test_compressed_tiff_that_only_tifffile_knows_is_refused(tmp_path):
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", ramp().astype("f8"), compression="zlib")
    fails(tmp_path / "a.tif", "uncompressed")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"Not a picture. " * 50, "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", "not a picture"),
    ],
)
def test_files_that_are_no_pictures(tmp_path, content, words):
    for suffix in ("png", "jpg", "gif"):
        (tmp_path / f"a.{suffix}").write_bytes(content)
        fails(tmp_path / f"a.{suffix}", words)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((32, 32)), "all-zero"),
        (np.full((32, 32), 9), "all pixels are 9"),
        (np.where(ramp(64, 64) == 7, 3, 255), "saturated"),
        (np.ones((1, 1)), "1 x 1"),
        (np.ones((15, 99)), "99 x 15"),
    ],
)
def test_pictures_that_show_nothing(tmp_path, pixels, words):
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "a.png")
    fails(tmp_path / "a.png", words)


def test_white_patches_are_saturated_from_four_pixels_on(tmp_path):
    grey = ramp().astype(np.uint8)
    grey[20:22, 20:22] = 255
    grey[5, 5:8] = 255
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(tmp_path / "a.png")
    expected = np.zeros(grey.shape, bool)
    expected[20:22, 20:22] = True
    np.testing.assert_array_equal(read(tmp_path / "a.png").saturated, expected)


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("FC21B0037521_15157143019F4I.png", ("FC2", 4, "1B", datetime(2015, 6, 6, 14, 30, 19), None)),
        ("ceres_2015-04-15.png", (None, None, None, datetime(2015, 4, 15), "CERES")),
        ("20150415_rc3.png", (None, None, None, datetime(2015, 4, 15), None)),
        ("20151415.png", (None, None, None, None, None)),
        ("vesta_opnav022.png", (None, None, None, None, "VESTA")),
        ("interesting_ceresian.png", (None, None, None, None, None)),
    ],
)
def test_facts_in_file_names(tmp_path, name, facts):
    Image.fromarray(ramp().astype(np.uint8)).save(tmp_path / name)
    frame = read(tmp_path / name)
    assert (frame.camera, frame.filter_number, frame.level, frame.start_time, frame.target) == facts


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(suffix=st.sampled_from(["png", "jpg", "gif", "tif", "bmp"]), data=st.data())
def test_mutated_pictures_give_frames_or_one_line(tmp_path, suffix, data):
    path = tmp_path / f"a.{suffix}"
    if suffix in ("gif", "tif"):
        animation(path, 2)
    else:
        Image.fromarray(ramp().astype(np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, min(len(content), 400)))
        content[start : start + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            frames = frames_of(path)
        except ReadError as error:
            assert "\n" not in str(error)
        else:
            assert frames
            for frame in frames:
                assert np.isfinite(frame.image[~frame.mask]).all()


@needs_real
def test_real_rotation_has_the_spots_where_they_were_seen():
    """The pair of bright spots at the places measured by eye in the first and the third picture."""
    path = SHARED / "real/press/ceres_rotation.gif"
    frames = frames_of(path)
    assert len(frames) == 27 and all(f.shape == (537, 537) for f in frames)
    with Image.open(path) as image:
        for frame, picture in zip(frames, ImageSequence.Iterator(image), strict=True):
            np.testing.assert_allclose(frame.image, np.asarray(picture.convert("L")), atol=1.01)
    for number, places in ((0, [(258, 231), (268, 231)]), (2, [(328, 245), (337, 244)])):
        image = frames[number].image
        for x, y in places:
            near = image[y - 3 : y + 4, x - 3 : x + 4].max()
            assert near > 1.6 * np.median(image[y - 25 : y + 26, x - 25 : x + 26])


@needs_real
def test_real_pictures():
    for path in (SHARED / "real/frames").glob("*.jpg"):
        frame = read(path)
        assert frame.shape == (1024, 1024) and frame.target == "CERES"
    assert read(SHARED / "real/frames/ceres_fc_001.jpg").saturated[554:590, 690:703].sum() > 40
    assert not read(SHARED / "real/frames/ceres_fc_007.jpg").saturated.any()
    vesta = read(SHARED / "real/other/vesta_opnav022.png")
    assert vesta.target == "VESTA" and not vesta.mask.any()
