"""From files to frames: a table of readers, what in a folder is an image, and reading it.

A label and its data file are one input; the same data are read once, however often they are given.
Nothing here decodes a pixel: `find_inputs` looks at names and at the first bytes of labels, and streams.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from brightspot.errors import BrightspotError, ReadError, UsageError
from brightspot.frame import Frame
from brightspot.readers import dawn, labels, picture
from brightspot.readers.guards import escaped, quiet

__all__ = ["READERS", "Input", "Reader", "find_inputs", "read_frame", "read_frames"]


@dataclass(frozen=True)
class Input:
    """One file, or a label with its data file, that should become one frame or several.

    Attributes
    ----------
    path : Path
        The file to open: the label where it is detached, else the data file.
    name : str
        The ``frame`` column: ``path`` relative to the folder given, with forward slashes.
    reader : str or None
        Name of its reader in `READERS`; None where no reader takes it.
    files : tuple of Path
        Every file that belongs to it, the data file last.
    problem : str or None
        One line that says why it cannot be read, where that shows without decoding.
    """

    path: Path
    name: str
    reader: str | None = None
    files: tuple[Path, ...] = ()
    problem: str | None = None


@dataclass(frozen=True)
class Reader:
    """A kind of file and what reads it.

    Attributes
    ----------
    name : str
        As in `Input.reader`.
    suffixes : frozenset of str
        Lower-case file name endings of the data files.
    read : callable
        From an `Input` to its frames.
    """

    name: str
    suffixes: frozenset[str]
    read: Callable[[Input], Iterator[Frame]]


def _dawn(item: Input) -> Iterator[Frame]:
    yield dawn.read(item.path, item.files[-1], item.name)


def _picture(item: Input) -> Iterator[Frame]:
    return picture.read(item.path, item.name)


READERS = (
    Reader("dawn", frozenset({".img", ".fit", ".fits", ".fts", ".cub"}), _dawn),
    Reader("picture", frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".gif", ".webp", ".bmp"}), _picture),
)
"""Every reader; a new kind of file is a new line here."""

LABEL_SUFFIXES = frozenset({".lbl", ".xml", ".lblx"})
"""Endings of files that may be detached labels."""

RUN_RECORD = "run.json"
"""A folder that holds a file of this name is a results folder and is not searched."""
