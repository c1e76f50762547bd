"""The report: previews against the light they stand for, the page's safety, the page driven in Chromium."""

import base64
import hashlib
import html.parser
import io
import json
import re
import shutil
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


# The page in a browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
in_browser = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver")

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1440,900",
)  # fmt: skip


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is part of the extra 'test'")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_script_timeout(10)
    yield driver
    driver.quit()


class Driver:
    """What a person does with the page, and what they see."""

    def __init__(self, driver, path) -> None:
        self.driver = driver
        driver.get(path.absolute().as_uri())
        self.data = json.loads(self.js("return document.getElementById('data').textContent"))
        assert self.js("return document.documentElement.dataset.ready") == "yes"

    def js(self, script, *values):
        return self.driver.execute_script(script, *values)

    def settle(self) -> None:
        self.driver.execute_async_script(
            "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(arguments[0])))"
        )

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def click(self, selector) -> None:
        self.js(
            "document.querySelector(arguments[0]).scrollIntoView({block: 'center', behavior: 'instant'})",
            selector,
        )
        self.find(selector).click()
        self.settle()

    def keys(self, selector, *keys) -> None:
        self.js("document.querySelector(arguments[0]).focus()", selector)
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)
        self.settle()

    def fill(self, name, value) -> None:
        self.js(
            "const f = document.querySelector('#filters').elements[arguments[0]]; f.value = arguments[1];"
            "f.dispatchEvent(new Event('input', {bubbles: true}))",
            name, value,
        )  # fmt: skip
        self.settle()

    def rows(self) -> list[int]:
        return self.js(
            "return [...document.querySelectorAll('#spot-grid tr[data-row]')].map((r) => +r.dataset.row)"
        )

    def selected(self) -> int | None:
        """The row that is marked in the table, if it is in sight."""
        return self.js(
            "const r = document.querySelector('#spot-grid tr[aria-selected=true]');"
            "if (!r) return null;"
            "const a = r.getBoundingClientRect(), b = r.closest('.grid').getBoundingClientRect();"
            "return a.top >= b.top - 1 && a.bottom <= b.bottom + 1 ? +r.dataset.row : 'out of sight'"
        )

    def view(self) -> list[float]:
        return [float(v) for v in self.attribute("#picture", "viewBox").split()]

    def attribute(self, selector, name) -> str:
        return self.js(
            "return document.querySelector(arguments[0]).getAttribute(arguments[1])", selector, name
        )

    def values(self, name) -> list:
        return self.data["detections"]["values"][name]

    def color(self, selector, name) -> str:
        return self.js(
            "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]", selector, name
        )


@pytest.fixture(scope="module")
def shared_page(chromium, path):
    return path


