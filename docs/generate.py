"""Write the parts of the documentation that the code knows best: columns, flags, features, formats, commands.

    python docs/generate.py

Everything goes to ``docs/_generated`` and ``docs/notebooks``, which git ignores; the Sphinx build calls it.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from enum import IntFlag
from pathlib import Path

import brightspot
from brightspot import cli, finder, footprint, judge, pairs, segmentation, shading
from brightspot.catalog import COLUMNS, Flag
from brightspot.completeness import tables as completeness
from brightspot.journal import FRAME_COLUMNS
from brightspot.writers.export import FORMATS

ROOT = Path(__file__).parents[1]

WIDTH = 90
"""Characters in a line of a command's help."""

OF_A_FRAME = {
    "frame": "input relative to what was given; #NNN is a picture of an animation",
    "status": "ok, skipped (another body, nothing lit) or failed",
    "reason": "why not ok, in one line",
    "n_detections": "rows in detections.csv",
    "n_x": "width, px",
    "n_y": "height, px",
    "unit": "what a pixel value is: DN, a radiance, I/F, or display",
    "camera": "FC1 or FC2",
    "filter": "1 (clear) to 8",
    "start_time": "START_TIME of the label, UTC",
    "pixel_scale_km": "the scale believed, km per pixel",
    "scale_source": "where it comes from",
    "scale_conflicts": "sources that disagree with it by more than the errors",
    "notes": "remarks on the image and the search",
    "overlay": "the picture in overlays/",
    "seconds": "time this frame took",
}
"""Meaning of the columns of frames.csv."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A markdown table."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (head, *rows)]
    lines.insert(1, "|" + "---|" * len(head))
    return "\n".join(lines) + "\n"


def columns() -> str:
    """Every column of detections.csv."""
    rows = ((f"`{c.name}`", c.unit, c.meaning, f"`{c.ucd}`" if c.ucd else "") for c in COLUMNS)
    return table(("column", "unit", "meaning", "UCD"), rows)


def frame_columns() -> str:
    """Every column of frames.csv."""
    if set(OF_A_FRAME) != set(FRAME_COLUMNS):
        raise SystemExit(f"OF_A_FRAME and FRAME_COLUMNS differ: {set(OF_A_FRAME) ^ set(FRAME_COLUMNS)}")
    return table(("column", "meaning"), ((f"`{name}`", OF_A_FRAME[name]) for name in FRAME_COLUMNS))


def documented(members: type[IntFlag]) -> Iterator[tuple[str, str]]:
    """Names of an enumeration and the docstrings under them."""
    source = inspect.getsource(members)
    for member in members:
        found = re.search(rf'^    {member.name} = \d+\n    """(.*?)"""', source, re.DOTALL | re.MULTILINE)
        if found is None:
            raise SystemExit(f"{members.__name__}.{member.name} has no docstring")
        yield f"`{member.name}`", found[1]


def flags() -> str:
    """Every flag."""
    rows = ((name, str(flag.value), text) for flag, (name, text) in zip(Flag, documented(Flag), strict=True))
    return table(("flag", "value", "meaning"), rows)


def features() -> str:
    """What the judge looks at: names and the comments behind them."""
    source = inspect.getsource(judge)
    listed = source[source.index("FEATURES = (") :]
    comments = dict(re.findall(r'^    "(\w+)",(?:  # (.*))?$', listed[: listed.index("\n)")], re.MULTILINE))
    return table(("feature", "meaning"), ((f"`{name}`", comments[name]) for name in judge.FEATURES))


def presets() -> str:
    """The presets with what they compare."""
    rows = (
        (f"`{name}`", kind.replace("_", " "), f"{limit:g}") for name, (kind, limit) in finder.PRESETS.items()
    )
    return table(("preset", "compares", "with"), rows)


def formats() -> str:
    """What `export` writes."""
    return table(
        ("format", "file", "what"), ((f"`{n}`", f"`{f.file}`", f.meaning) for n, f in FORMATS.items())
    )


def completeness_columns() -> str:
    """Columns of the tables of `completeness`."""
    head = ("column", "unit", "meaning")
    files = {"completeness.csv": completeness.SPOT_COLUMNS, "frames.csv": completeness.FRAME_COLUMNS}
    parts = [
        f"`{file}`:\n\n{table(head, ((f'`{c.name}`', c.unit, c.meaning) for c in listed))}"
        for file, listed in files.items()
    ]
    return "\n".join(
        [*parts, f"`recovery.csv`: {', '.join(f'`{n}`' for n in completeness.RECOVERY_COLUMNS)}.\n"]
    )


def help_of(tokens: list[str]) -> str:
    """What ``brightspot TOKENS --help`` prints."""
    printed = io.StringIO()
    kept = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(WIDTH)
    try:
        with contextlib.redirect_stdout(printed):
            cli.run([*tokens, "--help"])
    finally:
        os.environ.pop("COLUMNS")
        if kept is not None:
            os.environ["COLUMNS"] = kept
    return "\n".join(line.rstrip() for line in printed.getvalue().strip().splitlines())


def commands() -> str:
    """Every command's help."""
    parts = [f"```text\n{help_of([])}\n```\n"]
    for name in cli.COMMANDS:
        parts.append(f"({name})=\n## {name}\n\n```text\n{help_of([name])}\n```\n")
    return "\n".join(parts)


