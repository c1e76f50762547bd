"""The outline of each detection: what `diameter_halfmax_km` measures, as polygons.

In: a detection. Out: closed rings in frame pixels and, where the geometry is known, in latitude and
longitude; and the pixels of its footprint as runs. `pack` turns an outline into a few hundred bytes.

The rings follow the half maximum of the same surface that the catalog's sizes are counted on (bicubic
between the pixels of small spots, the smoothed image of wide ones), within the same pixels. So the area
inside them is that of `diameter_halfmax`, but for wide spots, where the 2 px by which smoothing has made them
smaller are given back; and a deposit torn into pieces has several rings. The camera's own blur stays in.
"""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from brightspot.errors import BrightspotError

if TYPE_CHECKING:
    from brightspot.finder import Detection
    from brightspot.pyramid import Part

GRID = 4
"""Samples a side of a pixel where a small spot's surface is traced, as many as where it is measured."""

SMOOTHING = 2.0 / 3.0
"""Variance per axis in px^2 that wide spots are blurred by before they are traced: 1/2 by the 3 x 3 binomial
kernel, 1/6 by straight lines between the pixels."""

SMALL_RING = 12.0
"""Pixels in a ring below which it is noise, or too curved for `SMOOTHING` to be undone."""

PIXEL_STEPS, DEGREE_STEPS = 512, 1_000_000
"""Steps per pixel and per degree that a packed outline keeps: 0.002 px, 8 mm on the ground."""

_HEAD = struct.Struct("<4sBiIIIB")
_MAGIC, _VERSION = b"BSol", 1
_UNKNOWN = np.iinfo(np.int32).min


class Outline(NamedTuple):
    """Half-maximum outline of one detection.

    Attributes
    ----------
    detection_id : int
        As in the catalog.
    x, y : numpy.ndarray
        (n,) float64 frame pixels (pixel centres whole numbers). Rings are closed (first vertex = last) and
        parted by one NaN, so ``ax.plot(outline.x, outline.y)`` draws them. Outer rings have a positive
        shoelace sum in (x, y); those of holes are negative and come after the ring they lie in.
    latitude_deg, longitude_deg : numpy.ndarray or None
        (n,) planetocentric latitude and east longitude (0 to 360) of the same vertices; NaN where a vertex
        lies beyond the limb; None where the frame has no latitude and longitude.
    runs : numpy.ndarray
        (m, 3) int32: row, first and last column of each run of pixels that `Detection.segmentation` gives
        to it.
    """

    detection_id: int
    x: np.ndarray
    y: np.ndarray
    latitude_deg: np.ndarray | None
    longitude_deg: np.ndarray | None
    runs: np.ndarray

    def rings(self) -> list[slice]:
        """Where each ring lies in the arrays."""
        breaks = np.flatnonzero(np.isnan(self.x))
        starts, stops = [0, *(breaks + 1)], [*breaks, len(self.x)]
        return [slice(int(a), int(b)) for a, b in zip(starts, stops, strict=True) if b > a]

    def polygons(self) -> list[list[slice]]:
        """Each piece of the place: its outer ring, then its holes."""
        pieces: list[list[slice]] = []
        for ring in self.rings():
            if not pieces or ring_area(self.x[ring], self.y[ring]) > 0.0:
                pieces.append([ring])
            else:
                pieces[-1].append(ring)
        return pieces

    @property
    def area(self) -> float:
        """Pixels inside the rings."""
        return sum(ring_area(self.x[ring], self.y[ring]) for ring in self.rings())


def ring_area(x: np.ndarray, y: np.ndarray) -> float:
    """Signed area of a closed ring: half of its shoelace sum (relative to its first vertex, for accuracy)."""
    x, y = x - x[0], y - y[0]
    return 0.5 * float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))


def trace_outlines(detection: Detection) -> list[Outline]:
    """Outlines of all detections of a frame.

    Parameters
    ----------
    detection : Detection
        As `SpotFinder` gives it. One put together by hand, without ``parts``, gets the edges of its
        footprints' pixels.

    Returns
    -------
    list of Outline
        One per row of the catalog, in its order.
    """
    runs = footprint_runs(detection.segmentation)
    nothing = np.zeros((0, 3), np.int32)
    rings: dict[int, list[np.ndarray]] = {}
    for part in detection.parts:
        for k, number in enumerate(part.rows["detection_id"]):
            rings[int(number)] = _half_maximum(part, k)
    outlines = []
    for number in detection.catalog["detection_id"]:
        own = runs.get(int(number), nothing)
        ring = rings[int(number)] if int(number) in rings else _pixel_edges(own)
        outlines.append(Outline(int(number), *_strung(ring), None, None, own))
    geometry = detection.frame.geometry
    if geometry is None or not geometry.longitude_known or not outlines:
        return outlines
    ends = np.cumsum([len(outline.x) for outline in outlines])[:-1]
    ground = geometry.ground(
        np.concatenate([outline.x for outline in outlines]), np.concatenate([o.y for o in outlines])
    )
    places = zip(np.split(ground.latitude_deg, ends), np.split(ground.longitude_deg, ends), strict=True)
    return [
        outline._replace(latitude_deg=latitude, longitude_deg=longitude)
        for outline, (latitude, longitude) in zip(outlines, places, strict=True)
    ]


