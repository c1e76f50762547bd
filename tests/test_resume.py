"""Runs taken up again, stopped, and troubled by full disks and strange journals."""

import csv
import json
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from brightspot import batch, cli
from brightspot.batch import detect_folder, merge_folders, plan, run, work
from brightspot.errors import BrightspotError, UsageError
from brightspot.finder import SpotFinder
from brightspot.journal import JOURNAL, FolderLock, Journal, open_results


def save_ball(path: Path, shift: int = 0) -> Path:
    image = batch.made_up_frame(80).image
    image = (image / image.max() * 240).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(path, np.roll(image, shift, axis=1))
    return path


def save_images(folder: Path) -> Path:
    """Six pictures and a damaged one."""
    for k in range(6):
        save_ball(folder / f"{k}.png", k)
    (folder / "cut.png").write_bytes((folder / "0.png").read_bytes()[:700])
    return folder


@pytest.fixture
def images(tmp_path) -> Path:
    return save_images(tmp_path / "images")


def rows(out: Path) -> dict[str, dict]:
    with (out / "frames.csv").open(newline="") as file:
        return {row["frame"]: row for row in csv.DictReader(file)}


def tables(out: Path) -> tuple:
    return (out / "detections.csv").read_bytes(), [{**row, "seconds": ""} for row in rows(out).values()]


def run_again(images: Path, out: Path, **options) -> list[str]:
    """Names of the frames that a run works on."""
    done: list[str] = []
    detect_folder(images, out, jobs=1, progress=lambda result: done.append(result.name), **options)
    return done


def test_the_same_command_again_does_only_what_is_missing_or_changed(images, tmp_path):
    out = tmp_path / "results"
    assert len(run_again(images, out)) == 7
    whole = tables(out)
    assert run_again(images, out) == []  # what is damaged stays damaged
    assert tables(out) == whole

    save_ball(images / "new.png", 9)
    assert run_again(images, out) == ["new.png"]
    save_ball(images / "3.png", 30)
    assert run_again(images, out) == ["3.png"]
    os.utime(images / "4.png")  # touched, the same bytes
    assert run_again(images, out) == []
    shutil.copy(images / "0.png", images / "cut.png")  # mended
    assert run_again(images, out) == ["cut.png"]
    assert rows(out)["cut.png"]["status"] == "ok"

    (images / "5.png").unlink()  # results of an image that is gone stay
    assert run_again(images, out) == []
    assert "5.png" in rows(out)


def test_another_version_does_it_again(images, tmp_path, monkeypatch):
    run_again(images, tmp_path / "results")
    monkeypatch.setattr(run, "__version__", "99")
    assert len(run_again(images, tmp_path / "results")) == 7