@pytest.fixture
def site(chromium, shared_page):
    driver = Driver(chromium, shared_page)
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    yield driver
    assert [entry for entry in chromium.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    assert driver.js("return window.hacked") is None


@in_browser
def test_sorting(site):
    snr = site.values("snr")
    assert site.rows() == sorted(range(N_SPOTS), key=lambda k: -snr[k])[: len(site.rows())]
    assert len(site.rows()) < 60  # the rest are not there
    confidence = site.values("albedo_confidence")
    known = sorted((k for k in range(N_SPOTS) if confidence[k] is not None), key=lambda k: confidence[k])
    head = "#spot-grid th:has([title^='albedo_confidence'])"
    site.click(f"{head} button")
    assert site.rows()[0] == known[-1]
    assert site.find(head).get_attribute("aria-sort") == "descending"
    site.click(f"{head} button")
    assert site.rows()[:5] == known[:5]
    site.keys("#spot-grid table", "\ue010")  # End
    assert confidence[site.selected()] is None  # what is not known comes last either way
    site.click("#spot-grid th:has([title^='frame']) button")
    assert site.rows()[:3] == [0, 1, 2]


@in_browser
def test_filters(site):
    polarity, snr, flags = site.values("polarity"), site.values("snr"), site.values("flags")
    site.fill("polarity", "dark")
    site.fill("snr", "40")
    expected = [k for k in range(N_SPOTS) if polarity[k] == "dark" and snr[k] >= 40]
    assert site.find("#spot-count").text == f"{len(expected)} of {N_SPOTS} detections"
    assert set(site.rows()) <= set(expected)
    site.fill("flag", "!EDGE")
    expected = [k for k in expected if "EDGE" not in flags[k]]
    assert site.find("#spot-count").text == f"{len(expected)} of {N_SPOTS} detections"
    placed = sum(site.values("latitude_deg")[k] is not None for k in expected)
    assert site.find("#map-count").text == f"{placed} of {N_SPOTS} detections shown"
    site.fill("text", "no such word")
    assert site.rows() == [] and "No detection passes" in site.find("#spot-grid").text
    site.click("#filters [type=reset]")
    assert site.find("#spot-count").text == f"{N_SPOTS} detections"


@in_browser
def test_a_row_shows_its_spot(site):
    row = site.rows()[7]
    site.click(f"#spot-grid tr[data-row='{row}']")
    assert site.selected() == row
    x, y = site.values("x_centroid")[row], site.values("y_centroid")[row]
    left, top, width, height = site.view()
    assert left < x < left + width and top < y < top + height and width < 300
    assert float(site.attribute("#target", "cx")) == x
    chosen = site.js("return [...document.querySelectorAll('#lines .selected')].map((g) => +g.dataset.spot)")
    assert chosen == [row]
    assert len(site.attribute("#picture image", "href")) > 1000
    assert "Detection" in site.find("#spot-details").text and "made up" in site.find("#spot-details").text
    frame = site.data["frame_of_spot"][row]
    assert site.find("#frame-number").text.startswith(f"{frame + 1} /")


@in_browser
def test_a_spot_shows_its_row(site):
    # A row far down the table, in the frame that is shown.
    here = site.js("return [...document.querySelectorAll('#lines g')].map((g) => +g.dataset.spot)")
    spot = min(here, key=lambda k: site.values("snr")[k])
    assert site.selected() != spot
    point = site.js(
        "const p = document.querySelector(`#lines g[data-spot='${arguments[0]}'] .line`);"
        "document.getElementById('stage').scrollIntoView({block: 'center', behavior: 'instant'});"
        "const b = p.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]",
        spot,
    )
    from selenium.webdriver import ActionChains

    actions = ActionChains(site.driver)
    actions.w3c_actions.pointer_action.move_to_location(*map(round, point))
    actions.click().perform()
    site.settle()
    assert site.selected() == spot


@in_browser
def test_the_map_shows_a_row_too(site):
    row = next(k for k in site.rows() if site.values("latitude_deg")[k] is not None)
    point = site.js(
        "document.getElementById('map-stage').scrollIntoView({block: 'center', behavior: 'instant'});"
        "const b = document.getElementById('map-canvas').getBoundingClientRect();"
        "return [b.x + b.width * arguments[0] / 360, b.y + b.height * (90 - arguments[1]) / 180]",
        site.values("longitude_deg")[row], site.values("latitude_deg")[row],
    )  # fmt: skip
    from selenium.webdriver import ActionChains

    actions = ActionChains(site.driver)
    actions.w3c_actions.pointer_action.move_to_location(*map(round, point))
    actions.click().perform()
    site.settle()
    found = site.selected()
    away = np.hypot(*(site.values(n)[found] - site.values(n)[row] for n in ("longitude_deg", "latitude_deg")))
    assert away < 2.0


@in_browser
def test_the_keyboard_walks_zooms_and_pans(site):
    order = sorted(range(N_SPOTS), key=lambda k: -site.values("snr")[k])
    down, up, end, home = "\ue015", "\ue013", "\ue010", "\ue011"
    site.keys("#spot-grid table", down, down, up, down)
    assert site.selected() == order[2]
    assert (
        site.js("return document.activeElement.getAttribute('aria-activedescendant')")
        == f"spot-grid-{order[2]}"
    )
    site.keys("#spot-grid table", end)
    assert site.selected() == order[-1]
    site.keys("#spot-grid table", home, "0")
    whole = site.view()
    assert site.selected() == order[0] and whole[2] >= 640
    site.keys("#spot-grid table", "+")
    assert site.view()[2] == pytest.approx(whole[2] / 1.5)
    site.keys("#stage", "+")
    before = site.view()
    assert before[2] == pytest.approx(whole[2] / 2.25)
    site.keys("#stage", "\ue014")  # right
    assert site.view()[0] > before[0] and site.view()[1] == before[1]
    site.keys("#stage", "-", "0")
    assert site.view() == whole
    assert site.color("#stage", "outlineStyle") == "solid"  # focus is seen


@in_browser
def test_tab_reaches_everything_in_the_order_of_the_page(site):
    site.js("document.activeElement.blur(); scrollTo(0, 0)")
    seen = []
    for _ in range(45):
        site.driver.switch_to.active_element.send_keys("\ue004")
        seen.append(
            site.js(
                "const e = document.activeElement;"
                "return e.id || e.name || e.getAttribute('role') || e.textContent"
            )
        )
        if seen[-1] == "map-stage":
            break
    wanted = [
        "Skip to the detections",
        "theme",
        "text",
        "polarity",
        "flag",
        "grid",
        "previous",
        "stage",
        "stretch",
    ]
    assert [name for name in dict.fromkeys(seen) if name in wanted] == wanted
    assert seen[-1] == "map-stage"


@in_browser
def test_mouse_and_buttons_zoom_and_pan(site):
    from selenium.webdriver import ActionChains

    site.click(".picture-panel [data-key='0']")
    whole = site.view()
    site.click(".picture-panel [data-key='+']")
    zoomed = site.view()
    assert zoomed[2] == pytest.approx(whole[2] / 1.5)
    stage = site.find("#stage")
    ActionChains(site.driver).drag_and_drop_by_offset(stage, 40, 30).perform()
    site.settle()
    assert site.view()[0] < zoomed[0] and site.view()[1] < zoomed[1]
    selected = site.selected()
    site.js(
        "const s = document.getElementById('stage'); s.focus();"
        "s.dispatchEvent(new WheelEvent('wheel', {deltaY: -300, clientX: 900, clientY: 400, bubbles: true}))"
    )
    site.settle()
    assert site.view()[2] < zoomed[2]
    assert site.selected() == selected  # a drag is no click


@in_browser
def test_stretches_brighten_in_their_own_way(site):
    tables = {}
    for name in ("linear", "log", "contrast"):
        site.click(f"#stretch label:has([value={name}])")
        text = site.attribute("feFuncR", "tableValues")
        tables[name] = np.array([float(v) for v in text.split()])
        assert (np.diff(tables[name]) >= 0).all() and tables[name][0] == 0 and tables[name][-1] == 1
    grey = np.linspace(0, 1, len(tables["linear"]))
    assert np.abs(tables["linear"] - grey**2).max() < 1e-3
    assert tables["log"][30] > tables["linear"][30] + 0.05
    assert not np.allclose(tables["contrast"], tables["linear"], atol=0.02)


@in_browser
def test_dark_and_light(site):
    def paper() -> int:
        return sum(int(v) for v in re.findall(r"\d+", site.color("body", "backgroundColor"))[:3])

    for scheme, light in (("dark", False), ("light", True)):
        site.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        assert (paper() > 380) == light
    site.click("#theme label:has([value=dark])")
    assert paper() < 380
    site.click("#theme label:has([value=light])")
    assert paper() > 380


@in_browser
def test_hostile_names_are_shown_as_text(site):
    name = site.data["frames"]["values"]["frame"][0]
    assert "<img src=x" in name
    title = site.find("#picture-title").get_attribute("title")
    assert "<img src=x" in title and "\u202e" not in title and "\n" not in title
    assert "</script><img" in site.find("#frame-details").text
    assert site.js("return document.images.length") == 0


@in_browser
def test_frames_failures_and_reasons(site):
    site.js(
        "const f = document.querySelector('#frame-filters'); f.elements.status.value = 'failed';"
        "f.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    site.settle()
    assert site.find("#frame-count").text == f"1 of {N_FRAMES + 2} frames"
    site.click("#frame-grid tr[data-row]")
    assert "is <b>cut</b> off" in site.find("#frame-details").text
    assert "is failed: no picture" in site.find("#no-picture").text
    assert "is <b>cut</b> off" in site.find(".failures").text


@in_browser
def test_scrolling_far_shows_what_is_there(site):
    site.js("document.getElementById('spot-grid').scrollTop = 1e9")
    site.settle()
    order = sorted(range(N_SPOTS), key=lambda k: -site.values("snr")[k])
    assert site.rows()[-1] == order[-1] and len(site.rows()) < 60


@in_browser
def test_nothing_overflows_on_a_phone(site):
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    site.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    site.settle()
    assert site.js("return [innerWidth, document.documentElement.scrollWidth]") == [390, 390]
    wide = site.js(
        "return [...document.querySelectorAll('main *:not(.grid *, svg *, summary, legend, .choices *)')]"
        ".filter((e) => e.getBoundingClientRect().right > 391).map((e) => e.id || e.className || e.tagName)"
    )
    assert wide == []


@in_browser
def test_pictures_beside_the_page_are_loaded_from_disk(chromium, tmp_path):
    make_results(tmp_path / "run", n_frames=2, n_spots=4)
    site = Driver(chromium, write(tmp_path / "run", embedded_bytes=0))
    wait = (
        "const done = arguments[0], i = document.querySelector('#picture image');"
        "const old = i.getAttribute('href'), fresh = document.createElementNS(i.namespaceURI, 'image');"
        "fresh.addEventListener('load', () => done('loaded'));"
        "fresh.addEventListener('error', () => done('error'));"
        "fresh.setAttribute('href', old); i.parentNode.append(fresh);"
    )
    assert site.driver.execute_async_script(wait) == "loaded"
    shutil.rmtree(tmp_path / "run" / "report_files")
    site = Driver(chromium, tmp_path / "run" / "report.html")
    assert site.driver.execute_async_script(wait) == "error"
    assert "cannot be read" in site.find("#no-picture").text


@in_browser
def test_a_run_without_detections_says_so(chromium, tmp_path):
    make_results(tmp_path / "run", n_frames=2, n_spots=0)
    site = Driver(chromium, write(tmp_path / "run"))
    assert "No spot was found" in site.find("#spot-grid").text
    assert "No detection has a latitude" in site.find("#no-map").text
    assert site.find("#frame-number").text == "1 / 4"
    errors = [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"]
    assert [entry for entry in errors if "ERR_FILE_NOT_FOUND" not in entry["message"]] == []
