"""Which lists of an IVF index a query looks into: those whose centroids are nearest."""

from __future__ import annotations

import numpy as np
from numba import njit

from hanax.engine.kernels.distance import distance1, distance4
from hanax.engine.kernels.pool import NO_BOUND, key_of, offer

_LEAF = {"nogil": True, "error_model": "numpy", "_nrt": False}

# Queries whose order is chosen together.
_CHUNK = 256
# Length of the scratch array for counting.
_BINS = 257
# Queries that are compared with the centroids together.
_GROUP = 8
# So many lists are chosen by insertion, more by buckets.
_FEW_LISTS = 16


@njit(nogil=True, error_model="numpy")
def choosing_room(queries, lists):
    """Scratch arrays for `choose_lists`, for so many queries and lists."""
    chunk = min(_CHUNK, queries)
    return (
        np.empty((chunk, lists), np.int32),
        np.empty(chunk, np.int64),
        np.empty(lists + 1, np.int64),
        np.empty(chunk, np.int64),
        np.empty(_BINS, np.int32),
    )


@njit(**_LEAF)
def choose_lists(l1, centroids, norms, queries, constants, turn, room, lists):
    """The query whose turn it is, and, as keys in `lists`, int64[nprobe], the lists nearest to it.

    centroids: uint8[lists, padded], with norms. queries: uint8[q, padded], constants: int32[q]. turn: from
    0 up to q, one after the other.
    """
    distances, nearest, starts, order, bins = room
    place = turn % _CHUNK
    first = turn - place
    if place == 0:
        end = min(first + _CHUNK, queries.shape[0])
        compare_centroids(l1, centroids, norms, queries, constants, first, end, distances)
        order_by_list(distances, end - first, nearest, starts, order)
    nearest_lists(distances[order[place]], lists, lists.shape[0], bins)
    return first + order[place]


@njit(**_LEAF)
def compare_centroids(l1, centroids, norms, queries, constants, first, end, distances):
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
def order_by_list(distances, count, lists, starts, order):
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
def nearest_lists(distances, pool, limit, bins):
    """The `limit` lists whose centroids are nearest, as keys in pool[:limit], about ascending.

    distances: int32[lists]. bins: int32[_BINS], scratch.
    """
    count = distances.shape[0]
    if limit <= _FEW_LISTS:
        size = 0
        bound = NO_BOUND
        for c in range(count):
            size, bound = offer(pool, size, limit, bound, key_of(distances[c], c))
        return
    # By buckets: lists of one bucket are about as near, and their order does not matter.
    low = distances[0]
    high = distances[0]
    for c in range(count):
        low = min(low, distances[c])
        high = max(high, distances[c])
    shift = np.int32(0)
    while (high - low) >> shift >= _BINS - 1:
        shift += np.int32(1)
    bins[:] = 0
    for c in range(count):
        bins[((distances[c] - low) >> shift) + 1] += 1
    for number in range(1, _BINS):
        bins[number] += bins[number - 1]
    for c in range(count):
        number = (distances[c] - low) >> shift
        place = bins[number]
        bins[number] += 1
        if place < limit:
            pool[place] = key_of(distances[c], c)
