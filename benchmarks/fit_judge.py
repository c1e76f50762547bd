"""Refit the judge (``src/brightspot/judge.npz``) to rendered frames.

    python benchmarks/fit_judge.py [--frames 9750] [--kept FOLDER] [--out src/brightspot/judge.npz]

The frames are those of ``fit_frames.py``. Needs scikit-learn, jax and optax (extra ``fit``).
"""

from __future__ import annotations

import argparse
import json
import pickle
import zlib
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import fit_look
import numpy as np
import pandas as pd
import scoring
from fit_frames import FEW_DARK, MANY_DARK, fitting_frame, has_many_dark, held_back
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import average_precision_score

from brightspot.background import Background
from brightspot.batch.plan import available_cores
from brightspot.errors import NothingLit
from brightspot.finder import SpotFinder, mended
from brightspot.frame import Frame
from brightspot.judge import (
    CROWD_SHARE,
    FEATURES,
    LEAST_PARTED,
    MEASURED,
    PAIR_FEATURES,
    PAIR_TREES_SHARE,
    compressed,
    log_odds,
    network_inputs,
    not_albedo,
    passes_glance,
    score_trees,
    too_sharp,
    worth_a_look,
    worth_the_network,
)
from brightspot.pairs import higher_beside, neighbours, pair_features, pair_patches, second_tops
from brightspot.pyramid import binnings, coarsen
from brightspot.segmentation import Segmentation, without_detached
from brightspot.shading import look_patches
from brightspot.writers.tables import replacing

LOOK_MIRRORED, PAIR_MIRRORED = (1, 2), (1,)
"""Axes along which patches may lie either way: which end of the Sun's line is which is often not known, and
pairs are shown with the higher top first."""

BRIGHT_EJECTA = 0.15
"""Excess of halos that are neither spot nor slope in a stretched picture, where no contrast is known."""

EJECTA_WEIGHT = 2.0
"""Weight of candidates on bright ejecta, which are no spots: half of the frames have fewer of them than the
renderer's usual ones."""

SCALE_SPREAD = 0.8
"""Standard deviation of the logarithm of the factor by which a frame's scale is changed for the fit."""

RISING = (
    "contrast_to_texture",
    "shade_beside",
    "shade_other_side",
    "sun_line_net",
    "brightness",
    "above_first_peer",
    "above_third_peer",
    "significance",
    "across_bump",
    "across_significance",
)
FALLING = (
    "ring_share",
    "ring_median",
    "ring_highest",
    "half_bright_share",
    "as_bright_share",
    "surroundings_rms",
)
PAIRS_FALLING = ("saddle", "lowest", "lowest_sharp")
AT_A_GLANCE = (
    "contrast",
    "contrast_to_texture",
    "texture",
    "light",
    "brightness",
    "n_pixels",
    "elongation",
    "filling",
    "plateau",
    "sharpness",
    "second_pixel",
    "ring8",
    "saddle",
    "neighbour_gap",
    "neighbour_share",
    "over_slope",
    "above_first_peer",
    "above_third_peer",
    "incidence",
    "significance",
    "emission",
    "pixel_km",
)
"""Features that need no look at the surroundings."""

SHAPE = {
    "bright": (300, 31, 0.06),
    "dark": (120, 12, 0.1),
    "pair": (120, 8, 0.1),
    "glance_bright": (30, 8, 0.25),
    "glance_dark": (60, 12, 0.15),
}
"""Trees, leaves and learning rate; there are fewer dark spots to learn from, and still fewer pairs."""

