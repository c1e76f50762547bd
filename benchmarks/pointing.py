"""How far a label's pointing is put right: rendered frames whose labels point beside the truth.

    python benchmarks/pointing.py [--frames 40] [--first 0] [--errors 0 0.5 2 10 60 300]

The disks are those of ``limb_scale.py``: 40 to 900 px, phases of 10 to 90 degrees, whole or cut by the
frame's edge.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
from limb_scale import scene

from brightspot import geometry, simulate
from brightspot.geometry.sources import turn


def pointed_off(
    view: geometry.ViewingGeometry, middle: np.ndarray, shift: np.ndarray
) -> geometry.ViewingGeometry:
    """The view with its camera turned so that what lies in ``middle`` moves by ``shift`` pixels."""
    wrong = turn(view.camera.pixel_to_ray(*middle), view.camera.pixel_to_ray(*(middle + shift)))
    return replace(view, camera_from_body=wrong @ view.camera_from_body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--errors", type=float, nargs="+", default=[0.0, 0.5, 2.0, 10.0, 60.0, 300.0])
    args = parser.parse_args()
    found = defaultdict(list)
    for k in range(args.first, args.first + args.frames):
        frame = simulate.render(scene(k)).frame
        true, rng = frame.geometry, np.random.default_rng([k, 11])
        middle = np.clip(np.array(true.project_points(np.zeros(3))), 0.0, 1023.0)
        point = true.ground(*middle).point_km
        point = point if np.all(np.isfinite(point)) else np.zeros(3)
        for error in args.errors:
            angle = rng.uniform(0.0, 2.0 * np.pi)
            label = pointed_off(true, middle, error * np.array([np.cos(angle), np.sin(angle)]))
            started = time.thread_time()
            refined, shift = geometry.refine_pointing(label, frame.image, frame.mask)
            spent_ms = 1e3 * (time.thread_time() - started)
            left, before = (
                np.array(g.project_points(point)) - np.array(true.project_points(point))
                for g in (refined, label)
            )
            # What was measured against what is true, in the direction the picture fixes best.
            pull = (
                float((np.array(shift.measured_px) + before) @ shift.direction) / shift.error_px[0]
                if np.isfinite(shift.error_px[0])
                else np.nan
            )
            found[error].append((float(np.hypot(*left)), pull, spent_ms, shift.verdict))
    for error, rows in found.items():
        left, pull, spent = (np.array([row[i] for row in rows]) for i in range(3))
        counts = ", ".join(f"{n} {verdict}" for verdict, n in Counter(row[3] for row in rows).most_common())
        print(
            f"{error:5.1f} px off: left over {np.median(left):.2f} px in the median, nine in ten below "
            f"{np.percentile(left, 90):.1f}; within the error told {100 * np.mean(np.abs(pull) < 1):.0f} %, "
            f"within twice it {100 * np.mean(np.abs(pull) < 2):.0f} %; {counts}; {np.median(spent):.1f} ms"
        )


if __name__ == "__main__":
    main()
