"""Searching the lists around the centroids nearest to a query (Jégou, Douze & Schmid, "Product Quantization
for Nearest Neighbor Search", TPAMI 2011, section IV).

Vectors are stored list by list; a position is a vector's place in that order. Candidates become fewer in
stages, each with more exact distances: 4-bit product codes in registers, then int8 codes, and the caller
compares the last ones in full.
"""

from __future__ import annotations

import numpy as np
from numba import boolean, float32, int32, int64, njit, types, uint8, uint32, uint64, void

from hanax.engine.kernels.distance import distance1
from hanax.engine.kernels.fast_scan import BLOCK, scan_block
from hanax.engine.kernels.llvm import bits_of_float, trailing_zeros
from hanax.engine.kernels.narrowing import (
    add_four,
    allowed_bits,
    compare_codes,
    is_allowed,
    keep_nearest,
)
from hanax.engine.kernels.pool import NO_BOUND, insert_key, key_of, offer, row_of
from hanax.engine.kernels.probing import BINS, CHUNK, compare_centroids, nearest_lists, order_by_list
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
        _codes_t, _ints_t, _rows_t, boolean, _words_t, int64, int64, int64[:, ::1],
    ),
    **_J,
)  # fmt: skip
def search_product(
    l1, queries, constants, centroids, centroid_norms, starts, block_starts, blocks, books,
    codes, norms, rows, masked, mask, nprobe, kept, candidates,
):  # fmt: skip
    """Candidates for each query from lists of 4-bit product codes.

    queries: uint8[q, padded], constants: int32[q]. centroids: uint8[lists, padded], with norms. starts:
    int64[lists + 1], positions. block_starts: int64[lists + 1] into blocks, uint8[blocks, groups, 64]
    (fast_scan). books: float32[parts, part dimension, 16]. codes: uint8[n, padded] with norms, by position;
    without them product codes alone decide. rows: uint32[n], the row at each position. mask: as in
    kernels.scan. nprobe: lists read. kept: candidates taken from product to int8 codes. candidates:
    int64[q, c], rows, ascending by distance, -1 after the last.
    """
    parts = books.shape[0]
    refined = codes.shape[0] > 0
    limit = candidates.shape[1]
    values = np.empty(queries.shape[1], np.float32)
    tables = np.empty((parts, 16), np.float32)
    packed = np.zeros((blocks.shape[1], 64), np.uint8)
    chunk = min(CHUNK, queries.shape[0])
    to_centroids = np.empty((chunk, centroids.shape[0]), np.int32)
    nearest = np.empty(chunk, np.int64)
    nearest_starts = np.empty(centroids.shape[0] + 1, np.int64)
    order = np.empty(chunk, np.int64)
    bins = np.empty(BINS, np.int32)
    lists = np.empty(nprobe, np.int64)
    pool = np.empty(limit, np.int64)
    room = 2 * kept + 192
    distances = np.empty(room + BLOCK, np.int32)
    positions = np.empty(room + BLOCK, np.int64)
    found = np.empty(BLOCK, np.int32)
    for turn in range(queries.shape[0]):
        place = turn % CHUNK
        if place == 0:
            end = min(turn + CHUNK, queries.shape[0])
            compare_centroids(l1, centroids, centroid_norms, queries, constants, turn, end, to_centroids)
            order_by_list(to_centroids, end - turn, nearest, nearest_starts, order)
        q = turn - place + order[place]
        nearest_lists(to_centroids[order[place]], lists, nprobe, bins)
        constant = constants[q]
        for j in range(queries.shape[1]):
            values[j] = np.float32(queries[q, j]) - np.float32(128.0)
        fill_tables(l1, values, books, tables, packed)
        count = 0
        bound = np.int32(2_147_483_647)
        for probe in range(nprobe):
            number = row_of(lists[probe])
            first = starts[number]
            end = starts[number + 1]
            for block in range(block_starts[number], block_starts[number + 1]):
                width = min(np.int64(BLOCK), end - first)
                allowed = (np.uint64(1) << np.uint64(width)) - np.uint64(1)
                if masked:
                    allowed &= allowed_bits(mask, rows, first, width)
                if allowed != np.uint64(0):
                    near = scan_block(blocks, block, packed, found, bound) & allowed
                    while near != np.uint64(0):
                        lane = trailing_zeros(near)
                        near &= near - np.uint64(1)
                        distances[count] = found[lane]
                        positions[count] = first + lane
                        count += 1
                    if count >= room:
                        count, bound = keep_nearest(distances, positions, count, kept, bins)
                first += BLOCK
        if count > kept:
            count, bound = keep_nearest(distances, positions, count, kept, bins)
        if refined:
            count = compare_codes(codes, norms, l1, queries, q, constant, positions, count, pool, limit)
        else:
            taken = 0
            for i in range(count):
                insert_key(pool, taken, limit, key_of(distances[i], positions[i]))
                taken = min(taken + 1, limit)
            count = taken
        for i in range(count):
            candidates[q, i] = rows[row_of(pool[i])]
        for i in range(count, limit):
            candidates[q, i] = -1


