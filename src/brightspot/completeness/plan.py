"""Which spots are put where: sizes, contrasts and lighting in equal shares, on free ground, far apart."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from brightspot.completeness.injection import Spot
from brightspot.errors import UsageError
from brightspot.finder import Detection
from brightspot.footprint import Place, find_place

INCIDENCE_EDGES_DEG = (0.0, 30.0, 50.0, 65.0, 75.0, 90.0)
"""Bins of incidence in which equally many spots are asked for."""

LEAST_GAP = 32.0
"""Pixels between the rims of two spots in one picture: more than a third of the levelling window (88 px)."""

MARGIN = 4.0
"""Pixels between a spot's rim and the next detection, the limb, or where the search ends."""

GREATEST_SHADOW = 0.3
"""Share of a spot that may lie in shadow."""

GREATEST_SHARE = 0.01
"""Share of the searched ground that the spots of one picture may cover."""

POOL = 20_000
"""Places drawn in a frame, from which those of the spots are taken. No frame gets more spots than that:
they would lie where others did, and be counted as if they were independent."""

TRIES = 60
"""Places tried for one spot in one picture."""


@dataclass(frozen=True)
class Plan:
    """What is put into each frame.

    Attributes
    ----------
    diameters : tuple of float
        Diameters in pixels, as seen along the ground's normal.
    diameters_km : tuple of float
        Diameters in km; if given, they stand in for ``diameters``.
    contrasts : tuple of float
        Albedo over that of the surroundings; below 1 dark, 1 for a test without spots.
    n_spots : int
        Spots per frame, shared out evenly over diameters, contrasts and incidences; at most `POOL`.
    at_once : int
        Most spots in one picture.
    seed : int
        Decides places and noise; the same seed gives the same result.
    """

    diameters: tuple[float, ...] = (2.0, 3.0, 4.5, 7.0, 11.0, 18.0, 30.0)
    diameters_km: tuple[float, ...] = ()
    contrasts: tuple[float, ...] = (0.4, 0.6, 0.75, 1.2, 1.4, 1.7, 2.4, 4.0)
    n_spots: int = 560
    at_once: int = 12
    seed: int = 1

    def __post_init__(self) -> None:
        for name, sizes in (("diameters", self.diameters), ("diameters_km", self.diameters_km)):
            if not all(np.isfinite(size) and size > 0.0 for size in sizes):
                raise UsageError(f"{name}: each must be above 0")
        if not self.diameters and not self.diameters_km:
            raise UsageError("diameters is empty: give one or more, in pixels or in km")
        if not self.contrasts or not all(np.isfinite(c) and c >= 0.0 for c in self.contrasts):
            raise UsageError("contrasts: give one or more, each 0 or more; 1.5 is half as bright again")
        for name in ("n_spots", "at_once", "seed"):
            if not isinstance(getattr(self, name), int | np.integer):
                raise UsageError(f"{name} {getattr(self, name)}: give a whole number")
        if self.n_spots < 1 or self.at_once < 1:
            raise UsageError("n_spots and at_once must be 1 or more")
        if self.n_spots > POOL:
            raise UsageError(f"n_spots {self.n_spots}: a frame has places for {POOL}, give no more")
        if self.seed < 0:
            raise UsageError(f"seed {self.seed}: give 0 or a positive whole number")

    @property
    def in_km(self) -> bool:
        """Whether the diameters are kilometres."""
        return bool(self.diameters_km)

    @property
    def sizes(self) -> tuple[float, ...]:
        """The diameters, in km or pixels."""
        return self.diameters_km or self.diameters

    def generator(self, frame_name: str, purpose: int) -> np.random.Generator:
        """Random numbers of one frame, the same whichever frames go with it."""
        return np.random.default_rng(
            [self.seed, zlib.crc32(frame_name.encode("utf-8", "surrogateescape")), purpose]
        )


class Cell(NamedTuple):
    """One wanted spot: planned diameter (km or px), contrast, bin of incidence (-1: not known)."""

    size: float
    contrast: float
    incidence_bin: int


