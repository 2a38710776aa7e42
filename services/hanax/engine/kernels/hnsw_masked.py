"""Searching an HNSW graph when only some rows are allowed.

Few allowed rows are compared one by one. Else the walk of `hnsw_search` goes over allowed rows alone, and
from a node to the allowed neighbours of its rejected neighbours as well, which are not compared themselves:
a search costs two to three times one without a mask. ACORN-1 of Patel et al., "ACORN: Performant and
Predicate-Agnostic Search Over Vector Embeddings and Structured Data" (SIGMOD 2024, arXiv:2403.04871).
"""

from __future__ import annotations

import numpy as np
from numba import boolean, float32, int64, njit, types, uint8, uint64, void

from hanax.engine.kernels.hnsw_search import (
    bytes_t,
    descend,
    give,
    ints_t,
    matrix_t,
    numbers_t,
    words_t,
)
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
from hanax.engine.kernels.llvm import trailing_zeros
from hanax.engine.kernels.pool import row_of

_rows_t = types.Array(int64, 1, "C", readonly=True)

# Rows that are compared one by one are asked for this many ahead.
_BLOCK = 16

# Rejected neighbours whose links are asked for ahead.
_AHEAD = 12


@njit(int64(words_t, int64, int64[::1]), nogil=True, cache=True, error_model="numpy")
def allowed_rows(words, step, rows):
    """Every `step`-th row whose bit is set, from the first on, as many as fit; return their number."""
    count = 0
    skip = 0
    for place in range(words.shape[0]):
        word = words[place]
        while word != np.uint64(0):
            if skip == 0:
                if count == rows.shape[0]:
                    return count
                rows[count] = place * 64 + trailing_zeros(word)
                count += 1
                skip = step
            skip -= 1
            word &= word - np.uint64(1)
    return count


def _compare_signature(component):
    rows = matrix_t(component)
    return void(boolean, rows, ints_t, rows, ints_t, _rows_t, _rows_t, int64[:, ::1])


@njit([_compare_signature(uint8), _compare_signature(float32)], nogil=True, cache=True, error_model="numpy")
def compare_rows(l1, rows, norms, queries, constants, chosen, asked, candidates):
    """The nearest of the rows `chosen`, int64[m], to some queries, their numbers in `asked`.

    l1, rows, norms, queries, constants: hanax.engine.kernels.distance. candidates: int64[q, c]: ascending,
    -1 after the last.
    """
    limit = candidates.shape[1]
    pool = np.empty(limit, np.int64)
    fresh = np.empty(_BLOCK + 3, np.int64)
    for i in range(asked.shape[0]):
        query = asked[i]
        size = np.int64(0)
        for first in range(0, chosen.shape[0], _BLOCK):
            count = min(_BLOCK, chosen.shape[0] - first)
            for j in range(count):
                fresh[j] = chosen[first + j]
                if first + _BLOCK + j < chosen.shape[0]:
                    prefetch_row(rows, chosen[first + _BLOCK + j])
            size, _ = compare(
                l1,
                rows,
                norms,
                queries,
                query,
                constants[query],
                np.int64(0),
                fresh,
                count,
                pool,
                size,
                limit,
            )
        give(pool, size, candidates[query])


@njit(inline="always")
def _allowed(mask, row):
    return np.int64((mask[row >> 6] >> np.uint64(row & 63)) & np.uint64(1))


@njit(inline="always")
def _mark_if(seen, row, allowed):
    """`mark` for an allowed row (1); nothing for another (0)."""
    word = row >> 6
    bit = np.uint64(allowed) << np.uint64(row & 63)
    before = seen[word]
    seen[word] = before | bit
    return np.int64((~before & bit) != np.uint64(0))


@njit(**INNER)
def _prefetch_links(starts, links, width, row):
    place = np.int64(starts[row]) * width
    prefetch_byte(links, place)
    prefetch_byte(links, place + 63)


