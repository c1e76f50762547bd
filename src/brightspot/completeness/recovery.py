"""One frame: spots put in, the finder run as it is, what came back; and what it finds on cleaned ground."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from brightspot.completeness.injection import Light, Spot, inject, measure_light
from brightspot.completeness.plan import Ground, Placed, Plan, find_ground, realisations
from brightspot.errors import ScaleError
from brightspot.finder import Detection, SpotFinder
from brightspot.footprint import enlarged
from brightspot.frame import Frame

if TYPE_CHECKING:
    import pandas as pd

LEAST_REACH = 2.0
"""Pixels by which a detection may lie beside a spot's centre, at least; half a diameter for wide ones."""

SKIRT = 4.0
"""Pixels around a footprint that are painted out with it: the PSF's wings and the spot's own fringe."""


class Recovered(NamedTuple):
    """What one frame gave.

    Attributes
    ----------
    spots : list of dict
        One per spot put in; keys as in `tables.SPOT_COLUMNS`.
    facts : dict
        The frame's row; keys as in `tables.FRAME_COLUMNS`.
    """

    spots: list[dict[str, Any]]
    facts: dict[str, Any]


def recover(
    frame: Frame, finder: SpotFinder, plan: Plan, step: Callable[[int, int], None] | None = None
) -> Recovered:
    """Put spots into a frame, look for them, and look at the frame with its own spots painted out.

    Parameters
    ----------
    frame : Frame
        Located, as `locate` gives it.
    finder : SpotFinder
        The settings under test.
    plan : Plan
        What is put in.
    step : callable, optional
        Called with the spots done and the spots wanted after each picture.

    Returns
    -------
    Recovered

    Raises
    ------
    NothingLit
        If nothing in the frame is lit.
    ScaleError
        If diameters are wanted in km and no scale is known.
    """
    original = finder(frame)
    frame = original.frame
    light = measure_light(frame, original.background.pedestal)
    psf_fwhm = finder.psf_fwhm * enlarged(frame)
    ground = find_ground(original, plan.generator(frame.name, 0))
    if plan.in_km and ground is not None and not np.isfinite(ground.place.pixel_scale_km).any():
        raise ScaleError("no km per pixel is known: give --scale-km, or the diameters in pixels")
    rows: list[dict[str, Any]] = []
    facts: dict[str, Any] = {"frame": frame.name, "status": "ok", "reason": ""}
    extra, pictures = 0, 0
    if ground is None:
        facts |= {"status": "skipped", "reason": "no free ground: nothing was put in"}
    else:
        noise = plan.generator(frame.name, 2)
        for placed in realisations(original, plan, ground):
            pictures += 1
            changed = inject(frame, light, [p.spot for p in placed], psf_fwhm, noise)
            found = finder(changed).catalog
            match = pair_up([p.spot for p in placed], found)
            for p, k in zip(placed, match, strict=True):
                rows.append(_row(frame, plan, p, ground, pictures, found.iloc[k] if k >= 0 else None))
            extra += _extras(found, match, original.catalog, [p.spot for p in placed])
            if step is not None:
                step(len(rows), plan.n_spots)
        if len(rows) < plan.n_spots:
            facts["reason"] = f"room for {len(rows) or 'none'} of {plan.n_spots} spots"
    left = finder(clean(original, light, plan.generator(frame.name, 3))).catalog
    facts |= {
        "n_spots": len(rows),
        "n_found": sum(row["found"] for row in rows),
        "n_pictures": pictures,
        "n_extra": extra,
        "n_detections": len(original.catalog),
        "n_left_when_cleaned": len(left),
        "searched_px": 0 if ground is None else int(ground.searched.sum()),
        "searched_km2": _searched_km2(ground),
        "noise_dark": np.sqrt(light.read_variance),
        "noise_lit": _noise_share(original, light),
        "ceiling": light.ceiling,
    }
    return Recovered(rows, facts)


def pair_up(spots: list[Spot], catalog: pd.DataFrame) -> np.ndarray:
    """For each spot the row of its detection, -1 for none: of its polarity, within reach, nearest first."""
    match = np.full(len(spots), -1)
    if not spots or len(catalog) == 0:
        return match
    x, y = (catalog[name].to_numpy(float) for name in ("x_centroid", "y_centroid"))
    bright = catalog["polarity"].to_numpy(str) == "bright"
    share = np.full((len(spots), len(x)), np.inf)
    for k, spot in enumerate(spots):
        gap = np.hypot(x - spot.x, y - spot.y) / max(LEAST_REACH, 0.5 * spot.seen_diameter)
        share[k] = np.where(bright == (spot.contrast >= 1.0), gap, np.inf)
    for flat in np.argsort(share, axis=None, kind="stable"):
        k, d = divmod(int(flat), len(x))
        if share[k, d] > 1.0:
            break
        if match[k] < 0 and d not in match:
            match[k] = d
    return match


def _extras(found: pd.DataFrame, match: np.ndarray, before: pd.DataFrame, spots: list[Spot]) -> int:
    """Detections that are neither a spot put in nor one that the frame had: pieces, rims, ghosts."""
    new = np.ones(len(found), bool)
    new[match[match >= 0]] = False
    x, y = found["x_centroid"].to_numpy(float), found["y_centroid"].to_numpy(float)
    for bx, by, width in zip(
        before["x_centroid"], before["y_centroid"], before["diameter_halfmax"], strict=True
    ):
        new &= np.hypot(x - bx, y - by) > max(LEAST_REACH, 0.5 * float(width))
    # What the spots did not touch is a matter of the frame itself, as it is or as it is levelled.
    near = np.zeros(len(found), bool)
    for spot in spots:
        near |= np.hypot(x - spot.x, y - spot.y) < spot.reach + SKIRT + LEAST_REACH
    return int((new & near).sum())


