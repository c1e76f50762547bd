"""Pictures: outlines against a plain loop, stretch, bar, arrows against the camera, files."""

import subprocess
import sys
import threading
from dataclasses import replace
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brightspot import cli, figure, gazetteer
from brightspot.camera import Camera
from brightspot.catalog import COLUMNS
from brightspot.errors import UsageError
from brightspot.figure import maps, marks, overlay
from brightspot.figure.paint import GREYS, Sheet, rgb
from brightspot.figure.places import Rect, place_texts
from brightspot.figure.sizes import cumulative, spread_out
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


def any_view(seed: int, shape=(300, 400)) -> ViewingGeometry:
    """A camera somewhere, looking near Ceres' middle, turned at random."""
    rng = np.random.default_rng(seed)
    spacecraft = rng.normal(size=3)
    spacecraft *= rng.uniform(1500, 9000) / np.linalg.norm(spacecraft)
    sun = rng.normal(size=3)
    sun *= 4.3e8 / np.linalg.norm(sun)
    ahead = -spacecraft / np.linalg.norm(spacecraft) + rng.normal(scale=0.01, size=3)
    ahead /= np.linalg.norm(ahead)
    right = np.cross(ahead, rng.normal(size=3))
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(ahead, right), ahead])
    return ViewingGeometry(Camera.framing_camera("FC2", 1), shape, spacecraft, sun, axes, (312.0, 362.0))


def moved(view: ViewingGeometry, start: np.ndarray, toward: np.ndarray) -> np.ndarray:
    """Direction in the picture in which a surface point moves that goes toward a body-fixed direction."""
    radii = np.asarray(view.radii_km)
    normal = start / radii**2
    normal /= np.linalg.norm(normal)
    step = toward - (toward @ normal) * normal
    ends = [np.array(view.project_points(start + k * step / np.linalg.norm(step))) for k in (-0.05, 0.05)]
    return (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])


@pytest.mark.parametrize("seed", range(8))
def test_arrows_agree_with_moving_a_point_on_the_ground(seed):
    view = any_view(seed)
    frame = make_frame(view.shape, geometry=view)
    ground = view.ground(199.5, 149.5)
    assert np.isfinite(ground.incidence_deg)
    directions = figure.arrow_directions(frame)
    assert directions["N"] == pytest.approx(moved(view, ground.point_km, np.array([0, 0, 1.0])), abs=2e-3)
    assert directions["Sun"] == pytest.approx(moved(view, ground.point_km, view.sun_km), abs=2e-3)


def test_arrows_are_those_of_the_shown_part():
    view = any_view(1)
    frame = make_frame(view.shape, geometry=view)
    corner = figure.arrow_directions(frame, (20.0, 20.0, 60.0, 50.0))
    ground = view.ground(40.0, 35.0)
    azimuth = np.radians(ground.north_azimuth_deg)
    assert corner["N"] == pytest.approx((np.sin(azimuth), -np.cos(azimuth)))


def test_no_arrows_without_geometry_or_where_the_picture_looks_flipped():
    assert figure.arrow_directions(make_frame()) == {}
    flipped = make_frame(geometry=looking_north(), orientation_doubtful=True)
    assert figure.arrow_directions(flipped) == {}
    assert figure.graticule(flipped, (-0.5, -0.5, 79.5, 59.5)) == []


def test_arrows_that_nearly_agree_stand_side_by_side():
    places = marks.arrow_places({"N": (0.0, -1.0), "Sun": (0.1, -0.995)})
    (n_tail, _, n_text), (s_tail, _, s_text) = places["N"], places["Sun"]
    assert n_tail[0] < -0.2 and s_tail[0] > 0.2
    assert s_text[0] - n_text[0] > 0.5
    apart = marks.arrow_places({"N": (0.0, -1.0), "Sun": (1.0, 0.0)})
    assert apart["N"][0] == apart["Sun"][0] == (0.0, 0.0)


