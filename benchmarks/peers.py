"""The benchmark of detection: brightspot and its peers on the same rendered frames.

    python benchmarks/peers.py                      # render what is missing, run all, time, tables, plots
    python benchmarks/peers.py --only brightspot    # run one finder again, keep the others' figures
    python benchmarks/peers.py --timing             # only the timing, all finders in one run
    python benchmarks/peers.py --tune [NAME ...]    # search the peers' settings again; --more: go on with it
    python benchmarks/peers.py --tables             # only the tables, plots and the README

Peers and their settings: ``contest/`` and ``peer_settings.json``. What counts as found: ``scoring.py``.
Everything is written to ``benchmarks/output``; the README's table is filled in between its markers.
"""

from __future__ import annotations

import os

# One thread each: before numpy, numba and OpenCV start theirs.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse  # noqa: E402
from pathlib import Path  # noqa: E402

import cv2  # noqa: E402
import pandas as pd  # noqa: E402
import scoring  # noqa: E402
from contest import frames, plots, running, tables, timing, trees, tuning  # noqa: E402
from contest.finders import PEERS  # noqa: E402
from readme_figures import fill  # noqa: E402

cv2.setNumThreads(1)
ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "benchmarks" / "output"


BATCH = 8
"""Trials of one peer before the next peer's turn: a search may be stopped at any time and gone on with."""


def tune(names: list[str], cache: Path, share: float, *, anew: bool) -> None:
    """Search settings and store them, all peers in turn until each has had its trials."""
    names = names or [*PEERS, trees.NAME]
    on_frames = tuning.load(frames.cases("tuning", cache))
    for_trees = on_frames + (tuning.load(frames.cases("fit", cache)) if trees.NAME in names else [])
    if anew:
        tuning.forget(names)
    todo = [(name, which) for name in names for which in ("raw", "levelled")]
    while todo:
        for name, which in list(todo):
            goal = round(share * (trees.TRIALS if name == trees.NAME else PEERS[name].trials))
            found = tuning.stored_settings().get(name, {}).get(which, tuning.NEW)
            trials = min(2 if name == trees.NAME else BATCH, goal - found["trials"])
            if trials <= 0:
                todo.remove((name, which))
                continue
            if name == trees.NAME:
                found = trees.tune(for_trees, found, levelled=which == "levelled", trials=trials)
            else:
                found = tuning.tune(name, on_frames, found, levelled=which == "levelled", trials=trials)
            tuning.store(name, which, found)
            print(f"{name}, {which}: F1 {found['tuning_f1']} after {found['trials']}", flush=True)


def compare(names: list[str], cache: Path, out: Path) -> None:
    """Run finders on all frames and put their rows into the tables of counts, spots and confidences."""
    counts, fates = running.run(names, cache)
    tables.replace_rows(out / "peers_frames.csv", counts)
    tables.replace_rows(out / "peers_spots.csv", fates)
    if running.BRIGHTSPOT in names:
        running.confidences(cache).to_csv(out / "confidences.csv", index=False)
        running.dark_spots(cache).to_csv(out / "dark_spots.csv", index=False)


def show(out: Path, *, readme: bool) -> None:
    """Tables, plots and the README's part from what was run."""
    table = tables.summary(pd.read_csv(out / "peers_frames.csv"))
    table.round(4).to_csv(out / "peers.csv", index=False)
    tables.searches().to_csv(out / "peers_tuning.csv", index=False)
    fates = pd.read_csv(out / "peers_spots.csv")
    tables.hard_spots(fates).round(4).to_csv(out / "peers_hard_spots.csv", index=False)
    scoring.recalls(fates).round(4).to_csv(out / "peers_recalls.csv", index=False)
    calibrated = tables.calibration(pd.read_csv(out / "confidences.csv"))
    calibrated.round(4).to_csv(out / "calibration.csv", index=False)
    ms = None
    if (out / "peers_timing.csv").exists():
        ms = tables.milliseconds(pd.read_csv(out / "peers_timing.csv"))
        for what, ratio in tables.ratios(ms).items():
            print(f"{what}: {ratio:.2f}")
    part = tables.readme_part(table, ms, calibrated, fates, pd.read_csv(out / "dark_spots.csv"))
    print(part, flush=True)
    for path in plots.draw(out, table, ms, calibrated):
        print(path)
    if readme:
        path = ROOT / "README.md"
        path.write_text(fill(path.read_text(), "peers", part))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cache", type=Path, default=OUTPUT / "frames", help="rendered frames are kept here")
    parser.add_argument("--out", type=Path, default=OUTPUT, help="where CSV and plots go")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="run these finders, keep the others' rows")
    parser.add_argument("--timing", action="store_true", help="time all finders, nothing else")
    parser.add_argument("--tables", action="store_true", help="only tables, plots and the README")
    parser.add_argument("--tune", nargs="*", metavar="NAME", help="search settings (of all peers)")
    parser.add_argument("--more", action="store_true", help="go on with a search that was stopped")
    parser.add_argument("--share", type=float, default=1.0, help="of the trials of a search")
    parser.add_argument("--no-readme", action="store_true", help="leave the README as it is")
    args = parser.parse_args()
    if args.tune is not None:
        tune(args.tune, args.cache, args.share, anew=not args.more)
        return
    if not (args.timing or args.tables):
        compare(args.only or tables.tuned_names(), args.cache, args.out)
    if args.timing or not (args.only or args.tables):
        timing.run(args.cache).to_csv(args.out / "peers_timing.csv", index=False)
    show(args.out, readme=not args.no_readme)


if __name__ == "__main__":
    main()
