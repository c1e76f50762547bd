"""Outlines against the catalog's own areas, closed forms and the pixels they came from."""

import numpy as np
import pandas as pd
import pytest

import brightspot as bs
from brightspot.catalog import empty_catalog
from brightspot.errors import BrightspotError
from brightspot.finder import Detection
from brightspot.outline import Outline, fill_runs, footprint_runs, pack, ring_area, trace_outlines, unpack


@pytest.fixture(scope="module")
def detection():
    from test_figure import looking_north

    geometry = looking_north()
    y, x = np.mgrid[: geometry.shape[0], : geometry.shape[1]]
    rng = np.random.default_rng(3)
    ground = geometry.ground(x, y)
    light = np.nan_to_num(np.cos(np.radians(np.minimum(ground.incidence_deg, 90.0))))
    image = 1000.0 * light * (1.0 + 0.01 * rng.standard_normal(x.shape))
    middle = np.argwhere(light > 0.6).mean(axis=0)
    for dx, dy, radius, factor in ((0, 0, 7, 2.0), (24, 6, 1.6, 2.2), (-24, 10, 4, 0.5)):
        distance = np.hypot(x - middle[1] - dx, y - middle[0] - dy)
        image *= 1.0 + (factor - 1.0) / (1.0 + np.exp(np.clip((distance - radius) / 0.4, -50, 50)))
    none = np.zeros(image.shape, bool)
    frame = bs.Frame("ball", None, image.astype(np.float32), none, none, "I/F", geometry=geometry)
    found = bs.SpotFinder(keep_all=True)(frame)
    assert len(found.catalog) >= 3
    return found


def test_area_is_that_of_the_catalog(detection):
    outlines = trace_outlines(detection)
    assert [o.detection_id for o in outlines] == detection.catalog["detection_id"].tolist()
    area = np.array([o.area for o in outlines])
    width, pixels = (detection.catalog[name].to_numpy() for name in ("diameter_halfmax", "n_pixels"))
    # wide ones get back what smoothing took: pi times the kernel's variance, whatever their size
    expected = np.pi / 4.0 * width**2 + np.where(pixels >= 40, np.pi * 2.0 / 3.0, 0.0)
    share = area / expected
    np.testing.assert_allclose(share[width > 4.0], 1.0, atol=0.03)
    np.testing.assert_allclose(np.median(share), 1.0, atol=0.02)


def test_smoothing_is_undone_for_a_disc():
    """A disc whose blurred image is known in closed form: the ring comes back at the disc's own edge."""
    from scipy.special import chndtr

    from brightspot.outline import _unsmoothed

    y, x = np.mgrid[:61, :61] - 30.3
    for radius in (4.0, 8.0, 20.0):
        blurred = chndtr(radius**2 / 0.5, 2.0, (x * x + y * y) / 0.5)  # the binomial kernel's variance
        (ring,) = _unsmoothed(blurred - 0.5, np.ones(x.shape, bool))
        assert ring_area(*ring.T) == pytest.approx(np.pi * radius**2, rel=0.005)
        assert np.hypot(*(ring - 30.3).T) == pytest.approx(radius, abs=0.12)


def test_rings_are_closed_and_wound_one_way(detection):
    for outline in detection.outlines():
        for piece in outline.polygons():
            areas = [ring_area(outline.x[ring], outline.y[ring]) for ring in piece]
            assert areas[0] > 0
            assert all(area < 0 for area in areas[1:])
            for ring in piece:
                assert outline.x[ring][0] == outline.x[ring][-1]
                assert outline.y[ring][0] == outline.y[ring][-1]


def test_places_are_those_of_the_geometry(detection):
    outline = detection.outlines()[0]
    x, y = detection.frame.geometry.project(outline.latitude_deg, outline.longitude_deg)
    np.testing.assert_allclose(x, outline.x, atol=1e-6)
    np.testing.assert_allclose(y, outline.y, atol=1e-6)


