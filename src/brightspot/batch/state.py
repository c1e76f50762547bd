"""How far a run is, and what it came to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class RunState(NamedTuple):
    """How far a run is; given to ``watch`` about twice a second.

    Attributes
    ----------
    n_frames, n_failed : int
        Frames done in this run, and those of them that failed.
    n_inputs, n_kept : int
        Inputs done in this run; inputs whose results were there already.
    n_total : int or None
        Inputs there are; None while they are still being counted.
    n_in_hand : int
        Inputs the workers have.
    seconds : float
        Since the start.
    stopping : bool
        True once it was asked to stop: what is in hand is finished.
    """

    n_frames: int
    n_failed: int
    n_inputs: int
    n_kept: int
    n_total: int | None
    n_in_hand: int
    seconds: float
    stopping: bool

    @property
    def rate(self) -> float:
        """Inputs per second."""
        return self.n_inputs / self.seconds if self.seconds > 0 else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds left at that rate; None where it cannot be said."""
        if self.n_total is None or not self.n_inputs:
            return None
        return max(0, self.n_total - self.n_inputs - self.n_kept) / self.rate


@dataclass(frozen=True)
class RunSummary:
    """What a run did, and what its folder holds.

    Attributes
    ----------
    out : Path
        The results folder.
    n_ok, n_skipped, n_failed : int
        Frames in the folder by status.
    n_detections : int
        Rows of ``detections.csv``.
    failures : tuple of (str, str)
        Frame and reason of each failed frame.
    seconds : float
        Wall-clock time of this run.
    interrupted : bool
        True where the run was stopped before its last frame.
    n_new : int
        Frames done in this run.
    n_kept : int
        Inputs whose results were there already.
    """

    out: Path
    n_ok: int
    n_skipped: int
    n_failed: int
    n_detections: int
    failures: tuple[tuple[str, str], ...]
    seconds: float
    interrupted: bool = False
    n_new: int = 0
    n_kept: int = 0

    @property
    def n_frames(self) -> int:
        """Frames in ``frames.csv``."""
        return self.n_ok + self.n_skipped + self.n_failed
