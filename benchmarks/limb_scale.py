"""Scale from the limb of rendered, cratered disks against the truth.

    python benchmarks/limb_scale.py [--frames 60]

Disks of 40 to 900 px at phases of 10 to 90 degrees, whole or cut by the frame's edge, the Sun anywhere.
"""

from __future__ import annotations

import argparse

import numpy as np

from brightspot import simulate
from brightspot.errors import ScaleError
from brightspot.limb import fit_limb
from brightspot.scale import limb_scale_km

SIDE = 1024


def errors(frames: int) -> list[tuple[float, float, float]]:
    """(lit limb in degrees, phase, relative error of km per pixel) of each frame that was fitted."""
    out = []
    for k in range(frames):
        rng = np.random.default_rng([k, 97])
        width_px = float(np.exp(rng.uniform(np.log(40.0), np.log(900.0))))
        altitude_km = 964.0 / (width_px * 93.2e-6) - 470.0
        off = rng.uniform(-0.5, 0.5, 2) * (SIDE if k % 2 else SIDE - width_px)
        scene = simulate.random_scene(
            300_000 + k, altitude_km, phase_deg=float(rng.uniform(10.0, 90.0)),
            center_xy=(0.5 * SIDE + float(off[0]), 0.5 * SIDE + float(off[1])),
        )  # fmt: skip
        frame = simulate.render(scene).frame
        true_km = frame.geometry.target_center_distance_km * frame.geometry.camera.mean_ifov_rad
        try:
            fit = fit_limb(frame.image, frame.mask)
        except ScaleError:
            continue
        told_km = limb_scale_km(fit, frame.geometry.altitude_km)
        out.append((fit.arc_deg, scene.phase_deg, told_km / true_km - 1.0))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=60)
    args = parser.parse_args()
    found = np.array(errors(args.frames))
    print(f"{len(found)} of {args.frames} frames fitted, the others refused")
    for low, high in ((150.0, 361.0), (90.0, 150.0), (0.0, 90.0)):
        part = 100.0 * np.abs(found[(found[:, 0] >= low) & (found[:, 0] < high), 2])
        if len(part):
            print(
                f"{low:3.0f} to {min(high, 360):3.0f} degrees of limb: {len(part)} frames, "
                f"median {np.median(part):.1f} %, nine in ten below {np.percentile(part, 90):.1f} %, "
                f"{100 * np.mean(part < 1.0):.0f} % within 1 %"
            )


if __name__ == "__main__":
    main()
