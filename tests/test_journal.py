"""The journal: what goes in comes out, in one order, and a strange file is never touched."""

import math
import os
import random
import sqlite3
import subprocess
import sys
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brightspot import journal
from brightspot.catalog import empty_catalog
from brightspot.errors import BrightspotError, UsageError
from brightspot.journal import Entry, FolderLock, FrameRows, Journal, natural_key, open_results
from brightspot.journal.layout import plain


def entry(name: str, **changes) -> Entry:
    facts = {"source": f"/images/{name}", "stamp": "s", "digest": "d", "settings": "x", "version": "1"}
    return Entry(name, **{**facts, **changes})


def frame_rows(name: str, n: int = 1, **row) -> FrameRows:
    detections = [
        {"frame": name, "detection_id": k + 1, "latitude_deg": 0.1 * k, "flags": "EDGE"} for k in range(n)
    ]
    facts = {"frame": name, "status": "ok", "n_detections": n, "seconds": 0.25, **row}
    return FrameRows(facts, detections, [b"outline"] * n)


def fill(folder, names) -> None:
    book = Journal(folder)
    for name in names:
        book.commit(entry(name), [frame_rows(name)])
    book.close()


def test_order_is_that_of_the_names_whatever_came_first(tmp_path):
    names = ["1.img", "2.img", "10.img", "a/1.img", "a/9.img", "a/10.img", "a-b/1.img", "b.gif"]
    shuffled = random.Random(1).sample(names, len(names))
    fill(tmp_path, shuffled)
    with open_results(tmp_path) as results:
        assert list(results.frames()["frame"]) == names
        assert list(results.detections()["frame"]) == names
        assert [name for name, *_ in results.iter_outlines()] == names


@given(st.lists(st.text(st.sampled_from("a0129/-.#é"), min_size=1, max_size=8), unique=True))
def test_natural_keys_are_different_for_different_names(names):
    assert len({natural_key(name) for name in names}) == len(names)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_numbers_in_names_are_compared_as_numbers(a, b):
    assert (natural_key(f"FC{a}.IMG") < natural_key(f"FC{b}.IMG")) == (a < b)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_exactly(value):
    assert plain(np.float64(value)) == value
    with sqlite3.connect(":memory:") as db:
        db.execute("CREATE TABLE t (x REAL)")
        db.execute("INSERT INTO t VALUES (?)", (plain(value),))
        (found,) = db.execute("SELECT x FROM t").fetchone()
    assert found == value


def test_a_catalog_comes_back_as_it_was(tmp_path):
    from brightspot.batch import made_up_frame
    from brightspot.finder import SpotFinder
    from brightspot.writers import detection_rows

    catalog = SpotFinder(keep_all=True)(made_up_frame()).catalog
    assert len(catalog)
    book = Journal(tmp_path)
    facts = {"frame": "made up", "status": "ok", "start_time": datetime(2015, 4, 14, 1, 2, 3, 450000)}
    book.commit(entry("made up"), [FrameRows(facts, detection_rows(catalog))])
    with open_results(tmp_path) as results:  # of a run at work
        pd.testing.assert_frame_equal(results.detections(), catalog, check_exact=True)
        frames = results.frames()
    assert frames["start_time"][0] == datetime(2015, 4, 14, 1, 2, 3, 450000)
    assert frames["n_x"].isna().all()
    assert list(frames) == list(journal.FRAME_COLUMNS)
    book.close()


def test_unknown_values_are_null_and_odd_text_survives(tmp_path):
    book = Journal(tmp_path)
    name = "odd \ud800 \x00 name"
    row = {"status": "failed", "reason": "line\nbreak", "pixel_scale_km": math.inf, "n_x": pd.NA}
    book.commit(entry("odd"), [frame_rows(name, 0, **row)])
    book.close()
    with open_results(tmp_path) as results:
        (row,) = results.frame_rows()
        assert row["frame"] == "odd \\ud800 \x00 name"
        assert row["pixel_scale_km"] is None
        assert row["n_x"] is None
        assert list(results.failures()) == [(row["frame"], "line\nbreak")]
        assert len(results.detections()) == 0
        assert list(results.detections().dtypes) == list(empty_catalog().dtypes)