def footprint_runs(segmentation: np.ndarray) -> dict[int, np.ndarray]:
    """Runs of pixels of every footprint: (m, 3) int32 of row, first and last column, by its number."""
    edge = np.zeros((segmentation.shape[0], 1), segmentation.dtype)
    changes = np.diff(segmentation, axis=1, prepend=edge) != 0
    row, first = np.nonzero(changes & (segmentation != 0))
    stops = np.diff(segmentation, axis=1, append=edge) != 0
    last = np.nonzero(stops & (segmentation != 0))[1]
    table = np.stack([row, first, last], axis=1).astype(np.int32)
    number = segmentation[row, first]
    order = np.argsort(number, kind="stable")
    names, starts = np.unique(number[order], return_index=True)
    pieces = np.split(table[order], starts[1:]) if names.size else []
    return {int(name): own for name, own in zip(names, pieces, strict=True)}


def fill_runs(segmentation: np.ndarray, number: int, runs: np.ndarray) -> None:
    """Write a footprint's number into its pixels, in place: the inverse of `footprint_runs`."""
    for row, first, last in runs:
        segmentation[row, first : last + 1] = number


def _half_maximum(part: Part, k: int) -> list[np.ndarray]:
    """Rings (n, 2) of x, y at the half maximum of one row of a part, in frame pixels."""
    from scipy.ndimage import binary_dilation

    from brightspot._kernels.measure import SMALL

    o = int(part.rows["_object"][k])
    found, background = part.found, part.background
    small = found.n_pixels[o] < SMALL
    image = background.ratio if small else background.smooth
    first_y, first_x, last_y, last_x = found.box[o]
    y0, x0 = max(first_y - 1, 0), max(first_x - 1, 0)
    origin = np.array([x0, y0])
    window = np.s_[y0 : last_y + 2, x0 : last_x + 2]
    labels = found.labels[window]
    # The pixels that are counted: the footprint and its neighbours, unless they are another's.
    counted = binary_dilation(labels == o + 1) & ((labels == 0) | (labels == o + 1))
    if small:
        wide = _window(image, y0 - 2, x0 - 2, labels.shape[0] + 4, labels.shape[1] + 4)
        values = _bicubic(wide)
    else:
        values = image[window]
    sign = -1.0 if part.rows["polarity"][k] == "dark" else 1.0
    height = sign * (values.astype(np.float64) - part.rows["_half_maximum"][k])
    rings = _rings(height, counted, GRID) if small else _unsmoothed(height, counted)
    return [
        np.asarray(part.corner) + part.factor * (ring + origin) + 0.5 * (part.factor - 1) for ring in rings
    ]


def _unsmoothed(height: np.ndarray, counted: np.ndarray) -> list[np.ndarray]:
    """Rings of a wide spot on the smoothed image, as wide as they were before it was smoothed.

    Blur draws the half maximum of a curved edge inward, and that of any closed ring by the same area,
    pi sigma^2, however wide it is. So the level is lowered until the area is that much larger.
    """
    rings, step = _rings(height, counted, 1), 0.2 * float(height[counted].max())
    areas = [ring_area(*ring.T) for ring in rings]
    wide = sum(np.sign(area) for area in areas if abs(area) > SMALL_RING)
    if wide <= 0:
        return rings
    gain = sum(ring_area(*ring.T) for ring in _rings(height + step, counted, 1)) - sum(areas)
    share = min(np.pi * SMOOTHING * wide / max(gain, 1e-9), 1.0)
    return _rings(height + share * step, counted, 1)


def _pixel_edges(runs: np.ndarray) -> list[np.ndarray]:
    """Rings around the pixels of a footprint."""
    if len(runs) == 0:
        return []
    y0, x0 = runs[:, 0].min(), runs[:, 1].min()
    mask = np.zeros((runs[:, 0].max() - y0 + 1, runs[:, 2].max() - x0 + 1), np.int8)
    fill_runs(mask, 1, runs - (y0, x0, x0))
    level = np.ones(np.multiply(mask.shape, GRID))
    return [ring + np.array([x0, y0]) for ring in _rings(level, mask > 0, GRID)]


def _window(image: np.ndarray, y0: int, x0: int, rows: int, columns: int) -> np.ndarray:
    """A part of an image that may reach beyond its edges, which are held."""
    y = np.clip(np.arange(y0, y0 + rows), 0, image.shape[0] - 1)
    x = np.clip(np.arange(x0, x0 + columns), 0, image.shape[1] - 1)
    return image[np.ix_(y, x)]


def _bicubic(wide: np.ndarray) -> np.ndarray:
    """Catmull-Rom values at GRID x GRID points of each pixel; ``wide`` reaches 2 pixels further each way."""
    return _interleaved(_interleaved(wide.astype(np.float64)).T).T


