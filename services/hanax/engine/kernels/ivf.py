"""Searching the lists around the centroids nearest to a query (Jégou, Douze & Schmid, "Product Quantization
for Nearest Neighbor Search", TPAMI 2011, section IV).

Vectors are stored list by list; a position is a vector's place in that order. Candidates become fewer in
stages, each with more exact distances: 4-bit product codes in registers, then int8 codes, and the caller
compares the last ones in full.
"""

from __future__ import annotations

import numpy as np
from numba import boolean, float32, int32, int64, njit, types, uint8, uint32, uint64, void

from hanax.engine.kernels.distance import distance1, distance4
from hanax.engine.kernels.fast_scan import BLOCK, scan_block
from hanax.engine.kernels.llvm import bits_of_float, prefetch_line, trailing_zeros
from hanax.engine.kernels.pool import NO_BOUND, insert_key, key_of, row_of
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
_LEAF = {"nogil": True, "error_model": "numpy", "_nrt": False}

_BINS = 256
# So many lists are chosen by insertion, more by buckets.
_FEW_LISTS = 16
# Queries that are compared with the centroids together.
_GROUP = 8
# Queries whose order is chosen together.
_CHUNK = 256


@njit(**_LEAF)
def _add_four(l1, rows, norms, first, queries, query, constant, pool, size, limit, bound):
    """Put four consecutive rows into a pool of keys; return its new size and bound."""
    p, q, r, s = distance4(l1, rows, norms, first, first + 1, first + 2, first + 3, queries, query, constant)
    for number in range(4):
        distance = p
        if number == 1:
            distance = q
        elif number == 2:
            distance = r
        elif number == 3:
            distance = s
        key = key_of(distance, first + number)
        if key < bound:
            insert_key(pool, size, limit, key)
            size = min(size + 1, limit)
            if size == limit:
                bound = pool[limit - 1]
    return size, bound


@njit(**_LEAF)
def _compare_centroids(l1, centroids, norms, queries, constants, first, end, distances):
    """distances[q - first, c] of the queries first .. end, which share each read of a centroid."""
    count = centroids.shape[0]
    for group in range(first, end, _GROUP):
        after = min(group + _GROUP, end)
        c = 0
        while c + 4 <= count:
            for q in range(group, after):
                row = distances[q - first]
                row[c], row[c + 1], row[c + 2], row[c + 3] = distance4(
                    l1, centroids, norms, c, c + 1, c + 2, c + 3, queries, q, constants[q]
                )
            c += 4
        while c < count:
            for q in range(group, after):
                distances[q - first, c] = distance1(l1, centroids, norms, c, queries, q, constants[q])
            c += 1


@njit(**_LEAF)
def _order_by_list(distances, count, lists, starts, order):
    """Queries whose nearest lists are neighbours follow one another: what they read stays in the caches.

    distances: int32[chunk, c] of `count` queries. lists, int64[chunk], and starts, int64[c + 1]: scratch.
    order: int64[chunk].
    """
    starts[:] = 0
    for q in range(count):
        row = distances[q]
        nearest = np.int64(0)
        for c in range(row.shape[0]):
            if row[c] < row[nearest]:
                nearest = np.int64(c)
        lists[q] = nearest
        starts[nearest + 1] += 1
    for c in range(1, starts.shape[0]):
        starts[c] += starts[c - 1]
    for q in range(count):
        order[starts[lists[q]]] = q
        starts[lists[q]] += 1


