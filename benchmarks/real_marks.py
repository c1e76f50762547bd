"""The detector on real pictures against marks set by eye: what was found, missed, and found for nothing.

    python benchmarks/real_marks.py [--pictures FOLDER] [--only NAME ...] [--false] [--draw FOLDER]

The pictures are not part of the repository; ``tests/marks.csv`` lists what a person sees in them:
``verdict`` is spot (albedo), doubt (could be either; counts neither way), slope or artefact; ``wanted`` marks
are those a finder must report. A detection that lies on no spot and on no doubt is false.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from brightspot.errors import NothingLit
from brightspot.finder import SpotFinder
from brightspot.frame import Frame, locate
from brightspot.readers import find_inputs, read_frames

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT.parent / "shared" / "real"
MARKS = ROOT / "tests" / "marks.csv"
MARGIN = 2.0
"""Pixels by which a detection may lie outside a mark's circle."""


class Seen(NamedTuple):
    """One frame against its marks.

    ``found`` (per mark) and ``on`` (per detection: row of its mark, -1 for none) refer to ``marks`` and
    ``catalog`` by position.
    """

    frame: Frame
    marks: pd.DataFrame
    catalog: pd.DataFrame
    found: np.ndarray
    on: np.ndarray

    @property
    def wanted(self) -> np.ndarray:
        """Which marks must be found."""
        return self.marks["wanted"].to_numpy() == "yes"

    @property
    def false(self) -> np.ndarray:
        """Which detections lie on no spot and on no doubt."""
        verdict = np.append(self.marks["verdict"].to_numpy(object), "")
        return ~np.isin(verdict[self.on].astype(str), ["spot", "doubt"])


def read_marks() -> pd.DataFrame:
    """The marks set by eye."""
    return pd.read_csv(MARKS)


def match(marks: pd.DataFrame, catalog: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Which marks have a detection of their polarity in their circle; and each detection's mark.

    A detection in several circles belongs to the one it lies deepest in, as a share of the radius.
    """
    if len(marks) == 0 or len(catalog) == 0:
        return np.zeros(len(marks), bool), np.full(len(catalog), -1)
    gap = np.hypot(
        catalog["x_centroid"].to_numpy(float)[:, None] - marks["x"].to_numpy(float),
        catalog["y_centroid"].to_numpy(float)[:, None] - marks["y"].to_numpy(float),
    )
    same = catalog["polarity"].to_numpy(str)[:, None] == marks["polarity"].to_numpy(str)
    depth = np.where(same, gap / (marks["radius"].to_numpy(float) + MARGIN), np.inf)
    on = np.where(depth.min(axis=1) <= 1.0, depth.argmin(axis=1), -1)
    return (depth <= 1.0).any(axis=0), on


def look(
    pictures: Path = PICTURES, only: tuple[str, ...] = (), finder: SpotFinder | None = None
) -> Iterator[Seen]:
    """Every marked frame, searched."""
    finder = finder or SpotFinder()
    marks = read_marks()
    for name in dict.fromkeys(marks["picture"]):
        path = next(pictures.rglob(name), None)
        if path is None or (only and not any(part in name for part in only)):
            continue
        for item in find_inputs([path]):
            for raw in read_frames(item):
                number = int(raw.name.rpartition("#")[2]) if "#" in raw.name else 0
                here = marks[(marks["picture"] == name) & (marks["frame"] == number)].reset_index(drop=True)
                frame = locate(raw)
                try:
                    catalog = finder(frame).catalog
                except NothingLit:
                    continue
                yield Seen(frame, here, catalog, *match(here, catalog))


def table(seen: list[Seen]) -> pd.DataFrame:
    """One row per frame: wanted marks found and missed, false detections by polarity."""
    rows = []
    for s in seen:
        dark = s.catalog["polarity"].to_numpy(str) == "dark"
        rows.append(
            {
                "frame": s.frame.name,
                "wanted": int(s.wanted.sum()),
                "found": int((s.wanted & s.found).sum()),
                "false": int(s.false.sum()),
                "false_bright": int((s.false & ~dark).sum()),
                "false_dark": int((s.false & dark).sum()),
                "missed": "; ".join(s.marks.loc[s.wanted & ~s.found, "what"]),
            }
        )
    return pd.DataFrame(rows)


def print_false(s: Seen) -> None:
    """Each false detection with what stands there by eye."""
    for k in np.flatnonzero(s.false):
        row = s.catalog.iloc[k]
        what = s.marks["what"].iloc[s.on[k]] if s.on[k] >= 0 else "not marked"
        print(
            f"    false {row['polarity']:6} ({row['x_centroid']:6.1f}, {row['y_centroid']:6.1f})  "
            f"contrast {row['contrast_peak']:.2f}  confidence {row['albedo_confidence']:.2f}  {what}"
        )


def draw(s: Seen, folder: Path) -> None:
    """The frame with marks (green spot, yellow doubt, red slope, grey artefact) and detections (+)."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows, columns = s.frame.shape
    figure = plt.figure(figsize=(columns / 90, rows / 90), dpi=100)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    image = s.frame.image
    shown = (np.clip(image, 0, None) / np.percentile(image, 99.8)) ** 0.6
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    colours = {"spot": "lime", "doubt": "yellow", "slope": "red", "artefact": "silver"}
    for mark in s.marks.to_dict("records"):
        place = (mark["x"], mark["y"])
        axes.add_patch(plt.Circle(place, mark["radius"], fill=False, lw=0.8, color=colours[mark["verdict"]]))
    axes.plot(s.catalog["x_centroid"], s.catalog["y_centroid"], "c+", ms=7, mew=0.8)
    axes.plot(s.catalog["x_centroid"][s.false], s.catalog["y_centroid"][s.false], "rx", ms=7, mew=0.8)
    axes.axis("off")
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / (s.frame.name.replace("#", "_").rsplit("/", 1)[-1] + ".png"))
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=Path, default=PICTURES, help="folder with the pictures")
    parser.add_argument("--only", nargs="*", default=(), help="parts of picture names")
    parser.add_argument("--false", action="store_true", help="list every false detection")
    parser.add_argument("--draw", type=Path, help="folder for pictures with marks and detections")
    args = parser.parse_args()
    if not args.pictures.is_dir():
        sys.exit(f"{args.pictures} is not a folder; name the one with the pictures by --pictures")
    start = time.perf_counter()
    seen = []
    for s in look(args.pictures, tuple(args.only)):
        seen.append(s)
        row = table([s]).iloc[0]
        missed = f"  missed: {row['missed']}" if row["missed"] else ""
        print(
            f"{row['frame']:30} found {row['found']} of {row['wanted']}  false {row['false']:2d} "
            f"({row['false_bright']} bright, {row['false_dark']} dark){missed}"
        )
        if args.false:
            print_false(s)
        if args.draw:
            draw(s, args.draw)
    if not seen:
        sys.exit(f"{args.pictures} holds none of the marked pictures")
    total = table(seen)
    group = total["frame"].str.replace(r"#.*", "", regex=True).str.replace(r"_\d{3}\.", "_*.", regex=True)
    print()
    for name, part in total.groupby(group, sort=False):
        print(
            f"{name:30} found {part['found'].sum()} of {part['wanted'].sum()}, false {part['false'].sum()} "
            f"in {len(part)} frames (at most {part['false'].max()} in one)"
        )
    print(f"{time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
