"""Large places: found in binned views, reported once, measured in the frame's own pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from brightspot._kernels.segmentation import paint
from brightspot.camera import Camera
from brightspot.finder import SpotFinder
from brightspot.frame import Frame
from brightspot.geometry import ViewingGeometry
from brightspot.pyramid import binnings, coarsen
from brightspot.scale import Scale, ScaleChoice
from brightspot.simulate import Scene, render

FINDER = SpotFinder(keep_all=True, polarity="bright", n_pixels=4)


def flat_frame(*discs: tuple[float, float, float, float], shape: tuple[int, int] = (1024, 1024)) -> Frame:
    """Level ground of 1 with discs (x, y, diameter, contrast), edges antialiased, one per cent noise."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    image = np.ones(shape)
    for cx, cy, diameter, contrast in discs:
        cover = np.clip(0.5 * diameter - np.hypot(x - cx, y - cy) + 0.5, 0.0, 1.0)
        image += (contrast - 1.0) * cover
    image *= 1.0 + 0.01 * np.random.default_rng(1).standard_normal(shape)
    return Frame(
        name="flat", path=None, image=image.astype(np.float32), mask=np.zeros(shape, bool),
        saturated=np.zeros(shape, bool), unit="W m-2 sr-1",
    )  # fmt: skip


def nearest(catalog, x: float, y: float):
    gap = np.hypot(catalog["x_centroid"] - x, catalog["y_centroid"] - y)
    return catalog.iloc[int(np.argmin(gap))], float(gap.min())


@pytest.mark.parametrize("diameter", [12.0, 40.0, 100.0, 285.0])
def test_a_disc_of_any_size_is_found_once_at_its_size(diameter):
    found = FINDER(flat_frame((500.3, 520.7, diameter, 1.8))).catalog
    row, gap = nearest(found, 500.3, 520.7)
    assert gap < max(0.5, 0.01 * diameter)
    assert row["diameter_halfmax"] == pytest.approx(diameter, rel=0.05)
    assert row["contrast"] == pytest.approx(1.8, rel=0.06)
    inside = np.hypot(found["x_centroid"] - 500.3, found["y_centroid"] - 520.7) < 0.75 * diameter
    assert (inside & (found["contrast_peak"] > 1.2)).sum() == 1


def test_a_spot_within_a_bright_floor_is_a_place_of_its_own():
    found = FINDER(flat_frame((500.0, 500.0, 200.0, 1.5), (520.0, 480.0, 10.0, 4.0))).catalog
    floor, _ = nearest(found[found["diameter_halfmax"] > 100], 500.0, 500.0)
    spot, gap = nearest(found[found["diameter_halfmax"] < 20], 520.0, 480.0)
    assert floor["diameter_halfmax"] == pytest.approx(200.0, rel=0.05)
    assert spot["diameter_halfmax"] == pytest.approx(10.0, rel=0.1)
    assert gap < 0.5


def test_large_bright_ground_makes_no_dark_rim():
    frame = flat_frame((512.0, 512.0, 250.0, 2.5))
    found = SpotFinder(polarity="both", keep_all=True)(frame).catalog
    dark = found[(found["polarity"] == "dark") & (found["contrast_peak"] < 0.9)]
    assert len(dark) == 0


def test_footprints_are_numbered_as_the_rows_are():
    detection = FINDER(flat_frame((300.0, 300.0, 160.0, 1.6), (700.0, 700.0, 12.0, 2.0)))
    for row in detection.catalog.to_dict("records"):
        x, y = round(row["x_centroid"]), round(row["y_centroid"])
        assert detection.segmentation[y, x] == row["detection_id"]


def test_binned_geometry_and_scale_see_the_same_ground():
    camera = Camera.framing_camera("FC2", 1)
    turn = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])
    view = ViewingGeometry(
        camera, (1000, 1020), np.array([14_000.0, 0.0, 0.0]), np.array([3e8, 2e8, 1e8]), turn, (3.0, 7.0)
    )
    choice = ScaleChoice(Scale(1.3, 0.1, "label", ""), (Scale(1.3, 0.1, "label", ""),), ())
    frame = replace(flat_frame(shape=(1000, 1020)), geometry=view, scale=choice)
    x0, y0 = dict(binnings(frame.shape))[16]
    binned = coarsen(frame, 16, (x0, y0))
    x, y = np.array([20.0, 31.3]), np.array([25.0, 40.9])
    fine = view.ground(16 * x + 7.5 + x0, 16 * y + 7.5 + y0)
    coarse = binned.geometry.ground(x, y)
    assert coarse.latitude_deg == pytest.approx(fine.latitude_deg, abs=1e-9)
    assert coarse.longitude_deg == pytest.approx(fine.longitude_deg, abs=1e-9)
    assert coarse.pixel_area_km2 == pytest.approx(256 * fine.pixel_area_km2, rel=1e-9)
    assert binned.scale.believed.km_per_pixel == pytest.approx(16 * 1.3)


