"""The label's pointing against the picture: how far the view must be moved to lie on limb and light."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from brightspot.geometry.lit import (
    BLOCK_SCATTER,
    HORIZON_LIFT,
    SHARED_BLOCKS,
    apparent_radius,
    correlation,
    picture_blocks,
    predicted_blocks,
)
from brightspot.geometry.sources import turn
from brightspot.geometry.view import ViewingGeometry

NEAR_PX = 12.0
"""How far from its predicted place the limb is looked for before the whole frame is searched."""

SEARCH_SHARE = 0.45
"""How far the lit shape is looked for, as a share of the frame's longer side."""

SMALLEST_RADIUS_PX = 16.0
"""Bodies with smaller disks are not used: their limb has too few pixels."""

MINIMUM_LIMB_POINTS = 24

LIMB_POINTS = 360

LIT_LIMB_DEG = 75.0
"""Greatest incidence at which limb counts: beyond, the terminator may be taken for it."""

AGREEING_SHARE = 0.55
"""Share of the limb that should be in view and must agree with one shift."""

CLEAR_SCORE = 0.75
"""Correlation that the lit shape must reach for a shift beyond the limb's near search to be believed."""

GOOD_SCORE = 0.9
"""Correlation above which a view without limb is taken to lie about where it should."""

CLEAR_GAIN = 0.6
"""A place is clearly better than the predicted one if it leaves less than this share of the variance."""

LIMB_RELIEF, LIMB_RELIEF_DEG = 0.0045, 36.0
"""Scatter of the limb about the smooth figure, as a share of the radius (2.2 km), and the arc that shares it.
Set so that shifts measured on rendered frames with true pointing lie within their errors."""

EDGE_PX = 0.15
"""Pixels by which an edge may be off whatever its relief."""

CERTAIN, CERTAIN_LIGHT = 3.0, 2.0
"""Standard deviations from which a shift measured on the limb is believed, and one on light and shade that
makes them fit clearly better."""

WORST_ERROR = 0.25
"""Error, as a share of the radius, from which a shift is not worth telling."""

LIGHT_REACH = 0.1
"""Largest shift, as a share of the radius, that is taken from light and shade in one step."""


class PointingShift(NamedTuple):
    """How far the predicted view was moved to lie on the picture, and how sure that is.

    Attributes
    ----------
    dx_px, dy_px : float
        Shift applied to the view; 0 where nothing was moved.
    n_limb_points : int
        Limb points that agreed (0: no limb used).
    rms_px : float
        Their scatter about the refined limb, NaN without points.
    measured_px : tuple of float
        Shift measured, whether applied or not.
    error_px : tuple of float
        Standard deviations in the best and the worst fixed direction; infinite where nothing fixes it.
    direction : tuple of float
        Unit vector (x, y) of the best fixed direction.
    inlier_share : float
        Part of the limb expected in view that agrees; NaN where none is.
    score : float
        Correlation of the lit shape with the picture where the measurement put it; NaN where not needed.
    verdict : str
        ``"agrees"``, ``"moved"``, ``"moved across"`` (in the best direction only), ``"lost"`` (limb or
        terminator should be in view and is found nowhere), ``"unsure"`` (light and shade ask for a shift that
        makes them fit no better) or ``"nothing"`` (nothing in view to compare).
    """

    dx_px: float = 0.0
    dy_px: float = 0.0
    n_limb_points: int = 0
    rms_px: float = float("nan")
    measured_px: tuple[float, float] = (0.0, 0.0)
    error_px: tuple[float, float] = (float("inf"), float("inf"))
    direction: tuple[float, float] = (1.0, 0.0)
    inlier_share: float = float("nan")
    score: float = float("nan")
    verdict: str = "nothing"


class _Evidence(NamedTuple):
    """What limb and light say about a shift: normal matrix (2, 2), right side (2,), and of the limb alone the
    points that agree, their share and rms, and how many are expected.
    """

    matrix: np.ndarray
    right: np.ndarray
    points: int
    share: float
    rms: float
    expected: int


