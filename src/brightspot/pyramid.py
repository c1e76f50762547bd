"""Small places in the frame itself, large ones in binned views of it, each reported once.

The local level follows what is wider than about 88 pixels, so a bright floor wider than that is level to it.
Binned by 4 and by 16 the same frame is searched again, for places at least four bins wide.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from brightspot.background import Background, mesh_layout
from brightspot.frame import Frame
from brightspot.segmentation import FOOTPRINT_SHARE, Segmentation

FACTORS = (1, 4, 16)
"""Binnings at which spots are looked for: the level follows what is wider than 88 binned pixels."""

LEAST_COARSE_SIDE = 48
"""Least side of a binned image."""

LEAST_COARSE_WIDTH = 4.0
"""Half-maximum diameter in binned pixels from which a coarse detection counts; finer ones see the rest."""

GREATEST_WIDTH = 36.0
"""Half-maximum diameter in binned pixels up to which the level (windows of 88) is not drawn to the spot."""

DISTINCT = 1.3
"""Contrast by which a spot on or beside a larger one is a place of its own."""

ROUND = 1.3
"""Elongation below which a spot on a larger place is no piece of it: nine in ten pieces are more ragged."""

SAME_SHARE = 1.0 / 3.0
"""A finer spot that fills more than this of a coarse footprint is the same place."""

SMALLER_PIECES, PIECES_SHARE = 2, 0.05
"""A coarse footprint is a torn deposit where so many finer spots beside the largest one fill so much of it: a
neighbour comes alone, and small spots on a bright floor fill little of it."""

SEVERAL = 1.5
"""So many pieces make a torn place; one joined of several counts for its pixels over those of the largest."""

AROUND = 0.75
"""Distance from a coarse footprint's centre, in its diameters, up to which finer spots have to do with it."""

FEW = 10.0
"""Percentage of the pixels on a way that may be relief's."""

SAME_CENTRE = 0.25
"""Distance of centres, in a coarse footprint's diameters, up to which a finer place is in its middle."""


