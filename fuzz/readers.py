"""Tamper with rendered products and watch what the readers make of them.

    python fuzz/readers.py --runs 20000 --seed 1    # child processes with limits of time and memory
    python fuzz/readers.py --first 137 --runs 1 --seed 1 --keep here    # one input again, its files kept
    python fuzz/readers.py --atheris -max_total_time=3600    # guided by coverage (pip install atheris)

An input is a whole product (label and data) in a folder of its own. Input ``i`` of seed ``s`` is always the
same. A reader may give frames or refuse with one line; anything else is a finding: another exception, an
exception of brightspot's own code behind the refusal, a process that dies, more than 5 s of processor time,
more than 1 GiB of memory beyond what the process held before.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import re
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

import brightspot
from brightspot.errors import ReadError
from brightspot.readers import find_inputs, read_frames

Product = dict[str, bytes]
"""Files of one product by name."""

SECONDS = 5
"""Processor time an input may take."""

WALL_SECONDS = 120
"""Time on the clock after which a child counts as blocked; generous, machines are busy."""

EXTRA_BYTES = 2**30
"""Memory an input may take beyond what the process holds before."""

CHUNK = 250
"""Inputs per child process."""

SIDE = 48
"""Rows and columns of the rendered frames."""

SOURCE = str(Path(brightspot.__file__).parent)
NUMBERS = (
    "0", "-1", "1", "2", "15", "16", "17", "47", "48", "49", "255", "256", "1000", "32767", "32769", "65536",
    "2147483647", "2147483648", "-2147483648", "4294967295", "1000000000", "9223372036854775808", "9" * 400,
    "1e9", "1e38", "1e308", "1e999", "-1e308", "1e-320", "nan", "inf", "-inf", "-0.0", "0.5", "48.0", "1.5",
    "0x30", "2#110000#", "16#FF7FFFFB#", "16#FFFFFFFF#", "1_0", "١٢", "4.8E+1", "+48", "048", "4 8", "1,2",
)  # fmt: skip
WORDS = (
    '"N/A"', '"UNK"', "NULL", "()", "(", ")", "{}", '""', '"', "'", "<", ">", "<km>", "5 <m>", "7 <furlong>",
    "(1, 2, 3)", '("N/A", "N/A", "N/A")', "(((((1)))))", "(1 <km>, 2 <m>, 3)", '("A.IMG", 1 <BYTES>)', "None",
    '"../../etc/passwd"', '"/dev/zero"', '("/etc/passwd", 1)', '"."', '"A.IMG/"', '"C:\\\\A.IMG"', '"\\x00"',
    "IMAGE", "UP", "LEFT", "MSB_INTEGER", "PC_REAL", "VAX_REAL", "UNSIGNED_INTEGER", "IEEE754MSBDouble",
    "2015-170T16:15:46.345", "0000-000T00:00:00", "9999-366T23:59:60.999", "é", "\x85", "\x1b[31m", "\ufeff",
    "lambda: 0", "__import__('os')", "[1][0]", "=1+1", "<script>", "&xxe;", '<!DOCTYPE a [<!ENTITY x "x">]>',
    "-" * 3000, "(" * 3000, "1+" * 3000 + "1", "<" * 3000, "LOW" * 3000, " " * 3000, "\n" * 3000, "A" * 3000,
    "^IMAGE", "&lt;", "&",
)  # fmt: skip
BYTES = (
    b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0\0\0",
    b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff",
)  # fmt: skip
FLOODS = (
    b"<", b">", b"(", b'"', b" ", b"A", b"1", b"-", b",", b"\n", b"/*", b"1 <", b"\n^A = 1", b"\n\x0b^A = 1",
    b"\nOBJECT = A", b"\nK = 1", b"<a>", b"<a/>", b"A=", b"LOW", b"IMAGE_", b"''", b"\0", b"\xff\xda",
)  # fmt: skip


class Finding(NamedTuple):
    """An input that a reader did not bear."""

    index: int
    product: str
    what: str


@cache
def products() -> dict[str, Product]:
    """A small rendered product in every format that is read."""
    from brightspot.simulate import observation_scene, render, write

    rendered = render(observation_scene("2015-06-06", shape=(SIDE, SIDE)))
    light = rendered.radiance.astype("<f4")
    grey = np.clip(light / np.percentile(light, 99) * 240, 0, 255).astype("u1")
    found: dict[str, Product] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, level in (("img", "1A"), ("img", "1B"), ("fits", "1A"), ("fits", "1B"), ("gif", "1B")):
            place = Path(folder, kind + level)
            *written, _ = write(rendered, place, kind, level=level, name="A")
            found[f"{kind}-{level}"] = {path.name: path.read_bytes() for path in written}
    found["fits"] = {"A.FIT": found["fits-1B"]["A.FIT"]}
    found["pds3-detached"] = _detached(found["img-1B"]["A.IMG"], light)
    found["pds4"] = {"A.img": bytes(64) + light.tobytes(), "A.xml": PDS4.encode()}
    items = (
        f"FORMAT='REAL' NL={SIDE} NS={SIDE} NB=1 RECSIZE={4 * SIDE} NLB=0 NBB=0 INTFMT='LOW' REALFMT='RIEEE'"
    )
    found["vicar"] = {
        "A.IMG": f"LBLSIZE={8 * SIDE}  {items}".encode().ljust(8 * SIDE, b"\0") + light.tobytes()
    }
    return found | _pictures(grey)


def _detached(img: bytes, light: np.ndarray) -> Product:
    label = img[: img.index(b"\nEND\r\n") + 6]
    label = re.sub(rb"\^IMAGE( *)= \d+", rb'^IMAGE\1= ("A.IMG", 1)', label)
    label = re.sub(rb"\^HISTORY[^\n]*\n", b"", label)
    return {"A.LBL": label, "A.IMG": light[::-1].tobytes()}


PDS4 = f"""<?xml version="1.0" encoding="utf-8"?>
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
   <Axis_Array><axis_name>Line</axis_name><elements>{SIDE}</elements><sequence_number>1</sequence_number></Axis_Array>
   <Axis_Array><axis_name>Sample</axis_name><elements>{SIDE}</elements><sequence_number>2</sequence_number></Axis_Array>
   <Special_Constants><missing_constant>-1.0</missing_constant></Special_Constants>
  </Array_2D_Image></File_Area_Observational>
