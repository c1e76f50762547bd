"""The command line: results on stdout, talk on stderr, exit codes, and no traceback."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import brightspot
from brightspot import cli
from brightspot.cli.watching import Watcher
from brightspot.journal import holds_results, open_results
from test_batch import read_table, save_ball

COMMAND = [sys.executable, "-m", "brightspot"]


@pytest.fixture
def folder(tmp_path):
    images = tmp_path / "images"
    for k in range(3):
        save_ball(images / f"{k}.png", 96 + 8 * k)
    return images


@pytest.fixture
def out(tmp_path):
    return tmp_path / "results"


def test_version_and_help(capsys):
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.strip() == brightspot.__version__
    assert cli.run([]) == 0
    assert cli.run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(command in shown for command in cli.COMMANDS)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_explains_itself(command, capsys):
    assert cli.run([command, "--help"]) == 0
    assert "Usage: brightspot " + command in capsys.readouterr().out


def test_the_finder_s_fields_are_options(capsys):
    import dataclasses

    cli.run(["detect", "--help"])
    shown = capsys.readouterr().out
    for field in dataclasses.fields(brightspot.SpotFinder):
        assert f"--{field.name.replace('_', '-')}" in shown
    assert "Least albedo_confidence" in shown


def test_detect_prints_a_table_on_stdout(folder, out, capsys):
    assert cli.run(["detect", str(folder), "--out", str(out)]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].split()[:3] == ["frame", "status", "spots"]
    assert [line.split()[0] for line in lines[1:4]] == ["0.png", "1.png", "2.png"]
    assert "in 3 frames (3 ok, 0 skipped, 0 failed)" in lines[4]
    assert all("inputs, " in line for line in shown.err.splitlines())  # a line where it takes long
    assert (out / "overlays" / "0.png.png").exists()


def test_detect_json(folder, out, capsys):
    assert cli.run(["detect", str(folder), "--out", str(out), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["n_frames"] == record["n_ok"] == 3
    assert [frame["frame"] for frame in record["frames"]] == ["0.png", "1.png", "2.png"]


def test_settings_reach_the_finder(folder, out):
    options = [
        "--preset",
        "facula",
        "--threshold",
        "1.8",
        "--polarity",
        "bright",
        "--keep-all",
        "--scale-km",
        "2.5",
    ]
    assert cli.run(["detect", str(folder), "--out", str(out), *options]) == 0
    record = json.loads((out / "run.json").read_text())
    settings = record["settings"]
    assert (settings["preset"], settings["threshold"], settings["keep_all"]) == ("facula", 1.8, True)
    assert record["scale_km"] == 2.5
    assert {row["polarity"] for row in read_table(out / "detections.csv")} <= {"bright"}


def test_a_failed_frame_is_named_and_exit_is_1(folder, out, capsys):
    (folder / "bad.png").write_text("no picture")
    assert cli.run(["detect", str(folder), "--out", str(out)]) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith("brightspot: bad.png ")
    assert len(shown.err.splitlines()) == 1
    assert "3 ok, 0 skipped, 1 failed" in shown.out


WRONG = [
    ["detect"],
    ["detect", "IMAGES"],
    ["detect", "--out", "OUT"],
    ["detect", "nowhere", "--out", "OUT"],
    ["detect", "IMAGES", "--out", "OUT", "--jobs", "0"],
    ["detect", "IMAGES", "--out", "OUT", "--jobs", "many"],
    ["detect", "IMAGES", "--out", "OUT", "--jobs", "1.5"],
    ["detect", "IMAGES", "--out", "OUT", "--n-pixels", "2.5"],
    ["detect", "IMAGES", "--out", "OUT", "--preset", "bright"],
    ["detect", "IMAGES", "--out", "OUT", "--polarity", "grey"],
    ["detect", "IMAGES", "--out", "OUT", "--no-such-option"],
    ["detect", "IMAGES", "--out", "OUT", "--scale-km", "2", "--altitude-km", "22000"],
    ["find", "IMAGES"],
    ["info"],
    ["info", "nowhere"],
    ["show", "IMAGES/0.png"],
    ["show", "IMAGES/0.png", "-o", "OUT.xyz"],
    ["scale", "--altitude-km", "-1"],
    ["scale", "--altitude-km", "22000", "--filter", "9"],
    ["scale", "--date", "someday"],
    ["scale", "--altitude-km", "22000", "--filter", "1.5"],
    ["simulate", "--observation", "1999-01-01", "--format", "png", "--out", "OUT"],
    ["simulate", "--observation", "2015-04-15", "--format", "bmp", "--out", "OUT"],
]


@pytest.mark.parametrize("tokens", WRONG, ids=" ".join)
def test_wrong_use_is_one_line_and_exit_2(tokens, folder, out, capsys):
    tokens = [t.replace("IMAGES", str(folder)).replace("OUT", str(out)) for t in tokens]
    assert cli.run(tokens) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("brightspot: ")
    assert len(shown.err.splitlines()) == 1
    assert not out.exists()


def test_results_of_other_settings_are_refused_without_force(folder, out, capsys):
    assert cli.run(["detect", str(folder), "--out", str(out)]) == 0
    capsys.readouterr()
    assert cli.run(["detect", str(folder), "--out", str(out), "--preset", "ksigma"]) == 2
    assert "--force" in capsys.readouterr().err
    assert cli.run(["detect", str(folder), "--out", str(out), "--preset", "ksigma", "--force"]) == 0


def test_debug_shows_where(folder, out, capsys):
    (folder / "bad.png").write_text("no picture")
    assert cli.run(["detect", str(folder), "--out", str(out), "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_names_cannot_drive_the_terminal(folder, out, capsys):
    (folder / "0.png").rename(folder / "a\x1b[31m.png")
    cli.run(["detect", str(folder), "--out", str(out)])
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err


def test_progress_only_on_a_terminal(folder, out, tmp_path):
    """On a terminal stderr has a moving line; stdout stays the same table."""
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    process = subprocess.Popen(
        [*COMMAND, "detect", str(folder), "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=child,
        env=environment,
    )
    os.close(child)
    said = b""
    while True:
        try:
            piece = os.read(parent, 4096)
        except OSError:
            break
        if not piece:
            break
        said += piece
    os.close(parent)
    printed = process.communicate()[0].decode()
    assert process.returncode == 0
    assert b" left, 0 failed" in said
    assert "\x1b" not in printed
    assert printed.splitlines()[0].startswith("frame")


@pytest.mark.parametrize("warm", [True, False])
def test_who_waits_for_the_compiler_is_told(warm, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("brightspot.cli.doctor.kernel_cache", lambda every: {"warm": warm or every})
    with Watcher("results", None, debug=False):
        pass
    assert ("compiling first" in capsys.readouterr().err) is not warm


def done_so_far(out: Path) -> int:
    if not holds_results(out):
        return 0
    with open_results(out) as results:
        return results.counts()["ok"]


def test_ctrl_c_keeps_what_is_done(tmp_path, out):
    for k in range(80):
        save_ball(tmp_path / "images" / f"{k:03d}.png", 192)
    process = subprocess.Popen(
        [*COMMAND, "detect", str(tmp_path / "images"), "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if done_so_far(out) > 3:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    rows = read_table(out / "frames.csv")
    assert 3 <= len(rows) < 80
    assert all(row["status"] == "ok" for row in rows)
    told = f"brightspot: interrupted: {len(rows)} frames done and kept in {out}; run the same command again"
    assert said.splitlines()[-1].startswith(told)
    assert "Traceback" not in said


def test_a_closed_pipe_is_no_error(folder, out):
    line = f"{sys.executable} -m brightspot detect --help | head -n 1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {line}"], capture_output=True, text=True)
    assert done.stderr == ""


def test_show_never_draws_over_the_image_it_reads(folder, capsys):
    picture = folder / "0.png"
    before = picture.read_bytes()
    for more in ([], ["--force"]):
        assert cli.run(["show", str(picture), "-o", str(picture), *more]) == 2
        assert picture.read_bytes() == before
    assert "exists" in capsys.readouterr().err


def test_simulate_leaves_what_is_not_its_own(tmp_path, capsys):
    (tmp_path / "truth.csv").write_text("mine\n")
    command = ["simulate", "--observation", "2015-04-15", "--format", "png", "--out", str(tmp_path)]
    assert cli.run(command) == 2
    assert "--force" in capsys.readouterr().err
    assert cli.run([*command, "--force"]) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["truth.csv"]
    assert (tmp_path / "truth.csv").read_text() == "mine\n"
