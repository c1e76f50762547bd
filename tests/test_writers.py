"""Tables and records, read back by other programs' rules: csv, json and pandas."""

import csv
import errno
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brightspot import writers
from brightspot.catalog import COLUMNS, empty_catalog
from brightspot.errors import BrightspotError, GeometryError, UsageError


@pytest.mark.parametrize("value", [None, float("nan"), np.float32("nan"), float("inf"), pd.NA, pd.NaT])
def test_unknown_values_are_empty_and_null(value):
    assert writers.csv_field(value) == ""
    assert writers.json_value(value) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0, "0"),
        (np.int32(-3), "-3"),
        (-1.5, "-1.5"),
        (np.float32(0.1), "0.1"),
        (239.60123456, "239.60123"),
        (1e-12, "1e-12"),
        (True, "true"),
        (datetime(2015, 4, 15, 1, 2, 3), "2015-04-15T01:02:03"),
        ("EDGE|BLEND", "EDGE|BLEND"),
        ("", ""),
    ],
)
def test_fields(value, text):
    assert writers.csv_field(value) == text


@pytest.mark.parametrize("name", ["=1+2.png", "+x", "-x", "@SUM(A1)"])
def test_no_text_is_a_formula(name):
    assert writers.csv_field(name) == f"'{name}"


def test_one_row_is_one_line():
    assert writers.csv_field("a\r\nb\tc\x00\u2028") == r"a\r\nb\tc\x00\u2028"


@given(st.lists(st.tuples(st.text(), st.floats(), st.integers()), max_size=5))
def test_any_row_survives_csv(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    with writers.Table(path, ("name", "x", "n", "absent")) as table:
        table.write({"name": name, "x": x, "n": n} for name, x, n in rows)
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        back = list(csv.DictReader(file))
    assert len(back) == len(rows)
    for (name, x, n), row in zip(rows, back, strict=True):
        if name.isprintable():
            assert row["name"].removeprefix("'") == name.removeprefix("'")
        assert row["absent"] == ""
        assert int(row["n"]) == n
        assert (row["x"] == "") == (not np.isfinite(x))
        if np.isfinite(x):
            assert float(row["x"]) == pytest.approx(x, rel=1e-7)


def test_a_name_that_is_not_utf8_keeps_its_row(tmp_path):
    name = b"caf\xe9.img".decode("utf-8", "surrogateescape")
    with writers.Table(tmp_path / "t.csv", ("frame",)) as table:
        table.write([{"frame": name}])
    assert (tmp_path / "t.csv").read_bytes() == b"frame\ncaf\xe9.img\n"
    assert json.loads(writers.json_text({"frame": name})) == {"frame": name}


def test_rows_are_on_disk_at_once(tmp_path):
    table = writers.Table(tmp_path / "t.csv", ("a",))
    table.write([{"a": 1}])
    assert (tmp_path / "t.csv").read_text() == "a\n1\n"
    table.close()


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "a.csv cannot be written: the disk is full; free some space there, or choose"),
        (errno.EROFS, "a.csv cannot be written: no permission (Read-only file system); change the access"),
        (errno.EIO, "a.csv cannot be written (Input/output error); mend that, or choose another folder"),
    ],
)
def test_what_cannot_be_written_is_named(number, said):
    with pytest.raises(BrightspotError) as caught, writers.saving(Path("a.csv")):
        raise OSError(number, os.strerror(number))
    assert str(caught.value).startswith(said)
    assert caught.value.__cause__.errno == number  # another attempt may end otherwise


def test_catalog_reads_back(tmp_path):
    catalog = pd.concat([empty_catalog(), pd.DataFrame([_row(1), _row(2)])], ignore_index=True)
    path = writers.write_detections(catalog, tmp_path / "detections.csv")
    back = pd.read_csv(path)
    assert list(back.columns) == [column.name for column in COLUMNS]
    assert back["detection_id"].tolist() == [1, 2]
    assert back["diameter_km"].tolist() == pytest.approx([10.25, 10.25])
    assert back["iof"].isna().all()


def _row(number: int) -> dict:
    return {
        "frame": "a.img",
        "detection_id": number,
        "polarity": "bright",
        "diameter_km": 10.25,
        "n_pixels": 12,
        "flags": "EDGE|BLEND",
    }


def test_no_rows_still_have_a_header(tmp_path):
    path = writers.write_detections(empty_catalog(), tmp_path / "d.csv")
    assert path.read_text() == ",".join(writers.DETECTION_COLUMNS) + "\n"


def test_json_has_no_nan_and_keeps_structure(tmp_path):
    value = {
        "a": np.float32(1.5),
        "b": [np.nan, np.int64(2), None],
        "c": {"d": (1, "x")},
        "when": datetime(2015, 4, 15, tzinfo=UTC),
        "where": Path("a") / "b",
        "array": np.arange(3),
        "yes": np.bool_(True),
    }
    writers.write_json(tmp_path / "r.json", value)
    assert json.loads((tmp_path / "r.json").read_text()) == {
        "a": 1.5,
        "b": [None, 2, None],
        "c": {"d": [1, "x"]},
        "when": "2015-04-15T00:00:00+00:00",
        "where": str(Path("a") / "b"),
        "array": [0, 1, 2],
        "yes": True,
    }


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "r.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), writers.replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_the_record_describes_every_column():
    record = writers.columns_record()
    assert list(record) == [column.name for column in COLUMNS]
    assert record["diameter_km"]["unit"] == "km"
    assert all(entry["meaning"] for entry in record.values())


@pytest.fixture
def framed():
    from test_figure import looking_north, make_frame

    return make_frame(geometry=looking_north())


@pytest.mark.parametrize("suffix", [".nc", ".fits"])
def test_backplanes_read_back(framed, tmp_path, suffix):
    path = writers.write_backplanes(framed, tmp_path / f"planes{suffix}")
    planes = framed.geometry.backplanes()._asdict()
    if suffix == ".nc":
        xarray = pytest.importorskip("xarray")
        with xarray.open_dataset(path, engine="h5netcdf") as back:
            assert set(back.data_vars) == set(planes)
            for name, plane in planes.items():
                np.testing.assert_array_equal(back[name].values, plane)
            assert back["slant_range_km"].attrs["units"] == "km"
    else:
        from astropy.io import fits

        with fits.open(path) as back:
            for name, plane in planes.items():
                np.testing.assert_array_equal(back[name.upper()].data, plane)
            assert back["LATITUDE_DEG"].header["BUNIT"] == "deg"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_backplanes_need_geometry_and_a_known_suffix(framed, tmp_path):
    from test_figure import make_frame

    with pytest.raises(GeometryError, match="no geometry"):
        writers.write_backplanes(make_frame(), tmp_path / "a.nc")
    with pytest.raises(UsageError, match=r"\.nc or \.fits"):
        writers.write_backplanes(framed, tmp_path / "a.txt")
    assert not list(tmp_path.iterdir())
