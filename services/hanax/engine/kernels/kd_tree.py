"""A k-d tree in implicit arrays: nodes numbered as in a heap, rows in the order of the leaves.

Bentley, "Multidimensional Binary Search Trees Used for Associative Searching", CACM 1975, with leaf buckets
and the bounds-overlap-ball test of Friedman, Bentley & Finkel, ACM TOMS 1977. Node i has children 2 i + 1
and 2 i + 2, and every node halves its rows: all leaves are at one depth, which bounds every stack. A
node keeps the box of its rows, which bounds distances closer than the planes that split.
"""

from __future__ import annotations

import numpy as np
from numba import boolean, float32, int64, njit, types, uint64, void

from hanax.engine.kernels.rescoring import insert_nearest
from hanax.engine.kernels.scan import DOT, L1, tile_distances

# Rows of a node that are looked at to find its widest dimension.
_LOOKED_AT = 1_024
# Boxes and distances are rounded differently: a box is passed over only when it is farther by more than that.
_RELATIVE_SLACK = np.float32(1.0 - 1e-4)
_COSINE_SLACK = np.float32(1e-5)

_vectors_t = types.Array(float32, 2, "C", readonly=True)
_floats_t = types.Array(float32, 1, "C", readonly=True)
_boxes_t = types.Array(float32, 3, "C", readonly=True)
_order_t = types.Array(int64, 1, "C", readonly=True)
_words_t = types.Array(uint64, 1, "C", readonly=True)


@njit(inline="always")
def _component(vectors, inverse_norms, row, dimension):
    """Of the unit vector under cosine."""
    value = vectors[row, dimension]
    if inverse_norms.shape[0] > 0:
        value *= inverse_norms[row]
    return value


