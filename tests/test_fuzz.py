"""The short run of `fuzz/readers.py`, and proof that its watch sees what it is there for."""

import importlib.util
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brightspot import readers
from brightspot.errors import ReadError

SCRIPT = Path(__file__).parents[1] / "fuzz" / "readers.py"


def loaded():
    spec = importlib.util.spec_from_file_location("fuzz_readers", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_readers"] = module
    spec.loader.exec_module(module)
    return module


fuzz = loaded()


@pytest.fixture(scope="module", autouse=True)
def warm():
    fuzz._warm()


def test_every_kind_of_file_is_among_the_products():
    suffixes = {Path(name).suffix.lower() for files in fuzz.products().values() for name in files}
    assert suffixes == {
        *(".img", ".lbl", ".fit", ".xml", ".png", ".jpg", ".tif", ".gif", ".webp", ".bmp"),
    }
    assert max(len(content) for files in fuzz.products().values() for content in files.values()) < 60_000


def test_an_input_is_the_same_for_the_same_numbers():
    assert fuzz.mutated(3, 14) == fuzz.mutated(3, 14)
    assert len({repr(fuzz.mutated(3, index)) for index in range(50)}) == 50


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.deferred(lambda: st.sampled_from(sorted(fuzz.products()))),  # rendered by the test, not on import
    changes=st.lists(
        st.sampled_from(sorted(set(fuzz.MUTATORS), key=lambda f: f.__name__)), min_size=1, max_size=4
    ),
    number=st.integers(0, 2**32),
)
def test_tampered_products_give_frames_or_one_line(tmp_path_factory, name, changes, number):
    rng = random.Random(number)
    files = dict(fuzz.products()[name])
    for change in changes:
        target = rng.choice(sorted(files))
        files[target] = change(files[target], rng)
    _, problem = fuzz.examine(files, tmp_path_factory.mktemp("product"))
    assert problem is None


def test_a_run_in_child_processes_finds_nothing():
    tally = fuzz.run(seed=1, first=0, runs=150)
    assert sum(tally.verdicts.values()) == 150
    assert tally.findings == []
    assert tally.verdicts["frame"] > 20 and tally.verdicts["refused"] > 20
    assert "150 inputs" in str(tally)


def crash(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def hang(*_):
    while True:
        pass


def block(*_):
    time.sleep(60)


def gorge(*_):
    yield bytearray(3 * 2**30)


def slip(*_):
    raise ValueError("two\nlines")


def chatter(*_):
    raise ReadError("x" * 2000)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (crash, "the process died"),
        (hang, "hangs"),
        (block, "blocks"),
        (gorge, "out of memory"),
        (chatter, "no single line"),
    ],
)
def test_the_watch_sees_faults_and_goes_on(monkeypatch, fault, words):
    png = fuzz.products()["png8"]
    real = readers.picture.read
    monkeypatch.setattr(fuzz, "WALL_SECONDS", 1 if fault is block else 60)
    monkeypatch.setattr(
        readers.picture, "read", lambda path, name: (fault if name == "B.png" else real)(path, name)
    )
    monkeypatch.setattr(readers, "MAX_LINE", 5000)
    files = [png, {"B.png": png["A.png"]}, png]
    tally = fuzz.Tally()
    fuzz.watch(range(3), lambda index: ("png8", files[index]), tally, seconds=0.5)
    assert [finding.index for finding in tally.findings] == [1]
    assert words in tally.findings[0].what
    assert tally.verdicts["frame"] == 2


def test_an_error_of_the_package_itself_is_a_finding(monkeypatch, tmp_path):
    def broken(*_):
        return [][1]

    monkeypatch.setattr(readers.picture, "name_facts", broken)
    verdict, problem = fuzz.examine(fuzz.products()["png8"], tmp_path)
    # Raised in this file it counts as a library's; raised in the package as its own.
    assert (verdict, problem) == ("wrapped", None)
    monkeypatch.setattr(fuzz, "SOURCE", str(Path(__file__).parent))
    _, problem = fuzz.examine(fuzz.products()["png8"], tmp_path)
    assert problem.startswith("brightspot's own") and "test_fuzz.py" in problem


def test_other_errors_and_warnings_are_findings(monkeypatch, tmp_path):
    def warns(path, name):
        import warnings

        warnings.warn("look here", RuntimeWarning)
        yield from ()

    monkeypatch.setattr(readers.picture, "read", warns)
    assert "look here" in fuzz.examine(fuzz.products()["png8"], tmp_path)[1]
    monkeypatch.setattr(fuzz, "read_frames", slip)
    verdict, problem = fuzz.examine(fuzz.products()["png8"], tmp_path)
    assert verdict == "raised" and "ValueError" in problem
