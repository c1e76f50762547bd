"""The report: previews against the light they stand for, the page's safety, the page driven in Chromium."""

import base64
import hashlib
import html.parser
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from brightspot import cli, report
from brightspot.batch import detect_folder, merge_folders
from brightspot.catalog import COLUMNS
from brightspot.frame import Frame
from brightspot.journal import Entry, FrameRows, Journal, open_results
from brightspot.outline import Outline, pack

HOSTILE = '</script><img src=x onerror="window.hacked=1">"\'&amp;\n\u2028\u202eIMG'
N_FRAMES, N_SPOTS = 12, 600


def make_frame(image, **changes) -> Frame:
    image = np.asarray(image, np.float32)
    none = np.zeros(image.shape, bool)
    return Frame(**{"name": "a", "path": None, "image": image, "mask": none, "saturated": none, "unit": "DN",
                    **changes})  # fmt: skip


def light_of(jpeg: bytes) -> np.ndarray:
    return (np.asarray(Image.open(io.BytesIO(jpeg)), float) / 255.0) ** 2


def ramp_frame(shape=(300, 400)) -> Frame:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return make_frame(100.0 + x + 0.1 * y)


# Previews


def test_a_preview_keeps_light_as_the_square_of_its_grey():
    frame = ramp_frame()
    light = light_of(report.preview(frame))
    assert light.shape == frame.shape
    expected = (frame.image - frame.image.min()) / np.ptp(frame.image)
    assert np.abs(light - expected).max() < 0.04
    shown = report.read_shown(report.preview(frame))
    assert shown[:4] == (-0.5, -0.5, 400.0, 300.0)
    assert 0.0 <= shown.low < 0.2 < 0.9 < shown.high <= 1.0


def test_a_large_frame_shrinks_and_a_small_body_is_cut_out():
    frame = ramp_frame((600, 1200))
    assert Image.open(io.BytesIO(report.preview(frame))).size == (512, 256)
    y, x = np.mgrid[:800, :800]
    ball = make_frame(np.where(np.hypot(x - 500, y - 300) < 100, 1000.0, 10.0))
    jpeg = report.preview(ball)
    shown = report.read_shown(jpeg)
    assert shown.left < 400 and shown.top < 200 and shown.width < 400
    assert shown.left + shown.width > 600 and shown.top + shown.height > 400
    light = light_of(jpeg)
    middle = light[int(299.5 - shown.top), int(499.5 - shown.left)]
    assert middle > 0.9 and light[2, 2] < 0.02


def test_a_facula_is_white_and_its_surroundings_are_not_black():
    image = np.full((256, 256), 100.0) + np.random.default_rng(1).normal(0, 5, (256, 256))
    image[:40] = 0.0
    image[100:120, 100:120] = 500.0
    image[200, 200] = 1e6  # a cosmic ray
    light = light_of(report.preview(make_frame(image)))
    assert light[110, 110] > 0.9
    assert 0.1 < light[60, 60] < 0.35


def test_masked_pixels_are_black_and_set_no_level():
    frame = ramp_frame()
    mask = np.zeros(frame.shape, bool)
    mask[100:160, 100:160] = True
    image = np.where(mask, np.nan, frame.image)
    light = light_of(report.preview(make_frame(image, mask=mask)))
    assert light[110:150, 110:150].max() < 0.01
    assert light[290, 390] > 0.9


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 9), st.integers(1, 9)),
        elements=st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False),
    ),
    st.booleans(),
)
def test_any_frame_has_a_preview(image, masked):
    shown = report.read_shown(report.preview(make_frame(image, mask=np.full(image.shape, masked))))
    assert 1 <= shown.height <= image.shape[0] and 1 <= shown.width <= image.shape[1]
    assert np.isfinite(shown).all()


def test_other_bytes_are_no_preview():
    file = io.BytesIO()
    Image.new("L", (4, 4)).save(file, "JPEG")
    for other in (b"", b"GIF89a", file.getvalue()):
        with pytest.raises(ValueError, match="not a preview"):
            report.read_shown(other)


# The page's text


def ring(x: float, y: float, radius: float = 6.0) -> bytes:
    angle = np.linspace(0, 2 * np.pi, 17)
    return pack(
        Outline(
            1, x + radius * np.cos(angle), y + radius * np.sin(angle), None, None, np.zeros((0, 3), np.int32)
        )
    )


