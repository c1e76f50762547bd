"""What a detection is made of: columns, flags, and the row of each footprint.

In: the measured footprints of one frame (pixels), the frame's geometry or scale. Out: a pandas DataFrame
with the columns of `COLUMNS`; a value that is not known is NaN or empty, never 0.
"""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from brightspot import photometry
from brightspot.footprint import RESOLVED, Place, axes_km, enlarged, find_place, remove_psf, undilute
from brightspot.judge import FEATURES
from brightspot.shading import reasons, slope_needed_deg

if TYPE_CHECKING:
    import pandas as pd

    from brightspot.background import Background
    from brightspot.frame import Frame
    from brightspot.segmentation import Segmentation


class Flag(IntFlag):
    """What to keep in mind about a detection."""

    SATURATED = 1
    """Some pixels are at the ceiling: contrast, excess and albedo are lower limits."""
    UNRESOLVED = 2
    """Narrower than 2.3 px at half maximum: the size is an upper limit."""
    EDGE = 4
    """At the limb, the terminator or the frame's edge: part of it may be missing."""
    HIGH_INC = 8
    """Incidence above 75 degrees."""
    HIGH_EMI = 16
    """Emission above 70 degrees."""
    NO_GEOMETRY = 32
    """No latitude and longitude: the picture says nothing of where it looks."""
    SCALE_ASSUMED = 64
    """Kilometres rest on a limb fit, an article or the user, not on label or SPICE."""
    STRAYLIGHT = 128
    """Narrow-band filter whose in-field stray light is not removed at this level."""
    SUBFRAME = 256
    """The frame is a part of the detector."""
    BLEND = 512
    """Touches a neighbour: sizes and sums are shared out between them."""
    LOWPIX = 1024
    """Fewer than four pixels above half maximum."""
    DISPLAY_STRETCH = 2048
    """Stretched for display: contrast is relative, not radiometric."""
    SCALE_CONFLICT = 4096
    """Two sources of the scale disagree by more than their errors."""
    ORIENTATION = 8192
    """The label's orientation and the picture do not agree: position may be mirrored."""
    LOST_PIXELS = 16384
    """Some of its pixels are missing or masked."""


class Column(NamedTuple):
    """Name, unit and meaning of one column, and its UCD: the Virtual Observatory's word for such a quantity.

    UCDs are of the controlled vocabulary UCD1+ (IVOA); empty where it has none.
    """

    name: str
    unit: str
    meaning: str
    ucd: str = ""


_UCDS = {
    name: ucd
    for ucd, names in (
        ("meta.id;obs", "frame"),
        ("meta.id", "detection_id"),
        ("meta.code", "polarity"),
        ("pos.cartesian.x;instr.det", "x_centroid"),
        ("pos.cartesian.y;instr.det", "y_centroid"),
        ("pos.bodyrc.lat", "latitude_deg"),
        ("pos.bodyrc.lon", "longitude_deg"),
        ("pos.resolution", "pixel_scale_km"),
        ("stat.error;pos.resolution", "pixel_scale_error_km"),
        ("meta.note", "scale_source reasons"),
        ("phys.size.diameter", "diameter_km diameter_halfmax_km diameter_deconvolved_km"),
        ("stat.error;phys.size.diameter", "diameter_error_km"),
        ("phys.size.diameter;stat.max", "diameter_limit_km"),
        ("phys.size.diameter;instr.det", "diameter_halfmax"),
        ("phys.size", "major_axis_km minor_axis_km"),
        ("phys.area", "area_km2 excess_area_km2"),
        ("phot.flux;arith.ratio", "contrast contrast_peak"),
        ("stat.snr", "snr contrast_to_texture"),
        ("stat.stdev", "background_rms"),
        ("phys.reflectance", "iof"),
        ("phys.albedo", "equigonal_albedo normal_albedo"),
        ("pos.incidenceAng", "incidence_deg"),
        ("pos.emergenceAng", "emission_deg"),
        ("pos.phaseAng", "phase_deg"),
        ("stat.probability", "albedo_confidence"),
        ("phys.size.axisRatio", "elongation"),
        ("meta.number;instr.pixel", "n_pixels"),
        ("meta.code.qual", "flags"),
    )
    for name in names.split()
}

