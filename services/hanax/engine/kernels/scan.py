"""Exact search: the distances of a block of rows, and the nearest rows kept in a sorted pool.

Rows are read in blocks of 64, one word of the mask. A block stays in the first-level cache
while every query of the batch looks at it, so the rows come from memory once per batch. Four
rows share each load of the query; plain loops, vectorised by LLVM.

The pool is a sorted array, not a heap: nearly all rows fail the one comparison with its last
distance, and an insertion moves k entries at most.
"""

from __future__ import annotations

import numpy as np
from numba import boolean, float32, int64, njit, types, uint64, void

# Metric numbers that `scan` takes. Cosine is DOT with the inverse norms given.
DOT = 0
SQUARED_L2 = 1
L1 = 2

_BLOCK = 64
# Below this many allowed rows in a block, they are computed one at a time.
_FEW = 16

_rows_t = types.Array(float32, 2, "C", readonly=True)
_floats_t = types.Array(float32, 1, "C", readonly=True)
_words_t = types.Array(uint64, 1, "C", readonly=True)


@njit(
    void(_rows_t, int64, int64, _floats_t, float32[::1]),
    fastmath=True,
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _dots(rows, first, count, query, out):
    dimension = query.shape[0]
    i = 0
    while i + 4 <= count:
        a = rows[first + i]
        b = rows[first + i + 1]
        c = rows[first + i + 2]
        d = rows[first + i + 3]
        sa = np.float32(0.0)
        sb = np.float32(0.0)
        sc = np.float32(0.0)
        sd = np.float32(0.0)
        for j in range(dimension):
            q = query[j]
            sa += a[j] * q
            sb += b[j] * q
            sc += c[j] * q
            sd += d[j] * q
        out[i] = -sa
        out[i + 1] = -sb
        out[i + 2] = -sc
        out[i + 3] = -sd
        i += 4
    while i < count:
        a = rows[first + i]
        sa = np.float32(0.0)
        for j in range(dimension):
            sa += a[j] * query[j]
        out[i] = -sa
        i += 1


@njit(
    void(_rows_t, int64, int64, _floats_t, float32[::1]),
    fastmath=True,
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _squared_l2s(rows, first, count, query, out):
    dimension = query.shape[0]
    i = 0
    while i + 4 <= count:
        a = rows[first + i]
        b = rows[first + i + 1]
        c = rows[first + i + 2]
        d = rows[first + i + 3]
        sa = np.float32(0.0)
        sb = np.float32(0.0)
        sc = np.float32(0.0)
        sd = np.float32(0.0)
        for j in range(dimension):
            q = query[j]
            sa += (a[j] - q) * (a[j] - q)
            sb += (b[j] - q) * (b[j] - q)
            sc += (c[j] - q) * (c[j] - q)
            sd += (d[j] - q) * (d[j] - q)
        out[i] = sa
        out[i + 1] = sb
        out[i + 2] = sc
        out[i + 3] = sd
        i += 4
    while i < count:
        a = rows[first + i]
        sa = np.float32(0.0)
        for j in range(dimension):
            sa += (a[j] - query[j]) * (a[j] - query[j])
        out[i] = sa
        i += 1


@njit(
    void(_rows_t, int64, int64, _floats_t, float32[::1]),
    fastmath=True,
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _l1s(rows, first, count, query, out):
    dimension = query.shape[0]
    i = 0
    while i + 4 <= count:
        a = rows[first + i]
        b = rows[first + i + 1]
        c = rows[first + i + 2]
        d = rows[first + i + 3]
        sa = np.float32(0.0)
        sb = np.float32(0.0)
        sc = np.float32(0.0)
        sd = np.float32(0.0)
        for j in range(dimension):
            q = query[j]
            sa += abs(a[j] - q)
            sb += abs(b[j] - q)
            sc += abs(c[j] - q)
            sd += abs(d[j] - q)
        out[i] = sa
        out[i + 1] = sb
        out[i + 2] = sc
        out[i + 3] = sd
        i += 4
    while i < count:
        a = rows[first + i]
        sa = np.float32(0.0)
        for j in range(dimension):
            sa += abs(a[j] - query[j])
        out[i] = sa
        i += 1


@njit(
    void(int64, _rows_t, int64, int64, _floats_t, float32[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _distances(metric, rows, first, count, query, out):
    if metric == DOT:
        _dots(rows, first, count, query, out)
    elif metric == SQUARED_L2:
        _squared_l2s(rows, first, count, query, out)
    else:
        _l1s(rows, first, count, query, out)


@njit(
    int64(float32[::1], int64[::1], int64, float32, int64),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _insert(distances, rows, size, distance, row):
    """Put a row behind those that are as near; return the new size. Drops the last of a full pool."""
    limit = distances.shape[0]
    if size == limit:
        if not distance < distances[limit - 1]:
            return size
    else:
        size += 1
    place = size - 1
    while place > 0 and distance < distances[place - 1]:
        distances[place] = distances[place - 1]
        rows[place] = rows[place - 1]
        place -= 1
    distances[place] = distance
    rows[place] = row
    return size


@njit(
    void(
        int64, _rows_t, _floats_t, _rows_t, boolean, _words_t, int64,
        float32[:, ::1], int64[:, ::1], int64[::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)  # fmt: skip
def scan(metric, rows, inverse_norms, queries, masked, mask, base, distances, found, sizes):
    """Add the nearest rows to each query's pool.

    metric: DOT, SQUARED_L2 or L1. rows: float32[n, d]. inverse_norms: float32[n] for cosine
    (queries of unit length; the distance is then -cos), else float32[0]. queries: float32[q, d].
    masked: whether only rows with their bit set in mask (uint64[ceil(n / 64)], bit i of word w is
    row 64 w + i) are allowed. base: added to a row's number in the pool. distances: float32[q, k], found:
    int64[q, k], sizes: int64[q]: pools, ascending, ties in order of arrival; they carry over
    from one call to the next.
    """
    count = rows.shape[0]
    normed = inverse_norms.shape[0] > 0
    block = np.empty(_BLOCK, dtype=np.float32)
    one = np.empty(1, dtype=np.float32)
    limit = distances.shape[1]
    for first in range(0, count, _BLOCK):
        width = min(_BLOCK, count - first)
        word = ~np.uint64(0)
        allowed = width
        if masked:
            word = mask[first // _BLOCK]
            if word == np.uint64(0):
                continue
            allowed = 0
            bits = word
            while bits != np.uint64(0):
                bits &= bits - np.uint64(1)
                allowed += 1
        few = allowed < _FEW and allowed < width
        for q in range(queries.shape[0]):
            size = sizes[q]
            bound = distances[q, limit - 1] if size == limit else np.float32(np.inf)
            if few:
                for i in range(width):
                    if (word >> np.uint64(i)) & np.uint64(1):
                        _distances(metric, rows, first + i, 1, queries[q], one)
                        distance = one[0]
                        if normed:
                            distance *= inverse_norms[first + i]
                        if distance < bound or size < limit:
                            size = _insert(distances[q], found[q], size, distance, base + first + i)
                            if size == limit:
                                bound = distances[q, limit - 1]
            else:
                _distances(metric, rows, first, width, queries[q], block)
                for i in range(width):
                    distance = block[i]
                    if normed:
                        distance *= inverse_norms[first + i]
                    if distance < bound or size < limit:
                        if (word >> np.uint64(i)) & np.uint64(1):
                            size = _insert(distances[q], found[q], size, distance, base + first + i)
                            if size == limit:
                                bound = distances[q, limit - 1]
            sizes[q] = size
