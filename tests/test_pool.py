"""Workers that hang, die and swell: each costs the frame it has in hand, and nothing else."""

import faulthandler
import os
import signal
import sys
import time
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from brightspot.batch import detect_folder, pool, work
from brightspot.batch.plan import find_tasks
from brightspot.errors import UsageError
from brightspot.finder import SpotFinder
from brightspot.journal import open_results
from test_resume import rows, save_ball, save_images, tables


@pytest.fixture
def images(tmp_path) -> Path:
    return save_images(tmp_path / "images")


def trouble(monkeypatch, what) -> None:
    """Let something happen to the worker that has 2.png in hand."""
    usual = work.process_input

    def troubled(item, job):
        if item.name == "2.png":
            what()
        return usual(item, job)

    monkeypatch.setattr(work, "process_input", troubled)


def die(number: int) -> None:
    faulthandler.disable()  # its pages of traceback belong to nobody here
    os.kill(os.getpid(), number)


def swell() -> None:
    held = [bytearray(os.urandom(1 << 20)) * 64 for _ in range(40)]
    time.sleep(30 + len(held))


@pytest.mark.parametrize(
    ("what", "options", "reason"),
    [
        (lambda: time.sleep(60), {"timeout_s": 4.0}, "took longer than 4 s and was ended (--timeout)"),
        (swell, {"memory_gb": 1.0}, "needed more than 1 GiB of memory and was ended (--memory-gb)"),
        (lambda: die(signal.SIGSEGV), {}, "its worker process died (SIGSEGV)"),
        (
            lambda: die(signal.SIGKILL),
            {},
            "its worker process died (SIGKILL; out of memory?)",
        ),
        (lambda: os._exit(3), {}, "its worker process died (exit code 3)"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked")
def test_a_worker_in_trouble_costs_its_frame(images, tmp_path, monkeypatch, what, options, reason):
    out = tmp_path / "results"
    with monkeypatch.context() as patch:
        trouble(patch, what)
        summary = detect_folder(images, out, jobs=2, overlays=False, **options)
    assert dict(summary.failures)["2.png"] == reason
    assert (summary.n_ok, summary.n_failed) == (5, 2)
    again = detect_folder(images, out, jobs=2, overlays=False, **{**options, "timeout_s": 60.0})
    assert (again.n_new, again.n_ok) == (1, 6)


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked")
def test_pictures_of_an_animation_before_the_bad_one_stand(tmp_path, monkeypatch):
    image = iio.imread(save_ball(tmp_path / "images" / "0.png"))
    iio.imwrite(tmp_path / "images" / "turning.gif", np.stack([image, image.T, image[::-1]]), loop=0)
    usual = work.process_frame

    def troubled(frame, job, start=None):
        if frame.name.endswith("#002"):
            die(signal.SIGSEGV)
        return usual(frame, job, start)

    monkeypatch.setattr(work, "process_frame", troubled)
    detect_folder(tmp_path / "images", tmp_path / "results", jobs=2, timeout_s=60, overlays=False)
    found = {name: row["status"] for name, row in rows(tmp_path / "results").items()}
    names = ["0.png", "turning.gif#000", "turning.gif#001", "turning.gif#002"]
    assert found == dict(zip(names, ["ok", "ok", "ok", "failed"], strict=True))


def test_workers_that_cannot_be_forked_find_the_same(images, tmp_path, monkeypatch):
    """Where other threads run, a fork could inherit a lock that nobody lets go of: workers are spawned."""
    started = {}
    for name, n_threads in (("alone", 1), ("beside", 2)):
        monkeypatch.setattr(pool.threading, "active_count", lambda n=n_threads: n)
        detect_folder(images, tmp_path / name, jobs=2)
        with open_results(tmp_path / name) as results:
            started[name] = results.record["runs"][-1]["workers"]
    assert started["alone"] == f"2 processes ({'fork' if sys.platform == 'linux' else 'spawn'})"
    assert started["beside"] == "2 processes (spawn)"
    assert tables(tmp_path / "beside") == tables(tmp_path / "alone")


def finish(workers: pool.Pool, task: work.Task) -> tuple[int, str]:
    """The process that does a task, and what becomes of it."""
    workers.submit(task)
    pid = workers.workers[0].process.pid
    while not (done := workers.collect()):
        pass
    return pid, done[0][1].results[0].status


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked")
def test_an_idle_worker_that_has_swollen_is_replaced(images, monkeypatch):
    first, second, third = list(find_tasks([str(images)]))[:3]
    workers = pool.Pool(1, work.Job(SpotFinder(), None), memory_gb=1.0)
    try:
        one = finish(workers, first)
        assert finish(workers, second) == one
        filled = [9.0]
        with monkeypatch.context() as patch:
            patch.setattr(pool, "resident_gib", lambda pid: filled.pop() if filled else 0.5)
            pid, status = finish(workers, third)
        assert status == "ok"
        assert pid != one[0]
    finally:
        workers.close()


def test_a_worker_that_has_just_finished_a_frame_loses_no_other(monkeypatch):
    workers = pool.Pool.__new__(pool.Pool)
    workers.timeout_s, workers.memory_gb = None, 1.0
    monkeypatch.setattr(pool, "resident_gib", lambda pid: 9.0)

    class Process:
        pid = 1

    now = time.perf_counter()
    assert workers._trouble(pool._Worker(Process, None, heard=now)) == ""
    assert "needed more than 1 GiB" in workers._trouble(pool._Worker(Process, None, heard=now - 5.0))


def test_less_memory_than_an_idle_worker_fills_is_refused_before_anything_is_touched(images, tmp_path):
    with pytest.raises(UsageError, match=r"memory 0\.001 GiB is less than a worker.*give 0\.25 or more"):
        detect_folder(images, tmp_path / "results", memory_gb=0.001)
    assert not (tmp_path / "results").exists()
