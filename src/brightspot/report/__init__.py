"""One page that shows a run: what was found, where, in which pictures, with which settings.

`write_report` makes ``report.html`` from a results folder: it needs no network and no other program, and
opens from disk. `preview` makes the small picture of a frame that the page shows.
"""

from brightspot.report.page import (
    EMBEDDED_BYTES,
    PICTURES,
    script_json,
    write_report,
)
from brightspot.report.preview import PREVIEW_PX, Shown, preview, read_shown

__all__ = [
    "EMBEDDED_BYTES",
    "PICTURES",
    "PREVIEW_PX",
    "Shown",
    "preview",
    "read_shown",
    "script_json",
    "write_report",
]
