"""Could a slope do this? Topography against albedo, candidate by candidate.

In: the levelled frame and its objects, the Sun's direction in the picture. Out: per
object the features that `brightspot.judge` takes, the slope that would be needed without any change of
albedo, and what speaks for and against it in words.

What separates a spot from a slope: it stands out of the local texture; it ends on all sides, where a
crater wall goes on sideways; it has no shaded partner along the Sun's azimuth; the excess summed along the
Sun's line through it stays, where relief sums to nothing; and it is brighter than a slope here can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from brightspot.judge import (
    FEATURES,
    SHARPEST,
    score_looks,
    score_trees,
    too_sharp,
    worth_a_look,
    worth_the_network,
)
from brightspot.photometry import disk_function, disk_map

if TYPE_CHECKING:
    from brightspot.background import Background
    from brightspot.segmentation import Segmentation

ANGLE_OF_REPOSE_DEG = 35.0
"""Steepest lasting slope of loose material, degrees; about 35 (unverified for Ceres)."""

PEER_REACH = 108
"""Peers of a peak are those within this many pixels: a circle as large as the nine cells of 64 pixels that
the judge was fitted with."""

LEAST_PEER = 0.05
"""Stands in for a peer's peak where there are too few."""

LEAST_AXIS_STRENGTH = 0.08
"""Share by which pairs of light and shade must prefer one direction before it is taken for the Sun's."""

NO_SLOPE_DEG = 90.0
"""Reported where no tilt reaches the contrast."""


def describe(
    background: Background,
    segmentation: Segmentation,
    sun_azimuth_deg: np.ndarray,
    slope_gain: np.ndarray | None,
    place: np.ndarray | None = None,
    *,
    dark: bool,
    every: bool = False,
) -> np.ndarray:
    """Features of every object but the network's, which `look` gives.

    Parameters
    ----------
    background, segmentation : Background, Segmentation
        The levelled frame and its objects.
    sun_azimuth_deg : numpy.ndarray
        (n,) direction of the Sun's line in the image at each object, degrees clockwise from up; NaN if
        not known. Either end will do.
    slope_gain : numpy.ndarray or None
        (n,) from `slope_gain` at the objects; None without geometry.
    place : numpy.ndarray or None
        (n, 3) incidence and emission (degrees) and ``pixel_km`` at the objects; None without geometry.
    dark : bool
        The objects are darker than their surroundings.
    every : bool
        Describe the surroundings of all objects that are no sharper than the PSF, hopeless ones too, and
        leave out what the trees make of them: for a fit of the judge.

    Returns
    -------
    numpy.ndarray
        (n, len(FEATURES)) float32; NaN where not known, and for surroundings that were not looked at.
    """
    from brightspot._kernels import shading as kernels
    from brightspot._kernels.sharpness import narrowness

    s = segmentation
    gain = np.full(len(s.peak), np.nan, np.float32) if slope_gain is None else slope_gain
    features = np.empty((len(s.peak), kernels.N_FEATURES), np.float32)
    sign = -1 if dark else 1
    kernels.describe_objects(
        background.ratio, background.smooth, s.labels, sign, s.peak, s.peak_yx, s.saddle, s.box, s.n_pixels,
        s.neighbour, background.rms, background.light, gain, background.step, background.y0, background.x0,
        np.arange(len(s.peak)), features,
    )  # fmt: skip
    # A cosmic ray's track is sharper than the PSF only across.
    across = np.empty(len(s.peak), np.float32)
    texture = np.ascontiguousarray(features[:, FEATURES.index("texture")])
    narrowness(background.ratio, sign, s.peak_yx, texture, across)
    thin = across < SHARPEST
    features[thin, FEATURES.index("sharpness")] = across[thin]
    first, third = np.empty(len(s.peak), np.float32), np.empty(len(s.peak), np.float32)
    kernels.compare_peers(
        s.peak, s.peak_yx, background.smooth.shape, PEER_REACH, np.float32(LEAST_PEER), first, third
    )
    features[:, FEATURES.index("above_first_peer")] = first
    features[:, FEATURES.index("above_third_peer")] = third
    for k, name in enumerate(("incidence", "emission", "pixel_km")):
        features[:, FEATURES.index(name)] = np.nan if place is None else place[:, k]
    wanted = ~too_sharp(features)
    if not every:
        wanted &= worth_a_look(features, dark=dark)
    kernels.describe_surroundings(
        background.smooth, s.labels, sign, s.peak, s.peak_yx, s.box,
        np.radians(np.asarray(sun_azimuth_deg, np.float64)), wanted, features,
    )  # fmt: skip
    if not every:
        worth = np.flatnonzero(wanted)
        features[worth, FEATURES.index("trees")] = score_trees(features[worth], dark=dark)
    return features


