"""Files that mean harm: each is refused with one clear line, quickly, before it costs memory.

`fuzz/readers.py` looks for more of them; what it found once is kept here.
"""

import ast
import csv
import gzip
import io
import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brightspot import SpotFinder
from brightspot.batch import detect_folder
from brightspot.errors import ReadError
from brightspot.readers import find_inputs, read_frames
from brightspot.readers.guards import MAX_PICTURE_BYTES, Whole
from brightspot.writers import csv_field

SOURCE = Path(__file__).parents[1] / "src" / "brightspot"
FUZZ = Path(__file__).parents[1] / "fuzz"
SECRET = b"root:x:0:0:this must not be read as pixels\n" * 400
PIXELS = (np.arange(48 * 48).reshape(48, 48) % 251 + 2).astype("<u2")
LONG = 200_000


def label(pointer='("A.IMG", 1)', more="", **changes):
    """A detached PDS3 label of `PIXELS`."""
    image = {
        "LINES": 48,
        "LINE_SAMPLES": 48,
        "SAMPLE_BITS": 16,
        "SAMPLE_TYPE": "LSB_UNSIGNED_INTEGER",
    } | changes
    lines = [
        "PDS_VERSION_ID = PDS3",
        f"RECORD_BYTES = {image.pop('RECORD_BYTES', 96)}",
        f"^IMAGE = {pointer}",
    ]
    lines += [
        more,
        "OBJECT = IMAGE",
        *(f"{key} = {value}" for key, value in image.items()),
        "END_OBJECT = IMAGE",
    ]
    return "\r\n".join([*lines, "END", ""]).encode("latin-1")


def product(folder, content=None, data=None):
    """A detached pair; the path of its label."""
    (folder / "A.LBL").write_bytes(label() if content is None else content)
    if data is None:
        data = PIXELS.tobytes()
    (folder / "A.IMG").write_bytes(data)
    return folder / "A.LBL"


def pds4(name="A.img", more="", doctype="", elements=48):
    axes = "".join(
        f"<Axis_Array><axis_name>{axis}</axis_name><elements>{n}</elements>"
        f"<sequence_number>{k}</sequence_number></Axis_Array>"
        for k, (axis, n) in enumerate((("Line", elements), ("Sample", 48)), 1)
    )
    return (
        f'<?xml version="1.0"?>{doctype}<Product_Observational>{more}<File><file_name>{name}</file_name>'
        "</File><Array_2D_Image><offset>0</offset><Element_Array><data_type>UnsignedLSB2</data_type>"
        f"</Element_Array>{axes}</Array_2D_Image></Product_Observational>"
    )


def refused(path, *words):
    """The one line with which a file given by itself is refused; it comes without long thinking."""
    start = time.process_time()
    (item,) = find_inputs(path)
    with pytest.raises(ReadError) as caught:
        for _ in read_frames(item):
            pass
    line = str(caught.value)
    assert line.isprintable() and len(line) < 400
    assert all(word in line for word in words), line
    # Not a matter of speed: what is meant to hang takes minutes.
    assert time.process_time() - start < 60
    return line


def read(path):
    (item,) = find_inputs(path)
    (frame,) = read_frames(item)
    return frame


def test_the_products_of_these_tests_are_read_when_left_alone(tmp_path):
    np.testing.assert_array_equal(read(product(tmp_path)).image, PIXELS)
    (tmp_path / "A.xml").write_text(pds4())
    (tmp_path / "A.LBL").unlink()
    np.testing.assert_array_equal(read(tmp_path / "A.xml").image, PIXELS)


# Sizes that a label claims.


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"LINES": 10**9}, "cut off"),
        ({"LINES": -48}, "negative"),
        ({"LINE_SAMPLES": -(10**9)}, "negative"),
        ({"LINES": -48, "LINE_SAMPLES": -48}, "negative"),
        ({"LINES": 0}, "48 x 0"),
        ({"LINES": 10**30}, "LINES"),
        ({"LINES": "0x" + "f" * 5000}, "LINES"),
        ({"LINES": "1e999"}, "LINES"),
        ({"LINES": 2**52, "LINE_SAMPLES": 2**52}, "cut off"),
        ({"LINE_PREFIX_BYTES": 10**15}, "cut off"),
        ({"LINE_SUFFIX_BYTES": -96}, "negative"),
        ({"SAMPLE_BITS": 10**9}, "bit samples"),
        ({"BANDS": 10**9}, "bands"),
    ],
)
def test_absurd_dimensions(tmp_path, changes, words):
    refused(product(tmp_path, label(**changes)), words)