_LIST_ARGUMENTS = (_starts_t, _rows_t, boolean, _words_t, int64, int64[:, ::1])


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
    starts, rows, masked, mask, nprobe, candidates,
):  # fmt: skip
    """Candidates for each query from lists of int8 codes or of vectors.

    compared: the queries in the form of what is stored: uint8 or float32[q, padded]. stored: uint8[n, padded]
    with norms, or float32[n, padded], by position. The rest as in `search_product`.
    """
    limit = candidates.shape[1]
    chunk = min(CHUNK, queries.shape[0])
    to_centroids = np.empty((chunk, centroids.shape[0]), np.int32)
    nearest = np.empty(chunk, np.int64)
    nearest_starts = np.empty(centroids.shape[0] + 1, np.int64)
    order = np.empty(chunk, np.int64)
    bins = np.empty(BINS, np.int32)
    lists = np.empty(nprobe, np.int64)
    pool = np.empty(limit, np.int64)
    for turn in range(queries.shape[0]):
        place = turn % CHUNK
        if place == 0:
            end = min(turn + CHUNK, queries.shape[0])
            compare_centroids(l1, centroids, centroid_norms, queries, constants, turn, end, to_centroids)
            order_by_list(to_centroids, end - turn, nearest, nearest_starts, order)
        q = turn - place + order[place]
        nearest_lists(to_centroids[order[place]], lists, nprobe, bins)
        constant = constants[q]
        size = 0
        bound = NO_BOUND
        for probe in range(nprobe):
            number = row_of(lists[probe])
            position = starts[number]
            end = starts[number + 1]
            while not masked and position + 4 <= end:
                size, bound = add_four(
                    l1, stored, norms, position, compared, q, constant, pool, size, limit, bound
                )
                position += 4
            while position < end:
                if not masked or is_allowed(mask, np.int64(rows[position])):
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
    chunk = min(CHUNK, queries.shape[0])
    to_centroids = np.empty((chunk, centroids.shape[0]), np.int32)
    nearest = np.empty(chunk, np.int64)
    nearest_starts = np.empty(centroids.shape[0] + 1, np.int64)
    order = np.empty(chunk, np.int64)
    bins = np.empty(BINS, np.int32)
    lists = np.empty(nprobe, np.int64)
    pool = np.empty(limit, np.int64)
    for turn in range(queries.shape[0]):
        place = turn % CHUNK
        if place == 0:
            end = min(turn + CHUNK, queries.shape[0])
            compare_centroids(l1, centroids, centroid_norms, queries, constants, turn, end, to_centroids)
            order_by_list(to_centroids, end - turn, nearest, nearest_starts, order)
        q = turn - place + order[place]
        nearest_lists(to_centroids[order[place]], lists, nprobe, bins)
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
