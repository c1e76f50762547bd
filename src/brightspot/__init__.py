"""brightspot: albedo outliers on Ceres in Dawn Framing Camera images, in kilometres.

>>> import brightspot as bs
>>> frame = bs.read_frame("image.IMG")
>>> detection = bs.SpotFinder()(frame)
>>> detection.catalog[["latitude_deg", "longitude_deg", "diameter_km"]]
>>> bs.show(detection)

The names below are imported when they are first used, so that importing brightspot is quick.
"""

from importlib import import_module

from brightspot._version import __version__

_HOME = {
    "BrightspotError": "errors",
    "GeometryError": "errors",
    "ReadError": "errors",
    "ScaleError": "errors",
    "UsageError": "errors",
    "fit_limb": "limb",
    "Frame": "frame",
    "locate": "frame",
    "find_inputs": "readers",
    "read_frame": "readers",
    "read_frames": "readers",
    "COLUMNS": "catalog",
    "Flag": "catalog",
    "Detection": "finder",
    "SpotFinder": "finder",
    "show": "figure",
    "show_map": "figure",
    "show_montage": "figure",
    "show_panels": "figure",
    "show_sizes": "figure",
    "save_overlay": "figure",
    "detect_folder": "batch",
    "merge_folders": "batch",
    "RunSummary": "batch",
    "Results": "journal",
    "open_results": "journal",
    "completeness": "completeness",
    "export": "writers.export",
}

__all__ = ["__version__", "simulate", *_HOME]


def __getattr__(name: str) -> object:
    if name == "simulate":
        return import_module("brightspot.simulate")
    if name not in _HOME:
        raise AttributeError(f"module 'brightspot' has no attribute {name!r}")
    value = getattr(import_module(f"brightspot.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
