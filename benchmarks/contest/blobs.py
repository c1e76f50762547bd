"""scikit-image's blobs (Laplacian, differences of Gaussians, determinant of the Hessian), and a top-hat."""

from __future__ import annotations

from typing import Any

import numpy as np

from contest.spaces import Linear, Log

LOG_SPACE: dict[str, Any] = {
    "min_sigma": (0.7, 1.0, 1.5, 2.0),
    "max_sigma": (3.0, 5.0, 8.0, 12.0),
    "num_sigma": (3, 4, 5, 6),
    "threshold": Log(0.02, 0.8),
    "overlap": Linear(0.1, 0.9),
    "log_scale": (True, False),
}
DOG_SPACE: dict[str, Any] = {
    "min_sigma": (0.7, 1.0, 1.5, 2.0),
    "max_sigma": (3.0, 5.0, 8.0, 12.0, 20.0),
    "sigma_ratio": Linear(1.3, 2.0),
    "threshold": Log(0.01, 0.6),
    "overlap": Linear(0.1, 0.9),
}
DOH_SPACE: dict[str, Any] = {
    "min_sigma": (1.0, 1.5, 2.0, 3.0),
    "max_sigma": (3.0, 5.0, 8.0, 12.0),
    "num_sigma": (3, 4, 5, 6),
    "threshold": Log(0.002, 0.2),
    "overlap": Linear(0.1, 0.9),
    "log_scale": (True, False),
}
TOPHAT_SPACE: dict[str, Any] = {
    "form": ("square", "disk"),
    "size": (5, 7, 9, 13, 17, 25, 33, 45),
    "smoothing": (0.0, 0.5, 0.8, 1.2),
    "noise": ("mad", "fixed"),
    "threshold": Log(1.5, 40.0),
    "min_area": (1, 2, 3, 4, 6, 9),
    "max_area": (100, 300, 1000, 5000),
}


def by_log(pixels: np.ndarray, mask: np.ndarray, p: dict[str, Any]) -> np.ndarray:
    """``skimage.feature.blob_log``."""
    from skimage.feature import blob_log

    return _points(blob_log(pixels, **p))


def by_dog(pixels: np.ndarray, mask: np.ndarray, p: dict[str, Any]) -> np.ndarray:
    """``skimage.feature.blob_dog``."""
    from skimage.feature import blob_dog

    return _points(blob_dog(pixels, **p))


def by_doh(pixels: np.ndarray, mask: np.ndarray, p: dict[str, Any]) -> np.ndarray:
    """``skimage.feature.blob_doh``; it finds dark blobs too, which the cut of contrast takes away."""
    from skimage.feature import blob_doh

    return _points(blob_doh(pixels, **p))


def _points(found: np.ndarray) -> np.ndarray:
    return found[:, [1, 0]].astype(float)


def by_tophat(pixels: np.ndarray, mask: np.ndarray, p: dict[str, Any]) -> np.ndarray:
    """White top-hat, threshold, labels, centroids."""
    from scipy import ndimage
    from skimage.morphology import disk, white_tophat

    smooth = ndimage.gaussian_filter(pixels, p["smoothing"]) if p["smoothing"] else pixels
    if p["form"] == "square":
        hat = ndimage.white_tophat(smooth, size=(p["size"], p["size"]))
    else:
        hat = white_tophat(smooth, disk(p["size"] // 2, decomposition="sequence"))
    noise = 0.02
    if p["noise"] == "mad":
        here = hat[~mask]
        noise = 1.4826 * max(float(np.median(np.abs(here - np.median(here)))), 1e-4)
    labels, n = ndimage.label(hat > p["threshold"] * noise)
    if n == 0:
        return np.zeros((0, 2))
    area = np.bincount(labels.ravel(), minlength=n + 1)[1:]
    keep = np.flatnonzero((area >= p["min_area"]) & (area <= p["max_area"])) + 1
    if not keep.size:
        return np.zeros((0, 2))
    return np.asarray(ndimage.center_of_mass(hat, labels, keep), float)[:, ::-1]
