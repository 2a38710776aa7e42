"""Distances between rows and queries as integers that keep the order, in the form that suits the processor.

Indexes measure in L2, squared, or in L1 (hanax.engine.index.space). Rows and queries are either

- codes: uint8[n, width], width a multiple of 64, padded with 128. A code c stands for c - 128.
  `norms`, int32[n], holds the sum of (c - 128)^2 of each row. The distance is exact in integers.
- vectors: float32[n, width], width a multiple of 16, padded with zeros. `norms` is empty.
  The distance is the bits of a float32 from 0 up.

`constants`, int32[q], holds sum((c - 128)^2) + 256 sum(c - 128) of each query's codes: the products are
made of rows without their 128 taken off. Floats need none.

Both are intrinsics: a compiled function would be called, with ten arguments for each array and its
reference counted, for more time than the distance takes.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from hanax.engine.kernels import avx512, cpu, plain
from hanax.engine.kernels.llvm import F32, I8, I32, I64, data_pointer, declare, row_bytes, row_pointer

form = avx512 if cpu.AVX512 else plain

_FLOATS = ir.VectorType(F32, 16)
_STEP_BYTES = 64


def _squared_l2_step(builder, query, row, total):
    multiply_add = declare(builder, "llvm.fmuladd.v16f32", _FLOATS, [_FLOATS] * 3)
    difference = builder.fsub(query, row)
    return builder.call(multiply_add, [difference, difference, total])


def _l1_step(builder, query, row, total):
    magnitude = declare(builder, "llvm.fabs.v16f32", _FLOATS, [_FLOATS])
    return builder.fadd(total, builder.call(magnitude, [builder.fsub(query, row)]))


def _sum_four(builder, totals):
    """The lanes of each of four vectors added up, together: int32 or float[4]."""
    a, b, c, d = totals
    lanes = a.type.count
    pieces = range(0, lanes, 4)
    low = [place for piece in pieces for place in (piece, lanes + piece, piece + 1, lanes + piece + 1)]
    high = [place + 2 for place in low]
    ab, cd = (_add(builder, _mix(builder, p, q, low), _mix(builder, p, q, high)) for p, q in ((a, b), (c, d)))
    low = [place for piece in pieces for place in (piece, piece + 1, lanes + piece, lanes + piece + 1)]
    high = [place + 2 for place in low]
    # Each run of four lanes has a part of the sums of a, b, c and d now.
    parts = _add(builder, _mix(builder, ab, cd, low), _mix(builder, ab, cd, high))
    while lanes > 4:
        lanes //= 2
        halves = (
            _mix(builder, parts, parts, [start + place for place in range(lanes)]) for start in (0, lanes)
        )
        parts = _add(builder, *halves)
    return parts


def _mix(builder, left, right, places):
    return builder.shuffle_vector(left, right, ir.Constant(ir.VectorType(I32, len(places)), places))


def _add(builder, left, right):
    return (builder.fadd if left.type.element == F32 else builder.add)(left, right)


def _results(builder, totals):
    """What each vector adds up to, as int32; of floats, the bits. One row takes the way of four, so that a
    distance does not depend on its company.
    """
    ints = ir.VectorType(I32, 16)
    if totals[0].type.element == I64:
        # Sums of bytes: the upper halves are zero.
        totals = [builder.bitcast(total, ints) for total in totals]
    four = totals if len(totals) == 4 else totals * 4
    sums = builder.bitcast(_sum_four(builder, four), ir.VectorType(I32, 4))
    return [builder.extract_element(sums, ir.Constant(I32, number)) for number in range(len(totals))]


def _load(builder, pointer, vector_type, offset):
    address = builder.gep(pointer, [offset], source_etype=I8)
    return builder.load(address, typ=vector_type, align=1)


def _sums(builder, pointers, query, size, steps):
    """One pass over the query with every row beside it."""
    vector_type, total_type, step = steps
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
    following = builder.add(offset, ir.Constant(I64, _STEP_BYTES))
    offset.add_incoming(following, loop)
    for total, summed in zip(totals, sums, strict=True):
        total.add_incoming(ir.Constant(total_type, None), entry)
        total.add_incoming(summed, loop)
    builder.cbranch(builder.icmp_signed("<", following, size), loop, done)
    builder.position_at_end(done)
    return _results(builder, sums)


def _generate(context, builder, signature, arguments):
    """l1, rows, norms, row numbers..., queries, query number, constant -> int32, or a tuple of them."""
    l1, rows, norms, *numbers, queries, query, constant = arguments
    rows_type, norms_type, queries_type = signature.args[1], signature.args[2], signature.args[-3]
    pointers = [row_pointer(context, builder, rows_type, rows, number) for number in numbers]
    query_pointer = row_pointer(context, builder, queries_type, queries, query)
    size = row_bytes(context, builder, queries_type, queries)
    coded = rows_type.dtype == types.uint8
    l1_steps = (form.BYTES, form.L1_TOTAL, form.l1_step) if coded else (_FLOATS, _FLOATS, _l1_step)
    l2_steps = (form.BYTES, form.DOT_TOTAL, form.dot_step) if coded else (_FLOATS, _FLOATS, _squared_l2_step)
    results = [cgutils.alloca_once(builder, I32) for _ in numbers]
    with builder.if_else(l1) as (then, otherwise):
        with then:
            sums = _sums(builder, pointers, query_pointer, size, l1_steps)
            for result, summed in zip(results, sums, strict=True):
                builder.store(summed, result)
        with otherwise:
            sums = _sums(builder, pointers, query_pointer, size, l2_steps)
            for result, summed, number in zip(results, sums, numbers, strict=True):
                value = summed
                if coded:
                    base = data_pointer(context, builder, norms_type, norms)
                    norm = builder.load(builder.gep(base, [number], source_etype=I32), typ=I32, align=4)
                    twice = builder.shl(summed, ir.Constant(I32, 1))
                    value = builder.sub(builder.add(norm, constant), twice)
                builder.store(value, result)
    values = [builder.load(result) for result in results]
    return values[0] if len(values) == 1 else cgutils.pack_array(builder, values)


@intrinsic
def distance1(typing, l1, rows, norms, a, queries, query, constant):
    """The distance of rows[a] to queries[query]. l1: L1, else squared L2. int32."""
    places = [types.int64]
    signature = types.int32(types.boolean, rows, norms, *places, queries, types.int64, types.int32)
    return signature, _generate


@intrinsic
def distance4(typing, l1, rows, norms, a, b, c, d, queries, query, constant):
    """The distances of four rows, which share each load of the query. Four int32."""
    places = [types.int64] * 4
    signature = types.UniTuple(types.int32, 4)(
        types.boolean, rows, norms, *places, queries, types.int64, types.int32
    )
    return signature, _generate
