"""From a frame to its spots: the settings, and the walk through the stations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from brightspot.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from brightspot.background import Background
    from brightspot.frame import Frame
    from brightspot.segmentation import Segmentation

PRESETS = {
    "relative30": ("contrast", 1.3),
    "ksigma": ("sigma", 5.0),
    "absolute": ("normal_albedo", 0.12),
    "facula": ("contrast", 2.0),
}
"""Named definitions of a spot: what is compared, and with what.

``relative30``: 30 per cent above the surroundings, after Palomba et al. 2019 (Icarus; threshold unverified).
``ksigma``: 5 times the scatter of the surroundings. ``absolute``: normal albedo 0.12, above Ceres' 0.094 (our
choice, needs I/F). ``facula``: twice the surroundings. Dark outliers mirror them (contrast below 1/1.3, 1/2).
"""

DISK_FUNCTIONS = ("akimov", "lunar_lambert", "lommel_seeliger", "lambert", "minnaert")
"""As ``photometry.DISK_FUNCTIONS``, repeated so that the settings load without numpy."""

CANDIDATE_EXCESS = 0.10
"""Least peak excess that is looked at at all."""

CANDIDATE_SIGMA = 2.0
"""... and in units of the local scatter: a permissive pass, the judge decides."""


FACTORS = (1, 4, 16)
"""Binnings at which spots are looked for: the level follows what is wider than 88 binned pixels."""

LEAST_COARSE_SIDE = 48
"""Least side of a binned image."""

LEAST_COARSE_WIDTH = 6.0
"""Half-maximum diameter in binned pixels from which a coarse detection counts; finer ones see the rest."""

DISTINCT = 1.3
"""Contrast by which a spot on or beside a larger one is a place of its own."""


class Candidates(NamedTuple):
    """What stands out in one polarity: objects and their features (n, len(FEATURES)), not yet judged."""

    dark: bool
    segmentation: Segmentation
    features: np.ndarray


class Detection(NamedTuple):
    """The spots of one frame.

    Attributes
    ----------
    frame : Frame
        What was searched.
    catalog : pandas.DataFrame
        One row per spot; columns as in ``brightspot.COLUMNS``.
    segmentation : numpy.ndarray
        (rows, columns) int32: the ``detection_id`` whose footprint a pixel belongs to; 0 = none.
    background : brightspot.background.Background
        Level, scatter and the levelled image.
    finder : SpotFinder
        The settings.
    notes : tuple of str
        Remarks on this search.
    """

    frame: Frame
    catalog: pd.DataFrame
    segmentation: np.ndarray
    background: Background
    finder: SpotFinder
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SpotFinder:
    """Finds places on Ceres that are brighter or darker than their surroundings.

    Call it with a frame: ``SpotFinder()(frame)`` gives a `Detection`.

    Attributes
    ----------
    preset : str
        What counts as a spot: relative30, ksigma, absolute or facula.
    threshold : float, optional
        The preset's number, if another is wanted (contrast, sigmas or normal albedo).
    polarity : str
        bright, dark or both.
    min_confidence : float
        Least albedo_confidence that is reported.
    keep_all : bool
        Report candidates of any confidence and contrast.
    n_pixels : int
        Least number of pixels above half maximum.
    psf_fwhm : float
        Full width of the PSF at half maximum in pixels; 1.3 to 1.6 for the Framing Cameras (unverified).
    disk_function : str
        Light divided out: akimov, lunar_lambert, lommel_seeliger, lambert or minnaert.
    max_incidence_deg : float
        No search where the Sun stands lower.
    max_emission_deg : float
        No search where the camera looks more obliquely.
    """

    preset: str = "relative30"
    threshold: float | None = None
    polarity: str = "both"
    min_confidence: float = 0.5
    keep_all: bool = False
    n_pixels: int = 2
    psf_fwhm: float = 1.4
    disk_function: str = "akimov"
    max_incidence_deg: float = 82.0
    max_emission_deg: float = 82.0

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise UsageError(f"unknown preset {self.preset!r}; choose one of {', '.join(PRESETS)}")
        if self.polarity not in ("bright", "dark", "both"):
            raise UsageError(f"unknown polarity {self.polarity!r}; choose bright, dark or both")
        if not 0.0 <= self.min_confidence <= 1.0:
            raise UsageError(f"min_confidence is {self.min_confidence}; it lies between 0 and 1")
        if self.threshold is not None and not self.threshold > (1.0 if self.kind == "contrast" else 0.0):
            raise UsageError(f"threshold is {self.threshold}; for {self.preset} it must be larger")
        if self.disk_function not in DISK_FUNCTIONS:
            raise UsageError(
                f"unknown disk_function {self.disk_function!r}; choose one of {', '.join(DISK_FUNCTIONS)}"
            )
        if self.n_pixels < 1 or not 0.0 < self.psf_fwhm < 20.0:
            raise UsageError("n_pixels must be at least 1 and psf_fwhm between 0 and 20 px")
        if not (0.0 < self.max_incidence_deg <= 90.0 and 0.0 < self.max_emission_deg <= 90.0):
            raise UsageError("max_incidence_deg and max_emission_deg lie between 0 and 90")

    @property
    def kind(self) -> str:
        """What the preset compares: contrast, sigma or normal_albedo."""
        return PRESETS[self.preset][0]

    @property
    def limit(self) -> float:
        """The number it is compared with."""
        return PRESETS[self.preset][1] if self.threshold is None else self.threshold

    def __call__(self, frame: Frame) -> Detection:
        """Search a frame.

        Parameters
        ----------
        frame : Frame
            As `read_frame` gives it.

        Returns
        -------
        Detection

        Raises
        ------
        BrightspotError
            If nothing in the frame is lit, or the preset needs what the frame does not carry.
        """
        import numpy as np

        from brightspot.catalog import empty_catalog, tabulate, to_full_resolution

        parts: list[_Part] = []
        for factor, corner, view, background, candidates in self.views(frame):
            if factor == 1:
                finest = background
            new = []
            for c in candidates:
                rows = self._rows(view, background, c, factor)
                if rows is not None:
                    to_full_resolution(rows, factor, corner)
                    new.append(_Part(factor, corner, background, c.segmentation.labels, rows))
            parts = _once(parts, new)
        if not parts:
            labels = np.zeros(frame.shape, np.int32)
            return Detection(frame, empty_catalog(), labels, finest, self)
        merged = {name: np.concatenate([part.rows[name] for part in parts]) for name in parts[0].rows}
        order = np.lexsort((merged["x_centroid"], merged["y_centroid"], -np.abs(merged["excess_area_px"])))
        number = np.empty(len(order), np.int32)
        number[order] = np.arange(1, len(order) + 1)
        labels = _number_footprints(frame.shape, parts, number)
        catalog = tabulate(frame, {name: np.asarray(column)[order] for name, column in merged.items()})
        return Detection(frame, catalog, labels, finest, self)

    def views(
        self, frame: Frame
    ) -> Iterator[tuple[int, tuple[int, int], Frame, Background, list[Candidates]]]:
        """What stands out at each binning: small places in the frame itself, large ones in binned views.

        Yields
        ------
        tuple
            Binning factor; the frame's pixel (x, y) where the first bin begins; the binned frame; its
            background; its candidates.
        """
        from brightspot.background import mesh_layout

        for factor in FACTORS:
            if factor > 1 and min(frame.shape) // factor < LEAST_COARSE_SIDE:
                break
            _, _, y0, x0 = mesh_layout(frame.shape, factor)
            view = frame if factor == 1 else _coarsen(frame, factor, (x0, y0))
            yield factor, (x0, y0), view, *self.candidates(view)

    def candidates(self, frame: Frame) -> tuple[Background, list[Candidates]]:
        """Everything that stands out, before it is judged.

        Parameters
        ----------
        frame : Frame
            As `read_frame` gives it.

        Returns
        -------
        tuple
            The background, and one `Candidates` per polarity asked for.
        """
        import numpy as np

        from brightspot.background import estimate_background
        from brightspot.photometry import iof_factor
        from brightspot.segmentation import segment_outliers
        from brightspot.shading import describe, sun_axis_from_relief

        if self.kind == "normal_albedo" and (frame.geometry is None or iof_factor(frame) is None):
            raise UsageError(
                f"{frame.name}: preset absolute needs I/F and geometry, which this frame does not "
                "carry; use relative30 or ksigma"
            )
        disk, allowed, gain = self._lighting(frame)
        background = estimate_background(frame.image, ~frame.mask, disk=disk, pedestal=_pedestal(frame))
        searched = np.isfinite(background.level)
        if allowed is not None:
            searched &= allowed
        least = np.maximum(CANDIDATE_EXCESS, CANDIDATE_SIGMA * background.rms)
        threshold = np.where(searched, least, np.inf).astype(np.float32)
        out = []
        from_relief = sun_axis_from_relief(background) if frame.geometry is None else np.nan
        for dark in (False, True):
            if self.polarity == ("bright" if dark else "dark"):
                continue
            found = segment_outliers(background, threshold, dark=dark)
            azimuth = np.full(len(found.peak), from_relief)
            if frame.geometry is not None:
                y, x = found.peak_yx.T
                azimuth = frame.geometry.ground(x, y).sun_azimuth_deg
            features = describe(background, found, azimuth, gain, dark=dark)
            out.append(Candidates(dark, found, features))
        return background, out

    def _lighting(self, frame: Frame) -> tuple[np.ndarray | None, ...]:
        """On the mesh: disk function, where incidence and emission allow a search, what slopes can do."""
        if frame.geometry is None:
            return None, None, None
        import numpy as np

        from brightspot.background import STEP, mesh_layout
        from brightspot.photometry import disk_map
        from brightspot.shading import slope_gain

        rows, columns, y0, x0 = mesh_layout(frame.shape)
        g = frame.geometry
        on_mesh = replace(
            g, shape=(rows * STEP, columns * STEP), origin_xy=(g.origin_xy[0] + x0, g.origin_xy[1] + y0)
        ).disk_mesh(STEP)
        with np.errstate(invalid="ignore"):
            allowed = (on_mesh.mu0 >= np.cos(np.radians(self.max_incidence_deg))) & (
                on_mesh.mu >= np.cos(np.radians(self.max_emission_deg))
            )
        model = self.disk_function
        return disk_map(model, *on_mesh), allowed, slope_gain(*on_mesh, model)

    def _rows(
        self, frame: Frame, background: Background, candidates: Candidates, factor: int
    ) -> dict[str, np.ndarray] | None:
        """Judge, choose, measure: finished columns of one polarity; None if nothing is left.

        ``frame`` is binned by ``factor``, and so are the rows' pixels.
        """
        import numpy as np

        from brightspot.catalog import complete_rows, measure_footprints
        from brightspot.shading import albedo_confidence

        dark, found, features = candidates
        if len(found.peak) == 0:
            return None
        confidence = albedo_confidence(features, dark=dark)
        good = found.n_pixels >= self.n_pixels
        if not self.keep_all:
            good &= confidence >= self.min_confidence
        chosen = np.flatnonzero(good)
        if len(chosen) == 0:
            return None
        ends = self._end_of_footprint(frame, background, found, dark=dark)
        measured = measure_footprints(background, found, frame.saturated, chosen, ends, dark=dark)
        rows = complete_rows(
            frame, background, found, features[chosen], chosen, measured,
            dark=dark, psf_fwhm=self.psf_fwhm / factor, disk_model=self.disk_function,
        )  # fmt: skip
        rows["albedo_confidence"] = confidence[chosen]
        passes = np.ones(len(chosen), bool) if self.keep_all else self._meets_preset(rows, dark=dark)
        if factor > 1:
            passes &= rows["diameter_halfmax"] >= LEAST_COARSE_WIDTH
        return {name: column[passes] for name, column in rows.items()} if passes.any() else None

    def _end_of_footprint(
        self, frame: Frame, background: Background, found: Segmentation, *, dark: bool
    ) -> np.ndarray:
        """Excess over the surroundings at which each object's threshold footprint ends, (n,)."""
        import numpy as np

        y, x = found.peak_yx[:, 0], found.peak_yx[:, 1]
        if self.kind == "contrast":
            return np.full(len(y), 1.0 - 1.0 / self.limit if dark else self.limit - 1.0)
        if self.kind == "sigma":
            return self.limit * background.at(background.rms, x, y)
        from brightspot.catalog import normal_albedo

        surface = normal_albedo(frame, background.at(background.level, x, y), x, y, self.disk_function)
        end = self.limit / surface - 1.0
        return np.maximum(-end if dark else end, 0.01)

    def _meets_preset(self, rows: dict[str, np.ndarray], *, dark: bool) -> np.ndarray:
        """Whether each row is, within one sigma of its error, what the preset calls a spot."""
        import numpy as np

        peak, rms = rows["contrast_peak"], rows["background_rms"]
        if self.kind == "sigma":
            return np.abs(peak - 1.0) >= self.limit * rms
        if self.kind == "normal_albedo":
            return rows["normal_albedo"] <= self.limit if dark else rows["normal_albedo"] >= self.limit
        return peak - rms <= 1.0 / self.limit if dark else peak + rms >= self.limit


