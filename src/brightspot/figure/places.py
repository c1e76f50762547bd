"""Where texts go so that none covers another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Rect(NamedTuple):
    """A rectangle of the drawing: left, top, right, bottom, y down."""

    left: float
    top: float
    right: float
    bottom: float


def place_texts(
    anchors: Sequence[Rect],
    sizes: Sequence[tuple[float, float]],
    room: Rect,
    taken: Sequence[Rect] = (),
    gap: float = 2.0,
) -> list[Rect | None]:
    """Places for texts beside what they name, so that none covers another.

    Parameters
    ----------
    anchors : sequence of Rect
        What is named; earlier ones choose first.
    sizes : sequence of tuple of float
        Width and height of each text.
    room : Rect
        Where texts may be.
    taken : sequence of Rect
        Where they must not be.
    gap : float
        Distance between a text and its anchor.

    Returns
    -------
    list of Rect or None
        For each anchor the rectangle of its text: the nearest free one that covers the least of other
        anchors; None where nothing near is free.
    """
    others = np.asarray(anchors, float).reshape(-1, 4)
    blocked = [list(rect) for rect in taken]
    places: list[Rect | None] = []
    for k, ((width, height), anchor) in enumerate(zip(sizes, anchors, strict=True)):
        rects, cost = _candidates(anchor, width, height, gap)
        free = (rects[:, 0] >= room.left) & (rects[:, 2] <= room.right)
        free &= (rects[:, 1] >= room.top) & (rects[:, 3] <= room.bottom)
        if blocked:
            free &= ~_overlap(rects, np.asarray(blocked, float)).any(axis=1)
        if not free.any():
            places.append(None)
            continue
        covered = _overlap(rects, np.delete(others, k, axis=0)).sum(axis=1)
        best = int(np.argmin(np.where(free, cost + covered / (0.2 * width * height), np.inf)))
        places.append(Rect(*map(float, rects[best])))
        blocked.append(list(rects[best]))
    return places


_SIDES = np.array([(1, -1), (1, 0), (1, 1), (-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1)], float)


def _candidates(anchor: Rect, width: float, height: float, gap: float) -> tuple[np.ndarray, np.ndarray]:
    """Rectangles around an anchor at growing distances, (n, 4), and what each costs."""
    x, y = (anchor.left + anchor.right) / 2, (anchor.top + anchor.bottom) / 2
    half_x, half_y = (anchor.right - anchor.left) / 2, (anchor.bottom - anchor.top) / 2
    rects, cost = [], []
    for distance in (0.0, 1.0, 2.0):
        away = gap + distance * height
        # A corner place of a roundish footprint may come nearer than its box's corner.
        diagonal = np.abs(_SIDES).sum(axis=1) == 2
        near = np.where(diagonal, 0.75, 1.0)
        cx = x + _SIDES[:, 0] * (near * half_x + away + width / 2)
        cy = y + _SIDES[:, 1] * (near * half_y + away * ~diagonal + height / 2)
        rects.append(np.stack([cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2], axis=1))
        cost.append(3.0 * distance + 0.1 * np.arange(len(_SIDES)))
    return np.concatenate(rects), np.concatenate(cost)


def _overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Common area of every rectangle of ``a`` (n, 4) with every one of ``b`` (m, 4): (n, m)."""
    width = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])
    height = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])
    return np.maximum(width, 0.0) * np.maximum(height, 0.0)
