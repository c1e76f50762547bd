"""Images behind URLs (``s3://``, ``https://``, anything fsspec reads): found by name, fetched by the worker.

A label is paired with its data by the rules of `find_inputs`: labels are fetched into a scratch folder,
data files stand there as their first bytes, one remote folder at a time.
"""

from __future__ import annotations

import posixpath
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from brightspot.errors import BrightspotError, ReadError, UsageError
from brightspot.readers.inputs import IMAGE_SUFFIXES, LABEL_SUFFIXES, RUN_RECORD, Input, find_inputs

HEAD_BYTES = 4096
"""Of a data file, enough to tell what it is."""

GREATEST_LABEL_BYTES = 1 << 22
"""No detached label is longer."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_TIMES = ("ETag", "etag", "LastModified", "last_modified", "mtime", "updated", "created")
_IMAGES = frozenset().union(*IMAGE_SUFFIXES.values())


class Remote(NamedTuple):
    """An input whose files lie behind URLs.

    Attributes
    ----------
    item : Input
        Its paths are bare file names until it is fetched.
    urls : tuple of str
        Of each of ``item.files``.
    stamp : str
        Sizes and times as the server tells them; empty where it tells too little.
    """

    item: Input
    urls: tuple[str, ...]
    stamp: str


def is_url(text: str) -> bool:
    """Whether a path is a URL."""
    return _URL.match(text) is not None


def find_remote(url: str, prefix: str = "") -> Iterator[Remote]:
    """Every image of a remote file, folder or pattern, one folder in memory at a time.

    Parameters
    ----------
    url : str
        What fsspec understands; a folder is searched to its depths.
    prefix : str
        Goes before the names.

    Yields
    ------
    Remote
        By folder, within it by name.

    Raises
    ------
    UsageError
        If fsspec or the protocol's library is missing, or the place cannot be listed.
    """
    fs, path = _file_system(url)
    try:
        if "*" in path or "[" in path:
            yield from _matching(fs, path, prefix)
        elif posixpath.splitext(path.rstrip("/"))[1].lower() in _IMAGES | LABEL_SUFFIXES:
            yield from _one(fs, path.rstrip("/"), prefix)
        else:
            yield from _tree(fs, path.rstrip("/"), prefix)
    except BrightspotError:
        raise
    except Exception as error:  # every protocol has its own
        if _is_missing(error):
            raise UsageError(f"{url}: the server has no such file or folder; check the address") from error
        told = error.__cause__ or error
        raise UsageError(f"{url} cannot be listed ({type(told).__name__}: {_line(told)})") from error


@contextmanager
def fetched(item: Input, urls: Sequence[str]) -> Iterator[Input]:
    """The input with its files on this machine, for as long as the block lasts.

    Raises
    ------
    ReadError
        If a file cannot be fetched.
    """
    if not urls:
        yield item
        return
    with tempfile.TemporaryDirectory(prefix="brightspot-") as scratch:
        files = []
        for place, name in zip(urls, item.files, strict=True):
            local = Path(scratch) / name.name
            try:
                fs, path = _file_system(place)
                fs.get_file(path, str(local))
            except Exception as error:  # every protocol has its own
                raise ReadError(
                    f"{item.name} cannot be fetched from {place} ({type(error).__name__}: {_line(error)})"
                ) from error
            files.append(local)
        yield replace(item, path=Path(scratch) / item.path.name, files=tuple(files))


def _file_system(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise UsageError("URLs need more libraries: pip install 'brightspot[cluster]'") from error
    try:
        fs, path = url_to_fs(url)
    except ImportError as error:
        raise UsageError(f"{url}: {_line(error)}") from error
    except ValueError as error:
        raise UsageError(f"{url} is no URL that can be read ({_line(error)})") from error
    return fs, str(path)


def _tree(fs: Any, top: str, prefix: str) -> Iterator[Remote]:
    stack, visited = [(top, prefix)], set()
    while stack:
        folder, before = stack.pop()
        if folder in visited:
            continue
        visited.add(folder)
        files, folders = _listing(fs, folder)
        if RUN_RECORD in files and folder != top:
            continue
        yield from _folder(fs, files, before)
        stack.extend((place, f"{before}{name}/") for name, place in sorted(folders.items(), reverse=True))


def _listing(
    fs: Any, folder: str, otherwise: Sequence[str] = ()
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Files (name: facts) and subfolders (name: place) of a folder; ``otherwise`` if the list lacks them."""
    try:
        entries = fs.ls(folder, detail=True)
    except Exception:
        if not otherwise:
            raise
        entries = []
    known = {_same(fs, str(entry["name"])) for entry in entries}
    # A server need not list all that it has.
    entries = [*entries, *(fs.info(place) for place in otherwise if _same(fs, place) not in known)]
    files, folders = {}, {}
    for entry in entries:
        place = str(entry["name"])
        name = unquote(posixpath.basename(place.rstrip("/"))) if _is_http(fs) else posixpath.basename(
            place.rstrip("/")
        )  # fmt: skip
        if not name or name.startswith(".") or "/" in name or "?" in place:
            continue
        if entry["type"] == "directory":
            folders[name] = place.rstrip("/")
        else:
            files[name] = entry
    return files, folders


