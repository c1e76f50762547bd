"""Pictures: outlines against a plain loop, stretch, bar, arrows against the camera, files."""

import threading
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brightspot import figure
from brightspot.camera import Camera
from brightspot.catalog import COLUMNS
from brightspot.errors import UsageError
from brightspot.finder import Detection, SpotFinder
from brightspot.frame import Frame
from brightspot.geometry import ViewingGeometry


def make_frame(shape=(60, 80), **changes) -> Frame:
    rng = np.random.default_rng(1)
    image = rng.normal(100, 3, shape).astype(np.float32)
    none = np.zeros(shape, bool)
    scale = SimpleNamespace(pixel_scale_km=1.3, source="label", conflicts=())
    return Frame(**{"name": "a.img", "path": None, "image": image, "mask": none, "saturated": none,
                    "unit": "I/F", "scale": scale, **changes})  # fmt: skip


def make_detection(frame: Frame | None = None) -> Detection:
    frame = frame or make_frame()
    segmentation = np.zeros(frame.shape, np.int32)
    segmentation[10:14, 20:25] = 1
    segmentation[40:42, 60:62] = 2
    rows = [
        {"detection_id": 1, "polarity": "bright", "x_centroid": 22.0, "y_centroid": 11.5, "snr": 9.0,
         "albedo_confidence": 0.9, "diameter_halfmax_km": 6.1},
        {"detection_id": 2, "polarity": "dark", "x_centroid": 60.5, "y_centroid": 40.5, "snr": 4.0,
         "albedo_confidence": np.nan},
    ]  # fmt: skip
    catalog = pd.DataFrame(rows).reindex(columns=[column.name for column in COLUMNS])
    return Detection(frame, catalog, segmentation, None, SpotFinder())


def edges_by_loop(segmentation: np.ndarray) -> set[tuple]:
    """Every unit edge between a footprint's pixel and what is not the same footprint."""
    rows, columns = segmentation.shape
    edges = set()
    for y in range(rows):
        for x in range(columns):
            label = segmentation[y, x]
            if not label:
                continue
            for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                v, u = y + dy, x + dx
                if not (0 <= v < rows and 0 <= u < columns) or segmentation[v, u] != label:
                    middle = (x + dx / 2, y + dy / 2)
                    edges.add((middle, int(label)))
    return edges


@settings(max_examples=60, deadline=None)
@given(arrays(np.int32, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=st.integers(0, 3)))
def test_outlines_equal_a_plain_loop(segmentation):
    segments, labels = figure.outline_segments(segmentation)
    found = []
    for ((x0, y0), (x1, y1)), label in zip(segments, labels, strict=True):
        n = round(abs(x1 - x0) + abs(y1 - y0))
        assert (x0 == x1) != (y0 == y1)
        for k in range(n):
            t = (k + 0.5) / n
            found.append(((x0 + t * (x1 - x0), y0 + t * (y1 - y0)), int(label)))
    assert len(found) == len(set(found))
    assert set(found) == edges_by_loop(segmentation)


def test_a_square_has_four_edges():
    segmentation = np.zeros((9, 9), int)
    segmentation[2:5, 3:7] = 7
    segments, labels = figure.outline_segments(segmentation)
    assert len(segments) == 4
    assert set(labels) == {7}
    assert segments[..., 0].min() == 2.5
    assert segments[..., 0].max() == 6.5
    assert segments[..., 1].min() == 1.5
    assert segments[..., 1].max() == 4.5


@given(st.floats(1e-4, 1e5))
def test_round_length_is_the_largest_below(length_km):
    bar_km = figure.round_length(length_km)
    mantissa = bar_km / 10 ** np.floor(np.log10(bar_km) + 1e-9)
    assert round(mantissa, 6) in (1, 2, 5)
    assert bar_km <= length_km * (1 + 1e-6) < 2.5 * bar_km * (1 + 1e-5)


def test_faculae_and_surface_are_both_visible():
    frame = make_frame((200, 200))
    frame.image[:80] = 5.0  # sky
    frame.image[150:156, 100:106] = 700.0  # facula, its core brighter still
    frame.image[152:154, 102:104] = 900.0
    grey = figure.display_grey(frame)
    assert grey[:80].max() < 30
    assert 80 < np.median(grey[90:140]) < 200
    assert grey[150, 100] < grey[152, 102] == 255
    assert figure.display_grey(frame, "linear")[152, 102] == 255


def test_masked_pixels_are_black_and_do_not_set_the_stretch():
    frame = make_frame()
    frame.mask[5, 5] = True
    frame.image[5, 5] = np.nan
    frame.mask[6, 6] = True
    frame.image[6, 6] = 1e30
    grey = figure.display_grey(frame)
    assert grey[5, 5] == grey[6, 6] == 0
    assert np.median(grey) > 80


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_flat_and_masked_frames_do_not_break_the_stretch(value):
    frame = make_frame()
    frame.image[:] = value
    figure.display_grey(frame)
    frame.mask[:] = True
    assert not figure.display_grey(frame).any()


def test_unknown_stretch_is_refused():
    with pytest.raises(UsageError, match="asinh"):
        figure.show(make_frame(), stretch="log")


