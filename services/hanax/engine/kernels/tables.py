"""Tables of 16 entries for hanax.engine.kernels.fast_scan: one vector register for each part of the query."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from hanax.engine.kernels.llvm import F32, I8, I32, I64, data_pointer, declare, float_of_bits

_FLOATS = ir.VectorType(F32, 16)
_INTS = ir.VectorType(I32, 16)
_BYTES = ir.VectorType(I8, 16)


def _everywhere(builder, number):
    undefined = ir.Constant(_FLOATS, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(I32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(I32, 16), [0] * 16))


def _row(builder, pointer, number):
    """Address of row `number` of 16 floats."""
    return builder.gep(pointer, [builder.shl(number, ir.Constant(I64, 6))], source_etype=I8)


@intrinsic
def _fill_part(typing, l1, values, first, span, books, book, tables, part):
    """tables[part] = L2 squared or L1 of values[first : first + span] to the 16 centroids whose components
    are rows book, book + 1, ... of books; the bits of the largest, which are those of a float from 0 up.
    """
    i64 = types.int64
    signature = types.int32(types.boolean, values, i64, i64, books, i64, tables, i64)

    def generate(context, builder, signature, arguments):
        l1, values, first, span, books, book, tables, part = arguments
        value_base = data_pointer(context, builder, signature.args[1], values)
        book_base = data_pointer(context, builder, signature.args[4], books)
        table_base = data_pointer(context, builder, signature.args[6], tables)
        total = cgutils.alloca_once_value(builder, ir.Constant(_FLOATS, [0.0] * 16))
        multiply_add = declare(builder, "llvm.fmuladd.v16f32", _FLOATS, [_FLOATS] * 3)
        magnitude = declare(builder, "llvm.fabs.v16f32", _FLOATS, [_FLOATS])
        with cgutils.for_range(builder, span) as loop:
            place = builder.gep(value_base, [builder.add(first, loop.index)], source_etype=F32)
            value = _everywhere(builder, builder.load(place, typ=F32))
            centroids = builder.load(
                _row(builder, book_base, builder.add(book, loop.index)), typ=_FLOATS, align=4
            )
            difference = builder.fsub(value, centroids)
            sum_ = builder.load(total)
            squared = builder.call(multiply_add, [difference, difference, sum_])
            absolute = builder.fadd(sum_, builder.call(magnitude, [difference]))
            builder.store(builder.select(l1, absolute, squared), total)
        found = builder.load(total)
        target = builder.bitcast(_row(builder, table_base, part), _FLOATS.as_pointer())
        builder.store(found, target, align=4)
        largest = declare(builder, "llvm.vector.reduce.umax.v16i32", I32, [_INTS])
        return builder.call(largest, [builder.bitcast(found, _INTS)])

    return signature, generate


@intrinsic
def _pack_part(typing, tables, part, scale, packed):
    """Row `part` of 16 bytes of `packed` = tables[part] * scale, rounded."""
    signature = types.void(tables, types.int64, types.float32, packed)

    def generate(context, builder, signature, arguments):
        tables, part, scale, packed = arguments
        table_base = data_pointer(context, builder, signature.args[0], tables)
        row = builder.load(_row(builder, table_base, part), typ=_FLOATS, align=4)
        scaled = builder.fadd(
            builder.fmul(row, _everywhere(builder, scale)), ir.Constant(_FLOATS, [0.5] * 16)
        )
        bytes_ = builder.trunc(builder.fptosi(scaled, _INTS), _BYTES)
        offset = builder.shl(part, ir.Constant(I64, 4))
        packed_base = data_pointer(context, builder, signature.args[3], packed)
        target = builder.gep(packed_base, [offset], source_etype=I8)
        builder.store(bytes_, builder.bitcast(target, _BYTES.as_pointer()), align=1)
        return context.get_dummy_value()

    return signature, generate


@njit(nogil=True, error_model="numpy", _nrt=False)
def fill_tables(l1, values, books, tables, packed):
    """Distances of each part of a query to its 16 centroids, in bytes of one scale, four parts to a row of
    64.

    values: float32[padded]. books: float32[parts, part dimension, 16]. tables: float32[parts, 16], scratch.
    packed: uint8[ceil(parts / 4), 64], whose last row has zeros behind the last part.
    """
    parts, dimension = books.shape[0], books.shape[1]
    top = np.int32(0)
    for part in range(parts):
        first = part * dimension
        # The last part may reach past the end.
        span = min(dimension, values.shape[0] - first)
        top = max(top, _fill_part(l1, values, first, span, books, first, tables, part))
    largest = float_of_bits(top)
    scale = np.float32(0.0)
    if largest > np.float32(0.0):
        scale = np.float32(255.0) / largest
    for part in range(parts):
        _pack_part(tables, part, scale, packed)