class Placed(NamedTuple):
    """A spot in its place.

    ``row`` is the place's number in the pool, ``shadowed`` the share of the disc without light.
    """

    cell: Cell
    spot: Spot
    row: int
    shadowed: float


class Ground(NamedTuple):
    """Where spots may lie in a frame.

    Attributes
    ----------
    clearance : numpy.ndarray
        (rows, columns) float32: pixels to the nearest place that is not free.
    x, y : numpy.ndarray
        (n,) the pool of free places, in random order.
    place : Place
        Lighting and scale there.
    incidence_bin : numpy.ndarray
        (n,) bin of `INCIDENCE_EDGES_DEG`; -1 where the incidence is not known.
    searched : numpy.ndarray
        (rows, columns) bool: where the finder looks.
    """

    clearance: np.ndarray
    x: np.ndarray
    y: np.ndarray
    place: Place
    incidence_bin: np.ndarray
    searched: np.ndarray


def find_ground(detection: Detection, rng: np.random.Generator) -> Ground | None:
    """Free ground of a frame: searched, unmasked, not saturated, clear of every detection; None if none."""
    from scipy.ndimage import distance_transform_edt

    frame, background = detection.frame, detection.background
    searched = searched_pixels(detection)
    free = searched & ~frame.mask & ~frame.saturated & (detection.segmentation == 0)
    rows = detection.catalog
    for x, y, width in zip(rows["x_centroid"], rows["y_centroid"], rows["diameter_halfmax"], strict=True):
        _block(free, float(x), float(y), 0.75 * float(width))
    # The frame's edge bounds the ground too.
    clearance = distance_transform_edt(np.pad(free, 1))[1:-1, 1:-1].astype(np.float32)
    lit = (clearance > MARGIN) & background.usable
    where = np.flatnonzero(lit)
    if len(where) == 0:
        return None
    where = rng.permutation(where) if len(where) <= POOL else rng.choice(where, POOL, replace=False)
    y, x = np.divmod(where, frame.shape[1])
    # Anywhere within the pixel: a grid of centres would flatter small spots.
    xs, ys = x + rng.uniform(-0.5, 0.5, len(x)), y + rng.uniform(-0.5, 0.5, len(y))
    place = find_place(frame, xs, ys)
    known = np.isfinite(place.incidence_deg)
    bins = np.digitize(np.where(known, place.incidence_deg, 0.0), INCIDENCE_EDGES_DEG[1:-1])
    return Ground(clearance, xs, ys, place, np.where(known, bins, -1), searched)


def searched_pixels(detection: Detection) -> np.ndarray:
    """(rows, columns) bool: where the finder looked at full resolution."""
    _, candidates = detection.finder.candidates(detection.frame)
    background = detection.background
    mesh = candidates[0].searched
    rows, columns = detection.frame.shape
    y, x = np.arange(rows), np.arange(columns)
    out = background.at(mesh, x[None, :], y[:, None])
    # Pixels beyond the last whole block are not levelled.
    last_y, last_x = (start + background.step * n for start, n in zip(
        (background.y0, background.x0), mesh.shape, strict=True))  # fmt: skip
    out[: background.y0], out[last_y:] = False, False
    out[:, : background.x0], out[:, last_x:] = False, False
    return out


def _block(free: np.ndarray, x: float, y: float, radius: float) -> None:
    """Mark a disc as taken, in place."""
    top, left = max(int(y - radius), 0), max(int(x - radius), 0)
    window = free[top : int(y + radius) + 2, left : int(x + radius) + 2]
    dy = np.arange(top, top + window.shape[0])[:, None] - y
    dx = np.arange(left, left + window.shape[1])[None, :] - x
    window &= dx**2 + dy**2 > radius**2