@njit(**_LEAF)
def _nearest_lists(distances, pool, limit, bins):
    """The `limit` lists whose centroids are nearest, as keys in pool[:limit], about ascending.

    distances: int32[lists]. bins: int32[_BINS + 1], scratch.
    """
    count = distances.shape[0]
    if limit <= _FEW_LISTS:
        size = 0
        bound = NO_BOUND
        for c in range(count):
            key = key_of(distances[c], c)
            if key < bound:
                insert_key(pool, size, limit, key)
                size = min(size + 1, limit)
                if size == limit:
                    bound = pool[limit - 1]
        return
    # By buckets: lists of one bucket are about as near, and their order does not matter.
    low = distances[0]
    high = distances[0]
    for c in range(count):
        low = min(low, distances[c])
        high = max(high, distances[c])
    shift = np.int32(0)
    while (high - low) >> shift >= _BINS:
        shift += np.int32(1)
    bins[:] = 0
    for c in range(count):
        bins[((distances[c] - low) >> shift) + 1] += 1
    for number in range(1, _BINS + 1):
        bins[number] += bins[number - 1]
    for c in range(count):
        number = (distances[c] - low) >> shift
        place = bins[number]
        bins[number] += 1
        if place < limit:
            pool[place] = key_of(distances[c], c)


@njit(**_LEAF)
def _is_allowed(mask, row):
    return (mask[row >> np.int64(6)] >> np.uint64(row & np.int64(63))) & np.uint64(1) != 0


@njit(**_LEAF)
def _allowed_bits(mask, rows, first, count):
    """A bit for each of the positions first .. first + count (at most 32) whose row is allowed."""
    bits = np.uint64(0)
    for lane in range(count):
        row = np.int64(rows[first + lane])
        word = mask[row >> np.int64(6)] >> np.uint64(row & np.int64(63))
        bits |= (word & np.uint64(1)) << np.uint64(lane)
    return bits


