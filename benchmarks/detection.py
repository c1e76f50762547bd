"""Detection on rendered frames whose seeds no fit has seen: recall, precision, calibration, milliseconds.

    python benchmarks/detection.py [--frames 30] [--out benchmarks/output/detection.csv]

Five scales in turn, drawn by ``simulate.random_scene`` (seeds from 200000) and again from its shifted ranges
(rougher ground, more craters, other disk functions, wider PSF). Beside brightspot, ``sep`` in the same run:
background and extraction at its defaults on the same pixels, cut at contrast 1.3 over its background.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import scoring
import sep

from brightspot import simulate
from brightspot.errors import NothingLit
from brightspot.finder import SpotFinder
from brightspot.frame import Frame

ALTITUDES_KM = (33_000.0, 22_000.0, 13_600.0, 4_400.0, 1_470.0)
FIRST_SEED = 200_000


def by_brightspot(frame: Frame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centroids and confidences at default settings."""
    try:
        found = SpotFinder(polarity="bright")(frame).catalog
    except NothingLit:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    return tuple(found[c].to_numpy(float) for c in ("x_centroid", "y_centroid", "albedo_confidence"))


def by_sep(frame: Frame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centroids of sep's detections 5 sigma above its background that exceed it by 30 per cent."""
    image = np.ascontiguousarray(frame.image, np.float32)
    background = sep.Background(image, mask=frame.mask)
    objects = sep.extract(image - background.back(), 5.0, err=background.globalrms, mask=frame.mask)
    level = background.back()[objects["ypeak"], objects["xpeak"]]
    good = objects["peak"] > 0.3 * np.maximum(level, 1e-9)
    return objects["x"][good], objects["y"][good], np.ones(int(good.sum()))


def bare(frame: Frame) -> Frame:
    """The frame as a picture without geometry."""
    return replace(frame, geometry=None)


FINDERS = {
    "brightspot": lambda f: by_brightspot(f),
    "brightspot, no geometry": lambda f: by_brightspot(bare(f)),
    "sep": by_sep,
}


def run(frames: int) -> pd.DataFrame:
    """One row per frame and finder."""
    rows = []
    for shifted in (False, True):
        for k in range(frames):
            altitude = ALTITUDES_KM[k % len(ALTITUDES_KM)]
            rendered = simulate.render(simulate.random_scene(FIRST_SEED + k, altitude, shifted=shifted))
            truth = rendered.truth[rendered.truth["contrast"] > 1.0].reset_index(drop=True)
            for name, finder in FINDERS.items():
                if k == 0:
                    finder(rendered.frame)
                start = time.perf_counter()
                x, y, confidence = finder(rendered.frame)
                spent = time.perf_counter() - start
                counts = scoring.score(truth, x, y)
                right = scoring.pair_up(truth, x, y) >= 0
                rows.append(
                    {
                        "finder": name, "shifted": shifted, "altitude_km": altitude, "seed": FIRST_SEED + k,
                        **counts._asdict(), "ms": 1000.0 * spent,
                        "confidence": " ".join(f"{c:.2f}" for c in confidence),
                        "right": " ".join(str(int(r)) for r in right),
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def line(part: pd.DataFrame) -> str:
    """Precision, recall, F1, median milliseconds."""
    scores = [scoring.Score(*row) for row in part[["found", "missed", "false"]].to_numpy()]
    precision, recall, f1 = scoring.precision_recall_f1(scores)
    return f"precision {precision:.2f}  recall {recall:.2f}  F1 {f1:.2f}  {part['ms'].median():6.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/output/detection.csv"))
    args = parser.parse_args()
    table = run(args.frames)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(args.out, index=False)
    for (shifted, name), part in table.groupby(["shifted", "finder"]):
        print(f"{'shifted' if shifted else 'nominal'}, {name}: {line(part)}")
        for altitude, scale in part.groupby("altitude_km"):
            print(f"    {altitude:8,.0f} km  {line(scale)}")
    ours = table[(table["finder"] == "brightspot") & ~table["shifted"]]
    confidence = np.array([float(v) for row in ours["confidence"].fillna("") for v in row.split()])
    right = np.array([int(v) for row in ours["right"].fillna("") for v in row.split()])
    for low in (0.5, 0.6, 0.7, 0.8, 0.9):
        here = (confidence >= low) & (confidence < low + 0.1 + 1e-9)
        if here.any():
            said, true = confidence[here].mean(), right[here].mean()
            print(f"confidence {low:.1f}+: said {said:.2f}, true {true:.2f} of {here.sum()}")


if __name__ == "__main__":
    main()