def test_other_settings_need_force_and_say_so(images, tmp_path):
    out = tmp_path / "results"
    run_again(images, out)
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    with pytest.raises(UsageError, match=r"preset was relative30, is ksigma.*another folder.*--force"):
        run_again(images, out, finder=SpotFinder(preset="ksigma"))
    with pytest.raises(UsageError, match="scale_km was None, is 2"):
        run_again(images, out, scale_km=2.0)
    assert before == {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    assert len(run_again(images, out, finder=SpotFinder(preset="ksigma"), force=True)) == 7


def test_other_images_need_another_folder_more_do_not(images, tmp_path):
    out = tmp_path / "results"
    detect_folder([images / "0.png", images / "1.png"], out)
    with pytest.raises(UsageError, match="other images"):
        detect_folder([images / "1.png"], out)
    summary = detect_folder([images / f"{k}.png" for k in range(3)], out)
    assert (summary.n_new, summary.n_kept) == (1, 2)
    # Names get their folders before them when another folder joins in: the same pictures are not there twice.
    save_ball(tmp_path / "more" / "0.png", 20)
    detect_folder([*(images / f"{k}.png" for k in range(3)), tmp_path / "more" / "0.png"], out)
    assert list(rows(out)) == ["images/0.png", "images/1.png", "images/2.png", "more/0.png"]


def test_failures_that_pass_are_tried_again(images, tmp_path, monkeypatch):
    out = tmp_path / "results"
    quick = work.save_overlay

    def full(detection, path):
        if detection.frame.name == "1.png":
            raise OSError(28, "No space left on device")
        return quick(detection, path)

    monkeypatch.setattr(work, "save_overlay", full)
    run_again(images, out)
    assert "no overlay: No space left" in rows(out)["1.png"]["notes"]
    monkeypatch.setattr(work, "save_overlay", quick)
    assert run_again(images, out) == ["1.png"]
    assert rows(out)["1.png"]["overlay"] == "1.png.png"


def begin(images: Path, out: Path, *options: str) -> multiprocessing.Process:
    """A command in a process group of its own; what it says goes to a file.

    Two frames are done at once; the others wait, in the workers' hands, for the file "go on".
    """

    def command() -> None:
        os.setsid()
        with (out.parent / "said").open("w") as said:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        usual = work.process_frame

        def patient(frame, *args):
            end = time.monotonic() + 60.0
            while frame.name not in ("made up", "0.png", "1.png") and time.monotonic() < end:
                if (out.parent / "go on").exists():
                    break
                time.sleep(0.01)
            return usual(frame, *args)

        work.process_frame = patient
        code = cli.run(["detect", str(images), "--out", str(out), *options])
        sys.stderr.flush()
        os._exit(code)

    process = multiprocessing.get_context("fork").Process(target=command)
    process.start()
    return process


def wait_for_frames(out: Path, number: int) -> None:
    for _ in range(3000):
        if (out / JOURNAL).exists() and (out / JOURNAL).stat().st_size:
            try:
                with open_results(out) as results:
                    if sum(results.counts()[status] for status in ("ok", "failed")) >= number:
                        return
            except BrightspotError:
                pass
        time.sleep(0.02)
    raise AssertionError("no frame was finished")


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_what_is_in_hand(images, tmp_path, number):
    out = tmp_path / "results"
    process = begin(images, out, "--jobs", "2", "--log-json", str(tmp_path / "log"))
    wait_for_frames(out, 1)
    os.killpg(process.pid, number)  # to the workers too, as a terminal and Slurm do
    (tmp_path / "go on").touch()
    process.join(60)
    assert process.exitcode == 130
    assert "run the same command again to go on" in (tmp_path / "said").read_text().splitlines()[-1]
    kept = rows(out)
    assert 1 <= len(kept) < 7
    assert not any("worker" in row["reason"] for row in kept.values())
    assert json.loads((out / "run.json").read_text())["state"] == "interrupted"
    assert json.loads((tmp_path / "log").read_text().splitlines()[-1])["event"] == "interrupted"
    assert len(run_again(images, out)) == 7 - len(kept)


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_second_signal_stops_at_once(images, tmp_path):
    out = tmp_path / "results"
    process = begin(images, out, "--jobs", "2")
    wait_for_frames(out, 1)
    os.kill(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGTERM)  # two of a kind at the same moment may count as one
    process.join(60)
    (tmp_path / "go on").touch()
    assert process.exitcode == 130
    assert "again" in (tmp_path / "said").read_text().splitlines()[-1]
    detect_folder(images, out, jobs=1)
    assert len(rows(out)) == 7


def test_two_runs_do_not_share_a_folder(images, tmp_path, capsys):
    out = tmp_path / "results"
    run_again(images, out)
    code = (
        "import pathlib, sys; from brightspot.journal import FolderLock\n"
        "lock = FolderLock(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "held\n"
    assert cli.run(["detect", str(images), "--out", str(out)]) == 2
    assert "another run is at work" in capsys.readouterr().err
    assert cli.run(["merge", str(out), "--out", str(tmp_path / "merged")]) == 2
    other.kill()
    other.communicate()
    assert cli.run(["detect", str(images), "--out", str(out)]) == 1


def test_parts_joined_are_the_whole(images, tmp_path):
    for k in range(6, 12):
        save_ball(images / "deep" / f"{k}.png", k)
    detect_folder(images, tmp_path / "whole", jobs=1)
    parts = []
    for part in (1, 2, 3):
        assert cli.run(
            ["detect", str(images), "--out", str(tmp_path / f"part-{part}"), "--shard", f"{part}/3"]
        ) in (0, 1)
        parts.append(str(tmp_path / f"part-{part}"))
    sizes = [len(rows(Path(part))) for part in parts]
    assert sum(sizes) == 13
    assert min(sizes) > 0
    random.Random(2).shuffle(parts)
    assert cli.run(["merge", *parts, "--out", str(tmp_path / "merged")]) == 1  # one has failed
    assert tables(tmp_path / "merged") == tables(tmp_path / "whole")
    for path in (tmp_path / "whole" / "overlays").iterdir():
        assert path.read_bytes() == (tmp_path / "merged" / "overlays" / path.name).read_bytes()
    with open_results(tmp_path / "merged") as merged, open_results(tmp_path / "whole") as whole:
        assert list(merged.iter_outlines()) == list(whole.iter_outlines())
        assert list(merged.previews()) == list(whole.previews())
        assert merged.record["inputs"] == whole.record["inputs"]
        assert len(merged.record["runs"]) == 3
    assert run_again(images, tmp_path / "merged") == []


def test_what_does_not_belong_together_is_not_merged(images, tmp_path):
    detect_folder(images, tmp_path / "a", jobs=1)
    detect_folder(images, tmp_path / "b", SpotFinder(preset="ksigma"), jobs=1)
    other = save_ball(tmp_path / "other" / "0.png", 30)
    detect_folder(other, tmp_path / "c", jobs=1)
    with pytest.raises(UsageError, match="different settings"):
        merge_folders([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    with pytest.raises(UsageError, match="another image"):
        merge_folders([tmp_path / "a", tmp_path / "c"], tmp_path / "out")
    with pytest.raises(UsageError, match="no results"):
        merge_folders([tmp_path / "a", tmp_path / "images"], tmp_path / "out2")
    with pytest.raises(UsageError, match="one of the folders"):
        merge_folders([tmp_path / "a", tmp_path / "b"], tmp_path / "a")
    assert not (tmp_path / "images" / "run.lock").exists()


def test_the_result_that_did_not_fail_is_taken(images, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(work, "process_frame", lambda frame, job, start=None: work.failed(
            {"frame": frame.name}, MemoryError("no"), 0.0))  # fmt: skip
        detect_folder(images, tmp_path / "a", jobs=1)
    detect_folder(images, tmp_path / "b", jobs=1)
    for order in (["a", "b"], ["b", "a"]):
        out = tmp_path / "-".join(order)
        assert merge_folders([tmp_path / name for name in order], out).n_ok == 6


@pytest.mark.parametrize("shard", ["0/3", "4/3", "3", "a/b", "1/0", "-1/3"])
def test_impossible_parts_are_refused(images, tmp_path, shard, capsys):
    assert cli.run(["detect", str(images), "--out", str(tmp_path / "out"), f"--shard={shard}"]) == 2
    assert "3/16" in capsys.readouterr().err


def test_progress_is_told(images, tmp_path):
    states = []
    detect_folder(images, tmp_path / "results", jobs=1, watch=states.append)
    last = states[-1]
    assert (last.n_inputs, last.n_kept, last.n_total, last.n_failed) == (7, 0, 7, 1)
    assert last.eta_s == 0.0
    assert last.rate > 0.0
    detect_folder(images, tmp_path / "results", jobs=1, watch=states.append)
    assert (states[-1].n_inputs, states[-1].n_kept) == (0, 7)


def test_the_json_log_has_a_line_for_every_frame(images, tmp_path, capsys):
    log = tmp_path / "log.jsonl"
    arguments = ["detect", str(images), "--out", str(tmp_path / "results"), "--log-json", str(log)]
    assert cli.run(arguments) == 1
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    events = [line["event"] for line in lines if line["event"] != "state"]
    assert events == ["start", *["frame"] * 7, "end"]
    assert {line["frame"] for line in lines if line["event"] == "frame"} == set(rows(tmp_path / "results"))
    assert lines[-1]["n_failed"] == 1
    assert cli.run(arguments) == 1  # the failed one is named again, though it was not tried
    assert "cut.png" in capsys.readouterr().err
    assert cli.run([*arguments[:-1], str(tmp_path / "nowhere" / "log")]) == 2


def test_without_a_terminal_there_is_a_line_now_and_then(images, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("brightspot.cli.watching.EVERY_S", 0.0)
    log = tmp_path / "log"
    assert cli.run(["detect", str(images), "--out", str(tmp_path / "results"), "--log-json", str(log)]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "inputs" in line]
    assert lines[-1].startswith("brightspot: 7 of 7 inputs, ")
    assert lines[-1].endswith("/s, 0:00:00 left, 1 failed")
    states = [json.loads(line) for line in log.read_text().splitlines() if '"state"' in line]
    assert states[-1]["n_total"] == 7


def test_a_strange_journal_ends_the_command(images, tmp_path, capsys):
    import sqlite3

    out = tmp_path / "results"
    run_again(images, out)
    with sqlite3.connect(out / JOURNAL) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    before = (out / JOURNAL).read_bytes()
    assert cli.run(["detect", str(images), "--out", str(out)]) == 2
    assert "newer brightspot" in capsys.readouterr().err
    assert (out / JOURNAL).read_bytes() == before

    (out / JOURNAL).write_bytes(b"")  # cut to nothing, with tables beside it
    assert cli.run(["detect", str(images), "--out", str(out)]) == 2
    assert "empty journal" in capsys.readouterr().err
    (out / JOURNAL).write_bytes(b"nonsense" * 1000)
    assert cli.run(["detect", str(images), "--out", str(out), "--force"]) == 2
    assert "was not written by brightspot" in capsys.readouterr().err
    (out / JOURNAL).write_bytes(before[: len(before) // 2])
    assert cli.run(["detect", str(images), "--out", str(out)]) in (1, 2)
    assert cli.run(["detect", str(images), "--out", str(out), "--force"]) == 1

    fresh = tmp_path / "fresh"
    fresh.mkdir()
    (fresh / JOURNAL).touch()  # killed at the very first moment
    assert cli.run(["detect", str(images), "--out", str(fresh)]) == 1


def test_a_damaged_journal_can_be_replaced(images, tmp_path, capsys):
    out = tmp_path / "results"
    run_again(images, out)
    data = bytearray((out / JOURNAL).read_bytes())
    data[4096:12288] = os.urandom(8192)
    (out / JOURNAL).write_bytes(data)
    assert cli.run(["detect", str(images), "--out", str(out)]) == 1
    assert "damaged" in capsys.readouterr().err
    assert (out / JOURNAL).read_bytes() == data
    assert cli.run(["detect", str(images), "--out", str(out), "--force"]) == 1
    assert len(rows(out)) == 7


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 300 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", place], check=False, capture_output=True
    ).returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_ends_the_run_and_loses_nothing(images, tmp_path, small_disk, capsys):
    out = small_disk / "results"
    ballast = small_disk / "ballast"
    detect_folder(images / "cut.png", tmp_path / "warm")
    for k in range(6, 12):
        save_ball(images / f"{k}.png", k)
    ballast.write_bytes(bytes(170_000))
    assert cli.run(["detect", str(images), "--out", str(out), "--no-overlays", "--jobs", "1"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "disk" in said or "No space" in said
    assert "same command again" in said
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)
    assert cli.run(["detect", str(images), "--out", str(out), "--no-overlays", "--jobs", "1"]) == 1
    detect_folder(images, tmp_path / "whole", overlays=False)
    assert tables(out) == tables(tmp_path / "whole")

    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert cli.run(["detect", str(images), "--out", str(out), "--no-overlays"]) == 2
    assert "no permission" in capsys.readouterr().err
    with open_results(out) as results:  # but it can be read there
        assert results.counts()["ok"] == 12
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)


def test_kernels_do_without_a_place_for_their_cache(tmp_path):
    """No home, and nothing that may be written: numba alone would refuse to start."""
    source = Path(batch.__file__).parents[1] / "_kernels"
    package = tmp_path / "kernels_only"
    package.mkdir()
    (package / "__init__.py").write_text((source / "__init__.py").read_text())
    (package / "one.py").write_text(
        "import numba\n@numba.njit(cache=True)\ndef one():\n    return 1\nprint(one())\n"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "NUMBA_CACHE_DIR": "/proc/nowhere"}
    # numba's own locators all fail: the user's choice is impossible, and comes first and alone.
    done = subprocess.run(
        [sys.executable, "-B", "-c", "import kernels_only.one"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "1\n", done.stderr


def test_runs_from_a_thread_work_without_signals(images, tmp_path):
    out, errors = tmp_path / "results", []

    def go():
        try:
            detect_folder(images, out, jobs=1)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=go)
    thread.start()
    thread.join()
    assert not errors
    assert len(rows(out)) == 7


def test_names_that_read_alike_are_kept_apart(tmp_path):
    save_ball(tmp_path / "images" / "a.png")
    (tmp_path / "images" / "b\n.png").write_bytes((tmp_path / "images" / "a.png").read_bytes())
    (tmp_path / "images" / "b\\n.png").write_bytes((tmp_path / "images" / "a.png").read_bytes())
    out = tmp_path / "results"
    detect_folder(tmp_path / "images", out)
    assert list(rows(out)) == ["a.png", "b\\n.png", "b\\n.png (2)"]
    assert detect_folder(tmp_path / "images", out).n_new == 0


def test_cores_are_those_the_process_may_use():
    assert 1 <= plan.available_cores() <= (os.cpu_count() or 1)


def test_the_lock_and_the_journal_do_not_outlive_an_error(images, tmp_path):
    out = tmp_path / "results"

    def broken(_result):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        detect_folder(images, out, jobs=2, progress=broken)
    FolderLock(out).close()
    Journal(out).close()
    assert len(run_again(images, out)) < 7
    assert len(rows(out)) == 7


def test_a_name_that_is_no_utf8_costs_only_its_frame(images, tmp_path, capsys):
    try:
        shutil.copy(images / "0.png", os.fsdecode(os.fsencode(images) + b"/m\xff.png"))
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    for n_new in (None, 0):
        summary = detect_folder(images, tmp_path / "results", jobs=1, overlays=False)
        assert n_new is None or summary.n_new == n_new
        assert "undecodable" in dict(summary.failures)[r"m\udcff.png"]
        assert summary.n_ok == 6
    with sqlite3.connect(tmp_path / "results" / JOURNAL) as db:
        (text,) = db.execute("SELECT value FROM meta WHERE key = 'record'").fetchone()
        db.execute(
            "UPDATE meta SET value = ? WHERE key = 'record'", (text.replace("finished", "interrupted"),)
        )
    db.close()
    assert cli.run(["report", str(tmp_path / "results")]) == 0
    assert "the run is not finished (interrupted); 8 frames so far" in capsys.readouterr().err


def test_a_full_disk_under_the_json_log_is_said(images, tmp_path, capsys):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    command = ["detect", str(images / "0.png"), "--out", str(tmp_path / "r"), "--log-json", "/dev/full"]
    assert cli.run([*command, "--no-overlays"]) == 0
    assert "no more lines in the JSON log" in capsys.readouterr().err
