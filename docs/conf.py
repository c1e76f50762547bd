"""Settings of the documentation: ``sphinx-build -W -n --keep-going docs docs/_build``."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import figures
import generate
from docutils import nodes
from latex2mathml.converter import convert

import brightspot

project = "brightspot"
author = "The brightspot developers"
copyright = "The brightspot developers, MIT licence"
version = release = brightspot.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "numpydoc",
]
exclude_patterns = ["_build", "_generated/*.md"]
myst_enable_extensions = ["dollarmath", "amsmath", "deflist", "substitution"]
myst_substitutions = generate.numbers()
myst_heading_anchors = 3

# Notebooks are run once for each of their versions; a cell that fails ends the build.
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
default_role = "py:obj"
# A name in single backquotes becomes a link where it has a page, and is set as code where it has none.
nitpick_ignore_regex = [("py:obj", ".*")]

html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"brightspot {release}"
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["page.css"]

FOLDER = Path(__file__).parent
# Pages include what these write, so they run before the first page is read.
generate.write(FOLDER)
figures.draw(FOLDER / "_generated" / "figures")


def inline_math(writer: Any, node: Any) -> None:
    """A formula in a line as MathML, which browsers set themselves: the site needs no network."""
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def block_math(writer: Any, node: Any) -> None:
    """A formula on its own."""
    writer.body.append(f'<div class="math-block">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