class _Part(NamedTuple):
    """Rows of one polarity found at one binning, with the labels their ``_object`` refers to.

    Binned pixel (y, x) covers the frame's pixels from ``corner`` (x, y) + factor * (x, y).
    """

    factor: int
    corner: tuple[int, int]
    background: Background
    labels: np.ndarray
    rows: dict[str, np.ndarray]

    def take(self, keep: np.ndarray) -> _Part:
        """The rows for which ``keep`` is True."""
        return self._replace(rows={name: column[keep] for name, column in self.rows.items()})

    def binned(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of the binned pixels under the frame's pixels, as integers within the image."""
        import numpy as np

        j = np.floor((y + 0.5 - self.corner[1]) / self.factor).astype(int)
        i = np.floor((x + 0.5 - self.corner[0]) / self.factor).astype(int)
        rows, columns = self.labels.shape
        return np.clip(j, 0, rows - 1), np.clip(i, 0, columns - 1)


def _coarsen(frame: Frame, factor: int, corner: tuple[int, int]) -> Frame:
    """The frame binned by ``factor``: means of the good pixels; geometry and scale to match."""
    import numpy as np

    from brightspot._kernels.background import block_means

    rows, columns = frame.shape[0] // factor, frame.shape[1] // factor
    x0, y0 = corner
    layout = (factor, y0, x0, rows, columns)
    no_floor = np.float32(-np.inf)
    image, share = block_means(frame.image, ~frame.mask, np.float32(0.0), no_floor, *layout)
    full, _ = block_means(frame.saturated.astype(np.float32), ~frame.mask, np.float32(0.0), no_floor, *layout)
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
        saturated=full > 0.0,
        geometry=geometry,
        scale=scale,
        origin_xy=(0.0, 0.0),
    )