OTHERS_WEIGHT = {"bright": 1.0, "dark": 0.03}
"""Weight of what is no spot, for glance and trees; their log-odds are put right afterwards.

Of dark candidates three in a thousand are spots, and a first step from there overshoots: at a weight of 1 the
glance gave log-odds from -58 to 143, and let 0.6 % of the others pass with 30 % of the spots, for 0.1 %.
"""

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
        gap /= 0.5 * np.asarray(truth["diameter_px"], float) + factor
        return np.where(gap.min(axis=1) <= 1.0, gap.argmin(axis=1), -1)

    spot = spot_at(found.peak_yx)
    on_spot = np.flatnonzero(spot >= 0)
    found = without_detached(found, on_spot)
    higher = higher_beside(found, spot >= 0)
    beside = np.flatnonzero(higher >= 0)
    seconds = second_tops(background, found, on_spot if factor == 1 else on_spot[:0], dark=dark)
    own = spot_at(seconds.place[:, :2])
    both = neighbours(found, beside, higher[beside]), seconds
    rows = [pair_features(background, found, features, azimuth, tops, dark=dark) for tops in both]
    patches = [pair_patches(background, tops, dark=dark).astype(np.float16) for tops in both]
    two = [spot[beside] != spot[higher[beside]], (own >= 0) & (own != spot[seconds.own])]
    return np.concatenate(rows), np.concatenate(patches), np.concatenate(two)


def export(model: HistGradientBoostingClassifier, shift: float = 0.0) -> dict[str, np.ndarray]:
    """The trees as flat arrays, nodes in depth-first order (left child next, right child so many on).

    ``shift`` is added to what they give.
    """
    feature: list[int] = []
    number: list[float] = []
    right: list[int] = []
    missing_left: list[bool] = []
    root: list[int] = []

    def walk(nodes: np.ndarray, k: int) -> None:
        node, here = nodes[k], len(feature)
        leaf = bool(node["is_leaf"])
        feature.append(-1 if leaf else int(node["feature_idx"]))
        number.append(float(node["value"] if leaf else node["num_threshold"]))
        missing_left.append(bool(node["missing_go_to_left"]))
        right.append(0)
        if not leaf:
            walk(nodes, int(node["left"]))
            right[here] = len(feature) - here
            walk(nodes, int(node["right"]))

    for (tree,) in model._predictors:
        root.append(len(feature))
        walk(tree.nodes, 0)
    return {
        "feature": np.array(feature, np.int8),
        "number": np.array(number, np.float32),
        "right": np.array(right, np.uint8),
        "missing_left": np.packbits(missing_left),
        "root": np.array(root, np.uint16),
        "base": np.float64(np.ravel(model._baseline_prediction)[0] + shift),
    }


def new_model(kind: str) -> HistGradientBoostingClassifier:
    """Small trees, monotone where physics says so."""
    if kind == "pair":
        monotone = [-1 if f in PAIRS_FALLING else 0 for f in PAIR_FEATURES]
    elif kind.startswith("glance"):
        monotone = [0] * len(AT_A_GLANCE)
    else:
        monotone = [1 if f in RISING else -1 if f in FALLING else 0 for f in FEATURES[:MEASURED]]
    trees, leaves, rate = SHAPE[kind]
    return HistGradientBoostingClassifier(
        max_iter=trees, max_leaf_nodes=leaves, learning_rate=rate, min_samples_leaf=25,
        l2_regularization=3.0, monotonic_cst=monotone, random_state=0, early_stopping=False,
    )  # fmt: skip


