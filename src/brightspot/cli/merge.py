"""`brightspot merge`."""

from __future__ import annotations

import dataclasses

from brightspot.cli.printing import DONE, SOME_FAILED, Switch, count, print_json


def merge(folders: list[str], /, *, out: str, force: Switch = False, json: Switch = False) -> int:
    """Join results folders, as of the parts of a job array, into one.

    Parameters
    ----------
    folders
        Results folders of runs with the same settings.
    out
        The joined results folder.
    force
        Replace what an earlier run or merge left there.
    json
        Print the summary as JSON.
    """
    from brightspot.batch import merge_folders  # here, so that --help is quick

    summary = merge_folders(folders, out, force=force)
    n_frames = summary.n_ok + summary.n_skipped + summary.n_failed
    if json:
        print_json({**dataclasses.asdict(summary), "n_frames": n_frames})
    else:
        print(
            f"{count(summary.n_detections, 'detection')} in {count(n_frames, 'frame')} "
            f"({summary.n_ok} ok, {summary.n_skipped} skipped, {summary.n_failed} failed) "
            f"from {count(summary.n_folders, 'folder')}: {summary.out / 'detections.csv'}"
        )
    return SOME_FAILED if summary.n_failed else DONE
