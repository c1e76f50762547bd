"""Refit the judge (``src/brightspot/judge.npz``) to rendered frames.

    python benchmarks/fit_judge.py [--frames 9750] [--kept FOLDER] [--go-on] [--out src/brightspot/judge.npz]

With ``--go-on`` the present judge keeps its trees and what tells pairs from pieces; its network is fitted on
from the weights that it has. What is fitted to is drawn by ``fit_frames.py`` and
``fit_examples.py``. Needs scikit-learn, jax and optax (extra ``fit``).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import fit_look
import numpy as np
from fit_examples import SLACK, drawn
from fit_frames import FEW_DARK, MANY_DARK, has_many_dark, held_back
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import average_precision_score

from brightspot.batch.plan import available_cores
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
    worth_a_look,
    worth_the_network,
)

JUDGE = Path("src/brightspot/judge.npz")

LOOK_MIRRORED, PAIR_MIRRORED = (1, 2), (1,)
"""Axes along which patches may lie either way: which end of the Sun's line is which is often not known, and
pairs are shown with the higher top first."""

SCALE_SPREAD = 0.8
"""Standard deviation of the logarithm of the factor by which a frame's scale is changed for the fit."""

ANGLES = ("incidence", "emission")
"""What the network is not told of some examples, as where the geometry is not known."""

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


def fit_network(
    both: dict[str, Rows], start: dict[str, np.ndarray] | None
) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """The network, and the log-odds that it gives to each polarity's candidates in frames held back.

    One network for both polarities: a dark place is shown with its sign changed, and the network is told. NaN
    where nothing was looked at. ``start``: weights to go on from.
    """
    angles = [FEATURES.index(name) for name in ANGLES]
    parts = []
    for polarity, rows in both.items():
        shown = rows.looked & (rows.weight > 0) & ~rows.held
        features, dark = rows.features[shown], polarity == "dark"
        told = network_inputs(features, dark=dark)
        features[:, angles] = np.nan
        less = network_inputs(features, dark=dark)
        parts.append((rows.patches[shown[rows.looked]], told, rows.label[shown], rows.weight[shown], less))
    *together, less = (np.concatenate(part) for part in zip(*parts, strict=True))
    network = fit_look.train(*together, LOOK_MIRRORED, less=less, start=start)
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


def by_polarity(rows: dict[str, np.ndarray]) -> dict[str, Rows]:
    """What `drawn` gives, bright and dark."""
    # The scale is only loosely told, so that none's ground is learnt by heart.
    factor = np.exp(np.random.default_rng(0).normal(0.0, SCALE_SPREAD, rows["seed"].max() + 1))
    rows["features"][:, FEATURES.index("pixel_km")] *= factor[rows["seed"]]
    out = {}
    for polarity, value in (("bright", 0), ("dark", 1)):
        use = rows["dark"] == value
        columns = (rows[name][use] for name in ("features", "label", "weight", "seed", "fine", "looked"))
        out[polarity] = Rows(*columns, rows["patches"][use[rows["looked"]]])
    return out


def looked_at(
    known: dict[str, tuple[Rows, np.ndarray]], start: dict[str, np.ndarray] | None = None
) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """Network and calibrations, and their record, from candidates worth a look and their trees' log-odds."""
    arrays, looks = fit_network({polarity: rows for polarity, (rows, _) in known.items()}, start)
    seeds = np.unique(np.concatenate([rows.seed[~rows.held] for rows, _ in known.values()]))
    record: dict[str, object] = {
        "network": {"frames": len(seeds), "last_seed": int(seeds.max()), "went_on": start is not None}
    }
    for (polarity, rows), look in zip(known.items(), looks, strict=True):
        model, record[polarity] = calibrate(polarity, *rows, look)
        arrays |= {f"{polarity}_{name}": array for name, array in model.items()}
    return arrays, record


def fitted(rows: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """Arrays of the judge's file and the record of the fit, from what `drawn` gives."""
    record: dict[str, object] = {
        "frames": len(np.unique(rows["seed"])),
        "first_seed": int(rows["seed"].min()),
        "last_seed": int(rows["seed"].max()),
        "features": list(FEATURES),
    }
    known, arrays = {}, {}
    for polarity, own in by_polarity(rows).items():
        model, trees = fit_judging(polarity, polarity, own, np.arange(MEASURED))
        arrays |= {f"{polarity}_{name}": array for name, array in model.items()}
        model, record[f"glance_{polarity}"], passes = fit_glance(polarity, own)
        near = worth_the_network(trees, dark=polarity == "dark", slack=SLACK)
        known[polarity] = own.shown(passes & near), trees
        arrays |= {f"glance_{polarity}_{name}": array for name, array in model.items()}
    network, of_network = looked_at(known)
    pair, record["pair"] = fit_pairs(*(rows[name] for name in ("pairs", "pair_patches", "two", "pair_seed")))
    return arrays | network | pair, record | of_network


def fitted_on(rows: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """The same, but only the present judge's network is fitted, from the weights that it has."""
    with np.load(JUDGE) as file:
        arrays = dict(file)
    record = json.loads(JUDGE.with_suffix(".json").read_text())
    start = {name.removeprefix("look_"): arrays[name] for name in arrays if name.startswith("look_")}
    known = {}
    for polarity, own in by_polarity(rows).items():
        dark = polarity == "dark"
        trees = score_trees(own.features, dark=dark)
        near = worth_the_network(trees, dark=dark, slack=SLACK)
        known[polarity] = own.shown(worth_a_look(own.features, dark=dark) & near), trees
    network, of_network = looked_at(known, start)
    return arrays | network, record | of_network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=9750)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--workers", type=int, default=available_cores())
    parser.add_argument("--kept", type=Path, help="folder of frames of this renderer, to go on with (12 GB)")
    parser.add_argument("--go-on", action="store_true", help="fit the present judge's network on")
    parser.add_argument("--out", type=Path, default=JUDGE)
    args = parser.parse_args()
    if args.kept:
        args.kept.mkdir(parents=True, exist_ok=True)
    rows = drawn(range(args.first, args.first + args.frames), args.kept, args.workers)
    arrays, record = (fitted_on if args.go_on else fitted)(rows)
    np.savez_compressed(args.out, **arrays)
    args.out.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"{args.out}: {args.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
