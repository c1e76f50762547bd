"""Exported footprints against the discs that were painted, and what exports of a large run cost.

    python benchmarks/exports.py [--frames 5000] [--seeds 2]

Areas: geodesics on the spheroid, of polygons read back from the GeoPackage. Discs of 6 to 40 km on smooth
ground with the camera's noise, as seen from four orbits; those at the limb or the frame's edge are left out.
Cost: a journal of many frames, each with the same ten detections and their outlines.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import geopandas
import numpy as np
from size_truth import discs

import brightspot as bs
from brightspot.journal import Entry, FrameRows, Journal
from brightspot.outline import pack
from brightspot.simulate import Scene, render
from brightspot.writers import detection_rows
from brightspot.writers.export import FORMATS

ORBITS = {"OpNav 22,000 km": 22_000.0, "RC3 13,600 km": 13_600.0, "Survey 4,400 km": 4_400.0}
DIAMETERS_KM = (6.0, 14.0, 40.0)


def scene(altitude_km: float, diameter_km: float, seed: int) -> Scene:
    return Scene(
        seed=seed, altitude_km=altitude_km, sub_spacecraft_latitude_deg=0.0, sub_spacecraft_longitude_deg=0.0,
        phase_deg=20.0, relief_spheroid=False, mottling=0.0, named_spots=False, cosmic_rays=0.0,
        hot_pixels=0.0, dead_pixels=0.0, defects=False, psf_wings=0.0, halo_fraction=0.0,
        spots=discs(altitude_km, 2.5, diameter_km, seed),
    )  # fmt: skip


def areas(seeds: int) -> None:
    for orbit, altitude_km in ORBITS.items():
        for diameter_km in DIAMETERS_KM:
            errors, width = [], []
            for seed in range(1, seeds + 1):
                rendered = render(scene(altitude_km, diameter_km, seed))
                with tempfile.TemporaryDirectory() as folder:
                    bs.export(bs.SpotFinder(polarity="bright")(rendered.frame), "gpkg", folder)
                    found = geopandas.read_file(Path(folder) / "detections.gpkg", layer="footprints")
                found = found[~found["flags"].fillna("").str.contains("EDGE")]
                spheroid = found.crs.get_geod()
                for _, row in found.iterrows():
                    gap = rendered.truth[["x", "y"]] - [row["x_centroid"], row["y_centroid"]]
                    if np.hypot(gap["x"], gap["y"]).min() > 2.0:
                        continue
                    area_km2 = abs(spheroid.geometry_area_perimeter(row.geometry)[0]) / 1e6
                    errors.append(area_km2 / (np.pi / 4.0 * diameter_km**2) - 1.0)
                    width.append(row["diameter_halfmax"])
            if errors:
                percent = 100.0 * np.array(errors)
                print(
                    f"{orbit}, {diameter_km:g} km ({np.median(width):.1f} px): {len(percent)} discs, area "
                    f"{np.median(percent):+.1f} % median, {percent.min():+.1f} to {percent.max():+.1f} %"
                )


def cost(n_frames: int) -> None:
    rendered = render(scene(13_600.0, 14.0, 1))
    detection = bs.SpotFinder()(rendered.frame)
    rows = (detection_rows(detection.catalog) * 10)[:10]
    rows = [{**row, "detection_id": k + 1} for k, row in enumerate(rows)]
    traced = (detection.outlines() * 10)[:10]
    outlines = [pack(outline._replace(detection_id=k + 1)) for k, outline in enumerate(traced)]
    facts = {
        "status": "ok",
        "n_x": 1024,
        "n_y": 1024,
        "n_detections": 10,
        "start_time": "2015-05-04T12:00:00",
    }
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder))
        for k in range(n_frames):
            name = f"frame{k:05d}.IMG"
            entry = Entry(name, f"/{name}", "", "", "", "")
            journal.commit(entry, [FrameRows({**facts, "frame": name}, rows, outlines)])
        journal.close()
        print(f"{n_frames} frames, {10 * n_frames} detections:")
        for name in FORMATS:
            if name == "segmentation" and n_frames > 200:
                continue  # a file pair per frame: see it with --frames 200
            start = time.perf_counter()
            (done,) = bs.export(folder, name)
            seconds = time.perf_counter() - start
            files = done.path.rglob("*") if done.path.is_dir() else [done.path]
            size = sum(file.stat().st_size for file in files) / 1e6
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"  {name:12s} {seconds:7.2f} s {size:8.1f} MB, peak memory so far {peak:.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    areas(args.seeds)
    cost(args.frames)


if __name__ == "__main__":
    main()