def fit_judging(
    kind: str, polarity: str, rows: Rows, columns: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Trees fitted to some columns of the features, and the log-odds that they give to all rows."""
    features, fitted, others = rows.features[:, columns], ~rows.held, OTHERS_WEIGHT[polarity]
    weight = np.where(rows.label > 0, 1.0, others) * rows.weight
    model = new_model(kind).fit(features[fitted], rows.label[fitted], sample_weight=weight[fitted])
    shift = float(np.log(others))
    return export(model, shift), model.decision_function(features) + shift


def fit_glance(polarity: str, rows: Rows) -> tuple[dict[str, np.ndarray], dict[str, object], np.ndarray]:
    """Trees that tell at a glance what is hopeless; record, from frames held back; which rows pass."""
    columns, held = np.array([FEATURES.index(name) for name in AT_A_GLANCE]), rows.held
    data, score = fit_judging(f"glance_{polarity}", polarity, rows, columns)
    passes = passes_glance(score, dark=polarity == "dark")
    judged = held & (rows.weight > 0)
    spot = rows.label > 0
    record = {
        "features": list(AT_A_GLANCE),
        "spots_passed": round(float(passes[judged & spot].mean()), 4),
        "others_passed": round(float(passes[judged & ~spot].mean()), 4),
    }
    inner = data["feature"] >= 0
    data["feature"][inner] = columns[data["feature"][inner]]
    return data, record, passes


def fit_pairs(
    pairs: np.ndarray, patches: np.ndarray, two: np.ndarray, seed: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """Trees and network that part two places from pieces; record with the errors on frames held back."""
    held = held_back(seed)
    trees = new_model("pair").fit(pairs[~held], two[~held])
    told, alike = compressed(pairs).astype(np.float32), np.ones(len(two))
    network = fit_look.train(patches[~held], told[~held], two[~held], alike[~held], PAIR_MIRRORED)
    look = fit_look.apply(network, patches[held], told[held], PAIR_MIRRORED)
    by_trees, right = trees.decision_function(pairs[held]), two[held]
    score = PAIR_TREES_SHARE * by_trees + look
    said = score > LEAST_PARTED
    record = {
        "features": list(PAIR_FEATURES),
        "frames": len(np.unique(seed)),
        "two": int(two.sum()),
        "one": int((~two).sum()),
        "two_joined": round(float((~said[right]).mean()), 3),
        "one_parted": round(float(said[~right].mean()), 4),
        "average_precision_trees": round(float(average_precision_score(right, by_trees)), 4),
        "average_precision": round(float(average_precision_score(right, score)), 4),
    }
    arrays = {f"pair_{name}": array for name, array in export(trees).items()}
    return arrays | {f"between_{name}": array for name, array in network.items()}, record


class Rows(NamedTuple):
    """Candidates of one polarity from all frames; ``patches`` (n, rows, columns) only where ``looked`` is."""

    features: np.ndarray
    label: np.ndarray
    weight: np.ndarray
    seed: np.ndarray
    fine: np.ndarray
    looked: np.ndarray
    patches: np.ndarray

    @property
    def held(self) -> np.ndarray:
        """(n,) bool, the candidates of frames held back."""
        return held_back(self.seed)

    def shown(self, which: np.ndarray) -> Rows:
        """The same, looked at only where ``which`` (n,) bool is true."""
        looked = self.looked & which
        return self._replace(looked=looked, patches=self.patches[looked[self.looked]])


def fit_network(both: dict[str, Rows]) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """The network, and the log-odds that it gives to each polarity's candidates in frames held back.

    One network for both polarities: a dark place is shown with its sign changed, and the network is told. NaN
    where nothing was looked at.
    """
    parts = []
    for polarity, rows in both.items():
        shown = rows.looked & (rows.weight > 0) & ~rows.held
        told = network_inputs(rows.features[shown], dark=polarity == "dark")
        patches = rows.patches[shown[rows.looked]]
        parts.append((patches, told, rows.label[shown], rows.weight[shown]))
    together = (np.concatenate(part) for part in zip(*parts, strict=True))
    network = fit_look.train(*together, LOOK_MIRRORED)
    looks = []
    for polarity, rows in both.items():
        seen = rows.looked & rows.held
        told = network_inputs(rows.features[seen], dark=polarity == "dark")
        looks.append(np.full(len(rows.label), np.nan))
        looks[-1][seen] = fit_look.apply(network, rows.patches[seen[rows.looked]], told, LOOK_MIRRORED)
    return {f"look_{name}": array for name, array in network.items()}, looks


def calibrated(score: np.ndarray, label: np.ndarray, weight: np.ndarray) -> dict[str, np.ndarray]:
    """Probability at log-odds ``score``, from candidates of frames held back."""
    isotonic = IsotonicRegression(out_of_bounds="clip", y_min=0.002, y_max=0.998)
    isotonic.fit(score, label, sample_weight=weight)
    grid = np.linspace(-20.0, 20.0, 161)
    # A moving mean over 0.75 of score keeps the steps of the isotonic fit from being taken literally.
    fine = np.linspace(-21.0, 21.0, 1681)
    smooth = np.convolve(np.pad(isotonic.predict(fine), 15, mode="edge"), np.ones(31) / 31, "valid")
    return {"score": grid, "probability": np.round(np.interp(grid, fine, smooth), 4)}


def calibrate(
    polarity: str, rows: Rows, trees: np.ndarray, look: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """Calibration as arrays of the judge's file, and the record, from frames held back."""
    use = (rows.weight > 0) & rows.held
    spots, of = int(rows.label[use].sum()), len(np.unique(rows.seed[use]))
    record: dict[str, object] = {"frames": of, "candidates": int(use.sum()), "spots": spots}
    common = rows.weight.copy()
    if polarity == "dark":
        # As often as dark spots are in frames that were not given many.
        many = np.array([has_many_dark(seed) for seed in range(rows.seed.max() + 1)])[rows.seed]
        common[many & (rows.label > 0)] *= FEW_DARK / MANY_DARK
    looked = rows.looked & worth_the_network(trees, dark=polarity == "dark")
    score = log_odds(trees, np.where(looked, look, np.nan))
    counted = looked & rows.held & rows.fine
    crowd = np.bincount(rows.seed[counted], not_albedo(score[counted]), rows.seed.max() + 1)
    score -= CROWD_SHARE * np.log1p(crowd[rows.seed])
    for name, said in (("average_precision_trees", trees), ("average_precision", score)):
        found = average_precision_score(rows.label[use], said[use], sample_weight=common[use])
        record[name] = round(float(found), 4)
    return calibrated(score[use], rows.label[use], common[use]), record


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


def fitted(rows: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """Arrays of the judge's file and the record of the fit, from what `drawn` gives."""
    # Only loosely told, so that no scale's ground is learnt by heart.
    factor = np.exp(np.random.default_rng(0).normal(0.0, SCALE_SPREAD, rows["seed"].max() + 1))
    rows["features"][:, FEATURES.index("pixel_km")] *= factor[rows["seed"]]
    record: dict[str, object] = {
        "frames": len(np.unique(rows["seed"])),
        "first_seed": int(rows["seed"].min()),
        "last_seed": int(rows["seed"].max()),
        "features": list(FEATURES),
    }
    both, arrays = {}, {}
    for polarity, value in (("bright", 0), ("dark", 1)):
        use = rows["dark"] == value
        columns = (rows[name][use] for name in ("features", "label", "weight", "seed", "fine", "looked"))
        own = Rows(*columns, rows["patches"][use[rows["looked"]]])
        model, trees = fit_judging(polarity, polarity, own, np.arange(MEASURED))
        arrays |= {f"{polarity}_{name}": array for name, array in model.items()}
        model, record[f"glance_{polarity}"], passes = fit_glance(polarity, own)
        near = worth_the_network(trees, dark=polarity == "dark", slack=SLACK)
        both[polarity] = own.shown(passes & near), trees
        arrays |= {f"glance_{polarity}_{name}": array for name, array in model.items()}
    network, looks = fit_network({polarity: rows for polarity, (rows, _) in both.items()})
    arrays |= network
    for (polarity, known), look in zip(both.items(), looks, strict=True):
        model, record[polarity] = calibrate(polarity, *known, look)
        arrays |= {f"{polarity}_{name}": array for name, array in model.items()}
    known = (rows[name] for name in ("pairs", "pair_patches", "two", "pair_seed"))
    pair, record["pair"] = fit_pairs(*known)
    arrays |= pair
    return arrays, record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=9750)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--workers", type=int, default=available_cores())
    parser.add_argument("--kept", type=Path, help="folder of frames of this renderer, to go on with (12 GB)")
    parser.add_argument("--out", type=Path, default=Path("src/brightspot/judge.npz"))
    args = parser.parse_args()
    if args.kept:
        args.kept.mkdir(parents=True, exist_ok=True)
    rows = drawn(range(args.first, args.first + args.frames), args.kept, args.workers)
    arrays, record = fitted(rows)
    np.savez_compressed(args.out, **arrays)
    args.out.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"{args.out}: {args.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
