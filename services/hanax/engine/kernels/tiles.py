"""Distances of four float32 rows to one or four queries: tiles of sums that stay in registers.

Each load of a row serves every query of the tile and each load of a query every row. A sum
runs in 16 lanes, which are added as a tree of neighbours, in tiles of both shapes: a distance has the
same bits whoever else is in the tile. Vectors of any dimension; LLVM splits lanes for smaller registers.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from hanax.engine.kernels.llvm import F32, I1, I32, I64, POINTER, declare, row_pointer

_LANES = 16
_ROWS = 4
_FLOATS = ir.VectorType(F32, _LANES)
_FLAGS = ir.VectorType(I1, _LANES)
_NUMBERS = ir.VectorType(I64, _LANES)


def _dot_step(builder, row, query, total):
    negative = builder.fneg(row)
    return builder.call(
        declare(builder, "llvm.fmuladd.v16f32", _FLOATS, [_FLOATS] * 3), [negative, query, total]
    )


def _squared_l2_step(builder, row, query, total):
    difference = builder.fsub(row, query)
    fused = declare(builder, "llvm.fmuladd.v16f32", _FLOATS, [_FLOATS] * 3)
    return builder.call(fused, [difference, difference, total])


def _l1_step(builder, row, query, total):
    magnitude = declare(builder, "llvm.fabs.v16f32", _FLOATS, [_FLOATS])
    return builder.fadd(total, builder.call(magnitude, [builder.fsub(row, query)]))


def _load(builder, pointer, offset):
    return builder.load(builder.gep(pointer, [offset], source_etype=F32), typ=_FLOATS, align=4)


def _load_some(flags):
    """Loads that leave lanes without a flag at zero, and their memory untouched."""

    def load(builder, pointer, offset):
        masked = declare(builder, "llvm.masked.load.v16f32.p0", _FLOATS, [POINTER, I32, _FLAGS, _FLOATS])
        address = builder.gep(pointer, [offset], source_etype=F32)
        return builder.call(masked, [address, ir.Constant(I32, 4), flags, ir.Constant(_FLOATS, None)])

    return load


def _steps(builder, step, load, offset, pointers, totals):
    """Add one vector of every row and query to the totals, which are query-major."""
    rows, queries = pointers
    loaded = [load(builder, row, offset) for row in rows]
    sums = []
    for number, query in enumerate(queries):
        vector = load(builder, query, offset)
        for place, row in enumerate(loaded):
            sums.append(step(builder, row, vector, totals[number * len(rows) + place]))
    return sums


def _sums(builder, step, pointers, dimension):
    """Totals of all pairs: a loop over whole vectors, then what is left of the dimension."""
    count = len(pointers[0]) * len(pointers[1])
    zero = ir.Constant(_FLOATS, None)
    whole = builder.and_(dimension, ir.Constant(I64, -_LANES))
    entry = builder.basic_block
    head, body, rest, last, done = (
        builder.append_basic_block(f"tile.{name}") for name in ("head", "body", "rest", "last", "done")
    )
    builder.branch(head)

    builder.position_at_end(head)
    offset = builder.phi(I64)
    offset.add_incoming(ir.Constant(I64, 0), entry)
    totals = [builder.phi(_FLOATS) for _ in range(count)]
    for total in totals:
        total.add_incoming(zero, entry)
    builder.cbranch(builder.icmp_signed("<", offset, whole), body, rest)

    builder.position_at_end(body)
    sums = _steps(builder, step, _load, offset, pointers, totals)
    offset.add_incoming(builder.add(offset, ir.Constant(I64, _LANES)), body)
    for total, summed in zip(totals, sums, strict=True):
        total.add_incoming(summed, body)
    builder.branch(head)

    builder.position_at_end(rest)
    builder.cbranch(builder.icmp_signed("<", whole, dimension), last, done)

    builder.position_at_end(last)
    numbers = ir.Constant(_NUMBERS, list(range(_LANES)))
    flags = builder.icmp_signed("<", numbers, _spread(builder, dimension, whole))
    ended = _steps(builder, step, _load_some(flags), whole, pointers, totals)
    builder.branch(done)

    builder.position_at_end(done)
    merged = [builder.phi(_FLOATS) for _ in range(count)]
    for phi, total, summed in zip(merged, totals, ended, strict=True):
        phi.add_incoming(total, rest)
        phi.add_incoming(summed, last)
    return merged


def _spread(builder, dimension, whole):
    """What is left of the dimension, in every lane."""
    left = builder.sub(dimension, whole)
    undefined = ir.Constant(_NUMBERS, ir.Undefined)
    first = builder.insert_element(undefined, left, ir.Constant(I32, 0))
    return _shuffled(builder, first, undefined, [0] * _LANES)


def _shuffled(builder, left, right, lanes):
    return builder.shuffle_vector(left, right, ir.Constant(ir.VectorType(I32, len(lanes)), list(lanes)))


def _folded(builder, left, right):
    """Sums of neighbours of the left vector, then of the right."""
    even = _shuffled(builder, left, right, range(0, 2 * _LANES, 2))
    odd = _shuffled(builder, left, right, range(1, 2 * _LANES, 2))
    return builder.fadd(even, odd)


def _reduced(builder, totals):
    """Lane i is the sum of totals[i], for up to 16 of them, a power of two."""
    for _ in range(4):
        if len(totals) == 1:
            totals = totals * 2
        totals = [_folded(builder, *totals[i : i + 2]) for i in range(0, len(totals), 2)]
    return totals[0]


def _tile(step, queries):
    """(rows, a, b, c, d, queries, q, out, column): out[t, column + r] for queries q, q + 1, ..."""

    @intrinsic
    def tile(typing, matrix, a, b, c, d, asked, q, out, column):
        numbers = [types.int64] * _ROWS
        signature = types.void(matrix, *numbers, asked, types.int64, out, types.int64)

        def generate(context, builder, signature, arguments):
            matrix_type, query_type, out_type = (signature.args[place] for place in (0, 5, 7))
            rows = [
                row_pointer(context, builder, matrix_type, arguments[0], number) for number in arguments[1:5]
            ]
            numbers = [builder.add(arguments[6], ir.Constant(I64, number)) for number in range(queries)]
            vectors = [row_pointer(context, builder, query_type, arguments[5], number) for number in numbers]
            matrix = context.make_array(query_type)(context, builder, arguments[5])
            dimension = builder.extract_value(matrix.shape, 1)
            sums = _reduced(builder, _sums(builder, step, (rows, vectors), dimension))
            for number in range(queries):
                four = _shuffled(builder, sums, sums, range(_ROWS * number, _ROWS * (number + 1)))
                target = row_pointer(context, builder, out_type, arguments[7], ir.Constant(I64, number))
                address = builder.gep(target, [arguments[8]], source_etype=F32)
                builder.store(four, builder.bitcast(address, four.type.as_pointer()), align=4)
            return context.get_dummy_value()

        return signature, generate

    return tile


dot_4x1, dot_4x4 = _tile(_dot_step, 1), _tile(_dot_step, 4)
squared_l2_4x1, squared_l2_4x4 = _tile(_squared_l2_step, 1), _tile(_squared_l2_step, 4)
l1_4x1, l1_4x4 = _tile(_l1_step, 1), _tile(_l1_step, 4)
