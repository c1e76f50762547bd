"""From a frame to its spots: the settings, and the walk through the stations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, NamedTuple

from brightspot.errors import NothingLit, UsageError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from brightspot.background import Background
    from brightspot.frame import Frame
    from brightspot.geometry.view import DiskMesh
    from brightspot.outline import Outline
    from brightspot.pyramid import Part
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
choice, needs I/F). ``facula``: twice the surroundings. Dark outliers mirror them: contrast below 1/1.3, 1/2,
normal albedo below 0.094^2 / 0.12 = 0.074; an albedo below 0.094 that is asked for is that of dark ones.
"""

HIGHEST_THRESHOLD = 1e6
"""No image holds as much: counts and floats of any unit stay below over their surroundings."""

DISK_FUNCTIONS = ("akimov", "lunar_lambert", "lommel_seeliger", "lambert", "minnaert")
"""As ``photometry.DISK_FUNCTIONS``, repeated so that the settings load without numpy."""

FAINTEST_FITTED_LIGHT = 0.05
"""Least disk function where only limb and shading tell the Sun: about that of a Sun 3 degrees high."""

BELIEVED = 0.5
"""albedo_confidence from which objects are joined and told from each other, whatever is reported."""

GREATEST_BIAS_DN = 300.0
"""Greatest bias of raw counts, which have one of 250 to 300 DN (recalled, unverified): where no sky is in
view the darkest ground may be brighter."""

CANDIDATE_EXCESS = 0.15
"""Least peak excess that is looked at at all."""

CANDIDATE_SIGMA, CANDIDATE_SIGMA_DARK = 2.4, 2.0
"""... and in units of the local scatter: a permissive pass, the judge decides."""


class Candidates(NamedTuple):
    """What stands out in one polarity: objects and their features (n, len(FEATURES)), not yet judged.

    ``searched`` is the mesh of the blocks that were looked at, ``sun_azimuth_deg`` (n,) the Sun's line.
    """

    dark: bool
    segmentation: Segmentation
    features: np.ndarray
    searched: np.ndarray
    sun_azimuth_deg: np.ndarray


