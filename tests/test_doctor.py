"""`doctor` and `completion`: what they say of this installation, and exit codes."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import brightspot
from brightspot import cli
from brightspot.cli import doctor

ROOT = Path(__file__).parents[1]


def test_doctor_finds_this_installation_well(capsys):
    assert cli.run(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert f"brightspot {brightspot.__version__}" in shown
    assert shown.rstrip().endswith("no problems")
    assert re.search(r"^numpy +\S+ +\S+ +ok$", shown, re.MULTILINE)


def test_doctor_s_json_holds_what_the_libraries_say_of_themselves(capsys):
    assert cli.run(["doctor", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["brightspot"] == brightspot.__version__
    for name, versions in record["libraries"].items():
        assert versions["found"] == metadata.version(name)
    assert {"numpy", "numba", "pandas", "matplotlib"} <= set(record["libraries"])
    assert {"spice", "maps", "netcdf"} <= set(record["extras"])
    assert record["problems"] == []
    assert record["kernels"]["kernels"] > 0


def test_every_extra_says_what_it_gives():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["optional-dependencies"]) <= set(doctor.EXTRAS)


def test_a_missing_library_is_a_problem_and_a_missing_extra_is_not(monkeypatch, capsys):
    asked = ["numpy>=2.0", "no-such-library>=1.2", "no-such-extra>=1; extra == 'spice'"]
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: asked)
    assert cli.run(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "problem: no-such-library is missing: pip install 'no-such-library>=1.2'" in shown
    assert re.search(r"^spice .* missing: no-such-extra$", shown, re.MULTILINE)
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: [asked[0], asked[2]])
    assert cli.run(["doctor"]) == 0


def test_an_old_library_is_a_problem(monkeypatch, capsys):
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: ["numpy>=9999.1"])
    assert cli.run(["doctor"]) == 1
    assert "problem: numpy is too old: pip install 'numpy>=9999.1'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("numpy>=2.0", ("numpy", "2.0", "")),
        ("scikit-image>=0.24", ("scikit-image", "0.24", "")),
        ("dask[distributed]>=2024.8; extra == 'cluster'", ("dask", "2024.8", "cluster")),
        ('h5py>=3.11; extra == "netcdf"', ("h5py", "3.11", "netcdf")),
        ("rich", ("rich", "", "")),
    ],
)
def test_requirements_are_read(monkeypatch, line, expected):
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: [line])
    (library,) = doctor.required()
    assert (library.name, library.least, library.extra) == expected


@pytest.mark.parametrize(
    ("found", "least", "state"),
    [
        ("2.10", "2.9", "ok"),
        ("2.0.0rc1", "2.0", "ok"),
        ("1.26.4", "2.0", "too old"),
        ("2026.1", "2024.8", "ok"),
        (None, "1", "missing"),
    ],
)
def test_versions_are_compared_as_numbers(found, least, state):
    assert doctor.Library("x", least, found, "").state == state


def test_kernels_are_cold_in_an_empty_cache_and_warm_after_a_search(tmp_path):
    code = (
        "from brightspot.cli import doctor; import json, sys\n"
        "before = doctor.kernel_cache()\n"
        "from brightspot._kernels.background import smooth3\n"
        "import numpy as np\n"
        "smooth3(np.zeros((8, 8), np.float32), np.zeros((8, 8), np.float32))\n"
        "print(json.dumps([before, doctor.kernel_cache()]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"NUMBA_CACHE_DIR": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    before, after = json.loads(done.stdout)
    assert before["compiled"] == 0 and not before["warm"] and before["writable"]
    assert before["folder"].startswith(str(tmp_path))
    assert after["compiled"] == 1 and not after["warm"]
    assert before["error"] is None


def test_every_kernel_that_tells_warmth_exists():
    from importlib import import_module

    for name in doctor.NEEDED:
        module, kernel = name.split(".")
        assert hasattr(getattr(import_module(f"brightspot._kernels.{module}"), kernel), "py_func")


def test_kernels_that_cannot_be_loaded_are_a_problem(monkeypatch, capsys):
    def refuse(name):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(doctor, "import_module", refuse)
    assert cli.run(["doctor"]) == 1
    assert "problem: kernels cannot be loaded: RuntimeError: cannot cache" in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_knows_commands_and_options(shell, capsys):
    assert cli.run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(command in script for command in cli.COMMANDS)
    assert "min-confidence" in script
    program = shutil.which(shell)
    if program is not None:
        checked = subprocess.run([program, "-n"], input=script, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr


def test_bash_completes_a_command(capsys):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    cli.run(["completion", "bash"])
    script = capsys.readouterr().out
    ask = 'COMP_WORDS=(brightspot det) COMP_CWORD=1; _brightspot; echo "${COMPREPLY[@]}"'
    done = subprocess.run([bash, "-c", f"{script}\n{ask}"], capture_output=True, text=True)
    assert done.stdout.strip() == "detect"


def test_completion_is_installed_in_the_home_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli.run(["completion", "fish", "--install"]) == 0
    written = Path(capsys.readouterr().out.strip())
    assert written.is_relative_to(tmp_path)
    assert "brightspot" in written.read_text()


def test_unknown_shell_is_wrong_use(capsys):
    assert cli.run(["completion", "tcsh"]) == 2
    assert "tcsh" in capsys.readouterr().err


def test_version(capsys):
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.strip() == brightspot.__version__
