"""From files to kilometres and back: rendered archive products, hostile folders, real pictures."""

import csv
import json
import os
import re
import shutil
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest

import brightspot as bs
from brightspot import cli
from brightspot.simulate import observation_scene, render, write

SHARED = Path(__file__).parents[2] / "shared"
PAIR = ["Cerealia Facula", "Vinalia Faculae"]


@pytest.fixture(scope="module")
def april(tmp_path_factory):
    """The view of 14-15 April 2015, rendered, in three formats."""
    folder = tmp_path_factory.mktemp("april")
    rendered = render(observation_scene("2015-04-15", seed=1))
    for kind in ("img", "fits", "png"):
        write(rendered, folder, kind)
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A 128 x 128 subframe as attached and as detached product: quick to read, enough to break."""
    folder = tmp_path_factory.mktemp("small")
    rendered = render(observation_scene("2015-04-15", seed=3, shape=(128, 128), origin_xy=(448.0, 448.0)))
    for kind in ("img", "fits"):
        write(rendered, folder, kind, name="good")
    (folder / "truth.csv").unlink()
    return folder


def read_table(path: Path) -> list[dict]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def detect(images: Path, out: Path, *options: str) -> tuple[int, dict[str, dict]]:
    code = cli.run(["detect", str(images), "--out", str(out), *options])
    return code, {row["frame"]: row for row in read_table(out / "frames.csv")} if out.exists() else {}


def test_spot_5_is_two_spots_in_every_format(april, tmp_path):
    """Positions, separation and scale of the pair against the renderer's truth."""
    code, frames = detect(april, tmp_path / "results")
    assert code == 0
    truth = pd.read_csv(april / "truth.csv")
    found = pd.read_csv(tmp_path / "results" / "detections.csv")
    assert len(frames) == 3
    for name, row in frames.items():
        file = name.replace(".LBL", ".FIT")
        wanted = truth[truth["frame"].isin([name, file]) & truth["name"].isin(PAIR)].set_index("name")
        assert len(wanted) == 2
        spots = found[(found["frame"] == name) & (found["polarity"] == "bright")]
        offset = np.hypot(
            spots["x_centroid"].to_numpy()[:, None] - wanted["x"].to_numpy(),
            spots["y_centroid"].to_numpy()[:, None] - wanted["y"].to_numpy(),
        )
        assert offset.min(axis=0).max() < 0.5, name
        pair = spots.iloc[offset.argmin(axis=0)]
        assert pair["detection_id"].nunique() == 2
        if row["scale_source"] == "label":
            assert float(row["pixel_scale_km"]) == pytest.approx(2.05, rel=0.01)
            la, lo = np.radians(pair["latitude_deg"].to_numpy()), np.radians(pair["longitude_deg"].to_numpy())
            cosine = np.sin(la).prod() + np.cos(la).prod() * np.cos(lo[1] - lo[0])
            assert 470.0 * np.arccos(cosine) == pytest.approx(18.95, rel=0.03)
        else:
            assert row["scale_source"] == "limb"
            assert float(row["pixel_scale_km"]) == pytest.approx(2.05, rel=0.03)
            assert "DISPLAY_STRETCH" in pair["flags"].iloc[0]


def test_python_and_command_line_say_the_same(april, tmp_path):
    path = next(april.glob("*.IMG"))
    detect(path, tmp_path / "results")
    from_command = pd.read_csv(tmp_path / "results" / "detections.csv")
    catalog = bs.SpotFinder()(bs.read_frame(path)).catalog
    assert from_command["detection_id"].tolist() == catalog["detection_id"].tolist()
    np.testing.assert_allclose(from_command["latitude_deg"], catalog["latitude_deg"], rtol=1e-6)
    np.testing.assert_allclose(from_command["diameter_halfmax_km"], catalog["diameter_halfmax_km"], rtol=1e-6)


def test_a_wrong_scale_is_believed_and_reported(april, tmp_path):
    _, frames = detect(next(april.glob("*.IMG")), tmp_path / "results", "--scale-km", "2.6")
    (row,) = frames.values()
    assert (float(row["pixel_scale_km"]), row["scale_source"]) == (2.6, "user")
    assert "label" in row["scale_conflicts"]


