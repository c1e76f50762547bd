"""What counts as found: detections of a rendered frame against its truth."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

LEAST_CONTRAST = 1.3
LEAST_DIAMETER = 2.5
GREATEST_INCIDENCE_DEG = 75.0
GREATEST_EMISSION_DEG = 70.0
GREATEST_SHADOW = 0.3
FAINT_CONTRAST, MOST_SHADOW = 1.2, 0.5
"""Spots fainter or more in shadow than this say nothing about a confidence."""

KINDS = {
    "contrast": (LEAST_CONTRAST, 1.5, 2.0, np.inf),
    "diameter_px": (LEAST_DIAMETER, 4.0, 10.0, np.inf),
    "incidence_deg": (0.0, 50.0, 60.0, GREATEST_INCIDENCE_DEG),
}
"""Where the spots asked for are parted to show what is found of which."""


class Score(NamedTuple):
    """Counts of one frame."""

    found: int
    missed: int
    false: int


def required(truth: pd.DataFrame) -> np.ndarray:
    """Spots that any finder is asked for: lit, on the near side, in the frame, large and bright enough."""
    return np.asarray(
        truth["is_spot"].astype(bool)
        & truth["visible"].astype(bool)
        & (truth["contrast"] >= LEAST_CONTRAST)
        & (seen_diameter(truth) >= LEAST_DIAMETER)
        & (truth["incidence_deg"] < GREATEST_INCIDENCE_DEG)
        & (truth["emission_deg"] < GREATEST_EMISSION_DEG)
        & (truth["shadowed_fraction"] <= GREATEST_SHADOW)
    )


def seen_diameter(truth: pd.DataFrame) -> np.ndarray:
    """Diameter in pixels of the circle that has the spot's area in the picture, foreshortening included."""
    cosine = np.cos(np.radians(np.asarray(truth["emission_deg"], float)))
    return np.asarray(truth["diameter_px"], float) * np.sqrt(np.maximum(cosine, 0.0))


def reach(truth: pd.DataFrame) -> np.ndarray:
    """How far a detection may lie from a spot's centre: two pixels, or half its diameter."""
    return np.maximum(2.0, 0.5 * np.asarray(truth["diameter_px"], float))


def near_pairs(truth: pd.DataFrame, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Detections and spots within reach of each other, in the order in which they are given to each other.

    Spots that are asked for choose first, then other spots, the nearest first, measured in reaches. Bright
    ejecta around fresh craters (contrast below 1.25) are decoys and get none: what is found there is false,
    and a wide halo around a spot does not take the spot's detection.
    """
    gap = np.hypot(
        np.asarray(x, float)[:, None] - np.asarray(truth["x"], float)[None, :],
        np.asarray(y, float)[:, None] - np.asarray(truth["y"], float)[None, :],
    )
    gap = gap / reach(truth)[None, :]
    rank = np.where(required(truth), 0, 1)
    detection, spot = np.nonzero((gap <= 1.0) & truth["is_spot"].to_numpy(bool)[None, :])
    order = np.lexsort((gap[detection, spot], rank[spot]))
    return detection[order], spot[order]


def assign(n: int, detection: np.ndarray, spot: np.ndarray) -> np.ndarray:
    """For each of ``n`` detections the row of its spot, one to one in the order of the pairs; -1 for none."""
    match = np.full(n, -1)
    taken: set[int] = set()
    for d, t in zip(detection.tolist(), spot.tolist(), strict=True):
        if match[d] < 0 and t not in taken:
            match[d] = t
            taken.add(t)
    return match


def pair_up(truth: pd.DataFrame, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """For each detection the row of its spot, one to one; -1 for none."""
    if len(truth) == 0 or len(x) == 0:
        return np.full(len(x), -1)
    return assign(len(x), *near_pairs(truth, x, y))


def within(truth: pd.DataFrame, x: np.ndarray, y: np.ndarray, margin: float = 1.0) -> np.ndarray:
    """Which points lie on any spot, or no farther than ``margin`` pixels outside it."""
    if len(truth) == 0 or len(x) == 0:
        return np.zeros(len(x), bool)
    gap = np.hypot(
        np.asarray(x)[:, None] - np.asarray(truth["x"], float)[None, :],
        np.asarray(y)[:, None] - np.asarray(truth["y"], float)[None, :],
    )
    return (gap <= 0.5 * np.asarray(truth["diameter_px"], float)[None, :] + margin).any(axis=1)


def vague(truth: pd.DataFrame) -> np.ndarray:
    """Spots that say nothing about a bright candidate: too faint, or too much in shadow."""
    return np.asarray((truth["contrast"] < FAINT_CONTRAST) | (truth["shadowed_fraction"] > MOST_SHADOW))


def right(truth: pd.DataFrame, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """For each bright candidate 1 on a spot, 0 off all, halos among them, NaN on a faint or shadowed spot."""
    seen = truth["visible"].astype(bool) & truth["is_spot"].astype(bool)
    truth = truth[seen & (truth["contrast"] > 1.0)].reset_index(drop=True)
    unclear = vague(truth)
    out = within(truth[~unclear], x, y).astype(float)
    out[(out == 0) & within(truth[unclear], x, y)] = np.nan
    return out


def score(truth: pd.DataFrame, x: np.ndarray, y: np.ndarray) -> Score:
    """Counts for bright detections at (x, y).

    A detection on a spot that is not asked for (too faint, too small, in poor light) counts neither way; a
    second one on a spot already found counts as false.
    """
    wanted = required(truth)
    match = pair_up(truth, x, y)
    on_spot = match >= 0
    found = int(wanted[match[on_spot]].sum())
    return Score(found, int(wanted.sum()) - found, int((~on_spot).sum()))


def precision_recall_f1(scores: list[Score]) -> tuple[float, float, float]:
    """Precision, recall and F1 over frames, all spots pooled."""
    found, missed, false = (sum(column) for column in zip(*scores, strict=True))
    precision = found / max(found + false, 1)
    recall = found / max(found + missed, 1)
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


def recalls(fates: pd.DataFrame) -> pd.DataFrame:
    """Spots of the nominal frames and the part found, by finder and kind: ``what``, from, and below."""
    fates = fates[fates["group"] == "nominal"]
    rows = []
    for what, borders in KINDS.items():
        for low, high in pairwise(borders):
            kind = fates[(fates[what] >= low) & (fates[what] < high)]
            for finder, part in kind.groupby("finder"):
                found = part["found"].mean()
                rows.append(
                    {"finder": finder, "what": what, "from": low, "below": high, "spots": len(part),
                     "recall": found}
                )  # fmt: skip
    return pd.DataFrame(rows)