@pytest.mark.parametrize(
    ("record", "pointer", "words"),
    [
        (10**12, 2, "cut off"),
        (-96, 2, "records of -96 bytes"),
        (0, 2, "records of 0 bytes"),
        ('"MANY"', 2, "RECORD_BYTES"),
        ("1e999", 2, "RECORD_BYTES"),
        (96, 10**14, "cut off"),
    ],
)
def test_records_of_nonsense(tmp_path, record, pointer, words):
    path = product(tmp_path, label(f'("A.IMG", {pointer})', RECORD_BYTES=record))
    refused(path, words)


def test_dimensions_in_other_labels(tmp_path):
    (tmp_path / "A.img").write_bytes(PIXELS.tobytes())
    for elements, words in (
        (10**9, "cut off"),
        (-48, "negative"),
        (10**40, "elements"),
        ("1e999", "elements"),
    ):
        (tmp_path / "A.xml").write_text(pds4(elements=elements))
        refused(tmp_path / "A.xml", words)
    sizes = "LBLSIZE=200 FORMAT='BYTE' NL={} NS={} NB=1 RECSIZE={} NLB=0 NBB=0 "
    for n_lines, n_samples, words in ((10**9, 48, "cut off"), (-1, 48, "contradict"), (48, 10**9, "cut off")):
        (tmp_path / "V.IMG").write_bytes(
            sizes.format(n_lines, n_samples, n_samples).encode().ljust(3000, b"\0")
        )
        refused(tmp_path / "V.IMG", words)


def fits(*cards, body=b""):
    block = b"".join(card.encode().ljust(80) for card in cards)
    return block.ljust(-(-len(block) // 2880) * 2880) + body


PRIMARY = ("SIMPLE  =                    T", "BITPIX  =                   16")
NO_IMAGE = (*PRIMARY, "NAXIS   =                    0", "EXTEND  =                    T", "END")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (fits(*PRIMARY, "NAXIS   =           1000000000", "END"), "NAXIS = 1000000000"),
        (fits(*PRIMARY, "NAXIS   =                   -2", "END"), "NAXIS = -2"),
        (
            fits(*PRIMARY, "NAXIS   = 2", "NAXIS1  = 1000000000", "NAXIS2  = 1000000000", "END"),
            "more than a file holds",
        ),
        (fits(*PRIMARY, "NAXIS   = 2", "NAXIS1  = -48", "NAXIS2  = -48", "END"), ""),
        (fits(*PRIMARY, "NAXIS   = 2", "COMMENT " + "x" * 69 + "END", *[""] * 40), "without END"),
        (fits(*NO_IMAGE, body=fits("XTENSION= 'BINTABLE'", "TFIELDS = 999999999", "END")), "TFIELDS"),
        (fits(*NO_IMAGE, body=b"XTENSION= 'IMAGE   '".ljust(80) + b" " * 3_000_000), "without END"),
    ],
)
def test_fits_headers_that_claim_too_much(tmp_path, content, words):
    (tmp_path / "A.fits").write_bytes(content)
    refused(tmp_path / "A.fits", words)


def test_a_fits_file_of_nothing_is_not_searched_to_its_end(tmp_path):
    path = tmp_path / "A.fits"
    path.write_bytes(fits(*NO_IMAGE))
    with path.open("r+b") as file:
        file.truncate(2**40)  # sparse: costs no disk
    refused(path, "without an image")