</Product_Observational>
"""


def _pictures(grey: np.ndarray) -> dict[str, Product]:
    from PIL import Image

    plain = Image.fromarray(grey)
    deep = Image.fromarray(grey.astype("<u2") * 257)
    colour = Image.merge("RGB", (plain, plain, plain.rotate(90)))
    turned = [plain.rotate(angle) for angle in (90, 180)]
    palette = colour.quantize(16)
    series = {"save_all": True, "append_images": turned}
    wanted: dict[str, tuple[Image.Image, str, dict]] = {
        "png8": (plain, "A.png", {}),
        "png16": (deep, "A.png", {}),
        "png-palette": (palette, "A.png", {"transparency": 0}),
        "png-rgba": (colour.convert("RGBA"), "A.png", {}),
        "apng": (plain, "A.png", series),
        "jpeg": (colour, "A.jpg", {"quality": 80}),
        "jpeg-progressive": (plain, "A.jpg", {"progressive": True}),
        "tiff": (plain, "A.tif", {}),
        "tiff16": (deep, "A.tif", {}),
        "tiff-float": (Image.fromarray(grey.astype("<f4")), "A.tif", {}),
        "tiff-lzw": (plain, "A.tif", {"compression": "tiff_lzw", **series}),
        "tiff-deflate": (colour, "A.tif", {"compression": "tiff_adobe_deflate"}),
        "gif": (plain, "A.gif", series),
        "webp": (colour, "A.webp", {"quality": 80}),
        "webp-lossless": (colour, "A.webp", {"lossless": True, **series}),
        "bmp": (plain, "A.bmp", {}),
    }
    found = {}
    for name, (image, file_name, options) in wanted.items():
        stream = io.BytesIO()
        image.save(stream, Image.registered_extensions()[Path(file_name).suffix], **options)
        found[name] = {file_name: stream.getvalue()}
    return found | {"tiff-deep": {"A.tif": _deep_tiff(grey)}}


def _deep_tiff(grey: np.ndarray) -> bytes:
    import tifffile

    stream = io.BytesIO()
    tifffile.imwrite(stream, np.stack([grey.astype("<u2") * 257] * 3, axis=-1), photometric="rgb")
    return stream.getvalue()


# Mutators: each takes bytes and a random source and gives other bytes. Those of text know where labels end.


def _label_end(content: bytes) -> int:
    """Where the text at the beginning of a file ends; 0 where there is none."""
    end = re.search(rb"\nEND\s|\nEND {70}|END {77}|\0{4}|</Product", content[:40000])
    if not re.match(rb"[\t-~]{8}", content):
        return 0
    return end.end() if end else min(len(content), 4000)


def flip_bits(content: bytes, rng: random.Random) -> bytes:
    """One to sixteen bits of the first kilobytes or of the whole file turned over."""
    out = bytearray(content)
    reach = rng.choice((64, 1024, len(out)))
    for _ in range(rng.randint(1, 16)):
        if out:
            out[rng.randrange(min(reach, len(out)))] ^= 1 << rng.randrange(8)
    return bytes(out)


def set_bytes(content: bytes, rng: random.Random) -> bytes:
    """Extreme bytes over a place near the beginning."""
    at, new = rng.randrange(min(len(content), rng.choice((64, 1024, 10**6))) + 1), rng.choice(BYTES)
    return content[:at] + new + content[at + len(new) :]


def cut(content: bytes, rng: random.Random) -> bytes:
    """The file ends early."""
    return content[: rng.randrange(len(content) + 1)]


def drop(content: bytes, rng: random.Random) -> bytes:
    """A stretch is missing."""
    at = rng.randrange(len(content) + 1)
    return content[:at] + content[at + rng.choice((1, 2, 80, 512, 2880)) :]


def repeat(content: bytes, rng: random.Random) -> bytes:
    """A stretch comes again and again."""
    at, length = rng.randrange(len(content) + 1), rng.choice((1, 4, 13, 80, 512, 2880))
    return (
        content[:at] + content[at : at + length] * rng.choice((2, 3, 50, 2000 // length + 1)) + content[at:]
    )


def flood(content: bytes, rng: random.Random) -> bytes:
    """A few bytes, often of the label, again and again: what takes the square of their number shows."""
    end = _label_end(content) or len(content)
    at, length = rng.randrange(end + 1), rng.choice((1, 2, 5, 12, 80))
    piece = content[at : at + length] if rng.random() < 0.6 else rng.choice(FLOODS)
    return content[:at] + piece * (200_000 // max(len(piece), 1)) + content[at:]


def splice(content: bytes, rng: random.Random) -> bytes:
    """The beginning of this file and the end of another format's."""
    other = rng.choice(list(rng.choice(list(products().values())).values()))
    return content[: rng.randrange(len(content) + 1)] + other[rng.randrange(len(other) + 1) :]