def _once(finer: list[_Part], coarse: list[_Part]) -> list[_Part]:
    """Rows of finer and coarser binning together, each place once.

    A coarse footprint that a finer one fills to a third is the same place and is left out. Within and
    around a footprint that stays, finer rows stay only where they stand out from it as well: a fragment of
    it, or its rim against a level that it has itself raised, does not.
    """
    import numpy as np

    out = list(finer)
    kept = []
    for part in coarse:
        rows = part.rows
        fresh = np.ones(len(rows["x_centroid"]), bool)
        for k in range(len(fresh)):
            area = np.pi / 4.0 * rows["diameter_halfmax"][k] ** 2
            for old in out:
                j, i = part.binned(old.rows["x_centroid"], old.rows["y_centroid"])
                inside = part.labels[j, i] == rows["_object"][k] + 1
                same = old.rows["polarity"] == rows["polarity"][k]
                filled = np.pi / 4.0 * old.rows["diameter_halfmax"] ** 2 > area / 3.0
                if np.any(inside & same & filled):
                    fresh[k] = False
        part = part.take(fresh)
        if not fresh.any():
            continue
        kept.append(part)
        out = [old.take(_stands_out(old, part)) for old in out]
    return [p for p in out + kept if len(p.rows["x_centroid"])]


def _stands_out(old: _Part, part: _Part) -> np.ndarray:
    """Which finer rows differ from the coarse footprints they lie in or beside."""
    import numpy as np

    rows, x, y = part.rows, old.rows["x_centroid"], old.rows["y_centroid"]
    keep = np.ones(len(x), bool)
    j, i = part.binned(x, y)
    ratio = old.rows["_brightness"] / part.background.at(part.background.level, i, j)
    bright = old.rows["polarity"] == "bright"
    for k in range(len(rows["x_centroid"])):
        inside = part.labels[j, i] == rows["_object"][k] + 1
        gap = np.hypot(x - rows["x_centroid"][k], y - rows["y_centroid"][k])
        near = gap < 0.75 * rows["diameter_halfmax"][k] + 4.0 * part.factor
        # inside: against the footprint; beside: against the surroundings at the coarse level
        against = np.where(inside, rows["contrast"][k], 1.0)
        share = ratio / against
        keep &= ~near | np.where(bright, share > DISTINCT, share < 1.0 / DISTINCT)
    return keep


