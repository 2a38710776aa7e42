"""From many candidates to few: the least distances, and comparisons of their int8 codes."""

from __future__ import annotations

import numpy as np
from numba import njit

from hanax.engine.kernels.distance import distance1, distance4
from hanax.engine.kernels.llvm import prefetch_line, prefetch_number
from hanax.engine.kernels.pool import insert_key, key_of, offer, row_of

_LEAF = {"nogil": True, "error_model": "numpy", "_nrt": False}

# Part of the allowed rows that the mean share lets expect which a query has met that the mask treats as any
# other, and at least half of which it has met that the mask does not avoid altogether.
_USUAL = 0.8
# So many times the allowed rows are met by a query that the mask avoids.
_AVOIDED = 10

# In a word of 32 positions: they have been looked up.
_KNOWN = np.uint64(1 << 32)


@njit(**_LEAF)
def is_allowed(mask, row):
    return (mask[row >> np.int64(6)] >> np.uint64(row & np.int64(63))) & np.uint64(1) != 0


@njit(**_LEAF)
def allowed_bits(mask, rows, first, count):
    """A bit for each of the positions first .. first + count (at most 32) whose row is allowed."""
    bits = np.uint64(0)
    for lane in range(count):
        row = np.int64(rows[first + lane])
        word = mask[row >> np.int64(6)] >> np.uint64(row & np.int64(63))
        bits |= (word & np.uint64(1)) << np.uint64(lane)
    return bits


@njit(**_LEAF)
def known_bits(mask, rows, first, count, words, block):
    """`allowed_bits`, looked up once: words, uint64[blocks], keeps them; zeros before."""
    word = words[block]
    if word == np.uint64(0):
        word = allowed_bits(mask, rows, first, count) | _KNOWN
        words[block] = word
    return word


@njit(**_LEAF)
def worth_meeting(met, read, share, enough):
    """How many allowed rows a query has to meet that met so many among the rows of its nearest lists.

    share: of all rows, how many are allowed. Where as many are near the query, nothing more is needed; where
    a mask avoids the query, its neighbours are far away, and in many lists about as near.
    """
    usual = _USUAL * share * read
    if met >= usual:
        return np.int64(0)
    return enough * _AVOIDED if 2 * met < usual else enough


@njit(**_LEAF)
def keep_nearest(distances, positions, count, wanted):
    """Keep the `wanted` nearest of some candidates, and some that are about as near, in their order; return
    their number, at most 2 wanted + 64, and a bound that the others reach.

    distances, positions: int32[count]. The bound is found by halves: counting what is below one is a
    matter of a few vector instructions.
    """
    low = distances[0]
    high = distances[0]
    for i in range(count):
        low = min(low, distances[i])
        high = max(high, distances[i])
    high += np.int32(1)
    enough = wanted + (wanted >> 2) + 8
    below = count
    # Fewer than wanted are below `low`.
    while high - low > 1 and below > enough:
        middle = low + ((high - low) >> 1)
        nearer = np.int32(0)
        for i in range(count):
            nearer += np.int32(distances[i] < middle)
        if nearer < wanted:
            low = middle
        else:
            high = middle
            below = np.int64(nearer)
    kept = 0
    if below <= 2 * wanted + 64:
        for i in range(count):
            distance = distances[i]
            distances[kept] = distance
            positions[kept] = positions[i]
            kept += distance < high
        return kept, high
    # So many at the same distance.
    spare = wanted + 64
    for i in range(count):
        distance = distances[i]
        if distance < low or (distance < high and spare > 0):
            spare -= distance >= low
            distances[kept] = distance
            positions[kept] = positions[i]
            kept += 1
    return kept, high


@njit(**_LEAF)
def ask_for_codes(codes, norms, positions, count):
    """What `compare_codes` is going to read begins to arrive from memory."""
    lines = (codes.shape[1] + 63) // 64
    for i in range(count):
        position = np.int64(positions[i])
        for line in range(lines):
            prefetch_line(codes, position, line)
        prefetch_number(norms, position)


@njit(**_LEAF)
def compare_codes(codes, norms, l1, queries, query, constant, positions, count, distances):
    """distances[:count] of some positions by their int8 codes."""
    i = 0
    while i + 4 <= count:
        a = np.int64(positions[i])
        b = np.int64(positions[i + 1])
        c = np.int64(positions[i + 2])
        d = np.int64(positions[i + 3])
        distances[i], distances[i + 1], distances[i + 2], distances[i + 3] = distance4(
            l1, codes, norms, a, b, c, d, queries, query, constant
        )
        i += 4
    while i < count:
        distances[i] = distance1(l1, codes, norms, np.int64(positions[i]), queries, query, constant)
        i += 1


@njit(**_LEAF)
def give_nearest(distances, positions, count, rows, pool, candidates):
    """The rows at the nearest of some positions, ascending, -1 after the last: candidates, int64[c]."""
    limit = candidates.shape[0]
    # Insertion is for few.
    if count > limit + 8:
        count, _ = keep_nearest(distances, positions, count, limit)
    size = 0
    for i in range(count):
        insert_key(pool, size, limit, key_of(distances[i], positions[i]))
        size = min(size + 1, limit)
    for i in range(size):
        candidates[i] = rows[row_of(pool[i])]
    for i in range(size, limit):
        candidates[i] = -1


@njit(**_LEAF)
def add_four(l1, rows, norms, first, queries, query, constant, pool, size, limit, bound):
    """Offer four consecutive rows to a pool of keys; return its new size and bound."""
    p, q, r, s = distance4(l1, rows, norms, first, first + 1, first + 2, first + 3, queries, query, constant)
    size, bound = offer(pool, size, limit, bound, key_of(p, first))
    size, bound = offer(pool, size, limit, bound, key_of(q, first + 1))
    size, bound = offer(pool, size, limit, bound, key_of(r, first + 2))
    size, bound = offer(pool, size, limit, bound, key_of(s, first + 3))
    return size, bound
