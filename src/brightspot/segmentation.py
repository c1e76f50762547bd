"""Outliers of the levelled image, each one object with a footprint.

In: the smoothed levelled image, its scatter on a mesh, a threshold on that mesh. Out: an
int32 image of object numbers (from 1; 0 = none) where each object holds the pixels above half
of its own peak, and one row per object.

Each pixel goes to the peak that its highest neighbour, and that one's, lead to. From the highest saddle
down, where the pixels of two peaks meet, the lower one is kept apart only if it stands out
above the saddle between them by a share of its own height and by the local scatter
(the persistence of a peak). So a ragged deposit stays one and a pair becomes two, at any contrast.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from brightspot.background import Background

SADDLE_DEPTH_SHARE = 0.25
"""A fainter neighbour stays apart where it stands this share of its height above the saddle."""

SADDLE_DEPTH_SIGMA = 2.0
"""... and at least this many local scatters."""

FOOTPRINT_SHARE = 0.5
"""A footprint holds the pixels above this share of the peak: half maximum."""


class Segmentation(NamedTuple):
    """Objects found in one sign of the levelled image.

    Attributes
    ----------
    labels : numpy.ndarray
        (rows, columns) int32, 0 or the object's number from 1.
    peak : numpy.ndarray
        (n,) float32, peak of the smoothed excess (bright: I/level - 1; dark: 1 - I/level); the objects are
        in its order, the highest first.
    peak_yx : numpy.ndarray
        (n, 2) int32.
    saddle : numpy.ndarray
        (n,) float32, highest saddle to a neighbour kept apart; 0 where there is none.
    box : numpy.ndarray
        (n, 4) int32: first y, first x, last y, last x of the footprint.
    n_pixels : numpy.ndarray
        (n,) int32, pixels in the footprint.
    neighbour : numpy.ndarray
        (n,) int32, index of the higher object beyond the first saddle; -1 where there is none.
    """

    labels: np.ndarray
    peak: np.ndarray
    peak_yx: np.ndarray
    saddle: np.ndarray
    box: np.ndarray
    n_pixels: np.ndarray
    neighbour: np.ndarray


def segment_outliers(background: Background, threshold: np.ndarray, *, dark: bool = False) -> Segmentation:
    """Objects whose peak exceeds the threshold.

    Parameters
    ----------
    background : Background
        Levelled image and scatter.
    threshold : numpy.ndarray
        Mesh of float32: least peak excess; inf where nothing may be found.
    dark : bool
        Look for places darker than their surroundings.

    Returns
    -------
    Segmentation
    """
    from brightspot._kernels import segmentation as kernels

    smooth = background.smooth
    sign = -1 if dark else 1
    place = (background.step, background.y0, background.x0)
    threshold = np.ascontiguousarray(threshold, np.float32)
    ny, nx = smooth.shape
    flat = np.empty(smooth.size + 1, np.uint32)
    height = np.empty((ny + 2, nx + 2), np.float32)
    n = kernels.collect(smooth, sign, threshold, FOOTPRINT_SHARE, *place, flat, height)
    flat, height = flat[:n], height.ravel()
    up, basin = np.empty(height.size, np.uint32), np.empty(height.size, np.uint32)
    peaks, meets = kernels.climb(flat, height, nx + 2, up, basin)
    joined = kernels.join(
        height, nx + 2, basin, peaks, meets, background.rms, SADDLE_DEPTH_SHARE, SADDLE_DEPTH_SIGMA, *place
    )
    labels = np.zeros(smooth.shape, np.int32)
    objects = kernels.settle(flat, height, basin, peaks, *joined, threshold, FOOTPRINT_SHARE, *place, labels)
    return Segmentation(labels, *objects)


def without_detached(found: Segmentation, which: np.ndarray) -> Segmentation:
    """Take from objects the pieces of their footprint that do not touch the piece with the peak.

    Bumps of rough ground just above half of a faint peak would otherwise shift and widen it.

    Parameters
    ----------
    found : Segmentation
        The objects.
    which : numpy.ndarray
        (m,) int, the objects to look at.

    Returns
    -------
    Segmentation
        With smaller footprints; ``found`` is left as it is.
    """
    from brightspot._kernels import segmentation as kernels

    if len(which) == 0:
        return found
    labels, box, pixels = found.labels.copy(), found.box.copy(), found.n_pixels.copy()
    kernels.cut_detached(labels, found.peak_yx, which, box, pixels)
    return found._replace(labels=labels, box=box, n_pixels=pixels)