def _number_footprints(shape: tuple[int, int], parts: list[_Part], number: np.ndarray) -> np.ndarray:
    """Image of detection numbers, (rows, columns) int32; finer footprints lie on top."""
    import numpy as np

    labels = np.zeros(shape, np.int32)
    start = 0
    for part in parts:
        n = len(part.rows["_object"])
        table = np.zeros(int(part.labels.max()) + 1, np.int32)
        table[part.rows["_object"] + 1] = number[start : start + n]
        start += n
        numbered = table[part.labels]
        if part.factor > 1:
            wide = np.zeros(shape, np.int32)
            block = np.kron(numbered, np.ones((part.factor, part.factor), np.int32))
            x0, y0 = part.corner
            wide[y0 : y0 + block.shape[0], x0 : x0 + block.shape[1]] = block
            numbered = wide
        labels = np.where(labels > 0, labels, numbered)
    return labels


def _pedestal(frame: Frame) -> float:
    """Value of no light: bias of raw counts, black level of pictures; calibrated frames have none.

    The sky off the limb where the geometry knows it, else the darkest hundredth of raw counts.
    """
    import numpy as np

    if frame.unit not in ("DN", "display"):
        return 0.0
    if frame.geometry is not None:
        step = 16
        off = ~np.isfinite(frame.geometry.disk_mesh(step).mu0)
        sky = frame.image[step // 2 :: step, step // 2 :: step]
        off = off[: sky.shape[0], : sky.shape[1]] & ~frame.mask[step // 2 :: step, step // 2 :: step]
        if off.sum() > 50:
            return float(np.median(sky[off]))
    seen = frame.image[~frame.mask]
    return float(np.percentile(seen, 1.0)) if frame.unit == "DN" and seen.size else 0.0
