"""Refit the judge (``src/brightspot/judge.npz``) to rendered frames.

    python benchmarks/fit_judge.py [--frames 720] [--out src/brightspot/judge.npz]

Frames are drawn by ``simulate.random_scene`` at six scales and as oblique close-ups, one in four from its
shifted ranges, a third seen as a stretched 8-bit JPEG, half as pictures without a label. Seeds below
100000 belong to the fit; benchmarks use others.
Needs scikit-learn (extra ``fit``).
"""

from __future__ import annotations

import argparse
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import scoring
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.isotonic import IsotonicRegression

from brightspot import ceres, simulate
from brightspot.camera import Camera
from brightspot.errors import NothingLit
from brightspot.finder import SpotFinder
from brightspot.frame import Frame, locate
from brightspot.pyramid import binnings, coarsen
from brightspot.shading import FEATURES, too_sharp

ALTITUDES_KM = (46_000.0, 33_000.0, 22_000.0, 13_600.0, 4_400.0, 1_470.0)
CLOSE_UP_KM = (350.0, 4_000.0)
KINDS = len(ALTITUDES_KM) + 1
LOWEST_SUN_DEG = 78.0
"""Greatest incidence in the middle of an oblique close-up."""

CAMERA = Camera.framing_camera("FC2", 1)
RISING = (
    "contrast_to_texture",
    "shade_beside",
    "shade_other_side",
    "sun_line_net",
    "brightness",
    "over_slope",
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
    "incidence",
)
SHAPE = {"bright": (300, 31, 0.06), "dark": (120, 12, 0.1)}
"""Trees, leaves and learning rate; there are fewer dark spots to learn from."""


def as_jpeg(frame: Frame, rng: np.random.Generator) -> Frame:
    """The frame as a stretched 8-bit JPEG: clipped blacks, bent scale, sharpened, each in a part of them."""
    from PIL import Image
    from scipy.ndimage import gaussian_filter

    image = frame.image
    if rng.random() < 0.3:
        image = image + rng.uniform(0.2, 1.0) * (image - gaussian_filter(image, rng.uniform(0.8, 2.0)))
    top = np.percentile(image, rng.uniform(98.0, 99.9)) * rng.uniform(1.0, 2.5)
    black = 0.0
    if rng.random() < 0.6:
        # The sky's value and a little more, or a part of the ground where no sky is in view.
        black = max(rng.uniform(0.0, 0.1) * top, float(np.percentile(image, rng.uniform(0.0, 5.0))))
    bend = rng.uniform(0.75, 1.3) if rng.random() < 0.5 else 1.0
    shown = 255.0 * np.clip((image - black) / (top - black), 0.0, 1.0) ** bend
    buffer = io.BytesIO()
    Image.fromarray(np.round(shown).astype(np.uint8)).save(buffer, "JPEG", quality=int(rng.integers(80, 97)))
    image = np.asarray(Image.open(buffer), np.float32)
    return replace(
        frame, image=image, saturated=image >= 255, unit="display", mask=np.zeros(image.shape, bool)
    )


def oblique(scene: simulate.Scene, rng: np.random.Generator) -> simulate.Scene:
    """The scene with the camera turned away from straight down, toward ground that is lit."""
    middle = 0.5 * (scene.shape[1] - 1), 0.5 * (scene.shape[0] - 1)
    to_limb = np.arcsin(ceres.MEAN_RADIUS_KM / (ceres.MEAN_RADIUS_KM + scene.altitude_km))
    for _ in range(40):
        pixels = np.tan(rng.uniform(0.3, 0.98) * to_limb) / CAMERA.mean_ifov_rad
        side = rng.uniform(0.0, 2.0 * np.pi)
        center = middle[0] + pixels * np.cos(side), middle[1] + pixels * np.sin(side)
        turned = replace(scene, center_xy=center)
        if float(simulate.viewing_geometry(turned).ground(*middle).incidence_deg) < LOWEST_SUN_DEG:
            return turned
    return scene


def fitting_scene(seed: int, rng: np.random.Generator) -> simulate.Scene:
    """The scene of a frame of the fit."""
    kind = seed % KINDS
    if kind < len(ALTITUDES_KM):
        altitude = ALTITUDES_KM[kind] * float(rng.uniform(0.85, 1.15))
    else:
        altitude = float(np.exp(rng.uniform(*np.log(CLOSE_UP_KM))))
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
    return scene if kind < len(ALTITUDES_KM) else oblique(scene, rng)


def fitting_frame(seed: int) -> tuple[Frame, pd.DataFrame]:
    """A frame of the fit and its truth."""
    rng = np.random.default_rng([seed, 31])
    rendered = simulate.render(fitting_scene(seed, rng))
    frame = rendered.frame
    if rng.random() < 0.35:
        frame = as_jpeg(frame, rng)
    if rng.random() < 0.5:
        # Where no limb can be fitted, a disk has no geometry either: the judge has to have seen that too.
        frame = unlabelled(frame) if seed % 5 else replace(frame, geometry=None)
    return frame, rendered.truth


def unlabelled(frame: Frame) -> Frame:
    """The frame as a picture of which nothing is told: its geometry is the limb's, if it has one."""
    return locate(replace(frame, geometry=None, scale=None, label={}, start_time=None, notes=()))


