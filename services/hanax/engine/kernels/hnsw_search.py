"""Searching an HNSW graph: Malkov & Yashunin (TPAMI 2018, arXiv:1603.09320), algorithm 5.

A built graph is packed (hanax.engine.index.hnsw_graph). In the bottom layer, the links of row r are items
starts[r] to starts[r + 1] - 1 of `links`, `width` bytes each. The layers above are made of entries, one for
each row and layer: `upper_rows` holds an entry's row, and its links, upper_links[upper_starts[e]] and
following, are entries of the same layer. The entry before it stands for the same row one layer below.

A search writes candidates, nearest first by its own distances; who calls compares them in full.
"""

from __future__ import annotations

import numpy as np
from numba import boolean, float32, int32, int64, njit, types, uint8, uint32, uint64, void

from hanax.engine.kernels.hnsw_walk import (
    INNER,
    TRAIL,
    WIDEST,
    clear,
    compare,
    four_bytes,
    mark,
    prefetch_byte,
    prefetch_row,
    trail_place,
)
from hanax.engine.kernels.pool import row_of

ints_t = types.Array(int32, 1, "C", readonly=True)
numbers_t = types.Array(uint32, 1, "C", readonly=True)
bytes_t = types.Array(uint8, 1, "C", readonly=True)
words_t = types.Array(uint64, 1, "C", readonly=True)


def matrix_t(component):
    return types.Array(component, 2, "C", readonly=True)


@njit(**INNER)
def descend(l1, rows, norms, queries, query, constant, upper, entry, layers, fresh, nearest):
    """Go down through `layers` upper layers from an entry of the highest, in each to the nearest that
    greedy steps reach: algorithm 2 with ef = 1. nearest[0] is the key of the row that was reached.

    upper: (upper_rows, upper_starts, upper_links).
    """
    upper_rows, upper_starts, upper_links = upper
    fresh[0] = upper_rows[entry]
    compare(
        l1,
        rows,
        norms,
        queries,
        query,
        constant,
        np.int64(0),
        fresh,
        np.int64(1),
        nearest,
        np.int64(0),
        np.int64(1),
    )
    for _ in range(layers):
        moved = True
        while moved:
            moved = False
            first = np.int64(upper_starts[entry])
            count = np.int64(upper_starts[entry + 1]) - first
            for j in range(count):
                fresh[j] = upper_rows[upper_links[first + j]]
                prefetch_row(rows, fresh[j])
            before = nearest[0]
            compare(
                l1,
                rows,
                norms,
                queries,
                query,
                constant,
                np.int64(0),
                fresh,
                count,
                nearest,
                np.int64(1),
                np.int64(1),
            )
            if nearest[0] != before:
                moved = True
                for j in range(count):
                    if fresh[j] == row_of(nearest[0]):
                        entry = np.int64(upper_links[first + j])
        entry -= 1


@njit(**INNER)
def give(pool, size, candidates):
    """Write the rows of a pool; -1 after the last."""
    for i in range(candidates.shape[0]):
        candidates[i] = row_of(pool[i]) if i < size else -1


def _search_signature(component):
    rows = matrix_t(component)
    return void(
        boolean, rows, ints_t, rows, ints_t, numbers_t, bytes_t, int64,
        numbers_t, numbers_t, numbers_t, int64, int64, int64, uint64[::1], int64[:, ::1], int64[::1],
    )  # fmt: skip


@njit([_search_signature(uint8), _search_signature(float32)], nogil=True, cache=True, error_model="numpy")
def search(
    l1, rows, norms, queries, constants, starts, links, width,
    upper_rows, upper_starts, upper_links, entry, layers, ef, seen, candidates, found,
):  # fmt: skip
    """The nearest of all rows.

    l1, rows, norms, queries, constants: hanax.engine.kernels.distance. entry: of the highest of
    `layers` upper layers. ef: nodes kept in mind. seen: uint64[ceil(n / 64)], zeros, and zeros again after.
    candidates: int64[q, c], c <= ef: ascending, -1 after the last. found: int64[q], nodes kept in mind at the
    end: where fewer than ef, all that the graph leads to from the entry.
    """
    upper = (upper_rows, upper_starts, upper_links)
    pool = np.empty(ef, np.int64)
    fresh = np.empty(WIDEST + 3, np.int64)
    trail = np.empty(TRAIL + WIDEST, np.int32)
    low_bytes = np.uint32((np.int64(1) << (8 * width)) - 1)
    for query in range(queries.shape[0]):
        constant = constants[query]
        descend(l1, rows, norms, queries, query, constant, upper, entry, layers, fresh, pool)
        size = np.int64(1)
        trail[0] = row_of(pool[0])
        marked = mark(seen, row_of(pool[0]))
        at = np.int64(0)
        while at < size:
            node = row_of(pool[at])
            pool[at] |= np.int64(1)
            place = np.int64(starts[node]) * width
            end = np.int64(starts[node + 1]) * width
            upcoming = at + 1
            while upcoming < size and pool[upcoming] & np.int64(1):
                upcoming += 1
            if upcoming < size:
                ahead = np.int64(starts[row_of(pool[upcoming])]) * width
                prefetch_byte(links, ahead)
                prefetch_byte(links, ahead + 64)
            trailed = trail_place(marked)
            count = np.int64(0)
            while place < end:
                other = np.int64(four_bytes(links, place) & low_bytes)
                place += width
                prefetch_row(rows, other)
                fresh[count] = other
                trail[trailed + count] = other
                count += mark(seen, other)
            marked += count
            size, low = compare(
                l1, rows, norms, queries, query, constant, np.int64(0), fresh, count, pool, size, ef
            )
            at = min(upcoming, low)
        clear(seen, trail, marked)
        give(pool, size, candidates[query])
        found[query] = size
