"""Giving memory back: glibc's allocator keeps freed buffers of requests for as long as it likes.

Without this a shard that took 100,000 vectors holds a quarter of their size in freed request buffers.
"""

from __future__ import annotations

import ctypes
import sys

# From glibc's malloc.h.
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

# Larger buffers are mapped one by one and unmapped when freed. Setting it also stops glibc from
# raising the threshold by itself.
_MAPPED_FROM_BYTES = 256 * 1024
# One arena per thread, the default, multiplies what is kept by the number of threads.
_ARENAS = 2


def return_freed_memory() -> None:
    """Tune malloc for large, short-lived buffers. Does nothing where the C library is not glibc."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES)
