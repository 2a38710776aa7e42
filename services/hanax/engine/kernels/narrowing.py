"""From many candidates to few: the least distances, and comparisons of their int8 codes."""

from __future__ import annotations

import numpy as np
from numba import njit

from hanax.engine.kernels.distance import distance1, distance4
from hanax.engine.kernels.llvm import prefetch_line
from hanax.engine.kernels.pool import NO_BOUND, key_of, offer

_LEAF = {"nogil": True, "error_model": "numpy", "_nrt": False}

# Length of the scratch array for counting.
BINS = 256


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
def keep_nearest(distances, positions, count, wanted, bins):
    """Keep the `wanted` nearest candidates, and some that are about as near; return their number, at most
    2 wanted + 64, and a bound that the others reach.
    """
    low = distances[0]
    high = distances[0]
    for i in range(count):
        low = min(low, distances[i])
        high = max(high, distances[i])
    shift = np.int32(0)
    while (high - low) >> shift >= BINS:
        shift += np.int32(1)
    bins[:] = 0
    for i in range(count):
        bins[(distances[i] - low) >> shift] += 1
    last = np.int32(0)
    total = bins[0]
    while total < wanted and last < BINS - 1:
        last += np.int32(1)
        total += bins[last]
    edge = low + (last << shift)
    bound = edge + (np.int32(1) << shift)
    spare = wanted + 64
    kept = 0
    for i in range(count):
        distance = distances[i]
        if distance < edge or (distance < bound and spare > 0):
            spare -= distance >= edge
            distances[kept] = distances[i]
            positions[kept] = positions[i]
            kept += 1
    return kept, np.int32(bound)


@njit(**_LEAF)
def compare_codes(codes, norms, l1, queries, query, constant, positions, count, pool, limit):
    """The `limit` nearest of some positions by their int8 codes, into the pool; return their number."""
    lines = (codes.shape[1] + 63) // 64
    for i in range(count):
        for line in range(lines):
            prefetch_line(codes, positions[i], line)
    size = 0
    bound = NO_BOUND
    i = 0
    while i + 4 <= count:
        a = positions[i]
        b = positions[i + 1]
        c = positions[i + 2]
        d = positions[i + 3]
        p, q, r, s = distance4(l1, codes, norms, a, b, c, d, queries, query, constant)
        size, bound = offer(pool, size, limit, bound, key_of(p, a))
        size, bound = offer(pool, size, limit, bound, key_of(q, b))
        size, bound = offer(pool, size, limit, bound, key_of(r, c))
        size, bound = offer(pool, size, limit, bound, key_of(s, d))
        i += 4
    while i < count:
        distance = distance1(l1, codes, norms, positions[i], queries, query, constant)
        size, bound = offer(pool, size, limit, bound, key_of(distance, positions[i]))
        i += 1
    return size


@njit(**_LEAF)
def add_four(l1, rows, norms, first, queries, query, constant, pool, size, limit, bound):
    """Offer four consecutive rows to a pool of keys; return its new size and bound."""
    p, q, r, s = distance4(l1, rows, norms, first, first + 1, first + 2, first + 3, queries, query, constant)
    size, bound = offer(pool, size, limit, bound, key_of(p, first))
    size, bound = offer(pool, size, limit, bound, key_of(q, first + 1))
    size, bound = offer(pool, size, limit, bound, key_of(r, first + 2))
    size, bound = offer(pool, size, limit, bound, key_of(s, first + 3))
    return size, bound
