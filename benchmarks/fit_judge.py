"""Refit the judge (``src/brightspot/judge.json``) to rendered frames.

    python benchmarks/fit_judge.py [--frames 360] [--out src/brightspot/judge.json]

Frames are drawn by ``simulate.random_scene`` at six scales, one in four from its shifted ranges, a third
seen as a stretched 8-bit JPEG, half without geometry. Seeds below 100000 belong to the fit; benchmarks use
others.
Needs scikit-learn (extra ``fit``).
"""

from __future__ import annotations

import argparse
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import scoring
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.isotonic import IsotonicRegression

from brightspot import simulate
from brightspot.errors import NothingLit
from brightspot.finder import SpotFinder
from brightspot.frame import Frame
from brightspot.pyramid import binnings, coarsen
from brightspot.shading import FEATURES

ALTITUDES_KM = (46_000.0, 33_000.0, 22_000.0, 13_600.0, 4_400.0, 1_470.0)
RISING = (
    "contrast_to_texture",
    "shade_beside",
    "shade_other_side",
    "sun_line_net",
    "brightness",
    "over_slope",
    "above_first_peer",
    "above_third_peer",
)
FALLING = ("ring_share", "ring_median", "ring_highest")


def as_jpeg(frame: Frame, rng: np.random.Generator) -> Frame:
    """The frame as a stretched 8-bit JPEG."""
    from PIL import Image

    top = np.percentile(frame.image, rng.uniform(98.0, 99.9)) * rng.uniform(1.0, 2.5)
    shown = np.clip(frame.image / top, 0.0, 1.0) * 255.0
    buffer = io.BytesIO()
    Image.fromarray(np.round(shown).astype(np.uint8)).save(buffer, "JPEG", quality=int(rng.integers(80, 97)))
    image = np.asarray(Image.open(buffer), np.float32)
    return replace(
        frame, image=image, saturated=image >= 255, unit="display", mask=np.zeros(image.shape, bool)
    )


def examples(seed: int) -> tuple[np.ndarray, ...] | None:
    """Candidates of one frame: features, labels (1 spot, 0 not), polarity (1 dark), weights; None unlit."""
    rng = np.random.default_rng([seed, 31])
    altitude = ALTITUDES_KM[seed % len(ALTITUDES_KM)] * float(rng.uniform(0.85, 1.15))
    scene = simulate.random_scene(seed, altitude, shifted=seed % 4 == 3)
    if rng.random() < 0.5:
        # Wider than is believed of Ceres: a judge that has seen only one kind of ground trusts it.
        scene = replace(
            scene,
            roughness=float(rng.uniform(0.5, 3.5)),
            crater_density=float(rng.uniform(0.6, 2.5)),
            relief_strength=float(rng.uniform(0.7, 1.6)),
            psf_fwhm_px=float(rng.uniform(1.1, 2.4)),
        )
    if altitude < 8_000.0 and rng.random() < 0.4:
        scene = replace(scene, random_spot_diameter_px=(8.0, 250.0), random_spots=6)
    rendered = simulate.render(scene)
    frame = rendered.frame
    if rng.random() < 0.35:
        frame = as_jpeg(frame, rng)
    if rng.random() < 0.5:
        frame = replace(frame, geometry=None)
    out = []
    for factor, corner in binnings(frame.shape):
        try:
            _, candidates = SpotFinder().candidates(coarsen(frame, factor, corner))
        except NothingLit:
            break
        for dark, found, features, _ in candidates:
            y, x = found.peak_yx.T * factor + 0.5 * (factor - 1) + np.array(corner[::-1])[:, None]
            truth = rendered.truth
            is_dark = truth["contrast"] < 1.0
            truth = truth[(is_dark if dark else ~is_dark) & truth["visible"].astype(bool)].reset_index(
                drop=True
            )
            strength = np.asarray(np.maximum(truth["contrast"], 1.0 / truth["contrast"]), float)
            real = np.asarray(truth["is_spot"], bool)
            # Neither spot nor slope: too faint to matter, mostly shadowed, a bright halo, or too small here.
            vague = (strength < 1.2) | (np.asarray(truth["shadowed_fraction"], float) > 0.5) | ~real
            if factor > 1:
                vague |= scoring.seen_diameter(truth) < 4.0 * factor
            on_spot = scoring.within(truth[~vague], x, y, factor)
            label = on_spot.astype(float)
            weight = np.where(~on_spot & scoring.within(truth[vague], x, y, factor), 0.0, 1.0)
            out.append((features, label, np.full(len(x), int(dark)), weight))
    return tuple(np.concatenate(part) for part in zip(*out, strict=True)) if out else None


