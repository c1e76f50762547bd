"""The same run on a Dask cluster, and over URLs."""

import contextlib
import functools
import http.server
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from brightspot import batch, cli
from brightspot.batch import detect_folder
from brightspot.batch.remote import fetched, find_remote, is_url
from brightspot.errors import UsageError
from brightspot.journal import open_results
from brightspot.readers import find_inputs, read_frames

KILLS = int(os.environ.get("BRIGHTSPOT_DASK_KILLS", "1"))

fsspec = pytest.importorskip("fsspec")


def save_images(folder: Path, number: int = 8) -> Path:
    image = batch.made_up_frame(80).image
    image = (image / image.max() * 240).astype(np.uint8)
    (folder / "deep").mkdir(parents=True)
    for k in range(number):
        iio.imwrite(folder / ("deep" if k % 3 == 2 else ".") / f"{k}.png", np.roll(image, k, axis=1))
    iio.imwrite(folder / "turning.gif", np.stack([image, image.T, image[::-1]]), loop=0)
    (folder / "cut.png").write_bytes((folder / "0.png").read_bytes()[:700])
    return folder


def contents(out: Path) -> dict[str, object]:
    with open_results(out) as results:
        frames = [{**row, "seconds": None} for row in results.frame_rows()]
        outlines = list(results.iter_outlines())
    overlays = {path.name: path.read_bytes() for path in (out / "overlays").iterdir()}
    return {
        "frames": frames, "detections": (out / "detections.csv").read_bytes(), "outlines": outlines,
        "overlays": overlays,
    }  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    return save_images(tmp_path_factory.mktemp("cluster") / "images")


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory) -> dict[str, object]:
    out = tmp_path_factory.mktemp("whole") / "results"
    detect_folder(images, out, jobs=1)
    return contents(out)


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes that a nanny starts again when they die."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as local:
        yield local


def test_a_cluster_finds_the_same(images, whole, cluster, tmp_path):
    out = tmp_path / "results"
    summary = detect_folder(images, out, scheduler=cluster.scheduler_address)
    assert (summary.n_ok, summary.n_failed) == (11, 1)
    assert contents(out) == whole
    assert detect_folder(images, out, scheduler=cluster.scheduler_address).n_new == 0
    assert cli.run(["detect", str(images), "--out", str(out)]) == 1  # and here again, for the damaged one
    assert contents(out) == whole


@pytest.mark.skipif(sys.platform != "linux", reason="kills processes")
@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_dask_worker_costs_nothing(images, whole, cluster, tmp_path, number):
    chance = random.Random(number)
    pids = cluster_pids(cluster)

    def killer() -> None:
        time.sleep(chance.uniform(0.0, 1.0))
        with contextlib.suppress(ProcessLookupError):
            os.kill(chance.choice(pids), signal.SIGKILL)

    thread = threading.Thread(target=killer)
    thread.start()
    summary = detect_folder(images, tmp_path / "results", scheduler=cluster.scheduler_address)
    thread.join()
    assert (summary.n_ok, summary.n_failed) == (11, 1)
    assert contents(tmp_path / "results") == whole


def cluster_pids(cluster) -> list[int]:
    import distributed

    with distributed.Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=30)
        return list(client.run(os.getpid).values())


def test_options_of_local_workers_do_not_go_with_a_cluster(images, tmp_path):
    with pytest.raises(UsageError, match="Dask"):
        detect_folder(images, tmp_path / "results", scheduler="tcp://127.0.0.1:1", jobs=2)


def test_nobody_at_the_address(images, tmp_path, monkeypatch, capsys):
    pytest.importorskip("distributed")
    from brightspot.batch import cluster as module

    monkeypatch.setattr(module, "CONNECT_S", 0.5)
    code = cli.run(["detect", str(images), "--out", str(tmp_path / "r"), "--scheduler", "tcp://127.0.0.1:9"])
    assert code == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err