def look(
    background: Background, described: Sequence[tuple[bool, Segmentation, np.ndarray, np.ndarray]]
) -> None:
    """Let the network look at what the trees leave: fills in the features' last column.

    Parameters
    ----------
    background : Background
        The levelled frame.
    described : sequence
        Per polarity: whether dark, the objects, their features from `describe`, and the Sun's line there.
        All are looked at together: side by side that takes less time.
    """
    which = [
        worth_the_network(features[:, FEATURES.index("trees")], dark=dark)
        for dark, _, features, _ in described
    ]
    patches = [
        look_patches(background, objects, azimuth, np.flatnonzero(seen), dark=dark)
        for (dark, objects, _, azimuth), seen in zip(described, which, strict=True)
    ]
    known = [features[seen] for (_, _, features, _), seen in zip(described, which, strict=True)]
    polarity = np.repeat([dark for dark, *_ in described], [len(rows) for rows in known])
    score = score_looks(np.concatenate(patches), np.concatenate(known), dark=polarity)
    ends = np.cumsum([len(rows) for rows in known])[:-1]
    for (_, _, features, _), seen, own in zip(described, which, np.split(score, ends), strict=True):
        features[seen, FEATURES.index("look")] = own


def look_patches(
    background: Background,
    segmentation: Segmentation,
    sun_azimuth_deg: np.ndarray,
    which: np.ndarray,
    *,
    dark: bool,
) -> np.ndarray:
    """The levelled picture around objects: rows along the Sun's line, as wide in all as some 13 radii.

    Parameters
    ----------
    background, segmentation : Background, Segmentation
        The levelled frame and its objects.
    sun_azimuth_deg : numpy.ndarray
        (n,) as for `describe`.
    which : numpy.ndarray
        (m,) int, the objects wanted.
    dark : bool
        The objects are darker than their surroundings.

    Returns
    -------
    numpy.ndarray
        (m, 25, 25) float32, excess over the object's peak; 0 outside of the picture.
    """
    from brightspot._kernels import shading as kernels

    s = segmentation
    width = 2 * kernels.HALF + 1
    patches = np.empty((len(which), width, width), np.float32)
    azimuth = np.radians(np.asarray(sun_azimuth_deg, np.float64))
    sign = -1 if dark else 1
    kernels.cut_patches(background.smooth, s.labels, sign, s.peak, s.peak_yx, s.box, azimuth, which, patches)
    return patches


