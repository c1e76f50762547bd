"""The house rules as running checks: lazy imports, the street, versions, documents, file sizes."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import brightspot
from brightspot.catalog import COLUMNS, Flag

ROOT = Path(__file__).parents[1]
HEAVY = {"numba", "pandas", "scipy", "matplotlib", "astropy", "pdr", "skimage", "imageio", "xarray"}

QUIET_RUN = """
import contextlib, io
from brightspot import cli
with contextlib.redirect_stdout(io.StringIO()):
    cli.run({})
"""


LEAST_PROGRAM = """
import contextlib, io
import cyclopts
app = cyclopts.App()
@app.command
def command(number: int = 1):
    "Its help."
with contextlib.redirect_stdout(io.StringIO()):
    app(["command", "--help"], result_action="return_value")
"""


def all_modules_after(code: str) -> set[str]:
    """Modules in a new interpreter after it ran ``code``."""
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def modules_after(code: str) -> set[str]:
    """Top-level modules in a new interpreter after it ran ``code``."""
    return {name.split(".")[0] for name in all_modules_after(code)}


def test_importing_brightspot_imports_nothing_heavy():
    assert not modules_after("import brightspot") & (HEAVY | {"numpy", "cyclopts", "rich"})


def test_help_imports_no_station():
    assert not modules_after(QUIET_RUN.format(["--help"])) & (HEAVY | {"numpy"})


def test_detect_help_imports_nothing_slow():
    assert not modules_after(QUIET_RUN.format(["detect", "--help"])) & HEAVY


def test_only_the_command_line_knows_the_terminal():
    code = "import brightspot\nfor n in brightspot.__all__: getattr(brightspot, n)"
    assert not modules_after(code) & {"cyclopts", "rich", "numba", "matplotlib", "pandas"}


def test_importing_brightspot_brings_little_but_itself():
    brought = all_modules_after("import brightspot") - all_modules_after("pass")
    assert {name for name in brought if name.startswith("brightspot")} == {
        "brightspot",
        "brightspot._version",
    }
    assert len(brought) < 10


@pytest.mark.parametrize("tokens", [["--help"], ["detect", "--help"]])
def test_help_imports_no_more_than_the_help_of_a_program_of_three_lines(tokens):
    brought = all_modules_after(QUIET_RUN.format(tokens)) - all_modules_after(LEAST_PROGRAM)
    assert {name.split(".")[0] for name in brought} == {"brightspot"}
    assert len(brought) < 10


def test_public_names_are_there_and_lazy_ones_are_typed():
    stub = (ROOT / "src" / "brightspot" / "__init__.pyi").read_text()
    typed = set(re.findall(r"import (\w+) as \1", stub))
    assert typed == set(brightspot.__all__)
    for name in brightspot.__all__:
        assert getattr(brightspot, name) is not None
    assert set(brightspot.__all__) == set(dir(brightspot))
    with pytest.raises(AttributeError, match="no_such_name"):
        brightspot.no_such_name


def test_the_street_holds():
    lint = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or shutil.which("lint-imports")
    assert lint, "import-linter is part of the extra 'test'"
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_version_is_the_same_everywhere():
    version = brightspot.__version__
    assert f"version: {version}" in (ROOT / "CITATION.cff").read_text()
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["version"]["path"].endswith(
        "_version.py"
    )


def readme_block(name: str) -> str:
    found = re.search(rf"<!-- ci: {name} -->\n```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found, f"README.md has no block marked ci: {name}"
    return found[1]


def test_readme_has_the_two_commands_on_its_first_screen():
    assert "brightspot detect sample_images --out results" in readme_block("detect")
    assert "pytest" in readme_block("test")
    first_screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:40])
    assert "<!-- ci: test -->" in first_screen
    assert "![" in first_screen


def test_readme_describes_every_column():
    text = (ROOT / "README.md").read_text()
    text = text[text.index("<!-- columns -->") : text.index("<!-- end columns -->")]
    table = re.findall(r"^\| `(\w+)` \| ([^|]*) \| (.*) \|$", text, re.MULTILINE)
    described = [(name, unit.strip(), meaning.strip()) for name, unit, meaning in table]
    assert described == [(column.name, column.unit, column.meaning.replace("|", "\\|")) for column in COLUMNS]


def test_readme_names_every_flag():
    text = (ROOT / "README.md").read_text()
    assert all(f"`{flag.name}`" in text for flag in Flag)


def test_documents_link_to_what_exists():
    for document in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / document).read_text()):
            if not target.startswith("http"):
                assert (ROOT / target).exists(), f"{document} links to {target}"


def project_files() -> list[Path]:
    """Files that git knows or would take in; all of the source where there is no git."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
    )
    if done.returncode:
        return [path for folder in ("src", "tests") for path in (ROOT / folder).rglob("*.py")]
    return [path for name in done.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_is_large():
    sizes = {str(path): path.stat().st_size for path in project_files()}
    assert {name for name, size in sizes.items() if size > 5_000_000} == set()
    pictures = {name: size for name, size in sizes.items() if "/images/" in name}
    assert {name for name, size in pictures.items() if size > 400_000} == set()


def test_no_station_is_unfinished():
    # Put together here, so that searching the tree for them does not find this test.
    words = re.compile(
        "|".join(rf"\b{a}{b}\b" for a, b in (("TO", "DO"), ("FIX", "ME"), ("NotImplemented", "Error")))
    )
    source = [path for path in project_files() if path.suffix == ".py" and "src" in path.parts]
    assert [str(path) for path in source if words.search(path.read_text())] == []