# Labels that make a parser's time grow with the square of their length, or worse.


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("A = 1 >" + "<" * LONG, "units"),
        ("\x0b^IMAGE = 1\n" * 18_000, "pointers"),
        ("A = " + "-" * LONG + "1", "cannot be parsed"),
        ("OBJECT = A\n" * 15_000, "no IMAGE object"),
        ("OBJECT = A\n" * 8_000 + "END_OBJECT\n" * 8_000, "cannot be parsed"),
        ("A = " + "1+" * (LONG // 2) + "1", "cannot be parsed"),
    ],
)
def test_slow_labels_are_refused(tmp_path, more, words):
    refused(product(tmp_path, label(more=more)), words)


@pytest.mark.parametrize(
    ("pointer", "more", "changes"),
    [
        ('("A.IMG", 1)', "A = " + "(" * LONG, {}),
        ('("A.IMG", 1)', "A = 9**9**9**9**9", {}),
        ('("A.IMG", 1)', "A = __import__('os').abort()", {}),
        ('("A.IMG", 1)', "K = 1\n" * 30_000, {}),
        ('("A.IMG", 1)', "", {"LOW" * 60_000: 1}),
        ('("A.IMG",' + " " * 100 + "1" * 15 + " " * 360 + "x)", "", {}),
    ],
)
def test_slow_labels_that_can_be_read_are_read(tmp_path, pointer, more, changes):
    start = time.process_time()
    np.testing.assert_array_equal(read(product(tmp_path, label(pointer, more, **changes))).image, PIXELS)
    assert time.process_time() - start < 60


def test_slow_words_in_other_labels(tmp_path):
    (tmp_path / "A.img").write_bytes(PIXELS.tobytes())
    (tmp_path / "A.xml").write_text(pds4().replace("A.img</", " " * LONG + "<x/></"))
    np.testing.assert_array_equal(read(tmp_path / "A.xml").image, PIXELS)
    items = b"LBLSIZE=240000 FORMAT='BYTE' NL=48 NS=48 NB=1 RECSIZE=48 NLB=0 NBB=0 "
    (tmp_path / "V.IMG").write_bytes(
        (items + b"a" * LONG).ljust(240_000, b"\0") + PIXELS.astype("u1").tobytes()
    )
    np.testing.assert_array_equal(read(tmp_path / "V.IMG").image, PIXELS)


# XML.

BILLION = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))


@pytest.mark.parametrize(
    ("doctype", "more"),
    [
        (f'<!DOCTYPE x [<!ENTITY l0 "lol">{BILLION}]>', "<description>&l9;</description>"),
        ('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>', "<description>&e;</description>"),
        ('<!DOCTYPE x [<!ENTITY e SYSTEM "http://localhost:1/x">]>', "<description>&e;</description>"),
        ('<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///dev/zero"> %p;]>', ""),
        ('<!DOCTYPE x SYSTEM "file:///dev/zero">', ""),
        ("<!doctype x>", ""),
        ("", "<!-- x --><!ENTITY a 'b'>"),
    ],
)
def test_entities_are_refused(tmp_path, doctype, more):
    (tmp_path / "A.img").write_bytes(PIXELS.tobytes())
    (tmp_path / "A.xml").write_text(pds4(doctype=doctype, more=more))
    refused(tmp_path / "A.xml", "DTD or entities")


def test_entities_in_another_encoding_are_refused(tmp_path):
    (tmp_path / "A.img").write_bytes(PIXELS.tobytes())
    text = pds4(doctype='<!DOCTYPE x [<!ENTITY e "x">]>', more="<a>&e;</a>")
    for encoding in ("utf-16", "utf-16-be", "utf-32", "utf-7"):
        (tmp_path / "A.xml").write_bytes(text.replace("1.0", f'1.0" encoding="{encoding}').encode(encoding))
        refused(tmp_path / "A.xml", "")


def test_an_unknown_entity_and_a_deep_tree(tmp_path):
    (tmp_path / "A.img").write_bytes(PIXELS.tobytes())
    (tmp_path / "A.xml").write_text(pds4(more="<a>&e;</a>"))
    refused(tmp_path / "A.xml", "not well-formed")
    (tmp_path / "A.xml").write_text(pds4(more="<a>" * 30_000 + "</a>" * 30_000))
    np.testing.assert_array_equal(read(tmp_path / "A.xml").image, PIXELS)