@pytest.mark.parametrize("seed", range(6))
def test_graticule_lies_on_its_latitudes_and_longitudes(seed):
    view = any_view(seed)
    frame = make_frame(view.shape, geometry=view)
    box = (-0.5, -0.5, view.shape[1] - 0.5, view.shape[0] - 0.5)
    lines = figure.graticule(frame, box)
    assert 4 <= len(lines) <= 50
    for line in lines:
        x, y = line.points[np.isfinite(line.points[:, 0])].T
        ground = view.ground(x, y)
        inner = ground.emission_deg < 85  # at the limb a pixel is many degrees
        value = float(line.text.rstrip("°NSE"))
        if line.text.endswith("E"):
            away = (ground.longitude_deg - value + 180) % 360 - 180
            away = away * np.cos(np.radians(ground.latitude_deg))
        else:
            away = ground.latitude_deg - (-value if line.text.endswith("S") else value)
        assert np.abs(away[inner]).max(initial=0) < 1e-6
        if line.place is not None:
            assert box[0] < line.place[0] < box[2] and box[1] < line.place[1] < box[3]


def test_no_graticule_without_longitudes():
    box = (-0.5, -0.5, 79.5, 59.5)
    assert figure.graticule(make_frame(), box) == []
    limb = replace(looking_north(), longitude_known=False)
    assert figure.graticule(make_frame(geometry=limb), box) == []
    away = replace(looking_north(), camera_from_body=np.diag([1.0, 1.0, 1.0]))
    assert figure.graticule(make_frame(geometry=away), box) == []


@pytest.mark.parametrize(("zoom_dpi", "pixel_scale_km"), [(100, 1.3), (300, 1.3), (100, 0.137), (150, 37.0)])
def test_the_bar_has_the_length_it_says(zoom_dpi, pixel_scale_km):
    scale = SimpleNamespace(pixel_scale_km=pixel_scale_km, source="label", conflicts=())
    frame = make_frame((200, 200), scale=scale)
    picture = figure.paint_overlay(frame, size_px=400, dpi=zoom_dpi).convert("RGB")
    pixels = np.asarray(picture).astype(int)
    ink = np.abs(pixels - rgb(figure.INK)).max(axis=-1) < 3
    longest = max(np.flatnonzero(row).size for row in ink)
    _, text = marks.scale_bar(frame, 200)
    number, unit = text.split()
    km = float(number) * (0.001 if unit == "m" else 1.0)
    shown = 400 * zoom_dpi / 100 / 200  # sheet pixels per frame pixel
    assert longest == pytest.approx(km / pixel_scale_km * shown, abs=1.01)


@given(
    st.lists(st.tuples(st.floats(0, 300), st.floats(0, 200), st.floats(0, 40), st.floats(0, 40)), max_size=12)
)
@settings(max_examples=60, deadline=None)
def test_texts_never_cover_each_other_or_what_is_taken(anchors):
    rects = [Rect(x, y, x + w, y + h) for x, y, w, h in anchors]
    taken = [Rect(100, 100, 160, 140)]
    room = Rect(0, 0, 300, 200)
    places = place_texts(rects, [(18.0, 9.0)] * len(rects), room, taken)
    placed = [p for p in places if p is not None]
    for k, a in enumerate(placed):
        assert room.left <= a.left < a.right <= room.right and room.top <= a.top < a.bottom <= room.bottom
        for b in [*placed[:k], *taken]:
            assert min(a.right, b.right) - max(a.left, b.left) < 1e-6 or (
                min(a.bottom, b.bottom) - max(a.top, b.top) < 1e-6
            )


def test_a_text_with_room_stands_beside_what_it_names():
    (place,) = place_texts([Rect(50, 50, 60, 60)], [(12.0, 8.0)], Rect(0, 0, 200, 200))
    assert 60 < place.left < 66 and 38 < place.top < 55
    (nowhere,) = place_texts([Rect(5, 5, 6, 6)], [(12.0, 8.0)], Rect(0, 0, 10, 10))
    assert nowhere is None


