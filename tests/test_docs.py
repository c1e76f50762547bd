"""The documentation: links, notebooks, and what is generated. The site itself is built by .ci/run."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from brightspot.catalog import COLUMNS, Flag
from brightspot.cli import COMMANDS
from brightspot.judge import FEATURES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_pages_link_to_what_exists(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if target.startswith("notebooks/"):
            assert (ROOT / target).is_file(), target
        elif not target.startswith(("http", "_generated/")):
            assert (DOCS / target).exists(), target


def test_every_page_and_notebook_is_in_the_index():
    listed = set(re.findall(r"^([\w/]+)$", (DOCS / "index.md").read_text(), re.MULTILINE))
    pages = {page.stem for page in DOCS.glob("*.md")} - {"index"}
    assert listed == pages | {f"notebooks/{notebook.stem}" for notebook in NOTEBOOKS}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.name)
def test_notebooks_carry_no_outputs(notebook):
    cells = json.loads(notebook.read_text())["cells"]
    assert cells[0]["cell_type"] == "markdown"
    assert "".join(cells[0]["source"]).startswith("# ")
    assert not any(cell.get("outputs") for cell in cells)


def test_tables_hold_every_name(generate):
    assert re.findall(r"^\| `(\w+)`", generate.columns(), re.MULTILINE) == [c.name for c in COLUMNS]
    assert re.findall(r"^\| `(\w+)`", generate.flags(), re.MULTILINE) == [flag.name for flag in Flag]
    assert re.findall(r"^\| `(\w+)`", generate.features(), re.MULTILINE) == list(FEATURES)
    assert all(re.search(rf"^\| `{name}` \| \S", generate.features(), re.MULTILINE) for name in FEATURES)
    assert "`brightspot.photometry.SOLAR_FLUX`" in generate.unverified()


def test_every_command_has_its_help(generate):
    text = generate.commands()
    for name in COMMANDS:
        assert f"## {name}\n" in text
        assert f"Usage: brightspot {name}" in text
    assert "\x1b" not in text


def test_the_readme_has_the_parts_that_pages_include():
    text = (ROOT / "README.md").read_text()
    for name in ("measured", "limits"):
        assert text.index(f"<!-- {name} -->") < text.index(f"<!-- end {name} -->")
