"""`brightspot show`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from brightspot.cli.printing import DONE, Files
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
    scale_km
        Kilometres per pixel; overrides labels and limb.
    altitude_km
        Kilometres above the surface; overrides labels and limb.
    kernels
        SPICE kernels or metakernels.
    """
    frame = read_frame(path, scale_km=scale_km, altitude_km=altitude_km, kernels=kernels)
    written = save_overlay(SpotFinder()(frame), output, stretch=stretch, dpi=dpi)
    print(written)
    return DONE
