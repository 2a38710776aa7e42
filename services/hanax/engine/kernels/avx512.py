"""Distances of rows to a query with AVX-512 and VNNI instructions (see `cpu`).

Codes are uint8 rows, padded with 128 to a multiple of 64: `vpdpbusd` multiplies 64 unsigned by 64 signed
bytes and adds them up in groups of four, so the query's codes have 128 taken off on the way.
Vectors are float32 rows, padded with zeros to a multiple of 16.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from hanax.engine.kernels.llvm import F32, I8, I32, I64, declare, row_bytes, row_pointer

_FLOATS = ir.VectorType(F32, 16)
_INTS = ir.VectorType(I32, 16)
_LONGS = ir.VectorType(I64, 8)
_BYTES = ir.VectorType(I8, 64)
_STEP = 64


def _load(builder, pointer, vector_type, offset):
    address = builder.gep(pointer, [offset], source_etype=I8)
    return builder.load(address, typ=vector_type, align=1)


def _dot_step(builder, query, row, total):
    multiply = declare(builder, "llvm.x86.avx512.vpdpbusd.512", _INTS, [_INTS, _BYTES, _BYTES])
    signed = builder.xor(query, ir.Constant(_BYTES, [-128] * 64))
    return builder.call(multiply, [total, row, signed])


def _byte_l1_step(builder, query, row, total):
    sum_differences = declare(builder, "llvm.x86.avx512.psad.bw.512", _LONGS, [_BYTES, _BYTES])
    return builder.add(total, builder.call(sum_differences, [query, row]))


def _squared_l2_step(builder, query, row, total):
    fused = declare(builder, "llvm.fma.v16f32", _FLOATS, [_FLOATS] * 3)
    difference = builder.fsub(query, row)
    return builder.call(fused, [difference, difference, total])


def _l1_step(builder, query, row, total):
    magnitude = declare(builder, "llvm.fabs.v16f32", _FLOATS, [_FLOATS])
    return builder.fadd(total, builder.call(magnitude, [builder.fsub(query, row)]))


def _sum_ints(builder, total):
    return builder.call(declare(builder, "llvm.vector.reduce.add.v16i32", I32, [_INTS]), [total])


def _sum_longs(builder, total):
    summed = builder.call(declare(builder, "llvm.vector.reduce.add.v8i64", I64, [_LONGS]), [total])
    return builder.trunc(summed, I32)


def _sum_floats(builder, total):
    """As the bits of the sum, which keep the order."""
    add = declare(builder, "llvm.vector.reduce.fadd.v16f32", F32, [F32, _FLOATS])
    summed = builder.call(add, [ir.Constant(F32, 0.0), total], fastmath=("reassoc",))
    return builder.bitcast(summed, I32)


def _sums(builder, pointers, query, size, form):
    """One pass over the query with every row beside it: the loop that all forms share."""
    vector_type, total_type, step, finish = form
    entry = builder.basic_block
    loop = builder.append_basic_block("distance.loop")
    done = builder.append_basic_block("distance.done")
    builder.branch(loop)
    builder.position_at_end(loop)
    offset = builder.phi(I64)
    offset.add_incoming(ir.Constant(I64, 0), entry)
    totals = [builder.phi(total_type) for _ in pointers]
    piece = _load(builder, query, vector_type, offset)
    sums = [
        step(builder, piece, _load(builder, pointer, vector_type, offset), total)
        for pointer, total in zip(pointers, totals, strict=True)
    ]
    following = builder.add(offset, ir.Constant(I64, _STEP))
    offset.add_incoming(following, loop)
    for total, summed in zip(totals, sums, strict=True):
        total.add_incoming(ir.Constant(total_type, None), entry)
        total.add_incoming(summed, loop)
    builder.cbranch(builder.icmp_signed("<", following, size), loop, done)
    builder.position_at_end(done)
    return [finish(builder, summed) for summed in sums]


_DOT = (_BYTES, _INTS, _dot_step, _sum_ints)
_BYTE_L1 = (_BYTES, _LONGS, _byte_l1_step, _sum_longs)
_SQUARED_L2 = (_FLOATS, _FLOATS, _squared_l2_step, _sum_floats)
_L1 = (_FLOATS, _FLOATS, _l1_step, _sum_floats)


def _intrinsic(form, rows):
    """`rows` sums as int32: (matrix, row numbers..., queries, query number) -> int32 or a tuple of them."""

    def generate(context, builder, signature, arguments):
        matrix, numbers = arguments[0], arguments[1 : 1 + rows]
        queries, query = arguments[1 + rows], arguments[2 + rows]
        pointers = [row_pointer(context, builder, signature.args[0], matrix, number) for number in numbers]
        query_pointer = row_pointer(context, builder, signature.args[1 + rows], queries, query)
        size = row_bytes(context, builder, signature.args[1 + rows], queries)
        sums = _sums(builder, pointers, query_pointer, size, form)
        return cgutils.pack_array(builder, sums) if rows > 1 else sums[0]

    if rows == 1:

        @intrinsic
        def one(typing, matrix, a, queries, query):
            return types.int32(matrix, types.int64, queries, types.int64), generate

        return one

    @intrinsic
    def four(typing, matrix, a, b, c, d, queries, query):
        rows = [types.int64] * 4
        return types.UniTuple(types.int32, 4)(matrix, *rows, queries, types.int64), generate

    return four


dot1, dot4 = _intrinsic(_DOT, 1), _intrinsic(_DOT, 4)
byte_l1_1, byte_l1_4 = _intrinsic(_BYTE_L1, 1), _intrinsic(_BYTE_L1, 4)
squared_l2_1, squared_l2_4 = _intrinsic(_SQUARED_L2, 1), _intrinsic(_SQUARED_L2, 4)
l1_1, l1_4 = _intrinsic(_L1, 1), _intrinsic(_L1, 4)
