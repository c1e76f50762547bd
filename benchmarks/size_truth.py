"""Sizes of rendered discs against the truth: diameter at half maximum, excess area, upper limits, albedo.

    python benchmarks/size_truth.py [--seeds 2] [--out benchmarks/output/size_truth.csv]

Discs of 3 to 40 km on smooth ground at 0.14 to 8 km per pixel with the camera's noise, no PSF wings; emission
up to 65 degrees where the field of view reaches that far (12 degrees at 0.14 km per pixel).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from brightspot.finder import SpotFinder
from brightspot.photometry import phase_function
from brightspot.simulate import Scene, Spot, render

ALTITUDES_KM = (1_500.0, 4_400.0, 7_200.0, 13_600.0, 22_000.0, 46_000.0, 86_000.0)
DIAMETERS_KM = (3.0, 6.0, 10.0, 20.0, 40.0)
CONTRASTS = (1.6, 4.0)
MOST = 8  # discs in a frame
PIXEL = 93.2e-6  # radians


def discs(altitude_km: float, contrast: float, diameter_km: float, seed: int) -> tuple[Spot, ...]:
    """Equal discs about the sub-spacecraft point (0, 0), out to 65 degrees of emission, apart."""
    reach = np.degrees(min(500.0 * altitude_km * PIXEL / 482.0, 1.0))
    tilt = 65.0 - np.degrees(482.0 / altitude_km) if altitude_km > 4_000 else reach
    rng = np.random.default_rng([seed, int(altitude_km), int(10 * contrast), int(diameter_km)])
    # Discs must not touch each other, nor what is around them, nor the frame's edge.
    room = max(min(reach, tilt) - np.degrees(diameter_km / 482.0), 0.0)
    apart = np.degrees((3.0 * diameter_km + 24.0 * altitude_km * PIXEL) / 482.0)
    places: list[tuple[float, float]] = [(0.0, 0.0)]
    for _ in range(400):
        # Even in emission: as many discs far from the middle as near it.
        radius, angle = rng.uniform(0.0, room), rng.uniform(0.0, 2.0 * np.pi)
        place = radius * np.sin(angle), radius * np.cos(angle)
        if len(places) < MOST and all(np.hypot(place[0] - a, place[1] - b) > apart for a, b in places):
            places.append(place)
    return tuple(Spot("", float(a), float(b) % 360.0, diameter_km, contrast) for a, b in places)


def measure(seed: int) -> pd.DataFrame:
    """One row per disc: truth beside what was measured."""
    rows = []
    for altitude in ALTITUDES_KM:
        for diameter in DIAMETERS_KM:
            for contrast in CONTRASTS:
                scene = Scene(
                    seed=seed, altitude_km=altitude, sub_spacecraft_latitude_deg=0.0,
                    sub_spacecraft_longitude_deg=0.0, phase_deg=20.0, relief_spheroid=False,
                    mottling=0.0, named_spots=False, cosmic_rays=0.0,
                    hot_pixels=0.0, dead_pixels=0.0, defects=False, psf_wings=0.0, halo_fraction=0.0,
                    spots=discs(altitude, contrast, diameter, seed),
                )  # fmt: skip
                rendered = render(scene)
                found = SpotFinder(polarity="bright", keep_all=True)(rendered.frame).catalog
                for truth in rendered.truth[rendered.truth["visible"]].to_dict("records"):
                    gap = np.hypot(found["x_centroid"] - truth["x"], found["y_centroid"] - truth["y"])
                    near = gap <= max(2.0, 0.3 * truth["diameter_px"])
                    row = {
                        "altitude_km": altitude, "pixel_scale_km": truth["pixel_scale_km"],
                        "emission_deg": truth["emission_deg"], "true_km": diameter, "contrast": contrast,
                        "true_px": truth["diameter_px"] * np.sqrt(np.cos(np.radians(truth["emission_deg"]))),
                        "true_excess_km2": truth["excess_area_km2"], "found": bool(near.any()),
                    }  # fmt: skip
                    if near.any():
                        got = found.loc[near].iloc[int(np.argmin(gap[near]))]
                        # Rendered with the phase of the body's centre, measured with that of the place.
                        dim = phase_function(rendered.frame.geometry.phase_deg)
                        dim /= phase_function(got["phase_deg"])
                        row |= {
                            "gap_px": float(gap[near].min()),
                            "halfmax": got["diameter_halfmax_km"] / diameter - 1.0,
                            "deconvolved": got["diameter_deconvolved_km"] / diameter - 1.0,
                            "excess": got["excess_area_km2"] / truth["excess_area_km2"] - 1.0,
                            "limit_km": got["diameter_limit_km"],
                            "albedo": got["normal_albedo"] / (scene.normal_albedo * contrast * dim) - 1.0,
                            "flags": got["flags"],
                        }
                    rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/output/size_truth.csv"))
    args = parser.parse_args()
    table = pd.concat([measure(seed) for seed in range(1, args.seeds + 1)], ignore_index=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(args.out, index=False)
    cut = table["flags"].fillna("").astype(str).str.contains("EDGE")
    print(f"{int(cut.sum())} of {len(table)} discs reach the limb or the edge: flagged EDGE, left out")
    table = table[~cut]
    for low, high in ((0.0, 1.3), (1.3, 2.3), (2.3, 4.0), (4.0, 10.0), (10.0, 40.0), (40.0, 400.0)):
        part = table[(table["true_px"] >= low) & (table["true_px"] < high)]
        seen = part[part["found"]]
        line = f"{low:5.1f} to {high:5.1f} px: {len(seen)} of {len(part)} found"
        for name, bound in (("halfmax", 10.0), ("deconvolved", 10.0), ("excess", 5.0), ("albedo", 10.0)):
            error = seen[name].dropna().abs() * 100
            if len(error):
                share = 100 * (error <= bound).mean()
                line += f"; {name} median {error.median():.1f} worst {error.max():.1f} %"
                line += f" ({share:.0f} % within {bound:.0f})"
        limits = seen["limit_km"].dropna()
        if len(limits):
            honoured = (seen.loc[limits.index, "limit_km"] >= seen.loc[limits.index, "true_km"]).mean()
            line += f"; limit honoured {100 * honoured:.0f} % of {len(limits)}"
        print(line)
        if high <= 2.3:
            for contrast, faint in seen.groupby("contrast"):
                error = faint["excess"].abs() * 100
                print(
                    f"    contrast {contrast}: excess median {error.median():.1f}, "
                    f"{100 * (error <= 5.0).mean():.0f} % of {len(error)} within 5 %"
                )


if __name__ == "__main__":
    main()
