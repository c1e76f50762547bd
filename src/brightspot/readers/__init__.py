"""From files to frames: what in a folder is an image (``inputs``), and reading it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from brightspot.errors import BrightspotError, ReadError, UsageError
from brightspot.frame import Frame, locate
from brightspot.readers import dawn, picture
from brightspot.readers.guards import escaped
from brightspot.readers.inputs import KINDS, Input, find_inputs

__all__ = ["Input", "find_inputs", "read_frame", "read_frames"]

MAX_LINE = 500
"""Longest refusal, in characters."""


def read_frames(item: Input) -> Iterator[Frame]:
    """Frames of one input, as read: one, or one per picture of an animation; `locate` puts them on Ceres.

    Parameters
    ----------
    item : Input
        From `find_inputs`; for a path there is `read_frame`.

    Yields
    ------
    Frame
        Turned so that row 0 is the top.

    Raises
    ------
    ReadError
        One line: the name, what is wrong, what to do.
    UsageError
        If ``item`` is something else, a path for instance.
    """
    if not isinstance(item, Input):
        text = escaped(repr(item))[:100]
        raise UsageError(f"read_frames takes one Input of find_inputs, not {text}; read_frame takes a path")
    if item.problem is not None or item.reader is None:
        raise ReadError(f"{item.name} {item.problem or f'is not an image that is read ({KINDS})'}")
    try:
        if item.reader == "dawn":
            yield dawn.read(item.path, item.files[-1], item.name)
        else:
            yield from picture.read(item.path, item.name)
    except PermissionError as error:
        raise ReadError(f"{item.name} must not be read: no permission; change its access rights") from error
    except FileNotFoundError as error:
        raise ReadError(f"{item.name} is gone; it was there when the folder was searched") from error
    except MemoryError as error:
        raise ReadError(f"{item.name} needs more memory than there is; crop or reduce it") from error
    except BrightspotError as error:
        raise ReadError(_line(f"{item.name} {error}")) from error
    except Exception as error:
        # The parsers underneath raise anything on bytes that were tampered with; the cause stays attached.
        text = escaped(f"{type(error).__name__}: {error}")[:200]
        raise ReadError(
            f"{item.name} is damaged or of an unknown variety ({text}); fetch it again"
        ) from error


def _line(text: str) -> str:
    """One line of bounded length; libraries quote what they do not like at any length."""
    safe = escaped(text)
    return safe if len(safe) <= MAX_LINE else f"{safe[: MAX_LINE // 2]} ... {safe[-MAX_LINE // 4 :]}"


def read_frame(
    path: str | os.PathLike[str],
    *,
    scale_km: float | None = None,
    altitude_km: float | None = None,
    kernels: Sequence[str | Path] = (),
) -> Frame:
    """One frame by its path, located on Ceres as far as label, kernels, limb or articles tell.

    Parameters
    ----------
    path : path
        The image; ``name.gif#003`` is the fourth picture of an animation.
    scale_km, altitude_km, kernels
        As in `brightspot.frame.locate`.

    Raises
    ------
    ReadError
        If there is no such file or picture, or it cannot be read.
    UsageError
        If a value given is impossible.
    """
    text, number = os.fspath(path), 0
    base, sign, digits = text.rpartition("#")
    if sign and digits.isdecimal() and not os.path.lexists(text):
        text, number = base, int(digits)
    if Path(text).is_dir():
        raise ReadError(f"{escaped(text)} is a folder; give one image of it")
    if not os.path.lexists(text):
        raise ReadError(f"{escaped(text)}: no such file; check the path")
    wanted = f"#{number:03d}"
    for item in find_inputs([text]):
        for frame in read_frames(item):
            if frame.name.endswith(wanted) or (number == 0 and frame.name == item.name):
                return locate(frame, scale_km=scale_km, altitude_km=altitude_km, kernels=kernels)
    raise ReadError(f"{escaped(text)} has no picture {wanted}; they are counted from #000")