def test_an_input_done_again_replaces_its_rows(tmp_path):
    book = Journal(tmp_path)
    book.commit(entry("a.gif"), [frame_rows(f"a.gif#{k:03d}", 2) for k in range(3)])
    book.commit(entry("a.gif", digest="other"), [frame_rows("a.gif#000", 1)])
    assert book.entry("a.gif").digest == "other"
    # The same file under another name, as when a second folder is given, is not there twice.
    book.commit(entry("images/a.gif", source="/images/a.gif"), [frame_rows("images/a.gif#000")])
    assert book.entry("a.gif") is None
    book.close()
    with open_results(tmp_path) as results:
        assert [row["frame"] for row in results.frame_rows()] == ["images/a.gif#000"]
        assert results.counts() == {"ok": 1, "skipped": 0, "failed": 0, "detections": 1}


def test_entries_come_back_whole(tmp_path):
    first = entry("a.img", retry=True, seconds=1.5, files=({"file": "a.img", "sha256": "00"},))
    book = Journal(tmp_path)
    book.commit(first, [frame_rows("a.img", 2)])
    book.put(record={"brightspot": "1"})
    book.close()
    with open_results(tmp_path) as results:
        ((found, (frame,)),) = results.entries()
        assert found == first
        assert [row["detection_id"] for row in frame.detections] == [1, 2]
        assert list(frame.outlines) == [b"outline"] * 2
        assert results.record["inputs"] == [{"frame": "a.img", "file": "a.img", "sha256": "00"}]
        assert results.record["brightspot"] == "1"


def test_what_fails_in_the_middle_leaves_nothing(tmp_path):
    book = Journal(tmp_path)
    book.commit(entry("a"), [frame_rows("a")])

    def frames():
        yield frame_rows("a#000")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        book.commit(entry("a", digest="new"), frames())
    assert book.entry("a").digest == "d"
    book.close()
    with open_results(tmp_path) as results:
        assert [row["frame"] for row in results.frame_rows()] == ["a"]


def test_a_finished_journal_is_one_plain_file(tmp_path):
    fill(tmp_path, ["a", "b"])
    assert [path.name for path in tmp_path.iterdir()] == [journal.JOURNAL]
    assert (tmp_path / journal.JOURNAL).read_bytes()[18] == 1  # not WAL: file format 1


def test_a_killed_writer_leaves_what_it_committed(tmp_path):
    code = f"""
import os
from pathlib import Path
from brightspot.journal import *
book = Journal(Path({str(tmp_path)!r}))
for name in "abc":
    book.commit(Entry(name, name, "", "", "", ""), [FrameRows({{"frame": name, "status": "ok"}})])
book._db.execute("BEGIN IMMEDIATE")
book._db.execute("DELETE FROM inputs")
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    with open_results(tmp_path) as results:
        assert [row["frame"] for row in results.frame_rows()] == ["a", "b", "c"]
    book = Journal(tmp_path)
    assert book.entry("c")
    book.close()


@pytest.mark.parametrize("begun", [False, True])
def test_a_journal_killed_while_its_format_changed_is_readable(tmp_path, begun):
    """Killed on its way to the write-ahead log or back, it has a rollback journal that a reader undoes."""
    if begun:
        fill(tmp_path, ["a", "b"])
    code = f"""
