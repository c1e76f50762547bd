"""What in files and folders is an image: a label and its data file are one input, the same data come once.

Nothing here decodes a pixel: `find_inputs` looks at names and at the first bytes of labels, and streams.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from brightspot.errors import ReadError, UsageError
from brightspot.readers import labels
from brightspot.readers.guards import escaped, link_problem

IMAGE_SUFFIXES = {
    "dawn": frozenset({".img", ".fit", ".fits", ".fts", ".cub"}),
    "picture": frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".gif", ".webp", ".bmp"}),
}
"""Lower-case endings of data files, by the name of what reads them."""

LABEL_SUFFIXES = frozenset({".lbl", ".xml", ".lblx"})
"""Endings of files that may be detached labels."""

RUN_RECORD = "run.json"
"""A folder that holds a file of this name is a results folder and is not searched."""

KINDS = "PDS3 .IMG and .LBL, FITS, PDS4 .xml, PNG, JPEG, TIFF, GIF"
"""What is read, in words."""

_IN_VAIN = {
    "folder": "holds no image; check the path",
    "pattern": "matches no image; check the pattern",
}

_READER_OF = {suffix: reader for reader, suffixes in IMAGE_SUFFIXES.items() for suffix in suffixes}


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
        Name of what reads it, a key of `IMAGE_SUFFIXES`; None where nothing does.
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


def find_inputs(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> Iterator[Input]:
    """Every image in files, folders and patterns, in a fixed order, one folder in memory at a time.

    Folders are searched to their depths, each once, however links lead to it; hidden files, results
    folders and files of other kinds are passed over. A file given by itself is always named, with a
    problem if it is no image. What reads like an image but lacks its label or data is named too. A hard
    link is a file of its own, as a copy is; a symbolic one is not.

    Parameters
    ----------
    paths : path or iterable of paths
        Files, folders, or patterns with ``*``, ``?``, ``[...]`` and ``**``.

    Yields
    ------
    Input
        In the order given; within a folder its own files by name, then its subfolders. Folders and patterns
        that lead to nothing come last.

    Raises
    ------
    UsageError
        If nothing of what is given exists.
    """
    texts = [os.fspath(paths)] if isinstance(paths, str | os.PathLike) else [os.fspath(p) for p in paths]
    given = [_Given.of(text) for text in dict.fromkeys(texts)]
    if given and all(g.kind == "missing" for g in given):
        raise UsageError(f"no such file or folder: {', '.join(escaped(g.text) for g in given[:5])}")
    prefixes = _prefixes(given)
    search, vain, anything = _Search(), [], False
    for g in given:
        prefix = prefixes.get(_absolute(g.anchor), "")
        if g.kind == "missing":
            found = iter([_absent(g.text, "does not exist; check the path")])
        elif g.kind == "file":
            found = search.file(Path(g.text), prefix)
        else:
            found = search.folder(Path(g.anchor), prefix, g.pattern)
        for item in found:
            anything = True
            yield item
        if g.kind in _IN_VAIN and not search.matched:
            vain.append(_absent(g.text, _IN_VAIN[g.kind]))
    # Where nothing at all is found, there is one thing to say, and who asked says it.
    if anything:
        yield from vain


def _absent(text: str, problem: str) -> Input:
    """The input that stands for an argument which leads to none."""
    return Input(Path(text), escaped(text), problem=problem)


@dataclass(frozen=True)
class _Given:
    """One argument: a file, a folder, a pattern below a folder, or nothing that exists."""

    text: str
    kind: str
    anchor: str
    pattern: str = ""

    @classmethod
    def of(cls, text: str) -> _Given:
        if os.path.lexists(text):
            path = Path(text)
            if path.is_dir():
                return cls(text, "folder", text)
            return cls(text, "file", str(path.parent))
        parts = Path(text).parts
        fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), None)
        if fixed is None or not Path(*parts[:fixed]).is_dir():
            return cls(text, "missing", text)
        return cls(text, "pattern", str(Path(*parts[:fixed])), "/".join(parts[fixed:]))


def _absolute(text: str) -> Path:
    path = Path(text)
    return path.resolve() if ".." in path.parts else path.absolute()


def _prefixes(given: list[_Given]) -> dict[Path, str]:
    """What stands before the names below each folder, so that no two frames share a name.

    Nothing for a single folder. Of several, the shortest ends of their paths that differ. Files given by
    themselves go by their bare names unless two of these are alike.
    """
    folders = {_absolute(g.anchor) for g in given if g.kind in ("folder", "pattern")}
    by_name: dict[str, set[Path]] = {}
    for g in given:
        if g.kind == "file":
            by_name.setdefault(Path(g.text).name, set()).add(_absolute(g.anchor))
    alike = {folder for group in by_name.values() if len(group) > 1 for folder in group}
    if len(folders) == 1 and not by_name:
        return {}
    anchors = sorted(folders | alike)
    parts = [[p for p in anchor.parts if p != anchor.anchor] for anchor in anchors]
    for length in range(1, max(map(len, parts), default=0) + 1):
        tails = sorted(tuple(p[-length:]) for p in parts)
        # Sorted, so a tail that begins another one stands right before it.
        if all(b[: len(a)] != a for a, b in pairwise(tails)):
            break
    else:
        length = max(map(len, parts), default=0)
    return {
        anchor: "".join(f"{part}/" for part in p[-length:]) for anchor, p in zip(anchors, parts, strict=True)
    }


class _Search:
    """Finds inputs and remembers which data were found: a few dozen bytes a file."""

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.listed: tuple[Path | None, list[str]] = (None, [])
        self.matched = False
        """Whether the last folder held anything that matched, new or not, or could not be searched."""

    def folder(self, top: Path, prefix: str, pattern: str) -> Iterator[Input]:
        """Inputs below a folder, those that match a pattern where there is one."""
        self.matched = False
        wanted = pattern.split("/") if pattern else []
        visited: set[int] = set()
        stack: list[tuple[Path, str]] = [(top, "")]
        while stack:
            folder, below = stack.pop()
            where = (prefix + below).rstrip("/") or folder.name
            try:
                identity = _identity(folder)
                names, folders = _listing(folder)
            except OSError as error:
                self.matched = True
                yield _input(
                    folder, where, problem=f"cannot be searched ({error.strerror}); change its access rights"
                )
                continue
            if identity in visited:
                continue
            visited.add(identity)
            if RUN_RECORD in names:
                if not below and not wanted:
                    self.matched = True
                    problem = f"is a results folder (it holds {RUN_RECORD}); give the folder of the images"
                    yield _input(folder, where, problem=problem)
                continue
            for found in _associate(folder, names):
                parts = below.split("/")[:-1]
                if any(_matches([*parts, file.name], wanted) for file in {found.path, *found.files}):
                    self.matched = True
                    yield from self._new(found, prefix + below)
            deeper = [
                name for name in folders if _matches([*below.split("/")[:-1], name], wanted, partly=True)
            ]
            stack.extend((folder / name, f"{below}{name}/") for name in reversed(deeper))

    def file(self, path: Path, prefix: str) -> Iterator[Input]:
        """The input that a file given by itself belongs to."""
        if self.listed[0] != path.parent:
            try:
                self.listed = (path.parent, _listing(path.parent)[0])
            except OSError:
                self.listed = (path.parent, [path.name])
        yield from self._new(_single(path, self.listed[1]), prefix)

    def _new(self, found: Input, prefix: str) -> Iterator[Input]:
        """The input under its full name, unless its data were found before."""
        try:
            identity = _data_identity(found.files[-1] if found.files else found.path)
        except OSError:
            identity = hash(str(found.path.absolute()))
        if identity not in self.seen:
            self.seen.add(identity)
            yield _input(found.path, prefix + found.name, found.reader, found.files, found.problem)


def _input(
    path: Path,
    name: str,
    reader: str | None = None,
    files: tuple[Path, ...] = (),
    problem: str | None = None,
) -> Input:
    """An input whose name is fit for a table."""
    safe = escaped(name)
    if safe != name:
        problem = "has control characters or undecodable bytes in its name; rename it"
    return Input(path, safe, reader, files, problem)


def _identity(path: Path) -> int:
    status = path.stat()
    return (status.st_dev << 64) | status.st_ino


def _data_identity(path: Path) -> int:
    """The same number for every way that leads to a file; a hard link is a file with a name of its own."""
    if path.is_file() and path.stat().st_nlink > 1:
        return hash(os.path.realpath(path))
    return _identity(path)


def _listing(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the files and of the subfolders of a folder, sorted, without hidden ones."""
    files: list[str] = []
    folders: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                try:
                    is_folder = entry.is_dir()
                except OSError:  # a link that leads to itself
                    is_folder = False
                (folders if is_folder else files).append(entry.name)
    return sorted(files), sorted(folders)