def grow(content: bytes, rng: random.Random) -> bytes:
    """Zeros, blanks or noise in the middle or behind."""
    at = rng.choice((len(content), rng.randrange(len(content) + 1)))
    new = rng.choice((b"\0" * 5000, b" " * 3000, rng.randbytes(300), b"\xff" * 300))
    return content[:at] + new + content[at:]


def numbers_in_binary(content: bytes, rng: random.Random) -> bytes:
    """A 16- or 32-bit number, either way round, becomes an extreme one."""
    if len(content) < 8:
        return content
    code = rng.choice(("<H", ">H", "<I", ">I"))
    size = struct.calcsize(code)
    at = rng.randrange(min(len(content), rng.choice((64, 400, 10**6))) - size)
    value = rng.choice((0, 1, 15, 47, 255, 256, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1)) % 2 ** (8 * size)
    return content[:at] + struct.pack(code, value) + content[at + size :]


def png_chunks(content: bytes, rng: random.Random) -> bytes:
    """Header fields of a PNG changed under a right checksum; chunks dropped, doubled, moved, renamed."""
    import zlib

    if not content.startswith(b"\x89PNG"):
        return flip_bits(content, rng)
    chunks, at = [], 8
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks:
        return content
    which, action = rng.randrange(len(chunks)), rng.randrange(4)
    kind, body = chunks[which]
    if action == 0:
        chunks[which] = (kind, numbers_in_binary(body, rng))
    elif action == 1:
        chunks.insert(rng.randrange(len(chunks)), chunks.pop(which))
    elif action == 2:
        chunks[which : which + 1] = [chunks[which]] * rng.choice((0, 2, 30))
    else:
        names = (
            b"tRNS",
            b"PLTE",
            b"gAMA",
            b"iCCP",
            b"zTXt",
            b"acTL",
            b"fcTL",
            b"fdAT",
            b"eXIf",
            b"IDAT",
            b"IEND",
        )
        chunks[which] = (rng.choice(names), body)
    out = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        out += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return out