def realisations(detection: Detection, plan: Plan, ground: Ground) -> Iterator[list[Placed]]:
    """The frame's spots, one list per picture; each list's spots lie far from each other.

    Parameters
    ----------
    detection : Detection
        Of the frame as it is.
    plan : Plan
        What is wanted.
    ground : Ground
        From `find_ground`.

    Yields
    ------
    list of Placed
        At most ``plan.at_once``. Spots for which no room is found are left out.
    """
    rng = plan.generator(detection.frame.name, 1)
    queue = _cells(plan, ground, rng)
    room = GREATEST_SHARE * float(ground.searched.sum())
    failures: dict[int, int] = {}
    while queue:
        placed: list[Placed] = []
        later = []
        covered = 0.0
        for number, cell in queue:
            if len(placed) == plan.at_once or (placed and covered > room):
                later.append((number, cell))
                continue
            found = _find_room(detection, ground, cell, placed, rng, in_km=plan.in_km)
            if found is not None:
                placed.append(found)
                covered += np.pi / 4.0 * found.spot.seen_diameter**2
                continue
            failures[number] = failures.get(number, 0) + 1
            if failures[number] < 3:
                later.append((number, cell))
        queue = later
        if placed:
            yield placed


def _cells(plan: Plan, ground: Ground, rng: np.random.Generator) -> list[tuple[int, Cell]]:
    """The wanted spots in random order, each combination equally often to within one."""
    bins = [int(b) for b in np.unique(ground.incidence_bin)]
    cells = [Cell(*row) for row in product(plan.sizes, plan.contrasts, bins)]
    wanted: list[Cell] = []
    while len(wanted) < plan.n_spots:
        wanted += [cells[k] for k in rng.permutation(len(cells))][: plan.n_spots - len(wanted)]
    return list(enumerate(wanted))


def _find_room(
    detection: Detection,
    ground: Ground,
    cell: Cell,
    placed: list[Placed],
    rng: np.random.Generator,
    *,
    in_km: bool,
) -> Placed | None:
    """A place for one spot beside those already placed; None if none of the places tried has room."""
    pool = np.flatnonzero(ground.incidence_bin == cell.incidence_bin)
    others = np.array([(p.spot.x, p.spot.y, p.spot.reach) for p in placed]).reshape(-1, 3)
    for row in rng.choice(pool, min(TRIES, len(pool)), replace=False):
        spot = spot_at(ground, int(row), cell, in_km=in_km)
        if spot is None or ground.clearance[round(spot.y), round(spot.x)] < spot.reach + MARGIN:
            continue
        gap = np.hypot(others[:, 0] - spot.x, others[:, 1] - spot.y) - others[:, 2] - spot.reach
        if len(gap) and gap.min() < max(LEAST_GAP, spot.reach):
            continue
        shadowed = _shadowed(detection, spot)
        if shadowed <= GREATEST_SHADOW:
            return Placed(cell, spot, int(row), shadowed)
    return None


def spot_at(ground: Ground, row: int, cell: Cell, *, in_km: bool) -> Spot | None:
    """The cell's spot at a place of the pool; None where its size cannot be told there."""
    pixel_km = float(ground.place.pixel_scale_km[row])
    matrix = np.eye(2)
    if np.isfinite(pixel_km):
        matrix = ground.place.scale_km[row] / pixel_km
    diameter = cell.size / pixel_km if in_km else cell.size
    if not np.isfinite(diameter) or not np.isfinite(matrix).all():
        return None
    return Spot(float(ground.x[row]), float(ground.y[row]), diameter, cell.contrast, matrix)


def _shadowed(detection: Detection, spot: Spot) -> float:
    """Share of a disc's pixels that lie in shadow."""
    usable = detection.background.usable
    half = int(np.ceil(spot.reach))
    y = np.arange(max(round(spot.y) - half, 0), min(round(spot.y) + half + 1, usable.shape[0]))
    x = np.arange(max(round(spot.x) - half, 0), min(round(spot.x) + half + 1, usable.shape[1]))
    step = np.stack(np.broadcast_arrays(x[None, :] - spot.x, y[:, None] - spot.y), axis=-1)
    inside = np.linalg.norm(step @ spot.ground.T, axis=-1) <= max(0.5 * spot.diameter, 0.7)
    if not inside.any():
        return 0.0
    return float(1.0 - usable[np.ix_(y, x)][inside].mean())
