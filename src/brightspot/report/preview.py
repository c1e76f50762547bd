"""A small picture of a frame for the report: JPEG, grey, its levels kept for stretching in the page."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from brightspot.figure.grey import lit_box

if TYPE_CHECKING:
    from brightspot.frame import Frame

PREVIEW_PX = 512
"""Longest side of a preview."""

QUALITY = 82
"""JPEG quality: 5 to 40 kB a frame."""

SPAN = 8.0
"""Brightest light kept, in units of the surface's: above Cerealia's contrast in the rendered views (5.6)."""


class Shown(NamedTuple):
    """What a preview shows, and its levels.

    ``left, top, width, height``: the part of the frame, in frame pixels (centres whole numbers, so the
    whole frame starts at -0.5). ``low, high``: light of the surface's darkest twentieth and brightest
    hundredth, where 0 is the sky and 1 the preview's white.
    """

    left: float
    top: float
    width: float
    height: float
    low: float
    high: float


def preview(frame: Frame) -> bytes:
    """Encode a frame's lit part as a small grey JPEG.

    A grey level g of 0 to 255 stands for the light (g / 255)**2: the square root spends the levels where
    the eye and the noise of a detector need them, so that the page can stretch shadows and faculae alike.

    Parameters
    ----------
    frame : Frame
        Its image and mask are used; masked pixels are black.

    Returns
    -------
    bytes
        JPEG of at most `PREVIEW_PX` pixels a side; its comment holds the fields of `Shown` as JSON.
    """
    from PIL import Image

    rows, columns = frame.shape
    left, top, right, bottom = lit_box(frame)
    x0, y0 = max(round(left + 0.5), 0), max(round(top + 0.5), 0)
    x1, y1 = min(round(right + 0.5), columns), min(round(bottom + 0.5), rows)
    mask = frame.mask[y0:y1, x0:x1]
    part = frame.image[y0:y1, x0:x1]
    if mask.any():
        part = np.where(mask, np.float32(0.0), part)
    shrink = max(1.0, max(part.shape) / PREVIEW_PX)
    size = (max(1, round(part.shape[1] / shrink)), max(1, round(part.shape[0] / shrink)))
    small = np.asarray(Image.fromarray(np.ascontiguousarray(part)).resize(size, Image.Resampling.BOX))
    known = ~np.asarray(Image.fromarray(mask.astype(np.uint8)).resize(size, Image.Resampling.NEAREST), bool)
    light, low, high = _light(small, known)
    grey = (np.float32(255.0) * np.sqrt(light) + np.float32(0.5)).astype(np.uint8)
    shown = Shown(x0 - 0.5, y0 - 0.5, float(x1 - x0), float(y1 - y0), round(low, 4), round(high, 4))
    file = io.BytesIO()
    comment = json.dumps(shown._asdict()).encode()
    Image.fromarray(grey).save(file, "JPEG", quality=QUALITY, optimize=True, comment=comment)
    return file.getvalue()


def _light(image: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Values as light between 0 (sky) and 1 (white), and the surface's lower and upper level in it."""
    values = image[known]
    if values.size == 0:
        return np.zeros(image.shape, np.float32), 0.0, 1.0
    every = max(1, values.size // 40_000)  # enough for percentiles
    dark, bright = (float(v) for v in np.percentile(values[::every], (0.5, 99.5)))
    # The surface is what rises above the sky; a picture filled by it has no sky, and 0 is no light at all.
    sample = values[::every]
    surface = sample[sample > dark + 0.06 * (bright - dark)]
    if surface.size == 0:
        return np.where(known, np.float32(0.25), np.float32(0.0)), 0.0, 1.0
    lower, upper = (float(v) for v in np.percentile(surface, (5.0, 99.0)))
    sky = min(dark, lower)
    # Not the very brightest: a cosmic ray or a hot pixel would leave the rest in the dark.
    rank = values.size - 1 - values.size // 10_000
    white = float(np.partition(values, rank)[rank])
    span = float(np.clip(white - sky, upper - sky, SPAN * (upper - sky)))
    if not span > 0:
        return np.where(known, np.float32(0.25), np.float32(0.0)), 0.0, 1.0
    light = np.clip((image - np.float32(sky)) / np.float32(span), 0.0, 1.0)
    light[~known] = 0.0
    return light, (lower - sky) / span, (upper - sky) / span


def read_shown(jpeg: bytes) -> Shown:
    """What a preview shows, from its comment.

    Raises
    ------
    ValueError
        If the bytes are no preview of brightspot's.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        comment = Image.open(io.BytesIO(jpeg)).info.get("comment", b"")
        return Shown(**json.loads(comment))
    except (UnidentifiedImageError, json.JSONDecodeError, TypeError) as error:
        raise ValueError("not a preview made by brightspot") from error