def refine_pointing(
    geometry: ViewingGeometry, image: np.ndarray, mask: np.ndarray | None = None
) -> tuple[ViewingGeometry, PointingShift]:
    """Turn the camera so that the predicted limb and light lie on the picture's.

    Parameters
    ----------
    geometry : ViewingGeometry
        Geometry as labelled.
    image : numpy.ndarray
        (rows, columns) float32.
    mask : numpy.ndarray or None
        (rows, columns) bool, True where a pixel says nothing.

    Returns
    -------
    tuple
        The geometry (the same object where nothing was moved) and the `PointingShift`.

    Notes
    -----
    First the lit limb is looked for within 12 pixels of its place. Where it is not there, the predicted lit
    shape is searched for in the frame, up to 0.45 of its side away, and the limb looked for again. Limb (a
    robust fit of edges along their normals) and, where that leaves a direction open, shading (least squares
    on block means, the level and two slopes of the disk function left open) then fix the shift together; the
    relief of both is in its errors. The view is moved only along directions in which the shift is three times
    its error (twice, where light and shade alone tell it and fit clearly better): a short arc, or a
    terminator, fixes one direction and leaves the other alone.
    """
    if apparent_radius(geometry) < SMALLEST_RADIUS_PX:
        return geometry, PointingShift()
    image = np.ascontiguousarray(image, np.float32)
    mask = ~np.isfinite(image) if mask is None else np.ascontiguousarray(mask, bool)
    seen = _Picture(image, mask, apparent_radius(geometry))
    evidence = _measure(geometry, seen, np.zeros(2), NEAR_PX)
    start, score = np.zeros(2), float("nan")
    if evidence.expected >= MINIMUM_LIMB_POINTS:
        here = evidence.share >= AGREEING_SHARE
    else:
        score = _score(geometry, seen)
        here = score >= GOOD_SCORE
    if not here:
        found = _search(geometry, seen)
        if found is None:
            return geometry, PointingShift()
        start, score, clear = found
        if not clear:
            verdict = "lost" if evidence.expected >= MINIMUM_LIMB_POINTS else "nothing"
            return geometry, PointingShift(inlier_share=evidence.share, score=score, verdict=verdict)
        evidence = _measure(geometry, seen, start, NEAR_PX + 1.5 * coarse_step(apparent_radius(geometry)))
    total, evidence = _settled(geometry, seen, start, evidence)
    if evidence.expected >= MINIMUM_LIMB_POINTS and evidence.share < AGREEING_SHARE:
        return geometry, PointingShift(
            measured_px=(float(total[0]), float(total[1])),
            inlier_share=evidence.share,
            score=score,
            verdict="lost",
        )
    if evidence.points > 0:
        return _believed(geometry, total, evidence, score)
    before, score = _score(geometry, seen), _score(moved_view(geometry, total), seen)
    view, shift = _believed(geometry, total, evidence, score)
    if 1.0 - max(score, 0.0) ** 2 > BETTER_LIGHT * (1.0 - max(before, 0.0) ** 2):
        unsure = "unsure" if shift.verdict.startswith("moved") else shift.verdict
        return geometry, shift._replace(dx_px=0.0, dy_px=0.0, verdict=unsure)
    return view, shift


def _settled(
    geometry: ViewingGeometry, seen: _Picture, total: np.ndarray, evidence: _Evidence
) -> tuple[np.ndarray, _Evidence]:
    """Move and measure again until what is left is small; the whole shift, and the evidence about its end."""
    longest = max(NEAR_PX, LIGHT_REACH * apparent_radius(geometry))
    for _ in range(4):
        move = np.linalg.pinv(evidence.matrix, rcond=1e-6, hermitian=True) @ evidence.right
        move *= min(1.0, longest / max(float(np.hypot(*move)), 1e-9))
        total = total + move
        # What is left is small beside its error: measuring again would tell the same.
        if move @ evidence.matrix @ move < 0.04:
            break
        evidence = _measure(geometry, seen, total, NEAR_PX)
    return total, evidence


