"""What holds for all tests: how a test's workers start is no chance."""

import pytest

from brightspot.batch import pool


@pytest.fixture(autouse=True)
def workers_are_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork, where the system can, even where another test's cluster has left threads.

    A spawned worker knows nothing of what a test has patched, and takes seconds to import and to load.
    """
    monkeypatch.setattr(pool.threading, "active_count", lambda: 1)
