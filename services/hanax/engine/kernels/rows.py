"""Sets of rows as bitmaps: bit i of word w is row 64 w + i."""

from __future__ import annotations

import numpy as np
from numba import njit, types, uint32, uint64, void

_rows_t = types.Array(uint32, 1, "C", readonly=True)


@njit(void(_rows_t, uint64[::1]), nogil=True, cache=True, error_model="numpy")
def add_rows(rows, words):
    """Set the bit of each row, uint32[n], in words, uint64[w]."""
    for place in range(rows.shape[0]):
        row = rows[place]
        words[row >> np.uint32(6)] |= np.uint64(1) << np.uint64(row & np.uint32(63))


@njit(void(_rows_t, _rows_t, _rows_t, uint64[::1]), nogil=True, cache=True, error_model="numpy")
def add_groups(groups, starts, rows, words):
    """Set the bits of the rows of each group g of `groups`: rows[starts[g] : starts[g + 1]]."""
    for number in range(groups.shape[0]):
        group = np.int64(groups[number])
        for place in range(np.int64(starts[group]), np.int64(starts[group + 1])):
            row = rows[place]
            words[row >> np.uint32(6)] |= np.uint64(1) << np.uint64(row & np.uint32(63))
