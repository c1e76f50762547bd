"""`brightspot doctor`."""

from __future__ import annotations

import os
import platform
import re
import sys
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, NamedTuple

from brightspot._version import __version__
from brightspot.cli.printing import DONE, SOME_FAILED, Switch, print_json, print_table

EXTRAS = {
    "spice": "geometry from SPICE kernels",
    "maps": "GeoTIFF and large mosaics",
    "netcdf": "backplanes as NetCDF and xarray",
    "parquet": "tables as Parquet",
    "gis": "footprints as GeoPackage",
    "cluster": "runs on many machines",
    "fit": "fitting the judge anew",
    "peers": "comparing with other finders",
    "test": "running the tests",
    "docs": "building the documentation",
    "fuzz": "long fuzzing runs",
}
"""What each extra gives."""

NEEDED = ("background.block_means", "segmentation.climb", "shading.describe_objects", "measure.measure")
"""Kernels that every search runs: where the cache has them, the first frame waits for no compiler."""

_REQUIREMENT = re.compile(
    r"([A-Za-z0-9._-]+)[^;<>=!~]*(?:>=\s*([0-9.]+))?[^;]*(?:;.*extra == ['\"]([^'\"]+)['\"])?"
)


class Library(NamedTuple):
    """A library that brightspot, or an extra of it, asks for."""

    name: str
    least: str
    found: str | None
    extra: str

    @property
    def state(self) -> str:
        """``ok``, ``missing`` or ``too old``."""
        if self.found is None:
            return "missing"
        return "ok" if _numbers(self.found) >= _numbers(self.least) else "too old"


def doctor(*, json: Switch = False) -> int:
    """Say whether everything brightspot needs is there: versions, extras, compiled kernels.

    Exit code 1 where something needed is missing; a missing extra is no fault.

    Parameters
    ----------
    json
        Print JSON.
    """
    libraries = required()
    kernels = kernel_cache()
    problems = _problems(libraries, kernels)
    if json:
        print_json(_record(libraries, kernels, problems))
    else:
        _print(libraries, kernels, problems)
    return SOME_FAILED if problems else DONE


def required() -> list[Library]:
    """What the installed package asks for, from its own metadata."""
    libraries = []
    for line in metadata.requires("brightspot") or ():
        match = _REQUIREMENT.match(line)
        if match is None:
            continue
        name, least, extra = match[1], match[2] or "", match[3] or ""
        try:
            found: str | None = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = None
        libraries.append(Library(name, least, found, extra))
    return libraries


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, for comparing."""
    numbers = []
    for part in version.split("."):
        digits = re.match(r"\d+", part)
        if digits is None:
            break
        numbers.append(int(digits[0]))
        if digits[0] != part:
            break
    return tuple(numbers)


def kernel_cache(*, every: bool = True) -> dict[str, Any]:
    """Where numba keeps compiled kernels, whether it may write there, and which are compiled already.

    Parameters
    ----------
    every : bool
        Look at all kernels; else at the stations of those that every search runs.

    Returns
    -------
    dict
        ``folder``, ``writable``, ``warm``, ``compiled`` and ``kernels`` (counts), ``error`` (None or a line).
    """
    state: dict[str, Any] = {
        "folder": None, "writable": False, "warm": False, "compiled": 0, "kernels": 0, "error": None
    }  # fmt: skip
    import brightspot._kernels

    folder = Path(brightspot._kernels.__file__).parent
    compiled: dict[str, bool] = {}
    sources = folder.glob("[!_]*.py") if every else (folder / f"{name.split('.')[0]}.py" for name in NEEDED)
    try:
        for source in sorted(sources):
            module = import_module(f"brightspot._kernels.{source.stem}")
            for name, kernel in vars(module).items():
                python = getattr(kernel, "py_func", None)
                if python is None or name.startswith("_") or python.__module__ != module.__name__:
                    continue
                state["folder"] = kernel.stats.cache_path
                compiled[f"{source.stem}.{name}"] = _is_cached(kernel.stats.cache_path, source, python)
    except Exception as error:  # a broken numba or a missing compiler shows as any kind of error
        state["error"] = " ".join(f"{type(error).__name__}: {error}".split())
    if state["folder"] is not None:
        state["writable"] = _writable(Path(state["folder"]))
    state["kernels"], state["compiled"] = len(compiled), sum(compiled.values())
    state["warm"] = all(compiled.get(name, False) for name in NEEDED)
    return state


def _is_cached(folder: str | None, source: Path, python: Any) -> bool:
    """Whether numba has an index for a function that is not older than its source."""
    if folder is None:
        return False
    line, version = python.__code__.co_firstlineno, f"{sys.version_info[0]}{sys.version_info[1]}"
    found = list(Path(folder).glob(f"{source.stem}.{python.__qualname__}-{line}.py{version}*.nbi"))
    return any(index.stat().st_mtime >= source.stat().st_mtime for index in found)


def _writable(folder: Path) -> bool:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK | os.X_OK)


def _problems(libraries: list[Library], kernels: dict[str, Any]) -> list[str]:
    problems = [
        f"{library.name} is {library.state}: pip install '{library.name}>={library.least}'"
        for library in libraries
        if not library.extra and library.state != "ok"
    ]
    if not libraries:
        problems.append("brightspot is not installed as a package: pip install it")
    if kernels["error"]:
        problems.append(f"kernels cannot be loaded: {kernels['error']}")
    return problems


def _extras(libraries: list[Library]) -> dict[str, list[Library]]:
    extras: dict[str, list[Library]] = {}
    for library in libraries:
        if library.extra:
            extras.setdefault(library.extra, []).append(library)
    return extras


def _record(libraries: list[Library], kernels: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    return {
        "brightspot": __version__,
        "folder": str(Path(__file__).parents[1]),
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "libraries": {
            lib.name: {"found": lib.found, "least": lib.least} for lib in libraries if not lib.extra
        },
        "extras": {
            extra: {
                "complete": all(lib.state == "ok" for lib in members),
                "gives": EXTRAS.get(extra, ""),
                "libraries": {lib.name: {"found": lib.found, "least": lib.least} for lib in members},
            }
            for extra, members in _extras(libraries).items()
        },
        "kernels": kernels,
        "problems": problems,
    }


def _print(libraries: list[Library], kernels: dict[str, Any], problems: list[str]) -> None:
    print(f"brightspot {__version__} in {Path(__file__).parents[1]}")
    print(f"Python {platform.python_version()}, {sys.executable}")
    print(f"{platform.platform()}, {os.cpu_count()} CPUs\n")
    print_table(
        ("library", "found", "needs", ""),
        [(lib.name, lib.found or "-", lib.least, lib.state) for lib in libraries if not lib.extra],
    )
    print()
    rows = []
    for extra, members in _extras(libraries).items():
        lacking = [lib.name for lib in members if lib.state != "ok"]
        state = "found" if not lacking else f"missing: {', '.join(lacking)}"
        rows.append((extra, EXTRAS.get(extra, ""), state))
    print_table(("extra", "gives", ""), rows)
    print("\nA missing extra is installed with: pip install 'brightspot[EXTRA]'\n")
    may = "writable" if kernels["writable"] else "not writable: kernels are compiled anew in every run"
    print(f"kernel cache   {kernels['folder'] or '-'} ({may})")
    state = "warm" if kernels["warm"] else "cold: the first search compiles for about a minute"
    print(f"kernels        {kernels['compiled']} of {kernels['kernels']} compiled, {state}")
    print(
        "\n" + ("no problems" if not problems else "\n".join(f"problem: {problem}" for problem in problems))
    )