def test_title_says_scale_and_number():
    assert figure.title(make_detection()) == "a.img  |  1.3 km/px (label)  |  2 detections"
    assert "scale unknown" in figure.title(make_frame(scale=None))
    assert "\n" not in figure.title(make_frame(name="a\n$b_{.img"))


def looking_north(shape=(60, 80)) -> ViewingGeometry:
    """Camera over 0 N 0 E; +x of the picture is east, +y (down) is south; the Sun over 0 N 40 E."""
    camera_from_body = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])
    sun = 4.3e8 * np.array([np.cos(np.radians(40)), np.sin(np.radians(40)), 0.0])
    origin = (511.5 - (shape[1] - 1) / 2, 511.5 - (shape[0] - 1) / 2)
    return ViewingGeometry(
        Camera.framing_camera("FC2", 1), shape, np.array([5000.0, 0, 0]), sun, camera_from_body, origin
    )


def test_arrows_point_where_north_and_sun_are():
    directions = figure.arrow_directions(make_frame(geometry=looking_north()))
    assert directions["N"] == pytest.approx((0, -1), abs=1e-6)
    assert directions["Sun"] == pytest.approx((1, 0), abs=1e-6)


def test_no_arrows_without_geometry():
    assert figure.arrow_directions(make_frame()) == {}


def test_show_draws_on_given_axes_in_pixel_coordinates():
    import matplotlib as mpl

    mpl.use("Agg")
    ax = figure.show(make_detection(make_frame(geometry=looking_north())))
    assert ax.get_xlim() == (-0.5, 79.5)
    assert ax.get_ylim() == (59.5, -0.5)
    texts = [text.get_text() for text in ax.texts]
    assert {"1", "2", "N", "Sun", "20 km"} <= set(texts)
    assert figure.show(make_frame(), ax=ax) is ax
    import matplotlib.pyplot as plt

    plt.close("all")


def test_colours_tell_polarity_and_doubt():
    detection = make_detection()
    assert figure._colors(detection) == {1: figure.BRIGHT, 2: figure.DARK}
    detection.catalog.loc[0, "albedo_confidence"] = 0.2
    assert figure._colors(detection)[1] == figure.DOUBTFUL


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".pdf"])
def test_overlay_is_written(tmp_path, suffix):
    path = figure.save_overlay(make_detection(), tmp_path / f"o{suffix}", size_px=300)
    assert path.stat().st_size > 1000
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    if suffix == ".png":
        picture = iio.imread(path)
        assert picture.shape[0] > 200
        # The outline's colour is in the picture.
        orange = np.array([0xE6, 0x9F, 0x00])
        assert (np.abs(picture[..., :3].astype(int) - orange).max(axis=-1) < 12).any()


def test_print_quality_has_more_pixels(tmp_path):
    small = iio.imread(figure.save_overlay(make_detection(), tmp_path / "s.png", size_px=200))
    large = iio.imread(figure.save_overlay(make_detection(), tmp_path / "l.png", size_px=200, dpi=300))
    assert large.shape[0] == pytest.approx(3 * small.shape[0], abs=3)


def test_unknown_picture_kind_is_refused(tmp_path):
    with pytest.raises(UsageError, match="xyz"):
        figure.save_overlay(make_detection(), tmp_path / "o.xyz")
    assert not list(tmp_path.iterdir())


def test_sky_around_a_small_body_is_left_out():
    frame = make_frame((400, 600))
    frame.image[:] = 2.0
    y, x = np.mgrid[:400, :600]
    frame.image[(x - 420) ** 2 + (y - 150) ** 2 < 60**2] = 100.0
    frame.image[390, 10] = 5000.0  # a cosmic ray
    left, top, right, bottom = figure.lit_box(frame)
    assert left <= 360 and right >= 480 and top <= 90 and bottom >= 210
    assert (right - left) / (bottom - top) == pytest.approx(1.5)
    assert right - left < 300
    assert left >= -0.5 and top >= -0.5 and right <= 599.5 and bottom <= 399.5


@pytest.mark.parametrize("value", [0.0, 50.0])
def test_a_frame_full_of_ground_or_empty_is_not_cropped(value):
    frame = make_frame((64, 64))
    frame.image[:] = value
    assert figure.lit_box(frame) == (-0.5, -0.5, 63.5, 63.5)


def test_cutouts_show_each_spot_once():
    detection = make_detection()
    assert figure.cutout_boxes(detection) == [(22, 12, 16), (60, 40, 16)]
    detection.catalog.loc[1, ["x_centroid", "y_centroid"]] = [25.0, 14.0]
    assert len(figure.cutout_boxes(detection)) == 1


@pytest.mark.parametrize("shape", [(16, 16), (16, 400), (400, 16), (1, 1)])
def test_odd_shapes_are_drawn(tmp_path, shape):
    figure.save_overlay(make_frame(shape), tmp_path / "o.png", size_px=200)
    assert (tmp_path / "o.png").exists()


def test_overlays_may_be_written_in_threads(tmp_path):
    jobs = [
        threading.Thread(
            target=figure.save_overlay,
            args=(make_detection(), tmp_path / f"{k}.png"),
            kwargs={"size_px": 200},
        )
        for k in range(4)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    pictures = [(tmp_path / f"{k}.png").read_bytes() for k in range(4)]
    assert len(set(pictures)) == 1
