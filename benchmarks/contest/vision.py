"""OpenCV's SimpleBlobDetector and MSER, and trackpy."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from contest.spaces import Linear, Log

NOTHING = np.zeros((0, 2))

SIMPLEBLOB_SPACE: dict[str, Any] = {
    "white": Log(1.0, 6.0),
    "smoothing": (0.0, 0.6, 1.0),
    "min_threshold": Linear(5.0, 120.0),
    "max_threshold": Linear(150.0, 255.0),
    "step": (2.0, 5.0, 10.0, 20.0),
    "repeatability": (1, 2, 3, 4),
    "separation": Linear(1.0, 10.0),
    "min_area": Log(1.0, 20.0),
    "max_area": Log(100.0, 5000.0),
    "circularity": Linear(0.0, 0.8),
    "convexity": Linear(0.0, 0.95),
    "inertia": Linear(0.0, 0.6),
}
MSER_SPACE: dict[str, Any] = {
    "white": Log(1.0, 6.0),
    "smoothing": (0.0, 0.6, 1.0),
    "delta": (2, 3, 5, 8, 12, 18),
    "min_area": (3, 4, 6, 9, 14),
    "max_area": (100, 300, 1000, 4000),
    "max_variation": Log(0.1, 2.0),
    "separation": Linear(1.0, 8.0),
    "widest_first": (True, False),
}
TRACKPY_SPACE: dict[str, Any] = {
    "diameter": (3, 5, 7, 9, 11, 15),
    "smoothing_size": (0, 11, 21, 31),
    "noise_size": Linear(0.3, 1.5),
    "min_mass": Log(0.2, 50.0),
    "max_size": (1.5, 2.5, 4.0, 99.0),
    "separation": Linear(2.0, 12.0),
    "percentile": Linear(50.0, 99.0),
}


def _eight_bits(pixels: np.ndarray, p: dict[str, Any]) -> np.ndarray:
    """What OpenCV takes: 8 bits, white at ``white`` times the bright (or typical) surface."""
    import cv2

    image = np.clip(pixels * (255.0 / p["white"]), 0, 255).astype(np.uint8)
    return cv2.GaussianBlur(image, (0, 0), p["smoothing"]) if p["smoothing"] else image


def by_simpleblob(pixels: np.ndarray, mask: np.ndarray, p: dict[str, Any]) -> np.ndarray:
    """``cv2.SimpleBlobDetector`` for bright blobs."""
    import cv2

    want = cv2.SimpleBlobDetector_Params()
    want.filterByColor, want.blobColor = True, 255
    want.minThreshold, want.maxThreshold, want.thresholdStep = (
        p["min_threshold"],
        p["max_threshold"],
        p["step"],
    )
    want.minRepeatability, want.minDistBetweenBlobs = p["repeatability"], p["separation"]
    want.filterByArea, want.minArea, want.maxArea = True, p["min_area"], p["max_area"]
    want.filterByCircularity, want.minCircularity = True, p["circularity"]
    want.filterByConvexity, want.minConvexity = True, p["convexity"]
    want.filterByInertia, want.minInertiaRatio = True, p["inertia"]
    found = cv2.SimpleBlobDetector_create(want).detect(_eight_bits(pixels, p))
    return np.array([point.pt for point in found], float).reshape(-1, 2)


def by_mser(pixels: np.ndarray, mask: np.ndarray, p: dict[str, Any]) -> np.ndarray:
    """``cv2.MSER``; of regions whose middles lie close together one is kept."""
    import cv2

    find = cv2.MSER_create(p["delta"], p["min_area"], p["max_area"], p["max_variation"])
    # The second pass is the one that finds bright regions.
    find.setPass2Only(True)
    regions, _ = find.detectRegions(_eight_bits(pixels, p))
    if not regions:
        return NOTHING
    middle = np.array([r.mean(axis=0) for r in regions])
    size = np.array([len(r) for r in regions])
    order = np.argsort(-size if p["widest_first"] else size, kind="stable")
    return _apart(middle[order], p["separation"])


def _apart(points: np.ndarray, separation: float) -> np.ndarray:
    """Points without those that come later within a distance of one kept."""
    from scipy.spatial import cKDTree

    tree, gone = cKDTree(points), np.zeros(len(points), bool)
    keep = []
    for k, near in enumerate(tree.query_ball_point(points, separation)):
        if not gone[k]:
            keep.append(k)
            gone[near] = True
    return points[keep]


def by_trackpy(pixels: np.ndarray, mask: np.ndarray, p: dict[str, Any]) -> np.ndarray:
    """``trackpy.locate`` on 16 bits, 2000 counts to the bright (or typical) surface."""
    import trackpy

    trackpy.quiet()
    counts = np.clip(pixels * 2000.0, 0, 65_535).astype(np.uint16)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No maxima")
        found = trackpy.locate(
            counts, p["diameter"], minmass=p["min_mass"] * 2000.0, separation=p["separation"],
            maxsize=p["max_size"], noise_size=p["noise_size"],
            smoothing_size=p["smoothing_size"] or None, percentile=p["percentile"], engine="numba",
        )  # fmt: skip
    return found[["x", "y"]].to_numpy(float)
