"""Building an HNSW graph: Malkov & Yashunin (TPAMI 2018, arXiv:1603.09320), algorithms 1, 2 and 4.

Nodes are the segment's rows. While the graph grows, each node has room for all its links: int32[n, 2m] in
the bottom layer, and one row of int32[u, m] for each layer above that it is part of, the lowest first; -1
follows the last link.

Several threads insert at once: each takes the next node from an atomic counter. A node's links are written
under its lock and read without one: a reader may meet a list half rewritten, where a link is missing or
there twice, which costs it a candidate at worst.
"""

from __future__ import annotations

import numpy as np
from numba import boolean, float32, int32, int64, njit, types, uint8, uint32, uint64, void

from hanax.engine.kernels.distance import distance1, distance4
from hanax.engine.kernels.hnsw_walk import (
    INNER,
    TRAIL,
    WIDEST,
    clear,
    compare,
    exchange,
    mark,
    prefetch_row,
    trail_place,
)
from hanax.engine.kernels.llvm import atomic_add, prefetch_line
from hanax.engine.kernels.pool import distance_of, key_of, row_of

_ints_t = types.Array(int32, 1, "C", readonly=True)
_levels_t = types.Array(uint8, 1, "C", readonly=True)
_links_t = int32[:, ::1]


def _insert_signature(component):
    rows = types.Array(component, 2, "C", readonly=True)
    return void(
        boolean, rows, _ints_t, _ints_t, _ints_t, _levels_t, _ints_t, _links_t, _links_t,
        int32[::1], int64[::1], uint64[::1], int64, int64, int64,
    )  # fmt: skip


# An owner's links to rows at no distance fill at most this part of its list: a crowd of equal vectors
# stays joined to the rest of the graph.
_EQUALS_SHARE = 4

# Odd, so that neighbouring rows order equal distances differently.
_TWIST = np.int64(0x9E3779B1)
_ROW_BITS = np.int64(0x7FFFFFFF)


@njit(**INNER)
def _twist_of(row):
    """Which of the rows at one distance come first is another draw for each owner.

    Without it equal vectors would all be linked to the lowest of them, and the others to none.
    """
    return (row * _TWIST >> np.int64(7)) & _ROW_BITS


@njit(**INNER)
def _place(firsts, node, layer):
    """The row of a layer's matrix that holds the node's links."""
    return node if layer == 0 else np.int64(firsts[node]) + layer - 1


@njit(**INNER)
def _descend(l1, rows, norms, constants, firsts, links, layer, node, entry, near):
    """Go to the neighbour nearest to `node` until there is none nearer: algorithm 2 with ef = 1."""
    moved = True
    while moved:
        moved = False
        place = _place(firsts, entry, layer)
        for j in range(links.shape[1]):
            other = np.int64(links[place, j])
            if other < 0:
                break
            distance = distance1(l1, rows, norms, other, rows, node, constants[node])
            if distance < near:
                near = distance
                entry = other
                moved = True
    return entry, near


@njit(**INNER)
def _walk(l1, rows, norms, constants, firsts, links, layer, node, pool, size, limit, seen, trail, fresh):
    """Algorithm 2: from the keys in pool[:size] to the nodes of a layer that are nearest to `node`."""
    twist = _twist_of(node)
    trail[0] = node
    marked = mark(seen, node)
    for i in range(size):
        trail[marked] = row_of(pool[i]) ^ twist
        marked += mark(seen, trail[marked])
    at = np.int64(0)
    while at < size:
        place = _place(firsts, row_of(pool[at]) ^ twist, layer)
        pool[at] |= np.int64(1)
        trailed = trail_place(marked)
        count = np.int64(0)
        for j in range(links.shape[1]):
            other = np.int64(links[place, j])
            if other < 0:
                break
            prefetch_row(rows, other)
            fresh[count] = other
            trail[trailed + count] = other
            count += mark(seen, other)
        marked += count
        size, low = compare(
            l1, rows, norms, rows, node, constants[node], twist, fresh, count, pool, size, limit
        )
        at = min(at, low)
        while at < size and pool[at] & np.int64(1):
            at += 1
        if at < size:
            place = _place(firsts, row_of(pool[at]) ^ twist, layer)
            prefetch_line(links, place, 0)
            prefetch_line(links, place, 1)
    clear(seen, trail, marked)
    return size


@njit(**INNER)
def _look_past_equals(l1, rows, norms, constants, firsts, links, layer, node, pool, size, limit, fresh):
    """Where the whole pool is equal to the node, make room in it for the links of one of them.

    Else a node that many are equal to would have no link to any other.
    """
    if size < limit or distance_of(pool[size - 1]) != 0:
        return size
    twist = _twist_of(node)
    twin = row_of(pool[0]) ^ twist
    place = _place(firsts, twin, layer)
    count = np.int64(0)
    while count < links.shape[1] and links[place, count] >= 0:
        fresh[count] = links[place, count]
        count += 1
    size = max(np.int64(1), limit - count)
    size, _ = compare(l1, rows, norms, rows, node, constants[node], twist, fresh, count, pool, size, limit)
    return size