def _interleaved(wide: np.ndarray) -> np.ndarray:
    rows = wide.shape[0] - 4
    out = np.empty((rows * GRID, wide.shape[1]))
    for k in range(GRID):
        t = (k + 0.5) / GRID - 0.5
        start = 1 if t >= 0 else 0
        t %= 1.0
        a, b, c, d = (wide[start + i : start + i + rows] for i in range(4))
        out[k::GRID] = b + 0.5 * t * (
            c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a))
        )
    return out


def _rings(height: np.ndarray, counted: np.ndarray, grid: int) -> list[np.ndarray]:
    """Rings (n, 2) of x, y around what is above 0, in pixels from the first of ``counted``.

    Where the counted pixels end on high ground, the ring runs along their edges: a sample beyond gets
    minus the height of its neighbours within, so that the crossing lies half-way.
    """
    from contourpy import FillType, contour_generator
    from scipy.ndimage import maximum_filter

    inside = np.pad(np.kron(counted, np.ones((grid, grid), bool)), 1)
    height = np.pad(height, 1)
    beyond = -np.maximum(maximum_filter(np.where(inside, height, 0.0), 3), 1e-6)
    field = np.where(inside, height, beyond)
    top = 1.0 + float(field.max())
    filled: Any = contour_generator(z=field, fill_type=FillType.OuterOffset).filled(0.0, top)
    rings = []
    for polygon, parts in zip(*filled, strict=True):
        for a, b in pairwise(parts):
            ring = (polygon[a:b] - 0.5) / grid - 0.5
            step = np.any(np.diff(ring, axis=0) != 0.0, axis=1)
            ring = ring[np.concatenate([[True], step])]
            if len(ring) >= 4:
                rings.append(ring)
    return rings


def _strung(rings: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rings one after the other, parted by NaN."""
    if not rings:
        return np.empty(0), np.empty(0)
    gap = np.full((1, 2), np.nan)
    strung = np.concatenate([piece for ring in rings for piece in (ring, gap)][:-1])
    return strung[:, 0].copy(), strung[:, 1].copy()


def pack(outline: Outline) -> bytes:
    """An outline in a few hundred bytes, for a journal; no pickle.

    Coordinates are kept to 1/512 px and 1e-6 degree: differences of whole numbers, compressed.
    """
    has_place = outline.latitude_deg is not None and outline.longitude_deg is not None
    columns = [_whole(outline.x, PIXEL_STEPS), _whole(outline.y, PIXEL_STEPS)]
    if outline.latitude_deg is not None and outline.longitude_deg is not None:
        columns += [_whole(outline.latitude_deg, DEGREE_STEPS), _whole(outline.longitude_deg, DEGREE_STEPS)]
    runs = outline.runs.astype("<i4")
    whole = np.concatenate([*map(_differences, columns), *map(_differences, runs.T)])
    # Bytes of equal weight side by side: the high ones are nearly all zero.
    body = zlib.compress(whole.view(np.uint8).reshape(-1, 4).T.tobytes(), 6)
    head = (_MAGIC, _VERSION, outline.detection_id, len(outline.x), len(runs), len(body), has_place)
    return _HEAD.pack(*head) + body


def unpack(data: bytes) -> Outline:
    """The outline that `pack` made these bytes of.

    Raises
    ------
    BrightspotError
        If they are not a packed outline, or damaged.
    """
    try:
        magic, version, number, n, n_runs, size, has_place = _HEAD.unpack_from(data)
        if magic != _MAGIC or version != _VERSION or len(data) != _HEAD.size + size:
            raise ValueError
        lengths = [n] * (4 if has_place else 2) + [n_runs] * 3
        decoder = zlib.decompressobj()
        body = decoder.decompress(data[_HEAD.size :], 4 * sum(lengths) + 1)
        whole = np.frombuffer(body, np.uint8).reshape(4, sum(lengths)).T.copy().view("<i4")[:, 0]
    except (struct.error, zlib.error, ValueError) as error:
        raise BrightspotError("a stored outline is damaged, or of another version of brightspot") from error
    columns = [np.cumsum(part, dtype=np.int32) for part in np.split(whole, np.cumsum(lengths)[:-1])]
    x, y, *place = (
        _fraction(column, PIXEL_STEPS if k < 2 else DEGREE_STEPS) for k, column in enumerate(columns[:-3])
    )
    latitude, longitude = place if has_place else (None, None)
    return Outline(number, x, y, latitude, longitude, np.stack(columns[-3:], axis=1))


def _whole(values: np.ndarray, steps: int) -> np.ndarray:
    """Whole numbers of steps; NaN becomes the least one."""
    known = np.isfinite(values)
    return np.where(known, np.round(np.where(known, values, 0.0) * steps), _UNKNOWN).astype("<i4")


def _fraction(whole: np.ndarray, steps: int) -> np.ndarray:
    return np.where(whole == _UNKNOWN, np.nan, whole / steps)


def _differences(values: np.ndarray) -> np.ndarray:
    """First value and steps from each to the next; they wrap around 32 bits and so does their sum."""
    return np.diff(values.astype("<i4"), prepend=np.int32(0)).astype("<i4")