import os, sqlite3
db = sqlite3.connect({str(tmp_path / journal.JOURNAL)!r}, isolation_level=None)
db.execute("PRAGMA cache_size=1")
db.execute("BEGIN IMMEDIATE")
db.execute("CREATE TABLE half_done (a)")
db.execute("INSERT INTO half_done WITH n(x) AS (SELECT 1 UNION SELECT x + 1 FROM n LIMIT 200) "
           "SELECT randomblob(4000) FROM n")
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    assert (tmp_path / f"{journal.JOURNAL}-journal").exists()
    assert journal.holds_results(tmp_path) == begun
    if begun:
        with open_results(tmp_path) as results:
            assert [row["frame"] for row in results.frame_rows()] == ["a", "b"]
    fill(tmp_path, ["c"])
    with open_results(tmp_path) as results:
        assert results.counts()["ok"] == (3 if begun else 1)


def test_an_empty_journal_is_begun(tmp_path):
    (tmp_path / journal.JOURNAL).touch()
    with pytest.raises(UsageError, match="no frame was finished"):
        open_results(tmp_path)
    fill(tmp_path, ["a"])
    with open_results(tmp_path) as results:
        assert results.counts()["ok"] == 1


def test_a_folder_without_journal_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"no results.*run\.sqlite"):
        open_results(tmp_path)


def broken(tmp_path, kind: str) -> bytes:
    path = tmp_path / journal.JOURNAL
    if kind == "text":
        path.write_text("name,phone\n" * 200)
    elif kind == "foreign":
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE mine (x)")
        db.close()
    else:
        fill(tmp_path, [f"{k}.img" for k in range(300)])
        if kind == "newer":
            with sqlite3.connect(path) as db:
                db.execute(f"PRAGMA user_version={journal.SCHEMA_VERSION + 1}")
            db.close()
        elif kind == "cut":
            os.truncate(path, path.stat().st_size // 2)
        elif kind == "overwritten":
            data = bytearray(path.read_bytes())
            data[4096 * 3 : 4096 * 9] = bytes(4096 * 6)
            path.write_bytes(data)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("text", "damaged or no journal"),
        ("foreign", "not a journal of brightspot"),
        ("newer", "newer brightspot"),
        ("cut", "damaged"),
        ("overwritten", "damaged"),
    ],
)
def test_a_strange_journal_is_refused_and_not_touched(tmp_path, kind, message):
    before = broken(tmp_path, kind)
    with pytest.raises(BrightspotError, match=message) as caught:
        Journal(tmp_path)
    assert "\n" not in str(caught.value)
    assert (tmp_path / journal.JOURNAL).read_bytes() == before


def test_a_journal_of_fewer_columns_is_completed(tmp_path):
    fill(tmp_path, ["a"])
    with sqlite3.connect(tmp_path / journal.JOURNAL) as db:
        db.execute("ALTER TABLE detections DROP COLUMN snr")
    db.close()
    with open_results(tmp_path) as results:
        assert results.detections()["snr"].isna().all()
    book = Journal(tmp_path)
    book.commit(entry("b"), [FrameRows({"frame": "b", "status": "ok"}, [{"detection_id": 1, "snr": 2.5}])])
    book.close()
    with open_results(tmp_path) as results:
        assert list(results.detections()["snr"].fillna(0.0)) == [0.0, 2.5]


def test_a_folder_has_one_run_at_a_time(tmp_path):
    with FolderLock(tmp_path), pytest.raises(UsageError, match="another run"):
        FolderLock(tmp_path)
    FolderLock(tmp_path).close()


def test_a_dead_run_s_lock_holds_nobody(tmp_path):
    code = (
        "import os, pathlib; from brightspot.journal import FolderLock\n"
        f"lock = FolderLock(pathlib.Path({str(tmp_path)!r})); print('held', flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "held" in done.stdout
    FolderLock(tmp_path).close()


def test_results_of_a_read_only_folder_are_readable(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    fill(tmp_path, ["a"])
    tmp_path.chmod(0o500)
    try:
        with open_results(tmp_path) as results:
            assert results.counts()["ok"] == 1
        with pytest.raises(UsageError, match="permission"):
            FolderLock(tmp_path)
    finally:
        tmp_path.chmod(0o700)
