"""The page of a run in a browser: sorting, filters, pictures, map, keyboard."""

import json
import re
import shutil

import numpy as np
import pytest

from test_report import HOSTILE, N_FRAMES, N_SPOTS, make_results, write

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
def shared_page(chromium, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "run <1>"
    make_results(folder, name="f{}" + HOSTILE)
    return write(folder)


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
