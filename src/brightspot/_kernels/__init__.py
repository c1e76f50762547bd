"""Compiled loops, one file per station: arrays in, arrays out, nothing but numpy and numba.

Kept as a folder so that changing one station's kernels does not throw away the
disk cache of the others. Every kernel is compiled with ``cache=True, nogil=True,
error_model="numpy"``; shapes and dtypes are checked by the callers.
"""
