"""What a person, and a log file, see of a run while it is at work."""

from __future__ import annotations

import os
import platform
import sys
import time
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

from brightspot._version import __version__
from brightspot.cli.printing import count, printable
from brightspot.errors import UsageError

if TYPE_CHECKING:
    from rich.progress import Progress

    from brightspot.batch import FrameResult, RunState, RunSummary

EVERY_S = 30.0
"""Time between two lines where there is no terminal."""


class Watcher:
    """A bar on a terminal, else a line now and then; failures as they come; a log of JSON lines.

    Parameters
    ----------
    out : str
        The results folder, for the log.
    log : str or None
        File that the JSON lines are appended to.
    debug : bool
        Show tracebacks.
    """

    def __init__(self, out: str, log: str | None, *, debug: bool) -> None:
        self.debug = debug
        self.told: set[str] = set()
        self.line = time.perf_counter()
        self.stopping = False
        self.log: IO[str] | None = None
        if log is not None:
            try:
                self.log = open(log, "a", encoding="utf-8", buffering=1)  # noqa: PTH123, SIM115
            except OSError as error:
                raise UsageError(f"--log-json {log}: {error.strerror}") from error
        self.bar: Progress | None = None
        self.task: Any = None
        if sys.stderr.isatty():
            self.bar, self.task = self._bar()
        self._log("start", brightspot=__version__, out=out, host=platform.node(), process=os.getpid())

    def __enter__(self) -> Watcher:
        if self.bar is not None:
            from brightspot.cli.doctor import kernel_cache

            self.bar.start()
            if not kernel_cache(every=False)["warm"]:
                self._say("brightspot: compiling first, once on this machine, for about a minute")
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self.bar is not None:
            self.bar.stop()
        if error is not None:
            self._log("error", reason=" ".join(str(error).split()) or type(error).__name__)
        if self.log is not None:
            self.log.close()
            self.log = None

    def _bar(self) -> tuple[Progress, Any]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        # Without auto_refresh there is no thread, and worker processes may be forked beside it.
        bar = Progress(
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            transient=True,
            auto_refresh=False,
        )
        return bar, bar.add_task("", total=None)

    def step(self, result: FrameResult) -> None:
        """Take note of a finished frame."""
        row = result.row
        self._log(
            "frame",
            **{name: row.get(name) for name in ("frame", "status", "reason", "n_detections", "seconds")},
        )
        if result.status == "failed":
            self.told.add(result.name)
            self._say(failure(result.name, str(row["reason"])))
        if self.debug and result.trace:
            self._say(result.trace)

    def look(self, state: RunState) -> None:
        """Show how far the run is."""
        if state.stopping and not self.stopping:
            self.stopping = True
            self._say(
                f"brightspot: stopping, {count(state.n_in_hand, 'input')} in hand; Ctrl-C again stops at once"
            )
        if self.bar is not None:
            self.bar.update(
                self.task,
                total=state.n_total,
                completed=state.n_inputs + state.n_kept,
                description=_told(state),
                refresh=True,
            )
        elif time.perf_counter() - self.line > EVERY_S:
            self.line = time.perf_counter()
            total = "" if state.n_total is None else f" of {state.n_total}"
            self._say(f"brightspot: {state.n_inputs + state.n_kept}{total} inputs, {_told(state)}")
            self._log("state", **state._asdict(), rate=state.rate, eta_s=state.eta_s)

    def end(self, summary: RunSummary) -> None:
        """Take note of the end."""
        facts = {name: getattr(summary, name) for name in ("n_ok", "n_skipped", "n_failed", "n_detections")}
        self._log("interrupted" if summary.interrupted else "end", **facts, seconds=summary.seconds)

    def say_older_failures(self, summary: RunSummary, most: int) -> None:
        """Name the failed frames of earlier runs too: they count for the exit code."""
        older = [failed for failed in summary.failures if failed[0] not in self.told]
        for name, reason in older[:most]:
            print(failure(name, reason), file=sys.stderr)
        if len(older) > most:
            print(f"brightspot: ... and {len(older) - most} more failed, see frames.csv", file=sys.stderr)

    def _say(self, line: str) -> None:
        if self.bar is not None:
            self.bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def _log(self, event: str, **facts: Any) -> None:
        if self.log is None:
            return
        from brightspot.writers import json_text

        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **facts}
        try:
            self.log.write(json_text(line, indent=None) + "\n")
        except OSError as error:  # a full disk must not end the run for its log's sake
            self.log = None
            self._say(f"brightspot: no more lines in the JSON log: {error.strerror}")


def failure(name: str, reason: str) -> str:
    """One line on a failed frame."""
    return f"brightspot: {printable(reason if reason.startswith(name) else f'{name}: {reason}')}"


def _told(state: RunState) -> str:
    """Rate, time left and failures in words."""
    parts = [f"{state.rate:.3g}/s"]
    if state.eta_s is not None:
        minutes, seconds = divmod(round(state.eta_s), 60)
        hours, minutes = divmod(minutes, 60)
        parts.append(f"{hours}:{minutes:02d}:{seconds:02d} left")
    parts.append(f"{state.n_failed} failed")
    return ", ".join(parts)