def test_overlay_s_outline_runs_just_outside_of_the_footprint():
    detection = make_detection(make_frame((100, 100)))
    picture = figure.paint_overlay(detection, size_px=800, cutouts=False)
    pixels = np.asarray(picture.convert("RGB")).astype(int)[overlay.HEAD :]
    orange = np.abs(pixels - rgb(figure.BRIGHT)).max(axis=-1) < 3
    # Rows 10 to 13, columns 20 to 24, eight sheet pixels each; the id stands at the upper right.
    x, y = np.flatnonzero(orange[100]), np.flatnonzero(orange[:, 164])
    assert x.tolist() == [158, 159, 200, 201]
    assert y.tolist() == [78, 79, 112, 113]
    assert not orange[80:112, 160:200].any()
    inner = np.repeat(np.repeat(figure.display_grey(detection.frame), 8, 0), 8, 1)[80:112, 160:200]
    assert np.abs(pixels[80:112, 160:200] - inner[..., None]).max() <= 1


def test_a_sheet_keeps_greys_and_blends_inks_over_rims():
    sheet = Sheet(64, 32, (figure.INK,))
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (32, 1))
    sheet.image(ramp, Rect(0, 0, 64, 32))
    sheet.bar(figure.INK, 10, 10, 20, 14)
    picture = sheet.finish()
    assert picture.mode == "P"
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert np.abs(pixels[0] - ramp[0][:, None]).max() <= 255 / (GREYS - 1) / 2 + 0.5
    assert (pixels[10:14, 10:20] == rgb(figure.INK)).all()
    assert not pixels[9, 10:20].any() and not pixels[10:14, 20].any()


def test_a_tiny_footprint_of_a_large_frame_is_still_marked():
    frame = make_frame((3000, 3000))
    segmentation = np.zeros(frame.shape, np.int32)
    segmentation[1501, 1501] = 1
    detection = make_detection(make_frame())
    detection = Detection(frame, detection.catalog[:1], segmentation, None, SpotFinder())
    pixels = np.asarray(figure.paint_overlay(detection, cutouts=False).convert("RGB")).astype(int)
    assert (np.abs(pixels - rgb(figure.BRIGHT)).max(axis=-1) < 3).sum() >= 4


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


def test_colours_tell_polarity_and_confidence():
    detection = make_detection()
    assert marks.colors_by_id(detection) == {1: figure.BRIGHT, 2: figure.DARK}
    detection.catalog["albedo_confidence"] = 0.7
    assert marks.colors_by_id(detection) == {1: figure.PALE_BRIGHT, 2: figure.PALE_DARK}
    detection.catalog.loc[0, "albedo_confidence"] = 0.2
    assert marks.colors_by_id(detection)[1] == figure.DOUBTFUL


def test_colours_differ_for_people_who_see_no_red_or_no_green():
    # Vienot, Brettel and Mollon (1999), Color Research and Application 24: dichromats' view of linear RGB.
    protan = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
    deutan = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    colors = np.array([rgb(color) for color in (*marks.MEANINGS, figure.INK)]) / 255.0
    for view in (protan, deutan):
        seen = np.clip((colors**2.2) @ view.T, 0, 1) ** (1 / 2.2)
        apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1) + 9 * np.eye(len(seen))
        assert apart.min() > 0.12


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".pdf", ".svg"])
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


def boxes_of(detection):
    return marks.cutout_boxes(
        detection, marks.spots_of(detection), marks.footprint_boxes(detection.segmentation)
    )


def test_cutouts_show_each_spot_once():
    detection = make_detection()
    assert boxes_of(detection) == [(22, 12, 16), (60, 40, 16)]
    detection.catalog.loc[1, ["x_centroid", "y_centroid"]] = [25.0, 14.0]
    assert len(boxes_of(detection)) == 1


def test_a_cutout_at_the_corner_is_black_beyond_the_frame():
    detection = make_detection()
    grey, labels = marks.cutout(detection, 2, 3, 10)
    assert grey.shape == labels.shape == (21, 21)
    assert not grey[:7].any() and not grey[:, :8].any()
    assert grey[7:, 8:].min() > 0
    grey, labels = marks.cutout(detection, 22, 12, 5)
    assert (labels == detection.segmentation[7:18, 17:28]).all()


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


