"""One image as it enters the detector: pixels, what they mean, where they are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from brightspot import articles, ceres, geometry
from brightspot import scale as scales
from brightspot.camera import Camera
from brightspot.errors import GeometryError, ScaleError, UsageError
from brightspot.geometry import ViewingGeometry
from brightspot.limb import LimbFit, fit_limb

UNITS = ("DN", "W m-2 sr-1", "W m-2 sr-1 nm-1", "I/F", "display")
"""What a pixel value can be. ``display``: a picture stretched for the eye, radiometrically meaningless."""

ABSURD = 1e30
"""Magnitude from which a value is one of the Standards' stand-ins (1E32 "unknown") or noise, not light."""


@dataclass(frozen=True)
class Frame:
    """One image, turned so that row 0 is the top.

    Attributes
    ----------
    name : str
        The ``frame`` column of every table: the input's path relative to what was given,
        plus ``#NNN`` for a picture inside an animation.
    path : Path or None
        The file the pixels came from; None for frames made in memory.
    image : numpy.ndarray
        (rows, columns) float32, C order, native byte order. Values are finite where ``mask`` is False. What
        is masked in a masked array is taken over into ``mask``.
    mask : numpy.ndarray
        (rows, columns) bool, True where a pixel says nothing (missing, dead, not finite).
    saturated : numpy.ndarray
        (rows, columns) bool, True where the value is a lower limit only; of the shape of image and mask, or a
        `UsageError` says so.
    unit : str
        One of `UNITS`.
    camera, filter_number, level : str, int, str or None
        ``"FC1"``/``"FC2"``, 1-8, ``"1A"``/``"1B"``/``"1C"``; None where not known.
    start_time : datetime or None
        START_TIME of the label (UTC, naive); the exposure opens 0.193 s later.
    exposure_s : float or None
        Exposure in seconds.
    target : str or None
        ``"CERES"``, another body's name in capitals, or None where the file does not say.
    subframe : bool
        True where the frame is a part of the 1024 x 1024 active array.
    origin_xy : tuple of float
        Detector pixel (sample, line from the top) of the frame's pixel (0, 0).
    geometry : ViewingGeometry or None
        From label, SPICE or limb; of the image's shape.
    scale : brightspot.scale.ScaleChoice or None
        Every km per pixel at hand and which one is believed; None until `locate` was called.
    sun_distance_km : float or None
        Heliocentric distance where the label tells it.
    label : Mapping
        The label's or header's facts, flat, as read.
    notes : tuple of str
        One-line remarks for the person who looks at the results.
    orientation_doubtful : bool
        True where the picture looks like a flipped view of what label or kernels predict.
    """

    name: str
    path: Path | None
    image: np.ndarray
    mask: np.ndarray
    saturated: np.ndarray
    unit: str
    camera: str | None = None
    filter_number: int | None = None
    level: str | None = None
    start_time: datetime | None = None
    exposure_s: float | None = None
    target: str | None = None
    subframe: bool = False
    origin_xy: tuple[float, float] = (0.0, 0.0)
    geometry: ViewingGeometry | None = None
    scale: Any = None
    sun_distance_km: float | None = None
    label: Mapping[str, Any] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()
    orientation_doubtful: bool = False

    def __post_init__(self) -> None:
        """Refuse what does not go together; masks of other types than bool become bool."""
        if self.unit not in UNITS:
            raise UsageError(f"{self.name}: unit {self.unit!r} is none of {', '.join(UNITS)}")
        shapes = [np.shape(values) for values in (self.image, self.mask, self.saturated)]
        if len(shapes[0]) != 2 or len(set(shapes)) > 1:
            told = ", ".join("x".join(map(str, shape)) for shape in shapes)
            raise UsageError(
                f"{self.name}: image, mask and saturated have the shapes {told}: "
                "give rows and columns, the same for all three"
            )
        if isinstance(self.image, np.ma.MaskedArray):
            lost = np.ma.getmaskarray(self.image) | np.asarray(self.mask, bool)
            object.__setattr__(self, "mask", lost)
        image = _numbers(self.name, np.asarray(self.image))
        object.__setattr__(self, "image", image.astype(np.float32) if image.dtype.kind == "b" else image)
        for name in ("mask", "saturated"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), bool))
        if self.geometry is not None and tuple(self.geometry.shape) != self.shape:
            told = ", the image ".join("x".join(map(str, of)) for of in (self.geometry.shape, self.shape))
            raise UsageError(
                f"{self.name}: the geometry is that of {told} pixels: give it the shape and origin_xy of "
                "what was cut out, or None"
            )

    @classmethod
    def from_array(
        cls,
        image: ArrayLike,
        unit: str,
        *,
        name: str = "array",
        mask: ArrayLike | None = None,
        saturated: ArrayLike | None = None,
    ) -> Frame:
        """Make a frame of pixels at hand, as other software has read them; `locate` gives it a scale.

        Parameters
        ----------
        image : array_like or numpy.ma.MaskedArray
            (rows, columns) of numbers, row 0 the top; copied to float32. What is not finite is masked.
        unit : str
            One of `UNITS`.
        name : str
            What the tables are to call it.
        mask, saturated : array_like of bool, optional
            (rows, columns): True where a pixel says nothing, where it is a lower limit only.

        Returns
        -------
        Frame

        Raises
        ------
        UsageError
            If the pixels are no real numbers or the shapes differ.
        """
        given = _numbers(name, np.ma.asarray(image))
        with np.errstate(over="ignore"):  # what is too large for float32 is not finite, and masked
            pixels = np.ma.masked_invalid(given.astype(np.float32), copy=False)
        lost, full = (np.zeros(pixels.shape, bool) if m is None else np.asarray(m) for m in (mask, saturated))
        return cls(name, None, pixels, lost, full, unit)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.image.shape[0], self.image.shape[1]

    @property
    def display_stretched(self) -> bool:
        """True where contrast is relative, not radiometric."""
        return self.unit == "display"


