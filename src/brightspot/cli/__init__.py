"""The command line: `brightspot detect`, `info`, `scale`, `show`, `simulate`.

Results go to stdout, talk and progress to stderr. Exit codes: 0 all frames done, 1 some failed,
2 wrong use, 130 interrupted. A command's file, and the stations with it, is imported when the command is
called: ``brightspot --help`` needs none of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from cyclopts import App, CycloptsError, Parameter, Token, convert

from brightspot._version import __version__
from brightspot.cli.printing import DONE, INTERRUPTED, SOME_FAILED, WRONG_USE, complain
from brightspot.errors import BrightspotError, UsageError

COMMANDS = {
    "completeness": "Put known spots into your images and see which of them are found.",
    "completion": "Print or install what lets your shell complete commands and options.",
    "detect": "Find and measure spots in images; leave tables and pictures in a results folder.",
    "doctor": "Say whether everything needed is there: versions, extras, compiled kernels.",
    "export": "Write the detections of a results folder for QGIS, DS9, JMARS, TOPCAT, data frames, ...",
    "info": "Say what an image is: camera, time, unit, lighting, scale.",
    "merge": "Join results folders, as of the parts of a job array, into one.",
    "report": "Make the page of a results folder again: table, pictures and map in report.html.",
    "scale": "Kilometres per pixel: what articles say, what the camera predicts, what an image tells.",
    "show": "Draw an image and its spots, many spots side by side, or a map of results.",
    "simulate": "Render Framing Camera frames of Ceres with known spots.",
}


def _exact(kind: Any, tokens: Sequence[Token]) -> Any:
    """Values of one option; cyclopts itself would round 1.5 to a whole number without a word."""
    for token in tokens if kind is int else ():
        if "." in token.value and not float(token.value).is_integer():
            raise ValueError(f"{token.value} is no whole number")
    return convert(kind, tokens)


app = App(
    name="brightspot",
    help="Find albedo outliers on Ceres in Dawn Framing Camera images and measure them in kilometres.",
    version=__version__,
    help_format="plaintext",
    default_parameter=Parameter(converter=_exact),
    result_action="return_value",
)
for _name, _help in COMMANDS.items():
    app.command(f"brightspot.cli.{_name}:{_name}", name=_name, help=_help)


def main(tokens: Sequence[str] | None = None) -> None:
    """Entry point of ``brightspot`` and ``python -m brightspot``: runs one command and exits."""
    sys.exit(run(tokens))


def run(tokens: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    tokens = list(sys.argv[1:] if tokens is None else tokens)
    debug = "--debug" in tokens
    if debug and tokens[0] != "detect":  # there it also shows what went wrong with single frames
        tokens.remove("--debug")
    try:
        code = app(tokens or ["--help"], exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        return complain(f"{' '.join(str(error).split())} (see brightspot --help)", WRONG_USE)
    except BrokenPipeError:  # whoever read our stdout went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return complain("interrupted", INTERRUPTED)
    except Exception as error:
        if debug:
            raise
        if isinstance(error, BrightspotError):
            return complain(error, WRONG_USE if isinstance(error, UsageError) else SOME_FAILED)
        return complain(f"{type(error).__name__}: {error} (--debug shows where)", SOME_FAILED)
    return code if isinstance(code, int) else DONE