def _believed(
    geometry: ViewingGeometry, total: np.ndarray, evidence: _Evidence, score: float
) -> tuple[ViewingGeometry, PointingShift]:
    """Move along each direction of the evidence in which the shift is certain."""
    values, vectors = np.linalg.eigh(evidence.matrix)
    errors = 1.0 / np.sqrt(np.maximum(values, 1e-12))
    if errors[1] > WORST_ERROR * apparent_radius(geometry):
        return geometry, PointingShift(score=score)
    along = vectors.T @ total
    sure = np.abs(along) > (CERTAIN if evidence.points else CERTAIN_LIGHT) * errors
    applied = vectors @ np.where(sure, along, 0.0)
    blind = errors[0] > 3.0 * errors[1] and not sure[0]
    shift = PointingShift(
        float(applied[0]),
        float(applied[1]),
        evidence.points,
        evidence.rms,
        (float(total[0]), float(total[1])),
        (float(errors[1]), float(errors[0])),
        (float(vectors[0, 1]), float(vectors[1, 1])),
        evidence.share,
        score,
        "agrees" if not sure.any() else "moved across" if blind else "moved",
    )
    return (moved_view(geometry, applied) if sure.any() else geometry), shift


def moved_view(geometry: ViewingGeometry, shift: np.ndarray) -> ViewingGeometry:
    """The camera turned so that what it sees in the middle of the body, or next to it, moves by ``shift``."""
    if not np.any(shift):
        return geometry
    rows, columns = geometry.shape
    middle = np.array(geometry.project_points(np.zeros(3)))
    if not np.all(np.isfinite(middle)):
        middle = np.array([0.5 * columns, 0.5 * rows])
    pivot = np.clip(middle, 0.0, [columns - 1.0, rows - 1.0]) + geometry.origin_xy
    old, new = (geometry.camera.pixel_to_ray(*point) for point in (pivot, pivot + shift))
    return replace(geometry, camera_from_body=turn(old, new) @ geometry.camera_from_body)


# --- what the picture says ------------------------------------------------------------------------------


class _Picture:
    """Pixels, the levels of their sky and ground, and the percentiles that leave out what is neither."""

    def __init__(self, image: np.ndarray, mask: np.ndarray, radius: float) -> None:
        self.image, self.mask = image, mask
        # A body cut by the frame may show a tenth of its disk.
        area = min(0.1, 0.1 * np.pi * radius**2 / image.size)
        self.percentiles = (1.0, 100.0 * (1.0 - 0.5 * area))
        blocks = picture_blocks(image, mask, coarse_step(radius))
        value = blocks[np.isfinite(blocks)]
        low, high = np.percentile(value, self.percentiles) if value.size else (0.0, 0.0)
        dark = value[value <= low + 0.1 * (high - low)]
        self.sky = float(np.median(dark)) if dark.size else 0.0
        lit = value[value > self.sky + 0.2 * (high - self.sky)]
        self.ground = float(np.median(lit)) if lit.size else self.sky
        self.threshold = self.sky + 0.25 * (self.ground - self.sky)


def _measure(geometry: ViewingGeometry, seen: _Picture, at: np.ndarray, reach: float) -> _Evidence:
    """Evidence for a further shift of the view moved by ``at``, from limb and from light and shade."""
    view = moved_view(geometry, at)
    matrix, right, points, share, rms, expected = _limb_evidence(view, seen, reach)
    weakest = float(np.linalg.eigvalsh(matrix)[0])
    enough = weakest * (LIGHT_NEEDED * apparent_radius(geometry)) ** 2 > 1.0
    from_light = None if enough else _light_evidence(view, seen)
    if from_light is not None:
        matrix, right = matrix + from_light[0], right + from_light[1]
    return _Evidence(matrix, right, points, share, rms, expected)