def _numbers(name: str, image: np.ndarray) -> np.ndarray:
    """Pixels as they are, if they can be any."""
    if image.dtype.kind not in "buif":
        raise UsageError(f"{name}: {image.dtype} is no type of pixels: give integers or floats")
    return image


def without_absurd(frame: Frame) -> Frame:
    """The frame with every value that can be no light masked, as the readers do; itself if there is none.

    A frame made in memory may hold such values: their sums would overflow and take the ground along.
    """
    image = frame.image
    # Smallest and largest tell whether anything is odd at all: NaN makes both comparisons false.
    if float(image.min(initial=0.0)) > -ABSURD and float(image.max(initial=0.0)) < ABSURD:
        return frame
    absurd = ~(np.abs(image) < ABSURD)
    if not (absurd & ~frame.mask).any():
        return frame
    return replace(frame, image=np.where(absurd, np.float32(0.0), image), mask=frame.mask | absurd)


class Told(NamedTuple):
    """What the user says of every frame, checked: at most one of the two numbers."""

    scale_km: float | None
    altitude_km: float | None
    kernels: tuple[str, ...]


def check_told(
    scale_km: float | None = None,
    altitude_km: float | None = None,
    kernels: Iterable[str | os.PathLike[str]] = (),
    *,
    jobs: int | None = None,
) -> Told:
    """Refuse what no frame could be located with, before any of them is read.

    Parameters
    ----------
    scale_km, altitude_km : float, optional
        Kilometres per pixel, or kilometres above the surface.
    kernels : iterable of path-like
        SPICE kernels or metakernels.
    jobs : int, optional
        Worker processes that are to do it.

    Raises
    ------
    UsageError
        If a number is out of range, both numbers are given, or a kernel is no file.
    """
    if jobs is not None and jobs < 1:
        raise UsageError(f"jobs must be 1 or more, not {jobs}")
    if scale_km is not None and altitude_km is not None:
        raise UsageError("give either a scale in km per pixel or an altitude in km, not both")
    if scale_km is not None:
        scale_km = scales.positive(scale_km, "scale", "kilometres per pixel")
    if altitude_km is not None:
        altitude_km = scales.positive(altitude_km, "altitude", "kilometres above the surface")
    files = tuple(os.fspath(kernel) for kernel in kernels)
    for kernel in files:
        if not Path(kernel).is_file():
            raise UsageError(f"{kernel}: no such kernel file")
    return Told(scale_km, altitude_km, files)


