"""Random search of a peer's settings: pooled F1 over the tuning frames, cuts included."""

from __future__ import annotations

import fcntl
import itertools
import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scoring

from brightspot import read_frame
from contest import spaces
from contest.finders import PEERS, Peer
from contest.frames import Case
from contest.inputs import LEVELS, Inputs, prepare

SETTINGS = Path(__file__).parents[1] / "peer_settings.json"
CUTS = {
    "contrast": (0.0, 1.05, 1.1, 1.15, 1.2, 1.25, 1.3, 1.35, 1.4, 1.5, 1.6, 1.8),
    "brightness": (0.0, 0.6, 0.8, 1.0, 1.1, 1.2, 1.3, 1.4, 1.6),
    "incidence_deg": (60.0, 68.0, 75.0, 82.0),
}
"""Cuts beside a peer's own settings: least contrast, least brightness in disk units, greatest incidence."""

SLOWEST_S = 8.0
"""Processor time for one frame after which settings are given up."""

LOOKS = {5: 0.7, 10: 0.85}
"""After so many frames, settings below this share of the best F1 there are given up."""

NEW: dict[str, Any] = {
    "tuning_f1": -1.0,
    "trials": 0,
    "given_up": 0,
    "processor_s": 0,
    "early_f1": [0.0] * len(LOOKS),
}
"""A search that has not begun."""


class TooSlow(Exception):
    """A frame took longer than `SLOWEST_S`."""


class Seen(NamedTuple):
    """Detections of one frame: how many spots are asked for, pairs in order, columns to cut on."""

    wanted: np.ndarray
    detection: np.ndarray
    spot: np.ndarray
    columns: np.ndarray


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Stop what takes longer (processor time) as soon as Python regains control."""

    def stop(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def load(cases: list[Case]) -> list[tuple[Case, Inputs]]:
    """The inputs of files."""
    return [(case, prepare(read_frame(case.path))) for case in cases]


def find(peer: Peer, inputs: Inputs, settings: dict[str, Any]) -> np.ndarray:
    """Positions (n, 2) in the frame that a peer gives with settings, its input among them; not yet cut."""
    own = {k: v for k, v in settings.items() if k != "level"}
    points = peer.find(inputs.pixels(settings.get("level")), ~inputs.lit, own)
    return points + inputs.corner_xy


def see(case: Case, inputs: Inputs, points: np.ndarray) -> Seen:
    """Detections with what they may be paired with; those off the lit ground are left out for everyone."""
    columns = inputs.cut_columns(points)
    on_ground = columns[:, 0] > 0
    points, columns = points[on_ground], columns[on_ground]
    detection, spot = scoring.near_pairs(case.truth, points[:, 0], points[:, 1])
    return Seen(scoring.required(case.truth), detection, spot, columns)


def passes(columns: np.ndarray, cuts: dict[str, float]) -> np.ndarray:
    """Which detections the cuts leave."""
    contrast, brightness, incidence = columns.T
    return (
        (contrast >= cuts["contrast"])
        & (brightness >= cuts["brightness"])
        & (incidence <= cuts["incidence_deg"])
    )


def pooled(seen: list[Seen], cuts: dict[str, float]) -> float:
    """F1 over frames with these cuts."""
    scores = []
    for frame in seen:
        kept = passes(frame.columns, cuts)
        ask = kept[frame.detection]
        match = scoring.assign(len(kept), frame.detection[ask], frame.spot[ask])
        found = int(frame.wanted[match[match >= 0]].sum())
        scores.append(
            scoring.Score(found, int(frame.wanted.sum()) - found, int(kept.sum() - (match >= 0).sum()))
        )
    return scoring.precision_recall_f1(scores)[2]


def best_cuts(seen: list[Seen]) -> tuple[float, dict[str, float]]:
    """The cuts with the highest F1, the least strict of equals."""
    tried = []
    for values in itertools.product(CUTS["contrast"], CUTS["brightness"], CUTS["incidence_deg"][::-1]):
        cuts = dict(zip(CUTS, values, strict=True))
        tried.append((pooled(seen, cuts), cuts))
    return max(tried, key=lambda pair: pair[0])


def tune(
    name: str, frames: list[tuple[Case, Inputs]], start: dict[str, Any], *, levelled: bool, trials: int
) -> dict[str, Any]:
    """Go on with the search of a peer's settings on raw or levelled pixels.

    ``start`` is what an earlier call gave, or ``NEW``; the result is the best so far with its record.
    """
    peer = PEERS[name]
    space = {"level": LEVELS, **peer.space} if levelled else peer.space
    rng = np.random.default_rng([sum(name.encode()), int(levelled), start["trials"]])
    best, started = dict(start), time.process_time()
    early = dict(zip(LOOKS, start["early_f1"], strict=True))
    for _ in range(trials):
        settings = spaces.try_next(best, space, rng)
        best["trials"] += 1
        seen = _search_frames(name, frames, settings, early)
        if len(seen) < len(frames):
            best["given_up"] += 1
            continue
        f1, cuts = best_cuts(seen)
        if f1 > best["tuning_f1"]:
            best |= {"tuning_f1": round(f1, 4), "settings": settings, "cuts": cuts}
    best["early_f1"] = [round(f1, 4) for f1 in early.values()]
    best["processor_s"] += round(time.process_time() - started)
    return best


def _search_frames(
    name: str, frames: list[tuple[Case, Inputs]], settings: dict[str, Any], early: dict[int, float]
) -> list[Seen]:
    """Detections of the tuning frames, or of the first of them where the settings were given up."""
    seen: list[Seen] = []
    try:
        for case, inputs in frames:
            with at_most(SLOWEST_S):
                points = find(PEERS[name], inputs, settings)
            seen.append(see(case, inputs, points))
            if len(seen) in LOOKS:
                f1 = best_cuts(seen)[0]
                if f1 < LOOKS[len(seen)] * early[len(seen)]:
                    return seen
                early[len(seen)] = max(early[len(seen)], f1)
    except TooSlow:
        pass
    except (ValueError, IndexError) as error:
        # Some combinations are refused, or leave nothing over.
        print(f"    {name}: {settings}: {error}", flush=True)
    return seen


def stored_settings() -> dict[str, Any]:
    """What earlier searches found, by peer and input."""
    return json.loads(SETTINGS.read_text()) if SETTINGS.exists() else {}


def better(name: str) -> str:
    """The input, raw or levelled, on which a peer did better in tuning."""
    stored = stored_settings()[name]
    return max(stored, key=lambda which: stored[which]["tuning_f1"])


def forget(names: list[str]) -> None:
    """Take away what earlier searches found for these peers."""
    kept = {name: found for name, found in stored_settings().items() if name not in names}
    SETTINGS.write_text(json.dumps(kept, indent=1) + "\n")


def store(name: str, which: str, found: dict[str, Any]) -> None:
    """Put one result into the settings' file, also while another search runs."""
    with Path(SETTINGS.with_suffix(".lock")).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        everything = stored_settings()
        everything.setdefault(name, {})[which] = found
        SETTINGS.write_text(json.dumps(dict(sorted(everything.items())), indent=1) + "\n")
    SETTINGS.with_suffix(".lock").unlink(missing_ok=True)