def break_files(good: Path, folder: Path) -> set[str]:
    """Everything that can be wrong with a file, each named for what is wrong."""
    image = (good / "good.IMG").read_bytes()
    label, data = (good / "good.LBL").read_bytes(), (good / "good.FIT").read_bytes()
    flat = np.zeros((64, 64), np.uint8)
    noise = np.random.default_rng(1).integers(9, 200, (64, 64), np.uint8)
    broken = {
        "empty.IMG": b"",
        "text.IMG": b"This is not an image.\n" * 40,
        "truncated.IMG": image[: len(image) - 30_000],
        "without_data.LBL": label.replace(b"good.FIT", b"gone.FIT"),
        "without_label.img": data[2880:],
        "cut.png": iio.imwrite("<bytes>", noise, extension=".png")[:2000],
        "text.png": b"no picture",
        "all_zero.png": iio.imwrite("<bytes>", flat, extension=".png"),
        "all_saturated.png": iio.imwrite("<bytes>", flat + np.uint8(255), extension=".png"),
        "one_pixel.png": iio.imwrite("<bytes>", flat[:1, :1] + np.uint8(9), extension=".png"),
    }
    sizes = re.sub(rb"(LINE_SAMPLES\s*= )128", rb"\g<1>999", image, count=1)
    assert sizes != image
    broken["sizes_disagree.IMG"] = sizes
    pixels = 128 * 128 * 4
    for name, value in (("all_nan.IMG", np.nan), ("all_zero.IMG", 0.0)):
        start = image_offset(image)
        values = np.full(128 * 128, value, "<f4").tobytes()
        broken[name] = image[:start] + values + image[start + pixels :]
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in broken.items():
        (folder / name).write_bytes(content)
    return set(broken)


def image_offset(product: bytes) -> int:
    """Byte at which the image of an attached product starts, by its own label."""
    record = int(re.search(rb"\^IMAGE\s*=\s*(\d+)", product)[1])
    return (record - 1) * int(re.search(rb"RECORD_BYTES\s*=\s*(\d+)", product)[1])


def test_every_kind_of_bad_file_has_its_reason_and_the_rest_is_done(small, tmp_path, capsys):
    images = tmp_path / "images"
    shutil.copytree(small, images)
    bad = break_files(small, images)
    code, frames = detect(images, tmp_path / "results")
    assert code == 1
    failed = {name: row["reason"] for name, row in frames.items() if row["status"] == "failed"}
    assert set(failed) == bad
    assert {name for name, row in frames.items() if row["status"] == "ok"} == {"good.IMG", "good.LBL"}
    for reason in failed.values():
        assert reason
        assert "internal error" not in reason
        assert "Traceback" not in reason
    said = capsys.readouterr().err.splitlines()
    assert len(said) == len(bad)
    assert all(line.startswith("brightspot: ") for line in said)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(small, tmp_path):
    images = tmp_path / "images"
    shutil.copytree(small, images)
    (images / "good.IMG").chmod(0)
    code, frames = detect(images, tmp_path / "results")
    assert code == 1
    assert "permission" in frames["good.IMG"]["reason"]
    assert frames["good.LBL"]["status"] == "ok"


def test_an_empty_folder_is_one_line(tmp_path, capsys):
    (tmp_path / "images").mkdir()
    code, _ = detect(tmp_path / "images", tmp_path / "results")
    assert code == 2
    said = capsys.readouterr().err
    assert said.startswith("brightspot: no images found in ")
    assert "PDS3" in said
    assert not (tmp_path / "results").exists()


