"""Source finders of astronomy: sep, photutils segmentation, photutils DAOStarFinder."""

from __future__ import annotations

from typing import Any

import numpy as np
import sep

from contest.spaces import Linear, Log

NOTHING = np.zeros((0, 2))

SEP_SPACE: dict[str, Any] = {
    "mesh": (16, 32, 64, 128),
    "mesh_filter": (1, 3, 5),
    "noise": ("global", "map", "fixed"),
    "threshold": Log(1.2, 20.0),
    "min_area": (1, 2, 3, 4, 5, 7, 9),
    "kernel_fwhm": (0.0, 1.5, 2.0, 2.5, 3.0),
    "deblend_levels": (16, 32, 64),
    "deblend_contrast": Log(1e-4, 0.3),
    "clean": (True, False),
    "greatest_elongation": (2.0, 2.5, 3.0, 99.0),
}


def sep_objects(pixels: np.ndarray, mask: np.ndarray, p: dict[str, Any]) -> np.ndarray:
    """The catalog of ``sep.extract`` over ``sep.Background``."""
    background = sep.Background(
        pixels, mask=mask, bw=p["mesh"], bh=p["mesh"], fw=p["mesh_filter"], fh=p["mesh_filter"]
    )
    excess = pixels - background.back()
    if p["noise"] == "fixed":
        # Two hundredths of the bright surface: the same in every frame.
        noise = 0.02
    else:
        noise = background.globalrms if p["noise"] == "global" else background.rms()
    options = {"minarea": p["min_area"], "deblend_nthresh": p["deblend_levels"], "clean": p["clean"]}
    options["filter_kernel"] = gaussian(p["kernel_fwhm"]) if p["kernel_fwhm"] else None
    sep.set_extract_pixstack(3_000_000)
    sep.set_sub_object_limit(8192)
    try:
        return sep.extract(
            excess, p["threshold"], err=noise, mask=mask, deblend_cont=p["deblend_contrast"], **options
        )
    except Exception as error:
        # sep raises a bare Exception where one object falls into more pieces than its limit.
        if "overflow" not in str(error):
            raise
        return sep.extract(excess, p["threshold"], err=noise, mask=mask, deblend_cont=1.0, **options)


def by_sep(pixels: np.ndarray, mask: np.ndarray, p: dict[str, Any]) -> np.ndarray:
    """``sep``: background, extraction, a cut of elongation."""
    found = sep_objects(pixels, mask, p)
    found = found[found["a"] <= p["greatest_elongation"] * np.maximum(found["b"], 1e-3)]
    return np.column_stack([found["x"], found["y"]])


def by_sep_at_defaults(pixels: np.ndarray, mask: np.ndarray, p: dict[str, Any]) -> np.ndarray:
    """``sep`` as its tutorial runs it: 1.5 times the global scatter, deblending and cleaning on."""
    background = sep.Background(pixels, mask=mask)
    sep.set_extract_pixstack(3_000_000)
    sep.set_sub_object_limit(8192)
    found = sep.extract(pixels - background.back(), 1.5, err=background.globalrms, mask=mask)
    return np.column_stack([found["x"], found["y"]])


def gaussian(fwhm: float) -> np.ndarray:
    """A Gaussian kernel of odd width."""
    half = int(np.ceil(fwhm))
    yy, xx = np.mgrid[-half : half + 1, -half : half + 1]
    return np.exp(-4.0 * np.log(2.0) * (xx**2 + yy**2) / fwhm**2).astype(np.float32)


SEGMENTATION_SPACE: dict[str, Any] = {
    "mesh": (32, 64, 128),
    "mesh_filter": (3, 5),
    "noise": ("global", "map", "fixed"),
    "threshold": Log(1.2, 20.0),
    "n_pixels": (2, 3, 4, 5, 7, 9),
    "kernel_fwhm": (0.0, 1.5, 2.0, 2.5, 3.0),
    "connectivity": (4, 8),
    "deblend": (False, True),
    "deblend_levels": (8, 16, 32),
    "deblend_contrast": Log(1e-3, 0.3),
    "greatest_elongation": (2.0, 2.5, 3.0, 99.0),
}


def _mesh_background(pixels: np.ndarray, mask: np.ndarray, p: dict[str, Any]) -> Any:
    from photutils.background import Background2D, MedianBackground

    return Background2D(
        pixels, p["mesh"], mask=mask, filter_size=p["mesh_filter"], exclude_percentile=90.0,
        bkg_estimator=MedianBackground(),
    )  # fmt: skip


def _noise(background: Any, kind: str) -> Any:
    if kind == "fixed":
        return 0.02
    return background.background_rms_median if kind == "global" else background.background_rms


def by_segmentation(pixels: np.ndarray, mask: np.ndarray, p: dict[str, Any]) -> np.ndarray:
    """``photutils.segmentation``: threshold image, deblending, source catalog."""
    from astropy.convolution import convolve_fft
    from photutils.segmentation import SourceCatalog, deblend_sources, detect_sources

    background = _mesh_background(pixels, mask, p)
    excess = np.where(mask, 0.0, pixels - background.background).astype(np.float32)
    seen = excess
    if p["kernel_fwhm"]:
        kernel = gaussian(p["kernel_fwhm"])
        seen = convolve_fft(excess, kernel / kernel.sum(), normalize_kernel=False, boundary="fill")
    level = p["threshold"] * _noise(background, p["noise"])
    found = detect_sources(seen, level, p["n_pixels"], connectivity=p["connectivity"], mask=mask)
    if found is None:
        return NOTHING
    if p["deblend"]:
        found = deblend_sources(
            seen, found, p["n_pixels"], n_levels=p["deblend_levels"], contrast=p["deblend_contrast"],
            connectivity=p["connectivity"],
        )  # fmt: skip
    sources = SourceCatalog(excess, found)
    x, y = (np.atleast_1d(np.asarray(c, float)) for c in (sources.x_centroid, sources.y_centroid))
    elongation = np.atleast_1d(np.asarray(sources.elongation, float))
    keep = (elongation <= p["greatest_elongation"]) & np.isfinite(x) & np.isfinite(y)
    return np.column_stack([x[keep], y[keep]])


DAOFIND_SPACE: dict[str, Any] = {
    "mesh": (16, 32, 64, 128),
    "mesh_filter": (3, 5),
    "noise": ("global", "fixed"),
    "threshold": Log(1.2, 30.0),
    "fwhm": Log(1.3, 8.0),
    "sharpness_low": Linear(0.0, 0.4),
    "sharpness_high": Linear(0.6, 1.3),
    "roundness": Linear(0.3, 1.5),
    "separation": (0.0, 2.0, 4.0, 8.0),
}


def by_daofind(pixels: np.ndarray, mask: np.ndarray, p: dict[str, Any]) -> np.ndarray:
    """``photutils.detection.DAOStarFinder`` over a mesh of medians."""
    from photutils.detection import DAOStarFinder

    background = _mesh_background(pixels, mask, p)
    finder = DAOStarFinder(
        p["threshold"] * float(_noise(background, p["noise"])),
        p["fwhm"],
        sharpness_range=(p["sharpness_low"], p["sharpness_high"]),
        roundness_range=(-p["roundness"], p["roundness"]),
        min_separation=p["separation"],
    )
    sources = finder(pixels - background.background, mask=mask)
    if sources is None:
        return NOTHING
    return np.column_stack([np.asarray(sources["x_centroid"]), np.asarray(sources["y_centroid"])])
