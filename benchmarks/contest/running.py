"""Every finder on every frame: counts per frame, the fate of each spot asked for, confidences."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scoring
from fit_frames import unlabelled

from brightspot import SpotFinder, read_frame
from brightspot.errors import NothingLit
from brightspot.frame import Frame
from contest import trees, tuning
from contest.finders import PEERS
from contest.frames import Case, cases
from contest.inputs import Inputs, prepare

BRIGHTSPOT, WITHOUT_GEOMETRY = "brightspot", "brightspot, no label"
OURS = (BRIGHTSPOT, WITHOUT_GEOMETRY)
SETS = ("nominal", "shifted", "smooth", "pairs")
MERGED_GAP_PX = 2.0
"""Spots are a merged pair where no more than this lies between their edges."""


Find = Callable[[Frame, Inputs], np.ndarray]


def brightspot_points(frame: Frame, polarity: str = "bright") -> np.ndarray:
    """Positions (n, 2) of the spots that the default settings report."""
    try:
        found = SpotFinder()(frame).catalog
    except NothingLit:
        return np.zeros((0, 2))
    found = found[found["polarity"] == polarity]
    return found[["x_centroid", "y_centroid"]].to_numpy(float)


def peer_points(name: str, inputs: Inputs, stored: dict[str, Any]) -> np.ndarray:
    """Positions (n, 2) that a peer gives after its cuts."""
    points = tuning.find(PEERS[name], inputs, stored["settings"])
    columns = inputs.cut_columns(points)
    return points[(columns[:, 0] > 0) & tuning.passes(columns, stored["cuts"])]


def finders(names: Iterable[str], cache: Path) -> dict[tuple[str, str], Find]:
    """By name and input ("own", or the peer's better one): what takes a frame and its inputs to positions."""
    out: dict[tuple[str, str], Find] = {}
    stored = tuning.stored_settings()
    for name in names:
        if name == BRIGHTSPOT:
            out[name, "own"] = lambda frame, inputs: brightspot_points(frame)
        elif name == WITHOUT_GEOMETRY:
            out[name, "own"] = lambda frame, inputs: brightspot_points(unlabelled(frame))
        else:
            which = tuning.better(name)
            found = stored[name][which]
            if name == trees.NAME:
                fitted_on = tuning.load([*cases("tuning", cache), *cases("fit", cache)])
                out[name, which] = _by_trees(trees.fit(fitted_on, found["settings"]), found)
            else:
                out[name, which] = _by_peer(name, found)
    return out


def _by_peer(name: str, found: dict[str, Any]) -> Find:
    return lambda frame, inputs: peer_points(name, inputs, found)


def _by_trees(model: Any, found: dict[str, Any]) -> Find:
    def find(frame: Frame, inputs: Inputs) -> np.ndarray:
        points, columns = trees.describe(inputs, found["settings"])
        if not len(points):
            return points
        return points[model.predict_proba(columns)[:, 1] >= found["cuts"]["probability"]]

    return find


def run(names: Iterable[str], cache: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Counts per frame and finder; one row per finder and spot asked for."""
    ways = finders(names, cache)
    counts, fates = [], []
    for name in SETS:
        for case in cases(name, cache):
            frame = read_frame(case.path)
            inputs = prepare(frame)
            for (finder, which), find in ways.items():
                start = time.process_time()
                points = find(frame, inputs)
                spent_ms = 1000.0 * (time.process_time() - start)
                key = {"finder": finder, "input": which, **_key(case)}
                score = scoring.score(case.truth, points[:, 0], points[:, 1])
                counts.append({**key, **score._asdict(), "processor_ms": round(spent_ms, 2)})
                fates += [{**key, **fate} for fate in spot_fates(case.truth, points)]
        print(f"{name}: {', '.join(names)}", flush=True)
    return pd.DataFrame(counts), pd.DataFrame(fates)


def dark_spots(cache: Path) -> pd.DataFrame:
    """Counts of dark spots per frame, as brightspot finds them."""
    rows = []
    for case in (case for name in SETS for case in cases(name, cache)):
        points = brightspot_points(read_frame(case.path), "dark")
        rows.append({**_key(case), **scoring.score(case.dark, points[:, 0], points[:, 1])._asdict()})
    return pd.DataFrame(rows)


def _key(case: Case) -> dict[str, Any]:
    return {
        "group": case.group, "seed": case.seed, "altitude_km": case.altitude_km,
        "phase_deg": round(case.phase_deg, 1),
    }  # fmt: skip


def spot_fates(truth: pd.DataFrame, points: np.ndarray) -> list[dict[str, Any]]:
    """For each spot asked for: whether it was found, is saturated, has a neighbour that it runs into."""
    match = scoring.pair_up(truth, points[:, 0], points[:, 1])
    wanted = np.flatnonzero(scoring.required(truth))
    partner = merged_partner(truth)
    return [
        {
            "spot_id": int(truth["spot_id"].iloc[k]), "found": bool((match == k).any()),
            "saturated": bool(truth["saturated"].iloc[k]), "partner": int(partner[k]),
            "diameter_px": float(truth["diameter_px"].iloc[k]), "contrast": float(truth["contrast"].iloc[k]),
            "incidence_deg": float(truth["incidence_deg"].iloc[k]),
        }
        for k in wanted
    ]  # fmt: skip


def merged_partner(truth: pd.DataFrame) -> np.ndarray:
    """The ``spot_id`` of the nearest spot asked for with which each spot asked for merges; 0 for none."""
    out = np.zeros(len(truth), int)
    wanted = np.flatnonzero(scoring.required(truth))
    x, y, d = (truth[c].to_numpy(float)[wanted] for c in ("x", "y", "diameter_px"))
    gap = np.hypot(x[:, None] - x, y[:, None] - y) - 0.5 * (d[:, None] + d)
    np.fill_diagonal(gap, np.inf)
    for k, row in zip(wanted, gap, strict=True):
        if len(row) and row.min() <= MERGED_GAP_PX:
            out[k] = int(truth["spot_id"].iloc[wanted[int(row.argmin())]])
    return out


def confidences(cache: Path) -> pd.DataFrame:
    """Every bright candidate of brightspot with its confidence, and whether it is on a bright spot.

    ``right`` is 1, 0 (bright ejecta too, as everywhere in the benchmark), or empty on a faint spot.
    """
    parts = []
    for name in ("nominal", "shifted", "smooth"):
        for case in cases(name, cache):
            try:
                found = SpotFinder(keep_all=True)(read_frame(case.path)).catalog
            except NothingLit:
                continue
            found = found[found["polarity"] == "bright"]
            x, y = (found[c].to_numpy(float) for c in ("x_centroid", "y_centroid"))
            right = scoring.right(case.truth, x, y)
            part = pd.DataFrame({"confidence": found["albedo_confidence"].to_numpy(float), "right": right})
            parts.append(part.assign(**_key(case)))
    return pd.concat(parts, ignore_index=True)