@njit(**_LEAF)
def _keep_nearest(distances, positions, count, wanted, bins):
    """Keep the `wanted` nearest candidates, and some that are about as near; return their number, at most
    2 wanted + 64, and a bound that the others reach.
    """
    low = distances[0]
    high = distances[0]
    for i in range(count):
        low = min(low, distances[i])
        high = max(high, distances[i])
    shift = np.int32(0)
    while (high - low) >> shift >= _BINS:
        shift += np.int32(1)
    bins[:] = 0
    for i in range(count):
        bins[(distances[i] - low) >> shift] += 1
    last = np.int32(0)
    total = bins[0]
    while total < wanted and last < _BINS - 1:
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
def _compare_codes(codes, norms, l1, queries, query, constant, positions, count, pool, limit):
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
        for number in range(4):
            key = key_of(p, a)
            if number == 1:
                key = key_of(q, b)
            elif number == 2:
                key = key_of(r, c)
            elif number == 3:
                key = key_of(s, d)
            if key < bound:
                insert_key(pool, size, limit, key)
                size = min(size + 1, limit)
                if size == limit:
                    bound = pool[limit - 1]
        i += 4
    while i < count:
        key = key_of(distance1(l1, codes, norms, positions[i], queries, query, constant), positions[i])
        if key < bound:
            insert_key(pool, size, limit, key)
            size = min(size + 1, limit)
            if size == limit:
                bound = pool[limit - 1]
        i += 1
    return size


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
    chunk = min(_CHUNK, queries.shape[0])
    to_centroids = np.empty((chunk, centroids.shape[0]), np.int32)
    nearest = np.empty(chunk, np.int64)
    nearest_starts = np.empty(centroids.shape[0] + 1, np.int64)
    order = np.empty(chunk, np.int64)
    bins = np.empty(_BINS + 1, np.int32)
    lists = np.empty(nprobe, np.int64)
    pool = np.empty(limit, np.int64)
    room = 2 * kept + 192
    distances = np.empty(room + BLOCK, np.int32)
    positions = np.empty(room + BLOCK, np.int64)
    found = np.empty(BLOCK, np.int32)
    for turn in range(queries.shape[0]):
        place = turn % _CHUNK
        if place == 0:
            end = min(turn + _CHUNK, queries.shape[0])
            _compare_centroids(l1, centroids, centroid_norms, queries, constants, turn, end, to_centroids)
            _order_by_list(to_centroids, end - turn, nearest, nearest_starts, order)
        q = turn - place + order[place]
        _nearest_lists(to_centroids[order[place]], lists, nprobe, bins)
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
                    allowed &= _allowed_bits(mask, rows, first, width)
                if allowed != np.uint64(0):
                    near = scan_block(blocks, block, packed, found, bound) & allowed
                    while near != np.uint64(0):
                        lane = trailing_zeros(near)
                        near &= near - np.uint64(1)
                        distances[count] = found[lane]
                        positions[count] = first + lane
                        count += 1
                    if count >= room:
                        count, bound = _keep_nearest(distances, positions, count, kept, bins)
                first += BLOCK
        if count > kept:
            count, bound = _keep_nearest(distances, positions, count, kept, bins)
        if refined:
            count = _compare_codes(codes, norms, l1, queries, q, constant, positions, count, pool, limit)
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
    chunk = min(_CHUNK, queries.shape[0])
    to_centroids = np.empty((chunk, centroids.shape[0]), np.int32)
    nearest = np.empty(chunk, np.int64)
    nearest_starts = np.empty(centroids.shape[0] + 1, np.int64)
    order = np.empty(chunk, np.int64)
    bins = np.empty(_BINS + 1, np.int32)
    lists = np.empty(nprobe, np.int64)
    pool = np.empty(limit, np.int64)
    for turn in range(queries.shape[0]):
        place = turn % _CHUNK
        if place == 0:
            end = min(turn + _CHUNK, queries.shape[0])
            _compare_centroids(l1, centroids, centroid_norms, queries, constants, turn, end, to_centroids)
            _order_by_list(to_centroids, end - turn, nearest, nearest_starts, order)
        q = turn - place + order[place]
        _nearest_lists(to_centroids[order[place]], lists, nprobe, bins)
        constant = constants[q]
        size = 0
        bound = NO_BOUND
        for probe in range(nprobe):
            number = row_of(lists[probe])
            position = starts[number]
            end = starts[number + 1]
            while not masked and position + 4 <= end:
                size, bound = _add_four(
                    l1, stored, norms, position, compared, q, constant, pool, size, limit, bound
                )
                position += 4
            while position < end:
                if not masked or _is_allowed(mask, np.int64(rows[position])):
                    key = key_of(distance1(l1, stored, norms, position, compared, q, constant), position)
                    if key < bound:
                        insert_key(pool, size, limit, key)
                        size = min(size + 1, limit)
                        if size == limit:
                            bound = pool[limit - 1]
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
    chunk = min(_CHUNK, queries.shape[0])
    to_centroids = np.empty((chunk, centroids.shape[0]), np.int32)
    nearest = np.empty(chunk, np.int64)
    nearest_starts = np.empty(centroids.shape[0] + 1, np.int64)
    order = np.empty(chunk, np.int64)
    bins = np.empty(_BINS + 1, np.int32)
    lists = np.empty(nprobe, np.int64)
    pool = np.empty(limit, np.int64)
    for turn in range(queries.shape[0]):
        place = turn % _CHUNK
        if place == 0:
            end = min(turn + _CHUNK, queries.shape[0])
            _compare_centroids(l1, centroids, centroid_norms, queries, constants, turn, end, to_centroids)
            _order_by_list(to_centroids, end - turn, nearest, nearest_starts, order)
        q = turn - place + order[place]
        _nearest_lists(to_centroids[order[place]], lists, nprobe, bins)
        for j in range(queries.shape[1]):
            values[j] = np.float32(queries[q, j]) - np.float32(128.0)
        distances_to_centroids(l1, values, books, tables)
        size = 0
        bound = NO_BOUND
        for probe in range(nprobe):
            number = row_of(lists[probe])
            for position in range(starts[number], starts[number + 1]):
                if masked and not _is_allowed(mask, np.int64(rows[position])):
                    continue
                total = np.float32(0.0)
                for part in range(parts):
                    total += tables[part, stored[position, part]]
                key = key_of(bits_of_float(total), position)
                if key < bound:
                    insert_key(pool, size, limit, key)
                    size = min(size + 1, limit)
                    if size == limit:
                        bound = pool[limit - 1]
        for i in range(size):
            candidates[q, i] = rows[row_of(pool[i])]
        for i in range(size, limit):
            candidates[q, i] = -1