class Detection(NamedTuple):
    """The spots of one frame.

    Attributes
    ----------
    frame : Frame
        What was searched: that given, with every value masked that can be no light.
    catalog : pandas.DataFrame
        One row per spot; columns as in ``brightspot.COLUMNS``.
    segmentation : numpy.ndarray
        (rows, columns) int32: the ``detection_id`` whose footprint a pixel belongs to; 0 = none. Footprints
        of finer views lie on top, so a wide place may show fewer pixels than its ``n_pixels``.
    background : brightspot.background.Background
        Level, scatter and the levelled image.
    finder : SpotFinder
        The settings.
    notes : tuple of str
        Remarks on this search.
    parts : tuple of brightspot.pyramid.Part
        What was found at each binning: rows, objects and levelled images, for `outlines`.
    """

    frame: Frame
    catalog: pd.DataFrame
    segmentation: np.ndarray
    background: Background
    finder: SpotFinder
    notes: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()

    def __repr__(self) -> str:
        n, n_dark = len(self.catalog), int((self.catalog["polarity"] == "dark").sum())
        return f"<Detection of {self.frame.name}: {n - n_dark} bright, {n_dark} dark; see .catalog>"

    def outlines(self) -> list[Outline]:
        """Half-maximum outline of each detection, in the catalog's order: see `Outline`."""
        from brightspot.outline import trace_outlines

        return trace_outlines(self)


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
        No search where the Sun stands lower. Not asked where the view is fitted to the limb: its Sun is known
        to some degrees only, and what is lit shows.
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
        if not isinstance(self.keep_all, bool):
            raise UsageError(f"keep_all is {self.keep_all!r}; it is True or False")
        if not 0.0 <= self.min_confidence <= 1.0:
            raise UsageError(f"min_confidence is {self.min_confidence}; it lies between 0 and 1")
        if self.threshold is not None:
            least = 1 if self.kind == "contrast" else 0
            if not (isinstance(self.threshold, Real) and least < self.threshold < HIGHEST_THRESHOLD):
                between = f"between {least} and {HIGHEST_THRESHOLD:g}"
                raise UsageError(f"threshold is {self.threshold!r}; for {self.preset} it lies {between}")
        if self.disk_function not in DISK_FUNCTIONS:
            raise UsageError(
                f"unknown disk_function {self.disk_function!r}; choose one of {', '.join(DISK_FUNCTIONS)}"
            )
        whole = isinstance(self.n_pixels, Integral)
        if not whole or self.n_pixels < 1 or not 0.0 < self.psf_fwhm < 20.0:
            raise UsageError("n_pixels must be a whole number from 1 and psf_fwhm between 0 and 20 px")
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

    def limit_of(self, *, dark: bool) -> float:
        """The number for bright or for dark outliers: ratios to the surroundings or to Ceres are mirrored."""
        if self.kind == "sigma":
            return self.limit
        from brightspot import ceres

        typical = ceres.GEOMETRIC_ALBEDO if self.kind == "normal_albedo" else 1.0
        mirrored = typical**2 / self.limit
        return min(self.limit, mirrored) if dark else max(self.limit, mirrored)

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
        NothingLit
            If nothing in the frame is lit.
        UsageError
            If the preset needs what the frame does not carry, or it is no frame.
        """
        import numpy as np

        from brightspot.catalog import empty_catalog, tabulate, to_full_resolution, without_impossible
        from brightspot.frame import Frame, without_absurd
        from brightspot.judge import crowded_by
        from brightspot.pyramid import (
            Part,
            binnings,
            coarsen,
            join_once,
            number_footprints,
            numbered,
            without_spots,
        )

        if not isinstance(frame, Frame):
            raise UsageError(
                f"a frame is searched, not a {type(frame).__name__}: read_frame(path) reads one from a file, "
                "Frame.from_array(pixels, unit) makes one of an array"
            )
        frame = without_absurd(frame)
        parts: list[Part] = []
        crowds: dict[bool, float] = {}
        pedestal = _pedestal(frame)
        whole = left = mended(frame, pedestal)
        for factor, corner in binnings(frame.shape):
            # Large places with the small ones on them taken away, and once more as they are.
            for source in (left, whole) if left is not whole else (whole,):
                view = coarsen(source, factor, corner)
                try:
                    known = pedestal if factor == 1 else None
                    background, candidates = self.candidates(view, pedestal=known)
                except NothingLit:
                    if factor == 1:
                        raise
                    continue  # the lit part is narrower than a block of bins
                if factor == 1:
                    finest = background
                    crowds = {c.dark: crowded_by(c.features) for c in candidates}
                new = []
                for c in candidates:
                    finished = self._rows(view, background, c, factor, crowds[c.dark])
                    if finished is not None:
                        to_full_resolution(finished[1], factor, corner)
                        new.append(Part(factor, corner, background, *finished))
                parts = join_once(parts, new, as_is=source is whole)
            for part in parts:
                if part.factor == factor:
                    left = without_spots(left, part)
        if not self.keep_all:
            parts = [part.take(part.rows["albedo_confidence"] >= self.min_confidence) for part in parts]
            parts = [part for part in parts if len(part.rows["_object"])]
        if not parts:
            labels = np.zeros(frame.shape, np.int32)
            return Detection(frame, empty_catalog(), labels, finest, self)
        merged = {name: np.concatenate([part.rows[name] for part in parts]) for name in parts[0].rows}
        order = np.lexsort((merged["x_centroid"], merged["y_centroid"], -np.abs(merged["excess_area_px"])))
        number = np.empty(len(order), np.int32)
        number[order] = np.arange(1, len(order) + 1)
        parts = numbered(parts, number)
        labels = number_footprints(frame.shape, parts)
        rows = {name: np.asarray(column)[order] for name, column in merged.items()}
        catalog = tabulate(frame, without_impossible(frame, rows))
        return Detection(frame, catalog, labels, finest, self, parts=tuple(parts))

    def candidates(
        self, frame: Frame, *, every: bool = False, pedestal: float | None = None
    ) -> tuple[Background, list[Candidates]]:
        """Everything that stands out, before it is judged.

        Parameters
        ----------
        frame : Frame
            As `read_frame` gives it.
        every : bool
            Look at the surroundings of hopeless ones too.
        pedestal : float, optional
            Value of no light; by default looked for in the frame.

        Returns
        -------
        tuple
            The background, and one `Candidates` per polarity asked for.
        """
        import numpy as np

        from brightspot.background import estimate_background
        from brightspot.photometry import iof_factor
        from brightspot.segmentation import segment_outliers
        from brightspot.shading import describe, look, slope_gain, sun_axis_from_relief

        if self.kind == "normal_albedo" and (frame.geometry is None or iof_factor(frame) is None):
            raise UsageError(
                f"{frame.name}: preset absolute needs I/F and geometry, which this frame does not "
                "carry; use relative30 or ksigma"
            )
        disk, allowed, light = self._lighting(frame)
        pedestal = _pedestal(frame) if pedestal is None else pedestal
        background = estimate_background(frame.image, ~frame.mask, disk=disk, pedestal=pedestal)
        searched = np.isfinite(background.level)
        if allowed is not None:
            searched &= allowed
        found = []
        for dark in (False, True):
            if self.polarity == ("bright" if dark else "dark"):
                continue
            sigma = CANDIDATE_SIGMA_DARK if dark else CANDIDATE_SIGMA
            least = np.maximum(CANDIDATE_EXCESS, sigma * background.rms)
            threshold = np.where(searched, least, np.inf).astype(np.float32)
            found.append((dark, segment_outliers(background, threshold, dark=dark)))
        y, x = np.concatenate([objects.peak_yx for _, objects in found]).T
        if frame.geometry is None:
            azimuth, place = np.full(len(x), sun_axis_from_relief(background)), None
        else:
            ground = frame.geometry.ground(x, y)
            azimuth = ground.sun_azimuth_deg
            place = np.stack(
                [ground.incidence_deg, ground.emission_deg, frame.geometry.pixel_km(ground)], axis=-1
            )
        gain = None
        if light is not None:
            mu0, mu, phase_deg = (background.at(mesh, x, y) for mesh in light)
            gain = slope_gain(mu0, mu, phase_deg, self.disk_function)
        out, first = [], 0
        for dark, objects in found:
            own = slice(first, first + len(objects.peak))
            known = (None if of_all is None else of_all[own] for of_all in (gain, place))
            features = describe(background, objects, azimuth[own], *known, dark=dark, every=every)
            out.append(Candidates(dark, objects, features, searched, azimuth[own]))
            first = own.stop
        if not every:
            look(background, [(c.dark, c.segmentation, c.features, c.sun_azimuth_deg) for c in out])
        return background, out

    def _lighting(self, frame: Frame) -> tuple[np.ndarray, np.ndarray, DiskMesh] | tuple[None, None, None]:
        """On the mesh: disk function, where incidence and emission allow a search, and these themselves."""
        if frame.geometry is None or frame.orientation_doubtful:
            return None, None, None
        import numpy as np

        from brightspot.background import STEP, mesh_layout
        from brightspot.photometry import disk_map

        rows, columns, y0, x0 = mesh_layout(frame.shape)
        g = frame.geometry
        on_mesh = replace(
            g, shape=(rows * STEP, columns * STEP), origin_xy=(g.origin_xy[0] + x0, g.origin_xy[1] + y0)
        ).disk_mesh(STEP)
        disk = disk_map(self.disk_function, *on_mesh)
        with np.errstate(invalid="ignore"):
            allowed = on_mesh.mu >= np.cos(np.radians(self.max_emission_deg))
            if g.source == "limb":
                # A Sun fitted to the picture is known to some degrees only: what is lit shows in the pixels.
                disk = np.maximum(disk, FAINTEST_FITTED_LIGHT)
            else:
                allowed &= on_mesh.mu0 >= np.cos(np.radians(self.max_incidence_deg))
        return disk, allowed, on_mesh

    def _rows(
        self, frame: Frame, background: Background, candidates: Candidates, factor: int, crowd: float
    ) -> tuple[Segmentation, dict[str, np.ndarray]] | None:
        """Judge, choose, join, measure: objects and columns of one polarity; None if nothing is left.

        ``frame`` is binned by ``factor``, and so are the rows' pixels; ``crowd`` is that of the frame itself.
        """
        import numpy as np

        from brightspot.catalog import complete_rows
        from brightspot.footprint import enlarged, measure_footprints
        from brightspot.judge import albedo_confidence
        from brightspot.pairs import settle_places
        from brightspot.pyramid import LEAST_COARSE_WIDTH
        from brightspot.segmentation import without_detached

        dark, found, features, searched, azimuth = candidates
        if len(found.peak) == 0:
            return None
        confidence = albedo_confidence(features, dark=dark, crowd=crowd)
        # All that were looked at, whatever is reported: one's footprint is cut out of another's surroundings.
        found = without_detached(found, np.flatnonzero(confidence > 0.0))
        large = found.n_pixels * factor**2 >= self.n_pixels
        believed = large & (confidence >= BELIEVED)
        found, features, pieces, origin = settle_places(
            background, found, features, azimuth, believed, dark=dark, binned=factor > 1
        )
        confidence = confidence[origin]
        large = found.n_pixels * factor**2 >= self.n_pixels
        good = large if self.keep_all else large & (confidence >= min(self.min_confidence, BELIEVED))
        chosen = np.flatnonzero(good & (pieces > 0))
        if len(chosen) == 0:
            return None
        ends = self._end_of_footprint(frame, background, found, dark=dark)
        measured = measure_footprints(
            frame.image, background, found, frame.saturated, chosen, ends, dark=dark
        )
        rows = complete_rows(
            frame, background, found, features[chosen], chosen, measured,
            searched=searched, dark=dark, psf_fwhm=self.psf_fwhm * enlarged(frame) / factor,
            disk_model=self.disk_function,
        )  # fmt: skip
        rows["albedo_confidence"] = confidence[chosen]
        meets_preset = self._meets_preset(rows, dark=dark)
        rows["_trust"] = np.where(meets_preset, np.minimum(confidence[chosen], BELIEVED), 0.0)
        rows["_believed"] = rows["_trust"] == BELIEVED
        rows["_pieces"] = pieces[chosen]
        passes = np.ones(len(chosen), bool) if self.keep_all else meets_preset
        if factor > 1:
            passes &= rows["diameter_halfmax"] >= LEAST_COARSE_WIDTH
        return (found, {name: column[passes] for name, column in rows.items()}) if passes.any() else None

    def _end_of_footprint(
        self, frame: Frame, background: Background, found: Segmentation, *, dark: bool
    ) -> np.ndarray:
        """Excess over the surroundings at which each object's threshold footprint ends, (n,)."""
        import numpy as np

        y, x = found.peak_yx[:, 0], found.peak_yx[:, 1]
        if self.kind == "contrast":
            return np.full(len(y), abs(self.limit_of(dark=dark) - 1.0))
        if self.kind == "sigma":
            return self.limit * background.at(background.rms, x, y)
        from brightspot.catalog import normal_albedo

        surface = normal_albedo(frame, background.at(background.level, x, y), x, y, self.disk_function)
        end = self.limit_of(dark=dark) / surface - 1.0
        return np.maximum(-end if dark else end, 0.01)

    def _meets_preset(self, rows: dict[str, np.ndarray], *, dark: bool) -> np.ndarray:
        """Whether each row is, within one sigma of its error, what the preset calls a spot."""
        import numpy as np

        peak, rms, limit = rows["contrast_peak"], rows["background_rms"], self.limit_of(dark=dark)
        if self.kind == "sigma":
            return np.abs(peak - 1.0) >= limit * rms
        if self.kind == "normal_albedo":
            return rows["normal_albedo"] <= limit if dark else rows["normal_albedo"] >= limit
        return peak - rms <= limit if dark else peak + rms >= limit