def _limb_evidence(
    geometry: ViewingGeometry, seen: _Picture, reach: float
) -> tuple[np.ndarray, np.ndarray, int, float, float, int]:
    """What the edges near the predicted lit limb say about the shift."""
    from brightspot._kernels.limb import edge_positions, profiles

    nothing = (np.zeros((2, 2)), np.zeros(2), 0, float("nan"), float("nan"), 0)
    place = _lit_limb(geometry)
    if place is None or not seen.ground > seen.sky:
        return nothing
    x, y, normal, spacing_deg = place
    step, inner, outer = 0.5, (2, 8), 8
    half = step * np.ceil((reach + step * (inner[1] + 5)) / step)
    columns = np.ascontiguousarray(normal.T)
    profile = profiles(seen.image, seen.mask, x, y, columns[0], columns[1], half, step)
    complete = np.isfinite(profile).mean(axis=1) > 0.9
    expected = int(complete.sum())
    if expected < MINIMUM_LIMB_POINTS:
        return (*nothing[:5], expected)
    found = edge_positions(profile, seen.threshold, inner, outer)
    radius = apparent_radius(geometry)
    offset = half - step * found[:, 0] - HORIZON_LIFT * radius
    good = complete & np.isfinite(offset) & (np.abs(offset) <= reach) & (found[:, 3] > 0.4)
    if good.sum() < MINIMUM_LIMB_POINTS:
        return (*nothing[:3], float(good.sum() / expected), float("nan"), expected)
    sigma = float(np.hypot(LIMB_RELIEF * radius, EDGE_PX))
    normal, offset = normal[good], offset[good]
    shift, kept = _fit_shift(normal, offset, sigma)
    rest = offset - normal @ shift
    rms = float(np.sqrt(np.mean(rest[kept] ** 2)))
    # Neighbours share their relief: together they count as one.
    share_of_one = min(1.0, spacing_deg / LIMB_RELIEF_DEG)
    weight = kept * share_of_one / max(sigma, rms) ** 2
    matrix = (normal * weight[:, None]).T @ normal
    right = (normal * weight[:, None]).T @ offset
    return matrix, right, int(kept.sum()), float(kept.sum() / expected), rms, expected


def _lit_limb(geometry: ViewingGeometry) -> tuple[np.ndarray, np.ndarray, np.ndarray, float] | None:
    """Points of the predicted lit limb in the frame, outward normals (n, 2), and their spacing in degrees."""
    rows, columns = geometry.shape
    for n_points in (LIMB_POINTS, 20 * LIMB_POINTS):
        x, y, incidence_deg = geometry.limb(n_points)
        if not np.all(np.isfinite(x)):
            return None
        use = (incidence_deg < LIT_LIMB_DEG) & (x > 0) & (x < columns - 1) & (y > 0) & (y < rows - 1)
        if use.sum() >= 2 * MINIMUM_LIMB_POINTS or not _near_frame(x, y, rows, columns):
            break
    if use.sum() < MINIMUM_LIMB_POINTS:
        return None
    tangent = np.stack([np.roll(x, -1) - np.roll(x, 1), np.roll(y, -1) - np.roll(y, 1)], axis=-1)[use]
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=-1) / np.hypot(*tangent.T)[:, None]
    away = np.stack([x - x.mean(), y - y.mean()], axis=-1)[use]
    normal *= np.sign(np.sum(normal * away, axis=1))[:, None]
    return np.ascontiguousarray(x[use]), np.ascontiguousarray(y[use]), normal, 360.0 / n_points


def _near_frame(x: np.ndarray, y: np.ndarray, rows: int, columns: int) -> bool:
    """Whether an outline passes through the frame between its points."""
    gap = float(np.hypot(np.diff(x), np.diff(y)).max())
    return bool(np.any((x > -gap) & (x < columns + gap) & (y > -gap) & (y < rows + gap)))