def export(model: HistGradientBoostingClassifier) -> dict[str, list]:
    """The trees as flat arrays."""
    nodes: dict[str, list] = {
        k: [] for k in ("feature", "threshold", "left", "right", "missing_left", "value", "root")
    }
    for (tree,) in model._predictors:
        base = len(nodes["feature"])
        nodes["root"].append(base)
        for node in tree.nodes:
            leaf = bool(node["is_leaf"])
            nodes["feature"].append(int(node["feature_idx"]))
            nodes["threshold"].append(float(np.float32(node["num_threshold"])) if not leaf else 0.0)
            nodes["left"].append(-1 if leaf else base + int(node["left"]))
            nodes["right"].append(-1 if leaf else base + int(node["right"]))
            nodes["missing_left"].append(bool(node["missing_go_to_left"]))
            nodes["value"].append(round(float(node["value"]), 6))
    nodes["base"] = float(np.ravel(model._baseline_prediction)[0])
    return nodes


def new_model(trees: int) -> HistGradientBoostingClassifier:
    """Small trees, monotone where physics says so."""
    monotone = [1 if f in RISING else -1 if f in FALLING else 0 for f in FEATURES]
    return HistGradientBoostingClassifier(
        max_iter=trees, max_leaf_nodes=12, learning_rate=0.1, min_samples_leaf=25,
        l2_regularization=3.0, monotonic_cst=monotone, random_state=0, early_stopping=False,
    )  # fmt: skip


def fit(features: np.ndarray, label: np.ndarray, weight: np.ndarray, seed: np.ndarray, trees: int) -> dict:
    """Trees fitted to all frames, calibrated on scores that each fifth gets from the other four."""
    raw = np.zeros(len(label))
    for fold in range(5):
        held = (seed // 6) % 5 == fold
        model = new_model(trees).fit(features[~held], label[~held], sample_weight=weight[~held])
        raw[held] = model.decision_function(features[held])
    use = weight > 0
    isotonic = IsotonicRegression(out_of_bounds="clip", y_min=0.002, y_max=0.998)
    isotonic.fit(raw[use], label[use])
    grid = np.linspace(-10.0, 10.0, 81)
    # A moving mean over 0.75 of score keeps the steps of the isotonic fit from being taken literally.
    fine = np.linspace(-11.0, 11.0, 881)
    smooth = np.convolve(np.pad(isotonic.predict(fine), 15, mode="edge"), np.ones(31) / 31, "valid")
    data = export(new_model(trees).fit(features, label, sample_weight=weight))
    data["score"] = grid.tolist()
    data["probability"] = np.round(np.interp(grid, fine, smooth), 4).tolist()
    data["fitted_on"] = {"candidates": int(use.sum()), "spots": int(label[use].sum())}
    return data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=360)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--trees", type=int, default=120)
    parser.add_argument(
        "--cache", type=Path, nargs="*", help="reuse candidates, or keep them in the one given (.npz)"
    )
    parser.add_argument("--out", type=Path, default=Path("src/brightspot/judge.json"))
    args = parser.parse_args()
    if args.cache and all(path.exists() for path in args.cache):
        names = ("features", "label", "dark", "weight", "seed")
        kept = [np.load(path) for path in args.cache]
        features, label, dark, weight, seed = (np.concatenate([k[name] for k in kept]) for name in names)
    else:
        parts = []
        for s in range(args.first, args.first + args.frames):
            part = examples(s)
            if part is None:
                continue
            parts.append((*part, np.full(len(part[1]), s)))
            print(f"frame {s}: {int(part[1].sum())} spots among {len(part[1])} candidates", flush=True)
        features, label, dark, weight, seed = (np.concatenate(p) for p in zip(*parts, strict=True))
        if args.cache:
            np.savez(args.cache[0], features=features, label=label, dark=dark, weight=weight, seed=seed)
    model = {"features": list(FEATURES)}
    for name, value in (("bright", 0), ("dark", 1)):
        use = dark == value
        model[name] = fit(features[use], label[use], weight[use], seed[use], args.trees)
    model["record"] = {
        "frames": len(np.unique(seed)),
        "first_seed": int(seed.min()),
        "last_seed": int(seed.max()),
    }
    args.out.write_text(json.dumps(model, separators=(",", ":")))
    print(f"{args.out}: {args.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
