"""How fast nine backplanes are: ``python benchmarks/backplanes.py``.

Ratios measured in one run, one thread, one 1024 x 1024 frame that Ceres fills:

* against a float32 pass over as many planes that does the same number of square roots and arctangents and
  nothing else: once with the same polynomial arctangent, once with the mathematical library's; into new
  arrays, as a caller pays it (then memory decides), and into arrays that are already there;
* against the same nine planes in numpy;
* against spiceypy's ``surfpt``, ``surfnm`` and three ``vsep`` for each pixel (five of the nine planes).

Medians of repeated calls taken in turns, in the thread's own processor time, which other programs disturb
least; allocation of the arrays is included except where said. Backplanes and mesh are those of
`ViewingGeometry`; numpy is `ViewingGeometry.ground` (its scale matrix included).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from numba import njit

from brightspot._kernels import geometry as kernels
from brightspot._kernels.geometry import FUSED, _atan2_deg
from brightspot.camera import Camera
from brightspot.geometry import ViewingGeometry

SHAPE = (1024, 1024)
PLANES = 9


@njit(nogil=True, error_model="numpy", fastmath=FUSED)
def same_work_polynomial(planes):
    """7 square roots and 7 polynomial arctangents a pixel, 9 planes written, float32: what the kernel has."""
    rows, columns = planes.shape[1], planes.shape[2]
    for j in range(rows):
        y = np.float32(j + 1)
        for i in range(columns):
            x = np.float32(i + 1)
            r = np.sqrt(x * x + y * y)
            planes[7, j, i] = r
            planes[8, j, i] = r + x
        for k in range(7):
            z = np.float32(k + 1)
            for i in range(columns):
                x = np.float32(i + 1)
                root = np.sqrt(x * z + y) if k < 6 else x
                planes[k, j, i] = _atan2_deg(root, x + z)


@njit(nogil=True, error_model="numpy", fastmath=FUSED)
def same_work_library(planes):
    """The same with the library's arctangent."""
    degrees = np.float32(180 / np.pi)
    rows, columns = planes.shape[1], planes.shape[2]
    for j in range(rows):
        y = np.float32(j + 1)
        for i in range(columns):
            x = np.float32(i + 1)
            r = np.sqrt(x * x + y * y)
            planes[7, j, i] = r
            planes[8, j, i] = r + x
        for k in range(7):
            z = np.float32(k + 1)
            for i in range(columns):
                x = np.float32(i + 1)
                root = np.sqrt(x * z + y) if k < 6 else x
                planes[k, j, i] = np.arctan2(root, x + z) * degrees


def seconds(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median time of each call, taken in turns so that a busy machine slows all of them alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for n in range(repeats + 1):
        for name, call in calls.items():
            start = time.thread_time()
            call()
            if n:
                times[name].append(time.thread_time() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def geometry() -> ViewingGeometry:
    """A frame that Ceres fills: 4,000 km from the centre, lit from the side."""
    axes = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])
    sun = 4.3e8 * np.array([0.6, -0.7, 0.3])
    camera = Camera.framing_camera("FC2", 1)
    return ViewingGeometry(camera, SHAPE, np.array([4000.0, 0.0, 0.0]), sun, axes)


def with_spice(g: ViewingGeometry, count: int) -> float:
    """Seconds a pixel with the SPICE toolkit, its Python calls included."""
    import spiceypy as spice

    x, y = np.random.default_rng(0).uniform(0, 1023, (2, count))
    rays = g.camera.pixel_to_ray(x, y) @ g.camera_from_body
    start = time.thread_time()
    for ray in rays:
        point = spice.surfpt(g.spacecraft_km, ray, *g.radii_km)
        normal = spice.surfnm(*g.radii_km, point)
        to_sun, to_camera = g.sun_km - point, g.spacecraft_km - point
        spice.reclat(point)
        spice.vsep(normal, to_sun), spice.vsep(normal, to_camera), spice.vsep(to_sun, to_camera)
    return (time.thread_time() - start) / count


def main() -> None:
    """Measure and print."""
    g = geometry()
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float64)
    ready = np.empty((PLANES, *SHAPE), np.float32)
    packed = g._packed()
    fast = seconds(
        {
            "backplanes": g.backplanes,
            "polynomial": lambda: same_work_polynomial(np.empty_like(ready)),
            "backplanes there": lambda: kernels.backplanes(*packed, ready),
            "polynomial there": lambda: same_work_polynomial(ready),
            "mesh": lambda: g.disk_mesh(8),
        },
        51,
    )
    slow = seconds(
        {
            "library": lambda: same_work_library(np.empty_like(ready)),
            "numpy": lambda: g.ground(x, y),
        },
        5,
    )
    compiled = fast["backplanes"]
    spice_s = with_spice(g, 3000)
    there = fast["backplanes there"]
    print(f"all backplanes, compiled             {1e3 * compiled:9.2f} ms")
    print(f"... into arrays already there        {1e3 * there:9.2f} ms")
    for name, value, ours in (
        ("polynomial", fast["polynomial"], compiled),
        ("polynomial, there", fast["polynomial there"], there),
        ("library", slow["library"], compiled),
    ):
        ratio = f"backplanes take {ours / value:.2f} times that"
        print(f"float32 pass, {name:23s}{1e3 * value:9.2f} ms   {ratio}")
    numpy_s = slow["numpy"]
    print(f"numpy                                {1e3 * numpy_s:9.2f} ms   {numpy_s / compiled:.0f} x slower")
    ratio = f"{spice_s * x.size / compiled:.0f} times slower"
    print(f"spiceypy, one pixel                  {1e6 * spice_s:9.2f} us   {ratio}")
    print(f"lighting mesh of 8 px                {1e3 * fast['mesh']:9.2f} ms")


if __name__ == "__main__":
    main()
