"""Render the sample images: the articles' views of Ceres in the archive's formats and as pictures.

Run ``python sample_images/make_samples.py [FOLDER]``; seeds are fixed, so the files come out the same.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from brightspot import ceres, simulate
from brightspot.simulate import Rendered

HERE = Path(__file__).parent

APRIL_10 = {"seed": 410}
APRIL_15 = {"seed": 415}
MAY_4 = {"seed": 504}
MAY_16 = {"seed": 516, "shape": (640, 720), "origin_xy": (260.0, 20.0), "center_xy": (251.5, 491.5)}
JUNE_6 = {"seed": 606, "shape": (704, 704), "origin_xy": (200.0, 60.0), "center_xy": (311.5, 451.5)}
DISK = {"seed": 416, "shape": (512, 512), "origin_xy": (256.0, 256.0), "center_xy": (255.5, 255.5)}
ROTATION = {"seed": 219, "shape": (236, 236), "origin_xy": (394.0, 394.0), "center_xy": (117.5, 117.5)}
"""Seeds and, where a whole frame would be larger than it is worth, the subframe kept of each view."""

ROTATION_FRAMES = 9


def view(day: str, **changes: Any) -> Rendered:
    """One observation rendered."""
    return simulate.render(simulate.observation_scene(day, **changes))


def rotation() -> list[Rendered]:
    """Most of a turn of Ceres, from a little before Spot 5 comes over the morning terminator."""
    start = simulate.observation_scene("2015-02-19", **ROTATION)
    day_h = 24 * 360.0 / ceres.ORIENTATION.w_rate_deg_day
    hours = [(0.9 * k / ROTATION_FRAMES - 0.22) * day_h for k in range(ROTATION_FRAMES)]
    return [simulate.render(simulate.turned(start, h)) for h in hours]


def make(folder: Path) -> Iterator[Path]:
    """Write every sample; yields the paths."""
    truth = folder / "truth.csv"
    truth.unlink(missing_ok=True)
    yield from simulate.write(view("2015-04-10", **APRIL_10), folder, "img", level="1A")[:-1]
    yield from simulate.write(view("2015-04-15", **APRIL_15), folder, "img")[:-1]
    disk = view("2015-04-15", **DISK)
    yield from simulate.write(disk, folder, "png", name="ceres_2015-04-15_enlarged", enlarge=2)[:-1]
    yield from simulate.write(view("2015-05-04", **MAY_4), folder, "fits")[:-1]
    may_16 = view("2015-05-16", **MAY_16)
    yield from simulate.write(may_16, folder, "fits", level="1A")[:-1]
    yield from simulate.write(view("2015-05-16", seed=517), folder, "jpg", name="ceres_2015-05-16")[:-1]
    june = view("2015-06-06", **JUNE_6)
    yield from simulate.write(june, folder, "img")[:-1]
    yield from simulate.write(june, folder, "png", name="ceres_2015-06-06")[:-1]
    turn = simulate.write(rotation(), folder, "gif", name="ceres_2015-02-19_rotation", enlarge=2, seconds=0.4)
    yield from turn


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    total = 0
    for path in make(target):
        total += path.stat().st_size
        print(f"{path.stat().st_size / 1e6:7.2f} MB  {path.name}")
    print(f"{total / 1e6:7.2f} MB  in all")
