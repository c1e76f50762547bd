"""`brightspot report`."""

from __future__ import annotations

from pathlib import Path

from brightspot.cli.printing import DONE, say_unfinished


def report(folder: str, /) -> int:
    """Make the page of a results folder again: report.html with table, pictures and map.

    Parameters
    ----------
    folder
        Results folder of brightspot detect or merge, also of a run still at work.
    """
    from brightspot.journal import open_results  # here, so that --help is quick
    from brightspot.report import write_report
    from brightspot.writers import REPORT, saving

    say_unfinished(folder)
    with open_results(folder) as results:
        with saving(Path(folder) / REPORT):
            page = write_report(results)
        print(page)
    return DONE
