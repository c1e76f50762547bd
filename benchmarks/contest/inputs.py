"""What every finder is given of a frame: its pixels raw and levelled, a mask, and numbers to cut on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sep

from brightspot.frame import Frame
from brightspot.photometry import disk_map

GREATEST_ANGLE_DEG = 82.0
"""Incidence and emission beyond which no finder is asked to look, where the geometry is known."""

LIT_SHARE = 0.06
"""Without geometry a pixel is lit where it exceeds this share of the bright surface."""

MARGIN = 32
"""Pixels of sky that are kept around the lit ground."""

LEVELS = ("disk", "local")
"""Ways to level: by the disk function alone, and by a smooth local background besides."""


@dataclass(frozen=True)
class Inputs:
    """Pixels of one frame.

    Attributes
    ----------
    image : numpy.ndarray
        (rows, columns) float32, 1 at the bright end of the surface; 0 where a pixel says nothing.
    bad, lit : numpy.ndarray
        Bool: pixels that say nothing; ground lit and seen well enough.
    incidence_deg, emission_deg : numpy.ndarray
        float32; 0 without geometry.
    disk : numpy.ndarray
        Disk function, 1 without geometry; 1 off the lit ground.
    corner_xy : numpy.ndarray
        (2,): where the planes begin in the frame.
    """

    image: np.ndarray
    bad: np.ndarray
    lit: np.ndarray
    incidence_deg: np.ndarray
    emission_deg: np.ndarray
    disk: np.ndarray
    corner_xy: np.ndarray

    @cached_property
    def by_disk(self) -> np.ndarray:
        """Brightness in units of the typical surface under this light; 1 off the lit ground."""
        flat = self.image / self.disk
        return np.where(self.lit, flat / np.median(flat[self.lit]), 1.0).astype(np.float32)

    @cached_property
    def by_local(self) -> np.ndarray:
        """Ratio to the smooth local background; 1 off the lit ground."""
        level = sep.Background(self.by_disk, mask=~self.lit, bw=32, bh=32, fw=5, fh=5).back()
        return np.where(self.lit, self.by_disk / np.maximum(level, 0.05), 1.0).astype(np.float32)

    @cached_property
    def smooth(self) -> tuple[np.ndarray, np.ndarray]:
        """`by_local` and `by_disk`, each over 3 x 3 binomial weights."""
        import cv2

        return cv2.GaussianBlur(self.by_local, (3, 3), 0), cv2.GaussianBlur(self.by_disk, (3, 3), 0)

    def pixels(self, level: str | None) -> np.ndarray:
        """Raw pixels (None) or levelled ones."""
        return {None: self.image, "disk": self.by_disk, "local": self.by_local}[level]

    def cut_columns(self, points: np.ndarray) -> np.ndarray:
        """Contrast, brightness in disk units, incidence at frame pixels (n, 2); contrast 0 off lit ground."""
        rows, columns = self.image.shape
        x, y = (points - self.corner_xy).T
        i = np.clip(np.rint(x).astype(int), 1, columns - 2)
        j = np.clip(np.rint(y).astype(int), 1, rows - 2)
        around = [(j + dj, i + di) for dj in (-1, 0, 1) for di in (-1, 0, 1)]
        contrast, brightness = (np.max([plane[at] for at in around], axis=0) for plane in self.smooth)
        seen = np.any([self.lit[at] for at in around], axis=0)
        return np.column_stack([np.where(seen, contrast, 0.0), brightness, self.incidence_deg[j, i]])


def prepare(frame: Frame, *, whole: bool = False) -> Inputs:
    """The inputs of a frame as it was read.

    Geometry counts where a label tells it; what was fitted to the limb knows the Sun too badly to divide by.
    Sky that is farther than `MARGIN` from lit ground is left off unless the ``whole`` frame is wanted: it
    holds nothing and costs time.
    """
    bad = frame.mask | ~np.isfinite(frame.image)
    image = np.where(bad, 0.0, frame.image).astype(np.float32)
    incidence = np.zeros(image.shape, np.float32)
    emission, disk = incidence.copy(), np.ones(image.shape, np.float32)
    if frame.geometry is not None and frame.geometry.source == "label" and not frame.orientation_doubtful:
        mesh = frame.geometry.disk_mesh(1)
        with np.errstate(invalid="ignore"):
            incidence, emission = (np.degrees(np.arccos(np.clip(c, -1, 1))) for c in (mesh.mu0, mesh.mu))
        lit = (incidence < GREATEST_ANGLE_DEG) & (emission < GREATEST_ANGLE_DEG) & ~bad
        disk = np.where(lit, disk_map("akimov", *mesh), 1.0).astype(np.float32)
    else:
        lit = (image > LIT_SHARE * np.percentile(image[image > 0.2 * np.percentile(image, 99.5)], 90)) & ~bad
    image /= np.float32(np.percentile(image[lit], 90))
    box = (slice(None), slice(None)) if whole else _around(lit)
    corner_xy = np.array([box[1].start or 0, box[0].start or 0])
    planes = (image, bad, lit, incidence, emission, disk)
    return Inputs(*(np.ascontiguousarray(plane[box]) for plane in planes), corner_xy)


def _around(lit: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns that hold all lit ground."""
    rows, columns = (np.flatnonzero(lit.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(int(rows[0]) - MARGIN, 0), int(rows[-1]) + MARGIN + 1),
        slice(max(int(columns[0]) - MARGIN, 0), int(columns[-1]) + MARGIN + 1),
    )