@pytest.fixture
def served(images):
    """The images behind a web server."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(images.parent))
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/{images.name}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("protocol", ["http", "file"])
def test_images_behind_urls_give_the_same(images, whole, served, tmp_path, protocol):
    pytest.importorskip("aiohttp")
    url = served if protocol == "http" else images.as_uri()
    out = tmp_path / "results"
    detect_folder(url, out, jobs=1)
    assert contents(out) == whole
    again = detect_folder(url, out, jobs=1)
    assert again.n_new == 0
    assert again.n_kept == 10


def test_one_remote_image_and_patterns(images, served, tmp_path):
    pytest.importorskip("aiohttp")
    detect_folder(f"{served}/0.png", tmp_path / "one", jobs=1)
    with open_results(tmp_path / "one") as results:
        assert [row["frame"] for row in results.frame_rows()] == ["0.png"]
    found = [remote.item.name for remote in find_remote(f"{images.as_uri()}/*.png")]
    assert found == sorted(path.name for path in images.glob("*.png"))
    detect_folder([f"{served}/0.png", f"{images.as_uri()}/1.png"], tmp_path / "two", jobs=1)
    with open_results(tmp_path / "two") as results:
        names = [row["frame"] for row in results.frame_rows()]
    assert len(names) == 2
    assert all("/" in name for name in names)


def test_remote_labels_find_their_data():
    samples = Path(__file__).parents[1] / "sample_images"
    here = list(find_inputs(samples))
    there = list(find_remote(samples.as_uri()))
    assert any(len(item.files) == 2 for item in here)
    assert [remote.item.name for remote in there] == [item.name for item in here]
    assert [[path.name for path in remote.item.files] for remote in there] == [
        [path.name for path in item.files] for item in here
    ]
    pair = next(remote for remote in there if len(remote.urls) == 2)
    with fetched(pair.item, pair.urls) as item:
        (frame,) = read_frames(item)
    assert frame.camera == "FC2"
    assert all(remote.stamp for remote in there)


def test_what_cannot_be_fetched_is_said(tmp_path, capsys):
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/gone/0.png", b"nothing")
    with pytest.raises(UsageError, match="no images found"):
        memory.mkdir("/empty")
        detect_folder("memory://empty", tmp_path / "r")
    assert cli.run(["detect", "nonsense://x/y", "--out", str(tmp_path / "r")]) == 2
    assert "nonsense" in capsys.readouterr().err
    assert cli.run(["detect", "http://127.0.0.1:9/folder", "--out", str(tmp_path / "r")]) == 2
    assert "cannot be listed" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("place", ["missing.IMG", "missing.png", "nowhere/0.png", "nowhere/"])
def test_what_a_server_does_not_have_is_said(served, tmp_path, capsys, place):
    pytest.importorskip("aiohttp")
    assert cli.run(["detect", f"{served}/{place}", "--out", str(tmp_path / "r")]) == 2
    said = capsys.readouterr().err
    assert said == f"brightspot: {served}/{place}: the server has no such file or folder; check the address\n"
    assert not (tmp_path / "r").exists()


def test_a_file_that_the_server_does_not_list_is_found(images, served):
    pytest.importorskip("aiohttp")
    (images / "index.html").write_text("<a href='1.png'>one</a>")
    try:
        assert [remote.item.name for remote in find_remote(served)] == ["1.png"]
        assert [remote.item.name for remote in find_remote(f"{served}/0.png")] == ["0.png"]
    finally:
        (images / "index.html").unlink()


def test_an_unreachable_server_is_not_a_missing_file(tmp_path, capsys):
    pytest.importorskip("aiohttp")
    assert cli.run(["detect", "http://127.0.0.1:9/0.png", "--out", str(tmp_path / "r")]) == 2
    assert "cannot be listed (Client" in capsys.readouterr().err


def test_urls_and_paths_are_told_apart():
    assert is_url("s3://bucket/a.img")
    assert is_url("https://server/a.img")
    assert not is_url("images/a.img")
    assert not is_url("C:\\images")


def test_memory_urls_with_a_failing_file(images, tmp_path, monkeypatch):
    memory = fsspec.filesystem("memory")
    for path in images.glob("*.png"):
        memory.pipe_file(f"/frames/{path.name}", path.read_bytes())
    usual = type(memory).get_file

    def broken(self, rpath, lpath, *args, **options):
        if rpath.endswith("1.png"):
            raise ConnectionError("gone\naway")
        return usual(self, rpath, lpath, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "get_file", broken)
        summary = detect_folder("memory://frames", tmp_path / "results", jobs=1)
    reason = dict(summary.failures)["1.png"]
    assert reason.startswith("1.png cannot be fetched from memory://")
    assert reason.endswith("(ConnectionError: gone away)")
    again = detect_folder("memory://frames", tmp_path / "results", jobs=1)
    assert again.n_new == 1
    assert "1.png" not in dict(again.failures)


def test_what_is_no_address_is_refused_at_once(images, tmp_path, capsys):
    code = cli.run(["detect", str(images), "--out", str(tmp_path / "r"), "--scheduler", "garbage"])
    assert code == 2
    assert "'garbage' is no address: give one such as tcp://host:8786" in capsys.readouterr().err
