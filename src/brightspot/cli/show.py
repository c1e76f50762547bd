"""`brightspot show`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from brightspot.cli.printing import DONE, SOME_FAILED, Files, Switch, complain, frames_of
from brightspot.errors import BrightspotError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from brightspot.finder import Detection

MONTAGE = 24
"""Most spots of a montage."""


def show(
    paths: list[str],
    /,
    *,
    output: Annotated[str, Parameter(name=("--output", "-o"))],
    panels: Switch = False,
    montage: Switch = False,
    map: Switch = False,
    sizes: Switch = False,
    stretch: str = "asinh",
    dpi: int = 100,
    force: bool = False,
    scale_km: float | None = None,
    altitude_km: float | None = None,
    kernels: Files = (),
) -> int:
    """Draw an image and its spots, many spots side by side, or what a results folder holds.

    Parameters
    ----------
    paths
        One image (name.gif#003 is the fourth picture of an animation); for --montage images and folders;
        for --map and --sizes results folders or detections.csv.
    output
        Picture to write: .png, .jpg, .tif, .webp, .pdf, .svg.
    panels
        Raw, levelled and contrast side by side instead of the outlines.
    montage
        Cut-outs of the strongest spots of all images given.
    map
        Maps of Ceres with all detections that have latitude and longitude.
    sizes
        How many detections are at least how large.
    stretch
        asinh shows faculae and surface together; linear.
    dpi
        100 for a screen, 300 for print.
    force
        Replace the picture if it exists.
    scale_km
        Kilometres per pixel; overrides labels and limb.
    altitude_km
        Kilometres above the surface; overrides labels and limb.
    kernels
        SPICE kernels or metakernels.
    """
    chosen = [name for name, on in _kinds(panels, montage, map, sizes).items() if on]
    if len(chosen) > 1:
        raise UsageError(f"--{chosen[0]} and --{chosen[1]} are two pictures: choose one")
    kind = chosen[0] if chosen else "overlay"
    _check_target(output, paths, force)
    if not 10 <= dpi <= 1200:
        raise UsageError(f"dpi {dpi}: give 10 to 1200")
    where: dict[str, Any] = {"scale_km": scale_km, "altitude_km": altitude_km, "kernels": kernels}
    if kind in ("map", "sizes"):
        _draw_table(kind, _table(paths), output, dpi)
        failed = 0
    elif kind == "montage":
        failed = _draw_montage(paths, output, dpi, where)
    else:
        _draw_image(kind, paths, output, stretch, dpi, where)
        failed = 0
    print(output)
    return SOME_FAILED if failed else DONE


def _kinds(panels: bool, montage: bool, map: bool, sizes: bool) -> dict[str, bool]:
    return {"panels": panels, "montage": montage, "map": map, "sizes": sizes}


def _check_target(output: str, paths: Sequence[str], force: bool) -> None:
    target = Path(output)
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent} is not a folder: make it first")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise UsageError(f"{target} cannot be written: no permission to write there; choose another folder")
    if target.exists() and (not force or any(Path(p).exists() and target.samefile(p) for p in paths)):
        raise UsageError(f"{output} exists: choose another name, or --force to replace a picture")


def _draw_image(
    kind: str, paths: Sequence[str], output: str, stretch: str, dpi: int, where: dict[str, Any]
) -> None:
    from brightspot.figure import lit_box, panels_size, save_figure, save_overlay, show_panels
    from brightspot.finder import SpotFinder
    from brightspot.readers import read_frame

    if len(paths) != 1:
        raise UsageError(f"show draws one image, not {len(paths)}; --montage takes many")
    if Path(paths[0]).is_dir():
        raise UsageError(f"{paths[0]} is a folder: give an image, or say --montage, --map or --sizes")
    detection = SpotFinder()(read_frame(paths[0], **where))
    if kind == "overlay":
        save_overlay(detection, output, stretch=stretch, dpi=dpi)
        return
    figure = _figure(panels_size(lit_box(detection.frame), 3))
    show_panels(detection, axes=list(figure.subplots(1, 3)))
    save_figure(figure, output, dpi=dpi)


def _draw_montage(paths: Sequence[str], output: str, dpi: int, where: dict[str, Any]) -> int:
    """The strongest spots of all images; returns how many could not be read."""
    import numpy as np

    from brightspot.figure import montage_size, save_figure, show_montage
    from brightspot.finder import SpotFinder
    from brightspot.frame import locate

    failed = 0
    kept: list[tuple[float, Detection]] = []
    for frame, problem in frames_of(paths):
        try:
            if frame is None:
                raise BrightspotError(problem)
            if frame.target not in (None, "CERES"):
                raise BrightspotError(f"{frame.name}: target is {frame.target}, not Ceres")
            detection = SpotFinder()(locate(frame, **where))
        except UsageError:
            raise
        except BrightspotError as error:
            failed += 1
            complain(error, SOME_FAILED)
            continue
        # Of many frames only those are kept that may have one of the spots shown, without their levels.
        light = detection._replace(background=None)  # type: ignore[arg-type]
        kept += [(float(snr), light) for snr in np.nan_to_num(detection.catalog["snr"])]
        kept = sorted(kept, key=lambda pair: -pair[0])[:MONTAGE]
    detections = list({id(detection): detection for _, detection in kept}.values())
    n = len(kept)
    if n == 0:
        raise UsageError("no spots to show: nothing was detected")
    figure = _figure(montage_size(n))
    show_montage(detections, most=MONTAGE, ax=figure.subplots())
    save_figure(figure, output, dpi=dpi)
    return failed


def _draw_table(kind: str, table: pd.DataFrame, output: str, dpi: int) -> None:
    from brightspot.figure import map_figure, save_figure, show_sizes

    if kind == "map":
        figure = map_figure(table)
    else:
        figure = _figure((5.6, 4.6))
        show_sizes(table, ax=figure.subplots())
    save_figure(figure, output, dpi=dpi)


def _figure(size: tuple[float, float]) -> Any:
    """A figure without pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _table(paths: Sequence[str]) -> pd.DataFrame:
    """Detections of results folders and tables."""
    import pandas as pd

    from brightspot.catalog import COLUMNS
    from brightspot.journal import open_results

    tables = []
    for path in map(Path, paths):
        if path.is_dir():
            with open_results(path) as results:
                tables.append(results.detections())
        elif path.suffix.lower() == ".csv" and path.is_file():
            table = pd.read_csv(path)
            missing = [column.name for column in COLUMNS if column.name not in table]
            if missing:
                raise UsageError(f"{path} is no table of detections: it has no column {missing[0]}")
            tables.append(table)
        else:
            raise UsageError(f"{path}: --map and --sizes need a results folder or its detections.csv")
    return pd.concat(tables, ignore_index=True)