# Labels that point elsewhere.

ELSEWHERE = (
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    "sub/A.IMG",
    "..\\A.IMG",
    "C:A.IMG",
    "/dev/zero",
    "file:///etc/x",
)


@pytest.mark.parametrize("name", ELSEWHERE)
@pytest.mark.parametrize("pointer", ['"{}"', '("{}", 1)', "{}", '("{}", 1 <BYTES>)'])
def test_pds3_pointers_out_of_the_folder(tmp_path, name, pointer):
    path = product(tmp_path, label(pointer.format(name)))
    (item,) = find_inputs(path)
    if pointer == "{}" and item.problem is None:
        # Not a name by the rules of the label: the file that goes by the label's own name is read.
        assert [file.name for file in item.files] == ["A.LBL", "A.IMG"]
        return
    line = refused(path)
    assert "points outside its folder" in line or "without its data" in line


@pytest.mark.parametrize("name", ELSEWHERE)
def test_pds4_names_out_of_the_folder(tmp_path, name):
    (tmp_path / "A.img").write_bytes(PIXELS.tobytes())
    for given in (name, f"\n {name} ", "".join(f"&#{ord(c)};" for c in name)):
        (tmp_path / "A.xml").write_text(pds4(given))
        (item,) = find_inputs(tmp_path / "A.xml")
        # Spelled with character references it is the name of no file: the one beside the label is read.
        assert item.problem or item.files[-1] == tmp_path / "A.img"


def test_fits_labels_that_point_outside(tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    image = fits(*PRIMARY, "NAXIS   = 2", "NAXIS1  = 48", "NAXIS2  = 48", "END", body=PIXELS.tobytes())
    (secret / "A.FIT").write_bytes(image)
    open_folder = tmp_path / "open"
    open_folder.mkdir()
    for pointer in ('("../secret/A.FIT", 2)', f'("{secret}/A.FIT", 2)'):
        (open_folder / "A.LBL").write_bytes(label(pointer))
        refused(open_folder / "A.LBL", "points outside its folder")


@pytest.mark.parametrize("given", ["label", "data", "folder"])
def test_links_out_of_the_folder(tmp_path, given):
    """A link beside a label would make pixels of any file."""
    (tmp_path / "secret").write_bytes(SECRET)
    folder = tmp_path / "open"
    folder.mkdir()
    path = product(folder)
    (folder / "A.IMG").unlink()
    (folder / "A.IMG").symlink_to(tmp_path / "secret")
    if given == "label":
        refused(path, "A.IMG", "link that points outside")
    for item in find_inputs({"label": path, "data": folder / "A.IMG", "folder": folder}[given]):
        assert path != item.path or item.files == (path,)
        with pytest.raises(ReadError):
            list(read_frames(item))


def test_pairs_of_links_are_read(tmp_path):
    """Folders of links to an archive are common: label and data lead into one folder."""
    archive, mine = tmp_path / "archive", tmp_path / "mine"
    archive.mkdir()
    mine.mkdir()
    product(archive)
    for name in ("A.LBL", "A.IMG"):
        (mine / name).symlink_to(archive / name)
    np.testing.assert_array_equal(read(mine / "A.LBL").image, PIXELS)


@pytest.mark.parametrize("name", ["A.LBL", "A.IMG", "A.xml", "a.png", "a.fits"])
@pytest.mark.parametrize("what", ["/dev/zero", "fifo", "folder", "loop"])
def test_what_is_no_file_is_not_opened(tmp_path, name, what):
    """Opening a pipe waits for ever, and a device has no end."""
    product(tmp_path)
    (tmp_path / "A.LBL").unlink(missing_ok=name == "A.LBL" or name == "A.xml")
    if name == "A.IMG":
        (tmp_path / "A.LBL").write_bytes(label())
    path = tmp_path / name
    path.unlink(missing_ok=True)
    if what == "fifo":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to(what if what != "loop" else path.name)
    for item in find_inputs(tmp_path):
        assert all(file.is_file() for file in item.files), item  # what is opened to take checksums
        with pytest.raises(ReadError) as caught:
            list(read_frames(item))
        assert str(caught.value).isprintable()


def test_folders_of_links_in_circles_are_searched_once(tmp_path):
    deep = tmp_path
    for i in range(20):
        deep = deep / f"{i}"
        deep.mkdir()
        for k in range(3):
            (deep / f"up{k}").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "me").symlink_to("me")
    Image.fromarray(PIXELS.astype("u1")).save(deep / "x.png")
    assert len(list(find_inputs(tmp_path))) == 1
    assert len(list(find_inputs(f"{tmp_path}/**/*.png"))) == 1