# --- tables ---------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def without_a_screen():
    import matplotlib as mpl

    mpl.use("Agg")
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def make_table(n=40, seed=3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "detection_id": np.arange(1, n + 1),
            "polarity": rng.choice(["bright", "dark"], n),
            "latitude_deg": np.degrees(np.arcsin(rng.uniform(-1, 1, n))),
            "longitude_deg": rng.uniform(0, 360, n),
            "diameter_halfmax_km": rng.lognormal(1.5, 0.8, n),
            "albedo_confidence": rng.uniform(0.3, 1, n),
            "flags": ["UNRESOLVED|BLEND" if k % 8 == 0 else "" for k in range(n)],
        }
    ).reindex(columns=[column.name for column in COLUMNS])
    table.loc[:3, ["latitude_deg", "longitude_deg"]] = np.nan
    return table


def test_map_marks_every_place():
    table = make_table()
    ax = figure.show_map(table)
    discs, drawn = ax.collections
    places = {tuple(np.round(place, 9)) for place in drawn.get_offsets()}
    middles = [path.vertices[:-1].mean(axis=0) for path in discs.get_paths()]
    placed = table[table["latitude_deg"].notna()]
    expected = set(zip(placed["longitude_deg"].round(9), placed["latitude_deg"].round(9), strict=True))
    assert places < expected and len(places) + len(middles) == len(expected)
    for longitude, latitude in expected - places:
        assert min(np.hypot(u - longitude, v - latitude) for u, v in middles) < 2
    assert ax.get_title(loc="left") == "36 detections, 4 without a place left out"
    names = {text.get_text() for text in ax.texts}
    assert names and names <= {feature.name for feature in gazetteer.FEATURES}


def test_large_spots_are_discs_true_to_scale():
    table = make_table(6)
    table["latitude_deg"], table["longitude_deg"] = (
        [0, 60, 0, 0, 0, 0],
        [2.0, 100.0, 150.0, 200.0, 250.0, 300.0],
    )
    table["diameter_halfmax_km"] = [80.0, 100.0, 1.0, np.nan, 300.0, 1.0]
    ax = figure.show_map(table, names=False)
    discs, small = ax.collections
    widths = [np.ptp(path.vertices, axis=0) * marks.KM_PER_DEGREE for path in discs.get_paths()]
    assert widths[0] == pytest.approx((300, 300), rel=0.01)
    assert widths[1] == pytest.approx((200, 100), rel=0.03)  # twice as wide on a cylindrical map at 60 N
    assert sorted(small.get_offsets()[:, 0]) == [2, 150, 200, 300]  # one across 0 E keeps its mark


@pytest.mark.parametrize("projection", ["north", "south"])
def test_polar_maps_keep_distance_from_the_pole_and_handedness(projection):
    sign = 1 if projection == "north" else -1
    x, y = maps._Map(projection).project(sign * np.array([80.0, 80.0, 40.0]), np.array([0.0, 90.0, 0.0]))
    assert np.hypot(x, y)[:2] == pytest.approx([10, 10])
    assert np.isnan(x[2])
    # Seen from above the north pole longitude runs counterclockwise, above the south pole clockwise.
    assert np.sign(x[0] * y[1] - x[1] * y[0]) == sign


@pytest.mark.parametrize("feature", ["Kerwan", "Duginavi", "Zadeni", "Asari"])
def test_crater_rims_are_at_half_a_diameter(feature):
    crater = next(f for f in gazetteer.FEATURES if f.name == feature)
    x, y = maps._circle(maps._Map("cylindrical"), *crater[1:])
    known = np.isfinite(x)
    a, b = np.radians([crater.latitude_deg, crater.longitude_deg]), np.radians([y[known], x[known]])
    cosine = np.sin(a[0]) * np.sin(b[0]) + np.cos(a[0]) * np.cos(b[0]) * np.cos(b[1] - a[1])
    assert 2 * 470.0 * np.arccos(cosine) == pytest.approx(crater.diameter_km, rel=1e-6)


def test_map_without_a_single_place():
    table = make_table(3)
    assert figure.show_map(table).get_title(loc="left") == "0 detections, 3 without a place left out"


