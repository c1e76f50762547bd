"""Scale from the limb of rendered, cratered disks against the truth.

    python benchmarks/limb_scale.py [--frames 60] [--first 0]

Disks of 40 to 900 px at phases of 10 to 90 degrees, whole or cut by the frame's edge, the camera anywhere;
the Sun within 4 degrees of the equator, as it always is at Ceres.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from brightspot import simulate
from brightspot.errors import ScaleError
from brightspot.limb import fit_limb
from brightspot.scale import limb_scale_km

SIDE = 1024
SUN_OFF_EQUATOR_DEG = 4.0


def scene(k: int) -> simulate.Scene:
    """Scene number ``k``: every second one has its centre anywhere in the frame, the others are whole."""
    rng = np.random.default_rng([k, 97])
    width_px = float(np.exp(rng.uniform(np.log(40.0), np.log(900.0))))
    altitude_km = 964.0 / (width_px * 93.2e-6) - 470.0
    off = rng.uniform(-0.5, 0.5, 2) * (SIDE if k % 2 else SIDE - width_px)
    phase_deg = float(rng.uniform(10.0, 90.0))
    phase, latitude = np.radians(phase_deg), np.radians(rng.uniform(-1.0, 1.0) * SUN_OFF_EQUATOR_DEG)
    sun = np.array([np.cos(latitude), 0.0, np.sin(latitude)])
    north, around = np.array([-np.sin(latitude), 0.0, np.cos(latitude)]), rng.uniform(0.0, 2.0 * np.pi)
    side = np.cos(around) * north + np.sin(around) * np.cross(north, sun)
    camera, turn_deg = np.cos(phase) * sun + np.sin(phase) * side, float(rng.uniform(0.0, 360.0))
    return simulate.random_scene(
        300_000 + k,
        altitude_km,
        phase_deg=phase_deg,
        sub_solar_latitude_deg=float(np.degrees(latitude)),
        sub_solar_longitude_deg=turn_deg,
        sub_spacecraft_latitude_deg=float(np.degrees(np.arcsin(camera[2]))),
        sub_spacecraft_longitude_deg=float((turn_deg + np.degrees(np.arctan2(camera[1], camera[0]))) % 360.0),
        center_xy=(0.5 * SIDE + float(off[0]), 0.5 * SIDE + float(off[1])),
    )


def measured(first: int, frames: int) -> np.ndarray:
    """Lit limb (degrees), phase, relative error of the scale, the error told, and ms, of each fit."""
    out = []
    for k in range(first, first + frames):
        drawn = scene(k)
        frame = simulate.render(drawn).frame
        true_km = frame.geometry.target_center_distance_km * frame.geometry.camera.mean_ifov_rad
        started = time.thread_time()
        try:
            fit = fit_limb(frame.image, frame.mask)
        except ScaleError:
            continue
        spent_ms = 1e3 * (time.thread_time() - started)
        told_km = limb_scale_km(fit, frame.geometry.altitude_km)
        out.append(
            (
                fit.arc_deg,
                drawn.phase_deg,
                told_km / true_km - 1.0,
                fit.km_per_pixel_error / fit.km_per_pixel,
                spent_ms,
            )
        )
    return np.array(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--first", type=int, default=0)
    args = parser.parse_args()
    found = measured(args.first, args.frames)
    print(f"{len(found)} of {args.frames} frames fitted, the others refused")
    for low, high in ((150.0, 361.0), (90.0, 150.0), (0.0, 90.0), (0.0, 361.0)):
        part = found[(found[:, 0] >= low) & (found[:, 0] < high)]
        if len(part):
            off, told = 100.0 * np.abs(part[:, 2]), 100.0 * part[:, 3]
            print(
                f"{low:3.0f} to {min(high, 360):3.0f} degrees of limb: {len(part)} frames, "
                f"median {np.median(off):.1f} %, nine in ten below {np.percentile(off, 90):.1f} %, "
                f"{100 * np.mean(off < 1.0):.0f} % within 1 %, {100 * np.mean(off < 2.0):.0f} % within 2 %; "
                f"within the error told {100 * np.mean(off < told):.0f} %, "
                f"within twice it {100 * np.mean(off < 2.0 * told):.0f} %"
            )
    print(f"median {np.median(found[:, 4]):.0f} ms a frame")


if __name__ == "__main__":
    main()