def _in_label(content: bytes, rng: random.Random, change: Callable[[str], str]) -> bytes:
    """The label changed; half of the time the pixels stay where they were, if it did not grow."""
    end = _label_end(content)
    if not end:
        return flip_bits(content, rng)
    new = change(content[:end].decode("latin-1")).encode(rng.choice(("latin-1", "utf-8")), "backslashreplace")
    return (new.ljust(end) if rng.random() < 0.5 else new) + content[end:]


def label_number(content: bytes, rng: random.Random) -> bytes:
    """A number of the label becomes an extreme one or a word."""

    def change(text: str) -> str:
        found = list(re.finditer(r"(?<![\w.])-?\d+(\.\d+)?(?![\w.])", text))
        if not found:
            return text
        at = rng.choice(found)
        new = rng.choice(NUMBERS if rng.random() < 0.8 else WORDS)
        return text[: at.start()] + new + text[at.end() :]

    return _in_label(content, rng, change)


def label_value(content: bytes, rng: random.Random) -> bytes:
    """What stands behind an equals sign or between tags becomes something odd."""

    def change(text: str) -> str:
        found = list(re.finditer(r"(?<==)[^\r\n=]+|(?<=>)[^<>\n]+(?=</)", text))
        if not found:
            return text
        at = rng.choice(found)
        return text[: at.start()] + rng.choice((" ", "")) + rng.choice(WORDS + NUMBERS) + text[at.end() :]

    return _in_label(content, rng, change)


def label_lines(content: bytes, rng: random.Random) -> bytes:
    """Lines dropped, doubled, repeated a hundred times, swapped, moved."""

    def change(text: str) -> str:
        # FITS headers have lines of 80 characters and no line ends.
        lines = re.findall(r".{80}", text) if "\n" not in text else text.splitlines(keepends=True)
        if len(lines) < 2:
            return text
        i, j, action = rng.randrange(len(lines)), rng.randrange(len(lines)), rng.randrange(5)
        if action == 0:
            del lines[i : i + rng.choice((1, 1, 3, 20))]
        elif action == 1:
            lines[i:i] = [lines[j]] * rng.choice((1, 2, 100))
        elif action == 2:
            lines[i], lines[j] = lines[j], lines[i]
        elif action == 3:
            lines.insert(i, lines.pop(j))
        else:
            rng.shuffle(lines)
        return "".join(lines)

    return _in_label(content, rng, change)


def label_marks(content: bytes, rng: random.Random) -> bytes:
    """Quotes, brackets, units, equals signs and line ends lost, doubled or exchanged."""

    def change(text: str) -> str:
        found = list(re.finditer(r"""["'()<>=/,^{}\r\n:]|<\w+>""", text))
        for at in sorted(rng.sample(found, min(len(found), rng.randint(1, 4))), key=lambda m: -m.start()):
            new = rng.choice(
                ("", at[0] * 2, '"', "(", ")", "<", ">", "=", "\n", "\r", "\t", "/*", "&", "<km>", "<s>")
            )
            text = text[: at.start()] + new + text[at.end() :]
        return text

    return _in_label(content, rng, change)


def encoding(content: bytes, rng: random.Random) -> bytes:
    """The label in another encoding, with a byte order mark, or with other line ends."""

    def change(text: str) -> str:
        action = rng.randrange(5)
        if action == 0:
            return "\xef\xbb\xbf" + text
        if action == 1:
            return text.replace("\r\n", "\n")
        if action == 2:
            return text.replace("\r\n", "\r")
        if action == 3:
            return text.lower() if rng.random() < 0.5 else text.upper()
        return text.encode(rng.choice(("utf-16", "utf-16-le", "utf-32", "utf-7")), "replace").decode(
            "latin-1"
        )

    return _in_label(content, rng, change)


MUTATORS = (
    *(flip_bits, set_bytes, cut, drop, repeat, flood, splice, grow, numbers_in_binary, png_chunks),
    *(label_number, label_number, label_value, label_value, label_lines, label_marks, encoding),
)
"""Those of labels weigh double."""


def mutated(seed: int, index: int) -> tuple[str, Product]:
    """Name of the product it began as, and the files, of one input; the same for the same numbers."""
    rng = random.Random(f"{seed} {index}")
    name = rng.choice(sorted(products()))
    files = dict(products()[name])
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        target = rng.choice(sorted(files))
        files[target] = rng.choice(MUTATORS)(files[target], rng)
    return name, files


# The oracle.


