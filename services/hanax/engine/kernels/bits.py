"""One bit a component: signs as codes, and the rows whose codes differ least from a query's."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import boolean, float32, int64, njit, types, uint64, void
from numba.extending import intrinsic

from hanax.engine.kernels.llvm import I8, I32, I64, data_pointer, declare, row_pointer, trailing_zeros
from hanax.engine.kernels.pool import key_of, row_of

# Rows of a block of codes. A vector register holds one word of each.
BLOCK_ROWS = 8
# Blocks that stay in the cache while the queries of a batch look at them.
_NEAR_BLOCKS = 64

_LONGS = ir.VectorType(I64, BLOCK_ROWS)

_vectors_t = types.Array(float32, 2, "C", readonly=True)
_mean_t = types.Array(float32, 1, "C", readonly=True)
_codes_t = types.Array(uint64, 3, "C", readonly=True)
_signs_t = types.Array(uint64, 2, "C", readonly=True)
_words_t = types.Array(uint64, 1, "C", readonly=True)


@njit(void(_vectors_t, _mean_t, uint64[:, ::1]), nogil=True, cache=True, error_model="numpy")
def signs(vectors, mean, words):
    """Bit j of a row's words: vectors[i, j] > mean[j]. float32[n, w], uint64[n, ceil(w / 64)]."""
    width = vectors.shape[1]
    for i in range(vectors.shape[0]):
        row = vectors[i]
        for place in range(words.shape[1]):
            start = place * 64
            word = np.uint64(0)
            for j in range(min(64, width - start)):
                word |= np.uint64(row[start + j] > mean[start + j]) << np.uint64(j)
            words[i, place] = word


def _spread(builder, number):
    undefined = ir.Constant(_LONGS, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(I32, 0))
    zeros = ir.Constant(ir.VectorType(I32, BLOCK_ROWS), [0] * BLOCK_ROWS)
    return builder.shuffle_vector(first, undefined, zeros)


@intrinsic
def _hamming(typing, codes, block, queries, query, bound, out):
    """Differing bits of each row of a block, into out (int64[8]). Bit i of the result: row i has fewer
    than bound.

    LLVM counts bits in the way that the processor has: VPOPCNTQ, or a table of nibbles.
    """
    signature = types.uint64(codes, types.int64, queries, types.int64, types.int64, out)

    def generate(context, builder, signature, arguments):
        codes, block, queries, query, bound, out = arguments
        pointer = row_pointer(context, builder, signature.args[0], codes, block)
        asked = row_pointer(context, builder, signature.args[2], queries, query)
        array = context.make_array(signature.args[2])(context, builder, queries)
        words = builder.extract_value(array.shape, 1)
        count_bits = declare(builder, "llvm.ctpop.v8i64", _LONGS, [_LONGS])
        entry = builder.basic_block
        loop = builder.append_basic_block("hamming.loop")
        done = builder.append_basic_block("hamming.done")
        builder.branch(loop)
        builder.position_at_end(loop)
        word, total = builder.phi(I64), builder.phi(_LONGS)
        word.add_incoming(ir.Constant(I64, 0), entry)
        total.add_incoming(ir.Constant(_LONGS, None), entry)
        offset = builder.shl(word, ir.Constant(I64, 6))
        rows = builder.load(builder.gep(pointer, [offset], source_etype=I8), typ=_LONGS, align=8)
        one = builder.load(builder.gep(asked, [word], source_etype=I64), typ=I64, align=8)
        counts = builder.call(count_bits, [builder.xor(rows, _spread(builder, one))])
        summed = builder.add(total, counts)
        following = builder.add(word, ir.Constant(I64, 1))
        word.add_incoming(following, loop)
        total.add_incoming(summed, loop)
        builder.cbranch(builder.icmp_signed("<", following, words), loop, done)
        builder.position_at_end(done)
        target = data_pointer(context, builder, signature.args[5], out)
        builder.store(summed, builder.bitcast(target, _LONGS.as_pointer()), align=8)
        near = builder.icmp_signed("<", summed, _spread(builder, bound))
        return builder.zext(builder.bitcast(near, I8), I64)

    return signature, generate


@njit(
    int64(int64[::1], int64, int64),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _drop_far(pool, size, bound):
    """Keep the keys whose distance is at most bound; return their number."""
    kept = 0
    for place in range(size):
        if pool[place] >> 32 <= bound:
            pool[kept] = pool[place]
            kept += 1
    return kept


@njit(
    void(_codes_t, int64, _signs_t, boolean, _words_t, int64[:, ::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def scan_bits(codes, count, queries, masked, mask, candidates):
    """Fill candidates, int64[q, c], with the rows that differ least, of equal ones the lower; then -1.

    codes: uint64[ceil(count / 8), words, 8], word w of row 8 b + i at [b, w, i]. queries: uint64[q, words].
    masked, mask: as for hanax.engine.kernels.scan.scan.

    A histogram of the distances kept tells the bound below which a row is among the c nearest, so
    that keeping one is a step of constant cost; those that the bound has passed are dropped when room ends.
    """
    limit = candidates.shape[1]
    asked = queries.shape[0]
    distances = np.empty(BLOCK_ROWS, np.int64)
    most = queries.shape[1] * 64
    histograms = np.zeros((asked, most + 2), np.int64)
    pools = np.empty((asked, 2 * limit), np.int64)
    sizes = np.zeros(asked, np.int64)
    # Keys at distances up to the bound; limit of them, once that many were seen.
    within = np.zeros(asked, np.int64)
    bounds = np.full(asked, most + 1, np.int64)
    for start in range(0, codes.shape[0], _NEAR_BLOCKS):
        for q in range(asked):
            histogram = histograms[q]
            pool = pools[q]
            size = sizes[q]
            bound = bounds[q]
            for block in range(start, min(start + _NEAR_BLOCKS, codes.shape[0])):
                allowed = np.uint64(255)
                first = block * BLOCK_ROWS
                if masked:
                    allowed = (mask[first >> 6] >> np.uint64(first & 63)) & np.uint64(255)
                    if allowed == np.uint64(0):
                        continue
                near = _hamming(codes, block, queries, q, bound, distances) & allowed
                while near != np.uint64(0):
                    i = trailing_zeros(near)
                    near &= near - np.uint64(1)
                    distance = distances[i]
                    if distance >= bound or first + i >= count:
                        continue
                    if size == 2 * limit:
                        size = _drop_far(pool, size, bound)
                    pool[size] = key_of(distance, first + i)
                    size += 1
                    histogram[distance] += 1
                    within[q] += 1
                    # One key more than those nearer than the bound: with limit of these, it moves down.
                    while within[q] - histogram[bound] >= limit:
                        within[q] -= histogram[bound]
                        bound -= 1
            sizes[q] = size
            bounds[q] = bound
    for q in range(asked):
        bound = bounds[q]
        # Of those at the bound the first are taken, which are the lower rows.
        at_bound = limit - (within[q] - histograms[q, bound])
        filled = 0
        for place in range(sizes[q]):
            distance = pools[q, place] >> 32
            if distance < bound or (distance == bound and at_bound > 0):
                at_bound -= distance == bound
                candidates[q, filled] = row_of(pools[q, place])
                filled += 1
        candidates[q, filled:] = -1
