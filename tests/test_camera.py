"""Camera: the instrument kernel's equations, there and back."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brightspot.camera import CLEAR_DELAY_S, Camera, mid_exposure
from brightspot.errors import GeometryError

SHARED = Path(__file__).parents[2] / "shared"
KERNEL = SHARED / "real/kernels/dawn_fc_v10.ti"
needs_kernel = pytest.mark.skipif(not KERNEL.exists(), reason="instrument kernel dawn_fc_v10.ti not at hand")


@given(
    st.floats(-0.5, 1023.5),
    st.floats(-0.5, 1023.5),
    st.sampled_from(["FC1", "FC2"]),
    st.integers(1, 8),
)
@settings(max_examples=200, deadline=None)
def test_pixel_to_ray_and_back_is_exact_to_a_millionth_of_a_pixel(x, y, name, filter_number):
    camera = Camera.framing_camera(name, filter_number)
    ray = camera.pixel_to_ray(x, y)
    assert np.linalg.norm(ray) == pytest.approx(1.0, abs=1e-14)
    back = camera.ray_to_pixel(ray * 3.7)
    assert np.allclose(back, (x, y), rtol=0, atol=1e-6)


def test_arrays_keep_their_shape():
    camera = Camera.framing_camera("FC2", 1)
    y, x = np.mgrid[0:4, 0:6]
    rays = camera.pixel_to_ray(x, y)
    assert rays.shape == (4, 6, 3)
    assert np.allclose(camera.ray_to_pixel(rays), (x, y), atol=1e-9)


def test_boresight_and_axes():
    camera = Camera.framing_camera("FC2", 1)
    assert np.allclose(camera.pixel_to_ray(511.5, 511.5), [0, 0, 1])
    right, down = camera.pixel_to_ray(512.5, 511.5), camera.pixel_to_ray(511.5, 512.5)
    assert right[0] > 0 and right[1] == 0 and down[1] > 0 and down[0] == 0
    assert right[0] == pytest.approx(camera.ifov_rad[0], rel=1e-6)
    assert down[1] == pytest.approx(camera.ifov_rad[1], rel=1e-6)


def test_distortion_in_the_corner_is_that_of_the_kernel():
    # E1 = 8.4e-6 at r = 10.1 mm: 0.63 pixel outward along the diagonal.
    camera = Camera.framing_camera("FC2", 1)
    plain = Camera("FC2", 1, camera.focal_length_mm, 0.0)
    ray = plain.pixel_to_ray(0.0, 0.0)
    x, y = camera.ray_to_pixel(ray)
    assert np.hypot(x, y) == pytest.approx(0.62, abs=0.02)
    assert x < 0 and y < 0


def test_behind_the_camera_is_nowhere():
    x, y = Camera.framing_camera("FC2", 1).ray_to_pixel(np.array([0.0, 0.1, -1.0]))
    assert np.isnan(x) and np.isnan(y)


@pytest.mark.parametrize(("name", "number"), [("FC3", 1), ("FC2", 0), ("FC2", 9)])
def test_unknown_camera_or_filter(name, number):
    with pytest.raises(GeometryError, match="unknown"):
        Camera.framing_camera(name, number)


@needs_kernel
@pytest.mark.parametrize("name", ["FC1", "FC2"])
@pytest.mark.parametrize("number", range(1, 9))
def test_constants_are_the_instrument_kernels(name, number):
    text = KERNEL.read_text()
    code = f"-2031{name[-1]}{number}"

    def value(key):
        found = re.search(rf"INS{code}_{key}\s*=\s*\(([^)]*)\)", text)
        return [float(v) for v in found[1].split(",")]

    camera = Camera.framing_camera(name, number)
    assert value("FOCAL_LENGTH") == [camera.focal_length_mm]
    assert value("RAD_DIST_COEFF") == [pytest.approx(camera.distortion_per_mm2)]
    assert value("CCD_CENTER") == list(camera.center_xy)
    assert value("PIXEL_SIZE") == [pytest.approx(1e3 * p) for p in camera.pitch_mm]
    # The kernel's IFOV is the whole field over 1024 pixels: 0.08 % less than a pixel at the centre.
    mean = [2 * np.arctan(512 * ifov) / 1024 for ifov in camera.ifov_rad]
    assert value("IFOV") == [pytest.approx(v, abs=5e-9) for v in mean]


def test_middle_of_the_exposure():
    start = datetime(2015, 6, 19, 16, 15, 46, 345000)
    assert mid_exposure(start, 1.8) - start == timedelta(seconds=CLEAR_DELAY_S + 0.9)
    assert mid_exposure(start, None) - start == timedelta(seconds=CLEAR_DELAY_S)