def _matches(parts: list[str], pattern: list[str], partly: bool = False) -> bool:
    """Whether a path, or a folder above it, matches a pattern; ``partly``: whether something below it can."""
    if not pattern:
        return True
    if not parts:
        return partly or all(part == "**" for part in pattern)
    if pattern[0] == "**":
        return partly or _matches(parts, pattern[1:]) or _matches(parts[1:], pattern)
    return fnmatch.fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:], partly)


def _associate(folder: Path, names: list[str]) -> list[Input]:
    """Inputs among the files of one folder: labels with their data first, then what no label claims."""
    exact = set(names)
    any_case = {name.lower(): name for name in reversed(names)}
    found: dict[str, Input] = {}
    claimed: set[str] = set()
    # PDS3 labels before PDS4 ones of the same data.
    for name in sorted(
        (n for n in names if _suffix(n) in LABEL_SUFFIXES), key=lambda n: (_suffix(n) != ".lbl", n)
    ):
        item = _labelled(folder / name, exact, any_case)
        if item is not None and not any(file.name in claimed for file in item.files[1:]):
            found[name] = item
            claimed.update(file.name for file in item.files)
    for name in names:
        reader = _READER_OF.get(_suffix(name))
        if reader is not None and name not in claimed:
            found[name] = _plain_file(folder / name, reader)
    return [found[name] for name in sorted(found)]