def unverified() -> str:
    """Every constant or docstring that calls itself unverified: module and the sentence."""
    rows = []
    for path in sorted((ROOT / "src" / "brightspot").rglob("*.py")):
        text = path.read_text()
        module = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
        for found in re.finditer(
            r'^(\w+)(?:: [^=\n]+)? = [^\n]*(?:\n(?![\w"])[^\n]*)*\n"""((?:(?!""").)*)"""', text, re.M | re.S
        ):
            if "unverified" in found[2].lower():
                rows.append((f"`{module}.{found[1]}`", " ".join(found[2].split())))
    return table(("constant", "what the code says"), rows)


def numbers() -> dict[str, str]:
    """Constants of the code that pages quote."""
    values = {
        "saddle_share": segmentation.SADDLE_DEPTH_SHARE,
        "saddle_sigma": segmentation.SADDLE_DEPTH_SIGMA,
        "sharpening": pairs.SHARPENING,
        "top_depth": pairs.LEAST_DEPTH_SHARE,
        "candidate_excess": finder.CANDIDATE_EXCESS,
        "candidate_sigma": finder.CANDIDATE_SIGMA,
        "candidate_sigma_dark": finder.CANDIDATE_SIGMA_DARK,
        "resolved": footprint.RESOLVED,
        "repose": shading.ANGLE_OF_REPOSE_DEG,
        "trees_share": judge.TREES_SHARE,
        "crowd_share": judge.CROWD_SHARE,
        "pair_trees_share": judge.PAIR_TREES_SHARE,
    }
    return {name: f"{value:g}" for name, value in values.items()}


def python_names() -> str:
    """Every public name as a directive of autodoc."""
    parts = []
    for name in brightspot.__all__:
        value = getattr(brightspot, name)
        if name in ("__version__", "COLUMNS", "Flag", "simulate", "completeness"):
            continue
        home = f"brightspot.{name}"
        if inspect.isclass(value):
            error = issubclass(value, Exception)
            parts.append(
                f".. autoclass:: {home}\n"
                + ("" if error else "   :members:\n   :special-members: __call__\n")
            )
        else:
            parts.append(f".. autofunction:: {home}\n")
    return "```{eval-rst}\n" + "\n".join(parts) + "```\n"


PARTS = {
    "columns": columns,
    "frame_columns": frame_columns,
    "flags": flags,
    "features": features,
    "presets": presets,
    "formats": formats,
    "completeness_columns": completeness_columns,
    "commands": commands,
    "unverified": unverified,
    "python": python_names,
}


def write(folder: Path) -> None:
    """Write every part, and copy the notebooks to where Sphinx finds them."""
    generated = folder / "_generated"
    generated.mkdir(exist_ok=True)
    for name, make in PARTS.items():
        put(generated / f"{name}.md", make())
    notebooks = folder / "notebooks"
    notebooks.mkdir(exist_ok=True)
    wanted = {path.name: path for path in (ROOT / "notebooks").glob("*.ipynb")}
    for path in notebooks.glob("*.ipynb"):
        if path.name not in wanted:
            path.unlink()
    for name, path in wanted.items():
        put(notebooks / name, path.read_text())
    pictures = generated / "images"
    pictures.mkdir(exist_ok=True)
    for path in (ROOT / "images").iterdir():
        shutil.copy2(path, pictures)


def put(path: Path, text: str) -> None:
    """Write a text only where it differs, so that an unchanged page is not built again."""
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)


if __name__ == "__main__":
    write(Path(__file__).parent)
