"""`brightspot simulate`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from brightspot import simulate as rendering
from brightspot.cli.printing import DONE
from brightspot.errors import UsageError


def simulate(
    *,
    observation: str,
    out: str,
    format: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = ("img",),
    seed: int = 1,
    n_frames: int = 10,
    force: bool = False,
) -> int:
    """Render Framing Camera frames of Ceres with known spots, as on a day the articles of 2015 report.

    Surface, noise and exposure are made up, spots and geometry are known: truth.csv lists every spot.

    Parameters
    ----------
    observation
        The day, such as 2015-04-15; date, distance and scale come from the articles.
    out
        Folder for images and truth.csv.
    format
        One or several of img, fits, png, jpg, gif; gif is one rotation.
    seed
        Seed of noise and cosmic rays; the same seed gives the same bytes.
    n_frames
        Pictures of a gif.
    force
        Write into a folder that is not empty.
    """
    if seed < 0:
        raise UsageError(f"seed {seed}: give 0 or a positive whole number")
    if n_frames < 1:
        raise UsageError(f"n-frames {n_frames}: give 1 or more")
    for path in rendering.simulate(observation, format, seed, out, n_frames=n_frames, force=force):
        print(path)
    return DONE