def _fit_shift(normal: np.ndarray, offset: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Robust (dx, dy) with ``normal @ shift = offset``, and which points agree with it.

    A direction that a short arc hardly fixes is left alone.
    """
    kept, shift = np.ones(len(offset), bool), np.zeros(2)
    for _ in range(12):
        values, vectors = np.linalg.eigh(normal[kept].T @ normal[kept] / kept.sum())
        right = vectors.T @ (normal[kept].T @ offset[kept]) / kept.sum()
        shift = vectors @ np.where(values > 0.005, right / np.maximum(values, 1e-12), 0.0)
        residual = np.abs(offset - normal @ shift)
        limit = max(3.0 * 1.4826 * float(np.median(residual[kept])), sigma, 0.5)
        again = residual < min(limit, 4.0 * sigma + 0.5)
        if again.sum() < MINIMUM_LIMB_POINTS or np.array_equal(again, kept):
            kept = again if again.sum() >= MINIMUM_LIMB_POINTS else kept
            break
        kept = again
    return shift, kept


LIGHT_BLOCKS, LIGHT_MU = 80, 0.35
"""Fewest blocks whose light is used, and the least cosine of emission there: nearer the limb is part sky."""

LIGHT_DOUBT = 1.5
"""Errors found on rendered frames over errors computed, where light and shade alone fix the shift: the disk
function is not known, and large craters are not many."""

BETTER_LIGHT = 0.85
"""A shift that only light and shade ask for must leave less than this share of the variance."""

LIGHT_NEEDED = 0.004
"""Share of the radius to which the limb must fix a shift in all directions for the light to be left out."""


def _light_evidence(geometry: ViewingGeometry, seen: _Picture) -> tuple[np.ndarray, np.ndarray] | None:
    """What light and shade on the disk say about the shift; None where too little of it is in view."""
    radius = apparent_radius(geometry)
    step = int(np.clip(radius / 20.0, 1, 16))
    corner, shape = _window(geometry, step)
    if shape[0] < 3 or shape[1] < 3 or not seen.ground > seen.sky:
        return None
    f, mu = predicted_blocks(geometry, step, corner, shape)
    value = picture_blocks(seen.image, seen.mask, step, corner, shape).astype(np.float64) - seen.sky
    slope_y, slope_x = np.gradient(f, step)
    with np.errstate(invalid="ignore"):
        use = (mu > LIGHT_MU) & np.isfinite(value)
    use[[0, -1]] = use[:, [0, -1]] = False
    if use.sum() < LIGHT_BLOCKS or not f[use].max() > 0.0:
        return None
    f, mu, value, slope_x, slope_y = f[use], mu[use], value[use], slope_x[use], slope_y[use]
    value = np.minimum(value, 4.0 * (seen.ground - seen.sky))
    share = min(1.0, (24.0 * step / radius) ** 2 / SHARED_BLOCKS)
    basis = np.stack([f, f * mu, f * f], axis=-1)
    weight = np.ones(value.size)
    normal, right = np.eye(5), np.zeros(5)
    for _ in range(2):
        heavy = basis * (weight**2)[:, None]
        level = np.linalg.lstsq(heavy.T @ basis, heavy.T @ value, rcond=None)[0]
        local = level[0] + level[1] * mu + level[2] * f
        typical = float(np.median(local))
        if not typical > 0.0:
            return None
        off = (value - local * f) / typical
        scatter = max(BLOCK_SCATTER, 1.4826 * float(np.median(np.abs(off))))
        weight = 1.0 / np.sqrt(1.0 + (off / (3.0 * scatter)) ** 2)
        design = np.concatenate(
            [np.stack([-slope_x, -slope_y], axis=-1) * (local / typical)[:, None], basis], axis=1
        )
        heavy = design * (weight**2 * share / (LIGHT_DOUBT * scatter) ** 2)[:, None]
        normal, right = heavy.T @ design, heavy.T @ off
    inner = normal[2:, 2:] + 1e-9 * np.trace(normal[2:, 2:]) * np.eye(3)
    answer = np.linalg.solve(inner, np.c_[normal[2:, :2], right[2:]])
    matrix = normal[:2, :2] - normal[:2, 2:] @ answer[:, :2]
    return 0.5 * (matrix + matrix.T), right[:2] - normal[:2, 2:] @ answer[:, 2]


def _window(geometry: ViewingGeometry, step: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Corner (row, column) and shape in blocks of the part of the frame in which the body lies."""
    rows, columns = geometry.shape
    top, left, bottom, right = 0, 0, rows, columns
    x, y, _ = geometry.limb(60)
    if np.all(np.isfinite(x)):
        left, right = max(0, int(x.min()) - 2 * step), min(columns, int(x.max()) + 2 * step)
        top, bottom = max(0, int(y.min()) - 2 * step), min(rows, int(y.max()) + 2 * step)
    return (top, left), (max(0, bottom - top) // step, max(0, right - left) // step)


# --- where in the frame the lit shape is ----------------------------------------------------------------


def coarse_step(radius: float) -> int:
    """Side of the blocks in which a disk of a radius is searched for, both in pixels."""
    return int(np.clip(radius / 8.0, 3, 16))


def _clipped(geometry: ViewingGeometry, seen: _Picture, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Blocks of the whole frame without its extremes, and which of them are known."""
    blocks = picture_blocks(seen.image, seen.mask, step).astype(np.float64)
    known = np.isfinite(blocks)
    if known.any():
        blocks = np.clip(blocks, *np.percentile(blocks[known], seen.percentiles))
    return np.where(known, blocks, 0.0), known


def _score(geometry: ViewingGeometry, seen: _Picture) -> float:
    """Correlation of the picture with the predicted view as it is."""
    step = coarse_step(apparent_radius(geometry))
    blocks, known = _clipped(geometry, seen, step)
    f, _ = predicted_blocks(geometry, step, (0, 0), blocks.shape)
    return correlation(blocks[known], f[known])


def _search(geometry: ViewingGeometry, seen: _Picture) -> tuple[np.ndarray, float, bool] | None:
    """The shift at which the predicted lit shape resembles the picture most.

    Returns
    -------
    tuple or None
        Shift (2,), its correlation, and whether it is clearly the best: much better than no shift, and than
        every flip of the picture. None where picture or prediction is even.
    """
    from scipy.signal import fftconvolve

    step = coarse_step(apparent_radius(geometry))
    blocks, known = _clipped(geometry, seen, step)
    count = int(known.sum())
    if count < 100:
        return None
    margin = int(SEARCH_SHARE * max(geometry.shape)) // step
    wide = (blocks.shape[0] + 2 * margin, blocks.shape[1] + 2 * margin)
    f, _ = predicted_blocks(geometry, step, (-margin * step, -margin * step), wide)
    mean = blocks[known].mean()
    picture = np.where(known, blocks - mean, 0.0)
    power = float(np.sum(picture**2))
    # Pearson's coefficient at every offset; only known blocks count.
    reverse = (slice(None, None, -1), slice(None, None, -1))
    seen_of = known.astype(np.float64)[reverse]
    both = fftconvolve(f, picture[reverse], mode="valid")
    total = fftconvolve(f, seen_of, mode="valid")
    square = fftconvolve(f * f, seen_of, mode="valid")
    variance = square - total**2 / count
    score = np.where(
        variance > 1e-3 * count, both / np.sqrt(np.maximum(variance, 1e-9) * max(power, 1e-30)), 0.0
    )
    if not power > 0.0 or not np.any(score > 0.0):
        return None
    j, i = np.unravel_index(int(np.argmax(score)), score.shape)
    best, here = float(score[j, i]), float(score[margin, margin])
    centre = f[margin : margin + blocks.shape[0], margin : margin + blocks.shape[1]]
    flips = (centre[::-1], centre[:, ::-1], centre[::-1, ::-1])
    flipped = max(correlation(blocks[known], flip[known]) for flip in flips)
    shift = np.array([(margin - i) * step, (margin - j) * step], np.float64)
    near = bool(np.hypot(*shift) <= 1.5 * step)
    better = 1.0 - best**2 < CLEAR_GAIN * (1.0 - max(here, 0.0) ** 2)
    return shift, best, best >= CLEAR_SCORE and (near or (better and best > flipped + 0.02))