def locate(
    frame: Frame,
    *,
    scale_km: float | None = None,
    altitude_km: float | None = None,
    kernels: Sequence[str | Path] = (),
    observation: articles.Observation | None = None,
) -> Frame:
    """Find out where a frame is on Ceres and how many kilometres its pixels cover.

    Parameters
    ----------
    frame : Frame
        As a reader made it.
    scale_km : float, optional
        Kilometres per pixel; overrides every other source.
    altitude_km : float, optional
        Altitude above the surface; overrides every other source but ``scale_km``.
    kernels : sequence of path
        SPICE kernels; they go before the label.
    observation : Observation, optional
        What an account says of this view; by default matched by date, then by file name.

    Returns
    -------
    Frame
        With ``geometry`` (SPICE, else label, else limb), ``scale`` and more ``notes``.

    Raises
    ------
    UsageError
        If a value given is impossible.
    """
    # A kernel that is missing costs its view, not the frame: the label may have one.
    scale_km, altitude_km, _ = check_told(scale_km, altitude_km)
    frame = without_absurd(frame)
    if frame.target not in (None, "CERES"):
        return _another_body(frame, scale_km, altitude_km)
    notes = list(frame.notes)
    views = _views(frame, kernels, notes)
    if observation is None and frame.start_time is not None:
        observation = articles.match(date=frame.start_time)
    if observation is None:
        observation = articles.match(name=frame.name)
    placed = _place(frame, views[0]) if views else None
    limb = _limb(frame, placed)
    if views and _contradicted(views[0], limb, notes):
        views = [view for view in views[1:] if not _contradicted(view, limb, notes)]
        placed = _place(frame, views[0]) if views else None
    choice = scales.choose_scale(
        geometry=views,
        map_km_per_pixel=_number(frame.label, "MAP_SCALE"),
        limb=limb,
        user_scale_km=scale_km,
        user_altitude_km=altitude_km,
        observation=observation,
        camera=frame.camera or "FC2",
        filter_number=frame.filter_number or 1,
        shape=frame.shape,
        native=frame.unit != "display",
        label_pixel_scale_km=_number(frame.label, "HORIZONTAL_PIXEL_SCALE"),
    )
    notes += choice.conflicts
    if choice.enlarged:
        notes.append(f"picture enlarged {choice.enlargement:.2g} times from the camera's pixels")
    if choice.believed is None:
        notes.append("no scale: no label, limb or matching account; give --scale-km or --altitude-km")
    view, doubtful = None, False
    if placed is not None:
        view, doubtful = placed.view, placed.doubtful
        notes += placed.notes
    elif isinstance(limb, LimbFit):
        view = _limb_view(frame, limb, choice, notes)
    once = tuple(dict.fromkeys(notes))  # a frame may be located again
    return replace(frame, geometry=view, scale=choice, notes=once, orientation_doubtful=doubtful)


GREATEST_DISAGREEMENT = 1.25
"""Factor between the scales of a view and a well-fitted limb beyond which the view is another picture's."""


def _contradicted(view: ViewingGeometry, limb: LimbFit | str, notes: list[str]) -> bool:
    """Whether a whole, well-fitted limb rules out a view: vectors in other units, another frame's label."""
    if not isinstance(limb, LimbFit) or limb.quality != "good":
        return False
    told = view.target_center_distance_km * view.camera.mean_ifov_rad
    seen = scales.limb_scale_km(limb, view.altitude_km)
    if max(told / seen, seen / told) < GREATEST_DISAGREEMENT:
        return False
    notes.append(
        f"geometry of the {view.source} not used: it says {told:.3g} km per pixel, the limb {seen:.3g}"
    )
    return True