def test_runs_rebuild_the_segmentation(detection):
    rebuilt = np.zeros_like(detection.segmentation)
    for outline in detection.outlines():
        fill_runs(rebuilt, outline.detection_id, outline.runs)
    np.testing.assert_array_equal(rebuilt, detection.segmentation)


def test_runs_at_every_edge():
    segmentation = np.array([[1, 1, 2, 0, 3], [0, 0, 0, 0, 0], [1, 0, 1, 3, 3]], np.int32)
    runs = footprint_runs(segmentation)
    assert runs[1].tolist() == [[0, 0, 1], [2, 0, 0], [2, 2, 2]]
    assert runs[3].tolist() == [[0, 4, 4], [2, 3, 4]]
    assert footprint_runs(np.zeros((2, 2), np.int32)) == {}


def test_a_detection_without_parts_gets_its_pixels_edges():
    from test_figure import make_frame

    frame = make_frame()
    segmentation = np.zeros(frame.shape, np.int32)
    segmentation[4:9, 6:12] = 1
    segmentation[6, 8] = 0
    catalog = pd.concat([empty_catalog(), pd.DataFrame([{"detection_id": 1}])], ignore_index=True)
    (outline,) = Detection(frame, catalog, segmentation, None, bs.SpotFinder()).outlines()
    assert len(outline.polygons()) == 1
    assert len(outline.rings()) == 2  # the hole has a ring of its own
    assert outline.area == pytest.approx(29.0, abs=0.2)
    assert np.nanmin(outline.x) == pytest.approx(5.5)
    assert np.nanmax(outline.y) == pytest.approx(8.5)
    assert outline.latitude_deg is None


def test_a_packed_outline_comes_back(detection):
    for outline in detection.outlines():
        data = pack(outline)
        back = unpack(data)
        assert len(data) < 40 + 16 * len(outline.x) + 12 * len(outline.runs)
        assert back.detection_id == outline.detection_id
        np.testing.assert_allclose(back.x, outline.x, atol=0.5 / 512, rtol=0)
        np.testing.assert_allclose(back.y, outline.y, atol=0.5 / 512, rtol=0)
        np.testing.assert_allclose(back.latitude_deg, outline.latitude_deg, atol=5.1e-7, rtol=0)
        np.testing.assert_allclose(back.longitude_deg, outline.longitude_deg, atol=5.1e-7, rtol=0)
        np.testing.assert_array_equal(back.runs, outline.runs)
        assert pack(back) == data


def test_unknown_places_survive_packing():
    x = np.array([0.0, 3.0, 3.0, 0.0, np.nan, -0.5, 1e6, 5.0, -0.5])
    runs = np.array([[2**31 - 1, 0, 7]], np.int32)
    bare = unpack(pack(Outline(-3, x, x[::-1], None, None, runs)))
    assert bare.latitude_deg is None
    assert bare.longitude_deg is None
    np.testing.assert_array_equal(bare.x, x)
    np.testing.assert_array_equal(bare.runs, runs)
    longitude = np.array([359.999999, 0.0, np.nan, 1.0, np.nan, 2.0, 3.0, 4.0, 5.0])
    np.testing.assert_allclose(
        unpack(pack(bare._replace(latitude_deg=-longitude, longitude_deg=longitude)))[4], longitude
    )


@pytest.mark.parametrize("spoil", [lambda b: b[:-1], lambda b: b"", lambda b: b"x" + b[1:], lambda b: b[:30]])
def test_damaged_bytes_are_said(spoil):
    ring = np.array([0.0, 1.0, 1.0, 0.0])
    data = pack(Outline(1, ring, ring, None, None, np.zeros((0, 3), np.int32)))
    with pytest.raises(BrightspotError, match="damaged"):
        unpack(spoil(data))


def test_a_packed_bomb_does_not_unfold():
    import zlib

    from brightspot import outline

    body = zlib.compress(b"\0" * 50_000_000)
    head = outline._HEAD.pack(outline._MAGIC, outline._VERSION, 1, 4, 0, len(body), False)
    with pytest.raises(BrightspotError, match="damaged"):
        unpack(head + body)
