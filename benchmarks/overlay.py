"""How long the picture of a frame takes: ``python benchmarks/overlay.py [FRAMES]``.

`save_overlay` paints with numpy and Pillow. Against it stands the same picture drawn by matplotlib (what
`save_overlay` does for .pdf and .svg) and saved as PNG. Samples and rendered frames, one thread, median and
least processor time of calls taken in turns; the search itself is shown for comparison.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import brightspot as bs
from brightspot.figure.axes import overlay_figure
from brightspot.figure.overlay import picture_size

SAMPLES = Path(__file__).parents[1] / "sample_images"
NAMES = ("FC21B9900415*.IMG", "FC21B9900606*.IMG", "FC21A9900516*.LBL", "ceres_2015-05-16.jpg")


def milliseconds(calls: dict[str, Callable[[], object]], repeats: int = 9) -> dict[str, tuple[float, float]]:
    """Median and least processor time of each call."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for n in range(repeats + 1):
        for name, call in calls.items():
            start = time.process_time()
            call()
            if n:
                times[name].append(1e3 * (time.process_time() - start))
    return {name: (statistics.median(values), min(values)) for name, values in times.items()}


def line(path: Path, folder: Path) -> str:
    """A row of the table."""
    frame, finder = bs.read_frame(path), bs.SpotFinder()
    detection = finder(frame)
    size = picture_size(frame.shape, None)
    drawn, painted = folder / "drawn.png", folder / "painted.png"

    def draw() -> None:
        figure = overlay_figure(detection, stretch="asinh", size=size, cutouts=True)
        figure.savefig(drawn, dpi=100, pil_kwargs={"compress_level": 3})

    took = milliseconds(
        {
            "search": lambda: finder(frame),
            "matplotlib": draw,
            "painted": lambda: bs.save_overlay(detection, painted),
        }
    )
    old, new = took["matplotlib"], took["painted"]
    return (
        f"{path.name[:33]:34s}{'x'.join(map(str, frame.shape[::-1])):>12s}{len(detection.catalog):6d}"
        f"{took['search'][0]:6.0f} ms{old[0]:7.0f}/{old[1]:3.0f} ms{new[0]:9.0f}/{new[1]:3.0f} ms"
        f"{drawn.stat().st_size // 1000:7d}/{painted.stat().st_size // 1000}   {old[0] / new[0]:.1f} times"
    )


def main(paths: list[Path]) -> None:
    """Measure and print."""
    head = f"{'frame':34s}{'pixels':>12s}{'spots':>6s}{'search':>9s}{'matplotlib':>14s}{'painted':>16s}"
    print(f"{head}{'kB':>11s}")
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            print(line(path, Path(folder)))


if __name__ == "__main__":
    main([Path(a) for a in sys.argv[1:]] or [next(SAMPLES.glob(name)) for name in NAMES])
