"""Searching the lists of an IVF index when only some rows are allowed (hanax.engine.kernels.ivf).

Of the lists that a query reads, the allowed rows alone are compared, by int8 codes or vectors: product codes
would be compared 32 at a time, and few of them are allowed. Which positions of a list are allowed is found
when the first query of a batch reads it, and kept for the others.
"""

from __future__ import annotations

import numpy as np
from numba import boolean, float32, int32, int64, njit, types, uint8, uint32, uint64, void

from hanax.engine.kernels.distance import distance1, distance4
from hanax.engine.kernels.llvm import prefetch_line
from hanax.engine.kernels.pool import NO_BOUND, distance_of, key_of, offer, row_of
from hanax.engine.kernels.probing import choose_lists, choosing_room

_codes_t = types.Array(uint8, 2, "C", readonly=True)
_vectors_t = types.Array(float32, 2, "C", readonly=True)
_ints_t = types.Array(int32, 1, "C", readonly=True)
_starts_t = types.Array(int64, 1, "C", readonly=True)
_rows_t = types.Array(uint32, 1, "C", readonly=True)
_words_t = types.Array(uint64, 1, "C", readonly=True)
_LEAF = {"nogil": True, "error_model": "numpy", "_nrt": False}

# Rows that are asked for ahead of those at hand: they lie apart.
_AHEAD = 32
# Rows are told apart when their distances differ by so many times the square root of the k-th.
_ROUNDING = 1.2
# Fewer than one in so many of the nearest are as good as none.
_FEW_NEW = 10


@njit(**_LEAF)
def _gather(mask, rows, first, end, positions, count):
    """Put the allowed ones of the positions first .. end into positions[count:]; return the new count."""
    for position in range(first, end):
        row = np.int64(rows[position])
        # Without a branch: nobody could foretell it.
        positions[count] = position
        count += np.int64((mask[row >> np.int64(6)] >> np.uint64(row & np.int64(63))) & np.uint64(1))
    return count


@njit(**_LEAF)
def _ask_for(stored, row):
    for line in range((stored.shape[1] * stored.itemsize + 63) >> 6):
        prefetch_line(stored, row, line)


@njit(**_LEAF)
def _compare(l1, stored, norms, chosen, start, end, queries, query, constant, pool, size, limit):
    """Offer the positions chosen[start:end] to the pool of the `limit` nearest; return its new size."""
    bound = pool[limit - 1] if size == limit else NO_BOUND
    for i in range(start, min(start + _AHEAD, end)):
        _ask_for(stored, chosen[i])
    i = start
    while i + 4 <= end:
        for j in range(i + _AHEAD, min(i + _AHEAD + 4, end)):
            _ask_for(stored, chosen[j])
        a, b, c, d = chosen[i], chosen[i + 1], chosen[i + 2], chosen[i + 3]
        p, q, r, s = distance4(l1, stored, norms, a, b, c, d, queries, query, constant)
        size, bound = offer(pool, size, limit, bound, key_of(p, a))
        size, bound = offer(pool, size, limit, bound, key_of(q, b))
        size, bound = offer(pool, size, limit, bound, key_of(r, c))
        size, bound = offer(pool, size, limit, bound, key_of(s, d))
        i += 4
    while i < end:
        distance = distance1(l1, stored, norms, chosen[i], queries, query, constant)
        size, bound = offer(pool, size, limit, bound, key_of(distance, chosen[i]))
        i += 1
    return size


@njit(**_LEAF)
def _not_farther(pool, size, k, sure, stored):
    """How many of the nearest may be one of the k nearest, as far as codes tell; at least `sure`.

    Rounding to int8 on both sides moves a squared distance d by 2 sqrt(d / 6) (the standard deviation).
    """
    if size <= sure or stored.itemsize > 1:
        return min(size, sure)
    last = np.float64(distance_of(pool[k - 1]))
    last += _ROUNDING * np.sqrt(last)
    end = sure
    while end < size and np.float64(distance_of(pool[end])) <= last:
        end += 1
    return end


@njit(**_LEAF)
def _newcomers(pool, size, before, size_before, k):
    """How many of the k nearest were not there before; those that are missing count as well."""
    last = pool[k - 1] if size >= k else NO_BOUND
    old = 0
    while old < min(size_before, k) and before[old] <= last:
        old += 1
    return k - old


@njit(void(_words_t, _rows_t, int64[::1]), nogil=True, cache=True, error_model="numpy")
def allowed_positions(mask, rows, positions):
    """Every allowed position, ascending, into positions: int64[allowed + 1], whose last item is scratch."""
    _gather(mask, rows, np.int64(0), rows.shape[0], positions, np.int64(0))


def _signature(stored):
    return void(
        boolean, _codes_t, _ints_t, _codes_t, _ints_t, stored, stored, _ints_t,
        _starts_t, _rows_t, _words_t, int64, int64, int64, int64, int64[:, ::1],
    )  # fmt: skip


@njit([_signature(_codes_t), _signature(_vectors_t)], nogil=True, cache=True, error_model="numpy")
def search_allowed(
    l1, queries, constants, centroids, centroid_norms, compared, stored, norms,
    starts, rows, mask, allowed, k, sure, nprobe, candidates,
):  # fmt: skip
    """Candidates for each query from the allowed rows of lists of int8 codes or of vectors.

    allowed: how many rows the mask allows. nprobe: lists read at first. As long as some of the k nearest come
    from the last half of the lists that were read, as many again are read: where a mask takes a query's
    surroundings, the nearest allowed rows are in lists in no order. The rest as in `search_lists` in
    hanax.engine.kernels.ivf; of candidates beyond `sure`, those that codes can't tell from the k-th.
    """
    limit = candidates.shape[1]
    lists = centroids.shape[0]
    choosing = choosing_room(queries.shape[0], lists)
    near = np.empty(lists, np.int64)
    pool = np.empty(limit, np.int64)
    before = np.empty(limit, np.int64)
    # Allowed positions of the lists read so far, one list after another, with room for one that is not.
    positions = np.empty(allowed + 1, np.int64)
    gathered = np.int64(0)
    firsts = np.full(lists, -1, np.int64)
    ends = np.empty(lists, np.int64)
    chosen = np.empty(allowed, np.int64)
    for turn in range(queries.shape[0]):
        q = choose_lists(l1, centroids, centroid_norms, queries, constants, turn, choosing, near)
        constant = constants[q]
        count = np.int64(0)
        done = np.int64(0)
        size = np.int64(0)
        size_before = np.int64(0)
        # Where what was read is compared, and what is new among the nearest is counted.
        half = nprobe >> 1
        end = nprobe
        for probe in range(lists):
            if probe in (half, end):
                size = _compare(
                    l1, stored, norms, chosen, done, count, compared, q, constant, pool, size, limit
                )
                done = count
                if probe == end:
                    if _newcomers(pool, size, before, size_before, k) * _FEW_NEW < k:
                        break
                    end = 2 * probe
                size_before = size
                before[:size] = pool[:size]
            number = row_of(near[probe])
            if firsts[number] < 0:
                firsts[number] = gathered
                gathered = _gather(mask, rows, starts[number], starts[number + 1], positions, gathered)
                ends[number] = gathered
            for i in range(firsts[number], ends[number]):
                chosen[count] = positions[i]
                count += 1
        size = _compare(l1, stored, norms, chosen, done, count, compared, q, constant, pool, size, limit)
        size = _not_farther(pool, size, k, sure, stored)
        for i in range(size):
            candidates[q, i] = rows[row_of(pool[i])]
        for i in range(size, limit):
            candidates[q, i] = -1