@njit(**INNER)
def _gather(rows, starts, links, width, low_bytes, mask, most, node, seen, trail, marked, rejected, fresh):
    """The allowed rows at one or two steps from a node that were not seen: up to `most`, or a few more.

    Rejected rows count as seen when the walk went on through them. Return how many rows are in `fresh`,
    and how many were marked.
    """
    count = np.int64(0)
    passed = np.int64(0)
    trailed = trail_place(marked)
    place = np.int64(starts[node]) * width
    end = np.int64(starts[node + 1]) * width
    while place < end:
        other = np.int64(four_bytes(links, place) & low_bytes)
        place += width
        allowed = _allowed(mask, other)
        fresh[count] = other
        trail[trailed + count] = other
        count += _mark_if(seen, other, allowed)
        rejected[passed] = other
        passed += np.int64(1) - allowed
    marked += count
    for i in range(count):
        prefetch_row(rows, fresh[i])
    for i in range(passed):
        prefetch_byte(starts, rejected[i] << 2)
    if count < most:
        for i in range(min(np.int64(_AHEAD), passed)):
            _prefetch_links(starts, links, width, rejected[i])
    for i in range(passed):
        if count >= most:
            break
        if i + _AHEAD < passed:
            _prefetch_links(starts, links, width, rejected[i + _AHEAD])
        trail[trail_place(marked)] = rejected[i]
        if mark(seen, rejected[i]) == 0:
            continue
        marked += 1
        before = count
        trailed = trail_place(marked)
        place = np.int64(starts[rejected[i]]) * width
        end = np.int64(starts[rejected[i] + 1]) * width
        while place < end:
            other = np.int64(four_bytes(links, place) & low_bytes)
            place += width
            fresh[count] = other
            trail[trailed + count - before] = other
            count += _mark_if(seen, other, _allowed(mask, other))
        marked += count - before
        for j in range(before, count):
            prefetch_row(rows, fresh[j])
    return count, marked


def _masked_signature(component):
    rows = matrix_t(component)
    return void(
        boolean, rows, ints_t, rows, ints_t, numbers_t, bytes_t, int64,
        numbers_t, numbers_t, numbers_t, int64, int64, int64, words_t, _rows_t, int64,
        uint64[::1], int64[:, ::1], int64[::1],
    )  # fmt: skip


@njit([_masked_signature(uint8), _masked_signature(float32)], nogil=True, cache=True, error_model="numpy")
def search_masked(
    l1, rows, norms, queries, constants, starts, links, width,
    upper_rows, upper_starts, upper_links, entry, layers, ef, mask, seeds, most,
    seen, candidates, found,
):  # fmt: skip
    """The nearest of the allowed rows; arguments as `hnsw_search.search` has them.

    mask: uint64[ceil(n / 64)]. seeds: int64[s], allowed rows from which the walk starts beside the one
    that the upper layers lead to: that one may lie where nothing is allowed. most: rows gathered at a node.
    found: where fewer than ef, the walk did not reach all allowed rows.
    """
    upper = (upper_rows, upper_starts, upper_links)
    pool = np.empty(ef, np.int64)
    fresh = np.empty(max(most + 2 * WIDEST, seeds.shape[0]) + 3, np.int64)
    rejected = np.empty(WIDEST, np.int64)
    trail = np.empty(TRAIL + WIDEST, np.int32)
    low_bytes = np.uint32((np.int64(1) << (8 * width)) - 1)
    for query in range(queries.shape[0]):
        constant = constants[query]
        descend(l1, rows, norms, queries, query, constant, upper, entry, layers, fresh, pool)
        node = row_of(pool[0])
        size = np.int64(0)
        at = np.int64(0)
        marked = np.int64(0)
        count = np.int64(0)
        for i in range(seeds.shape[0]):
            trail[marked] = seeds[i]
            marked += mark(seen, seeds[i])
            fresh[count] = seeds[i]
            prefetch_row(rows, seeds[i])
            count += 1
        size, _ = compare(
            l1, rows, norms, queries, query, constant, np.int64(0), fresh, count, pool, size, ef
        )
        if _allowed(mask, node):
            trail[marked] = node
            fresh[0] = node
            count = mark(seen, node)
            marked += count
        else:
            count, marked = _gather(
                rows, starts, links, width, low_bytes, mask, most, node, seen, trail, marked, rejected, fresh
            )
        size, _ = compare(
            l1, rows, norms, queries, query, constant, np.int64(0), fresh, count, pool, size, ef
        )
        while at < size:
            node = row_of(pool[at])
            pool[at] |= np.int64(1)
            upcoming = at + 1
            while upcoming < size and pool[upcoming] & np.int64(1):
                upcoming += 1
            if upcoming < size:
                ahead = np.int64(starts[row_of(pool[upcoming])]) * width
                prefetch_byte(links, ahead)
                prefetch_byte(links, ahead + 64)
            count, marked = _gather(
                rows, starts, links, width, low_bytes, mask, most, node, seen, trail, marked, rejected, fresh
            )
            size, low = compare(
                l1, rows, norms, queries, query, constant, np.int64(0), fresh, count, pool, size, ef
            )
            at = min(upcoming, low)
        clear(seen, trail, marked)
        give(pool, size, candidates[query])
        found[query] = size