def examine(files: Product, folder: Path) -> tuple[str, str | None]:
    """What a reader made of a product: ``frame``, ``refused`` or ``wrapped``, and a finding where it failed.

    ``wrapped`` is a refusal behind which a library raised what the reader did not expect by name.
    """
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        verdict, problem = _read(folder)
    if heard and not problem:
        problem = (
            f"a warning on the way: {heard[0].message} ({Path(heard[0].filename).name}:{heard[0].lineno})"
        )
    return verdict, problem


def _read(folder: Path) -> tuple[str, str | None]:
    verdict = "refused"
    for item in find_inputs(folder):
        try:
            for frame in read_frames(item):
                verdict = "frame"
                problem = _frame_problem(frame)
                if problem:
                    return verdict, problem
        except ReadError as error:
            problem, wrapped = _refusal_problem(error)
            if problem:
                return "refused", problem
            if wrapped:
                verdict = "wrapped"
        except Exception as error:
            return "raised", "".join(traceback.format_exception(error)[-3:])
    return verdict, None


def _frame_problem(frame: brightspot.Frame) -> str | None:
    if not frame.image.shape == frame.mask.shape == frame.saturated.shape:
        return f"planes of different shapes: {frame.image.shape}, {frame.mask.shape}, {frame.saturated.shape}"
    if frame.image.dtype != np.float32:
        return f"an image of type {frame.image.dtype}"
    if not np.isfinite(frame.image[~frame.mask]).all():
        return "valid pixels that are no numbers"
    return None


def _refusal_problem(error: ReadError) -> tuple[str | None, bool]:
    """What is wrong with a refusal, and whether a library's surprise stands behind it."""
    line = str(error)
    if not line.isprintable() or not 10 < len(line) < 1000:
        return f"a refusal that is no single line: {line[:200]!r}", False
    if "more memory than there is" in line:
        return f"out of memory: {line}", False
    if "of an unknown variety" not in line or error.__cause__ is None:
        return None, False
    last = traceback.extract_tb(error.__cause__.__traceback__)[-1]
    if last.filename.startswith(SOURCE):
        return f"brightspot's own {line} at {Path(last.filename).name}:{last.lineno}", True
    return None, True


def _held_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _child(indices: range, make: Callable[[int], tuple[str, Product]], out: int, seconds: float) -> None:
    """Examine inputs one after the other; the kernel ends this process where one breaks a limit."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    limit = _held_bytes() + EXTRA_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(out, "w") as report:
        for index in indices:
            name, files = make(index)
            report.write(json.dumps(["start", index, name]) + "\n")
            report.flush()
            with tempfile.TemporaryDirectory() as folder:
                before = time.process_time()
                signal.setitimer(signal.ITIMER_PROF, seconds)
                signal.alarm(WALL_SECONDS)
                verdict, problem = examine(files, Path(folder))
                signal.setitimer(signal.ITIMER_PROF, 0)
                signal.alarm(0)
                spent = time.process_time() - before
            report.write(json.dumps(["end", index, name, verdict, problem, spent]) + "\n")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        report.write(json.dumps(["peak", peak]) + "\n")


class Tally:
    """What came of a run of inputs."""

    def __init__(self) -> None:
        self.verdicts: Counter[str] = Counter()
        self.by_product: dict[str, Counter[str]] = {}
        self.findings: list[Finding] = []
        self.slowest = (0.0, -1, "")
        self.peak_bytes = 0

    def count(self, index: int, name: str, verdict: str, problem: str | None, seconds: float) -> None:
        """Add one input."""
        self.verdicts[verdict] += 1
        self.by_product.setdefault(name, Counter())[verdict] += 1
        self.slowest = max(self.slowest, (seconds, index, name))
        if problem:
            self.findings.append(Finding(index, name, problem))

    def __str__(self) -> str:
        width = max(map(len, self.by_product), default=0)
        lines = [f"{n:>{width}}: {dict(sorted(self.by_product[n].items()))}" for n in sorted(self.by_product)]
        total = sum(self.verdicts.values())
        lines.append(f"{total} inputs: {dict(sorted(self.verdicts.items()))}, {len(self.findings)} findings")
        seconds, index, name = self.slowest
        lines.append(f"slowest: {seconds:.2f} s of processor time (input {index}, {name})")
        lines.append(f"largest process: {self.peak_bytes / 2**20:.0f} MiB resident")
        return "\n".join(lines)


def watch(
    indices: range,
    make: Callable[[int], tuple[str, Product]],
    tally: Tally,
    seconds: float = SECONDS,
) -> None:
    """Examine inputs in a child process; one that dies costs its input a finding, and another goes on."""
    while indices:
        inward, outward = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(inward)
            code = 1
            try:
                _child(indices, make, outward, seconds)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(outward)
        current = None
        with os.fdopen(inward) as report:
            for line in report:
                event, *facts = json.loads(line)
                if event == "peak":
                    tally.peak_bytes = max(tally.peak_bytes, facts[0])
                elif event == "end":
                    tally.count(*facts)
                    current = None
                    indices = range(facts[0] + 1, indices.stop)
                else:
                    current = facts
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status == 0:
            return
        if current is None:
            raise RuntimeError(f"the harness itself failed before input {indices.start} (status {status})")
        words = {-signal.SIGPROF: f"hangs: more than {seconds} s of processor time"}
        words[-signal.SIGALRM] = f"blocks: more than {WALL_SECONDS} s"
        tally.count(*current, "died", words.get(status, f"the process died (status {status})"), seconds)
        indices = range(current[0] + 1, indices.stop)


def _warm() -> None:
    """Import what the readers import late, so that children inherit it and their memory is the input's."""
    with tempfile.TemporaryDirectory() as folder:
        for name, files in products().items():
            place = Path(folder, name)
            place.mkdir()
            verdict, problem = examine(files, place)
            if verdict != "frame" or problem:
                raise RuntimeError(f"the untouched product {name} is not read: {verdict} {problem}")


