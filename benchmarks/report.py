"""How long a large report takes: to write, to open in Chromium, to sort, filter and scroll.

    python benchmarks/report.py [--frames 5000] [--detections 5000] [--keep FOLDER]

Frames, detections and outlines are made up (fixed seed); pictures are eight noise pictures of the usual size,
used in turn. Chromium and its driver must be on the PATH, selenium is part of the extra ``test``. Times are
wall-clock and depend on the machine; nothing is asserted. Prints a line per figure.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from brightspot.catalog import COLUMNS
from brightspot.finder import SpotFinder
from brightspot.frame import Frame
from brightspot.outline import Outline, pack
from brightspot.report import preview, write_report

REASONS = "needs a 36 degree slope; 6 times the local scatter; shade beside it; ends on all sides"


class MadeUp:
    """As many frames and detections as wanted, in memory, with the interface of a journal's results."""

    def __init__(self, folder: Path, n_frames: int, n_detections: int) -> None:
        rng = np.random.default_rng(7)
        self.folder = folder
        self.names = [f"cycle{k // 500}/FC21A{k:07d}_15100114805F1A.IMG" for k in range(n_frames)]
        self.owner = np.sort(rng.integers(0, n_frames, n_detections))
        self.numbers = rng.uniform(size=(n_detections, len(COLUMNS)))
        self.pictures = [preview(noise_frame(rng)) for _ in range(8)]
        angle = np.linspace(0.0, 2.0 * np.pi, 25)
        self.ring = 6.0 * np.cos(angle), 6.0 * np.sin(angle)

    def head(self) -> dict[str, Any]:
        """What a record holds."""
        return {
            "brightspot": "made up",
            "state": "finished",
            "settings": asdict(SpotFinder()),
            "libraries": {},
        }

    def frame_rows(self) -> Iterator[dict[str, Any]]:
        """One in fifty failed."""
        counts = np.bincount(self.owner, minlength=len(self.names))
        for k, name in enumerate(self.names):
            failed = k % 50 == 49
            yield {
                "frame": name, "status": "failed" if failed else "ok", "n_detections": int(counts[k]),
                "reason": f"{name} is truncated: fetch it again" if failed else None,
                "n_x": 1024, "n_y": 1024, "unit": "W m-2 sr-1", "camera": "FC2", "filter": 1,
                "start_time": "2015-04-10T11:48:05.699", "pixel_scale_km": 2.1, "scale_source": "label",
                "scale_conflicts": None, "notes": None, "overlay": None, "seconds": 0.2,
            }  # fmt: skip

    def detection_rows(self) -> Iterator[dict[str, Any]]:
        """Numbers of any size, places all over the frames and the globe."""
        words = {"polarity": "bright", "scale_source": "label", "reasons": REASONS, "flags": "BLEND|EDGE"}
        for k, owner in enumerate(self.owner):
            row: dict[str, Any] = dict(
                zip((c.name for c in COLUMNS), 10.0 * self.numbers[k], strict=True), **words
            )
            row.update(
                frame=self.names[owner],
                detection_id=k + 1,
                x_centroid=1023.0 * self.numbers[k, 0],
                y_centroid=1023.0 * self.numbers[k, 1],
                latitude_deg=180.0 * self.numbers[k, 2] - 90.0,
                longitude_deg=360.0 * self.numbers[k, 3],
                albedo_confidence=self.numbers[k, 4],
            )
            yield row

    def iter_outlines(self) -> Iterator[tuple[str, int, bytes]]:
        """Circles of 24 sides."""
        for k, owner in enumerate(self.owner):
            x, y = (1023.0 * self.numbers[k, i] + self.ring[i] for i in (0, 1))
            yield self.names[owner], k + 1, pack(Outline(k + 1, x, y, None, None, np.zeros((0, 3), np.int32)))

    def previews(self) -> Iterator[tuple[str, bytes]]:
        """The same few pictures in turn."""
        for k, name in enumerate(self.names):
            if k % 50 != 49:
                yield name, self.pictures[k % len(self.pictures)]


def noise_frame(rng: np.random.Generator) -> Frame:
    """Relief-like noise that fills the frame."""
    from scipy.ndimage import gaussian_filter

    image = sum(s * gaussian_filter(rng.normal(size=(1024, 1024)), s) for s in (1.0, 3.0, 10.0, 40.0))
    none = np.zeros(image.shape, bool)
    return Frame("noise", None, (100.0 + 8.0 * image).astype(np.float32), none, none, "DN")


def measure_page(page: Path) -> dict[str, float]:
    """Seconds until the page can be used and is read to its end; milliseconds of what people do in it."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if shutil.which(name):
            options.binary_location = shutil.which(name) or ""
            break
    profile = tempfile.mkdtemp()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1440,900"):
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={profile}")
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        browser.get(page.absolute().as_uri())
        usable, paint, read = browser.execute_script(
            "return [performance.getEntriesByName('ready')[0].startTime,"
            "performance.getEntriesByName('first-contentful-paint')[0]?.startTime,"
            "performance.getEntriesByType('navigation')[0].loadEventEnd]"
        )
        figures = {"first paint, s": (paint or 0) / 1e3, "usable, s": usable / 1e3, "all read, s": read / 1e3}
        for what, script in ACTIONS.items():
            figures[what] = browser.execute_async_script(script)
        memory = browser.execute_script("return performance.memory.usedJSHeapSize")
        return {**figures, "script memory, MB": memory / 1e6}
    finally:
        browser.quit()
        shutil.rmtree(profile, ignore_errors=True)


TIMED = """
const done = arguments[0], t = performance.now();
%s
requestAnimationFrame(() => setTimeout(() => done(performance.now() - t)));
"""

SCROLL = """
const done = arguments[0], box = document.getElementById("spot-grid"), times = [];
let last = performance.now();
function step(now) {
  times.push(now - last);
  last = now;
  box.scrollTop += 700;
  if (times.length < 120) requestAnimationFrame(step);
  else done(times.slice(2).sort((a, b) => a - b)[Math.floor(0.95 * 118)]);
}
requestAnimationFrame(step);
"""

ACTIONS = {
    "sort by a column, ms": TIMED % "document.querySelectorAll('#spot-grid th button')[5].click();",
    "filter, ms": TIMED
    % (
        "const field = document.querySelector('#filters [name=snr]'); field.value = 5;"
        "field.dispatchEvent(new Event('input', { bubbles: true }));"
    ),
    "another row, ms": TIMED % "document.querySelectorAll('#spot-grid tr[data-row]')[4].click();",
    "slowest of 20 refreshes while scrolling, ms": SCROLL,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--detections", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="leave the page in this folder")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    results = MadeUp(folder, options.frames, options.detections)
    start = time.perf_counter()
    page = write_report(results)
    print(f"{options.frames} frames, {options.detections} detections: {page.stat().st_size / 1e6:.1f} MB")
    print(f"{'write, s':>45} {time.perf_counter() - start:8.2f}")
    runs = [measure_page(page) for _ in range(options.repeats)]
    for name in runs[0]:
        print(f"{name:>45} {statistics.median(run[name] for run in runs):8.2f}")
    frame = noise_frame(np.random.default_rng(1))
    times = []
    for _ in range(20):
        start = time.perf_counter()
        preview(frame)
        times.append(time.perf_counter() - start)
    print(f"{'preview of a 1024 x 1024 frame, ms':>45} {1e3 * statistics.median(times):8.2f}")
    if options.keep is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
