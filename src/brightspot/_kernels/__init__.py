"""Compiled loops, one file per station: arrays in, arrays out, nothing but numpy and numba.

Kept as a folder so that changing one station's kernels does not throw away the
disk cache of the others. Every kernel is compiled with ``cache=True, nogil=True,
error_model="numpy"``; shapes and dtypes are checked by the callers.
"""

import atexit
import os
import shutil
import tempfile

import numba


def _probe() -> int:
    return 0


try:
    numba.njit(cache=True)(_probe)
except RuntimeError:
    # Neither this folder nor the user's cache can be written, and numba then refuses to compile at all: it
    # gets a folder of this process's own; in one that others know of they could leave it code to load.
    os.environ["NUMBA_CACHE_DIR"] = numba.config.CACHE_DIR = tempfile.mkdtemp(prefix="brightspot-numba-")
    atexit.register(shutil.rmtree, numba.config.CACHE_DIR, ignore_errors=True)
