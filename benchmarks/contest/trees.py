"""The strongest peer that could be built: sep's catalog judged by boosted trees, fitted to rendered frames.

The trees see sep's own columns and what a careful user would add: contrast, brightness in disk units,
incidence, emission, ratios that tell a point from a wall, local scatter, and the ring around the object.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import scoring
from sklearn.ensemble import HistGradientBoostingClassifier

from contest import spaces
from contest.astronomy import SEP_SPACE, sep_objects
from contest.frames import Case
from contest.inputs import LEVELS, Inputs
from contest.spaces import Log

NAME = "sep + boosted trees"
TRIALS = 16
LEAST_CONTRAST = 1.08
"""Objects fainter than this over their surroundings are no candidates: most of sep's catalog at low cuts."""

PROBABILITIES = np.round(np.arange(0.1, 0.96, 0.05), 2)

SPACE: dict[str, Any] = {
    **{k: v for k, v in SEP_SPACE.items() if k != "greatest_elongation"},
    "threshold": Log(1.2, 8.0),
    "min_area": (1, 2, 3, 4),
    "leaves": (8, 15, 31),
    "trees": (60, 120, 200),
    "l2": Log(0.1, 10.0),
    "min_leaf": (10, 20, 40),
}
OWN = ("npix", "tnpix", "a", "b", "flux", "cflux", "peak", "cpeak", "flag", "thresh")


def describe(inputs: Inputs, settings: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Positions (n, 2) of sep's objects on lit ground, and their columns (n, k)."""
    found = sep_objects(inputs.pixels(settings.get("level")), ~inputs.lit, settings)
    points = np.column_stack([found["x"], found["y"]]) + inputs.corner_xy
    cuts = inputs.cut_columns(points)
    found, points, cuts = (part[cuts[:, 0] > LEAST_CONTRAST] for part in (found, points, cuts))
    own = [np.asarray(found[name], float) for name in OWN]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [
            found["a"] / found["b"],
            found["peak"] / found["flux"],
            found["cpeak"] / found["peak"],
            found["npix"] / found["tnpix"],
            found["peak"] / found["thresh"],
            np.hypot(found["xpeak"] - found["x"], found["ypeak"] - found["y"]),
        ]
    around = _around(inputs, found)
    columns = np.column_stack([*own, *ratios, cuts, around])
    columns[~np.isfinite(columns)] = np.nan
    return points, columns


def _around(inputs: Inputs, found: np.ndarray) -> np.ndarray:
    """Emission; neighbours over the peak pixel; mean, spread, least, greatest of a ring outside."""
    rows, columns = inputs.image.shape
    i = np.clip(np.rint(found["x"]).astype(int), 1, columns - 2)
    j = np.clip(np.rint(found["y"]).astype(int), 1, rows - 2)
    four = sum(inputs.by_local[j + dj, i + di] for dj, di in ((0, 1), (0, -1), (1, 0), (-1, 0))) / 4
    radius = 2.0 + 2.0 * np.sqrt(found["tnpix"] / np.pi)
    angle = np.arange(16) * np.pi / 8
    x = np.clip(np.rint(found["x"][:, None] + radius[:, None] * np.cos(angle)).astype(int), 0, columns - 1)
    y = np.clip(np.rint(found["y"][:, None] + radius[:, None] * np.sin(angle)).astype(int), 0, rows - 1)
    ring = inputs.smooth[0][y, x] - 1.0
    peak = np.maximum(inputs.by_local[j, i] - 1.0, 1e-3)
    spread = [ring.mean(axis=1), ring.std(axis=1), ring.min(axis=1), ring.max(axis=1)]
    return np.column_stack(
        [inputs.emission_deg[j, i], (four - 1.0) / peak, *(s / peak for s in spread), ring.std(axis=1)]
    )


def labels(case: Case, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1 for the object that has a spot, 0 for others; weight 0 where a faint spot is its place."""
    truth = case.truth
    match = scoring.pair_up(truth, points[:, 0], points[:, 1])
    vague = scoring.vague(truth)
    label = (match >= 0).astype(float)
    weight = np.ones(len(points))
    weight[match >= 0] = np.where(vague[match[match >= 0]], 0.0, 1.0)
    return label, weight


def new_model(settings: dict[str, Any]) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        max_iter=settings["trees"], max_leaf_nodes=settings["leaves"], learning_rate=0.08,
        min_samples_leaf=settings["min_leaf"], l2_regularization=settings["l2"], random_state=0,
        early_stopping=False,
    )  # fmt: skip


def fit(frames: list[tuple[Case, Inputs]], settings: dict[str, Any]) -> HistGradientBoostingClassifier:
    """The trees fitted to all frames."""
    parts = [_examples(case, inputs, settings) for case, inputs in frames]
    columns, label, weight = (np.concatenate([p[k] for p in parts]) for k in (1, 2, 3))
    return new_model(settings).fit(columns, label, sample_weight=weight)


def _examples(case: Case, inputs: Inputs, settings: dict[str, Any]) -> tuple[np.ndarray, ...]:
    points, columns = describe(inputs, settings)
    return points, columns, *labels(case, points)


def tune(
    frames: list[tuple[Case, Inputs]], start: dict[str, Any], *, levelled: bool, trials: int, folds: int = 5
) -> dict[str, Any]:
    """Go on with the search of sep's settings and the trees' by the F1 of frames the trees have not seen."""
    space = {"level": LEVELS, **SPACE} if levelled else SPACE
    rng = np.random.default_rng([7, int(levelled), start["trials"]])
    best, started = dict(start), time.process_time()
    for _ in range(trials):
        settings = spaces.try_next(best, space, rng)
        best["trials"] += 1
        parts = [_examples(case, inputs, settings) for case, inputs in frames]
        probability = [np.zeros(0)] * len(parts)
        for fold in range(folds):
            ours = [p for k, p in enumerate(parts) if k % folds != fold]
            columns, label, weight = (np.concatenate([p[k] for p in ours]) for k in (1, 2, 3))
            model = new_model(settings).fit(columns, label, sample_weight=weight)
            for k in range(fold, len(parts), folds):
                n = len(parts[k][0])
                probability[k] = model.predict_proba(parts[k][1])[:, 1] if n else np.zeros(0)
        for limit in PROBABILITIES:
            scores = [
                scoring.score(case.truth, *points[p >= limit].T)
                for (case, _), (points, *_), p in zip(frames, parts, probability, strict=True)
            ]
            f1 = scoring.precision_recall_f1(scores)[2]
            if f1 > best["tuning_f1"]:
                cuts = {"probability": float(limit)}
                best |= {"tuning_f1": round(f1, 4), "settings": settings, "cuts": cuts}
    best["processor_s"] += round(time.process_time() - started)
    return best
