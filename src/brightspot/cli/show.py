"""`brightspot show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from brightspot.cli.printing import DONE, Files
from brightspot.errors import UsageError
from brightspot.figure import save_overlay
from brightspot.finder import SpotFinder
from brightspot.readers import read_frame


def show(
    path: str,
    /,
    *,
    output: Annotated[str, Parameter(name=("--output", "-o"))],
    stretch: str = "asinh",
    dpi: int = 100,
    force: bool = False,
    scale_km: float | None = None,
    altitude_km: float | None = None,
    kernels: Files = (),
) -> int:
    """Draw one image and its spots into a picture file.

    Parameters
    ----------
    path
        The image; name.gif#003 is the fourth picture of an animation.
    output
        Picture to write: .png, .jpg, .pdf, .svg.
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
    target = Path(output)
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent} is not a folder: make it first")
    if target.exists() and (not force or target.samefile(path)):
        raise UsageError(f"{output} exists: choose another name, or --force to replace a picture")
    if not 10 <= dpi <= 1200:
        raise UsageError(f"dpi {dpi}: give 10 to 1200")
    frame = read_frame(path, scale_km=scale_km, altitude_km=altitude_km, kernels=kernels)
    written = save_overlay(SpotFinder()(frame), output, stretch=stretch, dpi=dpi)
    print(written)
    return DONE
