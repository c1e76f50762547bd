"""The journal of a run: one SQLite file in the results folder, one transaction per finished input.

Killed at any instant, the file holds every input committed before and nothing of the one in hand. Tables are
made from it, in the natural order of the frames' names, whichever worker finished what when.
"""

from brightspot.journal.layout import (
    APPLICATION_ID,
    FRAME_COLUMNS,
    JOURNAL,
    LOCK,
    SCHEMA_VERSION,
    Entry,
    FrameRows,
    natural_key,
)
from brightspot.journal.read import Results, holds_results, open_results
from brightspot.journal.store import FolderLock, Journal

__all__ = [
    "APPLICATION_ID",
    "FRAME_COLUMNS",
    "JOURNAL",
    "LOCK",
    "SCHEMA_VERSION",
    "Entry",
    "FolderLock",
    "FrameRows",
    "Journal",
    "Results",
    "holds_results",
    "natural_key",
    "open_results",
]
