"""Candidates of the rendered frames that the judge is fitted to, and what they are; for ``fit_judge.py``."""

from __future__ import annotations

import pickle
import zlib
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import scoring
from fit_frames import fitting_frame

from brightspot.background import Background
from brightspot.errors import NothingLit
from brightspot.finder import SpotFinder, mended
from brightspot.frame import Frame
from brightspot.judge import score_trees, too_sharp, worth_a_look, worth_the_network
from brightspot.pairs import higher_beside, neighbours, pair_features, pair_patches, second_tops
from brightspot.pyramid import binnings, coarsen
from brightspot.segmentation import Segmentation, without_detached
from brightspot.shading import look_patches
from brightspot.writers.tables import replacing

BRIGHT_EJECTA = 0.15
"""Excess of halos that are neither spot nor slope in a stretched picture, where no contrast is known."""

EJECTA_WEIGHT = 2.0
"""Weight of candidates on bright ejecta, which are no spots: half of the frames have fewer of them than the
renderer's usual ones."""

SLACK = 1.5
"""The network is fitted to what fails the trees, or the steps of the judge before, by no more than this."""


class Examples(NamedTuple):
    """Candidates of one frame: features, label (1 spot, 0 not), polarity (1 dark), weight.

    ``fine`` tells which are of the frame itself, not of a binned view; ``looked``, of which candidates there
    are ``patches``: those that pass, or nearly pass, a glance. ``pairs``, ``pair_patches`` and ``two`` are of
    tops with a higher one beside them, both on spots: what the functions of these names give, and whether
    these are two spots.
    """

    features: np.ndarray
    label: np.ndarray
    dark: np.ndarray
    weight: np.ndarray
    fine: np.ndarray
    looked: np.ndarray
    patches: np.ndarray
    pairs: np.ndarray
    pair_patches: np.ndarray
    two: np.ndarray


def examples(frame: Frame, all_truth: pd.DataFrame) -> Examples | None:
    """Candidates of one frame and what they are; None where nothing is lit."""
    out = []
    frame = mended(frame)
    for factor, corner in binnings(frame.shape):
        try:
            background, candidates = SpotFinder().candidates(coarsen(frame, factor, corner), every=True)
        except NothingLit:
            break
        for dark, found, features, _, azimuth in candidates:
            x, y = in_frame(found.peak_yx, factor, corner)
            truth = all_truth
            is_dark = truth["contrast"] < 1.0
            # Bright ejecta of fresh craters (contrast below 1.25) are decoys where contrast has a meaning.
            spot = truth["visible"].astype(bool) & truth["is_spot"].astype(bool)
            truth = truth[(is_dark if dark else ~is_dark) & spot].reset_index(drop=True)
            strength = np.asarray(np.maximum(truth["contrast"], 1.0 / truth["contrast"]), float)
            # Neither spot nor slope: too faint to matter, mostly shadowed, or too small here.
            shadow = np.asarray(truth["shadowed_fraction"], float)
            vague = (strength < scoring.FAINT_CONTRAST) | (shadow > scoring.MOST_SHADOW)
            if factor > 1:
                vague |= scoring.seen_diameter(truth) < 4.0 * factor
            on_spot = scoring.within(truth[~vague], x, y, factor)
            label = on_spot.astype(float)
            neither = scoring.within(truth[vague], x, y, factor)
            if frame.unit == "display":
                neither |= scoring.within(bright_ejecta(all_truth), x, y, factor)
            weight = np.where(~on_spot & neither, 0.0, 1.0)
            weight[~on_spot & scoring.within(ejecta(all_truth), x, y, factor)] *= EJECTA_WEIGHT
            if dark and frame.unit == "display":
                # Behind clipped blacks dark ground looks like a shadow: nothing is learnt of it there.
                weight[on_spot] = 0.0
            weight[too_sharp(features)] = 0.0
            view = factor, corner
            pairs = pair_examples(background, found, features, azimuth, truth[~vague], view, dark=dark)
            looked = worth_a_look(features, dark=dark, slack=SLACK) & ~too_sharp(features)
            looked &= worth_the_network(score_trees(features, dark=dark), dark=dark, slack=SLACK)
            patches = look_patches(background, found, azimuth, np.flatnonzero(looked), dark=dark)
            of_all = np.full(len(x), int(dark)), weight, np.full(len(x), factor == 1)
            out.append(Examples(features, label, *of_all, looked, patches.astype(np.float16), *pairs))
    return Examples(*(np.concatenate(part) for part in zip(*out, strict=True))) if out else None


