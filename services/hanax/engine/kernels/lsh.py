"""A walk through the buckets of hash tables that most likely hold a query's neighbours."""

from __future__ import annotations

import numpy as np
from numba import boolean, float32, int64, njit, types, uint32, uint64, void

from hanax.engine.kernels.llvm import prefetch_line
from hanax.engine.kernels.lsh_tables import position_of, slot_of
from hanax.engine.kernels.rescoring import insert_nearest
from hanax.engine.kernels.scan import GATHERED, tile_distances

_vectors_t = types.Array(float32, 2, "C", readonly=True)
_floats_t = types.Array(float32, 1, "C", readonly=True)
_factors_t = types.Array(uint64, 1, "C", readonly=True)
_words_t = types.Array(uint64, 1, "C", readonly=True)
_tables_t = types.Array(uint32, 2, "C", readonly=True)


@njit(
    int64(float32[::1], uint64[::1], int64[::1], int64, float32, uint64, int64),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _push(scores, sets, tables, size, score, steps, table):
    """Add to a binary heap, least score first; return the new size. Without room, nothing."""
    if size == scores.shape[0]:
        return size
    place = size
    while place > 0 and scores[(place - 1) // 2] > score:
        above = (place - 1) // 2
        scores[place], sets[place], tables[place] = scores[above], sets[above], tables[above]
        place = above
    scores[place], sets[place], tables[place] = score, steps, table
    return size + 1


@njit(
    int64(float32[::1], uint64[::1], int64[::1], int64),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _drop_first(scores, sets, tables, size):
    """Remove the least of a heap; return the new size."""
    size -= 1
    score, steps, table = scores[size], sets[size], tables[size]
    place = 0
    while 2 * place + 1 < size:
        below = 2 * place + 1
        if below + 1 < size and scores[below + 1] < scores[below]:
            below += 1
        if scores[below] >= score:
            break
        scores[place], sets[place], tables[place] = scores[below], sets[below], tables[below]
        place = below
    scores[place], sets[place], tables[place] = score, steps, table
    return size


@njit(
    uint64(_floats_t, _floats_t, float32, _factors_t, int64, float32[::1], int64[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _steps_of(projections, shifts, width, factors, table, scores, steps):
    """The key of a query in a table, and the steps to neighbouring cells, nearest first.

    scores: float32[h] or, with cells, float32[2 h]: the squared distance to the border. steps: 2 j for a
    step down of function j, 2 j + 1 for a step up.
    """
    functions = factors.shape[0]
    key = np.uint64(0)
    size = 0
    for j in range(functions):
        place = table * functions + j
        position = position_of(projections[place], shifts[place], width)
        cell = np.floor(position)
        key += np.uint64(np.int64(cell)) * factors[j]
        for up in range(2):
            if width == np.float32(0.0):
                if up != (cell == np.float32(0.0)):
                    continue
                border = projections[place] - shifts[place]
            else:
                border = cell + np.float32(1.0) - position if up else position - cell
            score = border * border
            slot = size
            while slot > 0 and scores[slot - 1] > score:
                scores[slot] = scores[slot - 1]
                steps[slot] = steps[slot - 1]
                slot -= 1
            scores[slot] = score
            steps[slot] = 2 * j + up
            size += 1
    return key


@njit(inline="always")
def _key_after(key, chosen, steps, factors):
    """The key after a set of steps, and whether they go to one cell: not down and up in one function."""
    moved = np.uint64(0)
    place = 0
    while chosen != np.uint64(0):
        if chosen & np.uint64(1):
            step = steps[place]
            bit = np.uint64(1) << np.uint64(step >> 1)
            if moved & bit:
                return key, False
            moved |= bit
            if step & 1:
                key += factors[step >> 1]
            else:
                key -= factors[step >> 1]
        chosen >>= np.uint64(1)
        place += 1
    return key, True


@njit(
    int64(
        int64, _vectors_t, _floats_t, _vectors_t, int64, int64[::1], int64, float32[:, ::1],
        float32[::1], int64[::1], int64,
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)  # fmt: skip
def _compare(metric, vectors, inverse_norms, queries, q, chosen, count, block, distances, rows, size):
    """Compare the chosen rows in full, keep the nearest; return their new number."""
    if count == 0:
        return size
    tile_distances(metric, vectors, chosen, count, queries, q, False, block)
    for i in range(count):
        distance = block[0, i]
        if inverse_norms.shape[0] > 0:
            distance *= inverse_norms[chosen[i]]
        if size < distances.shape[0] or distance <= distances[size - 1]:
            size = insert_nearest(distances, rows, size, distance, chosen[i])
    return size


@njit(
    void(
        int64, _vectors_t, _floats_t, _vectors_t, _vectors_t, _floats_t, float32, _factors_t,
        boolean, _tables_t, _tables_t, int64, boolean, _words_t, float32[:, ::1], int64[:, ::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)  # fmt: skip
def search(
    metric, vectors, inverse_norms, queries, projections, shifts, width, factors,
    spread, offsets, table_rows, probes, masked, mask, distances, rows,
):  # fmt: skip
    """The nearest of the allowed rows in the most promising buckets: ascending, ties by row, then inf and -1.

    metric, vectors, inverse_norms, queries, masked, mask: as for hanax.engine.kernels.scan.scan.
    projections: float32[q, t * h]. shifts, width, factors, spread: as for
    hanax.engine.kernels.lsh_tables.hash_rows. offsets:
    uint32[t, 2^bits + 1], table_rows: uint32[t, n], made by `fill_table` there. probes: buckets for each
    table, on average. distances: float32[q, k], rows: int64[q, k].

    The order of the buckets: Lv, Josephson, Wang, Charikar & Li, "Multi-Probe LSH", VLDB 2007, algorithm 1,
    with one heap for all tables.
    """
    count = vectors.shape[0]
    tables, functions = offsets.shape[0], factors.shape[0]
    bits = 0
    while (1 << bits) < offsets.shape[1] - 1:
        bits += 1
    moves = functions if width == np.float32(0.0) else 2 * functions
    lines = (vectors.shape[1] * 4 + 63) // 64
    seen = np.empty((count + 63) // 64, np.uint64)
    chosen = np.empty(GATHERED, np.int64)
    block = np.empty((1, GATHERED), np.float32)
    scores = np.empty((tables, moves), np.float32)
    steps = np.empty((tables, moves), np.int64)
    keys = np.empty(tables, np.uint64)
    # Every bucket taken puts two sets of steps into the heap.
    room = 2 * tables * (probes + 32)
    heap_scores = np.empty(room, np.float32)
    heap_sets = np.empty(room, np.uint64)
    heap_tables = np.empty(room, np.int64)
    for q in range(queries.shape[0]):
        seen[:] = np.uint64(0)
        waiting = 0
        for table in range(tables):
            keys[table] = _steps_of(
                projections[q], shifts, width, factors, table, scores[table], steps[table]
            )
            waiting = _push(
                heap_scores, heap_sets, heap_tables, waiting, np.float32(0.0), np.uint64(0), table
            )
        size = 0
        gathered = 0
        left = probes * tables
        while left > 0 and waiting > 0:
            score, steps_taken, table = heap_scores[0], heap_sets[0], heap_tables[0]
            waiting = _drop_first(heap_scores, heap_sets, heap_tables, waiting)
            last = -1
            while steps_taken >> np.uint64(last + 1) != np.uint64(0):
                last += 1
            if last + 1 < moves:
                following = np.uint64(1) << np.uint64(last + 1)
                added = scores[table, last + 1]
                waiting = _push(
                    heap_scores,
                    heap_sets,
                    heap_tables,
                    waiting,
                    score + added,
                    steps_taken | following,
                    table,
                )
                if last >= 0:
                    swapped = steps_taken ^ (np.uint64(1) << np.uint64(last)) ^ following
                    waiting = _push(
                        heap_scores, heap_sets, heap_tables, waiting,
                        score + added - scores[table, last], swapped, table,
                    )  # fmt: skip
            key, possible = _key_after(keys[table], steps_taken, steps[table], factors)
            if not possible:
                continue
            left -= 1
            slot = slot_of(key, bits, spread)
            for place in range(offsets[table, slot], offsets[table, slot + 1]):
                row = np.int64(table_rows[table, place])
                word, bit = row >> 6, np.uint64(1) << np.uint64(row & 63)
                if seen[word] & bit or (masked and not mask[word] & bit):
                    continue
                seen[word] |= bit
                for line in range(lines):
                    prefetch_line(vectors, row, line)
                chosen[gathered] = row
                gathered += 1
                if gathered == GATHERED:
                    size = _compare(
                        metric, vectors, inverse_norms, queries, q, chosen, gathered, block,
                        distances[q], rows[q], size,
                    )  # fmt: skip
                    gathered = 0
        size = _compare(
            metric, vectors, inverse_norms, queries, q, chosen, gathered, block, distances[q], rows[q], size
        )
        for place in range(size, rows.shape[1]):
            distances[q, place] = np.inf
            rows[q, place] = -1
