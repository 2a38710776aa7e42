"""Exact search: the distances of some rows to all queries, and the nearest rows kept in a sorted pool.

Allowed rows are gathered 64 at a time, however far apart they lie. They stay in the cache while
every query of the batch looks at them, so a row comes from memory once per batch.

The pool is a sorted array, not a heap: nearly all rows fail the one comparison with its last
distance, and an insertion moves k entries at most.
"""

from __future__ import annotations

import numpy as np
from numba import boolean, float32, int64, njit, types, uint64, void

from hanax.engine.kernels import cpu
from hanax.engine.kernels.llvm import trailing_zeros
from hanax.engine.kernels.tiles import dot_4x1, dot_4x4, l1_4x1, l1_4x4, squared_l2_4x1, squared_l2_4x4

# Metric numbers that `scan` takes. Cosine is DOT with the inverse norms given.
DOT = 0
SQUARED_L2 = 1
L1 = 2

GATHERED = 64
# Sixteen sums need sixteen wide registers.
_TILE = 4 if cpu.AVX512 else 1

_rows_t = types.Array(float32, 2, "C", readonly=True)
_floats_t = types.Array(float32, 1, "C", readonly=True)
_words_t = types.Array(uint64, 1, "C", readonly=True)
_numbers_t = types.Array(int64, 1, "C", readonly=True)


@njit(
    void(int64, _rows_t, int64[::1], int64, _rows_t, int64, boolean, float32[:, ::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def tile_distances(metric, rows, chosen, count, queries, q, wide, out):
    """out[t, i]: what `metric` compares of rows[chosen[i]] and queries[q + t].

    t is 0, or 0 to 3 when `wide`. chosen, out: with room for count rounded up to 4. The rest is written too.
    """
    for i in range(count, -(-count // 4) * 4):
        chosen[i] = chosen[count - 1]
    for i in range(0, count, 4):
        a, b, c, d = chosen[i], chosen[i + 1], chosen[i + 2], chosen[i + 3]
        if wide:
            if metric == DOT:
                dot_4x4(rows, a, b, c, d, queries, q, out, i)
            elif metric == SQUARED_L2:
                squared_l2_4x4(rows, a, b, c, d, queries, q, out, i)
            else:
                l1_4x4(rows, a, b, c, d, queries, q, out, i)
        elif metric == DOT:
            dot_4x1(rows, a, b, c, d, queries, q, out, i)
        elif metric == SQUARED_L2:
            squared_l2_4x1(rows, a, b, c, d, queries, q, out, i)
        else:
            l1_4x1(rows, a, b, c, d, queries, q, out, i)


@njit(void(_rows_t, float32[:, ::1]), nogil=True, cache=True, error_model="numpy")
def bring_to_length_one(vectors, out):
    """float32[n, d] to float32[n, d]; none is zero."""
    for i in range(vectors.shape[0]):
        squares = 0.0
        for j in range(vectors.shape[1]):
            squares += float(vectors[i, j]) * float(vectors[i, j])
        factor = 1.0 / np.sqrt(squares)
        for j in range(vectors.shape[1]):
            out[i, j] = np.float32(vectors[i, j] * factor)


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
    int64(float32[::1], int64[::1], int64, _floats_t, _numbers_t, int64, int64),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _insert_nearer(distances, found, size, block, chosen, count, base):
    """Put those of the block that are near enough into a pool; return its new size."""
    limit = distances.shape[0]
    bound = distances[limit - 1] if size == limit else np.float32(np.inf)
    if size == limit:
        nearer = 0
        for i in range(count):
            nearer += block[i] < bound
        if nearer == 0:
            return size
    for i in range(count):
        if block[i] < bound or size < limit:
            size = _insert(distances, found, size, block[i], base + chosen[i])
            if size == limit:
                bound = distances[limit - 1]
    return size


@njit(
    int64(int64, int64, boolean, _words_t, int64[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def gather(first, count, masked, mask, chosen):
    """The next allowed rows from `first` on, whole words of the mask. Returns how far it came.

    chosen, int64[129], takes them, and chosen[-1] their number: 64 to 127, or the last.
    """
    size = 0
    while first < count and size < GATHERED:
        width = min(GATHERED, count - first)
        if masked:
            word = mask[first // GATHERED]
            if width < GATHERED:
                word &= (np.uint64(1) << np.uint64(width)) - np.uint64(1)
            while word != np.uint64(0):
                chosen[size] = first + trailing_zeros(word)
                size += 1
                word &= word - np.uint64(1)
        else:
            for i in range(width):
                chosen[size + i] = first + i
            size += width
        first += width
    chosen[-1] = size
    return first


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
    chosen = np.empty(2 * GATHERED + 1, dtype=np.int64)
    block = np.empty((_TILE, 2 * GATHERED), dtype=np.float32)
    first = 0
    while first < count:
        first = gather(first, count, masked, mask, chosen)
        size = chosen[-1]
        if size == 0:
            continue
        q = 0
        while q < queries.shape[0]:
            wide = q + _TILE <= queries.shape[0] and _TILE > 1
            tile = _TILE if wide else 1
            tile_distances(metric, rows, chosen, size, queries, q, wide, block)
            for t in range(tile):
                if normed:
                    for i in range(size):
                        block[t, i] *= inverse_norms[chosen[i]]
                sizes[q + t] = _insert_nearer(
                    distances[q + t], found[q + t], sizes[q + t], block[t], chosen, size, base
                )
            q += tile