def _another_body(frame: Frame, scale_km: float | None, altitude_km: float | None) -> Frame:
    """Ceres' figure and what was told of Ceres say nothing here: only the user's scale counts."""
    choice = scales.choose_scale(
        limb=f"the target is {frame.target}: Ceres' figure does not apply",
        user_scale_km=scale_km,
        user_altitude_km=altitude_km,
        camera=frame.camera or "FC2",
        filter_number=frame.filter_number or 1,
    )
    note = f"the target is {frame.target}, not Ceres: no geometry, scale only from the user"
    return replace(frame, geometry=None, scale=choice, notes=(*frame.notes, note))


def _views(frame: Frame, kernels: Sequence[str | Path], notes: list[str]) -> list[ViewingGeometry]:
    """Geometry from SPICE and from the label, as far as they are to be had."""
    # A view that was fitted to the limb before is no view of its own.
    views = [] if frame.geometry is None or frame.geometry.source == "limb" else [frame.geometry]
    if not kernels:
        return views
    if frame.camera is None or frame.filter_number is None:
        notes.append("kernels not used: the file does not say which camera and filter it is from")
        return views
    try:
        spice = geometry.from_spice(
            kernels,
            camera=Camera.framing_camera(frame.camera, frame.filter_number),
            shape=frame.shape,
            origin_xy=frame.origin_xy,
            start_time=frame.start_time,
            exposure_s=frame.exposure_s,
            sclk_start=frame.label.get("SPACECRAFT_CLOCK_START_COUNT"),
        )
    except GeometryError as error:
        notes.append(f"no geometry from the kernels: {error}")
        return views
    notes[:] = [note for note in notes if not note.startswith("no geometry from the label")]
    return [spice, *views]


class _Placed(NamedTuple):
    """A view laid on the picture; ``seen`` is True where its limb is where it should be."""

    view: ViewingGeometry
    doubtful: bool
    seen: bool
    notes: tuple[str, ...]


LARGE_SHIFT_PX = 30.0
"""Labels point to a fraction of a pixel: a shift beyond this is said in degrees, too."""


def _place(frame: Frame, view: ViewingGeometry) -> _Placed:
    """The view, turned onto the picture's limb and light, and what is to be said of it."""
    moved, shift = geometry.refine_pointing(view, frame.image, frame.mask)
    check = geometry.check_orientation(moved, frame.image, frame.mask)
    if check.agrees is False:
        how = f"looks like the {view.source}'s view flipped ({check.best_flip})"
        if check.scores[check.best_flip] < geometry.MINIMUM_SCORE:
            how = f"does not resemble the {view.source}'s view, whichever way it is turned or moved"
        note = f"the picture {how}: latitudes and longitudes are doubtful"
        return _Placed(view, True, False, (note,))
    if shift.verdict == "lost":
        said = f"the limb is not where the {view.source} puts it"
        if any(shift.measured_px):
            dx, dy = shift.measured_px
            said += (
                f"; measured shift ({dx:+.1f}, {dy:+.1f}) px not applied because only"
                f" {100 * shift.inlier_share:.0f} % of the limb agrees with it"
            )
        doubtful = check.agrees is not True
        return _Placed(view, doubtful, False, (said + ": latitudes and longitudes are doubtful" * doubtful,))
    seen = shift.n_limb_points > 0
    if shift.verdict == "unsure":
        dx, dy = shift.measured_px
        note = f"measured shift ({dx:+.1f}, {dy:+.1f}) px not applied because light and shade fit no better"
        return _Placed(view, False, False, (note + " with it",))
    if not shift.verdict.startswith("moved"):
        return _Placed(view, False, seen, ())
    size = float(np.hypot(shift.dx_px, shift.dy_px))
    least, most = shift.error_px
    onto = "onto the limb" if seen else "onto light and shade"
    note = f"pointing moved by ({shift.dx_px:+.2f}, {shift.dy_px:+.2f}) px {onto}, good to {most:.1f} px"
    if shift.verdict == "moved across":
        note = (
            f"pointing moved by ({shift.dx_px:+.2f}, {shift.dy_px:+.2f}) px {onto}, good to {least:.1f} px,"
            " in that direction only: at right angles to it the picture does not tell"
        )
    if size > LARGE_SHIFT_PX:
        off_deg = float(np.degrees(size * view.camera.mean_ifov_rad))
        note += f"; the {view.source} points {off_deg:.2f} degree beside what the picture shows"
    return _Placed(moved, False, seen, (note,))