COLUMNS = tuple(
    Column(*row, _UCDS.get(row[0], ""))
    for row in (
        ("frame", "", "input relative to what was given; #NNN is a picture of an animation"),
        ("detection_id", "", "number within the frame, largest excess first"),
        ("polarity", "", "bright or dark against the surroundings"),
        ("x_centroid", "px", "sample from 0 at the centre of the left column"),
        ("y_centroid", "px", "line from 0 at the centre of the top row"),
        ("latitude_deg", "deg", "planetocentric latitude on the 482 x 482 x 446 km spheroid"),
        ("longitude_deg", "deg", "east longitude, 0 to 360"),
        ("pixel_scale_km", "km", "width of a pixel there, across the line of sight"),
        ("pixel_scale_error_km", "km", "its error, 1 sigma"),
        ("scale_source", "", "spice, label, map, limb, user or article"),
        ("diameter_km", "km", "circle of the area above the preset's contrast"),
        ("diameter_halfmax_km", "km", "circle of the area above half the peak excess"),
        ("diameter_deconvolved_km", "km", "disc that looks as wide as diameter_halfmax_km behind the PSF"),
        ("diameter_error_km", "km", "error of diameter_halfmax_km, 1 sigma, scale included"),
        ("diameter_limit_km", "km", "upper limit of the true disc's diameter where it is UNRESOLVED"),
        ("diameter_halfmax", "px", "as diameter_halfmax_km, in pixels, foreshortening not removed"),
        (
            "major_axis_km",
            "km",
            "longest axis at half maximum, in the tangent plane; empty if unresolved or beyond the body",
        ),
        ("minor_axis_km", "km", "shortest axis there; empty where the spot is narrower than 2.3 px"),
        ("area_km2", "km2", "ground area above the preset's contrast"),
        (
            "excess_area_km2",
            "km2",
            "sum of (ratio to surroundings - 1) x ground area; < 0 if dark or by shade",
        ),
        ("contrast", "", "mean ratio to the surroundings above half maximum"),
        ("contrast_peak", "", "ratio to the surroundings at the peak"),
        ("snr", "", "mean excess over the scatter of the surroundings, for its area"),
        ("background_rms", "", "scatter of the surroundings' ratio, relief and noise together"),
        ("iof", "", "mean radiance factor I/F above half maximum, as blurred: low below some 10 px"),
        (
            "equigonal_albedo",
            "",
            "iof of a disc that the PSF would so dilute, over the disk function; UNRESOLVED: a lower limit",
        ),
        ("normal_albedo", "", "equigonal albedo divided by the phase function; likewise"),
        ("incidence_deg", "deg", "Sun's angle to the spheroid's normal"),
        ("emission_deg", "deg", "camera's angle to the spheroid's normal"),
        ("phase_deg", "deg", "angle between Sun and camera"),
        ("slope_needed_deg", "deg", "tilt toward the Sun that would do it without albedo; 90 if none can"),
        ("albedo_confidence", "", "probability that albedo makes it, not relief nor ejecta"),
        ("contrast_to_texture", "", "peak excess over the local scatter"),
        ("ring_share", "", "fifth brightest of 16 directions just outside, over the peak"),
        ("shade_beside", "", "deepest shade beside it along the Sun's line, over the peak; 0 none"),
        ("sun_line_net", "", "net excess along the Sun's line, over its own: 1 albedo, 0 relief"),
        ("elongation", "", "major over minor axis in the picture"),
        ("sharpness", "", "four neighbours over the peak pixel, or less: the PSF's, or a cosmic ray's"),
        ("n_pixels", "", "pixels above half maximum"),
        ("reasons", "", "what decided, in words"),
        ("flags", "", "names of the flags, joined by |"),
    )
)
"""Every column of detections.csv, in order."""

CORRELATED_PIXELS = 7.1
"""Pixels that the 3 x 3 binomial kernel averages: 1 / sum of its squared weights."""


def normal_albedo(
    frame: Frame, level: np.ndarray, x: np.ndarray, y: np.ndarray, disk_model: str = "akimov"
) -> np.ndarray:
    """Normal albedo of pixel values at pixels; NaN without geometry or calibration.

    Parameters
    ----------
    frame : Frame
        Gives unit, filter, distance to the Sun and geometry.
    level : numpy.ndarray
        (n,) values in the frame's unit.
    x, y : numpy.ndarray
        (n,) pixels.
    disk_model : str
        Disk function.
    """
    return _albedos(frame, level, find_place(frame, x, y), disk_model)[2]