def examples(frame: Frame, all_truth: pd.DataFrame) -> tuple[np.ndarray, ...] | None:
    """Candidates of one frame: features, labels (1 spot, 0 not), polarity (1 dark), weights; None unlit."""
    out = []
    for factor, corner in binnings(frame.shape):
        try:
            _, candidates = SpotFinder().candidates(coarsen(frame, factor, corner))
        except NothingLit:
            break
        for dark, found, features, _ in candidates:
            y, x = found.peak_yx.T * factor + 0.5 * (factor - 1) + np.array(corner[::-1])[:, None]
            truth = all_truth
            is_dark = truth["contrast"] < 1.0
            # Bright ejecta of fresh craters (contrast below 1.25) are decoys.
            spot = truth["visible"].astype(bool) & truth["is_spot"].astype(bool)
            truth = truth[(is_dark if dark else ~is_dark) & spot].reset_index(drop=True)
            strength = np.asarray(np.maximum(truth["contrast"], 1.0 / truth["contrast"]), float)
            # Neither spot nor slope: too faint to matter, mostly shadowed, or too small here.
            vague = (strength < 1.2) | (np.asarray(truth["shadowed_fraction"], float) > 0.5)
            if factor > 1:
                vague |= scoring.seen_diameter(truth) < 4.0 * factor
            on_spot = scoring.within(truth[~vague], x, y, factor)
            label = on_spot.astype(float)
            weight = np.where(~on_spot & scoring.within(truth[vague], x, y, factor), 0.0, 1.0)
            weight[too_sharp(features)] = 0.0
            out.append((features, label, np.full(len(x), int(dark)), weight))
    return tuple(np.concatenate(part) for part in zip(*out, strict=True)) if out else None


def export(model: HistGradientBoostingClassifier) -> dict[str, np.ndarray]:
    """The trees as flat arrays, nodes in depth-first order (left child next, right child so many on)."""
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
        "base": np.float64(np.ravel(model._baseline_prediction)[0]),
    }


def new_model(polarity: str) -> HistGradientBoostingClassifier:
    """Small trees, monotone where physics says so."""
    monotone = [1 if f in RISING else -1 if f in FALLING else 0 for f in FEATURES]
    trees, leaves, rate = SHAPE[polarity]
    return HistGradientBoostingClassifier(
        max_iter=trees, max_leaf_nodes=leaves, learning_rate=rate, min_samples_leaf=25,
        l2_regularization=3.0, monotonic_cst=monotone, random_state=0, early_stopping=False,
    )  # fmt: skip


def fit(
    polarity: str, features: np.ndarray, label: np.ndarray, weight: np.ndarray, seed: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Trees fitted to all frames, calibrated on scores that each fifth gets from the other four; record."""
    raw = np.zeros(len(label))
    for fold in range(5):
        held = (seed // KINDS) % 5 == fold
        model = new_model(polarity).fit(features[~held], label[~held], sample_weight=weight[~held])
        raw[held] = model.decision_function(features[held])
    use = weight > 0
    isotonic = IsotonicRegression(out_of_bounds="clip", y_min=0.002, y_max=0.998)
    isotonic.fit(raw[use], label[use])
    grid = np.linspace(-10.0, 10.0, 81)
    # A moving mean over 0.75 of score keeps the steps of the isotonic fit from being taken literally.
    fine = np.linspace(-11.0, 11.0, 881)
    smooth = np.convolve(np.pad(isotonic.predict(fine), 15, mode="edge"), np.ones(31) / 31, "valid")
    data = export(new_model(polarity).fit(features, label, sample_weight=weight))
    data["score"] = grid
    data["probability"] = np.round(np.interp(grid, fine, smooth), 4)
    return data, {"candidates": int(use.sum()), "spots": int(label[use].sum())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=720)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument(
        "--cache", type=Path, nargs="*", help="reuse candidates, or keep them in the one given (.npz)"
    )
    parser.add_argument("--out", type=Path, default=Path("src/brightspot/judge.npz"))
    args = parser.parse_args()
    if args.cache and all(path.exists() for path in args.cache):
        names = ("features", "label", "dark", "weight", "seed")
        kept = [np.load(path) for path in args.cache]
        features, label, dark, weight, seed = (np.concatenate([k[name] for k in kept]) for name in names)
    else:
        parts = []
        for s in range(args.first, args.first + args.frames):
            part = examples(*fitting_frame(s))
            if part is None:
                continue
            parts.append((*part, np.full(len(part[1]), s)))
            print(f"frame {s}: {int(part[1].sum())} spots among {len(part[1])} candidates", flush=True)
        features, label, dark, weight, seed = (np.concatenate(p) for p in zip(*parts, strict=True))
        if args.cache:
            np.savez(args.cache[0], features=features, label=label, dark=dark, weight=weight, seed=seed)
    arrays: dict[str, np.ndarray] = {}
    record: dict[str, object] = {
        "frames": len(np.unique(seed)),
        "first_seed": int(seed.min()),
        "last_seed": int(seed.max()),
        "features": list(FEATURES),
    }
    for polarity, value in (("bright", 0), ("dark", 1)):
        use = dark == value
        model, record[polarity] = fit(polarity, features[use], label[use], weight[use], seed[use])
        arrays |= {f"{polarity}_{name}": array for name, array in model.items()}
    np.savez_compressed(args.out, **arrays)
    args.out.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"{args.out}: {args.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
