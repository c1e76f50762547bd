"""The table of peers: how each is called, over what its settings are searched, where the search starts.

A finder takes pixels (float32, C order), a mask and settings, and gives (n, 2) positions x, y. A space gives
for each setting the choices of a random search: a tuple of values, or `Log`/`Linear` bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from contest import astronomy, blobs, vision


class Peer(NamedTuple):
    """A finder with its search."""

    find: Callable[[np.ndarray, np.ndarray, dict[str, Any]], np.ndarray]
    space: dict[str, Any]
    trials: int


PEERS: dict[str, Peer] = {
    "sep": Peer(astronomy.by_sep, astronomy.SEP_SPACE, 50),
    "photutils segmentation": Peer(astronomy.by_segmentation, astronomy.SEGMENTATION_SPACE, 20),
    "photutils DAOStarFinder": Peer(astronomy.by_daofind, astronomy.DAOFIND_SPACE, 40),
    "skimage blob_log": Peer(blobs.by_log, blobs.LOG_SPACE, 16),
    "skimage blob_dog": Peer(blobs.by_dog, blobs.DOG_SPACE, 20),
    "skimage blob_doh": Peer(blobs.by_doh, blobs.DOH_SPACE, 20),
    "white top-hat": Peer(blobs.by_tophat, blobs.TOPHAT_SPACE, 40),
    "OpenCV SimpleBlob": Peer(vision.by_simpleblob, vision.SIMPLEBLOB_SPACE, 60),
    "OpenCV MSER": Peer(vision.by_mser, vision.MSER_SPACE, 40),
    "trackpy": Peer(vision.by_trackpy, vision.TRACKPY_SPACE, 40),
}
"""Peers by name. The slow ones get fewer trials."""