def run(seed: int, first: int, runs: int, keep: Path | None = None) -> Tally:
    """Examine inputs ``first`` to ``first + runs - 1`` of a seed; files of findings go to ``keep``."""
    _warm()
    tally, known = Tally(), 0
    for start in range(first, first + runs, CHUNK):
        watch(range(start, min(start + CHUNK, first + runs)), lambda i: mutated(seed, i), tally)
        for finding in tally.findings[known:]:
            print(f"input {finding.index} ({finding.product}): {finding.what}", flush=True)
        if keep:
            wanted = [f.index for f in tally.findings[known:]] if runs > 1 else [first]
            for index in wanted:
                _save(keep / f"{seed}-{index}", mutated(seed, index)[1])
        known = len(tally.findings)
    return tally


def _save(folder: Path, files: Product) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _corpus(folder: Path) -> Iterator[Path]:
    """The products as inputs for atheris: the first byte is the product's number, the second the file's."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(sorted(products())):
        for k, (file_name, content) in enumerate(sorted(products()[name].items())):
            path = folder / f"{name}-{file_name}"
            path.write_bytes(bytes((number, k)) + content)
            yield path


def guided(arguments: list[str]) -> None:
    """Let atheris look for inputs that reach new code; arguments are those of libFuzzer."""
    import atheris

    _warm()
    names = sorted(products())
    for module in ("labels", "stored", "dawn", "picture", "guards"):
        space = vars(sys.modules[f"brightspot.readers.{module}"])
        for value in list(space.values()):
            if (
                callable(value)
                and getattr(value, "__module__", "") == space["__name__"]
                and hasattr(value, "__code__")
            ):
                with contextlib.suppress(RuntimeError, ValueError):
                    atheris.instrument_func(value)

    def one(data: bytes) -> None:
        if len(data) < 3:
            return
        files = dict(products()[names[data[0] % len(names)]])
        target = sorted(files)[data[1] % len(files)]
        files[target] = data[2:]
        with tempfile.TemporaryDirectory() as folder:
            _, problem = examine(files, Path(folder))
        if problem:
            raise RuntimeError(problem)

    with tempfile.TemporaryDirectory() as corpus:
        longest = max(path.stat().st_size for path in _corpus(Path(corpus)))
        limits = [f"-timeout={SECONDS}", "-rss_limit_mb=2048", f"-max_len={2 * longest}"]
        atheris.Setup([sys.argv[0], *limits, *arguments, corpus], one)
        atheris.Fuzz()


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=1000, help="number of inputs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--keep", type=Path, help="folder for the files of inputs that failed")
    parser.add_argument("--atheris", action="store_true", help="other arguments go to libFuzzer")
    options, others = parser.parse_known_args()
    if options.atheris:
        guided(others)
        return 0
    if others:
        parser.error(f"unknown: {' '.join(others)}")
    start = time.perf_counter()
    tally = run(options.seed, options.first, options.runs, options.keep)
    print(tally)
    print(f"{time.perf_counter() - start:.0f} s")
    return 1 if tally.findings else 0


if __name__ == "__main__":
    sys.exit(main())
