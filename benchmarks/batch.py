"""Batch runs: frames per second, speed-up, memory, what the journal costs, and a plain script beside it.

    python benchmarks/batch.py [--frames 2000] [--few 200] [--tiny 10000] [--scratch DIR] [--parts speed,...]

A few 1024 x 1024 frames are rendered in each of four formats (IMG, FITS with label, PNG, JPEG) and copied
under many names; each copy has a pixel's last bit, or bytes after the end, of its own, so no two files are
alike. The throughput is therefore that of a few scenes. Parts: speed (1 and 2 workers, memory, journal, with
and without overlays), plain (FITS only, beside astropy and sep under a pool of as many processes), tiny.
CPU seconds per frame are given too: they depend less on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

DAYS = ("2015-04-15", "2015-05-04", "2015-05-16", "2015-06-06")
FORMATS = ("img", "fits", "png", "jpg")
HERE = Path(__file__).parent


def render(folder: Path) -> dict[str, list[Path]]:
    """Whole frames of four days in every format; what is there already is kept."""
    from brightspot import simulate

    found = {}
    for kind in FORMATS:
        place = folder / kind
        if not place.exists():
            for day in DAYS:
                rendered = simulate.render(simulate.observation_scene(day, seed=7, shape=(1024, 1024)))
                simulate.write(
                    rendered, place, kind, name=f"{day}-{kind}" if kind in ("png", "jpg") else None
                )
        wanted = {".img", ".fit", ".png", ".jpg"}
        found[kind] = sorted(path for path in place.iterdir() if path.suffix.lower() in wanted)
    return found


def copies(frames: dict[str, list[Path]], folder: Path, number: int) -> Path:
    """``number`` files, no two alike, in folders of 500."""
    if folder.exists():
        return folder
    kinds = list(frames)
    for k in range(number):
        kind = kinds[k % len(kinds)]
        source = frames[kind][k // len(kinds) % len(frames[kind])]
        place = folder / f"{k // 500:03d}"
        place.mkdir(parents=True, exist_ok=True)
        copy = place / f"{k:06d}_{source.name}"
        shutil.copyfile(source, copy)
        label = source.with_suffix(".LBL")
        if kind == "fits" and label.exists():
            text = label.read_bytes().replace(source.name.encode(), copy.name.encode())
            copy.with_suffix(".LBL").write_bytes(text)
        with copy.open("r+b") as file:
            if kind in ("png", "jpg"):
                file.seek(0, os.SEEK_END)
                file.write(f"copy {k}".encode())
            else:  # the last bit of one float32 of the picture; FITS is big-endian
                size = copy.stat().st_size
                where = size // 2 // 4 * 4 + 4 * (k % 4096) + (3 if kind == "fits" else 0)
                file.seek(where)
                byte = file.read(1)[0] ^ 1
                file.seek(where)
                file.write(bytes([byte]))
    return folder


def tiny(folder: Path, number: int) -> Path:
    """Pictures of 32 x 32 pixels, no two alike."""
    import imageio.v3 as iio

    if folder.exists():
        return folder
    rng = np.random.default_rng(1)
    for k in range(number):
        place = folder / f"{k // 1000:03d}"
        place.mkdir(parents=True, exist_ok=True)
        iio.imwrite(place / f"{k:06d}.png", rng.integers(0, 255, (32, 32), np.uint8))
    return folder


def child(images: str, out: str, options: dict[str, Any]) -> None:
    """One measured run; its figures go to stdout."""
    from brightspot.batch import detect_folder, run
    from brightspot.journal import Journal

    spent = {"commit": 0.0, "find": 0.0, "first": 0.0}
    began = time.perf_counter()

    def timed(function: Callable[..., Any], what: str) -> Callable[..., Any]:
        def measured(*args: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args)
            finally:
                spent[what] += time.perf_counter() - start

        return measured

    def found(given: list[str]) -> Iterator[Any]:
        tasks = usual(given)
        while True:
            start = time.perf_counter()
            task = next(tasks, None)
            spent["find"] += time.perf_counter() - start
            if task is None:
                return
            yield task

    usual = run.find_tasks
    run.find_tasks = found
    Journal.commit = timed(Journal.commit, "commit")

    def progress(_result: object) -> None:
        spent["first"] = spent["first"] or time.perf_counter() - began

    summary = detect_folder(images, out, force=True, progress=progress, **options)
    wall = time.perf_counter() - began
    facts = {"wall": wall, "frames": summary.n_frames, "failed": summary.n_failed, "cpu": cpu_s()}
    print(json.dumps({**facts, **spent}))


def cpu_s() -> float:
    """CPU seconds of this process and of those it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def measured(images: Path, out: Path, **options: Any) -> dict[str, Any]:
    """A run in a process of its own, with the peak memory of it and all its workers."""
    command = [sys.executable, __file__, "--child", json.dumps([str(images), str(out), options])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = 0.0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            peak = max(peak, tree_mib(process.pid))
            time.sleep(0.2)

    thread = threading.Thread(target=watch)
    thread.start()
    said, _ = process.communicate()
    thread.join()
    if process.returncode:
        raise SystemExit(f"the run over {images} failed")
    return {**json.loads(said.splitlines()[-1]), "peak_mib": peak}


def tree_mib(pid: int) -> float:
    """Memory of a process and its descendants; what they share is counted once (Pss)."""
    total, stack = 0.0, [pid]
    while stack:
        one = stack.pop()
        try:
            stack += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(float(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return total


def plain(path: str) -> list[tuple[float, ...]]:
    """What a short script does with a frame: background, and what stands out of it."""
    import sep
    from astropy.io import fits

    image = np.ascontiguousarray(fits.getdata(path), np.float32)
    background = sep.Background(image)
    objects = sep.extract(image - background.back(), 5.0, err=background.globalrms)
    return [(o["x"], o["y"], o["npix"], o["flux"]) for o in objects]


def plain_run(images: Path, jobs: int) -> tuple[float, float]:
    """Seconds, and CPU seconds, of the plain script over a folder under a pool."""
    before = cpu_s()
    paths = [str(path) for path in sorted(images.rglob("*.FIT"))]
    start = time.perf_counter()
    with ProcessPoolExecutor(jobs) as pool, (images.parent / "plain.csv").open("w") as file:
        for path, rows in zip(paths, pool.map(plain, paths), strict=True):
            file.writelines(f"{path},{','.join(map(str, row))}\n" for row in rows)
    return time.perf_counter() - start, cpu_s() - before


def speed(args: argparse.Namespace, frames: dict[str, list[Path]]) -> None:
    """Throughput, memory, journal."""
    many = copies(frames, args.scratch / f"many-{args.frames}", args.frames)
    few = copies(frames, args.scratch / f"few-{args.few}", args.few)
    out = args.scratch / "results"
    rates = {}
    rows = [
        ("1 worker", many, {"jobs": 1, "timeout_s": 3600.0}),
        (f"{args.jobs} workers", many, {"jobs": args.jobs}),
        (f"{args.jobs} workers, no overlays", many, {"jobs": args.jobs, "overlays": False}),
        (f"{args.jobs} workers, {args.few} frames", few, {"jobs": args.jobs}),
    ]
    print(f"{'':32s} frames  failed  wall s  frames/s  first s  find s  journal %  peak MiB  CPU s/frame")
    for name, images, options in rows:
        got = measured(images, out, **options)
        # From the first frame on: what a long run settles at.
        rates[name] = (got["frames"] - 1) / (got["wall"] - got["first"])
        print(
            f"{name:32s} {got['frames']:6d}  {got['failed']:6d}  {got['wall']:6.1f}  {rates[name]:8.2f}  "
            f"{got['first']:7.2f}  {got['find']:6.2f}  {100 * got['commit'] / got['wall']:9.2f}  "
            f"{got['peak_mib']:8.0f}  {got['cpu'] / got['frames']:11.3f}",
            flush=True,
        )
    together = rates[f"{args.jobs} workers"]
    print(f"speed-up with {args.jobs} workers: {together / rates['1 worker']:.2f}")
    print(f"60,000 frames at that rate: {60_000 / together / 3600:.1f} h on {args.jobs} cores")


def beside(args: argparse.Namespace, frames: dict[str, list[Path]]) -> None:
    """FITS frames through brightspot and through the plain script."""
    images = copies({"fits": frames["fits"]}, args.scratch / f"fits-{args.few}", args.few)
    wall, cpu = plain_run(images, args.jobs)
    print(
        f"astropy + sep, {args.jobs} processes: {args.few / wall:.2f} frames/s, "
        f"{cpu / args.few:.3f} CPU s a frame"
    )
    for overlays in (True, False):
        got = measured(images, args.scratch / "results", jobs=args.jobs, overlays=overlays)
        rate = (got["frames"] - 1) / (got["wall"] - got["first"])
        print(
            f"brightspot, {args.jobs} workers, {'with' if overlays else 'no'} overlays: {rate:.2f} frames/s "
            f"({got['frames'] / got['wall']:.2f} with start), {got['cpu'] / got['frames']:.3f} CPU s a frame",
            flush=True,
        )


def many_tiny(args: argparse.Namespace) -> None:
    """Cost per frame where the frame itself costs next to nothing."""
    for number in (args.tiny // 10, args.tiny):
        images = tiny(args.scratch / f"tiny-{number}", number)
        got = measured(images, args.scratch / "results", jobs=args.jobs, overlays=False)
        per_frame = 1e3 / got["frames"]
        print(
            f"{got['frames']} tiny files: {got['wall']:.1f} s, first after {got['first']:.2f} s; per frame "
            f"{per_frame * got['wall']:.2f} ms ({per_frame * got['cpu']:.2f} ms CPU), of it finding "
            f"{per_frame * got['find']:.3f} ms, journal {per_frame * got['commit']:.3f} ms; "
            f"peak {got['peak_mib']:.0f} MiB",
            flush=True,
        )
    start = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "brightspot",
        "detect",
        str(images),
        "--no-overlays",
        "--jobs",
        str(args.jobs),
    ]
    subprocess.run([*command, "--out", str(args.scratch / "results")], check=False, capture_output=True)
    print(f"the same again, nothing to do: {time.perf_counter() - start:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--few", type=int, default=200)
    parser.add_argument("--tiny", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--parts", default="speed,plain,tiny")
    parser.add_argument("--scratch", type=Path, default=HERE / "output" / "batch")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        images, out, options = json.loads(args.child)
        child(images, out, options)
        return
    args.scratch.mkdir(parents=True, exist_ok=True)
    parts = args.parts.split(",")
    if "speed" in parts or "plain" in parts:
        frames = render(args.scratch / "rendered")
        if "speed" in parts:
            speed(args, frames)
        if "plain" in parts:
            beside(args, frames)
    if "tiny" in parts:
        many_tiny(args)


if __name__ == "__main__":
    main()
