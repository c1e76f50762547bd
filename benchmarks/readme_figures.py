"""Make what the README shows: its pictures, its table of columns and its list of flags.

    python benchmarks/readme_figures.py [--tables]

The pictures are drawn from sample images and from two rotations rendered for the purpose (a few minutes);
with ``--tables`` only the tables are filled, from `COLUMNS` and `Flag`.
"""

import re
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from PIL import Image

import brightspot as bs
from brightspot import ceres, simulate
from brightspot.figure import map_figure, save_figure

mpl.use("Agg")

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "sample_images"
IMAGES = ROOT / "images"
MAX_BYTES = 200_000

SURVEY = (("2015-05-04", {}, 12), ("2015-05-16", {"sub_spacecraft_latitude_deg": -50.0}, 8))
"""Rotations for the map: day, changes of the scene, frames."""


def main() -> None:
    """Write the pictures in images/ and the generated parts of README.md."""
    if "--tables" not in sys.argv[1:]:
        IMAGES.mkdir(exist_ok=True)
        for path in gallery():
            shrink(path)
            print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")

    readme = ROOT / "README.md"
    text = readme.read_text()
    rows = "".join(
        f"| `{c.name}` | {c.unit} | {c.meaning.replace('|', chr(92) + '|')} |\n" for c in bs.COLUMNS
    )
    text = fill(text, "columns", f"| column | unit | meaning |\n|---|---|---|\n{rows}")
    text = fill(text, "flags", f"Flags: {', '.join(f'`{flag.name}`' for flag in bs.Flag)}.\n")
    readme.write_text(text)


def gallery() -> list[Path]:
    """One picture of each kind that brightspot draws."""
    april = bs.SpotFinder()(bs.read_frame(next(SAMPLE.glob("FC2*_15105*.IMG"))))
    june = bs.SpotFinder()(bs.read_frame(next(SAMPLE.glob("FC2*_15157*.IMG"))))
    seen = survey()
    table = pd.concat([detection.catalog for detection in seen], ignore_index=True)
    return [
        bs.save_overlay(april, IMAGES / "overlay.png", size_px=900),
        save_figure(bs.show_panels(june)[0].figure, IMAGES / "panels.jpg", dpi=80),
        save_figure(bs.show_montage(seen, most=18).figure, IMAGES / "montage.png", dpi=80),
        save_figure(map_figure(table), IMAGES / "map.png", dpi=100),
        save_figure(bs.show_sizes(table).figure, IMAGES / "sizes.png", dpi=100),
    ]


def survey() -> list[bs.Detection]:
    """What is found in rotations seen from the north and from the south."""
    day_h = 24 * 360.0 / ceres.ORIENTATION.w_rate_deg_day
    found = []
    for day, changes, n in SURVEY:
        scene = simulate.observation_scene(day, **changes)
        for k in range(n):
            frame = simulate.render(simulate.turned(scene, k * day_h / n)).frame
            frame = replace(frame, name=f"{day}, {k + 1} of {n}")
            found.append(bs.SpotFinder()(bs.locate(frame)))
    return found


def fill(text: str, name: str, content: str) -> str:
    """Put ``content`` between the comments ``<!-- name -->`` and ``<!-- end name -->``."""
    pattern = rf"(<!-- {name} -->\n).*?(<!-- end {name} -->)"
    filled, n = re.subn(pattern, lambda match: f"{match[1]}{content}{match[2]}", text, flags=re.DOTALL)
    if n != 1:
        raise SystemExit(f"README.md has no place for {name}")
    return filled


def shrink(path: Path) -> None:
    """One byte per pixel where a PNG is too large: coarser greys under the same colours, or 256 in all."""
    for step in (1, 2, 4, 8, 16):
        if path.suffix != ".png" or path.stat().st_size <= MAX_BYTES:
            return
        picture = Image.open(path).convert("RGB")
        pixels = np.asarray(picture).astype(np.uint32)
        grey = np.ptp(pixels, axis=-1) == 0
        pixels[grey] = pixels[grey] // step * step
        colors, index = np.unique(pixels @ np.array([1, 256, 65536], np.uint32), return_inverse=True)
        if len(colors) > 256:
            picture = picture.quantize(256, dither=Image.Dither.NONE)
        else:
            picture = Image.fromarray(index.reshape(grey.shape).astype(np.uint8))
            palette = colors.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3]
            picture.putpalette(palette.ravel().tolist())
        picture.save(path, optimize=True)


if __name__ == "__main__":
    main()
