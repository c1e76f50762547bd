"""Make what the README shows: its picture, its table of columns and its list of flags.

    python benchmarks/readme_figures.py

The picture is what `brightspot show` draws for one sample image; the tables come from `COLUMNS` and `Flag`.
"""

import re
from pathlib import Path

import imageio.v3 as iio
from PIL import Image

import brightspot as bs

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "sample_images"
MAX_BYTES = 400_000


def main() -> None:
    """Write images/overlay.png and the generated parts of README.md."""
    (ROOT / "images").mkdir(exist_ok=True)
    frame = bs.read_frame(next(SAMPLE.glob("FC2*_15105*.IMG")))
    path = bs.save_overlay(bs.SpotFinder()(frame), ROOT / "images" / "overlay.png", size_px=900)
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


def fill(text: str, name: str, content: str) -> str:
    """Put ``content`` between the comments ``<!-- name -->`` and ``<!-- end name -->``."""
    pattern = rf"(<!-- {name} -->\n).*?(<!-- end {name} -->)"
    filled, n = re.subn(pattern, lambda match: f"{match[1]}{content}{match[2]}", text, flags=re.DOTALL)
    if n != 1:
        raise SystemExit(f"README.md has no place for {name}")
    return filled


def shrink(path: Path) -> None:
    """Fewer colours where the file is too large: the outlines keep theirs, greys get coarser."""
    if path.stat().st_size > MAX_BYTES:
        picture = Image.fromarray(iio.imread(path)[..., :3])
        picture.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