# Bombs. Those of PNG, GIF and of TIFF's dimensions stand in test_readers_picture.py too.


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def picture(kind, pixels=None, **options):
    stream = io.BytesIO()
    Image.fromarray(PIXELS.astype("u1") if pixels is None else pixels).save(stream, kind, **options)
    return stream.getvalue()


def png_bombs():
    good, much = picture("PNG"), zlib.compress(bytes(10**8), 9)
    flat = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 5000, 5000, 8, 0, 0, 0, 0))
    return {
        "pixels.png": flat + chunk(b"IDAT", zlib.compress(bytes(5000 * 5001), 9)) + chunk(b"IEND", b""),
        "text.png": good[:33] + chunk(b"zTXt", b"a\0\0" + much) + good[33:],
        "profile.png": good[:33] + chunk(b"iCCP", b"a\0\0" + much) + good[33:],
        "tail.png": good[:-12] + chunk(b"iTXt", b"a\0\1\0\0\0" + much) + good[-12:],
        "frames.png": good[:33] + chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)) + good[33:],
    }


def tiff(compression, width=48, extra=()):
    tags = {
        256: width,
        257: width,
        258: 8,
        259: compression,
        262: 1,
        273: 8,
        277: 1,
        278: 2**31 - 1,
        279: 2000,
    }
    tags |= dict(extra)
    body = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + body + bytes(4) + PIXELS.tobytes()


def gif_of_many(n_pictures, width, height):
    turned = [Image.fromarray(np.rot90(PIXELS, k).astype("u1")) for k in range(3)]
    stream = io.BytesIO()
    turned[0].save(stream, "GIF", save_all=True, append_images=turned[1:])
    content = bytearray(stream.getvalue())
    content[6:10] = struct.pack("<HH", width, height)
    first = content.index(b"\x21\xf9")
    return bytes(content[:first]) + bytes(content[first:-1]) * n_pictures + b";"


def jpeg_of_scans(n_scans):
    content = picture("JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * n_scans + b"\xff\xd9"


def bombs():
    return png_bombs() | {
        "canvas.gif": gif_of_many(1, 60_000, 60_000),
        "film.gif": gif_of_many(50, 5000, 5000),
        "scans.jpg": jpeg_of_scans(500),
        "pixels.webp": picture("WEBP", np.zeros((16_000, 8_000), "u1"), lossless=True),
        "pixels.tif": picture("TIFF", np.zeros((20_000, 20_000), "u1"), compression="tiff_adobe_deflate"),
        "strip.tif": tiff(8, 8000),
        "tile.tif": tiff(8, 48, {322: 2**20, 323: 2**20}),
        "lzw.tif": tiff(5, 8000),
        "plain.tif": tiff(1, 30_000),
        "rle.bmp": b"BM"
        + struct.pack("<IHHIIiiHHIIiiII", 200, 0, 0, 54, 40, 5000, 5000, 1, 8, 1, 0, 0, 0, 0, 0)
        + bytes(99),
        "packed.img": gzip.compress(bytes(10**7)),
        "packed.fits": gzip.compress(bytes(10**7)),
        "packed.png": gzip.compress(picture("PNG")),
    }


def test_bombs(tmp_path):
    for name, content in bombs().items():
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, name)


def test_packed_files_are_not_unpacked(tmp_path):
    (tmp_path / "A.fits.gz").write_bytes(gzip.compress(bytes(10**7)))
    refused(tmp_path / "A.fits.gz", "is not an image that is read")
    assert list(find_inputs(tmp_path)) == []