def _row(
    frame: Frame, plan: Plan, placed: Placed, ground: Ground, picture: int, found: pd.Series | None
) -> dict[str, Any]:
    """One row of completeness.csv."""
    spot, k = placed.spot, placed.row
    pixel_km = float(ground.place.pixel_scale_km[k])
    row: dict[str, Any] = {
        "frame": frame.name,
        "picture": picture,
        "x": spot.x,
        "y": spot.y,
        "diameter": spot.diameter,
        "diameter_km": spot.diameter * pixel_km,
        "planned_diameter": placed.cell.size,
        "planned_unit": "km" if plan.in_km else "px",
        "seen_diameter": spot.seen_diameter,
        "contrast": spot.contrast,
        "incidence_deg": float(ground.place.incidence_deg[k]),
        "emission_deg": float(ground.place.emission_deg[k]),
        "phase_deg": float(ground.place.phase_deg[k]),
        "pixel_scale_km": pixel_km,
        "shadowed_fraction": placed.shadowed,
        "found": found is not None,
    }
    if found is None:
        return row
    gap = float(np.hypot(found["x_centroid"] - spot.x, found["y_centroid"] - spot.y))
    excess = spot.contrast - 1.0
    return row | {
        "position_error": gap,
        "position_error_km": gap * pixel_km,
        "found_diameter_halfmax": float(found["diameter_halfmax"]),
        "found_diameter_halfmax_km": float(found["diameter_halfmax_km"]),
        "found_diameter_deconvolved_km": float(found["diameter_deconvolved_km"]),
        "found_contrast": float(found["contrast"]),
        "found_contrast_peak": float(found["contrast_peak"]),
        "size_bias": float(found["diameter_halfmax"]) / spot.seen_diameter - 1.0,
        "deconvolved_bias": float(found["diameter_deconvolved_km"]) / (spot.diameter * pixel_km) - 1.0,
        "contrast_bias": float(found["contrast"]) / spot.contrast - 1.0 if spot.contrast else np.nan,
        "excess_bias": (float(found["contrast"]) - 1.0) / excess - 1.0 if excess else np.nan,
        "albedo_confidence": float(found["albedo_confidence"]),
        "flags": str(found["flags"]),
    }


def clean(detection: Detection, light: Light, rng: np.random.Generator) -> Frame:
    """The frame with every detection painted out: the membrane that its rim spans, with the frame's noise.

    Parameters
    ----------
    detection : Detection
        Of the frame as it is.
    light : Light
        From `measure_light`.
    rng : numpy.random.Generator
        Draws the noise.
    """
    from scipy.ndimage import distance_transform_edt, label

    frame = detection.frame
    if len(detection.catalog) == 0:
        return frame
    away = distance_transform_edt(detection.segmentation == 0)
    hole = (away <= SKIRT) & ~frame.mask
    groups, n = label(hole)
    image, saturated = frame.image.copy(), frame.saturated & ~hole
    for number in range(1, n + 1):
        j, i = np.nonzero(groups == number)
        box = np.s_[max(j.min() - 1, 0) : j.max() + 2, max(i.min() - 1, 0) : i.max() + 2]
        inside = groups[box] == number
        patch = membrane(light.signal[box].astype(np.float64), inside)
        noise = np.sqrt(light.variance(patch)) * rng.standard_normal(patch.shape)
        value = patch + light.pedestal + noise
        if light.step is not None:
            value = np.rint(value / light.step) * light.step
        image[box] = np.where(inside, value, image[box])
    return replace(frame, image=image, saturated=saturated)


def membrane(values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Values with a hole filled by the solution of Laplace's equation; the picture's edge is free.

    Parameters
    ----------
    values : numpy.ndarray
        (rows, columns) float64.
    hole : numpy.ndarray
        (rows, columns) bool; not all True.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import spsolve

    n = int(hole.sum())
    index = np.full(hole.shape, -1)
    index[hole] = np.arange(n)
    y, x = np.nonzero(hole)
    own = index[hole]
    degree, right = np.zeros(n), np.zeros(n)
    links_from, links_to = [], []
    for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        j, i = y + dy, x + dx
        inside = (j >= 0) & (i >= 0) & (j < hole.shape[0]) & (i < hole.shape[1])
        degree[inside] += 1.0
        j, i, row = j[inside], i[inside], own[inside]
        linked = hole[j, i]
        links_from.append(row[linked])
        links_to.append(index[j[linked], i[linked]])
        np.add.at(right, row[~linked], values[j[~linked], i[~linked]])
    rows, columns = np.concatenate([*links_from, own]), np.concatenate([*links_to, own])
    weights = np.concatenate([np.full(len(rows) - n, -1.0), degree])
    filled = values.copy()
    filled[hole] = spsolve(coo_array((weights, (rows, columns)), shape=(n, n)).tocsc(), right)
    return filled


def _searched_km2(ground: Ground | None) -> float:
    """Area of the searched ground, from the mean over the places drawn; NaN if no scale is known."""
    if ground is None:
        return float("nan")
    return float(ground.searched.sum() * np.mean(ground.place.pixel_area_km2))


def _noise_share(detection: Detection, light: Light) -> float:
    """Noise over light at the frame's median level."""
    level = float(np.nanmedian(detection.background.level))
    return float(np.sqrt(light.variance(np.array(level))) / level)
