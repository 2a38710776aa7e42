"""A pool of the nearest rows: an ascending array of keys, not a heap.

Nearly all candidates fail the one comparison with the last key, and an insertion moves a few cache
lines. A key is an int64: the distance (int32, from 0 up) above the row, and bit 0 for the walker.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hanax.engine.kernels.llvm import move_items

# Larger than every key.
NO_BOUND = np.int64(2**63 - 1)


@njit(inline="always")
def key_of(distance, row):
    """distance: int32 from 0 up. row: below 2^31."""
    return (np.int64(distance) << np.int64(32)) | (np.int64(row) << np.int64(1))


@njit(inline="always")
def row_of(key):
    return (key & np.int64(0xFFFFFFFF)) >> np.int64(1)


@njit(inline="always")
def distance_of(key):
    return np.int32(key >> np.int64(32))


# Without reference counts: they would cost more than the search.
@njit(nogil=True, error_model="numpy", forceinline=True, _nrt=False)
def insert_key(pool, size, limit, key):
    """Put a key into pool[:size], which ascends; return its place, `limit` when it is not among the
    nearest. A full pool loses its last key; the caller counts the size: min(size + 1, limit).
    """
    low = np.int64(0)
    high = np.int64(size)
    while low < high:
        middle = (low + high) >> 1
        if pool[middle] > key:
            high = middle
        else:
            low = middle + 1
    if low < limit:
        moved = (size if size < limit else limit - 1) - low
        if moved > 0:
            move_items(pool, low + 1, low, moved)
        pool[low] = key
    return low


@njit(nogil=True, error_model="numpy", forceinline=True, _nrt=False)
def offer(pool, size, limit, bound, key):
    """Put a key below `bound` into the pool; return the new size, and the bound of the next.

    The bound is the last key of a full pool, before that NO_BOUND.
    """
    if key < bound:
        insert_key(pool, size, limit, key)
        size = min(size + 1, limit)
        if size == limit:
            bound = pool[limit - 1]
    return size, bound