def test_a_picture_of_endless_bytes_is_not_taken_into_memory(tmp_path):
    path = tmp_path / "a.webp"
    path.write_bytes(picture("WEBP"))
    with path.open("r+b") as file:
        file.truncate(MAX_PICTURE_BYTES + 1)  # sparse: costs no disk
    refused(path, "at most")


def test_no_read_asks_for_more_than_there_is(tmp_path):
    """Python sets aside 2 GiB for a read of 2 GiB, whatever the file has (found by fuzz/readers.py)."""
    import tracemalloc

    (tmp_path / "a").write_bytes(b"x" * 100)
    tracemalloc.start()
    with Whole(tmp_path / "a") as file:
        assert file.read(2**31) == b"x" * 100
        file.seek(90)
        assert (file.read(), file.read(5)) == (b"x" * 10, b"")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**6


# Names.


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", "\t=1", "\r=1", "\n=1"]
)
def test_no_cell_of_a_table_is_a_formula(text):
    assert csv_field(text)[0] not in "=+-@\t\r\n"


def test_hostile_names_reach_the_tables_as_text(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    names = [
        "=cmd|' C calc'!A0.png",
        "@x.png",
        "-2+3.png",
        "<script>alert(1)<b>.png",
        'a",b.png',
        "a\nb.png",
    ]
    for name in names:
        (folder / name).write_bytes(b"no picture")
    detect_folder(folder, tmp_path / "out", SpotFinder(), jobs=1)
    with (tmp_path / "out" / "frames.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(names)
    for row in rows:
        assert row["status"] == "failed"
        assert all(value[:1] not in "=+-@\t\r\n" or not value for value in row.values())
        assert all(value.isprintable() for value in row.values())
    page = tmp_path / "out" / "report.html"
    if page.exists():
        assert "<script>alert" not in page.read_text(encoding="utf-8")


# No door: what the package itself never does.

FORBIDDEN_MODULES = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "shelve",
    "marshal",
    "joblib",
    "pty",
    "popen2",
}
FORBIDDEN_CALLS = {
    *("eval", "exec", "compile", "__import__", "execfile"),
    *("os.system", "os.popen", "os.execv", "os.execve", "os.execvp", "os.spawnv", "os.spawnl"),
    *(
        "subprocess.getoutput",
        "subprocess.getstatusoutput",
        "yaml.load",
        "pandas.read_pickle",
        "pd.read_pickle",
    ),
}
FALSE = ast.Constant(False)


def doors(text):
    """What in a source could run what a file says."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom):
            found += [node.module] if (node.module or "").split(".")[0] in FORBIDDEN_MODULES else []
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            keywords = {k.arg: k.value for k in node.keywords}
            if name in FORBIDDEN_CALLS or name.endswith(
                (".to_pickle", ".read_pickle", ".query", "DataFrame.eval")
            ):
                found.append(name)
            if (
                name in ("np.load", "numpy.load")
                and ast.unparse(keywords.get("allow_pickle", node)) != "False"
            ):
                found.append(f"{name} without allow_pickle=False")
            starts = name.rpartition(".")[2] in ("run", "call", "Popen", "check_call", "check_output")
            for word in ("shell", "allow_pickle"):
                if (word != "shell" or starts) and ast.unparse(keywords.get(word, FALSE)) != "False":
                    found.append(f"{word}={ast.unparse(keywords[word])}")
    return found


@pytest.mark.parametrize(
    "text",
    [
        *("import pickle", "from pickle import loads", "eval('1')", "os.system(x)"),
        *("subprocess.run(x, shell=True)", "np.load(x)", "np.load(x, allow_pickle=True)"),
        *("pd.read_pickle(x)", "frame.query(x)"),
    ],
)
def test_a_door_is_seen(text):
    assert doors(text)
    assert not doors("re.compile('x'); np.load(x, allow_pickle=False); ast.literal_eval(x)")


def test_no_pickle_no_eval_no_shell():
    files = [*SOURCE.rglob("*.py"), *FUZZ.rglob("*.py")]
    assert len(files) > 30
    found = {str(path): doors(path.read_text(encoding="utf-8")) for path in files}
    assert {path: names for path, names in found.items() if names} == {}