def in_frame(yx: np.ndarray, factor: int, corner: tuple[int, int]) -> np.ndarray:
    """X and y in the frame, (2, n), of pixels (n, 2) of a binned view that begins at ``corner`` (x, y)."""
    return (yx[:, ::-1] * factor + 0.5 * (factor - 1) + np.array(corner)).T


def ejecta(truth: pd.DataFrame) -> pd.DataFrame:
    """Halos of fresh craters."""
    return truth[~truth["is_spot"].astype(bool)]


def bright_ejecta(truth: pd.DataFrame) -> pd.DataFrame:
    """Halos that a stretched picture may show as bright as what is asked for."""
    halos = ejecta(truth)
    return halos[halos["contrast"] > 1.0 + BRIGHT_EJECTA]


def pair_examples(
    background: Background,
    found: Segmentation,
    features: np.ndarray,
    azimuth: np.ndarray,
    truth: pd.DataFrame,
    view: tuple[int, tuple[int, int]],
    *,
    dark: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tops beside a higher one, both on spots: features, patches, and whether on two.

    Second tops of objects count as one with them where they lie on no spot. ``view``: binning factor and
    the pixel where the first bin begins.
    """
    factor, corner = view

    def spot_at(yx: np.ndarray) -> np.ndarray:
        if not len(truth):
            return np.full(len(yx), -1)
        x, y = in_frame(yx, factor, corner)
        gap = np.hypot(x[:, None] - np.asarray(truth["x"], float), y[:, None] - np.asarray(truth["y"], float))
        # Of a small spot on a wide one the nearer, which is mostly the small one.
        gap[gap > 0.5 * np.asarray(truth["diameter_px"], float) + factor] = np.inf
        return np.where(np.isfinite(gap.min(axis=1)), gap.argmin(axis=1), -1)

    spot = spot_at(found.peak_yx)
    on_spot = np.flatnonzero(spot >= 0)
    found = without_detached(found, on_spot)
    higher = higher_beside(found, spot >= 0, binned=factor > 1)
    beside = np.flatnonzero(higher >= 0)
    seconds = second_tops(background, found, on_spot if factor == 1 else on_spot[:0], dark=dark)
    own = spot_at(seconds.place[:, :2])
    both = neighbours(found, beside, higher[beside]), seconds
    rows = [pair_features(background, found, features, azimuth, tops, dark=dark) for tops in both]
    patches = [pair_patches(background, tops, dark=dark).astype(np.float16) for tops in both]
    two = [spot[beside] != spot[higher[beside]], (own >= 0) & (own != spot[seconds.own])]
    return np.concatenate(rows), np.concatenate(patches), np.concatenate(two)


def kept_frame(seed: int, folder: Path | None) -> tuple[Frame, pd.DataFrame]:
    """The fit's frame of a seed, from ``folder`` if it was kept there; else rendered, and kept."""
    path = folder / f"{seed:05d}.z" if folder else None
    if path and path.exists():
        return pickle.loads(zlib.decompress(path.read_bytes()))
    frame = fitting_frame(seed)
    if path:
        with replacing(path) as unfinished:
            unfinished.write_bytes(zlib.compress(pickle.dumps(frame), 1))
    return frame


def seed_examples(seed: int, folder: Path | None) -> Examples | None:
    """Examples of the fit's frame of a seed."""
    return examples(*kept_frame(seed, folder))


def drawn(seeds: range, folder: Path | None, workers: int) -> dict[str, np.ndarray]:
    """Examples of all frames; ``seed`` and ``pair_seed`` tell the frame of each row and pair."""
    parts: list[tuple[np.ndarray, ...]] = []
    with ProcessPoolExecutor(workers) as pool:
        found = pool.map(seed_examples, seeds, repeat(folder), chunksize=4)
        for s, part in zip(seeds, found, strict=True):
            if part is not None:
                parts.append((*part, np.full(len(part.label), s), np.full(len(part.two), s)))
            if s % 100 == 0:
                print(f"frame {s} of {seeds[-1]}", flush=True)
    names = (*Examples._fields, "seed", "pair_seed")
    return {
        name: np.concatenate(arrays) for name, arrays in zip(names, zip(*parts, strict=True), strict=True)
    }