@njit(**INNER)
def _select(l1, rows, norms, constants, owner, pool, size, limit, chosen):
    """Algorithm 4: of pool[:size], ascending, the rows that are nearer to the owner than to a chosen one.

    Neither candidates' neighbours nor rejected candidates are added. Return their number.
    """
    count = 0
    twist = _twist_of(owner)
    equals = max(1, limit // _EQUALS_SHARE)
    for i in range(size):
        if count == limit:
            break
        distance = distance_of(pool[i])
        row = row_of(pool[i]) ^ twist
        if row == owner or (i > 0 and row_of(pool[i]) == row_of(pool[i - 1])):
            continue
        if distance == 0:
            if equals == 0:
                continue
            equals -= 1
        apart = True
        j = 0
        while j < count:
            last = count - 1
            a, b, c, d = distance4(
                l1, rows, norms,
                chosen[j], chosen[min(j + 1, last)], chosen[min(j + 2, last)], chosen[min(j + 3, last)],
                rows, row, constants[row],
            )  # fmt: skip
            if min(a, b, c, d) < distance:
                apart = False
                break
            j += 4
        if apart:
            chosen[count] = row
            count += 1
    return count


@njit(**INNER)
def _link_back(l1, rows, norms, constants, links, place, owner, node, pool, chosen, fresh):
    """Add `node` to its neighbour's links; a full list is selected anew (algorithm 1, lines 13 to 16)."""
    limit = links.shape[1]
    count = 0
    while count < limit and links[place, count] >= 0:
        if links[place, count] == node:
            return
        fresh[count] = links[place, count]
        count += 1
    if count < limit:
        links[place, count] = node
        return
    fresh[count] = node
    twist = _twist_of(owner)
    size, _ = compare(
        l1, rows, norms, rows, owner, constants[owner], twist, fresh, limit + 1, pool, np.int64(0), limit + 1
    )
    kept = _select(l1, rows, norms, constants, owner, pool, size, limit, chosen)
    for j in range(kept):
        links[place, j] = chosen[j]
    for j in range(kept, limit):
        links[place, j] = -1


@njit(**INNER)
def _lock(locks, node):
    while exchange(locks, node, np.int32(1)) != 0:
        pass


@njit(**INNER)
def _unlock(locks, node):
    exchange(locks, node, np.int32(0))


@njit(
    [_insert_signature(uint8), _insert_signature(float32)],
    nogil=True,
    cache=True,
    error_model="numpy",
)
def insert_nodes(
    l1, rows, norms, constants, order, levels, firsts, bottom, upper, locks, counter, seen, entry, ef, share
):
    """Algorithm 1 for the next `share` nodes that no other thread has taken.

    l1, rows, norms, constants: hanax.engine.kernels.distance, of all n nodes. levels: uint8[n], the highest
    layer of each. firsts: int32[n], its first row in `upper`. bottom: int32[n, 2m], upper: int32[u, m],
    locks: int32[n], zeros at first. counter: int64[1], nodes taken; they enter in
    `order`, int32[n], but for `entry`, which is in the graph from the start. seen: uint64[ceil(n / 64)],
    this thread's own, zeros. entry: a node of the highest level. ef: nodes kept in mind (efConstruction).
    """
    count = rows.shape[0]
    widest = bottom.shape[1]
    pool = np.empty(max(ef, widest) + 1, np.int64)
    again = np.empty(widest + 2, np.int64)
    fresh = np.empty(widest + 4, np.int64)
    chosen = np.empty(widest, np.int64)
    trail = np.empty(TRAIL + WIDEST, np.int32)
    top = np.int64(levels[entry])
    selected = np.empty((top + 1, upper.shape[1]), np.int64)
    linked = np.empty(top + 1, np.int64)
    for _ in range(share):
        taken = atomic_add(counter, 0, 1)
        if taken >= count:
            return
        node = np.int64(order[taken])
        if node == entry:
            continue
        level = np.int64(levels[node])
        twist = _twist_of(node)
        nearest = entry
        near = distance1(l1, rows, norms, nearest, rows, node, constants[node])
        for layer in range(top, level, -1):
            nearest, near = _descend(l1, rows, norms, constants, firsts, upper, layer, node, nearest, near)
        pool[0] = key_of(near, nearest ^ twist)
        size = np.int64(1)
        for layer in range(level, -1, -1):
            links = bottom if layer == 0 else upper
            for i in range(size):
                pool[i] &= ~np.int64(1)
            size = _walk(
                l1, rows, norms, constants, firsts, links, layer, node, pool, size, ef, seen, trail, fresh
            )
            size = _look_past_equals(
                l1, rows, norms, constants, firsts, links, layer, node, pool, size, ef, fresh
            )
            linked[layer] = _select(
                l1, rows, norms, constants, node, pool, size, upper.shape[1], selected[layer]
            )
        # From the bottom up: whoever meets the node in one layer finds its links in the layer below.
        for layer in range(level + 1):
            links = bottom if layer == 0 else upper
            place = _place(firsts, node, layer)
            _lock(locks, node)
            for j in range(linked[layer]):
                links[place, j] = selected[layer, j]
            _unlock(locks, node)
            for j in range(linked[layer]):
                owner = selected[layer, j]
                place = _place(firsts, owner, layer)
                _lock(locks, owner)
                _link_back(l1, rows, norms, constants, links, place, owner, node, again, chosen, fresh)
                _unlock(locks, owner)


@njit(
    void(_links_t, int64, types.Array(uint32, 1, "C", readonly=True), uint8[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def pack_links(links, width, offsets, packed):
    """Write each node's links one after the other, `width` bytes each, the lowest byte first.

    offsets: uint32[n + 1], links before each node's. packed: uint8[offsets[n] * width or more].
    """
    for node in range(links.shape[0]):
        at = np.int64(offsets[node]) * width
        for j in range(np.int64(offsets[node + 1]) - np.int64(offsets[node])):
            link = links[node, j]
            for byte in range(width):
                packed[at] = np.uint8((link >> (8 * byte)) & 255)
                at += 1
