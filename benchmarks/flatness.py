"""Is the levelled image flat from the sub-solar point to 80 degrees of incidence?

    python benchmarks/flatness.py [--seeds 8]

Rendered bodies without spots and without mottling, 420 px across, mean of some seeds: the levelled image
(1 = the local surface) by incidence. Three measures: the mean of lit ground (above 0.3 of the level: the
rest is cast shadow), the mean of all ground, its median; and the image over the disk function, all ground.
"""

from __future__ import annotations

import argparse
from itertools import pairwise

import numpy as np

from brightspot.finder import SpotFinder
from brightspot.photometry import disk_function
from brightspot.simulate import Scene, render

EDGES = (0.0, 16.0, 32.0, 48.0, 64.0, 72.0, 76.0, 80.0)
LEAST = 300  # pixels in a step of incidence


def one(seed: int, phase_deg: float, *, relief: bool) -> np.ndarray:
    """(steps, 4): lit mean, mean and median of the levelled image; mean of image over disk function."""
    scene = Scene(
        seed=seed, altitude_km=24_000.0, shape=(448, 448), phase_deg=phase_deg, relief_spheroid=relief,
        sub_spacecraft_longitude_deg=77.0 * seed % 360.0, mottling=0.0, wall_streaks=0.0, halo_fraction=0.0,
        named_spots=False, defects=False, cosmic_rays=0.0, hot_pixels=0.0, dead_pixels=0.0,
    )  # fmt: skip
    frame = render(scene).frame
    background, _ = SpotFinder(polarity="bright").candidates(frame)
    planes = frame.geometry.backplanes()
    incidence, emission = planes.incidence_deg, planes.emission_deg
    disk = disk_function("akimov", incidence, emission, planes.phase_deg)
    seen = (background.ratio != 0.0) & (emission < 70.0) & (disk > 0.0)
    over_disk = frame.image / np.where(disk > 0.0, disk, np.nan)
    over_disk = over_disk / np.median(over_disk[seen & (incidence < 48.0)])
    out = np.full((len(EDGES) - 1, 4), np.nan)
    for k, (low, high) in enumerate(pairwise(EDGES)):
        there = seen & (incidence >= low) & (incidence < high)
        if there.sum() >= LEAST:
            levelled = 1.0 + background.ratio[there]
            out[k] = (
                levelled[levelled > 0.3].mean(), levelled.mean(), np.median(levelled), over_disk[there].mean()
            )  # fmt: skip
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    args = parser.parse_args()
    steps = "  ".join(f"{low:.0f}-{high:.0f}" for low, high in pairwise(EDGES))
    print(f"degrees of incidence: {steps}; spread to 76 and to 80 degrees")
    for relief, phase_deg in ((False, 40.0), (True, 25.0), (True, 40.0), (True, 60.0), (True, 80.0)):
        seeds = range(1, args.seeds + 1)
        table = np.nanmean([one(seed, phase_deg, relief=relief) for seed in seeds], axis=0)
        print(f"{'relief' if relief else 'smooth'}, phase {phase_deg:.0f}")
        for name, column in zip(("lit mean", "mean", "median", "over disk function"), table.T, strict=True):
            values = " ".join(f"{v:.3f}" for v in column)
            print(f"    {name:20s}{values}   {np.ptp(column[:-1]):.3f} {np.ptp(column):.3f}")


if __name__ == "__main__":
    main()