BRIGHTEST_SKY, BRIGHTEST_STRETCHED_SKY = 0.1, 0.3
"""Share of the lit surface's level that the sky may have: stray light gives it a hundredth, the stretch of
published pictures up to 0.26. On brighter ground a large bright spot would be taken for Ceres."""

SMALL_DISK_PX = 80.0
"""Radius in pixels below which stretched pictures are held to the smaller share: spots are seldom larger."""

BRIGHTEST_RAW_SKY_DN = 1000.0
"""Greatest level of the sky in raw counts: well above the bias (about 270 DN, recalled, unverified)."""


def _in_the_sky(limb: LimbFit, unit: str) -> bool:
    """Whether the disk that was found stands before a sky, not on lit ground."""
    if unit == "DN":
        return limb.sky < BRIGHTEST_RAW_SKY_DN
    stretched = unit == "display" and limb.semi_major_px > SMALL_DISK_PX
    return limb.sky < (BRIGHTEST_STRETCHED_SKY if stretched else BRIGHTEST_SKY) * limb.surface


def _limb(frame: Frame, placed: _Placed | None) -> LimbFit | str:
    """The limb's ellipse, or why there is none; looked for where a view that was found puts it."""
    if "MAP_PROJECTION_TYPE" in frame.label:
        return "map-projected: no limb"
    near = None
    if placed is not None and placed.seen:
        x, y, _ = placed.view.limb(90)
        near = (float(x.mean()), float(y.mean()), float(np.hypot(x - x.mean(), y - y.mean()).mean()))
    try:
        limb = fit_limb(frame.image, frame.mask, near=near)
    except ScaleError as error:
        return str(error)
    if near is None and not _in_the_sky(limb, frame.unit):
        return "no limb in view: what lies around the brightest place is lit as well"
    return limb


def _limb_view(
    frame: Frame, limb: LimbFit, choice: scales.ScaleChoice, notes: list[str]
) -> ViewingGeometry | None:
    """Geometry from limb and shading: angles and areas, no longitudes."""
    radii = np.asarray(ceres.RADII_KM)
    km_per_pixel = scales.limb_scale_km(limb, choice.altitude_km)
    # A user's scale makes the whole body larger or smaller; the angles stay.
    told = next((s.km_per_pixel for s in choice.candidates if s.source == "limb"), None)
    if told is not None and choice.believed is not None:
        radii = radii * (choice.believed.km_per_pixel / told)
    stretch = float(radii[0]) / ceres.RADII_KM[0]
    try:
        view = geometry.from_limb(
            (limb.center_x, limb.center_y),
            km_per_pixel * stretch,
            shape=frame.shape,
            axis_ratio=limb.semi_minor_px / limb.semi_major_px,
            pole_azimuth_deg=limb.position_angle_deg + 90.0,
            sun_camera=limb.sun_camera,
            image=frame.image,
            mask=frame.mask,
            sun_distance_km=frame.sun_distance_km or 2.77 * ceres.AU_KM,
            radii_km=(float(radii[0]), float(radii[1]), float(radii[2])),
        )
    except GeometryError as error:
        notes.append(f"no geometry from the limb: {error}")
        return None
    if choice.altitude_km is None:
        return view
    # Seen from the true distance: the middle of the disk is nearer than its limb.
    distance_km = (choice.altitude_km + ceres.MEAN_RADIUS_KM) * stretch
    camera = replace(view.camera, focal_length_mm=distance_km / (km_per_pixel * stretch))
    toward = view.spacecraft_km / np.linalg.norm(view.spacecraft_km)
    return replace(view, camera=camera, spacecraft_km=distance_km * toward)


def _number(label: Mapping[str, Any], key: str) -> float | None:
    """A positive number from a label, else None."""
    value = label.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if np.isfinite(value) and value > 0 else None
