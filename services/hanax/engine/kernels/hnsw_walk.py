"""What building and searching an HNSW graph share: rows are compared, seen once, and kept in a pool.

A walk is best-first search over one layer: Malkov & Yashunin, "Efficient and Robust Approximate Nearest
Neighbor Search Using Hierarchical Navigable Small World Graphs" (TPAMI 2018, arXiv:1603.09320), algorithm 2.
Its two heaps are one ascending pool here (hanax.engine.kernels.pool): candidates are the keys whose bit 0 is
not set, the furthest result is the last key, and the walk ends when every key in the pool has bit 0 set.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from hanax.engine.kernels.distance import distance4
from hanax.engine.kernels.llvm import I8, I32, POINTER, data_pointer, declare, prefetch_line
from hanax.engine.kernels.pool import NO_BOUND, insert_key, key_of

# For functions of a kernel's inner loop: part of their caller, and without reference counts, which would
# cost more than the search. They can't make arrays.
INNER = {"nogil": True, "error_model": "numpy", "forceinline": True, "_nrt": False}

# Links of a node at most: twice the largest m.
WIDEST = 128

# Marked rows that a walk remembers. Its trail has room for WIDEST more.
TRAIL = 16_384

# Lines of a row that are asked for ahead: the processor fetches those that follow by itself.
_LINES_AHEAD = 6


@intrinsic
def exchange(typing, array, place, value):
    """Put `value` at array[place] (int32) as one step; return what was there."""
    signature = types.int32(array, types.int64, types.int32)

    def generate(context, builder, signature, arguments):
        pointer = data_pointer(context, builder, signature.args[0], arguments[0])
        item = builder.gep(pointer, [arguments[1]], source_etype=I32)
        return builder.atomic_rmw("xchg", item, arguments[2], "seq_cst")

    return signature, generate


@intrinsic
def four_bytes(typing, array, offset):
    """The uint32 that begins at byte `offset` of a uint8 array, aligned or not."""
    signature = types.uint32(array, types.int64)

    def generate(context, builder, signature, arguments):
        pointer = data_pointer(context, builder, signature.args[0], arguments[0])
        address = builder.gep(pointer, [arguments[1]], source_etype=I8)
        return builder.load(address, typ=I32, align=1)

    return signature, generate


@intrinsic
def prefetch_byte(typing, array, offset):
    """Ask for the cache line of byte `offset` of an array; harmless past the end."""
    signature = types.void(array, types.int64)

    def generate(context, builder, signature, arguments):
        pointer = data_pointer(context, builder, signature.args[0], arguments[0])
        address = builder.gep(pointer, [arguments[1]], source_etype=I8)
        prefetch = declare(builder, "llvm.prefetch.p0", ir.VoidType(), [POINTER, I32, I32, I32])
        # Read, keep in all levels, data.
        builder.call(prefetch, [address, ir.Constant(I32, 0), ir.Constant(I32, 3), ir.Constant(I32, 1)])
        return context.get_dummy_value()

    return signature, generate


@njit(inline="always")
def mark(seen, row):
    """Note that a row was seen; return 1 if it was not before. Without a branch: nobody could foretell it."""
    word = row >> 6
    bit = np.uint64(1) << np.uint64(row & 63)
    before = seen[word]
    seen[word] = before | bit
    return np.int64((before & bit) == np.uint64(0))


@njit(inline="always")
def trail_place(marked):
    """Where the next marked rows are remembered, at most WIDEST. A full trail is overwritten at its end."""
    return min(marked, np.int64(TRAIL))


@njit(**INNER)
def clear(seen, trail, marked):
    """Take back the marks of one walk, at the cost of what it marked; of all where the trail is full."""
    if marked > TRAIL:
        seen[:] = np.uint64(0)
        return
    for i in range(marked):
        seen[trail[i] >> 6] = np.uint64(0)


@njit(**INNER)
def prefetch_row(rows, row):
    lines = (rows.shape[1] * rows.itemsize + 63) >> 6
    for line in range(min(lines, _LINES_AHEAD)):
        prefetch_line(rows, row, line)


@njit(**INNER)
def compare(l1, rows, norms, queries, query, constant, twist, fresh, count, pool, size, limit):
    """Put the rows fresh[:count] into pool[:size], which holds `limit` keys at most.

    Return the new size and the lowest place that was filled. fresh: int64 with room for three more.
    twist: rows enter the pool as row ^ twist, which decides among equal distances.
    """
    low = limit
    if count == 0:
        return size, low
    bound = pool[limit - 1] if size == limit else NO_BOUND
    for spare in range(count, count + 3):
        fresh[spare] = fresh[count - 1]
    for first in range(0, count, 4):
        distances = distance4(
            l1, rows, norms, fresh[first], fresh[first + 1], fresh[first + 2], fresh[first + 3],
            queries, query, constant,
        )  # fmt: skip
        for i in range(min(4, count - first)):
            key = key_of(distances[i], fresh[first + i] ^ twist)
            if key < bound:
                place = insert_key(pool, size, limit, key)
                low = min(low, place)
                if size < limit:
                    size += 1
                if size == limit:
                    bound = pool[limit - 1]
    return size, low
