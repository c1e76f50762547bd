"""Milliseconds a frame, every finder in turn on the same frames in one run, one thread."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from brightspot import SpotFinder, read_frame
from contest import running, trees, tuning
from contest.astronomy import by_sep_at_defaults
from contest.finders import PEERS
from contest.frames import Case, cases
from contest.inputs import prepare

PHASE_DEG = 40.0
REPEATS = 3

DETECTION, WHOLE, SEP_DEFAULTS = "brightspot", "brightspot, file to catalog", "sep at its defaults"


KEPT = ((-1, 2**31 - 1), (-3, 2**30), (-2, 2**26))
"""glibc's M_TRIM_THRESHOLD, M_MMAP_THRESHOLD and M_TOP_PAD, and the bytes they are set to."""


def keep_memory() -> None:
    """Have freed memory kept by the process, where the C library is glibc.

    Else it goes back to the system after a call or stays, as chance has laid out the heap, and comes back
    page by page: sep then takes 16 ms in one process and 62 in the next.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        for what, n_bytes in KEPT if mallopt else ():
            mallopt(what, n_bytes)


def run(cache: Path) -> pd.DataFrame:
    """One row per frame and finder: least of three, wall clock and processor.

    Peers get their pixels levelled (or raw) and normalised beforehand; brightspot levels them itself.
    """
    keep_memory()
    model_of = running.finders([trees.NAME], cache)
    chosen = {name: tuning.better(name) for name in [*PEERS, trees.NAME] if name in tuning.stored_settings()}
    rows = []
    wanted = [case for case in cases("nominal", cache) if case.phase_deg == PHASE_DEG]
    first = {case.altitude_km: case for case in reversed(wanted)}
    for number, case in enumerate(first.values()):
        ways = _ways(case, chosen, model_of)
        if number == 0:
            for way in ways.values():
                way()
        spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(REPEATS):
            for name, way in ways.items():
                spent[name].append(_spent(way))
        for name, pairs in spent.items():
            wall, processor = np.min(np.array(pairs), axis=0)
            rows.append(
                {
                    "finder": name, "input": chosen.get(name, ""), "seed": case.seed,
                    "altitude_km": case.altitude_km, "phase_deg": case.phase_deg,
                    "wall_ms": round(wall, 3), "processor_ms": round(processor, 3),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def _ways(case: Case, chosen: dict[str, str], model_of: dict) -> dict[str, Callable[[], object]]:
    """What is timed on a frame, by name."""
    frame = read_frame(case.path)
    inputs = prepare(frame, whole=True)
    inputs.smooth  # noqa: B018  levelled before the clock runs
    finder, stored = SpotFinder(), tuning.stored_settings()
    out: dict[str, Callable[[], object]] = {
        DETECTION: lambda: finder(frame),
        WHOLE: lambda: finder(read_frame(case.path)),
        SEP_DEFAULTS: lambda: by_sep_at_defaults(inputs.by_local, ~inputs.lit, {}),
    }
    for name, which in chosen.items():
        if name == trees.NAME:
            out[name] = lambda name=name, which=which: model_of[name, which](frame, inputs)
        else:
            settings = stored[name][which]["settings"]
            out[name] = lambda name=name, s=settings: tuning.find(PEERS[name], inputs, s)
    return out


def _spent(way: Callable[[], object]) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    way()
    return 1000.0 * (time.perf_counter() - wall), 1000.0 * (time.process_time() - processor)