def test_bins_hold_the_mean_of_the_good_pixels():
    frame = flat_frame()
    mask = np.zeros((1024, 1024), bool)
    mask[:3, :4] = True
    binned = coarsen(replace(frame, mask=mask), 4, (0, 0))
    assert binned.mask[0, 0]
    assert not binned.mask[0, 1]
    assert binned.image[5, 6] == pytest.approx(frame.image[20:24, 24:28].mean(), rel=1e-5)


@pytest.mark.parametrize(("factor", "corner"), [(4, (0, 0)), (4, (2, 1)), (16, (7, 3))])
def test_a_bin_with_one_good_saturated_pixel_is_saturated(factor, corner):
    rng = np.random.default_rng(factor)
    saturated, mask = rng.random((203, 310)) < 0.01, rng.random((203, 310)) < 0.3
    frame = replace(flat_frame(shape=(203, 310)), saturated=saturated, mask=mask)
    binned = coarsen(frame, factor, corner)
    rows, columns = binned.shape
    x0, y0 = corner
    whole = (saturated & ~mask)[y0 : y0 + factor * rows, x0 : x0 + factor * columns]
    padded = np.zeros((factor * rows, factor * columns), bool)
    padded[: whole.shape[0], : whole.shape[1]] = whole
    assert np.array_equal(binned.saturated, padded.reshape(rows, factor, columns, factor).any(axis=(1, 3)))


