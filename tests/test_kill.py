"""Runs killed at random moments and taken up again: nothing is lost, nothing is there twice.

BRIGHTSPOT_KILLS sets how many runs are killed (5); BRIGHTSPOT_KILL_SEED the moments.
"""

import csv
import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from brightspot import batch, writers
from brightspot.batch import detect_folder
from brightspot.journal import holds_results, open_results

KILLS = int(os.environ.get("BRIGHTSPOT_KILLS", "5"))
SEED = int(os.environ.get("BRIGHTSPOT_KILL_SEED", "1"))

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")


def save_images(folder: Path) -> Path:
    """Small frames that take a while together: pictures, an animation, a damaged file."""
    folder.mkdir()
    image = batch.made_up_frame(96).image
    image = (image / image.max() * 240).astype(np.uint8)
    for k in range(8):
        iio.imwrite(folder / f"{k}.png", np.roll(image, k, axis=1))
    iio.imwrite(folder / "turning.gif", np.stack([image, image.T, image[::-1]]), loop=0)
    (folder / "cut.png").write_bytes((folder / "0.png").read_bytes()[:900])
    return folder


def contents(out: Path) -> dict[str, object]:
    """Everything a run leaves that does not tell the time: all files but the record and the journal's bytes.

    frames.csv is compared without its column ``seconds``.
    """
    with (out / "frames.csv").open(newline="") as file:
        frames = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    with open_results(out) as results:
        outlines = list(results.iter_outlines())
        counts = results.counts()
    return {
        "frames": frames,
        "detections": (out / "detections.csv").read_bytes(),
        "outlines": outlines,
        "counts": counts,
        "overlays": {path.name: path.read_bytes() for path in (out / "overlays").iterdir()},
        "left over": [path.name for path in out.rglob(".*")],
    }


def run(images: Path, out: Path, slow_export: bool) -> None:
    """A run in a process of its own, with two workers."""
    os.setsid()
    if slow_export:
        quick = writers.tables.csv_field

        def slow(value):
            time.sleep(0.0005)
            return quick(value)

        writers.tables.csv_field = slow
    detect_folder(images, out, jobs=2)


def start(images: Path, out: Path, slow_export: bool = False) -> multiprocessing.Process:
    process = multiprocessing.get_context("fork").Process(target=run, args=(images, out, slow_export))
    process.start()
    return process


def workers_of(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition, limit_s: float = 30.0) -> None:
    end = time.monotonic() + limit_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Images, what a run without trouble leaves of them, and how long it takes."""
    folder = tmp_path_factory.mktemp("kill")
    images = save_images(folder / "images")
    batch.warm_kernels(batch.Job(batch.work.SpotFinder(), None).finder)
    began = time.monotonic()
    process = start(images, folder / "whole")
    process.join()
    assert process.exitcode == 0
    return images, contents(folder / "whole"), time.monotonic() - began


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_run_is_taken_up_where_it_was(undisturbed, tmp_path, number):
    images, whole, duration = undisturbed
    chance = random.Random(1000 * SEED + number)
    victim = ("parent", "worker", "export")[number % 3]
    out = tmp_path / "results"
    process = start(images, out, slow_export=victim == "export")
    if victim == "export":
        wait_for(lambda: any(out.glob(".*.part.csv")) or not process.is_alive())
        time.sleep(chance.uniform(0.0, 0.4))
        kill(process.pid)
    elif victim == "parent":
        time.sleep(chance.uniform(0.0, duration))
        kill(process.pid)
    else:
        time.sleep(chance.uniform(0.0, 0.9 * duration))
        wait_for(lambda: workers_of(process.pid) or not process.is_alive(), 2.0)
        kill(chance.choice(workers_of(process.pid) or [process.pid]))
    process.join()

    if holds_results(out):
        with open_results(out) as results:  # readable as it is, and nothing in it twice
            names = [row["frame"] for row in results.frame_rows()]
        assert len(names) == len(set(names))
    again = detect_folder(images, out, jobs=2)
    assert again.n_frames == 12
    assert contents(out) == whole
    # And once more, though there is nothing to do.
    assert detect_folder(images, out).n_new == 0
    assert contents(out) == whole


def test_workers_end_with_their_parent(undisturbed, tmp_path):
    images, _, _ = undisturbed
    process = start(images, tmp_path / "results")
    wait_for(lambda: len(workers_of(process.pid)) == 2)
    workers = workers_of(process.pid)
    kill(process.pid)
    process.join()
    wait_for(lambda: all(map(is_gone, workers)), 5.0)
    assert all(map(is_gone, workers))


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
