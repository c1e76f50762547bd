"""Runs over many inputs: what is left behind, in which order, and what survives trouble."""

import csv
import hashlib
import json
import sqlite3
import string
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import brightspot
from brightspot import batch
from brightspot.batch import detect_folder
from brightspot.errors import UsageError
from brightspot.finder import SpotFinder
from brightspot.journal import JOURNAL, open_results
from brightspot.writers import FRAME_COLUMNS, overlay_name


def save_ball(path: Path, size: int = 96) -> Path:
    """A small picture of a lit ball with two patches."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = batch.made_up_frame(size).image
    iio.imwrite(path, (image / image.max() * 250).astype(np.uint8))
    return path


def read_table(path: Path) -> list[dict]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def without_seconds(path: Path) -> list[dict]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read_table(path)]


@pytest.fixture
def folder(tmp_path) -> Path:
    """Six pictures in two folders, one animation, one empty file, one cut-off picture."""
    images = tmp_path / "images"
    for k in range(3):
        save_ball(images / f"{k}.png", 96 + 8 * k)
        save_ball(images / "deep" / f"{k}.png", 80 + 8 * k)
    picture = iio.imread(images / "0.png")
    iio.imwrite(images / "turning.gif", np.stack([picture, picture.T, picture[::-1]]), loop=0)
    (images / "empty.png").touch()
    whole = (images / "1.png").read_bytes()
    (images / "cut.png").write_bytes(whole[: len(whole) // 2])
    return images


def test_a_run_leaves_tables_pictures_and_a_record(folder, tmp_path):
    out = tmp_path / "results"
    summary = detect_folder(folder, out)
    frames = read_table(out / "frames.csv")
    detections = read_table(out / "detections.csv")
    assert list(frames[0]) == list(FRAME_COLUMNS)
    assert list(detections[0]) == [column.name for column in brightspot.COLUMNS]
    assert (summary.n_ok, summary.n_skipped, summary.n_failed) == (9, 0, 2)
    assert {row["frame"] for row in frames if row["status"] == "failed"} == {"empty.png", "cut.png"}
    assert all(row["reason"] and "\n" not in row["reason"] for row in frames if row["status"] == "failed")
    assert {"turning.gif#000", "turning.gif#002", "deep/1.png"} <= {row["frame"] for row in frames}
    assert summary.n_detections == len(detections) == sum(int(row["n_detections"] or 0) for row in frames)
    drawn = {row["overlay"] for row in frames if row["status"] == "ok"}
    assert drawn == {path.name for path in (out / "overlays").iterdir()}
    assert all(float(row["seconds"]) >= 0 for row in frames)

    record = json.loads((out / "run.json").read_text())
    assert record["brightspot"] == brightspot.__version__
    assert record["state"] == "finished"
    assert record["settings"]["preset"] == "relative30"
    assert record["counts"] == {"ok": 9, "skipped": 0, "failed": 2, "detections": len(detections)}
    assert {"numpy", "numba", "pdr"} <= set(record["libraries"])
    assert record["columns"]["diameter_km"]["unit"] == "km"
    hashes = {entry["frame"]: entry["sha256"] for entry in record["inputs"]}
    assert hashes["0.png"] == hashlib.sha256((folder / "0.png").read_bytes()).hexdigest()
    assert not list(out.glob(".*"))


def test_results_do_not_depend_on_the_number_of_jobs(folder, tmp_path):
    detect_folder(folder, tmp_path / "one", jobs=1)
    detect_folder(folder, tmp_path / "two", jobs=2)
    one, two = ((tmp_path / name / "detections.csv").read_bytes() for name in ("one", "two"))
    assert one == two
    assert without_seconds(tmp_path / "one" / "frames.csv") == without_seconds(
        tmp_path / "two" / "frames.csv"
    )
    for path in (tmp_path / "one" / "overlays").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / "overlays" / path.name).read_bytes()


def test_finished_frames_are_on_disk_at_once(folder, tmp_path):
    out = tmp_path / "results"
    seen = []

    def look(_result):
        with open_results(out) as results:
            seen.append(sum(1 for _ in results.frame_rows()))

    detect_folder(folder, out, jobs=1, progress=look, overlays=False)
    assert seen == [1, 2, 3, 4, 5, 8, 8, 8, 9, 10, 11]  # the animation's three at once
    assert not (out / "overlays").exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_run_keeps_what_is_done(folder, tmp_path, jobs):
    out = tmp_path / "results"
    count = []

    def stop(result):
        count.append(result.name)
        if len(count) == 3:
            raise KeyboardInterrupt

    summary = detect_folder(folder, out, progress=stop, jobs=jobs, overlays=False)
    assert summary.interrupted
    kept = [row["frame"] for row in read_table(out / "frames.csv")]
    assert set(count) <= set(kept)
    assert len(kept) == summary.n_frames >= 3
    assert jobs > 1 or len(kept) == 3
    assert json.loads((out / "run.json").read_text())["state"] == "interrupted"
    again = detect_folder(folder, out, jobs=jobs, overlays=False)
    assert (again.n_frames, again.interrupted) == (11, False)
    assert again.n_new == 11 - len(kept)


def test_results_are_not_overwritten_without_force(folder, tmp_path):
    out = tmp_path / "results"
    detect_folder(folder, out)
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    with pytest.raises(UsageError, match="--force"):
        detect_folder(folder / "0.png", out)
    assert before == {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}


def test_force_replaces_only_what_brightspot_wrote(folder, tmp_path):
    out = tmp_path / "results"
    detect_folder(folder, out)
    (out / "notes.txt").write_text("mine")
    (out / "overlays" / "mine.png").write_text("mine")
    detect_folder(folder / "0.png", out, force=True)
    assert [row["frame"] for row in read_table(out / "frames.csv")] == ["0.png"]
    assert (out / "notes.txt").read_text() == "mine"
    assert {path.name for path in (out / "overlays").iterdir()} == {"mine.png", "0.png.png"}


def test_force_does_not_follow_names_out_of_the_folder(folder, tmp_path):
    out = tmp_path / "results"
    detect_folder(folder / "0.png", out)
    victim = tmp_path / "victim.png"
    victim.write_text("mine")
    with sqlite3.connect(out / JOURNAL) as db:
        db.execute("UPDATE frames SET overlay = '../../victim.png'")
    db.close()
    detect_folder(folder / "0.png", out, force=True)
    assert victim.read_text() == "mine"


def test_a_foreign_table_is_never_replaced(folder, tmp_path):
    out = tmp_path / "results"
    out.mkdir()
    (out / "detections.csv").write_text("name,phone\nA,1\n")
    with pytest.raises(UsageError, match="not written by brightspot"):
        detect_folder(folder, out, force=True)
    assert (out / "detections.csv").read_text() == "name,phone\nA,1\n"


def test_results_inside_the_images_are_not_images(folder):
    detect_folder(folder, folder / "results")
    detect_folder(folder, folder / "results-2")
    first, second = (without_seconds(folder / name / "frames.csv") for name in ("results", "results-2"))
    assert first == second


def test_results_do_not_go_among_the_images(folder):
    with pytest.raises(UsageError, match="folder of the images"):
        detect_folder(folder, folder)


def test_out_that_is_a_file_is_refused(folder, tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(UsageError, match="results"):
        detect_folder(folder, tmp_path / "results")


def test_nothing_found_leaves_no_folder(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(UsageError, match=r"no images found in .*images.*PDS3"):
        detect_folder(tmp_path / "images", tmp_path / "results")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"jobs": 0},
        {"scale_km": 1.0, "altitude_km": 2.0},
        {"scale_km": 0.0},
        {"altitude_km": float("nan")},
        {"kernels": ["nowhere.bsp"]},
        {"memory_gb": 0.001},
        {"memory_gb": -1.0},
    ],
)
def test_wrong_options(folder, tmp_path, options):
    with pytest.raises(UsageError):
        detect_folder(folder, tmp_path / "results", **options)
    assert not (tmp_path / "results").exists()


def test_an_unexpected_error_costs_one_frame(folder, tmp_path, monkeypatch):
    original = SpotFinder.__call__

    def broken(self, frame):
        if frame.name == "1.png":
            raise ZeroDivisionError("float division\nby zero")
        return original(self, frame)

    monkeypatch.setattr(SpotFinder, "__call__", broken)
    results = []
    summary = detect_folder(folder, tmp_path / "results", progress=results.append)
    reasons = dict(summary.failures)
    assert reasons["1.png"] == "internal error: ZeroDivisionError: float division by zero"
    assert summary.n_ok == 8
    (failed,) = [result for result in results if result.name == "1.png"]
    assert "Traceback" in failed.trace
    row = next(row for row in read_table(tmp_path / "results" / "frames.csv") if row["frame"] == "1.png")
    assert row["n_x"] == "104"


def test_measurements_stand_without_their_picture(folder, tmp_path, monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(batch.work, "save_overlay", full)
    summary = detect_folder(folder / "0.png", tmp_path / "results")
    (row,) = read_table(tmp_path / "results" / "frames.csv")
    assert summary.n_failed == 0
    assert "no overlay: No space left on device" in row["notes"]
    assert int(row["n_detections"]) == len(read_table(tmp_path / "results" / "detections.csv"))


def test_another_body_is_skipped(tmp_path):
    save_ball(tmp_path / "images" / "vesta_opnav.png")
    summary = detect_folder(tmp_path / "images", tmp_path / "results")
    (row,) = read_table(tmp_path / "results" / "frames.csv")
    assert (row["status"], row["reason"]) == ("skipped", "target is VESTA, not Ceres")
    assert summary.n_skipped == 1
    assert read_table(tmp_path / "results" / "detections.csv") == []


def test_the_user_s_scale_is_used(tmp_path):
    save_ball(tmp_path / "0.png")
    detect_folder(tmp_path / "0.png", tmp_path / "results", scale_km=3.5)
    (row,) = read_table(tmp_path / "results" / "frames.csv")
    assert float(row["pixel_scale_km"]) == 3.5
    assert row["scale_source"] == "user"


def test_unresolvable_scale_leaves_kilometres_empty(tmp_path):
    rng = np.random.default_rng(3)
    image = np.clip(rng.normal(120, 4, (128, 128)), 0, 255)
    image[60:66, 60:66] = 250
    iio.imwrite(tmp_path / "flat.png", image.astype(np.uint8))
    detect_folder(tmp_path / "flat.png", tmp_path / "results", SpotFinder(keep_all=True))
    (row,) = read_table(tmp_path / "results" / "frames.csv")
    detections = read_table(tmp_path / "results" / "detections.csv")
    assert row["pixel_scale_km"] == ""
    assert detections
    for detection in detections:
        assert all(not value for name, value in detection.items() if name.endswith(("_km", "_km2")))
        assert "NO_GEOMETRY" in detection["flags"]


def test_warming_compiles_all_that_a_frame_needs(folder, tmp_path):
    """After `warm_kernels` no frame may compile anything: workers must find every kernel ready."""
    from numba.core.dispatcher import Dispatcher

    def signatures():
        import sys

        modules = [m for name, m in sys.modules.items() if name.startswith("brightspot._kernels.")]
        kernels = {
            f"{m.__name__}.{k}": v for m in modules for k, v in vars(m).items() if isinstance(v, Dispatcher)
        }
        return {name: tuple(kernel.signatures) for name, kernel in kernels.items()}

    batch.warm_kernels(SpotFinder())
    before = signatures()
    detect_folder(folder, tmp_path / "results", jobs=1)
    after = signatures()
    assert {name: after[name] for name in before} == before
    assert not {name for name, found in after.items() if found and name not in before}


ANY_NAME = st.text(string.ascii_letters + "./_#- ü\n=:" + "\U0001f680", min_size=1, max_size=30)


@given(ANY_NAME, ANY_NAME)
def test_overlay_names_are_flat_safe_and_different(first, second):
    for name in (overlay_name(first), overlay_name(second)):
        assert Path(name).name == name
        assert name.endswith(".png")
        assert not name.startswith((".", "-"))
        assert name.isascii()
        assert name.isprintable()
    assert (overlay_name(first) == overlay_name(second)) == (first == second)


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        ("a.img", "a.img.png"),
        ("x/y/a.img", "x__y__a.img.png"),
        ("turning.gif#003", "turning.gif#003.png"),
    ],
)
def test_ordinary_names_stay_readable(frame, name):
    assert overlay_name(frame) == name
