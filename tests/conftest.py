"""What holds for all tests: every kernel is compiled once, and how a test's workers start is no chance."""

import os
import tempfile
import zlib
from functools import wraps
from pathlib import Path

import pytest

from brightspot.batch import pool


def pytest_configure() -> None:
    """Let numba compile a kernel in one of the test processes while the others wait, and load it there.

    All of them want the same kernels at the beginning, which take a minute where the cache is empty; and the
    cache is not safe when several fill it at the same time (numba issues 4807 and 10128).
    """
    try:
        import fcntl
    except ImportError:  # not a system with file locks
        return
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.dispatcher import Dispatcher

    usual, held = Dispatcher.compile, set()
    path = Path(tempfile.gettempdir()) / f"brightspot-tests-{os.getuid()}.lock"
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    @wraps(usual)
    def compile_or_wait(self, sig):
        # One byte of the file for each kernel: others may be compiled meanwhile. Kernels call each other
        # in one direction only, so nobody waits in a circle.
        place = zlib.crc32(f"{self.py_func.__module__}.{self.py_func.__qualname__}".encode())
        with global_compiler_lock:
            if place in held or not self.py_func.__module__.startswith("brightspot."):
                return usual(self, sig)
            held.add(place)
            fcntl.lockf(file, fcntl.LOCK_EX, 1, place)
            try:
                return usual(self, sig)
            finally:
                fcntl.lockf(file, fcntl.LOCK_UN, 1, place)
                held.remove(place)

    Dispatcher.compile = compile_or_wait


@pytest.fixture(autouse=True)
def workers_are_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork, where the system can, even where another test's cluster or pytest-xdist has left threads.

    A spawned worker knows nothing of what a test has patched, and takes seconds to import and to load.
    """
    monkeypatch.setattr(pool.threading, "active_count", lambda: 1)