@njit(
    int64(_vectors_t, _floats_t, int64[::1], int64, int64),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _widest(vectors, inverse_norms, order, first, after):
    """The dimension in which the rows order[first:after] spread most."""
    stride = max(1, (after - first) // _LOOKED_AT)
    dimensions = vectors.shape[1]
    low = np.full(dimensions, np.inf, np.float32)
    high = np.full(dimensions, -np.inf, np.float32)
    for place in range(first, after, stride):
        for j in range(dimensions):
            value = _component(vectors, inverse_norms, order[place], j)
            low[j] = min(low[j], value)
            high[j] = max(high[j], value)
    return np.argmax(high - low)


@njit(
    void(_vectors_t, _floats_t, int64[::1], int64, int64, int64, int64),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _halve(vectors, inverse_norms, order, first, middle, after, dimension):
    """Permute order[first:after]: no component before `middle` is larger than one from there on.

    Hoare, "Algorithm 65: FIND", CACM 1961. Pivots from a generator of fixed seed: no order of the
    rows makes it slow, and the tree is the same every time.
    """
    low, high = first, after - 1
    state = np.uint64(after - first)
    while low < high:
        state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
        place = low + np.int64((state >> np.uint64(33)) % np.uint64(high - low + 1))
        pivot = _component(vectors, inverse_norms, order[place], dimension)
        i, j = low, high
        while i <= j:
            while _component(vectors, inverse_norms, order[i], dimension) < pivot:
                i += 1
            while _component(vectors, inverse_norms, order[j], dimension) > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if middle <= j:
            high = j
        elif middle >= i:
            low = i
        else:
            return


@njit(
    void(_vectors_t, _floats_t, int64[::1], int64),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def split_level(vectors, inverse_norms, order, level):
    """Halve every node of a level along its widest dimension, by permuting its part of `order`.

    vectors: float32[n, d]. inverse_norms: float32[n] under cosine, else float32[0]. order: int64[n].
    """
    for node in range(1 << level):
        first, after = 0, order.shape[0]
        for bit in range(level - 1, -1, -1):
            middle = first + (after - first) // 2
            if (node >> bit) & 1:
                first = middle
            else:
                after = middle
        if after - first > 1:
            dimension = _widest(vectors, inverse_norms, order, first, after)
            middle = first + (after - first) // 2
            _halve(vectors, inverse_norms, order, first, middle, after, dimension)


@njit(
    void(_vectors_t, _floats_t, _order_t, int64, float32[:, :, ::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def bound(vectors, inverse_norms, order, depth, boxes):
    """Fill boxes, float32[2^(depth + 1) - 1, 2, d]: the least and the largest components of each node."""
    leaves = 1 << depth
    for node in range(boxes.shape[0] - 1, -1, -1):
        box = boxes[node]
        if node < leaves - 1:
            left, right = boxes[2 * node + 1], boxes[2 * node + 2]
            for j in range(box.shape[1]):
                box[0, j] = min(left[0, j], right[0, j])
                box[1, j] = max(left[1, j], right[1, j])
            continue
        first, after = 0, order.shape[0]
        for bit in range(depth - 1, -1, -1):
            middle = first + (after - first) // 2
            if ((node - leaves + 1) >> bit) & 1:
                first = middle
            else:
                after = middle
        box[0] = np.inf
        box[1] = -np.inf
        for place in range(first, after):
            for j in range(box.shape[1]):
                value = _component(vectors, inverse_norms, order[place], j)
                box[0, j] = min(box[0, j], value)
                box[1, j] = max(box[1, j], value)


@njit(
    float32(boolean, _boxes_t, int64, _vectors_t, int64),
    nogil=True,
    cache=True,
    error_model="numpy",
    fastmath={"reassoc", "contract", "nsz"},
)
def _box_distance(l1, boxes, node, queries, q):
    """From a query to the nearest point of a node's box: L1, or squared L2."""
    low, high, query = boxes[node, 0], boxes[node, 1], queries[q]
    total = np.float32(0.0)
    if l1:
        for j in range(query.shape[0]):
            total += max(low[j] - query[j], query[j] - high[j], np.float32(0.0))
    else:
        for j in range(query.shape[0]):
            outside = max(low[j] - query[j], query[j] - high[j], np.float32(0.0))
            total += outside * outside
    return total


@njit(
    void(
        int64, _vectors_t, _order_t, boolean, _floats_t, _boxes_t, int64, _vectors_t, boolean, _words_t,
        float32[:, ::1], int64[:, ::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)  # fmt: skip
def search(
    metric, vectors, order, ordered, inverse_norms, boxes, depth, queries, masked, mask, distances, rows
):
    """The nearest allowed rows of each query, ascending, ties by row; the rest is inf and -1.

    metric, inverse_norms, queries, masked, mask: as for hanax.engine.kernels.scan.scan. vectors:
    float32[n, d], in the order of the leaves when `ordered`. order: int64[n], the row at each place of the
    leaves. boxes: what `bound` made. distances: float32[q, k], rows: int64[q, k].

    The nearer child first, the other when the walk comes back and its box is still near enough.
    """
    limit = distances.shape[1]
    largest = -(-order.shape[0] // (1 << depth))
    room = -(-largest // 4) * 4
    chosen = np.empty(room, np.int64)
    places = np.empty(room, np.int64)
    block = np.empty((1, room), np.float32)
    nodes = np.empty(depth + 2, np.int64)
    firsts = np.empty(depth + 2, np.int64)
    afters = np.empty(depth + 2, np.int64)
    bounds = np.empty(depth + 2, np.float32)
    normed = inverse_norms.shape[0] > 0
    for q in range(queries.shape[0]):
        size = 0
        nodes[0], firsts[0], afters[0], bounds[0] = 0, 0, order.shape[0], 0.0
        waiting = 1
        while waiting > 0:
            waiting -= 1
            node, first, after = nodes[waiting], firsts[waiting], afters[waiting]
            if size == limit:
                reach = distances[q, limit - 1]
                if metric == DOT:
                    # Of unit vectors: |r - q|^2 = 2 - 2 cos.
                    reach = np.float32(2.0) * (np.float32(1.0) + reach) + _COSINE_SLACK
                if bounds[waiting] * _RELATIVE_SLACK > reach:
                    continue
            if node < (1 << depth) - 1:
                middle = first + (after - first) // 2
                left = _box_distance(metric == L1, boxes, 2 * node + 1, queries, q)
                right = _box_distance(metric == L1, boxes, 2 * node + 2, queries, q)
                # The nearer one is put last, and taken next.
                place = waiting if left > right else waiting + 1
                nodes[place] = 2 * node + 1
                firsts[place], afters[place], bounds[place] = first, middle, left
                place = 2 * waiting + 1 - place
                nodes[place] = 2 * node + 2
                firsts[place], afters[place], bounds[place] = middle, after, right
                waiting += 2
                continue
            count = 0
            for place in range(first, after):
                row = order[place]
                if masked and not (mask[row >> 6] >> np.uint64(row & 63)) & np.uint64(1):
                    continue
                places[count] = place
                chosen[count] = place if ordered else row
                count += 1
            if count == 0:
                continue
            tile_distances(metric, vectors, chosen, count, queries, q, False, block)
            for i in range(count):
                row = order[places[i]]
                distance = block[0, i]
                if normed:
                    distance *= inverse_norms[row]
                if size < limit or distance <= distances[q, limit - 1]:
                    size = insert_nearest(distances[q], rows[q], size, distance, row)
        for place in range(size, limit):
            distances[q, place] = np.inf
            rows[q, place] = -1