def _albedos(
    frame: Frame, value: np.ndarray, place: Place, disk_model: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """I/F, equigonal albedo and normal albedo of pixel values."""
    factor = photometry.iof_factor(frame)
    iof = (
        np.full(len(value), np.nan)
        if factor is None
        else factor[0] * np.asarray(value, np.float64) + factor[1]
    )
    angles = (place.incidence_deg, place.emission_deg, place.phase_deg)
    equigonal = photometry.equigonal_albedo(iof, *angles, model=disk_model)
    return iof, equigonal, photometry.normal_albedo(equigonal, place.phase_deg)


def complete_rows(
    frame: Frame,
    background: Background,
    segmentation: Segmentation,
    features: np.ndarray,
    chosen: np.ndarray,
    measured: dict[str, np.ndarray],
    *,
    searched: np.ndarray,
    dark: bool,
    psf_fwhm: float,
    disk_model: str,
) -> dict[str, np.ndarray]:
    """Catalog columns of the chosen objects, kilometres and angles included.

    Parameters
    ----------
    frame, background, segmentation
        The frame and what the stations before made of it.
    features : numpy.ndarray
        (n, len(FEATURES)) of the chosen objects.
    chosen : numpy.ndarray
        (n,) indices of objects.
    measured : dict
        As from `measure_footprints` for the same objects.
    searched : numpy.ndarray
        Mesh of bool, the blocks that were looked at.
    dark : bool
        The objects are darker than their surroundings.
    psf_fwhm : float
        Full width at half maximum of the PSF, px.
    disk_model : str
        Disk function for albedos and slopes.

    Returns
    -------
    dict
        (n,) arrays by column name, and ``_object``, the index of each row's object.
    """
    m, sign = measured, -1.0 if dark else 1.0
    x, y = m["x"], m["y"]
    place = find_place(frame, x, y)
    contrast, peak = 1.0 + sign * m["mean"], 1.0 + sign * m["peak"]
    halfmax = np.sqrt(4.0 / np.pi * m["area"])
    disc = remove_psf(halfmax, psf_fwhm)
    # The PSF widens with an enlarged picture, and so does the least size that can be told.
    narrowest = RESOLVED * enlarged(frame)
    unresolved = halfmax < narrowest
    pixel_km = np.sqrt(place.pixel_area_km2)
    believed = frame.scale.believed if frame.scale is not None else None
    scale_error = 0.0 if believed is None else believed.error_km_per_pixel / believed.km_per_pixel
    blur = psf_fwhm * m["rms"] / np.maximum(m["peak"], 1e-6)
    error = np.sqrt(0.15**2 + (0.5 * blur) ** 2 + (2.0 * blur) ** 2 / np.maximum(np.pi * halfmax, 1.0))
    error_km = pixel_km * np.hypot(error, halfmax * scale_error)
    peak_y, peak_x = segmentation.peak_yx[chosen].T
    surroundings = 1.0 + sign * m["offset"]
    # A spot's own brightness, where its size can be told: its excess less the blur's dilution.
    factor = np.where(unresolved, 1.0, undilute(halfmax, psf_fwhm))
    own = np.maximum(1.0 + sign * m["mean"] * factor, 0.0) / np.maximum(contrast, 1e-6)
    value = m["value"] - background.pedestal
    iof = _albedos(frame, value, place, disk_model)[0]
    _, equigonal, normal = _albedos(frame, value * own, place, disk_model)
    # The facet that would have to do it faces a neighbourhood whose mean slope is the spheroid's.
    lit = np.maximum(peak, 0.0)  # noise below no light at all
    slope = slope_needed_deg(lit, place.incidence_deg, place.emission_deg, place.phase_deg, disk_model)
    major, minor = axes_km(m, place.scale_km, psf_fwhm, narrowest)
    feature = dict(zip(FEATURES, features.T.astype(np.float64), strict=True))
    flags = _flags(frame, place, m, segmentation.saddle[chosen] > 0, unresolved, background, searched)
    return {
        "_object": chosen,
        "polarity": np.full(len(x), "dark" if dark else "bright", object),
        "x_centroid": x,
        "y_centroid": y,
        "latitude_deg": place.latitude_deg,
        "longitude_deg": place.longitude_deg,
        "pixel_scale_km": place.pixel_scale_km,
        "pixel_scale_error_km": place.pixel_scale_km * (np.nan if believed is None else scale_error),
        "scale_source": np.full(len(x), believed.source if believed is not None else "", object),
        "diameter_km": _empty_if_zero(np.sqrt(4.0 / np.pi * m["threshold_area"] * place.pixel_area_km2)),
        "diameter_halfmax_km": halfmax * pixel_km,
        "diameter_deconvolved_km": np.where(unresolved, np.nan, disc * pixel_km),
        "diameter_error_km": error_km,
        "diameter_limit_km": np.where(unresolved, halfmax * pixel_km + 2.0 * error_km, np.nan),
        "diameter_halfmax": halfmax,
        "major_axis_km": np.where(unresolved, np.nan, major),
        "minor_axis_km": np.where(unresolved, np.nan, minor),
        "area_km2": _empty_if_zero(m["threshold_area"] * place.pixel_area_km2),
        "excess_area_km2": sign * m["excess"] * place.pixel_area_km2,
        "contrast": contrast,
        "contrast_peak": peak,
        "snr": m["mean"] / m["rms"] * np.sqrt(np.maximum(m["n"] / CORRELATED_PIXELS, 1.0)),
        "background_rms": m["rms"],
        "iof": iof,
        "equigonal_albedo": equigonal,
        "normal_albedo": normal,
        "incidence_deg": place.incidence_deg,
        "emission_deg": place.emission_deg,
        "phase_deg": place.phase_deg,
        "slope_needed_deg": slope,
        "contrast_to_texture": feature["contrast_to_texture"],
        "ring_share": feature["ring_share"],
        "shade_beside": feature["shade_beside"],
        "sun_line_net": feature["sun_line_net"],
        "elongation": feature["elongation"],
        "sharpness": feature["sharpness"],
        "n_pixels": m["n"].astype(int),
        "reasons": np.asarray(reasons(features, slope), object),
        "flags": np.asarray(flag_names(flags), object),
        "excess_area_px": m["excess"],
        "_peak_x": peak_x.astype(float),
        "_peak_y": peak_y.astype(float),
        "_brightness": background.at(background.level, peak_x, peak_y) * surroundings * peak,
        "_surroundings": background.at(background.level, peak_x, peak_y) * surroundings,
        "_half_maximum": surroundings * 0.5 * (1.0 + peak) - 1.0,
    }


def to_full_resolution(rows: dict[str, np.ndarray], factor: int, corner: tuple[int, int]) -> None:
    """Turn rows measured on a binned frame into the frame's own pixels, in place.

    Parameters
    ----------
    rows : dict
        As from `complete_rows`.
    factor : int
        Pixels per binned pixel; 1 changes nothing.
    corner : tuple of int
        The frame's pixel (x, y) at which the first binned pixel begins.
    """
    for name, start in (
        ("x_centroid", corner[0]),
        ("y_centroid", corner[1]),
        ("_peak_x", corner[0]),
        ("_peak_y", corner[1]),
    ):
        rows[name] = rows[name] * factor + start + 0.5 * (factor - 1) if factor > 1 else rows[name]
    rows["diameter_halfmax"] = rows["diameter_halfmax"] * factor
    for name in ("pixel_scale_km", "pixel_scale_error_km"):
        rows[name] = rows[name] / factor
    for name in ("n_pixels", "excess_area_px"):
        rows[name] = rows[name] * factor**2


def without_impossible(frame: Frame, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Finished columns without numbers that no ground can have: the last thing done to them.

    Noise in shadow, or a pedestal above the darkest of the picture, leave less than no light; a line thinner
    than the smoothing has a mean beyond its peak; a band bent along the terminator has a straight axis longer
    than the body is wide. The judge believes none of them, but they are listed where all are asked for.

    Parameters
    ----------
    frame : Frame
        Gives the body's size.
    rows : dict
        Arrays of equal length by column name.
    """
    mean = np.maximum(rows["contrast"], 0.0)
    peak = np.maximum(rows["contrast_peak"], 0.0)
    beyond = np.where(rows["polarity"] == "dark", np.minimum(peak, mean), np.maximum(peak, mean))
    light = ("iof", "equigonal_albedo", "normal_albedo")
    widest_km = np.inf if frame.geometry is None else 2.0 * max(frame.geometry.radii_km)
    axes = ("major_axis_km", "minor_axis_km")
    return rows | {
        "contrast": mean,
        "contrast_peak": beyond,
        **{name: np.maximum(rows[name], 0.0) for name in light},
        **{name: np.where(rows[name] <= widest_km, rows[name], np.nan) for name in axes},
    }


def _empty_if_zero(value: np.ndarray) -> np.ndarray:
    return np.where(value > 0.0, value, np.nan)


def _flags(
    frame: Frame,
    place: Place,
    m: dict[str, np.ndarray],
    blended: np.ndarray,
    unresolved: np.ndarray,
    background: Background,
    searched: np.ndarray,
) -> np.ndarray:
    """Flags of each row, (n,) int."""
    scale = frame.scale
    believed = scale.believed if scale is not None else None
    whole = Flag(0)
    if frame.geometry is None or not frame.geometry.longitude_known:
        whole |= Flag.NO_GEOMETRY
    if scale is not None and believed is not None and scale.assumed:
        whole |= Flag.SCALE_ASSUMED
    if scale is not None and scale.conflicts:
        whole |= Flag.SCALE_CONFLICT
    if frame.display_stretched:
        whole |= Flag.DISPLAY_STRETCH
    if frame.subframe:
        whole |= Flag.SUBFRAME
    if frame.filter_number is not None and frame.filter_number > 1 and frame.level in ("1A", "1B"):
        whole |= Flag.STRAYLIGHT
    if frame.orientation_doubtful:
        whole |= Flag.ORIENTATION
    beside = np.zeros(len(m["x"]), bool)
    reach = np.maximum(background.step, 0.5 * m["height"])
    for dy in (-1, 1):
        for dx in (-1, 1):
            # What reaches into blocks that are not looked at lies at the limb or the terminator.
            beside |= ~background.at(searched, m["x"] + dx * reach, m["y"] + dy * reach)
    with np.errstate(invalid="ignore"):
        parts = (
            (m["saturated"] > 0, Flag.SATURATED),
            (unresolved, Flag.UNRESOLVED),
            ((m["edge"] > 0) | beside, Flag.EDGE),
            (place.incidence_deg > 75.0, Flag.HIGH_INC),
            (place.emission_deg > 70.0, Flag.HIGH_EMI),
            (blended, Flag.BLEND),
            (m["n"] < 4, Flag.LOWPIX),
            (m["lost"] > 0, Flag.LOST_PIXELS),
        )
    out = np.full(len(m["x"]), int(whole))
    for where, flag in parts:
        out |= np.where(where, int(flag), 0)
    return out


def empty_catalog() -> pd.DataFrame:
    """A catalog without rows, with every column."""
    import pandas as pd

    return pd.DataFrame({column.name: pd.Series(dtype=_dtype(column)) for column in COLUMNS})


_TEXT = ("frame", "polarity", "scale_source", "reasons", "flags")
_WHOLE = ("detection_id", "n_pixels")


def _dtype(column: Column) -> type:
    if column.name in _TEXT:
        return str
    return int if column.name in _WHOLE else float


def flag_names(flags: np.ndarray) -> list[str]:
    """``"EDGE|BLEND"`` for each value; an empty string for none."""
    members = [(str(member.name), int(member)) for member in Flag]
    return ["|".join(name for name, bit in members if value & bit) for value in np.asarray(flags).tolist()]


def tabulate(frame: Frame, rows: dict[str, np.ndarray]) -> pd.DataFrame:
    """Catalog of one frame from its finished columns; missing columns are empty.

    Parameters
    ----------
    frame : Frame
        Gives the ``frame`` column.
    rows : dict
        Arrays of equal length by column name; rows are numbered in the order given.
    """
    import pandas as pd

    n = len(next(iter(rows.values())))
    if n == 0:
        return empty_catalog()
    data: dict[str, object] = {}
    for column in COLUMNS:
        if column.name == "frame":
            data[column.name] = [frame.name] * n
        elif column.name == "detection_id":
            data[column.name] = np.arange(1, n + 1)
        elif column.name in rows:
            data[column.name] = rows[column.name]
        else:
            data[column.name] = [""] * n if column.name in _TEXT else np.full(n, np.nan)
    return pd.DataFrame(data)