def test_a_detection_is_drawn_as_its_catalog_is():
    detection = make_detection()
    assert figure.show_map(detection).get_title(loc="left") == figure.show_map(detection.catalog).get_title(
        loc="left"
    )
    assert figure.show_sizes(detection).get_xlabel() == figure.show_sizes(detection.catalog).get_xlabel()


def test_unknown_projection_panel_and_column_are_refused():
    with pytest.raises(UsageError, match="cylindrical"):
        figure.show_map(make_table(), projection="mercator")
    with pytest.raises(UsageError, match="levelled"):
        figure.show_panels(make_detection(), panels=("raw", "flat"))
    with pytest.raises(UsageError, match="diameter_km"):
        figure.show_sizes(make_table(), column="area_km2")


@given(st.lists(st.sampled_from([0.0, 1.0, 2.5, 2.5, 7.0, np.nan]), max_size=12))
def test_cumulative_counts_equal_a_plain_loop(values):
    diameter, number = cumulative(np.array(values, float))
    expected = {d: sum(1 for v in values if v >= d) for d in {v for v in values if v > 0}}
    assert dict(zip(diameter.tolist(), number.tolist(), strict=True)) == expected
    assert list(diameter) == sorted(diameter, reverse=True)


def test_crowded_sizes_are_thinned_but_the_ends_stay():
    diameter = np.sort(np.random.default_rng(0).lognormal(1.0, 0.7, 5000))[::-1]
    shown = spread_out(diameter)
    assert shown[:10].all() and shown[-1] and shown.sum() < 200
    # What is left out is nearer than a step to a point that is drawn.
    log = np.log10(diameter)
    assert max(np.abs(log[shown] - value).min() for value in log[~shown]) < 0.015
    assert spread_out(diameter[:1]).tolist() == [True]


def test_sizes_count_bright_and_dark_apart_and_leave_out_what_has_none():
    table = make_table()
    ax = figure.show_sizes(table)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    shown = table[~table["flags"].str.contains("UNRESOLVED")]
    counts = shown["polarity"].value_counts()
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == [f"bright ({counts['bright']})", f"dark ({counts['dark']})"]
    container = ax.containers[0]
    x, y = container.lines[0].get_data()
    assert x[0] == shown.loc[shown["polarity"] == "bright", "diameter_halfmax_km"].max() and y[0] == 1
    (bars,) = container.lines[2]
    low, high = bars.get_segments()[3][:, 1]
    assert (low, high) == pytest.approx((4 - 2, 4 + 2))
    figure.show_sizes(table[:0])


def test_montage_shows_the_strongest_of_many_frames():
    first, second = make_detection(), make_detection(make_frame(name="b.img"))
    second.catalog["snr"] = [5.0, np.nan]
    ax = figure.show_montage([first, second], most=3)
    assert len(ax.images) == 3
    words = [text.get_text() for text in ax.texts if "\n" in text.get_text()]
    assert words == ["1   6.1 km  0.90\na.img", "1   6.1 km  0.90\nb.img", "2\na.img"]
    with pytest.raises(UsageError, match="no spots"):
        figure.show_montage(first._replace(catalog=first.catalog[:0]))


def test_montage_bars_have_the_length_they_say():
    ax = figure.show_montage(make_detection())
    for image, bar in zip(ax.images, list(ax.lines), strict=True):
        left, right, _, _ = image.get_extent()
        pixels = image.get_array().shape[1]
        x = bar.get_xdata()
        km = (x[1] - x[0]) / (right - left) * pixels * 1.3
        text = next(
            t for t in ax.texts if t.get_text().endswith(" km") and abs(t.get_position()[0] - x[0]) < 1
        )
        assert km == pytest.approx(float(text.get_text().split()[0]))


def ball(size: int = 256) -> np.ndarray:
    """A lit ball with a bright and a dark patch."""
    y, x = (np.mgrid[:size, :size] - (size - 1) / 2) / (0.4 * size)
    z = np.sqrt(np.maximum(1.0 - x * x - y * y, 0.0))
    light = np.where(z > 0, np.maximum(0.5 * x + 0.866 * z, 0.0), 0.0)
    bright, dark = (x - 0.3) ** 2 + y**2 < 0.05**2, (x + 0.1) ** 2 + (y - 0.2) ** 2 < 0.05**2
    return (120.0 * light * np.where(bright, 2.0, np.where(dark, 0.6, 1.0))).astype(np.float32)


