"""Exact comparison of some rows, by int8 codes, with many queries.

64 rows at a time are laid out for the processor: a tile has their components 0 to 3 side by side, then 4
to 7. One instruction adds four products for each of 16 rows, and no sum has to be folded in the end. A tile
stays in the first cache while all queries look at it. Laying it out takes as long as ten comparisons with it:
few queries are better off with `hanax.engine.kernels.distance`, whose integers are the same.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import boolean, int32, int64, njit, types, uint8, void
from numba.extending import intrinsic

from hanax.engine.kernels import cpu
from hanax.engine.kernels.llvm import (
    I8,
    I16,
    I32,
    I64,
    data_pointer,
    declare,
    prefetch_line,
    row_bytes,
    row_pointer,
    trailing_zeros,
)
from hanax.engine.kernels.pool import distance_of, insert_key, key_of, row_of

# Fewer are faster without tiles.
FEWEST_QUERIES = 12
# Rows of a tile: a bit for each fits into a word.
TILE = 64
_GROUPS = TILE // 16
_BYTES = ir.VectorType(I8, 64)
_INTS = ir.VectorType(I32, 16)
# In each of four bytes: from 0 .. 255 to -128 .. 127.
_MINUS_128 = 0x80808080
_FARTHEST = np.int32(2_147_483_647)

_codes_t = types.Array(uint8, 2, "C", readonly=True)
_ints_t = types.Array(int32, 1, "C", readonly=True)
_rows_t = types.Array(int64, 1, "C", readonly=True)


def _add_products(builder, total, unsigned, signed):
    """total, <16 x i32>, plus the products of each four neighbours of <64 x i8>, added up."""
    if cpu.AVX512:
        multiply = declare(builder, "llvm.x86.avx512.vpdpbusd.512", _INTS, [_INTS, _BYTES, _BYTES])
        return builder.call(multiply, [total, unsigned, signed])
    shorts, wide = ir.VectorType(I16, 64), ir.VectorType(I32, 64)
    # A product fits into 16 bits.
    products = builder.sext(builder.mul(builder.zext(unsigned, shorts), builder.sext(signed, shorts)), wide)
    for first in range(4):
        places = ir.Constant(_INTS, list(range(first, 64, 4)))
        total = builder.add(total, builder.shuffle_vector(products, ir.Constant(wide, ir.Undefined), places))
    return total


def _dot_step(builder, row, query, total):
    """total + row * (query - 128)."""
    return _add_products(builder, total, row, query)


def _l1_step(builder, row, query, total):
    less = declare(builder, "llvm.usub.sat.v64i8", _BYTES, [_BYTES] * 2)
    # One of the two is zero.
    differences = builder.or_(builder.call(less, [row, query]), builder.call(less, [query, row]))
    return _add_products(builder, total, differences, ir.Constant(_BYTES, [1] * 64))


def _spread(builder, number):
    """<16 x i32> of one i32."""
    undefined = ir.Constant(_INTS, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(I32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(_INTS, [0] * 16))


def _sums(builder, step, twist, tile, query, width):
    """The loop over each four components: four times <16 x i32>."""
    entry = builder.basic_block
    loop, done = builder.append_basic_block("tile.loop"), builder.append_basic_block("tile.done")
    builder.branch(loop)
    builder.position_at_end(loop)
    offset = builder.phi(I64)
    offset.add_incoming(ir.Constant(I64, 0), entry)
    totals = [builder.phi(_INTS) for _ in range(_GROUPS)]
    four = builder.load(builder.gep(query, [offset], source_etype=I8), typ=I32, align=4)
    # Before it is spread: LLVM 22 never ends when it finds the same done to all bytes of a spread number.
    four = builder.xor(four, ir.Constant(I32, twist))
    asked = builder.bitcast(_spread(builder, four), _BYTES)
    base = builder.gep(tile, [builder.mul(offset, ir.Constant(I64, TILE))], source_etype=I8)
    following = builder.add(offset, ir.Constant(I64, 4))
    sums = []
    for group, total in enumerate(totals):
        address = builder.gep(base, [ir.Constant(I64, 64 * group)], source_etype=I8)
        row = builder.load(address, typ=_BYTES, align=1)
        sums.append(step(builder, row, asked, total))
    for total, summed in zip(totals, sums, strict=True):
        total.add_incoming(ir.Constant(_INTS, None), entry)
        total.add_incoming(summed, loop)
    offset.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, width), loop, done)
    builder.position_at_end(done)
    return sums


def _vectors_at(builder, pointer):
    """The places of four vectors of int32 that follow one another."""
    return [
        builder.bitcast(
            builder.gep(pointer, [ir.Constant(I64, 64 * group)], source_etype=I8), _INTS.as_pointer()
        )
        for group in range(_GROUPS)
    ]


@intrinsic
def compare_tile(typing, l1, tile, norms, queries, query, constant, distances, bound):
    """distances[:64] = those of a tile's rows, int32; return a bit for each below `bound`, as uint64.

    tile: uint8[width / 4, 256]. norms: int32[64]. The rest as in hanax.engine.kernels.distance.
    """
    signature = types.uint64(
        types.boolean, tile, norms, queries, types.int64, types.int32, distances, types.int32
    )

    def generate(context, builder, signature, arguments):
        l1, tile, norms, queries, query, constant, distances, bound = arguments
        pointer = data_pointer(context, builder, signature.args[1], tile)
        asked = row_pointer(context, builder, signature.args[3], queries, query)
        width = row_bytes(context, builder, signature.args[3], queries)
        outs = _vectors_at(builder, data_pointer(context, builder, signature.args[6], distances))
        with builder.if_else(l1) as (then, otherwise):
            with then:
                for out, total in zip(outs, _sums(builder, _l1_step, 0, pointer, asked, width), strict=True):
                    builder.store(total, out, align=4)
            with otherwise:
                own = _vectors_at(builder, data_pointer(context, builder, signature.args[2], norms))
                constants = _spread(builder, constant)
                twice = ir.Constant(_INTS, [1] * 16)
                sums = _sums(builder, _dot_step, _MINUS_128, pointer, asked, width)
                for out, norm, total in zip(outs, own, sums, strict=True):
                    length = builder.add(builder.load(norm, typ=_INTS, align=4), constants)
                    builder.store(builder.sub(length, builder.shl(total, twice)), out, align=4)
        bounds = _spread(builder, bound)
        bits = ir.Constant(I64, 0)
        for group, out in enumerate(outs):
            near = builder.icmp_signed("<", builder.load(out, typ=_INTS, align=4), bounds)
            wide = builder.zext(builder.bitcast(near, I16), I64)
            bits = builder.or_(bits, builder.shl(wide, ir.Constant(I64, 16 * group)))
        return bits

    return signature, generate


@njit(nogil=True, error_model="numpy", _nrt=False)
def _lay_out(codes, norms, chosen, first, count, tile, tile_norms):
    """Rows chosen[first : first + count] as a tile; what the rest of it holds does not matter."""
    lines = codes.shape[1] >> 6
    for lane in range(count):
        row = chosen[first + lane]
        if first + lane + TILE < chosen.shape[0]:
            for line in range(lines):
                prefetch_line(codes, chosen[first + lane + TILE], line)
        tile_norms[lane] = norms[row]
        for step in range(tile.shape[0]):
            for j in range(4):
                tile[step, 4 * lane + j] = codes[row, 4 * step + j]


@njit(
    void(boolean, _codes_t, _ints_t, _codes_t, _ints_t, _rows_t, _rows_t, int64[:, ::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def scan_tiles(l1, codes, norms, queries, constants, chosen, asked, candidates):
    """The nearest of the rows `chosen`, int64[m], to some queries, their numbers in `asked`.

    l1, codes, norms, queries, constants: hanax.engine.kernels.distance. candidates: int64[q, c]: ascending,
    ties in the order of `chosen`, which ascends; -1 after the last.
    """
    limit = candidates.shape[1]
    tile = np.zeros((codes.shape[1] // 4, 4 * TILE), np.uint8)
    tile_norms = np.zeros(TILE, np.int32)
    distances = np.empty(TILE, np.int32)
    for first in range(0, chosen.shape[0], TILE):
        count = min(np.int64(TILE), chosen.shape[0] - first)
        _lay_out(codes, norms, chosen, first, count, tile, tile_norms)
        filled = ~np.uint64(0) >> np.uint64(TILE - count)
        known = min(np.int64(first), limit)
        for i in range(asked.shape[0]):
            query = asked[i]
            pool = candidates[query]
            size = known
            bound = distance_of(pool[limit - 1]) if size == limit else _FARTHEST
            near = compare_tile(l1, tile, tile_norms, queries, query, constants[query], distances, bound)
            near &= filled
            while near != np.uint64(0):
                lane = trailing_zeros(near)
                near &= near - np.uint64(1)
                if distances[lane] < bound:
                    insert_key(pool, size, limit, key_of(distances[lane], chosen[first + lane]))
                    size = min(size + 1, limit)
                    if size == limit:
                        bound = distance_of(pool[limit - 1])
    size = min(chosen.shape[0], limit)
    for i in range(asked.shape[0]):
        pool = candidates[asked[i]]
        for place in range(limit):
            pool[place] = row_of(pool[place]) if place < size else -1