class Part(NamedTuple):
    """Rows of one polarity found at one binning, and the objects their ``_object`` refers to.

    Binned pixel (y, x) covers the frame's pixels from ``corner`` (x, y) + factor * (x, y).
    """

    factor: int
    corner: tuple[int, int]
    background: Background
    found: Segmentation
    rows: dict[str, np.ndarray]

    def take(self, keep: np.ndarray) -> Part:
        """The rows for which ``keep`` is True."""
        return self._replace(rows={name: column[keep] for name, column in self.rows.items()})

    def binned(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of the binned pixels under the frame's pixels, as integers within the image."""
        j = np.floor((y + 0.5 - self.corner[1]) / self.factor).astype(int)
        i = np.floor((x + 0.5 - self.corner[0]) / self.factor).astype(int)
        rows, columns = self.found.labels.shape
        return np.clip(j, 0, rows - 1), np.clip(i, 0, columns - 1)


def binnings(shape: tuple[int, int]) -> list[tuple[int, tuple[int, int]]]:
    """Binning factors for a frame, and the pixel (x, y) where the first bin of each begins."""
    out = []
    for factor in FACTORS:
        if factor == 1 or min(shape) // factor >= LEAST_COARSE_SIDE:
            _, _, y0, x0 = mesh_layout(shape, factor)
            out.append((factor, (x0, y0)))
    return out


def coarsen(frame: Frame, factor: int, corner: tuple[int, int]) -> Frame:
    """The frame binned by ``factor``: means of the good pixels; geometry and scale to match."""
    if factor == 1:
        return frame
    from brightspot._kernels.background import block_means

    rows, columns = frame.shape[0] // factor, frame.shape[1] // factor
    x0, y0 = corner
    layout = (factor, y0, x0, rows, columns)
    no_floor = np.float32(-np.inf)
    usable = ~frame.mask
    image, share = block_means(frame.image, usable, np.float32(0.0), no_floor, *layout)
    saturated = np.zeros((rows, columns), bool)
    y, x = np.divmod(np.flatnonzero(frame.saturated & usable), frame.shape[1])
    j, i = (y - y0) // factor, (x - x0) // factor
    inside = (j >= 0) & (j < rows) & (i >= 0) & (i < columns)
    saturated[j[inside], i[inside]] = True
    scale = frame.scale
    if scale is not None and scale.believed is not None:
        b = scale.believed
        wider = replace(
            b, km_per_pixel=b.km_per_pixel * factor, error_km_per_pixel=b.error_km_per_pixel * factor
        )
        scale = replace(scale, believed=wider)
    geometry = frame.geometry
    if geometry is not None:
        camera = geometry.camera
        pitch_x, pitch_y = camera.pitch_mm
        center = [
            (c - o - s - 0.5 * (factor - 1)) / factor
            for c, o, s in zip(camera.center_xy, geometry.origin_xy, corner, strict=True)
        ]
        camera = replace(
            camera, pitch_mm=(pitch_x * factor, pitch_y * factor), center_xy=(center[0], center[1])
        )
        geometry = replace(geometry, camera=camera, shape=(rows, columns), origin_xy=(0.0, 0.0))
    return replace(
        frame,
        image=image,
        mask=share < 0.5,
        saturated=saturated,
        geometry=geometry,
        scale=scale,
        origin_xy=(0.0, 0.0),
    )


def without_spots(frame: Frame, part: Part) -> Frame:
    """The frame with the places just found brought to the brightness of their surroundings.

    So that a small spot on a bright floor does not stand for the floor when that is looked for.
    """
    rows = part.rows
    settled = rows["_believed"] & (rows["diameter_halfmax"] <= GREATEST_WIDTH * part.factor)
    if not settled.any():
        return frame
    from brightspot._kernels.segmentation import paint

    image = frame.image.copy()
    which = rows["_object"][settled]
    light = (rows["_surroundings"][settled] + part.background.pedestal).astype(np.float32)
    grow = 2 if part.factor == 1 else 1
    paint(image, part.found.labels, part.found.box, which, light, grow, part.factor, *part.corner)
    return replace(frame, image=image)


def join_once(finer: list[Part], coarse: list[Part], *, as_is: bool) -> list[Part]:
    """Rows of finer and coarser binning together, each place once.

    A coarse footprint that a finer one fills to a third is the same place and is left out, unless the finer
    one is so wide that its own level followed it; and so is one around a finer one that has been taken away:
    the flanks of that. Within and around a footprint that stays, finer rows stay only where they stand out
    from it as well: a fragment of it, its rim against a level that it has itself raised, or one of several
    ragged pieces does not. Where several finer rows fill much of one found in the frame ``as_is``, with no
    spots taken away, they are pieces of it, however bright; and a place found there that had holes before,
    where pieces of it were taken away, is told as it is. What is believed gives way only to what is
    believed too, and all else only to what is trusted as much: so no row hangs on less certain ones, which
    may not have been asked for.
    """
    out = list(finer)
    kept = []
    for part in coarse:
        n = len(part.rows["x_centroid"])
        torn = np.array([as_is and _is_torn(out, part, k) for k in range(n)], bool)
        known = np.array([any(_is_same(old, part, k).any() for old in out) for k in range(n)], bool)
        whole = np.array([as_is and _is_whole_again(out, part, k) for k in range(n)], bool)
        fresh = torn | whole | ~known
        if not fresh.any():
            continue
        part = part.take(fresh)
        kept.append(part)
        out = [old.take(_stands_out(old, part, torn[fresh])) for old in out]
    return [p for p in out + kept if len(p.rows["x_centroid"])]


def _lies_on(part: Part, k: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which of the frame's pixels lie in the footprint of a coarse row."""
    return part.found.labels[part.binned(x, y)] == part.rows["_object"][k] + 1


def _inside(old: Part, part: Part, k: int) -> np.ndarray:
    """Which finer rows have their peak or their centre in the footprint of a coarse one.

    A wide place's peak may lie on its rim, outside what the bins show above half maximum.
    """
    rows = old.rows
    peak = _lies_on(part, k, rows["_peak_x"], rows["_peak_y"])
    return peak | _lies_on(part, k, rows["x_centroid"], rows["y_centroid"])


def _gap(old: Part, part: Part, k: int) -> np.ndarray:
    """Distance of finer rows' peaks from the centre of a coarse one, pixels."""
    x, y = part.rows["x_centroid"][k], part.rows["y_centroid"][k]
    return np.hypot(old.rows["_peak_x"] - x, old.rows["_peak_y"] - y)


def _pieces(old: Part, part: Part, k: int) -> np.ndarray:
    """Which finer rows would be pieces of a coarse one if that were torn."""
    around = _inside(old, part, k) | (_gap(old, part, k) < AROUND * part.rows["diameter_halfmax"][k])
    return around & old.rows["_believed"] & (old.rows["polarity"] == part.rows["polarity"][k])


def _is_torn(finer: list[Part], part: Part, k: int) -> bool:
    """Whether a coarse row is believed and much of it is filled by several finer ones that are too."""
    rows = part.rows
    pieces = [old.rows["diameter_halfmax"][_pieces(old, part, k)] for old in finer]
    smaller = np.sort(np.concatenate([np.zeros(0), *pieces]))[:-1]
    filled = float(np.sum((smaller / rows["diameter_halfmax"][k]) ** 2))
    return bool(rows["_believed"][k]) and len(smaller) >= SMALLER_PIECES and filled >= PIECES_SHARE


def _is_whole_again(out: list[Part], part: Part, k: int) -> bool:
    """Whether a believed coarse row, of the frame as it is, is what another of this binning is a part of.

    Pieces of a wide place may be taken for spots and taken away, its rim for one; what is left of it has
    holes. Where one of them is a place of its own, it was right to take it away.
    """
    if not part.rows["_believed"][k]:
        return False
    wide, mine = 0.0, np.arange(len(part.rows["_object"])) == k
    for old in out:
        same = _is_same(old, part, k)
        if old.factor == part.factor:
            wide = max(wide, *old.rows["diameter_halfmax"][same], 0.0)
        elif same.any() or np.any(
            _pieces(old, part, k) & _stands_out(old, part.take(mine), np.zeros(1, bool))
        ):
            return False
    return wide > 0.0 and bool(part.rows["diameter_halfmax"][k] > wide)


def _fills(old: Part, part: Part, k: int) -> np.ndarray:
    """Which finer rows are so large that they could be the same place as a coarse one."""
    return (old.rows["diameter_halfmax"] / part.rows["diameter_halfmax"][k]) ** 2 > SAME_SHARE


def _same_centre(old: Part, part: Part, k: int) -> np.ndarray:
    """Which finer rows have the centre and the polarity of a coarse one."""
    mine, rows = old.rows, part.rows
    gap = np.hypot(mine["x_centroid"] - rows["x_centroid"][k], mine["y_centroid"] - rows["y_centroid"][k])
    return (gap < SAME_CENTRE * rows["diameter_halfmax"][k]) & (mine["polarity"] == rows["polarity"][k])


def _is_same(old: Part, part: Part, k: int) -> np.ndarray:
    """Which of the finer rows are the same place as a coarse one, or have that for their flanks.

    Flanks lie around the centre of the finer one, but not on it.
    """
    rows = old.rows
    place = _inside(old, part, k) & _fills(old, part, k) & (rows["polarity"] == part.rows["polarity"][k])
    place &= rows["diameter_halfmax"] <= GREATEST_WIDTH * old.factor
    flanks = _same_centre(old, part, k) & ~_lies_on(part, k, rows["x_centroid"], rows["y_centroid"])
    rival = rows["_trust"] >= part.rows["_trust"][k]
    return np.asarray((place | flanks) & rival)


def _stands_out(old: Part, part: Part, torn: np.ndarray) -> np.ndarray:
    """Which finer rows differ from the coarse footprints they lie in or beside, and are no pieces of them."""
    rows, x, y = part.rows, old.rows["_peak_x"], old.rows["_peak_y"]
    keep = np.ones(len(x), bool)
    bright = old.rows["polarity"] == "bright"
    level = part.background.at(part.background.level, *part.binned(x, y)[::-1])
    peak, mean = old.rows["_brightness"] / level, old.rows["contrast"] * old.rows["_surroundings"] / level
    for k in range(len(rows["x_centroid"])):
        near = _gap(old, part, k) < AROUND * rows["diameter_halfmax"][k] + 4.0 * part.factor
        # The darkest pixel of a wide dark place may be a shadow: beside what is believed its mean tells.
        ratio = np.where(bright | ~rows["_believed"][k], peak, mean)
        # inside: against the footprint; beside: against the surroundings at the coarse level
        inside = _inside(old, part, k)
        against = np.where(inside, rows["contrast"][k], 1.0)
        rival = rows["_trust"][k] >= old.rows["_trust"]
        distinct = np.where(bright, ratio > DISTINCT * against, DISTINCT * ratio < against)
        own = rows["contrast"][k]
        beyond = np.where(bright, ratio > DISTINCT * own, DISTINCT * ratio < own)
        alike = old.rows["polarity"] == rows["polarity"][k]
        for n in np.flatnonzero(near & rival & distinct & ~inside & alike & ~beyond):
            distinct[n] = not _is_flank(old, part, k, int(n))
        beside = np.flatnonzero(near)
        distinct[beside] &= ~_are_pieces(old, part, k, beside, ratio)
        keep &= ~near | ~rival | distinct
        # One place, which is so wide that its level followed it in the finer view.
        keep &= ~(_same_centre(old, part, k) & _fills(old, part, k) & rival)
        if torn[k]:
            keep &= ~_pieces(old, part, k)
    return keep


def _is_flank(old: Part, part: Part, k: int, n: int) -> bool:
    """Whether finer row ``n`` lies on the flank of a coarse one: half of its excess is all the way there.

    The finer view's level follows what is wide, so that its outer parts stand out there.
    """
    x, y = old.rows["_peak_x"][n], old.rows["_peak_y"][n]
    to_x, to_y = part.rows["x_centroid"][k], part.rows["y_centroid"][k]
    way = np.linspace(0.0, 1.0, max(int(np.hypot(to_x - x, to_y - y) / old.factor), 2))
    x, y = x + way * (to_x - x), y + way * (to_y - y)
    outside = np.logical_and.accumulate(~_lies_on(part, k, x, y))
    j, i = old.binned(x[outside], y[outside])
    b, level = old.background, part.background.at(part.background.level, *part.binned(x, y)[::-1])
    excess = b.at(b.level, i, j) * (1.0 + b.smooth[j, i]) / level[outside] - 1.0
    if old.rows["polarity"][n] == "dark":
        excess = -excess
    return bool(np.percentile(excess, FEW) >= FOOTPRINT_SHARE * excess[0])


def _are_pieces(old: Part, part: Part, k: int, which: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Which of the finer rows ``which`` (m,) are ragged and, with others as bright, fill much of a place.

    ``ratio`` (n,) is the finer rows' brightness over the coarse level.
    """
    on_it = np.flatnonzero(_pieces(old, part, k))
    strength = np.abs(np.log(np.maximum(ratio, 1e-3)))
    alike = strength[on_it][None, :] > strength[which][:, None] - np.log(DISTINCT)
    filled = alike @ (old.rows["diameter_halfmax"][on_it] / part.rows["diameter_halfmax"][k]) ** 2
    several = alike @ old.rows["_pieces"][on_it] >= SEVERAL
    return (old.rows["elongation"][which] > ROUND) & several & (filled >= PIECES_SHARE)


def numbered(parts: list[Part], number: np.ndarray) -> list[Part]:
    """Parts whose rows know their ``detection_id``; ``number`` holds those of all parts, in order."""
    ends = np.cumsum([len(part.rows["_object"]) for part in parts])[:-1]
    return [
        part._replace(rows={**part.rows, "detection_id": own})
        for part, own in zip(parts, np.split(number, ends), strict=True)
    ]


def number_footprints(shape: tuple[int, int], parts: list[Part]) -> np.ndarray:
    """Image of detection numbers, (rows, columns) int32; finer footprints lie on top."""
    labels = np.zeros(shape, np.int32)
    for part in parts:
        x0, y0 = part.corner
        for o, number in zip(part.rows["_object"], part.rows["detection_id"], strict=True):
            first_y, first_x, last_y, last_x = part.found.box[o]
            own = part.found.labels[first_y : last_y + 1, first_x : last_x + 1] == o + 1
            if part.factor > 1:
                own = np.kron(own, np.ones((part.factor, part.factor), bool))
            y, x = y0 + first_y * part.factor, x0 + first_x * part.factor
            window = labels[y : y + own.shape[0], x : x + own.shape[1]]
            window[own & (window == 0)] = number
    return labels
