"""One image as it enters the detector: pixels, what they mean, where they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from brightspot.geometry import ViewingGeometry

UNITS = ("DN", "W m-2 sr-1", "W m-2 sr-1 nm-1", "I/F", "display")
"""What a pixel value can be. ``display``: a picture stretched for the eye, radiometrically meaningless."""


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
        (rows, columns) float32, C order, native byte order. Values are finite where ``mask`` is False.
    mask : numpy.ndarray
        (rows, columns) bool, True where a pixel says nothing (missing, dead, not finite).
    saturated : numpy.ndarray
        (rows, columns) bool, True where the value is a lower limit only.
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
        From label, SPICE or limb.
    scale : brightspot.scale.ScaleChoice or None
        Every km per pixel at hand and which one is believed; None until `locate` was called.
    sun_distance_km : float or None
        Heliocentric distance where the label tells it.
    label : Mapping
        The label's or header's facts, flat, as read.
    notes : tuple of str
        One-line remarks for the person who looks at the results.
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

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.image.shape[0], self.image.shape[1]

    @property
    def display_stretched(self) -> bool:
        """True where contrast is relative, not radiometric."""
        return self.unit == "display"