def test_another_body_is_skipped_by_its_label(small, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    product = (small / "good.IMG").read_bytes()
    (images / "a.IMG").write_bytes(product.replace(b'"1 CERES"', b'"4 VESTA"'))
    code, frames = detect(images, tmp_path / "results")
    assert code == 0
    assert (frames["a.IMG"]["status"], frames["a.IMG"]["reason"]) == ("skipped", "target is VESTA, not Ceres")


def test_two_hundred_files_of_which_twenty_are_bad(small, tmp_path):
    """No frame is lost or done twice, and the good ones' results do not depend on the bad ones."""
    images = tmp_path / "images"
    product = (small / "good.IMG").read_bytes()
    for k in range(200):
        folder = images / f"{k % 7}"
        folder.mkdir(parents=True, exist_ok=True)
        content = product if k % 10 else (b"" if k % 20 else product[: len(product) // 2])
        (folder / f"{k:03d}.IMG").write_bytes(content)
    summary = bs.detect_folder(images, tmp_path / "results", jobs=2, overlays=False)
    assert (summary.n_ok, summary.n_failed) == (180, 20)
    frames = read_table(tmp_path / "results" / "frames.csv")
    assert len({row["frame"] for row in frames}) == len(frames) == 200
    assert {row["frame"][2:5] for row in frames if row["status"] == "failed"} == {
        f"{k:03d}" for k in range(0, 200, 10)
    }
    found = pd.read_csv(tmp_path / "results" / "detections.csv")
    assert found.groupby("frame").size().nunique() <= 1


def test_names_that_would_be_formulas_or_commands_are_harmless(small, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for name in ("=1+1.IMG", "-rf.IMG", "a b;$(touch x).IMG", "<b>.IMG"):
        (images / name).write_bytes((small / "good.IMG").read_bytes())
    code, frames = detect(images, tmp_path / "results")
    assert code == 0
    assert set(frames) == {"'=1+1.IMG", "'-rf.IMG", "a b;$(touch x).IMG", "<b>.IMG"}
    assert len(list((tmp_path / "results" / "overlays").iterdir())) == 4


def test_info_scale_and_show_on_a_product(april, tmp_path, capsys):
    path = str(next(april.glob("*.IMG")))
    assert cli.run(["info", path, "--json", "--backplanes", str(tmp_path / "planes.fits")]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["camera"], record["filter"], record["level"], record["target"]) == (
        "FC2",
        1,
        "1B",
        "CERES",
    )
    assert record["altitude_km"] == pytest.approx(22_000, rel=1e-3)
    assert (tmp_path / "planes.fits").exists()

    assert cli.run(["info", path]) == 0
    assert "scale_source  label" in capsys.readouterr().out

    assert cli.run(["scale", path]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[:2] for line in shown.splitlines() if "believed" in line] == [["believed", "label"]]
    assert "limb" in shown
    assert "article" in shown
    assert cli.run(["scale", path, "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    values = [source["km_per_pixel"] for source in record["sources"] if source["km_per_pixel"]]
    assert len(values) == 3
    assert max(values) / min(values) < 1.03

    assert cli.run(["show", path, "-o", str(tmp_path / "picture.png")]) == 0
    assert iio.imread(tmp_path / "picture.png").shape[0] > 900


def test_scale_without_images(capsys):
    assert cli.run(["scale"]) == 0
    assert "360 km" in capsys.readouterr().out
    assert cli.run(["scale", "--altitude-km", "22000", "--filter", "1"]) == 0
    assert capsys.readouterr().out.startswith("2.05")
    assert cli.run(["scale", "--date", "2015-04-15", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["altitude_km"] == 22_000
    assert cli.run(["scale", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) > 20


def test_simulate_writes_what_it_names(tmp_path, capsys):
    out = tmp_path / "rendered"
    assert (
        cli.run(["simulate", "--observation", "2015-02-12", "--format", "img", "png", "--out", str(out)]) == 0
    )
    named = {Path(line) for line in capsys.readouterr().out.split()}
    assert named == set(out.iterdir())
    assert out / "truth.csv" in named


@pytest.mark.skipif(not (SHARED / "real").is_dir(), reason="real pictures are not beside the checkout")
def test_spot_5_in_real_pictures(tmp_path):
    """A pair in the rotation animation and in PIA19562, at the places where the eye sees it."""
    places = {
        "ceres_rotation.gif#000": [(258, 231), (268, 231)],
        "ceres_rotation.gif#001": [(293, 239), (303, 239)],
        "ceres_rotation.gif#002": [(328, 245)],
        "PIA19562_rc3_full_disk.jpg": [(209, 187), (222, 184)],
    }
    for name, spots in places.items():
        detection = bs.SpotFinder(polarity="bright")(bs.read_frame(SHARED / "real" / "press" / name))
        rows = detection.catalog
        nearest = [np.hypot(rows["x_centroid"] - x, rows["y_centroid"] - y).idxmin() for x, y in spots]
        assert len(set(nearest)) == len(spots), name
        for row, (x, y) in zip(nearest, spots, strict=True):
            assert np.hypot(rows["x_centroid"][row] - x, rows["y_centroid"][row] - y) < 3, name


@pytest.mark.skipif(not (SHARED / "real").is_dir(), reason="real products are not beside the checkout")
def test_real_products_that_cannot_be_used_say_why(tmp_path):
    for folder in ("labels", "other"):
        _, frames = detect(SHARED / "real" / folder, tmp_path / folder)
        assert all(row["status"] != "ok" for row in frames.values())
        assert all(row["reason"] and "internal error" not in row["reason"] for row in frames.values())
    assert frames[["other", "m0126865998f4_2p_iof.lbl"][1]]["reason"] == "target is EROS, not Ceres"
