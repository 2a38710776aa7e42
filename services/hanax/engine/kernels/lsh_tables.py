"""Hash tables of vectors.

A hash function projects a vector on a random direction and takes the number of the cell that it falls into:
one of two halves (Charikar, "Similarity Estimation Techniques from Rounding Algorithms", STOC 2002), or
one of many cells of one width (Datar, Immorlica, Indyk & Mirrokni, "Locality-Sensitive Hashing Scheme
Based on p-Stable Distributions", SoCG 2004). A table joins several functions to a key, a sum of cells with
factors of their own, so that a step to the next cell adds a constant. Keys are folded to the table's slots.
"""

from __future__ import annotations

import numpy as np
from numba import boolean, float32, int64, njit, types, uint32, uint64, void

from hanax.engine.kernels.scan import DOT, tile_distances

# 2^64 divided by the golden ratio: spreads keys over the slots (Knuth, TAOCP 3, 6.4).
_SPREADER = np.uint64(0x9E3779B97F4A7C15)
# Projections of far outliers, above all on Cauchy directions, would leave the integers.
_FARTHEST_CELL = np.float32(1e9)

_vectors_t = types.Array(float32, 2, "C", readonly=True)
_floats_t = types.Array(float32, 1, "C", readonly=True)
_factors_t = types.Array(uint64, 1, "C", readonly=True)


@njit(void(_vectors_t, _vectors_t, float32[:, ::1]), nogil=True, cache=True, error_model="numpy")
def project(directions, vectors, out):
    """out[i, j] = vectors[i] . directions[j]: float32[m, d], float32[n, d] to float32[n, m]."""
    count = directions.shape[0]
    room = -(-count // 4) * 4
    chosen = np.arange(room)
    block = np.empty((4, room), np.float32)
    for first in range(0, vectors.shape[0], 4):
        wide = first + 4 <= vectors.shape[0]
        for i in range(first, min(first + 4, vectors.shape[0])):
            if not wide or i == first:
                tile_distances(DOT, directions, chosen, count, vectors, i, wide, block)
            line = block[i - first] if wide else block[0]
            for j in range(count):
                out[i, j] = -line[j]


@njit(inline="always")
def position_of(projection, shift, width):
    """In cells: the whole part is the cell's number. A width of 0 makes two halves, cells 0 and 1."""
    if width == np.float32(0.0):
        return np.float32(1.0) if projection > shift else np.float32(0.0)
    position = (projection + shift) / width
    return min(max(position, -_FARTHEST_CELL), _FARTHEST_CELL)


@njit(inline="always")
def slot_of(key, bits, spread):
    if spread:
        return np.int64((key * _SPREADER) >> np.uint64(64 - bits))
    return np.int64(key)


@njit(
    void(_vectors_t, _floats_t, float32, _factors_t, int64, boolean, int64, uint32[:, ::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def hash_rows(projections, shifts, width, factors, bits, spread, first, slots):
    """slots[t, first + i]: where row i of the projections goes in table t.

    projections: float32[n, t * h]. shifts: float32[t * h]: the border of two halves, or what is added before
    dividing by `width`. factors: uint64[h]. A table has 2^bits slots, bits >= 1. spread: keys are folded.
    """
    functions = factors.shape[0]
    for i in range(projections.shape[0]):
        for table in range(slots.shape[0]):
            key = np.uint64(0)
            for j in range(functions):
                place = table * functions + j
                cell = np.int64(np.floor(position_of(projections[i, place], shifts[place], width)))
                key += np.uint64(cell) * factors[j]
            slots[table, first + i] = slot_of(key, bits, spread)


@njit(void(uint32[::1], uint32[::1], uint32[::1]), nogil=True, cache=True, error_model="numpy")
def fill_table(slots, offsets, rows):
    """Sort rows by their slots, by counting. Those of slot s: rows[offsets[s] : offsets[s + 1]], ascending.

    slots: uint32[n]. offsets: uint32[2^bits + 1], zeros. rows: uint32[n].
    """
    for i in range(slots.shape[0]):
        offsets[slots[i] + 1] += np.uint32(1)
    for slot in range(1, offsets.shape[0]):
        offsets[slot] += offsets[slot - 1]
    following = offsets[:-1].copy()
    for i in range(slots.shape[0]):
        rows[following[slots[i]]] = np.uint32(i)
        following[slots[i]] += np.uint32(1)
