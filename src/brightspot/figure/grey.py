"""Brightness as grey levels, and the part of a frame worth showing."""

from __future__ import annotations

import numpy as np

from brightspot.errors import UsageError
from brightspot.frame import Frame

STRETCHES = ("asinh", "linear")
"""How brightness becomes grey: ``asinh`` keeps faculae and surface visible together."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom edge in pixel coordinates."""


def display_grey(frame: Frame, stretch: str = "asinh", box: Box | None = None) -> np.ndarray:
    """Grey levels for the eye.

    Parameters
    ----------
    frame : Frame
        Its image and mask are used.
    stretch : str
        ``"asinh"``: linear for the surface, compressing towards the brightest pixel, so that a facula
        several times brighter than the surface keeps its shape. ``"linear"``: 0.5 to 99.8 per cent.
    box : tuple of float, optional
        Only the pixels that this box touches; the levels are the whole frame's all the same.

    Returns
    -------
    numpy.ndarray
        (rows, columns) uint8.

    Raises
    ------
    UsageError
        If the stretch is unknown.
    """
    if stretch not in STRETCHES:
        raise UsageError(f"unknown stretch {stretch!r}: use one of {', '.join(STRETCHES)}")
    window = pixel_window(frame, box)
    image, mask = frame.image, frame.mask
    step = max(1, int(np.sqrt(image.size / 150_000)))  # a sample is enough for percentiles
    values = image[::step, ::step][~mask[::step, ::step]]
    if values.size == 0:
        values = image[~mask]
    if values.size == 0:
        return np.zeros(image[window].shape, np.uint8)
    low, high = (float(v) for v in np.percentile(values, (0.5, 99.9)))
    # The surface is what rises above the sky; without this a small disk would set no level at all.
    surface = values[values > low + 0.06 * (high - low)]
    bright = float(np.percentile(surface, 99.0)) if surface.size else high
    span = max(bright - low, float(np.finfo(np.float32).tiny))
    masked = bool(mask.any())
    with np.errstate(over="ignore", invalid="ignore"):
        top = (float(np.max(image, where=~mask, initial=low) if masked else image.max()) - low) / span
        level = (image[window] - np.float32(low)) / np.float32(span)
        np.maximum(level, 0.0, out=level)
        if stretch == "asinh":
            top = min(max(1.0, top), 1e30)
            # Nearly linear where nothing outshines the surface, so that a flat disk keeps its contrast.
            soft = min(4.0, 0.3 + 2.0 * (top - 1.0))
            level *= np.float32(soft)
            np.arcsinh(level, out=level)
            level *= np.float32(1.0 / np.arcsinh(soft * top))
        np.minimum(level, 1.0, out=level)
        level *= 255.99  # cut off, not rounded: faint noise of the sky stays black and the files small
    if masked:
        level[mask[window]] = 0.0
    return level.astype(np.uint8)


def pixel_window(frame: Frame, box: Box | None) -> tuple[slice, slice]:
    """Slices of the pixels that a box touches."""
    rows, columns = frame.shape
    if box is None:
        return slice(0, rows), slice(0, columns)
    left, top, right, bottom = box
    return (
        slice(max(int(np.floor(top + 0.5)), 0), min(int(np.ceil(bottom + 0.5)), rows)),
        slice(max(int(np.floor(left + 0.5)), 0), min(int(np.ceil(right + 0.5)), columns)),
    )


def whole_box(frame: Frame) -> Box:
    """The whole frame."""
    return -0.5, -0.5, frame.shape[1] - 0.5, frame.shape[0] - 0.5


def lit_box(frame: Frame, margin: float = 0.12) -> Box:
    """The part of a frame that shows the lit body, in its proportions; all of it where little is sky.

    Parameters
    ----------
    frame : Frame
        Its image and mask are used.
    margin : float
        Sky left around the lit part, as a share of its width.

    Returns
    -------
    tuple of float
        Left, top, right, bottom edge.
    """
    rows, columns = frame.shape
    step = max(1, min(rows, columns) // 64)
    image = frame.image[: rows // step * step, : columns // step * step]
    if frame.mask.any():
        image = np.where(frame.mask[: image.shape[0], : image.shape[1]], 0, image)
    mean = image.reshape(rows // step, step, columns // step, step).mean(axis=(1, 3))
    low, high = (float(v) for v in np.percentile(mean, (0.5, 99.5)))
    lit = mean > low + 0.08 * (high - low)
    # A single bright block is a cosmic ray or a star, not the body.
    j, i = np.flatnonzero(lit.sum(axis=1) > 1), np.flatnonzero(lit.sum(axis=0) > 1)
    if min(j.size, i.size) == 0:
        return whole_box(frame)
    left, right, top, bottom = (step * int(k) for k in (i[0], i[-1] + 1, j[0], j[-1] + 1))
    share = (1 + 2 * margin) * max((right - left) / columns, (bottom - top) / rows)
    if share > 0.8:
        return whole_box(frame)
    width, height = share * columns, share * rows
    x = float(np.clip((left + right - width) / 2, 0, columns - width)) - 0.5
    y = float(np.clip((top + bottom - height) / 2, 0, rows - height)) - 0.5
    return x, y, x + width, y + height