def _one(fs: Any, wanted: str, prefix: str) -> Iterator[Remote]:
    """The input that a single file belongs to."""
    for found in _folder(fs, _listing(fs, _parent(wanted), [wanted])[0], prefix):
        if _same(fs, wanted) in {_same(fs, place) for place in found.urls} or found.item.problem:
            yield found


def _matching(fs: Any, pattern: str, prefix: str) -> Iterator[Remote]:
    fixed = re.split(r"[^/]*[*\[]", pattern)[0].rstrip("/")
    wanted: dict[str, set[str]] = {}
    for place in fs.glob(pattern):
        wanted.setdefault(_parent(place), set()).add(_same(fs, place))
    for folder in sorted(wanted):
        below = folder[len(fixed) :].strip("/")
        for found in _folder(fs, _listing(fs, folder)[0], f"{prefix}{below}/" if below else prefix):
            if wanted[folder] & {_same(fs, place) for place in found.urls}:
                yield found


def _folder(fs: Any, files: dict[str, dict[str, Any]], prefix: str) -> Iterator[Remote]:
    """Inputs among the files of one folder, paired as on a disk."""
    with tempfile.TemporaryDirectory(prefix="brightspot-") as scratch:
        labelled = any(_suffix(name) in LABEL_SUFFIXES for name in files)
        for name, facts in files.items():
            if _suffix(name) in _IMAGES | LABEL_SUFFIXES:
                length = GREATEST_LABEL_BYTES if _suffix(name) in LABEL_SUFFIXES else HEAD_BYTES
                head = b""
                if labelled:
                    size = facts.get("size")
                    end = length if size is None else min(length, int(size))
                    head = fs.cat_file(facts["name"], start=0, end=end) if end else b""
                (Path(scratch) / name).write_bytes(head[:length])
        for item in find_inputs(scratch) if any(Path(scratch).iterdir()) else ():
            names = [path.name for path in item.files]
            yield Remote(
                replace(
                    item,
                    path=Path(item.path.name),
                    name=prefix + item.name,
                    files=tuple(Path(name) for name in names),
                ),
                tuple(fs.unstrip_protocol(files[name]["name"]) for name in names),
                _stamp([files[name] for name in names]),
            )


def _stamp(facts: list[dict[str, Any]]) -> str:
    times = [next((fact[key] for key in _TIMES if fact.get(key)), None) for fact in facts]
    if not facts or any(time is None for time in times):
        return ""
    return ";".join(f"{fact.get('size')}:{time}" for fact, time in zip(facts, times, strict=True))


def _is_http(fs: Any) -> bool:
    return "http" in (fs.protocol if isinstance(fs.protocol, list | tuple) else (fs.protocol,))


def _same(fs: Any, place: str) -> str:
    """A place in one spelling, with or without its protocol."""
    return str(fs._strip_protocol(place)).strip("/")


def _parent(place: str) -> str:
    return place.rstrip("/").rpartition("/")[0]


def _suffix(name: str) -> str:
    return posixpath.splitext(name)[1].lower()


def _is_missing(error: BaseException) -> bool:
    """Whether there is no such place; fsspec says so of every failure behind HTTP, with its cause."""
    cause = error.__cause__
    return isinstance(error, FileNotFoundError) and (
        cause is None or isinstance(cause, FileNotFoundError) or getattr(cause, "status", 0) in (404, 410)
    )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
