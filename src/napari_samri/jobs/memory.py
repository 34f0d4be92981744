"""Memory of large arrays, kept by a process that computes for long."""

from __future__ import annotations

import ctypes
import os
import sys

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_KEPT_BYTES = 2**31 - 1  # the most that mallopt takes


def keep_memory() -> None:
    """Have freed memory kept for the next array, in this process, where that is possible.

    glibc gives the memory of large arrays back to the system at once, to ask for it again, page
    by page, in the next layer: a third to half of the time of a decoder on two cores. Settings of
    the user by ``MALLOC_...`` or ``GLIBC_TUNABLES`` stay.
    """
    theirs = any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ)
    if theirs or not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other C libraries have none
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_MMAP_MAX, 0)
