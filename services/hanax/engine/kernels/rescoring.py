"""Candidates compared again in full: what an index found on codes gets its true distances."""

from __future__ import annotations

import numpy as np
from numba import float32, int64, njit, types

from hanax.engine.kernels.llvm import prefetch_line
from hanax.engine.kernels.scan import DOT, SQUARED_L2

_vectors_t = types.Array(float32, 2, "C", readonly=True)
_floats_t = types.Array(float32, 1, "C", readonly=True)
_rows_t = types.Array(int64, 2, "C", readonly=True)

# Candidates whose rows are asked for ahead of the one at hand.
_AHEAD = 4


# NaN and infinity have to come through: only the order of the sum is free.
@njit(nogil=True, error_model="numpy", fastmath={"reassoc", "contract"}, _nrt=False)
def squared_length(row):
    """float64: what a float32 holds may overflow when it is squared and summed."""
    total = 0.0
    for j in range(row.shape[0]):
        total += float(row[j]) * float(row[j])
    return total


@njit(nogil=True, error_model="numpy", fastmath=True, _nrt=False)
def full_distance(metric, row, query):
    """-row . query, |row - query|^2 or the L1 norm of row - query (hanax.engine.kernels.scan)."""
    total = np.float32(0.0)
    if metric == DOT:
        for j in range(query.shape[0]):
            total -= row[j] * query[j]
    elif metric == SQUARED_L2:
        for j in range(query.shape[0]):
            total += (row[j] - query[j]) * (row[j] - query[j])
    else:
        for j in range(query.shape[0]):
            total += abs(row[j] - query[j])
    return total


@njit(nogil=True, error_model="numpy", _nrt=False)
def insert_nearest(distances, rows, size, distance, row):
    """Keep (distance, row) if it is among the nearest, ascending, ties by row; return the new size."""
    if size == distances.shape[0]:
        last = size - 1
        if distance > distances[last] or (distance == distances[last] and row > rows[last]):
            return size
    else:
        size += 1
    place = size - 1
    while place > 0 and (
        distance < distances[place - 1] or (distance == distances[place - 1] and row < rows[place - 1])
    ):
        distances[place] = distances[place - 1]
        rows[place] = rows[place - 1]
        place -= 1
    distances[place] = distance
    rows[place] = row
    return size


@njit(
    int64(int64, _vectors_t, _floats_t, _vectors_t, _rows_t, float32[:, ::1], int64[:, ::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def rescore(metric, vectors, inverse_norms, queries, candidates, distances, rows):
    """The nearest of each query's candidates; return how many queries have fewer than k.

    metric, vectors, inverse_norms: as for hanax.engine.kernels.scan.scan. queries: float32[q, d], under
    cosine of any length but zero. candidates: int64[q, c], each row once, -1 after the last. distances:
    float32[q, k], rows: int64[q, k]: distances as in hanax.core.distances, ascending, ties by row; the
    rest is inf and -1.
    """
    normed = inverse_norms.shape[0] > 0
    count = candidates.shape[1]
    lines = (vectors.shape[1] * 4 + 63) // 64
    lacking = 0
    for q in range(queries.shape[0]):
        query = queries[q]
        factor = np.float32(1.0 / np.sqrt(squared_length(query))) if normed else np.float32(1.0)
        size = 0
        for c in range(min(_AHEAD, count)):
            if candidates[q, c] >= 0:
                for line in range(lines):
                    prefetch_line(vectors, candidates[q, c], line)
        for c in range(count):
            row = candidates[q, c]
            if row < 0:
                break
            if c + _AHEAD < count and candidates[q, c + _AHEAD] >= 0:
                for line in range(lines):
                    prefetch_line(vectors, candidates[q, c + _AHEAD], line)
            distance = full_distance(metric, vectors[row], query)
            if normed:
                distance *= inverse_norms[row] * factor
            size = insert_nearest(distances[q], rows[q], size, distance, row)
        for place in range(size):
            if normed:
                distances[q, place] = min(
                    max(distances[q, place] + np.float32(1.0), np.float32(0.0)), np.float32(2.0)
                )
            elif metric == SQUARED_L2:
                distances[q, place] = np.sqrt(distances[q, place])
        for place in range(size, rows.shape[1]):
            distances[q, place] = np.inf
            rows[q, place] = -1
        lacking += size < rows.shape[1]
    return lacking