def found_detection() -> Detection:
    none = np.zeros((256, 256), bool)
    return SpotFinder()(Frame("ball", None, ball(), none, none, "display"))


def test_panels_show_raw_levelled_and_contrast():
    detection = found_detection()
    axes = figure.show_panels(detection)
    assert [ax.get_title(loc="left").splitlines()[-1] for ax in axes] == ["raw", "levelled", "contrast"]
    ratio = np.ma.filled(axes[1].images[0].get_array(), np.nan)
    assert np.isnan(ratio[0, 0])
    assert np.nanmedian(ratio) == pytest.approx(1.0, abs=0.15)
    (only,) = figure.show_panels(detection, panels=("contrast",))
    assert only.images[0].get_cmap().name == "PuOr_r"
    with pytest.raises(UsageError, match="2 panels"):
        figure.show_panels(detection, panels=("raw", "contrast"), axes=[only])


def test_labels_in_show_do_not_cover_each_other():
    detection = make_detection()
    detection.catalog.loc[1, ["x_centroid", "y_centroid"]] = [26.0, 12.0]
    ax = figure.show(detection)
    ax.figure.canvas.draw()
    a, b = (t.get_window_extent() for t in ax.texts if t.get_text() in ("1", "2"))
    assert not a.overlaps(b)


def save_frame(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(path, ball().astype(np.uint8))


def test_show_command_draws_every_kind(tmp_path, capsys):
    images, out = tmp_path / "images", tmp_path / "out"
    save_frame(images / "a.png")
    save_frame(images / "b.png")
    out.mkdir()
    table = tmp_path / "detections.csv"
    make_table().to_csv(table, index=False)
    for kind, inputs in {
        "panels": [images / "a.png"], "montage": [images], "map": [table], "sizes": [table, table]
    }.items():  # fmt: skip
        target = out / f"{kind}.png"
        assert cli.run(["show", *map(str, inputs), "-o", str(target), f"--{kind}"]) == 0
        assert capsys.readouterr().out.strip() == str(target)
        assert iio.imread(target).shape[0] > 200


def test_show_command_refuses_what_makes_no_picture(tmp_path, capsys):
    image, target = tmp_path / "a.png", str(tmp_path / "o.png")
    save_frame(image)
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    for words, reason in (
        ([str(image), "--map", "--sizes"], "two pictures"),
        ([str(image), str(image)], "--montage takes many"),
        ([str(tmp_path)], "is a folder"),
        ([str(image), "--map"], "results folder"),
        ([str(tmp_path), "--sizes"], "no results"),
        ([str(tmp_path / "t.csv"), "--map"], "has no column frame"),
    ):
        assert cli.run(["show", *words, "-o", target]) == 2
        shown = capsys.readouterr()
        assert reason in shown.err and shown.out == ""


def test_montage_command_goes_on_after_a_bad_file(tmp_path, capsys):
    save_frame(tmp_path / "images" / "a.png")
    (tmp_path / "images" / "bad.png").write_text("no picture")
    target = tmp_path / "m.png"
    assert cli.run(["show", str(tmp_path / "images"), "--montage", "-o", str(target)]) == 1
    assert "bad.png" in capsys.readouterr().err
    assert target.exists()


def test_overlays_are_painted_without_matplotlib(tmp_path):
    code = (
        "import sys\n"
        "import numpy as np\n"
        "from brightspot.figure import save_overlay\n"
        "from brightspot.frame import Frame\n"
        "none = np.zeros((64, 64), bool)\n"
        "frame = Frame('a', None, np.ones((64, 64), np.float32), none, none, 'DN')\n"
        f"save_overlay(frame, {str(tmp_path / 'a.png')!r})\n"
        "print('matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert (tmp_path / "a.png").exists()