def mended(frame: Frame, pedestal: float | None = None) -> Frame:
    """The frame as it is searched: float32, spikes mended; what was one is not saturated."""
    import numpy as np

    from brightspot.background import without_spikes

    pedestal = _pedestal(frame) if pedestal is None else pedestal
    image = np.ascontiguousarray(frame.image, np.float32)
    image, spikes = without_spikes(image, ~frame.mask, pedestal)
    saturated = frame.saturated.copy()
    saturated[tuple(spikes.T)] = False
    return replace(frame, image=image, saturated=saturated)


def _pedestal(frame: Frame) -> float:
    """Value of no light: bias of raw counts, black level of pictures; calibrated frames have none.

    The sky off the limb where the geometry knows it, else the darkest hundredth of raw counts, which is lit
    ground if it is above any bias.
    """
    import numpy as np

    if frame.unit not in ("DN", "display"):
        return 0.0
    sky = _sky(frame)
    if sky is not None or frame.unit != "DN":
        return sky or 0.0
    # Below zero is what was never counted; in fractions of one light is told, whatever the label lacks.
    counts = frame.image[~frame.mask & (frame.image >= 0.0)]
    if counts.size == 0:
        return 0.0
    darkest, brightest = np.percentile(counts, (1.0, 99.0))
    return 0.0 if brightest < 1.0 else float(min(darkest, GREATEST_BIAS_DN))


def _sky(frame: Frame) -> float | None:
    """Median of the sky off the limb; None without geometry, or where little or no sky is in view."""
    import numpy as np

    if frame.geometry is None:
        return None
    step = 16
    off = ~np.isfinite(frame.geometry.disk_mesh(step).mu0)
    sky = frame.image[step // 2 :: step, step // 2 :: step]
    off = off[: sky.shape[0], : sky.shape[1]] & ~frame.mask[step // 2 :: step, step // 2 :: step]
    return float(np.median(sky[off])) if off.sum() > 50 else None
