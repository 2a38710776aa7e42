"""Searching the lists around the centroids nearest to a query (Jégou, Douze & Schmid, "Product Quantization
for Nearest Neighbor Search", TPAMI 2011, section IV).

Vectors are stored list by list; a position is a vector's place in that order. Candidates become fewer in
stages, each with more exact distances: 4-bit product codes in registers, then int8 codes, and the caller
compares the last ones in full.
"""

from __future__ import annotations

import numpy as np
from numba import boolean, float32, float64, int32, int64, njit, types, uint8, uint32, uint64, void

from hanax.engine.kernels.distance import distance1
from hanax.engine.kernels.fast_scan import BLOCK
from hanax.engine.kernels.list_scan import scan_lists
from hanax.engine.kernels.llvm import bits_of_float
from hanax.engine.kernels.narrowing import (
    add_four,
    ask_for_codes,
    compare_codes,
    give_nearest,
    is_allowed,
)
from hanax.engine.kernels.pool import NO_BOUND, key_of, offer, row_of
from hanax.engine.kernels.probing import choose_lists, choosing_room
from hanax.engine.kernels.product import distances_to_centroids
from hanax.engine.kernels.tables import fill_tables

_codes_t = types.Array(uint8, 2, "C", readonly=True)
_blocks_t = types.Array(uint8, 3, "C", readonly=True)
_vectors_t = types.Array(float32, 2, "C", readonly=True)
_books_t = types.Array(float32, 3, "C", readonly=True)
_ints_t = types.Array(int32, 1, "C", readonly=True)
_starts_t = types.Array(int64, 1, "C", readonly=True)
_rows_t = types.Array(uint32, 1, "C", readonly=True)
_words_t = types.Array(uint64, 1, "C", readonly=True)
_J = {"nogil": True, "cache": True, "error_model": "numpy"}


@njit(
    void(
        boolean, _codes_t, _ints_t, _codes_t, _ints_t, _starts_t, _starts_t, _blocks_t, _books_t,
        _codes_t, _ints_t, _rows_t, boolean, _words_t, int64, float64, int64, int64, int64[:, ::1],
    ),
    **_J,
)  # fmt: skip
def search_product(
    l1, queries, constants, centroids, centroid_norms, starts, block_starts, blocks, books,
    codes, norms, rows, masked, mask, nprobe, share, enough, kept, candidates,
):  # fmt: skip
    """Candidates for each query from lists of 4-bit product codes.

    queries: uint8[q, padded], constants: int32[q]. centroids: uint8[lists, padded], with norms. starts:
    int64[lists + 1], positions. block_starts: int64[lists + 1] into blocks, uint8[blocks, groups, 64]
    (fast_scan). books: float32[parts, part dimension, 16]. codes: uint8[n, padded] with norms, by position;
    without them product codes alone decide. rows: uint32[n], the row at each position. mask: as in
    kernels.scan. nprobe, share, enough: as in `scan_lists`. kept: candidates taken from product to int8
    codes. candidates: int64[q, c], rows, ascending by distance, -1 after the last.
    """
    refined = codes.shape[0] > 0
    values = np.empty(queries.shape[1], np.float32)
    tables = np.empty((books.shape[0], 16), np.float32)
    packed = np.zeros((blocks.shape[1], 64), np.uint8)
    choosing = choosing_room(queries.shape[0], centroids.shape[0])
    lists = np.empty(centroids.shape[0] if masked else nprobe, np.int64)
    pool = np.empty(candidates.shape[1], np.int64)
    room = 2 * kept + 192
    words = np.zeros(blocks.shape[0] if masked else 0, np.uint64)
    # While one query's candidates arrive from memory, the next one's lists are scanned.
    found = np.empty((2, room + 2 * BLOCK), np.int32)
    positions = np.empty((2, room + BLOCK), np.int32)
    count = np.int64(0)
    query = np.int64(0)
    for turn in range(queries.shape[0] + 1):
        before = query
        count_before = count
        if turn < queries.shape[0]:
            query = choose_lists(l1, centroids, centroid_norms, queries, constants, turn, choosing, lists)
            for j in range(queries.shape[1]):
                values[j] = np.float32(queries[query, j]) - np.float32(128.0)
            fill_tables(l1, values, books, tables, packed)
            count = scan_lists(
                lists, nprobe, share, enough, starts, block_starts, blocks, packed, masked, mask, words, rows,
                kept, found[turn & 1], positions[turn & 1],
            )  # fmt: skip
            if refined:
                ask_for_codes(codes, norms, positions[turn & 1], count)
        if turn > 0:
            distances = found[1 - (turn & 1)]
            places = positions[1 - (turn & 1)]
            if refined:
                constant = constants[before]
                compare_codes(codes, norms, l1, queries, before, constant, places, count_before, distances)
            give_nearest(distances, places, count_before, rows, pool, candidates[before])