@pytest.mark.parametrize(("factor", "grow", "seed"), [(1, 2, 0), (4, 1, 1), (16, 1, 2)])
def test_painting_over_equals_a_plain_twin(factor, grow, seed):
    rng = np.random.default_rng(seed)
    labels = ndimage.label(ndimage.gaussian_filter(rng.random((40, 50)), 1.5) > 0.52)[0].astype(np.int32)
    boxes = ndimage.find_objects(labels)
    box = np.int32([(y.start, x.start, y.stop - 1, x.stop - 1) for y, x in boxes])
    which = rng.permutation(len(box))[: len(box) // 2]
    light = rng.random(len(which)).astype(np.float32)
    image = rng.random((40 * factor + 3, 50 * factor + 5)).astype(np.float32)
    expected = image.copy()
    for o, value in zip(which, light, strict=True):
        near = ndimage.binary_dilation(labels == o + 1, iterations=grow)
        expected[1 : 1 + 40 * factor, 2 : 2 + 50 * factor][np.kron(near, np.ones((factor, factor), bool))] = (
            value
        )
    paint(image, labels, box, which, light, grow, factor, 2, 1)
    assert np.array_equal(image, expected)


def clumps(spacing: float, diameter: float) -> list[tuple[float, float, float, float]]:
    """Nineteen bright discs in a hexagon about (500, 500)."""
    rows = [(k, m) for k in range(-2, 3) for m in range(-2, 3) if abs(k + m) <= 2]
    return [(500 + spacing * (k + 0.5 * m), 500 + spacing * 0.866 * m, diameter, 3.0) for k, m in rows]


def test_a_torn_deposit_is_one_place():
    discs = clumps(28.0, 20.0)
    frame = flat_frame((500.0, 500.0, 150.0, 1.3), *discs)
    found = SpotFinder(polarity="bright")(frame).catalog
    inside = np.hypot(found["x_centroid"] - 500, found["y_centroid"] - 500) < 75
    assert inside.sum() == 1
    # Half maximum of the discs is above the floor: the circle with the area of all of them.
    assert found[inside].iloc[0]["diameter_halfmax"] == pytest.approx(20.0 * np.sqrt(len(discs)), rel=0.05)


def test_small_spots_on_a_wide_floor_stay_places_of_their_own():
    discs = clumps(60.0, 10.0)[:6]
    frame = flat_frame((500.0, 500.0, 285.0, 1.5), *discs)
    found = SpotFinder(polarity="bright")(frame).catalog
    for x, y, *_ in discs:
        assert nearest(found, x, y)[1] < 1.0


def bar(x: float, y: float) -> list[tuple[float, float, float, float]]:
    """Bright ground of 20 by about 50 px, upright."""
    return [(x, y + dy, 20.0, 1.9) for dy in (-20.0, 0.0, 20.0)]


def test_two_ragged_pieces_of_a_bright_floor_are_not_told_beside_it():
    frame = flat_frame((500.0, 500.0, 150.0, 1.8), *bar(460.0, 495.0), *bar(540.0, 505.0))
    found = SpotFinder(polarity="bright")(frame).catalog
    assert len(found) == 1
    assert found["diameter_halfmax"][0] == pytest.approx(150.0, rel=0.25)


@pytest.mark.parametrize(
    "second", [(540.0, 500.0, 4.0, 1.1), (558.0, 500.0, 26.0, 1.9)], ids=["round", "ragged"]
)
def test_one_core_on_a_bright_floor_is_told_beside_it(second):
    frame = flat_frame((500.0, 500.0, 150.0, 1.8), (540.0, 500.0, 36.0, 2.6), second)
    found = SpotFinder(polarity="bright")(frame).catalog
    assert len(found) == 2
    assert nearest(found, 540.0, 500.0)[1] < 8.0


def test_three_neighbours_stay_three_places():
    frame = flat_frame((490.0, 500.0, 10.0, 3.0), (510.0, 500.0, 10.0, 3.0), (500.0, 520.0, 10.0, 3.0))
    found = SpotFinder(polarity="bright")(frame).catalog
    assert len(found) == 3


@pytest.mark.parametrize("spacing", [28.0, 36.0])
def test_nine_places_in_rows_stay_nine(spacing):
    """A binned view, in which each is four bins wide, does not join what the frame itself shows apart."""
    discs = [(500.0 + spacing * i, 500.0 + spacing * j, 17.0, 2.0) for i in range(3) for j in range(3)]
    found = SpotFinder(polarity="bright")(flat_frame(*discs)).catalog
    assert len(found) == 9
    for x, y, *_ in discs:
        assert nearest(found, x, y)[1] < 1.0


@pytest.mark.parametrize(("diameter", "side"), [(18.0, 4.0), (22.0, 2.2)])
def test_a_place_with_its_peak_on_the_rim_is_told_once(diameter, side):
    """The bins show less than half maximum where the finer view has the peak."""
    rim = 500.0 + 0.43 * diameter * np.cos(side), 500.0 + 0.43 * diameter * np.sin(side)
    frame = flat_frame((500.0, 500.0, diameter, 2.0), (*rim, 2.5, 1.6))
    found = SpotFinder(polarity="bright")(frame).catalog
    assert len(found) == 1
    assert found["diameter_halfmax"][0] == pytest.approx(diameter, rel=0.05)


@pytest.mark.parametrize("sigma", [6.0, 8.0, 10.0, 12.0])
def test_a_place_that_fades_out_is_told_once(sigma):
    """Taken away above half maximum, it leaves a ring of flanks in the binned view."""
    frame = flat_frame(shape=(512, 512))
    y, x = np.mgrid[:512, :512]
    spot = 3.0 * np.exp(-0.5 * ((x - 250.3) ** 2 + (y - 260.7) ** 2) / sigma**2)
    found = SpotFinder(polarity="bright")(replace(frame, image=(frame.image * (1 + spot)).astype(np.float32)))
    assert len(found.catalog) == 1
    assert found.catalog["diameter_halfmax"][0] == pytest.approx(2.355 * sigma, rel=0.05)


@pytest.mark.parametrize("diameter", [60.0, 100.0, 200.0, 300.0])
def test_small_places_beside_a_wide_one_are_no_pieces_of_it(diameter):
    away = 0.5 * diameter + 10.0 + 30.0
    small = [(500 + away * np.cos(a), 500 + away * np.sin(a), 20.0, 2.0) for a in (0.4, 2.1, 3.9, 5.3)]
    found = SpotFinder(polarity="bright")(flat_frame((500.0, 500.0, diameter, 2.5), *small)).catalog
    assert len(found) == 5
    for x, y, *_ in small:
        assert nearest(found, x, y)[1] < 1.0


def over_occator(altitude_km: float, seed: int):
    """Rendered Occator from straight above, with its faculae only: found places and what is true."""
    scene = Scene(
        altitude_km=altitude_km, seed=seed, named_spots=True, sub_spacecraft_latitude_deg=19.9,
        sub_spacecraft_longitude_deg=240.5, phase_deg=35.0,
    )  # fmt: skip
    rendered = render(scene)
    truth = rendered.truth[rendered.truth["is_spot"] & rendered.truth["visible"]]
    return SpotFinder()(rendered.frame).catalog, truth.set_index("name")


@pytest.mark.parametrize("seed", [1, 2])
def test_cerealia_from_1470_km_is_told_once_and_whole(seed):
    """A little wider than the level's window: its rim stands out in the frame itself, as a piece of it."""
    found, truth = over_occator(1470.0, seed)
    cerealia = truth.loc["Cerealia Facula"]
    gap = np.hypot(found["x_centroid"] - cerealia.x, found["y_centroid"] - cerealia.y)
    (row,) = found[gap < 0.6 * cerealia.diameter_px].itertuples()
    assert np.hypot(row.x_centroid - cerealia.x, row.y_centroid - cerealia.y) < 2.0
    # Its core is brighter: half maximum lies within the edge.
    assert 0.85 < row.diameter_halfmax / cerealia.diameter_px < 1.0


def test_ground_beside_a_wide_facula_is_not_dark():
    found, truth = over_occator(385.0, 3)
    cerealia = truth.loc["Cerealia Facula"]
    gap = np.hypot(found["x_centroid"] - cerealia.x, found["y_centroid"] - cerealia.y)
    beside = found[(gap < 0.6 * cerealia.diameter_px) & (found["diameter_halfmax"] > 10.0)]
    assert beside["polarity"].tolist() == ["bright"]