def slope_gain(mu0: np.ndarray, mu: np.ndarray, phase_deg: np.ndarray, model: str) -> np.ndarray:
    """How much brighter than level ground a facet is that leans toward the Sun at the angle of repose.

    Parameters
    ----------
    mu0, mu, phase_deg : numpy.ndarray
        Cosines of incidence and emission, phase angle in degrees; float32, NaN off the body.
    model : str
        Disk function.

    Returns
    -------
    numpy.ndarray
        float32, at least 1; NaN off the body and where unlit.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        incidence = np.arccos(np.clip(mu0, -1.0, 1.0))
        tilt = np.minimum(incidence, np.float32(np.radians(ANGLE_OF_REPOSE_DEG)))
        facet = facet_emission(tilt, mu0, mu, np.cos(np.radians(phase_deg)))
        here = disk_map(model, mu0, mu, phase_deg)
        there = disk_map(model, np.cos(incidence - tilt), facet, phase_deg)
        return np.where(here > 0, np.maximum(there / here, 1.0), np.nan).astype(np.float32)


def facet_emission(tilt: np.ndarray, mu0: np.ndarray, mu: np.ndarray, cos_phase: np.ndarray) -> np.ndarray:
    """Cosine of emission of a facet tilted toward the Sun (radians); all arrays of one shape.

    ``cos e' = cos t cos e + sin t sin e cos psi``: psi, the angle on the ground between Sun and camera,
    follows from the phase angle.
    """
    sin_i = np.sqrt(np.maximum(1.0 - mu0 * mu0, 1e-12))
    sin_e_cos_psi = np.clip((cos_phase - mu0 * mu) / sin_i, -1.0, 1.0)
    return np.cos(tilt) * mu + np.sin(tilt) * sin_e_cos_psi


def sun_axis_from_relief(background: Background) -> float:
    """The line toward and away from the Sun in the picture, from the relief's own shading.

    Slopes come in pairs, one in the light and one in the shade, side by side along the Sun's azimuth.
    Pairs of dark and bright places a few bins apart are counted around the compass. Which end of the line
    the Sun is at stays open: pits and hills show the same pairs the other way round.

    Returns
    -------
    float
        0 to 180 degrees clockwise from image up; NaN where the surface shows no preferred direction.
    """
    from brightspot._kernels import shading as kernels

    bin_width = max(min(background.smooth.shape) // 256, 1)
    axis, strength = kernels.shade_axis(background.smooth, background.usable, bin_width)
    if strength < LEAST_AXIS_STRENGTH:
        return float("nan")
    return float(np.degrees(np.arctan2(np.cos(axis), -np.sin(axis))) % 180.0)


def slope_needed_deg(
    contrast: np.ndarray,
    incidence_deg: np.ndarray,
    emission_deg: np.ndarray,
    phase_deg: np.ndarray,
    model: str = "akimov",
) -> np.ndarray:
    """Tilt toward the Sun that would make the contrast without any change of albedo.

    Parameters
    ----------
    contrast : numpy.ndarray
        (n,) ratio to the surroundings; below 1 the tilt is away from the Sun.
    incidence_deg, emission_deg, phase_deg : numpy.ndarray
        (n,) of the untilted ground, degrees.
    model : str
        Disk function.

    Returns
    -------
    numpy.ndarray
        (n,) degrees; 90 where no tilt can, NaN where the angles are not known.

    Notes
    -----
    A facet tilted by t toward the Sun has incidence ``i - t``; its emission is that of `facet_emission`.
    """
    shape = np.shape(contrast)
    if shape == (0,):
        return np.zeros(0)
    contrast, i, e, phase = (
        np.atleast_1d(np.asarray(v, np.float64))[:, None]
        for v in (contrast, incidence_deg, emission_deg, phase_deg)
    )
    tilt = np.linspace(0.0, 89.0, 179)[None, :]
    signed = np.where(contrast >= 1.0, tilt, -tilt)
    ri, rt = np.radians(i), np.radians(signed)
    facet_i = np.abs(np.degrees(ri - rt))
    mu = facet_emission(rt, np.cos(ri), np.cos(np.radians(e)), np.cos(np.radians(phase)))
    facet_e = np.degrees(np.arccos(np.clip(mu, -1.0, 1.0)))
    lit = (facet_i < 90.0) & (facet_e < 90.0)
    phase_all = np.broadcast_to(phase, facet_i.shape)
    here = disk_function(model, i, e, phase)
    with np.errstate(divide="ignore", invalid="ignore"):
        there = np.where(lit, disk_function(model, facet_i, facet_e, phase_all), 0.0) / here
    enough = np.where(contrast >= 1.0, there >= contrast, (there <= contrast) & (facet_e < 90.0))
    first = np.argmax(enough, axis=1)
    rows = np.arange(len(first))
    before = np.maximum(first - 1, 0)
    gap = there[rows, first] - there[rows, before]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(gap != 0, (contrast[:, 0] - there[rows, before]) / gap, 0.0)
    slope = tilt[0, before] + np.clip(share, 0.0, 1.0) * (tilt[0, first] - tilt[0, before])
    slope = np.where(enough.any(axis=1), slope, NO_SLOPE_DEG)
    known = np.isfinite(i + e + phase)[:, 0] & np.isfinite(contrast[:, 0])
    return np.where(known, slope, np.nan).reshape(shape)


def reasons(features: np.ndarray, slope_deg: np.ndarray) -> list[str]:
    """What speaks for and against each object, in words, parted by semicolons."""
    column = {name: features[:, k] for k, name in enumerate(FEATURES)}
    sharp = too_sharp(features)
    out = []
    for k in range(len(features)):
        said = []
        if np.isfinite(slope_deg[k]):
            if slope_deg[k] >= NO_SLOPE_DEG:
                said.append("no slope can make it")
            elif slope_deg[k] > ANGLE_OF_REPOSE_DEG:
                said.append(f"needs a {slope_deg[k]:.0f} degree slope")
            else:
                said.append(f"a {slope_deg[k]:.0f} degree slope would do")
        if sharp[k]:
            out.append("; ".join([*said, "sharper than the PSF"]))
            continue
        said.append(f"{column['contrast_to_texture'][k]:.0f} times the local scatter")
        deepest = column["shade_beside"][k]
        if np.isfinite(deepest):
            said.append(
                "no shade beside it" if deepest > -0.15 else f"shade beside it ({-deepest:.1f} of the peak)"
            )
        ring = column["ring_share"][k]
        if np.isnan(ring):
            out.append("; ".join([*said, "hopeless at a glance"]))
            continue
        said.append("ends on all sides" if ring < 0.2 else f"goes on sideways ({ring:.1f} of the peak)")
        out.append("; ".join(said))
    return out