def _labelled(path: Path, exact: set[str], any_case: dict[str, str]) -> Input | None:
    """The input of a detached label; None where it labels no image."""
    try:
        seen = labels.peek(path)
    except OSError as error:
        return Input(
            path, path.name, "dawn", problem=f"cannot be opened ({error.strerror}); change its access rights"
        )
    if seen.kind in ("none", "other"):
        return None
    if seen.problem:
        files = (path,) if path.is_file() else ()  # what is opened to take its checksum must not block
        return Input(path, path.name, "dawn", files, seen.problem)
    data = next((n if n in exact else any_case[n.lower()] for n in seen.names if n.lower() in any_case), None)
    if data is None:
        data = _same_stem(path, any_case)
    if data is None:
        wanted = escaped(seen.names[0]) if seen.names else f"{path.stem}.IMG or .FIT"
        problem = f"is a label without its data: {wanted} is missing; put it into the same folder"
        return Input(path, path.name, "dawn", (path,), problem)
    if _READER_OF.get(_suffix(data)) == "picture":
        return None  # a labelled press picture is read as a picture
    refusal = link_problem(path, path.with_name(data))
    if refusal:
        return Input(path, path.name, "dawn", (path,), refusal)
    return Input(path, path.name, "dawn", (path, path.with_name(data)))


def _same_stem(path: Path, any_case: dict[str, str]) -> str | None:
    """Data file that goes by the label's own name (``X.LBL``: ``X.IMG``; ``X.IMG.LBL``: ``X.IMG``)."""
    suffixes = sorted(IMAGE_SUFFIXES["dawn"])
    stems = [path.stem.lower()] if _suffix(path.stem) in suffixes else []
    for candidate in (*stems, *(path.stem.lower() + suffix for suffix in suffixes)):
        name = any_case.get(candidate)
        if name is None:
            continue
        try:
            kind = labels.kind_of(labels.head(path.with_name(name), 4096))
        except (OSError, ReadError):
            continue
        if kind in ("binary", "fits"):  # what carries a label of its own is another product
            return name
    return None


def _plain_file(path: Path, reader: str) -> Input:
    """The input of a file that has no label beside it."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return Input(
            path, path.name, reader, problem=f"cannot be opened ({error.strerror}); check where it leads"
        )
    if not stat.S_ISREG(mode):
        return Input(
            path, path.name, reader, problem="is a pipe or a device, not a file; give a regular file"
        )
    return Input(path, path.name, reader, (path,))


def _single(path: Path, names: list[str]) -> Input:
    """The input that one file belongs to, looking at as few of its neighbours as possible."""
    exact, any_case = set(names), {name.lower(): name for name in reversed(names)}
    suffix, reader = _suffix(path.name), _READER_OF.get(_suffix(path.name))
    if reader == "picture":
        return _plain_file(path, reader)
    if suffix in LABEL_SUFFIXES:
        item = _labelled(path, exact, any_case)
        return item or Input(
            path, path.name, problem="is not the label of an image; give an image or its label"
        )
    plain = _plain_file(path, "dawn")
    if plain.problem:
        return plain
    near = {f"{stem}{end}" for stem in (path.stem.lower(), path.name.lower()) for end in LABEL_SUFFIXES}
    candidates = sorted(any_case[name] for name in near if name in any_case)
    try:
        kind = labels.kind_of(labels.head(path, 65536))
    except (OSError, ReadError):
        return plain if reader else Input(path, path.name, problem=f"is not an image that is read ({KINDS})")
    if kind in ("binary", "text") and reader is not None:
        candidates += [name for name in names if _suffix(name) in LABEL_SUFFIXES]
    for name in candidates:
        item = _labelled(path.with_name(name), exact, any_case)
        if item is not None and path.name in (file.name for file in item.files[1:]):
            return item
    if reader is None and kind not in ("pds3", "fits", "vicar", "isis"):
        return Input(path, path.name, problem=f"is not an image that is read ({KINDS})")
    return plain


def _suffix(name: str) -> str:
    return Path(name).suffix.lower()