_LIST_ARGUMENTS = (_starts_t, _rows_t, int64, int64[:, ::1])


@njit(
    [
        void(boolean, _codes_t, _ints_t, _codes_t, _ints_t, _codes_t, _codes_t, _ints_t, *_LIST_ARGUMENTS),
        void(
            boolean, _codes_t, _ints_t, _codes_t, _ints_t, _vectors_t, _vectors_t, _ints_t, *_LIST_ARGUMENTS
        ),
    ],
    **_J,
)
def search_lists(
    l1, queries, constants, centroids, centroid_norms, compared, stored, norms,
    starts, rows, nprobe, candidates,
):  # fmt: skip
    """Candidates for each query from lists of int8 codes or of vectors.

    compared: the queries in the form of what is stored: uint8 or float32[q, padded]. stored: uint8[n, padded]
    with norms, or float32[n, padded], by position. The rest as in `search_product`.
    """
    limit = candidates.shape[1]
    choosing = choosing_room(queries.shape[0], centroids.shape[0])
    lists = np.empty(nprobe, np.int64)
    pool = np.empty(limit, np.int64)
    for turn in range(queries.shape[0]):
        q = choose_lists(l1, centroids, centroid_norms, queries, constants, turn, choosing, lists)
        constant = constants[q]
        size = 0
        bound = NO_BOUND
        for probe in range(nprobe):
            number = row_of(lists[probe])
            position = starts[number]
            end = starts[number + 1]
            while position + 4 <= end:
                size, bound = add_four(
                    l1, stored, norms, position, compared, q, constant, pool, size, limit, bound
                )
                position += 4
            while position < end:
                distance = distance1(l1, stored, norms, position, compared, q, constant)
                size, bound = offer(pool, size, limit, bound, key_of(distance, position))
                position += 1
        for i in range(size):
            candidates[q, i] = rows[row_of(pool[i])]
        for i in range(size, limit):
            candidates[q, i] = -1


@njit(
    void(
        boolean, _codes_t, _ints_t, _codes_t, _ints_t, _starts_t, _books_t, _codes_t, _rows_t,
        boolean, _words_t, int64, int64[:, ::1],
    ),
    **_J,
)  # fmt: skip
def search_bytes(
    l1, queries, constants, centroids, centroid_norms, starts, books, stored, rows, masked, mask,
    nprobe, candidates,
):  # fmt: skip
    """Candidates for each query from lists of 8-bit product codes: stored, uint8[n, parts], by position.

    books: float32[parts, part dimension, 256]. The rest as in `search_product`.
    """
    parts = books.shape[0]
    limit = candidates.shape[1]
    values = np.empty(queries.shape[1], np.float32)
    tables = np.empty((parts, 256), np.float32)
    choosing = choosing_room(queries.shape[0], centroids.shape[0])
    lists = np.empty(nprobe, np.int64)
    pool = np.empty(limit, np.int64)
    for turn in range(queries.shape[0]):
        q = choose_lists(l1, centroids, centroid_norms, queries, constants, turn, choosing, lists)
        for j in range(queries.shape[1]):
            values[j] = np.float32(queries[q, j]) - np.float32(128.0)
        distances_to_centroids(l1, values, books, tables)
        size = 0
        bound = NO_BOUND
        for probe in range(nprobe):
            number = row_of(lists[probe])
            for position in range(starts[number], starts[number + 1]):
                if masked and not is_allowed(mask, np.int64(rows[position])):
                    continue
                total = np.float32(0.0)
                for part in range(parts):
                    total += tables[part, stored[position, part]]
                size, bound = offer(pool, size, limit, bound, key_of(bits_of_float(total), position))
        for i in range(size):
            candidates[q, i] = rows[row_of(pool[i])]
        for i in range(size, limit):
            candidates[q, i] = -1