def made_up_spots(n: int, seed: int = 5) -> list[dict]:
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(n):
        row = {c.name: float(v) for c, v in zip(COLUMNS, rng.uniform(0.1, 9, len(COLUMNS)), strict=True)}
        row.update(
            detection_id=k + 1, polarity="dark" if k % 3 == 2 else "bright", scale_source="label",
            reasons=f"made up {k}", flags="EDGE|BLEND" if k % 2 else "",
            snr=round(float(rng.uniform(3, 90)), 3),
            x_centroid=50.0 + 70 * (k % 8), y_centroid=60.0 + 60 * (k // 8 % 7), diameter_halfmax=12.0,
            albedo_confidence=None if k % 7 == 0 else float(rng.uniform()),
            latitude_deg=None if k % 5 == 0 else float(rng.uniform(-80, 80)),
            longitude_deg=None if k % 5 == 0 else float(rng.uniform(0, 360)),
        )  # fmt: skip
        rows.append(row)
    return rows


def make_results(folder, *, n_frames=N_FRAMES, n_spots=N_SPOTS, name="frame {}.img") -> None:
    """A journal with frames that went well, one that failed and one of another body."""
    folder.mkdir(exist_ok=True)
    book = Journal(folder)
    jpeg = report.preview(ramp_frame((480, 640)))
    settings = {"preset": "relative30", "note": HOSTILE}
    record = {"brightspot": "0.1.0", "state": "finished", "settings": settings,
              "runs": [{"finished": "2026-01-02T03:04:05+00:00", "seconds": 12.0}]}  # fmt: skip
    book.put(record=record)
    for k in range(n_frames):
        frame = name.format(k)
        spots = [{**row, "frame": frame} for row in made_up_spots(n_spots // n_frames, seed=k)]
        row = {"frame": frame, "status": "ok", "n_detections": len(spots), "n_x": 640, "n_y": 480,
               "pixel_scale_km": 0.5, "scale_source": "label",
               "start_time": "2015-04-15T01:02:03.5"}  # fmt: skip
        outlines = [ring(spot["x_centroid"], spot["y_centroid"]) for spot in spots]
        book.commit(entry_of(frame), [FrameRows(row, spots, outlines, jpeg)])
    bad = {"frame": f"zz {HOSTILE}", "status": "failed", "reason": f"zz {HOSTILE}: is <b>cut</b> off"}
    book.commit(entry_of("bad"), [FrameRows(bad)])
    vesta = {"frame": "zzz vesta.img", "status": "skipped", "reason": "target is VESTA, not Ceres"}
    book.commit(entry_of("vesta"), [FrameRows(vesta)])
    book.close()


def entry_of(name: str) -> Entry:
    return Entry(name, f"/images/{name}", "s", "d", "x", "0.1.0")


def write(folder, **options):
    with open_results(folder) as results:
        return report.write_report(results, **options)


class Page(html.parser.HTMLParser):
    """Elements and texts of a page, as a browser's parser takes them apart."""

    def __init__(self, path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.scripts: list[tuple[dict, str]] = []
        self.text = ""
        self.style = ""
        self.inside = ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self.inside == "style":
            self.style += data
        else:
            self.text += data

    def data(self) -> dict:
        (found,) = [text for attributes, text in self.scripts if attributes.get("id") == "data"]
        return json.loads(found)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "run <1>"
    make_results(folder, name="f{}" + HOSTILE)
    return folder


@pytest.fixture(scope="module")
def path(results):
    return write(results)


def test_the_data_of_the_page_are_the_journals(results, path):
    data = Page(path).data()
    with open_results(results) as opened:
        frames, detections = list(opened.frame_rows()), list(opened.detection_rows())
    assert data["frames"]["values"]["frame"] == [row["frame"] for row in frames]
    assert [frames[k]["frame"] for k in data["frame_of_spot"]] == [row["frame"] for row in detections]
    for name in ("snr", "latitude_deg", "polarity", "flags", "detection_id", "albedo_confidence"):
        shown, kept = data["detections"]["values"][name], [row[name] for row in detections]
        assert [v is None for v in shown] == [v is None for v in kept]
        pairs = [(a, b) for a, b in zip(shown, kept, strict=True) if b is not None]
        assert all(a == (pytest.approx(b, rel=1e-6) if isinstance(b, float) else b) for a, b in pairs)
    assert {c["name"] for c in data["detections"]["columns"]} == {c.name for c in COLUMNS}
    assert len(data["outlines"]) == len(detections)


def test_outlines_are_where_they_were_traced(path):
    data = Page(path).data()
    steps = data["steps_per_pixel"]
    for k in (0, 17):
        numbers = [int(n) for n in re.findall(r"-?\d+", data["outlines"][k])]
        points = np.cumsum(np.reshape(numbers, (-1, 2)), axis=0) / steps
        x, y = (data["detections"]["values"][name][k] for name in ("x_centroid", "y_centroid"))
        assert np.abs(np.hypot(*(points - (x, y)).T) - 6.0).max() < 1.0 / steps
        assert data["outlines"][k].count("z") == 1


def test_hostile_names_stay_text(path):
    page = Page(path)
    assert 'onerror="window.hacked=1"' in page.text  # told among the failures, as text
    assert not [tag for tag, _ in page.elements if tag in ("img", "b", "iframe", "object")]
    assert not [a for _, a in page.elements if any(key.startswith("on") for key in a)]
    assert page.data()["frames"]["values"]["frame"][-2] == f"zz {HOSTILE}"
    assert all(c not in page.source for c in "\u2028\u2029")
    assert len(page.scripts) == 2 + N_FRAMES


@given(st.text() | st.lists(st.text()))
def test_json_in_a_script_ends_nothing(value):
    text = report.script_json(value)
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


def test_the_policy_allows_this_style_and_this_script_only(path):
    page = Page(path)
    policy = next(a["content"] for t, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    (script,) = [text for attributes, text in page.scripts if "type" not in attributes]
    for kind, text in (("script", script), ("style", page.style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_the_page_asks_nothing_of_any_network(path):
    page = Page(path)
    for _, attributes in page.elements:
        for name in ("src", "href", "action", "srcset"):
            assert re.match(r"#|data:|$", attributes.get(name) or "")
    assert "@import" not in page.style and "url(" not in page.style
    script = "".join(text for attributes, text in page.scripts if "type" not in attributes)
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(",
                 "XMLHttpRequest", "new Function", "import("):  # fmt: skip
        assert word not in script


def test_every_control_has_a_name(path):
    page = Page(path)
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert page.elements[1] == ("html", {"lang": "en"}) or page.elements[0] == ("html", {"lang": "en"})
    for tag, attributes in page.elements:
        if tag == "button":
            assert attributes.get("aria-label") or attributes.get("type") == "reset"


def test_pictures_without_room_stand_beside_the_page(tmp_path):
    make_results(tmp_path / "run", n_spots=24)
    size = 4 * -(-len(report.preview(ramp_frame((480, 640)))) // 3)
    page = Page(write(tmp_path / "run", embedded_bytes=5 * size))
    assert len(page.scripts) == 2 + 5
    beside = [p["file"] for p in page.data()["pictures"] if p and "file" in p]
    assert len(beside) == N_FRAMES - 5
    assert "7 frames more are in the folder report_files" in page.text
    for file in beside:
        assert report.read_shown((tmp_path / "run" / file).read_bytes()).width == 640
    (tmp_path / "run" / "report_files" / "mine.txt").write_text("stays")
    assert len(Page(write(tmp_path / "run")).scripts) == 2 + N_FRAMES
    assert [p.name for p in (tmp_path / "run" / "report_files").iterdir()] == ["mine.txt"]


def test_a_run_without_frames_has_a_page(tmp_path):
    book = Journal(tmp_path)
    book.put(record={"state": "running", "settings": {}})
    book.close()
    page = Page(write(tmp_path))
    assert "No frame was finished" in page.text and "The run was running" in page.text


def test_the_command_makes_the_page_again(tmp_path, capsys):
    make_results(tmp_path / "run", n_spots=12)
    assert cli.run(["report", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "run" / "report.html")
    assert (tmp_path / "run" / "report.html").stat().st_size > 50_000
    assert cli.run(["report", str(tmp_path)]) == 2
    assert "no results of brightspot" in capsys.readouterr().err


def test_a_run_leaves_a_page_and_a_merge_keeps_its_pictures(tmp_path):
    image = Path(__file__).parents[1] / "sample_images" / "ceres_2015-06-06.png"
    summary = detect_folder(image, tmp_path / "a", overlays=False)
    merge_folders([tmp_path / "a"], tmp_path / "b")
    for folder in ("a", "b"):
        page = Page(tmp_path / folder / "report.html")
        assert len(page.data()["outlines"]) == summary.n_detections > 0
        assert all(page.data()["outlines"])
        (text,) = [text for attributes, text in page.scripts if attributes.get("type") == "text/plain"]
        assert report.read_shown(base64.b64decode(text)) == report.Shown(**page.data()["pictures"][0])
